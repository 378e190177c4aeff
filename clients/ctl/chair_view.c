#include "clients/ctl/chair_view.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/timetext.h"

#define OLD_CUFF_MS (30 * 60000)

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));
	return text ? text : "";
}

static void copy(char *to, size_t cap, const char *text)
{
	snprintf(to, cap, "%s", text);
}

#define COPY(to, text) copy(to, sizeof(to), text)

/* Adds to a text that ends where it is full. */
static void __attribute__((format(printf, 3, 4))) add(char *to, size_t cap, const char *format, ...)
{
	size_t len = strlen(to);
	va_list args;
	va_start(args, format);
	vsnprintf(to + len, cap - len, format, args);
	va_end(args);
}

const char *vs_bedside_age(int64_t ms, char *buf, size_t cap)
{
	long long s = ms < 0 ? 0 : ms / 1000;
	if (s < 120)
		snprintf(buf, cap, "%lld s", s);
	else if (s < 7200)
		snprintf(buf, cap, "%lld min", s / 60);
	else
		snprintf(buf, cap, "%lld h", s / 3600);
	return buf;
}

const char *vs_bedside_clock(int64_t ms, char *buf, size_t cap)
{
	long long s = ms < 0 ? 0 : ms / 1000;
	snprintf(buf, cap, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
	return buf;
}

const char *vs_bedside_banner(int64_t since_ms, const char *why, char *buf, size_t cap)
{
	char age[24];
	snprintf(buf, cap, "NOT CONNECTED since %s%s%s", vs_bedside_age(since_ms, age, sizeof age), *why ? ": " : "", why);
	return buf;
}

/* ---- values ---- */

/* False: no such time. */
static bool time_of(const json_t *o, const char *key, int64_t *ret)
{
	return vs_time_parse(text_of(o, key), ret);
}

static const json_t *value_of(const json_t *chair, const char *metric)
{
	return json_object_get(json_object_get(chair, "values"), metric);
}

static bool number_of(const json_t *v, double *ret)
{
	const json_t *n = json_object_get(v, "value");
	*ret = json_number_value(n);
	return json_is_number(n);
}

static void read_limits(struct vs_bedside_number *n, const json_t *chair, const char *metric)
{
	const json_t *l = json_object_get(json_object_get(chair, "limits_in_force"), metric);
	const json_t *low = json_object_get(l, "low"), *high = json_object_get(l, "high");
	if (low && high)
		snprintf(n->limits, sizeof n->limits, "%.4g-%.6g", json_number_value(low), json_number_value(high));
	else if (low)
		snprintf(n->limits, sizeof n->limits, "> %.4g", json_number_value(low));
	else if (high)
		snprintf(n->limits, sizeof n->limits, "< %.6g", json_number_value(high));
}

static void read_flags(struct vs_bedside_number *n, const json_t *v)
{
	size_t i;
	const json_t *flag;
	json_array_foreach(json_object_get(v, "flags"), i, flag)
		add(n->note, sizeof n->note, "%s%s", i ? " " : "", json_string_value(flag) ? json_string_value(flag) : "");
	for (char *s = n->note; *s; s++)
		if (*s == '_')
			*s = ' ';
}

/* Where it comes from and how old it is; an unknown time is no age. */
static int64_t read_source(struct vs_bedside_number *n, const json_t *v, int64_t now_ms)
{
	int64_t at;
	const json_t *age = json_object_get(v, "age_ms"); /* of the clock that nobody sets */
	COPY(n->device, text_of(v, "device"));
	read_flags(n, v);
	if (!json_is_integer(age) && !time_of(v, "time", &at))
		return INT64_MAX;
	int64_t age_ms = json_is_integer(age) ? json_integer_value(age) : now_ms - at;
	vs_bedside_age(age_ms, n->age, sizeof n->age);
	return age_ms;
}

static void read_signal(struct vs_bedside_number *n, const json_t *chair, const char *metric, int64_t now_ms)
{
	const json_t *v = value_of(chair, metric);
	if (!v)
		return;
	read_source(n, v, now_ms);
	n->live = number_of(v, &n->value);
	if (n->live)
		snprintf(n->number, sizeof n->number, "%.0f", n->value);
}

/* Heart rate: of the ECG, else of the oximeter, else of the cuff - whichever has a value now. */
static void read_rate(struct vs_bedside_number *n, const json_t *chair, int64_t now_ms)
{
	static const char *const from[] = { "hr", "pr", "nibp_pr" };
	static const char *const label[] = { "HR", "PR", "PR cuff" };
	double value;
	unsigned best = 0, i = 0;
	for (i = 0; i < 2 && !number_of(value_of(chair, from[i]), &value); i++)
		;
	if (i < 2)
		best = i;
	else /* none: the name of the one that is missing */
		best = value_of(chair, "hr") ? 0 : value_of(chair, "pr") ? 1 : value_of(chair, "nibp_pr") ? 2 : 0;
	read_signal(n, chair, from[best], now_ms);
	COPY(n->label, label[best]);
	read_limits(n, chair, "hr");
}

/* A reading of the cuff stands with its age until it is too old to be the pressure of now. */
static bool too_old(const json_t *chair, int64_t age_ms)
{
	int64_t interval_ms = json_integer_value(json_object_get(chair, "nibp_interval_s")) * 1000;
	return age_ms > (interval_ms ? 2 * interval_ms + 60000 : OLD_CUFF_MS);
}

static void read_cuff(struct vs_bedside_number *n, const json_t *chair, int64_t now_ms)
{
	const json_t *v = value_of(chair, "nibp_sys");
	double sys, dia, map;
	read_limits(n, chair, "nibp_sys");
	if (!v)
		return;
	int64_t age_ms = read_source(n, v, now_ms);
	bool has_dia = number_of(value_of(chair, "nibp_dia"), &dia);
	if (!number_of(v, &sys))
		return;
	char pressure[24];
	if (has_dia)
		snprintf(pressure, sizeof pressure, "%.0f/%.0f", sys, dia);
	else
		snprintf(pressure, sizeof pressure, "%.0f/-", sys);
	if (too_old(chair, age_ms)) {
		snprintf(n->note, sizeof n->note, "last %s", pressure);
		return;
	}
	COPY(n->number, pressure);
	n->value = sys;
	n->live = true;
	if (number_of(value_of(chair, "nibp_map"), &map))
		snprintf(n->extra, sizeof n->extra, "(%.0f)", map);
}

static void read_product(struct vs_bedside_number *n, const json_t *chair, int64_t now_ms)
{
	const json_t *v = value_of(chair, "rpp");
	double value;
	read_limits(n, chair, "rpp");
	if (!v)
		return;
	int64_t age_ms = read_source(n, v, now_ms);
	n->device[0] = '\0'; /* of two */
	if (!number_of(v, &value))
		return;
	if (too_old(chair, age_ms)) {
		snprintf(n->note, sizeof n->note, "last %.0f", value);
		return;
	}
	snprintf(n->number, sizeof n->number, "%.0f", value);
	n->value = value;
	n->live = true;
}

static void blank_tiles(struct vs_bedside *b)
{
	static const struct {
		const char *label, *unit;
	} tiles[VS_TILE_COUNT] = { { "HR", "/min" }, { "SpO2", "%" }, { "NIBP", "mm[Hg]" }, { "RPP", "mmHg/min" } };
	for (unsigned i = 0; i < VS_TILE_COUNT; i++) {
		b->tile[i] = (struct vs_bedside_number){ .number = "--", .value = NAN };
		COPY(b->tile[i].label, tiles[i].label);
		COPY(b->tile[i].unit, tiles[i].unit);
	}
}

/* ---- alarms ---- */

static int priority_of(const char *word)
{
	return strcmp(word, "high") == 0 ? 3 : strcmp(word, "medium") == 0 ? 2 : 1;
}

static int by_urgency(const void *x, const void *y)
{
	const struct vs_bedside_alarm *a = x, *b = y;
	if (a->priority != b->priority)
		return b->priority - a->priority;
	if (a->sounds != b->sounds)
		return b->sounds - a->sounds;
	return (a->onset_ms < b->onset_ms) - (a->onset_ms > b->onset_ms);
}

static void read_alarm(struct vs_bedside_alarm *a, const json_t *body, int64_t now_ms)
{
	static const char *const marks[] = { "", "* ", "** ", "*** " };
	const char *signal = text_of(body, "signal"), *words = text_of(body, "text");
	char age[24];
	*a = (struct vs_bedside_alarm){ .priority = priority_of(text_of(body, "priority")), .sounds = strcmp(signal, "on") == 0,
					.latched = strcmp(text_of(body, "state"), "latched") == 0 };
	if (!time_of(body, "onset", &a->onset_ms))
		a->onset_ms = now_ms;
	words += strspn(words, "* ");
	snprintf(a->text, sizeof a->text, "%s%s, %s", marks[a->priority], *words ? words : text_of(body, "rule"),
		 vs_bedside_age(now_ms - a->onset_ms, age, sizeof age));
	if (a->latched)
		add(a->text, sizeof a->text, ", is over");
	if (strcmp(signal, "acknowledged") == 0)
		add(a->text, sizeof a->text, ", acknowledged%s%s", *text_of(body, "by") ? " by " : "", text_of(body, "by"));
	else if (strcmp(signal, "audio_paused") == 0)
		add(a->text, sizeof a->text, ", audio paused");
	else if (strcmp(signal, "audio_off") == 0 && !a->latched)
		add(a->text, sizeof a->text, ", audio off");
}

/* Which value an alarm is about; VS_TILE_COUNT: none of them. */
static enum vs_bedside_tile tile_of(const char *metric)
{
	if (strcmp(metric, "hr") == 0 || strcmp(metric, "pr") == 0 || strcmp(metric, "nibp_pr") == 0)
		return VS_TILE_HR;
	if (strncmp(metric, "nibp_", 5) == 0)
		return VS_TILE_NIBP;
	return strcmp(metric, "spo2") == 0 ? VS_TILE_SPO2 : strcmp(metric, "rpp") == 0 ? VS_TILE_RPP : VS_TILE_COUNT;
}

static void read_alarms(struct vs_bedside *b, const json_t *chair, int64_t now_ms)
{
	size_t i;
	const json_t *body;
	json_array_foreach(json_object_get(chair, "alarms"), i, body) {
		/* A superseded one has a higher one of the same metric in its place. */
		if (strcmp(text_of(body, "change"), "superseded") == 0 || b->n_alarms == VS_BEDSIDE_ALARMS)
			continue;
		struct vs_bedside_alarm *a = &b->alarm[b->n_alarms++];
		enum vs_bedside_tile on = tile_of(text_of(body, "metric"));
		read_alarm(a, body, now_ms);
		COPY(a->id, text_of(body, "alarm"));
		if (on < VS_TILE_COUNT && !a->latched && a->priority > b->tile[on].alarm)
			b->tile[on].alarm = a->priority;
	}
	qsort(b->alarm, b->n_alarms, sizeof *b->alarm, by_urgency);
}

/* ---- clocks ---- */

static void read_clocks(struct vs_bedside *b, const json_t *chair, int64_t now_ms, int64_t elapsed_ms)
{
	const json_t *s = json_object_get(chair, "session_state"), *infused = json_object_get(s, "infused_s");
	const json_t *open = json_object_get(s, "open_s"), *cuff = value_of(chair, "nibp_sys");
	int64_t at, interval_s = json_integer_value(json_object_get(chair, "nibp_interval_s"));
	char text[24];
	if (*b->session && open)
		add(b->clocks, sizeof b->clocks, "session %s  ",
		    vs_bedside_clock((int64_t)(json_number_value(open) * 1000) + elapsed_ms, text, sizeof text));
	else if (*b->session && time_of(s, "opened_at", &at))
		add(b->clocks, sizeof b->clocks, "session %s  ", vs_bedside_clock(now_ms - at, text, sizeof text));
	if (*b->session && infused) {
		int64_t more_ms = strcmp(b->phase, "infusion") == 0 ? elapsed_ms : 0;
		int64_t infused_ms = (int64_t)(json_number_value(infused) * 1000) + more_ms;
		add(b->clocks, sizeof b->clocks, "infusion %s  ", vs_bedside_clock(infused_ms, text, sizeof text));
	}
	if (json_is_integer(json_object_get(cuff, "age_ms")))
		add(b->clocks, sizeof b->clocks, "cuff %s ago",
		    vs_bedside_age(json_integer_value(json_object_get(cuff, "age_ms")) + elapsed_ms, text, sizeof text));
	else if (time_of(cuff, "time", &at))
		add(b->clocks, sizeof b->clocks, "cuff %s ago", vs_bedside_age(now_ms - at, text, sizeof text));
	else
		add(b->clocks, sizeof b->clocks, "no cuff reading yet");
	if (interval_s)
		add(b->clocks, sizeof b->clocks, ", every %s", vs_bedside_age(interval_s * 1000, text, sizeof text));
	if (time_of(chair, "audio_paused_until", &at) && at > now_ms)
		add(b->clocks, sizeof b->clocks, "  AUDIO PAUSED %s", vs_bedside_clock(at - now_ms, text, sizeof text));
}

static void read_devices(struct vs_bedside *b, const json_t *chair)
{
	size_t i;
	const json_t *d;
	json_array_foreach(json_object_get(chair, "devices"), i, d)
		if (strcmp(text_of(d, "status"), "online") != 0)
			add(b->devices, sizeof b->devices, "%s%s %s%s%s", *b->devices ? "; " : "", text_of(d, "device"),
			    text_of(d, "status"), *text_of(d, "detail") ? ": " : "", text_of(d, "detail"));
}

static const json_t *chair_in(const json_t *answer, const char *id)
{
	size_t i;
	const json_t *c;
	json_array_foreach(json_object_get(answer, "chairs"), i, c)
		if (strcmp(text_of(c, "chair"), id) == 0)
			return c;
	return NULL;
}

void vs_bedside_read(struct vs_bedside *b, const char *chair, const json_t *answer, int64_t elapsed_ms)
{
	int64_t now_ms;
	*b = (struct vs_bedside){ .connected = false };
	COPY(b->chair, chair);
	blank_tiles(b);
	const json_t *c = chair_in(answer, chair);
	if (!c || elapsed_ms > VS_BEDSIDE_LOST_MS || !time_of(answer, "time", &now_ms))
		return;
	now_ms += elapsed_ms;
	b->connected = true;
	b->now_ms = now_ms;
	const json_t *s = json_object_get(c, "session_state");
	COPY(b->phase, text_of(c, "phase"));
	COPY(b->session, text_of(c, "session"));
	COPY(b->patient, text_of(s, "patient"));
	snprintf(b->protocol, sizeof b->protocol, "%s %s", text_of(s, "protocol"), text_of(s, "protocol_name"));
	read_rate(&b->tile[VS_TILE_HR], c, now_ms);
	read_signal(&b->tile[VS_TILE_SPO2], c, "spo2", now_ms);
	read_limits(&b->tile[VS_TILE_SPO2], c, "spo2");
	read_cuff(&b->tile[VS_TILE_NIBP], c, now_ms);
	read_product(&b->tile[VS_TILE_RPP], c, now_ms);
	read_alarms(b, c, now_ms);
	read_clocks(b, c, now_ms, elapsed_ms);
	read_devices(b, c);
}

/* ---- trends ---- */

void vs_bedside_trend_pass(struct vs_bedside_trend *t, int64_t minute)
{
	if (minute - t->minute > VS_TREND_MINUTES)
		t->minute = minute - VS_TREND_MINUTES;
	while (t->minute < minute) {
		t->minute++;
		t->at[t->minute % VS_TREND_MINUTES].n = 0;
		t->at[t->minute % VS_TREND_MINUTES].sum = 0;
	}
}

void vs_bedside_trend_add(struct vs_bedside_trend *t, int64_t minute, double value)
{
	vs_bedside_trend_pass(t, minute);
	t->at[t->minute % VS_TREND_MINUTES].sum += value;
	t->at[t->minute % VS_TREND_MINUTES].n++;
}

/* NAN: nothing in that minute. */
static double minute_of(const struct vs_bedside_trend *t, unsigned back)
{
	int64_t minute = t->minute - back;
	if (minute < 0 || !t->at[minute % VS_TREND_MINUTES].n)
		return NAN;
	return t->at[minute % VS_TREND_MINUTES].sum / t->at[minute % VS_TREND_MINUTES].n;
}

const char *vs_bedside_spark(const struct vs_bedside_trend *t, unsigned cells, bool utf8, char *buf, size_t cap,
	double *lowest, double *highest)
{
	static const char *const blocks[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	static const char *const plain[] = { "_", ".", "-", "=", "*", "#" };
	unsigned levels = utf8 ? 8 : 6;
	if (cells > VS_TREND_MINUTES)
		cells = VS_TREND_MINUTES;
	*lowest = *highest = NAN;
	for (unsigned i = 0; i < cells; i++) {
		*lowest = fmin(*lowest, minute_of(t, i)); /* fmin and fmax pass over NAN */
		*highest = fmax(*highest, minute_of(t, i));
	}
	buf[0] = '\0';
	for (unsigned i = cells; i-- > 0;) {
		double v = minute_of(t, i), range = *highest - *lowest;
		unsigned level = range > 0 && !isnan(v) ? (unsigned)((v - *lowest) / range * (levels - 1) + 0.5) : 0;
		add(buf, cap, "%s", isnan(v) ? " " : utf8 ? blocks[level] : plain[level]);
	}
	return buf;
}

/* ---- refusals ---- */

const char *vs_bedside_refusal(const json_t *answer, char *buf, size_t cap)
{
	size_t i;
	const json_t *code;
	const char *error = text_of(answer, "error");
	const json_t *codes = json_object_get(answer, "codes");
	const char *first = json_string_value(json_array_get(codes, 0));
	buf[0] = '\0';
	if (first && strncmp(error, first, strlen(first)) == 0)
		codes = NULL; /* the sentence names them */
	json_array_foreach(codes, i, code)
		add(buf, cap, "%s%s", i ? " " : "", json_string_value(code) ? json_string_value(code) : "");
	add(buf, cap, "%s%s", *buf ? ": " : "", *error ? error : "refused");
	return buf;
}

/* How many findings of a verdict stand in the way. */
static unsigned open_findings(const json_t *answer, const char *verdict)
{
	size_t i;
	const json_t *g, *gates = json_object_get(answer, "gates");
	unsigned n = 0;
	json_array_foreach(gates, i, g)
		n += !json_is_true(json_object_get(g, "settled")) && strcmp(text_of(g, "verdict"), verdict) == 0;
	return n;
}

bool vs_bedside_only_warns(const json_t *answer)
{
	return open_findings(answer, "warn") && !open_findings(answer, "block") && !open_findings(answer, "hard");
}

bool vs_bedside_may_override(const json_t *answer)
{
	return open_findings(answer, "block") && !open_findings(answer, "hard");
}
