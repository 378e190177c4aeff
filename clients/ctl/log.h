/* What the commands on the log share: their options, and printing what SQL finds.
 *
 * clients/ctl/log*.c and audit*.c are the clients' home of SQLite. */
#pragma once
#include <jansson.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>

#include "clients/ctl/ctl.h"
#include "clients/ctl/logread.h"
#include "record/files.h"

struct vs_log_options {
	const char *log, *config;             /* --log, --config */
	const char *with;                     /* --with: another log beside that */
	const char *chair, *patient, *operator_name, *rule, *session, *protocol;
	const char *format, *witness, *key, *out, *html;
	const char *limits, *limit_file;
	const char *control, *reader;         /* --control, --reader: where and as whom reading is told (vs_log_trace) */
	const char *reason, *keep;            /* --reason, --keep 6y */
	bool untraced, apply;
	int64_t since_ms, until_ms;           /* INT64_MIN, INT64_MAX: not given */
	unsigned jobs;                        /* --jobs; 0: not given */
	bool json, csv;
	int n_words;
	char *words[8];
};

/* Reads argv[1..].  allowed: the options this command takes, separated by spaces; --log, --config, --json, and
 * --control, --reader, --untraced go always.
 * `since` also allows --from, which is the same.  Times are RFC 3339, `2026-11-21`, `2026-11-21 14:30` (UTC), or an age:
 * `90min`, `12h`, `7d`.
 * Returns VS_EXIT_DONE, or VS_EXIT_USAGE after saying why. */
int vs_log_options(struct vs_log_options *o, int argc, char **argv, const char *allowed);
/* Opens the log that the options name. */
int vs_log_open_given(const struct vs_log_options *o, struct vs_log **ret);
/* Before anything of the log is shown: where the log asks for it, tells the daemon who reads what (`command` and the words
 * of argv).  VS_EXIT_DONE, or VS_EXIT_FAILED after saying why: then nothing may be shown. */
int vs_log_trace(struct vs_log *l, const struct vs_log_options *o, const char *command, int argc, char **argv);
/* Everything that is read, as one database.  The first call opens the files of the past. */
sqlite3 *vs_log_db(struct vs_log *l);
const char *vs_log_file(const struct vs_log *l);

/* What a list is of.  Where the options give a time, only the files are read from here on that have such rows, or something that
 * belongs to them: how an alarm ended, how a session began.  To be called before anything is asked. */
enum vs_log_list { VS_LOG_SESSIONS, VS_LOG_ALARMS, VS_LOG_EVENTS };
void vs_log_narrow_list(struct vs_log *l, enum vs_log_list list, const struct vs_log_options *o);
/* All files are read again; every statement must be finalized.  False: they are already. */
bool vs_log_widen(struct vs_log *l);

/* The files themselves, for what looks at each of them: 0 is the oldest, the last one the present one. */
struct vs_log_part {
	const char *path;
	const struct vs_log_link *link; /* what the present file says of it; NULL: it is the present one */
	sqlite3 *db;                    /* NULL: it cannot be read, which was said */
	char why[1024];                 /* then */
	bool removed, broken;           /* the record says that it was removed by policy, or was damaged while it was written */
};
size_t vs_log_parts(struct vs_log *l);
struct vs_log_part *vs_log_part(struct vs_log *l, size_t i);
/* Whether a file has messages or readings of the session, and (*ret_begins) its first one. */
bool vs_log_part_has(sqlite3 *db, const char *session, bool *ret_begins);

/* Binds the filters to the named parameters that a statement has: :chair, :patient, :operator, :rule, :session,
 * :protocol (NULL: any), :since, :until. */
void vs_log_bind(sqlite3_stmt *st, const struct vs_log_options *o);
/* Prepares and binds; NULL after saying why. */
sqlite3_stmt *vs_log_query(struct vs_log *l, const char *sql, const struct vs_log_options *o);

/* Prints all rows as a table for people: titles are the column names; `none` where there is no row. */
int vs_log_table(sqlite3_stmt *st, const char *none);
/* As a JSON array, one object a line. */
int vs_log_json(sqlite3_stmt *st);
/* As CSV (RFC 4180), a header first. */
int vs_log_csv(sqlite3_stmt *st, FILE *to);
/* The present row as a JSON object; columns whose name ends with '!' are JSON already (the '!' is cut). */
json_t *vs_log_row(sqlite3_stmt *st);
/* One field of CSV, quoted where it must be; a text that a spreadsheet would take for a formula has an apostrophe before it. */
void vs_csv_field(FILE *to, const char *text);
/* Writes a file that stands under its name only when all of it is on the disk; `write` gets a stream, or stdout where `name` is
 * NULL, and returns an exit status.  An existing file is refused, or with `replace` replaced at once.  The exit status; why not is said. */
int vs_log_write_out(const char *name, bool replace, int (*write)(void *ctx, FILE *to), void *ctx);
/* Says what SQLite said; returns VS_EXIT_FAILED. */
int vs_log_failed(struct vs_log *l);
