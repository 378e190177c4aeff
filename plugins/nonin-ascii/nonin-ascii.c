/* Nonin printer lines: one line of text a second.
 *
 * Facts: operator manuals of Avant 4000/4100, 9600 and 8600V, serial output.
 *
 *	SPO2=097 HR=072          missing: ---; a * marks an event; one more letter may follow
 *	12:34:56 SPO2=097 HR=072 the memory of the 8600, printed later */
#include "core/plugin.h"
#include "plugins/text.h"

#define LINE_MAX_LEN 80

static int frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	return vs_text_frame(buf, len, LINE_MAX_LEN, '\n');
}

/* Three digits, or three dashes. */
static bool take_value(struct vs_text *t, bool *given, uint32_t *value)
{
	*given = vs_text_take_digits(t, 3, 3, value);
	return *given || vs_text_take(t, "---");
}

static void add(struct vs_reading *ret, enum vs_metric m, bool given, uint32_t value, uint64_t flags)
{
	if (given)
		vs_reading_add_nonzero(ret, m, value, flags);
	else
		vs_reading_add_none(ret, m, flags);
}

static bool take_tail(struct vs_text *t)
{
	while (!vs_text_ended(t) && (*t->at == '*' || *t->at == ' '))
		t->at++;
	vs_text_take_pattern(t, "A");
	return vs_text_ended(t);
}

static enum vs_decoded decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	(void)state;
	struct vs_text t = vs_text_line(frame, len);
	bool has_spo2, has_rate;
	uint32_t spo2 = 0, rate = 0;
	uint64_t flags = vs_text_take_pattern(&t, "99:99:99 ") ? VS_FLAG(FROM_MEMORY) : 0;
	if (!vs_text_take(&t, "SPO2="))
		return VS_IGNORED;
	if (!take_value(&t, &has_spo2, &spo2) || !vs_text_take(&t, " HR=") || !take_value(&t, &has_rate, &rate) ||
	    !take_tail(&t))
		return VS_REJECTED;
	add(ret, VS_PR, has_rate, rate, flags);
	add(ret, VS_SPO2, has_spo2, spo2, flags);
	return VS_UNIT;
}

const struct vs_plugin vs_plugin_nonin_ascii = {
	.abi = VS_PLUGIN_ABI,
	.name = "nonin-ascii",
	.summary = "Nonin printer output: a line of text a second",
	.manual = "operator manuals of Avant 4000/4100, 9600 and 8600V",
	.devices = "Nonin Avant 4000/4100, 9600 (two stop bits), 8600V",
	.tested = "vectors made from the manuals",
	.maturity = VS_DOCUMENTED,
	.line = { 9600, 'N', 8, 1 },
	.silence_ms = 5000,
	.metrics = 1u << VS_SPO2 | 1u << VS_PR,
	.frame = frame,
	.decode = decode,
};
