/* History: events that are in the log, read back by another process than the one that writes (op `replay`, contract 4).
 *
 * Read only.  The file is opened at the first question, and again after a new one took its place; those before it are
 * asked where an epoch reaches back into them. */
#pragma once
#include "core/event.h"

struct vs_history;

/* Does not touch the file yet.  NULL: no memory. */
struct vs_history *vs_history_create(const char *path);
void vs_history_destroy(struct vs_history *h);

/* Gives the events of one topic and epoch with a number above `after`, in order, each as the JSON object that was
 * published; at most `limit` of them.  take returns non-zero to end it.  Returns how many were given, or -errno. */
int vs_history_replay(struct vs_history *h, enum vs_kind kind, const char *chair, uint64_t epoch, uint64_t after,
		      unsigned limit, int (*take)(void *arg, uint64_t seq, const char *json, size_t len), void *arg);
