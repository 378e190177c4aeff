/* Devices: what stands beside the patient, as the chair sees it.  Bytes, polls, connections and retries stay below.
 *
 *	chair  <-- reading, status --  device  <-- bytes --  bus or stream  --  link (TCP, serial)
 *
 * Everything lives on one libuv loop and nothing blocks: names are resolved in the thread pool, connecting, sending and
 * waiting are events.  Devices that name the same RTU line or the same TCP host and port share one bus and take turns:
 * who has waited longest goes first, who answers goes before who does not.
 *
 * A poll whose answer came in time is one reading, also when it brought no value.  A silent device gives no reading:
 * how old its values have become is for the chair's engine to judge.  Retries go on for ever; the pauses between them
 * grow from a tenth of a second to five seconds at most. */
#pragma once
#include <uv.h>

#include "config/config.h"
#include "core/obs.h"

enum vs_device_status {
	VS_DEVICE_CONNECTING, /* nothing is known yet; said once, when the device is created */
	VS_DEVICE_ONLINE,     /* it answers, or its frames come in */
	VS_DEVICE_NO_SIGNAL,  /* the line is open, but nothing usable comes from the device */
	VS_DEVICE_OFFLINE,    /* the line or the connection cannot be opened, or was lost */
	VS_DEVICE_STATUS_COUNT
};

/* "connecting", "online", "no-signal", "offline". */
const char *vs_device_status_name(enum vs_device_status st);

struct vs_device_ops {
	/* One reading; valid only during the call.  at_ms: CLOCK_BOOTTIME when its last byte was read. */
	void (*reading)(void *ctx, const struct vs_reading *r, uint64_t at_ms);
	/* The status changed, or (same status) there is something new to say about it.  detail: words for an engineer,
	 * never NULL, "" where there is nothing to add.  Never called from inside vs_device_create or _close. */
	void (*status)(void *ctx, enum vs_device_status st, const char *detail);
};

/* Since the device was created. */
struct vs_device_counters {
	uint64_t polls;      /* polls begun */
	uint64_t readings;   /* readings delivered */
	uint64_t late;       /* polls begun more than 20 ms after they were due */
	uint64_t missed;     /* polls that were left out because the one before took too long or the line was down */
	uint64_t frames;     /* good frames or answers */
	uint64_t rejected;   /* frames or answers with a bad checksum, or that belong to another request */
	uint64_t dropped;    /* bytes that belonged to no frame */
	uint64_t timeouts;   /* requests without an answer in time */
	uint64_t exceptions; /* Modbus: answers that said no */
	uint64_t connects;   /* connections made, or lines opened */
};

struct vs_acquire;
struct vs_device;

/* The common ground of all devices of one loop.  Raises the soft limit of open files to the hard one.
 * 0, or -ENOMEM. */
int vs_acquire_create(uv_loop_t *loop, struct vs_acquire **ret);
/* Closes every device that is left.  Memory is released by the loop: run it until it has nothing more to do. */
void vs_acquire_close(struct vs_acquire *a);

/* Begins to acquire; what the configuration says is copied, cfg may go.  ops must stay.  0; -ENOENT: there is no such
 * plugin; -EINVAL: the plugin refuses its options; -ENOMEM.  A line that cannot be opened is no failure here: it is
 * tried again until it can. */
int vs_device_create(struct vs_acquire *a, const struct vs_device_config *cfg, const struct vs_device_ops *ops,
		     void *ctx, struct vs_device **ret);
/* No callback comes after this; NULL is fine.  Not from inside a callback of a device.  The other
 * devices of the same line go on undisturbed. */
void vs_device_close(struct vs_device *d);

/* Ask the device for a cuff measurement now, or stop one that runs.  0: sent; -ENOTSUP: it has no such command;
 * -ENOTCONN: the line is not open. */
int vs_device_cuff(struct vs_device *d, bool start);

const struct vs_device_counters *vs_device_counters(const struct vs_device *d);
enum vs_device_status vs_device_status(const struct vs_device *d);
