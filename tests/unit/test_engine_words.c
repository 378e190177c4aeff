/* What the engine says in words and numbers: the bodies of its messages (contract 3), and its answers to "why". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>

#include "alarms/session.h"
#include "tests/unit/adult.h"
#include "tests/unit/story.h"

#define B "hr=70,nibp_sys=120,nibp_dia=75,spo2=98" /* an ordinary patient */

/* ---- messages ---- */

static const struct words {
	const char *why, *phase, *baseline, *script;
	struct {
		double t_s;
		const char *body;
	} wanted[16];
} words[] = {
#include "tests/unit/engine_words.def"
};

static char heard[65536]; /* `T BODY`, a line each */
static size_t heard_len;

/* A reader of these tables sees ' where the wire has ". */
static void put(const char *prefix, char *json)
{
	for (char *c = json; *c; c++)
		if (*c == '"')
			*c = '\'';
	size_t room = sizeof heard - heard_len;
	size_t n = (size_t)snprintf(heard + heard_len, room, "%s%s\n", prefix, json);
	heard_len += n < room ? n : room - 1;
}

static void hear(const struct story_run *r, const struct vs_effect *f)
{
	char body[4096], when[32];
	struct vs_json j = vs_json_into(body, sizeof body);
	(void)r;
	vs_json_open(&j, '{');
	vs_effect_body(&j, f);
	vs_json_close(&j, '}');
	snprintf(when, sizeof when, "%.3f ", (double)(f->at_ms - STORY_EPOCH) / 1000);
	put(when, body);
}

static bool was_heard(double t_s, const char *body)
{
	char line[4096];
	snprintf(line, sizeof line, "%.3f %s\n", t_s, body);
	const char *at = strstr(heard, line);
	return at && (at == heard || at[-1] == '\n');
}

static void messages(void **state)
{
	const struct words *w = *state;
	struct story_run *r = calloc(1, sizeof *r);
	unsigned missing = 0;
	r->hear = hear;
	heard_len = 0;
	heard[0] = '\0';
	story_play(r, adult, w->phase, w->baseline, w->script);
	for (unsigned i = 0; i < COUNT(w->wanted) && w->wanted[i].body; i++)
		if (!was_heard(w->wanted[i].t_s, w->wanted[i].body)) {
			print_error("%s: not said: %.3f %s\n", w->why, w->wanted[i].t_s, w->wanted[i].body);
			missing++;
		}
	if (missing)
		print_error("said:\n%s", heard);
	free(r);
	assert_int_equal(missing, 0);
}

/* ---- answers ---- */

static const struct answer {
	const char *why, *phase, *baseline, *script;
	unsigned t;
	const char *question; /* explain N, why, limits */
	const char *parts[5]; /* must stand in the answer */
} answers[] = {
#include "tests/unit/engine_answers.def"
};

static const struct answer *asked;

static void ask(struct story_run *r, unsigned t)
{
	static char text[32768];
	struct vs_json j = vs_json_into(text, sizeof text);
	uint64_t at = STORY_EPOCH + t * 1000ull;
	if (t != asked->t)
		return;
	vs_json_open(&j, '{');
	if (strncmp(asked->question, "explain ", 8) == 0)
		assert_int_equal(vs_engine_explain(&r->engine, strtoull(asked->question + 8, NULL, 10), &j), 0);
	else if (strcmp(asked->question, "why") == 0)
		vs_engine_why(&r->engine, at, (int64_t)at, &j);
	else
		vs_engine_limits(&r->engine, &j);
	vs_json_close(&j, '}');
	assert_false(vs_json_failed(&j));
	put("", text);
}

static void answer(void **state)
{
	struct story_run *r = calloc(1, sizeof *r);
	asked = *state;
	r->look = ask;
	heard_len = 0;
	heard[0] = '\0';
	story_play(r, adult, asked->phase, asked->baseline, asked->script);
	free(r);
	for (unsigned i = 0; i < COUNT(asked->parts) && asked->parts[i]; i++) {
		if (!strstr(heard, asked->parts[i]))
			print_error("%s: no %s in\n%s", asked->why, asked->parts[i], heard);
		assert_non_null(strstr(heard, asked->parts[i]));
	}
}

/* ---- names and numbers of alarms ---- */

static void numbers_of_alarms(void **state)
{
	static const struct {
		const char *text;
		uint64_t number;
	} ids[] = {
		{ "a-000031", 31 }, { "a-000001", 1 }, { "a-1", 1 }, { "a-1234567", 1234567 }, { "a-0", 0 }, { "a-", 0 }, { "", 0 },
		{ "b-000031", 0 }, { "000031", 0 }, { "a-00003x", 0 }, { "a-0/", 0 }, { "a-0:", 0 }, { "a--1", 0 }, { "a-9", 9 },
		{ "a-1844674407370955160", 1844674407370955160u }, { "a-18446744073709551600", 0 },
		{ "a-0000000000000000031", 31 }, { "a-00000000000000000031", 0 }, /* 21 letters and 22 */
	};
	char text[24];
	(void)state;
	for (unsigned i = 0; i < COUNT(ids); i++) {
		if (vs_alarm_id_parse(ids[i].text) != ids[i].number)
			print_error("%s\n", ids[i].text);
		assert_true(vs_alarm_id_parse(ids[i].text) == ids[i].number);
	}
	assert_string_equal(vs_alarm_id_text(31, text), "a-000031");
	assert_string_equal(vs_alarm_id_text(18446744073709551615u, text), "a-18446744073709551615");
}

/* H2, as data: the same in every client. */
static void signals_as_data(void **state)
{
	static const struct vs_pattern wanted[] = {
		{ "", "none", 0, 0, 0, 0 }, { "*", "cyan", 0, 1, 1, 30 }, { "**", "yellow", 0.6, 0.5, 3, 25 },
		{ "***", "red", 2, 0.5, 10, 10 }, { "", "none", 0, 0, 0, 0 }, { "", "none", 0, 0, 0, 0 },
	};
	(void)state;
	for (unsigned i = 0; i < COUNT(wanted); i++) {
		const struct vs_pattern *p = vs_signal_pattern(i);
		assert_string_equal(p->mark, wanted[i].mark);
		assert_string_equal(p->colour, wanted[i].colour);
		assert_true(p->flash_hz == wanted[i].flash_hz && p->duty == wanted[i].duty && p->pulses == wanted[i].pulses &&
			p->burst_gap_s == wanted[i].burst_gap_s);
	}
}

static void names(void **state)
{
	(void)state;
	assert_null(vs_priority_name(VS_PRIORITY_COUNT));
	assert_string_equal(vs_priority_name(VS_PRIORITY_HIGH), "high");
	assert_null(vs_rule_type_name(VS_RULE_TYPE_COUNT));
	assert_string_equal(vs_rule_type_name(VS_RULE_BAND), "band");
	assert_null(vs_fault_name(VS_FAULT_COUNT));
	assert_string_equal(vs_fault_name(VS_FAULT_LINK), "link");
	assert_null(vs_phase_name(VS_PHASE_COUNT));
	assert_int_equal(vs_phase_by_name("none", 4), VS_PHASE_NONE);
	assert_int_equal(vs_phase_by_name("Aborted", 7), VS_PHASE_ABORTED);
	assert_int_equal(vs_phase_by_name("nonesuch", 8), VS_PHASE_COUNT);
	assert_null(vs_move_name(VS_MOVE_COUNT));
	assert_null(vs_life_name(VS_LIFE_COUNT));
	assert_null(vs_change_name(VS_CHANGE_COUNT));
	assert_string_equal(vs_change_name(VS_CHANGE_CLEARED), "cleared");
	assert_string_equal(vs_when_direction(VS_WHEN_COUNT), "none");
	assert_string_equal(vs_when_direction(VS_WHEN_FALLING), "falling");
	assert_int_equal(vs_priority_by_name("low", 3), VS_PRIORITY_LOW);
	assert_int_equal(vs_priority_by_name("none", 4), VS_PRIORITY_NONE);
	assert_int_equal(vs_rule_type_by_name("threshold", 9), VS_RULE_THRESHOLD);
	assert_int_equal(vs_rule_type_by_name("thresholds", 10), VS_RULE_TYPE_COUNT);
	assert_int_equal(vs_fault_by_name("log", 3), VS_FAULT_LOG);
	assert_int_equal(vs_fault_by_name("logs", 4), VS_FAULT_COUNT);
	assert_int_equal(vs_priority_by_name("lower", 5), VS_PRIORITY_COUNT);
	assert_int_equal(vs_when_by_name("above", 5), VS_WHEN_GE);
	assert_int_equal(vs_when_by_name("falling", 7), VS_WHEN_FALLING);
	assert_int_equal(vs_when_by_name("<", 1), VS_WHEN_LT);
	assert_int_equal(vs_when_by_name("<=", 1), VS_WHEN_LT);
	assert_int_equal(vs_when_by_name("<>", 2), VS_WHEN_COUNT);
	assert_false(vs_when_holds(VS_WHEN_COUNT, 1, 1) || vs_when_holds(VS_WHEN_NONE, 1, 1));
}

int main(void)
{
	static struct CMUnitTest tests[COUNT(words) + COUNT(answers) + 3];
	unsigned n = 0;
	for (unsigned i = 0; i < COUNT(words); i++)
		tests[n++] = (struct CMUnitTest){ .name = words[i].why, .test_func = messages, .initial_state = (void *)&words[i] };
	for (unsigned i = 0; i < COUNT(answers); i++)
		tests[n++] = (struct CMUnitTest){ .name = answers[i].why, .test_func = answer, .initial_state = (void *)&answers[i] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(numbers_of_alarms);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(signals_as_data);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(names);
	return _cmocka_run_group_tests("engine words", tests, n, adult_load, adult_unload);
}
