/* vitalsctl audit show: one session on a page. */
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/audit.h"
#include "clients/ctl/audit_ledger.h"
#include "clients/ctl/report.h"
#include "core/json.h"

#define BODY "'{' || e.body || '}'"
#define CLOCK(ms) "strftime('%H:%M:%S', " ms " / 1000.0, 'unixepoch')"

static const char session_sql[] = "SELECT * FROM audit_session WHERE session = :session";
static const char events_sql[] =
	"SELECT body AS 'body!' FROM audit_event WHERE session = :session AND kind IN ('session', 'entry', 'device', 'request')"
	" ORDER BY recorded_ms, epoch, kind, seq";
static const char alarms_sql[] = "SELECT * FROM audit_alarm WHERE session = :session ORDER BY onset_ms, alarm";
/* What was measured, worked out with the ledger, as rows again. */
static const char measured_sql[] =
	"SELECT json_extract(value, '$.metric') AS metric, json_extract(value, '$.unit') AS unit,"
	" json_extract(value, '$.readings') AS readings, json_extract(value, '$.values') AS \"values\","
	" json_extract(value, '$.lowest') AS lowest, json_extract(value, '$.mean') AS mean,"
	" json_extract(value, '$.highest') AS highest FROM json_each(:measured)";
#define DETAIL                                                                                                                    \
	"trim(CASE e.kind WHEN 'session' THEN json_extract(" BODY ", '$.phase') || coalesce(': ' || json_extract(" BODY           \
	", '$.reason'), '')"                                                                                                      \
	" WHEN 'entry' THEN json_extract(" BODY ", '$.entry') || coalesce(' ' || json_extract(" BODY ", '$.item'), '') ||"        \
	" coalesce(' ' || json_extract(" BODY ", '$.value'), '') || coalesce(' ' || json_extract(" BODY ", '$.unit'), '') ||"     \
	" coalesce(': ' || json_extract(" BODY ", '$.note'), '')"                                                                 \
	" WHEN 'alarm' THEN json_extract(" BODY ", '$.alarm') || ' ' || json_extract(" BODY ", '$.change') || ': ' ||"            \
	" coalesce(json_extract(" BODY ", '$.text'), json_extract(" BODY ", '$.rule'))"                                           \
	" WHEN 'device' THEN json_extract(" BODY ", '$.device') || ' ' || json_extract(" BODY ", '$.status')"                     \
	" WHEN 'request' THEN json_extract(" BODY ", '$.request') || coalesce(': ' || json_extract(" BODY ", '$.reason'), '')"    \
	" ELSE '' END)"
#define COURSE " FROM event e WHERE e.session = :session AND e.kind <> 'seal' ORDER BY e.event"
static const char course_sql[] =
	"SELECT " CLOCK("e.at_ms") " AS TIME, CASE e.kind WHEN 'session' THEN 'phase' ELSE e.kind END AS WHAT, " DETAIL
	" AS DETAIL, e.operator AS BY" COURSE;
static const char course_csv_sql[] =
	"SELECT strftime('%Y-%m-%dT%H:%M:%fZ', e.at_ms / 1000.0, 'unixepoch') AS recorded_at, e.kind, " DETAIL
	" AS detail, e.operator" COURSE;
static const char summary_sql[] =
	"SELECT session AS SESSION, chair AS CHAIR, patient AS PATIENT, protocol AS PROTOCOL, weight_kg AS KG,"
	" operator AS OPERATOR, phase AS PHASE, outcome AS OUTCOME FROM audit_session WHERE session = :session";
static const char times_sql[] =
	"SELECT replace(substr(started_at, 1, 19), 'T', ' ') AS STARTED, " CLOCK("infusion_started_ms") " AS 'INFUSION FROM', "
	CLOCK("infusion_ended_ms") " AS 'TO', replace(substr(ended_at, 1, 19), 'T', ' ') AS ENDED FROM audit_session"
	" WHERE session = :session";

static json_t *rows(struct vs_log *l, const char *sql, const struct vs_log_options *o, bool bodies)
{
	json_t *all = json_array();
	sqlite3_stmt *st = vs_log_query(l, sql, o);
	int rc = SQLITE_ERROR;
	while (st && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		json_t *row = vs_log_row(st);
		json_array_append(all, bodies ? json_object_get(row, "body") : row);
		json_decref(row);
	}
	if (st && rc != SQLITE_DONE) {
		vs_log_failed(l);
		json_decref(all);
		all = NULL;
	}
	sqlite3_finalize(st);
	return all;
}

static int show_json(struct vs_log *l, const struct vs_log_options *o, json_t *ledger, json_t *measured)
{
	json_t *sessions = rows(l, session_sql, o, false), *events = rows(l, events_sql, o, true);
	json_t *alarms = rows(l, alarms_sql, o, false);
	int r = VS_EXIT_FAILED;
	if (sessions && events && alarms) {
		json_t *whole = json_object();
		json_object_update(whole, json_array_get(sessions, 0));
		json_object_set(whole, "events", events);
		json_object_set(whole, "alarms", alarms);
		json_object_set(whole, "observations", measured);
		json_object_set(whole, "ledger", ledger);
		json_dumpf(whole, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12) | JSON_PRESERVE_ORDER);
		putchar('\n');
		json_decref(whole);
		r = VS_EXIT_DONE;
	}
	json_decref(sessions);
	json_decref(events);
	json_decref(alarms);
	return r;
}

static int print_table(struct vs_log *l, const char *title, sqlite3_stmt *st, const char *none)
{
	if (!st)
		return VS_EXIT_FAILED;
	if (title)
		printf("\n%s\n", title);
	int r = vs_log_table(st, none);
	if (r != VS_EXIT_DONE)
		r = vs_log_failed(l);
	sqlite3_finalize(st);
	return r;
}

static int table(struct vs_log *l, const char *title, const char *sql, const struct vs_log_options *o, const char *none)
{
	return print_table(l, title, vs_log_query(l, sql, o), none);
}

static int show_measured(struct vs_log *l, const struct vs_log_options *o, const json_t *measured)
{
	char *text = json_dumps(measured, JSON_REAL_PRECISION(17));
	sqlite3_stmt *st = text ? vs_log_query(l, measured_sql, o) : NULL;
	if (st)
		sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC);
	int r = print_table(l, "Measured", st, "Nothing was measured.");
	free(text);
	return r;
}

static void show_ledger(json_t *ledger)
{
	const char *metric;
	json_t *row;
	puts("\nWhere the seconds went");
	printf("%-16s", "METRIC");
	for (size_t i = 0; i < VS_LEDGER_COLUMNS; i++)
		printf("%12s", vs_ledger_columns[i]);
	printf("%12s\n", "sum");
	json_object_foreach(ledger, metric, row) {
		double sum = 0;
		printf("%-16s", metric);
		for (size_t i = 0; i < VS_LEDGER_COLUMNS; i++) {
			double s = json_number_value(json_object_get(row, vs_ledger_columns[i]));
			printf("%12.1f", s);
			sum += s;
		}
		printf("%12.1f\n", sum);
	}
	if (json_object_size(ledger) == 0)
		puts("No reading was taken.");
}

/* The course: the rest of a session is one figure each, or `audit export`. */
static int show_csv(struct vs_log *l, const struct vs_log_options *o)
{
	char chair[64];
	int known = vs_log_session(l, o->session, chair);
	if (known == 0)
		return vs_ctl_fail("there is no session '%s' in this log; 'vitalsctl audit sessions' lists them", o->session);
	return known < 0 ? VS_EXIT_FAILED : vs_audit_print(l, vs_log_query(l, course_csv_sql, o), o, NULL);
}

int vs_audit_show(int argc, char **argv)
{
	struct vs_log_options o;
	struct vs_log *l = NULL;
	int r = vs_log_options(&o, argc, argv, "html limits limit-file csv");
	if (r == VS_EXIT_DONE && o.n_words != 1)
		return vs_ctl_usage("audit show: name one session; 'vitalsctl audit sessions' lists them");
	if (r == VS_EXIT_DONE && o.html && (o.csv || o.json))
		return vs_ctl_usage("audit show: --html or --%s, not both", o.csv ? "csv" : "json");
	if (r == VS_EXIT_DONE)
		r = vs_log_open_given(&o, &l);
	if (r != VS_EXIT_DONE)
		return r;
	o.session = o.words[0];
	vs_log_narrow(l, &o.session, 1);
	r = vs_log_trace(l, &o, "audit", argc, argv);
	if (r != VS_EXIT_DONE) {
		vs_log_close(l);
		return r;
	}
	if (o.html || o.csv) {
		r = o.html ? vs_report_write(l, &o, true, o.html, false) : show_csv(l, &o);
		vs_log_close(l);
		return r;
	}
	struct vs_audit_measured measures;
	json_t *ledger = vs_audit_ledger(l, &o, o.session, &measures), *measured = vs_audit_measured_json(&measures);
	free(measures.of);
	if (!ledger) {
		r = VS_EXIT_FAILED;
	} else if (o.json) {
		r = show_json(l, &o, ledger, measured);
	} else {
		r = table(l, NULL, summary_sql, &o, NULL);
		if (r == VS_EXIT_DONE)
			r = table(l, "Times (UTC)", times_sql, &o, NULL);
		if (r == VS_EXIT_DONE)
			r = table(l, "Course", course_sql, &o, "Nothing was recorded.");
		if (r == VS_EXIT_DONE)
			r = show_measured(l, &o, measured);
		if (r == VS_EXIT_DONE)
			show_ledger(ledger);
	}
	json_decref(ledger);
	json_decref(measured);
	vs_log_close(l);
	return r;
}
