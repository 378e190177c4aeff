/* Opening the log to read it, whatever rights and files there are. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/ctl/log.h"
#include "config/config.h"
#include "record/schema.h"

#define DEFAULT_LOG "/var/lib/vitalsd/vitals.db"

struct vs_log {
	sqlite3 *db;
	char *path;
	char copy[512]; /* folder of a copy that is removed at the end; "": none */
};

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

static void remove_copy(const struct vs_log *l)
{
	static const char *const names[] = { "log", "log-wal", "log-shm" };
	char path[600];
	if (!l->copy[0])
		return;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", l->copy, names[i]);
		unlink(path);
	}
	rmdir(l->copy);
}

void vs_log_close(struct vs_log *l)
{
	if (!l)
		return;
	sqlite3_close(l->db);
	remove_copy(l);
	free(l->path);
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

/* A database with a WAL beside it, and no right to make the index that reading a WAL takes: read a copy. */
static int copy_log(struct vs_log *l)
{
	char from[4096], to[600];
	const char *tmp = getenv("TMPDIR");
	snprintf(l->copy, sizeof l->copy, "%.480s/vitalsctl.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(l->copy)) {
		l->copy[0] = '\0';
		return -errno;
	}
	snprintf(to, sizeof to, "%s/log", l->copy);
	int r = copy_file(l->path, to);
	if (r == 0) {
		snprintf(from, sizeof from, "%s-wal", l->path);
		snprintf(to, sizeof to, "%s/log-wal", l->copy);
		r = copy_file(from, to);
	}
	return r;
}

static bool has_wal(const struct vs_log *l)
{
	char wal[4096];
	struct stat st;
	snprintf(wal, sizeof wal, "%s-wal", l->path);
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

static int try_open(struct vs_log *l, const char *path, const char *query, enum vs_schema_state *state)
{
	char uri[8192];
	sqlite3_close(l->db);
	l->db = NULL;
	uri_of(path, query, uri, sizeof uri);
	int rc = sqlite3_open_v2(uri, &l->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(l->db, 3000);
	return rc == SQLITE_OK ? vs_schema_look(l->db, state) : rc;
}

static int open_some_way(struct vs_log *l, enum vs_schema_state *state)
{
	char copy[600];
	int rc = try_open(l, l->path, "mode=ro", state);
	if (rc != SQLITE_CANTOPEN && rc != SQLITE_READONLY)
		return rc;
	if (!has_wal(l))
		return try_open(l, l->path, "mode=ro&immutable=1", state);
	int r = copy_log(l);
	if (r < 0) {
		vs_ctl_fail("%s-wal belongs to the log, and reading both takes a copy: %s in %s; set TMPDIR to a folder with room",
			    l->path, strerror(-r), l->copy[0] ? l->copy : "the folder for temporary files");
		return rc;
	}
	snprintf(copy, sizeof copy, "%s/log", l->copy);
	return try_open(l, copy, "mode=ro", state);
}

static int refuse(struct vs_log *l, int r, const char *why)
{
	vs_ctl_fail("%s: %s", l->path, why);
	vs_log_close(l);
	return r;
}

int vs_log_open(const char *path, struct vs_log **ret)
{
	struct stat st;
	enum vs_schema_state state = VS_SCHEMA_OK;
	struct vs_log *l = calloc(1, sizeof *l);
	if (!l || !(l->path = strdup(path))) {
		free(l);
		return -ENOMEM;
	}
	if (stat(path, &st) < 0)
		return refuse(l, -errno, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return refuse(l, -EISDIR, "this is a folder; --log wants the file (vitals.db)");
	int rc = open_some_way(l, &state);
	if (rc == SQLITE_NOTADB)
		return refuse(l, -EINVAL, "this is not a log of vitalsd, or its beginning is damaged");
	if (rc == SQLITE_CORRUPT)
		return refuse(l, -EIO, "the file is damaged or cut short; 'sqlite3 FILE .recover' may save what is left");
	if (rc != SQLITE_OK)
		return refuse(l, -EIO, l->db ? sqlite3_errmsg(l->db) : sqlite3_errstr(rc));
	if (state == VS_SCHEMA_NEWER)
		return refuse(l, -EPROTO, "a newer vitalsd wrote this log; read it with that version's vitalsctl");
	if (state == VS_SCHEMA_FOREIGN || state == VS_SCHEMA_EMPTY)
		return refuse(l, -EINVAL, state == VS_SCHEMA_EMPTY ? "there is nothing in this file"
								   : "this database is not a log of vitalsd");
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

sqlite3 *vs_log_db(struct vs_log *l)
{
	return l->db;
}

const char *vs_log_file(const struct vs_log *l)
{
	return l->path;
}

int vs_log_failed(struct vs_log *l)
{
	int rc = sqlite3_errcode(l->db);
	if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB)
		return vs_ctl_fail("%s: the file is damaged; 'sqlite3 FILE .recover' may save what is left", l->path);
	return vs_ctl_fail("%s: %s", l->path, sqlite3_errmsg(l->db));
}
