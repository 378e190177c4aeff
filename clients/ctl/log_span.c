#include "clients/ctl/log_span.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/schema.h"
#include "record/seal.h"

#define COLUMNS_MAX 24

struct cached {
	struct cached *next;
	size_t file;
	bool in_use;
	sqlite3_stmt *st;
	char where[]; /* what it was prepared for */
};

struct range {
	int64_t low, high; /* numbers that a file has; low > high: none */
};

struct table {
	sqlite3_vtab base;
	sqlite3 *const *files;
	size_t n;
	char name[32];
	int n_columns, key; /* key: the column that numbers rows, -1: none */
	char columns[COLUMNS_MAX][32];
	double rows; /* about */
	struct range *ranges; /* of each file, where there is a key */
	struct cached *statements;
};

struct cursor {
	sqlite3_vtab_cursor base;
	size_t file, files_done;
	bool backwards;
	struct cached *at; /* NULL: the end */
	const char *where;
	int n_args;
	sqlite3_value *args[COLUMNS_MAX];
	int64_t low, high; /* of numbers that can be wanted */
};

/* What indexes are worth: rows that one value of the column, or a span of it, brings along. */
static const struct {
	const char *table, *column;
	double one, span;
} indexed[] = {
	{ "event", "session", 300, 1e6 },   { "event", "alarm", 6, 1e6 },	 { "event", "at_ms", 2, 2e4 },
	{ "event", "origin", 2e3, 1e6 },    { "session", "session", 1, 1e4 },   { "session", "started_ms", 1, 500 },
	{ "alarm", "alarm", 1, 1e4 },	    { "alarm", "onset_ms", 1, 500 },    { "run", "session", 20, 1e5 },
	{ "run", "start_ms", 2, 500 },	    { "run", "origin", 200, 1e5 },      { "shape", "key", 1, 1e3 },
	{ "seal_part", "part", 1e5, 1e6 },
};
static const struct {
	const char *table;
	double rows;
} sizes[] = { { "reading", 1e8 }, { "event", 1e6 }, { "run", 1e5 }, { "seal", 1e5 }, { "seal_part", 1e6 },
	      { "session", 1e4 }, { "alarm", 1e4 }, { "shape_metric", 1e4 } };

/* ---- Making a table ---- */

static bool whole_in_each(const char *name)
{
	static const char *const names[] = { "link", "carried", "head", "chair_state", "hold", "hold_end", "removal", "removal_end",
					     "broken", "limit_text", "limit_set" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static const char *key_of(const char *name)
{
	for (const struct vs_seal_table *s = vs_seal_tables; s->name; s++)
		if (strcmp(s->name, name) == 0)
			return s->key;
	return strcmp(name, "seal") == 0 ? "seal" : NULL;
}

/* Which numbers each file has.  The last one may be written meanwhile: it has no end.  An epoch that goes on in the next
 * file stands there again, and belongs to the one before. */
static int find_ranges(struct table *t)
{
	char sql[128];
	int64_t taken = INT64_MIN;
	t->ranges = calloc(t->n, sizeof *t->ranges);
	if (!t->ranges)
		return SQLITE_NOMEM;
	for (size_t i = 0; i < t->n; i++) {
		sqlite3_stmt *st = NULL;
		struct range *r = &t->ranges[i];
		*r = (struct range){ 1, 0 };
		/* Two questions of one row each: min and max together would read the whole table. */
		snprintf(sql, sizeof sql, "SELECT (SELECT min(%s) FROM %s), (SELECT max(%s) FROM %s)", t->columns[t->key],
			 t->name, t->columns[t->key], t->name);
		int rc = sqlite3_prepare_v2(t->files[i], sql, -1, &st, NULL);
		if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL)
			*r = (struct range){ sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1) };
		sqlite3_finalize(st);
		if (rc != SQLITE_ROW)
			return rc == SQLITE_ERROR ? SQLITE_OK : rc; /* no such table: a file of an older version */
		if (r->low <= r->high && r->low <= taken)
			r->low = taken + 1;
		if (r->low <= r->high)
			taken = r->high;
	}
	return SQLITE_OK;
}

/* The columns, as a declaration. */
static int read_columns(struct table *t, sqlite3 *schema, char *declared, size_t cap)
{
	sqlite3_stmt *st = NULL;
	const char *key = key_of(t->name);
	size_t len = (size_t)snprintf(declared, cap, "CREATE TABLE x(");
	int rc = sqlite3_prepare_v2(schema, "SELECT name, type FROM pragma_table_info(?1)", -1, &st, NULL);
	t->key = -1;
	if (rc == SQLITE_OK)
		sqlite3_bind_text(st, 1, t->name, -1, SQLITE_STATIC);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW && t->n_columns < COLUMNS_MAX) {
		const char *name = (const char *)sqlite3_column_text(st, 0), *type = (const char *)sqlite3_column_text(st, 1);
		snprintf(t->columns[t->n_columns], sizeof t->columns[0], "%s", name);
		if (key && strcmp(key, name) == 0)
			t->key = t->n_columns;
		len += (size_t)snprintf(declared + len, cap - len, "%s%s %s", t->n_columns ? ", " : "", name,
					strcmp(type, "ANY") ? type : "");
		t->n_columns++;
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	snprintf(declared + len, cap - len, ")");
	return rc == SQLITE_DONE && t->n_columns ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_ERROR : rc;
}

static int disconnect(sqlite3_vtab *base)
{
	struct table *t = (struct table *)base;
	for (struct cached *c; (c = t->statements);) {
		t->statements = c->next;
		sqlite3_finalize(c->st);
		free(c);
	}
	free(t->ranges);
	free(t);
	return SQLITE_OK;
}

struct span {
	sqlite3 *const *files;
	size_t n;
	sqlite3 *schema; /* what the migrations make: no file is trusted with statements that are run */
};

static int connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **ret, char **why)
{
	(void)argc, (void)why;
	const struct span *span = aux;
	char declared[1024];
	struct table *t = calloc(1, sizeof *t);
	if (!t)
		return SQLITE_NOMEM;
	*t = (struct table){ .files = span->files, .n = span->n, .rows = 1e3 };
	snprintf(t->name, sizeof t->name, "%s", argv[2]);
	if (whole_in_each(t->name))
		t->files += t->n - 1, t->n = 1;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		if (strcmp(sizes[i].table, t->name) == 0)
			t->rows = sizes[i].rows;
	int rc = read_columns(t, span->schema, declared, sizeof declared);
	if (rc == SQLITE_OK)
		rc = sqlite3_declare_vtab(db, declared);
	if (rc == SQLITE_OK)
		*ret = &t->base;
	else
		disconnect(&t->base);
	return rc;
}

/* ---- Planning ---- */

static const char *operator_of(unsigned char op)
{
	switch (op) {
	case SQLITE_INDEX_CONSTRAINT_EQ: return "=";
	case SQLITE_INDEX_CONSTRAINT_GT: return ">";
	case SQLITE_INDEX_CONSTRAINT_GE: return ">=";
	case SQLITE_INDEX_CONSTRAINT_LT: return "<";
	case SQLITE_INDEX_CONSTRAINT_LE: return "<=";
	default: return NULL;
	}
}

/* Rows that remain if the column is compared so. */
static double rows_of(const struct table *t, int column, const char *op)
{
	if (column == t->key)
		return *op == '=' ? 1 : t->rows > 1e7 ? 1e4 : t->rows / 100;
	for (size_t i = 0; i < sizeof indexed / sizeof *indexed; i++)
		if (strcmp(indexed[i].table, t->name) == 0 && strcmp(indexed[i].column, t->columns[column]) == 0)
			return *op == '=' ? indexed[i].one : indexed[i].span;
	return t->rows;
}

/* The plan is the text of the statement behind FROM, after a letter for each value: how it bounds the number, or '-'. */
static int best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
	struct table *t = (struct table *)base;
	char letters[COLUMNS_MAX + 1] = "", where[1024] = "";
	size_t len = 0;
	int args = 0;
	double rows = t->rows;
	for (int i = 0; i < info->nConstraint && args < COLUMNS_MAX; i++) {
		int column = info->aConstraint[i].iColumn < 0 ? t->key : info->aConstraint[i].iColumn;
		const char *op = operator_of(info->aConstraint[i].op);
		if (!info->aConstraint[i].usable || !op || column < 0)
			continue;
		letters[args++] = column != t->key ? '-' : *op == '=' ? '=' : *op;
		info->aConstraintUsage[i].argvIndex = args;
		len += (size_t)snprintf(where + len, sizeof where - len, "%s%s%s?%d", args > 1 ? " AND " : " WHERE ",
					t->columns[column], op, args);
		double left = rows_of(t, column, op);
		rows = left < rows ? left : rows;
	}
	const struct sqlite3_index_orderby *by = info->aOrderBy;
	bool ordered = info->nOrderBy == 1 && t->key >= 0 && (by->iColumn == t->key || by->iColumn < 0);
	if (ordered)
		snprintf(where + len, sizeof where - len, " ORDER BY %s%s", t->columns[t->key], by->desc ? " DESC" : "");
	info->orderByConsumed = ordered;
	info->idxNum = ordered && by->desc;
	info->estimatedRows = (sqlite3_int64)rows;
	info->estimatedCost = rows + 10 * (double)t->n;
	info->idxStr = sqlite3_mprintf("%s|%s", letters, where);
	info->needToFreeIdxStr = 1;
	return info->idxStr ? SQLITE_OK : SQLITE_NOMEM;
}

/* ---- Reading ---- */

static int open_cursor(sqlite3_vtab *base, sqlite3_vtab_cursor **ret)
{
	(void)base;
	struct cursor *c = calloc(1, sizeof *c);
	*ret = &c->base;
	return c ? SQLITE_OK : SQLITE_NOMEM;
}

static void let_go(struct cursor *c)
{
	if (!c->at)
		return;
	sqlite3_reset(c->at->st);
	c->at->in_use = false;
	c->at = NULL;
}

static void forget_args(struct cursor *c)
{
	for (int i = 0; i < c->n_args; i++)
		sqlite3_value_free(c->args[i]);
	c->n_args = 0;
}

static int close_cursor(sqlite3_vtab_cursor *base)
{
	struct cursor *c = (struct cursor *)base;
	let_go(c);
	forget_args(c);
	free(c);
	return SQLITE_OK;
}

static int refuse(struct table *t, size_t file, int rc)
{
	sqlite3_free(t->base.zErrMsg);
	t->base.zErrMsg = sqlite3_mprintf("%s: %s", sqlite3_db_filename(t->files[file], "main"), sqlite3_errmsg(t->files[file]));
	return rc;
}

static bool has_rows(struct table *t, size_t file)
{
	return t->key < 0 || t->ranges[file].low <= t->ranges[file].high || file + 1 == t->n;
}

/* A statement on a file that nobody uses. */
static int statement_of(struct table *t, size_t file, const char *where, struct cached **ret)
{
	for (struct cached *c = t->statements; c; c = c->next)
		if (c->file == file && !c->in_use && strcmp(c->where, where) == 0) {
			*ret = c;
			return SQLITE_OK;
		}
	struct cached *c = calloc(1, sizeof *c + strlen(where) + 1);
	char sql[2048], key[96] = "";
	size_t len = 0;
	if (!c)
		return SQLITE_NOMEM;
	for (int i = 0; i < t->n_columns; i++)
		len += (size_t)snprintf(sql + len, sizeof sql - len, "%s%s", i ? ", " : "SELECT ", t->columns[i]);
	/* Rows that a file before this one gave already. */
	if (t->key >= 0 && file > 0 && strcmp(t->name, "epoch") == 0)
		snprintf(key, sizeof key, " %s %s >= %lld", strstr(where, "WHERE") ? "AND" : "WHERE", t->columns[t->key],
			 (long long)t->ranges[file].low);
	const char *order = strstr(where, " ORDER BY");
	int before = order ? (int)(order - where) : (int)strlen(where);
	snprintf(sql + len, sizeof sql - len, " FROM %s%.*s%s%s", t->name, before, where, key, order ? order : "");
	strcpy(c->where, where);
	c->file = file;
	int rc = sqlite3_prepare_v3(t->files[file], sql, -1, SQLITE_PREPARE_PERSISTENT, &c->st, NULL);
	if (rc != SQLITE_OK) {
		free(c);
		return refuse(t, file, rc);
	}
	c->next = t->statements;
	t->statements = c;
	*ret = c;
	return SQLITE_OK;
}

/* Begins with the next file that can have such rows. */
static int next_file(struct cursor *c)
{
	struct table *t = (struct table *)c->base.pVtab;
	while (c->files_done < t->n) {
		size_t file = c->backwards ? t->n - 1 - c->files_done : c->files_done;
		c->files_done++;
		if (!has_rows(t, file) || (t->key >= 0 && ((t->ranges[file].low <= t->ranges[file].high &&
							    c->high < t->ranges[file].low) ||
							   (file + 1 < t->n && c->low > t->ranges[file].high))))
			continue;
		int rc = statement_of(t, file, c->where, &c->at);
		if (rc != SQLITE_OK) {
			c->at = NULL;
			return rc;
		}
		c->at->in_use = true;
		c->file = file;
		for (int i = 0; i < c->n_args; i++)
			sqlite3_bind_value(c->at->st, i + 1, c->args[i]);
		rc = sqlite3_step(c->at->st);
		if (rc == SQLITE_ROW)
			return SQLITE_OK;
		let_go(c);
		if (rc != SQLITE_DONE)
			return refuse(t, file, rc);
	}
	return SQLITE_OK;
}

static int filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc, sqlite3_value **argv)
{
	struct cursor *c = (struct cursor *)base;
	struct table *t = (struct table *)base->pVtab;
	int rc = t->key >= 0 && !t->ranges ? find_ranges(t) : SQLITE_OK;
	if (rc != SQLITE_OK)
		return rc;
	let_go(c);
	forget_args(c);
	c->backwards = plan != 0;
	c->files_done = 0;
	c->where = strchr(text, '|') + 1;
	c->low = INT64_MIN;
	c->high = INT64_MAX;
	for (int i = 0; i < argc; i++) {
		c->args[i] = sqlite3_value_dup(argv[i]);
		if (!c->args[i])
			return SQLITE_NOMEM;
		c->n_args++;
		if (text[i] == '-' || sqlite3_value_type(argv[i]) != SQLITE_INTEGER)
			continue;
		int64_t v = sqlite3_value_int64(argv[i]);
		if (text[i] != '<' && v > c->low)
			c->low = v;
		if (text[i] != '>' && v < c->high)
			c->high = v;
	}
	return next_file(c);
}

static int next(sqlite3_vtab_cursor *base)
{
	struct cursor *c = (struct cursor *)base;
	int rc = sqlite3_step(c->at->st);
	if (rc == SQLITE_ROW)
		return SQLITE_OK;
	size_t file = c->file;
	let_go(c);
	return rc == SQLITE_DONE ? next_file(c) : refuse((struct table *)base->pVtab, file, rc);
}

static int at_end(sqlite3_vtab_cursor *base)
{
	return ((struct cursor *)base)->at == NULL;
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int i)
{
	sqlite3_result_value(ctx, sqlite3_column_value(((struct cursor *)base)->at->st, i));
	return SQLITE_OK;
}

static int row_id(sqlite3_vtab_cursor *base, sqlite3_int64 *ret)
{
	struct table *t = (struct table *)base->pVtab;
	*ret = t->key >= 0 ? sqlite3_column_int64(((struct cursor *)base)->at->st, t->key) : 0;
	return SQLITE_OK;
}

static const sqlite3_module module = {
	.iVersion = 1, .xCreate = connect, .xConnect = connect, .xBestIndex = best_index, .xDisconnect = disconnect,
	.xDestroy = disconnect, .xOpen = open_cursor, .xClose = close_cursor, .xFilter = filter, .xNext = next, .xEof = at_end,
	.xColumn = column, .xRowid = row_id,
};

/* ---- The database ---- */

/* Runs what a statement on the schema makes of each of its tables or views. */
static int copy_schema(sqlite3 *db, sqlite3 *schema, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(schema, sql, -1, &st, NULL);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
		rc = sqlite3_exec(db, (const char *)sqlite3_column_text(st, 0), NULL, NULL, NULL);
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static void forget_span(void *arg)
{
	struct span *span = arg;
	sqlite3_close(span->schema);
	free(span);
}

static int make_schema(sqlite3 *newest, sqlite3 **ret)
{
	int rc = sqlite3_open(":memory:", ret);
	return rc == SQLITE_OK ? vs_schema_migrate(*ret, vs_schema_version(newest)) : rc;
}

int vs_span_open(sqlite3 *const *files, size_t n, sqlite3 **ret)
{
	struct span *span = calloc(1, sizeof *span);
	*ret = NULL;
	if (!span)
		return SQLITE_NOMEM;
	*span = (struct span){ files, n, NULL };
	int rc = make_schema(files[n - 1], &span->schema);
	if (rc == SQLITE_OK)
		rc = sqlite3_open(":memory:", ret);
	if (rc != SQLITE_OK) {
		forget_span(span);
		return rc;
	}
	rc = sqlite3_create_module_v2(*ret, "files", &module, span, forget_span);
	if (rc == SQLITE_OK)
		rc = copy_schema(*ret, span->schema, "SELECT 'CREATE VIRTUAL TABLE ' || name || ' USING files' FROM sqlite_schema"
						     " WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid");
	if (rc == SQLITE_OK)
		rc = copy_schema(*ret, span->schema, "SELECT sql FROM sqlite_schema WHERE type = 'view' ORDER BY rowid");
	return rc;
}
