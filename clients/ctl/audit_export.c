/* vitalsctl audit export: one session for other programs.
 *
 *	json   every message of the session as it was published, one a line, in the order of time
 *	csv    on stdout the observations; with --out a folder of tables with a data dictionary
 *	fhir   a FHIR R4 Bundle
 *	hl7    HL7 v2 messages ORU^R01 as in IHE PCD-01
 *
 * With --out nothing stands under that name before all of it is written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/ctl/audit.h"

static const char messages_sql[] =
	"SELECT body FROM audit_event WHERE session = :session ORDER BY recorded_ms, epoch, kind <> 'vitals', kind, seq";

static const struct {
	const char *file, *sql;
} tables[] = {
	{ "observations.csv",
	  "SELECT * FROM audit_observation WHERE session = :session ORDER BY observed_ms, device, metric" },
	{ "session.csv", "SELECT * FROM audit_session WHERE session = :session" },
	{ "alarms.csv", "SELECT * FROM audit_alarm WHERE session = :session ORDER BY onset_ms, alarm" },
	{ "events.csv", "SELECT * FROM audit_event WHERE session = :session AND kind <> 'vitals' ORDER BY recorded_ms, kind, seq" },
	{ "dictionary.csv",
	  "WITH d(\"table\", column, type, meaning) AS (VALUES"
	  "('observations','session','text','session id'),('observations','chair','text','chair id'),"
	  "('observations','device','text','device id of the configuration'),"
	  "('observations','metric','text','what was measured: hr pr spo2 nibp_sys nibp_dia nibp_map nibp_pr rr temp pi ...'),"
	  "('observations','unit','text','UCUM unit of value'),"
	  "('observations','value','number','empty: no value, flags say why'),"
	  "('observations','flags','JSON array','what the device or the engine said about the value'),"
	  "('observations','observed_at','RFC 3339','UTC'),('observations','observed_ms','integer','Unix time in ms'),"
	  "('session','patient','text','pseudonym'),('session','operator','text','who opened the session'),"
	  "('session','weight_kg','number','kg'),('session','phase','text','the last one'),"
	  "('session','outcome','text','how it ended'),"
	  "('session','..._at, ..._ms','time','when phases were reached, as text and in ms'),"
	  "('alarms','rule','text','id of the rule in the limit set'),"
	  "('alarms','class','text','physiological or technical'),('alarms','priority','text','the highest it reached'),"
	  "('alarms','value','number','when it was raised'),('alarms','limit_value','number','the limit it passed'),"
	  "('alarms','acknowledged_by','text','operator'),('alarms','text','text','as announced'),"
	  "('events','epoch, kind, seq','','number of the message: start of the daemon, kind, running number'),"
	  "('events','body','JSON','the message as published'))"
	  " SELECT * FROM d WHERE :session IS NOT NULL" },
};
#define TABLES (sizeof tables / sizeof *tables)

static int write_json(struct vs_log *l, const struct vs_log_options *o, FILE *to)
{
	sqlite3_stmt *st = vs_log_query(l, messages_sql, o);
	int rc = SQLITE_ERROR;
	while (st && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		fputs((const char *)sqlite3_column_text(st, 0), to);
		fputc('\n', to);
	}
	int r = rc == SQLITE_DONE ? VS_EXIT_DONE : vs_log_failed(l);
	sqlite3_finalize(st);
	return r;
}

static int write_table(struct vs_log *l, const struct vs_log_options *o, size_t i, FILE *to)
{
	sqlite3_stmt *st = vs_log_query(l, tables[i].sql, o);
	int r = st ? vs_log_csv(st, to) : VS_EXIT_FAILED;
	if (st && r != VS_EXIT_DONE && !ferror(to))
		vs_log_failed(l);
	sqlite3_finalize(st);
	return r;
}

static int write_csv(struct vs_log *l, const struct vs_log_options *o, FILE *to)
{
	return write_table(l, o, 0, to);
}

static int write_fhir(struct vs_log *l, const struct vs_log_options *o, FILE *to)
{
	return vs_audit_fhir(l, o->session, to);
}

static int write_hl7(struct vs_log *l, const struct vs_log_options *o, FILE *to)
{
	return vs_audit_hl7(l, o->session, to);
}

static const struct format {
	const char *name;
	int (*write)(struct vs_log *l, const struct vs_log_options *o, FILE *to);
} formats[] = { { "json", write_json }, { "csv", write_csv }, { "fhir", write_fhir }, { "hl7", write_hl7 } };

static const struct format *find_format(const char *name)
{
	for (size_t i = 0; name && i < sizeof formats / sizeof *formats; i++)
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	return NULL;
}

struct export {
	struct vs_log *l;
	const struct vs_log_options *o;
	size_t table; /* of a folder */
};

static int export_one(void *ctx, FILE *to)
{
	const struct export *e = ctx;
	return find_format(e->o->format)->write(e->l, e->o, to);
}

static int export_table(void *ctx, FILE *to)
{
	const struct export *e = ctx;
	return write_table(e->l, e->o, e->table, to);
}

static int export_folder(struct vs_log *l, const struct vs_log_options *o, const char *temp)
{
	char path[4200];
	int r = mkdir(temp, 0777) < 0 ? vs_ctl_fail("%s: %m", temp) : VS_EXIT_DONE;
	for (size_t i = 0; r == VS_EXIT_DONE && i < TABLES; i++) {
		struct export e = { l, o, i };
		snprintf(path, sizeof path, "%s/%s", temp, tables[i].file);
		r = vs_log_write_out(path, false, export_table, &e);
	}
	return r;
}

static void remove_part(const char *temp)
{
	char path[4200];
	for (size_t i = 0; i < TABLES; i++) {
		snprintf(path, sizeof path, "%s/%s.part", temp, tables[i].file);
		unlink(path);
		path[strlen(path) - strlen(".part")] = '\0';
		unlink(path);
	}
	if (rmdir(temp) < 0)
		unlink(temp);
}

/* A folder appears under its name when all of its tables are on the disk. */
static int export_tables(struct vs_log *l, const struct vs_log_options *o)
{
	char temp[4096];
	if (access(o->out, F_OK) == 0)
		return vs_ctl_fail("%s: it exists already; nothing is ever replaced", o->out);
	if ((size_t)snprintf(temp, sizeof temp, "%s.part", o->out) >= sizeof temp)
		return vs_ctl_fail("%s: the name is too long", o->out);
	remove_part(temp);
	int r = export_folder(l, o, temp);
	if (r == VS_EXIT_DONE && rename(temp, o->out) < 0)
		r = vs_ctl_fail("%s: %m", o->out);
	if (r != VS_EXIT_DONE)
		remove_part(temp);
	return r;
}

int vs_audit_export(int argc, char **argv)
{
	struct vs_log_options o;
	struct vs_log *l = NULL;
	char chair[64];
	int r = vs_log_options(&o, argc, argv, "format out");
	if (r == VS_EXIT_DONE && o.n_words != 1)
		return vs_ctl_usage("audit export: name one session; 'vitalsctl audit sessions' lists them");
	if (r == VS_EXIT_DONE && !o.format)
		o.format = o.json ? "json" : NULL;
	if (r == VS_EXIT_DONE && !find_format(o.format))
		return vs_ctl_usage("audit export: --format wants json, csv, fhir or hl7");
	if (r == VS_EXIT_DONE)
		r = vs_log_open_given(&o, &l);
	if (r != VS_EXIT_DONE)
		return r;
	o.session = o.words[0];
	int known = vs_log_session(l, o.session, chair);
	if (known == 0)
		r = vs_ctl_fail("there is no session '%s' in this log; 'vitalsctl audit sessions' lists them", o.session);
	else if (known < 0)
		r = VS_EXIT_FAILED;
	else
		r = vs_log_trace(l, &o, "audit", argc, argv);
	struct export e = { l, &o, 0 };
	if (r == VS_EXIT_DONE)
		r = o.out && strcmp(o.format, "csv") == 0 ? export_tables(l, &o) : vs_log_write_out(o.out, false, export_one, &e);
	vs_log_close(l);
	return r;
}
