/* Names of phases and moves, and the table of moves. */
#include <string.h>
#include <strings.h>

#include "alarms/session.h"

static const char *const phase_names[VS_PHASE_COUNT] = {
	[VS_PHASE_NONE] = "none",
	[VS_PHASE_SCREENING] = "screening",
	[VS_PHASE_BASELINE] = "baseline",
	[VS_PHASE_INFUSION] = "infusion",
	[VS_PHASE_PAUSED] = "paused",
	[VS_PHASE_RECOVERY] = "recovery",
	[VS_PHASE_DISCHARGED] = "discharged",
	[VS_PHASE_ABORTED] = "aborted",
};

static const char *const move_names[VS_MOVE_COUNT] = {
	[VS_MOVE_OPEN] = "open",
	[VS_MOVE_SCREENED] = "screened",
	[VS_MOVE_START] = "start",
	[VS_MOVE_PAUSE] = "pause",
	[VS_MOVE_RESUME] = "resume",
	[VS_MOVE_STOP] = "stop",
	[VS_MOVE_STABLE] = "stable",
	[VS_MOVE_DISCHARGE] = "discharge",
	[VS_MOVE_CANCEL] = "cancel",
	[VS_MOVE_TRANSFER] = "transfer",
	[VS_MOVE_ABORT] = "abort",
	[VS_MOVE_VACATE] = "vacate",
};

#define ROW(from, move, to, guard) { VS_PHASE_##from, VS_MOVE_##move, VS_PHASE_##to, VS_GUARD_##guard }
const struct vs_session_row vs_session_moves[] = {
	ROW(NONE,       OPEN,      SCREENING,  FREE),
	ROW(DISCHARGED, OPEN,      SCREENING,  FREE),
	ROW(DISCHARGED, VACATE,    NONE,       NONE),
	ROW(SCREENING,  SCREENED,  BASELINE,   SCREENING),
	ROW(SCREENING,  CANCEL,    DISCHARGED, REASON),
	ROW(SCREENING,  TRANSFER,  DISCHARGED, DESTINATION),
	ROW(SCREENING,  ABORT,     ABORTED,    NONE),
	ROW(BASELINE,   START,     INFUSION,   INFUSION),
	ROW(BASELINE,   CANCEL,    DISCHARGED, REASON),
	ROW(BASELINE,   TRANSFER,  DISCHARGED, DESTINATION),
	ROW(BASELINE,   ABORT,     ABORTED,    NONE),
	ROW(INFUSION,   PAUSE,     PAUSED,     NONE),
	ROW(INFUSION,   STOP,      RECOVERY,   NONE),
	ROW(INFUSION,   TRANSFER,  DISCHARGED, DESTINATION),
	ROW(INFUSION,   ABORT,     ABORTED,    NONE),
	ROW(PAUSED,     RESUME,    INFUSION,   RESUME),
	ROW(PAUSED,     STOP,      RECOVERY,   NONE),
	ROW(PAUSED,     TRANSFER,  DISCHARGED, DESTINATION),
	ROW(PAUSED,     ABORT,     ABORTED,    NONE),
	ROW(RECOVERY,   DISCHARGE, DISCHARGED, DISCHARGE),
	ROW(RECOVERY,   TRANSFER,  DISCHARGED, DESTINATION),
	ROW(RECOVERY,   ABORT,     ABORTED,    NONE),
	ROW(ABORTED,    STABLE,    RECOVERY,   STABLE),
	ROW(ABORTED,    DISCHARGE, DISCHARGED, DISCHARGE),
	ROW(ABORTED,    TRANSFER,  DISCHARGED, DESTINATION),
};
const size_t vs_session_moves_len = sizeof vs_session_moves / sizeof *vs_session_moves;

const char *vs_phase_name(enum vs_phase p)
{
	return p < VS_PHASE_COUNT ? phase_names[p] : NULL;
}

enum vs_phase vs_phase_by_name(const char *name, size_t len)
{
	enum vs_phase p = 0;
	while (p < VS_PHASE_COUNT && (strlen(phase_names[p]) != len || strncasecmp(phase_names[p], name, len) != 0))
		p++;
	return p;
}

const char *vs_move_name(enum vs_move m)
{
	return m < VS_MOVE_COUNT ? move_names[m] : NULL;
}

void vs_session_init(struct vs_session *s)
{
	*s = (struct vs_session){ .phase = VS_PHASE_NONE };
}
