/* Technical rules: what is missing, late or broken around the patient (clinical table D4).  One ladder for all:
 * the gravest step whose time has come is the alarm's priority. */
#include "alarms/inside.h"

/* Where a condition stands: how long it has been there, and what it counts. */
struct condition {
	bool there;
	bool strict;       /* longer than, not as long as */
	uint64_t for_ms;
	uint32_t interval_ms;
	unsigned count;
	double value, limit;
	uint8_t device;
};

static uint64_t step_ms(const struct vs_step *s, const struct condition *c)
{
	return s->after_ms + (uint64_t)(s->intervals * c->interval_ms) + (c->strict ? 1 : 0);
}

static enum vs_priority ladder(const struct vs_engine *e, const struct vs_rule *r, const struct condition *c)
{
	enum vs_priority p = VS_PRIORITY_NONE;
	for (unsigned i = 0; i < r->n_steps && c->there; i++) {
		const struct vs_step *s = &r->steps[i];
		if ((s->phases & VS_PHASE_BIT(e->phase)) && c->for_ms >= step_ms(s, c) && c->count >= s->count && s->to > p)
			p = s->to;
	}
	return p;
}

/* Milliseconds until the next step; UINT64_MAX: none follows by time alone. */
static uint64_t next_step(const struct vs_rule *r, const struct condition *c)
{
	uint64_t next = UINT64_MAX;
	for (unsigned i = 0; i < r->n_steps && c->there; i++)
		if (step_ms(&r->steps[i], c) > c->for_ms)
			next = vs_sooner(next, step_ms(&r->steps[i], c) - c->for_ms);
	return next;
}

/* ---- the conditions ---------------------------------------------------------------------------------------------- */

/* The signal a rule waits for: of the ECG where there is one, else of the pulse. */
static const struct vs_track *awaited(const struct vs_engine *e, const struct vs_rule *r)
{
	if (r->metric == VS_HR)
		return e->has_ecg ? &e->track[VS_CH_HR] : &e->track[VS_CH_PR];
	enum vs_channel ch = vs_channel_of(e, r->metric);
	return ch < VS_CH_COUNT ? &e->track[ch] : NULL;
}

static void signal_lost(const struct vs_engine *e, const struct vs_rule *r, uint64_t at, struct condition *ret)
{
	const struct vs_track *tr = awaited(e, r);
	if (!tr || !tr->valid_ms) /* nothing is missed that was never there */
		return;
	uint64_t since = tr->valid_ms;
	if (r->cuff_arm_ms && e->deflated_ms > since)
		since = e->deflated_ms;
	if (r->cuff_arm_ms && e->inflating_ms) {
		uint64_t until = e->inflating_ms + r->cuff_arm_ms;
		since = vs_sooner(at, until) > since ? vs_sooner(at, until) : since;
	}
	ret->there = at > since || (r->cuff_arm_ms && e->inflating_ms);
	ret->for_ms = at > since ? at - since : 0;
	ret->device = tr->device;
}

static void overdue(const struct vs_engine *e, uint64_t at, struct condition *ret)
{
	if (!e->interval_ms || !e->cuff_seen)
		return;
	uint64_t since = e->asked_ms;
	if (e->n_cuffs && e->cuffs[e->n_cuffs - 1].at_ms > since)
		since = e->cuffs[e->n_cuffs - 1].at_ms;
	uint64_t newest = e->n_cuffs ? e->cuffs[e->n_cuffs - 1].at_ms : since;
	ret->there = ret->strict = true;
	ret->for_ms = at - since;
	ret->interval_ms = e->interval_ms;
	ret->value = (double)((at - newest) / 60000); /* whole minutes are what a person needs */
	ret->device = e->n_cuffs ? e->cuffs[e->n_cuffs - 1].device : VS_DEVICE_NONE;
}

static void fault(const struct vs_engine *e, const struct vs_rule *r, uint64_t at, struct condition *ret)
{
	uint64_t since = e->faults[r->fault].since_ms;
	if (!since || at < since)
		return;
	ret->for_ms = at - since;
	ret->value = e->faults[r->fault].value;
	ret->limit = r->limit.kind == VS_LIMIT_PLAIN ? r->limit.value : NAN;
	ret->there = !(fabs(ret->value) <= ret->limit) && !(r->fault == VS_FAULT_CLOCK && ret->for_ms >= r->off_delay_ms);
}

static struct condition condition_of(const struct vs_engine *e, const struct vs_rule *r, uint64_t at)
{
	struct condition c = { .value = NAN, .limit = NAN, .device = VS_DEVICE_NONE };
	switch (r->type) {
	case VS_RULE_SIGNAL_LOSS:
		signal_lost(e, r, at, &c);
		break;
	case VS_RULE_NIBP_OVERDUE:
		overdue(e, at, &c);
		break;
	case VS_RULE_NIBP_FAIL:
		c.there = e->fails > 0;
		c.count = e->fails;
		c.value = e->fails;
		break;
	case VS_RULE_FAULT:
		fault(e, r, at, &c);
		break;
	default:
		break;
	}
	return c;
}

/* ---- judging ----------------------------------------------------------------------------------------------------- */

static void judge(struct vs_turn *t, unsigned i)
{
	struct vs_engine *e = t->e;
	const struct vs_rule *r = &e->set->rules[i];
	struct condition c = condition_of(e, r, t->at);
	enum vs_priority p = ladder(e, r, &c);
	struct vs_standing *a = vs_standing_of(e, i);
	if (e->rules[i].holds && p == VS_PRIORITY_NONE) {
		vs_finish(t, i);
	} else if (e->rules[i].holds) {
		if (!a) /* it was noted; it has no alarm */
			return;
		a->latest = c.value;
		vs_rank(t, a, p);
	} else if (p != VS_PRIORITY_NONE && !(r->type == VS_RULE_SIGNAL_LOSS && vs_device_silent(e, c.device))) {
		const struct vs_found f = { .priority = p, .value = c.value, .limit = c.limit, .device = c.device,
			.source = VS_METRIC_NONE,
			.waited_ms = c.for_ms < UINT32_MAX ? (uint32_t)c.for_ms : UINT32_MAX };
		vs_begin(t, i, &f);
	}
}

static struct condition silence_of(const struct vs_engine *e, unsigned device, uint64_t at)
{
	uint64_t since = e->rules[vs_silence_place(e, device)].heard.heard_ms + e->config->devices[device].quiet_ms;
	return (struct condition){ .there = at > since, .for_ms = at > since ? at - since : 0, .value = NAN, .limit = NAN };
}

static void judge_devices(struct vs_turn *t, unsigned i)
{
	struct vs_engine *e = t->e;
	for (unsigned d = 0; d < vs_devices(e->config); d++) {
		struct condition c = silence_of(e, d, t->at);
		vs_offline_rank(t, i, d, ladder(e, &e->set->rules[i], &c));
	}
}

void vs_technical_time(struct vs_turn *t)
{
	struct vs_engine *e = t->e;
	if (e->watch.offline)
		judge_devices(t, vs_first(e->watch.offline));
	for (uint64_t left = e->watch.technical; left; left &= left - 1)
		judge(t, vs_first(left));
}

uint64_t vs_technical_due(const struct vs_engine *e, unsigned rule)
{
	const struct vs_rule *r = &e->set->rules[rule];
	struct condition c = condition_of(e, r, e->now_ms);
	uint64_t next = next_step(r, &c);
	if (r->type == VS_RULE_SIGNAL_LOSS) {
		const struct vs_track *tr = awaited(e, r);
		if (!tr || !tr->valid_ms)
			return UINT64_MAX;
		if (!c.there) { /* it is there now: the first step comes without a word */
			c.there = true;
			next = next_step(r, &c);
		}
		if (r->cuff_arm_ms && e->inflating_ms && e->now_ms < e->inflating_ms + r->cuff_arm_ms && next != UINT64_MAX)
			next += e->inflating_ms + r->cuff_arm_ms - e->now_ms;
	}
	if (r->type == VS_RULE_FAULT && r->fault == VS_FAULT_CLOCK && c.there)
		next = vs_sooner(next, r->off_delay_ms - c.for_ms);
	return next == UINT64_MAX ? next : e->now_ms + next;
}

uint64_t vs_devices_due(const struct vs_engine *e)
{
	uint64_t due = UINT64_MAX;
	if (!e->watch.offline)
		return due;
	const struct vs_rule *r = &e->set->rules[vs_first(e->watch.offline)];
	for (unsigned d = 0; d < vs_devices(e->config); d++) {
		uint64_t from = e->rules[vs_silence_place(e, d)].heard.heard_ms + e->config->devices[d].quiet_ms;
		for (unsigned k = 0; k < r->n_steps; k++)
			if (from + r->steps[k].after_ms > e->now_ms)
				due = vs_sooner(due, from + r->steps[k].after_ms);
	}
	return due;
}
