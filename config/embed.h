/* Data files that are built into the programs: limit sets, register profiles, presets, migrations.
 *
 * config/embed.py makes the table from the files; in a meson.build:
 *
 *	sets_c = custom_target('sets.c', output: 'sets.c', input: [...],
 *	  command: [embed, 'vs_limit_set_files', '@OUTPUT@', '@INPUT@'])
 *
 * and in C: `extern const struct vs_embedded vs_limit_set_files[];` */
#pragma once
#include <stddef.h>
#include <string.h>

struct vs_embedded {
	const char *name;  /* file name without its suffix: "ketamine-adult"; NULL: the end of the table */
	const char *file;  /* file name: "ketamine-adult.yaml" */
	const char *bytes; /* the content, followed by a NUL that is not counted */
	size_t len;
};

/* The entry of that name, or NULL. */
static inline const struct vs_embedded *vs_embedded_find(const struct vs_embedded *table, const char *name)
{
	for (; table->name; table++)
		if (!strcmp(table->name, name))
			return table;
	return NULL;
}
