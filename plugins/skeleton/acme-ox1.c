/* Acme OX-1, an oximeter that exists on paper only: the plugin to copy.
 *
 * Facts: write here which document the facts are from, with its section.
 *
 *	OX1,097,072,0*31 CR LF       once a second
 *	    SpO2, pulse rate (--- where there is none), status, checksum
 *	    status: bit 0 no finger, bit 1 sensor unplugged, bit 2 low battery
 *	    checksum: all characters before the star, XORed, two hex digits */
#include "core/plugin.h"
#include "plugins/text.h"

#define LINE_MAX_LEN 40

/* Where does a frame end?  For lines of text there is a ready answer. */
static int frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	return vs_text_frame(buf, len, LINE_MAX_LEN, '\n');
}

static bool is_sound(struct vs_text t)
{
	uint8_t sum = 0;
	uint32_t said;
	while (t.at < t.end && *t.at != '*')
		sum ^= (uint8_t)*t.at++;
	return vs_text_take(&t, "*") && vs_text_take_hex(&t, &said) && vs_text_ended(&t) && said == sum;
}

/* Three digits, or three dashes: then there is no value, and no number is invented for it. */
static bool take_value(struct vs_text *t, enum vs_metric m, uint64_t flags, struct vs_reading *ret)
{
	uint32_t value;
	if (vs_text_take_digits(t, 3, 3, &value))
		vs_reading_add_nonzero(ret, m, value, flags);
	else if (vs_text_take(t, "---"))
		vs_reading_add_none(ret, m, flags);
	else
		return false;
	return vs_text_take(t, ",");
}

static uint64_t status_flags(uint32_t status)
{
	return (status & 1 ? VS_FLAG(SENSOR_OFF) : 0) | (status & 2 ? VS_FLAG(SENSOR_DISCONNECTED) : 0) |
	       (status & 4 ? VS_FLAG(LOW_BATTERY) : 0);
}

/* What does a frame say?  Beside sensor_off or sensor_disconnected core makes "no value" of any number. */
static enum vs_decoded decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	(void)state;
	struct vs_text t = vs_text_line(frame, len), tail = t;
	uint32_t status;
	if (!vs_text_take(&t, "OX1,"))
		return VS_IGNORED; /* another line of text */
	if (!is_sound(tail))
		return VS_REJECTED;
	tail = t;
	vs_text_word(&tail, ','); /* the status stands behind the values, and its flags belong to them */
	vs_text_word(&tail, ',');
	if (!vs_text_take_digits(&tail, 1, 1, &status))
		return VS_REJECTED;
	if (!take_value(&t, VS_SPO2, status_flags(status), ret) || !take_value(&t, VS_PR, status_flags(status), ret))
		return VS_REJECTED;
	return VS_UNIT;
}

static const struct vs_plugin acme_ox1 = {
	.abi = VS_PLUGIN_ABI,
	.name = "acme-ox1", /* the file is acme-ox1.so */
	.summary = "Acme OX-1: a line of text a second, checksum",
	.manual = "none: it exists on paper only",
	.devices = "Acme OX-1",
	.tested = "its own samples",
	.maturity = VS_DOCUMENTED,
	.checked = true,
	.line = { 9600, 'N', 8, 1 },
	.silence_ms = 5000,
	.metrics = 1u << VS_SPO2 | 1u << VS_PR,
	.frame = frame,
	.decode = decode,
};

const struct vs_plugin *vs_plugin_export(void);
const struct vs_plugin *vs_plugin_export(void)
{
	return &acme_ox1;
}
