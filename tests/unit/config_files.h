/* Small files in a folder of their own, and what a loader finds wrong with them. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/findings.h"

static char folder[] = "/tmp/vitals-config-XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static const char *path_of(const char *name)
{
	static char path[2][300];
	static unsigned turn;
	turn = !turn;
	snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
	return path[turn];
}

static const char *put_bytes(const char *name, const char *bytes, size_t len)
{
	const char *path = path_of(name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	fclose(f);
	return path;
}

static const char *put_file(const char *name, const char *text)
{
	return put_bytes(name, text, strlen(text));
}

static inline int remove_folder(void **state)
{
	static const char *const names[] = { "config.yaml", "limits.yaml", "more.yaml", "profile.yaml" };
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlink(path_of(names[i]));
	return rmdir(folder);
}

/* The file's own name, without its folder. */
static const char *base_name(const char *file)
{
	const char *slash = strrchr(file, '/');
	return slash ? slash + 1 : file;
}

/* Exactly one finding, in that file and line, with these words in it?  Says so on stderr where not. */
static inline bool is_finding(const struct vs_findings *f, const char *file, unsigned line, const char *words,
			      const char *why)
{
	if (f->len == 1 && f->at[0].line == line && !strcmp(base_name(f->at[0].file), file) &&
	    strstr(f->at[0].text, words))
		return true;
	fprintf(stderr, "%s: expected %s:%u: ...%s...; found %u\n", why, file, line, words, f->len);
	vs_findings_print(f, stderr);
	return false;
}
