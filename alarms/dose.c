/* Dose arithmetic.  Minutes and hours meet only here. */
#include <stdarg.h>
#include <stdio.h>

#include "alarms/dose.h"

#define MINUTES_AN_HOUR 60.0

struct vs_mg_kg_h vs_rate_of_dose(struct vs_mg_kg dose, struct vs_minutes over)
{
	return (struct vs_mg_kg_h){ over.v > 0 ? dose.v * MINUTES_AN_HOUR / over.v : 0 };
}

struct vs_mg_h vs_rate_at_weight(struct vs_mg_kg_h rate, struct vs_kg weight)
{
	return (struct vs_mg_h){ rate.v * weight.v };
}

struct vs_mg_kg_h vs_rate_per_kg(struct vs_mg_h rate, struct vs_kg weight)
{
	return (struct vs_mg_kg_h){ weight.v > 0 ? rate.v / weight.v : 0 };
}

struct vs_mg vs_dose_at_weight(struct vs_mg_kg dose, struct vs_kg weight)
{
	return (struct vs_mg){ dose.v * weight.v };
}

struct vs_mg_kg vs_dose_per_kg(struct vs_mg dose, struct vs_kg weight)
{
	return (struct vs_mg_kg){ weight.v > 0 ? dose.v / weight.v : 0 };
}

struct vs_mg vs_dose_of_rate(struct vs_mg_h rate, struct vs_minutes over)
{
	return (struct vs_mg){ rate.v * over.v / MINUTES_AN_HOUR };
}

struct vs_mg_kg vs_dose_of_rate_per_kg(struct vs_mg_kg_h rate, struct vs_minutes over)
{
	return (struct vs_mg_kg){ rate.v * over.v / MINUTES_AN_HOUR };
}

struct vs_mg_h vs_rate_over(struct vs_mg dose, struct vs_minutes over)
{
	return (struct vs_mg_h){ over.v > 0 ? dose.v * MINUTES_AN_HOUR / over.v : 0 };
}

struct vs_minutes vs_time_of_dose(struct vs_mg dose, struct vs_mg_h rate)
{
	return (struct vs_minutes){ rate.v > 0 ? dose.v * MINUTES_AN_HOUR / rate.v : 0 };
}

struct vs_ml vs_volume_of_dose(struct vs_mg dose, struct vs_mg_ml concentration)
{
	return (struct vs_ml){ concentration.v > 0 ? dose.v / concentration.v : 0 };
}

struct vs_ml_h vs_pump_of_rate(struct vs_mg_h rate, struct vs_mg_ml concentration)
{
	return (struct vs_ml_h){ concentration.v > 0 ? rate.v / concentration.v : 0 };
}

bool vs_preset_needs_weight(const struct vs_preset *p)
{
	return p->n_steps > 0 || p->dose_high.v > 0;
}

static struct vs_mg_kg_h step_rate(const struct vs_preset *p, const struct vs_dose_order *o)
{
	unsigned step = o->step > 0 ? o->step - 1 : 0;
	return p->step[step < p->n_steps ? step : p->n_steps - 1];
}

/* Caps hold whatever the weight: of the rate, and of what a day may bring. */
static void apply_caps(const struct vs_preset *p, struct vs_dose_plan *plan)
{
	if (p->cap_rate.v > 0 && plan->rate.v > p->cap_rate.v) {
		plan->rate = p->cap_rate;
		plan->capped = true;
	}
	if (p->cap_day.v > 0 && vs_dose_of_rate(plan->rate, plan->over).v > p->cap_day.v) {
		plan->rate = vs_rate_over(p->cap_day, plan->over);
		plan->capped = true;
	}
}

/* The preset names a rate per kg: for so long, or until a fixed dose has run in. */
static void by_rate_per_kg(const struct vs_preset *p, const struct vs_dose_order *o, struct vs_kg w,
	struct vs_dose_plan *plan)
{
	plan->rate_kg = step_rate(p, o);
	plan->rate = vs_rate_at_weight(plan->rate_kg, w);
	if (p->dose.v > 0)
		plan->over = vs_time_of_dose(p->dose, plan->rate);
	apply_caps(p, plan);
	if (plan->capped)
		plan->rate_kg = vs_rate_per_kg(plan->rate, w);
	plan->total = p->dose.v > 0 ? p->dose : vs_dose_of_rate(plan->rate, plan->over);
	plan->total_kg = w.v > 0 ? vs_dose_per_kg(plan->total, w) : vs_dose_of_rate_per_kg(plan->rate_kg, plan->over);
}

static void by_dose_per_kg(const struct vs_preset *p, const struct vs_dose_order *o, struct vs_kg w,
	struct vs_dose_plan *plan)
{
	plan->total_kg = o->dose.v > 0 ? o->dose : p->dose_high;
	plan->rate_kg = vs_rate_of_dose(plan->total_kg, plan->over);
	plan->rate = vs_rate_at_weight(plan->rate_kg, w);
	plan->total = vs_dose_at_weight(plan->total_kg, w);
}

static void by_fixed_amount(const struct vs_preset *p, struct vs_kg w, struct vs_dose_plan *plan)
{
	plan->fixed_rate = true;
	if (p->dose.v > 0) {
		plan->rate = vs_rate_over(p->dose, plan->over);
		plan->total = p->dose;
	} else {
		plan->rate = p->rate_highest.v > p->rate.v ? p->rate_highest : p->rate;
		plan->total = vs_dose_of_rate(plan->rate, plan->over);
	}
	plan->rate_kg = vs_rate_per_kg(plan->rate, w);
	plan->total_kg = vs_dose_per_kg(plan->total, w);
}

void vs_dose_work_out(const struct vs_preset *p, const struct vs_dose_order *o, struct vs_kg weight,
	struct vs_dose_plan *ret)
{
	*ret = (struct vs_dose_plan){ .over = o->over.v > 0 ? o->over : p->over_high };
	if (p->no_pump)
		return;
	if (p->n_steps > 0)
		by_rate_per_kg(p, o, weight, ret);
	else if (p->dose_high.v > 0)
		by_dose_per_kg(p, o, weight, ret);
	else
		by_fixed_amount(p, weight, ret);
	ret->volume = vs_volume_of_dose(ret->total, p->concentration);
	ret->pump = vs_pump_of_rate(ret->rate, p->concentration);
}

struct vs_mg_h vs_dose_first_rate(const struct vs_preset *p, const struct vs_dose_order *o, struct vs_kg weight)
{
	struct vs_dose_plan plan;
	vs_dose_work_out(p, o, weight, &plan);
	return p->rate.v > 0 ? p->rate : plan.rate;
}

/* A limit that was computed is not exceeded by the last bit of a double. */
static bool beyond(double value, double limit)
{
	return limit > 0 && value > limit * (1 + 1e-9);
}

static bool order_outside(const struct vs_preset *p, const struct vs_dose_order *o)
{
	if (o->dose.v > 0 && (beyond(o->dose.v, p->dose_high.v) || beyond(p->dose_low.v, o->dose.v) || p->dose_high.v <= 0))
		return true;
	if (o->over.v > 0 && p->over_high.v > 0 && (beyond(o->over.v, p->over_high.v) || beyond(p->over_low.v, o->over.v)))
		return true;
	return o->step > (p->n_steps ? p->n_steps : 1);
}

enum vs_dose_verdict vs_dose_judge(const struct vs_dose_limits *l, const struct vs_preset *p,
	const struct vs_dose_order *o, struct vs_kg weight)
{
	struct vs_dose_plan plan;
	vs_dose_work_out(p, o, weight, &plan);
	if (p->no_pump)
		return VS_DOSE_WITHIN;
	bool stays = !p->inpatient; /* limits on a session's dose are for those who go home after it */
	if (beyond(plan.rate_kg.v, l->hard_rate_kg.v) || (stays && beyond(plan.total_kg.v, l->hard_dose_kg.v)))
		return VS_DOSE_ABOVE_HARD;
	if (order_outside(p, o))
		return VS_DOSE_OUTSIDE_PRESET;
	if (weight.v <= 0)
		return VS_DOSE_NO_WEIGHT;
	if (beyond(plan.rate_kg.v, l->soft_rate_kg.v) || (stays && beyond(plan.total_kg.v, l->soft_dose_kg.v)) ||
	    (plan.fixed_rate && beyond(plan.rate.v, l->soft_rate.v)))
		return VS_DOSE_ABOVE_SOFT;
	return VS_DOSE_WITHIN;
}

enum vs_dose_verdict vs_rate_judge(const struct vs_dose_limits *l, struct vs_mg_h rate, struct vs_kg weight)
{
	if (weight.v <= 0)
		return VS_DOSE_NO_WEIGHT;
	struct vs_mg_kg_h per_kg = vs_rate_per_kg(rate, weight);
	if (beyond(per_kg.v, l->hard_rate_kg.v))
		return VS_DOSE_ABOVE_HARD;
	return beyond(per_kg.v, l->soft_rate_kg.v) ? VS_DOSE_ABOVE_SOFT : VS_DOSE_WITHIN;
}

struct text {
	char *buf;
	size_t cap, len;
};

static void say(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct text *t, const char *format, ...)
{
	if (t->len + 1 >= t->cap)
		return;
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(t->buf + t->len, t->cap - t->len, format, ap);
	va_end(ap);
	t->len = n < 0 ? t->len : t->len + (size_t)n < t->cap ? t->len + (size_t)n : t->cap - 1;
}

static void say_time(struct text *t, struct vs_minutes m)
{
	if (m.v >= 120)
		say(t, "%.4g h", m.v / MINUTES_AN_HOUR);
	else
		say(t, "%.3g min", m.v);
}

static void say_rate_per_kg(struct text *t, const struct vs_preset *p, const struct vs_dose_order *o,
	const struct vs_dose_plan *plan, struct vs_kg w)
{
	if (p->dose.v > 0)
		say(t, "%.4g mg at ", p->dose.v);
	say(t, "%.4g mg/kg/h", step_rate(p, o).v);
	if (w.v > 0) {
		say(t, " x %.4g kg = %.4g mg/h", w.v, vs_rate_at_weight(step_rate(p, o), w).v);
		if (plan->capped)
			say(t, ", held at %.4g mg/h", plan->rate.v);
	}
	if (p->dose.v <= 0) {
		say(t, "; over "), say_time(t, plan->over);
		if (plan->total.v > 0)
			say(t, " = %.4g mg", plan->total.v);
		say(t, " = %.4g mg/kg", plan->total_kg.v);
	} else if (w.v > 0) {
		say(t, "; takes "), say_time(t, plan->over);
		say(t, ", %.4g mg/kg", plan->total_kg.v);
	}
}

static void say_dose_per_kg(struct text *t, const struct vs_preset *p, const struct vs_dose_order *o,
	const struct vs_dose_plan *plan, struct vs_kg w)
{
	if (o->dose.v <= 0 && p->dose_low.v < p->dose_high.v)
		say(t, "up to ");
	say(t, "%.4g mg/kg%s", plan->total_kg.v, p->daily ? " a day" : "");
	if (plan->over.v > 0) {
		say(t, " over "), say_time(t, plan->over);
		say(t, " = %.4g mg/kg/h", plan->rate_kg.v);
	}
	if (w.v > 0 && plan->over.v > 0)
		say(t, "; x %.4g kg = %.4g mg/h, %.4g mg", w.v, plan->rate.v, plan->total.v);
	else if (w.v > 0)
		say(t, "; x %.4g kg = %.4g mg", w.v, plan->total.v);
}

static void say_fixed(struct text *t, const struct vs_preset *p, const struct vs_dose_plan *plan, struct vs_kg w)
{
	if (p->dose.v > 0) {
		say(t, "%.4g mg over ", p->dose.v), say_time(t, plan->over);
		say(t, " = %.4g mg/h", plan->rate.v);
	} else {
		say(t, "%s%.4g mg/h; over ", p->rate_highest.v > p->rate.v ? "up to " : "", plan->rate.v);
		say_time(t, plan->over);
		say(t, " = %.4g mg", plan->total.v);
	}
	if (w.v > 0)
		say(t, "; / %.4g kg = %.3g mg/kg/h, %.3g mg/kg", w.v, plan->rate_kg.v, plan->total_kg.v);
}

size_t vs_dose_arithmetic(const struct vs_preset *p, const struct vs_dose_order *o, struct vs_kg weight,
	char *buf, size_t cap)
{
	struct text t = { buf, cap, 0 };
	struct vs_dose_plan plan;
	if (cap == 0)
		return 0;
	buf[0] = '\0';
	vs_dose_work_out(p, o, weight, &plan);
	if (p->no_pump)
		say(&t, "no pump: no rate to check");
	else if (p->n_steps > 0)
		say_rate_per_kg(&t, p, o, &plan, weight);
	else if (p->dose_high.v > 0)
		say_dose_per_kg(&t, p, o, &plan, weight);
	else
		say_fixed(&t, p, &plan, weight);
	if (plan.volume.v > 0)
		say(&t, "; %.4g mL of %.4g mg/mL", plan.volume.v, p->concentration.v);
	if (plan.pump.v > 0)
		say(&t, ", %.4g mL/h", plan.pump.v);
	return t.len;
}
