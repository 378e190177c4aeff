/* Fuzz target: YAML of any kind.  The first byte says what it is taken for: L limit sets, P presets, C a configuration; any other:
 * only the walk along one of the formats.  VS_FUZZ_PLUGIN (limits, presets, config, formats) says it for all inputs.
 *
 * Whatever comes: a whole configuration and no finding, or findings and nothing else; findings lie within the file and
 * say something; and what was accepted keeps the promises that the rest of the program relies on. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/device.h"
#include "config/limit_format.h"
#include "config/presets.h"
#include "tests/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vs_findings found; /* one for all inputs: read_once.c */

static void check_findings(const uint8_t *data, size_t size)
{
	unsigned lines = 2; /* an error at the end of a file lies behind its last line break */
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n' || data[i] == '\r' || data[i] >= 0x80; /* YAML knows other line breaks, too */
	for (unsigned i = 0; i < found.len; i++) {
		MUST(found.at[i].line >= 1 && found.at[i].line <= lines);
		MUST(*found.at[i].text && !strchr(found.at[i].text, '\033'));
	}
}

static void check_map(const struct vs_register_map *map)
{
	MUST(map && map->len >= 1 && map->len <= VS_MAP_MAX);
	for (unsigned i = 0; i < map->len; i++) {
		const struct vs_register *r = &map->reg[i];
		bool two = r->type == VS_U32 || r->type == VS_I32 || r->type == VS_F32;
		bool bits = r->table == VS_COIL || r->table == VS_DISCRETE;
		MUST(r->table >= VS_COIL && r->table <= VS_INPUT && r->bit < 16 && r->invalid_len <= VS_INVALID_MAX);
		MUST(r->address + two <= 65535 && (!bits || r->type == VS_BIT));
		MUST((r->metric == VS_METRIC_NONE) == (r->type == VS_BIT));
		MUST(r->metric != VS_METRIC_NONE || r->flag < VS_FLAG_OWN_FIRST + VS_FLAG_OWN_COUNT);
	}
}

static void check_config(const struct vs_config *c)
{
	MUST(*c->site && c->log_path && *c->log_path && c->control && c->n_chairs && strlen(c->hash) == 64);
	for (unsigned i = 0; i < c->n_chairs; i++) {
		MUST(*c->chairs[i].id && c->chairs[i].set && c->chairs[i].n_devices);
		for (unsigned k = 0; k < c->chairs[i].n_devices; k++) {
			const struct vs_device_config *d = &c->chairs[i].devices[k];
			bool network = vs_link_is_network(d->link);
			MUST(*d->id && *d->plugin && (network ? *d->host && d->port : *d->path == '/' && d->line.baud));
			if (!strcmp(d->plugin, "modbus"))
				check_map(d->map);
		}
	}
}

/* The bounds of clinical table D2, written down a second time. */
static void check_set(const struct vs_limit_set *s)
{
	MUST(*s->name && *s->version && s->n_rules <= VS_RULES_MAX);
	for (unsigned i = 0; i < s->n_rules; i++) {
		const struct vs_rule *r = &s->rules[i];
		bool high = r->when == VS_WHEN_GE || r->when == VS_WHEN_GT;
		MUST(*r->id && r->confirm >= 1 && r->confirm <= 30 && r->n_steps <= VS_STEPS_MAX && r->phases);
		if (r->type != VS_RULE_THRESHOLD)
			continue;
		MUST(r->metric < VS_METRIC_COUNT && r->limit.kind != VS_LIMIT_NONE && r->priority);
		double limit = r->limit.kind == VS_LIMIT_PLAIN ? r->limit.value
			       : high                          ? r->limit.at_most
							       : r->limit.at_least;
		MUST(!(high && r->metric == VS_NIBP_SYS && limit > 220) &&
		     !(high && r->metric == VS_NIBP_DIA && limit > 130));
		MUST(!(high && r->metric == VS_HR && limit > 180) && !(!high && r->metric == VS_HR && limit < 30));
		MUST(!(!high && r->metric == VS_SPO2 && limit < 80));
	}
}

static void try_limits(const uint8_t *data, size_t size)
{
	struct vs_limit_sets *sets = NULL;
	char *bytes = calloc(1, size + 1);
	memcpy(bytes, data, size);
	const struct vs_limit_source source = { "fuzz.yaml", bytes, size };
	int r = vs_limits_load_sources(&source, 1, &sets, &found);
	MUST(r == 0 ? sets && !found.len : r == -EINVAL && !sets && found.len);
	check_findings(data, size);
	for (unsigned i = 0; sets && vs_limits_name(sets, i); i++)
		check_set(vs_limits_find(sets, vs_limits_name(sets, i)));
	vs_findings_clear(&found);
	vs_limits_free(sets);
	free(bytes);
}

static void try_presets(const uint8_t *data, size_t size)
{
	struct vs_session_data *d = NULL;
	char *bytes = calloc(1, size + 1);
	memcpy(bytes, data, size);
	const struct vs_limit_source source = { "fuzz.yaml", bytes, size };
	int r = vs_presets_load_sources(&source, 1, &d, &found);
	MUST(r == 0 ? d && !found.len : r == -EINVAL && !d && found.len);
	check_findings(data, size);
	vs_findings_clear(&found);
	vs_presets_free(d);
	free(bytes);
}

static void try_config(const uint8_t *data, size_t size)
{
	struct vs_config *c = NULL;
	char *bytes = calloc(1, size + 1);
	memcpy(bytes, data, size);
	int r = vs_config_load_bytes("/nowhere/fuzz.yaml", bytes, size, &c, &found);
	MUST(r == 0 ? c && !found.len : r == -EINVAL && !c && found.len);
	check_findings(data, size);
	if (c)
		check_config(c);
	vs_findings_clear(&found);
	vs_config_free(c);
}

static void try_walk(const cyaml_schema_value_t *format, const uint8_t *data, size_t size)
{
	struct vs_yaml *y = NULL;
	void *raw = NULL;
	MUST(vs_yaml_load("fuzz.yaml", (const char *)data, size, format, &found, &y, &raw) == 0);
	MUST(raw || found.len);
	check_findings(data, size);
	vs_findings_clear(&found);
	vs_yaml_destroy(y);
}

/* What an input is taken for. */
static uint8_t kind_of(uint8_t first)
{
	static const struct {
		const char *name;
		uint8_t kind;
	} names[] = { { "limits", 'L' }, { "presets", 'P' }, { "config", 'C' } };
	const char *only = getenv("VS_FUZZ_PLUGIN");
	for (unsigned i = 0; only && i < sizeof names / sizeof *names; i++)
		if (!strcmp(only, names[i].name))
			return names[i].kind;
	return only ? first % 3 : first;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const cyaml_schema_value_t *const formats[] = { &vs_config_format, &vs_profile_format,
							       &vs_limit_format };
	uint8_t kind = size ? kind_of(*data) : 0;
	if (kind == 'L')
		try_limits(data + 1, size - 1);
	else if (kind == 'P')
		try_presets(data + 1, size - 1);
	else if (kind == 'C')
		try_config(data + 1, size - 1);
	else if (size)
		try_walk(formats[kind % 3], data + 1, size - 1);
	return 0;
}
