/* The store: the daemon's log in SQLite, and the thread that writes it.
 *
 *	loop --> custody (ring in memory) --> writer thread --> vitals.db (WAL, synchronous=FULL)
 *
 * The writer takes what custody holds in groups, at most 250 ms apart, and marks it done in the ring only after COMMIT
 * has returned.  A record that comes again after a crash is known by (epoch, chair, kind, seq) and not written twice.
 * Rows of history are only inserted (schema/README.md); beside them stands each chair's durable state, which is
 * replaced, and is given back at the next start.
 *
 * When the disk is full, fails or is locked, the writer tries again for ever, 100 ms to 5 s apart, and says so once;
 * nothing is lost but what custody itself has to give up (readings, when three quarters of the ring are waiting).
 * One file a year, or of a size: when it is over, and no session is open, the file is closed with a signed seal, kept beside
 * the new one under its own name, and the new one goes on with its numbers and its chain of seals (record/files.h).
 *
 * A file that is removed by policy (daemon/retention.h) is removed here: the record of it is sealed, signed and on the disk first, and
 * what a crash leaves undone is done by the next start.
 *
 * When the file turns out to be damaged it is set aside as PATH.damaged-TIME, and a new one goes on behind its last seal that is
 * known, with the files before it, numbers, holds, and the chairs' states; a finding names the old one.  So when it was moved or
 * deleted while it was written. */
#pragma once
#include "config/limits.h"
#include "core/event.h"
#include "daemon/custody.h"

struct vs_store;

struct vs_store_options {
	const char *path;
	const char *site, *config_hash, *version; /* stand in the record of this start */
	struct vs_custody *ring;                  /* outlives the store */
	bool rotate_yearly;                       /* a new file at the turn of the year (UTC) */
	uint64_t rotate_bytes;                    /* ... or when the file is so large; 0: not by size */
	/* Called on the writer thread when health changed or a seal waits to be published; it may only wake the loop
	 * (uv_async_send).  NULL: nobody wants to know. */
	void (*changed)(void *arg);
	void *arg;
};

/* Opens or creates the log, brings it to the present schema, records what a predecessor left in the ring, and begins a
 * new epoch, which the ring is told too.  Blocks; before the loop runs.  Logs its own failures.
 * -ENOTDIR, -EACCES, ...: there can be no log at this path; -EINVAL: the file is a database of somebody else;
 * -EPROTO: a newer vitalsd wrote it.  A full or locked disk is no failure: the thread goes on trying. */
int vs_store_open(const struct vs_store_options *o, struct vs_store **ret);
/* The limit sets that are in force from now on: their texts (vs_limits_texts) are recorded, each once, before or together with the
 * first message that comes after.  Copies what it is given.  From the loop, also before start.  0 or -ENOMEM. */
struct vs_store_set {
	const char *name, *hash;
	unsigned n;
	struct vs_limit_text texts[1 + VS_LIMIT_TEXTS];
};
int vs_store_limits(struct vs_store *s, const struct vs_store_set *sets, unsigned n);
/* Starts the writer thread.  Copies of all strings were made by open. */
int vs_store_start(struct vs_store *s);
/* Records everything the ring holds, seals and signs it, ends the thread.  Waits for a failing disk 5 s at most: what
 * is not recorded then stays in the ring for the next start.  NULL is fine. */
void vs_store_close(struct vs_store *s);

/* ---- What the last run left; answers are as of vs_store_open ---- */

uint64_t vs_store_epoch(const struct vs_store *s);
/* The durable state of a chair, or NULL; good until vs_store_close. */
const void *vs_store_state(const struct vs_store *s, const char *chair, size_t *ret_len);
/* The highest number given to an alarm ("a-000031": 31), 0: none yet. */
uint64_t vs_store_last_alarm(const struct vs_store *s);
/* The highest number given to a session of a day, "20261121" ("s-20261121-3": 3), 0: none yet. */
uint64_t vs_store_last_session(const struct vs_store *s, const char *day);

/* ---- While it runs; from the loop ---- */

struct vs_store_health {
	bool failing;         /* nothing can be recorded now: technical alarm log-fail */
	char text[256];       /* why, and what to do; or what was found at the start; "" */
	uint64_t recorded;    /* events committed since the start */
	uint64_t failures;    /* groups that could not be committed at the first attempt */
	int64_t last_wall_ms; /* of the last COMMIT; 0: none yet */
};
void vs_store_health(const struct vs_store *s, struct vs_store_health *ret);

/* The next seal that is to be published as an event of kind `seal`: the chair whose topic it goes to (its session was
 * closed, or a day is over), the session (or ""), and the members of its body.  False: there is none. */
struct vs_store_seal {
	char chair[64], session[64];
	char body[512];
};
bool vs_store_take_seal(struct vs_store *s, struct vs_store_seal *ret);
