#include "stillness.h"

#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define GRID_MS 1
#define LATE_MS 2.0 /* more than timers and interrupts explain */
#define PROCESSORS_MAX 64
#define STOPS_MAX 65536u

struct stop {
	double from_ms, to_ms;
};

/* Each witness has a list of its own, in order of time; once full, the list does not grow. */
static struct witness {
	pthread_mutex_t lock;
	struct stop *stop;
	unsigned n;
} witness[PROCESSORS_MAX];

static unsigned n_witnesses;

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void *watch(void *arg)
{
	struct witness *w = arg;
	double due_ms = now_ms();
	for (;;) {
		due_ms += GRID_MS;
		struct timespec t = { (time_t)(due_ms / 1e3), 0 };
		t.tv_nsec = (long)((due_ms - (double)t.tv_sec * 1e3) * 1e6);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		double woke_ms = now_ms();
		if (woke_ms - due_ms < LATE_MS)
			continue;
		pthread_mutex_lock(&w->lock);
		if (w->n < STOPS_MAX)
			w->stop[w->n++] = (struct stop){ due_ms, woke_ms };
		pthread_mutex_unlock(&w->lock);
		due_ms = woke_ms;
	}
	return NULL;
}

static bool start_on(unsigned processor, struct witness *w)
{
	cpu_set_t set;
	pthread_attr_t attr;
	pthread_t thread;
	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	pthread_mutex_init(&w->lock, NULL);
	w->stop = calloc(STOPS_MAX, sizeof *w->stop);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof set, &set);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &(struct sched_param){ .sched_priority = 50 });
	bool ok = w->stop && pthread_create(&thread, &attr, watch, w) == 0;
	pthread_attr_destroy(&attr);
	return ok;
}

bool stillness_watch(void)
{
	cpu_set_t mine;
	unsigned n = 0;
	if (sched_getaffinity(0, sizeof mine, &mine) < 0)
		return false;
	for (unsigned processor = 0; processor < CPU_SETSIZE && n < PROCESSORS_MAX; processor++)
		if (CPU_ISSET(processor, &mine) && !start_on(processor, &witness[n++]))
			return false;
	n_witnesses = n;
	return true;
}

/* The part of a stop of witness `i` that all later witnesses saw too. */
static void shared(unsigned i, struct stop s, double *sum_ms, unsigned *stops)
{
	if (s.to_ms - s.from_ms <= 0)
		return;
	if (i == n_witnesses) {
		*sum_ms += s.to_ms - s.from_ms;
		*stops += 1;
		return;
	}
	struct witness *w = &witness[i];
	pthread_mutex_lock(&w->lock);
	unsigned n = w->n;
	pthread_mutex_unlock(&w->lock); /* what stands in the list does not change any more */
	unsigned low = 0;
	for (unsigned high = n; low < high;) { /* the first stop that ends behind the beginning of s */
		unsigned middle = (low + high) / 2;
		if (w->stop[middle].to_ms > s.from_ms)
			high = middle;
		else
			low = middle + 1;
	}
	for (; low < n && w->stop[low].from_ms < s.to_ms; low++) {
		double from = w->stop[low].from_ms > s.from_ms ? w->stop[low].from_ms : s.from_ms;
		double to = w->stop[low].to_ms < s.to_ms ? w->stop[low].to_ms : s.to_ms;
		shared(i + 1, (struct stop){ from, to }, sum_ms, stops);
	}
}

double stillness_within(double from_ms, double to_ms)
{
	double sum_ms = 0;
	unsigned stops = 0;
	if (n_witnesses)
		shared(0, (struct stop){ from_ms, to_ms }, &sum_ms, &stops);
	return sum_ms;
}

unsigned stillness_stops(double from_ms, double to_ms)
{
	double sum_ms = 0;
	unsigned stops = 0;
	if (n_witnesses)
		shared(0, (struct stop){ from_ms, to_ms }, &sum_ms, &stops);
	return stops;
}
