/* The terminal of `vitalsctl chair`: drawing and keys.  The one file that knows ncurses is chair_screen.c.
 *
 * Priorities are told by their marks (*** ** *) and their place; colour (red, yellow, cyan: IEC 60601-1-8) and flashing
 * come on top, where the terminal has them and NO_COLOR does not forbid. */
#pragma once
#include "clients/ctl/chair_view.h"

struct vs_screen_shows {
	const struct vs_bedside *bedside;
	const struct vs_bedside_trend *trend; /* VS_TILE_COUNT */
	const char *banner;   /* the daemon does not answer; "": it does */
	const char *message;  /* what became of the last key; "": nothing to say */
	const char *prompt;   /* NULL: no line is being typed */
	const char *typed;
	const char *operator_name;
	bool help;
	int64_t tick_ms;      /* time for flashing */
};

enum { VS_KEY_NONE = -1, VS_KEY_ENTER = 10, VS_KEY_ESCAPE = 27, VS_KEY_BACK = 8 };

/* 0, or -ENOTTY: there is no terminal, or one that cannot be drawn on. */
int vs_screen_open(void);
void vs_screen_close(void);
void vs_screen_draw(const struct vs_screen_shows *s);
/* Waits so long for a key: a printable character, one of the above, or VS_KEY_NONE. */
int vs_screen_key(int wait_ms);
