/* A closed file against its seals: whether it is as it was written. */
#include <stdio.h>
#include <string.h>

#include "record/retention.h"

struct whole {
	sqlite3 *db;
	char *why;
	sqlite3_stmt *rows[VS_SEAL_TABLES];
	struct vs_row_text text;
};

static bool wrong(struct whole *w, const char *what, int64_t seal)
{
	snprintf(w->why, 256, "%s (seal %lld)", what, (long long)seal);
	return false;
}

static unsigned table_of(const char *name)
{
	unsigned t = 0;
	while (t < VS_SEAL_TABLES && strcmp(vs_seal_tables[t].name, name) != 0)
		t++;
	return t;
}

/* Every part's rows, from behind the part before it; *ret: how many. */
static bool check_rows(struct whole *w, int64_t *ret)
{
	sqlite3_stmt *st = NULL;
	unsigned last_table = VS_SEAL_TABLES;
	int64_t after = 0;
	bool fine = true;
	int rc = sqlite3_prepare_v2(w->db, "SELECT part, last, seal, rows, digest FROM seal_part ORDER BY part, last", -1, &st, NULL);
	while (rc == SQLITE_OK && fine && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		uint8_t digest[VS_HASH];
		unsigned t = table_of((const char *)sqlite3_column_text(st, 0));
		int64_t last = sqlite3_column_int64(st, 1), rows = 0, upto = 0;
		rc = SQLITE_OK;
		if (t == VS_SEAL_TABLES) {
			fine = wrong(w, "a part is of no table that is sealed", sqlite3_column_int64(st, 2));
			break;
		}
		bool anew = t != last_table || (t == VS_SEAL_READING && after / VS_RUN_ROWS != last / VS_RUN_ROWS);
		if (anew)
			after = t == VS_SEAL_READING ? last / VS_RUN_ROWS * VS_RUN_ROWS - 1 : INT64_MIN;
		if (!w->rows[t])
			rc = vs_seal_prepare(w->db, t, &w->rows[t]);
		if (rc == SQLITE_OK)
			rc = vs_seal_digest(w->rows[t], after, last, &w->text, &rows, &upto, digest, NULL, NULL);
		if (rc == SQLITE_OK && (rows != sqlite3_column_int64(st, 3) || sqlite3_column_bytes(st, 4) != VS_HASH ||
					memcmp(digest, sqlite3_column_blob(st, 4), VS_HASH) != 0))
			fine = wrong(w, "rows are not as they were sealed", sqlite3_column_int64(st, 2));
		*ret += rows;
		after = last;
		last_table = t;
	}
	sqlite3_finalize(st);
	return fine && (rc == SQLITE_DONE || wrong(w, sqlite3_errmsg(w->db), 0));
}

/* No row stands beside those under seal: a closed file has none that wait. */
static bool check_nothing_more(struct whole *w, int64_t sealed)
{
	int64_t there = 0;
	for (unsigned t = 0; t < VS_SEAL_TABLES; t++) {
		char sql[96];
		sqlite3_stmt *st = NULL;
		if (!w->rows[t] && sqlite3_table_column_metadata(w->db, NULL, vs_seal_tables[t].name, NULL, NULL, NULL, NULL, NULL, NULL) !=
					   SQLITE_OK)
			continue;
		snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", vs_seal_tables[t].name);
		if (sqlite3_prepare_v2(w->db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
			there += sqlite3_column_int64(st, 0);
		sqlite3_finalize(st);
	}
	return there == sealed || wrong(w, "there are rows that no seal covers", 0);
}

/* The parts of all seals in the order of the chain: `ORDER BY seal, CASE part WHEN 'epoch' THEN 0 ... END, last`. */
static int prepare_parts(struct whole *w, sqlite3_stmt **ret)
{
	char sql[1024];
	size_t n = (size_t)snprintf(sql, sizeof sql, "SELECT seal, part, last, rows, digest FROM seal_part ORDER BY seal, CASE part");
	for (unsigned t = 0; t < VS_SEAL_TABLES; t++)
		n += (size_t)snprintf(sql + n, sizeof sql - n, " WHEN '%s' THEN %u", vs_seal_tables[t].name, t);
	snprintf(sql + n, sizeof sql - n, " END, last");
	return sqlite3_prepare_v2(w->db, sql, -1, ret, NULL);
}

/* One seal, with the parts that `parts` stands at. */
static bool check_seal(struct whole *w, sqlite3_stmt *seal, sqlite3_stmt *parts, int *part_rc, const uint8_t before[VS_HASH])
{
	struct vs_seal_hash h;
	uint8_t hash[VS_HASH];
	int64_t number = sqlite3_column_int64(seal, 0);
	vs_seal_begin(&h, before, number, sqlite3_column_int64(seal, 1), sqlite3_column_int64(seal, 2));
	while (*part_rc == SQLITE_ROW && sqlite3_column_int64(parts, 0) == number) {
		if (sqlite3_column_bytes(parts, 4) == VS_HASH)
			vs_seal_part(&h, (const char *)sqlite3_column_text(parts, 1), sqlite3_column_int64(parts, 2),
				     sqlite3_column_int64(parts, 3), sqlite3_column_blob(parts, 4));
		*part_rc = sqlite3_step(parts);
	}
	vs_seal_end(&h, hash);
	return (sqlite3_column_bytes(seal, 3) == VS_HASH && memcmp(hash, sqlite3_column_blob(seal, 3), VS_HASH) == 0) ||
	       wrong(w, "the seal does not fit what it covers, or the seal before it", number);
}

static bool check_signature(struct whole *w, sqlite3_stmt *seal, const struct vs_log_link *link)
{
	char hex[VS_HASH_HEX];
	if (!link->has_key || sqlite3_column_bytes(seal, 4) == 0)
		return true;
	vs_hex(link->hash, VS_HASH, hex);
	return (sqlite3_column_bytes(seal, 4) == VS_KEY_SIGNATURE && vs_key_verify(link->public_key, hex, sqlite3_column_blob(seal, 4))) ||
	       wrong(w, "the signature is not by the daemon's key", link->seal);
}

static bool check_chain(struct whole *w, const struct vs_log_link *before, const struct vs_log_link *link)
{
	sqlite3_stmt *seal = NULL, *parts = NULL;
	struct vs_log_link at = before ? *before : (struct vs_log_link){ .seal = 0 };
	bool fine = true;
	int part_rc = SQLITE_ERROR, rc = prepare_parts(w, &parts);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(w->db, "SELECT seal, at_ms, rows, hash, signature FROM seal ORDER BY seal", -1, &seal, NULL);
	if (rc == SQLITE_OK)
		part_rc = sqlite3_step(parts);
	while (rc == SQLITE_OK && fine && (rc = sqlite3_step(seal)) == SQLITE_ROW) {
		rc = SQLITE_OK;
		if (sqlite3_column_int64(seal, 0) != at.seal + 1)
			fine = wrong(w, "a seal is missing behind the one before", at.seal);
		fine = fine && check_seal(w, seal, parts, &part_rc, at.hash);
		if (!fine)
			break;
		at.seal++;
		memcpy(at.hash, sqlite3_column_blob(seal, 3), VS_HASH);
		if (at.seal == link->seal)
			fine = check_signature(w, seal, link);
	}
	if (fine && (rc != SQLITE_DONE || part_rc != SQLITE_DONE))
		fine = wrong(w, rc != SQLITE_DONE ? sqlite3_errmsg(w->db) : "parts belong to a seal that is not there", at.seal);
	if (fine && (at.seal != link->seal || memcmp(at.hash, link->hash, VS_HASH) != 0))
		fine = wrong(w, "the file does not end with the seal that the log goes on from", at.seal);
	sqlite3_finalize(seal);
	sqlite3_finalize(parts);
	return fine;
}

bool vs_file_is_whole(sqlite3 *db, const struct vs_log_link *before, const struct vs_log_link *link, char why[256])
{
	struct whole w = { .db = db, .why = why };
	int64_t sealed = 0;
	why[0] = '\0';
	bool fine = check_chain(&w, before, link) && check_rows(&w, &sealed) && check_nothing_more(&w, sealed);
	for (unsigned t = 0; t < VS_SEAL_TABLES; t++)
		sqlite3_finalize(w.rows[t]);
	vs_row_finish(&w.text);
	return fine;
}
