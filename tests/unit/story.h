/* Stories for the alarm engine: what the devices and people do, second by second, and what must be said.
 *
 * A script is a list of statements, separated by `;`:
 *
 *	hr=70 0-600        every second from 0 up to, not including, 600 the reading has this value
 *	nibp=150/90/110 30 one cuff reading (a part may be `-`)
 *	silent 100-200     the device says nothing at all (otherwise it reports every second, if need be without values)
 *	ack 50             a command: ack, pause, resume, phase=P, moaas=N, rass=N, poss=N, fail, start, cuff-moved, probe-moved, log-fail,
 *	                   log-ok, link-lost, link-ok, clock=SECONDS, limit=RULE:VALUE, interval=SECONDS
 *	end 700            the last second
 *
 * What is said comes back as `T RULE CHANGE PRIORITY; ...`, requests as `T ?REQUEST; ...` where they are asked for. */
#pragma once
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alarms/engine.h"
#include "config/limits.h"

#define STORY_SECONDS 6000
#define STORY_EPOCH 1000000000000

struct story_second {
	double value[VS_METRIC_COUNT];
	bool silent;
	char commands[160];
};

struct story_run {
	struct vs_engine engine;
	struct vs_effects effects;
	uint64_t next_alarm;
	struct vs_engine_config config;
	struct story_second *seconds; /* STORY_SECONDS of them */
	unsigned end;
	bool requests;
	void (*hear)(const struct story_run *r, const struct vs_effect *f); /* also told of each effect; NULL: nobody */
	void (*look)(struct story_run *r, unsigned t); /* at the end of each second; NULL: nobody */
	char said[16384];
	size_t len;
};

static void story_range(const char *s, unsigned *from, unsigned *to)
{
	char *end;
	*from = (unsigned)strtoul(s, &end, 10);
	*to = *end == '-' ? (unsigned)strtoul(end + 1, NULL, 10) : *from + 1;
	if (*to > STORY_SECONDS)
		*to = STORY_SECONDS;
}

static void story_cuff(struct story_second *s, const char *text)
{
	static const enum vs_metric parts[] = { VS_NIBP_SYS, VS_NIBP_DIA, VS_NIBP_MAP, VS_NIBP_PR };
	for (unsigned i = 0; i < 4 && *text; i++) {
		char *end = NULL;
		if (*text == '-')
			end = (char *)text + 1;
		else
			s->value[parts[i]] = strtod(text, &end);
		text = *end == '/' ? end + 1 : end;
	}
}

static void story_statement(struct story_run *r, char *text)
{
	char *range = strrchr(text, ' ');
	unsigned from, to;
	if (!range)
		return;
	*range++ = '\0';
	story_range(range, &from, &to);
	char *equals = strchr(text, '=');
	enum vs_metric m = equals ? vs_metric_by_name(text, (size_t)(equals - text)) : VS_METRIC_NONE;
	if (strcmp(text, "end") == 0)
		r->end = from;
	for (unsigned t = from; t < to; t++) {
		struct story_second *s = &r->seconds[t];
		if (m < VS_RPP)
			s->value[m] = strtod(equals + 1, NULL);
		else if (strncmp(text, "nibp=", 5) == 0)
			story_cuff(s, text + 5);
		else if (strcmp(text, "silent") == 0)
			s->silent = true;
		else if (strcmp(text, "end") != 0)
			strcat(strcat(s->commands, text), ";");
	}
}

static void story_parse(struct story_run *r, const char *script)
{
	char *all = strdup(script), *save = NULL;
	r->seconds = calloc(STORY_SECONDS, sizeof *r->seconds);
	for (unsigned t = 0; t < STORY_SECONDS; t++)
		for (unsigned m = 0; m < VS_METRIC_COUNT; m++)
			r->seconds[t].value[m] = NAN;
	for (char *one = strtok_r(all, ";", &save); one; one = strtok_r(NULL, ";", &save))
		story_statement(r, one + strspn(one, " \t\n"));
	free(all);
}

/* Changes after which an alarm is heard, unless it is said to be quiet. */
static bool story_sounds(enum vs_change c)
{
	return c == VS_CHANGE_RAISED || c == VS_CHANGE_ESCALATED || c == VS_CHANGE_RESUMED || c == VS_CHANGE_LATCHED;
}

static void story_said(struct story_run *r)
{
	for (unsigned i = 0; i < r->effects.len; i++) {
		const struct vs_effect *f = &r->effects.at[i];
		double t = (double)(f->at_ms - STORY_EPOCH) / 1000;
		if (r->hear)
			r->hear(r, f);
		size_t room = sizeof r->said - r->len;
		if (f->kind == VS_EFFECT_ALARM)
			r->len += (size_t)snprintf(r->said + r->len, room, "%s%g %s %s %s%s", r->len ? "; " : "", t,
				f->u.alarm.rule->id, vs_change_name(f->u.alarm.change), vs_priority_name(f->u.alarm.priority),
				story_sounds(f->u.alarm.change) && f->u.alarm.signal != VS_SIGNAL_ON ? " quietly" : "");
		else if (f->kind == VS_EFFECT_REQUEST && r->requests)
			r->len += (size_t)snprintf(r->said + r->len, room, "%s%g ?%s", r->len ? "; " : "", t,
				f->u.request.request);
		else if (f->kind == VS_EFFECT_REFUSED)
			r->len += (size_t)snprintf(r->said + r->len, room, "%s%g refused", r->len ? "; " : "", t);
		if (r->len >= sizeof r->said)
			r->len = sizeof r->said - 1;
	}
}

static void story_step(struct story_run *r, struct vs_stimulus *s, uint64_t at_ms)
{
	s->at_ms = at_ms;
	s->wall_ms = (int64_t)at_ms;
	vs_engine_step(&r->engine, s, &r->effects);
	story_said(r);
}

static bool story_answers(const char *command)
{
	return strcmp(command, "ack") == 0 || strcmp(command, "pause") == 0 || strcmp(command, "resume") == 0;
}

static void story_command(struct story_run *r, const char *c, uint64_t at_ms)
{
	struct vs_stimulus s = { .operator = "anna", .reason = "said so" };
	const char *value = strchr(c, '=') ? strchr(c, '=') + 1 : "";
	char rule[64];
	if (strcmp(c, "ack") == 0)
		s.kind = VS_ST_ACK;
	else if (strcmp(c, "pause") == 0)
		s.kind = VS_ST_PAUSE;
	else if (strcmp(c, "resume") == 0)
		s.kind = VS_ST_RESUME;
	else if (strncmp(c, "phase=", 6) == 0)
		s.kind = VS_ST_PHASE, s.phase = vs_phase_by_name(value, strlen(value));
	else if (strncmp(c, "moaas=", 6) == 0 || strncmp(c, "rass=", 5) == 0 || strncmp(c, "poss=", 5) == 0)
		s.kind = VS_ST_SCORE, s.metric = vs_metric_by_name(c, strcspn(c, "=")), s.value = strtod(value, NULL);
	else if (strcmp(c, "fail") == 0 || strcmp(c, "start") == 0)
		s.kind = VS_ST_CUFF, s.failed = *c == 'f';
	else if (strcmp(c, "cuff-moved") == 0 || strcmp(c, "probe-moved") == 0)
		s.kind = VS_ST_MOVED, s.cuff_moved = *c == 'c', s.probe_moved = *c == 'p';
	else if (strncmp(c, "log-", 4) == 0 || strncmp(c, "link-", 5) == 0)
		s.kind = VS_ST_FAULT, s.fault = c[1] == 'o' ? VS_FAULT_LOG : VS_FAULT_LINK, s.on = !strstr(c, "-ok");
	else if (strncmp(c, "clock=", 6) == 0)
		s.kind = VS_ST_FAULT, s.fault = VS_FAULT_CLOCK, s.on = true, s.value = strtod(value, NULL);
	else if (strncmp(c, "interval=", 9) == 0)
		s.kind = VS_ST_INTERVAL, s.for_ms = (uint32_t)atoi(value) * 1000;
	else if (strncmp(c, "limit=", 6) == 0) {
		snprintf(rule, sizeof rule, "%.*s", (int)strcspn(value, ":"), value);
		s.kind = VS_ST_LIMIT, s.rule = rule, s.value = strtod(value + strcspn(value, ":") + 1, NULL);
	}
	story_step(r, &s, at_ms);
}

static void story_commands(struct story_run *r, unsigned t, bool answers)
{
	char all[160], *save = NULL;
	snprintf(all, sizeof all, "%s", r->seconds[t].commands);
	for (char *one = strtok_r(all, ";", &save); one; one = strtok_r(NULL, ";", &save))
		if (story_answers(one) == answers)
			story_command(r, one, STORY_EPOCH + t * 1000ull);
}

static void story_second(struct story_run *r, unsigned t)
{
	const struct story_second *s = &r->seconds[t];
	struct vs_reading reading = { .len = 0 };
	story_commands(r, t, false);
	for (enum vs_metric m = 0; m < VS_RPP; m++)
		if (!isnan(s->value[m]))
			vs_reading_add(&reading, m, s->value[m], 0);
	struct vs_stimulus st = { .kind = s->silent ? VS_ST_TIME : VS_ST_READING, .reading = &reading, .nibp = VS_NIBP_NEW };
	if (!s->silent)
		story_step(r, &st, STORY_EPOCH + t * 1000ull);
	story_commands(r, t, true);
	if (r->look)
		r->look(r, t);
}

/* "hr=70,nibp_sys=120" */
static void story_baseline(struct story_run *r, const char *text)
{
	struct vs_baseline b = { .len = 0 };
	struct vs_stimulus s = { .kind = VS_ST_BASELINE, .baseline = &b };
	char all[128], *save = NULL;
	snprintf(all, sizeof all, "%s", text);
	for (char *one = strtok_r(all, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
		char *equals = strchr(one, '=');
		b.at[b.len].metric = vs_metric_by_name(one, (size_t)(equals - one));
		b.at[b.len++].value = strtod(equals + 1, NULL);
	}
	story_step(r, &s, STORY_EPOCH);
}

/* Runs a script; what was said is in r->said. */
static inline void story_play(struct story_run *r, const struct vs_limit_set *set, const char *phase, const char *baseline,
	const char *script)
{
	r->next_alarm = 1;
	r->config = (struct vs_engine_config){ .set = set, .n_devices = 1, .devices = { { .id = "monitor" } },
		.next_alarm = &r->next_alarm };
	r->len = 0;
	r->said[0] = '\0';
	story_parse(r, script);
	vs_engine_init(&r->engine, &r->config, STORY_EPOCH);
	bool requests = r->requests;
	r->requests = false;
	if (*baseline)
		story_baseline(r, baseline);
	if (*phase) {
		struct vs_stimulus s = { .kind = VS_ST_PHASE, .phase = vs_phase_by_name(phase, strlen(phase)) };
		story_step(r, &s, STORY_EPOCH);
	}
	r->requests = requests;
	for (unsigned t = 0; t <= r->end; t++)
		story_second(r, t);
	struct vs_stimulus last = { .kind = VS_ST_TIME };
	story_step(r, &last, STORY_EPOCH + r->end * 1000ull);
	free(r->seconds);
	r->seconds = NULL;
}
