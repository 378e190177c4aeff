/* SunTech OEM / Advantage blood pressure modules: asked, they answer; "done" comes by itself.
 *
 * Facts: frames annotated by the vendor, and the bytes that public hosts agree on.
 *
 *	host -> module   3A | command ... | checksum
 *	module -> host   3E | length of the whole frame, 4 to 0x43 | data | checksum
 *
 * The sum of all bytes, checksum included, is 0 modulo 256.  A result counts only with error 0 and status 1; numbers
 * beside an error are those of the measurement before.
 *
 * Nothing inflates a cuff but VS_TX_NIBP.  While a measurement runs the cuff pressure is asked for every poll; when ten
 * polls bring no answer the measurement is aborted. */
#include "core/bytes.h"
#include "core/plugin.h"
#include "plugins/nibp.h"

#define START 0x3E
#define LEN_MIN 4
#define LEN_MAX 0x43
#define LEN_STATUS 4
#define LEN_CUFF 5
#define LEN_RESULT 0x18
#define STATUS_GOOD 1

#define POLL_MS 500
#define SILENT_POLLS_MAX 10 /* 5 s without a cuff pressure */

struct state {
	bool measuring, done, want_result; /* done: asked for the result at once, want_result: and until it comes */
	unsigned silent_polls;
};

static const struct {
	uint8_t letter;
	const char *word;
} statuses[] = {
	{ 'O', "ack" },      { 'K', "done" },  { 'A', "aborted" }, { 'B', "busy" },
	{ 'N', "rejected" }, { 'E', "error" }, { 'S', "sleep" },
};

static int frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	if (buf[0] != START) {
		const uint8_t *next = memchr(buf, START, len);
		return next ? -(int)(next - buf) : -(int)len;
	}
	if (len < 2)
		return 0;
	if (buf[1] < LEN_MIN || buf[1] > LEN_MAX)
		return -1;
	return len < buf[1] ? 0 : buf[1];
}

static bool is_sound(const uint8_t *frame, size_t len)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + frame[i]);
	return sum == 0;
}

static enum vs_decoded status(struct state *s, uint8_t letter, struct vs_reading *ret)
{
	if (letter == 'K') {
		*s = (struct state){ .done = true, .want_result = true };
	}
	if (letter == 'A' || letter == 'S')
		s->measuring = false;
	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
		if (statuses[i].letter == letter) {
			vs_reading_add_word(ret, VS_NIBP_EVENT, statuses[i].word);
			return VS_UNIT;
		}
	return VS_IGNORED;
}

static enum vs_decoded result(struct state *s, const uint8_t *f, struct vs_reading *ret)
{
	struct vs_nibp v = { true, true, vs_le16(f + 2), vs_le16(f + 4), vs_le16(f + 18), f[16] };
	s->want_result = false;
	if (f[20])
		vs_nibp_add_error(ret, &v, 0, f[20]);
	else if (f[7] != STATUS_GOOD)
		vs_nibp_add_none(ret, &v, VS_FLAG(NO_MEASUREMENT));
	else
		vs_nibp_add(ret, &v, 0);
	return VS_UNIT;
}

static enum vs_decoded decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	struct state *s = state;
	if (!is_sound(frame, len))
		return VS_REJECTED;
	switch (len) {
	case LEN_STATUS:
		return status(s, frame[2], ret);
	case LEN_CUFF:
		s->silent_polls = 0;
		vs_reading_add(ret, VS_CUFF_PRESSURE, vs_le16(frame + 2), 0);
		return VS_UNIT;
	case LEN_RESULT:
		return result(s, frame, ret);
	default:
		return VS_IGNORED;
	}
}

static size_t command(uint8_t *buf, const uint8_t *bytes, size_t len)
{
	uint8_t sum = 0x3A;
	buf[0] = 0x3A;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + (buf[i + 1] = bytes[i]));
	buf[len + 1] = (uint8_t)(0x100 - sum);
	return len + 2;
}

static const uint8_t start_adult[] = { 0x20 }, get_cuff[] = { 0x79, 0x05, 0x00 }, get_result[] = { 0x79, 0x03, 0x00 },
		     abort_measurement[] = { 0x79, 0x01, 0x00 };

static size_t poll(struct state *s, uint8_t *buf)
{
	if (!s->measuring && !s->want_result)
		return 0;
	if (s->silent_polls++ < SILENT_POLLS_MAX)
		return s->measuring ? command(buf, get_cuff, sizeof get_cuff) :
				      command(buf, get_result, sizeof get_result);
	s->want_result = false;
	if (!s->measuring)
		return 0;
	s->measuring = false;
	return command(buf, abort_measurement, sizeof abort_measurement);
}

static size_t transmit(void *state, enum vs_transmit_why why, uint8_t *buf, size_t cap)
{
	struct state *s = state;
	(void)cap;
	switch (why) {
	case VS_TX_NIBP:
		*s = (struct state){ .measuring = true };
		return command(buf, start_adult, sizeof start_adult);
	case VS_TX_NIBP_STOP:
		s->measuring = false;
		return command(buf, abort_measurement, sizeof abort_measurement);
	case VS_TX_REPLY:
		if (!s->done)
			return 0;
		s->done = false;
		return command(buf, get_result, sizeof get_result);
	case VS_TX_POLL:
		return poll(s, buf);
	default:
		return 0;
	}
}

/* The module keeps its result: it is asked for as after "done". */
static void again(void *state, bool wanted)
{
	struct state *s = state;
	s->done = s->want_result = wanted;
	s->silent_polls = 0;
}

const struct vs_plugin vs_plugin_suntech_nibp = {
	.abi = VS_PLUGIN_ABI,
	.name = "suntech-nibp",
	.summary = "SunTech cuff module: starts on request, cuff pressure while measuring, result, checksum",
	.manual = "vendor-annotated frames; bytes that several public hosts agree on",
	.devices = "SunTech OEM and Advantage NIBP modules",
	.tested = "vectors made from the annotated frames",
	.maturity = VS_DOCUMENTED,
	.checked = true,
	.line = { 9600, 'N', 8, 1 },
	.silence_ms = 3600 * 1000, /* it speaks only when a measurement is asked for */
	.poll_ms = POLL_MS,
	.metrics = 1u << VS_NIBP_SYS | 1u << VS_NIBP_DIA | 1u << VS_NIBP_MAP | 1u << VS_NIBP_PR |
		   1u << VS_CUFF_PRESSURE | 1u << VS_NIBP_EVENT,
	.state_size = sizeof(struct state),
	.frame = frame,
	.decode = decode,
	.transmit = transmit,
	.again = again,
};
