/* The rows of clinical tables D0 to D4 and E as stories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/story.h"

#define B "hr=70,nibp_sys=120,nibp_dia=75,spo2=98" /* an ordinary patient */
#define STILL "hr=70 0-400; "

static const struct story {
	const char *name, *why, *phase, *baseline, *script, *said;
	bool requests;
} stories[] = {
#include "tests/unit/stories.def"
#include "tests/unit/stories_scores.def"
};

static struct vs_limit_sets *sets;

static int load(void **state)
{
	struct vs_findings findings = { 0 };
	(void)state;
	int r = vs_limits_load(NULL, 0, &sets, &findings);
	vs_findings_print(&findings, stderr);
	vs_findings_clear(&findings);
	return r;
}

static int unload(void **state)
{
	(void)state;
	vs_limits_free(sets);
	return 0;
}

static void tell(void **state)
{
	const struct story *s = *state;
	struct story_run *r = calloc(1, sizeof *r);
	r->requests = s->requests;
	story_play(r, vs_limits_find(sets, "ketamine-adult"), s->phase, s->baseline, s->script);
	if (strcmp(r->said, s->said) != 0)
		print_error("%s: %s\n  wanted: %s\n  said:   %s\n", s->name, s->why, s->said, r->said);
	int same = strcmp(r->said, s->said) == 0;
	free(r);
	assert_true(same);
}

int main(void)
{
	enum { N = sizeof stories / sizeof *stories };
	static struct CMUnitTest tests[N];
	for (unsigned i = 0; i < N; i++)
		tests[i] = (struct CMUnitTest){ .name = stories[i].name, .test_func = tell, .initial_state = (void *)&stories[i] };
	return _cmocka_run_group_tests("engine", tests, N, load, unload);
}
