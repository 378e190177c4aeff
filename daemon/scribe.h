/* The scribe: writes events into an open log as rows of history, and seals them.  Part of the store (store.h).
 *
 * One connection, one thread.  Between begin and commit rows are added; after any failure the caller closes the
 * connection and opens a new scribe on a new one: what a failed COMMIT has done is then read from the file.
 * Functions return SQLite result codes where nothing else is said. */
#pragma once
#include <sqlite3.h>

#include "config/limits.h"
#include "daemon/custody.h"
#include "record/key.h"
#include "record/seal.h"

#define VS_SEAL_EVERY_MS (5 * 60 * 1000) /* so long rows wait for their seal at most, while rows come */
#define VS_SEAL_EVERY_ROWS 65536

struct vs_scribe;

/* The newest seal. */
struct vs_scribe_head {
	int64_t seal, at_ms, rows, unsealed; /* rows under seal, and not yet */
	uint64_t given_up;                   /* of the ring, as recorded */
	uint8_t hash[VS_HASH];
	uint8_t signature[VS_KEY_SIGNATURE];
	bool is_signed;
};

/* db: a log of the newest schema; the scribe owns it from here on, also when this fails.  Seals what was left unsealed, after checking it
 * against its checksum; a mismatch becomes a row of `finding`.  key: as of vs_scribe_seal, not kept. */
int vs_scribe_create(sqlite3 *db, const struct vs_key *key, struct vs_scribe **ret);
/* Closes the connection.  NULL is fine. */
void vs_scribe_destroy(struct vs_scribe *s);

int vs_scribe_begin(struct vs_scribe *s);
/* Adds an event, or keeps a chair's state for commit.  A message whose number is in the log already is left out.
 * Entries about legal holds and removals (daemon/retention.h) make their rows of `hold`, `hold_end` and `removal` too.
 * An event that cannot be recorded as it is becomes a row of `finding` instead of standing in the way of all others. */
int vs_scribe_add(struct vs_scribe *s, const struct vs_custody_record *r);
int vs_scribe_epoch(struct vs_scribe *s, uint64_t epoch, int64_t at_ms, const char *site, const char *config_hash,
		    const char *version, const uint8_t *public_key);
int vs_scribe_epoch_end(struct vs_scribe *s, uint64_t epoch, int64_t at_ms);
/* given_up: the ring's count; the row tells of the difference to what is recorded. */
int vs_scribe_gap(struct vs_scribe *s, uint64_t epoch, int64_t from_ms, int64_t until_ms, uint64_t given_up,
		  const char *reason);
/* A limit set that is in force: the text that shipped, then its own (vs_limits_texts).  What stands there already is left out. */
int vs_scribe_limits(struct vs_scribe *s, int64_t at_ms, const char *name, const char *hash, const struct vs_limit_text *texts,
		     unsigned n);
int vs_scribe_finding(struct vs_scribe *s, int64_t at_ms, const char *text);
/* The last row of this file: from here on it is kept under `name`.  The caller seals, commits, and writes no more. */
int vs_scribe_closed(struct vs_scribe *s, int64_t at_ms, const char *name, const char *reason);
/* What became of a removal that was recorded (`removed`, or `kept: ` and why). */
int vs_scribe_removal_end(struct vs_scribe *s, int64_t removal, int64_t at_ms, const char *outcome);
/* In a new, empty file: goes on from the closed one that `past` has open and that is kept as `name`.  Numbers, the chain of
 * seals, the running epoch, holds, removals and the chairs' states go on.  Between begin and commit; the caller seals in between. */
int vs_scribe_go_on(struct vs_scribe *s, sqlite3 *past, const char *name);
/* What is known of a file that was damaged, moved or deleted while it was written. */
struct vs_scribe_end {
	struct vs_scribe_head head;    /* as it was committed last; seal 0: not known */
	int64_t last[VS_SEAL_TABLES];  /* the last number of each table; 0: not known */
};
void vs_scribe_end(const struct vs_scribe *s, struct vs_scribe_end *ret);
struct vs_scribe_lost {
	const char *name, *reason;     /* under which name it is kept, or was lost; what happened to it */
	int64_t at_ms;
	uint64_t epoch;                /* the running one; 0: before the first */
	struct vs_scribe_end end;      /* what memory knows */
};
/* In a new, empty file: goes on from one that was lost, as far as `past` (NULL: it cannot be opened) and memory tell: the files
 * before it, the chain of seals behind its last one that is known, numbers that nobody else has, holds and removals.  Where holds
 * cannot be read everything is put on hold.  What could not be carried over is written into `told` (""): it belongs into a
 * finding.  The chairs' states are not its business. */
int vs_scribe_go_on_from_lost(struct vs_scribe *s, sqlite3 *past, const struct vs_scribe_lost *lost, char told[300]);
/* Ends a scribe without closing its connection, which is returned: to read a file that has no name any more. */
sqlite3 *vs_scribe_leave(struct vs_scribe *s);
/* Seals every row that is not sealed.  Signs if there is a key (else NULL) and it is asked for; the first seal of each day (UTC)
 * is signed unasked, so that `audit verify` knows which signatures there must be.  Without any row to seal: nothing is done unless
 * a signature is asked for. */
int vs_scribe_seal(struct vs_scribe *s, int64_t at_ms, const struct vs_key *key, bool sign);
int vs_scribe_commit(struct vs_scribe *s);

/* The chairs' states as this scribe knows them: those that were given to it.  To go on with in another file. */
void vs_scribe_states(const struct vs_scribe *s, void (*take)(void *arg, const char *chair, const void *bytes, size_t len), void *arg);
/* Keeps a chair's state for commit, unless this scribe was given a newer one. */
int vs_scribe_carry(struct vs_scribe *s, const char *chair, const void *bytes, size_t len, int64_t at_ms);

const struct vs_scribe_head *vs_scribe_head(const struct vs_scribe *s);
/* Its connection, to ask it questions. */
sqlite3 *vs_scribe_db(const struct vs_scribe *s);
/* Events added since the scribe was made. */
uint64_t vs_scribe_added(const struct vs_scribe *s);
