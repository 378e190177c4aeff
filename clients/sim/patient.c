#include "clients/sim/patient.h"

#include <math.h>

enum { DRAW_BASE = 1, DRAW_RESPONSE = 2, DRAW_STORY = 3 }; /* streams of random numbers */

struct vs_patient_setup vs_patient_defaults(uint64_t seed)
{
	return (struct vs_patient_setup){
		.seed = seed,
		.weight_kg = 70,
		.dosing = vs_dosing_by_id("P1"),
		.pk = VS_PK_DOMINO,
		.response = NAN,
		.hr_response = NAN,
		.sys = NAN,
		.dia = NAN,
		.hr = NAN,
		.spo2 = NAN,
		.at_s = NAN,
	};
}

/* Every number is drawn in any case, so that a given one does not change the others. */
static void settle(double *x, double drawn)
{
	if (isnan(*x))
		*x = drawn;
}

static double drawn_response(struct vs_random *r)
{
	return fmin(3, exp(vs_random_normal(r, -0.125, 0.5)));
}

void vs_patient_init(struct vs_patient *p, const struct vs_patient_setup *setup)
{
	*p = (struct vs_patient){ .setup = *setup, .infusion_from_s = -1, .infusion_to_s = -1, .story_from_s = -1 };
	struct vs_patient_setup *s = &p->setup;
	struct vs_random base = vs_random_of(s->seed, DRAW_BASE), response = vs_random_of(s->seed, DRAW_RESPONSE);
	settle(&s->sys, vs_random_normal_within(&base, 125, 12, 100, 155));
	settle(&s->dia, vs_random_normal_within(&base, 76, 8, 60, 95));
	settle(&s->hr, vs_random_normal_within(&base, 74, 9, 55, 100));
	settle(&s->spo2, vs_random_between(&base, 97, 98));
	p->rr = vs_random_normal_within(&base, 14, 1.5, 11, 18);
	p->temp = vs_random_normal_within(&base, 36.6, 0.2, 36, 37.3);
	p->pi = vs_random_between(&base, 2, 6);
	settle(&s->response, drawn_response(&response));
	settle(&s->hr_response, drawn_response(&response));
	p->drawing = vs_random_of(s->seed, DRAW_STORY);
	settle(&s->at_s, floor(vs_random_between(&p->drawing, 8 * 60, 25 * 60)));
	vs_pk_init(&p->pk, s->pk, s->weight_kg);
	for (int i = 0; i < VS_RESCUE_COUNT; i++)
		p->given_s[i] = -1;
	/* Nobody's diastolic pressure is that near to the systolic: narrow pulses are for the artefacts. */
	s->dia = fmin(s->dia, s->sys - 30);
}

static void tell_at(struct vs_patient *p, enum vs_scenario scenario, long from_s)
{
	p->story = vs_story_tell(scenario, &p->drawing, p->setup.hr, p->setup.spo2);
	p->story_from_s = from_s;
}

void vs_patient_infuse(struct vs_patient *p)
{
	p->infusion_from_s = p->t_s;
	p->infusion_to_s = p->t_s + lround(60 * vs_dosing_minutes(p->setup.dosing, p->setup.weight_kg));
	tell_at(p, p->setup.scenario, p->t_s + lround(p->setup.at_s));
}

void vs_patient_stop(struct vs_patient *p)
{
	if (vs_patient_infusing(p))
		p->infusion_to_s = p->t_s;
}

bool vs_patient_infusing(const struct vs_patient *p)
{
	return p->infusion_from_s >= 0 && p->t_s < p->infusion_to_s;
}

void vs_patient_tell(struct vs_patient *p, enum vs_scenario s)
{
	tell_at(p, s, p->t_s);
}

void vs_patient_give(struct vs_patient *p, enum vs_rescue r)
{
	p->given_s[r] = p->t_s;
}

void vs_patient_second(struct vs_patient *p)
{
	const double ke0 = M_LN2 / 6, km = M_LN2 / 60, dt = 1.0 / 60; /* per minute, minutes */
	double rate = vs_patient_infusing(p) ? vs_dosing_rate_mg_min(p->setup.dosing, p->setup.weight_kg) : 0;
	double dce = ke0 * (vs_pk_ng_ml(&p->pk) - p->ce), dm = km * (p->ce - p->m);
	vs_pk_second(&p->pk, rate);
	p->ce += dt * dce;
	p->m += dt * dm;
	p->t_s++;
}

double vs_patient_story_s(const struct vs_patient *p)
{
	return p->story_from_s < 0 ? -1 : (double)(p->t_s - p->story_from_s);
}

/* Minutes since a rescue drug; 0: not given. */
static double given_min(const struct vs_patient *p, enum vs_rescue r)
{
	return p->given_s[r] < 0 ? 0 : (double)(p->t_s - p->given_s[r]) / 60;
}

static void add_rescue(const struct vs_patient *p, struct vs_truth *t)
{
	double lower = 20 * (1 - exp(-given_min(p, VS_RESCUE_ANTIHYPERTENSIVE) / 8));
	t->sys -= lower;
	t->dia -= 0.6 * lower;
	t->hr += 20 * (1 - exp(-given_min(p, VS_RESCUE_ATROPINE) / 1));
	t->spo2 += 3 * (1 - exp(-given_min(p, VS_RESCUE_OXYGEN) / 1));
}

static void add_story(const struct vs_story *s, double at_s, struct vs_truth *t)
{
	double pressure = vs_ramp_level(&s->pressure, at_s), heart = vs_ramp_level(&s->heart, at_s);
	double breath = vs_ramp_level(&s->breath, at_s);
	t->sys += pressure * s->sys;
	t->dia += pressure * s->dia;
	t->hr += heart * (s->hr_add + s->hr_share * t->hr);
	if (s->hr_to > 0)
		t->hr += heart * (s->hr_to - t->hr);
	if (s->spo2_to > 0)
		t->spo2 += breath * (s->spo2_to - t->spo2);
	t->spo2 += breath * s->spo2_add;
	t->rr += breath * s->rr_add;
	t->moaas = vs_story_moaas(s, at_s);
}

struct vs_truth vs_patient_truth(const struct vs_patient *p)
{
	const struct vs_patient_setup *s = &p->setup;
	double e = p->ce / (300 + p->ce) / (1 + p->m / 600);
	struct vs_truth t = {
		.hr = s->hr + s->hr_response * 22 * e,
		.spo2 = s->spo2,
		.sys = s->sys + s->response * 43 * e,
		.dia = s->dia + s->response * 30 * e,
		.rr = p->rr,
		.temp = p->temp,
		.pi = p->pi,
		.ng_ml = vs_pk_ng_ml(&p->pk),
		.moaas = 5,
	};
	if (p->story_from_s >= 0)
		add_story(&p->story, vs_patient_story_s(p), &t);
	add_rescue(p, &t);
	t.sys = fmax(t.sys, 45);
	t.dia = fmin(fmax(t.dia, 25), t.sys - 12);
	t.spo2 = fmin(t.spo2, 100);
	t.map = t.dia + 0.38 * (t.sys - t.dia);
	return t;
}
