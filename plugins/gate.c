#include "plugins/gate.h"

#include <math.h>
#include <stdio.h>

/* Measured (tests/fuzz/test_resync.c): at 1 % of wrong bytes a line of three bytes a frame is noisy all the time but for
 * one frame in 10^5, and one that lost a plug for a moment is clean again after seconds, the slowest after minutes. */
#define WINDOW 3072
#define CLOSE_UNCHECKED 2
#define CLOSE_CHECKED 4 /* its sum has to be passed as well: there is time to be sure */

#define APART 16 /* four to six of the shortest frames without a checksum: random bytes hardly hold so many in a row */

#define PATIENCE 3
#define STEP_PART 0.05 /* of the value, or ... */
#define STEP_WHOLE 2.0 /* ... of a metric without decimals, */
#define STEP_FINE 0.2  /* ... of one with: so far may a vital sign move from one frame to the next */

void vs_gate_init(struct vs_gate *g, const struct vs_plugin *p)
{
	memset(g, 0, sizeof *g);
	g->close = p->strong ? 0 : p->checked ? CLOSE_CHECKED : CLOSE_UNCHECKED;
	g->spot = p->spot;
}

static void remember_damage(struct vs_gate *g)
{
	memmove(g->damage + 1, g->damage, sizeof g->damage - sizeof g->damage[0]);
	g->damage[0].bytes = g->bytes;
	g->damage[0].frames = g->frames;
	if (g->damages < VS_GATE_DAMAGES)
		g->damages++;
}

void vs_gate_lost(struct vs_gate *g)
{
	if (g->bytes - g->begun >= APART)
		remember_damage(g);
	g->begun = g->bytes;
	g->lost = true;
}

/* The reading so far back; 0: the last one. */
static double back(const struct vs_gate *g, enum vs_metric m, unsigned i)
{
	return g->metric[m].said[(g->metric[m].n - 1 - i) % VS_GATE_MEMORY];
}

static void become_noisy(struct vs_gate *g)
{
	g->noisy = true;
	g->times++;
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++) {
		g->metric[m].held = 0;
		g->metric[m].passed = back(g, m, 0);
	}
}

void vs_gate_frame(struct vs_gate *g, size_t len)
{
	if (g->lost && !g->noisy && g->close && g->damages >= g->close &&
	    g->bytes - g->damage[g->close - 1].bytes <= WINDOW)
		become_noisy(g);
	g->lost = false;
	g->bytes += len;
	g->frames++;
	if (g->noisy && g->bytes - g->damage[0].bytes > WINDOW) {
		g->noisy = false;
		g->damages = 0;
	}
}

static bool is_near(enum vs_metric m, double a, double b)
{
	return fabs(a - b) <= fmax(vs_metrics[m].decimals ? STEP_FINE : STEP_WHOLE, STEP_PART * fabs(b));
}

/* One witness for a small step from what passed last, two for a leap: noise in a byte with the high bits of others
 * makes the same wrong number again and again. */
static bool passes(const struct vs_gate *g, const struct vs_obs *o)
{
	unsigned same = 0;
	for (unsigned i = 0; i < VS_GATE_MEMORY && i < g->metric[o->metric].n; i++)
		same += back(g, o->metric, i) == o->value;
	return same >= (is_near(o->metric, o->value, g->metric[o->metric].passed) ? 1 : 2);
}

/* A number without a witness. */
static void doubt(struct vs_gate *g, struct vs_obs *o)
{
	double last = back(g, o->metric, 0), before = back(g, o->metric, 1);
	bool moves_on = g->metric[o->metric].held == PATIENCE && is_near(o->metric, o->value, last) &&
			is_near(o->metric, last, before);
	o->flags |= VS_FLAG(QUESTIONABLE);
	if (g->spot || vs_metric_is_nibp(o->metric) || moves_on) {
		g->marked++;
		return;
	}
	o->has_value = false;
	o->value = 0;
	g->held++;
	if (g->metric[o->metric].held < PATIENCE)
		g->metric[o->metric].held++;
}

static void judge(struct vs_gate *g, struct vs_obs *o)
{
	if (!passes(g, o)) {
		doubt(g, o);
		return;
	}
	g->metric[o->metric].held = 0;
	g->metric[o->metric].passed = o->value;
}

void vs_gate_reading(struct vs_gate *g, struct vs_reading *r)
{
	for (unsigned i = 0; g->close && i < r->len; i++) {
		struct vs_obs *o = &r->obs[i];
		double value = o->value;
		if (!o->has_value || o->word)
			continue;
		if (g->noisy)
			judge(g, o);
		g->metric[o->metric].said[g->metric[o->metric].n++ % VS_GATE_MEMORY] = value;
	}
}

void vs_gate_reset(struct vs_gate *g)
{
	g->begun = g->bytes;
	g->lost = false;
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++)
		g->metric[m].n = g->metric[m].held = 0;
}

int vs_gate_words(const struct vs_gate *g, char *buf, size_t cap)
{
	uint64_t of = g->damages ? g->frames - g->damage[g->damages - 1].frames + g->damages : 0;
	return snprintf(buf, cap,
			"line noisy: %u of the last %llu frames damaged, a number has to come twice; check cable, grounding and "
			"baud rate",
			g->damages, (unsigned long long)of);
}
