/* The 7-bit multi-parameter boards ("806c", "808", "iBio") inside several Chinese monitors.
 *
 * Facts: three independent hosts that agree byte for byte.
 *
 *	ID (bit 7 = 0) | head | data ... | checksum, bit 7 = 1 in all of them; bit k of head is bit 7 of data byte k
 *
 * Checksum = ID + the low seven bits of all that follows, with bit 7 set.  A byte below 80 always starts a frame.
 * 16-bit values are signed, high byte first; -100 is "no value".  Lengths differ between boards: an ID has one or two,
 * and the checksum says which. */
#include "core/bytes.h"
#include "core/plugin.h"
#include "plugins/nibp.h"

#define MARK 0x80
#define NONE (-100)
#define DATA_MAX 7
#define CUFF_TOO_HIGH 330 /* mm[Hg], adult: a careful host stops the pump */

enum id {
	ID_RESET = 0x01,
	ID_HEART_RATE = 0x07,
	ID_RESPIRATION = 0x11,
	ID_TEMPERATURE = 0x15,
	ID_SPO2_WAVE = 0x16,
	ID_SPO2 = 0x17,
	ID_CUFF = 0x20,
	ID_NIBP_END = 0x21,
	ID_NIBP = 0x22,
	ID_NIBP_RATE = 0x23,
	ID_NIBP_STATUS = 0x24,
};

/* Whole lengths, the shorter first; heart rate: 5 on iBio boards, 7 on the 806c. */
static const uint8_t lengths[][2] = {
	[0x01] = { 2 },	   [0x03] = { 9 },  [0x04] = { 5 }, [0x05] = { 8, 9 }, [0x06] = { 5 }, [0x07] = { 5, 7 },
	[0x0B] = { 7, 9 }, [0x10] = { 4 },  [0x11] = { 5 }, [0x12] = { 6 },	[0x15] = { 8 }, [0x16] = { 5 },
	[0x17] = { 7 },	   [0x18] = { 7 },  [0x1A] = { 10 }, [0x20] = { 7 },	[0x21] = { 4 }, [0x22] = { 9 },
	[0x23] = { 5 },	   [0x24] = { 8 },
};

struct state {
	bool ibio;
	uint8_t wave_status; /* of the last SpO2 wave packet: bit 7 finger off, 5 searching, 4 probe off */
	bool failed;         /* the last cuff measurement ended with an error */
	bool was_reset, ended, must_stop; /* owed answers */
};

static int init(void *state, const struct vs_plugin_setting *settings)
{
	((struct state *)state)->ibio = vs_plugin_is_set(settings, "dialect", "ibio");
	return 0;
}

static bool is_sound(const uint8_t *frame, size_t len)
{
	unsigned sum = frame[0];
	for (size_t i = 1; i + 1 < len; i++)
		sum += frame[i] & 0x7Fu;
	return ((sum & 0x7F) | MARK) == frame[len - 1];
}

static void lengths_of(const struct state *s, uint8_t id, size_t *shorter, size_t *longer)
{
	bool known = id < sizeof lengths / sizeof lengths[0];
	*shorter = known ? lengths[id][0] : 0;
	*longer = known && lengths[id][1] ? lengths[id][1] : *shorter;
	if (id == ID_HEART_RATE)
		*shorter = *longer = s->ibio ? 5 : 7;
}

static int frame(void *state, const uint8_t *buf, size_t len)
{
	size_t shorter, longer, n = 1;
	lengths_of(state, buf[0], &shorter, &longer);
	if (buf[0] & MARK || !shorter) {
		while (n < len && buf[n] & MARK)
			n++;
		return -(int)n;
	}
	for (; n < longer && n < len; n++) {
		if (!(buf[n] & MARK)) /* cut: the next frame starts here */
			return -(int)n;
		if (n + 1 == shorter && is_sound(buf, shorter))
			return (int)shorter;
	}
	return n < longer ? 0 : (int)longer;
}

static int at16(const uint8_t *data)
{
	return (int16_t)vs_be16(data);
}

static void add(struct vs_reading *ret, enum vs_metric m, int raw, double scale, uint64_t flags)
{
	if (raw == NONE)
		vs_reading_add_none(ret, m, flags);
	else
		vs_reading_add_nonzero(ret, m, raw / scale, flags);
}

static enum vs_decoded respiration(const uint8_t *data, struct vs_reading *ret)
{
	if (at16(data) == NONE)
		vs_reading_add_none(ret, VS_RR, 0);
	else
		vs_reading_add(ret, VS_RR, at16(data), 0); /* 0 is apnoea here, and a measurement */
	return VS_UNIT;
}

static enum vs_decoded temperature(const uint8_t *data, struct vs_reading *ret)
{
	add(ret, VS_TEMP, at16(data + 1), 10, data[0] & 1 ? VS_FLAG(SENSOR_DISCONNECTED) : 0);
	add(ret, VS_TEMP2, at16(data + 3), 10, data[0] & 2 ? VS_FLAG(SENSOR_DISCONNECTED) : 0);
	return VS_UNIT;
}

static enum vs_decoded oximeter(const struct state *s, const uint8_t *data, struct vs_reading *ret)
{
	uint64_t flags = (data[0] & 0x10 ? VS_FLAG(SEARCH_TIMEOUT) : 0) | (data[0] & 0x20 ? VS_FLAG(SPO2_DROP) : 0) |
			 (s->wave_status & 0x20 ? VS_FLAG(SEARCHING) : 0);
	if (s->wave_status & 0x10) /* a probe that is not plugged in is on no finger either */
		flags |= VS_FLAG(SENSOR_DISCONNECTED);
	else if (s->wave_status & 0x80)
		flags |= VS_FLAG(SENSOR_OFF);
	add(ret, VS_PR, at16(data + 1), 1, flags);
	add(ret, VS_SPO2, (int8_t)data[3], 1, flags);
	return VS_UNIT;
}

static enum vs_decoded cuff(struct state *s, const uint8_t *data, struct vs_reading *ret)
{
	int pressure = at16(data);
	bool wrong = data[2] != 0;
	s->failed = false;
	s->must_stop = wrong || pressure > CUFF_TOO_HIGH;
	vs_reading_add_marked(ret, VS_CUFF_PRESSURE, pressure,
			      VS_FLAG(MEASURING) | (wrong ? VS_FLAG(WRONG_CUFF) : 0));
	return VS_UNIT;
}

static enum vs_decoded nibp_end(struct state *s, uint8_t code, struct vs_reading *ret)
{
	s->ended = true;
	s->failed = code == 10;
	vs_reading_add_word(ret, VS_NIBP_EVENT, s->failed ? "error" : "done");
	return VS_UNIT;
}

static enum vs_decoded nibp(const struct state *s, const uint8_t *data, struct vs_reading *ret)
{
	int sys = at16(data), dia = at16(data + 2), map = at16(data + 4);
	struct vs_nibp v = { true, false, sys, dia, map, 0 };
	if (s->failed) /* the numbers of the measurement before */
		vs_nibp_add_none(ret, &v, VS_FLAG(NO_MEASUREMENT));
	else if (sys == NONE || dia == NONE || map == NONE)
		vs_nibp_add_none(ret, &v, 0);
	else
		vs_nibp_add(ret, &v, 0);
	return VS_UNIT;
}

static enum vs_decoded by_id(struct state *s, uint8_t id, const uint8_t *data, struct vs_reading *ret)
{
	switch (id) {
	case ID_HEART_RATE:
		add(ret, VS_HR, at16(data), 1, 0);
		return VS_UNIT;
	case ID_RESPIRATION: return respiration(data, ret);
	case ID_TEMPERATURE: return temperature(data, ret);
	case ID_SPO2: return oximeter(s, data, ret);
	case ID_CUFF: return cuff(s, data, ret);
	case ID_NIBP_END: return nibp_end(s, data[0], ret);
	case ID_NIBP: return nibp(s, data, ret);
	case ID_NIBP_RATE:
		add(ret, VS_NIBP_PR, at16(data), 1, s->failed ? VS_FLAG(NO_MEASUREMENT) : 0);
		return VS_UNIT;
	case ID_NIBP_STATUS:
		if (!data[2])
			return VS_IGNORED;
		vs_reading_add_error(ret, VS_NIBP_STATUS, 0, data[2]);
		return VS_UNIT;
	case ID_SPO2_WAVE: s->wave_status = data[1]; return VS_IGNORED;
	case ID_RESET: s->was_reset = true; return VS_IGNORED;
	default: return VS_IGNORED;
	}
}

static enum vs_decoded decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	uint8_t data[DATA_MAX] = { 0 };
	if (!is_sound(frame, len))
		return VS_REJECTED;
	for (size_t i = 0; i + 3 < len && i < DATA_MAX; i++)
		data[i] = (uint8_t)((frame[i + 2] & 0x7F) | (frame[1] >> i & 1) << 7);
	return by_id(state, frame[0], data, ret);
}

static void broken(void *state)
{
	((struct state *)state)->wave_status = 0;
}

static const uint8_t adult[] = { 0x42, 0x80, 0x80, 0xC2 }, start[] = { 0x55, 0xD5 }, stop[] = { 0x56, 0xD6 },
		     get_result[] = { 0x5E, 0xDE }, reset_seen[] = { 0x01, 0x81 };

static size_t put(uint8_t *buf, const uint8_t *bytes, size_t len)
{
	memcpy(buf, bytes, len);
	return len;
}

static size_t answers(struct state *s, uint8_t *buf)
{
	size_t len = 0;
	if (s->was_reset) {
		len += put(buf + len, reset_seen, sizeof reset_seen);
		len += put(buf + len, adult, sizeof adult);
	}
	if (s->must_stop)
		len += put(buf + len, stop, sizeof stop);
	if (s->ended)
		len += put(buf + len, get_result, sizeof get_result);
	s->was_reset = s->must_stop = s->ended = false;
	return len;
}

static size_t transmit(void *state, enum vs_transmit_why why, uint8_t *buf, size_t cap)
{
	(void)cap;
	switch (why) {
	case VS_TX_CONNECT: return put(buf, adult, sizeof adult);
	case VS_TX_REPLY: return answers(state, buf);
	case VS_TX_NIBP: return put(buf, start, sizeof start);
	case VS_TX_NIBP_STOP: return put(buf, stop, sizeof stop);
	default: return 0;
	}
}

static const struct vs_plugin_option options[] = {
	{ "dialect", (const char *const[]){ "806c", "ibio", NULL },
	  "which board: the heart rate packet has 7 bytes on the 806c and 5 on the iBio" },
	{ NULL },
};

const struct vs_plugin vs_plugin_oem7bit_806c = {
	.abi = VS_PLUGIN_ABI,
	.name = "oem7bit-806c",
	.summary = "7-bit OEM boards (806c, 808, iBio): ECG rate, respiration, SpO2, cuff, temperature; checksum",
	.manual = "three independent hosts that agree",
	.devices = "806c/808 and iBio multi-parameter boards",
	.tested = "vectors made from the hosts' reading",
	.maturity = VS_DOCUMENTED,
	.checked = true,
	.line = { 115200, 'N', 8, 1 },
	.silence_ms = 5000,
	.metrics = 1u << VS_HR | 1u << VS_RR | 1u << VS_SPO2 | 1u << VS_PR | 1u << VS_NIBP_SYS | 1u << VS_NIBP_DIA |
		   1u << VS_NIBP_MAP | 1u << VS_NIBP_PR | 1u << VS_CUFF_PRESSURE | 1u << VS_NIBP_EVENT |
		   1u << VS_NIBP_STATUS | 1u << VS_TEMP | 1u << VS_TEMP2,
	.options = options,
	.state_size = sizeof(struct state),
	.init = init,
	.frame = frame,
	.decode = decode,
	.broken = broken,
	.transmit = transmit,
};
