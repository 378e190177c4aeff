/* Memory that runs out while a configuration is read: -ENOMEM, nothing lost (the address sanitizer watches), and never a
 * configuration with a piece missing or a wrong file that passes for a right one. */
#include "config_files.h"

#include <errno.h>

#include "config/config.h"
#include "no_memory.h"

static const char right[] =
	"site: s\nlog: { path: /l }\nlimit_files: [ limits.yaml ]\n"
	"publish: { events: [ \"ipc:///e\" ], query: [ \"tcp://*:1\" ] }\n"
	"chairs:\n  - id: a\n    limits: mine\n    devices:\n"
	"      - { id: o, plugin: nonin-df2, serial: { path: /dev/ttyS0 }, options: { dialect: oem3 } }\n"
	"      - { id: p, plugin: modbus, rtu: { path: /dev/ttyS1 }, profile: ./profile.yaml }\n"
	"      - { id: q, plugin: modbus, tcp: { host: h }, registers: [ { metric: spo2, table: input, address: 1 } ] "
	"}\n";

static const char wrong[] =
	"site: [ s ]\nlog: { path: /l, custody: 1 }\nlimit_files: [ limits.yaml ]\nnonsense: 1\n"
	"chairs:\n  - id: A\n    limits: nine\n    devices:\n"
	"      - { id: o, plugin: nonin, serial: { path: x } }\n"
	"      - { id: p, plugin: modbus, rtu: { path: /dev/ttyS1 }, profile: ./profile.yaml, unit: 999 }\n";

/* Fails every allocation in turn (further on, one in fifty of them), until none is left to fail. */
static void story(const char *text, int without_failure)
{
	const char *file = put_file("config.yaml", text);
	long n = 0;
	for (bool failed = true; failed; n += 1 + n / 50) {
		struct vs_findings f = { 0 };
		struct vs_config *c = NULL;
		out_of_memory_at(n);
		int r = vs_config_load(file, &c, &f);
		failed = allocations > n;
		out_of_memory_at(-1);
		vs_findings_clear(&f);
		assert_true(!r == !!c);
		vs_config_free(c);
		if (r != (failed ? -ENOMEM : without_failure))
			fail_msg("allocation %ld failed: %d", n, r);
	}
	assert_true(n > 100);
}

static int make_files(void **state)
{
	int r = make_folder(state);
	if (!r) {
		put_file("limits.yaml", "sets: [ { name: mine, rules: [ { id: x, metric: hr, when: above, limit: 120, "
					"priority: low } ] } ]\n");
		put_file("profile.yaml", "summary: p\nregisters: [ { metric: rr, table: input, address: 1 } ]\n");
	}
	return r;
}

static void a_right_file_is_whole_or_refused(void **state)
{
	(void)state;
	story(right, 0);
}

static void a_wrong_file_never_passes(void **state)
{
	(void)state;
	story(wrong, -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_right_file_is_whole_or_refused),
		cmocka_unit_test(a_wrong_file_never_passes),
	};
	return cmocka_run_group_tests_name("configuration without memory", tests, make_files, remove_folder);
}
