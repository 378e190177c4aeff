/* Cuff readings: which to believe (clinical table D3), confirmation and repeats (D0.4), and the rules that judge
 * values one by one. */
#include <string.h>

#include "alarms/inside.h"

double vs_cuff_value(const struct vs_cuff *c, enum vs_metric m)
{
	switch (m) {
	case VS_NIBP_SYS:
		return c->sys;
	case VS_NIBP_DIA:
		return c->dia;
	case VS_NIBP_MAP:
		return c->map;
	case VS_NIBP_PR:
	case VS_HR:
	case VS_PR:
		return c->pr;
	case VS_RPP:
		return c->hr * c->sys; /* NAN if one is unknown */
	default:
		return NAN;
	}
}

/* ---- validity ---------------------------------------------------------------------------------------------------- */

static bool in_range(const struct vs_validity *v, enum vs_metric m, double x)
{
	return !(x < v->range[m].low) && !(x > v->range[m].high); /* NAN bounds: none */
}

/* False only where both are known and out of order. */
static bool ordered(double less, double more)
{
	return isnan(less) || isnan(more) || less < more;
}

static bool narrow(const struct vs_pulse_row *rows, unsigned n, const struct vs_cuff *c)
{
	double pulse = c->sys - c->dia;
	for (unsigned i = 0; i < n; i++) {
		const struct vs_pulse_row *r = &rows[i];
		if (c->sys < r->from || c->sys <= r->above || c->sys >= r->below || c->sys > r->to)
			continue; /* comparisons with NAN, not given, are false */
		if (pulse < r->least)
			return true;
	}
	return false;
}

static const char *reject_reason(const struct vs_validity *v, const struct vs_cuff *c)
{
	if (!in_range(v, VS_NIBP_SYS, c->sys) || !in_range(v, VS_NIBP_DIA, c->dia) || !in_range(v, VS_NIBP_MAP, c->map))
		return "a pressure is outside its range";
	if (!ordered(c->dia, c->map) || !ordered(c->map, c->sys) || !ordered(c->dia, c->sys))
		return "diastolic, mean and systolic pressure are not in order";
	if (narrow(v->pulse_reject, v->n_reject, c))
		return "systolic and diastolic pressure are too near together";
	return NULL;
}

static bool waived(const struct vs_engine *e, const struct vs_cuff *c, const struct vs_cuff *before)
{
	const struct vs_validity *v = &e->set->validity;
	if (vs_rule_active(e, v->jump_waived_by)) /* "": no rule has that name */
		return true;
	return fabs(c->hr - before->hr) >= v->jump_waiver * before->hr;
}

static bool jumped(const struct vs_engine *e, const struct vs_cuff *c)
{
	const struct vs_validity *v = &e->set->validity;
	double before[VS_CUFFS];
	unsigned n = 0;
	const struct vs_cuff *newest = NULL;
	for (unsigned i = e->n_cuffs; i > 0 && n < v->jump_readings; i--) {
		const struct vs_cuff *b = &e->cuffs[i - 1];
		if (isnan(b->sys) || c->at_ms - b->at_ms > v->jump_window_ms)
			continue;
		if (!newest)
			newest = b;
		before[n++] = b->sys;
	}
	return n && fabs(c->sys - vs_median(before, n)) >= v->jump && !waived(e, c, newest);
}

/* NULL: nothing speaks against it. */
static const char *suspect_reason(const struct vs_engine *e, struct vs_cuff *c)
{
	const struct vs_validity *v = &e->set->validity;
	double position = (c->map - c->dia) / (c->sys - c->dia);
	const char *why = NULL;
	if (narrow(v->pulse_suspect, v->n_suspect, c))
		why = "systolic and diastolic pressure are near together";
	else if (position < v->map_low || position > v->map_high)
		why = "the mean pressure does not fit";
	bool jump = jumped(e, c);
	c->jump_only = jump && !why;
	return why ? why : jump ? "it jumped" : NULL;
}

/* ---- judging values one by one ----------------------------------------------------------------------------------- */

static void ask_to_confirm(struct vs_turn *t, const struct vs_rule *r, uint64_t measured_ms)
{
	const struct vs_validity *v = &t->e->set->validity;
	if (measured_ms != t->at || !v->confirm_repeat_ms)
		return; /* it was accepted late: its repeat is here, or did not come */
	vs_request(t, "nibp-repeat", r->id, t->at + v->confirm_repeat_ms, "%s waits for a second reading", r->id);
}

static void begin_value(struct vs_turn *t, unsigned i, double value, unsigned device, bool promoted)
{
	const struct vs_rule_state *rs = &t->e->rules[i];
	const struct vs_rule *r = &t->e->set->rules[i];
	const struct vs_found f = { .priority = r->priority, .value = value, .limit = rs->limit, .device = (uint8_t)device,
		.waited_ms = rs->since_ms ? (uint32_t)(t->at - rs->since_ms) : 0, .source = (uint8_t)r->metric,
		.promoted = promoted };
	vs_begin(t, i, &f);
}

static void judge_value(struct vs_turn *t, unsigned i, double value, uint64_t measured_ms, unsigned device)
{
	const struct vs_rule *r = &t->e->set->rules[i];
	struct vs_rule_state *rs = &t->e->rules[i];
	bool violated = vs_when_holds(r->when, value, rs->limit);
	if (rs->holds) {
		struct vs_standing *a = vs_standing_of(t->e, i);
		if (a && violated)
			a->latest = value;
		if (!vs_when_holds(r->when, value, vs_clear_limit(r, rs->limit)))
			vs_finish(t, i);
		return;
	}
	if (!violated) {
		rs->count = 0;
		rs->since_ms = rs->safe_ms = 0;
		return;
	}
	if (rs->count < 255)
		rs->count++;
	if (rs->count == 1)
		rs->since_ms = measured_ms ? measured_ms : 1;
	rs->safe_ms = measured_ms ? measured_ms : 1; /* the newest that violated */
	t->out->durable = true;
	if (rs->count >= r->confirm)
		begin_value(t, i, value, device, false);
	else if (rs->count == 1)
		ask_to_confirm(t, r, measured_ms);
}

void vs_value_judge(struct vs_turn *t, enum vs_metric m, double value, uint64_t measured_ms, unsigned device)
{
	struct vs_engine *e = t->e;
	if (isnan(value))
		return;
	for (unsigned i = 0; i < e->set->n_rules; i++) {
		const struct vs_rule *r = &e->set->rules[i];
		if (r->type == VS_RULE_THRESHOLD && r->metric == m && !isnan(e->rules[i].limit) && vs_rule_watches(e, r))
			judge_value(t, i, value, measured_ms, device);
	}
}

/* A fall soon after another rule was raised (heart rate and pressure together). */
static void judge_fall_after(struct vs_turn *t, unsigned i, const struct vs_cuff *c, const struct vs_cuff *before)
{
	struct vs_engine *e = t->e;
	const struct vs_rule *r = &e->set->rules[i];
	double value = vs_cuff_value(c, r->metric), last = before ? vs_cuff_value(before, r->metric) : NAN;
	bool fell = value < r->fall.below || value <= r->fall.to_factor * last;
	if (e->rules[i].holds) /* an event: it is over when somebody has acknowledged it */
		return;
	const struct vs_rule *first = vs_rule_find(e->set, r->fall.rule);
	uint64_t raised = first ? e->rules[first - e->set->rules].raised_ms : 0;
	if (!fell || !raised || c->at_ms < raised || c->at_ms - raised > r->fall.within_ms)
		return;
	const struct vs_found f = { .priority = r->priority, .value = value, .device = c->device,
		.limit = value < r->fall.below ? r->fall.below : r->fall.to_factor * last,
		.source = (uint8_t)r->metric, .waited_ms = (uint32_t)(t->at - raised) };
	vs_begin(t, i, &f);
}

static void judge_band(struct vs_turn *t, unsigned i, const struct vs_cuff *c)
{
	struct vs_engine *e = t->e;
	const struct vs_band *b = &e->set->rules[i].band;
	double change = vs_cuff_value(c, e->set->rules[i].metric) - vs_engine_baseline(e, e->set->rules[i].metric);
	if (isnan(change) || !e->infusion_ms || !b->full_ms)
		return;
	double share = (double)(c->at_ms - e->infusion_ms) / b->full_ms;
	share = share > 1 ? 1 : share;
	double z = (change - b->rise * share) / (b->spread_start + b->spread_rise * share);
	if (z > b->z && !e->rules[i].holds)
		vs_request(t, "note", e->set->rules[i].id, t->at, "pressure is %.1f standard deviations above the usual response", z);
	e->rules[i].holds = z > b->z;
}

/* ---- readings ---------------------------------------------------------------------------------------------------- */

static void keep(struct vs_engine *e, const struct vs_cuff *c)
{
	if (e->n_cuffs == VS_CUFFS)
		memmove(&e->cuffs[0], &e->cuffs[1], (VS_CUFFS - 1) * sizeof e->cuffs[0]);
	else
		e->n_cuffs++;
	e->cuffs[e->n_cuffs - 1] = *c;
}

static void finish_type(struct vs_turn *t, enum vs_rule_type type)
{
	for (unsigned i = 0; i < t->e->set->n_rules; i++)
		if (t->e->set->rules[i].type == type && t->e->rules[i].holds)
			vs_finish(t, i);
}

static void accept(struct vs_turn *t, const struct vs_cuff *reading)
{
	struct vs_engine *e = t->e;
	const struct vs_cuff c = *reading;
	struct vs_cuff before;
	bool has_before = e->n_cuffs > 0;
	if (has_before)
		before = e->cuffs[e->n_cuffs - 1];
	e->fails = 0;
	e->cuff_seen = true;
	t->out->durable = true;
	keep(e, &c);
	for (enum vs_metric m = VS_NIBP_SYS; m <= VS_NIBP_PR; m++)
		vs_value_judge(t, m, vs_cuff_value(&c, m), c.at_ms, c.device);
	t->out->rpp = vs_cuff_value(&c, VS_RPP);
	vs_value_judge(t, VS_RPP, t->out->rpp, c.at_ms, c.device);
	if (e->hr_channel == VS_CH_COUNT)
		vs_value_judge(t, VS_HR, c.pr, c.at_ms, c.device);
	for (unsigned i = 0; i < e->set->n_rules; i++) {
		const struct vs_rule *r = &e->set->rules[i];
		if (!vs_rule_watches(e, r))
			continue;
		if (r->type == VS_RULE_FALL_AFTER)
			judge_fall_after(t, i, &c, has_before ? &before : NULL);
		else if (r->type == VS_RULE_BAND)
			judge_band(t, i, &c);
	}
	vs_trend_cuff(t, &c);
}

static void drop_suspect(struct vs_turn *t)
{
	t->e->has_suspect = false;
	t->out->durable = true;
	finish_type(t, VS_RULE_NIBP_UNCONFIRMED);
}

/* Would it raise a rule of high priority? */
static bool is_critical(const struct vs_engine *e, const struct vs_cuff *c)
{
	for (unsigned i = 0; i < e->set->n_rules; i++) {
		const struct vs_rule *r = &e->set->rules[i];
		if (r->type == VS_RULE_THRESHOLD && r->priority == VS_PRIORITY_HIGH && vs_rule_watches(e, r) &&
		    vs_metric_is_nibp(r->metric) && vs_when_holds(r->when, vs_cuff_value(c, r->metric), e->rules[i].limit))
			return true;
	}
	return false;
}

static void suspect(struct vs_turn *t, const struct vs_cuff *c, const char *why)
{
	struct vs_engine *e = t->e;
	const struct vs_validity *v = &e->set->validity;
	e->has_suspect = true;
	e->suspect = *c;
	t->out->durable = true;
	vs_request(t, "nibp-repeat", NULL, t->at + v->suspect_repeat_ms, "the reading is doubtful: %s", why);
	for (unsigned i = 0; i < e->set->n_rules; i++) {
		const struct vs_rule *r = &e->set->rules[i];
		if (r->type != VS_RULE_NIBP_UNCONFIRMED || !vs_rule_watches(e, r))
			continue;
		bool grave = c->jump_only && is_critical(e, c) && r->jump_priority != VS_PRIORITY_NONE;
		const struct vs_found f = { .priority = grave ? r->jump_priority : r->priority, .limit = NAN,
			.value = vs_cuff_value(c, r->metric), .device = c->device, .source = VS_METRIC_NONE };
		struct vs_standing *a = vs_standing_of(e, i);
		if (!a)
			vs_begin(t, i, &f);
		else
			vs_rank(t, a, f.priority);
	}
}

void vs_cuff_failed(struct vs_turn *t, const char *why)
{
	struct vs_engine *e = t->e;
	if (e->fails < 255)
		e->fails++;
	e->cuff_seen = true;
	t->out->durable = true;
	if (e->set->validity.fail_retry_ms)
		vs_request(t, "nibp-repeat", NULL, t->at + e->set->validity.fail_retry_ms, "the measurement failed: %s", why);
}

/* A pulse alone is no measurement of the pressure. */
static enum vs_quality take_pulse(struct vs_turn *t, const struct vs_cuff *c)
{
	vs_value_judge(t, VS_NIBP_PR, c->pr, c->at_ms, c->device);
	if (t->e->hr_channel == VS_CH_COUNT)
		vs_value_judge(t, VS_HR, c->pr, c->at_ms, c->device);
	return VS_Q_VALID;
}

/* What became of one measurement.  doubted: the monitor calls it questionable, or its line is noisy. */
static enum vs_quality take(struct vs_turn *t, struct vs_cuff *c, bool doubted)
{
	struct vs_engine *e = t->e;
	if (isnan(c->sys) && isnan(c->dia) && isnan(c->map))
		return take_pulse(t, c);
	const char *why = reject_reason(&e->set->validity, c);
	if (why) {
		vs_cuff_failed(t, why);
		return VS_Q_REJECTED;
	}
	if (e->has_suspect) {
		struct vs_cuff first = e->suspect;
		drop_suspect(t);
		if (fabs(c->sys - first.sys) <= e->set->validity.suspect_agree) {
			accept(t, &first);
			accept(t, c);
			return VS_Q_VALID;
		}
	}
	why = suspect_reason(e, c);
	if (!why && doubted && e->set->validity.suspect_accept_ms) {
		why = "the monitor or its line doubts it";
		c->jump_only = true; /* nothing in the reading itself speaks against it */
	}
	if (why) {
		suspect(t, c, why);
		return VS_Q_SUSPECT;
	}
	accept(t, c);
	return VS_Q_VALID;
}

static double *slot_of(struct vs_cuff *c, enum vs_metric m)
{
	return m == VS_NIBP_SYS ? &c->sys : m == VS_NIBP_DIA ? &c->dia : m == VS_NIBP_MAP ? &c->map :
		m == VS_NIBP_PR ? &c->pr : NULL;
}

/* Are these the values that the device showed before?  Remembers them. */
static bool is_old(struct vs_engine *e, unsigned device, const struct vs_cuff *c, enum vs_newness newness)
{
	double *last = e->rules[vs_silence_place(e, device)].heard.last;
	const double now[4] = { c->sys, c->dia, c->map, c->pr };
	bool equal = true;
	for (unsigned i = 0; i < 4; i++) {
		if (isnan(now[i]))
			continue; /* not in this reading: no news */
		equal = equal && last[i] == now[i];
		last[i] = now[i];
	}
	return newness == VS_NIBP_OLD || (newness == VS_NIBP_ON_CHANGE && equal);
}

void vs_cuff_reading(struct vs_turn *t, const struct vs_stimulus *s)
{
	struct vs_engine *e = t->e;
	struct vs_cuff c = { .at_ms = t->at, .sys = NAN, .dia = NAN, .map = NAN, .pr = NAN, .hr = vs_heart_rate(e),
		.device = (uint8_t)s->device };
	unsigned n = 0;
	bool doubted = false;
	uint8_t *quality = t->out->quality;
	for (unsigned i = 0; i < s->reading->len; i++) {
		const struct vs_obs *o = &s->reading->obs[i];
		double *to = slot_of(&c, o->metric);
		if (!to || !o->has_value || !isfinite(o->value))
			continue;
		quality[i] = VS_Q_VALID;
		if (o->metric == VS_NIBP_PR && !in_range(&e->set->validity, VS_NIBP_PR, o->value)) {
			quality[i] = VS_Q_REJECTED;
			continue;
		}
		*to = o->value;
		doubted |= o->flags & VS_FLAG(QUESTIONABLE);
		n++;
	}
	if (!n)
		return;
	if (isnan(c.hr) && e->hr_channel == VS_CH_COUNT)
		c.hr = c.pr;
	enum vs_quality q = VS_Q_OLD;
	if (!is_old(e, s->device, &c, s->nibp)) {
		if (e->inflating_ms)
			e->deflated_ms = t->at;
		e->inflating_ms = 0;
		q = take(t, &c, doubted);
	}
	for (unsigned i = 0; i < s->reading->len; i++)
		if (quality[i] == VS_Q_VALID && slot_of(&c, s->reading->obs[i].metric))
			quality[i] = (uint8_t)q;
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

static bool may_promote(const struct vs_engine *e, unsigned i)
{
	const struct vs_rule *r = &e->set->rules[i];
	const struct vs_rule_state *rs = &e->rules[i];
	return rs->count && !rs->holds && r->type == VS_RULE_THRESHOLD && r->confirm > 1 && r->promote &&
		e->set->validity.promote_ms && vs_channel_of(e, r->metric) == VS_CH_COUNT;
}

void vs_cuff_time(struct vs_turn *t)
{
	struct vs_engine *e = t->e;
	if (e->has_suspect && t->at - e->suspect.at_ms >= e->set->validity.suspect_accept_ms) {
		struct vs_cuff c = e->suspect;
		drop_suspect(t);
		accept(t, &c);
	}
	for (uint64_t left = e->watch.promote; left; left &= left - 1) {
		unsigned i = vs_first(left);
		const struct vs_rule *r = &e->set->rules[i];
		if (!may_promote(e, i) || !e->n_cuffs ||
		    t->at - e->rules[i].safe_ms < e->set->validity.promote_ms)
			continue;
		const struct vs_cuff *newest = &e->cuffs[e->n_cuffs - 1];
		begin_value(t, i, vs_cuff_value(newest, r->metric), newest->device, true);
	}
}

uint64_t vs_suspect_due(const struct vs_engine *e)
{
	return e->has_suspect ? e->suspect.at_ms + e->set->validity.suspect_accept_ms : UINT64_MAX;
}

uint64_t vs_cuff_due(const struct vs_engine *e, unsigned rule)
{
	if (!may_promote(e, rule))
		return UINT64_MAX;
	return e->rules[rule].safe_ms + e->set->validity.promote_ms;
}

void vs_cuff_interval(struct vs_turn *t)
{
	struct vs_engine *e = t->e;
	uint32_t wanted = e->own_interval_ms ? e->own_interval_ms : e->set->cadence.nibp_ms[e->phase];
	const char *why = "the phase asks for it";
	for (uint64_t left = wanted ? e->watch.trend : 0; left; left &= left - 1) {
		const struct vs_rule *r = &e->set->rules[vs_first(left)];
		if (e->rules[vs_first(left)].holds && r->trend.interval_ms && r->trend.interval_ms < wanted) {
			wanted = r->trend.interval_ms;
			why = "the pressure is rising";
		}
	}
	if (wanted == e->interval_ms)
		return;
	e->interval_ms = wanted;
	e->asked_ms = t->at;
	t->out->durable = true;
	struct vs_request_event *q = wanted ? vs_request(t, "nibp-interval", NULL, t->at, "%s", why) : NULL;
	if (q)
		q->interval_ms = wanted;
}
