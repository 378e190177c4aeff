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

/* What was measured in a session of one metric in one unit; values that are words are left out. */
struct vs_measured {
	char metric[32], unit[24];
	int64_t readings, values, accepted; /* values: readings that brought one; accepted: of those neither suspect nor an artifact */
	double lowest, highest, sum;        /* of values; without any: 0 */
	double lowest_accepted, highest_accepted;
};
struct vs_audit_measured {
	struct vs_measured *of; /* the caller frees it */
	size_t n;
};

/* {"spo2":{"valid":3480.2,"stale":...},...} in seconds; NULL after saying why.  o: --limits, --limit-file.  measured (may be NULL):
 * from the same pass over the readings. */
json_t *vs_audit_ledger(struct vs_log *l, const struct vs_log_options *o, const char *session, struct vs_audit_measured *measured);

/* Array of {metric, unit, readings, values, lowest, mean, highest}, sorted by metric. */
json_t *vs_audit_measured_json(struct vs_audit_measured *all);
/* The figures of a metric that has accepted values; NULL: there is none. */
const struct vs_measured *vs_audit_measured_of(const struct vs_audit_measured *all, const char *metric);
