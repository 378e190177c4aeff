#include "clients/sim/nonin.h"

#include <math.h>

enum { SYNC = 0x01, GREEN = 0x02, SENSOR_ALARM = 0x08, OUT_OF_TRACK = 0x10, ARTEFACT = 0x20, ALWAYS = 0x80 };

#define FRAMES 25
#define PULSE_FRAMES 12
#define NO_RATE 511
#define NO_SATURATION 127
#define FIRMWARE 0x30

/* The slow value that belongs to a frame; frames count from 1 as in the specification. */
static uint8_t slow_value(const struct vs_nonin *n, unsigned frame)
{
	unsigned rate = n->shown.pr.has ? (unsigned)n->shown.pr.value : NO_RATE;
	unsigned saturation = n->shown.spo2.has ? (unsigned)n->shown.spo2.value : NO_SATURATION;
	switch (frame) {
	case 1:
	case 14:
	case 20:
	case 22:
		return (uint8_t)(rate >> 7 & 3);
	case 2:
	case 15:
	case 21:
	case 23:
		return (uint8_t)(rate & 127);
	case 3:
	case 9:
	case 10:
	case 11:
	case 16:
	case 17:
		return (uint8_t)saturation;
	case 4:
		return FIRMWARE;
	case 6:
		return (uint8_t)(n->packets >> 7 & 127); /* thirds of a second, as packets are */
	case 7:
		return (uint8_t)(n->packets & 127);
	default:
		return 0;
	}
}

/* A pulse wave that rises fast and falls slowly, with the notch of the aortic valve. */
static uint8_t pulse_wave(double beat)
{
	double rise = exp(-pow((beat - 0.18) / 0.09, 2)), fall = 0.45 * exp(-pow((beat - 0.45) / 0.13, 2));
	return (uint8_t)lround(30 + 190 * fmin(rise + fall, 1));
}

static uint8_t status(struct vs_nonin *n)
{
	unsigned s = ALWAYS;
	if (n->frame == 0)
		s |= SYNC;
	if (!n->shown.pr.has)
		return (uint8_t)(s | SENSOR_ALARM | OUT_OF_TRACK);
	if (n->shown.motion)
		s |= ARTEFACT;
	if (n->pulse > 0) {
		n->pulse--;
		s |= GREEN;
	}
	return (uint8_t)s;
}

static void beat(struct vs_nonin *n)
{
	n->beat += n->shown.pr.has ? n->shown.pr.value / 60.0 / VS_NONIN_FRAMES_A_SECOND : 0;
	if (n->beat < 1)
		return;
	n->beat -= floor(n->beat);
	n->pulse = PULSE_FRAMES;
}

void vs_nonin_frame(struct vs_nonin *n, const struct vs_display *now, uint8_t ret[VS_NONIN_FRAME])
{
	if (n->frame == 0)
		n->shown = *now;
	beat(n);
	ret[0] = 0x01;
	ret[1] = status(n);
	ret[2] = n->shown.pr.has ? pulse_wave(n->beat) : 0;
	ret[3] = slow_value(n, n->frame + 1);
	ret[4] = (uint8_t)(ret[0] + ret[1] + ret[2] + ret[3]);
	n->frame = (n->frame + 1) % FRAMES;
	if (n->frame == 0)
		n->packets++;
}
