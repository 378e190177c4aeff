/* From a register's change in the monitor to the alarm at a subscriber: alarm_latency.py starts the daemon around this.
 *
 *	alarm-latency PORT EVENTS_URL POLL_MS SAMPLES
 *
 * It is the monitor (one Modbus TCP connection, four registers: systolic, diastolic, mean, number of the reading) and the
 * subscriber, so that both ends are read on one clock.  The pressure changes right after a poll was answered: the worst
 * moment, a whole poll period before the next.  It goes above the limit and below it in turns; each change has to bring one
 * alarm event, raised or cleared.  Printed, in ms: `beyond`, the time from the change to the event less the poll period, and
 * `path`, from the request that fetches the change to the event; and, of the machine alone, how late a thread wakes that only
 * sleeps from one point of such a grid to the next.  Each is printed as it was and, where witnesses can be had (stillness.h),
 * less the time in which the whole machine stood still. */
#include <arpa/inet.h>
#include <nanomsg/nn.h>
#include <nanomsg/pubsub.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/bytes.h"
#include "stillness.h"

#define SAMPLES_MAX 20000
#define LOST_MS 5000

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static _Atomic double heard_ms; /* when the newest alarm event came */
static _Atomic unsigned heard;

static void *listen_to_alarms(void *url)
{
	int s = nn_socket(AF_SP, NN_SUB);
	nn_setsockopt(s, NN_SUB, NN_SUB_SUBSCRIBE, "alarm/", 6);
	if (s < 0 || nn_connect(s, url) < 0)
		exit(1);
	for (;;) {
		char *text;
		int len = nn_recv(s, &text, NN_MSG, 0);
		if (len < 0)
			exit(1);
		if (memmem(text, (size_t)len, "\"rule\":\"bench\"", 14)) {
			heard_ms = now_ms();
			heard++;
		}
		nn_freemsg(text);
	}
}

static int one_connection(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1, s = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(s, (struct sockaddr *)&a, sizeof a) < 0 || listen(s, 4) < 0) {
		perror("alarm-latency");
		exit(1);
	}
	int fd = accept(s, NULL, NULL);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

static void answer(int fd, const uint8_t q[12], uint16_t systolic, uint16_t number)
{
	uint8_t a[17] = { 0 };
	memcpy(a, q, 2);
	a[5] = 11;
	a[6] = q[6];
	a[7] = q[7];
	a[8] = 8;
	vs_put_be16(a + 9, systolic);
	vs_put_be16(a + 11, 80);
	vs_put_be16(a + 13, 95);
	vs_put_be16(a + 15, number);
	if (write(fd, a, sizeof a) != sizeof a)
		exit(1);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* A time that was measured: its end, and what is taken off, as the poll period. */
struct span {
	double from_ms, to_ms, less_ms;
};

static void print_sorted(const char *what, const char *how, double *v, unsigned n)
{
	qsort(v, n, sizeof *v, by_size);
	printf("%s%s: median %.3f, p90 %.3f, p99 %.3f, worst %.3f ms of %u\n", what, how, v[n / 2], v[n * 9 / 10], v[n * 99 / 100], v[n - 1],
	       n);
}

static void print(const char *what, const struct span *s, unsigned n, bool witnesses)
{
	static double v[SAMPLES_MAX];
	for (unsigned i = 0; i < n; i++)
		v[i] = s[i].to_ms - s[i].from_ms - s[i].less_ms;
	print_sorted(what, "", v, n);
	for (unsigned i = 0; i < n; i++)
		v[i] = s[i].to_ms - s[i].from_ms - s[i].less_ms - stillness_within(s[i].from_ms, s[i].to_ms);
	if (witnesses)
		print_sorted(what, ", less stillness", v, n);
}

static struct span sleeper[SAMPLES_MAX];
static _Atomic unsigned n_sleeper;

static void *sleep_on_a_grid(void *arg)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	double due_ms = now_ms();
	for (unsigned i = 0; i < SAMPLES_MAX; i++, n_sleeper = i) {
		t.tv_nsec += *(unsigned *)arg * 1000000L;
		t.tv_sec += t.tv_nsec / 1000000000L;
		t.tv_nsec %= 1000000000L;
		due_ms += *(unsigned *)arg;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		sleeper[i] = (struct span){ due_ms, now_ms(), 0 };
	}
	return NULL;
}

/* The monitor between its answers: what it shows, and the change that is under way. */
struct monitor {
	int fd;
	unsigned period_ms, polls, before; /* before: alarm events heard before the change */
	uint16_t systolic, number;
	double changed_ms, asked_ms;
	bool waiting, asked;
	struct span beyond[SAMPLES_MAX], path[SAMPLES_MAX];
	unsigned n;
};

static void change(struct monitor *m)
{
	m->before = heard;
	m->systolic = m->systolic == 120 ? 140 : 120;
	m->number++;
	m->waiting = true;
	m->asked = false;
	m->changed_ms = now_ms();
}

/* false: the daemon does not ask, or no event came for a change. */
static bool serve_a_poll(struct monitor *m)
{
	uint8_t q[260];
	struct pollfd on = { .fd = m->fd, .events = POLLIN };
	if (poll(&on, 1, LOST_MS) <= 0 || read(m->fd, q, sizeof q) != 12) {
		fprintf(stderr, "alarm-latency: the daemon does not ask as expected\n");
		return false;
	}
	double t = now_ms();
	if (m->waiting && heard != m->before) {
		m->beyond[m->n] = (struct span){ m->changed_ms, heard_ms, m->period_ms };
		m->path[m->n++] = (struct span){ m->asked_ms, heard_ms, 0 };
		m->waiting = false;
	} else if (m->waiting && t > m->changed_ms + LOST_MS) {
		fprintf(stderr, "alarm-latency: no alarm event for a change to %u\n", m->systolic);
		return false;
	}
	answer(m->fd, q, m->systolic, m->number);
	if (m->waiting && !m->asked) {
		m->asked = true;
		m->asked_ms = t;
	}
	if (!m->waiting && ++m->polls > 20)
		change(m);
	return true;
}

int main(int argc, char **argv)
{
	static struct monitor m = { .systolic = 120, .number = 1 };
	if (argc < 5)
		return 2;
	m.period_ms = (unsigned)atoi(argv[3]);
	unsigned samples = (unsigned)atoi(argv[4]);
	bool witnesses = stillness_watch();
	double begin_ms = now_ms();
	pthread_t listener, sleeping;
	pthread_create(&listener, NULL, listen_to_alarms, argv[2]);
	pthread_create(&sleeping, NULL, sleep_on_a_grid, &m.period_ms);
	m.fd = one_connection((uint16_t)atoi(argv[1]));
	while (m.n < samples && m.n < SAMPLES_MAX)
		if (!serve_a_poll(&m))
			return 1;
	double end_ms = now_ms();
	unsigned n_slept = n_sleeper;
	print("beyond the poll period", m.beyond, m.n, witnesses);
	print("from the request on", m.path, m.n, witnesses);
	print("a thread that only sleeps", sleeper, n_slept, witnesses);
	if (witnesses)
		printf("the machine stood still %u times, %.1f ms of %.0f\n", stillness_stops(begin_ms, end_ms),
		       stillness_within(begin_ms, end_ms), end_ms - begin_ms);
	return 0;
}
