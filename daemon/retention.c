#include "daemon/retention.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/timetext.h"
#include "daemon/chair.h"
#include "daemon/clock.h"
#include "daemon/say.h"
#include "record/retention.h"

#define NAMES_MAX 64
#define DAY_MS 86400000ll

/* A file that may go, as its entry will tell. */
struct going {
	char name[VS_FILE_NAME_CAP];
	char body[3072];
	size_t len;
};

struct vs_retention {
	struct vs_daemon *daemon;
	uv_work_t work;
	bool at_work, closed;
	unsigned holds;      /* placed in this epoch */
	int64_t looked_day;  /* since 1970: the daemon looked by itself */

	/* the thread's, while it is at work */
	char path[4096], policy[32], operator[VS_WHO_CAP], reason[512];
	unsigned uid, n_names;
	bool all;
	bool by_itself, doubtful; /* nobody ordered it; and the clock may be wrong */
	bool kept;                /* something that was asked for stays */
	char names[NAMES_MAX][VS_FILE_NAME_CAP];
	int64_t now_ms, cutoff_ms;
	struct going *going;
	size_t n_going;
	char said[1024];
};

static void number(struct vs_json *j, const char *key, int64_t value)
{
	vs_json_key(j, key);
	vs_json_int(j, value);
}

/* Of no chair in particular: it stands with the first one. */
static void entry(struct vs_daemon *d, const struct vs_json *j, const char *body)
{
	if (d->n_chairs && !vs_json_failed(j))
		vs_chair_note(d->chairs[0], body, j->len);
}

static void begin(struct vs_json *j, const char *kind, const char *value, const char *note)
{
	vs_json_member(j, "entry", kind);
	vs_json_member(j, "value", value);
	vs_json_member(j, "unit", "");
	vs_json_member(j, "note", note);
}

static void sign(struct vs_json *j, const char *operator, unsigned uid)
{
	vs_json_member(j, "operator", operator);
	vs_json_key(j, "uid"), vs_json_uint(j, uid);
}

void vs_daemon_say_retention(struct vs_daemon *d)
{
	char body[1024], note[512];
	struct vs_json j = vs_json_into(body, sizeof body);
	const struct vs_config *c = d->config;
	bool keeps = !c->keep_years && !c->keep_days;
	snprintf(note, sizeof note, "%s%s%s", keeps ? "nothing is ever removed" : c->keep_apply ? "applied daily" : "applied by hand",
		 c->keep_shorter ? "; shorter because: " : "", c->keep_shorter ? c->keep_shorter : "");
	begin(&j, "retention-policy", c->keep_text ? c->keep_text : "keep", note);
	entry(d, &j, body);
}

/* ---- holds ---- */

void vs_retention_hold(struct vs_retention *r, const struct vs_hold_order *o, char id[64])
{
	char body[2048];
	struct vs_json j = vs_json_into(body, sizeof body);
	snprintf(id, 64, "h-%llu-%u", (unsigned long long)r->daemon->epoch, ++r->holds);
	begin(&j, "legal-hold", id, o->reason);
	vs_json_key(&j, "of");
	vs_json_open(&j, '{');
	if (o->session)
		vs_json_member(&j, "session", o->session);
	else if (o->patient)
		vs_json_member(&j, "patient", o->patient);
	else
		number(&j, "from_ms", o->from_ms), number(&j, "until_ms", o->until_ms);
	vs_json_close(&j, '}');
	sign(&j, o->operator, o->uid);
	entry(r->daemon, &j, body);
}

void vs_retention_release(struct vs_retention *r, const char *id, const char *reason, const char *operator, unsigned uid)
{
	char body[2048];
	struct vs_json j = vs_json_into(body, sizeof body);
	begin(&j, "hold-release", id, reason);
	sign(&j, operator, uid);
	entry(r->daemon, &j, body);
}

/* ---- in the pool: which files may go ---- */

__attribute__((format(printf, 2, 3))) static void say(struct vs_retention *r, const char *format, ...)
{
	size_t n = strlen(r->said);
	va_list args;
	va_start(args, format);
	vsnprintf(r->said + n, sizeof r->said - n, format, args);
	va_end(args);
}

static bool is_wanted(const struct vs_retention *r, const char *name)
{
	for (unsigned i = 0; i < r->n_names; i++)
		if (strcmp(r->names[i], name) == 0)
			return true;
	return r->all;
}

static bool is_whole(const struct vs_retention *r, const struct vs_log_link *before, const struct vs_log_link *link, char why[256])
{
	char path[4096];
	sqlite3 *db = NULL;
	bool whole = false;
	if (!vs_log_path_beside(r->path, link->name, path, sizeof path) ||
	    sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		snprintf(why, 256, "it cannot be read");
	else
		whole = vs_file_is_whole(db, before, link, why);
	sqlite3_close(db);
	return whole;
}

static bool describe(const struct vs_retention *r, const struct vs_retained_file *f, struct going *g)
{
	char head[VS_HASH_HEX];
	struct vs_json j = vs_json_into(g->body, sizeof g->body);
	vs_hex(f->link.hash, VS_HASH, head);
	snprintf(g->name, sizeof g->name, "%s", f->link.name);
	begin(&j, "removal", f->link.name, r->reason);
	vs_json_member(&j, "policy", r->policy);
	vs_json_key(&j, "file");
	vs_json_open(&j, '{');
	vs_json_key(&j, "from"), vs_json_time(&j, f->link.from_ms);
	vs_json_key(&j, "until"), vs_json_time(&j, f->link.until_ms);
	number(&j, "first_seal", f->first_seal), number(&j, "seal", f->link.seal), number(&j, "rows", f->link.rows);
	vs_json_member(&j, "head", head);
	vs_json_member(&j, "signature", f->signature[0] ? f->signature : NULL);
	number(&j, "sessions", f->sessions), number(&j, "alarms", f->alarms), number(&j, "readings", f->readings);
	number(&j, "bytes", f->bytes);
	vs_json_close(&j, '}');
	sign(&j, r->operator, r->uid);
	g->len = j.len;
	return !vs_json_failed(&j);
}

static void choose(struct vs_retention *r, const struct vs_retained_file *f, const struct vs_retained_file *before)
{
	char why[256];
	if (!is_wanted(r, f->link.name) || (r->all && f->state != VS_RETAIN_DUE && f->state != VS_RETAIN_HELD && f->state != VS_RETAIN_UNREADABLE))
		return;
	r->kept = f->state != VS_RETAIN_DUE || r->kept;
	if (f->state != VS_RETAIN_DUE) {
		say(r, "%s is kept: %s. ", f->link.name, f->why);
		return;
	}
	if (!is_whole(r, before ? &before->link : NULL, &f->link, why)) {
		r->kept = true;
		say(r, "%s is kept: it is not as it was sealed: %s; 'audit verify' says where. ", f->link.name, why);
		return;
	}
	if (describe(r, f, &r->going[r->n_going]))
		r->n_going++;
}

/* What nobody ordered is done only where the record leaves no doubt about the clock. */
static bool is_doubtful(struct vs_retention *r, sqlite3 *present)
{
	struct vs_record_gap gap;
	char from[VS_TIME_TEXT_CAP], until[VS_TIME_TEXT_CAP];
	if (!r->by_itself)
		return false;
	if (vs_record_gap(present, r->path, r->now_ms, &gap) != SQLITE_OK) {
		say(r, "nothing is removed by itself: the record cannot be read");
		return true;
	}
	if (gap.until_ms - gap.from_ms < VS_RECORD_GAP_MS)
		return false;
	vs_time_text(gap.from_ms, from);
	vs_time_text(gap.until_ms, until);
	say(r, "nothing is removed by itself: the record has nothing from %.10s to %.10s, so that the clock may be wrong; where it is right,"
	       " 'vitalsctl log retention --apply' removes what is due", from, until);
	return true;
}

static void look(struct vs_retention *r)
{
	struct vs_retained_file *files = NULL;
	size_t n = 0;
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(r->path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(db, 5000);
		r->doubtful = is_doubtful(r, db);
		rc = r->doubtful ? SQLITE_OK : vs_retention_look(db, r->path, r->cutoff_ms, &files, &n);
	}
	if (rc == SQLITE_OK && n && !(r->going = calloc(n, sizeof *r->going)))
		rc = SQLITE_NOMEM;
	for (size_t i = 0; rc == SQLITE_OK && i < n; i++)
		choose(r, &files[i], i ? &files[i - 1] : NULL);
	if (rc != SQLITE_OK)
		say(r, "the record cannot be read: %s. ", sqlite3_errstr(rc));
	free(files);
	sqlite3_close(db);
}

static void work(uv_work_t *w)
{
	look(w->data);
}

/* ---- on the loop ---- */

static void destroy(struct vs_retention *r)
{
	free(r->going);
	free(r);
}

static void on_work_done(uv_work_t *w, int status)
{
	struct vs_retention *r = w->data;
	r->at_work = false;
	if (r->closed) {
		destroy(r);
		return;
	}
	for (size_t i = 0; status == 0 && i < r->n_going; i++) {
		struct vs_daemon *d = r->daemon;
		vs_say(VS_SAY_NOTICE, "%s is removed by policy (%s), as %s asked: %s", r->going[i].name, r->policy, r->operator, r->reason);
		say(r, "%s is removed. ", r->going[i].name);
		if (d->n_chairs)
			vs_chair_note(d->chairs[0], r->going[i].body, r->going[i].len);
	}
	if (r->doubtful || (r->all && r->kept)) /* nobody waits for an answer: the journal has it */
		vs_say(VS_SAY_WARNING, "retention: %s", r->said);
	if (!r->said[0])
		say(r, "nothing is due. ");
	free(r->going);
	r->going = NULL;
	r->n_going = 0;
}

const char *vs_retention_apply(struct vs_retention *r, const struct vs_retention_order *o)
{
	const struct vs_config *c = r->daemon->config;
	if (!c->keep_years && !c->keep_days)
		return "the configuration keeps everything (log: retention): nothing is ever due";
	if (r->at_work)
		return "what is due is being looked at already; ask again in a moment";
	if (o->n_files > NAMES_MAX)
		return "these are too many files for once";
	snprintf(r->policy, sizeof r->policy, "%s", c->keep_text);
	snprintf(r->operator, sizeof r->operator, "%s", o->operator);
	snprintf(r->reason, sizeof r->reason, "%s", o->reason);
	r->uid = o->uid;
	r->all = !o->files;
	r->n_names = 0;
	for (unsigned i = 0; i < o->n_files; i++)
		snprintf(r->names[r->n_names++], VS_FILE_NAME_CAP, "%s", o->files[i]);
	r->by_itself = o->by_itself;
	r->doubtful = r->kept = false;
	r->now_ms = vs_wall_ms();
	r->cutoff_ms = vs_keep_cutoff((struct vs_keep){ c->keep_years, c->keep_days }, r->now_ms);
	r->said[0] = '\0';
	r->at_work = uv_queue_work(r->daemon->loop, &r->work, work, on_work_done) == 0;
	return r->at_work ? NULL : "there is no memory for it";
}

const char *vs_retention_said(const struct vs_retention *r, bool *ret_busy)
{
	*ret_busy = r->at_work;
	return r->at_work ? "" : r->said;
}

void vs_retention_tick(struct vs_retention *r)
{
	int64_t day = vs_wall_ms() / DAY_MS;
	if (!r->daemon->config->keep_apply || r->at_work || day == r->looked_day)
		return;
	r->looked_day = day;
	vs_retention_apply(r, &(struct vs_retention_order){ .operator = "vitalsd", .reason = "retention_apply: daily", .uid = (unsigned)getuid(),
								       .by_itself = true });
}

struct vs_retention *vs_retention_create(struct vs_daemon *d)
{
	struct vs_retention *r = calloc(1, sizeof *r);
	if (r) {
		r->daemon = d;
		r->work.data = r;
		snprintf(r->path, sizeof r->path, "%s", d->config->log_path); /* a reload does not move the log */
	}
	return r;
}

void vs_retention_close(struct vs_retention *r)
{
	if (!r)
		return;
	r->closed = true;
	if (!r->at_work)
		destroy(r);
	else
		uv_cancel((uv_req_t *)&r->work);
}
