/* What runs into the vein, and how much of it is in the blood: the dosing presets and three published
 * pharmacokinetic models of ketamine.
 *
 *	A1' = R(t) - (k10+k12+k13) A1 + k21 A2 + k31 A3      A2' = k12 A1 - k21 A2      A3' = k13 A1 - k31 A3
 *
 * Amounts in mg, time in minutes, concentration 1000 A1/V1 in ng/mL.
 * Simulation only: nothing here may dose anybody. */
#pragma once
#include <stdbool.h>

/* One preset of the clinic; rates are for racemic ketamine. */
struct vs_dosing {
	const char *id, *summary;
	double mg_per_kg, mg;                   /* the whole dose, one of them; 0: given as a rate */
	double mg_per_kg_h, mg_h, mg_h_at_most; /* rate; at_most 0: no cap */
	double minutes;                         /* 0: follows from dose and rate */
};

/* NULL: there is no such preset (P8, a rate of 4.8 mg/kg/h, is left out on purpose: it is an anaesthetic's). */
const struct vs_dosing *vs_dosing_by_id(const char *id);
/* The i-th preset; NULL after the last. */
const struct vs_dosing *vs_dosing_at(unsigned i);
double vs_dosing_rate_mg_min(const struct vs_dosing *d, double weight_kg);
double vs_dosing_minutes(const struct vs_dosing *d, double weight_kg);

enum vs_pk_set {
	VS_PK_DOMINO,   /* default */
	VS_PK_CLEMENTS, /* leaves the blood slowly */
	VS_PK_PEREZ,    /* esketamine, venous */
};

struct vs_pk {
	double v1, k10, k12, k21, k13, k31;
	double a1, a2, a3; /* mg */
};

void vs_pk_init(struct vs_pk *pk, enum vs_pk_set set, double weight_kg);
/* One second of an infusion of so many mg/min. */
void vs_pk_second(struct vs_pk *pk, double mg_min);
double vs_pk_ng_ml(const struct vs_pk *pk);
