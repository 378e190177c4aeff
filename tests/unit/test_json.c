/* JSON out: what is written is JSON, or it is said that it is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "core/event.h"
#include "core/json.h"

static void strings_are_escaped(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out, *why;
	} story[] = {
		{ "plain", "\"plain\"", "as it is" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"", "quote and backslash" },
		{ "\n\t\x01", "\"\\n\\t\\u0001\"", "control characters" },
		{ "Ångström €", "\"Ångström €\"", "UTF-8 passes" },
		{ "\xff\xc3", "\"\xef\xbf\xbd\xef\xbf\xbd\"", "bytes that are not UTF-8 become U+FFFD" },
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"", "a surrogate is not UTF-8" },
		{ NULL, "null", "no string" },
	};
	for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
		char buf[64];
		struct vs_json j = vs_json_into(buf, sizeof buf);
		vs_json_string(&j, story[i].in);
		if (strcmp(buf, story[i].out) != 0)
			fail_msg("%s: got %s", story[i].why, buf);
	}
}

static void numbers_are_short_and_true(void **state)
{
	(void)state;
	static const struct {
		double in;
		const char *out;
	} story[] = {
		{ 0, "0" }, { -0.0, "0" }, { 97, "97" }, { 36.6, "36.6" }, { 366 * 0.1, "36.6" }, { 36.625, "36.625" },
		{ 999999, "999999" }, { 1e6, "1000000" }, { 20000.5, "20000.5" }, { -12, "-12" },
		{ NAN, "null" }, { INFINITY, "null" },
	};
	for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
		char buf[64];
		struct vs_json j = vs_json_into(buf, sizeof buf);
		vs_json_number(&j, story[i].in);
		assert_string_equal(buf, story[i].out);
	}
}

/* For every buffer too small by any number of bytes: said so, and nothing written beyond it. */
static void too_small_is_said(void **state)
{
	(void)state;
	struct vs_reading r = { .flags = VS_FLAG(MOTION) };
	vs_reading_add(&r, VS_SPO2, 97, 0);
	vs_reading_add_none(&r, VS_PR, VS_FLAG(SENSOR_OFF));
	struct vs_event e = { .kind = VS_KIND_VITALS, .site = "s", .chair = "c-1", .epoch = 1, .seq = 2,
			      .wall_ms = 1234, .device = "ox", .reading = &r };
	char whole[512], buf[512];
	size_t len = vs_event_message(&e, whole, sizeof whole);
	assert_string_equal(whole, "vitals/c-1 {\"v\":1,\"site\":\"s\",\"chair\":\"c-1\",\"kind\":\"vitals\",\"epoch\":1,"
				   "\"seq\":2,\"time\":\"1970-01-01T00:00:01.234Z\",\"session\":null,\"device\":\"ox\","
				   "\"values\":{\"spo2\":97},\"flags\":[\"motion\",\"pr:sensor_off\"]}");
	for (size_t cap = 0; cap <= len; cap++) {
		memset(buf, '#', sizeof buf);
		assert_int_equal(vs_event_message(&e, buf, cap), 0);
		assert_true(buf[cap] == '#');
	}
	assert_int_equal(vs_event_message(&e, buf, len + 1), len);
}

static void flags_stand_where_they_belong(void **state)
{
	(void)state;
	struct vs_reading r = { .len = 0 };
	vs_reading_add(&r, VS_SPO2, 97, VS_FLAG(LOW_BATTERY) | VS_FLAG(MOTION));
	vs_reading_add(&r, VS_PR, 71, VS_FLAG(LOW_BATTERY));
	vs_reading_add_none(&r, VS_PI, 0);
	vs_reading_add(&r, VS_NIBP_SYS, 120, VS_FLAG(DEVICE_ERROR));
	r.obs[3].device_error = 87;
	vs_reading_add(&r, VS_TEMP, NAN, 0);
	char buf[512];
	struct vs_json j = vs_json_into(buf, sizeof buf);
	vs_json_open(&j, '{');
	vs_reading_json(&j, &r);
	vs_json_close(&j, '}');
	assert_string_equal(buf, "{\"values\":{\"spo2\":97,\"pr\":71},\"flags\":[\"low_battery\",\"spo2:motion\","
				 "\"pi:no_value\",\"nibp_sys:device_error:87\",\"temp:invalid\"]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_escaped),
		cmocka_unit_test(numbers_are_short_and_true),
		cmocka_unit_test(too_small_is_said),
		cmocka_unit_test(flags_stand_where_they_belong),
	};
	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
