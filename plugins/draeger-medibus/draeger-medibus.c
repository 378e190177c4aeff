/* Draeger Medibus: text frames with a checksum; either side may ask, and each answers with an echo.
 *
 * Facts: the vendor's Medibus protocol definition and its worked examples.
 *
 *	command  1B | code | [argument] | two hex digits | 0D
 *	reply    01 | echo of the code | [data] | two hex digits | 0D        the digits are the sum of all before them
 *	data     two hex digits of a code and four characters of value, again and again: "EB" " 98 " "E1" " 70 "
 *
 * Something must be sent every 3 s: the question for data does that. */
#include "core/plugin.h"
#include "plugins/text.h"

#define COMMAND 0x1B
#define REPLY 0x01
#define END '\r'
#define FRAME_MAX 512
#define CODE_ICC 0x51  /* initialise communication */
#define CODE_DATA 0x24 /* measured data, page 1 */
#define ITEM_LEN 6
#define SILENT_POLLS_MAX 5

struct state {
	unsigned silent_polls; /* since the device was last heard */
	uint8_t owed;          /* code of a command of the device that waits for its echo */
};

static int frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	if (buf[0] != REPLY && buf[0] != COMMAND)
		return -1;
	for (size_t i = 1; i < len && i < FRAME_MAX; i++) {
		if (buf[i] == END)
			return (int)i + 1;
		if (buf[i] == REPLY || buf[i] == COMMAND || buf[i] >= 0x80)
			return -(int)i;
	}
	return len < FRAME_MAX ? 0 : -1;
}

/* Start, code, two digits and the end at least. */
static bool is_sound(const uint8_t *frame, size_t len)
{
	uint8_t sum = 0;
	uint32_t said;
	if (len < 5)
		return false;
	for (size_t i = 0; i < len - 3; i++)
		sum = (uint8_t)(sum + frame[i]);
	struct vs_text digits = { (const char *)frame + len - 3, (const char *)frame + len - 1 };
	return vs_text_take_hex(&digits, &said) && vs_text_ended(&digits) && said == sum;
}

/* " 98 " is 98; what is no number is no value. */
static void add(struct vs_reading *ret, enum vs_metric m, struct vs_text value)
{
	uint32_t number;
	while (vs_text_take(&value, " "))
		;
	if (vs_text_take_digits(&value, 1, 4, &number) && (vs_text_ended(&value) || vs_text_is_all(&value, " ")))
		vs_reading_add_nonzero(ret, m, number, 0);
	else
		vs_reading_add_none(ret, m, 0);
}

static enum vs_decoded measured(struct vs_text data, struct vs_reading *ret)
{
	if (vs_text_ended(&data) || (data.end - data.at) % ITEM_LEN != 0)
		return VS_IGNORED;
	for (; data.at < data.end; data.at += ITEM_LEN) {
		struct vs_text code = { data.at, data.at + 2 }, value = { data.at + 2, data.at + ITEM_LEN };
		if (vs_text_is(&code, "EB") && !vs_reading_find(ret, VS_SPO2))
			add(ret, VS_SPO2, value);
		else if (vs_text_is(&code, "E1") && !vs_reading_find(ret, VS_PR))
			add(ret, VS_PR, value);
	}
	return VS_UNIT;
}

static enum vs_decoded decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	struct state *s = state;
	if (!is_sound(frame, len))
		return VS_REJECTED;
	s->silent_polls = 0;
	if (frame[0] == COMMAND) {
		s->owed = frame[1];
		return VS_IGNORED;
	}
	if (frame[1] != CODE_DATA)
		return VS_IGNORED;
	return measured((struct vs_text){ (const char *)frame + 2, (const char *)frame + len - 3 }, ret);
}

static size_t put(uint8_t *buf, uint8_t start, uint8_t code)
{
	static const char hex[] = "0123456789ABCDEF";
	uint8_t sum = (uint8_t)(start + code);
	memcpy(buf, (const uint8_t[]){ start, code, (uint8_t)hex[sum >> 4], (uint8_t)hex[sum & 15], END }, 5);
	return 5;
}

static size_t transmit(void *state, enum vs_transmit_why why, uint8_t *buf, size_t cap)
{
	struct state *s = state;
	uint8_t owed = s->owed;
	(void)cap;
	switch (why) {
	case VS_TX_CONNECT:
		return put(buf, COMMAND, CODE_ICC);
	case VS_TX_POLL:
		if (s->silent_polls++ < SILENT_POLLS_MAX)
			return put(buf, COMMAND, CODE_DATA);
		s->silent_polls = 0;
		return put(buf, COMMAND, CODE_ICC);
	case VS_TX_REPLY:
		s->owed = 0;
		return owed ? put(buf, REPLY, owed) : 0;
	default:
		return 0;
	}
}

const struct vs_plugin vs_plugin_draeger_medibus = {
	.abi = VS_PLUGIN_ABI,
	.name = "draeger-medibus",
	.summary = "Draeger Medibus: SpO2 and pulse rate of devices that have them, checksum",
	.manual = "Draeger Medibus protocol definition",
	.devices = "Draeger devices with Medibus and an oximeter (set the line in the device's menu)",
	.tested = "the definition's own examples; vectors made from it",
	.maturity = VS_DOCUMENTED,
	.checked = true,
	.line = { 19200, 'E', 8, 1 },
	.silence_ms = 12000,
	.poll_ms = 1000,
	.metrics = 1u << VS_SPO2 | 1u << VS_PR,
	.state_size = sizeof(struct state),
	.frame = frame,
	.decode = decode,
	.transmit = transmit,
};
