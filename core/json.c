#include "core/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/timetext.h"

struct vs_json vs_json_into(char *buf, size_t cap)
{
	if (cap)
		buf[0] = '\0';
	return (struct vs_json){ .buf = buf, .cap = cap, .failed = cap == 0 };
}

static void put(struct vs_json *j, const char *s, size_t len)
{
	if (j->failed || len >= j->cap - j->len) {
		j->failed = true;
		return;
	}
	memcpy(j->buf + j->len, s, len);
	j->len += len;
	j->buf[j->len] = '\0';
}

/* Before a value or a key: the comma that separates it from its elder sibling. */
static void separate(struct vs_json *j)
{
	if (j->comma)
		put(j, ",", 1);
	j->comma = true;
}

void vs_json_open(struct vs_json *j, char bracket)
{
	separate(j);
	put(j, &bracket, 1);
	j->comma = false;
}

void vs_json_close(struct vs_json *j, char bracket)
{
	put(j, &bracket, 1);
	j->comma = true;
}

/* Length of the UTF-8 sequence at s (1 to 4), or 0 if it is not one (RFC 3629). */
static size_t utf8_len(const uint8_t *s, size_t left)
{
	static const struct {
		uint8_t first, last, low, high;
		uint8_t len;
	} form[] = {
		{ 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	for (size_t i = 0; i < sizeof form / sizeof *form; i++) {
		if (s[0] < form[i].first || s[0] > form[i].last)
			continue;
		if (form[i].len == 1)
			return 1;
		if (form[i].len > left || s[1] < form[i].low || s[1] > form[i].high)
			return 0;
		for (size_t k = 2; k < form[i].len; k++)
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		return form[i].len;
	}
	return 0;
}

static void put_escaped(struct vs_json *j, uint8_t c)
{
	static const char *const brief[0x20] = {
		['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t"
	};
	char text[8];
	if (c == '"' || c == '\\') {
		char two[2] = { '\\', (char)c };
		put(j, two, 2);
	} else if (c < 0x20 && brief[c]) {
		put(j, brief[c], 2);
	} else {
		int n = snprintf(text, sizeof text, "\\u%04x", c);
		put(j, text, (size_t)n);
	}
}

static void put_string(struct vs_json *j, const char *s, size_t len)
{
	const uint8_t *p = (const uint8_t *)s;
	put(j, "\"", 1);
	for (size_t i = 0; i < len;) {
		size_t run = i;
		while (run < len && p[run] >= 0x20 && p[run] < 0x7f && p[run] != '"' && p[run] != '\\')
			run++;
		put(j, s + i, run - i);
		i = run;
		if (i == len)
			break;
		size_t n = p[i] < 0x80 ? 0 : utf8_len(p + i, len - i);
		if (n)
			put(j, s + i, n);
		else if (p[i] >= 0x80)
			put(j, "\xef\xbf\xbd", 3);
		else
			put_escaped(j, p[i]);
		i += n ? n : 1;
	}
	put(j, "\"", 1);
}

void vs_json_key(struct vs_json *j, const char *key)
{
	separate(j);
	put_string(j, key, strlen(key));
	put(j, ":", 1);
	j->comma = false;
}

void vs_json_string_n(struct vs_json *j, const char *s, size_t len)
{
	separate(j);
	put_string(j, s, len);
}

void vs_json_string(struct vs_json *j, const char *s)
{
	if (s)
		vs_json_string_n(j, s, strlen(s));
	else
		vs_json_null(j);
}

void vs_json_member(struct vs_json *j, const char *key, const char *s)
{
	vs_json_key(j, key);
	vs_json_string(j, s);
}

void vs_json_raw(struct vs_json *j, const char *text, size_t len)
{
	if (len == 0)
		return;
	separate(j);
	put(j, text, len);
}

void vs_json_uint(struct vs_json *j, uint64_t v)
{
	char text[24], *p = text + sizeof text;
	do {
		*--p = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	vs_json_raw(j, p, (size_t)(text + sizeof text - p));
}

void vs_json_int(struct vs_json *j, int64_t v)
{
	if (v >= 0) {
		vs_json_uint(j, (uint64_t)v);
		return;
	}
	char text[24];
	vs_json_raw(j, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)v));
}

/* v as thousandths, where its 12 significant digits say no more than these.  Half of the twelfth digit's unit is at
 * least 5e-13 of v. */
static bool in_thousandths(double v, uint32_t *ret)
{
	if (!(v >= 0.001 && v < 1e6))
		return false;
	*ret = (uint32_t)(v * 1000 + 0.5);
	return fabs(v - (double)*ret / 1000) < 4e-13 * v;
}

double vs_number_rounded(double v)
{
	uint32_t n;
	if (in_thousandths(v, &n))
		return (double)n / 1000; /* what strtod() makes of its digits: both are the nearest to the same fraction */
	char text[32];
	vs_number_text(v, text);
	return strtod(text, NULL);
}

static size_t short_text(uint32_t whole, uint32_t thousandths, char *buf)
{
	char text[16], *p = text + sizeof text, *end = p;
	bool fraction = thousandths > 0;
	for (int i = 0; fraction && i < 3; i++, thousandths /= 10) {
		*--p = (char)('0' + thousandths % 10);
		if (*p == '0' && p + 1 == end)
			end = p;
	}
	if (p < end)
		*--p = '.';
	do {
		*--p = (char)('0' + whole % 10);
		whole /= 10;
	} while (whole);
	memcpy(buf, p, (size_t)(end - p));
	buf[end - p] = '\0';
	return (size_t)(end - p);
}

size_t vs_number_text(double v, char *buf)
{
	/* Most vital signs are small whole numbers or have a decimal, and "%.12g" costs ten times a division. */
	uint32_t n;
	if (v >= 0 && v < 1e6 && v == (double)(uint32_t)v)
		return short_text((uint32_t)v, 0, buf);
	if (in_thousandths(v, &n))
		return short_text(n / 1000, n % 1000, buf);
	if (v == 0)
		v = 0; /* never "-0" */
	return (size_t)snprintf(buf, 32, "%.12g", v);
}

void vs_json_number(struct vs_json *j, double v)
{
	char text[32];
	if (isfinite(v))
		vs_json_raw(j, text, vs_number_text(v, text));
	else
		vs_json_null(j);
}

void vs_json_bool(struct vs_json *j, bool v)
{
	vs_json_raw(j, v ? "true" : "false", v ? 4 : 5);
}

void vs_json_null(struct vs_json *j)
{
	vs_json_raw(j, "null", 4);
}

void vs_json_time(struct vs_json *j, int64_t wall_ms)
{
	char text[VS_TIME_TEXT_CAP];
	vs_json_string_n(j, text, vs_time_text(wall_ms, text));
}

bool vs_json_failed(const struct vs_json *j)
{
	return j->failed;
}
