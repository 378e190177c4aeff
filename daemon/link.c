#include "daemon/link_kind.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void let_go(struct vs_link *l)
{
	struct vs_conn *c = l->conn;
	vs_link_forget_resolve(l);
	if (!c)
		return;
	l->conn = NULL;
	c->link = NULL;
	l->kind->close(c);
}

static void on_timer(uv_timer_t *t);

static void pause_then_open(struct vs_link *l)
{
	l->state = VS_LINK_PAUSE;
	/* no two links wait equally long: a hash of where they are and how often they tried */
	uint32_t spread = (uint32_t)((uintptr_t)l >> 6) * 2654435761u + l->attempts * 40503u;
	uv_timer_start(&l->timer, on_timer, l->pause_ms + (spread >> 16) % (l->pause_ms / 4 + 1), 0);
	l->pause_ms = l->pause_ms * 2 < VS_LINK_PAUSE_MAX_MS ? l->pause_ms * 2 : VS_LINK_PAUSE_MAX_MS;
}

static void describe(const struct vs_link *l, const char *what, int error, char *buf, size_t cap)
{
	char where[300];
	if (vs_link_is_network(l->spec.kind))
		snprintf(where, sizeof where, "%s port %u", l->place, l->spec.port);
	else
		snprintf(where, sizeof where, "%s", l->place);
	if (error == -ENOTTY)
		snprintf(buf, cap, "%s %s: not a serial line", what, where);
	else if (error == -ENOENT && !vs_link_is_network(l->spec.kind))
		snprintf(buf, cap, "%s %s: it is not there; is the adapter plugged in?", what, where);
	else
		snprintf(buf, cap, "%s %s: %s", what, where, uv_strerror(error));
}

void vs_link_has_failed(struct vs_link *l, int error)
{
	char why[400];
	let_go(l);
	l->address.sin6_family = AF_UNSPEC;
	pause_then_open(l);
	describe(l, "cannot open", error, why, sizeof why);
	l->ops->failed(l->ctx, why);
}

void vs_link_was_lost(struct vs_link *l, int error)
{
	char why[400];
	let_go(l);
	pause_then_open(l);
	if (error == UV_EOF || (!vs_link_is_network(l->spec.kind) && error == -EIO))
		snprintf(why, sizeof why, "%s was closed by the other side", l->place);
	else
		describe(l, "lost", error, why, sizeof why);
	l->ops->lost(l->ctx, why);
}

void vs_link_is_now_up(struct vs_link *l)
{
	uv_timer_stop(&l->timer);
	l->state = VS_LINK_UP;
	l->ops->up(l->ctx);
}

void vs_link_got(struct vs_conn *c, const uint8_t *bytes, size_t len)
{
	if (c->link)
		c->link->ops->bytes(c->link->ctx, bytes, len);
}

uint8_t *vs_link_scratch(size_t *len)
{
	static _Thread_local uint8_t scratch[4096];
	*len = sizeof scratch;
	return scratch;
}

static void on_timer(uv_timer_t *t)
{
	struct vs_link *l = t->data;
	if (l->state == VS_LINK_OPENING) {
		vs_link_has_failed(l, -ETIMEDOUT);
		return;
	}
	l->state = VS_LINK_OPENING;
	l->attempts++;
	uv_timer_start(&l->timer, on_timer, VS_LINK_CONNECT_MS, 0);
	int r = l->kind->open(l);
	if (r < 0)
		vs_link_has_failed(l, r);
}

int vs_link_open(uv_loop_t *loop, const struct vs_link_spec *spec, const struct vs_link_ops *ops, void *ctx,
		 struct vs_link **ret)
{
	struct vs_link *l = calloc(1, sizeof *l);
	char *place = strdup(spec->place);
	if (!l || !place) {
		free(l);
		free(place);
		return -ENOMEM;
	}
	l->loop = loop;
	l->ops = ops;
	l->ctx = ctx;
	l->kind = spec->kind == VS_LINK_TCP   ? &vs_link_tcp
		  : spec->kind == VS_LINK_UDP ? &vs_link_udp
					      : &vs_link_serial;
	l->spec = *spec;
	l->spec.place = l->place = place;
	l->pause_ms = VS_LINK_PAUSE_MIN_MS;
	l->state = VS_LINK_PAUSE;
	uv_timer_init(loop, &l->timer);
	l->timer.data = l;
	uv_timer_start(&l->timer, on_timer, 0, 0);
	*ret = l;
	return 0;
}

static void on_closed(uv_handle_t *h)
{
	struct vs_link *l = h->data;
	free(l->place);
	free(l);
}

void vs_link_close(struct vs_link *l)
{
	if (!l || l->state == VS_LINK_CLOSED)
		return;
	let_go(l);
	l->state = VS_LINK_CLOSED;
	uv_close((uv_handle_t *)&l->timer, on_closed);
}

bool vs_link_is_up(const struct vs_link *l)
{
	return l->state == VS_LINK_UP;
}

const struct vs_link_spec *vs_link_spec(const struct vs_link *l)
{
	return &l->spec;
}

int vs_link_send(struct vs_link *l, const uint8_t *bytes, size_t len)
{
	return l->state == VS_LINK_UP ? l->kind->send(l->conn, bytes, len) : -ENOTCONN;
}

void vs_link_again(struct vs_link *l)
{
	if (l->state == VS_LINK_CLOSED || l->state == VS_LINK_PAUSE)
		return;
	let_go(l);
	pause_then_open(l);
}

void vs_link_good(struct vs_link *l)
{
	l->pause_ms = VS_LINK_PAUSE_MIN_MS;
}

void vs_link_flush(struct vs_link *l)
{
	if (l->conn && l->kind->flush)
		l->kind->flush(l->conn);
}
