/* Several files of a log as one: a database in memory whose tables have the names and columns of the log's, and give the
 * rows of all the files, in the order of their numbers.  The views of the log stand over them; every statement that
 * reads one file so reads many.
 *
 * Tables that stand whole in each file (link, carried, head, chair_state, hold, hold_end, removal, removal_end, broken) are those of the last one. */
#pragma once
#include <sqlite3.h>
#include <stddef.h>

/* files: open to read, oldest first; they stay the caller's and must outlive the database.  An SQLite result code. */
int vs_span_open(sqlite3 *const *files, size_t n, sqlite3 **ret);
