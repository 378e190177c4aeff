#include "config/limit_format.h"

static const cyaml_strval_t metrics[] = {
	/* those that rules may judge */
	{ "hr", VS_HR },
	{ "pr", VS_PR },
	{ "spo2", VS_SPO2 },
	{ "nibp_sys", VS_NIBP_SYS },
	{ "nibp_dia", VS_NIBP_DIA },
	{ "nibp_map", VS_NIBP_MAP },
	{ "nibp_pr", VS_NIBP_PR },
	{ "rr", VS_RR },
	{ "temp", VS_TEMP },
	{ "pi", VS_PI },
	{ "rpp", VS_RPP },
	{ "moaas", VS_MOAAS },
	{ "rass", VS_RASS },
	{ "poss", VS_POSS },
};
static const cyaml_strval_t types[] = {
	{ "threshold", VS_RULE_THRESHOLD },
	{ "drop", VS_RULE_DROP },
	{ "fall-after", VS_RULE_FALL_AFTER },
	{ "signal-loss", VS_RULE_SIGNAL_LOSS },
	{ "device-offline", VS_RULE_DEVICE_OFFLINE },
	{ "nibp-overdue", VS_RULE_NIBP_OVERDUE },
	{ "nibp-fail", VS_RULE_NIBP_FAIL },
	{ "nibp-unconfirmed", VS_RULE_NIBP_UNCONFIRMED },
	{ "fault", VS_RULE_FAULT },
	{ "trend", VS_RULE_TREND },
	{ "drift", VS_RULE_DRIFT },
	{ "band", VS_RULE_BAND },
};
static const cyaml_strval_t whens[] = {
	{ "above", VS_WHEN_GE }, { "below", VS_WHEN_LT }, { "rising", VS_WHEN_RISING }, { "falling", VS_WHEN_FALLING },
	{ ">=", VS_WHEN_GE },    { ">", VS_WHEN_GT },     { "<=", VS_WHEN_LE },         { "<", VS_WHEN_LT },
};
static const cyaml_strval_t priorities[] = { { "high", VS_PRIORITY_HIGH },
					     { "medium", VS_PRIORITY_MEDIUM },
					     { "low", VS_PRIORITY_LOW } };
static const cyaml_strval_t latches[] = { { "true", VS_LATCH_YES },
					  { "false", VS_LATCH_NO },
					  { "high", VS_LATCH_HIGH } };
static const cyaml_strval_t faults[] = { { "log", VS_FAULT_LOG },
					 { "clock", VS_FAULT_CLOCK },
					 { "link", VS_FAULT_LINK } };
static const cyaml_strval_t phases[] = {
	{ "none", VS_PHASE_NONE },         { "screening", VS_PHASE_SCREENING },   { "baseline", VS_PHASE_BASELINE },
	{ "infusion", VS_PHASE_INFUSION }, { "paused", VS_PHASE_PAUSED },         { "aborted", VS_PHASE_ABORTED },
	{ "recovery", VS_PHASE_RECOVERY }, { "discharged", VS_PHASE_DISCHARGED },
};
static const cyaml_strval_t requests[] = { { "nibp-now", 0 }, { "nibp-repeat", 1 } };

#define ENUM_ENTRY(_words)                                                                                             \
	{                                                                                                              \
		CYAML_VALUE_ENUM(CYAML_FLAG_STRICT, int, _words, CYAML_ARRAY_LEN(_words))                              \
	}
static const cyaml_schema_value_t phase_entry = ENUM_ENTRY(phases);
static const cyaml_schema_value_t number_entry = { CYAML_VALUE_FLOAT(CYAML_FLAG_DEFAULT, double) };
static const cyaml_schema_value_t id_entry = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, VS_RULE_ID_CAP - 1) };

#define TEXT(_key, _flags, _struct, _member) VS_STRING(_key, _flags, _struct, _member, VS_RULE_TEXT_CAP - 1)
#define SHORT(_key, _flags, _struct, _member) VS_STRING(_key, _flags, _struct, _member, 31) /* durations, shares */
#define PHASES(_struct) VS_LIST("phases", 0, _struct, phases, &phase_entry, 1, VS_PHASE_COUNT)

static const cyaml_schema_field_t limit_fields[] = {
	VS_NUMBER("value", 0, struct raw_limit, value),
	SHORT("baseline", 0, struct raw_limit, baseline),
	VS_NUMBER("at_least", 0, struct raw_limit, at_least),
	VS_NUMBER("at_most", 0, struct raw_limit, at_most),
	VS_END,
};

static const cyaml_schema_field_t low_baseline_fields[] = {
	VS_NUMBER("below", VS_REQUIRED, struct raw_low_baseline, below),
	VS_MAPPING("limit", VS_REQUIRED, struct raw_low_baseline, limit, limit_fields),
	VS_END,
};

static const cyaml_schema_field_t quiet_fields[] = {
	VS_ENUM("phase", VS_REQUIRED, struct raw_quiet, phase, phases),
	SHORT("for", VS_REQUIRED, struct raw_quiet, period),
	VS_END,
};

static const cyaml_schema_field_t step_fields[] = {
	VS_ENUM("to", VS_REQUIRED, struct raw_step, to, priorities),
	SHORT("after", 0, struct raw_step, after),
	PHASES(struct raw_step),
	VS_NUMBER("intervals", 0, struct raw_step, intervals),
	VS_UINT("count", 0, struct raw_step, count, 1, 100),
	VS_NUMBER("at", 0, struct raw_step, at),
	VS_NUMBER("forecast", 0, struct raw_step, forecast),
	VS_LIST("unless", 0, struct raw_step, unless, &id_entry, 1, VS_REFS_MAX),
	VS_END,
};
static const cyaml_schema_value_t step_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_step,
								     step_fields) };

static const cyaml_schema_field_t drop_fields[] = {
	SHORT("to", VS_REQUIRED, struct raw_drop, to),       VS_NUMBER("at_most", 0, struct raw_drop, at_most),
	SHORT("clear", VS_REQUIRED, struct raw_drop, clear), SHORT("from", VS_REQUIRED, struct raw_drop, from),
	SHORT("until", VS_REQUIRED, struct raw_drop, until), VS_END,
};

static const cyaml_schema_field_t fall_fields[] = {
	VS_STRING("rule", VS_REQUIRED, struct raw_fall, rule, VS_RULE_ID_CAP - 1),
	SHORT("within", VS_REQUIRED, struct raw_fall, within),
	VS_NUMBER("below", 0, struct raw_fall, below),
	SHORT("to", 0, struct raw_fall, to),
	VS_END,
};

static const cyaml_schema_field_t trend_fields[] = {
	SHORT("window", VS_REQUIRED, struct raw_trend, window),
	VS_LIST("points", VS_REQUIRED, struct raw_trend, points, &number_entry, 2, 2),
	SHORT("span", 0, struct raw_trend, span),
	SHORT("pair_gap", 0, struct raw_trend, pair_gap),
	SHORT("block", 0, struct raw_trend, block),
	VS_UINT("block_min", 0, struct raw_trend, block_min, 1, 1000),
	VS_NUMBER("slope", VS_REQUIRED, struct raw_trend, slope),
	VS_NUMBER("slope_clear", VS_REQUIRED, struct raw_trend, slope_clear),
	VS_NUMBER("slope_cap", 0, struct raw_trend, slope_cap),
	VS_NUMBER("concordance", 0, struct raw_trend, concordance),
	VS_NUMBER("rise", 0, struct raw_trend, rise),
	VS_MAPPING("level", 0, struct raw_trend, level, limit_fields),
	SHORT("forecast", VS_REQUIRED, struct raw_trend, forecast),
	VS_UINT("consecutive", 0, struct raw_trend, consecutive, 1, 1000),
	VS_BOOL("forecast_in_a_row", 0, struct raw_trend, forecast_in_a_row),
	VS_NUMBER("suspend_intervals", 0, struct raw_trend, suspend_intervals),
	SHORT("suspend", 0, struct raw_trend, suspend),
	SHORT("interval", 0, struct raw_trend, interval),
	VS_LIST("ends_with", 0, struct raw_trend, ends_with, &id_entry, 1, VS_REFS_MAX),
	VS_END,
};

static const cyaml_schema_field_t drift_fields[] = {
	SHORT("block", VS_REQUIRED, struct raw_drift, block),
	VS_UINT("block_min", VS_REQUIRED, struct raw_drift, block_min, 1, 1000),
	VS_NUMBER("weight", VS_REQUIRED, struct raw_drift, weight),
	VS_NUMBER("scale_least", VS_REQUIRED, struct raw_drift, scale_least),
	VS_NUMBER("allowance", VS_REQUIRED, struct raw_drift, allowance),
	VS_NUMBER("fire", VS_REQUIRED, struct raw_drift, fire),
	SHORT("departure", VS_REQUIRED, struct raw_drift, departure),
	VS_END,
};

static const cyaml_schema_field_t band_fields[] = {
	VS_NUMBER("rise", VS_REQUIRED, struct raw_band, rise),
	VS_NUMBER("spread_start", VS_REQUIRED, struct raw_band, spread_start),
	VS_NUMBER("spread_rise", VS_REQUIRED, struct raw_band, spread_rise),
	SHORT("full", VS_REQUIRED, struct raw_band, full),
	VS_NUMBER("z", VS_REQUIRED, struct raw_band, z),
	VS_END,
};

static const cyaml_schema_field_t rule_fields[] = {
	VS_STRING("id", VS_REQUIRED, struct raw_rule, id, 100),
	VS_ENUM("type", 0, struct raw_rule, type, types),
	VS_ENUM("metric", 0, struct raw_rule, metric, metrics),
	VS_ENUM("when", 0, struct raw_rule, when, whens),
	VS_MAPPING("limit", 0, struct raw_rule, limit, limit_fields),
	VS_MAPPING("low_baseline", 0, struct raw_rule, low_baseline, low_baseline_fields),
	VS_ENUM("priority", 0, struct raw_rule, priority, priorities),
	VS_ENUM("jump_priority", 0, struct raw_rule, jump_priority, priorities),
	VS_UINT("confirm", 0, struct raw_rule, confirm, 1, 30),
	VS_BOOL("promote", 0, struct raw_rule, promote),
	SHORT("on_delay", 0, struct raw_rule, on_delay),
	SHORT("off_delay", 0, struct raw_rule, off_delay),
	VS_NUMBER("hysteresis", 0, struct raw_rule, hysteresis),
	VS_NUMBER("clear", 0, struct raw_rule, clear),
	VS_ENUM("latch", 0, struct raw_rule, latch, latches),
	VS_LIST("escalate", VS_OR_ONE, struct raw_rule, escalate, &step_entry, 1, VS_STEPS_MAX),
	VS_LIST("steps", VS_OR_ONE, struct raw_rule, steps, &step_entry, 1, VS_STEPS_MAX),
	PHASES(struct raw_rule),
	VS_MAPPING("quiet", 0, struct raw_rule, quiet, quiet_fields),
	VS_ENUM("request", 0, struct raw_rule, request, requests),
	TEXT("text", 0, struct raw_rule, text),
	TEXT("advice", 0, struct raw_rule, advice),
	VS_BOOL("enabled", 0, struct raw_rule, enabled),
	VS_BOOL("log_only", 0, struct raw_rule, log_only),
	VS_ENUM("fault", 0, struct raw_rule, fault, faults),
	SHORT("cuff_arm", 0, struct raw_rule, cuff_arm),
	VS_MAPPING("drop", 0, struct raw_rule, drop, drop_fields),
	VS_MAPPING("fall", 0, struct raw_rule, fall, fall_fields),
	VS_MAPPING("trend", 0, struct raw_rule, trend, trend_fields),
	VS_MAPPING("drift", 0, struct raw_rule, drift, drift_fields),
	VS_MAPPING("band", 0, struct raw_rule, band, band_fields),
	VS_END,
};
static const cyaml_schema_value_t rule_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_rule,
								     rule_fields) };

static const cyaml_schema_field_t range_fields[] = {
#define METRIC(_id, _name, ...) VS_LIST(_name, 0, struct raw_ranges, _id, &number_entry, 2, 2),
#include "core/metrics.def"
#undef METRIC
	VS_END,
};

static const cyaml_schema_field_t pulse_fields[] = {
	VS_NUMBER("from", 0, struct raw_pulse, from),
	VS_NUMBER("below", 0, struct raw_pulse, below),
	VS_NUMBER("above", 0, struct raw_pulse, above),
	VS_NUMBER("to", 0, struct raw_pulse, to),
	VS_NUMBER("least", VS_REQUIRED, struct raw_pulse, least),
	VS_END,
};
static const cyaml_schema_value_t pulse_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_pulse,
								      pulse_fields) };

static const cyaml_schema_field_t validity_fields[] = {
	SHORT("median", 0, struct raw_validity, median),
	VS_UINT("median_min", 0, struct raw_validity, median_min, 1, 100),
	SHORT("tolerance", 0, struct raw_validity, tolerance),
	SHORT("freeze", 0, struct raw_validity, freeze),
	SHORT("stale", 0, struct raw_validity, stale),
	VS_MAPPING("range", 0, struct raw_validity, range, range_fields),
	VS_LIST("pulse_reject", 0, struct raw_validity, pulse_reject, &pulse_entry, 0, 4),
	VS_LIST("pulse_suspect", 0, struct raw_validity, pulse_suspect, &pulse_entry, 0, 4),
	VS_LIST("map_position", 0, struct raw_validity, map_position, &number_entry, 2, 2),
	VS_NUMBER("jump", 0, struct raw_validity, jump),
	SHORT("jump_window", 0, struct raw_validity, jump_window),
	VS_UINT("jump_readings", 0, struct raw_validity, jump_readings, 1, 8),
	SHORT("jump_waiver", 0, struct raw_validity, jump_waiver),
	VS_STRING("jump_waived_by", 0, struct raw_validity, jump_waived_by, VS_RULE_ID_CAP - 1),
	SHORT("suspect_repeat", 0, struct raw_validity, suspect_repeat),
	VS_NUMBER("suspect_agree", 0, struct raw_validity, suspect_agree),
	SHORT("suspect_accept", 0, struct raw_validity, suspect_accept),
	SHORT("confirm_repeat", 0, struct raw_validity, confirm_repeat),
	SHORT("promote", 0, struct raw_validity, promote),
	SHORT("fail_retry", 0, struct raw_validity, fail_retry),
	VS_END,
};

#define BY_PHASE(_key, _phase) SHORT(_key, 0, struct raw_by_phase, at[_phase])
static const cyaml_schema_field_t by_phase_fields[] = {
	BY_PHASE("none", VS_PHASE_NONE),         BY_PHASE("screening", VS_PHASE_SCREENING),
	BY_PHASE("baseline", VS_PHASE_BASELINE), BY_PHASE("infusion", VS_PHASE_INFUSION),
	BY_PHASE("paused", VS_PHASE_PAUSED),     BY_PHASE("aborted", VS_PHASE_ABORTED),
	BY_PHASE("recovery", VS_PHASE_RECOVERY), VS_END,
};

static const cyaml_schema_field_t cadence_fields[] = {
	VS_MAPPING("nibp", 0, struct raw_cadence, nibp, by_phase_fields),
	SHORT("nibp_least", 0, struct raw_cadence, nibp_least),
	SHORT("nibp_most", 0, struct raw_cadence, nibp_most),
	VS_END,
};

#define BY_PRIORITY(_key, _priority) SHORT(_key, 0, struct raw_by_priority, at[_priority])
static const cyaml_schema_field_t by_priority_fields[] = {
	BY_PRIORITY("high", VS_PRIORITY_HIGH),
	BY_PRIORITY("medium", VS_PRIORITY_MEDIUM),
	BY_PRIORITY("low", VS_PRIORITY_LOW),
	VS_END,
};

static const cyaml_schema_field_t announcing_fields[] = {
	SHORT("pause", 0, struct raw_announcing, pause),
	SHORT("pause_most", 0, struct raw_announcing, pause_most),
	VS_MAPPING("reannounce", 0, struct raw_announcing, reannounce, by_priority_fields),
	VS_MAPPING("unacknowledged", 0, struct raw_announcing, unacknowledged, by_priority_fields),
	VS_END,
};

static const cyaml_schema_field_t set_fields[] = {
	VS_STRING("name", VS_REQUIRED, struct raw_set, name, 100),
	VS_STRING("version", 0, struct raw_set, version, 71),
	TEXT("summary", 0, struct raw_set, summary),
	VS_STRING("extends", 0, struct raw_set, extends, 100),
	VS_MAPPING("validity", 0, struct raw_set, validity, validity_fields),
	VS_MAPPING("cadence", 0, struct raw_set, cadence, cadence_fields),
	VS_MAPPING("announcing", 0, struct raw_set, announcing, announcing_fields),
	VS_LIST("rules", 0, struct raw_set, rules, &rule_entry, 0, 256),
	VS_END,
};
static const cyaml_schema_value_t set_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_set, set_fields) };

static const cyaml_schema_field_t bound_fields[] = { VS_NUMBER("high", 0, struct raw_bound, high),
						     VS_NUMBER("low", 0, struct raw_bound, low), VS_END };
static const cyaml_schema_field_t bounds_fields[] = {
#define METRIC(_id, _name, ...) VS_MAPPING(_name, 0, struct raw_bounds, _id, bound_fields),
#include "core/metrics.def"
#undef METRIC
	VS_END,
};

static const cyaml_schema_field_t file_fields[] = {
	VS_MAPPING("outer_bounds", 0, struct raw_limit_file, outer_bounds, bounds_fields),
	VS_LIST("sets", VS_REQUIRED, struct raw_limit_file, sets, &set_entry, 1, 64),
	VS_END,
};
const cyaml_schema_value_t vs_limit_format = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_limit_file,
								   file_fields) };
