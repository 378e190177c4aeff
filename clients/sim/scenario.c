#include "clients/sim/scenario.h"

#include <stddef.h>
#include <string.h>

struct range {
	double low, high;
};

/* A row: what is drawn from each range.  Where `pace` is given, the rise follows from the way to go:
 * points (or beats, mmHg) per minute.  fall_pace likewise. */
static const struct {
	const char *name, *summary;
	double response;
	struct range rise_s, pace;
	double heart_rise_s; /* where the heart is quicker than the pressure */
	double hold_s, fall_s, fall_pace;
	double sys, dia, hr_per_min, hr_share;
	struct range hr_to;
	double spo2_to;
	struct range spo2_add, rr_add;
	bool sedated;
	struct range fault_s;
} rows[VS_SCENARIO_COUNT] = {
	[VS_SCENARIO_NORMAL] = { "normal", "the expected mild rise", .response = 1 },
	[VS_SCENARIO_STRONG] = { "strong", "a strong but harmless response, about +30 mmHg", .response = 1.8 },
	[VS_SCENARIO_SURGE] = { "surge", "2-4 mmHg a minute on top, up to +60", .response = 1, .pace = { 2, 4 },
				.hold_s = 600, .fall_s = 900, .sys = 60, .dia = 36, .hr_per_min = 0.5 },
	[VS_SCENARIO_CRISIS] = { "crisis", "+60/+30 mmHg within half a minute, heart rate +25 %", .response = 1,
				 .rise_s = { 30, 30 }, .hold_s = 480, .fall_s = 300, .sys = 60, .dia = 30,
				 .hr_share = 0.25 },
	[VS_SCENARIO_CRISIS_HR_FLAT] = { "crisis-hr-flat", "the same with an unmoved heart rate", .response = 1,
					 .rise_s = { 30, 30 }, .hold_s = 480, .fall_s = 300, .sys = 60, .dia = 30 },
	[VS_SCENARIO_TACHYCARDIA] = { "tachycardia", "3-6 beats faster each minute, to 125-150", .response = 1,
				      .pace = { 3, 6 }, .hold_s = 120, .fall_s = 180, .hr_to = { 125, 150 } },
	[VS_SCENARIO_SVT] = { "svt", "at once to 152 beats a minute, for two minutes", .response = 1,
			      .rise_s = { 1, 1 }, .hold_s = 120, .fall_s = 1, .hr_to = { 152, 152 } },
	[VS_SCENARIO_DESATURATION] = { "desaturation", "-1 % every 12 s to 83", .response = 1, .pace = { 5, 5 },
				       .hold_s = 60, .fall_pace = 12, .spo2_to = 83 },
	[VS_SCENARIO_SLOW_DESATURATION] = { "slow-desaturation", "-1 % a minute to 88", .response = 1, .pace = { 1, 1 },
					    .hold_s = 120, .fall_pace = 12, .spo2_to = 88 },
	[VS_SCENARIO_VASOVAGAL] = { "vasovagal", "heart rate to 44, pressure -50/-33, back within 5 min", .response = 1,
				    .rise_s = { 60, 60 }, .heart_rise_s = 30, .hold_s = 30, .fall_s = 300, .sys = -50,
				    .dia = -33, .hr_to = { 44, 44 } },
	[VS_SCENARIO_OVER_SEDATION] = { "over-sedation", "MOAA/S 5, 3, 2; saturation and breathing drift down",
					.response = 1, .rise_s = { 300, 300 }, .hold_s = 600, .fall_s = 300,
					.spo2_add = { -4, -2 }, .rr_add = { -4, -2 }, .sedated = true },
	[VS_SCENARIO_CUFF_ARTEFACT] = { "cuff-artefact", "one bad cuff reading, the next is good", .response = 1 },
	[VS_SCENARIO_CUFF_ARM] = { "cuff-arm", "oximeter on the arm of the cuff", .response = 1 },
	[VS_SCENARIO_MOVEMENT] = { "movement", "heart rate counted double for 10-20 s", .response = 1,
				   .fault_s = { 10, 20 } },
	[VS_SCENARIO_PROBE_OFF] = { "probe-off", "oximeter off the finger for 60 s", .response = 1,
				    .fault_s = { 60, 60 } },
	[VS_SCENARIO_DEVICE_DEAD] = { "device-dead", "every device silent for 120 s", .response = 1,
				      .fault_s = { 120, 120 } },
	[VS_SCENARIO_NIBP_TIRED] = { "nibp-tired", "three failed cuff measurements in a row", .response = 1 },
};

const char *vs_scenario_name(enum vs_scenario s)
{
	return s < VS_SCENARIO_COUNT ? rows[s].name : NULL;
}

const char *vs_scenario_summary(enum vs_scenario s)
{
	return s < VS_SCENARIO_COUNT ? rows[s].summary : NULL;
}

enum vs_scenario vs_scenario_by_name(const char *name)
{
	enum vs_scenario s = VS_SCENARIO_NORMAL;
	while (s < VS_SCENARIO_COUNT && strcmp(rows[s].name, name) != 0)
		s++;
	return s;
}

double vs_scenario_response(enum vs_scenario s)
{
	return rows[s].response;
}

double vs_ramp_level(const struct vs_ramp *r, double t_s)
{
	if (t_s <= 0)
		return 0;
	if (t_s < r->rise_s)
		return t_s / r->rise_s;
	t_s -= r->rise_s + r->hold_s;
	if (t_s <= 0)
		return 1;
	return t_s < r->fall_s ? 1 - t_s / r->fall_s : 0;
}

static double draw(struct vs_random *r, struct range x)
{
	return x.high > x.low ? vs_random_between(r, x.low, x.high) : x.low;
}

/* How far the signal that sets the pace has to go. */
static double way(enum vs_scenario s, double hr_to, double hr, double spo2)
{
	double d = rows[s].sys;
	if (hr_to > 0)
		d = hr_to - hr;
	if (rows[s].spo2_to > 0)
		d = spo2 - rows[s].spo2_to;
	return d > 1 ? d : 1;
}

struct vs_story vs_story_tell(enum vs_scenario s, struct vs_random *r, double hr, double spo2)
{
	struct vs_story t = { .scenario = s,
			      .sys = rows[s].sys,
			      .dia = rows[s].dia,
			      .hr_share = rows[s].hr_share,
			      .spo2_to = rows[s].spo2_to };
	t.hr_to = draw(r, rows[s].hr_to);
	t.spo2_add = draw(r, rows[s].spo2_add);
	t.rr_add = draw(r, rows[s].rr_add);
	t.fault_s = draw(r, rows[s].fault_s);
	double far = way(s, t.hr_to, hr, spo2), pace = draw(r, rows[s].pace);
	struct vs_ramp ramp = { draw(r, rows[s].rise_s), rows[s].hold_s, rows[s].fall_s };
	if (pace > 0)
		ramp.rise_s = far / pace * 60;
	if (rows[s].fall_pace > 0)
		ramp.fall_s = far / rows[s].fall_pace * 60;
	t.pressure = t.heart = t.breath = ramp;
	if (rows[s].heart_rise_s > 0) {
		t.heart.rise_s = rows[s].heart_rise_s;
		t.heart.hold_s += ramp.rise_s - rows[s].heart_rise_s;
	}
	t.hr_add = rows[s].hr_per_min * ramp.rise_s / 60;
	if (rows[s].sedated) {
		t.moaas3_s = 120;
		t.moaas2_s = 300;
		t.moaas5_s = ramp.rise_s + ramp.hold_s + ramp.fall_s;
	}
	t.ends_s = ramp.rise_s + ramp.hold_s + ramp.fall_s;
	if (t.fault_s > t.ends_s)
		t.ends_s = t.fault_s;
	return t;
}

int vs_story_moaas(const struct vs_story *s, double t_s)
{
	if (s->moaas3_s == 0 || t_s < s->moaas3_s || t_s >= s->moaas5_s)
		return 5;
	return t_s < s->moaas2_s ? 3 : 2;
}

bool vs_story_fault(const struct vs_story *s, enum vs_scenario fault, double t_s)
{
	if (s->scenario != fault || t_s < 0)
		return false;
	return s->fault_s == 0 || t_s < s->fault_s;
}
