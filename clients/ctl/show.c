#include "clients/ctl/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/metric.h"
#include "core/timetext.h"

#define RED "\033[1;97;41m"
#define YELLOW "\033[1;30;43m"
#define CYAN "\033[1;30;46m"
#define GREEN "\033[32m"
#define GREY "\033[2m"
#define PLAIN "\033[0m"

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

void vs_show_calm_text(char *text, const char *keep)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++)
		if ((*p < 0x20 && !strchr(keep, *p)) || *p == 0x7f)
			*p = ' ';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) /* U+0080 to U+009F */
			p[0] = p[1] = ' ';
}

static void calm_string(json_t *string, const char *keep)
{
	char *text = strdup(json_string_value(string));
	if (!text)
		return;
	vs_show_calm_text(text, keep);
	json_string_set(string, text);
	free(text);
}

void vs_show_calm(json_t *value, const char *keep)
{
	const char *key;
	json_t *of;
	size_t i;
	if (json_is_string(value))
		calm_string(value, keep);
	json_object_foreach(value, key, of)
		vs_show_calm(of, keep);
	json_array_foreach(value, i, of)
		vs_show_calm(of, keep);
}

static const char *colour(const struct vs_show *s, const char *code)
{
	return s->colour ? code : "";
}

/* The clock on the wall, as the person reads it. */
static void put_time(const json_t *e)
{
	int64_t wall_ms;
	struct tm tm;
	char text[16] = "--:--:--";
	if (vs_time_parse(text_of(e, "time"), &wall_ms)) {
		time_t t = (time_t)(wall_ms / 1000);
		strftime(text, sizeof text, "%H:%M:%S", localtime_r(&t, &tm));
	}
	printf("%s  ", text);
}

static void put_chair(const struct vs_show *s, const json_t *e)
{
	if (s->sites)
		printf("%s/", text_of(e, "site"));
	printf("%-8s  ", text_of(e, "chair"));
}

/* " key=value" for each member that is there and says something. */
static void put_members(const json_t *e, const char *const *keys)
{
	for (; *keys; keys++) {
		const json_t *v = json_object_get(e, *keys);
		if (json_is_string(v) && *json_string_value(v))
			printf("  %s %s", *keys, json_string_value(v));
		else if (json_is_number(v))
			printf("  %s %.6g", *keys, json_number_value(v));
	}
}

static const char *alarm_colour(const struct vs_show *s, const json_t *e)
{
	const char *priority = text_of(e, "priority");
	if (strcmp(text_of(e, "state"), "cleared") == 0)
		return colour(s, GREEN);
	return colour(s, strcmp(priority, "high") == 0 ? RED : strcmp(priority, "medium") == 0 ? YELLOW : CYAN);
}

static void show_alarm(const struct vs_show *s, const json_t *e, const char *change)
{
	static const char *const more[] = { "by", "device", NULL };
	printf("%s%s%s  ", alarm_colour(s, e), text_of(e, "text"), colour(s, PLAIN));
	put_time(e);
	put_chair(s, e);
	printf("%s  %s", text_of(e, "priority"), change);
	if (*text_of(e, "signal") && strcmp(text_of(e, "signal"), "on") != 0)
		printf("  signal %s", text_of(e, "signal"));
	put_members(e, more);
}

static void show_vitals(const json_t *e)
{
	const char *key;
	const json_t *value;
	size_t i;
	printf("%s%s", text_of(e, "device"), json_object_size(json_object_get(e, "values")) ? "" : "  no value");
	json_object_foreach((json_t *)(uintptr_t)json_object_get(e, "values"), key, value) {
		enum vs_metric m = vs_metric_by_name(key, strlen(key));
		const struct vs_metric_info *info = m == VS_METRIC_NONE ? NULL : &vs_metrics[m];
		if (json_is_string(value))
			printf("  %s %s", key, json_string_value(value));
		else
			printf("  %s %.*f%s%s", key, info ? info->decimals : 2, json_number_value(value),
			       info && *info->unit ? " " : "", info ? info->unit : "");
	}
	json_array_foreach(json_object_get(e, "flags"), i, value)
		printf("%s%s", i ? ", " : "  [", json_string_value(value));
	if (json_array_size(json_object_get(e, "flags")))
		printf("]");
}

#define SIGNAL_EVERY_MS 10000
#define DEVICES_MAX 256

/* Whether a person wants to see this reading; remembers what was shown of each device. */
static bool worth_showing(const json_t *e)
{
	static struct {
		char name[100];
		int64_t shown_ms;
		bool empty;
	} devices[DEVICES_MAX];
	char name[100];
	int64_t wall_ms = 0;
	const json_t *values = json_object_get(e, "values");
	size_t i = 0;
	snprintf(name, sizeof name, "%.30s/%.32s/%.32s", text_of(e, "site"), text_of(e, "chair"), text_of(e, "device"));
	while (i < DEVICES_MAX && devices[i].name[0] && strcmp(devices[i].name, name) != 0)
		i++;
	if (i == DEVICES_MAX)
		return true;
	bool first = !devices[i].name[0], empty = json_object_size(values) == 0;
	bool cuff = json_object_get(values, "nibp_sys") || json_object_get(values, "nibp_dia");
	vs_time_parse(text_of(e, "time"), &wall_ms);
	bool turned = empty != devices[i].empty && !(cuff || devices[i].shown_ms == 0);
	if (first)
		memcpy(devices[i].name, name, sizeof name);
	devices[i].empty = empty;
	/* A cuff that says nothing between two measurements is no news. */
	if (!first && !cuff && !(turned && wall_ms - devices[i].shown_ms >= 1000) &&
	    (empty || wall_ms - devices[i].shown_ms < SIGNAL_EVERY_MS))
		return false;
	if (!cuff)
		devices[i].shown_ms = wall_ms;
	return true;
}

static void show_alive(const json_t *e)
{
	const char *key;
	const json_t *value;
	printf("alive  phase %s  alarms:", text_of(e, "phase"));
	json_object_foreach((json_t *)(uintptr_t)json_object_get(e, "alarms"), key, value)
		printf(" %s %d", key, (int)json_integer_value(value));
}

static void show_device(const json_t *e)
{
	printf("%s  %s", text_of(e, "device"), text_of(e, "status"));
	if (*text_of(e, "detail"))
		printf("  (%s)", text_of(e, "detail"));
}

static void show_other(const json_t *e, const char *kind)
{
	static const char *const session[] = { "phase", "session", "patient", "protocol", "operator", "text", NULL };
	static const char *const entry[] = { "entry", "value", "unit", "note", "operator", NULL };
	static const char *const request[] = { "request", "reason", "due", "text", NULL };
	static const char *const any[] = { "text", "detail", "head", NULL };
	printf("%s", kind);
	put_members(e, strcmp(kind, "session") == 0   ? session
		       : strcmp(kind, "entry") == 0   ? entry
		       : strcmp(kind, "request") == 0 ? request
						      : any);
}

void vs_show_event(const struct vs_show *s, const json_t *e, const char *note)
{
	const char *kind = text_of(e, "kind");
	if (!s->all && strcmp(kind, "vitals") == 0 && !worth_showing(e))
		return;
	if (strcmp(kind, "alarm") == 0) {
		show_alarm(s, e, text_of(e, "change"));
	} else {
		put_time(e);
		put_chair(s, e);
		if (strcmp(kind, "vitals") == 0)
			show_vitals(e);
		else if (strcmp(kind, "alive") == 0)
			show_alive(e);
		else if (strcmp(kind, "device") == 0)
			show_device(e);
		else
			show_other(e, kind);
	}
	printf("%s%s%s%s\n", *note ? "  " : "", colour(s, *note ? GREY : ""), note, colour(s, *note ? PLAIN : ""));
}

/* Alarms of a snapshot have no envelope of their own: the chair's stands for it. */
static void show_standing(const struct vs_show *s, const json_t *snapshot, const json_t *chair)
{
	size_t i;
	json_t *alarm;
	json_array_foreach(json_object_get(chair, "alarms"), i, alarm) {
		json_t *e = json_copy(alarm);
		json_object_set(e, "site", json_object_get(snapshot, "site"));
		json_object_set(e, "chair", json_object_get(chair, "chair"));
		json_object_set(e, "time", json_object_get(alarm, "onset"));
		char change[64];
		snprintf(change, sizeof change, "%.32s since then", text_of(alarm, "state"));
		show_alarm(s, e, change);
		putchar('\n');
		json_decref(e);
	}
}

void vs_show_snapshot(const struct vs_show *s, const json_t *snapshot, bool alarms)
{
	size_t i;
	const json_t *chair;
	json_array_foreach(json_object_get(snapshot, "chairs"), i, chair) {
		size_t standing = json_array_size(json_object_get(chair, "alarms"));
		printf("%s%s  %s  phase %s", colour(s, GREY), text_of(snapshot, "site"), text_of(chair, "chair"),
		       text_of(chair, "phase"));
		if (*text_of(chair, "session"))
			printf("  session %s", text_of(chair, "session"));
		printf("  %zu alarm%s%s\n", standing, standing == 1 ? "" : "s", colour(s, PLAIN));
		if (alarms)
			show_standing(s, snapshot, chair);
	}
}

void vs_show_chair(const struct vs_show *s, const char *site, const char *chair, bool lost, const char *text)
{
	time_t now = time(NULL);
	struct tm tm;
	char clock[16];
	strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&now, &tm));
	printf("%s%s: %s%s  %s%s%s\n", colour(s, lost ? RED : GREEN), chair, text, colour(s, PLAIN), clock,
	       s->sites ? "  " : "", s->sites ? site : "");
}
