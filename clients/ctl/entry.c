/* vitalsctl entry: what a nurse saw or did, into the record. */
#include <stdio.h>
#include <string.h>

#include "alarms/session.h"
#include "clients/ctl/ask.h"

/* Every kind with what it wants, a line each. */
static int help(void)
{
	puts("vitalsctl entry --chair C KIND [VALUE...] [--note TEXT] [--corrects NUMBER] [--from TIME] [--to TIME] [--confirm]\n");
	for (enum vs_entry_kind k = 0; k < VS_ENTRY_COUNT; k++)
		printf("  %-13s %s\n", vs_entry_name(k), vs_entry_help(k));
	puts("\nA correction is a new entry that points at the old one: --corrects with its number; a note takes it back.");
	return VS_EXIT_DONE;
}

int vs_ctl_entry(int argc, char **argv)
{
	enum { NOTE, CORRECTS, FROM, TO, UNIT, CONFIRM };
	static const char *const options[] = { "note", "corrects", "from", "to", "unit", "confirm!", NULL };
	static const struct {
		unsigned at;
		const char *key;
	} texts[] = { { NOTE, "note" }, { CORRECTS, "corrects" }, { FROM, "from" }, { TO, "to" } };
	struct vs_ask a;
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return help();
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
	if (a.values[UNIT])
		json_array_append_new(words, json_string(a.values[UNIT]));
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (a.values[texts[i].at])
			json_object_set_new(request, texts[i].key, json_string(a.values[texts[i].at]));
	if (a.values[CONFIRM])
		json_object_set_new(request, "confirm", json_true());
	r = vs_ask_and_tell(&a, request, &answer);
	if (r == VS_EXIT_DONE && !a.json)
		printf("%s: %s is in the record\n", a.chair, a.words[0]);
	json_decref(answer);
	return r;
}
