/* A chair for the tests of the session: the presets that ship, measurements at will, a clock to turn. */
#pragma once
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "alarms/session.h"
#include "config/presets.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define MIN 60000 /* ms */

static inline int room_open(void **state)
{
	struct vs_session_data *d = NULL;
	struct vs_findings findings = { 0 };
	int r = vs_presets_load(NULL, 0, &d, &findings);
	vs_findings_print(&findings, stderr);
	vs_findings_clear(&findings);
	*state = d;
	return r;
}

static inline int room_close(void **state)
{
	vs_presets_free(*state);
	return 0;
}

struct room {
	const struct vs_session_data *d;
	struct vs_session s;
	struct vs_session_facts f;
	struct vs_session_answer a;
	int64_t now, wall;
};

static inline void room_signals(struct room *r, double hr, double spo2)
{
	r->f.hr = r->f.hr_minute = (struct vs_fact){ true, hr, r->now };
	r->f.spo2 = (struct vs_fact){ true, spo2, r->now };
}

static inline void room_cuff(struct room *r, double sys, double dia)
{
	if (r->f.n_nibp == VS_FACT_NIBP)
		memmove(r->f.nibp, r->f.nibp + 1, (--r->f.n_nibp) * sizeof *r->f.nibp);
	r->f.nibp[r->f.n_nibp++] = (struct vs_fact_nibp){ r->now, sys, dia, 0 };
}

/* Time passes; the signals go on as they were. */
static inline void room_wait(struct room *r, int64_t ms)
{
	r->now += ms;
	r->wall += ms;
	if (r->f.hr.known)
		r->f.hr.at_ms = r->f.hr_minute.at_ms = r->now;
	if (r->f.spo2.known)
		r->f.spo2.at_ms = r->now;
}

static inline void room_init(struct room *r, const struct vs_session_data *d)
{
	*r = (struct room){ .d = d, .now = 1000 * MIN, .wall = INT64_C(1795300000000) };
	vs_session_init(&r->s);
	room_signals(r, 72, 97);
}

/* Words as a nurse types them.  True: accepted. */
static inline bool room_as(struct room *r, enum vs_strictness strictness, const char *line)
{
	static char words[64][96];
	const char *at[64];
	size_t n = 0;
	for (const char *p = line; *p && n < 64;) {
		char end = *p == '\'' ? '\'' : ' ';
		size_t len;
		p += *p == '\'';
		len = strcspn(p, end == ' ' ? " " : "'");
		snprintf(words[n], sizeof words[n], "%.*s", (int)len, p);
		at[n] = words[n];
		n++;
		p += len;
		p += *p == '\'';
		p += strspn(p, " ");
	}
	struct vs_session_command c;
	char why[200];
	if (vs_session_parse(at, n, &c, why, sizeof why) < 0) {
		r->a = (struct vs_session_answer){ 0 };
		vs_gate_add(&r->a.findings, VS_GATE_ENTRY, VS_HARD, "%s", why);
		return false;
	}
	if (!c.operator[0])
		snprintf(c.operator, sizeof c.operator, "anna");
	if (c.verb == VS_VERB_OPEN && !c.session[0])
		snprintf(c.session, sizeof c.session, "s-1");
	c.strictness = strictness;
	vs_session_command(&r->s, r->d, &r->f, &c, r->now, r->wall, &r->a);
	return r->a.accepted;
}

static inline bool room_say(struct room *r, const char *line)
{
	return room_as(r, VS_STRICT_FULL, line);
}

/* Codes of what was refused: "G2 G5"; "" where nothing was. */
static inline const char *room_codes(const struct room *r)
{
	static char codes[160];
	uint64_t seen = 0;
	codes[0] = '\0';
	for (unsigned i = 0; i < r->a.findings.len; i++) {
		const struct vs_gate_finding *g = &r->a.findings.at[i];
		if (g->settled || seen & VS_GATE_BIT(g->gate))
			continue;
		seen |= VS_GATE_BIT(g->gate);
		snprintf(codes + strlen(codes), sizeof codes - strlen(codes), "%s%s", *codes ? " " : "", vs_gate_code(g->gate));
	}
	return codes;
}

static inline void room_must(struct room *r, const char *line)
{
	if (!room_say(r, line)) {
		char text[1200];
		vs_gate_findings_text(&r->a.findings, text, sizeof text);
		fail_msg("`%s` was refused: %s", line, text);
	}
}

static inline void room_refused(struct room *r, const char *line, const char *codes)
{
	struct vs_session before = r->s;
	if (room_say(r, line))
		fail_msg("`%s` was accepted; it must be refused with %s", line, codes);
	if (strcmp(room_codes(r), codes) != 0)
		fail_msg("`%s` was refused with '%s', not '%s': %s", line, room_codes(r), codes, r->a.findings.at[0].text);
	assert_memory_equal(&before, &r->s, sizeof before); /* a refusal changes nothing */
}

/* ---- ways to stand in a phase, with nothing to be refused ---- */

static inline void room_screening(struct room *r, const char *protocol)
{
	char line[160];
	snprintf(line, sizeof line, "start --patient N-17 --protocol %s --weight 70", protocol);
	room_must(r, line);
	room_must(r, "entry check all no");
	room_must(r, "entry pain 6");
	room_must(r, "entry consent yes");
}

static inline void room_baseline(struct room *r, const char *protocol)
{
	room_screening(r, protocol);
	room_must(r, "phase baseline");
	for (int i = 0; i < 3; i++) {
		room_wait(r, 2 * MIN);
		room_cuff(r, 120 + i, 75);
	}
	room_must(r, "entry moaas 5");
}

static inline void room_infusion(struct room *r, const char *protocol)
{
	room_baseline(r, protocol);
	room_must(r, "phase infusion --confirm");
}

/* Recovery over, everything asked, nothing wrong. */
static inline void room_ready_to_leave(struct room *r, const char *protocol, int64_t infusion_min, int64_t recovery_min)
{
	room_infusion(r, protocol);
	room_wait(r, infusion_min * MIN);
	room_must(r, "phase recovery");
	room_wait(r, (recovery_min - 10) * MIN);
	room_cuff(r, 124, 78);
	room_wait(r, 10 * MIN);
	room_cuff(r, 121, 76);
	static const char *const asked[] = { "moaas 5", "aldrete 10", "nausea none", "dissociation gone", "gait steady",
		"pain 3", "escort 'a friend'", "advice given" };
	for (size_t i = 0; i < COUNT(asked); i++) {
		char line[80];
		snprintf(line, sizeof line, "entry %s", asked[i]);
		room_must(r, line);
	}
}
