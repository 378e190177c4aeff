/* The query socket's questions: whatever comes, it is understood within bounds, or refused in words that are JSON. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void refused(const char *why)
{
	char buf[2048];
	must(memchr(why, '\0', 256) != NULL && *why);
	json_t *answer = json_loadb(buf, vs_query_error(why, buf, sizeof buf), 0, NULL);
	must(json_is_false(json_object_get(answer, "ok")) && json_is_string(json_object_get(answer, "error")));
	json_decref(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vs_query q;
	char why[256];
	char *text = malloc(size + !size); /* exactly as long, so that a byte too far is noticed */
	must(text != NULL);
	memcpy(text, data, size);
	memset(why, 'x', sizeof why);
	if (!vs_query_parse(text, size, &q, why)) {
		refused(why);
	} else {
		must(memchr(q.chair, '\0', sizeof q.chair) != NULL);
		must(q.op == VS_QUERY_SNAPSHOT || q.op == VS_QUERY_REPLAY);
		if (q.op == VS_QUERY_REPLAY)
			must(*q.chair && q.kind < VS_KIND_ALIVE && q.limit >= 1 && q.limit <= VS_QUERY_LIMIT_MAX &&
			     q.epoch <= INT64_MAX && q.after <= INT64_MAX);
	}
	free(text);
	return 0;
}
