/* `vitalsctl alarm explain`: why an alarm was raised, in words: the limit and where it came from, the readings that
 * counted, what was waited for, which limit set.  Of an alarm that stands from the daemon, of any alarm from the log. */
#pragma once
#include <jansson.h>

/* For a person, from the body of the alarm's first message (contract: events, kind alarm) with `set` and `set_version`
 * beside it, and, from the log, `course`: [{time, change, priority, by}] of what came after. */
void vs_audit_explanation(const json_t *body);
/* `alarm explain ALARM --log FILE ...`, argv[0] being "explain".  Returns the exit status. */
int vs_audit_explain(int argc, char **argv);
