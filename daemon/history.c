#include "daemon/history.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct vs_history {
	char *path;
	sqlite3 *db;
	sqlite3_stmt *events, *runs, *readings;
	dev_t dev;
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
	if (h && !(h->path = strdup(path))) {
		free(h);
		return NULL;
	}
	return h;
}

static void close_file(struct vs_history *h)
{
	sqlite3_finalize(h->events);
	sqlite3_finalize(h->runs);
	sqlite3_finalize(h->readings);
	sqlite3_close(h->db);
	h->events = h->runs = h->readings = NULL;
	h->db = NULL;
}

void vs_history_destroy(struct vs_history *h)
{
	if (!h)
		return;
	close_file(h);
	free(h->path);
	free(h);
}

static int open_file(struct vs_history *h)
{
	struct stat st;
	if (stat(h->path, &st) < 0)
		return -errno;
	if (h->db && st.st_dev == h->dev && st.st_ino == h->ino)
		return 0;
	close_file(h);
	h->dev = st.st_dev;
	h->ino = st.st_ino;
	if (sqlite3_open_v2(h->path, &h->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(h->db, 200) != SQLITE_OK ||
	    sqlite3_prepare_v2(h->db, events_sql, -1, &h->events, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(h->db, runs_sql, -1, &h->runs, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(h->db, readings_sql, -1, &h->readings, NULL) != SQLITE_OK) {
		close_file(h);
		return -EIO;
	}
	return 0;
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

static int give_readings(struct vs_history *h, const char *chair, uint64_t epoch, int64_t after, struct giving *g)
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

int vs_history_replay(struct vs_history *h, enum vs_kind kind, const char *chair, uint64_t epoch, uint64_t after,
		      unsigned limit, int (*take)(void *arg, uint64_t seq, const char *json, size_t len), void *arg)
{
	struct giving g = { .take = take, .arg = arg, .limit = limit, .enough = limit == 0 };
	int64_t behind = after > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)after;
	int r = open_file(h);
	if (r < 0)
		return r;
	if (kind == VS_KIND_VITALS) {
		r = give_readings(h, chair, epoch, behind, &g);
	} else {
		sqlite3_bind_int64(h->events, 1, (int64_t)epoch);
		sqlite3_bind_text(h->events, 2, chair, -1, SQLITE_STATIC);
		sqlite3_bind_text(h->events, 3, vs_kind_name(kind), -1, SQLITE_STATIC);
		sqlite3_bind_int64(h->events, 4, behind);
		sqlite3_bind_int64(h->events, 5, limit);
		r = give(h->events, &g);
	}
	return r < 0 ? r : (int)g.given;
}
