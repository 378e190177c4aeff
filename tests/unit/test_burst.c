/* The burst that is played is the one that alarm messages describe, and the standard's shape is in its samples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "alarms/lifecycle.h"
#include "daemon/burst.h"

#define FRAME (VS_BURST_RATE / 200) /* 5 ms */

/* Stretches of sound; silences of less than 30 ms belong to them. */
static unsigned pulses(const int16_t *samples, size_t n)
{
	unsigned found = 0, quiet = 1000;
	for (size_t at = 0; at + FRAME <= n; at += FRAME) {
		int loudest = 0;
		for (size_t i = 0; i < FRAME; i++)
			loudest = abs(samples[at + i]) > loudest ? abs(samples[at + i]) : loudest;
		found += loudest > 300 && quiet >= 6;
		quiet = loudest > 300 ? 0 : quiet + 1;
	}
	return found;
}

static void sounds_as_the_messages_say(void **state)
{
	(void)state;
	int16_t *samples = calloc(VS_BURST_SAMPLES_MAX, sizeof *samples);
	assert_non_null(samples);
	for (unsigned p = VS_PRIORITY_LOW; p <= VS_PRIORITY_HIGH; p++) {
		const struct vs_pattern *said = vs_signal_pattern(p);
		size_t n = vs_burst(p, samples);
		assert_in_range(n, 1, VS_BURST_SAMPLES_MAX);
		assert_int_equal(pulses(samples, n), said->pulses);
		assert_int_equal(vs_burst_every_ms(p), (unsigned)(said->burst_gap_s * 1000));
	}
	assert_int_equal(vs_burst(VS_PRIORITY_NONE, samples), 0);
	assert_int_equal(vs_burst_every_ms(VS_PRIORITY_NONE), 0);
	free(samples);
}

/* A click at an edge is no pulse: neighbours never differ by more than the highest partial's slope allows. */
static void begins_and_ends_softly(void **state)
{
	(void)state;
	int16_t *samples = calloc(VS_BURST_SAMPLES_MAX, sizeof *samples);
	assert_non_null(samples);
	for (unsigned p = VS_PRIORITY_LOW; p <= VS_PRIORITY_HIGH; p++) {
		size_t n = vs_burst(p, samples);
		int loudest = 0;
		assert_in_range(abs(samples[0]), 0, 50);
		assert_in_range(abs(samples[n - 1]), 0, 50);
		for (size_t i = 0; i < n; i++)
			loudest = abs(samples[i]) > loudest ? abs(samples[i]) : loudest;
		assert_in_range(loudest, 16384, 32767); /* loud, not clipped */
	}
	free(samples);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sounds_as_the_messages_say),
		cmocka_unit_test(begins_and_ends_softly),
	};
	return cmocka_run_group_tests_name("burst", tests, NULL, NULL);
}
