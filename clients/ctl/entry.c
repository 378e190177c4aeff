/* vitalsctl entry: what a nurse saw or did, into the record. */
#include <stdio.h>

#include "clients/ctl/ask.h"

int vs_ctl_entry(int argc, char **argv)
{
	enum { NOTE, CORRECTS };
	static const char *const options[] = { "note", "corrects", NULL };
	struct vs_ask a;
	int r = vs_ask_options(&a, argc, argv, options);
	if (r != VS_EXIT_DONE)
		return r;
	if (!a.chair || a.n_words == 0)
		return vs_ctl_usage("entry: --chair and what kind of entry are needed (moaas, pain, nausea, med, note ...)");
	json_t *request = json_pack("{s:s,s:s,s:s,s:s}", "op", "entry", "chair", a.chair, "operator", a.operator_name,
				    "entry", a.words[0]);
	json_t *words = json_array(), *answer = NULL;
	for (int i = 1; i < a.n_words; i++)
		json_array_append_new(words, json_string(a.words[i]));
	json_object_set_new(request, "words", words);
	if (a.values[NOTE])
		json_object_set_new(request, "note", json_string(a.values[NOTE]));
	if (a.values[CORRECTS])
		json_object_set_new(request, "corrects", json_string(a.values[CORRECTS]));
	r = vs_ask_and_tell(&a, request, &answer);
	if (r == VS_EXIT_DONE && !a.json)
		printf("%s: %s is in the record\n", a.chair, a.words[0]);
	json_decref(answer);
	return r;
}
