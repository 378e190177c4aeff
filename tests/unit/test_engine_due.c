/* When the engine wants to be woken.  After each script nothing comes any more but time, always at the time that was asked
 * for: every delay, period and age of the tables must end at its own millisecond, and nothing else may ask. */
#include "tests/unit/engine_room.h"

#define B "hr=70,nibp_sys=120,nibp_dia=75,spo2=98" /* an ordinary patient */
#define WAKES 6

/* ---- the set that ships, some of its rules alone ---- */

static const struct due {
	const char *why, *rules, *phase, *script;
	const char *wakes; /* seconds; `*`: something was said then; `-`: nothing is waited for any more */
} dues[] = {
#include "tests/unit/engine_due.def"
};

static bool listed(const char *ids, const char *id)
{
	size_t n = strlen(id);
	for (const char *at = strstr(ids, id); at; at = strstr(at + 1, id))
		if ((at == ids || at[-1] == ' ') && (at[n] == ' ' || !at[n]))
			return true;
	return false;
}

/* What is said from now on, if only time passes; `wake_ms` from the step before. */
static void wait_and_listen(struct vs_engine *e, struct vs_effects *out, uint64_t zero_ms, char *to)
{
	struct vs_stimulus s = { .kind = VS_ST_TIME };
	size_t len = 0;
	for (unsigned i = 0; i < WAKES && out->wake_at_ms != UINT64_MAX; i++) {
		s.at_ms = out->wake_at_ms;
		s.wall_ms = (int64_t)s.at_ms;
		vs_engine_step(e, &s, out);
		len += (size_t)sprintf(to + len, "%s%.7g%s", len ? " " : "", (double)(s.at_ms - zero_ms) / 1000, out->len ? "*" : "");
	}
	sprintf(to + len, "%s%s", len ? " " : "", out->wake_at_ms == UINT64_MAX ? "-" : "...");
}

static void as_the_tables_say(void **state)
{
	const struct due *d = *state;
	struct vs_limit_set set = *adult;
	struct story_run *r = calloc(1, sizeof *r);
	char wakes[128];
	for (unsigned i = 0; i < set.n_rules; i++)
		set.rules[i].enabled = listed(d->rules, set.rules[i].id);
	story_play(r, &set, d->phase, B, d->script);
	wait_and_listen(&r->engine, &r->effects, STORY_EPOCH, wakes);
	if (strcmp(wakes, d->wakes) != 0)
		print_error("%s\n  wanted: %s\n  said:   %s\n", d->why, d->wakes, wakes);
	assert_string_equal(wakes, d->wakes);
	free(r);
}

/* ---- delays of signals, to the millisecond: one rule, a sample at each of these times ---- */

static const struct delay {
	const char *why;
	uint32_t median_ms, on_ms, off_ms;
	struct {
		unsigned at_ms;
		double value;
	} samples[4];
	const char *wakes;
} delays[] = {
	{ "D0.2: the delay runs from the first violation", 60000, 15000, 0, { { 0, 130 }, { 4000, 130 } }, "15* -" },
	{ "... and is over when it comes to its end", 60000, 15000, 0, { { 0, 130 }, { 15000, 130 } }, "-" },
	{ "no violation, no delay", 60000, 15000, 0, { { 0, 120 } }, "-" },
	{ "D0.2: without a median the delay stands still: 1 s of violation, 4 s of nothing", 1000, 15000, 0,
	  { { 0, 130 }, { 5000, 130 } }, "19 -" },
	{ "... for as long as there is none", 1000, 15000, 0, { { 0, 130 }, { 2000, NAN } }, "-" },
	{ "a safe median stops it: nothing is due until the next sample", 1000, 15000, 10000, { { 0, 130 }, { 1000, 100 } }, "-" },
	{ "D0.3: over when it was safe for as long as the off-delay", 1000, 0, 10000, { { 0, 130 }, { 20000, 100 } }, "30 -" },
	{ "... also where the median stays", 60000, 0, 10000, { { 0, 130 }, { 1000, 100 }, { 2000, 100 } }, "11* -" },
	{ "still beyond the limit: nothing is waited for", 60000, 0, 10000, { { 0, 130 }, { 1000, 130 } }, "-" },
};

static void delays_of_signals(void **state)
{
	static const uint64_t starts[] = { STORY_EPOCH, 1000 }; /* long after the clock began, and soon */
	(void)state;
	for (unsigned i = 0; i < COUNT(delays) * COUNT(starts); i++) {
		const struct delay *d = &delays[i / COUNT(starts)];
		const uint64_t start = starts[i % COUNT(starts)];
		struct room *r = bare();
		char wakes[128];
		struct vs_rule *high = rule(r, "high", VS_RR, VS_WHEN_GT, 120, VS_PRIORITY_LOW);
		high->on_delay_ms = d->on_ms;
		high->off_delay_ms = d->off_ms;
		r->set.validity.median_ms = d->median_ms;
		r->set.validity.tolerance_ms = 3000;
		r->set.validity.freeze_ms = 10000;
		begin(r, start);
		for (unsigned k = 0; k < COUNT(d->samples) && (k == 0 || d->samples[k].at_ms); k++) {
			r->now = start + d->samples[k].at_ms;
			value(r, 0, VS_RR, d->samples[k].value);
		}
		wait_and_listen(&r->engine, &r->out, start, wakes);
		if (strcmp(wakes, d->wakes) != 0)
			print_error("%s\n  wanted: %s\n  said:   %s\n", d->why, d->wakes, wakes);
		assert_string_equal(wakes, d->wakes);
		free(r);
	}
}

/* A drop that nobody saw begin is not waited for, soon after the clock began either. */
static void no_drop_is_due(void **state)
{
	static const uint64_t starts[] = { STORY_EPOCH, 1000 };
	(void)state;
	for (unsigned i = 0; i < COUNT(starts); i++) {
		struct room *r = bare();
		char wakes[128];
		struct vs_rule *drop = rule(r, "drop", VS_HR, VS_WHEN_FALLING, NAN, VS_PRIORITY_LOW);
		drop->type = VS_RULE_DROP;
		drop->on_delay_ms = 10000;
		drop->drop = (struct vs_drop){ 0.75, 60, 0.85, 180000, 60000 };
		begin(r, starts[i]);
		value(r, 0, VS_HR, 70);
		wait_and_listen(&r->engine, &r->out, starts[i], wakes);
		assert_string_equal(wakes, "-");
		free(r);
	}
}

/* A device that may be silent for an hour by its nature: from then on. */
static void quiet_by_nature(void **state)
{
	(void)state;
	struct room *r = chair(1);
	char wakes[128];
	r->config.devices[0].quiet_ms = 3600000;
	value(r, 0, VS_RR, 14);
	wait_and_listen(&r->engine, &r->out, r->now, wakes);
	assert_string_equal(wakes, "3610* 3620* 3660* 3720* -");
	free(r);
}

int main(void)
{
	static struct CMUnitTest tests[COUNT(dues) + 3];
	for (unsigned i = 0; i < COUNT(dues); i++)
		tests[i] = (struct CMUnitTest){ .name = dues[i].why, .test_func = as_the_tables_say, .initial_state = (void *)&dues[i] };
	tests[COUNT(dues)] = (struct CMUnitTest)cmocka_unit_test(delays_of_signals);
	tests[COUNT(dues) + 1] = (struct CMUnitTest)cmocka_unit_test(quiet_by_nature);
	tests[COUNT(dues) + 2] = (struct CMUnitTest)cmocka_unit_test(no_drop_is_due);
	return _cmocka_run_group_tests("engine due", tests, COUNT(tests), adult_load, adult_unload);
}
