/* Writing JSON (RFC 8259) into a bounded buffer: no allocation, commas by itself.
 *
 *	struct vs_json j = vs_json_into(buf, sizeof buf);
 *	vs_json_open(&j, '{');
 *	vs_json_key(&j, "value"), vs_json_number(&j, 97);
 *	vs_json_close(&j, '}');
 *	if (vs_json_failed(&j)) ...   the buffer was too small; what is there is not JSON
 *
 * The text is always NUL-terminated.  Strings that are not UTF-8 have their bad bytes written as U+FFFD. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vs_json {
	char *buf;
	size_t cap, len;
	bool comma, failed;
};

struct vs_json vs_json_into(char *buf, size_t cap);
void vs_json_open(struct vs_json *j, char bracket);  /* '{' or '[' */
void vs_json_close(struct vs_json *j, char bracket); /* '}' or ']' */
void vs_json_key(struct vs_json *j, const char *key);
void vs_json_string(struct vs_json *j, const char *s); /* NULL: null */
void vs_json_member(struct vs_json *j, const char *key, const char *s); /* key and string */
void vs_json_string_n(struct vs_json *j, const char *s, size_t len);
void vs_json_int(struct vs_json *j, int64_t v);
void vs_json_uint(struct vs_json *j, uint64_t v);
/* The shortest text that reads back as the same 12 significant digits; NaN and infinity: null. */
void vs_json_number(struct vs_json *j, double v);
void vs_json_bool(struct vs_json *j, bool v);
void vs_json_null(struct vs_json *j);
/* Text that is JSON already: one value, or members of the object that is open. */
void vs_json_raw(struct vs_json *j, const char *text, size_t len);
/* Wall time, ms since 1970, as RFC 3339 UTC. */
void vs_json_time(struct vs_json *j, int64_t wall_ms);
bool vs_json_failed(const struct vs_json *j);

/* Text of a number as vs_json_number writes it; buf holds at least 32.  Returns its length. */
size_t vs_number_text(double v, char *buf);
/* The number that this text stands for: v with 12 significant digits. */
double vs_number_rounded(double v);
