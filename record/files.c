#include "record/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_table(sqlite3 *db, const char *name)
{
	return sqlite3_table_column_metadata(db, "main", name, NULL, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK;
}

static void take_blob(sqlite3_stmt *st, int i, uint8_t *to, size_t len, bool *ret_there)
{
	*ret_there = sqlite3_column_bytes(st, i) == (int)len;
	if (*ret_there)
		memcpy(to, sqlite3_column_blob(st, i), len);
}

static void take_link(sqlite3_stmt *st, struct vs_log_link *k)
{
	bool there;
	*k = (struct vs_log_link){ .from_ms = sqlite3_column_int64(st, 1), .until_ms = sqlite3_column_int64(st, 2),
				   .first_epoch = sqlite3_column_int64(st, 3), .last_epoch = sqlite3_column_int64(st, 4),
				   .seal = sqlite3_column_int64(st, 5), .rows = sqlite3_column_int64(st, 6) };
	const char *name = (const char *)sqlite3_column_text(st, 0);
	snprintf(k->name, sizeof k->name, "%s", name ? name : "");
	take_blob(st, 7, k->hash, VS_HASH, &there);
	take_blob(st, 8, k->public_key, VS_KEY_PUBLIC, &k->has_key);
}

int vs_log_links(sqlite3 *db, struct vs_log_link **ret, size_t *ret_n)
{
	sqlite3_stmt *st = NULL;
	struct vs_log_link *all = NULL;
	size_t n = 0;
	*ret = NULL;
	*ret_n = 0;
	if (!has_table(db, "link"))
		return SQLITE_OK;
	int rc = sqlite3_prepare_v2(db, "SELECT name, from_ms, until_ms, first_epoch, last_epoch, seal, rows, hash, public_key"
					" FROM link ORDER BY link", -1, &st, NULL);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct vs_log_link *more = realloc(all, (n + 1) * sizeof *all);
		rc = more ? SQLITE_OK : SQLITE_NOMEM;
		if (more) {
			all = more;
			take_link(st, &all[n++]);
		}
	}
	sqlite3_finalize(st);
	if (rc != SQLITE_DONE) {
		free(all);
		return rc;
	}
	*ret = all;
	*ret_n = n;
	return SQLITE_OK;
}

int vs_log_closed_as(sqlite3 *db, char name[VS_FILE_NAME_CAP])
{
	sqlite3_stmt *st = NULL;
	name[0] = '\0';
	if (!has_table(db, "closed"))
		return SQLITE_OK;
	int rc = sqlite3_prepare_v2(db, "SELECT name FROM closed ORDER BY closed DESC LIMIT 1", -1, &st, NULL);
	if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
		snprintf(name, VS_FILE_NAME_CAP, "%s", (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

bool vs_log_path_beside(const char *beside, const char *name, char *path, size_t cap)
{
	const char *slash = strrchr(beside, '/');
	int folder = slash ? (int)(slash - beside) + 1 : 0;
	if (!name[0] || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	return (size_t)snprintf(path, cap, "%.*s%s", folder, beside, name) < cap;
}
