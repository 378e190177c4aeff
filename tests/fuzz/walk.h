/* A patient whose values move as a patient's do, in the bytes of every device: what a decoder should have said of each round
 * of frames is known without asking a decoder.
 *
 * Vital signs walk at random at the device's own rate (saturation one step in ten seconds, rates one in two); every result
 * of a cuff is another one, and a monitor that repeats it has a new one every three minutes.  Layouts are those of the
 * protocol descriptions, written a second time. */
#pragma once
#include "core/plugin.h"

#define WALK_ROUND_MAX 1200

struct walk {
	uint64_t random, rounds;
	double now[VS_METRIC_COUNT];
	uint32_t sent; /* bits 1 << metric: in the round that was put last */
	size_t answer; /* where in it the result of the cuff starts, which can be asked for again */
	const struct walk_device *device;
};

struct walk_device {
	const char *plugin;
	double hz;       /* rounds a second; 0: a round is a measurement of the cuff, or a spot check */
	unsigned frames; /* in a round */
	size_t (*put)(struct walk *w, uint8_t *out);
};

/* NULL: nobody wrote down how this device speaks. */
const struct walk_device *walk_device_of(const char *plugin);
void walk_begin(struct walk *w, const struct walk_device *d);
/* The next round: moves the values, then puts the frames.  Returns their length. */
size_t walk_round(struct walk *w, uint8_t *out);
