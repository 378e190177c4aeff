/* Plays a recording through a pseudo terminal, at its own pace. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/sim/live.h"
#include "clients/sim/ports.h"
#include "clients/sim/pty.h"
#include "clients/sim/recording.h"

#define LINGER_MS 2000 /* for a reader to take the last bytes */
#define SETTLE_MS 100  /* the kernel moves bytes to the other end in its own time; only then do they count as unread */

static volatile sig_atomic_t asked_to_end;

static void on_signal(int sig)
{
	(void)sig;
	asked_to_end = 1;
}

static void wait_until(int64_t ms)
{
	for (int64_t now; !asked_to_end && (now = vs_sim_clock_ms()) < ms;)
		poll(NULL, 0, (int)(ms - now < 50 ? ms - now : 50));
}

/* All of them, waiting for the reader where the line is full: a recording is played whole. */
static void send_all(const struct vs_pty *p, const char *bytes, size_t len)
{
	while (len > 0 && !asked_to_end) {
		ssize_t n = write(p->fd, bytes, len);
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else {
			poll(NULL, 0, 5);
		}
	}
}

static int bad(const char *file, unsigned line, const char *what)
{
	fprintf(stderr, "vitals-sim: %s:%u: %s\n", file, line, what);
	return -EBADMSG;
}

static int play(FILE *f, const struct vs_pty *p, const struct vs_sim_options *o)
{
	char *line = NULL;
	size_t cap = 0;
	unsigned number = 0;
	int r = 0;
	int64_t from_ms = vs_sim_clock_ms();
	while (r == 0 && !asked_to_end && getline(&line, &cap, f) > 0) {
		struct vs_piece piece;
		const char *why;
		r = vs_recording_line(line, ++number, &piece, &why);
		if (r < 0)
			bad(o->play, number, why);
		if (r <= 0)
			continue;
		r = 0;
		wait_until(from_ms + (int64_t)(piece.at_ms / o->speed));
		send_all(p, piece.bytes, piece.len);
	}
	if (r == 0 && number == 0)
		r = bad(o->play, 1, "the recording is empty");
	free(line);
	return r;
}

int vs_sim_play(const struct vs_sim_options *o)
{
	struct sigaction end = { .sa_handler = on_signal };
	struct vs_pty p;
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	FILE *f = fopen(o->play, "r");
	int r = f ? vs_pty_open(&p, o->link) : -errno;
	if (r < 0) {
		fprintf(stderr, "vitals-sim: %s: %s\n", f ? o->link : o->play, strerror(-r));
		if (f)
			fclose(f);
		return r;
	}
	printf(o->json ? "{\"event\":\"ready\"}\n" : "ready\n");
	fflush(stdout);
	int64_t from_ms = vs_sim_clock_ms();
	r = play(f, &p, o);
	fclose(f);
	wait_until(vs_sim_clock_ms() + SETTLE_MS);
	for (int64_t until = vs_sim_clock_ms() + LINGER_MS; vs_pty_unread(&p) > 0 && vs_sim_clock_ms() < until;)
		wait_until(vs_sim_clock_ms() + 10);
	if (o->for_s > 0 && r == 0)
		wait_until(from_ms + (int64_t)(1000 * o->for_s));
	vs_pty_close(&p);
	return r;
}
