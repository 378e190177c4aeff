#include "record/retention.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "core/timetext.h"

int64_t vs_keep_cutoff(struct vs_keep keep, int64_t now_ms)
{
	time_t s = (time_t)(now_ms / 1000);
	struct tm tm;
	if ((!keep.years && !keep.days) || !gmtime_r(&s, &tm))
		return INT64_MIN;
	tm.tm_year -= (int)keep.years;
	int month = tm.tm_mon;
	time_t then = timegm(&tm);
	if (tm.tm_mon != month) /* 29 February of a year that has none: the day before, never the day behind */
		then -= 86400;
	return (int64_t)then * 1000 + now_ms % 1000 - (int64_t)keep.days * 86400000;
}

static void take_text(sqlite3_stmt *st, int i, char *to, size_t cap)
{
	const char *text = (const char *)sqlite3_column_text(st, i);
	snprintf(to, cap, "%s", text ? text : "");
}

static void day_of(int64_t ms, char day[11])
{
	char text[VS_TIME_TEXT_CAP];
	vs_time_text(ms, text);
	snprintf(day, 11, "%.10s", text);
}

/* ---- Holds ---- */

int vs_holds(sqlite3 *present, struct vs_hold **ret, size_t *ret_n)
{
	sqlite3_stmt *st = NULL;
	struct vs_hold *all = NULL;
	size_t n = 0;
	int rc = sqlite3_prepare_v2(present, "SELECT id, session, patient, from_ms, until_ms, at_ms, uid, reason, operator FROM hold"
					     " WHERE hold NOT IN (SELECT hold FROM hold_end) ORDER BY hold", -1, &st, NULL);
	*ret = NULL;
	*ret_n = 0;
	if (rc == SQLITE_ERROR && sqlite3_table_column_metadata(present, NULL, "hold", NULL, NULL, NULL, NULL, NULL, NULL) != SQLITE_OK)
		return SQLITE_OK; /* a log of an earlier version */
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct vs_hold *more = realloc(all, (n + 1) * sizeof *all);
		rc = more ? SQLITE_OK : SQLITE_NOMEM;
		if (!more)
			break;
		all = more;
		struct vs_hold *h = &all[n++];
		*h = (struct vs_hold){ .from_ms = sqlite3_column_int64(st, 3), .until_ms = sqlite3_column_int64(st, 4),
				       .at_ms = sqlite3_column_int64(st, 5), .uid = sqlite3_column_int64(st, 6) };
		take_text(st, 0, h->id, sizeof h->id);
		take_text(st, 1, h->session, sizeof h->session);
		take_text(st, 2, h->patient, sizeof h->patient);
		take_text(st, 7, h->reason, sizeof h->reason);
		take_text(st, 8, h->operator, sizeof h->operator);
	}
	sqlite3_finalize(st);
	if (rc != SQLITE_DONE) {
		free(all);
		return rc;
	}
	*ret = all;
	*ret_n = n;
	return SQLITE_OK;
}

const char *vs_hold_text(const struct vs_hold *h, char *buf, size_t cap)
{
	char from[VS_TIME_TEXT_CAP], until[VS_TIME_TEXT_CAP];
	if (h->session[0]) {
		snprintf(buf, cap, "session %s", h->session);
	} else if (h->patient[0]) {
		snprintf(buf, cap, "patient %s", h->patient);
	} else {
		vs_time_text(h->from_ms, from);
		vs_time_text(h->until_ms, until);
		snprintf(buf, cap, "%s to %s", from, until);
	}
	return buf;
}

/* Whether a statement with one text gives a row.  1, 0, or -1: it cannot be asked. */
static int has(sqlite3 *db, const char *sql, const char *text)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	sqlite3_finalize(st);
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

/* What is judged. */
struct candidate {
	sqlite3 *db, *before; /* the file, and the one before it (NULL: there is none to read) */
	const struct vs_log_link *link;
	int64_t newest_ms;
};

static const char of_session[] = "SELECT 1 WHERE EXISTS (SELECT 1 FROM event WHERE session = ?1) OR EXISTS (SELECT 1 FROM run WHERE session = ?1)";
/* By what any message of the session said, so that a corrected code counts under both. */
static const char of_patient[] =
	"SELECT s.session FROM (SELECT session FROM session UNION SELECT session FROM event WHERE kind = 'session' AND session IS NOT NULL)"
	" s WHERE EXISTS (SELECT 1 FROM event e WHERE e.session = s.session AND e.kind = 'session' AND json_extract('{' || e.body || '}',"
	" '$.patient') = ?1)";

/* A session that began in the file before may have nothing but readings in this one. */
static int has_guest_of(const struct candidate *c, const char *patient)
{
	sqlite3_stmt *st = NULL;
	int found = 0, rc = sqlite3_prepare_v2(c->before, of_patient, -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(st, 1, patient, -1, SQLITE_STATIC);
	while (rc == SQLITE_OK && found == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		found = has(c->db, of_session, (const char *)sqlite3_column_text(st, 0));
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return found ? found : rc == SQLITE_DONE ? 0 : -1;
}

static int covers(const struct vs_hold *h, const struct candidate *c)
{
	if (h->session[0])
		return has(c->db, of_session, h->session);
	if (!h->patient[0])
		return h->from_ms <= c->newest_ms && h->until_ms >= c->link->from_ms;
	int r = has(c->db, of_patient, h->patient);
	return r == 0 && c->before ? has_guest_of(c, h->patient) : r;
}

/* The hold that keeps the file: 1 and *ret; 0: none; -1: it cannot be told. */
static int held(const struct vs_hold *holds, size_t n, const struct candidate *c, const struct vs_hold **ret)
{
	for (size_t i = 0; i < n; i++) {
		int r = covers(&holds[i], c);
		*ret = &holds[i];
		if (r)
			return r;
	}
	return 0;
}

/* ---- One file ---- */

static int open_to_read(const char *path, sqlite3 **ret)
{
	int rc = sqlite3_open_v2(path, ret, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_extended_result_codes(*ret, 0);
		sqlite3_busy_timeout(*ret, 1000);
		rc = sqlite3_exec(*ret, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
	}
	if (rc != SQLITE_OK) {
		sqlite3_close(*ret);
		*ret = NULL;
	}
	return rc;
}

/* It ends with the seal that is linked.  False: it is another file, or it cannot be read. */
static bool is_the_one(sqlite3 *db, const struct vs_log_link *link)
{
	sqlite3_stmt *st = NULL;
	bool is = sqlite3_prepare_v2(db, "SELECT seal, hash FROM seal ORDER BY seal DESC LIMIT 1", -1, &st, NULL) == SQLITE_OK &&
		  sqlite3_step(st) == SQLITE_ROW && sqlite3_column_int64(st, 0) == link->seal &&
		  sqlite3_column_bytes(st, 1) == VS_HASH && memcmp(sqlite3_column_blob(st, 1), link->hash, VS_HASH) == 0;
	sqlite3_finalize(st);
	return is;
}

/* When the last session ended that began in the file before `db`: its messages and readings in `db`. */
static int64_t end_of_guests(sqlite3 *db)
{
	sqlite3_stmt *st = NULL;
	int64_t last = INT64_MIN;
	if (sqlite3_prepare_v2(db, "SELECT max(at) FROM (SELECT max(at_ms) AS at FROM event WHERE session IS NOT NULL AND session NOT IN (SELECT"
				   " session FROM session) UNION ALL SELECT max(start_ms) + 8388608 FROM run WHERE session IS NOT NULL AND"
				   " session NOT IN (SELECT session FROM session))", -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL)
		last = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return last;
}

static void count_contents(sqlite3 *db, const char *path, struct vs_retained_file *f)
{
	sqlite3_stmt *st = NULL;
	struct stat stat_of;
	if (sqlite3_prepare_v2(db, "SELECT (SELECT min(seal) FROM seal), (SELECT count(*) FROM session), (SELECT count(*) FROM alarm),"
				   " (SELECT coalesce(sum(rows), 0) FROM seal_part WHERE part = 'reading'), (SELECT lower(hex(signature)) FROM"
				   " seal ORDER BY seal DESC LIMIT 1)", -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
		f->first_seal = sqlite3_column_int64(st, 0);
		f->sessions = sqlite3_column_int64(st, 1);
		f->alarms = sqlite3_column_int64(st, 2);
		f->readings = sqlite3_column_int64(st, 3);
		take_text(st, 4, f->signature, sizeof f->signature);
	}
	sqlite3_finalize(st);
	f->bytes = stat(path, &stat_of) == 0 ? stat_of.st_size : 0;
}

/* ---- Whether the clock may be believed ---- */

/* Of one file, from the end of the one before to its own. */
static int gap_of(sqlite3 *db, int64_t from_ms, int64_t until_ms, struct vs_record_gap *longest)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, "SELECT at, next FROM (SELECT at, lead(at, 1, ?2) OVER (ORDER BY at) AS next FROM (SELECT at_ms AS at FROM"
					" seal UNION ALL SELECT ?1)) WHERE at > ?3 ORDER BY next - at DESC LIMIT 1", -1, &st, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_bind_int64(st, 1, from_ms);
		sqlite3_bind_int64(st, 2, until_ms);
		sqlite3_bind_int64(st, 3, INT64_MIN);
		rc = sqlite3_step(st);
	}
	if (rc == SQLITE_ROW && sqlite3_column_int64(st, 1) - sqlite3_column_int64(st, 0) > longest->until_ms - longest->from_ms)
		*longest = (struct vs_record_gap){ sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1) };
	sqlite3_finalize(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int vs_record_gap(sqlite3 *present, const char *path, int64_t now_ms, struct vs_record_gap *ret)
{
	struct vs_log_link *links = NULL;
	size_t n = 0;
	char file[4096];
	int64_t from_ms = INT64_MIN;
	int rc = vs_log_links(present, &links, &n);
	*ret = (struct vs_record_gap){ now_ms, now_ms };
	for (size_t i = 0; rc == SQLITE_OK && i < n; i++) {
		sqlite3 *db = NULL;
		if (vs_log_path_beside(path, links[i].name, file, sizeof file) && open_to_read(file, &db) == SQLITE_OK)
			gap_of(db, from_ms, links[i].until_ms, ret); /* one that cannot be read is kept anyway */
		sqlite3_close(db);
		from_ms = links[i].until_ms;
	}
	free(links);
	return rc == SQLITE_OK ? gap_of(present, from_ms, now_ms, ret) : rc;
}

/* ---- What is recorded about a file already ---- */

static void look_at_records(sqlite3 *present, struct vs_retained_file *f)
{
	sqlite3_stmt *st = NULL;
	char day[11];
	if (sqlite3_prepare_v2(present, "SELECT b.at_ms, b.reason FROM broken b JOIN link l USING(link) WHERE l.name = ?1", -1, &st, NULL) ==
		    SQLITE_OK && sqlite3_bind_text(st, 1, f->link.name, -1, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
		f->state = VS_RETAIN_BROKEN;
		take_text(st, 1, f->why, sizeof f->why);
	}
	sqlite3_finalize(st);
	st = NULL;
	/* The newest decision counts; one that ended with `kept` is none any more. */
	if (sqlite3_prepare_v2(present, "SELECT r.at_ms, r.operator, r.policy, r.reason, r.sessions, e.outcome, e.at_ms FROM removal r LEFT JOIN"
					" removal_end e USING(removal) WHERE r.name = ?1 ORDER BY r.removal DESC LIMIT 1", -1, &st, NULL) ==
		    SQLITE_OK && sqlite3_bind_text(st, 1, f->link.name, -1, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
		const char *outcome = (const char *)sqlite3_column_text(st, 5);
		bool done = outcome && strcmp(outcome, "removed") == 0;
		day_of(sqlite3_column_int64(st, done ? 6 : 0), day);
		if (!outcome || done) {
			f->state = done ? VS_RETAIN_REMOVED : VS_RETAIN_UNDER_WAY;
			snprintf(f->why, sizeof f->why, "%s by policy (%s) on %s by %s: %s; %lld sessions were in it",
				 done ? "removed" : "its removal was recorded, and it is still there:", (const char *)sqlite3_column_text(st, 2), day,
				 (const char *)sqlite3_column_text(st, 1), (const char *)sqlite3_column_text(st, 3),
				 (long long)sqlite3_column_int64(st, 4));
		}
	}
	sqlite3_finalize(st);
}

/* ---- All of them ---- */

struct look {
	sqlite3 *present;
	const char *path;
	int64_t cutoff_ms;
	struct vs_hold *holds;
	size_t n_holds;
	struct vs_retained_file *files;
	size_t n;
};

/* A file of the past by its name; NULL: it cannot be read. */
static sqlite3 *open_named(const char *beside, const char *name)
{
	char path[4096];
	sqlite3 *db = NULL;
	if (vs_log_path_beside(beside, name, path, sizeof path))
		open_to_read(path, &db);
	return db;
}

/* A session of the file may go on in the one behind. */
static int64_t newest_of(const struct look *k, size_t i)
{
	bool last = i + 1 == k->n;
	sqlite3 *next = last ? k->present : open_named(k->path, k->files[i + 1].link.name);
	int64_t newest = k->files[i].link.until_ms, guests = next ? end_of_guests(next) : INT64_MIN;
	if (!last)
		sqlite3_close(next);
	return guests > newest ? guests : newest;
}

static void judge(const struct look *k, struct vs_retained_file *f, sqlite3 *db, const char *path)
{
	struct candidate c = { .db = db, .link = &f->link, .newest_ms = f->newest_ms };
	char day[11];
	if (!is_the_one(db, &f->link)) {
		f->state = VS_RETAIN_UNREADABLE;
		snprintf(f->why, sizeof f->why, "it does not end with the seal that the log goes on from: it is kept; 'audit verify' says more");
		return;
	}
	if (f > k->files)
		c.before = open_named(k->path, f[-1].link.name);
	const struct vs_hold *h = NULL;
	int r = held(k->holds, k->n_holds, &c, &h);
	sqlite3_close(c.before);
	f->state = r < 0 ? VS_RETAIN_UNREADABLE : r > 0 ? VS_RETAIN_HELD : VS_RETAIN_DUE;
	if (r < 0)
		snprintf(f->why, sizeof f->why, "whether anything in it is on hold cannot be told (%s): it is kept", sqlite3_errmsg(db));
	if (r > 0) {
		char what[320];
		day_of(h->at_ms, day);
		snprintf(f->why, sizeof f->why, "on hold %s (%s) since %s by %s: %s", h->id, vs_hold_text(h, what, sizeof what), day,
			 h->operator, h->reason);
	}
	if (r != 0)
		return;
	day_of(f->newest_ms, day);
	snprintf(f->why, sizeof f->why, "everything in it is older than the policy asks for; its newest is of %s", day);
	count_contents(db, path, f);
}

static void look_at(const struct look *k, size_t i)
{
	struct vs_retained_file *f = &k->files[i];
	char path[4096], day[11];
	struct stat st;
	sqlite3 *db = NULL;
	f->state = VS_RETAIN_YOUNG;
	f->newest_ms = f->link.until_ms;
	look_at_records(k->present, f);
	if (f->state != VS_RETAIN_YOUNG)
		return;
	bool named = vs_log_path_beside(k->path, f->link.name, path, sizeof path);
	if (!named || (stat(path, &st) < 0 && errno == ENOENT)) {
		f->state = VS_RETAIN_MISSING;
		snprintf(f->why, sizeof f->why, "it is not there, and no record says that it was removed");
		return;
	}
	if (f->link.until_ms < k->cutoff_ms)
		f->newest_ms = newest_of(k, i);
	if (f->newest_ms >= k->cutoff_ms) {
		day_of(f->newest_ms, day);
		snprintf(f->why, sizeof f->why, k->cutoff_ms == INT64_MIN ? "the policy keeps everything; its newest is of %s"
									    : "the policy keeps it still; its newest is of %s", day);
		return;
	}
	int rc = open_to_read(path, &db);
	if (rc == SQLITE_OK) {
		judge(k, f, db, path);
	} else {
		f->state = VS_RETAIN_UNREADABLE;
		snprintf(f->why, sizeof f->why, "it cannot be read (%s), so that nobody can tell what in it is on hold: it is kept", sqlite3_errstr(rc));
	}
	sqlite3_close(db);
}

int vs_retention_look(sqlite3 *present, const char *path, int64_t cutoff_ms, struct vs_retained_file **ret, size_t *ret_n)
{
	struct look k = { .present = present, .path = path, .cutoff_ms = cutoff_ms };
	struct vs_log_link *links = NULL;
	*ret = NULL;
	*ret_n = 0;
	int rc = vs_log_links(present, &links, &k.n);
	if (rc == SQLITE_OK)
		rc = vs_holds(present, &k.holds, &k.n_holds);
	if (rc == SQLITE_OK && k.n && !(k.files = calloc(k.n, sizeof *k.files)))
		rc = SQLITE_NOMEM;
	for (size_t i = 0; rc == SQLITE_OK && i < k.n; i++)
		k.files[i].link = links[i];
	for (size_t i = 0; rc == SQLITE_OK && i < k.n; i++)
		look_at(&k, i);
	free(links);
	free(k.holds);
	if (rc == SQLITE_OK) {
		*ret = k.files;
		*ret_n = k.n;
	}
	return rc;
}

bool vs_retention_may_go(sqlite3 *present, const char *path, const struct vs_log_link *link, const struct vs_log_link *before,
			 bool *ret_gone, char why[256])
{
	struct vs_hold *holds = NULL;
	size_t n = 0;
	struct stat st;
	sqlite3 *db = NULL;
	struct candidate c = { .link = link, .newest_ms = link->until_ms };
	*ret_gone = stat(path, &st) < 0 && errno == ENOENT;
	why[0] = '\0';
	if (*ret_gone)
		return true;
	int rc = open_to_read(path, &db);
	if (rc == SQLITE_OK)
		rc = vs_holds(present, &holds, &n);
	if (rc != SQLITE_OK)
		snprintf(why, 256, "it cannot be read: %s", sqlite3_errstr(rc));
	else if (!is_the_one(db, link))
		snprintf(why, 256, "it is not the file that the record tells of");
	c.db = db;
	c.before = before && n ? open_named(path, before->name) : NULL;
	const struct vs_hold *h = NULL;
	int r = why[0] ? 0 : held(holds, n, &c, &h);
	if (r > 0)
		snprintf(why, 256, "on hold %s", h->id);
	else if (r < 0)
		snprintf(why, 256, "whether anything in it is on hold cannot be told");
	free(holds);
	sqlite3_close(c.before);
	sqlite3_close(db);
	return why[0] == '\0';
}

const char *vs_retain_name(enum vs_retain r)
{
	static const char *const names[] = { "young", "due", "held", "under way", "removed", "unreadable", "missing", "broken" };
	return names[r];
}
