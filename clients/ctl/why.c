/* vitalsctl why: why is it quiet?  For each rule, how far from alarming it is and what holds it. */
#include <stdio.h>

#include "clients/ctl/ask.h"

static void print_rule(const json_t *rule)
{
	const json_t *value = json_object_get(rule, "value"), *limit = json_object_get(rule, "limit");
	printf("  %-18s", vs_json_text(rule, "rule"));
	if (json_is_number(value))
		printf(" value %-7g", json_number_value(value));
	else
		printf(" %-13s", "no value");
	if (json_is_number(limit))
		printf(" limit %-7g", json_number_value(limit));
	else
		printf(" %-13s", "");
	printf(" %s\n", vs_json_text(rule, "text"));
}

int vs_ctl_why(int argc, char **argv)
{
	struct vs_ask a;
	int r = vs_ask_options(&a, argc, argv, NULL);
	if (r != VS_EXIT_DONE)
		return r;
	if (!a.chair || a.n_words)
		return vs_ctl_usage("why: --chair is needed");
	json_t *answer = NULL, *rule;
	r = vs_ask_and_tell(&a, json_pack("{s:s,s:s}", "op", "why", "chair", a.chair), &answer);
	if (r == VS_EXIT_DONE && !a.json) {
		size_t i;
		printf("%s   phase %s\n", a.chair, vs_json_text(answer, "phase"));
		json_array_foreach(json_object_get(answer, "rules"), i, rule)
			print_rule(rule);
	}
	json_decref(answer);
	return r;
}
