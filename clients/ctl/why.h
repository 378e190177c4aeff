/* vitalsctl why: why is it quiet?  For each rule of a chair's limit set, how far it is from alarming and what holds it back. */
#pragma once
#include <jansson.h>

/* For a person, from the members of vs_engine_why (alarms/engine.h). */
void vs_why_print(const char *chair, const json_t *answer);
/* `why --chair C --at TIME`: of a moment in the log.  Returns the exit status. */
int vs_audit_why(int argc, char **argv);
