#include "config/hash.h"

#include <sodium.h>

void vs_hash_hex(const struct vs_piece *pieces, unsigned n, char ret[VS_HASH_CAP])
{
	crypto_hash_sha256_state state;
	unsigned char hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_init(&state);
	for (unsigned i = 0; i < n; i++)
		crypto_hash_sha256_update(&state, (const unsigned char *)pieces[i].bytes, pieces[i].len);
	crypto_hash_sha256_final(&state, hash);
	sodium_bin2hex(ret, VS_HASH_CAP, hash, sizeof hash);
}
