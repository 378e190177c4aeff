/* A clinic's preset file: what is added, what is replaced, and every slip with its line. */
#include <stdlib.h>
#include <unistd.h>

#include "session_room.h"

struct file {
	char name[64];
};

static void write_file(struct file *f, const char *text)
{
	snprintf(f->name, sizeof f->name, "/tmp/presets-XXXXXX");
	int fd = mkstemp(f->name);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static int load(const char *text, struct vs_session_data **ret, struct vs_findings *findings)
{
	struct file f;
	write_file(&f, text);
	const char *names[] = { f.name };
	int r = vs_presets_load(names, 1, ret, findings);
	unlink(f.name);
	return r;
}

static const struct {
	const char *text;
	unsigned line;
	const char *says;
} slips[] = {
	{ "presets:\n  - id: X1\n    name: x\n    title: t\n    dose: 0.5 mg/kg/h\n    over: 40 min\n    recovery: 30 min\n", 5,
	  "`dose` is \"0.5 mg/kg/h\"" },
	{ "presets:\n  - id: X1\n    name: x\n    title: t\n    rate: 20 mg/kg\n    over: 40 min\n    recovery: 30 min\n", 5,
	  "with the unit mg/kg/h|mg/h" },
	{ "presets:\n  - id: X1\n    name: x\n    title: t\n    dose: 0.5\n    over: 40 min\n    recovery: 30 min\n", 5,
	  "it must be a number" },
	{ "presets:\n  - id: X1\n    name: x\n    title: t\n    dose: 1 to 0.5 mg/kg\n    over: 40 min\n    recovery: 30 min\n", 5,
	  "`dose` is" },
	{ "presets:\n  - id: X1\n    name: x\n    title: t\n    dose: 0 mg/kg\n    over: 40 min\n    recovery: 30 min\n", 5,
	  "`dose` is" },
	{ "presets:\n  - id: X1\n    name: x\n    title: t\n    dose: 0.5 mg/kg\n    recovery: 30 min\n", 2, "no `over`" },
	{ "presets:\n  - id: X1\n    name: x\n    title: t\n    dose: 0.5 mg/kg\n    over: 40 min\n", 2, "no `recovery`" },
	{ "presets:\n  - id: X1\n    name: x\n    title: t\n    dose: 0.5 mg/kg\n    over: 200 h\n    recovery: 30 min\n", 6,
	  "`over` is \"200 h\"; it must be from 1 min to 168 h" },
	{ "presets:\n  - id: X1\n    name: x\n    title: t\n    dose: 0.5 mg/kg\n    over: 1 h\n    recovery: 9999999999999999999 h\n", 7,
	  "`recovery` is" },
	{ "presets:\n  - id: X1\n    name: x\n    title: t\n    dose: 0.5 mg/kg\n    over: 1 h\n    recovery: 30 min\n"
	  "    cuff_at: 0.5 min\n", 8, "`cuff_at` is" },
	{ "presets:\n  - id: X1\n    name: x\n    title: t\n    dose: 0.5 mg/kg\n    over: 1 h\n    recovery: 30 min\n"
	  "    series: 66666666663\n", 8, "`series` is" },
	{ "presets:\n  - id: X1\n    name: x\n    title: t\n    dose: 0.5 mg/kg\n    over: 1 h\n    recovery: 30 min\n"
	  "    series: 2.5\n", 8, "`series` is" },
	{ "presets:\n  - id: X1\n    name: x\n    title: t\n    recovery: 30 min\n", 2, "neither `dose` nor `rate`" },
	{ "presets:\n  - id: X1\n    name: x\n    title: t\n    no_pump: true\n    dose: 1 mg/kg\n    over: 1 h\n"
	  "    recovery: 30 min\n", 2, "`no_pump: true` and a dose" },
	{ "presets:\n  - id: X1\n    name: x\n    title: t\n    dose: 1 mg/kg\n    rate: 20 mg/h\n    over: 1 h\n"
	  "    recovery: 30 min\n", 2, "together only as" },
	{ "presets:\n  - id: X1\n    name: x\n    title: t\n    dose: 2.5 mg/kg\n    over: 1 h\n    recovery: 30 min\n", 2,
	  "above the hard limit" },
	{ "presets:\n  - id: X1\n    name: P1\n    title: t\n    dose: 0.5 mg/kg\n    over: 1 h\n    recovery: 30 min\n", 2,
	  "is that of P1" },
	{ "presets:\n  - id: X1\n    nmae: x\n    title: t\n    dose: 0.5 mg/kg\n    over: 1 h\n    recovery: 30 min\n", 3, "nmae" },
	{ "presets:\n  - id: X 1\n    name: x\n    title: t\n    no_pump: true\n    recovery: 30 min\n", 2, "`id` is \"X 1\"" },
	{ "presets:\n  - id: X1\n    name: x\n    title: t\n    no_pump: true\n    recovery: 30 min\n"
	  "  - id: X1\n    name: y\n    title: t\n    no_pump: true\n    recovery: 30 min\n", 7, "stands here twice" },
	{ "gates:\n  G2: { sys_warn: 240 }\n", 2, "from 110 to 180" },
	{ "gates:\n  G2: { sys_wran: 140 }\n", 2, "has no `sys_wran`" },
	{ "gates:\n  G2: { sys_warn: high }\n", 2, "`sys_warn` of G2 is \"high\"" },
	{ "gates:\n  G2: { sys_warn: 170 }\n", 2, "out of order" },
	{ "gates:\n  G1: { within: 15 }\n", 2, "from 2min to 60min" },
	{ "gates:\n  G9: { within: 15min }\n", 2, "G9" },
	{ "gates:\n  G2: 140\n", 2, "G2" },
	{ "screening:\n  - { item: two words, text: t }\n", 2, "one word" },
	{ "screening:\n  - { item: a, text: t }\n  - { item: a, text: t }\n", 3, "twice" },
	{ "presets: 3\n", 1, "presets" },
	{ "just words\n", 1, "" },
};

static void every_slip_has_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(slips); i++) {
		struct vs_session_data *d = NULL;
		struct vs_findings findings = { 0 };
		int r = load(slips[i].text, &d, &findings);
		if (r != -22 || d || findings.len == 0)
			fail_msg("accepted: %s", slips[i].text);
		bool found = false;
		for (unsigned k = 0; k < findings.len; k++)
			found |= findings.at[k].line == slips[i].line && strstr(findings.at[k].text, slips[i].says);
		if (!found)
			fail_msg("%s: found at %u: %s", slips[i].text, findings.at[0].line, findings.at[0].text);
		vs_findings_clear(&findings);
	}
}

static void all_slips_in_one_run(void **state)
{
	struct vs_session_data *d = NULL;
	struct vs_findings findings = { 0 };
	(void)state;
	assert_int_equal(load("presets:\n  - id: X1\n    name: x\n    title: t\n    dose: 0.5 mg/kg/h\n    over: soon\n"
			      "gates:\n  G2: { sys_warn: 999 }\n  G3: { low_warn: many }\n", &d, &findings), -22);
	assert_int_equal(findings.len, 6); /* dose, over, neither dose nor rate, no recovery, and two gates */
	vs_findings_clear(&findings);
}

static void a_clinic_adds_and_replaces(void **state)
{
	struct vs_session_data *d = NULL;
	struct vs_findings findings = { 0 };
	const struct vs_session_data *shipped = *state;
	assert_int_equal(load("presets:\n"
			      "  - { id: P1, name: standard-short, title: ours, dose: 0.4 mg/kg, over: 50 min, recovery: 45 min }\n"
			      "  - { id: OUR-2, name: ours, title: t, rate: 12.5 mg/h, over: 2 h, recovery: 1 h, series: 3 to 5 }\n"
			      "gates:\n  G2: { sys_warn: 135 }\n"
			      "screening:\n  - { item: fasting, text: has not fasted }\n", &d, &findings), 0);
	assert_int_equal(findings.len, 0);
	assert_int_equal(d->n_presets, shipped->n_presets + 1);
	assert_float_equal(vs_preset_find(d, "P1")->dose_high.v, 0.4, 1e-9);
	assert_float_equal(vs_preset_find(d, "P1")->recovery.v, 45, 1e-9);
	assert_float_equal(vs_preset_find(d, "ours")->rate.v, 12.5, 1e-9);
	assert_int_equal(vs_preset_find(d, "OUR-2")->series_high, 5);
	assert_float_equal(d->rules.g2_sys_warn, 135, 1e-9);
	assert_float_equal(d->rules.g2_dia_warn, 90, 1e-9); /* the rest as it ships */
	assert_int_equal(d->checks.len, 1);
	assert_string_equal(d->checks.at[0].item, "fasting");
	vs_presets_free(d);
}

static void files_that_are_none(void **state)
{
	struct vs_session_data *d = NULL;
	struct vs_findings findings = { 0 };
	const char *absent[] = { "/nonexistent/presets.yaml" };
	(void)state;
	assert_int_equal(vs_presets_load(absent, 1, &d, &findings), -22);
	assert_int_equal(findings.len, 1);
	assert_null(d);
	vs_findings_clear(&findings);
}

static void what_ships_is_what_the_table_says(void **state)
{
	static const struct {
		const char *id;
		double recovery;
	} stays[] = { { "P1", 30 }, { "P2", 30 }, { "P3", 30 }, { "P4", 60 }, { "P5", 60 }, { "P6", 60 }, { "P7", 60 },
		{ "P9", 120 }, { "P10", 60 }, { "P11", 60 }, { "P12", 60 }, { "P13", 120 } };
	const struct vs_session_data *d = *state;
	for (size_t i = 0; i < COUNT(stays); i++)
		assert_float_equal(vs_preset_find(d, stays[i].id)->recovery.v, stays[i].recovery, 1e-9);
	assert_true(vs_preset_find(d, "P8")->disabled);
	assert_true(vs_preset_find(d, "P9")->inpatient && vs_preset_find(d, "P13")->no_pump);
	assert_float_equal(vs_preset_find(d, "P9")->rate_step.v, 5, 1e-9);
	assert_float_equal(vs_preset_find(d, "P13")->cuff_at.v, 40, 1e-9);
	assert_int_equal(d->checks.len, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_slip_has_its_line),
		cmocka_unit_test(all_slips_in_one_run),
		cmocka_unit_test(a_clinic_adds_and_replaces),
		cmocka_unit_test(files_that_are_none),
		cmocka_unit_test(what_ships_is_what_the_table_says),
	};
	return cmocka_run_group_tests(tests, room_open, room_close);
}
