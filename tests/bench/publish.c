/* From custody to a subscriber: how long after its commit an alarm arrives, and whether a flood loses anything.
 *
 *	publish EVENTS_URL COUNT       subscribes, waits for COUNT alarms of tests/tools/synthetic, prints p50, p99, max
 *
 * The daemon's side is tests/tools/synthetic, whose bodies say when they were committed (tests/bench/publish.py runs both). */
#include <inttypes.h>
#include <nanomsg/nn.h>
#include <nanomsg/pubsub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static int64_t number_after(const char *text, const char *key)
{
	const char *at = strstr(text, key);
	return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}

int main(int argc, char **argv)
{
	char text[8193];
	int buffer = 4 << 20, patience_ms = 10000;
	int s = nn_socket(AF_SP, NN_SUB);
	size_t n = 0, want = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	int64_t *late = calloc(want + !want, sizeof *late), last = 0, missing = 0;
	if (!want || !late)
		return 2;
	nn_setsockopt(s, NN_SOL_SOCKET, NN_RCVBUF, &buffer, sizeof buffer);
	nn_setsockopt(s, NN_SOL_SOCKET, NN_RCVTIMEO, &patience_ms, sizeof patience_ms);
	nn_setsockopt(s, NN_SUB, NN_SUB_SUBSCRIBE, "alarm/", 6);
	if (nn_connect(s, argv[1]) < 0)
		return 2;
	while (n < want) {
		int len = nn_recv(s, text, sizeof text - 1, 0);
		int64_t arrived = now_ns();
		if (len < 0)
			break;
		text[len] = '\0';
		int64_t seq = number_after(text, "\"seq\":");
		missing += last ? seq - last - 1 : 0;
		last = seq;
		late[n++] = arrived - number_after(text, "\"now_ns\":");
	}
	if (n == 0)
		return 1;
	qsort(late, n, sizeof *late, by_value);
	printf("%zu alarms, %" PRId64 " missing, p50 %.3f ms, p99 %.3f ms, max %.3f ms\n", n, missing, (double)late[n / 2] / 1e6,
	       (double)late[n * 99 / 100] / 1e6, (double)late[n - 1] / 1e6);
	nn_close(s);
	return 0;
}
