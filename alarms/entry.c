/* Entries: from words to a checked value, and what the session remembers of it. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "alarms/entry.h"

enum form {
	NUMBER,
	PAIN,
	SEVERITY,
	YESNO,
	TEXT,
	CHECK,
	EVENT,
	DRUG,
	RATE,
	BOLUS,
};

/* lowest, highest, unit, words: see entries.def */
static const struct kind {
	const char *name;
	enum form form;
	double lowest, highest;
	const char *unit, *words, *help;
} kinds[VS_ENTRY_COUNT] = {
#define ENTRY(id, name, form, lowest, highest, unit, words, help) \
	[VS_ENTRY_##id] = { name, form, lowest, highest, unit, words, help },
#include "alarms/entries.def"
#undef ENTRY
};

/* What can happen to a patient (clinical table A, R8 and R9); the urgent ones end the infusion. */
static const struct {
	const char *code;
	bool urgent;
} events[] = {
	{ "nausea", false },        { "vomiting", false },       { "dissociation", false }, { "dizziness", false },
	{ "headache", false },      { "blurred-vision", false }, { "visual-change", false }, { "auditory-change", false },
	{ "hallucination", false }, { "anxiety", false },        { "agitation", false },    { "fatigue", false },
	{ "itching", false },       { "chest-pain", false },     { "access-lost", false },  { "other", false },
	{ "arrhythmia", true },     { "seizure", true },
};

static const char *const severities[] = { "none", "mild", "moderate", "severe" };

const char *vs_entry_name(enum vs_entry_kind k)
{
	return k < VS_ENTRY_COUNT ? kinds[k].name : NULL;
}

enum vs_entry_kind vs_entry_by_name(const char *name)
{
	enum vs_entry_kind k = 0;
	while (k < VS_ENTRY_COUNT && strcasecmp(kinds[k].name, name) != 0)
		k++;
	return k;
}

enum vs_metric vs_entry_metric(enum vs_entry_kind k)
{
	return k < VS_ENTRY_COUNT ? vs_metric_by_name(kinds[k].name, strlen(kinds[k].name)) : VS_METRIC_NONE;
}

const char *vs_entry_help(enum vs_entry_kind k)
{
	return k < VS_ENTRY_COUNT ? kinds[k].help : NULL;
}

bool vs_entry_is_urgent(const struct vs_entry *e)
{
	for (size_t i = 0; i < sizeof events / sizeof *events; i++)
		if (e->kind == VS_ENTRY_AE && !strcmp(events[i].code, e->word))
			return events[i].urgent && strcmp(e->detail, "ended") != 0;
	return false;
}

/* ---- words ---- */

#define WORDS 12
struct words {
	unsigned len;
	bool cut; /* more words, or longer ones */
	char at[WORDS][64];
};

static void split(const char *text, struct words *w)
{
	w->len = 0;
	w->cut = false;
	for (text += strspn(text, " \t"); *text && !w->cut; text += strspn(text, " \t")) {
		size_t n = strcspn(text, " \t");
		w->cut = n >= sizeof w->at[0] || w->len == WORDS;
		if (!w->cut)
			snprintf(w->at[w->len++], sizeof w->at[0], "%.*s", (int)n, text);
		text += n;
	}
}

/* Decimal digits with a point: the same on every machine, whatever its language setting. */
bool vs_entry_number(const char *text, size_t *ret_used, double *ret)
{
	static const double power[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9 };
	const char *p = text;
	bool negative = *p == '-';
	unsigned digits = 0, fraction = 0;
	double v = 0;
	if (*p == '-' || *p == '+')
		p++;
	for (; *p >= '0' && *p <= '9' && digits < 12; p++, digits++)
		v = v * 10 + (*p - '0');
	if (*p == '.' && digits > 0)
		for (p++; *p >= '0' && *p <= '9' && fraction < 9 && digits < 15; p++, digits++, fraction++)
			v = v * 10 + (*p - '0');
	if (digits == 0 || (*p >= '0' && *p <= '9'))
		return false;
	*ret_used = (size_t)(p - text);
	*ret = (negative ? -v : v) / power[fraction];
	return true;
}

/* "52.5mg/h", or "52.5" "mg/h", from the i-th word on.  Returns where the words go on, 0: there is no number. */
static unsigned number_and_unit(struct words *w, unsigned i, double *ret, const char **ret_unit)
{
	size_t used;
	if (i >= w->len || !vs_entry_number(w->at[i], &used, ret))
		return 0;
	bool apart = !w->at[i][used] && i + 1 < w->len;
	*ret_unit = apart ? w->at[i + 1] : w->at[i] + used;
	return i + 1 + apart;
}

/* The word behind NAME= in a list "name=value name=value"; NULL: not there. */
static const char *synonym(const char *list, const char *name, char buf[16])
{
	struct words w;
	split(list, &w);
	for (unsigned i = 0; i < w.len; i++) {
		char *eq = strchr(w.at[i], '=');
		if (eq && (size_t)(eq - w.at[i]) == strlen(name) && !strncasecmp(w.at[i], name, strlen(name))) {
			snprintf(buf, 16, "%.15s", eq + 1);
			return buf;
		}
	}
	return NULL;
}

static bool refuse(struct vs_gate_findings *out, const struct kind *k, const char *wanted)
{
	vs_gate_add(out, VS_GATE_ENTRY, VS_HARD, "%s wants %s", k->name, wanted);
	return false;
}

/* What is said beyond the value would be lost. */
static bool ends(const struct words *w, unsigned next, const struct kind *k, struct vs_gate_findings *out)
{
	if (next < w->len)
		vs_gate_add(out, VS_GATE_ENTRY, VS_HARD, "%s: '%.63s' is one word too many; what else there is to say goes into "
			"--note", k->name, w->at[next]);
	return next >= w->len;
}

/* ---- one form each; false: refused, and said why ---- */

static bool whole(double v)
{
	return v == (double)(long)v;
}

static bool read_number(const struct kind *k, struct words *w, struct vs_entry *e, struct vs_gate_findings *out)
{
	char wanted[64], other[16];
	const char *unit;
	bool score = !strcmp(k->unit, "{score}");
	snprintf(wanted, sizeof wanted, "a %snumber from %g to %g%s%s", score ? "whole " : "", k->lowest, k->highest,
		score ? "" : " ", score ? "" : k->unit);
	if (w->len > 0 && synonym(k->words, w->at[0], other))
		snprintf(w->at[0], sizeof w->at[0], "%s", other);
	unsigned next = number_and_unit(w, 0, &e->number_value, &unit);
	if (!next || e->number_value < k->lowest || e->number_value > k->highest ||
	    (score && !whole(e->number_value)) || (*unit && strcasecmp(unit, k->unit) != 0))
		return refuse(out, k, wanted);
	e->has_number = true;
	snprintf(e->unit, sizeof e->unit, "%s", k->unit);
	return ends(w, next, k, out);
}

static bool read_pain(const struct kind *k, struct words *w, struct vs_entry *e, struct vs_gate_findings *out)
{
	const char *unit;
	unsigned next = number_and_unit(w, 0, &e->number_value, &unit);
	if (!next)
		return refuse(out, k, "0-10, or 0-100 mm");
	bool line = !strcasecmp(unit, "mm");
	if (e->number_value < 0 || e->number_value > (line ? 100 : 10) || (*unit && !line && strcasecmp(unit, "nrs") != 0))
		return refuse(out, k, "0-10, or 0-100 mm");
	e->has_number = true;
	snprintf(e->unit, sizeof e->unit, "%s", line ? "mm" : "{score}");
	return ends(w, next, k, out);
}

/* Usual bands of a 0-10 scale: 1 to 3 mild, 4 to 6 moderate, from 7 severe. */
static int severity_of_number(double v)
{
	return v <= 0 ? 0 : v < 4 ? 1 : v < 7 ? 2 : 3;
}

static int severity_of_word(const char *w)
{
	for (int i = 0; i < 4; i++)
		if (!strcasecmp(w, severities[i]))
			return i;
	if (!strcasecmp(w, "no") || !strcasecmp(w, "gone"))
		return 0;
	return !strcasecmp(w, "yes") ? 2 : -1;
}

static bool read_severity(const struct kind *k, struct words *w, struct vs_entry *e, struct vs_gate_findings *out)
{
	const char *unit;
	if (number_and_unit(w, 0, &e->number_value, &unit)) {
		if (e->number_value < k->lowest || e->number_value > k->highest || *unit || w->len > 1)
			return refuse(out, k, "none, mild, moderate, severe, or 0-10");
		e->has_number = true;
		e->severity = severity_of_number(e->number_value);
		snprintf(e->unit, sizeof e->unit, "{score}");
	} else {
		e->severity = w->len == 1 ? severity_of_word(w->at[0]) : -1;
		if (e->severity < 0)
			return refuse(out, k, "none, mild, moderate, severe, or 0-10");
		snprintf(e->word, sizeof e->word, "%s", strcasecmp(w->at[0], "yes") ? severities[e->severity] : "yes");
	}
	return true;
}

static bool read_yesno(const struct kind *k, struct words *w, struct vs_entry *e, struct vs_gate_findings *out)
{
	char buf[16];
	const char *word = w->len ? w->at[0] : k->lowest > 0 ? "yes" : "", *other = synonym(k->words, word, buf);
	if (other)
		word = other;
	if (w->len > 1 || (strcasecmp(word, "yes") != 0 && strcasecmp(word, "no") != 0))
		return refuse(out, k, *k->words ? "yes or no (steady, unsteady; given)" : "yes or no");
	snprintf(e->word, sizeof e->word, "%s", strcasecmp(word, "yes") ? "no" : "yes");
	return true;
}

static bool read_text(const struct kind *k, const char *value, struct vs_entry *e, struct vs_gate_findings *out)
{
	value += strspn(value, " \t");
	if (!*value && !e->note[0] && k->lowest > 0)
		return refuse(out, k, k->help);
	if (strlen(value) < sizeof e->word)
		snprintf(e->word, sizeof e->word, "%s", value);
	else if (!e->note[0])
		snprintf(e->note, sizeof e->note, "%s", value);
	else
		return refuse(out, k, "at most 63 characters beside a note");
	return true;
}

static bool read_check(const struct kind *k, struct words *w, struct vs_entry *e, struct vs_gate_findings *out)
{
	static const char *const answers[] = { "yes", "no", "unknown" };
	for (unsigned i = 0; w->len == 2 && i < 3; i++)
		if (!strcasecmp(w->at[1], answers[i])) {
			snprintf(e->word, sizeof e->word, "%s", w->at[0]);
			snprintf(e->detail, sizeof e->detail, "%s", answers[i]);
			return true;
		}
	return refuse(out, k, "ITEM yes, no or unknown; or: all no");
}

static bool read_event(const struct kind *k, struct words *w, struct vs_entry *e, struct vs_gate_findings *out)
{
	char list[232] = "";
	size_t len = 0;
	for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
		if (w->len > 0 && !strcasecmp(w->at[0], events[i].code))
			snprintf(e->word, sizeof e->word, "%s", events[i].code);
		int n = snprintf(list + len, sizeof list - len, "%s%s", len ? ", " : "one of: ", events[i].code);
		len = len + (size_t)n < sizeof list ? len + (size_t)n : len;
	}
	list[len] = '\0';
	if (!e->word[0])
		return refuse(out, k, list);
	for (unsigned i = 1; i < w->len; i++) {
		int severity = severity_of_word(w->at[i]);
		if (severity < 1 && strcasecmp(w->at[i], "ended") != 0)
			return refuse(out, k, "CODE, then mild, moderate, severe or ended");
		if (severity > 0)
			e->severity = severity;
		snprintf(e->detail, sizeof e->detail, "%s", severity > 0 ? severities[severity] : "ended");
	}
	return true;
}

/* How a drug may be given, where no amount tells its name from its route. */
static bool is_route(const char *word)
{
	static const char *const routes[] = { "iv", "im", "sc", "po", "sl", "pr", "oral", "nasal" };
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
		if (!strcasecmp(word, routes[i]))
			return true;
	return false;
}

static bool joined(const struct words *w, unsigned from, unsigned to, char *buf, size_t cap)
{
	size_t len = 0;
	for (unsigned i = from; i < to && len < cap; i++)
		len += (size_t)snprintf(buf + len, cap - len, "%s%s", len ? " " : "", w->at[i]);
	return len < cap;
}

static bool read_drug(const struct kind *k, struct words *w, struct vs_entry *e, struct vs_gate_findings *out)
{
	const char *unit;
	unsigned name = 1, next = 0;
	while (name < w->len && !(next = number_and_unit(w, name, &e->number_value, &unit)))
		name++;
	if (next) {
		if (!*unit || e->number_value <= 0 || strlen(unit) >= sizeof e->unit)
			return refuse(out, k, "an amount with its unit: ondansetron 4 mg iv");
		e->has_number = true;
		snprintf(e->unit, sizeof e->unit, "%s", unit);
	} else {
		name = next = w->len > 1 && is_route(w->at[w->len - 1]) ? w->len - 1 : w->len;
	}
	if (w->len == 0 || !joined(w, 0, name, e->word, sizeof e->word))
		return refuse(out, k, "a name, then amount, unit and route: ondansetron 4 mg iv");
	if (!joined(w, next, w->len, e->detail, sizeof e->detail))
		return refuse(out, k, "a route of at most 23 letters; what else there is to say goes into --note");
	return true;
}

static bool read_rate(const struct kind *k, struct words *w, struct vs_entry *e, struct vs_gate_findings *out)
{
	static const char *const units[] = { "mg/h", "mg/kg/h", "mL/h" };
	const char *unit;
	unsigned next = number_and_unit(w, 0, &e->number_value, &unit);
	if (!next || e->number_value < 0)
		return refuse(out, k, "a number with its unit: 52.5 mg/h, 0.75 mg/kg/h or 10 mL/h");
	for (unsigned i = 0; i < 3; i++)
		if (!strcasecmp(unit, units[i]))
			snprintf(e->unit, sizeof e->unit, "%s", units[i]);
	if (!e->unit[0])
		return refuse(out, k, "its unit: mg/h, mg/kg/h or mL/h (they are not the same)");
	e->has_number = true;
	return ends(w, next, k, out);
}

static bool read_bolus(const struct kind *k, struct words *w, struct vs_entry *e, struct vs_gate_findings *out)
{
	const char *unit;
	unsigned next = number_and_unit(w, 0, &e->number_value, &unit);
	if (!next || e->number_value <= 0 || (*unit && strcasecmp(unit, "mg") != 0))
		return refuse(out, k, "an amount in mg");
	e->has_number = true;
	snprintf(e->unit, sizeof e->unit, "mg");
	return ends(w, next, k, out);
}

bool vs_entry_read(enum vs_entry_kind kind, const char *value, struct vs_entry *e, struct vs_gate_findings *out)
{
	const struct kind *k = &kinds[kind];
	struct words w;
	split(value, &w);
	e->kind = kind;
	if (w.cut && k->form != TEXT)
		return refuse(out, k, "fewer or shorter words; what else there is to say goes into --note");
	switch (k->form) {
	case NUMBER:   return read_number(k, &w, e, out);
	case PAIN:     return read_pain(k, &w, e, out);
	case SEVERITY: return read_severity(k, &w, e, out);
	case YESNO:    return read_yesno(k, &w, e, out);
	case TEXT:     return read_text(k, value, e, out);
	case CHECK:    return read_check(k, &w, e, out);
	case EVENT:    return read_event(k, &w, e, out);
	case DRUG:     return read_drug(k, &w, e, out);
	case RATE:     return read_rate(k, &w, e, out);
	case BOLUS:    return read_bolus(k, &w, e, out);
	}
	return false;
}

double vs_entry_value(const struct vs_entry *e)
{
	switch (kinds[e->kind].form) {
	case SEVERITY:
	case EVENT:
		return e->severity;
	case YESNO:
		return !strcmp(e->word, "yes");
	default:
		return e->number_value;
	}
}
