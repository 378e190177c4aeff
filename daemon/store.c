#include "daemon/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/timetext.h"
#include "daemon/clock.h"
#include "daemon/say.h"
#include "daemon/scribe.h"
#include "record/files.h"
#include "record/retention.h"
#include "record/schema.h"

#define GROUP_MS 250         /* power loss may cost so much */
#define GROUP_MAX 5000       /* records in one transaction */
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define RETRY_LOCKED_MS 500
#define CLOSE_MS 5000        /* how long an orderly stop waits for a failing disk */
#define START_MS 3000        /* how long a start waits for a failing disk to give what the last run left */
#define LOOK_MS 1000         /* how often the file's place is checked */
#define QUICK_CHECK_MAX (128 << 20) /* bytes of which all pages are checked at the start: 0.1 s */
#define SEALS_MAX 64
#define REMOVAL_RETRY_MS 600000 /* a file that is to be removed, and cannot be: tried again */
#define ROTATE_LOOK_MS 60000 /* how often it is asked whether the file is complete */
#define ROTATE_DAY_MS 86400000ll
#define ROTATE_WAIT_MS (7 * ROTATE_DAY_MS) /* so long sessions that are open hold it up at most */

struct state {
	struct state *next;
	char chair[64];
	bool newer; /* than what the file may say: it came from the ring */
	size_t len;
	uint8_t bytes[];
};

/* A limit set that is in force, and the texts it was read from. */
struct limits {
	struct limits *next;
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
	struct state *states;
	struct limits *limits;
	bool limits_told;          /* they stand in this file */
	uint64_t last_alarm;

	pthread_t thread;
	bool running;
	pthread_mutex_t lock; /* of all below */
	bool stop;
	struct limits *new_limits; /* in place of `limits`; NULL: nothing new */
	struct vs_store_health health;
	struct vs_store_seal seals[SEALS_MAX];
	unsigned first_seal, n_seals;
};

static void tell(struct vs_store *s)
{
	if (s->changed)
		s->changed(s->arg);
}

/* ---- Opening the file ---- */

static char *beside(const struct vs_store *s, const char *suffix)
{
	char *path = NULL;
	return asprintf(&path, "%s%s", s->path, suffix) < 0 ? NULL : path;
}

/* There has been a log of ours at this path: its key stands beside it. */
static bool was_ours(const struct vs_store *s)
{
	char *key = beside(s, ".key");
	bool is = key && access(key, F_OK) == 0;
	free(key);
	return is;
}

static const struct vs_key *key_of(const struct vs_store *s)
{
	return s->has_key ? &s->key : NULL;
}

/* Created by us, for the group to read (auditors), nobody to write but us. */
static int create_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return -errno;
	struct stat st;
	int r = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	close(fd);
	return r;
}

static int configure(sqlite3 *db)
{
	return sqlite3_exec(db,
			    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 16777216;"
			    "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = ON; PRAGMA temp_store = MEMORY",
			    NULL, NULL, NULL);
}

/* A failure that may be over in a moment: of the disk or by a lock, not of what stands in the file. */
static bool is_passing(int rc)
{
	rc &= 0xff;
	return rc == SQLITE_IOERR || rc == SQLITE_FULL || rc == SQLITE_BUSY || rc == SQLITE_LOCKED;
}

/* Opening a file that is there fails like anything else when the disk does; SQLite has one number for all its reasons. */
static int why_not_open(int rc, int error)
{
	bool disk = error == EIO || error == ENOSPC || error == EDQUOT || error == EMFILE || error == ENFILE || error == ENOMEM;
	return (rc & 0xff) == SQLITE_CANTOPEN && disk ? SQLITE_IOERR : rc;
}

static int quick_check(sqlite3 *db, off_t size)
{
	if (size > QUICK_CHECK_MAX)
		return SQLITE_OK;
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &st, NULL);
	if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
		rc = strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0 ? SQLITE_OK : SQLITE_CORRUPT;
	sqlite3_finalize(st);
	return rc;
}

/* Brings the schema up to date.  SQLITE_MISMATCH: of somebody else; SQLITE_SCHEMA: of a newer program. */
static int bring_up_to_date(sqlite3 *db)
{
	enum vs_schema_state state;
	int rc = vs_schema_look(db, &state);
	if (rc != SQLITE_OK)
		return rc;
	if (state == VS_SCHEMA_FOREIGN)
		return SQLITE_MISMATCH;
	if (state == VS_SCHEMA_NEWER)
		return SQLITE_SCHEMA;
	rc = configure(db);
	return rc == SQLITE_OK && state != VS_SCHEMA_OK ? vs_schema_migrate(db, vs_schema_newest()) : rc;
}

/* Takes over the file's place, so that its loss is noticed. */
static void remember_place(struct vs_store *s)
{
	struct stat st;
	if (stat(s->path, &st) == 0) {
		s->dev = st.st_dev;
		s->ino = st.st_ino;
	}
	s->looked_ms = vs_boottime_ms();
}

static int open_file(const char *path, bool check, sqlite3 **ret)
{
	int rc = sqlite3_open_v2(path, ret, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK) {
		struct stat st;
		sqlite3_extended_result_codes(*ret, 0);
		sqlite3_busy_timeout(*ret, 200);
		rc = bring_up_to_date(*ret);
		if (rc == SQLITE_OK && check)
			rc = quick_check(*ret, stat(path, &st) == 0 ? st.st_size : 0);
	}
	return rc;
}

/* ---- A new file goes on ---- */

/* Moves the WAL and its index of a closed file along with it.  Whoever has it open reads on. */
static void move_along(const char *from, const char *to)
{
	static const char *const parts[] = { "-wal", "-shm" };
	char a[4096], b[4096];
	for (size_t i = 0; i < 2; i++)
		if ((size_t)snprintf(a, sizeof a, "%s%s", from, parts[i]) < sizeof a &&
		    (size_t)snprintf(b, sizeof b, "%s%s", to, parts[i]) < sizeof b && rename(a, b) < 0 && errno != ENOENT)
			vs_say(VS_SAY_ERROR, "%s cannot be moved to %s: %s", a, b, strerror(errno));
}

/* Makes the new file, complete with its first seal, under another name: from the closed one that is kept as `name`, or from one that
 * was lost (else NULL). */
static int make_next(struct vs_store *s, const char *path, sqlite3 *past, const char *name, const struct vs_scribe_lost *lost)
{
	static const char *const parts[] = { "", "-wal", "-shm" };
	char part[4096], told[300] = "";
	sqlite3 *db = NULL;
	struct vs_scribe *scribe = NULL;
	for (size_t i = 0; i < 3; i++) /* of an attempt that was cut off */
		if ((size_t)snprintf(part, sizeof part, "%s%s", path, parts[i]) < sizeof part)
			unlink(part);
	int rc = create_file(path) < 0 ? SQLITE_CANTOPEN : open_file(path, false, &db);
	if (rc != SQLITE_OK) {
		sqlite3_close(db);
		return rc;
	}
	rc = vs_scribe_create(db, key_of(s), &scribe); /* owns db from here on */
	if (rc == SQLITE_OK)
		rc = vs_scribe_begin(scribe);
	if (rc == SQLITE_OK)
		rc = lost ? vs_scribe_go_on_from_lost(scribe, past, lost, told) : vs_scribe_go_on(scribe, past, name);
	if (rc == SQLITE_OK)
		rc = vs_scribe_seal(scribe, vs_wall_ms(), key_of(s), true);
	if (rc == SQLITE_OK)
		rc = vs_scribe_commit(scribe);
	vs_scribe_destroy(scribe);
	if (rc == SQLITE_OK && told[0])
		snprintf(s->notice + strlen(s->notice), sizeof s->notice - strlen(s->notice), "%s", told);
	return rc;
}

static void sync_folder(const char *path)
{
	char folder[4096];
	snprintf(folder, sizeof folder, "%s", path);
	char *slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && fsync(fd) < 0)
		vs_say(VS_SAY_ERROR, "%s: the folder of the log cannot be synced: %s", folder, strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* The file at the log's path is closed: it gets its own name, and a new one takes its place.  Each step can be cut off and
 * is done again from the beginning; at every moment there is a log at the path. */
static int go_on(struct vs_store *s, const char *name, char why[160])
{
	char kept[4096], next[4096];
	struct stat a, b;
	if (!vs_log_path_beside(s->path, name, kept, sizeof kept) ||
	    (size_t)snprintf(next, sizeof next, "%s.next", s->path) >= sizeof next) {
		snprintf(why, 160, "the name is too long");
		return SQLITE_CANTOPEN;
	}
	bool there = stat(kept, &b) == 0;
	if (stat(s->path, &a) < 0 || (there ? a.st_ino != b.st_ino || a.st_dev != b.st_dev : link(s->path, kept) < 0)) {
		snprintf(why, 160, "the file that is complete cannot be kept as %.60s: %s", name, strerror(there ? EEXIST : errno));
		return SQLITE_CANTOPEN;
	}
	sqlite3 *past = NULL;
	int rc = sqlite3_open_v2(s->path, &past, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = make_next(s, next, past, name, NULL);
	sqlite3_close(past);
	if (rc != SQLITE_OK) {
		snprintf(why, 160, "%s", rc == SQLITE_FULL ? "the disk is full" : sqlite3_errstr(rc));
		return rc;
	}
	move_along(s->path, kept);
	if (rename(next, s->path) < 0) {
		snprintf(why, 160, "%s", strerror(errno));
		return SQLITE_CANTOPEN;
	}
	sync_folder(s->path);
	vs_say(VS_SAY_NOTICE, "%s: the log goes on in a new file; what came before is kept as %s", s->path, kept);
	return SQLITE_OK;
}

static void unlink_part(const char *path, const char *part)
{
	char name[4100];
	if ((size_t)snprintf(name, sizeof name, "%s%s", path, part) < sizeof name)
		unlink(name);
}

/* The file before was lost: a new one takes its place, which goes on from what is known of it.  Each step can be cut off and is done
 * again from the beginning. */
static int replace_lost(struct vs_store *s, char why[160])
{
	char next[4096], kept[4096];
	const struct vs_scribe_lost lost = { .name = s->lost_name, .reason = s->lost_why, .at_ms = s->lost_ms, .epoch = s->epoch,
					     .end = s->end };
	sqlite3 *past = NULL;
	snprintf(why, 160, "the new file cannot be put in its place");
	if ((size_t)snprintf(next, sizeof next, "%s.next", s->path) >= sizeof next)
		return SQLITE_CANTOPEN;
	bool named = vs_log_path_beside(s->path, s->lost_name, kept, sizeof kept);
	if (!s->lost_db && named && sqlite3_open_v2(kept, &past, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		sqlite3_close(past);
		past = NULL;
	}
	int rc = make_next(s, next, s->lost_db ? s->lost_db : past, NULL, &lost);
	sqlite3_close(past);
	if (s->lost_db && named)
		move_along(s->path, kept); /* for whom has the file */
	if (past || s->lost_db)
		unlink_part(kept, "-shm"); /* an index of the WAL that any reader makes anew */
	if (rc != SQLITE_OK) {
		snprintf(why, 160, "%s", rc == SQLITE_FULL ? "the disk is full" : sqlite3_errstr(rc));
		return rc;
	}
	/* A WAL would be taken for the new file's; that of the old one has another name by now. */
	unlink_part(s->path, "-wal");
	unlink_part(s->path, "-shm");
	if (rename(next, s->path) < 0) {
		snprintf(why, 160, "%s", strerror(errno));
		return SQLITE_CANTOPEN;
	}
	sync_folder(s->path);
	sqlite3_close(s->lost_db);
	s->lost_db = NULL;
	s->lost = false;
	return SQLITE_OK;
}

/* A closed file becomes one that nobody writes, and whose WAL is gone, once nobody has it open. */
static void settle(const char *path)
{
	struct stat st;
	sqlite3 *db = NULL;
	if (stat(path, &st) < 0 || !(st.st_mode & 0222))
		return;
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
	    sqlite3_exec(db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) == SQLITE_OK)
		chmod(path, 0440);
	sqlite3_close(db);
}

/* Opens the file and makes a scribe on it. */
static int open_log(struct vs_store *s, bool check, char why[160])
{
	sqlite3 *db = NULL;
	char closed[VS_FILE_NAME_CAP] = "";
	int r = 0, lost = s->lost ? replace_lost(s, why) : SQLITE_OK;
	if (lost != SQLITE_OK)
		return lost;
	r = create_file(s->path);
	if (r < 0) {
		snprintf(why, 160, "%s", strerror(-r));
		return why_not_open(SQLITE_CANTOPEN, -r);
	}
	int rc = open_file(s->path, check, &db);
	if (rc == SQLITE_OK)
		rc = vs_log_closed_as(db, closed);
	if (rc == SQLITE_OK && closed[0]) { /* and what followed was cut off, or could not be done */
		const char *slash = strrchr(s->path, '/');
		sqlite3_close(db);
		db = NULL;
		if (strcmp(slash ? slash + 1 : s->path, closed) == 0) {
			snprintf(why, 160, "this file was closed, and the log goes on in another one; name that one as log: path:");
			return SQLITE_PERM;
		}
		rc = go_on(s, closed, why);
		if (rc != SQLITE_OK)
			return rc;
		rc = open_file(s->path, false, &db);
	}
	if (rc != SQLITE_OK) {
		snprintf(why, 160, "%s", rc == SQLITE_FULL ? "the disk is full" : sqlite3_errmsg(db));
		rc = why_not_open(rc, sqlite3_system_errno(db));
		sqlite3_close(db);
		return rc;
	}
	rc = vs_scribe_create(db, key_of(s), &s->scribe);
	if (rc != SQLITE_OK) {
		snprintf(why, 160, "%s", sqlite3_errstr(rc));
		s->scribe = NULL;
		return rc;
	}
	s->limits_told = false;
	remember_place(s);
	return rc;
}

/* ---- What the next run, or a new file, goes on with ---- */

/* Beside the states of the chairs stands one of no chair: the numbers that are not to be given again. */
#define NUMBERS ""
#define NUMBERS_TEXT "alarm %llu session %.60s"

static void keep_state(struct vs_store *s, const char *chair, const void *bytes, size_t len, bool newer)
{
	struct state **at = &s->states;
	while (*at && strcmp((*at)->chair, chair) != 0)
		at = &(*at)->next;
	if (*at && (*at)->newer && !newer)
		return;
	struct state *fresh = malloc(sizeof *fresh + len);
	if (!fresh)
		return;
	*fresh = (struct state){ .next = *at ? (*at)->next : NULL, .newer = newer, .len = len };
	snprintf(fresh->chair, sizeof fresh->chair, "%s", chair);
	if (len)
		memcpy(fresh->bytes, bytes, len);
	free(*at);
	*at = fresh;
}

static int64_t ask(sqlite3 *db, const char *sql)
{
	int64_t v = 0;
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return v;
}

static void read_states(struct vs_store *s, sqlite3 *db)
{
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(db, "SELECT chair, state FROM chair_state", -1, &st, NULL) == SQLITE_OK)
		while (sqlite3_step(st) == SQLITE_ROW)
			keep_state(s, (const char *)sqlite3_column_text(st, 0), sqlite3_column_blob(st, 1),
				   (size_t)sqlite3_column_bytes(st, 1), false);
	sqlite3_finalize(st);
}

static void remember_state(void *arg, const char *chair, const void *bytes, size_t len)
{
	keep_state(arg, chair, bytes, len, true);
}

/* "s-20261121-3" is later than "s-20261121-2", and the next day's "s-20261122-1" than both. */
static bool is_later(const char *session, const char *than)
{
	if (strlen(session) < 12 || strlen(than) < 12)
		return strlen(session) >= 12;
	int day = strncmp(session, than, 11);
	return day ? day > 0 : strtoull(session + 11, NULL, 10) > strtoull(than + 11, NULL, 10);
}

static void note_session(char newest[64], const char *session)
{
	if (is_later(session, newest))
		snprintf(newest, 64, "%s", session);
}

static void read_numbers(struct vs_store *s, sqlite3 *db)
{
	char text[96], session[64] = "";
	unsigned long long alarm = 0;
	for (const struct state *st = s->states; st; st = st->next)
		if (strcmp(st->chair, NUMBERS) == 0) {
			snprintf(text, sizeof text, "%.*s", (int)st->len, (const char *)st->bytes);
			sscanf(text, "alarm %llu session %63s", &alarm, session);
		}
	if (alarm > s->last_alarm)
		s->last_alarm = alarm;
	note_session(s->past_session, session);
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(db, "SELECT session FROM session ORDER BY substr(session, 3, 8) DESC, CAST(substr(session, 12) AS INTEGER)"
				   " DESC LIMIT 1", -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		note_session(s->past_session, (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
}

/* The file is lost to us: its states, as far as they can be read, and the newer ones in memory go on in the next. */
static void begin_anew(struct vs_store *s, bool readable)
{
	sqlite3 *db = NULL;
	if (readable && sqlite3_open_v2(s->path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK)
		read_states(s, db);
	sqlite3_close(db);
	s->carry = true;
	s->epoch_recorded = false;
}

static int carry_on(struct vs_store *s)
{
	char numbers[128];
	char newest[64] = "";
	int64_t now = vs_wall_ms();
	note_session(newest, s->past_session);
	note_session(newest, s->newest_session);
	int len = snprintf(numbers, sizeof numbers, NUMBERS_TEXT, (unsigned long long)s->last_alarm, newest);
	int rc = vs_scribe_carry(s->scribe, NUMBERS, numbers, (size_t)len, now);
	for (const struct state *st = s->states; rc == SQLITE_OK && st; st = st->next)
		rc = vs_scribe_carry(s->scribe, st->chair, st->bytes, st->len, now);
	return rc;
}

/* Lets go of the file; *ret, where it is wanted, gets the connection. */
static void leave_log(struct vs_store *s, sqlite3 **ret)
{
	if (!s->scribe)
		return;
	vs_scribe_end(s->scribe, &s->end);
	s->added += vs_scribe_added(s->scribe);
	vs_scribe_states(s->scribe, remember_state, s);
	if (ret)
		*ret = vs_scribe_leave(s->scribe);
	else
		vs_scribe_destroy(s->scribe);
	s->scribe = NULL;
}

static void close_log(struct vs_store *s)
{
	leave_log(s, NULL);
}

/* The new file is to go on from one that is known by this name from now on, and says why. */
static void begin_from(struct vs_store *s, const char *suffix, const char *happened)
{
	char stamp[VS_TIME_TEXT_CAP], hash[VS_HASH_HEX], seal[128] = "";
	const char *slash = strrchr(s->path, '/');
	s->lost_ms = vs_wall_ms();
	vs_time_text(s->lost_ms, stamp);
	stamp[19] = '\0'; /* to the second; colons are no good in file names */
	for (char *p = stamp; (p = strchr(p, ':'));)
		*p = '-';
	snprintf(s->lost_name, sizeof s->lost_name, "%.200s.%s-%s", slash ? slash + 1 : s->path, suffix, stamp);
	vs_hex(s->end.head.hash, VS_HASH, hash);
	if (s->end.head.seal)
		snprintf(seal, sizeof seal, "; its last seal was %lld, %s", (long long)s->end.head.seal, hash);
	snprintf(s->lost_why, sizeof s->lost_why, "it was %s on %.10s%s", happened, stamp, seal);
	snprintf(s->notice, sizeof s->notice, "the log before this one was %s%s", happened, seal);
	s->lost = true;
}

/* A second name, as long as both are wanted; where the file system has none such, another name. */
static int name_also(const char *from, const char *to)
{
	return link(from, to) == 0 || errno == EEXIST || rename(from, to) == 0 ? 0 : -errno;
}

/* The name under which a start that was cut off kept the same file already. */
static bool kept_already(struct vs_store *s)
{
	char folder[4096], path[4096];
	const char *slash = strrchr(s->path, '/'), *base = slash ? slash + 1 : s->path;
	struct stat now, kept;
	snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - s->path) + 1 : 1, slash ? s->path : ".");
	DIR *d = stat(s->path, &now) == 0 ? opendir(folder) : NULL;
	bool found = false;
	for (struct dirent *e; d && !found && (e = readdir(d));) {
		size_t n = strlen(base), len = strlen(e->d_name);
		if (strncmp(e->d_name, base, n) != 0 || strncmp(e->d_name + n, ".damaged-", 9) != 0 || len >= sizeof s->lost_name ||
		    (len > 4 && (strcmp(e->d_name + len - 4, "-wal") == 0 || strcmp(e->d_name + len - 4, "-shm") == 0)))
			continue;
		found = vs_log_path_beside(s->path, e->d_name, path, sizeof path) && stat(path, &kept) == 0 && kept.st_ino == now.st_ino &&
			kept.st_dev == now.st_dev;
		if (found)
			snprintf(s->lost_name, sizeof s->lost_name, "%.*s", (int)sizeof s->lost_name - 1, e->d_name);
	}
	if (d)
		closedir(d);
	return found;
}

/* A damaged file is kept for those who can read it, its WAL with it, and a new one takes its place (replace_lost). */
static void set_aside(struct vs_store *s)
{
	char kept[4096], wal[4096], kept_wal[4096];
	close_log(s);
	begin_anew(s, true);
	begin_from(s, "damaged", "damaged");
	kept_already(s);
	snprintf(s->notice + strlen(s->notice), sizeof s->notice - strlen(s->notice), "; it is kept as %s", s->lost_name);
	int r = vs_log_path_beside(s->path, s->lost_name, kept, sizeof kept) ? name_also(s->path, kept) : -ENAMETOOLONG;
	if (r < 0)
		vs_say(VS_SAY_ERROR, "%s: the damaged log cannot be kept as %s: %s", s->path, s->lost_name, strerror(-r));
	if ((size_t)snprintf(wal, sizeof wal, "%s-wal", s->path) < sizeof wal &&
	    (size_t)snprintf(kept_wal, sizeof kept_wal, "%s-wal", kept) < sizeof kept_wal && access(wal, F_OK) == 0)
		name_also(wal, kept_wal);
	vs_say(VS_SAY_ERROR, "%s: %s; recording goes on in a new file. Keep both, and check the disk", s->path, s->notice);
}

/* It has no name any more: somebody moved or deleted it.  What can be read of it is taken along, as long as it is open. */
static void lose(struct vs_store *s)
{
	bool gone = access(s->path, F_OK) < 0 && errno == ENOENT;
	vs_say(VS_SAY_ERROR, "%s: the log was moved or deleted while vitalsd uses it; a new one is begun", s->path);
	leave_log(s, gone ? &s->lost_db : NULL);
	begin_anew(s, false);
	if (gone)
		begin_from(s, "lost", "moved or deleted while it was in use");
	else
		snprintf(s->notice, sizeof s->notice, "the log before this one was moved or deleted while it was in use, and another put in its place");
}

/* ---- What the last run left ---- */

/* Whether what the connection did last failed in a way that may pass.  Other failures are none: an older schema lacks a table. */
static void note_failure(sqlite3 *db, int *rc)
{
	int now = why_not_open(sqlite3_errcode(db), sqlite3_system_errno(db));
	if (is_passing(now))
		*rc = now;
}

/* Reads what is needed to go on, as far as it can be read: also from a file that is damaged elsewhere. */
static int read_past(struct vs_store *s, uint64_t *ret_epoch)
{
	static const char *const questions[] = {
		"SELECT max(epoch) FROM epoch", "SELECT max(epoch) FROM origin",
		"SELECT max(CAST(substr(alarm, 3) AS INTEGER)) FROM alarm", "SELECT number FROM carried WHERE what = 'alarm id'",
		"SELECT at_ms / 86400000 FROM seal WHERE signature IS NOT NULL ORDER BY seal DESC LIMIT 1",
	};
	int64_t answers[5] = { 0 };
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(s->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(db, 5000);
		for (unsigned i = 0; i < 5; i++) {
			answers[i] = ask(db, questions[i]);
			note_failure(db, &rc);
		}
		read_states(s, db);
		note_failure(db, &rc);
		read_numbers(s, db);
		note_failure(db, &rc);
	} else {
		rc = why_not_open(rc, db ? sqlite3_system_errno(db) : ENOMEM);
	}
	*ret_epoch = (uint64_t)(answers[0] > answers[1] ? answers[0] : answers[1]);
	for (unsigned i = 2; i < 4; i++)
		if ((uint64_t)answers[i] > s->last_alarm)
			s->last_alarm = (uint64_t)answers[i];
	s->signed_day = answers[4];
	sqlite3_close(db);
	return rc;
}

/* What a record in the ring says that the log may not know yet. */
static void learn(struct vs_store *s, const struct vs_custody_record *r)
{
	if (r->is_state) {
		if (!s->running)
			keep_state(s, r->event.chair, r->state, r->state_len, true);
		return;
	}
	if (!s->any_chair[0])
		snprintf(s->any_chair, sizeof s->any_chair, "%s", r->event.chair);
	if (r->event.kind == VS_KIND_ALARM) {
		const char *id = memmem(r->event.body, r->event.body_len, "\"alarm\":\"a-", 11);
		uint64_t n = id ? strtoull(id + 11, NULL, 10) : 0;
		if (n > s->last_alarm)
			s->last_alarm = n;
	}
	if (r->event.kind == VS_KIND_ENTRY && r->event.body_len > 18 && memcmp(r->event.body, "\"entry\":\"removal\",", 18) == 0) {
		s->removal_waits = true;
		s->removal_due_ms = 0;
	}
	if (r->event.kind == VS_KIND_SESSION && r->event.session)
		note_session(s->newest_session, r->event.session);
	if (r->event.kind == VS_KIND_SESSION && r->event.session &&
	    memmem(r->event.body, r->event.body_len, "\"phase\":\"discharged\"", 20)) {
		snprintf(s->closed_chair, sizeof s->closed_chair, "%s", r->event.chair);
		snprintf(s->closed_session, sizeof s->closed_session, "%s", r->event.session);
	}
}

/* ---- One group: from the ring into one transaction ---- */

static int add_epoch(struct vs_store *s)
{
	if (s->epoch_recorded || !s->epoch)
		return SQLITE_OK;
	int rc = vs_scribe_epoch(s->scribe, s->epoch, s->started_ms, s->site, s->config_hash, s->version,
				 s->has_key ? s->key.public_key : NULL);
	if (rc == SQLITE_OK && s->notice[0])
		rc = vs_scribe_finding(s->scribe, vs_wall_ms(), s->notice);
	return rc;
}

static void free_limits(struct limits *l)
{
	while (l) {
		struct limits *next = l->next;
		for (unsigned i = 0; i < l->n; i++) {
			free((char *)l->texts[i].name);
			free((char *)l->texts[i].bytes);
			free((char *)l->texts[i].hash);
		}
		free(l->name);
		free(l->hash);
		free(l);
		l = next;
	}
}

/* Takes over what the loop left.  True: there is something that this file does not have. */
static bool limits_due(struct vs_store *s)
{
	pthread_mutex_lock(&s->lock);
	struct limits *new = s->new_limits;
	s->new_limits = NULL;
	pthread_mutex_unlock(&s->lock);
	if (new) {
		free_limits(s->limits);
		s->limits = new;
		s->limits_told = false;
	}
	return s->limits && !s->limits_told;
}

static int add_limits(struct vs_store *s, int64_t now)
{
	int rc = SQLITE_OK;
	for (const struct limits *l = limits_due(s) ? s->limits : NULL; rc == SQLITE_OK && l; l = l->next)
		rc = vs_scribe_limits(s->scribe, now, l->name, l->hash, l->texts, l->n);
	return rc;
}

static bool copy_text(struct vs_limit_text *to, const struct vs_limit_text *from)
{
	char *bytes = malloc(from->len + 1);
	if (bytes)
		memcpy(bytes, from->bytes, from->len);
	*to = (struct vs_limit_text){ .name = strdup(from->name), .bytes = bytes, .hash = strdup(from->hash), .len = from->len };
	return to->name && to->bytes && to->hash;
}

static struct limits *copy_limits(const struct vs_store_set *set)
{
	struct limits *l = calloc(1, sizeof *l);
	bool good = l && (l->name = strdup(set->name)) && (l->hash = strdup(set->hash));
	for (unsigned i = 0; good && i < set->n; i++)
		good = copy_text(&l->texts[l->n++], &set->texts[i]);
	if (good)
		return l;
	free_limits(l);
	return NULL;
}

int vs_store_limits(struct vs_store *s, const struct vs_store_set *sets, unsigned n)
{
	struct limits *all = NULL;
	for (unsigned i = 0; i < n; i++) {
		struct limits *one = copy_limits(&sets[i]);
		if (!one) {
			free_limits(all);
			return -ENOMEM;
		}
		one->next = all;
		all = one;
	}
	pthread_mutex_lock(&s->lock);
	struct limits *old = s->new_limits;
	s->new_limits = all;
	pthread_mutex_unlock(&s->lock);
	free_limits(old);
	return 0;
}

static int add_gap(struct vs_store *s, int64_t now)
{
	uint64_t given_up = vs_custody_given_up(s->ring);
	uint64_t told = vs_scribe_head(s->scribe)->given_up;
	if (s->ring_damaged) {
		s->ring_damaged = false;
		return vs_scribe_gap(s->scribe, s->epoch, s->last_commit_ms, now, told, "the ring in custody was damaged");
	}
	uint64_t lost = vs_custody_lost(s->ring);
	if (lost != s->lost_told && vs_custody_backlog(s->ring, VS_READER_LOG) <= vs_custody_size(s->ring) / 4) {
		char words[160];
		snprintf(words, sizeof words, "the log could not be written, and custody was full: %llu events other than "
			 "readings were neither published nor recorded", (unsigned long long)(lost - s->lost_told));
		s->lost_told = lost;
		return vs_scribe_gap(s->scribe, s->epoch, s->last_commit_ms, now, given_up > told ? given_up : told, words);
	}
	if (given_up == told)
		return SQLITE_OK;
	if (given_up < told) /* another ring */
		return vs_scribe_gap(s->scribe, s->epoch, now, now, given_up, "a new custody ring was begun");
	/* While the ring is still crowded the gap is not over. */
	if (vs_custody_backlog(s->ring, VS_READER_LOG) > vs_custody_size(s->ring) / 4)
		return SQLITE_OK;
	return vs_scribe_gap(s->scribe, s->epoch, s->last_commit_ms, now, given_up,
			     "the log could not be written, and custody was full");
}

static bool seal_is_due(const struct vs_store *s, int64_t now, bool *ret_sign)
{
	const struct vs_scribe_head *h = vs_scribe_head(s->scribe);
	bool new_day = now / 86400000 > s->signed_day && h->unsealed > 0;
	*ret_sign = s->closed_session[0] || new_day;
	return s->closed_session[0] || new_day || h->unsealed >= VS_SEAL_EVERY_ROWS ||
	       (h->unsealed > 0 && now - h->at_ms >= VS_SEAL_EVERY_MS) || now < h->at_ms - VS_SEAL_EVERY_MS;
}

/* Hands a seal that has been committed to the loop, to be published. */
static void announce(struct vs_store *s)
{
	const struct vs_scribe_head *h = vs_scribe_head(s->scribe);
	struct vs_store_seal *seal;
	char hash[VS_HASH_HEX], signature[2 * VS_KEY_SIGNATURE + 1] = "", public_key[2 * VS_KEY_PUBLIC + 1] = "";
	vs_hex(h->hash, VS_HASH, hash);
	if (h->is_signed) {
		vs_hex(h->signature, VS_KEY_SIGNATURE, signature);
		vs_hex(s->key.public_key, VS_KEY_PUBLIC, public_key);
	}
	pthread_mutex_lock(&s->lock);
	if (s->n_seals == SEALS_MAX) { /* nobody takes them: the oldest goes, the chain holds it anyway */
		s->first_seal = (s->first_seal + 1) % SEALS_MAX;
		s->n_seals--;
	}
	seal = &s->seals[(s->first_seal + s->n_seals++) % SEALS_MAX];
	snprintf(seal->chair, sizeof seal->chair, "%s", s->closed_session[0] ? s->closed_chair : s->any_chair);
	snprintf(seal->session, sizeof seal->session, "%s", s->closed_session);
	struct vs_json j = vs_json_into(seal->body, sizeof seal->body);
	vs_json_key(&j, "seal"), vs_json_int(&j, h->seal);
	vs_json_key(&j, "rows"), vs_json_int(&j, h->rows);
	vs_json_key(&j, "head"), vs_json_string(&j, hash);
	vs_json_key(&j, "signature"), vs_json_string(&j, h->is_signed ? signature : NULL);
	vs_json_key(&j, "public_key"), vs_json_string(&j, h->is_signed ? public_key : NULL);
	if (s->closed_session[0])
		vs_json_key(&j, "closed"), vs_json_string(&j, s->closed_session);
	pthread_mutex_unlock(&s->lock);
}

/* A head that was signed just now. */
static void publish_head(struct vs_store *s, int64_t now)
{
	announce(s);
	s->signed_day = now / 86400000;
	tell(s);
}

/* Seals if it is time to.  *ret_announce: the seal is to be published once it is committed. */
static int seal(struct vs_store *s, int64_t now, bool *ret_announce)
{
	bool sign = false;
	*ret_announce = false;
	if (!seal_is_due(s, now, &sign))
		return SQLITE_OK;
	int rc = vs_scribe_seal(s->scribe, now, key_of(s), sign);
	*ret_announce = rc == SQLITE_OK && sign && (s->closed_session[0] || s->any_chair[0]);
	return rc;
}

/* Everything but the records: at the end of each transaction. */
static int finish_group(struct vs_store *s)
{
	int64_t now = vs_wall_ms();
	bool publish = false;
	int rc = add_epoch(s);
	if (rc == SQLITE_OK)
		rc = add_limits(s, now);
	if (rc == SQLITE_OK && s->carry)
		rc = carry_on(s);
	if (rc == SQLITE_OK)
		rc = add_gap(s, now);
	if (rc == SQLITE_OK)
		rc = seal(s, now, &publish);
	if (rc == SQLITE_OK)
		rc = vs_scribe_commit(s->scribe);
	if (rc != SQLITE_OK)
		return rc;
	s->epoch_recorded = s->epoch != 0;
	s->limits_told = true;
	s->carry = false;
	s->last_commit_ms = now;
	if (publish)
		publish_head(s, now);
	s->closed_session[0] = '\0';
	return SQLITE_OK;
}

/* Takes records until the ring is empty or the group is large.  *ret: how many. */
static int take_records(struct vs_store *s, unsigned *ret)
{
	struct vs_custody_record r;
	int rc = SQLITE_OK;
	for (*ret = 0; rc == SQLITE_OK && *ret < GROUP_MAX; ++*ret) {
		int got = vs_custody_next(s->reader, &r);
		if (got == 0)
			break;
		if (got < 0) {
			s->ring_damaged = true;
			vs_say(VS_SAY_ERROR, "custody: %s; what could not be read is noted as a gap", strerror(-got));
			break;
		}
		if (*ret == 0)
			rc = vs_scribe_begin(s->scribe);
		if (rc == SQLITE_OK) {
			learn(s, &r);
			rc = vs_scribe_add(s->scribe, &r);
		}
	}
	return rc;
}

/* The file is still where it was: somebody may have moved or deleted it. */
static bool in_place(struct vs_store *s)
{
	struct stat st;
	uint64_t now = vs_boottime_ms();
	if (now - s->looked_ms < LOOK_MS)
		return true;
	s->looked_ms = now;
	return stat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino;
}

static bool something_due(struct vs_store *s)
{
	bool sign;
	return limits_due(s) || (s->epoch && !s->epoch_recorded) || s->ring_damaged || seal_is_due(s, vs_wall_ms(), &sign) ||
	       vs_custody_given_up(s->ring) != vs_scribe_head(s->scribe)->given_up || vs_custody_lost(s->ring) != s->lost_told;
}

static int write_group(struct vs_store *s, unsigned *ret)
{
	s->closed_session[0] = '\0';
	int rc = take_records(s, ret);
	if (rc == SQLITE_OK && *ret == 0) {
		if (!something_due(s))
			return SQLITE_OK;
		rc = vs_scribe_begin(s->scribe);
	}
	return rc == SQLITE_OK ? finish_group(s) : rc;
}

/* ---- When a file is complete ---- */

static int64_t ask(sqlite3 *db, const char *sql);

static int year_of(int64_t ms)
{
	char text[VS_TIME_TEXT_CAP];
	vs_time_text(ms, text);
	return atoi(text);
}

/* Under which name it is kept: by the year in which it begins; a number where that name is taken. */
static void name_of_closed(const struct vs_store *s, char name[VS_FILE_NAME_CAP])
{
	const char *slash = strrchr(s->path, '/'), *base = slash ? slash + 1 : s->path, *dot = strrchr(base, '.');
	size_t stem = dot && dot != base ? (size_t)(dot - base) : strlen(base);
	char path[4096], number[16] = "";
	for (int i = 2; i < 10000; i++) {
		snprintf(name, VS_FILE_NAME_CAP, "%.*s-%04d%s%s", (int)(stem < 200 ? stem : 200), base, year_of(s->file_from_ms),
			 number, base + stem);
		if (!vs_log_path_beside(s->path, name, path, sizeof path) || access(path, F_OK) < 0)
			return;
		snprintf(number, sizeof number, "-%d", i);
	}
}

/* Why it is complete; NULL: it is not.  A session of the last day that is open holds it up, for a week or until the file
 * is a quarter larger. */
static const char *complete(struct vs_store *s, sqlite3 *db, int64_t now)
{
	if (!s->file_from_ms)
		s->file_from_ms = ask(db, "SELECT coalesce((SELECT max(until_ms) FROM link), (SELECT min(started_ms) FROM epoch), 0)");
	if (!s->file_from_ms || vs_scribe_head(s->scribe)->seal == 0)
		return NULL;
	bool year = s->rotate_yearly && year_of(now) > year_of(s->file_from_ms);
	uint64_t bytes = 0;
	if (s->rotate_bytes)
		bytes = (uint64_t)(ask(db, "PRAGMA page_count") * ask(db, "PRAGMA page_size"));
	bool size = s->rotate_bytes && bytes >= s->rotate_bytes;
	if (!year && !size)
		return NULL;
	char sql[512];
	snprintf(sql, sizeof sql, "SELECT count(*) FROM session s WHERE started_ms > %lld AND NOT EXISTS (SELECT 1 FROM event e WHERE"
		 " e.session = s.session AND e.kind = 'session' AND json_extract('{' || e.body || '}', '$.phase') = 'discharged')",
		 (long long)(now - ROTATE_DAY_MS));
	bool late = (year && year_of(now - ROTATE_WAIT_MS) > year_of(s->file_from_ms)) ||
		    (size && bytes - s->rotate_bytes >= s->rotate_bytes / 4);
	if (!late && ask(db, sql) > 0)
		return NULL;
	return year ? "the year is over" : "the file is as large as it may be";
}

/* Puts a signed seal over what this transaction has, commits it, and publishes the head. */
static int sign_and_commit(struct vs_store *s, int64_t now)
{
	int rc = vs_scribe_seal(s->scribe, now, key_of(s), true);
	if (rc == SQLITE_OK)
		rc = vs_scribe_commit(s->scribe);
	if (rc == SQLITE_OK && s->has_key && s->any_chair[0])
		publish_head(s, now);
	return rc;
}

static int close_file(struct vs_store *s, int64_t now, const char *reason)
{
	char name[VS_FILE_NAME_CAP];
	name_of_closed(s, name);
	s->closed_session[0] = '\0';
	int rc = vs_scribe_begin(s->scribe);
	if (rc == SQLITE_OK)
		rc = vs_scribe_closed(s->scribe, now, name, reason);
	return rc == SQLITE_OK ? sign_and_commit(s, now) : rc;
}

/* Between two groups: everything that was taken is in the file.  What fails here is tried again with the next group. */
static void rotate(struct vs_store *s)
{
	uint64_t boot = vs_boottime_ms();
	int64_t now = vs_wall_ms();
	if (!s->scribe || (!s->rotate_yearly && !s->rotate_bytes) ||
	    (s->rotate_looked_ms && boot - s->rotate_looked_ms < ROTATE_LOOK_MS))
		return;
	s->rotate_looked_ms = boot;
	sqlite3 *db = vs_scribe_db(s->scribe);
	const char *reason = complete(s, db, now);
	if (!reason) {
		char last[4096];
		struct vs_log_link *links = NULL;
		size_t n = 0;
		if (vs_log_links(db, &links, &n) == SQLITE_OK && n > 0 &&
		    vs_log_path_beside(s->path, links[n - 1].name, last, sizeof last))
			settle(last);
		free(links);
		return;
	}
	int rc = close_file(s, now, reason);
	if (rc == SQLITE_OK)
		sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	else
		vs_say(VS_SAY_ERROR, "%s: the file is complete (%s) and cannot be closed: %s; tried again in a minute", s->path, reason,
		       sqlite3_errstr(rc));
	close_log(s); /* opened again with the next group, which finds it closed */
	s->file_from_ms = 0;
}

/* ---- Files that are removed by policy ---- */

/* A removal that is recorded and has no end yet. */
struct removal {
	int64_t removal;
	struct vs_log_link link;
	char before[VS_FILE_NAME_CAP]; /* the file before it; "": none */
};

/* The first one behind `after`; false: there is none. */
static bool next_removal(sqlite3 *db, int64_t after, struct removal *ret)
{
	sqlite3_stmt *st = NULL;
	bool is = sqlite3_prepare_v2(db, "SELECT r.removal, r.name, r.from_ms, r.until_ms, r.seal, r.rows, r.hash, (SELECT b.name FROM link b WHERE"
					 " b.seal < r.seal ORDER BY b.link DESC LIMIT 1) FROM removal r WHERE r.removal > ?1 AND r.removal"
					 " NOT IN (SELECT removal FROM removal_end) ORDER BY r.removal LIMIT 1", -1, &st, NULL) == SQLITE_OK &&
		  sqlite3_bind_int64(st, 1, after) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW &&
		  sqlite3_column_bytes(st, 6) == VS_HASH;
	if (is) {
		const char *before = (const char *)sqlite3_column_text(st, 7);
		*ret = (struct removal){ .removal = sqlite3_column_int64(st, 0),
					 .link = { .from_ms = sqlite3_column_int64(st, 2), .until_ms = sqlite3_column_int64(st, 3),
						   .seal = sqlite3_column_int64(st, 4), .rows = sqlite3_column_int64(st, 5) } };
		snprintf(ret->link.name, sizeof ret->link.name, "%s", (const char *)sqlite3_column_text(st, 1));
		snprintf(ret->before, sizeof ret->before, "%s", before ? before : "");
		memcpy(ret->link.hash, sqlite3_column_blob(st, 6), VS_HASH);
	}
	sqlite3_finalize(st);
	return is;
}

/* The file with all that belongs to it.  0, or -errno: it is still there. */
static int unlink_file(const char *path)
{
	static const char *const parts[] = { "", "-wal", "-shm" };
	char part[4100];
	for (size_t i = 0; i < 3; i++) {
		snprintf(part, sizeof part, "%s%s", path, parts[i]);
		if (unlink(part) < 0 && errno != ENOENT)
			return -errno;
	}
	sync_folder(path);
	return 0;
}

/* Looks once more, removes, and records what became of it.  A cut in the middle is made good by the next start: the file is gone
 * then, or is removed then. */
static int carry_out(struct vs_store *s, const struct removal *r)
{
	char path[4096], why[256] = "", outcome[300] = "removed";
	struct vs_log_link before = { .seal = 0 };
	bool gone = false;
	snprintf(before.name, sizeof before.name, "%s", r->before);
	bool may = vs_log_path_beside(s->path, r->link.name, path, sizeof path) &&
		   vs_retention_may_go(vs_scribe_db(s->scribe), path, &r->link, r->before[0] ? &before : NULL, &gone, why);
	int error = may && !gone ? unlink_file(path) : 0;
	if (error < 0) {
		vs_say(VS_SAY_ERROR, "%s: it is recorded as removed by policy, and cannot be removed: %s; tried again in ten minutes. See that vitalsd "
		       "may write to the folder", path, strerror(-error));
		s->removal_due_ms = vs_boottime_ms() + REMOVAL_RETRY_MS;
		return SQLITE_OK;
	}
	if (!may)
		snprintf(outcome, sizeof outcome, "kept: %s", why);
	vs_say(VS_SAY_NOTICE, "%s: %s", r->link.name, may ? "removed by policy" : outcome);
	int rc = vs_scribe_begin(s->scribe);
	if (rc == SQLITE_OK)
		rc = vs_scribe_removal_end(s->scribe, r->removal, vs_wall_ms(), outcome);
	return rc == SQLITE_OK ? vs_scribe_commit(s->scribe) : rc;
}

/* What says that a file is removed is under a signed seal, and on the disk, before the file is touched. */
static int seal_removals(struct vs_store *s)
{
	int64_t now = vs_wall_ms();
	const struct vs_scribe_head *h = vs_scribe_head(s->scribe);
	if (h->unsealed == 0 && (h->is_signed || !s->has_key))
		return SQLITE_OK;
	s->closed_session[0] = '\0';
	int rc = vs_scribe_begin(s->scribe);
	return rc == SQLITE_OK ? sign_and_commit(s, now) : rc;
}

/* Between two groups.  What fails here is tried again: the file is opened anew with the next group. */
static void remove_files(struct vs_store *s)
{
	struct removal r = { .removal = 0 };
	if (!s->scribe || !s->removal_waits || vs_boottime_ms() < s->removal_due_ms)
		return;
	s->removal_due_ms = 0;
	int rc = SQLITE_OK;
	bool sealed = false;
	while (rc == SQLITE_OK && next_removal(vs_scribe_db(s->scribe), r.removal, &r)) {
		if (!sealed)
			rc = seal_removals(s);
		sealed = true;
		if (rc == SQLITE_OK)
			rc = carry_out(s, &r);
	}
	s->removal_waits = rc != SQLITE_OK || s->removal_due_ms;
	if (rc != SQLITE_OK) {
		vs_say(VS_SAY_ERROR, "%s: what becomes of the file that is removed cannot be recorded: %s; tried again", s->path,
		       sqlite3_errstr(rc));
		close_log(s);
	}
}

/* ---- Health ---- */

static void fine(struct vs_store *s)
{
	s->retry_ms = 0;
	s->failing_since_ms = 0;
	pthread_mutex_lock(&s->lock);
	bool was_failing = s->health.failing;
	s->health.failing = false;
	s->health.recorded = s->added + vs_scribe_added(s->scribe);
	s->health.last_wall_ms = s->last_commit_ms;
	if (was_failing || !s->health.text[0])
		snprintf(s->health.text, sizeof s->health.text, "%.255s", s->notice);
	pthread_mutex_unlock(&s->lock);
	if (was_failing) {
		vs_say(VS_SAY_NOTICE, "%s: the log can be written again; what waited in custody has been recorded", s->path);
		tell(s);
	}
}

static const char *advice(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return "free space on the disk";
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return "another program holds it locked: end that program";
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return "see that the folder exists and vitalsd may write there";
	default:
		return "check the disk";
	}
}

static void failed(struct vs_store *s, int rc, const char *why)
{
	bool locked = (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED;
	unsigned longest = locked ? RETRY_LOCKED_MS : RETRY_MAX_MS;
	s->retry_ms = s->retry_ms ? s->retry_ms * 2 : RETRY_MIN_MS;
	if (s->retry_ms > longest)
		s->retry_ms = longest;
	if (!s->failing_since_ms)
		s->failing_since_ms = vs_boottime_ms();
	pthread_mutex_lock(&s->lock);
	/* A lock that is gone within a second is nobody's concern. */
	bool say = !s->health.failing && (!locked || vs_boottime_ms() - s->failing_since_ms >= 1000);
	s->health.failures++;
	if (say) {
		s->health.failing = true;
		snprintf(s->health.text, sizeof s->health.text, "the log %.90s cannot be written: %.60s; %s", s->path, why,
			 advice(rc));
	}
	pthread_mutex_unlock(&s->lock);
	if (say) {
		vs_say(VS_SAY_ERROR, "%s. Alarms go on; what happens is kept in custody meanwhile", s->health.text);
		tell(s);
	}
}

/* One attempt to record what waits.  True: it was recorded (*ret_n records). */
static bool attempt(struct vs_store *s, unsigned *ret_n)
{
	char why[160] = "";
	int rc = SQLITE_OK;
	*ret_n = 0;
	if (s->scribe && !in_place(s))
		lose(s);
	if (!s->scribe)
		rc = open_log(s, false, why);
	if (rc == SQLITE_OK) {
		rc = write_group(s, ret_n);
		if (rc != SQLITE_OK)
			snprintf(why, sizeof why, "%s", rc == SQLITE_FULL ? "the disk is full" : sqlite3_errstr(rc));
	}
	if (rc == SQLITE_OK) {
		vs_custody_done(s->reader);
		fine(s);
		return true;
	}
	/* Whatever this transaction has done is read from the file again: a failed COMMIT may have been one. */
	vs_custody_rewind(s->reader);
	close_log(s);
	if ((rc & 0xff) == SQLITE_CORRUPT || ((rc & 0xff) == SQLITE_NOTADB && was_ours(s))) {
		set_aside(s);
	}
	failed(s, rc, why);
	return false;
}

/* ---- The writer thread ---- */

static bool told_to_stop(struct vs_store *s)
{
	pthread_mutex_lock(&s->lock);
	bool stop = s->stop;
	pthread_mutex_unlock(&s->lock);
	return stop;
}

static void *write_on(void *arg)
{
	struct vs_store *s = arg;
	pthread_setname_np(pthread_self(), "vitalsd-log");
	while (!told_to_stop(s)) {
		unsigned n;
		if (!attempt(s, &n)) {
			for (unsigned waited = 0; waited < s->retry_ms && !told_to_stop(s); waited += RETRY_MIN_MS)
				usleep(RETRY_MIN_MS * 1000);
			continue;
		}
		rotate(s);
		remove_files(s);
		if (n < GROUP_MAX)
			vs_custody_wait(s->reader, true, GROUP_MS);
	}
	return NULL;
}

int vs_store_start(struct vs_store *s)
{
	int r = pthread_create(&s->thread, NULL, write_on, s);
	s->running = r == 0;
	return -r;
}

/* ---- Open and close ---- */

static int refuse(struct vs_store *s, int rc, const char *why)
{
	switch (rc & 0xff) {
	case SQLITE_MISMATCH:
	case SQLITE_NOTADB:
		vs_say(VS_SAY_ERROR, "%s: this is not a log of vitalsd; give another path as log: path: in the configuration",
		       s->path);
		return -EINVAL;
	case SQLITE_SCHEMA:
		vs_say(VS_SAY_ERROR, "%s: a newer vitalsd wrote this log; install that version, or give another path", s->path);
		return -EPROTO;
	case SQLITE_NOMEM:
		return -ENOMEM;
	default:
		vs_say(VS_SAY_ERROR, "%s: there can be no log here: %s", s->path, why);
		return -EACCES;
	}
}

/* The file, or a new one where it turned out to be damaged.  Full, locked and failing disks are left to the thread. */
static int open_first(struct vs_store *s, uint64_t *ret_epoch)
{
	char why[160] = "";
	struct stat st;
	if (stat(s->path, &st) == 0 && !S_ISREG(st.st_mode)) {
		vs_say(VS_SAY_ERROR, "%s: this is no file, so it can be no log", s->path);
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	}
	bool had_one = stat(s->path, &st) == 0 && st.st_size > 0;
	int past, rc;
	/* What a start forgets is forgotten for good: it waits a moment for a disk that comes to itself. */
	for (uint64_t until = vs_boottime_ms() + START_MS;; usleep(RETRY_MIN_MS * 1000)) {
		past = had_one ? read_past(s, ret_epoch) : SQLITE_OK;
		rc = open_log(s, true, why);
		bool odd = had_one && (rc & 0xff) == SQLITE_CANTOPEN && access(s->path, R_OK | W_OK) == 0;
		if ((!is_passing(past) && (rc & 0xff) != SQLITE_IOERR && !odd) || vs_boottime_ms() >= until)
			break;
		close_log(s);
	}
	if ((rc & 0xff) == SQLITE_CORRUPT || ((rc & 0xff) == SQLITE_NOTADB && was_ours(s))) {
		set_aside(s);
		rc = open_log(s, false, why);
	}
	if (is_passing(past))
		vs_say(VS_SAY_ERROR, "%s: what the last run left cannot be read: sessions, alarms and acknowledgements begin anew. See to "
		       "the disk, and look at each chair", s->path);
	if (rc == SQLITE_OK)
		return 0;
	if (!is_passing(rc) || (*ret_epoch == 0 && vs_custody_epoch(s->ring) == 0))
		return refuse(s, rc, why);
	failed(s, rc, why);
	return 0;
}

/* Records what a predecessor left in the ring, under its own epoch. */
static void drain(struct vs_store *s)
{
	struct vs_custody_record r;
	unsigned n = 1;
	while (n > 0 && attempt(s, &n))
		;
	if (s->scribe)
		return;
	/* It cannot be recorded now.  Its states are needed all the same; the writer thread will read it once more. */
	while (vs_custody_next(s->reader, &r) == 1)
		learn(s, &r);
	vs_custody_rewind(s->reader);
}

static void open_key(struct vs_store *s)
{
	int r = vs_key_load(s->path, true, &s->key);
	s->has_key = r == 0;
	if (r == -EPERM)
		vs_say(VS_SAY_ERROR, "%s.key: others may read the key that signs the record; seals are not signed until it has "
				     "mode 0600", s->path);
	else if (r == -EINVAL)
		vs_say(VS_SAY_ERROR, "%s.key: this is no key (64 hexadecimal digits are): seals are not signed. Put the key back; or move this "
				     "file away, and the next start makes a new key", s->path);
	else if (r < 0)
		vs_say(VS_SAY_ERROR, "%s.key: no key to sign the record: %s; seals are not signed", s->path, strerror(-r));
}

static int copy_options(struct vs_store *s, const struct vs_store_options *o)
{
	s->path = strdup(o->path);
	s->site = strdup(o->site ? o->site : "");
	s->config_hash = strdup(o->config_hash ? o->config_hash : "");
	s->version = strdup(o->version ? o->version : "");
	s->ring = o->ring;
	s->reader = vs_custody_reader(o->ring, VS_READER_LOG);
	s->lost_told = vs_custody_lost(o->ring);
	s->changed = o->changed;
	s->arg = o->arg;
	s->removal_waits = true; /* of the run before, as far as is known */
	s->rotate_yearly = o->rotate_yearly;
	s->rotate_bytes = o->rotate_bytes;
	s->started_ms = s->last_commit_ms = vs_wall_ms();
	pthread_mutex_init(&s->lock, NULL);
	return s->path && s->site && s->config_hash && s->version ? 0 : -ENOMEM;
}

static void release(struct vs_store *s)
{
	close_log(s);
	sqlite3_close(s->lost_db);
	for (struct state *st; (st = s->states);) {
		s->states = st->next;
		free(st);
	}
	free_limits(s->limits);
	free_limits(s->new_limits);
	free(s->path);
	free(s->site);
	free(s->config_hash);
	free(s->version);
	pthread_mutex_destroy(&s->lock);
	sodium_memzero(&s->key, sizeof s->key);
	free(s);
}

int vs_store_open(const struct vs_store_options *o, struct vs_store **ret)
{
	uint64_t epoch = 0;
	struct vs_store *s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	int r = copy_options(s, o);
	/* A key that is made now would be taken for a sign that the file is ours: only one that is there is read yet. */
	s->has_key = r == 0 && vs_key_load(s->path, false, &s->key) == 0;
	if (r == 0)
		r = open_first(s, &epoch);
	if (r < 0) {
		release(s);
		return r;
	}
	open_key(s);
	drain(s);
	if (vs_custody_epoch(s->ring) > epoch)
		epoch = vs_custody_epoch(s->ring);
	s->epoch = epoch + 1;
	vs_custody_set_epoch(s->ring, s->epoch);
	unsigned n;
	attempt(s, &n); /* the row of this epoch */
	remove_files(s); /* what the run before began */
	*ret = s;
	return 0;
}

/* The end of the record of this run: everything in the ring, the epoch's end, a signed seal. */
static bool finish(struct vs_store *s)
{
	unsigned n = 1;
	while (n > 0)
		if (!attempt(s, &n))
			return false;
	int64_t now = vs_wall_ms();
	int rc = vs_scribe_begin(s->scribe);
	if (rc == SQLITE_OK)
		rc = vs_scribe_epoch_end(s->scribe, s->epoch, now);
	if (rc == SQLITE_OK)
		rc = vs_scribe_seal(s->scribe, now, key_of(s), true);
	if (rc == SQLITE_OK)
		rc = vs_scribe_commit(s->scribe);
	return rc == SQLITE_OK;
}

void vs_store_close(struct vs_store *s)
{
	if (!s)
		return;
	if (s->running) {
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_mutex_unlock(&s->lock);
		vs_custody_wake(s->reader);
		pthread_join(s->thread, NULL);
	}
	uint64_t until = vs_boottime_ms() + CLOSE_MS;
	bool done = false;
	while (!(done = finish(s)) && vs_boottime_ms() < until) {
		close_log(s);
		usleep(RETRY_MIN_MS * 1000);
	}
	if (!done)
		vs_say(VS_SAY_ERROR, "%s: the last events could not be recorded; they wait in custody for the next start",
		       s->path);
	release(s);
}

/* ---- Answers ---- */

uint64_t vs_store_epoch(const struct vs_store *s)
{
	return s->epoch;
}

const void *vs_store_state(const struct vs_store *s, const char *chair, size_t *ret_len)
{
	for (const struct state *st = s->states; st; st = st->next)
		if (strcmp(st->chair, chair) == 0) {
			*ret_len = st->len;
			return st->bytes;
		}
	return NULL;
}

uint64_t vs_store_last_alarm(const struct vs_store *s)
{
	return s->last_alarm;
}

uint64_t vs_store_last_session(const struct vs_store *s, const char *day)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	uint64_t n = 0;
	if (sqlite3_open_v2(s->path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, "SELECT max(n) FROM (SELECT CAST(substr(session, 12) AS INTEGER) AS n FROM session WHERE session BETWEEN"
				   " 's-' || ?1 || '-' AND 's-' || ?1 || '-~' UNION ALL SELECT number FROM carried WHERE what ="
				   " 'day ' || ?1)", -1, &st, NULL) == SQLITE_OK) {
		sqlite3_bind_text(st, 1, day, -1, SQLITE_STATIC);
		if (sqlite3_step(st) == SQLITE_ROW)
			n = (uint64_t)sqlite3_column_int64(st, 0);
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	/* Of a file before this one, that was damaged. */
	bool same_day = strlen(s->past_session) > 11 && strncmp(s->past_session + 2, day, 8) == 0;
	uint64_t past = same_day ? strtoull(s->past_session + 11, NULL, 10) : 0;
	return past > n ? past : n;
}

void vs_store_health(const struct vs_store *s, struct vs_store_health *ret)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&s->lock;
	pthread_mutex_lock(lock);
	*ret = s->health;
	pthread_mutex_unlock(lock);
}

bool vs_store_take_seal(struct vs_store *s, struct vs_store_seal *ret)
{
	pthread_mutex_lock(&s->lock);
	bool is = s->n_seals > 0;
	if (is) {
		*ret = s->seals[s->first_seal];
		s->first_seal = (s->first_seal + 1) % SEALS_MAX;
		s->n_seals--;
	}
	pthread_mutex_unlock(&s->lock);
	return is;
}
