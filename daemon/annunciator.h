/* What tells people at the chair itself: a loudspeaker, a program that switches lights.
 *
 *	level (highest priority whose signal is on) --> sound: bursts by ALSA, in a thread
 *	                                            --> command: a program, once for every change
 *
 * It follows the level, not edges: whatever was missed, the next look puts right.  Nothing here waits.  What does not
 * work is said once as a warning and never keeps the daemon from watching.
 *
 * The command is run with the arguments CHAIR PRIORITY (none, low, medium, high) and with VITALSD_CHAIR,
 * VITALSD_PRIORITY and, in a test, VITALSD_TEST=1 in its environment; one at a time, the newest level last.  One that
 * takes longer than VS_ANNUNCIATOR_COMMAND_MS is killed. */
#pragma once
#include <uv.h>

#include "alarms/rules.h"
#include "config/config.h"
#include "core/json.h"

#define VS_ANNUNCIATOR_COMMAND_MS 5000

struct vs_annunciator;

/* *ret NULL: nothing is configured.  0 or -ENOMEM. */
int vs_annunciator_open(uv_loop_t *loop, const char *chair, const struct vs_annunciator_config *config,
	struct vs_annunciator **ret);
/* a may be NULL in all of these. */
void vs_annunciator_level(struct vs_annunciator *a, enum vs_priority p);
/* Every priority once, low first: a burst, and a run of the command with VITALSD_TEST=1; then the level again. */
void vs_annunciator_test(struct vs_annunciator *a);
/* Members of an object that is open: what is configured, what is known to be wrong. */
void vs_annunciator_body(const struct vs_annunciator *a, struct vs_json *j);
void vs_annunciator_close(struct vs_annunciator *a);
