/* Inside of links: what link.c shares with the kinds of links, link_net.c and link_serial.c. */
#pragma once
#include "daemon/link.h"

/* One attempt and the connection that comes of it.  It lives until libuv has closed its handle, longer than its link
 * cares for it (link is then NULL). */
struct vs_conn {
	struct vs_link *link;
	union {
		uv_handle_t handle;
		uv_tcp_t tcp;
		uv_udp_t udp;
		uv_poll_t poll;
	};
	uv_connect_t connect;
	int fd;       /* serial */
	void *modbus; /* RTU: the libmodbus context that owns fd; else NULL */
};

struct vs_link_kind_ops {
	/* Begins to open: 0 and later vs_link_is_now_up or vs_link_has_failed, or -errno at once. */
	int (*open)(struct vs_link *l);
	int (*send)(struct vs_conn *c, const uint8_t *bytes, size_t len);
	void (*flush)(struct vs_conn *c);
	/* Lets go of descriptor and handle; the handle's close callback frees c. */
	void (*close)(struct vs_conn *c);
};
extern const struct vs_link_kind_ops vs_link_tcp, vs_link_udp, vs_link_serial;

struct vs_resolve;

struct vs_link {
	uv_loop_t *loop;
	const struct vs_link_ops *ops;
	void *ctx;
	const struct vs_link_kind_ops *kind;
	struct vs_link_spec spec;
	char *place;
	uv_timer_t timer; /* pause, or the patience for a connection */
	enum { VS_LINK_PAUSE, VS_LINK_OPENING, VS_LINK_UP, VS_LINK_CLOSED } state;
	uint32_t pause_ms;
	struct vs_conn *conn;
	/* TCP, UDP: the address that is in use or was used last, and the question for it that is open */
	struct vs_resolve *resolve;
	struct sockaddr_in6 address; /* or sockaddr_in: sin6_family tells; AF_UNSPEC: not known */
	bool numeric;                /* place is an address and needs no question */
	unsigned attempts;
};

/* From the kinds, upwards. */
void vs_link_is_now_up(struct vs_link *l);
void vs_link_has_failed(struct vs_link *l, int error);
void vs_link_was_lost(struct vs_link *l, int error);
/* Bytes for the link above; c may have lost its link when this returns. */
void vs_link_got(struct vs_conn *c, const uint8_t *bytes, size_t len);
/* A buffer that all links of the thread read into: nothing stays in it. */
uint8_t *vs_link_scratch(size_t *len);
void vs_link_forget_resolve(struct vs_link *l);
