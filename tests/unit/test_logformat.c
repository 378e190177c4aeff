/* The file format of the log: migrations, rows as text, keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/timetext.h"
#include "record/key.h"
#include "record/retention.h"
#include "record/schema.h"
#include "record/seal.h"

static sqlite3 *memory(void)
{
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	return db;
}

static void run(sqlite3 *db, const char *sql)
{
	char *why = NULL;
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
}

static void a_file_is_what_it_is(void **state)
{
	(void)state;
	static const struct {
		const char *sql;
		enum vs_schema_state is;
		const char *why;
	} story[] = {
		{ "", VS_SCHEMA_EMPTY, "nothing in it yet" },
		{ "CREATE TABLE t(x)", VS_SCHEMA_FOREIGN, "somebody's table" },
		{ "PRAGMA user_version = 1; CREATE TABLE t(x)", VS_SCHEMA_FOREIGN, "a version, but not our number" },
		{ "PRAGMA application_id = 1987341427; PRAGMA user_version = 4; CREATE TABLE t(x)", VS_SCHEMA_OK, "ours" },
		{ "PRAGMA application_id = 1987341427; PRAGMA user_version = 3; CREATE TABLE t(x)", VS_SCHEMA_OLD, "of an earlier one" },
		{ "PRAGMA application_id = 1987341427; PRAGMA user_version = 99; CREATE TABLE t(x)", VS_SCHEMA_NEWER,
		  "of a program that is not written yet" },
		{ "PRAGMA application_id = 1987341427; CREATE TABLE t(x)", VS_SCHEMA_FOREIGN, "our number without a version" },
	};
	for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
		enum vs_schema_state is;
		sqlite3 *db = memory();
		run(db, story[i].sql);
		assert_int_equal(vs_schema_look(db, &is), SQLITE_OK);
		if (is != story[i].is)
			fail_msg("%s: %d", story[i].why, is);
		sqlite3_close(db);
	}
}

/* A row of every table, as far as the version has it: a migration must carry each of them over. */
static void fill(sqlite3 *db)
{
	run(db, "INSERT INTO epoch VALUES(1, 1000, 'site', 'hash', '0.1', NULL, zeroblob(32));"
		"INSERT INTO epoch_end VALUES(1, 9000);"
		"INSERT INTO origin VALUES(1, 1, 'site', 'chair-1');"
		"INSERT INTO event VALUES(1, 1, 'session', 1, 2000, 's-1', 'nurse', NULL, '\"phase\":\"screening\",\"patient\":\"P\"');"
		"INSERT INTO event VALUES(2, 1, 'alarm', 1, 3000, 's-1', NULL, 'a-000001', '\"alarm\":\"a-000001\",\"change\":\"raised\"');"
		"INSERT INTO session VALUES(1, 's-1', 2000); INSERT INTO alarm VALUES(2, 'a-000001', 3000);"
		"INSERT INTO shape VALUES(1, 'ox', 'ox', '[]', '[]', '\"spo2\":', NULL, NULL, NULL);"
		"INSERT INTO shape_metric VALUES(32, 'spo2', '%', 1, '[]', '[]');"
		"INSERT INTO run VALUES(1, 1, 's-1', 1, 2500, 700);"
		"INSERT INTO reading VALUES(8192, 1, 10, 97, NULL, NULL, NULL, NULL)");
	if (vs_schema_version(db) >= 4)
		run(db, "INSERT INTO limit_text VALUES(1, 'aa', 'own.yaml', 'sets: []');"
			"INSERT INTO limit_set VALUES(1, 2000, 'own', 'aa', 'aa', '[\"aa\"]');"
			"INSERT INTO clock VALUES(1, 1, 1, 700, 2500)");
}

static int64_t ask(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	int64_t v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return v;
}

static void complain(void *arg, const char *type, const char *name, const char *what)
{
	snprintf(arg, 128, "%s %s %s", type, name, what);
}

static void every_version_comes_up_to_date_with_its_rows(void **state)
{
	(void)state;
	for (int from = 0; from <= vs_schema_newest(); from++) {
		sqlite3 *db = memory();
		char found[128] = "";
		assert_int_equal(vs_schema_migrate(db, from), SQLITE_OK);
		if (from)
			fill(db);
		assert_int_equal(vs_schema_migrate(db, vs_schema_newest()), SQLITE_OK);
		if (!from)
			fill(db);
		assert_int_equal(vs_schema_compare(db, complain, found), 0);
		assert_string_equal(found, "");
		assert_int_equal(ask(db, "PRAGMA user_version"), vs_schema_newest());
		assert_int_equal(ask(db, "SELECT count(*) FROM audit_event"), 3);
		assert_int_equal(ask(db, "SELECT value FROM audit_observation WHERE session = 's-1'"), 97);
		assert_int_equal(ask(db, "SELECT count(*) FROM audit_session WHERE patient = 'P'"), 1);
		assert_int_equal(ask(db, "SELECT count(*) FROM audit_alarm WHERE onset_ms = 3000"), 1);
		sqlite3_close(db);
	}
}

static void what_differs_from_the_schema_is_named(void **state)
{
	(void)state;
	static const struct {
		const char *sql, *found;
	} story[] = {
		{ "DROP TRIGGER keep_reading_d", "trigger keep_reading_d was dropped" },
		{ "CREATE TABLE aside(x)", "table aside was added" },
		{ "DROP VIEW audit_event; CREATE VIEW audit_event AS SELECT 1", "view audit_event was redefined" },
		{ "ALTER TABLE gap ADD COLUMN more TEXT", "table gap was redefined" },
	};
	for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
		char found[128] = "";
		sqlite3 *db = memory();
		assert_int_equal(vs_schema_migrate(db, vs_schema_newest()), SQLITE_OK);
		run(db, story[i].sql);
		assert_int_equal(vs_schema_compare(db, complain, found), 1);
		assert_string_equal(found, story[i].found);
		sqlite3_close(db);
	}
}

/* A row's text is what quote() makes of its columns: SQLite itself is asked. */
static void rows_read_as_sqlite_quotes_them(void **state)
{
	(void)state;
	static const char *const values[] = {
		"0", "-1", "127", "9223372036854775807", "-9223372036854775808", "36.6", "0.1", "1e-05", "3.14159", "1e300", "-2.5",
		"1.0/3", "''", "'it''s'", "'a|b'", "'\xc3\xa5ngstr\xc3\xb6m'", "x''", "x'00ffa5'", "NULL", "zeroblob(5)",
		"9", "10", "99", "100", "101", "1009", "65536", "1768208400000", "-10", "-99", "-100",
	};
	sqlite3 *db = memory();
	struct vs_row_text t = { 0 }, all = { 0 };
	char together[4096] = "";
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		char sql[256];
		sqlite3_stmt *st = NULL;
		snprintf(sql, sizeof sql, "SELECT quote(v) || '|' || quote(w) || char(10), v, w FROM (SELECT %s AS v, 7 AS w)", values[i]);
		assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_step(st), SQLITE_ROW);
		vs_row_columns(&t, st, 1);
		const char *expected = (const char *)sqlite3_column_text(st, 0);
		if (t.len != strlen(expected) || memcmp(t.buf, expected, t.len) != 0)
			fail_msg("%s: got %.*s", values[i], (int)t.len, t.buf);
		vs_row_gather(&all, st, 1);
		strcat(together, expected);
		sqlite3_finalize(st);
	}
	assert_int_equal(all.len, strlen(together)); /* one behind the other, as they are hashed */
	assert_memory_equal(all.buf, together, all.len);
	vs_row_finish(&t);
	vs_row_finish(&all);
	sqlite3_close(db);
}

static void a_row_is_its_own_inverse_in_the_tail(void **state)
{
	(void)state;
	uint8_t tail[VS_HASH] = { 0 }, none[VS_HASH] = { 0 }, once[VS_HASH];
	struct vs_row_text t = { 0 };
	vs_row_begin(&t), vs_row_int(&t, 5), vs_row_end(&t);
	vs_tail_row(tail, "reading", &t);
	memcpy(once, tail, VS_HASH);
	vs_tail_row(tail, "event", &t);
	assert_memory_not_equal(tail, once, VS_HASH);
	vs_tail_row(tail, "event", &t);
	vs_tail_row(tail, "reading", &t);
	assert_memory_equal(tail, none, VS_HASH);
	vs_row_finish(&t);
}

static void a_key_is_made_once_and_kept_from_others(void **state)
{
	(void)state;
	char folder[] = "/tmp/vitalsd-key.XXXXXX", log[64], path[80];
	struct vs_key k = { 0 }, again = { 0 };
	struct stat st;
	uint8_t signature[VS_KEY_SIGNATURE];
	assert_non_null(mkdtemp(folder));
	snprintf(log, sizeof log, "%s/vitals.db", folder);
	snprintf(path, sizeof path, "%s.key", log);
	assert_int_equal(vs_key_load(log, false, &k), -ENOENT);
	assert_int_equal(vs_key_load(log, true, &k), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(vs_key_load(log, true, &again), 0);
	assert_memory_equal(k.public_key, again.public_key, VS_KEY_PUBLIC);
	vs_key_sign(&k, "a head", signature);
	assert_true(vs_key_verify(k.public_key, "a head", signature));
	assert_false(vs_key_verify(k.public_key, "a heaf", signature));
	signature[0] ^= 1;
	assert_false(vs_key_verify(k.public_key, "a head", signature));
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(vs_key_load(log, true, &again), -EPERM);
	assert_int_equal(chmod(path, 0600), 0);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs("no key\n", f);
	fclose(f);
	assert_int_equal(vs_key_load(log, true, &again), -EINVAL);
	unlink(path);
	rmdir(folder);
}

/* Starts that race each other to make it: whoever comes second takes what is there. */
static void a_key_is_made_by_one_alone(void **state)
{
	(void)state;
	enum { STARTS = 8 };
	for (int round = 0; round < 20; round++) {
		char folder[] = "/tmp/vitals-key-XXXXXX", log[64], path[80];
		struct vs_key key[STARTS], kept;
		int go[2], made[2];
		assert_non_null(mkdtemp(folder));
		snprintf(log, sizeof log, "%s/vitals.db", folder);
		snprintf(path, sizeof path, "%s.key", log);
		assert_true(pipe(go) == 0 && pipe(made) == 0);
		for (int i = 0; i < STARTS; i++)
			if (fork() == 0) {
				char c;
				close(go[1]);
				bool done = read(go[0], &c, 1) == 0 && vs_key_load(log, true, &kept) == 0 &&
					    write(made[1], &kept, sizeof kept) == sizeof kept;
				_exit(!done);
			}
		close(go[0]);
		close(go[1]); /* all at once */
		for (int i = 0; i < STARTS; i++) {
			int status;
			assert_true(wait(&status) > 0 && status == 0);
			assert_int_equal(read(made[0], &key[i], sizeof key[i]), sizeof key[i]);
		}
		assert_int_equal(vs_key_load(log, false, &kept), 0);
		for (int i = 0; i < STARTS; i++)
			assert_memory_equal(key[i].public_key, kept.public_key, sizeof kept.public_key);
		close(made[0]);
		close(made[1]);
		unlink(path);
		assert_int_equal(rmdir(folder), 0); /* nothing is left beside it */
	}
}

static void what_is_older_than_the_policy(void **state)
{
	(void)state;
	static const struct {
		struct vs_keep keep;
		const char *now, *cutoff, *why;
	} story[] = {
		{ { 6, 0 }, "2026-11-22T10:20:30.456Z", "2020-11-22T10:20:30.456Z", "years of the calendar, to the millisecond" },
		{ { 6, 0 }, "2026-01-01T00:00:00.000Z", "2020-01-01T00:00:00.000Z", "over a leap year" },
		{ { 1, 0 }, "2028-02-29T12:00:00.000Z", "2027-02-28T12:00:00.000Z", "there is no 29 February: the day before, so that nothing goes early" },
		{ { 4, 0 }, "2028-02-29T12:00:00.000Z", "2024-02-29T12:00:00.000Z", "and here there is" },
		{ { 1, 0 }, "2029-03-01T00:00:00.000Z", "2028-03-01T00:00:00.000Z", "the day behind it" },
		{ { 0, 2555 }, "2026-11-22T00:00:00.000Z", "2019-11-24T00:00:00.000Z", "days" },
		{ { 70, 0 }, "2026-11-22T00:00:00.000Z", "1956-11-22T00:00:00.000Z", "before 1970" },
	};
	for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
		int64_t now = 0, cutoff = 0;
		assert_true(vs_time_parse(story[i].now, &now) && vs_time_parse(story[i].cutoff, &cutoff));
		if (vs_keep_cutoff(story[i].keep, now) != cutoff)
			fail_msg("%s: %s", story[i].now, story[i].why);
	}
	assert_true(vs_keep_cutoff((struct vs_keep){ 0, 0 }, 1000) == INT64_MIN); /* nothing is ever older */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_what_it_is),
		cmocka_unit_test(every_version_comes_up_to_date_with_its_rows),
		cmocka_unit_test(what_differs_from_the_schema_is_named),
		cmocka_unit_test(rows_read_as_sqlite_quotes_them),
		cmocka_unit_test(a_row_is_its_own_inverse_in_the_tail),
		cmocka_unit_test(a_key_is_made_once_and_kept_from_others),
		cmocka_unit_test(a_key_is_made_by_one_alone),
		cmocka_unit_test(what_is_older_than_the_policy),
	};
	return cmocka_run_group_tests_name("logformat", tests, NULL, NULL);
}
