/* Fuzz target: what anybody who reaches the control socket may send.  Requests, a line each, one after the other to a chair of its
 * own: the real parser, the real session and the real alarm engine; custody, devices and what sounds are this file's.
 *
 * First byte: bit 0, people have roles; bit 1, the peer is root.  Whatever comes: each answer is one line, a JSON object with
 * `ok`, and words for a person where that is false; each event that is to be kept is JSON of a length that fits. */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/presets.h"
#include "daemon/chair.h"
#include "daemon/retention.h"
#include "daemon/say.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES_MAX 8

#define MUST(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #condition);                \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

/* ---- what stands around a chair ---- */

void vs_say(enum vs_say_level level, const char *format, ...)
{
	(void)level, (void)format;
}

void vs_outbox_begin(struct vs_outbox *o)
{
	(void)o;
}

int vs_outbox_add(struct vs_outbox *o, struct vs_event *e, uint64_t *number)
{
	static char text[2 * VS_EVENT_TEXT_MAX];
	(void)o;
	e->epoch = 1;
	e->seq = ++*number;
	MUST(e->kind < VS_KIND_COUNT && (e->kind == VS_KIND_VITALS || e->body_len < VS_EVENT_TEXT_MAX));
	if (e->kind == VS_KIND_VITALS)
		return 0;
	size_t len = (size_t)snprintf(text, sizeof text, "{%.*s}", (int)e->body_len, e->body);
	json_t *body = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	MUST(json_is_object(body) && !strchr(text, '\n'));
	json_decref(body);
	return 0;
}

bool vs_outbox_holds(const struct vs_outbox *o)
{
	(void)o;
	return false;
}

unsigned vs_outbox_waiting(const struct vs_outbox *o)
{
	(void)o;
	return 0;
}

int vs_custody_state(struct vs_custody *c, const char *chair, const void *bytes, size_t len)
{
	(void)c;
	MUST(*chair && bytes && len);
	return 0;
}

void vs_custody_commit(struct vs_custody *c)
{
	(void)c;
}

void vs_courses_recall(const struct vs_courses *c, struct vs_session_command *open)
{
	(void)c, (void)open;
}

void vs_courses_note(struct vs_courses *c, const struct vs_session *s)
{
	(void)c, (void)s;
}

void vs_retention_hold(struct vs_retention *r, const struct vs_hold_order *o, char id[64])
{
	(void)r;
	MUST(!!o->session + !!o->patient + (o->from_ms || o->until_ms) <= 1 && *o->reason && *o->operator);
	snprintf(id, 64, "h-1");
}

void vs_retention_release(struct vs_retention *r, const char *id, const char *reason, const char *operator,
			  unsigned uid)
{
	(void)r, (void)uid;
	MUST(*id && *reason && *operator);
}

const char *vs_retention_apply(struct vs_retention *r, const struct vs_retention_order *o)
{
	(void)r;
	MUST(o->n_files >= 1 && *o->reason && *o->operator);
	for (unsigned i = 0; i < o->n_files; i++)
		MUST(o->files[i]);
	return o->n_files > 1 ? "busy" : NULL;
}

const char *vs_retention_said(const struct vs_retention *r, bool *ret_busy)
{
	(void)r;
	*ret_busy = false;
	return "nothing";
}

int vs_annunciator_open(uv_loop_t *loop, const char *chair, const struct vs_annunciator_config *config,
			struct vs_annunciator **ret)
{
	(void)loop, (void)chair, (void)config;
	*ret = NULL;
	return 0;
}

void vs_annunciator_level(struct vs_annunciator *a, enum vs_priority p)
{
	(void)a, (void)p;
}

void vs_annunciator_test(struct vs_annunciator *a)
{
	(void)a;
}

void vs_annunciator_body(const struct vs_annunciator *a, struct vs_json *j)
{
	(void)a, (void)j;
}

void vs_annunciator_close(struct vs_annunciator *a)
{
	(void)a;
}

static const struct vs_device_ops *device_ops;
static void *device_ctx;

int vs_device_create(struct vs_acquire *a, const struct vs_device_config *cfg, const struct vs_device_ops *ops,
		     void *ctx, struct vs_device **ret)
{
	(void)a, (void)cfg;
	device_ops = ops;
	device_ctx = ctx;
	*ret = NULL;
	return 0;
}

void vs_device_close(struct vs_device *d)
{
	(void)d;
}

int vs_device_cuff(struct vs_device *d, bool start)
{
	(void)d;
	return start ? 0 : -ENOTCONN;
}

const struct vs_device_counters *vs_device_counters(const struct vs_device *d)
{
	static const struct vs_device_counters none;
	(void)d;
	return &none;
}

const char *vs_device_status_name(enum vs_device_status st)
{
	return st == VS_DEVICE_ONLINE ? "online" : "offline";
}

bool vs_device_config_equal(const struct vs_device_config *a, const struct vs_device_config *b)
{
	return a == b;
}

static struct vs_chair *chair;

struct vs_chair *vs_daemon_chair(struct vs_daemon *d, const char *id)
{
	(void)d;
	return strcmp(id, chair->id) == 0 ? chair : NULL;
}

void vs_daemon_session_id(struct vs_daemon *d, int64_t wall_ms, char *buf)
{
	(void)d, (void)wall_ms;
	snprintf(buf, VS_WHO_CAP, "s-20261121-1");
}

/* ---- a chair that is as new for every input ---- */

static struct vs_operator_config operators[] = {
	{ .name = "anna", .role = VS_ROLE_NURSE },
	{ .name = "boris", .role = VS_ROLE_PRESCRIBER, .has_uid = true, .uid = 1000 }
};
static struct vs_chair fresh;
static struct vs_daemon station;
static struct vs_config config;

static void set_up(void)
{
	static uv_loop_t loop;
	static struct vs_device_config device = { .id = "bp", .plugin = "suntech-nibp" };
	static struct vs_annunciator_config quiet;
	static struct vs_chair_config place = {
		.id = "c", .limits = VS_LIMITS_DEFAULT, .devices = &device, .n_devices = 1, .annunciator = &quiet
	};
	struct vs_findings f = { 0 };
	MUST(uv_loop_init(&loop) == 0);
	MUST(vs_limits_load(NULL, 0, &station.sets, &f) == 0);
	MUST(vs_presets_load(NULL, 0, &station.session_data, &f) == 0);
	station.loop = &loop;
	station.config = &config;
	station.epoch = 1;
	station.chairs = &chair;
	station.n_chairs = 1;
	snprintf(config.site, sizeof config.site, "site");
	config.operators = operators;
	config.chairs = &place;
	config.n_chairs = 1;
	chair = vs_chair_create(&station, &place, vs_limits_find(station.sets, VS_LIMITS_DEFAULT));
	MUST(chair);
	vs_chair_start(chair, NULL, 0, VS_BLIND_NOT);
	device_ops->status(device_ctx, VS_DEVICE_ONLINE, "");
	fresh = *chair;
}

static void as_new(void)
{
	uv_timer_stop(&chair->wake);
	memcpy(chair->seq, fresh.seq, sizeof chair->seq);
	memcpy(chair->values, fresh.values, sizeof chair->values);
	memcpy(&chair->watch, &fresh.watch, sizeof chair->watch);
	chair->wake_ms = chair->armed_ms = UINT64_MAX;
	station.next_alarm = 1;
	station.last_session = 0;
}

static void ask(const uint8_t *line, size_t len, const struct vs_peer *peer)
{
	char *copy = malloc(len + !len); /* exactly as long, so that a byte too far is noticed */
	MUST(copy);
	memcpy(copy, line, len);
	char *text = vs_daemon_request(&station, peer, copy, len);
	MUST(text && !strchr(text, '\n'));
	json_t *answer = json_loads(text, 0, NULL), *ok = json_object_get(answer, "ok");
	MUST(json_is_boolean(ok));
	MUST(json_is_true(ok) || json_string_length(json_object_get(answer, "error")));
	json_decref(answer);
	free(text);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!chair)
		set_up();
	if (!size)
		return 0;
	const struct vs_peer peer = { .uid = data[0] & 2 ? 0 : 1000 };
	config.n_operators = data[0] & 1 ? 2 : 0;
	as_new();
	const uint8_t *at = data + 1, *end = data + size;
	for (int i = 0; i < LINES_MAX && at < end; i++) {
		const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
		stop = stop ? stop : end;
		ask(at, (size_t)(stop - at), &peer);
		at = stop + 1;
	}
	return 0;
}
