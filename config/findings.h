/* What is wrong with a file, as its author wants to read it: FILE:LINE, what is wrong, and what would be right.
 *
 * A list that only grows; the same finding twice (two devices with one profile) is kept once.  Memory running out
 * while it grows is remembered in `failed`, so that a finding that got lost never passes for none. */
#pragma once
#include <stdbool.h>
#include <stdio.h>

#define VS_FINDINGS_MAX 200 /* nobody reads more, and a hostile file must not make millions */

struct vs_findings {
	unsigned len, cap;
	struct vs_finding {
		char *file;
		unsigned line;
		char *text;
	} *at;
	unsigned omitted; /* beyond VS_FINDINGS_MAX: counted only */
	bool failed; /* a finding could not be kept: out of memory */
};

/* One finding, kept once; what is quoted of a file may hold anything: a control character becomes '?'. */
void vs_findings_add(struct vs_findings *f, const char *file, unsigned line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* By line within each file, files in the order in which they were first named. */
void vs_findings_sort(struct vs_findings *f);
/* `FILE:LINE: text` a line. */
void vs_findings_print(const struct vs_findings *f, FILE *to);
void vs_findings_clear(struct vs_findings *f);
