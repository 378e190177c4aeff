/* A link: one line or connection that carries bytes, and that comes back by itself.
 *
 *	pause --timer--> opening --> up --> lost --> pause ...
 *	                    '--failed--> pause (longer each time)
 *
 * TCP and UDP (names are resolved in the thread pool), serial lines (termios) and RTU lines (set up by libmodbus) look the same
 * from above.  Nothing blocks.  The pause before opening again grows from a tenth of a second to three seconds, with
 * some spread so that a thousand monitors behind one switch do not come back at the same instant; together with
 * the three seconds that a connection may take to open that is less than the ten after which a value counts as stale.
 *
 * Internal to acquisition: device.h is the face to the rest of the daemon. */
#pragma once
#include <uv.h>

#include "config/config.h"

#define VS_LINK_CONNECT_MS 3000
#define VS_LINK_PAUSE_MIN_MS 100
#define VS_LINK_PAUSE_MAX_MS 3000

struct vs_link;

struct vs_link_ops {
	void (*up)(void *ctx);
	void (*bytes)(void *ctx, const uint8_t *bytes, size_t len); /* valid only during the call */
	void (*lost)(void *ctx, const char *why);   /* it was up; opening again is under way */
	void (*failed)(void *ctx, const char *why); /* it could not be opened; it will be tried again */
};

/* Where it goes to; the part of a device's configuration that devices of one bus share.
 * rtu: libmodbus sets up the line, and what waits in it is thrown away on opening. */
struct vs_link_spec {
	enum vs_link_kind kind;
	const char *place; /* path, or host; copied */
	uint16_t port;
	struct vs_line line;
};

/* Opens as soon as the loop runs.  ops are never called from inside one of these functions.  0, or -ENOMEM. */
int vs_link_open(uv_loop_t *loop, const struct vs_link_spec *spec, const struct vs_link_ops *ops, void *ctx,
		 struct vs_link **ret);
/* No callback comes after this.  NULL is fine. */
void vs_link_close(struct vs_link *l);

bool vs_link_is_up(const struct vs_link *l);
const struct vs_link_spec *vs_link_spec(const struct vs_link *l);
/* All or nothing.  0; -ENOTCONN; -EAGAIN: the other side does not take bytes; or what the system says. */
int vs_link_send(struct vs_link *l, const uint8_t *bytes, size_t len);
/* Close it and open it again after the pause; `lost` is not called. */
void vs_link_again(struct vs_link *l);
/* What came was good: the next pause is the shortest again. */
void vs_link_good(struct vs_link *l);
/* Throw away what the line has in store, both ways (serial). */
void vs_link_flush(struct vs_link *l);

/* Is this a speed a serial line can have?  And can a UART do these bits? */
bool vs_line_is_possible(const struct vs_line *line);
