/* Recorded observations from a CSV file: a header `t_s,METRIC,...[,command]`, then a row an instant (contract,
 * section 6).  An empty cell is no value; a cell may be quoted; lines may end in CRLF. */
#pragma once
#include <stdint.h>
#include <stdio.h>

#include "core/obs.h"

#define VS_CSV_COLUMNS 32

struct vs_csv {
	FILE *from;
	const char *file;
	unsigned line;
	char *text; /* the line; cells are cut out of it */
	size_t cap;
	unsigned n_columns;
	enum vs_metric column[VS_CSV_COLUMNS]; /* VS_METRIC_NONE: t_s or command */
	int t_column, command_column;          /* -1: none */
	bool begun;
	int64_t last_ms;
};

struct vs_csv_row {
	int64_t t_ms;
	struct vs_reading reading;
	bool cuff;           /* a nibp_* cell is filled */
	const char *command; /* "" without one; good until the next row */
};

/* Opens FILE ("-": standard input) and reads the header.  0, or -EINVAL: why on stderr, as FILE:LINE: text. */
int vs_csv_open(struct vs_csv *c, const char *file);
/* The same of what is open already; c owns it from now on. */
int vs_csv_begin(struct vs_csv *c, FILE *from, const char *file);
/* The next row.  1, 0: there is none, -EINVAL: why on stderr. */
int vs_csv_next(struct vs_csv *c, struct vs_csv_row *ret);
void vs_csv_close(struct vs_csv *c);
