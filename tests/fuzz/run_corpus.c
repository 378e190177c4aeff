/* The fuzz target as a test: every vector of a plugin, every input that fuzzing has found, and deterministic damage of each.
 *
 *	run-corpus PLUGIN VECTORS.json [FOUND.hex] */
#include "tests/fuzz/hexlines.h"
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

static uint64_t random_state = 20260711;
static size_t runs;

/* The input, and damaged ones of it. */
static void try(const uint8_t *input, size_t len, const json_t *vectors, unsigned damages)
{
	static uint8_t buf[2 * SEED_MAX + 1], other[SEED_MAX];
	LLVMFuzzerTestOneInput(input, len);
	for (size_t k = 0; len > 1 && k < damages; k++, runs++) {
		size_t n = len;
		memcpy(buf, input, len);
		buf[0] = (uint8_t)seed_random(&random_state);
		do {
			size_t i = seed_random(&random_state) % json_array_size(vectors);
			damage(buf, &n, other, seed_bytes(vectors, i, other), &random_state);
		} while (n > 1 && seed_random(&random_state) % 2);
		LLVMFuzzerTestOneInput(buf, n);
	}
}

int main(int argc, char **argv)
{
	static uint8_t input[SEED_MAX + 1];
	json_error_t error;
	json_t *vectors = argc >= 3 ? json_load_file(argv[2], 0, &error) : NULL;
	FILE *kept = argc > 3 ? fopen(argv[3], "r") : NULL;
	size_t count = json_array_size(vectors), found = 0, len;
	if (!count || (argc > 3 && !kept))
		return 1;
	setenv("VS_FUZZ_PLUGIN", argv[1], 1);
	for (size_t i = 0; i < count; i++) {
		len = seed_bytes(vectors, i, input + 1) + 1;
		input[0] = (uint8_t)i;
		try(input, len, vectors, DAMAGES);
	}
	while (kept && (len = next_hex_line(kept, input, sizeof input))) {
		try(input, len, vectors, DAMAGES / 10);
		found++;
	}
	if (kept)
		fclose(kept);
	printf("%s: %zu vectors, %zu inputs that fuzzing found, %zu damaged ones\n", argv[1], count, found, runs);
	json_decref(vectors);
	return 0;
}
