/* Looking at a Modbus device by hand: `vitalsctl modbus read` and `vitalsctl probe`.  A person waits here, so libmodbus
 * may block; this is its home in vitalsctl. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "core/plugin.h"
#include "plugins/modbus/modbus.h"

struct ctl_modbus {
	char host[256]; /* TCP */
	unsigned port;
	char path[256]; /* RTU */
	struct vs_line line;
	bool line_given;
	unsigned unit, timeout_ms;
	void *context; /* libmodbus */
};

/* --tcp, --rtu, --baud, --parity, --unit, --timeout: 0 taken; 1: it is none of these; VS_EXIT_USAGE: said why not. */
int ctl_modbus_option(struct ctl_modbus *m, int c, const char *value);
#define CTL_MODBUS_OPTIONS                                                                                             \
	{ "tcp", required_argument, NULL, 't' }, { "rtu", required_argument, NULL, 'r' },                              \
		{ "baud", required_argument, NULL, 'b' }, { "parity", required_argument, NULL, 'p' },                  \
		{ "unit", required_argument, NULL, 'u' }, { "timeout", required_argument, NULL, 'o' }

/* Exactly one of --tcp and --rtu was given?  0, or VS_EXIT_USAGE, said. */
int ctl_modbus_complete(const struct ctl_modbus *m, const char *command);
/* 0; -1: said why not. */
int ctl_modbus_open(struct ctl_modbus *m);
void ctl_modbus_close(struct ctl_modbus *m);
/* Reads bits or registers, one in each word.  0, or the negative number of libmodbus (ctl_modbus_why says it). */
int ctl_modbus_read(struct ctl_modbus *m, enum vs_table t, unsigned address, unsigned count, uint16_t *words);
/* The device said no (an exception answer): it is there.  0: that was not it. */
unsigned ctl_modbus_exception(int error);
const char *ctl_modbus_why(int error);
/* "127.0.0.1 port 502", "/dev/ttyUSB0 9600 8N1"; buf holds at least 300. */
const char *ctl_modbus_place(const struct ctl_modbus *m, char *buf);

const char *ctl_table_name(enum vs_table t);
/* "1-5", "7" or "0x10-0x1f" within 0..highest. */
bool ctl_range(const char *text, unsigned highest, unsigned *from, unsigned *to);

/* Every type and order of n registers from address on, with a mark where a living adult could have such a value, and a
 * fragment of configuration from a guess. */
void ctl_modbus_show(const struct ctl_modbus *m, enum vs_table t, unsigned address, const uint16_t *words, unsigned n,
		     bool json);
