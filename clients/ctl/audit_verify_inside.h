/* What the files of the verification share; nobody else includes it.
 *
 *	audit_verify.c         all files, each by a thread of its own; from file to file; what was found
 *	audit_verify_chain.c   seals, signatures, witnesses, and what else the log says of itself
 *	audit_verify_rows.c    rows against the seals over them */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "clients/ctl/audit_verify.h"
#include "record/key.h"
#include "record/seal.h"

#define VS_VERIFY_PROGRESS_ROWS 65536 /* rows between two words of progress */

struct vs_verify_part {
	int64_t seal, rows, last;
	uint8_t digest[VS_HASH];
	uint8_t table;
	bool met; /* its rows were looked at */
};

struct vs_verify_seal {
	int64_t seal, at_ms, rows;
	uint8_t hash[VS_HASH], signature[VS_KEY_SIGNATURE];
	bool is_signed;
};

/* How far all of it is, for those who wait. */
struct vs_verify_progress {
	pthread_mutex_t lock; /* of the next two */
	pthread_cond_t ended;
	unsigned running;
	_Atomic int64_t rows;
	int64_t all; /* about so many */
};

/* What is looked at: a file, by one thread, or (witnesses) the seals of all of them. */
struct vs_verifying {
	struct vs_log *l;
	sqlite3 *db;          /* the file that is looked at */
	struct vs_verify_progress *progress;
	const char *label;    /* its name, where there are several; else NULL */
	int version;          /* of its schema */
	const char *session;  /* only what seals cover its rows; NULL: everything */
	struct vs_verdict *out;
	struct vs_verify_part *parts; /* in the order of tables, then of numbers */
	size_t n_parts;
	struct vs_verify_seal *seals;
	size_t n_seals;
	struct vs_verify_seal before;   /* the end of the file before: seal, rows and hash; zeros at the beginning */
	uint8_t tail[VS_HASH];
	int64_t tail_rows;
	struct vs_row_text row;
	uint8_t (*keys)[VS_KEY_PUBLIC];
	size_t n_keys;
	const char *trusted;
	char trouble[512];    /* why it cannot be looked at; "" */
};

/* ---- What was found ---- */

__attribute__((format(printf, 3, 4))) void vs_verify_finding(struct vs_verifying *v, const char *place, const char *format, ...);
/* "vitals-2026.db: seal 12, ..." where there are several files. */
const char *vs_verify_placed(const struct vs_verifying *v, const char *place, char buf[512]);
/* Statements whose rows are findings (or notes): place, what. */
void vs_verify_ask(struct vs_verifying *v, const char *sql, json_t *to);
#define VS_VERIFY_AT(column) "strftime('%Y-%m-%dT%H:%M:%SZ', " column " / 1000.0, 'unixepoch')"

/* ---- Rows ---- */

/* The place of a table in vs_seal_tables; VS_SEAL_TABLES: it is none. */
unsigned vs_verify_table(const char *name);
/* All rows of a table against its parts, from *part on, which moves behind them. */
void vs_verify_walk_table(struct vs_verifying *v, unsigned table, size_t *part);
/* Only the rows under the seals that cover one session. */
void vs_verify_check_session(struct vs_verifying *v);

/* ---- The chain ---- */

/* 0; -1: they cannot be read. */
int vs_verify_read_parts(struct vs_verifying *v);
int vs_verify_read_seals(struct vs_verifying *v);
/* The key that is trusted, else all that the log names.  0, or an exit code: said why. */
int vs_verify_read_keys(struct vs_verifying *v);
void vs_verify_check_chain(struct vs_verifying *v);
void vs_verify_check_head(struct vs_verifying *v);
void vs_verify_check_signatures(struct vs_verifying *v);
/* The schema, the pages, and what the log says of itself. */
void vs_verify_check_rest(struct vs_verifying *v);
/* Seals that were kept elsewhere, in a file.  0, or an exit code: said why. */
int vs_verify_read_witness(struct vs_verifying *v, const char *file);
