/* Alarms that stand: raised, ranked, superseded, answered by people, ended. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "alarms/inside.h"

struct vs_effect *vs_effect_new(struct vs_turn *t, enum vs_effect_kind kind)
{
	if (t->out->len >= VS_EFFECTS_MAX) {
		t->out->lost++;
		return NULL;
	}
	struct vs_effect *f = &t->out->at[t->out->len++];
	memset(f, 0, sizeof *f);
	f->kind = kind;
	f->at_ms = t->at;
	f->wall_ms = t->wall;
	return f;
}

void vs_refuse(struct vs_turn *t, const char *format, ...)
{
	struct vs_effect *f = vs_effect_new(t, VS_EFFECT_REFUSED);
	if (!f)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(f->u.refused, sizeof f->u.refused, format, args);
	va_end(args);
}

struct vs_request_event *vs_request(struct vs_turn *t, const char *request, const char *rule, uint64_t due_ms,
	const char *format, ...)
{
	for (unsigned i = 0; i < t->out->len; i++) {
		const struct vs_effect *f = &t->out->at[i];
		if (f->kind == VS_EFFECT_REQUEST && f->at_ms == t->at && f->u.request.due_ms == due_ms &&
		    strcmp(f->u.request.request, request) == 0 && strncmp(request, "nibp-", 5) == 0)
			return NULL;
	}
	struct vs_effect *f = vs_effect_new(t, VS_EFFECT_REQUEST);
	if (!f)
		return NULL;
	struct vs_request_event *q = &f->u.request;
	q->request = request;
	q->rule = rule;
	q->due_ms = due_ms;
	q->due_wall_ms = t->wall + (int64_t)(due_ms - t->at);
	va_list args;
	va_start(args, format);
	vsnprintf(q->reason, sizeof q->reason, format, args);
	va_end(args);
	return q;
}

struct vs_standing *vs_standing_of(struct vs_engine *e, unsigned rule)
{
	struct vs_standing *a = &e->rules[rule].alarm;
	return a->number ? a : NULL;
}

void vs_standing_mark(struct vs_engine *e, unsigned place, bool stands)
{
	uint64_t bit = UINT64_C(1) << place % 64;
	e->standing[place / 64] = stands ? e->standing[place / 64] | bit : e->standing[place / 64] & ~bit;
}

unsigned vs_standing_places(const struct vs_engine *e, uint8_t ret[VS_ENGINE_ALARMS])
{
	unsigned n = 0;
	for (unsigned word = 0; word < 2; word++)
		for (uint64_t left = e->standing[word]; left; left &= left - 1) {
			unsigned place = 64 * word + vs_first(left), i = n++;
			for (; i > 0 && e->rules[ret[i - 1]].alarm.number > e->rules[place].alarm.number; i--)
				ret[i] = ret[i - 1];
			ret[i] = (uint8_t)place;
		}
	return n;
}

static const struct vs_rule *rule_of(const struct vs_engine *e, const struct vs_standing *a)
{
	return &e->set->rules[a->rule];
}

static bool per_device(const struct vs_engine *e, const struct vs_standing *a)
{
	return rule_of(e, a)->type == VS_RULE_DEVICE_OFFLINE;
}

static bool holds(const struct vs_engine *e, const struct vs_standing *a)
{
	return per_device(e, a) || e->rules[a->rule].holds;
}

bool vs_rule_active(const struct vs_engine *e, const char *id)
{
	for (unsigned i = 0; i < e->set->n_rules; i++)
		if (e->rules[i].holds && strcmp(e->set->rules[i].id, id) == 0)
			return true;
	return false;
}

/* ---- what is said ------------------------------------------------------------------------------------------------ */

static size_t put_text(char *to, size_t cap, size_t len, const char *s)
{
	while (*s && len + 1 < cap)
		to[len++] = *s++;
	to[len] = '\0';
	return len;
}

static size_t put_value(char *to, size_t cap, size_t len, double v, int decimals)
{
	char text[64];
	snprintf(text, sizeof text, "%.*f", isnan(v) ? 0 : decimals, isnan(v) ? 0 : v);
	return put_text(to, cap, len, isnan(v) ? "-" : text);
}

/* Digits a person needs: a limit of 96.2 must not read as 96, one of 0.57 not as 0.570. */
static int decimals_of(const struct vs_rule *r, double v)
{
	int d = r->metric < VS_METRIC_COUNT ? vs_metrics[r->metric].decimals : 0;
	double shown = v;
	for (int i = 0; i < d; i++)
		shown *= 10;
	return fabs(shown - round(shown)) > 1e-6 ? d + 1 : d;
}

/* Of a rule without a `text` of its own: what is measured, rather than the name that a file gave the rule. */
static const char *words_of(const struct vs_rule *r, char *plain, size_t cap)
{
	static const char *const said[VS_METRIC_COUNT] = {
		[VS_HR] = "Heart rate", [VS_PR] = "Pulse rate", [VS_SPO2] = "Oxygen saturation",
		[VS_NIBP_SYS] = "Systolic pressure", [VS_NIBP_DIA] = "Diastolic pressure", [VS_NIBP_MAP] = "Mean pressure",
		[VS_NIBP_PR] = "Pulse rate (cuff)", [VS_RR] = "Breathing rate", [VS_TEMP] = "Temperature",
		[VS_PI] = "Perfusion index", [VS_RPP] = "Rate-pressure product",
	};
	if (r->text[0])
		return r->text;
	if (r->type != VS_RULE_THRESHOLD || r->metric >= VS_METRIC_COUNT || !said[r->metric])
		return r->id;
	snprintf(plain, cap, "%s {value}, limit {limit}", said[r->metric]);
	return plain;
}

static void alarm_text(const struct vs_engine *e, const struct vs_standing *a, char *to, size_t cap)
{
	const struct vs_rule *r = rule_of(e, a);
	char plain[80];
	size_t len = put_text(to, cap, 0, vs_signal_pattern(a->priority)->mark);
	len = put_text(to, cap, len, " ");
	for (const char *s = words_of(r, plain, sizeof plain); *s;) {
		if (strncmp(s, "{value}", 7) == 0) {
			len = put_value(to, cap, len, a->value, decimals_of(r, a->value));
			s += 7;
		} else if (strncmp(s, "{limit}", 7) == 0) {
			len = put_value(to, cap, len, a->limit, decimals_of(r, a->limit));
			s += 7;
		} else if (strncmp(s, "{device}", 8) == 0) {
			len = put_text(to, cap, len, a->device < e->config->n_devices ?
				e->config->devices[a->device].id : "the monitor");
			s += 8;
		} else {
			char one[2] = { *s++, '\0' };
			len = put_text(to, cap, len, one);
		}
	}
	if (a->change == VS_CHANGE_CLEARED)
		put_text(to, cap, len, " - over");
	else if (vs_life_state(a->life) == VS_ALARM_LATCHED)
		put_text(to, cap, len, " - over, not acknowledged");
}

void vs_standing_effect(const struct vs_engine *e, const struct vs_standing *a, struct vs_effect *ret)
{
	struct vs_alarm_event *v = &ret->u.alarm;
	ret->kind = VS_EFFECT_ALARM;
	v->number = a->number;
	v->rule = rule_of(e, a);
	v->device = a->device < e->config->n_devices ? e->config->devices[a->device].id : NULL;
	v->priority = a->priority;
	v->change = a->change;
	v->state = vs_life_state(a->life);
	v->signal = vs_life_signal(a->life);
	v->value = a->value;
	v->limit = a->limit;
	v->onset_wall_ms = a->onset_wall_ms;
	if (v->signal == VS_SIGNAL_AUDIO_PAUSED)
		v->paused_until_wall_ms = ret->wall_ms + (int64_t)(e->paused_ms - ret->at_ms);
	v->because = a->because;
	memcpy(v->by, a->by, sizeof v->by);
	alarm_text(e, a, v->text, sizeof v->text);
}

static void say(struct vs_turn *t, struct vs_standing *a)
{
	struct vs_effect *f = vs_effect_new(t, VS_EFFECT_ALARM);
	if (f)
		vs_standing_effect(t->e, a, f);
}

/* ---- the life of one --------------------------------------------------------------------------------------------- */

static void release(struct vs_engine *e, struct vs_standing *a)
{
	vs_standing_mark(e, per_device(e, a) ? vs_silence_place(e, a->device) : a->rule, false);
	memset(a, 0, sizeof *a);
}

static void remember_who(struct vs_standing *a, const char *by)
{
	memset(a->by, 0, sizeof a->by);
	if (!by)
		return;
	size_t len = strnlen(by, sizeof a->by - 1);
	while (len && ((unsigned char)by[len] & 0xc0) == 0x80)
		len--; /* not in the middle of a character */
	memcpy(a->by, by, len);
}

/* True: the event was possible in this state. */
static bool live(struct vs_turn *t, struct vs_standing *a, enum vs_life_event event)
{
	const struct vs_life_row *row = &vs_life_table[a->life][event];
	if (!row->possible)
		return false;
	a->life = row->to;
	t->out->durable = true;
	if (row->change != VS_CHANGE_NONE) {
		a->change = row->change;
		if (event == VS_LE_ACK || t->by)
			remember_who(a, t->by);
		say(t, a);
	}
	if (a->life == VS_LIFE_IDLE)
		release(t->e, a);
	return true;
}

static bool acked(const struct vs_standing *a)
{
	return a->life == VS_LIFE_ACKED;
}

static void remember_seen(const struct vs_turn *t, struct vs_because *b, enum vs_metric source)
{
	const struct vs_engine *e = t->e;
	enum vs_channel ch = source == VS_HR ? VS_CH_HR : source == VS_PR ? VS_CH_PR : vs_channel_of(e, source);
	if (ch < VS_CH_COUNT) {
		const struct vs_track *tr = &e->track[ch];
		for (unsigned i = 0; i < tr->len && b->n_seen < VS_SEEN_MAX; i++) {
			unsigned k = (tr->head + VS_SAMPLES - 1 - i) % VS_SAMPLES;
			b->seen[b->n_seen] = tr->value[k];
			b->seen_ms[b->n_seen++] = (int32_t)((uint32_t)t->at - tr->at[k]);
		}
		return;
	}
	for (unsigned i = e->n_cuffs; i > 0 && b->n_seen < VS_SEEN_MAX; i--) {
		double v = vs_cuff_value(&e->cuffs[i - 1], source);
		if (isnan(v))
			continue;
		b->seen[b->n_seen] = v;
		b->seen_ms[b->n_seen++] = (int32_t)(t->at - e->cuffs[i - 1].at_ms);
	}
}

static void remember_why(const struct vs_turn *t, struct vs_standing *a, const struct vs_found *f)
{
	const struct vs_engine *e = t->e;
	const struct vs_rule *r = rule_of(e, a);
	memset(&a->because, 0, sizeof a->because);
	struct vs_because *b = &a->because;
	bool relative = r->limit.kind == VS_LIMIT_FACTOR || r->limit.kind == VS_LIMIT_OFFSET ||
		r->trend.level.kind == VS_LIMIT_FACTOR || r->trend.level.kind == VS_LIMIT_OFFSET;
	b->baseline = relative && r->metric < VS_METRIC_COUNT ? vs_engine_baseline(e, r->metric) : NAN;
	b->origin = !isnan(e->rules[a->rule].own) ? VS_FROM_OPERATOR :
		relative && !isnan(b->baseline) ? VS_FROM_BASELINE : VS_FROM_SET;
	b->waited_ms = f->waited_ms;
	b->promoted = f->promoted;
	if (f->source < VS_METRIC_COUNT)
		remember_seen(t, b, f->source);
}

static void fill(struct vs_turn *t, struct vs_standing *a, const struct vs_found *f)
{
	a->value = a->latest = f->value;
	a->limit = f->limit;
	a->source = f->source;
	if (f->device < VS_ENGINE_DEVICES)
		a->device = f->device;
	a->raised_ms = a->said_ms = t->at;
	a->called = false;
	remember_why(t, a, f);
	a->priority = f->priority;
	if (rule_of(t->e, a)->type == VS_RULE_THRESHOLD)
		a->priority = vs_threshold_priority(t->e, a, t->at);
	t->dirty = true;
	t->out->durable = true;
}

static struct vs_standing *fresh(struct vs_turn *t, unsigned place, unsigned rule)
{
	struct vs_standing *a = &t->e->rules[place].alarm;
	memset(a, 0, sizeof *a);
	vs_standing_mark(t->e, place, true);
	a->number = (*t->e->config->next_alarm)++;
	a->rule = (uint8_t)rule;
	a->device = VS_DEVICE_NONE;
	a->onset_wall_ms = t->wall;
	return a;
}

void vs_begin(struct vs_turn *t, unsigned rule, const struct vs_found *f)
{
	struct vs_engine *e = t->e;
	const struct vs_rule *r = &e->set->rules[rule];
	struct vs_rule_state *rs = &e->rules[rule];
	if (r->log_only) {
		rs->holds = true;
		vs_request(t, "note", r->id, t->at, "%s", r->text);
		return;
	}
	struct vs_standing *a = vs_standing_of(e, rule);
	if (!a)
		a = fresh(t, rule, rule);
	rs->holds = true;
	rs->raised_ms = t->at;
	rs->safe_ms = 0;
	fill(t, a, f);
	if (r->request[0])
		vs_request(t, strcmp(r->request, "nibp-now") == 0 ? "nibp-now" : "nibp-repeat", r->id, t->at,
			"%s was raised", r->id);
}

static bool latches(const struct vs_rule *r, enum vs_priority p)
{
	return r->latch == VS_LATCH_YES || (r->latch == VS_LATCH_HIGH && p == VS_PRIORITY_HIGH);
}

void vs_finish(struct vs_turn *t, unsigned rule)
{
	struct vs_rule_state *rs = &t->e->rules[rule];
	struct vs_standing *a = vs_standing_of(t->e, rule);
	rs->holds = false;
	rs->since_ms = rs->safe_ms = 0;
	rs->frozen_ms = 0;
	rs->count = 0;
	if (!a || vs_life_state(a->life) == VS_ALARM_LATCHED)
		return;
	t->dirty = true;
	if (a->life == VS_LIFE_IDLE) /* begun and over within one instant */
		release(t->e, a);
	else
		live(t, a, latches(rule_of(t->e, a), a->priority) ? VS_LE_END_LATCHING : VS_LE_END);
}

void vs_rank(struct vs_turn *t, struct vs_standing *a, enum vs_priority p)
{
	if (p == a->priority)
		return;
	bool worse = p > a->priority;
	a->priority = p;
	if (!isnan(a->latest))
		a->value = a->latest;
	t->dirty = true;
	t->out->durable = true;
	if (worse) {
		a->said_ms = t->at;
		a->called = false;
	}
	live(t, a, worse ? VS_LE_WORSE : VS_LE_EASIER);
}

void vs_offline_rank(struct vs_turn *t, unsigned rule, unsigned device, enum vs_priority p)
{
	struct vs_engine *e = t->e;
	struct vs_standing *a = vs_standing_of(e, vs_silence_place(e, device));
	if (a && p != VS_PRIORITY_NONE) {
		vs_rank(t, a, p);
	} else if (a) {
		t->dirty = true;
		live(t, a, VS_LE_END);
	} else if (p != VS_PRIORITY_NONE) {
		a = fresh(t, vs_silence_place(e, device), rule);
		const struct vs_found f = { .priority = p, .value = NAN, .limit = NAN, .device = (uint8_t)device,
			.source = VS_METRIC_NONE, .waited_ms = (uint32_t)(t->at - e->rules[vs_silence_place(e, device)].heard.heard_ms) };
		fill(t, a, &f);
	}
}

void vs_drop(struct vs_turn *t, struct vs_standing *a)
{
	if (!per_device(t->e, a))
		t->e->rules[a->rule].holds = false;
	if (a->life == VS_LIFE_IDLE)
		release(t->e, a);
	else
		live(t, a, VS_LE_END);
	t->dirty = true;
}

/* ---- tiers ------------------------------------------------------------------------------------------------------- */

static bool outranks(const struct vs_standing *a, const struct vs_standing *b, bool high)
{
	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (a->limit != b->limit)
		return high ? a->limit > b->limit : a->limit < b->limit;
	return a->rule < b->rule;
}

/* Of one metric and direction only the highest is announced; a silent device speaks for its metrics. */
static bool covered(const struct vs_engine *e, const struct vs_standing *a, const uint8_t *places, unsigned n)
{
	const struct vs_rule *r = rule_of(e, a);
	if (r->type == VS_RULE_SIGNAL_LOSS)
		return vs_device_silent(e, a->device);
	if (r->type != VS_RULE_THRESHOLD)
		return false;
	const char *direction = vs_when_direction(r->when);
	for (unsigned i = 0; i < n; i++) {
		const struct vs_standing *b = &e->rules[places[i]].alarm;
		if (b == a || !holds(e, b))
			continue;
		const struct vs_rule *q = rule_of(e, b);
		if (q->type == VS_RULE_THRESHOLD && q->metric == r->metric && vs_when_direction(q->when) == direction &&
		    outranks(b, a, direction[0] == 'h'))
			return true;
	}
	return false;
}

static bool is_quiet(const struct vs_engine *e, const struct vs_rule *r, uint64_t at)
{
	return r->quiet_ms && e->phase == r->quiet_phase && at - e->phase_ms < r->quiet_ms;
}

static bool announced(const struct vs_standing *a)
{
	return a->life == VS_LIFE_SOUNDING || a->life == VS_LIFE_ACKED || a->life == VS_LIFE_PAUSED ||
		a->life == VS_LIFE_QUIET;
}

static void announce(struct vs_turn *t, struct vs_standing *a)
{
	enum vs_life_event event = VS_LE_RAISE;
	if (is_quiet(t->e, rule_of(t->e, a), t->at))
		event = VS_LE_RAISE_QUIET;
	else if (t->e->paused_ms > t->at && a->priority <= VS_PRIORITY_LOW)
		event = VS_LE_RAISE_PAUSED;
	if (!isnan(a->latest))
		a->value = a->latest;
	a->said_ms = t->at;
	a->called = false;
	live(t, a, event);
}

void vs_settle(struct vs_turn *t)
{
	struct vs_engine *e = t->e;
	if (!t->dirty && !e->unsettled)
		return;
	t->dirty = e->unsettled = false;
	bool below[VS_ENGINE_ALARMS];
	uint8_t places[VS_ENGINE_ALARMS];
	unsigned n = vs_standing_places(e, places);
	for (unsigned i = 0; i < n; i++) {
		const struct vs_standing *a = &e->rules[places[i]].alarm;
		below[i] = holds(e, a) && covered(e, a, places, n);
	}
	for (unsigned i = 0; i < n; i++) {
		struct vs_standing *a = &e->rules[places[i]].alarm;
		if (holds(e, a) && !below[i] && !announced(a))
			announce(t, a);
	}
	for (unsigned i = 0; i < n; i++) {
		struct vs_standing *a = &e->rules[places[i]].alarm;
		if (below[i] && a->life != VS_LIFE_COVERED)
			live(t, a, announced(a) ? VS_LE_COVER : VS_LE_RAISE_COVERED);
	}
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

enum vs_priority vs_threshold_priority(const struct vs_engine *e, const struct vs_standing *a, uint64_t at)
{
	const struct vs_rule *r = rule_of(e, a);
	enum vs_priority p = r->priority;
	for (unsigned i = 0; i < r->n_steps; i++) {
		const struct vs_step *s = &r->steps[i];
		bool now = (s->phases & VS_PHASE_BIT(e->phase)) && at - a->raised_ms >= s->after_ms &&
			(isnan(s->at) || vs_when_holds(r->when, a->latest, s->at));
		/* one sample less bad than a step's limit is no reason to speak of less */
		bool sticky = !isnan(s->at) && vs_channel_of(e, r->metric) < VS_CH_COUNT && a->priority >= s->to &&
			a->life != VS_LIFE_IDLE;
		if ((now || sticky) && s->to > p)
			p = s->to;
	}
	return p;
}

static bool unanswered(const struct vs_standing *a)
{
	return a->life == VS_LIFE_SOUNDING || a->life == VS_LIFE_PAUSED || a->life == VS_LIFE_LATCHED ||
		a->life == VS_LIFE_LATCHED_PAUSED;
}

/* Nobody answered: call a second person.  Somebody did, and it is still there: say it again. */
static void remind(struct vs_turn *t, struct vs_standing *a)
{
	const struct vs_announcing *n = &t->e->set->announcing;
	uint32_t after = unanswered(a) ? n->unacknowledged_ms[a->priority] : n->reannounce_ms[a->priority];
	if (!after || t->at - a->said_ms < after || (unanswered(a) ? a->called : !acked(a)))
		return;
	char id[24];
	bool second = unanswered(a);
	struct vs_request_event *q = vs_request(t, second ? "call-second" : "alarm-reminder", rule_of(t->e, a)->id, t->at,
		second ? "%s (%s priority) is not acknowledged" : "%s (%s priority) still stands",
		vs_alarm_id_text(a->number, id), vs_priority_name(a->priority));
	if (q)
		q->alarm = a->number;
	if (second)
		a->called = true;
	else
		a->said_ms = t->at;
	t->out->durable = true;
}

void vs_alarms_time(struct vs_turn *t)
{
	struct vs_engine *e = t->e;
	if (e->paused_ms && e->paused_ms <= t->at)
		e->paused_ms = 0;
	uint8_t places[VS_ENGINE_ALARMS];
	unsigned n = vs_standing_places(e, places);
	for (unsigned i = 0; i < n; i++) {
		struct vs_standing *a = &e->rules[places[i]].alarm;
		const struct vs_rule *r = rule_of(e, a);
		if (r->type == VS_RULE_THRESHOLD && e->rules[a->rule].holds && a->life != VS_LIFE_IDLE)
			vs_rank(t, a, vs_threshold_priority(e, a, t->at));
		if ((a->life == VS_LIFE_PAUSED || a->life == VS_LIFE_LATCHED_PAUSED) && !e->paused_ms)
			live(t, a, VS_LE_RESUME);
		if (a->life == VS_LIFE_QUIET && !is_quiet(e, r, t->at))
			live(t, a, VS_LE_LOUD);
		remind(t, a);
	}
}

static uint64_t later_than(uint64_t now, uint64_t due)
{
	return due > now ? due : UINT64_MAX;
}

static uint64_t standing_due(const struct vs_engine *e, const struct vs_standing *a)
{
	const struct vs_rule *r = rule_of(e, a);
	const struct vs_announcing *n = &e->set->announcing;
	uint64_t due = UINT64_MAX;
	if (r->type == VS_RULE_THRESHOLD)
		for (unsigned i = 0; i < r->n_steps; i++)
			if (r->steps[i].after_ms)
				due = vs_sooner(due, later_than(e->now_ms, a->raised_ms + r->steps[i].after_ms));
	if (a->life == VS_LIFE_QUIET)
		due = vs_sooner(due, later_than(e->now_ms, e->phase_ms + r->quiet_ms));
	if (unanswered(a) && !a->called && n->unacknowledged_ms[a->priority])
		due = vs_sooner(due, later_than(e->now_ms, a->said_ms + n->unacknowledged_ms[a->priority]));
	if (acked(a) && n->reannounce_ms[a->priority])
		due = vs_sooner(due, later_than(e->now_ms, a->said_ms + n->reannounce_ms[a->priority]));
	return due;
}

uint64_t vs_alarms_due(const struct vs_engine *e)
{
	uint64_t due = UINT64_MAX;
	for (unsigned word = 0; word < 2; word++)
		for (uint64_t left = e->standing[word]; left; left &= left - 1)
			due = vs_sooner(due, standing_due(e, &e->rules[64 * word + vs_first(left)].alarm));
	return due;
}

/* ---- people ------------------------------------------------------------------------------------------------------ */

static bool acknowledge(struct vs_turn *t, struct vs_standing *a)
{
	if (!live(t, a, VS_LE_ACK))
		return false;
	a->said_ms = t->at;
	if (a->life == VS_LIFE_LATCHED_ACKED)
		live(t, a, VS_LE_END);
	else if (rule_of(t->e, a)->type == VS_RULE_FALL_AFTER) /* it was an event */
		vs_finish(t, a->rule);
	return true;
}

static void acknowledge_one(struct vs_turn *t, uint64_t number)
{
	char id[24];
	uint8_t places[VS_ENGINE_ALARMS];
	unsigned n = vs_standing_places(t->e, places);
	for (unsigned i = 0; i < n; i++) {
		struct vs_standing *a = &t->e->rules[places[i]].alarm;
		if (a->number != number)
			continue;
		if (!acknowledge(t, a))
			vs_refuse(t, "alarm %s is %s already", vs_alarm_id_text(number, id), vs_life_name(a->life));
		return;
	}
	vs_refuse(t, "no alarm %s stands at this chair", vs_alarm_id_text(number, id));
}

static void acknowledge_all(struct vs_turn *t)
{
	uint8_t places[VS_ENGINE_ALARMS];
	unsigned n = vs_standing_places(t->e, places), done = 0;
	for (unsigned i = 0; i < n; i++)
		done += acknowledge(t, &t->e->rules[places[i]].alarm);
	if (!done)
		vs_refuse(t, "no alarm waits for an acknowledgement at this chair");
}

static void pause_audio(struct vs_turn *t, uint32_t for_ms)
{
	const struct vs_announcing *n = &t->e->set->announcing;
	uint32_t most = n->pause_most_ms, wanted = for_ms ? for_ms : n->pause_ms;
	if (!wanted || (most && wanted > most)) {
		vs_refuse(t, "the sound can be paused for at most %u s", (unsigned)(most / 1000));
		return;
	}
	t->e->paused_ms = t->at + wanted;
	t->out->durable = true;
	uint8_t places[VS_ENGINE_ALARMS];
	unsigned standing = vs_standing_places(t->e, places);
	for (unsigned i = 0; i < standing; i++)
		live(t, &t->e->rules[places[i]].alarm, VS_LE_PAUSE);
}

static void resume_audio(struct vs_turn *t)
{
	if (!t->e->paused_ms)
		vs_refuse(t, "the sound is not paused at this chair");
	t->e->paused_ms = 0;
	uint8_t places[VS_ENGINE_ALARMS];
	unsigned n = vs_standing_places(t->e, places);
	for (unsigned i = 0; i < n; i++)
		live(t, &t->e->rules[places[i]].alarm, VS_LE_RESUME);
}

void vs_alarms_command(struct vs_turn *t, const struct vs_stimulus *s)
{
	if (s->kind == VS_ST_PAUSE)
		pause_audio(t, s->for_ms);
	else if (s->kind == VS_ST_RESUME)
		resume_audio(t);
	else if (s->alarm)
		acknowledge_one(t, s->alarm);
	else
		acknowledge_all(t);
}
