/* What recording costs while it happens: readings at their pace through custody and the store, as in the daemon, where the
 * loop copies and a thread writes.  For the figures of docs/performance.md; tests/bench/record.py runs it.
 *
 *	recording FOLDER [--seconds 20] [--chairs 1000] [--values 4]
 *
 * So many chairs with one monitor each, a reading of so many values a second, spread over the second.  Three turns of so many
 * seconds each:
 *
 *	pace    the same loop makes the readings, and gives them to nobody
 *	record  the readings go into FOLDER/ring, and the store makes FOLDER/vitals.db of them
 *	plain   as many rows of as many columns into FOLDER/plain.db: one prepared INSERT a reading, a COMMIT every 250 ms, the
 *		same WAL and synchronous=FULL; no number, no seal, no index, nothing that survives a kill before the COMMIT
 *
 * Prints a JSON object: CPU milliseconds a second of the loop in the first two turns, of the writer thread, and of the plain
 * rows; what was recorded; bytes an observation are decade.py's business. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/clock.h"
#include "daemon/store.h"

struct plan {
	unsigned seconds, chairs, values;
	const char *folder;
};

static char names[4096][24];

static double cpu_ms(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void next_ms(struct timespec *at)
{
	at->tv_nsec += 1000000;
	if (at->tv_nsec >= 1000000000)
		at->tv_nsec -= 1000000000, at->tv_sec++;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, at, NULL) != 0)
		;
}

/* What a monitor says at a second; one value in four has a decimal. */
static void measure(struct vs_reading *r, unsigned values, unsigned chair, unsigned second)
{
	static const enum vs_metric metrics[] = { VS_HR, VS_SPO2, VS_RR, VS_TEMP };
	*r = (struct vs_reading){ .len = 0 };
	for (unsigned i = 0; i < values; i++)
		vs_reading_add(r, metrics[i], metrics[i] == VS_TEMP ? 36.1 + (double)((chair + second / 60) % 12) / 10
								     : 60 + (double)((chair * 7 + second / 5 + i) % 40), 0);
}

/* Readings of all chairs at their pace; ring NULL: nobody takes them.  Returns CPU milliseconds of this thread, but for sleeping
 * and waking, which cost the same each time. */
static double run(const struct plan *p, struct vs_custody *ring, uint64_t epoch, unsigned long *ret_given_up)
{
	struct timespec at;
	unsigned long done = 0;
	double spent = 0;
	clock_gettime(CLOCK_MONOTONIC, &at);
	for (unsigned long ms = 1; ms <= p->seconds * 1000ul; ms++) {
		next_ms(&at);
		double before = cpu_ms(CLOCK_THREAD_CPUTIME_ID);
		int64_t wall_ms = vs_wall_ms();
		for (; done < ms * p->chairs / 1000; done++) {
			unsigned chair = (unsigned)(done % p->chairs), second = (unsigned)(done / p->chairs);
			struct vs_reading r;
			measure(&r, p->values, chair, second);
			struct vs_event e = { .kind = VS_KIND_VITALS, .site = "bench", .chair = names[chair], .epoch = epoch, .seq = second + 1,
					      .wall_ms = wall_ms, .device = "monitor", .reading = &r };
			if (!ring)
				continue;
			vs_custody_begin(ring);
			*ret_given_up += vs_custody_add(ring, &e) != 0;
			vs_custody_commit(ring);
		}
		spent += cpu_ms(CLOCK_THREAD_CPUTIME_ID) - before;
	}
	return spent;
}

static double plain_rows(const struct plan *p)
{
	char path[512];
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	unsigned long done = 0;
	snprintf(path, sizeof path, "%s/plain.db", p->folder);
	if (sqlite3_open(path, &db) != SQLITE_OK ||
	    sqlite3_exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE reading(id INTEGER PRIMARY KEY, shape"
			     " INTEGER NOT NULL, t INTEGER NOT NULL, v1 ANY, v2 ANY, v3 ANY, v4 ANY, more TEXT) STRICT", NULL, NULL,
			 NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, "INSERT INTO reading VALUES(?1, 1, ?2, ?3, ?4, ?5, ?6, NULL)", -1, &st, NULL) != SQLITE_OK)
		exit(1);
	double before = cpu_ms(CLOCK_THREAD_CPUTIME_ID);
	for (unsigned group = 1; group <= p->seconds * 4; group++) {
		struct timespec quarter = { .tv_nsec = 250000000 };
		nanosleep(&quarter, NULL);
		int rc = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
		for (; done < (unsigned long)group * p->chairs / 4; done++) {
			struct vs_reading r;
			measure(&r, p->values, (unsigned)(done % p->chairs), (unsigned)(done / p->chairs));
			sqlite3_bind_int64(st, 1, (int64_t)(done % p->chairs * 8192 + done / p->chairs));
			sqlite3_bind_int64(st, 2, (int64_t)(done / p->chairs * 1000));
			for (unsigned i = 0; i < p->values; i++)
				sqlite3_bind_double(st, 3 + (int)i, r.obs[i].value);
			if (sqlite3_step(st) != SQLITE_DONE)
				exit(1);
			sqlite3_reset(st);
		}
		if (rc != SQLITE_OK || sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
			exit(1);
	}
	double cpu = cpu_ms(CLOCK_THREAD_CPUTIME_ID) - before;
	sqlite3_finalize(st);
	sqlite3_close(db);
	return cpu;
}

/* CPU of the loop, and of the writer until everything is in the log. */
static double record(const struct plan *p, double *ret_writer_ms, uint64_t *ret_recorded, unsigned long *ret_given_up)
{
	char ring_path[512], db[512];
	struct vs_custody *ring;
	struct vs_store *store;
	struct vs_store_health health;
	snprintf(ring_path, sizeof ring_path, "%s/ring", p->folder);
	snprintf(db, sizeof db, "%s/vitals.db", p->folder);
	struct vs_store_options o = { .path = db, .site = "bench", .config_hash = "0000", .version = VS_VERSION };
	if (vs_custody_open(ring_path, 0, &o.ring) < 0 || vs_store_open(&o, &store) < 0)
		exit(1);
	ring = o.ring;
	double whole = cpu_ms(CLOCK_PROCESS_CPUTIME_ID), own = cpu_ms(CLOCK_THREAD_CPUTIME_ID);
	if (vs_store_start(store) < 0)
		exit(1);
	double loop = run(p, ring, vs_store_epoch(store), ret_given_up);
	while (vs_custody_backlog(ring, VS_READER_LOG) > 0)
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	*ret_writer_ms = cpu_ms(CLOCK_PROCESS_CPUTIME_ID) - whole - (cpu_ms(CLOCK_THREAD_CPUTIME_ID) - own);
	vs_store_health(store, &health);
	*ret_recorded = health.recorded;
	vs_store_close(store);
	vs_custody_close(ring);
	return loop;
}

int main(int argc, char **argv)
{
	struct plan p = { .seconds = 20, .chairs = 1000, .values = 4, .folder = argv[1] };
	for (int i = 2; i + 1 < argc; i += 2) {
		unsigned v = (unsigned)strtoul(argv[i + 1], NULL, 10);
		if (!strcmp(argv[i], "--seconds"))
			p.seconds = v;
		else if (!strcmp(argv[i], "--chairs") && v <= 4096)
			p.chairs = v;
		else if (!strcmp(argv[i], "--values") && v <= 4)
			p.values = v;
		else
			return 2;
	}
	if (argc < 2 || !p.seconds || !p.chairs)
		return 2;
	for (unsigned c = 0; c < p.chairs; c++)
		snprintf(names[c], sizeof names[c], "chair-%u", c + 1);
	unsigned long given_up = 0;
	double writer_ms, seconds = p.seconds;
	uint64_t recorded;
	double pace = run(&p, NULL, 0, &given_up), loop = record(&p, &writer_ms, &recorded, &given_up), plain = plain_rows(&p);
	printf("{\"observations_s\":%u,\"recorded\":%llu,\"given_up\":%lu,\"pace\":%.3f,\"loop\":%.3f,\"writer\":%.3f,\"plain\":%.3f}\n",
	       p.chairs * p.values, (unsigned long long)recorded, given_up, pace / seconds, loop / seconds, writer_ms / seconds,
	       plain / seconds);
	return given_up != 0;
}
