/* Fuzz target: a file that somebody gives to `vitals-sim --play`: pieces of bytes with times, or a refusal in words. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "clients/sim/recording.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* Each line in memory of its own, with its newline and a NUL as getline(3) gives it. */
static int line(const uint8_t *at, size_t len, unsigned number)
{
	struct vs_piece piece;
	const char *why = NULL;
	char *copy = malloc(len + 1);
	must(copy);
	memcpy(copy, at, len);
	copy[len] = '\0';
	int r = vs_recording_line(copy, number, &piece, &why);
	must(r == 0 || r == 1 || (r == -EBADMSG && why && *why));
	must(r != 0 || number == 1 || *copy == '#' || *copy == '\n');
	if (r == 1) {
		must(piece.at_ms >= 0 && piece.at_ms <= VS_RECORDING_LONGEST_MS && 2 * piece.len <= len);
		must(piece.bytes >= copy && piece.bytes + piece.len <= copy + len);
	}
	free(copy);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned number = 0;
	int r = 0;
	while (size && r >= 0) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end ? (size_t)(end + 1 - data) : size;
		r = line(data, len, ++number);
		data += len;
		size -= len;
	}
	return 0;
}
