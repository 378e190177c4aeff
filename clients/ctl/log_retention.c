#include "clients/ctl/log_retention.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clients/ctl/ask.h"
#include "config/config.h"
#include "config/words.h"
#include "core/timetext.h"
#include "record/retention.h"

#define PATIENCE_S 600 /* a year of a busy chair is checked in seconds, ten on a slow disk in minutes */
#define SEEN_S 5       /* until what was asked for stands in the record */

static sqlite3 *present_of(struct vs_log *l)
{
	return vs_log_part(l, vs_log_parts(l) - 1)->db;
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static int64_t number_of(sqlite3 *db, const char *sql, const char *text)
{
	sqlite3_stmt *st = NULL;
	int64_t n = 0;
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK &&
	    (!sqlite3_bind_parameter_count(st) || sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC) == SQLITE_OK) && sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

static bool has_retention(struct vs_log *l)
{
	return sqlite3_table_column_metadata(present_of(l), NULL, "hold", NULL, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK;
}

static json_t *time_json(int64_t ms)
{
	char text[VS_TIME_TEXT_CAP];
	vs_time_text(ms, text);
	return json_string(text);
}

json_t *vs_log_removal(sqlite3 *present, const char *name)
{
	sqlite3_stmt *st = NULL;
	json_t *j = NULL;
	if (sqlite3_prepare_v2(present,
			       "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', e.at_ms / 1000.0, 'unixepoch') AS at, r.operator AS \"by\", r.uid, r.policy,"
			       " r.reason, r.sessions, r.alarms, r.readings, r.bytes, r.first_seal, r.seal, lower(hex(r.hash)) AS head, r.signature,"
			       " lower(hex(l.hash)) = lower(hex(r.hash)) AND l.seal = r.seal AS linked FROM removal r JOIN removal_end e USING(removal)"
			       " JOIN link l ON l.name = r.name WHERE r.name = ?1 AND e.outcome = 'removed' ORDER BY r.removal DESC LIMIT 1", -1, &st,
			       NULL) == SQLITE_OK &&
	    sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		j = vs_log_row(st);
	sqlite3_finalize(st);
	return j;
}

/* ---- asking the daemon ---- */

static json_t *ask(const struct vs_log_options *o, json_t *request, bool quiet)
{
	char trouble[512] = "";
	struct vs_ask a = { .control = o->control, .config = o->config, .trouble = trouble, .trouble_cap = sizeof trouble };
	if (!quiet) {
		json_object_set_new(request, "operator", json_string(o->operator_name ? o->operator_name : vs_ask_login()));
		json_object_set_new(request, "reason", json_string(o->reason ? o->reason : ""));
	}
	json_t *answer = vs_ask_daemon(&a, request);
	if (answer && json_is_true(json_object_get(answer, "ok")))
		return answer;
	vs_ctl_fail("%s", answer ? vs_json_text(answer, "error") : trouble);
	json_decref(answer);
	return NULL;
}

static int check_reason(const struct vs_log_options *o, const char *command)
{
	if (o->reason && *o->reason)
		return VS_EXIT_DONE;
	return vs_ctl_usage("log %s: --reason TEXT is needed: it stands in the record", command);
}

/* The present file as it is from now on, not as it was when it was first read. */
static sqlite3 *fresh(struct vs_log *l)
{
	sqlite3 *db = present_of(l);
	if (!sqlite3_get_autocommit(db))
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return db;
}

/* Whether the record has it by now. */
static bool is_recorded(struct vs_log *l, const char *sql, const char *id)
{
	for (int i = 0; i < SEEN_S * 20; i++) {
		if (number_of(fresh(l), sql, id))
			return true;
		pause_ms(50);
	}
	return false;
}

static int tell_recorded(struct vs_log *l, const struct vs_log_options *o, const char *sql, const char *id, const char *words)
{
	if (!is_recorded(l, sql, id))
		return vs_ctl_fail("%s: vitalsd took it, and it does not stand in %s yet: is that the log of this vitalsd, and can it be written? Look "
				   "again with 'vitalsctl log retention'", id, vs_log_file(l));
	if (o->json)
		printf("{\"ok\":true,\"hold\":\"%s\"}\n", id);
	else
		printf("%s: %s\n", id, words);
	return VS_EXIT_DONE;
}

/* ---- hold, release ---- */

/* A hold on what is not there keeps nothing, and nobody would notice. */
static int check_covered(struct vs_log *l, const char *session, const char *patient)
{
	char chair[64];
	if (session) {
		int r = vs_log_session(l, session, chair);
		return r > 0 ? VS_EXIT_DONE : r < 0 ? VS_EXIT_FAILED
			     : vs_ctl_fail("there is no session '%s' in this log; 'vitalsctl audit sessions' lists them", session);
	}
	if (patient && !number_of(vs_log_db(l), "SELECT count(*) FROM audit_session WHERE patient = ?1", patient))
		fprintf(stderr, "vitalsctl: note: the log knows no patient '%s' yet; the hold is for whatever comes under that code\n", patient);
	return VS_EXIT_DONE;
}

int vs_log_hold(struct vs_log *l, const struct vs_log_options *o)
{
	const char *session = o->n_words ? o->words[0] : o->session;
	bool from = o->since_ms != INT64_MIN, until = o->until_ms != INT64_MAX;
	if (check_reason(o, "hold") != VS_EXIT_DONE)
		return VS_EXIT_USAGE;
	if (!!session + !!o->patient + (from || until) != 1 || from != until || o->n_words > 1)
		return vs_ctl_usage("log hold: on what? SESSION, or --patient CODE, or --from T --to T");
	if (check_covered(l, session, o->patient) != VS_EXIT_DONE)
		return VS_EXIT_FAILED;
	json_t *request = json_pack("{s:s,s:s*,s:s*}", "op", "hold", "session", session, "patient", o->patient);
	if (from) {
		json_object_set_new(request, "from_ms", json_integer(o->since_ms));
		json_object_set_new(request, "until_ms", json_integer(o->until_ms));
	}
	json_t *answer = ask(o, request, false);
	if (!answer)
		return VS_EXIT_FAILED;
	int r = tell_recorded(l, o, "SELECT count(*) FROM hold WHERE id = ?1", vs_json_text(answer, "hold"),
			      "nothing that it covers is removed until it is released");
	json_decref(answer);
	return r;
}

int vs_log_release(struct vs_log *l, const struct vs_log_options *o)
{
	if (o->n_words != 1)
		return vs_ctl_usage("log release: which hold? 'vitalsctl log retention' lists them");
	if (check_reason(o, "release") != VS_EXIT_DONE)
		return VS_EXIT_USAGE;
	if (!has_retention(l) ||
	    !number_of(present_of(l), "SELECT count(*) FROM hold WHERE id = ?1 AND hold NOT IN (SELECT hold FROM hold_end)", o->words[0]))
		return vs_ctl_fail("there is no hold '%s' in force in this log; 'vitalsctl log retention' lists them", o->words[0]);
	json_t *answer = ask(o, json_pack("{s:s,s:s}", "op", "hold-release", "hold", o->words[0]), false);
	if (!answer)
		return VS_EXIT_FAILED;
	json_decref(answer);
	return tell_recorded(l, o, "SELECT count(*) FROM hold JOIN hold_end USING(hold) WHERE id = ?1", o->words[0],
			     "released; from now on the policy decides again");
}

/* ---- what is due ---- */

struct view {
	char policy[64];
	const char *source;
	struct vs_retained_file *files;
	size_t n;
	struct vs_hold *holds;
	size_t n_holds;
};

/* What the newest entry about it says, of this file and those before. */
static bool policy_of_log(struct vs_log *l, char policy[64])
{
	for (size_t i = vs_log_parts(l); i-- > 0;) {
		sqlite3 *db = vs_log_part(l, i)->db;
		sqlite3_stmt *st = NULL;
		const char *text = NULL;
		if (db && sqlite3_prepare_v2(db, "SELECT json_extract('{' || body || '}', '$.value') FROM event WHERE kind = 'entry' AND session IS NULL"
						 " AND body LIKE '\"entry\":\"retention-policy\",%' ORDER BY event DESC LIMIT 1", -1, &st, NULL) ==
				  SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
			text = (const char *)sqlite3_column_text(st, 0);
		if (text)
			snprintf(policy, 64, "%s", text);
		sqlite3_finalize(st);
		if (text)
			return true;
	}
	return false;
}

static int find_policy(struct vs_log *l, const struct vs_log_options *o, struct view *v)
{
	struct vs_config *c = NULL;
	struct vs_findings findings = { 0 };
	v->source = "--keep";
	snprintf(v->policy, sizeof v->policy, "%s", o->keep ? o->keep : "keep");
	if (o->keep)
		return VS_EXIT_DONE;
	if (!o->config) {
		v->source = policy_of_log(l, v->policy) ? "as the record says" : "the record names none";
		return VS_EXIT_DONE;
	}
	v->source = o->config;
	if (vs_config_load(o->config, &c, &findings) < 0) {
		vs_findings_print(&findings, stderr);
		vs_findings_clear(&findings);
		return VS_EXIT_CONFIG;
	}
	snprintf(v->policy, sizeof v->policy, "%s", c->keep_text ? c->keep_text : "keep");
	vs_config_free(c);
	vs_findings_clear(&findings);
	return VS_EXIT_DONE;
}

static void forget(struct view *v)
{
	free(v->files);
	free(v->holds);
	v->files = NULL;
	v->holds = NULL;
}

static int look(struct vs_log *l, const struct vs_log_options *o, struct view *v)
{
	struct vs_keep keep;
	int r = find_policy(l, o, v);
	if (r != VS_EXIT_DONE)
		return r;
	if (!vs_word_keep(v->policy, &keep.years, &keep.days))
		return vs_ctl_usage("log retention: '%s' is no policy; write keep, 6y or 2555d", v->policy);
	int rc = vs_retention_look(present_of(l), vs_log_file(l), vs_keep_cutoff(keep, now_ms()), &v->files, &v->n);
	if (rc == SQLITE_OK)
		rc = vs_holds(present_of(l), &v->holds, &v->n_holds);
	return rc == SQLITE_OK ? VS_EXIT_DONE : vs_ctl_fail("%s: %s", vs_log_file(l), sqlite3_errmsg(present_of(l)));
}

static json_t *hold_json(const struct vs_hold *h)
{
	char what[320];
	json_t *j = json_pack("{s:s,s:s,s:o,s:s,s:I,s:s}", "hold", h->id, "covers", vs_hold_text(h, what, sizeof what), "at", time_json(h->at_ms),
			      "by", h->operator, "uid", (json_int_t)h->uid, "reason", h->reason);
	if (h->session[0])
		json_object_set_new(j, "session", json_string(h->session));
	if (h->patient[0])
		json_object_set_new(j, "patient", json_string(h->patient));
	return j;
}

static json_t *view_json(const struct view *v)
{
	json_t *files = json_array(), *holds = json_array();
	for (size_t i = 0; i < v->n; i++) {
		const struct vs_retained_file *f = &v->files[i];
		json_array_append_new(files, json_pack("{s:s,s:o,s:o,s:s,s:s}", "file", f->link.name, "from", time_json(f->link.from_ms), "until",
						       time_json(f->link.until_ms), "state", vs_retain_name(f->state), "why", f->why));
	}
	for (size_t i = 0; i < v->n_holds; i++)
		json_array_append_new(holds, hold_json(&v->holds[i]));
	return json_pack("{s:s,s:s,s:o,s:o}", "policy", v->policy, "source", v->source, "files", files, "holds", holds);
}

static void print_view(const struct view *v)
{
	size_t due = 0;
	printf("policy: %s (%s)\n", v->policy, v->source);
	for (size_t i = 0; i < v->n; i++) {
		const struct vs_retained_file *f = &v->files[i];
		char from[VS_TIME_TEXT_CAP], until[VS_TIME_TEXT_CAP];
		vs_time_text(f->link.from_ms, from);
		vs_time_text(f->link.until_ms, until);
		due += f->state == VS_RETAIN_DUE;
		printf("%-24s %.10s to %.10s  %-10s  %s\n", f->link.name, from, until, vs_retain_name(f->state), f->why);
	}
	for (size_t i = 0; i < v->n_holds; i++) {
		char at[VS_TIME_TEXT_CAP], what[320];
		vs_time_text(v->holds[i].at_ms, at);
		printf("hold %s: %s, since %.10s by %s: %s\n", v->holds[i].id, vs_hold_text(&v->holds[i], what, sizeof what), at, v->holds[i].operator,
		       v->holds[i].reason);
	}
	if (due)
		printf("%zu file%s due; nothing was removed: --apply --operator NAME --reason TEXT removes\n", due, due == 1 ? " is" : "s are");
	else
		puts("nothing is due");
}

/* ---- removing it ---- */

/* The daemon looks at each file once more, and checks it against its seals. */
static int wait_for_it(const struct vs_log_options *o, char said[1024])
{
	for (int i = 0; i < PATIENCE_S * 10; i++) {
		json_t *answer = ask(o, json_pack("{s:s}", "op", "retention-said"), true);
		bool busy = json_is_true(json_object_get(answer, "busy"));
		if (answer)
			snprintf(said, 1024, "%s", vs_json_text(answer, "said"));
		json_decref(answer);
		if (!answer)
			return VS_EXIT_FAILED;
		if (!busy)
			return VS_EXIT_DONE;
		pause_ms(100);
	}
	return vs_ctl_fail("vitalsd is still checking what is to be removed; look again with 'vitalsctl log retention'");
}

/* What became of each of those that were due. */
static int tell_outcome(struct vs_log *l, const struct vs_log_options *o, const json_t *names, const char *said)
{
	size_t i, gone = 0;
	json_t *name, *removed = json_array();
	json_array_foreach(names, i, name) {
		json_t *r = NULL;
		/* a moment: recorded, sealed, removed, recorded */
		for (int k = 0; strstr(said, " is removed. ") && k < SEEN_S * 20 && !(r = vs_log_removal(fresh(l), json_string_value(name))); k++)
			pause_ms(50);
		if (!r)
			continue;
		gone++;
		if (!o->json)
			printf("%s: removed, and recorded: %" JSON_INTEGER_FORMAT " sessions, seals up to %" JSON_INTEGER_FORMAT "\n", json_string_value(name),
			       json_integer_value(json_object_get(r, "sessions")), json_integer_value(json_object_get(r, "seal")));
		json_object_set(r, "file", name);
		json_array_append_new(removed, r);
	}
	size_t wanted = json_array_size(names);
	if (o->json) {
		json_t *j = json_pack("{s:b,s:O,s:s}", "ok", gone == wanted, "removed", removed, "said", said);
		json_dumpf(j, stdout, JSON_INDENT(1));
		putchar('\n');
		json_decref(j);
	}
	json_decref(removed);
	return gone == wanted ? VS_EXIT_DONE : vs_ctl_fail("%zu of %zu files were not removed: %s", wanted - gone, wanted, said);
}

static int apply(struct vs_log *l, const struct vs_log_options *o, const struct view *v)
{
	char said[1024] = "";
	json_t *names = json_array();
	for (size_t i = 0; i < v->n; i++)
		if (v->files[i].state == VS_RETAIN_DUE)
			json_array_append_new(names, json_string(v->files[i].link.name));
	int r = VS_EXIT_DONE;
	if (json_array_size(names) == 0) {
		puts(o->json ? "{\"ok\":true,\"removed\":[]}" : "nothing is due");
	} else {
		json_t *answer = ask(o, json_pack("{s:s,s:O}", "op", "retention-apply", "files", names), false);
		r = answer ? wait_for_it(o, said) : VS_EXIT_FAILED;
		json_decref(answer);
		if (r == VS_EXIT_DONE)
			r = tell_outcome(l, o, names, said);
	}
	json_decref(names);
	return r;
}

int vs_log_retention(struct vs_log *l, const struct vs_log_options *o)
{
	struct view v = { .n = 0 };
	if (o->n_words)
		return vs_ctl_usage("log retention: '%s' is one word too many", o->words[0]);
	if (o->apply && (check_reason(o, "retention --apply") != VS_EXIT_DONE || o->keep))
		return o->keep ? vs_ctl_usage("log retention: --keep is for looking; --apply goes by the policy of vitalsd") : VS_EXIT_USAGE;
	if (!has_retention(l))
		return vs_ctl_fail("%s: an older vitalsd wrote this log; the next start of vitalsd brings it up to date", vs_log_file(l));
	int r = look(l, o, &v);
	if (r == VS_EXIT_DONE && o->apply) {
		r = apply(l, o, &v);
	} else if (r == VS_EXIT_DONE && o->json) {
		json_t *j = view_json(&v);
		json_dumpf(j, stdout, JSON_INDENT(1));
		putchar('\n');
		json_decref(j);
	} else if (r == VS_EXIT_DONE) {
		print_view(&v);
	}
	forget(&v);
	return r;
}
