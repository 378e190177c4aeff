/* The presets that ship, worked out for 70 kg as the clinical table does, and the limits on doses. */
#include "session_room.h"

#define AS_PRESET { .step = 0 }
#define SAYS(p, o, kg, want) \
	do { \
		char sum[200]; \
		vs_dose_arithmetic(p, o, (struct vs_kg){ kg }, sum, sizeof sum); \
		assert_string_equal(sum, want); \
	} while (0)

static const struct {
	const char *id, *why;
	double kg;
	struct vs_dose_order order;
	double total_mg, rate_mg_h, rate_kg, total_kg, over_min;
	enum vs_dose_verdict verdict;
} worked[] = {
	{ "P1", "0.5 mg/kg in 40 min", 70, AS_PRESET, 35, 52.5, 0.75, 0.5, 40, VS_DOSE_WITHIN },
	{ "P2", "upper end of the range within an hour", 70, AS_PRESET, 70, 70, 1, 1, 60, VS_DOSE_WITHIN },
	{ "P2", "lower end", 70, { .dose = { 0.1 } }, 7, 7, 0.1, 0.1, 60, VS_DOSE_WITHIN },
	{ "P2", "all of it in 40 min", 70, { .dose = { 1 }, .over = { 40 } }, 70, 105, 1.5, 1, 40, VS_DOSE_ABOVE_SOFT },
	{ "P2", "1.2 mg/kg is outside the preset", 70, { .dose = { 1.2 } }, 84, 84, 1.2, 1.2, 60, VS_DOSE_OUTSIDE_PRESET },
	{ "P2", "30 min is outside the preset", 70, { .dose = { 0.5 }, .over = { 30 } }, 35, 70, 1, 0.5, 30,
	  VS_DOSE_OUTSIDE_PRESET },
	{ "P3", "0.5 mg/kg in 50 min", 70, { .dose = { 0.5 }, .over = { 50 } }, 35, 42, 0.6, 0.5, 50, VS_DOSE_WITHIN },
	{ "P3", "upper end of the range in 55 min", 70, AS_PRESET, 70, 70 / 55. * 60, 1 / 55. * 60, 1, 55, VS_DOSE_ABOVE_SOFT },
	{ "P3", "an hour is outside the visit", 70, { .dose = { 0.5 }, .over = { 60 } }, 35, 35, 0.5, 0.5, 60, VS_DOSE_OUTSIDE_PRESET },
	{ "P2", "all of it in an hour is 70 mg", 70, { .dose = { 1 }, .over = { 60 } }, 70, 70, 1, 1, 60, VS_DOSE_WITHIN },
	{ "P4", "98 mg in 4 h, the cap does not bite", 70, AS_PRESET, 98, 24.5, 0.35, 1.4, 240, VS_DOSE_WITHIN },
	{ "P4", "held at 25 mg/h above 71.4 kg", 100, AS_PRESET, 100, 25, 0.25, 1, 240, VS_DOSE_WITHIN },
	{ "P5", "80 mg in 2 h is 40 mg/h, the limit itself", 70, AS_PRESET, 80, 40, 40 / 70., 80 / 70., 120, VS_DOSE_WITHIN },
	{ "P6", "50 mg at 0.8 mg/kg/h takes 53.6 min", 70, AS_PRESET, 50, 56, 0.8, 50 / 70., 50 / 56. * 60, VS_DOSE_WITHIN },
	{ "P7", "3.43 mg/kg: soft, not hard", 70, AS_PRESET, 240, 105, 1.5, 240 / 70., 240 / 105. * 60, VS_DOSE_ABOVE_SOFT },
	{ "P7", "the same 240 mg are 4 mg/kg at 60 kg", 60, AS_PRESET, 240, 90, 1.5, 4, 160, VS_DOSE_ABOVE_HARD },
	{ "P8", "672 mg, an anaesthetic", 70, AS_PRESET, 672, 336, 4.8, 9.6, 120, VS_DOSE_ABOVE_HARD },
	{ "P9", "inpatient: up to 40 mg/h over five days", 70, AS_PRESET, 4800, 40, 40 / 70., 4800 / 70., 7200, VS_DOSE_WITHIN },
	{ "P10", "105 mg a day, its rate is not said", 70, AS_PRESET, 105, 0, 0, 1.5, 0, VS_DOSE_WITHIN },
	{ "P10", "35 mg a day", 70, { .dose = { 0.5 } }, 35, 0, 0, 0.5, 0, VS_DOSE_WITHIN },
	{ "P11", "0.3 mg/kg in 30 min", 70, AS_PRESET, 21, 42, 0.6, 0.3, 30, VS_DOSE_WITHIN },
	{ "P11a", "0.3 mg/kg in 10 min is 1.8 mg/kg/h", 70, AS_PRESET, 21, 126, 1.8, 0.3, 10, VS_DOSE_ABOVE_SOFT },
	{ "P11b", "0.5 mg/kg in 30 min is 1 mg/kg/h, the limit itself", 70, AS_PRESET, 35, 70, 1, 0.5, 30, VS_DOSE_WITHIN },
	{ "P11c", "0.1 mg/kg in 7 min", 70, AS_PRESET, 7, 60, 60 / 70., 0.1, 7, VS_DOSE_WITHIN },
	{ "P12", "first day", 70, AS_PRESET, 56, 14, 0.2, 0.8, 240, VS_DOSE_WITHIN },
	{ "P12", "second day", 70, { .step = 2 }, 112, 28, 0.4, 1.6, 240, VS_DOSE_ABOVE_SOFT },
	{ "P12", "third day", 70, { .step = 3 }, 168, 42, 0.6, 2.4, 240, VS_DOSE_ABOVE_SOFT },
	{ "P12", "there is no fourth day", 70, { .step = 4 }, 168, 42, 0.6, 2.4, 240, VS_DOSE_OUTSIDE_PRESET },
	{ "P13", "no pump, nothing to judge", 70, AS_PRESET, 0, 0, 0, 0, 0, VS_DOSE_WITHIN },
	{ "P1", "no weight: what is per kg can be said", 0, AS_PRESET, 0, 0, 0.75, 0.5, 40, VS_DOSE_NO_WEIGHT },
	{ "P8", "refused without a weight, too", 0, AS_PRESET, 0, 0, 4.8, 9.6, 120, VS_DOSE_ABOVE_HARD },
};

#define NEAR(a, b, what) \
	do { \
		if (fabs((a) - (b)) > 1e-9 * fmax(1, fabs(b))) \
			fail_msg("%s, %s: %s %.12g, not %.12g", worked[i].id, worked[i].why, what, (double)(a), (double)(b)); \
	} while (0)

static void presets_for_70_kg(void **state)
{
	const struct vs_session_data *d = *state;
	struct vs_dose_limits limits = vs_gate_dose_limits(&d->rules);
	for (size_t i = 0; i < COUNT(worked); i++) {
		const struct vs_preset *p = vs_preset_find(d, worked[i].id);
		struct vs_kg kg = { worked[i].kg };
		struct vs_dose_plan plan;
		if (!p)
			fail_msg("%s is missing", worked[i].id);
		vs_dose_work_out(p, &worked[i].order, kg, &plan);
		NEAR(plan.total.v, worked[i].total_mg, "mg");
		NEAR(plan.rate.v, worked[i].rate_mg_h, "mg/h");
		NEAR(plan.rate_kg.v, worked[i].rate_kg, "mg/kg/h");
		NEAR(plan.total_kg.v, worked[i].total_kg, "mg/kg");
		NEAR(plan.over.v, worked[i].over_min, "min");
		if (vs_dose_judge(&limits, p, &worked[i].order, kg) != worked[i].verdict)
			fail_msg("%s, %s: verdict %d", worked[i].id, worked[i].why, vs_dose_judge(&limits, p, &worked[i].order, kg));
	}
}

static void volumes_and_first_rates(void **state)
{
	const struct vs_session_data *d = *state;
	struct vs_dose_order none = AS_PRESET;
	struct vs_dose_plan plan;
	struct vs_kg kg = { 70 };
	vs_dose_work_out(vs_preset_find(d, "P6"), &none, kg, &plan);
	assert_float_equal(plan.volume.v, 50, 1e-9);
	assert_float_equal(plan.pump.v, 56, 1e-9);
	vs_dose_work_out(vs_preset_find(d, "P7"), &none, kg, &plan);
	assert_float_equal(plan.volume.v, 50, 1e-9);
	assert_float_equal(vs_dose_first_rate(vs_preset_find(d, "P9"), &none, kg).v, 20, 1e-9);
	assert_float_equal(vs_dose_first_rate(vs_preset_find(d, "P1"), &none, kg).v, 52.5, 1e-9);
	vs_dose_work_out(vs_preset_find(d, "P4"), &none, (struct vs_kg){ 71.5 }, &plan);
	assert_true(plan.capped);
	vs_dose_work_out(vs_preset_find(d, "P4"), &none, (struct vs_kg){ 71.4 }, &plan);
	assert_false(plan.capped);
}

static void arithmetic_in_words(void **state)
{
	const struct vs_session_data *d = *state;
	struct vs_dose_order none = AS_PRESET;
	SAYS(vs_preset_find(d, "P1"), &none, 70, "0.5 mg/kg over 40 min = 0.75 mg/kg/h; x 70 kg = 52.5 mg/h, 35 mg");
	SAYS(vs_preset_find(d, "P4"), &none, 70, "0.35 mg/kg/h x 70 kg = 24.5 mg/h; over 4 h = 98 mg = 1.4 mg/kg");
	SAYS(vs_preset_find(d, "P4"), &none, 100,
		"0.35 mg/kg/h x 100 kg = 35 mg/h, held at 25 mg/h; over 4 h = 100 mg = 1 mg/kg");
	SAYS(vs_preset_find(d, "P5"), &none, 70, "80 mg over 2 h = 40 mg/h; / 70 kg = 0.571 mg/kg/h, 1.14 mg/kg");
	SAYS(vs_preset_find(d, "P6"), &none, 70,
		"50 mg at 0.8 mg/kg/h x 70 kg = 56 mg/h; takes 53.6 min, 0.7143 mg/kg; 50 mL of 1 mg/mL, 56 mL/h");
	SAYS(vs_preset_find(d, "P8"), &none, 70, "4.8 mg/kg/h x 70 kg = 336 mg/h; over 2 h = 672 mg = 9.6 mg/kg");
	SAYS(vs_preset_find(d, "P8"), &none, 0, "4.8 mg/kg/h; over 2 h = 9.6 mg/kg");
	SAYS(vs_preset_find(d, "P13"), &none, 70, "no pump: no rate to check");
}

/* The text never runs over, however little room there is. */
static void arithmetic_in_little_room(void **state)
{
	const struct vs_session_data *d = *state;
	struct vs_dose_order none = AS_PRESET;
	for (unsigned i = 0; i < d->n_presets; i++)
		for (size_t cap = 1; cap < 160; cap++) {
			char buf[161];
			memset(buf, '#', sizeof buf);
			size_t n = vs_dose_arithmetic(&d->preset[i], &none, (struct vs_kg){ 83.25 }, buf, cap);
			assert_true(n < cap && buf[n] == '\0' && buf[cap] == '#');
		}
}

static void names_and_weights(void **state)
{
	const struct vs_session_data *d = *state;
	assert_ptr_equal(vs_preset_find(d, "p1"), vs_preset_find(d, "Standard-Short"));
	assert_null(vs_preset_find(d, "P99"));
	assert_null(vs_preset_find(d, ""));
	static const struct {
		const char *id;
		bool needs;
	} weights[] = { { "P1", true }, { "P4", true }, { "P5", false }, { "P6", true }, { "P9", false }, { "P13", false } };
	for (size_t i = 0; i < COUNT(weights); i++)
		assert_int_equal(vs_preset_needs_weight(vs_preset_find(d, weights[i].id)), weights[i].needs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(presets_for_70_kg),
		cmocka_unit_test(volumes_and_first_rates),
		cmocka_unit_test(arithmetic_in_words),
		cmocka_unit_test(arithmetic_in_little_room),
		cmocka_unit_test(names_and_weights),
	};
	return cmocka_run_group_tests(tests, room_open, room_close);
}
