/* vitalsctl plugins: the devices that this vitalsd can read. */
#include "clients/ctl/ctl.h"
#include "config/plugin_dir.h"
#include "core/json.h"
#include "plugins/registry.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] = "usage: vitalsctl plugins [--json | --markdown]\n\n"
			   "The devices that vitalsd can read: the name for `plugin:` in the configuration, the line, what\n"
			   "is measured, and how far it was tried. `recorded`: on bytes of a real device; `documented`:\n"
			   "written and tested from documents alone.\n\n"
			   "  --markdown    the table of docs/devices.md\n";

static const char *maturity(const struct vs_plugin *p)
{
	return p->maturity == VS_RECORDED ? "recorded" : "documented";
}

/* "9600 8N1", or "udp 24105"; buf holds at least 24. */
static const char *link_text(const struct vs_plugin *p, char *buf)
{
	if (p->udp_port) {
		sprintf(buf, "udp %u", p->udp_port);
		return buf;
	}
	sprintf(buf, "%u %u%c%u", p->line.baud, p->line.data_bits, p->line.parity, p->line.stop_bits);
	return buf;
}

static void metrics_text(const struct vs_plugin *p, char *buf, size_t cap)
{
	size_t len = 0;
	buf[0] = '\0';
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++)
		if (p->metrics >> m & 1 && len < cap)
			len += (size_t)snprintf(buf + len, cap - len, "%s%s", len ? " " : "", vs_metrics[m].name);
}

static void json_options(struct vs_json *j, const struct vs_plugin *p)
{
	vs_json_key(j, "options");
	vs_json_open(j, '[');
	for (const struct vs_plugin_option *o = p->options; o && o->name; o++) {
		vs_json_open(j, '{');
		vs_json_key(j, "name"), vs_json_string(j, o->name);
		vs_json_key(j, "values");
		vs_json_open(j, '[');
		for (size_t i = 0; o->values && o->values[i]; i++)
			vs_json_string(j, o->values[i]);
		vs_json_close(j, ']');
		vs_json_key(j, "summary"), vs_json_string(j, o->summary);
		vs_json_close(j, '}');
	}
	vs_json_close(j, ']');
}

static void print_json(const struct vs_plugin *p)
{
	char text[4096], line[24];
	struct vs_json j = vs_json_into(text, sizeof text);
	vs_json_open(&j, '{');
	vs_json_key(&j, "name"), vs_json_string(&j, p->name);
	vs_json_key(&j, "link"), vs_json_string(&j, link_text(p, line));
	vs_json_key(&j, "metrics");
	vs_json_open(&j, '[');
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++)
		if (p->metrics >> m & 1)
			vs_json_string(&j, vs_metrics[m].name);
	vs_json_close(&j, ']');
	vs_json_key(&j, "maturity"), vs_json_string(&j, maturity(p));
	vs_json_key(&j, "summary"), vs_json_string(&j, p->summary);
	vs_json_key(&j, "devices"), vs_json_string(&j, p->devices);
	vs_json_key(&j, "manual"), vs_json_string(&j, p->manual);
	vs_json_key(&j, "tested"), vs_json_string(&j, p->tested);
	json_options(&j, p);
	vs_json_close(&j, '}');
	puts(text);
}

static void print_row(const struct vs_plugin *p)
{
	char line[24], metrics[256];
	metrics_text(p, metrics, sizeof metrics);
	printf("%-20s %-11s %-10s %s\n%-20s %s\n", p->name, link_text(p, line), maturity(p), metrics, "", p->summary);
	for (const struct vs_plugin_option *o = p->options; o && o->name; o++) {
		printf("%-20s option %s", "", o->name);
		for (size_t i = 0; o->values && o->values[i]; i++)
			printf("%s%s", i ? " | " : " = ", o->values[i]);
		putchar('\n');
	}
}

static void print_markdown(const struct vs_plugin *p)
{
	char line[24], metrics[256];
	metrics_text(p, metrics, sizeof metrics);
	printf("| `%s` | %s | %s | %s | %s | %s |\n", p->name, p->devices, link_text(p, line), metrics, maturity(p),
	       p->tested);
}

static void print_head(int form)
{
	if (form == 't')
		printf("%-20s %-11s %-10s %s\n", "PLUGIN", "LINE", "MATURITY", "MEASURES");
	if (form == 'm')
		fputs("| plugin | devices | line | values | grade | tried on |\n|---|---|---|---|---|---|\n", stdout);
}

static void complain(const char *words)
{
	vs_ctl_fail("%s", words);
}

int vs_ctl_plugins(int argc, char **argv)
{
	static const struct option known[] = { { "json", no_argument, NULL, 'j' },
					       { "markdown", no_argument, NULL, 'm' },
					       { "help", no_argument, NULL, 'h' },
					       { NULL, 0, NULL, 0 } };
	int form = 't';
	optind = 1;
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (c == '?')
			return vs_ctl_usage("plugins: there is no option '%s'", argv[optind - 1]);
		form = c;
	}
	if (optind < argc)
		return vs_ctl_usage("plugins takes no '%s'", argv[optind]);
	if (form == 'h')
		return fputs(help, stdout) < 0 ? VS_EXIT_FAILED : VS_EXIT_DONE;
	if (form != 'm') /* the document is about what ships */
		vs_plugin_load_all(complain);
	print_head(form);
	void (*print)(const struct vs_plugin *) = form == 'j' ? print_json : form == 'm' ? print_markdown : print_row;
	for (size_t i = 0; vs_plugin_at(i); i++)
		print(vs_plugin_at(i));
	return fflush(stdout) == 0 ? VS_EXIT_DONE : vs_ctl_fail("cannot write");
}
