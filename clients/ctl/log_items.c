/* What happened in a session, read back in order (logread.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/log.h"

int vs_log_session(struct vs_log *l, const char *session, char chair[64])
{
	struct vs_log_options o = { .session = session };
	vs_log_narrow(l, &session, 1);
	sqlite3_stmt *st = vs_log_query(l, "SELECT o.chair FROM session s JOIN event e USING(event) JOIN origin o USING(origin)"
					   " WHERE s.session = :session", &o);
	int rc = st ? sqlite3_step(st) : SQLITE_ERROR;
	if (rc == SQLITE_ROW)
		snprintf(chair, 64, "%s", (const char *)sqlite3_column_text(st, 0));
	else if (st && rc != SQLITE_DONE)
		vs_log_failed(l);
	sqlite3_finalize(st);
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -EIO;
}

/* Both kinds of rows of the chair while the session was open (a clock that was set back included), in the order of their times; within one time readings
 * first, as the engine saw them before what followed from them.  Numbers of one topic stay in their order.
 * TIMED: joins the epochs whose clocks are known, before their readings; READING_BOOT, EVENT_BOOT: the clock that nobody sets; 0: not known. */
#define ITEMS_SQL(TIMED, READING_BOOT, EVENT_BOOT) \
	"WITH span(a, b) AS MATERIALIZED (SELECT min(s.started_ms, (SELECT min(at_ms) FROM event WHERE session = :session)," \
	" coalesce((SELECT min(n.start_ms) FROM run n WHERE n.session = :session), s.started_ms)," \
	" CASE WHEN :before > 0 THEN coalesce((SELECT max(min(f.onset_ms), s.started_ms - 86400000) FROM alarm f WHERE f.alarm IN" \
	" (SELECT alarm FROM event WHERE session = :session AND kind = 'alarm')), s.started_ms) ELSE s.started_ms END) - :before," \
	" max(coalesce((SELECT max(v.ended_ms, (SELECT max(at_ms) FROM event WHERE session = :session AND kind = 'session'))" \
	" FROM audit_session v WHERE v.session = :session), (SELECT max(at_ms) + 60000 FROM event), s.started_ms)," \
	" coalesce((SELECT max(n.start_ms + (SELECT x.t FROM reading x WHERE x.id BETWEEN n.run * 8192 AND n.run * 8192 + 8191" \
	" ORDER BY x.id DESC LIMIT 1)) FROM run n WHERE n.session = :session), 0))" \
	" FROM session s WHERE s.session = :session)" \
	" SELECT * FROM (SELECT o.epoch, u.first_seq + (r.id & 8191) AS seq, u.start_ms + r.t AS at, u.session AS session, 'vitals' AS kind," \
	" r.shape AS shape, r.v1, r.v2, r.v3, r.v4, r.more, NULL AS body, " READING_BOOT " AS boot, 0 AS after" \
	" FROM span CROSS JOIN run u CROSS JOIN origin o ON o.origin = u.origin" TIMED \
	" CROSS JOIN reading r ON r.id BETWEEN u.run * 8192 AND u.run * 8192 + 8191" \
	" WHERE o.chair = :chair AND u.start_ms BETWEEN span.a - 8388608 AND span.b + 60000" \
	" AND r.t BETWEEN span.a - u.start_ms AND span.b - u.start_ms" \
	" UNION ALL SELECT o.epoch, e.seq, e.at_ms, e.session, e.kind, NULL, NULL, NULL, NULL, NULL, NULL," \
	" '{\"v\":1,\"site\":' || json_quote(o.site) || ',\"chair\":' || json_quote(o.chair) || ',\"kind\":\"' || e.kind ||" \
	" '\",\"epoch\":' || o.epoch || ',\"seq\":' || e.seq || ',\"time\":\"' || strftime('%Y-%m-%dT%H:%M:%fZ', e.at_ms / 1000.0," \
	" 'unixepoch') || '\",\"session\":' || json_quote(e.session) || CASE e.body WHEN '' THEN '' ELSE ',' || e.body END || '}', " EVENT_BOOT ", 1 + e.event" \
	" FROM span CROSS JOIN event e CROSS JOIN origin o ON o.origin = e.origin" \
	" WHERE o.chair = :chair AND e.at_ms BETWEEN span.a AND span.b AND e.kind <> 'seal'" \
	") ORDER BY epoch, CASE WHEN boot > 0 THEN boot ELSE at END, after, seq"
/* A row of `clock` holds from its message on, within its epoch; a log of before has none, and an epoch of before neither. */
#define SINCE " FROM clock k WHERE k.epoch = o.epoch AND k.event <= e.event ORDER BY k.event DESC, k.clock DESC LIMIT 1"
static const char items_sql[] = ITEMS_SQL(
	" LEFT JOIN (SELECT DISTINCT epoch AS timed FROM clock) ON timed = o.epoch",
	"CASE WHEN timed IS NULL THEN 0 ELSE u.boot_ms + r.t END",
	"coalesce((SELECT e.at_ms - (k.wall_ms - k.boot_ms)" SINCE "), (SELECT e.at_ms - (k.wall_ms - k.boot_ms) FROM clock k"
	" WHERE k.epoch = o.epoch ORDER BY k.clock LIMIT 1), 0)");
static const char items_sql_without[] = ITEMS_SQL("", "0", "0");

/* Does what is read have the tables of the fourth migration? */
static bool has_clock(struct vs_log *l)
{
	sqlite3_stmt *st = NULL;
	bool has = sqlite3_prepare_v2(vs_log_db(l), "SELECT 1 FROM pragma_table_info('clock')", -1, &st, NULL) == SQLITE_OK &&
		   sqlite3_step(st) == SQLITE_ROW;
	sqlite3_finalize(st);
	return has;
}

struct shape_metrics {
	int64_t shape;
	struct vs_reading reading; /* with no values yet */
	int place[VS_READING_MAX];
	char device[64];
	char own[VS_FLAG_OWN_COUNT][64];
	const char *own_flags[VS_FLAG_OWN_COUNT];
};

struct items {
	struct vs_log *l;
	sqlite3_stmt *shape_st, *metric_st;
	struct shape_metrics *shapes; /* as many as have been met */
	size_t n_shapes, cap_shapes;
	char words[VS_READING_MAX][32];
};

/* The bit of a flag's name; names that are not in the vocabulary are a device's own. */
static uint64_t flag_bit(struct shape_metrics *s, const char *name, uint16_t *error)
{
	size_t len = strcspn(name, ":");
	enum vs_flag f = vs_flag_by_name(name, len);
	if (f == VS_FLAG_DEVICE_ERROR && name[len] == ':')
		*error = (uint16_t)strtoul(name + len + 1, NULL, 10);
	if (f != VS_FLAG_NONE)
		return UINT64_C(1) << f;
	for (unsigned i = 0; i < VS_FLAG_OWN_COUNT; i++) {
		if (!s->own[i][0])
			snprintf(s->own[i], sizeof s->own[i], "%s", name);
		if (strcmp(s->own[i], name) == 0)
			return UINT64_C(1) << (VS_FLAG_OWN_FIRST + i);
	}
	return 0;
}

static uint64_t flag_bits(struct shape_metrics *s, const char *array, uint16_t *error)
{
	uint64_t set = 0;
	size_t i;
	json_t *flags = json_loads(array ? array : "[]", 0, NULL), *name;
	json_array_foreach(flags, i, name)
		set |= flag_bit(s, json_string_value(name) ? json_string_value(name) : "", error);
	json_decref(flags);
	return set;
}

static int read_shape(struct items *it, struct shape_metrics *s)
{
	uint16_t none = 0;
	int rc;
	sqlite3_bind_int64(it->shape_st, 1, s->shape);
	if ((rc = sqlite3_step(it->shape_st)) == SQLITE_ROW) {
		snprintf(s->device, sizeof s->device, "%s", (const char *)sqlite3_column_text(it->shape_st, 0));
		s->reading.flags = flag_bits(s, (const char *)sqlite3_column_text(it->shape_st, 1), &none);
	}
	sqlite3_reset(it->shape_st);
	if (rc != SQLITE_ROW)
		return -EIO;
	sqlite3_bind_int64(it->metric_st, 1, s->shape);
	while ((rc = sqlite3_step(it->metric_st)) == SQLITE_ROW && s->reading.len < VS_READING_MAX) {
		const char *name = (const char *)sqlite3_column_text(it->metric_st, 0);
		struct vs_obs *o = &s->reading.obs[s->reading.len];
		*o = (struct vs_obs){ .metric = vs_metric_by_name(name, strlen(name)) };
		if (o->metric == VS_METRIC_NONE)
			continue;
		s->place[s->reading.len++] = sqlite3_column_int(it->metric_st, 1);
		o->flags = flag_bits(s, (const char *)sqlite3_column_text(it->metric_st, 2), &o->device_error);
	}
	sqlite3_reset(it->metric_st);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : -EIO;
}

static struct shape_metrics *shape_of(struct items *it, int64_t shape)
{
	for (size_t i = 0; i < it->n_shapes; i++)
		if (it->shapes[i].shape == shape)
			return &it->shapes[i];
	if (it->n_shapes == it->cap_shapes) {
		size_t cap = it->cap_shapes * 2 + 16;
		struct shape_metrics *more = realloc(it->shapes, cap * sizeof *more);
		if (!more)
			return NULL;
		it->shapes = more;
		it->cap_shapes = cap;
	}
	struct shape_metrics *s = &it->shapes[it->n_shapes];
	*s = (struct shape_metrics){ .shape = shape };
	if (read_shape(it, s) < 0)
		return NULL;
	it->n_shapes++;
	return s;
}

static void take_word(struct items *it, struct vs_obs *o, unsigned i, const char *word)
{
	snprintf(it->words[i], sizeof it->words[i], "%s", word);
	o->word = it->words[i];
	o->has_value = true;
}

/* The value at a place (1 to 4: columns; 5 and more: the array). */
static void take_value(struct items *it, sqlite3_stmt *st, struct vs_obs *o, unsigned i, int place, const json_t *more)
{
	if (place <= 4 && sqlite3_column_type(st, 5 + place) == SQLITE_TEXT) {
		take_word(it, o, i, (const char *)sqlite3_column_text(st, 5 + place));
	} else if (place <= 4) {
		o->value = sqlite3_column_double(st, 5 + place);
		o->has_value = true;
	} else {
		const json_t *v = json_array_get(more, (size_t)place - 5);
		if (json_is_string(v))
			take_word(it, o, i, json_string_value(v));
		else if (json_is_number(v))
			o->value = json_number_value(v), o->has_value = true;
	}
}

static int give_reading(struct items *it, sqlite3_stmt *st, struct vs_log_item *item, struct vs_reading *r)
{
	struct shape_metrics *s = shape_of(it, sqlite3_column_int64(st, 5));
	if (!s)
		return -EIO;
	const char *text = (const char *)sqlite3_column_text(st, 10);
	json_t *more = text ? json_loads(text, 0, NULL) : NULL;
	*r = s->reading;
	for (unsigned i = 0; i < VS_FLAG_OWN_COUNT; i++)
		s->own_flags[i] = s->own[i][0] ? s->own[i] : NULL;
	r->own_flags = s->own_flags;
	for (unsigned i = 0; i < r->len; i++)
		if (s->place[i] > 0)
			take_value(it, st, &r->obs[i], i, s->place[i], more);
	json_decref(more);
	item->device = s->device;
	item->reading = r;
	return 0;
}

static int give(struct items *it, sqlite3_stmt *st, int (*take)(void *arg, const struct vs_log_item *item), void *arg)
{
	struct vs_reading r;
	struct vs_log_item item = {
		.kind = vs_kind_by_name((const char *)sqlite3_column_text(st, 4)),
		.epoch = (uint64_t)sqlite3_column_int64(st, 0), .seq = (uint64_t)sqlite3_column_int64(st, 1),
		.wall_ms = sqlite3_column_int64(st, 2), .boot_ms = sqlite3_column_int64(st, 12), .session = (const char *)sqlite3_column_text(st, 3),
	};
	if (item.kind == VS_KIND_COUNT)
		return 0; /* of a newer version */
	if (item.kind == VS_KIND_VITALS) {
		int rc = give_reading(it, st, &item, &r);
		if (rc < 0)
			return rc;
	} else {
		item.json = (const char *)sqlite3_column_text(st, 11);
		item.json_len = (size_t)sqlite3_column_bytes(st, 11);
	}
	return take(arg, &item) ? 1 : 0;
}

int vs_log_items(struct vs_log *l, const char *session, int64_t before_ms,
		 int (*take)(void *arg, const struct vs_log_item *item), void *arg)
{
	char chair[64];
	struct items it = { .l = l };
	int r = vs_log_session(l, session, chair), rc = SQLITE_ROW;
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	struct vs_log_options o = { .session = session, .chair = chair };
	sqlite3_stmt *st = vs_log_query(l, has_clock(l) ? items_sql : items_sql_without, &o);
	r = st ? 0 : -EIO;
	if (st)
		sqlite3_bind_int64(st, sqlite3_bind_parameter_index(st, ":before"), before_ms);
	it.shape_st = vs_log_query(l, "SELECT device, reading_flags FROM shape WHERE shape = ?1", &o);
	it.metric_st = vs_log_query(l, "SELECT metric, place, own_flags FROM shape_metric WHERE id BETWEEN ?1 * 32 AND ?1 * 32 + 31"
				       " ORDER BY id", &o);
	if (!it.shape_st || !it.metric_st)
		r = -EIO;
	while (r == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW)
		r = give(&it, st, take, arg);
	if (r == 0 && rc != SQLITE_DONE) {
		vs_log_failed(l);
		r = -EIO;
	}
	sqlite3_finalize(st);
	sqlite3_finalize(it.shape_st);
	sqlite3_finalize(it.metric_st);
	free(it.shapes);
	return r < 0 ? r : 0;
}
