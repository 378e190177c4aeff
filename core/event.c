#include "core/event.h"

#include <stdio.h>
#include <string.h>

static const char *const kinds[VS_KIND_COUNT] = {
	[VS_KIND_VITALS] = "vitals",   [VS_KIND_ALARM] = "alarm", [VS_KIND_SESSION] = "session",
	[VS_KIND_ENTRY] = "entry",     [VS_KIND_DEVICE] = "device", [VS_KIND_REQUEST] = "request",
	[VS_KIND_SEAL] = "seal",       [VS_KIND_ALIVE] = "alive",
};

const char *vs_kind_name(enum vs_kind k)
{
	return (unsigned)k < VS_KIND_COUNT ? kinds[k] : NULL;
}

enum vs_kind vs_kind_by_name(const char *name)
{
	for (unsigned k = 0; k < VS_KIND_COUNT; k++)
		if (strcmp(kinds[k], name) == 0)
			return k;
	return VS_KIND_COUNT;
}

static const char *flag_name(const struct vs_reading *r, unsigned flag)
{
	if (flag < VS_FLAG_OWN_FIRST)
		return vs_flag_name(flag);
	return r->own_flags ? r->own_flags[flag - VS_FLAG_OWN_FIRST] : NULL;
}

const char *vs_obs_flag_text(const struct vs_reading *r, const struct vs_obs *o, unsigned flag, char *buf)
{
	const char *name = flag_name(r, flag);
	if (!name)
		return NULL;
	if (flag == VS_FLAG_DEVICE_ERROR && o && o->device_error)
		snprintf(buf, 64, "%s:%u", name, o->device_error);
	else
		snprintf(buf, 64, "%.63s", name);
	return buf;
}

/* Flags that stand without a metric: those of the reading, and those that every value carries. */
static uint64_t common_flags(const struct vs_reading *r)
{
	uint64_t common = UINT64_MAX;
	bool any = false;
	for (unsigned i = 0; i < r->len; i++) {
		if (!r->obs[i].has_value)
			continue;
		common &= r->obs[i].flags;
		any = true;
	}
	common &= ~VS_FLAG(DEVICE_ERROR); /* its number belongs to one metric */
	return (any ? common : 0) | r->flags;
}

static void put_flag(struct vs_json *j, const struct vs_reading *r, const struct vs_obs *o, unsigned flag)
{
	char name[64], text[128];
	if (!vs_obs_flag_text(r, o, flag, name))
		return;
	if (!o) {
		vs_json_string(j, name);
		return;
	}
	int n = snprintf(text, sizeof text, "%s:%s", vs_metrics[o->metric].name, name);
	vs_json_string_n(j, text, (size_t)n);
}

static void put_flags(struct vs_json *j, const struct vs_reading *r, const struct vs_obs *o, uint64_t set)
{
	for (; set; set &= set - 1)
		put_flag(j, r, o, (unsigned)__builtin_ctzll(set));
}

void vs_reading_json(struct vs_json *j, const struct vs_reading *r)
{
	vs_json_key(j, "values");
	vs_json_open(j, '{');
	for (unsigned i = 0; i < r->len; i++) {
		const struct vs_obs *o = &r->obs[i];
		if (!o->has_value)
			continue;
		vs_json_key(j, vs_metrics[o->metric].name);
		if (o->word)
			vs_json_string(j, o->word);
		else
			vs_json_number(j, o->value);
	}
	vs_json_close(j, '}');
	vs_json_key(j, "flags");
	vs_json_open(j, '[');
	uint64_t common = common_flags(r);
	put_flags(j, r, NULL, common);
	for (unsigned i = 0; i < r->len; i++) {
		const struct vs_obs *o = &r->obs[i];
		if (o->has_value)
			put_flags(j, r, o, o->flags & ~common);
		else
			put_flags(j, r, o, o->flags ? o->flags : VS_FLAG(NO_VALUE));
	}
	vs_json_close(j, ']');
}

static void put_envelope(struct vs_json *j, const struct vs_event *e)
{
	vs_json_key(j, "v"), vs_json_int(j, 1);
	vs_json_key(j, "site"), vs_json_string(j, e->site);
	vs_json_key(j, "chair"), vs_json_string(j, e->chair);
	vs_json_key(j, "kind"), vs_json_string(j, kinds[e->kind]);
	vs_json_key(j, "epoch"), vs_json_uint(j, e->epoch);
	vs_json_key(j, "seq"), vs_json_uint(j, e->seq);
	vs_json_key(j, "time"), vs_json_time(j, e->wall_ms);
	vs_json_key(j, "session"), vs_json_string(j, e->session);
}

size_t vs_event_json(const struct vs_event *e, char *buf, size_t cap)
{
	struct vs_json j = vs_json_into(buf, cap);
	vs_json_open(&j, '{');
	put_envelope(&j, e);
	if (e->kind == VS_KIND_VITALS) {
		vs_json_key(&j, "device"), vs_json_string(&j, e->device);
		vs_reading_json(&j, e->reading);
	} else {
		vs_json_raw(&j, e->body, e->body_len);
	}
	vs_json_close(&j, '}');
	return vs_json_failed(&j) ? 0 : j.len;
}

size_t vs_event_message(const struct vs_event *e, char *buf, size_t cap)
{
	int topic = snprintf(buf, cap, "%s/%s ", kinds[e->kind], e->chair);
	if (topic < 0 || (size_t)topic >= cap)
		return 0;
	size_t json = vs_event_json(e, buf + topic, cap - (size_t)topic);
	return json ? (size_t)topic + json : 0;
}
