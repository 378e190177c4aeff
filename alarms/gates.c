/* The gates.  Each looks at what was measured, and says in a nurse's words what it saw and what it needs. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "alarms/session.h"

#define MINUTE_MS 60000.0
#define PERCENT(value, percent) ((value) * (percent) / 100.0)

static const char *const codes[VS_GATE_COUNT] = {
#define GATE(id, code, ...) [VS_GATE_##id] = code,
#include "alarms/gates.def"
#undef GATE
};

const struct vs_gate_rule_info vs_gate_rule_infos[] = {
#define RULE(field, gate, key, unit, lowest, highest) \
	{ gate, key, unit, offsetof(struct vs_gate_rules, field), lowest, highest },
#include "alarms/gate_rules.def"
#undef RULE
};
const size_t vs_gate_rule_count = sizeof vs_gate_rule_infos / sizeof *vs_gate_rule_infos;

const char *vs_gate_code(enum vs_gate g)
{
	return g < VS_GATE_COUNT ? codes[g] : NULL;
}

const char *vs_verdict_name(enum vs_verdict v)
{
	static const char *const names[] = { "pass", "warn", "block", "hard" };
	return v <= VS_HARD ? names[v] : NULL;
}

void vs_gate_add(struct vs_gate_findings *out, enum vs_gate g, enum vs_verdict v, const char *format, ...)
{
	if (out->len == VS_GATE_FINDINGS)
		return;
	struct vs_gate_finding *f = &out->at[out->len++];
	*f = (struct vs_gate_finding){ .gate = g, .verdict = v };
	va_list ap;
	va_start(ap, format);
	vsnprintf(f->text, sizeof f->text, format, ap);
	va_end(ap);
}

static size_t append(char *buf, size_t cap, size_t len, const char *format, ...) __attribute__((format(printf, 4, 5)));
static size_t append(char *buf, size_t cap, size_t len, const char *format, ...)
{
	va_list ap;
	if (len + 1 >= cap)
		return len;
	va_start(ap, format);
	int n = vsnprintf(buf + len, cap - len, format, ap);
	va_end(ap);
	return n < 0 ? len : len + (size_t)n < cap ? len + (size_t)n : cap - 1;
}

/* What the person may do about it, once for all of them. */
static size_t way_out(const struct vs_gate_findings *f, char *buf, size_t cap, size_t len)
{
	enum vs_verdict worst = VS_PASS;
	bool station = false;
	for (unsigned i = 0; i < f->len; i++) {
		const struct vs_gate_finding *g = &f->at[i];
		if (g->settled)
			continue;
		if (g->gate >= VS_GATE_PHASE)
			return len; /* the words themselves say what to do */
		worst = g->verdict > worst ? g->verdict : worst;
		station |= g->gate == VS_GATE_G6 && g->verdict == VS_WARN;
	}
	if (worst == VS_HARD)
		return append(buf, cap, len, " (cannot be overridden)");
	if (worst == VS_BLOCK)
		return append(buf, cap, len, " (to go on: --override REASON --second NAME)");
	if (worst == VS_WARN)
		return append(buf, cap, len, station ? " (to go on: --confirm --reason TEXT)" : " (to go on: --confirm)");
	return len;
}

size_t vs_gate_findings_text(const struct vs_gate_findings *f, char *buf, size_t cap)
{
	size_t len = 0;
	if (cap > 0)
		buf[0] = '\0';
	for (unsigned i = 0; i < f->len; i++)
		len = append(buf, cap, len, "%s%s: %s", i ? "; " : "", codes[f->at[i].gate], f->at[i].text);
	return way_out(f, buf, cap, len);
}

/* ---- what was measured ---- */

static double minutes_since(int64_t at_ms, int64_t now_ms)
{
	return now_ms > at_ms ? (double)(now_ms - at_ms) / MINUTE_MS : 0;
}

static const struct vs_fact_nibp *newest_nibp(const struct vs_session_facts *f)
{
	return f->n_nibp ? &f->nibp[f->n_nibp - 1] : NULL;
}

/* The newest reading that is at least `apart` minutes older than the newest of all. */
static const struct vs_fact_nibp *earlier_nibp(const struct vs_session_facts *f, double apart)
{
	const struct vs_fact_nibp *last = newest_nibp(f);
	for (unsigned i = f->n_nibp; last && i-- > 0;)
		if (minutes_since(f->nibp[i].at_ms, last->at_ms) >= apart)
			return &f->nibp[i];
	return NULL;
}

static bool fresh(const struct vs_fact *x, const struct vs_gate_rules *r, int64_t now_ms)
{
	return x->known && (now_ms <= x->at_ms || (double)(now_ms - x->at_ms) <= r->g6_sample_s * 1000);
}

static double median(double *v, unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		for (unsigned j = i; j > 0 && v[j - 1] > v[j]; j--) {
			double t = v[j];
			v[j] = v[j - 1];
			v[j - 1] = t;
		}
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

void vs_nibp_summarise(const struct vs_session_facts *f, const struct vs_gate_rules *r, int64_t now_ms,
	struct vs_nibp_summary *ret)
{
	double sys[VS_FACT_NIBP], dia[VS_FACT_NIBP], map[VS_FACT_NIBP];
	unsigned n = 0, maps = 0;
	for (unsigned i = 0; i < f->n_nibp; i++) {
		if (minutes_since(f->nibp[i].at_ms, now_ms) > r->g1_within_min)
			continue;
		sys[n] = f->nibp[i].sys;
		dia[n++] = f->nibp[i].dia;
		if (f->nibp[i].map > 0)
			map[maps++] = f->nibp[i].map;
	}
	*ret = (struct vs_nibp_summary){ .readings = n };
	if (n == 0)
		return;
	ret->sys = median(sys, n); /* sorts: the ends are the extremes */
	ret->spread = sys[n - 1] - sys[0];
	ret->dia = median(dia, n);
	ret->map = maps ? median(map, maps) : 0;
}

static const struct vs_entry_last *entered(const struct vs_session *s, enum vs_entry_kind k, int64_t since_ms)
{
	const struct vs_entry_last *l = &s->last[k];
	return l->number > 0 && l->at_ms >= since_ms ? l : NULL;
}

/* ---- after screening ---- */

void vs_gates_screening(const struct vs_session *s, const struct vs_checklist *c, const struct vs_gate_rules *r,
	struct vs_gate_findings *out)
{
	char open[120] = "";
	size_t len = 0;
	for (unsigned i = 0; i < c->len; i++) {
		enum vs_answer answer = vs_session_check(s, c->at[i].item);
		if (answer == VS_ANSWER_YES)
			vs_gate_add(out, VS_GATE_S1, VS_BLOCK, "%s was answered yes (%s)", c->at[i].text, c->at[i].item);
		else if (answer == VS_ANSWER_UNKNOWN)
			vs_gate_add(out, VS_GATE_S1, VS_WARN, "%s is unknown (%s)", c->at[i].text, c->at[i].item);
		else if (answer == VS_ANSWER_NONE && len + 1 < sizeof open)
			len += (size_t)snprintf(open + len, sizeof open - len, "%s%s", len ? ", " : "", c->at[i].item);
	}
	if (len > 0)
		vs_gate_add(out, VS_GATE_S1, VS_BLOCK, "not answered: %s; enter `check ITEM no`, or `check all no`", open);
	if (s->weight.v <= 0 && vs_preset_needs_weight(&s->preset))
		vs_gate_add(out, VS_GATE_S2, VS_HARD, "%s needs a weight; enter `weight KG`", s->preset.id);
	if (!entered(s, VS_ENTRY_PAIN, 0) && !entered(s, VS_ENTRY_VAS, 0))
		vs_gate_add(out, VS_GATE_S3, VS_BLOCK, "no pain score yet; enter `pain 0-10`");
	const struct vs_entry_last *consent = entered(s, VS_ENTRY_CONSENT, 0);
	if (!consent || consent->value < 1)
		vs_gate_add(out, VS_GATE_S4, VS_BLOCK, consent ? "the patient does not consent" :
			"consent is not recorded; enter `consent yes`");
	if (r->s5_identity > 0 && !entered(s, VS_ENTRY_IDENTITY, 0))
		vs_gate_add(out, VS_GATE_S5, VS_BLOCK, "nobody has compared two identifiers of the patient with this session; enter "
			"`identity name and birth date`");
}

/* ---- before the infusion ---- */

static void gate_readings(const struct vs_nibp_summary *b, const struct vs_gate_rules *r, struct vs_gate_findings *out)
{
	if (b->readings < r->g1_readings)
		vs_gate_add(out, VS_GATE_G1, VS_BLOCK, "%u accepted cuff reading%s in the last %g min, at least %g are needed",
			b->readings, b->readings == 1 ? "" : "s", r->g1_within_min, r->g1_readings);
	else if (b->spread > r->g1_spread_pass)
		vs_gate_add(out, VS_GATE_G1, b->spread > r->g1_spread_warn ? VS_BLOCK : VS_WARN,
			"cuff readings differ by %.3g mmHg systolic, at most %g is wanted; let the patient rest and repeat",
			b->spread, r->g1_spread_pass);
}

/* The level is the baseline; but a newest reading beyond the hard limit never passes behind a quiet median. */
static void gate_pressure(const struct vs_nibp_summary *b, const struct vs_fact_nibp *last,
	const struct vs_gate_rules *r, struct vs_gate_findings *out)
{
	if (b->readings == 0)
		return; /* G1 and G6 say so */
	if (last->sys >= r->g2_sys_hard || last->dia >= r->g2_dia_hard || b->sys >= r->g2_sys_hard ||
	    b->dia >= r->g2_dia_hard) {
		bool now = last->sys >= r->g2_sys_hard || last->dia >= r->g2_dia_hard;
		vs_gate_add(out, VS_GATE_G2, VS_HARD, "pressure %.4g/%.4g, no infusion at %g/%g or above",
			now ? last->sys : b->sys, now ? last->dia : b->dia, r->g2_sys_hard, r->g2_dia_hard);
	} else if (b->sys >= r->g2_sys_block || b->dia >= r->g2_dia_block) {
		vs_gate_add(out, VS_GATE_G2, VS_BLOCK, "baseline pressure %.4g/%.4g, needed below %g/%g", b->sys, b->dia,
			r->g2_sys_block, r->g2_dia_block);
	} else if (b->sys >= r->g2_sys_warn || b->dia >= r->g2_dia_warn) {
		vs_gate_add(out, VS_GATE_G2, VS_WARN, "baseline pressure %.4g/%.4g, wanted below %g/%g", b->sys, b->dia,
			r->g2_sys_warn, r->g2_dia_warn);
	}
}

static void gate_heart_rate(const struct vs_fact *hr, const struct vs_gate_rules *r, struct vs_gate_findings *out)
{
	double v = hr->value;
	enum vs_verdict worst = v < r->g3_low_hard || v > r->g3_high_hard ? VS_HARD :
		v < r->g3_low_block || v > r->g3_high_block ? VS_BLOCK :
		v < r->g3_low_warn || v > r->g3_high_warn ? VS_WARN : VS_PASS;
	if (worst != VS_PASS)
		vs_gate_add(out, VS_GATE_G3, worst, "heart rate %.4g, wanted %g to %g", v, r->g3_low_warn, r->g3_high_warn);
}

static void gate_saturation(const struct vs_fact *spo2, const struct vs_gate_rules *r, struct vs_gate_findings *out)
{
	double v = spo2->value;
	enum vs_verdict worst = v < r->g4_hard ? VS_HARD : v < r->g4_block ? VS_BLOCK : v < r->g4_warn ? VS_WARN : VS_PASS;
	if (worst != VS_PASS)
		vs_gate_add(out, VS_GATE_G4, worst, "oxygen saturation %.4g %%, wanted %g or more", v, r->g4_warn);
}

static void gate_consciousness(const struct vs_session *s, const struct vs_gate_rules *r, int64_t now_ms,
	struct vs_gate_findings *out)
{
	const struct vs_entry_last *l = entered(s, VS_ENTRY_MOAAS, 0);
	if (!l)
		vs_gate_add(out, VS_GATE_G5, VS_HARD, "nobody has looked how awake the patient is; enter `moaas 0-5`");
	else if (minutes_since(l->at_ms, now_ms) > r->g5_age_min)
		vs_gate_add(out, VS_GATE_G5, VS_HARD, "the MOAA/S score is %.0f min old, at most %g; enter it anew",
			minutes_since(l->at_ms, now_ms), r->g5_age_min);
	else if (l->value < r->g5_pass)
		vs_gate_add(out, VS_GATE_G5, l->value < r->g5_warn ? VS_HARD : VS_WARN, "MOAA/S %g, wanted %g", l->value,
			r->g5_pass);
}

static void gate_sample(const char *what, const struct vs_fact *x, const struct vs_gate_rules *r, int64_t now_ms,
	struct vs_gate_findings *out)
{
	if (!x->known)
		vs_gate_add(out, VS_GATE_G6, VS_HARD, "no %s; look at the sensor", what);
	else if (!fresh(x, r, now_ms))
		vs_gate_add(out, VS_GATE_G6, VS_HARD, "%s is %.0f s old, at most %g; look at the sensor", what,
			minutes_since(x->at_ms, now_ms) * 60, r->g6_sample_s);
}

static void gate_live(const struct vs_session_facts *f, const struct vs_gate_rules *r, int64_t now_ms,
	struct vs_gate_findings *out)
{
	const struct vs_fact_nibp *last = newest_nibp(f);
	gate_sample("heart rate", &f->hr, r, now_ms, out);
	gate_sample("oxygen saturation", &f->spo2, r, now_ms, out);
	if (!last)
		vs_gate_add(out, VS_GATE_G6, VS_HARD, "no cuff reading; start the cuff");
	else if (minutes_since(last->at_ms, now_ms) > r->g6_nibp_min)
		vs_gate_add(out, VS_GATE_G6, VS_HARD, "the newest cuff reading is older than %g min (%.0f s); start the cuff",
			r->g6_nibp_min, minutes_since(last->at_ms, now_ms) * 60);
	if (f->station_known && !f->station_up)
		vs_gate_add(out, VS_GATE_G6, VS_WARN, "the nursing station does not answer: alarms are heard at the chair only");
	if (f->self_test_known && minutes_since(f->self_test_ms, now_ms) > r->g6_self_test_h * 60)
		vs_gate_add(out, VS_GATE_G6, VS_WARN, "the alarm self-test is %.0f h old, at most %g; test light and sound",
			minutes_since(f->self_test_ms, now_ms) / 60, r->g6_self_test_h);
}

struct vs_dose_limits vs_gate_dose_limits(const struct vs_gate_rules *r)
{
	return (struct vs_dose_limits){
		.soft_rate_kg = { r->g7_soft_rate_kg },
		.hard_rate_kg = { r->g7_hard_rate_kg },
		.soft_dose_kg = { r->g7_soft_dose_kg },
		.hard_dose_kg = { r->g7_hard_dose_kg },
		.soft_rate = { r->g7_soft_rate },
	};
}

void vs_gate_dose(const struct vs_preset *p, const struct vs_dose_order *o, struct vs_kg weight,
	const struct vs_gate_rules *r, struct vs_gate_findings *out)
{
	char sum[120];
	struct vs_dose_limits limits = vs_gate_dose_limits(r);
	enum vs_dose_verdict v = vs_dose_judge(&limits, p, o, weight);
	vs_dose_arithmetic(p, o, weight, sum, sizeof sum);
	if (v == VS_DOSE_ABOVE_HARD)
		vs_gate_add(out, VS_GATE_G7, VS_HARD, "%s: %s; never above %g mg/kg/h, nor %g mg/kg in an outpatient", p->id,
			sum, r->g7_hard_rate_kg, r->g7_hard_dose_kg);
	else if (v == VS_DOSE_OUTSIDE_PRESET)
		vs_gate_add(out, VS_GATE_G7, VS_WARN, "%s: %s; outside what the preset says", p->id, sum);
	else if (v == VS_DOSE_NO_WEIGHT)
		vs_gate_add(out, VS_GATE_G7, VS_WARN, "%s: %s; cannot be judged per kg without a weight", p->id, sum);
	else if (v == VS_DOSE_ABOVE_SOFT)
		vs_gate_add(out, VS_GATE_G7, VS_WARN, "%s: %s; usual up to %g mg/kg/h, %g mg/kg, %g mg/h fixed", p->id, sum,
			r->g7_soft_rate_kg, r->g7_soft_dose_kg, r->g7_soft_rate);
}

void vs_gates_infusion(const struct vs_session *s, const struct vs_gate_rules *r, const struct vs_session_facts *f,
	int64_t now_ms, struct vs_gate_findings *out)
{
	struct vs_nibp_summary b;
	vs_nibp_summarise(f, r, now_ms, &b);
	gate_readings(&b, r, out);
	gate_pressure(&b, newest_nibp(f), r, out);
	if (fresh(&f->hr, r, now_ms)) /* else G6 says so */
		gate_heart_rate(&f->hr, r, out);
	if (fresh(&f->spo2, r, now_ms))
		gate_saturation(&f->spo2, r, out);
	gate_consciousness(s, r, now_ms, out);
	gate_live(f, r, now_ms, out);
	if (s->preset.id[0])
		vs_gate_dose(&s->preset, &s->order, s->weight, r, out);
}

/* ---- before resuming ---- */

void vs_gates_resume(const struct vs_session *s, const struct vs_gate_rules *r, const struct vs_session_facts *f,
	int64_t now_ms, struct vs_gate_findings *out)
{
	const struct vs_fact_nibp *last = newest_nibp(f);
	(void)s;
	if (!last || minutes_since(last->at_ms, now_ms) > r->r1_age_min)
		vs_gate_add(out, VS_GATE_R1, VS_BLOCK, "no cuff reading of the last %g min; start the cuff", r->r1_age_min);
	else if (last->sys >= r->r1_sys || last->dia >= r->r1_dia)
		vs_gate_add(out, VS_GATE_R1, VS_BLOCK, "pressure %.4g/%.4g, needed below %g/%g", last->sys, last->dia, r->r1_sys,
			r->r1_dia);
	if (!fresh(&f->hr, r, now_ms))
		vs_gate_add(out, VS_GATE_R2, VS_BLOCK, "no heart rate; look at the sensor");
	else if (f->hr.value >= r->r2_high)
		vs_gate_add(out, VS_GATE_R2, VS_BLOCK, "heart rate %.4g, needed below %g", f->hr.value, r->r2_high);
	if (!fresh(&f->spo2, r, now_ms))
		vs_gate_add(out, VS_GATE_R3, VS_BLOCK, "no oxygen saturation; look at the sensor");
	else if (f->spo2.value < r->r3_low)
		vs_gate_add(out, VS_GATE_R3, VS_BLOCK, "oxygen saturation %.4g %%, needed %g or more", f->spo2.value, r->r3_low);
	if (f->high > 0 || f->high_unacknowledged > 0)
		vs_gate_add(out, VS_GATE_R4, VS_BLOCK, "%u high alarm%s standing, %u latched and not acknowledged", f->high,
			f->high == 1 ? "" : "s", f->high_unacknowledged);
}

/* ---- from aborted to recovery ---- */

void vs_gates_stable(const struct vs_session *s, const struct vs_gate_rules *r, const struct vs_session_facts *f,
	int64_t now_ms, struct vs_gate_findings *out)
{
	const struct vs_fact_nibp *last = newest_nibp(f), *first = earlier_nibp(f, r->a1_apart_min);
	(void)now_ms;
	if (!first || first->at_ms < s->phase_ms) {
		vs_gate_add(out, VS_GATE_A1, VS_BLOCK, "two cuff readings at least %g min apart are needed since the abort",
			r->a1_apart_min);
	} else {
		for (const struct vs_fact_nibp *n = first; n <= last; n++)
			if (n->sys >= r->a1_sys || n->dia >= r->a1_dia) {
				vs_gate_add(out, VS_GATE_A1, VS_BLOCK, "pressure %.4g/%.4g, needed below %g/%g twice, %g min apart",
					n->sys, n->dia, r->a1_sys, r->a1_dia, r->a1_apart_min);
				break;
			}
	}
	if (f->high > 0)
		vs_gate_add(out, VS_GATE_A2, VS_BLOCK, "%u high alarm%s standing", f->high, f->high == 1 ? "" : "s");
}
