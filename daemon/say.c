#include "daemon/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void vs_say(enum vs_say_level level, const char *format, ...)
{
	/* One write a line: lines of the two processes and of the writer thread never mix. */
	char line[2048];
	int at = 0;
	if (getenv("JOURNAL_STREAM"))
		at = snprintf(line, sizeof line, "<%d>", level);
	else
		at = snprintf(line, sizeof line, "vitalsd: ");
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
	if (write(STDERR_FILENO, line, (size_t)at) < 0)
		return; /* nobody listens: there is nobody to tell */
}
