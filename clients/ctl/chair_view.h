/* The screen at the bedside, as words and numbers: what `vitalsctl chair` draws, without a terminal.
 *
 *	answer to `snapshot` --> vs_bedside_read --> struct vs_bedside --> chair.c draws it
 *
 * Ages and clocks count by the daemon's own time, carried on by elapsed_ms since the answer came, so that a clock of
 * this terminal that is wrong shows no wrong age.  Nothing here reads a clock, draws, or asks. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* An answer older than this is not shown any more: contract, section 3, "no alive for 3 s: the chair is lost". */
#define VS_BEDSIDE_LOST_MS 3000

enum vs_bedside_tile { VS_TILE_HR, VS_TILE_SPO2, VS_TILE_NIBP, VS_TILE_RPP, VS_TILE_COUNT };

/* One value.  number is "--" where there is no live one: nothing here, an old one, or no daemon. */
struct vs_bedside_number {
	char label[8];    /* "HR", or "PR" where it comes from the oximeter */
	char number[24];  /* "72", "121/79", "--" */
	char extra[16];   /* "(93)": the mean pressure */
	char unit[16];
	char age[24];     /* "2 s"; "": never measured */
	char note[40];    /* flags, or the last value that is too old to count */
	char limits[24];  /* "50-120", "<150", ">94"; "": none */
	char device[40];
	bool live;
	int alarm;        /* priority of the highest that stands on it; 0: none */
	double value;     /* for the trend; of the cuff: systolic */
};

struct vs_bedside_alarm {
	int priority;     /* 3 high, 2 medium, 1 low */
	bool sounds;      /* nobody acknowledged it, no audio pause */
	bool latched;
	int64_t onset_ms;
	char id[24];
	char text[200];   /* begins with its mark, *** ** or *; then what, since when, what was done about it */
};

#define VS_BEDSIDE_ALARMS 40
struct vs_bedside {
	bool connected;
	char chair[40], phase[16], session[40], patient[40], protocol[64];
	int64_t now_ms;   /* the daemon's wall clock */
	char clocks[200]; /* session, infusion, cuff, audio pause */
	char devices[200];/* those that are not online, in words */
	struct vs_bedside_number tile[VS_TILE_COUNT];
	unsigned n_alarms;
	struct vs_bedside_alarm alarm[VS_BEDSIDE_ALARMS];
};

/* What the answer says, elapsed_ms after it came; NULL, or older than VS_BEDSIDE_LOST_MS: a screen without any value. */
void vs_bedside_read(struct vs_bedside *b, const char *chair, const json_t *answer, int64_t elapsed_ms);

/* "7 s", "12 min", "3 h"; negative counts as 0. */
const char *vs_bedside_age(int64_t ms, char *buf, size_t cap);
/* "0:07:12", "119:59:59" */
const char *vs_bedside_clock(int64_t ms, char *buf, size_t cap);
/* "NOT CONNECTED since 12 s: why" */
const char *vs_bedside_banner(int64_t since_ms, const char *why, char *buf, size_t cap);

/* The last hour of one value, a mean a minute. */
#define VS_TREND_MINUTES 60
struct vs_bedside_trend {
	int64_t minute; /* number of the newest */
	struct {
		double sum;
		unsigned n;
	} at[VS_TREND_MINUTES]; /* index: minute modulo VS_TREND_MINUTES */
};
/* minute never goes back; the ones that were left out stay empty. */
void vs_bedside_trend_add(struct vs_bedside_trend *t, int64_t minute, double value);
/* Time goes on without a value. */
void vs_bedside_trend_pass(struct vs_bedside_trend *t, int64_t minute);
/* A line of `cells` characters (at most VS_TREND_MINUTES), the newest at the right, a blank where nothing was measured;
 * lowest and highest become those shown (NAN: nothing).  utf8: blocks of eighths, else _.-=*# from low to high. */
const char *vs_bedside_spark(const struct vs_bedside_trend *t, unsigned cells, bool utf8, char *buf, size_t cap,
	double *lowest, double *highest);

/* A refused request in one line of words: codes, then the sentence. */
const char *vs_bedside_refusal(const json_t *answer, char *buf, size_t cap);
/* True: everything that refused it is only a warning, which `confirm` settles. */
bool vs_bedside_only_warns(const json_t *answer);
/* True: two people may go on all the same, and a word alone would not do. */
bool vs_bedside_may_override(const json_t *answer);
