/* What the files of the scribe share; nobody else includes it.
 *
 *	scribe.c         the door: statements, chairs and their runs, readings and events, transactions, beginning and end
 *	scribe_shape.c   what a reading looks like: metrics, flags and errors, stored once for all readings that are alike
 *	scribe_seal.c    seals
 *	scribe_files.c   one file ends or is lost, the next goes on */
#pragma once
#include "daemon/scribe.h"

#define VS_SCRIBE_CHAIRS 256 /* heads of lists */

enum vs_scribe_statement {
	ORIGIN_FIND, ORIGIN_ADD, RUN_FIND, RUN_ADD, READING_ADD, SHAPE_FIND, SHAPE_ADD, SHAPE_METRIC_ADD, EVENT_ADD,
	SESSION_ADD, ALARM_ADD, STATE_SET, EPOCH_ADD, EPOCH_END_ADD, GAP_ADD, FINDING_ADD, SEAL_ADD, PART_ADD, PART_LAST,
	HEAD_SET, CARRIED, CLOSED_ADD, HOLD_ADD, HOLD_END_ADD, REMOVAL_ADD, REMOVAL_END_ADD, LIMIT_TEXT_ADD,
	LIMIT_SET_ADD, CLOCK_ADD, STATEMENTS
};

struct vs_scribe_chair {
	struct vs_scribe_chair *next;
	char name[64], site[64], session[64];
	uint64_t epoch;
	int64_t origin; /* 0: not looked up for this epoch and site */
	uint64_t mark[VS_KIND_COUNT]; /* messages of this epoch up to here are in the file before this one */
	int64_t run;    /* 0: none; else all that follows is of this run */
	bool has_session, listed; /* listed: stands in open_runs since the last seal */
	uint64_t first_seq;
	int64_t start_ms, boot_ms, last_id;
	/* state that waits for commit */
	bool state_waits;
	int64_t state_ms;
	size_t state_len, state_cap;
	void *state;
};

struct vs_scribe_shape {
	struct vs_scribe_shape *next;
	int64_t shape;
	size_t len;
	uint8_t key[];
};

struct vs_scribe_open {
	int64_t run, after;
};

struct vs_scribe {
	sqlite3 *db;
	sqlite3_stmt *st[STATEMENTS], *part[VS_SEAL_TABLES];
	struct vs_scribe_chair *chairs[VS_SCRIBE_CHAIRS];
	struct vs_scribe_shape *shapes[1024];
	unsigned n_shapes;
	struct vs_scribe_open *open;
	size_t n_open, cap_open;
	int64_t first[VS_SEAL_TABLES];  /* number of the first row of a table, where it goes on from a file before; else 0 */
	int64_t sealed[VS_SEAL_TABLES]; /* last row under seal, of all but readings */
	int64_t first_run;
	uint8_t tail[VS_HASH];
	int64_t last[VS_SEAL_TABLES];   /* number of the last row of a table; 0: it has none */
	struct vs_scribe_head head, committed;
	struct vs_row_text row;
	uint64_t added;
	int64_t last_event;
	uint64_t clock_epoch;           /* of the last row of `clock`; 0: there is none */
	int64_t clock_offset;           /* wall time less CLOCK_BOOTTIME, as it says */
};

/* Steps a statement to its end: SQLITE_OK. */
int vs_scribe_run(sqlite3_stmt *st);
/* Binds a text that lives until the statement has run, or NULL. */
void vs_scribe_text(sqlite3_stmt *st, int i, const char *text);
/* The integer in the first column: SQLITE_ROW and *ret; SQLITE_DONE: no row, or NULL. */
int vs_scribe_number(sqlite3_stmt *st, int64_t *ret);
/* The place of a table that is sealed, in vs_seal_tables. */
unsigned vs_scribe_table(const char *name);
/* Runs an insert and counts the row it made, if it made one: its number, or 0. */
int vs_scribe_row(struct vs_scribe *s, enum vs_scribe_statement which, const char *table, int64_t *ret_id);
/* A number that came from the file before, as vs_scribe_number. */
int vs_scribe_carried(struct vs_scribe *s, const char *what, int64_t *ret);
uint32_t vs_scribe_hash(const void *bytes, size_t len);

/* The shape of a reading, made where there is none yet. */
int vs_scribe_shape(struct vs_scribe *s, const struct vs_event *e, int64_t *ret);
void vs_scribe_forget_shapes(struct vs_scribe *s);
/* The first numbers of tables that have no row yet, behind those of the files before. */
int vs_scribe_read_first(struct vs_scribe *s);
