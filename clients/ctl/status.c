/* vitalsctl status: the snapshot, for a person. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clients/ctl/ask.h"
#include "core/metric.h"
#include "core/timetext.h"

/* By the daemon's own clock; by the times of an older daemon that does not tell. */
static void age_text(const json_t *v, int64_t now_ms, char *buf, size_t cap)
{
	int64_t then;
	const json_t *age = json_object_get(v, "age_ms");
	if (!json_is_integer(age) && !vs_time_parse(vs_json_text(v, "time"), &then)) {
		snprintf(buf, cap, "-");
		return;
	}
	long long s = (json_is_integer(age) ? json_integer_value(age) : now_ms - then) / 1000;
	if (s < 0)
		s = 0;
	if (s < 120)
		snprintf(buf, cap, "%lld s ago", s);
	else if (s < 7200)
		snprintf(buf, cap, "%lld min ago", s / 60);
	else
		snprintf(buf, cap, "%lld h ago", s / 3600);
}

static void print_value(const char *metric, const json_t *v, int64_t now_ms)
{
	char age[32], number[32] = "--", flags[256] = "";
	const json_t *value = json_object_get(v, "value"), *flag;
	enum vs_metric m = vs_metric_by_name(metric, strlen(metric));
	size_t i;
	if (json_is_number(value))
		snprintf(number, sizeof number, "%.*f", m == VS_METRIC_NONE ? 0 : vs_metrics[m].decimals,
			 json_number_value(value));
	else if (json_is_string(value))
		snprintf(number, sizeof number, "%.31s", json_string_value(value));
	json_array_foreach(json_object_get(v, "flags"), i, flag)
		snprintf(flags + strlen(flags), sizeof flags - strlen(flags), " %s", json_string_value(flag));
	age_text(v, now_ms, age, sizeof age);
	printf("  %-10s %6s %-8s %-12s %s%s\n", metric, number, vs_json_text(v, "unit"), age, vs_json_text(v, "device"),
	       flags);
}

static void print_chair(json_t *chair, int64_t now_ms)
{
	const char *session = vs_json_text(chair, "session"), *key;
	json_t *value;
	const json_t *item;
	size_t i;
	printf("%s   phase %s   %s%s\n", vs_json_text(chair, "chair"), vs_json_text(chair, "phase"),
	       *session ? "session " : "no session: watched with the absolute limits", session);
	json_array_foreach(json_object_get(chair, "alarms"), i, item) {
		if (strcmp(vs_json_text(item, "change"), "superseded") == 0)
			continue; /* a higher one of the same metric is announced in its place */
		printf("  ALARM %s  [%s, %s, %s]\n", vs_json_text(item, "text"), vs_json_text(item, "alarm"),
		       vs_json_text(item, "state"), vs_json_text(item, "signal"));
	}
	json_object_foreach(json_object_get(chair, "values"), key, value)
		print_value(key, value, now_ms);
	json_array_foreach(json_object_get(chair, "devices"), i, item)
		printf("  device %-10s %s%s%s\n", vs_json_text(item, "device"), vs_json_text(item, "status"),
		       *vs_json_text(item, "detail") ? ": " : "", vs_json_text(item, "detail"));
}

int vs_ctl_status(int argc, char **argv)
{
	struct vs_ask a;
	int r = vs_ask_options(&a, argc, argv, NULL);
	if (r != VS_EXIT_DONE)
		return r;
	if (a.n_words)
		return vs_ctl_usage("status: takes no words, only --chair and --json");
	json_t *answer = NULL, *request = json_pack("{s:s}", "op", "snapshot");
	if (a.chair)
		json_object_set_new(request, "chair", json_string(a.chair));
	r = vs_ask_and_tell(&a, request, &answer);
	if (r != VS_EXIT_DONE || a.json) {
		json_decref(answer);
		return r;
	}
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	size_t i;
	json_t *chair;
	json_array_foreach(json_object_get(answer, "chairs"), i, chair) {
		if (i)
			putchar('\n');
		print_chair(chair, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	}
	json_decref(answer);
	return VS_EXIT_DONE;
}
