/* What stories of one monitor at one value a second cannot tell: several devices, other rates of values,
 * what gates are told, what is refused. */
#include "alarms/gates.h"
#include "tests/unit/engine_room.h"

/* ---- signals ---- */

static void every_signal_has_its_rules(void **state)
{
	static const enum vs_metric metrics[] = { VS_HR, VS_PR, VS_SPO2, VS_RR, VS_TEMP, VS_PI, VS_NIBP_PR, VS_NIBP_MAP };
	(void)state;
	for (unsigned i = 0; i < COUNT(metrics); i++) {
		struct room *r = bare();
		for (unsigned k = 0; k < COUNT(metrics); k++)
			rule(r, vs_metrics[metrics[k]].name, metrics[k], VS_WHEN_GE, 20, VS_PRIORITY_LOW);
		begin(r, STORY_EPOCH);
		value(r, 0, metrics[i], 19);
		r->now += 1000;
		heard(r, "");
		value(r, 0, metrics[i], 20);
		char wanted[64];
		if (metrics[i] == VS_PR)
			heard(r, "hr raised; pr raised"); /* no ECG: the pulse stands for it */
		else if (metrics[i] == VS_NIBP_PR)
			heard(r, "nibp_pr raised; hr raised");
		else {
			snprintf(wanted, sizeof wanted, "%s raised", vs_metrics[metrics[i]].name);
			heard(r, wanted);
		}
		free(r);
	}
}

/* D0.1 with a device of another period: as many samples, over the time that they take. */
static void windows_of_slow_devices(void **state)
{
	static const struct {
		uint32_t period_ms, ages[3]; /* of the two samples before the newest */
		bool defined;
		const char *why;
	} rows[] = {
		{ 1000, { 4999, 4000 }, true, "5 s" }, { 1000, { 5000, 4000 }, false, "not 5 s and more" },
		{ 0, { 4999, 4000 }, true, "unknown: once a second" }, { 1428, { 4999, 4000 }, true, "three periods and a half are not 5 s" },
		{ 1430, { 5004, 4000 }, true, "three periods and a half are 5.005 s" }, { 1430, { 5005, 4000 }, false, "... and not more" },
		{ 3000, { 10499, 3000 }, true, "three periods and a half: 10.5 s" }, { 3000, { 10500, 3000 }, false, "not 10.5 s" },
		{ 5000, { 17499, 9000 }, true, "17.5 s" }, { 5000, { 17500, 9000 }, false, "not 17.5 s" },
	};
	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct room *r = bare();
		struct vs_session_facts facts;
		rule(r, "low", VS_SPO2, VS_WHEN_LT, 90, VS_PRIORITY_HIGH);
		r->set.validity.median_ms = 5000;
		r->set.validity.median_min = 3;
		r->config.devices[0].period_ms = rows[i].period_ms;
		begin(r, STORY_EPOCH);
		value(r, 0, VS_SPO2, 80);
		r->now += rows[i].ages[0] - rows[i].ages[1];
		value(r, 0, VS_SPO2, 80);
		r->now += rows[i].ages[1];
		value(r, 0, VS_SPO2, 80);
		if (strcmp(r->said, rows[i].defined ? "low raised" : "") != 0)
			print_error("%s\n", rows[i].why);
		heard(r, rows[i].defined ? "low raised" : "");
		vs_engine_facts(&r->engine, r->now, &facts);
		assert_int_equal(facts.spo2.known, rows[i].defined);
		free(r);
	}
}

/* Values nearer together than a 32nd of ten seconds share a place: the newer one stands. */
static void many_values_a_second(void **state)
{
	(void)state;
	for (unsigned apart = 311; apart <= 312; apart++) {
		struct room *r = bare();
		rule(r, "high", VS_HR, VS_WHEN_GE, 100, VS_PRIORITY_HIGH);
		r->set.validity.median_ms = 5000;
		r->set.validity.median_min = 2;
		begin(r, STORY_EPOCH);
		value(r, 0, VS_HR, 70);
		r->now += apart;
		value(r, 0, VS_HR, 130); /* with 311 ms: in the place of 70, still alone; with 312: the median of both is 100 */
		heard(r, apart == 311 ? "" : "high raised");
		r->now += 1000;
		value(r, 0, VS_HR, 70); /* 311: the median of 130 and 70 */
		heard(r, apart == 311 ? "high raised" : "high cleared");
		free(r);
	}
}

/* A device further down the list speaks only while the ones before it have been silent for 10 s. */
static void the_first_device_speaks(void **state)
{
	(void)state;
	struct room *r = chair(2);
	for (unsigned t = 0; t < 30; t++, r->now += 1000) {
		value(r, 1, VS_HR, 150);
		value(r, 0, VS_HR, 70);
	}
	heard(r, ""); /* the first device took over at its first word */
	r->now += 8000;
	value(r, 1, VS_HR, 150); /* 9 s */
	assert_true(r->engine.track[VS_CH_HR].device == 0);
	r->now += 999;
	value(r, 1, VS_HR, 150);
	assert_true(r->engine.track[VS_CH_HR].device == 0);
	r->now += 1;
	value(r, 1, VS_HR, 150); /* 10 s */
	assert_true(r->engine.track[VS_CH_HR].device == 1);
	value(r, 0, VS_HR, 70);
	assert_true(r->engine.track[VS_CH_HR].device == 0);
	free(r);
}

/* The ECG, and while it says nothing for 10 s the pulse. */
static void the_heart(void **state)
{
	(void)state;
	struct room *r = bare();
	rule(r, "high", VS_HR, VS_WHEN_GE, 100, VS_PRIORITY_HIGH);
	r->set.validity.stale_ms = 10000;
	r->set.validity.median_ms = 1000;
	begin(r, STORY_EPOCH);
	value(r, 0, VS_HR, 70);
	r->now += 9999;
	value(r, 0, VS_PR, 130);
	heard(r, "");
	r->now += 1;
	value(r, 0, VS_PR, 130);
	heard(r, "high raised");
	free(r);
	r = bare();
	rule(r, "high", VS_HR, VS_WHEN_GE, 100, VS_PRIORITY_HIGH);
	r->set.validity.stale_ms = 10000;
	r->set.validity.median_ms = 60000;
	begin(r, STORY_EPOCH);
	value(r, 0, VS_PR, 130);
	heard(r, "high raised");
	r->now += 1000;
	value(r, 0, VS_HR, 130);
	r->now += 20000; /* both are old: the ECG decides */
	step(r, (struct vs_stimulus){ .kind = VS_ST_TIME });
	assert_int_equal(r->engine.hr_channel, VS_CH_HR);
	free(r);
}

/* ---- what gates are told ---- */

static void facts_for_gates(void **state)
{
	(void)state;
	struct room *r = chair(1);
	struct vs_session_facts f;
	vs_engine_facts(&r->engine, r->now, &f);
	assert_true(!f.hr.known && !f.hr_minute.known && !f.spo2.known && f.n_nibp == 0 && !f.high && !f.medium && !f.low);
	for (unsigned t = 0; t < 29; t++, r->now += 1000)
		value(r, 0, VS_HR, t % 2 ? 70 : 80);
	r->now -= 1000;
	vs_engine_facts(&r->engine, r->now, &f);
	assert_true(f.hr.known && f.hr.value == 80 && f.hr.at_ms == (int64_t)r->now);
	assert_false(f.hr_minute.known); /* 29 of 60 s are less than half */
	r->now += 1000;
	value(r, 0, VS_HR, 60);
	vs_engine_facts(&r->engine, r->now, &f);
	assert_true(f.hr_minute.known && f.hr_minute.value == 75); /* 15 times 80, 14 times 70, once 60 */
	assert_true(f.hr_minute.at_ms == (int64_t)r->now);
	for (unsigned t = 0; t < 60; t++) {
		r->now += 1000;
		value(r, 0, VS_HR, t < 30 ? 90 : 100);
	}
	vs_engine_facts(&r->engine, r->now, &f);
	assert_true(f.hr_minute.value == 95); /* the last 60 s, nothing before them */
	free(r);
}

static void readings_for_gates(void **state)
{
	(void)state;
	struct room *r = chair(1);
	struct vs_session_facts f;
	for (unsigned i = 0; i < VS_CUFFS + 5; i++, r->now += 60000)
		cuff(r, 110 + i, 70 + i, VS_NIBP_NEW);
	vs_engine_facts(&r->engine, r->now, &f);
	assert_int_equal(f.n_nibp, VS_FACT_NIBP);
	for (unsigned i = 0; i < VS_FACT_NIBP; i++) {
		unsigned k = VS_CUFFS + 5 - VS_FACT_NIBP + i;
		assert_true(f.nibp[i].sys == 110 + k && f.nibp[i].dia == 70 + k && f.nibp[i].map == 0);
		assert_true(f.nibp[i].at_ms == (int64_t)(STORY_EPOCH + k * 60000));
	}
	value(r, 0, VS_NIBP_SYS, 121); /* without a diastolic it is no reading for them */
	vs_engine_facts(&r->engine, r->now, &f);
	assert_int_equal(f.n_nibp, VS_FACT_NIBP - 1);
	struct vs_reading whole = { .len = 0 };
	vs_reading_add(&whole, VS_NIBP_SYS, 121, 0);
	vs_reading_add(&whole, VS_NIBP_DIA, 80, 0);
	vs_reading_add(&whole, VS_NIBP_MAP, 94, 0);
	step(r, (struct vs_stimulus){ .kind = VS_ST_READING, .reading = &whole, .nibp = VS_NIBP_NEW });
	vs_engine_facts(&r->engine, r->now, &f);
	assert_true(f.nibp[f.n_nibp - 1].map == 94);
	free(r);
}

/* A result that came over a noisy line, or that the monitor itself calls questionable, raises nothing by itself; the next one confirms
 * it, or nobody contradicts it. */
static void a_doubted_result_is_asked_for_again(void **state)
{
	static const struct {
		double first, second;
		uint64_t flags;
		enum vs_quality quality;
		const char *then, *why;
	} rows[] = {
		{ 185, 0, 0, VS_Q_VALID, "sbp-hi-crit raised; sbp-up superseded", "not doubted" },
		{ 185, 183, VS_FLAG(QUESTIONABLE), VS_Q_SUSPECT, "nibp-unconfirmed raised; nibp-unconfirmed cleared; sbp-hi-crit raised; sbp-up superseded; sbp-hi superseded",
		  "confirmed" },
		{ 185, 122, VS_FLAG(QUESTIONABLE), VS_Q_SUSPECT, "nibp-unconfirmed raised; nibp-unconfirmed cleared", "contradicted" },
		{ 120, 0, VS_FLAG(IRREGULAR), VS_Q_VALID, "", "a flag that is no doubt" },
	};
	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct room *r = chair(1);
		struct vs_reading reading = { .len = 0 };
		vs_reading_add(&reading, VS_NIBP_SYS, rows[i].first, rows[i].flags);
		vs_reading_add(&reading, VS_NIBP_DIA, 78, rows[i].flags);
		step(r, (struct vs_stimulus){ .kind = VS_ST_READING, .reading = &reading, .nibp = VS_NIBP_NEW });
		assert_int_equal(r->out.quality[0], rows[i].quality);
		r->now += 5000;
		if (rows[i].second > 0)
			cuff(r, rows[i].second, 78, VS_NIBP_NEW);
		heard(r, rows[i].then);
		free(r);
	}
}

static void alarms_for_gates(void **state)
{
	(void)state;
	struct room *r = bare();
	struct vs_session_facts f;
	unsigned count[VS_PRIORITY_COUNT];
	rule(r, "high", VS_NIBP_SYS, VS_WHEN_GE, 180, VS_PRIORITY_HIGH)->latch = VS_LATCH_YES;
	rule(r, "medium", VS_NIBP_DIA, VS_WHEN_GE, 100, VS_PRIORITY_MEDIUM)->latch = VS_LATCH_YES;
	rule(r, "low", VS_SPO2, VS_WHEN_LT, 93, VS_PRIORITY_LOW);
	rule(r, "covered", VS_NIBP_SYS, VS_WHEN_GE, 150, VS_PRIORITY_MEDIUM);
	begin(r, STORY_EPOCH);
	cuff(r, 185, 105, VS_NIBP_NEW);
	value(r, 0, VS_SPO2, 92);
	vs_engine_facts(&r->engine, r->now, &f);
	vs_engine_count(&r->engine, count);
	assert_true(f.high == 1 && f.medium == 1 && f.low == 1 && f.unacknowledged == 0 && f.high_unacknowledged == 0);
	assert_true(count[VS_PRIORITY_HIGH] == 1 && count[VS_PRIORITY_MEDIUM] == 1 && count[VS_PRIORITY_LOW] == 1 && !count[0]);
	cuff(r, 120, 75, VS_NIBP_NEW);
	vs_engine_facts(&r->engine, r->now, &f);
	vs_engine_count(&r->engine, count);
	assert_true(f.high == 0 && f.medium == 0 && f.low == 1 && f.unacknowledged == 2 && f.high_unacknowledged == 1);
	assert_true(count[VS_PRIORITY_HIGH] == 1 && count[VS_PRIORITY_MEDIUM] == 1 && count[VS_PRIORITY_LOW] == 1);
	free(r);
}

/* ---- readings ---- */

static void what_became_of_each_number(void **state)
{
	(void)state;
	struct room *r = chair(1);
	struct vs_reading reading = { .len = 0 };
	vs_reading_add(&reading, VS_HR, 70, 0);
	vs_reading_add(&reading, VS_NIBP_SYS, 100, 0);
	vs_reading_add(&reading, VS_SPO2, 25, 0);
	vs_reading_add(&reading, VS_NIBP_DIA, 95, 0);
	vs_reading_add(&reading, VS_NIBP_PR, 310, 0);
	vs_reading_add(&reading, VS_CUFF_PRESSURE, 10, 0);
	reading.obs[6] = (struct vs_obs){ .metric = VS_NIBP_MAP, .has_value = true, .value = 98 }; /* beyond its end */
	struct vs_stimulus s = { .kind = VS_ST_READING, .reading = &reading, .nibp = VS_NIBP_NEW };
	static const enum vs_quality wanted[] = { VS_Q_VALID, VS_Q_REJECTED, VS_Q_REJECTED, VS_Q_REJECTED, VS_Q_REJECTED,
		VS_Q_UNJUDGED, VS_Q_UNJUDGED };
	step(r, s);
	for (unsigned i = 0; i < COUNT(wanted); i++)
		assert_int_equal(r->out.quality[i], wanted[i]);
	assert_true(isnan(r->out.rpp));
	reading.obs[3].value = 60;
	step(r, s);
	assert_true(r->out.quality[1] == VS_Q_VALID && r->out.quality[3] == VS_Q_VALID && r->out.quality[6] == VS_Q_UNJUDGED);
	assert_true(isnan(r->engine.cuffs[r->engine.n_cuffs - 1].map));
	s.nibp = VS_NIBP_ON_CHANGE;
	step(r, s);
	assert_true(r->out.quality[0] == VS_Q_VALID && r->out.quality[1] == VS_Q_OLD && r->out.quality[3] == VS_Q_OLD);
	for (unsigned i = 1; i < 4; i += 2) { /* one number that differs makes a new measurement */
		reading.obs[i].value += 1;
		step(r, s);
		assert_int_equal(r->out.quality[i], VS_Q_VALID);
	}
	s.nibp = VS_NIBP_OLD;
	reading.obs[1].value += 1;
	step(r, s);
	assert_int_equal(r->out.quality[1], VS_Q_OLD);
	free(r);
}

/* Behind the end of a reading nothing is read, whatever stands there. */
static void behind_the_end_of_a_reading(void **state)
{
	(void)state;
	for (unsigned len = 0; len <= 3; len++) {
		struct room *r = chair(1);
		struct vs_reading reading = { .len = 0 };
		vs_reading_add(&reading, VS_HR, 70, 0);
		vs_reading_add(&reading, VS_PR, 71, 0);
		vs_reading_add(&reading, VS_SPO2, 97, 0);
		reading.len = len;
		step(r, (struct vs_stimulus){ .kind = VS_ST_READING, .reading = &reading });
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(r->engine.track[i].valid_ms != 0, i < len);
		free(r);
	}
}

static void pulse_pressures(void **state)
{
	static const struct {
		double sys, dia;
		bool good;
	} rows[] = { { 99, 80, false }, { 99, 79, true }, { 100, 86, false }, { 100, 85, true }, { 120, 106, false }, { 120, 105, true },
		{ 121, 106, true }, { 130, 116, true }, { 130.5, 100.6, false }, { 140, 110.1, false }, { 140.5, 130, true } };
	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct room *r = bare();
		struct vs_validity *v = &r->set.validity;
		v->pulse_reject[0] = (struct vs_pulse_row){ .from = NAN, .above = NAN, .below = 100, .to = NAN, .least = 20 };
		v->pulse_reject[1] = (struct vs_pulse_row){ .from = 100, .above = NAN, .below = NAN, .to = 120, .least = 15 };
		v->pulse_reject[2] = (struct vs_pulse_row){ .from = NAN, .above = 130, .below = NAN, .to = 140, .least = 30 };
		v->n_reject = 3;
		begin(r, STORY_EPOCH);
		cuff(r, rows[i].sys, rows[i].dia, VS_NIBP_NEW);
		if ((r->out.quality[0] == VS_Q_VALID) != rows[i].good)
			print_error("%g/%g\n", rows[i].sys, rows[i].dia);
		assert_int_equal(r->out.quality[0] == VS_Q_VALID, rows[i].good);
		free(r);
	}
}

/* Four rows to reject by, as many as there can be: what is only doubtful stands behind them, and is another matter. */
static void four_rows(void **state)
{
	(void)state;
	struct room *r = bare();
	struct vs_validity *v = &r->set.validity;
	v->n_reject = v->n_suspect = VS_PULSE_ROWS;
	for (unsigned i = 0; i < VS_PULSE_ROWS; i++) {
		v->pulse_reject[i] = (struct vs_pulse_row){ .from = 100 + 10 * i, .above = NAN, .below = 110 + 10 * i, .to = NAN, .least = 15 };
		v->pulse_suspect[i] = v->pulse_reject[i];
		v->pulse_suspect[i].least = 30;
	}
	v->suspect_accept_ms = 1000000;
	begin(r, STORY_EPOCH);
	for (unsigned i = 0; i < VS_PULSE_ROWS; i++) {
		static const struct {
			double pulse;
			enum vs_quality wanted;
		} tries[] = { { 14, VS_Q_REJECTED }, { 15, VS_Q_SUSPECT }, { 29, VS_Q_SUSPECT }, { 30, VS_Q_VALID } };
		for (unsigned k = 0; k < COUNT(tries); k++) {
			begin(r, STORY_EPOCH);
			cuff(r, 105 + 10 * i, 105 + 10 * i - tries[k].pulse, VS_NIBP_NEW);
			assert_int_equal(r->out.quality[0], tries[k].wanted);
		}
	}
	free(r);
}

/* More readings than are kept: the oldest goes, and nothing else. */
static void more_readings_than_are_kept(void **state)
{
	(void)state;
	struct room *r = chair(2);
	struct vs_reading doubtful = { .len = 0 };
	vs_reading_add(&doubtful, VS_NIBP_SYS, 160, 0);
	vs_reading_add(&doubtful, VS_NIBP_DIA, 131, 0);
	step(r, (struct vs_stimulus){ .kind = VS_ST_READING, .reading = &doubtful, .device = 1, .nibp = VS_NIBP_NEW });
	heard(r, "nibp-unconfirmed raised");
	for (unsigned i = 0; i < VS_CUFFS + 2; i++) {
		r->now += 100;
		cuff(r, 120 + i % 3, 75, VS_NIBP_NEW);
		assert_false(r->engine.has_suspect);
	}
	heard(r, "nibp-unconfirmed cleared");
	for (unsigned i = 0; i < VS_CUFFS; i++)
		assert_true(r->engine.cuffs[i].sys == 120 + (i + 2) % 3);
	free(r);
}

static void many_failures(void **state)
{
	(void)state;
	struct room *r = chair(1);
	for (unsigned i = 0; i < 300; i++, r->now += 1000) {
		step(r, (struct vs_stimulus){ .kind = VS_ST_CUFF, .failed = true });
		value(r, 0, VS_RR, 14);
	}
	heard(r, "nibp-fail raised; nibp-fail escalated");
	free(r);
}

/* D3: the last number that counts and the first that does not, on both sides, alone and in a reading of the cuff. */
static void ranges(void **state)
{
	static const struct {
		enum vs_metric metric;
		double low, high;
	} rows[] = {
		{ VS_HR, 20, 300 }, { VS_PR, 20, 300 }, { VS_SPO2, 30, 100 }, { VS_NIBP_SYS, 30, 280 }, { VS_NIBP_DIA, 10, 220 },
		{ VS_NIBP_MAP, 20, 235 }, { VS_NIBP_PR, 20, 300 },
	};
	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		const struct {
			double value;
			enum vs_quality wanted;
		} tries[] = { { rows[i].low, VS_Q_VALID }, { rows[i].low - 0.5, VS_Q_REJECTED }, { rows[i].high, VS_Q_VALID },
			{ rows[i].high + 0.5, rows[i].metric == VS_SPO2 ? VS_Q_UNJUDGED : VS_Q_REJECTED } }; /* 100.5 % is no value at all */
		for (unsigned k = 0; k < COUNT(tries); k++) {
			struct room *r = chair(1);
			value(r, 0, rows[i].metric, tries[k].value);
			if (r->out.quality[0] != tries[k].wanted)
				print_error("%s %g: %u\n", vs_metrics[rows[i].metric].name, tries[k].value, r->out.quality[0]);
			assert_int_equal(r->out.quality[0], tries[k].wanted);
			free(r);
		}
	}
}

/* D2: a limit of one patient may go as far as the outer bound, and not beyond it; D4: an interval from 2 to 15 min. */
static void as_far_as_a_person_may_go(void **state)
{
	static const struct {
		const char *rule;
		double value;
		bool good;
	} limits[] = {
		{ "sbp-hi-crit", 220, true }, { "sbp-hi-crit", 220.5, false }, { "sbp-hi-crit", 20, true }, { "dbp-hi", 130, true },
		{ "dbp-hi", 130.5, false }, { "hr-hi", 180, true }, { "hr-hi", 180.5, false }, { "hr-hi", 29, true }, { "hr-lo", 30, true },
		{ "hr-lo", 29.5, false }, { "hr-lo", 200, true }, { "spo2-lo", 80, true }, { "spo2-lo", 79.5, false }, { "spo2-lo", 100, true },
		{ "map-lo", 1, true }, /* no bound was given for it */
		{ "hr-hi", INFINITY, false }, { "hr-lo", -INFINITY, false }, { "hr-hi", NAN, true },
	};
	static const struct {
		uint32_t ms;
		bool good;
	} intervals[] = { { 120000, true }, { 119999, false }, { 900000, true }, { 900001, false }, { 0, true } };
	(void)state;
	struct room *r = chair(1);
	for (unsigned i = 0; i < COUNT(limits); i++) {
		step(r, (struct vs_stimulus){ .kind = VS_ST_LIMIT, .rule = limits[i].rule, .value = limits[i].value });
		if ((r->out.at[0].kind == VS_EFFECT_LIMIT) != limits[i].good)
			print_error("%s %g\n", limits[i].rule, limits[i].value);
		assert_int_equal(r->out.at[0].kind == VS_EFFECT_LIMIT, limits[i].good);
	}
	r->said[0] = '\0';
	for (unsigned i = 0; i < COUNT(intervals); i++) {
		step(r, (struct vs_stimulus){ .kind = VS_ST_INTERVAL, .for_ms = intervals[i].ms });
		heard(r, intervals[i].good ? "" : "a cuff interval is 2 to 15 min");
		assert_int_equal(r->out.durable, intervals[i].good);
		if (intervals[i].good)
			assert_int_equal(vs_engine_nibp_interval_ms(&r->engine), intervals[i].ms ? intervals[i].ms : 300000);
	}
	free(r);
}

/* Rates stand in for one another where a baseline was taken of another sensor; other numbers for nothing. */
static void baselines_of_rates(void **state)
{
	static const enum vs_metric metrics[] = { VS_HR, VS_PR, VS_NIBP_PR, VS_SPO2, VS_NIBP_SYS };
	(void)state;
	for (unsigned given = 0; given < COUNT(metrics); given++)
		for (unsigned asked = 0; asked < COUNT(metrics); asked++) {
			struct room *r = bare();
			struct vs_baseline b = { .len = 1, .at = { { metrics[given], 80 } } };
			rule(r, "rule", metrics[asked], VS_WHEN_GT, 0, VS_PRIORITY_LOW)->limit =
				(struct vs_limit){ VS_LIMIT_OFFSET, 15, NAN, NAN };
			begin(r, STORY_EPOCH);
			step(r, (struct vs_stimulus){ .kind = VS_ST_BASELINE, .baseline = &b });
			bool known = given == asked || (given < 3 && asked < 3);
			assert_true(known ? r->engine.rules[0].limit == 95 : isnan(r->engine.rules[0].limit));
			step(r, (struct vs_stimulus){ .kind = VS_ST_BASELINE });
			assert_true(isnan(r->engine.rules[0].limit)); /* there is none any more */
			free(r);
		}
	/* its own, where there are several */
	struct room *r = bare();
	struct vs_baseline b = { .len = 3, .at = { { VS_NIBP_PR, 60 }, { VS_PR, 70 }, { VS_HR, 80 } } };
	for (unsigned i = 0; i < 3; i++)
		rule(r, vs_metrics[metrics[i]].name, metrics[i], VS_WHEN_GT, 0, VS_PRIORITY_LOW)->limit =
			(struct vs_limit){ VS_LIMIT_OFFSET, 0, NAN, NAN };
	begin(r, STORY_EPOCH);
	step(r, (struct vs_stimulus){ .kind = VS_ST_BASELINE, .baseline = &b });
	assert_true(r->engine.rules[0].limit == 80 && r->engine.rules[1].limit == 70 && r->engine.rules[2].limit == 60);
	free(r);
}

/* A baseline has six numbers at most; one that is no number is none. */
static void numbers_of_a_baseline(void **state)
{
	(void)state;
	struct room *r = bare();
	struct {
		struct vs_baseline b;
		struct vs_baseline behind;
	} two = { .b = { .len = VS_BASELINE_MAX + 1 } };
	for (unsigned i = 0; i < VS_BASELINE_MAX; i++)
		two.b.at[i].metric = VS_NIBP_SYS + i, two.b.at[i].value = 50 + i;
	two.b.at[1].value = NAN;
	two.b.at[2].metric = VS_METRIC_COUNT;
	begin(r, STORY_EPOCH);
	step(r, (struct vs_stimulus){ .kind = VS_ST_BASELINE, .baseline = &two.b });
	assert_int_equal(r->engine.baseline.len, VS_BASELINE_MAX - 2);
	assert_true(r->engine.baseline.at[1].metric == VS_NIBP_SYS + 3 && r->engine.baseline.at[1].value == 53);
	free(r);
}

/* ---- what is refused, and where words end ---- */

static void refusals(void **state)
{
	(void)state;
	struct room *r = chair(2);
	struct vs_reading reading = { .len = 0 };
	step(r, (struct vs_stimulus){ .kind = VS_ST_READING, .reading = &reading, .device = 2 });
	heard(r, "this chair has no device number 2");
	step(r, (struct vs_stimulus){ .kind = VS_ST_ALIVE, .device = 2 });
	heard(r, "this chair has no device number 2");
	step(r, (struct vs_stimulus){ .kind = VS_ST_PAUSE, .for_ms = 120001 });
	heard(r, "the sound can be paused for at most 120 s");
	step(r, (struct vs_stimulus){ .kind = VS_ST_PAUSE, .for_ms = 120000 });
	heard(r, "");
	assert_true(vs_engine_audio_paused_until(&r->engine, r->now, 5000) == 125000);
	assert_true(vs_engine_audio_paused_until(&r->engine, r->now + 119999, 5000) == 5001);
	assert_true(vs_engine_audio_paused_until(&r->engine, r->now + 120000, 5000) == 0);
	for (unsigned over = 0; over < 2; over++) {
		static char why[32768];
		struct vs_json j = vs_json_into(why, sizeof why);
		vs_json_open(&j, '{');
		vs_engine_why(&r->engine, r->now + 119999 + over, 5000, &j);
		assert_int_equal(strstr(why, "audio_paused_until") == NULL, over);
	}
	step(r, (struct vs_stimulus){ .kind = VS_ST_RESUME });
	step(r, (struct vs_stimulus){ .kind = VS_ST_ACK, .alarm = 7 });
	heard(r, "no alarm a-000007 stands at this chair");
	cuff(r, 182, 85, VS_NIBP_NEW);
	heard(r, "sbp-hi-crit raised; sbp-up superseded");
	step(r, (struct vs_stimulus){ .kind = VS_ST_ACK, .alarm = 1 });
	step(r, (struct vs_stimulus){ .kind = VS_ST_ACK, .alarm = 1 });
	step(r, (struct vs_stimulus){ .kind = VS_ST_ACK, .alarm = 2 });
	heard(r, "sbp-hi-crit acknowledged; alarm a-000001 is acknowledged already; alarm a-000002 is superseded already");
	static const struct {
		const char *by, *why;
	} nobody[] = { { "", "x" }, { "anna", "" } };
	for (unsigned i = 0; i < COUNT(nobody); i++) {
		step(r, (struct vs_stimulus){ .kind = VS_ST_LIMIT, .rule = "hr-hi", .value = 125, .operator = nobody[i].by, .reason = nobody[i].why });
		heard(r, "limit of hr-hi is not changed: who changes it and why must be said");
	}
	step(r, (struct vs_stimulus){ .kind = VS_ST_LIMIT, .rule = NULL, .value = 125 });
	heard(r, "there is no rule  in ketamine-adult");
	for (unsigned i = 0; i < 2; i++) {
		struct vs_stimulus back = { .kind = VS_ST_TIME, .at_ms = r->now - 1000 - i };
		vs_engine_step(&r->engine, &back, &r->out);
		listen(r);
		heard(r, i ? "time went back by 1001 ms: taken as now" : "");
	}
	step(r, (struct vs_stimulus){ .kind = VS_ST_SCORE, .metric = VS_MOAAS, .value = NAN });
	step(r, (struct vs_stimulus){ .kind = VS_ST_SCORE, .metric = VS_MOAAS, .value = -INFINITY });
	step(r, (struct vs_stimulus){ .kind = VS_ST_SCORE, .metric = VS_RASS, .value = INFINITY });
	step(r, (struct vs_stimulus){ .kind = VS_ST_SCORE, .metric = VS_METRIC_COUNT, .value = 1 });
	static struct vs_engine before;
	memcpy(&before, &r->engine, sizeof before);
	step(r, (struct vs_stimulus){ .kind = VS_ST_PHASE, .phase = VS_PHASE_COUNT });
	step(r, (struct vs_stimulus){ .kind = VS_ST_FAULT, .fault = VS_FAULT_COUNT, .on = true, .value = 7 });
	step(r, (struct vs_stimulus){ .kind = VS_ST_COUNT });
	heard(r, "");
	assert_memory_equal(&before, &r->engine, vs_engine_size(&r->config));
	free(r);
}

/* Names longer than their room end before a character, not in it. */
static void long_names(void **state)
{
	static const struct {
		const char *name, *kept;
	} rows[] = {
		{ "0123456789012345678901234567890", "0123456789012345678901234567890" },
		{ "01234567890123456789012345678901", "01234567890123456789012345678901" },
		{ "012345678901234567890123456789012", "01234567890123456789012345678901" },
		{ "0123456789012345678901234567890\xc3\xa4", "0123456789012345678901234567890" },
		{ "012345678901234567890123456789\xc3\xa4", "012345678901234567890123456789\xc3\xa4" },
		{ "012345678901234567890123456789\xe2\x82\xac", "012345678901234567890123456789" },
		{ "0123456789012345678901234567890\xc3\xa3", "0123456789012345678901234567890" },
		{ "\xc3\xa4", "\xc3\xa4" },
	};
	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct room *r = chair(1);
		cuff(r, 182, 85, VS_NIBP_NEW);
		step(r, (struct vs_stimulus){ .kind = VS_ST_ACK, .operator = rows[i].name });
		assert_string_equal(r->out.at[0].u.alarm.by, rows[i].kept);
		step(r, (struct vs_stimulus){ .kind = VS_ST_LIMIT, .rule = "hr-hi", .value = 125, .operator = rows[i].name, .reason = "said so" });
		assert_int_equal(r->out.at[0].kind, VS_EFFECT_LIMIT);
		assert_string_equal(r->out.at[0].u.limit.by, rows[i].kept);
		assert_string_equal(r->out.at[0].u.limit.reason, "said so");
		assert_true(r->out.at[0].u.limit.old == 120 && r->out.at[0].u.limit.now == 125 && r->out.durable);
		free(r);
	}
}

/* D1: a baseline below 60 has the other limit, 60 has not; a trend's level is no limit of the outer bounds. */
static void which_limit_it_is(void **state)
{
	static const struct {
		enum vs_rule_type type;
		double limit, baseline, wanted;
	} rows[] = {
		{ VS_RULE_THRESHOLD, 50, 60, 50 }, { VS_RULE_THRESHOLD, 50, 59.5, 40 }, { VS_RULE_THRESHOLD, 50, NAN, 50 },
		{ VS_RULE_THRESHOLD, 20, 80, 30 }, { VS_RULE_THRESHOLD, 30, 80, 30 }, { VS_RULE_TREND, 20, 80, 20 },
	};
	struct vs_outer_bounds bounds;
	(void)state;
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++)
		bounds.at[m].high = 180, bounds.at[m].low = 30;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct vs_rule r = vs_rule_blank();
		r.type = rows[i].type;
		r.metric = VS_HR;
		r.when = VS_WHEN_LT;
		r.limit = vs_limit_plain(rows[i].limit);
		r.low_baseline = 60;
		r.low_limit = vs_limit_plain(40);
		assert_true(vs_rule_limit(&r, rows[i].baseline, &bounds) == rows[i].wanted);
	}
}

/* What a rule is where nothing is said (alarms/rules.h, the head of the set that ships). */
static void a_rule_with_nothing_given(void **state)
{
	const struct vs_rule r = vs_rule_blank();
	(void)state;
	assert_true(r.type == VS_RULE_THRESHOLD && r.enabled && r.promote && !r.log_only && r.confirm == 1 && r.phases == VS_PHASES_USUAL);
	assert_true(r.metric == VS_METRIC_NONE && r.limit.kind == VS_LIMIT_NONE && r.latch == VS_LATCH_NO && r.trend.consecutive == 1);
	assert_true(!r.on_delay_ms && !r.off_delay_ms && !r.quiet_ms && !r.n_steps && isnan(r.hysteresis) && isnan(r.clear));
	for (unsigned i = 0; i < VS_STEPS_MAX; i++)
		assert_true(r.steps[i].to == VS_PRIORITY_NONE && r.steps[i].phases == VS_PHASES_ALL && !r.steps[i].after_ms &&
			!r.steps[i].count && r.steps[i].intervals == 0 && isnan(r.steps[i].at));
}

/* ... and what a set is: every sample by itself, no bounds, no rules; its name as long as there is room. */
static void a_set_with_nothing_given(void **state)
{
	static struct vs_limit_set set;
	(void)state;
	memset(&set, 0x5a, sizeof set);
	vs_limit_set_blank(&set, "0123456789012345678901234567890123456789012345678901234567890123456789");
	assert_string_equal(set.name, "012345678901234567890123456789012345678901234567890123456789012");
	assert_true(!set.version[0] && !set.n_rules && set.validity.median_ms == 1 && set.validity.median_min == 1);
	assert_true(!set.validity.tolerance_ms && !set.validity.stale_ms && !set.validity.promote_ms && !set.announcing.pause_ms);
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++)
		assert_true(isnan(set.validity.range[m].low) && isnan(set.validity.range[m].high) && isnan(set.bounds.at[m].low) &&
			isnan(set.bounds.at[m].high));
}

/* Limits with no baseline, between their bounds, and never beyond the outer ones. */
static void limits_of_a_patient(void **state)
{
	static const struct {
		enum vs_when when;
		struct vs_limit limit;
		double baseline, wanted;
	} rows[] = {
		{ VS_WHEN_GE, { VS_LIMIT_FACTOR, 1.3, 150, 165 }, 120, 156 }, { VS_WHEN_GE, { VS_LIMIT_FACTOR, 1.3, 150, 165 }, 100, 150 },
		{ VS_WHEN_GE, { VS_LIMIT_FACTOR, 1.3, 150, 165 }, 140, 165 }, { VS_WHEN_GE, { VS_LIMIT_FACTOR, 1.3, 150, 165 }, NAN, 165 },
		{ VS_WHEN_GT, { VS_LIMIT_FACTOR, 1.3, 150, NAN }, NAN, 150 }, { VS_WHEN_LT, { VS_LIMIT_OFFSET, -10, 42, 60 }, NAN, 42 },
		{ VS_WHEN_LE, { VS_LIMIT_OFFSET, -10, NAN, 60 }, NAN, 60 }, { VS_WHEN_LT, { VS_LIMIT_OFFSET, -10, 42, NAN }, 55, 45 },
		{ VS_WHEN_LT, { VS_LIMIT_OFFSET, -10, 42, NAN }, 50, 42 }, { VS_WHEN_GE, { VS_LIMIT_FACTOR, 2, NAN, NAN }, 120, 220 },
		{ VS_WHEN_GT, { VS_LIMIT_OFFSET, 101, NAN, NAN }, 120, 220 }, { VS_WHEN_GE, { VS_LIMIT_OFFSET, 100, NAN, NAN }, 120, 220 },
		{ VS_WHEN_GE, { VS_LIMIT_OFFSET, 99, NAN, NAN }, 120, 219 }, { VS_WHEN_LT, { VS_LIMIT_FACTOR, 0.1, NAN, NAN }, 120, 30 },
		{ VS_WHEN_LE, { VS_LIMIT_PLAIN, 71, NAN, NAN }, NAN, 71 }, { VS_WHEN_GE, { VS_LIMIT_NONE, 71, NAN, NAN }, 120, NAN },
		{ VS_WHEN_GE, { VS_LIMIT_FACTOR, 1.3, NAN, NAN }, NAN, NAN },
	};
	struct vs_outer_bounds bounds;
	(void)state;
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++)
		bounds.at[m].high = bounds.at[m].low = NAN;
	bounds.at[VS_NIBP_SYS].high = 220;
	bounds.at[VS_NIBP_SYS].low = 30;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct vs_rule r = vs_rule_blank();
		r.metric = VS_NIBP_SYS;
		r.when = rows[i].when;
		r.limit = rows[i].limit;
		double v = vs_rule_limit(&r, rows[i].baseline, &bounds);
		if (isnan(v) ? !isnan(rows[i].wanted) : fabs(v - rows[i].wanted) > 1e-9)
			fail_msg("row %u: %g", i, v);
		if (rows[i].when == VS_WHEN_LT && rows[i].limit.value == 0.1) {
			r.metric = VS_METRIC_NONE; /* no metric, no bounds */
			assert_true(fabs(vs_rule_limit(&r, 120, &bounds) - 12) < 1e-9);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_signal_has_its_rules),
		cmocka_unit_test(windows_of_slow_devices),
		cmocka_unit_test(many_values_a_second),
		cmocka_unit_test(the_first_device_speaks),
		cmocka_unit_test(the_heart),
		cmocka_unit_test(facts_for_gates),
		cmocka_unit_test(readings_for_gates),
		cmocka_unit_test(alarms_for_gates),
		cmocka_unit_test(what_became_of_each_number),
		cmocka_unit_test(behind_the_end_of_a_reading),
		cmocka_unit_test(pulse_pressures),
		cmocka_unit_test(four_rows),
		cmocka_unit_test(more_readings_than_are_kept),
		cmocka_unit_test(many_failures),
		cmocka_unit_test(ranges),
		cmocka_unit_test(as_far_as_a_person_may_go),
		cmocka_unit_test(baselines_of_rates),
		cmocka_unit_test(numbers_of_a_baseline),
		cmocka_unit_test(a_doubted_result_is_asked_for_again),
		cmocka_unit_test(refusals),
		cmocka_unit_test(long_names),
		cmocka_unit_test(which_limit_it_is),
		cmocka_unit_test(a_rule_with_nothing_given),
		cmocka_unit_test(a_set_with_nothing_given),
		cmocka_unit_test(limits_of_a_patient),
	};
	return cmocka_run_group_tests_name("engine edges", tests, adult_load, adult_unload);
}
