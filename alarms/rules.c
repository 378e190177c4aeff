#include "alarms/rules.h"

#include <string.h>

static unsigned word_index(const char *const *words, unsigned n, const char *name, size_t len)
{
	unsigned i = 0;
	while (i < n && (strlen(words[i]) != len || memcmp(words[i], name, len) != 0))
		i++;
	return i;
}

static const char *const priority_names[VS_PRIORITY_COUNT] = { "none", "low", "medium", "high" };

const char *vs_priority_name(enum vs_priority priority)
{
	return priority < VS_PRIORITY_COUNT ? priority_names[priority] : NULL;
}

enum vs_priority vs_priority_by_name(const char *name, size_t len)
{
	return (enum vs_priority)word_index(priority_names, VS_PRIORITY_COUNT, name, len);
}

static const struct {
	const char *word;
	enum vs_when when;
} when_words[] = {
	{ "above", VS_WHEN_GE }, { ">=", VS_WHEN_GE }, { ">", VS_WHEN_GT },           { "<=", VS_WHEN_LE },
	{ "below", VS_WHEN_LT }, { "<", VS_WHEN_LT },  { "rising", VS_WHEN_RISING }, { "falling", VS_WHEN_FALLING },
};

enum vs_when vs_when_by_name(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof when_words / sizeof *when_words; i++)
		if (strlen(when_words[i].word) == len && memcmp(when_words[i].word, name, len) == 0)
			return when_words[i].when;
	return VS_WHEN_COUNT;
}

bool vs_when_holds(enum vs_when when, double value, double limit)
{
	switch (when) {
	case VS_WHEN_GE:
	case VS_WHEN_RISING:
		return value >= limit;
	case VS_WHEN_GT:
		return value > limit;
	case VS_WHEN_LE:
	case VS_WHEN_FALLING:
		return value <= limit;
	case VS_WHEN_LT:
		return value < limit;
	default:
		return false;
	}
}

const char *vs_when_direction(enum vs_when when)
{
	static const char *const names[VS_WHEN_COUNT] = {
		[VS_WHEN_NONE] = "none", [VS_WHEN_GE] = "high", [VS_WHEN_GT] = "high", [VS_WHEN_LE] = "low",
		[VS_WHEN_LT] = "low", [VS_WHEN_RISING] = "rising", [VS_WHEN_FALLING] = "falling"
	};
	return when < VS_WHEN_COUNT ? names[when] : "none";
}

static const char *const type_names[VS_RULE_TYPE_COUNT] = {
	"threshold", "drop", "fall-after", "signal-loss", "device-offline", "nibp-overdue", "nibp-fail",
	"nibp-unconfirmed", "fault", "trend", "drift", "band"
};

const char *vs_rule_type_name(enum vs_rule_type type)
{
	return type < VS_RULE_TYPE_COUNT ? type_names[type] : NULL;
}

enum vs_rule_type vs_rule_type_by_name(const char *name, size_t len)
{
	return (enum vs_rule_type)word_index(type_names, VS_RULE_TYPE_COUNT, name, len);
}

static const char *const fault_names[VS_FAULT_COUNT] = { "log", "clock", "link" };

const char *vs_fault_name(enum vs_fault fault)
{
	return fault < VS_FAULT_COUNT ? fault_names[fault] : NULL;
}

enum vs_fault vs_fault_by_name(const char *name, size_t len)
{
	return (enum vs_fault)word_index(fault_names, VS_FAULT_COUNT, name, len);
}

struct vs_step vs_step_blank(void)
{
	return (struct vs_step){ .phases = VS_PHASES_ALL, .at = NAN };
}

static struct vs_limit limit_blank(void)
{
	return (struct vs_limit){ .value = NAN, .at_least = NAN, .at_most = NAN };
}

struct vs_limit vs_limit_plain(double value)
{
	return (struct vs_limit){ .kind = VS_LIMIT_PLAIN, .value = value, .at_least = NAN, .at_most = NAN };
}

struct vs_rule vs_rule_blank(void)
{
	struct vs_rule r = {
		.enabled = true, .metric = VS_METRIC_NONE, .limit = limit_blank(), .low_baseline = NAN,
		.low_limit = limit_blank(), .confirm = 1, .promote = true, .hysteresis = NAN, .clear = NAN,
		.phases = VS_PHASES_USUAL,
		.drop = { .to_factor = NAN, .at_most = NAN, .clear_factor = NAN },
		.fall = { .below = NAN, .to_factor = NAN },
		.trend = { .slope = NAN, .slope_clear = NAN, .slope_cap = NAN, .concordance = NAN, .rise = NAN,
			.level = limit_blank(), .consecutive = 1, .suspend_intervals = NAN },
		.drift = { .weight = NAN, .scale_least = NAN, .allowance = NAN, .fire = NAN, .departure = NAN },
		.band = { .rise = NAN, .spread_start = NAN, .spread_rise = NAN, .z = NAN },
	};
	for (unsigned i = 0; i < VS_STEPS_MAX; i++)
		r.steps[i] = vs_step_blank();
	return r;
}

void vs_limit_set_blank(struct vs_limit_set *ret, const char *name)
{
	memset(ret, 0, sizeof *ret);
	strncpy(ret->name, name, sizeof ret->name - 1);
	struct vs_validity *v = &ret->validity;
	v->median_ms = 1;
	v->median_min = 1;
	v->map_low = v->map_high = v->jump = v->jump_waiver = v->suspect_agree = NAN;
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++) {
		v->range[m].low = v->range[m].high = NAN;
		ret->bounds.at[m].high = ret->bounds.at[m].low = NAN;
	}
}

const struct vs_rule *vs_rule_find(const struct vs_limit_set *set, const char *id)
{
	for (unsigned i = 0; i < set->n_rules; i++)
		if (strcmp(set->rules[i].id, id) == 0)
			return &set->rules[i];
	return NULL;
}

/* Without a baseline the bound that stays whatever the baseline: the ceiling of "above", the floor of "below". */
static double without_baseline(const struct vs_limit *l, bool upper)
{
	double first = upper ? l->at_most : l->at_least;
	return isnan(first) ? (upper ? l->at_least : l->at_most) : first;
}

static double limit_number(const struct vs_limit *l, double baseline, bool upper)
{
	if (l->kind == VS_LIMIT_NONE || l->kind == VS_LIMIT_PLAIN)
		return l->kind == VS_LIMIT_PLAIN ? l->value : NAN;
	if (isnan(baseline))
		return without_baseline(l, upper);
	double v = l->kind == VS_LIMIT_FACTOR ? l->value * baseline : baseline + l->value;
	if (v < l->at_least)
		v = l->at_least;
	if (v > l->at_most)
		v = l->at_most;
	return v;
}

double vs_rule_limit(const struct vs_rule *r, double baseline, const struct vs_outer_bounds *bounds)
{
	bool upper = r->when == VS_WHEN_GE || r->when == VS_WHEN_GT || r->when == VS_WHEN_RISING;
	bool low = r->low_limit.kind != VS_LIMIT_NONE && baseline < r->low_baseline;
	double v = limit_number(low ? &r->low_limit : &r->limit, baseline, upper);
	if (r->type != VS_RULE_THRESHOLD || r->metric >= VS_METRIC_COUNT)
		return v;
	if (upper && v > bounds->at[r->metric].high)
		v = bounds->at[r->metric].high;
	if (!upper && v < bounds->at[r->metric].low)
		v = bounds->at[r->metric].low;
	return v;
}
