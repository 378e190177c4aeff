/* One simulated chair: a patient, the monitor beside it, and the hour they spend (baseline, infusion, recovery).
 *
 * Pure.  Each call plays one second and says what the monitor shows and what happened:
 *
 *	 baseline          infusion of the preset             recovery
 *	|-- lead_s --|-- scenario begins at_s after this --|-- until somebody stops looking
 *	0            start */
#pragma once
#include "clients/sim/monitor.h"

enum vs_sim_phase { VS_SIM_BASELINE, VS_SIM_INFUSION, VS_SIM_RECOVERY };

const char *vs_sim_phase_name(enum vs_sim_phase p);

struct vs_chair_setup {
	struct vs_patient_setup patient;
	long lead_s;           /* baseline before the infusion */
	long cuff_interval_s;  /* 0: 2 min in baseline, 5 during infusion, 10 in recovery */
	const long *cuff_at_s; /* further measurements, as if somebody had asked for them */
	unsigned cuff_at_len;
};

/* Moments that a study, a trainer or a test may want to know: the truth, not what was measured. */
enum vs_moment {
	VS_MOMENT_PHASE = 1, /* a phase begins (the first one at second 0) */
	VS_MOMENT_SCENARIO_BEGINS = 2,
	VS_MOMENT_SCENARIO_ENDS = 4,
	VS_MOMENT_CRISIS = 8, /* true pressure reaches 180 systolic or 110 diastolic */
	VS_MOMENT_CRISIS_ENDS = 16,
	VS_MOMENT_MOAAS = 32, /* the nurse looks: routine every 15 min, and whenever it changes */
};

struct vs_second {
	long t_s;
	enum vs_sim_phase phase;
	unsigned moments; /* bits */
	struct vs_truth truth;
	struct vs_display display;
	struct vs_cuff cuff; /* its last values count where display.cuff is VS_CUFF_MEASURED */
};

struct vs_sim_chair {
	struct vs_chair_setup setup;
	struct vs_patient patient;
	struct vs_monitor monitor;
	enum vs_sim_phase phase;
	bool begun, story_on, crisis;
	int moaas;
	long moaas_next_s;
	unsigned cuff_at_next;
};

void vs_sim_chair_init(struct vs_sim_chair *c, const struct vs_chair_setup *setup);
/* Play the present second and go on to the next. */
void vs_sim_chair_second(struct vs_sim_chair *c, struct vs_second *ret);
