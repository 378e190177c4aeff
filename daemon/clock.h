/* The two clocks of the daemon.  Delays and ages live on the first, which no operator can set and which goes on while
 * the machine sleeps; the second is for people. */
#pragma once
#include <stdint.h>
#include <time.h>

static inline uint64_t vs_boottime_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline int64_t vs_wall_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
