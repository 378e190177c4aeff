/* The second witness: between a decoder and whoever uses its readings.
 *
 * A check of 8 bits lets one damaged frame in some hundreds pass, a line without any check every changed digit; no look
 * at one frame can do better.  But noise shows itself: for each wrong number that passes, many frames are lost.  So
 * while a line is clean every number passes at once, and while it is noisy a number has to be said twice:
 *
 *	bytes lost after good frames         one damage, however many are lost; frames that fill fewer than APART bytes may
 *	                                     be garbage that looks like them, and part no damage from another
 *	CLOSE damages within WINDOW bytes    noisy: a number passes where one of the last VS_GATE_MEMORY readings of its
 *	                                     metric was the same, or two where it is a leap from the one that passed last;
 *	                                     otherwise it becomes "no value", `questionable`
 *	WINDOW good bytes without damage     clean again
 *
 * Never held: what is missing, words, flags; the values of a protocol with a check of 16 bits or more.  Never dropped: what
 * comes only once, a result of the cuff or of a spot check, stands and is marked `questionable`.  A value that moves on
 * with every frame (a falling saturation) is held for PATIENCE frames, then it passes, marked, while it goes on in
 * small steps.
 *
 * A result of the cuff that the device says again when it is asked, or shows until the next one (vs_plugin.again), is
 * held whole until the next answer says the same, and then passes as one measurement.  When VS_GATE_POLLS polls have
 * brought no witness it comes marked: late, but never lost.  Without polls (bytes of a file) nothing ends the waiting, so
 * it does not begin.
 *
 * Pure; the state is the caller's.  Figures for every protocol: docs/devices.md, section Noise. */
#pragma once
#include "core/plugin.h"

#define VS_GATE_MEMORY 4  /* readings of a metric that can bear witness */
#define VS_GATE_DAMAGES 6 /* most damages that are remembered */
#define VS_GATE_RESULT 4  /* most numbers of a result of the cuff */
#define VS_GATE_POLLS 6   /* that a result waits for its witness */

struct vs_gate {
	unsigned close; /* damages that make a line noisy; 0: nothing is ever held */
	bool spot;      /* what it measures comes once */
	bool lost;      /* bytes were lost since the last good frame */
	bool noisy;
	uint64_t begun; /* good bytes when the last ones were lost, or the line was opened */
	unsigned damages; /* remembered */
	struct {
		uint64_t bytes, frames;
	} damage[VS_GATE_DAMAGES];     /* what was good before each, newest first */
	uint64_t bytes, frames;        /* good so far */
	uint64_t times;                /* the line became noisy */
	uint64_t held, marked;         /* numbers */
	bool repeats, polled; /* its cuff can say a result again; polls come, and end the waiting for it */
	unsigned polls;       /* until the result that waits comes marked; 0: none waits */
	unsigned results;     /* its numbers */
	struct vs_obs result[VS_GATE_RESULT];
	struct {
		uint32_t n;                    /* numbers since the line was opened */
		uint32_t held;                 /* noisy: in a row, up to PATIENCE */
		double passed;                 /* noisy: the last one that passed unmarked */
		double said[VS_GATE_MEMORY];   /* as they came, round and round */
	} metric[VS_METRIC_COUNT];
};

/* What became of a result of the cuff. */
enum vs_gate_result {
	VS_RESULT_NONE,    /* there was none, or nothing is special about it */
	VS_RESULT_HELD,    /* it is wanted again */
	VS_RESULT_SETTLED, /* the one that waited is not wanted any more */
};

void vs_gate_init(struct vs_gate *g, const struct vs_plugin *p);
/* A good frame of so many bytes; before vs_gate_reading where it completes one. */
void vs_gate_frame(struct vs_gate *g, size_t len);
/* Bytes that belong to no frame, or a frame that was rejected. */
void vs_gate_lost(struct vs_gate *g);
/* Judges the numbers of a reading, in place. */
enum vs_gate_result vs_gate_reading(struct vs_gate *g, struct vs_reading *r);
/* A poll has passed.  True: the result that waited has waited long enough; ret is it, marked. */
bool vs_gate_poll(struct vs_gate *g, struct vs_reading *ret);
/* Nothing more can come now.  True: a result waited; ret is it, marked. */
bool vs_gate_settle(struct vs_gate *g, struct vs_reading *ret);
/* The line was closed or went silent: what was said before bears no witness any more.  A result still waits: settle it
 * first. */
void vs_gate_reset(struct vs_gate *g);
/* What to tell an engineer while the line is noisy.  Returns what snprintf does. */
int vs_gate_words(const struct vs_gate *g, char *buf, size_t cap);
