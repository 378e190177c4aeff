/* The report of a session of 70 minutes, made by hand: what stands on it, and that nothing in it can break the page. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "clients/ctl/report.h"

#define START INT64_C(1795300020000)
#define MINUTE 60000

static void event(struct vs_report *r, int minute, const char *kind, const char *body)
{
	char text[1200];
	snprintf(text, sizeof text, "{\"kind\":\"%s\",\"clock\":\"12:00:00\",\"wall_ms\":%lld,%s}", kind,
		(long long)(START + minute * MINUTE), body);
	json_t *e = json_loads(text, 0, NULL);
	assert_non_null(e);
	json_array_append_new(r->events, e);
	if (strcmp(kind, "session") != 0)
		return;
	r->last = e;
	r->phases[r->n_phases++] = (struct vs_report_phase){ START + minute * MINUTE, vs_report_text_of(e, "phase"), e };
}

#define BASE "\"patient\":\"N-17\",\"protocol\":\"P1\",\"weight_kg\":70,\"operator\":\"anna\",\"baseline\":{\"nibp_sys\":122," \
	"\"nibp_dia\":76,\"hr\":72,\"spo2\":97},\"dose\":\"0.5 mg/kg over 40 min\""

static struct vs_report *session(void)
{
	static struct vs_report r;
	r = (struct vs_report){ .session = "s-1", .chair = "chair-1", .site = "North <clinic> & co", .from_ms = START - 10 * MINUTE,
				.to_ms = START + 70 * MINUTE, .events = json_array() };
	r.phases = calloc(8, sizeof *r.phases);
	r.cuffs = calloc(32, sizeof *r.cuffs);
	r.minutes = calloc(90, sizeof *r.minutes);
	r.alarms = calloc(4, sizeof *r.alarms);
	for (int m = -8; m <= 70; m++) {
		double rise = m < 0 ? 0 : m < 40 ? 24 * m / 40. : 24 * exp(-(m - 40) / 15.);
		if (m % 5 == 0)
			r.cuffs[r.n_cuffs++] = (struct vs_report_cuff){ START + m * MINUTE - 20000, 122 + rise, 76 + rise / 2, 92, m == 25 };
		if (m == 33)
			continue; /* the probe was off */
		r.minutes[r.n_minutes++] = (struct vs_report_minute){ START + m * MINUTE, 72 + rise / 2, 70, 80,
								      m == 20 ? 91 : m > 50 && m < 55 ? NAN : 97, 90 };
	}
	event(&r, -8, "session", "\"phase\":\"baseline\"," BASE);
	event(&r, 0, "session", "\"phase\":\"infusion\",\"gates\":[{\"code\":\"G3\",\"verdict\":\"block\",\"text\":\"heart rate 112\"}],"
		"\"override\":\"calm <b>now</b>\",\"second\":\"bert\"," BASE);
	event(&r, 20, "entry", "\"entry\":\"note\",\"number\":1,\"value\":\"<script>alert(1)</script>\",\"operator\":\"a\\\"b\"");
	event(&r, 22, "entry", "\"entry\":\"med\",\"number\":2,\"item\":\"ondansetron\",\"value\":4,\"unit\":\"mg\",\"route\":\"iv\"");
	event(&r, 24, "entry", "\"entry\":\"moaas\",\"number\":3,\"value\":5,\"unit\":\"{score}\",\"corrects\":1");
	event(&r, 40, "session", "\"phase\":\"recovery\",\"outcome\":\"completed\",\"given_mg\":35,\"infused_s\":2400," BASE);
	r.alarms[r.n_alarms++] = (struct vs_report_alarm){ "a-1", "spo2-lo", "medium", "anna", "** Saturation 89 & falling",
		START + 20 * MINUTE, START + 21 * MINUTE, START + 22 * MINUTE };
	r.alarms[r.n_alarms++] = (struct vs_report_alarm){ "a-2", "sbp-hi-crit", "high", "", "*** Systolic pressure 184",
		START + 38 * MINUTE, 0, 0 };
	return &r;
}

static char *shown(void (*view)(const struct vs_report *, FILE *))
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);
	struct vs_report *r = session();
	view(r, to);
	fclose(to);
	vs_report_finish(r);
	return text;
}

static void must(const char *text, const char *const *needed)
{
	for (; *needed; needed++)
		if (!strstr(text, *needed))
			fail_msg("'%s' is missing in:\n%s", *needed, text);
}

static void text_says_it(void **state)
{
	static const char *const needed[] = { "Session s-1", "patient   N-17   70 kg", "35.0 mg in 40 min", "outcome   completed",
		"G3 (block)  heart rate 112", "overridden by anna and bert: calm <b>now</b>", "med ondansetron 4 mg, iv",
		"moaas 5 (corrects entry 1)", "*** Systolic pressure 184", "acknowledged", "highest pressure", "146/88",
		"lowest saturation", "91", "open", "Prescriber", NULL };
	char *text = shown(vs_report_text);
	(void)state;
	must(text, needed);
	free(text);
}

/* The reading in doubt is drawn as such and is no peak; a missing minute breaks the line. */
static void page_is_whole_and_harmless(void **state)
{
	static const char *const needed[] = { "North &lt;clinic&gt; &amp; co", "&lt;script&gt;alert(1)", "calm &lt;b&gt;now&lt;/b&gt;",
		"a&quot;b", "class='cuff doubt'", "146/88", "Saturation 89 &amp; falling", "</svg>", "Prescriber", "</html>", NULL };
	char *page = shown(vs_report_html);
	unsigned lines = 0;
	(void)state;
	must(page, needed);
	assert_null(strstr(page, "<script"));
	assert_null(strstr(page, "<b>now"));
	assert_null(strstr(page, "nan"));
	for (const char *p = page; (p = strstr(p, "<polyline class='spo2'")); p++)
		lines++;
	assert_int_equal(lines, 3); /* before and after minute 33, and after 54 */
	const char *keep = getenv("REPORT_PAGE"); /* to look at it: REPORT_PAGE=page.html test-report */
	FILE *to = keep ? fopen(keep, "w") : NULL;
	if (to) {
		fputs(page, to);
		fclose(to);
	}
	free(page);
}

static void moments(void **state)
{
	struct vs_report *r = session();
	(void)state;
	assert_int_equal(vs_report_moment_ms(r, VS_AT_START), START);
	assert_int_equal(vs_report_moment_ms(r, VS_AT_40_MIN), START + 40 * MINUTE);
	assert_int_equal(vs_report_moment_ms(r, VS_AT_END), START + 40 * MINUTE);
	assert_float_equal(vs_report_cuff_near(r, START + 40 * MINUTE)->sys, 146, 0.01);
	assert_float_equal(vs_report_cuff_near(r, START + 27 * MINUTE)->sys, 122 + 24 * 30 / 40., 0.01); /* 25 is in doubt */
	assert_null(vs_report_cuff_near(r, START + 90 * MINUTE));
	r->n_phases = 1; /* never infused */
	assert_int_equal(vs_report_moment_ms(r, VS_AT_END), 0);
	vs_report_finish(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_says_it),
		cmocka_unit_test(page_is_whole_and_harmless),
		cmocka_unit_test(moments),
	};
	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
