#include "daemon/chair.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/clock.h"
#include "daemon/say.h"
#include "plugins/registry.h"

_Static_assert(VS_CHAIR_DEVICES_MAX == VS_ENGINE_DEVICES, "every device that may be configured is watched");

/* Working space of one step.  There is one loop and one step at a time. */
static struct vs_effects effects;

/* ---- events into custody ---- */

/* One event with its number, of whatever session e names.  A number is spent only when custody took the event. */
static void add_of(struct vs_chair *c, struct vs_event *e)
{
	e->site = c->daemon->config->site;
	e->chair = c->id;
	int r = vs_outbox_add(c->daemon->outbox, e, &c->seq[e->kind]);
	if (r == -ENOSPC)
		c->given_up_vitals++;
	else if (r < 0)
		vs_say(VS_SAY_ERROR, "%s: an event of kind %s is longer than a record may be and is lost: %.*s", c->id,
		       vs_kind_name(e->kind), (int)e->body_len, e->body ? e->body : "");
}

static void add(struct vs_chair *c, struct vs_event *e)
{
	e->session = c->watch->session.id[0] ? c->watch->session.id : NULL;
	add_of(c, e);
}

static void on_event(void *ctx, enum vs_kind kind, uint64_t at_ms, int64_t wall_ms, const char *body, size_t len)
{
	struct vs_chair *c = ctx;
	struct vs_event e = { .kind = kind, .wall_ms = wall_ms, .boot_ms = at_ms, .body = body, .body_len = len };
	char with_uid[VS_EVENT_TEXT_MAX];
	if (c->daemon->peer) {
		/* A person did this, and the kernel told who, whatever name was given. */
		int n = snprintf(with_uid, sizeof with_uid, "%.*s,\"uid\":%u", (int)len, body, (unsigned)c->daemon->peer->uid);
		if (n > 0 && (size_t)n < sizeof with_uid) {
			e.body = with_uid;
			e.body_len = (size_t)n;
		}
	}
	add(c, &e);
}

static void save_state(struct vs_chair *c, uint64_t at_ms, int64_t wall_ms)
{
	static uint8_t state[VS_WATCH_SAVED_MAX];
	c->state_behind = vs_outbox_holds(c->daemon->outbox);
	if (c->state_behind)
		return;
	size_t len = vs_watch_save(c->watch, at_ms, wall_ms, state, sizeof state);
	int r = len ? vs_custody_state(c->daemon->custody, c->id, state, len) : -E2BIG;
	if (r < 0 && !c->state_unkept)
		vs_say(VS_SAY_ERROR, "%s: its state could not be kept (%s); a restart would forget the newest commands", c->id,
		       strerror(-r));
	c->state_unkept = r < 0;
}

static void on_wake(uv_timer_t *t);

/* Every reading moves the next time to look a little further away.  A timer that is set for an earlier time stays: it
 * costs less to find out once that there is nothing to do yet than to set it again with every reading. */
static void arm(struct vs_chair *c, uint64_t at_ms)
{
	/* at_ms >= armed_ms: the machine slept, and the loop's clock with it */
	if (c->wake_ms == UINT64_MAX || (c->wake_ms >= c->armed_ms && at_ms < c->armed_ms))
		return;
	c->armed_ms = c->wake_ms;
	uv_timer_start(&c->wake, on_wake, c->wake_ms > at_ms ? c->wake_ms - at_ms : 0, 0);
}

/* The highest priority whose signal is on: what the annunciator follows. */
static enum vs_priority sounding(const struct vs_chair *c)
{
	enum vs_priority highest = VS_PRIORITY_NONE;
	struct vs_effect f;
	unsigned iterator = 0;
	while (vs_engine_next_alarm(&c->watch->engine, &iterator, &f))
		if (f.u.alarm.signal == VS_SIGNAL_ON && f.u.alarm.priority > highest)
			highest = f.u.alarm.priority;
	return highest;
}

/* The end of every step: durable state, commit, the next time to look. */
static void step_done(struct vs_chair *c, uint64_t at_ms, int64_t wall_ms)
{
	if (effects.durable || c->state_behind)
		save_state(c, at_ms, wall_ms);
	vs_custody_commit(c->daemon->custody);
	if (c->annunciator)
		vs_annunciator_level(c->annunciator, sounding(c));
	c->wake_ms = effects.wake_at_ms;
	arm(c, at_ms);
}

static const char *refusal(void)
{
	for (unsigned i = 0; i < effects.len; i++)
		if (effects.at[i].kind == VS_EFFECT_REFUSED)
			return effects.at[i].u.refused;
	return NULL;
}

const char *vs_chair_step(struct vs_chair *c, struct vs_stimulus *s)
{
	s->at_ms = vs_boottime_ms();
	s->wall_ms = vs_wall_ms();
	vs_outbox_begin(c->daemon->outbox);
	vs_watch_stimulus(c->watch, s, &effects, on_event, c);
	step_done(c, s->at_ms, s->wall_ms);
	return refusal();
}

void vs_chair_command(struct vs_chair *c, const struct vs_session_command *cmd, struct vs_session_answer *answer)
{
	uint64_t at_ms = vs_boottime_ms();
	int64_t wall_ms = vs_wall_ms();
	vs_outbox_begin(c->daemon->outbox);
	vs_watch_command(c->watch, cmd, at_ms, wall_ms, answer, &effects, on_event, c);
	step_done(c, at_ms, wall_ms);
	if (answer->todo & VS_DO_SESSION)
		vs_courses_note(c->daemon->courses, &c->watch->session);
}

static void on_wake(uv_timer_t *t)
{
	struct vs_chair *c = t->data;
	struct vs_stimulus s = { .kind = VS_ST_TIME };
	uint64_t at_ms = vs_boottime_ms();
	c->armed_ms = UINT64_MAX;
	if (at_ms >= c->wake_ms)
		vs_chair_step(c, &s);
	else
		arm(c, at_ms);
}

void vs_chair_emit(struct vs_chair *c, enum vs_kind kind, const char *body, size_t len)
{
	struct vs_event e = { .kind = kind, .wall_ms = vs_wall_ms(), .body = body, .body_len = len };
	vs_outbox_begin(c->daemon->outbox);
	add(c, &e);
	vs_custody_commit(c->daemon->custody);
}

void vs_chair_note(struct vs_chair *c, const char *body, size_t len)
{
	struct vs_event e = { .kind = VS_KIND_ENTRY, .wall_ms = vs_wall_ms(), .body = body, .body_len = len };
	vs_outbox_begin(c->daemon->outbox);
	add_of(c, &e);
	vs_custody_commit(c->daemon->custody);
}

void vs_chair_test(struct vs_chair *c, const char *operator)
{
	char body[512];
	struct vs_json j = vs_json_into(body, sizeof body);
	int64_t wall_ms = vs_wall_ms();
	vs_json_key(&j, "request"), vs_json_string(&j, "alarm-test");
	vs_json_key(&j, "reason"), vs_json_string(&j, "a test of the alarms, no alarm: low, medium and high in turn");
	vs_json_key(&j, "due"), vs_json_time(&j, wall_ms);
	vs_json_key(&j, "test"), vs_json_bool(&j, true);
	vs_json_key(&j, "by"), vs_json_string(&j, operator);
	vs_outbox_begin(c->daemon->outbox);
	on_event(c, VS_KIND_REQUEST, vs_boottime_ms(), wall_ms, body, j.len);
	vs_custody_commit(c->daemon->custody);
	vs_annunciator_test(c->annunciator);
	c->watch->self_test_known = true;
	c->watch->self_test_ms = vs_boottime_ms();
}

/* ---- the cuff ----
 *
 * It squeezes an arm: a person starts it, or the engine where the configuration allows it (`start_cuff: allowed`), with a
 * reading that asks for another one.  Never the engine soon after a start of the daemon, after the device came (back), or
 * after it was started last: what is asked for then may be older than what is known about the arm. */

#define CUFF_QUIET_MS 30000

static int start_cuff(struct vs_chair_device *d, bool start, const char *by, const char *reason)
{
	char body[512];
	int r = d->device ? vs_device_cuff(d->device, start) : -ENOTCONN;
	if (r < 0)
		return r;
	d->cuff_from_ms = vs_boottime_ms() + CUFF_QUIET_MS;
	d->cuff_due_ms = 0;
	struct vs_json j = vs_json_into(body, sizeof body);
	vs_json_key(&j, "request"), vs_json_string(&j, start ? "cuff-start" : "cuff-stop");
	vs_json_key(&j, "device"), vs_json_string(&j, d->config->id);
	vs_json_key(&j, "reason"), vs_json_string(&j, reason);
	vs_json_key(&j, "by"), vs_json_string(&j, by);
	struct vs_event e = { .kind = VS_KIND_REQUEST, .wall_ms = vs_wall_ms(), .body = body, .body_len = j.len };
	add(d->chair, &e);
	return 0;
}

int vs_chair_cuff(struct vs_chair *c, const char *device, bool start, const char *operator, const char **ret)
{
	int r = device ? -ENOENT : -ENOTSUP;
	vs_outbox_begin(c->daemon->outbox);
	for (unsigned i = 0; i < c->n_devices && (r == -ENOENT || r == -ENOTSUP); i++) {
		struct vs_chair_device *d = c->devices[i];
		if (device && strcmp(device, d->config->id) != 0)
			continue;
		*ret = d->config->id;
		r = start_cuff(d, start, operator, "asked for by a person");
	}
	vs_custody_commit(c->daemon->custody);
	return r;
}

/* After a reading: does the engine want another one of the cuff, and may it have it?  A new pressure is what an earlier
 * wish was for. */
static void follow_requests(struct vs_chair_device *from, const struct vs_reading *r, uint64_t at_ms)
{
	struct vs_chair *c = from->chair;
	const struct vs_request_event *q = NULL;
	const struct vs_obs *sys = vs_reading_find(r, VS_NIBP_SYS);
	if (sys && sys->has_value)
		from->cuff_due_ms = 0;
	for (unsigned i = 0; i < effects.len && !q; i++)
		if (effects.at[i].kind == VS_EFFECT_REQUEST && (!strcmp(effects.at[i].u.request.request, "nibp-repeat") ||
								!strcmp(effects.at[i].u.request.request, "nibp-now")))
			q = &effects.at[i].u.request;
	for (unsigned i = 0; i < c->n_devices && q; i++) {
		struct vs_chair_device *d = c->devices[i];
		if (!d->config->nibp_auto || d->status != VS_DEVICE_ONLINE || at_ms < d->cuff_from_ms)
			continue;
		d->cuff_due_ms = q->due_ms > at_ms ? q->due_ms : at_ms;
		snprintf(d->cuff_reason, sizeof d->cuff_reason, "%s", q->reason);
		return;
	}
}

/* Once a second. */
static void start_due_cuffs(struct vs_chair *c)
{
	uint64_t now_ms = vs_boottime_ms();
	for (unsigned i = 0; i < c->n_devices; i++) {
		struct vs_chair_device *d = c->devices[i];
		if (!d->cuff_due_ms || now_ms < d->cuff_due_ms)
			continue;
		d->cuff_due_ms = 0;
		if (d->config->nibp_auto && d->status == VS_DEVICE_ONLINE && now_ms >= d->cuff_from_ms)
			start_cuff(d, true, "engine", d->cuff_reason);
	}
}

void vs_chair_alive(struct vs_chair *c)
{
	char body[512];
	struct vs_json j = vs_json_into(body, sizeof body);
	unsigned n[VS_PRIORITY_COUNT];
	vs_json_key(&j, "last");
	vs_json_open(&j, '{');
	for (unsigned k = 0; k < VS_KIND_ALIVE; k++)
		vs_json_key(&j, vs_kind_name(k)), vs_json_uint(&j, c->seq[k]);
	vs_json_close(&j, '}');
	vs_engine_count(&c->watch->engine, n);
	vs_json_key(&j, "alarms");
	vs_json_open(&j, '{');
	for (int p = VS_PRIORITY_HIGH; p >= VS_PRIORITY_LOW; p--)
		vs_json_key(&j, vs_priority_name(p)), vs_json_uint(&j, n[p]);
	vs_json_close(&j, '}');
	vs_json_key(&j, "phase"), vs_json_string(&j, vs_phase_name(c->watch->session.phase));
	if (vs_outbox_waiting(c->daemon->outbox))
		vs_json_key(&j, "waiting"), vs_json_uint(&j, vs_outbox_waiting(c->daemon->outbox));
	struct vs_event e = { .kind = VS_KIND_ALIVE, .wall_ms = vs_wall_ms(), .body = body, .body_len = j.len };
	vs_outbox_begin(c->daemon->outbox);
	add(c, &e);
	start_due_cuffs(c);
	if (c->state_behind)
		save_state(c, vs_boottime_ms(), e.wall_ms);
	vs_custody_commit(c->daemon->custody);
}

/* ---- what devices say ---- */

/* A number the engine did not accept is no measurement: it is published as no value, and said in words with what the
 * device sent, so that the record has it. */
static void say_rejected(struct vs_chair_device *d, const struct vs_reading *r)
{
	char raw[200] = "";
	for (unsigned i = 0; i < r->len; i++)
		if (effects.quality[i] == VS_Q_REJECTED && r->obs[i].has_value) {
			size_t at = strlen(raw);
			snprintf(raw + at, sizeof raw - at, "%s%s %.6g", at ? ", " : "", vs_metrics[r->obs[i].metric].name,
				 r->obs[i].value);
		}
	if (!raw[0])
		return;
	char body[512];
	struct vs_json j = vs_json_into(body, sizeof body);
	char detail[256];
	snprintf(detail, sizeof detail, "rejected as no measurement: %s", raw);
	vs_json_key(&j, "device"), vs_json_string(&j, d->config->id);
	vs_json_key(&j, "status"), vs_json_string(&j, vs_device_status_name(d->status));
	vs_json_key(&j, "detail"), vs_json_string(&j, detail);
	struct vs_event e = { .kind = VS_KIND_DEVICE, .wall_ms = vs_wall_ms(), .body = body, .body_len = j.len };
	add(d->chair, &e);
}

/* The reading as it is published: marked by the engine, without cuff values that were reported before. */
static void judged(const struct vs_reading *r, struct vs_reading *ret)
{
	ret->len = 0;
	ret->flags = r->flags;
	ret->own_flags = r->own_flags;
	for (unsigned i = 0; i < r->len; i++) {
		if (effects.quality[i] == VS_Q_OLD)
			continue;
		struct vs_obs *o = &ret->obs[ret->len++];
		*o = r->obs[i];
		if (effects.quality[i] == VS_Q_SUSPECT)
			o->flags |= VS_FLAG(SUSPECT);
		if (effects.quality[i] == VS_Q_REJECTED) {
			o->has_value = false;
			o->value = 0;
			o->flags |= VS_FLAG(INVALID);
		}
	}
}

static void remember(struct vs_chair *c, unsigned device, const struct vs_reading *r, uint64_t at_ms, int64_t wall_ms)
{
	for (unsigned i = 0; i < r->len; i++) {
		struct vs_chair_value *v = &c->values[r->obs[i].metric];
		/* A cuff that reports an error does not make the last pressure younger or unknown. */
		if (v->known && !r->obs[i].has_value && vs_metric_is_nibp(r->obs[i].metric))
			continue;
		*v = (struct vs_chair_value){ .known = true, .obs = r->obs[i], .wall_ms = wall_ms, .at_ms = at_ms, .device = device };
	}
}

static unsigned index_of(const struct vs_chair_device *d)
{
	unsigned i = 0;
	while (i < d->chair->n_devices && d->chair->devices[i] != d)
		i++;
	return i;
}

/* When the link read the bytes and when we look at them is the same wall second, whatever the loop did in between. */
static int64_t wall_of(uint64_t at_ms)
{
	return vs_wall_ms() - (int64_t)(vs_boottime_ms() - at_ms);
}

static void on_reading(void *ctx, const struct vs_reading *r, uint64_t at_ms)
{
	struct vs_chair_device *d = ctx;
	struct vs_chair *c = d->chair;
	int64_t wall_ms = wall_of(at_ms);
	/* A plugin gives a cuff result once (plugins/nibp.h), equal to the last one or not; registers show theirs for ever. */
	bool told = !d->config->map || d->config->map->has_new_reading;
	struct vs_stimulus s = { .kind = VS_ST_READING, .at_ms = at_ms, .wall_ms = wall_ms, .device = index_of(d),
				 .reading = r, .nibp = told ? VS_NIBP_NEW : VS_NIBP_ON_CHANGE };
	vs_outbox_begin(c->daemon->outbox);
	vs_watch_stimulus(c->watch, &s, &effects, on_event, c);
	struct vs_reading out;
	judged(r, &out);
	if (effects.rpp == effects.rpp && out.len < VS_READING_MAX)
		vs_reading_add(&out, VS_RPP, effects.rpp, 0);
	struct vs_event e = { .kind = VS_KIND_VITALS, .wall_ms = wall_ms, .boot_ms = at_ms, .device = d->config->id, .reading = &out };
	add(c, &e);
	say_rejected(d, r);
	remember(c, s.device, &out, at_ms, wall_ms);
	follow_requests(d, &out, at_ms);
	step_done(c, vs_boottime_ms(), wall_ms);
}

static void on_status(void *ctx, enum vs_device_status status, const char *detail)
{
	struct vs_chair_device *d = ctx;
	char body[512];
	struct vs_json j = vs_json_into(body, sizeof body);
	if (status == VS_DEVICE_ONLINE && d->status != VS_DEVICE_ONLINE) {
		d->cuff_from_ms = vs_boottime_ms() + CUFF_QUIET_MS;
		d->cuff_due_ms = 0;
	}
	d->status = status;
	snprintf(d->detail, sizeof d->detail, "%s", detail);
	vs_json_key(&j, "device"), vs_json_string(&j, d->config->id);
	vs_json_key(&j, "status"), vs_json_string(&j, vs_device_status_name(status));
	vs_json_key(&j, "detail"), vs_json_string(&j, d->detail);
	vs_chair_emit(d->chair, VS_KIND_DEVICE, body, j.len);
	vs_say(status == VS_DEVICE_ONLINE || status == VS_DEVICE_CONNECTING ? VS_SAY_INFO : VS_SAY_WARNING,
	       "%s: device %s is %s%s%s", d->chair->id, d->config->id, vs_device_status_name(status), *detail ? ": " : "",
	       detail);
}

static const struct vs_device_ops device_ops = { .reading = on_reading, .status = on_status };

/* ---- life ---- */

struct vs_chair *vs_daemon_chair(struct vs_daemon *d, const char *id)
{
	for (unsigned i = 0; i < d->n_chairs; i++)
		if (strcmp(d->chairs[i]->id, id) == 0)
			return d->chairs[i];
	return NULL;
}

/* What the engine is told of set and devices; NULL: no memory. */
static struct vs_engine_config *engine_config(struct vs_daemon *d, const struct vs_chair_config *cfg,
					      const struct vs_limit_set *set)
{
	struct vs_engine_config *e = calloc(1, offsetof(struct vs_engine_config, devices) + cfg->n_devices * sizeof *e->devices);
	if (!e)
		return NULL;
	e->set = set;
	e->next_alarm = &d->next_alarm;
	for (unsigned i = 0; i < cfg->n_devices && i < VS_ENGINE_DEVICES; i++, e->n_devices++) {
		const struct vs_device_config *device = &cfg->devices[i];
		e->devices[i].id = device->id;
		e->devices[i].period_ms = device->poll_ms;
		/* A monitor that is asked every minute is not silent after ten seconds. */
		e->devices[i].quiet_ms = device->poll_ms > 1000 ? device->poll_ms : 0;
	}
	return e;
}

static struct vs_chair_device *device_new(struct vs_chair *c, const struct vs_device_config *cfg)
{
	struct vs_chair_device *d = calloc(1, sizeof *d);
	if (d)
		*d = (struct vs_chair_device){ .chair = c, .config = cfg };
	return d;
}

static void device_start(struct vs_chair_device *d)
{
	int r = vs_device_create(d->chair->daemon->acquire, d->config, &device_ops, d, &d->device);
	if (r < 0)
		vs_say(VS_SAY_ERROR, "%s: device %s cannot be watched: %s", d->chair->id, d->config->id, strerror(-r));
}

static void annunciate(struct vs_chair *c, const struct vs_annunciator_config *cfg)
{
	vs_annunciator_close(c->annunciator);
	c->annunciator_config = cfg;
	if (vs_annunciator_open(c->daemon->loop, c->id, cfg, &c->annunciator) < 0)
		vs_say(VS_SAY_ERROR, "%s: no memory for its annunciator: nothing sounds at the chair", c->id);
}

static bool same_annunciator(const struct vs_annunciator_config *a, const struct vs_annunciator_config *b)
{
	return a->alsa == b->alsa && strcmp(a->device, b->device) == 0 && strcmp(a->command, b->command) == 0;
}

struct vs_chair *vs_chair_create(struct vs_daemon *d, const struct vs_chair_config *cfg, const struct vs_limit_set *set)
{
	struct vs_chair *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->daemon = d;
	snprintf(c->id, sizeof c->id, "%s", cfg->id);
	snprintf(c->limits, sizeof c->limits, "%s", cfg->limits);
	uv_timer_init(d->loop, &c->wake);
	c->wake.data = c;
	c->wake_ms = c->armed_ms = UINT64_MAX;
	for (unsigned i = 0; i < cfg->n_devices && i < VS_ENGINE_DEVICES; i++) {
		c->devices[i] = device_new(c, &cfg->devices[i]);
		if (!c->devices[i]) {
			vs_chair_close(c);
			return NULL;
		}
		c->n_devices++;
	}
	c->engine_config = engine_config(d, cfg, set);
	c->watch = c->engine_config ? malloc(vs_watch_size(c->engine_config)) : NULL;
	if (!c->watch) {
		vs_chair_close(c);
		return NULL;
	}
	vs_watch_init(c->watch, c->engine_config, d->session_data, vs_boottime_ms());
	c->watch->self_test_known = true;
	c->watch->self_test_ms = vs_boottime_ms();
	annunciate(c, cfg->annunciator);
	return c;
}

void vs_chair_start(struct vs_chair *c, const void *state, size_t len, uint64_t blind_ms)
{
	uint64_t at_ms = vs_boottime_ms();
	int64_t wall_ms = vs_wall_ms();
	vs_outbox_begin(c->daemon->outbox);
	const char *why = NULL;
	if (state && vs_watch_restore(c->watch, state, len, at_ms, wall_ms, &why, on_event, c) < 0)
		vs_say(VS_SAY_WARNING, "%s: what was known before the restart cannot be used (%s); it begins anew: look at the patient, open the "
		       "session again", c->id, why);
	if (blind_ms != VS_BLIND_NOT)
		vs_watch_was_blind(c->watch, blind_ms, at_ms, wall_ms, on_event, c);
	vs_custody_commit(c->daemon->custody);
	struct vs_stimulus s = { .kind = VS_ST_TIME };
	vs_chair_step(c, &s);
	for (unsigned i = 0; i < c->n_devices; i++)
		device_start(c->devices[i]);
}

static void chair_closed(uv_handle_t *h)
{
	struct vs_chair *c = h->data;
	for (unsigned i = 0; i < c->n_devices; i++)
		free(c->devices[i]);
	free(c->watch);
	free(c->engine_config);
	free(c);
}

void vs_chair_close(struct vs_chair *c)
{
	for (unsigned i = 0; i < c->n_devices; i++)
		vs_device_close(c->devices[i]->device);
	vs_annunciator_close(c->annunciator);
	c->annunciator = NULL;
	uv_close((uv_handle_t *)&c->wake, chair_closed);
}

/* The devices of a new configuration: those that did not change are taken over as they run, the others made anew.
 * moved_to: where each old one stands now, VS_ENGINE_DEVICES where it is gone. */
static int match_devices(struct vs_chair *c, const struct vs_chair_config *cfg, unsigned n, struct vs_chair_device **now,
			 bool *fresh, unsigned *moved_to)
{
	for (unsigned k = 0; k < VS_ENGINE_DEVICES; k++)
		moved_to[k] = VS_ENGINE_DEVICES;
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; k < c->n_devices && !now[i]; k++)
			if (moved_to[k] == VS_ENGINE_DEVICES &&
			    vs_device_config_equal(c->devices[k]->config, &cfg->devices[i])) {
				now[i] = c->devices[k];
				moved_to[k] = i;
			}
		fresh[i] = !now[i];
		if (fresh[i] && !(now[i] = device_new(c, &cfg->devices[i]))) {
			while (i--)
				if (fresh[i])
					free(now[i]);
			return -ENOMEM;
		}
	}
	for (unsigned i = 0; i < n; i++)
		now[i]->config = &cfg->devices[i];
	return 0;
}

/* What a device that is gone said last is nobody's word any more. */
static void keep_values(struct vs_chair *c, const unsigned *moved_to)
{
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++) {
		struct vs_chair_value *v = &c->values[m];
		v->known = v->known && moved_to[v->device] < VS_ENGINE_DEVICES;
		if (v->known)
			v->device = moved_to[v->device];
	}
}

/* The configuration that will be in force, and room for what it needs; NULL: no memory. */
static struct vs_engine_config *make_room(struct vs_chair *c, const struct vs_chair_config *cfg,
					  const struct vs_limit_set *set)
{
	struct vs_engine_config *e = engine_config(c->daemon, cfg, set);
	size_t has = vs_watch_size(c->engine_config), needs = e ? vs_watch_size(e) : 0;
	struct vs_watch *larger = needs > has ? realloc(c->watch, needs) : c->watch;
	if (!e || !larger) {
		free(e);
		return NULL;
	}
	c->watch = larger;
	return e;
}

int vs_chair_reconfigure(struct vs_chair *c, const struct vs_chair_config *cfg, const struct vs_limit_set *set)
{
	struct vs_engine_config *other = make_room(c, cfg, set);
	struct vs_chair_device *now[VS_ENGINE_DEVICES] = { NULL };
	bool fresh[VS_ENGINE_DEVICES];
	unsigned moved_to[VS_ENGINE_DEVICES], n = cfg->n_devices;
	int r = other ? match_devices(c, cfg, n, now, fresh, moved_to) : -ENOMEM;
	if (r < 0) {
		free(other);
		return r;
	}
	for (unsigned k = 0; k < c->n_devices; k++) {
		if (moved_to[k] < VS_ENGINE_DEVICES)
			continue;
		vs_device_close(c->devices[k]->device);
		free(c->devices[k]);
	}
	keep_values(c, moved_to);
	memcpy(c->devices, now, sizeof now);
	c->n_devices = n;
	snprintf(c->limits, sizeof c->limits, "%s", cfg->limits);
	if (!same_annunciator(c->annunciator_config, cfg->annunciator))
		annunciate(c, cfg->annunciator);
	c->annunciator_config = cfg->annunciator;
	vs_outbox_begin(c->daemon->outbox);
	vs_watch_reconfigure(c->watch, other, vs_boottime_ms(), vs_wall_ms(), &effects, on_event, c);
	free(c->engine_config);
	c->engine_config = other;
	step_done(c, vs_boottime_ms(), vs_wall_ms());
	for (unsigned i = 0; i < n; i++)
		if (fresh[i])
			device_start(c->devices[i]);
	return 0;
}
