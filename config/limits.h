/* Limit sets from YAML: those that ship (alarms/sets/, built in) and the clinic's own (`limit_files`).
 *
 * Every key is documented at the top of alarms/sets/ketamine-adult.yaml.  A set that extends another takes all of its
 * rules; an entry with the id of an inherited rule
 *
 *	- replaces it as a whole when it names `metric` or `type`: what it leaves out has its default again;
 *	- else changes only the keys it gives: `{ id: hr-up, enabled: false }`.
 *
 * A set without `extends` has no rule but its own.  How signals and cuff readings are judged valid (`validity`), how
 * often the cuff is asked for and how alarms are announced are as in the set that ships unless it says otherwise: a
 * clinic's three rules must not bring alarms on single raw samples.
 *
 * No limit may be looser than the outer bounds of the file that ships (clinical table D2); such a set is refused. */
#pragma once
#include "alarms/rules.h"
#include "config/findings.h"

#define VS_LIMITS_DEFAULT "ketamine-adult"

struct vs_limit_sets;

/* Reads what ships and then the files.  0: *ret has all sets; -EINVAL: `findings` says why, *ret untouched; -ENOMEM. */
int vs_limits_load(const char *const *files, unsigned n, struct vs_limit_sets **ret, struct vs_findings *findings);
/* The same, of files that have been read already. */
struct vs_limit_source {
	const char *name, *bytes; /* bytes NULL: read the file */
	size_t len;
};
int vs_limits_load_sources(const struct vs_limit_source *sources, unsigned n, struct vs_limit_sets **ret,
			   struct vs_findings *findings);
/* The same for a reader that has findings of its own to make about names: at -EINVAL, *ret has the sets all the same, to
 * be freed, good for vs_limits_find and vs_limits_name only; NULL where a file could not be parsed, whose names nobody knows. */
int vs_limits_load_named(const struct vs_limit_source *sources, unsigned n, struct vs_limit_sets **ret,
			 struct vs_findings *findings);
/* The same of texts that a log kept: the first is the file that shipped at their time, in place of the one built in. */
int vs_limits_load_texts(const struct vs_limit_source *texts, unsigned n, struct vs_limit_sets **ret,
			 struct vs_findings *findings);
void vs_limits_free(struct vs_limit_sets *sets);

/* The set of that name, or NULL.  Lives as long as `sets`. */
const struct vs_limit_set *vs_limits_find(const struct vs_limit_sets *sets, const char *name);
/* Names, those that ship first; NULL beyond the last. */
const char *vs_limits_name(const struct vs_limit_sets *sets, unsigned i);
/* All names, "a, b", in buf; as many as it holds. */
const char *vs_limits_names(const struct vs_limit_sets *sets, char *buf, size_t cap);
/* SHA-256, 64 hex digits: of the file a set is from, after the files of what it extends (`cat BASE OWN | sha256sum`).
 * NULL: no such set. */
const char *vs_limits_hash(const struct vs_limit_sets *sets, const char *name);

/* The text of a set: the file that ships, which has the outer bounds and what a set without `extends` takes over, then the
 * files whose hash vs_limits_hash is (the one that ships again, where the set extends it).  Lives as long as `sets`.
 * Returns how many; 0: no such set. */
#define VS_LIMIT_TEXTS 64
struct vs_limit_text {
	const char *name, *bytes, *hash; /* of the file; SHA-256, 64 hex digits */
	size_t len;
};
unsigned vs_limits_texts(const struct vs_limit_sets *sets, const char *name, struct vs_limit_text ret[1 + VS_LIMIT_TEXTS]);
