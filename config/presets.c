#include "config/presets.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/document.h"
#include "config/embed.h"
#include "config/words.h"

#define SERIES_MAX 100

extern const struct vs_embedded vs_preset_files[];

/* ---- the file as it is written ---- */

struct raw_preset {
	char *id, *name, *title, *dose, *over, *rate, *rate_step, *rate_highest, *cap_rate, *cap_day, *concentration;
	char *recovery, *cuff_at, *series;
	unsigned *days;
	bool *enabled, *no_pump, *inpatient;
};

struct raw_check {
	char *item, *text;
};

struct raw_gates {
	int unused; /* its numbers are read from the document, key by key */
};

struct raw_file {
	struct raw_preset *presets;
	unsigned presets_count;
	struct raw_check *screening;
	unsigned screening_count;
	struct raw_gates *gates;
};

#define QUANTITY(key) VS_STRING(#key, 0, struct raw_preset, key, 60)

static const cyaml_schema_field_t preset_fields[] = {
	VS_STRING("id", VS_REQUIRED, struct raw_preset, id, 11),
	VS_STRING("name", VS_REQUIRED, struct raw_preset, name, 39),
	VS_STRING("title", VS_REQUIRED, struct raw_preset, title, 95),
	VS_BOOL("enabled", 0, struct raw_preset, enabled),
	VS_BOOL("no_pump", 0, struct raw_preset, no_pump),
	VS_BOOL("inpatient", 0, struct raw_preset, inpatient),
	QUANTITY(dose),
	QUANTITY(over),
	QUANTITY(rate),
	QUANTITY(rate_step),
	QUANTITY(rate_highest),
	QUANTITY(cap_rate),
	QUANTITY(cap_day),
	QUANTITY(concentration),
	QUANTITY(recovery),
	QUANTITY(cuff_at),
	QUANTITY(series),
	VS_UINT("days", 0, struct raw_preset, days, 1, 365),
	VS_END,
};
static const cyaml_schema_value_t preset_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_preset, preset_fields)
};
static const cyaml_schema_field_t check_fields[] = {
	VS_STRING("item", VS_REQUIRED, struct raw_check, item, 31),
	VS_STRING("text", VS_REQUIRED, struct raw_check, text, 95),
	VS_END,
};
static const cyaml_schema_value_t check_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_check, check_fields)
};
static const cyaml_schema_field_t gates_fields[] = {
	VS_FREE_FORM("G1"), VS_FREE_FORM("G2"), VS_FREE_FORM("G3"), VS_FREE_FORM("G4"), VS_FREE_FORM("G5"),
	VS_FREE_FORM("G6"), VS_FREE_FORM("G7"), VS_FREE_FORM("D1"), VS_FREE_FORM("D2"), VS_FREE_FORM("D3"),
	VS_FREE_FORM("D4"), VS_FREE_FORM("D5"), VS_FREE_FORM("R1"), VS_FREE_FORM("R2"), VS_FREE_FORM("R3"),
	VS_FREE_FORM("A1"), VS_FREE_FORM("S2"), VS_FREE_FORM("S5"), VS_FREE_FORM("reminders"), VS_FREE_FORM("chair"),
	VS_END,
};
static const cyaml_schema_field_t file_fields[] = {
	VS_LIST("presets", 0, struct raw_file, presets, &preset_entry, 0, VS_PRESETS),
	VS_LIST("screening", 0, struct raw_file, screening, &check_entry, 0, VS_CHECKS),
	VS_MAPPING("gates", 0, struct raw_file, gates, gates_fields),
	VS_END,
};
static const cyaml_schema_value_t file_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_file, file_fields)
};

struct loader {
	struct vs_yaml *y;
	struct vs_session_data *d;
	struct vs_findings *findings;
	bool set[256]; /* numbers of gates that were given, by any file */
};

/* ---- quantities: "0.5 mg/kg", "0.1 to 1 mg/kg", "0.2, 0.4, 0.6 mg/kg/h", "40 to 60 min" ---- */

struct quantity {
	unsigned n;
	bool range;
	double v[VS_PRESET_STEPS];
	char unit[16];
};

static bool next_number(char **at, struct quantity *q)
{
	char word[24];
	size_t n;
	*at += strspn(*at, " ,");
	n = strspn(*at, "0123456789.");
	if (n == 0 || n >= sizeof word || q->n == VS_PRESET_STEPS)
		return false;
	memcpy(word, *at, n);
	word[n] = '\0';
	*at += n;
	return vs_word_number(word, &q->v[q->n]) && q->v[q->n++] > 0;
}

static bool parse_quantity(char *text, struct quantity *q)
{
	char *at = text;
	*q = (struct quantity){ 0 };
	do {
		if (q->n > 0 && *(at + strspn(at, " ")) == 't')
			at += strspn(at, " ") + 2; /* "to" */
		if (!next_number(&at, q))
			return false;
		size_t gap = strspn(at, " ");
		if (!strncmp(at + gap, "to ", 3) && q->n == 1)
			q->range = true;
		else if (at[gap] != ',' || q->range)
			break;
	} while (1);
	at += strspn(at, " ");
	if (strlen(at) >= sizeof q->unit || (q->range && q->v[0] > q->v[1]) || (q->range && q->n != 2))
		return false;
	snprintf(q->unit, sizeof q->unit, "%s", at);
	return true;
}

/* units: "a|b". */
static bool is_one_of(const char *unit, const char *units)
{
	size_t len = strlen(unit);
	for (const char *u = units; u; u = strchr(u, '|') ? strchr(u, '|') + 1 : NULL)
		if (strncasecmp(u, unit, len) == 0 && (u[len] == '|' || u[len] == '\0'))
			return true;
	return false;
}

/* What a key may hold. */
enum many { ONE, RANGE, STAIRS };

/* True: q holds it, in one of the units ("a|b").  False: absent, or a finding was made. */
static bool take(struct loader *l, char *text, vs_place preset, const char *key, const char *units, enum many many,
		 struct quantity *q)
{
	if (!text)
		return false;
	bool fine = parse_quantity(text, q) && (many == STAIRS ? !q->range : many == RANGE ? q->n == 1 || q->range : q->n == 1);
	if (fine && is_one_of(q->unit, units))
		return true;
	vs_yaml_find(l->y, vs_yaml_key(l->y, preset, key), "`%s` is \"%s\"; it must be %s with the unit %s, like `%s: %s%s`", key,
		     text, many == ONE ? "a number" : many == RANGE ? "a number, or `LOW to HIGH`," :
		     "a number, or a staircase `A, B, C`,", units, key, many == RANGE ? "1 to 2 " : "1 ", units);
	return false;
}

static double minutes(const struct quantity *q, unsigned i)
{
	return q->v[i] * (!strcasecmp(q->unit, "h") ? 60 : 1);
}

static void take_dose(struct loader *l, struct raw_preset *raw, vs_place at, struct vs_preset *p)
{
	struct quantity q;
	if (!take(l, raw->dose, at, "dose", "mg/kg|mg/kg/day|mg", RANGE, &q))
		return;
	if (!strcasecmp(q.unit, "mg")) {
		p->dose.v = q.v[0];
		if (q.range)
			vs_yaml_find(l->y, vs_yaml_key(l->y, at, "dose"), "a range is for doses per kg; give one dose in mg");
		return;
	}
	p->daily = !strcasecmp(q.unit, "mg/kg/day");
	p->dose_low.v = q.v[0];
	p->dose_high.v = q.v[q.n - 1];
}

static void take_rates(struct loader *l, struct raw_preset *raw, vs_place at, struct vs_preset *p)
{
	struct quantity q;
	if (take(l, raw->rate, at, "rate", "mg/kg/h|mg/h", STAIRS, &q)) {
		if (!strcasecmp(q.unit, "mg/h") && q.n == 1)
			p->rate.v = q.v[0];
		else if (!strcasecmp(q.unit, "mg/h"))
			vs_yaml_find(l->y, vs_yaml_key(l->y, at, "rate"), "a staircase is in mg/kg/h; for mg/h use `rate_step` and "
				     "`rate_highest`");
		else
			for (p->n_steps = 0; p->n_steps < q.n; p->n_steps++)
				p->step[p->n_steps].v = q.v[p->n_steps];
	}
	if (take(l, raw->rate_step, at, "rate_step", "mg/h", ONE, &q))
		p->rate_step.v = q.v[0];
	if (take(l, raw->rate_highest, at, "rate_highest", "mg/h", ONE, &q))
		p->rate_highest.v = q.v[0];
	if (take(l, raw->cap_rate, at, "cap_rate", "mg/h", ONE, &q))
		p->cap_rate.v = q.v[0];
	if (take(l, raw->cap_day, at, "cap_day", "mg", ONE, &q))
		p->cap_day.v = q.v[0];
	if (take(l, raw->concentration, at, "concentration", "mg/mL", ONE, &q))
		p->concentration.v = q.v[0];
}

/* A time, or a range of times; a finding where it is not from 1 min to 168 h. */
static bool take_time(struct loader *l, char *words, vs_place at, const char *key, enum many many, struct quantity *q)
{
	if (!take(l, words, at, key, "min|h", many, q))
		return false;
	if (minutes(q, 0) < 1 || minutes(q, q->n - 1) > 7 * 24 * 60)
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, key), "`%s` is \"%s\"; it must be from 1 min to 168 h", key, words);
	return true;
}

static void take_times(struct loader *l, struct raw_preset *raw, vs_place at, struct vs_preset *p)
{
	struct quantity q;
	if (take_time(l, raw->over, at, "over", RANGE, &q)) {
		p->over_low.v = minutes(&q, 0);
		p->over_high.v = minutes(&q, q.n - 1);
	}
	if (take_time(l, raw->recovery, at, "recovery", ONE, &q))
		p->recovery.v = minutes(&q, 0);
	if (take_time(l, raw->cuff_at, at, "cuff_at", ONE, &q))
		p->cuff_at.v = minutes(&q, 0);
}

static void take_series(struct loader *l, struct raw_preset *raw, vs_place at, struct vs_preset *p)
{
	struct quantity q;
	if (!take(l, raw->series, at, "series", "", RANGE, &q))
		return;
	double low = q.v[0], high = q.v[q.n - 1];
	if (low != floor(low) || high != floor(high) || high > SERIES_MAX) {
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "series"), "`series` is \"%s\"; it must be a whole number of infusions, or "
			     "`LOW to HIGH`, up to %d", raw->series, SERIES_MAX);
		return;
	}
	p->series_low = (unsigned)low;
	p->series_high = (unsigned)high;
}

/* ---- what one preset means as a whole ---- */

static void check_shape(struct loader *l, vs_place at, const struct vs_preset *p)
{
	bool any = p->dose.v > 0 || p->dose_high.v > 0 || p->n_steps > 0 || p->rate.v > 0;
	bool until_in = p->dose.v > 0 && p->n_steps == 1; /* a dose in mg at a rate per kg: its time follows */
	if (p->no_pump && any)
		vs_yaml_find(l->y, at, "%s: `no_pump: true` and a dose or rate; keep one of them", p->id);
	else if (!p->no_pump && !any)
		vs_yaml_find(l->y, at, "%s: neither `dose` nor `rate`; give one, or `no_pump: true`", p->id);
	if ((p->dose_high.v > 0) + (p->rate.v > 0) + (p->n_steps > 0) + (p->dose.v > 0 && !until_in) > 1)
		vs_yaml_find(l->y, at, "%s: `dose` and `rate` together only as a dose in mg at one rate in mg/kg/h", p->id);
	if (any && !until_in && !p->daily && p->over_high.v <= 0)
		vs_yaml_find(l->y, at, "%s: no `over`; say how long it runs, like `over: 40 min`", p->id);
	if (until_in && p->over_high.v > 0)
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "over"), "%s: how long it runs follows from dose and rate; remove `over`",
			     p->id);
	if (p->rate_highest.v > 0 && p->rate_highest.v < p->rate.v)
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "rate_highest"), "%s: `rate_highest` is below `rate`", p->id);
	if (p->recovery.v <= 0)
		vs_yaml_find(l->y, at, "%s: no `recovery`; say how long the patient stays, like `recovery: 30 min`", p->id);
}

static bool plain_word(const char *text)
{
	size_t n = strlen(text);
	return n > 0 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_") == n;
}

static void take_names(struct loader *l, const struct raw_preset *raw, vs_place at, struct vs_preset *p)
{
	snprintf(p->id, sizeof p->id, "%s", raw->id);
	snprintf(p->name, sizeof p->name, "%s", raw->name ? raw->name : raw->id);
	snprintf(p->title, sizeof p->title, "%s", raw->title ? raw->title : "");
	if (!plain_word(p->id))
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "id"), "`id` is \"%s\"; it must be letters, digits, - . _ only", p->id);
	if (raw->name && !plain_word(p->name))
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "name"), "`name` is \"%s\"; it must be letters, digits, - . _ only",
			     p->name);
}

/* Where the preset goes: over the one with its id, or behind the last. */
static struct vs_preset *slot(struct loader *l, const struct vs_preset *p, vs_place at)
{
	struct vs_session_data *d = l->d;
	struct vs_preset *same = NULL;
	for (unsigned i = 0; i < d->n_presets; i++) {
		if (!strcasecmp(d->preset[i].id, p->id))
			same = &d->preset[i];
		else if (!strcasecmp(d->preset[i].name, p->name) || !strcasecmp(d->preset[i].name, p->id) ||
			 !strcasecmp(d->preset[i].id, p->name))
			vs_yaml_find(l->y, at, "%s: its id or name is that of %s (%s); each needs its own", p->id, d->preset[i].id,
				     d->preset[i].name);
	}
	if (same)
		return same;
	if (d->n_presets == VS_PRESETS) {
		vs_yaml_find(l->y, at, "%s is one preset too many; there is room for %d", p->id, VS_PRESETS);
		return NULL;
	}
	return &d->preset[d->n_presets++];
}

static void take_preset(struct loader *l, struct raw_preset *raw, vs_place at)
{
	struct vs_preset p = { .disabled = raw->enabled && !*raw->enabled, .no_pump = raw->no_pump && *raw->no_pump,
			       .inpatient = raw->inpatient && *raw->inpatient, .days = raw->days ? *raw->days : 0 };
	if (!raw->id)
		return; /* reported already */
	take_names(l, raw, at, &p);
	take_dose(l, raw, at, &p);
	take_rates(l, raw, at, &p);
	take_times(l, raw, at, &p);
	take_series(l, raw, at, &p);
	check_shape(l, at, &p);
	struct vs_preset *to = slot(l, &p, at);
	if (to)
		*to = p;
}

static void take_presets(struct loader *l, struct raw_file *raw)
{
	vs_place list = vs_yaml_key(l->y, vs_yaml_top(l->y), "presets");
	for (unsigned i = 0; i < raw->presets_count; i++) {
		for (unsigned j = 0; j < i; j++)
			if (raw->presets[i].id && raw->presets[j].id && !strcasecmp(raw->presets[i].id, raw->presets[j].id))
				vs_yaml_find(l->y, vs_yaml_item(l->y, list, i), "the preset %s stands here twice (first in line %u)",
					     raw->presets[i].id, vs_yaml_line(l->y, vs_yaml_item(l->y, list, j)));
		take_preset(l, &raw->presets[i], vs_yaml_item(l->y, list, i));
	}
}

static void take_checks(struct loader *l, const struct raw_file *raw)
{
	vs_place list = vs_yaml_key(l->y, vs_yaml_top(l->y), "screening");
	if (!raw->screening)
		return;
	l->d->checks.len = 0;
	for (unsigned i = 0; i < raw->screening_count; i++) {
		struct vs_check *c = &l->d->checks.at[l->d->checks.len++];
		snprintf(c->item, sizeof c->item, "%s", raw->screening[i].item ? raw->screening[i].item : "");
		snprintf(c->text, sizeof c->text, "%s", raw->screening[i].text ? raw->screening[i].text : "");
		if (raw->screening[i].item && (!plain_word(c->item) || !strcasecmp(c->item, "all")))
			vs_yaml_find(l->y, vs_yaml_item(l->y, list, i), "`item` is \"%s\"; it must be one word, and not \"all\"", c->item);
		for (unsigned j = 0; j + 1 < l->d->checks.len; j++)
			if (!strcasecmp(l->d->checks.at[j].item, c->item))
				vs_yaml_find(l->y, vs_yaml_item(l->y, list, i), "the question %s stands here twice", c->item);
	}
}

/* ---- gates ---- */

static bool gate_number(const struct vs_gate_rule_info *info, const char *text, double *ret)
{
	uint32_t ms;
	if (!*info->unit)
		return vs_word_number(text, ret);
	if (!vs_word_duration(text, &ms))
		return false;
	*ret = ms / (!strcmp(info->unit, "s") ? 1e3 : !strcmp(info->unit, "min") ? 6e4 : 3.6e6);
	return true;
}

static void take_gate_number(struct loader *l, const struct vs_gate_rule_info *info, const char *text, vs_place at)
{
	double v;
	if (!gate_number(info, text, &v) || v < info->lowest || v > info->highest) {
		vs_yaml_find(l->y, at, "`%s` of %s is \"%s\"; it must be from %g%s to %g%s", info->key, info->gate, text, info->lowest,
			     info->unit, info->highest, info->unit);
		return;
	}
	memcpy((char *)&l->d->rules + info->offset, &v, sizeof v);
	l->set[info - vs_gate_rule_infos] = true;
}

static const char *keys_of(const char *gate, char *buf, size_t cap)
{
	size_t len = 0;
	*buf = '\0';
	for (size_t i = 0; i < vs_gate_rule_count && len < cap; i++)
		if (!strcmp(vs_gate_rule_infos[i].gate, gate))
			len += (size_t)snprintf(buf + len, cap - len, "%s%s", len ? ", " : "", vs_gate_rule_infos[i].key);
	return buf;
}

static void take_gate(struct loader *l, const char *gate, vs_place at)
{
	const char *key, *value;
	char known[200];
	vs_place place;
	size_t first = 0;
	while (first < vs_gate_rule_count && strcmp(vs_gate_rule_infos[first].gate, gate) != 0)
		first++;
	for (unsigned i = 0; vs_yaml_pair(l->y, at, i, &key, &value, &place); i++) {
		const struct vs_gate_rule_info *info = NULL;
		for (size_t j = first; j < vs_gate_rule_count && key && !strcmp(vs_gate_rule_infos[j].gate, gate); j++)
			if (!strcmp(vs_gate_rule_infos[j].key, key))
				info = &vs_gate_rule_infos[j];
		if (info && value)
			take_gate_number(l, info, value, place);
		else
			vs_yaml_find(l->y, place, "%s has no `%s`; it has %s", gate, key ? key : "?",
				     keys_of(gate, known, sizeof known));
	}
}

static void take_gates(struct loader *l)
{
	vs_place top = vs_yaml_top(l->y), gates = vs_yaml_key(l->y, top, "gates");
	const char *key, *value;
	vs_place place;
	if (gates == top)
		return;
	for (unsigned i = 0; vs_yaml_pair(l->y, gates, i, &key, &value, &place); i++) {
		if (key && value)
			vs_yaml_find(l->y, place, "%s must be a mapping, like `%s: { ... }`", key, key);
		else if (key)
			take_gate(l, key, place);
	}
}

/* Warn, block and hard must come in that order, else a level could never be reached. */
static void check_order(struct loader *l)
{
	const struct vs_gate_rules *r = &l->d->rules;
	const struct {
		const char *gate;
		double milder, worse;
	} pairs[] = {
		{ "G1", r->g1_spread_pass, r->g1_spread_warn }, { "G2", r->g2_sys_warn, r->g2_sys_block },
		{ "G2", r->g2_sys_block, r->g2_sys_hard },      { "G2", r->g2_dia_warn, r->g2_dia_block },
		{ "G2", r->g2_dia_block, r->g2_dia_hard },      { "G3", r->g3_high_warn, r->g3_high_block },
		{ "G3", r->g3_high_block, r->g3_high_hard },    { "G3", r->g3_low_block, r->g3_low_warn },
		{ "G3", r->g3_low_hard, r->g3_low_block },      { "G4", r->g4_block, r->g4_warn },
		{ "G4", r->g4_hard, r->g4_block },              { "G5", r->g5_warn, r->g5_pass },
		{ "G7", r->g7_soft_rate_kg, r->g7_hard_rate_kg }, { "G7", r->g7_soft_dose_kg, r->g7_hard_dose_kg },
	};
	vs_place gates = vs_yaml_key(l->y, vs_yaml_top(l->y), "gates");
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		if (pairs[i].milder > pairs[i].worse)
			vs_yaml_find(l->y, vs_yaml_key(l->y, gates, pairs[i].gate), "%s: its levels are out of order (%g, %g): a milder "
				     "level must come before a harder one", pairs[i].gate, pairs[i].milder, pairs[i].worse);
}

/* An enabled preset that could never be used is a slip: say so here, not beside the patient. */
static void check_limits(struct loader *l, const struct raw_file *raw)
{
	struct vs_dose_limits limits = vs_gate_dose_limits(&l->d->rules);
	vs_place list = vs_yaml_key(l->y, vs_yaml_top(l->y), "presets");
	for (unsigned i = 0; i < raw->presets_count; i++) {
		const struct vs_preset *p = raw->presets[i].id ? vs_preset_find(l->d, raw->presets[i].id) : NULL;
		struct vs_dose_order none = { 0 };
		char sum[160];
		if (!p || p->disabled || vs_dose_judge(&limits, p, &none, (struct vs_kg){ 0 }) != VS_DOSE_ABOVE_HARD)
			continue;
		vs_dose_arithmetic(p, &none, (struct vs_kg){ 0 }, sum, sizeof sum);
		vs_yaml_find(l->y, vs_yaml_item(l->y, list, i), "%s: %s is above the hard limit of %g mg/kg/h or %g mg/kg; correct it, "
			     "or `enabled: false`", p->id, sum, limits.hard_rate_kg.v, limits.hard_dose_kg.v);
	}
}

/* ---- files ---- */

static int read_bytes(struct loader *l, const char *name, const char *bytes, size_t len)
{
	void *data = NULL;
	int r = vs_yaml_load(name, bytes, len, &file_schema, l->findings, &l->y, &data);
	if (r < 0)
		return r;
	struct raw_file *raw = data;
	if (raw) {
		take_gates(l);
		take_checks(l, raw);
		take_presets(l, raw);
		check_order(l);
		check_limits(l, raw);
	}
	vs_yaml_destroy(l->y);
	l->y = NULL;
	return 0;
}

static int read_file(struct loader *l, const char *file)
{
	char *bytes = NULL;
	size_t len = 0;
	int r = vs_yaml_read(file, &bytes, &len, l->findings);
	if (r == 0)
		r = read_bytes(l, file, bytes, len);
	free(bytes);
	return r;
}

/* What ships must be complete: a number that is not given would be 0, and 0 is a limit as well. */
static void check_complete(struct loader *l, const char *file)
{
	for (size_t i = 0; i < vs_gate_rule_count; i++)
		if (!l->set[i])
			vs_findings_add(l->findings, file, 1, "`gates:` lacks `%s` of %s", vs_gate_rule_infos[i].key,
					vs_gate_rule_infos[i].gate);
}

int vs_presets_load(const char *const *files, unsigned n, struct vs_session_data **ret, struct vs_findings *findings)
{
	struct vs_limit_source *sources = calloc(n + 1, sizeof *sources);
	for (unsigned i = 0; sources && i < n; i++)
		sources[i].name = files[i];
	int r = sources ? vs_presets_load_sources(sources, n, ret, findings) : -ENOMEM;
	free(sources);
	return r;
}

int vs_presets_load_sources(const struct vs_limit_source *sources, unsigned n, struct vs_session_data **ret,
			    struct vs_findings *findings)
{
	struct loader l = { .d = calloc(1, sizeof *l.d), .findings = findings };
	const struct vs_embedded *shipped = &vs_preset_files[0];
	unsigned before = findings->len;
	int r = l.d ? read_bytes(&l, shipped->file, shipped->bytes, shipped->len) : -ENOMEM;
	if (r == 0)
		check_complete(&l, shipped->file);
	for (unsigned i = 0; i < n && r != -ENOMEM; i++) {
		int e = sources[i].bytes ? read_bytes(&l, sources[i].name, sources[i].bytes, sources[i].len) :
					   read_file(&l, sources[i].name);
		r = e < 0 ? e : r;
	}
	if (r == 0 && (findings->len > before || findings->failed))
		r = findings->failed ? -ENOMEM : -EINVAL;
	if (r < 0) {
		free(l.d);
		return r;
	}
	*ret = l.d;
	return 0;
}

void vs_presets_free(struct vs_session_data *d)
{
	free(d);
}
