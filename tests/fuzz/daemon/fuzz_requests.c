/* Fuzz target: what anybody who reaches the control socket may send.  Requests, a line each, one after the other to a chair of its
 * own: the real parser, the real session and the real alarm engine; what stands around them is tests/unit/chair_alone.h.
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
#include "tests/unit/chair_alone.h"
#include "tests/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES_MAX 8

/* ---- what is kept for years ---- */

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

static struct vs_chair *chair;

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
	chair_alone_ops->status(chair_alone_ctx, VS_DEVICE_ONLINE, "");
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
