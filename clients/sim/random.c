#include "clients/sim/random.h"

#include <math.h>

static uint64_t splitmix(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

struct vs_random vs_random_of(uint64_t seed, uint64_t stream)
{
	struct vs_random r;
	uint64_t x = seed;
	x = splitmix(&x) ^ stream * 0xd1342543de82ef95u;
	for (int i = 0; i < 4; i++)
		r.s[i] = splitmix(&x);
	return r;
}

static uint64_t rotated(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static uint64_t next(struct vs_random *r)
{
	uint64_t *s = r->s, result = rotated(s[0] + s[3], 23) + s[0], t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotated(s[3], 45);
	return result;
}

double vs_random_unit(struct vs_random *r)
{
	return (double)(next(r) >> 11) * 0x1p-53;
}

double vs_random_between(struct vs_random *r, double low, double high)
{
	return low + (high - low) * vs_random_unit(r);
}

/* Box and Muller; the second number of each pair is thrown away, so that the state is only the generator's. */
double vs_random_normal(struct vs_random *r, double mean, double sd)
{
	double u = 1 - vs_random_unit(r), v = vs_random_unit(r);
	return mean + sd * sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

double vs_random_normal_within(struct vs_random *r, double mean, double sd, double low, double high)
{
	double x;
	do
		x = vs_random_normal(r, mean, sd);
	while (x < low || x > high);
	return x;
}
