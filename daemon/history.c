#include "daemon/history.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/files.h"

/* One file of the log. */
struct file {
	char *path;
	int64_t first_epoch, last_epoch; /* of the present file the last is not known */
	sqlite3 *db;
	sqlite3_stmt *events, *runs, *readings;
};

struct vs_history {
	struct file *files; /* oldest first; the last one is the present one */
	size_t n;
	dev_t dev; /* of the present one */
	ino_t ino;
};

static const char events_sql[] =
	"SELECT seq, body FROM audit_event WHERE epoch = ?1 AND chair = ?2 AND kind = ?3 AND seq > ?4 AND kind <> 'vitals'"
	" ORDER BY seq LIMIT ?5";
static const char runs_sql[] =
	"SELECT run, first_seq FROM run JOIN origin USING(origin) WHERE epoch = ?1 AND chair = ?2 AND first_seq > ?3 - 8192"
	" ORDER BY first_seq";
static const char readings_sql[] =
	"SELECT seq, body FROM reading_message WHERE run = ?1 AND id > ?1 * 8192 + ?2 ORDER BY id LIMIT ?3";

struct vs_history *vs_history_create(const char *path)
{
	struct vs_history *h = calloc(1, sizeof *h);
	if (!h)
		return NULL;
	h->files = calloc(1, sizeof *h->files);
	h->n = h->files != NULL;
	if (!h->files || !(h->files[0].path = strdup(path))) {
		free(h->files);
		free(h);
		return NULL;
	}
	return h;
}

static void close_file(struct file *f)
{
	sqlite3_finalize(f->events);
	sqlite3_finalize(f->runs);
	sqlite3_finalize(f->readings);
	sqlite3_close(f->db);
	f->events = f->runs = f->readings = NULL;
	f->db = NULL;
}

/* All but the present file are forgotten, and that is closed. */
static void close_files(struct vs_history *h)
{
	struct file present = h->files[h->n - 1];
	close_file(&present);
	for (size_t i = 0; i + 1 < h->n; i++) {
		close_file(&h->files[i]);
		free(h->files[i].path);
	}
	h->files[0] = present;
	h->n = 1;
}

void vs_history_destroy(struct vs_history *h)
{
	if (!h)
		return;
	close_files(h);
	free(h->files[0].path);
	free(h->files);
	free(h);
}

static int open_file(struct file *f)
{
	if (f->db)
		return 0;
	if (sqlite3_open_v2(f->path, &f->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(f->db, 200) != SQLITE_OK ||
	    sqlite3_prepare_v2(f->db, events_sql, -1, &f->events, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(f->db, runs_sql, -1, &f->runs, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(f->db, readings_sql, -1, &f->readings, NULL) != SQLITE_OK) {
		close_file(f);
		return -EIO;
	}
	return 0;
}

/* The files before the present one, as it names them. */
static int find_past(struct vs_history *h)
{
	struct vs_log_link *links = NULL;
	struct file present = h->files[0];
	char path[4096];
	size_t n = 0;
	if (vs_log_links(present.db, &links, &n) != SQLITE_OK)
		return -EIO;
	struct file *all = n ? calloc(n + 1, sizeof *all) : NULL;
	for (size_t i = 0; all && i < n; i++) {
		bool plain = vs_log_path_beside(present.path, links[i].name, path, sizeof path);
		struct file f = { .path = plain ? strdup(path) : NULL, .first_epoch = links[i].first_epoch,
				  .last_epoch = links[i].last_epoch };
		if (f.path)
			all[h->n++ - 1] = f;
	}
	if (all) {
		present.first_epoch = links[n - 1].last_epoch;
		all[h->n - 1] = present;
		free(h->files);
		h->files = all;
	}
	free(links);
	return 0;
}

static int open_present(struct vs_history *h)
{
	struct stat st;
	struct file *present = &h->files[h->n - 1];
	if (stat(present->path, &st) < 0)
		return -errno;
	if (present->db && st.st_dev == h->dev && st.st_ino == h->ino)
		return 0;
	close_files(h);
	h->dev = st.st_dev;
	h->ino = st.st_ino;
	int r = open_file(&h->files[0]);
	return r < 0 ? r : find_past(h);
}

struct giving {
	int (*take)(void *arg, uint64_t seq, const char *json, size_t len);
	void *arg;
	unsigned given, limit;
	bool enough; /* the limit, or take, says so */
};

/* Gives what a statement with its values bound finds: seq and text. */
static int give(sqlite3_stmt *st, struct giving *g)
{
	int rc = SQLITE_DONE;
	while (!g->enough && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		g->given++;
		g->enough = g->take(g->arg, (uint64_t)sqlite3_column_int64(st, 0), (const char *)sqlite3_column_text(st, 1),
				    (size_t)sqlite3_column_bytes(st, 1)) != 0 || g->given == g->limit;
	}
	sqlite3_reset(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -EIO;
}

static int give_readings(struct file *h, const char *chair, uint64_t epoch, int64_t after, struct giving *g)
{
	int rc = SQLITE_DONE, r = 0;
	sqlite3_bind_int64(h->runs, 1, (int64_t)epoch);
	sqlite3_bind_text(h->runs, 2, chair, -1, SQLITE_STATIC);
	sqlite3_bind_int64(h->runs, 3, after);
	while (r == 0 && !g->enough && (rc = sqlite3_step(h->runs)) == SQLITE_ROW) {
		int64_t first_seq = sqlite3_column_int64(h->runs, 1);
		sqlite3_bind_int64(h->readings, 1, sqlite3_column_int64(h->runs, 0));
		sqlite3_bind_int64(h->readings, 2, after < first_seq ? -1 : after - first_seq);
		sqlite3_bind_int64(h->readings, 3, g->limit - g->given);
		r = give(h->readings, g);
	}
	sqlite3_reset(h->runs);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? r : -EIO;
}

static int give_events(struct file *f, const char *kind, const char *chair, uint64_t epoch, int64_t after, struct giving *g)
{
	sqlite3_bind_int64(f->events, 1, (int64_t)epoch);
	sqlite3_bind_text(f->events, 2, chair, -1, SQLITE_STATIC);
	sqlite3_bind_text(f->events, 3, kind, -1, SQLITE_STATIC);
	sqlite3_bind_int64(f->events, 4, after);
	sqlite3_bind_int64(f->events, 5, g->limit - g->given);
	return give(f->events, g);
}

/* Whether a file can have messages of the epoch. */
static bool may_have(const struct vs_history *h, const struct file *f, uint64_t epoch)
{
	return (int64_t)epoch >= f->first_epoch && (f == &h->files[h->n - 1] || (int64_t)epoch <= f->last_epoch);
}

int vs_history_replay(struct vs_history *h, enum vs_kind kind, const char *chair, uint64_t epoch, uint64_t after,
		      unsigned limit, int (*take)(void *arg, uint64_t seq, const char *json, size_t len), void *arg)
{
	struct giving g = { .take = take, .arg = arg, .limit = limit, .enough = limit == 0 };
	int64_t behind = after > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)after;
	int r = open_present(h);
	/* In the order of the files the numbers of a topic only grow. */
	for (size_t i = 0; r == 0 && !g.enough && i < h->n; i++) {
		struct file *f = &h->files[i];
		if (!may_have(h, f, epoch))
			continue;
		bool past = i + 1 < h->n;
		if (past && access(f->path, F_OK) < 0) {
			close_file(f); /* it is missing, or removed: what is left is given, and its room on the disk is free */
			continue;
		}
		r = open_file(f);
		if (r == 0)
			r = kind == VS_KIND_VITALS ? give_readings(f, chair, epoch, behind, &g)
						   : give_events(f, vs_kind_name(kind), chair, epoch, behind, &g);
		if (past && r == -EIO) { /* it was damaged: likewise */
			close_file(f);
			r = 0;
		}
	}
	return r < 0 ? r : (int)g.given;
}
