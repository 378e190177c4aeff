/* Links over the network.  TCP: Modbus TCP, gateways, and serial device servers.  UDP: monitors that send datagrams; such
 * a link is up as soon as the address is known, and only silence tells that nobody is there.
 *
 *	numeric address:  connect ------------------------------> up
 *	name:             resolve (thread pool) --> connect ----> up
 *
 * An address that worked is used again first; a name is asked for anew after a failure, and its addresses are taken in
 * turn, one an attempt. */
#include "daemon/link_kind.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

struct vs_resolve {
	uv_getaddrinfo_t req;
	struct vs_link *link; /* NULL: nobody waits for the answer any more */
};

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	(void)h;
	(void)suggested;
	size_t len;
	buf->base = (char *)vs_link_scratch(&len);
	buf->len = len;
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct vs_conn *c = s->data;
	if (n > 0)
		vs_link_got(c, (const uint8_t *)buf->base, (size_t)n);
	else if (n < 0 && c->link)
		vs_link_was_lost(c->link, (int)n);
}

/* A half-open connection on which we only listen shows itself by the keepalive, within eight seconds. */
static void tune(uv_tcp_t *tcp)
{
	int fd, interval = 1, count = 3;
	uv_tcp_nodelay(tcp, 1);
	uv_tcp_keepalive(tcp, 1, 5);
	if (uv_fileno((uv_handle_t *)tcp, &fd) == 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
	}
}

static void on_connect(uv_connect_t *req, int status)
{
	struct vs_conn *c = req->data;
	if (!c->link) /* given up: the handle is being closed */
		return;
	if (status == 0) {
		tune(&c->tcp);
		status = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	}
	if (status < 0)
		vs_link_has_failed(c->link, status);
	else
		vs_link_is_now_up(c->link);
}

/* A datagram is whole messages.  An error says that an earlier one of ours found nobody: that is silence. */
static void on_datagram(uv_udp_t *u, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags)
{
	(void)from;
	if (n > 0 && !(flags & UV_UDP_PARTIAL))
		vs_link_got(u->data, (const uint8_t *)buf->base, (size_t)n);
}

/* Connected: the kernel then drops what others send. */
static int exchange_with(struct vs_link *l)
{
	int r = uv_udp_connect(&l->conn->udp, (const struct sockaddr *)&l->address);
	if (r == 0)
		r = uv_udp_recv_start(&l->conn->udp, on_alloc, on_datagram);
	if (r == 0)
		vs_link_is_now_up(l);
	return r;
}

static int connect_to(struct vs_link *l)
{
	struct vs_conn *c = calloc(1, sizeof *c);
	bool udp = l->spec.kind == VS_LINK_UDP;
	if (!c)
		return -ENOMEM;
	int r = udp ? uv_udp_init(l->loop, &c->udp) : uv_tcp_init(l->loop, &c->tcp);
	if (r < 0) {
		free(c);
		return r;
	}
	c->handle.data = c;
	c->connect.data = c;
	c->link = l;
	l->conn = c;
	return udp ? exchange_with(l) : uv_tcp_connect(&c->connect, &c->tcp, (const struct sockaddr *)&l->address, on_connect);
}

static void take_address(struct vs_link *l, const struct addrinfo *list)
{
	unsigned n = 0;
	const struct addrinfo *a;
	for (a = list; a; a = a->ai_next)
		n++;
	unsigned pick = l->attempts % n;
	for (a = list; pick; a = a->ai_next)
		pick--;
	memcpy(&l->address, a->ai_addr, a->ai_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof l->address);
	l->address.sin6_port = htons(l->spec.port); /* sin_port lies at the same place */
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct vs_resolve *q = req->data;
	struct vs_link *l = q->link;
	free(q);
	if (l) {
		l->resolve = NULL;
		if (status == 0) {
			take_address(l, list);
			status = connect_to(l);
		}
		if (status < 0)
			vs_link_has_failed(l, status);
	}
	uv_freeaddrinfo(list);
}

void vs_link_forget_resolve(struct vs_link *l)
{
	if (!l->resolve)
		return;
	l->resolve->link = NULL;
	uv_cancel((uv_req_t *)&l->resolve->req);
	l->resolve = NULL;
}

static int resolve(struct vs_link *l)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct vs_resolve *q = calloc(1, sizeof *q);
	if (!q)
		return -ENOMEM;
	q->req.data = q;
	q->link = l;
	int r = uv_getaddrinfo(l->loop, &q->req, on_resolved, l->place, NULL, &hints);
	if (r < 0) {
		free(q);
		return r;
	}
	l->resolve = q;
	return 0;
}

static int net_open(struct vs_link *l)
{
	if (l->address.sin6_family != AF_UNSPEC ||
	    uv_ip4_addr(l->place, l->spec.port, (struct sockaddr_in *)&l->address) == 0 ||
	    uv_ip6_addr(l->place, l->spec.port, &l->address) == 0)
		return connect_to(l);
	l->address.sin6_family = AF_UNSPEC;
	return resolve(l);
}

static int tcp_send(struct vs_conn *c, const uint8_t *bytes, size_t len)
{
	const uv_buf_t buf = { .base = (char *)(uintptr_t)bytes, .len = len };
	int n = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
	return n < 0 ? n : (size_t)n < len ? -EAGAIN : 0;
}

static int udp_send(struct vs_conn *c, const uint8_t *bytes, size_t len)
{
	const uv_buf_t buf = { .base = (char *)(uintptr_t)bytes, .len = (unsigned)len };
	int n = uv_udp_try_send(&c->udp, &buf, 1, NULL);
	return n < 0 ? n : 0;
}

static void net_close(struct vs_conn *c)
{
	uv_close(&c->handle, on_closed);
}

const struct vs_link_kind_ops vs_link_tcp = { .open = net_open, .send = tcp_send, .close = net_close };
const struct vs_link_kind_ops vs_link_udp = { .open = net_open, .send = udp_send, .close = net_close };
