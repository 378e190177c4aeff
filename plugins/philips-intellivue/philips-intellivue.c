/* Philips IntelliVue data export, on the serial (MIB) port and on the LAN: association, polls, numerics out of their results.
 *
 * Facts: IntelliVue data export as three independent open hosts implement it; ISO/IEEE 11073 physio ids.
 *
 *	serial   C0 | 11 | 01 | length (2) | message | FCS (2, low byte first) | C1     C0, C1, 7D inside are 7D, byte XOR 20
 *	LAN      the message alone, a datagram each, to port 24105 of the monitor
 *
 * 7D C1 aborts a serial frame.  FCS is CRC-16/X.25 over header and message.  A message begins with
 *
 *	0D request of association, 0E accepted, 0C refused, 09 request of release, 0A released, 19 abort: then a length of
 *	   one byte (FF: of two more), then what the OSI session and presentation layers want (fixed bytes)
 *	E1 data; all its numbers are big endian, lists are count, length, items:
 *
 *	E100 0002 operation length [linked: 2 bytes] | invoke, command, length | class 3 x 2, action, length |
 *	poll number [sequence] time 4 + 8 | object type 4, group 2 | list of contexts
 *	context: u16, list of objects; object: handle u16, list of attributes; attribute: id, length, value
 *	numeric (0950), compound numeric (094B: a list of them): physio id, state, unit, FLOAT
 *
 *	host                                   monitor
 *	  association request ------------------>
 *	  <------------------ accepted, MDS create event
 *	  its result --------------------------->
 *	  single poll, every second ----------->      ten seconds without one, and the monitor ends the association
 *	  <------------------------- poll result
 *
 * What ends an association from either side leads to a new request at the next poll.  A monitor that does not answer
 * may hold the association of a daemon that was killed: it is told to abort that, and asked again. */
#include "plugins/philips-intellivue/philips-intellivue.h"

#include "core/bytes.h"
#include "core/plugin.h"
#include "plugins/nibp.h"

#include <math.h>

#define START 0xC0
#define END 0xC1
#define ESCAPE 0x7D
#define PATIENCE 3 /* polls that a request of association may wait for its answer */
#define WIRE_MAX 4000
#define USER_MAX 1990
#define FCS_GOOD 0xF0B8

#define SESSION_RELEASE 0x09
#define SESSION_RELEASED 0x0A
#define SESSION_REFUSED 0x0C
#define SESSION_ACCEPTED 0x0E
#define SESSION_ABORT 0x19
#define DATA 0xE1
#define LAN_PORT 24105

#define OPERATION_INVOKE 1
#define OPERATION_RESULT 2
#define OPERATION_ERROR 3
#define OPERATION_LINKED 5
#define COMMAND_EVENT 1
#define COMMAND_ACTION 7
#define EVENT_MDS_CREATE 0x0C06
#define ACTION_POLL 0x0C16
#define ACTION_POLL_EXTENDED 0xF13B
#define ATTRIBUTE_NUMERIC 0x0950
#define ATTRIBUTE_COMPOUND 0x094B

#define STATE_INVALID 0x8000
#define STATE_QUESTIONABLE 0x4000
#define STATE_UNAVAILABLE 0x2000
#define STATE_CALIBRATING 0x1000
#define STATE_TEST 0x0800
#define STATE_DEMO 0x0400
#define STATE_ONGOING 0x0020
#define STATE_ALARM 0x0002
#define STATE_ALARM_OFF 0x0001

/* What the monitor is to us. */
enum association { APART, ASKED, TOGETHER };

struct state {
	struct vs_nibp_shown shown;
	bool lan;          /* no serial frame around a message */
	bool given;        /* another host makes the association: poll, and no more */
	enum association association;
	unsigned waited;   /* polls since the request */
	uint8_t owed;      /* COMMAND_EVENT: the result of an MDS create event; SESSION_RELEASED: that; 0 */
	uint8_t invoke[2]; /* of the event ... */
	uint8_t event[10]; /* ... its object and its time, which the result repeats */
};

/* Nibble-wise CRC-16/X.25 (reflected polynomial 8408). */
static uint16_t fcs(uint16_t crc, uint8_t c)
{
	static const uint16_t table[16] = {
		0x0000, 0x1081, 0x2102, 0x3183, 0x4204, 0x5285, 0x6306, 0x7387,
		0x8408, 0x9489, 0xA50A, 0xB58B, 0xC60C, 0xD68D, 0xE70E, 0xF78F,
	};
	crc = (uint16_t)(crc >> 4 ^ table[(crc ^ c) & 15]);
	return (uint16_t)(crc >> 4 ^ table[(crc ^ c >> 4) & 15]);
}

static int frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	if (buf[0] != START) {
		const uint8_t *next = memchr(buf, START, len);
		return next ? -(int)(next - buf) : -(int)len;
	}
	size_t end = len < WIRE_MAX ? len : WIRE_MAX;
	for (size_t i = 1; i < end; i++) {
		if (buf[i] == START)
			return -(int)i;
		if (buf[i] == END)
			return buf[i - 1] == ESCAPE ? -(int)(i + 1) : (int)i + 1; /* 7D C1: aborted */
	}
	return len < WIRE_MAX ? 0 : -WIRE_MAX;
}

/* User data of a frame without escapes, header and FCS.  Returns its length, 0: damaged. */
static size_t unwrap(const uint8_t *frame, size_t len, uint8_t *user)
{
	uint8_t header[4];
	uint16_t crc = 0xFFFF;
	size_t n = 0;
	for (size_t i = 1; i + 1 < len; i++, n++) {
		uint8_t c = frame[i];
		if (c == ESCAPE)
			c = frame[++i] ^ 0x20;
		if (n >= sizeof header + USER_MAX)
			return 0;
		if (n < sizeof header)
			header[n] = c;
		else
			user[n - sizeof header] = c;
		crc = fcs(crc, c);
	}
	if (n < sizeof header + 2 || crc != FCS_GOOD || header[0] != 0x11 || header[1] != 0x01)
		return 0;
	n -= sizeof header + 2;
	return vs_be16(header + 2) == n ? n : 0;
}

/* A part of the message that has not been read yet; `bad` once it was too short. */
struct part {
	const uint8_t *at, *end;
	bool bad;
};

static const uint8_t *take(struct part *p, size_t n)
{
	static const uint8_t zeros[16];
	if ((size_t)(p->end - p->at) < n) {
		p->bad = true;
		p->at = p->end;
		return zeros;
	}
	p->at += n;
	return p->at - n;
}

static uint16_t take16(struct part *p)
{
	return vs_be16(take(p, 2));
}

/* A piece of `length` bytes; what it claims beyond its parent is bad. */
static struct part take_part(struct part *p, size_t length)
{
	struct part piece = { p->at, p->at + length, false };
	take(p, length);
	if (p->bad)
		piece = (struct part){ p->end, p->end, true };
	return piece;
}

/* Count and length of a list, which is then the piece. */
static struct part take_list(struct part *p, unsigned *count)
{
	*count = take16(p);
	return take_part(p, take16(p));
}

double vs_philips_float(uint32_t bits)
{
	int32_t mantissa = (int32_t)(bits << 8) >> 8;
	int exponent = (int8_t)(bits >> 24);
	if (mantissa == 0x7FFFFF || mantissa == -0x800000 || mantissa == 0x7FFFFE || mantissa == -0x7FFFFE)
		return NAN;
	double power = 1;
	for (int i = 0; i < (exponent < 0 ? -exponent : exponent); i++)
		power *= 10;
	return exponent < 0 ? mantissa / power : mantissa * power;
}

static const struct physio {
	uint16_t id, unit;
	enum vs_metric metric;
} physios[] = {
	{ 0x4182, 0x0AA0, VS_HR },       { 0x4BB8, 0x0220, VS_SPO2 },     { 0x4822, 0x0AA0, VS_PR },
	{ 0x480A, 0x0AA0, VS_PR },       { 0x4A05, 0x0F20, VS_NIBP_SYS }, { 0x4A06, 0x0F20, VS_NIBP_DIA },
	{ 0x4A07, 0x0F20, VS_NIBP_MAP }, { 0xF0E5, 0x0AA0, VS_NIBP_PR },  { 0x500A, 0x0AE0, VS_RR },
	{ 0x4B48, 0x17A0, VS_TEMP },
};

static uint64_t state_flags(unsigned state)
{
	return (state & STATE_INVALID ? VS_FLAG(INVALID) : 0) | (state & STATE_QUESTIONABLE ? VS_FLAG(QUESTIONABLE) : 0) |
	       (state & (STATE_UNAVAILABLE | STATE_CALIBRATING) ? VS_FLAG(NO_MEASUREMENT) : 0) |
	       (state & (STATE_TEST | STATE_DEMO) ? VS_FLAG(DEMO) : 0) | (state & STATE_ALARM ? VS_FLAG(ALARM) : 0) |
	       (state & STATE_ALARM_OFF ? VS_FLAG(ALARM_OFF) : 0);
}

static void numeric(struct part *p, struct vs_reading *ret)
{
	unsigned id = take16(p), state = take16(p), unit = take16(p);
	uint32_t bits = vs_be32(take(p, 4));
	uint64_t flags = state_flags(state);
	if (p->bad)
		return;
	for (size_t i = 0; i < sizeof physios / sizeof physios[0]; i++) {
		if (physios[i].id != id || vs_reading_find(ret, physios[i].metric))
			continue;
		if (vs_metric_is_nibp(physios[i].metric) && state & STATE_ONGOING)
			flags |= VS_FLAG(MEASURING);
		if (physios[i].unit != unit) /* kPa or degF: not the number that it seems to be */
			vs_reading_add_none(ret, physios[i].metric, flags | VS_FLAG(INVALID));
		else if (physios[i].metric == VS_RR)
			vs_reading_add(ret, VS_RR, vs_philips_float(bits), flags);
		else
			vs_reading_add_nonzero(ret, physios[i].metric, vs_philips_float(bits), flags);
	}
}

static void attributes(struct part *object, struct vs_reading *ret)
{
	unsigned count, inner;
	take16(object); /* handle */
	struct part list = take_list(object, &count);
	while (count-- && !list.bad) {
		unsigned id = take16(&list);
		struct part value = take_part(&list, take16(&list));
		if (id == ATTRIBUTE_NUMERIC)
			numeric(&value, ret);
		if (id != ATTRIBUTE_COMPOUND)
			continue;
		struct part numerics = take_list(&value, &inner);
		while (inner-- && !numerics.bad)
			numeric(&numerics, ret);
	}
	object->bad |= list.bad;
}

static void contexts(struct part *p, struct vs_reading *ret)
{
	unsigned count, objects;
	struct part list = take_list(p, &count);
	while (count-- && !list.bad) {
		take16(&list); /* context */
		struct part inner = take_list(&list, &objects);
		while (objects-- && !inner.bad)
			attributes(&inner, ret);
		list.bad |= inner.bad;
	}
	p->bad |= list.bad;
}

/* True: a poll result; p then stands at its list of contexts. */
static bool is_poll_result(struct part *p)
{
	if (take16(p) != 0xE100)
		return false;
	take16(p); /* presentation context */
	unsigned operation = take16(p);
	take16(p);
	if (operation == OPERATION_LINKED)
		take16(p);
	else if (operation != OPERATION_RESULT)
		return false;
	take16(p); /* invoke id */
	if (take16(p) != COMMAND_ACTION)
		return false;
	take(p, 2 + 6); /* length, class, context, handle */
	unsigned action = take16(p);
	if (action != ACTION_POLL && action != ACTION_POLL_EXTENDED)
		return false;
	take(p, action == ACTION_POLL_EXTENDED ? 6 : 4); /* length, poll number, sequence */
	take(p, 4 + 8);                                  /* relative and absolute time */
	take(p, 4 + 2);                                  /* object type, attribute group */
	return !p->bad;
}

static double value_of(const struct vs_reading *r, enum vs_metric m)
{
	const struct vs_obs *o = vs_reading_find(r, m);
	return o && o->has_value ? o->value : 0;
}

/* The monitor shows the last cuff result in every poll: take a repeated one out again. */
static void only_new_nibp(struct state *s, struct vs_reading *r)
{
	struct vs_nibp v = { true, true, value_of(r, VS_NIBP_SYS), value_of(r, VS_NIBP_DIA), value_of(r, VS_NIBP_MAP),
			     value_of(r, VS_NIBP_PR) };
	const struct vs_obs *sys = vs_reading_find(r, VS_NIBP_SYS);
	if (!sys)
		return;
	if (sys->flags & VS_FLAG(MEASURING)) {
		s->shown = (struct vs_nibp_shown){ .known = false };
		return;
	}
	if (vs_nibp_is_new(&s->shown, &v))
		return;
	unsigned kept = 0;
	for (unsigned i = 0; i < r->len; i++)
		if (!vs_metric_is_nibp(r->obs[i].metric))
			r->obs[kept++] = r->obs[i];
	r->len = kept;
}

/* Notes an event that wants a result: without it the monitor ends the association. */
static void take_event(struct state *s, struct part *p)
{
	take(p, 4); /* E100, presentation context */
	if (take16(p) != OPERATION_INVOKE)
		return;
	take16(p);
	const uint8_t *invoke = take(p, 2);
	if (take16(p) != COMMAND_EVENT)
		return;
	take16(p);
	const uint8_t *event = take(p, sizeof s->event);
	if (take16(p) != EVENT_MDS_CREATE || p->bad)
		return;
	memcpy(s->invoke, invoke, sizeof s->invoke);
	memcpy(s->event, event, sizeof s->event);
	s->owed = COMMAND_EVENT;
}

static void take_session(struct state *s, uint8_t kind)
{
	if (kind == SESSION_ACCEPTED && s->association == ASKED)
		s->association = TOGETHER;
	else if (kind != SESSION_ACCEPTED)
		s->association = APART;
	if (kind == SESSION_RELEASE)
		s->owed = SESSION_RELEASED;
}

static enum vs_decoded take_message(struct state *s, const uint8_t *message, size_t n, struct vs_reading *ret)
{
	struct part p = { message, message + n, false }, event = p;
	if (message[0] != DATA) {
		take_session(s, message[0]);
		return VS_IGNORED;
	}
	if (!is_poll_result(&p)) {
		take_event(s, &event);
		return VS_IGNORED;
	}
	contexts(&p, ret);
	if (p.bad) { /* a list that claims more than there is: nothing of it can be trusted */
		ret->len = 0;
		return VS_REJECTED;
	}
	only_new_nibp(s, ret);
	return VS_UNIT;
}

static enum vs_decoded decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	uint8_t user[USER_MAX];
	size_t n = unwrap(frame, len, user);
	return n ? take_message(state, user, n, ret) : VS_REJECTED;
}

/* ---- on the LAN */

/* With which bytes a message may start; FF: any.  A datagram is whole or lost, so this only has to tell messages from
 * what is none at all. */
static const struct start {
	uint8_t byte[6], any;
} starts[] = {
	{ { DATA, 0x00, 0x00, 0x02, 0x00, OPERATION_INVOKE }, 0 },
	{ { DATA, 0x00, 0x00, 0x02, 0x00, OPERATION_RESULT }, 0 },
	{ { DATA, 0x00, 0x00, 0x02, 0x00, OPERATION_ERROR }, 0 },
	{ { DATA, 0x00, 0x00, 0x02, 0x00, OPERATION_LINKED }, 0 },
	{ { SESSION_ACCEPTED, 0, 0x05, 0x08, 0x13, 0x01 }, 1 << 1 },
	{ { SESSION_REFUSED, 0x03, 0x32, 0x01, 0x00 }, 1 << 5 },
	{ { SESSION_RELEASE, 0x18, 0xC1, 0x16, 0x61, 0x80 }, 0 },
	{ { SESSION_RELEASED, 0x18, 0xC1, 0x16, 0x61, 0x80 }, 0 },
	{ { SESSION_ABORT, 0x2E, 0x11, 0x01, 0x03, 0xC1 }, 0 },
};

static bool may_start(const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
		size_t k = 0;
		while (k < len && k < 6 && (starts[i].any >> k & 1 || starts[i].byte[k] == buf[k]))
			k++;
		if (k == len || k == 6)
			return true;
	}
	return false;
}

static int frame_lan(void *state, const uint8_t *buf, size_t len)
{
	size_t skip = 0, need;
	(void)state;
	while (skip < len && !may_start(buf + skip, len - skip))
		skip++;
	if (skip)
		return -(int)skip;
	if (buf[0] == DATA)
		need = len < 8 ? 8 : 8 + vs_be16(buf + 6);
	else
		need = len < 2 ? 2 : 2 + (size_t)buf[1];
	if (need > WIRE_MAX || (buf[0] == SESSION_ACCEPTED && len > 1 && need < sizeof starts[0].byte))
		return -1;
	return len < need ? 0 : (int)need;
}

static enum vs_decoded decode_lan(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	return take_message(state, frame, len, ret);
}

/* ---- what is sent */

static size_t put_escaped(uint8_t *buf, uint8_t c)
{
	if (c != START && c != END && c != ESCAPE) {
		buf[0] = c;
		return 1;
	}
	buf[0] = ESCAPE;
	buf[1] = c ^ 0x20;
	return 2;
}

/* Association as a client, cold start; poll profile: at most a poll a second (the monitor then waits ten seconds for the
 * next one), messages of at most 1364 bytes, which is what the serial port takes and less than an Ethernet frame. */
static const uint8_t request_association[] = {
	0x0D, 0xEC, 0x05, 0x08, 0x13, 0x01, 0x00, 0x16, 0x01, 0x02, 0x80, 0x00, 0x14, 0x02, 0x00, 0x02, /* session */
	0xC1, 0xDC, 0x31, 0x80, 0xA0, 0x80, 0x80, 0x01, 0x01, 0x00, 0x00, 0xA2, 0x80, 0xA0, 0x03, 0x00, /* presentation */
	0x00, 0x01, 0xA4, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0x06, 0x04, 0x52, 0x01, 0x00, 0x01, 0x30,
	0x80, 0x06, 0x02, 0x51, 0x01, 0x00, 0x00, 0x00, 0x00, 0x30, 0x80, 0x02, 0x01, 0x02, 0x06, 0x0C,
	0x2A, 0x86, 0x48, 0xCE, 0x14, 0x02, 0x01, 0x00, 0x00, 0x00, 0x01, 0x01, 0x30, 0x80, 0x06, 0x0C,
	0x2A, 0x86, 0x48, 0xCE, 0x14, 0x02, 0x01, 0x00, 0x00, 0x00, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x61, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0xA0, 0x80, 0x60, 0x80, 0xA1, 0x80, 0x06,
	0x0C, 0x2A, 0x86, 0x48, 0xCE, 0x14, 0x02, 0x01, 0x00, 0x00, 0x00, 0x03, 0x01, 0x00, 0x00, 0xBE,
	0x80, 0x28, 0x80, 0x06, 0x0C, 0x2A, 0x86, 0x48, 0xCE, 0x14, 0x02, 0x01, 0x00, 0x00, 0x00, 0x01,
	0x01, 0x02, 0x01, 0x02, 0x81, 0x48,
	0x80, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* versions, functional units */
	0x80, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* client, cold start, no options */
	0x00, 0x01, 0x00, 0x2C, 0x00, 0x01, 0x00, 0x28, 0x80, 0x00, 0x00, 0x00, /* poll profile 1: */
	0x00, 0x00, 0x1F, 0x40, 0x00, 0x00, 0x05, 0x54, 0x00, 0x00, 0x05, 0x54, /* 8000 x 1/8 ms, bytes in, bytes out */
	0xFF, 0xFF, 0xFF, 0xFF, 0x60, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x0C, /* objects may come and go */
	0xF0, 0x01, 0x00, 0x08, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* numerics every second */
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t released[] = {
	0x0A, 0x18, 0xC1, 0x16, 0x61, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0xA0, 0x80,
	0x63, 0x80, 0x80, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t abort_association[] = {
	0x19, 0x2E, 0x11, 0x01, 0x03, 0xC1, 0x29, 0xA0, 0x80, 0xA0, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01,
	0x06, 0x02, 0x51, 0x01, 0x00, 0x00, 0x00, 0x00, 0x61, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0xA0,
	0x80, 0x64, 0x80, 0x80, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
/* Single poll of all numerics. */
static const uint8_t poll[] = {
	0xE1, 0x00, 0x00, 0x02, 0x00, 0x01, 0x00, 0x1C, 0x00, 0x00, 0x00, 0x07, 0x00, 0x16, 0x00, 0x21, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0C, 0x16, 0x00, 0x08, 0x00, 0x01, 0x00, 0x01, 0x00, 0x06, 0x00, 0x00,
};

/* A message on its way: as it stands, or in a serial frame. */
static size_t put_message(const struct state *s, const uint8_t *message, size_t len, uint8_t *buf)
{
	if (s->lan) {
		memcpy(buf, message, len);
		return len;
	}
	const uint8_t header[] = { 0x11, 0x01, (uint8_t)(len >> 8), (uint8_t)len };
	size_t n = 0;
	uint16_t crc = 0xFFFF;
	buf[n++] = START;
	for (size_t i = 0; i < sizeof header + len; i++) {
		uint8_t c = i < sizeof header ? header[i] : message[i - sizeof header];
		crc = fcs(crc, c);
		n += put_escaped(buf + n, c);
	}
	n += put_escaped(buf + n, (uint8_t)~crc);
	n += put_escaped(buf + n, (uint8_t)(~crc >> 8));
	buf[n++] = END;
	return n;
}

/* What the monitor waits for. */
static size_t put_owed(struct state *s, uint8_t *buf)
{
	static const uint8_t head[] = { 0xE1, 0x00, 0x00, 0x02, 0x00, 0x02, 0x00, 0x14 };
	uint8_t result[28], owed = s->owed;
	s->owed = 0;
	if (s->given || !owed)
		return 0;
	if (owed == SESSION_RELEASED)
		return put_message(s, released, sizeof released, buf);
	memcpy(result, head, sizeof head);
	memcpy(result + 8, s->invoke, 2);
	vs_put_be16(result + 10, COMMAND_EVENT);
	vs_put_be16(result + 12, 14);
	memcpy(result + 14, s->event, sizeof s->event);
	vs_put_be16(result + 24, EVENT_MDS_CREATE);
	vs_put_be16(result + 26, 0);
	return put_message(s, result, sizeof result, buf);
}

static size_t put_abort(struct state *s, uint8_t *buf)
{
	s->association = APART;
	return put_message(s, abort_association, sizeof abort_association, buf);
}

static size_t transmit(void *state, enum vs_transmit_why why, uint8_t *buf, size_t cap)
{
	struct state *s = state;
	(void)cap;
	if (why == VS_TX_REPLY)
		return put_owed(s, buf);
	if (why != VS_TX_CONNECT && why != VS_TX_POLL)
		return 0;
	if (s->given || (why == VS_TX_POLL && s->association == TOGETHER))
		return why == VS_TX_POLL ? put_message(s, poll, sizeof poll, buf) : 0;
	if (s->association == TOGETHER || (s->association == ASKED && ++s->waited > PATIENCE))
		return put_abort(s, buf); /* silent, or cut off: it may believe that we are still together */
	if (s->association == ASKED)
		return 0;
	s->association = ASKED;
	s->waited = 0;
	return put_message(s, request_association, sizeof request_association, buf);
}

static int init(void *state, const struct vs_plugin_setting *settings)
{
	struct state *s = state;
	s->given = vs_plugin_is_set(settings, "association", "given");
	return 0;
}

static int init_lan(void *state, const struct vs_plugin_setting *settings)
{
	struct state *s = state;
	s->lan = true;
	return init(state, settings);
}

static const struct vs_plugin_option options[] = {
	{ "association", (const char *const[]){ "made", "given", NULL },
	  "given: another host holds the association, and the line is shared with it" },
	{ NULL },
};

#define NUMERICS                                                                                                       \
	(1u << VS_HR | 1u << VS_RR | 1u << VS_SPO2 | 1u << VS_PR | 1u << VS_NIBP_SYS | 1u << VS_NIBP_DIA |             \
	 1u << VS_NIBP_MAP | 1u << VS_NIBP_PR | 1u << VS_TEMP)

const struct vs_plugin vs_plugin_philips_intellivue = {
	.abi = VS_PLUGIN_ABI,
	.name = "philips-intellivue",
	.summary = "Philips IntelliVue data export on the serial port: all numerics every second, CRC",
	.manual = "IntelliVue data export as three open hosts implement it; ISO/IEEE 11073-10101",
	.devices = "Philips IntelliVue MP and MX series (MIB port)",
	.tested = "vectors made from the hosts' reading; a simulated monitor that associates",
	.maturity = VS_DOCUMENTED,
	.checked = true,
	.strong = true,
	.line = { 115200, 'N', 8, 1 },
	.silence_ms = 5000,
	.poll_ms = 1000,
	.metrics = NUMERICS,
	.options = options,
	.state_size = sizeof(struct state),
	.init = init,
	.frame = frame,
	.decode = decode,
	.transmit = transmit,
};

const struct vs_plugin vs_plugin_philips_intellivue_lan = {
	.abi = VS_PLUGIN_ABI,
	.name = "philips-intellivue-lan",
	.summary = "Philips IntelliVue data export over the network (UDP): all numerics every second",
	.manual = "IntelliVue data export as three open hosts implement it; ISO/IEEE 11073-10101",
	.devices = "Philips IntelliVue MP and MX series (LAN connector)",
	.tested = "vectors made from the hosts' reading; a simulated monitor that associates",
	.maturity = VS_DOCUMENTED,
	.udp_port = LAN_PORT,
	.strong = true, /* the datagram's own, and the network's below it */
	.silence_ms = 5000,
	.poll_ms = 1000,
	.metrics = NUMERICS,
	.options = options,
	.state_size = sizeof(struct state),
	.init = init_lan,
	.frame = frame_lan,
	.decode = decode_lan,
	.transmit = transmit,
};
