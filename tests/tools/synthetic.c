/* A daemon without devices: custody, publisher and events made up on command, for the tests and benchmarks of what comes
 * after the loop.
 *
 *	synthetic RING LOG EVENTS_URL QUERY_URL [EVENTS_URL ...]
 *
 * LOG "-": there is no log, and what is in the ring stays there until `logged`.  SYNTHETIC_ROTATE=BYTES: of several files.
 * Lines on stdin, each answered by a line on stdout:
 *	KIND CHAIR N   commits N events, a step each              -> "KIND CHAIR SEQ", the last number
 *	logged         the log takes all that is in the ring      -> "logged N"
 *	restarts       how often the publisher was started again  -> "restarts N"
 *	pass SECONDS   both clocks are ahead by so much more     -> "passed"
 *	waiting        events that wait for room in the ring      -> "waiting N"
 *	quit
 * chair-1, and each chair that was named, sends `alive` once a second.  "bound epoch E" is said when the publisher is, each time. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/clock.h"
#include "daemon/outbox.h"
#include "daemon/publisher.h"
#include "daemon/store.h"

#define SITE "synthetic"
#define RING_BYTES (8u << 20)
#define CHAIRS_MAX 8

struct chair {
	char id[33];
	uint64_t seq[VS_KIND_COUNT];
};

static struct vs_custody *ring;
static struct vs_outbox *outbox;
static struct vs_publisher *publisher;
static struct vs_store *store;
static uint64_t epoch = 1;
static struct chair chairs[CHAIRS_MAX];
static unsigned n_chairs;
static uv_timer_t second;
static uv_pipe_t input;
static char line[256];
static size_t line_len;

/* Minutes that the store would wait for pass at a word; timers stay as they are. */
static _Atomic long ahead_s;

int clock_gettime(clockid_t id, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, id, t);
	if (id == CLOCK_BOOTTIME || id == CLOCK_REALTIME)
		t->tv_sec += ahead_s;
	return r;
}

static struct chair *chair_of(const char *id)
{
	for (unsigned i = 0; i < n_chairs; i++)
		if (strcmp(chairs[i].id, id) == 0)
			return &chairs[i];
	if (n_chairs == CHAIRS_MAX)
		exit(3);
	snprintf(chairs[n_chairs].id, sizeof chairs->id, "%.32s", id);
	return &chairs[n_chairs++];
}

static uint64_t *number_of(void *ctx, const char *id, enum vs_kind kind)
{
	(void)ctx;
	return &chair_of(id)->seq[kind];
}

static void lost(void *ctx, const struct vs_event *e)
{
	(void)ctx;
	fprintf(stderr, "lost: %s %s\n", e->chair, vs_kind_name(e->kind));
}

static const struct vs_outbox_ops outbox_ops = { .number = number_of, .lost = lost };

static void put_last(struct vs_json *j, const struct chair *c)
{
	vs_json_key(j, "last"), vs_json_open(j, '{');
	for (unsigned k = 0; k < VS_KIND_ALIVE; k++)
		vs_json_key(j, vs_kind_name(k)), vs_json_uint(j, c->seq[k]);
	vs_json_close(j, '}');
}

/* An alarm that stands, so that a view shows it; now_ns says when it was committed. */
static void put_body(struct vs_json *j, const struct chair *c, enum vs_kind kind)
{
	static const char counts[] = "{\"high\":1,\"medium\":0,\"low\":0}";
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	vs_json_key(j, "now_ns"), vs_json_int(j, now.tv_sec * INT64_C(1000000000) + now.tv_nsec);
	if (kind == VS_KIND_ALIVE) {
		put_last(j, c);
		vs_json_key(j, "alarms"), vs_json_raw(j, counts, sizeof counts - 1);
		vs_json_key(j, "phase"), vs_json_string(j, "none");
	} else if (kind == VS_KIND_ALARM) {
		vs_json_key(j, "alarm"), vs_json_string(j, "a-000001");
		vs_json_key(j, "priority"), vs_json_string(j, "high");
		vs_json_key(j, "change"), vs_json_string(j, "raised");
		vs_json_key(j, "state"), vs_json_string(j, "active");
		vs_json_key(j, "text"), vs_json_string(j, "*** Systolic pressure 184, limit 180");
	} else if (kind == VS_KIND_DEVICE) {
		vs_json_key(j, "device"), vs_json_string(j, "bp");
		vs_json_key(j, "status"), vs_json_string(j, "online");
	}
}

static void commit(struct chair *c, enum vs_kind kind)
{
	char body[1024];
	struct vs_reading reading = { .len = 0 };
	struct vs_json j = vs_json_into(body, sizeof body);
	struct vs_event e = { .kind = kind, .site = SITE, .chair = c->id, .wall_ms = vs_wall_ms(), .device = "oximeter", .reading = &reading };
	vs_reading_add(&reading, VS_SPO2, 97, 0);
	vs_reading_add(&reading, VS_PR, 60 + (double)((c->seq[kind] + 1) % 40), 0);
	put_body(&j, c, kind);
	e.body = body;
	e.body_len = j.len;
	vs_outbox_begin(outbox);
	vs_outbox_add(outbox, &e, &c->seq[kind]);
	vs_custody_commit(ring);
}

static char *snapshot(void *ctx, const char *id)
{
	(void)ctx;
	size_t cap = 65536;
	char *text = malloc(cap);
	bool found = !id;
	struct vs_json j = vs_json_into(text, cap);
	vs_json_open(&j, '{');
	vs_json_key(&j, "ok"), vs_json_bool(&j, true);
	vs_json_key(&j, "site"), vs_json_string(&j, SITE);
	vs_json_key(&j, "epoch"), vs_json_uint(&j, epoch);
	vs_json_key(&j, "chairs"), vs_json_open(&j, '[');
	for (unsigned i = 0; i < n_chairs; i++) {
		if (id && strcmp(id, chairs[i].id) != 0)
			continue;
		found = true;
		vs_json_open(&j, '{');
		vs_json_key(&j, "chair"), vs_json_string(&j, chairs[i].id);
		vs_json_key(&j, "phase"), vs_json_string(&j, "none");
		vs_json_key(&j, "alarms"), vs_json_open(&j, '['), vs_json_close(&j, ']');
		put_last(&j, &chairs[i]);
		vs_json_close(&j, '}');
	}
	vs_json_close(&j, ']');
	vs_json_close(&j, '}');
	if (!found)
		strcpy(text, "{\"ok\":false,\"error\":\"there is no such chair\"}");
	return text;
}

static unsigned log_takes_all(void)
{
	struct vs_custody_reader *log = vs_custody_reader(ring, VS_READER_LOG);
	struct vs_custody_record record;
	unsigned n = 0;
	while (vs_custody_next(log, &record) == 1)
		n++;
	vs_custody_done(log);
	return n;
}

static void quit(void)
{
	uv_close((uv_handle_t *)&second, NULL);
	uv_close((uv_handle_t *)&input, NULL);
	vs_store_close(store);
	vs_publisher_close(publisher);
}

static void obey(char *text)
{
	char word[32] = "", id[33] = "";
	unsigned n = 0;
	int words = sscanf(text, "%31s %32s %u", word, id, &n);
	if (strcmp(word, "quit") == 0) {
		quit();
	} else if (strcmp(word, "logged") == 0) {
		printf("logged %u\n", log_takes_all());
	} else if (strcmp(word, "pass") == 0) {
		ahead_s += atol(id);
		printf("passed\n");
	} else if (strcmp(word, "waiting") == 0) {
		vs_outbox_flush(outbox);
		printf("waiting %u\n", vs_outbox_waiting(outbox));
	} else if (strcmp(word, "restarts") == 0) {
		printf("restarts %u\n", vs_publisher_restarts(publisher));
	} else if (words == 3 && vs_kind_by_name(word) != VS_KIND_COUNT) {
		struct chair *c = chair_of(id);
		while (n--)
			commit(c, vs_kind_by_name(word));
		printf("%s %s %llu\n", word, id, (unsigned long long)c->seq[vs_kind_by_name(word)]);
	} else {
		printf("what?\n");
	}
	fflush(stdout);
}

static void on_room(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	(void)h, (void)suggested;
	*buf = uv_buf_init(line + line_len, (unsigned)(sizeof line - line_len));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	(void)s, (void)buf;
	if (n < 0) {
		quit();
		return;
	}
	line_len += (size_t)n;
	char *end;
	while ((end = memchr(line, '\n', line_len))) {
		*end++ = '\0';
		obey(line);
		line_len -= (size_t)(end - line);
		memmove(line, end, line_len);
	}
}

static void on_second(uv_timer_t *t)
{
	(void)t;
	for (unsigned i = 0; i < n_chairs; i++)
		commit(&chairs[i], VS_KIND_ALIVE);
}

static void on_bound(void *ctx)
{
	(void)ctx;
	printf("bound epoch %llu\n", (unsigned long long)epoch);
	fflush(stdout);
}

static void on_failed(void *ctx, const char *why)
{
	(void)ctx;
	printf("failed %s\n", why);
	fflush(stdout);
}

static int begin_epoch(const char *log)
{
	if (strcmp(log, "-") == 0) {
		epoch = vs_custody_epoch(ring) + 1;
		vs_custody_set_epoch(ring, epoch);
		return 0;
	}
	const char *rotate = getenv("SYNTHETIC_ROTATE");
	struct vs_store_options o = { .path = log, .site = SITE, .config_hash = "none", .version = VS_VERSION, .ring = ring,
				      .rotate_bytes = rotate ? strtoull(rotate, NULL, 10) : 0 };
	int r = vs_store_open(&o, &store);
	if (r == 0)
		r = vs_store_start(store);
	if (r == 0)
		epoch = vs_store_epoch(store);
	return r;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], VS_PUBLISHER_ARG) == 0)
		return vs_publisher_main(argc, argv);
	if (argc < 5 || vs_custody_open(argv[1], RING_BYTES, &ring) < 0 ||
	    vs_outbox_create(ring, VS_OUTBOX_BYTES, &outbox_ops, NULL, &outbox) < 0)
		return 2;
	char *events[16] = { argv[3] };
	unsigned n_events = 1;
	for (int i = 5; i < argc && n_events < 16; i++)
		events[n_events++] = argv[i];
	struct vs_publisher_options o = { .ring = ring, .site = SITE, .log_path = argv[2], .n_events = n_events,
					  .events = events, .n_queries = 1, .queries = &argv[4], .snapshot = snapshot,
					  .bound = on_bound, .failed = on_failed };
	uv_loop_t *loop = uv_default_loop();
	chair_of("chair-1");
	if (vs_publisher_start(loop, &o, &publisher) < 0 || begin_epoch(argv[2]) < 0)
		return 2;
	vs_outbox_set_epoch(outbox, epoch);
	uv_timer_init(loop, &second);
	uv_timer_start(&second, on_second, 1000, 1000);
	uv_pipe_init(loop, &input, 0);
	uv_pipe_open(&input, STDIN_FILENO);
	uv_read_start((uv_stream_t *)&input, on_room, on_read);
	uv_run(loop, UV_RUN_DEFAULT);
	uv_loop_close(loop);
	vs_outbox_destroy(outbox);
	vs_custody_close(ring);
	return 0;
}
