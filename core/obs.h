/* An observation: one metric as a device reported it, or "no value" with the reason.
 *
 * A missing value is never a number: where has_value is false, `value` is 0 and means nothing.
 * A reading is what one accepted unit of a device (a packet, a line, a completed poll) said at one instant. */
#pragma once
#include "core/metric.h"

struct vs_obs {
	enum vs_metric metric;
	bool has_value;
	double value;          /* in the metric's unit */
	const char *word;      /* instead of a number: a device's event ("done"); static storage; else NULL */
	uint64_t flags;        /* VS_FLAG() bits */
	uint16_t device_error; /* the device's own number beside VS_FLAG_DEVICE_ERROR */
};

#define VS_READING_MAX 24

struct vs_reading {
	unsigned len;
	uint64_t flags;                /* of the whole reading, without a metric */
	const char *const *own_flags;  /* names of bits 48..63 (VS_FLAG_OWN_COUNT of them, NULL where unused), or NULL */
	struct vs_obs obs[VS_READING_MAX];
};

/* Add a number.  A value that is not finite, outside the metric's plausible range, or beside a voiding flag becomes
 * "no value" with the flag that says why.  A full reading ignores it (VS_READING_MAX is above what any plugin sends). */
void vs_reading_add(struct vs_reading *r, enum vs_metric m, double value, uint64_t flags);
/* The same, but the number stands although a flag would void it: it was measured, and the flag says how or when (the
 * pressure in the cuff while `measuring`, a cuff result that the monitor itself calls `stale`). */
void vs_reading_add_marked(struct vs_reading *r, enum vs_metric m, double value, uint64_t flags);
/* The same as vs_reading_add, for a device or a metric where 0 is its way to say "nothing": 0 becomes "no value". */
void vs_reading_add_nonzero(struct vs_reading *r, enum vs_metric m, double value, uint64_t flags);
/* Add "no value" with its reasons (flags may be 0: the device gave none). */
void vs_reading_add_none(struct vs_reading *r, enum vs_metric m, uint64_t flags);
/* Add "no value" because of an error, with the device's own number of it: device_error:87. */
void vs_reading_add_error(struct vs_reading *r, enum vs_metric m, uint64_t flags, uint16_t device_error);
/* Add a device's event by its word. */
void vs_reading_add_word(struct vs_reading *r, enum vs_metric m, const char *word);
/* The observation of a metric, or NULL. */
const struct vs_obs *vs_reading_find(const struct vs_reading *r, enum vs_metric m);
