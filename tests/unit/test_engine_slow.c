/* Monitors that give a value every few seconds: judged by as many samples as the others, never by none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "alarms/engine.h"
#include "config/limits.h"

/* When a rule is raised, seconds after 1000 s, by an oximeter that says 97, and from `from_s` on 80; -1: never. */
static int raised_after(const char *rule, uint32_t period_ms, unsigned from_s)
{
	struct vs_findings findings = { 0 };
	struct vs_limit_sets *sets = NULL;
	assert_int_equal(vs_limits_load(NULL, 0, &sets, &findings), 0);
	uint64_t next = 1;
	struct vs_engine_config config = { .set = vs_limits_find(sets, "ketamine-adult"), .n_devices = 1, .next_alarm = &next };
	config.devices[0].id = "oximeter";
	config.devices[0].period_ms = period_ms;
	struct vs_engine *e = malloc(sizeof *e);
	struct vs_effects *out = malloc(sizeof *out);
	int found = -1;
	vs_engine_init(e, &config, 1000000);
	for (uint64_t ms = 0; ms < 300000 && found < 0; ms += 1000) {
		struct vs_reading r = { .len = 0 };
		struct vs_stimulus s = { .kind = VS_ST_TIME, .at_ms = 1000000 + ms, .reading = &r };
		if (ms % period_ms == 0) {
			vs_reading_add(&r, VS_SPO2, ms / 1000 < from_s ? 97 : 80, 0);
			s.kind = VS_ST_READING;
		}
		vs_engine_step(e, &s, out);
		for (unsigned i = 0; i < out->len; i++)
			if (out->at[i].kind == VS_EFFECT_ALARM && strcmp(out->at[i].u.alarm.rule->id, rule) == 0)
				found = (int)(ms / 1000);
	}
	free(e);
	free(out);
	vs_limits_free(sets);
	vs_findings_clear(&findings);
	return found;
}

static void a_slow_signal_alarms_too(void **state)
{
	(void)state;
	static const struct {
		uint32_t period_ms;
		int earliest, latest;
		const char *why;
	} story[] = {
		{ 1000, 70, 74, "ten seconds below 85, and three samples until the median sees it" },
		{ 2000, 70, 78, "every two seconds: two samples, and the delay" },
		{ 3000, 70, 80, "every three seconds: no longer never" },
		{ 5000, 70, 90, "every five seconds" },
	};
	for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
		int s = raised_after("spo2-lo-crit", story[i].period_ms, 60);
		if (s < story[i].earliest || s > story[i].latest)
			fail_msg("%s: raised after %d s", story[i].why, s);
	}
}

static void one_odd_sample_of_a_slow_signal_is_no_alarm(void **state)
{
	(void)state;
	assert_int_equal(raised_after("spo2-lo-crit", 3000, 298), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slow_signal_alarms_too),
		cmocka_unit_test(one_odd_sample_of_a_slow_signal_is_no_alarm),
	};
	return cmocka_run_group_tests_name("slow signals", tests, NULL, NULL);
}
