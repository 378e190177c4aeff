/* Fuzz target: what an engine kept over a restart, as a bad disk or another program may have left it.
 *
 * Whatever comes: refused, and the engine is as it was; or taken, and then it is an engine: it can be asked, stepped,
 * configured anew, kept and taken back, and what it then holds is the same.  The first byte chooses the clocks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alarms/engine.h"
#include "alarms/gates.h"
#include "config/limits.h"
#include "tests/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct vs_limit_set *adult;
static uint64_t next_alarm;
static struct vs_engine_config config = { .n_devices = 3, .next_alarm = &next_alarm,
	.devices = { { .id = "monitor" }, { .id = "oximeter" }, { .id = "pump", .quiet_ms = 60000 } } };
static struct vs_engine_config fewer = { .n_devices = 1, .next_alarm = &next_alarm, .devices = { { .id = "oximeter" } } };

static void load(void)
{
	static struct vs_limit_sets *sets; /* as long as the process */
	struct vs_findings findings = { 0 };
	MUST(vs_limits_load(NULL, 0, &sets, &findings) == 0);
	adult = config.set = fewer.set = vs_limits_find(sets, VS_LIMITS_DEFAULT);
}

static void ask(const struct vs_engine *e, uint64_t at_ms)
{
	static char text[65536];
	struct vs_json j = vs_json_into(text, sizeof text);
	struct vs_effect f;
	struct vs_session_facts facts;
	unsigned iterator = 0, counts[VS_PRIORITY_COUNT];
	vs_json_open(&j, '{');
	while (vs_engine_next_alarm(e, &iterator, &f)) {
		MUST(f.u.alarm.number && f.u.alarm.rule && f.u.alarm.priority < VS_PRIORITY_COUNT);
		MUST(f.u.alarm.state != VS_ALARM_CLEARED && strlen(f.u.alarm.text) < sizeof f.u.alarm.text);
		MUST(vs_engine_explain(e, f.u.alarm.number, &j) == 0);
		vs_effect_body(&j, &f);
	}
	vs_engine_why(e, at_ms, (int64_t)at_ms, &j);
	vs_engine_limits(e, &j);
	vs_engine_count(e, counts);
	vs_engine_facts(e, at_ms, &facts);
	MUST(vs_engine_phase(e) < VS_PHASE_COUNT);
}

static void step(struct vs_engine *e, const struct vs_stimulus *s)
{
	static struct vs_effects effects;
	vs_engine_step(e, s, &effects);
	MUST(effects.len <= VS_EFFECTS_MAX && effects.wake_at_ms > e->now_ms);
}

static void live(struct vs_engine *e, uint64_t at_ms)
{
	static struct vs_effects effects;
	struct vs_reading r = { .len = 0 };
	vs_reading_add(&r, VS_HR, 150, 0);
	vs_reading_add(&r, VS_NIBP_SYS, 185, 0);
	vs_reading_add(&r, VS_NIBP_DIA, 112, 0);
	step(e, &(struct vs_stimulus){ .kind = VS_ST_TIME, .at_ms = at_ms, .wall_ms = (int64_t)at_ms });
	step(e, &(struct vs_stimulus){ .kind = VS_ST_READING, .at_ms = at_ms + 1000, .reading = &r, .nibp = VS_NIBP_NEW });
	step(e, &(struct vs_stimulus){ .kind = VS_ST_ACK, .at_ms = at_ms + 2000, .operator = "anna" });
	step(e, &(struct vs_stimulus){ .kind = VS_ST_PAUSE, .at_ms = at_ms + 2000, .operator = "anna" });
	vs_engine_reconfigure(e, &fewer, at_ms + 3000, (int64_t)at_ms, &effects);
	ask(e, at_ms + 3000);
	step(e, &(struct vs_stimulus){ .kind = VS_ST_PHASE, .at_ms = at_ms + 4000, .phase = VS_PHASE_SCREENING });
	step(e, &(struct vs_stimulus){ .kind = VS_ST_TIME, .at_ms = at_ms + 600000 });
}

static void same_again(const struct vs_engine *e, uint64_t at_ms, int64_t wall_ms)
{
	static uint8_t kept[VS_ENGINE_SAVED_MAX], again[VS_ENGINE_SAVED_MAX];
	struct vs_engine other;
	size_t len = vs_engine_save(e, wall_ms, kept, sizeof kept);
	MUST(len > 0);
	vs_engine_init(&other, &config, at_ms);
	MUST(vs_engine_restore(&other, kept, len, wall_ms) == 0);
	MUST(vs_engine_save(&other, wall_ms, again, sizeof again) == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t clocks[] = { 1000000700000, 700000, 1, 0, 1ull << 53 };
	struct vs_engine *e, *before;
	struct vs_left_behind gone[VS_ENGINE_ALARMS];
	if (!adult)
		load();
	if (!size)
		return 0;
	uint64_t at = clocks[data[0] % 5];
	int64_t wall = data[0] & 0x80 ? INT64_MIN : (int64_t)(1000000700000 + (data[0] & 8 ? 86400000 : 0));
	uint8_t *bytes = malloc(size); /* its end is the end: who reads further is seen */
	MUST(bytes);
	memcpy(bytes, data + 1, size - 1);
	next_alarm = 1;
	e = malloc(vs_engine_size(&config)); /* no byte more than it says it needs */
	before = malloc(vs_engine_size(&config));
	MUST(e && before);
	vs_engine_init(e, &config, at);
	memcpy(before, e, vs_engine_size(&config));
	int r = vs_engine_restore(e, bytes, size - 1, wall);
	MUST(r == 0 || (r == -EINVAL && memcmp(before, e, vs_engine_size(&config)) == 0));
	vs_engine_left_behind(e, bytes, size - 1, gone, VS_ENGINE_ALARMS);
	if (r == 0)
		same_again(e, at, wall);
	if (r == 0 && !(data[0] & 0x70)) { /* costs more than all the rest: one in eight */
		ask(e, at);
		live(e, at);
	}
	free(before);
	free(e);
	free(bytes);
	return 0;
}
