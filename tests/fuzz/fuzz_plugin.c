/* One fuzz target for every plugin: VS_FUZZ_PLUGIN in the environment names it.  tests/fuzz/run builds and runs it.
 *
 * The first byte chooses among the values of the plugin's options (low half) and how the rest is cut (high half).
 * Whatever comes: the same readings however the bytes are cut, every byte accounted for, never an SpO2 or a rate of 0,
 * never a number beside a flag that says that it is none. */
#include "plugins/feed.h"
#include "plugins/registry.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OPTIONS_MAX 4

struct seen {
	uint64_t hash, units;
};

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

static void mix(struct seen *s, uint64_t x)
{
	s->hash = (s->hash ^ x) * UINT64_C(0x100000001b3);
}

/* Numbers that stand beside a flag which would void any other: they were measured (core/obs.h). */
static uint64_t allowed(enum vs_metric m)
{
	if (m == VS_CUFF_PRESSURE)
		return VS_FLAG(MEASURING);
	return vs_metric_is_nibp(m) ? VS_FLAG(STALE) : VS_FLAG(SEARCHING);
}

static void check(const struct vs_obs *o, const struct vs_plugin *p)
{
	must(p->metrics >> o->metric & 1, "a metric that the descriptor does not name");
	if (!o->has_value || o->word)
		return;
	must(o->value >= vs_metrics[o->metric].lowest && o->value <= vs_metrics[o->metric].highest, "out of range");
	must(!(o->flags & vs_flags_voiding() & ~allowed(o->metric)), "a number beside a flag that voids it");
	if (o->metric == VS_SPO2 || o->metric == VS_PR || vs_metric_is_nibp(o->metric))
		must(o->value > 0, "0 published as a measurement");
}

static void on_unit(void *ctx, const struct vs_feed *f, uint64_t unit, const struct vs_reading *r)
{
	struct seen *s = ctx;
	must(unit == s->units++, "units are not counted one by one");
	mix(s, f->offset);
	for (unsigned i = 0; i < r->len; i++) {
		const struct vs_obs *o = &r->obs[i];
		uint64_t bits;
		check(o, f->plugin);
		memcpy(&bits, &o->value, sizeof bits);
		mix(s, o->metric);
		mix(s, o->flags ^ (uint64_t)o->device_error << 48);
		mix(s, o->has_value ? bits : 1);
	}
}

static void on_frame(void *ctx, struct vs_feed *f)
{
	uint8_t buf[VS_TX_MAX];
	if (f->plugin->again && f->frames % 4 == 0) { /* polls pass: results of a cuff wait for a witness */
		vs_feed_poll(f, on_unit, ctx);
		must(f->plugin->transmit(f->state, VS_TX_POLL, buf, sizeof buf) <= sizeof buf, "sends too much");
	}
	if (f->plugin->transmit)
		must(f->plugin->transmit(f->state, VS_TX_REPLY, buf, sizeof buf) <= sizeof buf, "sends too much");
}

static size_t piece(size_t cut, size_t left, size_t i)
{
	size_t n = cut == 0 ? left : cut == 1 ? 1 : (i * 7 + cut) % 11 + 1;
	return n < left ? n : left;
}

/* The plugin under test sees its bytes at the end of a block of memory: the sanitizer notices one byte too far, which the
 * feed's own large buffer would hide. */
static const struct vs_plugin *under_test;
static uint8_t frame_block[2 * VS_FRAME_MAX], *const frame_end = frame_block + sizeof frame_block;
static void *state_block;

static int frame_at_end(void *state, const uint8_t *buf, size_t len)
{
	return under_test->frame(state, memcpy(frame_end - len, buf, len), len);
}

static enum vs_decoded decode_at_end(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	return under_test->decode(state, memcpy(frame_end - len, frame, len), len, ret);
}

/* Memory is taken once: taking it anew for each input costs more than the decoding. */
static void choose(const struct vs_plugin *p, struct vs_plugin *wrapped)
{
	free(state_block);
	state_block = malloc(p->state_size + !p->state_size);
	under_test = p;
	*wrapped = *p;
	wrapped->frame = frame_at_end;
	wrapped->decode = decode_at_end;
}

static struct seen run(const struct vs_plugin *p, const struct vs_plugin_setting *settings, const uint8_t *data,
		       size_t size, size_t cut, uint64_t *frames)
{
	static struct vs_feed f;
	struct seen s = { UINT64_C(0xcbf29ce484222325), 0 };
	if (vs_feed_init(&f, p, state_block, settings) == 0) {
		for (size_t at = 0, i = 0; at < size; i++) {
			size_t n = piece(cut, size - at, i);
			vs_feed_bytes(&f, data + at, n, on_unit, on_frame, &s);
			at += n;
		}
		vs_feed_flush(&f, on_unit, on_frame, &s);
		vs_feed_settle(&f, on_unit, &s);
		must(f.offset == size, "bytes are lost from the count");
		must(f.dropped <= size, "more dropped than came");
	}
	*frames = f.frames;
	return s;
}

/* An option of free text takes the same words each time. */
static const char *free_text(const char *option)
{
	return strcmp(option, "registers") == 0 ? "spo2 holding 0 invalid=0; pr holding 1; temp input 3 f32 cdab; flag=motion input 2 bit=3"
						: NULL;
}

/* A value for each option: the choice is taken for the digits of a number. */
static void options(const struct vs_plugin *p, unsigned choice, struct vs_plugin_setting *settings)
{
	for (unsigned i = 0, used = 0; p->options && p->options[i].name && used < OPTIONS_MAX; i++) {
		const struct vs_plugin_option *o = &p->options[i];
		unsigned n = 0;
		while (o->values && o->values[n])
			n++;
		const char *value = n ? o->values[choice % n] : free_text(o->name);
		choice /= n ? n : 1;
		if (value)
			settings[used++] = (struct vs_plugin_setting){ o->name, value };
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vs_plugin plugin;
	const struct vs_plugin *p = under_test;
	struct vs_plugin_setting settings[OPTIONS_MAX + 1] = { { NULL } };
	uint64_t frames, frames_cut;
	const char *name = getenv("VS_FUZZ_PLUGIN");
	if (!p || strcmp(p->name, name) != 0) {
		p = name ? vs_plugin_find(name) : NULL;
		must(p, "VS_FUZZ_PLUGIN must name a plugin");
		choose(p, &plugin);
	}
	if (!size)
		return 0;
	uint8_t choice = data[0];
	options(p, choice & 15, settings);
	struct seen whole = run(&plugin, settings, data + 1, size - 1, 0, &frames);
	struct seen cut = run(&plugin, settings, data + 1, size - 1, 1 + (choice >> 4), &frames_cut);
	must(whole.hash == cut.hash && whole.units == cut.units && frames == frames_cut,
	     "another reading when the bytes are cut otherwise");
	return 0;
}
