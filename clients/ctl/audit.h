/* The subcommands of `vitalsctl audit`, one file each where they are long. */
#pragma once
#include "clients/ctl/log.h"

/* Each takes the options as given, argv[0] being its own name, and returns the exit status. */
int vs_audit_show(int argc, char **argv);
int vs_audit_verify(int argc, char **argv);
int vs_audit_export(int argc, char **argv);

/* FHIR R4: the session as a Bundle. */
int vs_audit_fhir(struct vs_log *l, const char *session, FILE *to);
/* HL7 v2: the session as messages ORU^R01 in the manner of IHE PCD-01. */
int vs_audit_hl7(struct vs_log *l, const char *session, FILE *to);
