/* Questions about a gathered report: moments, peaks, an entry in a line. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/ctl/report.h"

#define MINUTE_MS 60000
#define REFUSAL_CHARS 100 /* of a refusal in a report; all of it stands in the record */
#define NEAR_MS (5 * MINUTE_MS)

const char *vs_report_text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

const char *const vs_ledger_columns[VS_LEDGER_COLUMNS] = { "valid", "suspect", "stale", "lost", "paused", "restarting" };

void vs_report_finish(struct vs_report *r)
{
	json_decref(r->events);
	json_decref(r->ledger);
	free(r->phases);
	free(r->alarms);
	free(r->cuffs);
	free(r->minutes);
}

int64_t vs_report_phase_ms(const struct vs_report *r, const char *phase)
{
	for (unsigned i = 0; i < r->n_phases; i++)
		if (strcmp(r->phases[i].phase, phase) == 0)
			return r->phases[i].wall_ms;
	return 0;
}

const char *vs_report_moment_name(enum vs_report_moment m)
{
	static const char *const names[] = { "start of infusion", "40 minutes", "end of infusion", "last" };
	return names[m];
}

int64_t vs_report_moment_ms(const struct vs_report *r, enum vs_report_moment m)
{
	int64_t start = vs_report_phase_ms(r, "infusion"), end = vs_report_phase_ms(r, "recovery");
	int64_t aborted = vs_report_phase_ms(r, "aborted");
	if (aborted && (!end || aborted < end))
		end = aborted;
	switch (m) {
	case VS_AT_START:
		return start;
	case VS_AT_40_MIN:
		return start && !r->clock_steps && r->to_ms >= start + 40 * MINUTE_MS ? start + 40 * MINUTE_MS : 0;
	case VS_AT_END:
		return start ? end : 0;
	default:
		return r->to_ms;
	}
}

/* What was known at the moment: the newest reading until then; only without one, the first after it. */
const struct vs_report_cuff *vs_report_cuff_near(const struct vs_report *r, int64_t wall_ms)
{
	const struct vs_report_cuff *best = NULL;
	for (unsigned i = 0; i < r->n_cuffs; i++) {
		const struct vs_report_cuff *c = &r->cuffs[i];
		if (c->suspect || llabs(c->wall_ms - wall_ms) > NEAR_MS)
			continue;
		if (c->wall_ms <= wall_ms || !best)
			best = c;
	}
	return best;
}

const struct vs_report_minute *vs_report_minute_near(const struct vs_report *r, int64_t wall_ms)
{
	const struct vs_report_minute *best = NULL;
	for (unsigned i = 0; i < r->n_minutes; i++) {
		int64_t away = llabs(r->minutes[i].wall_ms - wall_ms);
		if (away <= NEAR_MS && (!best || away < llabs(best->wall_ms - wall_ms)))
			best = &r->minutes[i];
	}
	return best;
}

const struct vs_report_cuff *vs_report_highest(const struct vs_report *r)
{
	const struct vs_report_cuff *best = NULL;
	for (unsigned i = 0; i < r->n_cuffs; i++)
		if (!r->cuffs[i].suspect && (!best || r->cuffs[i].sys > best->sys))
			best = &r->cuffs[i];
	return best;
}

const struct vs_report_minute *vs_report_lowest_spo2(const struct vs_report *r)
{
	const struct vs_report_minute *best = NULL;
	for (unsigned i = 0; i < r->n_minutes; i++)
		if (!isnan(r->minutes[i].spo2) && (!best || r->minutes[i].spo2 < best->spo2))
			best = &r->minutes[i];
	return best;
}

static const char *local(int64_t wall_ms, const char *format, char *buf, size_t cap)
{
	time_t s = (time_t)(wall_ms / 1000);
	struct tm tm;
	if (!localtime_r(&s, &tm) || strftime(buf, cap, format, &tm) == 0)
		snprintf(buf, cap, "?");
	return buf;
}

static long offset_of(int64_t wall_ms)
{
	time_t s = (time_t)(wall_ms / 1000);
	struct tm tm;
	return localtime_r(&s, &tm) ? tm.tm_gmtoff : 0;
}

static long offset_at_begin;
static bool begun;

void vs_report_begins(int64_t wall_ms)
{
	offset_at_begin = offset_of(wall_ms);
	begun = true;
}

const char *vs_report_clock(int64_t wall_ms, char buf[16])
{
	return local(wall_ms, begun && offset_of(wall_ms) != offset_at_begin ? "%H:%M:%S %Z" : "%H:%M:%S", buf, 16);
}

const char *vs_report_date(int64_t wall_ms, char buf[40])
{
	return local(wall_ms, "%Y-%m-%d %H:%M %Z", buf, 40);
}

const char *vs_report_course(const json_t *session, char buf[120])
{
	const json_t *c = json_object_get(session, "course"), *days = json_object_get(c, "days_since");
	double low = json_number_value(json_object_get(c, "planned_low")), high = json_number_value(json_object_get(c, "planned_high"));
	double kg = json_number_value(json_object_get(c, "last_weight_kg"));
	size_t n = 0, cap = 120;
	buf[0] = '\0';
	if (!json_object_get(c, "index"))
		return buf;
	n += (size_t)snprintf(buf, cap, "infusion %d", (int)json_integer_value(json_object_get(c, "index")));
	if (high > low)
		n += (size_t)snprintf(buf + n, cap - n, " of %g to %g", low, high);
	else if (high > 0)
		n += (size_t)snprintf(buf + n, cap - n, " of %g", high);
	if (days)
		n += (size_t)snprintf(buf + n, cap - n, ", %.1f days after the last", json_number_value(days));
	if (kg > 0)
		snprintf(buf + n, cap - n, "; last weight %.4g kg", kg);
	return buf;
}

const char *vs_report_entry(const json_t *event, char *buf, size_t cap)
{
	const json_t *value = json_object_get(event, "value");
	const char *item = vs_report_text_of(event, "item"), *text = json_string_value(value);
	static const char *const extras[] = { "severity", "route", "detail" };
	size_t n = (size_t)snprintf(buf, cap, "%s%s%s", vs_report_text_of(event, "entry"), *item ? " " : "", item);
	if (json_is_number(value) && n < cap)
		n += (size_t)snprintf(buf + n, cap - n, " %.6g", json_number_value(value));
	else if (text && strcmp(text, item) != 0 && n < cap)
		n += (size_t)snprintf(buf + n, cap - n, " %s", text);
	const char *unit = vs_report_text_of(event, "unit");
	if (*unit && *unit != '{' && n < cap)
		n += (size_t)snprintf(buf + n, cap - n, " %s", unit);
	for (unsigned i = 0; i < 3 && n < cap; i++)
		if (*vs_report_text_of(event, extras[i]))
			n += (size_t)snprintf(buf + n, cap - n, ", %s", vs_report_text_of(event, extras[i]));
	const char *note = vs_report_text_of(event, "note");
	int most = strcmp(vs_report_text_of(event, "entry"), "refused") == 0 ? REFUSAL_CHARS : (int)cap;
	if (*note && n < cap)
		n += (size_t)snprintf(buf + n, cap - n, ": %.*s%s", most, note, strlen(note) > (size_t)most ? " ..." : "");
	if (json_is_integer(json_object_get(event, "corrects")) && n < cap)
		snprintf(buf + n, cap - n, " (corrects entry %lld)",
			 (long long)json_integer_value(json_object_get(event, "corrects")));
	return buf;
}
