/* Contec protocol V7: oximeters of firmware 4.6 and later, which are asked to send and kept awake.
 *
 * Facts: Contec protocol V7.0; types 02, 03, 06, 13, 14 seen on devices and not in the document.
 *
 *	type (bit 7 = 0) | high bits | data, bit 7 = 1 on the wire: bit i of the high byte is bit 7 of data byte i
 *
 * No checksum; the length follows from the type.  The stream ends 30 s after the last keep-alive. */
#include "core/bytes.h"
#include "core/plugin.h"

#define MARK 0x80
#define TYPE_LIVE 0x01
#define TYPE_DISCONNECT 0x0D

#define COMMAND_LEN 9
#define START_LIVE 0xA1
#define STOP_LIVE 0xA2
#define STOP_STORAGE 0xA7
#define KEEP_ALIVE 0xAF

#define RATE_MISSING 0xFF
#define SPO2_MISSING 0x7F
#define PI_MISSING 0xFFFF

static const uint8_t lengths[] = {
	[0x01] = 9, [0x02] = 9, [0x03] = 9, [0x04] = 9, [0x05] = 9, [0x06] = 4, [0x07] = 8, [0x08] = 8,
	[0x09] = 6, [0x0A] = 4, [0x0B] = 4, [0x0C] = 2, [0x0D] = 3, [0x0E] = 3, [0x0F] = 8, [0x10] = 3,
	[0x11] = 9, [0x13] = 9, [0x14] = 9, [0x15] = 9,
};

struct state {
	bool live; /* a live packet has come since the last poll */
};

static size_t length_of(uint8_t type)
{
	return type < sizeof lengths ? lengths[type] : 0;
}

static int frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	size_t whole = length_of(buf[0]);
	if (!whole) {
		size_t n = 1;
		while (n < len && !length_of(buf[n]))
			n++;
		return -(int)n;
	}
	for (size_t i = 1; i < whole; i++) {
		if (i == len)
			return 0;
		if (!(buf[i] & MARK)) /* a packet that was cut: a type byte stands here */
			return -(int)i;
	}
	return (int)whole;
}

static uint64_t live_flags(const uint8_t *data)
{
	return (data[0] & 0x10 ? VS_FLAG(SEARCH_TIMEOUT) : 0) | (data[0] & 0x20 ? VS_FLAG(SPO2_DROP) : 0) |
	       (data[0] & 0x80 ? VS_FLAG(SENSOR_OFF) : 0) | (data[1] & 0x80 ? VS_FLAG(SEARCHING) : 0);
}

static void live(const uint8_t *data, struct vs_reading *ret)
{
	uint64_t flags = live_flags(data);
	unsigned pi = vs_le16(data + 5);
	if (data[3] == RATE_MISSING)
		vs_reading_add_none(ret, VS_PR, flags);
	else /* without a finger some firmware sends zeros, not the documented codes */
		vs_reading_add_nonzero(ret, VS_PR, data[3], flags);
	if (data[4] == SPO2_MISSING)
		vs_reading_add_none(ret, VS_SPO2, flags);
	else
		vs_reading_add_nonzero(ret, VS_SPO2, data[4], flags);
	if (pi == PI_MISSING || data[2] & 0x10)
		vs_reading_add_none(ret, VS_PI, flags);
	else
		vs_reading_add(ret, VS_PI, pi / 100.0, flags);
}

static enum vs_decoded decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	struct state *s = state;
	if (frame[0] == TYPE_DISCONNECT)
		s->live = false;
	if (frame[0] != TYPE_LIVE)
		return VS_IGNORED;
	uint8_t data[7];
	for (size_t i = 0; i < sizeof data && i + 2 < len; i++)
		data[i] = (uint8_t)((frame[i + 2] & 0x7F) | (frame[1] >> i & 1) << 7);
	live(data, ret);
	s->live = true;
	return VS_UNIT;
}

static size_t command(uint8_t *buf, uint8_t code)
{
	memset(buf, 0x80, COMMAND_LEN);
	buf[0] = 0x7D;
	buf[1] = 0x81;
	buf[2] = code;
	return COMMAND_LEN;
}

static size_t start(uint8_t *buf)
{
	size_t n = command(buf, STOP_STORAGE);
	n += command(buf + n, STOP_LIVE);
	return n + command(buf + n, START_LIVE);
}

static size_t transmit(void *state, enum vs_transmit_why why, uint8_t *buf, size_t cap)
{
	struct state *s = state;
	(void)cap;
	if (why == VS_TX_CONNECT)
		return start(buf);
	if (why != VS_TX_POLL)
		return 0;
	bool was_live = s->live;
	s->live = false;
	return was_live ? command(buf, KEEP_ALIVE) : start(buf); /* switched on, or off and on, since */
}

const struct vs_plugin vs_plugin_contec_v7 = {
	.abi = VS_PLUGIN_ABI,
	.name = "contec-v7",
	.summary = "Contec V7: SpO2, pulse rate and perfusion index, asked for and kept alive, no checksum",
	.manual = "Contec protocol V7.0",
	.devices = "Contec CMS50D+, CMS50E, CMS50F, CMS50I, CMS60 of firmware 4.6 and later",
	.tested = "a recorded exchange with a device; vectors made from the document",
	.maturity = VS_RECORDED,
	.line = { 115200, 'N', 8, 1 },
	.silence_ms = 3000,
	.poll_ms = 5000,
	.metrics = 1u << VS_SPO2 | 1u << VS_PR | 1u << VS_PI,
	.state_size = sizeof(struct state),
	.frame = frame,
	.decode = decode,
	.transmit = transmit,
};
