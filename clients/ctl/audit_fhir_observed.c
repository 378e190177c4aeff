/* Observations of a FHIR bundle. */
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/audit_fhir.h"
#include "core/metric.h"

#define SAMPLES_MAX 4096 /* of one minute */

static json_t *code_of(enum vs_metric m)
{
	char number[16];
	json_t *codings = json_array();
	json_array_append_new(codings, vs_fhir_coding(LOINC, vs_metrics[m].loinc, NULL));
	if (m == VS_SPO2)
		json_array_append_new(codings, vs_fhir_coding(LOINC, "2708-6", NULL)); /* the vital-signs profile wants it too */
	if (vs_metrics[m].mdc) {
		snprintf(number, sizeof number, "%u", vs_metrics[m].mdc);
		json_array_append_new(codings, vs_fhir_coding(MDC, number, vs_metrics[m].mdc_name));
	}
	return json_pack("{s:o,s:s}", "coding", codings, "text", vs_metrics[m].name);
}

static json_t *quantity(const char *unit, double value)
{
	json_t *v = value == (double)(int64_t)value ? json_integer((int64_t)value) : json_real(value);
	return json_pack("{s:o,s:s,s:s,s:s}", "value", v, "unit", unit, "system", UCUM, "code", unit);
}

/* Why there is no value: the device said so, or nobody knows. */
static json_t *absent(const char *flags)
{
	const char *code = flags && strcmp(flags, "[]") != 0 && strcmp(flags, "[\"no_value\"]") != 0 ? "error" : "unknown";
	return json_pack("{s:[o],s:s}", "coding", vs_fhir_coding(HL7 "data-absent-reason", code, NULL), "text", flags ? flags : "no value");
}

/* The profile of the standard that an observation of this code keeps to. */
static const char *profile_of(const json_t *code)
{
	static const struct {
		const char *loinc, *profile;
	} profiles[] = { { "85354-9", "bp" },	    { "8867-4", "heartrate" }, { "59408-5", "oxygensat" },
			 { "9279-1", "resprate" }, { "8310-5", "bodytemp" },   { "29463-7", "bodyweight" } };
	const char *loinc = json_string_value(json_object_get(json_array_get(json_object_get(code, "coding"), 0), "code"));
	for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++)
		if (loinc && strcmp(loinc, profiles[i].loinc) == 0)
			return profiles[i].profile;
	return "vitalsigns";
}

static json_t *observation_of(struct vs_fhir *b, json_t *code, const char *category, const char *title, bool doubtful)
{
	return json_pack("{s:s,s:s,s:[{s:[o]}],s:o,s:o,s:o}", "resourceType", "Observation", "status",
			 doubtful ? "preliminary" : "final", "category", "coding",
			 vs_fhir_coding(HL7 "observation-category", category, title), "code", code, "subject",
			 vs_fhir_reference(b->patient), "encounter", vs_fhir_reference(b->encounter));
}

static json_t *vital_sign(struct vs_fhir *b, json_t *code, bool doubtful)
{
	char profile[96];
	snprintf(profile, sizeof profile, "http://hl7.org/fhir/StructureDefinition/%s", profile_of(code));
	json_t *o = observation_of(b, code, "vital-signs", "Vital Signs", doubtful);
	json_object_set_new(o, "meta", json_pack("{s:[s]}", "profile", profile));
	return o;
}

static json_t *observation(struct vs_fhir *b, const char *device, json_t *code, bool doubtful)
{
	char urn[64];
	json_t *o = vital_sign(b, code, doubtful);
	vs_fhir_urn(b, "device", device, urn);
	json_object_set_new(o, "device", vs_fhir_reference(urn));
	return o;
}

static void add_observation(struct vs_fhir *b, const char *device, const char *what, int64_t at, json_t *o)
{
	char name[160], urn[64];
	snprintf(name, sizeof name, "%s %s %lld", device, what, (long long)at);
	vs_fhir_urn(b, "observation", name, urn);
	vs_fhir_add(b, urn, o);
}

/* ---- Signals: the median of each minute ---- */

struct minute {
	char device[64], flags[512];
	enum vs_metric metric;
	int64_t minute;
	size_t len, absent;
	bool doubtful;
	double at[SAMPLES_MAX];
};

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static void close_minute(struct vs_fhir *b, struct minute *m)
{
	if (m->len + m->absent == 0)
		return;
	json_t *o = observation(b, m->device, code_of(m->metric), m->doubtful);
	json_object_set_new(o, "effectivePeriod", json_pack("{s:o,s:o}", "start", vs_fhir_time(m->minute * 60000), "end",
							    vs_fhir_time(m->minute * 60000 + 59999)));
	if (m->len) {
		qsort(m->at, m->len, sizeof *m->at, by_value);
		double median = m->len % 2 ? m->at[m->len / 2] : (m->at[m->len / 2 - 1] + m->at[m->len / 2]) / 2;
		json_object_set_new(o, "valueQuantity", quantity(vs_metrics[m->metric].unit, median));
		char method[64];
		snprintf(method, sizeof method, "median of %zu readings in one minute", m->len);
		json_object_set_new(o, "method", json_pack("{s:s}", "text", method));
	} else {
		json_object_set_new(o, "dataAbsentReason", absent(m->flags));
	}
	add_observation(b, m->device, vs_metrics[m->metric].name, m->minute * 60000, o);
	m->len = m->absent = 0;
	m->doubtful = false;
}

static bool doubtful(const char *flags)
{
	return strstr(flags, "\"suspect\"") || strstr(flags, "\"questionable\"") || strstr(flags, "\"artifact\"");
}

static void take_sample(struct vs_fhir *b, struct minute *m, sqlite3_stmt *st)
{
	const char *device = (const char *)sqlite3_column_text(st, 0), *name = (const char *)sqlite3_column_text(st, 1);
	const char *flags = (const char *)sqlite3_column_text(st, 4);
	enum vs_metric metric = vs_metric_by_name(name, strlen(name));
	int64_t minute = sqlite3_column_int64(st, 2) / 60000;
	if (metric == VS_METRIC_NONE || vs_metric_is_nibp(metric) || !vs_metrics[metric].loinc[0])
		return;
	if (m->metric != metric || m->minute != minute || strcmp(m->device, device) != 0) {
		close_minute(b, m);
		snprintf(m->device, sizeof m->device, "%s", device);
		m->metric = metric;
		m->minute = minute;
	}
	m->doubtful |= doubtful(flags);
	if (sqlite3_column_type(st, 3) == SQLITE_NULL) {
		m->absent++;
		snprintf(m->flags, sizeof m->flags, "%s", flags);
	} else if (m->len < SAMPLES_MAX) {
		m->at[m->len++] = sqlite3_column_double(st, 3);
	}
}

static int add_signals(struct vs_fhir *b)
{
	struct minute *m = calloc(1, sizeof *m);
	sqlite3_stmt *st = vs_log_query(b->l, "SELECT device, metric, observed_ms, value, flags FROM audit_observation"
					      " WHERE session = :session ORDER BY device, metric, observed_ms", &b->o);
	int rc = SQLITE_ERROR;
	while (m && st && (rc = sqlite3_step(st)) == SQLITE_ROW)
		take_sample(b, m, st);
	if (m)
		close_minute(b, m);
	free(m);
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? VS_EXIT_DONE : vs_log_failed(b->l);
}

/* ---- The cuff: reading by reading ---- */

static void add_component(json_t *components, enum vs_metric m, sqlite3_stmt *st, int column)
{
	json_t *c = json_pack("{s:o}", "code", code_of(m));
	if (sqlite3_column_type(st, column) == SQLITE_NULL)
		json_object_set_new(c, "dataAbsentReason", absent((const char *)sqlite3_column_text(st, 6)));
	else
		json_object_set_new(c, "valueQuantity", quantity(vs_metrics[m].unit, sqlite3_column_double(st, column)));
	json_array_append_new(components, c);
}

static void add_cuff(struct vs_fhir *b, sqlite3_stmt *st)
{
	const char *device = (const char *)sqlite3_column_text(st, 0), *flags = (const char *)sqlite3_column_text(st, 6);
	int64_t at = sqlite3_column_int64(st, 1);
	if (sqlite3_column_int(st, 7)) {
		json_t *code = json_pack("{s:[o,o],s:s}", "coding", vs_fhir_coding(LOINC, "85354-9", "Blood pressure panel"),
					 vs_fhir_coding(MDC, "150020", "MDC_PRESS_BLD_NONINV"), "text", "blood pressure");
		json_t *o = observation(b, device, code, doubtful(flags)), *components = json_array();
		add_component(components, VS_NIBP_SYS, st, 2);
		add_component(components, VS_NIBP_DIA, st, 3);
		if (sqlite3_column_type(st, 4) != SQLITE_NULL)
			add_component(components, VS_NIBP_MAP, st, 4);
		json_object_set_new(o, "component", components);
		json_object_set_new(o, "effectiveDateTime", vs_fhir_time(at));
		add_observation(b, device, "bp", at, o);
	}
	if (sqlite3_column_type(st, 5) != SQLITE_NULL) {
		json_t *o = observation(b, device, code_of(VS_NIBP_PR), doubtful(flags));
		json_object_set_new(o, "effectiveDateTime", vs_fhir_time(at));
		json_object_set_new(o, "valueQuantity", quantity(vs_metrics[VS_NIBP_PR].unit, sqlite3_column_double(st, 5)));
		add_observation(b, device, "nibp_pr", at, o);
	}
}

static int add_cuffs(struct vs_fhir *b)
{
	sqlite3_stmt *st = vs_log_query(b->l,
		"SELECT device, observed_ms, max(CASE metric WHEN 'nibp_sys' THEN value END), max(CASE metric WHEN 'nibp_dia' THEN"
		" value END), max(CASE metric WHEN 'nibp_map' THEN value END), max(CASE metric WHEN 'nibp_pr' THEN value END),"
		" max(flags), sum(metric IN ('nibp_sys', 'nibp_dia', 'nibp_map')) FROM audit_observation WHERE session = :session AND"
		" metric IN ('nibp_sys', 'nibp_dia', 'nibp_map', 'nibp_pr') GROUP BY device, observed_ms ORDER BY observed_ms", &b->o);
	int rc = SQLITE_ERROR;
	while (st && (rc = sqlite3_step(st)) == SQLITE_ROW)
		add_cuff(b, st);
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? VS_EXIT_DONE : vs_log_failed(b->l);
}


/* ---- What people measured ---- */

/* Entries that have a code of their own (LOINC); all others are in the bundle as AuditEvents. */
static const struct person_metric {
	const char *entry, *loinc, *text, *unit;
	bool vital;
} person_metrics[] = {
	{ "weight", "29463-7", "body weight", "kg", true },
	{ "pain", "72514-3", "pain, 0 to 10", "{score}", false },
	{ "oxygen", "3151-8", "inhaled oxygen flow", "L/min", false },
};

/* name: what makes the observation's own name. */
static void add_by_person(struct vs_fhir *b, const struct person_metric *m, const char *name, int64_t at, double value,
			  const char *person)
{
	char urn[64];
	json_t *code = json_pack("{s:[o],s:s}", "coding", vs_fhir_coding(LOINC, m->loinc, NULL), "text", m->text);
	json_t *o = m->vital ? vital_sign(b, code, false) : observation_of(b, code, "survey", "Survey", false);
	json_object_set_new(o, "effectiveDateTime", vs_fhir_time(at));
	json_object_set_new(o, "valueQuantity", quantity(m->unit, value));
	if (person)
		json_object_set_new(o, "performer", json_pack("[o]", vs_fhir_person(person)));
	vs_fhir_urn(b, "observation", name, urn);
	vs_fhir_add(b, urn, o);
}

static void add_entry(struct vs_fhir *b, sqlite3_stmt *st)
{
	const char *entry = (const char *)sqlite3_column_text(st, 1), *unit = (const char *)sqlite3_column_text(st, 4);
	for (size_t i = 0; i < sizeof person_metrics / sizeof *person_metrics; i++)
		if (strcmp(person_metrics[i].entry, entry) == 0 && unit && strcmp(unit, person_metrics[i].unit) == 0)
			add_by_person(b, &person_metrics[i], (const char *)sqlite3_column_text(st, 0), sqlite3_column_int64(st, 2),
				      sqlite3_column_double(st, 3), (const char *)sqlite3_column_text(st, 5));
}

static const char entries_sql[] =
	"SELECT 'entry ' || o.epoch || ' ' || o.chair || ' ' || e.seq, json_extract('{' || e.body || '}', '$.entry') AS entry, e.at_ms,"
	" json_extract('{' || e.body || '}', '$.value') AS value, json_extract('{' || e.body || '}', '$.unit'), e.operator FROM event e"
	" JOIN origin o USING(origin) WHERE e.session = :session AND e.kind = 'entry' AND typeof(value) IN ('integer', 'real')"
	" UNION ALL SELECT 'weight', 'weight', started_ms, weight_kg, 'kg', operator FROM audit_session WHERE session = :session"
	" AND weight_kg > 0 ORDER BY 3, 1";

int vs_fhir_observed(struct vs_fhir *b)
{
	int r = add_cuffs(b);
	if (r == VS_EXIT_DONE)
		r = add_signals(b);
	return r == VS_EXIT_DONE ? vs_fhir_each(b, entries_sql, add_entry) : r;
}
