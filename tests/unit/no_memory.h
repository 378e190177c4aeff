/* Memory that runs out: link with -Wl,--wrap=malloc, calloc, realloc (and strdup), and the allocator of everything that is linked
 * in fails once, at the allocation of that number. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

static long allocations;  /* since out_of_memory_at */
static long failing = -1; /* the number of the one that fails, from 0; negative: none */

static inline void out_of_memory_at(long n)
{
	allocations = 0;
	failing = n;
}

static inline bool fails_now(void)
{
	return allocations++ == failing;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __real_calloc(n, size);
}

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size)
{
	return fails_now() ? NULL : __real_realloc(p, size);
}

char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
char *__wrap_strdup(const char *s)
{
	return fails_now() ? NULL : __real_strdup(s);
}
