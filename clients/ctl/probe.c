/* vitalsctl probe: is there a Modbus device, at which unit, and which tables does it have?  Or what is it that talks on
 * a serial line (probe_line.h)? */
#include "clients/ctl/ctl.h"
#include "clients/ctl/modbus.h"
#include "clients/ctl/probe_line.h"
#include "core/json.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
	"usage: vitalsctl probe DEVICE [--for SECONDS] [--line \"9600 8N1\"] [--plugin NAME] [--all] [--talk] [--json]\n"
	"       vitalsctl probe (--tcp HOST[:PORT] | --rtu PATH [--baud N] [--parity none|even|odd])\n"
	"                       [--units A-B] [--timeout MS] [--json]\n\n"
	"DEVICE is a serial line, /dev/ttyUSB0 for example. Its bytes are heard at every line setting of the plugins and\n"
	"given to all of them; who understood them is shown, best first, with a fragment for the configuration.\n"
	"Nothing is sent. Do not probe a line that vitalsd reads: each would get half of the bytes.\n\n"
	"  --for SECONDS          for each setting (4); a blood-pressure monitor may speak only after a measurement\n"
	"  --line \"9600 8N1\"      this setting only\n"
	"  --plugin NAME          this plugin only\n"
	"  --all                  go on to the other settings when one has a good answer\n"
	"  --talk                 then ask as each plugin asks when it connects; never what starts a cuff. An unknown device\n"
	"                         may take it for something else: no patient on the cuff or the sensor meanwhile\n\n"
	"With --tcp or --rtu, Modbus: asks each unit for one register of each table. A unit that says no is there, too. On a serial line without\n"
	"--baud and --parity the usual speeds are tried in turn. Registers are then shown by\n"
	"'vitalsctl modbus read --unit N'.\n\n"
	"Without --units 1-16, --timeout 200. Do not probe a line on which vitalsd is polling.\n";

struct probe {
	struct ctl_modbus m;
	unsigned from, to, found;
	bool json, help;
};

/* "input" where it has values, "holding: exception 2, ..." where it says no. */
static void describe(struct probe *p, const int *result)
{
	char place[300], text[1024];
	ctl_modbus_place(&p->m, place);
	struct vs_json j = vs_json_into(text, sizeof text);
	vs_json_open(&j, '{');
	vs_json_key(&j, "place"), vs_json_string(&j, place);
	vs_json_key(&j, "unit"), vs_json_uint(&j, p->m.unit);
	vs_json_key(&j, "tables");
	vs_json_open(&j, '{');
	for (enum vs_table t = VS_COIL; t <= VS_INPUT; t++)
		vs_json_key(&j, ctl_table_name(t)),
			vs_json_string(&j, result[t] == 0 ? "answers" : ctl_modbus_why(result[t]));
	vs_json_close(&j, '}');
	vs_json_close(&j, '}');
	if (p->json) {
		puts(text);
		return;
	}
	printf("unit %u at %s\n", p->m.unit, place);
	for (enum vs_table t = VS_COIL; t <= VS_INPUT; t++)
		printf("    %-9s %s\n", ctl_table_name(t), result[t] == 0 ? "answers" : ctl_modbus_why(result[t]));
}

/* True: somebody answers to this number.  Silence to the first question is enough to go on. */
static bool ask_unit(struct probe *p)
{
	int result[VS_INPUT + 1];
	uint16_t word[1];
	bool there = false;
	for (enum vs_table t = VS_INPUT; t >= VS_COIL; t--) {
		result[t] = ctl_modbus_read(&p->m, t, 0, 1, word);
		there |= result[t] == 0 || ctl_modbus_exception(result[t]);
		/* gateways answer for a silent unit: 0A, 0B */
		if (!there || ctl_modbus_exception(result[t]) == 10 || ctl_modbus_exception(result[t]) == 11)
			return false;
		if (result[t] == -EPIPE || result[t] == -ECONNRESET || result[t] == -EBADF)
			return false;
	}
	describe(p, result);
	return true;
}

static int probe_place(struct probe *p)
{
	char place[300];
	if (ctl_modbus_open(&p->m) < 0)
		return -1;
	if (!p->json)
		fprintf(stderr, "probing %s, units %u to %u ...\n", ctl_modbus_place(&p->m, place), p->from, p->to);
	for (p->m.unit = p->from; p->m.unit <= p->to; p->m.unit++)
		p->found += ask_unit(p);
	ctl_modbus_close(&p->m);
	return 0;
}

static int probe_lines(struct probe *p)
{
	static const struct vs_line usual[] = {
		{ 9600, 'N', 8, 1 },  { 9600, 'E', 8, 1 },   { 19200, 'E', 8, 1 }, { 19200, 'N', 8, 1 },
		{ 38400, 'N', 8, 1 }, { 115200, 'N', 8, 1 }, { 4800, 'N', 8, 1 },  { 2400, 'N', 8, 1 },
	};
	for (size_t i = 0; i < sizeof usual / sizeof *usual && !p->found; i++) {
		p->m.line = usual[i];
		if (probe_place(p) < 0)
			return -1;
	}
	return 0;
}

static int arguments(struct probe *p, int argc, char **argv)
{
	static const struct option known[] = {
		CTL_MODBUS_OPTIONS, { "units", required_argument, NULL, 'U' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	int c, r = 0;
	optind = 1;
	opterr = 0;
	while (r == 0 && (c = getopt_long(argc, argv, ":", known, NULL)) != -1)
		switch (c) {
		case 'U':
			if (!ctl_range(optarg, 255, &p->from, &p->to))
				return vs_ctl_usage("--units wants A-B within 0 to 255, not '%s'", optarg);
			break;
		case 'u':
			r = ctl_modbus_option(&p->m, c, optarg);
			p->from = p->to = p->m.unit;
			break;
		case 'j': p->json = true; break;
		case 'h': p->help = true; return 0;
		case ':': return vs_ctl_usage("probe: %s needs a value", argv[optind - 1]);
		case '?': return vs_ctl_usage("probe: there is no option '%s'", argv[optind - 1]);
		default: r = ctl_modbus_option(&p->m, c, optarg);
		}
	if (r)
		return r;
	if (argc > optind)
		return vs_ctl_usage("probe: '%s' is too much", argv[optind]);
	return ctl_modbus_complete(&p->m, "probe");
}

static bool is_modbus(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--tcp", 5) == 0 || strncmp(argv[i], "--rtu", 5) == 0 || strcmp(argv[i], "--help") == 0)
			return true;
	return false;
}

int vs_ctl_probe(int argc, char **argv)
{
	if (!is_modbus(argc, argv))
		return ctl_probe_line(argc, argv);
	struct probe p = { .m = { .timeout_ms = 200, .line = { 9600, 'N', 8, 1 } }, .from = 1, .to = 16 };
	int r = arguments(&p, argc, argv);
	if (p.help)
		return fputs(help, stdout) < 0 ? VS_EXIT_FAILED : VS_EXIT_DONE;
	if (r)
		return r;
	r = *p.m.path && !p.m.line_given ? probe_lines(&p) : probe_place(&p);
	if (r < 0)
		return VS_EXIT_FAILED;
	if (!p.found)
		return vs_ctl_fail(
			"nobody answers; is the device on, and are wires, speed, parity and unit right? (--units 1-247 "
			"tries all)");
	return VS_EXIT_DONE;
}
