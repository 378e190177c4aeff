/* A recording of raw bytes, read line by line (`vitals-sim --play`, made by `vitalsctl record`).
 *
 * Text: a first line `vitals-recording 1 ...` (anything may follow), then a line `T_MS HEX` for the bytes that came T_MS
 * milliseconds after the start; empty lines and those that begin with # are remarks.  Pure. */
#pragma once
#include <stddef.h>

#define VS_RECORDING_HEADER "vitals-recording 1"
#define VS_RECORDING_LONGEST_MS 1e12 /* three decades */

struct vs_piece {
	double at_ms;
	const char *bytes; /* within the line */
	size_t len;
};

/* One line, changed in place; number counts from 1.  1: a piece; 0: nothing in it; -EBADMSG: *why says what it should
 * be. */
int vs_recording_line(char *line, unsigned number, struct vs_piece *ret, const char **why);
