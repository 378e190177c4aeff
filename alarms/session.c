/* The session: commands in, answers out.  Work is done on a copy; a refusal leaves the session as it was. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "alarms/entry.h"

#define MINUTE_MS 60000.0
#define COPY(to, from) snprintf(to, sizeof(to), "%.*s", (int)sizeof(to) - 1, from)

/* One command on its way. */
struct attempt {
	struct vs_session *s; /* the copy */
	const struct vs_session_data *d;
	const struct vs_session_facts *f;
	const struct vs_session_command *c;
	int64_t now_ms;
	int64_t wall_ms;
	struct vs_session_answer *a;
};

static void refuse(struct attempt *t, enum vs_gate g, const char *text)
{
	vs_gate_add(&t->a->findings, g, VS_HARD, "%s", text);
}

const char *vs_session_id(const struct vs_session *s)
{
	return s->id[0] && s->phase != VS_PHASE_NONE && s->phase != VS_PHASE_DISCHARGED ? s->id : NULL;
}

const struct vs_preset *vs_preset_find(const struct vs_session_data *d, const char *id_or_name)
{
	for (unsigned i = 0; i < d->n_presets; i++)
		if (!strcasecmp(d->preset[i].id, id_or_name) || !strcasecmp(d->preset[i].name, id_or_name))
			return &d->preset[i];
	return NULL;
}

/* ---- the dose that ran in, by what was entered ---- */

struct vs_mg vs_session_given(const struct vs_session *s, int64_t now_ms)
{
	if (s->phase != VS_PHASE_INFUSION || now_ms <= s->rate_ms)
		return s->given;
	struct vs_minutes ran = { (double)(now_ms - s->rate_ms) / MINUTE_MS };
	return (struct vs_mg){ s->given.v + vs_dose_of_rate(s->rate, ran).v };
}

static void settle_given(struct vs_session *s, int64_t now_ms)
{
	s->given = vs_session_given(s, now_ms);
	s->rate_ms = now_ms;
}

int64_t vs_session_infused_ms(const struct vs_session *s, int64_t now_ms)
{
	if (!s->begun)
		return 0;
	int64_t until = s->ended ? s->stopped_ms : s->phase == VS_PHASE_PAUSED ? s->phase_ms : now_ms;
	int64_t whole = until > s->infusion_ms ? until - s->infusion_ms : 0;
	return whole > s->paused_for_ms ? whole - s->paused_for_ms : 0;
}

/* ---- overrides and confirmations ---- */

static bool same_person(const char *a, const char *b)
{
	return strcasecmp(a, b) == 0;
}

/* A station that does not answer: nobody else hears the alarms, so the word alone is not enough, it wants a reason. */
static bool confirmed(const struct attempt *t, const struct vs_gate_finding *g)
{
	return g->verdict == VS_WARN && t->c->confirm && (g->gate != VS_GATE_G6 || t->c->reason[0]);
}

static bool overriding(const struct attempt *t)
{
	return t->c->override[0] && t->c->second[0] && !same_person(t->c->second, t->c->operator);
}

/* True: nothing stands in the way any more. */
static bool settle(struct attempt *t)
{
	struct vs_gate_findings *out = &t->a->findings;
	unsigned open = 0, overridable = 0, n = out->len;
	for (unsigned i = 0; i < n; i++) {
		struct vs_gate_finding *g = &out->at[i];
		bool may = g->verdict == VS_WARN || g->verdict == VS_BLOCK;
		g->settled = g->verdict == VS_PASS || confirmed(t, g) || (may && overriding(t));
		open += !g->settled;
		overridable += may && !g->settled;
		if (g->settled && g->verdict != VS_PASS)
			t->s->overridden |= VS_GATE_BIT(g->gate);
	}
	if (overridable > 0 && t->c->override[0])
		refuse(t, VS_GATE_SECOND, t->c->second[0] ? "the second person must be somebody else than the operator" :
			"an override needs a second person; add --second NAME");
	if (overridable > 0 && t->c->second[0] && !t->c->override[0])
		refuse(t, VS_GATE_REASON, "an override needs its reason; add --override REASON");
	return open == 0;
}

/* ---- opening ---- */

static bool is_code(const char *s)
{
	size_t n = strlen(s);
	return n > 0 && s[0] != '-' && s[0] != '.' && s[0] != '_' &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

static void check_weight(struct attempt *t, struct vs_kg weight, struct vs_kg last)
{
	const struct vs_gate_rules *r = &t->d->rules;
	if (!(weight.v >= r->s2_low_kg && weight.v <= r->s2_high_kg))
		vs_gate_add(&t->a->findings, VS_GATE_WEIGHT, VS_HARD, "%.4g kg; a weight from %g to %g kg is accepted", weight.v,
			r->s2_low_kg, r->s2_high_kg);
	else if (last.v > 0 && fabs(weight.v - last.v) > last.v * r->s2_change_percent / 100)
		vs_gate_add(&t->a->findings, VS_GATE_S2, VS_WARN, "%.4g kg, but %.4g kg last time: more than %g %% apart; weigh again",
			weight.v, last.v, r->s2_change_percent);
}

static void list_presets(const struct vs_session_data *d, char *buf, size_t cap)
{
	size_t len = 0;
	buf[0] = '\0';
	for (unsigned i = 0; i < d->n_presets && len + 16 < cap; i++)
		if (!d->preset[i].disabled)
			len += (size_t)snprintf(buf + len, cap - len, "%s%s", len ? ", " : "", d->preset[i].id);
}

static void open_protocol(struct attempt *t)
{
	char list[120];
	const struct vs_session_command *c = t->c;
	if (!c->protocol[0])
		return;
	const struct vs_preset *p = vs_preset_find(t->d, c->protocol);
	if (!p) {
		list_presets(t->d, list, sizeof list);
		vs_gate_add(&t->a->findings, VS_GATE_PROTOCOL, VS_HARD, "there is no protocol '%s'; there are %s", c->protocol, list);
		return;
	}
	t->s->preset = *p;
	struct vs_gate_findings dose = { 0 };
	vs_gate_dose(p, &c->order, c->weight, &t->d->rules, &dose);
	for (unsigned i = 0; i < dose.len; i++) /* the rest is asked when the infusion begins */
		if (dose.at[i].verdict == VS_HARD)
			vs_gate_add(&t->a->findings, VS_GATE_G7, VS_HARD, "%s", dose.at[i].text);
	if (p->disabled)
		vs_gate_add(&t->a->findings, VS_GATE_PROTOCOL, VS_HARD, "%s (%s) is disabled", p->id, p->title);
}

static void open_session(struct attempt *t)
{
	const struct vs_session_command *c = t->c;
	struct vs_session *s = t->s;
	if (s->phase != VS_PHASE_NONE && s->phase != VS_PHASE_DISCHARGED) {
		vs_gate_add(&t->a->findings, VS_GATE_BUSY, VS_HARD, "the chair has the session %s in %s; discharge, transfer or "
			"cancel it first", s->id[0] ? s->id : "(none)", vs_phase_name(s->phase));
		return;
	}
	vs_session_init(s);
	if (!is_code(c->patient))
		refuse(t, VS_GATE_PATIENT, "a patient's code is letters, digits, '.', '-' and '_', up to 32; never a name");
	if (!c->operator[0])
		refuse(t, VS_GATE_OPERATOR, "say who opens the session; add --operator NAME");
	if (c->weight.v != 0)
		check_weight(t, c->weight, c->last_weight);
	open_protocol(t);
	COPY(s->id, c->session[0] ? c->session : "s-0");
	COPY(s->patient, c->patient);
	s->order = c->order;
	s->weight = c->weight;
	s->last_weight = c->last_weight;
	s->course = c->course;
	s->opened_ms = t->now_ms;
	s->opened_wall_ms = t->wall_ms;
}

/* ---- moving ---- */

static const struct vs_session_row *find_row(enum vs_phase from, enum vs_phase to, bool transfer)
{
	for (size_t i = 0; i < vs_session_moves_len; i++) {
		const struct vs_session_row *r = &vs_session_moves[i];
		if (r->from == from && r->to == to && r->move != VS_MOVE_OPEN && r->move != VS_MOVE_VACATE &&
		    (r->move == VS_MOVE_TRANSFER) == transfer)
			return r;
	}
	return NULL;
}

/* A recording without a session: the row is chosen by where it leads. */
static enum vs_guard guard_of_recording(enum vs_phase from, enum vs_phase to)
{
	switch (to) {
	case VS_PHASE_INFUSION:   return from == VS_PHASE_PAUSED ? VS_GUARD_RESUME : VS_GUARD_INFUSION;
	case VS_PHASE_RECOVERY:   return from == VS_PHASE_ABORTED ? VS_GUARD_STABLE : VS_GUARD_NONE;
	case VS_PHASE_DISCHARGED: return VS_GUARD_DISCHARGE;
	default:                  return VS_GUARD_NONE;
	}
}

static void ask_guard(struct attempt *t, enum vs_guard guard)
{
	const struct vs_gate_rules *r = &t->d->rules;
	struct vs_gate_findings *out = &t->a->findings;
	switch (guard) {
	case VS_GUARD_NONE:
	case VS_GUARD_FREE:
		break;
	case VS_GUARD_SCREENING:
		vs_gates_screening(t->s, &t->d->checks, r, out);
		break;
	case VS_GUARD_INFUSION:
		vs_gates_infusion(t->s, r, t->f, t->now_ms, out);
		break;
	case VS_GUARD_RESUME:
		vs_gates_resume(t->s, r, t->f, t->now_ms, out);
		break;
	case VS_GUARD_STABLE:
		vs_gates_stable(t->s, r, t->f, t->now_ms, out);
		break;
	case VS_GUARD_DISCHARGE:
		vs_gates_discharge(t->s, r, t->f, t->now_ms, out);
		break;
	case VS_GUARD_REASON:
		if (!t->c->reason[0])
			refuse(t, VS_GATE_REASON, "say why the infusion is not given; add --reason TEXT");
		break;
	case VS_GUARD_DESTINATION:
		if (!t->c->reason[0])
			refuse(t, VS_GATE_REASON, "say where the patient goes");
		if (!t->c->operator[0])
			refuse(t, VS_GATE_OPERATOR, "say who hands over; add --operator NAME");
		break;
	}
}

/* "from baseline a session goes to infusion, discharged, aborted" */
static void refuse_move(struct attempt *t)
{
	char list[96] = "";
	size_t len = 0;
	unsigned seen = 0;
	if (!vs_session_id(t->s)) {
		refuse(t, VS_GATE_PHASE, "no session is open here; `session start` opens one");
		return;
	}
	if (t->s->phase == t->c->phase) {
		vs_gate_add(&t->a->findings, VS_GATE_PHASE, VS_HARD, "the session is in %s already", vs_phase_name(t->c->phase));
		return;
	}
	for (size_t i = 0; i < vs_session_moves_len; i++) {
		const struct vs_session_row *r = &vs_session_moves[i];
		if (r->from != t->s->phase || r->move == VS_MOVE_TRANSFER || seen & VS_PHASE_BIT(r->to))
			continue;
		seen |= VS_PHASE_BIT(r->to);
		len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len ? ", " : "", vs_phase_name(r->to));
	}
	vs_gate_add(&t->a->findings, VS_GATE_PHASE, VS_HARD, "not from %s to %s; from %s it can go to: %s%s",
		vs_phase_name(t->s->phase), vs_phase_name(t->c->phase), vs_phase_name(t->s->phase), list,
		t->c->phase == VS_PHASE_DISCHARGED ? ", or be transferred" : "");
}

static void freeze(struct vs_session *s, enum vs_metric m, double value)
{
	if (s->n_baseline < VS_SESSION_BASELINE)
		s->baseline[s->n_baseline++] = (struct vs_baseline_value){ m, value };
}

static void freeze_baseline(struct attempt *t)
{
	struct vs_nibp_summary b;
	const struct vs_fact *hr = t->f->hr_minute.known ? &t->f->hr_minute : &t->f->hr;
	vs_nibp_summarise(t->f, &t->d->rules, t->now_ms, &b);
	t->s->n_baseline = 0;
	if (b.readings > 0) {
		freeze(t->s, VS_NIBP_SYS, b.sys);
		freeze(t->s, VS_NIBP_DIA, b.dia);
		if (b.map > 0)
			freeze(t->s, VS_NIBP_MAP, b.map);
	}
	if (hr->known)
		freeze(t->s, VS_HR, hr->value);
	if (t->f->spo2.known)
		freeze(t->s, VS_SPO2, t->f->spo2.value);
	t->s->has_baseline = true;
	t->a->todo |= VS_DO_BASELINE;
}

bool vs_session_baseline(const struct vs_session *s, enum vs_metric m, double *ret)
{
	for (unsigned i = 0; s->has_baseline && i < s->n_baseline; i++)
		if (s->baseline[i].metric == m) {
			*ret = s->baseline[i].value;
			return true;
		}
	return false;
}

static void begin_infusion(struct attempt *t)
{
	struct vs_session *s = t->s;
	s->begun = true;
	s->ended = false;
	s->infusion_ms = s->rate_ms = t->now_ms;
	s->infusion_wall_ms = t->wall_ms;
	s->paused_for_ms = 0;
	if (!s->rate_known && s->preset.id[0])
		s->rate = vs_dose_first_rate(&s->preset, &s->order, s->weight);
	freeze_baseline(t);
}

static void end_infusion(struct attempt *t, bool aborted)
{
	struct vs_session *s = t->s;
	struct vs_dose_plan plan = { 0 };
	double planned;
	if (s->ended)
		return;
	s->ended = true;
	s->stopped_ms = t->now_ms;
	s->stopped_wall_ms = t->wall_ms;
	if (s->preset.id[0])
		vs_dose_work_out(&s->preset, &s->order, s->weight, &plan);
	planned = plan.over.v - t->d->rules.due_stop_min;
	if (!aborted)
		COPY(s->outcome, (double)vs_session_infused_ms(s, t->now_ms) < planned * MINUTE_MS ? "stopped_early" : "completed");
}

static void close_session(struct attempt *t, enum vs_move move)
{
	struct vs_session *s = t->s;
	if (s->begun && !s->ended)
		end_infusion(t, true);
	if (move == VS_MOVE_CANCEL)
		COPY(s->outcome, "not_started");
	if (move == VS_MOVE_TRANSFER)
		COPY(s->outcome, "transferred");
	s->closed = true;
	s->closed_ms = t->now_ms;
	s->closed_wall_ms = t->wall_ms;
	t->a->todo |= VS_DO_CLOSED;
}

/* The move is decided: what changes with it. */
static void enter(struct attempt *t, enum vs_phase to, enum vs_move move)
{
	struct vs_session *s = t->s;
	enum vs_phase from = s->phase;
	settle_given(s, t->now_ms);
	if (from == VS_PHASE_PAUSED)
		s->paused_for_ms += t->now_ms - s->phase_ms;
	if (to == VS_PHASE_INFUSION && from != VS_PHASE_PAUSED)
		begin_infusion(t);
	if (to == VS_PHASE_RECOVERY || to == VS_PHASE_ABORTED)
		end_infusion(t, to == VS_PHASE_ABORTED);
	if (to == VS_PHASE_ABORTED) {
		COPY(s->outcome, "aborted");
		t->a->todo |= VS_DO_HELP;
	}
	if (to == VS_PHASE_DISCHARGED)
		close_session(t, move);
	t->a->lasted_ms = from == VS_PHASE_NONE ? 0 : t->now_ms - s->phase_ms;
	s->phase = to;
	s->phase_ms = t->now_ms;
	s->phase_wall_ms = t->wall_ms;
	for (unsigned i = 0; i < VS_REMINDERS; i++)
		if (i != VS_REMIND_CUFF || from != VS_PHASE_PAUSED)
			s->reminder[i] = (struct vs_reminder){ 0 };
	COPY(s->reason, t->c->override[0] && !t->c->reason[0] ? t->c->override : t->c->reason);
	t->a->todo |= VS_DO_SESSION | VS_DO_PHASE;
}

static void change_phase(struct attempt *t)
{
	const struct vs_session_command *c = t->c;
	bool transfer = c->verb == VS_VERB_TRANSFER, recording = c->strictness != VS_STRICT_FULL && !vs_session_id(t->s);
	enum vs_phase to = transfer ? VS_PHASE_DISCHARGED : c->phase;
	const struct vs_session_row *row = find_row(t->s->phase, to, transfer);
	enum vs_move move = row ? row->move : VS_MOVE_COUNT;
	if (to >= VS_PHASE_COUNT) {
		refuse(t, VS_GATE_PHASE, "there is no such phase");
		return;
	}
	if (c->strictness != VS_STRICT_NOT) {
		if (recording)
			ask_guard(t, guard_of_recording(t->s->phase, to));
		else if (!row || !vs_session_id(t->s))
			refuse_move(t);
		else
			ask_guard(t, row->guard);
	}
	if (settle(t))
		enter(t, to, move);
}

/* ---- entries ---- */

static bool entry_in_season(struct attempt *t)
{
	enum vs_phase p = t->s->phase;
	bool open = vs_session_id(t->s) != NULL, pump = p == VS_PHASE_INFUSION || p == VS_PHASE_PAUSED;
	switch (t->c->kind) {
	case VS_ENTRY_CHECK:
	case VS_ENTRY_CONSENT:
	case VS_ENTRY_WEIGHT:
		if (!open)
			refuse(t, VS_GATE_PHASE, "no session is open here; `session start` opens one");
		else if (t->c->kind == VS_ENTRY_WEIGHT && p != VS_PHASE_SCREENING && p != VS_PHASE_BASELINE)
			refuse(t, VS_GATE_PHASE, "the weight counts from the start of the infusion on; enter it as a note");
		break;
	case VS_ENTRY_RATE:
		if (open && !pump && p != VS_PHASE_BASELINE)
			refuse(t, VS_GATE_PHASE, "no infusion is running");
		else if (open && t->s->preset.no_pump)
			refuse(t, VS_GATE_PHASE, "this protocol has no pump");
		break;
	default:
		break;
	}
	return t->a->findings.len == 0;
}

static uint32_t hash_of(const char *item)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	for (; *item; item++)
		hash = (hash ^ (uint8_t)*item) * 16777619u;
	return hash ? hash : 1;
}

static struct vs_check_answer *answer_of(struct vs_session *s, const char *item)
{
	uint32_t hash = hash_of(item);
	for (unsigned i = 0; i < VS_CHECKS; i++)
		if (s->check[i].item == hash)
			return &s->check[i];
	return NULL;
}

enum vs_answer vs_session_check(const struct vs_session *s, const char *item)
{
	struct vs_check_answer *a = answer_of((struct vs_session *)s, item);
	return a ? (enum vs_answer)a->answer : VS_ANSWER_NONE;
}

/* A place is taken from a question that is not asked any more when there is no other. */
static void put_answer(struct attempt *t, const char *item, enum vs_answer answer)
{
	const struct vs_checklist *l = &t->d->checks;
	struct vs_check_answer *a = answer_of(t->s, item);
	for (unsigned i = 0; i < VS_CHECKS && !a; i++)
		if (t->s->check[i].item == 0)
			a = &t->s->check[i];
	for (unsigned i = 0; i < VS_CHECKS && !a; i++) {
		bool asked = false;
		for (unsigned k = 0; k < l->len; k++)
			asked |= hash_of(l->at[k].item) == t->s->check[i].item;
		a = asked ? NULL : &t->s->check[i];
	}
	if (a)
		*a = (struct vs_check_answer){ hash_of(item), (uint8_t)answer };
}

static void answer_check(struct attempt *t, struct vs_entry *e)
{
	enum vs_answer answer = !strcmp(e->detail, "yes") ? VS_ANSWER_YES :
		!strcmp(e->detail, "no") ? VS_ANSWER_NO : VS_ANSWER_UNKNOWN;
	const struct vs_checklist *l = &t->d->checks;
	char list[150] = "";
	size_t len = 0;
	if (!strcasecmp(e->word, "all") && answer == VS_ANSWER_NO) {
		for (unsigned i = 0; i < l->len; i++) /* a yes is not taken back by the way */
			if (vs_session_check(t->s, l->at[i].item) == VS_ANSWER_NONE)
				put_answer(t, l->at[i].item, VS_ANSWER_NO);
		return;
	}
	for (unsigned i = 0; i < l->len; i++) {
		if (!strcasecmp(e->word, l->at[i].item)) {
			put_answer(t, l->at[i].item, answer);
			return;
		}
		if (len + 1 < sizeof list)
			len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len ? ", " : "", l->at[i].item);
	}
	vs_gate_add(&t->a->findings, VS_GATE_ENTRY, VS_HARD, "there is no question '%.20s'; there are %s", e->word, list);
}

/* The rate in mg/h, whatever it was entered in.  False: cannot be known, and said why. */
static bool rate_in_mg_h(struct attempt *t, const struct vs_entry *e, struct vs_mg_h *ret)
{
	if (!strcmp(e->unit, "mg/h")) {
		*ret = (struct vs_mg_h){ e->number_value };
		return true;
	}
	if (!strcmp(e->unit, "mg/kg/h")) {
		if (t->s->weight.v <= 0)
			refuse(t, VS_GATE_ENTRY, "a rate in mg/kg/h needs a weight, and none was entered; give it in mg/h");
		*ret = vs_rate_at_weight((struct vs_mg_kg_h){ e->number_value }, t->s->weight);
		return t->s->weight.v > 0;
	}
	if (t->s->preset.concentration.v <= 0)
		refuse(t, VS_GATE_ENTRY, "a rate in mL/h needs a protocol with a concentration; give it in mg/h");
	*ret = (struct vs_mg_h){ e->number_value * t->s->preset.concentration.v };
	return t->s->preset.concentration.v > 0;
}

/* What the pump does is a fact and is recorded; but a slip of the unit looks just like a rate beyond all limits. */
static void enter_rate(struct attempt *t, struct vs_entry *e)
{
	struct vs_session *s = t->s;
	struct vs_mg_h rate;
	struct vs_dose_limits limits = vs_gate_dose_limits(&t->d->rules);
	if (!vs_session_id(s) || !rate_in_mg_h(t, e, &rate))
		return; /* a recording without a session: nothing to reckon with */
	double per_kg = vs_rate_per_kg(rate, s->weight).v;
	enum vs_dose_verdict v = vs_rate_judge(&limits, rate, s->weight);
	if (v == VS_DOSE_ABOVE_HARD)
		vs_gate_add(&t->a->findings, VS_GATE_G7, VS_WARN, "%.4g mg/h / %.4g kg = %.3g mg/kg/h, never above %g; if the pump "
			"really runs so, stop it, and record it", rate.v, s->weight.v, per_kg, limits.hard_rate_kg.v);
	snprintf(e->detail, sizeof e->detail, "was %.4g mg/h", s->rate.v);
	settle_given(s, t->now_ms);
	s->rate = rate;
	s->rate_known = true;
}

static void enter_bolus(struct attempt *t, const struct vs_entry *e)
{
	struct vs_mg amount = { e->number_value };
	struct vs_session *s = t->s;
	settle_given(s, t->now_ms);
	if (e->corrects > 0 && s->last[VS_ENTRY_BOLUS].number == e->corrects)
		s->given.v -= s->last[VS_ENTRY_BOLUS].value;
	s->given.v += amount.v;
	double per_kg = vs_dose_per_kg(s->given, s->weight).v;
	if (vs_session_id(s) && !s->preset.inpatient && per_kg > t->d->rules.g7_hard_dose_kg)
		vs_gate_add(&t->a->findings, VS_GATE_G7, VS_WARN, "with it %.4g mg = %.3g mg/kg ran in, never above %g; if it was "
			"really given, record it", s->given.v, per_kg, t->d->rules.g7_hard_dose_kg);
}

static void enter_weight(struct attempt *t, const struct vs_entry *e)
{
	struct vs_kg weight = { e->number_value };
	check_weight(t, weight, t->s->last_weight);
	t->s->weight = weight;
}

/* A correction takes the place of the newest of its kind; a note takes back what it points at. */
static bool apply_correction(struct attempt *t, const struct vs_entry *e, int64_t *ret_at_ms)
{
	struct vs_session *s = t->s;
	if (e->corrects >= e->number) {
		vs_gate_add(&t->a->findings, VS_GATE_ENTRY, VS_HARD, "there is no entry %u; the newest is %u", e->corrects,
			e->number - 1);
		return false;
	}
	for (unsigned k = 0; k < VS_ENTRY_COUNT; k++) {
		if (s->last[k].number != e->corrects)
			continue;
		if (k != e->kind && e->kind != VS_ENTRY_NOTE) {
			vs_gate_add(&t->a->findings, VS_GATE_ENTRY, VS_HARD, "entry %u is `%s`; correct it with `%s`, or take it back "
				"with a note", e->corrects, vs_entry_name(k), vs_entry_name(k));
			return false;
		}
		*ret_at_ms = s->last[k].at_ms;
		if (k == VS_ENTRY_BOLUS && k != e->kind)
			s->given.v -= s->last[k].value;
		if (k != e->kind)
			s->last[k] = (struct vs_entry_last){ 0 };
		return true;
	}
	return e->kind == VS_ENTRY_NOTE; /* an older one: the newest of its kind stays what counts */
}

static void remember(struct attempt *t, const struct vs_entry *e)
{
	int64_t at_ms = t->now_ms;
	if (e->corrects > 0 && !apply_correction(t, e, &at_ms))
		return;
	if (e->corrects > 0 && e->kind == VS_ENTRY_NOTE)
		at_ms = t->now_ms;
	t->s->last[e->kind] = (struct vs_entry_last){ e->number, at_ms, vs_entry_value(e) };
}

static unsigned entry_todo(const struct vs_entry *e)
{
	switch (e->kind) {
	case VS_ENTRY_CUFF_MOVED:  return VS_DO_ENTRY | VS_DO_TREND_CUFF;
	case VS_ENTRY_PROBE_MOVED: return VS_DO_ENTRY | VS_DO_TREND_PROBE;
	default:                   return VS_DO_ENTRY | (vs_entry_metric(e->kind) != VS_METRIC_NONE ? VS_DO_SCORE : 0);
	}
}

static void entry_consequences(struct attempt *t, struct vs_entry *e)
{
	switch (e->kind) {
	case VS_ENTRY_CHECK:  answer_check(t, e); break;
	case VS_ENTRY_WEIGHT: enter_weight(t, e); break;
	case VS_ENTRY_RATE:   enter_rate(t, e); break;
	case VS_ENTRY_BOLUS:  enter_bolus(t, e); break;
	default:              break;
	}
}

/* A seizure or an arrhythmia is written down and ends the infusion in one go. */
static void urgent(struct attempt *t, const struct vs_entry *e)
{
	enum vs_phase p = t->s->phase;
	if (!vs_entry_is_urgent(e) || (p != VS_PHASE_INFUSION && p != VS_PHASE_PAUSED && p != VS_PHASE_RECOVERY))
		return;
	enter(t, VS_PHASE_ABORTED, VS_MOVE_ABORT);
	COPY(t->s->reason, e->word);
}

static void make_entry(struct attempt *t)
{
	const struct vs_session_command *c = t->c;
	struct vs_entry *e = &t->a->entry;
	*e = (struct vs_entry){ .corrects = c->corrects, .from_wall_ms = c->from_wall_ms, .to_wall_ms = c->to_wall_ms };
	COPY(e->note, c->note);
	COPY(e->operator, c->operator);
	if (c->kind >= VS_ENTRY_COUNT) {
		refuse(t, VS_GATE_ENTRY, "there is no such entry; `vitalsctl entry --help` lists them");
		return;
	}
	if (!entry_in_season(t) || !vs_entry_read(c->kind, c->value, e, &t->a->findings))
		return;
	if (e->from_wall_ms && e->to_wall_ms && e->to_wall_ms < e->from_wall_ms)
		refuse(t, VS_GATE_ENTRY, "it ends before it begins");
	e->number = ++t->s->entries;
	entry_consequences(t, e);
	remember(t, e);
	if (!settle(t))
		return;
	t->a->todo |= entry_todo(e);
	if (t->s->last[e->kind].number != e->number)
		t->a->todo &= ~(unsigned)VS_DO_SCORE; /* it corrects an older one; rules judge what is now */
	if (e->kind == VS_ENTRY_WEIGHT)
		t->a->todo |= VS_DO_SESSION;
	urgent(t, e);
}

/* ---- the door ---- */

void vs_session_command(struct vs_session *s, const struct vs_session_data *d, const struct vs_session_facts *f,
	const struct vs_session_command *c, int64_t now_ms, int64_t wall_ms, struct vs_session_answer *ret)
{
	struct vs_session copy = *s;
	struct attempt t = { &copy, d, f, c, now_ms, wall_ms, ret };
	*ret = (struct vs_session_answer){ .from = s->phase, .to = s->phase };
	COPY(ret->override, c->override);
	COPY(ret->second, c->second);
	COPY(ret->operator, c->operator);
	if (c->verb == VS_VERB_OPEN) {
		open_session(&t);
		if (settle(&t))
			enter(&t, VS_PHASE_SCREENING, VS_MOVE_OPEN);
	} else if (c->verb == VS_VERB_PHASE || c->verb == VS_VERB_TRANSFER) {
		change_phase(&t);
	} else if (c->verb == VS_VERB_ENTRY) {
		make_entry(&t);
	} else {
		refuse(&t, VS_GATE_PHASE, "nothing was asked for");
	}
	ret->accepted = ret->todo != 0;
	if (!ret->accepted)
		return;
	COPY(copy.operator, c->operator);
	COPY(copy.second, c->second);
	ret->to = copy.phase;
	*s = copy;
}
