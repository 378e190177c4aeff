/* Fuzz target: a file that somebody gives to `replay --csv`.
 *
 * Whatever comes: rows whose times do not go back, each metric at most once, and a command that ends; or a refusal that
 * names the line.  A refused file gives no further row that is read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			abort();                                                                                       \
	} while (0)

static void check_row(const struct vs_csv_row *row)
{
	uint64_t seen = 0;
	MUST(row->reading.len <= VS_READING_MAX && row->t_ms <= 1000000000000 && row->t_ms >= -1000000000000);
	for (unsigned i = 0; i < row->reading.len; i++) {
		uint64_t bit = UINT64_C(1) << row->reading.obs[i].metric;
		MUST(row->reading.obs[i].metric < VS_RPP && !(seen & bit));
		seen |= bit;
	}
	MUST(!strpbrk(row->command, "\n")); /* a string that ends, of one line */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vs_csv csv;
	struct vs_csv_row row;
	FILE *f = size ? fmemopen((void *)data, size, "r") : NULL;
	if (!f)
		return 0;
	static FILE *nowhere; /* for its words; a sanitizer has its own way out */
	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	stderr = nowhere;
	int r = vs_csv_begin(&csv, f, "fuzz.csv");
	MUST(r == 0 || r == -EINVAL);
	int64_t last = INT64_MIN;
	unsigned line = 0;
	while (r == 0 && (r = vs_csv_next(&csv, &row)) == 1) {
		MUST(row.t_ms >= last && csv.line > line);
		last = row.t_ms;
		line = csv.line;
		check_row(&row);
		r = 0;
	}
	MUST(r == 0 || r == -EINVAL);
	vs_csv_close(&csv);
	return 0;
}
