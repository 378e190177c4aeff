/* Events as lines for a person: the alarm's words first. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

struct vs_show {
	bool colour; /* the lines go to a terminal */
	bool sites;  /* several daemons: say the site beside the chair */
	bool all;    /* every reading, not only what a person can follow */
};

/* Blanks for the control characters in the words of people, wherever they stand in it, but those of `keep`: they are no
 * business of the terminal, a line stays a line, and no format that is exported may have them. */
void vs_show_calm(json_t *value, const char *keep);
void vs_show_calm_text(char *text, const char *keep);

/* One event (the JSON object of a message) as a line on stdout; note: "" or why it is shown late.
 * Unless `all`: a cuff reading always, the readings of a signal once in 10 s for each device, and when a device begins or
 * ceases to give values. */
void vs_show_event(const struct vs_show *s, const json_t *event, const char *note);
/* What stands now: each chair of a snapshot, and its alarms. */
void vs_show_snapshot(const struct vs_show *s, const json_t *snapshot, bool alarms);
/* A line of the view itself: a chair that is lost, or back. */
void vs_show_chair(const struct vs_show *s, const char *site, const char *chair, bool lost, const char *text);
