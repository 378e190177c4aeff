/* A serial line of a person's machine: opened, set and read with patience, for `decode`, `record` and `probe`.
 * The daemon has its own links (daemon/link.h). */
#pragma once
#include "core/plugin.h"

#include <sys/types.h>

/* "19200 8E1" or "9600"; what is left out stays as it is in ret.  0, or -EINVAL. */
int vs_line_parse(const char *text, struct vs_line *ret);
/* Raw mode with these settings.  0, or -errno (-EINVAL: a speed that the line does not know). */
int vs_line_set(int fd, const struct vs_line *line);
/* Speed, parity and bits as the line has taken them: a pseudo terminal takes no parity. */
void vs_line_get(int fd, struct vs_line *ret);

/* What the driver has counted since it was loaded. */
struct vs_line_errors {
	uint64_t framing, parity, breaks;
};
/* 0; negative: this driver does not count (a pseudo terminal, some USB adapters). */
int vs_line_errors(int fd, struct vs_line_errors *ret);

/* Waits for bytes.  > 0 bytes read; 0: the time is over; -EPIPE: hung up or at its end; other -errno. */
ssize_t vs_line_read(int fd, uint8_t *buf, size_t cap, int timeout_ms);
/* All of it.  0, or -errno. */
int vs_line_write(int fd, const uint8_t *buf, size_t len);
/* After this SIGINT and SIGTERM end the reading instead of the program; true once one has come. */
void vs_line_catch_end(void);
bool vs_line_ended(void);
