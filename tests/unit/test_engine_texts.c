/* What a person reads of an alarm: the words of its rule with numbers and names filled in, and where they end. */
#include "tests/unit/engine_room.h"

#define DEVICE "0123456789abcdef0123456789abcdef" /* as long as a name can be */
#define X29 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct text {
	const char *why, *text;
	enum vs_metric metric;
	enum vs_when when;
	double limit, value;
	const char *wanted;
} texts[] = {
	{ "value and limit are filled in, and words go on behind them", "{value} of {limit} so far", VS_RASS, VS_WHEN_GE, 3, 4, "* 4 of 3 so far" },
	{ "and may end with them", "so far {limit} {value}", VS_RASS, VS_WHEN_GE, 3, 4, "* so far 3 4" },
	{ "one letter is a text", "!", VS_RASS, VS_WHEN_GE, 3, 4, "* !" },
	{ "a rule without words says its name", "", VS_RASS, VS_WHEN_GE, 3, 4, "* rule" },
	{ "... or what is measured, for whoever does not know the file", "", VS_SPO2, VS_WHEN_LT, 90, 80, "* Oxygen saturation 80, limit 90" },
	{ "other braces are letters", "{value {limits} {devic}", VS_RASS, VS_WHEN_GE, 3, 4, "* {value {limits} {devic}" },
	{ "the device by its name", "{device}, {device}!", VS_SPO2, VS_WHEN_LT, 90, 80, "* " DEVICE ", " DEVICE "!" },
	{ "a score has no device", "{device}", VS_RASS, VS_WHEN_GE, 3, 4, "* the monitor" },
	{ "whole numbers", "{value}/{limit}", VS_SPO2, VS_WHEN_LT, 90, 80, "* 80/90" },
	{ "one digit more where it is needed", "{value}/{limit}", VS_SPO2, VS_WHEN_LT, 90.5, 80.2, "* 80.2/90.5" },
	{ "a temperature has one digit", "{value}/{limit}", VS_TEMP, VS_WHEN_GE, 38, 38.5, "* 38.5/38.0" },
	{ "... or two", "{value}/{limit}", VS_TEMP, VS_WHEN_GE, 38.25, 38.5, "* 38.5/38.25" },
	{ "a perfusion index has two", "{value}/{limit}", VS_PI, VS_WHEN_LT, 0.57, 0.4, "* 0.40/0.57" },
	{ "... or three", "{value}/{limit}", VS_PI, VS_WHEN_LT, 0.575, 0.4, "* 0.40/0.575" },
	{ "1.15 x 120 is 138, whatever a computer makes of it", "{value}/{limit}", VS_RASS, VS_WHEN_GE, 1.15 * 120, 140, "* 140/138" },
	{ "below zero", "{value}/{limit}", VS_RASS, VS_WHEN_LE, -3, -4, "* -4/-3" },
	{ "191 letters have room", "{device}{device}{device}{device}{device}" X29, VS_SPO2, VS_WHEN_LT, 90, 80,
	  "* " DEVICE DEVICE DEVICE DEVICE DEVICE X29 },
	{ "the 192nd has not", "{device}{device}{device}{device}{device}" X29 "y", VS_SPO2, VS_WHEN_LT, 90, 80,
	  "* " DEVICE DEVICE DEVICE DEVICE DEVICE X29 },
};

static void words_of_a_rule(void **state)
{
	const struct text *t = *state;
	struct room *r = bare();
	rule(r, "rule", t->metric, t->when, t->limit, VS_PRIORITY_LOW);
	snprintf(r->set.rules[0].text, sizeof r->set.rules[0].text, "%s", t->text);
	r->config.devices[0].id = DEVICE;
	begin(r, STORY_EPOCH);
	if (t->metric == VS_RASS)
		step(r, (struct vs_stimulus){ .kind = VS_ST_SCORE, .metric = VS_RASS, .value = t->value });
	else
		value(r, 0, t->metric, t->value);
	heard(r, "rule raised");
	assert_string_equal(r->out.at[0].u.alarm.text, t->wanted);
	free(r);
}

static const char *body(const struct vs_effect *f)
{
	static char text[4096];
	struct vs_json j = vs_json_into(text, sizeof text);
	vs_json_open(&j, '{');
	vs_effect_body(&j, f);
	vs_json_close(&j, '}');
	assert_false(vs_json_failed(&j));
	return text;
}

/* An initial is a name, and one letter of advice is advice. */
static void short_words(void **state)
{
	(void)state;
	struct room *r = bare();
	strcpy(rule(r, "rule", VS_SPO2, VS_WHEN_LT, 90, VS_PRIORITY_LOW)->advice, "!");
	begin(r, STORY_EPOCH);
	value(r, 0, VS_SPO2, 80);
	assert_non_null(strstr(body(&r->out.at[0]), "\"advice\":\"!\""));
	assert_null(strstr(body(&r->out.at[0]), "\"by\""));
	step(r, (struct vs_stimulus){ .kind = VS_ST_ACK, .operator = "a" });
	assert_non_null(strstr(body(&r->out.at[0]), "\"by\":\"a\""));
	char why[1024];
	struct vs_json j = vs_json_into(why, sizeof why);
	vs_json_open(&j, '{');
	vs_engine_why(&r->engine, r->now, 0, &j);
	assert_non_null(strstr(why, "\"life\":\"acknowledged\",\"by\":\"a\"}"));
	free(r);
}

/* "Why is it quiet?" names who paused the sound: as the alarms know it that are silent because of it. */
static void who_paused(void **state)
{
	static const struct {
		const char *why, *first_acked, *pausing;
		bool before, latched, after; /* alarms: before the pause, over during it, raised in it */
		const char *by;
	} rows[] = {
		{ "an alarm stood", NULL, "a", true, false, false, "\"audio_paused_by\":\"a\"" },
		{ "... and is over", NULL, "anna", true, true, false, "\"audio_paused_by\":\"anna\"" },
		{ "one was acknowledged before, by another", "berta", "anna", true, false, false, "\"audio_paused_by\":\"anna\"" },
		{ "none stood: nobody is known", NULL, "anna", false, false, false, NULL },
		{ "... nor by what was raised in the pause", NULL, "anna", false, false, true, NULL },
		{ "only one that was acknowledged", "berta", "anna", false, false, false, NULL },
	};
	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct room *r = bare();
		rule(r, "first", VS_SPO2, VS_WHEN_LT, 90, VS_PRIORITY_LOW);
		rule(r, "second", VS_NIBP_SYS, VS_WHEN_GE, 180, VS_PRIORITY_HIGH)->latch = VS_LATCH_YES;
		rule(r, "third", VS_NIBP_DIA, VS_WHEN_GE, 100, VS_PRIORITY_LOW);
		r->set.announcing.pause_ms = 60000;
		begin(r, STORY_EPOCH);
		if (rows[i].first_acked) {
			value(r, 0, VS_SPO2, 80);
			step(r, (struct vs_stimulus){ .kind = VS_ST_ACK, .operator = rows[i].first_acked });
		}
		if (rows[i].before)
			cuff(r, 185, 75, VS_NIBP_NEW);
		step(r, (struct vs_stimulus){ .kind = VS_ST_PAUSE, .operator = rows[i].pausing });
		if (rows[i].latched)
			cuff(r, 120, 75, VS_NIBP_NEW);
		if (rows[i].after)
			cuff(r, 120, 101, VS_NIBP_NEW);
		char why[4096];
		struct vs_json j = vs_json_into(why, sizeof why);
		vs_json_open(&j, '{');
		vs_engine_why(&r->engine, r->now, 0, &j);
		assert_non_null(strstr(why, "\"audio_paused_until\""));
		if (rows[i].by ? !strstr(why, rows[i].by) : strstr(why, "audio_paused_by") != NULL)
			fail_msg("%s: %s", rows[i].why, why);
		free(r);
	}
}

/* What fed an alarm: three readings at most, and none that was not there. */
static void readings_that_counted(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= VS_SEEN_MAX + 1; n++) {
		struct room *r = bare();
		rule(r, "signal", VS_SPO2, VS_WHEN_LT, 90, VS_PRIORITY_LOW)->on_delay_ms = (n - 1) * 1000;
		rule(r, "cuff", VS_NIBP_SYS, VS_WHEN_GE, 150, VS_PRIORITY_LOW)->confirm = n;
		r->set.validity.median_ms = 10000;
		begin(r, STORY_EPOCH);
		for (unsigned i = 0; i < n; i++) {
			r->now += 1000;
			value(r, 0, VS_SPO2, 80 + i);
			heard(r, i + 1 < n ? "" : "signal raised");
			if (i + 1 == n)
				assert_int_equal(r->out.at[0].u.alarm.because.n_seen, n < VS_SEEN_MAX ? n : VS_SEEN_MAX);
			cuff(r, 150 + i, 75, VS_NIBP_NEW);
			heard(r, i + 1 < n ? "" : "cuff raised");
		}
		const struct vs_because *b = &r->out.at[r->out.len - 1].u.alarm.because;
		assert_int_equal(b->n_seen, n < VS_SEEN_MAX ? n : VS_SEEN_MAX);
		for (unsigned i = 0; i < b->n_seen; i++)
			assert_true(b->seen[i] == 150 + n - 1 - i && b->seen_ms[i] == (int32_t)i * 1000);
		free(r);
	}
}

int main(void)
{
	static struct CMUnitTest tests[COUNT(texts) + 3];
	for (unsigned i = 0; i < COUNT(texts); i++)
		tests[i] = (struct CMUnitTest){ .name = texts[i].why, .test_func = words_of_a_rule, .initial_state = (void *)&texts[i] };
	tests[COUNT(texts)] = (struct CMUnitTest)cmocka_unit_test(short_words);
	tests[COUNT(texts) + 1] = (struct CMUnitTest)cmocka_unit_test(readings_that_counted);
	tests[COUNT(texts) + 2] = (struct CMUnitTest)cmocka_unit_test(who_paused);
	return _cmocka_run_group_tests("engine texts", tests, COUNT(tests), adult_load, adult_unload);
}
