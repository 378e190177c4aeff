/* vitalsctl audit: what the log tells, without a daemon and with nothing but the right to read. */
#include <string.h>

#include "clients/ctl/audit.h"

static const char help[] =
	"usage: vitalsctl audit COMMAND [--log FILE | --config FILE] [--json]\n\n"
	"  sessions   [filters]            all sessions\n"
	"  show       SESSION              one session: course, alarms, entries, and where the seconds of each metric went\n"
	"  alarms     [filters]            alarms, when they were raised, acknowledged and cleared\n"
	"  entries    [filters]            what people entered\n"
	"  operators  [filters]            who did how much of what, and when last\n"
	"  events     [filters]            every message but readings, as published\n"
	"  export     SESSION --format json|csv|fhir|hl7 [--out PATH]\n"
	"  verify     [--witness FILE] [--key FILE]   whether anything was changed, removed, added or reordered\n\n"
	"  filters: --chair C --patient CODE --session S --protocol NAME --operator NAME --rule ID --since T --until T\n"
	"           T: 2026-11-21, 2026-11-21T14:30:00Z, or an age such as 12h, 7d; --csv instead of a table\n\n"
	"Without --log and --config the log is /var/lib/vitalsd/vitals.db.\n";

/* Lists: what a person sees, and what --json and --csv give. */
struct list {
	const char *name, *options, *none, *person, *whole;
};

#define WHEN(column) "replace(substr(" column ", 1, 19), 'T', ' ')"
#define SESSIONS                                                                                                       \
	" FROM audit_session WHERE (:chair IS NULL OR chair = :chair) AND (:patient IS NULL OR patient = :patient)"     \
	" AND (:session IS NULL OR session = :session) AND (:protocol IS NULL OR protocol = :protocol)"                \
	" AND (:operator IS NULL OR operator = :operator OR EXISTS (SELECT 1 FROM event e WHERE"                       \
	" e.session = audit_session.session AND e.operator = :operator))"                                             \
	" AND started_ms BETWEEN :since AND :until ORDER BY started_ms, session"
#define ALARMS                                                                                                         \
	" FROM audit_alarm a WHERE (:chair IS NULL OR chair = :chair) AND (:session IS NULL OR session = :session)"    \
	" AND (:rule IS NULL OR rule = :rule) AND (:operator IS NULL OR acknowledged_by = :operator)"                 \
	" AND (:patient IS NULL OR session IN (SELECT session FROM audit_session WHERE patient = :patient))"          \
	" AND onset_ms BETWEEN :since AND :until ORDER BY onset_ms, alarm"
#define EVENTS(which)                                                                                                  \
	" FROM event e JOIN origin o USING(origin) WHERE " which " AND (:chair IS NULL OR o.chair = :chair)"           \
	" AND (:session IS NULL OR e.session = :session) AND (:operator IS NULL OR e.operator = :operator)"           \
	" AND (:patient IS NULL OR e.session IN (SELECT session FROM audit_session WHERE patient = :patient))"        \
	" AND e.at_ms BETWEEN :since AND :until"
#define AT "strftime('%Y-%m-%dT%H:%M:%fZ', e.at_ms / 1000.0, 'unixepoch')"
#define BODY "'{' || e.body || '}'"

static const struct list lists[] = {
	{ "sessions", "chair patient session protocol operator since until csv", "No session was found.",
	  "SELECT session AS SESSION, chair AS CHAIR, patient AS PATIENT, protocol AS PROTOCOL, operator AS OPERATOR,"
	  " phase AS PHASE, " WHEN("started_at") " AS STARTED, " WHEN("ended_at") " AS ENDED, outcome AS OUTCOME" SESSIONS,
	  "SELECT *" SESSIONS },
	{ "alarms", "chair patient session rule operator since until csv", "No alarm was found.",
	  "SELECT alarm AS ALARM, " WHEN("onset_at") " AS RAISED, chair AS CHAIR, session AS SESSION, priority AS PRIORITY,"
	  " rule AS RULE, value AS VALUE, limit_value AS 'LIMIT', CASE WHEN acknowledged_ms IS NULL THEN '' ELSE"
	  " round((acknowledged_ms - onset_ms) / 1000.0, 1) || ' s' END AS 'ACKNOWLEDGED AFTER', acknowledged_by AS BY,"
	  " CASE WHEN cleared_ms IS NULL THEN 'not cleared' ELSE round((cleared_ms - onset_ms) / 1000.0, 1) || ' s' END"
	  " AS 'CLEARED AFTER', text AS TEXT" ALARMS,
	  "SELECT *" ALARMS },
	{ "entries", "chair patient session operator since until csv", "No entry was found.",
	  "SELECT " WHEN(AT) " AS TIME, o.chair AS CHAIR, e.session AS SESSION, e.operator AS OPERATOR,"
	  " json_extract(" BODY ", '$.entry') AS ENTRY, json_extract(" BODY ", '$.item') AS ITEM,"
	  " json_extract(" BODY ", '$.value') AS VALUE, json_extract(" BODY ", '$.unit') AS UNIT,"
	  " json_extract(" BODY ", '$.note') AS NOTE" EVENTS("e.kind = 'entry'") " ORDER BY e.event",
	  "SELECT o.epoch, e.seq, " AT " AS recorded_at, o.chair, e.session, e.operator, json_extract(" BODY ", '$.entry') AS entry,"
	  " json_extract(" BODY ", '$.value') AS value, json_extract(" BODY ", '$.unit') AS unit, json_extract(" BODY
	  ", '$.note') AS note, " BODY " AS 'body!'" EVENTS("e.kind = 'entry'") " ORDER BY e.event" },
	{ "operators", "chair patient session operator since until csv", "Nobody did anything.",
	  "SELECT e.operator AS OPERATOR, sum(e.kind = 'session') AS SESSIONS, sum(e.kind = 'entry') AS ENTRIES,"
	  " sum(e.kind = 'alarm') AS ALARMS, " WHEN("strftime('%Y-%m-%dT%H:%M:%fZ', max(e.at_ms) / 1000.0, 'unixepoch')")
	  " AS 'LAST SEEN'" EVENTS("e.operator IS NOT NULL") " GROUP BY e.operator ORDER BY e.operator",
	  "SELECT e.operator, sum(e.kind = 'session') AS sessions, sum(e.kind = 'entry') AS entries, sum(e.kind = 'alarm') AS"
	  " alarms, strftime('%Y-%m-%dT%H:%M:%fZ', max(e.at_ms) / 1000.0, 'unixepoch') AS last_at" EVENTS(
		  "e.operator IS NOT NULL") " GROUP BY e.operator ORDER BY e.operator" },
	{ "events", "chair patient session operator since until csv", "No event was found.",
	  "SELECT " WHEN(AT) " AS TIME, o.chair AS CHAIR, e.kind AS KIND, e.session AS SESSION, e.operator AS OPERATOR, " BODY
	  " AS BODY" EVENTS("true") " ORDER BY e.event",
	  "SELECT o.epoch, o.chair, e.kind, e.seq, e.session, e.operator, " AT " AS recorded_at, e.at_ms AS recorded_ms, " BODY
	  " AS 'body!'" EVENTS("true") " ORDER BY e.event" },
};

static int print_list(const struct list *what, int argc, char **argv)
{
	struct vs_log_options o;
	struct vs_log *l = NULL;
	int r = vs_log_options(&o, argc, argv, what->options);
	if (r == VS_EXIT_DONE && o.n_words)
		return vs_ctl_usage("audit %s: '%s' is one word too many", argv[0], o.words[0]);
	if (r == VS_EXIT_DONE)
		r = vs_log_open_given(&o, &l);
	if (r != VS_EXIT_DONE)
		return r;
	sqlite3_stmt *st = vs_log_query(l, o.json || o.csv ? what->whole : what->person, &o);
	r = !st ? VS_EXIT_FAILED : o.json ? vs_log_json(st) : o.csv ? vs_log_csv(st, stdout) : vs_log_table(st, what->none);
	if (st && r != VS_EXIT_DONE)
		r = vs_log_failed(l);
	sqlite3_finalize(st);
	vs_log_close(l);
	return r;
}

int vs_ctl_audit(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} commands[] = { { "show", vs_audit_show }, { "verify", vs_audit_verify }, { "export", vs_audit_export } };
	if (argc < 2)
		return vs_ctl_usage("audit: say what: sessions, show, alarms, entries, operators, events, export, verify");
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0) {
			fputs(help, stdout);
			return VS_EXIT_DONE;
		}
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		if (strcmp(argv[1], lists[i].name) == 0)
			return print_list(&lists[i], argc - 1, argv + 1);
	return vs_ctl_usage("audit: there is no '%s'; there are sessions, show, alarms, entries, operators, events, export, verify",
			    argv[1]);
}
