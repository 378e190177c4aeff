/* The publisher: what vitalsd tells the world, from a process of its own (design, section 4).
 *
 *	 the daemon                            the publisher process
 *	 loop --> custody ring (shared) -----> PUB, one message an event, in the ring's order
 *	 snapshot <---- socket pair ---------> REP: `snapshot` is asked of the loop, `replay` comes from
 *	                                       the log (read only) and, what is not committed yet, from the ring
 *
 * nanomsg ends the process by an assertion when a peer sends to a PUB socket, so nothing of it is ever opened in the
 * daemon.  When the publisher dies, however, it is started again at once and goes on at its cursor; the last messages
 * may come twice.  It can write nothing of the ring but its own cursor, and ends with the daemon.
 *
 * This side runs on the daemon's loop and never waits. */
#pragma once
#include <stdbool.h>
#include <uv.h>

#include "daemon/custody.h"

struct vs_publisher;

struct vs_publisher_options {
	struct vs_custody *ring; /* outlives the publisher */
	const char *site, *log_path;
	unsigned n_events, n_queries;
	char **events, **queries; /* nanomsg URLs to bind */
	/* The answer to `snapshot`, the whole JSON object, from malloc(); chair NULL: of all chairs.  For a chair that does
	 * not exist it begins with {"ok":false. */
	char *(*snapshot)(void *ctx, const char *chair);
	/* Every URL is bound; also after each later start.  NULL: nobody wants to know. */
	void (*bound)(void *ctx);
	/* `alive` messages have gone out: the whole path works.  NULL: nobody wants to know. */
	void (*sent)(void *ctx);
	/* A URL cannot be bound, in words; it goes on trying.  NULL: nobody wants to know. */
	void (*failed)(void *ctx, const char *why);
	void *ctx;
};

/* Starts the process; copies the strings.  Logs its own failures and every death of the process. */
int vs_publisher_start(uv_loop_t *loop, const struct vs_publisher_options *o, struct vs_publisher **ret);
/* Every URL is bound now. */
bool vs_publisher_bound(const struct vs_publisher *p);
/* Called about once a second: a process that hangs, with messages to send, is ended and started again. */
void vs_publisher_look(struct vs_publisher *p);
/* How often it had to be started again. */
unsigned vs_publisher_restarts(const struct vs_publisher *p);
/* Lets it send what the ring holds, then end; the loop runs until it is gone, a second at most.  NULL is fine. */
void vs_publisher_close(struct vs_publisher *p);

/* The process itself: main() calls it before anything else when argv[1] is VS_PUBLISHER_ARG.  Returns the exit status. */
#define VS_PUBLISHER_ARG "--publisher"
int vs_publisher_main(int argc, char **argv);
