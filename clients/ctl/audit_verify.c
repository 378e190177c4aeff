#include "clients/ctl/audit_verify.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clients/ctl/audit.h"
#include "core/timetext.h"
#include "record/key.h"
#include "record/schema.h"
#include "record/seal.h"

#define JOBS_MAX 64
#define PROGRESS_ROWS 65536 /* rows between two words of progress */

struct part {
	int64_t seal, rows, last;
	uint8_t digest[VS_HASH];
	uint8_t table;
	bool met; /* its rows were looked at */
};

struct seal {
	int64_t seal, at_ms, rows;
	uint8_t hash[VS_HASH], signature[VS_KEY_SIGNATURE];
	bool is_signed;
};

/* How far all of it is, for those who wait. */
struct progress {
	pthread_mutex_t lock; /* of the next two */
	pthread_cond_t ended;
	unsigned running;
	_Atomic int64_t rows;
	int64_t all; /* about so many */
};

/* What is looked at: a file, by one thread, or (witnesses) the seals of all of them. */
struct verify {
	struct vs_log *l;
	sqlite3 *db;          /* the file that is looked at */
	struct progress *progress;
	const char *label;    /* its name, where there are several; else NULL */
	int version;          /* of its schema */
	const char *session;  /* only what seals cover its rows; NULL: everything */
	struct vs_verdict *out;
	struct part *parts; /* in the order of tables, then of numbers */
	size_t n_parts;
	struct seal *seals;
	size_t n_seals;
	struct seal before;   /* the end of the file before: seal, rows and hash; zeros at the beginning */
	uint8_t tail[VS_HASH];
	int64_t tail_rows;
	struct vs_row_text row;
	uint8_t (*keys)[VS_KEY_PUBLIC];
	size_t n_keys;
	const char *trusted;
	char trouble[512];    /* why it cannot be looked at; "" */
};

/* ---- Saying what was found ---- */

__attribute__((format(printf, 3, 0))) static void say(json_t *to, const char *place, const char *format, va_list args)
{
	char text[512];
	vsnprintf(text, sizeof text, format, args);
	json_array_append_new(to, json_pack("{s:s,s:s}", "place", place, "what", text));
}

/* "vitals-2026.db: seal 12, ..." where there are several files. */
static const char *placed(const struct verify *v, const char *place, char buf[512])
{
	if (!v->label)
		return place;
	snprintf(buf, 512, "%s: %s", v->label, place);
	return buf;
}

__attribute__((format(printf, 3, 4))) static void finding(struct verify *v, const char *place, const char *format, ...)
{
	va_list args;
	char buf[512];
	va_start(args, format);
	say(v->out->findings, placed(v, place, buf), format, args);
	va_end(args);
}

/* "chair-1, readings 40211 to 40270, 2026-11-21T22:21:39.512Z to ..." of readings; "event 12 to 40" of others. */
static void name_rows(struct verify *v, unsigned table, int64_t first, int64_t last, char *buf, size_t cap)
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

/* ---- Reading what the chain says ---- */

static unsigned table_by_name(const char *name)
{
	unsigned t = 0;
	while (t < VS_SEAL_TABLES && strcmp(vs_seal_tables[t].name, name) != 0)
		t++;
	return t;
}

static void *grown(void *at, size_t n, size_t size)
{
	return n & (n - 1) ? at : realloc(at, (n ? n * 2 : 1) * size); /* doubles at each power of two */
}

static int part_order(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	return x->table != y->table ? x->table - y->table : (x->last > y->last) - (x->last < y->last);
}

static int read_parts(struct verify *v)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(v->db, "SELECT part, last, seal, rows, digest FROM seal_part", -1, &st, NULL);
	while (rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(st, 0);
		unsigned table = table_by_name(name ? name : "");
		struct part *more = grown(v->parts, v->n_parts, sizeof *more);
		if (!more) {
			rc = SQLITE_NOMEM;
			break;
		}
		v->parts = more;
		struct part *p = &v->parts[v->n_parts];
		*p = (struct part){ .last = sqlite3_column_int64(st, 1), .seal = sqlite3_column_int64(st, 2),
				    .rows = sqlite3_column_int64(st, 3), .table = (uint8_t)table };
		if (table == VS_SEAL_TABLES || sqlite3_column_bytes(st, 4) != VS_HASH) {
			finding(v, "seal_part", "a row of seal %" PRId64 " is of no table that is sealed", p->seal);
			continue;
		}
		memcpy(p->digest, sqlite3_column_blob(st, 4), VS_HASH);
		v->n_parts++;
	}
	sqlite3_finalize(st);
	if (v->n_parts)
		qsort(v->parts, v->n_parts, sizeof *v->parts, part_order);
	return rc == SQLITE_OK ? 0 : -1;
}

static int read_seals(struct verify *v)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(v->db, "SELECT seal, at_ms, rows, hash, signature FROM seal ORDER BY seal", -1, &st,
				    NULL);
	while (rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
		struct seal *more = grown(v->seals, v->n_seals, sizeof *more);
		if (!more) {
			rc = SQLITE_NOMEM;
			break;
		}
		v->seals = more;
		struct seal *s = &v->seals[v->n_seals++];
		*s = (struct seal){ .seal = sqlite3_column_int64(st, 0), .at_ms = sqlite3_column_int64(st, 1),
				    .rows = sqlite3_column_int64(st, 2) };
		if (sqlite3_column_bytes(st, 3) == VS_HASH)
			memcpy(s->hash, sqlite3_column_blob(st, 3), VS_HASH);
		s->is_signed = sqlite3_column_bytes(st, 4) == VS_KEY_SIGNATURE;
		if (s->is_signed)
			memcpy(s->signature, sqlite3_column_blob(st, 4), VS_KEY_SIGNATURE);
	}
	sqlite3_finalize(st);
	return rc == SQLITE_OK ? 0 : -1;
}

static int add_key(struct verify *v, const uint8_t key[VS_KEY_PUBLIC])
{
	void *more = grown(v->keys, v->n_keys, sizeof *v->keys);
	if (!more)
		return -1;
	v->keys = more;
	memcpy(v->keys[v->n_keys++], key, VS_KEY_PUBLIC);
	return 0;
}

/* All keys that the files name. */
static int read_own_keys(struct verify *v)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < vs_log_parts(v->l); i++) {
		struct vs_log_part *part = vs_log_part(v->l, i);
		sqlite3_stmt *st = NULL;
		if (part->db && sqlite3_prepare_v2(part->db, "SELECT DISTINCT public_key FROM epoch WHERE length(public_key) = 32", -1,
						   &st, NULL) == SQLITE_OK)
			while (r == 0 && sqlite3_step(st) == SQLITE_ROW)
				r = add_key(v, sqlite3_column_blob(st, 0));
		sqlite3_finalize(st);
	}
	return r;
}

/* The key that the caller trusts, as text or in a file; else all that the log names. */
static int read_keys(struct verify *v)
{
	uint8_t key[VS_KEY_PUBLIC];
	if (v->trusted) {
		char text[256] = "";
		FILE *f = fopen(v->trusted, "re");
		if (f && !fgets(text, sizeof text, f))
			text[0] = '\0';
		if (f)
			fclose(f);
		text[strcspn(text, " \r\n")] = '\0';
		if (!vs_unhex(f ? text : v->trusted, key, sizeof key))
			return vs_ctl_fail("%s: no public key; 64 hexadecimal digits are wanted, as 'vitalsctl log key' prints them",
					   v->trusted);
		return add_key(v, key);
	}
	return read_own_keys(v);
}

/* ---- Rows against their parts ---- */

struct walk {
	struct verify *v;
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
	struct part *p = &w->v->parts[w->next++];
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
			finding(w->v, place, "%" PRId64 " of %" PRId64 " rows were removed since seal %" PRId64, p->rows - w->rows,
				p->rows, p->seal);
		else if (w->rows > p->rows)
			finding(w->v, place, "%" PRId64 " rows were added to the %" PRId64 " under seal %" PRId64, w->rows - p->rows,
				p->rows, p->seal);
		else
			finding(w->v, place, "rows are not as they were under seal %" PRId64 ": changed, or put in another order",
				p->seal);
	}
	begin_part(w);
}

static void tell_progress(struct verify *v)
{
	if (v->out->rows % PROGRESS_ROWS == 0)
		v->progress->rows += PROGRESS_ROWS;
}

static void take_row(struct walk *w, sqlite3_stmt *st)
{
	struct verify *v = w->v;
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

static int walk_table(struct verify *v, unsigned table, size_t *part)
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
		finding(v, vs_seal_tables[table].name, "the table cannot be read to its end: %s", sqlite3_errmsg(v->db));
	return 0;
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
static size_t part_of(const struct verify *v, unsigned table, int64_t id)
{
	size_t low = 0, high = v->n_parts;
	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct part *p = &v->parts[mid];
		if (p->table < table || (p->table == table && p->last < id))
			low = mid + 1;
		else
			high = mid;
	}
	return low < v->n_parts && v->parts[low].table == table ? low : v->n_parts;
}

/* Where a part begins: behind the one before it, of readings in the same run. */
static int64_t begin_of(const struct verify *v, size_t i)
{
	const struct part *p = &v->parts[i], *q = i ? p - 1 : NULL;
	bool reading = p->table == VS_SEAL_READING;
	if (q && q->table == p->table && (!reading || q->last / VS_RUN_ROWS == p->last / VS_RUN_ROWS))
		return q->last;
	return reading ? p->last / VS_RUN_ROWS * VS_RUN_ROWS - 1 : INT64_MIN;
}

static void check_part(struct verify *v, size_t i)
{
	struct part *p = &v->parts[i];
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
		finding(v, place, "they cannot be read: %s", sqlite3_errmsg(v->db));
	else if (rows != p->rows)
		finding(v, place, "there are %" PRId64 " rows, and %" PRId64 " under seal %" PRId64, rows, p->rows, p->seal);
	else
		finding(v, place, "rows are not as they were under seal %" PRId64 ": changed, or put in another order", p->seal);
}

/* The parts in which a statement's numbers are: with span, all from the first to the second number. */
static void check_numbers(struct verify *v, const char *table, const char *sql, bool span)
{
	sqlite3_stmt *st = NULL;
	unsigned t = table_by_name(table);
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
		finding(v, table, "it cannot be asked: %s", sqlite3_errmsg(v->db));
}

struct tail {
	struct verify *v;
	const char *part;
};

static void tail_row(void *arg, const struct vs_row_text *t)
{
	struct tail *tail = arg;
	vs_tail_row(tail->v->tail, tail->part, t);
	tail->v->tail_rows++;
}

static void add_tail(struct verify *v, unsigned table, int64_t after, int64_t upto)
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
		finding(v, vs_seal_tables[table].name, "the table cannot be read to its end: %s", sqlite3_errmsg(v->db));
}

/* Rows that wait for their seal, of whatever session. */
static void check_tail(struct verify *v)
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
static void check_session(struct verify *v)
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

/* ---- The chain ---- */

static int seal_order(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	return x->seal != y->seal ? (x->seal > y->seal) - (x->seal < y->seal) : part_order(a, b);
}

static bool signed_by_known(const struct verify *v, const uint8_t hash[VS_HASH], const uint8_t signature[VS_KEY_SIGNATURE])
{
	char hex[VS_HASH_HEX];
	vs_hex(hash, VS_HASH, hex);
	for (size_t i = 0; i < v->n_keys; i++)
		if (vs_key_verify(v->keys[i], hex, signature))
			return true;
	return false;
}

static void name_seal(const struct seal *s, char *buf, size_t cap)
{
	char at[VS_TIME_TEXT_CAP];
	vs_time_text(s->at_ms, at);
	snprintf(buf, cap, "seal %" PRId64 ", %s", s->seal, at);
}

/* One seal, with the parts from *part on. */
static void check_seal(struct verify *v, size_t i, size_t *part, const uint8_t previous[VS_HASH])
{
	struct seal *s = &v->seals[i];
	struct vs_seal_hash h;
	uint8_t hash[VS_HASH];
	char place[128];
	int64_t rows = i > 0 ? v->seals[i - 1].rows : v->before.rows;
	name_seal(s, place, sizeof place);
	vs_seal_begin(&h, previous, s->seal, s->at_ms, s->rows);
	for (; *part < v->n_parts && v->parts[*part].seal <= s->seal; ++*part) {
		const struct part *p = &v->parts[*part];
		if (p->seal != s->seal) {
			finding(v, place, "rows of %s belong to seal %" PRId64 ", which is not there", vs_seal_tables[p->table].name,
				p->seal);
			continue;
		}
		rows += p->rows;
		vs_seal_part(&h, vs_seal_tables[p->table].name, p->last, p->rows, p->digest);
	}
	vs_seal_end(&h, hash);
	if (memcmp(hash, s->hash, VS_HASH) != 0)
		finding(v, place, "the seal does not fit what it covers, or the seal before it");
	else if (rows != s->rows)
		finding(v, place, "the seal counts %" PRId64 " rows, its parts %" PRId64, s->rows, rows);
	if (s->is_signed && !signed_by_known(v, s->hash, s->signature))
		finding(v, place, v->n_keys ? "the signature is not by the daemon's key" : "the daemon's public key is missing");
	v->out->signatures += s->is_signed;
}

static void check_chain(struct verify *v)
{
	size_t part = 0;
	char place[128];
	if (v->n_parts)
		qsort(v->parts, v->n_parts, sizeof *v->parts, seal_order);
	for (size_t i = 0; i < v->n_seals; i++) {
		const struct seal *before = i > 0 ? &v->seals[i - 1] : &v->before;
		if (v->seals[i].seal != before->seal + 1) {
			name_seal(&v->seals[i], place, sizeof place);
			finding(v, place, "the seal before it, %" PRId64 ", is missing", v->seals[i].seal - 1);
		}
		check_seal(v, i, &part, before->hash);
	}
	if (part < v->n_parts)
		finding(v, "seal", "the last seals, up to %" PRId64 ", are missing", v->parts[v->n_parts - 1].seal);
	v->out->seals += (int64_t)v->n_seals;
}

static void check_head(struct verify *v)
{
	sqlite3_stmt *st = NULL;
	int64_t last = v->n_seals ? v->seals[v->n_seals - 1].seal : v->before.seal, seal = 0, rows = 0;
	v->out->unsealed += v->tail_rows;
	bool there = sqlite3_prepare_v2(v->db, "SELECT seal, rows, tail FROM head WHERE one = 1", -1, &st, NULL) ==
			     SQLITE_OK && sqlite3_step(st) == SQLITE_ROW;
	if (there) {
		seal = sqlite3_column_int64(st, 0);
		rows = sqlite3_column_int64(st, 1);
	}
	if (!there)
		finding(v, "head", "the end of the chain is missing");
	else if (seal != last)
		finding(v, "head", "the log's last seal was %" PRId64 ", now it is %" PRId64, seal, last);
	else if (rows != v->tail_rows)
		finding(v, "rows that are under no seal", "there were %" PRId64 " rows, now there are %" PRId64, rows, v->tail_rows);
	else if (sqlite3_column_bytes(st, 2) != VS_HASH || memcmp(sqlite3_column_blob(st, 2), v->tail, VS_HASH) != 0)
		finding(v, "rows that are under no seal", "the %" PRId64 " rows are not as they were recorded", v->tail_rows);
	sqlite3_finalize(st);
}

/* ---- Everything else ---- */

static void schema_differs(void *arg, const char *type, const char *name, const char *what)
{
	char place[160];
	snprintf(place, sizeof place, "%s %s", type, name);
	finding(arg, place, "the %s %s: what it shows or keeps is not what vitalsd made it for", type, what);
}

/* Statements whose rows are findings (or notes): place, what. */
static void ask(struct verify *v, const char *sql, json_t *to)
{
	sqlite3_stmt *st = NULL;
	char buf[512];
	if (sqlite3_prepare_v2(v->db, sql, -1, &st, NULL) == SQLITE_OK)
		while (sqlite3_step(st) == SQLITE_ROW)
			json_array_append_new(to, json_pack("{s:s,s:s}", "place",
							    placed(v, (const char *)sqlite3_column_text(st, 0), buf), "what",
							    sqlite3_column_text(st, 1)));
	else
		finding(v, "the log", "cannot be asked: %s", sqlite3_errmsg(v->db));
	sqlite3_finalize(st);
}

#define AT(column) "strftime('%Y-%m-%dT%H:%M:%SZ', " column " / 1000.0, 'unixepoch')"

static void check_pages(struct verify *v)
{
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(v->db, "PRAGMA integrity_check(20)", -1, &st, NULL) == SQLITE_OK)
		while (sqlite3_step(st) == SQLITE_ROW) {
			const char *text = (const char *)sqlite3_column_text(st, 0);
			if (text && strcmp(text, "ok") != 0)
				finding(v, "the file", "%s", text);
		}
	sqlite3_finalize(st);
}

static void check_rest(struct verify *v)
{
	if (vs_schema_compare(v->db, schema_differs, v) < 0)
		finding(v, "schema", "it cannot be read: %s", sqlite3_errmsg(v->db));
	if (v->session)
		return;
	check_pages(v);
	ask(v, "SELECT 'finding ' || finding || ', ' || " AT("at_ms") ", text FROM finding WHERE text LIKE 'rows after seal%'",
	    v->out->findings);
	ask(v, "SELECT 'finding ' || finding || ', ' || " AT("at_ms") ", text FROM finding WHERE text NOT LIKE 'rows after seal%'",
	    v->out->notes);
	ask(v, "SELECT 'gap ' || gap || ', ' || " AT("from_ms") " || ' to ' || " AT("until_ms") ", CASE WHEN readings THEN readings"
	       " || ' readings were given up: ' ELSE '' END || reason FROM gap", v->out->notes);
	ask(v, "SELECT 'epoch ' || epoch || ', ' || " AT("started_ms") ", 'started after ' || restarted_after FROM epoch"
	       " WHERE restarted_after NOT LIKE 'an orderly stop%'", v->out->notes);
	/* Numbers are contiguous within a topic: one that is missing was never recorded, or is gone. */
	ask(v, "SELECT o.chair || ', epoch ' || o.epoch || ', ' || e.kind, (max(e.seq) - min(e.seq) + 1 - count(*)) ||"
	       " ' numbers are missing between ' || min(e.seq) || ' and ' || max(e.seq) FROM event e JOIN origin o USING(origin)"
	       " GROUP BY o.epoch, o.chair, e.kind HAVING max(e.seq) - min(e.seq) + 1 <> count(*)", v->out->findings);
	/* ... also where a file goes on with a topic of the one before. */
	if (v->version >= 2)
		ask(v, "SELECT o.chair || ', epoch ' || o.epoch || ', ' || e.kind, 'numbers are missing between ' || c.number || ' and ' ||"
		       " min(e.seq) FROM carried c JOIN origin o JOIN event e USING(origin) WHERE c.what = e.kind || ' ' || o.epoch ||"
		       " ' ' || o.chair GROUP BY o.epoch, o.chair, e.kind HAVING min(e.seq) <> c.number + 1", v->out->findings);
}

/* The first seal of a day, and one that closes a session or ends the daemon in order, are signed if there is a key.  Once
 * some start had none it cannot be told from the log which seals are its own, and only the orderly ends are asked for. */
static void check_signatures(struct verify *v)
{
	ask(v, "WITH must(part, number, why) AS (SELECT 'epoch_end', d.epoch, 'epoch ' || d.epoch || ' ended' FROM epoch_end d"
	       " JOIN epoch USING(epoch) WHERE public_key IS NOT NULL UNION ALL SELECT 'event', event, 'session ' || session ||"
	       " ' was closed' FROM event WHERE kind = 'session' AND session IS NOT NULL AND json_extract('{' || body || '}', '$.phase') ="
	       " 'discharged' AND NOT EXISTS (SELECT 1 FROM epoch WHERE public_key IS NULL)),"
	       " cause(seal, why) AS (SELECT (SELECT seal FROM seal_part p WHERE p.part = must.part AND p.last >= number ORDER BY p.last"
	       " LIMIT 1), why FROM must UNION ALL SELECT seal, 'a day began' FROM (SELECT seal, at_ms / 86400000 > coalesce(lag(at_ms)"
	       " OVER (ORDER BY seal) / 86400000, -1) AS is_first FROM seal) WHERE is_first AND NOT EXISTS (SELECT 1 FROM epoch WHERE"
	       " public_key IS NULL))"
	       " SELECT 'seal ' || seal || ', ' || " AT("at_ms") ", 'it was made when ' || min(why) || ', and is not signed: its"
	       " signature was removed' FROM cause JOIN seal USING(seal) WHERE signature IS NULL GROUP BY seal", v->out->findings);
}

/* ---- Witnesses ---- */

/* The seal is one of a file that is not here. */
static bool in_missing_file(const struct verify *v, json_int_t number)
{
	int64_t before = 0;
	for (size_t i = 0; i + 1 < vs_log_parts(v->l); i++) {
		const struct vs_log_part *part = vs_log_part(v->l, i);
		if (number > before && number <= part->link->seal)
			return !part->db;
		before = part->link->seal;
	}
	return v->n_seals && number < v->seals[0].seal;
}

static void check_witness(struct verify *v, int line, const json_t *message)
{
	char place[64];
	uint8_t head[VS_HASH], signature[VS_KEY_SIGNATURE];
	const char *hex = json_string_value(json_object_get(message, "head"));
	const char *sign = json_string_value(json_object_get(message, "signature"));
	json_int_t number = json_integer_value(json_object_get(message, "seal"));
	json_int_t rows = json_integer_value(json_object_get(message, "rows"));
	snprintf(place, sizeof place, "witness, line %d", line);
	v->out->witnesses++;
	if (!hex || !vs_unhex(hex, head, sizeof head)) {
		finding(v, place, "the message has no head");
		return;
	}
	if (sign && (!vs_unhex(sign, signature, sizeof signature) || !signed_by_known(v, head, signature)))
		finding(v, place, "its signature is not by the daemon's key");
	for (size_t i = 0; i < v->n_seals; i++) {
		const struct seal *s = &v->seals[i];
		bool same = memcmp(s->hash, head, VS_HASH) == 0;
		if (number ? s->seal != number : !same)
			continue;
		if (!same)
			finding(v, place, "seal %" PRId64 " of the log is not the one that was published: the log was written anew",
				s->seal);
		else if (rows && rows != s->rows)
			finding(v, place, "seal %" PRId64 " covers %" PRId64 " rows, the published one %lld", s->seal, s->rows,
				(long long)rows);
		return;
	}
	if (number && in_missing_file(v, number)) { /* that was said already */
		v->out->witnesses--;
		return;
	}
	finding(v, place, "seal %lld was published and is not in this log, which ends at seal %" PRId64, (long long)number,
		v->n_seals ? v->seals[v->n_seals - 1].seal : 0);
}

static int read_witness(struct verify *v, const char *file)
{
	char line[16384];
	FILE *f = fopen(file, "re");
	if (!f)
		return vs_ctl_fail("%s: %m", file);
	for (int n = 1; fgets(line, sizeof line, f); n++) {
		const char *open = strchr(line, '{'); /* after the topic, where there is one */
		json_t *message = open ? json_loads(open, 0, NULL) : NULL;
		const char *kind = json_string_value(json_object_get(message, "kind"));
		if (message && (kind ? strcmp(kind, "seal") == 0 : json_object_get(message, "head") != NULL))
			check_witness(v, n, message);
		json_decref(message);
	}
	fclose(f);
	return v->out->witnesses ? 0 : vs_ctl_fail("%s: there is no seal message in it, one JSON object a line", file);
}

/* ---- One file ---- */

static void check_tables(struct verify *v)
{
	size_t part = 0;
	for (unsigned t = 0; t < VS_SEAL_TABLES; t++)
		if (vs_seal_tables[t].since <= v->version)
			walk_table(v, t, &part);
}

static void check_file(struct verify *v)
{
	v->version = vs_schema_version(v->db);
	/* One snapshot: the daemon may go on writing. */
	if (sqlite3_get_autocommit(v->db) &&
	    sqlite3_exec(v->db, "BEGIN; SELECT count(*) FROM head", NULL, NULL, NULL) != SQLITE_OK) {
		snprintf(v->trouble, sizeof v->trouble, "%s: %s", v->label ? v->label : vs_log_file(v->l), sqlite3_errmsg(v->db));
		return;
	}
	check_rest(v);
	if (read_parts(v) < 0 || read_seals(v) < 0)
		finding(v, "seals", "they cannot be read: %s", sqlite3_errmsg(v->db));
	if (v->session)
		check_session(v);
	else
		check_tables(v);
	check_chain(v);
	check_signatures(v);
	check_head(v);
	sqlite3_exec(v->db, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- From file to file ---- */

static void take_end(struct seal *end, const struct vs_log_link *k)
{
	*end = (struct seal){ .seal = k->seal, .rows = k->rows };
	memcpy(end->hash, k->hash, VS_HASH);
}

/* The end of the file before, as this one says; it must be what is there. */
static void check_link(struct verify *v, size_t i)
{
	struct vs_log_link *links = NULL;
	size_t n = 0;
	const struct vs_log_link *said = i > 0 ? vs_log_part(v->l, i - 1)->link : NULL;
	if (vs_log_links(v->db, &links, &n) != SQLITE_OK)
		finding(v, "link", "it cannot be read: %s", sqlite3_errmsg(v->db));
	v->before = (struct seal){ .seal = 0 };
	if (n)
		take_end(&v->before, &links[n - 1]);
	if (said && (n == 0 || strcmp(said->name, links[n - 1].name) != 0 || said->seal != v->before.seal ||
		     said->rows != v->before.rows || memcmp(said->hash, v->before.hash, VS_HASH) != 0))
		finding(v, "link", "this file does not go on from %s, as the present file says", said->name);
	free(links);
}

/* A file of the past ends as those behind it say, and in order. */
static void check_end(struct verify *v, const struct vs_log_link *k)
{
	char closed[VS_FILE_NAME_CAP] = "";
	const struct seal *last = v->n_seals ? &v->seals[v->n_seals - 1] : &v->before;
	if (last->seal != k->seal || last->rows != k->rows || memcmp(last->hash, k->hash, VS_HASH) != 0)
		finding(v, "link", "the file ends with seal %" PRId64 "; the next one goes on from seal %" PRId64 " and another hash",
			last->seal, k->seal);
	if (vs_log_closed_as(v->db, closed) != SQLITE_OK || strcmp(closed, k->name) != 0)
		finding(v, "closed", "the file was not closed as %s", k->name);
}

/* One that is not there: by policy, and so recorded; known to be damaged; or by nobody knows whom. */
static void check_missing(struct verify *v, const struct vs_log_part *part)
{
	char seals[96], buf[512];
	snprintf(seals, sizeof seals, "seals up to %" PRId64, part->link->seal);
	if (part->removed || part->broken)
		json_array_append_new(v->out->notes, json_pack("{s:s,s:s}", "place", placed(v, seals, buf), "what", part->why));
	else
		finding(v, seals, "the file cannot be read: %s", part->why);
}

/* A record of a removal is of a file that is linked, as it is linked. */
static void check_removals(struct verify *v)
{
	size_t n = vs_log_parts(v->l);
	v->db = vs_log_part(v->l, n - 1)->db;
	if (v->session || vs_schema_version(v->db) < 3)
		return;
	ask(v, "SELECT 'removal of ' || r.name, 'what is recorded is not the file that the log goes on from' FROM removal r LEFT JOIN link l ON"
	       " l.name = r.name AND l.seal = r.seal AND l.rows = r.rows AND l.hash = r.hash WHERE l.link IS NULL", v->out->findings);
	ask(v, "SELECT r.name, 'its removal by policy was recorded on ' || " AT("r.at_ms") " || ' by ' || r.operator || ', and it is still there' FROM"
	       " removal r WHERE r.removal NOT IN (SELECT removal FROM removal_end)", v->out->notes);
}

/* ---- All files, each by a thread of its own ---- */

struct check {
	struct verify v;
	struct vs_verdict out; /* of this file */
	bool wanted;
};

struct checks {
	struct verify *all;
	struct check *of; /* each file */
	size_t n;
	_Atomic size_t next;
	struct progress progress;
};

static void check_one(struct checks *c, size_t i)
{
	struct verify *v = &c->of[i].v;
	const struct vs_log_part *part = vs_log_part(v->l, i);
	if (!part->db) {
		check_missing(v, part);
		return;
	}
	if (part->removed)
		json_array_append_new(v->out->notes, json_pack("{s:s,s:s+}", "place", v->label, "what", "it is here again: ", part->why));
	check_link(v, i);
	check_file(v);
	if (!v->trouble[0] && part->link)
		check_end(v, part->link);
	v->out->files++;
}

static void *check_on(void *arg)
{
	struct checks *c = arg;
	for (size_t i; (i = c->next++) < c->n;)
		if (c->of[i].wanted)
			check_one(c, i);
	pthread_mutex_lock(&c->progress.lock);
	c->progress.running--;
	pthread_cond_signal(&c->progress.ended);
	pthread_mutex_unlock(&c->progress.lock);
	return NULL;
}

/* Rows there are, going by the last seal. */
static int64_t rows_of(struct vs_log *l)
{
	int64_t rows = 0;
	sqlite3_stmt *st = NULL;
	sqlite3 *db = vs_log_part(l, vs_log_parts(l) - 1)->db;
	if (db && sqlite3_prepare_v2(db, "SELECT rows FROM seal ORDER BY seal DESC LIMIT 1", -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		rows = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return rows;
}

/* A person who waits sees how far it is; nothing is said of what takes a moment. */
static void wait_for_all(struct checks *c)
{
	bool tell = isatty(STDERR_FILENO) && !c->all->session, told = false;
	struct progress *p = &c->progress;
	struct timespec at;
	clock_gettime(CLOCK_REALTIME, &at);
	pthread_mutex_lock(&p->lock);
	while (p->running > 0) {
		at.tv_sec++;
		int r = 0;
		while (p->running > 0 && r == 0)
			r = tell ? pthread_cond_timedwait(&p->ended, &p->lock, &at) : pthread_cond_wait(&p->ended, &p->lock);
		if (r != ETIMEDOUT)
			continue;
		double rows = (double)p->rows, all = (double)(p->all > p->rows ? p->all : p->rows);
		fprintf(stderr, "\r%.1f of %.1f million rows looked at ", rows / 1e6, all / 1e6);
		told = true;
	}
	pthread_mutex_unlock(&p->lock);
	if (told)
		fputs("\r\033[K", stderr);
}

static void run_checks(struct checks *c, unsigned jobs)
{
	pthread_t threads[JOBS_MAX];
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = jobs ? jobs : cores > 0 ? (size_t)cores : 1, started = 0;
	n = n > c->n ? c->n : n;
	n = n > JOBS_MAX ? JOBS_MAX : n;
	c->progress.running = (unsigned)n;
	while (started < n && pthread_create(&threads[started], NULL, check_on, c) == 0)
		started++;
	if (started < n) {
		pthread_mutex_lock(&c->progress.lock);
		c->progress.running -= (unsigned)(n - started);
		pthread_mutex_unlock(&c->progress.lock);
	}
	if (started == 0) { /* no thread to be had: then by this one */
		c->progress.running = 1;
		check_on(c);
	}
	wait_for_all(c);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

/* Puts together what was found, in the order of the files.  VS_EXIT_DONE, or VS_EXIT_FAILED after saying what cannot be looked at. */
static int gather(struct verify *all, struct check *c)
{
	struct vs_verdict *to = all->out, *from = &c->out;
	json_array_extend(to->findings, from->findings);
	json_array_extend(to->notes, from->notes);
	to->files += from->files;
	to->seals += from->seals;
	to->rows += from->rows;
	to->unsealed += from->unsealed;
	to->signatures += from->signatures;
	struct seal *seals = realloc(all->seals, (all->n_seals + c->v.n_seals + 1) * sizeof *seals);
	if (!seals)
		return vs_ctl_fail("out of memory");
	all->seals = seals;
	if (c->v.n_seals)
		memcpy(all->seals + all->n_seals, c->v.seals, c->v.n_seals * sizeof *seals);
	all->n_seals += c->v.n_seals;
	return c->v.trouble[0] ? vs_ctl_fail("%s", c->v.trouble) : VS_EXIT_DONE;
}

static void prepare_check(struct checks *c, size_t i)
{
	struct check *one = &c->of[i];
	const struct vs_log_part *part = vs_log_part(c->all->l, i); /* opened here, by one thread */
	const char *slash = strrchr(part->path, '/');
	bool begins;
	one->out = (struct vs_verdict){ .findings = json_array(), .notes = json_array() };
	one->v = *c->all;
	one->v.out = &one->out;
	one->v.progress = &c->progress;
	one->v.db = part->db;
	one->v.label = c->n == 1 ? NULL : slash ? slash + 1 : part->path;
	one->wanted = !c->all->session || (part->db && vs_log_part_has(part->db, c->all->session, &begins));
}

static int check_files(struct verify *all, unsigned jobs)
{
	int r = VS_EXIT_DONE;
	struct checks c = { .all = all, .n = vs_log_parts(all->l) };
	c.of = calloc(c.n, sizeof *c.of);
	if (!c.of)
		return vs_ctl_fail("out of memory");
	for (size_t i = 0; i < c.n; i++)
		prepare_check(&c, i);
	c.progress.all = rows_of(all->l);
	pthread_mutex_init(&c.progress.lock, NULL);
	pthread_cond_init(&c.progress.ended, NULL);
	run_checks(&c, jobs);
	pthread_cond_destroy(&c.progress.ended);
	pthread_mutex_destroy(&c.progress.lock);
	for (size_t i = 0; i < c.n; i++) {
		if (r == VS_EXIT_DONE)
			r = gather(all, &c.of[i]);
		json_decref(c.of[i].out.findings);
		json_decref(c.of[i].out.notes);
		free(c.of[i].v.parts);
		free(c.of[i].v.seals);
		vs_row_finish(&c.of[i].v.row);
	}
	free(c.of);
	if (r == VS_EXIT_DONE)
		check_removals(all);
	if (r == VS_EXIT_DONE && all->session && all->out->files == 0)
		return vs_ctl_fail("there is no session '%s' in this log; 'vitalsctl audit sessions' lists them", all->session);
	return r;
}

int vs_verify(struct vs_log *l, const struct vs_verify_options *o, struct vs_verdict *ret)
{
	*ret = (struct vs_verdict){ .findings = json_array(), .notes = json_array() };
	struct verify v = { .l = l, .out = ret, .trusted = o->key, .session = o->session };
	int r = read_keys(&v);
	if (r == 0)
		r = check_files(&v, o->jobs);
	if (r == 0 && o->witness)
		r = read_witness(&v, o->witness);
	free(v.seals);
	free(v.keys);
	if (r != 0) {
		json_decref(ret->findings);
		json_decref(ret->notes);
	}
	return r;
}

static void print_all(const char *title, const json_t *all)
{
	size_t i;
	const json_t *f;
	json_array_foreach(all, i, f)
		printf("%s: %s: %s\n", title, json_string_value(json_object_get(f, "place")),
		       json_string_value(json_object_get(f, "what")));
}

static void print_verdict(const struct vs_log_options *o, const struct vs_log *l, const struct vs_verdict *v)
{
	size_t n = json_array_size(v->findings);
	if (o->json) {
		json_t *j = json_pack("{s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:O,s:O}", "log", vs_log_file(l), "ok", n == 0, "files",
				      (json_int_t)v->files, "rows",
				      (json_int_t)v->rows, "unsealed", (json_int_t)v->unsealed, "seals", (json_int_t)v->seals,
				      "signatures", (json_int_t)v->signatures, "witnesses", (json_int_t)v->witnesses, "findings",
				      v->findings, "notes", v->notes);
		json_dumpf(j, stdout, JSON_INDENT(1));
		putchar('\n');
		json_decref(j);
		return;
	}
	print_all("note", v->notes);
	print_all("FINDING", v->findings);
	if (o->session)
		printf("%s: what the seals over session %s cover: ", vs_log_file(l), o->session);
	else if (v->files != 1)
		printf("%s, %" PRId64 " files: ", vs_log_file(l), v->files);
	else
		printf("%s: ", vs_log_file(l));
	printf("%" PRId64 " rows under %" PRId64 " seals (%" PRId64 " signed), %" PRId64 " rows wait for the next seal",
	       v->rows, v->seals, v->signatures, v->unsealed);
	if (v->witnesses)
		printf(", %" PRId64 " seals kept elsewhere", v->witnesses);
	if (n == 0)
		puts(": nothing was changed, removed, added or reordered");
	else
		printf(": %zu finding%s\n", n, n == 1 ? "" : "s");
}

int vs_audit_verify(int argc, char **argv)
{
	struct vs_log_options o;
	struct vs_log *l = NULL;
	struct vs_verdict v;
	int r = vs_log_options(&o, argc, argv, "witness key session jobs");
	if (r == VS_EXIT_DONE && o.n_words)
		return vs_ctl_usage("audit verify: '%s' is one word too many", o.words[0]);
	if (r == VS_EXIT_DONE)
		r = vs_log_open_given(&o, &l);
	if (r != VS_EXIT_DONE)
		return r;
	r = vs_verify(l, &(struct vs_verify_options){ o.key, o.witness, o.session, o.jobs }, &v);
	if (r == VS_EXIT_DONE) {
		print_verdict(&o, l, &v);
		r = json_array_size(v.findings) ? VS_EXIT_FAILED : VS_EXIT_DONE;
		json_decref(v.findings);
		json_decref(v.notes);
	}
	vs_log_close(l);
	return r;
}
