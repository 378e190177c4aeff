/* Berry PM6750 multi-parameter board: silent until its streams are switched on.
 *
 * Facts: the vendor's reference host; frame descriptions that quote the vendor manual by page.
 *
 *	55 AA | N | type | data ... | sum      N counts from itself to sum; sum = NOT of the sum of N, type and data
 *
 *	02  state, heart rate, respiration rate [, ST, rhythm]      bit 0 weak signal, bit 1 lead off
 *	03  state, cuff / 2, systolic, MEAN, DIASTOLIC              bits 5-2 what the cuff does
 *	04  state, SpO2, pulse rate
 *	05  state, T1 whole, T1 tenth, T2 whole, T2 tenth
 *
 * The last cuff result is shown twice a second for ever: it is reported once.  A cuff is inflated by VS_TX_NIBP only. */
#include "core/plugin.h"
#include "plugins/nibp.h"

#define N_MIN 3
#define N_MAX 64
#define SPO2_MISSING 127
#define RATE_MISSING 255

enum cuff { CUFF_FINISHED = 0, CUFF_MEASURING = 1, CUFF_ERROR_FIRST = 3, CUFF_ERROR_LAST = 8 };

struct state {
	struct vs_nibp_shown shown;
	bool alive; /* something was heard since the last poll */
};

static int frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	if (buf[0] != 0x55) {
		const uint8_t *next = memchr(buf, 0x55, len);
		return next ? -(int)(next - buf) : -(int)len;
	}
	if (len < 3)
		return len < 2 || buf[1] == 0xAA ? 0 : -1;
	if (buf[1] != 0xAA || buf[2] < N_MIN || buf[2] > N_MAX)
		return -1;
	return len < buf[2] + 2u ? 0 : buf[2] + 2;
}

static bool is_sound(const uint8_t *frame, size_t len)
{
	uint8_t sum = 0;
	for (size_t i = 2; i + 1 < len; i++)
		sum = (uint8_t)(sum + frame[i]);
	return sum + frame[len - 1] == 0xFF; /* a byte and its complement */
}

static enum vs_decoded ecg(const uint8_t *d, struct vs_reading *ret)
{
	uint64_t flags = (d[0] & 0x01 ? VS_FLAG(LOW_SIGNAL) : 0) | (d[0] & 0x02 ? VS_FLAG(LEAD_OFF) : 0);
	vs_reading_add_nonzero(ret, VS_HR, d[1], flags);
	vs_reading_add_nonzero(ret, VS_RR, d[2], flags);
	return VS_UNIT;
}

static enum vs_decoded cuff(struct state *s, const uint8_t *d, struct vs_reading *ret)
{
	struct vs_nibp v = { true, false, d[2], d[4], d[3], 0 };
	unsigned doing = d[0] >> 2 & 15, pressure = d[1] * 2u;
	if (doing == CUFF_MEASURING) {
		s->shown = (struct vs_nibp_shown){ .known = false };
		vs_reading_add_marked(ret, VS_CUFF_PRESSURE, pressure, VS_FLAG(MEASURING));
		return VS_UNIT;
	}
	if (doing >= CUFF_ERROR_FIRST && doing <= CUFF_ERROR_LAST) {
		vs_nibp_add_error(ret, &v, 0, (uint16_t)doing);
		return VS_UNIT;
	}
	vs_reading_add(ret, VS_CUFF_PRESSURE, pressure, 0);
	/* Finished with zeros: nothing was measured yet. */
	if (doing == CUFF_FINISHED && d[2] && d[3] && d[4] && vs_nibp_is_new(&s->shown, &v))
		vs_nibp_add(ret, &v, 0);
	return VS_UNIT;
}

static enum vs_decoded oximeter(const uint8_t *d, struct vs_reading *ret)
{
	static const uint64_t states[] = { 0, VS_FLAG(SENSOR_DISCONNECTED), VS_FLAG(SENSOR_OFF), VS_FLAG(SEARCHING),
					   VS_FLAG(SEARCH_TIMEOUT) };
	uint64_t flags = d[0] < sizeof states / sizeof states[0] ? states[d[0]] : 0;
	if (d[2] == RATE_MISSING)
		vs_reading_add_none(ret, VS_PR, flags);
	else
		vs_reading_add_nonzero(ret, VS_PR, d[2], flags);
	if (d[1] == SPO2_MISSING)
		vs_reading_add_none(ret, VS_SPO2, flags);
	else
		vs_reading_add_nonzero(ret, VS_SPO2, d[1], flags);
	return VS_UNIT;
}

static enum vs_decoded temperature(const uint8_t *d, struct vs_reading *ret)
{
	uint64_t first = d[0] & 1 ? VS_FLAG(SENSOR_DISCONNECTED) : 0;
	uint64_t second = d[0] & 2 ? VS_FLAG(SENSOR_DISCONNECTED) : 0;
	vs_reading_add_nonzero(ret, VS_TEMP, (d[1] * 10 + d[2]) / 10.0, first);
	if (second || d[3] || d[4]) /* zeros: there is no second probe */
		vs_reading_add_nonzero(ret, VS_TEMP2, (d[3] * 10 + d[4]) / 10.0, second);
	return VS_UNIT;
}

static enum vs_decoded decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	struct state *s = state;
	const uint8_t *data = frame + 4;
	size_t n = len - 5;
	if (!is_sound(frame, len))
		return VS_REJECTED;
	s->alive = true;
	if (frame[3] == 0x02 && n >= 3)
		return ecg(data, ret);
	if (frame[3] == 0x03 && n >= 5)
		return cuff(s, data, ret);
	if (frame[3] == 0x04 && n >= 3)
		return oximeter(data, ret);
	if (frame[3] == 0x05 && n >= 5)
		return temperature(data, ret);
	return VS_IGNORED;
}

static size_t command(uint8_t *buf, uint8_t what, uint8_t value)
{
	memcpy(buf, (const uint8_t[]){ 0x55, 0xAA, 4, what, value, (uint8_t)~(4 + what + value) }, 6);
	return 6;
}

/* Configure first, then enable: adult cuff; ECG, SpO2 and temperature on; waves off, nobody here draws them. */
static size_t set_up(uint8_t *buf)
{
	static const uint8_t steps[][2] = { { 0x09, 1 }, { 0xFE, 0 }, { 0xFF, 0 }, { 0x01, 1 }, { 0x03, 1 },
					    { 0x04, 1 } };
	size_t len = 0;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
		len += command(buf + len, steps[i][0], steps[i][1]);
	return len;
}

static size_t transmit(void *state, enum vs_transmit_why why, uint8_t *buf, size_t cap)
{
	struct state *s = state;
	bool was_alive = s->alive;
	(void)cap;
	switch (why) {
	case VS_TX_CONNECT:
		return set_up(buf);
	case VS_TX_POLL:
		s->alive = false;
		return was_alive ? 0 : set_up(buf); /* switched on, or off and on, since */
	case VS_TX_NIBP:
		return command(buf, 0x02, 1);
	case VS_TX_NIBP_STOP:
		return command(buf, 0x02, 0);
	default:
		return 0;
	}
}

static void again(void *state, bool wanted)
{
	((struct state *)state)->shown.again = wanted;
}

const struct vs_plugin vs_plugin_berry_pm6750 = {
	.abi = VS_PLUGIN_ABI,
	.name = "berry-pm6750",
	.summary = "Berry PM6750 board: ECG rate, respiration, SpO2, cuff, temperature; checksum",
	.manual = "the vendor's reference host; frame descriptions that quote the vendor manual",
	.devices = "Berry PM6750 and small monitors built on it",
	.tested = "vectors made from the descriptions",
	.maturity = VS_DOCUMENTED,
	.checked = true,
	.line = { 115200, 'N', 8, 1 },
	.silence_ms = 5000,
	.poll_ms = 3000,
	.metrics = 1u << VS_HR | 1u << VS_RR | 1u << VS_SPO2 | 1u << VS_PR | 1u << VS_NIBP_SYS | 1u << VS_NIBP_DIA |
		   1u << VS_NIBP_MAP | 1u << VS_CUFF_PRESSURE | 1u << VS_TEMP | 1u << VS_TEMP2,
	.state_size = sizeof(struct state),
	.frame = frame,
	.decode = decode,
	.transmit = transmit,
	.again = again,
};
