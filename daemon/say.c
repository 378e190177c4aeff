#include "daemon/say.h"

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_uint unsaid; /* lines that nobody took */

/* A reader of stderr who is stuck (a pipe that is full, a terminal that is stopped) must not hold up the loop.  Whatever
 * stderr is, it belongs to others as well, so it is not made non-blocking: a pipe that is writable has room for PIPE_BUF
 * bytes, more than a line has. */
static bool put(const char *line, int len)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
		return false;
	ssize_t n = write(STDERR_FILENO, line, (size_t)len);
	(void)n; /* an error: nobody listens, so there is nobody to tell */
	return true;
}

static int begin(char *line, size_t cap, enum vs_say_level level)
{
	if (getenv("JOURNAL_STREAM"))
		return snprintf(line, cap, "<%d>", level == VS_SAY_FINDING ? VS_SAY_ERROR : level);
	return snprintf(line, cap, "%s", level == VS_SAY_FINDING ? "" : "vitalsd: ");
}

static void put_unsaid(void)
{
	char line[128];
	unsigned n = atomic_exchange(&unsaid, 0);
	if (!n)
		return;
	int at = begin(line, sizeof line, VS_SAY_WARNING);
	at += snprintf(line + at, sizeof line - (size_t)at, "%u line%s found no room here and are lost\n", n, n == 1 ? "" : "s");
	if (!put(line, at))
		atomic_fetch_add(&unsaid, n);
}

void vs_say(enum vs_say_level level, const char *format, ...)
{
	/* One write a line: lines of the two processes and of the writer thread never mix. */
	char line[2048];
	int at = begin(line, sizeof line, level);
	va_list args;
	va_start(args, format);
	int n = vsnprintf(line + at, sizeof line - (size_t)at - 1, format, args);
	va_end(args);
	if (n < 0)
		return;
	at += n;
	if ((size_t)at > sizeof line - 2)
		at = sizeof line - 2;
	line[at++] = '\n';
	put_unsaid();
	if (!put(line, at))
		atomic_fetch_add(&unsaid, 1);
}
