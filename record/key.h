/* The key that signs seals: Ed25519, in a file beside the log (PATH.key, mode 0600: 64 hexadecimal digits, the seed). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define VS_KEY_PUBLIC 32
#define VS_KEY_SIGNATURE 64

struct vs_key {
	uint8_t public_key[VS_KEY_PUBLIC];
	uint8_t secret[64];
};

/* Reads the key of the log at `log_path`, or makes one.  0, or -errno: no file can be written there, or what is there
 * is no key (-EINVAL) or may be read by others (-EPERM). */
int vs_key_load(const char *log_path, bool create, struct vs_key *ret);
/* Signs a text. */
void vs_key_sign(const struct vs_key *k, const char *text, uint8_t signature[VS_KEY_SIGNATURE]);
bool vs_key_verify(const uint8_t public_key[VS_KEY_PUBLIC], const char *text, const uint8_t signature[VS_KEY_SIGNATURE]);
