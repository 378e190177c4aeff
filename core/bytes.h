/* Reading numbers out of bytes; the caller has checked that they are there. */
#pragma once
#include <stdint.h>

static inline uint16_t vs_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint16_t vs_le16(const uint8_t *p)
{
	return (uint16_t)(p[1] << 8 | p[0]);
}

static inline uint32_t vs_be32(const uint8_t *p)
{
	return (uint32_t)vs_be16(p) << 16 | vs_be16(p + 2);
}

static inline void vs_put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}
