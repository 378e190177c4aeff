/* vitalsctl audit show: one session on a page. */
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
static const char observations_sql[] =
	"SELECT metric, unit, count(*) AS readings, count(value) AS \"values\", min(value) AS lowest,"
	" CASE WHEN count(value) THEN round(avg(value), 1) END AS mean, max(value) AS highest FROM audit_observation"
	" WHERE session = :session AND (value IS NULL OR typeof(value) <> 'text') GROUP BY metric ORDER BY metric";
static const char course_sql[] =
	"SELECT " CLOCK("e.at_ms") " AS TIME, CASE e.kind WHEN 'session' THEN 'phase' ELSE e.kind END AS WHAT,"
	" trim(CASE e.kind WHEN 'session' THEN json_extract(" BODY ", '$.phase') || coalesce(': ' || json_extract(" BODY
	", '$.reason'), '')"
	" WHEN 'entry' THEN json_extract(" BODY ", '$.entry') || coalesce(' ' || json_extract(" BODY ", '$.item'), '') ||"
	" coalesce(' ' || json_extract(" BODY ", '$.value'), '') || coalesce(' ' || json_extract(" BODY ", '$.unit'), '') ||"
	" coalesce(': ' || json_extract(" BODY ", '$.note'), '')"
	" WHEN 'alarm' THEN json_extract(" BODY ", '$.alarm') || ' ' || json_extract(" BODY ", '$.change') || ': ' ||"
	" coalesce(json_extract(" BODY ", '$.text'), json_extract(" BODY ", '$.rule'))"
	" WHEN 'device' THEN json_extract(" BODY ", '$.device') || ' ' || json_extract(" BODY ", '$.status')"
	" WHEN 'request' THEN json_extract(" BODY ", '$.request') || coalesce(': ' || json_extract(" BODY ", '$.reason'), '')"
	" ELSE '' END) AS DETAIL, e.operator AS BY FROM event e WHERE e.session = :session AND e.kind <> 'seal' ORDER BY e.event";
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

static int show_json(struct vs_log *l, const struct vs_log_options *o, json_t *ledger)
{
	json_t *sessions = rows(l, session_sql, o, false), *events = rows(l, events_sql, o, true);
	json_t *alarms = rows(l, alarms_sql, o, false), *observations = rows(l, observations_sql, o, false);
	int r = VS_EXIT_FAILED;
	if (sessions && events && alarms && observations) {
		json_t *whole = json_object();
		json_object_update(whole, json_array_get(sessions, 0));
		json_object_set(whole, "events", events);
		json_object_set(whole, "alarms", alarms);
		json_object_set(whole, "observations", observations);
		json_object_set(whole, "ledger", ledger);
		json_dumpf(whole, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12) | JSON_PRESERVE_ORDER);
		putchar('\n');
		json_decref(whole);
		r = VS_EXIT_DONE;
	}
	json_decref(sessions);
	json_decref(events);
	json_decref(alarms);
	json_decref(observations);
	return r;
}

static int table(struct vs_log *l, const char *title, const char *sql, const struct vs_log_options *o, const char *none)
{
	sqlite3_stmt *st = vs_log_query(l, sql, o);
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

int vs_audit_show(int argc, char **argv)
{
	struct vs_log_options o;
	struct vs_log *l = NULL;
	int r = vs_log_options(&o, argc, argv, "html limits limit-file");
	if (r == VS_EXIT_DONE && o.n_words != 1)
		return vs_ctl_usage("audit show: name one session; 'vitalsctl audit sessions' lists them");
	if (r == VS_EXIT_DONE)
		r = vs_log_open_given(&o, &l);
	if (r != VS_EXIT_DONE)
		return r;
	o.session = o.words[0];
	vs_log_narrow(l, o.session);
	r = vs_log_trace(l, &o, "audit", argc, argv);
	if (r != VS_EXIT_DONE) {
		vs_log_close(l);
		return r;
	}
	if (o.html) {
		r = vs_report_write(l, &o, true, o.html, false);
		vs_log_close(l);
		return r;
	}
	json_t *ledger = vs_audit_ledger(l, &o, o.session);
	if (!ledger) {
		vs_log_close(l);
		return VS_EXIT_FAILED;
	}
	if (o.json) {
		r = show_json(l, &o, ledger);
	} else {
		r = table(l, NULL, summary_sql, &o, NULL);
		if (r == VS_EXIT_DONE)
			r = table(l, "Times (UTC)", times_sql, &o, NULL);
		if (r == VS_EXIT_DONE)
			r = table(l, "Course", course_sql, &o, "Nothing was recorded.");
		if (r == VS_EXIT_DONE)
			r = table(l, "Measured", observations_sql, &o, "Nothing was measured.");
		if (r == VS_EXIT_DONE)
			show_ledger(ledger);
	}
	json_decref(ledger);
	vs_log_close(l);
	return r;
}
