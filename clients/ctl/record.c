/* vitalsctl record: the raw bytes of a device into a file, with the time of each read.
 *
 * The file is text that `vitalsctl decode --hex` reads: a comment with the seconds since the start, then the bytes.
 *
 *	# vitalsctl record: nonin-df2, /dev/ttyUSB0, 9600 8N1
 *	# 0.000
 *	01 80 00 00 81 ... */
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

static const char help[] =
	"usage: vitalsctl record --plugin NAME DEVICE FILE [--line \"9600 8N1\"] [--for SECONDS]\n"
	"       vitalsctl record --line \"9600 8N1\" DEVICE FILE [--for SECONDS]\n\n"
	"What a device sends on a serial line, byte for byte with the time, until SECONDS are over or ^C. With a plugin the\n"
	"line is set as that plugin has it, and a device that must be asked is asked (no cuff is ever inflated). FILE may be\n"
	"- for standard output. Such a file belongs to a report of a fault: 'vitalsctl decode --hex' reads it.\n"
	"It holds all that the device sends, with some devices also a patient's number: look before you pass it on.\n";

struct record {
	const char *name, *line_text, *device, *path;
	const struct vs_plugin *plugin;
	void *state;
	struct vs_line line;
	double seconds; /* 0: until it is ended */
	int fd;
	FILE *out;
	unsigned long long bytes;
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void keep(struct record *r, double at, const uint8_t *buf, size_t len)
{
	fprintf(r->out, "# %.3f\n", at);
	for (size_t i = 0; i < len; i++)
		fprintf(r->out, "%02x%s", buf[i], i % 32 == 31 || i + 1 == len ? "\n" : " ");
	fflush(r->out);
	r->bytes += len;
}

static int ask(struct record *r, enum vs_transmit_why why)
{
	uint8_t buf[VS_TX_MAX];
	size_t n = r->plugin && r->plugin->transmit ? r->plugin->transmit(r->state, why, buf, sizeof buf) : 0;
	return n ? vs_line_write(r->fd, buf, n) : 0;
}

static int run(struct record *r)
{
	uint8_t buf[4096];
	double start = now(), poll_s = r->plugin && r->plugin->poll_ms ? r->plugin->poll_ms / 1e3 : 1e9, due = poll_s;
	int status = ask(r, VS_TX_CONNECT);
	for (double at = 0; status == 0 && !vs_line_ended() && (r->seconds == 0 || at < r->seconds); at = now() - start) {
		if (at >= due) {
			status = ask(r, VS_TX_POLL);
			due += poll_s;
		}
		ssize_t n = vs_line_read(r->fd, buf, sizeof buf, 100);
		if (n > 0)
			keep(r, now() - start, buf, (size_t)n);
		else if (n < 0)
			status = (int)n;
	}
	if (ferror(r->out))
		return vs_ctl_fail("cannot write %s", r->path);
	fprintf(stderr, "vitalsctl: %llu bytes recorded%s\n", r->bytes,
		status == -EPIPE ? "; the line was closed from the other side" : "");
	return status == 0 || status == -EPIPE ? VS_EXIT_DONE : vs_ctl_fail("%s: %s", r->device, strerror(-status));
}

static int open_both(struct record *r)
{
	r->fd = open(r->device, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (r->fd < 0)
		return vs_ctl_fail("cannot open %s: %s", r->device, strerror(errno));
	int error = vs_line_set(r->fd, &r->line);
	if (error)
		return vs_ctl_fail("%s cannot be set to %u %u%c%u: %s", r->device, r->line.baud, r->line.data_bits,
				   r->line.parity, r->line.stop_bits, strerror(-error));
	bool to_stdout = strcmp(r->path, "-") == 0;
	int fd = to_stdout ? dup(STDOUT_FILENO) : open(r->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r->out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!r->out)
		return vs_ctl_fail("cannot write %s: %s", r->path, strerror(errno));
	fprintf(r->out, "# vitalsctl record: %s, %s, %u %u%c%u\n", r->name ? r->name : "no plugin", r->device,
		r->line.baud, r->line.data_bits, r->line.parity, r->line.stop_bits);
	return VS_EXIT_DONE;
}

static int choose(struct record *r)
{
	char why[512] = "";
	r->plugin = r->name ? vs_plugin_load(r->name, why, sizeof why) : NULL;
	if (r->name && !r->plugin)
		return *why ? vs_ctl_fail("%s", why) :
			      vs_ctl_usage("there is no plugin '%s' to record with; 'vitalsctl plugins' lists them", r->name);
	r->line = r->plugin ? r->plugin->line : (struct vs_line){ 9600, 'N', 8, 1 };
	if (r->line_text && vs_line_parse(r->line_text, &r->line) != 0)
		return vs_ctl_usage("--line wants \"SPEED BITS PARITY STOP\" like \"9600 8N1\", not '%s'", r->line_text);
	r->state = calloc(1, r->plugin ? r->plugin->state_size + 1 : 1);
	if (!r->state)
		return vs_ctl_fail("out of memory");
	if (r->plugin && r->plugin->init && r->plugin->init(r->state, NULL) != 0)
		return vs_ctl_fail("plugin %s needs options: record with --line", r->name);
	return VS_EXIT_DONE;
}

static int arguments(struct record *r, int argc, char **argv)
{
	static const struct option known[] = {
		{ "plugin", required_argument, NULL, 'p' }, { "line", required_argument, NULL, 'l' },
		{ "for", required_argument, NULL, 'f' },    { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	char *end = NULL;
	optind = 1;
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, ":", known, NULL)) != -1;)
		switch (c) {
		case 'p': r->name = optarg; break;
		case 'l': r->line_text = optarg; break;
		case 'h': return -1;
		case 'f':
			r->seconds = strtod(optarg, &end);
			if (end == optarg || *end || !(r->seconds > 0))
				return vs_ctl_usage("--for wants seconds above 0, not '%s'", optarg);
			break;
		case ':': return vs_ctl_usage("record: %s needs a value", argv[optind - 1]);
		default: return vs_ctl_usage("record: there is no option '%s'", argv[optind - 1]);
		}
	if (argc - optind != 2 || (!r->name && !r->line_text))
		return vs_ctl_usage("record wants --plugin NAME or --line \"9600 8N1\", the DEVICE and the FILE");
	r->device = argv[optind];
	r->path = argv[optind + 1];
	return 0;
}

int vs_ctl_record(int argc, char **argv)
{
	struct record r = { .fd = -1 };
	int status = arguments(&r, argc, argv);
	if (status == -1)
		return fputs(help, stdout) < 0 ? VS_EXIT_FAILED : VS_EXIT_DONE;
	if (status == 0)
		status = choose(&r);
	if (status == 0)
		status = open_both(&r);
	if (status == 0) {
		vs_line_catch_end();
		status = run(&r);
	}
	if (r.out && fclose(r.out) != 0 && status == 0)
		status = vs_ctl_fail("cannot write %s: %s", r.path, strerror(errno));
	if (r.fd >= 0)
		close(r.fd);
	free(r.state);
	return status;
}
