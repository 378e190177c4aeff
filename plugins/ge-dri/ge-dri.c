/* GE / Datex-Ohmeda record interface (S/5, AS/3, CARESCAPE): all numerics of a monitor in one record.
 *
 * Facts: Datex-Ohmeda record specification 8005313 and computer interface M1017617.
 *
 *	7E | record | sum of the record | 7E       inside, 7E is 7D 5E and 7D is 7D 5D; all numbers little endian
 *	record: 40 bytes of header, then subrecords; header: 0 length, 14 main type (0 numeric), 16 eight times
 *	        (i16 offset from byte 40, u8 type), type FF ends the list
 *	numeric subrecord (type 1 displayed): u32 time, 270 bytes of groups, marker, reserved, u16 with the class in
 *	        bits 8-11; class 0 is the basic one
 *	group: u32 status (bit 0: exists), u16 label, i16 values; values <= -32001 are codes for "none"
 *
 * The cuff's last result stands in every record: it is reported when it is new, and on a noisy line until
 * two records say the same. */
#include "plugins/ge-dri/ge-dri.h"

#include "core/bytes.h"
#include "core/plugin.h"
#include "plugins/nibp.h"

#define FLAG_BYTE 0x7E
#define ESCAPE 0x7D
#define HEADER_LEN 40
#define RECORD_MAX 1490
#define WIRE_MAX (2 * (RECORD_MAX + 1) + 2)
#define SUBRECORDS 8
#define NUMERIC_LEN 278
#define TYPE_DISPLAYED 1

#define GROUP_ECG 0
#define GROUP_NIBP 72
#define GROUP_TEMP1 86
#define GROUP_TEMP2 94
#define GROUP_SPO2 118
#define GROUP_CO2 132

#define LABEL_NIBP_MEASURING 0x0020
#define LABEL_NIBP_OLD 0x0100 /* older than 60 s */

#define CODE_HIGHEST (-32001)
#define CODE_UNDER_RANGE (-32764)
#define CODE_OVER_RANGE (-32763)

#define INTERVAL_S 5 /* the shortest the monitor accepts */

struct state {
	struct vs_nibp_shown shown;
	bool alive; /* displayed values have come since the last poll */
};

static int frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	if (buf[0] != FLAG_BYTE) {
		const uint8_t *next = memchr(buf, FLAG_BYTE, len);
		return next ? -(int)(next - buf) : -(int)len;
	}
	if (len < 2)
		return 0;
	const uint8_t *end = memchr(buf + 1, FLAG_BYTE, (len < WIRE_MAX ? len : WIRE_MAX) - 1);
	if (!end)
		return len < WIRE_MAX ? 0 : -WIRE_MAX;
	return end == buf + 1 ? -1 : (int)(end - buf) + 1; /* two flags: an end, and then a start */
}

/* The record without its escapes and checksum.  Returns its length, 0: damaged. */
static size_t unwrap(const uint8_t *frame, size_t len, uint8_t *record)
{
	size_t n = 0;
	uint8_t sum = 0;
	for (size_t i = 1; i + 1 < len; i++) {
		uint8_t c = frame[i];
		if (c == ESCAPE) {
			if (frame[i + 1] != 0x5E && frame[i + 1] != 0x5D)
				return 0;
			c = frame[++i] | 0x20;
		}
		if (n > RECORD_MAX)
			return 0;
		record[n++] = c;
		sum = (uint8_t)(sum + c);
	}
	if (n < HEADER_LEN + 1 || (uint8_t)(sum - record[n - 1]) != record[n - 1] || vs_le16(record) != n - 1)
		return 0;
	return n - 1;
}

static int16_t at16(const uint8_t *p)
{
	return (int16_t)vs_le16(p);
}

static bool exists(const uint8_t *group)
{
	return group[0] & 1;
}

static void add_none(struct vs_reading *ret, enum vs_metric m, int16_t code, uint64_t flags)
{
	bool range = code == CODE_UNDER_RANGE || code == CODE_OVER_RANGE;
	vs_reading_add_none(ret, m, flags | (range ? VS_FLAG(RANGE) : 0));
}

static void add(struct vs_reading *ret, enum vs_metric m, const uint8_t *value, double scale)
{
	int16_t raw = at16(value);
	if (raw <= CODE_HIGHEST)
		add_none(ret, m, raw, 0);
	else
		vs_reading_add_nonzero(ret, m, raw / scale, 0);
}

/* The monitor's "heart rate" can come from the pleth or a pressure: then it is no ECG rate. */
static bool rate_is_ecg(const uint8_t *group)
{
	unsigned source = vs_le16(group) >> 3 & 15;
	return source == 0 || source == 1 || source == 9;
}

static void add_respiration(struct vs_reading *ret, const uint8_t *value)
{
	int16_t raw = at16(value);
	if (raw <= CODE_HIGHEST)
		add_none(ret, VS_RR, raw, 0);
	else
		vs_reading_add(ret, VS_RR, raw, 0); /* 0 is apnoea */
}

static void add_nibp(struct state *s, const uint8_t *group, struct vs_reading *ret)
{
	unsigned label = vs_le16(group + 4);
	const uint8_t *value = group + 6;
	int16_t sys = at16(value), dia = at16(value + 2), map = at16(value + 4), rate = at16(value + 6);
	struct vs_nibp v = { true, true, sys / 100.0, dia / 100.0, map / 100.0, rate };
	if (label & LABEL_NIBP_MEASURING) {
		s->shown = (struct vs_nibp_shown){ .known = false };
		vs_nibp_add_none(ret, &v, VS_FLAG(MEASURING));
		return;
	}
	if (!vs_nibp_is_new(&s->shown, &v))
		return;
	if (sys <= CODE_HIGHEST || dia <= CODE_HIGHEST || map <= CODE_HIGHEST || rate <= CODE_HIGHEST) {
		add(ret, VS_NIBP_SYS, value, 100);
		add(ret, VS_NIBP_DIA, value + 2, 100);
		add(ret, VS_NIBP_MAP, value + 4, 100);
		add(ret, VS_NIBP_PR, value + 6, 1);
	} else if (label & LABEL_NIBP_OLD && sys > 0 && dia > 0 && map > 0 && rate > 0) {
		vs_reading_add_marked(ret, VS_NIBP_SYS, v.sys, VS_FLAG(STALE));
		vs_reading_add_marked(ret, VS_NIBP_DIA, v.dia, VS_FLAG(STALE));
		vs_reading_add_marked(ret, VS_NIBP_MAP, v.map, VS_FLAG(STALE));
		vs_reading_add_marked(ret, VS_NIBP_PR, v.rate, VS_FLAG(STALE));
	} else {
		vs_nibp_add(ret, &v, label & LABEL_NIBP_OLD ? VS_FLAG(STALE) : 0);
	}
}

static void basic_class(struct state *s, const uint8_t *groups, struct vs_reading *ret)
{
	const uint8_t *ecg = groups + GROUP_ECG, *spo2 = groups + GROUP_SPO2, *co2 = groups + GROUP_CO2;
	if (exists(ecg) && rate_is_ecg(ecg))
		add(ret, VS_HR, ecg + 6, 1);
	if (exists(ecg))
		add_respiration(ret, ecg + 14);
	else if (exists(co2))
		add_respiration(ret, co2 + 10);
	if (exists(spo2)) {
		add(ret, VS_SPO2, spo2 + 6, 100);
		add(ret, VS_PR, spo2 + 8, 1);
	}
	if (exists(groups + GROUP_NIBP))
		add_nibp(s, groups + GROUP_NIBP, ret);
	if (exists(groups + GROUP_TEMP1))
		add(ret, VS_TEMP, groups + GROUP_TEMP1 + 6, 100);
	if (exists(groups + GROUP_TEMP2))
		add(ret, VS_TEMP2, groups + GROUP_TEMP2 + 6, 100);
}

static enum vs_decoded decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	struct state *s = state;
	uint8_t record[RECORD_MAX + 1];
	size_t n = unwrap(frame, len, record);
	enum vs_decoded what = VS_IGNORED;
	if (!n)
		return VS_REJECTED;
	if (at16(record + 14) != 0) /* waves, alarms, network */
		return VS_IGNORED;
	for (unsigned i = 0; i < SUBRECORDS && record[18 + 3 * i] != 0xFF; i++) {
		size_t at = HEADER_LEN + vs_le16(record + 16 + 3 * i);
		if (record[18 + 3 * i] != TYPE_DISPLAYED || at + NUMERIC_LEN > n)
			continue;
		if ((vs_le16(record + at + 276) >> 8 & 15) != 0 || what == VS_UNIT)
			continue;
		basic_class(s, record + at + 4, ret);
		s->alive = true;
		what = VS_UNIT;
	}
	return what;
}

static size_t wrap(const uint8_t *record, size_t len, uint8_t *buf)
{
	size_t n = 0;
	uint8_t sum = 0;
	buf[n++] = FLAG_BYTE;
	for (size_t i = 0; i <= len; i++) {
		uint8_t c = i < len ? record[i] : sum;
		sum = (uint8_t)(sum + c);
		if (c == FLAG_BYTE || c == ESCAPE) {
			buf[n++] = ESCAPE;
			c &= (uint8_t)~0x20;
		}
		buf[n++] = c;
	}
	buf[n++] = FLAG_BYTE;
	return n;
}

size_t vs_ge_dri_request(enum vs_ge_dri_kind kind, int interval_s, uint32_t classes, uint8_t *buf)
{
	uint8_t record[HEADER_LEN + 9] = { sizeof record };
	record[21] = 0xFF; /* one subrecord, of type 0 at offset 0 */
	record[19] = record[20] = 0;
	uint8_t *data = record + HEADER_LEN;
	data[0] = (uint8_t)kind;
	data[1] = (uint8_t)interval_s;
	data[2] = (uint8_t)(interval_s >> 8);
	data[3] = (uint8_t)classes;
	data[4] = (uint8_t)(classes >> 8);
	data[5] = (uint8_t)(classes >> 16);
	data[6] = (uint8_t)(classes >> 24);
	return wrap(record, sizeof record, buf);
}

static size_t transmit(void *state, enum vs_transmit_why why, uint8_t *buf, size_t cap)
{
	struct state *s = state;
	bool was_alive = s->alive;
	(void)cap;
	if (why == VS_TX_POLL)
		s->alive = false;
	else if (why != VS_TX_CONNECT)
		return 0;
	if (why == VS_TX_POLL && was_alive)
		return 0;
	return vs_ge_dri_request(VS_GE_DRI_DISPLAYED, INTERVAL_S, 0, buf);
}

static void again(void *state, bool wanted)
{
	((struct state *)state)->shown.again = wanted;
}

const struct vs_plugin vs_plugin_ge_dri = {
	.abi = VS_PLUGIN_ABI,
	.name = "ge-dri",
	.summary = "GE / Datex-Ohmeda record interface: all numerics of a monitor every 5 s, checksum",
	.manual = "Datex-Ohmeda record specification 8005313, computer interface M1017617",
	.devices = "S/5, AS/3, CARESCAPE B850/B650/B450, B40/B30/B20, B1x5 (115200 baud from software 3)",
	.tested = "the specification's own examples; vectors made from it",
	.maturity = VS_DOCUMENTED,
	.checked = true,
	.line = { 19200, 'E', 8, 1 },
	.silence_ms = 3 * INTERVAL_S * 1000,
	.poll_ms = 2 * INTERVAL_S * 1000,
	.metrics = 1u << VS_HR | 1u << VS_RR | 1u << VS_SPO2 | 1u << VS_PR | 1u << VS_NIBP_SYS | 1u << VS_NIBP_DIA |
		   1u << VS_NIBP_MAP | 1u << VS_NIBP_PR | 1u << VS_TEMP | 1u << VS_TEMP2,
	.state_size = sizeof(struct state),
	.frame = frame,
	.decode = decode,
	.transmit = transmit,
	.again = again,
};
