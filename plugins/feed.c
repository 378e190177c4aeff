#include "plugins/feed.h"

#include <string.h>

int vs_feed_init(struct vs_feed *f, const struct vs_plugin *p, void *state, const struct vs_plugin_setting *settings)
{
	memset(f, 0, offsetof(struct vs_feed, buf)); /* of buf only what came is ever read */
	if (p->state_size)
		memset(state, 0, p->state_size);
	f->plugin = p;
	f->state = state;
	vs_gate_init(&f->gate, p);
	return p->init ? p->init(state, settings) : 0;
}

static void consume(struct vs_feed *f, size_t n)
{
	f->head += n;
	f->offset += n;
}

static void drop(struct vs_feed *f, size_t n)
{
	f->dropped += n;
	consume(f, n);
	vs_gate_lost(&f->gate);
	if (f->plugin->broken)
		f->plugin->broken(f->state);
}

static void want_again(struct vs_feed *f, enum vs_gate_result result)
{
	if (result != VS_RESULT_NONE)
		f->plugin->again(f->state, result == VS_RESULT_HELD);
}

/* The whole frame at the head of the buffer. */
static void take(struct vs_feed *f, size_t len, vs_feed_fn *fn, vs_feed_frame_fn *frame_fn, void *ctx)
{
	struct vs_reading r; /* not zeroed as a whole: at full speed that would cost more than the decoding */
	r.len = 0;
	r.flags = 0;
	r.own_flags = NULL;
	f->frame = f->buf + f->head;
	f->frame_len = len;
	enum vs_decoded d = f->plugin->decode(f->state, f->frame, len, &r);
	if (d == VS_REJECTED) {
		f->rejected++;
		drop(f, 1);
		return;
	}
	consume(f, len);
	f->frames++;
	vs_gate_frame(&f->gate, len);
	if (d == VS_UNIT) {
		want_again(f, vs_gate_reading(&f->gate, &r));
		fn(ctx, f, f->units++, &r);
	}
	if (frame_fn)
		frame_fn(ctx, f);
}

/* One frame, or one false start, at the head of the buffer.  False: more bytes are needed. */
static bool advance(struct vs_feed *f, vs_feed_fn *fn, vs_feed_frame_fn *frame_fn, void *ctx)
{
	size_t waiting = f->tail - f->head;
	int n = f->plugin->frame(f->state, f->buf + f->head, waiting);
	if (n == 0 && waiting < VS_FRAME_MAX)
		return false;
	if (n == 0 || (n > 0 && (size_t)n > waiting)) /* a plugin that waits for more than it may, or sees too much */
		n = -1;
	if (n > 0)
		take(f, (size_t)n, fn, frame_fn, ctx);
	else
		drop(f, (size_t)-n < waiting ? (size_t)-n : waiting);
	return true;
}

void vs_feed_bytes(struct vs_feed *f, const uint8_t *bytes, size_t len, vs_feed_fn *fn, vs_feed_frame_fn *frame_fn,
		   void *ctx)
{
	while (len) {
		if (sizeof f->buf - f->tail < len) { /* only now: moving bytes for every frame would be slow */
			memmove(f->buf, f->buf + f->head, f->tail - f->head);
			f->tail -= f->head;
			f->head = 0;
		}
		size_t room = sizeof f->buf - f->tail, n = len < room ? len : room;
		memcpy(f->buf + f->tail, bytes, n);
		f->tail += n;
		bytes += n;
		len -= n;
		while (f->head < f->tail && advance(f, fn, frame_fn, ctx))
			;
		if (f->head == f->tail)
			f->head = f->tail = 0;
	}
}

void vs_feed_flush(struct vs_feed *f, vs_feed_fn *fn, vs_feed_frame_fn *frame_fn, void *ctx)
{
	while (f->head < f->tail)
		if (!advance(f, fn, frame_fn, ctx))
			drop(f, 1);
}

/* A reading that no frame completes. */
static void give(struct vs_feed *f, const struct vs_reading *r, vs_feed_fn *fn, void *ctx)
{
	f->frame = f->buf + f->head;
	f->frame_len = 0;
	want_again(f, VS_RESULT_SETTLED);
	fn(ctx, f, f->units++, r);
}

void vs_feed_poll(struct vs_feed *f, vs_feed_fn *fn, void *ctx)
{
	struct vs_reading r;
	if (vs_gate_poll(&f->gate, &r))
		give(f, &r, fn, ctx);
}

void vs_feed_settle(struct vs_feed *f, vs_feed_fn *fn, void *ctx)
{
	struct vs_reading r;
	if (vs_gate_settle(&f->gate, &r))
		give(f, &r, fn, ctx);
}

void vs_feed_reset(struct vs_feed *f)
{
	f->dropped += vs_feed_waiting(f);
	f->offset += vs_feed_waiting(f);
	f->head = f->tail = 0;
	vs_gate_reset(&f->gate);
	if (f->plugin->broken)
		f->plugin->broken(f->state);
}

size_t vs_feed_waiting(const struct vs_feed *f)
{
	return f->tail - f->head;
}
