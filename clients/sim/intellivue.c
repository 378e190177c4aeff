#include "clients/sim/intellivue.h"

#include "core/bytes.h"

#include <math.h>
#include <string.h>

enum { FRAME_BEGINS = 0xC0, FRAME_ENDS = 0xC1, ESCAPE = 0x7D, HEADER = 4, CHECK = 2 };
enum { ASSOCIATE = 0x0D, RELEASE = 0x09, ABORT = 0x19, DATA = 0xE1 };
enum { INVOKE = 1, RESULT = 2, EVENT_REPORT = 1, CONFIRMED_ACTION = 7 };
enum { SINGLE_POLL = 0x0C16, MDS_CREATED = 0x0C06, NUMERIC = 0x0950, NUMERICS = 0x094B };
enum { PER_MINUTE = 0x0AA0, BREATHS = 0x0AE0, PERCENT = 0x0220, MM_HG = 0x0F20, CELSIUS = 0x17A0 };
enum { INVALID = 0x8000, NOT_A_NUMBER = 0x7FFFFF };

/* ---- the serial frame: C0, 11 01 length (big endian), message, CRC-16/X.25 (low byte first), C1 */

static uint16_t check(const uint8_t *bytes, size_t len)
{
	uint16_t crc = 0xFFFF;
	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0x8408 : crc >> 1);
	}
	return (uint16_t)~crc;
}

size_t vs_mib_frame(const uint8_t *message, size_t len, uint8_t *to)
{
	uint8_t body[HEADER + VS_MIB_MESSAGE + CHECK] = { 0x11, 0x01 };
	size_t n = 0;
	vs_put_be16(body + 2, (uint16_t)len);
	memcpy(body + HEADER, message, len);
	uint16_t crc = check(body, HEADER + len);
	body[HEADER + len] = (uint8_t)crc;
	body[HEADER + len + 1] = (uint8_t)(crc >> 8);
	to[n++] = FRAME_BEGINS;
	for (size_t i = 0; i < HEADER + len + CHECK; i++) {
		bool special = body[i] == FRAME_BEGINS || body[i] == FRAME_ENDS || body[i] == ESCAPE;
		if (special)
			to[n++] = ESCAPE;
		to[n++] = special ? body[i] ^ 0x20 : body[i];
	}
	to[n++] = FRAME_ENDS;
	return n;
}

/* What stands between the flags.  0: damaged. */
static size_t unwrapped(const uint8_t *bytes, size_t len, uint8_t *to)
{
	uint8_t body[HEADER + VS_MIB_MESSAGE + CHECK];
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		if (n == sizeof body)
			return 0;
		if (bytes[i] == ESCAPE && i + 1 == len) /* aborted by the sender */
			return 0;
		body[n++] = bytes[i] == ESCAPE ? bytes[++i] ^ 0x20 : bytes[i];
	}
	if (n <= HEADER + CHECK || vs_be16(body + 2) != n - HEADER - CHECK || body[0] != 0x11 || body[1] != 0x01 ||
	    check(body, n - CHECK) != vs_le16(body + n - CHECK))
		return 0;
	memcpy(to, body + HEADER, n - HEADER - CHECK);
	return n - HEADER - CHECK;
}

size_t vs_mib_unframe(const uint8_t *bytes, size_t len, size_t *used, uint8_t *to)
{
	const uint8_t *begin = memchr(bytes, FRAME_BEGINS, len);
	const uint8_t *end = begin ? memchr(begin, FRAME_ENDS, (size_t)(bytes + len - begin)) : NULL;
	*used = end ? (size_t)(end + 1 - bytes) : begin ? (size_t)(begin - bytes) : len;
	for (const uint8_t *again; end && (again = memchr(begin + 1, FRAME_BEGINS, (size_t)(end - begin - 1)));)
		begin = again; /* a frame that begins within another one: that one was cut off */
	return end ? unwrapped(begin + 1, (size_t)(end - begin - 1), to) : 0;
}

/* ---- what it says */

/* The answer to a request of association.  After the session and presentation layers come the profiles that were
 * agreed on: polls at least once in ten seconds, messages of at most 1364 bytes either way. */
static const uint8_t accepted[] = {
	0x0E, 0xCE, 0x05, 0x08, 0x13, 0x01, 0x00, 0x16, 0x01, 0x02, 0x80, 0x00, 0x14, 0x02, 0x00, 0x02, /* session */
	0xC1, 0xBE, 0x31, 0x80, 0xA0, 0x80, 0x80, 0x01, 0x01, 0x00, 0x00, 0xA2, 0x80, 0xA0, 0x03, 0x00, /* presentation */
	0x00, 0x01, 0xA5, 0x80, 0x30, 0x80, 0x80, 0x01, 0x00, 0x81, 0x02, 0x51, 0x01, 0x00, 0x00, 0x30, /* contexts taken */
	0x80, 0x80, 0x01, 0x00, 0x81, 0x0C, 0x2A, 0x86, 0x48, 0xCE, 0x14, 0x02, 0x01, 0x00, 0x00, 0x00,
	0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x61, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0xA0, 0x80, 0x61,
	0x80, 0xA1, 0x80, 0x06, 0x0C, 0x2A, 0x86, 0x48, 0xCE, 0x14, 0x02, 0x01, 0x00, 0x00, 0x00, 0x03,
	0x01, 0x00, 0x00, 0xA2, 0x03, 0x02, 0x01, 0x00, 0xA3, 0x05, 0xA1, 0x03, 0x02, 0x01, 0x00, 0xBE, /* result: accepted */
	0x80, 0x28, 0x80, 0x02, 0x01, 0x02, 0x81, 0x48,
	0x80, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* versions, functional units */
	0x00, 0x80, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* server, cold start */
	0x00, 0x01, 0x00, 0x2C, 0x00, 0x01, 0x00, 0x28, 0x80, 0x00, 0x00, 0x00, /* poll profile 1: */
	0x00, 0x00, 0x1F, 0x40, 0x00, 0x00, 0x05, 0x54, 0x00, 0x00, 0x05, 0x54, /* 8000 x 1/8 ms, bytes in, bytes out */
	0xFF, 0xFF, 0xFF, 0xFF, 0x60, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x0C,
	0xF0, 0x01, 0x00, 0x08, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t aborted[] = {
	0x19, 0x2E, 0x11, 0x01, 0x03, 0xC1, 0x29, 0xA0, 0x80, 0xA0, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01,
	0x06, 0x02, 0x51, 0x01, 0x00, 0x00, 0x00, 0x00, 0x61, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0xA0,
	0x80, 0x64, 0x80, 0x80, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t released[] = {
	0x0A, 0x18, 0xC1, 0x16, 0x61, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0xA0, 0x80,
	0x63, 0x80, 0x80, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

/* A message that grows; what its lengths are is known when it is done. */
struct writer {
	uint8_t *at;
	size_t len;
};

static void put16(struct writer *w, unsigned v)
{
	vs_put_be16(w->at + w->len, (uint16_t)v);
	w->len += 2;
}

static void put32(struct writer *w, uint32_t v)
{
	put16(w, v >> 16);
	put16(w, v & 0xFFFF);
}

/* Room for a length; where it stands. */
static size_t open_length(struct writer *w)
{
	put16(w, 0);
	return w->len;
}

static void close_length(struct writer *w, size_t from)
{
	vs_put_be16(w->at + from - 2, (uint16_t)(w->len - from));
}

static void say(struct vs_mib_answer *ret, const uint8_t *bytes, size_t len)
{
	memcpy(ret->message[ret->len].bytes, bytes, len);
	ret->message[ret->len++].len = len;
}

/* Milliseconds of the model as the monitor's clocks have them: 1/8 ms, and a day that begins at midnight. */
static void put_times(struct writer *w, const struct vs_second *now)
{
	unsigned s = (unsigned)now->t_s % 86400, part[] = { 0x20, 0x26, 0x01, 0x05, s / 3600, s / 60 % 60, s % 60, 0 };
	put32(w, (uint32_t)now->t_s * 8000);
	for (unsigned i = 0; i < 8; i++)
		w->at[w->len++] = (uint8_t)(i < 4 ? part[i] : part[i] / 10 << 4 | part[i] % 10);
}

/* value: in units of 10^exponent; none: not a number, and invalid. */
static void put_value(struct writer *w, unsigned id, unsigned unit, bool has, long value, int exponent)
{
	put16(w, id);
	put16(w, has ? 0 : INVALID);
	put16(w, unit);
	put32(w, (uint32_t)(has ? exponent : 0) << 24 | ((has ? (uint32_t)value : NOT_A_NUMBER) & 0xFFFFFF));
}

/* An object with one attribute begins; ends with close_length of what it returns, inner first. */
static void open_object(struct writer *w, unsigned handle, unsigned attribute, size_t length[2])
{
	put16(w, handle);
	put16(w, 1);
	length[0] = open_length(w);
	put16(w, attribute);
	length[1] = open_length(w);
}

static void close_object(struct writer *w, const size_t length[2])
{
	close_length(w, length[1]);
	close_length(w, length[0]);
}

static unsigned put_singles(struct writer *w, const struct vs_display *d)
{
	const struct {
		unsigned id, unit;
		bool has;
		long value;
		int exponent;
	} rows[] = {
		{ 0x4182, PER_MINUTE, d->hr.has, d->hr.value, 0 },
		{ 0x4BB8, PERCENT, d->spo2.has && !d->probe_off, d->spo2.value, 0 },
		{ 0x4822, PER_MINUTE, d->pr.has && !d->probe_off, d->pr.value, 0 },
		{ 0x500A, BREATHS, d->rr.has, d->rr.value, 0 },
		{ 0x4B48, CELSIUS, d->temp > 0, lround(10 * d->temp), -1 },
	};
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t length[2];
		open_object(w, i + 1, NUMERIC, length);
		put_value(w, rows[i].id, rows[i].unit, rows[i].has, rows[i].value, rows[i].exponent);
		close_object(w, length);
	}
	return sizeof rows / sizeof *rows;
}

/* The last result of the cuff: it stands in every answer until there is another one. */
static unsigned put_pressure(struct writer *w, const struct vs_cuff *c)
{
	size_t length[2];
	if (!c->sys.has)
		return 0;
	open_object(w, 16, NUMERICS, length);
	put16(w, 3);
	size_t values = open_length(w);
	put_value(w, 0x4A05, MM_HG, c->sys.has, c->sys.value, 0);
	put_value(w, 0x4A06, MM_HG, c->dia.has, c->dia.value, 0);
	put_value(w, 0x4A07, MM_HG, c->map.has, c->map.value, 0);
	close_length(w, values);
	close_object(w, length);
	if (!c->pr.has)
		return 1;
	open_object(w, 17, NUMERIC, length);
	put_value(w, 0xF0E5, PER_MINUTE, true, c->pr.value, 0);
	close_object(w, length);
	return 2;
}

/* The result of a single poll: repeats its invoke id and its poll number. */
static void answer_poll(const struct vs_intellivue *v, const uint8_t *poll, const struct vs_second *now,
			struct vs_mib_answer *ret)
{
	struct writer w = { ret->message[ret->len].bytes, 0 };
	put32(&w, 0xE1000002);
	put16(&w, RESULT);
	size_t message = open_length(&w);
	put16(&w, vs_be16(poll + 8));
	put16(&w, CONFIRMED_ACTION);
	size_t result = open_length(&w);
	put32(&w, 0x00210000);
	put16(&w, 0);
	put16(&w, SINGLE_POLL);
	size_t action = open_length(&w);
	put16(&w, vs_be16(poll + 28));
	put_times(&w, now);
	put32(&w, 0x00010006); /* numerics, all of them */
	put16(&w, 0);
	put16(&w, 1);
	size_t contexts = open_length(&w);
	put16(&w, 0);
	size_t count = w.len;
	put16(&w, 0);
	size_t objects = open_length(&w);
	unsigned n = put_singles(&w, &now->display);
	n += put_pressure(&w, &v->result);
	vs_put_be16(w.at + count, (uint16_t)n);
	for (size_t i = 0; i < 5; i++)
		close_length(&w, (const size_t[]){ objects, contexts, action, result, message }[i]);
	ret->message[ret->len++].len = w.len;
}

/* The monitor introduces itself; the host has to confirm that with the same invoke id. */
static void introduce(struct vs_intellivue *v, const struct vs_second *now, struct vs_mib_answer *ret)
{
	struct writer w = { ret->message[ret->len].bytes, 0 };
	put32(&w, 0xE1000002);
	put16(&w, INVOKE);
	size_t message = open_length(&w);
	put16(&w, ++v->event);
	put16(&w, EVENT_REPORT);
	size_t report = open_length(&w);
	put32(&w, 0x00210000); /* the medical device system, context 0, handle 0 */
	put16(&w, 0);
	put32(&w, (uint32_t)now->t_s * 8000);
	put16(&w, MDS_CREATED);
	size_t event = open_length(&w);
	put32(&w, 0x00210000);
	put16(&w, 0);
	put16(&w, 1); /* one attribute: system type, monitor */
	size_t attributes = open_length(&w);
	put16(&w, 0x0986);
	put16(&w, 4);
	put32(&w, 0x00010036);
	for (size_t i = 0; i < 4; i++)
		close_length(&w, (const size_t[]){ attributes, event, report, message }[i]);
	ret->message[ret->len++].len = w.len;
}

/* ---- what it hears */

static bool is_request(const uint8_t *m, size_t len)
{
	return len > 2 && m[0] == ASSOCIATE && m[1] + 2u == len && len == 238;
}

/* The confirmation of the last MDS create event. */
static bool confirms(const struct vs_intellivue *v, const uint8_t *m, size_t len)
{
	return len >= 28 && vs_be16(m + 4) == RESULT && vs_be16(m + 8) == v->event && vs_be16(m + 10) == EVENT_REPORT &&
	       vs_be16(m + 14) == 0x0021 && vs_be16(m + 24) == MDS_CREATED;
}

static bool is_poll(const uint8_t *m, size_t len)
{
	return len == 36 && vs_be16(m + 4) == INVOKE && vs_be16(m + 10) == CONFIRMED_ACTION &&
	       vs_be16(m + 14) == 0x0021 && vs_be16(m + 24) == SINGLE_POLL && vs_be32(m + 30) == 0x00010006;
}

static void take_data(struct vs_intellivue *v, const uint8_t *m, size_t len, const struct vs_second *now,
		      int64_t now_ms, struct vs_mib_answer *ret)
{
	if (v->state == VS_MIB_INTRODUCED && confirms(v, m, len)) {
		v->state = VS_MIB_TOGETHER;
		v->polled_ms = now_ms;
	} else if (!is_poll(m, len)) {
		v->strangers++;
	} else if (v->state == VS_MIB_TOGETHER) {
		v->polled_ms = now_ms;
		v->polls++;
		answer_poll(v, m, now, ret);
	} else if (v->state == VS_MIB_ALONE) {
		say(ret, aborted, sizeof aborted);
	}
}

static void take_request(struct vs_intellivue *v, const struct vs_second *now, int64_t now_ms,
			 struct vs_mib_answer *ret)
{
	if (v->state != VS_MIB_ALONE)
		return; /* one association at a time: the second one gets no answer */
	v->state = VS_MIB_INTRODUCED;
	v->polled_ms = now_ms;
	v->associations++;
	say(ret, accepted, sizeof accepted);
	introduce(v, now, ret);
}

/* A measurement that came to a result stays on the display. */
static void look_at_cuff(struct vs_intellivue *v, const struct vs_second *now)
{
	if (now->cuff.sys.has)
		v->result = now->cuff;
}

void vs_intellivue_take(struct vs_intellivue *v, const uint8_t *message, size_t len, const struct vs_second *now,
			int64_t now_ms, struct vs_mib_answer *ret)
{
	ret->len = 0;
	look_at_cuff(v, now);
	if (len >= 12 && message[0] == DATA && vs_be16(message + 2) == 2) {
		take_data(v, message, len, now, now_ms, ret);
	} else if (is_request(message, len)) {
		take_request(v, now, now_ms, ret);
	} else if (len && (message[0] == RELEASE || message[0] == ABORT)) {
		v->state = VS_MIB_ALONE;
		if (message[0] == RELEASE)
			say(ret, released, sizeof released);
	} else {
		v->strangers++;
	}
}

void vs_intellivue_time(struct vs_intellivue *v, const struct vs_second *now, int64_t now_ms, struct vs_mib_answer *ret)
{
	ret->len = 0;
	look_at_cuff(v, now);
	if (v->state == VS_MIB_ALONE || now_ms - v->polled_ms <= VS_MIB_KEPT_MS)
		return;
	v->state = VS_MIB_ALONE;
	say(ret, aborted, sizeof aborted);
}
