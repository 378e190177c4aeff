/* Effects as the JSON bodies of events (contract, section 3). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "alarms/inside.h"

enum vs_kind vs_effect_event_kind(const struct vs_effect *f)
{
	static const enum vs_kind kinds[] = {
		[VS_EFFECT_ALARM] = VS_KIND_ALARM, [VS_EFFECT_REQUEST] = VS_KIND_REQUEST,
		[VS_EFFECT_LIMIT] = VS_KIND_ENTRY, [VS_EFFECT_REFUSED] = VS_KIND_COUNT
	};
	return kinds[f->kind];
}

const char *vs_alarm_id_text(uint64_t number, char *buf)
{
	snprintf(buf, 24, "a-%06llu", (unsigned long long)number);
	return buf;
}

uint64_t vs_alarm_id_parse(const char *text)
{
	uint64_t n = 0;
	if (strncmp(text, "a-", 2) != 0 || strlen(text) > 21) /* 19 digits at most: none overflows */
		return 0;
	for (text += 2; *text; text++) {
		if (*text < '0' || *text > '9')
			return 0;
		n = n * 10 + (uint64_t)(*text - '0');
	}
	return n;
}

static void number_member(struct vs_json *j, const char *key, double v)
{
	vs_json_key(j, key);
	vs_json_number(j, v);
}

static bool is_technical(enum vs_rule_type type)
{
	return type == VS_RULE_SIGNAL_LOSS || type == VS_RULE_DEVICE_OFFLINE || type == VS_RULE_NIBP_OVERDUE ||
		type == VS_RULE_NIBP_FAIL || type == VS_RULE_NIBP_UNCONFIRMED || type == VS_RULE_FAULT;
}

/* What the rule's value is counted in. */
static const char *unit_of(const struct vs_rule *r)
{
	switch (r->type) {
	case VS_RULE_NIBP_OVERDUE:
		return "min";
	case VS_RULE_NIBP_FAIL:
		return "1";
	case VS_RULE_FAULT:
		return r->fault == VS_FAULT_CLOCK ? "s" : NULL;
	default:
		return r->metric < VS_METRIC_COUNT ? vs_metrics[r->metric].unit : NULL;
	}
}

static void metric_member(struct vs_json *j, const struct vs_rule *r)
{
	char both[48];
	const char *name = r->metric < VS_METRIC_COUNT ? vs_metrics[r->metric].name : NULL;
	if (name && r->type == VS_RULE_FALL_AFTER) { /* judged on what fell before it, too */
		snprintf(both, sizeof both, "hr+%s", name);
		name = both;
	}
	vs_json_member(j, "metric", name);
}

static void because_member(struct vs_json *j, const struct vs_because *b)
{
	static const char *const origins[] = { "set", "baseline", "operator" };
	vs_json_key(j, "because");
	vs_json_open(j, '{');
	vs_json_member(j, "limit_from", origins[b->origin]);
	if (!isnan(b->baseline))
		number_member(j, "baseline", b->baseline);
	number_member(j, "waited_s", b->waited_ms / 1000.0);
	if (b->promoted)
		vs_json_key(j, "unconfirmed"), vs_json_bool(j, true);
	vs_json_key(j, "readings");
	vs_json_open(j, '[');
	for (unsigned i = 0; i < b->n_seen; i++) {
		vs_json_open(j, '{');
		number_member(j, "value", b->seen[i]);
		number_member(j, "before_s", b->seen_ms[i] / 1000.0);
		vs_json_close(j, '}');
	}
	vs_json_close(j, ']');
	vs_json_close(j, '}');
}

static void pattern_member(struct vs_json *j, const struct vs_alarm_event *a)
{
	const struct vs_pattern *p = vs_signal_pattern(a->priority);
	bool sounds = a->signal == VS_SIGNAL_ON && a->state != VS_ALARM_CLEARED;
	vs_json_key(j, "pattern");
	vs_json_open(j, '{');
	vs_json_member(j, "mark", p->mark);
	vs_json_member(j, "colour", p->colour);
	number_member(j, "flash_hz", p->flash_hz);
	number_member(j, "duty", p->duty);
	vs_json_key(j, "pulses"), vs_json_uint(j, sounds ? p->pulses : 0);
	number_member(j, "burst_gap_s", p->burst_gap_s);
	vs_json_close(j, '}');
}

static void alarm_body(struct vs_json *j, const struct vs_alarm_event *a)
{
	char id[24];
	const struct vs_rule *r = a->rule;
	vs_json_member(j, "alarm", vs_alarm_id_text(a->number, id));
	vs_json_member(j, "rule", r->id);
	vs_json_member(j, "class", is_technical(r->type) ? "technical" : "physiological");
	metric_member(j, r);
	vs_json_member(j, "device", a->device);
	vs_json_member(j, "priority", vs_priority_name(a->priority));
	vs_json_member(j, "change", vs_change_name(a->change));
	vs_json_member(j, "state", vs_alarm_state_name(a->state));
	vs_json_member(j, "signal", vs_signal_name(a->signal));
	number_member(j, "value", a->value);
	number_member(j, "limit", a->limit);
	vs_json_member(j, "unit", unit_of(r));
	vs_json_member(j, "direction", is_technical(r->type) ? "none" : vs_when_direction(r->when));
	vs_json_key(j, "onset"), vs_json_time(j, a->onset_wall_ms);
	if (a->by[0])
		vs_json_member(j, "by", a->by);
	vs_json_member(j, "text", a->text);
	if (r->advice[0])
		vs_json_member(j, "advice", r->advice);
	if (a->paused_until_wall_ms)
		vs_json_key(j, "paused_until"), vs_json_time(j, a->paused_until_wall_ms);
	pattern_member(j, a);
	if (a->change == VS_CHANGE_RAISED || a->change == VS_CHANGE_SUPERSEDED)
		because_member(j, &a->because);
}

static void request_body(struct vs_json *j, const struct vs_request_event *q)
{
	char id[24];
	vs_json_member(j, "request", q->request);
	vs_json_member(j, "reason", q->reason);
	vs_json_key(j, "due"), vs_json_time(j, q->due_wall_ms);
	if (q->rule)
		vs_json_member(j, "rule", q->rule);
	if (q->interval_ms)
		number_member(j, "interval_s", q->interval_ms / 1000.0);
	if (q->alarm)
		vs_json_member(j, "alarm", vs_alarm_id_text(q->alarm, id));
}

static void limit_body(struct vs_json *j, const struct vs_limit_event *l)
{
	vs_json_member(j, "entry", "limit-change");
	number_member(j, "value", l->now);
	vs_json_member(j, "unit", unit_of(l->rule));
	vs_json_member(j, "note", l->reason);
	vs_json_member(j, "operator", l->by);
	vs_json_member(j, "rule", l->rule->id);
	number_member(j, "old", l->old);
	if (l->is_set_s)
		vs_json_key(j, "from_set"), vs_json_bool(j, true);
}

void vs_effect_body(struct vs_json *j, const struct vs_effect *f)
{
	switch (f->kind) {
	case VS_EFFECT_ALARM:
		alarm_body(j, &f->u.alarm);
		break;
	case VS_EFFECT_REQUEST:
		request_body(j, &f->u.request);
		break;
	case VS_EFFECT_LIMIT:
		limit_body(j, &f->u.limit);
		break;
	case VS_EFFECT_REFUSED:
		vs_json_member(j, "text", f->u.refused);
		break;
	}
}

/* ---- why --------------------------------------------------------------------------------------------------------- */

int vs_engine_explain(const struct vs_engine *e, uint64_t alarm, struct vs_json *j)
{
	struct vs_effect f = { .at_ms = e->now_ms, .wall_ms = e->wall_ms };
	uint8_t places[VS_ENGINE_ALARMS];
	unsigned n = vs_standing_places(e, places);
	for (unsigned i = 0; i < n; i++) {
		const struct vs_standing *a = &e->rules[places[i]].alarm;
		if (a->number != alarm)
			continue;
		vs_standing_effect(e, a, &f);
		alarm_body(j, &f.u.alarm);
		if (f.u.alarm.change != VS_CHANGE_RAISED && f.u.alarm.change != VS_CHANGE_SUPERSEDED)
			because_member(j, &a->because);
		vs_json_member(j, "life", vs_life_name(a->life));
		number_member(j, "stands_for_s", (double)(e->now_ms - a->raised_ms) / 1000.0);
		vs_json_member(j, "set", e->set->name);
		vs_json_member(j, "set_version", e->set->version);
		return 0;
	}
	return -ENOENT;
}

/* The value a rule looks at now; NAN: there is none. */
static double looked_at(const struct vs_engine *e, const struct vs_rule *r, uint64_t at_ms)
{
	enum vs_channel ch = vs_channel_of(e, r->metric);
	if (ch < VS_CH_COUNT)
		return vs_median_now(e, ch, at_ms);
	return e->n_cuffs ? vs_cuff_value(&e->cuffs[e->n_cuffs - 1], r->metric) : NAN;
}

/* One word for what holds a rule back, or that nothing does. */
static const char *held_by(const struct vs_engine *e, unsigned i, double value)
{
	const struct vs_rule *r = &e->set->rules[i];
	const struct vs_rule_state *rs = &e->rules[i];
	if (!r->enabled)
		return "switched off";
	if (!vs_rule_watches(e, r))
		return "phase";
	if (rs->holds)
		return "alarm";
	if (r->type != VS_RULE_THRESHOLD && r->type != VS_RULE_DROP && r->type != VS_RULE_TREND)
		return "not there";
	if (isnan(rs->limit) && r->type != VS_RULE_DROP)
		return "no baseline";
	if (isnan(value))
		return "no value";
	if (rs->since_ms && r->type != VS_RULE_TREND)
		return vs_channel_of(e, r->metric) < VS_CH_COUNT ? "delay" : "confirmation";
	if (e->has_suspect && vs_metric_is_nibp(r->metric))
		return "suspect reading";
	return "inside the limit";
}

static void why_rule(const struct vs_engine *e, unsigned i, uint64_t at_ms, struct vs_json *j)
{
	const struct vs_rule *r = &e->set->rules[i];
	const struct vs_rule_state *rs = &e->rules[i];
	double value = looked_at(e, r, at_ms);
	vs_json_open(j, '{');
	vs_json_member(j, "rule", r->id);
	vs_json_member(j, "held_by", held_by(e, i, value));
	if (!isnan(value))
		number_member(j, "value", value);
	if (!isnan(rs->limit))
		number_member(j, "limit", rs->limit);
	if (!isnan(value) && !isnan(rs->limit))
		number_member(j, "distance", vs_when_direction(r->when)[0] == 'l' || r->when == VS_WHEN_FALLING ?
			value - rs->limit : rs->limit - value);
	if (rs->since_ms && !rs->holds && r->on_delay_ms) {
		number_member(j, "waited_s", (double)(at_ms - rs->since_ms - rs->frozen_ms) / 1000.0);
		number_member(j, "delay_s", r->on_delay_ms / 1000.0);
	}
	if (rs->count && r->confirm > 1) {
		vs_json_key(j, "readings"), vs_json_uint(j, rs->count);
		vs_json_key(j, "confirm"), vs_json_uint(j, r->confirm);
	}
	if (!isnan(rs->own))
		vs_json_member(j, "limit_from", "operator");
	const struct vs_standing *a = &rs->alarm;
	if (a->number) {
		char id[24];
		vs_json_member(j, "alarm", vs_alarm_id_text(a->number, id));
		vs_json_member(j, "life", vs_life_name(a->life));
		if (a->by[0])
			vs_json_member(j, "by", a->by);
	}
	vs_json_close(j, '}');
}

/* Whoever paused the audio, as the alarms know it that are silent because of it; NULL where there is none. */
static const char *paused_by(const struct vs_engine *e)
{
	uint8_t places[VS_ENGINE_ALARMS];
	unsigned n = vs_standing_places(e, places);
	for (unsigned i = 0; i < n; i++) {
		const struct vs_standing *a = &e->rules[places[i]].alarm;
		if ((a->life == VS_LIFE_PAUSED || a->life == VS_LIFE_LATCHED_PAUSED) && a->by[0])
			return a->by;
	}
	return NULL;
}

void vs_engine_why(const struct vs_engine *e, uint64_t at_ms, int64_t wall_ms, struct vs_json *j)
{
	vs_json_member(j, "set", e->set->name);
	vs_json_member(j, "set_version", e->set->version);
	vs_json_member(j, "phase", vs_phase_name(e->phase));
	if (e->paused_ms > at_ms) {
		vs_json_key(j, "audio_paused_until"), vs_json_time(j, wall_ms + (int64_t)(e->paused_ms - at_ms));
		const char *by = paused_by(e);
		if (by)
			vs_json_member(j, "audio_paused_by", by);
	}
	if (e->has_suspect) {
		vs_json_key(j, "suspect");
		vs_json_open(j, '{');
		number_member(j, "nibp_sys", e->suspect.sys);
		number_member(j, "nibp_dia", e->suspect.dia);
		number_member(j, "age_s", (double)(at_ms - e->suspect.at_ms) / 1000.0);
		vs_json_close(j, '}');
	}
	vs_json_key(j, "rules");
	vs_json_open(j, '[');
	for (unsigned i = 0; i < e->set->n_rules; i++)
		why_rule(e, i, at_ms, j);
	vs_json_close(j, ']');
}

/* The limit that a value meets first on its way up, and on its way down. */
static void nearest_limits(const struct vs_engine *e, enum vs_metric m, double *high, double *low)
{
	*high = *low = NAN;
	for (unsigned i = 0; i < e->set->n_rules; i++) {
		const struct vs_rule *r = &e->set->rules[i];
		double limit = e->rules[i].limit;
		if (r->metric != m || r->type != VS_RULE_THRESHOLD || r->log_only || isnan(limit) || !r->enabled ||
		    !vs_rule_watches(e, r))
			continue;
		if (vs_when_direction(r->when)[0] == 'l')
			*low = isnan(*low) || limit > *low ? limit : *low;
		else
			*high = isnan(*high) || limit < *high ? limit : *high;
	}
}

void vs_engine_limits(const struct vs_engine *e, struct vs_json *j)
{
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++) {
		double high, low;
		nearest_limits(e, m, &high, &low);
		if (isnan(high) && isnan(low))
			continue;
		vs_json_key(j, vs_metrics[m].name);
		vs_json_open(j, '{');
		if (!isnan(low))
			number_member(j, "low", low);
		if (!isnan(high))
			number_member(j, "high", high);
		vs_json_close(j, '}');
	}
}

int64_t vs_engine_audio_paused_until(const struct vs_engine *e, uint64_t at_ms, int64_t wall_ms)
{
	return e->paused_ms > at_ms ? wall_ms + (int64_t)(e->paused_ms - at_ms) : 0;
}
