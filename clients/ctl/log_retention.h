/* vitalsctl log hold, release, retention: what of the record is on hold, what may go, and telling the daemon so.
 * docs/audit.md, "How long it is kept". */
#pragma once
#include "clients/ctl/log.h"

int vs_log_hold(struct vs_log *l, const struct vs_log_options *o);
int vs_log_release(struct vs_log *l, const struct vs_log_options *o);
int vs_log_retention(struct vs_log *l, const struct vs_log_options *o);

/* What the record says of a file that is gone: why, in words, and as JSON members (at, by, policy, reason, sessions, ...).
 * NULL: it was not removed by policy. */
json_t *vs_log_removal(sqlite3 *present, const char *name);
