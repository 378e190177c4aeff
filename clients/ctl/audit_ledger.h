/* The gap ledger of a session: for each metric, where its seconds went.
 *
 *	valid       a value not older than 10 s (cuff: 10 min) stands, nothing speaks against it
 *	suspect     the same, but the value is marked suspect, questionable or as an artifact
 *	stale       the last value is older than that, and not older than 2 min (cuff: 20 min)
 *	lost        there is no value: none yet, the device said so, or the last one is older than that
 *	paused      stale or lost while the session's phase was `paused`
 *	restarting  stale or lost between the last reading before a start of the daemon and the chair's first one after it
 *
 * Each millisecond of the session, from its first record to its last (or to the last record of the chair, while it is
 * open), is in exactly one column. */
#pragma once
#include "clients/ctl/log.h"

#define VS_LEDGER_COLUMNS 6
extern const char *const vs_ledger_columns[VS_LEDGER_COLUMNS]; /* as people read them: valid, suspect, stale, ... */

/* {"spo2":{"valid":3480.2,"stale":...},...} in seconds; NULL after saying why. */
json_t *vs_audit_ledger(struct vs_log *l, const char *session);
