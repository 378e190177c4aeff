/* Inside of acquisition: what device.c, bus.c and stream.c share. */
#pragma once
#include "daemon/device.h"
#include "daemon/link.h"
#include "daemon/wheel.h"
#include "plugins/feed.h"
#include "plugins/modbus/modbus.h"

struct vs_bus;

struct vs_acquire {
	uv_loop_t *loop;
	struct vs_wheel *wheel; /* of the buses */
	struct vs_device *devices;
	struct vs_bus *buses;
	unsigned created; /* so many devices so far: spreads their phases */
	uint64_t start_ms;
};

/* Device of a bus: asked at due times that do not drift. */
struct vs_polled {
	struct vs_bus *bus;
	struct vs_device *next; /* on the bus */
	struct vs_modbus modbus;
	struct vs_register_map *map; /* own copy, as long as its registers */
	uint8_t unit;
	uint32_t period_ms, timeout_ms, pause_ms, connect_pause_ms, retries;
	uint64_t due_ms;       /* when the poll that runs, or the next one, is due */
	uint64_t ready_ms;     /* not to be asked before */
	bool in_poll;
	unsigned request;      /* number in the plan */
	unsigned tries;        /* of this request in this poll */
	unsigned unanswered;   /* requests of this poll */
	unsigned failures;     /* polls in a row without any answer */
	bool silent;           /* this poll had a request without an answer in time */
	uint32_t refused_ms;   /* pause before a refused request (exceptions 1 to 3) is tried again */
	uint64_t refused_until_ms;
	char trouble[200];     /* why the last request failed */
	uint32_t told;         /* digest of the refusals that were reported */
};

/* Device that talks by itself, or in a protocol of its own. */
struct vs_stream {
	struct vs_link *link;
	struct vs_feed *feed;
	void *state;
	struct vs_plugin_setting *options;
	const struct vs_plugin *plugin;
	uv_timer_t timer;
	uint32_t period_ms, silence_ms;
	uint64_t due_ms;    /* next transmit(VS_TX_POLL); UINT64_MAX: none */
	uint64_t heard_ms;  /* last good frame, or when waiting for one began */
	uint64_t bytes;     /* bytes since then */
	uint64_t read_ms;   /* boottime of the bytes that are being decoded */
	bool told_noisy;    /* that the line is noisy was said */
	char lost[128];     /* why the link was lost last */
};

struct vs_device {
	struct vs_acquire *acquire;
	struct vs_device *before, *after; /* of all devices */
	const struct vs_device_ops *ops;
	void *ctx;
	enum vs_device_status status;
	bool told_connecting;
	struct vs_device_counters counters;
	bool is_stream;
	union {
		struct vs_polled polled;
		struct vs_stream stream;
	};
};

/* Tells the chair; the same status again only where `again` (there is something new to say). */
void vs_device_tell(struct vs_device *d, enum vs_device_status st, const char *detail, bool again);
void vs_device_deliver(struct vs_device *d, const struct vs_reading *r, uint64_t at_ms);

int vs_bus_join(struct vs_acquire *a, struct vs_device *d, const struct vs_device_config *cfg);
void vs_bus_leave(struct vs_device *d);
int vs_stream_begin(struct vs_acquire *a, struct vs_device *d, const struct vs_device_config *cfg);
void vs_stream_end(struct vs_device *d); /* frees d when its handles are closed */
int vs_stream_cuff(struct vs_device *d, bool start);
