/* The fuzz target as a test: every vector of a plugin, and deterministic damage of each.
 *
 *	run-corpus PLUGIN VECTORS.json [DIRECTORY]     (with a directory: also writes the vectors there as seeds) */
#include "tests/fuzz/vectors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DAMAGES 300

static void damage(uint8_t *buf, size_t *len, const uint8_t *other, size_t other_len, uint64_t *random)
{
	size_t at = 1 + seed_random(random) % (*len - 1), n = seed_random(random) % 8 + 1;
	switch (seed_random(random) % 5) {
	case 0: /* bytes changed */
		for (size_t i = at; i < *len && n--; i++)
			buf[i] = (uint8_t)seed_random(random);
		break;
	case 1: /* a bit changed */
		buf[at] ^= (uint8_t)(1u << n % 8);
		break;
	case 2: /* bytes lost */
		n = n < *len - at ? n : *len - at;
		memmove(buf + at, buf + at + n, *len - at - n);
		*len -= n;
		break;
	case 3: /* cut off, and another message follows */
		*len = at;
		/* fall through */
	default: /* another message in between */
		n = other_len < SEED_MAX - *len ? other_len : SEED_MAX - *len;
		memmove(buf + at + n, buf + at, *len - at);
		memcpy(buf + at, other, n);
		*len += n;
	}
}

static void write_seed(const char *dir, size_t i, const uint8_t *buf, size_t len)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%zu", dir, i);
	FILE *f = fopen(path, "wb");
	if (f && fwrite(buf, 1, len, f) == len && fclose(f) == 0)
		return;
	perror(path);
	exit(1);
}

int main(int argc, char **argv)
{
	static uint8_t seed[SEED_MAX + 1], buf[2 * SEED_MAX + 1], other[SEED_MAX];
	json_error_t error;
	json_t *vectors = argc >= 3 ? json_load_file(argv[2], 0, &error) : NULL;
	uint64_t random = 20260711;
	size_t count = json_array_size(vectors), runs = 0;
	if (!count)
		return 1;
	setenv("VS_FUZZ_PLUGIN", argv[1], 1);
	for (size_t i = 0; i < count; i++) {
		size_t len = seed_bytes(vectors, i, seed + 1) + 1;
		seed[0] = (uint8_t)i;
		LLVMFuzzerTestOneInput(seed, len);
		if (argc > 3)
			write_seed(argv[3], i, seed, len);
		for (size_t k = 0; len > 1 && k < DAMAGES; k++, runs++) {
			size_t n = len;
			memcpy(buf, seed, len);
			buf[0] = (uint8_t)seed_random(&random);
			do {
				damage(buf, &n, other, seed_bytes(vectors, seed_random(&random) % count, other),
				       &random);
			} while (n > 1 && seed_random(&random) % 2);
			LLVMFuzzerTestOneInput(buf, n);
		}
	}
	printf("%s: %zu vectors, %zu damaged ones\n", argv[1], count, runs);
	json_decref(vectors);
	return 0;
}
