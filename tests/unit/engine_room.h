/* A chair of one's own for tests of the engine: any set, any devices, any millisecond; what is said comes back as words. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/adult.h"
#include "tests/unit/story.h"

struct room {
	struct vs_engine engine;
	struct vs_engine_config config;
	struct vs_limit_set set;
	struct vs_effects out;
	uint64_t next, now;
	char said[8192];
};

static inline void listen(struct room *r)
{
	size_t len = strlen(r->said);
	for (unsigned i = 0; i < r->out.len && len + 200 < sizeof r->said; i++) {
		const struct vs_effect *f = &r->out.at[i];
		if (f->kind == VS_EFFECT_ALARM)
			len += (size_t)sprintf(r->said + len, "%s%s %s", len ? "; " : "", f->u.alarm.rule->id,
				vs_change_name(f->u.alarm.change));
		else if (f->kind == VS_EFFECT_REFUSED)
			len += (size_t)sprintf(r->said + len, "%s%s", len ? "; " : "", f->u.refused);
	}
}

static inline void heard(struct room *r, const char *wanted)
{
	if (strcmp(r->said, wanted) != 0)
		print_error("wanted: %s\nsaid:   %s\n", wanted, r->said);
	assert_string_equal(r->said, wanted);
	r->said[0] = '\0';
}

static inline void begin(struct room *r, uint64_t now)
{
	r->next = 1;
	r->now = now;
	r->said[0] = '\0';
	r->config.set = &r->set;
	r->config.next_alarm = &r->next;
	vs_engine_init(&r->engine, &r->config, now);
}

/* A chair with the set that ships, in INFUSION. */
static inline struct room *chair(unsigned n_devices)
{
	struct room *r = calloc(1, sizeof *r);
	r->set = *adult;
	r->config = (struct vs_engine_config){ .n_devices = n_devices, .devices = { { .id = "one" }, { .id = "two" }, { .id = "three" } } };
	begin(r, STORY_EPOCH);
	r->engine.phase = VS_PHASE_NONE;
	struct vs_stimulus s = { .kind = VS_ST_PHASE, .phase = VS_PHASE_INFUSION, .at_ms = r->now };
	vs_engine_step(&r->engine, &s, &r->out);
	return r;
}

/* A chair with a set of single rules and nothing else: no median, no validity. */
static inline struct room *bare(void)
{
	struct room *r = calloc(1, sizeof *r);
	vs_limit_set_blank(&r->set, "bare");
	r->config = (struct vs_engine_config){ .n_devices = 1, .devices = { { .id = "one" } } };
	return r;
}

static inline struct vs_rule *rule(struct room *r, const char *id, enum vs_metric m, enum vs_when when, double limit, enum vs_priority p)
{
	struct vs_rule *rule = &r->set.rules[r->set.n_rules++];
	*rule = vs_rule_blank();
	snprintf(rule->id, sizeof rule->id, "%s", id);
	rule->metric = m;
	rule->when = when;
	rule->limit = vs_limit_plain(limit);
	rule->priority = p;
	return rule;
}

static inline void step(struct room *r, struct vs_stimulus s)
{
	s.at_ms = r->now;
	s.wall_ms = (int64_t)r->now;
	s.operator = s.operator ? s.operator : "anna";
	s.reason = s.reason ? s.reason : "said so";
	vs_engine_step(&r->engine, &s, &r->out);
	listen(r);
}

static inline void value(struct room *r, unsigned device, enum vs_metric m, double v)
{
	struct vs_reading reading = { .len = 0 };
	vs_reading_add(&reading, m, v, 0);
	step(r, (struct vs_stimulus){ .kind = VS_ST_READING, .reading = &reading, .device = device, .nibp = VS_NIBP_NEW });
}

static inline void cuff(struct room *r, double sys, double dia, enum vs_newness newness)
{
	struct vs_reading reading = { .len = 0 };
	vs_reading_add(&reading, VS_NIBP_SYS, sys, 0);
	vs_reading_add(&reading, VS_NIBP_DIA, dia, 0);
	step(r, (struct vs_stimulus){ .kind = VS_ST_READING, .reading = &reading, .nibp = newness });
}
