/* Modbus without a wire: the plan of a register map, answers that are none, and what a poll says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "plugins/modbus/modbus.h"

#define REG(m, t, a, ty) { .metric = VS_##m, .table = VS_##t, .address = a, .type = VS_##ty, .scale = 1 }
#define FLAGS(f, t, a) { .metric = VS_METRIC_NONE, .flag = VS_FLAG_##f, .table = VS_##t, .address = a, .type = VS_U16 }
#define COUNTER(t, a) .has_new_reading = true, .new_reading = REG(METRIC_NONE, t, a, U16)

static const struct {
	const char *why;
	struct vs_register_map map;
	uint32_t gap;
	unsigned n;
	struct vs_modbus_request want[4];
	bool gaps, split;
} plans[] = {
	{ "neighbours share a request", { .len = 2, .reg = { REG(SPO2, INPUT, 1, U16), REG(PR, INPUT, 0, U16) } }, 0,
	  1, { { VS_INPUT, 0, 2 } }, false, false },
	{ "a gap of the largest size is read along",
	  { .len = 2, .reg = { REG(SPO2, INPUT, 0, U16), REG(PR, INPUT, 9, U16) } }, 8, 1, { { VS_INPUT, 0, 10 } }, true, false },
	{ "one more, and it is another request",
	  { .len = 2, .reg = { REG(SPO2, INPUT, 0, U16), REG(PR, INPUT, 10, U16) } }, 8,
	  2, { { VS_INPUT, 0, 1 }, { VS_INPUT, 10, 1 } }, false, false },
	{ "tables are never mixed", { .len = 2, .reg = { REG(SPO2, INPUT, 0, U16), REG(PR, HOLDING, 1, U16) } }, 8,
	  2, { { VS_HOLDING, 1, 1 }, { VS_INPUT, 0, 1 } }, false, false },
	{ "a 32-bit value takes two registers", { .len = 2, .reg = { REG(SPO2, HOLDING, 4, F32), REG(PR, HOLDING, 6, U16) } },
	  0, 1, { { VS_HOLDING, 4, 3 } }, false, false },
	{ "two views of one register", { .len = 2, .reg = { REG(SPO2, HOLDING, 4, U8HI), REG(PR, HOLDING, 4, U8LO) } },
	  0, 1, { { VS_HOLDING, 4, 1 } }, false, false },
	{ "125 registers are one request", { .len = 2, .reg = { REG(SPO2, INPUT, 0, U16), REG(PR, INPUT, 124, U16) } }, 124,
	  1, { { VS_INPUT, 0, 125 } }, true, false },
	{ "126 are two", { .len = 2, .reg = { REG(SPO2, INPUT, 0, U16), REG(PR, INPUT, 124, U32) } }, 124,
	  2, { { VS_INPUT, 0, 1 }, { VS_INPUT, 124, 2 } }, false, false },
	{ "2,000 bits are one request", { .len = 2, .reg = { FLAGS(MOTION, COIL, 0), FLAGS(ARTIFACT, COIL, 1999) } }, 1998,
	  1, { { VS_COIL, 0, 2000 } }, true, false },
	{ "the cuff's values come together across any gap",
	  { .len = 3, .reg = { REG(NIBP_SYS, INPUT, 0, U16), REG(NIBP_DIA, INPUT, 50, U16), REG(NIBP_MAP, INPUT, 100, U16) },
	    COUNTER(INPUT, 120) }, 8, 1, { { VS_INPUT, 0, 121 } }, true, false },
	{ "and start a request of their own before they are cut in two",
	  { .len = 4, .reg = { REG(SPO2, INPUT, 0, U16), REG(NIBP_SYS, INPUT, 5, U16), REG(NIBP_DIA, INPUT, 70, U16),
	    REG(NIBP_MAP, INPUT, 126, U16) } }, 8, 2, { { VS_INPUT, 0, 1 }, { VS_INPUT, 5, 122 } }, true, false },
	{ "gaps off: not even for the cuff", { .len = 2, .reg = { REG(NIBP_SYS, INPUT, 0, U16), REG(NIBP_DIA, INPUT, 2, U16) } },
	  0, 2, { { VS_INPUT, 0, 1 }, { VS_INPUT, 2, 1 } }, false, true },
	{ "a counter in another table is another request",
	  { .len = 1, .reg = { REG(NIBP_SYS, INPUT, 0, U16) }, COUNTER(HOLDING, 9) }, 8,
	  2, { { VS_HOLDING, 9, 1 }, { VS_INPUT, 0, 1 } }, false, true },
	{ "the last address", { .len = 1, .reg = { REG(SPO2, HOLDING, 65535, U16) } }, 8, 1, { { VS_HOLDING, 65535, 1 } },
	  false, false },
};

static void plan(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
		struct vs_modbus m;
		print_message("# %s\n", plans[i].why);
		vs_modbus_init(&m, &plans[i].map, plans[i].gap);
		assert_int_equal(m.n_requests, plans[i].n);
		assert_int_equal(m.has_gaps, plans[i].gaps);
		assert_int_equal(m.cuff_split, plans[i].split);
		for (unsigned k = 0; k < m.n_requests; k++) {
			assert_int_equal(m.request[k].table, plans[i].want[k].table);
			assert_int_equal(m.request[k].address, plans[i].want[k].address);
			assert_int_equal(m.request[k].count, plans[i].want[k].count);
		}
	}
}

static size_t hex(const char *s, uint8_t *out)
{
	size_t n = 0;
	unsigned b;
	for (; *s; s += *s == ' ')
		for (; sscanf(s, "%2x", &b) == 1 && *s != ' '; s += 2)
			out[n++] = (uint8_t)b;
	return n;
}

/* What stands for a request of two holding registers from unit 1; TCP: transaction 8. */
static const struct {
	const char *why;
	enum vs_framing framing;
	const char *bytes;
	enum vs_modbus_outcome want;
	size_t used;
} answers[] = {
	{ "an echo alone is no answer", VS_FRAMING_RTU, "010300000002c40b", VS_MODBUS_WAIT, 8 },
	{ "half an echo", VS_FRAMING_RTU, "01030000", VS_MODBUS_WAIT, 0 },
	{ "echo, then the answer", VS_FRAMING_RTU, "010300000002c40b 01030400610048abdb", VS_MODBUS_ANSWER, 17 },
	{ "only one echo is believed", VS_FRAMING_RTU, "010300000002c40b 010300000002c40b", VS_MODBUS_BYTE_COUNT, 8 },
	{ "glitch 00 before the answer", VS_FRAMING_RTU, "00 01030400610048abdb", VS_MODBUS_ANSWER, 10 },
	{ "glitch FF between echo and answer", VS_FRAMING_RTU, "ff 010300000002c40b ff00 01030400610048abdb", VS_MODBUS_ANSWER, 20 },
	{ "another glitch is a mismatch", VS_FRAMING_RTU, "37 01030400610048abdb", VS_MODBUS_UNIT, 0 },
	{ "an answer to another function", VS_FRAMING_RTU, "01040400610048aa6c", VS_MODBUS_FUNCTION, 0 },
	{ "an exception of another function", VS_FRAMING_RTU, "018402c2c1", VS_MODBUS_FUNCTION, 0 },
	{ "an exception with a bad CRC", VS_FRAMING_RTU, "018302c0f2", VS_MODBUS_CRC, 0 },
	{ "what follows the answer stays", VS_FRAMING_RTU, "01030400610048abdb 01030400610048abdb", VS_MODBUS_ANSWER, 9 },
	{ "two late answers, then half of ours", VS_FRAMING_TCP,
	  "000600000007010304003200320007000000030183020008000000070103", VS_MODBUS_WAIT, 22 },
	{ "our own answer twice: the second stays", VS_FRAMING_TCP,
	  "00080000000701030400610048 00080000000701030400610048", VS_MODBUS_ANSWER, 13 },
	{ "an answer before its time", VS_FRAMING_TCP, "000900000007010304", VS_MODBUS_TRANSACTION, 0 },
	{ "another station behind the gateway", VS_FRAMING_TCP, "00080000000702030400610048", VS_MODBUS_UNIT, 0 },
	{ "another function", VS_FRAMING_TCP, "00080000000701040400610048", VS_MODBUS_FUNCTION, 0 },
	{ "more registers than asked for", VS_FRAMING_TCP, "000800000009010306006100480001", VS_MODBUS_BYTE_COUNT, 0 },
	{ "a header that says less than the content", VS_FRAMING_TCP, "00080000000601030400610048", VS_MODBUS_LENGTH, 0 },
	{ "a header that says more", VS_FRAMING_TCP, "0008000000080103040061004800", VS_MODBUS_LENGTH, 0 },
	{ "a header with a unit and nothing else", VS_FRAMING_TCP, "00080000000101", VS_MODBUS_LENGTH, 0 },
	{ "a header that stops behind the function", VS_FRAMING_TCP, "0008000000020103", VS_MODBUS_LENGTH, 0 },
	{ "a header of 255 bytes", VS_FRAMING_TCP, "0008000000ff", VS_MODBUS_LENGTH, 0 },
	{ "an exception with something behind", VS_FRAMING_TCP, "00080000000401830200", VS_MODBUS_LENGTH, 0 },
	{ "another protocol", VS_FRAMING_TCP, "00080001", VS_MODBUS_PROTOCOL, 0 },
	{ "a web server", VS_FRAMING_TCP, "485454502f312e31", VS_MODBUS_PROTOCOL, 0 },
};

static void answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		struct vs_modbus_open o = { .framing = answers[i].framing, .unit = 1, .transaction = 8, .q = { VS_HOLDING, 0, 2 } };
		struct vs_modbus_answer a;
		uint8_t bytes[64];
		size_t n = hex(answers[i].bytes, bytes);
		print_message("# %s\n", answers[i].why);
		vs_modbus_request(&o);
		assert_int_equal(vs_modbus_check(&o, bytes, n, &a), answers[i].want);
		assert_int_equal(a.used, answers[i].used);
	}
}

static const struct {
	const char *why;
	struct vs_register reg;
	uint8_t data[4];
	bool has;
	double value;
} numbers[] = {
	{ "tenths are exact", { .table = VS_INPUT, .type = VS_U16, .scale = 0.1 }, { 0x01, 0x6b }, true, 36.3 },
	{ "scale and offset", { .table = VS_INPUT, .type = VS_I16, .scale = 0.5, .offset = 20 }, { 0xff, 0xf6 }, true, 15 },
	{ "i16 below zero", { .table = VS_INPUT, .type = VS_I16, .scale = 1 }, { 0xff, 0xfe }, true, -2 },
	{ "i32 below zero", { .table = VS_INPUT, .type = VS_I32, .scale = 1 }, { 0xff, 0xff, 0xff, 0x9c }, true, -100 },
	{ "u32 of both registers", { .table = VS_INPUT, .type = VS_U32, .order = VS_DCBA, .scale = 1 },
	  { 0x01, 0, 0, 0 }, true, 1 },
	{ "bytes of each word swapped", { .table = VS_INPUT, .type = VS_U32, .order = VS_BADC, .scale = 1 },
	  { 0, 0, 0x48, 0x01 }, true, 0x148 },
	{ "upper half", { .table = VS_INPUT, .type = VS_U8HI, .scale = 1 }, { 0x62, 0x01 }, true, 98 },
	{ "lower half", { .table = VS_INPUT, .type = VS_U8LO, .scale = 1 }, { 0x62, 0x01 }, true, 1 },
	{ "bit 15", { .table = VS_INPUT, .type = VS_BIT, .bit = 15, .scale = 1 }, { 0x80, 0x00 }, true, 1 },
	{ "units and hundredths", { .table = VS_INPUT, .type = VS_U8PAIR, .scale = 1 }, { 0x1e, 0x32 }, true, 30.5 },
	{ "an invalid code", { .table = VS_INPUT, .type = VS_U16, .scale = 1, .invalid_len = 2, .invalid = { 0, 65535 } },
	  { 0xff, 0xff }, false, 0 },
	{ "an invalid code of a signed register, as manuals write it",
	  { .table = VS_INPUT, .type = VS_I16, .scale = 1, .invalid_len = 1, .invalid = { 32768 } }, { 0x80, 0x00 }, false, 0 },
	{ "the same with its sign",
	  { .table = VS_INPUT, .type = VS_I16, .scale = 1, .invalid_len = 1, .invalid = { -32768 } }, { 0x80, 0x00 }, false, 0 },
	{ "NaN", { .table = VS_INPUT, .type = VS_F32, .scale = 1 }, { 0x7f, 0xc0, 0, 0 }, false, 0 },
	{ "infinity", { .table = VS_INPUT, .type = VS_F32, .scale = 1 }, { 0xff, 0x80, 0, 0 }, false, 0 },
	{ "invalid is the raw number, before the scale",
	  { .table = VS_INPUT, .type = VS_U16, .scale = 0.1, .invalid_len = 1, .invalid = { 990 } }, { 0x03, 0xde }, false, 0 },
};

static void number(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		double v = 0;
		print_message("# %s\n", numbers[i].why);
		assert_int_equal(vs_modbus_value(&numbers[i].reg, vs_modbus_bits(&numbers[i].reg, numbers[i].data, 0), &v),
				 numbers[i].has);
		if (numbers[i].has)
			assert_true(v == numbers[i].value);
	}
}

static void take(struct vs_modbus *m, unsigned request, unsigned n, const uint16_t *words)
{
	uint8_t data[250];
	for (unsigned i = 0; i < n; i++)
		vs_put_be16(data + 2 * i, words[i]);
	vs_modbus_take(m, request, data, 2 * (size_t)n);
}

/* A story of polls; - in `want`: no cuff reading in this poll. */
struct cuff_step {
	const char *why;
	uint16_t words[4]; /* sys, dia, counter or flag word, spo2 */
	const char *want;
};

static void cuff_story(const struct vs_register_map *map, uint32_t gap, const struct cuff_step *at, size_t n)
{
	struct vs_modbus m;
	vs_modbus_init(&m, map, gap);
	for (size_t i = 0; i < n; i++) {
		struct vs_reading r;
		char got[64];
		print_message("# %s\n", at[i].why);
		vs_modbus_begin(&m);
		for (unsigned k = 0; k < m.n_requests; k++)
			take(&m, k, m.request[k].count, at[i].words + m.request[k].address);
		assert_true(vs_modbus_reading(&m, &r));
		const struct vs_obs *sys = vs_reading_find(&r, VS_NIBP_SYS), *dia = vs_reading_find(&r, VS_NIBP_DIA);
		assert_int_equal(!sys, !dia);
		strcpy(got, "-");
		if (sys)
			sprintf(got, "%.0f/%.0f%s", sys->has_value ? sys->value : -1, dia->has_value ? dia->value : -1,
				sys->flags & VS_FLAG(FROM_MEMORY) ? " from_memory" : "");
		assert_string_equal(got, at[i].want);
		if (map->len > 2 && map->reg[2].metric == VS_SPO2)
			assert_non_null(vs_reading_find(&r, VS_SPO2));
	}
}

static void cuff_by_change(void **state)
{
	(void)state;
	static const struct vs_register_map map = { .len = 3, .reg = {
		{ .metric = VS_NIBP_SYS, .table = VS_INPUT, .address = 0, .scale = 1, .invalid_len = 1, .invalid = { 0 } },
		{ .metric = VS_NIBP_DIA, .table = VS_INPUT, .address = 1, .scale = 1, .invalid_len = 1, .invalid = { 0 } },
		REG(SPO2, INPUT, 3, U16) } };
	static const struct cuff_step story[] = {
		{ "what stands there at the start was measured before", { 120, 80, 0, 97 }, "120/80 from_memory" },
		{ "it still stands there", { 120, 80, 0, 98 }, "-" },
		{ "a new one", { 142, 91, 0, 97 }, "142/91" },
		{ "only the diastolic differs", { 142, 90, 0, 97 }, "142/90" },
		{ "the cuff failed", { 0, 0, 0, 97 }, "-1/-1" },
		{ "it is said once", { 0, 0, 0, 97 }, "-" },
		{ "the same pressure as before, after nothing, is new", { 142, 90, 0, 97 }, "142/90" },
	};
	cuff_story(&map, 8, story, sizeof story / sizeof *story);
}

static void cuff_by_counter(void **state)
{
	(void)state;
	static const struct vs_register_map map = { .len = 2, .reg = { REG(NIBP_SYS, INPUT, 0, U16), REG(NIBP_DIA, INPUT, 1, U16) },
		COUNTER(INPUT, 2) };
	static const struct cuff_step story[] = {
		{ "at the start", { 120, 80, 7 }, "120/80 from_memory" },
		{ "values without the counter are half of something", { 142, 80, 7 }, "-" },
		{ "the counter makes it a reading", { 142, 91, 8 }, "142/91" },
		{ "an equal reading is new when the counter says so", { 142, 91, 9 }, "142/91" },
		{ "the counter wraps", { 130, 85, 0 }, "130/85" },
	};
	cuff_story(&map, 8, story, sizeof story / sizeof *story);
}

static void cuff_in_pieces(void **state)
{
	(void)state;
	static const struct vs_register_map map = { .len = 2, .reg = { REG(NIBP_SYS, INPUT, 0, U16), REG(NIBP_DIA, INPUT, 3, U16) } };
	static const struct cuff_step story[] = {
		{ "at the start", { 120, 0, 0, 80 }, "120/80 from_memory" },
		{ "the new systolic beside the old diastolic", { 170, 0, 0, 80 }, "-" },
		{ "both new, for the first time", { 170, 0, 0, 100 }, "-" },
		{ "seen twice: whole", { 170, 0, 0, 100 }, "170/100" },
		{ "and only once reported", { 170, 0, 0, 100 }, "-" },
	};
	cuff_story(&map, 0, story, sizeof story / sizeof *story);
}

static void cuff_while_measuring(void **state)
{
	(void)state;
	static const struct vs_register_map map = { .len = 3, .reg = { REG(NIBP_SYS, INPUT, 0, U16), REG(NIBP_DIA, INPUT, 1, U16),
		FLAGS(MEASURING, INPUT, 2) } };
	static const struct cuff_step story[] = {
		{ "at the start", { 120, 80, 0 }, "120/80 from_memory" },
		{ "it inflates: the registers show the cuff's pressure", { 190, 0, 1 }, "-" },
		{ "the result stands there, but it has not finished", { 150, 95, 1 }, "-" },
		{ "finished", { 150, 95, 0 }, "150/95" },
		{ "inflates again, and gives up: the old one is no new reading", { 150, 95, 1 }, "-" },
		{ "", { 150, 95, 0 }, "-" },
	};
	cuff_story(&map, 8, story, sizeof story / sizeof *story);
}

static void voiding_flags(void **state)
{
	(void)state;
	static const struct vs_register_map map = { .len = 6, .reg = {
		REG(SPO2, INPUT, 0, U16), REG(PR, INPUT, 1, U16), REG(RR, INPUT, 2, U16), REG(TEMP, INPUT, 3, U16),
		FLAGS(PROBE_OFF, DISCRETE, 0), FLAGS(MOTION, DISCRETE, 1) } };
	static const uint16_t words[] = { 97, 72, 14, 37 };
	static const struct {
		const char *why;
		int bits; /* of the discrete inputs; -1: they were not answered; -2: refused with exception 2 */
		bool spo2, rr;
		uint64_t flags, spo2_flags;
	} steps[] = {
		{ "nothing to say", 0, true, true, 0, 0 },
		{ "motion marks the reading, values stay", 2, true, true, VS_FLAG(MOTION), 0 },
		{ "probe off takes what the probe measures, and only that", 1, false, true, VS_FLAG(PROBE_OFF), VS_FLAG(PROBE_OFF) },
		{ "nobody knows whether the probe is on", -1, false, true, 0, VS_FLAG(INVALID) },
		{ "nor here", -2, false, true, 0, VS_FLAG(INVALID) },
	};
	struct vs_modbus m;
	vs_modbus_init(&m, &map, 8);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct vs_reading r;
		uint8_t bits = (uint8_t)steps[i].bits;
		print_message("# %s\n", steps[i].why);
		vs_modbus_begin(&m);
		take(&m, 1, 4, words);
		if (steps[i].bits >= 0)
			vs_modbus_take(&m, 0, &bits, 1);
		else
			vs_modbus_failed(&m, 0, steps[i].bits == -2 ? 2 : 0);
		assert_true(vs_modbus_reading(&m, &r));
		assert_true(r.flags == steps[i].flags);
		assert_int_equal(vs_reading_find(&r, VS_SPO2)->has_value, steps[i].spo2);
		assert_true(vs_reading_find(&r, VS_SPO2)->flags == steps[i].spo2_flags);
		assert_int_equal(vs_reading_find(&r, VS_PR)->has_value, steps[i].spo2);
		assert_int_equal(vs_reading_find(&r, VS_RR)->has_value, steps[i].rr);
		assert_true(vs_reading_find(&r, VS_TEMP)->value == 37);
	}
}

static void refused(void **state)
{
	(void)state;
	static const struct vs_register_map map = { .len = 2, .reg = { REG(SPO2, INPUT, 0, U16), REG(RR, HOLDING, 0, U16) } };
	struct vs_modbus m;
	struct vs_reading r;
	static const uint16_t word[] = { 97 };
	vs_modbus_init(&m, &map, 8);
	vs_modbus_begin(&m);
	vs_modbus_failed(&m, 0, 0);
	vs_modbus_failed(&m, 1, 0);
	assert_false(vs_modbus_reading(&m, &r)); /* silence is no reading */
	vs_modbus_begin(&m);
	vs_modbus_failed(&m, 0, 6);
	take(&m, 1, 1, word);
	assert_true(vs_modbus_reading(&m, &r));
	assert_true(vs_reading_find(&r, VS_SPO2)->value == 97);
	assert_false(vs_reading_find(&r, VS_RR)->has_value); /* busy is not zero */
	assert_true(vs_reading_find(&r, VS_RR)->flags == VS_FLAG(DEVICE_ERROR));
	assert_int_equal(vs_reading_find(&r, VS_RR)->device_error, 6);
	vs_modbus_begin(&m);
	take(&m, 0, 1, word);
	assert_true(vs_modbus_reading(&m, &r)); /* the other request was not answered: none, and not the 97 of before */
	assert_false(vs_reading_find(&r, VS_SPO2)->has_value);
	assert_int_equal(vs_reading_find(&r, VS_RR)->flags, 0);
}

static void no_gaps_after_a_refusal(void **state)
{
	(void)state;
	static const struct vs_register_map map = { .len = 2, .reg = { REG(SPO2, INPUT, 0, U16), REG(PR, INPUT, 5, U16) } };
	struct vs_modbus m;
	vs_modbus_init(&m, &map, 8);
	assert_int_equal(m.n_requests, 1);
	vs_modbus_without_gaps(&m);
	assert_int_equal(m.n_requests, 2);
	assert_false(m.has_gaps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plan), cmocka_unit_test(answer), cmocka_unit_test(number),
		cmocka_unit_test(cuff_by_change), cmocka_unit_test(cuff_by_counter), cmocka_unit_test(cuff_in_pieces),
		cmocka_unit_test(cuff_while_measuring), cmocka_unit_test(voiding_flags), cmocka_unit_test(refused),
		cmocka_unit_test(no_gaps_after_a_refusal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
