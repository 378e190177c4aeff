/* The small grammar of single values: numbers, durations, sizes, names; and the nearest word to a misspelt one.
 * All of them: false (or NULL) where the text is not one; *ret untouched. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A decimal number, `1`, `-0.5`, `1e3`: finite, nothing before or after it.  Needs the numeric locale "C" to be in
 * force in this thread only for the radix character; vs_yaml_load sees to that for files. */
bool vs_word_number(const char *text, double *ret);
/* "130%" -> 1.30 */
bool vs_word_share(const char *text, double *ret);
/* A whole number of the range, decimal or 0x.  "010" is 8 to some readers of YAML and 10 to others: none here. */
bool vs_word_whole(const char *text, uint32_t lowest, uint32_t highest, uint32_t *ret);
/* `200ms`, `1s`, `1.5s`, `5min`, `2h`, or `0`; at most 7 days. */
bool vs_word_duration(const char *text, uint32_t *ret_ms);
/* `8MiB`, `64KiB`, `1GiB`, or bytes. */
bool vs_word_size(const char *text, uint64_t *ret_bytes);
/* How long a record is kept: `6y`, `2555d`, or `keep` (both 0: for ever).  1 day to 200 years. */
bool vs_word_keep(const char *text, uint32_t *ret_years, uint32_t *ret_days);
/* [a-z0-9][a-z0-9-]{0,31}: ids of chairs and devices. */
bool vs_word_id(const char *text);

/* The word of the list (NULL-terminated) that was probably meant, or NULL if none is near. */
const char *vs_nearest(const char *word, const char *const *list);
/* "a, b, c" into buf; what does not fit is cut with "...".  Returns buf. */
const char *vs_word_list(const char *const *list, char *buf, size_t cap);
