/* Rows against the seals over them. */
#include "clients/ctl/audit_verify_inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/timetext.h"

unsigned vs_verify_table(const char *name)
{
	unsigned t = 0;
	while (t < VS_SEAL_TABLES && strcmp(vs_seal_tables[t].name, name) != 0)
		t++;
	return t;
}

/* "chair-1, readings 40211 to 40270, 2026-11-21T22:21:39.512Z to ..." of readings; "event 12 to 40" of others. */
static void name_rows(struct vs_verifying *v, unsigned table, int64_t first, int64_t last, char *buf, size_t cap)
{
	sqlite3_stmt *st = NULL;
	snprintf(buf, cap, "%s, rows %" PRId64 " to %" PRId64, vs_seal_tables[table].name, first, last);
	if (table != VS_SEAL_READING)
		return;
	if (sqlite3_prepare_v2(v->db,
			       "SELECT o.chair, u.first_seq, u.start_ms, o.epoch, (SELECT min(t) FROM reading WHERE id BETWEEN ?2 AND"
			       " ?3), (SELECT max(t) FROM reading WHERE id BETWEEN ?2 AND ?3) FROM run u LEFT JOIN origin o"
			       " USING(origin) WHERE u.run = ?1", -1, &st, NULL) == SQLITE_OK) {
		sqlite3_bind_int64(st, 1, last / VS_RUN_ROWS);
		sqlite3_bind_int64(st, 2, first);
		sqlite3_bind_int64(st, 3, last);
		if (sqlite3_step(st) == SQLITE_ROW) {
			char from[VS_TIME_TEXT_CAP], until[VS_TIME_TEXT_CAP];
			int64_t seq = sqlite3_column_int64(st, 1), start = sqlite3_column_int64(st, 2);
			int64_t epoch = sqlite3_column_int64(st, 3);
			const char *chair = (const char *)sqlite3_column_text(st, 0);
			vs_time_text(start + sqlite3_column_int64(st, 4), from);
			vs_time_text(start + sqlite3_column_int64(st, 5), until);
			snprintf(buf, cap, "%s, epoch %" PRId64 ", readings %" PRId64 " to %" PRId64 ", %s to %s",
				 chair ? chair : "a chair that is gone", epoch, seq + first % VS_RUN_ROWS,
				 seq + last % VS_RUN_ROWS, from, until);
		}
	}
	sqlite3_finalize(st);
}

/* ---- Rows against their parts ---- */

struct walk {
	struct vs_verifying *v;
	unsigned table;
	size_t next, end; /* parts of this table that are still to come */
	crypto_hash_sha256_state sha;
	int64_t rows, first, before; /* before: the last row of the part before (of readings: in the same run) */
};

static int64_t run_of(const struct walk *w, int64_t id)
{
	return w->table == VS_SEAL_READING ? id >> 13 : 0;
}

static void begin_part(struct walk *w)
{
	crypto_hash_sha256_init(&w->sha);
	vs_row_begin(&w->v->row);
	w->rows = 0;
}

/* Rows are hashed many at a time. */
static void hash_gathered(struct walk *w)
{
	crypto_hash_sha256_update(&w->sha, (const uint8_t *)w->v->row.buf, w->v->row.len);
	vs_row_begin(&w->v->row);
}

static void end_part(struct walk *w)
{
	struct vs_verify_part *p = &w->v->parts[w->next++];
	uint8_t digest[VS_HASH];
	char place[256];
	hash_gathered(w);
	crypto_hash_sha256_final(&w->sha, digest);
	p->met = true;
	if (w->rows != p->rows || memcmp(digest, p->digest, VS_HASH) != 0) {
		int64_t first = w->next >= 2 && w->v->parts[w->next - 2].table == p->table &&
				run_of(w, w->v->parts[w->next - 2].last) == run_of(w, p->last)
					? w->v->parts[w->next - 2].last + 1
				: w->table == VS_SEAL_READING ? run_of(w, p->last) * VS_RUN_ROWS : 0;
		name_rows(w->v, w->table, first, p->last, place, sizeof place);
		if (w->rows < p->rows)
			vs_verify_finding(w->v, place, "%" PRId64 " of %" PRId64 " rows were removed since seal %" PRId64, p->rows - w->rows,
				p->rows, p->seal);
		else if (w->rows > p->rows)
			vs_verify_finding(w->v, place, "%" PRId64 " rows were added to the %" PRId64 " under seal %" PRId64, w->rows - p->rows,
				p->rows, p->seal);
		else
			vs_verify_finding(w->v, place, "rows are not as they were under seal %" PRId64 ": changed, or put in another order",
				p->seal);
	}
	begin_part(w);
}

static void tell_progress(struct vs_verifying *v)
{
	if (v->out->rows % VS_VERIFY_PROGRESS_ROWS == 0)
		v->progress->rows += VS_VERIFY_PROGRESS_ROWS;
}

static void take_row(struct walk *w, sqlite3_stmt *st)
{
	struct vs_verifying *v = w->v;
	int64_t id = sqlite3_column_int64(st, 0);
	while (w->next < w->end && v->parts[w->next].last < id)
		end_part(w);
	if (w->next < w->end && run_of(w, v->parts[w->next].last) == run_of(w, id)) {
		vs_row_gather(&v->row, st, 0);
		if (v->row.len >= VS_ROWS_GATHERED)
			hash_gathered(w);
		w->rows++;
		v->out->rows++;
		tell_progress(v);
	} else {
		vs_row_columns(&v->row, st, 0); /* between two parts nothing is gathered */
		vs_tail_row(v->tail, vs_seal_tables[w->table].name, &v->row);
		vs_row_begin(&v->row);
		v->tail_rows++;
	}
}

void vs_verify_walk_table(struct vs_verifying *v, unsigned table, size_t *part)
{
	struct walk w = { .v = v, .table = table, .next = *part, .end = *part };
	sqlite3_stmt *st = NULL;
	while (w.end < v->n_parts && v->parts[w.end].table == table)
		w.end++;
	begin_part(&w);
	int rc = vs_seal_prepare(v->db, table, &st);
	if (rc == SQLITE_OK) {
		sqlite3_bind_int64(st, 1, INT64_MIN);
		sqlite3_bind_int64(st, 2, INT64_MAX);
		while ((rc = sqlite3_step(st)) == SQLITE_ROW)
			take_row(&w, st);
	}
	while (w.next < w.end)
		end_part(&w);
	sqlite3_finalize(st);
	*part = w.end;
	if (rc != SQLITE_DONE)
		vs_verify_finding(v, vs_seal_tables[table].name, "the table cannot be read to its end: %s", sqlite3_errmsg(v->db));
}

/* ---- One session's rows ---- */

/* Rows of a part that is in doubt: of tables with few rows all are. */
static bool is_small(unsigned table)
{
	static const char *const large[] = { "event", "session", "alarm", "run", "reading" };
	for (size_t i = 0; i < sizeof large / sizeof *large; i++)
		if (strcmp(vs_seal_tables[table].name, large[i]) == 0)
			return false;
	return true;
}

/* The part that covers a row; n_parts: it waits for its seal. */
static size_t part_of(const struct vs_verifying *v, unsigned table, int64_t id)
{
	size_t low = 0, high = v->n_parts;
	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct vs_verify_part *p = &v->parts[mid];
		if (p->table < table || (p->table == table && p->last < id))
			low = mid + 1;
		else
			high = mid;
	}
	return low < v->n_parts && v->parts[low].table == table ? low : v->n_parts;
}

/* Where a part begins: behind the one before it, of readings in the same run. */
static int64_t begin_of(const struct vs_verifying *v, size_t i)
{
	const struct vs_verify_part *p = &v->parts[i], *q = i ? p - 1 : NULL;
	bool reading = p->table == VS_SEAL_READING;
	if (q && q->table == p->table && (!reading || q->last / VS_RUN_ROWS == p->last / VS_RUN_ROWS))
		return q->last;
	return reading ? p->last / VS_RUN_ROWS * VS_RUN_ROWS - 1 : INT64_MIN;
}

static void check_part(struct vs_verifying *v, size_t i)
{
	struct vs_verify_part *p = &v->parts[i];
	uint8_t digest[VS_HASH];
	char place[256];
	int64_t rows = 0, last = 0, after = begin_of(v, i);
	sqlite3_stmt *st = NULL;
	int rc = vs_seal_prepare(v->db, p->table, &st);
	if (rc == SQLITE_OK)
		rc = vs_seal_digest(st, after, p->last, &v->row, &rows, &last, digest, NULL, NULL);
	sqlite3_finalize(st);
	p->met = true;
	v->out->rows += rows;
	if (rc == SQLITE_OK && rows == p->rows && memcmp(digest, p->digest, VS_HASH) == 0)
		return;
	name_rows(v, p->table, after == INT64_MIN ? 0 : after + 1, p->last, place, sizeof place);
	if (rc != SQLITE_OK)
		vs_verify_finding(v, place, "they cannot be read: %s", sqlite3_errmsg(v->db));
	else if (rows != p->rows)
		vs_verify_finding(v, place, "there are %" PRId64 " rows, and %" PRId64 " under seal %" PRId64, rows, p->rows, p->seal);
	else
		vs_verify_finding(v, place, "rows are not as they were under seal %" PRId64 ": changed, or put in another order", p->seal);
}

/* The parts in which a statement's numbers are: with span, all from the first to the second number. */
static void check_numbers(struct vs_verifying *v, const char *table, const char *sql, bool span)
{
	sqlite3_stmt *st = NULL;
	unsigned t = vs_verify_table(table);
	int rc = sqlite3_prepare_v2(v->db, sql, -1, &st, NULL);
	if (rc == SQLITE_OK)
		sqlite3_bind_text(st, 1, v->session, -1, SQLITE_STATIC);
	while (rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
		int64_t id = sqlite3_column_int64(st, 0), until = span ? sqlite3_column_int64(st, 1) : id;
		for (size_t i = part_of(v, t, id); i < v->n_parts && v->parts[i].table == t; i++) {
			if (span && v->parts[i].last > until)
				break; /* of the next run */
			if (!v->parts[i].met)
				check_part(v, i);
			if (v->parts[i].last >= until)
				break;
		}
	}
	sqlite3_finalize(st);
	if (rc != SQLITE_OK)
		vs_verify_finding(v, table, "it cannot be asked: %s", sqlite3_errmsg(v->db));
}

struct tail {
	struct vs_verifying *v;
	const char *part;
};

static void tail_row(void *arg, const struct vs_row_text *t)
{
	struct tail *tail = arg;
	vs_tail_row(tail->v->tail, tail->part, t);
	tail->v->tail_rows++;
}

static void add_tail(struct vs_verifying *v, unsigned table, int64_t after, int64_t upto)
{
	struct tail tail = { v, vs_seal_tables[table].name };
	uint8_t digest[VS_HASH];
	int64_t rows, last;
	sqlite3_stmt *st = NULL;
	int rc = vs_seal_prepare(v->db, table, &st);
	if (rc == SQLITE_OK)
		rc = vs_seal_digest(st, after, upto, &v->row, &rows, &last, digest, tail_row, &tail);
	sqlite3_finalize(st);
	if (rc != SQLITE_OK)
		vs_verify_finding(v, vs_seal_tables[table].name, "the table cannot be read to its end: %s", sqlite3_errmsg(v->db));
}

/* Rows that wait for their seal, of whatever session. */
static void check_tail(struct vs_verifying *v)
{
	sqlite3_stmt *st = NULL;
	for (unsigned t = 0; t < VS_SEAL_READING; t++) {
		size_t i = part_of(v, t + 1, INT64_MIN);
		while (i > 0 && (i == v->n_parts || v->parts[i].table > t))
			i--;
		bool sealed = v->n_parts && v->parts[i].table == t;
		if (vs_seal_tables[t].since <= v->version)
			add_tail(v, t, sealed ? v->parts[i].last : INT64_MIN, INT64_MAX);
	}
	if (sqlite3_prepare_v2(v->db, "SELECT run FROM run WHERE run >= (SELECT first_run FROM head)", -1, &st, NULL) == SQLITE_OK)
		while (sqlite3_step(st) == SQLITE_ROW) {
			int64_t low = sqlite3_column_int64(st, 0) * VS_RUN_ROWS, after = low - 1;
			for (size_t i = part_of(v, VS_SEAL_READING, low);
			     i < v->n_parts && v->parts[i].last < low + VS_RUN_ROWS; i++)
				after = v->parts[i].last;
			add_tail(v, VS_SEAL_READING, after, low + VS_RUN_ROWS - 1);
		}
	sqlite3_finalize(st);
}

/* All parts that have rows of the session, or rows that these lean on. */
void vs_verify_check_session(struct vs_verifying *v)
{
	for (size_t i = 0; i < v->n_parts; i++)
		if (is_small(v->parts[i].table))
			check_part(v, i);
	check_numbers(v, "event", "SELECT event FROM event WHERE session = ?1 ORDER BY event", false);
	check_numbers(v, "session", "SELECT event FROM session WHERE session = ?1", false);
	check_numbers(v, "alarm", "SELECT a.event FROM event e JOIN alarm a USING(event) WHERE e.session = ?1 ORDER BY a.event", false);
	check_numbers(v, "run", "SELECT run FROM run WHERE session = ?1 ORDER BY run", false);
	check_numbers(v, "reading", "SELECT run * 8192, run * 8192 + 8191 FROM run WHERE session = ?1 ORDER BY run", true);
	check_tail(v);
}
