/* What the daemon and its publisher process say to each other over the socket pair: a head, then len bytes of text. */
#pragma once
#include <stdint.h>

enum vs_wire_type {
	VS_WIRE_BOUND = 1, /* publisher: every URL is bound */
	VS_WIRE_FAILED,    /* publisher: a URL cannot be bound; the words */
	VS_WIRE_SENT,      /* publisher: `alive` messages have gone out; at most twice a second */
	VS_WIRE_SNAPSHOT,  /* publisher: a chair's id, or nothing for all; daemon: the answer, same id */
};

struct vs_wire {
	uint32_t type, len;
	uint64_t id;
};

#define VS_WIRE_LEN_MAX (64u << 20) /* a snapshot of a thousand chairs is 2 MB */

/* The publisher's descriptors. */
enum { VS_WIRE_FD_RING = 3, VS_WIRE_FD_WAKE = 4, VS_WIRE_FD_DAEMON = 5 };
