/* The session as a whole: the table of moves walked completely, entries, reminders, clocks, and seeded random lives. */
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>

#include "session_room.h"

/* ---- the table ---- */

/* What clinical table B allows, written down once more: rows from, columns to, T a transfer, . nothing. */
static const char *const may[VS_PHASE_COUNT] = {
	/*                          none screening baseline infusion paused recovery discharged aborted */
	[VS_PHASE_NONE]       =    ".        o        .        .        .        .        .        .",
	[VS_PHASE_SCREENING]  =    ".        .        x        .        .        .        xT       x",
	[VS_PHASE_BASELINE]   =    ".        .        .        x        .        .        xT       x",
	[VS_PHASE_INFUSION]   =    ".        .        .        .        x        x        T        x",
	[VS_PHASE_PAUSED]     =    ".        .        .        x        .        x        T        x",
	[VS_PHASE_RECOVERY]   =    ".        .        .        .        .        .        xT       x",
	[VS_PHASE_DISCHARGED] =    "v        o        .        .        .        .        .        .",
	[VS_PHASE_ABORTED]    =    ".        .        .        .        .        x        xT       .",
};

static bool in_table(enum vs_phase from, enum vs_phase to, char kind)
{
	for (size_t i = 0; i < vs_session_moves_len; i++) {
		const struct vs_session_row *row = &vs_session_moves[i];
		char k = row->move == VS_MOVE_TRANSFER ? 'T' : row->move == VS_MOVE_OPEN ? 'o' :
			row->move == VS_MOVE_VACATE ? 'v' : 'x';
		if (row->from == from && row->to == to && k == kind)
			return true;
	}
	return false;
}

static bool wanted(enum vs_phase from, enum vs_phase to, char kind)
{
	const char *cell = may[from];
	for (int i = 0; i < (int)to; i++) {
		cell += strcspn(cell, " ");
		cell += strspn(cell, " ");
	}
	for (; *cell && *cell != ' '; cell++)
		if (*cell == kind)
			return true;
	return false;
}

/* A session that stands in a phase, by its own commands. */
static void stand_in(struct room *r, const void *d, enum vs_phase p)
{
	room_init(r, d);
	if (p == VS_PHASE_NONE)
		return;
	if (p == VS_PHASE_SCREENING)
		room_screening(r, "P1");
	else if (p == VS_PHASE_BASELINE)
		room_baseline(r, "P1");
	else
		room_infusion(r, "P1");
	if (p == VS_PHASE_PAUSED)
		room_must(r, "phase paused");
	if (p == VS_PHASE_RECOVERY)
		room_must(r, "phase recovery");
	if (p == VS_PHASE_DISCHARGED)
		room_must(r, "transfer ward");
	if (p == VS_PHASE_ABORTED)
		room_must(r, "phase aborted");
	assert_int_equal(r->s.phase, p);
}

static void every_move(void **state)
{
	for (enum vs_phase from = 0; from < VS_PHASE_COUNT; from++)
		for (enum vs_phase to = 0; to < VS_PHASE_COUNT; to++) {
			for (const char *k = "xTov"; *k; k++)
				if (in_table(from, to, *k) != wanted(from, to, *k))
					fail_msg("%s to %s (%c): the table differs", vs_phase_name(from), vs_phase_name(to), *k);
			struct room r;
			char line[120];
			stand_in(&r, *state, from);
			snprintf(line, sizeof line, "phase %s --reason drill --override drill --second bert", vs_phase_name(to));
			if (room_say(&r, line) != wanted(from, to, 'x'))
				fail_msg("%s: %s, from %s", line, r.a.findings.len ? r.a.findings.at[0].text : "accepted", vs_phase_name(from));
			if (wanted(from, to, 'x'))
				assert_int_equal(r.s.phase, to);
			else
				assert_string_equal(room_codes(&r), "phase");
		}
}

static void every_transfer_and_opening(void **state)
{
	for (enum vs_phase from = 0; from < VS_PHASE_COUNT; from++) {
		struct room r;
		stand_in(&r, *state, from);
		assert_int_equal(room_say(&r, "transfer intensive care"), wanted(from, VS_PHASE_DISCHARGED, 'T'));
		if (wanted(from, VS_PHASE_DISCHARGED, 'T')) {
			assert_string_equal(r.s.outcome, "transferred");
			assert_string_equal(r.s.reason, "intensive care");
			assert_true(r.a.todo & VS_DO_CLOSED && !vs_session_id(&r.s));
		}
		stand_in(&r, *state, from);
		assert_int_equal(room_say(&r, "start --patient N-2 --protocol P1 --weight 70"), wanted(from, VS_PHASE_SCREENING, 'o'));
		if (!r.a.accepted)
			assert_string_equal(room_codes(&r), "busy");
	}
}

static void every_row_names_its_guard(void **state)
{
	static const struct {
		enum vs_move move;
		enum vs_guard guard;
	} guards[] = {
		{ VS_MOVE_OPEN, VS_GUARD_FREE },         { VS_MOVE_SCREENED, VS_GUARD_SCREENING },
		{ VS_MOVE_START, VS_GUARD_INFUSION },    { VS_MOVE_PAUSE, VS_GUARD_NONE },
		{ VS_MOVE_RESUME, VS_GUARD_RESUME },     { VS_MOVE_STOP, VS_GUARD_NONE },
		{ VS_MOVE_STABLE, VS_GUARD_STABLE },     { VS_MOVE_DISCHARGE, VS_GUARD_DISCHARGE },
		{ VS_MOVE_CANCEL, VS_GUARD_REASON },     { VS_MOVE_TRANSFER, VS_GUARD_DESTINATION },
		{ VS_MOVE_ABORT, VS_GUARD_NONE },        { VS_MOVE_VACATE, VS_GUARD_NONE },
	};
	(void)state;
	assert_int_equal(COUNT(guards), VS_MOVE_COUNT);
	for (size_t i = 0; i < vs_session_moves_len; i++) {
		const struct vs_session_row *row = &vs_session_moves[i];
		assert_int_equal(row->guard, guards[row->move].guard);
		assert_non_null(vs_move_name(row->move));
	}
}

static void refusals_of_a_move_say_where_it_can_go(void **state)
{
	struct room r;
	stand_in(&r, *state, VS_PHASE_SCREENING);
	room_refused(&r, "phase infusion", "phase");
	assert_string_equal(r.a.findings.at[0].text,
		"not from screening to infusion; from screening it can go to: baseline, discharged, aborted");
	room_refused(&r, "phase screening", "phase");
	assert_string_equal(r.a.findings.at[0].text, "the session is in screening already");
	room_refused(&r, "phase discharged", "reason");
	room_refused(&r, "transfer", "reason");
	room_must(&r, "phase discharged --reason 'changed her mind'");
	assert_string_equal(r.s.outcome, "not_started");
	stand_in(&r, *state, VS_PHASE_INFUSION);
	room_refused(&r, "phase discharged", "phase");
}

/* ---- opening ---- */

static const struct {
	const char *line, *codes, *why;
} openings[] = {
	{ "start --patient N-17 --protocol P1 --weight 70", "", "as usual" },
	{ "start --patient N-17 --protocol standard-short --weight 70", "", "by name" },
	{ "start --patient N-17 --protocol p1", "", "the weight may come during screening" },
	{ "start --patient N-17", "", "observation only" },
	{ "start --protocol P1", "patient", "nobody" },
	{ "start --patient 'N 17' --protocol P1", "patient", "a blank in the code" },
	{ "start --patient ../x --protocol P1", "patient", "not a path" },
	{ "start --patient -x", "patient", "begins with a dash" },
	{ "start --patient N-17 --protocol P99", "protocol", "no such protocol" },
	{ "start --patient N-17 --protocol P1 --weight 29.9", "weight", "too light" },
	{ "start --patient N-17 --protocol P1 --weight 30", "", "lightest" },
	{ "start --patient N-17 --protocol P1 --weight 250", "", "heaviest" },
	{ "start --patient N-17 --protocol P1 --weight 250.1", "weight", "too heavy" },
	{ "start --patient N-17 --protocol P1 --weight 700", "weight", "a slip of the finger" },
	{ "start --patient N-17 --protocol P1 --weight -70", "entry", "no weight is negative" },
	{ "start --patient N-17 --protocol P1 --weight 7O", "entry", "a letter" },
	{ "start --patient N-17 --protocol P1 --weight nan", "entry", "not a number" },
	{ "start --patient N-17 --protocol P1 --weight 77 --last-weight 70", "", "10 % more than last time" },
	{ "start --patient N-17 --protocol P1 --weight 78 --last-weight 70", "S2", "more than that: weigh again" },
	{ "start --patient N-17 --protocol P1 --weight 78 --last-weight 70 --confirm", "", "weighed again" },
	{ "start --patient ABCDEFGHIJKLMNOPQRSTUVWXYZ1234567", "entry", "33 characters" },
	{ "start --patient N-17 --protocol", "entry", "an option without its value" },
	{ "start --patient N-17 --frobnicate 3", "entry", "no such option" },
	{ "start now --patient N-17", "entry", "a word too many" },
	{ "", "entry", "nothing" },
	{ "begin", "entry", "no such command" },
	{ "phase asleep", "entry", "no such phase" },
};

static void opening(void **state)
{
	for (size_t i = 0; i < COUNT(openings); i++) {
		struct room r;
		room_init(&r, *state);
		if (room_say(&r, openings[i].line) != !*openings[i].codes || strcmp(room_codes(&r), openings[i].codes) != 0)
			fail_msg("%s: '%s' instead of '%s'", openings[i].why, room_codes(&r), openings[i].codes);
		assert_int_equal(r.s.phase, *openings[i].codes ? VS_PHASE_NONE : VS_PHASE_SCREENING);
	}
}

/* ---- entries ---- */

static const struct {
	const char *line;
	bool fine;
	double value;
	const char *word, *unit, *detail;
} entries[] = {
	{ "moaas 3", true, 3, "", "{score}", "" },
	{ "moaas 6", false, 0, "", "", "" },
	{ "moaas -1", false, 0, "", "", "" },
	{ "moaas 3.5", false, 0, "", "", "" },
	{ "moaas", false, 0, "", "", "" },
	{ "moaas three", false, 0, "", "", "" },
	{ "moaas 3 mm", false, 0, "", "", "" },
	{ "moaas 99999999999999999999", false, 0, "", "", "" },
	{ "rass -5", true, -5, "", "{score}", "" },
	{ "poss S", true, 0, "", "{score}", "" },
	{ "poss 4", true, 4, "", "{score}", "" },
	{ "ramsay 0", false, 0, "", "", "" },
	{ "cadss 92", true, 92, "", "{score}", "" },
	{ "pain 7", true, 7, "", "{score}", "" },
	{ "pain 70", false, 0, "", "", "" },
	{ "pain 70 mm", true, 70, "", "mm", "" },
	{ "pain 70mm", true, 70, "", "mm", "" },
	{ "pain 5 apples", false, 0, "", "", "" },
	{ "pain 70 mm lying", false, 0, "", "", "" },
	{ "moaas 5 {score} still", false, 0, "", "", "" },
	{ "oxygen 2 L/min by mask", false, 0, "", "", "" },
	{ "rate 60 mg/h please", false, 0, "", "", "" },
	{ "bolus 10 mg slowly", false, 0, "", "", "" },
	{ "nausea 3 points", false, 0, "", "", "" },
	{ "vas 100", true, 100, "", "mm", "" },
	{ "nausea moderate", true, 2, "moderate", "", "" },
	{ "nausea 3", true, 3, "", "{score}", "" },
	{ "nausea 11", false, 0, "", "", "" },
	{ "nausea awful", false, 0, "", "", "" },
	{ "dissociation gone", true, 0, "none", "", "" },
	{ "dissociation yes", true, 2, "yes", "", "" },
	{ "dizziness none", true, 0, "none", "", "" },
	{ "ae headache moderate", true, 2, "headache", "", "moderate" },
	{ "ae headache mild ended", true, 1, "headache", "", "ended" },
	{ "ae unheard-of", false, 0, "", "", "" },
	{ "ae headache terribly", false, 0, "", "", "" },
	{ "ae", false, 0, "", "", "" },
	{ "med ondansetron 4 mg iv", true, 4, "ondansetron", "mg", "iv" },
	{ "med ondansetron 4mg iv", true, 4, "ondansetron", "mg", "iv" },
	{ "med clonidine", true, 0, "clonidine", "", "" },
	{ "med acetylsalicylic acid 500 mg po", true, 500, "acetylsalicylic acid", "mg", "po" },
	{ "med acetylsalicylic acid", true, 0, "acetylsalicylic acid", "", "" },
	{ "med clonidine po", true, 0, "clonidine", "", "po" },
	{ "med ondansetron 4 mg iv in 2 min", true, 4, "ondansetron", "mg", "iv in 2 min" },
	{ "med ondansetron 4 mg iv slowly over two minutes", false, 0, "", "", "" },
	{ "med ondansetron 4 milligrammes", false, 0, "", "", "" },
	{ "med ondansetron 4", false, 0, "", "", "" },
	{ "med", false, 0, "", "", "" },
	{ "rate 60 mg/h", true, 60, "", "mg/h", "was 52.5 mg/h" },
	{ "rate 0.8 mg/kg/h", true, 0.8, "", "mg/kg/h", "was 52.5 mg/h" },
	{ "rate 60", false, 0, "", "", "" },
	{ "rate 10 mL/h", false, 0, "", "", "" },
	{ "rate 60 mg/min", false, 0, "", "", "" },
	{ "bolus 10", true, 10, "", "mg", "" },
	{ "bolus 10 mg", true, 10, "", "mg", "" },
	{ "bolus 0", false, 0, "", "", "" },
	{ "bolus 1 g", false, 0, "", "", "" },
	{ "oxygen 2 L/min", true, 2, "", "L/min", "" },
	{ "oxygen off", true, 0, "", "L/min", "" },
	{ "oxygen 16", false, 0, "", "", "" },
	{ "cuff-moved left arm", true, 0, "left arm", "", "" },
	{ "probe-moved", true, 0, "", "", "" },
	{ "note sleeps well", true, 0, "sleeps well", "", "" },
	{ "note of more than the sixty-three characters of a word: it stands whole in the note", true, 0, "", "", "" },
	{ "note", false, 0, "", "", "" },
	{ "check psychosis no", true, 0, "psychosis", "", "no" },
	{ "check psychosis maybe", false, 0, "", "", "" },
	{ "check aura no", false, 0, "", "", "" },
	{ "check all yes", false, 0, "", "", "" },
	{ "consent", true, 1, "yes", "", "" },
	{ "consent withdrawn", false, 0, "", "", "" },
	{ "gait steady", true, 1, "yes", "", "" },
	{ "gait", false, 0, "", "", "" },
	{ "escort", false, 0, "", "", "" },
	{ "escort her brother", true, 0, "her brother", "", "" },
	{ "advice given", true, 1, "yes", "", "" },
	{ "aldrete 9", true, 9, "", "{score}", "" },
	{ "pads 11", false, 0, "", "", "" },
	{ "weight 71", false, 0, "", "", "" },
	{ "frobnicate 1", false, 0, "", "", "" },
};

static void entry_by_entry(void **state)
{
	for (size_t i = 0; i < COUNT(entries); i++) {
		struct room r;
		char line[120];
		room_init(&r, *state);
		room_infusion(&r, "P1");
		snprintf(line, sizeof line, "entry %s", entries[i].line);
		if (!entries[i].fine) {
			struct vs_session before = r.s;
			if (room_say(&r, line))
				fail_msg("`%s` was accepted", line);
			assert_memory_equal(&before, &r.s, sizeof before);
			assert_true(r.a.findings.len > 0 && r.a.findings.at[0].text[0]);
			continue;
		}
		room_must(&r, line);
		const struct vs_entry *e = &r.a.entry;
		double value = e->has_number ? e->number_value : r.s.last[e->kind].value;
		if (value != entries[i].value || strcmp(e->word, entries[i].word) || strcmp(e->unit, entries[i].unit) ||
		    strcmp(e->detail, entries[i].detail))
			fail_msg("`%s`: %g '%s' '%s' '%s'", line, value, e->word, e->unit, e->detail);
		assert_string_equal(e->operator, "anna");
		assert_true(r.a.todo & VS_DO_ENTRY && e->number == r.s.entries);
	}
}

static void severities_of_numbers(void **state)
{
	static const int severity[] = { 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3 };
	struct room r;
	room_init(&r, *state);
	for (int i = 0; i < 11; i++) {
		char line[40];
		snprintf(line, sizeof line, "entry nausea %d", i);
		room_must(&r, line);
		assert_int_equal(r.a.entry.severity, severity[i]);
	}
}

static void what_entries_bring_about(void **state)
{
	struct room r;
	room_init(&r, *state);
	room_infusion(&r, "P1");
	room_must(&r, "entry moaas 2");
	assert_true(r.a.todo & VS_DO_SCORE);
	room_must(&r, "entry cuff-moved left");
	assert_true(r.a.todo & VS_DO_TREND_CUFF);
	room_must(&r, "entry probe-moved");
	assert_true(r.a.todo & VS_DO_TREND_PROBE);
	room_must(&r, "entry note hello");
	assert_int_equal(r.a.todo, VS_DO_ENTRY);
	room_must(&r, "entry ae seizure");
	assert_int_equal(r.s.phase, VS_PHASE_ABORTED);
	assert_true(r.a.todo & VS_DO_HELP && r.a.todo & VS_DO_SESSION && r.a.todo & VS_DO_ENTRY);
	assert_string_equal(r.s.reason, "seizure");
	assert_string_equal(r.s.outcome, "aborted");
	/* and after it, while the patient is watched, a second one is an entry */
	room_must(&r, "entry ae seizure ended");
	assert_int_equal(r.s.phase, VS_PHASE_ABORTED);
}

static void rates_beyond_reason_are_asked_twice(void **state)
{
	struct room r;
	room_init(&r, *state);
	room_infusion(&r, "P1");
	room_refused(&r, "entry rate 52.5 mg/kg/h", "G7"); /* the unit slipped */
	room_refused(&r, "entry rate 141 mg/h", "G7");
	room_must(&r, "entry rate 140 mg/h");
	room_must(&r, "entry rate 150 mg/h --confirm"); /* the pump does, so it is recorded */
	assert_float_equal(r.s.rate.v, 150, 1e-9);
	room_must(&r, "phase recovery");
	room_refused(&r, "entry rate 50 mg/h", "phase");
}

static void doses_that_ran_in(void **state)
{
	struct room r;
	room_init(&r, *state);
	room_infusion(&r, "P1"); /* 52.5 mg/h */
	room_wait(&r, 20 * MIN);
	assert_float_equal(vs_session_given(&r.s, r.now).v, 17.5, 1e-6);
	room_must(&r, "phase paused");
	room_wait(&r, 10 * MIN);
	assert_float_equal(vs_session_given(&r.s, r.now).v, 17.5, 1e-6);
	room_cuff(&r, 120, 75);
	room_must(&r, "phase infusion");
	room_must(&r, "entry rate 0.6 mg/kg/h");
	room_wait(&r, 10 * MIN); /* 42 mg/h */
	room_must(&r, "entry bolus 5 mg");
	room_must(&r, "entry bolus 3 mg --corrects 6");
	assert_int_equal(r.a.entry.corrects, 6);
	room_must(&r, "phase recovery");
	room_wait(&r, 60 * MIN);
	assert_float_equal(vs_session_given(&r.s, r.now).v, 17.5 + 7 + 3, 1e-6);
	assert_int_equal(vs_session_infused_ms(&r.s, r.now), 30 * MIN);
	assert_int_equal(r.s.paused_for_ms, 10 * MIN);
}

static void corrections_point_at_what_they_correct(void **state)
{
	struct room r;
	room_init(&r, *state);
	room_must(&r, "entry moaas 3");             /* 1 */
	room_wait(&r, 5 * MIN);
	room_must(&r, "entry moaas 5 --corrects 1"); /* 2: it was 5 all the time */
	assert_int_equal(r.a.entry.corrects, 1);
	assert_int_equal(r.s.last[VS_ENTRY_MOAAS].value, 5);
	assert_int_equal(r.s.last[VS_ENTRY_MOAAS].at_ms, r.now - 5 * MIN);
	room_must(&r, "entry pain 6");              /* 3 */
	room_refused(&r, "entry moaas 4 --corrects 3", "entry");
	room_refused(&r, "entry moaas 4 --corrects 9", "entry");
	room_must(&r, "entry note 'wrong patient' --corrects 3");
	assert_int_equal(r.s.last[VS_ENTRY_PAIN].number, 0);
	room_must(&r, "entry moaas 4");             /* 5 */
	room_must(&r, "entry moaas 2 --corrects 1"); /* an old one: the newest stays what counts */
	assert_int_equal(r.s.last[VS_ENTRY_MOAAS].value, 4);
	assert_false(r.a.todo & VS_DO_SCORE); /* nor do rules judge what was long ago */
}

static void a_bolus_that_was_none(void **state)
{
	struct room r;
	room_init(&r, *state);
	room_infusion(&r, "P1");
	room_must(&r, "entry bolus 5 mg");
	uint32_t bolus = r.a.entry.number;
	char line[60];
	snprintf(line, sizeof line, "entry bolus 3 mg --corrects %u", bolus);
	room_must(&r, line);
	assert_float_equal(r.s.given.v, 3, 1e-9);
	snprintf(line, sizeof line, "entry note 'not given' --corrects %u", r.a.entry.number);
	room_must(&r, line);
	assert_float_equal(r.s.given.v, 0, 1e-9);
}

/* ---- time ---- */

static unsigned tick(struct room *r, struct vs_session_dues *dues)
{
	vs_session_tick(&r->s, r->d, &r->f, r->now, r->wall, dues);
	return dues->len;
}

/* Lets time pass in one stride to what is due next; returns the minutes it took, from `since`. */
static double next_due(struct room *r, struct vs_session_dues *dues, int64_t since)
{
	for (int i = 0; i < 50; i++) {
		if (tick(r, dues) > 0)
			return (double)(r->now - since) / MIN;
		if (dues->wake_ms == UINT64_MAX)
			return -1;
		room_wait(r, (int64_t)dues->wake_ms - r->now);
	}
	return -2;
}

static void scores_fall_due(void **state)
{
	struct room r;
	struct vs_session_dues dues;
	room_init(&r, *state);
	room_infusion(&r, "P9"); /* five days: no end in sight */
	int64_t start = r.now;
	assert_float_equal(next_due(&r, &dues, start), 20, 1e-9);
	assert_string_equal(dues.at[0].request, "entry-due");
	assert_int_equal(dues.at[0].due_ms, start + 15 * MIN);
	assert_float_equal(next_due(&r, &dues, start), 25, 1e-9); /* again, until somebody looks */
	room_must(&r, "entry moaas 5");
	assert_float_equal(next_due(&r, &dues, start), 45, 1e-9);
	room_must(&r, "phase paused");
	assert_float_equal(next_due(&r, &dues, start), 55, 1e-9);
	assert_string_equal(dues.at[0].request, "resume-due");
}

static void the_planned_end_passes(void **state)
{
	struct room r;
	struct vs_session_dues dues;
	room_init(&r, *state);
	room_infusion(&r, "P1");
	int64_t start = r.now;
	room_wait(&r, 15 * MIN);
	room_must(&r, "entry moaas 5");
	room_must(&r, "phase paused");
	room_wait(&r, 5 * MIN);
	room_cuff(&r, 120, 75);
	room_must(&r, "phase infusion");
	room_wait(&r, 10 * MIN);
	room_must(&r, "entry moaas 5");
	assert_float_equal(next_due(&r, &dues, start), 45, 1e-9); /* 40 min and the pause */
	assert_string_equal(dues.at[0].request, "stop-due");
	assert_non_null(strstr(dues.at[0].reason, "planned 40 min"));
	room_must(&r, "entry moaas 5");
	assert_float_equal(next_due(&r, &dues, start), 50, 1e-9);
	assert_string_equal(dues.at[0].request, "stop-due");
	assert_non_null(strstr(dues.at[0].reason, "5 min ago"));
	room_must(&r, "phase recovery");
	assert_float_equal(next_due(&r, &dues, start), 50, 1e-9);
	assert_string_equal(dues.at[0].request, "entry-due"); /* pain and side effects at the stop */
	assert_float_equal(next_due(&r, &dues, start), -1, 1e-9);
}

static void the_spray_wants_a_reading(void **state)
{
	struct room r;
	struct vs_session_dues dues;
	room_init(&r, *state);
	room_infusion(&r, "P13");
	int64_t start = r.now;
	room_wait(&r, 20 * MIN);
	room_must(&r, "entry moaas 5");
	room_wait(&r, 19 * MIN);
	room_must(&r, "entry moaas 5");
	assert_float_equal(next_due(&r, &dues, start), 40, 1e-9);
	assert_string_equal(dues.at[0].request, "nibp-now");
}

static void an_empty_chair_is_watched_again(void **state)
{
	struct room r;
	struct vs_session_dues dues;
	stand_in(&r, *state, VS_PHASE_DISCHARGED);
	room_wait(&r, 5 * MIN); /* the probe is still on */
	assert_int_equal(tick(&r, &dues), 0);
	assert_false(dues.vacated);
	r.f.hr.known = r.f.spo2.known = false;
	tick(&r, &dues);
	assert_true(dues.vacated); /* nothing for five minutes by now */
	assert_int_equal(r.s.phase, VS_PHASE_NONE);
	stand_in(&r, *state, VS_PHASE_DISCHARGED);
	for (int i = 0; i < 10; i++)
		room_wait(&r, 1 * MIN);
	tick(&r, &dues);
	assert_true(dues.vacated); /* somebody sits there and nobody said who: watch */
}

static void outcomes(void **state)
{
	static const struct {
		int minutes;
		const char *last, *outcome;
	} ends[] = {
		{ 40, "phase recovery", "completed" },
		{ 36, "phase recovery", "completed" },
		{ 20, "phase recovery --reason nausea", "stopped_early" },
		{ 20, "phase aborted --reason BP", "aborted" },
		{ 20, "transfer ward", "transferred" },
	};
	for (size_t i = 0; i < COUNT(ends); i++) {
		struct room r;
		room_init(&r, *state);
		room_infusion(&r, "P1");
		room_wait(&r, ends[i].minutes * MIN);
		room_must(&r, ends[i].last);
		assert_string_equal(r.s.outcome, ends[i].outcome);
		assert_true(r.s.ended && vs_session_infused_ms(&r.s, r.now + 99 * MIN) == ends[i].minutes * MIN);
	}
}

static void a_reboot_moves_the_clocks(void **state)
{
	struct room r;
	room_init(&r, *state);
	room_infusion(&r, "P1");
	room_wait(&r, 10 * MIN);
	int64_t delta = 5000 - r.now - 2 * MIN; /* two minutes away, five seconds since boot */
	vs_session_shift(&r.s, delta);
	assert_int_equal(vs_session_infused_ms(&r.s, 5000), 12 * MIN);
	struct vs_session_dues dues;
	vs_session_tick(&r.s, r.d, &r.f, 5000, r.wall, &dues);
	assert_int_equal(dues.wake_ms, 5000 + 8 * MIN);
	struct vs_session_request q;
	assert_false(vs_session_after_gap(&r.s, r.d, 5 * MIN, &q));
	assert_true(vs_session_after_gap(&r.s, r.d, 5 * MIN + 1, &q));
	vs_session_init(&r.s);
	assert_false(vs_session_after_gap(&r.s, r.d, 500 * MIN, &q));
}

/* ---- a recording without a session ---- */

static void recordings(void **state)
{
	struct room r;
	room_init(&r, *state);
	assert_true(room_as(&r, VS_STRICT_NOT, "phase infusion"));
	assert_true(r.a.todo & VS_DO_BASELINE && r.a.todo & VS_DO_PHASE);
	assert_true(room_as(&r, VS_STRICT_NOT, "phase baseline"));
	room_cuff(&r, 165, 85);
	room_wait(&r, 1 * MIN);
	room_cuff(&r, 165, 85);
	assert_true(room_as(&r, VS_STRICT_GATES, "entry moaas 5"));
	assert_false(room_as(&r, VS_STRICT_GATES, "phase infusion"));
	assert_string_equal(room_codes(&r), "G2");
	assert_true(room_as(&r, VS_STRICT_GATES, "phase infusion --override calm --second bert"));
	assert_true(room_as(&r, VS_STRICT_GATES, "phase paused"));
	assert_false(room_as(&r, VS_STRICT_GATES, "phase infusion"));
	assert_string_equal(room_codes(&r), "R1");
	assert_false(room_as(&r, VS_STRICT_FULL, "phase recovery")); /* a daemon wants a session */
	assert_string_equal(room_codes(&r), "phase");
}

/* ---- what is published ---- */

static json_t *body_of(const char *members)
{
	char whole[6000];
	snprintf(whole, sizeof whole, "{%s}", members);
	json_error_t error;
	json_t *j = json_loads(whole, JSON_REJECT_DUPLICATES, &error);
	if (!j)
		fail_msg("%s in %s", error.text, whole);
	return j;
}

#define MEMBER(j, key) json_string_value(json_object_get(j, key))

static void bodies(void **state)
{
	struct room r;
	char buf[4000];
	room_init(&r, *state);
	room_baseline(&r, "P1");
	room_signals(&r, 112, 97);
	if (room_say(&r, "phase infusion --override ' ' --second bert") ||
	    room_say(&r, "phase infusion --override calm --second ' Anna '"))
		fail_msg("blanks are no reason, and make nobody somebody else");
	room_must(&r, "phase infusion --override ' calm now ' --second bert");
	struct vs_json w = vs_json_into(buf, sizeof buf);
	vs_json_open(&w, '{');
	vs_session_body(&w, &r.s, &r.a, r.now);
	vs_json_close(&w, '}');
	assert_false(vs_json_failed(&w));
	buf[strlen(buf) - 1] = '\0';
	json_t *j = body_of(buf + 1);
	assert_string_equal(MEMBER(j, "phase"), "infusion");
	assert_string_equal(MEMBER(j, "patient"), "N-17");
	assert_string_equal(MEMBER(j, "protocol"), "P1");
	assert_string_equal(MEMBER(j, "operator"), "anna");
	assert_string_equal(MEMBER(j, "second"), "bert");
	assert_float_equal(json_number_value(json_object_get(json_object_get(j, "baseline"), "nibp_sys")), 121, 1e-6);
	assert_float_equal(json_number_value(json_object_get(json_object_get(j, "baseline"), "hr")), 112, 1e-6);
	assert_float_equal(json_number_value(json_object_get(j, "weight_kg")), 70, 1e-6);
	assert_string_equal(json_string_value(json_array_get(json_object_get(j, "overrides"), 0)), "G3");
	json_decref(j);

	assert_false(room_say(&r, "phase discharged"));
	assert_false(room_say(&r, "entry moaas 9"));
	w = vs_json_into(buf, sizeof buf);
	vs_json_open(&w, '{');
	vs_refusal_body(&w, &r.a);
	vs_json_close(&w, '}');
	buf[strlen(buf) - 1] = '\0';
	j = body_of(buf + 1);
	assert_string_equal(json_string_value(json_array_get(json_object_get(j, "codes"), 0)), "entry");
	assert_string_equal(MEMBER(j, "text"), "entry: moaas wants a whole number from 0 to 5");
	json_decref(j);

	room_must(&r, "entry ae headache moderate --note 'behind the \"eyes\"'");
	w = vs_json_into(buf, sizeof buf);
	vs_json_open(&w, '{');
	vs_entry_body(&w, &r.a.entry);
	vs_json_close(&w, '}');
	buf[strlen(buf) - 1] = '\0';
	j = body_of(buf + 1);
	assert_string_equal(MEMBER(j, "entry"), "ae");
	assert_string_equal(MEMBER(j, "value"), "headache");
	assert_string_equal(MEMBER(j, "severity"), "moderate");
	assert_string_equal(MEMBER(j, "note"), "behind the \"eyes\"");
	json_decref(j);
}

/* ---- kept over a restart ---- */

#define AT(member) offsetof(struct vs_session, member)
#define TEXT_OF(member) AT(member), sizeof((struct vs_session *)0)->member

/* A member of it, spoiled; what is told of it. */
static const struct {
	size_t at, size;
	uint8_t byte; /* all of its bytes */
	const char *told;
} spoiled[] = {
	{ AT(phase), 4, VS_PHASE_COUNT, "phase" }, { AT(phase), 4, 0xff, "phase" }, { TEXT_OF(id), 'x', "id" },
	{ TEXT_OF(patient), 'x', "patient" }, { TEXT_OF(operator), 'x', "operator" }, { TEXT_OF(second), 'x', "second" },
	{ TEXT_OF(reason), 'x', "reason" }, { TEXT_OF(outcome), 'x', "outcome" }, { AT(outcome), 1, 'x', "outcome" },
	{ TEXT_OF(preset.id), 'x', "preset.id" }, { TEXT_OF(preset.name), 'x', "preset.name" }, { TEXT_OF(preset.title), 'x', "preset.title" },
	{ AT(preset.no_pump), 1, 2, "preset.no_pump" }, { AT(preset.daily), 1, 0xff, "preset.daily" },
	{ AT(preset.n_steps), 1, VS_PRESET_STEPS + 1, "preset.n_steps" }, { AT(preset.dose), 8, 0xff, "preset.dose" },
	{ AT(order.dose), 8, 0xff, "order.dose" }, { AT(order.over) + 7, 1, 0xbf, "order.over" }, { AT(weight), 8, 0xff, "weight" },
	{ AT(weight) + 7, 1, 0xc0, "weight" }, { AT(last_weight), 8, 0x7f, "last_weight" }, { AT(course.last_wall_ms), 8, 0x7f, "course.last_wall_ms" },
	{ AT(begun), 1, 2, "begun" }, { AT(ended), 1, 0xff, "ended" }, { AT(closed), 1, 7, "closed" },
	{ AT(has_baseline), 1, 2, "has_baseline" }, { AT(rate_known), 1, 2, "rate_known" }, { AT(phase_ms), 8, 0x7f, "phase_ms" },
	{ AT(opened_ms), 8, 0x80, "opened_ms" }, { AT(infusion_ms), 8, 0x7f, "infusion_ms" }, { AT(stopped_ms), 8, 0x80, "stopped_ms" },
	{ AT(closed_ms), 8, 0x7f, "closed_ms" }, { AT(phase_wall_ms), 8, 0x7f, "phase_wall_ms" },
	{ AT(opened_wall_ms), 8, 0x7f, "opened_wall_ms" }, { AT(infusion_wall_ms), 8, 0x7f, "infusion_wall_ms" },
	{ AT(stopped_wall_ms), 8, 0x7f, "stopped_wall_ms" }, { AT(closed_wall_ms), 8, 0x7f, "closed_wall_ms" },
	{ AT(paused_for_ms), 8, 0x7f, "paused_for_ms" }, { AT(paused_for_ms), 8, 0xff, "paused_for_ms" }, { AT(rate_ms), 8, 0x7f, "rate_ms" },
	{ AT(n_baseline), 1, VS_SESSION_BASELINE + 1, "n_baseline" }, { AT(baseline[0].metric), 4, VS_METRIC_COUNT, "baseline" },
	{ AT(baseline[0].value), 8, 0xff, "baseline" }, { AT(check[3].answer), 1, VS_ANSWER_UNKNOWN + 1, "check" },
	{ AT(last[VS_ENTRY_MOAAS].at_ms), 8, 0x7f, "last entries" }, { AT(last[VS_ENTRY_PAIN].value), 8, 0xff, "last entries" },
	{ AT(overridden), 8, 0xff, "overridden" }, { AT(given), 8, 0xff, "given" }, { AT(rate), 8, 0xff, "rate" },
	{ AT(rate) + 7, 1, 0xc0, "rate" }, { AT(reminder[VS_REMIND_STOP].at_ms), 8, 0x80, "reminders" },
};

static void bytes_that_are_no_session(void **state)
{
	struct room r;
	struct vs_session before;
	room_init(&r, *state);
	room_infusion(&r, "P1");
	uint8_t bytes[sizeof r.s];
	for (size_t i = 0; i < sizeof spoiled / sizeof *spoiled; i++) {
		memcpy(bytes, &r.s, sizeof bytes);
		memset(bytes + spoiled[i].at, spoiled[i].byte, spoiled[i].size);
		memcpy(&before, &r.s, sizeof before);
		const char *told = vs_session_restore(&r.s, bytes);
		if (strcmp(told ? told : "", spoiled[i].told) != 0)
			fail_msg("row %zu: told \"%s\", not \"%s\"", i, told ? told : "", spoiled[i].told);
		if (told)
			assert_memory_equal(&r.s, &before, sizeof before);
		else
			r.s = before;
	}
}

/* ---- seeded random lives against what must always hold ---- */

static uint32_t dice(uint32_t *seed, uint32_t n)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % n;
}

static const char *const sayings[] = {
	"start --patient N-1 --protocol P1 --weight 70", "start --patient N-2 --protocol P8 --weight 70",
	"start --patient N-3 --protocol P7 --weight 75", "entry check all no", "entry check psychosis yes", "entry pain 5",
	"entry consent yes", "phase baseline", "phase baseline --override x --second bert", "entry moaas 5", "entry moaas 4",
	"entry moaas 2", "phase infusion", "phase infusion --confirm", "phase infusion --override x --second bert",
	"phase infusion --override x --second anna", "phase paused", "phase recovery", "phase aborted", "phase discharged",
	"phase discharged --override x --second bert", "phase discharged --reason x", "transfer ward", "entry bolus 5 mg",
	"entry rate 60 mg/h", "entry rate 500 mg/h", "entry ae seizure", "entry nausea severe", "entry gait steady",
	"entry note x", "entry pain 3 --corrects 2", "entry weight 300", "entry weight 80", "entry oxygen 2",
};

static void holds_always(const struct room *r, const struct vs_session *before, const char *line)
{
	struct vs_session kept;
	assert_null(vs_session_restore(&kept, &r->s)); /* and so it comes back after a restart */
	assert_memory_equal(&kept, &r->s, sizeof kept);
	const struct vs_session *s = &r->s;
	if (!r->a.accepted) {
		assert_memory_equal(before, s, sizeof *s);
		assert_true(r->a.findings.len > 0);
		return;
	}
	if (before->phase != s->phase && strncmp(line, "entry", 5) != 0) {
		bool row = false;
		for (size_t i = 0; i < vs_session_moves_len; i++)
			row |= vs_session_moves[i].from == before->phase && vs_session_moves[i].to == s->phase;
		if (!row)
			fail_msg("%s went from %s to %s", line, vs_phase_name(before->phase), vs_phase_name(s->phase));
	}
	for (unsigned i = 0; i < r->a.findings.len; i++) /* nothing hard was ever passed over, no alarm left behind */
		assert_true(r->a.findings.at[i].settled && r->a.findings.at[i].verdict != VS_HARD &&
			    r->a.findings.at[i].gate != VS_GATE_D6);
	if (s->phase == VS_PHASE_INFUSION && before->phase == VS_PHASE_BASELINE) {
		assert_true(s->has_baseline && s->begun && r->f.spo2.known && r->f.hr.known);
		assert_true(r->f.nibp[r->f.n_nibp - 1].sys < 180);
	}
	if (before->ended && strcmp(before->id, s->id) == 0 && s->phase != VS_PHASE_SCREENING)
		assert_true(s->ended && s->stopped_ms == before->stopped_ms && s->phase != VS_PHASE_INFUSION);
	assert_true(s->given.v >= before->given.v - 5.001 || s->phase == VS_PHASE_SCREENING);
}

static void random_lives(void **state)
{
	unsigned reached = 0, discharged = 0;
	for (uint32_t life = 1; life <= 3000; life++) {
		uint32_t seed = life;
		struct room r;
		room_init(&r, *state);
		for (int i = 0; i < 120; i++) {
			const char *line = sayings[dice(&seed, COUNT(sayings))];
			struct vs_session_dues dues;
			room_wait(&r, dice(&seed, 8) * MIN);
			if (dice(&seed, 2))
				room_cuff(&r, 100 + dice(&seed, 60) + (dice(&seed, 20) ? 0 : 40), 60 + dice(&seed, 35));
			if (dice(&seed, 30) == 0)
				room_signals(&r, 45 + dice(&seed, 90), 88 + dice(&seed, 12));
			r.f.medium = dice(&seed, 12) == 0;
			r.f.spo2.known = dice(&seed, 25) != 0;
			struct vs_session before = r.s;
			room_say(&r, line);
			holds_always(&r, &before, line);
			tick(&r, &dues);
			assert_true(dues.wake_ms == UINT64_MAX || dues.wake_ms > (uint64_t)r.now || dues.len > 0);
			reached |= VS_PHASE_BIT(r.s.phase);
			discharged += r.a.accepted && r.a.from == VS_PHASE_RECOVERY && r.a.to == VS_PHASE_DISCHARGED;
		}
	}
	assert_int_equal(reached, VS_PHASE_BIT(VS_PHASE_COUNT) - 1); /* the lives were lived */
	assert_true(discharged > 0);
}

/* Any words are an answer, never a crash, and never half a command. */
static void any_words(void **state)
{
	static const char *const pieces[] = { "start", "phase", "entry", "transfer", "infusion", "moaas", "ae", "med", "rate",
		"--note", "--corrects", "--confirm", "--weight", "--from", "5", "-5", "1e9", "mg/h", "'", "\xff\xfe", "0.0000001",
		"999999999999", "yes", "all", "", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"2026-11-21T22:21:39Z", "%s%n", "check", "psychosis" };
	uint32_t seed = 7;
	for (int i = 0; i < 60000; i++) {
		const char *words[9];
		size_t n = dice(&seed, 9);
		struct vs_session_command c;
		char why[64] = "";
		struct room r;
		for (size_t k = 0; k < n; k++)
			words[k] = pieces[dice(&seed, COUNT(pieces))];
		if (vs_session_parse(words, n, &c, why, sizeof why) < 0) {
			assert_true(why[0] != '\0');
			continue;
		}
		room_init(&r, *state);
		vs_session_command(&r.s, r.d, &r.f, &c, r.now, r.wall, &r.a);
		assert_true(r.a.accepted || r.a.findings.len > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_move),
		cmocka_unit_test(every_transfer_and_opening),
		cmocka_unit_test(every_row_names_its_guard),
		cmocka_unit_test(refusals_of_a_move_say_where_it_can_go),
		cmocka_unit_test(opening),
		cmocka_unit_test(entry_by_entry),
		cmocka_unit_test(severities_of_numbers),
		cmocka_unit_test(what_entries_bring_about),
		cmocka_unit_test(rates_beyond_reason_are_asked_twice),
		cmocka_unit_test(doses_that_ran_in),
		cmocka_unit_test(corrections_point_at_what_they_correct),
		cmocka_unit_test(a_bolus_that_was_none),
		cmocka_unit_test(scores_fall_due),
		cmocka_unit_test(the_planned_end_passes),
		cmocka_unit_test(the_spray_wants_a_reading),
		cmocka_unit_test(an_empty_chair_is_watched_again),
		cmocka_unit_test(outcomes),
		cmocka_unit_test(a_reboot_moves_the_clocks),
		cmocka_unit_test(recordings),
		cmocka_unit_test(bodies),
		cmocka_unit_test(bytes_that_are_no_session),
		cmocka_unit_test(random_lives),
		cmocka_unit_test(any_words),
	};
	return cmocka_run_group_tests(tests, room_open, room_close);
}
