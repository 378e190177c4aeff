/* How many bytes a second each decoder takes on one core.
 *
 *	decode-bench PLUGIN VECTORS.json ...      (pairs)
 *
 * The clean vectors of a plugin, again and again, in reads of 512 bytes; median of five runs and their spread.  Build
 * with -Dbuildtype=release and without sanitizers. */
#include "plugins/feed.h"
#include "plugins/registry.h"
#include "tests/fuzz/vectors.h"

#include <stdlib.h>
#include <time.h>

#define RUNS 5
#define RUN_BYTES (32u << 20)
#define BLOCK_MAX (1u << 18)
#define READ_LEN 512

static volatile double kept; /* so that no decoding is left out */

static void on_unit(void *ctx, const struct vs_feed *f, uint64_t unit, const struct vs_reading *r)
{
	(void)ctx, (void)f, (void)unit;
	kept = r->len ? r->obs[0].value : 0;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* others may want the core, too */
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* All received vectors that hold nothing but good frames, one after another, until the block is full. */
static size_t fill(const struct vs_plugin *p, const json_t *vectors, uint8_t *block)
{
	static uint8_t bytes[SEED_MAX];
	struct vs_feed *f = malloc(sizeof *f);
	void *state = malloc(p->state_size + 1);
	size_t len = 0, before;
	do {
		before = len;
		for (size_t i = 0; i < json_array_size(vectors); i++) {
			size_t n = seed_bytes(vectors, i, bytes);
			if (!n || len + n > BLOCK_MAX || json_object_get(json_array_get(vectors, i), "options"))
				continue;
			vs_feed_init(f, p, state, NULL);
			vs_feed_bytes(f, bytes, n, on_unit, NULL, NULL);
			if (!f->units || f->dropped || f->rejected || vs_feed_waiting(f))
				continue;
			memcpy(block + len, bytes, n);
			len += n;
		}
	} while (len > before);
	free(state);
	free(f);
	return len;
}

static double run(const struct vs_plugin *p, const uint8_t *block, size_t len)
{
	struct vs_feed *f = malloc(sizeof *f);
	void *state = malloc(p->state_size + 1);
	vs_feed_init(f, p, state, NULL);
	double start = now();
	size_t done = 0;
	for (; done < RUN_BYTES; done += len)
		for (size_t at = 0; at < len; at += READ_LEN)
			vs_feed_bytes(f, block + at, len - at < READ_LEN ? len - at : READ_LEN, on_unit, NULL, NULL);
	double rate = (double)done / (now() - start) / 1e6;
	free(state);
	free(f);
	return rate;
}

static int by_rate(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;
	return (d > 0) - (d < 0);
}

static int measure(const char *name, const char *file)
{
	static uint8_t block[BLOCK_MAX];
	const struct vs_plugin *p = vs_plugin_find(name);
	json_t *vectors = json_load_file(file, 0, NULL);
	size_t len = p && vectors ? fill(p, vectors, block) : 0;
	json_decref(vectors);
	if (!len) {
		fprintf(stderr, "decode-bench: no plugin %s, or nothing clean in %s\n", name, file);
		return 1;
	}
	double rate[RUNS];
	for (int i = 0; i < RUNS; i++)
		rate[i] = run(p, block, len);
	qsort(rate, RUNS, sizeof rate[0], by_rate);
	printf("%-20s %7.0f MB/s  (%.0f to %.0f)\n", name, rate[RUNS / 2], rate[0], rate[RUNS - 1]);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = argc < 3;
	for (int i = 1; i + 1 < argc; i += 2)
		failed |= measure(argv[i], argv[i + 1]);
	return failed;
}
