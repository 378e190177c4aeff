/* Trends: slopes that one bad reading cannot make, and what they lead to (clinical tables E1 to E4). */
#include "alarms/trend.h"

#include <string.h>

#include "alarms/inside.h"

bool vs_theil_sen(const double *t_min, const double *y, unsigned n, double gap_min, bool rising, struct vs_slope *ret)
{
	double slopes[VS_POINTS_MAX * (VS_POINTS_MAX - 1) / 2], levels[VS_POINTS_MAX];
	unsigned pairs = 0, along = 0;
	if (n > VS_POINTS_MAX)
		return false;
	for (unsigned j = 1; j < n; j++)
		for (unsigned i = 0; i < j; i++) {
			double dt = t_min[j] - t_min[i];
			if (dt < gap_min || dt <= 0)
				continue;
			slopes[pairs++] = (y[j] - y[i]) / dt;
			along += rising ? y[j] > y[i] : y[j] < y[i];
		}
	if (!pairs)
		return false;
	ret->slope = vs_median(slopes, pairs);
	ret->concordance = (double)along / pairs;
	for (unsigned i = 0; i < n; i++)
		levels[i] = y[i] - ret->slope * (t_min[i] - t_min[n - 1]);
	ret->level = vs_median(levels, n);
	return true;
}

bool vs_repeated_median(const double *t_min, const double *y, unsigned n, struct vs_slope *ret)
{
	double outer[VS_POINTS_MAX], inner[VS_POINTS_MAX];
	if (n < 2 || n > VS_POINTS_MAX)
		return false;
	for (unsigned i = 0; i < n; i++) {
		unsigned k = 0;
		for (unsigned j = 0; j < n; j++)
			if (j != i)
				inner[k++] = (y[j] - y[i]) / (t_min[j] - t_min[i]);
		outer[i] = vs_median(inner, k);
	}
	ret->slope = vs_median(outer, n);
	ret->concordance = 1;
	for (unsigned i = 0; i < n; i++)
		outer[i] = y[i] - ret->slope * (t_min[i] - t_min[n - 1]);
	ret->level = vs_median(outer, n);
	return true;
}

/* ---- from a slope to an alarm ------------------------------------------------------------------------------------ */

static double steep(const struct vs_rule *r, double slope)
{
	return r->when == VS_WHEN_FALLING ? -slope : slope;
}

static double forecast(const struct vs_rule *r, const struct vs_slope *s)
{
	double slope = s->slope;
	if (steep(r, slope) > steep(r, r->trend.slope_cap)) /* no cap: NAN, false */
		slope = r->trend.slope_cap;
	return s->level + slope * r->trend.forecast_ms / 60000.0;
}

static bool stopped_by(const struct vs_engine *e, const char ids[][VS_RULE_ID_CAP], unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (vs_rule_active(e, ids[i]))
			return true;
	return false;
}

/* The step that the forecast reaches, the gravest; NULL: none. */
static const struct vs_step *step_reached(const struct vs_engine *e, const struct vs_rule *r, double f, bool heed_unless)
{
	const struct vs_step *found = NULL;
	for (unsigned i = 0; i < r->n_steps; i++) {
		const struct vs_step *s = &r->steps[i];
		if ((s->phases & VS_PHASE_BIT(e->phase)) && vs_when_holds(r->when, f, s->at) &&
		    !(heed_unless && stopped_by(e, s->unless, s->n_unless)) && (!found || s->to > found->to))
			found = s;
	}
	return found;
}

static bool is_trend(const struct vs_rule *r, const struct vs_slope *s, double span_min, double level_limit)
{
	return steep(r, s->slope) >= steep(r, r->trend.slope) && !(s->concordance < r->trend.concordance) &&
		!(steep(r, s->slope) * span_min < r->trend.rise) && vs_when_holds(r->when, s->level, level_limit);
}

static void judge_trend(struct vs_turn *t, unsigned i, const struct vs_slope *s, double span_min, unsigned device,
	enum vs_metric source)
{
	struct vs_engine *e = t->e;
	const struct vs_rule *r = &e->set->rules[i];
	struct vs_rule_state *rs = &e->rules[i];
	double f = forecast(r, s);
	if (rs->holds && steep(r, s->slope) < steep(r, r->trend.slope_clear)) {
		vs_finish(t, i);
		return;
	}
	if (!is_trend(r, s, span_min, rs->limit) || (r->trend.forecast_counts && !step_reached(e, r, f, false))) {
		rs->count = 0;
		return;
	}
	if (rs->count < 255)
		rs->count++;
	const struct vs_step *step = step_reached(e, r, f, true);
	if (rs->count < r->trend.consecutive || !step || stopped_by(e, r->trend.ends_with, r->trend.n_ends_with))
		return;
	struct vs_standing *a = vs_standing_of(e, i);
	if (rs->holds) {
		if (a)
			a->latest = f;
		if (a && step->to > a->priority) {
			a->limit = step->at;
			vs_rank(t, a, step->to);
		}
		return;
	}
	const struct vs_found found = { .priority = step->to, .value = f, .limit = step->at, .device = (uint8_t)device,
		.source = (uint8_t)source };
	vs_begin(t, i, &found);
}

/* Over as soon as the limit itself is violated. */
void vs_trend_ends(struct vs_turn *t)
{
	for (uint64_t left = t->e->watch.trend; left; left &= left - 1) {
		unsigned i = vs_first(left);
		const struct vs_rule *r = &t->e->set->rules[i];
		if (t->e->rules[i].holds &&
		    stopped_by(t->e, r->trend.ends_with, r->trend.n_ends_with))
			vs_finish(t, i);
	}
}

/* ---- cuff -------------------------------------------------------------------------------------------------------- */

static unsigned cuff_points(const struct vs_engine *e, const struct vs_rule *r, uint64_t now, double *t_min, double *y)
{
	double tt[VS_POINTS_MAX], yy[VS_POINTS_MAX];
	unsigned n = 0, most = r->trend.points_max < VS_POINTS_MAX ? r->trend.points_max : VS_POINTS_MAX;
	for (unsigned i = e->n_cuffs; i > 0 && n < most; i--) {
		const struct vs_cuff *c = &e->cuffs[i - 1];
		double v = vs_cuff_value(c, r->metric);
		if (now - c->at_ms > r->trend.window_ms || c->at_ms < e->trend_cuff_ms)
			break;
		if (isnan(v))
			continue;
		tt[n] = -(double)(now - c->at_ms) / 60000.0;
		yy[n++] = v;
	}
	for (unsigned i = 0; i < n; i++) {
		t_min[i] = tt[n - 1 - i];
		y[i] = yy[n - 1 - i];
	}
	return n;
}

void vs_trend_cuff(struct vs_turn *t, const struct vs_cuff *c)
{
	struct vs_engine *e = t->e;
	for (unsigned i = 0; i < e->set->n_rules; i++) {
		const struct vs_rule *r = &e->set->rules[i];
		double t_min[VS_POINTS_MAX], y[VS_POINTS_MAX];
		struct vs_slope s;
		if (r->type != VS_RULE_TREND || isnan(vs_cuff_value(c, r->metric)) || !vs_rule_watches(e, r) ||
		    vs_channel_of(e, r->metric) < VS_CH_COUNT)
			continue;
		unsigned n = cuff_points(e, r, c->at_ms, t_min, y);
		double span = n ? t_min[n - 1] - t_min[0] : 0;
		if (n >= r->trend.points_min && span * 60000.0 >= r->trend.span_ms &&
		    vs_theil_sen(t_min, y, n, r->trend.pair_gap_ms / 60000.0, r->when == VS_WHEN_RISING, &s))
			judge_trend(t, i, &s, span, c->device, r->metric);
	}
}

void vs_trend_reset(struct vs_engine *e, bool probe, bool cuff, uint64_t at)
{
	if (cuff)
		e->trend_cuff_ms = at;
	if (!probe)
		return;
	e->trend_probe_ms = at;
	for (unsigned ch = VS_CH_PR; ch <= VS_CH_SPO2; ch++)
		for (unsigned i = 0; i < VS_BLOCKS; i++)
			e->track[ch].blocks[i] = NAN;
	for (unsigned i = 0; i < e->set->n_rules; i++) {
		enum vs_channel ch = vs_channel_of(e, e->set->rules[i].metric);
		if (e->set->rules[i].type == VS_RULE_TREND && ch >= VS_CH_PR && ch <= VS_CH_SPO2 && !e->rules[i].holds)
			e->rules[i].count = 0;
	}
}

/* ---- signals ----------------------------------------------------------------------------------------------------- */

/* EWMA-CUSUM on the medians; starts at the baseline, with the spread of the medians there. */
static void drift(struct vs_turn *t, unsigned i, unsigned which, const struct vs_track *tr, double x)
{
	struct vs_engine *e = t->e;
	const struct vs_rule *r = &e->set->rules[i];
	double baseline = vs_engine_baseline(e, r->metric);
	if (isnan(baseline) || isnan(x))
		return;
	if (isnan(e->drifts[which].mean)) {
		double v[VS_BLOCKS];
		unsigned n = 0;
		for (unsigned k = 0; k < VS_BLOCKS; k++)
			if (!isnan(tr->blocks[k]))
				v[n++] = tr->blocks[k];
		double centre = n ? vs_median(v, n) : x;
		for (unsigned k = 0; k < n; k++)
			v[k] = fabs(v[k] - centre);
		double spread = n ? 1.4826 * vs_median(v, n) : 0; /* of a normal distribution, from the MAD */
		e->drifts[which].mean = baseline;
		e->drifts[which].scale = spread > r->drift.scale_least ? spread : r->drift.scale_least;
		e->drifts[which].up = e->drifts[which].down = 0;
	}
	double z = (x - e->drifts[which].mean) / e->drifts[which].scale;
	e->drifts[which].mean += r->drift.weight * (x - e->drifts[which].mean);
	e->drifts[which].up = fmax(0, e->drifts[which].up + z - r->drift.allowance);
	e->drifts[which].down = fmax(0, e->drifts[which].down - z - r->drift.allowance);
	bool away = fabs(x - baseline) >= r->drift.departure * baseline;
	e->rules[i].holds = e->rules[i].holds && away; /* one note while it stays away */
	if ((e->drifts[which].up < r->drift.fire && e->drifts[which].down < r->drift.fire) || !away)
		return;
	e->drifts[which].up = e->drifts[which].down = 0;
	if (e->rules[i].holds)
		return;
	e->rules[i].holds = true;
	vs_request(t, "note", r->id, t->at, "%s drifts: %.0f, baseline %.0f", vs_metrics[r->metric].name, x, baseline);
}

static unsigned block_points(const struct vs_rule *r, const struct vs_track *tr, double *t_min, double *y,
	uint64_t *newest)
{
	unsigned most = r->trend.points_max < VS_BLOCKS ? r->trend.points_max : VS_BLOCKS, n = 0;
	for (unsigned back = most; back >= 1; back--) {
		if (tr->block < back)
			continue;
		uint64_t b = tr->block - back;
		double v = tr->blocks[b % VS_BLOCKS];
		if (isnan(v))
			continue;
		t_min[n] = -(double)(back - 1) * tr->block_ms / 60000.0;
		y[n++] = v;
		*newest = b;
	}
	return n;
}

static void judge_blocks(struct vs_turn *t, enum vs_channel ch)
{
	struct vs_engine *e = t->e;
	struct vs_track *tr = &e->track[ch];
	for (uint64_t left = e->watch.trend | e->watch.drift; left; left &= left - 1) {
		unsigned i = vs_first(left);
		const struct vs_rule *r = &e->set->rules[i];
		double t_min[VS_POINTS_MAX], y[VS_POINTS_MAX];
		struct vs_slope s;
		uint64_t newest = 0;
		unsigned which = 0;
		if (vs_channel_of(e, r->metric) != ch)
			continue;
		for (unsigned k = 0; k < i; k++)
			which += e->set->rules[k].type == VS_RULE_DRIFT;
		if (r->type == VS_RULE_DRIFT && which < VS_DRIFTS)
			drift(t, i, which, tr, tr->blocks[(tr->block - 1) % VS_BLOCKS]);
		if (r->type != VS_RULE_TREND)
			continue;
		unsigned n = block_points(r, tr, t_min, y, &newest);
		if (n < r->trend.points_min || n < 2 || t->at - (newest + 1) * tr->block_ms > r->trend.suspend_ms)
			continue; /* suspended */
		if (vs_repeated_median(t_min, y, n, &s))
			judge_trend(t, i, &s, -t_min[0], tr->device,
				ch == VS_CH_PR ? VS_PR : r->metric);
	}
}

/* since_ms: what was measured before is of another window. */
static double block_median(const struct vs_track *tr, uint64_t block, uint64_t since_ms)
{
	double v[VS_SAMPLES];
	unsigned n = 0;
	uint64_t from = block * tr->block_ms, until = from + tr->block_ms;
	if (since_ms > from)
		from = since_ms < until ? since_ms : until;
	for (unsigned i = 0; i < tr->len; i++)
		if (tr->at[i] - (uint32_t)from < (uint32_t)(until - from))
			v[n++] = tr->value[i];
	return n >= tr->block_min && n ? vs_median(v, n) : NAN;
}

/* Closes the blocks that are over; called before the first sample of a new one is kept, and while time passes. */
void vs_block_finish(struct vs_turn *t, enum vs_channel ch)
{
	struct vs_track *tr = &t->e->track[ch];
	if (!tr->block_ms)
		return;
	uint64_t now = t->at / tr->block_ms;
	if (now <= tr->block)
		return;
	if (now - tr->block > VS_BLOCKS) {
		for (unsigned i = 0; i < VS_BLOCKS; i++)
			tr->blocks[i] = NAN;
	} else {
		bool probe = ch == VS_CH_PR || ch == VS_CH_SPO2;
		tr->blocks[tr->block % VS_BLOCKS] = block_median(tr, tr->block, probe ? t->e->trend_probe_ms : 0);
		for (uint64_t b = tr->block + 1; b < now; b++)
			tr->blocks[b % VS_BLOCKS] = NAN;
	}
	tr->block = now;
	tr->block_done = true;
}

void vs_trend_signals(struct vs_turn *t)
{
	struct vs_engine *e = t->e;
	for (unsigned ch = 0; ch < VS_CH_COUNT; ch++) {
		if (e->track[ch].valid_ms)
			vs_block_finish(t, ch);
		if (!e->track[ch].block_done)
			continue;
		e->track[ch].block_done = false;
		judge_blocks(t, ch);
	}
}
