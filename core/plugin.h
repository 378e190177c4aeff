/* A device plugin: a constant description and pure functions.  Bytes come in, observations go out.
 *
 * A plugin opens nothing, waits for nothing, reads no clock and allocates nothing; the daemon (or `vitalsctl decode`)
 * owns the line, the buffer and the state, and calls:
 *
 *	init      once for each connection, with the options of the configuration
 *	transmit  when the connection stands, and every poll_ms, for bytes to send (NULL: a device that only talks)
 *	frame     with all bytes that are waiting, oldest first: is a frame there?
 *	decode    with one frame: what does it say?
 *
 * A stream decoder in between (plugins/feed.h) does the buffering, and moves on ONE byte after a false start.
 * Facts about a device come from its manual; name manual and section beside them. */
#pragma once
#include "core/obs.h"

#define VS_PLUGIN_ABI 1

/* Longest frame any plugin may ask for; the stream buffer is twice this. */
#define VS_FRAME_MAX 2048

enum vs_maturity {
	VS_DOCUMENTED, /* from its manual alone */
	VS_RECORDED,   /* tested on bytes of a real device */
};

enum vs_decoded {
	VS_REJECTED, /* looked like a frame and is none (checksum, range): the stream goes on one byte after its start */
	VS_IGNORED,  /* a good frame that is no reporting unit, or only part of one: nothing to report yet */
	VS_UNIT,     /* a reporting unit was completed: the reading is filled (it may hold no observation) */
};

enum vs_transmit_why {
	VS_TX_CONNECT, /* the line has just been opened */
	VS_TX_POLL,    /* poll_ms has passed */
	VS_TX_REPLY,   /* after each decoded frame: an answer the protocol owes (handshakes, acknowledgements) */
	VS_TX_NIBP,    /* start a cuff measurement; only ever on request, never from CONNECT or POLL */
	VS_TX_NIBP_STOP,
};

struct vs_line {
	uint32_t baud;
	char parity; /* 'N' 'E' 'O' */
	uint8_t data_bits, stop_bits;
};

/* One setting that the configuration may give as `options: { NAME: VALUE }`; the first value is the default.
 * values: NULL-terminated list of allowed words; NULL: a free text. */
struct vs_plugin_option {
	const char *name;
	const char *const *values;
	const char *summary;
};

struct vs_plugin_setting {
	const char *name, *value;
};

struct vs_plugin {
	uint32_t abi; /* VS_PLUGIN_ABI */
	const char *name, *summary;
	const char *manual;  /* which document the facts are from */
	const char *devices; /* models it is for */
	enum vs_maturity maturity;
	struct vs_line line;
	uint32_t silence_ms; /* without a frame for so long the device is silent */
	uint32_t poll_ms;    /* how often transmit(VS_TX_POLL) is called; 0: never */
	uint32_t metrics;    /* bits 1 << VS_..: what it can report */
	const struct vs_plugin_option *options; /* ends with a NULL name; NULL: none */
	size_t state_size;

	/* Put the zeroed state in order.  settings ends with a NULL name, or is NULL.  0, or -EINVAL: a setting is wrong
	 * (names and listed values have been checked by the caller). */
	int (*init)(void *state, const struct vs_plugin_setting *settings);
	/* > 0: a frame of so many bytes starts at buf[0]; 0: not enough bytes to tell (len < VS_FRAME_MAX);
	 * < 0: the first -n bytes start no frame. */
	int (*frame)(void *state, const uint8_t *buf, size_t len);
	/* ret has been emptied.  Filled only together with VS_UNIT. */
	enum vs_decoded (*decode)(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret);
	/* The bytes that came before are lost or were not a frame: forget half-assembled units.  May be NULL. */
	void (*broken)(void *state);
	/* Bytes to send, at most cap; 0: nothing to send. */
	size_t (*transmit)(void *state, enum vs_transmit_why why, uint8_t *buf, size_t cap);
};

/* What a shared object must export: `const struct vs_plugin *vs_plugin_export(void);` */
#define VS_PLUGIN_EXPORT vs_plugin_export
