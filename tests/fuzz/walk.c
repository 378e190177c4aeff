#include "tests/fuzz/walk.h"

#include "tests/fuzz/vectors.h"

#include <math.h>
#include <stdio.h>

#define CUFF_EVERY_S 180

static const struct motion {
	enum vs_metric metric;
	double start, low, high, step, per_s;
} motions[] = {
	{ VS_HR, 72, 45, 150, 1, 0.5 },   { VS_PR, 71, 45, 150, 1, 0.5 },      { VS_SPO2, 97, 82, 100, 1, 0.1 },
	{ VS_RR, 14, 6, 30, 1, 0.2 },     { VS_TEMP, 36.8, 35, 39, 0.1, 0.02 }, { VS_TEMP2, 35.1, 33, 38, 0.1, 0.02 },
	{ VS_PI, 3.6, 0.3, 12, 0.05, 0.3 }, { VS_PULSE_AMPLITUDE, 60, 10, 250, 3, 0.5 },
};

static uint32_t below(struct walk *w, uint32_t n)
{
	return seed_random(&w->random) % n;
}

static void move(struct walk *w, const struct motion *m, double seconds)
{
	double steps = seconds * m->per_s;
	for (; steps > 0; steps -= 1) {
		if (steps < 1 && below(w, 1000000) >= 1e6 * steps)
			break;
		double v = w->now[m->metric] + (below(w, 2) ? m->step : -m->step);
		v = v < m->low || v > m->high ? w->now[m->metric] : v;
		w->now[m->metric] = round(v * 100) / 100;
	}
}

static void measure(struct walk *w)
{
	double sys = 95 + below(w, 80), dia = round(sys * (50 + below(w, 15)) / 100);
	w->now[VS_NIBP_SYS] = sys;
	w->now[VS_NIBP_DIA] = dia;
	w->now[VS_NIBP_MAP] = round(dia + (sys - dia) / 3);
	w->now[VS_NIBP_PR] = 55 + below(w, 60);
	w->now[VS_CUFF_PRESSURE] = 30 + below(w, 150);
}

void walk_begin(struct walk *w, const struct walk_device *d)
{
	*w = (struct walk){ .random = 20260711, .device = d };
	for (size_t i = 0; i < sizeof motions / sizeof *motions; i++)
		w->now[motions[i].metric] = motions[i].start;
	measure(w);
}

size_t walk_round(struct walk *w, uint8_t *out)
{
	double hz = w->device->hz, seconds = hz > 0 ? 1 / hz : CUFF_EVERY_S;
	for (size_t i = 0; i < sizeof motions / sizeof *motions; i++)
		move(w, &motions[i], seconds);
	if (hz <= 0 || w->rounds % (uint64_t)ceil(CUFF_EVERY_S * hz) == 0)
		measure(w);
	w->rounds++;
	w->sent = 0;
	w->answer = 0;
	return w->device->put(w, out);
}

/* A value of this round, as the whole number the device sends. */
static unsigned the(struct walk *w, enum vs_metric m, double scale)
{
	w->sent |= 1u << m;
	return (unsigned)lround(w->now[m] * scale);
}

static size_t text(uint8_t *out, const char *line)
{
	size_t n = strlen(line);
	memcpy(out, line, n);
	return n;
}

static uint8_t sum(const uint8_t *bytes, size_t n)
{
	uint8_t s = 0;
	while (n--)
		s = (uint8_t)(s + *bytes++);
	return s;
}

/* ---- Nonin */

/* The slow value of frame 1-25. */
static uint8_t slow(unsigned frame, unsigned rate, unsigned spo2)
{
	switch (frame) {
	case 1: case 14: case 20: case 22: return (uint8_t)(rate >> 7);
	case 2: case 15: case 21: case 23: return rate & 127;
	case 3: case 9: case 10: case 11: case 16: case 17: return (uint8_t)spo2;
	case 4: return 0x30;
	default: return 0;
	}
}

static size_t nonin_packet(struct walk *w, uint8_t *out, bool seven)
{
	unsigned rate = the(w, VS_PR, 1), spo2 = the(w, VS_SPO2, 1);
	for (unsigned i = 0; i < 25; i++, out += 5) {
		uint8_t status = (uint8_t)(0x80 | (i == 0) | (i > 4 && i < 17 ? 2 : 0)), wave = (uint8_t)below(w, 256);
		out[0] = seven ? status : 1;
		out[1] = seven ? wave : status;
		out[2] = seven ? (uint8_t)below(w, 256) : wave;
		out[3] = slow(i + 1, rate, spo2);
		out[4] = sum(out, 4);
	}
	return 125;
}

static size_t nonin_df2(struct walk *w, uint8_t *out)
{
	return nonin_packet(w, out, false);
}

static size_t nonin_df7(struct walk *w, uint8_t *out)
{
	return nonin_packet(w, out, true);
}

static size_t nonin_df1(struct walk *w, uint8_t *out)
{
	unsigned rate = the(w, VS_PR, 1);
	out[0] = (uint8_t)(0x80 | rate >> 7);
	out[1] = rate & 127;
	out[2] = (uint8_t)the(w, VS_SPO2, 1);
	return 3;
}

static size_t nonin_df8(struct walk *w, uint8_t *out)
{
	out[3] = 0;
	return nonin_df1(w, out) + 1;
}

static size_t nonin_df13(struct walk *w, uint8_t *out)
{
	static const uint8_t head[] = { 0x00, 0x02, 0x00, 0x0D, 0x00, 0x0E, 0x20, 0x26, 0x03, 0x09, 0x17, 0x45, 0x30, 0, 2, 0 };
	unsigned rate = the(w, VS_PR, 1);
	memcpy(out, head, sizeof head);
	out[16] = (uint8_t)(rate >> 8);
	out[17] = (uint8_t)rate;
	out[18] = 0;
	out[19] = (uint8_t)the(w, VS_SPO2, 1);
	out[20] = sum(out + 6, 14);
	out[21] = 0x03;
	return 22;
}

static size_t nonin_ascii(struct walk *w, uint8_t *out)
{
	char line[64];
	snprintf(line, sizeof line, "SPO2=%03u HR=%03u\r\n", the(w, VS_SPO2, 1), the(w, VS_PR, 1));
	return text(out, line);
}

/* ---- lines of text */

static size_t masimo(struct walk *w, uint8_t *out)
{
	char line[200];
	unsigned pi = the(w, VS_PI, 100);
	snprintf(line, sizeof line,
		 "03/17/16 19:19:36 SN=0000056661 SPO2=%03u%% BPM=%03u PI=%02u.%02u%% SPCO=--.-%% SPMET=--.-%% DESAT=-- "
		 "PIDELTA=+-- ALARM=0000 EXC=000800\r\n",
		 the(w, VS_SPO2, 1), the(w, VS_PR, 1), pi / 100, pi % 100);
	return text(out, line);
}

static size_t nellcor(struct walk *w, uint8_t *out)
{
	char line[120];
	snprintf(line, sizeof line, "12-NOV-97 14:00:05    %3u     %3u      %3u                        \r\n", the(w, VS_SPO2, 1),
		 the(w, VS_PR, 1), the(w, VS_PULSE_AMPLITUDE, 1));
	return text(out, line);
}

static size_t omron_fmt5(struct walk *w, uint8_t *out)
{
	char line[80];
	snprintf(line, sizeof line, "2026,07,11,09,05,12345678901234567890,0,%03u,%03u,%03u,0\r\n", the(w, VS_NIBP_SYS, 1),
		 the(w, VS_NIBP_DIA, 1), the(w, VS_NIBP_PR, 1));
	return text(out, line);
}

static size_t omron_bp_line(struct walk *w, uint8_t *out)
{
	char line[80];
	snprintf(line, sizeof line, "bp,99999999999999999999,2023/04/27,15:06,%03u,%03u,%03u,%03u,0\r\n", the(w, VS_NIBP_SYS, 1),
		 the(w, VS_NIBP_MAP, 1), the(w, VS_NIBP_DIA, 1), the(w, VS_NIBP_PR, 1));
	return text(out, line);
}

static size_t and_tm2657(struct walk *w, uint8_t *out)
{
	char line[120];
	snprintf(line, sizeof line,
		 "\x02\x1eID\x1e"
		 "20260711\x1e"
		 "0905\x1e"
		 "E00\x1eS%03u\x1eM %03u\x1e"
		 "D %03u\x1eP%03u\x1ei 00\x1em0\x1er0\x1et 035\x1e\x03\r\n",
		 the(w, VS_NIBP_SYS, 1), the(w, VS_NIBP_MAP, 1), the(w, VS_NIBP_DIA, 1), the(w, VS_NIBP_PR, 1));
	return text(out, line);
}

/* Five live pressures, the end, the result. */
static size_t par_nibp(struct walk *w, uint8_t *out)
{
	char line[160], result[64];
	int n = 0;
	for (int i = 0; i < 5; i++)
		n += snprintf(line + n, sizeof line - (size_t)n, "\x02%03uC0S3\x03\r", (unsigned)lround(w->now[VS_CUFF_PRESSURE]));
	int len = snprintf(result, sizeof result, "S1;A0;C03;M00;P%03u%03u%03u;R%03u;T0005;;", the(w, VS_NIBP_SYS, 1),
			   the(w, VS_NIBP_DIA, 1), the(w, VS_NIBP_MAP, 1), the(w, VS_NIBP_PR, 1));
	snprintf(line + n, sizeof line - (size_t)n, "\x02"
						    "999\x03\r\x02%s%02X\x03\r",
		 result, sum((uint8_t *)result, (size_t)len));
	w->answer = (size_t)(strrchr(line, '\x02') - line);
	the(w, VS_CUFF_PRESSURE, 1);
	return text(out, line);
}

static size_t draeger(struct walk *w, uint8_t *out)
{
	char line[40];
	int n = snprintf(line, sizeof line, "\x01$EB %3uE1 %3u", the(w, VS_SPO2, 1), the(w, VS_PR, 1));
	snprintf(line + n, sizeof line - (size_t)n, "%02X\r", sum((uint8_t *)line, (size_t)n));
	return text(out, line);
}

/* ---- short packets */

static size_t cms50(struct walk *w, uint8_t *out)
{
	unsigned rate = the(w, VS_PR, 1);
	out[0] = 0x85;
	out[1] = (uint8_t)below(w, 100);
	out[2] = (uint8_t)(0x04 | rate >> 7 << 6);
	out[3] = rate & 127;
	out[4] = (uint8_t)the(w, VS_SPO2, 1);
	return 5;
}

static size_t contec_v7(struct walk *w, uint8_t *out)
{
	unsigned pi = the(w, VS_PI, 100);
	const uint8_t data[] = { 5, (uint8_t)below(w, 100), 4, (uint8_t)the(w, VS_PR, 1), (uint8_t)the(w, VS_SPO2, 1), (uint8_t)pi,
				 (uint8_t)(pi >> 8) };
	out[0] = 0x01;
	out[1] = 0x80;
	for (unsigned i = 0; i < sizeof data; i++) {
		out[1] |= (uint8_t)(data[i] >> 7 << i);
		out[2 + i] = data[i] | 0x80;
	}
	return 9;
}

static size_t par_spo2(struct walk *w, uint8_t *out)
{
	const uint8_t frame[] = { 0x55, 0xAA, 7, (uint8_t)w->rounds, 0, (uint8_t)the(w, VS_SPO2, 1), (uint8_t)the(w, VS_PR, 1), 0x14 };
	memcpy(out, frame, 8);
	out[8] = sum(out + 2, 6);
	return 9;
}

static size_t suntech(struct walk *w, uint8_t *out)
{
	static const uint8_t usual[24] = { 0x3E, 0x18, [6] = 0x1E, 1, [14] = 0x31, 7 };
	memcpy(out, usual, sizeof usual);
	out[2] = (uint8_t)the(w, VS_NIBP_SYS, 1);
	out[4] = (uint8_t)the(w, VS_NIBP_DIA, 1);
	out[16] = (uint8_t)the(w, VS_NIBP_PR, 1);
	out[18] = (uint8_t)the(w, VS_NIBP_MAP, 1);
	out[23] = (uint8_t)-sum(out, 23);
	return 24;
}

/* ---- boards */

static size_t berry_frame(uint8_t *out, uint8_t type, const uint8_t *data, size_t n)
{
	out[0] = 0x55;
	out[1] = 0xAA;
	out[2] = (uint8_t)(n + 3);
	out[3] = type;
	memcpy(out + 4, data, n);
	out[4 + n] = (uint8_t)~sum(out + 2, n + 2);
	return n + 5;
}

static size_t berry(struct walk *w, uint8_t *out)
{
	unsigned t1 = the(w, VS_TEMP, 10), t2 = the(w, VS_TEMP2, 10);
	const uint8_t heart[] = { 0x18, (uint8_t)the(w, VS_HR, 1), (uint8_t)the(w, VS_RR, 1), 6, 1 };
	const uint8_t cuff[] = { 0, 0, (uint8_t)the(w, VS_NIBP_SYS, 1), (uint8_t)the(w, VS_NIBP_MAP, 1),
				 (uint8_t)the(w, VS_NIBP_DIA, 1) };
	const uint8_t oximeter[] = { 0, (uint8_t)the(w, VS_SPO2, 1), (uint8_t)the(w, VS_PR, 1) };
	const uint8_t warmth[] = { 0, (uint8_t)(t1 / 10), (uint8_t)(t1 % 10), (uint8_t)(t2 / 10), (uint8_t)(t2 % 10) };
	w->now[VS_CUFF_PRESSURE] = 0;
	the(w, VS_CUFF_PRESSURE, 1);
	size_t n = berry_frame(out, 0x02, heart, sizeof heart);
	n += berry_frame(out + n, 0x03, cuff, sizeof cuff);
	n += berry_frame(out + n, 0x04, oximeter, sizeof oximeter);
	return n + berry_frame(out + n, 0x05, warmth, sizeof warmth);
}

static size_t oem_frame(uint8_t *out, uint8_t id, const uint8_t *data, size_t n)
{
	out[0] = id;
	out[1] = 0x80;
	for (size_t i = 0; i < n; i++) {
		out[1] |= (uint8_t)(data[i] >> 7 << i);
		out[2 + i] = data[i] | 0x80;
	}
	unsigned s = id;
	for (size_t i = 1; i < n + 2; i++)
		s += out[i] & 0x7Fu;
	out[n + 2] = (uint8_t)(0x80 | (s & 0x7F));
	return n + 3;
}

static size_t oem7bit(struct walk *w, uint8_t *out)
{
	unsigned t1 = the(w, VS_TEMP, 10), t2 = the(w, VS_TEMP2, 10);
	const uint8_t heart[] = { 0, (uint8_t)the(w, VS_HR, 1), 0, 0x78 }, breath[] = { 0, (uint8_t)the(w, VS_RR, 1) };
	const uint8_t warmth[] = { 0, (uint8_t)(t1 >> 8), (uint8_t)t1, (uint8_t)(t2 >> 8), (uint8_t)t2 };
	const uint8_t oximeter[] = { 5, 0, (uint8_t)the(w, VS_PR, 1), (uint8_t)the(w, VS_SPO2, 1) };
	size_t n = oem_frame(out, 0x07, heart, sizeof heart);
	n += oem_frame(out + n, 0x11, breath, sizeof breath);
	n += oem_frame(out + n, 0x15, warmth, sizeof warmth);
	return n + oem_frame(out + n, 0x17, oximeter, sizeof oximeter);
}

static void le16(uint8_t *out, unsigned v)
{
	out[0] = (uint8_t)v;
	out[1] = (uint8_t)(v >> 8);
}

/* A group of the record: its status says that it is there, then values of 16 bits. */
static void group(uint8_t *base, unsigned at, unsigned status_high, const unsigned *values, unsigned n)
{
	base[at] = 3;
	base[at + 1] = (uint8_t)status_high;
	for (unsigned i = 0; i < n; i++)
		le16(base + at + 6 + 2 * i, values[i]);
}

static size_t ge_dri(struct walk *w, uint8_t *out)
{
	uint8_t record[40 + 278] = { 0x3E, 1, 1, 5, [16] = 0, 0, 1, 0, 0, 0xFF }, *base = record + 44;
	const unsigned none = 0x8001;
	const unsigned ecg[] = { the(w, VS_HR, 1), none, none, none, the(w, VS_RR, 1) };
	const unsigned cuff[] = { the(w, VS_NIBP_SYS, 100), the(w, VS_NIBP_DIA, 100), the(w, VS_NIBP_MAP, 100), the(w, VS_NIBP_PR, 1) };
	const unsigned warmth[] = { the(w, VS_TEMP, 100) }, oxygen[] = { the(w, VS_SPO2, 100), the(w, VS_PR, 1), none, none };
	group(base, 0, 0, ecg, 5);
	base[0] |= 1 << 3; /* its rate is the ECG's */
	group(base, 72, 0, cuff, 4);
	group(base, 86, 0, warmth, 1);
	group(base, 118, 0, oxygen, 4);
	uint8_t check = sum(record, sizeof record);
	size_t n = 0;
	out[n++] = 0x7E;
	for (size_t i = 0; i <= sizeof record; i++) {
		uint8_t c = i < sizeof record ? record[i] : check;
		if (c == 0x7E || c == 0x7D) {
			out[n++] = 0x7D;
			c &= (uint8_t)~0x20;
		}
		out[n++] = c;
	}
	out[n++] = 0x7E;
	return n;
}

/* ---- IntelliVue */

static void be16(uint8_t *out, unsigned v)
{
	out[0] = (uint8_t)(v >> 8);
	out[1] = (uint8_t)v;
}

static size_t numeric(uint8_t *out, unsigned id, unsigned unit, unsigned value, bool tenths)
{
	be16(out, id);
	be16(out + 2, 0);
	be16(out + 4, unit);
	out[6] = tenths ? 0xFF : 0;
	out[7] = 0;
	be16(out + 8, value);
	return 10;
}

static size_t object(uint8_t *out, unsigned handle, unsigned attribute, const uint8_t *value, unsigned n)
{
	be16(out, handle);
	be16(out + 2, 1);
	be16(out + 4, 4 + n);
	be16(out + 6, attribute);
	be16(out + 8, n);
	memcpy(out + 10, value, n);
	return 10 + n;
}

static size_t intellivue_message(struct walk *w, uint8_t *out)
{
	static const uint8_t head[] = { 0xE1, 0, 0, 2, 0, 2, 0, 0, 0, 1, 0, 7, 0, 0, 0, 0x21, 0, 0, 0, 0, 0x0C, 0x16, 0, 0, 0, 1,
					0, 1, 0xE2, 0x40, 0x20, 0x26, 0x07, 0x11, 0x09, 0x05, 0, 0, 0, 1, 0, 6, 0, 0 };
	const struct {
		unsigned id, unit, value;
		bool tenths;
	} single[] = {
		{ 0x4182, 0x0AA0, the(w, VS_HR, 1), false },   { 0x4BB8, 0x0220, the(w, VS_SPO2, 1), false },
		{ 0x4822, 0x0AA0, the(w, VS_PR, 1), false },   { 0x500A, 0x0AE0, the(w, VS_RR, 1), false },
		{ 0x4B48, 0x17A0, the(w, VS_TEMP, 10), true },
	};
	uint8_t value[64];
	size_t n = sizeof head, at = n + 10;
	memcpy(out, head, sizeof head);
	for (unsigned i = 0; i < 5; i++)
		at += object(out + at, i + 1, 0x0950, value,
			     (unsigned)numeric(value, single[i].id, single[i].unit, single[i].value, single[i].tenths));
	be16(value, 3);
	be16(value + 2, 30);
	numeric(value + 4, 0x4A05, 0x0F20, the(w, VS_NIBP_SYS, 1), false);
	numeric(value + 14, 0x4A06, 0x0F20, the(w, VS_NIBP_DIA, 1), false);
	numeric(value + 24, 0x4A07, 0x0F20, the(w, VS_NIBP_MAP, 1), false);
	at += object(out + at, 6, 0x094B, value, 34);
	const unsigned list[] = { 1, (unsigned)(at - n - 4), 0, 6, (unsigned)(at - n - 10) };
	for (unsigned i = 0; i < 5; i++)
		be16(out + n + 2 * i, list[i]);
	be16(out + 6, (unsigned)(at - 8));
	be16(out + 12, (unsigned)(at - 14));
	be16(out + 22, (unsigned)(at - 24));
	return at;
}

static size_t intellivue_serial(struct walk *w, uint8_t *out)
{
	uint8_t message[600] = { 0x11, 0x01 };
	size_t len = 4 + intellivue_message(w, message + 4), n = 0;
	uint16_t crc = 0xFFFF;
	be16(message + 2, (unsigned)(len - 4));
	for (size_t i = 0; i < len; i++) {
		crc ^= message[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0x8408 : crc >> 1);
	}
	le16(message + len, (uint16_t)~crc);
	out[n++] = 0xC0;
	for (size_t i = 0; i < len + 2; i++) {
		bool special = message[i] == 0xC0 || message[i] == 0xC1 || message[i] == 0x7D;
		if (special)
			out[n++] = 0x7D;
		out[n++] = special ? message[i] ^ 0x20 : message[i];
	}
	out[n++] = 0xC1;
	return n;
}

static const struct walk_device devices[] = {
	{ "nonin-df2", 3, 1, nonin_df2 },
	{ "nonin-df7", 3, 1, nonin_df7 },
	{ "nonin-df1", 1, 1, nonin_df1 },
	{ "nonin-df8", 1, 1, nonin_df8 },
	{ "nonin-df13", 0, 1, nonin_df13 },
	{ "nonin-ascii", 1, 1, nonin_ascii },
	{ "masimo-ascii1", 1, 1, masimo },
	{ "nellcor-ascii", 0.5, 1, nellcor },
	{ "cms50-5byte", 60, 1, cms50 },
	{ "contec-v7", 60, 1, contec_v7 },
	{ "suntech-nibp", 0, 1, suntech },
	{ "par-nibp", 0, 7, par_nibp },
	{ "par-spo2", 1, 1, par_spo2 },
	{ "omron-hbp9030-fmt5", 0, 1, omron_fmt5 },
	{ "omron-bp-line", 0, 1, omron_bp_line },
	{ "and-tm2657", 0, 1, and_tm2657 },
	{ "berry-pm6750", 1, 4, berry },
	{ "oem7bit-806c", 1, 4, oem7bit },
	{ "ge-dri", 0.2, 1, ge_dri },
	{ "philips-intellivue", 1, 1, intellivue_serial },
	{ "philips-intellivue-lan", 1, 1, intellivue_message },
	{ "draeger-medibus", 1, 1, draeger },
};

const struct walk_device *walk_device_of(const char *plugin)
{
	for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
		if (strcmp(devices[i].plugin, plugin) == 0)
			return &devices[i];
	return NULL;
}
