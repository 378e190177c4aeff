/* A session as bytes that were kept over a restart: is it one?  A bad disk, another version or another program may have left
 * anything there, so nothing is believed before it was looked at; a bool is a byte until then. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "alarms/session.h"

#define TIME_MOST (INT64_C(1) << 53) /* ms: no clock of ours gets there, and sums of some stay far from overflow */

#define NUMBER_MOST 1e9 /* mg, kg, minutes, scores */

enum form { TEXT, BOOL, AMOUNT, NUMBER, TIME };

/* What each member has to be.  NUMBER: of a size that occurs; AMOUNT: and not negative. */
static const struct field {
	const char *name;
	enum form form;
	size_t at, size;
} fields[] = {
#define FIELD(form, member) { #member, form, offsetof(struct vs_session, member), sizeof((struct vs_session *)0)->member }
	FIELD(TEXT, id), FIELD(TEXT, patient), FIELD(TEXT, operator), FIELD(TEXT, second), FIELD(TEXT, reason), FIELD(TEXT, outcome),
	FIELD(TEXT, preset.id), FIELD(TEXT, preset.name), FIELD(TEXT, preset.title),
	FIELD(BOOL, preset.disabled), FIELD(BOOL, preset.no_pump), FIELD(BOOL, preset.inpatient), FIELD(BOOL, preset.daily),
	FIELD(AMOUNT, preset.dose_low), FIELD(AMOUNT, preset.dose_high), FIELD(AMOUNT, preset.dose), FIELD(AMOUNT, preset.over_low),
	FIELD(AMOUNT, preset.over_high), FIELD(AMOUNT, preset.rate), FIELD(AMOUNT, preset.rate_step), FIELD(AMOUNT, preset.rate_highest),
	FIELD(AMOUNT, preset.cap_rate), FIELD(AMOUNT, preset.cap_day), FIELD(AMOUNT, preset.concentration), FIELD(AMOUNT, preset.recovery),
	FIELD(AMOUNT, preset.cuff_at),
	FIELD(AMOUNT, order.dose), FIELD(AMOUNT, order.over), FIELD(AMOUNT, weight), FIELD(AMOUNT, last_weight),
	FIELD(TIME, course.last_wall_ms),
	FIELD(BOOL, begun), FIELD(BOOL, ended), FIELD(BOOL, closed), FIELD(BOOL, has_baseline), FIELD(BOOL, rate_known),
	FIELD(TIME, phase_ms), FIELD(TIME, opened_ms), FIELD(TIME, infusion_ms), FIELD(TIME, stopped_ms), FIELD(TIME, closed_ms),
	FIELD(TIME, phase_wall_ms), FIELD(TIME, opened_wall_ms), FIELD(TIME, infusion_wall_ms), FIELD(TIME, stopped_wall_ms),
	FIELD(TIME, closed_wall_ms), FIELD(TIME, paused_for_ms), FIELD(TIME, rate_ms),
	FIELD(NUMBER, given), /* less what was corrected: may end a hair below zero */
	FIELD(AMOUNT, rate),
#undef FIELD
};

static bool is_time(int64_t t)
{
	return t >= -TIME_MOST && t <= TIME_MOST;
}

static bool is_amount(double v)
{
	return v >= 0 && v <= NUMBER_MOST;
}

static bool field_is_right(const uint8_t *bytes, const struct field *f)
{
	double v;
	int64_t t;
	switch (f->form) {
	case TEXT:
		return memchr(bytes + f->at, '\0', f->size) != NULL;
	case BOOL:
		return bytes[f->at] <= 1;
	case AMOUNT:
	case NUMBER:
		memcpy(&v, bytes + f->at, sizeof v);
		return f->form == NUMBER ? fabs(v) <= NUMBER_MOST : is_amount(v);
	default:
		memcpy(&t, bytes + f->at, sizeof t);
		return is_time(t);
	}
}

/* What a count or a word of a list says about the others; every single member has been looked at. */
static const char *lists_are_wrong(const struct vs_session *s)
{
	static const char *const outcomes[] = { "", "completed", "stopped_early", "aborted", "transferred", "not_started" };
	bool known = false;
	for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++)
		known |= strcmp(s->outcome, outcomes[i]) == 0;
	if (!known)
		return "outcome";
	if (s->preset.n_steps > VS_PRESET_STEPS)
		return "preset.n_steps";
	for (unsigned i = 0; i < s->preset.n_steps; i++)
		if (!is_amount(s->preset.step[i].v))
			return "preset.step";
	if (s->n_baseline > VS_SESSION_BASELINE)
		return "n_baseline";
	for (unsigned i = 0; i < s->n_baseline; i++)
		if ((unsigned)s->baseline[i].metric >= VS_METRIC_COUNT || !isfinite(s->baseline[i].value))
			return "baseline";
	for (unsigned i = 0; i < VS_CHECKS; i++)
		if (s->check[i].answer > VS_ANSWER_UNKNOWN)
			return "check";
	for (unsigned i = 0; i < VS_ENTRY_COUNT; i++)
		if (!is_time(s->last[i].at_ms) || !isfinite(s->last[i].value))
			return "last entries";
	for (unsigned i = 0; i < VS_REMINDERS; i++)
		if (!is_time(s->reminder[i].at_ms))
			return "reminders";
	return NULL;
}

const char *vs_session_restore(struct vs_session *s, const void *bytes)
{
	enum vs_phase phase;
	memcpy(&phase, (const uint8_t *)bytes + offsetof(struct vs_session, phase), sizeof phase);
	if ((unsigned)phase >= VS_PHASE_COUNT)
		return "phase";
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (!field_is_right(bytes, &fields[i]))
			return fields[i].name;
	struct vs_session kept;
	memcpy(&kept, bytes, sizeof kept);
	if (kept.paused_for_ms < 0)
		return "paused_for_ms";
	if (kept.overridden >> VS_GATE_COUNT)
		return "overridden";
	const char *wrong = lists_are_wrong(&kept);
	if (!wrong)
		*s = kept;
	return wrong;
}
