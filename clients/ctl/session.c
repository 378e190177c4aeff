/* vitalsctl session: open one, move it through its phases, look at it.  The daemon judges; here words become a request. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/ask.h"
#include "clients/ctl/report.h"
#include "config/config.h"
#include "config/presets.h"

enum { PATIENT, PROTOCOL, WEIGHT, REASON, OVERRIDE, SECOND, CONFIRM, SECOND_ID, BASELINE_RATE,
       LAST_WEIGHT, DOSE, OVER, STEP };
static const char *const options[] = { "patient",  "protocol", "weight", "reason",      "override", "second", "confirm!",
				       "pump",     "rate",     "last-weight", "dose", "over",     "step",   NULL };

static void put(json_t *request, const char *key, const char *value)
{
	if (value)
		json_object_set_new(request, key, json_string(value));
}

static json_t *request_of(const struct vs_ask *a, const char *op)
{
	json_t *request = json_pack("{s:s}", "op", op);
	put(request, "chair", a->chair);
	put(request, "operator", a->operator_name);
	put(request, "reason", a->values[REASON]);
	put(request, "override", a->values[OVERRIDE]);
	put(request, "second", a->values[SECOND]);
	put(request, "pump", a->values[SECOND_ID]);
	put(request, "rate", a->values[BASELINE_RATE]);
	if (a->values[CONFIRM])
		json_object_set_new(request, "confirm", json_true());
	return request;
}

/* The baseline, and the limits that follow from it. */
static void print_baseline(json_t *answer)
{
	const char *key;
	json_t *value;
	json_object_foreach(json_object_get(json_object_get(answer, "session_state"), "baseline"), key, value) {
		json_t *l = json_object_get(json_object_get(answer, "limits_in_force"), key);
		json_t *low = json_object_get(l, "low"), *high = json_object_get(l, "high");
		printf("  baseline %-9s %-6g", key, json_number_value(value));
		if (low)
			printf(" alarm below %g", json_number_value(low));
		if (high)
			printf("%s above %g", low ? "," : " alarm", json_number_value(high));
		putchar('\n');
	}
}

static void print_session(json_t *answer)
{
	json_t *s = json_object_get(answer, "session_state");
	printf("%s   phase %s\n", vs_json_text(answer, "chair"), vs_json_text(answer, "phase"));
	if (!*vs_json_text(answer, "session")) {
		puts("  no session is open");
		return;
	}
	printf("  session  %s\n  patient  %s\n  protocol %s\n  operator %s\n", vs_json_text(answer, "session"),
	       vs_json_text(s, "patient"), vs_json_text(s, "protocol"), vs_json_text(s, "operator"));
	char course[120];
	if (*vs_report_course(s, course))
		printf("  course   %s\n", course);
	if (*vs_json_text(s, "dose"))
		printf("  dose     %s\n", vs_json_text(s, "dose"));
	print_baseline(answer);
}

/* False: one of them is no number, and said so. */
static bool put_numbers(json_t *request, const struct vs_ask *a)
{
	static const struct {
		unsigned at;
		const char *key, *option, *what;
	} numbers[] = {
		{ WEIGHT, "weight_kg", "weight", "kilograms" },
		{ LAST_WEIGHT, "last_weight_kg", "last-weight", "kilograms" },
		{ DOSE, "dose_mgkg", "dose", "mg/kg, as the clinician ordered" },
		{ OVER, "over_min", "over", "minutes" },
		{ STEP, "step", "step", "the day of a staircase" },
	};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		const char *text = a->values[numbers[i].at];
		char *end;
		double v = text ? strtod(text, &end) : 0;
		if (!text)
			continue;
		if (end == text || *end || !isfinite(v)) {
			vs_ctl_usage("session start: --%s is a number (%s), not '%s'", numbers[i].option, numbers[i].what, text);
			return false;
		}
		json_object_set_new(request, numbers[i].key, json_real(v));
	}
	return true;
}

static void print_opened(const struct vs_ask *a, json_t *answer)
{
	char course[120];
	printf("%s: session %s is open, phase %s\n", a->chair, vs_json_text(answer, "session"), vs_json_text(answer, "phase"));
	if (*vs_json_text(answer, "warning"))
		printf("  %s\n", vs_json_text(answer, "warning"));
	if (*vs_report_course(json_object_get(answer, "session_state"), course))
		printf("  %s\n", course);
}

static int start(const struct vs_ask *a)
{
	if (!a->chair || !a->values[PATIENT] || !a->values[PROTOCOL])
		return vs_ctl_usage("session start: --chair, --patient and --protocol are needed");
	json_t *request = request_of(a, "session-start"), *answer = NULL;
	put(request, "patient", a->values[PATIENT]);
	put(request, "protocol", a->values[PROTOCOL]);
	if (!put_numbers(request, a)) {
		json_decref(request);
		return VS_EXIT_USAGE;
	}
	int r = vs_ask_and_tell(a, request, &answer);
	if (r == VS_EXIT_DONE && !a->json)
		print_opened(a, answer);
	json_decref(answer);
	return r;
}

static int phase(const struct vs_ask *a)
{
	if (!a->chair || a->n_words != 2)
		return vs_ctl_usage("session phase: --chair and one phase are needed (screening, baseline, infusion, paused, "
				    "recovery, discharged, aborted)");
	json_t *request = request_of(a, "session-phase"), *answer = NULL;
	put(request, "phase", a->words[1]);
	int r = vs_ask_and_tell(a, request, &answer);
	if (r == VS_EXIT_DONE && !a->json) {
		printf("%s: phase %s\n", a->chair, vs_json_text(answer, "phase"));
		if (*vs_json_text(answer, "warning"))
			printf("  %s\n", vs_json_text(answer, "warning"));
		if (strcmp(vs_json_text(answer, "phase"), "infusion") == 0)
			print_baseline(answer);
	}
	json_decref(answer);
	return r;
}

static int transfer(const struct vs_ask *a)
{
	char where[120] = "";
	size_t len = 0;
	if (!a->chair || a->n_words < 2)
		return vs_ctl_usage("session transfer: --chair and where the patient goes are needed");
	for (int i = 1; i < a->n_words && len + 1 < sizeof where; i++)
		len += (size_t)snprintf(where + len, sizeof where - len, "%s%s", i > 1 ? " " : "", a->words[i]);
	json_t *request = request_of(a, "session-transfer"), *answer = NULL;
	put(request, "destination", where);
	int r = vs_ask_and_tell(a, request, &answer);
	if (r == VS_EXIT_DONE && !a->json)
		printf("%s: handed over to %s, the session is closed\n", a->chair, where);
	json_decref(answer);
	return r;
}

static int show(const struct vs_ask *a)
{
	if (!a->chair)
		return vs_ctl_usage("session show: --chair is needed");
	json_t *answer = NULL;
	int r = vs_ask_and_tell(a, request_of(a, "session-show"), &answer);
	if (r == VS_EXIT_DONE && !a->json)
		print_session(answer);
	json_decref(answer);
	return r;
}

static void print_check(const struct vs_ask *a, json_t *check)
{
	const char *answer = vs_json_text(check, "answer");
	if (a->json)
		json_dumpf(check, stdout, JSON_COMPACT), putchar('\n');
	else
		printf("%-24s %-50s%s%s\n", vs_json_text(check, "item"), vs_json_text(check, "text"), *answer ? "  " : "", answer);
}

/* Those of a configuration, or those that ship. */
static int checks_of_files(const struct vs_ask *a)
{
	struct vs_findings findings = { 0 };
	struct vs_session_data *data = NULL;
	struct vs_config *config = NULL;
	int r = a->config ? vs_config_load(a->config, &config, &findings) : 0;
	if (r == 0)
		r = vs_presets_load(config ? (const char *const *)config->preset_files : NULL, config ? config->n_preset_files : 0,
				    &data, &findings);
	for (unsigned i = 0; r == 0 && i < data->checks.len; i++) {
		json_t *check = json_pack("{s:s,s:s}", "item", data->checks.at[i].item, "text", data->checks.at[i].text);
		print_check(a, check);
		json_decref(check);
	}
	vs_findings_print(&findings, stderr);
	vs_findings_clear(&findings);
	vs_presets_free(data);
	vs_config_free(config);
	return r == 0 ? VS_EXIT_DONE : r == -EINVAL ? VS_EXIT_CONFIG : VS_EXIT_FAILED;
}

/* The screening questions that are asked here: by the daemon, with --chair what was answered already; where none runs,
 * by the configuration or by what ships. */
static int checks(const struct vs_ask *a)
{
	char trouble[256] = "";
	struct vs_ask quiet = *a;
	size_t i;
	json_t *check;
	quiet.trouble = trouble;
	quiet.trouble_cap = sizeof trouble;
	json_t *answer = vs_ask_daemon(&quiet, request_of(a, "session-checks"));
	if (!answer && a->chair)
		return vs_ctl_fail("%s", trouble);
	if (!answer) {
		if (!a->config)
			fputs("vitalsctl: vitalsd does not answer; these are the questions that ship\n", stderr);
		return checks_of_files(a);
	}
	int r = json_is_true(json_object_get(answer, "ok")) ? VS_EXIT_DONE : vs_ctl_fail("%s", vs_json_text(answer, "error"));
	json_array_foreach(json_object_get(answer, "checks"), i, check)
		print_check(a, check);
	json_decref(answer);
	return r;
}

/* What may be given to --protocol here, and with --weight what it comes to. */
static int protocols(const struct vs_ask *a)
{
	json_t *request = request_of(a, "session-protocols"), *answer = NULL, *p;
	size_t i;
	if (!put_numbers(request, a)) {
		json_decref(request);
		return VS_EXIT_USAGE;
	}
	int r = vs_ask_and_tell(a, request, &answer);
	json_array_foreach(json_object_get(answer, "protocols"), i, p)
		if (!a->json)
			printf("%-5s %-20s %s%s\n%26s %s\n", vs_json_text(p, "id"), vs_json_text(p, "name"), vs_json_text(p, "title"),
			       json_is_true(json_object_get(p, "enabled")) ? "" : "  (disabled)", "", vs_json_text(p, "dose"));
	json_decref(answer);
	return r;
}

static const char help[] =
	"usage: vitalsctl session start --chair C --patient CODE --protocol NAME [--weight KG] [--dose MG/KG] [--over MINUTES]\n"
	"                                [--step N] [--last-weight KG]\n"
	"       vitalsctl session phase --chair C baseline|infusion|paused|recovery|discharged|aborted [--reason TEXT]\n"
	"       vitalsctl session transfer --chair C WHERE      hand the patient over; closes the session\n"
	"       vitalsctl session show --chair C                phase, baseline and limits, dose, course\n"
	"       vitalsctl session checks [--chair C]            the screening questions, and what was answered\n"
	"       vitalsctl session protocols [--weight KG]       what may be given to --protocol, and what it comes to\n"
	"       vitalsctl session report SESSION --log FILE [--format text|html] [--out FILE]\n"
	"       vitalsctl session course CODE --log FILE [--json]   the sessions of one patient\n\n"
	"CODE is a pseudonym of the patient, never a name.  What is refused says why, with a code, and what would help:\n"
	"  --confirm                          you have seen the warning and go on\n"
	"  --override REASON --second NAME    two people go on all the same; not everything can be overridden\n"
	"  --operator NAME                    who you are, where a login is shared\n"
	"`phase paused` and then `phase infusion` goes on where it was.  `phase aborted` needs nothing and always works.\n"
	"`phase discharged --reason TEXT` before the infusion closes a session that is not given.\n"
	"All of it: docs/sessions.md.\n";

int vs_ctl_session(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[argc - 1], "--help") == 0) {
		fputs(help, stdout);
		return VS_EXIT_DONE;
	}
	static const struct {
		const char *word;
		int (*run)(const struct vs_ask *a);
	} verbs[] = { { "start", start }, { "phase", phase }, { "transfer", transfer }, { "show", show }, { "checks", checks },
		    { "protocols", protocols } };
	struct vs_ask a;
	if (argc > 1 && strcmp(argv[1], "report") == 0) /* these two read the log and need no daemon */
		return vs_ctl_session_report(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "course") == 0)
		return vs_ctl_session_course(argc - 1, argv + 1);
	int r = vs_ask_options(&a, argc, argv, options);
	if (r != VS_EXIT_DONE)
		return r;
	for (size_t i = 0; a.n_words && i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(a.words[0], verbs[i].word) == 0)
			return verbs[i].run(&a);
	return vs_ctl_usage("session: start, phase, transfer, show, checks, protocols, report or course?");
}
