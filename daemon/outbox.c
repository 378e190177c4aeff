#include "daemon/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/clock.h"
#include "daemon/record.h"

struct vs_outbox {
	struct vs_custody *ring;
	const struct vs_outbox_ops *ops;
	void *ctx;
	uint64_t epoch;
	size_t reserve; /* free bytes that a whole step needs, at most */
	bool holds;     /* the step that is being made */
	size_t limit;   /* bytes that may wait: half of the memory, so that it is moved to its beginning but rarely */
	size_t from, to;
	unsigned waiting;
	uint8_t *memory; /* records of custody, one behind the other */
	_Alignas(8) uint8_t scratch[VS_CUSTODY_RECORD_MAX];
};

int vs_outbox_create(struct vs_custody *ring, size_t bytes, const struct vs_outbox_ops *ops, void *ctx,
		     struct vs_outbox **ret)
{
	struct vs_outbox *o = calloc(1, sizeof *o);
	if (!o)
		return -ENOMEM;
	o->ring = ring;
	o->ops = ops;
	o->ctx = ctx;
	o->reserve = vs_custody_size(ring) / 8 < 2 * VS_CUSTODY_RECORD_MAX ? vs_custody_size(ring) / 8
									   : 2 * VS_CUSTODY_RECORD_MAX;
	o->limit = bytes > VS_CUSTODY_RECORD_MAX ? bytes : VS_CUSTODY_RECORD_MAX;
	o->memory = malloc(2 * o->limit);
	if (!o->memory) {
		free(o);
		return -ENOMEM;
	}
	*ret = o;
	return 0;
}

static size_t first_length(const struct vs_outbox *o)
{
	return ((const struct vs_record_head *)(o->memory + o->from))->len;
}

static void drop_first(struct vs_outbox *o)
{
	o->from += first_length(o);
	o->waiting--;
	if (o->waiting == 0)
		o->from = o->to = 0;
}

static void give_up_first(struct vs_outbox *o)
{
	struct vs_custody_record first;
	vs_custody_count_lost(o->ring, 1);
	if (vs_record_decode(o->memory + o->from, &first))
		o->ops->lost(o->ctx, &first.event);
	drop_first(o);
}

void vs_outbox_destroy(struct vs_outbox *o)
{
	if (!o)
		return;
	while (o->waiting)
		give_up_first(o);
	free(o->memory);
	free(o);
}

void vs_outbox_set_epoch(struct vs_outbox *o, uint64_t epoch)
{
	o->epoch = epoch;
}

unsigned vs_outbox_waiting(const struct vs_outbox *o)
{
	return o->waiting;
}

static int wait_here(struct vs_outbox *o, const struct vs_event *e, uint64_t boot_ms)
{
	size_t len = vs_record_event(o->scratch, e, boot_ms);
	if (len == 0)
		return -E2BIG;
	while (o->waiting && o->to - o->from + len > o->limit)
		give_up_first(o);
	if (o->to + len > 2 * o->limit) {
		memmove(o->memory, o->memory + o->from, o->to - o->from);
		o->to -= o->from;
		o->from = 0;
	}
	memcpy(o->memory + o->to, o->scratch, len);
	o->to += len;
	o->waiting++;
	return 1;
}

/* Into custody, with the next number of its topic. */
static int number_and_add(struct vs_outbox *o, struct vs_event *e, uint64_t *number)
{
	e->epoch = o->epoch;
	e->seq = *number + 1;
	int r = vs_custody_add(o->ring, e);
	if (r == 0)
		++*number;
	return r;
}

bool vs_outbox_flush(struct vs_outbox *o)
{
	/* Not the moment a byte is free: what comes then would only be kept back again. */
	if (o->waiting && vs_custody_room(o->ring) < 2 * o->reserve)
		return false;
	while (o->waiting && vs_custody_room(o->ring) >= o->reserve) {
		struct vs_custody_record first;
		uint64_t *number = NULL;
		if (vs_record_decode(o->memory + o->from, &first))
			number = o->ops->number(o->ctx, first.event.chair, first.event.kind);
		if (!number) {
			give_up_first(o);
			continue;
		}
		vs_custody_begin(o->ring);
		vs_custody_since(o->ring, first.boot_ms);
		if (number_and_add(o, &first.event, number) < 0)
			break;
		vs_custody_commit(o->ring);
		drop_first(o);
	}
	return o->waiting == 0;
}

void vs_outbox_begin(struct vs_outbox *o)
{
	o->holds = !vs_outbox_flush(o);
	vs_custody_begin(o->ring);
	if (vs_custody_room(o->ring) < o->reserve)
		o->holds = true;
}

bool vs_outbox_holds(const struct vs_outbox *o)
{
	return o->holds;
}

int vs_outbox_add(struct vs_outbox *o, struct vs_event *e, uint64_t *number)
{
	bool may_wait = e->kind != VS_KIND_VITALS && e->kind != VS_KIND_ALIVE;
	if (may_wait && o->holds)
		return wait_here(o, e, e->boot_ms ? e->boot_ms : vs_boottime_ms());
	int r = number_and_add(o, e, number);
	if (r != -ENOSPC || !may_wait)
		return r;
	o->holds = true; /* a step as large as none should be: the rest of it waits */
	return wait_here(o, e, e->boot_ms ? e->boot_ms : vs_boottime_ms());
}
