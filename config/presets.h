/* Protocol presets, screening questions and gates, from YAML (alarms/presets.yaml documents every key). */
#pragma once
#include "alarms/session.h"
#include "config/findings.h"
#include "config/limits.h"

/* What ships, and then the files of the clinic in their order: a preset with a known id replaces it, a screening list
 * replaces the list, a number of a gate replaces that number.  0: the caller frees *ret.  -EINVAL: `findings` says why,
 * all of it; -ENOMEM.  *ret is untouched then. */
int vs_presets_load(const char *const *files, unsigned n, struct vs_session_data **ret, struct vs_findings *findings);
/* The same, of files that have been read already. */
int vs_presets_load_sources(const struct vs_limit_source *sources, unsigned n, struct vs_session_data **ret,
			    struct vs_findings *findings);
void vs_presets_free(struct vs_session_data *d);
