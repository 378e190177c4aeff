#include "daemon/query.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WHY_CAP 256

/* ---- Questions ---- */

__attribute__((format(printf, 2, 3))) static bool wrong(char *why, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why, WHY_CAP, format, args);
	va_end(args);
	return false;
}

/* A count from 0 up; absent: fallback, UINT64_MAX: it must be there. */
static bool get_count(const json_t *root, const char *name, uint64_t fallback, uint64_t *ret, char *why)
{
	const json_t *v = json_object_get(root, name);
	if (!v && fallback == UINT64_MAX)
		return wrong(why, "\"%s\" is missing: a whole number, as in the messages", name);
	if (v && (!json_is_integer(v) || json_integer_value(v) < 0))
		return wrong(why, "\"%s\" must be a whole number, 0 or more", name);
	*ret = v ? (uint64_t)json_integer_value(v) : fallback;
	return true;
}

static bool get_chair(const json_t *root, bool needed, struct vs_query *q, char *why)
{
	const json_t *v = json_object_get(root, "chair");
	if (!v && !needed)
		return true;
	const char *chair = json_string_value(v);
	if (!chair)
		return wrong(why, "\"chair\" is missing: the id of a chair, as text");
	if (*chair == '\0' || strlen(chair) >= sizeof q->chair || strlen(chair) != json_string_length(v))
		return wrong(why, "there is no chair of that name");
	memcpy(q->chair, chair, strlen(chair) + 1);
	return true;
}

static bool get_kind(const json_t *root, struct vs_query *q, char *why)
{
	static const char *const known = "vitals, alarm, session, entry, device, request or seal";
	const char *name = json_string_value(json_object_get(root, "kind"));
	if (!name)
		return wrong(why, "\"kind\" is missing: %s", known);
	q->kind = vs_kind_by_name(name);
	if (q->kind == VS_KIND_ALIVE)
		return wrong(why, "`alive` messages are not kept; the next one comes within a second");
	if (q->kind == VS_KIND_COUNT)
		return wrong(why, "there is no kind \"%.32s\": it is %s", name, known);
	return true;
}

static bool get_replay(const json_t *root, struct vs_query *q, char *why)
{
	uint64_t limit = 0;
	if (!get_chair(root, true, q, why) || !get_kind(root, q, why) ||
	    !get_count(root, "epoch", UINT64_MAX, &q->epoch, why) || !get_count(root, "after", 0, &q->after, why) ||
	    !get_count(root, "limit", VS_QUERY_LIMIT, &limit, why))
		return false;
	if (limit == 0)
		return wrong(why, "\"limit\" must be 1 to %u", VS_QUERY_LIMIT_MAX);
	q->limit = limit < VS_QUERY_LIMIT_MAX ? (unsigned)limit : VS_QUERY_LIMIT_MAX;
	return true;
}

static bool get_query(const json_t *root, struct vs_query *q, char *why)
{
	const char *op = json_string_value(json_object_get(root, "op"));
	if (op && strcmp(op, "snapshot") == 0) {
		q->op = VS_QUERY_SNAPSHOT;
		return get_chair(root, false, q, why);
	}
	if (op && strcmp(op, "replay") == 0) {
		q->op = VS_QUERY_REPLAY;
		return get_replay(root, q, why);
	}
	return wrong(why, "\"op\" must be \"snapshot\" or \"replay\"");
}

bool vs_query_parse(const char *text, size_t len, struct vs_query *ret, char *why)
{
	struct vs_query q = { .op = VS_QUERY_SNAPSHOT };
	json_error_t error;
	if (len > VS_QUERY_MAX)
		return wrong(why, "the question is too large: %zu bytes, at most %u are read", len, VS_QUERY_MAX);
	while (len && text[len - 1] == '\0')
		len--; /* senders of C strings often send the end as well */
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		return wrong(why, "the question is not JSON: %.120s (line %d, column %d)", error.text, error.line,
			     error.column);
	bool good = json_is_object(root) ? get_query(root, &q, why) : wrong(why, "the question must be a JSON object");
	json_decref(root);
	if (good)
		*ret = q;
	return good;
}

/* ---- Answers ---- */

size_t vs_query_error(const char *why, char *buf, size_t cap)
{
	struct vs_json j = vs_json_into(buf, cap);
	vs_json_open(&j, '{');
	vs_json_key(&j, "ok"), vs_json_bool(&j, false);
	vs_json_key(&j, "error"), vs_json_string(&j, why);
	vs_json_close(&j, '}');
	return j.len;
}

struct answer {
	const struct vs_query *q;
	struct vs_json j;
	unsigned n;
	uint64_t last; /* the highest number so far */
	bool more;
};

/* Room for the end of the answer is kept free. */
#define END_ROOM 64

/* Non-zero: the answer is full. */
static int take(void *arg, uint64_t seq, const char *json, size_t len)
{
	struct answer *a = arg;
	if (seq <= a->last)
		return 0;
	if (a->n == a->q->limit || a->j.len + len + END_ROOM > VS_QUERY_ANSWER_MAX) {
		a->more = true;
		return 1;
	}
	vs_json_raw(&a->j, json, len);
	a->n++;
	a->last = seq;
	return 0;
}

static bool matches(const struct vs_query *q, const struct vs_custody_record *r)
{
	return !r->is_state && r->event.kind == q->kind && r->event.epoch == q->epoch && r->event.seq > q->after &&
	       strcmp(r->event.chair, q->chair) == 0;
}

/* 0, or -ESTALE: meanwhile the log has what was to be read here, and the ring has it no more. */
static int take_from_ring(struct answer *a, struct vs_custody_reader *scan)
{
	struct vs_custody_record record;
	char text[VS_EVENT_TEXT_MAX];
	int r;
	while (!a->more && (r = vs_custody_next(scan, &record)) != 0) {
		if (r < 0)
			return r == -ESTALE ? r : 0;
		if (!matches(a->q, &record))
			continue;
		size_t len = vs_event_json(&record.event, text, sizeof text);
		if (len)
			take(a, record.event.seq, text, len);
	}
	return 0;
}

/* The place in the ring is taken before the log is asked: whatever the log gets meanwhile is seen twice, never missed. */
static int take_once(struct answer *a, struct vs_history *h, const struct vs_custody_reader *ring)
{
	struct vs_custody_reader *scan;
	int r = vs_custody_scan(ring, &scan);
	if (r < 0)
		return r;
	r = vs_history_replay(h, a->q->kind, a->q->chair, a->q->epoch, a->last, a->q->limit - a->n + 1, take, a);
	if (r == -ENOENT)
		r = 0; /* no log yet: everything is in the ring */
	if (r >= 0)
		r = take_from_ring(a, scan);
	vs_custody_detach(scan);
	return r;
}

size_t vs_query_replay(const struct vs_query *q, struct vs_history *h, const struct vs_custody_reader *ring, char *buf,
		       bool *ret_empty)
{
	struct answer a = { .q = q, .j = vs_json_into(buf, VS_QUERY_ANSWER_MAX), .last = q->after };
	vs_json_open(&a.j, '{');
	vs_json_key(&a.j, "ok"), vs_json_bool(&a.j, true);
	vs_json_key(&a.j, "events"), vs_json_open(&a.j, '[');
	int r = -ESTALE;
	for (int tries = 0; r == -ESTALE && tries < 10; tries++)
		r = take_once(&a, h, ring);
	*ret_empty = r == 0 && a.n == 0;
	if (r < 0) {
		char why[WHY_CAP];
		wrong(why, "the log cannot be read now (%s): ask again", strerror(-r));
		return vs_query_error(why, buf, VS_QUERY_ANSWER_MAX);
	}
	vs_json_close(&a.j, ']');
	vs_json_key(&a.j, "more"), vs_json_bool(&a.j, a.more);
	vs_json_close(&a.j, '}');
	return a.j.len;
}
