/* Wall time as people and auditors read it: RFC 3339, UTC, milliseconds ("2026-11-21T22:21:39.512Z").
 * Plain calendar arithmetic (proleptic Gregorian, no leap seconds, as POSIX counts): no clock, no time zone data. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VS_TIME_TEXT_CAP 32

/* Writes the text of ms since 1970-01-01T00:00:00Z (years 0000 to 9999; others are clamped).  Returns its length. */
size_t vs_time_text(int64_t wall_ms, char buf[VS_TIME_TEXT_CAP]);

/* Reads an RFC 3339 time with any offset; fractions beyond milliseconds are cut.  False: not one; *ret untouched. */
bool vs_time_parse(const char *text, int64_t *ret_wall_ms);
