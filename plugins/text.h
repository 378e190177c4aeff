/* Reading lines of text that devices print: finding the line, then taking it apart from left to right.
 *
 * A cursor never passes the end of its line.  Every take_… moves it only when it returns true. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vs_text {
	const char *at, *end;
};

/* A vs_plugin.frame for lines that end with `eol` and are at most max long: printable text only.  Anything else (NUL
 * bytes before a line, bytes of another device, wrong line settings) starts no line. */
int vs_text_frame(const uint8_t *buf, size_t len, size_t max, char eol);
/* The line without its line end and the blanks before that. */
struct vs_text vs_text_line(const uint8_t *frame, size_t len);

/* Exactly this text. */
bool vs_text_take(struct vs_text *t, const char *word);
/* A number of min to max digits and no more; value < 10^9. */
bool vs_text_take_digits(struct vs_text *t, unsigned min, unsigned max, uint32_t *ret);
/* A hexadecimal number of 1 to 8 digits. */
bool vs_text_take_hex(struct vs_text *t, uint32_t *ret);
/* Digits by a pattern, where 9 is any digit, A any letter, and everything else itself: "99/99/99 99:99:99". */
bool vs_text_take_pattern(struct vs_text *t, const char *pattern);
/* Up to the next blank (or separator); the word may be empty only before a separator that is no blank. */
struct vs_text vs_text_word(struct vs_text *t, char separator);
bool vs_text_is(const struct vs_text *t, const char *word);
/* Only these characters, at least one. */
bool vs_text_is_all(const struct vs_text *t, const char *set);

static inline bool vs_text_ended(const struct vs_text *t)
{
	return t->at == t->end;
}
