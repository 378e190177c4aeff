/* The file of the log: opened, made, set aside. */
#include "daemon/store_inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/timetext.h"
#include "daemon/clock.h"
#include "daemon/say.h"
#include "record/schema.h"

#define QUICK_CHECK_MAX (128 << 20) /* bytes of which all pages are checked at the start: 0.1 s */

static char *beside(const struct vs_store *s, const char *suffix)
{
	char *path = NULL;
	return asprintf(&path, "%s%s", s->path, suffix) < 0 ? NULL : path;
}

/* There has been a log of ours at this path: its key stands beside it. */
bool vs_store_was_ours(const struct vs_store *s)
{
	char *key = beside(s, ".key");
	bool is = key && access(key, F_OK) == 0;
	free(key);
	return is;
}

const struct vs_key *vs_store_key(const struct vs_store *s)
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
bool vs_store_is_passing(int rc)
{
	rc &= 0xff;
	return rc == SQLITE_IOERR || rc == SQLITE_FULL || rc == SQLITE_BUSY || rc == SQLITE_LOCKED;
}

/* Opening a file that is there fails like anything else when the disk does; SQLite has one number for all its reasons. */
int vs_store_why_not_open(int rc, int error)
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
	rc = vs_scribe_create(db, vs_store_key(s), &scribe); /* owns db from here on */
	if (rc == SQLITE_OK)
		rc = vs_scribe_begin(scribe);
	if (rc == SQLITE_OK)
		rc = lost ? vs_scribe_go_on_from_lost(scribe, past, lost, told) : vs_scribe_go_on(scribe, past, name);
	if (rc == SQLITE_OK)
		rc = vs_scribe_seal(scribe, vs_wall_ms(), vs_store_key(s), true);
	if (rc == SQLITE_OK)
		rc = vs_scribe_commit(scribe);
	vs_scribe_destroy(scribe);
	if (rc == SQLITE_OK && told[0])
		snprintf(s->notice + strlen(s->notice), sizeof s->notice - strlen(s->notice), "%s", told);
	return rc;
}

void vs_store_sync_folder(const char *path)
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
	vs_store_sync_folder(s->path);
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
	vs_store_sync_folder(s->path);
	sqlite3_close(s->lost_db);
	s->lost_db = NULL;
	s->lost = false;
	return SQLITE_OK;
}

/* A closed file becomes one that nobody writes, and whose WAL is gone, once nobody has it open. */
void vs_store_settle(const char *path)
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
int vs_store_open_log(struct vs_store *s, bool check, char why[160])
{
	sqlite3 *db = NULL;
	char closed[VS_FILE_NAME_CAP] = "";
	int r = 0, lost = s->lost ? replace_lost(s, why) : SQLITE_OK;
	if (lost != SQLITE_OK)
		return lost;
	r = create_file(s->path);
	if (r < 0) {
		snprintf(why, 160, "%s", strerror(-r));
		return vs_store_why_not_open(SQLITE_CANTOPEN, -r);
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
		rc = vs_store_why_not_open(rc, sqlite3_system_errno(db));
		sqlite3_close(db);
		return rc;
	}
	rc = vs_scribe_create(db, vs_store_key(s), &s->scribe);
	if (rc != SQLITE_OK) {
		snprintf(why, 160, "%s", sqlite3_errstr(rc));
		s->scribe = NULL;
		return rc;
	}
	s->limits_told = false;
	remember_place(s);
	return rc;
}

/* The file is lost to us: its states, as far as they can be read, and the newer ones in memory go on in the next. */
static void begin_anew(struct vs_store *s, bool readable)
{
	sqlite3 *db = NULL;
	if (readable && sqlite3_open_v2(s->path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK)
		vs_store_read_states(s, db);
	sqlite3_close(db);
	s->carry = true;
	s->epoch_recorded = false;
}

/* Lets go of the file; *ret, where it is wanted, gets the connection. */
static void leave_log(struct vs_store *s, sqlite3 **ret)
{
	if (!s->scribe)
		return;
	vs_scribe_end(s->scribe, &s->end);
	s->added += vs_scribe_added(s->scribe);
	vs_scribe_states(s->scribe, vs_store_remember_state, s);
	if (ret)
		*ret = vs_scribe_leave(s->scribe);
	else
		vs_scribe_destroy(s->scribe);
	s->scribe = NULL;
}

void vs_store_close_log(struct vs_store *s)
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
void vs_store_set_aside(struct vs_store *s)
{
	char kept[4096], wal[4096], kept_wal[4096];
	vs_store_close_log(s);
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
void vs_store_lose(struct vs_store *s)
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
