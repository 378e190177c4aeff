/* A device that talks by itself, or in a protocol of its own: its line, its stream decoder and its plugin. */
#include "daemon/acquire.h"
#include "daemon/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_timer(uv_timer_t *t);

static uint64_t now_of(const struct vs_device *d)
{
	return uv_now(d->acquire->loop);
}

static int transmit(struct vs_device *d, enum vs_transmit_why why)
{
	struct vs_stream *s = &d->stream;
	uint8_t buf[VS_TX_MAX];
	size_t n = s->plugin->transmit ? s->plugin->transmit(s->state, why, buf, sizeof buf) : 0;
	return n ? vs_link_send(s->link, buf, n) : -ENOTSUP;
}

static void arm(struct vs_device *d)
{
	struct vs_stream *s = &d->stream;
	uint64_t now = now_of(d), at = s->heard_ms + s->silence_ms;
	if (vs_link_is_up(s->link) && s->due_ms < at)
		at = s->due_ms;
	uv_timer_start(&s->timer, on_timer, at > now ? at - now : 1, 0);
}

static void count(struct vs_device *d)
{
	const struct vs_stream *s = &d->stream;
	d->counters.frames = s->feed->frames;
	d->counters.rejected = s->feed->rejected;
	d->counters.dropped = s->feed->dropped;
}

static void start_over(struct vs_device *d)
{
	struct vs_stream *s = &d->stream;
	vs_feed_reset(s->feed); /* the state stays: a cuff result that is still on the display is not a new one */
	count(d);
}

static void on_unit(void *ctx, const struct vs_feed *feed, uint64_t unit, const struct vs_reading *r)
{
	struct vs_device *d = ctx;
	(void)feed;
	(void)unit;
	vs_device_deliver(d, r, d->stream.read_ms);
}

/* What there is to say of a device that is heard: its line may be noisy, or clean again. */
static void tell_online(struct vs_device *d)
{
	struct vs_stream *s = &d->stream;
	char text[200] = "";
	bool changed = s->told_noisy != s->feed->gate.noisy;
	s->told_noisy = s->feed->gate.noisy;
	if (s->told_noisy)
		vs_gate_words(&s->feed->gate, text, sizeof text);
	vs_device_tell(d, VS_DEVICE_ONLINE, text, changed);
}

static void on_frame(void *ctx, struct vs_feed *feed)
{
	struct vs_device *d = ctx;
	(void)feed;
	d->stream.heard_ms = now_of(d);
	d->stream.bytes = 0;
	vs_link_good(d->stream.link);
	transmit(d, VS_TX_REPLY);
	tell_online(d);
}

static void on_bytes(void *ctx, const uint8_t *bytes, size_t len)
{
	struct vs_device *d = ctx;
	struct vs_stream *s = &d->stream;
	s->read_ms = vs_boottime_ms();
	s->bytes += len;
	vs_feed_bytes(s->feed, bytes, len, on_unit, on_frame, d);
	count(d);
}

static void introduce(struct vs_device *d)
{
	if (!d->told_connecting)
		vs_device_tell(d, VS_DEVICE_CONNECTING, "", true);
}

static void on_up(void *ctx)
{
	struct vs_device *d = ctx;
	struct vs_stream *s = &d->stream;
	introduce(d);
	d->counters.connects++;
	start_over(d);
	transmit(d, VS_TX_CONNECT);
	s->due_ms = s->period_ms ? now_of(d) + s->period_ms : UINT64_MAX;
	if (d->status == VS_DEVICE_OFFLINE || d->status == VS_DEVICE_CONNECTING) {
		s->heard_ms = now_of(d);
		s->bytes = 0;
	}
	arm(d);
}

/* What no second answer has confirmed is said now: the pressure is old enough. */
static void settle(struct vs_device *d)
{
	d->stream.read_ms = vs_boottime_ms();
	vs_feed_settle(d->stream.feed, on_unit, d);
}

static void on_lost(void *ctx, const char *why)
{
	struct vs_device *d = ctx;
	/* It is opened again at once: either that fails, or the silence shows. */
	snprintf(d->stream.lost, sizeof d->stream.lost, "%s", why);
	settle(d);
}

static void on_failed(void *ctx, const char *why)
{
	introduce(ctx);
	vs_device_tell(ctx, VS_DEVICE_OFFLINE, why, false);
}

/* A device that was switched off and on waits for the same greeting as after plugging in. */
static void silent(struct vs_device *d)
{
	struct vs_stream *s = &d->stream;
	char text[200];
	uint64_t frames = s->feed->frames;
	/* A spot check sends one record and no more: it may stand behind a byte that looked like the start of a longer one. */
	vs_feed_flush(s->feed, on_unit, on_frame, d);
	settle(d);
	count(d);
	if (s->feed->frames != frames)
		return;
	if (s->bytes)
		snprintf(text, sizeof text,
			 "%" PRIu64 " bytes came, and no frame of %s: is it the right plugin, speed and parity?",
			 s->bytes, s->plugin->name);
	else
		snprintf(text, sizeof text, "nothing came for %u ms: is the device on, and the cable in?",
			 s->silence_ms);
	s->heard_ms = now_of(d);
	s->bytes = 0;
	if (!vs_link_is_up(s->link)) { /* whoever opens and closes again and again sends nothing either */
		if (d->status == VS_DEVICE_ONLINE)
			vs_device_tell(d, VS_DEVICE_OFFLINE, s->lost, false);
		return;
	}
	start_over(d);
	vs_device_tell(d, VS_DEVICE_NO_SIGNAL, text, false);
	transmit(d, VS_TX_CONNECT);
}

static void on_timer(uv_timer_t *t)
{
	struct vs_device *d = t->data;
	struct vs_stream *s = &d->stream;
	uint64_t now = now_of(d);
	introduce(d);
	if (vs_link_is_up(s->link) && now >= s->due_ms) {
		s->due_ms += (now - s->due_ms) / s->period_ms * s->period_ms + s->period_ms;
		d->counters.polls++;
		s->read_ms = vs_boottime_ms();
		vs_feed_poll(s->feed, on_unit, d);
		transmit(d, VS_TX_POLL);
	}
	if (now >= s->heard_ms + s->silence_ms)
		silent(d);
	arm(d);
}

static const struct vs_link_ops link_ops = { on_up, on_bytes, on_lost, on_failed };

int vs_stream_cuff(struct vs_device *d, bool start)
{
	if (!d->stream.plugin->transmit)
		return -ENOTSUP;
	if (!vs_link_is_up(d->stream.link))
		return -ENOTCONN;
	return transmit(d, start ? VS_TX_NIBP : VS_TX_NIBP_STOP);
}

static int copy_options(struct vs_stream *s, const struct vs_plugin_setting *options)
{
	size_t n = 0;
	while (options && options[n].name)
		n++;
	s->options = calloc(n + 1, sizeof *s->options);
	if (!s->options)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		s->options[i].name = strdup(options[i].name);
		s->options[i].value = strdup(options[i].value);
		if (!s->options[i].name || !s->options[i].value)
			return -ENOMEM;
	}
	return 0;
}

static void release(struct vs_stream *s)
{
	for (struct vs_plugin_setting *o = s->options; o && (o->name || o->value); o++) {
		free((void *)(uintptr_t)o->name);
		free((void *)(uintptr_t)o->value);
	}
	free(s->options);
	free(s->state);
	free(s->feed);
}

int vs_stream_begin(struct vs_acquire *a, struct vs_device *d, const struct vs_device_config *cfg)
{
	struct vs_stream *s = &d->stream;
	const struct vs_link_spec spec = { cfg->link, vs_link_is_network(cfg->link) ? cfg->host : cfg->path,
					   vs_link_is_network(cfg->link) ? cfg->port : 0, cfg->line };
	s->feed = calloc(1, sizeof *s->feed);
	s->state = calloc(1, s->plugin->state_size ? s->plugin->state_size : 1);
	int r = s->feed && s->state ? copy_options(s, cfg->options) : -ENOMEM;
	if (r == 0)
		r = vs_feed_init(s->feed, s->plugin, s->state, s->options);
	if (r == 0)
		r = vs_link_open(a->loop, &spec, &link_ops, d, &s->link);
	if (r < 0) {
		release(s);
		return r;
	}
	s->silence_ms = s->plugin->silence_ms ? s->plugin->silence_ms : 5000;
	s->period_ms = s->plugin->poll_ms && cfg->poll_ms ? cfg->poll_ms : s->plugin->poll_ms;
	s->due_ms = UINT64_MAX;
	s->heard_ms = uv_now(a->loop);
	uv_timer_init(a->loop, &s->timer);
	s->timer.data = d;
	arm(d);
	return 0;
}

static void on_closed(uv_handle_t *h)
{
	struct vs_device *d = h->data;
	release(&d->stream);
	free(d);
}

void vs_stream_end(struct vs_device *d)
{
	vs_link_close(d->stream.link);
	uv_close((uv_handle_t *)&d->stream.timer, on_closed);
}
