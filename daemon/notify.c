#include "daemon/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "daemon/clock.h"

/* What a full socket did not take, in the order in which it is said. */
static struct {
	bool reloading, status, stopping, ready;
	char words[256];
} owed;

static int from = -1;

/* Once, at the start, and kept: later the devices may have taken every descriptor there is. */
static bool open_socket(void)
{
	if (from < 0)
		from = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return from >= 0;
}

/* sd_notify() waits while the manager's queue is full (net.unix.max_dgram_qlen, 10 messages on a plain kernel), and the
 * loop would wait with it, alarms and all: so the sending is our own.  0, or -EAGAIN: no room, say it again later; a manager
 * that cannot be reached is given up, as the library does. */
static int send_now(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	if (len < 2 || len >= sizeof to.sun_path || !strchr("/@", path[0]))
		return 0;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@') /* an abstract name */
		to.sun_path[0] = '\0';
	if (!open_socket())
		return -EAGAIN; /* READY=1 must not be lost for that */
	ssize_t n = sendto(from, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&to,
			   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	return n < 0 && (errno == EAGAIN || errno == ENOBUFS) ? -EAGAIN : 0;
}

static bool say_reloading(void)
{
	char text[80];
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)vs_boottime_ms() * 1000);
	return send_now(text) == 0;
}

static bool say_status(void)
{
	char text[sizeof owed.words + 32];
	snprintf(text, sizeof text, "%sSTATUS=%s", owed.ready ? "READY=1\n" : "", owed.words);
	return send_now(text) == 0;
}

void vs_notify_again(void)
{
	if (owed.reloading && say_reloading())
		owed.reloading = false;
	if (!owed.reloading && owed.status && say_status())
		owed.status = owed.ready = false;
	if (!owed.reloading && !owed.status && owed.stopping &&
	    send_now("STOPPING=1\nSTATUS=ending: writing the last events to the log") == 0)
		owed.stopping = false;
}

void vs_notify_status(int ready, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(owed.words, sizeof owed.words, format, args);
	va_end(args);
	owed.ready |= ready != 0;
	owed.status = true;
	vs_notify_again();
}

void vs_notify_watchdog(void)
{
	send_now("WATCHDOG=1");
}

void vs_notify_stopping(void)
{
	owed.stopping = true;
	vs_notify_again();
}

void vs_notify_reloading(void)
{
	owed.reloading = true;
	vs_notify_again();
}

uint64_t vs_notify_watchdog_ms(void)
{
	uint64_t usec = 0;
	open_socket();
	return sd_watchdog_enabled(0, &usec) > 0 ? usec / 1000 : 0;
}
