/* The outbox: a ring that nobody drains, and what becomes of events that find no room in it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/clock.h"
#include "daemon/outbox.h"

static char path[64];
static struct vs_custody *ring;
static struct vs_outbox *box;
static uint64_t seq[VS_KIND_COUNT];
static unsigned made, lost_first, lost_count; /* events carry the number in which they were made */
static bool chair_is_gone;

static uint64_t *number_of(void *ctx, const char *chair, enum vs_kind kind)
{
	(void)ctx;
	assert_string_equal(chair, "chair-1");
	return chair_is_gone ? NULL : &seq[kind];
}

static unsigned made_of(const struct vs_event *e)
{
	unsigned n = 0;
	assert_int_equal(sscanf(e->body, "\"made\":%u", &n), 1);
	return n;
}

static void lost(void *ctx, const struct vs_event *e)
{
	(void)ctx;
	if (lost_count++ == 0)
		lost_first = made_of(e);
	assert_int_equal(made_of(e), lost_first + lost_count - 1); /* in their order */
}

static const struct vs_outbox_ops ops = { number_of, lost };

static int begin(void **state)
{
	(void)state;
	snprintf(path, sizeof path, "/tmp/vs-outbox-%d", (int)getpid());
	unlink(path);
	memset(seq, 0, sizeof seq);
	made = lost_first = lost_count = 0;
	chair_is_gone = false;
	if (vs_custody_open(path, VS_CUSTODY_MIN, &ring) < 0 || vs_outbox_create(ring, 0, &ops, NULL, &box) < 0)
		return -1;
	vs_outbox_set_epoch(box, 7);
	return 0;
}

static int end(void **state)
{
	(void)state;
	vs_outbox_destroy(box);
	vs_custody_close(ring);
	return unlink(path);
}

static int add(enum vs_kind kind)
{
	char body[512];
	int n = snprintf(body, sizeof body, "\"made\":%u,\"filler\":\"%*s\"", ++made, 300, "x");
	struct vs_reading reading = { .len = 0 };
	vs_reading_add(&reading, VS_SPO2, 97, 0);
	struct vs_event e = { .kind = kind, .site = "ward", .chair = "chair-1", .wall_ms = vs_wall_ms(), .body = body,
			      .body_len = (size_t)n, .device = "oximeter", .reading = &reading };
	return vs_outbox_add(box, &e, &seq[kind]);
}

static int step(unsigned events)
{
	int r = 0;
	vs_outbox_begin(box);
	for (unsigned i = 0; i < events; i++)
		r = add(VS_KIND_ALARM);
	vs_custody_commit(ring);
	return r;
}

static void fill(void)
{
	while (step(1) == 0)
		;
}

/* What the publisher is given, from the alarm numbered `from` on: each once, in order, with its own contents. */
static unsigned publish(unsigned from)
{
	struct vs_custody_record r;
	struct vs_custody_reader *publisher = vs_custody_reader(ring, VS_READER_PUBLISHER);
	unsigned n = 0;
	while (vs_custody_next(publisher, &r) == 1) {
		if (r.event.kind != VS_KIND_ALARM)
			continue;
		assert_int_equal(r.event.epoch, 7);
		assert_int_equal(r.event.seq, from + n);
		assert_int_equal(made_of(&r.event), r.event.seq + lost_count);
		n++;
	}
	vs_custody_done(publisher);
	return n;
}

static void drain(void)
{
	struct vs_custody_record r;
	struct vs_custody_reader *log = vs_custody_reader(ring, VS_READER_LOG);
	while (vs_custody_next(log, &r) == 1)
		;
	vs_custody_done(log);
}

static void with_room_nothing_waits(void **state)
{
	(void)state;
	assert_int_equal(step(3), 0);
	assert_int_equal(vs_outbox_waiting(box), 0);
	assert_false(vs_outbox_holds(box));
	assert_int_equal(publish(1), 3);
}

static void what_waits_is_not_published_and_comes_in_its_order(void **state)
{
	(void)state;
	fill();
	unsigned published = publish(1);
	assert_true(published > 50);
	for (int i = 0; i < 20; i++)
		assert_int_equal(step(1), 1);
	assert_int_equal(vs_outbox_waiting(box), 21); /* the one that did not fit, and these */
	assert_int_equal(seq[VS_KIND_ALARM], published);
	assert_int_equal(publish(published + 1), 0);
	drain();
	assert_int_equal(step(1), 0); /* the newest goes behind those that waited */
	assert_int_equal(publish(published + 1), 22);
	assert_int_equal(seq[VS_KIND_ALARM], published + 22);
	assert_int_equal(lost_count, 0);
}

static void a_step_is_kept_back_as_a_whole(void **state)
{
	(void)state;
	while (vs_custody_room(ring) >= VS_CUSTODY_MIN / 8)
		step(1);
	unsigned published = publish(1);
	size_t room = vs_custody_room(ring);
	assert_true(room > 3 * 450);       /* there would be room for its first events */
	assert_int_equal(step(5), 1);
	assert_true(vs_outbox_holds(box)); /* so the chair's state is not kept before them either */
	assert_int_equal(vs_custody_room(ring), room);
	assert_int_equal(publish(published + 1), 0);
}

static void a_moment_of_room_is_not_enough(void **state)
{
	(void)state;
	struct vs_custody_record r;
	struct vs_custody_reader *log = vs_custody_reader(ring, VS_READER_LOG);
	fill();
	while (vs_custody_room(ring) < VS_CUSTODY_MIN / 8 + 512) {
		assert_int_equal(vs_custody_next(log, &r), 1);
		vs_custody_done(log);
	}
	assert_int_equal(step(1), 1);
	while (vs_custody_room(ring) < VS_CUSTODY_MIN / 4) {
		assert_int_equal(vs_custody_next(log, &r), 1);
		vs_custody_done(log);
	}
	assert_int_equal(step(1), 0);
}

static void readings_and_signs_of_life_never_wait(void **state)
{
	(void)state;
	fill();
	vs_outbox_begin(box);
	assert_true(vs_outbox_holds(box));
	unsigned waiting = vs_outbox_waiting(box);
	assert_int_equal(add(VS_KIND_VITALS), -ENOSPC);
	assert_int_equal(add(VS_KIND_ALIVE), 0);
	vs_custody_commit(ring);
	assert_int_equal(vs_outbox_waiting(box), waiting);
	assert_int_equal(seq[VS_KIND_VITALS], 0);
	assert_int_equal(seq[VS_KIND_ALIVE], 1);
	assert_int_equal(vs_custody_given_up(ring), 1);
}

static void when_that_is_full_too_the_oldest_give_way(void **state)
{
	(void)state;
	fill();
	unsigned published = publish(1);
	for (int i = 0; i < 500; i++) /* more than fits several times over: what is left is moved in memory as well */
		assert_int_equal(step(1), 1);
	unsigned waiting = vs_outbox_waiting(box);
	assert_in_range(waiting, 60, 110); /* 32 KiB of them */
	assert_int_equal(lost_first, published + 1);
	assert_int_equal(lost_count, made - published - waiting);
	assert_int_equal(vs_custody_lost(ring), lost_count);
	drain();
	assert_true(vs_outbox_flush(box));
	assert_int_equal(publish(published + 1), waiting); /* numbers are contiguous; the newest was made last */
	assert_int_equal(seq[VS_KIND_ALARM] + lost_count, made);
}

static void a_chair_that_is_gone_takes_nothing_with_it_unsaid(void **state)
{
	(void)state;
	fill();
	publish(1);
	lost_first = made;
	chair_is_gone = true;
	drain();
	assert_true(vs_outbox_flush(box));
	assert_int_equal(lost_count, 1);
	assert_int_equal(vs_custody_lost(ring), 1);
}

static void an_event_keeps_the_time_of_its_step(void **state)
{
	(void)state;
	struct vs_custody_record r;
	uint64_t before_ms = vs_boottime_ms();
	fill();
	uint64_t then_ms = vs_boottime_ms();
	drain();
	usleep(30000);
	assert_true(vs_outbox_flush(box));
	assert_int_equal(vs_custody_next(vs_custody_reader(ring, VS_READER_LOG), &r), 1);
	assert_in_range(r.boot_ms, before_ms, then_ms);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(with_room_nothing_waits),
		TEST(what_waits_is_not_published_and_comes_in_its_order),
		TEST(a_step_is_kept_back_as_a_whole),
		TEST(a_moment_of_room_is_not_enough),
		TEST(readings_and_signs_of_life_never_wait),
		TEST(when_that_is_full_too_the_oldest_give_way),
		TEST(a_chair_that_is_gone_takes_nothing_with_it_unsaid),
		TEST(an_event_keeps_the_time_of_its_step),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
