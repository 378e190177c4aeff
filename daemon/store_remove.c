/* Files that are removed by policy: what is recorded and sealed is carried out (daemon/retention.h). */
#include "daemon/store_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/say.h"
#include "record/retention.h"

#define REMOVAL_RETRY_MS 600000 /* a file that is to be removed, and cannot be: tried again */

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
	vs_store_sync_folder(path);
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
	return rc == SQLITE_OK ? vs_store_sign_and_commit(s, now) : rc;
}

/* Between two groups.  What fails here is tried again: the file is opened anew with the next group. */
void vs_store_remove_files(struct vs_store *s)
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
		vs_store_close_log(s);
	}
}
