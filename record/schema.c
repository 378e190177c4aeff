#include "record/schema.h"

#include <string.h>

#include "config/embed.h"

extern const struct vs_embedded vs_log_migrations[];

int vs_schema_newest(void)
{
	int n = 0;
	while (vs_log_migrations[n].name)
		n++;
	return n;
}

/* The integer that a statement gives; 0 and *ret, or a result code. */
static int number_of(sqlite3 *db, const char *sql, int *ret)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		*ret = sqlite3_column_int(st, 0);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_ERROR : rc;
}

int vs_schema_version(sqlite3 *db)
{
	int version = 0;
	return number_of(db, "PRAGMA user_version", &version) == SQLITE_OK ? version : 0;
}

int vs_schema_look(sqlite3 *db, enum vs_schema_state *ret)
{
	int id = 0, version = 0, objects = 0;
	int rc = number_of(db, "SELECT count(*) FROM sqlite_schema", &objects);
	if (rc == SQLITE_OK)
		rc = number_of(db, "PRAGMA application_id", &id);
	if (rc == SQLITE_OK)
		rc = number_of(db, "PRAGMA user_version", &version);
	if (rc != SQLITE_OK)
		return rc;
	if (id == VS_LOG_APPLICATION_ID && version > 0)
		*ret = version > vs_schema_newest()  ? VS_SCHEMA_NEWER
		       : version < vs_schema_newest() ? VS_SCHEMA_OLD
						      : VS_SCHEMA_OK;
	else
		*ret = id == 0 && version == 0 && objects == 0 ? VS_SCHEMA_EMPTY : VS_SCHEMA_FOREIGN;
	return SQLITE_OK;
}

static int migrate_one(sqlite3 *db, int i)
{
	char pragma[96];
	int rc = sqlite3_exec(db, vs_log_migrations[i].bytes, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_snprintf(sizeof pragma, pragma, "PRAGMA application_id = %d; PRAGMA user_version = %d",
			 VS_LOG_APPLICATION_ID, i + 1);
	return sqlite3_exec(db, pragma, NULL, NULL, NULL);
}

int vs_schema_migrate(sqlite3 *db, int upto)
{
	int version = 0;
	int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return rc;
	rc = number_of(db, "PRAGMA user_version", &version);
	for (int i = version; rc == SQLITE_OK && i < upto; i++)
		rc = migrate_one(db, i);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	if (rc != SQLITE_OK && !sqlite3_get_autocommit(db))
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

/* All but what SQLite makes by itself: the index behind PRIMARY KEY or UNIQUE, which has no text, and what ANALYZE finds out. */
#define OBJECTS \
	" FROM sqlite_schema WHERE NOT (type = 'index' AND sql IS NULL)" \
	" AND NOT (type = 'table' AND name IN ('sqlite_stat1', 'sqlite_stat4')) "

/* Every object of `from` must stand in `in`, with the same text if `texts`. */
static int missing(sqlite3 *from, sqlite3 *in, const char *what, const char *other,
		   void (*found)(void *, const char *, const char *, const char *), void *arg)
{
	sqlite3_stmt *all = NULL, *one = NULL;
	int n = -1;
	if (sqlite3_prepare_v2(from, "SELECT type, name, sql" OBJECTS "ORDER BY rowid", -1, &all, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(in, "SELECT sql" OBJECTS "AND type = ?1 AND name = ?2", -1, &one, NULL) != SQLITE_OK)
		goto out;
	n = 0;
	int rc;
	while ((rc = sqlite3_step(all)) == SQLITE_ROW) {
		const char *type = (const char *)sqlite3_column_text(all, 0);
		const char *name = (const char *)sqlite3_column_text(all, 1);
		const char *sql = (const char *)sqlite3_column_text(all, 2);
		sqlite3_reset(one);
		sqlite3_bind_text(one, 1, type, -1, SQLITE_STATIC);
		sqlite3_bind_text(one, 2, name, -1, SQLITE_STATIC);
		if (sqlite3_step(one) != SQLITE_ROW)
			found(arg, type, name, what), n++;
		else if (other && strcmp(sql ? sql : "", sqlite3_column_text(one, 0)
						? (const char *)sqlite3_column_text(one, 0) : "") != 0)
			found(arg, type, name, other), n++;
	}
	if (rc != SQLITE_DONE)
		n = -1;
out:
	sqlite3_finalize(all);
	sqlite3_finalize(one);
	return n;
}

int vs_schema_compare(sqlite3 *db, void (*found)(void *arg, const char *type, const char *name, const char *what),
		      void *arg)
{
	sqlite3 *fresh = NULL;
	int lost = -1, added = -1, version = 0;
	if (sqlite3_open(":memory:", &fresh) == SQLITE_OK &&
	    number_of(db, "PRAGMA user_version", &version) == SQLITE_OK &&
	    vs_schema_migrate(fresh, version < vs_schema_newest() ? version : vs_schema_newest()) == SQLITE_OK) {
		lost = missing(fresh, db, "was dropped", "was redefined", found, arg);
		added = missing(db, fresh, "was added", NULL, found, arg);
	}
	sqlite3_close(fresh);
	return lost < 0 || added < 0 ? -1 : lost + added;
}
