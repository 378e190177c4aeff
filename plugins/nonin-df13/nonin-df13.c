/* Nonin serial data format 13: a spot check, one packet of variable length a measurement.
 *
 * Facts: Nonin 9560 OEM technical specification (format 13, the factory setting of the 9560).
 *
 *	00 02 | 00 0D | length (2, big endian, >= 14) | data | sum of data | 03
 *	data: 0-7 date and time, BCD   8 status high   9 status low   10 HR8   11 HR7..HR0   12 -   13 SpO2   14.. later
 *
 * The data may hold 03 and 00 02: the length rules. */
#include "core/bytes.h"
#include "core/plugin.h"

#define HEADER_LEN 6
#define TRAILER_LEN 2
#define DATA_MIN 14
#define DATA_MAX 128 /* far above the 14 of today; a longer claim is a false start */

#define HIGH_SMARTPOINT     0x02
#define HIGH_NO_MEASUREMENT 0x01
#define LOW_FROM_MEMORY     0x10
#define LOW_LOW_BATTERY     0x01

#define RATE_MISSING 511
#define SPO2_MISSING 127

struct state {
	bool select;
};

static int init(void *state, const struct vs_plugin_setting *settings)
{
	((struct state *)state)->select = vs_plugin_is_set(settings, "select", "yes");
	return 0;
}

static int frame(void *state, const uint8_t *buf, size_t len)
{
	static const uint8_t head[] = { 0x00, 0x02, 0x00, 0x0D };
	(void)state;
	for (size_t i = 0; i < sizeof head && i < len; i++)
		if (buf[i] != head[i])
			return -1;
	if (len < HEADER_LEN)
		return 0;
	size_t data = vs_be16(buf + 4);
	if (data < DATA_MIN || data > DATA_MAX)
		return -1;
	size_t whole = HEADER_LEN + data + TRAILER_LEN;
	return len < whole ? 0 : (int)whole;
}

static bool is_sound(const uint8_t *frame, size_t len)
{
	uint8_t sum = 0;
	for (size_t i = HEADER_LEN; i < len - TRAILER_LEN; i++)
		sum = (uint8_t)(sum + frame[i]);
	return sum == frame[len - 2] && frame[len - 1] == 0x03;
}

static uint64_t status_flags(uint8_t high, uint8_t low)
{
	return (high & HIGH_SMARTPOINT ? VS_FLAG(SMARTPOINT) : 0) |
	       (high & HIGH_NO_MEASUREMENT ? VS_FLAG(NO_MEASUREMENT) : 0) |
	       (low & LOW_FROM_MEMORY ? VS_FLAG(FROM_MEMORY) : 0) | (low & LOW_LOW_BATTERY ? VS_FLAG(LOW_BATTERY) : 0);
}

static enum vs_decoded decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	(void)state;
	if (!is_sound(frame, len))
		return VS_REJECTED;
	const uint8_t *data = frame + HEADER_LEN;
	uint64_t flags = status_flags(data[8], data[9]);
	/* Here the low byte holds eight bits of the rate, unlike formats 2, 7 and 8. */
	unsigned rate = (data[10] & 1u) << 8 | data[11], spo2 = data[13] & 0x7Fu;
	if (rate == RATE_MISSING)
		vs_reading_add_none(ret, VS_PR, flags);
	else
		vs_reading_add_nonzero(ret, VS_PR, rate, flags);
	if (spo2 == SPO2_MISSING)
		vs_reading_add_none(ret, VS_SPO2, flags);
	else
		vs_reading_add_nonzero(ret, VS_SPO2, spo2, flags);
	return VS_UNIT;
}

/* Select format 13 (9560 specification, commands). */
static size_t transmit(void *state, enum vs_transmit_why why, uint8_t *buf, size_t cap)
{
	(void)cap;
	if (!((struct state *)state)->select || why != VS_TX_CONNECT)
		return 0;
	memcpy(buf, (const uint8_t[]){ 0x02, 0x70, 0x02, 0x02, 0x0D, 0x03 }, 6);
	return 6;
}

static const struct vs_plugin_option options[] = {
	{ "select", (const char *const[]){ "no", "yes", NULL },
	  "yes: ask the device for this format when the line is opened" },
	{ NULL },
};

const struct vs_plugin vs_plugin_nonin_df13 = {
	.abi = VS_PLUGIN_ABI,
	.name = "nonin-df13",
	.summary = "Nonin data format 13: spot checks, one packet a measurement, checksum",
	.manual = "Nonin 9560 OEM technical specification",
	.devices = "Nonin 9560 as delivered",
	.tested = "vectors made from the specification",
	.maturity = VS_DOCUMENTED,
	.checked = true,
	.spot = true,
	.line = { 9600, 'N', 8, 1 },
	.silence_ms = 3600 * 1000, /* a spot check comes when somebody measures */
	.metrics = 1u << VS_SPO2 | 1u << VS_PR,
	.options = options,
	.state_size = sizeof(struct state),
	.init = init,
	.frame = frame,
	.decode = decode,
	.transmit = transmit,
};
