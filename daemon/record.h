/* One record of the custody ring: an event or a chair's state as bytes, and back.  Pure.
 *
 * Numbers are in the byte order of the machine; metrics and flags go by their numbers in core's lists (vs_record_fits
 * says whether another version's numbers mean the same).  Layout: struct vs_record_head, site, chair, [session],
 * then of vitals: device, flags, own flags, observations; of others: the body; of a state: its bytes. */
#pragma once
#include "daemon/custody.h"

struct vs_record_head {
	uint32_t crc;       /* CRC-32C of all that follows, to the end of the record */
	uint32_t len;       /* of the whole record, a multiple of 8 */
	uint64_t position;  /* in the ring, counted from its beginning: an old lap's record is never taken for this one */
	uint64_t after;     /* aside: it comes after so much of the ring */
	uint64_t epoch, seq;
	int64_t wall_ms;
	uint64_t boot_ms;
	uint32_t body_len;
	uint8_t kind;       /* enum vs_kind, or VS_RECORD_STATE */
	uint8_t flags;
	uint8_t spare[2];
};
#define VS_RECORD_STATE 0xff
enum vs_record_flag { VS_RECORD_LAST = 1 /* of its step */, VS_RECORD_SESSION = 2 };

/* Fills buf (VS_CUSTODY_RECORD_MAX, aligned to 8) but for crc and position.  Returns the length, 0 if it is too long. */
size_t vs_record_event(uint8_t *buf, const struct vs_event *e, uint64_t boot_ms);
size_t vs_record_state(uint8_t *buf, const char *chair, const void *bytes, size_t len, int64_t wall_ms, uint64_t boot_ms);
void vs_record_seal(uint8_t *buf, uint64_t position, uint64_t after, bool last);

/* Whether a record begins at buf, of which avail bytes may be looked at, and belongs at position.  Its length, or 0. */
size_t vs_record_check(const uint8_t *buf, size_t avail, uint64_t position);
/* Of a checked record; strings point into buf.  False: not a record of this version. */
bool vs_record_decode(const uint8_t *buf, struct vs_custody_record *ret);

/* The vocabulary's sizes and checksums, kept in the head of the ring. */
struct vs_vocabulary {
	uint32_t metrics, flags, kinds, crc;
};
struct vs_vocabulary vs_record_vocabulary(void);
/* Records written with vocabulary v mean the same here: the lists have only grown since. */
bool vs_record_fits(const struct vs_vocabulary *v);
