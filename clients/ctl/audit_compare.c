/* vitalsctl audit compare: sessions side by side, those that are named, or those of a patient. */
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/audit.h"
#include "clients/ctl/audit_ledger.h"
#include "core/json.h"

#define BODY "'{' || e.body || '}'"
#define OF(key) "json_extract(" BODY ", '$." key "')"
#define VALUE(what, metric)                                                                                             \
	"(SELECT " what "(o.value) FROM audit_observation o WHERE o.session = s.session AND o.metric = '" metric "'"    \
	" AND o.flags NOT LIKE '%\"suspect\"%' AND o.flags NOT LIKE '%\"artifact\"%')"
#define COUNT(table, condition) "(SELECT count(*) FROM " table " WHERE " condition ")"
#define MINE "e.session = s.session AND e.kind"
#define BASELINE(metric)                                                                                                \
	"(SELECT " OF("baseline." metric) " FROM event e WHERE " MINE " = 'session' AND " OF("baseline." metric)        \
	" IS NOT NULL ORDER BY e.event LIMIT 1)"

/* One row of everything that is worth setting beside another session's. */
static const char facts_sql[] =
	"SELECT s.session, s.patient, s.chair, s.protocol, s.weight_kg, s.operator, s.started_at, s.outcome, s.phase,"
	" round((s.ended_ms - s.started_ms) / 60000.0, 1) AS minutes,"
	" round((s.infusion_ended_ms - s.infusion_started_ms) / 60000.0, 1) AS infusion_minutes,"
	" " BASELINE("nibp_sys") " AS baseline_nibp_sys, " BASELINE("hr") " AS baseline_hr, " BASELINE("spo2") " AS baseline_spo2,"
	" " VALUE("max", "nibp_sys") " AS highest_nibp_sys, " VALUE("min", "nibp_sys") " AS lowest_nibp_sys,"
	" coalesce(" VALUE("max", "hr") ", " VALUE("max", "pr") ") AS highest_hr,"
	" coalesce(" VALUE("min", "hr") ", " VALUE("min", "pr") ") AS lowest_hr, " VALUE("min", "spo2") " AS lowest_spo2,"
	" " COUNT("audit_alarm a", "a.session = s.session AND a.priority = 'high'") " AS alarms_high,"
	" " COUNT("audit_alarm a", "a.session = s.session AND a.priority = 'medium'") " AS alarms_medium,"
	" " COUNT("audit_alarm a", "a.session = s.session AND a.priority = 'low'") " AS alarms_low,"
	" " COUNT("audit_alarm a", "a.session = s.session AND a.acknowledged_ms IS NULL") " AS alarms_not_acknowledged,"
	" (SELECT round(max(a.acknowledged_ms - a.onset_ms) / 1000.0, 1) FROM audit_alarm a WHERE a.session = s.session)"
	" AS slowest_acknowledgement_s,"
	" " COUNT("event e", MINE " = 'entry'") " AS entries, " COUNT("event e", MINE " = 'session' AND " OF("override") " IS NOT NULL")
	" AS overrides, " COUNT("event e", MINE " = 'entry' AND " OF("entry") " = 'limit-change'") " AS limit_changes,"
	" " COUNT("event e", MINE " = 'entry' AND " OF("entry") " = 'refused'") " AS refused,"
	" (SELECT group_concat(operator) FROM (SELECT DISTINCT e.operator FROM event e WHERE e.session = s.session AND e.operator IS NOT NULL"
	" ORDER BY 1)) AS operators"
	" FROM audit_session s WHERE s.session = :session";
static const char found_sql[] =
	"SELECT session FROM audit_session s WHERE (:chair IS NULL OR chair = :chair) AND (:patient IS NULL OR patient = :patient)"
	" AND (:session IS NULL OR session = :session) AND (:protocol IS NULL OR protocol = :protocol)"
	" AND (:operator IS NULL OR EXISTS (SELECT 1 FROM event e WHERE e.session = s.session AND e.operator = :operator))"
	" AND (:rule IS NULL OR EXISTS (SELECT 1 FROM audit_alarm a WHERE a.session = s.session AND a.rule = :rule))"
	" AND started_ms BETWEEN :since AND :until ORDER BY started_ms, session";

/* How much of the time a metric was as good as it should be. */
static void add_valid(struct vs_log *l, const struct vs_log_options *o, const char *session, json_t *facts)
{
	static const char *const metrics[] = { "spo2", "hr", "pr", "nibp_sys" };
	json_t *ledger = vs_audit_ledger(l, o, session), *v;
	const char *name;
	for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
		json_t *row = json_object_get(ledger, metrics[i]);
		char key[48];
		double sum = 0;
		json_object_foreach(row, name, v)
			sum += json_number_value(v);
		snprintf(key, sizeof key, "valid_percent_%s", metrics[i]);
		if (sum > 0)
			v = json_real((double)(long)(json_number_value(json_object_get(row, "valid")) / sum * 1000 + 0.5) / 10);
		else
			v = json_null();
		json_object_set_new(facts, key, v);
	}
	json_decref(ledger);
}

static int add_session(struct vs_log *l, const struct vs_log_options *given, const char *session, json_t *all)
{
	struct vs_log_options o = { .session = session };
	sqlite3_stmt *st = vs_log_query(l, facts_sql, &o);
	int rc = st ? sqlite3_step(st) : SQLITE_ERROR;
	if (rc == SQLITE_ROW) {
		json_t *facts = vs_log_row(st);
		add_valid(l, given, session, facts);
		json_array_append_new(all, facts);
	}
	sqlite3_finalize(st);
	if (rc == SQLITE_DONE)
		return vs_ctl_fail("there is no session '%s' in this log; 'vitalsctl audit sessions' lists them", session);
	return rc == SQLITE_ROW ? VS_EXIT_DONE : vs_log_failed(l);
}

static int add_found(struct vs_log *l, const struct vs_log_options *o, json_t *all)
{
	sqlite3_stmt *st = vs_log_query(l, found_sql, o);
	int rc = SQLITE_ERROR, r = VS_EXIT_DONE;
	while (st && r == VS_EXIT_DONE && (rc = sqlite3_step(st)) == SQLITE_ROW)
		r = add_session(l, o, (const char *)sqlite3_column_text(st, 0), all);
	sqlite3_finalize(st);
	return r != VS_EXIT_DONE || rc == SQLITE_DONE ? r : vs_log_failed(l);
}

/* ---- Printing ---- */

static const char *text_of(const json_t *v, char number[32])
{
	if (json_is_number(v)) {
		vs_number_text(json_number_value(v), number);
		return number;
	}
	return json_is_string(v) ? json_string_value(v) : "-";
}

/* Facts that are not the same in all of the sessions are marked. */
static bool differs(const json_t *all, const char *key)
{
	for (size_t i = 1; i < json_array_size(all); i++)
		if (!json_equal(json_object_get(json_array_get(all, 0), key), json_object_get(json_array_get(all, i), key)))
			return true;
	return false;
}

#define ACROSS 4 /* sessions beside each other on a terminal */

static void print_block(const json_t *all, size_t from)
{
	const char *key;
	json_t *v;
	json_object_foreach(json_array_get(all, 0), key, v) {
		printf("%c %-26s", differs(all, key) ? '*' : ' ', key);
		for (size_t i = from; i < from + ACROSS && i < json_array_size(all); i++) {
			char number[32];
			printf("  %-24s", text_of(json_object_get(json_array_get(all, i), key), number));
		}
		putchar('\n');
	}
}

static void print_csv(const json_t *all)
{
	const char *key, *before = "";
	size_t i;
	json_t *row, *v;
	json_object_foreach(json_array_get(all, 0), key, v) {
		printf("%s%s", before, key);
		before = ",";
	}
	fputs("\r\n", stdout);
	json_array_foreach(all, i, row) {
		before = "";
		json_object_foreach(row, key, v) {
			char number[32];
			fputs(before, stdout);
			vs_csv_field(stdout, json_is_null(v) ? "" : text_of(v, number));
			before = ",";
		}
		fputs("\r\n", stdout);
	}
}

static void print(const json_t *all, const struct vs_log_options *o)
{
	if (o->json) {
		json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12) | JSON_PRESERVE_ORDER);
		putchar('\n');
	} else if (o->csv) {
		print_csv(all);
	} else {
		for (size_t from = 0; from < json_array_size(all); from += ACROSS) {
			fputs(from ? "\n" : "", stdout);
			print_block(all, from);
		}
		puts("\n* not the same in all of them");
	}
}

int vs_audit_compare(int argc, char **argv)
{
	struct vs_log_options o;
	struct vs_log *l = NULL;
	int r = vs_log_options(&o, argc, argv, VS_AUDIT_FILTERS " limits limit-file");
	bool filtered = o.chair || o.patient || o.session || o.protocol || o.operator_name || o.rule || o.since_ms > INT64_MIN ||
			o.until_ms < INT64_MAX;
	if (r == VS_EXIT_DONE && (o.n_words > 0) == filtered)
		return vs_ctl_usage("audit compare: name the sessions, or say by --patient or another filter which");
	if (r == VS_EXIT_DONE && o.n_words == 1)
		return vs_ctl_usage("audit compare: with what? name a second session");
	if (r == VS_EXIT_DONE)
		r = vs_log_open_given(&o, &l);
	if (r == VS_EXIT_DONE)
		r = vs_audit_check_filters(l, &o);
	if (r == VS_EXIT_DONE)
		r = vs_log_trace(l, &o, "audit", argc, argv);
	json_t *all = json_array();
	for (int i = 0; r == VS_EXIT_DONE && i < o.n_words; i++)
		r = add_session(l, &o, o.words[i], all);
	if (r == VS_EXIT_DONE && filtered)
		r = add_found(l, &o, all);
	if (r == VS_EXIT_DONE && json_array_size(all) == 0)
		r = vs_ctl_fail("no session is such; 'vitalsctl audit sessions' lists them");
	if (r == VS_EXIT_DONE)
		print(all, &o);
	json_decref(all);
	vs_log_close(l);
	return r;
}
