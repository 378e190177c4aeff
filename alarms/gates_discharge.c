/* The gates before the door (clinical table B, D1 to D8).
 *
 * Scores count when they were entered after the infusion ended: how somebody walked before it says nothing. */
#include <math.h>
#include <stdio.h>

#include "alarms/session.h"

#define MINUTE_MS 60000.0

static double minutes_since(int64_t at_ms, int64_t now_ms)
{
	return now_ms > at_ms ? (double)(now_ms - at_ms) / MINUTE_MS : 0;
}

static int64_t ended_ms(const struct vs_session *s)
{
	return s->ended ? s->stopped_ms : s->phase_ms;
}

static const struct vs_entry_last *since_end(const struct vs_session *s, enum vs_entry_kind k)
{
	const struct vs_entry_last *l = &s->last[k];
	return l->number > 0 && l->at_ms >= ended_ms(s) ? l : NULL;
}

static const struct vs_entry_last *ever(const struct vs_session *s, enum vs_entry_kind k)
{
	return s->last[k].number > 0 ? &s->last[k] : NULL;
}

double vs_session_recovery_min(const struct vs_session *s, const struct vs_gate_rules *r, int64_t now_ms)
{
	double least = s->preset.recovery.v > 0 ? s->preset.recovery.v : r->d1_recovery_min;
	struct vs_dose_plan plan = { 0 };
	if (s->preset.id[0])
		vs_dose_work_out(&s->preset, &s->order, s->weight, &plan);
	double per_kg = vs_dose_per_kg(vs_session_given(s, now_ms), s->weight).v;
	if (fmax(per_kg, plan.total_kg.v) > r->d1_high_dose_kg * (1 + 1e-9))
		least = fmax(least, r->d1_high_dose_min);
	return least;
}

static void time_passed(const struct vs_session *s, const struct vs_gate_rules *r, int64_t now_ms,
	struct vs_gate_findings *out)
{
	double needed = vs_session_recovery_min(s, r, now_ms), passed = minutes_since(ended_ms(s), now_ms);
	if (passed < needed)
		vs_gate_add(out, VS_GATE_D1, VS_BLOCK, "%.0f min since the end of the infusion, at least %g; wait %.0f min more",
			floor(passed), needed, ceil(needed - passed));
}

static bool within(double value, double base, double percent)
{
	return fabs(value - base) <= base * percent / 100;
}

/* Without a frozen baseline (the infusion never began) the level that lets an infusion begin decides. */
static bool pressure_fine(const struct vs_session *s, const struct vs_gate_rules *r, const struct vs_fact_nibp *n)
{
	double sys, dia;
	if (!vs_session_baseline(s, VS_NIBP_SYS, &sys))
		return n->sys < r->g2_sys_warn && n->dia < r->g2_dia_warn;
	return within(n->sys, sys, r->d2_percent) &&
	       (n->dia < r->d2_dia_below ||
		(vs_session_baseline(s, VS_NIBP_DIA, &dia) && within(n->dia, dia, r->d2_percent)));
}

static void tell_pressure(const struct vs_session *s, const struct vs_gate_rules *r, const struct vs_fact_nibp *n,
	struct vs_gate_findings *out)
{
	double sys = 0, dia = 0;
	if (vs_session_baseline(s, VS_NIBP_SYS, &sys) && vs_session_baseline(s, VS_NIBP_DIA, &dia))
		vs_gate_add(out, VS_GATE_D2, VS_BLOCK, "pressure %.4g/%.4g, needed within %g %% of the baseline %.4g/%.4g", n->sys,
			n->dia, r->d2_percent, sys, dia);
	else
		vs_gate_add(out, VS_GATE_D2, VS_BLOCK, "pressure %.4g/%.4g, needed below %g/%g (there is no baseline)", n->sys,
			n->dia, r->g2_sys_warn, r->g2_dia_warn);
}

static void pressure(const struct vs_session *s, const struct vs_gate_rules *r, const struct vs_session_facts *f,
	int64_t now_ms, struct vs_gate_findings *out)
{
	const struct vs_fact_nibp *last = f->n_nibp ? &f->nibp[f->n_nibp - 1] : NULL, *first = NULL;
	for (unsigned i = f->n_nibp; last && !first && i-- > 0;)
		if (minutes_since(f->nibp[i].at_ms, last->at_ms) >= r->d2_apart_min && f->nibp[i].at_ms >= ended_ms(s))
			first = &f->nibp[i];
	if (!last || minutes_since(last->at_ms, now_ms) > r->d2_age_min)
		vs_gate_add(out, VS_GATE_D2, VS_BLOCK, "no cuff reading of the last %g min; start the cuff", r->d2_age_min);
	else if (!first)
		vs_gate_add(out, VS_GATE_D2, VS_BLOCK, "two cuff readings at least %g min apart are needed since the end of the "
			"infusion", r->d2_apart_min);
	else if (!pressure_fine(s, r, last))
		tell_pressure(s, r, last, out);
	else if (!pressure_fine(s, r, first))
		tell_pressure(s, r, first, out);
}

static void heart_rate(const struct vs_session *s, const struct vs_gate_rules *r, const struct vs_session_facts *f,
	int64_t now_ms, struct vs_gate_findings *out)
{
	const struct vs_fact *hr = &f->hr_minute;
	double base;
	bool has = vs_session_baseline(s, VS_HR, &base);
	if (!hr->known || minutes_since(hr->at_ms, now_ms) * 60 > r->g6_sample_s)
		vs_gate_add(out, VS_GATE_D3, VS_BLOCK, "no heart rate of the last minute; look at the sensor");
	else if ((hr->value < r->d3_low || hr->value > r->d3_high) && !(has && within(hr->value, base, r->d3_percent)))
		vs_gate_add(out, VS_GATE_D3, VS_BLOCK, "heart rate %.4g, needed %g to %g or within %g %% of the baseline",
			hr->value, r->d3_low, r->d3_high, r->d3_percent);
}

static void saturation(const struct vs_session *s, const struct vs_gate_rules *r, const struct vs_session_facts *f,
	int64_t now_ms, struct vs_gate_findings *out)
{
	double base, needed = r->d4_pass;
	if (vs_session_baseline(s, VS_SPO2, &base))
		needed = fmin(needed, base - r->d4_below_baseline);
	if (!f->spo2.known || minutes_since(f->spo2.at_ms, now_ms) * 60 > r->g6_sample_s)
		vs_gate_add(out, VS_GATE_D4, VS_BLOCK, "no oxygen saturation; look at the sensor");
	else if (f->spo2.value < needed)
		vs_gate_add(out, VS_GATE_D4, VS_BLOCK, "oxygen saturation %.4g %%, needed %.4g or more", f->spo2.value, needed);
	const struct vs_entry_last *oxygen = ever(s, VS_ENTRY_OXYGEN);
	if (oxygen && oxygen->value > 0)
		vs_gate_add(out, VS_GATE_D4, VS_BLOCK, "%g L/min of oxygen; measure without it and enter `oxygen 0`",
			oxygen->value);
}

static void awake(const struct vs_session *s, const struct vs_gate_rules *r, struct vs_gate_findings *out)
{
	const struct vs_entry_last *moaas = since_end(s, VS_ENTRY_MOAAS), *oriented = ever(s, VS_ENTRY_ORIENTED);
	const struct vs_entry_last *aldrete = since_end(s, VS_ENTRY_ALDRETE), *pads = since_end(s, VS_ENTRY_PADS);
	if (!moaas)
		vs_gate_add(out, VS_GATE_D5, VS_BLOCK, "no MOAA/S since the end of the infusion; enter `moaas 0-5`");
	else if (moaas->value < r->d5_moaas)
		vs_gate_add(out, VS_GATE_D5, VS_BLOCK, "MOAA/S %g, needed %g", moaas->value, r->d5_moaas);
	if (oriented && oriented->value < 1)
		vs_gate_add(out, VS_GATE_D5, VS_BLOCK, "not oriented; enter `oriented yes` when the patient is");
	if (!aldrete && !pads)
		vs_gate_add(out, VS_GATE_D5, VS_BLOCK, "no Aldrete or PADS score since the end of the infusion; enter `aldrete 0-10`");
	else if (!(aldrete && aldrete->value >= r->d5_aldrete) && !(pads && pads->value >= r->d5_pads))
		vs_gate_add(out, VS_GATE_D5, VS_BLOCK, "%s %g, needed %g", aldrete ? "Aldrete" : "PADS",
			aldrete ? aldrete->value : pads->value, aldrete ? r->d5_aldrete : r->d5_pads);
}

static void alarms(const struct vs_session_facts *f, struct vs_gate_findings *out)
{
	if (f->high + f->medium > 0)
		vs_gate_add(out, VS_GATE_D6, VS_HARD, "%u high and %u medium alarms are standing", f->high, f->medium);
	if (f->unacknowledged > 0)
		vs_gate_add(out, VS_GATE_D6, VS_HARD, "%u latched alarm%s not acknowledged; acknowledge first",
			f->unacknowledged, f->unacknowledged == 1 ? " is" : "s are");
}

/* Severities: 0 none, 1 mild, 2 moderate, 3 severe. */
static void symptoms(const struct vs_session *s, struct vs_gate_findings *out)
{
	const struct vs_entry_last *nausea = since_end(s, VS_ENTRY_NAUSEA), *gait = since_end(s, VS_ENTRY_GAIT);
	const struct vs_entry_last *dissociation = since_end(s, VS_ENTRY_DISSOCIATION);
	if (!nausea)
		vs_gate_add(out, VS_GATE_D7, VS_BLOCK, "nausea not asked since the end of the infusion; enter `nausea none`");
	else if (nausea->value > 1)
		vs_gate_add(out, VS_GATE_D7, VS_BLOCK, "nausea is more than mild");
	if (!gait || gait->value < 1)
		vs_gate_add(out, VS_GATE_D7, VS_BLOCK, gait ? "gait is not steady" :
			"gait not looked at since the end of the infusion; enter `gait steady`");
	if (!dissociation || dissociation->value > 0)
		vs_gate_add(out, VS_GATE_D7, VS_BLOCK, dissociation ? "dissociation is not gone" :
			"dissociation not asked since the end of the infusion; enter `dissociation none`");
}

static void logistics(const struct vs_session *s, struct vs_gate_findings *out)
{
	const struct vs_entry_last *advice = ever(s, VS_ENTRY_ADVICE);
	if (!ever(s, VS_ENTRY_ESCORT))
		vs_gate_add(out, VS_GATE_D8, VS_BLOCK, "nobody to take the patient home; enter `escort NAME`");
	if (!advice || advice->value < 1)
		vs_gate_add(out, VS_GATE_D8, VS_BLOCK, "driving advice not given; enter `advice given`");
	if (!since_end(s, VS_ENTRY_PAIN) && !since_end(s, VS_ENTRY_VAS))
		vs_gate_add(out, VS_GATE_D8, VS_BLOCK, "no pain score since the end of the infusion; enter `pain 0-10`");
}

void vs_gates_discharge(const struct vs_session *s, const struct vs_gate_rules *r, const struct vs_session_facts *f,
	int64_t now_ms, struct vs_gate_findings *out)
{
	time_passed(s, r, now_ms, out);
	pressure(s, r, f, now_ms, out);
	heart_rate(s, r, f, now_ms, out);
	saturation(s, r, f, now_ms, out);
	awake(s, r, out);
	alarms(f, out);
	symptoms(s, out);
	logistics(s, out);
}
