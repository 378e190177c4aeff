/* One session on one page: what vitalsctl session report gathers from the log, and how it is shown.
 *
 * Everything comes from the recorded events; nothing is worked out that the record does not say. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct vs_report_phase {
	int64_t wall_ms;
	const char *phase;
	const json_t *body;
	int64_t lasted_ms; /* by the daemon's own clock, whatever was done to the one on the wall; 0: not known yet */
};

struct vs_report_alarm {
	char id[24], rule[40], priority[8], by[40], text[192];
	int64_t onset_ms, acknowledged_ms, cleared_ms; /* 0: not */
};

struct vs_report_cuff {
	int64_t wall_ms;
	double sys, dia, map; /* map 0: not given */
	int suspect;
};

/* A minute of the signals: NAN where there was no value. */
struct vs_report_minute {
	int64_t wall_ms;
	double hr, hr_low, hr_high, spo2, spo2_low;
};

struct vs_report {
	char session[40], chair[64], site[64];
	int64_t began_ms, from_ms, to_ms; /* it was opened; the earliest and the latest moment that is shown */
	json_t *events;            /* of the session and its entries, as published, in order */
	const json_t *last;        /* the newest session event */
	struct vs_report_phase *phases;
	struct vs_report_alarm *alarms;
	struct vs_report_cuff *cuffs;
	struct vs_report_minute *minutes;
	unsigned n_phases, n_alarms, n_cuffs, n_minutes;
	unsigned clock_steps;      /* so often the clock on the wall was set */
	json_t *ledger;            /* where the seconds of each metric went (audit_ledger.h); NULL: not asked */
	unsigned refused;          /* readings of the cuff that were rejected */
};

#define VS_LEDGER_COLUMNS 6
extern const char *const vs_ledger_columns[VS_LEDGER_COLUMNS]; /* in the order in which people read them: valid, suspect, ... */

struct vs_log;
/* 0, or -errno (said on stderr).  The caller finishes *ret in any case. */
int vs_report_gather(struct vs_log *log, const char *session, struct vs_report *ret);
void vs_report_finish(struct vs_report *r);

/* When the first of these phases began; 0: never. */
int64_t vs_report_phase_ms(const struct vs_report *r, const char *phase);
/* The moments that are compared: start, 40 minutes, end of the infusion, the last.  0: there is none; 40 minutes after
 * the start are not to be found on a clock that was set. */
enum vs_report_moment { VS_AT_START, VS_AT_40_MIN, VS_AT_END, VS_AT_LAST, VS_MOMENTS };
int64_t vs_report_moment_ms(const struct vs_report *r, enum vs_report_moment m);
const char *vs_report_moment_name(enum vs_report_moment m);
/* The accepted cuff reading that was known at a moment, and the minute nearest to it, within five minutes; NULL: none. */
const struct vs_report_cuff *vs_report_cuff_near(const struct vs_report *r, int64_t wall_ms);
const struct vs_report_minute *vs_report_minute_near(const struct vs_report *r, int64_t wall_ms);
/* The accepted cuff reading with the highest systolic pressure, and the lowest minute of saturation; NULL: none. */
const struct vs_report_cuff *vs_report_highest(const struct vs_report *r);
const struct vs_report_minute *vs_report_lowest_spo2(const struct vs_report *r);

/* "infusion 3 of 4 to 6, 2.0 days after the last; last weight 70 kg", from the body of a session event; "" where nothing is
 * known of a course. */
const char *vs_report_course(const json_t *session, char buf[120]);
/* Local time of a person's clock, "14:03:22", and "2026-11-21 14:03 CET".  Where the zone is another one than at the
 * moment last given to vs_report_begins (daylight-saving time ended meanwhile), its name is added: "02:03:22 CET". */
void vs_report_begins(int64_t wall_ms);
const char *vs_report_clock(int64_t wall_ms, char buf[16]);
const char *vs_report_date(int64_t wall_ms, char buf[40]);
/* "moaas 5", "ae headache, moderate", "med ondansetron 4 mg iv": an entry in a line; buf holds at least 400. */
const char *vs_report_entry(const json_t *event, char *buf, size_t cap);
const char *vs_report_text_of(const json_t *object, const char *key);

void vs_report_text(const struct vs_report *r, FILE *to);
void vs_report_html(const struct vs_report *r, FILE *to);
/* The drawing alone, a file of its own. */
void vs_report_svg(const struct vs_report *r, FILE *to);

struct vs_log_options;
/* The session that the options name as a text or a page; name NULL: on standard output;
 * replace: a file that is there already.  The exit status. */
int vs_report_write(struct vs_log *log, const struct vs_log_options *o, bool html, const char *name, bool replace);

/* `vitalsctl session report ...` and `vitalsctl session course ...`; argv[0] is the word after session. */
int vs_ctl_session_report(int argc, char **argv);
int vs_ctl_session_course(int argc, char **argv);
