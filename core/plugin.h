/* A device plugin: a constant description and pure functions.  Bytes come in, observations go out.
 *
 * A plugin opens nothing, waits for nothing, reads no clock and allocates nothing; the daemon (or `vitalsctl decode`)
 * owns the line, the buffer and the state, and calls:
 *
 *	init      once, with the options of the configuration; the state outlives reconnections
 *	transmit  when the connection stands, and every poll_ms, for bytes to send (NULL: a device that only talks)
 *	frame     with all bytes that are waiting, oldest first: is a frame there?
 *	decode    with one frame: what does it say?
 *	again     where the line is noisy: the result of the cuff is wanted once more, or not any more
 *
 * A stream decoder in between (plugins/feed.h) does the buffering, and moves on ONE byte after a false start.
 * Facts about a device come from its manual; name manual and section beside them. */
#pragma once
#include "core/obs.h"

#include <string.h>

/* Compared before a foreign plugin is used.  The numbers of metrics and flags are part of it: a shared object that was
 * built against another vocabulary would name the wrong ones. */
#define VS_PLUGIN_ABI_VERSION 4
#define VS_PLUGIN_ABI                                                                                                  \
	((uint32_t)VS_PLUGIN_ABI_VERSION << 16 | (uint32_t)VS_METRIC_COUNT << 8 | (uint32_t)VS_FLAG_COUNT)

/* Longest frame any plugin may ask for (GE DRI: 1490 bytes, at worst all of them escaped); the stream buffer is twice
 * this. */
#define VS_FRAME_MAX 4096

/* Room that transmit is given. */
#define VS_TX_MAX 256

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

/* The value of a setting, or NULL where the configuration does not give it. */
static inline const char *vs_plugin_setting(const struct vs_plugin_setting *settings, const char *name)
{
	for (; settings && settings->name; settings++)
		if (strcmp(settings->name, name) == 0)
			return settings->value;
	return NULL;
}

/* True: the configuration gives this value (for options with listed values). */
static inline bool vs_plugin_is_set(const struct vs_plugin_setting *settings, const char *name, const char *value)
{
	const char *given = vs_plugin_setting(settings, name);
	return given && strcmp(given, value) == 0;
}

struct vs_plugin {
	uint32_t abi; /* VS_PLUGIN_ABI */
	const char *name, *summary;
	const char *manual;  /* which document the facts are from */
	const char *devices; /* models it is for */
	const char *tested;  /* on what it was tried, in words: "synthesised vectors", "one captured packet" */
	enum vs_maturity maturity;
	struct vs_line line;   /* no speed: not on a line */
	uint16_t udp_port;     /* > 0: a device of the network that sends a datagram a message; its usual port */
	bool checked;        /* every number comes in a frame with a checksum */
	bool strong;         /* ... of 16 bits or more: noise does not get through (plugins/gate.h) */
	bool spot;           /* it speaks when somebody has measured: a reading comes once */
	bool identifies;     /* its bytes can name a patient: nothing may show or keep them; decode drops the name */
	uint32_t silence_ms; /* without a frame for so long the device is silent */
	uint32_t poll_ms;    /* how often transmit(VS_TX_POLL) is called; 0: never */
	uint32_t metrics;    /* bits 1 << VS_..: what it can report */
	const struct vs_plugin_option *options; /* ends with a NULL name; NULL: none */
	size_t state_size;

	/* Put the zeroed state in order.  settings ends with a NULL name, or is NULL.  0, or -EINVAL: a setting is wrong
	 * (names and listed values have been checked by the caller). */
	int (*init)(void *state, const struct vs_plugin_setting *settings);
	/* len > 0.  > 0: a frame of so many bytes (<= len) starts at buf[0]; 0: not enough bytes to tell (never with
	 * len >= VS_FRAME_MAX); < 0: at none of the first -n bytes starts a frame.  Asked again with the same bytes
	 * and more behind them, so it keeps nothing in the state. */
	int (*frame)(void *state, const uint8_t *buf, size_t len);
	/* ret has been emptied.  Filled only together with VS_UNIT. */
	enum vs_decoded (*decode)(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret);
	/* The bytes that came before are lost or were not a frame, or the line was opened again: forget half-assembled
	 * units.  May be NULL. */
	void (*broken)(void *state);
	/* Bytes to send, at most cap (>= VS_TX_MAX); 0: nothing to send, or not something this device can do.  NULL: a
	 * device that only talks. */
	size_t (*transmit)(void *state, enum vs_transmit_why why, uint8_t *buf, size_t cap);
	/* The line is noisy, and the cuff's result that decode reported last needs a witness (plugins/gate.h).  true: report
	 * it once more, asked for or where the device shows it next, although it is no new one; false: not any more.
	 * Needs poll_ms, which ends the waiting.  NULL: a result comes once. */
	void (*again)(void *state, bool wanted);
};

/* What a shared object must export: `const struct vs_plugin *vs_plugin_export(void);` */
#define VS_PLUGIN_EXPORT vs_plugin_export
