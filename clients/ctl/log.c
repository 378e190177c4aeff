/* vitalsctl log: the file of the record itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/ctl/audit_verify.h"
#include "record/key.h"
#include "record/schema.h"
#include "record/seal.h"

static const char help[] =
	"usage: vitalsctl log COMMAND [--log FILE | --config FILE] [--json]\n\n"
	"  key              the public key that signs the record; keep it where the record is judged (audit verify --key)\n"
	"  info             what is in the log: version, size, times, how much\n"
	"  check            whether the file is whole, page by page; 'audit verify' asks whether it is unchanged\n"
	"  backup --out F   a copy while the daemon runs, verified afterwards\n";

/* The key of the last start that had one. */
static int print_key(struct vs_log *l, const struct vs_log_options *o)
{
	sqlite3_stmt *st = vs_log_query(l, "SELECT lower(hex(public_key)) FROM epoch WHERE public_key IS NOT NULL"
					   " ORDER BY epoch DESC LIMIT 1", o);
	int rc = st ? sqlite3_step(st) : SQLITE_ERROR;
	if (rc == SQLITE_ROW && o->json)
		printf("{\"public_key\":\"%s\"}\n", sqlite3_column_text(st, 0));
	else if (rc == SQLITE_ROW)
		puts((const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	if (rc == SQLITE_DONE)
		return vs_ctl_fail("%s: no key signs this log; vitalsd makes one at its start where it may write beside the log",
				   vs_log_file(l));
	return rc == SQLITE_ROW ? VS_EXIT_DONE : vs_log_failed(l);
}

static json_t *info_of(struct vs_log *l, const struct vs_log_options *o)
{
	sqlite3_stmt *st = vs_log_query(l,
		"SELECT (SELECT user_version FROM pragma_user_version) AS schema,"
		" (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size) AS bytes,"
		" (SELECT group_concat(DISTINCT site) FROM epoch) AS site,"
		" (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', min(started_ms) / 1000.0, 'unixepoch') FROM epoch) AS first_start,"
		" (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', max(started_ms) / 1000.0, 'unixepoch') FROM epoch) AS last_start,"
		" (SELECT max(epoch) FROM epoch) AS epoch, (SELECT count(*) FROM session) AS sessions,"
		" (SELECT count(*) FROM alarm) AS alarms, (SELECT max(event) FROM event) AS events,"
		" (SELECT sum(rows) FROM seal_part WHERE part = 'reading') AS sealed_readings,"
		" (SELECT max(seal) FROM seal) AS seals, (SELECT rows FROM head) AS unsealed_rows,"
		" (SELECT sum(readings) FROM gap) AS readings_given_up", o);
	json_t *info = NULL;
	if (st && sqlite3_step(st) == SQLITE_ROW)
		info = vs_log_row(st);
	else if (st)
		vs_log_failed(l);
	sqlite3_finalize(st);
	return info;
}

static int print_info(struct vs_log *l, const struct vs_log_options *o)
{
	const char *key;
	json_t *value, *info = info_of(l, o);
	if (!info)
		return VS_EXIT_FAILED;
	if (o->json) {
		json_dumpf(info, stdout, JSON_INDENT(1));
		putchar('\n');
	} else {
		json_object_foreach(info, key, value) {
			char *text = json_is_string(value) ? strdup(json_string_value(value)) : json_dumps(value, JSON_ENCODE_ANY);
			printf("%-20s %s\n", key, text && strcmp(text, "null") ? text : "-");
			free(text);
		}
	}
	json_decref(info);
	return VS_EXIT_DONE;
}

static int check_pages(struct vs_log *l, const struct vs_log_options *o)
{
	int bad = 0, rc = SQLITE_ERROR;
	json_t *found = json_array();
	sqlite3_stmt *st = vs_log_query(l, "PRAGMA integrity_check", o);
	while (st && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(st, 0);
		if (strcmp(text, "ok") == 0)
			continue;
		bad++;
		json_array_append_new(found, json_string(text));
		if (!o->json)
			puts(text);
	}
	sqlite3_finalize(st);
	if (st && rc != SQLITE_DONE) {
		json_decref(found);
		return vs_log_failed(l);
	}
	if (o->json) {
		json_t *j = json_pack("{s:b,s:O}", "ok", bad == 0, "findings", found);
		json_dumpf(j, stdout, JSON_INDENT(1));
		putchar('\n');
		json_decref(j);
	} else if (!bad) {
		printf("%s: every page is whole\n", vs_log_file(l));
	}
	json_decref(found);
	return bad ? VS_EXIT_FAILED : VS_EXIT_DONE;
}

/* Copies page by page; a daemon that writes meanwhile makes it begin again by itself. */
static int copy_pages(struct vs_log *l, const char *to)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(to, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
	sqlite3_backup *b = rc == SQLITE_OK ? sqlite3_backup_init(db, "main", vs_log_db(l), "main") : NULL;
	if (b) {
		while ((rc = sqlite3_backup_step(b, -1)) == SQLITE_BUSY || rc == SQLITE_LOCKED)
			sqlite3_sleep(50);
		sqlite3_backup_finish(b);
	}
	int r = rc == SQLITE_DONE ? VS_EXIT_DONE : vs_ctl_fail("%s: %s", to, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
	/* A copy is one file: whoever gets it needs no right to write beside it. */
	if (r == VS_EXIT_DONE && sqlite3_exec(db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) != SQLITE_OK)
		r = vs_ctl_fail("%s: %s", to, sqlite3_errmsg(db));
	sqlite3_close(db);
	return r;
}

static int verify_copy(const char *path)
{
	struct vs_log *copy = NULL;
	struct vs_verdict v;
	if (vs_log_open(path, &copy) < 0)
		return VS_EXIT_FAILED;
	int r = vs_verify(copy, NULL, NULL, &v);
	if (r == VS_EXIT_DONE) {
		size_t i;
		json_t *f;
		json_array_foreach(v.findings, i, f)
			r = vs_ctl_fail("%s: %s", json_string_value(json_object_get(f, "place")),
					json_string_value(json_object_get(f, "what")));
		json_decref(v.findings);
		json_decref(v.notes);
	}
	vs_log_close(copy);
	return r;
}

static int backup(struct vs_log *l, const struct vs_log_options *o)
{
	char temp[4096];
	if (!o->out)
		return vs_ctl_usage("log backup: --out FILE says where to");
	if (access(o->out, F_OK) == 0)
		return vs_ctl_fail("%s: there is a file already; a backup never replaces one", o->out);
	if ((size_t)snprintf(temp, sizeof temp, "%s.part", o->out) >= sizeof temp)
		return vs_ctl_fail("%s: the name is too long", o->out);
	unlink(temp);
	int r = copy_pages(l, temp);
	if (r == VS_EXIT_DONE)
		r = verify_copy(temp);
	if (r == VS_EXIT_DONE && rename(temp, o->out) < 0)
		r = vs_ctl_fail("%s: %s", o->out, strerror(errno));
	if (r != VS_EXIT_DONE) {
		unlink(temp);
		return r;
	}
	if (o->json)
		printf("{\"ok\":true}\n");
	else
		printf("%s: copied and verified\n", o->out);
	return VS_EXIT_DONE;
}

int vs_ctl_log(int argc, char **argv)
{
	static const struct {
		const char *name, *options;
		int (*run)(struct vs_log *l, const struct vs_log_options *o);
	} commands[] = { { "key", "", print_key }, { "info", "", print_info }, { "check", "", check_pages },
			 { "backup", "out", backup } };
	struct vs_log_options o;
	struct vs_log *l = NULL;
	if (argc < 2)
		return vs_ctl_usage("log: say what: key, info, check, backup");
	if (strcmp(argv[1], "--help") == 0) {
		fputs(help, stdout);
		return VS_EXIT_DONE;
	}
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		int r = vs_log_options(&o, argc - 1, argv + 1, commands[i].options);
		if (r == VS_EXIT_DONE)
			r = vs_log_open_given(&o, &l);
		if (r == VS_EXIT_DONE)
			r = commands[i].run(l, &o);
		vs_log_close(l);
		return r;
	}
	return vs_ctl_usage("log: there is no '%s'; there are key, info, check, backup", argv[1]);
}
