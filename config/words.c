#include "config/words.h"

#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

bool vs_word_number(const char *text, double *ret)
{
	char *end;
	size_t n = strspn(text, "+-.0123456789eE");
	if (!n || text[n] || !strpbrk(text, "0123456789"))
		return false;
	double v = strtod(text, &end);
	if (*end || !isfinite(v))
		return false;
	*ret = v;
	return true;
}

bool vs_word_share(const char *text, double *ret)
{
	char number[24];
	double percent;
	size_t n = strlen(text);
	if (n < 2 || n > sizeof number || text[n - 1] != '%')
		return false;
	memcpy(number, text, n - 1);
	number[n - 1] = '\0';
	if (!vs_word_number(number, &percent) || percent < 0)
		return false;
	*ret = percent / 100;
	return true;
}

bool vs_word_whole(const char *s, uint32_t lowest, uint32_t highest, uint32_t *ret)
{
	bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
	const char *digits = hex ? s + 2 : s;
	size_t n = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
	if (!n || digits[n] || n > 10 || (!hex && n > 1 && *digits == '0'))
		return false;
	unsigned long v = strtoul(digits, NULL, hex ? 16 : 10);
	if (v < lowest || v > highest)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* Digits, at most one point and some more digits, then a unit; as `digits * 1000` of the unit, exactly. */
static const char *thousandths(const char *text, uint64_t *ret)
{
	size_t n = strspn(text, "0123456789");
	if (!n || n > 9)
		return NULL;
	uint64_t v = strtoull(text, NULL, 10) * 1000;
	text += n;
	if (*text == '.') {
		size_t places = strspn(++text, "0123456789");
		if (!places || places > 3)
			return NULL;
		uint64_t worth = 100;
		for (size_t i = 0; i < places; i++, worth /= 10)
			v += (uint64_t)(text[i] - '0') * worth;
		text += places;
	}
	*ret = v;
	return text;
}

bool vs_word_duration(const char *text, uint32_t *ret_ms)
{
	static const struct {
		const char *name;
		uint32_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "min", 60000 }, { "h", 3600000 } };
	uint64_t v;
	const char *unit = thousandths(text, &v);
	if (!unit)
		return false;
	if (!*unit && !v) {
		*ret_ms = 0;
		return true;
	}
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (strcmp(unit, units[i].name) || v > UINT64_C(7) * 24 * 3600000 * 1000 / units[i].ms ||
		    v * units[i].ms % 1000)
			continue;
		*ret_ms = (uint32_t)(v * units[i].ms / 1000);
		return true;
	}
	return false;
}

bool vs_word_size(const char *text, uint64_t *ret_bytes)
{
	static const struct {
		const char *name;
		uint64_t bytes;
	} units[] = { { "", 1 }, { "B", 1 }, { "KiB", 1 << 10 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 } };
	size_t n = strspn(text, "0123456789");
	if (!n || n > 10)
		return false;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (!strcmp(text + n, units[i].name)) {
			*ret_bytes = strtoull(text, NULL, 10) * units[i].bytes;
			return true;
		}
	return false;
}

bool vs_word_keep(const char *text, uint32_t *ret_years, uint32_t *ret_days)
{
	char number[8];
	uint32_t v = 0;
	size_t n = strspn(text, "0123456789");
	bool years = !strcmp(text + n, "y"), keep = !strcmp(text, "keep");
	if (!keep && (!n || n >= sizeof number || (!years && strcmp(text + n, "d") != 0)))
		return false;
	memcpy(number, text, keep ? 0 : n);
	number[keep ? 0 : n] = '\0';
	if (!keep && !vs_word_whole(number, 1, years ? 200 : 73000, &v))
		return false;
	*ret_years = years ? v : 0;
	*ret_days = years ? 0 : v;
	return true;
}

bool vs_word_id(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return n && n <= 32 && !text[n] && *text != '-';
}

#define NEAR_MAX 40

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* Levenshtein's distance of two words of at most NEAR_MAX bytes. */
static unsigned distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned row[NEAR_MAX + 1];
	for (size_t j = 0; j <= nb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned above = row[j];
			row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[nb];
}

const char *vs_nearest(const char *word, const char *const *list)
{
	const char *best = NULL;
	size_t len = strlen(word);
	unsigned best_distance = len < 4 ? 2 : 3; /* one or two slips, not another word */
	if (len > NEAR_MAX)
		return NULL;
	for (; *list; list++) {
		size_t n = strlen(*list);
		unsigned d = n > NEAR_MAX ? UINT32_MAX : distance(word, len, *list, n);
		if (d < best_distance && d < n) {
			best = *list;
			best_distance = d;
		}
	}
	return best;
}

const char *vs_word_list(const char *const *list, char *buf, size_t cap)
{
	size_t n = 0;
	buf[0] = '\0';
	for (bool first = true; *list; list++, first = false) {
		size_t more = strlen(*list) + (first ? 0 : 2);
		if (n + more + 5 > cap) {
			strcpy(buf + n, " ...");
			break;
		}
		n += (size_t)sprintf(buf + n, "%s%s", first ? "" : ", ", *list);
	}
	return buf;
}
