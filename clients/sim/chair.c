#include "clients/sim/chair.h"

#define MOAAS_EVERY_S (15 * 60)

const char *vs_sim_phase_name(enum vs_sim_phase p)
{
	static const char *const names[] = { "baseline", "infusion", "recovery" };
	return names[p];
}

void vs_sim_chair_init(struct vs_sim_chair *c, const struct vs_chair_setup *setup)
{
	*c = (struct vs_sim_chair){ .setup = *setup, .moaas = 5 };
	vs_patient_init(&c->patient, &setup->patient);
	vs_monitor_init(&c->monitor, setup->patient.seed);
}

static enum vs_sim_phase phase_of(const struct vs_patient *p)
{
	if (p->infusion_from_s < 0)
		return VS_SIM_BASELINE;
	return vs_patient_infusing(p) ? VS_SIM_INFUSION : VS_SIM_RECOVERY;
}

static unsigned phase_moment(struct vs_sim_chair *c)
{
	enum vs_sim_phase now = phase_of(&c->patient);
	if (c->begun && now == c->phase)
		return 0;
	c->begun = true;
	c->phase = now;
	c->moaas_next_s = c->patient.t_s + MOAAS_EVERY_S;
	return VS_MOMENT_PHASE;
}

/* A level that was crossed: which of two moments this is, or neither. */
static unsigned edge(bool *was, bool is, unsigned begins, unsigned ends)
{
	if (*was == is)
		return 0;
	*was = is;
	return is ? begins : ends;
}

static bool story_on(const struct vs_patient *p)
{
	double at = vs_patient_story_s(p);
	if (at < 0)
		return false;
	return p->story.ends_s == 0 || at < p->story.ends_s; /* some last as long as the patient stays */
}

static unsigned moments(struct vs_sim_chair *c, const struct vs_truth *t)
{
	unsigned m = phase_moment(c);
	if (c->patient.story.scenario != VS_SCENARIO_NORMAL && c->patient.story.scenario != VS_SCENARIO_STRONG)
		m |= edge(&c->story_on, story_on(&c->patient), VS_MOMENT_SCENARIO_BEGINS, VS_MOMENT_SCENARIO_ENDS);
	m |= edge(&c->crisis, t->sys >= 180 || t->dia >= 110, VS_MOMENT_CRISIS, VS_MOMENT_CRISIS_ENDS);
	bool due = c->phase == VS_SIM_INFUSION && c->patient.t_s >= c->moaas_next_s;
	if (t->moaas != c->moaas || due) {
		m |= VS_MOMENT_MOAAS;
		c->moaas = t->moaas;
		c->moaas_next_s = c->patient.t_s + MOAAS_EVERY_S;
	}
	return m;
}

static long cuff_interval_s(const struct vs_sim_chair *c)
{
	static const long by_phase[] = { 120, 300, 600 };
	return c->setup.cuff_interval_s > 0 ? c->setup.cuff_interval_s : by_phase[c->phase];
}

void vs_sim_chair_second(struct vs_sim_chair *c, struct vs_second *ret)
{
	long t_s = c->patient.t_s;
	if (t_s == c->setup.lead_s && c->patient.infusion_from_s < 0)
		vs_patient_infuse(&c->patient);
	*ret = (struct vs_second){ .t_s = t_s, .truth = vs_patient_truth(&c->patient) };
	ret->moments = moments(c, &ret->truth);
	ret->phase = c->phase;
	while (c->cuff_at_next < c->setup.cuff_at_len && c->setup.cuff_at_s[c->cuff_at_next] <= t_s) {
		vs_monitor_cuff_now(&c->monitor, t_s);
		c->cuff_at_next++;
	}
	/* The first reading of the infusion comes with its start, not with the end of the last interval. */
	if ((ret->moments & VS_MOMENT_PHASE) && c->phase == VS_SIM_INFUSION)
		vs_monitor_cuff_now(&c->monitor, t_s);
	vs_monitor_second(&c->monitor, &c->patient, cuff_interval_s(c), &ret->display);
	ret->cuff = c->monitor.cuff;
	vs_patient_second(&c->patient);
}
