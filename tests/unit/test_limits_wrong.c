/* A limit set wrong in every field: each value of the set that ships, one kind of rule and key after the other, is
 * replaced by something that it cannot be.  The file is refused, and a finding stands at the line of the value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config/embed.h"
#include "config/limits.h"

extern const struct vs_embedded vs_limit_set_files[];

#define KEYS 400

/* One value: where it stands in the text, and in which line. */
struct field {
	char name[80]; /* rule type and key */
	size_t at, len;
	unsigned line;
};

/* A clinic's own copy: another name, no outer bounds. */
static char *clinic_copy(void)
{
	static const char name[] = "name: ketamine-adult";
	const struct vs_embedded *file = &vs_limit_set_files[0];
	char *text = strndup(file->bytes, file->len);
	char *sets = strstr(text, "\nsets:");
	assert_non_null(sets);
	memmove(text, sets, strlen(sets) + 1);
	char *at = strstr(text, name);
	assert_non_null(at);
	memcpy(at, "name: wrong-in-a-way", sizeof name - 1);
	return text;
}

static size_t value_len(const char *v)
{
	size_t n = strcspn(v, *v == '"' ? "" : ",}\n#");
	if (*v == '"')
		return (size_t)(strchr(v + 1, '"') - v) + 1;
	if (*v == '[' || *v == '{') {
		int depth = 0;
		for (n = 0; v[n] && (n == 0 || depth); n++)
			depth += (v[n] == '[' || v[n] == '{') - (v[n] == ']' || v[n] == '}');
		return n;
	}
	while (n && v[n - 1] == ' ')
		n--;
	return n;
}

/* Values that may be any text, or are names that something else refers to. */
static bool any_word_does(const char *key)
{
	static const char *const free_ones[] = { "text", "advice", "summary", "version", "name", "id", NULL };
	for (unsigned i = 0; free_ones[i]; i++)
		if (strcmp(free_ones[i], key) == 0)
			return true;
	return false;
}

static bool known(const struct field *fields, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(fields[i].name, name) == 0)
			return true;
	return false;
}

/* The first `KEY: VALUE` of every rule type and key. */
static unsigned find_fields(const char *text, struct field *fields)
{
	unsigned n = 0, line = 1;
	char type[40] = "set", key[40];
	for (const char *p = text; *p; p++) {
		if (*p == '\n') {
			line++;
			continue;
		}
		if (*p == '#') {
			p += strcspn(p, "\n") - 1;
			continue;
		}
		if (*p == '"') {
			p = strchr(p + 1, '"');
			continue;
		}
		size_t len = strspn(p, "abcdefghijklmnopqrstuvwxyz_");
		if (!len)
			continue;
		bool is_key = p[len] == ':' && p[len + 1] == ' ' && len < sizeof key;
		snprintf(key, sizeof key, "%.*s", (int)len, p);
		p += len;
		const char *v = p + 1 + strspn(p + 1, " ");
		if (!is_key || *v == '\n' || *v == '#') {
			p--;
			continue;
		}
		if (strcmp(key, "id") == 0)
			snprintf(type, sizeof type, "threshold");
		if (strcmp(key, "type") == 0)
			snprintf(type, sizeof type, "%.*s", (int)value_len(v), v);
		struct field *f = &fields[n];
		snprintf(f->name, sizeof f->name, "%s %s", type, key);
		f->at = (size_t)(v - text);
		f->len = value_len(v);
		f->line = line;
		assert_true(n < KEYS - 1);
		n += !known(fields, n, f->name);
	}
	return n;
}

static void must_be_refused(const char *text, const struct field *f, const char *wrong)
{
	char *changed = malloc(strlen(text) + strlen(wrong) + 1);
	struct vs_findings findings = { 0 };
	struct vs_limit_sets *sets = NULL;
	size_t len = (size_t)sprintf(changed, "%.*s%s%s", (int)f->at, text, wrong, text + f->at + f->len);
	const struct vs_limit_source source = { "wrong.yaml", changed, len };
	int r = vs_limits_load_sources(&source, 1, &sets, &findings);
	bool there = false;
	for (unsigned i = 0; i < findings.len; i++)
		there |= findings.at[i].line == f->line && findings.at[i].text[0];
	if (r == 0 || !there) {
		print_error("line %u, %s: %s: %s\n", f->line, f->name, wrong, r == 0 ? "is taken" : "no finding at its line");
		vs_findings_print(&findings, stderr);
	}
	vs_limits_free(sets);
	vs_findings_clear(&findings);
	free(changed);
	assert_true(r < 0 && there);
}

static void every_field(void **state)
{
	(void)state;
	static struct field fields[KEYS];
	char *text = clinic_copy();
	unsigned n = find_fields(text, fields), words = 0;
	for (unsigned i = 0; i < n; i++) {
		const char *key = strchr(fields[i].name, ' ') + 1;
		must_be_refused(text, &fields[i], "{ what: 1 }");
		if (any_word_does(key))
			continue;
		must_be_refused(text, &fields[i], "banana");
		words++;
	}
	printf("# %u fields\n", n);
	assert_in_range(words, 100, KEYS);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(every_field) };
	return cmocka_run_group_tests_name("limits wrong", tests, NULL, NULL);
}
