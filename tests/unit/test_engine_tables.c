/* The clinical tables D0 to D2 and E1 to E3 once more, in the plainest way: whole seconds, whole recordings, sorting for
 * a median, every pair for a slope.  Chance recordings go through this and through the engine, one rule of the set that
 * ships at a time, and both must say the same at the same second. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "alarms/trend.h"
#include "tests/unit/adult.h"
#include "tests/unit/story.h"

#define SECONDS 700

static const struct vs_baseline ordinary = { 4, { { VS_HR, 80 }, { VS_NIBP_SYS, 120 }, { VS_NIBP_DIA, 75 }, { VS_SPO2, 98 } } };

/* ---- chance ---- */

static uint64_t seed;

static unsigned upto(unsigned n) /* splitmix64 */
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (unsigned)((z ^ (z >> 31)) % n);
}

/* A number that D3 lets through: 30 to 100 for a saturation, 20 to 300 for a rate. */
static double possible(double v, bool rate)
{
	return fmin(fmax(round(v), rate ? 20 : 30), rate ? 300 : 100);
}

/* A signal that lingers about `middle`, with gaps and single wild samples. */
static void recording(double *x, unsigned n, double middle, double spread, bool rate)
{
	double v = middle;
	int gap = 0;
	for (unsigned t = 0; t < n; t++) {
		if (upto(25) == 0)
			v = middle + ((int)upto(2001) - 1000) / 1000.0 * spread;
		if (gap == 0 && upto(45) == 0)
			gap = 1 + (int)upto(upto(4) ? 7 : 22);
		x[t] = gap > 0 ? NAN : possible((upto(30) ? v : v + 40 - 80.0 * upto(2)) + upto(2), rate);
		gap -= gap > 0;
	}
}

/* ---- a median, and two lists of what was said ---- */

static int ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof *v, ascending);
	return n == 0 ? NAN : n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

struct words {
	char text[8192];
	size_t len;
};

static void note(struct words *w, unsigned t, const char *what, const char *priority)
{
	if (w->len + 64 < sizeof w->text)
		w->len += (size_t)snprintf(w->text + w->len, 64, "%u %s %s; ", t, what, priority);
}

/* The second at which the baseline is frozen, and that at which the probe sits elsewhere; 0: at the start, never. */
static unsigned baseline_s, moved_s;

/* What the engine says about a recording, with one rule alone in its set. */
static void listen(struct words *w, const char *rule, enum vs_metric m, const double *x, unsigned n)
{
	/* also from the first instant of the clock on, and over the end of its low 32 bits */
	static const uint64_t epochs[] = { STORY_EPOCH, 0, UINT32_MAX / 10000 * UINT64_C(10000) - 300000 };
	const uint64_t epoch = epochs[seed % 3];
	static struct vs_limit_set alone;
	struct story_run *r = calloc(1, sizeof *r);
	alone = *adult;
	alone.rules[0] = *vs_rule_find(adult, rule);
	alone.n_rules = 1;
	r->next_alarm = 1;
	r->config = (struct vs_engine_config){ .set = &alone, .n_devices = 1, .devices = { { .id = "monitor" } },
		.next_alarm = &r->next_alarm };
	vs_engine_init(&r->engine, &r->config, epoch);
	struct vs_stimulus phase = { .kind = VS_ST_PHASE, .phase = VS_PHASE_INFUSION };
	story_step(r, &phase, epoch);
	for (unsigned t = 0; t < n; t++) {
		struct vs_stimulus baseline = { .kind = VS_ST_BASELINE, .baseline = &ordinary };
		struct vs_stimulus moved = { .kind = VS_ST_MOVED, .probe_moved = true };
		if (t == baseline_s)
			story_step(r, &baseline, epoch + t * 1000ull);
		if (moved_s && t == moved_s)
			story_step(r, &moved, epoch + t * 1000ull);
		struct vs_reading reading = { .len = 0 };
		struct vs_stimulus s = { .kind = VS_ST_READING, .reading = &reading };
		if (!isnan(x[t]))
			vs_reading_add(&reading, m, x[t], 0);
		story_step(r, &s, epoch + t * 1000ull);
		for (unsigned i = 0; i < r->effects.len; i++) {
			const struct vs_effect *f = &r->effects.at[i];
			bool alarm = f->kind == VS_EFFECT_ALARM;
			if (alarm || (f->kind == VS_EFFECT_REQUEST && strcmp(f->u.request.request, "note") == 0))
				note(w, (unsigned)((f->at_ms - epoch) / 1000),
					alarm ? vs_change_name(f->u.alarm.change) : "note",
					alarm ? vs_priority_name(f->u.alarm.priority) : "");
			if (alarm && f->u.alarm.change == VS_CHANGE_LATCHED) {
				struct vs_stimulus ack = { .kind = VS_ST_ACK, .operator = "anna" };
				story_step(r, &ack, epoch + t * 1000ull);
				break;
			}
		}
	}
	free(r);
}

static void must_agree(const struct words *wanted, const struct words *said, const char *rule, uint64_t from)
{
	if (strcmp(wanted->text, said->text) != 0)
		print_error("%s, seed %llu\n  tables: %s\n  engine: %s\n", rule, (unsigned long long)from, wanted->text, said->text);
	assert_string_equal(wanted->text, said->text);
}

/* ---- D0.1 to D0.3, D1: limits of signals ---- */

/* D1 for a patient whose heart rate was 80; > and < as written there, on-delay, clear, off-delay. */
static const struct limit {
	const char *rule;
	enum vs_metric metric;
	char sign;
	double limit;
	unsigned on;
	double clear;
	unsigned off;
	const char *priority;
	bool latch;
	unsigned escalates; /* to HIGH after so long */
} limits[] = {
	{ "hr-hi-crit", VS_HR, '>', 140, 6, 130, 10, "high", true, 0 },
	{ "hr-hi", VS_HR, '>', 120, 15, 115, 15, "medium", false, 0 },
	{ "hr-up", VS_HR, '>', 104, 120, 99, 30, "low", false, 0 }, /* min(110, max(100, 1.30 B)) */
	{ "hr-lo", VS_HR, '<', 50, 10, 53, 15, "medium", false, 0 },
	{ "hr-lo-crit", VS_HR, '<', 40, 6, 45, 10, "high", true, 0 },
	{ "spo2-adv", VS_SPO2, '<', 93, 60, 94, 30, "low", false, 0 },
	{ "spo2-lo", VS_SPO2, '<', 90, 15, 92, 10, "medium", false, 60 },
	{ "spo2-lo-crit", VS_SPO2, '<', 85, 10, 88, 10, "high", true, 0 },
};

/* D0.1: the median of the valid samples of the last 5 s, undefined if fewer than 3. */
static double m5(const double *x, unsigned t)
{
	double v[5];
	unsigned n = 0;
	for (unsigned s = t < 4 ? 0 : t - 4; s <= t; s++)
		if (!isnan(x[s]))
			v[n++] = x[s];
	return n < 3 ? NAN : median(v, n);
}

struct timer {
	int since, frozen, safe, gap; /* seconds; since, safe -1: not */
};

/* D0.2: runs from the first violation, reset after more than 3 s on the safe side, frozen up to 10 s without a median. */
static bool delay_is_over(struct timer *d, int t, bool violated, unsigned on)
{
	if (d->since >= 0 && d->gap > 0) {
		d->since = d->gap > 10 ? -1 : d->since;
		d->frozen += d->gap;
		d->safe += d->safe >= 0 ? d->gap : 0;
	}
	d->gap = 0;
	if (!violated) {
		d->safe = d->since >= 0 && d->safe < 0 ? t : d->safe;
		if (d->since >= 0 && t - d->safe > 3)
			d->since = -1;
		d->safe = d->since < 0 ? -1 : d->safe;
		return false;
	}
	d->safe = -1;
	if (d->since < 0) {
		d->since = t;
		d->frozen = 0;
	}
	return t - d->since - d->frozen >= (int)on;
}

/* D0.3: on the safe side, continuously, for the off-delay. */
static bool off_is_over(struct timer *d, int t, bool safe, unsigned off)
{
	d->safe = !safe ? -1 : d->safe < 0 || d->gap > 0 ? t : d->safe;
	d->gap = 0;
	return safe && t - d->safe >= (int)off;
}

static const struct timer rest = { -1, 0, -1, 0 };

static void by_the_table(struct words *w, const struct limit *l, const double *x, unsigned n)
{
	struct timer d = rest;
	int raised = -1;
	const char *priority = l->priority;
	bool seen = false;
	for (int t = 0; t < (int)n; t++) {
		double m = m5(x, (unsigned)t);
		d.gap += isnan(m) && seen;
		seen = seen || !isnan(m);
		bool over = l->sign == '>' ? m > l->limit : m < l->limit;
		bool safe = l->sign == '>' ? m <= l->clear : m >= l->clear;
		if (!isnan(m) && raised >= 0 && off_is_over(&d, t, safe, l->off)) {
			note(w, (unsigned)t, l->latch ? "latched" : "cleared", priority);
			raised = -1;
			d = rest;
		} else if (!isnan(m) && raised < 0 && delay_is_over(&d, t, over, l->on)) {
			priority = l->priority;
			note(w, (unsigned)t, "raised", priority);
			raised = t;
			d = rest;
		}
		if (raised >= 0 && l->escalates && t - raised == (int)l->escalates) {
			priority = "high";
			note(w, (unsigned)t, "escalated", priority);
		}
	}
}

static void limits_of_signals(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(limits) * 12; i++) {
		const struct limit *l = &limits[i % COUNT(limits)];
		struct words wanted = { .len = 0 }, said = { .len = 0 };
		static double x[SECONDS];
		seed = 1000 + i;
		recording(x, SECONDS, l->limit, i % 3 ? 12 : 4, l->metric == VS_HR);
		by_the_table(&wanted, l, x, SECONDS);
		listen(&said, l->rule, l->metric, x, SECONDS);
		must_agree(&wanted, &said, l->rule, 1000 + i);
	}
}

/* ---- D1: HR_DROP ---- */

static void drop_by_the_table(struct words *w, const double *x, unsigned n)
{
	struct timer d = rest;
	double reference = NAN;
	bool active = false, seen = false;
	for (int t = 0; t < (int)n; t++) {
		double m = m5(x, (unsigned)t), v[121], past;
		unsigned k = 0;
		d.gap += isnan(m) && seen;
		seen = seen || !isnan(m);
		if (isnan(m))
			continue;
		for (int s = t < 180 ? 0 : t - 180; s <= t - 60; s++)
			if (!isnan(x[s]))
				v[k++] = x[s];
		past = k >= 60 ? median(v, k) : NAN; /* half of those two minutes at least */
		if (active && off_is_over(&d, t, m > 0.85 * reference, 0)) {
			note(w, (unsigned)t, "cleared", "medium");
			active = false;
			d = rest;
		} else if (!active && delay_is_over(&d, t, m <= 0.75 * past && m <= 60, 10)) {
			note(w, (unsigned)t, "raised", "medium");
			active = true;
			reference = past;
			d = rest;
		}
	}
}

static void the_drop(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 90; i++) {
		struct words wanted = { .len = 0 }, said = { .len = 0 };
		static double x[2 * SECONDS];
		unsigned fast = 0, gap = 0;
		seed = 2000 + i;
		for (unsigned t = 0; t < COUNT(x); t++) { /* two rates, evenly mixed, so that each value of the past counts */
			if (t % 90 == 0)
				fast = upto(3) == 0;
			if (upto(300) == 0)
				gap = i % 2 ? upto(70) : upto(4) ? upto(12) : 150 + upto(80);
			x[t] = gap ? NAN : fast ? 57 + upto(4) - upto(2) * (i % 7) : 72 + 8 * upto(2);
			gap -= gap > 0;
		}
		drop_by_the_table(&wanted, x, COUNT(x));
		listen(&said, "hr-drop", VS_HR, x, COUNT(x));
		must_agree(&wanted, &said, "hr-drop", 2000 + i);
	}
}

/* ---- E2: trends of signals ---- */

struct line {
	double slope, level;
};

/* Repeated median of n points; the level is that at the newest of them. */
static struct line repeated(const double *tt, const double *y, unsigned n)
{
	double outer[18], inner[18];
	for (unsigned i = 0; i < n; i++) {
		unsigned k = 0;
		for (unsigned j = 0; j < n; j++)
			if (j != i)
				inner[k++] = (y[j] - y[i]) / (tt[j] - tt[i]);
		outer[i] = median(inner, k);
	}
	struct line l = { .slope = median(outer, n) };
	for (unsigned i = 0; i < n; i++)
		outer[i] = y[i] - l.slope * (tt[i] - tt[n - 1]);
	l.level = median(outer, n);
	return l;
}

/* The median of ten seconds; undefined with fewer than 6 valid samples. */
static double block(const double *x, int first)
{
	double v[10];
	unsigned k = 0;
	for (int s = first; s < first + 10; s++)
		if (s >= 0 && !isnan(x[s]))
			v[k++] = x[s];
	return k >= 6 ? median(v, k) : NAN;
}

/* The blocks of the last three minutes before t.  How many; 0 where the newest is older than 30 s. */
static unsigned blocks(const double *x, int t, double *tt, double *y)
{
	unsigned n = 0;
	int newest = -1000;
	for (int back = 18; back >= 1; back--) {
		double window[10], v;
		for (int s = 0; s < 10; s++) { /* B: a new window: what was measured before the probe moved counts no more */
			int at = t - 10 * back + s;
			window[s] = at < 0 || (t >= (int)moved_s && at < (int)moved_s) ? NAN : x[at];
		}
		v = block(window, 0);
		if (isnan(v))
			continue;
		tt[n] = -(back - 1) / 6.0;
		y[n++] = v;
		newest = t - 10 * (back - 1);
	}
	return t - newest <= 30 ? n : 0;
}

static void trend_by_the_table(struct words *w, bool heart, const double *x, unsigned n)
{
	unsigned row = 0, stands = 0; /* stands: 1 low, 2 medium */
	for (unsigned t = 10; t < n; t += 10) {
		double tt[18], y[18];
		unsigned k = blocks(x, (int)t, tt, y), reached;
		if (t - moved_s < 10 && !stands)
			row = 0;
		if (k < 14)
			continue;
		struct line l = repeated(tt, y, k);
		double f = heart ? l.level + 5 * fmin(l.slope, 10) : l.level + 3 * l.slope;
		bool on = heart ? l.slope >= 3 && l.level >= 80 + 15 : l.slope <= -0.8 && l.level <= 95 && f <= 90;
		reached = heart ? (f >= 140 ? 2 : f >= 120) : 2 * (f <= 90);
		if (stands && (heart ? l.slope < 1 : l.slope > -0.2)) {
			note(w, t, "cleared", stands == 2 ? "medium" : "low");
			stands = row = 0;
			continue;
		}
		row = on ? row + 1 : 0;
		if (row >= 3 && reached > stands) {
			note(w, t, stands ? "escalated" : "raised", reached == 2 ? "medium" : "low");
			stands = reached;
		}
	}
}

/* A signal that stays, climbs and falls, for some minutes each. */
static void slopes(double *x, unsigned n, double from, double low, double high, double steepest, unsigned longest)
{
	double v = from, per_s = 0;
	int gap = 0;
	for (unsigned t = 0; t < n; t++) {
		if (t % 60 == 0)
			per_s = ((int)upto(2001) - 1000) / 1000.0 * steepest / 60;
		v = fmin(high, fmax(low, v + per_s));
		if (gap == 0 && upto(60) == 0)
			gap = 1 + (int)upto(upto(5) ? 6 : longest);
		x[t] = gap > 0 ? NAN : possible(upto(40) ? v : v + 20, high > 100);
		gap -= gap > 0;
	}
}

static void trends_of_signals(void **state)
{
	(void)state;
	static const unsigned longest[] = { 45, 45, 90, 300 };
	for (unsigned i = 0; i < 160; i++) {
		bool heart = i % 2;
		struct words wanted = { .len = 0 }, said = { .len = 0 };
		static double x[2 * SECONDS];
		seed = 3000 + i;
		slopes(x, COUNT(x), heart ? 95 : 94, heart ? 75 : 86, heart ? 150 : 100, heart ? 16 : 3, longest[i / 40]);
		const bool ecg = heart && i % 4 == 1; /* an oximeter's probe is no matter for it */
		const unsigned moved = i % 80 < 40 ? 0 : 10 * (20 + upto(80)) + 5;
		moved_s = ecg ? 0 : moved;
		trend_by_the_table(&wanted, heart, x, COUNT(x));
		moved_s = moved;
		listen(&said, heart ? "hr-trend" : "spo2-trend", ecg ? VS_HR : heart ? VS_PR : VS_SPO2, x, COUNT(x));
		must_agree(&wanted, &said, heart ? "hr-trend" : "spo2-trend", 3000 + i);
	}
	moved_s = 0;
}

/* B, E2: the probe moves at 155 s, after two evaluations in a row: five seconds are no median, then fourteen new ones, and three in a
 * row again. */
static void a_probe_that_moves(void **state)
{
	(void)state;
	for (unsigned heart = 0; heart < 2; heart++) {
		struct words said = { .len = 0 };
		double x[400];
		for (unsigned t = 0; t < COUNT(x); t++)
			x[t] = heart ? 97 + t * 5 / 60.0 : 93 - t / 60.0;
		seed = 0;
		moved_s = 155;
		listen(&said, heart ? "hr-trend" : "spo2-trend", heart ? VS_PR : VS_SPO2, x, COUNT(x));
		moved_s = 0;
		assert_int_equal(strncmp(said.text, "320 raised ", 11), 0);
	}
}

/* ---- E3: slow drift ---- */

static void drift_by_the_table(struct words *w, double baseline, double least, const double *x, unsigned n)
{
	double p = NAN, s = 0, up = 0, down = 0;
	bool noted = false;
	for (int t = 10; t < (int)n; t += 10) {
		double m = block(x, t - 10), y[18], away[18];
		unsigned k = 0;
		if (isnan(m) || t < (int)baseline_s)
			continue;
		for (int back = 18; back >= 1 && isnan(p); back--)
			if (!isnan(block(x, t - 10 * back)))
				y[k++] = block(x, t - 10 * back);
		if (isnan(p)) { /* the spread of the medians so far */
			double centre = median(y, k);
			for (unsigned i = 0; i < k; i++)
				away[i] = fabs(y[i] - centre);
			s = fmax(1.4826 * median(away, k), least);
			p = baseline;
		}
		double z = (m - p) / s;
		p += 0.02 * (m - p);
		up = fmax(0, up + z - 0.5);
		down = fmax(0, down - z - 0.5);
		bool far = fabs(m - baseline) >= 0.15 * baseline;
		noted = noted && far;
		if ((up >= 8 || down >= 8) && far) {
			up = down = 0;
			if (!noted)
				note(w, (unsigned)t, "note", "");
			noted = true;
		}
	}
}

static void slow_drifts(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 80; i++) {
		bool heart = i % 2;
		struct words wanted = { .len = 0 }, said = { .len = 0 };
		static double x[2 * SECONDS];
		seed = 4000 + i;
		slopes(x, COUNT(x), heart ? 80 : 96, heart ? 55 : 72, heart ? 110 : 100, 9, 45);
		baseline_s = i % 4 < 2 ? 0 : 205; /* after three minutes and more there is a spread to be measured */
		drift_by_the_table(&wanted, heart ? 80 : 98, heart ? 2 : 0.7, x, COUNT(x));
		listen(&said, heart ? "hr-drift" : "spo2-drift", heart ? VS_HR : VS_SPO2, x, COUNT(x));
		must_agree(&wanted, &said, heart ? "hr-drift" : "spo2-drift", 4000 + i);
	}
	baseline_s = 0;
}

/* ---- E1: trends of the cuff ---- */

struct cuff {
	unsigned at; /* s */
	double sys, dia;
};

static bool climbs(const struct cuff *c, unsigned n, bool sys, double *slope, double *forecast)
{
	double b[15], a[6], tt[6], y[6];
	unsigned first = n > 6 ? n - 6 : 0, pairs = 0, up = 0, k = 0;
	while (c[n - 1].at - c[first].at > 20 * 60)
		first++;
	for (unsigned i = first; i < n; i++, k++) {
		tt[k] = (c[i].at - (double)c[n - 1].at) / 60;
		y[k] = sys ? c[i].sys : c[i].dia;
	}
	double span = -tt[0];
	*slope = NAN;
	if (k < 3 || span < 5)
		return false;
	for (unsigned j = 0; j < k; j++)
		for (unsigned i = 0; i < j; i++)
			if (tt[j] - tt[i] >= 0.5) {
				b[pairs++] = (y[j] - y[i]) / (tt[j] - tt[i]);
				up += y[j] > y[i];
			}
	*slope = median(b, pairs);
	for (unsigned i = 0; i < k; i++)
		a[i] = y[i] - *slope * tt[i];
	double level = median(a, k);
	*forecast = level + 10 * fmin(*slope, 4);
	double least = sys ? fmax(140, 1.15 * 120) : fmax(85, 1.15 * 75);
	return *slope >= (sys ? 1.2 : 0.8) && up >= 0.8 * pairs && *slope * span >= (sys ? 12 : 8) && level >= least;
}

static void cuffs_by_the_table(struct words *w, bool sys, const struct cuff *c, unsigned n)
{
	unsigned stands = 0; /* 1 low, 2 medium */
	for (unsigned i = 1; i <= n; i++) {
		double slope, f;
		bool on = climbs(c, i, sys, &slope, &f);
		unsigned reached = on ? f >= (sys ? 180 : 110) ? 2 : f >= (sys ? 165 : 100) : 0;
		if (stands && slope < 0.5) {
			note(w, c[i - 1].at, "cleared", stands == 2 ? "medium" : "low");
			stands = 0;
		} else if (reached > stands) {
			note(w, c[i - 1].at, stands ? "escalated" : "raised", reached == 2 ? "medium" : "low");
			stands = reached;
		}
	}
}

/* What the engine says about cuff readings; no jump is doubted, so that all of them count. */
static void listen_to_cuffs(struct words *w, const char *rule, const struct cuff *c, unsigned n)
{
	static struct vs_limit_set alone;
	struct story_run *r = calloc(1, sizeof *r);
	alone = *adult;
	alone.rules[0] = *vs_rule_find(adult, rule);
	alone.n_rules = 1;
	alone.validity.jump = NAN;
	alone.validity.n_reject = alone.validity.n_suspect = 0;
	r->next_alarm = 1;
	r->config = (struct vs_engine_config){ .set = &alone, .n_devices = 1, .devices = { { .id = "monitor" } },
		.next_alarm = &r->next_alarm };
	vs_engine_init(&r->engine, &r->config, STORY_EPOCH);
	struct vs_stimulus baseline = { .kind = VS_ST_BASELINE, .baseline = &ordinary };
	story_step(r, &baseline, STORY_EPOCH);
	struct vs_stimulus phase = { .kind = VS_ST_PHASE, .phase = VS_PHASE_INFUSION };
	story_step(r, &phase, STORY_EPOCH);
	for (unsigned i = 0; i < n; i++) {
		struct vs_reading reading = { .len = 0 };
		struct vs_stimulus s = { .kind = VS_ST_READING, .reading = &reading, .nibp = VS_NIBP_NEW };
		vs_reading_add(&reading, VS_NIBP_SYS, c[i].sys, 0);
		vs_reading_add(&reading, VS_NIBP_DIA, c[i].dia, 0);
		story_step(r, &s, STORY_EPOCH + c[i].at * 1000ull);
		for (unsigned k = 0; k < r->effects.len; k++)
			if (r->effects.at[k].kind == VS_EFFECT_ALARM)
				note(w, c[i].at, vs_change_name(r->effects.at[k].u.alarm.change),
					vs_priority_name(r->effects.at[k].u.alarm.priority));
	}
	free(r);
}

static void trends_of_the_cuff(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 120; i++) {
		bool sys = i % 2;
		struct cuff c[30];
		struct words wanted = { .len = 0 }, said = { .len = 0 };
		unsigned at = 0;
		double v = 125, per_min = 0;
		seed = 5000 + i;
		for (unsigned k = 0; k < COUNT(c); k++) {
			unsigned gap = upto(8) ? 60 * (1 + upto(5)) : upto(2) ? 20 + 5 * upto(4) : 600 + 60 * upto(12);
			per_min = k % 5 ? per_min : (int)upto(8) - 2.5;
			v = fmin(200, fmax(100, v + per_min * gap / 60));
			at += gap;
			c[k] = (struct cuff){ at, round(v) + upto(5), round(v * 0.6) + upto(4) };
		}
		cuffs_by_the_table(&wanted, sys, c, COUNT(c));
		listen_to_cuffs(&said, sys ? "sbp-trend" : "dbp-trend", c, COUNT(c));
		must_agree(&wanted, &said, sys ? "sbp-trend" : "dbp-trend", 5000 + i);
	}
}

/* ---- D2, D4: phases ---- */

/* Something that raises each rule in INFUSION, and the phases in which it must be raised, in the order of the columns:
 * no session, SCREENING, BASELINE, INFUSION, PAUSED, RECOVERY, DISCHARGED, ABORTED. */
static const struct phased {
	const char *rule, *script, *in; /* in: - where it is not */
} phased[] = {
#include "tests/unit/engine_phases.def"
};

static void phases(void **state)
{
	(void)state;
	for (unsigned k = 0; k < adult->n_rules; k++) { /* every rule that alarms has its row */
		bool has = adult->rules[k].log_only;
		for (unsigned i = 0; i < COUNT(phased); i++)
			has |= strcmp(phased[i].rule, adult->rules[k].id) == 0;
		if (!has)
			fail_msg("%s has no row in engine_phases.def", adult->rules[k].id);
	}
	for (unsigned i = 0; i < COUNT(phased); i++)
		for (unsigned p = 0; p < VS_PHASE_COUNT; p++) {
			/* the contract's order of phases, and that of the engine */
			static const char letters[] = "NSBIPRDA";
			char said[64];
			struct story_run *r = calloc(1, sizeof *r);
			snprintf(said, sizeof said, " %s ", phased[i].rule);
			story_play(r, adult, vs_phase_name(p), "hr=70,nibp_sys=120,nibp_dia=75", phased[i].script);
			bool is = strstr(r->said, said) != NULL, must = phased[i].in[p] == letters[p];
			if (is != must)
				print_error("%s in %s: %s\n", phased[i].rule, vs_phase_name(p), is ? "raised" : "not raised");
			free(r);
			assert_int_equal(is, must);
		}
}

/* D4: the cuff's cadence; a person's 4 min until the next phase. */
static void cadence(void **state)
{
	static const struct {
		enum vs_phase phase;
		unsigned minutes;
	} rows[] = {
		{ VS_PHASE_SCREENING, 0 }, { VS_PHASE_BASELINE, 2 }, { VS_PHASE_INFUSION, 5 }, { VS_PHASE_PAUSED, 3 },
		{ VS_PHASE_ABORTED, 3 }, { VS_PHASE_RECOVERY, 10 }, { VS_PHASE_DISCHARGED, 0 }, { VS_PHASE_NONE, 0 },
	};
	struct story_run *r = calloc(1, sizeof *r);
	(void)state;
	r->next_alarm = 1;
	r->config = (struct vs_engine_config){ .set = adult, .n_devices = 1, .devices = { { .id = "monitor" } },
		.next_alarm = &r->next_alarm };
	vs_engine_init(&r->engine, &r->config, STORY_EPOCH);
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct vs_stimulus s = { .kind = VS_ST_PHASE, .phase = rows[i].phase };
		story_step(r, &s, STORY_EPOCH + i * 1000);
		assert_int_equal(vs_engine_nibp_interval_ms(&r->engine), rows[i].minutes * 60000);
		s = (struct vs_stimulus){ .kind = VS_ST_INTERVAL, .for_ms = 240000 };
		story_step(r, &s, STORY_EPOCH + i * 1000);
		assert_int_equal(vs_engine_nibp_interval_ms(&r->engine), 240000);
	}
	free(r);
}

/* ---- the arithmetic alone, with as many points as there can be ---- */

static void slopes_of_many_points(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1500; i++) {
		double tt[VS_POINTS_MAX], y[VS_POINTS_MAX], b[VS_POINTS_MAX * VS_POINTS_MAX], a[VS_POINTS_MAX];
		unsigned n = 2 + i % (VS_POINTS_MAX - 1), pairs = 0, along = 0;
		struct vs_slope s;
		bool rising = upto(2);
		double at = -40, gap = upto(3);
		seed = 6000 + i;
		for (unsigned k = 0; k < n; k++) {
			at += 0.5 + upto(4) * 0.5;
			tt[k] = at;
			y[k] = upto(i % 3 ? 4000 : 4);
		}
		for (unsigned j = 1; j < n; j++)
			for (unsigned k = 0; k < j; k++)
				if (tt[j] - tt[k] >= gap) {
					b[pairs++] = (y[j] - y[k]) / (tt[j] - tt[k]);
					along += rising ? y[j] > y[k] : y[j] < y[k];
				}
		assert_int_equal(vs_theil_sen(tt, y, n, gap, rising, &s), pairs > 0);
		if (pairs) {
			double slope = median(b, pairs);
			for (unsigned k = 0; k < n; k++)
				a[k] = y[k] - slope * (tt[k] - tt[n - 1]);
			assert_true(s.slope == slope && s.level == median(a, n));
			assert_true(fabs(s.concordance - (double)along / pairs) < 1e-12);
		}
		assert_true(vs_repeated_median(tt, y, n, &s));
		struct line l = repeated(tt, y, n);
		assert_true(s.slope == l.slope && s.level == l.level && s.concordance == 1);
	}
}

static void no_slope(void **state)
{
	(void)state;
	static const double t[VS_POINTS_MAX + 1] = { 0, 1, 2, 2, 3 }, y[VS_POINTS_MAX + 1] = { 1, 2, 3, 9, 4 };
	struct vs_slope s;
	assert_false(vs_theil_sen(t, y, 0, 0, true, &s));
	assert_false(vs_theil_sen(t, y, 1, 0, true, &s));
	assert_false(vs_theil_sen(t, y, 2, 1.5, true, &s)); /* one pair, too near together */
	assert_true(vs_theil_sen(t, y, 2, 1, true, &s));
	assert_false(vs_theil_sen(t + 2, y + 2, 2, 0, true, &s)); /* two at the same time have no slope */
	assert_false(vs_theil_sen(t, y, VS_POINTS_MAX + 1, 0, true, &s));
	assert_false(vs_repeated_median(t, y, 1, &s));
	assert_true(vs_repeated_median(t, y, 2, &s));
	assert_true(s.slope == 1 && s.level == 2);
	assert_false(vs_repeated_median(t, y, VS_POINTS_MAX + 1, &s));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_of_signals),
		cmocka_unit_test(the_drop),
		cmocka_unit_test(trends_of_signals),
		cmocka_unit_test(a_probe_that_moves),
		cmocka_unit_test(slow_drifts),
		cmocka_unit_test(trends_of_the_cuff),
		cmocka_unit_test(phases),
		cmocka_unit_test(cadence),
		cmocka_unit_test(slopes_of_many_points),
		cmocka_unit_test(no_slope),
	};
	return cmocka_run_group_tests_name("engine tables", tests, adult_load, adult_unload);
}
