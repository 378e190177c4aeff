#include "alarms/lifecycle.h"

#include <stddef.h>

#define TO(life, change) { true, VS_LIFE_##life, VS_CHANGE_##change }

const struct vs_life_row vs_life_table[VS_LIFE_COUNT][VS_LE_COUNT] = {
	[VS_LIFE_IDLE] = {
		[VS_LE_RAISE] = TO(SOUNDING, RAISED),
		[VS_LE_RAISE_PAUSED] = TO(PAUSED, RAISED),
		[VS_LE_RAISE_QUIET] = TO(QUIET, RAISED),
		[VS_LE_RAISE_COVERED] = TO(COVERED, SUPERSEDED),
	},
	[VS_LIFE_SOUNDING] = {
		[VS_LE_WORSE] = TO(SOUNDING, ESCALATED),
		[VS_LE_EASIER] = TO(SOUNDING, DEESCALATED),
		[VS_LE_COVER] = TO(COVERED, SUPERSEDED),
		[VS_LE_ACK] = TO(ACKED, ACKNOWLEDGED),
		[VS_LE_PAUSE] = TO(PAUSED, AUDIO_PAUSED),
		[VS_LE_END] = TO(IDLE, CLEARED),
		[VS_LE_END_LATCHING] = TO(LATCHED, LATCHED),
	},
	[VS_LIFE_ACKED] = {
		[VS_LE_WORSE] = TO(SOUNDING, ESCALATED),
		[VS_LE_EASIER] = TO(ACKED, DEESCALATED),
		[VS_LE_COVER] = TO(COVERED, SUPERSEDED),
		[VS_LE_END] = TO(IDLE, CLEARED),
		[VS_LE_END_LATCHING] = TO(IDLE, CLEARED),
	},
	[VS_LIFE_PAUSED] = {
		[VS_LE_WORSE] = TO(SOUNDING, ESCALATED),
		[VS_LE_EASIER] = TO(PAUSED, DEESCALATED),
		[VS_LE_COVER] = TO(COVERED, SUPERSEDED),
		[VS_LE_ACK] = TO(ACKED, ACKNOWLEDGED),
		[VS_LE_PAUSE] = TO(PAUSED, AUDIO_PAUSED),
		[VS_LE_RESUME] = TO(SOUNDING, RESUMED),
		[VS_LE_END] = TO(IDLE, CLEARED),
		[VS_LE_END_LATCHING] = TO(LATCHED_PAUSED, LATCHED),
	},
	[VS_LIFE_QUIET] = {
		[VS_LE_WORSE] = TO(SOUNDING, ESCALATED),
		[VS_LE_EASIER] = TO(QUIET, DEESCALATED),
		[VS_LE_COVER] = TO(COVERED, SUPERSEDED),
		[VS_LE_ACK] = TO(ACKED, ACKNOWLEDGED),
		[VS_LE_LOUD] = TO(SOUNDING, RESUMED),
		[VS_LE_END] = TO(IDLE, CLEARED),
		[VS_LE_END_LATCHING] = TO(LATCHED, LATCHED),
	},
	[VS_LIFE_COVERED] = {
		[VS_LE_RAISE] = TO(SOUNDING, RAISED),
		[VS_LE_RAISE_PAUSED] = TO(PAUSED, RAISED),
		[VS_LE_RAISE_QUIET] = TO(QUIET, RAISED),
		[VS_LE_WORSE] = TO(COVERED, NONE),
		[VS_LE_EASIER] = TO(COVERED, NONE),
		[VS_LE_END] = TO(IDLE, CLEARED),
		[VS_LE_END_LATCHING] = TO(IDLE, CLEARED),
	},
	[VS_LIFE_LATCHED] = {
		[VS_LE_RAISE] = TO(SOUNDING, RAISED),
		[VS_LE_RAISE_PAUSED] = TO(SOUNDING, RAISED),
		[VS_LE_RAISE_QUIET] = TO(SOUNDING, RAISED),
		[VS_LE_RAISE_COVERED] = TO(COVERED, SUPERSEDED),
		[VS_LE_ACK] = TO(LATCHED_ACKED, ACKNOWLEDGED),
		[VS_LE_PAUSE] = TO(LATCHED_PAUSED, AUDIO_PAUSED),
		[VS_LE_END] = TO(IDLE, CLEARED),
	},
	[VS_LIFE_LATCHED_PAUSED] = {
		[VS_LE_RAISE] = TO(SOUNDING, RAISED),
		[VS_LE_RAISE_PAUSED] = TO(SOUNDING, RAISED),
		[VS_LE_RAISE_QUIET] = TO(SOUNDING, RAISED),
		[VS_LE_RAISE_COVERED] = TO(COVERED, SUPERSEDED),
		[VS_LE_ACK] = TO(LATCHED_ACKED, ACKNOWLEDGED),
		[VS_LE_PAUSE] = TO(LATCHED_PAUSED, AUDIO_PAUSED),
		[VS_LE_RESUME] = TO(LATCHED, RESUMED),
		[VS_LE_END] = TO(IDLE, CLEARED),
	},
	[VS_LIFE_LATCHED_ACKED] = {
		[VS_LE_END] = TO(IDLE, CLEARED),
	},
};

static const struct {
	const char *name;
	enum vs_alarm_state state;
	enum vs_signal signal;
} lives[VS_LIFE_COUNT] = {
	[VS_LIFE_IDLE] = { "idle", VS_ALARM_CLEARED, VS_SIGNAL_AUDIO_OFF },
	[VS_LIFE_SOUNDING] = { "sounding", VS_ALARM_ACTIVE, VS_SIGNAL_ON },
	[VS_LIFE_ACKED] = { "acknowledged", VS_ALARM_ACTIVE, VS_SIGNAL_ACKNOWLEDGED },
	[VS_LIFE_PAUSED] = { "paused", VS_ALARM_ACTIVE, VS_SIGNAL_AUDIO_PAUSED },
	[VS_LIFE_QUIET] = { "quiet", VS_ALARM_ACTIVE, VS_SIGNAL_AUDIO_OFF },
	[VS_LIFE_COVERED] = { "superseded", VS_ALARM_ACTIVE, VS_SIGNAL_AUDIO_OFF },
	[VS_LIFE_LATCHED] = { "latched", VS_ALARM_LATCHED, VS_SIGNAL_ON },
	[VS_LIFE_LATCHED_PAUSED] = { "latched, paused", VS_ALARM_LATCHED, VS_SIGNAL_AUDIO_PAUSED },
	[VS_LIFE_LATCHED_ACKED] = { "latched, acknowledged", VS_ALARM_LATCHED, VS_SIGNAL_ACKNOWLEDGED },
};

const char *vs_life_name(enum vs_life life)
{
	return life < VS_LIFE_COUNT ? lives[life].name : NULL;
}

enum vs_alarm_state vs_life_state(enum vs_life life)
{
	return lives[life].state;
}

enum vs_signal vs_life_signal(enum vs_life life)
{
	return lives[life].signal;
}

const char *vs_change_name(enum vs_change change)
{
	static const char *const names[VS_CHANGE_COUNT] = {
		"none", "raised", "escalated", "deescalated", "superseded", "acknowledged", "audio_paused", "resumed",
		"latched", "cleared"
	};
	return change < VS_CHANGE_COUNT ? names[change] : NULL;
}

const char *vs_alarm_state_name(enum vs_alarm_state state)
{
	static const char *const names[] = { "cleared", "active", "latched" };
	return names[state];
}

const char *vs_signal_name(enum vs_signal signal)
{
	static const char *const names[] = { "on", "acknowledged", "audio_paused", "audio_off" };
	return names[signal];
}

/* Pulses of a burst, its repeats and flash rates as clinical table H2 has them (vendors' manuals, in the manner of IEC
 * 60601-1-8); the light is lit for half of a period. */
const struct vs_pattern *vs_signal_pattern(unsigned priority)
{
	static const struct vs_pattern patterns[] = {
		{ "", "none", 0, 0, 0, 0 },
		{ "*", "cyan", 0, 1, 1, 30 },
		{ "**", "yellow", 0.6, 0.5, 3, 25 },
		{ "***", "red", 2, 0.5, 10, 10 },
	};
	return &patterns[priority < 4 ? priority : 0];
}
