/* Random nights: whatever devices send and people do, what a nurse relies on holds (design: what must never happen).
 * Seeded, so that a failure can be looked at again.  VITALS_NIGHTS=N runs N nights, VITALS_NIGHT=SEED just one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/story.h"

#define EPOCH 1000000000000
#define IDS 4096

static struct vs_limit_sets *sets;
static const struct vs_limit_set *adult;

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

/* ---- what is known about alarms from their messages alone ---- */

struct told {
	enum vs_change change;
	enum vs_alarm_state state;
	enum vs_signal signal;
	enum vs_priority priority;
	const struct vs_rule *rule;
};

struct night {
	struct vs_engine engine, other; /* other: called at other times */
	struct vs_engine_config config;
	struct vs_effects effects, others;
	uint64_t next_alarm, next_other;
	struct told told[IDS];
	uint64_t now, seed;
	uint64_t number_ms, number_before_ms; /* a device last brought a number */
	double hr, spo2, sys, dia;
	uint64_t cuff_ms;
	bool probe_off, silent;
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

static void hear_one(struct night *n, const struct vs_effect *f, bool person)
{
	const struct vs_alarm_event *a = &f->u.alarm;
	MUST(n, a->number > 0 && a->number < IDS, "an alarm has a number");
	struct told *t = &n->told[a->number];
	MUST(n, possible_after(t->change, a->change), "a message fits to the one before");
	MUST(n, a->change != VS_CHANGE_ESCALATED || a->signal == VS_SIGNAL_ON, "anything worse sounds");
	MUST(n, a->change != VS_CHANGE_ESCALATED || a->priority > t->priority, "escalated means worse");
	bool gone = a->change == VS_CHANGE_CLEARED || a->change == VS_CHANGE_LATCHED;
	bool body = a->rule->type == VS_RULE_THRESHOLD || a->rule->type == VS_RULE_DROP || a->rule->type == VS_RULE_TREND;
	uint64_t number_ms = n->number_ms <= f->at_ms ? n->number_ms : n->number_before_ms;
	MUST(n, !(gone && body && !person) || f->at_ms - number_ms < 130000, "missing data clears nothing");
	if (t->state == VS_ALARM_LATCHED && a->change == VS_CHANGE_CLEARED)
		MUST(n, person, "a latched alarm waits for a person");
	*t = (struct told){ a->change, a->state, a->signal, a->priority, a->rule };
}

/* What stands in the engine is what was told. */
static void compare(struct night *n)
{
	unsigned iterator = 0, standing = 0, told = 0;
	struct vs_effect f;
	while (vs_engine_next_alarm(&n->engine, &iterator, &f)) {
		const struct told *t = &n->told[f.u.alarm.number];
		standing++;
		MUST(n, t->change != VS_CHANGE_NONE && t->change != VS_CHANGE_CLEARED, "an alarm stands that nobody was told of");
		MUST(n, t->state == f.u.alarm.state && t->signal == f.u.alarm.signal, "an alarm is not as it was told");
		MUST(n, t->priority == f.u.alarm.priority || t->change == VS_CHANGE_SUPERSEDED, "a priority was not told");
	}
	for (unsigned i = 1; i < n->next_alarm && i < IDS; i++)
		told += n->told[i].change != VS_CHANGE_NONE && n->told[i].change != VS_CHANGE_CLEARED;
	MUST(n, told == standing, "an alarm vanished without a word");
}

/* Of one metric and direction only one threshold is announced. */
static void one_tier(struct night *n)
{
	for (unsigned i = 1; i < n->next_alarm && i < IDS; i++)
		for (unsigned k = 1; k < i; k++) {
			const struct told *a = &n->told[i], *b = &n->told[k];
			if (a->change == VS_CHANGE_CLEARED || b->change == VS_CHANGE_CLEARED || !a->rule || !b->rule ||
			    a->change == VS_CHANGE_SUPERSEDED || b->change == VS_CHANGE_SUPERSEDED ||
			    a->state != VS_ALARM_ACTIVE || b->state != VS_ALARM_ACTIVE)
				continue;
			MUST(n, !(a->rule->type == VS_RULE_THRESHOLD && b->rule->type == VS_RULE_THRESHOLD &&
				a->rule->metric == b->rule->metric &&
				vs_when_direction(a->rule->when) == vs_when_direction(b->rule->when)), "two tiers are announced");
		}
}

static bool is_person(enum vs_stimulus_kind k)
{
	return k == VS_ST_ACK || k == VS_ST_PHASE || k == VS_ST_BASELINE || k == VS_ST_SCORE || k == VS_ST_LIMIT;
}

static void show_one(const struct vs_effect *f)
{
	print_error("  %g %s %s\n", (f->at_ms - EPOCH) / 1000.0,
		f->kind == VS_EFFECT_ALARM ? vs_change_name(f->u.alarm.change) : f->kind == VS_EFFECT_REQUEST ?
		f->u.request.request : "refused",
		f->kind == VS_EFFECT_ALARM ? f->u.alarm.text : f->kind == VS_EFFECT_REQUEST ? f->u.request.reason : f->u.refused);
}

static void show(const struct night *n, const struct vs_effect *heard, unsigned len)
{
	for (unsigned i = 0; i < n->effects.len; i++)
		show_one(&n->effects.at[i]);
	print_error("  called at other times:\n");
	for (unsigned i = 0; i < len; i++)
		show_one(&heard[i]);
}

/* The same stimulus to both engines; the other one was also called at times in between. */
static void step(struct night *n, struct vs_stimulus *s)
{
	struct vs_effect heard[VS_EFFECTS_MAX];
	unsigned len = 0;
	s->operator = "anna";
	s->reason = "chance";
	for (unsigned i = 0; i < 3 && s->at_ms > n->now; i++) {
		struct vs_stimulus time = { .kind = VS_ST_TIME, .at_ms = n->now + (s->at_ms - n->now) * i / 3,
			.wall_ms = s->wall_ms };
		vs_engine_step(&n->other, &time, &n->others);
		for (unsigned k = 0; k < n->others.len && len < VS_EFFECTS_MAX; k++)
			heard[len++] = n->others.at[k];
	}
	vs_engine_step(&n->other, s, &n->others);
	for (unsigned k = 0; k < n->others.len && len < VS_EFFECTS_MAX; k++)
		heard[len++] = n->others.at[k];
	vs_engine_step(&n->engine, s, &n->effects);
	n->now = s->at_ms > n->now ? s->at_ms : n->now;
	MUST(n, n->effects.lost == 0, "effects are lost");
	if (n->effects.len != len)
		show(n, heard, len);
	MUST(n, n->effects.wake_at_ms > n->now, "the engine wants to be woken in the past");
	MUST(n, n->effects.len == len, "it matters when the engine is called");
	for (unsigned i = 0; i < n->effects.len; i++) {
		const struct vs_effect *f = &n->effects.at[i], *g = &heard[i];
		if (f->kind != g->kind || f->at_ms != g->at_ms)
			show(n, heard, len);
		MUST(n, f->kind == g->kind && f->at_ms == g->at_ms, "it matters when the engine is called");
		if (f->kind != VS_EFFECT_ALARM)
			continue;
		MUST(n, f->u.alarm.number == g->u.alarm.number && f->u.alarm.change == g->u.alarm.change &&
			strcmp(f->u.alarm.text, g->u.alarm.text) == 0, "it matters when the engine is called");
		hear_one(n, f, is_person(s->kind));
	}
	compare(n);
}

/* ---- what happens in a night ---- */

static double wander(struct chance *c, double v, double low, double high, double by)
{
	v += ((int)upto(c, 2001) - 1000) / 1000.0 * by;
	return v < low ? low : v > high ? high : v;
}

static void a_reading(struct night *n, struct chance *c)
{
	struct vs_reading r = { .len = 0 };
	struct vs_stimulus s = { .kind = VS_ST_READING, .at_ms = n->now + 900 + upto(c, 200), .reading = &r,
		.nibp = VS_NIBP_NEW };
	s.wall_ms = (int64_t)s.at_ms;
	n->hr = wander(c, n->hr, 25, 190, upto(c, 20) ? 1.5 : 25);
	n->spo2 = wander(c, n->spo2, 70, 100, upto(c, 20) ? 0.5 : 6);
	n->sys = wander(c, n->sys, 60, 230, 1.5);
	n->dia = n->sys * 0.62;
	if (upto(c, 200) == 0)
		n->probe_off = !n->probe_off;
	if (!n->probe_off && upto(c, 30))
		vs_reading_add(&r, VS_HR, upto(c, 100) ? round(n->hr) : n->hr * 2, 0);
	if (!n->probe_off && upto(c, 50))
		vs_reading_add(&r, VS_SPO2, round(n->spo2), 0);
	if (n->now - n->cuff_ms > 60000 && upto(c, 60) == 0) {
		n->cuff_ms = n->now;
		vs_reading_add(&r, VS_NIBP_SYS, round(n->sys + (upto(c, 10) ? 0 : 45)), 0);
		vs_reading_add(&r, VS_NIBP_DIA, round(n->dia), 0);
		vs_reading_add(&r, VS_NIBP_MAP, round(n->dia + (n->sys - n->dia) * 0.38), 0);
	}
	/* numbers that a plugin would never let through */
	if (upto(c, 300) == 0 && r.len)
		r.obs[0].value = upto(c, 2) ? NAN : upto(c, 2) ? INFINITY : -1e300;
	if (r.len) {
		n->number_before_ms = n->number_ms;
		n->number_ms = s.at_ms;
	}
	step(n, &s);
}

static void a_command(struct night *n, struct chance *c)
{
	static const char *const rules[] = { "sbp-hi-crit", "hr-hi", "spo2-lo", "nothing" };
	struct vs_stimulus s = { .at_ms = n->now + upto(c, 50), .wall_ms = (int64_t)n->now };
	struct vs_baseline b = { .len = 2, .at = { { VS_HR, 60 + upto(c, 40) }, { VS_NIBP_SYS, 100 + upto(c, 50) } } };
	s.kind = 1 + upto(c, VS_ST_COUNT - 1);
	if (s.kind == VS_ST_READING)
		s.kind = VS_ST_ACK;
	s.alarm = upto(c, 3) ? 0 : 1 + upto(c, 40);
	s.phase = upto(c, VS_PHASE_COUNT);
	s.baseline = upto(c, 5) ? &b : NULL;
	s.metric = VS_MOAAS;
	s.for_ms = upto(c, 4) * 60000;
	s.value = s.kind == VS_ST_SCORE ? upto(c, 6) : upto(c, 240);
	s.cuff_moved = upto(c, 2);
	s.probe_moved = upto(c, 2);
	s.failed = upto(c, 2);
	s.rule = rules[upto(c, 4)];
	s.fault = upto(c, VS_FAULT_COUNT);
	s.on = upto(c, 2);
	s.device = upto(c, 3); /* the second one is silent, the third is none */
	step(n, &s);
}

static void a_silence(struct night *n, struct chance *c)
{
	struct vs_stimulus s = { .kind = VS_ST_TIME, .at_ms = n->now + 1000 * (1 + upto(c, 90)) };
	s.wall_ms = (int64_t)s.at_ms;
	step(n, &s);
}

/* A restart in the middle: what stood stands, with its id, state and acknowledgement. */
static void a_restart(struct night *n)
{
	static uint8_t bytes[VS_ENGINE_SAVED_MAX];
	struct vs_engine fresh;
	struct vs_effect before, after;
	size_t len = vs_engine_save(&n->engine, (int64_t)n->now, bytes, sizeof bytes);
	MUST(n, len > 0, "it fits");
	vs_engine_init(&fresh, &n->config, n->now);
	MUST(n, vs_engine_restore(&fresh, bytes, len, (int64_t)n->now) == 0, "it comes back");
	unsigned i = 0, found = 0, k = 0;
	while (vs_engine_next_alarm(&n->engine, &i, &before)) {
		k = 0;
		while (vs_engine_next_alarm(&fresh, &k, &after))
			if (after.u.alarm.number == before.u.alarm.number)
				break;
		MUST(n, after.u.alarm.number == before.u.alarm.number && after.u.alarm.state == before.u.alarm.state &&
			after.u.alarm.signal == before.u.alarm.signal && after.u.alarm.priority == before.u.alarm.priority &&
			strcmp(after.u.alarm.by, before.u.alarm.by) == 0 && strcmp(after.u.alarm.text, before.u.alarm.text) == 0,
			"an alarm is another one after a restart");
		found++;
	}
	for (i = 0, k = 0; vs_engine_next_alarm(&fresh, &i, &after); k++)
		;
	MUST(n, k == found, "a restart makes alarms");
	MUST(n, vs_engine_phase(&fresh) == vs_engine_phase(&n->engine), "the phase is another one after a restart");
	for (size_t cut = 0; cut < len; cut += 97) {
		vs_engine_init(&fresh, &n->config, n->now);
		MUST(n, vs_engine_restore(&fresh, bytes, cut, (int64_t)n->now) != 0, "half of the bytes are not an engine");
	}
	n->engine.now_ms = n->now;
}

static void live_through(struct night *n, uint64_t seed, unsigned seconds)
{
	struct chance c = { seed };
	memset(n, 0, sizeof *n);
	n->seed = seed;
	n->now = EPOCH;
	n->hr = 72;
	n->spo2 = 97;
	n->sys = 125;
	n->next_alarm = n->next_other = 1;
	n->config = (struct vs_engine_config){ .set = adult, .n_devices = 2,
		.devices = { { .id = "monitor" }, { .id = "pump", .quiet_ms = 100000 } }, .next_alarm = &n->next_alarm };
	static struct vs_engine_config others;
	others = n->config;
	others.next_alarm = &n->next_other;
	vs_engine_init(&n->engine, &n->config, n->now);
	vs_engine_init(&n->other, &others, n->now);
	n->number_ms = n->now;
	while (n->now < EPOCH + seconds * 1000ull && n->next_alarm < IDS - 100) {
		if (upto(&c, 25) == 0)
			a_command(n, &c);
		else if (upto(&c, 150) == 0)
			a_silence(n, &c);
		else
			a_reading(n, &c);
		if (upto(&c, 100) == 0)
			one_tier(n);
		if (upto(&c, 400) == 0)
			a_restart(n);
	}
}

static void nights(void **state)
{
	(void)state;
	const char *many = getenv("VITALS_NIGHTS"), *one = getenv("VITALS_NIGHT");
	unsigned n = many ? (unsigned)strtoul(many, NULL, 10) : 250;
	struct night *night = malloc(sizeof *night);
	for (unsigned i = 0; i < n && !one; i++)
		live_through(night, i + 1, 900);
	if (one)
		live_through(night, strtoull(one, NULL, 10), 900);
	free(night);
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

static void more_alarms_than_places(void **state)
{
	(void)state;
	static struct vs_limit_set many;
	struct story_run *r = quiet_run();
	vs_limit_set_blank(&many, "many");
	for (unsigned i = 0; i < VS_RULES_MAX; i++) {
		struct vs_rule *rule = &many.rules[many.n_rules++];
		*rule = vs_rule_blank();
		snprintf(rule->id, sizeof rule->id, "r%u", i);
		rule->metric = VS_NIBP_SYS + i % 3;
		rule->when = i % 2 ? VS_WHEN_GE : VS_WHEN_GT;
		rule->limit = vs_limit_plain(10 + i);
		rule->priority = i < 50 ? VS_PRIORITY_LOW : VS_PRIORITY_HIGH;
	}
	r->config.set = &many;
	vs_engine_init(&r->engine, &r->config, EPOCH);
	struct vs_reading reading = { .len = 0 };
	vs_reading_add(&reading, VS_NIBP_SYS, 180, 0);
	vs_reading_add(&reading, VS_NIBP_DIA, 90, 0);
	vs_reading_add(&reading, VS_NIBP_MAP, 120, 0);
	struct vs_stimulus s = { .kind = VS_ST_READING, .reading = &reading, .nibp = VS_NIBP_NEW, .at_ms = EPOCH + 1000 };
	vs_engine_step(&r->engine, &s, &r->effects);
	unsigned high = 0, iterator = 0;
	struct vs_effect f;
	while (vs_engine_next_alarm(&r->engine, &iterator, &f))
		high += f.u.alarm.priority == VS_PRIORITY_HIGH;
	assert_int_equal(high, VS_RULES_MAX - 50); /* the low ones gave way */
	free(r);
}

static int load(void **state)
{
	struct vs_findings findings = { 0 };
	(void)state;
	int r = vs_limits_load(NULL, 0, &sets, &findings);
	vs_findings_print(&findings, stderr);
	vs_findings_clear(&findings);
	adult = r == 0 ? vs_limits_find(sets, "ketamine-adult") : NULL;
	return r;
}

static int unload(void **state)
{
	(void)state;
	vs_limits_free(sets);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nights),
		cmocka_unit_test(ten_thousand_commands),
		cmocka_unit_test(time_goes_back),
		cmocka_unit_test(a_year_passes),
		cmocka_unit_test(the_same_sample_twice),
		cmocka_unit_test(more_alarms_than_places),
	};
	return cmocka_run_group_tests_name("engine nights", tests, load, unload);
}
