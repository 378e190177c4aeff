/* Nonin serial data formats 1 and 8: one short record a second, no checksum.
 *
 * Facts: Nonin 9560 OEM technical specification (format 8); OEM III (format 1).
 *
 *	byte 1   1 | SNSD (DF1 only) | OOT | LPRF | MPRF | ARTF | HR8 | HR7
 *	byte 2   0 | HR6..HR0
 *	byte 3   0 | SpO2
 *	byte 4   0 | - | SPA | - | SNSA | - | - | low battery        (DF8 only)
 *
 * Only the first byte has bit 7, so it alone starts a record.  Format 8 carries the values for display, which stand for
 * ten seconds after the finger is gone: with SNSA they are old. */
#include "core/plugin.h"

#define BYTE1_START 0x80
#define BYTE1_SNSD  0x40
#define BYTE1_OOT   0x20
#define BYTE1_LPRF  0x10
#define BYTE1_MPRF  0x08
#define BYTE1_ARTF  0x04

#define BYTE4_SMARTPOINT  0x20
#define BYTE4_SNSA        0x08
#define BYTE4_LOW_BATTERY 0x01

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

static int find_record(const uint8_t *buf, size_t len, size_t record_len)
{
	if (!(buf[0] & BYTE1_START)) {
		size_t n = 1;
		while (n < len && !(buf[n] & BYTE1_START))
			n++;
		return -(int)n;
	}
	for (size_t i = 1; i < record_len; i++) {
		if (i == len)
			return 0;
		if (buf[i] & BYTE1_START) /* a record that was cut: the next one starts here */
			return -(int)i;
	}
	return (int)record_len;
}

static uint64_t status_flags(uint8_t b)
{
	return (b & BYTE1_OOT ? VS_FLAG(OUT_OF_TRACK) : 0) | (b & BYTE1_LPRF ? VS_FLAG(LOW_PERFUSION) : 0) |
	       (b & BYTE1_MPRF ? VS_FLAG(MARGINAL_PERFUSION) : 0) | (b & BYTE1_ARTF ? VS_FLAG(ARTIFACT) : 0);
}

static void read_values(const uint8_t *record, uint64_t flags, struct vs_reading *ret)
{
	unsigned rate = (record[0] & 3u) << 7 | record[1], spo2 = record[2];
	if (rate == RATE_MISSING)
		vs_reading_add_none(ret, VS_PR, flags);
	else
		vs_reading_add_nonzero(ret, VS_PR, rate, flags);
	if (spo2 == SPO2_MISSING)
		vs_reading_add_none(ret, VS_SPO2, flags);
	else
		vs_reading_add_nonzero(ret, VS_SPO2, spo2, flags);
}

static int df1_frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	return find_record(buf, len, 3);
}

static enum vs_decoded df1_decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	(void)state, (void)len;
	uint64_t flags = status_flags(frame[0]);
	if (frame[0] & BYTE1_SNSD)
		flags |= VS_FLAG(SENSOR_DISCONNECTED);
	read_values(frame, flags, ret);
	return VS_UNIT;
}

static int df8_frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	return find_record(buf, len, 4);
}

static enum vs_decoded df8_decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	(void)state, (void)len;
	uint64_t flags = status_flags(frame[0]);
	flags |= frame[3] & BYTE4_SMARTPOINT ? VS_FLAG(SMARTPOINT) : 0;
	flags |= frame[3] & BYTE4_SNSA ? VS_FLAG(SENSOR_OFF) : 0;
	flags |= frame[3] & BYTE4_LOW_BATTERY ? VS_FLAG(LOW_BATTERY) : 0;
	read_values(frame, flags, ret);
	return VS_UNIT;
}

/* Select format 8 (9560 specification, commands). */
static size_t df8_transmit(void *state, enum vs_transmit_why why, uint8_t *buf, size_t cap)
{
	(void)cap;
	if (!((struct state *)state)->select || why != VS_TX_CONNECT)
		return 0;
	memcpy(buf, (const uint8_t[]){ 0x02, 0x70, 0x02, 0x02, 0x08, 0x03 }, 6);
	return 6;
}

static const struct vs_plugin_option df8_options[] = {
	{ "select", (const char *const[]){ "no", "yes", NULL },
	  "yes: ask the device for this format when the line is opened (9560)" },
	{ NULL },
};

#define COMMON                                                                                                         \
	.abi = VS_PLUGIN_ABI, .line = { 9600, 'N', 8, 1 }, .silence_ms = 5000,                                         \
	.metrics = 1u << VS_SPO2 | 1u << VS_PR, .tested = "vectors made from the documents",                           \
	.maturity = VS_DOCUMENTED

const struct vs_plugin vs_plugin_nonin_df1 = {
	COMMON,
	.name = "nonin-df1",
	.summary = "Nonin data format 1: three bytes a second, no checksum",
	.manual = "public notes on format 1 of the Nonin OEM modules",
	.devices = "Nonin OEM III and Xpod set to format 1",
	.frame = df1_frame,
	.decode = df1_decode,
};

const struct vs_plugin vs_plugin_nonin_df8 = {
	COMMON,
	.name = "nonin-df8",
	.summary = "Nonin data format 8: four bytes a second, no checksum",
	.manual = "Nonin 9560 OEM technical specification",
	.devices = "Nonin 9560 set to format 8",
	.options = df8_options,
	.state_size = sizeof(struct state),
	.init = init,
	.frame = df8_frame,
	.decode = df8_decode,
	.transmit = df8_transmit,
};
