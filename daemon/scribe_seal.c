/* Seals: every row of history under a hash, each seal on the one before (record/seal.h). */
#include "daemon/scribe_inside.h"

#include <stdlib.h>
#include <string.h>

struct sealing {
	struct vs_scribe *s;
	struct vs_seal_hash hash;
	int64_t seal, rows;
};

static int add_part(struct sealing *w, unsigned table, int64_t after, int64_t upto)
{
	struct vs_scribe *s = w->s;
	uint8_t digest[VS_HASH];
	int64_t rows, last;
	int rc = vs_seal_digest(s->part[table], after, upto, &s->row, &rows, &last, digest, NULL, NULL);
	if (rc != SQLITE_OK || rows == 0)
		return rc;
	w->rows += rows;
	vs_seal_part(&w->hash, vs_seal_tables[table].name, last, rows, digest);
	sqlite3_stmt *st = s->st[PART_ADD];
	vs_scribe_text(st, 1, vs_seal_tables[table].name);
	sqlite3_bind_int64(st, 2, last);
	sqlite3_bind_int64(st, 3, w->seal);
	sqlite3_bind_int64(st, 4, rows);
	sqlite3_bind_blob(st, 5, digest, VS_HASH, SQLITE_STATIC);
	rc = vs_scribe_run(st);
	if (table != VS_SEAL_READING)
		s->sealed[table] = last;
	return rc;
}

static int by_run(const void *a, const void *b)
{
	const struct vs_scribe_open *x = a, *y = b;
	return (x->run > y->run) - (x->run < y->run);
}

static int add_parts(struct sealing *w)
{
	struct vs_scribe *s = w->s;
	int rc = SQLITE_OK;
	for (unsigned t = 0; rc == SQLITE_OK && t < VS_SEAL_READING; t++)
		rc = add_part(w, t, s->sealed[t], INT64_MAX);
	if (s->n_open)
		qsort(s->open, s->n_open, sizeof *s->open, by_run);
	for (size_t i = 0; rc == SQLITE_OK && i < s->n_open; i++)
		rc = add_part(w, VS_SEAL_READING, s->open[i].after, s->open[i].run * VS_RUN_ROWS + VS_RUN_ROWS - 1);
	return rc;
}

/* All rows are under seal now: the tail begins anew. */
static void begin_tail(struct vs_scribe *s)
{
	int64_t lowest = INT64_MAX;
	for (size_t i = 0; i < VS_SCRIBE_CHAIRS; i++)
		for (struct vs_scribe_chair *c = s->chairs[i]; c; c = c->next) {
			c->listed = false;
			if (c->run && c->run < lowest)
				lowest = c->run;
		}
	if (lowest != INT64_MAX)
		s->first_run = lowest;
	s->n_open = 0;
	s->head.unsealed = 0;
	memset(s->tail, 0, sizeof s->tail);
}

static int add_seal(struct vs_scribe *s, const struct vs_scribe_head *h)
{
	sqlite3_stmt *st = s->st[SEAL_ADD];
	sqlite3_bind_int64(st, 1, h->seal);
	sqlite3_bind_int64(st, 2, h->at_ms);
	sqlite3_bind_int64(st, 3, h->rows);
	sqlite3_bind_blob(st, 4, h->hash, VS_HASH, SQLITE_STATIC);
	if (h->is_signed)
		sqlite3_bind_blob(st, 5, h->signature, VS_KEY_SIGNATURE, SQLITE_STATIC);
	else
		sqlite3_bind_null(st, 5);
	return vs_scribe_run(st);
}

static bool is_new_day(const struct vs_scribe_head *h, int64_t at_ms)
{
	return h->seal == 0 || at_ms / 86400000 > h->at_ms / 86400000;
}

int vs_scribe_seal(struct vs_scribe *s, int64_t at_ms, const struct vs_key *key, bool sign)
{
	if (s->head.unsealed == 0 && !(key && sign))
		return SQLITE_OK;
	struct vs_scribe_head h = { .seal = s->head.seal + 1, .at_ms = at_ms, .rows = s->head.rows + s->head.unsealed,
				    .given_up = s->head.given_up };
	struct sealing w = { .s = s, .seal = h.seal };
	vs_seal_begin(&w.hash, s->head.hash, h.seal, at_ms, h.rows);
	int rc = add_parts(&w);
	vs_seal_end(&w.hash, h.hash);
	if (rc != SQLITE_OK)
		return rc;
	if (w.rows != s->head.unsealed)
		return SQLITE_CORRUPT; /* rows are not as they were written */
	if (key && (sign || is_new_day(&s->head, at_ms))) {
		char hex[VS_HASH_HEX];
		vs_hex(h.hash, VS_HASH, hex);
		vs_key_sign(key, hex, h.signature);
		h.is_signed = true;
	}
	rc = add_seal(s, &h);
	s->head = h;
	begin_tail(s);
	return rc;
}
