/* Custody: the way of every event from the loop to everybody else (design, section 4).
 *
 * A file mapped into memory that holds a ring of checksummed records.  What stands in it survives the death of the
 * process that wrote it, whatever kills it; nothing here waits for a disk.  One process and thread writes (the loop).
 * Two readers have cursors of their own inside the mapping: the writer thread of the log, and the publisher process.
 *
 *	 floor            cursor LOG        head
 *	   |  still intact    |   not in the log  | the step being written
 *	---+------------------+-------------------+.....................
 *
 * Records are kept in steps: all events of one step of a chair's engine, and the engine's new durable state, become
 * visible at once or not at all.  After kill -9 every complete step is there.  After a power cut the newest may be
 * missing, and steps that a reader had done may be read again: the log tells them by (epoch, chair, kind, seq).
 * Beside the ring stands a small lane of its own for what is only published, never recorded. */
#pragma once
#include "core/event.h"

struct vs_custody;
struct vs_custody_reader;

enum vs_reader { VS_READER_LOG, VS_READER_PUBLISHER, VS_READER_COUNT };

#define VS_CUSTODY_DEFAULT (32u << 20) /* the usual size; less on a small disk, but not below LEAST */
#define VS_CUSTODY_LEAST (512u << 10)
#define VS_CUSTODY_MIN (64u << 10)
#define VS_CUSTODY_RECORD_MAX (32u << 10) /* one record, all included: so long may a chair's state be, nearly */

/* ---- The writer ---- */

/* Opens or creates the ring at path (mode 0600), with room for bytes (rounded up to 64 KiB; 0: the usual size, an eighth
 * of what the disk has free at most), and takes it over from a
 * predecessor that died: complete steps stay, an incomplete one is dropped.  A file that is not a ring, or that another
 * version wrote and nobody drained, is set aside as PATH.bad.  Another size takes effect once the log has drained it.
 * -EBUSY: another daemon has it.  Logs its own failures. */
int vs_custody_open(const char *path, size_t bytes, struct vs_custody **ret);
void vs_custody_close(struct vs_custody *c);

/* The epoch of the last owner, 0 for a new ring; the new owner says its own once it knows it. */
uint64_t vs_custody_epoch(const struct vs_custody *c);
void vs_custody_set_epoch(struct vs_custody *c, uint64_t epoch);

/* The owner is alive at this time (CLOCK_BOOTTIME, wall time); what was said last outlives it.  False: nobody ever said. */
void vs_custody_lives(struct vs_custody *c, uint64_t boot_ms, int64_t wall_ms);
bool vs_custody_lived(const struct vs_custody *c, uint64_t *ret_boot_ms, int64_t *ret_wall_ms);
/* That was in this boot of the machine: its CLOCK_BOOTTIME is ours. */
bool vs_custody_same_boot(const struct vs_custody *c);

/* One step.  add copies the event; state replaces the chair's durable state (opaque bytes, restored at start).
 * -ENOSPC: the ring is full because the log does not drain it; observations are given up first: add of kind VITALS
 * already fails when half is in use, everything else when all is (outbox.h then keeps it back).  `alive` always finds room
 * beside the ring.  A number (seq) is spent only when add has returned 0.
 * -E2BIG: longer than a record may be.  commit makes the step visible and wakes the readers. */
void vs_custody_begin(struct vs_custody *c);
int vs_custody_add(struct vs_custody *c, const struct vs_event *e);
int vs_custody_state(struct vs_custody *c, const char *chair, const void *bytes, size_t len);
void vs_custody_commit(struct vs_custody *c);
/* After begin: the step happened at boot_ms (CLOCK_BOOTTIME), not now. */
void vs_custody_since(struct vs_custody *c, uint64_t boot_ms);

/* How many readings (kind VITALS) were given up since the ring was made, for want of room. */
uint64_t vs_custody_given_up(const struct vs_custody *c);
/* How many other events found no room anywhere, and so were neither published nor recorded; whoever gives one up counts it. */
uint64_t vs_custody_lost(const struct vs_custody *c);
void vs_custody_count_lost(struct vs_custody *c, uint64_t n);
/* Bytes that are free for events other than readings, the step that is being written not among them. */
size_t vs_custody_room(const struct vs_custody *c);
/* Bytes that a reader has not done yet, and bytes there are. */
size_t vs_custody_backlog(const struct vs_custody *c, enum vs_reader which);
size_t vs_custody_size(const struct vs_custody *c);

/* ---- Readers ---- */

struct vs_custody_record {
	bool is_state;         /* a chair's durable state, for the log alone; else an event */
	struct vs_event event; /* of a state: chair, wall_ms and nothing else */
	uint64_t boot_ms;      /* CLOCK_BOOTTIME when the step began */
	const void *state;
	size_t state_len;
	/* what event.reading points to */
	struct vs_reading reading;
	const char *own_flags[VS_FLAG_OWN_COUNT];
};

/* The reader of this process; it belongs to the ring and may be used by one other thread. */
struct vs_custody_reader *vs_custody_reader(struct vs_custody *c, enum vs_reader which);

/* The reader of another process.  Its descriptors come from the daemon: fd from vs_custody_dup, wake_fd from
 * vs_custody_wake_fd.  Everything but the reader's own cursor is mapped without the right to write.
 * Waits up to a second for a predecessor to be gone, then -EBUSY. */
int vs_custody_dup(const struct vs_custody *c);
int vs_custody_wake_fd(const struct vs_custody *c, enum vs_reader which);
int vs_custody_attach(int fd, int wake_fd, enum vs_reader which, struct vs_custody_reader **ret);
/* Of a reader from attach or scan; NULL is fine. */
void vs_custody_detach(struct vs_custody_reader *r);

/* The next record in order.  1: *ret is it; its strings are good until the next call for the same reader.
 * 0: there is none now.  -ESTALE: records were overwritten before this reader came (never the log's); it goes on
 * with the oldest that is left.  -EBADMSG: the ring is damaged; what is in it now is skipped. */
int vs_custody_next(struct vs_custody_reader *r, struct vs_custody_record *ret);
/* All records that next has given are done: they are never given again, and their room may be used. */
void vs_custody_done(struct vs_custody_reader *r);
/* The same, but only up to where vs_custody_position once was. */
void vs_custody_done_until(struct vs_custody_reader *r, uint64_t position);
uint64_t vs_custody_position(const struct vs_custody_reader *r);
/* Those that are not done are given once more. */
void vs_custody_rewind(struct vs_custody_reader *r);
/* A reader without a cursor, from what is not in the log yet onwards; -ESTALE tells that the log has caught up. */
int vs_custody_scan(const struct vs_custody_reader *of, struct vs_custody_reader **ret);

/* A number that a reader leaves for its successor, also in another process; 0 at first. */
void vs_custody_leave_note(struct vs_custody_reader *r, uint32_t note);
uint32_t vs_custody_note(const struct vs_custody_reader *r);

/* Sleeping: arm, then poll(2) wake_fd, then disarm.  arm says false where there is something to read already.
 * With urgent_only, steps of nothing but `vitals` and `alive` let it sleep. */
bool vs_custody_arm(struct vs_custody_reader *r, bool urgent_only);
void vs_custody_disarm(struct vs_custody_reader *r);
/* arm, poll, disarm.  timeout_ms -1: for ever.  True: there is something to read; false: time over, or woken in vain. */
bool vs_custody_wait(struct vs_custody_reader *r, bool urgent_only, int timeout_ms);
/* Ends a wait from another thread. */
void vs_custody_wake(struct vs_custody_reader *r);
