/* vitalsctl modbus read: registers of a device in every form they could have. */
#include "clients/ctl/modbus.h"
#include "clients/ctl/ctl.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"usage: vitalsctl modbus read (--tcp HOST[:PORT] | --rtu PATH [--baud N] [--parity none|even|odd])\n"
	"                             [--unit N] [--table input|holding|discrete|coil] [--address A] [--count N]\n"
	"                             [--timeout MS] [--json]\n\n"
	"Reads registers and shows each as every type and order it could be. A * stands beside what a living adult\n"
	"could have; a fragment of configuration follows, guessed from the ranges alone: compare it with the\n"
	"display of the monitor before you use it.\n\n"
	"Addresses are those of the protocol: 40001 in a manual is --table holding --address 0.\n"
	"Without --unit 1, --table input, --address 0, --count 16, --timeout 500.\n"
	"Do not read a line on which vitalsd is polling: two masters disturb each other.\n";

static bool number(const char *text, unsigned long highest, unsigned *ret)
{
	char *end;
	errno = 0;
	unsigned long v = strtoul(text, &end, 0);
	if (errno || *end || !isdigit((unsigned char)*text) || v > highest)
		return false;
	*ret = (unsigned)v;
	return true;
}

bool ctl_range(const char *text, unsigned highest, unsigned *from, unsigned *to)
{
	char first[32];
	const char *dash = strchr(text, '-');
	size_t n = dash ? (size_t)(dash - text) : strlen(text);
	if (n >= sizeof first)
		return false;
	memcpy(first, text, n);
	first[n] = '\0';
	if (!number(first, highest, from) || !number(dash ? dash + 1 : first, highest, to))
		return false;
	return *from <= *to;
}

/* HOST, HOST:PORT, [::1]:PORT */
static int take_host(struct ctl_modbus *m, const char *text)
{
	const char *end = strrchr(text, ':'), *first = text;
	size_t n = strlen(text);
	m->port = 502;
	if (*text == '[') {
		first++;
		const char *close = strchr(text, ']');
		if (!close || (close[1] && close[1] != ':'))
			return vs_ctl_usage("--tcp wants HOST[:PORT], not '%s'", text);
		n = (size_t)(close - first);
		end = close[1] ? close + 1 : NULL;
	} else if (end && strchr(text, ':') != end) {
		end = NULL; /* an IPv6 address without a port */
	} else if (end) {
		n = (size_t)(end - text);
	}
	if (n == 0 || n >= sizeof m->host || (end && (!number(end + 1, 65535, &m->port) || m->port == 0)))
		return vs_ctl_usage("--tcp wants HOST[:PORT], not '%s'", text);
	memcpy(m->host, first, n);
	m->host[n] = '\0';
	return 0;
}

static int take_parity(struct ctl_modbus *m, const char *text)
{
	static const char *const words[] = { "none", "even", "odd" };
	for (unsigned i = 0; i < 3; i++)
		if (!strcmp(text, words[i])) {
			m->line.parity = "NEO"[i];
			m->line_given = true;
			return 0;
		}
	return vs_ctl_usage("--parity is none, even or odd, not '%s'", text);
}

int ctl_modbus_option(struct ctl_modbus *m, int c, const char *value)
{
	switch (c) {
	case 't': return take_host(m, value);
	case 'p': return take_parity(m, value);
	case 'r':
		if (strlen(value) >= sizeof m->path)
			return vs_ctl_usage("the path of --rtu is too long");
		strcpy(m->path, value);
		return 0;
	case 'b':
		m->line_given = true;
		if (number(value, 921600, &m->line.baud) && m->line.baud)
			return 0;
		return vs_ctl_usage("--baud wants a speed, not '%s'", value);
	case 'u': return number(value, 255, &m->unit) ? 0 : vs_ctl_usage("--unit is 0 to 255, not '%s'", value);
	case 'o':
		if (number(value, 60000, &m->timeout_ms) && m->timeout_ms)
			return 0;
		return vs_ctl_usage("--timeout wants milliseconds, not '%s'", value);
	default: return 1;
	}
}

int ctl_modbus_complete(const struct ctl_modbus *m, const char *command)
{
	if (!*m->host == !*m->path)
		return vs_ctl_usage("%s needs either --tcp HOST[:PORT] or --rtu PATH", command);
	return 0;
}

const char *ctl_modbus_place(const struct ctl_modbus *m, char *buf)
{
	if (*m->host)
		sprintf(buf, "%s port %u", m->host, m->port);
	else
		sprintf(buf, "%s %u %u%c%u", m->path, m->line.baud, m->line.data_bits, m->line.parity,
			m->line.stop_bits);
	return buf;
}

int ctl_modbus_open(struct ctl_modbus *m)
{
	char place[300], port[8];
	snprintf(port, sizeof port, "%u", m->port);
	m->context = *m->host ? modbus_new_tcp_pi(m->host, port)
			      : modbus_new_rtu(m->path, (int)m->line.baud, m->line.parity, m->line.data_bits,
					       m->line.stop_bits);
	if (!m->context)
		return vs_ctl_fail("%s: %s", ctl_modbus_place(m, place), modbus_strerror(errno)), -1;
	modbus_set_response_timeout(m->context, m->timeout_ms / 1000, m->timeout_ms % 1000 * 1000);
	modbus_set_error_recovery(m->context, MODBUS_ERROR_RECOVERY_PROTOCOL);
	if (modbus_connect(m->context) == 0)
		return 0;
	vs_ctl_fail("cannot open %s: %s", ctl_modbus_place(m, place), modbus_strerror(errno));
	modbus_free(m->context);
	m->context = NULL;
	return -1;
}

void ctl_modbus_close(struct ctl_modbus *m)
{
	if (!m->context)
		return;
	modbus_close(m->context);
	modbus_free(m->context);
	m->context = NULL;
}

int ctl_modbus_read(struct ctl_modbus *m, enum vs_table t, unsigned address, unsigned count, uint16_t *words)
{
	uint8_t bits[VS_MODBUS_BITS_MAX];
	int a = (int)address, n = (int)count, r = -1;
	modbus_set_slave(m->context, (int)m->unit);
	errno = 0;
	switch (t) {
	case VS_COIL: r = modbus_read_bits(m->context, a, n, bits); break;
	case VS_DISCRETE: r = modbus_read_input_bits(m->context, a, n, bits); break;
	case VS_HOLDING: r = modbus_read_registers(m->context, a, n, words); break;
	case VS_INPUT: r = modbus_read_input_registers(m->context, a, n, words); break;
	}
	if (r < 0)
		return errno ? -errno : -EIO;
	for (unsigned i = 0; t <= VS_DISCRETE && i < count; i++)
		words[i] = bits[i];
	return 0;
}

unsigned ctl_modbus_exception(int error)
{
	return -error > MODBUS_ENOBASE && -error < MODBUS_ENOBASE + MODBUS_EXCEPTION_MAX
		       ? (unsigned)(-error - MODBUS_ENOBASE)
		       : 0;
}

const char *ctl_modbus_why(int error)
{
	static char text[120];
	unsigned code = ctl_modbus_exception(error);
	if (!code)
		return -error == ETIMEDOUT ? "no answer" : modbus_strerror(-error);
	snprintf(text, sizeof text, "exception %u, %s", code, vs_modbus_exception_text((uint8_t)code));
	return text;
}

static const char *const tables[] = { [VS_COIL] = "coil", [VS_DISCRETE] = "discrete", [VS_HOLDING] = "holding",
				      [VS_INPUT] = "input" };

const char *ctl_table_name(enum vs_table t)
{
	return tables[t];
}

static int take_table(const char *text, enum vs_table *ret)
{
	for (enum vs_table t = VS_COIL; t <= VS_INPUT; t++)
		if (!strcmp(text, tables[t])) {
			*ret = t;
			return 0;
		}
	return vs_ctl_usage("--table is input, holding, discrete or coil, not '%s'", text);
}

struct wanted {
	enum vs_table table;
	unsigned address, count;
	bool json, help;
};

static int arguments(struct ctl_modbus *m, struct wanted *w, int argc, char **argv)
{
	static const struct option known[] = {
		CTL_MODBUS_OPTIONS,
		{ "table", required_argument, NULL, 'T' },
		{ "address", required_argument, NULL, 'a' },
		{ "count", required_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c, r = 0;
	optind = 1;
	opterr = 0;
	while (r == 0 && (c = getopt_long(argc, argv, ":", known, NULL)) != -1)
		switch (c) {
		case 'T': r = take_table(optarg, &w->table); break;
		case 'a':
			r = number(optarg, 65535, &w->address)
				    ? 0
				    : vs_ctl_usage("--address is 0 to 65535, not '%s'", optarg);
			break;
		case 'n':
			r = number(optarg, VS_MODBUS_BITS_MAX, &w->count)
				    ? 0
				    : vs_ctl_usage("--count wants a number, not '%s'", optarg);
			break;
		case 'j': w->json = true; break;
		case 'h': w->help = true; return 0;
		case ':': return vs_ctl_usage("modbus read: %s needs a value", argv[optind - 1]);
		case '?': return vs_ctl_usage("modbus read: there is no option '%s'", argv[optind - 1]);
		default: r = ctl_modbus_option(m, c, optarg);
		}
	if (r)
		return r;
	if (argc > optind)
		return vs_ctl_usage("modbus read: '%s' is too much", argv[optind]);
	unsigned most = w->table <= VS_DISCRETE ? VS_MODBUS_BITS_MAX : VS_MODBUS_REGISTERS_MAX;
	if (w->count < 1 || w->count > most || w->address + w->count > 65536)
		return vs_ctl_usage("--count is 1 to %u in this table, and %u + --count at most 65536", most,
				    w->address);
	return ctl_modbus_complete(m, "modbus read");
}

int vs_ctl_modbus(int argc, char **argv)
{
	struct ctl_modbus m = { .unit = 1, .timeout_ms = 500, .line = { 9600, 'N', 8, 1 } };
	struct wanted w = { .table = VS_INPUT, .count = 16 };
	uint16_t words[VS_MODBUS_BITS_MAX];
	char place[300];
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return fputs(help, stdout) < 0 ? VS_EXIT_FAILED : VS_EXIT_DONE;
	if (argc < 2 || strcmp(argv[1], "read"))
		return vs_ctl_usage("modbus wants 'read'");
	int r = arguments(&m, &w, argc - 1, argv + 1);
	if (w.help)
		return fputs(help, stdout) < 0 ? VS_EXIT_FAILED : VS_EXIT_DONE;
	if (r)
		return r;
	if (ctl_modbus_open(&m) < 0)
		return VS_EXIT_FAILED;
	r = ctl_modbus_read(&m, w.table, w.address, w.count, words);
	ctl_modbus_close(&m);
	if (r < 0)
		return vs_ctl_fail("unit %u at %s, %s %u..%u: %s", m.unit, ctl_modbus_place(&m, place),
				   ctl_table_name(w.table), w.address, w.address + w.count - 1, ctl_modbus_why(r));
	ctl_modbus_show(&m, w.table, w.address, words, w.count, w.json);
	return VS_EXIT_DONE;
}
