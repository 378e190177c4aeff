/* vitalsctl audit sessions, alarms, entries, operators, events: lists with filters. */
#include <string.h>

#include "clients/ctl/audit.h"

/* What a person sees, and what --json and --csv give. */
struct list {
	const char *name;
	enum vs_log_list of;
	const char *none, *person, *whole;
};

#define WHEN(column) "replace(substr(" column ", 1, 19), 'T', ' ')"
#define TIME_OF(ms) "strftime('%Y-%m-%dT%H:%M:%fZ', (" ms ") / 1000.0, 'unixepoch')"
#define BODY "'{' || e.body || '}'"
#define OF(key) "json_extract(" BODY ", '$." key "')"
/* Every filter holds for every list: a session is one in which the rule alarmed or the person did something, a message is one
 * of a session of that patient. */
#define SESSION_FILTERS                                                                                                         \
	" (:patient IS NULL OR session IN (SELECT session FROM audit_session WHERE patient = :patient))"                        \
	" AND (:protocol IS NULL OR session IN (SELECT session FROM audit_session WHERE protocol = :protocol))"
#define SESSIONS                                                                                                                \
	" FROM audit_session s WHERE (:chair IS NULL OR chair = :chair) AND (:patient IS NULL OR patient = :patient)"           \
	" AND (:session IS NULL OR session = :session) AND (:protocol IS NULL OR protocol = :protocol)"                         \
	" AND (:operator IS NULL OR operator = :operator OR EXISTS (SELECT 1 FROM event e WHERE e.session = s.session"          \
	" AND e.operator = :operator)) AND (:rule IS NULL OR EXISTS (SELECT 1 FROM event e WHERE e.session = s.session AND"     \
	" e.kind = 'alarm' AND " OF("rule") " = :rule)) AND started_ms BETWEEN :since AND :until ORDER BY started_ms, session"
#define ALARMS                                                                                                                  \
	" FROM audit_alarm a WHERE (:chair IS NULL OR chair = :chair) AND (:session IS NULL OR session = :session)"             \
	" AND (:rule IS NULL OR rule = :rule) AND (:operator IS NULL OR alarm IN (SELECT e.alarm FROM event e WHERE e.alarm ="  \
	" a.alarm AND e.operator = :operator)) AND" SESSION_FILTERS                                                             \
	" AND onset_ms BETWEEN :since AND :until ORDER BY onset_ms, alarm"
#define EVENTS(which)                                                                                                           \
	" FROM event e JOIN origin o USING(origin) WHERE " which " AND (:chair IS NULL OR o.chair = :chair)"                    \
	" AND (:session IS NULL OR e.session = :session) AND (:operator IS NULL OR e.operator = :operator) AND" SESSION_FILTERS \
	" AND (:rule IS NULL OR " OF("rule") " = :rule) AND e.at_ms BETWEEN :since AND :until"
#define DID(what) "sum(" what ")"
#define ENTERED "e.kind = 'entry' AND " OF("entry") " NOT IN ('access', 'read-trace')"
#define REFUSED "e.kind = 'entry' AND " OF("entry") " = 'refused'"
#define CHANGED "e.kind = 'entry' AND " OF("entry") " = 'limit-change'"
#define OVERRODE "e.kind = 'session' AND " OF("override") " IS NOT NULL"
#define LOOKED "e.kind = 'entry' AND " OF("entry") " = 'access'"

static const struct list lists[] = {
	{ "sessions", VS_LOG_SESSIONS, "No session was found.",
	  "SELECT session AS SESSION, chair AS CHAIR, patient AS PATIENT, protocol AS PROTOCOL, operator AS OPERATOR,"
	  " phase AS PHASE, " WHEN("started_at") " AS STARTED, " WHEN("ended_at") " AS ENDED, outcome AS OUTCOME" SESSIONS,
	  "SELECT *" SESSIONS },
	{ "alarms", VS_LOG_ALARMS, "No alarm was found.",
	  "SELECT alarm AS ALARM, " WHEN("onset_at") " AS RAISED, chair AS CHAIR, session AS SESSION, priority AS PRIORITY,"
	  " rule AS RULE, value AS VALUE, limit_value AS 'LIMIT', CASE WHEN acknowledged_ms IS NULL THEN '' ELSE"
	  " round((acknowledged_ms - onset_ms) / 1000.0, 1) || ' s' END AS 'ACKNOWLEDGED AFTER', acknowledged_by AS BY,"
	  " CASE WHEN cleared_ms IS NULL THEN 'not cleared' ELSE round((cleared_ms - onset_ms) / 1000.0, 1) || ' s' END"
	  " AS 'CLEARED AFTER', text AS TEXT" ALARMS,
	  "SELECT *" ALARMS },
	{ "entries", VS_LOG_EVENTS, "No entry was found.",
	  "SELECT " WHEN(TIME_OF("e.at_ms")) " AS TIME, o.chair AS CHAIR, e.session AS SESSION, e.operator AS OPERATOR, " OF("entry")
	  " AS ENTRY, coalesce(" OF("item") ", " OF("rule") ") AS ITEM, iif(" OF("value") " IS " OF("item") ", NULL, " OF("value")
	  ") AS VALUE, " OF("unit") " AS UNIT, coalesce(" OF("severity") ", " OF("route") ", " OF("detail") ") AS DETAIL, " OF("note")
	  " AS NOTE, " OF("corrects") " AS CORRECTS" EVENTS("e.kind = 'entry'") " ORDER BY e.at_ms, e.event",
	  "SELECT o.epoch, e.seq, " TIME_OF("e.at_ms") " AS recorded_at, o.chair, e.session, e.operator, " OF("entry") " AS entry, "
	  OF("value") " AS value, " OF("unit") " AS unit, " OF("note") " AS note, " BODY " AS 'body!'" EVENTS("e.kind = 'entry'")
	  " ORDER BY e.at_ms, e.event" },
	{ "operators", VS_LOG_EVENTS, "Nobody did anything.",
	  "SELECT e.operator AS OPERATOR, count(DISTINCT e.session) AS SESSIONS, " DID("e.kind = 'session'") " AS PHASES, "
	  DID(ENTERED) " AS ENTRIES, " DID("e.kind = 'alarm'") " AS ALARMS, " DID(OVERRODE) " AS OVERRIDES, " DID(CHANGED)
	  " AS 'LIMIT CHANGES', " DID(REFUSED) " AS REFUSED, " DID(LOOKED) " AS READS, " WHEN(TIME_OF("min(e.at_ms)"))
	  " AS 'FIRST SEEN', " WHEN(TIME_OF("max(e.at_ms)")) " AS 'LAST SEEN'" EVENTS("e.operator IS NOT NULL")
	  " GROUP BY e.operator ORDER BY e.operator",
	  "SELECT e.operator, count(DISTINCT e.session) AS sessions, " DID("e.kind = 'session'") " AS phases, " DID(ENTERED)
	  " AS entries, " DID("e.kind = 'alarm'") " AS alarms, " DID(OVERRODE) " AS overrides, " DID(CHANGED) " AS limit_changes, "
	  DID(REFUSED) " AS refused, " DID(LOOKED) " AS reads, " TIME_OF("min(e.at_ms)") " AS first_at, " TIME_OF("max(e.at_ms)")
	  " AS last_at" EVENTS("e.operator IS NOT NULL") " GROUP BY e.operator ORDER BY e.operator" },
	{ "events", VS_LOG_EVENTS, "No event was found.",
	  "SELECT " WHEN(TIME_OF("e.at_ms")) " AS TIME, o.chair AS CHAIR, e.kind AS KIND, e.session AS SESSION, e.operator AS OPERATOR, "
	  BODY " AS BODY" EVENTS("true") " ORDER BY e.at_ms, e.event",
	  "SELECT o.epoch, o.chair, e.kind, e.seq, e.session, e.operator, " TIME_OF("e.at_ms") " AS recorded_at, e.at_ms AS recorded_ms, "
	  BODY " AS 'body!'" EVENTS("true") " ORDER BY e.at_ms, e.event" },
};

/* ---- Filters that can find nothing because they name what does not exist ---- */

static const struct {
	const char *option, *known; /* SQL: every name there is */
} named[] = {
	{ "chair", "SELECT DISTINCT chair FROM origin ORDER BY 1" },
	{ "session", "SELECT session FROM session" },
	{ "protocol", "SELECT DISTINCT protocol FROM audit_session WHERE protocol IS NOT NULL ORDER BY 1" },
};

/* The logs that are asked together. */
struct asked {
	struct vs_log *const *logs;
	size_t n;
};

/* 1: `name` is among the statement's rows; 0: not, and `list` has the first of them; VS_EXIT_FAILED as -1. */
static int among_read(struct vs_log *l, const char *sql, const char *name, char *list, size_t cap)
{
	struct vs_log_options none = { 0 };
	sqlite3_stmt *st = vs_log_query(l, sql, &none);
	size_t n = strlen(list);
	int rc = SQLITE_ERROR;
	bool found = false;
	while (st && !found && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(st, 0);
		found = text && strcmp(text, name) == 0;
		if (text && n + strlen(text) + 8 < cap)
			n += (size_t)snprintf(list + n, cap - n, "%s%s", n ? ", " : "", text);
	}
	sqlite3_finalize(st);
	if (!found && rc != SQLITE_DONE)
		return vs_log_failed(l), -1;
	return found;
}

/* The same of all the logs; where not all files are read yet and it is not in these, all are. */
static int among(const struct asked *a, const char *sql, const char *name, char *list, size_t cap)
{
	int found = 0;
	list[0] = '\0';
	for (size_t i = 0; found == 0 && i < a->n; i++) {
		size_t n = strlen(list);
		found = among_read(a->logs[i], sql, name, list, cap);
		if (found == 0 && vs_log_widen(a->logs[i])) {
			list[n] = '\0';
			found = among_read(a->logs[i], sql, name, list, cap);
		}
	}
	return found;
}

static const char *which_log(const struct asked *a)
{
	return a->n == 1 ? "this log" : "either log";
}

static int check_name(const struct asked *a, size_t i, const char *name)
{
	char list[512];
	if (!name)
		return VS_EXIT_DONE;
	int found = among(a, named[i].known, name, list, sizeof list);
	if (found)
		return found > 0 ? VS_EXIT_DONE : VS_EXIT_FAILED;
	if (strcmp(named[i].option, "session") == 0)
		return vs_ctl_fail("there is no session '%s' in %s; 'vitalsctl audit sessions' lists them", name, which_log(a));
	return vs_ctl_fail("there is no %s '%s' in %s; known: %s", named[i].option, name, which_log(a), *list ? list : "none");
}

/* A rule may never have alarmed; but it is one that alarmed, or one of a set that is known here. */
static int check_rule(const struct asked *a, const char *rule)
{
	static const char alarmed[] = "SELECT DISTINCT json_extract('{' || e.body || '}', '$.rule') FROM alarm JOIN event e USING(event)";
	char list[512], shipped[1024];
	if (!rule || vs_audit_shipped_rule(rule, shipped, sizeof shipped))
		return VS_EXIT_DONE;
	int found = among(a, alarmed, rule, list, sizeof list);
	if (found)
		return found > 0 ? VS_EXIT_DONE : VS_EXIT_FAILED;
	return vs_ctl_fail("no rule '%s' ever alarmed in %s, and no limit set that ships has one; known: %s%s%s", rule, which_log(a),
			   list, *list ? "; and of the sets that ship " : "", shipped);
}

/* Nobody of that name may just have done nothing; he who typed the name wrong should know, too. */
static int note_stranger(const struct asked *a, const char *option, const char *sql, const char *name)
{
	char list[512];
	if (!name)
		return VS_EXIT_DONE;
	int found = among(a, sql, name, list, sizeof list);
	if (found < 0)
		return VS_EXIT_FAILED;
	if (!found)
		fprintf(stderr, "vitalsctl: note: the log knows no %s '%s'\n", option, name);
	return VS_EXIT_DONE;
}

int vs_audit_check_filters(struct vs_log *const *logs, size_t n, const struct vs_log_options *o)
{
	struct asked a = { logs, n };
	int r = check_name(&a, 0, o->chair);
	if (r == VS_EXIT_DONE)
		r = check_name(&a, 1, o->session);
	if (r == VS_EXIT_DONE)
		r = check_name(&a, 2, o->protocol);
	if (r == VS_EXIT_DONE)
		r = check_rule(&a, o->rule);
	if (r == VS_EXIT_DONE)
		r = note_stranger(&a, "patient", "SELECT DISTINCT patient FROM audit_session", o->patient);
	if (r == VS_EXIT_DONE)
		r = note_stranger(&a, "operator", "SELECT DISTINCT operator FROM event WHERE operator IS NOT NULL", o->operator_name);
	return r;
}

/* ---- The command ---- */

int vs_audit_print(struct vs_log *l, sqlite3_stmt *st, const struct vs_log_options *o, const char *none)
{
	int r = !st ? VS_EXIT_FAILED : o->json ? vs_log_json(st) : o->csv ? vs_log_csv(st, stdout) : vs_log_table(st, none);
	if (st && r != VS_EXIT_DONE)
		r = vs_log_failed(l);
	sqlite3_finalize(st);
	return r;
}

int vs_audit_list(int argc, char **argv)
{
	struct vs_log_options o;
	struct vs_log *l = NULL;
	const struct list *what = lists;
	while (strcmp(what->name, argv[0]) != 0)
		what++;
	int r = vs_log_options(&o, argc, argv, VS_AUDIT_FILTERS);
	if (r == VS_EXIT_DONE && o.n_words)
		return vs_ctl_usage("audit %s: '%s' is one word too many", argv[0], o.words[0]);
	if (r == VS_EXIT_DONE)
		r = vs_log_open_given(&o, &l);
	if (r == VS_EXIT_DONE)
		vs_log_narrow_list(l, what->of, &o);
	if (r == VS_EXIT_DONE)
		r = vs_audit_check_filters(&l, 1, &o);
	if (r == VS_EXIT_DONE)
		r = vs_log_trace(l, &o, "audit", argc, argv);
	if (r == VS_EXIT_DONE)
		r = vs_audit_print(l, vs_log_query(l, o.json || o.csv ? what->whole : what->person, &o), &o, what->none);
	vs_log_close(l);
	return r;
}
