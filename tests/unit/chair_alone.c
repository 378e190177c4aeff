#include "tests/unit/chair_alone.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/say.h"
#include "tests/must.h"

unsigned chair_alone_errors;

void vs_say(enum vs_say_level level, const char *format, ...)
{
	(void)format;
	chair_alone_errors += level == VS_SAY_ERROR;
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

const struct vs_device_ops *chair_alone_ops;
void *chair_alone_ctx;

int vs_device_create(struct vs_acquire *a, const struct vs_device_config *cfg, const struct vs_device_ops *ops,
		     void *ctx, struct vs_device **ret)
{
	(void)a, (void)cfg;
	chair_alone_ops = ops;
	chair_alone_ctx = ctx;
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

void vs_daemon_session_id(struct vs_daemon *d, int64_t wall_ms, char *buf)
{
	(void)d, (void)wall_ms;
	snprintf(buf, VS_WHO_CAP, "s-20261121-1");
}
