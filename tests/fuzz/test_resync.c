/* What noise does to every plugin, measured on its own vectors.
 *
 *	test-resync PLUGIN VECTORS.json [FRAMES]
 *
 * 1. After garbage of any length a decoder is right again after at most two good frames.
 * 2. With 1 % of all bytes replaced by random ones: how many published numbers were never sent?  Printed for each
 *    million frames.  A sum of 8 bits lets one pair of errors in 256 pass, so the bound with a checksum is small and
 *    not 0; without one a changed digit cannot be seen by anybody and only the figure is printed. */
#include "plugins/registry.h"
#include "tests/fuzz/truth.h"
#include "tests/fuzz/vectors.h"

#include <math.h>
#include <stdlib.h>

#define GARBAGE_RUNS 200
#define GARBAGE_MAX 700
#define STREAM_FRAMES 20000 /* unless told otherwise */

struct bench {
	const struct vs_plugin *plugin;
	struct vs_feed feed;
	void *state;
	struct vs_plugin_setting settings[2]; /* the dialect of the good bytes */
	uint8_t good[SEED_MAX]; /* one vector that is all good frames */
	size_t good_len;
	uint64_t good_units, good_frames;
};

static void start(struct bench *b)
{
	vs_feed_init(&b->feed, b->plugin, b->state, b->settings);
}

static void set_dialect(struct bench *b, const json_t *v)
{
	const char *dialect = json_string_value(json_object_get(v, "dialect"));
	b->settings[0] = (struct vs_plugin_setting){ dialect ? "dialect" : NULL, dialect };
}

/* Everything is consumed, nothing dropped or rejected, and numbers are in it. */
static bool is_clean(struct bench *b, const uint8_t *bytes, size_t len)
{
	struct truth t = { .learning = true };
	start(b);
	vs_feed_bytes(&b->feed, bytes, len, truth_on_unit, NULL, &t);
	return b->feed.units && !b->feed.dropped && !b->feed.rejected && !vs_feed_waiting(&b->feed) && t.len;
}

/* The vector with most units and without noise in it. */
static bool find_good(struct bench *b, const json_t *vectors)
{
	static uint8_t bytes[SEED_MAX];
	const json_t *best = NULL, *v;
	size_t i;
	json_array_foreach(vectors, i, v) {
		size_t len = seed_bytes(vectors, i, bytes);
		set_dialect(b, v);
		if (json_object_get(v, "options") || !is_clean(b, bytes, len) || b->feed.units < b->good_units)
			continue;
		memcpy(b->good, bytes, len);
		b->good_len = len;
		b->good_units = b->feed.units;
		b->good_frames = b->feed.frames;
		best = v;
	}
	set_dialect(b, best);
	return best;
}

/* Garbage, then three times the good bytes: of the last one everything must be there. */
static bool recovers(struct bench *b, uint64_t *random)
{
	uint8_t noise[GARBAGE_MAX];
	struct truth t = { .learning = true };
	size_t len = seed_random(random) % GARBAGE_MAX;
	for (size_t i = 0; i < len; i++)
		noise[i] = (uint8_t)seed_random(random);
	start(b);
	vs_feed_bytes(&b->feed, noise, len, truth_on_unit, NULL, &t);
	for (int i = 0; i < 2; i++)
		vs_feed_bytes(&b->feed, b->good, b->good_len, truth_on_unit, NULL, &t);
	uint64_t before = t.units;
	vs_feed_bytes(&b->feed, b->good, b->good_len, truth_on_unit, NULL, &t);
	return t.units - before >= b->good_units;
}

/* The numbers that the good bytes hold. */
static void learn(struct bench *b, struct truth *t)
{
	t->learning = true;
	start(b);
	vs_feed_bytes(&b->feed, b->good, b->good_len, truth_on_unit, NULL, t);
	truth_counts(t);
}

static void noisy_stream(struct bench *b, struct truth *t, uint64_t frames, uint64_t *random)
{
	static uint8_t bytes[SEED_MAX];
	start(b);
	for (uint64_t sent = 0; sent < frames; sent += b->good_frames) {
		memcpy(bytes, b->good, b->good_len);
		for (size_t i = 0; i < b->good_len; i++)
			if (seed_random(random) % 100 == 0)
				bytes[i] = (uint8_t)seed_random(random);
		vs_feed_bytes(&b->feed, bytes, b->good_len, truth_on_unit, NULL, t);
	}
}

/* Twice what an 8 bit sum must miss when each byte is wrong with 1 %, and a little for luck. */
static double wrong_bound(const struct bench *b)
{
	double len = (double)b->good_len / (double)b->good_frames;
	double several = 1 - pow(0.99, len) - len * 0.01 * pow(0.99, len - 1);
	return 2 * 1e6 * several / 256 + 50;
}

int main(int argc, char **argv)
{
	static struct bench b;
	static struct truth t;
	json_error_t error;
	json_t *vectors = argc >= 3 ? json_load_file(argv[2], 0, &error) : NULL;
	uint64_t random = 4711;
	uint64_t frames = argc > 3 ? strtoull(argv[3], NULL, 10) : STREAM_FRAMES;
	unsigned lost = 0;
	b.plugin = argc >= 3 ? vs_plugin_find(argv[1]) : NULL;
	if (!vectors || !b.plugin || !(b.state = calloc(1, b.plugin->state_size + 1)) || !find_good(&b, vectors)) {
		puts("Bail out! no plugin, or no vector of good frames alone");
		return 1;
	}
	for (unsigned i = 0; i < GARBAGE_RUNS; i++)
		lost += !recovers(&b, &random);
	learn(&b, &t);
	noisy_stream(&b, &t, frames, &random);
	double wrong = 1e6 * (double)t.wrong / (double)frames;
	puts("1..2");
	printf("%sok 1 - right again within two good frames after garbage (%u of %u runs)\n", lost ? "not " : "",
	       GARBAGE_RUNS - lost, GARBAGE_RUNS);
	bool bad = b.plugin->checked && wrong > wrong_bound(&b);
	printf("%sok 2 - %s, 1 %% byte errors: %.0f wrong numbers in 10^6 frames (%llu frames sent)%s; %llu right\n",
	       bad ? "not " : "", b.plugin->name, wrong, (unsigned long long)frames,
	       b.plugin->checked ? "" : ", no checksum", (unsigned long long)t.right);
	free(b.state);
	json_decref(vectors);
	return lost || bad;
}
