/* Scenarios: what happens to a simulated patient, or to a monitor, besides the infusion.
 *
 * Each is a row of a table: how far pressure, heart rate, saturation and breathing go, and how fast they rise, hold and
 * fall; or which fault the monitor has.  Figures that vary between patients are drawn once, when the story is told.
 *
 *	1        ________
 *	        /        \            level of a ramp over the seconds since the scenario began
 *	0 _____/          \_____
 *	       rise hold  fall */
#pragma once
#include <stdbool.h>

#include "clients/sim/random.h"

enum vs_scenario {
	VS_SCENARIO_NORMAL,
	VS_SCENARIO_STRONG,            /* a strong but harmless response to the drug */
	VS_SCENARIO_SURGE,             /* 2-4 mmHg a minute on top, up to +60 */
	VS_SCENARIO_CRISIS,            /* +60/+30 within half a minute, heart rate +25 % */
	VS_SCENARIO_CRISIS_HR_FLAT,    /* the same, heart rate unmoved: looks like an artefact */
	VS_SCENARIO_TACHYCARDIA,       /* 3-6 beats a minute faster, each minute, to 125-150 */
	VS_SCENARIO_SVT,               /* at once to 152, two minutes */
	VS_SCENARIO_DESATURATION,      /* -1 % every 12 s to 83 */
	VS_SCENARIO_SLOW_DESATURATION, /* -1 % a minute to 88 */
	VS_SCENARIO_VASOVAGAL,         /* heart rate to 44 in 30 s, pressure -50/-33 in 60 s */
	VS_SCENARIO_OVER_SEDATION,     /* MOAA/S 5, 3, 2; saturation and breathing drift down */
	VS_SCENARIO_CUFF_ARTEFACT,     /* the next cuff reading is bad */
	VS_SCENARIO_CUFF_ARM,          /* probe on the arm of the cuff: invalid while it inflates */
	VS_SCENARIO_MOVEMENT,          /* heart rate counted double for 10-20 s */
	VS_SCENARIO_PROBE_OFF,         /* oximeter off the finger for 60 s */
	VS_SCENARIO_DEVICE_DEAD,       /* every device silent for 120 s */
	VS_SCENARIO_NIBP_TIRED,        /* three failed cuff measurements in a row */
	VS_SCENARIO_COUNT
};

const char *vs_scenario_name(enum vs_scenario s);
const char *vs_scenario_summary(enum vs_scenario s);
/* VS_SCENARIO_COUNT: there is none of that name. */
enum vs_scenario vs_scenario_by_name(const char *name);
/* The factor F = FH on the drug's effect that belongs to the scenario. */
double vs_scenario_response(enum vs_scenario s);

struct vs_ramp {
	double rise_s, hold_s, fall_s;
};

/* 0 to 1, t_s seconds after it began. */
double vs_ramp_level(const struct vs_ramp *r, double t_s);

/* A scenario with its drawn figures, for one patient. */
struct vs_story {
	enum vs_scenario scenario;
	struct vs_ramp pressure, heart, breath;
	double sys, dia;                     /* mmHg at full level */
	double hr_add, hr_share, hr_to;      /* beats/min; share of the present rate; towards a rate (0: none) */
	double spo2_to, spo2_add, rr_add;    /* towards a saturation (0: none); points; breaths/min */
	double moaas3_s, moaas2_s, moaas5_s; /* when the score changes; 0: never */
	double fault_s;                      /* how long the monitor's fault lasts; 0: none, or by cuff measurements */
	double ends_s;                       /* when everything is as before */
};

/* hr, spo2: of the patient when it begins (the length of some ramps follows from them). */
struct vs_story vs_story_tell(enum vs_scenario s, struct vs_random *r, double hr, double spo2);
/* MOAA/S at t_s. */
int vs_story_moaas(const struct vs_story *s, double t_s);
/* Is the monitor's fault on at t_s? */
bool vs_story_fault(const struct vs_story *s, enum vs_scenario fault, double t_s);
