/* The state of the chairs as JSON: one source for the query socket and for vitalsctl. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/chair.h"
#include "daemon/clock.h"

static void put_flags(struct vs_json *j, const struct vs_obs *o, bool stale)
{
	struct vs_reading r = { .len = 0 };
	char text[64];
	vs_json_key(j, "flags");
	vs_json_open(j, '[');
	for (uint64_t set = o->flags & ((UINT64_C(1) << VS_FLAG_OWN_FIRST) - 1); set; set &= set - 1)
		if (vs_obs_flag_text(&r, o, (unsigned)__builtin_ctzll(set), text))
			vs_json_string(j, text);
	if (!o->has_value && !o->flags)
		vs_json_string(j, vs_flag_name(VS_FLAG_NO_VALUE));
	if (stale)
		vs_json_string(j, vs_flag_name(VS_FLAG_STALE));
	vs_json_close(j, ']');
}

/* A signal that is older than the set allows is no value any more; its last number stands beside it, with its time. */
static void put_value(const struct vs_chair *c, enum vs_metric m, struct vs_json *j, uint64_t now_ms)
{
	const struct vs_chair_value *v = &c->values[m];
	const struct vs_validity *validity = &c->engine_config->set->validity;
	bool episodic = vs_metric_is_nibp(m) || m == VS_RPP;
	bool stale = !episodic && validity->stale_ms && now_ms - v->at_ms > validity->stale_ms;
	vs_json_key(j, vs_metrics[m].name);
	vs_json_open(j, '{');
	vs_json_key(j, "value");
	if (!v->obs.has_value || stale)
		vs_json_null(j);
	else if (v->obs.word)
		vs_json_string(j, v->obs.word);
	else
		vs_json_number(j, v->obs.value);
	if (stale && v->obs.has_value && !v->obs.word)
		vs_json_key(j, "last_value"), vs_json_number(j, v->obs.value);
	vs_json_key(j, "unit"), vs_json_string(j, vs_metrics[m].unit);
	vs_json_key(j, "time"), vs_json_time(j, v->wall_ms);
	vs_json_key(j, "age_ms"), vs_json_uint(j, now_ms > v->at_ms ? now_ms - v->at_ms : 0); /* whatever the wall shows */
	vs_json_key(j, "device");
	vs_json_string(j, v->device < c->n_devices ? c->devices[v->device]->config->id : NULL);
	put_flags(j, &v->obs, stale);
	vs_json_close(j, '}');
}

static void put_devices(const struct vs_chair *c, struct vs_json *j)
{
	vs_json_key(j, "devices");
	vs_json_open(j, '[');
	for (unsigned i = 0; i < c->n_devices; i++) {
		const struct vs_chair_device *d = c->devices[i];
		const struct vs_device_counters *n = d->device ? vs_device_counters(d->device) : NULL;
		vs_json_open(j, '{');
		vs_json_key(j, "device"), vs_json_string(j, d->config->id);
		vs_json_key(j, "plugin"), vs_json_string(j, d->config->plugin);
		vs_json_key(j, "status"), vs_json_string(j, vs_device_status_name(d->status));
		vs_json_key(j, "detail"), vs_json_string(j, d->detail);
		if (n) {
			vs_json_key(j, "counters");
			vs_json_open(j, '{');
			vs_json_key(j, "readings"), vs_json_uint(j, n->readings);
			vs_json_key(j, "polls"), vs_json_uint(j, n->polls);
			vs_json_key(j, "late"), vs_json_uint(j, n->late);
			vs_json_key(j, "missed"), vs_json_uint(j, n->missed);
			vs_json_key(j, "timeouts"), vs_json_uint(j, n->timeouts);
			vs_json_key(j, "rejected"), vs_json_uint(j, n->rejected);
			vs_json_key(j, "dropped"), vs_json_uint(j, n->dropped);
			vs_json_key(j, "exceptions"), vs_json_uint(j, n->exceptions);
			vs_json_key(j, "connects"), vs_json_uint(j, n->connects);
			vs_json_close(j, '}');
		}
		vs_json_close(j, '}');
	}
	vs_json_close(j, ']');
}

void vs_chair_alarms(const struct vs_chair *c, struct vs_json *j, bool with_chair)
{
	struct vs_effect e;
	for (unsigned i = 0; vs_engine_next_alarm(&c->watch->engine, &i, &e);) {
		vs_json_open(j, '{');
		if (with_chair)
			vs_json_key(j, "chair"), vs_json_string(j, c->id);
		vs_effect_body(j, &e);
		vs_json_close(j, '}');
	}
}

/* What a screen at the bedside shows beside the values: limits, clocks. */
static void put_bedside(const struct vs_chair *c, struct vs_json *j, uint64_t now_ms)
{
	int64_t paused = vs_engine_audio_paused_until(&c->watch->engine, now_ms, vs_wall_ms());
	vs_json_key(j, "limits_in_force");
	vs_json_open(j, '{');
	vs_engine_limits(&c->watch->engine, j);
	vs_json_close(j, '}');
	vs_json_key(j, "nibp_interval_s"), vs_json_uint(j, vs_engine_nibp_interval_ms(&c->watch->engine) / 1000);
	vs_json_key(j, "audio_paused_until");
	if (paused)
		vs_json_time(j, paused);
	else
		vs_json_null(j);
	vs_json_key(j, "session_state");
	vs_json_open(j, '{');
	vs_session_body(j, &c->watch->session, NULL, (int64_t)now_ms);
	vs_json_close(j, '}');
}

void vs_chair_snapshot(const struct vs_chair *c, struct vs_json *j)
{
	uint64_t now_ms = vs_boottime_ms();
	const struct vs_session *s = &c->watch->session;
	vs_json_open(j, '{');
	vs_json_key(j, "chair"), vs_json_string(j, c->id);
	vs_json_key(j, "phase"), vs_json_string(j, vs_phase_name(s->phase));
	vs_json_key(j, "session"), vs_json_string(j, s->id[0] ? s->id : NULL);
	vs_json_key(j, "limits"), vs_json_string(j, c->limits);
	put_bedside(c, j, now_ms);
	vs_json_key(j, "values");
	vs_json_open(j, '{');
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++)
		if (c->values[m].known)
			put_value(c, m, j, now_ms);
	vs_json_close(j, '}');
	vs_json_key(j, "alarms");
	vs_json_open(j, '[');
	vs_chair_alarms(c, j, false);
	vs_json_close(j, ']');
	put_devices(c, j);
	vs_json_key(j, "last");
	vs_json_open(j, '{');
	for (unsigned k = 0; k < VS_KIND_ALIVE; k++)
		vs_json_key(j, vs_kind_name(k)), vs_json_uint(j, c->seq[k]);
	vs_json_close(j, '}');
	vs_json_close(j, '}');
}

char *vs_daemon_error(const char *format, ...)
{
	char words[512], *text = malloc(1024);
	if (!text)
		return NULL;
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof words, format, args);
	va_end(args);
	struct vs_json j = vs_json_into(text, 1024);
	vs_json_open(&j, '{');
	vs_json_key(&j, "ok"), vs_json_bool(&j, false);
	vs_json_key(&j, "error"), vs_json_string(&j, words);
	vs_json_close(&j, '}');
	return text;
}

static struct vs_json write_snapshot(struct vs_daemon *d, const struct vs_chair *only, char *text, size_t cap)
{
	struct vs_json j = vs_json_into(text, cap);
	vs_json_open(&j, '{');
	vs_json_key(&j, "ok"), vs_json_bool(&j, true);
	vs_json_key(&j, "site"), vs_json_string(&j, d->config->site);
	vs_json_key(&j, "epoch"), vs_json_uint(&j, d->epoch);
	vs_json_key(&j, "time"), vs_json_time(&j, vs_wall_ms());
	vs_json_key(&j, "chairs");
	vs_json_open(&j, '[');
	for (unsigned i = 0; i < d->n_chairs; i++)
		if (!only || only == d->chairs[i])
			vs_chair_snapshot(d->chairs[i], &j);
	vs_json_close(&j, ']');
	vs_json_close(&j, '}');
	return j;
}

char *vs_daemon_snapshot(struct vs_daemon *d, const char *chair)
{
	const struct vs_chair *only = chair ? vs_daemon_chair(d, chair) : NULL;
	if (chair && !only)
		return vs_daemon_error("there is no chair '%s' here", chair);
	for (size_t cap = 16384 + 4096 * (size_t)(only ? 1 : d->n_chairs);; cap *= 2) {
		char *text = malloc(cap);
		if (!text)
			return NULL;
		struct vs_json j = write_snapshot(d, only, text, cap);
		if (!vs_json_failed(&j))
			return text;
		free(text);
	}
}
