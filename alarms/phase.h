/* The phases of a session (clinical table B), in one place: rules, sessions and the log all speak of them. */
#pragma once
#include <stddef.h>

enum vs_phase {
	VS_PHASE_NONE, /* no session is open */
	VS_PHASE_SCREENING,
	VS_PHASE_BASELINE,
	VS_PHASE_INFUSION,
	VS_PHASE_PAUSED,
	VS_PHASE_RECOVERY,
	VS_PHASE_DISCHARGED,
	VS_PHASE_ABORTED, /* the infusion is over for good, the patient is still watched */
	VS_PHASE_COUNT
};
#define VS_PHASE_BIT(phase) (1u << (phase))

/* "none", "screening", ...; NULL beyond the last. */
const char *vs_phase_name(enum vs_phase phase);
/* VS_PHASE_COUNT: there is no such phase. */
enum vs_phase vs_phase_by_name(const char *name, size_t len);
