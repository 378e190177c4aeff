/* A session as a FHIR R4 Bundle: what its files share.
 *
 *	audit_fhir.c           the bundle; patient, encounter, devices
 *	audit_fhir_observed.c  Observations: signals, the cuff, what people measured
 *	audit_fhir_deeds.c     alarms as DetectedIssue, what people did as AuditEvent */
#pragma once
#include "clients/ctl/audit.h"

#define LOINC "http://loinc.org"
#define MDC "urn:iso:std:iso:11073:10101"
#define UCUM "http://unitsofmeasure.org"
#define HL7 "http://terminology.hl7.org/CodeSystem/"

struct vs_fhir {
	struct vs_log *l;
	struct vs_log_options o; /* names the session */
	json_t *entries;
	char session[128], site[128];
	char patient[64], encounter[64], daemon[64]; /* fullUrls */
};

/* A name of its own for each thing, the same at every export: version 8 of RFC 9562 over a hash. */
void vs_fhir_urn(const struct vs_fhir *b, const char *kind, const char *name, char urn[64]);
/* Adds a resource (stolen) under its name. */
void vs_fhir_add(struct vs_fhir *b, const char *urn, json_t *resource);
json_t *vs_fhir_reference(const char *urn);
json_t *vs_fhir_time(int64_t ms);
/* display NULL or "": none */
json_t *vs_fhir_coding(const char *system, const char *code, const char *display);
/* Who did something: a name that the record knows him by. */
json_t *vs_fhir_person(const char *name);
/* Takes each row of a statement.  VS_EXIT_DONE, or after saying why VS_EXIT_FAILED. */
int vs_fhir_each(struct vs_fhir *b, const char *sql, void (*take)(struct vs_fhir *b, sqlite3_stmt *st));

int vs_fhir_observed(struct vs_fhir *b);
int vs_fhir_deeds(struct vs_fhir *b);
