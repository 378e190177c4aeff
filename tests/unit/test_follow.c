/* Following numbered messages: nothing twice, nothing missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "clients/ctl/follow.h"

static void each_message_is_new_seen_or_after_a_gap(void **state)
{
	(void)state;
	struct vs_follow f = { NULL, 0 };
	struct vs_stream *s = vs_follow_stream(&f, "alarm", "chair-1");
	static const struct {
		uint64_t epoch, seq;
		enum vs_offer want;
		const char *why;
	} story[] = {
		{ 7, 12, VS_OFFER_NEXT, "the first one ever: from here on" },
		{ 7, 13, VS_OFFER_NEXT, "the next" },
		{ 7, 13, VS_OFFER_SEEN, "again, after a death of the publisher" },
		{ 7, 9, VS_OFFER_SEEN, "older" },
		{ 7, 15, VS_OFFER_GAP, "14 is missing" },
		{ 7, 16, VS_OFFER_NEXT, "15 was shown" },
		{ 8, 1, VS_OFFER_GAP, "a new epoch: were there more of the old one?" },
		{ 7, 17, VS_OFFER_SEEN, "the old epoch comes too late" },
		{ 8, 2, VS_OFFER_NEXT, "the new epoch goes on" },
	};
	for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
		enum vs_offer got = vs_stream_offer(s, story[i].epoch, story[i].seq);
		if (got != story[i].want)
			fail_msg("%s: %d instead of %d", story[i].why, got, story[i].want);
		vs_stream_advance(s, story[i].epoch, story[i].seq);
	}
	assert_true(s->epoch == 8 && s->seq == 2);
	assert_ptr_equal(vs_follow_stream(&f, "alarm", "chair-1"), s);
	struct vs_stream *other = vs_follow_stream(&f, "alarm", "chair-2");
	assert_ptr_not_equal(other, s);
	assert_false(other->known);
	assert_null(vs_follow_stream(&f, "a-kind-that-is-far-too-long", "chair-1"));
	vs_follow_finish(&f);
}

static void the_query_url_stands_beside(void **state)
{
	(void)state;
	static const struct {
		const char *events, *query;
	} story[] = {
		{ "ipc:///run/vitalsd/events.ipc", "ipc:///run/vitalsd/query.ipc" },
		{ "ipc:///tmp/events/a/events.ipc", "ipc:///tmp/events/a/query.ipc" },
		{ "tcp://127.0.0.1:7700", "tcp://127.0.0.1:7701" },
		{ "tcp://[::1]:7700", "tcp://[::1]:7701" },
		{ "ws://station:80/x", "ws://station:81/x" },
		{ "tcp://events.clinic:7700", "tcp://events.clinic:7701" },
		{ "tcp://station", NULL },
		{ "tcp://station:65535", NULL },
		{ "ipc:///run/vitalsd/pub.ipc", NULL },
	};
	for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
		char url[64] = "";
		bool found = vs_query_url(story[i].events, url, sizeof url);
		if (found != (story[i].query != NULL) || (found && strcmp(url, story[i].query) != 0))
			fail_msg("%s: %s", story[i].events, url);
	}
	char small[20];
	assert_false(vs_query_url("ipc:///run/vitalsd/events.ipc", small, sizeof small));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_message_is_new_seen_or_after_a_gap),
		cmocka_unit_test(the_query_url_stands_beside),
	};
	return cmocka_run_group_tests_name("follow", tests, NULL, NULL);
}
