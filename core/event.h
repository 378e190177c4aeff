/* Events: what vitalsd tells the world, one message each on a topic KIND/CHAIR (contract, section 3).
 *
 * An event is kept in custody before anybody sees it, so it is made of plain data: the envelope, and either the reading
 * of a device (kind `vitals`, kept compact) or the members of its JSON body (all other kinds).
 * epoch grows by one with every start of the daemon; seq counts from 1 within epoch, without gaps, for each topic. */
#pragma once
#include "core/json.h"
#include "core/obs.h"

enum vs_kind {
	VS_KIND_VITALS,
	VS_KIND_ALARM,
	VS_KIND_SESSION,
	VS_KIND_ENTRY,
	VS_KIND_DEVICE,
	VS_KIND_REQUEST,
	VS_KIND_SEAL,
	VS_KIND_ALIVE,
	VS_KIND_COUNT
};

/* "vitals", "alarm", ...; NULL beyond the last. */
const char *vs_kind_name(enum vs_kind k);
/* VS_KIND_COUNT: there is no such kind. */
enum vs_kind vs_kind_by_name(const char *name);

#define VS_EVENT_TEXT_MAX 8192 /* the longest message, topic included */

struct vs_event {
	enum vs_kind kind;
	const char *site, *chair;
	const char *session; /* NULL: none is open */
	uint64_t epoch, seq;
	int64_t wall_ms;
	uint64_t boot_ms; /* CLOCK_BOOTTIME of the same instant; 0: of the step that it belongs to */
	/* VS_KIND_VITALS */
	const char *device;
	const struct vs_reading *reading;
	/* all other kinds: members of the body, `"device":"bp","status":"online"`, without braces */
	const char *body;
	size_t body_len;
};

/* The JSON object of the event, envelope first.  Returns its length, 0 if it does not fit. */
size_t vs_event_json(const struct vs_event *e, char *buf, size_t cap);
/* The whole message: topic, space, JSON.  Returns its length, 0 if it does not fit. */
size_t vs_event_message(const struct vs_event *e, char *buf, size_t cap);

/* The members `"values":{...},"flags":[...]` of a reading.  A missing value is absent from values; its flags stand as
 * METRIC:FLAG (METRIC:no_value where there is none); a flag that every value of the reading carries stands alone. */
void vs_reading_json(struct vs_json *j, const struct vs_reading *r);
/* The name of one flag of an observation, "device_error:87" included; buf holds at least 64.  NULL: no such flag. */
const char *vs_obs_flag_text(const struct vs_reading *r, const struct vs_obs *o, unsigned flag, char *buf);
