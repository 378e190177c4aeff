#include "plugins/text.h"

#include <string.h>

static bool is_text(uint8_t c)
{
	return (c >= 0x20 && c < 0x7F) || c == '\r' || c == '\n' || c == '\t';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int vs_text_frame(const uint8_t *buf, size_t len, size_t max, char eol)
{
	size_t end = len < max ? len : max;
	for (size_t i = 0; i < end; i++) {
		if (!is_text(buf[i]))
			return -(int)(i + 1);
		if (buf[i] == (uint8_t)eol)
			return (int)(i + 1);
	}
	return len < max ? 0 : -(int)max;
}

struct vs_text vs_text_line(const uint8_t *frame, size_t len)
{
	while (len && (frame[len - 1] == '\r' || frame[len - 1] == '\n' || frame[len - 1] == ' '))
		len--;
	return (struct vs_text){ (const char *)frame, (const char *)frame + len };
}

bool vs_text_take(struct vs_text *t, const char *word)
{
	size_t n = strlen(word);
	if ((size_t)(t->end - t->at) < n || memcmp(t->at, word, n) != 0)
		return false;
	t->at += n;
	return true;
}

bool vs_text_take_digits(struct vs_text *t, unsigned min, unsigned max, uint32_t *ret)
{
	uint32_t value = 0;
	unsigned n = 0;
	for (; t->at + n < t->end && is_digit(t->at[n]); n++) {
		if (n == max)
			return false;
		value = value * 10 + (uint32_t)(t->at[n] - '0');
	}
	if (n < min)
		return false;
	t->at += n;
	*ret = value;
	return true;
}

bool vs_text_take_hex(struct vs_text *t, uint32_t *ret)
{
	static const char digits[] = "0123456789ABCDEFabcdef";
	uint32_t value = 0;
	size_t n = 0;
	for (; t->at + n < t->end; n++) {
		const char *d = memchr(digits, t->at[n], sizeof digits - 1);
		if (!d)
			break;
		if (n == 8)
			return false;
		value = value << 4 | (uint32_t)(d - digits < 16 ? d - digits : d - digits - 6);
	}
	if (!n)
		return false;
	t->at += n;
	*ret = value;
	return true;
}

static bool fits(char c, char pattern)
{
	if (pattern == '9')
		return is_digit(c);
	if (pattern == 'A')
		return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
	return c == pattern;
}

bool vs_text_take_pattern(struct vs_text *t, const char *pattern)
{
	size_t n = strlen(pattern);
	if ((size_t)(t->end - t->at) < n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!fits(t->at[i], pattern[i]))
			return false;
	t->at += n;
	return true;
}

struct vs_text vs_text_word(struct vs_text *t, char separator)
{
	while (separator == ' ' && t->at < t->end && *t->at == ' ')
		t->at++;
	const char *end = memchr(t->at, separator, (size_t)(t->end - t->at));
	struct vs_text word = { t->at, end ? end : t->end };
	t->at = end ? end + 1 : t->end;
	return word;
}

bool vs_text_is(const struct vs_text *t, const char *word)
{
	size_t n = strlen(word);
	return (size_t)(t->end - t->at) == n && memcmp(t->at, word, n) == 0;
}

bool vs_text_is_all(const struct vs_text *t, const char *set)
{
	for (const char *c = t->at; c < t->end; c++)
		if (!strchr(set, *c))
			return false;
	return t->at < t->end;
}
