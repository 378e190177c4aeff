#include "clients/sim/dosing.h"

#include <stddef.h>
#include <string.h>

static const struct vs_dosing presets[] = {
	{ "P1", "0.5 mg/kg over 40 min", .mg_per_kg = 0.5, .minutes = 40 },
	{ "P2", "0.5 mg/kg over 60 min", .mg_per_kg = 0.5, .minutes = 60 },
	{ "P3", "0.5 mg/kg over 50 min", .mg_per_kg = 0.5, .minutes = 50 },
	{ "P4", "0.35 mg/kg/h, at most 25 mg/h, for 4 h", .mg_per_kg_h = 0.35, .mg_h_at_most = 25, .minutes = 240 },
	{ "P5", "80 mg over 2 h", .mg = 80, .minutes = 120 },
	{ "P6", "50 mg at 0.8 mg/kg/h", .mg = 50, .mg_per_kg_h = 0.8 },
	{ "P7", "240 mg at 1.5 mg/kg/h", .mg = 240, .mg_per_kg_h = 1.5 },
	{ "P9", "20 mg/h for 24 h", .mg_h = 20, .minutes = 1440 },
	{ "P10", "1 mg/kg over 4 h", .mg_per_kg = 1, .minutes = 240 },
	{ "P11", "0.3 mg/kg over 30 min", .mg_per_kg = 0.3, .minutes = 30 },
	{ "P12", "0.2 mg/kg/h for 4 h", .mg_per_kg_h = 0.2, .minutes = 240 },
	{ "P13", "no pump", .minutes = 60 },
};

const struct vs_dosing *vs_dosing_by_id(const char *id)
{
	for (unsigned i = 0; i < sizeof presets / sizeof *presets; i++)
		if (strcmp(presets[i].id, id) == 0)
			return &presets[i];
	return NULL;
}

const struct vs_dosing *vs_dosing_at(unsigned i)
{
	return i < sizeof presets / sizeof *presets ? &presets[i] : NULL;
}

double vs_dosing_rate_mg_min(const struct vs_dosing *d, double weight_kg)
{
	double mg_h = d->mg_h + d->mg_per_kg_h * weight_kg;
	if (mg_h == 0 && d->minutes > 0)
		return (d->mg + d->mg_per_kg * weight_kg) / d->minutes;
	if (d->mg_h_at_most > 0 && mg_h > d->mg_h_at_most)
		mg_h = d->mg_h_at_most;
	return mg_h / 60;
}

double vs_dosing_minutes(const struct vs_dosing *d, double weight_kg)
{
	return d->minutes > 0 ? d->minutes : d->mg / vs_dosing_rate_mg_min(d, weight_kg);
}

/* Domino 1982 (PMID 7198883) and Clements 1981 (PMID 7459184); Perez-Ruixo 2021 (doi 10.1007/s40262-020-00953-4)
 * reduced to the venous side, its liver as a well-stirred organ: CL = Qh Ci / (Qh + Ci). */
void vs_pk_init(struct vs_pk *pk, enum vs_pk_set set, double weight_kg)
{
	static const double qh = 151.0 / 60, ci = 101 * (1.11 + 2.77) / 60; /* L/min */
	static const double v1 = 192, q1 = 84.3 / 60, vp1 = 143, q2 = 37.6 / 60, vp2 = 417;
	switch (set) {
	case VS_PK_DOMINO:
		*pk = (struct vs_pk){ 0.063 * weight_kg, 0.4381, 0.5921, 0.2470, 0.5900, 0.0146, 0, 0, 0 };
		break;
	case VS_PK_CLEMENTS:
		*pk = (struct vs_pk){ 1.7522 * weight_kg, 0.0109, 0.0186, 0.0137, 0, 0, 0, 0, 0 };
		break;
	case VS_PK_PEREZ:
		*pk = (struct vs_pk){ v1, qh * ci / (qh + ci) / v1, q1 / v1, q1 / vp1, q2 / v1, q2 / vp2, 0, 0, 0 };
		break;
	}
}

/* Euler: the fastest rate constant is 1.6 /min, so that a step of a second errs by less than 1 %. */
void vs_pk_second(struct vs_pk *pk, double mg_min)
{
	const double dt = 1.0 / 60;
	double d1 = mg_min - (pk->k10 + pk->k12 + pk->k13) * pk->a1 + pk->k21 * pk->a2 + pk->k31 * pk->a3;
	double d2 = pk->k12 * pk->a1 - pk->k21 * pk->a2;
	double d3 = pk->k13 * pk->a1 - pk->k31 * pk->a3;
	pk->a1 += dt * d1;
	pk->a2 += dt * d2;
	pk->a3 += dt * d3;
}

double vs_pk_ng_ml(const struct vs_pk *pk)
{
	return 1000 * pk->a1 / pk->v1;
}
