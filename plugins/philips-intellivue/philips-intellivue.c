/* Philips IntelliVue data export, on the serial (MIB) port: numerics out of poll results.
 *
 * Facts: IntelliVue data export as two independent open hosts implement it; ISO/IEEE 11073 physio ids.
 *
 *	C0 | 11 | 01 | length (2) | user data | FCS (2, low byte first) | C1     C0, C1, 7D inside are 7D, byte XOR 20
 *
 * 7D C1 aborts a frame.  FCS is CRC-16/X.25 over header and user data.  User data that begins with E1 is a data
 * message; all its numbers are big endian, lists are count, length, items:
 *
 *	E100 0002 operation length [linked: 2 bytes] | invoke, command, length | class 3 x 2, action, length |
 *	poll number [sequence] time 4 + 8 | object type 4, group 2 | list of contexts
 *	context: u16, list of objects; object: handle u16, list of attributes; attribute: id, length, value
 *	numeric (0950), compound numeric (094B: a list of them): physio id, state, unit, FLOAT
 *
 * The association with the monitor is not made here (README.md). */
#include "plugins/philips-intellivue/philips-intellivue.h"

#include "core/bytes.h"
#include "core/plugin.h"
#include "plugins/nibp.h"

#include <math.h>

#define START 0xC0
#define END 0xC1
#define ESCAPE 0x7D
#define WIRE_MAX 4000
#define USER_MAX 1990
#define FCS_GOOD 0xF0B8

#define OPERATION_RESULT 2
#define OPERATION_LINKED 5
#define COMMAND_ACTION 7
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

struct state {
	struct vs_nibp_shown shown;
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

static enum vs_decoded decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	uint8_t user[USER_MAX];
	size_t n = unwrap(frame, len, user);
	struct part p = { user, user + n, false };
	if (!n)
		return VS_REJECTED;
	if (!is_poll_result(&p))
		return VS_IGNORED;
	contexts(&p, ret);
	if (p.bad) { /* a list that claims more than there is: nothing of it can be trusted */
		ret->len = 0;
		return VS_REJECTED;
	}
	only_new_nibp(state, ret);
	return VS_UNIT;
}

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

/* Single poll of all numerics. */
static size_t transmit(void *state, enum vs_transmit_why why, uint8_t *buf, size_t cap)
{
	static const uint8_t message[] = {
		0x11, 0x01, 0x00, 0x24, 0xE1, 0x00, 0x00, 0x02, 0x00, 0x01, 0x00, 0x1C, 0x00, 0x00,
		0x00, 0x07, 0x00, 0x16, 0x00, 0x21, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x0C, 0x16, 0x00, 0x08, 0x00, 0x01, 0x00, 0x01, 0x00, 0x06, 0x00, 0x00,
	};
	(void)state, (void)cap;
	if (why != VS_TX_POLL)
		return 0;
	size_t n = 0;
	uint16_t crc = 0xFFFF;
	buf[n++] = START;
	for (size_t i = 0; i < sizeof message; i++) {
		crc = fcs(crc, message[i]);
		n += put_escaped(buf + n, message[i]);
	}
	n += put_escaped(buf + n, (uint8_t)~crc);
	n += put_escaped(buf + n, (uint8_t)(~crc >> 8));
	buf[n++] = END;
	return n;
}

const struct vs_plugin vs_plugin_philips_intellivue = {
	.abi = VS_PLUGIN_ABI,
	.name = "philips-intellivue",
	.summary = "Philips IntelliVue poll results on the serial port, CRC; another host makes the association",
	.manual = "IntelliVue data export as two open hosts implement it; ISO/IEEE 11073-10101",
	.devices = "Philips IntelliVue MP and MX series (MIB port)",
	.tested = "vectors made from the hosts' reading",
	.maturity = VS_DOCUMENTED,
	.checked = true,
	.line = { 115200, 'N', 8, 1 },
	.silence_ms = 5000,
	.poll_ms = 1000,
	.metrics = 1u << VS_HR | 1u << VS_RR | 1u << VS_SPO2 | 1u << VS_PR | 1u << VS_NIBP_SYS | 1u << VS_NIBP_DIA |
		   1u << VS_NIBP_MAP | 1u << VS_NIBP_PR | 1u << VS_TEMP,
	.state_size = sizeof(struct state),
	.frame = frame,
	.decode = decode,
	.transmit = transmit,
};
