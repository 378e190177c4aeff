/* Random numbers that a seed repeats: xoshiro256++ (Blackman and Vigna), seeded by splitmix64.
 *
 * Every signal of a simulated patient draws from a stream of its own, so that one more cuff measurement does not change
 * the heart rate of the rest of the hour. */
#pragma once
#include <stdint.h>

struct vs_random {
	uint64_t s[4];
};

/* The generator for one purpose (`stream`) of one patient (`seed`). */
struct vs_random vs_random_of(uint64_t seed, uint64_t stream);
/* Uniform in [0, 1). */
double vs_random_unit(struct vs_random *r);
/* Uniform in [low, high). */
double vs_random_between(struct vs_random *r, double low, double high);
/* Gaussian. */
double vs_random_normal(struct vs_random *r, double mean, double sd);
/* Gaussian, drawn again until within [low, high], which must not be far out in a tail. */
double vs_random_normal_within(struct vs_random *r, double mean, double sd, double low, double high);
