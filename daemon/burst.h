/* The sound of an alarm: bursts of pulses, made of numbers, in the manner of IEC 60601-1-8.
 *
 * Where the numbers are from: how many pulses, their grouping and how often a burst repeats, clinical table H2 (manuals
 * of vendors; the ranges of the repeats are general knowledge there).  Width, space and rise of a pulse and its partials
 * are general knowledge of what the standard asks, too: its text was not read, and the ranges below are not quoted from
 * it.  Whoever certifies a device compares them first.
 *
 *	high    x x x   x x      x x x   x x     ten pulses, every 10 s
 *	medium  X  X  X                          three, every 25 s
 *	low     X                                one, every 30 s
 *
 * Pure: samples into the caller's buffer. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "alarms/rules.h"

#define VS_BURST_RATE 44100 /* samples a second, one channel, 16 bits */

enum {
	VS_BURST_HIGH_PULSES = 10,
	VS_BURST_HIGH_PULSE_MS = 150,
	VS_BURST_HIGH_SPACE_MS = 100,  /* from the end of a pulse to the next */
	VS_BURST_HIGH_THIRD_MS = 400,  /* after the third and the eighth */
	VS_BURST_HIGH_FIFTH_MS = 700,  /* between the two groups of five */
	VS_BURST_HIGH_EVERY_MS = 10000,
	VS_BURST_MEDIUM_PULSES = 3,
	VS_BURST_MEDIUM_PULSE_MS = 200,
	VS_BURST_MEDIUM_SPACE_MS = 200,
	VS_BURST_MEDIUM_EVERY_MS = 25000,
	VS_BURST_LOW_PULSES = 1,
	VS_BURST_LOW_PULSE_MS = 200,
	VS_BURST_LOW_EVERY_MS = 30000,
	VS_BURST_EDGE_PERCENT = 20, /* rise and fall, of a pulse */
	VS_BURST_LOWEST_HZ = 440,   /* of five partials */
	VS_BURST_PARTIALS = 5,
};

#define VS_BURST_HIGH_MS (VS_BURST_HIGH_PULSES * VS_BURST_HIGH_PULSE_MS + 6 * VS_BURST_HIGH_SPACE_MS + \
	2 * VS_BURST_HIGH_THIRD_MS + VS_BURST_HIGH_FIFTH_MS)
#define VS_BURST_MS_MAX VS_BURST_HIGH_MS
#define VS_BURST_SAMPLES_MAX ((size_t)VS_BURST_RATE * VS_BURST_MS_MAX / 1000)

_Static_assert(VS_BURST_HIGH_PULSE_MS >= 75 && VS_BURST_HIGH_PULSE_MS <= 200, "pulses of high priority: 75 to 200 ms");
_Static_assert(VS_BURST_HIGH_SPACE_MS >= 50 && VS_BURST_HIGH_SPACE_MS <= 125, "their spacing: 50 to 125 ms");
_Static_assert(VS_BURST_HIGH_THIRD_MS >= 2 * VS_BURST_HIGH_SPACE_MS + VS_BURST_HIGH_PULSE_MS,
	"a group of three and a group of two are told apart: two spacings and a pulse");
_Static_assert(VS_BURST_HIGH_FIFTH_MS >= 350 && VS_BURST_HIGH_FIFTH_MS <= 1300,
	"between the groups of five: 0.35 to 1.3 s");
_Static_assert(VS_BURST_MEDIUM_PULSE_MS >= 125 && VS_BURST_MEDIUM_PULSE_MS <= 250,
	"pulses of medium priority: 125 to 250 ms");
_Static_assert(VS_BURST_MEDIUM_SPACE_MS >= 125 && VS_BURST_MEDIUM_SPACE_MS <= 250, "their spacing: 125 to 250 ms");
_Static_assert(VS_BURST_LOW_PULSE_MS >= 125 && VS_BURST_LOW_PULSE_MS <= 250, "pulses of low priority: 125 to 250 ms");
_Static_assert(VS_BURST_EDGE_PERCENT >= 10 && VS_BURST_EDGE_PERCENT <= 40, "rise: 10 to 40 % of the pulse");
_Static_assert(VS_BURST_HIGH_EVERY_MS - VS_BURST_HIGH_MS >= 2500 && VS_BURST_HIGH_EVERY_MS <= 15000,
	"high repeats in 2.5 to 15 s");
_Static_assert(VS_BURST_MEDIUM_EVERY_MS >= 2500 && VS_BURST_MEDIUM_EVERY_MS <= 30000, "medium repeats in 2.5 to 30 s");
_Static_assert(VS_BURST_LOW_EVERY_MS > 15000, "low repeats after more than 15 s");
_Static_assert(VS_BURST_LOWEST_HZ >= 150 && VS_BURST_LOWEST_HZ <= 1000, "the lowest partial: 150 to 1000 Hz");
_Static_assert(VS_BURST_PARTIALS >= 4, "at least four partials, so that one can tell where it comes from");
_Static_assert(VS_BURST_LOWEST_HZ * VS_BURST_PARTIALS * 2 < VS_BURST_RATE, "the partials fit below half the rate");

/* One burst.  Returns how many samples; 0 for VS_PRIORITY_NONE.  buf holds VS_BURST_SAMPLES_MAX. */
size_t vs_burst(enum vs_priority p, int16_t *buf);
/* From the beginning of one burst to that of the next, ms; 0: none. */
unsigned vs_burst_every_ms(enum vs_priority p);
