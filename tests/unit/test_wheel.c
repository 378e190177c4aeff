/* The timer wheel, beside the clock of the loop it turns on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/wheel.h"

#define TIMERS 400

static struct vs_wheel *wheel;
static uv_loop_t *loop;
static struct one {
	struct vs_wheel_timer timer;
	uint64_t due_ms, fired_ms;
	unsigned fired;
	struct one *stops;
} one[TIMERS];

static void on_fire(struct vs_wheel_timer *t)
{
	struct one *o = (struct one *)t;
	o->fired++;
	o->fired_ms = uv_now(loop);
	if (o->stops)
		vs_wheel_stop(wheel, &o->stops->timer);
}

static void start(struct one *o, uint64_t delay_ms)
{
	o->due_ms = uv_now(loop) + delay_ms;
	vs_wheel_start(wheel, &o->timer, delay_ms, on_fire);
}

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < TIMERS; i++)
		one[i] = (struct one){ .fired = 0 };
	loop = uv_default_loop();
	uv_update_time(loop);
	wheel = vs_wheel_create(loop);
	return wheel ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	vs_wheel_close(wheel);
	uv_run(loop, UV_RUN_DEFAULT);
	return uv_loop_close(loop);
}

static void test_each_fires_once_and_never_early(void **state)
{
	(void)state;
	for (unsigned i = 0; i < TIMERS; i++)
		start(&one[i], i * 7919 % 2600); /* some lie a turn ahead of others in their slot */
	uv_run(loop, UV_RUN_DEFAULT); /* ends when nothing is to come */
	for (unsigned i = 0; i < TIMERS; i++) {
		assert_int_equal(one[i].fired, 1);
		assert_true(one[i].fired_ms >= one[i].due_ms);
		assert_true(one[i].fired_ms <= one[i].due_ms + 500);
	}
}

static void test_stopped_and_started_anew(void **state)
{
	(void)state;
	start(&one[0], 5);
	start(&one[1], 5);
	start(&one[2], 20);
	start(&one[3], 40);
	one[2].stops = &one[3];
	vs_wheel_stop(wheel, &one[0].timer);
	vs_wheel_stop(wheel, &one[0].timer); /* twice is nothing */
	start(&one[1], 60);
	uv_run(loop, UV_RUN_DEFAULT);
	assert_int_equal(one[0].fired, 0);
	assert_int_equal(one[1].fired, 1);
	assert_true(one[1].fired_ms >= one[1].due_ms);
	assert_int_equal(one[2].fired, 1);
	assert_int_equal(one[3].fired, 0);
}

static void test_one_of_the_same_instant_stops_another(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		start(&one[i], 10);
	one[0].stops = &one[2];
	uv_run(loop, UV_RUN_DEFAULT);
	assert_int_equal(one[0].fired + one[1].fired + one[3].fired, 3);
	assert_int_equal(one[2].fired, 0);
}

static unsigned again;

static void on_again(struct vs_wheel_timer *t)
{
	if (++again < 5)
		vs_wheel_start(wheel, t, 0, on_again);
}

static void test_a_timer_of_no_time_lets_the_loop_go_on(void **state)
{
	(void)state;
	vs_wheel_start(wheel, &one[0].timer, 0, on_again);
	uint64_t begin = uv_now(loop);
	uv_run(loop, UV_RUN_DEFAULT);
	assert_int_equal(again, 5);
	assert_true(uv_now(loop) >= begin + 4);
}

static void test_a_loop_that_was_held_up(void **state)
{
	(void)state;
	start(&one[0], 1);
	start(&one[1], 3);
	start(&one[2], 2500);
	uv_sleep(2200); /* more than a turn */
	uv_run(loop, UV_RUN_DEFAULT);
	assert_int_equal(one[0].fired + one[1].fired + one[2].fired, 3);
	assert_true(one[2].fired_ms >= one[2].due_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_fires_once_and_never_early, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stopped_and_started_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_of_the_same_instant_stops_another, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_timer_of_no_time_lets_the_loop_go_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_loop_that_was_held_up, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
