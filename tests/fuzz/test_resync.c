/* What noise does to every plugin.
 *
 *	test-resync PLUGIN VECTORS.json [FRAMES]
 *
 * 1. After garbage of any length a decoder is right again after at most two good frames (on its own vectors).
 * 2. From a clean line every number of a patient whose values move (walk.h) comes, at once and unmarked.
 * 3. With 1 % of all bytes replaced by random ones: how many numbers come that the device did not send?  Printed for each
 *    million frames, without and with the gate for noisy lines (plugins/gate.h), and what the gate costs.
 *    Polls pass as in the daemon, what a plugin asks for then is damaged like the rest, and the device answers with the
 *    result of this round; a device that is silent for too long loses its witnesses.
 *
 * A number that one of the last VS_GATE_MEMORY readings of its metric was sent with is `late`: not this reading's, but
 * one that the device did send, a moment ago. */
#include "plugins/registry.h"
#include "tests/fuzz/truth.h"
#include "tests/fuzz/vectors.h"
#include "tests/fuzz/walk.h"

#include <math.h>
#include <stdlib.h>

#define GARBAGE_RUNS 200
#define GARBAGE_MAX 700
#define STREAM_FRAMES 20000 /* unless told otherwise */
#define WRONG_MAX 4         /* of one stream: until the noise has shown itself, some may pass */
#define ROUNDS 2048         /* remembered: more than ever wait for the rest of their frame */

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

/* ---- a patient whose values move, on a noisy line */

struct sent {
	uint64_t end; /* of its bytes */
	uint32_t metrics;
	double value[VS_METRIC_COUNT];
};

struct noise {
	unsigned per_mille; /* of all bytes */
	bool gate;
	struct sent ring[ROUNDS];
	uint64_t rounds, oldest; /* put so far; the oldest that a frame may still be of */
	uint64_t right, late, wrong, early, marked_right, marked_wrong, held; /* early: wrong, before the line was known as noisy */
	uint64_t noisy_frames;
	uint64_t all_right; /* right and late ones without the gate */
	uint64_t before[VS_METRIC_COUNT][VS_GATE_MEMORY]; /* rounds of the readings before, newest first; 0: none */
	uint64_t random;
	uint64_t end;         /* bytes sent so far */
	uint64_t heard;       /* good frames until the round before */
	double now_ms, poll_ms, heard_ms; /* the time; of the next poll; of the last good frame */
	bool asked;           /* a whole request has reached the device */
};

static bool was_sent(const struct sent *s, const struct vs_obs *o)
{
	return s->metrics >> o->metric & 1 && fabs(s->value[o->metric] - o->value) < 1e-6;
}

static void judge(struct noise *n, uint64_t round, const struct vs_obs *o)
{
	bool marked = o->flags & VS_FLAG(QUESTIONABLE), now = was_sent(&n->ring[round % ROUNDS], o), before = false;
	for (unsigned k = 0; k < VS_GATE_MEMORY; k++)
		before |= was_sent(&n->ring[n->before[o->metric][k] % ROUNDS], o);
	if (marked)
		*(now || before ? &n->marked_right : &n->marked_wrong) += 1;
	else
		*(now ? &n->right : before ? &n->late : &n->wrong) += 1;
}

static void on_unit(void *ctx, const struct vs_feed *f, uint64_t unit, const struct vs_reading *r)
{
	struct noise *n = ctx;
	(void)unit;
	while (n->ring[n->oldest % ROUNDS].end < f->offset)
		n->oldest++;
	for (unsigned i = 0; i < r->len; i++) {
		const struct vs_obs *o = &r->obs[i];
		uint64_t *before = n->before[o->metric];
		bool held = o->flags & VS_FLAG(QUESTIONABLE) && !o->has_value;
		if (o->word)
			continue;
		uint64_t wrong = n->wrong;
		if (o->has_value)
			judge(n, n->oldest, o);
		n->early += f->gate.noisy ? 0 : n->wrong - wrong;
		n->held += held;
		if (!held && !o->has_value)
			continue;
		memmove(before + 1, before, (VS_GATE_MEMORY - 1) * sizeof *before);
		before[0] = n->oldest;
	}
}

static void disturb(uint8_t *bytes, size_t len, unsigned per_mille, uint64_t *random)
{
	for (size_t i = 0; i < len; i++)
		if (seed_random(random) % 1000 < per_mille)
			bytes[i] = (uint8_t)seed_random(random);
}

/* What the plugin has to send reaches the device whole, or not at all. */
static void send(struct bench *b, struct noise *n, enum vs_transmit_why why)
{
	uint8_t is[VS_TX_MAX], was[VS_TX_MAX];
	size_t len = b->plugin->transmit(b->state, why, is, sizeof is);
	memcpy(was, is, len);
	disturb(is, len, n->per_mille, &n->random);
	n->asked |= len && !memcmp(is, was, len);
}

static void receive(struct bench *b, struct noise *n, const uint8_t *bytes, size_t len)
{
	uint8_t damaged[WALK_ROUND_MAX];
	n->ring[n->rounds % ROUNDS].end = n->end += len;
	memcpy(damaged, bytes, len);
	disturb(damaged, len, n->per_mille, &n->random);
	vs_feed_bytes(&b->feed, damaged, len, on_unit, NULL, n);
	if (b->plugin->again)
		send(b, n, VS_TX_REPLY);
}

/* A device that answers: until nothing waits for another answer. */
static void ask(struct bench *b, struct noise *n, const uint8_t *answer, size_t len)
{
	do {
		while (n->asked) {
			n->asked = false;
			receive(b, n, answer, len);
		}
		vs_feed_poll(&b->feed, on_unit, n);
		send(b, n, VS_TX_POLL);
	} while (b->feed.gate.polls || n->asked);
}

/* A device that talks by itself: its polls, and its silence, until the next round. */
static void let_time_pass(struct bench *b, struct noise *n, double hz)
{
	n->now_ms += 1000 / hz;
	for (; b->plugin->poll_ms && n->poll_ms <= n->now_ms; n->poll_ms += b->plugin->poll_ms)
		vs_feed_poll(&b->feed, on_unit, n);
	if (b->feed.frames != n->heard)
		n->heard_ms = n->now_ms;
	n->heard = b->feed.frames;
	if (n->now_ms - n->heard_ms < b->plugin->silence_ms)
		return;
	vs_feed_flush(&b->feed, on_unit, NULL, n);
	vs_feed_settle(&b->feed, on_unit, n);
	vs_feed_reset(&b->feed);
	n->heard_ms = n->now_ms;
}

static void live_through(struct bench *b, struct noise *n, uint64_t frames)
{
	uint8_t bytes[WALK_ROUND_MAX];
	struct walk w;
	n->random = 4711;
	b->settings[0].name = NULL;
	start(b);
	if (!n->gate)
		b->feed.gate.close = 0;
	walk_begin(&w, walk_device_of(b->plugin->name));
	for (uint64_t sent = 0; sent < frames; sent += w.device->frames, n->rounds++) {
		size_t len = walk_round(&w, bytes);
		struct sent *s = &n->ring[n->rounds % ROUNDS];
		s->metrics = w.sent;
		memcpy(s->value, w.now, sizeof s->value);
		receive(b, n, bytes, len);
		if (w.device->hz > 0)
			let_time_pass(b, n, w.device->hz);
		else if (b->plugin->again)
			ask(b, n, bytes + w.answer, len - w.answer);
		n->noisy_frames += b->feed.gate.noisy ? w.device->frames : 0;
	}
}

static double percent(uint64_t of, uint64_t all)
{
	return all ? 100.0 * (double)of / (double)all : 0;
}

/* At this noise, without and with the gate.  `millions`: of frames. */
static void show(const struct noise *open, const struct noise *gated, double millions)
{
	uint64_t good = gated->all_right;
	printf("# %u.%u %%: wrong %.1f, with the gate %.2f (early %.2f, late %.1f, marked %.1f); right ones that come %.1f %%, marked %.1f %%; "
	       "noisy %.1f %% of the time\n",
	       gated->per_mille / 10, gated->per_mille % 10, (double)open->wrong / millions, (double)gated->wrong / millions,
	       (double)gated->early / millions, (double)gated->late / millions, (double)gated->marked_wrong / millions, percent(gated->right + gated->late, good),
	       percent(gated->marked_right, good), percent(gated->noisy_frames, (uint64_t)(millions * 1e6)));
}

static void measure(struct bench *b, unsigned per_mille, uint64_t frames, struct noise *ret)
{
	static struct noise open;
	memset(&open, 0, sizeof open);
	memset(ret, 0, sizeof *ret);
	open.per_mille = ret->per_mille = per_mille;
	ret->gate = true;
	live_through(b, &open, frames);
	live_through(b, ret, frames);
	ret->all_right = open.right + open.late;
	show(&open, ret, (double)frames / 1e6);
}

static bool ok(bool good, int number, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", number, what);
	return good;
}

static bool is_whole(const struct noise *n)
{
	return n->right && n->right == n->all_right && !n->wrong && !n->late && !n->held && !n->marked_right && !n->marked_wrong;
}

int main(int argc, char **argv)
{
	static struct bench b;
	static struct noise clean, some, much;
	json_error_t error;
	json_t *vectors = argc >= 3 ? json_load_file(argv[2], 0, &error) : NULL;
	uint64_t random = 4711, frames = argc > 3 ? strtoull(argv[3], NULL, 10) : STREAM_FRAMES;
	unsigned lost = 0;
	b.plugin = argc >= 3 ? vs_plugin_find(argv[1]) : NULL;
	const struct walk_device *d = b.plugin ? walk_device_of(b.plugin->name) : NULL;
	if (!vectors || !b.plugin || !(b.state = calloc(1, b.plugin->state_size + 1)) || !find_good(&b, vectors)) {
		puts("Bail out! no plugin, or no vector of good frames alone");
		return 1;
	}
	printf("1..3\n# %s, %llu frames\n", b.plugin->name, (unsigned long long)frames);
	for (unsigned i = 0; i < GARBAGE_RUNS; i++)
		lost += !recovers(&b, &random);
	bool good = ok(!lost, 1, "right again within two good frames after garbage");
	if (!d) {
		puts("ok 2 # SKIP walk.c does not speak like this device\nok 3 # SKIP");
		return !good;
	}
	measure(&b, 0, frames, &clean);
	measure(&b, 1, frames, &some);
	measure(&b, 10, frames, &much);
	good &= ok(is_whole(&clean), 2, "a clean line: every number at once");
	bool datagram = b.plugin->strong && !b.plugin->checked; /* the network drops what is damaged: no decoder sees it */
	good &= ok(datagram || much.wrong <= WRONG_MAX + frames / 1000000, 3, "1 % byte errors: a wrong number is an accident");
	free(b.state);
	json_decref(vectors);
	return !good;
}
