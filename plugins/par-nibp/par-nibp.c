/* PAR Medizintechnik NIBP2010 / NIBP2020 UP and clones (UTECH UN300C): cuff, and an oximeter on the combi board.
 *
 * Facts: the manufacturer's protocol document (revisions 2.12 and 2.14) as four independent hosts read it.
 *
 *	STX text ETX CR        STX 02, ETX 03; FD and FE on a board with the SpO2 option; a clone leaves out the CR
 *	035C0S3                pressure in the cuff while measuring, no checksum
 *	999                    end of the measurement: ask for the result
 *	S1;A0;C03;M00;P125080090;R075;T0005;;40
 *	                       state, adult/neonate, cycle, message, sys dia mean, rate, time to go, checksum
 *	55 AA 07 idx status SpO2 rate PI sum          the oximeter; sum is the plain sum from the 07 on
 *
 * Checksum of the result: sum from the S to the second ; of ;;, two hex digits.  (The D2 printed in the manual's example
 * is a misprint for 40.)  Beside an error, and while measuring, the pressures are those of the measurement before. */
#include "core/plugin.h"
#include "plugins/nibp.h"
#include "plugins/text.h"

#define STX 0x02
#define ETX 0x03
#define STX_COMBI 0xFD
#define ETX_COMBI 0xFE
#define TEXT_MAX 64
#define SPO2_LEN 9
#define SPO2_MISSING 0x7F
#define RATE_MISSING 0xFF
#define ASK_AGAIN_POLLS 2
#define ASK_MAX 5

struct state {
	bool combi;       /* the board has the SpO2 option: other frame marks, oximeter frames between */
	bool want_result; /* 999 has come, the result has not */
	unsigned polls, asked;
};

static int init(void *state, const struct vs_plugin_setting *settings)
{
	((struct state *)state)->combi = vs_plugin_is_set(settings, "spo2", "yes");
	return 0;
}

static int find_spo2(const uint8_t *buf, size_t len)
{
	static const uint8_t head[] = { 0x55, 0xAA, 0x07 };
	for (size_t i = 0; i < sizeof head && i < len; i++)
		if (buf[i] != head[i])
			return -1;
	return len < SPO2_LEN ? 0 : SPO2_LEN;
}

static int find_text(const uint8_t *buf, size_t len)
{
	uint8_t end = buf[0] == STX ? ETX : ETX_COMBI;
	for (size_t i = 1; i < len && i < TEXT_MAX; i++) {
		if (buf[i] == end)
			return (int)i + 1;
		if (buf[i] < 0x20 || buf[i] > 0x7E) /* cut: what stands here may start the next frame */
			return -(int)i;
	}
	return len < TEXT_MAX ? 0 : -1;
}

static int nibp_frame(void *state, const uint8_t *buf, size_t len)
{
	const struct state *s = state;
	if (buf[0] == '\r' || buf[0] == '\n')
		return 1;
	if (buf[0] == STX || buf[0] == STX_COMBI)
		return find_text(buf, len);
	return s->combi && buf[0] == 0x55 ? find_spo2(buf, len) : -1;
}

/* Sum of all characters from the S up to the second of two ';' in a row; the two digits follow. */
static bool is_sound(struct vs_text t)
{
	uint8_t sum = 0;
	uint32_t said;
	for (char before = 0; t.at < t.end; before = *t.at++) {
		sum = (uint8_t)(sum + (uint8_t)*t.at);
		if (*t.at == ';' && before == ';') {
			t.at++;
			return t.end - t.at == 2 && vs_text_take_hex(&t, &said) && said == sum;
		}
	}
	return false;
}

/* True: so many digits, or (given = false) dashes or blanks in their place. */
static bool take_number(struct vs_text *t, unsigned digits, uint32_t *number, bool *given)
{
	if (t->end - t->at < (ptrdiff_t)digits)
		return false;
	struct vs_text field = { t->at, t->at + digits };
	*number = 0;
	*given = vs_text_take_digits(&field, digits, digits, number);
	if (!*given && !vs_text_is_all(&field, "- "))
		return false;
	t->at += digits;
	return true;
}

struct number {
	uint32_t value;
	bool given;
};

struct result {
	struct number state, neonatal, cycle, message, sys, dia, map, rate, wait;
};

static bool read_result(struct vs_text t, struct result *r)
{
	const struct {
		const char *before;
		unsigned digits;
		struct number *number;
	} fields[] = {
		{ "S", 1, &r->state },    { ";A", 1, &r->neonatal }, { ";C", 2, &r->cycle },
		{ ";M", 2, &r->message }, { ";P", 3, &r->sys },      { "", 3, &r->dia },
		{ "", 3, &r->map },       { ";R", 3, &r->rate },     { ";T", 4, &r->wait },
	};
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (!vs_text_take(&t, fields[i].before) ||
		    !take_number(&t, fields[i].digits, &fields[i].number->value, &fields[i].number->given))
			return false;
	return vs_text_take(&t, ";;");
}

/* States 3, 4, 7, 8 and 9: measuring, manometer, leak test, inflating, holding. */
static bool is_busy(uint32_t state)
{
	return state == 3 || state == 4 || state >= 7;
}

static void add_result(const struct result *r, struct vs_reading *ret)
{
	struct vs_nibp v = { true, true, r->sys.value, r->dia.value, r->map.value, r->rate.value };
	uint64_t flags = r->neonatal.value == 1 ? VS_FLAG(NEONATAL) : 0;
	bool fine = r->message.value == 0 || r->message.value == 3; /* messages 00 and 03 */
	if (!fine || r->state.value == 2)
		vs_nibp_add_error(ret, &v, flags, (uint16_t)r->message.value);
	else if (is_busy(r->state.value))
		vs_nibp_add_none(ret, &v, flags | VS_FLAG(MEASURING));
	else if (!r->sys.given || !r->dia.given || !r->map.given)
		vs_nibp_add_none(ret, &v, flags);
	else if (r->state.value == 1 || r->state.value == 6) /* standby, or waiting in a cycle */
		vs_nibp_add(ret, &v, flags);
	else
		vs_nibp_add_none(ret, &v, flags | VS_FLAG(NO_MEASUREMENT));
}

static enum vs_decoded decode_text(struct state *s, struct vs_text t, struct vs_reading *ret)
{
	struct vs_text live = t;
	struct result r;
	uint32_t pressure;
	if (vs_text_is(&t, "999")) {
		*s = (struct state){ .combi = s->combi, .want_result = true };
		vs_reading_add_word(ret, VS_NIBP_EVENT, "done");
		return VS_UNIT;
	}
	if (vs_text_take_digits(&live, 3, 3, &pressure) && vs_text_take_pattern(&live, "C9S9") &&
	    vs_text_ended(&live)) {
		vs_reading_add_marked(ret, VS_CUFF_PRESSURE, pressure, VS_FLAG(MEASURING));
		return VS_UNIT;
	}
	if (!is_sound(t) || !read_result(t, &r))
		return VS_REJECTED;
	s->want_result = false;
	add_result(&r, ret);
	return VS_UNIT;
}

static enum vs_decoded spo2_decode(void *state, const uint8_t *f, size_t len, struct vs_reading *ret)
{
	(void)state;
	uint8_t sum = 0;
	for (size_t i = 2; i + 1 < len; i++)
		sum = (uint8_t)(sum + f[i]);
	if (sum != f[len - 1])
		return VS_REJECTED;
	uint64_t flags = (f[4] & 0x04 ? VS_FLAG(LOSS_OF_PULSE) : 0) | (f[4] & 0x08 ? VS_FLAG(SEARCHING) : 0) |
			 (f[4] & 0x10 ? VS_FLAG(LOW_SIGNAL) : 0);
	if (f[4] & 0x01) /* a sensor that is off the board is on no finger either */
		flags |= VS_FLAG(SENSOR_DISCONNECTED);
	else if (f[4] & 0x02)
		flags |= VS_FLAG(SENSOR_OFF);
	if (f[6] == RATE_MISSING)
		vs_reading_add_none(ret, VS_PR, flags);
	else
		vs_reading_add_nonzero(ret, VS_PR, f[6], flags);
	if (f[5] == SPO2_MISSING)
		vs_reading_add_none(ret, VS_SPO2, flags);
	else
		vs_reading_add_nonzero(ret, VS_SPO2, f[5], flags);
	return VS_UNIT;
}

static enum vs_decoded nibp_decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	if (len == 1) /* the CR behind a frame */
		return VS_IGNORED;
	if (frame[0] == 0x55)
		return spo2_decode(state, frame, len, ret);
	return decode_text(state, (struct vs_text){ (const char *)frame + 1, (const char *)frame + len - 1 }, ret);
}

static int spo2_frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	return find_spo2(buf, len);
}

/* A host command: two digits, ';;' and the sum of all four. */
static size_t command(const struct state *s, uint8_t *buf, const char *code)
{
	static const char hex[] = "0123456789ABCDEF";
	uint8_t sum = (uint8_t)(code[0] + code[1] + 2 * ';');
	const uint8_t bytes[] = {
		s->combi ? STX_COMBI : STX, (uint8_t)code[0], (uint8_t)code[1],   ';', ';',
		(uint8_t)hex[sum >> 4],     (uint8_t)hex[sum & 15], s->combi ? ETX_COMBI : ETX, '\r',
	};
	size_t len = sizeof bytes - !s->combi;
	memcpy(buf, bytes, len);
	return len;
}

/* The result, after 999: again every second until it has come, five times at most. */
static size_t ask_result(struct state *s, uint8_t *buf)
{
	if (!s->want_result || s->polls++ % ASK_AGAIN_POLLS != 0)
		return 0;
	if (s->asked++ < ASK_MAX)
		return command(s, buf, "18");
	s->want_result = false;
	return 0;
}

static size_t transmit(void *state, enum vs_transmit_why why, uint8_t *buf, size_t cap)
{
	struct state *s = state;
	size_t len = 0;
	(void)cap;
	switch (why) {
	case VS_TX_CONNECT:
		return command(s, buf, "24"); /* adult */
	case VS_TX_POLL:
		return ask_result(s, buf);
	case VS_TX_NIBP:
		return command(s, buf, "01");
	case VS_TX_NIBP_STOP:
		buf[len++] = 'X';
		return len + command(s, buf + len, "03"); /* and no cycle goes on */
	default:
		return 0;
	}
}

static const struct vs_plugin_option options[] = {
	{ "spo2", (const char *const[]){ "no", "yes", NULL },
	  "yes: the board has the SpO2 option switched on (frames stand between FD and FE)" },
	{ NULL },
};

/* Code 18 sends the last result as often as it is asked for. */
static void again(void *state, bool wanted)
{
	struct state *s = state;
	s->want_result = wanted;
	s->polls = s->asked = 0;
}

const struct vs_plugin vs_plugin_par_nibp = {
	.abi = VS_PLUGIN_ABI,
	.name = "par-nibp",
	.summary = "PAR NIBP2010/2020 cuff board: starts on request, live cuff pressure, result with checksum",
	.manual = "PAR serial protocol, revisions 2.12 and 2.14, as independent hosts read it",
	.devices = "PAR Medizintechnik NIBP2010, NIBP2020 UP; UTECH UN300C",
	.tested = "the manual's example; vectors made from the document",
	.maturity = VS_DOCUMENTED,
	.line = { 4800, 'N', 8, 1 },
	.silence_ms = 3600 * 1000, /* it speaks only while it measures */
	.poll_ms = 500,
	.metrics = 1u << VS_NIBP_SYS | 1u << VS_NIBP_DIA | 1u << VS_NIBP_MAP | 1u << VS_NIBP_PR |
		   1u << VS_CUFF_PRESSURE | 1u << VS_NIBP_EVENT | 1u << VS_SPO2 | 1u << VS_PR,
	.options = options,
	.state_size = sizeof(struct state),
	.init = init,
	.frame = nibp_frame,
	.decode = nibp_decode,
	.transmit = transmit,
	.again = again,
};

const struct vs_plugin vs_plugin_par_spo2 = {
	.abi = VS_PLUGIN_ABI,
	.name = "par-spo2",
	.summary = "the oximeter frames of the PAR combi board alone, checksum",
	.manual = "frames of a bench test; the meaning of status bits 2 to 4 from one host",
	.devices = "PAR NIBP2020 UP with SpO2 option",
	.tested = "one frame of a real board, not kept in the tree; vectors made from the notes",
	.maturity = VS_RECORDED,
	.checked = true,
	.line = { 4800, 'N', 8, 1 },
	.silence_ms = 5000,
	.metrics = 1u << VS_SPO2 | 1u << VS_PR,
	.frame = spo2_frame,
	.decode = spo2_decode,
};
