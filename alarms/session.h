/* The session of one chair: phases, gates, the baseline, what the nurse enters (clinical table B).
 *
 *	none --open--> screening --> baseline --start--> infusion <--> paused
 *	                   |            |                  |   stop      |
 *	                   +---cancel---+                  +-> recovery <+
 *	                          |                              |
 *	     discharged <---------+------------discharge---------+      aborted: from anywhere, still watched
 *
 * Pure: a command and what was measured go in, an answer comes out; time is monotonic ms in every call (signed: what
 * happened before a reboot lies before zero), wall time is carried as data for the record.  One declared table (vs_session_moves) says which move leads where under which
 * guards.  A refused command changes nothing.  A chair whose session is over becomes `none` when the patient has left,
 * or after a while anyway: a chair with data is always watched. */
#pragma once
#include "alarms/gates.h"
#include "alarms/phase.h"
#include "core/json.h"
#include "core/metric.h"

/* What can happen to a session. */
enum vs_move {
	VS_MOVE_OPEN,
	VS_MOVE_SCREENED,
	VS_MOVE_START,
	VS_MOVE_PAUSE,
	VS_MOVE_RESUME,
	VS_MOVE_STOP,
	VS_MOVE_STABLE,
	VS_MOVE_DISCHARGE,
	VS_MOVE_CANCEL,
	VS_MOVE_TRANSFER,
	VS_MOVE_ABORT,
	VS_MOVE_VACATE, /* not a person's: the chair is empty again */
	VS_MOVE_COUNT
};
const char *vs_move_name(enum vs_move m);

enum vs_guard { VS_GUARD_NONE, VS_GUARD_FREE, VS_GUARD_SCREENING, VS_GUARD_INFUSION, VS_GUARD_RESUME, VS_GUARD_STABLE,
	VS_GUARD_DISCHARGE, VS_GUARD_REASON, VS_GUARD_DESTINATION };

/* The table: every row that exists is a move that is possible; all others are refused. */
struct vs_session_row {
	enum vs_phase from;
	enum vs_move move;
	enum vs_phase to;
	enum vs_guard guard;
};
extern const struct vs_session_row vs_session_moves[];
extern const size_t vs_session_moves_len;

#define VS_WHO_CAP 33    /* operators, patient codes, session ids: a word of up to 32 characters */
#define VS_REASON_CAP 120
#define VS_NOTE_CAP 1025     /* what a nurse writes: kept in the record, not in the session */

/* Screening questions (presets.yaml, `screening:`): any but the wanted answer needs an override. */
#define VS_CHECKS 16
struct vs_checklist {
	unsigned len;
	struct vs_check {
		char item[32];
		char text[96];
	} at[VS_CHECKS];
};
enum vs_answer { VS_ANSWER_NONE, VS_ANSWER_NO, VS_ANSWER_YES, VS_ANSWER_UNKNOWN };

/* Everything a session is judged by that a clinic may change.  Constant while a daemon runs; a session keeps a copy of
 * its preset. */
#define VS_PRESETS 48
struct vs_session_data {
	struct vs_gate_rules rules;
	struct vs_checklist checks;
	unsigned n_presets;
	struct vs_preset preset[VS_PRESETS];
};
/* By id or name, without regard to case; NULL: there is none. */
const struct vs_preset *vs_preset_find(const struct vs_session_data *d, const char *id_or_name);

/* What can be entered: one table, alarms/entries.def. */
enum vs_entry_kind {
#define ENTRY(id, ...) VS_ENTRY_##id,
#include "alarms/entries.def"
#undef ENTRY
	VS_ENTRY_COUNT
};
const char *vs_entry_name(enum vs_entry_kind k);
/* VS_ENTRY_COUNT: there is no such kind. */
enum vs_entry_kind vs_entry_by_name(const char *name);
/* The metric that rules judge by it: that of the same name (moaas, rass, poss); VS_METRIC_NONE: it is only recorded. */
enum vs_metric vs_entry_metric(enum vs_entry_kind k);
/* "moaas 0-5: how awake ..." a line each, for --help. */
const char *vs_entry_help(enum vs_entry_kind k);

/* An entry as it stands in the record.  A correction is a new entry whose `corrects` is the number of the old one. */
struct vs_entry {
	uint32_t number;   /* counts within the session (or the chair, without one), from 1 */
	uint32_t corrects; /* 0: corrects nothing */
	enum vs_entry_kind kind;
	bool has_number;
	double number_value;
	int severity;      /* of a symptom: 0 none, 1 mild, 2 moderate, 3 severe */
	char word[64];     /* the value where it is no number; also the item of a check, the code of an event */
	char detail[24];   /* its second word: answer of a check, severity of an event, route of a drug */
	char unit[12];
	char note[VS_NOTE_CAP];
	char operator[VS_WHO_CAP];
	int64_t from_wall_ms, to_wall_ms; /* of a symptom; 0: not said */
};

enum vs_verb { VS_VERB_NONE, VS_VERB_OPEN, VS_VERB_PHASE, VS_VERB_TRANSFER, VS_VERB_ENTRY };

/* A daemon is strict.  A replay has recordings without a session: phases happen as written, or are asked the gates of
 * the phase they lead to; with a session open, the table of moves holds under VS_STRICT_GATES as well. */
enum vs_strictness { VS_STRICT_FULL, VS_STRICT_GATES, VS_STRICT_NOT };

/* Where a session stands among those of its patient, as the caller found it in the record. */
struct vs_course {
	uint32_t index;       /* this infusion will be the so-manieth, from 1; 0: not known */
	int64_t last_wall_ms; /* start of the one before; 0: there was none */
};

/* A command of a person.  Zeroed and filled by hand, or by vs_session_parse from words. */
struct vs_session_command {
	enum vs_verb verb;
	char operator[VS_WHO_CAP];
	char second[VS_WHO_CAP];       /* --second */
	char reason[VS_REASON_CAP];    /* --reason; also the destination of a transfer */
	char override[VS_REASON_CAP];  /* --override; not empty: override what may be overridden */
	bool confirm;                  /* --confirm */
	enum vs_strictness strictness;
	enum vs_phase phase;           /* VERB_PHASE */
	char session[VS_WHO_CAP];      /* VERB_OPEN: the id for the new session, from the caller */
	char patient[VS_WHO_CAP];      /* VERB_OPEN: a pseudonymous code, [A-Za-z0-9][A-Za-z0-9._-]{0,31} */
	char protocol[40];             /* VERB_OPEN: id or name; empty: observation without a protocol */
	struct vs_kg weight, last_weight; /* VERB_OPEN; 0: not known */
	struct vs_dose_order order;    /* VERB_OPEN */
	struct vs_course course;       /* VERB_OPEN */
	enum vs_entry_kind kind;       /* VERB_ENTRY */
	char value[VS_NOTE_CAP];       /* VERB_ENTRY: all its words */
	char note[VS_NOTE_CAP];
	uint32_t corrects;
	int64_t from_wall_ms, to_wall_ms;
};

/* Words as a person types them after `vitalsctl session` or `vitalsctl entry`, or in the command column of a replay:
 *
 *	start --patient CODE --protocol NAME [--weight KG] [--last-weight KG] [--dose MG/KG] [--over MIN] [--step N]
 *	phase PHASE | transfer DESTINATION
 *	entry KIND [VALUE...] [--note TEXT] [--corrects N] [--from TIME] [--to TIME]
 *
 * each with [--reason TEXT] [--override REASON] [--second NAME] [--confirm] [--operator NAME].
 * 0, or -EINVAL with the reason in words in `why`. */
int vs_session_parse(const char *const *words, size_t n, struct vs_session_command *ret, char *why, size_t cap);

/* What the caller has to do after an accepted command. */
enum {
	VS_DO_SESSION = 1 << 0,  /* publish vs_session_body */
	VS_DO_ENTRY = 1 << 1,    /* publish vs_entry_body */
	VS_DO_PHASE = 1 << 2,    /* the phase changed: its rules, its cuff interval */
	VS_DO_BASELINE = 1 << 3, /* the baseline was frozen: relative limits follow from it */
	VS_DO_HELP = 1 << 4,     /* aborted: tell the station at once, priority high */
	VS_DO_TREND_CUFF = 1 << 5,  /* the cuff was moved: a new trend window */
	VS_DO_TREND_PROBE = 1 << 6,
	VS_DO_SCORE = 1 << 7,    /* a score that rules judge (vs_entry_metric): entry.number_value */
	VS_DO_CLOSED = 1 << 8,   /* the session is over: seal the record */
};

struct vs_session_answer {
	bool accepted;
	enum vs_phase from, to;   /* equal for an entry */
	int64_t lasted_ms;        /* how long it was in `from`, by the clock that nobody sets */
	unsigned todo;            /* VS_DO_ bits */
	struct vs_entry entry;    /* with VS_DO_ENTRY */
	struct vs_gate_findings findings; /* refused: why; accepted: what was confirmed or overridden */
	char override[VS_REASON_CAP], second[VS_WHO_CAP], operator[VS_WHO_CAP]; /* as given */
};

#define VS_SESSION_BASELINE 6
enum { VS_REMIND_SCORE, VS_REMIND_RESUME, VS_REMIND_STOP, VS_REMIND_CUFF, VS_REMIND_SYMPTOMS, VS_REMINDERS };
struct vs_session {
	enum vs_phase phase;
	char id[VS_WHO_CAP];       /* "": no session */
	char patient[VS_WHO_CAP];
	char operator[VS_WHO_CAP]; /* of the last command */
	char second[VS_WHO_CAP];
	char reason[VS_REASON_CAP];  /* of the last phase change */
	char outcome[24];          /* "", completed, stopped_early, aborted, transferred, not_started */
	struct vs_preset preset;   /* a copy; preset.id "" without a protocol */
	struct vs_dose_order order;
	struct vs_kg weight, last_weight;
	struct vs_course course;

	bool begun, ended, closed; /* the infusion began; it is over for good; the session is over */
	int64_t phase_ms, opened_ms, infusion_ms, stopped_ms, closed_ms; /* monotonic; of what has happened */
	int64_t phase_wall_ms, opened_wall_ms, infusion_wall_ms, stopped_wall_ms, closed_wall_ms;
	int64_t paused_for_ms;    /* sum of all pauses that are over */

	bool has_baseline;         /* frozen */
	struct vs_baseline_value {
		enum vs_metric metric;
		double value;
	} baseline[VS_SESSION_BASELINE];
	unsigned n_baseline;

	uint32_t entries;                    /* numbers given out */
	struct vs_check_answer {             /* by question, not by place: a reload or a restart may bring another list */
		uint32_t item;               /* its hash; 0: a free place */
		uint8_t answer;              /* enum vs_answer */
	} check[VS_CHECKS];
	struct vs_entry_last {               /* the newest of each kind */
		uint32_t number;             /* 0: none */
		int64_t at_ms;
		double value;                /* number, or severity 0..3, or yes = 1 / no = 0 */
	} last[VS_ENTRY_COUNT];
	uint64_t overridden;                 /* gate bits, over the whole session */

	struct vs_mg given;                  /* by the rates and boluses entered */
	struct vs_mg_h rate;                 /* as planned or entered; it runs in the infusion phase */
	int64_t rate_ms;                    /* `given` is right up to here */
	bool rate_known;

	struct vs_reminder {                 /* of each sort: made so often, the last one when */
		unsigned count;
		int64_t at_ms;
	} reminder[VS_REMINDERS];
};
_Static_assert(sizeof(struct vs_session) <= 3072, "a session is part of the durable state of a chair");

void vs_session_init(struct vs_session *s);
/* A session from the bytes of one that were kept (by this program: the layout is its own).  NULL: *s is it; else which member
 * cannot be, and *s is as it was. */
const char *vs_session_restore(struct vs_session *s, const void *bytes);
/* The id for envelopes: NULL while there is no session, and after it is over. */
const char *vs_session_id(const struct vs_session *s);

/* One command.  A refusal leaves *s as it was. */
void vs_session_command(struct vs_session *s, const struct vs_session_data *d, const struct vs_session_facts *f,
	const struct vs_session_command *c, int64_t now_ms, int64_t wall_ms, struct vs_session_answer *ret);

/* What the session asks of people while time passes. */
struct vs_session_request {
	const char *request; /* entry-due, resume-due, stop-due, nibp-now */
	char reason[120];
	int64_t due_ms;     /* since when, or until when */
};
#define VS_SESSION_REQUESTS VS_REMINDERS
struct vs_session_dues {
	unsigned len;
	struct vs_session_request at[VS_SESSION_REQUESTS];
	bool vacated;     /* the phase became none: publish the session, work out limits anew */
	uint64_t wake_ms; /* UINT64_MAX: nothing is due later */
};
void vs_session_tick(struct vs_session *s, const struct vs_session_data *d, const struct vs_session_facts *f,
	int64_t now_ms, int64_t wall_ms, struct vs_session_dues *ret);

/* Clocks.  Infusion: time the pump ran, pauses not counted.  0 before it begins. */
int64_t vs_session_infused_ms(const struct vs_session *s, int64_t now_ms);
/* What was answered to a screening question. */
enum vs_answer vs_session_check(const struct vs_session *s, const char *item);
/* The frozen baseline of a metric.  False: there is none. */
bool vs_session_baseline(const struct vs_session *s, enum vs_metric m, double *ret);
/* mg that ran in until now, by what was entered. */
struct vs_mg vs_session_given(const struct vs_session *s, int64_t now_ms);
/* The monotonic clock started anew (reboot): move all times by delta_ms (new minus old). */
void vs_session_shift(struct vs_session *s, int64_t delta_ms);
/* The daemon was away for gap_ms.  True: longer than may be assumed away; ret is the request to ask people. */
bool vs_session_after_gap(const struct vs_session *s, const struct vs_session_data *d, uint64_t gap_ms,
	struct vs_session_request *ret);

/* Bodies of events: members of the open object `j` (contract, section 3).  a may be NULL (a snapshot). */
void vs_session_body(struct vs_json *j, const struct vs_session *s, const struct vs_session_answer *a, int64_t now_ms);
void vs_entry_body(struct vs_json *j, const struct vs_entry *e);
void vs_session_request_body(struct vs_json *j, const struct vs_session_request *q, int64_t due_wall_ms);
/* "codes":["G2",...],"text":"...","gates":[...] of a refused command. */
void vs_refusal_body(struct vs_json *j, const struct vs_session_answer *a);
