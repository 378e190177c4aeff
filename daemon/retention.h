/* Retention: closed files of the record that are older than the policy are removed, recorded first; legal holds keep them.
 *
 *	look (a thread of the pool) --> entry `removal` in custody --> the writer records, seals, removes (store.c)
 *
 * Nothing is removed that is not recorded: which file, what it spans and holds, its last seal, policy, who and why stand in
 * the record under a signed seal, and were published, before the file is touched.  record/retention.h says when a file is
 * due.  A tampered file is evidence: each is checked against its seals first, and stays where it does not fit them.
 *
 * What people decide is an entry that belongs to no session: `legal-hold` (`value`: its id, `of`: what it covers, `note`: why),
 * `hold-release`, `removal` (`value`: the file, `file`: what is in it), and `retention-policy` at each start that has one, and
 * when a reload changes it. */
#pragma once
#include <stdbool.h>

struct vs_daemon;
struct vs_retention;

/* NULL: no memory. */
struct vs_retention *vs_retention_create(struct vs_daemon *d);
/* Ends it; the memory is released when the thread is done. */
void vs_retention_close(struct vs_retention *r);

/* Records what the policy is. */
void vs_daemon_say_retention(struct vs_daemon *d);

/* Once a second: looks once a day, where the configuration wants the daemon to remove what is due.  A clock that jumped ahead must
 * not remove the record: where the record has a gap of 60 days, that is said, and left to a person. */
void vs_retention_tick(struct vs_retention *r);

/* Removes what is due.  files: names that the person saw (NULL: all); whatever else is due stays.
 * NULL: it is being looked at; or why not, in words. */
struct vs_retention_order {
	const char *operator, *reason;
	unsigned uid;
	const char *const *files;
	unsigned n_files;
	bool by_itself; /* no person: refused where the clock is doubtful (vs_record_gap) */
};
const char *vs_retention_apply(struct vs_retention *r, const struct vs_retention_order *o);
/* What came of the last order; *ret_busy: it is still being looked at. */
const char *vs_retention_said(const struct vs_retention *r, bool *ret_busy);

/* A hold on one session, or all of a patient, or a span of time (from_ms < until_ms).  Writes its id. */
struct vs_hold_order {
	const char *session, *patient;
	long long from_ms, until_ms;
	const char *reason, *operator;
	unsigned uid;
};
void vs_retention_hold(struct vs_retention *r, const struct vs_hold_order *o, char id[64]);
void vs_retention_release(struct vs_retention *r, const char *id, const char *reason, const char *operator, unsigned uid);
