/* What custody costs the loop: begin, add and commit of one event, and what reading it back costs.
 *
 *	custody [ROUNDS [FOLDER]]
 *
 * Each round writes and reads 200,000 events of each sort in a ring in FOLDER (default: the working directory); printed
 * are the median and the spread of the rounds, in nanoseconds an event. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/custody.h"

#define EVENTS 200000
#define BATCH 1000
#define ROUNDS_MAX 101

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void print(const char *what, double *ns, unsigned rounds)
{
	qsort(ns, rounds, sizeof *ns, by_value);
	printf("%-52s median %6.0f ns   spread %.0f to %.0f\n", what, ns[rounds / 2], ns[0], ns[rounds - 1]);
}

static void read_batch(struct vs_custody_reader *r)
{
	struct vs_custody_record record;
	while (vs_custody_next(r, &record) == 1)
		;
	vs_custody_done(r);
}

/* asleep: the publisher's reader sleeps before each event, so that each commit wakes it. */
static void round_of(struct vs_custody *c, struct vs_event *e, bool asleep, double *ret_write_ns, double *ret_read_ns)
{
	struct vs_custody_reader *log = vs_custody_reader(c, VS_READER_LOG);
	struct vs_custody_reader *publisher = vs_custody_reader(c, VS_READER_PUBLISHER);
	uint64_t writing = 0, reading = 0;
	for (unsigned i = 0; i < EVENTS; i += BATCH) {
		uint64_t begin = now_ns();
		for (unsigned k = 0; k < BATCH; k++) {
			e->seq++;
			if (asleep)
				vs_custody_arm(publisher, true);
			vs_custody_begin(c);
			if (vs_custody_add(c, e) < 0)
				exit(1);
			vs_custody_commit(c);
			if (asleep)
				read_batch(publisher);
		}
		writing += now_ns() - begin;
		begin = now_ns();
		read_batch(log);
		reading += now_ns() - begin;
		read_batch(publisher);
		vs_custody_disarm(publisher);
	}
	*ret_write_ns = (double)writing / EVENTS;
	*ret_read_ns = (double)reading / EVENTS;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 11;
	char path[512];
	struct vs_custody *c;
	snprintf(path, sizeof path, "%s/bench-custody-%d", argc > 2 ? argv[2] : ".", (int)getpid());
	if (rounds < 1 || rounds > ROUNDS_MAX || vs_custody_open(path, VS_CUSTODY_DEFAULT, &c) < 0)
		return 1;
	struct vs_reading reading = { .len = 0 };
	vs_reading_add(&reading, VS_NIBP_SYS, 121, 0);
	vs_reading_add(&reading, VS_NIBP_DIA, 79, 0);
	vs_reading_add(&reading, VS_SPO2, 97, 0);
	vs_reading_add(&reading, VS_PR, 72, 0);
	struct vs_event vitals = { .kind = VS_KIND_VITALS, .site = "north-clinic", .chair = "chair-1",
				   .session = "s-20261121-3", .epoch = 7, .wall_ms = 1700000000000, .device = "monitor",
				   .reading = &reading };
	char body[400];
	memset(body, 'x', sizeof body);
	struct vs_event alarm = { .kind = VS_KIND_ALARM, .site = "north-clinic", .chair = "chair-1",
				  .session = "s-20261121-3", .epoch = 7, .wall_ms = 1700000000000, .body = body,
				  .body_len = sizeof body };
	double write_ns[3][ROUNDS_MAX], read_ns[3][ROUNDS_MAX];
	for (unsigned i = 0; i < rounds; i++) {
		round_of(c, &vitals, false, &write_ns[0][i], &read_ns[0][i]);
		round_of(c, &alarm, false, &write_ns[1][i], &read_ns[1][i]);
		round_of(c, &alarm, true, &write_ns[2][i], &read_ns[2][i]);
	}
	print("vitals of 4 values, add and commit", write_ns[0], rounds);
	print("alarm of 400 bytes, add and commit", write_ns[1], rounds);
	print("alarm, add, commit, wake the reader, read it", write_ns[2], rounds);
	print("vitals, read back", read_ns[0], rounds);
	print("alarm, read back", read_ns[1], rounds);
	vs_custody_close(c);
	return unlink(path);
}
