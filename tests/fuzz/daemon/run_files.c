/* A fuzz target as a test: every file of a folder, and deterministic damage of each.
 *
 *	run-files FOLDER */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int main(int argc, char **argv)
{
	static uint8_t seed[LONGEST], buf[LONGEST];
	DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
	unsigned files = 0;
	struct dirent *e;
	while (d && (e = readdir(d))) {
		size_t len = e->d_name[0] == '.' ? 0 : read_file(argv[1], e->d_name, seed);
		if (len == 0)
			continue;
		files++;
		LLVMFuzzerTestOneInput(seed, len);
		for (int i = 0; i < DAMAGES; i++) {
			size_t n = len;
			memcpy(buf, seed, len);
			do
				damage(buf, &n);
			while (random_below(3));
			LLVMFuzzerTestOneInput(buf, n);
		}
	}
	if (d)
		closedir(d);
	printf("%u files, %u damaged ones\n", files, files * DAMAGES);
	return files ? 0 : 1;
}
