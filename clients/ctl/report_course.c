/* vitalsctl session course: the sessions of one patient, one after the other. */
#include <math.h>
#include <string.h>

#include "clients/ctl/ctl.h"
#include "clients/ctl/log.h"
#include "clients/ctl/report.h"

#define DAY_MS 86400000.0
#define WEIGHT_CHANGE 0.10 /* as the gate S2 of alarms/presets.yaml: said here, decided there */

/* Peaks are of accepted readings during and after the infusion; the baseline is the one that was frozen. */
static const char query[] =
	"SELECT s.session, s.chair, s.protocol, s.weight_kg, s.outcome, s.started_ms, s.started_at,"
	" (SELECT max(o.value) FROM audit_observation o WHERE o.session = s.session AND o.metric = 'nibp_sys'"
	"   AND o.observed_ms >= s.infusion_started_ms AND o.flags NOT LIKE '%suspect%') AS highest_sys,"
	" (SELECT min(o.value) FROM audit_observation o WHERE o.session = s.session AND o.metric = 'spo2'"
	"   AND o.observed_ms >= s.infusion_started_ms) AS lowest_spo2,"
	" (SELECT json_extract(e.body, '$.baseline.nibp_sys') FROM audit_event e WHERE e.session = s.session AND e.kind = 'session'"
	"   AND json_extract(e.body, '$.baseline.nibp_sys') IS NOT NULL ORDER BY e.recorded_ms LIMIT 1) AS baseline_sys,"
	" (SELECT count(*) FROM audit_alarm a WHERE a.session = s.session AND a.priority = 'high') AS high_alarms "
	"FROM audit_session s WHERE s.patient = :patient ORDER BY s.started_ms";

/* What only the sequence tells: the index, days since the one before, the change of weight. */
static void add_sequence(json_t *list)
{
	size_t i;
	json_t *s, *before = NULL;
	json_array_foreach(list, i, s) {
		double kg = json_number_value(json_object_get(s, "weight_kg"));
		double last_kg = json_number_value(json_object_get(before, "weight_kg"));
		json_object_set_new(s, "index", json_integer((json_int_t)i + 1));
		if (before)
			json_object_set_new(s, "days_since", json_real((json_number_value(json_object_get(s, "started_ms")) -
				json_number_value(json_object_get(before, "started_ms"))) / DAY_MS));
		if (kg > 0 && last_kg > 0 && fabs(kg - last_kg) > last_kg * WEIGHT_CHANGE)
			json_object_set_new(s, "weight_warning", json_true());
		before = s;
	}
}

static void print_number(const json_t *s, const char *key, const char *format, int width)
{
	const json_t *v = json_object_get(s, key);
	char text[32] = "--";
	if (json_is_number(v))
		snprintf(text, sizeof text, format, json_number_value(v));
	printf(" %*s", width, text);
}

static void print_course(const char *patient, const json_t *list)
{
	size_t i;
	json_t *s;
	printf("Patient %s: %zu session%s\n", patient, json_array_size(list), json_array_size(list) == 1 ? "" : "s");
	puts("  no  begun                  days  session             protocol     kg  base  peak  SpO2  high  outcome");
	json_array_foreach(list, i, s) {
		char date[40];
		vs_report_date((int64_t)json_number_value(json_object_get(s, "started_ms")), date);
		printf("  %2zu  %-21s", i + 1, date);
		print_number(s, "days_since", "%.1f", 5);
		printf("  %-19s %-8s", vs_report_text_of(s, "session"), vs_report_text_of(s, "protocol"));
		print_number(s, "weight_kg", "%.4g", 5);
		print_number(s, "baseline_sys", "%.0f", 5);
		print_number(s, "highest_sys", "%.0f", 5);
		print_number(s, "lowest_spo2", "%.0f", 5);
		print_number(s, "high_alarms", "%.0f", 5);
		printf("  %s%s\n", *vs_report_text_of(s, "outcome") ? vs_report_text_of(s, "outcome") : "open",
		       json_object_get(s, "weight_warning") ? "   weight changed by more than 10 %: weigh again" : "");
	}
}

static int read_course(struct vs_log *log, const struct vs_log_options *o)
{
	sqlite3_stmt *st = vs_log_query(log, query, o);
	json_t *list = json_array();
	int step = SQLITE_ERROR;
	while (st && list && (step = sqlite3_step(st)) == SQLITE_ROW)
		json_array_append_new(list, vs_log_row(st));
	sqlite3_finalize(st);
	if (step != SQLITE_DONE) {
		json_decref(list);
		return st ? vs_log_failed(log) : VS_EXIT_FAILED;
	}
	add_sequence(list);
	if (o->json)
		json_dumpf(list, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(8)), putchar('\n');
	else
		print_course(o->patient, list);
	int r = json_array_size(list) ? VS_EXIT_DONE : vs_ctl_fail("the log has no session of patient '%s'", o->patient);
	json_decref(list);
	return r;
}

int vs_ctl_session_course(int argc, char **argv)
{
	struct vs_log_options o;
	struct vs_log *log = NULL;
	int status = vs_log_options(&o, argc, argv, "patient");
	if (status != VS_EXIT_DONE)
		return status;
	if (o.n_words == 1 && !o.patient)
		o.patient = o.words[0];
	if (!o.patient || o.n_words > 1)
		return vs_ctl_usage("session course: whose? give the patient's code");
	status = vs_log_open_given(&o, &log);
	if (status != VS_EXIT_DONE)
		return status;
	status = vs_log_trace(log, &o, "session", argc, argv);
	if (status == VS_EXIT_DONE)
		status = read_course(log, &o);
	vs_log_close(log);
	return status;
}
