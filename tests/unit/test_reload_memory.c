/* Memory that runs out while a new configuration takes the place of the old one: whichever allocation fails, it is said, each chair that
 * is there goes on with what it stands on (the address sanitizer watches), and the next reload brings everything into force. */
#include "config_files.h"

#include <errno.h>

#include "chair_alone.h"
#include "config/presets.h"
#include "daemon/retention.h"
#include "no_memory.h"

int vs_store_limits(struct vs_store *s, const struct vs_store_set *sets, unsigned n)
{
	(void)s, (void)sets, (void)n;
	return 0;
}

void vs_daemon_say_policy(struct vs_daemon *d)
{
	(void)d;
}

void vs_daemon_say_retention(struct vs_daemon *d)
{
	(void)d;
}

#define BEGIN                                                                                                          \
	"site: s\nlog: { path: /l }\npublish: { events: [ \"ipc:///e\" ], query: [ \"ipc:///q\" ] }\nlimit_files: [ limits.yaml ]\nchairs:\n"
#define OXIMETER "      - { id: o, plugin: nonin-df2, serial: { path: /dev/ttyS0 } }\n"
#define CUFF "      - { id: bp, plugin: suntech-nibp, serial: { path: /dev/ttyS1 } }\n"
#define SECOND_CUFF "      - { id: bp2, plugin: par-nibp, serial: { path: /dev/ttyS2 } }\n"

/* One chair changes its limits and a device, one goes, one comes. */
static const char before[] = BEGIN
	"  - id: a\n    limits: ketamine-adult\n    devices:\n" OXIMETER CUFF
	"  - id: gone\n    limits: ketamine-adult\n    devices:\n" SECOND_CUFF;
static const char after[] = BEGIN
	"  - id: new\n    limits: ketamine-adult\n    devices:\n" CUFF
	"  - id: a\n    limits: mine\n    devices:\n" SECOND_CUFF OXIMETER;

static uv_loop_t loop;

static void begin(struct vs_daemon *d)
{
	struct vs_findings f = { 0 };
	*d = (struct vs_daemon){ .loop = &loop, .epoch = 1, .next_alarm = 1 };
	assert_int_equal(vs_config_load(put_file("config.yaml", before), &d->config, &f), 0);
	const char *const files[] = { d->config->limit_files[0] };
	assert_int_equal(vs_limits_load(files, 1, &d->sets, &f), 0);
	assert_int_equal(vs_presets_load(NULL, 0, &d->session_data, &f), 0);
	d->n_chairs = d->config->n_chairs;
	d->chairs = calloc(d->n_chairs, sizeof(struct vs_chair *));
	for (unsigned i = 0; i < d->n_chairs; i++) {
		d->chairs[i] = vs_chair_create(d, &d->config->chairs[i], vs_limits_find(d->sets, VS_LIMITS_DEFAULT));
		vs_chair_start(d->chairs[i], NULL, 0, VS_BLIND_NOT);
	}
	put_file("config.yaml", after);
}

/* Everything a chair stands on is looked at. */
static void live(struct vs_daemon *d)
{
	uv_run(&loop, UV_RUN_NOWAIT); /* what was closed is gone */
	for (unsigned i = 0; i < d->n_chairs; i++) {
		struct vs_chair *c = d->chairs[i];
		char text[65536];
		struct vs_json j = vs_json_into(text, sizeof text);
		struct vs_stimulus pause = { .kind = VS_ST_PAUSE, .operator = "anna" };
		for (unsigned k = 0; k < c->n_devices; k++) {
			assert_non_null(c->devices[k]->config->id);
			chair_alone_ops->status(c->devices[k], VS_DEVICE_OFFLINE, "unplugged");
			chair_alone_ops->status(c->devices[k], VS_DEVICE_ONLINE, "");
		}
		vs_chair_step(c, &pause);
		vs_chair_alive(c);
		vs_chair_snapshot(c, &j);
		assert_false(vs_json_failed(&j));
	}
}

static void end(struct vs_daemon *d)
{
	for (unsigned i = 0; i < d->n_chairs; i++)
		vs_chair_close(d->chairs[i]);
	uv_run(&loop, UV_RUN_NOWAIT);
	for (struct vs_retired *r; (r = d->retired);) {
		d->retired = r->next;
		free(r);
	}
	free(d->chairs);
	vs_config_free(d->config);
	vs_limits_free(d->sets);
	vs_presets_free(d->session_data);
}

static void is_in_force(const struct vs_daemon *d)
{
	assert_int_equal(d->n_chairs, 2);
	assert_string_equal(d->chairs[0]->id, "new");
	assert_string_equal(d->chairs[1]->id, "a");
	assert_string_equal(d->chairs[1]->limits, "mine");
	assert_string_equal(d->chairs[1]->devices[0]->config->id, "bp2");
	assert_string_equal(d->chairs[1]->devices[1]->config->id, "o");
}

/* How many allocations a reload makes; which of them fails: `n`, -1: none. */
static long reload(long n)
{
	struct vs_daemon d;
	begin(&d);
	struct vs_config *old_config = d.config;
	struct vs_limit_sets *old_sets = d.sets;
	struct vs_session_data *old_data = d.session_data;
	unsigned said = chair_alone_errors;
	out_of_memory_at(n);
	int r = vs_daemon_reload(&d);
	long made = allocations;
	out_of_memory_at(-1);
	if (r < 0)
		assert_true(chair_alone_errors > said);
	else
		is_in_force(&d);
	live(&d);
	bool stands = r < 0 && d.config != old_config; /* a chair stands on the old one */
	assert_int_equal(vs_daemon_reload(&d), 0);
	is_in_force(&d);
	live(&d);
	end(&d);
	if (stands) {
		vs_config_free(old_config);
		vs_limits_free(old_sets);
		vs_presets_free(old_data);
	}
	return made;
}

static void each_allocation_fails_once(void **state)
{
	(void)state;
	long all = reload(-1), last = all > 40 ? all - 40 : 0; /* the last ones are those of the chairs; before them all is read */
	assert_true(all > 100);
	for (long n = 0; n < last; n += 1 + all / 50)
		reload(n);
	for (long n = last; n < all; n++)
		reload(n);
}

static int make_limits(void **state)
{
	int r = make_folder(state);
	if (!r)
		put_file("limits.yaml",
			 "sets: [ { name: mine, rules: [ { id: x, metric: hr, when: above, limit: 120, priority: low } ] } ]\n");
	return r;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_allocation_fails_once) };
	if (uv_loop_init(&loop) < 0)
		return 1;
	return cmocka_run_group_tests_name("a reload without memory", tests, make_limits, remove_folder);
}
