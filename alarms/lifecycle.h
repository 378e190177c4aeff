/* The life of one alarm, as a table: state x event -> state, what to say (IEC 60601-1-8 terms).
 *
 *	           RAISE                 ACK
 *	IDLE ------------------> SOUNDING ---> ACKED          SOUNDING, ACKED, PAUSED, QUIET: the condition holds
 *	  ^                       |  ^  PAUSE ^               COVERED: it holds, but a higher tier is announced
 *	  |  END (no latch, or    v  | RESUME |               LATCHED, LATCHED_PAUSED: it is over, nobody has
 *	  |  acknowledged)       PAUSED ------+                                         acknowledged it yet
 *	  +------- LATCHED <--- END of a latching alarm that nobody acknowledged
 *
 * Anything worse sounds again: an acknowledgement or a pause never hides a worse alarm. */
#pragma once
#include <stdbool.h>

enum vs_life {
	VS_LIFE_IDLE,
	VS_LIFE_SOUNDING,
	VS_LIFE_ACKED,
	VS_LIFE_PAUSED,
	VS_LIFE_QUIET,   /* raised without a sound (expected for now) */
	VS_LIFE_COVERED, /* superseded */
	VS_LIFE_LATCHED,
	VS_LIFE_LATCHED_PAUSED,
	VS_LIFE_LATCHED_ACKED, /* for the length of one message: END follows at once */
	VS_LIFE_COUNT
};

enum vs_life_event {
	VS_LE_RAISE,
	VS_LE_RAISE_PAUSED,  /* low priority, while the audio is paused */
	VS_LE_RAISE_QUIET,
	VS_LE_RAISE_COVERED, /* a higher tier stands already */
	VS_LE_WORSE,         /* higher priority */
	VS_LE_EASIER,        /* lower priority */
	VS_LE_COVER,
	VS_LE_ACK,
	VS_LE_PAUSE,
	VS_LE_RESUME,        /* by a person, or the time is over */
	VS_LE_LOUD,          /* the quiet time is over */
	VS_LE_END,           /* the condition is over */
	VS_LE_END_LATCHING,  /* ... of a rule that latches */
	VS_LE_COUNT
};

enum vs_change {
	VS_CHANGE_NONE, /* nothing to say */
	VS_CHANGE_RAISED,
	VS_CHANGE_ESCALATED,
	VS_CHANGE_DEESCALATED,
	VS_CHANGE_SUPERSEDED,
	VS_CHANGE_ACKNOWLEDGED,
	VS_CHANGE_AUDIO_PAUSED,
	VS_CHANGE_RESUMED,
	VS_CHANGE_LATCHED,
	VS_CHANGE_CLEARED,
	VS_CHANGE_COUNT
};
enum vs_alarm_state { VS_ALARM_CLEARED, VS_ALARM_ACTIVE, VS_ALARM_LATCHED };
enum vs_signal { VS_SIGNAL_ON, VS_SIGNAL_ACKNOWLEDGED, VS_SIGNAL_AUDIO_PAUSED, VS_SIGNAL_AUDIO_OFF };

struct vs_life_row {
	bool possible; /* false: cannot happen in this state; absorbed without a change */
	enum vs_life to;
	enum vs_change change;
};
extern const struct vs_life_row vs_life_table[VS_LIFE_COUNT][VS_LE_COUNT];

/* "sounding", ...; for explanations. */
const char *vs_life_name(enum vs_life life);
const char *vs_change_name(enum vs_change change);
const char *vs_alarm_state_name(enum vs_alarm_state state);
const char *vs_signal_name(enum vs_signal signal);
enum vs_alarm_state vs_life_state(enum vs_life life);
enum vs_signal vs_life_signal(enum vs_life life);

/* How a signal is rendered, the same by every client (priority and signal as data). */
struct vs_pattern {
	const char *mark;    /* "***" before the text */
	const char *colour;  /* red, yellow, cyan */
	double flash_hz;     /* 0: steady */
	double duty;         /* share of a period that it is lit */
	unsigned pulses;     /* of one burst; 0: no sound */
	double burst_gap_s;  /* from burst to burst; 0: once */
};
/* For alarms with this priority and signal; priority none: no signal at all. */
const struct vs_pattern *vs_signal_pattern(unsigned priority);
