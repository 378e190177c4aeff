/* A session as a FHIR R4 Bundle (hl7.org/fhir/R4): Patient (a pseudonym), Encounter, Devices, Observations of the
 * vital-signs profile with LOINC, UCUM and ISO/IEEE 11073 codes, alarms as DetectedIssue, what people did as AuditEvent.
 *
 * Cuff readings stand one by one, as the blood pressure panel with its components.  Signals of 1 Hz stand as the median
 * of each minute: the profiles of heart rate and saturation want a Quantity.  Where a minute, or a component, has no
 * value there is a reason and no number. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/ctl/audit.h"
#include "core/metric.h"
#include "core/timetext.h"

#define LOINC "http://loinc.org"
#define MDC "urn:iso:std:iso:11073:10101"
#define UCUM "http://unitsofmeasure.org"
#define HL7 "http://terminology.hl7.org/CodeSystem/"
#define SAMPLES_MAX 4096 /* of one minute */

struct bundle {
	struct vs_log *l;
	struct vs_log_options o;
	json_t *entries;
	char session[128], site[128];
	char patient[64], encounter[64];
};

/* A name of its own for each thing, the same at every export: version 8 of RFC 9562 over a hash. */
static void urn_of(const struct bundle *b, const char *kind, const char *name, char urn[64])
{
	char text[512];
	uint8_t h[32];
	int n = snprintf(text, sizeof text, "%s|%s|%s|%s", b->site, b->session, kind, name);
	crypto_hash_sha256(h, (const uint8_t *)text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
	h[6] = (uint8_t)((h[6] & 0x0f) | 0x80);
	h[8] = (uint8_t)((h[8] & 0x3f) | 0x80);
	snprintf(urn, 64, "urn:uuid:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", h[0], h[1], h[2], h[3],
		 h[4], h[5], h[6], h[7], h[8], h[9], h[10], h[11], h[12], h[13], h[14], h[15]);
}

static void add(struct bundle *b, const char *urn, json_t *resource)
{
	json_object_set_new(resource, "id", json_string(urn + strlen("urn:uuid:")));
	json_array_append_new(b->entries, json_pack("{s:s,s:o}", "fullUrl", urn, "resource", resource));
}

static json_t *reference(const char *urn)
{
	return json_pack("{s:s}", "reference", urn);
}

static json_t *time_json(int64_t ms)
{
	char text[VS_TIME_TEXT_CAP];
	vs_time_text(ms, text);
	return json_string(text);
}

static json_t *coding(const char *system, const char *code, const char *display)
{
	json_t *c = json_pack("{s:s,s:s}", "system", system, "code", code);
	if (display && *display)
		json_object_set_new(c, "display", json_string(display));
	return c;
}

static json_t *code_of(enum vs_metric m)
{
	char number[16];
	json_t *codings = json_array();
	json_array_append_new(codings, coding(LOINC, vs_metrics[m].loinc, NULL));
	if (m == VS_SPO2)
		json_array_append_new(codings, coding(LOINC, "2708-6", NULL)); /* the vital-signs profile wants it too */
	if (vs_metrics[m].mdc) {
		snprintf(number, sizeof number, "%u", vs_metrics[m].mdc);
		json_array_append_new(codings, coding(MDC, number, vs_metrics[m].mdc_name));
	}
	return json_pack("{s:o,s:s}", "coding", codings, "text", vs_metrics[m].name);
}

static json_t *quantity(enum vs_metric m, double value)
{
	json_t *v = value == (double)(int64_t)value ? json_integer((int64_t)value) : json_real(value);
	return json_pack("{s:o,s:s,s:s,s:s}", "value", v, "unit", vs_metrics[m].unit, "system", UCUM, "code", vs_metrics[m].unit);
}

/* Why there is no value: the device said so, or nobody knows. */
static json_t *absent(const char *flags)
{
	const char *code = flags && strcmp(flags, "[]") != 0 && strcmp(flags, "[\"no_value\"]") != 0 ? "error" : "unknown";
	return json_pack("{s:[o],s:s}", "coding", coding(HL7 "data-absent-reason", code, NULL), "text", flags ? flags : "no value");
}

static json_t *observation(struct bundle *b, const char *device, json_t *code, bool doubtful)
{
	char urn[64];
	json_t *o = json_pack("{s:s,s:s,s:[{s:[o]}],s:o,s:o,s:o}", "resourceType", "Observation", "status",
			      doubtful ? "preliminary" : "final", "category", "coding",
			      coding(HL7 "observation-category", "vital-signs", "Vital Signs"), "code", code, "subject",
			      reference(b->patient), "encounter", reference(b->encounter));
	urn_of(b, "device", device, urn);
	json_object_set_new(o, "device", reference(urn));
	return o;
}

static void add_observation(struct bundle *b, const char *device, const char *what, int64_t at, json_t *o)
{
	char name[160], urn[64];
	snprintf(name, sizeof name, "%s %s %lld", device, what, (long long)at);
	urn_of(b, "observation", name, urn);
	add(b, urn, o);
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

static void close_minute(struct bundle *b, struct minute *m)
{
	if (m->len + m->absent == 0)
		return;
	json_t *o = observation(b, m->device, code_of(m->metric), m->doubtful);
	json_object_set_new(o, "effectivePeriod", json_pack("{s:o,s:o}", "start", time_json(m->minute * 60000), "end",
							    time_json(m->minute * 60000 + 59999)));
	if (m->len) {
		qsort(m->at, m->len, sizeof *m->at, by_value);
		double median = m->len % 2 ? m->at[m->len / 2] : (m->at[m->len / 2 - 1] + m->at[m->len / 2]) / 2;
		json_object_set_new(o, "valueQuantity", quantity(m->metric, median));
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

static void take_sample(struct bundle *b, struct minute *m, sqlite3_stmt *st)
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

static int add_signals(struct bundle *b)
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
		json_object_set_new(c, "valueQuantity", quantity(m, sqlite3_column_double(st, column)));
	json_array_append_new(components, c);
}

static void add_cuff(struct bundle *b, sqlite3_stmt *st)
{
	const char *device = (const char *)sqlite3_column_text(st, 0), *flags = (const char *)sqlite3_column_text(st, 6);
	int64_t at = sqlite3_column_int64(st, 1);
	if (sqlite3_column_int(st, 7)) {
		json_t *code = json_pack("{s:[o,o],s:s}", "coding", coding(LOINC, "85354-9", "Blood pressure panel"),
					 coding(MDC, "150020", "MDC_PRESS_BLD_NONINV"), "text", "blood pressure");
		json_t *o = observation(b, device, code, doubtful(flags)), *components = json_array();
		add_component(components, VS_NIBP_SYS, st, 2);
		add_component(components, VS_NIBP_DIA, st, 3);
		if (sqlite3_column_type(st, 4) != SQLITE_NULL)
			add_component(components, VS_NIBP_MAP, st, 4);
		json_object_set_new(o, "component", components);
		json_object_set_new(o, "effectiveDateTime", time_json(at));
		add_observation(b, device, "bp", at, o);
	}
	if (sqlite3_column_type(st, 5) != SQLITE_NULL) {
		json_t *o = observation(b, device, code_of(VS_NIBP_PR), doubtful(flags));
		json_object_set_new(o, "effectiveDateTime", time_json(at));
		json_object_set_new(o, "valueQuantity", quantity(VS_NIBP_PR, sqlite3_column_double(st, 5)));
		add_observation(b, device, "nibp_pr", at, o);
	}
}

static int add_cuffs(struct bundle *b)
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

/* ---- Alarms and deeds ---- */

/* IEEE 11073 event of an alarm, by its class and the direction in which its value went. */
static json_t *alarm_code(const char *class, const char *direction, const char *rule)
{
	json_t *codings = json_array();
	if (class && strcmp(class, "technical") == 0)
		json_array_append_new(codings, coding(MDC, "196660", "MDC_EVT_INOP"));
	else if (direction && (strcmp(direction, "high") == 0 || strcmp(direction, "rising") == 0))
		json_array_append_new(codings, coding(MDC, "196648", "MDC_EVT_HI"));
	else if (direction && (strcmp(direction, "low") == 0 || strcmp(direction, "falling") == 0))
		json_array_append_new(codings, coding(MDC, "196670", "MDC_EVT_LO"));
	else
		json_array_append_new(codings, coding(MDC, "196616", "MDC_EVT_ALARM"));
	return json_pack("{s:o,s:s}", "coding", codings, "text", rule ? rule : "alarm");
}

static void add_alarm(struct bundle *b, sqlite3_stmt *st)
{
	const char *alarm = (const char *)sqlite3_column_text(st, 0), *priority = (const char *)sqlite3_column_text(st, 3);
	const char *text = (const char *)sqlite3_column_text(st, 8), *by = (const char *)sqlite3_column_text(st, 6);
	char urn[64];
	json_t *i = json_pack("{s:s,s:[{s:s,s:s}],s:s,s:o,s:s,s:o}", "resourceType", "DetectedIssue", "identifier", "system",
			      "urn:vitalsd:alarm", "value", alarm, "status", "final", "code",
			      alarm_code((const char *)sqlite3_column_text(st, 2), (const char *)sqlite3_column_text(st, 9),
					 (const char *)sqlite3_column_text(st, 1)),
			      "severity", !priority || strcmp(priority, "low") == 0 ? "low" : strcmp(priority, "high") == 0 ? "high"
															   : "moderate",
			      "patient", reference(b->patient));
	json_t *period = json_pack("{s:o}", "start", time_json(sqlite3_column_int64(st, 4)));
	if (sqlite3_column_type(st, 7) != SQLITE_NULL)
		json_object_set_new(period, "end", time_json(sqlite3_column_int64(st, 7)));
	json_object_set_new(i, "identifiedPeriod", period);
	if (text && *text)
		json_object_set_new(i, "detail", json_string(text));
	if (sqlite3_column_type(st, 5) != SQLITE_NULL) {
		json_t *m = json_pack("{s:{s:s},s:o}", "action", "text", "acknowledged", "date", time_json(sqlite3_column_int64(st, 5)));
		if (by)
			json_object_set_new(m, "author", json_pack("{s:s}", "display", by));
		json_object_set_new(i, "mitigation", json_pack("[o]", m));
	}
	urn_of(b, "alarm", alarm, urn);
	add(b, urn, i);
}

static void add_deed(struct bundle *b, sqlite3_stmt *st)
{
	char urn[64], name[96];
	const char *what = (const char *)sqlite3_column_text(st, 2);
	snprintf(name, sizeof name, "%lld", sqlite3_column_int64(st, 0));
	json_t *e = json_pack("{s:s,s:o,s:s,s:o,s:s,s:[{s:{s:s},s:b}],s:{s:{s:s}},s:[{s:o,s:s}]}", "resourceType", "AuditEvent",
			      "type", coding("http://dicom.nema.org/resources/ontology/DCM", "110100", "Application Activity"),
			      "action", "C", "recorded", time_json(sqlite3_column_int64(st, 1)), "outcome", "0", "agent", "who",
			      "display", (const char *)sqlite3_column_text(st, 3), "requestor", 1, "source", "observer", "display",
			      "vitalsd", "entity", "what", reference(b->encounter), "description", what ? what : "");
	urn_of(b, "event", name, urn);
	add(b, urn, e);
}

static int each(struct bundle *b, const char *sql, void (*take)(struct bundle *b, sqlite3_stmt *st))
{
	sqlite3_stmt *st = vs_log_query(b->l, sql, &b->o);
	int rc = SQLITE_ERROR;
	while (st && (rc = sqlite3_step(st)) == SQLITE_ROW)
		take(b, st);
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? VS_EXIT_DONE : vs_log_failed(b->l);
}

static const char alarms_sql[] =
	"SELECT alarm, rule, class, priority, onset_ms, acknowledged_ms, acknowledged_by, cleared_ms, text,"
	" (SELECT json_extract('{' || e.body || '}', '$.direction') FROM alarm a JOIN event e USING(event) WHERE a.alarm ="
	" audit_alarm.alarm) FROM audit_alarm WHERE session = :session ORDER BY onset_ms, alarm";
static const char deeds_sql[] =
	"SELECT event, at_ms, CASE kind WHEN 'session' THEN 'phase ' || json_extract('{' || body || '}', '$.phase')"
	" WHEN 'entry' THEN 'entry ' || json_extract('{' || body || '}', '$.entry') || coalesce(' ' || json_extract('{' || body || '}',"
	" '$.value'), '') WHEN 'alarm' THEN json_extract('{' || body || '}', '$.change') || ' ' || alarm ELSE kind END, operator"
	" FROM event WHERE session = :session AND operator IS NOT NULL ORDER BY event";

/* ---- Who, where, with what ---- */

static void add_device(struct bundle *b, sqlite3_stmt *st)
{
	const char *device = (const char *)sqlite3_column_text(st, 0), *chair = (const char *)sqlite3_column_text(st, 1);
	char urn[64], name[256];
	snprintf(name, sizeof name, "%s/%s/%s", b->site, chair, device);
	urn_of(b, "device", device, urn);
	add(b, urn, json_pack("{s:s,s:[{s:s,s:s}],s:[{s:s,s:s}],s:s}", "resourceType", "Device", "identifier", "system",
			      "urn:vitalsd:device", "value", name, "deviceName", "name", device, "type", "user-friendly-name",
			      "status", "active"));
}

static void add_session(struct bundle *b, sqlite3_stmt *st)
{
	const char *patient = (const char *)sqlite3_column_text(st, 0);
	bool over = sqlite3_column_type(st, 2) != SQLITE_NULL;
	urn_of(b, "patient", patient ? patient : "", b->patient);
	urn_of(b, "encounter", "", b->encounter);
	json_t *p = json_pack("{s:s,s:{s:[o]}}", "resourceType", "Patient", "meta", "security",
			      coding(HL7 "v3-ObservationValue", "PSEUDED", "pseudonymized"));
	if (patient)
		json_object_set_new(p, "identifier", json_pack("[{s:s,s:s}]", "system", "urn:vitalsd:patient", "value", patient));
	add(b, b->patient, p);
	json_t *period = json_pack("{s:o}", "start", time_json(sqlite3_column_int64(st, 1)));
	if (over)
		json_object_set_new(period, "end", time_json(sqlite3_column_int64(st, 2)));
	add(b, b->encounter, json_pack("{s:s,s:[{s:s,s:s}],s:s,s:o,s:o,s:o}", "resourceType", "Encounter", "identifier", "system",
				       "urn:vitalsd:session", "value", b->session, "status", over ? "finished" : "in-progress",
				       "class", coding(HL7 "v3-ActCode", "AMB", "ambulatory"), "subject", reference(b->patient),
				       "period", period));
}

int vs_audit_fhir(struct vs_log *l, const char *session, FILE *to)
{
	struct bundle b = { .l = l, .o = { .session = session }, .entries = json_array() };
	struct timespec now;
	char urn[64];
	snprintf(b.session, sizeof b.session, "%s", session);
	sqlite3_stmt *st = vs_log_query(l, "SELECT o.site FROM session s JOIN event USING(event) JOIN origin o USING(origin)"
					   " WHERE s.session = :session", &b.o);
	if (st && sqlite3_step(st) == SQLITE_ROW)
		snprintf(b.site, sizeof b.site, "%s", (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	int r = each(&b, "SELECT patient, started_ms, ended_ms FROM audit_session WHERE session = :session", add_session);
	if (r == VS_EXIT_DONE)
		r = each(&b, "SELECT DISTINCT device, chair FROM audit_observation WHERE session = :session ORDER BY 1", add_device);
	if (r == VS_EXIT_DONE)
		r = add_cuffs(&b);
	if (r == VS_EXIT_DONE)
		r = add_signals(&b);
	if (r == VS_EXIT_DONE)
		r = each(&b, alarms_sql, add_alarm);
	if (r == VS_EXIT_DONE)
		r = each(&b, deeds_sql, add_deed);
	if (r == VS_EXIT_DONE) {
		clock_gettime(CLOCK_REALTIME, &now);
		urn_of(&b, "bundle", "", urn);
		json_t *bundle = json_pack("{s:s,s:s,s:s,s:o,s:O}", "resourceType", "Bundle", "id", urn + strlen("urn:uuid:"), "type",
					   "collection", "timestamp",
					   time_json((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000), "entry", b.entries);
		json_dumpf(bundle, to, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
		fputc('\n', to);
		json_decref(bundle);
	}
	json_decref(b.entries);
	return r;
}
