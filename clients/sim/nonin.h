/* The bytes of a Nonin OEM oximeter, data format 2: 75 frames of 5 bytes a second, 25 frames a packet.
 * Facts: Nonin OEM III and 9560 specifications (frame, status bits, order of the slow values, checksum).  Pure. */
#pragma once
#include "clients/sim/monitor.h"

#define VS_NONIN_FRAME 5
#define VS_NONIN_FRAMES_A_SECOND 75

struct vs_nonin {
	unsigned frame; /* 0-24: the next frame of the packet */
	unsigned packets;
	double beat;             /* 0-1: where in the heart beat */
	unsigned pulse;          /* frames left with perfusion bits */
	struct vs_display shown; /* held for a whole packet */
};

/* The next frame.  now: what the oximeter measures; taken over at the start of a packet. */
void vs_nonin_frame(struct vs_nonin *n, const struct vs_display *now, uint8_t ret[VS_NONIN_FRAME]);
