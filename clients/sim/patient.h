/* A simulated patient under ketamine: what is true, second by second, before any monitor measures it.
 *
 * Pure: seeds in, numbers out; the same seed gives the same course.  The effect of the drug on pressure and heart rate:
 *
 *	Ce' = ke0 (C - Ce), ke0 = ln2/6 min          effect site behind the blood (vs_pk)
 *	M'  = kM (Ce - M),  kM  = ln2/60 min         slow tolerance
 *	E   = Ce/(300+Ce) / (1 + M/600)
 *	sys + F*43*E,  dia + F*30*E,  hr + FH*22*E    F, FH: how strongly this patient responds, 1 on average
 *
 * Emax and the spread of F were fitted to a published series of 2342 infusions of 0.5 mg/kg over 40 min (mean change at
 * 40 min +16.0/+11.0 mmHg, SD 11.2/8.5; doi 10.1016/j.genhosppsych.2024.07.001): agreement with it is calibration, not
 * validation.  The rise of the heart rate is larger than published (+2), to give the alarms something to do. */
#pragma once
#include "clients/sim/dosing.h"
#include "clients/sim/scenario.h"

/* A base or response that is NAN is drawn from the seed; so is `at_s` (8-25 min). */
struct vs_patient_setup {
	uint64_t seed;
	double weight_kg;
	const struct vs_dosing *dosing;
	enum vs_pk_set pk;
	double response, hr_response;
	double sys, dia, hr, spo2; /* before the infusion */
	enum vs_scenario scenario;
	double at_s; /* when the scenario begins, seconds after the start of the infusion */
};

enum vs_rescue { VS_RESCUE_ANTIHYPERTENSIVE, VS_RESCUE_ATROPINE, VS_RESCUE_OXYGEN, VS_RESCUE_COUNT };

struct vs_patient {
	struct vs_patient_setup setup; /* with everything drawn */
	struct vs_random drawing;
	struct vs_pk pk;
	double ce, m; /* ng/mL */
	double rr, temp, pi;
	long t_s;
	long infusion_from_s, infusion_to_s; /* -1: not yet; the end is known from the start */
	long story_from_s;                   /* -1: none; may lie ahead */
	struct vs_story story;
	long given_s[VS_RESCUE_COUNT]; /* -1: not */
};

struct vs_truth {
	double hr, spo2, sys, dia, map, rr, temp, pi;
	double ng_ml; /* in the blood */
	int moaas;
};

/* Where nothing is drawn or given: 70 kg, P1, Domino, scenario normal; all else drawn. */
struct vs_patient_setup vs_patient_defaults(uint64_t seed);
void vs_patient_init(struct vs_patient *p, const struct vs_patient_setup *setup);
/* Start the preset's infusion now; the scenario follows at its time. */
void vs_patient_infuse(struct vs_patient *p);
void vs_patient_stop(struct vs_patient *p);
bool vs_patient_infusing(const struct vs_patient *p);
/* Another scenario begins now. */
void vs_patient_tell(struct vs_patient *p, enum vs_scenario s);
void vs_patient_give(struct vs_patient *p, enum vs_rescue r);
/* Let one second pass. */
void vs_patient_second(struct vs_patient *p);
struct vs_truth vs_patient_truth(const struct vs_patient *p);
/* Seconds since the scenario began; negative: it has not. */
double vs_patient_story_s(const struct vs_patient *p);
