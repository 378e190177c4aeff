/* Doses, rates and what a protocol preset says about them: arithmetic with units in the types.
 *
 * Every unit is a type of its own, so that mg/h cannot be compared with or assigned to mg/kg/h: the compiler refuses
 * it (tests/unit/test_dose_units.py tries).  The only ways from one unit to another are the functions below,
 * and each of them asks for what the step needs: a weight, a time, a concentration.
 *
 *	mg/kg  --minutes-->  mg/kg/h  --kg-->  mg/h  --minutes-->  mg          (mg/h --mg/mL--> mL/h)
 *
 * The program checks what a clinician ordered against limits and shows the arithmetic.  It never chooses a dose. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vs_kg      { double v; };
struct vs_minutes { double v; };
struct vs_mg      { double v; };
struct vs_mg_kg   { double v; };
struct vs_mg_h    { double v; };
struct vs_mg_kg_h { double v; };
struct vs_mg_ml   { double v; };
struct vs_ml      { double v; };
struct vs_ml_h    { double v; };

struct vs_mg_kg_h vs_rate_of_dose(struct vs_mg_kg dose, struct vs_minutes over);
struct vs_mg_h    vs_rate_at_weight(struct vs_mg_kg_h rate, struct vs_kg weight);
struct vs_mg_kg_h vs_rate_per_kg(struct vs_mg_h rate, struct vs_kg weight);
struct vs_mg      vs_dose_at_weight(struct vs_mg_kg dose, struct vs_kg weight);
struct vs_mg_kg   vs_dose_per_kg(struct vs_mg dose, struct vs_kg weight);
struct vs_mg      vs_dose_of_rate(struct vs_mg_h rate, struct vs_minutes over);
struct vs_mg_kg   vs_dose_of_rate_per_kg(struct vs_mg_kg_h rate, struct vs_minutes over);
struct vs_mg_h    vs_rate_over(struct vs_mg dose, struct vs_minutes over);
struct vs_minutes vs_time_of_dose(struct vs_mg dose, struct vs_mg_h rate);
struct vs_ml      vs_volume_of_dose(struct vs_mg dose, struct vs_mg_ml concentration);
struct vs_ml_h    vs_pump_of_rate(struct vs_mg_h rate, struct vs_mg_ml concentration);

/* A protocol preset (clinical table C, alarms/presets.yaml).  A quantity of 0 is one the preset does not have. */
#define VS_PRESET_STEPS 6
struct vs_preset {
	char id[12];                      /* "P1" */
	char name[40];                    /* "standard-short"; --protocol takes either */
	char title[96];                   /* for a person */
	bool disabled;                    /* may be looked at, not used */
	bool no_pump;                     /* monitoring only: no dose, no rate */
	bool inpatient;                   /* the outpatient limit on mg/kg a session does not apply */
	bool daily;                       /* the dose is per day, its rate is the clinician's */
	struct vs_mg_kg dose_low, dose_high;    /* a dose per kg; equal unless the clinician chooses in between */
	struct vs_mg dose;                      /* or a fixed dose */
	struct vs_minutes over_low, over_high;  /* for so long; equal unless the clinician chooses */
	unsigned n_steps;                       /* or a rate per kg: one, or one a day in a staircase */
	struct vs_mg_kg_h step[VS_PRESET_STEPS];
	struct vs_mg_h rate, rate_step, rate_highest; /* or a fixed rate, and its titration */
	struct vs_mg_h cap_rate;          /* never above, whatever the weight */
	struct vs_mg cap_day;
	struct vs_mg_ml concentration;
	struct vs_minutes recovery;       /* shortest stay after the end */
	struct vs_minutes cuff_at;        /* ask for a cuff reading so long after the start (0: no) */
	unsigned days;                    /* longest course, 0: not said */
	unsigned series_low, series_high; /* infusions in a series, 0: not said */
};

/* What the clinician ordered within the preset; 0: as the preset says (of a range: its upper end). */
struct vs_dose_order {
	struct vs_mg_kg dose;
	struct vs_minutes over;
	unsigned step; /* day of a staircase, from 1; 0: the first */
};

/* The order worked out.  A quantity of 0 cannot be known (no weight, no duration, no concentration). */
struct vs_dose_plan {
	struct vs_mg_kg_h rate_kg; /* the highest that the plan reaches */
	struct vs_mg_h rate;
	struct vs_mg total;
	struct vs_mg_kg total_kg;
	struct vs_minutes over;
	struct vs_ml volume;
	struct vs_ml_h pump;
	bool capped;     /* cap_rate or cap_day took the rate down */
	bool fixed_rate; /* not scaled by weight: the mg/h limit applies */
};

bool vs_preset_needs_weight(const struct vs_preset *p);

/* Limits on doses (presets.yaml, gates: G7). */
struct vs_dose_limits {
	struct vs_mg_kg_h soft_rate_kg, hard_rate_kg;
	struct vs_mg_kg soft_dose_kg, hard_dose_kg;
	struct vs_mg_h soft_rate;
};

enum vs_dose_verdict { VS_DOSE_WITHIN, VS_DOSE_ABOVE_SOFT, VS_DOSE_ABOVE_HARD, VS_DOSE_NO_WEIGHT, VS_DOSE_OUTSIDE_PRESET };

/* weight 0: not known; what can be said without it is. */
void vs_dose_work_out(const struct vs_preset *p, const struct vs_dose_order *o, struct vs_kg weight,
	struct vs_dose_plan *ret);
enum vs_dose_verdict vs_dose_judge(const struct vs_dose_limits *l, const struct vs_preset *p,
	const struct vs_dose_order *o, struct vs_kg weight);
/* A rate that was entered while the pump runs, against the same limits. */
enum vs_dose_verdict vs_rate_judge(const struct vs_dose_limits *l, struct vs_mg_h rate, struct vs_kg weight);
/* The rate with which the pump begins; 0: cannot be known. */
struct vs_mg_h vs_dose_first_rate(const struct vs_preset *p, const struct vs_dose_order *o, struct vs_kg weight);
/* "0.35 mg/kg/h x 70 kg = 24.5 mg/h; over 4 h = 98 mg = 1.4 mg/kg": for people.  Returns its length. */
size_t vs_dose_arithmetic(const struct vs_preset *p, const struct vs_dose_order *o, struct vs_kg weight,
	char *buf, size_t cap);
