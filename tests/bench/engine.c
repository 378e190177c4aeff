/* What one step of the alarm engine costs with the full set that ships, and an hour of one chair's data.
 * Prints the median, the 99th percentile and the spread over runs; clock_gettime itself is measured and taken off. */
#include <stdlib.h>
#include <time.h>

#include "alarms/watch.h"
#include "config/limits.h"

#define HOUR 3600
#define RUNS 15
#define EPOCH 1000000000000

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* What this process used: the machine may have other things to do. */
static double used_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double percentile(double *v, size_t n, double p)
{
	qsort(v, n, sizeof *v, by_size);
	return v[(size_t)((double)(n - 1) * p)];
}

static double clock_cost(void)
{
	static double v[10001];
	for (unsigned i = 0; i < 10001; i++) {
		double t = now_ns();
		v[i] = now_ns() - t;
	}
	return percentile(v, 10001, 0.5);
}

/* An ordinary hour: heart rate and saturation every second, a cuff every five minutes, some of it out of limits. */
static void reading_at(unsigned t, struct vs_reading *r)
{
	*r = (struct vs_reading){ .len = 0 };
	double hr = 75 + (t * 7 % 11) - 5.0 + (t > 1500 && t < 1900 ? 50 : 0);
	vs_reading_add(r, VS_HR, hr, 0);
	vs_reading_add(r, VS_PR, hr, 0);
	vs_reading_add(r, VS_SPO2, t > 2500 && t < 2560 ? 87 : 97 + t % 2, 0);
	if (t % 300 == 0) {
		double sys = 125 + t / 100.0;
		vs_reading_add(r, VS_NIBP_SYS, sys, 0);
		vs_reading_add(r, VS_NIBP_DIA, sys * 0.62, 0);
		vs_reading_add(r, VS_NIBP_MAP, sys * 0.75, 0);
	}
}

int main(void)
{
	static double steps[HOUR], hours[RUNS], medians[RUNS];
	static struct vs_engine engine;
	static struct vs_effects out;
	struct vs_limit_sets *sets = NULL;
	struct vs_findings findings = { 0 };
	uint64_t next = 1;
	if (vs_limits_load(NULL, 0, &sets, &findings) < 0)
		return 1;
	struct vs_engine_config config = { .set = vs_limits_find(sets, VS_LIMITS_DEFAULT), .n_devices = 1,
		.devices = { { .id = "monitor" } }, .next_alarm = &next };
	double off = clock_cost();
	unsigned alarms = 0;
	for (unsigned run = 0; run < RUNS; run++) {
		vs_engine_init(&engine, &config, EPOCH);
		struct vs_baseline b = { 3, { { VS_HR, 72 }, { VS_NIBP_SYS, 122 }, { VS_NIBP_DIA, 76 } } };
		struct vs_stimulus s = { .kind = VS_ST_BASELINE, .at_ms = EPOCH, .baseline = &b };
		vs_engine_step(&engine, &s, &out);
		s = (struct vs_stimulus){ .kind = VS_ST_PHASE, .at_ms = EPOCH, .phase = VS_PHASE_INFUSION };
		vs_engine_step(&engine, &s, &out);
		double begun = used_ns();
		for (unsigned t = 0; t < HOUR; t++) {
			struct vs_reading r;
			reading_at(t, &r);
			s = (struct vs_stimulus){ .kind = VS_ST_READING, .at_ms = EPOCH + t * 1000ull, .wall_ms = t * 1000ll,
				.reading = &r, .nibp = VS_NIBP_NEW };
			double before = now_ns();
			vs_engine_step(&engine, &s, &out);
			steps[t] = now_ns() - before - off;
			alarms += out.len;
		}
		hours[run] = (used_ns() - begun) / 1e6;
		medians[run] = percentile(steps, HOUR, 0.5);
	}
	printf("rules %u, engine %zu bytes, effects %u a run\n", config.set->n_rules, vs_engine_size(&config), alarms / RUNS);
	printf("step: median %.0f ns (runs %.0f to %.0f), p99 of the last run %.0f ns\n", percentile(medians, RUNS, 0.5),
		percentile(medians, RUNS, 0), percentile(medians, RUNS, 1), percentile(steps, HOUR, 0.99));
	printf("an hour at 1 Hz: median %.2f ms of CPU (runs %.2f to %.2f)\n", percentile(hours, RUNS, 0.5),
		percentile(hours, RUNS, 0), percentile(hours, RUNS, 1));
	vs_limits_free(sets);
	return 0;
}
