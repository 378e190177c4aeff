/* From file to file: what the next one takes over from the one before. */
#include "daemon/scribe_inside.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "record/schema.h"

/* ---- One file ends, the next goes on ---- */

int vs_scribe_closed(struct vs_scribe *s, int64_t at_ms, const char *name, const char *reason)
{
	int64_t id;
	sqlite3_bind_int64(s->st[CLOSED_ADD], 1, at_ms);
	vs_scribe_text(s->st[CLOSED_ADD], 2, name);
	vs_scribe_text(s->st[CLOSED_ADD], 3, reason);
	return vs_scribe_row(s, CLOSED_ADD, "closed", &id);
}

int vs_scribe_read_first(struct vs_scribe *s)
{
	static const char *const numbered[] = { "origin", "event", "shape", "run", "gap", "finding", "clock" };
	int rc = SQLITE_OK;
	for (size_t i = 0; rc == SQLITE_OK && i < sizeof numbered / sizeof *numbered; i++) {
		unsigned t = vs_scribe_table(numbered[i]);
		sqlite3_stmt *st = NULL;
		char text[64];
		int64_t last = 0;
		snprintf(text, sizeof text, "SELECT max(%s) FROM %s", vs_seal_tables[t].key, numbered[i]);
		rc = sqlite3_prepare_v2(s->db, text, -1, &st, NULL);
		bool empty = rc == SQLITE_OK && vs_scribe_number(st, &last) == SQLITE_DONE;
		sqlite3_finalize(st);
		if (rc == SQLITE_OK && empty)
			rc = vs_scribe_carried(s, numbered[i], &last);
		s->first[t] = empty && last ? last + 1 : 0;
	}
	return rc;
}

/* What stands in the new file of the one before: what is asked there, and into which columns it goes; all but the last is
 * history and goes under the new file's first seal. */
static const struct {
	const char *into, *what;
} handed_on[] = {
	{ "link", "SELECT * FROM link ORDER BY link" },
	{ "link(name, from_ms, until_ms, first_epoch, last_epoch, seal, rows, hash, public_key)",
	  "SELECT :name, coalesce((SELECT until_ms FROM link ORDER BY link DESC LIMIT 1), (SELECT min(started_ms) FROM epoch)),"
	  " (SELECT at_ms FROM closed ORDER BY closed DESC LIMIT 1), (SELECT min(epoch) FROM epoch), (SELECT max(epoch) FROM epoch),"
	  " seal, rows, hash, (SELECT public_key FROM epoch WHERE public_key IS NOT NULL ORDER BY epoch DESC LIMIT 1)"
	  " FROM seal ORDER BY seal DESC LIMIT 1" },
	{ "epoch", "SELECT * FROM epoch ORDER BY epoch DESC LIMIT 1" },
	/* max(): of the rows, and of what was carried into a file that had none */
	{ "carried(what, number)",
	  "SELECT what, max(number) FROM (SELECT 'origin' AS what, max(origin) AS number FROM origin UNION ALL SELECT 'event', max(event)"
	  " FROM event UNION ALL SELECT 'shape', max(shape) FROM shape UNION ALL SELECT 'run', max(run) FROM run UNION ALL SELECT 'gap',"
	  " max(gap) FROM gap UNION ALL SELECT 'finding', max(finding) FROM finding UNION ALL SELECT 'clock', max(clock) FROM clock UNION ALL"
	  " SELECT 'alarm id', max(CAST(substr(alarm, 3) AS INTEGER)) FROM alarm UNION ALL SELECT what, number FROM carried WHERE what IN ('origin', 'event', 'shape', 'run', 'gap',"
	  " 'finding', 'clock', 'alarm id')) WHERE number IS NOT NULL GROUP BY what ORDER BY what" },
	{ "carried(what, number)",
	  "SELECT what, max(number) FROM (SELECT 'day ' || substr(session, 3, 8) AS what, CAST(substr(session, 12) AS INTEGER) AS number"
	  " FROM session UNION ALL SELECT what, number FROM carried WHERE what LIKE 'day %') GROUP BY what ORDER BY what DESC LIMIT 32" },
	{ "carried(what, number)",
	  "WITH now(epoch) AS (SELECT max(epoch) FROM epoch)"
	  " SELECT what, max(seq) FROM (SELECT e.kind || ' ' || o.epoch || ' ' || o.chair AS what, max(e.seq) AS seq"
	  " FROM now JOIN origin o USING(epoch) CROSS JOIN event e ON e.origin = o.origin GROUP BY what"
	  " UNION ALL SELECT 'vitals ' || o.epoch || ' ' || o.chair, u.first_seq + ((SELECT max(id) FROM reading WHERE id BETWEEN"
	  " u.run * 8192 AND u.run * 8192 + 8191) & 8191) FROM now JOIN origin o USING(epoch) CROSS JOIN run u ON"
	  " u.origin = o.origin UNION ALL SELECT what, number FROM carried, now WHERE what LIKE '% ' || now.epoch || ' %')"
	  " WHERE seq IS NOT NULL GROUP BY what ORDER BY what" },
	{ "hold", "SELECT * FROM hold ORDER BY hold" },
	{ "hold_end", "SELECT * FROM hold_end ORDER BY hold" },
	{ "removal", "SELECT * FROM removal ORDER BY removal" },
	{ "removal_end", "SELECT * FROM removal_end ORDER BY removal" },
	{ "broken", "SELECT * FROM broken ORDER BY link" },
	{ "limit_text", "SELECT * FROM limit_text ORDER BY limit_text" },
	{ "limit_set", "SELECT * FROM limit_set ORDER BY limit_set" },
	{ "chair_state", "SELECT * FROM chair_state" },
};

/* Rows that a statement on another connection gives, into this one. */
static int copy_rows(struct vs_scribe *s, sqlite3 *past, const char *into, const char *what, const char *name)
{
	sqlite3_stmt *from = NULL, *to = NULL;
	char insert[256];
	int rc = sqlite3_prepare_v2(past, what, -1, &from, NULL), n = from ? sqlite3_column_count(from) : 0;
	size_t len = (size_t)snprintf(insert, sizeof insert, "INSERT INTO %s VALUES(", into);
	for (int i = 0; i < n; i++)
		len += (size_t)snprintf(insert + len, sizeof insert - len, "%s?", i ? "," : "");
	snprintf(insert + len, sizeof insert - len, ")");
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(s->db, insert, -1, &to, NULL);
	if (rc == SQLITE_OK)
		sqlite3_bind_text(from, sqlite3_bind_parameter_index(from, ":name"), name, -1, SQLITE_STATIC);
	while (rc == SQLITE_OK && (rc = sqlite3_step(from)) == SQLITE_ROW) {
		for (int i = 0; i < n; i++)
			sqlite3_bind_value(to, i + 1, sqlite3_column_value(from, i));
		rc = vs_scribe_run(to);
		s->head.unsealed += strncmp(into, "chair_state", 11) != 0;
	}
	sqlite3_finalize(from);
	sqlite3_finalize(to);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The end of the chain, as the last link has it. */
static int take_over_head(struct vs_scribe *s, uint64_t given_up)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, "SELECT seal, rows, hash, (SELECT number + 1 FROM carried WHERE what = 'run') FROM link"
					   " ORDER BY link DESC LIMIT 1", -1, &st, NULL);
	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW && sqlite3_column_bytes(st, 2) == VS_HASH) {
		s->head.seal = sqlite3_column_int64(st, 0);
		s->head.rows = sqlite3_column_int64(st, 1);
		memcpy(s->head.hash, sqlite3_column_blob(st, 2), VS_HASH);
		s->head.given_up = given_up;
		s->first_run = sqlite3_column_int64(st, 3);
		rc = SQLITE_OK;
	} else if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
		rc = SQLITE_CORRUPT;
	}
	sqlite3_finalize(st);
	return rc;
}

static int given_up_in(sqlite3 *past, int64_t *ret)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(past, "SELECT given_up FROM head", -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = vs_scribe_number(st, ret);
	sqlite3_finalize(st);
	return rc == SQLITE_ROW ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

int vs_scribe_go_on(struct vs_scribe *s, sqlite3 *past, const char *name)
{
	int64_t given_up = 0;
	int rc = given_up_in(past, &given_up);
	for (size_t i = 0; rc == SQLITE_OK && i < sizeof handed_on / sizeof *handed_on; i++)
		rc = copy_rows(s, past, handed_on[i].into, handed_on[i].what, name);
	if (rc == SQLITE_OK)
		rc = take_over_head(s, (uint64_t)given_up);
	return rc == SQLITE_OK ? vs_scribe_read_first(s) : rc;
}

/* ---- One file is lost, the next goes on ---- */

/* A number that nobody can have given: rows have numbers from 1 in each table, and fewer were written than this. */
#define UNKNOWN_ROWS 1000000000

/* Rows of the file that was lost, all or none.  *ret: they came over; else they cannot be read. */
static int try_rows(struct vs_scribe *s, sqlite3 *past, const char *into, const char *what, bool *ret)
{
	int64_t unsealed = s->head.unsealed;
	*ret = false;
	if (!past)
		return SQLITE_OK;
	int rc = sqlite3_exec(s->db, "SAVEPOINT carried", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return rc;
	rc = copy_rows(s, past, into, what, NULL);
	*ret = rc == SQLITE_OK;
	if (!*ret) {
		if (sqlite3_errcode(past) == SQLITE_OK || sqlite3_errcode(past) == SQLITE_ROW || sqlite3_errcode(past) == SQLITE_DONE)
			return rc; /* it is the new file that fails */
		s->head.unsealed = unsealed;
		rc = sqlite3_exec(s->db, "ROLLBACK TO carried", NULL, NULL, NULL);
	}
	return rc == SQLITE_OK ? sqlite3_exec(s->db, "RELEASE carried", NULL, NULL, NULL) : rc;
}

/* A number from the lost file, or what else is known. */
static int64_t ask_lost(sqlite3 *past, const char *what, int64_t otherwise)
{
	sqlite3_stmt *st = NULL;
	int64_t v = otherwise;
	if (past && sqlite3_prepare_v2(past, what, -1, &st, NULL) == SQLITE_OK && vs_scribe_number(st, &v) != SQLITE_ROW)
		v = otherwise;
	sqlite3_finalize(st);
	return v;
}

/* Its last seal: of memory, else of the file itself. */
static bool last_seal(sqlite3 *past, const struct vs_scribe_lost *lost, struct vs_scribe_head *ret)
{
	sqlite3_stmt *st = NULL;
	*ret = lost->end.head;
	if (ret->seal > 0)
		return true;
	ret->given_up = (uint64_t)ask_lost(past, "SELECT given_up FROM head", 0);
	if (past && sqlite3_prepare_v2(past, "SELECT seal, rows, hash FROM seal ORDER BY seal DESC LIMIT 1", -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW && sqlite3_column_bytes(st, 2) == VS_HASH) {
		ret->seal = sqlite3_column_int64(st, 0);
		ret->rows = sqlite3_column_int64(st, 1);
		memcpy(ret->hash, sqlite3_column_blob(st, 2), VS_HASH);
	}
	sqlite3_finalize(st);
	return ret->seal > 0;
}

static int link_lost(struct vs_scribe *s, sqlite3 *past, const struct vs_scribe_lost *lost, const struct vs_scribe_head *end)
{
	sqlite3_stmt *st = NULL;
	int64_t epoch = (int64_t)lost->epoch;
	int rc = sqlite3_prepare_v2(s->db, "INSERT INTO link(name, from_ms, until_ms, first_epoch, last_epoch, seal, rows, hash) VALUES(?1,"
					   " coalesce((SELECT until_ms FROM link ORDER BY link DESC LIMIT 1), ?2), ?3, ?4, ?5, ?6, ?7, ?8)", -1,
				    &st, NULL);
	if (rc != SQLITE_OK)
		return rc;
	vs_scribe_text(st, 1, lost->name);
	sqlite3_bind_int64(st, 2, ask_lost(past, "SELECT min(started_ms) FROM epoch", lost->at_ms));
	sqlite3_bind_int64(st, 3, lost->at_ms);
	sqlite3_bind_int64(st, 4, ask_lost(past, "SELECT min(epoch) FROM epoch", epoch));
	sqlite3_bind_int64(st, 5, ask_lost(past, "SELECT max(epoch) FROM epoch", epoch));
	sqlite3_bind_int64(st, 6, end->seal);
	sqlite3_bind_int64(st, 7, end->rows);
	sqlite3_bind_blob(st, 8, end->hash, VS_HASH, SQLITE_STATIC);
	rc = vs_scribe_run(st);
	sqlite3_finalize(st);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(s->db, "INSERT INTO broken SELECT max(link), ?1, ?2 FROM link", -1, &st, NULL);
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_int64(st, 1, lost->at_ms);
	vs_scribe_text(st, 2, lost->reason);
	rc = vs_scribe_run(st);
	sqlite3_finalize(st);
	s->head.unsealed += 2;
	return rc;
}

/* Numbers go on behind whatever is known to have been given. */
static int carry_numbers(struct vs_scribe *s, sqlite3 *past, const struct vs_scribe_lost *lost, int64_t rows)
{
	static const char *const numbered[] = { "origin", "event", "shape", "run", "gap", "finding", "clock" };
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, "INSERT INTO carried(what, number) VALUES(?1, ?2)", -1, &st, NULL);
	for (size_t i = 0; rc == SQLITE_OK && i < sizeof numbered / sizeof *numbered; i++) {
		unsigned t = vs_scribe_table(numbered[i]);
		char what[3][160];
		int64_t last = lost->end.last[t];
		bool told = last > 0;
		snprintf(what[0], sizeof what[0], "SELECT coalesce(max(%s), 0) FROM %s", vs_seal_tables[t].key, numbered[i]);
		snprintf(what[1], sizeof what[1], "SELECT coalesce(max(last), 0) FROM seal_part WHERE part = '%s'", numbered[i]);
		snprintf(what[2], sizeof what[2], "SELECT coalesce(max(number), 0) FROM carried WHERE what = '%s'", numbered[i]);
		for (size_t k = 0; k < 3; k++) {
			int64_t v = ask_lost(past, what[k], -1);
			told = told || (v >= 0 && k == 0);
			last = v > last ? v : last;
		}
		if (!told) /* its newest rows cannot be seen */
			last = (last > rows ? last : rows) + UNKNOWN_ROWS;
		if (last <= 0)
			continue;
		vs_scribe_text(st, 1, numbered[i]);
		sqlite3_bind_int64(st, 2, last);
		rc = vs_scribe_run(st);
		s->head.unsealed++;
	}
	sqlite3_finalize(st);
	return rc;
}

/* Nobody knows any more what is on hold: everything is, until people have said it anew. */
static int hold_everything(struct vs_scribe *s, const struct vs_scribe_lost *lost)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, "INSERT OR IGNORE INTO hold(id, at_ms, from_ms, until_ms, reason, operator, uid) VALUES('h-' || ?1 || '-' || ?2, ?2, 0,"
					   " 253402300799999, 'the file that says what is on hold was lost: place the holds anew, then release this"
					   " one', 'vitalsd', ?3)", -1, &st, NULL);
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_int64(st, 1, (int64_t)lost->epoch);
	sqlite3_bind_int64(st, 2, lost->at_ms);
	sqlite3_bind_int64(st, 3, (int64_t)getuid());
	rc = vs_scribe_run(st);
	sqlite3_finalize(st);
	s->head.unsealed++;
	return rc;
}

static int carry_tables(struct vs_scribe *s, sqlite3 *past, const struct vs_scribe_lost *lost, char told[300])
{
	static const struct {
		const char *table, *trouble;
	} tables[] = { { "link", "which files there are before it" }, { "epoch", NULL }, { "hold", "what is on hold" },
		       { "hold_end", "what is on hold" }, { "removal", "which files were removed by policy" },
		       { "removal_end", "which files were removed by policy" }, { "broken", "which files were lost before" },
		       { "limit_text", "by which limits was judged" }, { "limit_set", "by which limits was judged" } };
	const char *last = NULL;
	bool there, holds = true;
	int rc = SQLITE_OK, version = past ? vs_schema_version(past) : 0;
	for (size_t i = 0; rc == SQLITE_OK && i < sizeof tables / sizeof *tables; i++) {
		char what[96];
		const struct vs_seal_table *t = &vs_seal_tables[vs_scribe_table(tables[i].table)];
		if (version && version < t->since)
			continue; /* it had none */
		snprintf(what, sizeof what, "SELECT * FROM %s ORDER BY %s%s", tables[i].table, t->key, tables[i].trouble ? "" : " DESC LIMIT 1");
		rc = try_rows(s, past, tables[i].table, what, &there);
		holds = holds && (there || strncmp(tables[i].table, "hold", 4) != 0);
		if (there || !tables[i].trouble || tables[i].trouble == last)
			continue;
		last = tables[i].trouble;
		size_t n = strlen(told);
		snprintf(told + n, 300 - n, "%s%s", n ? ", " : "; it could not be read there ", last);
	}
	return rc == SQLITE_OK && !holds ? hold_everything(s, lost) : rc;
}

int vs_scribe_go_on_from_lost(struct vs_scribe *s, sqlite3 *past, const struct vs_scribe_lost *lost, char told[300])
{
	struct vs_scribe_head end;
	told[0] = '\0';
	bool known = last_seal(past, lost, &end);
	int rc = carry_tables(s, past, lost, told);
	if (rc == SQLITE_OK && known)
		rc = link_lost(s, past, lost, &end);
	if (rc == SQLITE_OK)
		rc = carry_numbers(s, past, lost, end.rows);
	int64_t files = rc == SQLITE_OK ? ask_lost(s->db, "SELECT count(*) FROM link", 0) : 0;
	if (rc == SQLITE_OK && files)
		rc = take_over_head(s, end.given_up);
	return rc == SQLITE_OK ? vs_scribe_read_first(s) : rc;
}
