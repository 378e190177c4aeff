/* Random nights: whatever devices send and people do, what a nurse relies on holds (design: what must never happen).
 *
 * Two engines live through the same night; one of them is also called at other times, which must not matter.  Beside
 * them the night keeps its own book of what was sent and told, and holds the engine to it:
 *
 *	told      what stands is what was told, message by message; one tier of a metric; nothing changes unsaid
 *	missing   no alarm ends but by numbers that came, by a person, or by another configuration
 *	due       a critical value that stays, and a device that is silent, have their alarm in time
 *	measured  an alarm's value is one that was sent as new and possible
 *	people    only an acknowledgement acknowledges, only a pause pauses, and neither what is new or worse
 *	restart   after a restart everything goes on: ids, states, acknowledgements, phase; cut bytes are refused
 *
 * Seeded, so that a failure can be looked at again.  VITALS_NIGHTS=N runs N nights from VITALS_NIGHTS_FROM on,
 * VITALS_NIGHT=SEED just one, and prints what it says.  One night in a hundred lasts eight hours, the others a quarter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/adult.h"
#include "tests/unit/story.h"

#define EPOCH 1000000000000
#define IDS 8192
#define LIVE (VS_ENGINE_ALARMS + VS_EFFECTS_MAX)

static struct vs_limit_set clinic; /* the same, some rules gone or of another metric */

/* ---- chance ---- */

struct chance {
	uint64_t state;
};

static uint64_t draw(struct chance *c) /* splitmix64 */
{
	uint64_t z = (c->state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static unsigned upto(struct chance *c, unsigned n)
{
	return (unsigned)(draw(c) % n);
}

/* ---- what a night contained, to be printed; each must have happened ---- */

#define HAPPENINGS(X) \
	X(readings) X(duplicated) X(reordered) X(not_a_number) X(impossible) X(old_cuffs) X(suspect) X(rejected) X(silences) \
	X(commands) X(refused) X(requests) X(restarts) X(reconfigured) X(clock_steps) \
	X(raised_low) X(raised_medium) X(raised_high) X(escalated) X(deescalated) X(superseded) X(acknowledged) \
	X(audio_paused) X(resumed) X(latched) X(cleared) \
	X(due_saturation) X(due_rate) X(due_pressure) X(due_offline) X(high_without_data)
#define MEMBER_OF(name) unsigned long name;
static struct happened {
	HAPPENINGS(MEMBER_OF)
} happened;

/* ---- the book ---- */

enum { MONITOR, OXIMETER, PUMP, DEVICES }; /* ECG and cuff; pulse and saturation; one that is quiet by nature */

struct told {
	enum vs_change change;
	enum vs_alarm_state state;
	enum vs_signal signal;
	enum vs_priority priority;
	const struct vs_rule *rule;
	char device;
};

/* A value that stays beyond a limit. */
struct stay {
	const char *rule;
	enum vs_metric metric;
	bool above;
	double limit;
	uint64_t since_ms, last_ms;
};

struct night {
	struct vs_engine engine, other; /* other: called at other times */
	struct vs_engine_config configs[2], other_configs[2]; /* before and after a new configuration */
	unsigned config;
	struct vs_effects effects, others;
	uint64_t next_alarm, next_other;
	struct told told[IDS];
	unsigned live[LIVE], n_live; /* numbers of the alarms that stand, as told */
	uint64_t now, seed, end;
	int64_t wall_shift;
	unsigned long steps;
	uint64_t sample_ms[VS_METRIC_COUNT], sample_before_ms[VS_METRIC_COUNT]; /* a possible number was sent */
	double cuffs[64][3];     /* pressures that were sent as new */
	unsigned n_cuffs;
	uint64_t heard_ms[DEVICES], paused_ms, blind_ms;
	bool mute[DEVICES], probe_off;
	struct stay stays[3];
	double hr, spo2, sys, dia;
	uint64_t cuff_ms;
	const struct vs_stimulus *now_comes; /* what the effects at hand follow from; NULL: another configuration */
};

#define MUST(night, condition, what)                                                                              \
	do {                                                                                                      \
		if (!(condition)) {                                                                               \
			print_error("night %llu, second %g: %s\n", (unsigned long long)(night)->seed,              \
				((night)->now - EPOCH) / 1000.0, what);                                            \
			fail();                                                                                   \
		}                                                                                                 \
	} while (0)

static bool possible_after(enum vs_change before, enum vs_change now)
{
	if (before == VS_CHANGE_NONE)
		return now == VS_CHANGE_RAISED || now == VS_CHANGE_SUPERSEDED;
	return before != VS_CHANGE_CLEARED;
}

static bool of(const struct night *n, enum vs_stimulus_kind k)
{
	return n->now_comes && n->now_comes->kind == k;
}

/* ---- missing: when did a number come that could have ended it? ---- */

static bool is_rate(enum vs_metric m)
{
	return m == VS_HR || m == VS_PR || m == VS_NIBP_PR;
}

static uint64_t newest_number(const struct night *n, enum vs_metric m, uint64_t at_ms)
{
	static const enum vs_metric rates[] = { VS_HR, VS_PR, VS_NIBP_PR };
	uint64_t newest = 0;
	for (unsigned i = 0; i < (is_rate(m) ? 3 : 1); i++) {
		enum vs_metric k = m == VS_RPP ? VS_NIBP_SYS : is_rate(m) ? rates[i] : m;
		uint64_t ms = n->sample_ms[k] <= at_ms ? n->sample_ms[k] : n->sample_before_ms[k];
		newest = ms > newest ? ms : newest;
	}
	return newest;
}

/* A signal: within its median; a trend: until it is suspended; a cuff: unless a suspect reading waited for its repeat. */
static void ends_by_numbers(struct night *n, const struct vs_effect *f)
{
	const struct vs_rule *r = f->u.alarm.rule;
	bool body = r->type == VS_RULE_THRESHOLD || r->type == VS_RULE_DROP || r->type == VS_RULE_TREND;
	if (!body || !n->now_comes || of(n, VS_ST_ACK) || of(n, VS_ST_PHASE) || of(n, VS_ST_SCORE) || of(n, VS_ST_LIMIT) ||
	    of(n, VS_ST_BASELINE))
		return;
	bool cuff = vs_metric_is_nibp(r->metric) || r->metric == VS_RPP;
	uint64_t most = cuff ? adult->validity.suspect_accept_ms : r->type == VS_RULE_TREND ? r->trend.suspend_ms : adult->validity.median_ms;
	uint64_t newest = newest_number(n, r->metric, f->at_ms);
	if (f->at_ms - newest > most)
		print_error("%s, %s: ends at %g, newest number at %g\n", r->id, f->u.alarm.text, (f->at_ms - EPOCH) / 1000.0,
			(newest - EPOCH) / 1000.0);
	MUST(n, f->at_ms - newest <= most, "missing data ended an alarm");
}

/* ---- measured ---- */

static void value_was_sent(struct night *n, const struct vs_effect *f)
{
	const struct vs_rule *r = f->u.alarm.rule;
	double v = f->u.alarm.value;
	MUST(n, !isinf(v), "an alarm of an infinite value");
	if (r->type != VS_RULE_THRESHOLD || r->metric == VS_RPP || r->metric >= VS_STATUS)
		return;
	MUST(n, v * 2 == floor(v * 2), "an alarm of a number that is impossible, or old"); /* those have other fractions */
	if (!vs_metric_is_nibp(r->metric))
		return;
	bool found = false;
	for (unsigned i = 0; i < 64 && i < n->n_cuffs; i++)
		found |= n->cuffs[i][r->metric - VS_NIBP_SYS] == v;
	MUST(n, found, "an alarm of a pressure that was not measured");
}

/* ---- people ---- */

static void only_people_quieten(struct night *n, const struct told *before, const struct vs_effect *f)
{
	const struct vs_alarm_event *a = &f->u.alarm;
	bool low_in_pause = a->priority <= VS_PRIORITY_LOW && n->paused_ms > f->at_ms;
	bool quiet = a->rule->quiet_ms && a->priority <= VS_PRIORITY_LOW;
	if (a->change == VS_CHANGE_RAISED)
		MUST(n, a->signal == VS_SIGNAL_ON || (a->signal == VS_SIGNAL_AUDIO_PAUSED && low_in_pause) ||
			(a->signal == VS_SIGNAL_AUDIO_OFF && quiet), "something new does not sound");
	if (a->signal == VS_SIGNAL_ACKNOWLEDGED && before->signal != VS_SIGNAL_ACKNOWLEDGED)
		MUST(n, of(n, VS_ST_ACK) && (!n->now_comes->alarm || n->now_comes->alarm == a->number) && a->by[0],
			"acknowledged, and nobody acknowledged it");
	if (a->signal == VS_SIGNAL_AUDIO_PAUSED && before->signal != VS_SIGNAL_AUDIO_PAUSED)
		MUST(n, of(n, VS_ST_PAUSE) || low_in_pause || a->state == VS_ALARM_LATCHED, "paused, and nobody paused it");
	MUST(n, a->change != VS_CHANGE_ESCALATED || a->signal == VS_SIGNAL_ON, "anything worse sounds");
	MUST(n, a->change != VS_CHANGE_ESCALATED || a->priority > before->priority, "escalated means worse");
}

static void no_pause_for_ever(struct night *n)
{
	for (unsigned i = 0; i < n->n_live; i++)
		MUST(n, n->told[n->live[i]].signal != VS_SIGNAL_AUDIO_PAUSED || n->now <= n->paused_ms,
			"a pause outlasts its time");
}

/* ---- told ---- */

static void count_change(const struct vs_alarm_event *a)
{
	static const enum vs_priority p[] = { VS_PRIORITY_LOW, VS_PRIORITY_MEDIUM, VS_PRIORITY_HIGH };
	unsigned long *const raised[] = { &happened.raised_low, &happened.raised_medium, &happened.raised_high };
	for (unsigned i = 0; i < 3; i++)
		*raised[i] += a->change == VS_CHANGE_RAISED && a->priority == p[i];
	happened.escalated += a->change == VS_CHANGE_ESCALATED;
	happened.deescalated += a->change == VS_CHANGE_DEESCALATED;
	happened.superseded += a->change == VS_CHANGE_SUPERSEDED;
	happened.acknowledged += a->change == VS_CHANGE_ACKNOWLEDGED;
	happened.audio_paused += a->change == VS_CHANGE_AUDIO_PAUSED;
	happened.resumed += a->change == VS_CHANGE_RESUMED;
	happened.latched += a->change == VS_CHANGE_LATCHED;
	happened.cleared += a->change == VS_CHANGE_CLEARED;
}

static void book(struct night *n, uint64_t number, const struct told *t)
{
	unsigned i = 0;
	while (i < n->n_live && n->live[i] != number)
		i++;
	n->told[number] = *t;
	if (t->change == VS_CHANGE_CLEARED && i < n->n_live)
		n->live[i] = n->live[--n->n_live];
	else if (t->change != VS_CHANGE_CLEARED && i == n->n_live) {
		MUST(n, n->n_live < LIVE, "more alarms than there are places");
		n->live[n->n_live++] = (unsigned)number;
	}
}

static void hear_one(struct night *n, const struct vs_effect *f)
{
	const struct vs_alarm_event *a = &f->u.alarm;
	MUST(n, a->number > 0 && a->number < IDS, "an alarm has a number");
	struct told *t = &n->told[a->number];
	count_change(a);
	MUST(n, possible_after(t->change, a->change), "a message fits to the one before");
	only_people_quieten(n, t, f);
	if (a->change == VS_CHANGE_CLEARED || a->change == VS_CHANGE_LATCHED)
		ends_by_numbers(n, f);
	if (a->change == VS_CHANGE_RAISED)
		value_was_sent(n, f);
	if (t->state == VS_ALARM_LATCHED && a->change == VS_CHANGE_CLEARED)
		MUST(n, of(n, VS_ST_ACK) || !n->now_comes, "a latched alarm waits for a person");
	const struct told now = { a->change, a->state, a->signal, a->priority, a->rule, a->device ? a->device[0] : '\0' };
	book(n, a->number, &now);
}

/* What stands in the engine is what was told. */
static void compare(struct night *n)
{
	unsigned iterator = 0, standing = 0;
	struct vs_effect f;
	while (vs_engine_next_alarm(&n->engine, &iterator, &f)) {
		MUST(n, f.u.alarm.number < IDS, "an alarm has a number");
		const struct told *t = &n->told[f.u.alarm.number];
		standing++;
		MUST(n, t->change != VS_CHANGE_NONE && t->change != VS_CHANGE_CLEARED, "an alarm stands that nobody was told of");
		MUST(n, t->state == f.u.alarm.state && t->signal == f.u.alarm.signal, "an alarm is not as it was told");
		MUST(n, t->priority == f.u.alarm.priority || t->change == VS_CHANGE_SUPERSEDED, "a priority was not told");
	}
	MUST(n, n->n_live == standing, "an alarm vanished without a word");
}

static bool is_announced_threshold(const struct told *t)
{
	return t->rule->type == VS_RULE_THRESHOLD && t->change != VS_CHANGE_SUPERSEDED && t->state == VS_ALARM_ACTIVE;
}

/* Of one metric and direction only one threshold is announced. */
static void one_tier(struct night *n)
{
	for (unsigned i = 0; i < n->n_live; i++)
		for (unsigned k = 0; k < i; k++) {
			const struct told *a = &n->told[n->live[i]], *b = &n->told[n->live[k]];
			MUST(n, !(is_announced_threshold(a) && is_announced_threshold(b) && a->rule->metric == b->rule->metric &&
				vs_when_direction(a->rule->when) == vs_when_direction(b->rule->when)), "two tiers are announced");
		}
}

/* ---- due ---- */

static bool watched(const struct night *n, const char *rule)
{
	const struct vs_rule *r = vs_rule_find(n->configs[n->config].set, rule);
	return r && r->enabled && (r->phases & VS_PHASE_BIT(vs_engine_phase(&n->engine)));
}

/* device: its first letter; 0: any */
static bool stands(const struct night *n, const char *rule, char device)
{
	for (unsigned i = 0; i < n->n_live; i++) {
		const struct told *t = &n->told[n->live[i]];
		if (t->state == VS_ALARM_ACTIVE && strcmp(t->rule->id, rule) == 0 && (!device || t->device == device))
			return true;
	}
	return false;
}

/* A sample that came; a gap of more than 2 s, or a better value, and the time starts again. */
static void stay_sample(struct night *n, enum vs_metric m, double v)
{
	for (unsigned i = 0; i < 3; i++) {
		struct stay *s = &n->stays[i];
		if (s->metric != m)
			continue;
		bool beyond = s->above ? v > s->limit : v < s->limit;
		if (!beyond || n->now - s->last_ms > 2000 || !watched(n, s->rule))
			s->since_ms = n->now;
		s->last_ms = n->now;
	}
}

static void stays_are_told(struct night *n)
{
	for (unsigned i = 0; i < 3; i++) {
		const struct stay *s = &n->stays[i];
		if (s->last_ms != n->now || n->now - s->since_ms < 25000 || !watched(n, s->rule))
			continue;
		*(s->metric == VS_SPO2 ? &happened.due_saturation : &happened.due_rate) += 1;
		if (!stands(n, s->rule, 0))
			print_error("%s: since %g\n", s->rule, (s->since_ms - EPOCH) / 1000.0);
		MUST(n, stands(n, s->rule, 0), "a critical value stays and has no alarm");
	}
}

static void silence_is_told(struct night *n)
{
	static const char names[DEVICES] = { 'm', 'o', 'p' };
	for (unsigned d = 0; d < DEVICES; d++) {
		if (n->now - n->heard_ms[d] < (d == PUMP ? 100000 : 0) + 11000 || !watched(n, "device-offline"))
			continue;
		happened.due_offline++;
		MUST(n, stands(n, "device-offline", names[d]), "a silent device has no alarm");
	}
}

static void critical_pressure_is_told(struct night *n, const struct vs_reading *r)
{
	for (unsigned i = 0; i < r->len; i++) {
		if (r->obs[i].metric != VS_NIBP_DIA || n->effects.quality[i] != VS_Q_VALID || r->obs[i].value < 110 ||
		    !watched(n, "dbp-hi-crit"))
			continue;
		happened.due_pressure++;
		MUST(n, stands(n, "dbp-hi-crit", 0), "a critical pressure was accepted and has no alarm");
	}
}

static void count_high_without_data(struct night *n)
{
	for (unsigned i = 0; i < n->n_live; i++) {
		const struct told *t = &n->told[n->live[i]];
		happened.high_without_data += t->priority == VS_PRIORITY_HIGH && t->rule->type == VS_RULE_THRESHOLD &&
			t->rule->metric == VS_SPO2 && n->now - n->sample_ms[VS_SPO2] > 30000;
	}
}

/* ---- one step of both engines ---- */

static void show_one(const struct vs_effect *f)
{
	print_error("  %g %s %s\n", (f->at_ms - EPOCH) / 1000.0,
		f->kind == VS_EFFECT_ALARM ? vs_change_name(f->u.alarm.change) : f->kind == VS_EFFECT_REQUEST ?
		f->u.request.request : f->kind == VS_EFFECT_LIMIT ? "limit" : "refused",
		f->kind == VS_EFFECT_ALARM ? f->u.alarm.text : f->kind == VS_EFFECT_REQUEST ? f->u.request.reason :
		f->kind == VS_EFFECT_LIMIT ? f->u.limit.reason : f->u.refused);
}

static void show(const struct night *n, const struct vs_effect *heard, unsigned len)
{
	for (unsigned i = 0; i < n->effects.len; i++)
		show_one(&n->effects.at[i]);
	print_error("  called at other times:\n");
	for (unsigned i = 0; i < len; i++)
		show_one(&heard[i]);
}

static void hear(struct night *n, const struct vs_effect *heard, unsigned len)
{
	MUST(n, n->effects.lost == 0, "effects are lost");
	MUST(n, n->effects.wake_at_ms > n->now, "the engine wants to be woken in the past");
	bool same = n->effects.len == len;
	for (unsigned i = 0; i < n->effects.len && same; i++) {
		const struct vs_effect *f = &n->effects.at[i], *g = &heard[i];
		same = f->kind == g->kind && f->at_ms == g->at_ms;
		if (same && f->kind == VS_EFFECT_ALARM)
			same = f->u.alarm.number == g->u.alarm.number && f->u.alarm.change == g->u.alarm.change &&
				strcmp(f->u.alarm.text, g->u.alarm.text) == 0;
	}
	if (!same)
		show(n, heard, len);
	MUST(n, same, "it matters when the engine is called");
	for (unsigned i = 0; i < n->effects.len; i++) {
		if (getenv("VITALS_NIGHT"))
			show_one(&n->effects.at[i]);
		happened.requests += n->effects.at[i].kind == VS_EFFECT_REQUEST;
		happened.refused += n->effects.at[i].kind == VS_EFFECT_REFUSED;
		if (n->effects.at[i].kind == VS_EFFECT_ALARM)
			hear_one(n, &n->effects.at[i]);
	}
	if (n->effects.len || n->steps % 16 == 0) {
		compare(n);
		one_tier(n);
	}
	no_pause_for_ever(n);
	silence_is_told(n);
}

static void note_pause(struct night *n, const struct vs_stimulus *s)
{
	uint32_t ms = s->for_ms ? s->for_ms : adult->announcing.pause_ms;
	if (s->kind == VS_ST_PAUSE && ms <= adult->announcing.pause_most_ms)
		n->paused_ms = s->at_ms > n->now ? s->at_ms + ms : n->now + ms;
}

/* The same stimulus to both engines; the other one was also called at times in between. */
static void step(struct night *n, struct vs_stimulus *s)
{
	static struct vs_effect heard[2 * VS_EFFECTS_MAX];
	unsigned len = 0;
	s->operator = "anna";
	s->reason = "chance";
	s->wall_ms = (int64_t)s->at_ms + n->wall_shift;
	unsigned times = ++n->steps % 3 ? 0 : n->steps % 4; /* none, or up to three */
	for (unsigned i = 0; i < times && s->at_ms > n->now; i++) {
		struct vs_stimulus time = { .kind = VS_ST_TIME, .at_ms = n->now + (s->at_ms - n->now) * i / 3,
			.wall_ms = s->wall_ms };
		vs_engine_step(&n->other, &time, &n->others);
		for (unsigned k = 0; k < n->others.len && len < VS_EFFECTS_MAX; k++)
			heard[len++] = n->others.at[k];
	}
	vs_engine_step(&n->other, s, &n->others);
	for (unsigned k = 0; k < n->others.len; k++)
		heard[len++] = n->others.at[k];
	vs_engine_step(&n->engine, s, &n->effects);
	note_pause(n, s);
	n->now = s->at_ms > n->now ? s->at_ms : n->now;
	n->now_comes = s;
	hear(n, heard, len);
}

/* ---- what happens in a night ---- */

static double wander(struct chance *c, double v, double low, double high, double by)
{
	v += ((int)upto(c, 2001) - 1000) / 1000.0 * by;
	return v < low ? low : v > high ? high : v;
}

/* A number that a device sends; whether it may be judged goes into the book. */
static void send(struct night *n, struct chance *c, struct vs_reading *r, enum vs_metric m, double v)
{
	static const double odd[] = { NAN, INFINITY, -INFINITY, -1e300 };
	if (upto(c, 400) == 0) {
		happened.not_a_number++;
		vs_reading_add(r, m, odd[upto(c, 4)], 0);
		return;
	}
	if (upto(c, 400) == 0) {
		happened.impossible++;
		vs_reading_add(r, m, upto(c, 2) ? adult->validity.range[m].high + 0.125 : adult->validity.range[m].low - 0.125, 0);
		return;
	}
	if (upto(c, 200) == 0)
		v = upto(c, 2) ? adult->validity.range[m].high : adult->validity.range[m].low;
	vs_reading_add(r, m, v, 0);
	n->sample_before_ms[m] = n->sample_ms[m];
	n->sample_ms[m] = UINT64_MAX; /* now, see a_reading */
}

static void send_cuff(struct night *n, struct chance *c, struct vs_reading *r, struct vs_stimulus *s)
{
	double sys = round(n->sys + (upto(c, 10) ? 0 : 45)), map = round(n->dia + (n->sys - n->dia) * 0.38);
	if (n->now - n->cuff_ms > 60000 && upto(c, 60) == 0) {
		n->cuff_ms = n->now;
		double *slot = n->cuffs[n->n_cuffs++ % 64];
		slot[0] = sys, slot[1] = round(n->dia), slot[2] = map;
		vs_reading_add(r, VS_NIBP_SYS, sys, 0);
		vs_reading_add(r, VS_NIBP_DIA, round(n->dia), 0);
		vs_reading_add(r, VS_NIBP_MAP, map, 0);
		for (enum vs_metric m = VS_NIBP_SYS; m <= VS_NIBP_MAP; m++) {
			n->sample_before_ms[m] = n->sample_ms[m];
			n->sample_ms[m] = UINT64_MAX;
		}
	} else if (upto(c, 50) == 0) { /* the monitor still shows one that is not new: no alarm may come of it, or end */
		happened.old_cuffs++;
		s->nibp = VS_NIBP_OLD;
		double old = upto(c, 2) ? 199.25 : 60.25;
		vs_reading_add(r, VS_NIBP_SYS, old, 0);
		vs_reading_add(r, VS_NIBP_DIA, old - 25, 0);
		vs_reading_add(r, VS_NIBP_MAP, old - 15, 0);
	}
}

static void note_samples(struct night *n, const struct vs_stimulus *s, const struct vs_reading *r)
{
	uint64_t at = s->at_ms > n->now ? s->at_ms : n->now;
	for (enum vs_metric m = 0; m < VS_METRIC_COUNT; m++)
		if (n->sample_ms[m] == UINT64_MAX)
			n->sample_ms[m] = at;
	(void)r;
}

static void judged(struct night *n, const struct vs_reading *r, const struct vs_stimulus *s)
{
	for (unsigned i = 0; i < r->len; i++) {
		const struct vs_obs *o = &r->obs[i];
		uint8_t q = n->effects.quality[i];
		happened.suspect += q == VS_Q_SUSPECT;
		happened.rejected += q == VS_Q_REJECTED;
		MUST(n, q != VS_Q_VALID || isfinite(o->value), "what is no number was taken for one");
		MUST(n, q != VS_Q_VALID || (o->value >= adult->validity.range[o->metric].low &&
			o->value <= adult->validity.range[o->metric].high), "an impossible number was taken for one");
		MUST(n, !vs_metric_is_nibp(o->metric) || s->nibp != VS_NIBP_OLD || q == VS_Q_OLD, "an old pressure was taken for new");
		if (q == VS_Q_VALID && !vs_metric_is_nibp(o->metric))
			stay_sample(n, o->metric, o->value);
	}
	stays_are_told(n);
	if (s->nibp == VS_NIBP_NEW)
		critical_pressure_is_told(n, r);
}

static unsigned index_of(const struct night *n, unsigned device)
{
	return n->config ? DEVICES - 1 - device : device;
}

static void a_reading_of(struct night *n, struct chance *c, unsigned device, uint64_t at_ms)
{
	struct vs_reading r = { .len = 0 };
	struct vs_stimulus s = { .kind = VS_ST_READING, .at_ms = at_ms, .reading = &r, .nibp = VS_NIBP_NEW,
		.device = index_of(n, device) };
	if (device == MONITOR && upto(c, 30))
		send(n, c, &r, VS_HR, upto(c, 100) ? round(n->hr) : round(n->hr * 2));
	if (device == MONITOR)
		send_cuff(n, c, &r, &s);
	if (device == OXIMETER && !n->probe_off && upto(c, 50)) {
		send(n, c, &r, VS_PR, round(n->hr) + upto(c, 3));
		send(n, c, &r, VS_SPO2, round(n->spo2));
	}
	if (upto(c, 300) == 0) {
		happened.reordered++;
		s.at_ms = n->now - upto(c, 5000);
	}
	note_samples(n, &s, &r);
	n->heard_ms[device] = s.at_ms > n->now ? s.at_ms : n->now;
	happened.readings++;
	step(n, &s);
	judged(n, &r, &s);
	if (upto(c, 300) == 0) {
		happened.duplicated++;
		if (s.nibp == VS_NIBP_NEW && r.len > 1 && vs_metric_is_nibp(r.obs[r.len - 1].metric))
			s.nibp = VS_NIBP_ON_CHANGE;
		step(n, &s);
	}
}

static void a_second(struct night *n, struct chance *c)
{
	uint64_t at = n->now + 900 + upto(c, 200);
	n->hr = wander(c, n->hr, 25, 190, upto(c, 20) ? 1.5 : 25);
	n->spo2 = wander(c, n->spo2, 70, 100, upto(c, 20) ? 0.5 : 6);
	n->sys = wander(c, n->sys, 60, 230, 1.5);
	n->dia = n->sys * 0.62;
	if (upto(c, 200) == 0)
		n->probe_off = !n->probe_off;
	for (unsigned d = 0; d < PUMP; d++) {
		if (upto(c, n->mute[d] ? 60 : 600) == 0)
			n->mute[d] = !n->mute[d];
		if (!n->mute[d])
			a_reading_of(n, c, d, at + d * upto(c, 2) * 40);
	}
	if (n->now < at) {
		struct vs_stimulus s = { .kind = VS_ST_TIME, .at_ms = at };
		step(n, &s);
	}
	count_high_without_data(n);
}

static void a_command(struct night *n, struct chance *c)
{
	static const char *const rules[] = { "sbp-hi-crit", "hr-hi", "spo2-lo", "nothing" };
	struct vs_stimulus s = { .at_ms = n->now + upto(c, 50) };
	struct vs_baseline b = { .len = 2, .at = { { VS_HR, 60 + upto(c, 40) }, { VS_NIBP_SYS, 100 + upto(c, 50) } } };
	s.kind = 1 + upto(c, VS_ST_COUNT - 1);
	if (s.kind == VS_ST_READING)
		s.kind = VS_ST_ACK;
	s.alarm = upto(c, 2) ? 0 : upto(c, 4) && n->n_live ? n->live[upto(c, n->n_live)] : 1 + upto(c, 40);
	s.phase = upto(c, VS_PHASE_COUNT);
	s.baseline = upto(c, 5) ? &b : NULL;
	s.metric = VS_MOAAS + upto(c, 3);
	s.for_ms = upto(c, 4) * 60000;
	s.value = s.kind == VS_ST_SCORE ? (int)upto(c, 11) - 5 : (int)upto(c, 240);
	s.cuff_moved = upto(c, 2);
	s.probe_moved = upto(c, 2);
	s.failed = upto(c, 2);
	s.rule = rules[upto(c, 4)];
	s.fault = upto(c, VS_FAULT_COUNT);
	s.on = upto(c, 2);
	s.device = upto(c, DEVICES + 1); /* the last one is none */
	if (s.kind == VS_ST_ALIVE && s.device < DEVICES)
		n->heard_ms[index_of(n, s.device)] = s.at_ms;
	if (s.kind == VS_ST_FAULT && s.fault == VS_FAULT_CLOCK && s.on) {
		happened.clock_steps++;
		n->wall_shift += ((int)upto(c, 3) - 1) * 3600000ll;
	}
	happened.commands++;
	step(n, &s);
	for (unsigned i = 0; i < 3 && s.kind == VS_ST_PHASE; i++)
		n->stays[i].since_ms = n->now;
}

static void a_silence(struct night *n, struct chance *c)
{
	struct vs_stimulus s = { .kind = VS_ST_TIME, .at_ms = n->now + 1000 * (1 + upto(c, 90)) };
	happened.silences++;
	step(n, &s);
}

/* ---- restart ---- */

static void same_alarms(struct night *n, const struct vs_engine *fresh)
{
	struct vs_effect before, after;
	unsigned i = 0, found = 0, k = 0;
	while (vs_engine_next_alarm(&n->engine, &i, &before)) {
		k = 0;
		while (vs_engine_next_alarm(fresh, &k, &after))
			if (after.u.alarm.number == before.u.alarm.number)
				break;
		MUST(n, after.u.alarm.number == before.u.alarm.number && after.u.alarm.state == before.u.alarm.state &&
			after.u.alarm.signal == before.u.alarm.signal && after.u.alarm.priority == before.u.alarm.priority &&
			strcmp(after.u.alarm.by, before.u.alarm.by) == 0 && strcmp(after.u.alarm.text, before.u.alarm.text) == 0,
			"an alarm is another one after a restart");
		found++;
	}
	for (i = 0, k = 0; vs_engine_next_alarm(fresh, &i, &after); k++)
		;
	MUST(n, k == found, "a restart makes alarms");
}

static void come_back(struct night *n, struct vs_engine *e, const struct vs_engine_config *config, uint64_t at_ms)
{
	static uint8_t bytes[VS_ENGINE_SAVED_MAX];
	struct vs_engine fresh;
	size_t len = vs_engine_save(e, (int64_t)n->now + n->wall_shift, bytes, sizeof bytes);
	MUST(n, len > 0, "it fits");
	vs_engine_init(&fresh, config, at_ms);
	for (size_t cut = 0; cut < len && e == &n->engine; cut += 197)
		MUST(n, vs_engine_restore(&fresh, bytes, cut, (int64_t)at_ms + n->wall_shift) != 0, "half of the bytes are not an engine");
	MUST(n, vs_engine_restore(&fresh, bytes, len, (int64_t)at_ms + n->wall_shift) == 0, "it comes back");
	if (e == &n->engine) {
		same_alarms(n, &fresh);
		MUST(n, vs_engine_phase(&fresh) == vs_engine_phase(e), "the phase is another one after a restart");
	}
	*e = fresh;
}

/* The daemon dies and comes back: what stood stands, with its id, state and acknowledgement; the night goes on. */
static void a_restart(struct night *n, struct chance *c)
{
	uint64_t at = n->now + 1 + upto(c, 2) * upto(c, 90000);
	come_back(n, &n->engine, &n->configs[n->config], at);
	come_back(n, &n->other, &n->other_configs[n->config], at);
	for (enum vs_metric m = 0; m < VS_METRIC_COUNT; m++) /* what nobody watched is not counted as waiting */
		n->sample_ms[m] += at - n->now, n->sample_before_ms[m] += at - n->now;
	n->now = at;
	happened.restarts++;
	for (unsigned d = 0; d < DEVICES; d++)
		n->heard_ms[d] = at;
	for (unsigned i = 0; i < 3; i++)
		n->stays[i].since_ms = at;
	struct vs_stimulus s = { .kind = VS_ST_TIME, .at_ms = at }; /* whatever became due meanwhile is said at once */
	step(n, &s);
}

/* Other rules, the devices in another order. */
static void a_configuration(struct night *n)
{
	static struct vs_effects others;
	n->config = !n->config;
	vs_engine_reconfigure(&n->engine, &n->configs[n->config], n->now, (int64_t)n->now + n->wall_shift, &n->effects);
	vs_engine_reconfigure(&n->other, &n->other_configs[n->config], n->now, (int64_t)n->now + n->wall_shift, &others);
	n->now_comes = NULL;
	happened.reconfigured++;
	for (unsigned d = 0; d < DEVICES; d++)
		n->heard_ms[d] = n->now;
	for (unsigned i = 0; i < 3; i++)
		n->stays[i].since_ms = n->now;
	hear(n, others.at, others.len);
}

static void begin(struct night *n, uint64_t seed)
{
	static const char *const ids[DEVICES] = { "monitor", "oximeter", "pump" };
	memset(n, 0, sizeof *n);
	n->seed = seed;
	n->now = EPOCH;
	n->end = EPOCH + (seed % 100 ? 900000ull : 8ull * 3600000);
	n->hr = 72;
	n->spo2 = 97;
	n->sys = 125;
	n->next_alarm = n->next_other = 1;
	n->stays[0] = (struct stay){ .rule = "spo2-lo-crit", .metric = VS_SPO2, .limit = 85, .since_ms = EPOCH };
	n->stays[1] = (struct stay){ .rule = "hr-lo-crit", .metric = VS_HR, .limit = 40, .since_ms = EPOCH };
	n->stays[2] = (struct stay){ .rule = "hr-hi-crit", .metric = VS_HR, .limit = 140, .above = true, .since_ms = EPOCH };
	for (unsigned k = 0; k < 2; k++) {
		struct vs_engine_config *to = &n->configs[k];
		*to = (struct vs_engine_config){ .set = k ? &clinic : adult, .n_devices = DEVICES, .next_alarm = &n->next_alarm };
		for (unsigned d = 0; d < DEVICES; d++) {
			to->devices[k ? DEVICES - 1 - d : d].id = ids[d];
			to->devices[k ? DEVICES - 1 - d : d].quiet_ms = d == PUMP ? 100000 : 0;
		}
		n->other_configs[k] = *to;
		n->other_configs[k].next_alarm = &n->next_other;
	}
	for (unsigned d = 0; d < DEVICES; d++)
		n->heard_ms[d] = EPOCH;
	vs_engine_init(&n->engine, &n->configs[0], n->now);
	vs_engine_init(&n->other, &n->other_configs[0], n->now);
}

static void live_through(struct night *n, uint64_t seed)
{
	struct chance c = { seed };
	begin(n, seed);
	while (n->now < n->end && n->next_alarm < IDS - 100) {
		if (upto(&c, 25) == 0)
			a_command(n, &c);
		else if (upto(&c, 200) == 0)
			a_silence(n, &c);
		else
			a_second(n, &c);
		if (upto(&c, 400) == 0)
			a_restart(n, &c);
		if (upto(&c, 1500) == 0)
			a_configuration(n);
	}
}

static unsigned long long asked(const char *name, unsigned long long otherwise)
{
	const char *text = getenv(name);
	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void nights(void **state)
{
	(void)state;
	unsigned long long many = asked("VITALS_NIGHTS", 250), from = asked("VITALS_NIGHTS_FROM", 1), one = asked("VITALS_NIGHT", 0);
	struct night *night = malloc(sizeof *night);
	for (unsigned long long i = 0; i < many && !one; i++)
		live_through(night, from + i);
	if (one)
		live_through(night, one);
	free(night);
	printf("# %llu nights:", one ? 1 : many);
#define PRINT(name) printf(" " #name " %lu", happened.name);
	HAPPENINGS(PRINT)
	printf("\n");
#define HAPPENED(name) assert_true(happened.name > 0);
	if (!one && many >= 100) {
		HAPPENINGS(HAPPENED)
	}
}

/* ---- bad input ---- */

static struct story_run *quiet_run(void)
{
	struct story_run *r = calloc(1, sizeof *r);
	r->next_alarm = 1;
	r->config = (struct vs_engine_config){ .set = adult, .n_devices = 1, .devices = { { .id = "monitor" } },
		.next_alarm = &r->next_alarm };
	vs_engine_init(&r->engine, &r->config, EPOCH);
	return r;
}

static void ten_thousand_commands(void **state)
{
	(void)state;
	struct story_run *r = quiet_run();
	for (unsigned i = 0; i < 10000; i++) {
		struct vs_stimulus s = { .kind = i % 3 == 0 ? VS_ST_ACK : i % 3 == 1 ? VS_ST_PAUSE : VS_ST_RESUME,
			.at_ms = EPOCH + i / 10, .operator = "anna" };
		vs_engine_step(&r->engine, &s, &r->effects);
		assert_int_equal(r->effects.lost, 0);
		assert_true(i % 3 != 0 || (r->effects.len == 1 && r->effects.at[0].kind == VS_EFFECT_REFUSED));
	}
	free(r);
}

static void time_goes_back(void **state)
{
	(void)state;
	struct story_run *r = quiet_run();
	struct vs_reading reading = { .len = 0 };
	vs_reading_add(&reading, VS_HR, 130, 0);
	struct vs_stimulus s = { .kind = VS_ST_READING, .at_ms = EPOCH + 50000, .reading = &reading };
	vs_engine_step(&r->engine, &s, &r->effects);
	s.at_ms = EPOCH + 10000;
	vs_engine_step(&r->engine, &s, &r->effects);
	assert_int_equal(r->effects.len, 1);
	assert_int_equal(r->effects.at[0].kind, VS_EFFECT_REFUSED);
	assert_int_equal(r->effects.at[0].at_ms, EPOCH + 50000);
	free(r);
}

static void a_year_passes(void **state)
{
	(void)state;
	struct story_run *r = quiet_run();
	struct vs_reading reading = { .len = 0 };
	vs_reading_add(&reading, VS_HR, 30, 0);
	struct vs_stimulus s = { .kind = VS_ST_READING, .reading = &reading };
	for (unsigned t = 0; t < 30; t++) {
		s.at_ms = EPOCH + t * 1000;
		vs_engine_step(&r->engine, &s, &r->effects);
	}
	unsigned before[VS_PRIORITY_COUNT], after[VS_PRIORITY_COUNT];
	vs_engine_count(&r->engine, before);
	assert_int_equal(before[VS_PRIORITY_HIGH], 1);
	struct vs_stimulus time = { .kind = VS_ST_TIME, .at_ms = EPOCH + 366ull * 86400000 };
	vs_engine_step(&r->engine, &time, &r->effects);
	vs_engine_count(&r->engine, after);
	assert_int_equal(after[VS_PRIORITY_HIGH], 1); /* hr-lo-crit still stands; the device is offline, too */
	assert_true(after[VS_PRIORITY_MEDIUM] >= 1);
	free(r);
}

/* Nobody calls before the first thing is due: it is worked out at its own time all the same. */
static void silent_from_the_start(void **state)
{
	(void)state;
	struct story_run *r = quiet_run();
	struct vs_stimulus time = { .kind = VS_ST_TIME, .at_ms = EPOCH + 37000 };
	vs_engine_step(&r->engine, &time, &r->effects);
	assert_int_equal(r->effects.len, 2);
	assert_int_equal(r->effects.at[0].at_ms, EPOCH + 10000);
	assert_int_equal(r->effects.at[0].u.alarm.change, VS_CHANGE_RAISED);
	assert_int_equal(r->effects.at[1].at_ms, EPOCH + 20000);
	assert_int_equal(r->effects.at[1].u.alarm.change, VS_CHANGE_ESCALATED);
	free(r);
}

static void cuff_reading(struct story_run *r, uint64_t at_ms, double sys)
{
	struct vs_reading reading = { .len = 0 };
	vs_reading_add(&reading, VS_NIBP_SYS, sys, 0);
	struct vs_stimulus s = { .kind = VS_ST_READING, .reading = &reading, .nibp = VS_NIBP_NEW, .at_ms = at_ms };
	vs_engine_step(&r->engine, &s, &r->effects);
}

static void go_to(struct story_run *r, uint64_t at_ms, enum vs_phase phase)
{
	struct vs_stimulus s = { .kind = VS_ST_PHASE, .phase = phase, .at_ms = at_ms, .operator = "anna" };
	vs_engine_step(&r->engine, &s, &r->effects);
}

/* The first low reading of one patient is not confirmed by the first of the next; nor does its wait, which nothing can
 * end any more, keep the engine from waking for other things. */
static void the_next_patient(void **state)
{
	(void)state;
	struct story_run *r = quiet_run();
	unsigned standing[VS_PRIORITY_COUNT];
	go_to(r, EPOCH, VS_PHASE_RECOVERY);
	cuff_reading(r, EPOCH + 1000, 88); /* sbp-lo wants two */
	go_to(r, EPOCH + 2000, VS_PHASE_NONE);
	cuff_reading(r, EPOCH + 3000, 88);
	vs_engine_count(&r->engine, standing);
	assert_int_equal(standing[VS_PRIORITY_MEDIUM], 0);
	assert_int_equal(r->effects.wake_at_ms, EPOCH + 13000); /* the device is silent then */
	cuff_reading(r, EPOCH + 4000, 88);
	vs_engine_count(&r->engine, standing);
	assert_int_equal(standing[VS_PRIORITY_MEDIUM], 1);
	free(r);
}

static void the_same_sample_twice(void **state)
{
	(void)state;
	struct story_run *r = quiet_run();
	struct vs_reading reading = { .len = 0 };
	vs_reading_add(&reading, VS_HR, 30, 0);
	struct vs_stimulus s = { .kind = VS_ST_READING, .reading = &reading, .at_ms = EPOCH + 1000 };
	for (unsigned i = 0; i < 100; i++)
		vs_engine_step(&r->engine, &s, &r->effects);
	for (unsigned t = 0; t < 20; t++) {
		struct vs_stimulus time = { .kind = VS_ST_TIME, .at_ms = EPOCH + 1000 + t * 100 };
		vs_engine_step(&r->engine, &time, &r->effects);
		assert_int_equal(r->effects.len, 0); /* one sample is no median, however often it is sent */
	}
	free(r);
}

/* As many rules and devices as there are places for, all with the longest names. */
static void fill_all_places(struct story_run *r)
{
	static struct vs_limit_set many;
	static char ids[VS_ENGINE_DEVICES][VS_RULE_ID_CAP];
	vs_limit_set_blank(&many, "many");
	for (unsigned i = 0; i < VS_RULES_MAX; i++) {
		struct vs_rule *rule = &many.rules[many.n_rules++];
		*rule = vs_rule_blank();
		snprintf(rule->id, sizeof rule->id, "a-rule-whose-name-is-as-long-a-%u", i % 10);
		rule->id[0] = (char)('a' + i / 10);
		rule->metric = VS_NIBP_SYS + i % 3;
		rule->when = i % 2 ? VS_WHEN_GE : VS_WHEN_GT;
		rule->limit = vs_limit_plain(10 + i);
		rule->priority = i < 50 ? VS_PRIORITY_LOW : VS_PRIORITY_HIGH;
		rule->latch = VS_LATCH_YES;
	}
	struct vs_rule *offline = &many.rules[VS_RULES_MAX - 1];
	*offline = vs_rule_blank();
	snprintf(offline->id, sizeof offline->id, "device-offline");
	offline->type = VS_RULE_DEVICE_OFFLINE;
	offline->steps[offline->n_steps++] = (struct vs_step){ .to = VS_PRIORITY_LOW, .phases = VS_PHASES_ALL, .after_ms = 10000,
		.at = NAN };
	r->config.set = &many;
	r->config.n_devices = VS_ENGINE_DEVICES;
	for (unsigned d = 0; d < VS_ENGINE_DEVICES; d++) {
		snprintf(ids[d], sizeof ids[d], "a-device-whose-name-is-long-%04u", d);
		r->config.devices[d].id = ids[d];
	}
}

/* Everything that can stand stands at once: 64 rules and 16 silent devices.  No alarm gives way to another; all of it is
 * told, kept over a restart, and answered by one acknowledgement. */
static void everything_at_once(void **state)
{
	(void)state;
	static uint8_t saved[VS_ENGINE_SAVED_MAX];
	static struct vs_engine back;
	struct story_run *r = quiet_run();
	fill_all_places(r);
	vs_engine_init(&r->engine, &r->config, EPOCH);
	struct vs_reading reading = { .len = 0 };
	vs_reading_add(&reading, VS_NIBP_SYS, 180, 0);
	vs_reading_add(&reading, VS_NIBP_DIA, 90, 0);
	vs_reading_add(&reading, VS_NIBP_MAP, 120, 0);
	struct vs_stimulus s = { .kind = VS_ST_READING, .reading = &reading, .nibp = VS_NIBP_NEW, .at_ms = EPOCH + 1000 };
	vs_engine_step(&r->engine, &s, &r->effects);
	assert_int_equal(r->effects.lost, 0);
	unsigned high = 0, standing = 0, iterator = 0;
	struct vs_effect f;
	struct vs_stimulus later = { .kind = VS_ST_TIME, .at_ms = EPOCH + 60000 };
	vs_engine_step(&r->engine, &later, &r->effects);
	assert_int_equal(r->effects.len, VS_ENGINE_DEVICES); /* every device that says nothing is told */
	while (vs_engine_next_alarm(&r->engine, &iterator, &f)) {
		standing++;
		high += f.u.alarm.priority == VS_PRIORITY_HIGH;
	}
	assert_int_equal(standing, VS_RULES_MAX - 1 + VS_ENGINE_DEVICES);
	assert_int_equal(high, VS_RULES_MAX - 1 - 50);

	struct vs_stimulus ack = { .kind = VS_ST_ACK, .at_ms = EPOCH + 61000, .operator = "a person with a name of 32 char" };
	vs_engine_step(&r->engine, &ack, &r->effects);
	assert_int_equal(r->effects.lost, 0);
	size_t len = vs_engine_save(&r->engine, EPOCH, saved, sizeof saved);
	assert_in_range(len, 10000, VS_ENGINE_SAVED_MAX - 1000);
	vs_engine_init(&back, &r->config, EPOCH + 62000);
	assert_int_equal(vs_engine_restore(&back, saved, len, EPOCH + 1000), 0);
	for (iterator = 0; vs_engine_next_alarm(&back, &iterator, &f); standing--)
		;
	assert_int_equal(standing, 0);
	free(r);
}

/* A clinic without some rules, and one of them about another metric: what stood of them must be told as ended. */
static void make_clinic(void)
{
	clinic = *adult;
	for (unsigned i = 0; i < clinic.n_rules; i++) {
		struct vs_rule *r = &clinic.rules[i];
		if (strcmp(r->id, "sbp-up") == 0 || strcmp(r->id, "hr-signal") == 0)
			r->enabled = false;
		if (strcmp(r->id, "hr-up") == 0)
			r->metric = VS_PR;
		if (strcmp(r->id, "spo2-adv") == 0)
			*r = clinic.rules[--clinic.n_rules];
	}
}

static int load(void **state)
{
	int r = adult_load(state);
	if (r == 0)
		make_clinic();
	return r;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nights),
		cmocka_unit_test(ten_thousand_commands),
		cmocka_unit_test(time_goes_back),
		cmocka_unit_test(a_year_passes),
		cmocka_unit_test(silent_from_the_start),
		cmocka_unit_test(the_next_patient),
		cmocka_unit_test(the_same_sample_twice),
		cmocka_unit_test(everything_at_once),
	};
	return cmocka_run_group_tests_name("engine nights", tests, load, adult_unload);
}
