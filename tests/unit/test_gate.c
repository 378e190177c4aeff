/* The gate between decoders and whoever uses their readings: what it holds, what it marks, what it never touches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <string.h>

#include "plugins/gate.h"

static const struct vs_plugin unchecked = { .name = "unchecked" }, checked = { .name = "checked", .checked = true },
			      strong = { .name = "strong", .checked = true, .strong = true },
			      spot = { .name = "spot", .checked = true, .spot = true };

static void again(void *state, bool wanted)
{
	(void)state, (void)wanted;
}

/* Its cuff can say a result again. */
static const struct vs_plugin twice = { .name = "twice", .poll_ms = 500, .again = again };

enum { FRAME = 20 }; /* bytes, enough to stand between two damages */

/* What came of a reading, in letters. */
static char *told(const struct vs_reading *r, char *heard)
{
	const struct vs_obs *o = &r->obs[0];
	assert_int_equal(r->len, 1);
	if (!o->has_value) {
		assert_true(o->flags & VS_FLAG(QUESTIONABLE));
		assert_true(o->value == 0);
		*heard++ = '-';
		return heard;
	}
	if (o->flags & VS_FLAG(QUESTIONABLE))
		*heard++ = '?';
	*heard++ = (char)('0' + (int)o->value - 90);
	return heard;
}

/* A story in letters: a good frame of 20 bytes with a saturation (digits: 90 + digit), a good one with nothing in it `.`, a short
 * one of 3 bytes `,`, lost bytes `x`, the line closed and opened `o`, a poll `p`, the line lost `l`.  heard: what came of each reading, in letters: the digit
 * where it passes, `-` where it is held, the digit after `?` where it is marked. */
static void live(struct vs_gate *g, const char *story, enum vs_metric m, char *heard)
{
	for (; *story; story++) {
		struct vs_reading r = { 0 };
		if (*story == 'x') {
			vs_gate_lost(g);
			continue;
		}
		if (*story == 'o') {
			vs_gate_reset(g);
			continue;
		}
		if (*story == 'p' || *story == 'l') {
			if (*story == 'p' ? vs_gate_poll(g, &r) : vs_gate_settle(g, &r))
				heard = told(&r, heard);
			continue;
		}
		vs_gate_frame(g, *story == ',' ? 3 : FRAME);
		if (*story < '0' || *story > '9')
			continue;
		vs_reading_add(&r, m, 90 + (*story - '0'), 0);
		vs_gate_reading(g, &r);
		heard = told(&r, heard);
	}
	*heard = '\0';
}

static void what_passes(void **ctx)
{
	static const struct {
		const struct vs_plugin *plugin;
		enum vs_metric metric;
		const char *story, *heard, *why;
	} rows[] = {
		{ &unchecked, VS_SPO2, "7890123", "7890123", "a clean line: everything at once, whatever it is" },
		{ &unchecked, VS_SPO2, "7x8", "78", "one damage is no noise yet" },
		{ &unchecked, VS_SPO2, "7x7x9", "77-", "the second: 9 was not said before" },
		{ &unchecked, VS_SPO2, "8x7x8", "878", "8 was said before, and passes at once" },
		{ &unchecked, VS_SPO2, "7x7x899", "77--9", "8 is nobody's, 9 comes twice" },
		{ &unchecked, VS_SPO2, "9x7x77779", "977777-", "a witness is one of the last four: 9 is too long ago" },
		{ &unchecked, VS_PR, "0x0x909099", "00-0-099", "a leap wants two: the same wrong number may come again" },
		{ &unchecked, VS_SPO2, "7xxxxxxxx89", "789", "lost bytes in a row are one damage" },
		{ &unchecked, VS_SPO2, "xxx7x89", "789", "what comes before the first frame is no damage" },
		{ &unchecked, VS_SPO2, "7x,x,x,x,x,89", "789", "short frames within garbage part no damage from another" },
		{ &unchecked, VS_SPO2, "7x,,,,,,x9", "7-", "six of them do" },
		{ &unchecked, VS_SPO2, "7x7x7o77", "777-7", "closed and opened: the noise is not forgotten, the witnesses are" },
		{ &checked, VS_SPO2, "7x7x7x8x8x9", "77788-", "with a sum the fourth damage" },
		{ &strong, VS_SPO2, "7x7x7x7x7x7x8", "7777778", "a check of 16 bits is witness enough" },
		{ &spot, VS_SPO2, "7x7x7x7x8", "7777?8", "a spot check comes once: it is marked and never lost" },
		{ &unchecked, VS_NIBP_SYS, "7x7x8", "77?8", "so is a result of the cuff" },
		{ &twice, VS_NIBP_SYS, "p789p8", "7898", "a clean line: every result at once, and a poll changes nothing" },
		{ &twice, VS_NIBP_SYS, "p7x7x8", "77-", "a result that can be had again waits" },
		{ &twice, VS_NIBP_SYS, "p7x7x88", "77-8", "the next answer says the same: one measurement" },
		{ &twice, VS_NIBP_SYS, "p7x7x887", "77-8-", "and it bears no witness for another" },
		{ &twice, VS_NIBP_SYS, "p7x7x8ppppp8pppppppp", "77-8", "until the last poll; then nothing more comes" },
		{ &twice, VS_NIBP_SYS, "p7x7x8pppppppppp", "77-?8", "no witness: marked after six polls, once, never lost" },
		{ &twice, VS_NIBP_SYS, "p7x7x988", "77--8", "what differs takes its place: 9 was damaged" },
		{ &twice, VS_NIBP_SYS, "p7x7x8pppp9pp", "77--?9", "and has the time that is left" },
		{ &twice, VS_NIBP_SYS, "p7x7x8l8", "77-?8-", "the line is lost: it comes now; what comes later is another one" },
		{ &twice, VS_NIBP_SYS, "p7x7x8opppppp", "77-?8", "it outlives a line that is opened again" },
		{ &twice, VS_NIBP_SYS, "7x7x8", "77?8", "nobody polls, a file for one: it does not wait" },
		{ &twice, VS_SPO2, "p7x7x8pppppp", "77-", "only results of the cuff come late and marked" },
		{ &unchecked, VS_SPO2, "9x9x87654", "99---?5?4", "a saturation that falls with every frame is late, and marked" },
		{ &unchecked, VS_SPO2, "9x9x82716", "99-----", "leaps are no fall" },
	};
	(void)ctx;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct vs_gate g;
		char heard[64];
		vs_gate_init(&g, rows[i].plugin);
		live(&g, rows[i].story, rows[i].metric, heard);
		if (strcmp(heard, rows[i].heard) != 0)
			fail_msg("%s: %s: %s", rows[i].story, heard, rows[i].why);
	}
}

/* Letters by the hundred: a story with `n` good frames of nothing in each gap. */
static void spread(struct vs_gate *g, const char *parts, unsigned n, char *heard)
{
	char gap[512];
	memset(gap, '.', n);
	gap[n] = '\0';
	for (; *parts; parts++) {
		const char one[2] = { *parts };
		live(g, *parts == '_' ? gap : one, VS_SPO2, heard);
		heard += strlen(heard);
	}
}

static void when_it_is_noisy(void **ctx)
{
	static const struct {
		const char *parts;
		unsigned gap; /* frames of 20 bytes */
		const char *heard, *why;
	} rows[] = {
		{ "7x_7x9", 40, "77-", "two damages within 900 bytes" },
		{ "7x_7x9", 160, "779", "within 3200: now and then is not noise" },
		{ "7x7x7_9", 150, "777-", "3000 good bytes: not yet clean" },
		{ "7x7x7_9", 153, "7779", "3080: clean, and 9 passes at once" },
		{ "7x7x7_9x8", 153, "77798", "and what was damaged before does not count any more" },
		{ "7x7x7_x9", 150, "777-", "a damage in between, and it lasts" },
	};
	(void)ctx;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct vs_gate g;
		char heard[64] = "";
		vs_gate_init(&g, &unchecked);
		spread(&g, rows[i].parts, rows[i].gap, heard);
		if (strcmp(heard, rows[i].heard) != 0)
			fail_msg("%s, gaps of %u: %s: %s", rows[i].parts, rows[i].gap, heard, rows[i].why);
	}
}

/* Only numbers wait. */
static void what_is_no_number_is_left_alone(void **ctx)
{
	struct vs_gate g;
	char heard[16];
	struct vs_reading r = { .flags = VS_FLAG(LOW_BATTERY) };
	(void)ctx;
	vs_gate_init(&g, &unchecked);
	live(&g, "7x7x7x7", VS_SPO2, heard);
	assert_true(g.noisy);
	vs_reading_add_none(&r, VS_SPO2, VS_FLAG(SENSOR_OFF));
	vs_reading_add_word(&r, VS_NIBP_EVENT, "done");
	vs_reading_add_error(&r, VS_NIBP_SYS, 0, 87);
	vs_gate_reading(&g, &r);
	assert_true(r.flags == VS_FLAG(LOW_BATTERY) && r.len == 3);
	assert_true(!r.obs[0].has_value && r.obs[0].flags == VS_FLAG(SENSOR_OFF));
	assert_true(r.obs[1].has_value && !strcmp(r.obs[1].word, "done") && !r.obs[1].flags);
	assert_true(r.obs[2].flags == VS_FLAG(DEVICE_ERROR) && r.obs[2].device_error == 87);
	assert_int_equal(g.held, 0);
}

static void an_engineer_is_told(void **ctx)
{
	struct vs_gate g;
	char heard[16], text[200];
	(void)ctx;
	vs_gate_init(&g, &unchecked);
	live(&g, "7..x7x7", VS_SPO2, heard);
	assert_true(vs_gate_words(&g, text, sizeof text) < (int)sizeof text);
	assert_non_null(strstr(text, "line noisy: 2 of the last 4 frames damaged"));
	assert_non_null(strstr(text, "check cable, grounding and baud rate"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_passes),
		cmocka_unit_test(when_it_is_noisy),
		cmocka_unit_test(what_is_no_number_is_left_alone),
		cmocka_unit_test(an_engineer_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
