#include "clients/sim/recording.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int nibble(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = tolower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hex digits in pairs, blanks anywhere between pairs, into the same memory.  Returns bytes; negative: not hex. */
static long unhex(char *text)
{
	long n = 0;
	for (char *p = text; *p && *p != '\n' && *p != '\r';) {
		if (*p == ' ' || *p == '\t') {
			p++;
			continue;
		}
		int high = nibble((unsigned char)p[0]), low = high < 0 ? -1 : nibble((unsigned char)p[1]);
		if (low < 0)
			return -1;
		text[n++] = (char)(high << 4 | low);
		p += 2;
	}
	return n;
}

int vs_recording_line(char *line, unsigned number, struct vs_piece *ret, const char **why)
{
	char *rest;
	if (number == 1 && strncmp(line, VS_RECORDING_HEADER, strlen(VS_RECORDING_HEADER)) != 0) {
		*why = "not a recording: the first line should be '" VS_RECORDING_HEADER "'";
		return -EBADMSG;
	}
	if (number == 1 || *line == '#' || *line == '\n')
		return 0;
	ret->at_ms = strtod(line, &rest);
	long n = rest == line ? -1 : unhex(rest);
	if (n < 0 || !(ret->at_ms >= 0) || !(ret->at_ms <= VS_RECORDING_LONGEST_MS)) {
		*why = "should be milliseconds, a blank and bytes in hex";
		return -EBADMSG;
	}
	ret->bytes = rest;
	ret->len = (size_t)n;
	return 1;
}
