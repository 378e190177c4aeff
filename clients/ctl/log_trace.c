/* Reading leaves a trace where the log asks for it (daemon/access.c). */
#include <string.h>

#include "clients/ctl/ask.h"
#include "clients/ctl/log.h"

#define PATIENCE_MS 5000

/* What the newest start of the daemon said last, in no session; nothing said: no trace.  And whether that start is in this file. */
static const char policy_sql[] =
	"SELECT (SELECT json_extract('{' || e.body || '}', '$.value') FROM event e WHERE e.kind = 'entry' AND e.session IS NULL AND e.origin IN"
	" (SELECT origin FROM origin WHERE epoch = ?1) AND json_extract('{' || e.body || '}', '$.entry') = 'read-trace' ORDER BY e.event DESC LIMIT 1),"
	" (SELECT min(epoch) FROM epoch) < ?1";
static const char newest_sql[] = "SELECT max(epoch) FROM epoch";

/* The first row of a statement on one file, or NULL. */
static sqlite3_stmt *first_row(sqlite3 *db, const char *sql, int64_t epoch)
{
	sqlite3_stmt *st = NULL;
	if (!db || sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		return NULL;
	if (sqlite3_bind_parameter_count(st))
		sqlite3_bind_int64(st, 1, epoch);
	if (sqlite3_step(st) == SQLITE_ROW)
		return st;
	sqlite3_finalize(st);
	return NULL;
}

/* Of the file that is written, and of those before it as far back as its newest start reaches. */
static bool wants_trace(struct vs_log *l)
{
	size_t n = vs_log_parts(l);
	sqlite3_stmt *st = n ? first_row(vs_log_part(l, n - 1)->db, newest_sql, 0) : NULL;
	int64_t epoch = st ? sqlite3_column_int64(st, 0) : 0;
	bool wanted = false, done = !st;
	sqlite3_finalize(st);
	for (size_t i = n; i-- > 0 && !done;) {
		st = first_row(vs_log_part(l, i)->db, policy_sql, epoch);
		const char *said = st ? (const char *)sqlite3_column_text(st, 0) : NULL;
		wanted = said && strcmp(said, "on") == 0;
		done = !st || said || sqlite3_column_int(st, 1);
		sqlite3_finalize(st);
	}
	return wanted;
}

static int tell(struct vs_log *l, const struct vs_log_options *o, const char *what)
{
	char trouble[512] = "", chair[64] = "";
	const char *session = o->session;
	struct vs_ask a = { .control = o->control, .config = o->config, .patience_ms = PATIENCE_MS, .trouble = trouble,
			    .trouble_cap = sizeof trouble };
	if (session && vs_log_session(l, session, chair) <= 0)
		session = NULL;
	json_t *answer = vs_ask_daemon(&a, json_pack("{s:s,s:s,s:s,s:s,s:s*,s:s*}", "op", "access", "what", what, "log", vs_log_file(l),
						     "operator", o->reader ? o->reader : vs_ask_login(), "session", session, "chair",
						     session ? chair : NULL));
	bool done = json_is_true(json_object_get(answer, "ok"));
	if (!done && answer)
		snprintf(trouble, sizeof trouble, "%s", vs_json_text(answer, "error"));
	json_decref(answer);
	if (done)
		return VS_EXIT_DONE;
	return vs_ctl_fail("this log asks that whoever reads it be recorded, and that failed: %s. Start vitalsd or name its socket with "
			   "--control; --untraced reads without a trace, and is yours to answer for", trouble);
}

int vs_log_trace(struct vs_log *l, const struct vs_log_options *o, const char *command, int argc, char **argv)
{
	char what[256];
	size_t n = (size_t)snprintf(what, sizeof what, "%s", command);
	if (!wants_trace(l))
		return VS_EXIT_DONE;
	for (int i = 0; i < argc && n < sizeof what; i++)
		n += (size_t)snprintf(what + n, sizeof what - n, " %s", argv[i]);
	if (n >= sizeof what) /* not in the middle of a character */
		for (n = sizeof what - 1; n && (what[n - 1] & 0xc0) == 0x80; what[--n] = '\0')
			;
	if (!o->untraced)
		return tell(l, o, what);
	fputs("vitalsctl: note: this log asks that whoever reads it be recorded; --untraced: this time nobody is\n", stderr);
	return VS_EXIT_DONE;
}
