/* The limit set that ships, loaded once for all tests of a program: adult_load and adult_unload are its group's
 * set-up and tear-down. */
#pragma once
#include <stdio.h>

#include "config/limits.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static struct vs_limit_sets *adult_sets;
static const struct vs_limit_set *adult;

static inline int adult_load(void **state)
{
	struct vs_findings findings = { 0 };
	(void)state;
	int r = vs_limits_load(NULL, 0, &adult_sets, &findings);
	vs_findings_print(&findings, stderr);
	vs_findings_clear(&findings);
	adult = r == 0 ? vs_limits_find(adult_sets, "ketamine-adult") : NULL;
	return r;
}

static inline int adult_unload(void **state)
{
	(void)state;
	vs_limits_free(adult_sets);
	return 0;
}
