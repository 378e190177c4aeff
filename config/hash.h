/* SHA-256 of what a session was watched by, as 64 hex digits: the same that `cat FILE... | sha256sum` prints, so that
 * an auditor needs no program of ours to compare. */
#pragma once
#include <stddef.h>

#define VS_HASH_CAP 65

struct vs_piece {
	const char *bytes;
	size_t len;
};

/* Of all pieces, one after the other. */
void vs_hash_hex(const struct vs_piece *pieces, unsigned n, char ret[VS_HASH_CAP]);
