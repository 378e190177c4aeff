/* When a file is complete: it is closed with a signed seal, and the next one begins. */
#include "daemon/store_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/timetext.h"
#include "daemon/clock.h"
#include "daemon/say.h"

#define ROTATE_LOOK_MS 60000 /* how often it is asked whether the file is complete */
#define ROTATE_DAY_MS 86400000ll
#define ROTATE_WAIT_MS (7 * ROTATE_DAY_MS) /* so long sessions that are open hold it up at most */

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
		s->file_from_ms = vs_store_ask(db, "SELECT coalesce((SELECT max(until_ms) FROM link), (SELECT min(started_ms) FROM epoch), 0)");
	if (!s->file_from_ms || vs_scribe_head(s->scribe)->seal == 0)
		return NULL;
	bool year = s->rotate_yearly && year_of(now) > year_of(s->file_from_ms);
	uint64_t bytes = 0;
	if (s->rotate_bytes)
		bytes = (uint64_t)(vs_store_ask(db, "PRAGMA page_count") * vs_store_ask(db, "PRAGMA page_size"));
	bool size = s->rotate_bytes && bytes >= s->rotate_bytes;
	if (!year && !size)
		return NULL;
	char sql[512];
	snprintf(sql, sizeof sql, "SELECT count(*) FROM session s WHERE started_ms > %lld AND NOT EXISTS (SELECT 1 FROM event e WHERE"
		 " e.session = s.session AND e.kind = 'session' AND json_extract('{' || e.body || '}', '$.phase') = 'discharged')",
		 (long long)(now - ROTATE_DAY_MS));
	bool late = (year && year_of(now - ROTATE_WAIT_MS) > year_of(s->file_from_ms)) ||
		    (size && bytes - s->rotate_bytes >= s->rotate_bytes / 4);
	if (!late && vs_store_ask(db, sql) > 0)
		return NULL;
	return year ? "the year is over" : "the file is as large as it may be";
}

/* Puts a signed seal over what this transaction has, commits it, and publishes the head. */
int vs_store_sign_and_commit(struct vs_store *s, int64_t now)
{
	int rc = vs_scribe_seal(s->scribe, now, vs_store_key(s), true);
	if (rc == SQLITE_OK)
		rc = vs_scribe_commit(s->scribe);
	if (rc == SQLITE_OK && s->has_key && s->any_chair[0])
		vs_store_publish_head(s, now);
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
	return rc == SQLITE_OK ? vs_store_sign_and_commit(s, now) : rc;
}

/* Between two groups: everything that was taken is in the file.  What fails here is tried again with the next group. */
void vs_store_rotate(struct vs_store *s)
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
			vs_store_settle(last);
		free(links);
		return;
	}
	int rc = close_file(s, now, reason);
	if (rc == SQLITE_OK)
		sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	else
		vs_say(VS_SAY_ERROR, "%s: the file is complete (%s) and cannot be closed: %s; tried again in a minute", s->path, reason,
		       sqlite3_errstr(rc));
	vs_store_close_log(s); /* opened again with the next group, which finds it closed */
	s->file_from_ms = 0;
}
