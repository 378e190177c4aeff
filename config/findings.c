#include "config/findings.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(struct vs_findings *f)
{
	unsigned cap = f->cap ? 2 * f->cap : 16;
	if (f->len < f->cap)
		return true;
	struct vs_finding *at = realloc(f->at, cap * sizeof *at);
	if (!at)
		return false;
	f->at = at;
	f->cap = cap;
	return true;
}

static bool known(const struct vs_findings *f, const char *file, unsigned line, const char *text)
{
	for (unsigned i = 0; i < f->len; i++)
		if (f->at[i].line == line && !strcmp(f->at[i].text, text) && !strcmp(f->at[i].file, file))
			return true;
	return false;
}

/* What is quoted from a file may hold anything; a finding is one line on somebody's terminal. */
static void make_plain(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

void vs_findings_add(struct vs_findings *f, const char *file, unsigned line, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	make_plain(text);
	if (known(f, file, line, text))
		return;
	if (f->len >= VS_FINDINGS_MAX) {
		f->omitted++;
		return;
	}
	struct vs_finding new = { .file = strdup(file), .line = line, .text = strdup(text) };
	if (new.file &&new.text && make_room(f)) {
		f->at[f->len++] = new;
		return;
	}
	free(new.file);
	free(new.text);
	f->failed = true;
}

/* Insertion: stable, and a list that a person is to read is short. */
void vs_findings_sort(struct vs_findings *f)
{
	for (unsigned i = 1; i < f->len; i++) {
		struct vs_finding x = f->at[i];
		unsigned to = i;
		for (unsigned k = i; k-- > 0;) {
			if (strcmp(f->at[k].file, x.file))
				continue;
			if (f->at[k].line <= x.line) {
				to = k + 1;
				break;
			}
			to = k;
		}
		memmove(&f->at[to + 1], &f->at[to], (i - to) * sizeof x);
		f->at[to] = x;
	}
}

void vs_findings_print(const struct vs_findings *f, FILE *to)
{
	for (unsigned i = 0; i < f->len; i++)
		fprintf(to, "%s:%u: %s\n", f->at[i].file, f->at[i].line, f->at[i].text);
	if (f->omitted)
		fprintf(to, "... and %u more\n", f->omitted);
	if (f->failed)
		fputs("out of memory: there may be more findings than these\n", to);
}

void vs_findings_clear(struct vs_findings *f)
{
	for (unsigned i = 0; i < f->len; i++) {
		free(f->at[i].file);
		free(f->at[i].text);
	}
	free(f->at);
	*f = (struct vs_findings){ 0 };
}
