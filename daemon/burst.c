#include "daemon/burst.h"

#include <math.h>

#define PI 3.14159265358979323846

/* Between silence and full: a raised cosine over the edges of a pulse. */
static double envelope(size_t i, size_t len)
{
	size_t edge = len * VS_BURST_EDGE_PERCENT / 100, from_end = len - 1 - i;
	size_t d = i < from_end ? i : from_end;
	return d >= edge ? 1 : 0.5 - 0.5 * cos(PI * (double)d / (double)edge);
}

static size_t samples(unsigned ms)
{
	return (size_t)VS_BURST_RATE * ms / 1000;
}

static size_t pulse(int16_t *buf, unsigned ms)
{
	size_t len = samples(ms);
	for (size_t i = 0; i < len; i++) {
		double t = (double)i / VS_BURST_RATE, sum = 0;
		for (int k = 1; k <= VS_BURST_PARTIALS; k++)
			sum += sin(2 * PI * VS_BURST_LOWEST_HZ * k * t);
		buf[i] = (int16_t)(32767 * 0.9 * envelope(i, len) * sum / VS_BURST_PARTIALS);
	}
	return len;
}

static size_t silence(int16_t *buf, unsigned ms)
{
	size_t len = samples(ms);
	for (size_t i = 0; i < len; i++)
		buf[i] = 0;
	return len;
}

static size_t high(int16_t *buf)
{
	size_t n = 0;
	for (int i = 1; i <= VS_BURST_HIGH_PULSES; i++) {
		n += pulse(buf + n, VS_BURST_HIGH_PULSE_MS);
		if (i < VS_BURST_HIGH_PULSES)
			n += silence(buf + n, i == 5 ? VS_BURST_HIGH_FIFTH_MS : i % 5 == 3 ? VS_BURST_HIGH_THIRD_MS :
				VS_BURST_HIGH_SPACE_MS);
	}
	return n;
}

static size_t medium(int16_t *buf)
{
	size_t n = pulse(buf, VS_BURST_MEDIUM_PULSE_MS);
	for (int i = 1; i < VS_BURST_MEDIUM_PULSES; i++) {
		n += silence(buf + n, VS_BURST_MEDIUM_SPACE_MS);
		n += pulse(buf + n, VS_BURST_MEDIUM_PULSE_MS);
	}
	return n;
}

size_t vs_burst(enum vs_priority p, int16_t *buf)
{
	return p == VS_PRIORITY_HIGH ? high(buf) : p == VS_PRIORITY_MEDIUM ? medium(buf) :
		p == VS_PRIORITY_LOW ? pulse(buf, VS_BURST_LOW_PULSE_MS) : 0;
}

unsigned vs_burst_every_ms(enum vs_priority p)
{
	return p == VS_PRIORITY_HIGH ? VS_BURST_HIGH_EVERY_MS : p == VS_PRIORITY_MEDIUM ? VS_BURST_MEDIUM_EVERY_MS :
		p == VS_PRIORITY_LOW ? VS_BURST_LOW_EVERY_MS : 0;
}
