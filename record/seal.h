/* Seals: a chain of SHA-256 hashes over the rows of the log, and signatures of its head (schema/README.md, "Seals").
 *
 *	row      each column as SQL's quote() writes it, joined by '|', then a newline
 *	part     SHA-256 over the rows of a table, or of one run of `reading`, in the order of their numbers
 *	seal     SHA-256 over the text `PREVIOUS|SEAL|AT_MS|ROWS\n` and for each part, in the order of vs_seal_tables
 *	         and of their numbers, `PART|LAST|ROWS|DIGEST\n`; hashes in lower-case hexadecimal
 *	tail     exclusive or of SHA-256(`PART|` + row) over all rows that are not sealed yet
 *
 * Anybody can compute them again with `sqlite3` and `sha256sum`. */
#pragma once
#include <sodium.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VS_HASH 32
#define VS_HASH_HEX (2 * VS_HASH + 1)
#define VS_RUN_ROWS 8192 /* numbers of `reading` that belong to one run */

/* The tables under seal, with the column that numbers their rows; ends with a NULL name.  `reading` is the last one. */
struct vs_seal_table {
	const char *name, *key, *columns;
	int since; /* version of the schema that brought it */
};
extern const struct vs_seal_table vs_seal_tables[];
enum { VS_SEAL_TABLES = 23, VS_SEAL_READING = VS_SEAL_TABLES - 1 };

/* A row as text.  Grows by itself; text stays until the next use. */
struct vs_row_text {
	char *buf;
	size_t len, cap;
	size_t start; /* where the present row begins: behind others, where they are gathered */
	bool failed;  /* no memory */
};
void vs_row_finish(struct vs_row_text *t);
void vs_row_begin(struct vs_row_text *t);
void vs_row_null(struct vs_row_text *t);
void vs_row_int(struct vs_row_text *t, int64_t v);
void vs_row_real(struct vs_row_text *t, double v);
void vs_row_chars(struct vs_row_text *t, const char *s, size_t len);
void vs_row_blob(struct vs_row_text *t, const void *bytes, size_t len);
void vs_row_end(struct vs_row_text *t);
/* The whole of a statement's present row, from column `first` on. */
void vs_row_columns(struct vs_row_text *t, sqlite3_stmt *st, int first);
/* The same, behind the rows that are there already: for what is hashed in one piece. */
void vs_row_gather(struct vs_row_text *t, sqlite3_stmt *st, int first);
#define VS_ROWS_GATHERED 32768 /* bytes that are worth hashing */

/* One row more (or one less: it is its own inverse) in the tail. */
void vs_tail_row(uint8_t tail[VS_HASH], const char *part, const struct vs_row_text *t);

/* A statement that gives the rows of a part in order; ?1 < number <= ?2. */
int vs_seal_prepare(sqlite3 *db, unsigned table, sqlite3_stmt **ret);
/* Digest of the rows above `after` up to `upto`; each row is given to `row` too (may be NULL).
 * An SQLite result code. */
int vs_seal_digest(sqlite3_stmt *st, int64_t after, int64_t upto, struct vs_row_text *t, int64_t *ret_rows,
		   int64_t *ret_last, uint8_t digest[VS_HASH],
		   void (*row)(void *arg, const struct vs_row_text *t), void *arg);

/* The hash of one seal, part by part. */
struct vs_seal_hash {
	crypto_hash_sha256_state sha;
};
void vs_seal_begin(struct vs_seal_hash *h, const uint8_t previous[VS_HASH], int64_t seal, int64_t at_ms, int64_t rows);
void vs_seal_part(struct vs_seal_hash *h, const char *part, int64_t last, int64_t rows, const uint8_t digest[VS_HASH]);
void vs_seal_end(struct vs_seal_hash *h, uint8_t hash[VS_HASH]);

void vs_hex(const uint8_t *bytes, size_t len, char *hex);
/* False: not exactly len bytes in hexadecimal. */
bool vs_unhex(const char *hex, uint8_t *bytes, size_t len);
