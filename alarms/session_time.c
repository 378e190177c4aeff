/* What a session asks of people while time passes (clinical table B, reminders), and what a restart does to it. */
#include <stdio.h>

#include "alarms/session.h"

#define MINUTE_MS 60000.0

struct pass {
	struct vs_session *s;
	const struct vs_gate_rules *r;
	int64_t now_ms;
	struct vs_session_dues *out;
};

static int64_t ms(double minutes)
{
	return (int64_t)(minutes * MINUTE_MS);
}

static void wake_at(struct pass *p, int64_t at_ms)
{
	if ((uint64_t)at_ms < p->out->wake_ms)
		p->out->wake_ms = (uint64_t)at_ms;
}

/* True: this reminder is to be made now.  first_ms: when for the first time; then every `again`, 0: once. */
static bool falls_due(struct pass *p, unsigned sort, int64_t first_ms, int64_t again_ms)
{
	struct vs_reminder *m = &p->s->reminder[sort];
	bool first = m->count == 0 || m->at_ms < first_ms; /* or what it reminds of happened meanwhile, and is due anew */
	if (!first && again_ms == 0)
		return false;
	int64_t next = first ? first_ms : m->at_ms + again_ms;
	if (p->now_ms < next) {
		wake_at(p, next);
		return false;
	}
	m->count++;
	m->at_ms = p->now_ms;
	if (again_ms > 0)
		wake_at(p, p->now_ms + again_ms);
	return true;
}

static struct vs_session_request *ask(struct pass *p, const char *request, int64_t due_ms)
{
	struct vs_session_request *q = &p->out->at[p->out->len++];
	*q = (struct vs_session_request){ .request = request, .due_ms = due_ms };
	return q;
}

static void score(struct pass *p)
{
	const struct vs_entry_last *l = &p->s->last[VS_ENTRY_MOAAS];
	int64_t since = l->number > 0 && l->at_ms > p->s->infusion_ms ? l->at_ms : p->s->infusion_ms;
	if (!falls_due(p, VS_REMIND_SCORE, since + ms(p->r->due_score_min), ms(p->r->due_again_min)))
		return;
	struct vs_session_request *q = ask(p, "entry-due", since + ms(p->r->due_score_ask_min));
	snprintf(q->reason, sizeof q->reason, "how awake is the patient? Last MOAA/S score %.0f min ago; enter moaas",
		(double)(p->now_ms - since) / MINUTE_MS);
}

/* A prompt when the planned time is over, and again when it has been over for a while. */
static void planned_end(struct pass *p)
{
	struct vs_dose_plan plan = { 0 };
	if (p->s->preset.id[0] && !p->s->preset.no_pump)
		vs_dose_work_out(&p->s->preset, &p->s->order, p->s->weight, &plan);
	if (plan.over.v <= 0)
		return;
	int64_t infused = vs_session_infused_ms(p->s, p->now_ms), planned = ms(plan.over.v);
	int64_t end = infused < planned ? p->now_ms + (planned - infused) : p->now_ms - (infused - planned);
	if (!falls_due(p, VS_REMIND_STOP, end, ms(p->r->due_stop_min)))
		return;
	struct vs_session_request *q = ask(p, "stop-due", end);
	if (infused - planned < MINUTE_MS)
		snprintf(q->reason, sizeof q->reason, "the planned %.4g min are over: stop the pump and go to recovery", plan.over.v);
	else
		snprintf(q->reason, sizeof q->reason, "the planned end passed %.0f min ago and the infusion is not stopped",
			(double)(infused - planned) / MINUTE_MS);
}

static void cuff(struct pass *p)
{
	int64_t at = p->s->infusion_ms + ms(p->s->preset.cuff_at.v);
	if (p->s->preset.cuff_at.v <= 0 || !falls_due(p, VS_REMIND_CUFF, at, 0))
		return;
	snprintf(ask(p, "nibp-now", at)->reason, sizeof p->out->at[0].reason,
		"%s wants a cuff reading %.4g min after the start", p->s->preset.id, p->s->preset.cuff_at.v);
}

static void paused(struct pass *p)
{
	int64_t at = p->s->phase_ms + ms(p->r->due_resume_min);
	if (!falls_due(p, VS_REMIND_RESUME, at, ms(p->r->due_resume_min)))
		return;
	snprintf(ask(p, "resume-due", at)->reason, sizeof p->out->at[0].reason,
		"paused for %.0f min: resume, stop or abort", (double)(p->now_ms - p->s->phase_ms) / MINUTE_MS);
}

static void stopped(struct pass *p)
{
	if (falls_due(p, VS_REMIND_SYMPTOMS, p->s->phase_ms, 0))
		snprintf(ask(p, "entry-due", p->s->phase_ms)->reason, sizeof p->out->at[0].reason,
			"the infusion is over: enter pain, nausea, dissociation, dizziness, other side effects");
}

/* Nobody sits there any more, or somebody does whom no one has announced: watch the chair as one without a session. */
static void vacate(struct pass *p, const struct vs_session_facts *f)
{
	int64_t hold = (int64_t)(p->r->vacant_s * 1000), latest = p->s->phase_ms + ms(p->r->vacant_latest_min);
	int64_t seen = p->s->phase_ms;
	if (f->hr.known && f->hr.at_ms > seen)
		seen = f->hr.at_ms;
	if (f->spo2.known && f->spo2.at_ms > seen)
		seen = f->spo2.at_ms;
	int64_t at = seen + hold < latest ? seen + hold : latest;
	if (p->now_ms < at) {
		wake_at(p, at);
		return;
	}
	vs_session_init(p->s);
	p->s->phase_ms = p->now_ms;
	p->out->vacated = true;
}

void vs_session_tick(struct vs_session *s, const struct vs_session_data *d, const struct vs_session_facts *f,
	int64_t now_ms, int64_t wall_ms, struct vs_session_dues *ret)
{
	struct pass p = { s, &d->rules, now_ms, ret };
	(void)wall_ms;
	ret->len = 0;
	ret->vacated = false;
	ret->wake_ms = UINT64_MAX;
	switch (s->phase) {
	case VS_PHASE_INFUSION:
		score(&p);
		planned_end(&p);
		cuff(&p);
		break;
	case VS_PHASE_PAUSED:
		paused(&p);
		break;
	case VS_PHASE_RECOVERY:
		stopped(&p);
		break;
	case VS_PHASE_DISCHARGED:
		vacate(&p, f);
		break;
	default:
		break;
	}
}

void vs_session_shift(struct vs_session *s, int64_t delta_ms)
{
	int64_t *const times[] = { &s->phase_ms, &s->opened_ms, &s->infusion_ms, &s->stopped_ms, &s->closed_ms, &s->rate_ms };
	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		*times[i] += delta_ms;
	for (unsigned i = 0; i < VS_ENTRY_COUNT; i++)
		s->last[i].at_ms += delta_ms;
	for (unsigned i = 0; i < VS_REMINDERS; i++)
		s->reminder[i].at_ms += delta_ms;
}

bool vs_session_after_gap(const struct vs_session *s, const struct vs_session_data *d, uint64_t gap_ms,
	struct vs_session_request *ret)
{
	if (!vs_session_id(s) || gap_ms <= (uint64_t)ms(d->rules.gap_min))
		return false;
	*ret = (struct vs_session_request){ .request = "session-check" };
	snprintf(ret->reason, sizeof ret->reason, "this chair was not watched for %.0f min; is the patient still in %s? Confirm "
		"with a note, or change the phase", (double)gap_ms / MINUTE_MS, vs_phase_name(s->phase));
	return true;
}
