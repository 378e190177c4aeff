#include "clients/ctl/why.h"

#include <stdio.h>
#include <string.h>

#include "clients/ctl/ask.h"

static double number(const json_t *of, const char *key)
{
	return json_number_value(json_object_get(of, key));
}

static void number_cell(const json_t *rule, const char *key)
{
	char text[24] = "";
	const json_t *v = json_object_get(rule, key);
	if (json_is_number(v) && strcmp(vs_json_text(rule, "held_by"), "not there") != 0)
		snprintf(text, sizeof text, "%.6g", json_number_value(v));
	printf("  %-6s", text);
}

/* How far it is to the limit; beyond it, something else keeps the rule quiet. */
static void distance_cell(const json_t *rule)
{
	char text[24] = "";
	const json_t *v = json_object_get(rule, "distance");
	if (json_is_number(v) && json_number_value(v) > 0)
		snprintf(text, sizeof text, "%.4g to go", json_number_value(v));
	else if (json_is_number(v))
		snprintf(text, sizeof text, "%.4g beyond", -json_number_value(v));
	printf("  %-12s", text);
}

static void alarm_words(const json_t *rule)
{
	const char *by = vs_json_text(rule, "by");
	printf("%s, %s%s%s", vs_json_text(rule, "alarm"), vs_json_text(rule, "life"), *by ? " by " : "", by);
}

/* What holds it back, with how long still or how many readings. */
static void reason(const json_t *rule)
{
	const char *held = vs_json_text(rule, "held_by");
	if (*vs_json_text(rule, "alarm"))
		alarm_words(rule);
	else if (strcmp(held, "phase") == 0)
		fputs("not watched in this phase", stdout);
	else if (strcmp(held, "delay") == 0 && json_object_get(rule, "delay_s"))
		printf("delay: %.3g of %.3g s", number(rule, "waited_s"), number(rule, "delay_s"));
	else if (strcmp(held, "confirmation") == 0 && json_object_get(rule, "confirm"))
		printf("waits for a reading that confirms: %g of %g", number(rule, "readings"), number(rule, "confirm"));
	else if (strcmp(held, "suspect reading") == 0)
		fputs("a doubtful reading waits for its repeat", stdout);
	else if (strcmp(held, "not there") == 0)
		fputs("nothing of the kind", stdout);
	else
		fputs(held, stdout);
	if (strcmp(vs_json_text(rule, "limit_from"), "operator") == 0)
		fputs("; limit set for this patient", stdout);
	putchar('\n');
}

static void suspect_line(const json_t *suspect)
{
	if (suspect)
		printf("a doubtful cuff reading, %g/%g, is %.3g s old and waits for its repeat\n", number(suspect, "nibp_sys"),
		       number(suspect, "nibp_dia"), number(suspect, "age_s"));
}

void vs_why_print(const char *chair, const json_t *answer)
{
	const json_t *rule;
	const char *until = vs_json_text(answer, "audio_paused_until"), *by = vs_json_text(answer, "audio_paused_by");
	size_t i;
	printf("%s   phase %s   limit set %s, version %s\n", chair, vs_json_text(answer, "phase"), vs_json_text(answer, "set"),
	       vs_json_text(answer, "set_version"));
	if (*until)
		printf("audio is paused%s%s until %s\n", *by ? " by " : "", by, until);
	suspect_line(json_object_get(answer, "suspect"));
	printf("  %-18s  %-6s  %-6s  %-12s  %s\n", "RULE", "VALUE", "LIMIT", "DISTANCE", "HELD BACK BY");
	json_array_foreach(json_object_get(answer, "rules"), i, rule) {
		printf("  %-18s", vs_json_text(rule, "rule"));
		number_cell(rule, "value");
		number_cell(rule, "limit");
		distance_cell(rule);
		fputs("  ", stdout);
		reason(rule);
	}
}

int vs_ctl_why(int argc, char **argv)
{
	struct vs_ask a;
	if (vs_ask_has(argc, argv, "--at"))
		return vs_audit_why(argc, argv);
	int r = vs_ask_options(&a, argc, argv, NULL);
	if (r != VS_EXIT_DONE)
		return r;
	if (!a.chair || a.n_words)
		return vs_ctl_usage("why: --chair is needed");
	json_t *answer = NULL;
	r = vs_ask_and_tell(&a, json_pack("{s:s,s:s}", "op", "why", "chair", a.chair), &answer);
	if (r == VS_EXIT_DONE && !a.json)
		vs_why_print(a.chair, answer);
	json_decref(answer);
	return r;
}
