/* vitalsctl audit: what the log tells, without a daemon and with nothing but the right to read. */
#include <string.h>

#include "clients/ctl/audit.h"

static const char help[] =
	"usage: vitalsctl audit COMMAND [--log FILE | --config FILE] [--json]\n\n"
	"  sessions   [filters]            all sessions\n"
	"  show       SESSION [--html FILE | --csv]  one session: course, alarms, entries, and where the seconds of each metric\n"
	"             went; --csv: its course\n"
	"  alarms     [filters]            alarms, when they were raised, acknowledged and cleared\n"
	"  entries    [filters]            what people entered\n"
	"  operators  [filters]            who did how much of what, since when and when last\n"
	"  limits     [filters]            which limits were in force from when on, who changed them and why\n"
	"  events     [filters]            every message but readings, as published\n"
	"  compare    SESSION SESSION... | --patient CODE [filters] [--with FILE]   sessions side by side, also of a second log\n"
	"  export     SESSION --format json|csv|fhir|hl7 [--out PATH]\n"
	"  verify     [--session S] [--witness FILE] [--key FILE] [--jobs N]   whether anything was changed, removed, added or\n"
	"             reordered; N files at the same time (as many as there are cores)\n\n"
	"  filters: --from T --until T --chair C --patient CODE --session S --protocol NAME --operator NAME --rule ID\n"
	"           T: 2026-11-21, 2026-11-21T14:30:00Z, or an age such as 12h, 7d; --csv instead of a table\n\n"
	"Where the log asks for it (audit: trace in the configuration), vitalsd is told who reads what: --control PATH,\n"
	"--reader NAME on a shared login; --untraced reads without, and says so.  docs/audit.md has all of it.\n\n"
	"Without --log and --config the log is /var/lib/vitalsd/vitals.db.\n";

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "sessions", vs_audit_list },	{ "show", vs_audit_show },	 { "alarms", vs_audit_list }, { "entries", vs_audit_list },
	{ "operators", vs_audit_list }, { "limits", vs_audit_limits },	 { "events", vs_audit_list }, { "compare", vs_audit_compare },
	{ "export", vs_audit_export },	{ "verify", vs_audit_verify },
};
static const char names[] = "sessions, show, alarms, entries, operators, limits, events, compare, export, verify";

int vs_ctl_audit(int argc, char **argv)
{
	if (argc < 2)
		return vs_ctl_usage("audit: say what: %s", names);
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0) {
			fputs(help, stdout);
			return VS_EXIT_DONE;
		}
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	return vs_ctl_usage("audit: there is no '%s'; there are %s", argv[1], names);
}
