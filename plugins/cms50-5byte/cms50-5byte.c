/* The five-byte oximeter stream: older Contec CMS50 and, with other meanings of three bits, Berry and BCI modules.
 *
 * Facts: Contec protocol V5.0A; Berry "BCI protocol V1.2".
 *
 *	        bit 6         bit 5                    bit 4                       bits 3-0
 *	byte 1  beep          Contec: SpO2 falls       Contec: searching too long  signal strength
 *	                      Berry: probe unplugged   Berry: no signal
 *	byte 2  pleth, bits 6-0
 *	byte 3  rate bit 7    searching                Contec: probe error         bar graph
 *	                                               Berry: no finger
 *	byte 4  rate, bits 6-0
 *	byte 5  SpO2
 *
 * Bit 7 is 1 in byte 1 only; there is no checksum, so this rhythm is all that guards the values. */
#include "core/plugin.h"

#define PACKET_LEN 5
#define START 0x80
#define RATE_MISSING 255
#define SPO2_MISSING 127

struct state {
	bool berry;
};

static int init(void *state, const struct vs_plugin_setting *settings)
{
	((struct state *)state)->berry = vs_plugin_is_set(settings, "dialect", "berry");
	return 0;
}

static int frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	if (!(buf[0] & START)) {
		size_t n = 1;
		while (n < len && !(buf[n] & START))
			n++;
		return -(int)n;
	}
	for (size_t i = 1; i < PACKET_LEN; i++) {
		if (i == len)
			return 0;
		if (buf[i] & START) /* a packet that was cut: the next one starts here */
			return -(int)i;
	}
	return PACKET_LEN;
}

static uint64_t packet_flags(const uint8_t *p, bool berry)
{
	uint64_t flags = p[2] & 0x20 ? VS_FLAG(SEARCHING) : 0;
	if (p[0] & 0x10)
		flags |= berry ? VS_FLAG(NO_SIGNAL) : VS_FLAG(SEARCH_TIMEOUT);
	if (p[0] & 0x20)
		flags |= berry ? VS_FLAG(SENSOR_DISCONNECTED) : VS_FLAG(SPO2_DROP);
	if (p[2] & 0x10)
		flags |= berry ? VS_FLAG(SENSOR_OFF) : VS_FLAG(PROBE_ERROR);
	return flags;
}

static enum vs_decoded decode(void *state, const uint8_t *p, size_t len, struct vs_reading *ret)
{
	(void)len;
	uint64_t flags = packet_flags(p, ((struct state *)state)->berry);
	unsigned rate = (p[2] & 0x40u) << 1 | p[3];
	if (rate == RATE_MISSING)
		vs_reading_add_none(ret, VS_PR, flags);
	else /* Contec sends zeros where the document has codes */
		vs_reading_add_nonzero(ret, VS_PR, rate, flags);
	if (p[4] == SPO2_MISSING)
		vs_reading_add_none(ret, VS_SPO2, flags);
	else
		vs_reading_add_nonzero(ret, VS_SPO2, p[4], flags);
	return VS_UNIT;
}

static const struct vs_plugin_option options[] = {
	{ "dialect", (const char *const[]){ "contec", "berry", NULL },
	  "who made it: byte 1 bit 5 is 'saturation falls' for Contec and 'probe unplugged' for Berry" },
	{ NULL },
};

const struct vs_plugin vs_plugin_cms50_5byte = {
	.abi = VS_PLUGIN_ABI,
	.name = "cms50-5byte",
	.summary = "five-byte oximeter stream, 60 or 100 packets a second, no checksum",
	.manual = "Contec protocol V5.0A; Berry BCI protocol V1.2",
	.devices = "Contec CMS50D+ before firmware 4.6, CMS50E; Berry and BCI modules (dialect berry)",
	.tested = "vectors made from the documents",
	.maturity = VS_DOCUMENTED,
	.line = { 19200, 'O', 8, 1 },
	.silence_ms = 3000,
	.metrics = 1u << VS_SPO2 | 1u << VS_PR,
	.options = options,
	.state_size = sizeof(struct state),
	.init = init,
	.frame = frame,
	.decode = decode,
};
