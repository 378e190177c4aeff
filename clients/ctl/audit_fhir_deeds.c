/* Alarms and what people did, in a FHIR bundle. */
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/audit_fhir.h"

static const char *text_at(sqlite3_stmt *st, int column)
{
	const char *text = (const char *)sqlite3_column_text(st, column);
	return text ? text : "";
}

static bool has(sqlite3_stmt *st, int column)
{
	return sqlite3_column_type(st, column) != SQLITE_NULL;
}

/* ---- Alarms ---- */

static const char alarms_sql[] =
	"WITH latest AS (SELECT a.alarm, '{' || f.body || '}' AS first, '{' || (SELECT e.body FROM event e WHERE e.alarm = a.alarm"
	" ORDER BY e.event DESC LIMIT 1) || '}' AS last FROM alarm a JOIN event f USING(event) WHERE f.session = :session)"
	" SELECT a.alarm, a.rule, a.class, a.priority, a.onset_ms, a.acknowledged_ms, a.acknowledged_by, a.cleared_ms, a.text,"
	" json_extract(l.first, '$.direction'), json_extract(l.last, '$.state'), json_extract(l.last, '$.signal'), a.device"
	" FROM audit_alarm a JOIN latest l USING(alarm) WHERE a.session = :session ORDER BY a.onset_ms, a.alarm";
enum alarm_column { ALARM, RULE, CLASS, PRIORITY, ONSET, ACKED, ACKED_BY, CLEARED, TEXT, DIRECTION, STATE, SIGNAL, DEVICE };

/* IEEE 11073 event of an alarm, by its class and the direction in which its value went. */
static json_t *alarm_code(const char *class, const char *direction, const char *rule)
{
	bool high = strcmp(direction, "high") == 0 || strcmp(direction, "rising") == 0;
	bool low = strcmp(direction, "low") == 0 || strcmp(direction, "falling") == 0;
	json_t *c = strcmp(class, "technical") == 0 ? vs_fhir_coding(MDC, "196660", "MDC_EVT_INOP") :
		    high			    ? vs_fhir_coding(MDC, "196648", "MDC_EVT_HI") :
		    low				    ? vs_fhir_coding(MDC, "196670", "MDC_EVT_LO") :
						      vs_fhir_coding(MDC, "196616", "MDC_EVT_ALARM");
	return json_pack("{s:[o],s:s}", "coding", c, "text", rule);
}

/* Whether it is there, in the words of a device alert: on, latched, off, ack. */
static const char *presence(const char *state, const char *signal)
{
	if (strcmp(state, "active") != 0)
		return strcmp(state, "latched") == 0 ? "latched" : "off";
	return strcmp(signal, "acknowledged") == 0 ? "ack" : "on";
}

static json_t *mitigation(sqlite3_stmt *st)
{
	json_t *m = json_pack("{s:{s:s},s:o}", "action", "text", "acknowledged", "date", vs_fhir_time(sqlite3_column_int64(st, ACKED)));
	if (has(st, ACKED_BY))
		json_object_set_new(m, "author", vs_fhir_person(text_at(st, ACKED_BY)));
	return m;
}

static void add_alarm(struct vs_fhir *b, sqlite3_stmt *st)
{
	const char *priority = text_at(st, PRIORITY);
	char urn[64];
	json_t *i = json_pack("{s:s,s:[{s:s,s:s}],s:[{s:s,s:s}],s:s,s:o,s:s,s:o,s:o}", "resourceType", "DetectedIssue", "extension",
			      "url", "urn:vitalsd:alarm-presence", "valueCode", presence(text_at(st, STATE), text_at(st, SIGNAL)),
			      "identifier", "system", "urn:vitalsd:alarm", "value", text_at(st, ALARM), "status",
			      has(st, CLEARED) ? "final" : "preliminary", "code",
			      alarm_code(text_at(st, CLASS), text_at(st, DIRECTION), text_at(st, RULE)), "severity",
			      strcmp(priority, "high") == 0 ? "high" : strcmp(priority, "medium") == 0 ? "moderate" : "low", "patient",
			      vs_fhir_reference(b->patient), "author", vs_fhir_reference(b->daemon));
	json_t *period = json_pack("{s:o}", "start", vs_fhir_time(sqlite3_column_int64(st, ONSET)));
	if (has(st, CLEARED))
		json_object_set_new(period, "end", vs_fhir_time(sqlite3_column_int64(st, CLEARED)));
	json_object_set_new(i, "identifiedPeriod", period);
	if (*text_at(st, TEXT))
		json_object_set_new(i, "detail", json_string(text_at(st, TEXT)));
	if (has(st, ACKED))
		json_object_set_new(i, "mitigation", json_pack("[o]", mitigation(st)));
	vs_fhir_urn(b, "alarm", text_at(st, ALARM), urn);
	vs_fhir_add(b, urn, i);
}

/* ---- Deeds ---- */

/* Who, what, when, and why: the members of a message that say so stand as details. */
static const char deeds_sql[] =
	"SELECT o.epoch || ' ' || o.chair || ' ' || e.kind || ' ' || e.seq, e.at_ms, e.kind, e.operator, '{' || e.body || '}', e.alarm"
	" FROM event e JOIN origin o USING(origin) WHERE e.session = :session AND e.operator IS NOT NULL ORDER BY e.event";

static const char *member(const json_t *body, const char *key)
{
	const char *text = json_string_value(json_object_get(body, key));
	return text ? text : "";
}

static json_t *details(const json_t *body)
{
	static const char *const keys[] = { "phase", "from", "reason", "override", "second", "entry", "item", "value", "unit", "severity",
					    "route", "detail", "note", "corrects", "rule", "old", "change", "uid" };
	json_t *all = json_array();
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const json_t *v = json_object_get(body, keys[i]);
		if (!v || json_is_null(v) || (json_is_string(v) && !json_string_length(v)))
			continue;
		char *text = json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
		json_array_append_new(all, json_pack("{s:s,s:s}", "type", keys[i], "valueString", text ? text : json_string_value(v)));
		free(text);
	}
	return all;
}

/* C: something new was recorded; U: the session went on, or an entry was corrected; E: something was done. */
static const char *action_of(const char *kind, const json_t *body)
{
	if (strcmp(kind, "entry") == 0)
		return json_object_get(body, "corrects") ? "U" : strcmp(member(body, "entry"), "refused") == 0 ? "E" : "C";
	return strcmp(kind, "session") != 0 ? "E" : *member(body, "from") && strcmp(member(body, "from"), "none") ? "U" : "C";
}

static void describe(const char *kind, const json_t *body, const char *alarm, char *text, size_t cap)
{
	if (strcmp(kind, "session") == 0)
		snprintf(text, cap, "phase %s", member(body, "phase"));
	else if (strcmp(kind, "entry") == 0)
		snprintf(text, cap, "entry %s", member(body, "entry"));
	else if (strcmp(kind, "alarm") == 0)
		snprintf(text, cap, "alarm %s %s", alarm, member(body, "change"));
	else
		snprintf(text, cap, "%s", kind);
}

static void add_deed(struct vs_fhir *b, sqlite3_stmt *st)
{
	char urn[64], what[160];
	const char *kind = text_at(st, 2);
	json_t *body = json_loads(text_at(st, 4), 0, NULL), *more = details(body);
	bool refused = strcmp(member(body, "entry"), "refused") == 0;
	describe(kind, body, text_at(st, 5), what, sizeof what);
	json_t *entity = json_pack("{s:o,s:s}", "what", vs_fhir_reference(b->encounter), "description", what);
	if (json_array_size(more))
		json_object_set(entity, "detail", more);
	json_t *e = json_pack("{s:s,s:o,s:s,s:o,s:s,s:[{s:o,s:b}],s:{s:o},s:[o,{s:o}]}", "resourceType", "AuditEvent", "type",
			      vs_fhir_coding("http://dicom.nema.org/resources/ontology/DCM", "110100", "Application Activity"), "action",
			      action_of(kind, body), "recorded", vs_fhir_time(sqlite3_column_int64(st, 1)), "outcome",
			      refused ? "4" : "0", "agent", "who", vs_fhir_person(text_at(st, 3)), "requestor", 1, "source", "observer",
			      vs_fhir_reference(b->daemon), "entity", entity, "what", vs_fhir_reference(b->patient));
	if (refused && *member(body, "note"))
		json_object_set_new(e, "outcomeDesc", json_string(member(body, "note")));
	json_decref(more);
	json_decref(body);
	vs_fhir_urn(b, "event", text_at(st, 0), urn);
	vs_fhir_add(b, urn, e);
}

int vs_fhir_deeds(struct vs_fhir *b)
{
	int r = vs_fhir_each(b, alarms_sql, add_alarm);
	return r == VS_EXIT_DONE ? vs_fhir_each(b, deeds_sql, add_deed) : r;
}
