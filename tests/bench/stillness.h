/* When the machine itself stood still, for programs that measure lateness.
 *
 * A virtual machine is put aside by its host now and then, all processors at once, for a hundred milliseconds; nothing that
 * runs on it is to blame, and its own clock of stolen time often does not tell.  So there is a witness on each processor: a
 * thread bound to it, with real-time priority, that does nothing but sleep to the next point of a grid of 1 ms.  An ordinary
 * program cannot hold back even one of them.  Where all of them were late at the same moment, the machine stood still.
 *
 * Times are CLOCK_MONOTONIC in ms.  For one program at a time; not for many threads asking. */
#ifndef BENCH_STILLNESS_H
#define BENCH_STILLNESS_H

#include <stdbool.h>

/* Starts the witnesses.  false: no real-time priority is to be had, and then no time counts as stillness. */
bool stillness_watch(void);

/* How much of the time from `from_ms` to `to_ms` the machine stood still, in ms. */
double stillness_within(double from_ms, double to_ms);

/* How often it stood still in this time; a stop counts from 2 ms on. */
unsigned stillness_stops(double from_ms, double to_ms);

#endif
