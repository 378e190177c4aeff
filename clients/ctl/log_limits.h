/* Which limit set a session was judged by: its messages name the set and the hash of its text. */
#pragma once
#include "clients/ctl/log.h"
#include "config/limits.h"

/* The sets that ship and those of --limit-file.  VS_EXIT_DONE: the caller frees *ret; VS_EXIT_CONFIG, VS_EXIT_USAGE (no set of
 * the name that --limits gives): said why. */
int vs_log_sets(const struct vs_log_options *o, struct vs_limit_sets **ret);

/* The set that a message of the log names, by its name and the first digits of its hash: of `at_hand` the one with this very text,
 * or the one of this name where a person brought it (`given`: --limit-file); else from the texts that the log itself keeps.
 * 1: *ret has it, and where it is the log's, the caller frees *ret_kept, which it is good as long as; 0: there is no such text, *ret
 * is the one of that name with another text, or NULL; -EBADMSG: the log's text is not the one that the hash was made of;
 * -EINVAL: this version cannot read it; other -errno; *ret as with 0.  Said on stderr what is not as it was. */
int vs_log_set_then(struct vs_log *l, const struct vs_limit_sets *at_hand, bool given, const char *name, const char *hash,
		    struct vs_limit_sets **ret_kept, const struct vs_limit_set **ret);

struct vs_log_set {
	const struct vs_limit_set *set; /* that of --limits, else the one that the session names, else the one that ships */
	const char *hash;               /* of its text */
	char recorded[VS_SET_NAME_CAP], recorded_hash[72]; /* ""; the log does not say */
	bool proven;                    /* it is, to the letter, what was in force when the session began */
};
/* Lives as long as `sets`. */
void vs_log_set_of(struct vs_log *l, const struct vs_log_options *o, const struct vs_limit_sets *sets, const char *session,
		   struct vs_log_set *ret);
/* On stderr, where the session was judged by another text than this. */
void vs_log_set_note(const struct vs_log_set *s, const char *session);
