#include "daemon/wheel.h"

#include <stdlib.h>

/* A slot a millisecond.  What is due later than one turn waits in its slot and is passed over until its time. */
#define SLOTS 2048u

struct vs_wheel {
	uv_loop_t *loop;
	uv_timer_t timer;
	uint64_t passed_ms; /* up to here, included, everything has fired */
	uint64_t armed_ms;  /* UINT64_MAX: the timer rests */
	unsigned n;
	uint64_t used[SLOTS / 64]; /* bit set: perhaps something is in the slot; clear: nothing */
	struct vs_wheel_timer slot[SLOTS]; /* heads of rings */
};

static void on_time(uv_timer_t *t);

static void append(struct vs_wheel_timer *head, struct vs_wheel_timer *t)
{
	t->next = head;
	t->prev = head->prev;
	head->prev->next = t;
	head->prev = t;
}

static void take_out(struct vs_wheel_timer *t)
{
	t->prev->next = t->next;
	t->next->prev = t->prev;
	t->next = t->prev = NULL;
}

static void insert(struct vs_wheel *w, struct vs_wheel_timer *t)
{
	unsigned at = t->due_ms % SLOTS;
	append(&w->slot[at], t);
	w->used[at / 64] |= 1ull << at % 64;
}

static void arm(struct vs_wheel *w, uint64_t at_ms)
{
	uint64_t now = uv_now(w->loop);
	w->armed_ms = at_ms;
	uv_timer_start(&w->timer, on_time, at_ms > now ? at_ms - now : 0, 0);
}

void vs_wheel_start(struct vs_wheel *w, struct vs_wheel_timer *t, uint64_t delay_ms, void (*fire)(struct vs_wheel_timer *))
{
	vs_wheel_stop(w, t);
	t->fire = fire;
	t->due_ms = uv_now(w->loop) + delay_ms;
	if (t->due_ms <= w->passed_ms)
		t->due_ms = w->passed_ms + 1;
	insert(w, t);
	w->n++;
	if (t->due_ms < w->armed_ms)
		arm(w, t->due_ms);
}

void vs_wheel_stop(struct vs_wheel *w, struct vs_wheel_timer *t)
{
	if (!t->next)
		return;
	take_out(t);
	w->n--;
}

/* Everything in the slot whose time has come; what belongs to a later turn goes back. */
static void empty(struct vs_wheel *w, unsigned at, uint64_t now)
{
	struct vs_wheel_timer *slot = &w->slot[at], todo = { &todo, &todo, 0, NULL };
	w->used[at / 64] &= ~(1ull << at % 64);
	while (slot->next != slot) {
		struct vs_wheel_timer *t = slot->next;
		take_out(t);
		append(&todo, t);
	}
	while (todo.next != &todo) { /* one that fires may stop others, here too */
		struct vs_wheel_timer *t = todo.next;
		take_out(t);
		if (t->due_ms > now) {
			insert(w, t);
			continue;
		}
		w->n--;
		t->fire(t);
	}
}

static uint64_t next_used(const struct vs_wheel *w)
{
	for (unsigned ahead = 1; ahead <= SLOTS;) {
		unsigned at = (w->passed_ms + ahead) % SLOTS;
		uint64_t rest = w->used[at / 64] >> at % 64;
		if (rest)
			return w->passed_ms + ahead + (unsigned)__builtin_ctzll(rest);
		ahead += 64 - at % 64;
	}
	return w->passed_ms + SLOTS;
}

static void on_time(uv_timer_t *timer)
{
	struct vs_wheel *w = timer->data;
	uint64_t now = uv_now(w->loop), at = w->passed_ms;
	if (now > at + SLOTS) /* the loop was held up for more than a turn: once around is enough */
		at = now - SLOTS;
	w->armed_ms = 0; /* nobody need arm it: that is done below */
	while (at < now) {
		w->passed_ms = ++at;
		if (w->used[at % SLOTS / 64] >> at % 64 & 1)
			empty(w, at % SLOTS, now);
	}
	w->armed_ms = UINT64_MAX;
	if (w->n)
		arm(w, next_used(w));
}

struct vs_wheel *vs_wheel_create(uv_loop_t *loop)
{
	struct vs_wheel *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	for (unsigned i = 0; i < SLOTS; i++)
		w->slot[i].next = w->slot[i].prev = &w->slot[i];
	w->loop = loop;
	w->passed_ms = uv_now(loop);
	w->armed_ms = UINT64_MAX;
	uv_timer_init(loop, &w->timer);
	w->timer.data = w;
	return w;
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

void vs_wheel_close(struct vs_wheel *w)
{
	if (w)
		uv_close((uv_handle_t *)&w->timer, on_closed);
}
