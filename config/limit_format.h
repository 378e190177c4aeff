/* The format of limit sets, as libcyaml wants it described.  NULL: absent, or reported.  See config/document.h. */
#pragma once
#include "alarms/rules.h"
#include "config/document.h"

struct raw_limit {
	double *value;
	char *baseline;
	double *at_least, *at_most;
};

struct raw_step {
	int *to;
	char *after;
	int *phases;
	unsigned phases_count;
	double *intervals, *at, *forecast;
	uint32_t *count;
	char **unless;
	unsigned unless_count;
};

struct raw_low_baseline {
	double *below;
	struct raw_limit *limit;
};

struct raw_quiet {
	int *phase;
	char *period; /* `for` */
};

struct raw_drop {
	char *to, *clear, *from, *until;
	double *at_most;
};

struct raw_fall {
	char *rule, *within, *to;
	double *below;
};

struct raw_trend {
	char *window, *span, *pair_gap, *block, *forecast, *suspend, *interval;
	double *points;
	unsigned points_count;
	uint32_t *block_min, *consecutive;
	bool *forecast_in_a_row;
	double *slope, *slope_clear, *slope_cap, *concordance, *rise, *suspend_intervals;
	struct raw_limit *level;
	char **ends_with;
	unsigned ends_with_count;
};

struct raw_drift {
	char *block, *departure;
	uint32_t *block_min;
	double *weight, *scale_least, *allowance, *fire;
};

struct raw_band {
	double *rise, *spread_start, *spread_rise, *z;
	char *full;
};

struct raw_rule {
	char *id;
	int *type, *metric, *when, *priority, *jump_priority, *latch, *fault, *request;
	bool *enabled, *log_only, *promote;
	struct raw_limit *limit;
	struct raw_low_baseline *low_baseline;
	uint32_t *confirm;
	char *on_delay, *off_delay, *cuff_arm;
	double *hysteresis, *clear;
	int *phases;
	unsigned phases_count;
	struct raw_quiet *quiet;
	struct raw_step *escalate, *steps;
	unsigned escalate_count, steps_count;
	char *text, *advice;
	struct raw_drop *drop;
	struct raw_fall *fall;
	struct raw_trend *trend;
	struct raw_drift *drift;
	struct raw_band *band;
};

struct raw_ranges {
#define METRIC(id, ...) double *id; unsigned id##_count;
#include "core/metrics.def"
#undef METRIC
};

struct raw_pulse {
	double *from, *below, *above, *to, *least;
};

struct raw_validity {
	char *median, *tolerance, *freeze, *stale, *jump_window, *jump_waiver, *jump_waived_by, *suspect_repeat,
		*suspect_accept, *confirm_repeat, *promote, *fail_retry;
	uint32_t *median_min, *jump_readings;
	struct raw_ranges *range;
	struct raw_pulse *pulse_reject, *pulse_suspect;
	unsigned pulse_reject_count, pulse_suspect_count;
	double *map_position;
	unsigned map_position_count;
	double *jump, *suspect_agree;
};

struct raw_by_phase {
	char *at[VS_PHASE_COUNT];
};

struct raw_cadence {
	struct raw_by_phase *nibp;
	char *nibp_least, *nibp_most;
};

struct raw_by_priority {
	char *at[VS_PRIORITY_COUNT];
};

struct raw_announcing {
	char *pause, *pause_most;
	struct raw_by_priority *reannounce, *unacknowledged;
};

struct raw_set {
	char *name, *version, *summary, *extends;
	struct raw_validity *validity;
	struct raw_cadence *cadence;
	struct raw_announcing *announcing;
	struct raw_rule *rules;
	unsigned rules_count;
};

struct raw_bound {
	double *high, *low;
};

struct raw_bounds {
#define METRIC(id, ...) struct raw_bound *id;
#include "core/metrics.def"
#undef METRIC
};

struct raw_limit_file {
	struct raw_bounds *outer_bounds;
	struct raw_set *sets;
	unsigned sets_count;
};

extern const cyaml_schema_value_t vs_limit_format;
