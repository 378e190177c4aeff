/* Custody: the way of every event from the loop to everybody else (design, section 4).
 *
 * A file mapped into memory that holds a ring of checksummed records.  What stands in it survives the death of the
 * process that wrote it, whatever kills it; nothing here waits for a disk.  One process and thread writes (the loop).
 * Readers have cursors of their own inside the mapping: the writer thread of the log, and the publisher process.
 *
 * Records are kept in steps: all events of one step of a chair's engine, and the engine's new durable state, become
 * visible at once or not at all. */
#pragma once
#include "core/event.h"

struct vs_custody;

enum vs_custody_reader { VS_READER_LOG, VS_READER_PUBLISHER, VS_READER_COUNT };

/* Opens or creates the ring at path (mode 0600), bytes long, and takes it over from a predecessor that died: complete
 * steps stay, an incomplete one is dropped.  Locks the file: -EBUSY, another daemon has it.  Logs its own failures. */
int vs_custody_open(const char *path, size_t bytes, struct vs_custody **ret);
void vs_custody_close(struct vs_custody *c);

/* One step.  add copies the event; state replaces the chair's durable state (opaque bytes, restored at start).
 * -ENOSPC: the ring is full because the log does not drain it; observations are given up first: add of kind VITALS
 * already fails when three quarters are in use.  commit makes the step visible and wakes the readers. */
void vs_custody_begin(struct vs_custody *c);
int vs_custody_add(struct vs_custody *c, const struct vs_event *e);
int vs_custody_state(struct vs_custody *c, const char *chair, const void *bytes, size_t len);
void vs_custody_commit(struct vs_custody *c);
