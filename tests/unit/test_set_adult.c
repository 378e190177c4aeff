/* Every number of the set that ships, as the clinical tables have it: whoever changes one changes it here, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "config/limits.h"

static char out[32768];
static size_t len;

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void put(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	len += (size_t)vsnprintf(out + len, sizeof out - len, format, args);
	va_end(args);
}

static void number(const char *name, double v)
{
	if (!isnan(v) && v != 0)
		put(" %s=%g", name, v);
}

static void seconds(const char *name, uint32_t ms)
{
	if (ms)
		put(" %s=%gs", name, ms / 1000.0);
}

static void limit(const char *name, const struct vs_limit *l)
{
	static const char *const kinds[] = { "", "", "xB", "+B" };
	if (l->kind == VS_LIMIT_NONE)
		return;
	put(" %s=%g%s", name, l->value, kinds[l->kind]);
	number("least", l->at_least);
	number("most", l->at_most);
}

static void phases(uint32_t bits)
{
	if (bits == VS_PHASES_USUAL)
		return;
	put(" in:");
	for (unsigned p = 0; p < VS_PHASE_COUNT; p++)
		if (bits & VS_PHASE_BIT(p))
			put("%c", "-sbiprda"[p]);
}

static void steps(const struct vs_rule *r)
{
	for (unsigned i = 0; i < r->n_steps; i++) {
		const struct vs_step *s = &r->steps[i];
		put(" [%s", vs_priority_name(s->to));
		seconds("after", s->after_ms);
		number("intervals", s->intervals);
		number("count", s->count);
		number("at", s->at);
		if (s->phases != VS_PHASES_ALL)
			phases(s->phases);
		for (unsigned k = 0; k < s->n_unless; k++)
			put(" !%s", s->unless[k]);
		put("]");
	}
}

static void trend(const struct vs_trend *t)
{
	if (!t->points_max)
		return;
	put(" trend");
	seconds("window", t->window_ms);
	put(" points=%u-%u", t->points_min, t->points_max);
	seconds("span", t->span_ms);
	seconds("gap", t->pair_gap_ms);
	seconds("block", t->block_ms);
	number("block_min", t->block_min);
	number("slope", t->slope);
	number("clear", t->slope_clear);
	number("cap", t->slope_cap);
	number("concordance", t->concordance);
	number("rise", t->rise);
	limit("level", &t->level);
	seconds("forecast", t->forecast_ms);
	put(" row=%u%s", t->consecutive, t->forecast_counts ? "f" : "");
	number("suspend", t->suspend_intervals);
	seconds("suspend", t->suspend_ms);
	seconds("interval", t->interval_ms);
	for (unsigned k = 0; k < t->n_ends_with; k++)
		put(" !%s", t->ends_with[k]);
}

static void special(const struct vs_rule *r)
{
	if (r->type == VS_RULE_DROP)
		put(" drop %gx at_most=%g clear=%gx %g-%gs", r->drop.to_factor, r->drop.at_most, r->drop.clear_factor,
			r->drop.from_ms / 1000.0, r->drop.until_ms / 1000.0);
	if (r->type == VS_RULE_FALL_AFTER)
		put(" after %s within=%gs below=%g %gx", r->fall.rule, r->fall.within_ms / 1000.0, r->fall.below, r->fall.to_factor);
	if (r->type == VS_RULE_DRIFT)
		put(" drift %gs/%u w=%g s=%g k=%g h=%g by=%g", r->drift.block_ms / 1000.0, r->drift.block_min, r->drift.weight,
			r->drift.scale_least, r->drift.allowance, r->drift.fire, r->drift.departure);
	if (r->type == VS_RULE_BAND)
		put(" band %g sd=%g+%g in %gs z=%g", r->band.rise, r->band.spread_start, r->band.spread_rise,
			r->band.full_ms / 1000.0, r->band.z);
	if (r->type == VS_RULE_FAULT)
		put(" fault=%s", vs_fault_name(r->fault));
	if (r->type == VS_RULE_NIBP_UNCONFIRMED)
		put(" jump=%s", vs_priority_name(r->jump_priority));
}

static void rule(const struct vs_rule *r)
{
	static const char *const when[] = { "", ">=", ">", "<=", "<", "rising", "falling" };
	put("%s %s", r->id, vs_rule_type_name(r->type));
	if (r->metric < VS_METRIC_COUNT)
		put(" %s %s", vs_metrics[r->metric].name, when[r->when]);
	limit("", &r->limit);
	number("under", r->low_baseline);
	limit("low", &r->low_limit);
	put(" %s", vs_priority_name(r->priority));
	if (r->confirm != 1)
		put(" x%u%s", r->confirm, r->promote ? "" : " unpromoted");
	seconds("on", r->on_delay_ms);
	seconds("off", r->off_delay_ms);
	number("hyst", r->hysteresis);
	number("clear", r->clear);
	put("%s", r->latch == VS_LATCH_YES ? " latch" : r->latch == VS_LATCH_HIGH ? " latch-high" : "");
	phases(r->phases);
	if (r->quiet_ms)
		put(" quiet %s %gs", vs_phase_name(r->quiet_phase), r->quiet_ms / 1000.0);
	put("%s%s%s%s", r->request[0] ? " ?" : "", r->request, r->log_only ? " log" : "", r->enabled ? "" : " off");
	seconds("arm", r->cuff_arm_ms);
	steps(r);
	special(r);
	trend(&r->trend);
	put("\n");
}

static void pulse(const char *name, const struct vs_pulse_row *rows, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		put("%s", name);
		number("from", rows[i].from);
		number("above", rows[i].above);
		number("below", rows[i].below);
		number("to", rows[i].to);
		put(" least=%g\n", rows[i].least);
	}
}

static void whole(const struct vs_limit_set *s)
{
	const struct vs_validity *v = &s->validity;
	put("median %g/%u tolerance %g freeze %g stale %g\n", v->median_ms / 1000.0, v->median_min, v->tolerance_ms / 1000.0,
		v->freeze_ms / 1000.0, v->stale_ms / 1000.0);
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++)
		if (!isnan(v->range[m].low))
			put("range %s %g-%g\n", vs_metrics[m].name, v->range[m].low, v->range[m].high);
	pulse("reject", v->pulse_reject, v->n_reject);
	pulse("suspect", v->pulse_suspect, v->n_suspect);
	put("map %g-%g jump %g in %gs of %u waived %g %s\n", v->map_low, v->map_high, v->jump, v->jump_window_ms / 1000.0,
		v->jump_readings, v->jump_waiver, v->jump_waived_by);
	put("suspect %gs agree %g accept %gs confirm %gs promote %gs retry %gs\n", v->suspect_repeat_ms / 1000.0, v->suspect_agree,
		v->suspect_accept_ms / 1000.0, v->confirm_repeat_ms / 1000.0, v->promote_ms / 1000.0, v->fail_retry_ms / 1000.0);
	put("nibp");
	for (unsigned p = 0; p < VS_PHASE_COUNT; p++)
		seconds(vs_phase_name(p), s->cadence.nibp_ms[p]);
	put(" %g-%gs\n", s->cadence.nibp_least_ms / 1000.0, s->cadence.nibp_most_ms / 1000.0);
	put("pause %g most %g again %g %g second %g %g\n", s->announcing.pause_ms / 1000.0, s->announcing.pause_most_ms / 1000.0,
		s->announcing.reannounce_ms[VS_PRIORITY_HIGH] / 1000.0, s->announcing.reannounce_ms[VS_PRIORITY_MEDIUM] / 1000.0,
		s->announcing.unacknowledged_ms[VS_PRIORITY_HIGH] / 1000.0,
		s->announcing.unacknowledged_ms[VS_PRIORITY_MEDIUM] / 1000.0);
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++)
		if (!isnan(s->bounds.at[m].high) || !isnan(s->bounds.at[m].low)) {
			put("bound %s", vs_metrics[m].name);
			number("high", s->bounds.at[m].high);
			number("low", s->bounds.at[m].low);
			put("\n");
		}
	for (unsigned i = 0; i < s->n_rules; i++)
		rule(&s->rules[i]);
}

static const char wanted[] =
#include "tests/unit/set_adult.def"
	;

static void as_the_tables_say(void **state)
{
	struct vs_limit_sets *sets = NULL;
	struct vs_findings findings = { 0 };
	(void)state;
	assert_int_equal(vs_limits_load(NULL, 0, &sets, &findings), 0);
	whole(vs_limits_find(sets, "ketamine-adult"));
	vs_limits_free(sets);
	const char *a = out, *b = wanted;
	while (*a && *b) {
		size_t n = strcspn(a, "\n"), m = strcspn(b, "\n");
		if (n != m || strncmp(a, b, n) != 0)
			print_error("is:     %.*s\nwanted: %.*s\n", (int)n, a, (int)m, b);
		a += n + 1;
		b += m + 1;
	}
	assert_string_equal(out, wanted);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(as_the_tables_say) };
	(void)argv;
	if (argc > 1) { /* to look at it beside the tables */
		struct vs_limit_sets *sets = NULL;
		struct vs_findings findings = { 0 };
		if (vs_limits_load(NULL, 0, &sets, &findings) == 0)
			whole(vs_limits_find(sets, "ketamine-adult"));
		fputs(out, stdout);
		vs_limits_free(sets);
		return 0;
	}
	return cmocka_run_group_tests_name("ketamine-adult", tests, NULL, NULL);
}
