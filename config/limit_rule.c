#include "config/limit_rule.h"

#include <stdio.h>
#include <string.h>

#include "config/words.h"

#define DAY_MS (24u * 3600 * 1000)
#define DELAY_MOST_MS 600000 /* ten minutes: a longer delay is a switched-off alarm */

static void text(const char *from, char *to, size_t cap)
{
	if (from)
		snprintf(to, cap, "%s", from);
}

static void number(const double *from, double *to)
{
	if (from)
		*to = *from;
}

static uint32_t phase_bits(const int *phases, unsigned n, uint32_t otherwise)
{
	uint32_t bits = 0;
	for (unsigned i = 0; i < n; i++)
		bits |= VS_PHASE_BIT(phases[i]);
	return n ? bits : otherwise;
}

static unsigned names(char *const *from, unsigned n, char to[VS_REFS_MAX][VS_RULE_ID_CAP])
{
	for (unsigned i = 0; i < n && i < VS_REFS_MAX; i++)
		text(from[i], to[i], VS_RULE_ID_CAP);
	return n;
}

/* ---- limits ---- */

/* "130%", "-10", "+15" */
static bool read_baseline(const char *words, struct vs_limit *ret)
{
	if (vs_word_share(words, &ret->value) && ret->value > 0) {
		ret->kind = VS_LIMIT_FACTOR;
		return true;
	}
	ret->kind = VS_LIMIT_OFFSET;
	return (*words == '+' || *words == '-') && vs_word_number(words, &ret->value);
}

static void read_limit(struct vs_yaml *y, const struct raw_limit *raw, vs_place at, struct vs_limit *ret)
{
	struct vs_limit limit = { .value = NAN, .at_least = NAN, .at_most = NAN };
	number(raw->at_least, &limit.at_least);
	number(raw->at_most, &limit.at_most);
	if (raw->value && raw->baseline)
		vs_yaml_find(y, vs_yaml_key(y, at, "baseline"), "a number and a `baseline`; keep one of them");
	if (raw->value)
		limit = vs_limit_plain(*raw->value);
	else if (raw->baseline && !read_baseline(raw->baseline, &limit))
		vs_yaml_find(y, vs_yaml_key(y, at, "baseline"),
			     "`baseline` is \"%s\"; it must be a share like \"130%%\" or a difference like \"-10\" or "
			     "\"+15\"",
			     raw->baseline);
	else if (!raw->baseline && vs_yaml_is_mapping(y, at) && vs_yaml_key(y, at, "baseline") == at &&
		 vs_yaml_key(y, at, "value") == at)
		vs_yaml_find(y, at, "the limit must be a number, or have a `baseline` like \"130%%\"");
	if (raw->value && (raw->at_least || raw->at_most))
		vs_yaml_find(y, at, "`at_least` and `at_most` go with `baseline`; a plain number needs none");
	if (limit.at_least > limit.at_most)
		vs_yaml_find(y, vs_yaml_key(y, at, "at_least"), "`at_least` %g is above `at_most` %g; exchange them",
			     limit.at_least, limit.at_most);
	*ret = limit;
}

static void take_limit(struct vs_yaml *y, const struct raw_limit *raw, const char *key, vs_place in,
		       struct vs_limit *ret)
{
	if (raw)
		read_limit(y, raw, vs_yaml_key(y, in, key), ret);
}

/* ---- steps ---- */

static void read_step(struct vs_yaml *y, const struct raw_step *raw, vs_place at, struct vs_step *ret)
{
	*ret = vs_step_blank();
	ret->to = raw->to ? (enum vs_priority) * raw->to : VS_PRIORITY_NONE;
	ret->phases = phase_bits(raw->phases, raw->phases_count, VS_PHASES_ALL);
	vs_yaml_duration(y, raw->after, "after", at, 0, DAY_MS, &ret->after_ms);
	number(raw->intervals, &ret->intervals);
	ret->count = raw->count ? *raw->count : 0;
	number(raw->at, &ret->at);
	number(raw->forecast, &ret->at);
	ret->n_unless = names(raw->unless, raw->unless_count, ret->unless);
	if (raw->at && raw->forecast)
		vs_yaml_find(y, vs_yaml_key(y, at, "forecast"),
			     "`at` is for thresholds, `forecast` for trends; keep one");
	if (raw->intervals && (*raw->intervals < 0 || *raw->intervals > 10))
		vs_yaml_find(y, vs_yaml_key(y, at, "intervals"), "`intervals` is %g; it must be from 0 to 10",
			     *raw->intervals);
}

static void read_steps(struct vs_yaml *y, const struct raw_step *raw, unsigned n, vs_place list, struct vs_rule *ret)
{
	for (unsigned i = 0; i < VS_STEPS_MAX; i++)
		ret->steps[i] = vs_step_blank();
	for (unsigned i = 0; i < n && i < VS_STEPS_MAX; i++)
		read_step(y, &raw[i], vs_yaml_item(y, list, i), &ret->steps[i]);
	ret->n_steps = n;
}

/* ---- the parts that only some types have ---- */

static void read_drop(struct vs_yaml *y, const struct raw_drop *raw, vs_place at, struct vs_drop *ret)
{
	*ret = (struct vs_drop){ .to_factor = NAN, .at_most = NAN, .clear_factor = NAN };
	vs_yaml_share(y, raw->to, "to", at, &ret->to_factor);
	vs_yaml_share(y, raw->clear, "clear", at, &ret->clear_factor);
	number(raw->at_most, &ret->at_most);
	vs_yaml_duration(y, raw->from, "from", at, 1000, 180000, &ret->from_ms);
	vs_yaml_duration(y, raw->until, "until", at, 0, 180000, &ret->until_ms);
	if (raw->from && raw->until && ret->from_ms <= ret->until_ms)
		vs_yaml_find(y, vs_yaml_key(y, at, "until"),
			     "`until` must be shorter than `from`: the reference lies between");
	if (ret->clear_factor < ret->to_factor)
		vs_yaml_find(y, vs_yaml_key(y, at, "clear"),
			     "`clear` must not be below `to`: it would be over at once");
}

static void read_fall(struct vs_yaml *y, const struct raw_fall *raw, vs_place at, struct vs_fall_after *ret)
{
	*ret = (struct vs_fall_after){ .below = NAN, .to_factor = NAN };
	text(raw->rule, ret->rule, sizeof ret->rule);
	vs_yaml_duration(y, raw->within, "within", at, 1000, DAY_MS, &ret->within_ms);
	number(raw->below, &ret->below);
	vs_yaml_share(y, raw->to, "to", at, &ret->to_factor);
	if (vs_yaml_key(y, at, "below") == at && vs_yaml_key(y, at, "to") == at)
		vs_yaml_find(y, at, "neither `below` nor `to`; say how far the reading must have fallen");
}

static void read_points(struct vs_yaml *y, const struct raw_trend *raw, vs_place at, bool cuff, struct vs_trend *ret)
{
	unsigned most = cuff ? 8 : 18;
	if (raw->points_count != 2)
		return;
	double least = raw->points[0], newest = raw->points[1];
	ret->points_min = least >= 2 && least <= most ? (unsigned)least : 2;
	ret->points_max = newest >= 2 && newest <= most ? (unsigned)newest : most;
	if (least < 2 || newest > most || least > newest || least != ret->points_min || newest != ret->points_max)
		vs_yaml_find(y, vs_yaml_key(y, at, "points"),
			     "`points` must be [at least, newest at most], whole numbers from 2 to %u", most);
}

static void read_trend(struct vs_yaml *y, const struct raw_trend *raw, vs_place at, bool cuff, struct vs_trend *ret)
{
	*ret = vs_rule_blank().trend;
	vs_yaml_duration(y, raw->window, "window", at, 1000, DAY_MS, &ret->window_ms);
	vs_yaml_duration(y, raw->span, "span", at, 0, DAY_MS, &ret->span_ms);
	vs_yaml_duration(y, raw->pair_gap, "pair_gap", at, 0, DAY_MS, &ret->pair_gap_ms);
	vs_yaml_duration(y, raw->block, "block", at, 1000, 600000, &ret->block_ms);
	vs_yaml_duration(y, raw->forecast, "forecast", at, 0, DAY_MS, &ret->forecast_ms);
	vs_yaml_duration(y, raw->suspend, "suspend", at, 0, DAY_MS, &ret->suspend_ms);
	vs_yaml_duration(y, raw->interval, "interval", at, 30000, DAY_MS, &ret->interval_ms);
	read_points(y, raw, at, cuff, ret);
	ret->block_min = raw->block_min ? *raw->block_min : 0;
	ret->consecutive = raw->consecutive ? *raw->consecutive : 1;
	ret->forecast_counts = raw->forecast_in_a_row && *raw->forecast_in_a_row;
	number(raw->slope, &ret->slope);
	number(raw->slope_clear, &ret->slope_clear);
	number(raw->slope_cap, &ret->slope_cap);
	number(raw->concordance, &ret->concordance);
	number(raw->rise, &ret->rise);
	number(raw->suspend_intervals, &ret->suspend_intervals);
	take_limit(y, raw->level, "level", at, &ret->level);
	ret->n_ends_with = names(raw->ends_with, raw->ends_with_count, ret->ends_with);
	if (!cuff && vs_yaml_key(y, at, "block") == at)
		vs_yaml_find(y, at, "`block` is missing; the trend of a signal is taken over blocks, like 10s");
	if (!cuff && vs_yaml_key(y, at, "block_min") == at)
		vs_yaml_find(y, at, "`block_min` is missing; it must be a whole number of samples");
}

static void read_drift(struct vs_yaml *y, const struct raw_drift *raw, vs_place at, struct vs_drift *ret)
{
	*ret = vs_rule_blank().drift;
	vs_yaml_duration(y, raw->block, "block", at, 1000, 600000, &ret->block_ms);
	ret->block_min = raw->block_min ? *raw->block_min : 1;
	number(raw->weight, &ret->weight);
	number(raw->scale_least, &ret->scale_least);
	number(raw->allowance, &ret->allowance);
	number(raw->fire, &ret->fire);
	vs_yaml_share(y, raw->departure, "departure", at, &ret->departure);
	if (raw->weight && !(*raw->weight > 0 && *raw->weight <= 1))
		vs_yaml_find(y, vs_yaml_key(y, at, "weight"), "`weight` is %g; it must be above 0 and at most 1",
			     *raw->weight);
	if (raw->scale_least && !(*raw->scale_least > 0))
		vs_yaml_find(y, vs_yaml_key(y, at, "scale_least"), "`scale_least` is %g; it must be above 0",
			     *raw->scale_least);
}

static void read_band(struct vs_yaml *y, const struct raw_band *raw, vs_place at, struct vs_band *ret)
{
	*ret = vs_rule_blank().band;
	number(raw->rise, &ret->rise);
	number(raw->spread_start, &ret->spread_start);
	number(raw->spread_rise, &ret->spread_rise);
	number(raw->z, &ret->z);
	vs_yaml_duration(y, raw->full, "full", at, 1000, DAY_MS, &ret->full_ms);
}

static void read_parts(struct vs_yaml *y, const struct raw_rule *raw, vs_place at, struct vs_rule *ret)
{
	if (raw->drop)
		read_drop(y, raw->drop, vs_yaml_key(y, at, "drop"), &ret->drop);
	if (raw->fall)
		read_fall(y, raw->fall, vs_yaml_key(y, at, "fall"), &ret->fall);
	if (raw->trend)
		read_trend(y, raw->trend, vs_yaml_key(y, at, "trend"), vs_metric_is_nibp(ret->metric), &ret->trend);
	if (raw->drift)
		read_drift(y, raw->drift, vs_yaml_key(y, at, "drift"), &ret->drift);
	if (raw->band)
		read_band(y, raw->band, vs_yaml_key(y, at, "band"), &ret->band);
}

/* ---- a rule ---- */

static void read_words(const struct raw_rule *raw, struct vs_rule *ret)
{
	if (raw->type)
		ret->type = (enum vs_rule_type) * raw->type;
	if (raw->metric)
		ret->metric = (enum vs_metric) * raw->metric;
	if (raw->when)
		ret->when = (enum vs_when) * raw->when;
	if (raw->priority)
		ret->priority = (enum vs_priority) * raw->priority;
	if (raw->jump_priority)
		ret->jump_priority = (enum vs_priority) * raw->jump_priority;
	if (raw->latch)
		ret->latch = (enum vs_latch) * raw->latch;
	if (raw->fault)
		ret->fault = (enum vs_fault) * raw->fault;
	if (raw->enabled)
		ret->enabled = *raw->enabled;
	if (raw->log_only)
		ret->log_only = *raw->log_only;
	if (raw->promote)
		ret->promote = *raw->promote;
	if (raw->confirm)
		ret->confirm = *raw->confirm;
	if (raw->request)
		text(*raw->request ? "nibp-repeat" : "nibp-now", ret->request, sizeof ret->request);
	ret->phases = phase_bits(raw->phases, raw->phases_count, ret->phases);
	text(raw->text, ret->text, sizeof ret->text);
	text(raw->advice, ret->advice, sizeof ret->advice);
}

static void read_clearing(struct vs_yaml *y, const struct raw_rule *raw, vs_place at, struct vs_rule *ret)
{
	vs_yaml_duration(y, raw->on_delay, "on_delay", at, 0, DELAY_MOST_MS, &ret->on_delay_ms);
	vs_yaml_duration(y, raw->off_delay, "off_delay", at, 0, DELAY_MOST_MS, &ret->off_delay_ms);
	vs_yaml_duration(y, raw->cuff_arm, "cuff_arm", at, 0, DELAY_MOST_MS, &ret->cuff_arm_ms);
	if (raw->hysteresis && raw->clear)
		vs_yaml_find(y, vs_yaml_key(y, at, "clear"), "`clear` beside `hysteresis`; keep one of them");
	if (raw->hysteresis || raw->clear)
		ret->hysteresis = ret->clear = NAN; /* the one that is given takes the place of an inherited other */
	number(raw->hysteresis, &ret->hysteresis);
	number(raw->clear, &ret->clear);
	if (raw->hysteresis && *raw->hysteresis < 0)
		vs_yaml_find(y, vs_yaml_key(y, at, "hysteresis"), "`hysteresis` is %g; it must not be negative",
			     *raw->hysteresis);
}

/* "Systolic pressure {value}, limit {limit}" */
static void check_text(struct vs_yaml *y, const char *words, const char *key, vs_place at)
{
	static const char *const known[] = { "{value}", "{limit}", "{device}" };
	for (const char *p = words ? strchr(words, '{') : NULL; p; p = strchr(p + 1, '{')) {
		bool ok = false;
		for (unsigned i = 0; i < 3; i++)
			ok = ok || !strncmp(p, known[i], strlen(known[i]));
		if (!ok) {
			vs_yaml_find(y, vs_yaml_key(y, at, key),
				     "`%s` has \"%.20s\" in it; only {value}, {limit} and {device} are filled in", key,
				     p);
			return;
		}
	}
}

void vs_rule_read(struct vs_yaml *y, const struct raw_rule *raw, vs_place at, struct vs_rule *ret)
{
	text(raw->id, ret->id, sizeof ret->id);
	read_words(raw, ret);
	take_limit(y, raw->limit, "limit", at, &ret->limit);
	if (raw->low_baseline) {
		vs_place low = vs_yaml_key(y, at, "low_baseline");
		number(raw->low_baseline->below, &ret->low_baseline);
		take_limit(y, raw->low_baseline->limit, "limit", low, &ret->low_limit);
	}
	read_clearing(y, raw, at, ret);
	if (raw->quiet) {
		ret->quiet_phase = raw->quiet->phase ? (enum vs_phase) * raw->quiet->phase : VS_PHASE_NONE;
		vs_yaml_duration(y, raw->quiet->period, "for", vs_yaml_key(y, at, "quiet"), 0, DAY_MS, &ret->quiet_ms);
	}
	if (raw->escalate && raw->steps)
		vs_yaml_find(y, vs_yaml_key(y, at, "steps"), "`steps` beside `escalate`; keep one of them");
	if (raw->escalate)
		read_steps(y, raw->escalate, raw->escalate_count, vs_yaml_key(y, at, "escalate"), ret);
	else if (raw->steps)
		read_steps(y, raw->steps, raw->steps_count, vs_yaml_key(y, at, "steps"), ret);
	read_parts(y, raw, at, ret);
	check_text(y, raw->text, "text", at);
	check_text(y, raw->advice, "advice", at);
}

/* ---- which keys belong to which type ---- */

#define T(type) (1u << VS_RULE_##type)
#define NIBP_TYPES (T(NIBP_OVERDUE) | T(NIBP_FAIL) | T(NIBP_UNCONFIRMED))
#define STEPPED (T(SIGNAL_LOSS) | T(DEVICE_OFFLINE) | T(NIBP_OVERDUE) | T(NIBP_FAIL) | T(FAULT) | T(TREND))
#define MEASURED (T(THRESHOLD) | T(DROP) | T(FALL_AFTER) | T(SIGNAL_LOSS) | T(TREND) | T(DRIFT) | T(BAND))

static const struct {
	const char *key;
	uint32_t may, must; /* have it */
	const char *like;
} keys[] = {
	{ "metric", MEASURED | NIBP_TYPES, MEASURED, "metric: nibp_sys" },
	{ "when", T(THRESHOLD) | T(DROP) | T(FALL_AFTER) | T(TREND) | T(BAND) | T(DRIFT), T(THRESHOLD) | T(TREND),
	  "when: above" },
	{ "limit", T(THRESHOLD) | T(FAULT), T(THRESHOLD), "limit: 160" },
	{ "low_baseline", T(THRESHOLD), 0, "" },
	{ "priority", T(THRESHOLD) | T(DROP) | T(FALL_AFTER) | T(NIBP_UNCONFIRMED) | T(DRIFT) | T(BAND),
	  T(THRESHOLD) | T(DROP) | T(FALL_AFTER) | T(NIBP_UNCONFIRMED), "priority: medium" },
	{ "jump_priority", T(NIBP_UNCONFIRMED), 0, "" },
	{ "confirm", T(THRESHOLD), 0, "" },
	{ "promote", T(THRESHOLD), 0, "" },
	{ "on_delay", T(THRESHOLD) | T(DROP), 0, "" },
	{ "off_delay", T(THRESHOLD) | T(DROP) | T(FAULT), 0, "" },
	{ "hysteresis", T(THRESHOLD), 0, "" },
	{ "clear", T(THRESHOLD), 0, "" },
	{ "escalate", T(THRESHOLD), 0, "" },
	{ "steps", STEPPED, STEPPED, "steps: [ { to: low, after: 15s } ]" },
	{ "fault", T(FAULT), T(FAULT), "fault: log" },
	{ "cuff_arm", T(SIGNAL_LOSS), 0, "" },
	{ "drop", T(DROP), T(DROP), "drop: { to: \"75%\", clear: \"85%\", from: 180s, until: 60s }" },
	{ "fall", T(FALL_AFTER), T(FALL_AFTER), "fall: { rule: hr-drop, within: 120s, below: 100 }" },
	{ "trend", T(TREND), T(TREND), "trend: { window: 20min, ... }" },
	{ "drift", T(DRIFT), T(DRIFT), "drift: { block: 10s, ... }" },
	{ "band", T(BAND), T(BAND), "band: { rise: 16, ... }" },
};

/* Is it there, given here or inherited? */
static bool has(const struct vs_rule *r, const char *key)
{
	if (!strcmp(key, "metric"))
		return r->metric != VS_METRIC_NONE;
	if (!strcmp(key, "when"))
		return r->when != VS_WHEN_NONE;
	if (!strcmp(key, "limit"))
		return r->limit.kind != VS_LIMIT_NONE;
	if (!strcmp(key, "priority"))
		return r->priority != VS_PRIORITY_NONE;
	if (!strcmp(key, "steps"))
		return r->n_steps;
	if (!strcmp(key, "drop"))
		return r->drop.from_ms;
	if (!strcmp(key, "fall"))
		return *r->fall.rule;
	if (!strcmp(key, "trend"))
		return r->trend.window_ms;
	if (!strcmp(key, "drift"))
		return r->drift.block_ms;
	return strcmp(key, "band") || r->band.full_ms;
}

static void check_keys(struct vs_yaml *y, vs_place at, const struct vs_rule *r)
{
	const char *type = vs_rule_type_name(r->type);
	for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++) {
		vs_place value = vs_yaml_key(y, at, keys[i].key);
		bool given = value != at, fault = r->type == VS_RULE_FAULT && !strcmp(keys[i].key, "fault");
		if (given && !(keys[i].may & 1u << r->type))
			vs_yaml_find(y, value, "`%s` means nothing to a rule of type %s: remove it", keys[i].key, type);
		else if (!given && keys[i].must & 1u << r->type && !fault && !has(r, keys[i].key))
			vs_yaml_find(y, at, "`%s` is missing; a rule of type %s needs it, like `%s`", keys[i].key, type,
				     keys[i].like);
	}
}

/* ---- sound numbers ---- */

static bool upward(enum vs_when w)
{
	return w == VS_WHEN_GE || w == VS_WHEN_GT || w == VS_WHEN_RISING;
}

/* One number that a limit can become. */
static void check_bound(struct vs_yaml *y, vs_place at, const struct vs_rule *r, double v, const char *what,
			const struct vs_outer_bounds *bounds)
{
	const struct vs_metric_info *m = &vs_metrics[r->metric];
	double high = bounds->at[r->metric].high, low = bounds->at[r->metric].low;
	if (upward(r->when) ? v > high : v < low)
		vs_yaml_find(y, at, "%s %g of %s is looser than any set may be; it must be %s %g", what, v, m->name,
			     upward(r->when) ? "at most" : "at least", upward(r->when) ? high : low);
	else if (v < m->lowest || v > m->highest)
		vs_yaml_find(y, at, "%s %g of %s can never be measured; it must be from %g to %g", what, v, m->name,
			     m->lowest, m->highest);
}

static void check_limit(struct vs_yaml *y, vs_place at, const struct vs_rule *r, const struct vs_limit *l,
			const struct vs_outer_bounds *bounds)
{
	if (l->kind == VS_LIMIT_PLAIN)
		check_bound(y, at, r, l->value, "limit", bounds);
	check_bound(y, vs_yaml_key(y, at, "at_least"), r, l->at_least, "`at_least`", bounds);
	check_bound(y, vs_yaml_key(y, at, "at_most"), r, l->at_most, "`at_most`", bounds);
}

/* Cleared on the wrong side, an alarm would be over while its condition holds. */
static void check_clear(struct vs_yaml *y, vs_place at, const struct vs_rule *r)
{
	bool up = upward(r->when);
	double limit = r->limit.kind == VS_LIMIT_PLAIN ? r->limit.value : up ? r->limit.at_least : r->limit.at_most;
	if (up ? r->clear > limit : r->clear < limit)
		vs_yaml_find(y, vs_yaml_key(y, at, "clear"),
			     "`clear` %g lies beyond the limit %g; the alarm is over on the safe side, %s it", r->clear,
			     limit, up ? "below" : "above");
}

static void check_threshold(struct vs_yaml *y, vs_place at, const struct vs_rule *r,
			    const struct vs_outer_bounds *bounds)
{
	vs_place low = vs_yaml_key(y, at, "low_baseline");
	if (r->metric == VS_METRIC_NONE || r->when == VS_WHEN_NONE)
		return;
	if (r->when == VS_WHEN_RISING || r->when == VS_WHEN_FALLING)
		vs_yaml_find(
			y, vs_yaml_key(y, at, "when"),
			"`rising` and `falling` are for `type: trend`; a threshold is above, below, >=, >, <= or <");
	check_limit(y, vs_yaml_key(y, at, "limit"), r, &r->limit, bounds);
	if (low != at)
		check_limit(y, vs_yaml_key(y, low, "limit"), r, &r->low_limit, bounds);
	check_clear(y, at, r);
}

static void check_steps(struct vs_yaml *y, vs_place at, const struct vs_rule *r)
{
	vs_place list = vs_yaml_key(y, at, r->type == VS_RULE_THRESHOLD ? "escalate" : "steps");
	for (unsigned i = 0; i < r->n_steps && list != at; i++) {
		vs_place step = vs_yaml_item(y, list, i);
		if (r->type == VS_RULE_THRESHOLD && r->steps[i].to && r->steps[i].to <= r->priority)
			vs_yaml_find(y, vs_yaml_key(y, step, "to"),
				     "`to: %s` is no escalation of a rule that is %s already",
				     vs_priority_name(r->steps[i].to), vs_priority_name(r->priority));
		if (r->type == VS_RULE_THRESHOLD && !r->steps[i].after_ms && isnan(r->steps[i].at) &&
		    vs_yaml_key(y, step, "after") == step && vs_yaml_key(y, step, "at") == step)
			vs_yaml_find(y, step, "neither `after` nor `at`; say what makes it %s",
				     vs_priority_name(r->steps[i].to));
		if (r->type == VS_RULE_TREND && vs_yaml_key(y, step, "forecast") == step)
			vs_yaml_find(y, step, "`forecast` is missing; it is the value that the forecast must reach");
		if (r->type == VS_RULE_NIBP_FAIL && vs_yaml_key(y, step, "count") == step)
			vs_yaml_find(y, step, "`count` is missing; it is the number of failed attempts in a row");
	}
}

static void check_trend(struct vs_yaml *y, vs_place at, const struct vs_rule *r)
{
	vs_place trend = vs_yaml_key(y, at, "trend");
	bool up = r->when == VS_WHEN_RISING;
	if (r->when != VS_WHEN_RISING && r->when != VS_WHEN_FALLING) {
		if (r->when != VS_WHEN_NONE)
			vs_yaml_find(y, vs_yaml_key(y, at, "when"), "a trend is `rising` or `falling`");
		return;
	}
	if (up ? r->trend.slope <= 0 : r->trend.slope >= 0)
		vs_yaml_find(y, vs_yaml_key(y, trend, "slope"), "`slope` is %g; of a trend that is %s it must be %s 0",
			     r->trend.slope, up ? "rising" : "falling", up ? "above" : "below");
}

void vs_rule_check(struct vs_yaml *y, vs_place at, const struct vs_rule *r, const struct vs_outer_bounds *bounds)
{
	check_keys(y, at, r);
	if (r->type == VS_RULE_THRESHOLD)
		check_threshold(y, at, r, bounds);
	if (r->type == VS_RULE_TREND)
		check_trend(y, at, r);
	check_steps(y, at, r);
	if ((r->type == VS_RULE_DRIFT || r->type == VS_RULE_BAND) && !r->log_only)
		vs_yaml_find(y, vs_yaml_key(y, at, "log_only"),
			     "a rule of type %s is for the log alone; write `log_only: true`",
			     vs_rule_type_name(r->type));
	if (r->type == VS_RULE_DEVICE_OFFLINE && r->log_only)
		vs_yaml_find(y, vs_yaml_key(y, at, "log_only"),
			     "a silent device takes the place of the alarms of its signals, so it cannot be for the log alone; "
			     "write `enabled: false` to be told of each signal instead");
}

/* ---- rules that name rules ---- */

void vs_rule_check_name(struct vs_yaml *y, vs_place at, const char *key, const char *name,
			const struct vs_limit_set *set)
{
	const char *ids[VS_RULES_MAX + 1] = { 0 }, *near;
	if (!*name || vs_rule_find(set, name))
		return;
	for (unsigned i = 0; i < set->n_rules; i++)
		ids[i] = set->rules[i].id;
	near = vs_nearest(name, ids);
	vs_yaml_find(y, at, "`%s` names rule \"%s\", which this set does not have%s%s%s", key, name,
		     near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

void vs_rule_check_names(struct vs_yaml *y, vs_place at, const struct vs_rule *r, const struct vs_limit_set *set)
{
	vs_place trend = vs_yaml_key(y, at, "trend"), steps = vs_yaml_key(y, at, "steps");
	vs_rule_check_name(y, vs_yaml_key(y, vs_yaml_key(y, at, "fall"), "rule"), "rule", r->fall.rule, set);
	for (unsigned i = 0; i < r->trend.n_ends_with; i++)
		vs_rule_check_name(y, vs_yaml_item(y, vs_yaml_key(y, trend, "ends_with"), i), "ends_with",
				   r->trend.ends_with[i], set);
	for (unsigned i = 0; i < r->n_steps; i++) {
		vs_place unless = vs_yaml_key(y, vs_yaml_item(y, steps, i), "unless");
		for (unsigned k = 0; k < r->steps[i].n_unless; k++)
			vs_rule_check_name(y, vs_yaml_item(y, unless, k), "unless", r->steps[i].unless[k], set);
	}
}
