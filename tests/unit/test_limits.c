/* Limit sets: what extends what, what a rule becomes, and where a wrong one is refused. */
#include "config_files.h"

#include <errno.h>

#include "config/limits.h"

#define SET "sets:\n  - name: mine\n    rules:\n      - "
#define OURS "sets:\n  - name: mine\n    extends: ketamine-adult\n    rules:\n      - "
#define SPO2 "id: x, metric: spo2, when: below, priority: high"
#define DRIFT(id)                                                                                                              \
	"{ id: " id ", type: drift, metric: hr, log_only: true, drift: { block: 10s, block_min: 6, weight: 0.02, "             \
	"scale_least: 2, allowance: 0.5, fire: 8, departure: \"15%\" } }\n"
#define SBP "id: x, metric: nibp_sys, when: above, priority: high"

static struct vs_limit_sets *load(const char *text)
{
	struct vs_findings f = { 0 };
	struct vs_limit_sets *sets = NULL;
	const char *file = text ? put_file("limits.yaml", text) : NULL;
	int r = vs_limits_load(&file, text ? 1 : 0, &sets, &f);
	vs_findings_print(&f, stderr);
	vs_findings_clear(&f);
	assert_int_equal(r, 0);
	return sets;
}

static const struct vs_rule *rule(const struct vs_limit_sets *sets, const char *set, const char *id)
{
	const struct vs_rule *r = vs_rule_find(vs_limits_find(sets, set), id);
	if (!r)
		fail_msg("no rule %s in %s", id, set);
	return r;
}

static void the_set_that_ships_is_sound(void **state)
{
	(void)state;
	struct vs_limit_sets *sets = load(NULL);
	const struct vs_limit_set *s = vs_limits_find(sets, "ketamine-adult");
	assert_string_equal(vs_limits_name(sets, 0), "ketamine-adult");
	assert_int_equal(strlen(vs_limits_hash(sets, "ketamine-adult")), 64);
	assert_null(vs_limits_hash(sets, "other"));
	assert_null(vs_limits_find(sets, "other"));

	/* Spot checks against the clinical tables D0 to D4 and E. */
	const struct vs_rule *r = rule(sets, "ketamine-adult", "sbp-hi-crit");
	assert_true(r->type == VS_RULE_THRESHOLD && r->metric == VS_NIBP_SYS && r->when == VS_WHEN_GE);
	assert_true(r->limit.kind == VS_LIMIT_PLAIN && r->limit.value == 180 && r->clear == 170);
	assert_true(r->priority == VS_PRIORITY_HIGH && r->latch == VS_LATCH_YES && r->confirm == 1);
	assert_int_equal(r->phases, VS_PHASES_USUAL);
	r = rule(sets, "ketamine-adult", "sbp-hi");
	assert_true(r->limit.kind == VS_LIMIT_FACTOR && r->limit.value == 1.3);
	assert_true(r->limit.at_least == 150 && r->limit.at_most == 165 && r->hysteresis == 5 && r->confirm == 2);
	r = rule(sets, "ketamine-adult", "hr-lo");
	assert_true(r->low_baseline == 60 && r->low_limit.kind == VS_LIMIT_OFFSET && r->low_limit.value == -10);
	assert_true(r->low_limit.at_least == 42 && r->on_delay_ms == 10000 && r->off_delay_ms == 15000);
	r = rule(sets, "ketamine-adult", "spo2-lo");
	assert_true(r->n_steps == 1 && r->steps[0].to == VS_PRIORITY_HIGH && r->steps[0].after_ms == 60000);
	r = rule(sets, "ketamine-adult", "loc-low");
	assert_true(r->n_steps == 2 && r->steps[0].phases == VS_PHASE_BIT(VS_PHASE_INFUSION) && r->steps[1].at == 1);
	r = rule(sets, "ketamine-adult", "hr-drop");
	assert_true(r->type == VS_RULE_DROP && r->drop.to_factor == 0.75 && r->drop.from_ms == 180000);
	assert_string_equal(r->request, "nibp-now");
	r = rule(sets, "ketamine-adult", "vasovagal");
	assert_string_equal(r->fall.rule, "hr-drop");
	r = rule(sets, "ketamine-adult", "spo2-trend");
	assert_true(r->trend.slope == -0.8 && r->trend.level.value == 95 && r->trend.block_ms == 10000);
	assert_true(r->trend.points_min == 14 && r->trend.points_max == 18 && r->trend.n_ends_with == 2);
	assert_true(s->validity.median_ms == 5000 && s->validity.median_min == 3 && s->validity.jump == 40);
	assert_true(s->validity.range[VS_SPO2].low == 30 && s->validity.n_suspect == 2);
	assert_int_equal(s->cadence.nibp_ms[VS_PHASE_PAUSED], 180000);
	assert_int_equal(s->announcing.unacknowledged_ms[VS_PRIORITY_HIGH], 60000);
	assert_true(s->bounds.at[VS_NIBP_SYS].high == 220 && s->bounds.at[VS_SPO2].low == 80);
	vs_limits_free(sets);
}

static void rules_replace_change_and_add(void **state)
{
	(void)state;
	struct vs_limit_sets *sets =
		load("sets:\n"
		     "  - name: mine\n"
		     "    extends: ketamine-adult\n"
		     "    rules:\n"
		     "      - { id: spo2-lo, metric: spo2, when: below, limit: 91, priority: high }\n"
		     "      - { id: spo2-lo-crit, limit: 86 }\n"
		     "      - { id: sbp-hi, clear: 140 }\n"
		     "      - { id: hr-up, enabled: false }\n"
		     "      - { id: rr-lo, metric: rr, when: \"<=\", limit: 8, priority: medium }\n"
		     "  - name: theirs\n"
		     "    extends: mine\n"
		     "    rules: [ { id: hr-up, enabled: true } ]\n"
		     "  - name: alone\n"
		     "    rules: [ { id: a, metric: hr, when: \">\", limit: 120, priority: low } ]\n");
	unsigned shipped = vs_limits_find(sets, "ketamine-adult")->n_rules;
	const struct vs_rule *r = rule(sets, "mine", "spo2-lo");
	assert_true(r->limit.value == 91 && r->on_delay_ms == 0 &&
		    r->n_steps == 0); /* replaced: nothing is inherited */
	r = rule(sets, "mine", "spo2-lo-crit");
	assert_true(r->limit.value == 86 && r->on_delay_ms == 10000 && r->latch == VS_LATCH_YES); /* changed */
	r = rule(sets, "mine", "sbp-hi");
	assert_true(r->clear == 140 && isnan(r->hysteresis)); /* the other way of clearing steps back */
	assert_false(rule(sets, "mine", "hr-up")->enabled);
	assert_true(rule(sets, "mine", "rr-lo")->when == VS_WHEN_LE);
	assert_int_equal(vs_limits_find(sets, "mine")->n_rules, shipped + 1);
	assert_true(rule(sets, "theirs", "hr-up")->enabled);
	assert_true(rule(sets, "theirs", "spo2-lo")->limit.value == 91);
	assert_true(rule(sets, "ketamine-adult", "spo2-lo")->limit.value == 90); /* untouched by who extends it */

	const struct vs_limit_set *alone = vs_limits_find(sets, "alone");
	assert_int_equal(alone->n_rules, 1);
	assert_true(alone->bounds.at[VS_HR].high == 180);
	assert_true(alone->validity.median_ms == 5000);          /* judged by medians, as in the set that ships */
	assert_string_equal(alone->validity.jump_waived_by, ""); /* whose rule it does not have */
	assert_string_equal(alone->version, vs_limits_hash(sets, "alone"));
	vs_limits_free(sets);
}

static void validity_and_cadence_change_by_key(void **state)
{
	(void)state;
	struct vs_limit_sets *sets = load(
		"sets:\n  - name: mine\n    version: spring\n    validity: { median: 9s, range: { hr: [25, 250] } }\n"
		"    cadence: { nibp: { infusion: 3min } }\n    announcing: { pause: 60s, unacknowledged: { high: 30s "
		"} }\n");
	const struct vs_limit_set *s = vs_limits_find(sets, "mine");
	assert_string_equal(s->version, "spring");
	assert_true(s->validity.median_ms == 9000 && s->validity.median_min == 3);
	assert_true(s->validity.range[VS_HR].low == 25 && s->validity.range[VS_PR].low == 20);
	assert_true(s->cadence.nibp_ms[VS_PHASE_INFUSION] == 180000 && s->cadence.nibp_ms[VS_PHASE_RECOVERY] == 600000);
	assert_true(s->announcing.pause_ms == 60000 && s->announcing.pause_most_ms == 120000);
	assert_true(s->announcing.unacknowledged_ms[VS_PRIORITY_HIGH] == 30000);
	assert_int_equal(s->n_rules, 0);
	vs_limits_free(sets);
}

static void the_hash_follows_what_a_set_stands_on(void **state)
{
	(void)state;
	char first[65], base[65];
	struct vs_limit_sets *sets = load("sets: [ { name: mine, extends: ketamine-adult } ]\n");
	snprintf(first, sizeof first, "%s", vs_limits_hash(sets, "mine"));
	snprintf(base, sizeof base, "%s", vs_limits_hash(sets, "ketamine-adult"));
	vs_limits_free(sets);
	sets = load("sets: [ { name: mine, extends: ketamine-adult } ]\n\n");
	assert_string_not_equal(vs_limits_hash(sets, "mine"), first);
	assert_string_equal(vs_limits_hash(sets, "ketamine-adult"), base);
	vs_limits_free(sets);
}

static const struct {
	const char *text;
	unsigned line;
	const char *words, *why;
} wrong[] = {
	{ "sets: []\n", 1, "`sets` has 0 entries", "no set" },
	{ "sets:\n  - rules: []\n", 2, "`name` is missing", "a set without a name" },
	{ "sets:\n  - name: My Clinic\n", 2, "`name` is \"My Clinic\"", "capitals and a space" },
	{ "sets:\n  - name: a\n  - name: a\n", 3, "limit set \"a\" is there already (", "a set twice" },
	{ "sets:\n  - name: ketamine-adult\n", 2, "choose another name and `extends` it",
	  "the name of the set that ships" },
	{ "sets:\n  - name: a\n    extends: b\n", 3, "there is no limit set \"b\"; it must be one of: ketamine-adult",
	  "extends what is not there" },
	{ "sets:\n  - name: a\n    extends: ketamin-adult\n", 3, "did you mean \"ketamine-adult\"?", "a slip" },
	{ "sets:\n  - name: a\n    extends: a\n", 3, "there is no limit set \"a\"", "extends itself" },
	{ "sets:\n  - name: a\n    extends: b\n  - name: b\n    extends: a\n", 5, "extends it in turn", "a circle" },
	{ "outer_bounds: { hr: { high: 250 } }\nsets: [ { name: a } ]\n", 1,
	  "`outer_bounds` stand in the file that ships", "bounds moved by a clinic" },

	/* a rule */
	{ SET "{ metric: hr, when: above, limit: 120, priority: low }\n", 4, "`id` is missing", "no id" },
	{ SET "{ id: A b, metric: hr, when: above, limit: 120, priority: low }\n", 4, "`id` is \"A b\"", "a bad id" },
	{ SET "{ id: x, metric: hr, when: above, limit: 120, priority: low }\n      - { id: x, metric: hr, when: "
	      "above, limit: 130, "
	      "priority: low }\n",
	  5, "rule \"x\" stands here twice (first in line 4)", "a rule twice" },
	{ OURS "{ id: hr-upp, enabled: false }\n", 5, "did you mean \"hr-up\"?", "switches off what is not there" },
	{ SET "{ id: x, metric: nibp, when: above, limit: 120, priority: low }\n", 4, "one of: hr, pr, spo2",
	  "an unknown metric" },
	{ SET "{ id: x, metric: cuff_pressure, when: above, limit: 120, priority: low }\n", 4, "one of: hr, pr, spo2",
	  "a metric that no rule judges" },
	{ SET "{ id: x, metric: hr, when: >=, limit: 120, priority: low }\n", 4, "write \">\" or \">=\"",
	  ">= without quotes" },
	{ SET "id: x\n        metric: hr\n        when: >\n        limit: 120\n        priority: low\n", 6,
	  "`when` is > without quotes", "> in a line of its own" },
	{ SET "{ id: x, metric: hr, when: above, limit: 120, priority: low, text: {value} is high }\n", 4,
	  "a text that begins with {", "a brace without quotes" },
	{ SET "{ id: x, metric: hr, when: above, limit: [ 120 ], priority: low }\n", 4, "a number, or a mapping",
	  "a list as limit" },
	{ SET "{ id: x, metric: hr, when: over, limit: 120, priority: low }\n", 4, "`when` is \"over\"",
	  "an unknown comparison" },
	{ SET "{ id: x, metric: hr, when: rising, limit: 120, priority: low }\n", 4, "are for `type: trend`",
	  "a threshold that rises" },
	{ SET "{ id: x, metric: hr, when: above, limit: 120, priority: urgent }\n", 4, "one of: high, medium, low",
	  "an unknown priority" },
	{ SET "{ id: x, metric: hr, limit: 120, priority: low }\n", 4,
	  "`when` is missing; a rule of type threshold needs it", "no comparison" },
	{ SET "{ id: x, metric: hr, when: above, priority: low }\n", 4, "`limit` is missing", "no limit" },
	{ SET "{ id: x, metric: hr, when: above, limit: 120 }\n", 4, "`priority` is missing", "no priority" },
	{ SET "{ id: x, type: threshold, when: above, limit: 120, priority: low }\n", 4, "`metric` is missing",
	  "no metric" },
	{ SET "{ id: x, type: treshold, metric: hr, when: above, limit: 120, priority: low }\n", 4,
	  "did you mean \"threshold\"?", "an unknown type" },
	{ SET "{ " SPO2 ", limit: 90, confirm: 0 }\n", 4, "from 1 to 30", "confirm 0" },
	{ SET "{ " SPO2 ", limit: 90, confirm: 31 }\n", 4, "from 1 to 30", "confirm 31" },
	{ SET "{ " SPO2 ", limit: 90, on_delay: 15 }\n", 4, "`on_delay` is \"15\"; it must be a duration", "15 what?" },
	{ SET "{ " SPO2 ", limit: 90, on_delay: 1h }\n", 4, "600s", "a delay of an hour" },
	{ SET "{ " SPO2 ", limit: 90, hysteresis: 2, clear: 92 }\n", 4, "`clear` beside `hysteresis`",
	  "two ways to clear" },
	{ SET "{ " SPO2 ", limit: 90, hysteresis: -2 }\n", 4, "must not be negative", "a negative hysteresis" },
	{ SET "{ " SPO2 ", limit: 90, clear: 88 }\n", 4, "`clear` 88 lies beyond the limit 90", "over while it holds" },
	{ SET "{ " SPO2 ", limit: 90, latch: maybe }\n", 4, "one of: true, false, high", "latch maybe" },
	{ SET "{ " SPO2 ", limit: 90, enabled: maybe }\n", 4, "true or false", "enabled maybe" },
	{ SET "{ " SPO2 ", limit: 90, phases: [ infusion, lunch ] }\n", 4, "one of: none, screening",
	  "an unknown phase" },
	{ SET "{ " SPO2 ", limit: 90, phases: infusion }\n", 4, "must be a list", "a phase without brackets" },
	{ SET "{ " SPO2 ", limit: 90, text: \"is {saturation}\" }\n", 4, "only {value}, {limit} and {device}",
	  "an unknown brace" },
	{ SET "{ id: x, metric: hr, when: above, limit: 120, priority: high, escalate: { to: low, after: 60s } }\n", 4,
	  "no escalation", "an escalation downwards" },
	{ SET "{ id: x, metric: hr, when: above, limit: 120, priority: low, escalate: { to: high } }\n", 4,
	  "neither `after` nor `at`", "escalates when?" },
	{ SET "{ id: x, metric: hr, when: above, limit: 120, priority: low, escalate: [ { after: 60s } ] }\n", 4,
	  "`to` is missing", "escalates to what?" },
	{ SET "{ " SPO2 ", limit: 90, steps: [ { to: low } ] }\n", 4,
	  "`steps` means nothing to a rule of type threshold", "a key of another type" },

	/* limits */
	{ SET "{ " SBP ", limit: high }\n", 4, "`limit` is \"high\"; it must be a number", "a word" },
	{ SET "{ " SBP ", limit: { at_most: 150 } }\n", 4, "or have a `baseline`", "bounds of nothing" },
	{ SET "{ " SBP ", limit: { baseline: 130 } }\n", 4, "a share like \"130%\"", "130 what?" },
	{ SET "{ " SBP ", limit: { baseline: \"130 %\" } }\n", 4, "a share like \"130%\"", "a space" },
	{ SET "{ " SBP ", limit: { baseline: \"130%\", at_least: 170, at_most: 160 } }\n", 4,
	  "`at_least` 170 is above `at_most` 160", "bounds the wrong way round" },
	{ SET "{ " SBP ", limit: { baseline: \"130%\", at_last: 150 } }\n", 4, "did you mean `at_least`?",
	  "a slip in a bound" },

	/* the outer bounds */
	{ SET "{ " SBP ", limit: 221 }\n", 4,
	  "limit 221 of nibp_sys is looser than any set may be; it must be at most 220", "SBP 221" },
	{ SET "{ id: x, metric: nibp_dia, when: \">\", limit: 131, priority: high }\n", 4, "at most 130", "DBP 131" },
	{ SET "{ id: x, metric: hr, when: above, limit: 181, priority: high }\n", 4, "at most 180", "HR 181" },
	{ SET "{ id: x, metric: pr, when: above, limit: 181, priority: high }\n", 4, "at most 180", "PR 181" },
	{ SET "{ id: x, metric: hr, when: below, limit: 29, priority: high }\n", 4, "at least 30", "HR 29" },
	{ SET "{ " SPO2 ", limit: 79 }\n", 4, "at least 80", "SpO2 79" },
	{ SET "{ " SBP ", limit: { baseline: \"130%\", at_most: 230 } }\n", 4, "`at_most` 230 of nibp_sys is looser",
	  "by at_most" },
	{ SET "{ " SBP ", limit: { baseline: \"130%\", at_least: 230 } }\n", 4, "`at_least` 230 of nibp_sys is looser",
	  "by at_least" },
	{ SET "{ " SPO2 ", limit: { baseline: \"-4\", at_least: 70 } }\n", 4, "`at_least` 70 of spo2 is looser",
	  "a low floor" },
	{ OURS "{ id: spo2-lo-crit, limit: 75 }\n", 5, "at least 80", "an inherited rule made looser" },
	{ OURS "{ id: hr-lo, low_baseline: { below: 60, limit: 25 } }\n", 5, "at least 30", "by low_baseline" },
	{ SET "{ id: x, metric: moaas, when: below, limit: 9, priority: low }\n", 4, "can never be measured",
	  "a score of 9" },

	/* other types */
	{ SET "{ id: x, type: drop, metric: hr, priority: low }\n", 4,
	  "`drop` is missing; a rule of type drop needs it", "no numbers" },
	{ SET "{ id: x, type: drop, metric: hr, priority: low, drop: { to: 0.75, clear: \"85%\", from: 3min, until: "
	      "1min } }\n",
	  4, "a share in percent", "0.75 for 75%" },
	{ SET "{ id: x, type: drop, metric: hr, priority: low, drop: { to: \"75%\", clear: \"85%\", from: 1min, until: "
	      "1min } }\n",
	  4, "`until` must be shorter than `from`", "a reference of no time" },
	{ OURS "{ id: x, type: fall-after, metric: nibp_sys, priority: high, fall: { rule: hr-dropp, within: 2min, "
	       "below: 90 } }\n",
	  5, "did you mean \"hr-drop\"?", "after a rule that is not there" },
	{ SET "{ id: x, type: signal-loss, metric: hr }\n", 4, "`steps` is missing", "a signal loss of no priority" },
	{ SET "{ id: x, type: nibp-fail, steps: [ { to: low } ] }\n", 4, "`count` is missing", "how many failures?" },
	{ SET "{ id: x, type: trend, metric: nibp_sys, when: rising, steps: [ { to: low, forecast: 160 } ], trend: { "
	      "window: 20min, "
	      "points: [3, 9], slope: 1, slope_clear: 0.5, forecast: 10min } }\n",
	  4, "`points` must be [at least, newest at most], whole numbers from 2 to 8",
	  "more points than there is room for" },
	{ SET "{ id: x, type: trend, metric: nibp_sys, when: rising, steps: [ { to: low, forecast: 160 } ], trend: { "
	      "window: 20min, "
	      "points: [3, 6], slope: -1, slope_clear: 0.5, forecast: 10min } }\n",
	  4, "`slope` is -1; of a trend that is rising it must be above 0", "rising downwards" },
	{ SET "{ id: x, type: drift, metric: hr, drift: { block: 10s, block_min: 6, weight: 0.02, scale_least: 2, "
	      "allowance: 0.5, fire: "
	      "8, departure: \"15%\" } }\n",
	  4, "write `log_only: true`", "a drift that alarms" },
	{ SET DRIFT("x") "      - " DRIFT("y") "      - " DRIFT("z"), 6, "one drift too many; a set has at most 2 rules of that type",
	  "a third drift would be judged by nobody" },
	{ SET "{ id: x, type: device-offline, log_only: true, steps: [ { to: low, after: 10s } ] }\n", 4,
	  "cannot be for the log alone", "a silent device that hides its signals, too" },

	/* the rest of a set */
	{ "sets:\n  - name: a\n    validity: { median: 5 }\n", 3, "`median` is \"5\"", "5 what?" },
	{ "sets:\n  - name: a\n    validity: { range: { hr: [ 300, 20 ] } }\n", 3, "[lowest, highest]",
	  "the wrong way round" },
	{ "sets:\n  - name: a\n    validity: { range: { hr: [ 20 ] } }\n", 3, "has 1 entries; it must have 2",
	  "half a range" },
	{ "sets:\n  - name: a\n    cadence: { nibp_least: 20min }\n", 3, "longer than `nibp_most`",
	  "least above most" },
	{ "sets:\n  - name: a\n    announcing: { pause: 5min }\n", 3, "`pause` is \"5min\"",
	  "silence for five minutes" },
};

static void every_wrong_set_is_refused_at_its_line(void **state)
{
	(void)state;
	unsigned bad = 0;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct vs_findings f = { 0 };
		struct vs_limit_sets *sets = NULL;
		const char *file = put_file("limits.yaml", wrong[i].text);
		int r = vs_limits_load(&file, 1, &sets, &f);
		bad += !is_finding(&f, "limits.yaml", wrong[i].line, wrong[i].words, wrong[i].why) || r != -EINVAL;
		vs_findings_clear(&f);
		vs_limits_free(sets);
	}
	assert_int_equal(bad, 0);
}

/* What stands exactly on an outer bound is allowed. */
static void the_outer_bounds_themselves_are_allowed(void **state)
{
	(void)state;
	vs_limits_free(load("sets:\n  - name: a\n    rules:\n"
			    "      - { id: a, metric: nibp_sys, when: above, limit: 220, priority: high }\n"
			    "      - { id: b, metric: nibp_dia, when: above, limit: 130, priority: high }\n"
			    "      - { id: c, metric: hr, when: above, limit: 180, priority: high }\n"
			    "      - { id: d, metric: hr, when: below, limit: 30, priority: high }\n"
			    "      - { id: e, metric: spo2, when: below, limit: 80, priority: high }\n"));
}

static void sets_of_several_files_know_each_other(void **state)
{
	(void)state;
	char first[300], second[300];
	snprintf(first, sizeof first, "%s", put_file("limits.yaml", "sets: [ { name: a, extends: b } ]\n"));
	snprintf(second, sizeof second, "%s",
		 put_file("more.yaml", "sets: [ { name: b, rules: [ { " SPO2 ", limit: 90 } ] } ]\n"));
	const char *files[] = { first, second };
	struct vs_findings f = { 0 };
	struct vs_limit_sets *sets = NULL;
	assert_int_equal(vs_limits_load(files, 2, &sets, &f), 0);
	assert_true(rule(sets, "a", "x")->limit.value == 90);
	assert_string_equal(vs_limits_name(sets, 1), "a");
	assert_string_equal(vs_limits_name(sets, 2), "b");
	assert_null(vs_limits_name(sets, 3));
	vs_limits_free(sets);
}

static void a_set_has_room_for_64_rules(void **state)
{
	(void)state;
	char *text = malloc(20000);
	assert_non_null(text);
	size_t len = (size_t)sprintf(text, "sets:\n  - name: a\n    rules:\n");
	for (int i = 0; i < 65; i++)
		len += (size_t)sprintf(text + len,
				       "      - { id: r%d, metric: hr, when: above, limit: 120, priority: low }\n", i);
	struct vs_findings f = { 0 };
	struct vs_limit_sets *sets = NULL;
	const char *file = put_file("limits.yaml", text);
	assert_int_equal(vs_limits_load(&file, 1, &sets, &f), -EINVAL);
	bool good = is_finding(&f, "limits.yaml", 68, "one rule too many; a set has at most 64", "65 rules");
	vs_findings_clear(&f);
	free(text);
	assert_true(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_set_that_ships_is_sound),
		cmocka_unit_test(rules_replace_change_and_add),
		cmocka_unit_test(validity_and_cadence_change_by_key),
		cmocka_unit_test(the_hash_follows_what_a_set_stands_on),
		cmocka_unit_test(every_wrong_set_is_refused_at_its_line),
		cmocka_unit_test(the_outer_bounds_themselves_are_allowed),
		cmocka_unit_test(sets_of_several_files_know_each_other),
		cmocka_unit_test(a_set_has_room_for_64_rules),
	};
	return cmocka_run_group_tests_name("limit sets", tests, make_folder, remove_folder);
}
