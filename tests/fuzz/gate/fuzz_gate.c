/* Fuzz target: any order of good frames, lost bytes, readings and closed lines through the gate for noisy lines.
 *
 * First byte: how the protocol is checked, whether it is a spot check's, whether results of its cuff can be had again.  Then two bytes a step: what happens, and with
 * which number.  Whatever comes: a clean line and a strong check change nothing; what is held becomes no value and is said to be
 * questionable; what passes unmarked from a noisy line was said before; nothing but numbers is touched; a line is clean again
 * after so many good bytes; a result of the cuff that waits comes after so many polls, marked, and is the last one that was held. */
#include <stdio.h>
#include <stdlib.h>

#include "plugins/gate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ENOUGH 4096 /* good bytes in a row: no line is noisy after them */

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz-gate: %s\n", what);
	abort();
}

static void again(void *state, bool wanted)
{
	(void)state, (void)wanted;
}

struct past {
	bool waits, polled;
	double result;  /* waits: the result of the cuff that was held last */
	unsigned polls; /* since the first of them */
	double said[VS_METRIC_COUNT][VS_GATE_MEMORY];
	unsigned len[VS_METRIC_COUNT];
};

static bool was_said(const struct past *p, const struct vs_obs *o)
{
	if (p->waits && vs_metric_is_nibp(o->metric) && p->result == o->value)
		return true;
	for (unsigned i = 0; i < p->len[o->metric]; i++)
		if (p->said[o->metric][i] == o->value)
			return true;
	return false;
}

static void say(struct past *p, const struct vs_obs *o)
{
	double *said = p->said[o->metric];
	memmove(said + 1, said, (VS_GATE_MEMORY - 1) * sizeof *said);
	said[0] = o->value;
	p->len[o->metric] += p->len[o->metric] < VS_GATE_MEMORY;
}

/* What three metrics say of one byte: a number, no number, a word. */
static void fill(struct vs_reading *r, uint8_t value)
{
	static const enum vs_metric metrics[] = { VS_SPO2, VS_PR, VS_NIBP_SYS, VS_PI };
	enum vs_metric m = metrics[value & 3];
	r->len = 0;
	r->flags = 0;
	vs_reading_add(r, m, value >> 2, 0);
	vs_reading_add_none(r, VS_TEMP, VS_FLAG(SENSOR_OFF));
	vs_reading_add_word(r, VS_NIBP_EVENT, "done");
}

static bool same(const struct vs_obs *a, const struct vs_obs *b)
{
	return a->metric == b->metric && a->has_value == b->has_value && a->value == b->value && a->word == b->word &&
	       a->flags == b->flags && a->device_error == b->device_error;
}

static void check(const struct vs_gate *g, const struct vs_plugin *p, const struct past *past,
		  const struct vs_reading *was, const struct vs_reading *is)
{
	const struct vs_obs *a = &was->obs[0], *b = &is->obs[0];
	bool marked = b->flags & VS_FLAG(QUESTIONABLE);
	must(is->len == was->len && is->flags == was->flags, "observations come or go");
	for (unsigned i = 1; i < was->len; i++)
		must(same(&was->obs[i], &is->obs[i]), "something that is no number was touched");
	must(a->metric == b->metric && (b->flags & ~VS_FLAG(QUESTIONABLE)) == a->flags, "other flags than its own");
	must(b->has_value ? b->value == a->value : b->value == 0, "another number");
	must(a->has_value || !b->has_value, "a number that nobody said");
	must(g->noisy || same(a, b), "a clean line is not left alone");
	must(!p->strong || same(a, b), "a strong check is not trusted");
	must(!a->has_value || b->has_value || (marked && !vs_metric_is_nibp(a->metric) && !p->spot) ||
		     (marked && vs_metric_is_nibp(a->metric) && p->again && past->polled),
	     "lost without a word");
	must(!g->noisy || !b->has_value || marked || was_said(past, a), "a noisy line, and a number that came once");
}

/* A poll, or the line is lost: what waits comes in time, once, as it was. */
static void wait_on(struct vs_gate *g, struct past *past, bool poll)
{
	struct vs_reading late = { 0 };
	bool comes = poll ? vs_gate_poll(g, &late) : vs_gate_settle(g, &late);
	past->polled |= poll;
	past->polls += poll;
	must(!comes || past->waits, "a result comes that did not wait");
	must(comes || !past->waits || (poll && past->polls < VS_GATE_POLLS), "a result is lost");
	if (!comes)
		return;
	must(late.len == 1 && late.obs[0].has_value && late.obs[0].metric == VS_NIBP_SYS && late.obs[0].value == past->result &&
		     late.obs[0].flags & VS_FLAG(QUESTIONABLE),
	     "another result than the one that waited");
	past->waits = false;
}

static void follow(struct past *past, const struct vs_obs *was, const struct vs_obs *is)
{
	if (!was->has_value || !vs_metric_is_nibp(was->metric))
		return;
	past->polls = past->waits ? past->polls : 0;
	past->waits = !is->has_value;
	past->result = was->value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vs_gate g;
	struct past past = { 0 };
	struct vs_reading was, is;
	char words[200];
	uint64_t in_a_row = 0;
	if (!size)
		return 0;
	const struct vs_plugin p = { .checked = data[0] & 1, .strong = data[0] & 2, .spot = data[0] & 4,
				     .again = data[0] & 8 ? again : NULL };
	vs_gate_init(&g, &p);
	for (size_t i = 1; i + 1 < size; i += 2) {
		unsigned what = data[i] & 3, len = data[i] >> 2;
		if (what == 0) {
			vs_gate_lost(&g);
			in_a_row = 0;
		} else if (what == 1 && len == 63) {
			vs_gate_reset(&g);
			memset(past.len, 0, sizeof past.len);
		} else if (what == 1 && len >= 61) {
			wait_on(&g, &past, len == 62);
		} else {
			vs_gate_frame(&g, 1 + len * (what == 3 ? 8 : 1));
			in_a_row += 1 + len * (what == 3 ? 8 : 1);
		}
		must(in_a_row < ENOUGH || !g.noisy, "noisy for ever");
		must(g.damages <= VS_GATE_DAMAGES && (!g.noisy || g.close), "impossible");
		must(vs_gate_words(&g, words, sizeof words) < (int)sizeof words, "more words than there is room");
		if (what < 2)
			continue;
		fill(&was, data[i + 1]);
		fill(&is, data[i + 1]);
		vs_gate_reading(&g, &is);
		check(&g, &p, &past, &was, &is);
		follow(&past, &was.obs[0], &is.obs[0]);
		if (was.obs[0].has_value)
			say(&past, &was.obs[0]);
	}
	return 0;
}
