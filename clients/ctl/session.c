/* vitalsctl session: open one, move it through its phases, look at it.  The daemon judges; here words become a request. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/ask.h"
#include "clients/ctl/report.h"
#include "config/presets.h"

enum { PATIENT, PROTOCOL, WEIGHT, REASON, OVERRIDE, SECOND, CONFIRM, SECOND_ID, BASELINE_RATE };
static const char *const options[] = { "patient",  "protocol", "weight",  "reason",  "override",
				       "second",   "confirm!", "pump",    "rate",    NULL };

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

static void print_baseline(json_t *baseline)
{
	const char *key;
	json_t *value;
	json_object_foreach(baseline, key, value)
		printf("  baseline %-9s %g\n", key, json_number_value(value));
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
	print_baseline(json_object_get(s, "baseline"));
}

static int start(const struct vs_ask *a)
{
	if (!a->chair || !a->values[PATIENT] || !a->values[PROTOCOL])
		return vs_ctl_usage("session start: --chair, --patient and --protocol are needed");
	json_t *request = request_of(a, "session-start"), *answer = NULL;
	put(request, "patient", a->values[PATIENT]);
	put(request, "protocol", a->values[PROTOCOL]);
	if (a->values[WEIGHT]) {
		char *end;
		double kg = strtod(a->values[WEIGHT], &end);
		if (end == a->values[WEIGHT] || *end || !isfinite(kg)) {
			json_decref(request);
			return vs_ctl_usage("session start: --weight is a number of kilograms, not '%s'", a->values[WEIGHT]);
		}
		json_object_set_new(request, "weight_kg", json_real(kg));
	}
	int r = vs_ask_and_tell(a, request, &answer);
	if (r == VS_EXIT_DONE && !a->json)
		printf("%s: session %s is open, phase %s\n", a->chair, vs_json_text(answer, "session"),
		       vs_json_text(answer, "phase"));
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
		print_baseline(json_object_get(answer, "baseline"));
	}
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

/* The screening questions of the clinic: their names alone, or with their texts for a person at a terminal. */
static int checks(const struct vs_ask *a)
{
	struct vs_findings findings = { 0 };
	struct vs_session_data *data = NULL;
	int r = vs_presets_load(NULL, 0, &data, &findings);
	for (unsigned i = 0; r == 0 && i < data->checks.len; i++)
		if (a->json)
			printf("{\"item\":\"%s\"}\n", data->checks.at[i].item);
		else
			printf("%-24s %s\n", data->checks.at[i].item, data->checks.at[i].text);
	vs_findings_print(&findings, stderr);
	vs_findings_clear(&findings);
	vs_presets_free(data);
	return r == 0 ? VS_EXIT_DONE : VS_EXIT_FAILED;
}

int vs_ctl_session(int argc, char **argv)
{
	static const struct {
		const char *word;
		int (*run)(const struct vs_ask *a);
	} verbs[] = { { "start", start }, { "phase", phase }, { "show", show }, { "checks", checks } };
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
	return vs_ctl_usage("session: start, phase, show or checks?");
}
