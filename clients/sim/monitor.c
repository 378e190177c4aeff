#include "clients/sim/monitor.h"

#include <math.h>

enum { DRAW_HEART = 16, DRAW_OXYGEN = 17, DRAW_CUFF = 1000 }; /* streams; the cuff's go on from there */

#define CUFF_RETRY_S 30
#define CUFF_TRIES 3

void vs_monitor_init(struct vs_monitor *m, uint64_t seed)
{
	*m = (struct vs_monitor){ .heart = vs_random_of(seed, DRAW_HEART),
				  .oxygen = vs_random_of(seed, DRAW_OXYGEN),
				  .story_from_s = -1,
				  .cuff = { .seed = seed, .started_s = -1 } };
	m->slow = vs_random_normal(&m->heart, 0, 3);
	m->fast = vs_random_normal(&m->heart, 0, 2);
	m->drift = vs_random_normal(&m->oxygen, 0, 0.5);
}

/* One step of first-order autoregressive noise whose spread stays sd. */
static void wander(double *x, double phi, double sd, struct vs_random *r)
{
	*x = phi * *x + vs_random_normal(r, 0, sd * sqrt(1 - phi * phi));
}

static struct vs_shown shown(double x)
{
	return (struct vs_shown){ true, (int)lround(x) };
}

/* Begins with the given chance each second, then lasts 1-4 s. */
static bool spell(unsigned *left_s, double chance, struct vs_random *r)
{
	bool begins = vs_random_unit(r) < chance;
	unsigned lasts = 1 + (unsigned)(4 * vs_random_unit(r));
	if (*left_s > 0)
		--*left_s;
	else if (begins)
		*left_s = lasts;
	return *left_s > 0;
}

static void heart(struct vs_monitor *m, const struct vs_truth *t, bool moving, long t_s, struct vs_display *d)
{
	wander(&m->fast, 0.95, 2, &m->heart);
	wander(&m->slow, 0.9995, 3, &m->heart);
	double breathing = 1.5 * sin(2 * M_PI * 0.25 * (double)t_s);
	double hr = fmax(t->hr + m->fast + m->slow + breathing, 20);
	bool doubled = spell(&m->doubled_s, 0.001, &m->heart) || moving, missed = spell(&m->missed_s, 0.001, &m->heart);
	d->pr = shown(hr);
	d->hr = shown(doubled ? fmin(2 * hr, 300) : hr);
	d->hr.has = !missed;
	d->rr = shown(t->rr + vs_random_normal(&m->heart, 0, 0.7));
}

static void oxygen(struct vs_monitor *m, const struct vs_truth *t, struct vs_display *d)
{
	const unsigned n = sizeof m->averaged / sizeof *m->averaged;
	m->averaged[m->averaged_len++ % n] = t->spo2;
	unsigned have = m->averaged_len < n ? m->averaged_len : n;
	double mean = 0;
	for (unsigned i = 0; i < have; i++)
		mean += m->averaged[i] / have;
	wander(&m->drift, 0.98, 0.5, &m->oxygen);
	d->motion = spell(&m->moved_s, 0.0015, &m->oxygen);
	d->spo2 = shown(fmin(mean + m->drift - (d->motion ? 12 : 0), 100));
}

/* The three ways in which a cuff is wrong: systolic too high; a triple without pulse (214/190/199); order lost. */
static void spoil(struct vs_cuff *c, struct vs_random *r)
{
	switch ((int)(3 * vs_random_unit(r))) {
	case 0:
		c->sys.value += (int)vs_random_between(r, 25, 60);
		break;
	case 1:
		c->sys.value += (int)vs_random_between(r, 50, 90);
		c->dia.value = c->sys.value - (int)vs_random_between(r, 18, 28);
		c->map.value = c->dia.value + (c->sys.value - c->dia.value) * 2 / 5;
		break;
	default:
		c->dia.value = c->map.value + (int)vs_random_between(r, 0, 6);
		break;
	}
}

static void cuff_starts(struct vs_cuff *c, long t_s)
{
	struct vs_random r = vs_random_of(c->seed, DRAW_CUFF + (uint64_t)t_s);
	c->started_s = t_s;
	c->done_s = t_s + (long)vs_random_between(&r, 25, 46);
	c->fails = vs_random_unit(&r) < 0.03;
	c->artefact = vs_random_unit(&r) < 0.01;
	if (c->fail_next > 0) {
		c->fail_next--;
		c->fails = true;
	} else if (c->bad_next > 0) {
		c->bad_next--;
		c->fails = false;
		c->artefact = true;
	}
}

/* The standard for cuffs allows an SD of 8 mmHg; this one has 5 and 4. */
static void cuff_reads(struct vs_cuff *c, const struct vs_truth *t)
{
	struct vs_random r = vs_random_of(c->seed, DRAW_CUFF + ((uint64_t)c->started_s << 20));
	double sys = t->sys + vs_random_normal(&r, 0, 5), dia = fmin(t->dia + vs_random_normal(&r, 0, 4), sys - 8);
	c->sys = shown(sys);
	c->dia = shown(dia);
	c->map = shown(dia + 0.38 * (sys - dia));
	c->pr = shown(t->hr + vs_random_normal(&r, 0, 2));
	if (c->artefact)
		spoil(c, &r);
	c->readings++;
}

static enum vs_cuff_event cuff_ends(struct vs_cuff *c, const struct vs_truth *t)
{
	if (c->fails) {
		c->sys.has = c->dia.has = c->map.has = c->pr.has = false;
		c->failures++;
		if (c->failures % CUFF_TRIES != 0)
			c->next_s = c->done_s + CUFF_RETRY_S;
		c->started_s = -1;
		return VS_CUFF_FAILED;
	}
	c->failures = 0;
	cuff_reads(c, t);
	c->started_s = -1;
	return VS_CUFF_MEASURED;
}

void vs_monitor_cuff_now(struct vs_monitor *m, long t_s)
{
	if (m->cuff.started_s < 0)
		m->cuff.next_s = t_s;
}

static enum vs_cuff_event cuff(struct vs_cuff *c, const struct vs_truth *t, long t_s, long interval_s)
{
	if (c->started_s >= 0)
		return t_s >= c->done_s ? cuff_ends(c, t) : VS_CUFF_NOTHING;
	if (t_s < c->next_s)
		return VS_CUFF_NOTHING;
	cuff_starts(c, t_s);
	c->next_s = t_s + interval_s;
	return VS_CUFF_STARTS;
}

/* A scenario that spoils cuff measurements orders them once, when it begins. */
static void order_cuff_faults(struct vs_monitor *m, const struct vs_patient *p)
{
	if (p->story_from_s == m->story_from_s || vs_patient_story_s(p) < 0)
		return;
	m->story_from_s = p->story_from_s;
	if (p->story.scenario == VS_SCENARIO_CUFF_ARTEFACT)
		m->cuff.bad_next = 1;
	if (p->story.scenario == VS_SCENARIO_NIBP_TIRED)
		m->cuff.fail_next = CUFF_TRIES;
}

void vs_monitor_second(struct vs_monitor *m, const struct vs_patient *p, long cuff_interval_s, struct vs_display *ret)
{
	struct vs_truth t = vs_patient_truth(p);
	double at = vs_patient_story_s(p);
	*ret = (struct vs_display){ .temp = t.temp, .pi = t.pi };
	order_cuff_faults(m, p);
	heart(m, &t, vs_story_fault(&p->story, VS_SCENARIO_MOVEMENT, at), p->t_s, ret);
	oxygen(m, &t, ret);
	ret->cuff = cuff(&m->cuff, &t, p->t_s, cuff_interval_s);
	ret->inflating = m->cuff.started_s >= 0;
	ret->dead = vs_story_fault(&p->story, VS_SCENARIO_DEVICE_DEAD, at);
	ret->probe_off = vs_story_fault(&p->story, VS_SCENARIO_PROBE_OFF, at);
	bool pressed = vs_story_fault(&p->story, VS_SCENARIO_CUFF_ARM, at) && ret->inflating &&
		       p->t_s - m->cuff.started_s < 40;
	if (ret->probe_off || pressed)
		ret->spo2.has = ret->pr.has = false;
}
