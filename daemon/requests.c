/* What people ask over the control socket (docs/control.md).  One line of JSON in, one line out. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/chair.h"
#include "daemon/clock.h"
#include "daemon/retention.h"
#include "daemon/say.h"

#define ANSWER_MAX 65536

/* One request on its way through. */
struct request {
	struct vs_daemon *daemon;
	const struct vs_peer *peer;
	const json_t *json;
	struct vs_chair *chair; /* where the request needs one */
	const char *op;
	char operator[VS_WHO_CAP];
};

static const char *text_of(const struct request *q, const char *key)
{
	return json_string_value(json_object_get(q->json, key));
}

/* {"ok":true,...members...} */
struct answer {
	struct vs_json j;
	char *text;
	const struct vs_daemon *daemon;
};

static bool answer_open(const struct request *q, struct answer *a)
{
	a->daemon = q->daemon;
	a->text = malloc(ANSWER_MAX);
	if (!a->text)
		return false;
	a->j = vs_json_into(a->text, ANSWER_MAX);
	vs_json_open(&a->j, '{');
	vs_json_key(&a->j, "ok"), vs_json_bool(&a->j, true);
	return true;
}

/* waiting: events that a restart would forget, because the log cannot be written and custody is full; left out at none. */
static char *answer_close(struct answer *a)
{
	if (vs_outbox_waiting(a->daemon->outbox))
		vs_json_key(&a->j, "waiting"), vs_json_uint(&a->j, vs_outbox_waiting(a->daemon->outbox));
	vs_json_close(&a->j, '}');
	if (!vs_json_failed(&a->j))
		return a->text;
	free(a->text);
	return vs_daemon_error("the answer is too long");
}

static void put_session(struct vs_json *j, const struct vs_chair *c)
{
	vs_json_key(j, "chair"), vs_json_string(j, c->id);
	vs_json_key(j, "session"), vs_json_string(j, c->watch->session.id[0] ? c->watch->session.id : NULL);
	vs_json_key(j, "phase"), vs_json_string(j, vs_phase_name(c->watch->session.phase));
	vs_json_key(j, "limits_in_force"); /* what the baseline made of them */
	vs_json_open(j, '{');
	vs_engine_limits(&c->watch->engine, j);
	vs_json_close(j, '}');
	vs_json_key(j, "session_state");
	vs_json_open(j, '{');
	vs_session_body(j, &c->watch->session, NULL, vs_boottime_ms());
	vs_json_close(j, '}');
}

/* ---- the session ---- */

static char *refused(const struct vs_session_answer *a)
{
	char *text = malloc(ANSWER_MAX), words[1024];
	if (!text)
		return NULL;
	struct vs_json j = vs_json_into(text, ANSWER_MAX);
	vs_json_open(&j, '{');
	vs_json_key(&j, "ok"), vs_json_bool(&j, false);
	vs_gate_findings_text(&a->findings, words, sizeof words);
	vs_json_key(&j, "error"), vs_json_string(&j, words);
	vs_refusal_body(&j, a);
	vs_json_close(&j, '}');
	return text;
}

static void record_refusal(struct request *q, const char *why_not);

static char *command(struct request *q, struct vs_session_command *c)
{
	static struct vs_session_answer a;
	struct answer out;
	memcpy(c->operator, q->operator, sizeof c->operator);
	vs_chair_command(q->chair, c, &a);
	if (!a.accepted) {
		char words[1024];
		if (c->verb == VS_VERB_OPEN) /* a number that is left out looks like a session that was removed */
			q->daemon->last_session--;
		vs_gate_findings_text(&a.findings, words, sizeof words);
		record_refusal(q, words);
		return refused(&a);
	}
	if (!answer_open(q, &out))
		return NULL;
	put_session(&out.j, q->chair);
	if (a.findings.len) {
		char words[1024];
		vs_gate_findings_text(&a.findings, words, sizeof words);
		vs_json_key(&out.j, "warning"), vs_json_string(&out.j, words);
	}
	return answer_close(&out);
}

/* Words as vs_session_parse takes them: the daemon and a replay understand the same commands. */
struct words {
	const char *at[320];
	size_t n;
	bool cut; /* more than that */
};

static void word(struct words *w, const char *text)
{
	bool room = w->n < sizeof w->at / sizeof *w->at;
	if (text && room)
		w->at[w->n++] = text;
	w->cut |= text && !room;
}

static void option(struct words *w, const char *name, const char *value)
{
	if (!value)
		return;
	word(w, name);
	word(w, value);
}

static char *command_of_words(struct request *q, struct words *w)
{
	static const struct {
		const char *key, *option;
	} shared[] = { { "reason", "--reason" }, { "override", "--override" }, { "second", "--second" }, { "note", "--note" },
		       { "corrects", "--corrects" }, { "from", "--from" }, { "to", "--to" } };
	for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
		option(w, shared[i].option, text_of(q, shared[i].key));
	if (json_is_true(json_object_get(q->json, "confirm")))
		word(w, "--confirm");
	struct vs_session_command c;
	char why[256];
	if (w->cut)
		return vs_daemon_error("more than %zu words", sizeof w->at / sizeof *w->at);
	if (vs_session_parse(w->at, w->n, &c, why, sizeof why) < 0)
		return vs_daemon_error("%s", why);
	if (c.verb == VS_VERB_OPEN) {
		vs_courses_recall(q->daemon->courses, &c);
		vs_daemon_session_id(q->daemon, vs_wall_ms(), c.session);
	}
	return command(q, &c);
}

static char *session_start(struct request *q)
{
	struct words w = { 0 };
	char kg[32], last_kg[32], dose[32], minutes[32], step[32];
	const struct {
		const char *key, *option;
		char *text;
	} numbers[] = { { "weight_kg", "--weight", kg }, { "last_weight_kg", "--last-weight", last_kg },
			{ "dose_mgkg", "--dose", dose }, { "over_min", "--over", minutes }, { "step", "--step", step } };
	word(&w, "start");
	option(&w, "--patient", text_of(q, "patient"));
	option(&w, "--protocol", text_of(q, "protocol"));
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		const json_t *n = json_object_get(q->json, numbers[i].key);
		if (!json_is_number(n))
			continue;
		vs_number_text(json_number_value(n), numbers[i].text);
		option(&w, numbers[i].option, numbers[i].text);
	}
	return command_of_words(q, &w);
}

static char *session_phase(struct request *q)
{
	struct words w = { 0 };
	if (!text_of(q, "phase"))
		return vs_daemon_error("which phase? screening, baseline, infusion, paused, recovery, discharged or aborted");
	word(&w, "phase");
	word(&w, text_of(q, "phase"));
	return command_of_words(q, &w);
}

static char *session_transfer(struct request *q)
{
	struct words w = { 0 };
	word(&w, "transfer");
	word(&w, text_of(q, "destination"));
	return command_of_words(q, &w);
}

static char *entry(struct request *q)
{
	struct words w = { 0 };
	size_t i;
	const json_t *v;
	if (!text_of(q, "entry"))
		return vs_daemon_error("what kind of entry? moaas, pain, nausea, med, note ...");
	word(&w, "entry");
	word(&w, text_of(q, "entry"));
	json_array_foreach(json_object_get(q->json, "words"), i, v)
		word(&w, json_string_value(v));
	return command_of_words(q, &w);
}

static char *session_show(struct request *q)
{
	struct answer a;
	if (!answer_open(q, &a))
		return NULL;
	put_session(&a.j, q->chair);
	return answer_close(&a);
}

/* The screening questions that are in force, with the answers so far where a chair is named. */
static char *session_checks(struct request *q)
{
	static const char *const words[] = { NULL, "no", "yes", "unknown" };
	const struct vs_checklist *l = &q->daemon->session_data->checks;
	const char *id = text_of(q, "chair");
	const struct vs_chair *chair = id ? vs_daemon_chair(q->daemon, id) : NULL;
	struct answer a;
	if (id && !chair)
		return vs_daemon_error("there is no chair '%s' here", id);
	if (!answer_open(q, &a))
		return NULL;
	vs_json_key(&a.j, "checks");
	vs_json_open(&a.j, '[');
	for (unsigned i = 0; i < l->len; i++) {
		vs_json_open(&a.j, '{');
		vs_json_key(&a.j, "item"), vs_json_string(&a.j, l->at[i].item);
		vs_json_key(&a.j, "text"), vs_json_string(&a.j, l->at[i].text);
		if (chair && vs_session_id(&chair->watch->session))
			vs_json_key(&a.j, "answer"), vs_json_string(&a.j, words[vs_session_check(&chair->watch->session, l->at[i].item)]);
		vs_json_close(&a.j, '}');
	}
	vs_json_close(&a.j, ']');
	return answer_close(&a);
}

/* The protocols that may be chosen, with what they come to for a weight, where one is given. */
static char *session_protocols(struct request *q)
{
	const struct vs_session_data *d = q->daemon->session_data;
	const struct vs_dose_order as_preset = { .step = 0 };
	struct vs_kg weight = { json_number_value(json_object_get(q->json, "weight_kg")) };
	struct answer a;
	if (!answer_open(q, &a))
		return NULL;
	vs_json_key(&a.j, "protocols");
	vs_json_open(&a.j, '[');
	for (unsigned i = 0; i < d->n_presets; i++) {
		const struct vs_preset *p = &d->preset[i];
		char sum[200];
		vs_dose_arithmetic(p, &as_preset, weight, sum, sizeof sum);
		vs_json_open(&a.j, '{');
		vs_json_key(&a.j, "id"), vs_json_string(&a.j, p->id);
		vs_json_key(&a.j, "name"), vs_json_string(&a.j, p->name);
		vs_json_key(&a.j, "title"), vs_json_string(&a.j, p->title);
		vs_json_key(&a.j, "dose"), vs_json_string(&a.j, sum);
		vs_json_key(&a.j, "enabled"), vs_json_bool(&a.j, !p->disabled);
		vs_json_close(&a.j, '}');
	}
	vs_json_close(&a.j, ']');
	return answer_close(&a);
}

/* ---- alarms ---- */

static char *done_or(struct request *q, const char *why)
{
	struct answer a;
	if (why)
		return vs_daemon_error("%s", why);
	if (!answer_open(q, &a))
		return NULL;
	vs_json_key(&a.j, "chair"), vs_json_string(&a.j, q->chair->id);
	vs_json_key(&a.j, "alarms");
	vs_json_open(&a.j, '[');
	vs_chair_alarms(q->chair, &a.j, true);
	vs_json_close(&a.j, ']');
	return answer_close(&a);
}

static char *alarm_ack(struct request *q)
{
	struct vs_stimulus s = { .kind = VS_ST_ACK, .operator = q->operator };
	const char *id = text_of(q, "alarm");
	if (id && !(s.alarm = vs_alarm_id_parse(id)))
		return vs_daemon_error("'%s' is no alarm id; 'vitalsctl alarm list' shows them", id);
	return done_or(q, vs_chair_step(q->chair, &s));
}

static char *alarm_pause(struct request *q)
{
	const json_t *ms = json_object_get(q->json, "for_ms");
	struct vs_stimulus s = { .kind = VS_ST_PAUSE, .operator = q->operator };
	if (ms && (!json_is_integer(ms) || json_integer_value(ms) <= 0 || json_integer_value(ms) > UINT32_MAX))
		return vs_daemon_error("for_ms is a number of milliseconds");
	s.for_ms = (uint32_t)json_integer_value(ms);
	return done_or(q, vs_chair_step(q->chair, &s));
}

static char *alarm_resume(struct request *q)
{
	struct vs_stimulus s = { .kind = VS_ST_RESUME, .operator = q->operator };
	return done_or(q, vs_chair_step(q->chair, &s));
}

static char *alarm_list(struct request *q)
{
	const char *id = text_of(q, "chair");
	struct vs_chair *only = id ? vs_daemon_chair(q->daemon, id) : NULL;
	if (id && !only)
		return vs_daemon_error("there is no chair '%s' here", id);
	struct answer a;
	if (!answer_open(q, &a))
		return NULL;
	vs_json_key(&a.j, "alarms");
	vs_json_open(&a.j, '[');
	for (unsigned i = 0; i < q->daemon->n_chairs; i++)
		if (!only || only == q->daemon->chairs[i])
			vs_chair_alarms(q->daemon->chairs[i], &a.j, true);
	vs_json_close(&a.j, ']');
	return answer_close(&a);
}

/* What of the path the daemon itself knows to be broken is in the answer; what is heard and seen, people must say. */
static char *alarm_test(struct request *q)
{
	struct answer a;
	vs_chair_test(q->chair, q->operator);
	if (!answer_open(q, &a))
		return NULL;
	vs_json_key(&a.j, "chair"), vs_json_string(&a.j, q->chair->id);
	vs_json_key(&a.j, "annunciator");
	vs_json_open(&a.j, '{');
	vs_annunciator_body(q->chair->annunciator, &a.j);
	vs_json_close(&a.j, '}');
	return answer_close(&a);
}

static char *alarm_explain(struct request *q)
{
	const char *id = text_of(q, "alarm");
	uint64_t number = id ? vs_alarm_id_parse(id) : 0;
	struct answer a;
	if (!number)
		return vs_daemon_error("'%s' is no alarm id; 'vitalsctl alarm list' shows them", id ? id : "");
	for (unsigned i = 0; i < q->daemon->n_chairs; i++) {
		if (!answer_open(q, &a))
			return NULL;
		vs_json_key(&a.j, "explanation");
		vs_json_open(&a.j, '{');
		if (vs_engine_explain(&q->daemon->chairs[i]->watch->engine, number, &a.j) == 0) {
			vs_json_close(&a.j, '}');
			return answer_close(&a);
		}
		free(a.text);
	}
	return vs_daemon_error("alarm %s does not stand now; of past ones 'vitalsctl alarm explain %s --log FILE' tells", id, id);
}

static char *why(struct request *q)
{
	struct answer a;
	if (!answer_open(q, &a))
		return NULL;
	vs_json_key(&a.j, "chair"), vs_json_string(&a.j, q->chair->id);
	vs_engine_why(&q->chair->watch->engine, vs_boottime_ms(), vs_wall_ms(), &a.j);
	return answer_close(&a);
}

/* A limit for this patient; the engine holds it inside the outer bounds. */
static char *limit_change(struct request *q)
{
	const json_t *value = json_object_get(q->json, "value");
	struct vs_stimulus s = { .kind = VS_ST_LIMIT, .operator = q->operator, .rule = text_of(q, "rule"),
				 .reason = text_of(q, "reason"), .value = json_is_number(value) ? json_number_value(value) : NAN };
	if (!s.rule || !s.reason)
		return vs_daemon_error("which rule, and for what reason?");
	return done_or(q, vs_chair_step(q->chair, &s));
}

/* ---- the cuff ---- */

static char *cuff(struct request *q)
{
	struct answer a;
	const char *device = text_of(q, "device"), *which = NULL, *action = text_of(q, "action");
	if (!action || (strcmp(action, "start") != 0 && strcmp(action, "stop") != 0))
		return vs_daemon_error("\"action\" must be start or stop");
	int r = vs_chair_cuff(q->chair, device, strcmp(action, "start") == 0, q->operator, &which);
	if (r == -ENOENT)
		return vs_daemon_error("there is no device '%s' at %s", device, q->chair->id);
	if (r == -ENOTSUP && !device)
		return vs_daemon_error("no device of %s lets its cuff be started from here; press the button on the monitor",
				       q->chair->id);
	if (r == -ENOTSUP)
		return vs_daemon_error("%s cannot be told to measure from here; press the button on the monitor", device);
	if (r < 0)
		return vs_daemon_error("%s did not get the command: %s; look at its cable and its device status", which, strerror(-r));
	if (!answer_open(q, &a))
		return NULL;
	vs_json_key(&a.j, "device"), vs_json_string(&a.j, which);
	return answer_close(&a);
}

/* ---- others ---- */

static const struct vs_operator_config *find_operator(struct request *q);

/* Somebody is about to read the log; everybody may, but not in another's name. */
static char *access_told(struct request *q)
{
	const char *what = text_of(q, "what"), *log = text_of(q, "log");
	struct answer a = { .text = NULL };
	if (!what || !log || strlen(what) > 300 || strlen(log) > 1000)
		return vs_daemon_error("what is read, and from which log?");
	const struct vs_operator_config *o = find_operator(q);
	if (o && o->has_uid && o->uid != q->peer->uid)
		return vs_daemon_error("%s has a login of his own; uid %u may not read in that name", o->name, (unsigned)q->peer->uid);
	vs_daemon_access(q->daemon, &(struct vs_access){ .what = what, .log = log, .chair = text_of(q, "chair"),
							 .session = text_of(q, "session"), .operator = q->operator,
							 .uid = q->peer->uid });
	return answer_open(q, &a) ? answer_close(&a) : NULL;
}

/* ---- how long the record is kept ---- */

/* A reason, and words that fit; NULL: they do. */
static char *reason_of(struct request *q, const char **ret)
{
	*ret = text_of(q, "reason");
	if (!*ret || !**ret)
		return vs_daemon_error("a reason is needed: it stands in the record");
	return strlen(*ret) > 400 ? vs_daemon_error("the reason is too long; 400 bytes will do") : NULL;
}

static char *done(struct request *q, const char *key, const char *value)
{
	struct answer a;
	if (!answer_open(q, &a))
		return NULL;
	vs_json_key(&a.j, key), vs_json_string(&a.j, value);
	return answer_close(&a);
}

static char *hold(struct request *q)
{
	char id[64];
	const json_t *from = json_object_get(q->json, "from_ms"), *until = json_object_get(q->json, "until_ms");
	struct vs_hold_order o = { .session = text_of(q, "session"), .patient = text_of(q, "patient"), .from_ms = json_integer_value(from),
				   .until_ms = json_integer_value(until), .operator = q->operator, .uid = q->peer->uid };
	bool span = json_is_integer(from) && json_is_integer(until);
	char *refusal = reason_of(q, &o.reason);
	if (refusal)
		return refusal;
	if (!!o.session + !!o.patient + span != 1 || (!span && (from || until)))
		return vs_daemon_error("a hold is on one session, or on a patient, or on a span of time with both its ends");
	if ((o.session && (!*o.session || strlen(o.session) > 100)) || (o.patient && (!*o.patient || strlen(o.patient) > 100)))
		return vs_daemon_error("which session, or which patient?");
	if (span && o.from_ms > o.until_ms)
		return vs_daemon_error("the span ends before it begins");
	vs_retention_hold(q->daemon->retention, &o, id);
	return done(q, "hold", id);
}

static char *hold_release(struct request *q)
{
	const char *id = text_of(q, "hold"), *reason;
	char *refusal = reason_of(q, &reason);
	if (refusal)
		return refusal;
	if (!id || !*id || strlen(id) > 60)
		return vs_daemon_error("which hold? 'vitalsctl log retention' lists them");
	vs_retention_release(q->daemon->retention, id, reason, q->operator, q->peer->uid);
	return done(q, "hold", id);
}

static char *retention_apply(struct request *q)
{
	const char *names[64], *why = NULL;
	const json_t *files = json_object_get(q->json, "files"), *f;
	size_t i;
	struct vs_retention_order o = { .operator = q->operator, .uid = q->peer->uid };
	char *refusal = reason_of(q, &o.reason);
	if (refusal)
		return refusal;
	if (json_array_size(files) == 0 || json_array_size(files) > 64)
		return vs_daemon_error("which files? 1 to 64 names of those that 'vitalsctl log retention' shows as due");
	json_array_foreach(files, i, f) {
		if (!json_is_string(f))
			return vs_daemon_error("\"files\" are names");
		names[o.n_files++] = json_string_value(f);
	}
	o.files = names;
	why = vs_retention_apply(q->daemon->retention, &o);
	return why ? vs_daemon_error("%s", why) : done(q, "said", "");
}

static char *retention_said(struct request *q)
{
	struct answer a;
	bool busy;
	const char *said = vs_retention_said(q->daemon->retention, &busy);
	if (!answer_open(q, &a))
		return NULL;
	vs_json_key(&a.j, "busy"), vs_json_bool(&a.j, busy);
	vs_json_key(&a.j, "said"), vs_json_string(&a.j, said);
	return answer_close(&a);
}

static char *snapshot(struct request *q)
{
	return vs_daemon_snapshot(q->daemon, text_of(q, "chair"));
}

static char *endpoints(struct request *q)
{
	struct answer a;
	if (!answer_open(q, &a))
		return NULL;
	vs_json_key(&a.j, "site"), vs_json_string(&a.j, q->daemon->config->site);
	vs_json_key(&a.j, "events");
	vs_json_open(&a.j, '[');
	for (unsigned i = 0; i < q->daemon->config->n_events; i++)
		vs_json_string(&a.j, q->daemon->config->events[i]);
	vs_json_close(&a.j, ']');
	vs_json_key(&a.j, "query");
	vs_json_open(&a.j, '[');
	for (unsigned i = 0; i < q->daemon->config->n_queries; i++)
		vs_json_string(&a.j, q->daemon->config->queries[i]);
	vs_json_close(&a.j, ']');
	vs_json_key(&a.j, "log"), vs_json_string(&a.j, q->daemon->config->log_path);
	return answer_close(&a);
}

/* Who may do what: one table.  Without `operators` in the configuration whoever reaches the socket may do everything. */
#define MAY(role) (1u << VS_ROLE_##role)
#define EVERYBODY (MAY(NURSE) | MAY(PRESCRIBER) | MAY(ENGINEER) | MAY(AUDITOR))
#define AT_THE_CHAIR (MAY(NURSE) | MAY(PRESCRIBER))

static const struct {
	const char *op;
	char *(*answer)(struct request *q);
	bool needs_chair;
	unsigned may; /* EVERYBODY: reads only, nobody has to be named */
} operations[] = {
	{ "alarm-test", alarm_test, true, AT_THE_CHAIR | MAY(ENGINEER) },
	{ "cuff", cuff, true, AT_THE_CHAIR },
	{ "snapshot", snapshot, false, EVERYBODY },
	{ "endpoints", endpoints, false, EVERYBODY },
	{ "session-show", session_show, true, EVERYBODY },
	{ "session-checks", session_checks, false, EVERYBODY },
	{ "session-protocols", session_protocols, false, EVERYBODY },
	{ "alarm-list", alarm_list, false, EVERYBODY },
	{ "alarm-explain", alarm_explain, false, EVERYBODY },
	{ "access", access_told, false, EVERYBODY },
	{ "why", why, true, EVERYBODY },
	{ "session-start", session_start, true, AT_THE_CHAIR },
	{ "session-phase", session_phase, true, AT_THE_CHAIR },
	{ "session-transfer", session_transfer, true, AT_THE_CHAIR },
	{ "entry", entry, true, AT_THE_CHAIR },
	{ "alarm-ack", alarm_ack, true, AT_THE_CHAIR },
	{ "alarm-pause", alarm_pause, true, AT_THE_CHAIR },
	{ "alarm-resume", alarm_resume, true, AT_THE_CHAIR },
	{ "limit", limit_change, true, MAY(PRESCRIBER) },
	/* Who removes does not also release. */
	{ "hold", hold, false, MAY(PRESCRIBER) | MAY(ENGINEER) | MAY(AUDITOR) },
	{ "hold-release", hold_release, false, MAY(PRESCRIBER) | MAY(AUDITOR) },
	{ "retention-apply", retention_apply, false, MAY(ENGINEER) },
	{ "retention-said", retention_said, false, EVERYBODY },
};

static const char *const role_names[VS_ROLE_COUNT] = { "nurse", "prescriber", "engineer", "auditor" };

/* The name of who asks: what the client says, with the kernel's uid beside it where they are not the same person's.  False:
 * it is too long.  Cut short it could be somebody else's; with blanks around it one person would be two. */
static bool name_operator(struct request *q)
{
	const char *said = text_of(q, "operator");
	said = said ? said + strspn(said, " \t\r\n") : "";
	size_t len = strlen(said);
	while (len > 0 && strchr(" \t\r\n", said[len - 1]))
		len--;
	if (len >= sizeof q->operator)
		return false;
	if (len)
		snprintf(q->operator, sizeof q->operator, "%.*s", (int)len, said);
	else
		snprintf(q->operator, sizeof q->operator, "uid:%u", (unsigned)q->peer->uid);
	return true;
}

/* By the name given, else by the kernel's uid; NULL: nobody of the list. */
static const struct vs_operator_config *find_operator(struct request *q)
{
	const struct vs_config *c = q->daemon->config;
	for (unsigned i = 0; i < c->n_operators; i++)
		if (strcmp(c->operators[i].name, q->operator) == 0)
			return &c->operators[i];
	for (unsigned i = 0; i < c->n_operators; i++)
		if (c->operators[i].has_uid && c->operators[i].uid == q->peer->uid) {
			snprintf(q->operator, sizeof q->operator, "%s", c->operators[i].name);
			return &c->operators[i];
		}
	return NULL;
}

/* A refusal is part of the record too: who wanted what, and why not. */
static void record_refusal(struct request *q, const char *why_not)
{
	char body[VS_EVENT_TEXT_MAX - 1024], what[128];
	const char *detail = text_of(q, "phase") ? text_of(q, "phase") : text_of(q, "entry") ? text_of(q, "entry") : "";
	struct vs_json j = vs_json_into(body, sizeof body);
	struct vs_daemon *d = q->daemon;
	if (!q->chair && !d->n_chairs)
		return;
	snprintf(what, sizeof what, "%s%s%.64s", q->op, *detail ? " " : "", detail);
	vs_json_key(&j, "entry"), vs_json_string(&j, "refused");
	vs_json_key(&j, "value"), vs_json_string(&j, what);
	vs_json_key(&j, "unit"), vs_json_string(&j, "");
	vs_json_key(&j, "note"), vs_json_string(&j, why_not);
	vs_json_key(&j, "operator"), vs_json_string(&j, q->operator);
	vs_json_key(&j, "uid"), vs_json_uint(&j, q->peer->uid);
	if (vs_json_failed(&j))
		return;
	if (q->chair)
		vs_chair_emit(q->chair, VS_KIND_ENTRY, body, j.len);
	else
		vs_chair_note(d->chairs[0], body, j.len); /* of no chair, and of no session */
}

/* NULL: he may. */
static char *not_allowed(struct request *q, unsigned may)
{
	if (may == EVERYBODY || q->daemon->config->n_operators == 0)
		return NULL;
	const struct vs_operator_config *o = find_operator(q);
	char why_not[200];
	if (o && o->has_uid && o->uid != q->peer->uid)
		snprintf(why_not, sizeof why_not, "%s has a login of his own; uid %u may not act in that name", o->name,
			 (unsigned)q->peer->uid);
	else if (o && may & (1u << o->role))
		return NULL;
	else if (o)
		snprintf(why_not, sizeof why_not, "%s is %s here and may not do this (%s)", o->name, role_names[o->role], q->op);
	else
		snprintf(why_not, sizeof why_not, "%s (uid %u) is no operator of this configuration", q->operator,
			 (unsigned)q->peer->uid);
	record_refusal(q, why_not);
	return vs_daemon_error("%s", why_not);
}

static char *answer_request(struct request *q)
{
	const char *chair = text_of(q, "chair");
	q->op = text_of(q, "op");
	if (!q->op)
		return vs_daemon_error("a request is an object with a text member \"op\"");
	if (!name_operator(q))
		return vs_daemon_error("an operator's name has at most %zu characters (an accented letter counts as two)",
			sizeof q->operator - 1);
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
		if (strcmp(operations[i].op, q->op) != 0)
			continue;
		if (operations[i].needs_chair && !chair)
			return vs_daemon_error("which chair?");
		if (operations[i].needs_chair && !(q->chair = vs_daemon_chair(q->daemon, chair)))
			return vs_daemon_error("there is no chair '%s' here", chair);
		char *refusal = not_allowed(q, operations[i].may);
		return refusal ? refusal : operations[i].answer(q);
	}
	return vs_daemon_error("there is no operation '%.64s'", q->op);
}

char *vs_daemon_request(void *ctx, const struct vs_peer *peer, const char *line, size_t len)
{
	json_error_t e;
	json_t *json = json_loadb(line, len, JSON_REJECT_DUPLICATES, &e);
	if (!json)
		return vs_daemon_error("not JSON: %s", e.text);
	struct request q = { .daemon = ctx, .peer = peer, .json = json };
	q.daemon->peer = peer;
	char *text = json_is_object(json) ? answer_request(&q)
					  : vs_daemon_error("a request is an object with a text member \"op\"");
	q.daemon->peer = NULL;
	json_decref(json);
	return text;
}
