#include "plugins/feed.h"

#include <string.h>

int vs_feed_init(struct vs_feed *f, const struct vs_plugin *p, void *state, const struct vs_plugin_setting *settings)
{
	memset(f, 0, sizeof *f);
	memset(state, 0, p->state_size);
	f->plugin = p;
	f->state = state;
	return p->init ? p->init(state, settings) : 0;
}

static void consume(struct vs_feed *f, size_t n)
{
	memmove(f->buf, f->buf + n, f->len - n);
	f->len -= n;
	f->offset += n;
}

static void drop(struct vs_feed *f, size_t n)
{
	f->dropped += n;
	consume(f, n);
	if (f->plugin->broken)
		f->plugin->broken(f->state);
}

/* One frame, or one false start, at the front of the buffer.  False: more bytes are needed. */
static bool advance(struct vs_feed *f, vs_feed_fn *fn, vs_feed_frame_fn *frame_fn, void *ctx)
{
	int n = f->plugin->frame(f->state, f->buf, f->len);
	if (n == 0 && f->len < VS_FRAME_MAX)
		return false;
	if (n == 0) /* a plugin that waits for more than it may */
		n = -1;
	if (n < 0) {
		drop(f, (size_t)-n < f->len ? (size_t)-n : f->len);
		return true;
	}
	struct vs_reading r = { .len = 0 };
	enum vs_decoded d = f->plugin->decode(f->state, f->buf, (size_t)n, &r);
	if (d == VS_REJECTED) {
		f->rejected++;
		drop(f, 1);
		return true;
	}
	consume(f, (size_t)n);
	f->frames++;
	if (d == VS_UNIT)
		fn(ctx, f, f->units++, &r);
	if (frame_fn)
		frame_fn(ctx, f);
	return true;
}

void vs_feed_bytes(struct vs_feed *f, const uint8_t *bytes, size_t len, vs_feed_fn *fn, vs_feed_frame_fn *frame_fn,
		   void *ctx)
{
	while (len) {
		size_t room = sizeof f->buf - f->len, take = len < room ? len : room;
		memcpy(f->buf + f->len, bytes, take);
		f->len += take;
		bytes += take;
		len -= take;
		while (f->len && advance(f, fn, frame_fn, ctx))
			;
	}
}

void vs_feed_reset(struct vs_feed *f)
{
	f->dropped += f->len;
	f->offset += f->len;
	f->len = 0;
	if (f->plugin->broken)
		f->plugin->broken(f->state);
}
