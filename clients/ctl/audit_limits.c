/* vitalsctl audit limits: which limits were in force from when on, who changed them and why.
 *
 * What people changed and the configuration at each start stand in the log.  Limits that follow from a session's frozen
 * baseline, and those of the set itself (shown for one session), are worked out from the limit set; where that disagrees
 * with an alarm of the time, it is said. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/audit.h"
#include "clients/ctl/log_limits.h"

#define BODY "'{' || e.body || '}'"
#define OF(key) "json_extract(" BODY ", '$." key "')"

/* The rows are gathered in a table of this connection's own, which the log's file never sees. */
static const char table_sql[] =
	"CREATE TEMP TABLE limit_row(at_ms INTEGER, chair TEXT, session TEXT, source TEXT, \"set\" TEXT, rule TEXT, metric TEXT,"
	" direction TEXT, old REAL, value REAL, unit TEXT, operator TEXT, reason TEXT)";
#define INTO "INSERT INTO limit_row "
static const char starts_sql[] =
	INTO "SELECT p.started_ms, o.chair, NULL, 'configuration', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'configuration '"
	" || substr(p.config_hash, 1, 12) || ', vitalsd ' || p.version FROM epoch p JOIN origin o USING(epoch)"
	" WHERE (:chair IS NULL OR o.chair = :chair)";
static const char changes_sql[] =
	INTO "SELECT e.at_ms, o.chair, e.session, 'operator', NULL, " OF("rule") ", NULL, NULL, " OF("old") ", " OF("value") ", " OF("unit")
	", e.operator, " OF("note") " FROM event e JOIN origin o USING(origin) WHERE e.kind = 'entry' AND " OF("entry") " = 'limit-change'"
	" AND (:chair IS NULL OR o.chair = :chair) AND (:session IS NULL OR e.session = :session)";
/* A reload that brought a session other limits. */
static const char sets_sql[] =
	INTO "SELECT at_ms, chair, session, 'configuration', name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'set ' || name || ', ' ||"
	" substr(hash, 1, 12) FROM (SELECT e.at_ms, o.chair, e.session, " OF("limits") " AS name, " OF("limits_hash") " AS hash, lag("
	OF("limits_hash") ") OVER (PARTITION BY e.session ORDER BY e.event) AS earlier FROM event e JOIN origin o USING(origin) WHERE"
	" e.kind = 'session' AND " OF("limits_hash") " IS NOT NULL AND (:chair IS NULL OR o.chair = :chair) AND (:session IS NULL OR"
	" e.session = :session)) WHERE earlier <> hash";
static const char derived_sql[] = INTO "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, NULL, ?12)";
static const char one_patient[] =
	"DELETE FROM limit_row WHERE (:patient IS NOT NULL OR :protocol IS NOT NULL) AND (session IS NULL OR session NOT IN (SELECT session"
	" FROM audit_session WHERE (:patient IS NULL OR patient = :patient) AND (:protocol IS NULL OR protocol = :protocol)))";
/* Of one session: what held when it began, and what came while it ran. */
static const char one_session[] =
	"DELETE FROM limit_row WHERE :session IS NOT NULL AND session IS NOT :session AND NOT (source = 'configuration' AND chair = (SELECT"
	" chair FROM audit_session WHERE session = :session) AND at_ms >= coalesce((SELECT max(at_ms) FROM limit_row r WHERE r.source ="
	" 'configuration' AND r.at_ms <= (SELECT started_ms FROM audit_session WHERE session = :session)), 0) AND at_ms <= coalesce((SELECT"
	" ended_ms FROM audit_session WHERE session = :session), 9e15))";

#define WHERE_ROW                                                                                                                       \
	" FROM limit_row WHERE (:rule IS NULL OR rule = :rule) AND (:operator IS NULL OR operator = :operator)"                        \
	" AND at_ms BETWEEN :since AND :until ORDER BY at_ms, chair, session, source = 'operator', source, rule"
static const char person_sql[] =
	"SELECT strftime('%Y-%m-%d %H:%M:%S', at_ms / 1000.0, 'unixepoch') AS 'FROM', chair AS CHAIR, session AS SESSION, source AS SOURCE,"
	" rule AS RULE, trim(coalesce(metric, '') || ' ' || coalesce(direction, '')) AS WATCHES, old AS OLD, value AS 'LIMIT', unit AS UNIT,"
	" operator AS BY, reason AS REASON" WHERE_ROW;
static const char whole_sql[] =
	"SELECT strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch') AS from_at, at_ms AS from_ms, chair, session, source, \"set\","
	" rule, metric, direction, old, value, unit, operator, reason" WHERE_ROW;

struct limits {
	struct vs_log *l;
	const struct vs_log_options *o;
	struct vs_limit_sets *sets;
	const struct vs_limit_set *set; /* of the session at hand */
	sqlite3_stmt *row;
};

/* ---- Limits of a set ---- */

static double number_of(const json_t *baseline, const char *name)
{
	const json_t *v = json_object_get(baseline, name);
	return json_is_number(v) ? json_number_value(v) : NAN;
}

/* A rule on the heart rate stands on whatever rate the chair had. */
static double baseline_of(const json_t *baseline, enum vs_metric m)
{
	static const char *const rates[] = { "hr", "pr", "nibp_pr" };
	double b = number_of(baseline, vs_metrics[m].name);
	for (size_t i = 0; m == VS_HR && isnan(b) && i < sizeof rates / sizeof *rates; i++)
		b = number_of(baseline, rates[i]);
	return b;
}

static void bind_number(sqlite3_stmt *st, int at, double v)
{
	if (isnan(v))
		sqlite3_bind_null(st, at);
	else
		sqlite3_bind_double(st, at, v);
}

struct moment {
	int64_t at_ms;
	const char *chair, *session, *source;
};

static int add_rule(struct limits *s, const struct moment *m, const struct vs_rule *r, double old, double now, const char *reason)
{
	const char *texts[] = { m->chair, m->session, m->source, s->set->name, r->id, vs_metrics[r->metric].name,
				vs_when_direction(r->when) };
	sqlite3_bind_int64(s->row, 1, m->at_ms);
	for (int i = 0; i < 7; i++)
		sqlite3_bind_text(s->row, 2 + i, texts[i], -1, SQLITE_TRANSIENT);
	bind_number(s->row, 9, old);
	bind_number(s->row, 10, now);
	sqlite3_bind_text(s->row, 11, vs_metrics[r->metric].unit, -1, SQLITE_STATIC);
	sqlite3_bind_text(s->row, 12, reason, -1, SQLITE_TRANSIENT);
	int rc = sqlite3_step(s->row);
	sqlite3_reset(s->row);
	return rc == SQLITE_DONE ? VS_EXIT_DONE : vs_log_failed(s->l);
}

static bool watches(const struct vs_rule *r)
{
	return r->type == VS_RULE_THRESHOLD && r->enabled && !r->log_only && r->metric < VS_METRIC_COUNT;
}

/* The set as it stands, without a baseline. */
static int add_set(struct limits *s, const struct moment *m)
{
	char why[VS_SET_NAME_CAP + 32];
	int r = VS_EXIT_DONE;
	snprintf(why, sizeof why, "set %s, %.12s", s->set->name, vs_limits_hash(s->sets, s->set->name));
	for (unsigned i = 0; r == VS_EXIT_DONE && i < s->set->n_rules; i++) {
		const struct vs_rule *rule = &s->set->rules[i];
		double limit = watches(rule) ? vs_rule_limit(rule, NAN, &s->set->bounds) : NAN;
		if (!isnan(limit))
			r = add_rule(s, m, rule, NAN, limit, why);
	}
	return r;
}

/* Limits that a baseline moved. */
static int add_baseline(struct limits *s, const struct moment *m, const json_t *baseline)
{
	char why[64];
	int r = VS_EXIT_DONE;
	for (unsigned i = 0; r == VS_EXIT_DONE && i < s->set->n_rules; i++) {
		const struct vs_rule *rule = &s->set->rules[i];
		if (!watches(rule) || (rule->limit.kind != VS_LIMIT_FACTOR && rule->limit.kind != VS_LIMIT_OFFSET &&
				       rule->low_limit.kind == VS_LIMIT_NONE))
			continue;
		double b = baseline_of(baseline, rule->metric), old = vs_rule_limit(rule, NAN, &s->set->bounds);
		double now = vs_rule_limit(rule, b, &s->set->bounds);
		if (isnan(b) || isnan(now) || now == old)
			continue;
		snprintf(why, sizeof why, "baseline %.*f", vs_metrics[rule->metric].decimals, b);
		r = add_rule(s, m, rule, old, now, why);
	}
	return r;
}

/* ---- From the log ---- */

static int run(struct limits *s, const char *sql)
{
	sqlite3_stmt *st = vs_log_query(s->l, sql, s->o);
	int rc = st ? sqlite3_step(st) : SQLITE_ERROR;
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? VS_EXIT_DONE : vs_log_failed(s->l);
}

/* Each session's set and, where it was frozen, its baseline. */
static int add_sessions(struct limits *s)
{
	static const char sql[] =
		"SELECT session, chair, started_ms, (SELECT e.at_ms || ' ' || json_extract(" BODY ", '$.baseline') FROM event e WHERE"
		" e.session = s.session AND e.kind = 'session' AND length(json_extract(" BODY ", '$.baseline')) > 2 ORDER BY e.event LIMIT 1)"
		" FROM audit_session s WHERE (:session IS NULL OR session = :session) AND (:chair IS NULL OR chair = :chair)"
		" AND (:patient IS NULL OR patient = :patient) AND (:protocol IS NULL OR protocol = :protocol)"
		" AND started_ms <= :until";
	sqlite3_stmt *st = vs_log_query(s->l, sql, s->o);
	int rc = SQLITE_ERROR, r = VS_EXIT_DONE;
	while (st && r == VS_EXIT_DONE && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct moment m = { .at_ms = sqlite3_column_int64(st, 2), .chair = (const char *)sqlite3_column_text(st, 1),
				    .session = (const char *)sqlite3_column_text(st, 0), .source = "set" };
		const char *baseline = (const char *)sqlite3_column_text(st, 3);
		struct vs_log_set set;
		vs_log_set_of(s->l, s->o, s->sets, m.session, &set);
		s->set = set.set;
		if (s->o->session || baseline)
			vs_log_set_note(&set, m.session);
		if (s->o->session)
			r = add_set(s, &m);
		if (r != VS_EXIT_DONE || !baseline)
			continue;
		json_t *values = json_loads(strchr(baseline, ' '), 0, NULL);
		m.at_ms = atoll(baseline);
		m.source = "baseline";
		r = add_baseline(s, &m, values);
		json_decref(values);
	}
	sqlite3_finalize(st);
	return r != VS_EXIT_DONE || rc == SQLITE_DONE ? r : vs_log_failed(s->l);
}

/* What the engine wrote into its alarms is the proof: does the limit that we say was in force agree with it? */
static int compare_with_alarms(struct limits *s)
{
	static const char sql[] =
		"SELECT a.alarm, a.rule, a.limit_value, r.value FROM audit_alarm a JOIN limit_row r ON r.rowid = (SELECT x.rowid FROM limit_row x"
		" WHERE x.session = a.session AND x.rule = a.rule AND x.at_ms <= a.onset_ms ORDER BY x.at_ms DESC, x.rowid DESC LIMIT 1)"
		" WHERE a.session = :session AND r.value IS NOT NULL AND a.limit_value IS NOT NULL AND abs(a.limit_value - r.value) > 0.06";
	sqlite3_stmt *st = vs_log_query(s->l, sql, s->o);
	int rc = SQLITE_ERROR;
	bool said = false;
	while (st && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		fprintf(stderr, "vitalsctl: note: alarm %s (%s) was judged by %g; the set %s makes it %g\n", sqlite3_column_text(st, 0),
			sqlite3_column_text(st, 1), sqlite3_column_double(st, 2), s->set->name, sqlite3_column_double(st, 3));
		said = true;
	}
	sqlite3_finalize(st);
	if (said)
		fputs("vitalsctl: note: give --limits and --limit-file as the daemon had them\n", stderr);
	return rc == SQLITE_DONE ? VS_EXIT_DONE : vs_log_failed(s->l);
}

static int gather(struct limits *s)
{
	int r = run(s, table_sql);
	if (r == VS_EXIT_DONE)
		r = run(s, starts_sql);
	if (r == VS_EXIT_DONE)
		r = run(s, changes_sql);
	if (r == VS_EXIT_DONE)
		r = run(s, sets_sql);
	if (r != VS_EXIT_DONE)
		return r;
	s->row = vs_log_query(s->l, derived_sql, s->o);
	r = s->row ? add_sessions(s) : VS_EXIT_FAILED;
	sqlite3_finalize(s->row);
	if (r == VS_EXIT_DONE)
		r = run(s, one_patient);
	if (r == VS_EXIT_DONE)
		r = run(s, one_session);
	return r == VS_EXIT_DONE && s->o->session ? compare_with_alarms(s) : r;
}

/* ---- The command ---- */

bool vs_audit_shipped_rule(const char *rule, char *list, size_t cap)
{
	struct vs_findings findings = { 0 };
	struct vs_limit_sets *sets = NULL;
	const char *name;
	size_t n = 0;
	bool found = false;
	list[0] = '\0';
	if (vs_limits_load(NULL, 0, &sets, &findings) == 0)
		for (unsigned i = 0; (name = vs_limits_name(sets, i)) && !found; i++) {
			const struct vs_limit_set *set = vs_limits_find(sets, name);
			found = vs_rule_find(set, rule) != NULL;
			for (unsigned k = 0; i == 0 && k < set->n_rules && n + VS_RULE_ID_CAP + 2 < cap; k++)
				n += (size_t)snprintf(list + n, cap - n, "%s%s", k ? ", " : "", set->rules[k].id);
		}
	vs_findings_clear(&findings);
	vs_limits_free(sets);
	return found;
}

int vs_audit_limits(int argc, char **argv)
{
	struct vs_log_options o;
	struct limits s = { .o = &o };
	int r = vs_log_options(&o, argc, argv, VS_AUDIT_FILTERS " limits limit-file");
	if (r == VS_EXIT_DONE && o.n_words)
		return vs_ctl_usage("audit limits: '%s' is one word too many", o.words[0]);
	if (r == VS_EXIT_DONE)
		r = vs_log_sets(&o, &s.sets);
	if (r == VS_EXIT_DONE)
		r = vs_log_open_given(&o, &s.l);
	if (r == VS_EXIT_DONE)
		r = vs_audit_check_filters(&s.l, 1, &o);
	if (r == VS_EXIT_DONE)
		r = vs_log_trace(s.l, &o, "audit", argc, argv);
	if (r == VS_EXIT_DONE)
		r = gather(&s);
	if (r == VS_EXIT_DONE)
		r = vs_audit_print(s.l, vs_log_query(s.l, o.json || o.csv ? whole_sql : person_sql, &o), &o, "No limit was changed.");
	vs_log_close(s.l);
	vs_limits_free(s.sets);
	return r;
}
