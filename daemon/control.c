#include "daemon/control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "daemon/clock.h"
#include "daemon/say.h"
#include "daemon/socket_file.h"

struct client {
	uv_pipe_t pipe;
	struct vs_control *control;
	struct client *next;
	struct vs_peer peer;
	uint64_t active_ms;
	unsigned writing;
	bool closing, ended; /* ended: he sends no more; closed when his answers are written */
	size_t len;
	char buf[VS_CONTROL_REQUEST_MAX];
};

struct vs_control {
	uv_pipe_t listener;
	uv_timer_t idle;
	char path[sizeof((struct sockaddr_un *)0)->sun_path];
	vs_control_fn *fn;
	void *ctx;
	struct client *clients;
	unsigned n_clients, handles;
};

struct answer {
	uv_write_t write;
	struct client *client;
	char *text;
};

static void client_closed(uv_handle_t *h)
{
	free(h->data);
}

static void client_close(struct client *c)
{
	if (c->closing)
		return;
	c->closing = true;
	for (struct client **p = &c->control->clients; *p; p = &(*p)->next) {
		if (*p != c)
			continue;
		*p = c->next;
		c->control->n_clients--;
		break;
	}
	uv_close((uv_handle_t *)&c->pipe, client_closed);
}

static void answer_written(uv_write_t *w, int status)
{
	struct answer *a = w->data;
	struct client *c = a->client;
	free(a->text);
	free(a);
	c->writing--;
	if (status < 0 || (c->ended && c->writing == 0))
		client_close(c);
}

static bool answer_send(struct client *c, char *text)
{
	struct answer *a = text ? malloc(sizeof *a) : NULL;
	if (!a) {
		free(text);
		return false;
	}
	*a = (struct answer){ .client = c, .text = text };
	a->write.data = a;
	uv_buf_t bufs[2] = { uv_buf_init(text, (unsigned)strlen(text)), uv_buf_init((char *)"\n", 1) };
	c->writing++;
	if (uv_write(&a->write, (uv_stream_t *)&c->pipe, bufs, 2, answer_written) == 0)
		return true;
	c->writing--;
	free(text);
	free(a);
	return false;
}

/* All whole lines in the buffer.  False: the client is to be dropped. */
static bool answer_lines(struct client *c)
{
	char *start = c->buf, *end;
	while ((end = memchr(start, '\n', c->len - (size_t)(start - c->buf)))) {
		/* Someone who asks and asks without reading: his answers may not pile up. */
		if (uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) > (16u << 20))
			return false;
		*end = '\0';
		if (!answer_send(c, c->control->fn(c->control->ctx, &c->peer, start, (size_t)(end - start))))
			return false;
		start = end + 1;
	}
	c->len -= (size_t)(start - c->buf);
	memmove(c->buf, start, c->len);
	return c->len < sizeof c->buf;
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct client *c = h->data;
	(void)suggested;
	*buf = uv_buf_init(c->buf + c->len, (unsigned)(sizeof c->buf - c->len));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct client *c = s->data;
	(void)buf;
	if (n == 0)
		return;
	if (n < 0) {
		c->ended = true;
		uv_read_stop(s);
		if (c->writing == 0)
			client_close(c);
		return;
	}
	c->len += (size_t)n;
	c->active_ms = vs_boottime_ms();
	if (answer_lines(c))
		return;
	if (c->len == sizeof c->buf)
		answer_send(c, strdup("{\"ok\":false,\"error\":\"a request is one line of at most 64 KiB\"}"));
	c->ended = true;
	uv_read_stop(s);
	if (c->writing == 0)
		client_close(c);
}

/* Who has waited longest without a word goes, and is told so; whoever comes with a request gets in. */
static void make_room(struct vs_control *control, const struct client *newest)
{
	static char words[] = "{\"ok\":false,\"error\":\"too many clients wait for nothing; send a whole request at once\"}\n";
	struct client *oldest = NULL;
	for (struct client *c = control->clients; c; c = c->next)
		if (c != newest && !c->writing && (!oldest || c->active_ms <= oldest->active_ms))
			oldest = c;
	if (!oldest)
		return;
	uv_buf_t buf = uv_buf_init(words, sizeof words - 1);
	uv_try_write((uv_stream_t *)&oldest->pipe, &buf, 1);
	client_close(oldest);
}

static void on_connection(uv_stream_t *s, int status)
{
	struct vs_control *control = s->data;
	if (status < 0)
		return;
	struct client *c = calloc(1, sizeof *c);
	if (!c)
		return;
	uv_pipe_init(s->loop, &c->pipe, 0);
	c->pipe.data = c;
	c->control = control;
	c->active_ms = vs_boottime_ms();
	c->next = control->clients;
	control->clients = c;
	control->n_clients++;
	uv_os_fd_t fd;
	struct ucred cred;
	socklen_t len = sizeof cred;
	if (control->n_clients > VS_CONTROL_CLIENTS_MAX)
		make_room(control, c);
	if (uv_accept(s, (uv_stream_t *)&c->pipe) < 0 || control->n_clients > VS_CONTROL_CLIENTS_MAX ||
	    uv_fileno((uv_handle_t *)&c->pipe, &fd) < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
	    uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read) < 0) {
		client_close(c);
		return;
	}
	c->peer = (struct vs_peer){ cred.uid, cred.gid, cred.pid };
}

static void on_idle(uv_timer_t *t)
{
	struct vs_control *control = t->data;
	uint64_t now = vs_boottime_ms();
	for (struct client *c = control->clients, *next; c; c = next) {
		next = c->next;
		if (now - c->active_ms > VS_CONTROL_IDLE_MS)
			client_close(c);
	}
}

static void handle_closed(uv_handle_t *h)
{
	struct vs_control *c = h->data;
	if (--c->handles == 0)
		free(c);
}

void vs_control_close(struct vs_control *c)
{
	if (!c)
		return;
	while (c->clients)
		client_close(c->clients);
	uv_close((uv_handle_t *)&c->listener, handle_closed); /* libuv removes the socket file */
	uv_close((uv_handle_t *)&c->idle, handle_closed);
}

int vs_control_open(uv_loop_t *loop, const char *path, vs_control_fn *fn, void *ctx, struct vs_control **ret)
{
	int r = vs_socket_file_free(path);
	if (r < 0) {
		vs_say(VS_SAY_ERROR, "control socket %s: %s", path, vs_socket_file_words(r));
		return r;
	}
	struct vs_control *c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->fn = fn;
	c->ctx = ctx;
	strcpy(c->path, path);
	uv_pipe_init(loop, &c->listener, 0);
	uv_timer_init(loop, &c->idle);
	c->listener.data = c->idle.data = c;
	c->handles = 2;
	r = uv_pipe_bind(&c->listener, path);
	if (r == 0 && chmod(path, 0660) < 0)
		r = -errno;
	if (r == 0)
		r = uv_listen((uv_stream_t *)&c->listener, 64, on_connection);
	if (r < 0) {
		vs_say(VS_SAY_ERROR, "control socket %s: %s", path, vs_socket_file_words(r));
		vs_control_close(c);
		return r;
	}
	uv_timer_start(&c->idle, on_idle, 1000, 1000);
	*ret = c;
	return 0;
}
