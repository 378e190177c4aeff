/* The simulated patient against the published figures it was made from: three pharmacokinetic models, the mean response
 * of a series of infusions, and each scenario's course. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "clients/sim/chair.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void near(double got, double want, double by, const char *what)
{
	if (!(fabs(got - want) <= by))
		fail_msg("%s: %.2f, should be %.2f within %.2f", what, got, want, by);
}

static double after(struct vs_pk *pk, double mg_min, double minutes)
{
	for (long s = lround(60 * minutes); s > 0; s--)
		vs_pk_second(pk, mg_min);
	return vs_pk_ng_ml(pk);
}

/* ng/mL at the end of the infusion, 70 kg: Domino, Clements, Perez-Ruixo. */
static void concentrations(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		double mg, minutes, want[3];
	} story[] = {
		{ "0.5 mg/kg over 40 min", 35, 40, { 240, 177, 128 } },
		{ "0.35 mg/kg/h for 4 h", 98, 240, { 182, 207, 141 } },
		{ "80 mg over 2 h", 80, 120, { 245, 244, 178 } },
		{ "240 mg at 1.5 mg/kg/h", 240, 240 / 105.0 * 60, { 670, 685, 494 } },
		{ "20 mg/h for a day", 480, 1440, { 173, 248, 169 } },
		{ "40 mg/h for a day", 960, 1440, { 345, 497, 338 } },
		{ "4.8 mg/kg/h for 2 h, an anaesthetic", 672, 120, { 2061, 2054, 1495 } },
	};
	for (size_t i = 0; i < COUNT(story); i++) {
		for (int set = 0; set < 3; set++) {
			struct vs_pk pk;
			vs_pk_init(&pk, set, 70);
			near(after(&pk, story[i].mg / story[i].minutes, story[i].minutes), story[i].want[set],
			     1 + 0.005 * story[i].want[set], story[i].what);
		}
	}
}

static void leaving_the_blood(void **state)
{
	(void)state;
	static const double want[3] = { 49, 98, 77 };
	for (int set = 0; set < 3; set++) {
		struct vs_pk pk;
		vs_pk_init(&pk, set, 70);
		after(&pk, 35.0 / 40, 40);
		near(after(&pk, 0, 30), want[set], 1, "half an hour after 0.5 mg/kg over 40 min");
	}
}

static void doses(void **state)
{
	(void)state;
	static const struct {
		const char *id;
		double kg, mg_min, minutes;
	} story[] = {
		{ "P1", 70, 0.875, 40 },
		{ "P4", 70, 24.5 / 60, 240 },
		{ "P4", 100, 25.0 / 60, 240 },
		{ "P6", 70, 56.0 / 60, 50 / 56.0 * 60 },
		{ "P7", 70, 105.0 / 60, 240 / 105.0 * 60 },
		{ "P12", 70, 14.0 / 60, 240 },
		{ "P13", 70, 0, 60 },
	};
	for (size_t i = 0; i < COUNT(story); i++) {
		const struct vs_dosing *d = vs_dosing_by_id(story[i].id);
		assert_non_null(d);
		near(vs_dosing_rate_mg_min(d, story[i].kg), story[i].mg_min, 1e-9, story[i].id);
		near(vs_dosing_minutes(d, story[i].kg), story[i].minutes, 1e-9, story[i].id);
	}
	assert_null(vs_dosing_by_id("P8"));
}

enum { SESSIONS = 3000 };

/* 0.5 mg/kg over 40 min, seeded patients: the change from the beginning, at 40 min and after the stop. */
static void mean_response(void **state)
{
	(void)state;
	static const struct {
		int minute;
		double sys, dia, hr, by;
	} want[] = { { 40, 16.8, 11.7, 8.6, 0.6 }, { 60, 8, 5.6, 4.1, 0.8 }, { 100, 5, 3.5, 2.6, 1.5 } };
	double sys[3] = { 0 }, dia[3] = { 0 }, hr[3] = { 0 }, measured = 0, squares = 0;
	for (uint64_t seed = 1; seed <= SESSIONS; seed++) {
		struct vs_patient_setup setup = vs_patient_defaults(seed);
		struct vs_patient p;
		vs_patient_init(&p, &setup);
		vs_patient_infuse(&p);
		struct vs_truth first = vs_patient_truth(&p);
		for (size_t i = 0; i < COUNT(want); i++) {
			while (p.t_s < want[i].minute * 60)
				vs_patient_second(&p);
			struct vs_truth t = vs_patient_truth(&p);
			sys[i] += (t.sys - first.sys) / SESSIONS;
			dia[i] += (t.dia - first.dia) / SESSIONS;
			hr[i] += (t.hr - first.hr) / SESSIONS;
			if (i > 0)
				continue;
			struct vs_random noise = vs_random_of(seed, 99);
			double change =
				t.sys - first.sys + vs_random_normal(&noise, 0, 5) - vs_random_normal(&noise, 0, 5);
			measured += change / SESSIONS;
			squares += change * change / SESSIONS;
		}
	}
	for (size_t i = 0; i < COUNT(want); i++) {
		near(sys[i], want[i].sys, want[i].by, "systolic change");
		near(dia[i], want[i].dia, want[i].by, "diastolic change");
		near(hr[i], want[i].hr, want[i].by, "change of heart rate");
	}
	/* From one cuff reading to another, each with an SD of 5: the published SD is 11.2. */
	near(sqrt(squares - measured * measured), 11.2, 0.8, "spread of the measured systolic change");
}

/* How many sessions truly reach the limits: 14 % and 2.5 % when the model was made. */
static void peaks(void **state)
{
	(void)state;
	double high = 0, severe = 0;
	for (uint64_t seed = 1; seed <= SESSIONS; seed++) {
		struct vs_patient_setup setup = vs_patient_defaults(seed);
		struct vs_patient p;
		double sys = 0, dia = 0;
		vs_patient_init(&p, &setup);
		vs_patient_infuse(&p);
		while (p.t_s < 45 * 60) {
			vs_patient_second(&p);
			if (p.t_s % 20 != 0)
				continue;
			struct vs_truth t = vs_patient_truth(&p);
			sys = fmax(sys, t.sys);
			dia = fmax(dia, t.dia);
		}
		high += sys >= 165 || dia >= 100;
		severe += sys >= 180 || dia >= 110;
	}
	near(100 * high / SESSIONS, 14, 2.5, "per cent of sessions with a true peak of 165/100");
	near(100 * severe / SESSIONS, 2.5, 1, "per cent of sessions with a true peak of 180/110");
}

static void baselines(void **state)
{
	(void)state;
	double sys = 0, dia = 0, hr = 0;
	for (uint64_t seed = 1; seed <= SESSIONS; seed++) {
		struct vs_patient_setup setup = vs_patient_defaults(seed);
		struct vs_patient p;
		vs_patient_init(&p, &setup);
		struct vs_truth t = vs_patient_truth(&p);
		assert_true(t.sys >= 100 && t.sys <= 155 && t.dia <= 95 && t.hr >= 55 && t.hr <= 100);
		assert_true(t.spo2 >= 97 && t.spo2 <= 98);
		near(t.map, t.dia + 0.38 * (t.sys - t.dia), 1e-9, "mean pressure");
		sys += t.sys / SESSIONS;
		dia += t.dia / SESSIONS;
		hr += t.hr / SESSIONS;
	}
	near(sys, 125, 1, "mean systolic");
	near(dia, 76, 1, "mean diastolic");
	near(hr, 74, 1, "mean heart rate");
}

/* A patient of even numbers who does not respond to the drug, so that a scenario stands alone. */
static struct vs_patient still_patient(uint64_t seed, enum vs_scenario s)
{
	struct vs_patient_setup setup = vs_patient_defaults(seed);
	struct vs_patient p;
	setup.sys = 120;
	setup.dia = 75;
	setup.hr = 74;
	setup.spo2 = 97;
	setup.response = setup.hr_response = 0;
	vs_patient_init(&p, &setup);
	vs_patient_tell(&p, s);
	return p;
}

static void scenarios(void **state)
{
	(void)state;
	static const struct {
		enum vs_scenario s;
		int at_s;
		double sys, dia, hr, spo2, by;
		const char *why;
	} story[] = {
		{ VS_SCENARIO_NORMAL, 600, 120, 75, 74, 97, 0.01, "nothing happens" },
		{ VS_SCENARIO_CRISIS, 15, 150, 90, 83.25, 97, 0.01, "half way up" },
		{ VS_SCENARIO_CRISIS, 30, 180, 105, 92.5, 97, 0.01, "+60/+30, heart rate +25 %" },
		{ VS_SCENARIO_CRISIS_HR_FLAT, 30, 180, 105, 74, 97, 0.01, "the heart does not tell" },
		{ VS_SCENARIO_CRISIS, 30 + 480 + 300, 120, 75, 74, 97, 0.01, "over" },
		{ VS_SCENARIO_SVT, 2, 120, 75, 152, 97, 0.01, "at once" },
		{ VS_SCENARIO_SVT, 130, 120, 75, 74, 97, 0.01, "two minutes, then gone" },
		{ VS_SCENARIO_DESATURATION, 12, 120, 75, 74, 96, 0.01, "1 % every 12 s" },
		{ VS_SCENARIO_DESATURATION, 14 * 12, 120, 75, 74, 83, 0.01, "as low as it goes" },
		{ VS_SCENARIO_DESATURATION, 14 * 12 + 60 + 5, 120, 75, 74, 84, 0.01, "back by 1 % in 5 s" },
		{ VS_SCENARIO_SLOW_DESATURATION, 60, 120, 75, 74, 96, 0.01, "1 % a minute" },
		{ VS_SCENARIO_SLOW_DESATURATION, 9 * 60, 120, 75, 74, 88, 0.01, "as low as it goes" },
		{ VS_SCENARIO_VASOVAGAL, 30, 95, 58.5, 44, 97, 0.01, "the heart is first" },
		{ VS_SCENARIO_VASOVAGAL, 60, 70, 42, 44, 97, 0.01, "-50/-33" },
		{ VS_SCENARIO_VASOVAGAL, 60 + 30 + 300, 120, 75, 74, 97, 0.01, "recovered" },
	};
	for (size_t i = 0; i < COUNT(story); i++) {
		struct vs_patient p = still_patient(1, story[i].s);
		while (p.t_s < story[i].at_s)
			vs_patient_second(&p);
		struct vs_truth t = vs_patient_truth(&p);
		near(t.sys, story[i].sys, story[i].by, story[i].why);
		near(t.dia, story[i].dia, story[i].by, story[i].why);
		near(t.hr, story[i].hr, story[i].by, story[i].why);
		near(t.spo2, story[i].spo2, story[i].by, story[i].why);
	}
}

/* Scenarios whose figures are drawn keep within their ranges. */
static void drawn_scenarios(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct vs_patient surge = still_patient(seed, VS_SCENARIO_SURGE);
		struct vs_patient fast = still_patient(seed, VS_SCENARIO_TACHYCARDIA);
		struct vs_patient asleep = still_patient(seed, VS_SCENARIO_OVER_SEDATION);
		double top = 0, peak = 0;
		for (int s = 0; s < 40 * 60; s++) {
			vs_patient_second(&surge);
			vs_patient_second(&fast);
			vs_patient_second(&asleep);
			struct vs_truth t = vs_patient_truth(&surge), f = vs_patient_truth(&fast),
					a = vs_patient_truth(&asleep);
			top = fmax(top, t.sys);
			peak = fmax(peak, f.hr);
			if (s == 5 * 60 - 1) {
				assert_true(t.sys - 120 >= 10 && t.sys - 120 <= 20); /* 2-4 mmHg a minute */
				near(t.dia - 75, 0.6 * (t.sys - 120), 0.01, "diastolic share");
				near(t.hr - 74, 2.5, 0.01, "half a beat a minute");
				assert_true(f.hr - 74 >= 15 && f.hr - 74 <= 30);
				assert_true(a.moaas == 2 && a.spo2 <= 95 && a.spo2 >= 93 && a.rr >= 7);
			}
		}
		near(top, 180, 0.1, "a surge ends at +60");
		assert_true(peak >= 125 && peak <= 150);
		assert_int_equal(vs_patient_truth(&asleep).moaas, 5);
	}
}

static void rescue(void **state)
{
	(void)state;
	struct vs_patient p = still_patient(1, VS_SCENARIO_NORMAL);
	vs_patient_give(&p, VS_RESCUE_ANTIHYPERTENSIVE);
	for (int s = 0; s < 8 * 60; s++)
		vs_patient_second(&p);
	near(vs_patient_truth(&p).sys, 120 - 20 * (1 - exp(-1)), 0.01, "after one time constant");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(concentrations), cmocka_unit_test(leaving_the_blood),
		cmocka_unit_test(doses),          cmocka_unit_test(mean_response),
		cmocka_unit_test(peaks),          cmocka_unit_test(baselines),
		cmocka_unit_test(scenarios),      cmocka_unit_test(drawn_scenarios),
		cmocka_unit_test(rescue),
	};
	return cmocka_run_group_tests_name("sim patient", tests, NULL, NULL);
}
