/* A timer wheel for the many: due times of a thousand polls and their timeouts on one timer of the loop.
 *
 * libuv keeps timers in a heap; with thousands of them every start and stop walks a dozen nodes that are in no cache, and
 * a poll has four.  Here both cost a list operation.  Resolution 1 ms, as libuv's; timers of the same instant fire in the
 * order in which they were started.  All on the thread of the loop. */
#pragma once
#include <uv.h>

struct vs_wheel;

struct vs_wheel_timer {
	struct vs_wheel_timer *next, *prev; /* NULL: not started */
	uint64_t due_ms;
	void (*fire)(struct vs_wheel_timer *t);
};

/* NULL: no memory. */
struct vs_wheel *vs_wheel_create(uv_loop_t *loop);
/* Timers that are started then never fire.  The memory is released by the loop. */
void vs_wheel_close(struct vs_wheel *w);

/* Starts it, anew where it runs: fires delay_ms after uv_now(), in the next millisecond at the soonest if that is over
 * already.  It is stopped before fire is called.  A timer begins as zeros. */
void vs_wheel_start(struct vs_wheel *w, struct vs_wheel_timer *t, uint64_t delay_ms, void (*fire)(struct vs_wheel_timer *));
void vs_wheel_stop(struct vs_wheel *w, struct vs_wheel_timer *t);
