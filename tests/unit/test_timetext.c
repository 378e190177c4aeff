/* Wall time as text, against the C library as the judge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <time.h>

#include "core/timetext.h"

static void agrees_with_the_c_library(void **state)
{
	(void)state;
	for (int64_t s = -62167219200; s < 253402300800; s += 86399 * 97 + 1) {
		char mine[VS_TIME_TEXT_CAP], theirs[64];
		time_t t = (time_t)s;
		struct tm tm;
		gmtime_r(&t, &tm);
		snprintf(theirs, sizeof theirs, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
			 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, 7);
		vs_time_text(s * 1000 + 7, mine);
		assert_string_equal(mine, theirs);
		int64_t back;
		assert_true(vs_time_parse(mine, &back));
		assert_int_equal(back, s * 1000 + 7);
	}
}

static void reads_what_rfc_3339_allows(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms; /* -1: refused */
	} story[] = {
		{ "1970-01-01T00:00:00Z", 0 },          { "1970-01-01t00:00:01.5z", 1500 },
		{ "1970-01-01T01:00:00+01:00", 0 },     { "1969-12-31 23:30:00.1239-00:30", 123 },
		{ "1970-02-29T00:00:00Z", -1 },         { "1970-01-01T24:00:00Z", -1 },
		{ "1970-01-01T00:00:00", -1 },          { "1970-01-01T00:00:00.Z", -1 },
		{ "1970-01-01T00:00:00Zx", -1 },        { "", -1 },
		{ "1970-13-01T00:00:00Z", -1 },         { "2000-02-29T00:00:00Z", 951782400000 },
	};
	for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
		int64_t ms = -1;
		bool ok = vs_time_parse(story[i].text, &ms);
		if (ok != (story[i].ms >= 0) || ms != story[i].ms)
			fail_msg("%s gave %d, %lld", story[i].text, ok, (long long)ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_c_library),
		cmocka_unit_test(reads_what_rfc_3339_allows),
	};
	return cmocka_run_group_tests_name("timetext", tests, NULL, NULL);
}
