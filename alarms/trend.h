/* Robust slopes (clinical tables E1, E2).  Pure arithmetic on arrays; times in minutes, ascending. */
#pragma once

#include <stdbool.h>

#define VS_POINTS_MAX 18

struct vs_slope {
	double slope;       /* per minute */
	double level;       /* at the newest point */
	double concordance; /* share of pairs that rise (falling: see vs_theil_sen) */
};

/* Theil-Sen: median slope of all pairs at least gap_min apart; concordance: share of those pairs that go up (rising)
 * or down.  False: fewer than two points, or no such pair. */
bool vs_theil_sen(const double *t_min, const double *y, unsigned n, double gap_min, bool rising, struct vs_slope *ret);
/* Repeated median (Siegel): half of the points may be wrong.  False: fewer than two points. */
bool vs_repeated_median(const double *t_min, const double *y, unsigned n, struct vs_slope *ret);
