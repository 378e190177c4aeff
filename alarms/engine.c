/* The door of the engine: due times in order, then the stimulus. */
#include "alarms/engine.h"

#include <stddef.h>
#include <string.h>

#include "alarms/gates.h"
#include "alarms/inside.h"

/* ---- the baseline and the limits that follow from it ------------------------------------------------------------- */

static double baseline_of(const struct vs_engine *e, enum vs_metric m)
{
	for (unsigned i = 0; i < e->baseline.len; i++)
		if (e->baseline.at[i].metric == m)
			return e->baseline.at[i].value;
	return NAN;
}

double vs_engine_baseline(const struct vs_engine *e, enum vs_metric m)
{
	static const enum vs_metric rates[] = { VS_HR, VS_PR, VS_NIBP_PR };
	double b = baseline_of(e, m);
	bool rate = m == VS_HR || m == VS_PR || m == VS_NIBP_PR;
	for (unsigned i = 0; i < 3 && rate && isnan(b); i++)
		b = baseline_of(e, rates[i]);
	return b;
}

/* A rule as it is judged now: its own limit, or that of its level for a trend. */
static double limit_in_force(const struct vs_engine *e, const struct vs_rule *r, double own)
{
	double baseline = r->metric < VS_METRIC_COUNT ? vs_engine_baseline(e, r->metric) : NAN;
	if (!isnan(own))
		return own;
	if (r->type != VS_RULE_TREND)
		return vs_rule_limit(r, baseline, &e->set->bounds);
	struct vs_rule level = vs_rule_blank();
	level.type = VS_RULE_TREND;
	level.when = r->when;
	level.limit = r->trend.level;
	return vs_rule_limit(&level, baseline, &e->set->bounds);
}

void vs_limits_work_out(struct vs_engine *e)
{
	for (unsigned i = 0; i < e->set->n_rules; i++)
		if (e->set->rules[i].type == VS_RULE_THRESHOLD || e->set->rules[i].type == VS_RULE_TREND)
			e->rules[i].limit = limit_in_force(e, &e->set->rules[i], e->rules[i].own);
}

void vs_watch_work_out(struct vs_engine *e)
{
	memset(&e->watch, 0, sizeof e->watch);
	for (unsigned i = 0; i < e->set->n_rules; i++) {
		const struct vs_rule *r = &e->set->rules[i];
		uint64_t bit = UINT64_C(1) << i;
		bool signal = r->metric == VS_HR || vs_channel_of(e, r->metric) < VS_CH_COUNT;
		if (!vs_rule_watches(e, r))
			continue;
		if (r->type == VS_RULE_DROP || (r->type == VS_RULE_THRESHOLD && signal))
			e->watch.signal |= bit;
		if (r->type == VS_RULE_THRESHOLD && r->confirm > 1)
			e->watch.promote |= bit;
		if (r->type == VS_RULE_TREND)
			e->watch.trend |= bit;
		if (r->type == VS_RULE_DRIFT)
			e->watch.drift |= bit;
		if (r->type == VS_RULE_SIGNAL_LOSS || r->type == VS_RULE_NIBP_OVERDUE || r->type == VS_RULE_NIBP_FAIL ||
		    r->type == VS_RULE_FAULT)
			e->watch.technical |= bit;
		if (r->type == VS_RULE_DEVICE_OFFLINE && !e->watch.offline)
			e->watch.offline = bit;
	}
}

static void ask_for_blocks(struct vs_engine *e)
{
	static const enum vs_metric metric[VS_CH_COUNT] = { VS_HR, VS_PR, VS_SPO2, VS_RR, VS_TEMP, VS_PI };
	for (unsigned ch = 0; ch < VS_CH_COUNT; ch++) {
		struct vs_track *tr = &e->track[ch];
		tr->block_ms = 0;
		for (unsigned i = 0; i < e->set->n_rules; i++) {
			const struct vs_rule *r = &e->set->rules[i];
			bool mine = r->metric == metric[ch] || (ch == VS_CH_PR && r->metric == VS_HR);
			uint32_t ms = r->type == VS_RULE_TREND ? r->trend.block_ms : r->type == VS_RULE_DRIFT ? r->drift.block_ms : 0;
			if (!mine || !ms || tr->block_ms || !r->enabled)
				continue;
			tr->block_ms = ms;
			unsigned least = r->type == VS_RULE_TREND ? r->trend.block_min : r->drift.block_min;
			tr->block_min = least > VS_SAMPLES ? VS_SAMPLES + 1 : least & 0x7f; /* never so many */
			tr->block = e->now_ms / ms;
		}
	}
}

static void forget_drifts(struct vs_engine *e)
{
	for (unsigned i = 0; i < VS_DRIFTS; i++)
		e->drifts[i].mean = NAN;
}

/* A device that is new to the engine: heard now, no cuff value known. */
static void meet(struct vs_rule_state *place, uint64_t at)
{
	vs_rule_state_blank(place);
	place->heard = (struct vs_heard){ .heard_ms = at, .last = { NAN, NAN, NAN, NAN } };
}

void vs_rule_state_blank(struct vs_rule_state *rs)
{
	*rs = (struct vs_rule_state){ .limit = NAN, .own = NAN };
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

static uint64_t rule_due(const struct vs_engine *e, unsigned i)
{
	const struct vs_rule *r = &e->set->rules[i];
	switch (r->type) {
	case VS_RULE_THRESHOLD:
		return e->rules[i].since_ms || e->rules[i].safe_ms ?
			vs_sooner(vs_signals_due(e, i), vs_cuff_due(e, i)) : UINT64_MAX;
	case VS_RULE_DROP:
		return vs_signals_due(e, i);
	case VS_RULE_SIGNAL_LOSS:
	case VS_RULE_NIBP_OVERDUE:
	case VS_RULE_FAULT:
		return vs_technical_due(e, i);
	default:
		return UINT64_MAX;
	}
}

/* The sooner of the two; what is not in the future was dealt with, and must not hide what comes. */
static uint64_t sooner_still(const struct vs_engine *e, uint64_t due, uint64_t other)
{
	return other > e->now_ms && other < due ? other : due;
}

/* When something follows although nothing happens. */
static uint64_t next_due(const struct vs_engine *e)
{
	uint64_t due = sooner_still(e, UINT64_MAX, vs_alarms_due(e));
	due = sooner_still(e, due, vs_suspect_due(e));
	due = sooner_still(e, due, vs_devices_due(e));
	due = sooner_still(e, due, e->paused_ms);
	for (uint64_t left = e->watch.signal | e->watch.promote | e->watch.technical; left; left &= left - 1)
		due = sooner_still(e, due, rule_due(e, vs_first(left)));
	return due;
}

static unsigned places(const struct vs_engine_config *config)
{
	return config->set->n_rules + vs_devices(config);
}

size_t vs_engine_size(const struct vs_engine_config *config)
{
	return offsetof(struct vs_engine, rules) + places(config) * sizeof(struct vs_rule_state);
}

void vs_engine_copy(struct vs_engine *to, const struct vs_engine *e)
{
	memcpy(to, e, vs_engine_size(e->config));
}

void vs_engine_init(struct vs_engine *e, const struct vs_engine_config *config, uint64_t at_ms)
{
	memset(e, 0, vs_engine_size(config));
	e->config = config;
	e->set = config->set;
	e->now_ms = at_ms;
	vs_signals_forget(e);
	forget_drifts(e);
	for (unsigned i = 0; i < places(config); i++)
		vs_rule_state_blank(&e->rules[i]);
	for (unsigned d = 0; d < vs_devices(config); d++)
		meet(&e->rules[vs_silence_place(e, d)], at_ms);
	vs_limits_work_out(e);
	vs_watch_work_out(e);
	ask_for_blocks(e);
	e->wake_ms = next_due(e);
}

/* Everything that is judged at one instant: limits, then trends, then what time does to alarms.  Signals are looked at
 * when a device reports and when something is due, and at no other time: who calls in between must not matter. */
static void judge(struct vs_turn *t, const struct vs_stimulus *reading, bool due)
{
	if (reading || due)
		vs_signals_judge(t);
	if (reading)
		vs_cuff_reading(t, reading);
	vs_cuff_time(t);
	vs_trend_ends(t);
	if (reading || due)
		vs_trend_signals(t);
	vs_cuff_interval(t);
	vs_technical_time(t);
	vs_settle(t);
	vs_alarms_time(t);
	vs_settle(t);
}

static struct vs_turn turn_at(struct vs_engine *e, struct vs_effects *out, uint64_t at, int64_t wall)
{
	e->now_ms = at;
	e->wall_ms = wall;
	return (struct vs_turn){ .e = e, .out = out, .at = at, .wall = wall };
}

/* Due times before `until`, each at its own time.  After a jump of days the rest is worked out at once. */
static void catch_up(struct vs_engine *e, struct vs_effects *out, uint64_t until, int64_t wall)
{
	for (unsigned n = 0; e->wake_ms < until && n < 512 && out->len < VS_ENGINE_ALARMS; n++) {
		struct vs_turn t = turn_at(e, out, e->wake_ms, wall - (int64_t)(until - e->wake_ms));
		judge(&t, NULL, true);
		e->wake_ms = next_due(e);
	}
}

/* ---- readings ---------------------------------------------------------------------------------------------------- */

static const enum vs_metric signal_metrics[VS_CH_COUNT] = { VS_HR, VS_PR, VS_SPO2, VS_RR, VS_TEMP, VS_PI };

static void take_signals(struct vs_turn *t, const struct vs_stimulus *s)
{
	const struct vs_validity *v = &t->e->set->validity;
	for (unsigned i = 0; i < s->reading->len && i < VS_READING_MAX; i++) {
		const struct vs_obs *o = &s->reading->obs[i];
		if (!o->has_value || !isfinite(o->value))
			continue;
		for (unsigned ch = 0; ch < VS_CH_COUNT; ch++) {
			if (signal_metrics[ch] != o->metric)
				continue;
			bool out_of_range = o->value < v->range[o->metric].low || o->value > v->range[o->metric].high;
			t->out->quality[i] = out_of_range ? VS_Q_REJECTED : VS_Q_VALID;
			if (!out_of_range)
				vs_sample(t, ch, o->value, s->device);
		}
	}
}

/* ---- the session ------------------------------------------------------------------------------------------------- */

static void stop_watching(struct vs_turn *t, unsigned i)
{
	struct vs_engine *e = t->e;
	for (unsigned d = 0; d < vs_devices(e->config); d++) /* where another rule watches devices, theirs stay */
		if (vs_device_silent(e, d) && e->rules[vs_silence_place(e, d)].alarm.rule == i)
			vs_offline_rank(t, i, d, VS_PRIORITY_NONE);
	if (e->rules[i].holds)
		vs_finish(t, i);
	e->rules[i].since_ms = e->rules[i].safe_ms = 0;
	e->rules[i].count = 0;
}

static void new_patient(struct vs_engine *e)
{
	vs_signals_forget(e);
	forget_drifts(e);
	e->baseline.len = 0;
	e->own_interval_ms = 0;
	e->n_cuffs = 0;
	e->has_suspect = e->cuff_seen = false;
	e->fails = 0;
	e->infusion_ms = 0;
	for (unsigned i = 0; i < e->set->n_rules; i++) {
		e->rules[i].own = NAN;
		e->rules[i].raised_ms = 0;
		if (e->set->rules[i].log_only) /* what was noted of the last patient is no news of this one */
			e->rules[i].holds = false;
		if (!e->rules[i].holds) { /* what the last patient began is not for this one to confirm */
			e->rules[i].since_ms = e->rules[i].safe_ms = 0;
			e->rules[i].count = 0;
		}
	}
	vs_limits_work_out(e);
}

static void set_phase(struct vs_turn *t, enum vs_phase phase)
{
	struct vs_engine *e = t->e;
	if (phase >= VS_PHASE_COUNT || phase == e->phase)
		return;
	bool other = phase == VS_PHASE_SCREENING || (phase == VS_PHASE_NONE && e->phase != VS_PHASE_NONE);
	bool was_running = e->phase == VS_PHASE_INFUSION || e->phase == VS_PHASE_PAUSED;
	e->phase = (uint8_t)phase;
	e->phase_ms = t->at;
	e->own_interval_ms = 0;
	t->out->durable = true;
	vs_watch_work_out(e);
	for (unsigned i = 0; i < e->set->n_rules; i++)
		if (!vs_rule_watches(e, &e->set->rules[i]))
			stop_watching(t, i);
	if (other)
		new_patient(e);
	if (phase == VS_PHASE_INFUSION && !was_running)
		e->infusion_ms = t->at ? t->at : 1;
}

static void set_baseline(struct vs_turn *t, const struct vs_baseline *b)
{
	struct vs_engine *e = t->e;
	e->baseline.len = 0;
	for (unsigned i = 0; b && i < b->len && i < VS_BASELINE_MAX; i++)
		if (b->at[i].metric < VS_METRIC_COUNT && isfinite(b->at[i].value))
			e->baseline.at[e->baseline.len++] = b->at[i];
	vs_limits_work_out(e);
	forget_drifts(e);
	t->out->durable = true;
}

static void set_interval(struct vs_turn *t, uint32_t ms)
{
	const struct vs_cadence *c = &t->e->set->cadence;
	if (ms && ((c->nibp_least_ms && ms < c->nibp_least_ms) || (c->nibp_most_ms && ms > c->nibp_most_ms))) {
		vs_refuse(t, "a cuff interval is %u to %u min", c->nibp_least_ms / 60000, c->nibp_most_ms / 60000);
		return;
	}
	t->e->own_interval_ms = ms;
	t->out->durable = true;
}

static void copy_text(char *to, size_t cap, const char *from)
{
	size_t len = strnlen(from, cap - 1);
	while (len && ((unsigned char)from[len] & 0xc0) == 0x80)
		len--;
	memcpy(to, from, len);
	to[len] = '\0';
}

/* Why this limit may not be set; NULL: it may. */
static const char *limit_refused(const struct vs_engine *e, const struct vs_rule *r, const struct vs_stimulus *s)
{
	if (r->type != VS_RULE_THRESHOLD)
		return "its limit cannot be changed for one patient";
	if (!s->operator || !s->operator[0] || !s->reason || !s->reason[0])
		return "who changes it and why must be said";
	if (isnan(s->value))
		return NULL;
	bool upper = r->when == VS_WHEN_GE || r->when == VS_WHEN_GT;
	if (!isfinite(s->value))
		return "the limit must be a number";
	if (r->metric < VS_METRIC_COUNT && ((upper && s->value > e->set->bounds.at[r->metric].high) ||
	    (!upper && s->value < e->set->bounds.at[r->metric].low)))
		return "it would be looser than the outer bound";
	return NULL;
}

static void change_limit(struct vs_turn *t, const struct vs_stimulus *s)
{
	struct vs_engine *e = t->e;
	const struct vs_rule *r = s->rule ? vs_rule_find(e->set, s->rule) : NULL;
	if (!r) {
		vs_refuse(t, "there is no rule %s in %s", s->rule ? s->rule : "", e->set->name);
		return;
	}
	const char *why = limit_refused(e, r, s);
	if (why) {
		vs_refuse(t, "limit of %s is not changed: %s", r->id, why);
		return;
	}
	struct vs_rule_state *rs = &e->rules[r - e->set->rules];
	struct vs_effect *f = vs_effect_new(t, VS_EFFECT_LIMIT);
	double old = rs->limit;
	rs->own = s->value;
	rs->limit = limit_in_force(e, r, rs->own);
	t->out->durable = true;
	if (!f)
		return;
	f->u.limit.rule = r;
	f->u.limit.old = old;
	f->u.limit.now = rs->limit;
	f->u.limit.is_set_s = isnan(s->value);
	copy_text(f->u.limit.by, sizeof f->u.limit.by, s->operator);
	copy_text(f->u.limit.reason, sizeof f->u.limit.reason, s->reason);
}

static void cuff_event(struct vs_turn *t, const struct vs_stimulus *s)
{
	struct vs_engine *e = t->e;
	if (e->inflating_ms)
		e->deflated_ms = t->at;
	e->inflating_ms = s->failed ? 0 : t->at ? t->at : 1;
	if (s->failed)
		vs_cuff_failed(t, "the monitor reports an error");
}

static void set_fault(struct vs_turn *t, const struct vs_stimulus *s)
{
	struct vs_engine *e = t->e;
	if (s->fault >= VS_FAULT_COUNT)
		return;
	bool was = e->faults[s->fault].since_ms != 0;
	t->out->durable = true;
	if (!s->on)
		e->faults[s->fault].since_ms = 0;
	else if (!was || s->fault == VS_FAULT_CLOCK)
		e->faults[s->fault].since_ms = t->at ? t->at : 1;
	e->faults[s->fault].value = s->fault == VS_FAULT_CLOCK ? s->value : NAN;
}

/* ---- the door ---------------------------------------------------------------------------------------------------- */

static void heard(struct vs_turn *t, unsigned device)
{
	t->e->rules[vs_silence_place(t->e, device)].heard.heard_ms = t->at;
}

static bool known_device(struct vs_turn *t, unsigned device)
{
	if (device < vs_devices(t->e->config))
		return true;
	vs_refuse(t, "this chair has no device number %u", device);
	return false;
}

/* What must happen before the instant is judged.  True: it holds a reading. */
static bool apply(struct vs_turn *t, const struct vs_stimulus *s)
{
	switch (s->kind) {
	case VS_ST_READING:
		if (!s->reading || !known_device(t, s->device))
			return false;
		heard(t, s->device);
		take_signals(t, s);
		return true;
	case VS_ST_ALIVE:
		if (known_device(t, s->device))
			heard(t, s->device);
		break;
	case VS_ST_PHASE:
		set_phase(t, s->phase);
		break;
	case VS_ST_BASELINE:
		set_baseline(t, s->baseline);
		break;
	case VS_ST_INTERVAL:
		set_interval(t, s->for_ms);
		break;
	case VS_ST_SCORE:
		if (s->metric < VS_METRIC_COUNT && isfinite(s->value))
			vs_value_judge(t, s->metric, s->value, t->at, VS_DEVICE_NONE);
		break;
	case VS_ST_MOVED:
		vs_trend_reset(t->e, s->probe_moved, s->cuff_moved, t->at);
		break;
	case VS_ST_CUFF:
		cuff_event(t, s);
		break;
	case VS_ST_LIMIT:
		change_limit(t, s);
		break;
	case VS_ST_FAULT:
		set_fault(t, s);
		break;
	case VS_ST_ACK:
	case VS_ST_PAUSE:
	case VS_ST_RESUME:
		vs_alarms_command(t, s);
		break;
	default:
		break;
	}
	return false;
}

static void empty(struct vs_effects *out)
{
	out->len = out->lost = 0;
	out->durable = false;
	out->rpp = NAN;
	memset(out->quality, VS_Q_UNJUDGED, sizeof out->quality);
}

void vs_engine_step(struct vs_engine *e, const struct vs_stimulus *s, struct vs_effects *out)
{
	empty(out);
	uint64_t at = s->at_ms > e->now_ms ? s->at_ms : e->now_ms;
	catch_up(e, out, at, s->wall_ms);
	struct vs_turn t = turn_at(e, out, at, s->wall_ms);
	t.by = s->operator && s->operator[0] ? s->operator : NULL;
	if (s->at_ms < at && at - s->at_ms > 1000)
		vs_refuse(&t, "time went back by %llu ms: taken as now", (unsigned long long)(at - s->at_ms));
	bool due = e->wake_ms <= at, reading = apply(&t, s);
	t.by = NULL;
	judge(&t, reading ? s : NULL, due);
	e->wake_ms = next_due(e);
	out->wake_at_ms = e->wake_ms;
}

static bool same_rule(const struct vs_rule *a, const struct vs_rule *b)
{
	return strcmp(a->id, b->id) == 0 && a->type == b->type && a->metric == b->metric;
}

/* Where a device of the old configuration is in the new one. */
static unsigned device_now(const struct vs_engine_config *old, const struct vs_engine_config *now, unsigned d)
{
	if (d >= old->n_devices)
		return VS_DEVICE_NONE;
	for (unsigned i = 0; i < now->n_devices && i < VS_ENGINE_DEVICES; i++)
		if (strcmp(old->devices[d].id, now->devices[i].id) == 0)
			return i;
	return VS_DEVICE_NONE;
}

static void end_all_of(struct vs_turn *t, unsigned i)
{
	stop_watching(t, i);
	struct vs_standing *a = vs_standing_of(t->e, i);
	if (a) /* latched: its rule is gone, so nothing could ever end it */
		vs_drop(t, a);
}

/* What is known of rules and devices, to their places in the new configuration; the alarms of those that are gone have
 * ended. */
static void move_places(struct vs_engine *e, const struct vs_engine_config *to, uint64_t at)
{
	struct vs_rule_state moved[VS_ENGINE_ALARMS];
	for (unsigned k = 0; k < to->set->n_rules; k++)
		vs_rule_state_blank(&moved[k]);
	for (unsigned k = to->set->n_rules; k < places(to); k++)
		meet(&moved[k], at);
	for (unsigned k = 0; k < to->set->n_rules; k++)
		for (unsigned i = 0; i < e->set->n_rules; i++)
			if (same_rule(&e->set->rules[i], &to->set->rules[k]))
				moved[k] = e->rules[i];
	for (unsigned d = 0; d < vs_devices(e->config); d++) {
		unsigned k = device_now(e->config, to, d);
		if (k != VS_DEVICE_NONE)
			moved[to->set->n_rules + k] = e->rules[vs_silence_place(e, d)];
	}
	memset(e->standing, 0, sizeof e->standing);
	for (unsigned k = 0; k < places(to); k++) {
		struct vs_standing *a = &moved[k].alarm;
		if (!a->number)
			continue;
		const char *rule = e->set->rules[a->rule].id;
		a->rule = (uint8_t)(vs_rule_find(to->set, rule) - to->set->rules);
		a->device = (uint8_t)device_now(e->config, to, a->device);
		vs_standing_mark(e, k, true);
	}
	memcpy(e->rules, moved, places(to) * sizeof *moved);
}

static void move_signals(struct vs_engine *e, const struct vs_engine_config *to)
{
	for (unsigned ch = 0; ch < VS_CH_COUNT; ch++)
		e->track[ch].device = (uint8_t)device_now(e->config, to, e->track[ch].device);
	for (unsigned i = 0; i < e->n_cuffs; i++)
		e->cuffs[i].device = (uint8_t)device_now(e->config, to, e->cuffs[i].device);
	e->suspect.device = (uint8_t)device_now(e->config, to, e->suspect.device);
}

void vs_engine_reconfigure(struct vs_engine *e, const struct vs_engine_config *config, uint64_t at_ms, int64_t wall_ms,
	struct vs_effects *out)
{
	empty(out);
	uint64_t at = at_ms > e->now_ms ? at_ms : e->now_ms;
	catch_up(e, out, at, wall_ms);
	struct vs_turn t = turn_at(e, out, at, wall_ms);
	for (unsigned i = 0; i < e->set->n_rules; i++) {
		const struct vs_rule *r = vs_rule_find(config->set, e->set->rules[i].id);
		if (!r || !same_rule(r, &e->set->rules[i]))
			end_all_of(&t, i);
		else if (!vs_rule_watches(e, r))
			stop_watching(&t, i);
	}
	for (unsigned d = 0; d < vs_devices(e->config); d++)
		if (vs_device_silent(e, d) && device_now(e->config, config, d) == VS_DEVICE_NONE)
			vs_drop(&t, &e->rules[vs_silence_place(e, d)].alarm);
	move_signals(e, config);
	move_places(e, config, at);
	e->config = config;
	e->set = config->set;
	vs_limits_work_out(e);
	vs_watch_work_out(e);
	ask_for_blocks(e);
	t.dirty = true;
	judge(&t, NULL, false);
	out->durable = true;
	e->wake_ms = next_due(e);
	out->wake_at_ms = e->wake_ms;
}

/* ---- looking in -------------------------------------------------------------------------------------------------- */

bool vs_engine_next_alarm(const struct vs_engine *e, unsigned *iterator, struct vs_effect *ret)
{
	uint8_t at[VS_ENGINE_ALARMS];
	if (*iterator >= vs_standing_places(e, at))
		return false;
	memset(ret, 0, sizeof *ret);
	ret->at_ms = e->now_ms;
	ret->wall_ms = e->wall_ms;
	vs_standing_effect(e, &e->rules[at[(*iterator)++]].alarm, ret);
	return true;
}

void vs_engine_count(const struct vs_engine *e, unsigned ret[VS_PRIORITY_COUNT])
{
	memset(ret, 0, VS_PRIORITY_COUNT * sizeof *ret);
	uint8_t at[VS_ENGINE_ALARMS];
	unsigned n = vs_standing_places(e, at);
	for (unsigned i = 0; i < n; i++)
		if (e->rules[at[i]].alarm.life != VS_LIFE_COVERED)
			ret[e->rules[at[i]].alarm.priority]++;
}

enum vs_phase vs_engine_phase(const struct vs_engine *e)
{
	return e->phase;
}

uint32_t vs_engine_nibp_interval_ms(const struct vs_engine *e)
{
	return e->interval_ms;
}

/* A signal that fell silent is known as it stood at its last sample: how old that may be is for the gate to say. */
static struct vs_fact fact_of(const struct vs_engine *e, enum vs_channel ch, uint64_t at_ms)
{
	double median = vs_median_now(e, ch, at_ms);
	if (isnan(median) && ch < VS_CH_COUNT)
		median = vs_median_now(e, ch, e->track[ch].valid_ms);
	if (isnan(median))
		return (struct vs_fact){ 0 };
	return (struct vs_fact){ .known = true, .value = median, .at_ms = e->track[ch].valid_ms };
}

void vs_engine_facts(const struct vs_engine *e, uint64_t at_ms, struct vs_session_facts *ret)
{
	memset(ret, 0, sizeof *ret);
	for (unsigned i = e->n_cuffs > VS_FACT_NIBP ? e->n_cuffs - VS_FACT_NIBP : 0; i < e->n_cuffs; i++) {
		const struct vs_cuff *c = &e->cuffs[i];
		if (isnan(c->sys) || isnan(c->dia))
			continue;
		ret->nibp[ret->n_nibp++] = (struct vs_fact_nibp){ .at_ms = c->at_ms, .sys = c->sys, .dia = c->dia,
			.map = isnan(c->map) ? 0 : c->map };
	}
	ret->hr = fact_of(e, e->hr_channel, at_ms);
	ret->spo2 = fact_of(e, VS_CH_SPO2, at_ms);
	double minute = vs_history_median(e, at_ms, 59000, 0);
	if (!isnan(minute) && e->hr_channel < VS_CH_COUNT)
		ret->hr_minute = (struct vs_fact){ .known = true, .value = minute, .at_ms = e->track[e->hr_channel].valid_ms };
	uint8_t at[VS_ENGINE_ALARMS];
	unsigned n = vs_standing_places(e, at);
	for (unsigned i = 0; i < n; i++) {
		const struct vs_standing *a = &e->rules[at[i]].alarm;
		if (a->life == VS_LIFE_COVERED)
			continue;
		bool high = a->priority == VS_PRIORITY_HIGH;
		if (vs_life_state(a->life) == VS_ALARM_LATCHED) {
			ret->unacknowledged++;
			ret->high_unacknowledged += high;
			continue;
		}
		ret->high += high;
		ret->medium += a->priority == VS_PRIORITY_MEDIUM;
		ret->low += a->priority == VS_PRIORITY_LOW;
	}
}
