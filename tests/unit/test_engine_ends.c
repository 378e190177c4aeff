/* Where tables end: the first place of a set, its last one and the one behind it; the last alarm and what lies behind;
 * as many steps as a rule can have; rules that watch what is not there. */
#include <errno.h>

#include "alarms/gates.h"
#include "tests/unit/engine_room.h"

/* ---- rules ---- */

static const struct phased {
	const char *rule, *script, *in;
} phased[] = {
#include "tests/unit/engine_phases.def"
};

static void swap(struct vs_limit_set *set, const char *id, unsigned place)
{
	unsigned i = (unsigned)(vs_rule_find(set, id) - set->rules);
	struct vs_rule other = set->rules[place];
	set->rules[place] = set->rules[i];
	set->rules[i] = other;
}

/* A rule watches wherever it stands in its set, and not behind the end of it, whatever lies there. */
static void places_of_rules(void **state)
{
	enum { FIRST, LAST, BEHIND };
	(void)state;
	for (unsigned i = 0; i < COUNT(phased); i++)
		for (unsigned place = FIRST; place <= BEHIND; place++) {
			struct story_run *r = calloc(1, sizeof *r);
			struct vs_limit_set set = *adult;
			char raised[64];
			snprintf(raised, sizeof raised, " %s ", phased[i].rule);
			swap(&set, phased[i].rule, place == FIRST ? 0 : set.n_rules - 1);
			set.n_rules -= place == BEHIND;
			story_play(r, &set, "infusion", "hr=70,nibp_sys=120,nibp_dia=75", phased[i].script);
			bool is = strstr(r->said, raised) != NULL;
			if (is != (place != BEHIND))
				print_error("%s, place %u: %s\n", phased[i].rule, place, r->said);
			assert_int_equal(is, place != BEHIND);
			free(r);
		}
}

/* A limit of a patient, or a rule that another one names: not found behind the end either. */
static void names_behind_the_end(void **state)
{
	(void)state;
	struct room *r = chair(1);
	swap(&r->set, "hr-hi", r->set.n_rules - 1);
	r->set.n_rules--;
	step(r, (struct vs_stimulus){ .kind = VS_ST_LIMIT, .rule = "hr-hi", .value = 125 });
	heard(r, "there is no rule hr-hi in ketamine-adult");
	free(r);
}

/* A rule that comes with a new configuration begins anew, though it lay behind the end of the old set: there the silence of a
 * device has its place. */
static void a_rule_from_behind_the_end(void **state)
{
	(void)state;
	struct room *r = chair(1);
	static struct vs_limit_set whole;
	struct vs_engine_config other = r->config;
	swap(&r->set, "hr-hi", r->set.n_rules - 1);
	whole = r->set;
	r->set.n_rules--;
	begin(r, STORY_EPOCH);
	r->now += 12000;
	step(r, (struct vs_stimulus){ .kind = VS_ST_TIME });
	heard(r, "device-offline raised");
	other.set = &whole;
	vs_engine_reconfigure(&r->engine, &other, r->now, 0, &r->out);
	listen(r);
	heard(r, "");
	unsigned iterator = 0;
	struct vs_effect f;
	assert_true(vs_engine_next_alarm(&r->engine, &iterator, &f));
	assert_string_equal(f.u.alarm.rule->id, "device-offline");
	assert_false(vs_engine_next_alarm(&r->engine, &iterator, &f));
	free(r);
}

/* ---- alarms ---- */

/* An engine, and behind its last place something that looks like one more: nobody reads or changes it. */
static void behind_the_last_alarm(void **state)
{
	struct guarded {
		struct vs_engine engine;
	} *g = calloc(1, sizeof *g);
	struct room *r = chair(1);
	struct vs_rule_state *beyond = &g->engine.rules[r->set.n_rules + 1];
	struct vs_session_facts facts;
	struct vs_effect f;
	static uint8_t bytes[VS_ENGINE_SAVED_MAX], again[VS_ENGINE_SAVED_MAX];
	char text[2048];
	unsigned count[VS_PRIORITY_COUNT], iterator = 0;
	(void)state;
	assert_ptr_equal((char *)&g->engine + vs_engine_size(&r->config), beyond);
	g->engine = r->engine;
	*beyond = (struct vs_rule_state){ .limit = 180, .own = 180, .holds = true };
	beyond->alarm = (struct vs_standing){ .number = 77, .raised_ms = r->now - 300000, .said_ms = r->now - 300000, .value = 182,
		.limit = 180, .latest = 182, .device = 0, .priority = VS_PRIORITY_HIGH, .life = VS_LIFE_SOUNDING,
		.change = VS_CHANGE_RAISED, .source = VS_NIBP_SYS };
	const struct vs_rule_state before = *beyond;
	static const struct vs_stimulus all[] = {
		{ .kind = VS_ST_TIME }, { .kind = VS_ST_ACK }, { .kind = VS_ST_ACK, .alarm = 77 }, { .kind = VS_ST_PAUSE },
		{ .kind = VS_ST_RESUME }, { .kind = VS_ST_PHASE, .phase = VS_PHASE_RECOVERY }, { .kind = VS_ST_SCORE, .metric = VS_MOAAS, .value = 3 },
		{ .kind = VS_ST_SCORE, .metric = VS_MOAAS, .value = 5 },
	};
	for (unsigned i = 0; i < COUNT(all); i++) {
		struct vs_stimulus s = all[i];
		s.at_ms = r->now += 1000;
		vs_engine_step(&g->engine, &s, &r->out);
		listen(r);
	}
	heard(r, "no alarm waits for an acknowledgement at this chair; no alarm a-000077 stands at this chair; loc-low raised; loc-low cleared");
	assert_true(r->out.wake_at_ms == UINT64_MAX || r->out.wake_at_ms > r->now);
	vs_engine_count(&g->engine, count);
	vs_engine_facts(&g->engine, r->now, &facts);
	assert_true(!count[VS_PRIORITY_HIGH] && !facts.high && !facts.high_unacknowledged && !facts.unacknowledged);
	assert_false(vs_engine_next_alarm(&g->engine, &iterator, &f));
	struct vs_json j = vs_json_into(text, sizeof text);
	assert_int_equal(vs_engine_explain(&g->engine, 77, &j), -ENOENT);
	size_t len = vs_engine_save(&g->engine, 0, bytes, sizeof bytes);
	r->engine = g->engine;
	assert_int_equal(vs_engine_save(&r->engine, 0, again, sizeof again), len);
	vs_engine_reconfigure(&g->engine, &r->config, r->now, 0, &r->out);
	listen(r);
	heard(r, "");
	assert_int_equal(vs_engine_restore(&g->engine, bytes, len, 0), 0);
	assert_memory_equal(beyond, &before, sizeof before);
	free(g);
	free(r);
}

static struct vs_step *add_step(struct vs_rule *r, enum vs_priority to)
{
	struct vs_step *s = &r->steps[r->n_steps++];
	*s = vs_step_blank();
	s->to = to;
	return s;
}

static unsigned standing(const struct room *r)
{
	unsigned iterator = 0, n = 0;
	struct vs_effect f;
	while (vs_engine_next_alarm(&r->engine, &iterator, &f))
		n++;
	return n;
}

/* As many rules and devices as there can be: each alarm has its place, those of the devices behind those of the rules. */
static void every_place(void **state)
{
	(void)state;
	struct room *r = bare();
	static char names[VS_ENGINE_DEVICES][8];
	unsigned count[VS_PRIORITY_COUNT];
	for (unsigned i = 0; i < VS_RULES_MAX; i++)
		sprintf(rule(r, "rule", VS_RASS, VS_WHEN_GE, i, VS_PRIORITY_LOW)->id, "rule-%u", i);
	for (unsigned i = 1; i < VS_RULES_MAX; i += 2)
		r->set.rules[i].log_only = true;
	r->set.rules[VS_RULES_MAX - 1].type = VS_RULE_DEVICE_OFFLINE;
	r->set.rules[VS_RULES_MAX - 1].log_only = false;
	add_step(&r->set.rules[VS_RULES_MAX - 1], VS_PRIORITY_MEDIUM)->after_ms = 1000;
	r->set.announcing.unacknowledged_ms[VS_PRIORITY_MEDIUM] = 5000;
	r->config.n_devices = VS_ENGINE_DEVICES;
	for (unsigned d = 0; d < VS_ENGINE_DEVICES; d++) {
		snprintf(names[d], sizeof names[d], "d%u", d);
		r->config.devices[d].id = names[d];
	}
	begin(r, STORY_EPOCH);
	step(r, (struct vs_stimulus){ .kind = VS_ST_SCORE, .metric = VS_RASS, .value = 62 });
	assert_int_equal(standing(r), 32);
	r->now += 1000;
	step(r, (struct vs_stimulus){ .kind = VS_ST_TIME });
	assert_true(r->out.wake_at_ms == r->now + 5000); /* nobody answered the devices' alarms */
	static uint8_t bytes[VS_ENGINE_SAVED_MAX];
	size_t len = vs_engine_save(&r->engine, 0, bytes, sizeof bytes);
	vs_engine_init(&r->engine, &r->config, r->now);
	assert_int_equal(vs_engine_restore(&r->engine, bytes, len, 0), 0);
	assert_int_equal(standing(r), 32 + VS_ENGINE_DEVICES);
	r->said[0] = '\0';
	vs_engine_reconfigure(&r->engine, &r->config, r->now, 0, &r->out);
	listen(r);
	heard(r, "");
	for (unsigned d = 0; d < VS_ENGINE_DEVICES; d++) {
		vs_engine_count(&r->engine, count);
		assert_int_equal(count[VS_PRIORITY_MEDIUM], VS_ENGINE_DEVICES - d);
		assert_int_equal(standing(r), 32 + VS_ENGINE_DEVICES - d);
		value(r, d, VS_RR, 14);
	}
	step(r, (struct vs_stimulus){ .kind = VS_ST_SCORE, .metric = VS_RASS, .value = -1 });
	assert_int_equal(standing(r), 0);
	free(r);
}

/* ... also one silent device alone, behind as many rules as there can be. */
static void the_place_behind_all_rules(void **state)
{
	(void)state;
	struct room *r = bare();
	for (unsigned i = 0; i < VS_RULES_MAX; i++)
		rule(r, "rule", VS_RASS, VS_WHEN_GE, 3, VS_PRIORITY_LOW)->enabled = false;
	r->set.rules[5].type = VS_RULE_DEVICE_OFFLINE;
	r->set.rules[5].enabled = true;
	add_step(&r->set.rules[5], VS_PRIORITY_MEDIUM)->after_ms = 1000;
	r->set.announcing.unacknowledged_ms[VS_PRIORITY_MEDIUM] = 5000;
	begin(r, STORY_EPOCH);
	r->now = STORY_EPOCH + 1000;
	step(r, (struct vs_stimulus){ .kind = VS_ST_TIME });
	heard(r, "rule raised");
	assert_true(r->out.wake_at_ms == r->now + 5000);
	r->now += 5000;
	step(r, (struct vs_stimulus){ .kind = VS_ST_TIME });
	assert_true(r->out.len == 1 && strcmp(r->out.at[0].u.request.request, "call-second") == 0);
	free(r);
}

/* Who did it is told: who paused, and who ended the pause. */
static void who_paused_and_who_resumed(void **state)
{
	(void)state;
	struct room *r = chair(1);
	cuff(r, 182, 85, VS_NIBP_NEW);
	unsigned iterator = 0;
	struct vs_effect f;
	memset(&f, 0x5a, sizeof f);
	assert_true(vs_engine_next_alarm(&r->engine, &iterator, &f));
	assert_true(f.u.alarm.paused_until_wall_ms == 0 && !f.u.alarm.by[0] && f.at_ms == r->now && f.wall_ms == (int64_t)r->now);
	step(r, (struct vs_stimulus){ .kind = VS_ST_PAUSE, .operator = "anna" });
	assert_string_equal(r->out.at[0].u.alarm.by, "anna");
	iterator = 0;
	assert_true(vs_engine_next_alarm(&r->engine, &iterator, &f));
	assert_true(f.u.alarm.paused_until_wall_ms == (int64_t)r->now + 120000);
	step(r, (struct vs_stimulus){ .kind = VS_ST_RESUME, .operator = "berta" });
	assert_string_equal(r->out.at[0].u.alarm.by, "berta");
	heard(r, "sbp-hi-crit raised; sbp-up superseded; sbp-hi-crit audio_paused; sbp-hi-crit resumed");
	free(r);
}

/* ---- steps ---- */

/* Four steps, as many as there can be; behind them something that is no step. */
static void four_steps(void **state)
{
	static const enum vs_priority to[VS_STEPS_MAX] = { VS_PRIORITY_LOW, VS_PRIORITY_LOW, VS_PRIORITY_MEDIUM, VS_PRIORITY_HIGH };
	static const char *const kinds[] = { "device-offline", "nibp-fail", "threshold", "signal-loss" };
	static const enum vs_rule_type types[] = { VS_RULE_DEVICE_OFFLINE, VS_RULE_NIBP_FAIL, VS_RULE_THRESHOLD, VS_RULE_SIGNAL_LOSS };
	(void)state;
	for (unsigned k = 0; k < COUNT(types); k++) {
		struct room *r = bare();
		struct vs_rule *four = rule(r, kinds[k], k == 1 ? VS_NIBP_SYS : VS_SPO2, VS_WHEN_GT, 90, VS_PRIORITY_NONE);
		four->type = types[k];
		memset(four->request + 1, 0xff, 7); /* what lies behind the steps: a priority, phases, no delay */
		for (unsigned i = 0; i < VS_STEPS_MAX; i++) {
			struct vs_step *s = add_step(four, to[i]);
			s->after_ms = types[k] == VS_RULE_NIBP_FAIL ? 0 : (i + 1) * 1000;
			s->count = types[k] == VS_RULE_NIBP_FAIL ? i + 1 : 0;
		}
		if (types[k] == VS_RULE_THRESHOLD)
			four->priority = VS_PRIORITY_LOW;
		begin(r, STORY_EPOCH);
		value(r, 0, VS_SPO2, 95);
		for (unsigned i = 0; i < VS_STEPS_MAX; i++) {
			r->now += 1000;
			if (types[k] == VS_RULE_NIBP_FAIL)
				step(r, (struct vs_stimulus){ .kind = VS_ST_CUFF, .failed = true });
			else
				step(r, (struct vs_stimulus){ .kind = VS_ST_TIME });
		}
		r->now += 1000;
		step(r, (struct vs_stimulus){ .kind = VS_ST_TIME });
		char wanted[128];
		snprintf(wanted, sizeof wanted, "%s raised; %s escalated; %s escalated", kinds[k], kinds[k], kinds[k]);
		heard(r, wanted);
		free(r);
	}
}

/* A step for values so bad: one sample that is less bad is no reason to speak of less, the next alarm begins anew. */
static void a_step_for_a_value(void **state)
{
	static const struct {
		double value;
		enum vs_priority priority;
		const char *said;
	} rows[] = {
		{ 84, VS_PRIORITY_MEDIUM, "oxygen raised" }, { 86, VS_PRIORITY_MEDIUM, "" }, { 95, VS_PRIORITY_NONE, "oxygen cleared" },
		{ 88, VS_PRIORITY_LOW, "oxygen raised" }, { 85, VS_PRIORITY_LOW, "" }, { 84, VS_PRIORITY_MEDIUM, "oxygen escalated" },
	};
	(void)state;
	struct room *r = bare();
	struct vs_rule *low = rule(r, "oxygen", VS_SPO2, VS_WHEN_LT, 90, VS_PRIORITY_LOW);
	add_step(low, VS_PRIORITY_MEDIUM)->at = 85;
	begin(r, STORY_EPOCH);
	for (unsigned i = 0; i < COUNT(rows); i++, r->now += 1000) {
		unsigned count[VS_PRIORITY_COUNT];
		value(r, 0, VS_SPO2, rows[i].value);
		heard(r, rows[i].said);
		vs_engine_count(&r->engine, count);
		assert_int_equal(count[VS_PRIORITY_LOW], rows[i].priority == VS_PRIORITY_LOW);
		assert_int_equal(count[VS_PRIORITY_MEDIUM], rows[i].priority == VS_PRIORITY_MEDIUM);
	}
	free(r);
}

/* D0.7 among rules of one priority: the limit that lies further out is announced, of two equal ones the first. */
static void the_highest_tier(void **state)
{
	static const struct {
		enum vs_when when;
		double limits[2], value;
		const char *said;
	} rows[] = {
		{ VS_WHEN_GE, { 150, 160 }, 165, "b raised; a superseded" }, { VS_WHEN_GE, { 160, 150 }, 165, "a raised; b superseded" },
		{ VS_WHEN_LT, { 90, 80 }, 75, "b raised; a superseded" }, { VS_WHEN_LT, { 80, 90 }, 75, "a raised; b superseded" },
		{ VS_WHEN_GE, { 150, 150 }, 165, "a raised; b superseded" }, { VS_WHEN_LT, { 80, 80 }, 75, "a raised; b superseded" },
	};
	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct room *r = bare();
		rule(r, "a", VS_NIBP_SYS, rows[i].when, rows[i].limits[0], VS_PRIORITY_MEDIUM);
		rule(r, "b", VS_NIBP_SYS, rows[i].when, rows[i].limits[1], VS_PRIORITY_MEDIUM);
		begin(r, STORY_EPOCH);
		cuff(r, rows[i].value, 40, VS_NIBP_NEW);
		heard(r, rows[i].said);
		free(r);
	}
}

/* ... and nothing behind them is waited for. */
static void no_step_is_due(void **state)
{
	(void)state;
	struct room *r = bare();
	struct vs_rule *four = rule(r, "four", VS_SPO2, VS_WHEN_LT, 90, VS_PRIORITY_LOW);
	for (unsigned i = 0; i < VS_STEPS_MAX; i++)
		add_step(four, VS_PRIORITY_HIGH)->after_ms = (i + 1) * 1000;
	strcpy(four->request, "nibp-repeat"); /* its letters stand where a delay would */
	begin(r, STORY_EPOCH);
	value(r, 0, VS_SPO2, 80);
	for (unsigned i = 0; i < VS_STEPS_MAX; i++) {
		assert_true(r->out.wake_at_ms == STORY_EPOCH + (i + 1) * 1000ull);
		r->now = r->out.wake_at_ms;
		step(r, (struct vs_stimulus){ .kind = VS_ST_TIME });
	}
	assert_true(r->out.wake_at_ms == UINT64_MAX);
	free(r);
}

/* ---- rules that watch what is not there ---- */

static void no_signal_to_lose(void **state)
{
	(void)state;
	struct room *r = bare();
	struct vs_rule *lost = rule(r, "lost", VS_NIBP_SYS, VS_WHEN_NONE, NAN, VS_PRIORITY_NONE);
	lost->type = VS_RULE_SIGNAL_LOSS;
	add_step(lost, VS_PRIORITY_LOW)->after_ms = 1000;
	begin(r, STORY_EPOCH);
	cuff(r, 120, 75, VS_NIBP_NEW);
	r->now += 100000;
	step(r, (struct vs_stimulus){ .kind = VS_ST_TIME });
	heard(r, "");
	assert_true(r->out.wake_at_ms == UINT64_MAX);
	free(r);
}

/* In the first minute of a clock no cuff has worked for a minute. */
static void lost_soon_after_the_start(void **state)
{
	(void)state;
	struct room *r = bare();
	struct vs_rule *lost = rule(r, "lost", VS_SPO2, VS_WHEN_NONE, NAN, VS_PRIORITY_NONE);
	lost->type = VS_RULE_SIGNAL_LOSS;
	lost->cuff_arm_ms = 60000;
	add_step(lost, VS_PRIORITY_LOW)->after_ms = 15000;
	begin(r, 1000);
	value(r, 0, VS_SPO2, 97);
	assert_true(r->out.wake_at_ms == 16000);
	r->now = r->out.wake_at_ms;
	step(r, (struct vs_stimulus){ .kind = VS_ST_TIME });
	heard(r, "lost raised");
	free(r);
}

/* Noted, not announced: it holds without an alarm of its own. */
static void technical_and_for_the_log(void **state)
{
	(void)state;
	struct room *r = bare();
	struct vs_rule *lost = rule(r, "lost", VS_SPO2, VS_WHEN_NONE, NAN, VS_PRIORITY_NONE);
	lost->type = VS_RULE_SIGNAL_LOSS;
	lost->log_only = true;
	add_step(lost, VS_PRIORITY_LOW)->after_ms = 1000;
	begin(r, STORY_EPOCH);
	value(r, 0, VS_SPO2, 97);
	unsigned notes = 0;
	for (unsigned i = 0; i < 5; i++) {
		r->now += 1000;
		step(r, (struct vs_stimulus){ .kind = VS_ST_TIME });
		for (unsigned k = 0; k < r->out.len; k++)
			notes += r->out.at[k].kind == VS_EFFECT_REQUEST && strcmp(r->out.at[k].u.request.request, "note") == 0;
	}
	heard(r, "");
	assert_int_equal(notes, 1);
	free(r);
}

/* D4: one failure is enough where the set says so, or says nothing; none is not. */
static void the_first_failure(void **state)
{
	(void)state;
	for (unsigned count = 0; count < 2; count++) {
		struct room *r = bare();
		struct vs_rule *fail = rule(r, "fail", VS_NIBP_SYS, VS_WHEN_NONE, NAN, VS_PRIORITY_NONE);
		fail->type = VS_RULE_NIBP_FAIL;
		add_step(fail, VS_PRIORITY_LOW)->count = count;
		begin(r, STORY_EPOCH);
		value(r, 0, VS_RR, 14);
		heard(r, "");
		step(r, (struct vs_stimulus){ .kind = VS_ST_CUFF, .failed = true });
		heard(r, "fail raised");
		cuff(r, 120, 75, VS_NIBP_NEW);
		heard(r, "fail cleared");
		free(r);
	}
}

/* Without a delay: missing as soon as it is missing, and not while it is there. */
static void missing_at_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct room *r = bare();
		struct vs_rule *gone = rule(r, "gone", i % 2 ? VS_METRIC_NONE : VS_SPO2, VS_WHEN_NONE, NAN, VS_PRIORITY_NONE);
		gone->type = i % 2 ? VS_RULE_DEVICE_OFFLINE : VS_RULE_SIGNAL_LOSS;
		gone->cuff_arm_ms = i < 2 ? 0 : 60000;
		add_step(gone, VS_PRIORITY_LOW);
		begin(r, STORY_EPOCH);
		value(r, 0, VS_SPO2, 97);
		heard(r, "");
		r->now++;
		step(r, (struct vs_stimulus){ .kind = VS_ST_TIME });
		heard(r, "gone raised");
		value(r, 0, VS_SPO2, 97);
		heard(r, "gone cleared");
		free(r);
	}
}

/* Which device is missed: that of the newest reading, that of the signal. */
static void whose_reading_is_overdue(void **state)
{
	(void)state;
	struct room *r = chair(2);
	struct vs_reading reading = { .len = 0 };
	vs_reading_add(&reading, VS_NIBP_SYS, 120, 0);
	vs_reading_add(&reading, VS_NIBP_DIA, 75, 0);
	step(r, (struct vs_stimulus){ .kind = VS_ST_READING, .reading = &reading, .device = 1, .nibp = VS_NIBP_NEW });
	for (unsigned t = 0; t < 421; t++) {
		r->now += 1000;
		value(r, 0, VS_RR, 14);
		if (t < 420)
			value(r, 1, VS_RR, 14);
	}
	heard(r, "nibp-overdue raised");
	unsigned iterator = 0;
	struct vs_effect f;
	assert_true(vs_engine_next_alarm(&r->engine, &iterator, &f));
	assert_string_equal(f.u.alarm.device, "two");
	free(r);
}

/* ---- the heart rate changes its source ---- */

/* What was waited for on one sensor begins anew on the other; other signals go on as they were. */
static void another_sensor(void **state)
{
	(void)state;
	struct room *r = bare();
	rule(r, "heart", VS_HR, VS_WHEN_GT, 120, VS_PRIORITY_LOW)->on_delay_ms = 15000;
	rule(r, "oxygen", VS_SPO2, VS_WHEN_LT, 90, VS_PRIORITY_LOW)->on_delay_ms = 15000;
	r->set.validity.stale_ms = 5000;
	r->set.validity.median_ms = 3000;
	r->set.validity.freeze_ms = 10000;
	begin(r, STORY_EPOCH);
	for (unsigned t = 0; t <= 20; t++, r->now += 1000) { /* from second 5 on, the ECG has been silent for 5 s */
		if (t == 0)
			value(r, 0, VS_HR, 130);
		value(r, 0, VS_PR, 130);
		value(r, 0, VS_SPO2, 85);
		heard(r, t == 15 ? "oxygen raised" : t == 20 ? "heart raised" : "");
	}
	free(r);
}

/* D0.2: what is over is over: the next violation waits as long as the first, also where it follows at once. */
static void a_delay_begins_anew(void **state)
{
	(void)state;
	struct room *r = bare();
	rule(r, "heart", VS_HR, VS_WHEN_GT, 120, VS_PRIORITY_LOW)->on_delay_ms = 15000;
	r->set.validity.freeze_ms = 10000;
	r->set.validity.median_ms = 1000;
	begin(r, STORY_EPOCH);
	for (unsigned t = 0; t <= 33; t++, r->now += 1000) {
		value(r, 0, VS_HR, t == 17 ? 100 : 130);
		heard(r, t == 15 ? "heart raised" : t == 17 ? "heart cleared" : t == 33 ? "heart raised" : "");
	}
	free(r);
}

/* Both are as old as values may be: neither is fresh, the ECG decides. */
static void neither_is_fresh(void **state)
{
	(void)state;
	struct room *r = bare();
	rule(r, "heart", VS_HR, VS_WHEN_GT, 120, VS_PRIORITY_LOW);
	r->set.validity.stale_ms = 10000;
	r->set.validity.median_ms = 60000;
	begin(r, STORY_EPOCH);
	value(r, 0, VS_HR, 70);
	r->now += 5000;
	value(r, 0, VS_PR, 130);
	r->now += 10000;
	value(r, 0, VS_RR, 14);
	heard(r, "");
	assert_int_equal(r->engine.hr_channel, VS_CH_HR);
	free(r);
}

/* The pressures of a whole reading and its pulse: each rule is asked. */
static void every_number_of_a_reading(void **state)
{
	static const enum vs_metric parts[] = { VS_NIBP_SYS, VS_NIBP_DIA, VS_NIBP_MAP, VS_NIBP_PR };
	static const double values[] = { 120, 75, 90, 66 };
	(void)state;
	for (unsigned i = 0; i < COUNT(parts); i++) {
		struct room *r = bare();
		struct vs_reading reading = { .len = 0 };
		rule(r, "rule", parts[i], VS_WHEN_GE, values[i], VS_PRIORITY_LOW);
		begin(r, STORY_EPOCH);
		for (unsigned k = 0; k < COUNT(parts); k++)
			vs_reading_add(&reading, parts[k], values[k], 0);
		step(r, (struct vs_stimulus){ .kind = VS_ST_READING, .reading = &reading, .nibp = VS_NIBP_NEW });
		heard(r, "rule raised");
		free(r);
	}
}

/* ---- the past of the heart rate ---- */

static int ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* The median of the last minute, whatever order the values came in: against sorting. */
static void a_minute_of_heart_rates(void **state)
{
	uint64_t chance = 7;
	double past[60], sorted[60];
	(void)state;
	struct room *r = bare();
	struct vs_session_facts f;
	begin(r, STORY_EPOCH);
	for (unsigned t = 0; t < 3000; t++, r->now += 1000) {
		chance = chance * 6364136223846793005u + 1442695040888963407u;
		past[t % 60] = 40 + (double)(chance >> 40) / (1 << 18);
		value(r, 0, VS_HR, past[t % 60]);
		vs_engine_facts(&r->engine, r->now, &f);
		assert_int_equal(f.hr_minute.known, t >= 29); /* half of it at least */
		if (t < 59)
			continue;
		memcpy(sorted, past, sizeof sorted);
		qsort(sorted, 60, sizeof *sorted, ascending);
		assert_true(f.hr_minute.value == (sorted[29] + sorted[30]) / 2);
	}
	free(r);
}

/* The first seconds of a clock are no heart rates of 0. */
static void from_the_start_of_the_clock(void **state)
{
	(void)state;
	struct room *r = bare();
	struct vs_session_facts f;
	begin(r, 0);
	for (unsigned t = 1; t <= 29; t++) {
		r->now = t * 1000;
		value(r, 0, VS_HR, 70);
	}
	vs_engine_facts(&r->engine, r->now, &f);
	assert_false(f.hr_minute.known); /* 29 of 60 s */
	r->now += 1000;
	value(r, 0, VS_HR, 70);
	vs_engine_facts(&r->engine, r->now, &f);
	assert_true(f.hr_minute.known);
	free(r);
}

/* E2: as few medians as the set wants, and no rise less than it wants, from the first of them to the last. */
static void a_trend_of_few_points(void **state)
{
	static const struct {
		unsigned points, blocks;
		double rise;
		bool raised;
		const char *why;
	} rows[] = {
		{ 2, 2, NAN, true, "two are enough" }, { 3, 2, NAN, false, "two are not three" }, { 3, 3, NAN, true, "three" },
		{ 2, 2, 10, true, "60 per minute for 10 s are 10" }, { 2, 2, 10.5, false, "... and not more" },
		{ 3, 3, 20, true, "... for 20 s" }, { 3, 3, 20.5, false, "... and not more" },
	};
	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct room *r = bare();
		struct vs_rule *trend = rule(r, "trend", VS_HR, VS_WHEN_RISING, NAN, VS_PRIORITY_NONE);
		trend->type = VS_RULE_TREND;
		add_step(trend, VS_PRIORITY_LOW)->at = 100;
		trend->trend = (struct vs_trend){ .points_max = 18, .points_min = rows[i].points, .block_ms = 10000, .block_min = 1,
			.slope = 60, .slope_clear = 1, .slope_cap = NAN, .concordance = NAN, .rise = rows[i].rise,
			.level = vs_limit_plain(50), .consecutive = 1, .suspend_ms = 30000 };
		begin(r, STORY_EPOCH);
		for (unsigned b = 0; b <= rows[i].blocks; b++, r->now += 10000)
			value(r, 0, VS_HR, 100 + 10 * b);
		if ((strcmp(r->said, "trend raised") == 0) != rows[i].raised)
			print_error("%s\n", rows[i].why);
		heard(r, rows[i].raised ? "trend raised" : "");
		free(r);
	}
}

/* E4: the usual response to an infusion is that to one that has begun, and to this patient's. */
static void no_response_without_an_infusion(void **state)
{
	static const struct {
		enum vs_phase phase;
		bool noted;
	} rows[] = { { VS_PHASE_NONE, false }, { VS_PHASE_BASELINE, false }, { VS_PHASE_INFUSION, true }, { VS_PHASE_NONE, false },
		{ VS_PHASE_INFUSION, true } };
	struct vs_baseline b = { .len = 1, .at = { { VS_NIBP_SYS, 120 } } };
	(void)state;
	struct room *r = bare();
	struct vs_rule *band = rule(r, "band", VS_NIBP_SYS, VS_WHEN_NONE, NAN, VS_PRIORITY_LOW);
	band->type = VS_RULE_BAND;
	band->log_only = true;
	band->band = (struct vs_band){ 16, 6, 5, 2400000, 2 };
	begin(r, STORY_EPOCH);
	for (unsigned i = 0; i < COUNT(rows); i++, r->now += 1000) {
		step(r, (struct vs_stimulus){ .kind = VS_ST_PHASE, .phase = rows[i].phase });
		step(r, (struct vs_stimulus){ .kind = VS_ST_BASELINE, .baseline = &b });
		cuff(r, 200, 100, VS_NIBP_NEW);
		assert_int_equal(r->out.len, rows[i].noted);
	}
	free(r);
}

static void drift_rule(struct room *r, enum vs_metric m, double fire, double departure)
{
	struct vs_rule *drift = rule(r, vs_metrics[m].name, m, VS_WHEN_NONE, NAN, VS_PRIORITY_LOW);
	drift->type = VS_RULE_DRIFT;
	drift->log_only = true;
	drift->drift = (struct vs_drift){ .block_ms = 10000, .block_min = 6, .weight = 0, .scale_least = 2, .allowance = 0.5,
		.fire = fire, .departure = departure };
}

/* How much is noted after the first ten seconds of such values; the baselines are 100 and 98. */
static unsigned drift_notes(struct room *r, double hr, double spo2)
{
	struct vs_baseline b = { .len = 2, .at = { { VS_HR, 100 }, { VS_SPO2, 98 } } };
	unsigned notes = 0;
	begin(r, STORY_EPOCH);
	step(r, (struct vs_stimulus){ .kind = VS_ST_BASELINE, .baseline = &b });
	for (unsigned t = 0; t <= 10; t++, r->now += 1000) {
		value(r, 0, VS_HR, hr);
		notes += r->out.len;
		value(r, 0, VS_SPO2, spo2);
		notes += r->out.len;
	}
	return notes;
}

/* E3: fires at 8, not before it, at 15 % from the baseline, not nearer; in either direction. */
static void drifts_at_their_limit(void **state)
{
	static const struct {
		double value, fire, departure;
		bool noted;
		const char *why;
	} rows[] = {
		{ 117, 8, 0.15, true, "17 / 2 - 0.5 = 8" }, { 116, 8, 0.15, false, "16 / 2 - 0.5 = 7.5" },
		{ 83, 8, 0.15, true, "as far below" }, { 84, 8, 0.15, false, "... and not quite" },
		{ 115, 7, 0.15, true, "15 % of 100" }, { 115, 7, 0.16, false, "15 is less than 16" }, { 85, 7, 0.15, true, "15 % below" },
	};
	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct room *r = bare();
		drift_rule(r, VS_HR, rows[i].fire, rows[i].departure);
		unsigned notes = drift_notes(r, rows[i].value, 98);
		if (notes != rows[i].noted)
			print_error("%s\n", rows[i].why);
		assert_int_equal(notes, rows[i].noted);
		free(r);
	}
}

/* Two of them, each with a prediction of its own, the first at the first place of the set. */
static void two_drifts(void **state)
{
	static const struct {
		double hr, spo2;
		unsigned notes;
	} rows[] = { { 117, 98, 1 }, { 100, 81, 1 }, { 117, 81, 2 }, { 117, 81.5, 1 }, { 116, 81, 1 }, { 100, 98, 0 } };
	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct room *r = bare();
		drift_rule(r, VS_HR, 8, 0.15);
		drift_rule(r, VS_SPO2, 8, 0.15);
		assert_int_equal(drift_notes(r, rows[i].hr, rows[i].spo2), rows[i].notes);
		free(r);
		r = bare();
		drift_rule(r, VS_HR, 8, 0.15);
		drift_rule(r, VS_SPO2, 8, 0.15);
		drift_rule(r, VS_HR, 1, 0.01); /* a third has no room (a set with it is refused): nothing follows */
		assert_int_equal(drift_notes(r, rows[i].hr, rows[i].spo2), rows[i].notes);
		assert_int_equal(standing(r), 0);
		free(r);
	}
}

/* E2, E5: medians of the time in which nothing was heard at all are missing, whatever stood at their places three minutes ago:
 * after 50 s without a word 13 of 18 are there, which is too few; after 200 s one. */
static void medians_after_a_silence(void **state)
{
	static const struct {
		unsigned points, silence_s;
		double slope, before, after; /* per block, and of the one block after the silence */
	} rows[] = { { 14, 50, 1, 60, 84 }, { 2, 200, 0, 100, 150 } };
	(void)state;
	for (unsigned i = 0; i < COUNT(rows) * VS_BLOCKS; i++) {
		const unsigned k = i % COUNT(rows);
		struct room *r = bare();
		struct vs_rule *trend = rule(r, "trend", VS_HR, VS_WHEN_RISING, NAN, VS_PRIORITY_NONE);
		trend->type = VS_RULE_TREND;
		add_step(trend, VS_PRIORITY_LOW)->at = 80;
		trend->trend = (struct vs_trend){ .points_max = 18, .points_min = rows[k].points, .block_ms = 10000, .block_min = 1,
			.slope = 3, .slope_clear = 1, .slope_cap = NAN, .concordance = NAN, .rise = NAN, .level = vs_limit_plain(80),
			.consecutive = 1, .suspend_ms = 30000 };
		begin(r, STORY_EPOCH + i / COUNT(rows) * 10000);
		for (unsigned b = 0; b < VS_BLOCKS; b++, r->now += 10000)
			value(r, 0, VS_HR, rows[k].before + rows[k].slope * b);
		r->now += rows[k].silence_s * 1000;
		value(r, 0, VS_HR, rows[k].after);
		r->now += 10000;
		value(r, 0, VS_HR, rows[k].after);
		heard(r, "");
		free(r);
	}
}

/* Blocks of a signal are as long as its own rules say; a rule on the heart rate has those of the pulse, too. */
static void blocks_of_their_own(void **state)
{
	(void)state;
	struct room *r = bare();
	drift_rule(r, VS_HR, 8, 0.15);
	drift_rule(r, VS_SPO2, 8, 0.15);
	r->set.rules[1].drift.block_ms = 5000;
	r->set.rules[1].drift.block_min = 4;
	begin(r, STORY_EPOCH);
	const struct vs_track *tracks = r->engine.track;
	assert_true(tracks[VS_CH_HR].block_ms == 10000 && tracks[VS_CH_PR].block_ms == 10000 && tracks[VS_CH_SPO2].block_ms == 5000);
	assert_true(tracks[VS_CH_HR].block_min == 6 && tracks[VS_CH_PR].block_min == 6 && tracks[VS_CH_SPO2].block_min == 4);
	assert_true(!tracks[VS_CH_RR].block_ms && !tracks[VS_CH_TEMP].block_ms && !tracks[VS_CH_PI].block_ms);
	free(r);
}

/* Of ten seconds 32 samples are kept: a block may want so many; one that wants more never has a median. */
static void as_many_samples_as_are_kept(void **state)
{
	(void)state;
	for (unsigned least = VS_SAMPLES - 1; least <= VS_SAMPLES + 1; least++) {
		struct room *r = bare();
		struct vs_baseline b = { .len = 1, .at = { { VS_HR, 100 } } };
		unsigned notes = 0;
		drift_rule(r, VS_HR, 8, 0.15);
		r->set.rules[0].drift.block_min = least;
		begin(r, STORY_EPOCH);
		step(r, (struct vs_stimulus){ .kind = VS_ST_BASELINE, .baseline = &b });
		for (unsigned i = 0; i <= VS_SAMPLES; i++, r->now += 313) {
			value(r, 0, VS_HR, 120);
			notes += r->out.len;
		}
		assert_int_equal(notes, least <= VS_SAMPLES);
		free(r);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_of_rules),
		cmocka_unit_test(names_behind_the_end),
		cmocka_unit_test(a_rule_from_behind_the_end),
		cmocka_unit_test(behind_the_last_alarm),
		cmocka_unit_test(every_place),
		cmocka_unit_test(the_place_behind_all_rules),
		cmocka_unit_test(who_paused_and_who_resumed),
		cmocka_unit_test(four_steps),
		cmocka_unit_test(no_step_is_due),
		cmocka_unit_test(a_step_for_a_value),
		cmocka_unit_test(the_highest_tier),
		cmocka_unit_test(no_signal_to_lose),
		cmocka_unit_test(lost_soon_after_the_start),
		cmocka_unit_test(technical_and_for_the_log),
		cmocka_unit_test(the_first_failure),
		cmocka_unit_test(missing_at_once),
		cmocka_unit_test(whose_reading_is_overdue),
		cmocka_unit_test(another_sensor),
		cmocka_unit_test(a_delay_begins_anew),
		cmocka_unit_test(neither_is_fresh),
		cmocka_unit_test(every_number_of_a_reading),
		cmocka_unit_test(a_minute_of_heart_rates),
		cmocka_unit_test(from_the_start_of_the_clock),
		cmocka_unit_test(no_response_without_an_infusion),
		cmocka_unit_test(a_trend_of_few_points),
		cmocka_unit_test(drifts_at_their_limit),
		cmocka_unit_test(two_drifts),
		cmocka_unit_test(medians_after_a_silence),
		cmocka_unit_test(blocks_of_their_own),
		cmocka_unit_test(as_many_samples_as_are_kept),
	};
	return cmocka_run_group_tests_name("engine ends", tests, adult_load, adult_unload);
}
