/* A Philips IntelliVue as its data export port shows it: association, MDS create event, single polls.
 *
 * Facts: IntelliVue data export as open hosts implement it (frame and check sequence, the order of an association, poll
 * results), ISO/IEEE 11073-10101 (physio ids, units).  It insists: polls are answered only within an association that was
 * made in order and is kept alive; a second request is not answered; another poll than the single one of all numerics
 * is none.  Written from that description alone: nothing of our own decoder is in it.  Pure. */
#pragma once
#include "clients/sim/chair.h"

#include <stddef.h>
#include <stdint.h>

#define VS_MIB_MESSAGE 1364 /* longest message the serial port takes */
#define VS_MIB_WIRE (2 * (VS_MIB_MESSAGE + 6) + 2)
#define VS_MIB_KEPT_MS 10000 /* an association lives so long without a poll */

enum vs_mib_state { VS_MIB_ALONE, VS_MIB_INTRODUCED, VS_MIB_TOGETHER };

struct vs_intellivue {
	enum vs_mib_state state;
	int64_t polled_ms;
	uint16_t event;        /* invoke id of the last MDS create event */
	struct vs_cuff result; /* of the last measurement that was one */
	unsigned associations, polls, strangers; /* made; answered; messages that are none of its protocol */
};

struct vs_mib_answer {
	unsigned len;
	struct {
		size_t len;
		uint8_t bytes[VS_MIB_MESSAGE];
	} message[2];
};

/* One message of the host.  now: what the monitor shows; now_ms: any clock that does not go back. */
void vs_intellivue_take(struct vs_intellivue *v, const uint8_t *message, size_t len, const struct vs_second *now,
			int64_t now_ms, struct vs_mib_answer *ret);
/* Call it now and then: an association that nobody keeps alive is aborted. */
void vs_intellivue_time(struct vs_intellivue *v, const struct vs_second *now, int64_t now_ms,
			struct vs_mib_answer *ret);

/* The serial frame around a message; to: VS_MIB_WIRE bytes.  Returns its length. */
size_t vs_mib_frame(const uint8_t *message, size_t len, uint8_t *to);
/* The first frame in the bytes.  *used: bytes that are done with, 0: more are needed.  Returns the length of the
 * message (to: VS_MIB_MESSAGE bytes), or 0: none, or a damaged one. */
size_t vs_mib_unframe(const uint8_t *bytes, size_t len, size_t *used, uint8_t *to);
