/* The files of one log.
 *
 * The file that the configuration names is the one that is written.  When a year is over (or the file is large enough) it
 * is closed, kept beside it under a name of its own (vitals.db -> vitals-2026.db), and a new one is begun in its place,
 * which names all that came before (table `link`), goes on with their numbers, and whose first seal follows the last
 * one's last.  Whoever opens the present file so finds the others; a file whose last row is in `closed` stands alone.
 *
 * Functions return SQLite result codes; files of version 1 of the schema have no links. */
#pragma once
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/key.h"
#include "record/seal.h"

#define VS_FILE_NAME_CAP 256

/* One file as those behind it know it. */
struct vs_log_link {
	char name[VS_FILE_NAME_CAP];    /* in the folder of the present file */
	int64_t from_ms, until_ms;      /* what it spans */
	int64_t first_epoch, last_epoch;
	int64_t seal, rows;             /* its last seal, and what that counts */
	uint8_t hash[VS_HASH];
	uint8_t public_key[VS_KEY_PUBLIC];
	bool has_key;
};
/* The files before this one, oldest first; the caller frees them. */
int vs_log_links(sqlite3 *db, struct vs_log_link **ret, size_t *ret_n);

/* Under which name the file is kept since it was closed; "": it is not closed. */
int vs_log_closed_as(sqlite3 *db, char name[VS_FILE_NAME_CAP]);

/* The path of a file in the folder of `beside`.  False: the name is no plain file name, or the path is too long. */
bool vs_log_path_beside(const char *beside, const char *name, char *path, size_t cap);
