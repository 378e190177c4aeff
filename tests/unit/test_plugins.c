/* Plugins beyond their vectors: what they send and when, what they do not say twice, and the stream decoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plugins/feed.h"
#include "plugins/ge-dri/ge-dri.h"
#include "plugins/philips-intellivue/philips-intellivue.h"
#include "plugins/registry.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static size_t from_hex(const char *hex, uint8_t *bytes)
{
	size_t n = 0;
	unsigned byte;
	for (int used = 0; sscanf(hex, "%2x%n", &byte, &used) == 1; hex += used)
		bytes[n++] = (uint8_t)byte;
	return n;
}

/* Which bytes inflate a cuff. */
static const struct {
	const char *plugin, *start, *why;
} cuffs[] = {
	{ "suntech-nibp", "3a20a6", "start adult measurement" },
	{ "par-nibp", "0230313b3b443703", "code 01, start one measurement" },
	{ "berry-pm6750", "55aa040201f8", "02 01, start a blood pressure measurement" },
	{ "oem7bit-806c", "55d5", "55 D5, start NIBP" },
};

static bool sends(const struct vs_plugin *p, void *state, enum vs_transmit_why why, const char *hex)
{
	uint8_t buf[VS_TX_MAX], wanted[64];
	size_t n = p->transmit(state, why, buf, sizeof buf), len = from_hex(hex, wanted);
	return n && memmem(buf, n, wanted, len);
}

static void inflates_only_on_request(void **ctx)
{
	(void)ctx;
	for (size_t i = 0; i < sizeof cuffs / sizeof cuffs[0]; i++) {
		const struct vs_plugin *p = vs_plugin_find(cuffs[i].plugin);
		void *state = calloc(1, p->state_size);
		for (unsigned round = 0; round < 3; round++) {
			assert_false(sends(p, state, VS_TX_CONNECT, cuffs[i].start));
			for (unsigned k = 0; k < 50; k++) {
				assert_false(sends(p, state, VS_TX_POLL, cuffs[i].start));
				assert_false(sends(p, state, VS_TX_REPLY, cuffs[i].start));
			}
			assert_false(sends(p, state, VS_TX_NIBP_STOP, cuffs[i].start));
			assert_true(sends(p, state, VS_TX_NIBP, cuffs[i].start));
		}
		free(state);
	}
}

/* A module that says nothing while its cuff may be full is told to stop. */
static void suntech_aborts_when_the_module_is_silent(void **ctx)
{
	(void)ctx;
	const struct vs_plugin *p = vs_plugin_find("suntech-nibp");
	void *state = calloc(1, p->state_size);
	assert_true(sends(p, state, VS_TX_NIBP, "3a20a6"));
	unsigned polls = 1;
	while (polls < 100 && !sends(p, state, VS_TX_POLL, "3a7901004c"))
		polls++;
	assert_int_equal(polls, 11); /* ten polls of 500 ms without an answer */
	assert_false(sends(p, state, VS_TX_POLL, "3a"));
	free(state);
}

static void ge_requests_are_those_of_the_specification(void **ctx)
{
	static const struct {
		enum vs_ge_dri_kind kind;
		int interval_s;
		uint32_t classes;
		const char *tail, *why;
	} rows[] = {
		{ VS_GE_DRI_DISPLAYED, 10, 0x0E, "010a000e0000000000497e", "displayed values every 10 s" },
		{ VS_GE_DRI_DISPLAYED, 0, 0, "010000000000000000317e", "stop displayed values" },
		{ VS_GE_DRI_TREND_60S, 60, 0x0E, "033c000e00000000007d5d7e", "its checksum 7D is escaped" },
		{ VS_GE_DRI_TREND_60S, 0, 0, "030000000000000000337e", "stop trends" },
	};
	(void)ctx;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint8_t buf[VS_GE_DRI_REQUEST_MAX], tail[32];
		size_t n = vs_ge_dri_request(rows[i].kind, rows[i].interval_s, rows[i].classes, buf);
		size_t len = from_hex(rows[i].tail, tail);
		assert_int_equal(n, 1 + 40 + len);
		assert_memory_equal(buf, "\x7e\x31\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff", 23);
		assert_memory_equal(buf + n - len, tail, len);
	}
}

static void philips_float(void **ctx)
{
	static const struct {
		uint32_t bits;
		double value;
	} rows[] = {
		{ 0xFD007D00, 32 },   { 0xFF000140, 32 },   { 0x01000140, 3200 }, { 0x02000020, 3200 },
		{ 0xFFFFFFFF, -0.1 }, { 0xFF0003D9, 98.5 }, { 0x007FFFFF, NAN },  { 0x00800000, NAN },
		{ 0x007FFFFE, NAN },  { 0x00800002, NAN },
	};
	(void)ctx;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		double got = vs_philips_float(rows[i].bits);
		assert_true(isnan(rows[i].value) ? isnan(got) : fabs(got - rows[i].value) < 1e-9);
	}
}

static void count_results(void *ctx, const struct vs_feed *f, uint64_t unit, const struct vs_reading *r)
{
	(void)f, (void)unit;
	const struct vs_obs *sys = vs_reading_find(r, VS_NIBP_SYS);
	*(unsigned *)ctx += sys && sys->has_value;
}

/* A result that stays on the display is one measurement; after another inflation an equal one is new. */
static void a_shown_result_is_reported_once(void **ctx)
{
	static const char result[] = "55aa08030000785d50cf", measuring[] = "55aa0803044b000000a5";
	static const struct {
		const char *bytes;
		unsigned results;
		const char *why;
	} steps[] = {
		{ result, 1, "the first that is seen" }, { result, 0, "the same display, half a second later" },
		{ measuring, 0, "the cuff inflates" },   { result, 1, "an equal result, newly measured" },
		{ result, 0, "and its display" },
	};
	(void)ctx;
	const struct vs_plugin *p = vs_plugin_find("berry-pm6750");
	void *state = calloc(1, p->state_size);
	struct vs_feed *f = malloc(sizeof *f);
	assert_int_equal(vs_feed_init(f, p, state, NULL), 0);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		uint8_t bytes[64];
		unsigned results = 0;
		vs_feed_bytes(f, bytes, from_hex(steps[i].bytes, bytes), count_results, NULL, &results);
		assert_int_equal(results, steps[i].results);
	}
	free(f);
	free(state);
}

/* A record of numerics with an NIBP group of 128/80, mean 93; or, where there is none, an alarm's. */
static size_t ge_record(bool numeric, uint8_t *out)
{
	uint8_t record[40 + 278] = { numeric ? 0x3E : 40, numeric, [14] = numeric ? 0 : 4, [18] = numeric ? 1 : 0xFF, [21] = 0xFF };
	static const uint8_t nibp[] = { 3, 0, 0, 0, 0, 0, 0x00, 0x32, 0x40, 0x1F, 0x54, 0x24, 72 };
	size_t len = numeric ? sizeof record : 40, n = 0;
	uint8_t sum = 0;
	if (numeric)
		memcpy(record + 44 + 72, nibp, sizeof nibp);
	out[n++] = 0x7E;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + (out[n++] = record[i]));
	out[n++] = sum;
	out[n++] = 0x7E;
	return n;
}

/* What a device says, by its hex; ge-dri: by a word. */
static size_t said(const char *what, uint8_t *bytes)
{
	return strchr("AN", *what) ? ge_record(*what == 'N', bytes) : from_hex(what, bytes);
}

static unsigned hear(struct vs_feed *f, const char *what, unsigned times)
{
	uint8_t bytes[512];
	unsigned results = 0;
	size_t len = said(what, bytes);
	while (times--)
		vs_feed_bytes(f, bytes, len, count_results, NULL, &results);
	return results;
}

/* From a noisy line a result has to come twice: the device is asked once more, or shows it anyway; then it is one result. */
static void a_doubtful_result_is_had_again(void **ctx)
{
	static const struct {
		const char *plugin, *talk, *result;
		enum vs_transmit_why why;
		const char *asks;
	} rows[] = {
		{ "suntech-nibp", "3e050201ba", "3e1873004a001e01000000000000310755005800000000e9", VS_TX_REPLY, "3a7903004a" },
		{ "par-nibp", "0230333543305333030d", "0253313b41303b4330333b4d30303b503132353038303039303b523037353b54303030353b3b3430030d",
		  VS_TX_POLL, "0231383b3b444603" },
		{ "berry-pm6750", "55aa0803044b000000a5", "55aa08030000785d50cf", VS_TX_REPLY, NULL },
		{ "ge-dri", "A", "N", VS_TX_REPLY, NULL },
	};
	(void)ctx;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct vs_plugin *p = vs_plugin_find(rows[i].plugin);
		void *state = calloc(1, p->state_size);
		struct vs_feed *f = malloc(sizeof *f);
		unsigned late = 0;
		assert_int_equal(vs_feed_init(f, p, state, NULL), 0);
		for (unsigned damage = 0; damage < 4; damage++) {
			hear(f, rows[i].talk, 4);
			hear(f, "00", 1);
		}
		hear(f, rows[i].talk, 1);
		vs_feed_poll(f, count_results, &late);
		assert_true(f->gate.noisy);
		assert_int_equal(hear(f, rows[i].result, 1), 0);
		assert_true(!rows[i].asks || sends(p, state, rows[i].why, rows[i].asks));
		vs_feed_poll(f, count_results, &late);
		assert_int_equal(hear(f, rows[i].result, 1), 1);
		assert_true(!rows[i].asks || !sends(p, state, rows[i].why, rows[i].asks));
		for (unsigned polls = 0; polls < 20; polls++)
			vs_feed_poll(f, count_results, &late);
		assert_int_equal(late, 0);
		assert_int_equal(hear(f, rows[i].result, 1), 0); /* shown on and on, or a new one: that waits again */
		vs_feed_settle(f, count_results, &late);
		assert_int_equal(late, rows[i].asks != NULL);
		free(f);
		free(state);
	}
}

static void count_units(void *ctx, const struct vs_feed *f, uint64_t unit, const struct vs_reading *r)
{
	(void)unit, (void)r;
	*(uint64_t *)ctx = f->offset;
}

/* A false start claims more bytes than ever come; a good packet stands behind it. */
static void a_silent_line_frees_what_waits(void **ctx)
{
	(void)ctx;
	const struct vs_plugin *p = vs_plugin_find("nonin-df13");
	void *state = calloc(1, p->state_size);
	struct vs_feed *f = malloc(sizeof *f);
	uint8_t bytes[128];
	uint64_t end = 0;
	size_t n = from_hex("0002000d0070 0002000d000e20260309174530000200004800618903", bytes);
	assert_int_equal(vs_feed_init(f, p, state, NULL), 0);
	vs_feed_bytes(f, bytes, n, count_units, NULL, &end);
	assert_int_equal(f->units, 0);
	assert_int_equal(vs_feed_waiting(f), n);
	vs_feed_flush(f, count_units, NULL, &end);
	assert_int_equal(f->units, 1);
	assert_int_equal(end, n);
	assert_int_equal(f->dropped, 6);
	vs_feed_bytes(f, bytes, 4, count_units, NULL, &end);
	vs_feed_reset(f);
	assert_int_equal(vs_feed_waiting(f), 0);
	assert_int_equal(f->offset, n + 4);
	free(f);
	free(state);
}

static void every_descriptor_is_sound(void **ctx)
{
	(void)ctx;
	for (size_t i = 0; vs_plugin_at(i); i++) {
		const struct vs_plugin *p = vs_plugin_at(i);
		assert_null(vs_plugin_fault(p));
		assert_ptr_equal(vs_plugin_find(p->name), p);
	}
	assert_null(vs_plugin_find("no-such-device"));
}

static void a_wrong_setting_is_explained(void **ctx)
{
	static const struct {
		struct vs_plugin_setting setting;
		const char *words;
	} rows[] = {
		{ { "dialect", "berry" }, NULL },
		{ { "dialect", "bery" }, "option 'dialect' of plugin cms50-5byte cannot be 'bery'; it is one of: contec, berry" },
		{ { "dialekt", "berry" }, "plugin cms50-5byte has no option 'dialekt'; it has: dialect" },
	};
	(void)ctx;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char words[256] = "";
		int r = vs_plugin_check_setting(vs_plugin_find("cms50-5byte"), &rows[i].setting, words, sizeof words);
		assert_int_equal(r == 0, rows[i].words == NULL);
		assert_string_equal(words, rows[i].words ? rows[i].words : "");
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_descriptor_is_sound),
		cmocka_unit_test(a_wrong_setting_is_explained),
		cmocka_unit_test(inflates_only_on_request),
		cmocka_unit_test(suntech_aborts_when_the_module_is_silent),
		cmocka_unit_test(a_shown_result_is_reported_once),
		cmocka_unit_test(a_doubtful_result_is_had_again),
		cmocka_unit_test(ge_requests_are_those_of_the_specification),
		cmocka_unit_test(philips_float),
		cmocka_unit_test(a_silent_line_frees_what_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
