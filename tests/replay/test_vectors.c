/* Runs the vectors of one plugin: bytes of a device, and exactly the observations they must become.
 *
 *	test-vectors PLUGIN FILE.json      (the fields are described in plugins/README.md)
 *
 * Every vector is fed whole, byte by byte, and in its own chunks where it has some: values, units' numbers and offsets
 * must be the same each time.  A vector of direction "tx" holds bytes that the plugin must send in some situation. */
#include "core/event.h"
#include "plugins/feed.h"
#include "plugins/registry.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SEEN_MAX 512
#define BYTES_MAX 65536

struct seen {
	uint64_t unit, offset;
	enum vs_metric metric;
	bool has_value;
	double value;
	const char *word;
	char flags[256]; /* sorted by bit: "motion spo2_low" */
};

struct run {
	struct seen at[SEEN_MAX];
	size_t len;
	uint64_t units;
};

static char why[1024]; /* what the vector fails by */

static bool fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static bool fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);
	return false;
}

static void on_unit(void *ctx, const struct vs_feed *f, uint64_t unit, const struct vs_reading *r)
{
	struct run *run = ctx;
	run->units++;
	for (unsigned i = 0; i < r->len && run->len < SEEN_MAX; i++) {
		const struct vs_obs *o = &r->obs[i];
		struct seen *s = &run->at[run->len++];
		*s = (struct seen){ unit, f->offset, o->metric, o->has_value, o->value, o->word, "" };
		char name[64];
		size_t len = 0;
		for (unsigned flag = 0; flag < 64; flag++)
			if ((o->flags | r->flags) >> flag & 1 && vs_obs_flag_text(r, o, flag, name))
				len += (size_t)snprintf(s->flags + len, sizeof s->flags - len, "%s ", name);
	}
}

static size_t from_hex(const char *hex, uint8_t *bytes)
{
	size_t n = 0;
	unsigned byte;
	while (n < BYTES_MAX && sscanf(hex + 2 * n, "%2x", &byte) == 1)
		bytes[n++] = (uint8_t)byte;
	return n;
}

#define SETTINGS_MAX 8

/* "dialect": "oem3", and "options": {"spo2": "yes"} */
static void settings_of(const json_t *v, struct vs_plugin_setting *settings)
{
	const char *dialect = json_string_value(json_object_get(v, "dialect")), *name;
	json_t *value;
	size_t n = 0;
	if (dialect)
		settings[n++] = (struct vs_plugin_setting){ "dialect", dialect };
	json_object_foreach(json_object_get(v, "options"), name, value)
		if (n < SETTINGS_MAX)
			settings[n++] = (struct vs_plugin_setting){ name, json_string_value(value) };
	settings[n] = (struct vs_plugin_setting){ NULL, NULL };
}

/* chunk 0: the vector's own chunks. */
static bool feed(const struct vs_plugin *p, const json_t *v, const uint8_t *bytes, size_t len, size_t chunk,
		 struct run *run)
{
	struct vs_plugin_setting settings[SETTINGS_MAX + 1];
	settings_of(v, settings);
	void *state = calloc(1, p->state_size + 1);
	struct vs_feed *f = malloc(sizeof *f);
	memset(run, 0, sizeof *run);
	bool ok = vs_feed_init(f, p, state, settings) == 0 || fail("init refuses the dialect");
	const json_t *chunks = json_object_get(v, "chunks");
	for (size_t at = 0, i = 0; ok && at < len; i++) {
		size_t n = chunk ? chunk : (size_t)json_integer_value(json_array_get(chunks, i));
		if (n == 0 || n > len - at)
			n = len - at;
		uint8_t *exact = malloc(n); /* so that the sanitizer sees a read beyond it */
		memcpy(exact, bytes + at, n);
		vs_feed_bytes(f, exact, n, on_unit, NULL, run);
		free(exact);
		at += n;
	}
	free(f);
	free(state);
	return ok;
}

static bool same_flags(const json_t *flags, const char *seen)
{
	size_t len = 0;
	for (size_t i = 0; i < json_array_size(flags); i++) {
		const char *flag = json_string_value(json_array_get(flags, i));
		const char *at = strstr(seen, flag);
		size_t n = strlen(flag);
		while (at && ((at != seen && at[-1] != ' ') || at[n] != ' '))
			at = strstr(at + 1, flag);
		if (!at)
			return false;
		len += n + 1;
	}
	return len == strlen(seen);
}

static bool same_value(const json_t *value, const struct seen *s)
{
	if (json_is_string(value))
		return s->word && strcmp(s->word, json_string_value(value)) == 0;
	if (json_is_null(value))
		return !s->has_value;
	return s->has_value && !s->word && fabs(s->value - json_number_value(value)) < 0.001;
}

static bool same_unit(const json_t *unit, const struct seen *s)
{
	const char *u = json_is_string(unit) ? json_string_value(unit) : "";
	return strcmp(u, vs_metrics[s->metric].unit) == 0;
}

static bool expected(const json_t *e, const struct run *run)
{
	long long unit = json_integer_value(json_object_get(e, "t_offset_frames"));
	const char *metric = json_string_value(json_object_get(e, "metric"));
	for (size_t i = 0; i < run->len; i++) {
		const struct seen *s = &run->at[i];
		if ((long long)s->unit != unit || strcmp(vs_metrics[s->metric].name, metric) != 0)
			continue;
		if (!same_value(json_object_get(e, "value"), s) || !same_unit(json_object_get(e, "unit"), s))
			return fail("unit %lld %s: got %s%g", unit, metric, s->has_value ? "" : "no value ", s->value);
		if (!same_flags(json_object_get(e, "flags"), s->flags))
			return fail("unit %lld %s: flags are '%s'", unit, metric, s->flags);
		return true;
	}
	return fail("unit %lld has no %s", unit, metric);
}

static bool compare(const json_t *v, const struct run *run)
{
	const json_t *expect = json_object_get(v, "expect"), *e, *units = json_object_get(v, "units_ok");
	size_t i;
	json_array_foreach(expect, i, e)
		if (!expected(e, run))
			return false;
	if (json_array_size(expect) != run->len)
		return fail("%zu observations instead of %zu", run->len, json_array_size(expect));
	if (units && run->units != (uint64_t)json_integer_value(units))
		return fail("%llu units", (unsigned long long)run->units);
	json_array_foreach(json_object_get(v, "absent_flags"), i, e)
		for (size_t k = 0; k < run->len; k++)
			if (strstr(run->at[k].flags, json_string_value(e)))
				return fail("flag %s must not appear", json_string_value(e));
	json_array_foreach(json_object_get(v, "must_not_emit"), i, e)
		for (size_t k = 0; k < run->len; k++)
			if (run->at[k].word && strstr(run->at[k].word, json_string_value(e)))
				return fail("%s must not be published", json_string_value(e));
	return true;
}

static bool same_run(const struct run *a, const struct run *b, const char *how)
{
	if (a->len != b->len || a->units != b->units)
		return fail("%s: %zu observations instead of %zu", how, b->len, a->len);
	for (size_t i = 0; i < a->len; i++)
		if (a->at[i].unit != b->at[i].unit || a->at[i].offset != b->at[i].offset ||
		    a->at[i].value != b->at[i].value || strcmp(a->at[i].flags, b->at[i].flags) != 0)
			return fail("%s: observation %zu is another one", how, i);
	return true;
}

static bool received(const struct vs_plugin *p, const json_t *v, const uint8_t *bytes, size_t len)
{
	static struct run whole, cut;
	static const size_t sizes[] = { 1, 2, 3, 7, 0 };
	if (!feed(p, v, bytes, len, len, &whole) || !compare(v, &whole))
		return false;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		char how[32];
		snprintf(how, sizeof how, sizes[i] ? "%zu bytes at a time" : "in its chunks", sizes[i]);
		if (!feed(p, v, bytes, len, sizes[i], &cut) || !same_run(&whole, &cut, how))
			return false;
	}
	return true;
}

/* Everything that a plugin sends, in every situation, under one set of options. */
struct asked {
	const struct vs_plugin *plugin;
	void *state;
	const uint8_t *wanted;
	size_t len;
	bool found;
};

static void ask(struct asked *a, enum vs_transmit_why reason)
{
	uint8_t buf[VS_TX_MAX];
	size_t n = a->plugin->transmit ? a->plugin->transmit(a->state, reason, buf, sizeof buf) : 0;
	if (n && memmem(buf, n, a->wanted, a->len))
		a->found = true;
}

static void on_frame(void *ctx, struct vs_feed *f)
{
	(void)f;
	ask(ctx, VS_TX_REPLY);
}

static void on_any(void *ctx, const struct vs_feed *f, uint64_t unit, const struct vs_reading *r)
{
	(void)ctx, (void)f, (void)unit, (void)r;
}

static void talk(struct asked *a, const json_t *vectors, const struct vs_plugin_setting *settings)
{
	static const enum vs_transmit_why order[] = { VS_TX_CONNECT, VS_TX_POLL, VS_TX_POLL,      VS_TX_NIBP,
						      VS_TX_POLL,    VS_TX_POLL, VS_TX_NIBP_STOP, VS_TX_POLL };
	static uint8_t bytes[BYTES_MAX];
	struct vs_feed *f = malloc(sizeof *f);
	size_t i;
	const json_t *v;
	a->state = calloc(1, a->plugin->state_size + 1);
	if (vs_feed_init(f, a->plugin, a->state, settings) == 0)
		for (size_t k = 0; k < sizeof order / sizeof order[0]; k++) {
			ask(a, order[k]);
			json_array_foreach(vectors, i, v) {
				if (json_object_get(v, "direction"))
					continue;
				size_t n = from_hex(json_string_value(json_object_get(v, "bytes_hex")), bytes);
				vs_feed_bytes(f, bytes, n, on_any, on_frame, a);
				ask(a, VS_TX_POLL);
			}
		}
	free(a->state);
	free(f);
}

static bool sent(const struct vs_plugin *p, const json_t *vectors, const uint8_t *bytes, size_t len)
{
	struct asked a = { p, NULL, bytes, len, false };
	struct vs_plugin_setting settings[2] = { { NULL } };
	talk(&a, vectors, settings);
	for (const struct vs_plugin_option *o = p->options; o && o->name; o++)
		for (size_t i = 0; o->values && o->values[i]; i++) {
			settings[0] = (struct vs_plugin_setting){ o->name, o->values[i] };
			talk(&a, vectors, settings);
		}
	return a.found || fail("these bytes are never sent");
}

int main(int argc, char **argv)
{
	static uint8_t bytes[BYTES_MAX];
	const struct vs_plugin *p = argc == 3 ? vs_plugin_find(argv[1]) : NULL;
	json_error_t error;
	json_t *vectors = p ? json_load_file(argv[2], 0, &error) : NULL, *v;
	if (!json_array_size(vectors)) {
		printf("Bail out! %s\n", p ? error.text : "no such plugin");
		return 1;
	}
	size_t i, bad = 0;
	printf("1..%zu\n", json_array_size(vectors) + 1);
	const char *fault = vs_plugin_fault(p);
	printf("%sok 1 - the descriptor is sound\n", fault ? "not " : "");
	json_array_foreach(vectors, i, v) {
		size_t len = from_hex(json_string_value(json_object_get(v, "bytes_hex")), bytes);
		bool ok = json_object_get(v, "direction") ? sent(p, vectors, bytes, len) : received(p, v, bytes, len);
		bad += !ok;
		printf("%sok %zu - %s: %s\n", ok ? "" : "not ", i + 2, json_string_value(json_object_get(v, "name")),
		       json_string_value(json_object_get(v, "why")));
		if (!ok)
			printf("# %s\n", why);
	}
	json_decref(vectors);
	return bad || fault;
}
