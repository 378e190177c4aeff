/* What a reading looks like. */
#include "daemon/scribe_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHAPE_KEY_MAX 1024
#define SHAPES_MAX 4096 /* remembered; a device that shows more starts the memory anew */

/* All that a reading's shape depends on, as bytes.  0: it does not fit, and is not remembered. */
static size_t shape_key(const struct vs_event *e, uint8_t key[SHAPE_KEY_MAX])
{
	const struct vs_reading *r = e->reading;
	uint64_t own = r->flags;
	size_t len = strlen(e->device) + 1;
	if (len + 8 + r->len * 12u > SHAPE_KEY_MAX)
		return 0;
	memcpy(key, e->device, len);
	memcpy(key + len, &r->flags, 8), len += 8;
	for (unsigned i = 0; i < r->len; i++) {
		const struct vs_obs *o = &r->obs[i];
		own |= o->flags;
		key[len++] = (uint8_t)o->metric;
		key[len++] = o->has_value;
		memcpy(key + len, &o->flags, 8), len += 8;
		memcpy(key + len, &o->device_error, 2), len += 2;
	}
	/* A device's own flags go by their names, which another configuration may change. */
	for (own >>= VS_FLAG_OWN_FIRST; r->own_flags && own; own &= own - 1) {
		const char *name = r->own_flags[__builtin_ctzll(own)];
		size_t n = name ? strlen(name) + 1 : 0;
		if (len + n > SHAPE_KEY_MAX)
			return 0;
		if (name)
			memcpy(key + len, name, n), len += n;
	}
	return len;
}

static void flags_array(struct vs_json *j, const struct vs_reading *r, const struct vs_obs *o, uint64_t set)
{
	char text[64];
	for (; set; set &= set - 1)
		if (vs_obs_flag_text(r, o, (unsigned)__builtin_ctzll(set), text))
			vs_json_string(j, text);
}

/* The flags of one metric, or of the whole reading, as a JSON array. */
static const char *flags_text(char *buf, size_t cap, const struct vs_reading *r, const struct vs_obs *o, uint64_t set)
{
	struct vs_json j = vs_json_into(buf, cap);
	vs_json_open(&j, '[');
	flags_array(&j, r, o, set);
	vs_json_close(&j, ']');
	return buf;
}

static uint64_t own_flags_of(const struct vs_obs *o)
{
	return o->has_value || o->flags ? o->flags : VS_FLAG(NO_VALUE);
}

/* The shape in one text: `oximeter [] spo2=[] pr-["sensor_off"]`. */
static void shape_text(const struct vs_event *e, char *buf, size_t cap)
{
	const struct vs_reading *r = e->reading;
	char flags[1024];
	size_t len = (size_t)snprintf(buf, cap, "%s %s", e->device, flags_text(flags, sizeof flags, r, NULL, r->flags));
	for (unsigned i = 0; i < r->len && len < cap; i++)
		len += (size_t)snprintf(buf + len, cap - len, " %s%c%s", vs_metrics[r->obs[i].metric].name,
					r->obs[i].has_value ? '=' : '-',
					flags_text(flags, sizeof flags, r, &r->obs[i], r->obs[i].flags));
}

static int add_shape_metrics(struct vs_scribe *s, const struct vs_reading *r, int64_t shape)
{
	char all[1024], own[1024];
	int place = 0;
	for (unsigned i = 0; i < r->len; i++) {
		const struct vs_obs *o = &r->obs[i];
		sqlite3_stmt *st = s->st[SHAPE_METRIC_ADD];
		sqlite3_bind_int64(st, 1, shape * 32 + i);
		vs_scribe_text(st, 2, vs_metrics[o->metric].name);
		vs_scribe_text(st, 3, vs_metrics[o->metric].unit);
		sqlite3_bind_int(st, 4, o->has_value ? ++place : 0);
		vs_scribe_text(st, 5, flags_text(all, sizeof all, r, o, own_flags_of(o) | r->flags));
		vs_scribe_text(st, 6, flags_text(own, sizeof own, r, o, o->flags));
		int64_t id;
		int rc = vs_scribe_row(s, SHAPE_METRIC_ADD, "shape_metric", &id);
		if (rc != SQLITE_OK)
			return rc;
	}
	return SQLITE_OK;
}

/* The array of flags as it is published. */
static void published_flags(const struct vs_reading *r, char *buf, size_t cap)
{
	char members[VS_EVENT_TEXT_MAX];
	struct vs_json j = vs_json_into(members, sizeof members);
	vs_reading_json(&j, r);
	const char *flags = NULL;
	for (const char *p = members; (p = strstr(p, "},\"flags\":")); p++)
		flags = p + strlen("},\"flags\":");
	snprintf(buf, cap, "%s", flags ? flags : "[]");
}

static int add_shape(struct vs_scribe *s, const struct vs_event *e, const char *key, int64_t *ret)
{
	const struct vs_reading *r = e->reading;
	char flags[4096], reading_flags[1024], k[4][64];
	sqlite3_stmt *st = s->st[SHAPE_ADD];
	published_flags(r, flags, sizeof flags);
	vs_scribe_text(st, 1, e->device);
	vs_scribe_text(st, 2, key);
	vs_scribe_text(st, 3, flags_text(reading_flags, sizeof reading_flags, r, NULL, r->flags));
	vs_scribe_text(st, 4, flags);
	int place = 0;
	for (unsigned i = 0; i < r->len && place < 4; i++) {
		if (!r->obs[i].has_value)
			continue;
		snprintf(k[place], sizeof k[place], "%s\"%s\":", place ? "," : "", vs_metrics[r->obs[i].metric].name);
		vs_scribe_text(st, 5 + place, k[place]);
		place++;
	}
	int rc = vs_scribe_row(s, SHAPE_ADD, "shape", ret);
	return rc == SQLITE_OK ? add_shape_metrics(s, r, *ret) : rc;
}

void vs_scribe_forget_shapes(struct vs_scribe *s)
{
	for (size_t i = 0; i < sizeof s->shapes / sizeof *s->shapes; i++)
		for (struct vs_scribe_shape *sh; (sh = s->shapes[i]);) {
			s->shapes[i] = sh->next;
			free(sh);
		}
	s->n_shapes = 0;
}

static void remember_shape(struct vs_scribe *s, const uint8_t *key, size_t len, int64_t shape)
{
	if (s->n_shapes == SHAPES_MAX)
		vs_scribe_forget_shapes(s);
	struct vs_scribe_shape *sh = malloc(sizeof *sh + len);
	if (!sh)
		return; /* it will be looked up again */
	struct vs_scribe_shape **at = &s->shapes[vs_scribe_hash(key, len) % (sizeof s->shapes / sizeof *s->shapes)];
	*sh = (struct vs_scribe_shape){ .next = *at, .shape = shape, .len = len };
	memcpy(sh->key, key, len);
	*at = sh;
	s->n_shapes++;
}

int vs_scribe_shape(struct vs_scribe *s, const struct vs_event *e, int64_t *ret)
{
	uint8_t key[SHAPE_KEY_MAX];
	char text[8192];
	size_t len = shape_key(e, key);
	for (struct vs_scribe_shape *sh = len ? s->shapes[vs_scribe_hash(key, len) % (sizeof s->shapes / sizeof *s->shapes)] : NULL; sh;
	     sh = sh->next)
		if (sh->len == len && memcmp(sh->key, key, len) == 0) {
			*ret = sh->shape;
			return SQLITE_OK;
		}
	shape_text(e, text, sizeof text);
	vs_scribe_text(s->st[SHAPE_FIND], 1, text);
	int rc = vs_scribe_number(s->st[SHAPE_FIND], ret);
	if (rc == SQLITE_DONE)
		rc = add_shape(s, e, text, ret);
	else if (rc == SQLITE_ROW)
		rc = SQLITE_OK;
	if (rc == SQLITE_OK && len)
		remember_shape(s, key, len, *ret);
	return rc;
}
