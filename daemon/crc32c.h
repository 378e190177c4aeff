/* CRC-32C (Castagnoli; RFC 3720, appendix B.4), with the processor's own instruction where there is one. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Of "123456789": 0xe3069283. */
uint32_t vs_crc32c(const void *bytes, size_t len);
