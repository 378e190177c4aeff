#include "clients/ctl/audit_verify_inside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clients/ctl/audit.h"
#include "record/schema.h"

#define JOBS_MAX 64

/* ---- Saying what was found ---- */

__attribute__((format(printf, 3, 0))) static void say(json_t *to, const char *place, const char *format, va_list args)
{
	char text[512];
	vsnprintf(text, sizeof text, format, args);
	json_array_append_new(to, json_pack("{s:s,s:s}", "place", place, "what", text));
}

/* "vitals-2026.db: seal 12, ..." where there are several files. */
const char *vs_verify_placed(const struct vs_verifying *v, const char *place, char buf[512])
{
	if (!v->label)
		return place;
	snprintf(buf, 512, "%s: %s", v->label, place);
	return buf;
}

__attribute__((format(printf, 3, 4))) void vs_verify_finding(struct vs_verifying *v, const char *place, const char *format, ...)
{
	va_list args;
	char buf[512];
	va_start(args, format);
	say(v->out->findings, vs_verify_placed(v, place, buf), format, args);
	va_end(args);
}

/* Statements whose rows are findings (or notes): place, what. */
void vs_verify_ask(struct vs_verifying *v, const char *sql, json_t *to)
{
	sqlite3_stmt *st = NULL;
	char buf[512];
	if (sqlite3_prepare_v2(v->db, sql, -1, &st, NULL) == SQLITE_OK)
		while (sqlite3_step(st) == SQLITE_ROW)
			json_array_append_new(to, json_pack("{s:s,s:s}", "place",
							    vs_verify_placed(v, (const char *)sqlite3_column_text(st, 0), buf), "what",
							    sqlite3_column_text(st, 1)));
	else
		vs_verify_finding(v, "the log", "cannot be asked: %s", sqlite3_errmsg(v->db));
	sqlite3_finalize(st);
}

/* ---- One file ---- */

static void check_tables(struct vs_verifying *v)
{
	size_t part = 0;
	for (unsigned t = 0; t < VS_SEAL_TABLES; t++)
		if (vs_seal_tables[t].since <= v->version)
			vs_verify_walk_table(v, t, &part);
}

static void check_file(struct vs_verifying *v)
{
	v->version = vs_schema_version(v->db);
	/* One snapshot: the daemon may go on writing. */
	if (sqlite3_get_autocommit(v->db) &&
	    sqlite3_exec(v->db, "BEGIN; SELECT count(*) FROM head", NULL, NULL, NULL) != SQLITE_OK) {
		snprintf(v->trouble, sizeof v->trouble, "%s: %s", v->label ? v->label : vs_log_file(v->l), sqlite3_errmsg(v->db));
		return;
	}
	vs_verify_check_rest(v);
	if (vs_verify_read_parts(v) < 0 || vs_verify_read_seals(v) < 0)
		vs_verify_finding(v, "seals", "they cannot be read: %s", sqlite3_errmsg(v->db));
	if (v->session)
		vs_verify_check_session(v);
	else
		check_tables(v);
	vs_verify_check_chain(v);
	vs_verify_check_signatures(v);
	vs_verify_check_head(v);
	sqlite3_exec(v->db, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- From file to file ---- */

static void take_end(struct vs_verify_seal *end, const struct vs_log_link *k)
{
	*end = (struct vs_verify_seal){ .seal = k->seal, .rows = k->rows };
	memcpy(end->hash, k->hash, VS_HASH);
}

/* The end of the file before, as this one says; it must be what is there. */
static void check_link(struct vs_verifying *v, size_t i)
{
	struct vs_log_link *links = NULL;
	size_t n = 0;
	const struct vs_log_link *said = i > 0 ? vs_log_part(v->l, i - 1)->link : NULL;
	if (vs_log_links(v->db, &links, &n) != SQLITE_OK)
		vs_verify_finding(v, "link", "it cannot be read: %s", sqlite3_errmsg(v->db));
	v->before = (struct vs_verify_seal){ .seal = 0 };
	if (n)
		take_end(&v->before, &links[n - 1]);
	if (said && (n == 0 || strcmp(said->name, links[n - 1].name) != 0 || said->seal != v->before.seal ||
		     said->rows != v->before.rows || memcmp(said->hash, v->before.hash, VS_HASH) != 0))
		vs_verify_finding(v, "link", "this file does not go on from %s, as the present file says", said->name);
	free(links);
}

/* A file of the past ends as those behind it say, and in order. */
static void check_end(struct vs_verifying *v, const struct vs_log_link *k)
{
	char closed[VS_FILE_NAME_CAP] = "";
	const struct vs_verify_seal *last = v->n_seals ? &v->seals[v->n_seals - 1] : &v->before;
	if (last->seal != k->seal || last->rows != k->rows || memcmp(last->hash, k->hash, VS_HASH) != 0)
		vs_verify_finding(v, "link", "the file ends with seal %" PRId64 "; the next one goes on from seal %" PRId64 " and another hash",
			last->seal, k->seal);
	if (vs_log_closed_as(v->db, closed) != SQLITE_OK || strcmp(closed, k->name) != 0)
		vs_verify_finding(v, "closed", "the file was not closed as %s", k->name);
}

/* One that is not there: by policy, and so recorded; known to be damaged; or by nobody knows whom. */
static void check_missing(struct vs_verifying *v, const struct vs_log_part *part)
{
	char seals[96], buf[512];
	snprintf(seals, sizeof seals, "seals up to %" PRId64, part->link->seal);
	if (part->removed || part->broken)
		json_array_append_new(v->out->notes, json_pack("{s:s,s:s}", "place", vs_verify_placed(v, seals, buf), "what", part->why));
	else
		vs_verify_finding(v, seals, "the file cannot be read: %s", part->why);
}

/* A record of a removal is of a file that is linked, as it is linked. */
static void check_removals(struct vs_verifying *v)
{
	size_t n = vs_log_parts(v->l);
	v->db = vs_log_part(v->l, n - 1)->db;
	if (v->session || vs_schema_version(v->db) < 3)
		return;
	vs_verify_ask(v, "SELECT 'removal of ' || r.name, 'what is recorded is not the file that the log goes on from' FROM removal r LEFT JOIN link l ON"
	       " l.name = r.name AND l.seal = r.seal AND l.rows = r.rows AND l.hash = r.hash WHERE l.link IS NULL", v->out->findings);
	vs_verify_ask(v, "SELECT r.name, 'its removal by policy was recorded on ' || " VS_VERIFY_AT("r.at_ms") " || ' by ' || r.operator || ', and it is still there' FROM"
	       " removal r WHERE r.removal NOT IN (SELECT removal FROM removal_end)", v->out->notes);
}

/* ---- All files, each by a thread of its own ---- */

struct check {
	struct vs_verifying v;
	struct vs_verdict out; /* of this file */
	bool wanted;
};

struct checks {
	struct vs_verifying *all;
	struct check *of; /* each file */
	size_t n;
	_Atomic size_t next;
	struct vs_verify_progress progress;
};

static void check_one(struct checks *c, size_t i)
{
	struct vs_verifying *v = &c->of[i].v;
	const struct vs_log_part *part = vs_log_part(v->l, i);
	if (!part->db) {
		check_missing(v, part);
		return;
	}
	if (part->removed)
		json_array_append_new(v->out->notes, json_pack("{s:s,s:s+}", "place", v->label, "what", "it is here again: ", part->why));
	check_link(v, i);
	check_file(v);
	if (!v->trouble[0] && part->link)
		check_end(v, part->link);
	v->out->files++;
}

static void *check_on(void *arg)
{
	struct checks *c = arg;
	for (size_t i; (i = c->next++) < c->n;)
		if (c->of[i].wanted)
			check_one(c, i);
	pthread_mutex_lock(&c->progress.lock);
	c->progress.running--;
	pthread_cond_signal(&c->progress.ended);
	pthread_mutex_unlock(&c->progress.lock);
	return NULL;
}

/* Rows there are, going by the last seal. */
static int64_t rows_of(struct vs_log *l)
{
	int64_t rows = 0;
	sqlite3_stmt *st = NULL;
	sqlite3 *db = vs_log_part(l, vs_log_parts(l) - 1)->db;
	if (db && sqlite3_prepare_v2(db, "SELECT rows FROM seal ORDER BY seal DESC LIMIT 1", -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		rows = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return rows;
}

/* A person who waits sees how far it is; nothing is said of what takes a moment. */
static void wait_for_all(struct checks *c)
{
	bool tell = isatty(STDERR_FILENO) && !c->all->session, told = false;
	struct vs_verify_progress *p = &c->progress;
	struct timespec at;
	clock_gettime(CLOCK_REALTIME, &at);
	pthread_mutex_lock(&p->lock);
	while (p->running > 0) {
		at.tv_sec++;
		int r = 0;
		while (p->running > 0 && r == 0)
			r = tell ? pthread_cond_timedwait(&p->ended, &p->lock, &at) : pthread_cond_wait(&p->ended, &p->lock);
		if (r != ETIMEDOUT)
			continue;
		double rows = (double)p->rows, all = (double)(p->all > p->rows ? p->all : p->rows);
		fprintf(stderr, "\r%.1f of %.1f million rows looked at ", rows / 1e6, all / 1e6);
		told = true;
	}
	pthread_mutex_unlock(&p->lock);
	if (told)
		fputs("\r\033[K", stderr);
}

static void run_checks(struct checks *c, unsigned jobs)
{
	pthread_t threads[JOBS_MAX];
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = jobs ? jobs : cores > 0 ? (size_t)cores : 1, started = 0;
	n = n > c->n ? c->n : n;
	n = n > JOBS_MAX ? JOBS_MAX : n;
	c->progress.running = (unsigned)n;
	while (started < n && pthread_create(&threads[started], NULL, check_on, c) == 0)
		started++;
	if (started < n) {
		pthread_mutex_lock(&c->progress.lock);
		c->progress.running -= (unsigned)(n - started);
		pthread_mutex_unlock(&c->progress.lock);
	}
	if (started == 0) { /* no thread to be had: then by this one */
		c->progress.running = 1;
		check_on(c);
	}
	wait_for_all(c);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

/* Puts together what was found, in the order of the files.  VS_EXIT_DONE, or VS_EXIT_FAILED after saying what cannot be looked at. */
static int gather(struct vs_verifying *all, struct check *c)
{
	struct vs_verdict *to = all->out, *from = &c->out;
	json_array_extend(to->findings, from->findings);
	json_array_extend(to->notes, from->notes);
	to->files += from->files;
	to->seals += from->seals;
	to->rows += from->rows;
	to->unsealed += from->unsealed;
	to->signatures += from->signatures;
	struct vs_verify_seal *seals = realloc(all->seals, (all->n_seals + c->v.n_seals + 1) * sizeof *seals);
	if (!seals)
		return vs_ctl_fail("out of memory");
	all->seals = seals;
	if (c->v.n_seals)
		memcpy(all->seals + all->n_seals, c->v.seals, c->v.n_seals * sizeof *seals);
	all->n_seals += c->v.n_seals;
	return c->v.trouble[0] ? vs_ctl_fail("%s", c->v.trouble) : VS_EXIT_DONE;
}

static void prepare_check(struct checks *c, size_t i)
{
	struct check *one = &c->of[i];
	const struct vs_log_part *part = vs_log_part(c->all->l, i); /* opened here, by one thread */
	const char *slash = strrchr(part->path, '/');
	bool begins;
	one->out = (struct vs_verdict){ .findings = json_array(), .notes = json_array() };
	one->v = *c->all;
	one->v.out = &one->out;
	one->v.progress = &c->progress;
	one->v.db = part->db;
	one->v.label = c->n == 1 ? NULL : slash ? slash + 1 : part->path;
	one->wanted = !c->all->session || (part->db && vs_log_part_has(part->db, c->all->session, &begins));
}

static int check_files(struct vs_verifying *all, unsigned jobs)
{
	int r = VS_EXIT_DONE;
	struct checks c = { .all = all, .n = vs_log_parts(all->l) };
	c.of = calloc(c.n, sizeof *c.of);
	if (!c.of)
		return vs_ctl_fail("out of memory");
	for (size_t i = 0; i < c.n; i++)
		prepare_check(&c, i);
	c.progress.all = rows_of(all->l);
	pthread_mutex_init(&c.progress.lock, NULL);
	pthread_cond_init(&c.progress.ended, NULL);
	run_checks(&c, jobs);
	pthread_cond_destroy(&c.progress.ended);
	pthread_mutex_destroy(&c.progress.lock);
	for (size_t i = 0; i < c.n; i++) {
		if (r == VS_EXIT_DONE)
			r = gather(all, &c.of[i]);
		json_decref(c.of[i].out.findings);
		json_decref(c.of[i].out.notes);
		free(c.of[i].v.parts);
		free(c.of[i].v.seals);
		vs_row_finish(&c.of[i].v.row);
	}
	free(c.of);
	if (r == VS_EXIT_DONE)
		check_removals(all);
	if (r == VS_EXIT_DONE && all->session && all->out->files == 0)
		return vs_ctl_fail("there is no session '%s' in this log; 'vitalsctl audit sessions' lists them", all->session);
	return r;
}

int vs_verify(struct vs_log *l, const struct vs_verify_options *o, struct vs_verdict *ret)
{
	*ret = (struct vs_verdict){ .findings = json_array(), .notes = json_array() };
	struct vs_verifying v = { .l = l, .out = ret, .trusted = o->key, .session = o->session };
	int r = vs_verify_read_keys(&v);
	if (r == 0)
		r = check_files(&v, o->jobs);
	if (r == 0 && o->witness)
		r = vs_verify_read_witness(&v, o->witness);
	free(v.seals);
	free(v.keys);
	if (r != 0) {
		json_decref(ret->findings);
		json_decref(ret->notes);
	}
	return r;
}

static void print_all(const char *title, const json_t *all)
{
	size_t i;
	const json_t *f;
	json_array_foreach(all, i, f)
		printf("%s: %s: %s\n", title, json_string_value(json_object_get(f, "place")),
		       json_string_value(json_object_get(f, "what")));
}

static void print_verdict(const struct vs_log_options *o, const struct vs_log *l, const struct vs_verdict *v)
{
	size_t n = json_array_size(v->findings);
	if (o->json) {
		json_t *j = json_pack("{s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:O,s:O}", "log", vs_log_file(l), "ok", n == 0, "files",
				      (json_int_t)v->files, "rows",
				      (json_int_t)v->rows, "unsealed", (json_int_t)v->unsealed, "seals", (json_int_t)v->seals,
				      "signatures", (json_int_t)v->signatures, "witnesses", (json_int_t)v->witnesses, "findings",
				      v->findings, "notes", v->notes);
		json_dumpf(j, stdout, JSON_INDENT(1));
		putchar('\n');
		json_decref(j);
		return;
	}
	print_all("note", v->notes);
	print_all("FINDING", v->findings);
	if (o->session)
		printf("%s: what the seals over session %s cover: ", vs_log_file(l), o->session);
	else if (v->files != 1)
		printf("%s, %" PRId64 " files: ", vs_log_file(l), v->files);
	else
		printf("%s: ", vs_log_file(l));
	printf("%" PRId64 " rows under %" PRId64 " seals (%" PRId64 " signed), %" PRId64 " rows wait for the next seal",
	       v->rows, v->seals, v->signatures, v->unsealed);
	if (v->witnesses)
		printf(", %" PRId64 " seals kept elsewhere", v->witnesses);
	if (n == 0)
		puts(": nothing was changed, removed, added or reordered");
	else
		printf(": %zu finding%s\n", n, n == 1 ? "" : "s");
}

int vs_audit_verify(int argc, char **argv)
{
	struct vs_log_options o;
	struct vs_log *l = NULL;
	struct vs_verdict v;
	int r = vs_log_options(&o, argc, argv, "witness key session jobs");
	if (r == VS_EXIT_DONE && o.n_words)
		return vs_ctl_usage("audit verify: '%s' is one word too many", o.words[0]);
	if (r == VS_EXIT_DONE)
		r = vs_log_open_given(&o, &l);
	if (r != VS_EXIT_DONE)
		return r;
	r = vs_verify(l, &(struct vs_verify_options){ o.key, o.witness, o.session, o.jobs }, &v);
	if (r == VS_EXIT_DONE) {
		print_verdict(&o, l, &v);
		r = json_array_size(v.findings) ? VS_EXIT_FAILED : VS_EXIT_DONE;
		json_decref(v.findings);
		json_decref(v.notes);
	}
	vs_log_close(l);
	return r;
}
