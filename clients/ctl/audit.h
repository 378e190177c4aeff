/* The subcommands of `vitalsctl audit`, one file each where they are long. */
#pragma once
#include "clients/ctl/log.h"

/* Each takes the options as given, argv[0] being its own name, and returns the exit status. */
int vs_audit_show(int argc, char **argv);
int vs_audit_verify(int argc, char **argv);
int vs_audit_export(int argc, char **argv);
int vs_audit_limits(int argc, char **argv);
int vs_audit_compare(int argc, char **argv);
int vs_audit_list(int argc, char **argv); /* sessions, alarms, entries, operators, events */

/* The filters that every list has. */
#define VS_AUDIT_FILTERS "chair patient session protocol operator rule since until csv"
/* Refuses filters that name what none of the logs can know, and says what there is.  VS_EXIT_DONE, VS_EXIT_FAILED. */
int vs_audit_check_filters(struct vs_log *const *logs, size_t n, const struct vs_log_options *o);
/* Whether a limit set that ships has the rule; else `list` names those of the first set. */
bool vs_audit_shipped_rule(const char *rule, char *list, size_t cap);
/* Prints a statement (finalized; NULL: it failed and said why) as the options say. */
int vs_audit_print(struct vs_log *l, sqlite3_stmt *st, const struct vs_log_options *o, const char *none);

/* FHIR R4: the session as a Bundle. */
int vs_audit_fhir(struct vs_log *l, const char *session, FILE *to);
/* HL7 v2: the session as messages ORU^R01 in the manner of IHE PCD-01. */
int vs_audit_hl7(struct vs_log *l, const char *session, FILE *to);
