/* vitalsctl alarm: what stands, and what a person does about it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/audit_explain.h"
#include "clients/ctl/ask.h"

enum { FOR };
static const char *const options[] = { "for", NULL };

static json_t *request_of(const struct vs_ask *a, const char *op)
{
	json_t *request = json_pack("{s:s,s:s}", "op", op, "operator", a->operator_name);
	if (a->chair)
		json_object_set_new(request, "chair", json_string(a->chair));
	return request;
}

static int list(const struct vs_ask *a)
{
	json_t *answer = NULL;
	int r = vs_ask_and_tell(a, request_of(a, "alarm-list"), &answer);
	if (r == VS_EXIT_DONE && !a->json) {
		size_t i;
		const json_t *alarm;
		json_array_foreach(json_object_get(answer, "alarms"), i, alarm)
			printf("%-10s %-10s %-6s %-8s %-12s since %s  %s\n", vs_json_text(alarm, "chair"),
			       vs_json_text(alarm, "alarm"), vs_json_text(alarm, "priority"), vs_json_text(alarm, "state"),
			       vs_json_text(alarm, "signal"), vs_json_text(alarm, "onset"), vs_json_text(alarm, "text"));
		if (i == 0)
			puts("no alarm stands");
	}
	json_decref(answer);
	return r;
}

static int tell_count(const struct vs_ask *a, json_t *request, const char *words)
{
	json_t *answer = NULL;
	int r = vs_ask_and_tell(a, request, &answer);
	if (r == VS_EXIT_DONE && !a->json)
		printf("%s: %s\n", a->chair, words);
	json_decref(answer);
	return r;
}

static int ack(const struct vs_ask *a)
{
	if (!a->chair)
		return vs_ctl_usage("alarm ack: --chair is needed");
	json_t *request = request_of(a, "alarm-ack");
	if (a->n_words > 1)
		json_object_set_new(request, "alarm", json_string(a->words[1]));
	return tell_count(a, request, a->n_words > 1 ? "acknowledged" : "all standing alarms acknowledged");
}

/* 90s, 2min, 500ms, 1h; -1: no duration. */
static long long duration_ms(const char *text)
{
	static const struct {
		const char *unit;
		long long ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "min", 60000 }, { "h", 3600000 } };
	char *end;
	double n = strtod(text, &end);
	for (size_t i = 0; end != text && i < sizeof units / sizeof *units; i++)
		if (strcmp(end, units[i].unit) == 0 && n > 0 && n < 1e6)
			return (long long)(n * (double)units[i].ms);
	return -1;
}

static int pause_audio(const struct vs_ask *a)
{
	if (!a->chair)
		return vs_ctl_usage("alarm pause: --chair is needed");
	json_t *request = request_of(a, "alarm-pause");
	if (a->values[FOR]) {
		long long ms = duration_ms(a->values[FOR]);
		if (ms < 0) {
			json_decref(request);
			return vs_ctl_usage("alarm pause: --for is a duration like 90s or 2min, not '%s'", a->values[FOR]);
		}
		json_object_set_new(request, "for_ms", json_integer(ms));
	}
	return tell_count(a, request, "audio paused; anything new or worse sounds by itself");
}

static int resume(const struct vs_ask *a)
{
	if (!a->chair)
		return vs_ctl_usage("alarm resume: --chair is needed");
	return tell_count(a, request_of(a, "alarm-resume"), "audio is on again");
}

static int explain(const struct vs_ask *a)
{
	if (a->n_words != 2)
		return vs_ctl_usage("alarm explain: which alarm? (its id stands in 'vitalsctl alarm list')");
	json_t *request = request_of(a, "alarm-explain"), *answer = NULL;
	json_object_set_new(request, "alarm", json_string(a->words[1]));
	int r = vs_ask_and_tell(a, request, &answer);
	if (r == VS_EXIT_DONE && !a->json)
		vs_audit_explanation(json_object_get(answer, "explanation"));
	json_decref(answer);
	return r;
}

/* The daemon says what it knows to be broken; whether it was seen and heard, people must say. */
static int test(const struct vs_ask *a)
{
	if (!a->chair)
		return vs_ctl_usage("alarm test: --chair is needed");
	json_t *answer = NULL;
	int r = vs_ask_and_tell(a, request_of(a, "alarm-test"), &answer);
	const json_t *n = json_object_get(answer, "annunciator");
	if (r == VS_EXIT_DONE && !a->json) {
		printf("%s: a test was published and recorded; look whether the station shows it\n", a->chair);
		if (strcmp(vs_json_text(n, "audio"), "alsa") == 0)
			printf("sound: %s, low, medium, high in turn: listen\n", vs_json_text(n, "device"));
		else
			puts("sound: none is configured at the chair");
		if (json_object_get(n, "audio_trouble"))
			printf("sound: the card did not work: %s\n", vs_json_text(n, "audio_trouble"));
		if (json_object_get(n, "command"))
			printf("command: %s runs for low, medium, high: look\n", vs_json_text(n, "command"));
		if (json_object_get(n, "command_trouble"))
			printf("command: its last run %s\n", vs_json_text(n, "command_trouble"));
	}
	json_decref(answer);
	return r;
}

int vs_ctl_alarm(int argc, char **argv)
{
	static const struct {
		const char *word;
		int (*run)(const struct vs_ask *a);
	} verbs[] = { { "list", list }, { "ack", ack }, { "pause", pause_audio }, { "resume", resume }, { "explain", explain },
		    { "test", test } };
	struct vs_ask a;
	if (argc > 1 && strcmp(argv[1], "explain") == 0 && vs_ask_has(argc, argv, "--log"))
		return vs_audit_explain(argc - 1, argv + 1);
	int r = vs_ask_options(&a, argc, argv, options);
	if (r != VS_EXIT_DONE)
		return r;
	for (size_t i = 0; a.n_words && i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(a.words[0], verbs[i].word) == 0)
			return verbs[i].run(&a);
	return vs_ctl_usage("alarm: list, ack, pause, resume, explain or test?");
}
