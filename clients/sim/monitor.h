/* What a bedside monitor makes of a patient: numbers at 1 Hz with noise and dropouts, and cuff measurements that take
 * half a minute, fail, or are wrong.
 *
 * Pure, one call a second.  The cuff draws its noise from the second in which it starts, so that measuring once more
 * changes no other reading. */
#pragma once
#include "clients/sim/patient.h"

/* A number as the monitor shows it; has = false: none. */
struct vs_shown {
	bool has;
	int value;
};

enum vs_cuff_event { VS_CUFF_NOTHING, VS_CUFF_STARTS, VS_CUFF_MEASURED, VS_CUFF_FAILED };

struct vs_cuff {
	uint64_t seed;
	long next_s;    /* when the next measurement starts */
	long started_s; /* -1: idle */
	long done_s;
	bool fails, artefact;
	unsigned failures;                 /* in a row */
	unsigned bad_next;                 /* artefacts that a scenario still owes */
	unsigned fail_next;                /* failures that a scenario still owes */
	unsigned readings;                 /* so far */
	struct vs_shown sys, dia, map, pr; /* of the last one */
};

struct vs_monitor {
	struct vs_random heart, oxygen;
	double fast, slow, drift; /* noise of heart rate, and of saturation */
	double averaged[8];       /* saturation: the device shows a mean of 8 s */
	unsigned averaged_len;
	unsigned doubled_s, missed_s, moved_s; /* seconds left of a fault */
	long story_from_s;                     /* the scenario whose cuff faults have been ordered */
	struct vs_cuff cuff;
};

struct vs_display {
	struct vs_shown hr, pr, spo2, rr;
	double temp, pi;
	bool probe_off, motion, inflating, dead;
	enum vs_cuff_event cuff;
};

void vs_monitor_init(struct vs_monitor *m, uint64_t seed);
/* Start a cuff measurement now, unless one is running. */
void vs_monitor_cuff_now(struct vs_monitor *m, long t_s);
/* One second of measuring; cuff_interval_s: start to start. */
void vs_monitor_second(struct vs_monitor *m, const struct vs_patient *p, long cuff_interval_s, struct vs_display *ret);
