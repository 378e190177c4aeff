/* The received bytes of a plugin's vectors: seeds for fuzzing and for streams. */
#pragma once
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SEED_MAX 16384

/* Bytes of vector i, or 0 when it is one to send. */
static inline size_t seed_bytes(const json_t *vectors, size_t i, uint8_t *bytes)
{
	const json_t *v = json_array_get(vectors, i);
	const char *hex = json_string_value(json_object_get(v, "bytes_hex"));
	size_t n = 0;
	unsigned byte;
	if (json_object_get(v, "direction"))
		return 0;
	while (n < SEED_MAX && sscanf(hex + 2 * n, "%2x", &byte) == 1)
		bytes[n++] = (uint8_t)byte;
	return n;
}

/* xorshift64*: the same numbers on every machine. */
static inline uint32_t seed_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)(*state * UINT64_C(2685821657736338717) >> 32);
}
