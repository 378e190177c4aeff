#include "clients/ctl/audit_ledger.h"

#include <stdlib.h>
#include <string.h>

#include "clients/ctl/log_limits.h"
#include "clients/ctl/log_readings.h"
#include "core/metric.h"

enum column { VALID, STALE, LOST, SUSPECT, PAUSED, RESTARTING, COLUMNS };
static const char *const names[COLUMNS] = { "valid", "stale", "lost", "suspect", "paused", "restarting" };

#define BEFORE_MS (20 * 60 * 1000) /* a cuff value from before the session may still stand when it begins */
#define INTERVALS_MAX 1024

struct interval {
	int64_t from, until;
};
struct intervals {
	struct interval at[INTERVALS_MAX];
	unsigned len;
};

struct course {
	bool seen; /* in the session, or shortly before */
	enum column last; /* VALID, SUSPECT or LOST: what the last reading said */
	int64_t at;       /* when */
	int64_t done;     /* accounted up to here */
	int64_t ms[COLUMNS];
};

struct ledger {
	int64_t from, until;
	int64_t fresh_ms[VS_METRIC_COUNT], kept_ms[VS_METRIC_COUNT]; /* older than that: stale, lost */
	struct intervals paused, restarts;
	struct course metric[VS_METRIC_COUNT];
	struct vs_audit_measured *measured; /* NULL: nobody wants to know */
	bool no_memory;
};

static bool within(const struct intervals *in, int64_t t, int64_t *next)
{
	for (unsigned i = 0; i < in->len; i++) {
		if (t >= in->at[i].from && t < in->at[i].until) {
			if (in->at[i].until < *next)
				*next = in->at[i].until;
			return true;
		}
		if (in->at[i].from > t && in->at[i].from < *next)
			*next = in->at[i].from;
	}
	return false;
}

/* What the last reading is worth at time t, and until when that holds. */
static enum column worth(const struct ledger *l, enum vs_metric m, int64_t t, int64_t *next)
{
	const struct course *c = &l->metric[m];
	int64_t fresh = c->at + l->fresh_ms[m], kept = c->at + l->kept_ms[m];
	if (c->last == LOST || t >= kept)
		return LOST;
	int64_t end = t < fresh ? fresh : kept;
	if (end < *next)
		*next = end;
	return t < fresh ? c->last : STALE;
}

static void account(struct ledger *l, enum vs_metric m, int64_t until)
{
	struct course *c = &l->metric[m];
	if (until > l->until)
		until = l->until;
	while (c->done < until) {
		int64_t next = until;
		enum column what = worth(l, m, c->done, &next);
		bool restarting = within(&l->restarts, c->done, &next), paused = within(&l->paused, c->done, &next);
		if (what == STALE || what == LOST)
			what = restarting ? RESTARTING : paused ? PAUSED : what;
		c->ms[what] += next - c->done;
		c->done = next;
	}
}

static void add_interval(struct intervals *in, int64_t from, int64_t until)
{
	if (in->len < INTERVALS_MAX && from < until)
		in->at[in->len++] = (struct interval){ from, until };
}

/* from, until and the chair of the session.  VS_EXIT_DONE, or after saying why VS_EXIT_FAILED. */
static int find_span(struct vs_log *l, const char *session, struct ledger *g, char chair[64])
{
	struct vs_log_options o = { .session = session };
	sqlite3_stmt *st = vs_log_query(l,
		"SELECT s.chair, s.started_ms, coalesce(s.ended_ms, (SELECT max(m) FROM ("
		" SELECT max(e.at_ms) AS m FROM event e WHERE e.session = :session UNION ALL"
		" SELECT (SELECT u.start_ms + r.t FROM reading r WHERE r.id BETWEEN u.run * 8192 AND u.run * 8192 + 8191"
		" ORDER BY r.id DESC LIMIT 1) FROM run u WHERE u.session = :session)))"
		" FROM audit_session s WHERE s.session = :session", &o);
	if (!st)
		return VS_EXIT_FAILED;
	int rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		snprintf(chair, 64, "%s", (const char *)sqlite3_column_text(st, 0));
		g->from = sqlite3_column_int64(st, 1);
		g->until = sqlite3_column_int64(st, 2);
	}
	sqlite3_finalize(st);
	if (rc == SQLITE_DONE)
		return vs_ctl_fail("there is no session '%s' in this log; 'vitalsctl audit sessions' lists them", session);
	return rc == SQLITE_ROW ? VS_EXIT_DONE : vs_log_failed(l);
}

/* Intervals that a statement gives as (from, until). */
static int read_intervals(struct vs_log *l, const char *sql, const struct vs_log_options *o, struct intervals *in)
{
	sqlite3_stmt *st = vs_log_query(l, sql, o);
	int rc = SQLITE_ERROR;
	while (st && (rc = sqlite3_step(st)) == SQLITE_ROW)
		add_interval(in, sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1));
	sqlite3_finalize(st);
	return !st || rc == SQLITE_DONE ? VS_EXIT_DONE : vs_log_failed(l);
}

static const char paused_sql[] =
	"SELECT at_ms, until FROM (SELECT at_ms, json_extract('{' || body || '}', '$.phase') AS phase,"
	" lead(at_ms, 1, :until) OVER (ORDER BY event) AS until FROM event WHERE session = :session AND kind = 'session')"
	" WHERE phase = 'paused'";
/* From the last record of the chair before a start to its first reading after it, which may begin or end outside the session. */
static const char restarts_sql[] =
	"SELECT coalesce((SELECT max(u.start_ms + (SELECT r.t FROM reading r WHERE r.id BETWEEN u.run * 8192 AND u.run * 8192 +"
	" 8191 ORDER BY r.id DESC LIMIT 1)) FROM run u JOIN origin o USING(origin) WHERE o.chair = :chair AND o.epoch < p.epoch"
	" AND u.start_ms BETWEEN p.started_ms - 86400000 AND p.started_ms), p.started_ms),"
	" coalesce((SELECT min(u.start_ms) FROM run u JOIN origin o USING(origin) WHERE o.chair = :chair AND o.epoch = p.epoch),"
	" p.started_ms) FROM epoch p WHERE p.started_ms BETWEEN :since - 86400000 AND :until + 86400000";

/* The session's figures of what a value is of. */
static void measure(struct ledger *g, const struct vs_log_value *v)
{
	struct vs_audit_measured *all = g->measured;
	if (v->place >= all->n) { /* places come without gaps, but some may be of readings outside the session only */
		struct vs_measured *more = realloc(all->of, (v->place + 1) * sizeof *more);
		if (!more) {
			g->no_memory = true;
			return;
		}
		memset(more + all->n, 0, (v->place + 1 - all->n) * sizeof *more);
		all->of = more;
		all->n = v->place + 1;
	}
	struct vs_measured *m = &all->of[v->place];
	if (m->readings++ == 0) {
		snprintf(m->metric, sizeof m->metric, "%s", v->name);
		snprintf(m->unit, sizeof m->unit, "%s", v->unit);
	}
	if (!v->is_there)
		return;
	bool accepted = !v->is_suspect && !v->is_artifact;
	if (m->values++ == 0 || v->number < m->lowest)
		m->lowest = v->number;
	if (m->values == 1 || v->number > m->highest)
		m->highest = v->number;
	m->sum += v->number;
	if (accepted && (m->accepted == 0 || v->number < m->lowest_accepted))
		m->lowest_accepted = v->number;
	if (accepted && (m->accepted == 0 || v->number > m->highest_accepted))
		m->highest_accepted = v->number;
	m->accepted += accepted;
}

static void reading(void *arg, const struct vs_log_value *v)
{
	struct ledger *g = arg;
	if (g->measured && v->of_session && !v->is_word)
		measure(g, v);
	if (v->metric == VS_METRIC_NONE || !v->in_time)
		return; /* of a newer version: its time cannot be judged */
	struct course *c = &g->metric[v->metric];
	account(g, v->metric, v->at_ms);
	c->seen = true;
	c->at = v->at_ms;
	c->last = !v->is_there ? LOST : v->is_suspect || v->is_questionable || v->is_artifact ? SUSPECT : VALID;
}

static json_t *ledger_json(struct ledger *g)
{
	json_t *all = json_object();
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++) {
		struct course *c = &g->metric[m];
		if (!c->seen)
			continue;
		account(g, m, g->until);
		json_t *row = json_object();
		for (unsigned i = 0; i < COLUMNS; i++)
			json_object_set_new(row, names[i], c->ms[i] % 1000 ? json_real((double)c->ms[i] / 1000)
									   : json_integer(c->ms[i] / 1000));
		json_object_set_new(all, vs_metrics[m].name, row);
	}
	return all;
}

/* The last step of the rule that watches for the loss of a signal; the rate's rule is for whatever gives the rate. */
static int64_t signal_lost_ms(const struct vs_limit_set *set, enum vs_metric m)
{
	int64_t own = 0, any = 0;
	for (unsigned i = 0; i < set->n_rules; i++) {
		const struct vs_rule *r = &set->rules[i];
		if (r->type != VS_RULE_SIGNAL_LOSS || !r->n_steps)
			continue;
		int64_t last = r->steps[r->n_steps - 1].after_ms;
		if (r->metric == m || (r->metric == VS_HR && m == VS_PR))
			own = last;
		any = last > any ? last : any;
	}
	return own ? own : any;
}

static void take_times(struct ledger *g, const struct vs_limit_set *set)
{
	int64_t interval = 0, stale = set->validity.stale_ms;
	for (unsigned p = 0; p < VS_PHASE_COUNT; p++)
		if (set->cadence.nibp_ms[p] > interval)
			interval = set->cadence.nibp_ms[p];
	for (enum vs_metric m = 0; m < VS_METRIC_COUNT; m++) {
		int64_t lost = vs_metric_is_nibp(m) ? 2 * interval : signal_lost_ms(set, m);
		g->fresh_ms[m] = vs_metric_is_nibp(m) ? interval : stale;
		g->kept_ms[m] = lost > g->fresh_ms[m] ? lost : g->fresh_ms[m];
	}
}

json_t *vs_audit_ledger(struct vs_log *l, const struct vs_log_options *given, const char *session, struct vs_audit_measured *measured)
{
	char chair[64];
	json_t *ret = NULL;
	struct ledger *g = calloc(1, sizeof *g);
	struct vs_limit_sets *sets = NULL;
	struct vs_log_set set;
	if (measured)
		*measured = (struct vs_audit_measured){ .n = 0 };
	if (!g || vs_log_sets(given, &sets) != VS_EXIT_DONE)
		goto out;
	g->measured = measured;
	vs_log_set_of(l, given, sets, session, &set);
	take_times(g, set.set);
	if (find_span(l, session, g, chair) != VS_EXIT_DONE)
		goto out;
	struct vs_log_options o = { .session = session, .chair = chair, .since_ms = g->from, .until_ms = g->until };
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++)
		g->metric[m] = (struct course){ .last = LOST, .at = g->from, .done = g->from };
	if (read_intervals(l, paused_sql, &o, &g->paused) != VS_EXIT_DONE ||
	    read_intervals(l, restarts_sql, &o, &g->restarts) != VS_EXIT_DONE)
		goto out;
	o.since_ms -= BEFORE_MS;
	if (vs_log_readings(l, &o, reading, g) == VS_EXIT_DONE && !g->no_memory)
		ret = ledger_json(g);
out:
	vs_limits_free(sets);
	free(g);
	return ret;
}

/* ---- What was measured ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct vs_measured *)a)->metric, ((const struct vs_measured *)b)->metric);
}

static json_t *number(double v)
{
	return v == (double)(int64_t)v ? json_integer((json_int_t)v) : json_real(v);
}

json_t *vs_audit_measured_json(struct vs_audit_measured *all)
{
	json_t *rows = json_array();
	if (all->n)
		qsort(all->of, all->n, sizeof *all->of, by_name);
	for (size_t i = 0; i < all->n; i++) {
		const struct vs_measured *m = &all->of[i];
		char mean[64];
		if (m->readings == 0)
			continue;
		json_t *row = json_pack("{s:s,s:s,s:I,s:I,s:n,s:n,s:n}", "metric", m->metric, "unit", m->unit, "readings",
					(json_int_t)m->readings, "values", (json_int_t)m->values, "lowest", "mean", "highest");
		if (m->values) {
			sqlite3_snprintf(sizeof mean, mean, "%!.1f", m->sum / (double)m->values); /* as SQL's round() does */
			json_object_set_new(row, "lowest", number(m->lowest));
			json_object_set_new(row, "mean", number(strtod(mean, NULL)));
			json_object_set_new(row, "highest", number(m->highest));
		}
		json_array_append_new(rows, row);
	}
	return rows;
}

const struct vs_measured *vs_audit_measured_of(const struct vs_audit_measured *all, const char *metric)
{
	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->of[i].metric, metric) == 0 && all->of[i].accepted)
			return &all->of[i];
	return NULL;
}
