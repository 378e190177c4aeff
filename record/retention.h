/* Which files of a log may go: retention by policy, and legal hold, which beats it.
 *
 * The unit is a whole closed file (record/files.h).  It is due when everything in it is older than the policy asks for, also
 * the end of a session that goes on in the next file; when nothing that is on hold is in it; and when it can be read, so that
 * this can be known.  The present file is never due.  Clinical H5: documentation is kept for six years (45 CFR
 * 164.316(b)(2)(i)), the clinical record as long as local law asks for.
 *
 * Functions return SQLite result codes; nothing here changes anything. */
#pragma once
#include "record/files.h"

/* How long things are kept; both 0: for ever. */
struct vs_keep {
	uint32_t years, days;
};
/* What is older (Unix ms) may go; INT64_MIN: nothing.  Years are those of the calendar, UTC. */
int64_t vs_keep_cutoff(struct vs_keep keep, int64_t now_ms);

/* A hold that is in force; of session, patient and span one is given. */
struct vs_hold {
	char id[64], session[128], patient[128]; /* "": not by that */
	int64_t from_ms, until_ms;               /* of a span; else 0 */
	int64_t at_ms, uid;
	char reason[512], operator[128];
};
/* All that are in force, oldest first; the caller frees them. */
int vs_holds(sqlite3 *present, struct vs_hold **ret, size_t *ret_n);
/* "session s-20261121-3", "patient P-7", "2026-11-21 to 2026-11-30". */
const char *vs_hold_text(const struct vs_hold *h, char *buf, size_t cap);

/* The longest time without a seal, in all files that are there, up to now.  A seal comes every day that the daemon runs.  A clock
 * that is years ahead, as one with an empty battery can be, makes everything look old: it shows here, as a time in which nobody
 * watched, and what would remove by itself has to leave it to a person then.  `path` is of the present file. */
#define VS_RECORD_GAP_MS (60 * 86400000ll) /* doubtful from here on */
struct vs_record_gap {
	int64_t from_ms, until_ms;
};
int vs_record_gap(sqlite3 *present, const char *path, int64_t now_ms, struct vs_record_gap *ret);

enum vs_retain {
	VS_RETAIN_YOUNG,      /* younger than the policy, or the policy keeps everything */
	VS_RETAIN_DUE,        /* may be removed */
	VS_RETAIN_HELD,       /* a hold keeps it */
	VS_RETAIN_UNDER_WAY,  /* its removal is recorded, and it is still there */
	VS_RETAIN_REMOVED,    /* by policy, and so recorded */
	VS_RETAIN_UNREADABLE, /* what is in it cannot be told: it is kept */
	VS_RETAIN_MISSING,    /* gone, and no record says why */
	VS_RETAIN_BROKEN,     /* it was damaged or lost while it was written */
};
/* "young", "due", "held", "under way", "removed", "unreadable", "missing", "broken". */
const char *vs_retain_name(enum vs_retain r);

struct vs_retained_file {
	struct vs_log_link link;
	enum vs_retain state;
	char why[1024];    /* in words: since when it is due, which hold, who removed it when */
	int64_t newest_ms; /* of what belongs to it, where it was looked at; else link.until_ms */
	/* DUE: what is in it. */
	int64_t first_seal, sessions, alarms, readings, bytes;
	char signature[2 * VS_KEY_SIGNATURE + 1]; /* of its last seal; "": it has none */
};
/* Looks at all files before the present one, oldest first; the caller frees them.  Only those that are old enough are
 * opened. */
int vs_retention_look(sqlite3 *present, const char *path, int64_t cutoff_ms, struct vs_retained_file **ret, size_t *ret_n);

/* Whether a file is the one that the link tells of, and no hold is on anything in it: what has to be true still in the moment
 * in which it is removed (before: the link before it, or NULL).  True: it may go.  False with the reason; *ret_gone: it is not there. */
bool vs_retention_may_go(sqlite3 *present, const char *path, const struct vs_log_link *link, const struct vs_log_link *before,
			 bool *ret_gone, char why[256]);

/* Whether a closed file is as it was sealed, from the seal of the file before (`before`, NULL: it is the first) to its
 * own last one: every row, every seal, and the signature of the last.  A tampered file is evidence and stays.  Reads all
 * of it (a million rows a second or so).  True, or false with what is wrong. */
bool vs_file_is_whole(sqlite3 *db, const struct vs_log_link *before, const struct vs_log_link *link, char why[256]);
