/* What the simulated monitor makes of its patient: noise, cuff measurements, faults, registers and oximeter frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "clients/sim/chair.h"
#include "clients/sim/intellivue.h"
#include "clients/sim/nonin.h"
#include "clients/sim/registers.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void near(double got, double want, double by, const char *what)
{
	if (!(fabs(got - want) <= by))
		fail_msg("%s: %.3f, should be %.3f within %.3f", what, got, want, by);
}

static struct vs_sim_chair seated(uint64_t seed, enum vs_scenario s, double at_s)
{
	struct vs_chair_setup setup = { .patient = vs_patient_defaults(seed), .lead_s = 0 };
	struct vs_sim_chair c;
	setup.patient.scenario = s;
	setup.patient.at_s = at_s;
	setup.patient.response = setup.patient.hr_response = 0;
	setup.patient.sys = 120;
	setup.patient.dia = 75;
	setup.patient.hr = 74;
	setup.patient.spo2 = 96;
	vs_sim_chair_init(&c, &setup);
	return c;
}

/* Many patients for an hour: how often, how much. */
static void figures(void **state)
{
	(void)state;
	enum { CHAIRS = 1000, SECONDS = 3600 };
	double n = 0, hr = 0, squares = 0, missing = 0, doubled = 0, moved = 0, good = 0, failed = 0, started = 0;
	double odd = 0, sys = 0, sys2 = 0, dia2 = 0, plain = 0;
	long shortest = 1000, longest = 0, began = 0;
	for (uint64_t seed = 1; seed <= CHAIRS; seed++) {
		struct vs_sim_chair c = seated(seed, VS_SCENARIO_NORMAL, 0);
		for (int i = 0; i < SECONDS; i++) {
			struct vs_second s;
			vs_sim_chair_second(&c, &s);
			const struct vs_display *d = &s.display;
			n++;
			missing += !d->hr.has;
			moved += d->motion;
			doubled += d->hr.has && d->hr.value > 120;
			hr += d->pr.value;
			squares += d->pr.value * (double)d->pr.value;
			if (d->cuff == VS_CUFF_STARTS)
				began = s.t_s, started++;
			if (d->cuff == VS_CUFF_FAILED)
				failed++;
			if (d->cuff != VS_CUFF_MEASURED)
				continue;
			good++;
			shortest = s.t_s - began < shortest ? s.t_s - began : shortest;
			longest = s.t_s - began > longest ? s.t_s - began : longest;
			if (s.cuff.artefact) {
				odd++;
				continue;
			}
			plain++;
			sys += s.cuff.sys.value - 120;
			sys2 += (s.cuff.sys.value - 120) * (double)(s.cuff.sys.value - 120);
			dia2 += (s.cuff.dia.value - 75) * (double)(s.cuff.dia.value - 75);
		}
	}
	near(hr / n, 74, 0.3, "mean rate");
	/* 2 and 3 of noise, 1.5 of breathing: sqrt(4 + 9 + 1.1) */
	near(sqrt(squares / n - hr / n * (hr / n)), 3.75, 0.25, "spread of the rate");
	near(missing / n, 0.0025, 0.0005, "seconds without a rate: 0.1 %/s, 1-4 s");
	near(doubled / n, 0.0025, 0.0005, "seconds counted double");
	near(moved / n, 0.00375, 0.0006, "seconds of movement: 0.15 %/s, 1-4 s");
	near(failed / started, 0.03, 0.006, "failed measurements");
	near(odd / good, 0.01, 0.004, "cuff artefacts");
	near(sys / plain, 0, 0.2, "systolic bias");
	near(sqrt(sys2 / plain), 5, 0.2, "systolic SD");
	near(sqrt(dia2 / plain), 4, 0.2, "diastolic SD");
	assert_int_equal(shortest, 25);
	assert_int_equal(longest, 45);
}

/* A bad measurement or probe exactly when the scenario says so. */
static void faults(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct vs_sim_chair probe = seated(seed, VS_SCENARIO_PROBE_OFF, 100),
				    dead = seated(seed, VS_SCENARIO_DEVICE_DEAD, 100);
		struct vs_sim_chair arm = seated(seed, VS_SCENARIO_CUFF_ARM, 100),
				    tired = seated(seed, VS_SCENARIO_NIBP_TIRED, 100);
		struct vs_sim_chair bad = seated(seed, VS_SCENARIO_CUFF_ARTEFACT, 100);
		unsigned off = 0, silent = 0, failures_in_a_row = 0, most = 0, spoiled = 0;
		for (int i = 0; i < 1000; i++) {
			struct vs_second s;
			vs_sim_chair_second(&probe, &s);
			off += !s.display.pr.has;
			assert_int_equal(s.display.probe_off, s.t_s >= 100 && s.t_s < 160);
			assert_int_equal(s.display.spo2.has, !s.display.probe_off);
			vs_sim_chair_second(&dead, &s);
			silent += s.display.dead;
			vs_sim_chair_second(&arm, &s);
			if (s.t_s > 100 && s.display.cuff != VS_CUFF_STARTS)
				assert_true(s.display.spo2.has == !s.display.inflating ||
					    s.t_s - s.cuff.started_s >= 40);
			vs_sim_chair_second(&tired, &s);
			if (s.display.cuff == VS_CUFF_FAILED && s.t_s > 100)
				failures_in_a_row++;
			if (s.display.cuff == VS_CUFF_MEASURED)
				failures_in_a_row = 0;
			most = failures_in_a_row > most ? failures_in_a_row : most;
			vs_sim_chair_second(&bad, &s);
			spoiled += s.display.cuff == VS_CUFF_MEASURED && s.t_s > 100 && s.cuff.artefact;
		}
		assert_int_equal(off, 60);
		assert_int_equal(silent, 120);
		assert_true(most >= 3);
		assert_true(spoiled >= 1);
	}
}

/* One more measurement changes no other. */
static void independent_cuff(void **state)
{
	(void)state;
	static const long extra[] = { 450 };
	struct vs_sim_chair plain = seated(7, VS_SCENARIO_NORMAL, 0), more = plain;
	more.setup.cuff_at_s = extra;
	more.setup.cuff_at_len = 1;
	unsigned readings = 0;
	for (int i = 0; i < 460; i++) {
		struct vs_second a, b;
		vs_sim_chair_second(&plain, &a);
		vs_sim_chair_second(&more, &b);
		assert_int_equal(a.display.pr.value, b.display.pr.value);
		assert_int_equal(a.display.spo2.value, b.display.spo2.value);
		if (i < 450)
			assert_int_equal(a.display.cuff, b.display.cuff);
		readings += b.display.cuff == VS_CUFF_STARTS;
	}
	assert_true(readings >= 3); /* at 0, 300 and 450 */
}

/* Requests as bytes, answers as bytes; the layout is that of the profile. */
/* What a master asks of the registers, and what it hears. */
static const struct {
	const char *why;
	uint8_t ask[16];
	size_t ask_len;
	uint8_t want[32];
	size_t want_len;
} questions[] = {
	{ "the cuff",
	  { 0, 1, 0, 0, 0, 6, 1, 4, 0, 0, 0, 4 },
	  12,
	  { 0, 1, 0, 0, 0, 11, 1, 4, 8, 0, 120, 0, 80, 0, 95, 0, 71 },
	  17 },
	{ "rate, saturation, no pulse, breathing, state, readings",
	  { 0, 2, 0, 0, 0, 6, 1, 4, 0, 4, 0, 6 },
	  12,
	  { 0, 2, 0, 0, 0, 15, 1, 4, 12, 0, 72, 0, 97, 255, 255, 0, 14, 0, 8, 0, 3 },
	  21 },
	{ "temperature 36.5 = 42120000, perfusion",
	  { 0, 3, 0, 0, 0, 6, 1, 3, 0, 10, 0, 3 },
	  12,
	  { 0, 3, 0, 0, 0, 9, 1, 3, 6, 0x42, 0x12, 0, 0, 1, 164 },
	  15 },
	{ "97.0 = 42C20000, low word first",
	  { 0, 4, 0, 0, 0, 6, 1, 3, 0, 40, 0, 2 },
	  12,
	  { 0, 4, 0, 0, 0, 7, 1, 3, 4, 0, 0, 0x42, 0xc2 },
	  13 },
	{ "probe off: bit 3", { 0, 5, 0, 0, 0, 6, 1, 2, 0, 0, 0, 8 }, 12, { 0, 5, 0, 0, 0, 4, 1, 2, 1, 8 }, 10 },
	{ "beyond the map: exception 2",
	  { 0, 6, 0, 0, 0, 6, 1, 4, 0, 60, 0, 5 },
	  12,
	  { 0, 6, 0, 0, 0, 3, 1, 0x84, 2 },
	  9 },
	{ "no such function: exception 1",
	  { 0, 7, 0, 0, 0, 6, 1, 6, 0, 0, 0, 5 },
	  12,
	  { 0, 7, 0, 0, 0, 3, 1, 0x86, 1 },
	  9 },
	{ "nobody behind unit 9: exception 11",
	  { 0, 8, 0, 0, 0, 6, 9, 4, 0, 0, 0, 1 },
	  12,
	  { 0, 8, 0, 0, 0, 3, 9, 0x84, 11 },
	  9 },
	{ "a request cut short: exception 3", { 0, 9, 0, 0, 0, 3, 1, 4, 0 }, 9, { 0, 9, 0, 0, 0, 3, 1, 0x84, 3 }, 9 },
};

static void registers(void **state)
{
	(void)state;
	struct vs_registers *r = vs_registers_create(1);
	assert_non_null(r);
	struct vs_second s = {
		.display = { .hr = { true, 72 },
			     .spo2 = { true, 97 },
			     .pr = { false, 0 },
			     .rr = { true, 14 },
			     .temp = 36.5,
			     .pi = 4.2,
			     .probe_off = true },
		.cuff = { .readings = 3,
			  .sys = { true, 120 },
			  .dia = { true, 80 },
			  .map = { true, 95 },
			  .pr = { true, 71 } },
	};
	vs_registers_show(r, &s);
	for (size_t i = 0; i < COUNT(questions); i++) {
		uint8_t ask[VS_ADU_MAX] = { 0 }, got[VS_ADU_MAX];
		memcpy(ask, questions[i].ask, questions[i].ask_len);
		assert_int_equal(vs_request_length(VS_FRAMING_TCP, ask, questions[i].ask_len), questions[i].ask_len);
		assert_int_equal(vs_request_length(VS_FRAMING_TCP, ask, questions[i].ask_len - 1), 0);
		size_t n = vs_registers_answer(r, VS_FRAMING_TCP, ask, questions[i].ask_len, got);
		if (n != questions[i].want_len || memcmp(got, questions[i].want, n) != 0)
			fail_msg("%s: %zu bytes", questions[i].why, n);
	}
	vs_registers_destroy(r);
}

static void rtu(void **state)
{
	(void)state;
	/* The example of the serial line guide, and its last byte wrong. */
	uint8_t ask[VS_ADU_MAX] = { 0x11, 0x03, 0x00, 0x6b, 0x00, 0x03, 0x76, 0x87 }, got[VS_ADU_MAX];
	assert_int_equal(vs_request_length(VS_FRAMING_RTU, ask, 8), 8);
	assert_int_equal(vs_request_length(VS_FRAMING_RTU, ask, 7), 0);
	struct vs_registers *r = vs_registers_create(0x11), *other = vs_registers_create(1);
	assert_non_null(r);
	assert_non_null(other);
	size_t n = vs_registers_answer(r, VS_FRAMING_RTU, ask, 8, got);
	assert_int_equal(n, 5); /* exception 2, with its CRC */
	assert_int_equal(got[1], 0x83);
	assert_int_equal(got[2], 2);
	assert_int_equal(vs_crc16(got, 3), got[3] | got[4] << 8);
	assert_int_equal(vs_registers_answer(other, VS_FRAMING_RTU, ask, 8, got), 0);
	ask[7] = 0x88;
	assert_true(vs_request_length(VS_FRAMING_RTU, ask, 8) < 0);
	vs_registers_destroy(r);
	vs_registers_destroy(other);
}

static void cuff_by_coil(void **state)
{
	(void)state;
	uint8_t ask[VS_ADU_MAX] = { 0, 1, 0, 0, 0, 6, 1, 5, 0, 0, 0xff, 0 }, got[VS_ADU_MAX];
	struct vs_registers *r = vs_registers_create(1);
	assert_non_null(r);
	assert_false(vs_registers_cuff_wanted(r));
	assert_int_equal(vs_registers_answer(r, VS_FRAMING_TCP, ask, 12, got), 12);
	assert_true(vs_registers_cuff_wanted(r));
	assert_false(vs_registers_cuff_wanted(r));
	vs_registers_destroy(r);
}

/* Frames against the specification: sync in the first of 25, checksum, rate in frames 1-2, saturation in 3. */
static void oximeter(void **state)
{
	(void)state;
	static const struct {
		struct vs_shown pr, spo2;
		uint8_t slow[3], alarm;
	} story[] = {
		{ { true, 72 }, { true, 97 }, { 0, 72, 97 }, 0 },
		{ { true, 130 }, { true, 83 }, { 1, 2, 83 }, 0 },
		{ { true, 300 }, { true, 100 }, { 2, 44, 100 }, 0 },
		{ { false, 0 }, { false, 0 }, { 3, 127, 127 }, 0x08 },
	};
	struct vs_nonin n = { 0 };
	for (size_t i = 0; i < COUNT(story); i++) {
		struct vs_display d = { .pr = story[i].pr, .spo2 = story[i].spo2 };
		unsigned perfused = 0;
		for (int k = 0; k < 25 * 3; k++) {
			uint8_t f[5];
			vs_nonin_frame(&n, &d, f);
			assert_int_equal(f[0], 1);
			assert_int_equal(f[4], (f[0] + f[1] + f[2] + f[3]) & 255);
			assert_int_equal(f[1] & 0x81, k % 25 == 0 ? 0x81 : 0x80);
			assert_int_equal(f[1] & 0x08, story[i].alarm);
			if (k % 25 < 3)
				assert_int_equal(f[3], story[i].slow[k % 25]);
			perfused += (f[1] & 0x06) == 0x02;
		}
		assert_int_equal(perfused > 0, story[i].alarm == 0);
	}
}

/* ---- the data export port ---- */

/* What a host says, by letters: A asks for an association, C confirms the introduction, P polls, X aborts, R releases, ? another
 * poll than it answers, w waits six seconds.  What the monitor says: a accepted, i introduction, r result, x abort, e released. */
static void export(const char *said, char *heard)
{
	static const uint8_t poll[] = { 0xE1, 0, 0, 2, 0, 1, 0, 0x1C, 0, 9, 0, 7, 0, 0x16, 0, 0x21, 0, 0, 0, 0, 0, 0, 0, 0,
					0x0C, 0x16, 0, 8, 0, 77, 0, 1, 0, 6, 0, 0 };
	static const uint8_t confirm[] = { 0xE1, 0, 0, 2, 0, 2, 0, 0x14, 0, 0, 0, 1, 0, 0x0E, 0, 0x21, 0, 0, 0, 0,
					   0, 0, 0, 0, 0x0C, 6, 0, 0 };
	struct vs_intellivue v = { 0 };
	struct vs_second now = { .display = { .spo2 = { true, 97 } } };
	struct vs_mib_answer a;
	int64_t at = 1000;
	for (; *said; said++) {
		uint8_t m[238] = { *said == 'A' ? 0x0D : *said == 'X' ? 0x19 : 0x09, 0xEC };
		size_t len = sizeof m;
		if (*said == 'P' || *said == '?' || *said == 'C') {
			len = *said == 'C' ? sizeof confirm : sizeof poll;
			memcpy(m, *said == 'C' ? confirm : poll, len);
			m[24] = *said == '?' ? 0xF1 : m[24];
			m[9] = *said == 'C' ? (uint8_t)v.event : m[9];
		}
		at += *said == 'w' ? 6000 : 1000;
		if (*said == 'w')
			vs_intellivue_time(&v, &now, at, &a);
		else
			vs_intellivue_take(&v, m, len, &now, at, &a);
		for (unsigned i = 0; i < a.len; i++) {
			const uint8_t *b = a.message[i].bytes;
			bool result = b[0] == 0xE1 && b[5] == 2;
			assert_true(!result || (b[9] == 9 && b[24] == 0 && b[25] == 77)); /* invoke id and number of the poll */
			assert_true(b[0] != 0xE1 || (size_t)(b[6] << 8 | b[7]) == a.message[i].len - 8);
			*heard++ = b[0] == 0x0E ? 'a' : b[0] == 0x19 ? 'x' : b[0] == 0x0A ? 'e' : result ? 'r' : 'i';
		}
	}
	*heard = '\0';
}

static void a_monitor_that_insists_on_its_protocol(void **state)
{
	static const struct {
		const char *said, *heard, *why;
	} rows[] = {
		{ "ACPP", "airr", "in order" },
		{ "P", "x", "a poll without an association" },
		{ "AP", "ai", "polled before the introduction was confirmed: no word" },
		{ "ACA", "ai", "a second request, while one stands: no word" },
		{ "ACPwwP", "airxx", "twelve seconds without a poll end it; the next one finds nobody" },
		{ "ACwPwP", "airr", "six seconds do not" },
		{ "ACXACP", "aiair", "aborted by the host, and asked for again" },
		{ "ACRACP", "aieair", "released" },
		{ "AC?P", "air", "another action is not answered" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char heard[64];
		export(rows[i].said, heard);
		if (strcmp(heard, rows[i].heard) != 0)
			fail_msg("%s: %s, should be %s: %s", rows[i].said, heard, rows[i].heard, rows[i].why);
	}
}

static void its_serial_frames(void **state)
{
	static const uint8_t message[] = { 0x0D, 0xC0, 0xC1, 0x7D, 0x00, 0x42 };
	uint8_t wire[VS_MIB_WIRE], back[VS_MIB_MESSAGE], noise[2 * VS_MIB_WIRE];
	size_t used, len = vs_mib_frame(message, sizeof message, wire);
	(void)state;
	assert_true(wire[0] == 0xC0 && wire[len - 1] == 0xC1 && !memchr(wire + 1, 0xC0, len - 2) && !memchr(wire + 1, 0xC1, len - 2));
	assert_int_equal(vs_mib_unframe(wire, len, &used, back), sizeof message);
	assert_int_equal(used, len);
	assert_memory_equal(back, message, sizeof message);
	for (size_t i = 0; i < len - 1; i++)
		assert_int_equal(vs_mib_unframe(wire, i, &used, back), 0); /* not all of it yet */
	memcpy(noise, "\x55\xC0\x11", 3); /* a frame that was cut off, then the whole one */
	memcpy(noise + 3, wire, len);
	assert_int_equal(vs_mib_unframe(noise, len + 3, &used, back), sizeof message);
	assert_int_equal(used, len + 3);
	wire[6] ^= 1;
	assert_int_equal(vs_mib_unframe(wire, len, &used, back), 0);
	assert_int_equal(used, len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_monitor_that_insists_on_its_protocol),
		cmocka_unit_test(its_serial_frames),
		cmocka_unit_test(figures),   cmocka_unit_test(faults), cmocka_unit_test(independent_cuff),
		cmocka_unit_test(registers), cmocka_unit_test(rtu),    cmocka_unit_test(cuff_by_coil),
		cmocka_unit_test(oximeter),
	};
	return cmocka_run_group_tests_name("sim monitor", tests, NULL, NULL);
}
