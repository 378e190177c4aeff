/* What of an engine outlives a restart, as bytes: little-endian, versioned, every length checked when read.
 * Rules and devices are kept by their names, because the next start may come with another configuration. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "alarms/inside.h"

/* The last one is the version.  Version 1 had with each alarm until when it was paused: that is the chair's, too. */
static const uint8_t magic[4] = { 'V', 'S', 'E', 2 };

/* One pass for both ways: reading and writing a field are the same line. */
struct pack {
	uint8_t *buf;
	const uint8_t *from;
	size_t len, cap;
	bool failed;
	uint8_t version;
	int64_t shift; /* reading: old monotonic time plus this is the new one */
};

static bool room(struct pack *p, size_t n)
{
	if (p->failed || n > p->cap - p->len)
		p->failed = true;
	return !p->failed;
}

static void bytes(struct pack *p, void *v, size_t n)
{
	if (!room(p, n)) {
		if (p->from)
			memset(v, 0, n);
		return;
	}
	if (p->from)
		memcpy(v, p->from + p->len, n);
	else
		memcpy(p->buf + p->len, v, n);
	p->len += n;
}

static void u64(struct pack *p, uint64_t *v)
{
	uint8_t b[8];
	for (unsigned i = 0; i < 8; i++)
		b[i] = (uint8_t)(*v >> (8 * i));
	bytes(p, b, sizeof b);
	if (!p->from)
		return;
	*v = 0;
	for (unsigned i = 0; i < 8; i++)
		*v |= (uint64_t)b[i] << (8 * i);
}

static void u32(struct pack *p, uint32_t *v)
{
	uint8_t b[4] = { (uint8_t)*v, (uint8_t)(*v >> 8), (uint8_t)(*v >> 16), (uint8_t)(*v >> 24) };
	bytes(p, b, sizeof b);
	if (p->from)
		*v = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void u8(struct pack *p, uint8_t *v)
{
	bytes(p, v, 1);
}

static void flag(struct pack *p, bool *v)
{
	uint8_t b = *v;
	bytes(p, &b, 1);
	if (p->from)
		*v = b != 0;
}

static void number(struct pack *p, double *v)
{
	uint64_t u;
	memcpy(&u, v, sizeof u);
	u64(p, &u);
	if (p->from)
		memcpy(v, &u, sizeof u);
}

/* A monotonic time; 0: never.  What lies before the start of the new clock is taken as its first instant. */
static void when(struct pack *p, uint64_t *v)
{
	u64(p, v);
	if (!p->from || !*v || *v == UINT64_MAX)
		return;
	int64_t t;
	if (*v > INT64_MAX || __builtin_add_overflow((int64_t)*v, p->shift, &t))
		p->failed = true;
	else
		*v = t > 0 ? (uint64_t)t : 1;
}

static void wall(struct pack *p, int64_t *v)
{
	uint64_t u = (uint64_t)*v;
	u64(p, &u);
	*v = (int64_t)u;
}

static void name(struct pack *p, char *v, size_t cap)
{
	uint8_t len = (uint8_t)strnlen(v, cap - 1);
	u8(p, &len);
	if (len >= cap)
		p->failed = true;
	if (p->failed) {
		v[0] = '\0';
		return;
	}
	bytes(p, v, len);
	v[len] = '\0';
}

static void cuff(struct pack *p, struct vs_cuff *c)
{
	when(p, &c->at_ms);
	number(p, &c->sys);
	number(p, &c->dia);
	number(p, &c->map);
	number(p, &c->pr);
	number(p, &c->hr);
	u8(p, &c->device);
	flag(p, &c->jump_only);
}

static void because(struct pack *p, struct vs_because *b)
{
	number(p, &b->baseline);
	for (unsigned i = 0; i < VS_SEEN_MAX; i++) {
		uint32_t ago = (uint32_t)b->seen_ms[i];
		number(p, &b->seen[i]);
		u32(p, &ago);
		b->seen_ms[i] = (int32_t)ago;
	}
	u32(p, &b->waited_ms);
	u8(p, &b->n_seen);
	u8(p, &b->origin);
	flag(p, &b->promoted);
	if (b->n_seen > VS_SEEN_MAX || b->origin > VS_FROM_OPERATOR)
		p->failed = true;
}

static void standing(struct pack *p, struct vs_standing *a)
{
	u64(p, &a->number);
	when(p, &a->raised_ms);
	when(p, &a->said_ms);
	if (p->version < 2)
		when(p, &(uint64_t){ 0 });
	wall(p, &a->onset_wall_ms);
	number(p, &a->value);
	number(p, &a->limit);
	number(p, &a->latest);
	because(p, &a->because);
	u8(p, &a->rule);
	u8(p, &a->device);
	u8(p, &a->priority);
	u8(p, &a->life);
	u8(p, &a->change);
	u8(p, &a->source);
	flag(p, &a->called);
	name(p, a->by, sizeof a->by);
	if (a->rule >= VS_RULES_MAX || a->priority >= VS_PRIORITY_COUNT || a->source > VS_METRIC_NONE || a->life == VS_LIFE_IDLE ||
	    a->life >= VS_LIFE_LATCHED_ACKED || a->change >= VS_CHANGE_COUNT || !a->number)
		p->failed = true;
}

static void rule_state(struct pack *p, struct vs_rule_state *rs)
{
	number(p, &rs->limit);
	number(p, &rs->own);
	when(p, &rs->since_ms);
	when(p, &rs->safe_ms);
	when(p, &rs->raised_ms);
	u32(p, &rs->frozen_ms);
	u8(p, &rs->count);
	flag(p, &rs->holds);
}

static void session(struct pack *p, struct vs_engine *e)
{
	u8(p, &e->phase);
	when(p, &e->phase_ms);
	when(p, &e->infusion_ms);
	when(p, &e->paused_ms);
	if (p->from && e->paused_ms > e->now_ms && e->paused_ms - e->now_ms > UINT32_MAX)
		p->failed = true; /* no pause is as long as that */
	when(p, &e->asked_ms);
	when(p, &e->trend_cuff_ms);
	u32(p, &e->own_interval_ms);
	u32(p, &e->interval_ms);
	u8(p, &e->fails);
	flag(p, &e->cuff_seen);
	flag(p, &e->has_ecg);
	uint32_t n = e->baseline.len;
	u32(p, &n);
	if (n > VS_BASELINE_MAX || e->phase >= VS_PHASE_COUNT)
		p->failed = true;
	e->baseline.len = p->failed ? 0 : n;
	for (unsigned i = 0; i < e->baseline.len; i++) {
		uint8_t m = (uint8_t)e->baseline.at[i].metric;
		u8(p, &m);
		e->baseline.at[i].metric = m;
		number(p, &e->baseline.at[i].value);
		if (m >= VS_METRIC_COUNT)
			p->failed = true;
	}
	for (unsigned i = 0; i < VS_FAULT_COUNT; i++) {
		when(p, &e->faults[i].since_ms);
		number(p, &e->faults[i].value);
	}
}

static void readings(struct pack *p, struct vs_engine *e)
{
	u8(p, &e->n_cuffs);
	if (e->n_cuffs > VS_CUFFS) {
		p->failed = true;
		e->n_cuffs = 0;
	}
	for (unsigned i = 0; i < e->n_cuffs; i++)
		cuff(p, &e->cuffs[i]);
	flag(p, &e->has_suspect);
	cuff(p, &e->suspect);
	for (unsigned ch = 0; ch < VS_CH_COUNT; ch++) {
		when(p, &e->track[ch].valid_ms);
		u8(p, &e->track[ch].device);
	}
}

/* The names of the rules and devices that indices in the bytes speak of. */
struct names {
	uint8_t n_rules, n_devices;
	char rule[VS_RULES_MAX][VS_RULE_ID_CAP];
	char device[VS_ENGINE_DEVICES][VS_RULE_ID_CAP];
};

static void put_names(struct pack *p, struct names *n)
{
	u8(p, &n->n_rules);
	u8(p, &n->n_devices);
	if (n->n_rules > VS_RULES_MAX || n->n_devices > VS_ENGINE_DEVICES)
		p->failed = true;
	if (p->failed)
		n->n_rules = n->n_devices = 0;
	for (unsigned i = 0; i < n->n_rules && !p->failed; i++)
		name(p, n->rule[i], VS_RULE_ID_CAP);
	for (unsigned i = 0; i < n->n_devices && !p->failed; i++)
		name(p, n->device[i], VS_RULE_ID_CAP);
}

static void names_of(const struct vs_engine *e, struct names *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->n_rules = (uint8_t)e->set->n_rules;
	ret->n_devices = (uint8_t)vs_devices(e->config);
	for (unsigned i = 0; i < ret->n_rules; i++)
		memcpy(ret->rule[i], e->set->rules[i].id, VS_RULE_ID_CAP);
	for (unsigned i = 0; i < ret->n_devices; i++)
		strncpy(ret->device[i], e->config->devices[i].id, VS_RULE_ID_CAP - 1);
}

static void put_heard(struct pack *p, struct vs_heard *h)
{
	when(p, &h->heard_ms);
	for (unsigned i = 0; i < 4; i++)
		number(p, &h->last[i]);
}

static bool rule_rests(const struct vs_rule_state *rs)
{
	return isnan(rs->own) && !rs->since_ms && !rs->safe_ms && !rs->raised_ms && !rs->count && !rs->holds;
}

size_t vs_engine_save(const struct vs_engine *engine, int64_t wall_ms, uint8_t *buf, size_t cap)
{
	struct vs_engine e;
	struct names n;
	struct pack p = { .buf = buf, .cap = cap, .version = magic[3] };
	uint8_t places[VS_ENGINE_ALARMS], alarms = (uint8_t)vs_standing_places(engine, places);
	vs_engine_copy(&e, engine);
	uint8_t head[4] = { 0 };
	memcpy(head, magic, sizeof head);
	bytes(&p, head, sizeof head);
	u64(&p, &e.now_ms);
	wall(&p, &wall_ms);
	names_of(&e, &n);
	put_names(&p, &n);
	session(&p, &e);
	readings(&p, &e);
	for (unsigned d = 0; d < n.n_devices; d++)
		put_heard(&p, &e.rules[vs_silence_place(&e, d)].heard);
	for (unsigned i = 0; i < n.n_rules; i++) {
		bool kept = !rule_rests(&e.rules[i]);
		flag(&p, &kept);
		if (kept)
			rule_state(&p, &e.rules[i]);
	}
	u8(&p, &alarms);
	for (unsigned i = 0; i < alarms; i++)
		standing(&p, &e.rules[places[i]].alarm);
	return p.failed ? 0 : p.len;
}

/* ---- the way back ------------------------------------------------------------------------------------------------ */

static unsigned rule_now(const struct vs_engine *e, const char *id)
{
	const struct vs_rule *r = vs_rule_find(e->set, id);
	return r ? (unsigned)(r - e->set->rules) : VS_RULES_MAX;
}

static unsigned device_now(const struct vs_engine *e, const struct names *n, unsigned d)
{
	for (unsigned i = 0; d < n->n_devices && i < e->config->n_devices && i < VS_ENGINE_DEVICES; i++)
		if (strncmp(e->config->devices[i].id, n->device[d], VS_RULE_ID_CAP) == 0)
			return i;
	return VS_DEVICE_NONE;
}

/* How long nobody watched: by the monotonic clock if it went on, else by the wall clock. */
static int64_t away_ms(int64_t then_ms, int64_t now_ms, int64_t then_wall, int64_t now_wall)
{
	int64_t by_wall, by_clock = now_ms - then_ms, apart;
	if (__builtin_sub_overflow(now_wall, then_wall, &by_wall))
		by_wall = 0; /* no clock: nothing is known */
	if (by_clock >= 0 && !__builtin_sub_overflow(by_clock, by_wall, &apart) && apart < 5000 && apart > -5000)
		return by_clock;
	return by_wall > 0 ? by_wall : 0;
}

/* What is added to an old monotonic time to have the new one. */
static int64_t shift_of(struct pack *p, uint64_t then_ms, uint64_t now_ms, int64_t then_wall, int64_t now_wall)
{
	int64_t shift = 0;
	if (then_ms > INT64_MAX || now_ms > INT64_MAX ||
	    __builtin_sub_overflow((int64_t)now_ms - (int64_t)then_ms,
		    away_ms((int64_t)then_ms, (int64_t)now_ms, then_wall, now_wall), &shift))
		p->failed = true;
	return shift;
}

/* Cuff readings from before the clock began have no age any more. */
static void drop_ageless(struct vs_engine *e)
{
	unsigned n = 0;
	for (unsigned i = 0; i < e->n_cuffs; i++)
		if (e->cuffs[i].at_ms > 1)
			e->cuffs[n++] = e->cuffs[i];
	e->n_cuffs = (uint8_t)n;
	e->has_suspect = e->has_suspect && e->suspect.at_ms > 1;
}

static bool place_alarm(struct vs_engine *e, struct vs_standing a, const struct names *n)
{
	unsigned rule = a.rule < n->n_rules ? rule_now(e, n->rule[a.rule]) : VS_RULES_MAX;
	if (rule >= VS_RULES_MAX)
		return false;
	a.rule = (uint8_t)rule;
	a.device = (uint8_t)device_now(e, n, a.device);
	bool offline = e->set->rules[rule].type == VS_RULE_DEVICE_OFFLINE;
	if (offline && a.device == VS_DEVICE_NONE)
		return false;
	unsigned place = offline ? vs_silence_place(e, a.device) : rule;
	if (e->rules[place].alarm.number)
		return false;
	e->rules[place].alarm = a;
	vs_standing_mark(e, place, true);
	return true;
}

/* Signals and devices get time to come back, unless they were missed before. */
static void give_time(struct vs_engine *e, uint64_t now)
{
	for (unsigned d = 0; d < vs_devices(e->config); d++)
		if (!vs_device_silent(e, d))
			e->rules[vs_silence_place(e, d)].heard.heard_ms = now;
	for (unsigned ch = 0; ch < VS_CH_COUNT; ch++) {
		bool missed = false;
		for (unsigned i = 0; i < e->set->n_rules; i++)
			missed |= e->rules[i].alarm.number && e->set->rules[i].type == VS_RULE_SIGNAL_LOSS;
		if (e->track[ch].valid_ms && !missed)
			e->track[ch].valid_ms = now;
		e->track[ch].undefined_ms = e->track[ch].valid_ms;
	}
}

static void read_rules(struct pack *p, struct vs_engine *e, const struct names *n)
{
	for (unsigned i = 0; i < n->n_rules && !p->failed; i++) {
		bool kept = false;
		flag(p, &kept);
		if (!kept)
			continue;
		struct vs_rule_state rs;
		vs_rule_state_blank(&rs);
		rule_state(p, &rs);
		unsigned k = rule_now(e, n->rule[i]);
		if (k < VS_RULES_MAX)
			e->rules[k] = rs;
	}
}

static void read_devices(struct pack *p, struct vs_engine *e, const struct names *n)
{
	for (unsigned d = 0; d < n->n_devices; d++) {
		struct vs_heard heard;
		unsigned k = device_now(e, n, d);
		put_heard(p, &heard);
		if (k < VS_ENGINE_DEVICES)
			e->rules[vs_silence_place(e, k)].heard = heard;
	}
	for (unsigned ch = 0; ch < VS_CH_COUNT; ch++)
		e->track[ch].device = (uint8_t)device_now(e, n, e->track[ch].device);
	for (unsigned i = 0; i < e->n_cuffs; i++)
		e->cuffs[i].device = (uint8_t)device_now(e, n, e->cuffs[i].device);
	e->suspect.device = (uint8_t)device_now(e, n, e->suspect.device);
}

static void read_alarms(struct pack *p, struct vs_engine *e, const struct names *n)
{
	uint8_t alarms = 0;
	u8(p, &alarms);
	if (alarms > VS_ENGINE_ALARMS)
		p->failed = true;
	for (unsigned i = 0; i < alarms && !p->failed; i++) {
		struct vs_standing a = { 0 };
		standing(p, &a);
		if (!p->failed)
			place_alarm(e, a, n);
	}
	/* a condition without its alarm is found again; limits follow from baseline and set */
	for (unsigned i = 0; i < e->set->n_rules; i++)
		if (!e->rules[i].alarm.number && !e->set->rules[i].log_only)
			e->rules[i].holds = false;
}

/* What restore reads, up to the alarms. */
static int read_saved(struct pack *p, struct vs_engine *fresh, struct names *n, int64_t wall_ms)
{
	uint8_t head[4] = { 0 };
	uint64_t then_ms = 0;
	int64_t then_wall = 0;
	bytes(p, head, sizeof head);
	p->version = head[3];
	if (p->failed || memcmp(head, magic, 3) != 0 || p->version < 1 || p->version > magic[3])
		return -EINVAL;
	u64(p, &then_ms);
	wall(p, &then_wall);
	p->shift = shift_of(p, then_ms, fresh->now_ms, then_wall, wall_ms);
	put_names(p, n);
	session(p, fresh);
	readings(p, fresh);
	read_devices(p, fresh, n);
	read_rules(p, fresh, n);
	return 0;
}

unsigned vs_engine_left_behind(const struct vs_engine *e, const uint8_t *buf, size_t len, struct vs_left_behind *ret,
	unsigned cap)
{
	struct vs_engine scratch;
	struct names n = { 0 };
	struct pack p = { .from = buf, .cap = len };
	uint8_t alarms = 0, places[VS_ENGINE_ALARMS];
	const unsigned standing_now = vs_standing_places(e, places);
	unsigned found = 0;
	vs_engine_copy(&scratch, e);
	if (read_saved(&p, &scratch, &n, 0) < 0)
		return 0;
	u8(&p, &alarms);
	for (unsigned i = 0; i < alarms && !p.failed && found < cap; i++) {
		struct vs_standing a = { 0 };
		unsigned k = standing_now;
		standing(&p, &a);
		while (k && e->rules[places[k - 1]].alarm.number != a.number)
			k--;
		if (p.failed || k || a.rule >= n.n_rules)
			continue;
		ret[found].number = a.number;
		ret[found].priority = a.priority;
		ret[found].onset_wall_ms = a.onset_wall_ms;
		snprintf(ret[found].rule, sizeof ret[found].rule, "%s", n.rule[a.rule]);
		found++;
	}
	return found;
}

int vs_engine_restore(struct vs_engine *e, const uint8_t *buf, size_t len, int64_t wall_ms)
{
	struct vs_engine fresh;
	struct names n = { 0 };
	struct pack p = { .from = buf, .cap = len };
	vs_engine_copy(&fresh, e);
	int r = read_saved(&p, &fresh, &n, wall_ms);
	if (r < 0)
		return r;
	read_alarms(&p, &fresh, &n);
	if (p.failed || p.len != len)
		return -EINVAL;
	drop_ageless(&fresh);
	give_time(&fresh, fresh.now_ms);
	vs_limits_work_out(&fresh);
	vs_watch_work_out(&fresh);
	fresh.unsettled = true;
	fresh.wake_ms = fresh.now_ms + 1; /* whatever became due meanwhile is said at once */
	vs_engine_copy(e, &fresh);
	return 0;
}
