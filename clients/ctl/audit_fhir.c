/* A session as a FHIR R4 Bundle (hl7.org/fhir/R4): Patient (a pseudonym), Encounter, Devices, Observations of the
 * vital-signs profile with LOINC, UCUM and ISO/IEEE 11073 codes, alarms as DetectedIssue, what people did as AuditEvent.
 *
 * Cuff readings stand one by one, as the blood pressure panel with its components.  Signals of 1 Hz stand as the median
 * of each minute: the profiles of heart rate and saturation want a Quantity.  Where a minute, or a component, has no
 * value there is a reason and no number. */
#include "clients/ctl/audit_fhir.h"

#include <sodium.h>
#include <string.h>
#include <time.h>

#include "clients/ctl/show.h"
#include "core/timetext.h"

/* Names are told apart by their site and session, so that bundles can be put together. */
void vs_fhir_urn(const struct vs_fhir *b, const char *kind, const char *name, char urn[64])
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

void vs_fhir_add(struct vs_fhir *b, const char *urn, json_t *resource)
{
	json_object_set_new(resource, "id", json_string(urn + strlen("urn:uuid:")));
	vs_show_calm(resource, "\t\r\n"); /* no other may stand in a FHIR string */
	json_array_append_new(b->entries, json_pack("{s:s,s:o}", "fullUrl", urn, "resource", resource));
}

json_t *vs_fhir_reference(const char *urn)
{
	return json_pack("{s:s}", "reference", urn);
}

json_t *vs_fhir_time(int64_t ms)
{
	char text[VS_TIME_TEXT_CAP];
	vs_time_text(ms, text);
	return json_string(text);
}

json_t *vs_fhir_coding(const char *system, const char *code, const char *display)
{
	json_t *c = json_pack("{s:s,s:s}", "system", system, "code", code);
	if (display && *display)
		json_object_set_new(c, "display", json_string(display));
	return c;
}

json_t *vs_fhir_person(const char *name)
{
	return json_pack("{s:s,s:{s:s,s:s}}", "display", name, "identifier", "system", "urn:vitalsd:operator", "value", name);
}

int vs_fhir_each(struct vs_fhir *b, const char *sql, void (*take)(struct vs_fhir *b, sqlite3_stmt *st))
{
	sqlite3_stmt *st = vs_log_query(b->l, sql, &b->o);
	int rc = SQLITE_ERROR;
	while (st && (rc = sqlite3_step(st)) == SQLITE_ROW)
		take(b, st);
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? VS_EXIT_DONE : vs_log_failed(b->l);
}

/* ---- Who, where, with what ---- */

static void add_device(struct vs_fhir *b, sqlite3_stmt *st)
{
	const char *device = (const char *)sqlite3_column_text(st, 0), *chair = (const char *)sqlite3_column_text(st, 1);
	char urn[64], name[256];
	snprintf(name, sizeof name, "%s/%s/%s", b->site, chair, device);
	vs_fhir_urn(b, "device", device, urn);
	vs_fhir_add(b, urn, json_pack("{s:s,s:[{s:s,s:s}],s:[{s:s,s:s}],s:s}", "resourceType", "Device", "identifier",
				      "system", "urn:vitalsd:device", "value", name, "deviceName", "name", device, "type",
				      "user-friendly-name", "status", "active"));
}

/* What observed: the author of alarms, the source of audit events. */
static void add_daemon(struct vs_fhir *b, sqlite3_stmt *st)
{
	vs_fhir_urn(b, "daemon", "", b->daemon);
	vs_fhir_add(b, b->daemon, json_pack("{s:s,s:[{s:s,s:s}],s:[{s:s,s:s}],s:s,s:[{s:s}]}", "resourceType", "Device", "identifier",
					    "system", "urn:vitalsd:daemon", "value", b->site, "deviceName", "name", "vitalsd", "type",
					    "manufacturer-name", "status", "active", "version", "value",
					    (const char *)sqlite3_column_text(st, 0)));
}

static void add_patient(struct vs_fhir *b, const char *code)
{
	vs_fhir_urn(b, "patient", code ? code : "", b->patient);
	json_t *p = json_pack("{s:s,s:{s:[o]}}", "resourceType", "Patient", "meta", "security",
			      vs_fhir_coding(HL7 "v3-ObservationValue", "PSEUDED", "pseudonymized"));
	if (code)
		json_object_set_new(p, "identifier", json_pack("[{s:s,s:s}]", "system", "urn:vitalsd:patient", "value", code));
	vs_fhir_add(b, b->patient, p);
}

static void add_session(struct vs_fhir *b, sqlite3_stmt *st)
{
	bool over = sqlite3_column_type(st, 2) != SQLITE_NULL;
	add_patient(b, (const char *)sqlite3_column_text(st, 0));
	vs_fhir_urn(b, "encounter", "", b->encounter);
	json_t *period = json_pack("{s:o}", "start", vs_fhir_time(sqlite3_column_int64(st, 1)));
	if (over)
		json_object_set_new(period, "end", vs_fhir_time(sqlite3_column_int64(st, 2)));
	vs_fhir_add(b, b->encounter,
		    json_pack("{s:s,s:[{s:s,s:s}],s:s,s:o,s:o,s:o}", "resourceType", "Encounter", "identifier", "system",
			      "urn:vitalsd:session", "value", b->session, "status", over ? "finished" : "in-progress", "class",
			      vs_fhir_coding(HL7 "v3-ActCode", "AMB", "ambulatory"), "subject", vs_fhir_reference(b->patient),
			      "period", period));
}

static void keep_site(struct vs_fhir *b, sqlite3_stmt *st)
{
	snprintf(b->site, sizeof b->site, "%s", (const char *)sqlite3_column_text(st, 0));
}

static const struct {
	const char *sql;
	void (*take)(struct vs_fhir *b, sqlite3_stmt *st);
} things[] = {
	{ "SELECT o.site FROM session s JOIN event USING(event) JOIN origin o USING(origin) WHERE s.session = :session", keep_site },
	{ "SELECT p.version FROM session s JOIN event USING(event) JOIN origin o USING(origin) JOIN epoch p USING(epoch)"
	  " WHERE s.session = :session", add_daemon },
	{ "SELECT patient, started_ms, ended_ms FROM audit_session WHERE session = :session", add_session },
	{ "SELECT DISTINCT device, chair FROM audit_observation WHERE session = :session ORDER BY 1", add_device },
};

static void write_bundle(const struct vs_fhir *b, FILE *to)
{
	struct timespec now;
	char urn[64];
	clock_gettime(CLOCK_REALTIME, &now);
	vs_fhir_urn(b, "bundle", "", urn);
	json_t *bundle = json_pack("{s:s,s:s,s:s,s:o,s:O}", "resourceType", "Bundle", "id", urn + strlen("urn:uuid:"), "type",
				   "collection", "timestamp", vs_fhir_time((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000),
				   "entry", b->entries);
	json_dumpf(bundle, to, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
	fputc('\n', to);
	json_decref(bundle);
}

int vs_audit_fhir(struct vs_log *l, const char *session, FILE *to)
{
	struct vs_fhir b = { .l = l, .o = { .session = session }, .entries = json_array() };
	int r = VS_EXIT_DONE;
	snprintf(b.session, sizeof b.session, "%s", session);
	for (size_t i = 0; r == VS_EXIT_DONE && i < sizeof things / sizeof *things; i++)
		r = vs_fhir_each(&b, things[i].sql, things[i].take);
	if (r == VS_EXIT_DONE)
		r = vs_fhir_observed(&b);
	if (r == VS_EXIT_DONE)
		r = vs_fhir_deeds(&b);
	if (r == VS_EXIT_DONE)
		write_bundle(&b, to);
	json_decref(b.entries);
	return r;
}
