/* Opening the log to read it, whatever rights and files there are. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/ctl/log.h"
#include "clients/ctl/log_span.h"
#include "config/config.h"
#include "core/timetext.h"
#include "record/retention.h"
#include "record/schema.h"

#define DEFAULT_LOG "/var/lib/vitalsd/vitals.db"

/* One file of the log. */
struct file {
	struct vs_log_part part;
	char *path;
	char copy[512]; /* folder of a copy that is removed at the end; "": none */
	bool tried;     /* to open it */
};

struct vs_log {
	struct file *files; /* oldest first; the last one is the present one, or the only one */
	size_t n;
	struct vs_log_link *links; /* of all but the last */
	sqlite3 *db;       /* what is asked: a file's, or the span's; NULL: not decided yet */
	sqlite3 *span;
	sqlite3 **spanned; /* the files in it */
	bool is_narrow;    /* not all files are read */
};

static struct file *present(const struct vs_log *l)
{
	return &l->files[l->n - 1];
}

const char *vs_log_path(const char *given, const char *config)
{
	static char path[4096];
	struct vs_config *c = NULL;
	struct vs_findings findings = { 0 };
	if (given)
		return given;
	if (!config)
		return DEFAULT_LOG;
	if (vs_config_load(config, &c, &findings) < 0) {
		vs_findings_print(&findings, stderr);
		vs_findings_clear(&findings);
		return NULL;
	}
	snprintf(path, sizeof path, "%s", c->log_path ? c->log_path : DEFAULT_LOG);
	vs_config_free(c);
	vs_findings_clear(&findings);
	return path;
}

static void remove_copy(const struct file *f)
{
	static const char *const names[] = { "log", "log-wal", "log-shm" };
	char path[600];
	if (!f->copy[0])
		return;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", f->copy, names[i]);
		unlink(path);
	}
	rmdir(f->copy);
}

void vs_log_close(struct vs_log *l)
{
	if (!l)
		return;
	sqlite3_close(l->span);
	for (size_t i = 0; i < l->n; i++) {
		sqlite3_close(l->files[i].part.db);
		remove_copy(&l->files[i]);
		free(l->files[i].path);
	}
	free(l->spanned);
	free(l->files);
	free(l->links);
	free(l);
}

static int copy_file(const char *from, const char *to)
{
	char buf[65536];
	ssize_t n = 0;
	int in = open(from, O_RDONLY | O_CLOEXEC), out = -1, r = 0;
	if (in < 0 || (out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
		r = -errno;
	while (r == 0 && (n = read(in, buf, sizeof buf)) > 0)
		if (write(out, buf, (size_t)n) != n)
			r = errno ? -errno : -ENOSPC;
	if (r == 0 && n < 0)
		r = -errno;
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return r;
}

#define COPIES_MAX 20
#define WAL_HEADER 32

/* The header of a WAL, which is another one whenever it begins anew; zeros: it is empty, or not there. */
static void read_wal_header(const char *path, uint8_t header[WAL_HEADER])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	memset(header, 0, WAL_HEADER);
	if (fd >= 0 && read(fd, header, WAL_HEADER) != WAL_HEADER)
		memset(header, 0, WAL_HEADER);
	if (fd >= 0)
		close(fd);
}

/* Copies both.  -EAGAIN: the WAL began anew in the midst of it, so that pages may be in neither copy. */
static int copy_both(const char *path, const char *wal, const char *to_path, const char *to_wal)
{
	uint8_t before[WAL_HEADER], after[WAL_HEADER];
	read_wal_header(wal, before);
	int r = copy_file(path, to_path);
	if (r == 0)
		r = copy_file(wal, to_wal);
	read_wal_header(wal, after);
	return r == -ENOENT || (r == 0 && memcmp(before, after, WAL_HEADER) != 0) ? -EAGAIN : r;
}

/* A database with a WAL beside it, and no right to make the index that reading a WAL takes: read a copy. */
static int copy_log(struct file *f)
{
	char wal[4096], to[600], to_wal[600];
	const char *tmp = getenv("TMPDIR");
	snprintf(f->copy, sizeof f->copy, "%.480s/vitalsctl.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(f->copy)) {
		f->copy[0] = '\0';
		return -errno;
	}
	snprintf(to, sizeof to, "%s/log", f->copy);
	snprintf(to_wal, sizeof to_wal, "%s/log-wal", f->copy);
	snprintf(wal, sizeof wal, "%s-wal", f->path);
	int r = -EAGAIN;
	for (int i = 0; r == -EAGAIN && i < COPIES_MAX; i++) {
		unlink(to);
		unlink(to_wal);
		r = copy_both(f->path, wal, to, to_wal);
	}
	return r;
}

static bool has_wal(const struct file *f)
{
	char wal[4096];
	struct stat st;
	snprintf(wal, sizeof wal, "%s-wal", f->path);
	return stat(wal, &st) == 0 && st.st_size > 0;
}

/* As a URI, in which '?', '#' and '%' have meanings. */
static void uri_of(const char *path, const char *query, char *uri, size_t cap)
{
	size_t n = (size_t)snprintf(uri, cap, "file:");
	for (; *path && n + 4 < cap; path++)
		n += (size_t)snprintf(uri + n, cap - n, strchr("?#%", *path) ? "%%%02X" : "%c", (unsigned char)*path);
	snprintf(uri + n, cap - n, "?%s", query);
}

static int try_open(struct file *f, const char *path, const char *query, enum vs_schema_state *state)
{
	char uri[8192];
	sqlite3_close(f->part.db);
	f->part.db = NULL;
	uri_of(path, query, uri, sizeof uri);
	int rc = sqlite3_open_v2(uri, &f->part.db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(f->part.db, 3000);
	return rc == SQLITE_OK ? vs_schema_look(f->part.db, state) : rc;
}

static int open_some_way(struct file *f, enum vs_schema_state *state)
{
	char copy[600];
	int rc = try_open(f, f->path, "mode=ro", state);
	if (rc != SQLITE_CANTOPEN && rc != SQLITE_READONLY)
		return rc;
	if (!has_wal(f))
		return try_open(f, f->path, "mode=ro&immutable=1", state);
	int r = copy_log(f);
	if (r < 0) {
		vs_ctl_fail("%s-wal belongs to the log, and reading both takes a copy: %s in %s; set TMPDIR to a folder with room",
			    f->path, strerror(-r), f->copy[0] ? f->copy : "the folder for temporary files");
		return rc;
	}
	snprintf(copy, sizeof copy, "%s/log", f->copy);
	return try_open(f, copy, "mode=ro", state);
}

static int cannot(struct file *f, int r, const char *why)
{
	snprintf(f->part.why, sizeof f->part.why, "%s", why);
	sqlite3_close(f->part.db);
	f->part.db = NULL;
	return r;
}

/* 0, or -errno with the reason in words in part.why. */
static int open_file(struct file *f)
{
	struct stat st;
	enum vs_schema_state state = VS_SCHEMA_OK;
	f->tried = true;
	f->part.path = f->path;
	if (stat(f->path, &st) < 0)
		return cannot(f, -errno, strerror(errno));
	int rc = open_some_way(f, &state);
	if (rc == SQLITE_NOTADB)
		return cannot(f, -EINVAL, "this is not a log of vitalsd, or its beginning is damaged");
	if (rc == SQLITE_CORRUPT)
		return cannot(f, -EIO, "the file is damaged or cut short; 'sqlite3 FILE .recover' may save what is left");
	if (rc != SQLITE_OK)
		return cannot(f, -EIO, f->part.db ? sqlite3_errmsg(f->part.db) : sqlite3_errstr(rc));
	if (state == VS_SCHEMA_NEWER)
		return cannot(f, -EPROTO, "a newer vitalsd wrote this log; read it with that version's vitalsctl");
	if (state == VS_SCHEMA_FOREIGN || state == VS_SCHEMA_EMPTY)
		return cannot(f, -EINVAL, state == VS_SCHEMA_EMPTY ? "there is nothing in this file"
								   : "this database is not a log of vitalsd");
	return 0;
}

/* ---- The files before ---- */

/* One that is missing is said, and left out; one that was removed by policy is no fault. */
static void open_past(struct vs_log *l, size_t i)
{
	struct file *f = &l->files[i];
	if (f->tried)
		return;
	f->tried = true;
	f->part.path = f->path;
	if (f->part.broken) {
		fprintf(stderr, "vitalsctl: note: %s: %s: it is not read with the others\n", f->path, f->part.why);
		return;
	}
	char recorded[sizeof f->part.why];
	snprintf(recorded, sizeof recorded, "%s", f->part.why);
	if (open_file(f) == 0)
		return;
	if (f->part.removed) {
		snprintf(f->part.why, sizeof f->part.why, "%s", recorded);
		fprintf(stderr, "vitalsctl: note: %s, %s\n", f->path, f->part.why);
	} else {
		vs_ctl_fail("%s: %s: this part of the log is not read", f->path, f->part.why);
	}
}

/* What the present file says of those before it: removed by policy, damaged. */
static void look_at_records(struct vs_log *l)
{
	struct vs_retained_file *files = NULL;
	size_t n = 0;
	if (vs_retention_look(present(l)->part.db, present(l)->path, INT64_MIN, &files, &n) != SQLITE_OK)
		return;
	for (size_t i = 0; i < n && i + 1 < l->n; i++) {
		struct vs_log_part *part = &l->files[i].part;
		part->removed = files[i].state == VS_RETAIN_REMOVED;
		part->broken = files[i].state == VS_RETAIN_BROKEN;
		if (part->removed || part->broken)
			snprintf(part->why, sizeof part->why, "%.*s", (int)sizeof part->why - 1, files[i].why);
	}
	free(files);
}

/* Finds what the present file names. */
static int find_past(struct vs_log *l)
{
	char closed[VS_FILE_NAME_CAP], path[4096];
	size_t n = 0;
	struct file last = *present(l);
	if (vs_log_closed_as(last.part.db, closed) != SQLITE_OK || closed[0] ||
	    vs_log_links(last.part.db, &l->links, &n) != SQLITE_OK || n == 0)
		return 0;
	struct file *all = calloc(n + 1, sizeof *all);
	if (!all)
		return -ENOMEM;
	free(l->files);
	l->files = all;
	l->n = n + 1;
	all[n] = last;
	for (size_t i = 0; i < n; i++) {
		bool plain = vs_log_path_beside(last.path, l->links[i].name, path, sizeof path);
		all[i].path = strdup(plain ? path : "");
		all[i].part.path = all[i].path;
		all[i].part.link = &l->links[i];
		if (!all[i].path)
			return -ENOMEM;
	}
	look_at_records(l);
	return 0;
}

size_t vs_log_parts(struct vs_log *l)
{
	return l->n;
}

struct vs_log_part *vs_log_part(struct vs_log *l, size_t i)
{
	open_past(l, i);
	return &l->files[i].part;
}

/* Makes one of those files that can be read and are wanted (NULL: all). */
static void span_files(struct vs_log *l, const bool *wanted)
{
	size_t n = 0;
	l->spanned = calloc(l->n, sizeof *l->spanned);
	for (size_t i = 0; l->spanned && i < l->n; i++) {
		if (wanted && !wanted[i])
			continue;
		open_past(l, i);
		if (l->files[i].part.db)
			l->spanned[n++] = l->files[i].part.db;
	}
	l->db = n == 1 ? l->spanned[0] : present(l)->part.db;
	if (n < 2)
		return;
	/* One state of all of it while it is read. */
	for (size_t i = 0; i < n; i++)
		sqlite3_exec(l->spanned[i], "BEGIN", NULL, NULL, NULL);
	int rc = vs_span_open(l->spanned, n, &l->span);
	if (rc == SQLITE_OK)
		l->db = l->span;
	else
		vs_ctl_fail("%s: the files of the past cannot be read with it: %s", present(l)->path,
			    l->span ? sqlite3_errmsg(l->span) : sqlite3_errstr(rc));
}

sqlite3 *vs_log_db(struct vs_log *l)
{
	if (!l->db)
		span_files(l, NULL);
	return l->db;
}

bool vs_log_part_has(sqlite3 *db, const char *session, bool *ret_begins)
{
	sqlite3_stmt *st = NULL;
	bool has = sqlite3_prepare_v2(db, "SELECT EXISTS (SELECT 1 FROM session WHERE session = ?1) FROM (SELECT 1) WHERE EXISTS"
					  " (SELECT 1 FROM event WHERE session = ?1) OR EXISTS (SELECT 1 FROM run WHERE session ="
					  " ?1)", -1, &st, NULL) == SQLITE_OK &&
		   sqlite3_bind_text(st, 1, session, -1, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW;
	*ret_begins = has && sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return has;
}

/* The file that a session's day points to (s-20261121-3), to be looked at first; else the present one. */
static size_t likely_file(const struct vs_log *l, const char *session)
{
	char text[32];
	int64_t day;
	if (strlen(session) < 10 || strncmp(session, "s-", 2) != 0)
		return l->n - 1;
	snprintf(text, sizeof text, "%.4s-%.2s-%.2sT23:59:59Z", session + 2, session + 6, session + 8);
	if (!vs_time_parse(text, &day))
		return l->n - 1;
	for (size_t i = 0; i + 1 < l->n; i++)
		if (l->links[i].until_ms >= day)
			return i;
	return l->n - 1;
}

/* Readings and cuff values from shortly before a session count for it too. */
#define BEFORE_MS (2 * 3600 * 1000)

static bool begins_early(sqlite3 *db, const char *session, int64_t from_ms)
{
	sqlite3_stmt *st = NULL;
	bool is = sqlite3_prepare_v2(db, "SELECT started_ms < ?2 FROM session WHERE session = ?1", -1, &st, NULL) == SQLITE_OK &&
		  sqlite3_bind_text(st, 1, session, -1, SQLITE_STATIC) == SQLITE_OK &&
		  sqlite3_bind_int64(st, 2, from_ms + BEFORE_MS) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW &&
		  sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return is;
}

/* Looks at the files from the likely one on, and marks those that count; false: none has it. */
static bool mark_files(struct vs_log *l, const char *session, bool *wanted)
{
	size_t likely = likely_file(l, session);
	bool found = false;
	for (size_t k = 0; k < l->n && !found; k++) {
		size_t i = k == 0 ? likely : k - 1 < likely ? k - 1 : k;
		bool begins;
		open_past(l, i);
		if (!l->files[i].part.db || !vs_log_part_has(l->files[i].part.db, session, &begins))
			continue;
		found = wanted[i] = true;
		/* It may have begun in the file before, and go on in the one behind. */
		for (size_t j = i; !begins && j-- > 0;) {
			open_past(l, j);
			wanted[j] = l->files[j].part.db && vs_log_part_has(l->files[j].part.db, session, &begins);
		}
		for (size_t j = i + 1; j < l->n; j++) {
			open_past(l, j);
			if (!l->files[j].part.db || !vs_log_part_has(l->files[j].part.db, session, &begins))
				break;
			wanted[j] = true;
		}
		if (i > 0 && begins_early(l->files[i].part.db, session, l->links[i - 1].until_ms))
			wanted[i - 1] = true;
	}
	return found;
}

void vs_log_narrow(struct vs_log *l, const char *const *sessions, size_t n)
{
	if (l->db || l->n == 1 || n == 0)
		return;
	bool *wanted = calloc(l->n, sizeof *wanted), found = false;
	for (size_t i = 0; wanted && i < n; i++)
		found = mark_files(l, sessions[i], wanted) || found;
	if (found)
		span_files(l, wanted);
	l->is_narrow = found;
	free(wanted);
}

/* What lists are of: rows of a span of time (?1 to ?2), what they are part of (a name), and where more of that is. */
#define SESSIONS_OF(rows) "SELECT DISTINCT e.session FROM " rows " BETWEEN ?1 AND ?2 AND e.session IS NOT NULL"
#define HAS_SESSION "SELECT 1 FROM event WHERE session = ?1 LIMIT 1"
static const struct reach {
	const char *rows, *parts, *has, *sessions;
} reaches[] = {
	[VS_LOG_SESSIONS] = { "SELECT 1 FROM session WHERE started_ms BETWEEN ?1 AND ?2 LIMIT 1",
			      "SELECT session FROM session WHERE started_ms BETWEEN ?1 AND ?2", HAS_SESSION, NULL },
	[VS_LOG_ALARMS] = { "SELECT 1 FROM alarm WHERE onset_ms BETWEEN ?1 AND ?2 LIMIT 1",
			    "SELECT alarm FROM alarm WHERE onset_ms BETWEEN ?1 AND ?2", "SELECT 1 FROM event WHERE alarm = ?1 LIMIT 1",
			    SESSIONS_OF("alarm a JOIN event e USING(event) WHERE onset_ms") },
	[VS_LOG_EVENTS] = { "SELECT 1 FROM event WHERE at_ms BETWEEN ?1 AND ?2 LIMIT 1", NULL, NULL,
			    SESSIONS_OF("event e WHERE e.at_ms") },
};

static sqlite3_stmt *in_time(sqlite3 *db, const char *sql, const struct vs_log_options *o)
{
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		return NULL;
	sqlite3_bind_int64(st, 1, o->since_ms);
	sqlite3_bind_int64(st, 2, o->until_ms);
	return st;
}

/* The files that have more of what is listed in file i. */
static void mark_more(struct vs_log *l, size_t i, const char *parts, const char *has, const struct vs_log_options *o, bool *wanted)
{
	sqlite3_stmt *st = in_time(l->files[i].part.db, parts, o), **in = calloc(l->n, sizeof *in);
	for (size_t j = 0; in && j < l->n; j++)
		if (!wanted[j] && l->files[j].part.db)
			sqlite3_prepare_v2(l->files[j].part.db, has, -1, &in[j], NULL);
	while (st && in && sqlite3_step(st) == SQLITE_ROW)
		for (size_t j = 0; j < l->n; j++) {
			if (!in[j] || wanted[j])
				continue;
			sqlite3_bind_value(in[j], 1, sqlite3_column_value(st, 0));
			wanted[j] = sqlite3_step(in[j]) == SQLITE_ROW;
			sqlite3_reset(in[j]);
		}
	for (size_t j = 0; in && j < l->n; j++)
		sqlite3_finalize(in[j]);
	sqlite3_finalize(st);
	free(in);
}

/* What every file is asked for first stands at its beginning: the disk may bring it of all of them while they are opened one by
 * one.  Not of one that is open: to close any descriptor of it would end SQLite's locks. */
#define BEGINNING (256 << 10)
static void fetch_beginnings(struct vs_log *l)
{
	for (size_t i = 0; i < l->n; i++) {
		int fd = l->files[i].tried ? -1 : open(l->files[i].path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		posix_fadvise(fd, 0, BEGINNING, POSIX_FADV_WILLNEED);
		close(fd);
	}
}

void vs_log_narrow_list(struct vs_log *l, enum vs_log_list list, const struct vs_log_options *o)
{
	const struct reach *reach = &reaches[list];
	bool *first = calloc(l->n, sizeof *first), *wanted = calloc(l->n, sizeof *wanted);
	bool can = !l->db && l->n > 1 && first && wanted && (o->since_ms > INT64_MIN || o->until_ms < INT64_MAX);
	if (can)
		fetch_beginnings(l);
	for (size_t i = 0; can && i < l->n; i++) {
		open_past(l, i);
		sqlite3_stmt *st = l->files[i].part.db ? in_time(l->files[i].part.db, reach->rows, o) : NULL;
		/* What cannot be asked is not left out: whoever asks it then is told why. */
		wanted[i] = first[i] = l->files[i].part.db && (!st || sqlite3_step(st) != SQLITE_DONE);
		sqlite3_finalize(st);
	}
	for (size_t i = 0; can && i < l->n; i++) {
		if (first[i] && reach->parts)
			mark_more(l, i, reach->parts, reach->has, o, wanted);
		if (first[i] && reach->sessions && (o->patient || o->protocol))
			mark_more(l, i, reach->sessions, HAS_SESSION, o, wanted);
	}
	if (can)
		span_files(l, wanted);
	l->is_narrow = l->is_narrow || can;
	free(first);
	free(wanted);
}

bool vs_log_widen(struct vs_log *l)
{
	if (!l->is_narrow)
		return false;
	sqlite3_close(l->span);
	free(l->spanned);
	l->span = l->db = NULL;
	l->spanned = NULL;
	l->is_narrow = false;
	return true;
}

/* ---- Opening ---- */

/* The present file of the only log in a folder.  0, or -errno after saying why. */
static int find_in_folder(const char *folder, char *path, size_t cap)
{
	struct dirent **names;
	int n = scandir(folder, &names, NULL, alphasort), found = 0;
	if (n < 0)
		return vs_ctl_fail("%s: %s", folder, strerror(errno)), -EACCES;
	for (int i = 0; i < n; i++) {
		size_t len = strlen(names[i]->d_name);
		bool is = len > 3 && strcmp(names[i]->d_name + len - 3, ".db") == 0;
		for (int j = 0; is && j < n; j++) { /* vitals-2026.db is a file of vitals.db */
			size_t stem = strlen(names[j]->d_name);
			is = !(j != i && stem > 3 && strcmp(names[j]->d_name + stem - 3, ".db") == 0 && len > stem &&
			       strncmp(names[i]->d_name, names[j]->d_name, stem - 3) == 0 && names[i]->d_name[stem - 3] == '-');
		}
		found += is;
		if (is)
			snprintf(path, cap, "%s/%s", folder, names[i]->d_name);
	}
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	if (found == 1)
		return 0;
	vs_ctl_fail("%s: this is a folder, and there is %s log in it; --log wants the file (vitals.db)", folder,
		    found ? "more than one" : "no");
	return -EISDIR;
}

int vs_log_open(const char *path, struct vs_log **ret)
{
	struct stat st;
	char found[4096];
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		int r = find_in_folder(path, found, sizeof found);
		if (r < 0)
			return r;
		path = found;
	}
	struct vs_log *l = calloc(1, sizeof *l);
	if (!l || !(l->files = calloc(1, sizeof *l->files)) || !(l->files[0].path = strdup(path))) {
		if (l)
			free(l->files);
		free(l);
		return -ENOMEM;
	}
	l->n = 1;
	int r = open_file(&l->files[0]);
	if (r < 0)
		vs_ctl_fail("%s: %s", path, l->files[0].part.why);
	else
		r = find_past(l);
	if (r < 0) {
		vs_log_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

int vs_log_open_given(const struct vs_log_options *o, struct vs_log **ret)
{
	const char *path = vs_log_path(o->log, o->config);
	if (!path)
		return VS_EXIT_CONFIG;
	return vs_log_open(path, ret) < 0 ? VS_EXIT_FAILED : VS_EXIT_DONE;
}

const char *vs_log_file(const struct vs_log *l)
{
	return present(l)->path;
}

int vs_log_failed(struct vs_log *l)
{
	int rc = sqlite3_errcode(l->db);
	const char *path = vs_log_file(l);
	if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB)
		return vs_ctl_fail("%s: the file is damaged; 'sqlite3 FILE .recover' may save what is left", path);
	return vs_ctl_fail("%s: %s", path, sqlite3_errmsg(l->db));
}
