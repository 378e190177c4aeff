/* Every plugin on what lines really bring.
 *
 *	test-bad-input PLUGIN VECTORS.json ...      (pairs: all plugins)
 *
 * Each clean vector of a plugin is cut off, split, merged, doubled, broken by a line break, read with wrong line settings
 * and mixed with the bytes of all other devices.  After each, the plugin reads good bytes again, everything
 * is counted, and numbers that were never sent do not appear: none at all, but for what `doubt` says of lines that no
 * decoder could tell from true ones.  And nothing is allocated while bytes are decoded. */
#include "plugins/registry.h"
#include "tests/fuzz/truth.h"
#include "tests/fuzz/vectors.h"

#include <stdlib.h>

#define DEVICES_MAX 64
#define GOOD_MAX 64
#define CLAIM_MAX 130 /* bytes; a device with longer messages has only long messages */

struct good {
	uint8_t *bytes;
	size_t len;
	struct vs_plugin_setting settings[2];
	uint64_t units;
	struct truth truth;
};

static struct device {
	const struct vs_plugin *plugin;
	void *state;
	struct good good[GOOD_MAX];
	size_t n_good;
} devices[DEVICES_MAX];
static size_t n_devices;
static struct vs_feed feed;

/* ---- nothing is allocated */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static volatile bool decoding; /* what malloc does may not be known to the compiler better than to us */
static volatile unsigned long allocations;

void *__wrap_malloc(size_t n)
{
	allocations += decoding;
	return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	allocations += decoding;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	allocations += decoding;
	return __real_realloc(p, n);
}

/* The counter itself works. */
static bool counts_allocations(void)
{
	decoding = true;
	void *volatile p = malloc(1);
	free(p);
	decoding = false;
	bool ok = allocations == 1;
	allocations = 0;
	return ok;
}

/* ---- feeding */

static uint64_t fed; /* bytes, of which every one must be accounted for */

static void begin(struct device *d, const struct good *g, struct truth *t)
{
	vs_feed_init(&feed, d->plugin, d->state, g->settings);
	*t = g->truth;
	truth_counts(t);
	fed = 0;
}

/* What a plugin has to answer is part of its work on a line. */
static void on_frame(void *ctx, struct vs_feed *f)
{
	uint8_t answer[VS_TX_MAX];
	(void)ctx;
	if (f->plugin->transmit)
		f->plugin->transmit(f->state, VS_TX_REPLY, answer, sizeof answer);
}

static void give(const uint8_t *bytes, size_t len, struct truth *t)
{
	decoding = true;
	vs_feed_bytes(&feed, bytes, len, truth_on_unit, on_frame, t);
	decoding = false;
	fed += len;
}

static void give_good(const struct good *g, struct truth *t)
{
	give(g->bytes, g->len, t);
}

static void silence(struct truth *t)
{
	decoding = true;
	vs_feed_flush(&feed, truth_on_unit, on_frame, t);
	decoding = false;
}

/* Good bytes twice after what was bad, and as many as a false start may have claimed: of the last time everything is read. */
static bool is_back(const struct good *g, struct truth *t)
{
	uint64_t from = fed;
	do
		give_good(g, t);
	while (fed - from < CLAIM_MAX);
	uint64_t before = t->units;
	give_good(g, t);
	return t->units - before >= g->units && feed.offset + vs_feed_waiting(&feed) == fed;
}

/* ---- what may go wrong: each returns false when the plugin does not come back; numbers never sent are in t->wrong */

typedef bool story_fn(struct device *d, const struct good *g, struct truth *t);

static bool truncated(struct device *d, const struct good *g, struct truth *t)
{
	uint64_t wrong = 0;
	for (size_t n = 1; n < g->len; n++) {
		begin(d, g, t);
		give(g->bytes, n, t);
		if (!is_back(g, t))
			return false;
		wrong += t->wrong;
	}
	t->wrong = wrong;
	return true;
}

static bool split_anywhere(struct device *d, const struct good *g, struct truth *t)
{
	for (size_t n = 1; n < g->len; n++) {
		begin(d, g, t);
		give(g->bytes, n, t);
		give(g->bytes + n, g->len - n, t);
		if (t->units != g->units || feed.dropped || feed.rejected)
			return false;
	}
	return true;
}

static bool merged_and_doubled(struct device *d, const struct good *g, struct truth *t)
{
	static uint8_t twice[2 * SEED_MAX];
	begin(d, g, t);
	memcpy(twice, g->bytes, g->len);
	memcpy(twice + g->len, g->bytes, g->len);
	give(twice, 2 * g->len, t);
	return t->units == 2 * g->units && !feed.dropped && !feed.rejected;
}

/* A break reads as a byte 0, here between any two bytes. */
static bool a_break(struct device *d, const struct good *g, struct truth *t)
{
	uint64_t wrong = 0;
	for (size_t n = 0; n <= g->len; n++) {
		begin(d, g, t);
		give(g->bytes, n, t);
		give((const uint8_t[]){ 0 }, 1, t);
		give(g->bytes + n, g->len - n, t);
		if (!is_back(g, t))
			return false;
		wrong += t->wrong;
	}
	t->wrong = wrong;
	return true;
}

/* A line that is cut off and silent: what waits is let go, and counted. */
static bool silence_in_a_frame(struct device *d, const struct good *g, struct truth *t)
{
	uint64_t wrong = 0;
	for (size_t n = 1; n < g->len; n++) {
		begin(d, g, t);
		give(g->bytes, n, t);
		silence(t);
		if (vs_feed_waiting(&feed) || feed.offset != n)
			return false;
		uint64_t before = t->units;
		give_good(g, t);
		if (t->units - before < g->units)
			return false;
		wrong += t->wrong;
	}
	t->wrong = wrong;
	return true;
}

/* The line's bits as a receiver of another speed sees them: start bit, 8 bits from the lowest, stop bit, then idle. */
static size_t at_other_speed(const uint8_t *in, size_t len, unsigned sent, unsigned received, uint8_t *out, size_t cap)
{
	size_t bits = len * 10 * sent, n = 0; /* time in parts of a bit: a sent bit is `sent` long, a received one `received` */
	for (size_t at = 0; at + 10 * received < bits && n < cap;) {
		unsigned byte = 0;
#define LEVEL(t) (((unsigned)in[(t) / sent / 10] << 1 | 0x200) >> (t) / sent % 10 & 1)
		if (LEVEL(at)) {
			at++;
			continue;
		}
		for (unsigned b = 0; b < 8; b++)
			byte |= LEVEL(at + received + received / 2 + b * received) << b;
#undef LEVEL
		out[n++] = (uint8_t)byte;
		at += 10 * received - received / 2;
	}
	return n;
}

static bool wrong_speed(struct device *d, const struct good *g, struct truth *t)
{
	static const unsigned ratios[][2] = { { 4, 8 }, { 8, 4 }, { 4, 16 }, { 16, 4 } };
	static uint8_t seen[8 * SEED_MAX];
	uint64_t wrong = 0;
	for (size_t i = 0; i < sizeof ratios / sizeof ratios[0]; i++) {
		size_t n = at_other_speed(g->bytes, g->len, ratios[i][0], ratios[i][1], seen, sizeof seen);
		begin(d, g, t);
		for (int k = 0; k < 20; k++)
			give(seen, n, t);
		wrong += t->wrong;
		if (!is_back(g, t))
			return false;
	}
	t->wrong = wrong;
	return true;
}

/* Seven data bits, and a parity bit where the eighth belongs. */
static bool wrong_parity(struct device *d, const struct good *g, struct truth *t)
{
	static uint8_t seen[SEED_MAX];
	uint64_t wrong = 0;
	for (unsigned odd = 0; odd < 3; odd++) {
		for (size_t i = 0; i < g->len; i++) {
			uint8_t low = g->bytes[i] & 0x7F;
			seen[i] = odd == 2 ? low : low | (uint8_t)((__builtin_popcount(low) + odd) % 2 << 7);
		}
		begin(d, g, t);
		for (int k = 0; k < 20; k++)
			give(seen, g->len, t);
		wrong += t->wrong;
		if (!is_back(g, t))
			return false;
	}
	t->wrong = wrong;
	return true;
}

/* Two devices on one line, message by message. */
static bool interleaved(struct device *d, const struct good *g, struct truth *t)
{
	uint64_t wrong = 0;
	for (size_t k = 0; k < n_devices; k++)
		for (size_t i = 0; devices + k != d && i < devices[k].n_good; i++) {
			begin(d, g, t);
			give_good(g, t);
			uint64_t before = t->wrong;
			give_good(&devices[k].good[i], t);
			give_good(g, t);
			give_good(&devices[k].good[i], t);
			if (!is_back(g, t))
				return false;
			wrong += t->wrong - before;
		}
	t->wrong = wrong;
	return true;
}

/* Another model is plugged in without a word. */
static bool another_model(struct device *d, const struct good *g, struct truth *t)
{
	uint64_t wrong = 0;
	for (size_t k = 0; k < n_devices; k++)
		for (size_t i = 0; devices + k != d && i < devices[k].n_good; i++) {
			begin(d, g, t);
			give_good(g, t);
			uint64_t frames = feed.frames;
			for (int n = 0; n < 20; n++)
				give_good(&devices[k].good[i], t);
			silence(t);
			if (feed.frames == frames && feed.dropped + vs_feed_waiting(&feed) < devices[k].good[i].len)
				return false; /* not understood, and not counted either */
			wrong += t->wrong;
			if (!is_back(g, t))
				return false;
		}
	t->wrong = wrong;
	return true;
}

/* ---- what no decoder can tell */

enum { LINE = 1, OTHERS = 2, SEVEN_BITS = 4, DATAGRAMS = 8 };

/* OTHERS: bytes of another device that are good frames of this one as well, or that no checksum tells apart.
 * LINE: a byte that came otherwise looks like one that was sent.  SEVEN_BITS: a sum of eight bits fits as well when each byte
 * has lost its highest.  DATAGRAMS: not on a line; a message comes whole or not at all. */
static const struct {
	const char *plugin;
	unsigned doubt;
	const char *why;
} doubts[] = {
	{ "nonin-df2", OTHERS, "a packet of format 7 is one of format 2 when its pleth begins with 01" },
	{ "nonin-df7", OTHERS, "a packet of format 2 is one of format 7" },
	{ "nonin-df1", OTHERS | LINE, "three bytes, no checksum" },
	{ "nonin-df8", OTHERS | LINE, "four bytes, no checksum" },
	{ "cms50-5byte", OTHERS | LINE, "five bytes, no checksum" },
	{ "contec-v7", OTHERS | LINE, "nine bytes, no checksum" },
	{ "ge-dri", SEVEN_BITS, "every second of such records keeps its sum; the line has eight data bits" },
	{ "philips-intellivue-lan", OTHERS | DATAGRAMS, "the messages of the serial port without their frames" },
};

static unsigned doubt_of(const struct vs_plugin *p)
{
	for (size_t i = 0; i < sizeof doubts / sizeof doubts[0]; i++)
		if (strcmp(doubts[i].plugin, p->name) == 0)
			return doubts[i].doubt;
	return 0;
}

static const struct {
	story_fn *fn;
	bool on_lines;  /* cannot happen to datagrams */
	unsigned doubt; /* numbers that were never sent are only counted where the plugin has this doubt */
	const char *name;
} stories[] = {
	{ truncated, true, LINE, "cut off at every byte" },
	{ split_anywhere, false, 0, "split at every byte" },
	{ merged_and_doubled, false, 0, "two messages in one read" },
	{ a_break, true, LINE, "a break at every byte" },
	{ silence_in_a_frame, true, 0, "silence in every frame" },
	{ wrong_speed, true, LINE, "another speed" },
	{ wrong_parity, true, LINE | SEVEN_BITS, "another parity" },
	{ interleaved, true, OTHERS, "mixed with another device's bytes" },
	{ another_model, false, OTHERS, "another model from one moment on" },
};

static bool tell(struct device *d, size_t story, unsigned number)
{
	struct truth t;
	uint64_t wrong = 0;
	const char *stuck = NULL;
	char at[64] = "";
	if (stories[story].on_lines && doubt_of(d->plugin) & DATAGRAMS) {
		printf("ok %u - %s, %s: # SKIP a message comes whole or not at all\n", number, d->plugin->name,
		       stories[story].name);
		return true;
	}
	for (size_t i = 0; i < d->n_good && !stuck; i++) {
		if (!stories[story].fn(d, &d->good[i], &t))
			stuck = "does not come back";
		wrong += t.wrong;
		snprintf(at, sizeof at, " (clean vector %zu)", i);
	}
	bool tolerated = stories[story].doubt & doubt_of(d->plugin);
	bool ok = !stuck && (!wrong || tolerated);
	printf("%sok %u - %s, %s: %s%s", ok ? "" : "not ", number, d->plugin->name, stories[story].name,
	       stuck ? stuck : "comes back", stuck ? at : "");
	if (wrong)
		printf(", %llu numbers that were never sent", (unsigned long long)wrong);
	putchar('\n');
	return ok;
}

/* ---- the clean vectors */

static void take_vector(struct device *d, const json_t *v, const uint8_t *bytes, size_t len)
{
	const char *dialect = json_string_value(json_object_get(v, "dialect"));
	struct good g = { .len = len, .settings = { { dialect ? "dialect" : NULL, dialect } }, .truth = { .learning = true } };
	if (!len || d->n_good == GOOD_MAX || json_object_get(v, "options"))
		return;
	if (strncmp(json_string_value(json_object_get(v, "name")), "partial", 7) == 0)
		return; /* begins within a line: its start and its end together are a true line */
	vs_feed_init(&feed, d->plugin, d->state, g.settings);
	vs_feed_bytes(&feed, bytes, len, truth_on_unit, NULL, &g.truth);
	if (!feed.units || feed.dropped || feed.rejected || vs_feed_waiting(&feed) || !g.truth.len)
		return;
	g.units = feed.units;
	g.bytes = malloc(len); /* exactly as long, so that the sanitizer sees a read beyond it */
	memcpy(g.bytes, bytes, len);
	d->good[d->n_good++] = g;
}

int main(int argc, char **argv)
{
	static uint8_t bytes[SEED_MAX];
	unsigned number = 0, bad = 0;
	json_t *files[DEVICES_MAX];
	for (int i = 1; i + 1 < argc && n_devices < DEVICES_MAX; i += 2) {
		struct device *d = &devices[n_devices];
		json_error_t error;
		d->plugin = vs_plugin_find(argv[i]);
		files[n_devices] = json_load_file(argv[i + 1], 0, &error);
		if (!d->plugin || !files[n_devices]) {
			printf("Bail out! %s\n", argv[i]);
			return 1;
		}
		d->state = calloc(1, d->plugin->state_size + 1);
		for (size_t k = 0; k < json_array_size(files[n_devices]); k++)
			take_vector(d, json_array_get(files[n_devices], k), bytes, seed_bytes(files[n_devices], k, bytes));
		n_devices++;
	}
	printf("1..%zu\n", n_devices * (1 + sizeof stories / sizeof stories[0]) + 1);
	for (size_t i = 0; i < n_devices; i++) {
		bool ok = devices[i].n_good > 0;
		bad += !ok;
		printf("%sok %u - %s: %zu clean vectors\n", ok ? "" : "not ", ++number, devices[i].plugin->name, devices[i].n_good);
		for (size_t k = 0; k < sizeof stories / sizeof stories[0]; k++)
			bad += !tell(&devices[i], k, ++number);
	}
	unsigned long seen = allocations;
	bool ok = seen == 0 && counts_allocations();
	printf("%sok %u - nothing is allocated while bytes are decoded (%lu)\n", ok ? "" : "not ", ++number, seen);
	bad += !ok;
	for (size_t i = 0; i < n_devices; i++) {
		for (size_t k = 0; k < devices[i].n_good; k++)
			free(devices[i].good[k].bytes);
		free(devices[i].state);
		json_decref(files[i]);
	}
	return bad > 0;
}
