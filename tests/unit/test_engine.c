/* The rows of clinical tables D0 to D4 and E as stories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/adult.h"
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

static void tell(void **state)
{
	const struct story *s = *state;
	struct story_run *r = calloc(1, sizeof *r);
	r->requests = s->requests;
	story_play(r, adult, s->phase, s->baseline, s->script);
	if (strcmp(r->said, s->said) != 0)
		print_error("%s: %s\n  wanted: %s\n  said:   %s\n", s->name, s->why, s->said, r->said);
	int same = strcmp(r->said, s->said) == 0;
	free(r);
	assert_true(same);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The statements of what was said, in the order of the alphabet. */
static void sorted(const char *said, char *to, size_t cap)
{
	char all[4096], *save = NULL, *one[128];
	unsigned n = 0;
	size_t len = 0;
	snprintf(all, sizeof all, "%s", said);
	for (char *s = strtok_r(all, ";", &save); s && n < 128; s = strtok_r(NULL, ";", &save))
		one[n++] = s + strspn(s, " ");
	qsort(one, n, sizeof *one, by_text);
	to[0] = '\0';
	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(to + len, cap - len, "%s; ", one[i]);
}

/* The set that ships with this rule first, and with as many rules as a set can have; the others never watch. */
static void rearrange(struct vs_limit_set *to, const char *first)
{
	*to = *adult;
	for (unsigned i = 1; i < to->n_rules; i++)
		if (strncmp(first, to->rules[i].id, strlen(to->rules[i].id)) == 0 && first[strlen(to->rules[i].id)] == ' ') {
			struct vs_rule other = to->rules[0];
			to->rules[0] = to->rules[i];
			to->rules[i] = other;
		}
	while (to->n_rules < VS_RULES_MAX) {
		struct vs_rule *r = &to->rules[to->n_rules++];
		*r = to->rules[to->n_rules % 30];
		snprintf(r->id, sizeof r->id, "more-%u", to->n_rules);
		r->enabled = false;
	}
}

static void in_any_order(void **state)
{
	static struct vs_limit_set other;
	(void)state;
	for (unsigned i = 0; i < sizeof stories / sizeof *stories; i++) {
		const struct story *s = &stories[i];
		char wanted[4096], said[4096];
		struct story_run *r = calloc(1, sizeof *r);
		rearrange(&other, s->said + strcspn(s->said, " ") + (*s->said != '\0'));
		r->requests = s->requests;
		story_play(r, &other, s->phase, s->baseline, s->script);
		sorted(s->said, wanted, sizeof wanted);
		sorted(r->said, said, sizeof said);
		free(r);
		if (strcmp(said, wanted) != 0)
			print_error("%s, with %s first\n", s->name, other.rules[0].id);
		assert_string_equal(said, wanted);
	}
}

int main(void)
{
	enum { N = sizeof stories / sizeof *stories };
	static struct CMUnitTest tests[N + 1];
	for (unsigned i = 0; i < N; i++)
		tests[i] = (struct CMUnitTest){ .name = stories[i].name, .test_func = tell, .initial_state = (void *)&stories[i] };
	tests[N] = (struct CMUnitTest)cmocka_unit_test(in_any_order);
	return _cmocka_run_group_tests("engine", tests, N + 1, adult_load, adult_unload);
}
