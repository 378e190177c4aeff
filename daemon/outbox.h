/* The outbox: what waits in memory until custody has room for it.
 *
 *	step --> outbox --(room)--> custody --> log, publisher
 *
 * A message is in custody before it is published (contract, section 3).  Custody fills up only while the log cannot be
 * written for long; the last half of it is for everything that is no reading.  When that is full too, whole steps are kept
 * back here, in their order: they get their numbers, are published and recorded when there is room again.  Until then the
 * chair's annunciator, `alive` (its counts) and `snapshot` tell of the alarms.  What waits here dies with the process, but
 * then nobody was told of it: a published message is never missing in the log.
 *
 * Bounded: when it is full as well, the oldest give way, since the newest message of an alarm has its whole state; each is
 * handed to `lost`, and counted in custody.  For use on the loop; nothing here waits or allocates after create. */
#pragma once
#include "daemon/custody.h"

struct vs_outbox;

#define VS_OUTBOX_BYTES (1u << 20)

struct vs_outbox_ops {
	/* Where the last number of a topic stands, for an event that has waited; NULL: there is no such chair any more. */
	uint64_t *(*number)(void *ctx, const char *chair, enum vs_kind kind);
	/* An event is neither published nor recorded, for want of room or of its chair.  Strings are good for the call. */
	void (*lost)(void *ctx, const struct vs_event *e);
};

/* bytes: so much may wait.  The ring and ops outlive the outbox.  0 or -ENOMEM. */
int vs_outbox_create(struct vs_custody *ring, size_t bytes, const struct vs_outbox_ops *ops, void *ctx,
		     struct vs_outbox **ret);
/* What still waits is handed to `lost`.  NULL is fine. */
void vs_outbox_destroy(struct vs_outbox *o);

/* Begins a step in custody, after what waits has been moved where there is room; ended by vs_custody_commit. */
void vs_outbox_begin(struct vs_outbox *o);
/* An event of the step; epoch and seq are filled in, *number (the last one of its topic) goes up when custody has it.
 * Readings and `alive` never wait.
 * 0: custody has it.  1: it waits.  -ENOSPC: a reading was given up.  -E2BIG: longer than a record may be. */
int vs_outbox_add(struct vs_outbox *o, struct vs_event *e, uint64_t *number);
/* The step is kept back as a whole: a chair's state must not overtake it. */
bool vs_outbox_holds(const struct vs_outbox *o);
/* Moves what there is room for; a step of its own each.  True: nothing waits any more. */
bool vs_outbox_flush(struct vs_outbox *o);

/* The epoch that numbers count in; before the first step. */
void vs_outbox_set_epoch(struct vs_outbox *o, uint64_t epoch);
/* Events that wait. */
unsigned vs_outbox_waiting(const struct vs_outbox *o);
