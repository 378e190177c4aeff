/* vitalsctl cuff: a person has the blood pressure measured now, or lets the cuff go. */
#include <stdio.h>
#include <string.h>

#include "clients/ctl/ask.h"

static const char *const options[] = { NULL };

int vs_ctl_cuff(int argc, char **argv)
{
	struct vs_ask a;
	int r = vs_ask_options(&a, argc, argv, options);
	if (r != VS_EXIT_DONE)
		return r;
	const char *action = a.n_words ? a.words[0] : "";
	if ((strcmp(action, "start") != 0 && strcmp(action, "stop") != 0) || a.n_words > 2)
		return vs_ctl_usage("cuff: start or stop, and at most one DEVICE");
	if (!a.chair)
		return vs_ctl_usage("cuff %s: --chair is needed", action);
	json_t *request = json_pack("{s:s,s:s,s:s,s:s}", "op", "cuff", "operator", a.operator_name, "chair", a.chair, "action",
				    action);
	if (a.n_words > 1)
		json_object_set_new(request, "device", json_string(a.words[1]));
	json_t *answer = NULL;
	r = vs_ask_and_tell(&a, request, &answer);
	if (r == VS_EXIT_DONE && !a.json)
		printf("%s: %s was told to %s\n", a.chair, vs_json_text(answer, "device"),
		       strcmp(action, "start") == 0 ? "measure; the result comes by itself" : "let the cuff go");
	json_decref(answer);
	return r;
}
