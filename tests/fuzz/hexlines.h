/* Inputs that fuzzing has found, kept as text: hex digits, an input a line; lines that begin with # are remarks. */
#pragma once
#include <stdint.h>
#include <stdio.h>

/* The next input, at most cap bytes of it.  0: there is none. */
static inline size_t next_hex_line(FILE *f, uint8_t *buf, size_t cap)
{
	size_t n = 0;
	unsigned byte;
	int c;
	while ((c = fgetc(f)) == '#' || c == '\n')
		while (c != '\n' && c != EOF)
			c = fgetc(f);
	ungetc(c, f);
	while (n < cap && c != EOF && fscanf(f, "%2x", &byte) == 1) {
		buf[n++] = (uint8_t)byte;
		c = fgetc(f);
		if (c == '\n' || c == EOF)
			break;
		ungetc(c, f);
	}
	return n;
}
