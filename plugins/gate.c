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
	g->repeats = p->again;
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

static void hold(struct vs_gate *g, struct vs_obs *o)
{
	o->flags |= VS_FLAG(QUESTIONABLE);
	o->has_value = false;
	o->value = 0;
	g->held++;
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
	hold(g, o);
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

/* ---- results of the cuff that can be had again */

static bool may_wait(const struct vs_gate *g, const struct vs_obs *o)
{
	return g->repeats && g->polled && vs_metric_is_nibp(o->metric);
}

/* One measurement is believed, or doubted, whole.  Returns how many numbers it has. */
static unsigned result_of(const struct vs_gate *g, const struct vs_reading *r, struct vs_obs *ret)
{
	unsigned n = 0;
	for (unsigned i = 0; i < r->len && n < VS_GATE_RESULT; i++)
		if (r->obs[i].has_value && may_wait(g, &r->obs[i]))
			ret[n++] = r->obs[i];
	return n;
}

static bool is_witnessed(const struct vs_gate *g, const struct vs_obs *now, unsigned n)
{
	bool same = g->polls && n == g->results;
	for (unsigned i = 0; same && i < n; i++)
		same = now[i].metric == g->result[i].metric && now[i].value == g->result[i].value;
	return same;
}

/* What differs from the one that waits takes its place, and what is left of its time: one of the two is damaged. */
static enum vs_gate_result judge_result(struct vs_gate *g, struct vs_reading *r)
{
	struct vs_obs now[VS_GATE_RESULT];
	unsigned n = result_of(g, r, now), waited = g->polls;
	if (!n)
		return VS_RESULT_NONE;
	if (!g->noisy || is_witnessed(g, now, n)) {
		g->polls = 0;
		return waited ? VS_RESULT_SETTLED : VS_RESULT_NONE;
	}
	memcpy(g->result, now, n * sizeof *now);
	g->results = n;
	g->polls = waited ? waited : VS_GATE_POLLS;
	for (unsigned i = 0; i < r->len; i++)
		if (r->obs[i].has_value && may_wait(g, &r->obs[i]))
			hold(g, &r->obs[i]);
	return VS_RESULT_HELD;
}

bool vs_gate_settle(struct vs_gate *g, struct vs_reading *ret)
{
	if (!g->polls)
		return false;
	g->polls = 0;
	*ret = (struct vs_reading){ .len = g->results };
	for (unsigned i = 0; i < g->results; i++) {
		ret->obs[i] = g->result[i];
		ret->obs[i].flags |= VS_FLAG(QUESTIONABLE);
	}
	g->marked += g->results;
	return true;
}

bool vs_gate_poll(struct vs_gate *g, struct vs_reading *ret)
{
	g->polled = true;
	if (g->polls > 1) {
		g->polls--;
		return false;
	}
	return vs_gate_settle(g, ret);
}

/* ---- */

enum vs_gate_result vs_gate_reading(struct vs_gate *g, struct vs_reading *r)
{
	if (!g->close)
		return VS_RESULT_NONE;
	for (unsigned i = 0; i < r->len; i++) {
		struct vs_obs *o = &r->obs[i];
		double value = o->value;
		if (!o->has_value || o->word || may_wait(g, o))
			continue;
		if (g->noisy)
			judge(g, o);
		g->metric[o->metric].said[g->metric[o->metric].n++ % VS_GATE_MEMORY] = value;
	}
	return judge_result(g, r);
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
