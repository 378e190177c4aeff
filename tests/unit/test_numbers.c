/* Numbers as text, on the short way and on the long: the short way may cost less, and nothing else. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "core/json.h"
#include "record/seal.h"

static const struct {
	double v;
	const char *why;
} samples[] = {
	{ 0, "nothing" },
	{ -0.0, "never -0" },
	{ 36.6, "a temperature" },
	{ 366 * 0.1, "as a register with a scale gives it" },
	{ 3 * 0.1, "which is not 0.3 in the last bit" },
	{ 36.06, "a zero behind the point" },
	{ 36.006, "two of them" },
	{ 0.001, "the least of the short way" },
	{ 0.0009999, "just less" },
	{ 0.01, "only zeros before the digit" },
	{ 999999.999, "the most of the short way" },
	{ 999999.9999, "rounds up out of it" },
	{ 1e6, "just more" },
	{ 0.9999999999996, "twelve digits say 1" },
	{ 0.999999999999, "twelve digits say it all" },
	{ 12.34500000001, "thousandths do not say it all" },
	{ 12.345000000001, "below what twelve digits show" },
	{ -36.6, "below zero" },
	{ 1.0 / 3, "endless" },
	{ 120, "a pressure" },
	{ 1e300, "huge" },
	{ 1e-300, "tiny" },
};

static void check_text(double v, const char *why)
{
	char text[32], expected[32];
	size_t len = vs_number_text(v, text);
	snprintf(expected, sizeof expected, "%.12g", v == 0 ? 0.0 : v);
	if (strcmp(text, expected) != 0)
		fail_msg("%.17g: %s instead of %s (%s)", v, text, expected, why);
	assert_int_equal(len, strlen(expected));
	if (vs_number_rounded(v) != strtod(expected, NULL))
		fail_msg("%.17g: %.17g is not what %s stands for (%s)", v, vs_number_rounded(v), expected, why);
}

/* As SQLite's own quote() writes it: what an auditor's own tool hashes. */
static void check_row(sqlite3_stmt *st, double v, const char *why)
{
	struct vs_row_text row = { .buf = NULL };
	vs_row_begin(&row);
	vs_row_real(&row, v);
	sqlite3_bind_double(st, 1, v);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	const char *expected = (const char *)sqlite3_column_text(st, 0);
	if (row.len < strlen(expected) || memcmp(row.buf, expected, strlen(expected)) != 0)
		fail_msg("%.17g: %.*s instead of %s (%s)", v, (int)row.len, row.buf, expected, why);
	sqlite3_reset(st);
	vs_row_finish(&row);
}

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	return *x ^= *x << 17;
}

static void every_sample(void (*check)(sqlite3_stmt *, double, const char *), sqlite3_stmt *st)
{
	uint64_t x = 20261122;
	for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
		check(st, samples[i].v, samples[i].why);
	for (int i = 0; i < 20000; i++) {
		check(st, (double)(next(&x) % 1000000000) / 1000, "some thousandths");
		check(st, (double)(next(&x) % 100000) * 0.01, "some register with a scale");
		check(st, (double)(next(&x) % 100000) * 0.001 + ((double)(next(&x) % 2000) - 1000) * 1e-15, "nearly thousandths");
		check(st, ldexp((double)(next(&x) >> 11), -(int)(next(&x) % 70)), "anything");
	}
}

static void text_of(sqlite3_stmt *st, double v, const char *why)
{
	(void)st;
	check_text(v, why);
}

static void test_text_is_that_of_twelve_digits(void **state)
{
	(void)state;
	every_sample(text_of, NULL);
}

static void test_rows_are_quoted_as_sqlite_does(void **state)
{
	(void)state;
	sqlite3 *db;
	sqlite3_stmt *st;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT quote(?1)", -1, &st, NULL), SQLITE_OK);
	every_sample(check_row, st);
	sqlite3_finalize(st);
	sqlite3_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_is_that_of_twelve_digits),
		cmocka_unit_test(test_rows_are_quoted_as_sqlite_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
