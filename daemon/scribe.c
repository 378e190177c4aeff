#include "daemon/scribe_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/clock.h"
#include "record/schema.h"

#define RUN_MS 8388608 /* t of a reading fits into three bytes: a run spans less than 2 h 20 min */
#define RUN_EARLY_MS 60000
#define CLOCKS_APART_MS 20 /* the wall clock was set, or has drifted so far against the other: a row of `clock`, and a new run */

static const char *const sql[STATEMENTS] = {
	[ORIGIN_FIND] = "SELECT origin FROM origin WHERE epoch = ?1 AND chair = ?2 AND site = ?3",
	[ORIGIN_ADD] = "INSERT INTO origin(epoch, chair, site, origin) VALUES(?1, ?2, ?3, :id)",
	[RUN_FIND] = "SELECT run, session, first_seq, start_ms, boot_ms, (SELECT max(id) FROM reading WHERE id BETWEEN run * 8192 AND "
		     "run * 8192 + 8191) FROM run WHERE origin = ?1 AND first_seq <= ?2 ORDER BY first_seq DESC LIMIT 1",
	[RUN_ADD] = "INSERT INTO run(origin, session, first_seq, start_ms, boot_ms, run) VALUES(?1, ?2, ?3, ?4, ?5, :id)",
	[READING_ADD] = "INSERT OR IGNORE INTO reading VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[SHAPE_FIND] = "SELECT shape FROM shape WHERE key = ?1",
	[SHAPE_ADD] = "INSERT INTO shape(device, key, reading_flags, flags, k1, k2, k3, k4, shape)"
		      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, :id)",
	[SHAPE_METRIC_ADD] = "INSERT INTO shape_metric VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
	/* A body that is no JSON would make the views fail for everybody: it is kept as a string. */
	[EVENT_ADD] =
		"INSERT INTO event(origin, kind, seq, at_ms, session, operator, alarm, body, event) SELECT ?1, ?2, ?3, ?4, ?5,"
		" CASE ok WHEN 1 THEN coalesce(json_extract(j, '$.operator'), json_extract(j, '$.by')) END,"
		" CASE ok AND ?2 = 'alarm' WHEN 1 THEN json_extract(j, '$.alarm') END,"
		" CASE ok WHEN 1 THEN ?6 ELSE '\"unreadable\":' || json_quote(?6) END, :id"
		" FROM (SELECT '{' || ?6 || '}' AS j, json_valid('{' || ?6 || '}') AS ok)"
		" WHERE true ON CONFLICT(origin, kind, seq) DO NOTHING",
	/* The first message of a session or an alarm may be in the file before this one. */
	[SESSION_ADD] =
		"INSERT OR IGNORE INTO session SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM carried WHERE what ="
		" 'day ' || substr(?2, 3, 8) AND number >= CAST(substr(?2, 12) AS INTEGER))",
	[ALARM_ADD] =
		"INSERT OR IGNORE INTO alarm SELECT event, alarm, coalesce(CAST(round((julianday(json_extract('{' || body || '}',"
		" '$.onset')) - 2440587.5) * 86400000) AS INTEGER), at_ms) FROM event WHERE event = ?1 AND alarm IS NOT NULL"
		" AND NOT EXISTS (SELECT 1 FROM carried WHERE what = 'alarm id' AND number >= CAST(substr(alarm, 3) AS INTEGER))",
	[STATE_SET] = "INSERT INTO chair_state VALUES(?1, ?2, ?3) ON CONFLICT(chair) DO UPDATE SET at_ms = ?2, state = ?3",
	[EPOCH_ADD] =
		"INSERT OR IGNORE INTO epoch SELECT ?1, ?2, ?3, ?4, ?5, (SELECT CASE WHEN e.ended_ms IS NULL THEN"
		" 'a start that did not end in order: epoch ' || p.epoch ELSE 'an orderly stop at ' ||"
		" strftime('%Y-%m-%dT%H:%M:%fZ', e.ended_ms / 1000.0, 'unixepoch') END"
		" FROM epoch p LEFT JOIN epoch_end e USING(epoch) ORDER BY p.epoch DESC LIMIT 1), ?6",
	[EPOCH_END_ADD] = "INSERT OR IGNORE INTO epoch_end VALUES(?1, ?2)",
	[GAP_ADD] = "INSERT INTO gap(epoch, from_ms, until_ms, readings, reason, gap) VALUES(?1, ?2, ?3, ?4, ?5, :id)",
	[FINDING_ADD] = "INSERT INTO finding(at_ms, text, finding) VALUES(?1, ?2, :id)",
	[SEAL_ADD] = "INSERT INTO seal VALUES(?1, ?2, ?3, ?4, ?5)",
	[PART_ADD] = "INSERT INTO seal_part VALUES(?1, ?2, ?3, ?4, ?5)",
	[PART_LAST] = "SELECT max(last) FROM seal_part WHERE part = ?1 AND last BETWEEN ?2 AND ?3",
	[HEAD_SET] = "UPDATE head SET seal = ?1, rows = ?2, tail = ?3, first_run = ?4, given_up = ?5 WHERE one = 1",
	[CARRIED] = "SELECT number FROM carried WHERE what = ?1",
	[CLOSED_ADD] = "INSERT INTO closed(at_ms, name, reason) VALUES(?1, ?2, ?3)",
	/* What an entry does besides being one (daemon/retention.c). */
	[HOLD_ADD] =
		"INSERT OR IGNORE INTO hold(id, at_ms, session, patient, from_ms, until_ms, reason, operator, uid) SELECT json_extract(j, '$.value'),"
		" at_ms, json_extract(j, '$.of.session'), json_extract(j, '$.of.patient'), json_extract(j, '$.of.from_ms'),"
		" json_extract(j, '$.of.until_ms'), json_extract(j, '$.note'), operator, json_extract(j, '$.uid')"
		" FROM (SELECT at_ms, operator, '{' || body || '}' AS j FROM event WHERE event = ?1)",
	[HOLD_END_ADD] =
		"INSERT OR IGNORE INTO hold_end SELECT h.hold, e.at_ms, json_extract(e.j, '$.note'), e.operator, json_extract(e.j, '$.uid')"
		" FROM (SELECT at_ms, operator, '{' || body || '}' AS j FROM event WHERE event = ?1) e JOIN hold h ON h.id ="
		" json_extract(e.j, '$.value')",
	/* Of a file that is linked, and whose removal is not under way already. */
	[REMOVAL_ADD] =
		"INSERT OR IGNORE INTO removal(at_ms, name, from_ms, until_ms, first_seal, seal, rows, hash, signature, sessions, alarms, readings,"
		" bytes, policy, reason, operator, uid) SELECT e.at_ms, l.name, l.from_ms, l.until_ms, json_extract(e.j, '$.file.first_seal'),"
		" l.seal, l.rows, l.hash, json_extract(e.j, '$.file.signature'), json_extract(e.j, '$.file.sessions'), json_extract(e.j,"
		" '$.file.alarms'), json_extract(e.j, '$.file.readings'), json_extract(e.j, '$.file.bytes'), json_extract(e.j, '$.policy'),"
		" json_extract(e.j, '$.note'), e.operator, json_extract(e.j, '$.uid')"
		" FROM (SELECT at_ms, operator, '{' || body || '}' AS j FROM event WHERE event = ?1) e JOIN link l ON l.name ="
		" json_extract(e.j, '$.value') AND lower(hex(l.hash)) = json_extract(e.j, '$.file.head')"
		" WHERE l.link NOT IN (SELECT link FROM broken) AND NOT EXISTS (SELECT 1 FROM removal r WHERE r.name = l.name AND"
		" r.removal NOT IN (SELECT removal FROM removal_end))",
	[REMOVAL_END_ADD] = "INSERT OR IGNORE INTO removal_end VALUES(?1, ?2, ?3)",
	[LIMIT_TEXT_ADD] = "INSERT OR IGNORE INTO limit_text(hash, name, text) VALUES(?1, ?2, ?3)",
	[LIMIT_SET_ADD] = "INSERT OR IGNORE INTO limit_set(at_ms, name, hash, ground, chain) VALUES(?1, ?2, ?3, ?4, ?5)",
	[CLOCK_ADD] = "INSERT INTO clock(epoch, event, boot_ms, wall_ms, clock) VALUES(?1, ?2, ?3, ?4, :id)",
};
uint32_t vs_scribe_hash(const void *bytes, size_t len)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	for (const uint8_t *p = bytes; len; len--)
		h = (h ^ *p++) * 16777619u;
	return h ^ h >> 15;
}
/* ---- Statements ---- */

static int prepare(struct vs_scribe *s)
{
	int rc = SQLITE_OK;
	for (int i = 0; rc == SQLITE_OK && i < STATEMENTS; i++)
		rc = sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->st[i], NULL);
	for (unsigned t = 0; rc == SQLITE_OK && t < VS_SEAL_TABLES; t++)
		rc = vs_seal_prepare(s->db, t, &s->part[t]);
	return rc;
}

int vs_scribe_run(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);
	sqlite3_reset(st);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

void vs_scribe_text(sqlite3_stmt *st, int i, const char *text)
{
	if (text)
		sqlite3_bind_text(st, i, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(st, i);
}

int vs_scribe_number(sqlite3_stmt *st, int64_t *ret)
{
	int rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		if (sqlite3_column_type(st, 0) == SQLITE_NULL)
			rc = SQLITE_DONE;
		else
			*ret = sqlite3_column_int64(st, 0);
	}
	sqlite3_reset(st);
	return rc;
}

unsigned vs_scribe_table(const char *name)
{
	unsigned t = 0;
	while (strcmp(vs_seal_tables[t].name, name) != 0)
		t++;
	return t;
}

/* Counts a row that was added to a table (not a reading) in the tail. */
static int count_row(struct vs_scribe *s, const char *table, int64_t id)
{
	unsigned t = vs_scribe_table(table);
	sqlite3_stmt *st = s->part[t];
	sqlite3_bind_int64(st, 1, id - 1);
	sqlite3_bind_int64(st, 2, id);
	int rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		vs_row_columns(&s->row, st, 0);
		vs_tail_row(s->tail, table, &s->row);
		s->head.unsealed++;
		rc = s->row.failed ? SQLITE_NOMEM : SQLITE_OK;
	} else if (rc == SQLITE_DONE) {
		rc = SQLITE_CORRUPT; /* it was just written */
	}
	sqlite3_reset(st);
	return rc;
}

int vs_scribe_row(struct vs_scribe *s, enum vs_scribe_statement which, const char *table, int64_t *ret_id)
{
	int64_t *first = &s->first[vs_scribe_table(table)];
	if (*first)
		sqlite3_bind_int64(s->st[which], sqlite3_bind_parameter_index(s->st[which], ":id"), *first);
	int rc = vs_scribe_run(s->st[which]);
	sqlite3_clear_bindings(s->st[which]);
	if (rc != SQLITE_OK)
		return rc;
	if (sqlite3_changes(s->db) == 0) {
		*ret_id = 0;
		return SQLITE_OK;
	}
	*first = 0;
	*ret_id = s->last[vs_scribe_table(table)] = sqlite3_last_insert_rowid(s->db);
	return count_row(s, table, *ret_id);
}
/* ---- Chairs, origins, runs ---- */

static struct vs_scribe_chair *chair_of(struct vs_scribe *s, const char *name)
{
	struct vs_scribe_chair **at = &s->chairs[vs_scribe_hash(name, strlen(name)) % VS_SCRIBE_CHAIRS];
	for (struct vs_scribe_chair *c = *at; c; c = c->next)
		if (strcmp(c->name, name) == 0)
			return c;
	struct vs_scribe_chair *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	snprintf(c->name, sizeof c->name, "%s", name);
	c->next = *at;
	*at = c;
	return c;
}

/* What the files before gave last: a table's number, a topic's.  0: nothing. */
int vs_scribe_carried(struct vs_scribe *s, const char *what, int64_t *ret)
{
	*ret = 0;
	vs_scribe_text(s->st[CARRIED], 1, what);
	int rc = vs_scribe_number(s->st[CARRIED], ret);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int read_marks(struct vs_scribe *s, struct vs_scribe_chair *c)
{
	char what[128];
	int rc = SQLITE_OK;
	for (unsigned k = 0; rc == SQLITE_OK && k < VS_KIND_COUNT; k++) {
		int64_t seq;
		snprintf(what, sizeof what, "%s %llu %s", vs_kind_name(k), (unsigned long long)c->epoch, c->name);
		rc = vs_scribe_carried(s, what, &seq);
		c->mark[k] = (uint64_t)seq;
	}
	return rc;
}

static int find_origin(struct vs_scribe *s, struct vs_scribe_chair *c, const struct vs_event *e)
{
	const char *site = e->site ? e->site : "";
	if (c->origin && c->epoch == e->epoch && strcmp(c->site, site) == 0)
		return SQLITE_OK;
	c->origin = c->run = 0;
	c->epoch = e->epoch;
	snprintf(c->site, sizeof c->site, "%s", site);
	int r = read_marks(s, c);
	if (r != SQLITE_OK)
		return r;
	for (int i = 0; i < 2; i++) {
		sqlite3_stmt *st = s->st[i ? ORIGIN_ADD : ORIGIN_FIND];
		sqlite3_bind_int64(st, 1, (int64_t)e->epoch);
		vs_scribe_text(st, 2, c->name);
		vs_scribe_text(st, 3, c->site);
		if (i)
			return vs_scribe_row(s, ORIGIN_ADD, "origin", &c->origin);
		int rc = vs_scribe_number(st, &c->origin);
		if (rc != SQLITE_DONE)
			return rc == SQLITE_ROW ? SQLITE_OK : rc;
	}
	return SQLITE_ERROR;
}

static bool same_session(const struct vs_scribe_chair *c, const char *session)
{
	return session ? c->has_session && strcmp(c->session, session) == 0 : !c->has_session;
}

static bool run_takes(const struct vs_scribe_chair *c, const struct vs_event *e, int64_t boot_ms)
{
	int64_t t = e->wall_ms - c->start_ms, apart = t - (boot_ms - c->boot_ms);
	if (apart < -CLOCKS_APART_MS || apart > CLOCKS_APART_MS)
		return false;
	return c->run && e->seq >= c->first_seq && e->seq - c->first_seq < VS_RUN_ROWS && t >= -RUN_EARLY_MS && t < RUN_MS &&
	       same_session(c, e->session);
}

static void enter_run(struct vs_scribe *s, struct vs_scribe_chair *c, int64_t run_no, const char *session, uint64_t first_seq,
		      int64_t start_ms, int64_t boot_ms, int64_t last_id)
{
	c->run = run_no;
	c->has_session = session != NULL;
	snprintf(c->session, sizeof c->session, "%s", session ? session : "");
	c->first_seq = first_seq;
	c->start_ms = start_ms;
	c->boot_ms = boot_ms;
	c->last_id = last_id;
	c->listed = false;
	if (run_no < s->first_run)
		s->first_run = run_no;
}

/* The run that has the event's number, or could take it; without one, c->run is 0. */
static int look_for_run(struct vs_scribe *s, struct vs_scribe_chair *c, const struct vs_event *e)
{
	sqlite3_stmt *st = s->st[RUN_FIND];
	c->run = 0;
	sqlite3_bind_int64(st, 1, c->origin);
	sqlite3_bind_int64(st, 2, (int64_t)e->seq);
	int rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		int64_t run_no = sqlite3_column_int64(st, 0);
		int64_t last = sqlite3_column_type(st, 5) == SQLITE_NULL ? run_no * VS_RUN_ROWS - 1 : sqlite3_column_int64(st, 5);
		enter_run(s, c, run_no, (const char *)sqlite3_column_text(st, 1), (uint64_t)sqlite3_column_int64(st, 2),
			  sqlite3_column_int64(st, 3), sqlite3_column_int64(st, 4), last);
	}
	sqlite3_reset(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int find_run(struct vs_scribe *s, struct vs_scribe_chair *c, const struct vs_event *e, int64_t boot_ms)
{
	if (run_takes(c, e, boot_ms))
		return SQLITE_OK;
	int rc = look_for_run(s, c, e);
	if (rc != SQLITE_OK || run_takes(c, e, boot_ms))
		return rc;
	sqlite3_stmt *st = s->st[RUN_ADD];
	sqlite3_bind_int64(st, 1, c->origin);
	vs_scribe_text(st, 2, e->session);
	sqlite3_bind_int64(st, 3, (int64_t)e->seq);
	sqlite3_bind_int64(st, 4, e->wall_ms);
	sqlite3_bind_int64(st, 5, boot_ms);
	int64_t run_no = 0;
	rc = vs_scribe_row(s, RUN_ADD, "run", &run_no);
	if (rc == SQLITE_OK)
		enter_run(s, c, run_no, e->session, e->seq, e->wall_ms, boot_ms, run_no * VS_RUN_ROWS - 1);
	return rc;
}

/* Notes, once between two seals, that the chair's run has rows that are not sealed. */
static int list_run(struct vs_scribe *s, struct vs_scribe_chair *c)
{
	if (c->listed)
		return SQLITE_OK;
	if (s->n_open == s->cap_open) {
		size_t cap = s->cap_open * 2 + 16;
		struct vs_scribe_open *more = realloc(s->open, cap * sizeof *more);
		if (!more)
			return SQLITE_NOMEM;
		s->open = more;
		s->cap_open = cap;
	}
	s->open[s->n_open++] = (struct vs_scribe_open){ c->run, c->last_id };
	c->listed = true;
	return SQLITE_OK;
}
/* ---- Readings and events ---- */

/* One value into the statement and the row's text: as a whole number where it is one, else with the 12 digits that
 * were published. */
static void put_value(struct vs_scribe *s, sqlite3_stmt *st, int i, const struct vs_obs *o)
{
	if (o->word) {
		vs_scribe_text(st, i, o->word);
		vs_row_chars(&s->row, o->word, strlen(o->word));
	} else if (fabs(o->value) < 1e15 && o->value == (double)(int64_t)o->value) {
		sqlite3_bind_int64(st, i, (int64_t)o->value);
		vs_row_int(&s->row, (int64_t)o->value);
	} else {
		double v = vs_number_rounded(o->value);
		sqlite3_bind_double(st, i, v);
		vs_row_real(&s->row, v);
	}
}

static void put_more(struct vs_scribe *s, sqlite3_stmt *st, const struct vs_reading *r, unsigned i)
{
	char text[1024];
	struct vs_json j = vs_json_into(text, sizeof text);
	vs_json_open(&j, '[');
	for (; i < r->len; i++) {
		const struct vs_obs *o = &r->obs[i];
		if (o->has_value && o->word)
			vs_json_string(&j, o->word);
		else if (o->has_value)
			vs_json_number(&j, o->value);
	}
	vs_json_close(&j, ']');
	sqlite3_bind_text(st, 8, text, -1, SQLITE_TRANSIENT);
	vs_row_chars(&s->row, text, strlen(text));
}

static void put_values(struct vs_scribe *s, sqlite3_stmt *st, const struct vs_reading *r)
{
	int place = 0;
	unsigned i = 0;
	for (; i < r->len && place < 4; i++)
		if (r->obs[i].has_value)
			put_value(s, st, 4 + place++, &r->obs[i]);
	for (; place < 4; place++) {
		sqlite3_bind_null(st, 4 + place);
		vs_row_null(&s->row);
	}
	while (i < r->len && !r->obs[i].has_value)
		i++;
	if (i < r->len) {
		put_more(s, st, r, i);
	} else {
		sqlite3_bind_null(st, 8);
		vs_row_null(&s->row);
	}
}

static int add_reading(struct vs_scribe *s, struct vs_scribe_chair *c, const struct vs_event *e, int64_t boot_ms)
{
	int64_t shape = 0;
	int rc = find_run(s, c, e, boot_ms);
	if (rc == SQLITE_OK)
		rc = vs_scribe_shape(s, e, &shape);
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_stmt *st = s->st[READING_ADD];
	int64_t id = c->run * VS_RUN_ROWS + (int64_t)(e->seq - c->first_seq), t = e->wall_ms - c->start_ms;
	sqlite3_bind_int64(st, 1, id);
	sqlite3_bind_int64(st, 2, shape);
	sqlite3_bind_int64(st, 3, t);
	vs_row_begin(&s->row);
	vs_row_int(&s->row, id), vs_row_int(&s->row, shape), vs_row_int(&s->row, t);
	put_values(s, st, e->reading);
	vs_row_end(&s->row);
	rc = vs_scribe_run(st);
	if (rc != SQLITE_OK || sqlite3_changes(s->db) == 0)
		return rc;
	rc = s->row.failed ? SQLITE_NOMEM : list_run(s, c);
	vs_tail_row(s->tail, "reading", &s->row);
	s->head.unsealed++;
	c->last_id = id;
	s->added++;
	return rc;
}

/* Entries of the daemon's own that say what is to be kept and what not: each has a row of its own too. */
static int add_deed(struct vs_scribe *s, int64_t event, const struct vs_event *e)
{
	static const struct {
		const char *begin;
		enum vs_scribe_statement add;
		const char *table;
	} deeds[] = { { "\"entry\":\"legal-hold\",", HOLD_ADD, "hold" }, { "\"entry\":\"hold-release\",", HOLD_END_ADD, "hold_end" },
		      { "\"entry\":\"removal\",", REMOVAL_ADD, "removal" } };
	int64_t more;
	for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++) {
		size_t len = strlen(deeds[i].begin);
		if (e->body_len < len || memcmp(e->body, deeds[i].begin, len) != 0)
			continue;
		sqlite3_bind_int64(s->st[deeds[i].add], 1, event);
		return vs_scribe_row(s, deeds[i].add, deeds[i].table, &more);
	}
	return SQLITE_OK;
}

static int add_event(struct vs_scribe *s, struct vs_scribe_chair *c, const struct vs_event *e)
{
	sqlite3_stmt *st = s->st[EVENT_ADD];
	int64_t id = 0, more = 0;
	sqlite3_bind_int64(st, 1, c->origin);
	vs_scribe_text(st, 2, vs_kind_name(e->kind));
	sqlite3_bind_int64(st, 3, (int64_t)e->seq);
	sqlite3_bind_int64(st, 4, e->wall_ms);
	vs_scribe_text(st, 5, e->session);
	sqlite3_bind_text(st, 6, e->body ? e->body : "", (int)e->body_len, SQLITE_STATIC);
	int rc = vs_scribe_row(s, EVENT_ADD, "event", &id);
	if (rc != SQLITE_OK || id == 0)
		return rc;
	s->added++;
	s->last_event = id;
	if (e->kind == VS_KIND_SESSION && e->session) {
		st = s->st[SESSION_ADD];
		sqlite3_bind_int64(st, 1, id);
		vs_scribe_text(st, 2, e->session);
		sqlite3_bind_int64(st, 3, e->wall_ms);
		rc = vs_scribe_row(s, SESSION_ADD, "session", &more);
	}
	if (e->kind == VS_KIND_ALARM) {
		sqlite3_bind_int64(s->st[ALARM_ADD], 1, id);
		rc = vs_scribe_row(s, ALARM_ADD, "alarm", &more);
	}
	return rc == SQLITE_OK && e->kind == VS_KIND_ENTRY ? add_deed(s, id, e) : rc;
}

static int keep_state(struct vs_scribe_chair *c, const void *bytes, size_t len, int64_t at_ms)
{
	if (len > c->state_cap || !c->state) {
		void *more = realloc(c->state, len ? len : 1);
		if (!more)
			return SQLITE_NOMEM;
		c->state = more;
		c->state_cap = len;
	}
	if (len)
		memcpy(c->state, bytes, len);
	c->state_len = len;
	c->state_ms = at_ms;
	c->state_waits = true;
	return SQLITE_OK;
}

void vs_scribe_states(const struct vs_scribe *s, void (*take)(void *arg, const char *chair, const void *bytes, size_t len), void *arg)
{
	for (size_t i = 0; i < VS_SCRIBE_CHAIRS; i++)
		for (const struct vs_scribe_chair *c = s->chairs[i]; c; c = c->next)
			if (c->state)
				take(arg, c->name, c->state, c->state_len);
}

int vs_scribe_carry(struct vs_scribe *s, const char *chair, const void *bytes, size_t len, int64_t at_ms)
{
	struct vs_scribe_chair *c = chair_of(s, chair);
	if (!c)
		return SQLITE_NOMEM;
	return c->state ? SQLITE_OK : keep_state(c, bytes, len, at_ms);
}

/* How the clocks stand to one another, where that is news. */
static int note_clocks(struct vs_scribe *s, const struct vs_event *e, int64_t boot_ms)
{
	int64_t offset = e->wall_ms - boot_ms, apart = offset - s->clock_offset, id;
	if (s->clock_epoch == e->epoch && apart > -CLOCKS_APART_MS && apart < CLOCKS_APART_MS)
		return SQLITE_OK;
	sqlite3_stmt *st = s->st[CLOCK_ADD];
	sqlite3_bind_int64(st, 1, (int64_t)e->epoch);
	sqlite3_bind_int64(st, 2, s->last_event + 1);
	sqlite3_bind_int64(st, 3, boot_ms);
	sqlite3_bind_int64(st, 4, e->wall_ms);
	s->clock_epoch = e->epoch;
	s->clock_offset = offset;
	return vs_scribe_row(s, CLOCK_ADD, "clock", &id);
}

static int add(struct vs_scribe *s, const struct vs_custody_record *r)
{
	const struct vs_event *e = &r->event;
	struct vs_scribe_chair *c = chair_of(s, e->chair);
	if (!c)
		return SQLITE_NOMEM;
	if (r->is_state)
		return keep_state(c, r->state, r->state_len, r->event.wall_ms);
	if (e->kind == VS_KIND_ALIVE)
		return SQLITE_OK;
	int rc = find_origin(s, c, e);
	if (rc != SQLITE_OK || e->seq <= c->mark[e->kind])
		return rc;
	rc = note_clocks(s, e, (int64_t)r->boot_ms);
	if (rc != SQLITE_OK)
		return rc;
	return e->kind == VS_KIND_VITALS ? add_reading(s, c, e, (int64_t)r->boot_ms) : add_event(s, c, e);
}

int vs_scribe_add(struct vs_scribe *s, const struct vs_custody_record *r)
{
	int rc = add(s, r);
	if ((rc & 0xff) != SQLITE_CONSTRAINT && (rc & 0xff) != SQLITE_MISMATCH && (rc & 0xff) != SQLITE_TOOBIG)
		return rc;
	char text[256];
	snprintf(text, sizeof text, "a message could not be recorded: %s/%s, epoch %llu, seq %llu: %s",
		 vs_kind_name(r->event.kind), r->event.chair, (unsigned long long)r->event.epoch,
		 (unsigned long long)r->event.seq, sqlite3_errmsg(s->db));
	return vs_scribe_finding(s, r->event.wall_ms, text);
}

/* ---- Rows about the log itself ---- */

int vs_scribe_epoch(struct vs_scribe *s, uint64_t epoch, int64_t at_ms, const char *site, const char *config_hash,
		    const char *version, const uint8_t *public_key)
{
	sqlite3_stmt *st = s->st[EPOCH_ADD];
	int64_t id;
	sqlite3_bind_int64(st, 1, (int64_t)epoch);
	sqlite3_bind_int64(st, 2, at_ms);
	vs_scribe_text(st, 3, site);
	vs_scribe_text(st, 4, config_hash);
	vs_scribe_text(st, 5, version);
	if (public_key)
		sqlite3_bind_blob(st, 6, public_key, VS_KEY_PUBLIC, SQLITE_STATIC);
	return vs_scribe_row(s, EPOCH_ADD, "epoch", &id);
}

int vs_scribe_epoch_end(struct vs_scribe *s, uint64_t epoch, int64_t at_ms)
{
	int64_t id;
	sqlite3_bind_int64(s->st[EPOCH_END_ADD], 1, (int64_t)epoch);
	sqlite3_bind_int64(s->st[EPOCH_END_ADD], 2, at_ms);
	return vs_scribe_row(s, EPOCH_END_ADD, "epoch_end", &id);
}

int vs_scribe_gap(struct vs_scribe *s, uint64_t epoch, int64_t from_ms, int64_t until_ms, uint64_t given_up,
		  const char *reason)
{
	sqlite3_stmt *st = s->st[GAP_ADD];
	int64_t id;
	sqlite3_bind_int64(st, 1, (int64_t)epoch);
	sqlite3_bind_int64(st, 2, from_ms);
	sqlite3_bind_int64(st, 3, until_ms);
	sqlite3_bind_int64(st, 4, given_up > s->head.given_up ? (int64_t)(given_up - s->head.given_up) : 0);
	vs_scribe_text(st, 5, reason);
	int rc = vs_scribe_row(s, GAP_ADD, "gap", &id);
	s->head.given_up = given_up;
	return rc;
}

int vs_scribe_finding(struct vs_scribe *s, int64_t at_ms, const char *text)
{
	int64_t id;
	sqlite3_bind_int64(s->st[FINDING_ADD], 1, at_ms);
	vs_scribe_text(s->st[FINDING_ADD], 2, text);
	return vs_scribe_row(s, FINDING_ADD, "finding", &id);
}

int vs_scribe_removal_end(struct vs_scribe *s, int64_t removal, int64_t at_ms, const char *outcome)
{
	int64_t id;
	sqlite3_bind_int64(s->st[REMOVAL_END_ADD], 1, removal);
	sqlite3_bind_int64(s->st[REMOVAL_END_ADD], 2, at_ms);
	vs_scribe_text(s->st[REMOVAL_END_ADD], 3, outcome);
	return vs_scribe_row(s, REMOVAL_END_ADD, "removal_end", &id);
}

int vs_scribe_limits(struct vs_scribe *s, int64_t at_ms, const char *name, const char *hash, const struct vs_limit_text *texts,
		     unsigned n)
{
	char chain[VS_LIMIT_TEXTS * 70 + 3] = "[";
	int64_t id;
	for (unsigned i = 0; i < n; i++) {
		sqlite3_stmt *st = s->st[LIMIT_TEXT_ADD];
		vs_scribe_text(st, 1, texts[i].hash);
		vs_scribe_text(st, 2, texts[i].name);
		sqlite3_bind_text64(st, 3, texts[i].bytes, texts[i].len, SQLITE_STATIC, SQLITE_UTF8);
		int rc = vs_scribe_row(s, LIMIT_TEXT_ADD, "limit_text", &id);
		if (rc != SQLITE_OK)
			return rc;
		size_t len = strlen(chain);
		if (i > 0)
			snprintf(chain + len, sizeof chain - len, "%s\"%.64s\"", i > 1 ? "," : "", texts[i].hash);
	}
	strcat(chain, "]");
	sqlite3_stmt *st = s->st[LIMIT_SET_ADD];
	sqlite3_bind_int64(st, 1, at_ms);
	vs_scribe_text(st, 2, name);
	vs_scribe_text(st, 3, hash);
	vs_scribe_text(st, 4, texts[0].hash);
	vs_scribe_text(st, 5, chain);
	return vs_scribe_row(s, LIMIT_SET_ADD, "limit_set", &id);
}
/* ---- Transactions ---- */

int vs_scribe_begin(struct vs_scribe *s)
{
	return sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
}

static int write_states(struct vs_scribe *s)
{
	for (size_t i = 0; i < VS_SCRIBE_CHAIRS; i++)
		for (struct vs_scribe_chair *c = s->chairs[i]; c; c = c->next) {
			if (!c->state_waits)
				continue;
			sqlite3_stmt *st = s->st[STATE_SET];
			vs_scribe_text(st, 1, c->name);
			sqlite3_bind_int64(st, 2, c->state_ms);
			sqlite3_bind_blob64(st, 3, c->state_len ? c->state : "", c->state_len, SQLITE_STATIC);
			int rc = vs_scribe_run(st);
			if (rc != SQLITE_OK)
				return rc;
			c->state_waits = false;
		}
	return SQLITE_OK;
}

static int write_head(struct vs_scribe *s)
{
	sqlite3_stmt *st = s->st[HEAD_SET];
	sqlite3_bind_int64(st, 1, s->head.seal);
	sqlite3_bind_int64(st, 2, s->head.unsealed);
	sqlite3_bind_blob(st, 3, s->tail, VS_HASH, SQLITE_STATIC);
	sqlite3_bind_int64(st, 4, s->first_run);
	sqlite3_bind_int64(st, 5, (int64_t)s->head.given_up);
	return vs_scribe_run(st);
}

int vs_scribe_commit(struct vs_scribe *s)
{
	int rc = write_states(s);
	if (rc == SQLITE_OK)
		rc = write_head(s);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		s->committed = s->head;
	return rc;
}

/* ---- Beginning ---- */

static int read_head(struct vs_scribe *s)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, "SELECT h.seal, h.rows, h.tail, h.first_run, h.given_up, s.at_ms, s.rows, s.hash"
					   " FROM head h LEFT JOIN seal s ON s.seal = h.seal", -1, &st, NULL);
	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW && sqlite3_column_bytes(st, 2) == VS_HASH) {
		s->head = (struct vs_scribe_head){ .seal = sqlite3_column_int64(st, 0), .unsealed = sqlite3_column_int64(st, 1),
			.given_up = (uint64_t)sqlite3_column_int64(st, 4), .at_ms = sqlite3_column_int64(st, 5),
			.rows = sqlite3_column_int64(st, 6) };
		memcpy(s->tail, sqlite3_column_blob(st, 2), VS_HASH);
		s->first_run = sqlite3_column_int64(st, 3);
		if (sqlite3_column_bytes(st, 7) == VS_HASH)
			memcpy(s->head.hash, sqlite3_column_blob(st, 7), VS_HASH);
		rc = s->head.seal == 0 || sqlite3_column_bytes(st, 7) == VS_HASH ? SQLITE_OK : SQLITE_CORRUPT;
	} else if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
		rc = SQLITE_CORRUPT;
	}
	sqlite3_finalize(st);
	return rc;
}

/* The last sealed row of a table, or of a run. */
static int last_sealed(struct vs_scribe *s, unsigned table, int64_t low, int64_t high, int64_t *ret)
{
	sqlite3_stmt *st = s->st[PART_LAST];
	vs_scribe_text(st, 1, vs_seal_tables[table].name);
	sqlite3_bind_int64(st, 2, low);
	sqlite3_bind_int64(st, 3, high);
	int rc = vs_scribe_number(st, ret);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The last message, and how the clocks stood to one another when it was recorded. */
static int read_clock(struct vs_scribe *s)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, "SELECT coalesce((SELECT max(event) FROM event), (SELECT max(number) FROM carried WHERE what ="
					   " 'event'), 0), (SELECT epoch FROM clock ORDER BY clock DESC LIMIT 1), (SELECT wall_ms - boot_ms"
					   " FROM clock ORDER BY clock DESC LIMIT 1)", -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		s->last_event = sqlite3_column_int64(st, 0);
		s->clock_epoch = (uint64_t)sqlite3_column_int64(st, 1);
		s->clock_offset = sqlite3_column_int64(st, 2);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return rc;
}

/* Finds the runs with rows behind the last seal. */
static int find_open_runs(struct vs_scribe *s)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, "SELECT run, (SELECT max(id) FROM reading WHERE id BETWEEN run * 8192 AND run * 8192 "
					   "+ 8191) FROM run WHERE run >= ?1 ORDER BY run", -1, &st, NULL);
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_int64(st, 1, s->first_run);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		int64_t run_no = sqlite3_column_int64(st, 0), low = run_no * VS_RUN_ROWS;
		struct vs_scribe_chair c = { .run = run_no, .last_id = low - 1 };
		rc = last_sealed(s, VS_SEAL_READING, low, low + VS_RUN_ROWS - 1, &c.last_id);
		if (rc == SQLITE_OK && sqlite3_column_int64(st, 1) > c.last_id)
			rc = list_run(s, &c);
		if (rc != SQLITE_OK)
			break;
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

struct recount {
	uint8_t tail[VS_HASH];
	int64_t rows;
	const char *part;
};

static void recount_row(void *arg, const struct vs_row_text *t)
{
	struct recount *r = arg;
	vs_tail_row(r->tail, r->part, t);
	r->rows++;
}

static int recount_part(struct vs_scribe *s, struct recount *r, unsigned table, int64_t after, int64_t upto)
{
	uint8_t digest[VS_HASH];
	int64_t rows, last;
	r->part = vs_seal_tables[table].name;
	return vs_seal_digest(s->part[table], after, upto, &s->row, &rows, &last, digest, recount_row, r);
}

/* Counts what is behind the last seal again, from the rows themselves. */
static int recount_tail(struct vs_scribe *s, struct recount *r)
{
	int rc = SQLITE_OK;
	for (unsigned t = 0; rc == SQLITE_OK && t < VS_SEAL_READING; t++)
		rc = recount_part(s, r, t, s->sealed[t], INT64_MAX);
	for (size_t i = 0; rc == SQLITE_OK && i < s->n_open; i++)
		rc = recount_part(s, r, VS_SEAL_READING, s->open[i].after, s->open[i].run * VS_RUN_ROWS + VS_RUN_ROWS - 1);
	return rc;
}

static int seal_what_was_left(struct vs_scribe *s, const struct vs_key *key)
{
	struct recount r = { .rows = 0 };
	int rc = recount_tail(s, &r);
	if (rc != SQLITE_OK || (r.rows == 0 && s->head.unsealed == 0))
		return rc;
	bool differs = r.rows != s->head.unsealed || memcmp(r.tail, s->tail, VS_HASH) != 0;
	int64_t now = vs_wall_ms();
	int64_t expected = s->head.unsealed, first_run = s->first_run;
	rc = vs_scribe_begin(s);
	if (rc != SQLITE_OK)
		return rc;
	s->head.unsealed = r.rows;
	if (differs) {
		char text[256];
		snprintf(text, sizeof text, "rows after seal %lld do not match their checksum (%lld rows, %lld expected): they "
			 "were changed, added or removed while vitalsd did not run", (long long)s->head.seal,
			 (long long)r.rows, (long long)expected);
		rc = vs_scribe_finding(s, now, text);
	}
	if (rc == SQLITE_OK)
		rc = vs_scribe_seal(s, now, key, false);
	s->first_run = first_run;
	return rc == SQLITE_OK ? vs_scribe_commit(s) : rc;
}

int vs_scribe_create(sqlite3 *db, const struct vs_key *key, struct vs_scribe **ret)
{
	struct vs_scribe *s = calloc(1, sizeof *s);
	if (!s) {
		sqlite3_close(db);
		return SQLITE_NOMEM;
	}
	s->db = db;
	int rc = prepare(s);
	if (rc == SQLITE_OK)
		rc = read_head(s);
	for (unsigned t = 0; rc == SQLITE_OK && t < VS_SEAL_READING; t++)
		rc = last_sealed(s, t, INT64_MIN, INT64_MAX, &s->sealed[t]);
	if (rc == SQLITE_OK)
		rc = vs_scribe_read_first(s);
	if (rc == SQLITE_OK)
		rc = read_clock(s);
	if (rc == SQLITE_OK)
		rc = find_open_runs(s);
	s->committed = s->head;
	if (rc == SQLITE_OK)
		rc = seal_what_was_left(s, key);
	for (unsigned t = 0; t < VS_SEAL_READING; t++)
		s->last[t] = s->sealed[t] > 0 ? s->sealed[t] : s->first[t] > 0 ? s->first[t] - 1 : 0;
	if (rc != SQLITE_OK) {
		vs_scribe_destroy(s);
		return rc;
	}
	*ret = s;
	return SQLITE_OK;
}

sqlite3 *vs_scribe_leave(struct vs_scribe *s)
{
	sqlite3 *db = s->db;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(s->st[i]);
	for (unsigned t = 0; t < VS_SEAL_TABLES; t++)
		sqlite3_finalize(s->part[t]);
	vs_scribe_forget_shapes(s);
	for (size_t i = 0; i < VS_SCRIBE_CHAIRS; i++)
		for (struct vs_scribe_chair *c; (c = s->chairs[i]);) {
			s->chairs[i] = c->next;
			free(c->state);
			free(c);
		}
	free(s->open);
	vs_row_finish(&s->row);
	if (!sqlite3_get_autocommit(db))
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	free(s);
	return db;
}

void vs_scribe_destroy(struct vs_scribe *s)
{
	if (s)
		sqlite3_close(vs_scribe_leave(s));
}

void vs_scribe_end(const struct vs_scribe *s, struct vs_scribe_end *ret)
{
	ret->head = s->committed;
	memcpy(ret->last, s->last, sizeof ret->last);
}

const struct vs_scribe_head *vs_scribe_head(const struct vs_scribe *s)
{
	return &s->head;
}

uint64_t vs_scribe_added(const struct vs_scribe *s)
{
	return s->added;
}

sqlite3 *vs_scribe_db(const struct vs_scribe *s)
{
	return s->db;
}
