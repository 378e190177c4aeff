#include "record/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"

const struct vs_seal_table vs_seal_tables[VS_SEAL_TABLES + 1] = {
	{ "epoch", "epoch", "epoch, started_ms, site, config_hash, version, restarted_after, public_key", 1 },
	{ "epoch_end", "epoch", "epoch, ended_ms", 1 },
	{ "origin", "origin", "origin, epoch, site, chair", 1 },
	{ "event", "event", "event, origin, kind, seq, at_ms, session, operator, alarm, body", 1 },
	{ "session", "event", "event, session, started_ms", 1 },
	{ "alarm", "event", "event, alarm, onset_ms", 1 },
	{ "shape", "shape", "shape, device, key, reading_flags, flags, k1, k2, k3, k4", 1 },
	{ "shape_metric", "id", "id, metric, unit, place, flags, own_flags", 1 },
	{ "run", "run", "run, origin, session, first_seq, start_ms, boot_ms", 1 },
	{ "gap", "gap", "gap, epoch, from_ms, until_ms, readings, reason", 1 },
	{ "finding", "finding", "finding, at_ms, text", 1 },
	{ "link", "link", "link, name, from_ms, until_ms, first_epoch, last_epoch, seal, rows, hash, public_key", 2 },
	{ "carried", "carried", "carried, what, number", 2 },
	{ "closed", "closed", "closed, at_ms, name, reason", 2 },
	{ "hold", "hold", "hold, id, at_ms, session, patient, from_ms, until_ms, reason, operator, uid", 3 },
	{ "hold_end", "hold", "hold, at_ms, reason, operator, uid", 3 },
	{ "removal", "removal",
	  "removal, at_ms, name, from_ms, until_ms, first_seal, seal, rows, hash, signature, sessions, alarms, readings, bytes, policy,"
	  " reason, operator, uid", 3 },
	{ "removal_end", "removal", "removal, at_ms, outcome", 3 },
	{ "broken", "link", "link, at_ms, reason", 3 },
	{ "limit_text", "limit_text", "limit_text, hash, name, text", 4 },
	{ "limit_set", "limit_set", "limit_set, at_ms, name, hash, ground, chain", 4 },
	{ "clock", "clock", "clock, epoch, event, boot_ms, wall_ms", 4 },
	{ "reading", "id", "id, shape, t, v1, v2, v3, v4, more", 1 },
	{ NULL, NULL, NULL, 0 },
};

void vs_row_finish(struct vs_row_text *t)
{
	free(t->buf);
	*t = (struct vs_row_text){ .buf = NULL };
}

void vs_row_begin(struct vs_row_text *t)
{
	t->len = t->start = 0;
}

static char *room(struct vs_row_text *t, size_t more)
{
	if (t->len + more + 2 > t->cap) {
		size_t cap = (t->len + more + 2) * 2 + 256;
		char *buf = realloc(t->buf, cap);
		if (!buf) {
			t->failed = true;
			return NULL;
		}
		t->buf = buf;
		t->cap = cap;
	}
	if (t->len > t->start)
		t->buf[t->len++] = '|';
	return t->buf + t->len;
}

void vs_row_null(struct vs_row_text *t)
{
	char *p = room(t, 4);
	if (p) {
		memcpy(p, "NULL", 4);
		t->len += 4;
	}
}

/* Most of what is sealed are whole numbers: two digits at a time. */
static char *digits_of(uint64_t n, char *end)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
				    "4950515253545556575859606162636465666768697071727374757677787980818283848586878889909192939495969798"
				    "99";
	for (; n >= 100; n /= 100)
		memcpy(end -= 2, pairs + n % 100 * 2, 2);
	if (n >= 10)
		memcpy(end -= 2, pairs + n * 2, 2);
	else
		*--end = (char)('0' + n);
	return end;
}

void vs_row_int(struct vs_row_text *t, int64_t v)
{
	char digits[24], *end = digits + sizeof digits, *d = digits_of(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, end);
	if (v < 0)
		*--d = '-';
	size_t len = (size_t)(end - d);
	char *p = room(t, len);
	if (p) {
		memcpy(p, d, len);
		t->len += len;
	}
}

void vs_row_real(struct vs_row_text *t, double v)
{
	/* As quote() does: 15 digits where they tell the number, else 21.  Most have a decimal or two: the short way. */
	char text[48];
	bool is_short = v >= 0.001 && v < 1e6 && v != (double)(uint32_t)v && vs_number_rounded(v) == v;
	if (is_short)
		vs_number_text(v, text);
	else
		sqlite3_snprintf(sizeof text, text, "%!0.15g", v);
	if (!is_short && strtod(text, NULL) != v)
		sqlite3_snprintf(sizeof text, text, "%!0.20e", v);
	size_t len = strlen(text);
	char *p = room(t, len);
	if (p) {
		memcpy(p, text, len);
		t->len += len;
	}
}

void vs_row_chars(struct vs_row_text *t, const char *s, size_t len)
{
	char *p = room(t, 2 * len + 2), *start = p;
	if (!p)
		return;
	*p++ = '\'';
	/* quote() ends at a NUL.  What somebody hid behind one is hashed too, and so is found: the daemon writes none. */
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\'')
			*p++ = '\'';
		*p++ = s[i];
	}
	*p++ = '\'';
	t->len += (size_t)(p - start);
}

void vs_row_blob(struct vs_row_text *t, const void *bytes, size_t len)
{
	static const char digit[] = "0123456789ABCDEF";
	const uint8_t *b = bytes;
	char *p = room(t, 2 * len + 3), *start = p;
	if (!p)
		return;
	*p++ = 'X', *p++ = '\'';
	for (size_t i = 0; i < len; i++) {
		*p++ = digit[b[i] >> 4];
		*p++ = digit[b[i] & 15];
	}
	*p++ = '\'';
	t->len += (size_t)(p - start);
}

void vs_row_end(struct vs_row_text *t)
{
	if (t->len > t->start)
		t->buf[t->len++] = '\n'; /* room() leaves two bytes */
}

static void put_value(struct vs_row_text *t, sqlite3_value *v)
{
	switch (sqlite3_value_type(v)) {
	case SQLITE_INTEGER:
		vs_row_int(t, sqlite3_value_int64(v));
		break;
	case SQLITE_FLOAT:
		vs_row_real(t, sqlite3_value_double(v));
		break;
	case SQLITE_TEXT:
		vs_row_chars(t, (const char *)sqlite3_value_text(v), (size_t)sqlite3_value_bytes(v));
		break;
	case SQLITE_BLOB:
		vs_row_blob(t, sqlite3_value_blob(v), (size_t)sqlite3_value_bytes(v));
		break;
	default:
		vs_row_null(t);
	}
}

void vs_row_gather(struct vs_row_text *t, sqlite3_stmt *st, int first)
{
	t->start = t->len;
	for (int i = first, n = sqlite3_column_count(st); i < n; i++)
		put_value(t, sqlite3_column_value(st, i)); /* a connection is one thread's */
	vs_row_end(t);
}

void vs_row_columns(struct vs_row_text *t, sqlite3_stmt *st, int first)
{
	vs_row_begin(t);
	vs_row_gather(t, st, first);
}

void vs_tail_row(uint8_t tail[VS_HASH], const char *part, const struct vs_row_text *t)
{
	crypto_hash_sha256_state sha;
	uint8_t leaf[VS_HASH];
	crypto_hash_sha256_init(&sha);
	crypto_hash_sha256_update(&sha, (const uint8_t *)part, strlen(part));
	crypto_hash_sha256_update(&sha, (const uint8_t *)"|", 1);
	crypto_hash_sha256_update(&sha, (const uint8_t *)t->buf, t->len);
	crypto_hash_sha256_final(&sha, leaf);
	for (unsigned i = 0; i < VS_HASH; i++)
		tail[i] ^= leaf[i];
}

int vs_seal_prepare(sqlite3 *db, unsigned table, sqlite3_stmt **ret)
{
	const struct vs_seal_table *s = &vs_seal_tables[table];
	char sql[512];
	sqlite3_snprintf(sizeof sql, sql, "SELECT %s FROM %s WHERE %s > ?1 AND %s <= ?2 ORDER BY %s", s->columns, s->name,
			 s->key, s->key, s->key);
	return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
}

int vs_seal_digest(sqlite3_stmt *st, int64_t after, int64_t upto, struct vs_row_text *t, int64_t *ret_rows,
		   int64_t *ret_last, uint8_t digest[VS_HASH],
		   void (*row)(void *arg, const struct vs_row_text *t), void *arg)
{
	crypto_hash_sha256_state sha;
	crypto_hash_sha256_init(&sha);
	*ret_rows = 0;
	*ret_last = after;
	sqlite3_bind_int64(st, 1, after);
	sqlite3_bind_int64(st, 2, upto);
	int rc;
	vs_row_begin(t);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		vs_row_gather(t, st, 0);
		if (t->failed) {
			rc = SQLITE_NOMEM;
			break;
		}
		++*ret_rows;
		*ret_last = sqlite3_column_int64(st, 0);
		if (row)
			row(arg, t);
		if (row || t->len >= VS_ROWS_GATHERED) {
			crypto_hash_sha256_update(&sha, (const uint8_t *)t->buf, t->len);
			vs_row_begin(t);
		}
	}
	sqlite3_reset(st);
	crypto_hash_sha256_update(&sha, (const uint8_t *)t->buf, t->len);
	crypto_hash_sha256_final(&sha, digest);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static void hash_text(struct vs_seal_hash *h, const char *text, int len)
{
	crypto_hash_sha256_update(&h->sha, (const uint8_t *)text, (size_t)len);
}

void vs_seal_begin(struct vs_seal_hash *h, const uint8_t previous[VS_HASH], int64_t seal, int64_t at_ms, int64_t rows)
{
	char hex[VS_HASH_HEX], line[160];
	vs_hex(previous, VS_HASH, hex);
	crypto_hash_sha256_init(&h->sha);
	hash_text(h, line, snprintf(line, sizeof line, "%s|%lld|%lld|%lld\n", hex, (long long)seal, (long long)at_ms,
				    (long long)rows));
}

void vs_seal_part(struct vs_seal_hash *h, const char *part, int64_t last, int64_t rows, const uint8_t digest[VS_HASH])
{
	char hex[VS_HASH_HEX], line[192];
	vs_hex(digest, VS_HASH, hex);
	hash_text(h, line, snprintf(line, sizeof line, "%.32s|%lld|%lld|%s\n", part, (long long)last, (long long)rows, hex));
}

void vs_seal_end(struct vs_seal_hash *h, uint8_t hash[VS_HASH])
{
	crypto_hash_sha256_final(&h->sha, hash);
}

void vs_hex(const uint8_t *bytes, size_t len, char *hex)
{
	sodium_bin2hex(hex, 2 * len + 1, bytes, len);
}

bool vs_unhex(const char *hex, uint8_t *bytes, size_t len)
{
	size_t n = 0;
	const char *end = NULL;
	return sodium_hex2bin(bytes, len, hex, strlen(hex), NULL, &n, &end) == 0 && n == len && *end == '\0';
}
