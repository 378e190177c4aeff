/* vitalsctl probe DEVICE: every setting of the line that a plugin has, one after the other. */
#include "clients/ctl/probe_line.h"
#include "clients/ctl/ctl.h"
#include "clients/ctl/line.h"
#include "config/plugin_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINES_MAX 32

struct line_probe {
	const char *device, *name, *line_text;
	char path[600]; /* whole, for the configuration */
	const struct vs_plugin *only;
	double seconds;
	bool talk, all, json;
	int fd;
	struct vs_line lines[LINES_MAX];
	size_t lines_len;
	/* of all that came */
	uint64_t bytes, zeros, text, high;
	struct vs_line_errors errors;
	struct ctl_candidates found;
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void say(const struct line_probe *p, const char *what, const struct vs_line *l)
{
	if (!p->json)
		fprintf(stderr, "%s at %u %u%c%u for %g s ...\n", what, l->baud, l->data_bits, l->parity, l->stop_bits,
			p->seconds);
}

/* No plugin's greeting starts a cuff, but the device is unknown yet: what is sent must not hold the start command of
 * any other. */
static bool starts_a_cuff(const uint8_t *bytes, size_t len)
{
	const struct vs_plugin *p;
	bool bad = false;
	for (size_t i = 0; !bad && (p = vs_plugin_at(i)); i++) {
		uint8_t start[VS_TX_MAX];
		void *state = p->transmit ? calloc(1, p->state_size + 1) : NULL;
		if (!state)
			continue;
		size_t n = !p->init || p->init(state, NULL) == 0 ? p->transmit(state, VS_TX_NIBP, start, sizeof start) : 0;
		bad = n && memmem(bytes, len, start, n);
		free(state);
	}
	return bad;
}

static void ask(struct line_probe *p, struct ctl_hearing *h, const struct vs_plugin *talker, enum vs_transmit_why why)
{
	uint8_t buf[VS_TX_MAX];
	void *state = talker ? ctl_hearing_state(h, talker) : NULL;
	size_t n = state ? talker->transmit(state, why, buf, sizeof buf) : 0;
	if (n && !starts_a_cuff(buf, n) && vs_line_write(p->fd, buf, n) != 0)
		fprintf(stderr, "vitalsctl: %s: cannot send\n", p->device);
}

static void look_at(struct line_probe *p, const uint8_t *buf, size_t len)
{
	p->bytes += len;
	for (size_t i = 0; i < len; i++) {
		p->zeros += buf[i] == 0;
		p->high += buf[i] >= 0x80;
		p->text += (buf[i] >= ' ' && buf[i] < 0x7F) || buf[i] == '\r' || buf[i] == '\n';
	}
}

/* Until the time is over.  0, or -errno; -EPIPE: the other side is gone. */
static int hear(struct line_probe *p, struct ctl_hearing *h, const struct vs_plugin *talker)
{
	uint8_t buf[4096];
	double end = now() + p->seconds, poll_s = talker && talker->poll_ms ? talker->poll_ms / 1e3 : 1e9;
	double due = now() + poll_s;
	ask(p, h, talker, VS_TX_CONNECT);
	for (double at = now(); at < end && !vs_line_ended(); at = now()) {
		if (at >= due) {
			ask(p, h, talker, VS_TX_POLL);
			due += poll_s;
		}
		uint64_t frames = talker ? ctl_hearing_frames(h, talker) : 0;
		ssize_t n = vs_line_read(p->fd, buf, sizeof buf, 50);
		if (n < 0)
			return (int)n;
		look_at(p, buf, (size_t)n);
		ctl_hearing_bytes(h, buf, (size_t)n);
		if (talker && ctl_hearing_frames(h, talker) != frames)
			ask(p, h, talker, VS_TX_REPLY);
	}
	return 0;
}

static int hearing(struct line_probe *p, const struct vs_line *line, const struct vs_plugin *talker)
{
	struct vs_line taken = *line;
	struct vs_line_errors before, after;
	int error = vs_line_set(p->fd, line);
	if (error) {
		fprintf(stderr, "vitalsctl: %s cannot be set to %u %u%c%u: %s\n", p->device, line->baud, line->data_bits,
			line->parity, line->stop_bits, strerror(-error));
		return 0;
	}
	vs_line_get(p->fd, &taken);
	struct ctl_hearing *h = ctl_hearing_new(p->only);
	if (!h)
		return vs_ctl_fail("out of memory");
	bool counted = vs_line_errors(p->fd, &before) == 0;
	int r = hear(p, h, talker);
	if (counted && vs_line_errors(p->fd, &after) == 0) {
		p->errors.framing += after.framing - before.framing;
		p->errors.parity += after.parity - before.parity;
		p->errors.breaks += after.breaks - before.breaks;
	}
	ctl_hearing_close(h, line, &taken, &p->found);
	ctl_hearing_free(h);
	return r == 0 || r == -EPIPE ? r : vs_ctl_fail("cannot read %s: %s", p->device, strerror(-r));
}

/* More settings would tell nothing new. */
static bool settled(const struct line_probe *p)
{
	const struct ctl_evidence *e = &p->found.at[0];
	return !p->all && p->found.len && e->own && e->frames >= 3 && ctl_evidence_grade(e) >= VS_LIKELY;
}

static int listen_at_all(struct line_probe *p)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < p->lines_len && !settled(p) && !vs_line_ended(); i++) {
		say(p, "listening", &p->lines[i]);
		r = hearing(p, &p->lines[i], NULL);
	}
	return r;
}

static int talk_to_all(struct line_probe *p)
{
	const struct vs_plugin *t;
	char what[64];
	int r = 0;
	for (size_t i = 0; r == 0 && (t = vs_plugin_at(i)) && !settled(p) && !vs_line_ended(); i++)
		if (t->transmit && t->line.baud && (!p->only || p->only == t)) {
			struct vs_line line = t->line;
			if (p->line_text)
				line = p->lines[0];
			snprintf(what, sizeof what, "asking as %s does", t->name);
			say(p, what, &line);
			r = hearing(p, &line, t);
		}
	return r;
}

static void add_line(struct line_probe *p, const struct vs_line *l)
{
	for (size_t i = 0; i < p->lines_len; i++)
		if (p->lines[i].baud == l->baud && p->lines[i].parity == l->parity && p->lines[i].data_bits == l->data_bits &&
		    p->lines[i].stop_bits == l->stop_bits)
			return;
	if (p->lines_len < LINES_MAX)
		p->lines[p->lines_len++] = *l;
}

static int choose_lines(struct line_probe *p)
{
	const struct vs_plugin *q;
	struct vs_line line = { 9600, 'N', 8, 1 };
	if (p->line_text && vs_line_parse(p->line_text, &line) != 0)
		return vs_ctl_usage("--line wants \"SPEED BITS PARITY STOP\" like \"9600 8N1\", not '%s'", p->line_text);
	if (p->line_text)
		add_line(p, &line);
	for (size_t i = 0; !p->line_text && (q = vs_plugin_at(i)); i++)
		if (q->line.baud && strcmp(q->name, "modbus") != 0 && (!p->only || p->only == q))
			add_line(p, &q->line);
	return 0;
}

/* What the configuration wants: the path from the root on, links as they are (names in /dev/serial/by-id stay). */
static void whole_path(struct line_probe *p)
{
	char folder[300];
	if (p->device[0] == '/' || !getcwd(folder, sizeof folder))
		snprintf(p->path, sizeof p->path, "%s", p->device);
	else
		snprintf(p->path, sizeof p->path, "%s/%s", folder, p->device);
}

static int open_line(struct line_probe *p)
{
	/* without --talk nothing can be sent, whatever happens; nobody waits for a carrier */
	p->fd = open(p->device, (p->talk ? O_RDWR : O_RDONLY) | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (p->fd < 0)
		return vs_ctl_fail("cannot open %s: %s", p->device, strerror(errno));
	if (!isatty(p->fd))
		return vs_ctl_fail("%s is not a serial line ('vitalsctl decode' reads files)", p->device);
	fcntl(p->fd, F_SETFL, fcntl(p->fd, F_GETFL) & ~O_NONBLOCK);
	return 0;
}

static int nothing_came(const struct line_probe *p)
{
	if (p->errors.breaks || p->errors.framing)
		return vs_ctl_fail("%s: no bytes, but %llu breaks and %llu framing errors: something pulls the line; are the "
				   "levels right (RS-232, TTL), and is ground connected?",
				   p->device, (unsigned long long)p->errors.breaks, (unsigned long long)p->errors.framing);
	return vs_ctl_fail("%s: nothing came. Is the device on and its output switched on (some need that in a menu)? Is "
			   "the cable in, and is it the right kind (straight or crossed)? Does another program, vitalsd for "
			   "one, read this port? A blood-pressure monitor may speak only after a measurement: start one "
			   "by hand and probe with --for 60%s",
			   p->device,
			   p->talk ? "." : ". Some devices speak only when they are asked: --talk asks (it starts no cuff).");
}

static int nobody_knows(const struct line_probe *p)
{
	const char *hint = "another speed or parity (--line), or a device that no plugin knows";
	if (p->errors.framing || p->errors.parity)
		hint = "framing and parity errors say that the speed or the parity is none of those tried (--line)";
	else if (p->zeros * 2 > p->bytes)
		hint = "mostly zeros: a break, a wrong speed, or wrong levels (RS-232 or TTL, ground not connected)";
	else if (p->text * 100 > p->bytes * 95)
		hint = "all of it is readable text, so the line is right; no plugin knows this text";
	return vs_ctl_fail("%s: %llu bytes came, and no plugin knows them (%llu %% text, %llu %% zero, %llu framing errors, "
			   "%llu parity errors, %llu breaks): %s. 'vitalsctl record' keeps them for a report.",
			   p->device, (unsigned long long)p->bytes, (unsigned long long)(100 * p->text / p->bytes),
			   (unsigned long long)(100 * p->zeros / p->bytes), (unsigned long long)p->errors.framing,
			   (unsigned long long)p->errors.parity, (unsigned long long)p->errors.breaks, hint);
}

static int run(struct line_probe *p)
{
	vs_line_catch_end();
	int r = listen_at_all(p);
	if (r == 0 && p->talk)
		r = talk_to_all(p);
	if (r > 0)
		return r;
	if (r == -EPIPE)
		fprintf(stderr, "vitalsctl: %s was closed from the other side\n", p->device);
	if (!p->bytes)
		return nothing_came(p);
	if (!ctl_candidates_good(&p->found))
		return nobody_knows(p);
	ctl_candidates_show(&p->found, p->path, p->json);
	return fflush(stdout) == 0 ? VS_EXIT_DONE : vs_ctl_fail("cannot write: %s", strerror(errno));
}

static int set_seconds(struct line_probe *p, const char *text)
{
	char *end;
	p->seconds = strtod(text, &end);
	return end != text && !*end && p->seconds > 0 && p->seconds <= 3600 ?
		       0 :
		       vs_ctl_usage("--for wants seconds above 0, at most 3600, not '%s'", text);
}

static int arguments(struct line_probe *p, int argc, char **argv)
{
	static const struct option known[] = {
		{ "for", required_argument, NULL, 'f' },  { "line", required_argument, NULL, 'l' },
		{ "talk", no_argument, NULL, 't' },       { "plugin", required_argument, NULL, 'p' },
		{ "all", no_argument, NULL, 'a' },        { "json", no_argument, NULL, 'j' }, { NULL, 0, NULL, 0 },
	};
	int c, status = 0;
	optind = 1;
	opterr = 0;
	while (status == 0 && (c = getopt_long(argc, argv, ":", known, NULL)) != -1)
		switch (c) {
		case 'f': status = set_seconds(p, optarg); break;
		case 'l': p->line_text = optarg; break;
		case 'p': p->name = optarg; break;
		case 't': p->talk = true; break;
		case 'a': p->all = true; break;
		case 'j': p->json = true; break;
		case ':': return vs_ctl_usage("probe: %s needs a value", argv[optind - 1]);
		default: return vs_ctl_usage("probe: there is no option '%s'", argv[optind - 1]);
		}
	if (status)
		return status;
	if (argc - optind != 1)
		return vs_ctl_usage("probe wants the DEVICE of a serial line, or --tcp HOST or --rtu PATH for Modbus");
	p->device = argv[optind];
	return 0;
}

static void complain(const char *words)
{
	fprintf(stderr, "vitalsctl: %s\n", words);
}

int ctl_probe_line(int argc, char **argv)
{
	static struct line_probe p = { .fd = -1, .seconds = 4 };
	int status = arguments(&p, argc, argv);
	if (status)
		return status;
	vs_plugin_load_all(complain);
	if (p.name && !(p.only = vs_plugin_find(p.name)))
		return vs_ctl_usage("there is no plugin '%s'; 'vitalsctl plugins' lists them", p.name);
	status = choose_lines(&p);
	if (status == 0)
		status = open_line(&p);
	whole_path(&p);
	if (status == 0)
		status = run(&p);
	if (p.fd >= 0)
		close(p.fd);
	return status;
}
