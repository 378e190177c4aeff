/* Questions and answers of the query socket, with a log that is played and a ring that is real. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/query.h"

/* ---- The log that is played: alarm/chair-1 of epoch 7, numbers 1 to `upto`, each `filler` bytes longer ---- */

struct vs_history {
	uint64_t upto;
	size_t filler;
	int error;
	void (*meanwhile)(struct vs_history *h); /* happens once, after the log has answered */
};

static struct vs_custody *ring;
static char path[64];

int vs_history_replay(struct vs_history *h, enum vs_kind kind, const char *chair, uint64_t epoch, uint64_t after,
		      unsigned limit, int (*take)(void *arg, uint64_t seq, const char *json, size_t len), void *arg)
{
	static char text[8192];
	int n = 0;
	if (h->error)
		return h->error;
	for (uint64_t seq = after + 1; kind == VS_KIND_ALARM && epoch == 7 && strcmp(chair, "chair-1") == 0 &&
				       seq <= h->upto && (unsigned)n < limit; seq++, n++) {
		int len = snprintf(text, sizeof text, "{\"seq\":%llu,\"from\":\"log\",\"filler\":\"%*s\"}",
				   (unsigned long long)seq, (int)h->filler, "x");
		if (take(arg, seq, text, (size_t)len))
			break;
	}
	void (*meanwhile)(struct vs_history *) = h->meanwhile;
	h->meanwhile = NULL;
	if (meanwhile)
		meanwhile(h);
	return n;
}

/* ---- The ring ---- */

static void commit_alarms(const char *chair, uint64_t epoch, uint64_t from, uint64_t to)
{
	for (uint64_t seq = from; seq <= to; seq++) {
		struct vs_event e = { .kind = VS_KIND_ALARM, .site = "ward", .chair = chair, .epoch = epoch, .seq = seq,
				      .body = "\"from\":\"ring\"", .body_len = 13 };
		vs_custody_begin(ring);
		assert_int_equal(vs_custody_add(ring, &e), 0);
		vs_custody_commit(ring);
	}
}

static void log_takes_all(struct vs_history *h)
{
	struct vs_custody_reader *log = vs_custody_reader(ring, VS_READER_LOG);
	struct vs_custody_record r;
	while (vs_custody_next(log, &r) == 1)
		if (h && r.event.epoch == 7 && r.event.seq > h->upto && strcmp(r.event.chair, "chair-1") == 0)
			h->upto = r.event.seq;
	vs_custody_done(log);
}

static int open_ring(void **state)
{
	(void)state;
	strcpy(path, "/tmp/vs-query-XXXXXX");
	int fd = mkstemp(path);
	return fd < 0 || close(fd) || vs_custody_open(path, VS_CUSTODY_MIN, &ring);
}

static int close_ring(void **state)
{
	(void)state;
	vs_custody_close(ring);
	return unlink(path);
}

/* "3l 4l 5r more": the numbers, where each came from, and whether there are more. */
static void assert_replay(struct vs_history *h, uint64_t after, unsigned limit, const char *want)
{
	struct vs_query q = { .op = VS_QUERY_REPLAY, .chair = "chair-1", .kind = VS_KIND_ALARM, .epoch = 7, .after = after,
			      .limit = limit };
	char *buf = malloc(VS_QUERY_ANSWER_MAX), got[512] = "";
	bool empty;
	size_t i, len = vs_query_replay(&q, h, vs_custody_reader(ring, VS_READER_PUBLISHER), buf, &empty), at = 0;
	json_t *answer = json_loadb(buf, len, 0, NULL), *e;
	assert_non_null(answer);
	if (!json_is_true(json_object_get(answer, "ok")))
		at += (size_t)snprintf(got, sizeof got, "%s", json_string_value(json_object_get(answer, "error")));
	json_array_foreach(json_object_get(answer, "events"), i, e)
		at += (size_t)snprintf(got + at, sizeof got - at, "%s%lld%c", i ? " " : "",
				       json_integer_value(json_object_get(e, "seq")),
				       json_string_value(json_object_get(e, "from"))[0]);
	if (json_is_true(json_object_get(answer, "more")))
		snprintf(got + at, sizeof got - at, " more");
	assert_string_equal(got, want);
	json_decref(answer);
	free(buf);
}

static void log_first_then_what_only_the_ring_has(void **state)
{
	(void)state;
	struct vs_history h = { .upto = 0 };
	commit_alarms("chair-1", 6, 1, 3); /* the epoch before */
	commit_alarms("chair-1", 7, 1, 5);
	log_takes_all(&h);
	commit_alarms("chair-2", 7, 6, 9); /* another chair */
	commit_alarms("chair-1", 7, 6, 8);
	commit_alarms("chair-1", 8, 1, 2); /* the next epoch */
	static const struct {
		uint64_t after;
		unsigned limit;
		const char *want, *why;
	} story[] = {
		{ 0, 3, "1l 2l 3l more", "a page of the log" },
		{ 3, 2, "4l 5l more", "the log's last, the ring has more" },
		{ 3, 4, "4l 5l 6r 7r more", "across" },
		{ 3, 5, "4l 5l 6r 7r 8r", "exactly all: no more" },
		{ 6, 500, "7r 8r", "the ring alone" },
		{ 8, 500, "", "nothing after the last" },
		{ 99, 500, "", "nothing after what never was" },
	};
	for (size_t i = 0; i < sizeof story / sizeof *story; i++)
		assert_replay(&h, story[i].after, story[i].limit, story[i].want);
}

static void before_there_is_a_log(void **state)
{
	(void)state;
	struct vs_history h = { .error = -ENOENT };
	commit_alarms("chair-1", 7, 1, 2);
	assert_replay(&h, 0, 500, "1r 2r");
	h.error = -EIO;
	assert_replay(&h, 0, 500, "the log cannot be read now (Input/output error): ask again");
}

/* Between the log's answer and the look into the ring, the log commits and the ring goes round. */
static void log_goes_on_and_the_ring_goes_round(struct vs_history *h)
{
	log_takes_all(h);
	for (int i = 0; i < 2000; i++) {
		struct vs_custody_record r;
		commit_alarms("chair-9", 7, 1, 1);
		log_takes_all(NULL);
		vs_custody_next(vs_custody_reader(ring, VS_READER_PUBLISHER), &r);
	}
	commit_alarms("chair-1", 7, h->upto + 1, h->upto + 1);
}

static void the_log_may_catch_up_meanwhile(void **state)
{
	(void)state;
	struct vs_history h = { .upto = 0, .meanwhile = log_takes_all };
	commit_alarms("chair-1", 7, 1, 4);
	assert_replay(&h, 0, 500, "1r 2r 3r 4r"); /* committed meanwhile, but still there to be read */
	commit_alarms("chair-1", 7, 5, 6);
	h.meanwhile = log_goes_on_and_the_ring_goes_round;
	assert_replay(&h, 3, 500, "4l 5l 6l 7r"); /* gone from the ring: the log is asked once more */
}

static void a_long_answer_ends_early(void **state)
{
	(void)state;
	struct vs_history h = { .upto = 2000, .filler = 4000 };
	struct vs_query q = { .chair = "chair-1", .kind = VS_KIND_ALARM, .epoch = 7, .limit = VS_QUERY_LIMIT_MAX };
	char *buf = malloc(VS_QUERY_ANSWER_MAX);
	bool empty;
	size_t len = vs_query_replay(&q, &h, vs_custody_reader(ring, VS_READER_PUBLISHER), buf, &empty);
	json_t *answer = json_loadb(buf, len, 0, NULL);
	assert_true(json_is_true(json_object_get(answer, "ok")) && json_is_true(json_object_get(answer, "more")));
	assert_in_range(json_array_size(json_object_get(answer, "events")), 200, 260);
	assert_in_range(len, VS_QUERY_ANSWER_MAX - 8192, VS_QUERY_ANSWER_MAX - 1);
	json_decref(answer);
	free(buf);
}

#define REPLAY(more) "{\"op\":\"replay\",\"chair\":\"chair-1\",\"kind\":\"alarm\"," more "}"

static void questions_are_understood_or_refused_in_words(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *wrong; /* part of the words; NULL: understood */
		struct vs_query q;
	} story[] = {
		{ "{\"op\":\"snapshot\"}", NULL, { VS_QUERY_SNAPSHOT } },
		{ " {\"op\":\"snapshot\",\"chair\":\"chair-1\",\"x\":[1]} \n", NULL, { VS_QUERY_SNAPSHOT, "chair-1" } },
		{ REPLAY("\"epoch\":7,\"after\":12,\"limit\":9"), NULL,
		  { VS_QUERY_REPLAY, "chair-1", VS_KIND_ALARM, 7, 12, 9 } },
		{ REPLAY("\"epoch\":7"), NULL, { VS_QUERY_REPLAY, "chair-1", VS_KIND_ALARM, 7, 0, VS_QUERY_LIMIT } },
		{ REPLAY("\"epoch\":7,\"limit\":1000000000000"), NULL,
		  { VS_QUERY_REPLAY, "chair-1", VS_KIND_ALARM, 7, 0, VS_QUERY_LIMIT_MAX } },
		{ "", "not JSON" },
		{ "garbage", "not JSON" },
		{ "{\"op\":\"snapshot\"", "not JSON" },
		{ "{\"op\":\"snapshot\"} {}", "not JSON" },
		{ "{\"op\":\"snapshot\",\"op\":\"replay\"}", "not JSON" },
		{ "[]", "must be a JSON object" },
		{ "{}", "\"op\" must be" },
		{ "{\"op\":7}", "\"op\" must be" },
		{ "{\"op\":\"drop table\"}", "\"op\" must be" },
		{ "{\"op\":\"snapshot\",\"chair\":1}", "\"chair\"" },
		{ "{\"op\":\"snapshot\",\"chair\":\"\"}", "no chair of that name" },
		{ "{\"op\":\"snapshot\",\"chair\":\"a\\u0000b\"}", "not JSON" },
		{ "{\"op\":\"replay\",\"kind\":\"alarm\",\"epoch\":7}", "\"chair\" is missing" },
		{ "{\"op\":\"replay\",\"chair\":\"c\",\"epoch\":7}", "\"kind\" is missing: vitals, alarm" },
		{ "{\"op\":\"replay\",\"chair\":\"c\",\"kind\":\"alarms\",\"epoch\":7}", "no kind \"alarms\": it is vitals" },
		{ "{\"op\":\"replay\",\"chair\":\"c\",\"kind\":\"alive\",\"epoch\":7}", "not kept" },
		{ REPLAY("\"after\":0"), "\"epoch\" is missing" },
		{ REPLAY("\"epoch\":-1"), "\"epoch\" must be a whole number" },
		{ REPLAY("\"epoch\":1.5"), "\"epoch\" must be a whole number" },
		{ REPLAY("\"epoch\":7,\"after\":\"x\""), "\"after\" must be a whole number" },
		{ REPLAY("\"epoch\":7,\"limit\":0"), "\"limit\" must be 1 to 1000" },
		{ REPLAY("\"epoch\":99999999999999999999"), "not JSON" },
	};
	for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
		struct vs_query q = { .limit = 77 };
		char why[256] = "";
		bool good = vs_query_parse(story[i].text, strlen(story[i].text), &q, why);
		if (good != !story[i].wrong || (!good && !strstr(why, story[i].wrong)))
			fail_msg("%s: %s", story[i].text, good ? "understood" : why);
		if (!good) {
			assert_int_equal(q.limit, 77); /* untouched */
			continue;
		}
		assert_int_equal(q.op, story[i].q.op);
		assert_string_equal(q.chair, story[i].q.chair);
		assert_true(q.kind == story[i].q.kind && q.epoch == story[i].q.epoch && q.after == story[i].q.after &&
			    q.limit == story[i].q.limit);
	}
}

static void a_question_may_be_a_mebibyte(void **state)
{
	(void)state;
	static const char begin[] = "{\"op\":\"snapshot\",\"x\":\"";
	struct vs_query q;
	char why[256] = "", *text = malloc(VS_QUERY_MAX + 1);
	memset(text, 'x', VS_QUERY_MAX + 1);
	memcpy(text, begin, sizeof begin - 1);
	memcpy(text + VS_QUERY_MAX - 2, "\"}", 3);
	assert_true(vs_query_parse(text, VS_QUERY_MAX, &q, why));
	assert_false(vs_query_parse(text, VS_QUERY_MAX + 1, &q, why));
	assert_non_null(strstr(why, "too large"));
	free(text);
}

static void a_refusal_is_json_whatever_was_asked(void **state)
{
	(void)state;
	char buf[512];
	size_t len = vs_query_error("there is no kind \"\xff\n\"", buf, sizeof buf);
	json_t *answer = json_loadb(buf, len, 0, NULL);
	assert_non_null(answer);
	assert_true(json_is_false(json_object_get(answer, "ok")));
	assert_string_equal(json_string_value(json_object_get(answer, "error")), "there is no kind \"\xef\xbf\xbd\n\"");
	json_decref(answer);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_ring, close_ring)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions_are_understood_or_refused_in_words),
		cmocka_unit_test(a_question_may_be_a_mebibyte),
		cmocka_unit_test(a_refusal_is_json_whatever_was_asked),
		TEST(log_first_then_what_only_the_ring_has),
		TEST(before_there_is_a_log),
		TEST(the_log_may_catch_up_meanwhile),
		TEST(a_long_answer_ends_early),
	};
	return cmocka_run_group_tests_name("query", tests, NULL, NULL);
}
