/* vitalsctl decode: the bytes of a device through its plugin, what they mean on stdout. */
#include "clients/ctl/ctl.h"
#include "clients/ctl/line.h"
#include "config/plugin_dir.h"
#include "config/config.h"
#include "core/event.h"
#include "plugins/feed.h"
#include "plugins/modbus/modbus.h"
#include "plugins/registry.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SETTINGS_MAX 16

static const char help[] =
	"usage: vitalsctl decode --plugin NAME [FILE] [--json] [--hex] [--chunk N] [--option NAME=VALUE]...\n\n"
	"The bytes of a device, from a file, a serial line or (no FILE, or -) standard input, through its plugin. A serial\n"
	"line is set as the plugin has it, a device that must be asked is asked (no cuff is ever inflated), and ^C ends it.\n\n"
	"  --plugin NAME          see 'vitalsctl plugins'\n"
	"  --option NAME=VALUE    a setting of the plugin, as under `options:` in the configuration\n"
	"  --hex                  FILE is text: pairs of hex digits, anything from # to the end of the line is skipped\n"
	"  --chunk N              feed N bytes at a time; the result is the same\n"
	"  --line \"9600 8N1\"      other settings of a serial line\n"
	"  --json                 one observation a line\n";

struct decode {
	struct vs_plugin_setting settings[SETTINGS_MAX + 1];
	size_t settings_len, chunk;
	const struct vs_plugin *plugin;
	const char *name, *path, *line_text;
	int line; /* the serial line that is listened to, or -1 */
	bool json, hex;
	/* --hex: half a byte that waits for its second digit, and whether a comment is open */
	int nibble;
	bool comment;
	uint64_t frames; /* frames shown so far, for the person's form */
	uint64_t end;    /* offset of the end of the last frame */
};

static void print_json(const struct vs_feed *f, uint64_t unit, const struct vs_reading *r, const struct vs_obs *o)
{
	char text[1024], name[64];
	struct vs_json j = vs_json_into(text, sizeof text);
	vs_json_open(&j, '{');
	vs_json_key(&j, "offset"), vs_json_uint(&j, f->offset);
	vs_json_key(&j, "frame"), vs_json_uint(&j, unit);
	vs_json_key(&j, "metric"), vs_json_string(&j, vs_metrics[o->metric].name);
	vs_json_key(&j, "value");
	if (o->word)
		vs_json_string(&j, o->word);
	else if (o->has_value)
		vs_json_number(&j, o->value);
	else
		vs_json_null(&j);
	vs_json_key(&j, "unit"), vs_json_string(&j, *vs_metrics[o->metric].unit ? vs_metrics[o->metric].unit : NULL);
	vs_json_key(&j, "flags");
	vs_json_open(&j, '[');
	for (uint64_t set = o->flags | r->flags; set; set &= set - 1)
		if (vs_obs_flag_text(r, o, (unsigned)__builtin_ctzll(set), name))
			vs_json_string(&j, name);
	vs_json_close(&j, ']');
	vs_json_close(&j, '}');
	puts(text);
}

/* Up to 20 bytes of a frame; a longer one is cut with dots. */
static void print_bytes(const struct vs_feed *f)
{
	if (f->plugin->identifies) {
		printf("%8" PRIu64 "  %-60s", f->offset - f->frame_len, "(bytes not shown: they can name a patient)");
		return;
	}
	size_t shown = f->frame_len > 20 ? 19 : f->frame_len;
	printf("%8" PRIu64 "  ", f->offset - f->frame_len);
	for (size_t i = 0; i < shown; i++)
		printf("%02x ", f->frame[i]);
	printf("%*s", (int)(3 * (20 - shown)), f->frame_len > 20 ? ".. " : "");
}

static void print_obs(const struct vs_reading *r, const struct vs_obs *o)
{
	const struct vs_metric_info *m = &vs_metrics[o->metric];
	char name[64];
	if (o->word)
		printf(" %s %s", m->name, o->word);
	else if (o->has_value)
		printf(" %s %.*f%s%s", m->name, m->decimals, o->value, *m->unit && strcmp(m->unit, "1") ? " " : "",
		       strcmp(m->unit, "1") ? m->unit : "");
	else
		printf(" %s -", m->name);
	const char *before = " (";
	for (uint64_t set = o->flags | r->flags; set; set &= set - 1)
		if (vs_obs_flag_text(r, o, (unsigned)__builtin_ctzll(set), name)) {
			printf("%s%s", before, name);
			before = ", ";
		}
	if (before[0] == ',')
		putchar(')');
}

static void print_gap(struct decode *d, const struct vs_feed *f)
{
	uint64_t start = f->offset - f->frame_len;
	if (start > d->end)
		printf("%8" PRIu64 "  %" PRIu64 " bytes that belong to no frame\n", d->end, start - d->end);
	d->end = f->offset;
}

static void on_unit(void *ctx, const struct vs_feed *f, uint64_t unit, const struct vs_reading *r)
{
	struct decode *d = ctx;
	if (d->json) {
		for (unsigned i = 0; i < r->len; i++)
			print_json(f, unit, r, &r->obs[i]);
		return;
	}
	print_gap(d, f);
	print_bytes(f);
	printf("|");
	for (unsigned i = 0; i < r->len; i++) {
		fputs(i ? "," : "", stdout);
		print_obs(r, &r->obs[i]);
	}
	puts(r->len ? "" : " a reading without values");
	d->frames = f->frames;
}

static void ask(const struct decode *d, struct vs_feed *f, enum vs_transmit_why why)
{
	uint8_t buf[VS_TX_MAX];
	size_t n = d->line >= 0 && d->plugin->transmit ? d->plugin->transmit(f->state, why, buf, sizeof buf) : 0;
	if (n && vs_line_write(d->line, buf, n) != 0)
		fprintf(stderr, "vitalsctl: %s: cannot send\n", d->path);
}

static void on_frame(void *ctx, struct vs_feed *f)
{
	struct decode *d = ctx;
	ask(d, f, VS_TX_REPLY);
	if (d->json || d->frames == f->frames)
		return;
	print_gap(d, f);
	print_bytes(f);
	puts("| no reading");
	d->frames = f->frames;
}

/* Digits become bytes in place.  Negative: a character that is neither digit nor space. */
static ssize_t from_hex(struct decode *d, uint8_t *buf, size_t len)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		uint8_t c = buf[i];
		if (c == '#' || c == '\n')
			d->comment = c == '#';
		if (d->comment || isspace(c))
			continue;
		if (!isxdigit(c))
			return -EINVAL;
		int digit = isdigit(c) ? c - '0' : tolower(c) - 'a' + 10;
		if (d->nibble < 0) {
			d->nibble = digit;
			continue;
		}
		buf[n++] = (uint8_t)(d->nibble << 4 | digit);
		d->nibble = -1;
	}
	return (ssize_t)n;
}

static void feed(struct decode *d, struct vs_feed *f, const uint8_t *buf, size_t len)
{
	size_t chunk = d->chunk ? d->chunk : len;
	for (size_t at = 0; at < len; at += chunk)
		vs_feed_bytes(f, buf + at, chunk < len - at ? chunk : len - at, on_unit, on_frame, d);
}

static int read_all(struct decode *d, struct vs_feed *f, int fd)
{
	uint8_t buf[65536];
	for (;;) {
		ssize_t n = read(fd, buf, sizeof buf);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vs_ctl_fail("cannot read %s: %s", d->path, strerror(errno));
		if (n == 0)
			return VS_EXIT_DONE;
		if (d->hex)
			n = from_hex(d, buf, (size_t)n);
		if (n < 0)
			return vs_ctl_fail("%s is not hex text; leave out --hex if it holds the bytes themselves",
					   d->path);
		feed(d, f, buf, (size_t)n);
		if (fflush(stdout) != 0) /* a live line is watched as it comes */
			return vs_ctl_fail("cannot write: %s", strerror(errno));
	}
}

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* A device on the line, until somebody ends it or the line goes. */
static int listen_to(struct decode *d, struct vs_feed *f, int fd)
{
	struct vs_line line = d->plugin->line.baud ? d->plugin->line : (struct vs_line){ 9600, 'N', 8, 1 };
	uint8_t buf[4096];
	if (d->line_text && vs_line_parse(d->line_text, &line) != 0)
		return vs_ctl_usage("--line wants \"SPEED BITS PARITY STOP\" like \"9600 8N1\", not '%s'", d->line_text);
	int error = vs_line_set(fd, &line);
	if (error)
		return vs_ctl_fail("%s cannot be set to %u %u%c%u: %s", d->path, line.baud, line.data_bits, line.parity,
				   line.stop_bits, strerror(-error));
	vs_line_catch_end();
	d->line = fd;
	ask(d, f, VS_TX_CONNECT);
	uint64_t due = d->plugin->poll_ms ? now_ms() + d->plugin->poll_ms : UINT64_MAX;
	while (!vs_line_ended()) {
		if (now_ms() >= due) {
			vs_feed_poll(f, on_unit, d);
			ask(d, f, VS_TX_POLL);
			due += d->plugin->poll_ms;
		}
		ssize_t n = vs_line_read(fd, buf, sizeof buf, 100);
		if (n == -EPIPE)
			break;
		if (n < 0)
			return vs_ctl_fail("cannot read %s: %s", d->path, strerror((int)-n));
		feed(d, f, buf, (size_t)n);
		if (fflush(stdout) != 0)
			return vs_ctl_fail("cannot write: %s", strerror(errno));
	}
	return VS_EXIT_DONE;
}

static void count(const struct decode *d, const struct vs_feed *f)
{
	fprintf(stderr,
		"vitalsctl: %s: %" PRIu64 " bytes, %" PRIu64 " frames, %" PRIu64 " readings; dropped %" PRIu64
		" bytes, %" PRIu64 " frames rejected",
		d->plugin->name, f->offset, f->frames, f->units, f->dropped, f->rejected);
	if (f->offset && !f->frames)
		fputs("; nothing was understood: another plugin, or other line settings?", stderr);
	if (f->gate.times)
		fprintf(stderr,
			"; the line is noisy: of numbers that nothing confirmed, %" PRIu64 " were held back and %" PRIu64
			" marked (both `questionable`)",
			f->gate.held, f->gate.marked);
	fputc('\n', stderr);
}

/* --option profile=NAME of plugin modbus: reading a profile is no work for a plugin. */
static int use_profile(struct decode *d, void *state)
{
	const char *name = vs_plugin_setting(d->settings, "profile");
	struct vs_findings f = { 0 };
	struct vs_register_map map;
	if (!name || strcmp(d->plugin->name, "modbus") != 0)
		return VS_EXIT_DONE;
	if (vs_profile_load(name, &map, &f) != 0) {
		for (unsigned i = 0; i < f.len; i++)
			fprintf(stderr, "vitalsctl: profile %s: %s\n", name, f.at[i].text);
		vs_findings_clear(&f);
		return VS_EXIT_USAGE;
	}
	return vs_modbus_decode_with(state, &map) == 0
		       ? VS_EXIT_DONE
		       : vs_ctl_usage("the given request does not reach all registers of profile %s", name);
}

static int run(struct decode *d)
{
	struct stat st;
	bool is_device = strcmp(d->path, "-") != 0 && stat(d->path, &st) == 0 && S_ISCHR(st.st_mode);
	int flags = (is_device ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY; /* a file is never opened for writing */
	int fd = strcmp(d->path, "-") == 0 ? STDIN_FILENO : open(d->path, flags);
	if (fd < 0 && is_device) /* nothing can be sent then, but a device that only talks is heard */
		fd = open(d->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	bool is_line = is_device && isatty(fd);
	if (fd < 0)
		return vs_ctl_fail("cannot open %s: %s", d->path, strerror(errno));
	void *state = calloc(1, d->plugin->state_size + 1);
	struct vs_feed *f = malloc(sizeof *f);
	int status = VS_EXIT_FAILED;
	if (!state || !f)
		vs_ctl_fail("out of memory");
	else if (vs_feed_init(f, d->plugin, state, d->settings) != 0)
		status = vs_ctl_usage("plugin %s refuses these options%s", d->plugin->name, strcmp(d->plugin->name, "modbus") ?
			"; 'vitalsctl plugins' says what each may be" :
			": it needs --option profile=NAME, or --option registers='spo2 holding 6 u8hi invalid=0; pr holding 7 u32'");
	else if ((status = use_profile(d, state)) != VS_EXIT_DONE)
		; /* said */
	else if ((status = is_line ? listen_to(d, f, fd) : read_all(d, f, fd)) == VS_EXIT_DONE) {
		vs_feed_flush(f, on_unit, on_frame, d);
		vs_feed_settle(f, on_unit, d);
		count(d, f);
	}
	free(f);
	free(state);
	if (fd != STDIN_FILENO)
		close(fd);
	return status;
}

static int add_setting(struct decode *d, char *text)
{
	char *equals = strchr(text, '=');
	if (!equals || equals == text)
		return vs_ctl_usage("--option wants NAME=VALUE, not '%s'", text);
	if (d->settings_len == SETTINGS_MAX)
		return vs_ctl_usage("more than %d options", SETTINGS_MAX);
	*equals = '\0';
	d->settings[d->settings_len++] = (struct vs_plugin_setting){ text, equals + 1 };
	return VS_EXIT_DONE;
}

static int set_chunk(struct decode *d, const char *text)
{
	char *end;
	errno = 0;
	unsigned long n = strtoul(text, &end, 10);
	if (errno || *end || !isdigit((unsigned char)text[0]) || n == 0)
		return vs_ctl_usage("--chunk wants a number of bytes from 1 up, not '%s'", text);
	d->chunk = n;
	return VS_EXIT_DONE;
}

/* 0, or the exit status with its complaint said; -1: only the help was wanted. */
static int arguments(struct decode *d, int argc, char **argv)
{
	static const struct option known[] = {
		{ "plugin", required_argument, NULL, 'p' }, { "json", no_argument, NULL, 'j' },
		{ "chunk", required_argument, NULL, 'c' },  { "option", required_argument, NULL, 'o' },
		{ "hex", no_argument, NULL, 'x' },          { "line", required_argument, NULL, 'l' }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c, status = 0;
	optind = 1;
	opterr = 0;
	while (status == 0 && (c = getopt_long(argc, argv, ":", known, NULL)) != -1)
		switch (c) {
		case 'p': d->name = optarg; break;
		case 'l': d->line_text = optarg; break;
		case 'j': d->json = true; break;
		case 'x': d->hex = true; break;
		case 'c': status = set_chunk(d, optarg); break;
		case 'o': status = add_setting(d, optarg); break;
		case 'h': return -1;
		case ':': return vs_ctl_usage("decode: %s needs a value", argv[optind - 1]);
		default: return vs_ctl_usage("decode: there is no option '%s'", argv[optind - 1]);
		}
	if (status)
		return status;
	if (!d->name)
		return vs_ctl_usage("decode needs --plugin NAME ('vitalsctl plugins' lists them)");
	if (argc - optind > 1)
		return vs_ctl_usage("decode takes one FILE");
	d->path = optind < argc ? argv[optind] : "-";
	return 0;
}

int vs_ctl_decode(int argc, char **argv)
{
	struct decode d = { .nibble = -1, .line = -1 };
	int status = arguments(&d, argc, argv);
	if (status == -1)
		return fputs(help, stdout) < 0 ? VS_EXIT_FAILED : VS_EXIT_DONE;
	if (status)
		return status;
	char why[512] = "";
	d.plugin = vs_plugin_load(d.name, why, sizeof why);
	if (!d.plugin && *why)
		return vs_ctl_fail("%s", why);
	if (!d.plugin)
		return vs_ctl_usage("there is no plugin '%s'; 'vitalsctl plugins' lists them", d.name);
	for (size_t i = 0; i < d.settings_len; i++)
		if (vs_plugin_check_setting(d.plugin, &d.settings[i], why, sizeof why) != 0)
			return vs_ctl_usage("%s", why);
	return run(&d);
}
