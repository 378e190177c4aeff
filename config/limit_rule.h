/* One rule of a limit set: from what the file says to struct vs_rule.  Private to config/. */
#pragma once
#include "config/limit_format.h"

/* Puts what the file gives over *ret: a blank rule, or an inherited one that the file changes. */
void vs_rule_read(struct vs_yaml *y, const struct raw_rule *raw, vs_place at, struct vs_rule *ret);
/* Is the rule whole and sound, and within the bounds that nobody may pass? */
void vs_rule_check(struct vs_yaml *y, vs_place at, const struct vs_rule *r, const struct vs_outer_bounds *bounds);
/* Do the other rules that it names exist?  In the finished set. */
void vs_rule_check_names(struct vs_yaml *y, vs_place at, const struct vs_rule *r, const struct vs_limit_set *set);
/* A name that must be a rule of the set. */
void vs_rule_check_name(struct vs_yaml *y, vs_place at, const char *key, const char *name,
			const struct vs_limit_set *set);
