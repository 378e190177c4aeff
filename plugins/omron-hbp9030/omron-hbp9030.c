/* Omron HBP-9030 / HBP-9031C and HBP-9020: a line of text after each measurement, one line format a plugin.
 *
 * Facts: Omron manual 2873643-0F, page 20 (format 5); sample lines of an HBP-9020 and an HBP-9030 (format 4).
 *
 *	format 5   2026,07,11,09,05,ID(20),0,120,080,072,0            CR LF, exactly 53 characters
 *	           date and time            error, sys, dia, pulse, movements
 *	bp line    bp,ID(20),2026/07/11,09:05,120,090,080,072,0       CR LF or CR
 *	           sys, MEAN, dia, pulse, movements
 *
 * The patient's id is skipped by its place and never leaves this file. */
#include "core/plugin.h"
#include "plugins/nibp.h"
#include "plugins/text.h"

#define LINE_MAX_LEN 120
#define FMT5_LEN 53
#define ID_LEN 20

struct result {
	uint32_t error, sys, dia, map, rate, movements;
	bool given;
};

static bool skip(struct vs_text *t, size_t n)
{
	if ((size_t)(t->end - t->at) < n)
		return false;
	t->at += n;
	return true;
}

static bool is_date(uint32_t year, uint32_t month, uint32_t day)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] + (uint32_t)(leap && month == 2);
}

/* Year, month, day, hour and minute with these separators between them. */
static bool take_time(struct vs_text *t, const char *date, const char *between, const char *time)
{
	uint32_t year, month, day, hour, minute;
	return vs_text_take_digits(t, 4, 4, &year) && vs_text_take(t, date) && vs_text_take_digits(t, 2, 2, &month) &&
	       vs_text_take(t, date) && vs_text_take_digits(t, 2, 2, &day) && vs_text_take(t, between) &&
	       vs_text_take_digits(t, 2, 2, &hour) && vs_text_take(t, time) &&
	       vs_text_take_digits(t, 2, 2, &minute) && is_date(year, month, day) && hour < 24 && minute < 60;
}

/* ",120", or three blanks where there is no result. */
static bool take_value(struct vs_text *t, uint32_t *value, bool *given)
{
	if (!vs_text_take(t, ","))
		return false;
	if (vs_text_take_digits(t, 3, 3, value))
		return true;
	*given = false;
	return vs_text_take(t, "   ");
}

static void add(const struct result *r, bool has_map, struct vs_reading *ret)
{
	struct vs_nibp v = { has_map, true, r->sys, r->dia, r->map, r->rate };
	uint64_t flags = r->movements ? VS_FLAG(MOTION) : 0;
	if (r->error)
		vs_nibp_add_error(ret, &v, flags, (uint16_t)r->error);
	else if (!r->given)
		vs_nibp_add_none(ret, &v, flags);
	else
		vs_nibp_add(ret, &v, flags);
}

static int fmt5_frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	return vs_text_frame(buf, len, LINE_MAX_LEN, '\n');
}

static bool read_fmt5(struct vs_text t, struct result *r)
{
	*r = (struct result){ .given = true };
	return take_time(&t, ",", ",", ",") && vs_text_take(&t, ",") && skip(&t, ID_LEN) && vs_text_take(&t, ",") &&
	       vs_text_take_digits(&t, 1, 1, &r->error) && take_value(&t, &r->sys, &r->given) &&
	       take_value(&t, &r->dia, &r->given) && take_value(&t, &r->rate, &r->given) && vs_text_take(&t, ",") &&
	       vs_text_take_digits(&t, 1, 1, &r->movements) && vs_text_ended(&t);
}

/* What the monitor can measure, by its manual; outside it the line was damaged. */
static bool in_range(const struct result *r)
{
	return r->sys >= 60 && r->sys <= 260 && r->dia >= 30 && r->dia <= 215 && r->rate >= 40 && r->rate <= 180;
}

static enum vs_decoded fmt5_decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	(void)state;
	struct vs_text t = { (const char *)frame, (const char *)frame + len }, head = t;
	struct result r;
	if (!vs_text_take_pattern(&head, "9999,99,99,"))
		return VS_IGNORED; /* another line format, or the end of a line */
	if (len != FMT5_LEN + 2 || frame[FMT5_LEN] != '\r')
		return VS_REJECTED;
	t.end -= 2;
	if (!read_fmt5(t, &r) || (!r.error && (!r.given || !in_range(&r))))
		return VS_REJECTED;
	add(&r, false, ret);
	return VS_UNIT;
}

static int bp_frame(void *state, const uint8_t *buf, size_t len)
{
	(void)state;
	if (buf[0] == '\n')
		return 1;
	return vs_text_frame(buf, len, LINE_MAX_LEN, '\r');
}

static bool read_bp(struct vs_text t, struct result *r)
{
	*r = (struct result){ .given = true };
	return vs_text_take(&t, "bp,") && skip(&t, ID_LEN) && vs_text_take(&t, ",") &&
	       take_time(&t, "/", ",", ":") && take_value(&t, &r->sys, &r->given) &&
	       take_value(&t, &r->map, &r->given) && take_value(&t, &r->dia, &r->given) &&
	       take_value(&t, &r->rate, &r->given) && vs_text_take(&t, ",") &&
	       vs_text_take_digits(&t, 1, 3, &r->movements) && vs_text_ended(&t);
}

static enum vs_decoded bp_decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	(void)state;
	struct vs_text t = vs_text_line(frame, len), head = t;
	struct result r;
	if (!vs_text_take(&head, "bp,"))
		return VS_IGNORED;
	if (!read_bp(t, &r))
		return VS_REJECTED;
	add(&r, true, ret);
	return VS_UNIT;
}

#define COMMON                                                                                                         \
	.abi = VS_PLUGIN_ABI, .line = { 9600, 'N', 8, 1 }, .maturity = VS_DOCUMENTED, .identifies = true,              \
	.spot = true, .silence_ms = 3600 * 1000 /* a line comes when somebody has measured */

const struct vs_plugin vs_plugin_omron_hbp9030_fmt5 = {
	COMMON,
	.name = "omron-hbp9030-fmt5",
	.summary = "Omron HBP-9030 output format 5: a line after each measurement (set item 32 to 5)",
	.manual = "Omron manual 2873643-0F, page 20",
	.devices = "Omron HBP-9030, HBP-9031C (USB serial)",
	.tested = "vectors made from the manual",
	.metrics = 1u << VS_NIBP_SYS | 1u << VS_NIBP_DIA | 1u << VS_NIBP_PR,
	.frame = fmt5_frame,
	.decode = fmt5_decode,
};

const struct vs_plugin vs_plugin_omron_bp_line = {
	COMMON,
	.name = "omron-bp-line",
	.summary = "Omron \"bp,\" lines: a line after each measurement (order systolic, mean, diastolic)",
	.manual = "sample lines of HBP-9020 (mode 5 F3) and HBP-9030 (format 4)",
	.devices = "Omron HBP-9020, HBP-9030 set to format 4",
	.tested = "vectors made from the sample lines",
	.metrics = 1u << VS_NIBP_SYS | 1u << VS_NIBP_DIA | 1u << VS_NIBP_MAP | 1u << VS_NIBP_PR,
	.frame = bp_frame,
	.decode = bp_decode,
};
