/* What every cuff plugin does alike: a result is published whole, or as "no value" with one reason. */
#pragma once
#include "core/obs.h"

struct vs_nibp {
	bool has_map, has_rate; /* sent by this device at all */
	double sys, dia, map, rate;
};

/* Add the result.  Zeros are no measurement; pressures in an impossible order (systolic < mean, mean < diastolic) void
 * the whole result with `invalid`. */
void vs_nibp_add(struct vs_reading *ret, const struct vs_nibp *v, uint64_t flags);
/* The same metrics without values: the numbers beside an error, or during a measurement, are old. */
void vs_nibp_add_none(struct vs_reading *ret, const struct vs_nibp *v, uint64_t flags);
void vs_nibp_add_error(struct vs_reading *ret, const struct vs_nibp *v, uint64_t flags, uint16_t device_error);

/* The last result of a monitor that shows it again and again: a repeated display is not a new measurement. */
struct vs_nibp_shown {
	bool known;
	bool again; /* a noisy line made it doubtful (vs_plugin.again): it is wanted once more */
	struct vs_nibp last;
};

/* True: this result was not shown before, or is wanted again, and is remembered.  Forget (zero) the memory when a measurement is seen
 * running: the next result is new even when it is equal. */
bool vs_nibp_is_new(struct vs_nibp_shown *m, const struct vs_nibp *v);
