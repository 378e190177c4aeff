/* Nonin serial data formats 2 and 7: 75 frames of five bytes a second, 25 frames a packet, three packets a second.
 *
 * Facts: Nonin 9560 OEM technical specification (formats 2 and 7); OEM III module: status bit 6.
 *
 *	        byte 1    byte 2        byte 3       byte 4   byte 5
 *	DF2     01        STATUS        pleth        FLOAT    sum of bytes 1-4
 *	DF7     STATUS    pleth high    pleth low    FLOAT    sum of bytes 1-4
 *
 * A packet is the unit: a bad frame inside, or a sync bit where none belongs, drops it whole, because the meaning of
 * FLOAT hangs on the frame's number.  Values are taken from frames 1 to 3 (four-beat average, "for recording"): they
 * turn missing at once when the finger leaves, while the values for display stand for ten seconds more. */
#include "core/plugin.h"

#define FRAMES 25
#define FRAME_LEN 5
#define PACKET_LEN (FRAMES * FRAME_LEN)

/* STATUS */
#define STATUS_SET  0x80 /* always 1 */
#define STATUS_SNSD 0x40 /* OEM III: sensor unplugged; reserved on the 9560 */
#define STATUS_ARTF 0x20
#define STATUS_OOT  0x10
#define STATUS_SNSA 0x08 /* unusable data, finger removed */
#define STATUS_PERF 0x06 /* 01 green, 11 yellow, 10 red, 00 no pulse in this frame */
#define STATUS_SYNC 0x01

/* STAT2, the FLOAT of frame 8 */
#define STAT2_SMARTPOINT 0x20
#define STAT2_LOW_BATTERY 0x01

#define RATE_MISSING 511
#define SPO2_MISSING 127

struct layout {
	int first;       /* what byte 1 must be; -1: anything */
	unsigned status; /* where STATUS stands */
	uint8_t format;  /* its number in the select command */
};

static const struct layout df2 = { 0x01, 1, 0x02 }, df7 = { -1, 0, 0x07 };

struct state {
	bool oem3, select;
};

static int init(void *state, const struct vs_plugin_setting *settings)
{
	struct state *s = state;
	s->oem3 = vs_plugin_is_set(settings, "dialect", "oem3");
	s->select = vs_plugin_is_set(settings, "select", "yes");
	return 0;
}

static inline bool is_frame(const struct layout *l, const uint8_t *f, bool sync)
{
	return (l->first < 0 || f[0] == l->first) && (f[l->status] & STATUS_SET) &&
	       (f[l->status] & STATUS_SYNC) == sync && (uint8_t)(f[0] + f[1] + f[2] + f[3]) == f[4];
}

static inline int find_packet(const struct layout *l, const uint8_t *buf, size_t len)
{
	size_t start = 0;
	while (start + FRAME_LEN <= len && !is_frame(l, buf + start, true))
		start++;
	if (start)
		return -(int)start;
	for (unsigned i = 1; i < FRAMES; i++) {
		if ((i + 1) * FRAME_LEN > len)
			return 0;
		if (!is_frame(l, buf + i * FRAME_LEN, false))
			return -1;
	}
	return len < PACKET_LEN ? 0 : PACKET_LEN;
}

/* Perfusion is shown for 12 frames at each pulse: of all that a packet shows, the worst counts. */
static uint64_t perfusion_flag(unsigned seen)
{
	if (seen & 1 << 2)
		return VS_FLAG(LOW_PERFUSION);
	if (seen & 1 << 3)
		return VS_FLAG(MARGINAL_PERFUSION);
	return seen & 1 << 1 ? VS_FLAG(GOOD_PERFUSION) : 0;
}

static uint64_t status_flags(unsigned status, bool oem3)
{
	uint64_t flags = 0;
	if (status & STATUS_ARTF)
		flags |= VS_FLAG(ARTIFACT);
	if (status & STATUS_OOT)
		flags |= VS_FLAG(OUT_OF_TRACK);
	if (oem3 && (status & STATUS_SNSD)) /* a sensor that is not plugged in is not on a finger either */
		flags |= VS_FLAG(SENSOR_DISCONNECTED);
	else if (status & STATUS_SNSA)
		flags |= VS_FLAG(SENSOR_OFF);
	return flags;
}

static inline uint64_t packet_flags(const struct layout *l, const uint8_t *packet, bool oem3)
{
	unsigned any = 0, perfusion = 0, stat2 = packet[7 * FRAME_LEN + 3];
	for (unsigned i = 0; i < FRAMES; i++) {
		unsigned status = packet[i * FRAME_LEN + l->status];
		any |= status;
		perfusion |= 1u << ((status & STATUS_PERF) >> 1);
	}
	uint64_t flags = status_flags(any, oem3) | perfusion_flag(perfusion);
	if (stat2 & STAT2_SMARTPOINT)
		flags |= VS_FLAG(SMARTPOINT);
	if (stat2 & STAT2_LOW_BATTERY)
		flags |= VS_FLAG(LOW_BATTERY);
	return flags;
}

static inline enum vs_decoded decode(const struct layout *l, const struct state *s, const uint8_t *packet,
				     struct vs_reading *ret)
{
	uint64_t flags = packet_flags(l, packet, s->oem3);
	/* Reserved bits of the high byte can be 1. */
	unsigned rate = (packet[3] & 3u) << 7 | (packet[FRAME_LEN + 3] & 0x7Fu);
	unsigned spo2 = packet[2 * FRAME_LEN + 3] & 0x7Fu;
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

/* Select format, heard only in the first five seconds of a connection (9560 specification, commands). */
static size_t select_format(const struct layout *l, const struct state *s, enum vs_transmit_why why, uint8_t *buf)
{
	if (!s->select || why != VS_TX_CONNECT)
		return 0;
	memcpy(buf, (const uint8_t[]){ 0x02, 0x70, 0x02, 0x02, l->format, 0x03 }, 6);
	return 6;
}

static int df2_frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	return find_packet(&df2, buf, len);
}

static enum vs_decoded df2_decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	(void)len;
	return decode(&df2, state, frame, ret);
}

static size_t df2_transmit(void *state, enum vs_transmit_why why, uint8_t *buf, size_t cap)
{
	(void)cap;
	return select_format(&df2, state, why, buf);
}

static int df7_frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	return find_packet(&df7, buf, len);
}

static enum vs_decoded df7_decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	(void)len;
	return decode(&df7, state, frame, ret);
}

static size_t df7_transmit(void *state, enum vs_transmit_why why, uint8_t *buf, size_t cap)
{
	(void)cap;
	return select_format(&df7, state, why, buf);
}

static const struct vs_plugin_option options[] = {
	{ "dialect", (const char *const[]){ "9560", "oem3", NULL },
	  "oem3: status bit 6 says that the sensor is unplugged; on other models the bit is reserved" },
	{ "select", (const char *const[]){ "no", "yes", NULL },
	  "yes: ask the device for this format when the line is opened (9560)" },
	{ NULL },
};

#define COMMON                                                                                                         \
	.abi = VS_PLUGIN_ABI, .manual = "Nonin 9560 OEM technical specification; OEM III module: status bit 6",        \
	.line = { 9600, 'N', 8, 1 }, .silence_ms = 3000, .metrics = 1u << VS_SPO2 | 1u << VS_PR, .options = options,   \
	.state_size = sizeof(struct state), .init = init, .checked = true

const struct vs_plugin vs_plugin_nonin_df2 = {
	COMMON,
	.name = "nonin-df2",
	.summary = "Nonin data format 2: SpO2 and pulse rate, three packets a second, checksum",
	.devices = "Nonin OEM III, Xpod, iPod, 9560 set to format 2",
	.tested = "vectors made from the specification; a public test packet",
	.maturity = VS_DOCUMENTED,
	.frame = df2_frame,
	.decode = df2_decode,
	.transmit = df2_transmit,
};

const struct vs_plugin vs_plugin_nonin_df7 = {
	COMMON,
	.name = "nonin-df7",
	.summary = "Nonin data format 7: as format 2 with a 16 bit pleth",
	.devices = "Nonin OEM III, Xpod, 9560 set to format 7",
	.tested = "vectors made from the specification",
	.maturity = VS_DOCUMENTED,
	.frame = df7_frame,
	.decode = df7_decode,
	.transmit = df7_transmit,
};
