#include "daemon/course.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "core/timetext.h"
#include "daemon/say.h"
#include "record/files.h"

#define FIRST_ROOM 256 /* patients; doubles */

/* One session of a patient. */
struct visit {
	const char *patient, *session;
	double kg;                /* 0: not known */
	int64_t infusion_wall_ms; /* 0: none was begun */
};

struct patient {
	char code[VS_WHO_CAP];     /* "": a free place */
	char session[VS_WHO_CAP];  /* the newest one */
	bool begun;                /* its infusion */
	double kg;                 /* the last that is known */
	unsigned infusions;
	int64_t infusion_wall_ms;  /* of the last one */
};

/* Open addressing: a power of two of places, at most half of them taken. */
struct table {
	struct patient *at;
	size_t room, used;
};

struct vs_courses {
	uv_work_t work;
	char *path;
	struct table known; /* the loop's */
	struct table read;  /* the thread's, until it is done */
	bool reading, at_work, closed; /* the loop's: not taken over yet; the pool has not let go yet */
	uv_mutex_t lock;
	uv_cond_t told;
	bool done;            /* under the lock */
	int status;           /* SQLITE_DONE, or why not */
};

static size_t place_of(const struct table *t, const char *code)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	for (const char *c = code; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 16777619u;
	size_t i = hash & (t->room - 1);
	while (t->at[i].code[0] && strcmp(t->at[i].code, code) != 0)
		i = (i + 1) & (t->room - 1);
	return i;
}

static bool grow(struct table *t)
{
	struct table bigger = { .room = t->room ? 2 * t->room : FIRST_ROOM, .used = t->used };
	bigger.at = calloc(bigger.room, sizeof *bigger.at);
	if (!bigger.at)
		return false;
	for (size_t i = 0; i < t->room; i++)
		if (t->at[i].code[0])
			bigger.at[place_of(&bigger, t->at[i].code)] = t->at[i];
	free(t->at);
	*t = bigger;
	return true;
}

static const struct patient *find(const struct table *t, const char *code)
{
	const struct patient *p = t->room && code[0] ? &t->at[place_of(t, code)] : NULL;
	return p && p->code[0] ? p : NULL;
}

/* Without memory a patient is not known: nothing that is said becomes wrong. */
static void note(struct table *t, const struct visit *v)
{
	if (!v->patient[0] || strlen(v->patient) >= VS_WHO_CAP || strlen(v->session) >= VS_WHO_CAP)
		return;
	if (2 * (t->used + 1) > t->room && !grow(t))
		return;
	struct patient *p = &t->at[place_of(t, v->patient)];
	t->used += !p->code[0];
	strcpy(p->code, v->patient);
	if (strcmp(p->session, v->session) != 0) {
		strcpy(p->session, v->session);
		p->begun = false;
	}
	if (v->kg > 0)
		p->kg = v->kg;
	if (v->infusion_wall_ms && !p->begun) {
		p->begun = true;
		p->infusions++;
		p->infusion_wall_ms = v->infusion_wall_ms;
	}
}

/* ---- the log ---- */

static const char last_of_each[] =
	"SELECT json_extract(b, '$.patient'), session, json_extract(b, '$.weight_kg'), json_extract(b, '$.infusion_started_at')"
	" FROM (SELECT event, session, '{' || body || '}' AS b FROM event WHERE event IN"
	" (SELECT max(event) FROM event WHERE kind = 'session' AND session IS NOT NULL GROUP BY session)) ORDER BY event";

static const char *text_at(sqlite3_stmt *st, int column)
{
	const char *text = (const char *)sqlite3_column_text(st, column);
	return text ? text : "";
}

static int open_file(const char *path, sqlite3 **ret)
{
	int rc = sqlite3_open_v2(path, ret, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(*ret, 5000);
	return rc;
}

/* SQLITE_DONE, or why not. */
static int read_file(struct vs_courses *c, sqlite3 *db)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, last_of_each, -1, &st, NULL);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct visit v = { text_at(st, 0), text_at(st, 1), sqlite3_column_double(st, 2), 0 };
		vs_time_parse(text_at(st, 3), &v.infusion_wall_ms);
		note(&c->read, &v);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return rc;
}

/* The files before the present one, oldest first.  What is gone by now, by policy or not, nobody knows any more. */
static void read_past(struct vs_courses *c, sqlite3 *present)
{
	struct vs_log_link *links = NULL;
	size_t n = 0;
	char path[4096];
	if (vs_log_links(present, &links, &n) != SQLITE_OK)
		return;
	for (size_t i = 0; i < n; i++) {
		sqlite3 *db = NULL;
		if (vs_log_path_beside(c->path, links[i].name, path, sizeof path) && open_file(path, &db) == SQLITE_OK)
			read_file(c, db);
		sqlite3_close(db);
	}
	free(links);
}

static void read_log(struct vs_courses *c)
{
	sqlite3 *db = NULL;
	c->status = open_file(c->path, &db);
	if (c->status == SQLITE_OK) {
		read_past(c, db);
		c->status = read_file(c, db);
	}
	sqlite3_close(db);
}

/* In the pool. */
static void work(uv_work_t *w)
{
	struct vs_courses *c = w->data;
	read_log(c);
	uv_mutex_lock(&c->lock);
	c->done = true;
	uv_cond_signal(&c->told);
	uv_mutex_unlock(&c->lock);
}

static void destroy(struct vs_courses *c)
{
	uv_mutex_destroy(&c->lock);
	uv_cond_destroy(&c->told);
	free(c->known.at);
	free(c->read.at);
	free(c->path);
	free(c);
}

/* What the log says, and then what happened while it was read. */
static void take_over(struct vs_courses *c)
{
	struct table meanwhile = c->known;
	c->reading = false;
	if (c->status != SQLITE_DONE)
		vs_say(VS_SAY_WARNING, "earlier sessions could not be read from the log: weights and courses of before are "
		       "not known; `vitalsctl session course` shows them");
	c->known = c->read;
	c->read = (struct table){ 0 };
	for (size_t i = 0; i < meanwhile.room; i++) {
		const struct patient *p = &meanwhile.at[i];
		struct visit v = { p->code, p->session, p->kg, p->begun ? p->infusion_wall_ms : 0 };
		note(&c->known, &v);
	}
	free(meanwhile.at);
}

static void on_work_done(uv_work_t *w, int status)
{
	struct vs_courses *c = w->data;
	c->at_work = false;
	if (c->closed)
		destroy(c);
	else if (status == 0 && c->reading)
		take_over(c);
}

static void wait_a_moment(struct vs_courses *c)
{
	uint64_t end = uv_hrtime() + VS_COURSES_WAIT_MS * 1000000ull, now;
	uv_mutex_lock(&c->lock);
	while (!c->done && (now = uv_hrtime()) < end)
		uv_cond_timedwait(&c->told, &c->lock, end - now);
	bool done = c->done;
	uv_mutex_unlock(&c->lock);
	if (done)
		take_over(c);
}

struct vs_courses *vs_courses_open(uv_loop_t *loop, const char *log_path)
{
	struct vs_courses *c = calloc(1, sizeof *c);
	if (!c || !(c->path = strdup(log_path))) {
		free(c);
		return NULL;
	}
	uv_mutex_init(&c->lock);
	uv_cond_init(&c->told);
	c->work.data = c;
	c->reading = c->at_work = uv_queue_work(loop, &c->work, work, on_work_done) == 0;
	if (c->at_work)
		wait_a_moment(c);
	return c;
}

void vs_courses_close(struct vs_courses *c)
{
	if (!c)
		return;
	c->closed = true;
	if (!c->at_work)
		destroy(c);
	else
		uv_cancel((uv_req_t *)&c->work);
}

/* ---- the loop ---- */

void vs_courses_recall(const struct vs_courses *c, struct vs_session_command *open)
{
	if (!c || c->reading)
		return;
	const struct patient *p = find(&c->known, open->patient);
	open->course.index = p ? p->infusions + 1 : 1;
	open->course.last_wall_ms = p ? p->infusion_wall_ms : 0;
	if (p && open->last_weight.v == 0)
		open->last_weight.v = p->kg;
}

void vs_courses_note(struct vs_courses *c, const struct vs_session *s)
{
	struct visit v = { s->patient, s->id, s->weight.v, s->begun ? s->infusion_wall_ms : 0 };
	if (c && s->id[0])
		note(&c->known, &v);
}
