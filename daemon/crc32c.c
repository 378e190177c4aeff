#include "daemon/crc32c.h"

#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* 0x1edc6f41 with its bits reversed */

static uint32_t table[256];

__attribute__((constructor)) static void fill_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ POLYNOMIAL : c >> 1;
		table[i] = c;
	}
}

static uint32_t by_table(uint32_t crc, const uint8_t *p, size_t len)
{
	while (len--)
		crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
	return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_machine(uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t c = crc, word;
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		c = __builtin_ia32_crc32di(c, word);
	}
	return by_table((uint32_t)c, p, len);
}

static int has_machine(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t by_machine(uint32_t crc, const uint8_t *p, size_t len)
{
	return by_table(crc, p, len);
}

static int has_machine(void)
{
	return 0;
}
#endif

uint32_t vs_crc32c(const void *bytes, size_t len)
{
	return ~(has_machine() ? by_machine(~0u, bytes, len) : by_table(~0u, bytes, len));
}
