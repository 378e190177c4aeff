/* What a poll costs: many Modbus TCP monitors of four values at 1 Hz, asked by the acquisition layer and, in the same
 * run, by a bare epoll client that does nothing with the answers.
 *
 *	modbus-poll compare [N] [SECONDS] [ROUNDS]  both in turns, median and spread, lateness with a tenth black-holed
 *	modbus-poll server PORT [HOLE [MUTE]]       the monitors alone, for measuring a whole daemon (daemon_monitors.py), and
 *	                                            ports that swallow connections, and that accept and say nothing;
 *	                                            SIGUSR1: lateness since the last; ends with SIGTERM
 *	modbus-poll bare PORT N SECONDS             the bare client alone
 *
 * The monitors are one process that answers on every address of 127.0.0.0/8; each has a connection of its own.  CPU is
 * CLOCK_PROCESS_CPUTIME_ID of the polling process; lateness is seen by the server: how far each request lies behind the
 * grid of its connection, which is where the earliest of its requests lay; and the same less the time, between the point of
 * the grid and the request, in which the whole machine stood still (stillness.h; needs the right to real-time priority). */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/bytes.h"
#include "daemon/device.h"
#include "stillness.h"

#define MONITORS_MAX 4096
#define PERIOD_MS 1000
#define SLOT_MS 10

static double now_ms(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void raise_files(void)
{
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

/* ---- the monitors */

struct seen {
	double first;
	uint32_t connection;
	unsigned n;
};

static volatile sig_atomic_t stopping, report_due;

static void on_signal(int number)
{
	if (number == SIGUSR1)
		report_due = 1;
	else
		stopping = 1;
}

static int listen_on(uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(*port) };
	socklen_t len = sizeof a;
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0) {
		perror("modbus-poll: listen");
		exit(1);
	}
	*port = ntohs(a.sin_port);
	return fd;
}

/* Where on the grid of a connection a request lay, from its first request. */
struct sample {
	double at_ms;
	uint32_t connection;
	float behind;
};

#define SAMPLES_MAX (MONITORS_MAX * 300u)
#define CONNECTIONS_MAX (1u << 20)

static struct sample *late;
static size_t n_late;
static uint32_t connections;

static void note_lateness(struct seen *s)
{
	double t = now_ms(CLOCK_MONOTONIC);
	if (s->n++ < 3) { /* the first ones come when the connection stands, not when they are due */
		s->first = t;
		return;
	}
	double grid = (t - s->first) / PERIOD_MS;
	double behind = t - s->first - (double)(long)(grid + 0.5) * PERIOD_MS;
	if (n_late < SAMPLES_MAX)
		late[n_late++] = (struct sample){ t, s->connection, (float)behind };
}

static int by_lateness(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;
	return (x->behind > y->behind) - (x->behind < y->behind);
}

/* Median, p99 and worst of the samples. */
static void quantiles(double p[3])
{
	qsort(late, n_late, sizeof *late, by_lateness);
	for (int i = 0; i < 3; i++)
		p[i] = n_late ? (double)late[i == 0 ? n_late / 2 : i == 1 ? n_late * 99 / 100 : n_late - 1].behind : 0;
}

/* Of what was noted: as it was, and less the time in which the machine stood still.  Begins anew. */
static void sum_up(double p[3], double less[3])
{
	float *earliest = calloc(CONNECTIONS_MAX, sizeof *earliest);
	for (size_t i = 0; earliest && i < n_late; i++)
		if (late[i].behind < earliest[late[i].connection])
			earliest[late[i].connection] = late[i].behind;
	for (size_t i = 0; earliest && i < n_late; i++)
		late[i].behind -= earliest[late[i].connection];
	free(earliest);
	quantiles(p);
	for (size_t i = 0; i < n_late; i++)
		late[i].behind -= (float)stillness_within(late[i].at_ms - (double)late[i].behind, late[i].at_ms);
	quantiles(less);
	n_late = 0;
}

static double reported_ms;

static void print_lateness(void)
{
	double p[3], less[3], t = now_ms(CLOCK_MONOTONIC);
	size_t n = n_late;
	sum_up(p, less);
	printf("requests: %zu; behind the grid: median %.2f ms, p99 %.2f ms, worst %.2f ms; less stillness: median %.2f ms, p99 %.2f ms, "
	       "worst %.2f ms; the machine stood still %.1f ms in %u stops\n",
	       n, p[0], p[1], p[2], less[0], less[1], less[2], stillness_within(reported_ms, t), stillness_stops(reported_ms, t));
	reported_ms = t;
	fflush(stdout);
}

/* Up to four input registers that tell something else every time. */
static void answer(int fd, struct seen *s)
{
	uint8_t q[256], a[17] = { 0 };
	ssize_t n = read(fd, q, sizeof q);
	if (n <= 0) {
		close(fd);
		return;
	}
	unsigned first = n == 12 ? vs_be16(q + 8) : 4, count = n == 12 ? vs_be16(q + 10) : 0;
	if (first + count > 4 || count == 0)
		return;
	note_lateness(s);
	const uint16_t value[4] = { (uint16_t)(95 + s->n % 4), (uint16_t)(70 + s->n % 9), (uint16_t)(12 + s->n % 5), 366 };
	memcpy(a, q, 2);
	a[5] = (uint8_t)(3 + 2 * count);
	a[6] = q[6];
	a[7] = q[7];
	a[8] = (uint8_t)(2 * count);
	for (unsigned i = 0; i < count; i++)
		vs_put_be16(a + 9 + 2 * i, value[first + i]);
	ssize_t len = 9 + 2 * (ssize_t)count;
	if (write(fd, a, (size_t)len) != len)
		close(fd);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void take(int ep, int listener, struct seen *seen)
{
	int one = 1, fd = accept(listener, NULL, NULL);
	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	seen[fd] = (struct seen){ .connection = connections++ % CONNECTIONS_MAX };
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

static void serve(int listener, int report)
{
	static struct seen seen[65536];
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = listener }, got[256];
	int ep = epoll_create1(0);
	raise_files();
	late = malloc(sizeof *late * SAMPLES_MAX);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	signal(SIGUSR1, on_signal);
	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
	while (!stopping) {
		int n = epoll_wait(ep, got, 256, 50); /* a signal may come just before it */
		if (report_due) {
			report_due = 0;
			print_lateness();
		}
		for (int i = 0; i < n; i++)
			if (got[i].data.fd == listener)
				take(ep, listener, seen);
			else
				answer(got[i].data.fd, &seen[got[i].data.fd]);
	}
	double p[3], less[3];
	if (report < 0) {
		print_lateness();
	} else {
		sum_up(p, less);
		if (write(report, p, sizeof p) != sizeof p)
			exit(1);
	}
	exit(0);
}

/* ---- what is compared */

struct result {
	double cpu_us_per_poll, late_median, late_p99;
	unsigned long polls;
	long rss_kb;
};

static struct in_addr host(unsigned i)
{
	return (struct in_addr){ htonl(0x7f010001 + i / 250 * 256 + i % 250) };
}

static long rss_kb(void)
{
	long pages = 0, skip;
	FILE *f = fopen("/proc/self/statm", "r");
	if (f && fscanf(f, "%ld %ld", &skip, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Sends what is due, reads what comes; the least that any client must do. */
static struct result bare(uint16_t port, unsigned n, unsigned seconds)
{
	static int fds[MONITORS_MAX];
	static uint8_t q[MONITORS_MAX][12];
	struct epoll_event ev, got[256];
	int ep = epoll_create1(0);
	raise_files();
	for (unsigned i = 0; i < n; i++) {
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = host(i) };
		int one = 1;
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (connect(fds[i], (struct sockaddr *)&a, sizeof a) < 0) {
			perror("modbus-poll: connect");
			exit(1);
		}
		ev = (struct epoll_event){ .events = EPOLLIN, .data.fd = fds[i] };
		epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &ev);
		memcpy(q[i], "\0\0\0\0\0\x06\x01\x04\0\0\0\x04", 12);
	}
	struct result r = { 0 };
	double start = now_ms(CLOCK_MONOTONIC), cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID);
	unsigned slots = PERIOD_MS / SLOT_MS, due = 0;
	while (due < seconds * slots || r.polls < (unsigned long)seconds * n) {
		double t = now_ms(CLOCK_MONOTONIC) - start;
		for (; due < seconds * slots && due * SLOT_MS <= t; due++)
			for (unsigned i = due % slots; i < n; i += slots) {
				vs_put_be16(q[i], (uint16_t)(vs_be16(q[i]) + 1));
				if (write(fds[i], q[i], 12) != 12)
					exit(1);
			}
		int wait = (int)(due * SLOT_MS - (now_ms(CLOCK_MONOTONIC) - start)) + 1;
		int k = epoll_wait(ep, got, 256, due < seconds * slots ? (wait > 0 ? wait : 0) : 1000);
		if (k <= 0 && due == seconds * slots)
			break;
		for (int i = 0; i < k; i++) {
			uint8_t buf[300];
			r.polls += read(got[i].data.fd, buf, sizeof buf) == 17;
		}
	}
	r.cpu_us_per_poll = (now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e3 / (double)(r.polls ? r.polls : 1);
	r.rss_kb = rss_kb();
	return r;
}

static unsigned long readings, values;

static void on_reading(void *ctx, const struct vs_reading *r, uint64_t at_ms)
{
	(void)ctx;
	(void)at_ms;
	readings++;
	values += r->len;
}

static void on_status(void *ctx, enum vs_device_status st, const char *detail)
{
	(void)ctx;
	(void)st;
	(void)detail;
}

static const struct vs_device_ops ops = { on_reading, on_status };

static void tick(uv_timer_t *t)
{
	uv_stop(t->loop);
}

static void run_for(uv_loop_t *loop, uv_timer_t *timer, unsigned ms)
{
	uv_timer_start(timer, tick, ms, 0);
	uv_run(loop, UV_RUN_DEFAULT);
}

/* A port whose backlog is full swallows every further connection. */
static void open_hole(uint16_t *port)
{
	int full = listen_on(port);
	listen(full, 0);
	for (int i = 0; i < 4; i++) {
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr = host(0) };
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0 && errno != EINPROGRESS)
			exit(1);
	}
}

/* dead of the n monitors are hosts that swallow connections. */
static struct result acquire(uint16_t port, uint16_t hole, unsigned n, unsigned dead, unsigned seconds)
{
	uv_loop_t loop;
	uv_timer_t timer;
	struct vs_acquire *a;
	struct vs_register_map map = { .len = 4 };
	static const enum vs_metric metrics[] = { VS_SPO2, VS_PR, VS_RR, VS_TEMP };
	for (unsigned i = 0; i < 4; i++)
		map.reg[i] = (struct vs_register){ .metric = metrics[i], .table = VS_INPUT, .address = (uint16_t)i,
						   .scale = i == 3 ? 0.1 : 1 };
	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&loop);
	uv_timer_init(&loop, &timer);
	vs_acquire_create(&loop, &a);
	for (unsigned i = 0; i < n; i++) {
		struct vs_device_config cfg = { .plugin = "modbus", .link = VS_LINK_TCP, .unit = 1, .poll_ms = PERIOD_MS,
						.timeout_ms = 500, .retries = 1, .largest_gap = 8, .map = &map };
		struct vs_device *d;
		struct in_addr addr = host(i);
		bool is_dead = dead && i % (n / dead) == 0;
		cfg.port = is_dead ? hole : port;
		inet_ntop(AF_INET, &addr, cfg.host, sizeof cfg.host);
		if (vs_device_create(a, &cfg, &ops, NULL, &d) < 0)
			exit(1);
	}
	run_for(&loop, &timer, 2000); /* everybody is connected, and the dead are in their rhythm */
	readings = values = 0;
	double cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID);
	run_for(&loop, &timer, seconds * 1000);
	struct result r = { .polls = readings, .rss_kb = rss_kb() };
	r.cpu_us_per_poll = (now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e3 / (double)(readings ? readings : 1);
	if (values != readings * 4)
		fprintf(stderr, "modbus-poll: %lu readings with %lu values\n", readings, values);
	return r;
}

/* ---- one after the other, each in processes of its own */

enum what { BARE, ACQUIRE, ACQUIRE_DEAD };

static struct result measure(enum what what, unsigned n, unsigned seconds)
{
	uint16_t port = 0, hole = 0;
	int listener = listen_on(&port), results[2], lateness[2];
	struct result r = { 0 };
	double p[3] = { 0 };
	if (pipe(results) < 0 || pipe(lateness) < 0)
		exit(1);
	pid_t server = fork();
	if (server == 0)
		serve(listener, lateness[1]);
	close(listener);
	pid_t client = fork();
	if (client == 0) {
		open_hole(&hole);
		r = what == BARE ? bare(port, n, seconds) : acquire(port, hole, n, what == ACQUIRE_DEAD ? n / 10 : 0, seconds);
		exit(write(results[1], &r, sizeof r) != sizeof r);
	}
	close(results[1]);
	if (read(results[0], &r, sizeof r) != sizeof r)
		fprintf(stderr, "modbus-poll: a measurement failed\n");
	waitpid(client, NULL, 0);
	kill(server, SIGTERM);
	close(lateness[1]);
	if (read(lateness[0], p, sizeof p) != sizeof p)
		fprintf(stderr, "modbus-poll: the server did not report\n");
	waitpid(server, NULL, 0);
	close(results[0]);
	close(lateness[0]);
	r.late_median = p[0];
	r.late_p99 = p[1];
	return r;
}

static int compare(unsigned n, unsigned seconds, unsigned rounds)
{
	static const char *const names[] = { "bare epoll client", "acquisition", "acquisition, a tenth black-holed" };
	double cpu[3][64], ratio[64];
	struct result last[3];
	for (unsigned i = 0; i < rounds; i++) {
		for (int w = BARE; w <= ACQUIRE_DEAD; w++) {
			last[w] = measure((enum what)w, n, seconds);
			cpu[w][i] = last[w].cpu_us_per_poll;
			printf("round %u  %-34s %6lu polls  %6.2f us CPU a poll  %6ld kB  p99 %.2f ms behind\n", i + 1, names[w],
			       last[w].polls, last[w].cpu_us_per_poll, last[w].rss_kb, last[w].late_p99);
			fflush(stdout);
		}
		ratio[i] = cpu[ACQUIRE][i] / cpu[BARE][i];
	}
	qsort(ratio, rounds, sizeof *ratio, by_size);
	for (int w = BARE; w <= ACQUIRE_DEAD; w++) {
		qsort(cpu[w], rounds, sizeof **cpu, by_size);
		printf("%-34s median %.2f us a poll (%.2f to %.2f)\n", names[w], cpu[w][rounds / 2], cpu[w][0], cpu[w][rounds - 1]);
	}
	printf("acquisition / bare: median %.2f (%.2f to %.2f)\n", ratio[rounds / 2], ratio[0], ratio[rounds - 1]);
	return 0;
}

static unsigned number(char **argv, int argc, int i, unsigned otherwise)
{
	return i < argc ? (unsigned)strtoul(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "compare";
	unsigned n = number(argv, argc, strcmp(what, "bare") ? 2 : 3, 1000);
	if (!strcmp(what, "server")) {
		uint16_t port = (uint16_t)number(argv, argc, 2, 0), hole = (uint16_t)number(argv, argc, 3, 0);
		uint16_t mute = (uint16_t)number(argv, argc, 4, 0);
		int listener = listen_on(&port);
		open_hole(&hole);
		listen_on(&mute); /* the kernel accepts up to its backlog, and nobody ever reads */
		printf("port %u hole %u mute %u\n", port, hole, mute);
		if (!stillness_watch())
			fprintf(stderr, "modbus-poll: no right to real-time priority: stillness of the machine is not told\n");
		fflush(stdout);
		serve(listener, -1);
	} else if (n == 0 || n > MONITORS_MAX) {
		fprintf(stderr, "modbus-poll: 1 to %d monitors\n", MONITORS_MAX);
		return 2;
	} else if (!strcmp(what, "bare")) {
		struct result r = bare((uint16_t)number(argv, argc, 2, 502), n, number(argv, argc, 4, 10));
		printf("bare: %lu polls, %.2f us CPU a poll\n", r.polls, r.cpu_us_per_poll);
	} else if (!strcmp(what, "compare")) {
		unsigned rounds = number(argv, argc, 4, 3);
		return compare(n, number(argv, argc, 3, 10), rounds > 0 && rounds <= 64 ? rounds : 3);
	} else {
		fprintf(stderr, "usage: modbus-poll compare [N] [SECONDS] [ROUNDS] | server PORT [HOLE [MUTE]] | bare PORT N SECONDS\n");
		return 2;
	}
	return 0;
}
