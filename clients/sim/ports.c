#include "clients/sim/ports.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DRIP_MS 400
#define RTU_SILENCE_MS 50 /* after so long half a request is none: USB adapters batch bytes for 16 ms */
#define UNREAD_MAX 750    /* 2 s of an oximeter: nobody reads, so the line forgets */
#define EXCEPTION_BUSY 6

int64_t vs_sim_clock_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct vs_port *add(struct vs_ports *ps, struct vs_monitor_side *side, enum vs_port_kind kind, int fd)
{
	struct vs_port **more = reallocarray(ps->at, ps->len + 1, sizeof(struct vs_port *));
	struct vs_port *p = more ? calloc(1, sizeof *p) : NULL;
	if (more)
		ps->at = more;
	if (!p)
		return NULL;
	*p = (struct vs_port){ .kind = kind, .side = side, .fd = fd };
	ps->at[ps->len++] = p;
	return p;
}

static void drop(struct vs_ports *ps, size_t i)
{
	struct vs_port *p = ps->at[i];
	if (p->kind == VS_PORT_RTU || p->kind == VS_PORT_NONIN || p->kind == VS_PORT_MIB)
		vs_pty_close(&p->pty);
	else
		close(p->fd);
	free(p);
	ps->at[i] = ps->at[--ps->len];
}

void vs_ports_close(struct vs_ports *ps)
{
	while (ps->len > 0)
		drop(ps, ps->len - 1);
	free(ps->at);
	*ps = (struct vs_ports){ 0 };
}

static int bound(const struct addrinfo *a)
{
	int one = 1, fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 || (a->ai_socktype == SOCK_STREAM && listen(fd, 128) < 0)) {
		int r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

/* The address as it was bound: port 0 has become a number. */
static void name_endpoint(int fd, const char *host, char *endpoint)
{
	struct sockaddr_storage s;
	socklen_t len = sizeof s;
	unsigned port = 0;
	if (getsockname(fd, (struct sockaddr *)&s, &len) == 0)
		port = ntohs(s.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&s)->sin6_port
						     : ((struct sockaddr_in *)&s)->sin_port);
	snprintf(endpoint, 80, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

/* "[::1]:502" or "127.0.0.1:502", `add` added to a port that is not 0. */
static bool split(const char *where, unsigned more, char host[64], char port[16])
{
	const char *colon = strrchr(where, ':');
	size_t n = colon ? (size_t)(colon - where) : 0;
	if (n > 1 && where[0] == '[' && where[n - 1] == ']') {
		where++;
		n -= 2;
	}
	char *end;
	unsigned long number = colon ? strtoul(colon + 1, &end, 10) : 0;
	if (n == 0 || n >= 64 || end == colon + 1 || *end || number > 65535 - more)
		return false;
	snprintf(host, 64, "%.*s", (int)n, where);
	snprintf(port, 16, "%lu", number ? number + more : 0);
	return true;
}

static int open_socket(struct vs_ports *ps, struct vs_monitor_side *side, enum vs_port_kind kind, const char *where,
		       unsigned more, char *endpoint)
{
	char host[64], port[16];
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
				  .ai_socktype = kind == VS_PORT_LAN ? SOCK_DGRAM : SOCK_STREAM }, *list;
	if (!split(where, more, host, port))
		return -EINVAL;
	if (getaddrinfo(host, port, &hints, &list) != 0)
		return -EADDRNOTAVAIL;
	int fd = bound(list);
	freeaddrinfo(list);
	if (fd < 0)
		return fd;
	name_endpoint(fd, host, endpoint);
	if (add(ps, side, kind, fd))
		return 0;
	close(fd);
	return -ENOMEM;
}

int vs_ports_listen(struct vs_ports *ps, struct vs_monitor_side *side, const char *where, unsigned more, char *endpoint)
{
	return open_socket(ps, side, VS_PORT_LISTENER, where, more, endpoint);
}

int vs_ports_lan(struct vs_ports *ps, struct vs_monitor_side *side, const char *where, unsigned more, char *endpoint)
{
	return open_socket(ps, side, VS_PORT_LAN, where, more, endpoint);
}

static struct vs_port *line_at(const struct vs_ports *ps, const char *path)
{
	for (size_t i = 0; i < ps->len; i++)
		if (ps->at[i]->pty.link && strcmp(ps->at[i]->pty.link, path) == 0)
			return ps->at[i];
	return NULL;
}

int vs_ports_line(struct vs_ports *ps, struct vs_monitor_side *side, enum vs_port_kind kind, const char *path)
{
	struct vs_port *p = line_at(ps, path);
	if (p) {
		if (kind != VS_PORT_RTU || p->kind != VS_PORT_RTU || p->n_sides == VS_LINE_SIDES)
			return -EBUSY;
		p->sides[p->n_sides++] = side;
		return 0;
	}
	p = add(ps, side, kind, -1);
	if (!p)
		return -ENOMEM;
	int r = vs_pty_open(&p->pty, path);
	if (r < 0) {
		drop(ps, ps->len - 1);
		return r;
	}
	p->fd = p->pty.fd;
	p->sides[p->n_sides++] = side;
	return 0;
}

static void accept_all(struct vs_ports *ps, struct vs_port *listener)
{
	int one = 1;
	for (;;) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (!add(ps, listener->side, VS_PORT_CONNECTION, fd))
			close(fd);
	}
}

/* False: the peer is gone, or takes nothing. */
static bool send_out(struct vs_port *p, int64_t now_ms)
{
	size_t most = p->out_len;
	if (p->side->fault == VS_FAULT_DRIP) {
		most = p->out_len && now_ms >= p->drip_ms ? 1 : 0;
		if (most)
			p->drip_ms = now_ms + DRIP_MS;
	}
	if (most == 0)
		return true;
	ssize_t n = write(p->fd, p->out, most);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR || p->kind != VS_PORT_CONNECTION;
	memmove(p->out, p->out + n, p->out_len - (size_t)n);
	p->out_len -= (size_t)n;
	return true;
}

static bool queue(struct vs_port *p, const uint8_t *bytes, size_t len)
{
	if (len > sizeof p->out - p->out_len)
		return p->kind != VS_PORT_CONNECTION; /* a line loses bytes, a connection ends */
	memcpy(p->out + p->out_len, bytes, len);
	p->out_len += len;
	return true;
}

static bool reset(struct vs_port *p)
{
	struct linger l = { .l_onoff = 1, .l_linger = 0 };
	if (p->kind != VS_PORT_CONNECTION)
		return true;
	setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	return false;
}

/* One whole request.  False: the connection ends. */
static bool answer(struct vs_port *p, const uint8_t *request, size_t len)
{
	enum vs_framing f = p->kind == VS_PORT_RTU ? VS_FRAMING_RTU : VS_FRAMING_TCP;
	for (unsigned i = 0; i < p->n_sides; i++)
		if (p->sides[i]->unit == request[0])
			p->side = p->sides[i];
	uint8_t out[VS_ADU_MAX] = { 0 }, asked[VS_ADU_MAX] = { 0 };
	struct vs_monitor_side *side = p->side;
	memcpy(asked, request, len);
	if (side->silent || side->fault == VS_FAULT_SILENT || side->fault == VS_FAULT_HALF_OPEN)
		return true;
	if (side->fault == VS_FAULT_RESET)
		return reset(p);
	size_t n = vs_registers_answer(side->registers, f, asked, len, out);
	if (n == 0)
		return true;
	size_t unit_at = f == VS_FRAMING_TCP ? 6 : 0;
	if (side->fault == VS_FAULT_BUSY) {
		n = vs_registers_refuse(f, asked, EXCEPTION_BUSY, out);
	} else if (side->fault == VS_FAULT_GARBAGE) {
		for (size_t i = 0; i < n; i++)
			out[i] = (uint8_t)(out[i] * 167 + 91 * i + side->requests);
	} else if (side->fault == VS_FAULT_WRONG_UNIT) {
		out[unit_at]++;
		if (f == VS_FRAMING_RTU) {
			uint16_t crc = vs_crc16(out, n - 2);
			out[n - 2] = (uint8_t)crc;
			out[n - 1] = (uint8_t)(crc >> 8);
		}
	}
	side->requests++;
	return queue(p, out, n);
}

static bool take_requests(struct vs_port *p)
{
	enum vs_framing f = p->kind == VS_PORT_RTU ? VS_FRAMING_RTU : VS_FRAMING_TCP;
	for (;;) {
		int n = vs_request_length(f, p->in, p->in_len);
		if (n == 0)
			return true;
		if (n < 0 && f == VS_FRAMING_TCP)
			return false;
		if (n > 0 && !answer(p, p->in, (size_t)n))
			return false;
		size_t used = n > 0 ? (size_t)n : (size_t)-n;
		memmove(p->in, p->in + used, p->in_len - used);
		p->in_len -= used;
	}
}

/* ---- IntelliVue: whole messages in frames on a line, or a datagram each */

static void send_messages(struct vs_port *p, const struct vs_mib_answer *a)
{
	uint8_t wire[VS_MIB_WIRE];
	bool quiet = p->side->silent || p->side->fault == VS_FAULT_SILENT || p->side->fault == VS_FAULT_HALF_OPEN;
	for (unsigned i = 0; i < a->len && !quiet; i++) {
		p->side->requests++;
		if (p->kind == VS_PORT_MIB)
			queue(p, wire, vs_mib_frame(a->message[i].bytes, a->message[i].len, wire));
		else if (sendto(p->fd, a->message[i].bytes, a->message[i].len, 0, (struct sockaddr *)&p->peer,
				p->peer_len) < 0)
			return; /* a datagram that is lost is asked for again */
	}
}

static void take_frames(struct vs_port *p, int64_t now_ms)
{
	uint8_t message[VS_MIB_MESSAGE];
	struct vs_mib_answer answer;
	size_t used, len;
	do {
		len = vs_mib_unframe(p->in, p->in_len, &used, message);
		memmove(p->in, p->in + used, p->in_len - used);
		p->in_len -= used;
		if (!len)
			continue;
		vs_intellivue_take(&p->mib, message, len, p->side->now, now_ms, &answer);
		send_messages(p, &answer);
	} while (used && p->in_len);
}

static void take_datagram(struct vs_port *p, int64_t now_ms)
{
	uint8_t message[VS_MIB_MESSAGE];
	struct vs_mib_answer answer;
	p->peer_len = sizeof p->peer;
	ssize_t n = recvfrom(p->fd, message, sizeof message, 0, (struct sockaddr *)&p->peer, &p->peer_len);
	if (n <= 0)
		return;
	vs_intellivue_take(&p->mib, message, (size_t)n, p->side->now, now_ms, &answer);
	send_messages(p, &answer);
}

void vs_ports_time(struct vs_ports *ps)
{
	struct vs_mib_answer answer;
	for (size_t i = 0; i < ps->len; i++) {
		struct vs_port *p = ps->at[i];
		if (p->kind != VS_PORT_MIB && p->kind != VS_PORT_LAN)
			continue;
		vs_intellivue_time(&p->mib, p->side->now, vs_sim_clock_ms(), &answer);
		send_messages(p, &answer);
	}
}

/* False: the port is to be closed. */
static bool receive(struct vs_port *p, int64_t now_ms)
{
	if (p->kind == VS_PORT_LAN) {
		take_datagram(p, now_ms);
		return true;
	}
	if (p->kind == VS_PORT_RTU && now_ms - p->heard_ms > RTU_SILENCE_MS)
		p->in_len = 0;
	if (p->kind != VS_PORT_CONNECTION && p->in_len == sizeof p->in)
		p->in_len = 0; /* noise without a request in it */
	ssize_t n = read(p->fd, p->in + p->in_len, sizeof p->in - p->in_len);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR || p->kind != VS_PORT_CONNECTION;
	if (n == 0)
		return p->kind != VS_PORT_CONNECTION;
	p->heard_ms = now_ms;
	if (p->kind == VS_PORT_NONIN)
		return true; /* an oximeter that only talks */
	p->in_len += (size_t)n;
	if (p->kind != VS_PORT_MIB)
		return take_requests(p);
	take_frames(p, now_ms);
	return true;
}

static short wanted(const struct vs_port *p)
{
	if (p->side->fault == VS_FAULT_HALF_OPEN && p->kind != VS_PORT_RTU)
		return 0;
	bool sends = p->out_len > 0 && p->side->fault != VS_FAULT_DRIP;
	return (short)(POLLIN | (sends ? POLLOUT : 0));
}

static bool serve(struct vs_ports *ps, struct vs_port *p, short ready, int64_t now_ms)
{
	if (p->side->fault == VS_FAULT_HALF_OPEN && p->kind != VS_PORT_RTU)
		return true;
	if (p->kind == VS_PORT_LISTENER) {
		if (ready & POLLIN)
			accept_all(ps, p);
		return true;
	}
	if ((ready & (POLLIN | POLLHUP | POLLERR)) && !receive(p, now_ms))
		return false;
	if (p->kind == VS_PORT_NONIN)
		p->in_len = 0;
	return send_out(p, now_ms);
}

bool vs_ports_wait(struct vs_ports *ps, int timeout_ms, int extra_fd)
{
	size_t n = ps->len;
	struct pollfd *fds = calloc(n + 1, sizeof *fds);
	if (!fds)
		return false;
	for (size_t i = 0; i < n; i++)
		fds[i] = (struct pollfd){ wanted(ps->at[i]) ? ps->at[i]->fd : -1, wanted(ps->at[i]), 0 };
	fds[n] = (struct pollfd){ extra_fd, POLLIN, 0 };
	if (poll(fds, n + 1, timeout_ms) < 0)
		for (size_t i = 0; i <= n; i++)
			fds[i].revents = 0;
	int64_t now_ms = vs_sim_clock_ms();
	for (size_t i = n; i-- > 0;) /* from the end: drop() moves the last one into the gap, which has been served */
		if (!serve(ps, ps->at[i], fds[i].revents, now_ms))
			drop(ps, i);
	bool extra = fds[n].revents != 0;
	free(fds);
	return extra;
}

int vs_ports_due_ms(const struct vs_ports *ps, int most)
{
	int64_t now_ms = vs_sim_clock_ms();
	for (size_t i = 0; i < ps->len; i++) {
		const struct vs_port *p = ps->at[i];
		if (p->side->fault == VS_FAULT_DRIP && p->out_len > 0 && p->drip_ms - now_ms < most)
			most = p->drip_ms > now_ms ? (int)(p->drip_ms - now_ms) : 0;
	}
	return most;
}

void vs_ports_nonin(struct vs_ports *ps, const struct vs_monitor_side *side, const struct vs_display *now, long frames)
{
	for (size_t i = 0; i < ps->len; i++) {
		struct vs_port *p = ps->at[i];
		if (p->kind != VS_PORT_NONIN || p->side != side)
			continue;
		if (vs_pty_unread(&p->pty) > UNREAD_MAX)
			vs_pty_forget(&p->pty);
		for (long k = 0; k < frames; k++) {
			uint8_t frame[VS_NONIN_FRAME];
			vs_nonin_frame(&p->nonin, now, frame);
			if (!side->silent && sizeof p->out - p->out_len >= sizeof frame)
				queue(p, frame, sizeof frame);
		}
		ssize_t n = p->out_len ? write(p->fd, p->out, p->out_len) : 0;
		if (n > 0) {
			memmove(p->out, p->out + n, p->out_len - (size_t)n);
			p->out_len -= (size_t)n;
		}
	}
}
