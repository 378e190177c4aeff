/* Registers in every form they could have, for somebody who has no manual. */
#include "clients/ctl/modbus.h"
#include "core/bytes.h"
#include "core/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What an adult in a chair could have; narrower than the ranges of core/metrics.def, or everything would be marked. */
static const struct {
	enum vs_metric metric;
	double lowest, highest;
} living[] = {
	{ VS_SPO2, 85, 100 }, { VS_PR, 40, 160 },      { VS_NIBP_SYS, 90, 200 }, { VS_NIBP_DIA, 45, 110 },
	{ VS_RR, 8, 30 },     { VS_TEMP, 34.5, 40.5 },
};
#define N_LIVING (sizeof living / sizeof *living)

static const struct {
	const char *name;
	enum vs_register_type type;
	bool wide;
} types[] = {
	{ "u16", VS_U16, false },   { "i16", VS_I16, false },       { "u8hi", VS_U8HI, false },
	{ "u8lo", VS_U8LO, false }, { "u8pair", VS_U8PAIR, false }, { "u32", VS_U32, true },
	{ "i32", VS_I32, true },    { "f32", VS_F32, true },
};
static const char *const orders[] = { "abcd", "cdab", "badc", "dcba" };

/* Bits: the metrics it could be.  *scale: 1, or 0.1 where only tenths make sense. */
static unsigned could_be(double v, double *scale)
{
	unsigned fits = 0;
	*scale = 1;
	for (unsigned i = 0; i < N_LIVING; i++)
		fits |= (unsigned)(v >= living[i].lowest && v <= living[i].highest) << i;
	if (!fits && v / 10 >= 34.5 && v / 10 <= 40.5) {
		*scale = 0.1;
		fits = 1u << 5;
	}
	return fits;
}

static bool form(const uint16_t *words, unsigned i, unsigned n, unsigned type, unsigned order, double *ret)
{
	const struct vs_register r = {
		.table = VS_INPUT, .type = types[type].type, .order = (enum vs_word_order)order, .scale = 1
	};
	uint8_t bytes[4] = { 0 };
	if (types[type].wide && i + 1 >= n)
		return false;
	vs_put_be16(bytes, words[i]);
	if (types[type].wide)
		vs_put_be16(bytes + 2, words[i + 1]);
	return vs_modbus_value(&r, vs_modbus_bits(&r, bytes, 0), ret);
}

/* "97*", "366*0.1", "6357064" */
static void cell(char *buf, size_t cap, double v)
{
	double scale;
	unsigned fits = could_be(v, &scale);
	const char *mark = !fits ? "" : scale == 1 ? "*" : "*0.1";
	if (v != 0 && (fabs(v) >= 1e11 || fabs(v) < 1e-4))
		snprintf(buf, cap, "%.3g%s", v, mark);
	else
		snprintf(buf, cap, "%.10g%s", v, mark);
}

static void show_register(unsigned address, const uint16_t *words, unsigned i, unsigned n)
{
	double v;
	char text[32];
	printf("%5u  0x%04x ", address + i, words[i]);
	for (unsigned t = 0; t < 5; t++) {
		form(words, i, n, t, 0, &v);
		cell(text, sizeof text, v);
		printf(" %s %-9s", types[t].name, text);
	}
	putchar('\n');
	for (unsigned t = 5; t < 8 && i + 1 < n; t++) {
		printf("               %s ", types[t].name);
		for (unsigned o = 0; o < 4; o++) {
			strcpy(text, "none");
			if (form(words, i, n, t, o, &v))
				cell(text, sizeof text, v);
			printf(" %s %-15s", orders[o], text);
		}
		putchar('\n');
	}
}

static void json_register(const struct ctl_modbus *m, enum vs_table table, unsigned address, const uint16_t *words,
			  unsigned i, unsigned n)
{
	char text[4096];
	double v, scale;
	struct vs_json j = vs_json_into(text, sizeof text);
	vs_json_open(&j, '{');
	vs_json_key(&j, "unit"), vs_json_uint(&j, m->unit);
	vs_json_key(&j, "table"), vs_json_string(&j, ctl_table_name(table));
	vs_json_key(&j, "address"), vs_json_uint(&j, address + i);
	vs_json_key(&j, "raw"), vs_json_uint(&j, words[i]);
	vs_json_key(&j, "forms");
	vs_json_open(&j, '[');
	for (unsigned t = 0; table > VS_DISCRETE && t < sizeof types / sizeof *types; t++)
		for (unsigned o = 0; o < (types[t].wide ? 4u : 1u); o++) {
			if (!form(words, i, n, t, o, &v))
				continue;
			vs_json_open(&j, '{');
			vs_json_key(&j, "type"), vs_json_string(&j, types[t].name);
			if (types[t].wide)
				vs_json_key(&j, "order"), vs_json_string(&j, orders[o]);
			vs_json_key(&j, "value"), vs_json_number(&j, v);
			vs_json_key(&j, "plausible"), vs_json_bool(&j, could_be(v, &scale) != 0);
			vs_json_close(&j, '}');
		}
	vs_json_close(&j, ']');
	vs_json_close(&j, '}');
	puts(text);
}

static void place_lines(const struct ctl_modbus *m)
{
	static const char *const parity[] = { "none", "even", "odd" };
	printf("- id: new-device\n  plugin: modbus\n");
	if (*m->host)
		printf("  tcp: { host: \"%s\", port: %u }\n", m->host, m->port);
	else
		printf("  rtu: { path: \"%s\", baud: %u, parity: %s }\n", m->path, m->line.baud,
		       parity[strchr("NEO", m->line.parity) - "NEO"]);
	printf("  unit: %u\n  registers:\n", m->unit);
}

/* Floats first: a number between 35 and 200 with a sensible fraction is hardly there by accident; then 16 bits.
 * Each metric once, each register once. */
static unsigned guess(enum vs_table table, unsigned address, const uint16_t *words, unsigned n)
{
	static const unsigned try_types[] = { 7, 0 };
	unsigned taken = 0, found = 0;
	bool used[VS_MODBUS_REGISTERS_MAX + 1] = { false };
	for (unsigned k = 0; k < 2; k++)
		for (unsigned i = 0; i < n; i++)
			for (unsigned o = 0; o < (k ? 1u : 4u); o++) {
				double v, scale;
				unsigned t = try_types[k];
				if (used[i] || (types[t].wide && used[i + 1]) || !form(words, i, n, t, o, &v))
					continue;
				unsigned fits = could_be(v, &scale) & ~taken;
				if (!fits)
					continue;
				unsigned pick = (unsigned)__builtin_ctz(fits);
				printf("    - { metric: %s, table: %s, address: %u, type: %s",
				       vs_metrics[living[pick].metric].name, ctl_table_name(table), address + i,
				       types[t].name);
				if (types[t].wide && o)
					printf(", order: %s", orders[o]);
				printf(scale == 1 ? " }  # reads %.10g\n" : ", scale: 0.1 }  # reads %.10g\n",
				       v * scale);
				taken |= 1u << pick;
				used[i] = true;
				used[i + 1] |= types[t].wide;
				found++;
			}
	return found;
}

void ctl_modbus_show(const struct ctl_modbus *m, enum vs_table t, unsigned address, const uint16_t *words, unsigned n,
		     bool json)
{
	char place[300];
	for (unsigned i = 0; json && i < n; i++)
		json_register(m, t, address, words, i, n);
	if (json)
		return;
	printf("Unit %u at %s, %s %u..%u; * = a living adult could have it\n\n", m->unit, ctl_modbus_place(m, place),
	       ctl_table_name(t), address, address + n - 1);
	for (unsigned i = 0; t <= VS_DISCRETE && i < n; i++)
		printf("%5u  %u\n", address + i, words[i]);
	if (t <= VS_DISCRETE)
		return;
	for (unsigned i = 0; i < n; i++)
		show_register(address, words, i, n);
	printf("\n# A guess from ranges alone, to paste under `devices:`. Compare with the monitor's display, correct "
	       "the\n"
	       "# metrics, and delete what is wrong.\n");
	place_lines(m);
	if (!guess(t, address, words, n))
		printf("    # nothing here looks like a vital sign; try another --address or --table\n");
}
