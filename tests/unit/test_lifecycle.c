/* The life of an alarm: the whole table, state by event, against what people must be able to rely on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "alarms/lifecycle.h"

/* One row a state, one word an event in the order of enum vs_life_event: the next state, `-`: cannot happen. */
static const struct {
	const char *from, *to;
} walk[VS_LIFE_COUNT] = {
	/*           RAISE PAUSED QUIET COVERED WORSE EASIER COVER ACK PAUSE RESUME LOUD END LATCHING */
	{ "idle", "sounding paused quiet superseded - - - - - - - - -" },
	{ "sounding", "- - - - sounding sounding superseded acknowledged paused - - idle latched" },
	{ "acknowledged", "- - - - sounding acknowledged superseded - - - - idle idle" },
	{ "paused", "- - - - sounding paused superseded acknowledged paused sounding - idle latched,paused" },
	{ "quiet", "- - - - sounding quiet superseded acknowledged - - sounding idle latched" },
	{ "superseded", "sounding paused quiet - superseded superseded - - - - - idle idle" },
	{ "latched", "sounding sounding sounding superseded - - - latched,acknowledged latched,paused - - idle -" },
	{ "latched, paused", "sounding sounding sounding superseded - - - latched,acknowledged latched,paused latched - idle -" },
	{ "latched, acknowledged", "- - - - - - - - - - - idle -" },
};

static void without_spaces(const char *from, char *to)
{
	for (; *from; from++)
		if (*from != ' ')
			*to++ = *from;
	*to = '\0';
}

static void walked_completely(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VS_LIFE_COUNT; i++) {
		char line[256], name[64], *save = NULL;
		strcpy(line, walk[i].to);
		assert_string_equal(vs_life_name(i), walk[i].from);
		char *word = strtok_r(line, " ", &save);
		for (unsigned k = 0; k < VS_LE_COUNT; k++, word = strtok_r(NULL, " ", &save)) {
			const struct vs_life_row *row = &vs_life_table[i][k];
			assert_non_null(word);
			if (row->possible)
				without_spaces(vs_life_name(row->to), name);
			assert_string_equal(row->possible ? name : "-", word);
		}
		assert_null(word);
	}
}

static void anything_worse_sounds(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VS_LIFE_COUNT; i++) {
		const struct vs_life_row *row = &vs_life_table[i][VS_LE_WORSE];
		if (!row->possible || i == VS_LIFE_COVERED)
			continue;
		assert_int_equal(vs_life_signal(row->to), VS_SIGNAL_ON);
		assert_int_equal(row->change, VS_CHANGE_ESCALATED);
	}
}

static void only_people_end_a_latched_alarm(void **state)
{
	(void)state;
	/* a sounding, paused or quiet alarm of a latching rule does not go away with its condition */
	static const enum vs_life heard[] = { VS_LIFE_SOUNDING, VS_LIFE_PAUSED, VS_LIFE_QUIET };
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(vs_life_state(vs_life_table[heard[i]][VS_LE_END_LATCHING].to), VS_ALARM_LATCHED);
	/* from latched, idle is reached by the acknowledgement alone (END is for a rule that is taken out) */
	for (unsigned k = 0; k < VS_LE_COUNT; k++)
		if (vs_life_table[VS_LIFE_LATCHED][k].possible && k != VS_LE_END)
			assert_int_not_equal(vs_life_table[VS_LIFE_LATCHED][k].to, VS_LIFE_IDLE);
}

static void every_change_is_said(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VS_LIFE_COUNT; i++)
		for (unsigned k = 0; k < VS_LE_COUNT; k++) {
			const struct vs_life_row *row = &vs_life_table[i][k];
			if (row->possible && row->to != i)
				assert_int_not_equal(row->change, VS_CHANGE_NONE);
			if (row->possible && row->to == VS_LIFE_IDLE)
				assert_int_equal(row->change, VS_CHANGE_CLEARED);
		}
}

static void signals_are_told_apart(void **state)
{
	(void)state;
	const struct vs_pattern *high = vs_signal_pattern(3), *medium = vs_signal_pattern(2), *low = vs_signal_pattern(1);
	assert_string_equal(high->mark, "***");
	assert_int_equal(high->pulses, 10);
	assert_int_equal(medium->pulses, 3);
	assert_in_range(low->pulses, 1, 2);
	assert_true(high->flash_hz >= 1.4 && high->flash_hz <= 2.8); /* clinical table H2 */
	assert_true(medium->flash_hz >= 0.4 && medium->flash_hz <= 0.8);
	assert_true(low->flash_hz == 0 && low->duty == 1);
	assert_true(high->burst_gap_s >= 2.5 && high->burst_gap_s <= 15);
	assert_true(medium->burst_gap_s >= 2.5 && medium->burst_gap_s <= 30);
	assert_true(low->burst_gap_s > 15);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(walked_completely),
		cmocka_unit_test(anything_worse_sounds),
		cmocka_unit_test(only_people_end_a_latched_alarm),
		cmocka_unit_test(every_change_is_said),
		cmocka_unit_test(signals_are_told_apart),
	};
	return cmocka_run_group_tests_name("lifecycle", tests, NULL, NULL);
}
