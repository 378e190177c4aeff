/* The gap ledger of a session: for each metric, where its seconds went.
 *
 *	valid       a value that is not old stands, nothing speaks against it
 *	suspect     the same, but the value is marked suspect, questionable or as an artifact
 *	stale       the last value is old, and not so old that it is lost
 *	lost        there is no value: none yet, the device said so, or the last one is older than that
 *	paused      stale or lost while the session's phase was `paused`
 *	restarting  stale or lost between the last reading before a start of the daemon and the chair's first one after it
 *
 * What is old and what is lost says the limit set of the session (log_limits.h): a signal is old after `validity: stale` and lost
 * after the last step of its signal-loss rule; a cuff value is old after the longest interval that `cadence: nibp` asks for, and
 * lost after twice that.  With the set that ships: 10 s and 2 min, 10 min and 20 min.
 *
 * Each millisecond of the session, from its first record to its last (or to the last record of the chair, while it is
 * open), is in exactly one column. */
#pragma once
#include "clients/ctl/log.h"

/* {"spo2":{"valid":3480.2,"stale":...},...} in seconds; NULL after saying why.  o: --limits, --limit-file. */
json_t *vs_audit_ledger(struct vs_log *l, const struct vs_log_options *o, const char *session);
