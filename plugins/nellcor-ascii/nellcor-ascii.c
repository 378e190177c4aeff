/* Nellcor real-time printout: a line of text every two seconds.
 *
 * Facts: data port appendices of the NPB-290/295 and N-395 manuals; printouts of the N-560.
 *
 *	29-Dec-17 07:18:57    89*     66     201    MO SL
 *	date and time         SpO2    rate   pulse  up to four status codes
 *	                                     amplitude
 *
 * A star stands behind a value outside the monitor's limits.  Columns move between models: split on blanks.  Three
 * header lines come at the start and after every 25 lines; menus and memory dumps can stand between. */
#include "core/plugin.h"
#include "plugins/text.h"

#define LINE_MAX_LEN 160
#define AMPLITUDE_HIGHEST 254
#define CODES_MAX 4

static const struct {
	const char *code;
	uint64_t flags;
} codes[] = {
	{ "AO", VS_FLAG(ALARM_OFF) },
	{ "AS", VS_FLAG(ALARM_SILENCED) },
	{ "BU", 0 }, /* on battery */
	{ "LB", VS_FLAG(LOW_BATTERY) },
	{ "LM", VS_FLAG(LOSS_OF_PULSE) | VS_FLAG(INTERFERENCE) },
	{ "LP", VS_FLAG(LOSS_OF_PULSE) },
	{ "MO", VS_FLAG(MOTION) },
	{ "PH", VS_FLAG(PULSE_HIGH) },
	{ "PL", VS_FLAG(PULSE_LOW) },
	{ "PS", VS_FLAG(SEARCHING) },
	{ "SD", VS_FLAG(SENSOR_DISCONNECTED) },
	{ "SH", VS_FLAG(SPO2_HIGH) }, /* saturation above its limit */
	{ "SL", VS_FLAG(SPO2_LOW) },
	{ "SO", VS_FLAG(SENSOR_OFF) },
};

struct value {
	bool given, star;
	uint32_t number;
};

static int frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	return vs_text_frame(buf, len, LINE_MAX_LEN, '\n');
}

static bool read_value(struct vs_text t, struct value *v)
{
	v->given = vs_text_take_digits(&t, 1, 3, &v->number);
	v->star = v->given && vs_text_take(&t, "*");
	return (v->given || vs_text_take(&t, "---")) && vs_text_ended(&t);
}

/* False: the word is no status code.  An unknown code says nothing. */
static bool read_code(struct vs_text word, uint64_t *flags)
{
	struct vs_text t = word;
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (vs_text_is(&word, codes[i].code)) {
			*flags |= codes[i].flags;
			return true;
		}
	return vs_text_take_pattern(&t, "AA") && vs_text_ended(&t);
}

static bool read_codes(struct vs_text t, uint64_t *flags)
{
	for (unsigned n = 0;; n++) {
		struct vs_text word = vs_text_word(&t, ' ');
		if (vs_text_ended(&word))
			return true;
		if (n == CODES_MAX || !read_code(word, flags))
			return false;
	}
}

/* During a pulse search the monitor prints zeros, but it can also search beside real numbers: those stand. */
static void add(struct vs_reading *ret, enum vs_metric m, const struct value *v, uint64_t flags)
{
	uint64_t all = flags | (v->star ? VS_FLAG(OUT_OF_LIMITS) : 0);
	bool voided = flags & vs_flags_voiding() & ~VS_FLAG(SEARCHING);
	if (!v->given || voided || (v->number == 0 && m != VS_PULSE_AMPLITUDE))
		vs_reading_add_none(ret, m, all);
	else
		vs_reading_add_marked(ret, m, v->number, all);
}

static enum vs_decoded decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	(void)state;
	struct vs_text t = vs_text_line(frame, len);
	struct value spo2, rate, amplitude;
	uint64_t flags = 0;
	if (!vs_text_take_pattern(&t, "99-AAA-99 99:99:99 "))
		return VS_IGNORED;
	if (!read_value(vs_text_word(&t, ' '), &spo2) || !read_value(vs_text_word(&t, ' '), &rate) ||
	    !read_value(vs_text_word(&t, ' '), &amplitude) || !read_codes(t, &flags))
		return VS_REJECTED;
	if (amplitude.given && amplitude.number > AMPLITUDE_HIGHEST)
		return VS_REJECTED;
	add(ret, VS_SPO2, &spo2, flags);
	add(ret, VS_PR, &rate, flags);
	add(ret, VS_PULSE_AMPLITUDE, &amplitude, flags);
	return VS_UNIT;
}

const struct vs_plugin vs_plugin_nellcor_ascii = {
	.abi = VS_PLUGIN_ABI,
	.name = "nellcor-ascii",
	.summary = "Nellcor real-time printout: a line of text every two seconds",
	.manual = "Nellcor NPB-290/295 and N-395 manuals, data port",
	.devices = "Nellcor N-560, N-595, NPB-290/295, N-395; by their manuals N-600x and PM1000N",
	.tested = "printouts of an N-560, not kept in the tree; vectors made from the manuals",
	.maturity = VS_RECORDED,
	.line = { 9600, 'N', 8, 1 },
	.silence_ms = 10000,
	.metrics = 1u << VS_SPO2 | 1u << VS_PR | 1u << VS_PULSE_AMPLITUDE,
	.frame = frame,
	.decode = decode,
};
