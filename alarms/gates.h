/* Gates: what must hold before a session may go on (clinical table B: G before the infusion, D before the door,
 * R before resuming; ours: S after screening, A after aborting).
 *
 * Pure: measurements come in as struct vs_session_facts, thresholds as struct vs_gate_rules (data:
 * alarms/presets.yaml, `gates:`), findings go out.  A verdict is one of
 *
 *	warn   needs a word: --confirm (or an override)
 *	block  needs an override: a reason and a second person
 *	hard   nothing helps but mending it */
#pragma once
#include "alarms/dose.h"

enum vs_gate {
#define GATE(id, ...) VS_GATE_##id,
#include "alarms/gates.def"
#undef GATE
	VS_GATE_COUNT
};
_Static_assert(VS_GATE_COUNT <= 64, "gates are kept as bits of a word");
#define VS_GATE_BIT(g) (UINT64_C(1) << (g))

/* "G1"; NULL beyond the last. */
const char *vs_gate_code(enum vs_gate g);

enum vs_verdict { VS_PASS, VS_WARN, VS_BLOCK, VS_HARD };
/* "warn", "block", "hard". */
const char *vs_verdict_name(enum vs_verdict v);

struct vs_gate_finding {
	enum vs_gate gate;
	enum vs_verdict verdict;
	bool settled;   /* by --confirm or an override: it did not stop the command */
	char text[248]; /* what was measured and what is needed, for a nurse */
};

#define VS_GATE_FINDINGS 24
struct vs_gate_findings {
	unsigned len;
	struct vs_gate_finding at[VS_GATE_FINDINGS];
};

/* What the gates need to know from the engine, filled at the moment of a command.  Times are monotonic ms like the
 * `now_ms` of the command.  known = false: not measured, and never taken for a number. */
struct vs_fact {
	bool known;
	double value;
	int64_t at_ms; /* of the newest sample behind it */
};

#define VS_FACT_NIBP 16
struct vs_session_facts {
	unsigned n_nibp; /* accepted readings, oldest first, the newest VS_FACT_NIBP */
	struct vs_fact_nibp {
		int64_t at_ms;
		double sys, dia, map; /* map 0: the cuff gave none */
	} nibp[VS_FACT_NIBP];
	struct vs_fact hr;          /* m5, from ECG or oximeter (contract: `hr` of a rule) */
	struct vs_fact hr_minute;   /* median of the last 60 s */
	struct vs_fact spo2;        /* m5 */
	unsigned high, medium, low; /* alarm conditions that stand, acknowledged or not */
	unsigned unacknowledged;    /* latched and not acknowledged, any priority */
	unsigned high_unacknowledged;
	bool station_known, station_up;     /* the nursing station answers; not known: none is configured */
	bool self_test_known;               /* of the alarm signals, at power-up and on demand */
	int64_t self_test_ms;
};

/* Thresholds: fields from gate_rules.def, all doubles, times in minutes or seconds as named there. */
struct vs_gate_rules {
#define RULE(field, ...) double field;
#include "alarms/gate_rules.def"
#undef RULE
};

/* One line each of gate_rules.def: where it stands in the YAML, its unit ("", "s", "min", "h"), outermost values. */
struct vs_gate_rule_info {
	const char *gate, *key, *unit;
	size_t offset; /* of the double in struct vs_gate_rules */
	double lowest, highest;
};
extern const struct vs_gate_rule_info vs_gate_rule_infos[];
extern const size_t vs_gate_rule_count;

struct vs_session;
struct vs_checklist;
/* Findings are added; nothing is added for a gate that passes. */
void vs_gates_screening(const struct vs_session *s, const struct vs_checklist *c, const struct vs_gate_rules *r,
	struct vs_gate_findings *out);
void vs_gates_infusion(const struct vs_session *s, const struct vs_gate_rules *r, const struct vs_session_facts *f,
	int64_t now_ms, struct vs_gate_findings *out);
void vs_gates_resume(const struct vs_session *s, const struct vs_gate_rules *r, const struct vs_session_facts *f,
	int64_t now_ms, struct vs_gate_findings *out);
void vs_gates_stable(const struct vs_session *s, const struct vs_gate_rules *r, const struct vs_session_facts *f,
	int64_t now_ms, struct vs_gate_findings *out);
void vs_gates_discharge(const struct vs_session *s, const struct vs_gate_rules *r, const struct vs_session_facts *f,
	int64_t now_ms, struct vs_gate_findings *out);

/* G7 alone, also before there is a session. */
void vs_gate_dose(const struct vs_preset *p, const struct vs_dose_order *o, struct vs_kg weight,
	const struct vs_gate_rules *r, struct vs_gate_findings *out);
struct vs_dose_limits vs_gate_dose_limits(const struct vs_gate_rules *r);

/* Medians of the accepted readings that G1 counts: what becomes the baseline. */
struct vs_nibp_summary {
	unsigned readings;
	double sys, dia, map; /* map 0: the cuff gave none */
	double spread;        /* systolic, highest less lowest */
};
void vs_nibp_summarise(const struct vs_session_facts *f, const struct vs_gate_rules *r, int64_t now_ms,
	struct vs_nibp_summary *ret);
/* D1: the stay that is needed, in minutes. */
double vs_session_recovery_min(const struct vs_session *s, const struct vs_gate_rules *r, int64_t now_ms);

void vs_gate_add(struct vs_gate_findings *out, enum vs_gate g, enum vs_verdict v, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* "G2: baseline pressure 165/92, needed below 160/100; G3: ... (to go on: --override REASON --second NAME)".  Returns
 * its length. */
size_t vs_gate_findings_text(const struct vs_gate_findings *f, char *buf, size_t cap);
