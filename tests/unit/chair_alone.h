/* A chair without what stands around it: link chair_alone.c with daemon/chair.c instead of the rest of the daemon.
 *
 * Custody keeps nothing, devices never connect, nothing sounds, the store records nothing; but what is given to them is looked at: a
 * message that is no JSON of a length that fits, or a state without a chair, aborts. */
#pragma once
#include "daemon/chair.h"

/* Of the device that was made last: what a line would call. */
extern const struct vs_device_ops *chair_alone_ops;
extern void *chair_alone_ctx;
/* Errors that were said. */
extern unsigned chair_alone_errors;
