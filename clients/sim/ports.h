/* The open ends of a simulated monitor: listening sockets, Modbus connections, serial lines.
 *
 * A port belongs to one monitor, keeps what came in until a whole request is there, and what goes out until the peer
 * takes it.  A peer that takes nothing loses its connection (TCP) or bytes (serial), never anybody's time. */
#pragma once
#include "clients/sim/intellivue.h"
#include "clients/sim/nonin.h"
#include "clients/sim/options.h"
#include "clients/sim/pty.h"
#include "clients/sim/registers.h"

#include <sys/socket.h>

#define VS_LINE_SIDES 32 /* monitors on one RTU line, as RS-485 has it */

struct vs_monitor_side { /* what the ports of one monitor share */
	struct vs_registers *registers;
	const struct vs_second *now; /* what it shows */
	uint8_t unit;
	enum vs_fault fault;
	bool silent;       /* the whole device is dead */
	unsigned requests; /* answered so far */
};

enum vs_port_kind { VS_PORT_LISTENER, VS_PORT_CONNECTION, VS_PORT_RTU, VS_PORT_NONIN, VS_PORT_MIB, VS_PORT_LAN };

struct vs_port {
	enum vs_port_kind kind;
	struct vs_monitor_side *side;                 /* RTU: the one that was asked last */
	struct vs_monitor_side *sides[VS_LINE_SIDES]; /* RTU: all on this line, told apart by unit */
	unsigned n_sides;
	int fd;
	struct vs_pty pty;
	uint8_t in[2 * VS_ADU_MAX], out[16 * VS_ADU_MAX];
	size_t in_len, out_len;
	int64_t heard_ms; /* last bytes */
	int64_t drip_ms;  /* when the next byte of a dripping answer is due */
	struct vs_nonin nonin;
	struct vs_intellivue mib; /* MIB, LAN */
	struct sockaddr_storage peer; /* LAN: who asked last */
	socklen_t peer_len;
};

struct vs_ports {
	struct vs_port **at;
	size_t len;
};

/* HOST:PORT.  endpoint (at least 80): the address that was bound.  0 or -errno. */
int vs_ports_listen(struct vs_ports *ps, struct vs_monitor_side *side, const char *where, unsigned add, char *endpoint);
/* HOST:PORT of a monitor that takes datagrams, as above. */
int vs_ports_lan(struct vs_ports *ps, struct vs_monitor_side *side, const char *where, unsigned add, char *endpoint);
/* A second monitor on the path of an RTU line joins it.  0 or -errno. */
int vs_ports_line(struct vs_ports *ps, struct vs_monitor_side *side, enum vs_port_kind kind, const char *path);
/* Waits for at most timeout_ms, or until something comes in on a port or on extra_fd (-1: none); handles the ports.
 * Returns whether extra_fd is ready. */
bool vs_ports_wait(struct vs_ports *ps, int timeout_ms, int extra_fd);
/* How long until a port needs attention by itself (dripping); at most `most`. */
int vs_ports_due_ms(const struct vs_ports *ps, int most);
/* Associations that nobody keeps alive end. */
void vs_ports_time(struct vs_ports *ps);
/* Sends `frames` frames on every oximeter line of this monitor. */
void vs_ports_nonin(struct vs_ports *ps, const struct vs_monitor_side *side, const struct vs_display *now, long frames);
void vs_ports_close(struct vs_ports *ps);
int64_t vs_sim_clock_ms(void); /* monotonic */
