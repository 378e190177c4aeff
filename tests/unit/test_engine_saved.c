/* Over a restart and under another configuration: what stood stands, with its number, and what was waited for comes at the
 * time at which it would have come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>

#include "tests/unit/adult.h"
#include "tests/unit/story.h"

#define B "hr=70,nibp_sys=120,nibp_dia=75,spo2=98" /* an ordinary patient */
#define SECOND(t) (STORY_EPOCH + (t) * 1000ull)

static uint8_t bytes[VS_ENGINE_SAVED_MAX];

/* ---- stories with a restart ---- */

static const struct saved {
	const char *why, *phase, *baseline, *script;
	unsigned at_s, away_s;
	const char *said;
} stories[] = {
#include "tests/unit/engine_saved.def"
};

static const struct saved *told;

static void restart(struct story_run *r, unsigned t)
{
	if (t != told->at_s)
		return;
	struct vs_stimulus time = { .kind = VS_ST_TIME };
	story_step(r, &time, SECOND(t));
	size_t len = vs_engine_save(&r->engine, (int64_t)SECOND(t), bytes, sizeof bytes);
	assert_true(len > 0);
	memset(&r->engine, 0x5a, sizeof r->engine);
	vs_engine_init(&r->engine, &r->config, SECOND(t + told->away_s));
	assert_int_equal(vs_engine_restore(&r->engine, bytes, len, (int64_t)SECOND(t + told->away_s)), 0);
}

static const char *without(char *text, const char *request)
{
	for (char *at = strstr(text, request); at; at = strstr(text, request)) {
		char *from = at, *to = at + strlen(request);
		while (from > text && from[-1] != ';')
			from--;
		from -= from > text;
		to += *to == ';' && from == text ? 2 : 0;
		memmove(from, to, strlen(to) + 1);
	}
	return text;
}

static void tell(void **state)
{
	static const char *const others[] = { "?note", "?nibp-repeat", "?nibp-interval", "?nibp-now" };
	struct story_run *r = calloc(1, sizeof *r);
	told = *state;
	r->requests = true;
	r->look = restart;
	story_play(r, adult, told->phase, told->baseline, told->script);
	for (unsigned i = 0; i < COUNT(others); i++)
		without(r->said, others[i]);
	if (strcmp(r->said, told->said) != 0)
		print_error("%s\n  wanted: %s\n  said:   %s\n", told->why, told->said, r->said);
	assert_string_equal(r->said, told->said);
	free(r);
}

/* What was missed is still missed, wherever its rule stands in the set. */
static void missed_before(void **state)
{
	static const struct saved hr = { .at_s = 50, .away_s = 10 };
	(void)state;
	for (unsigned last = 0; last < 2; last++) {
		struct story_run *r = calloc(1, sizeof *r);
		struct vs_limit_set set = *adult;
		unsigned from = (unsigned)(vs_rule_find(adult, "hr-signal") - adult->rules), to = last ? adult->n_rules - 1 : 0;
		set.rules[from] = adult->rules[to];
		set.rules[to] = adult->rules[from];
		told = &hr;
		r->look = restart;
		story_play(r, &set, "infusion", B, "hr=70 0-20; silent 51-60; end 70");
		assert_string_equal(r->said, "34 hr-signal raised low; 49 hr-signal escalated medium");
		free(r);
	}
}

/* ---- an engine of one's own ---- */

struct room {
	struct vs_engine engine;
	struct vs_engine_config config;
	struct vs_effects out;
	uint64_t next, now;
	int64_t wall;
	char said[2048];
};

static void listen(struct room *r)
{
	size_t len = strlen(r->said);
	for (unsigned i = 0; i < r->out.len; i++) {
		const struct vs_effect *f = &r->out.at[i];
		if (f->kind == VS_EFFECT_ALARM)
			len += (size_t)snprintf(r->said + len, sizeof r->said - len, "%s%s %s", len ? "; " : "",
				f->u.alarm.rule->id, vs_change_name(f->u.alarm.change));
		if (len >= sizeof r->said)
			len = sizeof r->said - 1;
	}
}

static struct room *open_room(unsigned n_devices, uint64_t now)
{
	struct room *r = calloc(1, sizeof *r);
	r->next = 1;
	r->now = now;
	r->wall = STORY_EPOCH;
	r->config = (struct vs_engine_config){ .set = adult, .n_devices = n_devices, .next_alarm = &r->next,
		.devices = { { .id = "monitor" }, { .id = "oximeter" }, { .id = "pump", .quiet_ms = 3600000 } } };
	vs_engine_init(&r->engine, &r->config, now);
	return r;
}

static void step(struct room *r, struct vs_stimulus s)
{
	s.at_ms = r->now;
	s.wall_ms = r->wall;
	s.operator = "anna";
	s.reason = "said so";
	vs_engine_step(&r->engine, &s, &r->out);
	listen(r);
}

static void wait(struct room *r, uint64_t ms)
{
	r->now += ms;
	r->wall += (int64_t)ms;
}

static void phase(struct room *r, enum vs_phase p)
{
	step(r, (struct vs_stimulus){ .kind = VS_ST_PHASE, .phase = p });
}

static void value(struct room *r, unsigned device, enum vs_metric m, double v)
{
	struct vs_reading reading = { .len = 0 };
	if (!isnan(v))
		vs_reading_add(&reading, m, v, 0);
	step(r, (struct vs_stimulus){ .kind = VS_ST_READING, .reading = &reading, .device = device });
}

static void cuff(struct room *r, unsigned device, double sys, double dia, enum vs_newness newness)
{
	struct vs_reading reading = { .len = 0 };
	vs_reading_add(&reading, VS_NIBP_SYS, sys, 0);
	vs_reading_add(&reading, VS_NIBP_DIA, dia, 0);
	step(r, (struct vs_stimulus){ .kind = VS_ST_READING, .reading = &reading, .device = device, .nibp = newness });
}

static void heard(struct room *r, const char *wanted)
{
	if (strcmp(r->said, wanted) != 0)
		print_error("wanted: %s\nsaid:   %s\n", wanted, r->said);
	assert_string_equal(r->said, wanted);
	r->said[0] = '\0';
}

static size_t save(struct room *r)
{
	step(r, (struct vs_stimulus){ .kind = VS_ST_TIME });
	size_t len = vs_engine_save(&r->engine, r->wall, bytes, sizeof bytes);
	assert_true(len > 0);
	return len;
}

static void come_back(struct room *r, size_t len)
{
	vs_engine_init(&r->engine, &r->config, r->now);
	assert_int_equal(vs_engine_restore(&r->engine, bytes, len, r->wall), 0);
}

/* ---- restarts that a story cannot tell ---- */

/* After a reboot the monotonic clock is small; the wall clock says how long nobody watched. */
static void over_a_reboot(void **state)
{
	static const struct {
		uint64_t then_ms, now_ms, wall_away_ms;
		unsigned due_ms; /* after the return: when the second person is called (60 s after it was raised) */
		const char *why;
	} rows[] = {
		{ 5000000, 5030000, 30000, 20000, "one boot: both clocks went on" },
		{ 5000000, 5030000, 34999, 20000, "one boot: the wall clock was set a little; the monotonic one counts" },
		{ 5000000, 5030000, 25001, 20000, "one boot: the wall clock was set back a little" },
		{ 5000000, 5030000, 35000, 15000, "five seconds apart: not the same boot; the wall clock counts" },
		{ 5000000, 5030000, 25000, 25000, "five seconds apart, the other way" },
		{ 5000000, 100000, 30000, 20000, "a reboot: the monotonic clock began anew" },
		{ 5000000, 100000, 0, 50000, "a reboot, and the wall clock stood still" },
		{ 5000000, 100000, 1, 49999, "... or went on by a millisecond" },
		{ 5000000, 100000, UINT64_MAX - 9999, 50000, "a reboot, and the wall clock was set back by 10 s" },
		{ 5000000, 1000, 30000, 59001, "nothing is older than the new clock" },
		{ 5000000, 40000, 30000, 20001, "... or as old: its first instant is 1 ms, for 0 is never" },
		{ 5000000, 40001, 30000, 20000, "a millisecond younger" },
		{ 5000000, 4999999, 30000, 20000, "a reboot: a millisecond less is less" },
		{ 5000000, 5000000, 0, 50000, "at once" },
		{ 5000000, 5000000, 3000, 50000, "at once, and the wall clock was set on a little" },
	};
	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct room *r = open_room(1, rows[i].then_ms - 10000);
		phase(r, VS_PHASE_INFUSION);
		cuff(r, 0, 182, 85, VS_NIBP_NEW);
		wait(r, 10000);
		size_t len = save(r);
		r->now = rows[i].now_ms;
		r->wall += (int64_t)rows[i].wall_away_ms;
		come_back(r, len);
		uint64_t back = r->now;
		bool called = false;
		while (!called && r->now < back + 200000) {
			step(r, (struct vs_stimulus){ .kind = VS_ST_TIME });
			for (unsigned k = 0; k < r->out.len; k++)
				called |= r->out.at[k].kind == VS_EFFECT_REQUEST && strcmp(r->out.at[k].u.request.request, "call-second") == 0;
			if (!called)
				wait(r, r->out.wake_at_ms - r->now);
		}
		if (r->now - back != rows[i].due_ms)
			print_error("%s: %llu\n", rows[i].why, (unsigned long long)(r->now - back));
		assert_int_equal(r->now - back, rows[i].due_ms);
		free(r);
	}
}

/* A cuff reading that lies before the beginning of the clock, or at it, has no age: it counts no more. */
static void readings_without_an_age(void **state)
{
	static const struct {
		uint64_t now_ms; /* 11 s after the first of two readings, 6 s after the other */
		unsigned n;
	} rows[] = { { 20000, 2 }, { 11002, 2 }, { 11001, 1 }, { 11000, 1 }, { 7000, 1 }, { 6002, 1 }, { 6001, 0 }, { 6000, 0 }, { 100, 0 } };
	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct room *r = open_room(1, 5000000);
		phase(r, VS_PHASE_INFUSION);
		cuff(r, 0, 120, 75, VS_NIBP_NEW);
		wait(r, 5000);
		cuff(r, 0, 121, 75, VS_NIBP_NEW);
		wait(r, 5000);
		size_t len = save(r);
		r->wall += 1000;
		r->now = rows[i].now_ms;
		come_back(r, len);
		assert_int_equal(r->engine.n_cuffs, rows[i].n);
		assert_true(!rows[i].n || r->engine.cuffs[rows[i].n - 1].sys == 121);
		free(r);
	}
}

/* ... and neither has a doubtful one. */
static void a_doubt_without_an_age(void **state)
{
	(void)state;
	for (unsigned late = 0; late < 2; late++) {
		struct room *r = open_room(1, 5000000);
		phase(r, VS_PHASE_INFUSION);
		cuff(r, 0, 160, 131, VS_NIBP_NEW);
		wait(r, 5000);
		size_t len = save(r);
		r->wall += 1000;
		r->now = late ? 6002 : 6000; /* the clock began when it was taken, or 2 ms before */
		come_back(r, len);
		assert_int_equal(r->engine.has_suspect, late);
		free(r);
	}
}

/* A cuff's values that the monitor showed before are no new reading after a restart either. */
static void values_shown_before(void **state)
{
	(void)state;
	struct room *r = open_room(2, 5000000);
	phase(r, VS_PHASE_INFUSION);
	cuff(r, 1, 182, 85, VS_NIBP_ON_CHANGE);
	heard(r, "sbp-hi-crit raised; sbp-up superseded");
	wait(r, 5000);
	size_t len = save(r);
	wait(r, 5000);
	come_back(r, len);
	cuff(r, 1, 182, 85, VS_NIBP_ON_CHANGE);
	assert_int_equal(r->out.quality[0], VS_Q_OLD);
	cuff(r, 0, 182, 85, VS_NIBP_ON_CHANGE); /* the other device never showed them */
	assert_int_equal(r->out.quality[0], VS_Q_VALID);
	free(r);
}

static void devices_change_places(void **state)
{
	(void)state;
	struct room *r = open_room(2, 5000000);
	phase(r, VS_PHASE_INFUSION);
	value(r, 0, VS_HR, 70);
	value(r, 1, VS_SPO2, 97);
	cuff(r, 0, 120, 75, VS_NIBP_ON_CHANGE);
	cuff(r, 1, 121, 76, VS_NIBP_ON_CHANGE);
	for (unsigned t = 0; t < 15; t++) {
		wait(r, 1000);
		value(r, 0, VS_HR, 70);
	}
	heard(r, "device-offline raised"); /* the oximeter */
	size_t len = save(r);
	r->config.devices[0].id = "oximeter";
	r->config.devices[1].id = "monitor";
	come_back(r, len);
	assert_true(r->engine.cuffs[0].device == 1 && r->engine.cuffs[1].device == 0);
	assert_true(r->engine.track[VS_CH_HR].device == 1 && r->engine.track[VS_CH_SPO2].device == 0);
	unsigned iterator = 0;
	struct vs_effect f;
	assert_true(vs_engine_next_alarm(&r->engine, &iterator, &f));
	assert_string_equal(f.u.alarm.device, "oximeter");
	assert_false(vs_engine_next_alarm(&r->engine, &iterator, &f));
	cuff(r, 1, 120, 75, VS_NIBP_ON_CHANGE);
	assert_int_equal(r->out.quality[0], VS_Q_OLD);
	value(r, 0, VS_SPO2, 97);
	heard(r, "device-offline cleared");
	free(r);
}

/* An alarm never just vanishes: what cannot be put back is told. */
static void what_is_left_behind(void **state)
{
	static struct vs_limit_set fewer;
	struct vs_left_behind gone[4];
	(void)state;
	struct room *r = open_room(2, 5000000);
	phase(r, VS_PHASE_INFUSION);
	value(r, 1, VS_SPO2, 97);
	cuff(r, 0, 182, 85, VS_NIBP_NEW);
	for (unsigned t = 0; t < 25; t++) {
		wait(r, 1000);
		value(r, 0, VS_HR, NAN);
	}
	heard(r, "sbp-hi-crit raised; sbp-up superseded; device-offline raised; device-offline escalated");
	size_t len = save(r);
	fewer = *adult;
	fewer.rules[0] = adult->rules[adult->n_rules - 1]; /* sbp-hi-crit is out */
	r->config.set = &fewer;
	r->config.n_devices = 1; /* and so is the oximeter */
	come_back(r, len);
	assert_int_equal(vs_engine_left_behind(&r->engine, bytes, len, gone, 4), 2);
	assert_true(gone[0].number == 1 && gone[1].number == 3);
	assert_string_equal(gone[0].rule, "sbp-hi-crit");
	assert_string_equal(gone[1].rule, "device-offline");
	assert_int_equal(gone[0].priority, VS_PRIORITY_HIGH);
	assert_int_equal(gone[1].priority, VS_PRIORITY_MEDIUM);
	assert_true(gone[0].onset_wall_ms == STORY_EPOCH && gone[1].onset_wall_ms == STORY_EPOCH + 10000);
	assert_int_equal(vs_engine_left_behind(&r->engine, bytes, len, gone, 1), 1);
	assert_int_equal(vs_engine_left_behind(&r->engine, bytes, len, gone, 0), 0);
	assert_int_equal(vs_engine_left_behind(&r->engine, bytes, 3, gone, 4), 0);
	unsigned count[VS_PRIORITY_COUNT];
	step(r, (struct vs_stimulus){ .kind = VS_ST_TIME });
	heard(r, "sbp-up raised"); /* nothing covers it any more */
	vs_engine_count(&r->engine, count);
	assert_true(count[VS_PRIORITY_HIGH] == 0 && count[VS_PRIORITY_MEDIUM] == 0 && count[VS_PRIORITY_LOW] == 1);
	free(r);
}

/* ---- the bytes ---- */

/* Where the parts of them begin, by the widths of what is in them. */
struct places {
	size_t rule_names, device_names, phase, baseline, cuffs, devices, rules, alarms;
};

static struct places walk(const uint8_t *b)
{
	enum { HEAD = 22, CUFF = 50, TRACK = 9, DEVICE = 40, RULE = 46 };
	struct places p = { .rule_names = HEAD };
	size_t at = HEAD;
	for (unsigned i = 0; i < b[20]; i++)
		at += 1u + b[at];
	p.device_names = at;
	for (unsigned i = 0; i < b[21]; i++)
		at += 1u + b[at];
	p.phase = at;
	p.baseline = at + 52;
	p.cuffs = p.baseline + 4 + 9u * b[p.baseline] + 48;
	p.devices = p.cuffs + 1 + CUFF * (b[p.cuffs] + 1u) + 1 + TRACK * VS_CH_COUNT;
	p.rules = p.devices + DEVICE * (size_t)b[21];
	for (at = p.rules; at < VS_ENGINE_SAVED_MAX && p.alarms < b[20]; p.alarms++)
		at += b[at] ? 1 + RULE : 1;
	p.alarms = at;
	return p;
}

static size_t insert(size_t len, size_t at, size_t n, const uint8_t *from)
{
	memmove(bytes + at + n, bytes + at, len - at);
	memcpy(bytes + at, from, n);
	return len + n;
}

static bool taken(struct room *r, size_t len)
{
	vs_engine_init(&r->engine, &r->config, r->now);
	return vs_engine_restore(&r->engine, bytes, len, r->wall) == 0;
}

/* A chair with one alarm that anna has acknowledged; its bytes. */
static size_t one_alarm(struct room *r, unsigned n_cuffs)
{
	struct vs_baseline b = { .len = VS_BASELINE_MAX };
	for (unsigned i = 0; i < VS_BASELINE_MAX; i++)
		b.at[i].metric = VS_METRIC_COUNT - 1 - i, b.at[i].value = 70 + i;
	step(r, (struct vs_stimulus){ .kind = VS_ST_BASELINE, .baseline = &b });
	for (unsigned i = 0; i < n_cuffs; i++)
		cuff(r, 0, 120, 75, VS_NIBP_NEW);
	step(r, (struct vs_stimulus){ .kind = VS_ST_SCORE, .metric = VS_MOAAS, .value = 3 });
	step(r, (struct vs_stimulus){ .kind = VS_ST_ACK });
	return save(r);
}

/* Each field of an alarm at the last value that it can have, and at the next. */
static void fields_of_an_alarm(void **state)
{
	static const struct {
		unsigned before; /* bytes before the name of who acknowledged */
		uint8_t value;
		bool good;
		const char *why;
	} rows[] = {
		{ 11, VS_SEEN_MAX, true, "readings seen" }, { 11, VS_SEEN_MAX + 1, false, "more than are kept" },
		{ 10, VS_FROM_OPERATOR, true, "origin" }, { 10, VS_FROM_OPERATOR + 1, false, "no origin" },
		{ 9, 0, true, "not promoted" }, { 9, 1, true, "promoted" },
		{ 8, 0, true, "the first rule" }, { 8, VS_RULES_MAX - 1, true, "a rule that is not there" }, { 8, VS_RULES_MAX, false, "no rule" },
		{ 7, 0, true, "the device" }, { 7, 1, true, "no device" }, { 7, 0xff, true, "none" },
		{ 6, VS_PRIORITY_HIGH, true, "high" }, { 6, VS_PRIORITY_COUNT, false, "no priority" },
		{ 5, VS_LIFE_IDLE, false, "none stands" }, { 5, VS_LIFE_SOUNDING, true, "sounding" },
		{ 5, VS_LIFE_LATCHED_PAUSED, true, "latched" }, { 5, VS_LIFE_LATCHED_ACKED, false, "nothing between two messages" },
		{ 4, VS_CHANGE_COUNT - 1, true, "the last change" }, { 4, VS_CHANGE_COUNT, false, "no change" },
		{ 3, VS_METRIC_NONE, true, "of no metric" }, { 3, VS_METRIC_NONE + 1, false, "no metric" },
		{ 2, 1, true, "called" },
	};
	(void)state;
	struct room *r = open_room(1, 5000000);
	size_t len = one_alarm(r, 1);
	uint8_t *name = memmem(bytes, len, "anna", 4);
	assert_non_null(name);
	for (unsigned i = 0; i < COUNT(rows); i++) {
		uint8_t was = name[-(int)rows[i].before];
		name[-(int)rows[i].before] = rows[i].value;
		if (taken(r, len) != rows[i].good)
			print_error("%s\n", rows[i].why);
		assert_int_equal(taken(r, len), rows[i].good);
		name[-(int)rows[i].before] = was;
	}
	struct vs_left_behind gone[2];
	struct vs_effect f;
	unsigned iterator = 0;
	memcpy(name - 15, "\x04\x03\x02\x81", 4); /* waited for 24 days, the least of its bytes first */
	assert_true(taken(r, len) && vs_engine_next_alarm(&r->engine, &iterator, &f));
	assert_true(f.u.alarm.because.waited_ms == 0x81020304u);
	static uint8_t again[VS_ENGINE_SAVED_MAX];
	assert_int_equal(vs_engine_save(&r->engine, r->wall, again, sizeof again), len);
	assert_memory_equal(again + (name - bytes) - 15, name - 15, 4);
	assert_int_equal(vs_engine_left_behind(&r->engine, bytes, len, gone, 2), 0);
	name[-8] = bytes[20]; /* one rule behind the last: nothing can be said about it */
	assert_true(taken(r, len));
	assert_int_equal(vs_engine_left_behind(&r->engine, bytes, len, gone, 2), 0);
	name[-8] = VS_RULES_MAX - 1;
	assert_int_equal(vs_engine_left_behind(&r->engine, bytes, len, gone, 2), 0);
	free(r);
}

/* The numbers of the session, and as many of everything as there can be. */
static void counts_in_the_bytes(void **state)
{
	(void)state;
	struct room *r = open_room(1, 5000000);
	size_t len = one_alarm(r, VS_CUFFS);
	static uint8_t whole[VS_ENGINE_SAVED_MAX];
	const struct places p = walk(bytes);
	assert_true(p.alarms < len && bytes[p.alarms] == 1 && bytes[p.cuffs] == VS_CUFFS && bytes[p.baseline] == VS_BASELINE_MAX);
	memcpy(whole, bytes, len);
	assert_true(taken(r, len));
	bytes[p.phase] = VS_PHASE_COUNT - 1;
	assert_true(taken(r, len));
	bytes[p.phase] = VS_PHASE_COUNT;
	assert_false(taken(r, len));
	memcpy(bytes, whole, len);
	bytes[p.baseline + 4] = VS_METRIC_COUNT - 1;
	assert_true(taken(r, len));
	bytes[p.baseline + 4] = VS_METRIC_COUNT;
	assert_false(taken(r, len));
	memcpy(bytes, whole, len);
	bytes[p.baseline] = VS_BASELINE_MAX + 1;
	assert_false(taken(r, insert(len, p.baseline + 4, 9, whole + p.baseline + 4)));
	memcpy(bytes, whole, len);
	bytes[p.cuffs] = VS_CUFFS + 1;
	assert_false(taken(r, insert(len, p.cuffs + 1, 50, whole + p.cuffs + 1)));
	/* the same alarm again and again: only one has its place, but so many could stand */
	memcpy(bytes, whole, len);
	size_t alarm = len - p.alarms - 1, n = len;
	for (unsigned i = 1; i < VS_ENGINE_ALARMS; i++)
		n = insert(n, p.alarms + 1, alarm, whole + p.alarms + 1);
	bytes[p.alarms] = VS_ENGINE_ALARMS;
	assert_true(taken(r, n));
	bytes[p.alarms] = VS_ENGINE_ALARMS + 1;
	assert_false(taken(r, insert(n, p.alarms + 1, alarm, whole + p.alarms + 1)));
	free(r);
}

/* Rules and devices that are not there any more. */
static void counts_of_what_is_gone(void **state)
{
	(void)state;
	struct room *r = open_room(1, 5000000);
	size_t len = one_alarm(r, VS_CUFFS), n;
	static uint8_t whole[VS_ENGINE_SAVED_MAX], one[256];
	const struct places p = walk(bytes);
	memcpy(whole, bytes, len);
	for (unsigned more = 0; more < 2; more++) {
		memcpy(bytes, whole, len);
		unsigned rules = VS_RULES_MAX + more - whole[20];
		memset(one, 0, sizeof one); /* rules that rest; names without letters */
		n = insert(len, p.alarms, rules, one);
		n = insert(n, p.device_names, rules, one);
		bytes[20] = (uint8_t)(VS_RULES_MAX + more);
		assert_int_equal(taken(r, n), !more);
		memcpy(bytes, whole, len);
		n = len;
		for (unsigned i = 1; i < VS_ENGINE_DEVICES + more; i++)
			n = insert(n, p.rules, 40, whole + p.devices);
		n = insert(n, p.phase, VS_ENGINE_DEVICES + more - 1, one);
		bytes[21] = (uint8_t)(VS_ENGINE_DEVICES + more);
		assert_int_equal(taken(r, n), !more);
	}
	free(r);
}

static void longest_names(void **state)
{
	(void)state;
	struct room *r = open_room(1, 5000000);
	size_t len = one_alarm(r, VS_CUFFS), n;
	static uint8_t whole[VS_ENGINE_SAVED_MAX], one[256];
	const struct places p = walk(bytes);
	memcpy(whole, bytes, len);
	for (unsigned letters = VS_RULE_ID_CAP - 1; letters <= VS_RULE_ID_CAP; letters++) {
		memcpy(bytes, whole, len);
		memset(one, 'x', sizeof one);
		n = insert(len, p.rule_names + 1 + whole[p.rule_names], letters - whole[p.rule_names], one);
		bytes[p.rule_names] = (uint8_t)letters;
		assert_int_equal(taken(r, n), letters < VS_RULE_ID_CAP);
	}
	free(r);
}

/* A condition whose alarm is not among the bytes is found again, at the first place of the set, too. */
static void a_condition_without_its_alarm(void **state)
{
	(void)state;
	struct room *r = open_room(1, 5000000);
	phase(r, VS_PHASE_INFUSION);
	cuff(r, 0, 182, 85, VS_NIBP_NEW);
	heard(r, "sbp-hi-crit raised; sbp-up superseded");
	save(r);
	const struct places p = walk(bytes);
	assert_int_equal(bytes[p.alarms], 2);
	bytes[p.alarms] = 0;
	come_back(r, p.alarms + 1);
	wait(r, 1000);
	cuff(r, 0, 182, 85, VS_NIBP_NEW);
	heard(r, "sbp-hi-crit raised; sbp-hi superseded; sbp-up superseded"); /* the second reading confirms sbp-hi */
	free(r);
}

/* A clock that no monotonic clock shows, before or now: refused. */
static void clocks_beyond_any(void **state)
{
	static const struct {
		uint64_t then_ms, now_ms;
		bool good;
	} rows[] = {
		{ 5000000, 5000000, true }, { INT64_MAX, 5000000, true }, { UINT64_C(1) << 63, 5000000, false }, { UINT64_MAX, 5000000, false },
		{ 5000000, INT64_MAX, true }, { 5000000, UINT64_C(1) << 63, false }, { 5000000, UINT64_MAX - 1, false },
	};
	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct room *r = open_room(1, 5000000);
		size_t len = save(r);
		for (unsigned k = 0; k < 8; k++)
			bytes[4 + k] = (uint8_t)(rows[i].then_ms >> (8 * k));
		r->now = rows[i].now_ms;
		assert_int_equal(taken(r, len), rows[i].good);
		free(r);
	}
	static const struct {
		uint64_t phase_ms;
		bool good;
	} times[] = { { INT64_MAX, true }, { UINT64_C(1) << 63, false }, { UINT64_MAX - 1, false } };
	struct room *r = open_room(1, 5000000);
	size_t len = save(r);
	const struct places p = walk(bytes);
	for (unsigned i = 0; i < COUNT(times); i++) {
		for (unsigned k = 0; k < 8; k++)
			bytes[p.phase + 1 + k] = (uint8_t)(times[i].phase_ms >> (8 * k));
		assert_int_equal(taken(r, len), times[i].good);
	}
	free(r);
}

/* A wall clock that cannot be compared says nothing about how long nobody watched. */
static void no_wall_clock(void **state)
{
	(void)state;
	struct room *r = open_room(1, 5000000);
	phase(r, VS_PHASE_INFUSION);
	wait(r, 10000);
	size_t len = save(r);
	memcpy(bytes + 12, "\0\0\0\0\0\0\0\x80", 8); /* as long ago as can be */
	r->now = 100000;
	come_back(r, len);
	assert_true(r->engine.phase_ms == 90000); /* 10 s ago, as it was */
	free(r);
}

/* Rules that rest take no room. */
static void what_rests_is_not_kept(void **state)
{
	(void)state;
	struct room *r = open_room(1, 5000000);
	phase(r, VS_PHASE_INFUSION);
	size_t len = save(r);
	for (unsigned t = 0; t < 30; t++) {
		wait(r, 1000);
		value(r, 0, VS_HR, 70);
		value(r, 0, VS_SPO2, 97);
	}
	cuff(r, 0, 120, 75, VS_NIBP_NEW);
	assert_int_equal(save(r), len + 50); /* the reading */
	free(r);
}

static void bytes_that_are_none(void **state)
{
	(void)state;
	static uint8_t other[VS_ENGINE_SAVED_MAX];
	static struct vs_engine fresh;
	struct room *r = open_room(2, 5000000);
	phase(r, VS_PHASE_INFUSION);
	cuff(r, 0, 182, 85, VS_NIBP_NEW);
	struct vs_baseline b = { .len = 2, .at = { { VS_HR, 70 }, { VS_NIBP_SYS, 120 } } };
	step(r, (struct vs_stimulus){ .kind = VS_ST_BASELINE, .baseline = &b });
	size_t len = save(r);
	for (size_t cap = 0; cap < len; cap++)
		assert_int_equal(vs_engine_save(&r->engine, r->wall, other, cap), 0);
	assert_int_equal(vs_engine_save(&r->engine, r->wall, other, len), len);
	assert_memory_equal(bytes, other, len);
	for (size_t cut = 0; cut < len; cut++) {
		vs_engine_init(&r->engine, &r->config, r->now);
		memcpy(&fresh, &r->engine, sizeof fresh);
		assert_int_equal(vs_engine_restore(&r->engine, bytes, cut, r->wall), -EINVAL);
		assert_memory_equal(&fresh, &r->engine, sizeof fresh); /* as after init */
	}
	assert_int_equal(vs_engine_restore(&r->engine, bytes, len + 1, r->wall), -EINVAL);
	for (unsigned i = 0; i < 4; i++) {
		bytes[i] ^= 1;
		assert_int_equal(vs_engine_restore(&r->engine, bytes, len, r->wall), -EINVAL);
		bytes[i] ^= 1;
	}
	for (size_t i = 0; i < len; i++) /* one byte wrong: refused or taken, never a crash */
		for (unsigned bit = 0; bit < 8; bit++) {
			bytes[i] ^= (uint8_t)(1 << bit);
			vs_engine_init(&r->engine, &r->config, r->now);
			if (vs_engine_restore(&r->engine, bytes, len, r->wall) == 0)
				step(r, (struct vs_stimulus){ .kind = VS_ST_TIME });
			bytes[i] ^= (uint8_t)(1 << bit);
		}
	free(r);
}

/* Saved again right after it came back, it is the same but for what got its time anew. */
static void the_same_again(void **state)
{
	(void)state;
	static uint8_t again[VS_ENGINE_SAVED_MAX];
	struct room *r = open_room(1, 5000000);
	phase(r, VS_PHASE_INFUSION);
	cuff(r, 0, 182, 85, VS_NIBP_NEW);
	step(r, (struct vs_stimulus){ .kind = VS_ST_ACK });
	step(r, (struct vs_stimulus){ .kind = VS_ST_LIMIT, .rule = "hr-hi", .value = 130 });
	step(r, (struct vs_stimulus){ .kind = VS_ST_INTERVAL, .for_ms = 180000 });
	step(r, (struct vs_stimulus){ .kind = VS_ST_FAULT, .fault = VS_FAULT_CLOCK, .on = true, .value = 7 });
	size_t len = save(r);
	come_back(r, len);
	assert_int_equal(vs_engine_nibp_interval_ms(&r->engine), 180000);
	assert_int_equal(vs_engine_phase(&r->engine), VS_PHASE_INFUSION);
	assert_int_equal(vs_engine_save(&r->engine, r->wall, again, sizeof again), len);
	assert_memory_equal(bytes, again, len);
	free(r);
}

/* What a daemon of the version before kept: until when each alarm was paused stood beside it. */
static void bytes_of_version_1(void **state)
{
	enum { ONE_ALARM = 115, BEFORE_PAUSED = 24, PAUSED = 8 };
	static uint8_t old[VS_ENGINE_SAVED_MAX];
	(void)state;
	struct room *r = open_room(1, 5000000);
	phase(r, VS_PHASE_INFUSION);
	cuff(r, 0, 132, 112, VS_NIBP_NEW);
	size_t len = save(r), head = len - ONE_ALARM + BEFORE_PAUSED;
	assert_int_equal(bytes[len - ONE_ALARM - 1], 1); /* alarms */
	memcpy(old, bytes, head);
	memset(old + head, 0, PAUSED);
	memcpy(old + head + PAUSED, bytes + head, len - head);
	old[3] = 1;
	vs_engine_init(&r->engine, &r->config, r->now);
	assert_int_equal(vs_engine_restore(&r->engine, old, len + PAUSED, r->wall), 0);
	assert_int_equal(save(r), len); /* and is kept in the present way from now on */
	cuff(r, 0, 132, 85, VS_NIBP_NEW);
	heard(r, "dbp-hi-crit raised; dbp-hi-crit latched");
	free(r);
}

/* ---- another configuration ---- */

/* The places of rules and devices are as many as set and devices ask for; beside them nothing is touched. */
static void room_for_what_is_configured(void **state)
{
	(void)state;
	struct vs_limit_set none;
	uint64_t next = 1;
	vs_limit_set_blank(&none, "none");
	struct vs_engine_config few = { .set = &none, .n_devices = 1, .next_alarm = &next, .devices = { { .id = "monitor" } } };
	struct vs_engine_config usual = few, most = few;
	struct vs_effects *out = calloc(1, sizeof *out);
	usual.set = most.set = adult;
	most.n_devices = VS_ENGINE_DEVICES;
	for (unsigned d = 0; d < VS_ENGINE_DEVICES; d++)
		most.devices[d].id = "monitor";
	assert_true(vs_engine_size(&few) < vs_engine_size(&usual) && vs_engine_size(&usual) < vs_engine_size(&most));
	assert_true(vs_engine_size(&most) <= sizeof(struct vs_engine));
	assert_true(vs_engine_size(&usual) <= 15000); /* a thousand chairs fit into 40 MB */
	struct vs_engine *e = malloc(vs_engine_size(&few)); /* to the byte: the sanitizer sees who goes beyond */
	vs_engine_init(e, &few, 1000);
	vs_engine_step(e, &(struct vs_stimulus){ .kind = VS_ST_TIME, .at_ms = 90000 }, out);
	e = realloc(e, vs_engine_size(&usual));
	vs_engine_reconfigure(e, &usual, 90000, 0, out);
	assert_true(out->len == 1 && strcmp(out->at[0].u.alarm.rule->id, "device-offline") == 0);
	assert_int_equal(vs_engine_save(e, 0, bytes, sizeof bytes), vs_engine_save(e, 0, bytes, sizeof bytes));
	vs_engine_reconfigure(e, &few, 120000, 0, out);
	assert_true(out->len == 1 && out->at[0].u.alarm.change == VS_CHANGE_CLEARED);
	free(e);
	free(out);
}

static void reconfigure(struct room *r, const struct vs_engine_config *config)
{
	vs_engine_reconfigure(&r->engine, config, r->now, r->wall, &r->out);
	listen(r);
}

static void another_set(void **state)
{
	static struct vs_limit_set moved;
	(void)state;
	struct room *r = open_room(1, 5000000);
	struct vs_baseline b = { .len = 1, .at = { { VS_NIBP_SYS, 120 } } };
	step(r, (struct vs_stimulus){ .kind = VS_ST_BASELINE, .baseline = &b });
	phase(r, VS_PHASE_INFUSION);
	cuff(r, 0, 182, 112, VS_NIBP_NEW);
	step(r, (struct vs_stimulus){ .kind = VS_ST_LIMIT, .rule = "hr-hi", .value = 130 });
	heard(r, "sbp-hi-crit raised; dbp-hi-crit raised; sbp-up superseded");
	/* the same rules the other way round, one of them gone, one of another kind, one with another limit */
	moved = *adult;
	for (unsigned i = 0; i < adult->n_rules; i++)
		moved.rules[i] = adult->rules[adult->n_rules - 1 - i];
	for (unsigned i = 0; i < moved.n_rules; i++) {
		if (strcmp(moved.rules[i].id, "dbp-hi-crit") == 0)
			moved.rules[i].metric = VS_NIBP_MAP;
		if (strcmp(moved.rules[i].id, "sbp-up") == 0)
			snprintf(moved.rules[i].id, VS_RULE_ID_CAP, "sbp-upp");
		if (strcmp(moved.rules[i].id, "sbp-hi") == 0)
			moved.rules[i].limit = vs_limit_plain(170);
	}
	struct vs_engine_config other = r->config;
	other.set = &moved;
	wait(r, 1000);
	reconfigure(r, &other);
	heard(r, "dbp-hi-crit latched; dbp-hi-crit cleared; sbp-up cleared"); /* nobody could end it any more */
	assert_true(r->out.durable && r->out.wake_at_ms > r->now);
	unsigned iterator = 0;
	struct vs_effect f;
	assert_true(vs_engine_next_alarm(&r->engine, &iterator, &f));
	assert_true(f.u.alarm.number == 1 && strcmp(f.u.alarm.rule->id, "sbp-hi-crit") == 0);
	assert_false(vs_engine_next_alarm(&r->engine, &iterator, &f));
	const struct vs_rule *own = vs_rule_find(&moved, "hr-hi"), *hi = vs_rule_find(&moved, "sbp-hi");
	assert_true(r->engine.rules[own - moved.rules].limit == 130); /* of this patient, wherever the rule stands now */
	assert_true(r->engine.rules[hi - moved.rules].limit == 170);
	wait(r, 5000);
	cuff(r, 0, 160, 85, VS_NIBP_NEW);
	heard(r, "sbp-hi-crit latched; sbp-upp raised");
	reconfigure(r, &r->config); /* a latched alarm whose rule goes can be ended by nobody: it ends now */
	heard(r, "sbp-upp cleared");
	moved.n_rules = 1;
	reconfigure(r, &other);
	heard(r, "sbp-hi-crit cleared");
	free(r);
}

/* A rule that is new, at the first place of the set: it begins anew, and watches. */
static void the_first_rule_is_new(void **state)
{
	static struct vs_limit_set fewer;
	(void)state;
	struct room *r = open_room(1, 5000000);
	struct vs_engine_config whole = r->config, other = r->config;
	fewer = *adult;
	fewer.rules[0] = fewer.rules[--fewer.n_rules];
	other.set = &fewer;
	reconfigure(r, &other);
	phase(r, VS_PHASE_INFUSION);
	cuff(r, 0, 182, 85, VS_NIBP_NEW);
	heard(r, "sbp-up raised");
	reconfigure(r, &whole);
	heard(r, "");
	cuff(r, 0, 182, 85, VS_NIBP_NEW);
	heard(r, "sbp-hi-crit raised; sbp-up superseded; sbp-hi superseded");
	free(r);
}

static void a_rule_that_is_switched_off(void **state)
{
	static struct vs_limit_set off;
	(void)state;
	struct room *r = open_room(1, 5000000);
	phase(r, VS_PHASE_INFUSION);
	cuff(r, 0, 120, 112, VS_NIBP_NEW);
	cuff(r, 0, 142, 80, VS_NIBP_NEW);
	r->said[0] = '\0';
	off = *adult;
	for (unsigned i = 0; i < off.n_rules; i++)
		off.rules[i].enabled = strcmp(off.rules[i].id, "sbp-up") != 0;
	struct vs_engine_config other = r->config;
	other.set = &off;
	reconfigure(r, &other);
	heard(r, "sbp-up cleared");
	free(r);
}

/* The same configuration again, while everything that can stand stands: not a word. */
static void the_same_configuration(void **state)
{
	(void)state;
	struct room *r = open_room(2, 5000000);
	phase(r, VS_PHASE_INFUSION);
	value(r, 1, VS_SPO2, 97);
	cuff(r, 0, 182, 85, VS_NIBP_NEW);
	step(r, (struct vs_stimulus){ .kind = VS_ST_FAULT, .fault = VS_FAULT_LOG, .on = true });
	wait(r, 12000);
	step(r, (struct vs_stimulus){ .kind = VS_ST_TIME });
	heard(r, "sbp-hi-crit raised; sbp-up superseded; log-fail raised; device-offline raised; device-offline raised");
	struct vs_engine_config same = r->config;
	reconfigure(r, &same);
	heard(r, "");
	assert_int_equal(r->out.len, 0);
	free(r);
}

/* Each signal and each reading follows its device to its new place in the list, or has none any more. */
static void signals_follow_their_devices(void **state)
{
	static const char *const lists[][2] = { { "monitor", "oximeter" }, { "oximeter", "monitor" }, { "another", "monitor" },
		{ "oximeter", "another" }, { "monitor", "oximeter" /* behind the end */ } };
	static const unsigned n[] = { 2, 2, 2, 2, 1 };
	static const unsigned hr[] = { 0, 1, 1, VS_DEVICE_NONE, 0 }, spo2[] = { 1, 0, VS_DEVICE_NONE, 0, VS_DEVICE_NONE };
	(void)state;
	for (unsigned i = 0; i < COUNT(lists); i++) {
		struct room *r = open_room(2, 5000000);
		value(r, 0, VS_HR, 70);
		value(r, 1, VS_SPO2, 97);
		cuff(r, 0, 120, 75, VS_NIBP_NEW);
		cuff(r, 1, 121, 75, VS_NIBP_NEW);
		cuff(r, 1, 160, 131, VS_NIBP_NEW); /* doubtful */
		struct vs_engine_config other = r->config;
		other.devices[0].id = lists[i][0];
		other.devices[1].id = lists[i][1];
		other.n_devices = n[i];
		reconfigure(r, &other);
		assert_true(r->engine.cuffs[0].device == hr[i] && r->engine.cuffs[1].device == spo2[i]);
		assert_true(r->engine.has_suspect && r->engine.suspect.device == spo2[i]);
		assert_int_equal(r->engine.track[VS_CH_HR].device, hr[i]);
		assert_int_equal(r->engine.track[VS_CH_SPO2].device, spo2[i]);
		assert_int_equal(r->engine.track[VS_CH_RR].device, VS_DEVICE_NONE);
		free(r);
	}
}

static void other_devices(void **state)
{
	(void)state;
	struct room *r = open_room(3, 5000000);
	phase(r, VS_PHASE_INFUSION);
	value(r, 1, VS_SPO2, 97);
	for (unsigned t = 0; t < 12; t++) {
		wait(r, 1000);
		value(r, 2, VS_RR, 14);
	}
	heard(r, "device-offline raised; device-offline raised"); /* monitor and oximeter */
	struct vs_engine_config other = r->config;
	other.n_devices = 2;
	other.devices[0].id = "oximeter";
	other.devices[1].id = "pump";
	other.devices[0].quiet_ms = other.devices[1].quiet_ms = 0;
	reconfigure(r, &other);
	heard(r, "device-offline cleared"); /* the monitor is gone */
	unsigned iterator = 0;
	struct vs_effect f;
	assert_true(vs_engine_next_alarm(&r->engine, &iterator, &f));
	assert_string_equal(f.u.alarm.device, "oximeter");
	assert_false(vs_engine_next_alarm(&r->engine, &iterator, &f));
	value(r, 0, VS_SPO2, 97);
	heard(r, "device-offline cleared");
	wait(r, 9999);
	value(r, 0, VS_SPO2, 97);
	heard(r, "");
	wait(r, 1);
	value(r, 0, VS_SPO2, 97);
	heard(r, "device-offline raised"); /* the pump, 10 s after its last word, not after the change */
	free(r);
}

/* A device that is new at its place has shown nothing yet, whatever the one before it showed. */
static void values_of_the_device_before(void **state)
{
	static const enum vs_metric parts[] = { VS_NIBP_SYS, VS_NIBP_DIA, VS_NIBP_MAP, VS_NIBP_PR };
	(void)state;
	for (unsigned i = 0; i < COUNT(parts); i++) {
		struct room *r = open_room(1, 5000000);
		struct vs_reading reading = { .len = 0 };
		struct vs_stimulus s = { .kind = VS_ST_READING, .reading = &reading, .nibp = VS_NIBP_ON_CHANGE };
		vs_reading_add(&reading, parts[i], 90, 0);
		step(r, s);
		assert_int_equal(r->out.quality[0], VS_Q_VALID);
		step(r, s);
		assert_int_equal(r->out.quality[0], VS_Q_OLD);
		struct vs_engine_config other = r->config;
		other.devices[0].id = "another";
		reconfigure(r, &other);
		step(r, s);
		assert_int_equal(r->out.quality[0], VS_Q_VALID);
		free(r);
	}
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(missed_before),
		cmocka_unit_test(over_a_reboot),
		cmocka_unit_test(readings_without_an_age),
		cmocka_unit_test(a_doubt_without_an_age),
		cmocka_unit_test(values_shown_before),
		cmocka_unit_test(values_of_the_device_before),
		cmocka_unit_test(devices_change_places),
		cmocka_unit_test(what_is_left_behind),
		cmocka_unit_test(fields_of_an_alarm),
		cmocka_unit_test(counts_in_the_bytes),
		cmocka_unit_test(counts_of_what_is_gone),
		cmocka_unit_test(longest_names),
		cmocka_unit_test(a_condition_without_its_alarm),
		cmocka_unit_test(clocks_beyond_any),
		cmocka_unit_test(no_wall_clock),
		cmocka_unit_test(what_rests_is_not_kept),
		cmocka_unit_test(bytes_that_are_none),
		cmocka_unit_test(the_same_again),
		cmocka_unit_test(bytes_of_version_1),
		cmocka_unit_test(room_for_what_is_configured),
		cmocka_unit_test(another_set),
		cmocka_unit_test(the_first_rule_is_new),
		cmocka_unit_test(a_rule_that_is_switched_off),
		cmocka_unit_test(the_same_configuration),
		cmocka_unit_test(signals_follow_their_devices),
		cmocka_unit_test(other_devices),
	};
	static struct CMUnitTest tests[COUNT(stories) + COUNT(others)];
	for (unsigned i = 0; i < COUNT(stories); i++)
		tests[i] = (struct CMUnitTest){ .name = stories[i].why, .test_func = tell, .initial_state = (void *)&stories[i] };
	memcpy(tests + COUNT(stories), others, sizeof others);
	return _cmocka_run_group_tests("engine saved", tests, COUNT(tests), adult_load, adult_unload);
}
