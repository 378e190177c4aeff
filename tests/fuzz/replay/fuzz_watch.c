/* Fuzz target: what a chair kept over a restart - session and engine - as a bad disk or another program may have left it.
 *
 * The input is a list of changes to the bytes of a chair in the middle of an infusion, each three bytes for where (modulo
 * the length), one for how many (1 to 8), and as many for what.  Whatever comes: refused, with a word why, and the watch is as it was; or taken, and then
 * it is a chair: time passes, people go on with the session, and every message it has to say is whole. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alarms/watch.h"
#include "config/limits.h"
#include "config/presets.h"
#include "tests/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef ONE_IN
#define ONE_IN 1
#endif
#define START 1000000000
#define WALL 1700000000000

static struct vs_session_data *presets;
static uint64_t next_alarm;
static struct vs_engine_config config = { .n_devices = 2, .next_alarm = &next_alarm,
	.devices = { { .id = "oximeter" }, { .id = "bp", .period_ms = 5000, .quiet_ms = 5000 } } };
static struct vs_effects effects;
static uint8_t kept[VS_WATCH_SAVED_MAX];
static size_t kept_len;
static uint64_t now;

static void hear(void *ctx, enum vs_kind kind, uint64_t at_ms, int64_t wall_ms, const char *body, size_t len)
{
	(void)ctx, (void)at_ms, (void)wall_ms;
	MUST(kind < VS_KIND_COUNT && len > 0 && strlen(body) == len);
}

static void say(struct vs_watch *w, const char *line)
{
	struct vs_session_command c;
	struct vs_session_answer answer;
	char copy[120], why[160], *save = NULL;
	const char *words[12];
	size_t n = 0;
	snprintf(copy, sizeof copy, "%s", line);
	for (char *word = strtok_r(copy, " ", &save); word && n < 12; word = strtok_r(NULL, " ", &save))
		words[n++] = word;
	MUST(vs_session_parse(words, n, &c, why, sizeof why) == 0);
	snprintf(c.operator, sizeof c.operator, "anna");
	snprintf(c.session, sizeof c.session, "s-20261122-1");
	c.strictness = VS_STRICT_NOT;
	vs_watch_command(w, &c, now, WALL + (int64_t)(now - START), &answer, &effects, hear, NULL);
}

static void pass(struct vs_watch *w, uint64_t ms, double spo2, double sys)
{
	struct vs_reading r = { .len = 0 };
	vs_reading_add(&r, VS_SPO2, spo2, 0);
	vs_reading_add(&r, VS_PR, 72, 0);
	vs_reading_add(&r, VS_NIBP_SYS, sys, 0);
	vs_reading_add(&r, VS_NIBP_DIA, 78, 0);
	now += ms;
	struct vs_stimulus s = { .kind = VS_ST_READING, .at_ms = now, .wall_ms = WALL + (int64_t)(now - START), .reading = &r,
				 .nibp = VS_NIBP_NEW };
	vs_watch_stimulus(w, &s, &effects, hear, NULL);
}

/* The chair before the restart. */
static void load(void)
{
	static struct vs_limit_sets *sets; /* as long as the process */
	static struct vs_watch w;
	static const char *const lines[] = { "start --patient N-1 --protocol P1 --weight 70", "entry check all no", "entry pain 6",
		"entry consent yes", "phase baseline", "entry moaas 5", "phase infusion", "entry med ondansetron 4 mg iv", "entry bolus 5 mg" };
	struct vs_findings findings = { 0 };
	MUST(vs_limits_load(NULL, 0, &sets, &findings) == 0 && vs_presets_load(NULL, 0, &presets, &findings) == 0);
	config.set = vs_limits_find(sets, VS_LIMITS_DEFAULT);
	next_alarm = 1;
	now = START;
	vs_watch_init(&w, &config, presets, now);
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		pass(&w, 60000, 97, 122);
		say(&w, lines[i]);
	}
	pass(&w, 60000, 97, 184);
	MUST(w.session.phase == VS_PHASE_INFUSION && w.session.has_baseline);
	kept_len = vs_watch_save(&w, now, WALL + (int64_t)(now - START), kept, sizeof kept);
	MUST(kept_len > 0);
}

static void change(uint8_t *bytes, const uint8_t *data, size_t size)
{
	while (size >= 5) {
		size_t at = (data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16) % kept_len, n = 1 + data[3] % 8;
		for (size_t i = 0; i < n && 4 + i < size && at + i < kept_len; i++)
			bytes[at + i] = data[4 + i];
		size -= 4 + n < size ? 4 + n : size;
		data += 4 + n;
	}
}

static void live(struct vs_watch *w)
{
	static char text[65536];
	struct vs_json j = vs_json_into(text, sizeof text);
	pass(w, 1000, 97, 184);
	vs_session_body(&j, &w->session, NULL, (int64_t)now);
	MUST(!vs_json_failed(&j));
	say(w, "entry moaas 4");
	say(w, "phase paused");
	pass(w, 1200000, 88, 120);
	say(w, "phase infusion");
	say(w, "entry note x --corrects 1");
	pass(w, 3600000, 97, 120);
	say(w, "phase recovery");
	pass(w, 3600000, 97, 120);
	say(w, "phase discharged");
	pass(w, 36000000, 97, 120);
}

/* To live costs more than all the rest: under libFuzzer one in ONE_IN does. */
static bool chosen(const uint8_t *data, size_t size)
{
	unsigned sum = 0;
	for (size_t i = 0; i < size; i++)
		sum += data[i];
	return sum % ONE_IN == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vs_watch before;
	const char *why;
	if (!kept_len)
		load();
	uint8_t *bytes = malloc(kept_len); /* its end is the end: who reads further is seen */
	struct vs_watch *w = malloc(vs_watch_size(&config));
	MUST(bytes && w);
	memcpy(bytes, kept, kept_len);
	change(bytes, data, size);
	now = START + 3600000;
	next_alarm = 100;
	vs_watch_init(w, &config, presets, now);
	memcpy(&before, w, vs_watch_size(&config));
	int r = vs_watch_restore(w, bytes, kept_len, now, WALL + 3600000, &why, hear, NULL);
	MUST(r == 0 || (r == -EINVAL && why && memcmp(&before, w, vs_watch_size(&config)) == 0));
	MUST(size >= 5 || r == 0); /* unspoiled */
	if (r == 0 && chosen(data, size))
		live(w);
	free(w);
	free(bytes);
	return 0;
}
