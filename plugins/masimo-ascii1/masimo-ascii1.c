/* Masimo ASCII 1: one line of text a second, KEY=VALUE words after date and time.
 *
 * Facts: Rad-8 operator manual, serial output; lines of Rad-8 and Radical-7.  ALARM bits: from users.
 *
 *	02/22/16 22:47:45 SN=0000056661 SPO2=098% BPM=097 PI=03.60% ... ALARM=0000 EXC=000800
 *
 * Models differ in which words there are and in what order, so a line is read by its keys.  A key twice means that two
 * lines ran together. */
#include "core/plugin.h"
#include "plugins/text.h"

#define LINE_MAX_LEN 400
#define SPO2_HIGHEST 100
#define BPM_HIGHEST 300

static const struct {
	uint32_t bit;
	uint64_t flag;
} exc_bits[] = {
	{ 0x001, VS_FLAG(SENSOR_DISCONNECTED) }, /* no sensor */
	{ 0x002, VS_FLAG(PROBE_ERROR) },         /* defective sensor */
	{ 0x004, VS_FLAG(LOW_PERFUSION) },
	{ 0x008, VS_FLAG(SEARCHING) },
	{ 0x010, VS_FLAG(INTERFERENCE) },
	{ 0x020, VS_FLAG(SENSOR_OFF) },
	{ 0x040, VS_FLAG(INTERFERENCE) }, /* ambient light */
	{ 0x080, VS_FLAG(PROBE_ERROR) },  /* unrecognised sensor */
	{ 0x400, VS_FLAG(LOW_SIGNAL) },
}, alarm_bits[] = {
	{ 0x01, VS_FLAG(SPO2_HIGH) },
	{ 0x02, VS_FLAG(SPO2_LOW) },
	{ 0x04, VS_FLAG(PULSE_HIGH) },
	{ 0x08, VS_FLAG(PULSE_LOW) },
	{ 0x10, VS_FLAG(ALARM) },
	{ 0x20, VS_FLAG(ALARM_SILENCED) },
};

struct value {
	unsigned times; /* how often the key stood in the line */
	bool given;     /* a number, not dashes */
	double number;
};

struct line {
	struct value spo2, bpm, pi, alarm, exc;
};

static int frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	return vs_text_frame(buf, len, LINE_MAX_LEN, '\n');
}

/* "098%", "097", "---%": digits or dashes only. */
static bool read_whole(struct vs_text t, struct value *v)
{
	uint32_t number;
	v->given = vs_text_take_digits(&t, 3, 3, &number);
	if (v->given)
		v->number = number;
	else if (!vs_text_take(&t, "---"))
		return false;
	vs_text_take(&t, "%");
	return vs_text_ended(&t);
}

/* "03.60%", "00.55", "--.--%" */
static bool read_hundredths(struct vs_text t, struct value *v)
{
	uint32_t whole, part;
	v->given = vs_text_take_digits(&t, 2, 2, &whole);
	if (!v->given)
		return vs_text_is_all(&t, "-.%");
	if (!vs_text_take(&t, ".") || !vs_text_take_digits(&t, 2, 2, &part))
		return false;
	v->number = whole + part / 100.0;
	vs_text_take(&t, "%");
	return vs_text_ended(&t);
}

static bool read_bits(struct vs_text t, struct value *v)
{
	uint32_t bits;
	v->given = vs_text_take_hex(&t, &bits);
	v->number = v->given ? bits : 0;
	return v->given && vs_text_ended(&t);
}

static bool read_word(struct vs_text word, struct line *l)
{
	static const struct {
		const char *key;
		size_t at;
		bool (*read)(struct vs_text t, struct value *v);
	} keys[] = {
		{ "SPO2=", offsetof(struct line, spo2), read_whole },
		{ "BPM=", offsetof(struct line, bpm), read_whole },
		{ "PI=", offsetof(struct line, pi), read_hundredths },
		{ "ALARM=", offsetof(struct line, alarm), read_bits },
		{ "EXC=", offsetof(struct line, exc), read_bits },
	};
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		struct vs_text t = word;
		struct value *v = (struct value *)((char *)l + keys[i].at);
		if (vs_text_take(&t, keys[i].key))
			return v->times++ == 0 && keys[i].read(t, v);
	}
	return true;
}

static bool is_whole(const struct line *l)
{
	return l->spo2.times && l->bpm.times && l->alarm.times && l->exc.times &&
	       (!l->spo2.given || l->spo2.number <= SPO2_HIGHEST) && (!l->bpm.given || l->bpm.number <= BPM_HIGHEST);
}

static uint64_t line_flags(uint32_t exc, uint32_t alarm)
{
	uint64_t flags = 0;
	for (size_t i = 0; i < sizeof exc_bits / sizeof exc_bits[0]; i++)
		flags |= exc & exc_bits[i].bit ? exc_bits[i].flag : 0;
	for (size_t i = 0; i < sizeof alarm_bits / sizeof alarm_bits[0]; i++)
		flags |= alarm & alarm_bits[i].bit ? alarm_bits[i].flag : 0;
	return flags;
}

static void add(struct vs_reading *ret, enum vs_metric m, const struct value *v, uint64_t flags)
{
	if (v->given)
		vs_reading_add_nonzero(ret, m, v->number, flags);
	else
		vs_reading_add_none(ret, m, flags);
}

static enum vs_decoded decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	(void)state;
	struct vs_text t = vs_text_line(frame, len);
	struct line l = { .spo2.times = 0 };
	if (!vs_text_take_pattern(&t, "99/99/99 99:99:99 "))
		return VS_IGNORED;
	while (!vs_text_ended(&t))
		if (!read_word(vs_text_word(&t, ' '), &l))
			return VS_REJECTED;
	if (!is_whole(&l))
		return VS_REJECTED;
	uint64_t flags = line_flags((uint32_t)l.exc.number, (uint32_t)l.alarm.number);
	add(ret, VS_SPO2, &l.spo2, flags);
	add(ret, VS_PR, &l.bpm, flags);
	if (l.pi.times)
		add(ret, VS_PI, &l.pi, flags);
	return VS_UNIT;
}

const struct vs_plugin vs_plugin_masimo_ascii1 = {
	.abi = VS_PLUGIN_ABI,
	.name = "masimo-ascii1",
	.summary = "Masimo ASCII 1: a line of text a second (choose ASCII 1 in the monitor's menu)",
	.manual = "Masimo Rad-8 operator manual; printed lines of Rad-8 and Radical-7",
	.devices = "Masimo Rad-8, Radical-7 (blue and colour)",
	.tested = "lines of Rad-8 and Radical-7; vectors made from the manual",
	.maturity = VS_RECORDED,
	.line = { 9600, 'N', 8, 1 },
	.silence_ms = 5000,
	.metrics = 1u << VS_SPO2 | 1u << VS_PR | 1u << VS_PI,
	.frame = frame,
	.decode = decode,
};
