/* What the files of the store share; nobody else includes it.
 *
 *	store.c          the door: one group from the ring into one transaction, health, the writer thread, open and close
 *	store_file.c     opens the file, makes the next one, sets a damaged one aside
 *	store_past.c     the states and numbers that the next run, or a new file, goes on with
 *	store_limits.c   the texts of the limits that are in force
 *	store_rotate.c   when a file is complete: closed, and the next begun
 *	store_remove.c   files that are removed by policy */
#pragma once
#include <pthread.h>
#include <sys/types.h>

#include "daemon/scribe.h"
#include "daemon/store.h"
#include "record/files.h"

#define VS_STORE_SEALS_MAX 64 /* that wait to be published */

/* The durable state of a chair, newest known. */
struct vs_kept_state {
	struct vs_kept_state *next;
	char chair[64];
	bool newer; /* than what the file may say: it came from the ring */
	size_t len;
	uint8_t bytes[];
};

/* A limit set that is in force, and the texts it was read from. */
struct vs_limits_in_force {
	struct vs_limits_in_force *next;
	char *name, *hash;
	unsigned n;
	struct vs_limit_text texts[1 + VS_LIMIT_TEXTS]; /* owned */
};

struct vs_store {
	char *path, *site, *config_hash, *version;
	struct vs_custody *ring;
	struct vs_custody_reader *reader;
	uint64_t lost_told; /* of vs_custody_lost(), in the record */
	void (*changed)(void *arg);
	void *arg;

	/* of the thread that writes: open's, then the writer's */
	struct vs_scribe *scribe; /* NULL: the file is closed, and opened at the next attempt */
	struct vs_key key;
	bool has_key;
	uint64_t epoch;
	int64_t started_ms, last_commit_ms;
	bool epoch_recorded;
	uint64_t added;           /* by scribes that are gone */
	int64_t signed_day;       /* day (since 1970) of the last signed seal */
	bool ring_damaged;
	char notice[800];         /* why this file is a new one: becomes a finding in it */
	bool carry;               /* the file is new: the states go on in it */
	char newest_session[64], past_session[64]; /* of this run; of the runs before, as of open */
	struct vs_scribe_end end; /* of the file that was used before */
	bool lost;                /* that file was damaged or has no name any more, and a new one is not there yet: */
	sqlite3 *lost_db;         /* open still, though nothing leads to it; NULL: it is kept */
	char lost_name[VS_FILE_NAME_CAP], lost_why[256];
	int64_t lost_ms;
	uint64_t looked_ms;       /* when the file's place was checked last */
	bool rotate_yearly;
	uint64_t rotate_bytes, rotate_looked_ms;
	bool removal_waits;       /* a removal may be recorded that is not carried out */
	uint64_t removal_due_ms;  /* ... and could not be: not before this time */
	int64_t file_from_ms;     /* since when the file is written; 0: not known yet */
	dev_t dev;
	ino_t ino;
	char closed_chair[64], closed_session[64]; /* of the session that this group closes */
	char any_chair[64];
	unsigned retry_ms;
	uint64_t failing_since_ms; /* 0: the last attempt succeeded */
	struct vs_kept_state *states;
	struct vs_limits_in_force *limits;
	bool limits_told;          /* they stand in this file */
	uint64_t last_alarm;

	pthread_t thread;
	bool running;
	pthread_mutex_t lock; /* of all below */
	bool stop;
	struct vs_limits_in_force *new_limits; /* in place of `limits`; NULL: nothing new */
	struct vs_store_health health;
	struct vs_store_seal seals[VS_STORE_SEALS_MAX];
	unsigned first_seal, n_seals;
};

/* ---- The file ---- */

/* Opens the file and makes a scribe on it; where it was closed or lost, in the next one.  SQLITE_OK, else `why` says it. */
int vs_store_open_log(struct vs_store *s, bool check, char why[160]);
void vs_store_close_log(struct vs_store *s);
/* The file is damaged: kept under another name; the next one goes on. */
void vs_store_set_aside(struct vs_store *s);
/* The file has no name any more, or another stands in its place: the next one goes on. */
void vs_store_lose(struct vs_store *s);
/* Is the file one of this program's? */
bool vs_store_was_ours(const struct vs_store *s);
/* The key that signs, or NULL. */
const struct vs_key *vs_store_key(const struct vs_store *s);
/* May it pass by itself: a full or locked disk? */
bool vs_store_is_passing(int rc);
/* The result code for a file that could not be opened: what passes by itself is told from what does not. */
int vs_store_why_not_open(int rc, int error);
/* A closed file becomes one that is only read: no WAL beside it. */
void vs_store_settle(const char *path);
/* Names that were given or taken in the folder of this path are on the disk. */
void vs_store_sync_folder(const char *path);

/* ---- What goes on ---- */

/* The number in the first row; 0: there is none. */
int64_t vs_store_ask(sqlite3 *db, const char *sql);
void vs_store_keep_state(struct vs_store *s, const char *chair, const void *bytes, size_t len, bool newer);
/* The same as a callback of vs_scribe_states; arg: the store. */
void vs_store_remember_state(void *arg, const char *chair, const void *bytes, size_t len);
void vs_store_read_states(struct vs_store *s, sqlite3 *db);
void vs_store_read_numbers(struct vs_store *s, sqlite3 *db);
/* Keeps the later of two sessions. */
void vs_store_note_session(char newest[64], const char *session);
/* States and numbers into a new file; between begin and commit. */
int vs_store_carry_on(struct vs_store *s);

/* ---- Limits ---- */

/* Are there limits that this file does not have yet?  Takes over what the loop has given. */
bool vs_store_limits_due(struct vs_store *s);
int vs_store_add_limits(struct vs_store *s, int64_t now);
void vs_store_free_limits(struct vs_limits_in_force *l);

/* ---- The end of files ---- */

/* Closes the file when it is complete, and begins the next. */
void vs_store_rotate(struct vs_store *s);
/* Carries out the removals that are recorded. */
void vs_store_remove_files(struct vs_store *s);
int vs_store_sign_and_commit(struct vs_store *s, int64_t now);
/* What the ring is told of the newest seal. */
void vs_store_publish_head(struct vs_store *s, int64_t now);
