/* vitalsctl audit compare: sessions side by side, those that are named, or those of a patient, of one log or of two. */
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/audit.h"
#include "clients/ctl/audit_ledger.h"
#include "core/json.h"

#define BODY "'{' || e.body || '}'"
#define OF(key) "json_extract(" BODY ", '$." key "')"
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
	" NULL AS highest_nibp_sys, NULL AS lowest_nibp_sys, NULL AS highest_hr, NULL AS lowest_hr, NULL AS lowest_spo2," /* add_readings */
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

static void add_extreme(json_t *facts, const char *key, const struct vs_measured *m, bool highest)
{
	double v = !m ? 0 : highest ? m->highest_accepted : m->lowest_accepted;
	if (m)
		json_object_set_new(facts, key, v == (double)(int64_t)v ? json_integer((json_int_t)v) : json_real(v));
}

/* What the readings say: extremes of those that were accepted, and how much of the time a metric was as good as it should be. */
static int add_readings(struct vs_log *l, const struct vs_log_options *o, const char *session, json_t *facts)
{
	static const char *const metrics[] = { "spo2", "hr", "pr", "nibp_sys" };
	struct vs_audit_measured measured;
	json_t *ledger = vs_audit_ledger(l, o, session, &measured), *v;
	const char *name;
	const struct vs_measured *sys = vs_audit_measured_of(&measured, "nibp_sys"), *rate = vs_audit_measured_of(&measured, "hr");
	if (!rate)
		rate = vs_audit_measured_of(&measured, "pr");
	add_extreme(facts, "highest_nibp_sys", sys, true);
	add_extreme(facts, "lowest_nibp_sys", sys, false);
	add_extreme(facts, "highest_hr", rate, true);
	add_extreme(facts, "lowest_hr", rate, false);
	add_extreme(facts, "lowest_spo2", vs_audit_measured_of(&measured, "spo2"), false);
	free(measured.of);
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
	int r = ledger ? VS_EXIT_DONE : VS_EXIT_FAILED;
	json_decref(ledger);
	return r;
}

#define LOGS_MAX 2

struct compare {
	const struct vs_log_options *o;
	struct vs_log *logs[LOGS_MAX];
	size_t n_logs;
	json_t *all;
};

/* VS_EXIT_DONE: *ret_found says whether the log has it. */
static int add_session(struct compare *c, size_t i, const char *session, bool *ret_found)
{
	struct vs_log *l = c->logs[i];
	struct vs_log_options o = { .session = session };
	sqlite3_stmt *st = vs_log_query(l, facts_sql, &o);
	int rc = st ? sqlite3_step(st) : SQLITE_ERROR, r = VS_EXIT_DONE;
	*ret_found = rc == SQLITE_ROW;
	if (rc == SQLITE_ROW) {
		json_t *facts = json_object(), *row = vs_log_row(st);
		if (c->n_logs > 1)
			json_object_set_new(facts, "log", json_string(vs_log_file(l)));
		json_object_update(facts, row);
		json_decref(row);
		r = add_readings(l, c->o, session, facts);
		json_array_append_new(c->all, facts);
	}
	sqlite3_finalize(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? r : st ? vs_log_failed(l) : VS_EXIT_FAILED;
}

/* Those that are named: in each log that has them. */
static int add_named(struct compare *c)
{
	int r = VS_EXIT_DONE;
	for (int w = 0; r == VS_EXIT_DONE && w < c->o->n_words; w++) {
		bool found, anywhere = false;
		for (size_t i = 0; r == VS_EXIT_DONE && i < c->n_logs; i++) {
			r = add_session(c, i, c->o->words[w], &found);
			anywhere = anywhere || found;
		}
		if (r == VS_EXIT_DONE && !anywhere)
			r = vs_ctl_fail("there is no session '%s' in %s; 'vitalsctl audit sessions' lists them", c->o->words[w],
					c->n_logs > 1 ? "either log" : "this log");
	}
	return r;
}

static int add_found(struct compare *c, size_t i)
{
	bool found;
	struct vs_log *l = c->logs[i];
	sqlite3_stmt *st = vs_log_query(l, found_sql, c->o);
	int rc = SQLITE_ERROR, r = VS_EXIT_DONE;
	while (st && r == VS_EXIT_DONE && (rc = sqlite3_step(st)) == SQLITE_ROW)
		r = add_session(c, i, (const char *)sqlite3_column_text(st, 0), &found);
	sqlite3_finalize(st);
	return r != VS_EXIT_DONE || rc == SQLITE_DONE ? r : st ? vs_log_failed(l) : VS_EXIT_FAILED;
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
	int width[ACROSS] = { 0 };
	char number[32];
	size_t end = from + ACROSS < json_array_size(all) ? from + ACROSS : json_array_size(all);
	for (size_t i = from; i < end; i++)
		json_object_foreach(json_array_get(all, i), key, v) {
			int len = (int)strlen(text_of(v, number));
			width[i - from] = len > width[i - from] ? len : width[i - from];
		}
	json_object_foreach(json_array_get(all, 0), key, v) {
		printf("%c %-26s", differs(all, key) ? '*' : ' ', key);
		for (size_t i = from; i < end; i++)
			printf("  %-*s", i + 1 < end ? width[i - from] : 0, text_of(json_object_get(json_array_get(all, i), key), number));
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

static int open_logs(struct compare *c)
{
	int r = vs_log_open_given(c->o, &c->logs[0]);
	c->n_logs = r == VS_EXIT_DONE;
	if (r == VS_EXIT_DONE && c->o->with) {
		r = vs_log_open(c->o->with, &c->logs[1]) < 0 ? VS_EXIT_FAILED : VS_EXIT_DONE;
		c->n_logs += r == VS_EXIT_DONE;
	}
	return r;
}

static int compare(struct compare *c, bool filtered, int argc, char **argv)
{
	const struct vs_log_options *o = c->o;
	int r = open_logs(c);
	for (size_t i = 0; r == VS_EXIT_DONE && i < c->n_logs && !filtered; i++)
		vs_log_narrow(c->logs[i], (const char *const *)o->words, (size_t)o->n_words);
	if (r == VS_EXIT_DONE)
		r = vs_audit_check_filters(c->logs, c->n_logs, o);
	for (size_t i = 0; r == VS_EXIT_DONE && i < c->n_logs; i++)
		r = vs_log_trace(c->logs[i], o, "audit", argc, argv);
	if (r == VS_EXIT_DONE && !filtered)
		r = add_named(c);
	for (size_t i = 0; r == VS_EXIT_DONE && i < c->n_logs && filtered; i++)
		r = add_found(c, i);
	if (r == VS_EXIT_DONE && json_array_size(c->all) == 0)
		r = vs_ctl_fail("no session is such; 'vitalsctl audit sessions' lists them");
	if (r == VS_EXIT_DONE && !filtered && json_array_size(c->all) == 1)
		r = vs_ctl_fail("only one of the logs has session '%s': name a session of the other one too", o->words[0]);
	if (r == VS_EXIT_DONE)
		print(c->all, o);
	return r;
}

int vs_audit_compare(int argc, char **argv)
{
	struct vs_log_options o;
	struct compare c = { .o = &o };
	int r = vs_log_options(&o, argc, argv, VS_AUDIT_FILTERS " limits limit-file with");
	bool filtered = o.chair || o.patient || o.session || o.protocol || o.operator_name || o.rule || o.since_ms > INT64_MIN ||
			o.until_ms < INT64_MAX;
	if (r == VS_EXIT_DONE && (o.n_words > 0) == filtered)
		return vs_ctl_usage("audit compare: name the sessions, or say by --patient or another filter which");
	if (r == VS_EXIT_DONE && o.n_words == 1 && !o.with)
		return vs_ctl_usage("audit compare: with what? name a second session, or another log (--with FILE)");
	if (r != VS_EXIT_DONE)
		return r;
	c.all = json_array();
	r = compare(&c, filtered, argc, argv);
	json_decref(c.all);
	for (size_t i = 0; i < c.n_logs; i++)
		vs_log_close(c.logs[i]);
	return r;
}
