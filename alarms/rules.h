/* Limit sets: every number and every rule by which a chair is judged, as plain data.
 *
 * A set is read from YAML (config/limits.h; alarms/sets/ketamine-adult.yaml documents every key) or built in a test.
 * It never changes after loading and may be shared by any number of engines.  No clinical number lives in code.
 * Durations are milliseconds, slopes are per minute, values are in the metric's unit; NAN means "not given".
 * A set without any rule watches nothing. */
#pragma once
#include <math.h>

#include "alarms/phase.h"
#include "core/metric.h"

#define VS_RULES_MAX 64
#define VS_STEPS_MAX 4
#define VS_REFS_MAX 4
#define VS_DRIFTS 2 /* rules of type drift in a set */
#define VS_RULE_ID_CAP 33 /* [a-z0-9][a-z0-9-]{0,31} */
#define VS_RULE_TEXT_CAP 120
#define VS_SET_NAME_CAP 64

/* What `phases` omitted means: every phase but screening and discharged, and chairs without a session. */
#define VS_PHASES_USUAL \
	(VS_PHASE_BIT(VS_PHASE_NONE) | VS_PHASE_BIT(VS_PHASE_BASELINE) | VS_PHASE_BIT(VS_PHASE_INFUSION) | \
	 VS_PHASE_BIT(VS_PHASE_PAUSED) | VS_PHASE_BIT(VS_PHASE_RECOVERY) | VS_PHASE_BIT(VS_PHASE_ABORTED))
#define VS_PHASES_ALL (VS_PHASE_BIT(VS_PHASE_COUNT) - 1)

enum vs_priority { VS_PRIORITY_NONE, VS_PRIORITY_LOW, VS_PRIORITY_MEDIUM, VS_PRIORITY_HIGH, VS_PRIORITY_COUNT };

/* "none", "low", "medium", "high"; VS_PRIORITY_COUNT: there is no such priority. */
const char *vs_priority_name(enum vs_priority priority);
enum vs_priority vs_priority_by_name(const char *name, size_t len);

enum vs_when {
	VS_WHEN_NONE,    /* technical rules */
	VS_WHEN_GE,      /* "above", ">=" */
	VS_WHEN_GT,      /* ">" */
	VS_WHEN_LE,      /* "<=" */
	VS_WHEN_LT,      /* "below", "<" */
	VS_WHEN_RISING,  /* trends */
	VS_WHEN_FALLING, /* trends and the drop rule */
	VS_WHEN_COUNT
};

/* VS_WHEN_COUNT: no such word. */
enum vs_when vs_when_by_name(const char *name, size_t len);
/* Does value violate limit?  Exact on doubles; rising and falling: as >= and <=. */
bool vs_when_holds(enum vs_when when, double value, double limit);
/* "high", "low", "rising", "falling", "none" */
const char *vs_when_direction(enum vs_when when);

enum vs_rule_type {
	VS_RULE_THRESHOLD,        /* threshold: a value beyond a limit (signals, cuff readings, `rpp`, entries) */
	VS_RULE_DROP,             /* drop: a signal far below its own recent past (hr-drop) */
	VS_RULE_FALL_AFTER,       /* fall-after: a cuff reading that fell, soon after another rule was raised (vasovagal) */
	VS_RULE_SIGNAL_LOSS,      /* signal-loss: no valid sample of a metric that had been there */
	VS_RULE_DEVICE_OFFLINE,   /* device-offline: a device says nothing at all; replaces signal-loss of its metrics */
	VS_RULE_NIBP_OVERDUE,     /* nibp-overdue: the newest accepted reading is older than the interval asked for allows */
	VS_RULE_NIBP_FAIL,        /* nibp-fail: attempts in a row that failed or were rejected */
	VS_RULE_NIBP_UNCONFIRMED, /* nibp-unconfirmed: a suspect reading waits for its repeat */
	VS_RULE_FAULT,            /* fault: something outside the patient, named by `fault` */
	VS_RULE_TREND,            /* trend: Theil-Sen (cuff metrics) or repeated median (signals), with a forecast */
	VS_RULE_DRIFT,            /* drift: EWMA-CUSUM of a signal; log only */
	VS_RULE_BAND,             /* band: beyond the usual response to the infusion; log only */
	VS_RULE_TYPE_COUNT
};

/* "threshold", "drop", ...; VS_RULE_TYPE_COUNT: no such word. */
const char *vs_rule_type_name(enum vs_rule_type type);
enum vs_rule_type vs_rule_type_by_name(const char *name, size_t len);

enum vs_fault { VS_FAULT_LOG, VS_FAULT_CLOCK, VS_FAULT_LINK, VS_FAULT_COUNT };

/* "log", "clock", "link"; VS_FAULT_COUNT: no such word. */
const char *vs_fault_name(enum vs_fault fault);
enum vs_fault vs_fault_by_name(const char *name, size_t len);

/* A limit: a plain number, or one relative to the session's baseline, held between two bounds. */
enum vs_limit_kind {
	VS_LIMIT_NONE,   /* not given */
	VS_LIMIT_PLAIN,  /* value */
	VS_LIMIT_FACTOR, /* baseline: "130%"  -> value 1.30 */
	VS_LIMIT_OFFSET, /* baseline: "-10", "+15" -> value -10, 15 */
};
struct vs_limit {
	enum vs_limit_kind kind;
	double value;
	double at_least, at_most;
};

/* A further priority of a rule, and what leads to it.  All that is given must hold. */
struct vs_step {
	enum vs_priority to;
	uint32_t phases;   /* VS_PHASE_BIT()s; VS_PHASES_ALL unless `phases` is given */
	uint32_t after_ms; /* threshold: since it was raised; technical: since the condition began */
	double intervals;  /* nibp-overdue: so many cuff intervals more; else 0 */
	unsigned count;    /* nibp-fail: attempts in a row; else 0 */
	double at;         /* threshold: value at least as bad as this; trend: forecast that reaches this */
	unsigned n_unless; /* trend: not while one of these rules is active */
	char unless[VS_REFS_MAX][VS_RULE_ID_CAP];
};

struct vs_drop {
	double to_factor, at_most; /* value <= to_factor * reference, and value <= at_most */
	double clear_factor;       /* over when value > clear_factor * reference */
	uint32_t from_ms, until_ms; /* reference: median of [now - from, now - until]; from_ms <= 180 s */
};

struct vs_fall_after {
	char rule[VS_RULE_ID_CAP]; /* the rule that came before */
	uint32_t within_ms;
	double below;     /* value < below, or */
	double to_factor; /* value <= to_factor * the reading before */
};

struct vs_trend {
	uint32_t window_ms;        /* how far back */
	unsigned points_max;       /* newest so many (cuff: <= 8; signal: blocks, <= 18) */
	unsigned points_min;
	uint32_t span_ms;          /* cuff: from first to last at least */
	uint32_t pair_gap_ms;      /* cuff: pairs nearer than this do not count */
	uint32_t block_ms;         /* signal: one median a block */
	unsigned block_min;        /* signal: valid samples in a block at least */
	double slope;              /* per minute, at least so steep (negative: falling) */
	double slope_clear;        /* over when less steep than this */
	double slope_cap;          /* for the forecast; NAN: none */
	double concordance;        /* cuff: share of pairs that go the same way; NAN: not asked */
	double rise;               /* cuff: slope * span at least; NAN: not asked */
	struct vs_limit level;     /* the level now must be beyond this */
	uint32_t forecast_ms;
	unsigned consecutive;      /* evaluations in a row */
	bool forecast_counts;      /* ... in which the forecast, too, reaches a step (`forecast_in_a_row`) */
	double suspend_intervals;  /* cuff: newest input older than so many intervals: suspended */
	uint32_t suspend_ms;       /* signal: newest input older than this: suspended */
	uint32_t interval_ms;      /* cuff interval asked for while active; 0: none */
	unsigned n_ends_with;      /* over as soon as one of these rules is active */
	char ends_with[VS_REFS_MAX][VS_RULE_ID_CAP];
};

struct vs_drift {
	uint32_t block_ms; /* medians of so long */
	unsigned block_min;
	double weight;     /* of the newest in the prediction */
	double scale_least; /* spread is never taken for less */
	double allowance, fire;
	double departure;  /* and so far from baseline, as a share of it */
};

struct vs_band {
	double rise, spread_start, spread_rise; /* mean and standard deviation of the usual change */
	uint32_t full_ms; /* reached after so long */
	double z;         /* beyond so many standard deviations */
};

enum vs_latch { VS_LATCH_NO, VS_LATCH_YES, VS_LATCH_HIGH /* only where its priority is high when it ends */ };

struct vs_rule {
	char id[VS_RULE_ID_CAP];
	enum vs_rule_type type;
	bool enabled;
	bool log_only;               /* is noted, never alarms */
	enum vs_metric metric;       /* VS_METRIC_NONE: no single metric */
	enum vs_when when;
	struct vs_limit limit;
	double low_baseline;         /* a baseline below this ... */
	struct vs_limit low_limit;   /* ... has this limit instead; NAN/NONE: not given */
	enum vs_priority priority;   /* of the raised alarm; NONE: `steps` decide */
	unsigned confirm;            /* cuff readings in a row, 1 to 30 */
	bool promote;                /* unconfirmed for validity.promote_ms: raised anyway */
	uint32_t on_delay_ms, off_delay_ms;
	double hysteresis;           /* over when a limit so much stricter is not violated either; NAN: not given */
	double clear;                /* over when this limit in its place is not violated either; NAN: not given */
	enum vs_latch latch;
	uint32_t phases;             /* VS_PHASE_BIT()s in which it watches */
	enum vs_phase quiet_phase;   /* in this phase, ... */
	uint32_t quiet_ms;           /* ... for its first so long: raised without a sound; 0: never */
	unsigned n_steps;
	struct vs_step steps[VS_STEPS_MAX]; /* `escalate` (threshold), `steps` (technical, trend), mildest first */
	char request[32];            /* asked for when raised: "nibp-now"; "": nothing */
	char text[VS_RULE_TEXT_CAP];   /* {value}, {limit}, {device} are filled in */
	char advice[VS_RULE_TEXT_CAP]; /* what to do; "": nothing to say */
	enum vs_fault fault;         /* fault */
	uint32_t cuff_arm_ms;        /* signal-loss: not while the cuff inflates, at most so long */
	struct vs_drop drop;
	struct vs_fall_after fall;
	struct vs_trend trend;
	struct vs_drift drift;
	struct vs_band band;
	enum vs_priority jump_priority; /* nibp-unconfirmed: the only doubt is the jump, and a high rule is violated */
};

#define VS_PULSE_ROWS 4

/* A pulse pressure (systolic minus diastolic) below `least` fails where the systolic is as all that is given say. */
struct vs_pulse_row {
	double from, above; /* systolic >= from, systolic > above */
	double below, to;   /* systolic < below, systolic <= to */
	double least;
};

struct vs_validity {
	uint32_t median_ms;    /* signals are judged by the median of the last so long, */
	unsigned median_min;   /* of at least so many samples */
	uint32_t tolerance_ms; /* an on-delay survives so much without violation */
	uint32_t freeze_ms;    /* ... and stands still so long without a median */
	uint32_t stale_ms;     /* a value older than this is shown as missing */
	struct {
		double low, high; /* NAN: no bound */
	} range[VS_METRIC_COUNT];
	unsigned n_reject, n_suspect;
	struct vs_pulse_row pulse_reject[VS_PULSE_ROWS], pulse_suspect[VS_PULSE_ROWS];
	double map_low, map_high; /* mean pressure outside dia + low..high of the pulse pressure: suspect */
	double jump;              /* mmHg from the median of the readings before: suspect */
	uint32_t jump_window_ms;
	unsigned jump_readings;   /* <= 8 */
	double jump_waiver;       /* relative change of the heart rate that explains a jump */
	char jump_waived_by[VS_RULE_ID_CAP]; /* and so does this rule being active; "": none */
	uint32_t suspect_repeat_ms; /* repeat cuff in so long */
	double suspect_agree;       /* a repeat this near (mmHg systolic) accepts both */
	uint32_t suspect_accept_ms; /* without a repeat: accepted anyway */
	uint32_t confirm_repeat_ms; /* confirm > 1: repeat cuff in so long */
	uint32_t promote_ms;        /* ... raised anyway */
	uint32_t fail_retry_ms;     /* after a failed attempt */
};

struct vs_cadence {
	uint32_t nibp_ms[VS_PHASE_COUNT]; /* 0: none asked for */
	uint32_t nibp_least_ms, nibp_most_ms; /* what a person may set */
};

struct vs_announcing {
	uint32_t pause_ms, pause_most_ms;                /* audio pause: default and longest */
	uint32_t reannounce_ms[VS_PRIORITY_COUNT];       /* acknowledged and still there: said again; 0: never */
	uint32_t unacknowledged_ms[VS_PRIORITY_COUNT];   /* nobody answered: a second person is called; 0: never */
};

/* No limit may be looser than these, whoever sets it. */
struct vs_outer_bounds {
	struct {
		double high, low; /* NAN: none */
	} at[VS_METRIC_COUNT];
};

struct vs_limit_set {
	char name[VS_SET_NAME_CAP];
	char version[72]; /* of its text: what an alarm's explanation names (loader: hash of the YAML it came from) */
	char hash[17]; /* of its text, whatever version it calls itself: what tells a changed set; "": not from a text */
	char summary[VS_RULE_TEXT_CAP];
	struct vs_validity validity;
	struct vs_cadence cadence;
	struct vs_announcing announcing;
	struct vs_outer_bounds bounds;
	unsigned n_rules;
	struct vs_rule rules[VS_RULES_MAX];
};

/* A rule with nothing given: threshold, enabled, confirm 1, promote, usual phases, all NANs set. */
struct vs_rule vs_rule_blank(void);
struct vs_step vs_step_blank(void);
struct vs_limit vs_limit_plain(double value);
/* A set with nothing given: no rules, no bounds, all medians of one sample, everything else 0 or NAN. */
void vs_limit_set_blank(struct vs_limit_set *ret, const char *name);
/* The rule of that id, or NULL. */
const struct vs_rule *vs_rule_find(const struct vs_limit_set *set, const char *id);

/* The number a rule compares with, given the baseline of its metric (NAN: there is none yet; then at_most decides for
 * "above", at_least for "below", whichever is given), held inside the outer bounds.  NAN: it does not apply. */
double vs_rule_limit(const struct vs_rule *r, double baseline, const struct vs_outer_bounds *bounds);
