#include "alarms/watch.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define BODY_MAX (VS_EVENT_TEXT_MAX - 1024) /* the envelope has to fit beside it */

/* Where events go, and what became of the engine on the way. */
struct out {
	struct vs_watch *w;
	struct vs_effects *effects;
	vs_watch_emit *emit;
	void *ctx;
	bool durable;
};

static void emit_json(struct out *o, enum vs_kind kind, uint64_t at_ms, int64_t wall_ms, const struct vs_json *j)
{
	if (!vs_json_failed(j))
		o->emit(o->ctx, kind, at_ms, wall_ms, j->buf, j->len);
}

static void emit_effects(struct out *o)
{
	for (unsigned i = 0; i < o->effects->len; i++) {
		const struct vs_effect *f = &o->effects->at[i];
		enum vs_kind kind = vs_effect_event_kind(f);
		if (kind == VS_KIND_COUNT)
			continue;
		char body[BODY_MAX];
		struct vs_json j = vs_json_into(body, sizeof body);
		vs_effect_body(&j, f);
		emit_json(o, kind, f->at_ms, f->wall_ms, &j);
	}
}

static void engine_step(struct out *o, const struct vs_stimulus *s)
{
	vs_engine_step(&o->w->engine, s, o->effects);
	o->durable |= o->effects->durable;
	emit_effects(o);
}

static void facts_of(const struct vs_watch *w, uint64_t at_ms, struct vs_session_facts *f)
{
	vs_engine_facts(&w->engine, at_ms, f);
	f->station_known = w->station_known;
	f->station_up = w->station_up;
	f->self_test_known = w->self_test_known;
	f->self_test_ms = w->self_test_ms;
}

/* By which limits the chair is judged, and what is heard of which devices: what a replay must know to judge again. */
static void limits_members(struct vs_json *j, const struct vs_engine_config *c)
{
	vs_json_key(j, "limits"), vs_json_string(j, c->set->name);
	if (c->set->hash[0])
		vs_json_key(j, "limits_hash"), vs_json_string(j, c->set->hash);
	vs_json_key(j, "devices");
	vs_json_open(j, '[');
	for (unsigned i = 0; i < c->n_devices; i++) {
		vs_json_open(j, '{');
		vs_json_key(j, "device"), vs_json_string(j, c->devices[i].id);
		if (c->devices[i].period_ms)
			vs_json_key(j, "poll_s"), vs_json_number(j, c->devices[i].period_ms / 1000.0);
		vs_json_close(j, '}');
	}
	vs_json_close(j, ']');
}

static void emit_session(struct out *o, const struct vs_session_answer *a, uint64_t at_ms, int64_t wall_ms)
{
	char body[BODY_MAX];
	struct vs_json j = vs_json_into(body, sizeof body);
	vs_session_body(&j, &o->w->session, a, at_ms);
	limits_members(&j, o->w->engine.config);
	emit_json(o, VS_KIND_SESSION, at_ms, wall_ms, &j);
}

/* A session whose limits or devices are others from now on. */
static void emit_other_limits(struct out *o, bool limits, uint64_t at_ms, int64_t wall_ms)
{
	char body[BODY_MAX], text[160];
	struct vs_json j = vs_json_into(body, sizeof body);
	snprintf(text, sizeof text, limits ? "the configuration changed: limits are those of %s now"
					   : "the configuration changed: other devices, limits are still those of %s",
		o->w->engine.set->name);
	vs_session_body(&j, &o->w->session, NULL, (int64_t)at_ms);
	limits_members(&j, o->w->engine.config);
	vs_json_key(&j, "text"), vs_json_string(&j, text);
	emit_json(o, VS_KIND_SESSION, at_ms, wall_ms, &j);
}

static void emit_request(struct out *o, const struct vs_session_request *q, uint64_t at_ms, int64_t wall_ms)
{
	char body[BODY_MAX];
	struct vs_json j = vs_json_into(body, sizeof body);
	vs_session_request_body(&j, q, wall_ms + (int64_t)(q->due_ms - at_ms));
	emit_json(o, VS_KIND_REQUEST, at_ms, wall_ms, &j);
}

/* The engine learns what the session decided: phase, baseline. */
static void tell_phase(struct out *o, uint64_t at_ms, int64_t wall_ms, const char *by, unsigned todo)
{
	const struct vs_session *s = &o->w->session;
	struct vs_stimulus st = { .at_ms = at_ms, .wall_ms = wall_ms, .operator = by };
	if (todo & VS_DO_BASELINE) {
		struct vs_baseline b = { .len = 0 };
		for (unsigned i = 0; i < s->n_baseline && b.len < VS_BASELINE_MAX; i++, b.len++) {
			b.at[b.len].metric = s->baseline[i].metric;
			b.at[b.len].value = s->baseline[i].value;
		}
		st.kind = VS_ST_BASELINE;
		st.baseline = &b;
		engine_step(o, &st);
		st.baseline = NULL;
	}
	if (todo & VS_DO_PHASE) {
		st.kind = VS_ST_PHASE;
		st.phase = s->phase;
		engine_step(o, &st);
	}
}

/* One look of the session at the time: reminders, a chair that has become empty. */
static void session_tick(struct out *o, uint64_t at_ms, int64_t wall_ms)
{
	struct vs_session_facts f;
	struct vs_session_dues dues;
	facts_of(o->w, at_ms, &f);
	vs_session_tick(&o->w->session, o->w->data, &f, at_ms, wall_ms, &dues);
	o->w->session_wake_ms = dues.wake_ms;
	for (unsigned i = 0; i < dues.len; i++)
		emit_request(o, &dues.at[i], at_ms, wall_ms);
	o->durable |= dues.len > 0 || dues.vacated;
	if (!dues.vacated)
		return;
	emit_session(o, NULL, at_ms, wall_ms);
	/* An empty chair has no baseline. */
	tell_phase(o, at_ms, wall_ms, NULL, VS_DO_PHASE | VS_DO_BASELINE);
}

/* Whatever the session had to say before at_ms, each at its own time. */
static void catch_up(struct out *o, uint64_t at_ms, int64_t wall_ms)
{
	while (o->w->session_wake_ms <= at_ms) {
		uint64_t due_ms = o->w->session_wake_ms;
		int64_t due_wall_ms = wall_ms - (int64_t)(at_ms - due_ms);
		struct vs_stimulus time = { .kind = VS_ST_TIME, .at_ms = due_ms, .wall_ms = due_wall_ms };
		engine_step(o, &time);
		session_tick(o, due_ms, due_wall_ms);
		if (o->w->session_wake_ms <= due_ms)
			o->w->session_wake_ms = due_ms + 1;
	}
}

static void finish(struct out *o)
{
	if (o->w->session_wake_ms < o->effects->wake_at_ms)
		o->effects->wake_at_ms = o->w->session_wake_ms;
	o->effects->durable = o->durable;
}

size_t vs_watch_size(const struct vs_engine_config *config)
{
	return offsetof(struct vs_watch, engine) + vs_engine_size(config);
}

void vs_watch_init(struct vs_watch *w, const struct vs_engine_config *config, const struct vs_session_data *data,
	uint64_t at_ms)
{
	memset(w, 0, vs_watch_size(config));
	vs_engine_init(&w->engine, config, at_ms);
	vs_session_init(&w->session);
	w->data = data;
	w->session_wake_ms = UINT64_MAX;
}

void vs_watch_stimulus(struct vs_watch *w, const struct vs_stimulus *s, struct vs_effects *effects, vs_watch_emit *emit,
	void *ctx)
{
	struct out o = { w, effects, emit, ctx, false };
	catch_up(&o, s->at_ms, s->wall_ms);
	engine_step(&o, s);
	finish(&o);
}

/* What an entry means to the rules: a score that is judged, a cuff or probe that sits elsewhere now. */
static void tell_entry(struct out *o, const struct vs_session_answer *a, uint64_t at_ms, int64_t wall_ms)
{
	struct vs_stimulus st = { .at_ms = at_ms, .wall_ms = wall_ms, .operator = a->operator };
	if (a->todo & (VS_DO_TREND_CUFF | VS_DO_TREND_PROBE)) {
		st.kind = VS_ST_MOVED;
		st.cuff_moved = a->todo & VS_DO_TREND_CUFF;
		st.probe_moved = a->todo & VS_DO_TREND_PROBE;
		engine_step(o, &st);
	}
	if (a->todo & VS_DO_SCORE) {
		st.kind = VS_ST_SCORE;
		st.metric = vs_entry_metric(a->entry.kind);
		st.value = a->entry.number_value;
		engine_step(o, &st);
	}
}

static void carry_out(struct out *o, const struct vs_session_answer *a, uint64_t at_ms, int64_t wall_ms)
{
	o->durable = true;
	if (a->todo & VS_DO_ENTRY) {
		char body[BODY_MAX];
		struct vs_json j = vs_json_into(body, sizeof body);
		vs_entry_body(&j, &a->entry);
		emit_json(o, VS_KIND_ENTRY, at_ms, wall_ms, &j);
	}
	if (a->todo & VS_DO_SESSION)
		emit_session(o, a, at_ms, wall_ms);
	if (a->todo & VS_DO_HELP) {
		struct vs_session_request q = { .request = "help", .due_ms = at_ms };
		memcpy(q.reason, o->w->session.reason, sizeof q.reason < sizeof o->w->session.reason ? sizeof q.reason
										      : sizeof o->w->session.reason);
		emit_request(o, &q, at_ms, wall_ms);
	}
	tell_phase(o, at_ms, wall_ms, a->operator, a->todo);
	tell_entry(o, a, at_ms, wall_ms);
	session_tick(o, at_ms, wall_ms);
}

void vs_watch_command(struct vs_watch *w, const struct vs_session_command *c, uint64_t at_ms, int64_t wall_ms,
	struct vs_session_answer *answer, struct vs_effects *effects, vs_watch_emit *emit, void *ctx)
{
	struct out o = { w, effects, emit, ctx, false };
	struct vs_stimulus time = { .kind = VS_ST_TIME, .at_ms = at_ms, .wall_ms = wall_ms };
	struct vs_session_facts f;
	catch_up(&o, at_ms, wall_ms);
	engine_step(&o, &time);
	facts_of(w, at_ms, &f);
	vs_session_command(&w->session, w->data, &f, c, at_ms, wall_ms, answer);
	if (answer->accepted)
		carry_out(&o, answer, at_ms, wall_ms);
	finish(&o);
}

static bool same_devices(const struct vs_engine_config *a, const struct vs_engine_config *b)
{
	bool same = a->n_devices == b->n_devices;
	for (unsigned i = 0; same && i < a->n_devices; i++)
		same = strcmp(a->devices[i].id, b->devices[i].id) == 0 && a->devices[i].period_ms == b->devices[i].period_ms;
	return same;
}

void vs_watch_reconfigure(struct vs_watch *w, const struct vs_engine_config *config, uint64_t at_ms, int64_t wall_ms,
	struct vs_effects *effects, vs_watch_emit *emit, void *ctx)
{
	struct out o = { w, effects, emit, ctx, true };
	catch_up(&o, at_ms, wall_ms);
	bool others = strcmp(w->engine.set->hash, config->set->hash) != 0 || strcmp(w->engine.set->name, config->set->name) != 0;
	bool devices = !same_devices(w->engine.config, config);
	vs_engine_reconfigure(&w->engine, config, at_ms, wall_ms, effects);
	if ((others || devices) && w->session.id[0])
		emit_other_limits(&o, others, at_ms, wall_ms);
	emit_effects(&o);
	finish(&o);
}

/* ---- over a restart: a head, the session as it is, the engine's own bytes ---- */

struct saved {
	uint32_t magic, session_size;
	uint64_t at_ms;
	int64_t wall_ms;
};
#define CLOCK_MOST (UINT64_C(1) << 53) /* ms */
#define SAVED_MAGIC (0x56530000u | 1u) /* counts up when struct vs_session changes its meaning without its size */

size_t vs_watch_save(const struct vs_watch *w, uint64_t at_ms, int64_t wall_ms, uint8_t *buf, size_t cap)
{
	struct saved head = { SAVED_MAGIC, sizeof w->session, at_ms, wall_ms };
	size_t fixed = sizeof head + sizeof w->session;
	if (cap < fixed)
		return 0;
	memcpy(buf, &head, sizeof head);
	memcpy(buf + sizeof head, &w->session, sizeof w->session);
	size_t engine = vs_engine_save(&w->engine, wall_ms, buf + fixed, cap - fixed);
	return engine ? fixed + engine : 0;
}

/* An alarm never just vanishes: one whose rule or device was taken out of the configuration is told as ended. */
static void end_left_behind(struct out *o, const uint8_t *buf, size_t len, uint64_t at_ms, int64_t wall_ms)
{
	struct vs_left_behind gone[VS_ENGINE_ALARMS];
	unsigned n = vs_engine_left_behind(&o->w->engine, buf, len, gone, VS_ENGINE_ALARMS);
	for (unsigned i = 0; i < n; i++) {
		char body[1024], id[24], text[160];
		struct vs_json j = vs_json_into(body, sizeof body);
		snprintf(text, sizeof text, "%s ended: its rule or device is not in the configuration any more", gone[i].rule);
		vs_json_key(&j, "alarm"), vs_json_string(&j, vs_alarm_id_text(gone[i].number, id));
		vs_json_key(&j, "rule"), vs_json_string(&j, gone[i].rule);
		vs_json_key(&j, "class"), vs_json_string(&j, "technical");
		vs_json_key(&j, "priority"), vs_json_string(&j, vs_priority_name(gone[i].priority));
		vs_json_key(&j, "change"), vs_json_string(&j, vs_change_name(VS_CHANGE_CLEARED));
		vs_json_key(&j, "state"), vs_json_string(&j, vs_alarm_state_name(VS_ALARM_CLEARED));
		vs_json_key(&j, "signal"), vs_json_string(&j, vs_signal_name(VS_SIGNAL_AUDIO_OFF));
		vs_json_key(&j, "direction"), vs_json_string(&j, "none");
		vs_json_key(&j, "onset"), vs_json_time(&j, gone[i].onset_wall_ms);
		vs_json_key(&j, "text"), vs_json_string(&j, text);
		emit_json(o, VS_KIND_ALARM, at_ms, wall_ms, &j);
	}
}

int vs_watch_restore(struct vs_watch *w, const uint8_t *buf, size_t len, uint64_t at_ms, int64_t wall_ms,
	const char **why, vs_watch_emit *emit, void *ctx)
{
	struct saved head;
	struct vs_session session;
	size_t fixed = sizeof head + sizeof w->session;
	*why = "too short";
	if (len < fixed)
		return -EINVAL;
	memcpy(&head, buf, sizeof head);
	*why = "of another version";
	if (head.magic != SAVED_MAGIC || head.session_size != sizeof w->session)
		return -EINVAL;
	*why = "its time";
	if (head.at_ms > CLOCK_MOST || head.wall_ms > (int64_t)CLOCK_MOST || head.wall_ms < -(int64_t)CLOCK_MOST)
		return -EINVAL;
	*why = vs_session_restore(&session, buf + sizeof head);
	if (*why)
		return -EINVAL;
	*why = "the engine's part";
	int r = vs_engine_restore(&w->engine, buf + fixed, len - fixed, wall_ms);
	if (r < 0)
		return r;
	*why = NULL;
	w->session = session;
	/* Within one boot the monotonic clock went on; after a reboot it began anew, and the wall clock tells the gap. */
	bool same_boot = head.at_ms <= at_ms;
	uint64_t gap_ms = same_boot ? at_ms - head.at_ms : wall_ms > head.wall_ms ? (uint64_t)(wall_ms - head.wall_ms) : 0;
	if (!same_boot)
		vs_session_shift(&w->session, (int64_t)(at_ms - gap_ms) - (int64_t)head.at_ms);
	w->session_wake_ms = at_ms;
	struct out o = { w, NULL, emit, ctx, false };
	end_left_behind(&o, buf + fixed, len - fixed, at_ms, wall_ms);
	return 0;
}

/* With a session: its state, and the gap. */
static void emit_restarted(struct out *o, uint64_t blind_ms, uint64_t at_ms, int64_t wall_ms)
{
	char body[BODY_MAX], reason[96];
	struct vs_json j = vs_json_into(body, sizeof body);
	double blind_s = (double)(blind_ms / 100) / 10;
	enum vs_kind kind = o->w->session.id[0] ? VS_KIND_SESSION : VS_KIND_REQUEST;
	snprintf(reason, sizeof reason, "vitalsd was not running: nobody watched this chair for %.0f s", blind_s);
	if (kind == VS_KIND_SESSION) {
		vs_session_body(&j, &o->w->session, NULL, (int64_t)at_ms);
		limits_members(&j, o->w->engine.config);
		vs_json_key(&j, "text"), vs_json_string(&j, reason);
	} else {
		vs_json_key(&j, "request"), vs_json_string(&j, "restarted");
		vs_json_key(&j, "reason"), vs_json_string(&j, reason);
		vs_json_key(&j, "due"), vs_json_time(&j, wall_ms);
	}
	vs_json_key(&j, "restarted"), vs_json_bool(&j, true);
	vs_json_key(&j, "blind_s"), vs_json_number(&j, blind_s);
	vs_json_key(&j, "blind_since"), vs_json_time(&j, wall_ms - (int64_t)blind_ms);
	emit_json(o, kind, at_ms, wall_ms, &j);
}

void vs_watch_was_blind(struct vs_watch *w, uint64_t blind_ms, uint64_t at_ms, int64_t wall_ms, vs_watch_emit *emit,
	void *ctx)
{
	struct out o = { w, NULL, emit, ctx, false };
	struct vs_session_request q;
	emit_restarted(&o, blind_ms, at_ms, wall_ms);
	if (!vs_session_after_gap(&w->session, w->data, blind_ms, &q))
		return;
	q.due_ms = (int64_t)at_ms; /* now */
	emit_request(&o, &q, at_ms, wall_ms);
}
