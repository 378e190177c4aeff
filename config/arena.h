/* Memory that is given back all at once: a configuration is built once and lives as a whole. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct vs_arena {
	struct vs_arena_block {
		struct vs_arena_block *next;
		max_align_t bytes[];
	} *blocks;
	bool failed; /* something that was asked for is missing */
};

/* Zeroed memory; NULL: there is none, and `failed` is set. */
static inline void *vs_arena_take(struct vs_arena *a, size_t n, size_t size)
{
	struct vs_arena_block *b = NULL;
	if (!size || n <= (SIZE_MAX - sizeof *b) / size)
		b = calloc(1, sizeof *b + n * size);
	if (!b) {
		a->failed = true;
		return NULL;
	}
	b->next = a->blocks;
	a->blocks = b;
	return b->bytes;
}

static inline char *vs_arena_text(struct vs_arena *a, const char *text)
{
	char *copy = vs_arena_take(a, strlen(text) + 1, 1);
	return copy ? strcpy(copy, text) : NULL;
}

static inline void vs_arena_finish(struct vs_arena *a)
{
	while (a->blocks) {
		struct vs_arena_block *next = a->blocks->next;
		free(a->blocks);
		a->blocks = next;
	}
}
