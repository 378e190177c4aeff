#include "clients/ctl/csv.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static int wrong(const struct vs_csv *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int wrong(const struct vs_csv *c, const char *format, ...)
{
	va_list args;
	fprintf(stderr, "%s:%u: ", c->file, c->line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return -EINVAL;
}

/* 1: a line without its end; 0: no more. */
static int next_line(struct vs_csv *c)
{
	ssize_t len = getline(&c->text, &c->cap, c->from);
	if (len < 0)
		return ferror(c->from) ? wrong(c, "cannot be read: %s", strerror(errno)) : 0;
	c->line++;
	if (strlen(c->text) != (size_t)len)
		return wrong(c, "a zero byte: this is no text");
	while (len > 0 && (c->text[len - 1] == '\n' || c->text[len - 1] == '\r'))
		c->text[--len] = '\0';
	return 1;
}

static char *trim(char *s)
{
	s += strspn(s, " \t");
	for (size_t len = strlen(s); len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t'); len--)
		s[len - 1] = '\0';
	return s;
}

/* A quoted cell, unquoted where it stands.  Returns what follows it; NULL: its end is missing. */
static char *unquote(char *s)
{
	char *to = s;
	for (char *from = s + 1; *from; from++) {
		if (*from == '"' && from[1] != '"') {
			*to = '\0';
			return from + 1;
		}
		if (*from == '"')
			from++;
		*to++ = *from;
	}
	return NULL;
}

/* Cuts the line into cells.  Their number, or -EINVAL. */
static int cut(struct vs_csv *c, char *cells[VS_CSV_COLUMNS])
{
	unsigned n = 0;
	char *s = c->text;
	for (;;) {
		char *cell = s;
		if (n == VS_CSV_COLUMNS)
			return wrong(c, "more than %d columns", VS_CSV_COLUMNS);
		if (*s == '"') {
			s = unquote(s);
			if (!s)
				return wrong(c, "a quotation mark is not closed");
			if (*s && *s != ',')
				return wrong(c, "a comma is missing after a quoted cell");
		} else {
			s += strcspn(s, ",");
		}
		bool more = *s == ',';
		if (more)
			*s++ = '\0';
		cells[n++] = trim(cell);
		if (!more)
			return (int)n;
	}
}

static bool recordable(enum vs_metric m)
{
	return m < VS_RPP;
}

static int take_column(struct vs_csv *c, unsigned i, const char *name)
{
	c->column[i] = VS_METRIC_NONE;
	int *special = strcmp(name, "t_s") == 0 ? &c->t_column : strcmp(name, "command") == 0 ? &c->command_column : NULL;
	if (special && *special >= 0)
		return wrong(c, "column '%s' twice", name);
	if (special) {
		*special = (int)i;
		return 0;
	}
	c->column[i] = vs_metric_by_name(name, strlen(name));
	if (!recordable(c->column[i]))
		return wrong(c, "there is no column '%s'; t_s, command, or one of hr pr spo2 nibp_sys nibp_dia nibp_map nibp_pr "
			"rr temp pi", name);
	for (unsigned k = 0; k < i; k++)
		if (c->column[k] == c->column[i])
			return wrong(c, "column '%s' twice", name);
	return 0;
}

static int read_header(struct vs_csv *c)
{
	char *cells[VS_CSV_COLUMNS];
	int r = next_line(c);
	if (r <= 0) {
		c->line = 1;
		return r < 0 ? r : wrong(c, "the file is empty; a header t_s,METRIC,... is needed");
	}
	if (strncmp(c->text, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
		memmove(c->text, c->text + 3, strlen(c->text + 3) + 1);
	int n = cut(c, cells);
	if (n < 0)
		return n;
	for (unsigned i = 0; i < (unsigned)n; i++)
		if (take_column(c, i, cells[i]) < 0)
			return -EINVAL;
	c->n_columns = (unsigned)n;
	return c->t_column < 0 ? wrong(c, "the column t_s (seconds) is missing") : 0;
}

int vs_csv_begin(struct vs_csv *c, FILE *from, const char *file)
{
	*c = (struct vs_csv){ .from = from, .file = file, .t_column = -1, .command_column = -1 };
	int r = read_header(c);
	if (r < 0)
		vs_csv_close(c);
	return r;
}

int vs_csv_open(struct vs_csv *c, const char *file)
{
	FILE *from = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
	if (from)
		return vs_csv_begin(c, from, file);
	*c = (struct vs_csv){ .file = file };
	fprintf(stderr, "%s: %s\n", file, strerror(errno));
	return -EINVAL;
}

static bool number(const char *s, double *ret)
{
	char *end;
	*ret = strtod(s, &end);
	return end != s && !*end;
}

static int take_time(struct vs_csv *c, const char *cell, struct vs_csv_row *ret)
{
	double t;
	if (!number(cell, &t) || !(fabs(t) <= 1e9))
		return wrong(c, "t_s '%s' is no number of seconds", cell);
	ret->t_ms = llround(t * 1000);
	if (c->begun && ret->t_ms < c->last_ms)
		return wrong(c, "t_s goes back, from %.3f to %.3f: rows must stand in the order of time", (double)c->last_ms / 1000,
			(double)ret->t_ms / 1000);
	c->begun = true;
	c->last_ms = ret->t_ms;
	return 0;
}

static int take_cell(struct vs_csv *c, enum vs_metric m, const char *cell, struct vs_csv_row *ret)
{
	double v;
	if (!*cell)
		return 0;
	if (!number(cell, &v))
		return wrong(c, "%s: '%s' is no number; leave the cell empty where there is no value", vs_metrics[m].name, cell);
	ret->cuff |= vs_metric_is_nibp(m) && !isnan(v);
	vs_reading_add(&ret->reading, m, v, 0); /* NaN, as some programs write a missing value: no value */
	return 0;
}

int vs_csv_next(struct vs_csv *c, struct vs_csv_row *ret)
{
	char *cells[VS_CSV_COLUMNS];
	int r;
	do
		r = next_line(c);
	while (r == 1 && !*trim(c->text));
	if (r <= 0)
		return r;
	int n = cut(c, cells);
	if (n < 0)
		return n;
	if ((unsigned)n > c->n_columns)
		return wrong(c, "%d cells, but the header has %u", n, c->n_columns);
	*ret = (struct vs_csv_row){ .command = "" };
	if (c->t_column >= n)
		return wrong(c, "t_s is missing");
	if (take_time(c, cells[c->t_column], ret) < 0)
		return -EINVAL;
	for (int i = 0; i < n; i++)
		if (c->column[i] != VS_METRIC_NONE && take_cell(c, c->column[i], cells[i], ret) < 0)
			return -EINVAL;
	if (c->command_column >= 0 && c->command_column < n)
		ret->command = cells[c->command_column];
	return 1;
}

void vs_csv_close(struct vs_csv *c)
{
	if (c->from && c->from != stdin)
		fclose(c->from);
	free(c->text);
	*c = (struct vs_csv){ .file = c->file };
}
