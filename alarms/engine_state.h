/* The inside of an engine: plain data without pointers into itself, so that it may be copied, kept and compared.
 * Nobody outside alarms/ reads or writes it.
 *
 * A set has up to 64 rules and a chair up to 16 devices, most have half of the one and two of the other: the places of
 * rules and alarms are the last member, and an engine has as many of them as vs_engine_size says.  So nothing may copy
 * a `struct vs_engine` as a whole (vs_engine_copy does it). */
#pragma once

enum vs_channel { VS_CH_HR, VS_CH_PR, VS_CH_SPO2, VS_CH_RR, VS_CH_TEMP, VS_CH_PI, VS_CH_COUNT };

#define VS_SAMPLES 32      /* of a signal; nearer together than a 32nd of 10 s they share a place */
#define VS_BLOCKS 18       /* medians for trends */
#define VS_HISTORY 181     /* seconds of heart rate for the drop rule */
#define VS_CUFFS 16        /* accepted cuff readings */

/* One signal of the chair. */
struct vs_track {
	double value[VS_SAMPLES];
	uint32_t at[VS_SAMPLES];   /* low 32 bits of the time in ms */
	uint64_t valid_ms;         /* newest valid sample; 0: never */
	uint64_t undefined_ms;     /* no median since; 0: there is one */
	uint64_t gap_ms;           /* without a median just before this instant */
	uint64_t block;            /* number of the block that fills */
	double median;             /* at this instant; NAN: none */
	double blocks[VS_BLOCKS];  /* NAN: missing; index: block number modulo VS_BLOCKS */
	uint32_t block_ms;         /* 0: no trend asks for blocks */
	uint8_t len, head, device;
	uint8_t block_min : 7;     /* VS_SAMPLES + 1: never so many */
	bool block_done : 1;       /* a block was closed at this instant */
};

/* An accepted cuff reading, or the suspect one that waits for its repeat. */
struct vs_cuff {
	uint64_t at_ms;
	double sys, dia, map, pr; /* NAN: not given */
	double hr;                /* m5 at that time; NAN: none */
	uint8_t device;
	bool jump_only;           /* suspect, but nothing within the reading is in doubt */
};

/* An alarm that stands, or is about to be said. */
struct vs_standing {
	uint64_t number;      /* 0: none */
	uint64_t raised_ms;   /* or raised again */
	uint64_t said_ms;     /* last announced */
	int64_t onset_wall_ms;
	double value, limit; /* as announced */
	double latest;
	struct vs_because because;
	uint8_t rule, device, priority, life, change, source;
	bool called;          /* a second person */
	char by[VS_BY_CAP];
};

/* One rule, and the place of its alarm: none ever has to give way to another.  Or one device, and the alarm that it is
 * silent. */
struct vs_rule_state {
	union {
		struct {
			double limit;      /* in force; NAN: rests */
			double own;        /* for this patient; NAN: none */
			uint64_t since_ms; /* violated since, condition since; 0: not */
			uint64_t safe_ms;  /* on the safe side since; 0: not */
			uint64_t raised_ms; /* the last time; 0: never */
		};
		struct vs_heard {
			uint64_t heard_ms;
			double last[4];    /* raw cuff values: sys, dia, map, pr */
		} heard; /* of a device */
	};
	uint32_t frozen_ms;
	uint8_t count;     /* readings or evaluations in a row */
	bool holds;        /* its condition */
	struct vs_standing alarm;
};

struct vs_engine {
	const struct vs_engine_config *config;
	const struct vs_limit_set *set;
	uint64_t now_ms, wake_ms;
	/* Which rules watch in this phase, a bit each: looked through at every step, so that no step walks all rules. */
	struct {
		uint64_t signal, promote, trend, drift, technical, offline;
	} watch;
	int64_t wall_ms;
	uint8_t phase;
	bool unsettled;            /* alarms came back from a restart, maybe without those that covered them */
	uint64_t phase_ms;
	struct vs_baseline baseline;
	uint64_t paused_ms;        /* audio paused until */
	uint32_t own_interval_ms, interval_ms;
	uint64_t asked_ms;         /* when this interval was asked for */
	uint64_t inflating_ms;     /* the cuff works since; 0: not */
	uint64_t deflated_ms;      /* it worked until */
	uint64_t trend_cuff_ms, trend_probe_ms; /* new trend window since */
	uint64_t infusion_ms;      /* the infusion began; 0: not */
	uint8_t fails;             /* cuff attempts in a row */
	bool cuff_seen, has_ecg;
	uint8_t hr_channel;        /* where `hr` comes from now; VS_CH_COUNT: from the cuff, or nowhere */
	struct vs_track track[VS_CH_COUNT];
	double history[VS_HISTORY];
	uint64_t history_s;        /* second of the newest */
	uint8_t n_cuffs;
	struct vs_cuff cuffs[VS_CUFFS]; /* oldest first */
	bool has_suspect;
	struct vs_cuff suspect;
	struct {
		uint64_t since_ms; /* 0: not */
		double value;
	} faults[VS_FAULT_COUNT];
	struct {
		double mean, up, down, scale; /* mean NAN: not begun */
	} drifts[VS_DRIFTS];
	uint64_t standing[2];      /* which of `rules` have an alarm, a bit each */
	/* One for each rule of the set, then one for each device.  Those that set and devices do not need lie beyond
	 * vs_engine_size, and are not there. */
	struct vs_rule_state rules[VS_ENGINE_ALARMS];
};
_Static_assert(VS_ENGINE_ALARMS <= 128, "a bit each");
