/* A chair: one patient's place, its devices, and the engine that watches over them.
 *
 *	reading, status, command, time --> engine --> effects --> one step in custody
 *
 * Every input is one step: the observation, the alarms and requests that follow from it, and the engine's durable state
 * become visible together or not at all.  Nothing here waits. */
#pragma once
#include "alarms/watch.h"
#include "daemon/annunciator.h"
#include "daemon/daemon.h"

struct vs_chair_device;

/* The newest word of a metric, as a snapshot shows it. */
struct vs_chair_value {
	struct vs_obs obs;
	int64_t wall_ms; /* when it was measured; for a missing value: when it was found missing */
	uint64_t at_ms;
	unsigned device; /* index */
	bool known;
};

struct vs_chair {
	struct vs_daemon *daemon;
	char id[VS_ID_CAP];
	char limits[64];
	uint64_t seq[VS_KIND_COUNT]; /* the last number of each topic */
	uint64_t given_up_vitals;    /* readings that found no room in custody */
	unsigned n_devices;
	struct vs_chair_device *devices[VS_ENGINE_DEVICES];
	struct vs_chair_value values[VS_METRIC_COUNT];
	uv_timer_t wake;            /* fires at armed_ms, which is not later than wake_ms */
	uint64_t wake_ms, armed_ms; /* UINT64_MAX: no need; not armed */
	bool state_unkept;          /* said already */
	bool state_behind;          /* it waits for the events before it, which wait for room */
	struct vs_annunciator *annunciator; /* NULL: none is configured */
	const struct vs_annunciator_config *annunciator_config; /* in the daemon's configuration */
	struct vs_engine_config *engine_config;
	struct vs_watch *watch; /* of vs_watch_size(engine_config) */
};

struct vs_chair_device {
	struct vs_chair *chair;
	struct vs_device *device;
	const struct vs_device_config *config; /* in the daemon's configuration */
	enum vs_device_status status;
	char detail[160];
	uint64_t cuff_from_ms; /* before this time only a person starts its cuff */
	uint64_t cuff_due_ms;  /* the engine wants it started then; 0: it does not */
	char cuff_reason[160];
};

/* NULL: no memory. */
struct vs_chair *vs_chair_create(struct vs_daemon *d, const struct vs_chair_config *cfg, const struct vs_limit_set *set);
#define VS_BLIND_NOT UINT64_MAX
/* Puts back what was known before the restart (state NULL: nothing), says how long nobody watched (VS_BLIND_NOT: nothing
 * to say), and starts the devices. */
void vs_chair_start(struct vs_chair *c, const void *state, size_t len, uint64_t blind_ms);
/* Stops devices and timer; the memory is released by the loop. */
void vs_chair_close(struct vs_chair *c);
/* Other limits or other devices after a reload; devices that did not change go on undisturbed.  0 or -ENOMEM. */
int vs_chair_reconfigure(struct vs_chair *c, const struct vs_chair_config *cfg, const struct vs_limit_set *set);

/* A stimulus from outside (acknowledge, pause, a fault); times are filled in.  The text of a refusal, good until the
 * next call, or NULL. */
const char *vs_chair_step(struct vs_chair *c, struct vs_stimulus *s);
/* A person starts (or stops) a cuff measurement: of that device (NULL: of the first of the chair that can).  What was
 * done is published and recorded as a request `cuff-start` or `cuff-stop`.  0 and *device says which; -ENOENT: there is no
 * such device; -ENOTSUP: it cannot be started from here; -ENOTCONN: its line is not open; or what the line says. */
int vs_chair_cuff(struct vs_chair *c, const char *device, bool start, const char *operator, const char **ret);
/* A command for the session. */
void vs_chair_command(struct vs_chair *c, const struct vs_session_command *cmd, struct vs_session_answer *answer);

/* The whole path of an alarm, tried: a marked request is published and recorded, the annunciator runs through all
 * priorities, and the gate that asks for an alarm test is content again. */
void vs_chair_test(struct vs_chair *c, const char *operator);

/* The event `alive` and nothing else. */
void vs_chair_alive(struct vs_chair *c);
/* An event of the daemon's own (kinds seal, device, request): members of its body, now. */
void vs_chair_emit(struct vs_chair *c, enum vs_kind kind, const char *body, size_t len);
/* An entry that belongs to no session, whichever is open; members of its body, now. */
void vs_chair_note(struct vs_chair *c, const char *body, size_t len);
/* The chair's object in a snapshot. */
void vs_chair_snapshot(const struct vs_chair *c, struct vs_json *j);
/* Bodies of its standing alarms, each an object in the open array; with the chair's id where with_chair. */
void vs_chair_alarms(const struct vs_chair *c, struct vs_json *j, bool with_chair);
