/* The daemon's side: starts the publisher process, hears it, starts it again. */
#include "daemon/publisher.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/publisher_wire.h"
#include "daemon/say.h"

#define END_MS 1000         /* for the last messages */
#define YOUNG_MS 1000       /* one that dies sooner waits a little before the next: */
#define AGAIN_MS 20
#define NO_PROCESS_MS 500   /* the machine cannot make a process now */
#define HUNG_MS 3000        /* with `alive` to send every second */
#define QUIET_MS 60000      /* between two lines about deaths */

struct vs_publisher {
	uv_loop_t *loop;
	struct vs_publisher_options o;
	char **argv; /* of the process, all strings ours */
	uv_process_t process;
	uv_pipe_t pipe;
	uv_timer_t timer; /* the next start; while closing: patience is over */
	unsigned open;    /* handles of the process: it and its pipe */
	uint64_t started_ms, said_ms, sent_ms;
	unsigned restarts, unsaid;
	bool running, bound, closing, said_spawn;
	uint8_t inbox[1024];
	size_t inbox_len;
};

static void start(struct vs_publisher *p);

/* ---- What it says ---- */

struct answer {
	uv_write_t write;
	struct vs_wire head;
	char *text;
};

static void on_written(uv_write_t *w, int status)
{
	struct answer *a = (struct answer *)w;
	(void)status; /* the process is gone: whoever asked asks again */
	free(a->text);
	free(a);
}

static void answer_snapshot(struct vs_publisher *p, uint64_t id, const char *chair)
{
	struct answer *a = calloc(1, sizeof *a);
	if (!a)
		return;
	a->text = p->o.snapshot(p->o.ctx, *chair ? chair : NULL);
	size_t len = a->text ? strlen(a->text) : 0;
	a->head = (struct vs_wire){ .type = VS_WIRE_SNAPSHOT, .len = (uint32_t)len, .id = id };
	uv_buf_t part[2] = { uv_buf_init((char *)&a->head, sizeof a->head), uv_buf_init(a->text, (unsigned)len) };
	if (!a->text || uv_write(&a->write, (uv_stream_t *)&p->pipe, part, 2, on_written) < 0)
		on_written(&a->write, UV_ECANCELED);
}

static void on_frame(struct vs_publisher *p, const struct vs_wire *head, const char *text)
{
	switch (head->type) {
	case VS_WIRE_BOUND:
		p->bound = true;
		p->sent_ms = vs_boottime_ms();
		if (p->o.bound)
			p->o.bound(p->o.ctx);
		break;
	case VS_WIRE_FAILED:
		vs_say(VS_SAY_ERROR, "publisher: %s. It goes on trying; nobody outside is told of alarms until then", text);
		if (p->o.failed)
			p->o.failed(p->o.ctx, text);
		break;
	case VS_WIRE_SENT:
		p->sent_ms = vs_boottime_ms();
		if (p->o.sent)
			p->o.sent(p->o.ctx);
		break;
	case VS_WIRE_SNAPSHOT:
		answer_snapshot(p, head->id, text);
		break;
	}
}

/* All whole frames of the inbox.  False: this is not what our publisher says. */
static bool take_frames(struct vs_publisher *p)
{
	struct vs_wire head;
	while (p->inbox_len >= sizeof head) {
		char text[sizeof p->inbox];
		memcpy(&head, p->inbox, sizeof head);
		if (head.len >= sizeof p->inbox - sizeof head)
			return false;
		size_t len = sizeof head + head.len;
		if (p->inbox_len < len)
			break;
		memcpy(text, p->inbox + sizeof head, head.len);
		text[head.len] = '\0';
		memmove(p->inbox, p->inbox + len, p->inbox_len - len);
		p->inbox_len -= len;
		on_frame(p, &head, text);
	}
	return true;
}

static void on_room(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct vs_publisher *p = h->data;
	(void)suggested;
	*buf = uv_buf_init((char *)p->inbox + p->inbox_len, (unsigned)(sizeof p->inbox - p->inbox_len));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct vs_publisher *p = s->data;
	(void)buf;
	if (n > 0)
		p->inbox_len += (size_t)n;
	if (n < 0 || !take_frames(p)) {
		uv_read_stop(s);
		if (p->running)
			uv_process_kill(&p->process, SIGKILL); /* it has closed its end, or lost its mind: begin anew */
	}
}

/* ---- Its death ---- */

static void release(struct vs_publisher *p)
{
	for (char **a = p->argv; a && *a; a++)
		free(*a);
	free(p->argv);
	free(p);
}

static void on_timer_closed(uv_handle_t *h)
{
	release(h->data);
}

static void on_again(uv_timer_t *t)
{
	start(t->data);
}

/* Both of the process's handles are closed. */
static void gone(struct vs_publisher *p)
{
	if (p->closing) {
		uv_close((uv_handle_t *)&p->timer, on_timer_closed);
		return;
	}
	uint64_t lived_ms = vs_boottime_ms() - p->started_ms;
	uint64_t wait_ms = p->said_spawn ? NO_PROCESS_MS : lived_ms < YOUNG_MS ? AGAIN_MS : 0;
	p->restarts++;
	uv_timer_start(&p->timer, on_again, wait_ms, 0);
}

static void on_closed(uv_handle_t *h)
{
	struct vs_publisher *p = h->data;
	if (--p->open == 0)
		gone(p);
}

static void say_death(struct vs_publisher *p, int64_t status, int signal_number)
{
	uint64_t now = vs_boottime_ms();
	static const char sender[] = " Some program sends to an events URL: only subscribers belong there";
	char how[64], more[64] = "";
	if (p->said_ms && now - p->said_ms < QUIET_MS) {
		p->unsaid++;
		return;
	}
	if (signal_number)
		snprintf(how, sizeof how, "signal %d", signal_number);
	else
		snprintf(how, sizeof how, "status %d", (int)status);
	if (p->unsaid)
		snprintf(more, sizeof more, " (and %u times since this was last said)", p->unsaid);
	vs_say(VS_SAY_WARNING, "the publisher process ended (%s)%s: started again; alarms and the record went on.%s", how,
	       more, signal_number == SIGABRT ? sender : "");
	p->said_ms = now;
	p->unsaid = 0;
}

static void on_death(uv_process_t *process, int64_t status, int signal_number)
{
	struct vs_publisher *p = process->data;
	p->running = p->bound = false;
	if (!p->closing)
		say_death(p, status, signal_number);
	uv_close((uv_handle_t *)&p->process, on_closed);
	uv_close((uv_handle_t *)&p->pipe, on_closed);
}

/* ---- Its start ---- */

static int spawn(struct vs_publisher *p, int ring_fd)
{
	uv_stdio_container_t fds[] = {
		{ .flags = UV_IGNORE },
		{ .flags = UV_IGNORE },
		{ .flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO },
		[VS_WIRE_FD_RING] = { .flags = UV_INHERIT_FD, .data.fd = ring_fd },
		[VS_WIRE_FD_WAKE] = { .flags = UV_INHERIT_FD,
				      .data.fd = vs_custody_wake_fd(p->o.ring, VS_READER_PUBLISHER) },
		[VS_WIRE_FD_DAEMON] = { .flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE,
					.data.stream = (uv_stream_t *)&p->pipe },
	};
	uv_process_options_t o = { .file = p->argv[0], .args = p->argv, .exit_cb = on_death, .stdio = fds,
				   .stdio_count = sizeof fds / sizeof *fds };
	uv_pipe_init(p->loop, &p->pipe, 0);
	p->pipe.data = p->process.data = p;
	p->open = 2;
	p->inbox_len = 0;
	p->started_ms = vs_boottime_ms();
	return uv_spawn(p->loop, &p->process, &o);
}

static void say_no_process(struct vs_publisher *p, int r)
{
	if (!p->said_spawn)
		vs_say(VS_SAY_ERROR, "the publisher cannot be started: %s. Trying again; nobody outside is told of alarms until "
		       "then", uv_strerror(r));
	p->said_spawn = true;
}

static void start(struct vs_publisher *p)
{
	int ring_fd = vs_custody_dup(p->o.ring);
	if (ring_fd < 0) {
		say_no_process(p, ring_fd);
		uv_timer_start(&p->timer, on_again, NO_PROCESS_MS, 0);
		return;
	}
	int r = spawn(p, ring_fd);
	close(ring_fd);
	if (r < 0) { /* libuv has initialised the process's handle all the same */
		say_no_process(p, r);
		uv_close((uv_handle_t *)&p->process, on_closed);
		uv_close((uv_handle_t *)&p->pipe, on_closed);
		return;
	}
	p->running = true;
	p->said_spawn = false;
	uv_read_start((uv_stream_t *)&p->pipe, on_room, on_read);
}

static char *entry(const char *kind, const char *url)
{
	char *text = NULL;
	return asprintf(&text, "%s=%s", kind, url) < 0 ? NULL : text;
}

/* /proc/self/exe, so that it is the same program also after an upgrade has replaced the file. */
static bool make_argv(struct vs_publisher *p, const struct vs_publisher_options *o)
{
	unsigned n = 0;
	char pid[16];
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	p->argv = calloc(5 + o->n_events + o->n_queries, sizeof *p->argv);
	if (!p->argv)
		return false;
	const char *const first[] = { "/proc/self/exe", VS_PUBLISHER_ARG, pid, o->log_path };
	bool all = true;
	for (unsigned i = 0; i < sizeof first / sizeof *first; i++)
		all = all && (p->argv[n++] = strdup(first[i]));
	for (unsigned i = 0; i < o->n_events; i++)
		all = all && (p->argv[n++] = entry("event", o->events[i]));
	for (unsigned i = 0; i < o->n_queries; i++)
		all = all && (p->argv[n++] = entry("query", o->queries[i]));
	return all;
}

int vs_publisher_start(uv_loop_t *loop, const struct vs_publisher_options *o, struct vs_publisher **ret)
{
	struct vs_publisher *p = calloc(1, sizeof *p);
	if (!p || !make_argv(p, o)) {
		if (p)
			release(p);
		return -ENOMEM;
	}
	p->loop = loop;
	p->o = *o;
	int r = uv_timer_init(loop, &p->timer);
	if (r < 0) {
		release(p);
		return r;
	}
	p->timer.data = p;
	start(p);
	*ret = p;
	return 0;
}

bool vs_publisher_bound(const struct vs_publisher *p)
{
	return p->bound;
}

unsigned vs_publisher_restarts(const struct vs_publisher *p)
{
	return p->restarts;
}

/* ---- The end ---- */

static void on_shut(uv_shutdown_t *s, int status)
{
	(void)status;
	free(s);
}

static void on_impatient(uv_timer_t *t)
{
	struct vs_publisher *p = t->data;
	if (p->running)
		uv_process_kill(&p->process, SIGKILL);
}

void vs_publisher_close(struct vs_publisher *p)
{
	if (!p)
		return;
	p->closing = true;
	if (p->open == 0 || uv_is_active((uv_handle_t *)&p->timer)) { /* between two lives */
		uv_close((uv_handle_t *)&p->timer, on_timer_closed);
		return;
	}
	uv_shutdown_t *s = calloc(1, sizeof *s);
	if (!s || uv_shutdown(s, (uv_stream_t *)&p->pipe, on_shut) < 0)
		free(s);
	uv_timer_start(&p->timer, on_impatient, END_MS, 0);
}

void vs_publisher_look(struct vs_publisher *p)
{
	if (!p || !p->bound || p->closing || vs_boottime_ms() - p->sent_ms < HUNG_MS)
		return;
	vs_say(VS_SAY_ERROR, "the publisher has sent nothing for %d s: it is ended and started again", HUNG_MS / 1000);
	p->sent_ms = vs_boottime_ms();
	uv_process_kill(&p->process, SIGKILL);
}
