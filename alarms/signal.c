/* Signals (heart rate, pulse, saturation, ...): judged by their median, with delays that survive single bad samples
 * (clinical table D0). */
#include <string.h>

#include "alarms/inside.h"

static const enum vs_metric channel_metric[VS_CH_COUNT] = { VS_HR, VS_PR, VS_SPO2, VS_RR, VS_TEMP, VS_PI };

/* The k-th smallest, by Wirth's selection: everything before v[k] is then at most v[k]. */
static double kth(double *v, int n, int k)
{
	int low = 0, high = n - 1;
	while (low < high) {
		double pivot = v[k];
		int i = low, j = high;
		while (i <= j) {
			while (v[i] < pivot)
				i++;
			while (pivot < v[j])
				j--;
			if (i > j)
				break;
			double x = v[i];
			v[i++] = v[j];
			v[j--] = x;
		}
		if (j < k)
			low = i;
		if (k < i)
			high = j;
	}
	return v[k];
}

static double median_small(double *v, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		double x = v[i];
		unsigned j = i;
		for (; j > 0 && v[j - 1] > x; j--)
			v[j] = v[j - 1];
		v[j] = x;
	}
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

double vs_median(double *v, unsigned n)
{
	if (n <= 32)
		return median_small(v, n);
	double upper = kth(v, (int)n, (int)(n / 2));
	if (n % 2)
		return upper;
	double lower = v[0];
	for (unsigned i = 1; i < n / 2; i++)
		if (v[i] > lower)
			lower = v[i];
	return (lower + upper) / 2;
}

void vs_track_init(struct vs_track *tr)
{
	memset(tr, 0, sizeof *tr);
	tr->median = NAN;
	tr->device = VS_DEVICE_NONE;
	for (unsigned i = 0; i < VS_BLOCKS; i++)
		tr->blocks[i] = NAN;
}

void vs_signals_forget(struct vs_engine *e)
{
	for (unsigned i = 0; i < VS_CH_COUNT; i++) {
		uint32_t block_ms = e->track[i].block_ms;
		uint8_t block_min = e->track[i].block_min;
		vs_track_init(&e->track[i]);
		e->track[i].block_ms = block_ms;
		e->track[i].block_min = block_min;
	}
	for (unsigned i = 0; i < VS_HISTORY; i++)
		e->history[i] = NAN;
	e->has_ecg = false;
	e->hr_channel = VS_CH_COUNT;
}

enum vs_channel vs_channel_of(const struct vs_engine *e, enum vs_metric m)
{
	if (m == VS_HR)
		return e->hr_channel;
	for (unsigned i = 1; i < VS_CH_COUNT; i++)
		if (channel_metric[i] == m)
			return i;
	return VS_CH_COUNT;
}

double vs_heart_rate(const struct vs_engine *e)
{
	return e->hr_channel < VS_CH_COUNT ? e->track[e->hr_channel].median : NAN;
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

static uint32_t age_of(const struct vs_track *tr, unsigned back, uint64_t at)
{
	return (uint32_t)at - tr->at[(tr->head + VS_SAMPLES - 1 - back) % VS_SAMPLES];
}

/* Samples of the last window_ms, newest first. */
static unsigned window(const struct vs_track *tr, uint64_t at, uint32_t window_ms, double *ret)
{
	unsigned n = 0;
	while (n < tr->len && age_of(tr, n, at) < window_ms) {
		ret[n] = tr->value[(tr->head + VS_SAMPLES - 1 - n) % VS_SAMPLES];
		n++;
	}
	return n;
}

/* Forgets what is too old for anything, so that the low 32 bits of time stay unambiguous. */
static void prune(struct vs_track *tr, uint64_t at)
{
	if (at > tr->valid_ms && at - tr->valid_ms > 3600000)
		tr->len = 0;
}

/* A monitor that gives a value every few seconds is judged by as many samples as one that gives one a second, over the
 * time that they take: never by none. */
static uint32_t window_of(const struct vs_engine *e, const struct vs_track *tr)
{
	const struct vs_validity *v = &e->set->validity;
	uint32_t period = tr->device < e->config->n_devices ? e->config->devices[tr->device].period_ms : 0;
	uint64_t needed = (uint64_t)period * v->median_min + period / 2;
	return period && needed > v->median_ms && needed < UINT32_MAX / 2 ? (uint32_t)needed : v->median_ms;
}

/* Notes since when there is no median: lazily, at the time at which it was lost. */
static void notice_loss(const struct vs_engine *e, struct vs_track *tr, uint64_t at)
{
	const struct vs_validity *v = &e->set->validity;
	if (tr->undefined_ms || !tr->valid_ms)
		return;
	uint64_t lost = at;
	if (tr->len >= v->median_min) {
		uint32_t age = age_of(tr, v->median_min - 1, at), window_ms = window_of(e, tr);
		if (age < window_ms)
			return;
		lost = at - (age - window_ms);
	}
	tr->undefined_ms = lost ? lost : 1;
}

static void put_history(struct vs_engine *e, uint64_t at, double value)
{
	uint64_t second = at / 1000;
	if (second < e->history_s)
		return;
	uint64_t gap = second - e->history_s;
	for (uint64_t i = 1; i <= gap && i <= VS_HISTORY; i++)
		e->history[(e->history_s + i) % VS_HISTORY] = NAN;
	e->history_s = second;
	e->history[second % VS_HISTORY] = value;
}

/* A sample of a device further down the list counts only while the ones before it are silent. */
static bool takes(const struct vs_engine *e, const struct vs_track *tr, unsigned device, uint64_t at)
{
	return tr->device == VS_DEVICE_NONE || device <= tr->device || !tr->valid_ms ||
		at - tr->valid_ms >= e->set->validity.stale_ms;
}

void vs_sample(struct vs_turn *t, enum vs_channel ch, double value, unsigned device)
{
	struct vs_engine *e = t->e;
	struct vs_track *tr = &e->track[ch];
	if (!takes(e, tr, device, t->at))
		return;
	prune(tr, t->at);
	vs_block_finish(t, ch);
	notice_loss(e, tr, t->at);
	tr->device = (uint8_t)device;
	tr->valid_ms = t->at ? t->at : 1;
	if (tr->len && age_of(tr, 0, t->at) < 10000 / VS_SAMPLES) {
		tr->value[(tr->head + VS_SAMPLES - 1) % VS_SAMPLES] = value;
	} else {
		tr->at[tr->head] = (uint32_t)t->at;
		tr->value[tr->head] = value;
		tr->head = (uint8_t)((tr->head + 1) % VS_SAMPLES);
		if (tr->len < VS_SAMPLES)
			tr->len++;
	}
	if (ch == VS_CH_HR)
		e->has_ecg = true;
}

double vs_history_median(const struct vs_engine *e, uint64_t at, uint32_t from_ms, uint32_t until_ms)
{
	double v[VS_HISTORY];
	unsigned n = 0;
	uint64_t now_s = at / 1000;
	for (uint64_t back = until_ms / 1000; back <= from_ms / 1000 && back < VS_HISTORY && back <= now_s; back++) {
		uint64_t s = now_s - back;
		if (s > e->history_s || e->history_s - s >= VS_HISTORY)
			continue;
		double x = e->history[s % VS_HISTORY];
		if (!isnan(x))
			v[n++] = x;
	}
	/* half the window at least, as for every other median */
	return n * 2 >= (from_ms - until_ms) / 1000 && n ? vs_median(v, n) : NAN;
}

/* ---- judging ----------------------------------------------------------------------------------------------------- */

static void measure(const struct vs_engine *e, struct vs_track *tr, uint64_t at)
{
	const struct vs_validity *v = &e->set->validity;
	double w[VS_SAMPLES];
	prune(tr, at);
	unsigned n = window(tr, at, window_of(e, tr), w);
	tr->gap_ms = 0;
	if (n >= v->median_min && n > 0) {
		tr->median = vs_median(w, n);
		if (tr->undefined_ms && at > tr->undefined_ms)
			tr->gap_ms = at - tr->undefined_ms;
		tr->undefined_ms = 0;
		return;
	}
	tr->median = NAN;
	notice_loss(e, tr, at);
}

double vs_median_now(const struct vs_engine *e, enum vs_channel ch, uint64_t at_ms)
{
	if (ch >= VS_CH_COUNT || !e->track[ch].valid_ms)
		return NAN;
	struct vs_track tr = e->track[ch];
	measure(e, &tr, at_ms);
	return tr.median;
}

/* Where a rule on hr looks: the ECG; while that says nothing, the oximeter's pulse. */
static enum vs_channel heart_channel(const struct vs_engine *e, uint64_t at)
{
	const struct vs_track *hr = &e->track[VS_CH_HR], *pr = &e->track[VS_CH_PR];
	uint32_t stale = e->set->validity.stale_ms;
	bool pulse = pr->valid_ms && at - pr->valid_ms < stale;
	if (e->has_ecg && (!pulse || at - hr->valid_ms < stale || !hr->valid_ms))
		return VS_CH_HR;
	return pr->valid_ms ? VS_CH_PR : VS_CH_COUNT;
}

static void choose_heart(struct vs_turn *t)
{
	struct vs_engine *e = t->e;
	enum vs_channel ch = heart_channel(e, t->at);
	if (ch != e->hr_channel) {
		e->hr_channel = (uint8_t)ch;
		for (unsigned i = 0; i < e->set->n_rules; i++)
			if (e->set->rules[i].metric == VS_HR && !e->rules[i].holds)
				e->rules[i].since_ms = e->rules[i].safe_ms = 0;
	}
	if (ch < VS_CH_COUNT && e->track[ch].valid_ms == (t->at ? t->at : 1))
		put_history(e, t->at, e->track[ch].value[(e->track[ch].head + VS_SAMPLES - 1) % VS_SAMPLES]);
}

/* An on-delay: runs from the first violation, stands still without a median, is reset by time on the safe side. */
static bool delay_over(const struct vs_validity *v, struct vs_rule_state *rs, const struct vs_track *tr, uint64_t at,
	bool violated, uint32_t on_delay_ms)
{
	if (rs->since_ms && tr->gap_ms) {
		if (tr->gap_ms > v->freeze_ms)
			rs->since_ms = 0;
		rs->frozen_ms += (uint32_t)tr->gap_ms;
		if (rs->safe_ms)
			rs->safe_ms += tr->gap_ms;
	}
	if (!rs->since_ms) {
		rs->frozen_ms = 0;
		rs->safe_ms = 0;
	}
	if (!violated) {
		if (rs->since_ms && !rs->safe_ms)
			rs->safe_ms = at;
		if (rs->since_ms && at - rs->safe_ms > v->tolerance_ms)
			rs->since_ms = rs->safe_ms = 0;
		return false;
	}
	rs->safe_ms = 0;
	if (!rs->since_ms)
		rs->since_ms = at ? at : 1;
	return at - rs->since_ms >= (uint64_t)on_delay_ms + rs->frozen_ms;
}

/* An off-delay: on the safe side all the time, with a median all the time. */
static bool off_over(struct vs_rule_state *rs, const struct vs_track *tr, uint64_t at, bool safe, uint32_t off_delay_ms)
{
	if (!safe) {
		rs->safe_ms = 0;
		return false;
	}
	if (!rs->safe_ms || tr->gap_ms)
		rs->safe_ms = at ? at : 1;
	return at - rs->safe_ms >= off_delay_ms;
}

double vs_clear_limit(const struct vs_rule *r, double limit)
{
	bool upper = r->when == VS_WHEN_GE || r->when == VS_WHEN_GT;
	if (!isnan(r->clear)) {
		/* a patient's own limit moves it along where it would lie beyond */
		bool usable = upper ? r->clear <= limit : r->clear >= limit;
		return usable ? r->clear : limit;
	}
	if (isnan(r->hysteresis))
		return limit;
	return upper ? limit - r->hysteresis : limit + r->hysteresis;
}

static void judge_threshold(struct vs_turn *t, unsigned i, enum vs_channel ch)
{
	struct vs_engine *e = t->e;
	const struct vs_rule *r = &e->set->rules[i];
	struct vs_rule_state *rs = &e->rules[i];
	const struct vs_track *tr = &e->track[ch];
	if (isnan(tr->median) || isnan(rs->limit))
		return;
	double v = tr->median;
	if (rs->holds) {
		struct vs_standing *a = vs_standing_of(e, i);
		bool replaced = a && a->source == VS_HR && ch == VS_CH_PR; /* the pulse does not end what the ECG began */
		if (a && vs_when_holds(r->when, v, rs->limit))
			a->latest = v;
		if (!replaced && off_over(rs, tr, t->at, !vs_when_holds(r->when, v, vs_clear_limit(r, rs->limit)), r->off_delay_ms))
			vs_finish(t, i);
		return;
	}
	if (!delay_over(&e->set->validity, rs, tr, t->at, vs_when_holds(r->when, v, rs->limit), r->on_delay_ms))
		return;
	const struct vs_found f = { .priority = r->priority, .value = v, .limit = rs->limit, .device = tr->device,
		.waited_ms = (uint32_t)(t->at - rs->since_ms), .source = (uint8_t)channel_metric[ch] };
	vs_begin(t, i, &f);
}

static void judge_drop(struct vs_turn *t, unsigned i, enum vs_channel ch)
{
	struct vs_engine *e = t->e;
	const struct vs_rule *r = &e->set->rules[i];
	struct vs_rule_state *rs = &e->rules[i];
	const struct vs_track *tr = &e->track[ch];
	double v = tr->median;
	if (isnan(v))
		return;
	if (rs->holds) {
		double reference = rs->limit / r->drop.to_factor;
		if (off_over(rs, tr, t->at, v > r->drop.clear_factor * reference, r->off_delay_ms))
			vs_finish(t, i);
		return;
	}
	bool violated = false;
	if (v <= r->drop.at_most) { /* else the reference is not needed */
		rs->limit = r->drop.to_factor * vs_history_median(e, t->at, r->drop.from_ms, r->drop.until_ms);
		violated = v <= rs->limit;
	}
	if (!delay_over(&e->set->validity, rs, tr, t->at, violated, r->on_delay_ms))
		return;
	const struct vs_found f = { .priority = r->priority, .value = v, .limit = rs->limit, .device = tr->device,
		.waited_ms = (uint32_t)(t->at - rs->since_ms), .source = (uint8_t)channel_metric[ch] };
	vs_begin(t, i, &f);
}

void vs_signals_judge(struct vs_turn *t)
{
	struct vs_engine *e = t->e;
	for (unsigned i = 0; i < VS_CH_COUNT; i++)
		if (e->track[i].valid_ms)
			measure(e, &e->track[i], t->at);
	choose_heart(t);
	for (uint64_t left = e->watch.signal; left; left &= left - 1) {
		unsigned i = vs_first(left);
		const struct vs_rule *r = &e->set->rules[i];
		enum vs_channel ch = vs_channel_of(e, r->metric);
		if (ch >= VS_CH_COUNT)
			continue;
		if (r->type == VS_RULE_THRESHOLD)
			judge_threshold(t, i, ch);
		else
			judge_drop(t, i, ch);
	}
}

uint64_t vs_signals_due(const struct vs_engine *e, unsigned rule)
{
	const struct vs_rule *r = &e->set->rules[rule];
	const struct vs_rule_state *rs = &e->rules[rule];
	enum vs_channel ch = vs_channel_of(e, r->metric);
	if (ch >= VS_CH_COUNT || isnan(e->track[ch].median))
		return UINT64_MAX;
	uint64_t due = UINT64_MAX;
	if (rs->holds && rs->safe_ms)
		due = rs->safe_ms + r->off_delay_ms;
	else if (!rs->holds && rs->since_ms && !rs->safe_ms)
		due = rs->since_ms + rs->frozen_ms + r->on_delay_ms;
	return due > e->now_ms ? due : UINT64_MAX;
}
