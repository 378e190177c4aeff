/* Each gate at its borders: what passes, what wants a word, what wants two people, what nothing moves. */
#include "session_room.h"

/* A command is tried bare, then with --confirm, then with an override; the weakest that opens the gate is its level. */
enum level { PASSES, WARNS, BLOCKS, HARD };

static enum level level_of(struct room *r, const char *line)
{
	static const char *const ways[] = { "", " --confirm", " --override 'seen by dr b' --second bert" };
	for (int i = 0; i < 3; i++) {
		char whole[200];
		struct room copy = *r;
		snprintf(whole, sizeof whole, "%s%s", line, ways[i]);
		if (room_say(&copy, whole))
			return (enum level)i;
	}
	return HARD;
}

static void expect(struct room *r, const char *line, enum level want, const char *codes, const char *why)
{
	enum level got = level_of(r, line);
	struct room copy = *r;
	bool through = room_say(&copy, line);
	if (got != want || strcmp(room_codes(&copy), codes) != 0)
		fail_msg("%s: level %d with '%s', not %d with '%s'%s%s", why, got, room_codes(&copy), want, codes,
			through ? "" : ": ", through ? "" : copy.a.findings.at[0].text);
}

static const struct {
	double sys[3], dia, hr, spo2;
	enum level level;
	const char *codes, *why;
} start[] = {
	{ { 120, 121, 122 }, 75, 72, 97, PASSES, "", "all well" },
	{ { 120, 120, 135 }, 75, 72, 97, PASSES, "", "G1: spread 15 is still fine" },
	{ { 120, 120, 136 }, 75, 72, 97, WARNS, "G1", "G1: spread 16" },
	{ { 110, 110, 135 }, 75, 72, 97, WARNS, "G1", "G1: spread 25" },
	{ { 110, 110, 136 }, 75, 72, 97, BLOCKS, "G1", "G1: spread 26" },
	{ { 139, 139, 139 }, 89, 72, 97, PASSES, "", "G2: just below 140/90" },
	{ { 140, 140, 140 }, 75, 72, 97, WARNS, "G2", "G2: systolic 140" },
	{ { 130, 130, 130 }, 90, 72, 97, WARNS, "G2", "G2: diastolic 90" },
	{ { 159, 159, 159 }, 99, 72, 97, WARNS, "G2", "G2: just below 160/100" },
	{ { 160, 160, 160 }, 75, 72, 97, BLOCKS, "G2", "G2: systolic 160" },
	{ { 130, 130, 130 }, 100, 72, 97, BLOCKS, "G2", "G2: diastolic 100" },
	{ { 179, 179, 179 }, 109, 72, 97, BLOCKS, "G2", "G2: just below 180/110" },
	{ { 180, 180, 180 }, 75, 72, 97, HARD, "G2", "G2: systolic 180" },
	{ { 130, 130, 130 }, 110, 72, 97, HARD, "G2", "G2: diastolic 110" },
	{ { 170, 170, 180 }, 75, 72, 97, HARD, "G2", "G2: the newest reading counts at the hard limit" },
	{ { 180, 165, 158 }, 75, 72, 97, BLOCKS, "G1 G2", "G2: the median is the level; G1: spread 22" },
	{ { 120, 121, 122 }, 75, 50, 97, PASSES, "", "G3: 50 is fine" },
	{ { 120, 121, 122 }, 75, 100, 97, PASSES, "", "G3: 100 is fine" },
	{ { 120, 121, 122 }, 75, 49, 97, WARNS, "G3", "G3: 49" },
	{ { 120, 121, 122 }, 75, 45, 97, WARNS, "G3", "G3: 45" },
	{ { 120, 121, 122 }, 75, 101, 97, WARNS, "G3", "G3: 101" },
	{ { 120, 121, 122 }, 75, 110, 97, WARNS, "G3", "G3: 110" },
	{ { 120, 121, 122 }, 75, 44, 97, BLOCKS, "G3", "G3: 44" },
	{ { 120, 121, 122 }, 75, 40, 97, BLOCKS, "G3", "G3: 40" },
	{ { 120, 121, 122 }, 75, 111, 97, BLOCKS, "G3", "G3: 111" },
	{ { 120, 121, 122 }, 75, 130, 97, BLOCKS, "G3", "G3: 130" },
	{ { 120, 121, 122 }, 75, 39, 97, HARD, "G3", "G3: 39" },
	{ { 120, 121, 122 }, 75, 131, 97, HARD, "G3", "G3: 131" },
	{ { 120, 121, 122 }, 75, 72, 94, PASSES, "", "G4: 94" },
	{ { 120, 121, 122 }, 75, 72, 93, WARNS, "G4", "G4: 93" },
	{ { 120, 121, 122 }, 75, 72, 92, WARNS, "G4", "G4: 92" },
	{ { 120, 121, 122 }, 75, 72, 91, BLOCKS, "G4", "G4: 91" },
	{ { 120, 121, 122 }, 75, 72, 90, BLOCKS, "G4", "G4: 90" },
	{ { 120, 121, 122 }, 75, 72, 89, HARD, "G4", "G4: 89" },
	{ { 161, 161, 161 }, 75, 105, 91, BLOCKS, "G2 G3 G4", "several at once are all named" },
};

static void before_the_infusion(void **state)
{
	for (size_t i = 0; i < COUNT(start); i++) {
		struct room r;
		room_init(&r, *state);
		room_screening(&r, "P1");
		room_must(&r, "phase baseline");
		for (int k = 0; k < 3; k++) {
			room_wait(&r, 2 * MIN);
			room_cuff(&r, start[i].sys[k], start[i].dia);
		}
		room_must(&r, "entry moaas 5");
		room_signals(&r, start[i].hr, start[i].spo2);
		expect(&r, "phase infusion", start[i].level, start[i].codes, start[i].why);
	}
}

static void readings_that_count(void **state)
{
	struct room r;
	room_init(&r, *state);
	room_screening(&r, "P1");
	room_must(&r, "phase baseline");
	room_must(&r, "entry moaas 5");
	expect(&r, "phase infusion", HARD, "G1 G6", "no cuff reading at all");
	room_cuff(&r, 120, 75);
	expect(&r, "phase infusion", BLOCKS, "G1", "one reading is not enough");
	room_wait(&r, 2 * MIN);
	room_cuff(&r, 124, 77);
	expect(&r, "phase infusion", PASSES, "", "two are");
	room_wait(&r, 5 * MIN);
	expect(&r, "phase infusion", PASSES, "", "G6: five minutes old is fine");
	room_wait(&r, 1);
	expect(&r, "phase infusion", HARD, "G6", "G6: older is not, and nobody can override it");
	room_cuff(&r, 122, 76);
	room_wait(&r, 5 * MIN);
	expect(&r, "phase infusion", PASSES, "", "12 and 10 minutes old ones still count for G1");
	room_must(&r, "phase infusion");
	double sys;
	assert_true(vs_session_baseline(&r.s, VS_NIBP_SYS, &sys));
	assert_float_equal(sys, 122, 0.001); /* median of 120, 124, 122 */
}

static void consciousness_and_live_data(void **state)
{
	struct room r, was;
	room_init(&r, *state);
	room_baseline(&r, "P1");
	was = r;
	room_must(&r, "entry moaas 4");
	expect(&r, "phase infusion", WARNS, "G5", "MOAA/S 4");
	room_must(&r, "entry moaas 3");
	expect(&r, "phase infusion", HARD, "G5", "MOAA/S 3");
	r = was;
	r.s.last[VS_ENTRY_MOAAS].number = 0;
	expect(&r, "phase infusion", HARD, "G5", "nobody looked");
	r = was;
	r.f.hr.at_ms = r.f.spo2.at_ms = r.now - 10000;
	expect(&r, "phase infusion", PASSES, "", "ten seconds old is fine");
	r.f.hr.at_ms -= 1;
	expect(&r, "phase infusion", HARD, "G6", "older is not");
	r = was;
	r.f.spo2.known = false;
	expect(&r, "phase infusion", HARD, "G6", "no saturation: G6 says it, G4 has nothing to judge");
	r = was;
	r.f.self_test_known = true;
	r.f.self_test_ms = r.now - 12 * 60 * MIN;
	expect(&r, "phase infusion", PASSES, "", "self-test twelve hours ago");
}

static void station_that_does_not_answer(void **state)
{
	struct room r;
	room_init(&r, *state);
	room_baseline(&r, "P1");
	r.f.station_known = true;
	expect(&r, "phase infusion", BLOCKS, "G6", "a word alone is not enough: it wants a reason");
	room_refused(&r, "phase infusion --confirm", "G6");
	struct room copy = r;
	assert_true(room_say(&copy, "phase infusion --confirm --reason 'station is being repaired'"));
	r.f.hr.at_ms -= 11000;
	room_refused(&r, "phase infusion --override 'go on' --second bert", "G6");
}

static void dose_gate(void **state)
{
	static const struct {
		const char *start;
		enum level level;
		const char *codes, *why;
	} doses[] = {
		{ "start --patient N-1 --protocol P1 --weight 70", PASSES, "", "standard" },
		{ "start --patient N-1 --protocol P7 --weight 70", WARNS, "G7", "3.43 mg/kg" },
		{ "start --patient N-1 --protocol P2 --weight 70 --dose 1 --over 40", WARNS, "G7", "1.5 mg/kg/h" },
		{ "start --patient N-1 --protocol P2 --weight 70 --dose 0.05", WARNS, "G7", "below the preset's range" },
		{ "start --patient N-1 --protocol P5", WARNS, "G7", "fixed dose, no weight to judge it by" },
		{ "start --patient N-1 --protocol P12 --weight 70 --step 2", WARNS, "G7", "1.6 mg/kg" },
		{ "start --patient N-1 --protocol P13", PASSES, "", "no pump" },
		{ "start --patient N-1", PASSES, "", "observation without a protocol" },
	};
	for (size_t i = 0; i < COUNT(doses); i++) {
		struct room r;
		room_init(&r, *state);
		room_must(&r, doses[i].start);
		room_must(&r, "phase baseline --override drill --second bert");
		for (int k = 0; k < 2; k++) {
			room_wait(&r, 2 * MIN);
			room_cuff(&r, 120, 75);
		}
		room_must(&r, "entry moaas 5");
		expect(&r, "phase infusion", doses[i].level, doses[i].codes, doses[i].why);
	}
}

static void p8_is_refused_with_its_arithmetic(void **state)
{
	struct room r;
	char text[1000];
	room_init(&r, *state);
	room_refused(&r, "start --patient N-1 --protocol P8 --weight 70", "G7 protocol");
	vs_gate_findings_text(&r.a.findings, text, sizeof text);
	assert_non_null(strstr(text, "4.8 mg/kg/h x 70 kg = 336 mg/h; over 2 h = 672 mg = 9.6 mg/kg"));
	assert_non_null(strstr(text, "2 mg/kg/h"));
	assert_non_null(strstr(text, "disabled"));
	room_refused(&r, "start --patient N-1 --protocol fm-maintenance --weight 70 --override 'I want it' --second bert",
		"G7 protocol");
	room_refused(&r, "start --patient N-1 --protocol P7 --weight 60", "G7");
}

static void overrides_want_two_people(void **state)
{
	struct room r;
	room_init(&r, *state);
	room_baseline(&r, "P1");
	room_signals(&r, 112, 97);
	room_refused(&r, "phase infusion --override 'calm now'", "G3 second");
	room_refused(&r, "phase infusion --second bert", "G3 reason");
	room_refused(&r, "phase infusion --override 'calm now' --second ANNA", "G3 second");
	room_refused(&r, "phase infusion --confirm", "G3");
	room_must(&r, "phase infusion --override 'calm now' --second bert");
	assert_int_equal(r.a.findings.len, 1);
	assert_true(r.a.findings.at[0].settled && r.s.overridden == VS_GATE_BIT(VS_GATE_G3));
	assert_string_equal(r.s.second, "bert");
	assert_string_equal(r.s.reason, "calm now");
}

static void screening_guard(void **state)
{
	struct room r;
	room_init(&r, *state);
	room_must(&r, "start --patient N-1 --protocol P1");
	room_refused(&r, "phase baseline", "S1 S2 S3 S4");
	room_must(&r, "entry weight 70");
	room_must(&r, "entry check all no");
	room_must(&r, "entry pain 40 mm");
	room_refused(&r, "phase baseline", "S4");
	room_must(&r, "entry consent no");
	room_refused(&r, "phase baseline", "S4");
	room_must(&r, "entry consent yes");
	struct room was = r;
	room_must(&r, "phase baseline");
	r = was;
	room_must(&r, "entry check psychosis yes");
	expect(&r, "phase baseline", BLOCKS, "S1", "a yes needs two people");
	room_must(&r, "entry check psychosis unknown");
	expect(&r, "phase baseline", WARNS, "S1", "an unknown needs a word");
	room_must(&r, "entry check all no");
	expect(&r, "phase baseline", WARNS, "S1", "what was said of one question is not taken back by `all`");
	room_must(&r, "entry check psychosis no");
	expect(&r, "phase baseline", PASSES, "", "but by its own name");
	r = was;
	r.s.weight.v = 0;
	expect(&r, "phase baseline", HARD, "S2", "no weight for a dose per kg: nothing could be checked");
	struct vs_session_data asks = *r.d;
	r = was;
	asks.rules.s5_identity = 1;
	r.d = &asks;
	expect(&r, "phase baseline", BLOCKS, "S5", "a clinic that wants two identifiers compared");
	room_must(&r, "entry identity name and birth date");
	expect(&r, "phase baseline", PASSES, "", "and they were");
}

static const struct {
	double sys, dia, hr, spo2;
	unsigned high, unacknowledged;
	const char *codes, *why;
} resume[] = {
	{ 164, 99, 119, 92, 0, 0, "", "just inside" },
	{ 165, 80, 80, 97, 0, 0, "R1", "systolic 165" },
	{ 130, 100, 80, 97, 0, 0, "R1", "diastolic 100" },
	{ 130, 80, 120, 97, 0, 0, "R2", "heart rate 120" },
	{ 130, 80, 80, 91, 0, 0, "R3", "saturation 91" },
	{ 130, 80, 80, 97, 1, 0, "R4", "a high alarm stands" },
	{ 130, 80, 80, 97, 0, 1, "R4", "a latched one is not acknowledged" },
	{ 170, 80, 125, 90, 2, 1, "R1 R2 R3 R4", "all at once" },
};

static void before_resuming(void **state)
{
	for (size_t i = 0; i < COUNT(resume); i++) {
		struct room r;
		room_init(&r, *state);
		room_infusion(&r, "P1");
		room_wait(&r, 10 * MIN);
		room_must(&r, "phase paused --reason pressure");
		room_wait(&r, 3 * MIN);
		room_cuff(&r, resume[i].sys, resume[i].dia);
		room_signals(&r, resume[i].hr, resume[i].spo2);
		r.f.high = resume[i].high;
		r.f.high_unacknowledged = resume[i].unacknowledged;
		expect(&r, "phase infusion", *resume[i].codes ? BLOCKS : PASSES, resume[i].codes, resume[i].why);
		if (!*resume[i].codes) {
			room_wait(&r, 5 * MIN + 1);
			expect(&r, "phase infusion", BLOCKS, "R1", "the reading is too old");
		}
	}
}

static void stable_after_an_abort(void **state)
{
	struct room r;
	room_init(&r, *state);
	room_infusion(&r, "P1");
	room_wait(&r, 20 * MIN);
	room_must(&r, "phase aborted --reason pressure");
	expect(&r, "phase recovery", BLOCKS, "A1", "no reading since");
	room_cuff(&r, 170, 90);
	room_wait(&r, 3 * MIN);
	room_cuff(&r, 150, 90);
	expect(&r, "phase recovery", BLOCKS, "A1", "three minutes apart is too near");
	room_wait(&r, 3 * MIN);
	room_cuff(&r, 150, 90);
	expect(&r, "phase recovery", BLOCKS, "A1", "the first of them was 170");
	room_wait(&r, 5 * MIN);
	room_cuff(&r, 164, 99);
	expect(&r, "phase recovery", PASSES, "", "two below 165/100, five minutes apart");
	r.f.high = 1;
	expect(&r, "phase recovery", BLOCKS, "A2", "a high alarm stands");
}

/* One thing at a time is spoilt for somebody who could leave. */
static const struct {
	const char *entry;
	double sys, hr, spo2;
	unsigned medium, high, unacknowledged;
	enum level level;
	const char *codes, *why;
} leaving[] = {
	{ "", 0, 0, 0, 0, 0, 0, PASSES, "", "nothing is wrong" },
	{ "", 145, 0, 0, 0, 0, 0, PASSES, "", "D2: 145 is within 20 % of 121" },
	{ "", 146, 0, 0, 0, 0, 0, BLOCKS, "D2", "D2: 146 is not" },
	{ "", 97, 0, 0, 0, 0, 0, PASSES, "", "D2: 97 is within 20 % of 121" },
	{ "", 96, 0, 0, 0, 0, 0, BLOCKS, "D2", "D2: 96 is not" },
	{ "", 0, 100, 0, 0, 0, 0, PASSES, "", "D3: 100" },
	{ "", 0, 101, 0, 0, 0, 0, BLOCKS, "D3", "D3: 101" },
	{ "", 0, 49, 0, 0, 0, 0, BLOCKS, "D3", "D3: 49" },
	{ "", 0, 0, 94, 0, 0, 0, PASSES, "", "D4: 94" },
	{ "", 0, 0, 93, 0, 0, 0, BLOCKS, "D4", "D4: 93, the baseline was 97" },
	{ "entry oxygen 2", 0, 0, 0, 0, 0, 0, BLOCKS, "D4", "D4: on oxygen" },
	{ "entry moaas 4", 0, 0, 0, 0, 0, 0, BLOCKS, "D5", "D5: not quite awake" },
	{ "entry oriented no", 0, 0, 0, 0, 0, 0, BLOCKS, "D5", "D5: not oriented" },
	{ "entry aldrete 8", 0, 0, 0, 0, 0, 0, BLOCKS, "D5", "D5: Aldrete 8" },
	{ "", 0, 0, 0, 1, 0, 0, HARD, "D6", "D6: a medium alarm stands; no override" },
	{ "", 0, 0, 0, 0, 1, 0, HARD, "D6", "D6: a high one" },
	{ "", 0, 0, 0, 0, 0, 1, HARD, "D6", "D6: latched and not acknowledged" },
	{ "entry nausea mild", 0, 0, 0, 0, 0, 0, PASSES, "", "D7: mild nausea may go" },
	{ "entry nausea moderate", 0, 0, 0, 0, 0, 0, BLOCKS, "D7", "D7: moderate may not" },
	{ "entry gait unsteady", 0, 0, 0, 0, 0, 0, BLOCKS, "D7", "D7: unsteady" },
	{ "entry dissociation mild", 0, 0, 0, 0, 0, 0, BLOCKS, "D7", "D7: dissociation must be gone" },
	{ "entry advice no", 0, 0, 0, 0, 0, 0, BLOCKS, "D8", "D8: no driving advice" },
};

static void before_the_door(void **state)
{
	for (size_t i = 0; i < COUNT(leaving); i++) {
		struct room r;
		room_init(&r, *state);
		room_ready_to_leave(&r, "P1", 40, 30);
		if (*leaving[i].entry)
			room_must(&r, leaving[i].entry);
		if (leaving[i].sys > 0)
			r.f.nibp[r.f.n_nibp - 1].sys = leaving[i].sys;
		if (leaving[i].hr > 0)
			r.f.hr_minute.value = leaving[i].hr;
		if (leaving[i].spo2 > 0)
			r.f.spo2.value = leaving[i].spo2;
		r.f.medium = leaving[i].medium;
		r.f.high = leaving[i].high;
		r.f.unacknowledged = leaving[i].unacknowledged;
		expect(&r, "phase discharged", leaving[i].level, leaving[i].codes, leaving[i].why);
	}
}

static void stay_that_is_needed(void **state)
{
	struct room r;
	room_init(&r, *state);
	room_ready_to_leave(&r, "P1", 40, 29);
	expect(&r, "phase discharged", BLOCKS, "D1", "29 minutes");
	room_wait(&r, 1 * MIN);
	expect(&r, "phase discharged", PASSES, "", "30 minutes");
	room_init(&r, *state);
	room_ready_to_leave(&r, "P1", 40, 30);
	r.s.given = (struct vs_mg){ 71 };
	expect(&r, "phase discharged", BLOCKS, "D1", "more than 1 mg/kg ran in: an hour");
	room_init(&r, *state);
	room_ready_to_leave(&r, "P13", 40, 60);
	expect(&r, "phase discharged", BLOCKS, "D1", "the spray wants two hours");
}

static void nothing_asked_is_nothing_known(void **state)
{
	struct room r;
	room_init(&r, *state);
	room_infusion(&r, "P1");
	room_must(&r, "phase recovery");
	room_refused(&r, "phase discharged", "D1 D2 D5 D7 D8");
	room_wait(&r, 31 * MIN);
	r.f.hr.known = r.f.hr_minute.known = r.f.spo2.known = false;
	room_refused(&r, "phase discharged", "D2 D3 D4 D5 D7 D8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_the_infusion),
		cmocka_unit_test(readings_that_count),
		cmocka_unit_test(consciousness_and_live_data),
		cmocka_unit_test(station_that_does_not_answer),
		cmocka_unit_test(dose_gate),
		cmocka_unit_test(p8_is_refused_with_its_arithmetic),
		cmocka_unit_test(overrides_want_two_people),
		cmocka_unit_test(screening_guard),
		cmocka_unit_test(before_resuming),
		cmocka_unit_test(stable_after_an_abort),
		cmocka_unit_test(before_the_door),
		cmocka_unit_test(stay_that_is_needed),
		cmocka_unit_test(nothing_asked_is_nothing_known),
	};
	return cmocka_run_group_tests(tests, room_open, room_close);
}
