#include "clients/ctl/log_readings.h"

#include <stdlib.h>
#include <string.h>

#define SHAPE_METRICS 32 /* numbers of shape_metric that belong to one shape */

struct metric {
	char *name, *unit, *flags;
	int where; /* 0: no value; 1 to 4: a column; 5 and more: in `more` */
	struct vs_log_value plain; /* what all its values have in common */
};

struct shape {
	struct shape *next;
	int64_t shape;
	unsigned n;
	struct metric metrics[SHAPE_METRICS];
};

struct readings {
	struct vs_log *l;
	void (*take)(void *arg, const struct vs_log_value *v);
	void *arg;
	int64_t since_ms, until_ms;
	sqlite3_stmt *metric_st, *reading_st;
	struct shape *shapes; /* those that were met, the one that was met last in front */
	unsigned n_places;
};

/* Runs of the session, and those of the chair that can have a reading of the time: a run spans less than 8388608 ms, and its first
 * reading may be up to a minute later than others of it. */
static const char runs_sql[] =
	"SELECT u.run, u.start_ms, u.session IS :session FROM (SELECT run FROM run WHERE session = :session UNION"
	" SELECT run FROM run JOIN origin USING(origin) WHERE chair = :chair AND start_ms BETWEEN :since - 8388608 AND :until + 60000) r"
	" CROSS JOIN run u ON u.run = r.run CROSS JOIN origin o ON o.origin = u.origin ORDER BY o.epoch, u.first_seq";
static const char readings_sql[] =
	"SELECT t, shape, v1, v2, v3, v4, more FROM reading WHERE id BETWEEN ?1 * 8192 AND ?1 * 8192 + 8191 ORDER BY id";
static const char metrics_sql[] =
	"SELECT metric, unit, place, flags FROM shape_metric WHERE id BETWEEN ?1 * 32 AND ?1 * 32 + 31 ORDER BY id";

/* ---- Shapes ---- */

static unsigned place_of(struct readings *r, const struct metric *m)
{
	for (const struct shape *s = r->shapes; s; s = s->next)
		for (unsigned i = 0; i < s->n; i++)
			if (strcmp(s->metrics[i].name, m->name) == 0 && strcmp(s->metrics[i].unit, m->unit) == 0)
				return s->metrics[i].plain.place;
	return r->n_places++;
}

static char *column_text(sqlite3_stmt *st, int i)
{
	const char *text = (const char *)sqlite3_column_text(st, i);
	return strdup(text ? text : "");
}

static int read_metric(struct readings *r, struct metric *m)
{
	m->name = column_text(r->metric_st, 0);
	m->unit = column_text(r->metric_st, 1);
	m->where = sqlite3_column_int(r->metric_st, 2);
	m->flags = column_text(r->metric_st, 3);
	if (!m->name || !m->unit || !m->flags)
		return SQLITE_NOMEM;
	m->plain = (struct vs_log_value){
		.name = m->name, .unit = m->unit, .metric = vs_metric_by_name(m->name, strlen(m->name)), .place = place_of(r, m),
		.is_suspect = strstr(m->flags, "\"suspect\""), .is_questionable = strstr(m->flags, "\"questionable\""),
		.is_artifact = strstr(m->flags, "\"artifact\""), .is_there = m->where > 0,
	};
	return SQLITE_OK;
}

static int read_shape(struct readings *r, int64_t number)
{
	int rc = SQLITE_DONE;
	struct shape *s = calloc(1, sizeof *s);
	if (!s)
		return SQLITE_NOMEM;
	*s = (struct shape){ .next = r->shapes, .shape = number };
	r->shapes = s;
	sqlite3_bind_int64(r->metric_st, 1, number);
	while (s->n < SHAPE_METRICS && (rc = sqlite3_step(r->metric_st)) == SQLITE_ROW) {
		rc = read_metric(r, &s->metrics[s->n]);
		if (rc != SQLITE_OK)
			break;
		s->n++;
	}
	sqlite3_reset(r->metric_st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Brings the shape to the front. */
static int find_shape(struct readings *r, int64_t number)
{
	for (struct shape **at = &r->shapes; *at; at = &(*at)->next)
		if ((*at)->shape == number) {
			struct shape *s = *at;
			*at = s->next;
			s->next = r->shapes;
			r->shapes = s;
			return SQLITE_OK;
		}
	return read_shape(r, number);
}

static void forget_shapes(struct readings *r)
{
	for (struct shape *s; (s = r->shapes);) {
		r->shapes = s->next;
		for (unsigned i = 0; i < SHAPE_METRICS; i++) {
			free(s->metrics[i].name);
			free(s->metrics[i].unit);
			free(s->metrics[i].flags);
		}
		free(s);
	}
}

/* ---- Rows ---- */

static void take_value(struct vs_log_value *v, sqlite3_stmt *st, int where, const json_t *more)
{
	if (where <= 4) {
		v->is_word = sqlite3_column_type(st, 1 + where) == SQLITE_TEXT;
		v->number = v->is_word ? 0 : sqlite3_column_double(st, 1 + where);
	} else {
		const json_t *j = json_array_get(more, (size_t)where - 5);
		v->is_word = !json_is_number(j);
		v->number = json_number_value(j);
	}
}

static int give_row(struct readings *r, bool of_session, int64_t at_ms)
{
	sqlite3_stmt *st = r->reading_st;
	int rc = find_shape(r, sqlite3_column_int64(st, 1));
	if (rc != SQLITE_OK)
		return rc;
	const struct shape *s = r->shapes;
	bool in_time = at_ms >= r->since_ms && at_ms <= r->until_ms;
	json_t *more = NULL;
	for (unsigned i = 0; i < s->n; i++) {
		struct vs_log_value v = s->metrics[i].plain;
		v.of_session = of_session;
		v.in_time = in_time;
		v.at_ms = at_ms;
		if (s->metrics[i].where > 4 && !more)
			more = json_loads((const char *)sqlite3_column_text(st, 6), 0, NULL);
		if (v.is_there)
			take_value(&v, st, s->metrics[i].where, more);
		r->take(r->arg, &v);
	}
	json_decref(more);
	return SQLITE_OK;
}

static int give_run(struct readings *r, int64_t run, int64_t start_ms, bool of_session)
{
	int rc;
	sqlite3_bind_int64(r->reading_st, 1, run);
	while ((rc = sqlite3_step(r->reading_st)) == SQLITE_ROW) {
		int64_t at_ms = start_ms + sqlite3_column_int64(r->reading_st, 0);
		if (!of_session && (at_ms < r->since_ms || at_ms > r->until_ms))
			continue;
		rc = give_row(r, of_session, at_ms);
		if (rc != SQLITE_OK)
			break;
	}
	sqlite3_reset(r->reading_st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int vs_log_readings(struct vs_log *l, const struct vs_log_options *o, void (*take)(void *arg, const struct vs_log_value *v),
		    void *arg)
{
	struct readings r = { .l = l, .take = take, .arg = arg, .since_ms = o->since_ms, .until_ms = o->until_ms };
	sqlite3_stmt *runs = vs_log_query(l, runs_sql, o);
	r.metric_st = vs_log_query(l, metrics_sql, o);
	r.reading_st = vs_log_query(l, readings_sql, o);
	bool can_ask = runs && r.metric_st && r.reading_st; /* else it was said why */
	int rc = SQLITE_OK;
	while (can_ask && rc == SQLITE_OK && (rc = sqlite3_step(runs)) == SQLITE_ROW)
		rc = give_run(&r, sqlite3_column_int64(runs, 0), sqlite3_column_int64(runs, 1), sqlite3_column_int(runs, 2));
	sqlite3_finalize(runs);
	sqlite3_finalize(r.metric_st);
	sqlite3_finalize(r.reading_st);
	forget_shapes(&r);
	if (!can_ask)
		return VS_EXIT_FAILED;
	return rc == SQLITE_DONE ? VS_EXIT_DONE : rc == SQLITE_NOMEM ? vs_ctl_fail("out of memory") : vs_log_failed(l);
}
