/* vitalsctl log: the file of the record itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/ctl/audit_verify.h"
#include "clients/ctl/log_retention.h"
#include "core/timetext.h"
#include "record/key.h"
#include "record/schema.h"
#include "record/seal.h"

static const char help[] =
	"usage: vitalsctl log COMMAND [--log FILE | --config FILE] [--json]\n\n"
	"  key              the public key that signs the record; keep it where the record is judged (audit verify --key)\n"
	"  info             what is in the log: version, size, times, how much\n"
	"  check            whether the file is whole, page by page; 'audit verify' asks whether it is unchanged\n"
	"  backup --out F   a copy while the daemon runs, verified afterwards; closed files go beside F, where they are not yet\n"
	"  retention        which files are older than the policy (log: retention), which are on hold, and which were removed\n"
	"                   --keep 8y: as if that were the policy; --apply --operator NAME --reason TEXT: removes what is due\n"
	"  hold SESSION | --patient CODE | --from T --to T   --operator NAME --reason TEXT\n"
	"                   keeps whatever has something of it, whatever the policy says\n"
	"  release HOLD     --operator NAME --reason TEXT: ends a hold\n\n"
	"Hold, release and --apply ask vitalsd (--control PATH, --config FILE), which records who, when and why.\n"
	"docs/audit.md, \"How long it is kept\".\n";

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

static int64_t number_of(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t n = 0;
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

static json_t *time_json(int64_t ms)
{
	char text[VS_TIME_TEXT_CAP];
	vs_time_text(ms, text);
	return json_string(text);
}

/* One file: what it spans, how large it is; of one that is gone, why. */
static json_t *file_json(struct vs_log *l, size_t i, int64_t *bytes)
{
	const struct vs_log_part *part = vs_log_part(l, i);
	const char *slash = strrchr(part->path, '/');
	json_t *file = json_pack("{s:s}", "file", slash ? slash + 1 : part->path);
	if (part->link) {
		json_object_set_new(file, "from", time_json(part->link->from_ms));
		json_object_set_new(file, "until", time_json(part->link->until_ms));
	} else if (i > 0) {
		json_object_set_new(file, "from", time_json(vs_log_part(l, i - 1)->link->until_ms));
	}
	if (part->link && part->removed)
		json_object_set_new(file, "removed", vs_log_removal(vs_log_part(l, vs_log_parts(l) - 1)->db, part->link->name));
	if (!part->db) {
		if (!part->removed)
			json_object_set_new(file, "missing", json_string(part->why));
		return file;
	}
	int64_t size = number_of(part->db, "PRAGMA page_count") * number_of(part->db, "PRAGMA page_size");
	*bytes += size;
	json_object_set_new(file, "bytes", json_integer(size));
	json_object_set_new(file, "seals", json_integer(number_of(part->db, "SELECT count(*) FROM seal")));
	return file;
}

static void add_files(struct vs_log *l, json_t *info)
{
	json_t *files = json_array();
	int64_t bytes = 0;
	size_t n = vs_log_parts(l);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(files, file_json(l, i, &bytes));
	json_object_set_new(info, "schema", json_integer(vs_schema_version(vs_log_part(l, n - 1)->db)));
	json_object_set_new(info, "bytes", json_integer(bytes));
	json_object_set_new(info, "files", files);
}

static json_t *info_of(struct vs_log *l, const struct vs_log_options *o)
{
	sqlite3_stmt *st = vs_log_query(l,
		"SELECT 0 AS schema, 0 AS bytes, (SELECT group_concat(DISTINCT site) FROM epoch) AS site,"
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
	if (info)
		add_files(l, info);
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

/* Findings of one file into the array; -1: it cannot be asked, said why. */
static int check_file(const struct vs_log_part *part, bool name_it, json_t *found)
{
	char line[1024];
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(part->db, "PRAGMA integrity_check", -1, &st, NULL);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(st, 0);
		snprintf(line, sizeof line, "%s%s%s", name_it ? part->path : "", name_it ? ": " : "", text);
		if (strcmp(text, "ok") != 0)
			json_array_append_new(found, json_string(line));
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? 0 : (vs_ctl_fail("%s: %s", part->path, sqlite3_errmsg(part->db)), -1);
}

static int check_pages(struct vs_log *l, const struct vs_log_options *o)
{
	int r = 0;
	size_t k, n = vs_log_parts(l);
	json_t *text, *found = json_array();
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct vs_log_part *part = vs_log_part(l, i);
		if (part->db)
			r = check_file(part, n > 1, found);
		else if (!part->removed && !part->broken)
			json_array_append_new(found, json_string(part->why));
	}
	if (r < 0) {
		json_decref(found);
		return VS_EXIT_FAILED;
	}
	bool bad = json_array_size(found) > 0;
	if (!o->json)
		json_array_foreach(found, k, text)
			puts(json_string_value(text));
	if (o->json) {
		json_t *j = json_pack("{s:b,s:O}", "ok", !bad, "findings", found);
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
static int copy_pages(sqlite3 *from, const char *to)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(to, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
	sqlite3_backup *b = rc == SQLITE_OK ? sqlite3_backup_init(db, "main", from, "main") : NULL;
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
	int r = vs_verify(copy, &(struct vs_verify_options){ .key = NULL }, &v);
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

/* A closed file that was copied before is there already: it must end with the same seal. */
static int same_end(const char *path, const struct vs_log_link *k)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	bool same = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
		    sqlite3_prepare_v2(db, "SELECT hash FROM seal ORDER BY seal DESC LIMIT 1", -1, &st, NULL) == SQLITE_OK &&
		    sqlite3_step(st) == SQLITE_ROW && sqlite3_column_bytes(st, 0) == VS_HASH &&
		    memcmp(sqlite3_column_blob(st, 0), k->hash, VS_HASH) == 0;
	sqlite3_finalize(st);
	sqlite3_close(db);
	return same ? VS_EXIT_DONE : vs_ctl_fail("%s: there is another file of this name already; give another folder", path);
}

/* Under a name of its own until it is whole. */
static int copy_under(sqlite3 *from, const char *to, char part[4096])
{
	if ((size_t)snprintf(part, 4096, "%s.part", to) >= 4096)
		return vs_ctl_fail("%s: the name is too long", to);
	unlink(part);
	return copy_pages(from, part);
}

static int finish_copy(const char *part, const char *to)
{
	return rename(part, to) < 0 ? vs_ctl_fail("%s: %s", to, strerror(errno)) : VS_EXIT_DONE;
}

/* The closed files go beside the copy of the present one, under their own names. */
static int backup_past(struct vs_log *l, const char *out)
{
	char path[4096], part[4096];
	int r = VS_EXIT_DONE;
	for (size_t i = 0; r == VS_EXIT_DONE && i + 1 < vs_log_parts(l); i++) {
		const struct vs_log_part *p = vs_log_part(l, i);
		if (!p->db)
			continue;
		if (!vs_log_path_beside(out, p->link->name, path, sizeof path))
			r = vs_ctl_fail("%s: the name is too long", p->link->name);
		else if (access(path, F_OK) == 0)
			r = same_end(path, p->link);
		else
			r = copy_under(p->db, path, part) == VS_EXIT_DONE ? finish_copy(part, path) : (unlink(part), VS_EXIT_FAILED);
	}
	return r;
}

static int backup(struct vs_log *l, const struct vs_log_options *o)
{
	char part[4096] = "";
	if (!o->out)
		return vs_ctl_usage("log backup: --out FILE says where to");
	if (access(o->out, F_OK) == 0)
		return vs_ctl_fail("%s: there is a file already; a backup never replaces one", o->out);
	size_t n = vs_log_parts(l);
	int r = backup_past(l, o->out);
	if (r == VS_EXIT_DONE)
		r = copy_under(vs_log_part(l, n - 1)->db, o->out, part);
	if (r == VS_EXIT_DONE)
		r = verify_copy(part);
	if (r == VS_EXIT_DONE)
		r = finish_copy(part, o->out);
	if (r != VS_EXIT_DONE) {
		if (part[0])
			unlink(part);
		return r;
	}
	if (o->json)
		printf("{\"ok\":true,\"files\":%zu}\n", n);
	else if (n > 1)
		printf("%s: copied and verified, with the %zu files before it\n", o->out, n - 1);
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
			 { "backup", "out", backup }, { "retention", "operator reason keep apply", vs_log_retention },
			 { "hold", "session patient since until operator reason", vs_log_hold },
			 { "release", "operator reason", vs_log_release } };
	struct vs_log_options o;
	struct vs_log *l = NULL;
	if (argc < 2)
		return vs_ctl_usage("log: say what: key, info, check, backup, retention, hold, release");
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
	return vs_ctl_usage("log: there is no '%s'; there are key, info, check, backup, retention, hold, release", argv[1]);
}
