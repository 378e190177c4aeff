/* The stream decoder between a line and a plugin: buffers, finds frames, resynchronises.
 *
 * However the bytes are cut into reads, the readings are the same.  After a false start it goes on one byte later,
 * never after the claimed length: what follows a corrupted frame is not lost.  Readings leave it through the gate of
 * plugins/gate.h: from a noisy line a number has to come twice.
 *
 *	bytes consumed (offset)        frame        not looked at yet
 *	-----------------------|------------------|------------------>
 *	                                          ^ offset while the callbacks run */
#pragma once
#include "core/plugin.h"
#include "plugins/gate.h"

struct vs_feed {
	const struct vs_plugin *plugin;
	void *state;          /* plugin->state_size bytes of the caller's; may be NULL where that is 0 */
	uint64_t offset;      /* bytes consumed so far: up to the end of the frame while a callback runs */
	uint64_t frames;      /* good frames, reporting units or not */
	uint64_t units;       /* reporting units */
	uint64_t dropped;     /* bytes that belonged to no frame */
	uint64_t rejected;    /* frames with a bad checksum or impossible content */
	const uint8_t *frame; /* the frame, while a callback runs */
	size_t frame_len;
	struct vs_gate gate; /* whether the line is noisy, and what waits for a second witness then */
	size_t head, tail; /* what waits is buf[head..tail) */
	uint8_t buf[2 * VS_FRAME_MAX];
};

/* Called for each reporting unit; unit: its 0-based number; feed->offset: bytes consumed up to its end. */
typedef void vs_feed_fn(void *ctx, const struct vs_feed *feed, uint64_t unit, const struct vs_reading *r);
/* Called after each good frame, so that the caller can send what the protocol owes (VS_TX_REPLY).  May be NULL. */
typedef void vs_feed_frame_fn(void *ctx, struct vs_feed *feed);

/* state is zeroed and put in order.  0, or what plugin->init says. */
int vs_feed_init(struct vs_feed *f, const struct vs_plugin *p, void *state, const struct vs_plugin_setting *settings);
void vs_feed_bytes(struct vs_feed *f, const uint8_t *bytes, size_t len, vs_feed_fn *fn, vs_feed_frame_fn *frame_fn,
		   void *ctx);
/* The line has been silent for so long that what waits cannot be completed any more: a frame that may stand behind a
 * false start is still found. */
void vs_feed_flush(struct vs_feed *f, vs_feed_fn *fn, vs_feed_frame_fn *frame_fn, void *ctx);
/* poll_ms has passed: call it before the plugin is asked what to send.  A result of the cuff waits for its witness only
 * where this is called. */
void vs_feed_poll(struct vs_feed *f, vs_feed_fn *fn, void *ctx);
/* The line is lost, or silent: a result that waits for its witness comes now, marked. */
void vs_feed_settle(struct vs_feed *f, vs_feed_fn *fn, void *ctx);
/* Forget what is half there: the line was closed. */
void vs_feed_reset(struct vs_feed *f);
/* Bytes that wait for the rest of their frame. */
size_t vs_feed_waiting(const struct vs_feed *f);
