/* The screen at the bedside, without a terminal: what it says, how old, in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/chair_view.h"

#define LEN(a) (sizeof(a) / sizeof *(a))

static const char NOW[] = "\"ok\":true,\"time\":\"2026-11-21T22:31:04.000Z\"";

/* A chair with members beside its id, read elapsed_ms after the answer came. */
static void read_chair(struct vs_bedside *b, const char *members, int64_t elapsed_ms)
{
	char text[8192];
	json_error_t e;
	snprintf(text, sizeof text, "{%s,\"chairs\":[{\"chair\":\"chair-9\",\"values\":{\"spo2\":{\"value\":50}}},"
		 "{\"chair\":\"chair-1\",%s}]}", NOW, members);
	json_t *answer = json_loads(text, JSON_REJECT_DUPLICATES, &e);
	assert_non_null(answer);
	vs_bedside_read(b, "chair-1", answer, elapsed_ms);
	json_decref(answer);
}

static void ages_and_clocks_read_well(void **state)
{
	(void)state;
	static const struct {
		int64_t ms;
		const char *age, *clock, *why;
	} story[] = {
		{ 0, "0 s", "0:00:00", "just now" },
		{ -5000, "0 s", "0:00:00", "the daemon's clock was set back: not older than now" },
		{ 1999, "1 s", "0:00:01", "never older than it is by rounding" },
		{ 119999, "119 s", "0:01:59", "seconds up to two minutes" },
		{ 120000, "2 min", "0:02:00", "then minutes" },
		{ 7199999, "119 min", "1:59:59", "up to two hours" },
		{ 432000000, "120 h", "120:00:00", "a session of five days" },
	};
	for (size_t i = 0; i < LEN(story); i++) {
		char buf[24];
		assert_string_equal(vs_bedside_age(story[i].ms, buf, sizeof buf), story[i].age);
		assert_string_equal(vs_bedside_clock(story[i].ms, buf, sizeof buf), story[i].clock);
	}
	char banner[80];
	assert_string_equal(vs_bedside_banner(12000, "no answer", banner, sizeof banner), "NOT CONNECTED since 12 s: no answer");
}

#define AT(s) ",\"time\":\"2026-11-21T22:" s "Z\",\"device\":\"bp\",\"flags\":[]}"

static void a_value_is_shown_only_while_it_is_one(void **state)
{
	(void)state;
	static const struct {
		const char *members;
		int64_t elapsed_ms;
		enum vs_bedside_tile tile;
		const char *label, *number, *age, *note, *limits, *why;
	} story[] = {
		{ "\"values\":{\"spo2\":{\"value\":97" AT("31:02") "},\"limits_in_force\":{\"spo2\":{\"low\":94}}", 0, VS_TILE_SPO2,
		  "SpO2", "97", "2 s", "", "> 94", "a live value with its limit" },
		{ "\"values\":{\"spo2\":{\"value\":97" AT("31:02") "}", 2500, VS_TILE_SPO2, "SpO2", "97", "4 s", "", "",
		  "its age goes on between answers" },
		{ "\"values\":{\"spo2\":{\"value\":97" AT("31:02") "}", 3001, VS_TILE_SPO2, "SpO2", "--", "", "", "",
		  "an answer older than 3 s is no answer" },
		{ "\"values\":{\"spo2\":{\"value\":null,\"last_value\":97,\"time\":\"2026-11-21T22:30:04Z\",\"flags\":[\"stale\"]}}", 0,
		  VS_TILE_SPO2, "SpO2", "--", "60 s", "stale", "", "the last number of a stale signal stays off the screen" },
		{ "\"values\":{\"spo2\":{\"value\":null,\"time\":\"2026-11-21T22:31:04Z\",\"flags\":[\"sensor_off\"]}}", 0, VS_TILE_SPO2,
		  "SpO2", "--", "0 s", "sensor off", "", "why there is none" },
		{ "\"values\":{}", 0, VS_TILE_SPO2, "SpO2", "--", "", "", "", "no such device" },
		{ "\"values\":{\"hr\":{\"value\":71" AT("31:03") ",\"pr\":{\"value\":75" AT("31:03") "},"
		  "\"limits_in_force\":{\"hr\":{\"low\":45,\"high\":120}}", 0, VS_TILE_HR, "HR", "71", "1 s", "", "45-120",
		  "the ECG comes first" },
		{ "\"values\":{\"hr\":{\"value\":null" AT("31:03") ",\"pr\":{\"value\":75" AT("31:03") "}", 0, VS_TILE_HR, "PR", "75",
		  "1 s", "", "", "the oximeter where the ECG has nothing, under its own name" },
		{ "\"values\":{\"hr\":{\"value\":null" AT("31:03") "}", 0, VS_TILE_HR, "HR", "--", "1 s", "", "", "neither" },
		{ "\"values\":{\"nibp_sys\":{\"value\":121" AT("21:04") ",\"nibp_dia\":{\"value\":79" AT("21:04") "},"
		  "\"nibp_interval_s\":300,\"limits_in_force\":{\"nibp_sys\":{\"low\":90,\"high\":180}}", 0, VS_TILE_NIBP, "NIBP",
		  "121/79", "10 min", "", "90-180", "a cuff reading two intervals old" },
		{ "\"values\":{\"nibp_sys\":{\"value\":121" AT("20:03") ",\"nibp_dia\":{\"value\":79" AT("20:03") "},"
		  "\"nibp_interval_s\":300", 0, VS_TILE_NIBP, "NIBP", "--", "11 min", "last 121/79", "",
		  "older than two intervals: no longer the pressure of now" },
		{ "\"values\":{\"nibp_sys\":{\"value\":121" AT("21:04") "}", 0, VS_TILE_NIBP, "NIBP", "121/-", "10 min", "", "",
		  "a monitor without diastolic" },
		{ "\"values\":{\"rpp\":{\"value\":8712" AT("31:00") "},\"limits_in_force\":{\"rpp\":{\"high\":20000}}", 0, VS_TILE_RPP,
		  "RPP", "8712", "4 s", "", "< 20000", "the product" },
	};
	for (size_t i = 0; i < LEN(story); i++) {
		struct vs_bedside b;
		read_chair(&b, story[i].members, story[i].elapsed_ms);
		const struct vs_bedside_number *n = &b.tile[story[i].tile];
		if (strcmp(n->number, story[i].number) || strcmp(n->label, story[i].label) || strcmp(n->age, story[i].age) ||
		    strcmp(n->note, story[i].note) || strcmp(n->limits, story[i].limits))
			fail_msg("%s: %s %s [%s] [%s] [%s]", story[i].why, n->label, n->number, n->age, n->note, n->limits);
		assert_int_equal(n->live, strcmp(story[i].number, "--") != 0);
	}
}

static void without_an_answer_nothing_is_known(void **state)
{
	(void)state;
	struct vs_bedside b;
	vs_bedside_read(&b, "chair-1", NULL, 0);
	assert_false(b.connected);
	assert_int_equal(b.n_alarms, 0);
	for (unsigned i = 0; i < VS_TILE_COUNT; i++)
		assert_string_equal(b.tile[i].number, "--");
	json_t *other = json_pack("{s:b,s:s,s:[]}", "ok", 1, "time", "2026-11-21T22:31:04Z", "chairs");
	vs_bedside_read(&b, "chair-1", other, 0);
	assert_false(b.connected);
	json_decref(other);
}

#define ALARM(p, signal, onset, more, text) "{\"priority\":\"" p "\",\"signal\":\"" signal "\",\"onset\":\"2026-11-21T22:" onset \
	"Z\"," more "\"text\":\"" text "\"}"

static void the_most_urgent_alarm_stands_first(void **state)
{
	(void)state;
	static const char *const want[] = {
		"*** Saturation 80, limit 85, 4 s",
		"*** Systolic pressure 184, limit 180, 60 s",
		"*** Heart rate 150, limit 140, 34 s, acknowledged by anna",
		"** Trend, 2 min, audio paused",
		"** Awake 2, limit 3, 3 min, is over",
		"* Cuff overdue, 1 s",
	};
	struct vs_bedside b;
	read_chair(&b, "\"alarms\":["
		ALARM("low", "on", "31:03", "", "* Cuff overdue") ","
		ALARM("high", "acknowledged", "30:30", "\"by\":\"anna\",\"metric\":\"hr\",", "*** Heart rate 150, limit 140") ","
		ALARM("medium", "audio_paused", "29:00", "\"metric\":\"nibp_map\",", "** Trend") ","
		ALARM("high", "on", "30:04", "\"metric\":\"nibp_sys\",", "*** Systolic pressure 184, limit 180") ","
		ALARM("medium", "on", "31:00", "\"change\":\"superseded\",\"metric\":\"spo2\",", "** Systolic pressure 184, limit 160") ","
		ALARM("medium", "audio_off", "28:00", "\"state\":\"latched\",\"metric\":\"rpp\",", "** Awake 2, limit 3") ","
		ALARM("high", "on", "31:00", "", "*** Saturation 80, limit 85") "]", 0);
	assert_int_equal(b.n_alarms, LEN(want));
	for (size_t i = 0; i < LEN(want); i++)
		assert_string_equal(b.alarm[i].text, want[i]);
	/* acknowledged it still stands; the highest counts; one that was superseded or is over marks nothing */
	assert_int_equal(b.tile[VS_TILE_HR].alarm, 3);
	assert_int_equal(b.tile[VS_TILE_NIBP].alarm, 3);
	assert_int_equal(b.tile[VS_TILE_SPO2].alarm, 0);
	assert_int_equal(b.tile[VS_TILE_RPP].alarm, 0);
}

static void the_clocks_of_a_session(void **state)
{
	(void)state;
	struct vs_bedside b;
	read_chair(&b, "\"phase\":\"infusion\",\"session\":\"s-20261121-3\",\"nibp_interval_s\":300,"
		"\"audio_paused_until\":\"2026-11-21T22:32:34Z\","
		"\"session_state\":{\"patient\":\"N-17\",\"opened_at\":\"2026-11-21T21:29:01Z\",\"infused_s\":1390},"
		"\"values\":{\"nibp_sys\":{\"value\":121" AT("29:04") "}", 1000);
	assert_string_equal(b.clocks, "session 1:02:04  infusion 0:23:11  cuff 2 min ago, every 5 min  AUDIO PAUSED 0:01:29");
	read_chair(&b, "\"phase\":\"paused\",\"session\":\"s-1\",\"session_state\":{\"infused_s\":1390},\"values\":{}", 1000);
	assert_string_equal(b.clocks, "infusion 0:23:10  no cuff reading yet");
}

static void a_trend_has_a_place_for_every_minute(void **state)
{
	(void)state;
	struct vs_bedside_trend t = { 0 };
	char line[VS_TREND_MINUTES * 3 + 1];
	double low, high;
	assert_string_equal(vs_bedside_spark(&t, 5, false, line, sizeof line, &low, &high), "     ");
	assert_true(isnan(low) && isnan(high));
	vs_bedside_trend_add(&t, 29000000, 60);
	vs_bedside_trend_add(&t, 29000000, 64); /* mean 62 */
	vs_bedside_trend_add(&t, 29000001, 72);
	vs_bedside_trend_add(&t, 29000003, 82);
	assert_string_equal(vs_bedside_spark(&t, 6, false, line, sizeof line, &low, &high), "  _= #");
	assert_true(low == 62 && high == 82);
	assert_string_equal(vs_bedside_spark(&t, 4, true, line, sizeof line, &low, &high), "▁▅ █");
	vs_bedside_trend_pass(&t, 29000004);
	assert_string_equal(vs_bedside_spark(&t, 6, false, line, sizeof line, &low, &high), " _= # ");
	vs_bedside_trend_pass(&t, 29000061);
	assert_string_equal(vs_bedside_spark(&t, 60, false, line, sizeof line, &low, &high) + 1, /* 62 and 72 are gone */
			    "_                                                          ");
	vs_bedside_trend_pass(&t, 29009999);
	vs_bedside_spark(&t, 60, false, line, sizeof line, &low, &high);
	assert_true(isnan(low));
	vs_bedside_trend_add(&t, 29009999, 70);
	assert_string_equal(vs_bedside_spark(&t, 1, false, line, sizeof line, &low, &high), "_");
}

static void a_refusal_in_one_line(void **state)
{
	(void)state;
	static const struct {
		const char *answer, *words;
		bool only_warns, may_override;
		const char *why;
	} story[] = {
		{ "{\"error\":\"no session is open\"}", "no session is open", false, false, "no gate at all" },
		{ "{\"error\":\"too high\",\"codes\":[\"G2\",\"R4\"],\"gates\":[{\"verdict\":\"block\"},{\"verdict\":\"warn\"}]}",
		  "G2 R4: too high", false, true, "one blocks: a yes is not enough" },
		{ "{\"error\":\"G2: pressure 184\",\"codes\":[\"G2\"]}", "G2: pressure 184", false, false, "codes are not said twice" },
		{ "{\"error\":\"pulse\",\"codes\":[\"G3\"],\"gates\":[{\"verdict\":\"warn\"},{\"verdict\":\"block\",\"settled\":true}]}",
		  "G3: pulse", true, false, "what blocks is settled, what is left warns" },
		{ "{\"error\":\"dose\",\"codes\":[\"G7\"],\"gates\":[{\"verdict\":\"block\"},{\"verdict\":\"hard\"}]}",
		  "G7: dose", false, false, "two people are not enough either" },
		{ "{}", "refused", false, false, "an answer without words" },
	};
	for (size_t i = 0; i < LEN(story); i++) {
		char words[80];
		json_error_t e;
		json_t *answer = json_loads(story[i].answer, 0, &e);
		assert_string_equal(vs_bedside_refusal(answer, words, sizeof words), story[i].words);
		assert_int_equal(vs_bedside_only_warns(answer), story[i].only_warns);
		assert_int_equal(vs_bedside_may_override(answer), story[i].may_override);
		json_decref(answer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ages_and_clocks_read_well),
		cmocka_unit_test(a_value_is_shown_only_while_it_is_one),
		cmocka_unit_test(without_an_answer_nothing_is_known),
		cmocka_unit_test(the_most_urgent_alarm_stands_first),
		cmocka_unit_test(the_clocks_of_a_session),
		cmocka_unit_test(a_trend_has_a_place_for_every_minute),
		cmocka_unit_test(a_refusal_in_one_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
