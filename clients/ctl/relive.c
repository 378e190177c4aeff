#include "clients/ctl/relive.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/timetext.h"

#define BEFORE_MS (60 * 60000)
#define WORD_MAX 32
#define SAME_BOOT_MS 5000 /* further apart, and an engine that comes back believes the wall clock (alarms/save.c) */

enum step_kind { STEP_READING, STEP_EVENT, STEP_RESTART };

struct step {
	enum step_kind kind;
	enum vs_kind event;
	int64_t at_ms, wall_ms;
	size_t order;
	unsigned device;
	unsigned limits;           /* that the message names, from 1; 0: none.  Of a restart: that its first message names */
	const json_t *devices;     /* likewise */
	struct vs_reading *reading;
	char (*words)[WORD_MAX]; /* of the reading's observations, where it has any */
	json_t *body;
};

struct device {
	char id[40];
	int64_t last_ms;
	uint32_t gaps[256]; /* between the first readings */
	unsigned n_gaps;
};

struct vs_relive {
	char session[40];
	int64_t from_ms, to_ms;
	uint64_t epoch;
	/* the clock of the item before: how it reads, and what is added for at_ms */
	bool by_boot;
	int64_t key_ms, last_wall_ms, last_ms, shift_ms;
	int64_t from_wall_ms;
	struct step *steps;
	size_t n_steps, cap_steps;
	struct device devices[VS_ENGINE_DEVICES];
	unsigned n_devices;
	struct vs_relive_alarms recorded;
	struct vs_relive_limits *limits;
	unsigned n_limits;
};

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

static double number_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	return json_is_number(v) ? json_number_value(v) : NAN;
}

/* ---- alarms as lists --------------------------------------------------------------------------------------------- */

static json_t *object_of(const char *json, size_t len)
{
	if (len && json[0] == '{')
		return json_loadb(json, len, 0, NULL);
	char *all = malloc(len + 3);
	if (!all)
		return NULL;
	snprintf(all, len + 3, "{%.*s}", (int)len, json);
	json_t *o = json_loads(all, 0, NULL);
	free(all);
	return o;
}

static int note(struct vs_relive_alarms *to, int64_t at_ms, const json_t *o)
{
	if (to->len == to->cap) {
		size_t cap = to->cap * 2 + 32;
		struct vs_relive_alarm *more = realloc(to->at, cap * sizeof *more);
		if (!more)
			return -ENOMEM;
		to->at = more;
		to->cap = cap;
	}
	struct vs_relive_alarm *a = &to->at[to->len++];
	*a = (struct vs_relive_alarm){ .at_ms = at_ms, .value = number_of(o, "value"), .limit = number_of(o, "limit") };
	snprintf(a->id, sizeof a->id, "%s", text_of(o, "alarm"));
	snprintf(a->rule, sizeof a->rule, "%s", text_of(o, "rule"));
	snprintf(a->device, sizeof a->device, "%s", text_of(o, "device"));
	snprintf(a->priority, sizeof a->priority, "%s", text_of(o, "priority"));
	snprintf(a->change, sizeof a->change, "%s", text_of(o, "change"));
	snprintf(a->by, sizeof a->by, "%s", text_of(o, "by"));
	snprintf(a->text, sizeof a->text, "%s", text_of(o, "text"));
	return 0;
}

int vs_relive_note(struct vs_relive_alarms *to, int64_t at_ms, const char *json, size_t len)
{
	json_t *o = object_of(json, len);
	int r = o ? note(to, at_ms, o) : -EINVAL;
	json_decref(o);
	return r;
}

void vs_relive_forget(struct vs_relive_alarms *a)
{
	free(a->at);
	*a = (struct vs_relive_alarms){ NULL, 0, 0 };
}

/* ---- reading the log --------------------------------------------------------------------------------------------- */

/* At the time of the item at hand. */
static struct step *add_step(struct vs_relive *r, enum step_kind kind)
{
	if (r->n_steps == r->cap_steps) {
		size_t cap = r->cap_steps * 2 + 1024;
		struct step *more = realloc(r->steps, cap * sizeof *more);
		if (!more)
			return NULL;
		r->steps = more;
		r->cap_steps = cap;
	}
	struct step *s = &r->steps[r->n_steps];
	*s = (struct step){ .kind = kind, .at_ms = r->last_ms, .wall_ms = r->last_wall_ms, .order = r->n_steps };
	r->n_steps++;
	return s;
}

/* Index of a device; VS_ENGINE_DEVICES: one too many, which the daemon could not have watched. */
static unsigned device_of(struct vs_relive *r, const char *id)
{
	unsigned i = 0;
	while (i < r->n_devices && strcmp(r->devices[i].id, id) != 0)
		i++;
	if (i == r->n_devices && i < VS_ENGINE_DEVICES)
		snprintf(r->devices[r->n_devices++].id, sizeof r->devices[i].id, "%s", id);
	return i;
}

static void note_gap(struct device *d, int64_t at_ms)
{
	if (d->last_ms && at_ms > d->last_ms && d->n_gaps < sizeof d->gaps / sizeof *d->gaps)
		d->gaps[d->n_gaps++] = (uint32_t)(at_ms - d->last_ms);
	d->last_ms = at_ms;
}

/* What the device sent: without what the engine derived or remarked at the time. */
static int copy_reading(struct step *s, const struct vs_reading *from)
{
	struct vs_reading *to = s->reading = calloc(1, sizeof *to);
	s->words = calloc(VS_READING_MAX, sizeof *s->words);
	if (!to || !s->words)
		return -ENOMEM;
	to->flags = from->flags;
	for (unsigned i = 0; i < from->len; i++) {
		if (from->obs[i].metric == VS_RPP)
			continue;
		struct vs_obs *o = &to->obs[to->len];
		*o = from->obs[i];
		o->flags &= ~VS_FLAG(SUSPECT);
		if (o->word) {
			snprintf(s->words[to->len], WORD_MAX, "%s", o->word);
			o->word = s->words[to->len];
		}
		to->len++;
	}
	return 0;
}

static int take_reading(struct vs_relive *r, const struct vs_log_item *item)
{
	unsigned device = device_of(r, item->device);
	struct step *s = device < VS_ENGINE_DEVICES ? add_step(r, STEP_READING) : NULL;
	if (device == VS_ENGINE_DEVICES)
		return 0;
	if (!s)
		return -ENOMEM;
	s->device = device;
	note_gap(&r->devices[device], s->at_ms);
	return copy_reading(s, item->reading);
}

/* "rejected as no measurement: nibp_sys 310, nibp_dia 20": back into the reading it was taken from. */
static void put_back(struct vs_relive *r, const char *device, const char *detail)
{
	static const char begin[] = "rejected as no measurement: ";
	if (strncmp(detail, begin, sizeof begin - 1) != 0)
		return;
	unsigned d = device_of(r, device);
	size_t i = r->n_steps;
	while (i > 0 && !(r->steps[i - 1].kind == STEP_READING && r->steps[i - 1].device == d))
		i--;
	struct vs_reading *to = i ? r->steps[i - 1].reading : NULL;
	for (const char *p = detail + sizeof begin - 1; to && *p; p += strcspn(p, ","), p += strspn(p, ", ")) {
		size_t len = strcspn(p, " ");
		enum vs_metric m = vs_metric_by_name(p, len);
		for (unsigned k = 0; k < to->len; k++)
			if (to->obs[k].metric == m && !to->obs[k].has_value) {
				to->obs[k].has_value = true;
				to->obs[k].value = strtod(p + len, NULL);
				to->obs[k].flags &= ~VS_FLAG(INVALID);
			}
	}
}

/* A fault began as long before its alarm as the alarm waited. */
static int64_t waited_ms(const json_t *body)
{
	double waited = number_of(json_object_get(body, "because"), "waited_s");
	bool fault = strcmp(text_of(body, "class"), "technical") == 0 && strcmp(text_of(body, "change"), "raised") == 0;
	return fault && waited > 0 ? (int64_t)(waited * 1000) : 0;
}

/* The number of the limits that a message names, from 1; 0: it names none, or there is no memory. */
static unsigned limits_of(struct vs_relive *r, const json_t *body)
{
	const char *name = text_of(body, "limits"), *hash = text_of(body, "limits_hash");
	if (!*name || !*hash)
		return 0;
	for (unsigned i = 0; i < r->n_limits; i++)
		if (strcmp(r->limits[i].name, name) == 0 && strcmp(r->limits[i].hash, hash) == 0)
			return i + 1;
	struct vs_relive_limits *more = realloc(r->limits, (r->n_limits + 1) * sizeof *more);
	if (!more)
		return 0;
	r->limits = more;
	snprintf(more[r->n_limits].name, sizeof more->name, "%s", name);
	snprintf(more[r->n_limits].hash, sizeof more->hash, "%s", hash);
	return ++r->n_limits;
}

static int take_event(struct vs_relive *r, const struct vs_log_item *item)
{
	json_t *body = json_loadb(item->json, item->json_len, 0, NULL);
	bool inside = item->session && strcmp(item->session, r->session) == 0;
	if (!body)
		return 0;
	if (item->kind == VS_KIND_DEVICE) {
		(void)device_of(r, text_of(body, "device"));
		put_back(r, text_of(body, "device"), text_of(body, "detail"));
	}
	if (item->kind == VS_KIND_ALARM && inside && note(&r->recorded, r->last_ms, body) < 0) {
		json_decref(body);
		return -ENOMEM;
	}
	if (inside && item->kind == VS_KIND_SESSION && !r->from_wall_ms) {
		r->from_ms = r->last_ms;
		r->from_wall_ms = item->wall_ms;
	}
	if (item->kind != VS_KIND_ALARM && item->kind != VS_KIND_SESSION && item->kind != VS_KIND_ENTRY) {
		json_decref(body);
		return 0;
	}
	struct step *s = add_step(r, STEP_EVENT);
	if (!s) {
		json_decref(body);
		return -ENOMEM;
	}
	s->event = item->kind;
	s->body = body;
	s->at_ms -= waited_ms(body);
	s->wall_ms -= waited_ms(body);
	if (item->kind == VS_KIND_SESSION && inside) {
		s->limits = limits_of(r, body);
		s->devices = json_object_get(body, "devices");
	}
	return 0;
}

/* What the clock reads at an item.  In another epoch it may have begun anew (the machine was started), or the log may not say how
 * it read: then it went on for as long as the wall clock did. */
static void tell_time(struct vs_relive *r, const struct vs_log_item *item)
{
	bool by_boot = item->boot_ms > 0;
	int64_t key = by_boot ? item->boot_ms : item->wall_ms;
	if (r->epoch && (item->epoch != r->epoch || by_boot != r->by_boot)) {
		int64_t apart = key - r->key_ms, wall_apart = item->wall_ms - r->last_wall_ms;
		bool same_boot = by_boot && r->by_boot && apart >= 0 && llabs(apart - wall_apart) < SAME_BOOT_MS;
		if (!same_boot)
			r->shift_ms = r->last_ms + (wall_apart > 0 ? wall_apart : 0) - key;
	}
	r->by_boot = by_boot;
	r->key_ms = key;
	r->last_wall_ms = item->wall_ms;
	r->last_ms = key + r->shift_ms;
}

static int take(void *arg, const struct vs_log_item *item)
{
	struct vs_relive *r = arg;
	bool restarted = r->epoch && item->epoch != r->epoch;
	tell_time(r, item);
	if (restarted && !add_step(r, STEP_RESTART))
		return -ENOMEM;
	r->epoch = item->epoch;
	if (r->last_ms > r->to_ms)
		r->to_ms = r->last_ms;
	return item->kind == VS_KIND_VITALS ? take_reading(r, item) : take_event(r, item);
}

static int by_time(const void *a, const void *b)
{
	const struct step *x = a, *y = b;
	if (x->at_ms != y->at_ms)
		return x->at_ms < y->at_ms ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* From here on times are those of the wall clock as it was when the session began. */
static void set_clock(struct vs_relive *r)
{
	int64_t by = r->from_wall_ms - r->from_ms;
	for (size_t i = 0; i < r->n_steps; i++)
		r->steps[i].at_ms += by;
	for (size_t i = 0; i < r->recorded.len; i++)
		r->recorded.at[i].at_ms += by;
	r->from_ms += by;
	r->to_ms += by;
}

/* A daemon starts with the configuration that its first message names. */
static void configure_restarts(struct vs_relive *r)
{
	unsigned limits = 0;
	const json_t *devices = NULL;
	for (size_t i = r->n_steps; i > 0; i--) {
		struct step *s = &r->steps[i - 1];
		if (s->limits) {
			limits = s->limits;
			devices = s->devices;
		}
		if (s->kind == STEP_RESTART || i == 1) {
			s->limits = s->limits ? s->limits : limits;
			s->devices = s->devices ? s->devices : devices;
		}
		if (s->kind == STEP_RESTART)
			limits = 0, devices = NULL;
	}
}

int vs_relive_load(struct vs_log *log, const char *session, struct vs_relive **ret)
{
	struct vs_relive *r = calloc(1, sizeof *r);
	if (!r)
		return -ENOMEM;
	snprintf(r->session, sizeof r->session, "%s", session);
	int e = vs_log_items(log, session, BEFORE_MS, take, r);
	if (e < 0) {
		vs_relive_free(r);
		return e;
	}
	if (r->n_steps)
		qsort(r->steps, r->n_steps, sizeof *r->steps, by_time);
	set_clock(r);
	configure_restarts(r);
	*ret = r;
	return 0;
}

void vs_relive_free(struct vs_relive *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_steps; i++) {
		free(r->steps[i].reading);
		free(r->steps[i].words);
		json_decref(r->steps[i].body);
	}
	free(r->steps);
	free(r->limits);
	vs_relive_forget(&r->recorded);
	free(r);
}

int64_t vs_relive_from_ms(const struct vs_relive *r)
{
	return r->from_ms;
}

int64_t vs_relive_to_ms(const struct vs_relive *r)
{
	return r->to_ms;
}

const struct vs_relive_limits *vs_relive_limits(const struct vs_relive *r, unsigned *ret_n)
{
	*ret_n = r->n_limits;
	return r->limits;
}

const struct vs_relive_alarms *vs_relive_recorded(const struct vs_relive *r)
{
	return &r->recorded;
}

/* ---- running it -------------------------------------------------------------------------------------------------- */

struct run {
	const struct vs_relive *r;
	const struct vs_session_data *data;
	vs_relive_tell *tell;
	void *ctx;
	const struct vs_limit_set *const *sets;
	unsigned n_sets;
	struct vs_engine_config configs[2], *config; /* the one in force */
	unsigned limits;                             /* as a step names them */
	const json_t *devices;
	unsigned place[VS_ENGINE_DEVICES];           /* of the log's devices in `config`; VS_ENGINE_DEVICES: not there */
	uint64_t next_alarm;
	struct vs_watch watch;
	struct vs_effects effects;
	struct vs_session_answer answer;
	int64_t now_ms, wall_ms, end_ms; /* end: of what the log has */
	int64_t pause_ms, resume_ms; /* of the last command of its kind: one command, many messages */
	size_t saved_len;            /* what a restart finds: the state after the last step that changed what is durable */
	uint8_t saved[VS_WATCH_SAVED_MAX];
};

static bool same_message(const struct vs_relive_alarm *a, const struct vs_relive_alarm *b)
{
	int64_t apart = a->at_ms - b->at_ms;
	return apart <= VS_RELIVE_SAME_MS && apart >= -VS_RELIVE_SAME_MS && strcmp(a->rule, b->rule) == 0 &&
	       strcmp(a->device, b->device) == 0 && strcmp(a->change, b->change) == 0 && strcmp(a->priority, b->priority) == 0;
}

/* Behind the end of the log only what stands in it counts: its last alarm may have come a few ms after all else that was recorded. */
static bool was_recorded(const struct run *run, int64_t at_ms, const char *body, size_t len)
{
	struct vs_relive_alarms one = { 0 };
	bool found = false;
	if (vs_relive_note(&one, at_ms, body, len) == 0)
		for (size_t i = 0; i < run->r->recorded.len && !found; i++)
			found = same_message(&run->r->recorded.at[i], &one.at[0]);
	vs_relive_forget(&one);
	return found;
}

static void emit(void *ctx, enum vs_kind kind, uint64_t at_ms, int64_t wall_ms, const char *body, size_t len)
{
	struct run *run = ctx;
	(void)wall_ms;
	if (strcmp(run->watch.session.id, run->r->session) != 0)
		return;
	if ((int64_t)at_ms <= run->end_ms || (kind == VS_KIND_ALARM && was_recorded(run, (int64_t)at_ms, body, len)))
		run->tell(run->ctx, kind, (int64_t)at_ms, body, len);
}

static void keep_state(struct run *run)
{
	if (run->effects.durable)
		run->saved_len = vs_watch_save(&run->watch, (uint64_t)run->now_ms, run->wall_ms, run->saved, sizeof run->saved);
}

static void send(struct run *run, struct vs_stimulus *s)
{
	s->at_ms = (uint64_t)run->now_ms;
	s->wall_ms = run->wall_ms;
	vs_watch_stimulus(&run->watch, s, &run->effects, emit, run);
	keep_state(run);
}

static bool command(struct run *run, struct vs_session_command *c, const json_t *body)
{
	snprintf(c->operator, sizeof c->operator, "%s", text_of(body, "operator"));
	snprintf(c->reason, sizeof c->reason, "%s", text_of(body, "reason"));
	c->strictness = VS_STRICT_NOT;
	vs_watch_command(&run->watch, c, (uint64_t)run->now_ms, run->wall_ms, &run->answer, &run->effects, emit, run);
	keep_state(run);
	return run->answer.accepted;
}

/* The baseline that was frozen at the time stands, also where its readings lie before the part that is read. */
static void keep_baseline(struct run *run, const json_t *body)
{
	struct vs_session *s = &run->watch.session;
	struct vs_baseline b = { .len = 0 };
	const char *name;
	json_t *given = json_object_get(body, "baseline"), *v;
	bool other = false;
	json_object_foreach(given, name, v) {
		enum vs_metric m = vs_metric_by_name(name, strlen(name));
		double have;
		if (m == VS_METRIC_NONE || !json_is_number(v) || b.len == VS_BASELINE_MAX)
			continue;
		other |= !vs_session_baseline(s, m, &have) || fabs(have - json_number_value(v)) > 0.05;
		b.at[b.len].metric = m;
		b.at[b.len++].value = json_number_value(v);
	}
	if (!other)
		return;
	s->has_baseline = true;
	for (s->n_baseline = 0; s->n_baseline < b.len && s->n_baseline < VS_SESSION_BASELINE; s->n_baseline++) {
		s->baseline[s->n_baseline].metric = b.at[s->n_baseline].metric;
		s->baseline[s->n_baseline].value = b.at[s->n_baseline].value;
	}
	struct vs_stimulus st = { .kind = VS_ST_BASELINE, .baseline = &b };
	send(run, &st);
}

static void open_session(struct run *run, const json_t *body)
{
	struct vs_session_command c = { .verb = VS_VERB_OPEN };
	double kg = number_of(body, "weight_kg");
	snprintf(c.session, sizeof c.session, "%s", text_of(body, "session"));
	snprintf(c.patient, sizeof c.patient, "%s", text_of(body, "patient"));
	snprintf(c.protocol, sizeof c.protocol, "%s", text_of(body, "protocol"));
	c.weight.v = kg > 0 ? kg : 0;
	if (command(run, &c, body) || !c.protocol[0])
		return;
	c.protocol[0] = '\0'; /* a preset of the clinic's own, which is not at hand */
	(void)command(run, &c, body);
}

static void do_session(struct run *run, const json_t *body)
{
	const char *phase = text_of(body, "phase"), *session = text_of(body, "session");
	if (*session && strcmp(run->watch.session.id, session) != 0 && strcmp(phase, "screening") == 0) {
		open_session(run, body);
		return;
	}
	if (!*text_of(body, "from"))
		return; /* followed by itself */
	struct vs_session_command c = { .verb = VS_VERB_PHASE, .phase = vs_phase_by_name(phase, strlen(phase)) };
	if (c.phase >= VS_PHASE_COUNT)
		return;
	if (c.phase != run->watch.session.phase) /* an urgent entry led there by itself */
		(void)command(run, &c, body);
	keep_baseline(run, body);
}

static void do_limit(struct run *run, const json_t *body)
{
	struct vs_stimulus s = { .kind = VS_ST_LIMIT, .rule = text_of(body, "rule"), .reason = text_of(body, "note"),
				 .operator = text_of(body, "operator"), .value = number_of(body, "value") };
	if (json_is_true(json_object_get(body, "from_set")))
		s.value = NAN;
	send(run, &s);
}

/* The words of an entry, as a person typed them. */
static void do_entry(struct run *run, const json_t *body)
{
	struct vs_session_command c = { .verb = VS_VERB_ENTRY, .kind = vs_entry_by_name(text_of(body, "entry")) };
	static const char *const keys[] = { "item", "value", "unit", "severity", "route" };
	const char *item = text_of(body, "item");
	bool scored = c.kind == VS_ENTRY_MED || c.kind == VS_ENTRY_RATE || c.kind == VS_ENTRY_BOLUS;
	if (strcmp(text_of(body, "entry"), "limit-change") == 0)
		do_limit(run, body);
	if (c.kind == VS_ENTRY_COUNT)
		return;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const json_t *v = json_object_get(body, keys[i]);
		char number[32] = "";
		const char *word = json_is_string(v) ? json_string_value(v) : number;
		size_t at = strlen(c.value);
		if (json_is_number(v))
			snprintf(number, sizeof number, "%.10g", json_number_value(v));
		bool again = i > 0 && strcmp(word, item) == 0; /* a drug or an event without a number is its own value */
		if (*word && !again && (scored || strcmp(keys[i], "unit") != 0))
			snprintf(c.value + at, sizeof c.value - at, "%s%s", at ? " " : "", word);
	}
	snprintf(c.note, sizeof c.note, "%s", text_of(body, "note"));
	c.corrects = (uint32_t)json_integer_value(json_object_get(body, "corrects"));
	(void)command(run, &c, body);
}

/* The alarm of that rule and device which stands now; 0: none does. */
static uint64_t standing(const struct run *run, const json_t *body)
{
	struct vs_effect f;
	unsigned iterator = 0;
	const char *device = text_of(body, "device");
	while (vs_engine_next_alarm(&run->watch.engine, &iterator, &f)) {
		bool technical = strcmp(text_of(body, "class"), "technical") == 0;
		if (strcmp(f.u.alarm.rule->id, text_of(body, "rule")) == 0 &&
		    (!technical || !f.u.alarm.device || strcmp(f.u.alarm.device, device) == 0))
			return f.u.alarm.number;
	}
	return 0;
}

static void do_fault(struct run *run, const json_t *body, bool on)
{
	const struct vs_limit_set *set = run->config->set;
	struct vs_stimulus s = { .kind = VS_ST_FAULT, .on = on, .value = number_of(body, "value") };
	for (unsigned i = 0; i < set->n_rules; i++) {
		const struct vs_rule *rule = &set->rules[i];
		if (rule->type != VS_RULE_FAULT || strcmp(rule->id, text_of(body, "rule")) != 0)
			continue;
		s.fault = rule->fault;
		if (on || s.fault != VS_FAULT_CLOCK) /* a step is over by itself */
			send(run, &s);
	}
}

/* Of what the alarms did at the time only that counts which somebody or something else did to them. */
static void do_alarm(struct run *run, const json_t *body)
{
	const char *change = text_of(body, "change"), *by = text_of(body, "by");
	struct vs_stimulus s = { .operator = by };
	int64_t until_ms;
	if (strcmp(change, "raised") == 0 || strcmp(change, "cleared") == 0) {
		do_fault(run, body, change[0] == 'r');
	} else if (strcmp(change, "acknowledged") == 0 && *by) {
		s.kind = VS_ST_ACK;
		s.alarm = standing(run, body);
		if (s.alarm)
			send(run, &s);
	} else if (strcmp(change, "audio_paused") == 0 && *by && run->pause_ms != run->now_ms) {
		s.kind = VS_ST_PAUSE;
		if (vs_time_parse(text_of(body, "paused_until"), &until_ms) && until_ms > run->wall_ms)
			s.for_ms = (uint32_t)(until_ms - run->wall_ms);
		run->pause_ms = run->now_ms;
		send(run, &s);
	} else if (strcmp(change, "resumed") == 0 && *by && run->resume_ms != run->now_ms) {
		s.kind = VS_ST_RESUME;
		run->resume_ms = run->now_ms;
		send(run, &s);
	}
}

static void do_reading(struct run *run, const struct step *step)
{
	struct vs_stimulus s = { .kind = VS_ST_READING, .device = run->place[step->device], .reading = step->reading,
				 .nibp = VS_NIBP_ON_CHANGE };
	if (s.device >= run->config->n_devices)
		return; /* of another configuration */
	/* Published cuff values were new ones: the others were left out. */
	for (unsigned i = 0; i < step->reading->len; i++)
		if (vs_metric_is_nibp(step->reading->obs[i].metric) && step->reading->obs[i].has_value)
			s.nibp = VS_NIBP_NEW;
	send(run, &s);
}

static uint32_t quiet_ms(const struct device *from);

/* A device of the configuration that a message names. */
static void add_device(struct run *run, struct vs_engine_config *c, const char *id, double poll_s)
{
	const struct vs_relive *r = run->r;
	unsigned d = 0;
	while (d < r->n_devices && strcmp(r->devices[d].id, id) != 0)
		d++;
	if (d == r->n_devices || run->place[d] < VS_ENGINE_DEVICES || c->n_devices == VS_ENGINE_DEVICES)
		return;
	run->place[d] = c->n_devices;
	c->devices[c->n_devices].id = r->devices[d].id;
	c->devices[c->n_devices].period_ms = poll_s > 0 ? (uint32_t)(poll_s * 1000 + 0.5) : 0;
	c->devices[c->n_devices].quiet_ms = poll_s > 1 ? c->devices[c->n_devices].period_ms : 0;
	c->n_devices++;
}

/* The configuration that is named, into the one of the two that is not in force. */
static struct vs_engine_config *configure(struct run *run, unsigned limits, const json_t *devices)
{
	struct vs_engine_config *c = run->config == &run->configs[0] ? &run->configs[1] : &run->configs[0];
	const json_t *one;
	size_t i;
	unsigned set = limits && limits <= run->n_sets ? limits - 1 : 0;
	*c = (struct vs_engine_config){ .set = run->sets[set], .next_alarm = &run->next_alarm };
	for (unsigned d = 0; d < VS_ENGINE_DEVICES; d++)
		run->place[d] = VS_ENGINE_DEVICES;
	json_array_foreach(devices, i, one)
		add_device(run, c, text_of(one, "device"), number_of(one, "poll_s"));
	for (unsigned d = 0; !devices && d < run->r->n_devices; d++) { /* a log of before */
		run->place[d] = c->n_devices;
		c->devices[c->n_devices].id = run->r->devices[d].id;
		c->devices[c->n_devices++].quiet_ms = quiet_ms(&run->r->devices[d]);
	}
	run->limits = limits;
	run->devices = devices;
	return c;
}

/* A message names limits and devices: the daemon had just been given them, or nothing changed. */
static void follow_configuration(struct run *run, const struct step *step)
{
	bool same = json_equal(step->devices, run->devices) || (!step->devices && !run->devices);
	if (!step->limits || (step->limits == run->limits && same))
		return;
	struct vs_engine_config *c = configure(run, step->limits, step->devices ? step->devices : run->devices);
	vs_watch_reconfigure(&run->watch, c, (uint64_t)run->now_ms, run->wall_ms, &run->effects, emit, run);
	run->config = c;
	keep_state(run);
}

static void restart(struct run *run, const struct step *step)
{
	struct vs_stimulus time = { .kind = VS_ST_TIME };
	const char *why;
	uint64_t at_ms = (uint64_t)run->now_ms;
	uint64_t was_ms = run->watch.engine.now_ms < at_ms ? run->watch.engine.now_ms : at_ms;
	run->config = configure(run, step->limits ? step->limits : run->limits, step->devices ? step->devices : run->devices);
	vs_watch_init(&run->watch, run->config, run->data, at_ms);
	if (run->saved_len)
		(void)vs_watch_restore(&run->watch, run->saved, run->saved_len, at_ms, run->wall_ms, &why, emit, run);
	vs_watch_was_blind(&run->watch, at_ms - was_ms, at_ms, run->wall_ms, emit, run);
	send(run, &time);
}

static void do_step(struct run *run, const struct step *step)
{
	run->now_ms = step->at_ms;
	run->wall_ms = step->wall_ms;
	if (step->kind == STEP_EVENT)
		follow_configuration(run, step);
	if (step->kind == STEP_READING)
		do_reading(run, step);
	else if (step->kind == STEP_RESTART)
		restart(run, step);
	else if (step->event == VS_KIND_SESSION)
		do_session(run, step->body);
	else if (step->event == VS_KIND_ENTRY)
		do_entry(run, step->body);
	else
		do_alarm(run, step->body);
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* A device that is asked less often than every 1.5 s may be silent for as long as its polls are apart. */
static uint32_t quiet_ms(const struct device *from)
{
	struct device d = *from;
	if (d.n_gaps < 4)
		return 0;
	qsort(d.gaps, d.n_gaps, sizeof *d.gaps, by_size);
	uint32_t middle = d.gaps[d.n_gaps / 2];
	return middle > 1500 ? middle : 0;
}

static struct run *begin(const struct vs_relive *r, const struct vs_limit_set *const *sets, unsigned n, const struct vs_session_data *data)
{
	struct run *run = calloc(1, sizeof *run);
	const struct step *first = r->n_steps ? &r->steps[0] : NULL;
	if (!run)
		return NULL;
	run->r = r;
	run->data = data;
	run->next_alarm = 1;
	run->sets = sets;
	run->n_sets = n;
	run->config = configure(run, first ? first->limits : 0, first ? first->devices : NULL);
	vs_watch_init(&run->watch, run->config, data, first ? (uint64_t)first->at_ms : 0);
	return run;
}

static void run_until(struct run *run, int64_t to_ms)
{
	const struct vs_relive *r = run->r;
	for (size_t i = 0; i < r->n_steps && r->steps[i].at_ms <= to_ms; i++)
		do_step(run, &r->steps[i]);
	if (r->n_steps && to_ms > run->now_ms) {
		struct vs_stimulus time = { .kind = VS_ST_TIME };
		run->wall_ms += to_ms - run->now_ms;
		run->now_ms = to_ms;
		send(run, &time);
	}
}

int vs_relive_run(const struct vs_relive *r, const struct vs_limit_set *const *sets, unsigned n, const struct vs_session_data *data,
	vs_relive_tell *tell, void *ctx)
{
	struct run *run = begin(r, sets, n, data);
	if (!run)
		return -ENOMEM;
	run->tell = tell;
	run->ctx = ctx;
	run->end_ms = r->n_steps && r->steps[r->n_steps - 1].at_ms > r->to_ms ? r->steps[r->n_steps - 1].at_ms : r->to_ms;
	run_until(run, run->end_ms + VS_RELIVE_SAME_MS);
	free(run);
	return 0;
}

static void tell_nobody(void *ctx, enum vs_kind kind, int64_t at_ms, const char *body, size_t len)
{
	(void)ctx, (void)kind, (void)at_ms, (void)body, (void)len;
}

int vs_relive_why(const struct vs_relive *r, const struct vs_limit_set *const *sets, unsigned n, const struct vs_session_data *data,
	int64_t at_ms, struct vs_json *j)
{
	struct run *run = begin(r, sets, n, data);
	if (!run)
		return -ENOMEM;
	run->tell = tell_nobody;
	run->end_ms = at_ms;
	run_until(run, at_ms);
	vs_engine_why(&run->watch.engine, (uint64_t)run->now_ms, run->wall_ms, j);
	free(run);
	return 0;
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static bool same_number(double a, double b, double within)
{
	return (isnan(a) && isnan(b)) || fabs(a - b) < within;
}

int vs_relive_compare(const struct vs_relive_alarms *then, const struct vs_relive_alarms *now,
	void (*tell)(void *ctx, enum vs_relive_difference d, const struct vs_relive_alarm *then,
		const struct vs_relive_alarm *now), void *ctx)
{
	const struct vs_relive_alarm **match = calloc(then->len + 1, sizeof *match);
	bool *used = calloc(now->len + 1, sizeof *used);
	int n = 0;
	size_t i, k;
	for (i = 0; match && used && i < then->len; i++)
		for (k = 0; k < now->len && !match[i]; k++)
			if (!used[k] && same_message(&then->at[i], &now->at[k])) {
				match[i] = &now->at[k];
				used[k] = true;
			}
	for (i = k = 0; match && used && (i < then->len || k < now->len);) {
		if (k < now->len && used[k]) {
			k++;
		} else if (i == then->len || (k < now->len && now->at[k].at_ms < then->at[i].at_ms)) {
			tell(ctx, VS_RELIVE_EXTRA, NULL, &now->at[k++]);
			n++;
		} else if (!match[i]) {
			tell(ctx, VS_RELIVE_MISSING, &then->at[i++], NULL);
			n++;
		} else {
			if (!same_number(then->at[i].value, match[i]->value, VS_RELIVE_SAME_VALUE) ||
			    !same_number(then->at[i].limit, match[i]->limit, 1e-6)) {
				tell(ctx, VS_RELIVE_OTHER_NUMBERS, &then->at[i], match[i]);
				n++;
			}
			i++;
		}
	}
	n = match && used ? n : -ENOMEM;
	free(match);
	free(used);
	return n;
}
