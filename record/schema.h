/* The schema of the log: which file is one, bringing it up to date, and whether it is as it should be.
 *
 * schema/NNN-*.sql are the migrations, in order; PRAGMA user_version tells how many a file has. */
#pragma once
#include <sqlite3.h>
#include <stdbool.h>

#define VS_LOG_APPLICATION_ID 0x76746c73 /* PRAGMA application_id: "vtls" */

/* How many migrations this program knows: the newest version of the schema. */
int vs_schema_newest(void);

/* How many the file has; 0: none, or it cannot be read. */
int vs_schema_version(sqlite3 *db);

enum vs_schema_state {
	VS_SCHEMA_OK,      /* a log of ours, of the newest version */
	VS_SCHEMA_EMPTY,   /* an empty database */
	VS_SCHEMA_OLD,     /* a log that migrations bring up to date */
	VS_SCHEMA_NEWER,   /* a newer program wrote it */
	VS_SCHEMA_FOREIGN, /* a database of somebody else */
};
/* What the file is.  0 and *ret, or an SQLite result code. */
int vs_schema_look(sqlite3 *db, enum vs_schema_state *ret);

/* Runs the migrations that are missing, up to version `upto`, in one transaction: all of them or none.
 * Returns an SQLite result code. */
int vs_schema_migrate(sqlite3 *db, int upto);

/* Compares tables, indexes, views and triggers with what the migrations up to the file's version make; calls `found` for
 * each that was added, dropped or redefined.  Returns how many, or -1: the file could not be read. */
int vs_schema_compare(sqlite3 *db, void (*found)(void *arg, const char *type, const char *name, const char *what),
		      void *arg);
