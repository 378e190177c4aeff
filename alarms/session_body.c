/* Bodies of session and entry events, and of refusals (contract, section 3). */
#include <math.h>
#include <string.h>

#include "alarms/session.h"

#define TENTH_OF_A_DAY_MS 8640000.0

static void text(struct vs_json *j, const char *key, const char *value)
{
	if (!value[0])
		return;
	vs_json_key(j, key);
	vs_json_string(j, value);
}

static void number(struct vs_json *j, const char *key, double value)
{
	vs_json_key(j, key);
	vs_json_number(j, value);
}

static void time_of(struct vs_json *j, const char *key, bool happened, int64_t wall_ms)
{
	if (!happened)
		return;
	vs_json_key(j, key);
	vs_json_time(j, wall_ms);
}

static void baseline(struct vs_json *j, const struct vs_session *s)
{
	vs_json_key(j, "baseline");
	vs_json_open(j, '{');
	for (unsigned i = 0; s->has_baseline && i < s->n_baseline; i++)
		number(j, vs_metrics[s->baseline[i].metric].name, s->baseline[i].value);
	vs_json_close(j, '}');
}

static void findings(struct vs_json *j, const struct vs_gate_findings *f)
{
	vs_json_key(j, "gates");
	vs_json_open(j, '[');
	for (unsigned i = 0; i < f->len; i++) {
		const struct vs_gate_finding *g = &f->at[i];
		vs_json_open(j, '{');
		text(j, "code", vs_gate_code(g->gate));
		text(j, "verdict", vs_verdict_name(g->verdict));
		vs_json_key(j, "settled"), vs_json_bool(j, g->settled);
		text(j, "text", g->text);
		vs_json_close(j, '}');
	}
	vs_json_close(j, ']');
}

static void overridden(struct vs_json *j, const struct vs_session *s)
{
	vs_json_key(j, "overrides");
	vs_json_open(j, '[');
	for (unsigned g = 0; g < VS_GATE_COUNT; g++)
		if (s->overridden & VS_GATE_BIT(g))
			vs_json_string(j, vs_gate_code(g));
	vs_json_close(j, ']');
}

static void dose(struct vs_json *j, const struct vs_session *s, int64_t now_ms)
{
	char sum[160];
	if (!s->preset.id[0])
		return;
	text(j, "protocol", s->preset.id);
	text(j, "protocol_name", s->preset.name);
	if (s->preset.no_pump)
		return;
	vs_dose_arithmetic(&s->preset, &s->order, s->weight, sum, sizeof sum);
	text(j, "dose", sum);
	if (!s->begun)
		return;
	number(j, "rate_mg_h", s->phase == VS_PHASE_INFUSION ? s->rate.v : 0);
	number(j, "given_mg", vs_session_given(s, now_ms).v);
}

/* The so-manieth infusion of the patient, of how many, and how long after the one before. */
static void course(struct vs_json *j, const struct vs_session *s)
{
	if (!s->course.index && s->last_weight.v <= 0)
		return;
	vs_json_key(j, "course");
	vs_json_open(j, '{');
	if (s->course.index) {
		vs_json_key(j, "index");
		vs_json_uint(j, s->course.index);
	}
	if (s->preset.series_high) {
		number(j, "planned_low", s->preset.series_low);
		number(j, "planned_high", s->preset.series_high);
	}
	time_of(j, "last_at", s->course.last_wall_ms != 0, s->course.last_wall_ms);
	if (s->course.last_wall_ms)
		number(j, "days_since", floor((double)(s->opened_wall_ms - s->course.last_wall_ms) / TENTH_OF_A_DAY_MS + 0.5) / 10);
	if (s->last_weight.v > 0)
		number(j, "last_weight_kg", s->last_weight.v);
	vs_json_close(j, '}');
}

/* What was confirmed or overridden on the way into this phase. */
static void settled(struct vs_json *j, const struct vs_session_answer *a)
{
	if (a->findings.len == 0)
		return;
	findings(j, &a->findings);
	text(j, "override", a->override);
	text(j, "second", a->second);
}

void vs_session_body(struct vs_json *j, const struct vs_session *s, const struct vs_session_answer *a, int64_t now_ms)
{
	text(j, "phase", vs_phase_name(s->phase));
	if (a && a->from != a->to) {
		text(j, "from", vs_phase_name(a->from));
		if (a->from != VS_PHASE_NONE)
			number(j, "lasted_s", (double)(a->lasted_ms / 1000));
	}
	text(j, "patient", s->patient);
	dose(j, s, now_ms);
	text(j, "operator", s->operator);
	if (s->weight.v > 0)
		number(j, "weight_kg", s->weight.v);
	course(j, s);
	baseline(j, s);
	text(j, "reason", s->reason);
	text(j, "outcome", s->outcome);
	time_of(j, "opened_at", s->id[0] != '\0', s->opened_wall_ms);
	time_of(j, "phase_at", s->phase != VS_PHASE_NONE, s->phase_wall_ms);
	time_of(j, "infusion_started_at", s->begun, s->infusion_wall_ms);
	time_of(j, "infusion_ended_at", s->ended, s->stopped_wall_ms);
	time_of(j, "closed_at", s->closed, s->closed_wall_ms);
	if (s->id[0])
		number(j, "open_s", (double)(((s->closed ? s->closed_ms : now_ms) - s->opened_ms) / 1000));
	if (s->begun)
		number(j, "infused_s", (double)(vs_session_infused_ms(s, now_ms) / 1000));
	overridden(j, s);
	if (a)
		settled(j, a);
	if (a && a->todo & VS_DO_HELP)
		text(j, "priority", "high");
}

/* A subscriber finds these in every entry. */
static void text_or_null(struct vs_json *j, const char *key, const char *value)
{
	vs_json_key(j, key);
	vs_json_string(j, value[0] ? value : NULL);
}

void vs_entry_body(struct vs_json *j, const struct vs_entry *e)
{
	text(j, "entry", vs_entry_name(e->kind));
	vs_json_key(j, "number");
	vs_json_uint(j, e->number);
	if (e->kind == VS_ENTRY_MED || e->kind == VS_ENTRY_AE || e->kind == VS_ENTRY_CHECK)
		text(j, "item", e->word);
	vs_json_key(j, "value");
	if (e->has_number)
		vs_json_number(j, e->number_value);
	else
		vs_json_string(j, e->kind == VS_ENTRY_CHECK ? e->detail : e->word[0] ? e->word : NULL);
	text_or_null(j, "unit", e->unit);
	if (e->kind != VS_ENTRY_CHECK) /* its answer is the value */
		text(j, e->kind == VS_ENTRY_AE ? "severity" : e->kind == VS_ENTRY_MED ? "route" : "detail", e->detail);
	text_or_null(j, "note", e->note);
	text_or_null(j, "operator", e->operator);
	if (e->corrects) {
		vs_json_key(j, "corrects");
		vs_json_uint(j, e->corrects);
	}
	time_of(j, "from_at", e->from_wall_ms != 0, e->from_wall_ms);
	time_of(j, "to_at", e->to_wall_ms != 0, e->to_wall_ms);
}

void vs_session_request_body(struct vs_json *j, const struct vs_session_request *q, int64_t due_wall_ms)
{
	text(j, "request", q->request);
	text(j, "reason", q->reason);
	vs_json_key(j, "due");
	vs_json_time(j, due_wall_ms);
}

void vs_refusal_body(struct vs_json *j, const struct vs_session_answer *a)
{
	char words[1600];
	uint64_t seen = 0;
	vs_json_key(j, "codes");
	vs_json_open(j, '[');
	for (unsigned i = 0; i < a->findings.len; i++) {
		const struct vs_gate_finding *g = &a->findings.at[i];
		if (!g->settled && !(seen & VS_GATE_BIT(g->gate)))
			vs_json_string(j, vs_gate_code(g->gate));
		seen |= g->settled ? 0 : VS_GATE_BIT(g->gate);
	}
	vs_json_close(j, ']');
	vs_gate_findings_text(&a->findings, words, sizeof words);
	text(j, "text", words);
	findings(j, &a->findings);
}
