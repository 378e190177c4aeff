/* Reading the log (SQLite) in the clients: read-only, also without the right to write, while the daemon runs, and from
 * a copy of database and WAL. */
#pragma once
#include "core/event.h"

struct vs_log;

/* Where the log is: `given` (--log), else the `log: path:` of the configuration file `config` (--config), else
 * /var/lib/vitalsd/vitals.db.  The text is static or the caller's. */
const char *vs_log_path(const char *given, const char *config);

/* Opens the log: `path` is its present file, of which all files before it are read as one with it; or one file that was
 * closed, alone; or the folder of a log.  Says what is wrong on stderr; -ENOENT, -EINVAL (not a log of vitalsd), -EPROTO
 * (written by a newer version), ...  A file of the past that is missing is said, and left out. */
int vs_log_open(const char *path, struct vs_log **ret);
void vs_log_close(struct vs_log *l);
/* From here on only the files with these sessions are read: mostly one, which is faster.  To be called before anything is
 * asked; where none of them is in the log, everything stays as it is. */
void vs_log_narrow(struct vs_log *l, const char *const *sessions, size_t n);

/* Whether the log knows the session, and its chair.  1: yes; 0: no; negative: -errno, said on stderr. */
int vs_log_session(struct vs_log *l, const char *session, char chair[64]);

/* What happened on a chair while a session was open, in the order in which it was recorded: its readings, and every
 * event (alarm, session, entry, device, request) with its body.  From `before_ms` ahead of the session's start, and of the first alarm
 * that still stood then (a day at most), so that an engine knows what it knew.  Where the log says how the clocks stood to one
 * another, the order is that of the clock which nobody sets.
 * Strings and the reading are good until take returns; take returns non-zero to end it. */
struct vs_log_item {
	enum vs_kind kind;
	uint64_t epoch, seq;
	int64_t wall_ms;
	int64_t boot_ms;     /* CLOCK_BOOTTIME of the machine at that time; 0: the log does not say */
	const char *session; /* NULL: none was open */
	const char *device;               /* VITALS */
	const struct vs_reading *reading; /* VITALS: values and flags as they were published */
	const char *json;                 /* other kinds: the whole JSON object as published */
	size_t json_len;
};
/* 0; -ENOENT: the log has no such session; other -errno: said on stderr. */
int vs_log_items(struct vs_log *l, const char *session, int64_t before_ms,
		 int (*take)(void *arg, const struct vs_log_item *item), void *arg);
