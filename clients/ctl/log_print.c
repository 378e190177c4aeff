/* Options of the commands on the log, and printing what SQL finds: tables, JSON, CSV. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "clients/ctl/log.h"
#include "clients/ctl/show.h"
#include "core/json.h"
#include "core/timetext.h"

/* ---- Options ---- */

static bool parse_age(const char *text, int64_t *ret_ms)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = { { "s", 1000 }, { "min", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
	char *end;
	double n = strtod(text, &end);
	struct timespec now;
	if (end == text || n < 0 || n > 1e6)
		return false;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strcmp(end, units[i].unit) == 0) {
			clock_gettime(CLOCK_REALTIME, &now);
			*ret_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - (int64_t)(n * (double)units[i].ms);
			return true;
		}
	return false;
}

/* `last`: a day or a minute without its end means the end of it. */
static bool parse_time(const char *text, bool last, int64_t *ret_ms)
{
	static const struct {
		size_t len;
		const char *first, *last;
	} forms[] = { { 10, "T00:00:00Z", "T23:59:59.999Z" }, { 16, ":00Z", ":59.999Z" }, { 19, "Z", ".999Z" } };
	char whole[64];
	if (vs_time_parse(text, ret_ms) || parse_age(text, ret_ms))
		return true;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
		if (strlen(text) == forms[i].len) {
			snprintf(whole, sizeof whole, "%s%s", text, last ? forms[i].last : forms[i].first);
			return vs_time_parse(whole, ret_ms);
		}
	return false;
}

/* Whether `name` (up to '=') is one of the words of the list. */
static bool listed(const char *list, const char *name, size_t len)
{
	for (const char *p = list; *p;) {
		size_t n = strcspn(p, " ");
		if (n == len && strncmp(p, name, n) == 0)
			return true;
		p += n + (p[n] == ' ');
	}
	return false;
}

static int take_value(struct vs_log_options *o, const char *command, const char *name, size_t len, const char *value)
{
	const struct {
		const char *name;
		const char **place;
	} texts[] = {
		{ "log", &o->log },		{ "config", &o->config },   { "chair", &o->chair },
		{ "patient", &o->patient },	{ "operator", &o->operator_name }, { "rule", &o->rule },
		{ "session", &o->session },	{ "protocol", &o->protocol }, { "format", &o->format },
		{ "witness", &o->witness },	{ "key", &o->key },	    { "out", &o->out },
		{ "limits", &o->limits },	{ "limit-file", &o->limit_file }, { "html", &o->html },
		{ "control", &o->control },	{ "reader", &o->reader },   { "with", &o->with },
		{ "reason", &o->reason },	{ "keep", &o->keep },
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (listed(texts[i].name, name, len)) {
			*texts[i].place = value;
			return VS_EXIT_DONE;
		}
	if (listed("jobs", name, len)) {
		char *end;
		unsigned long n = strtoul(value, &end, 10);
		if (end == value || *end || n < 1 || n > 64)
			return vs_ctl_usage("%s: --jobs wants a number from 1 to 64, not '%s'", command, value);
		o->jobs = (unsigned)n;
		return VS_EXIT_DONE;
	}
	bool last = listed("until to", name, len);
	if (!parse_time(value, last, last ? &o->until_ms : &o->since_ms))
		return vs_ctl_usage("%s: '%s' is no time; write 2026-11-21, 2026-11-21T14:30:00Z, or an age such as 12h", command,
				    value);
	return VS_EXIT_DONE;
}

int vs_log_options(struct vs_log_options *o, int argc, char **argv, const char *allowed)
{
	*o = (struct vs_log_options){ .since_ms = INT64_MIN, .until_ms = INT64_MAX };
	for (int i = 1; i < argc; i++) {
		const char *name = argv[i] + 2;
		if (strncmp(argv[i], "--", 2) != 0) {
			if (o->n_words == (int)(sizeof o->words / sizeof *o->words))
				return vs_ctl_usage("%s: too many words", argv[0]);
			o->words[o->n_words++] = argv[i];
			continue;
		}
		size_t len = strcspn(name, "=");
		if (listed("json", name, len) && len == strlen(name)) {
			o->json = true;
		} else if (listed("untraced", name, len) && len == strlen(name)) {
			o->untraced = true;
		} else if (listed("apply", name, len) && len == strlen(name) && listed(allowed, "apply", 5)) {
			o->apply = true;
		} else if (listed("csv", name, len) && listed(allowed, "csv", 3)) {
			o->csv = true;
		} else if (!listed("log config control reader", name, len) && !listed(allowed, name, len) &&
			   !(listed("from", name, len) && listed(allowed, "since", 5)) && !(listed("to", name, len) && listed(allowed, "until", 5))) {
			return vs_ctl_usage("%s: there is no option %s", argv[0], argv[i]);
		} else if (name[len] != '=' && (i + 1 == argc || strncmp(argv[i + 1], "--", 2) == 0)) {
			return vs_ctl_usage("%s: %s wants a value", argv[0], argv[i]);
		} else {
			int r = take_value(o, argv[0], name, len, name[len] == '=' ? name + len + 1 : argv[++i]);
			if (r != VS_EXIT_DONE)
				return r;
		}
	}
	if (o->since_ms > o->until_ms)
		return vs_ctl_usage("%s: --from is later than --until: nothing can be found", argv[0]);
	if (o->json && o->csv)
		return vs_ctl_usage("%s: --json or --csv, not both", argv[0]);
	return VS_EXIT_DONE;
}

/* ---- SQL ---- */

static void bind_text(sqlite3_stmt *st, const char *name, const char *text)
{
	int i = sqlite3_bind_parameter_index(st, name);
	if (i && text)
		sqlite3_bind_text(st, i, text, -1, SQLITE_STATIC);
}

static void bind_time(sqlite3_stmt *st, const char *name, int64_t ms)
{
	int i = sqlite3_bind_parameter_index(st, name);
	if (i)
		sqlite3_bind_int64(st, i, ms);
}

void vs_log_bind(sqlite3_stmt *st, const struct vs_log_options *o)
{
	bind_text(st, ":chair", o->chair);
	bind_text(st, ":patient", o->patient);
	bind_text(st, ":operator", o->operator_name);
	bind_text(st, ":rule", o->rule);
	bind_text(st, ":session", o->session);
	bind_text(st, ":protocol", o->protocol);
	bind_time(st, ":since", o->since_ms);
	bind_time(st, ":until", o->until_ms);
}

sqlite3_stmt *vs_log_query(struct vs_log *l, const char *sql, const struct vs_log_options *o)
{
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(vs_log_db(l), sql, -1, &st, NULL) != SQLITE_OK) {
		vs_log_failed(l);
		return NULL;
	}
	vs_log_bind(st, o);
	return st;
}

/* ---- Printing ---- */

/* Columns that a person sees: bytes of UTF-8 that begin a character. */
static int width_of(const char *s)
{
	int n = 0;
	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static char *cell(sqlite3_stmt *st, int i)
{
	char number[32];
	const char *text = number;
	if (sqlite3_column_type(st, i) == SQLITE_FLOAT)
		vs_number_text(sqlite3_column_double(st, i), number);
	else
		text = (const char *)sqlite3_column_text(st, i);
	char *copy = strdup(text ? text : "");
	if (copy)
		vs_show_calm_text(copy, "");
	return copy;
}

struct table {
	char **cells;
	size_t n, cap;
	int columns, *width;
};

static int take_row(struct table *t, sqlite3_stmt *st)
{
	if (t->n + (size_t)t->columns > t->cap) {
		size_t cap = t->cap * 2 + 64 * (size_t)t->columns;
		char **more = realloc(t->cells, cap * sizeof *more);
		if (!more)
			return -1;
		t->cells = more;
		t->cap = cap;
	}
	for (int i = 0; i < t->columns; i++) {
		char *c = cell(st, i);
		if (!c)
			return -1;
		t->cells[t->n++] = c;
		if (width_of(c) > t->width[i])
			t->width[i] = width_of(c);
	}
	return 0;
}

static void print_cells(const struct table *t, char *const *cells)
{
	for (int i = 0; i < t->columns; i++)
		printf("%s%*s", cells[i], i + 1 < t->columns ? t->width[i] - width_of(cells[i]) + 2 : 0, "");
	putchar('\n');
}

int vs_log_table(sqlite3_stmt *st, const char *none)
{
	struct table t = { .columns = sqlite3_column_count(st) };
	char *titles[64];
	int rc = SQLITE_NOMEM;
	t.width = calloc((size_t)t.columns, sizeof *t.width);
	for (int i = 0; t.width && i < t.columns && i < 64; i++) {
		titles[i] = (char *)(uintptr_t)sqlite3_column_name(st, i);
		t.width[i] = width_of(titles[i]);
	}
	while (t.width && (rc = sqlite3_step(st)) == SQLITE_ROW)
		if (take_row(&t, st) < 0) {
			rc = SQLITE_NOMEM;
			break;
		}
	if (rc == SQLITE_DONE && t.n) {
		print_cells(&t, titles);
		for (size_t i = 0; i < t.n; i += (size_t)t.columns)
			print_cells(&t, t.cells + i);
	} else if (rc == SQLITE_DONE && none) {
		puts(none);
	}
	for (size_t i = 0; i < t.n; i++)
		free(t.cells[i]);
	free(t.cells);
	free(t.width);
	return rc == SQLITE_DONE ? VS_EXIT_DONE : VS_EXIT_FAILED;
}

static json_t *json_of(sqlite3_stmt *st, int i, bool is_json)
{
	const char *text;
	double v;
	switch (sqlite3_column_type(st, i)) {
	case SQLITE_INTEGER:
		return json_integer(sqlite3_column_int64(st, i));
	case SQLITE_FLOAT:
		v = sqlite3_column_double(st, i);
		return v == (double)(int64_t)v && v < 1e15 && v > -1e15 ? json_integer((int64_t)v) : json_real(v);
	case SQLITE_TEXT:
		text = (const char *)sqlite3_column_text(st, i);
		if (is_json) {
			json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);
			return j ? j : json_string(text);
		}
		return json_string(text);
	default:
		return json_null();
	}
}

json_t *vs_log_row(sqlite3_stmt *st)
{
	json_t *row = json_object();
	for (int i = 0, n = sqlite3_column_count(st); i < n; i++) {
		char name[64];
		snprintf(name, sizeof name, "%s", sqlite3_column_name(st, i));
		size_t len = strlen(name);
		bool is_json = len && name[len - 1] == '!';
		if (is_json)
			name[len - 1] = '\0';
		json_object_set_new(row, name, json_of(st, i, is_json));
	}
	return row;
}

int vs_log_json(sqlite3_stmt *st)
{
	int rc;
	const char *before = "[\n";
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		json_t *row = vs_log_row(st);
		fputs(before, stdout);
		json_dumpf(row, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
		json_decref(row);
		before = ",\n";
	}
	puts(*before == '[' ? "[]" : "\n]");
	return rc == SQLITE_DONE ? VS_EXIT_DONE : VS_EXIT_FAILED;
}

/* What a spreadsheet would compute: also a nurse's note may begin like a formula. */
static bool is_formula(const char *text)
{
	char *end;
	if (!*text || !strchr("=+-@\t\r", *text))
		return false;
	strtod(text, &end);
	return end == text || *end;
}

void vs_csv_field(FILE *to, const char *text)
{
	bool formula = is_formula(text);
	if (!formula && !text[strcspn(text, ",\"\r\n")]) {
		fputs(text, to);
		return;
	}
	fputs(formula ? "\"'" : "\"", to);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', to);
		fputc(*text, to);
	}
	fputc('"', to);
}

int vs_log_csv(sqlite3_stmt *st, FILE *to)
{
	int rc, columns = sqlite3_column_count(st);
	char number[32];
	for (int i = 0; i < columns; i++)
		fprintf(to, "%s%.*s", i ? "," : "", (int)strcspn(sqlite3_column_name(st, i), "!"), sqlite3_column_name(st, i));
	fputs("\r\n", to);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		for (int i = 0; i < columns; i++) {
			const char *text = (const char *)sqlite3_column_text(st, i);
			if (sqlite3_column_type(st, i) == SQLITE_FLOAT) {
				vs_number_text(sqlite3_column_double(st, i), number);
				text = number;
			}
			if (i)
				fputc(',', to);
			vs_csv_field(to, text ? text : "");
		}
		fputs("\r\n", to);
	}
	return rc == SQLITE_DONE && !ferror(to) ? VS_EXIT_DONE : VS_EXIT_FAILED;
}
