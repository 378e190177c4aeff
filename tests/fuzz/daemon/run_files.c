/* A fuzz target as a test: every file of a folder, every input that fuzzing has found, and deterministic damage of each.
 *
 *	run-files FOLDER [FOUND.hex]... */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/hexlines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LONGEST 20000
#ifndef DAMAGES
#define DAMAGES 2000
#endif

static uint64_t state = 20261121;

static size_t random_below(size_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(state >> 33) % n;
}

static void damage(uint8_t *buf, size_t *len)
{
	size_t at = random_below(*len);
	switch (random_below(4)) {
	case 0:
		buf[at] ^= (uint8_t)(1u << random_below(8));
		break;
	case 1:
		buf[at] = (uint8_t)random_below(256);
		break;
	case 2: /* cut off */
		*len = at + 1;
		break;
	default: { /* a piece moved over another */
		size_t from = random_below(*len), n = random_below(*len - (from > at ? from : at)) + 1;
		memmove(buf + at, buf + from, n);
	}
	}
}

static size_t read_file(const char *folder, const char *name, uint8_t *buf)
{
	char path[1024];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "rb");
	size_t len = f ? fread(buf, 1, LONGEST, f) : 0;
	if (f)
		fclose(f);
	return len;
}

static void try(const uint8_t *input, size_t len, int damages)
{
	static uint8_t buf[LONGEST];
	LLVMFuzzerTestOneInput(input, len);
	for (int i = 0; i < damages; i++) {
		size_t n = len;
		memcpy(buf, input, len);
		do
			damage(buf, &n);
		while (random_below(3));
		LLVMFuzzerTestOneInput(buf, n);
	}
}

/* Inputs that fuzzing has found.  How many; negative: no such file. */
static int try_kept(const char *path)
{
	static uint8_t input[LONGEST];
	FILE *kept = fopen(path, "r");
	int found = 0;
	size_t len;
	if (!kept)
		return -1;
	for (; (len = next_hex_line(kept, input, sizeof input)); found++)
		try(input, len, DAMAGES / 10);
	fclose(kept);
	return found;
}

int main(int argc, char **argv)
{
	static uint8_t input[LONGEST];
	DIR *d = argc >= 2 ? opendir(argv[1]) : NULL;
	unsigned files = 0, found = 0;
	bool missing = false;
	struct dirent *e;
	while (d && (e = readdir(d))) {
		size_t len = e->d_name[0] == '.' ? 0 : read_file(argv[1], e->d_name, input);
		if (len == 0)
			continue;
		files++;
		try(input, len, DAMAGES);
	}
	if (d)
		closedir(d);
	for (int i = 2; i < argc; i++) {
		int n = try_kept(argv[i]);
		missing |= n < 0;
		found += n < 0 ? 0 : (unsigned)n;
	}
	printf("%u files, %u inputs that fuzzing found, each damaged %d or %d times\n", files, found, DAMAGES, DAMAGES / 10);
	return files && !missing ? 0 : 1;
}
