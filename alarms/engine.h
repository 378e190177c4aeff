/* The judgement of one chair: readings, commands and time go in, alarms and requests come out.
 *
 *	step(stimulus) --> due times that passed, in order --> the stimulus: validity, limits, trends --> tiers --> effects
 *
 * Pure: no clock, no allocation, no I/O.  Time is monotonic ms and comes with every stimulus; wall time is carried as
 * data for people.  When step is called does not matter, only the times in the stimuli do: what became due in between
 * is worked out first, at its own time, so that a replay gives the same alarms as the night itself.
 * The engine never forgets an alarm because data stopped coming.
 * Rules and all numbers are data (alarms/rules.h).  The life of an alarm is one table (alarms/lifecycle.h).
 * Phases and the baseline are the session's (alarms/session.h); they come in as stimuli. */
#pragma once
#include "alarms/lifecycle.h"
#include "alarms/rules.h"
#include "core/event.h"
#include "core/json.h"
#include "core/obs.h"

#define VS_ENGINE_DEVICES 16
#define VS_ENGINE_ALARMS (VS_RULES_MAX + VS_ENGINE_DEVICES) /* one a rule, one a silent device: none ever gives way */
#define VS_DEVICE_NONE 0xff
#define VS_BY_CAP 33
/* An instant says at most two things about each alarm; a step is what was due before (until as many things are said as
 * there are alarms), one instant on top of that, and its own. */
#define VS_EFFECTS_MAX (5 * VS_ENGINE_ALARMS)

/* What does not change while an engine runs; it must outlive the engine. */
struct vs_engine_config {
	const struct vs_limit_set *set;
	uint64_t *next_alarm; /* number of the next alarm, shared by all chairs of a daemon, kept over restarts; first 1 */
	unsigned n_devices;
	struct {
		const char *id;
		uint32_t period_ms; /* how often it gives its values; 0: once a second or oftener */
		uint32_t quiet_ms; /* it may be silent for so long before device-offline begins to count */
	} devices[VS_ENGINE_DEVICES]; /* last: only n_devices of them are looked at */
};

/* ---- what happens ------------------------------------------------------------------------------------------------ */

enum vs_stimulus_kind {
	VS_ST_TIME,     /* nothing but time; call it at wake_at_ms */
	VS_ST_READING,  /* a device reported (also a poll that brought no value) */
	VS_ST_ALIVE,    /* a device said something that is no reading */
	VS_ST_ACK,      /* a person acknowledges one alarm, or all that sound */
	VS_ST_PAUSE,    /* a person silences what stands now, for a while */
	VS_ST_RESUME,   /* ... and lets it sound again */
	VS_ST_PHASE,    /* the session is in another phase */
	VS_ST_BASELINE, /* the baseline was frozen: relative limits follow from it */
	VS_ST_INTERVAL, /* a person sets the cuff interval of this phase; 0: the set's */
	VS_ST_SCORE,    /* a person entered a number that rules judge (moaas, rass, poss) */
	VS_ST_MOVED,    /* cuff or probe sit elsewhere now: a new trend window */
	VS_ST_CUFF,     /* a cuff measurement began, or failed */
	VS_ST_LIMIT,    /* a person changes a limit for this patient */
	VS_ST_FAULT,    /* log, clock, station link */
	VS_ST_COUNT
};

enum vs_newness {
	VS_NIBP_ON_CHANGE, /* cuff values of this reading are new when one differs from the device's last ones */
	VS_NIBP_NEW,       /* they are a new measurement */
	VS_NIBP_OLD,       /* the monitor shows its last measurement again */
};

#define VS_BASELINE_MAX 6
struct vs_baseline {
	unsigned len;
	struct {
		enum vs_metric metric;
		double value;
	} at[VS_BASELINE_MAX];
};

/* Zero it, then fill what its kind needs.  Strings and pointers are read during the call only. */
struct vs_stimulus {
	enum vs_stimulus_kind kind;
	uint64_t at_ms;       /* monotonic; earlier than a stimulus before: taken as that one's time */
	int64_t wall_ms;
	const char *operator; /* who did it, in all commands; NULL: nobody */
	const char *reason;   /* LIMIT: must be given */
	unsigned device;      /* READING, ALIVE, CUFF: index in the configuration */
	const struct vs_reading *reading; /* READING */
	enum vs_newness nibp; /* READING */
	uint64_t alarm;       /* ACK: its number; 0: all that sound */
	uint32_t for_ms;      /* PAUSE: 0: the set's default; INTERVAL */
	enum vs_phase phase;  /* PHASE */
	const struct vs_baseline *baseline; /* BASELINE; NULL or empty: there is none any more */
	enum vs_metric metric; /* SCORE */
	double value;         /* SCORE; LIMIT: the new limit, NAN: back to the set's; FAULT clock: seconds of the step */
	bool cuff_moved, probe_moved; /* MOVED */
	bool failed;          /* CUFF: true: failed, false: it inflates */
	const char *rule;     /* LIMIT */
	enum vs_fault fault;  /* FAULT */
	bool on;              /* FAULT: it is there / it is over */
};

/* ---- what follows ------------------------------------------------------------------------------------------------ */

enum vs_effect_kind {
	VS_EFFECT_ALARM,   /* publish as kind alarm */
	VS_EFFECT_REQUEST, /* publish as kind request; nibp-* concern the cuff */
	VS_EFFECT_LIMIT,   /* a limit was changed for this patient: publish as kind entry (`limit-change`) */
	VS_EFFECT_REFUSED, /* the stimulus was refused or absorbed: tell whoever sent it; nothing to publish */
};

/* Why an alarm was raised: what counted, and what it was compared with. */
#define VS_SEEN_MAX 3
enum vs_origin { VS_FROM_SET, VS_FROM_BASELINE, VS_FROM_OPERATOR };
struct vs_because {
	double baseline;           /* NAN: none, or not used */
	double seen[VS_SEEN_MAX];  /* newest first */
	int32_t seen_ms[VS_SEEN_MAX]; /* before it was raised */
	uint32_t waited_ms;        /* delay, or time for confirmation */
	uint8_t n_seen, origin;    /* enum vs_origin of the limit */
	bool promoted;             /* raised without the confirmation that did not come */
};

struct vs_alarm_event {
	uint64_t number;            /* id text: a-000031 */
	const struct vs_rule *rule;
	const char *device;         /* id, NULL: none */
	enum vs_priority priority;
	enum vs_change change;
	enum vs_alarm_state state;
	enum vs_signal signal;
	double value, limit;        /* NAN: has none */
	int64_t onset_wall_ms;
	int64_t paused_until_wall_ms; /* 0: not paused */
	struct vs_because because;
	char by[VS_BY_CAP];         /* "": nobody */
	char text[192];
};

struct vs_request_event {
	const char *request;  /* nibp-repeat, nibp-now, nibp-interval, alarm-reminder, call-second, note; static */
	const char *rule;     /* id, NULL: none */
	uint64_t due_ms;      /* monotonic */
	int64_t due_wall_ms;
	uint32_t interval_ms; /* nibp-interval */
	uint64_t alarm;       /* alarm-reminder, call-second */
	char reason[160];
};

struct vs_limit_event {
	const struct vs_rule *rule;
	double old, now; /* NAN: none */
	bool is_set_s;   /* back to what the set says */
	char by[VS_BY_CAP], reason[120];
};

struct vs_effect {
	enum vs_effect_kind kind;
	uint64_t at_ms; /* when it followed; never after the stimulus */
	int64_t wall_ms;
	union {
		struct vs_alarm_event alarm;
		struct vs_request_event request;
		struct vs_limit_event limit;
		char refused[160];
	} u;
};

/* What became of a number of the reading. */
enum vs_quality {
	VS_Q_UNJUDGED, /* nothing said about it */
	VS_Q_VALID,
	VS_Q_SUSPECT,  /* shown with a mark: publish it with VS_FLAG_SUSPECT */
	VS_Q_REJECTED, /* no measurement: publish "no value" with VS_FLAG_INVALID; the raw number is kept in the log */
	VS_Q_OLD,      /* a cuff value that was reported before: not a new measurement */
};

struct vs_effects {
	uint64_t wake_at_ms; /* step again then, with VS_ST_TIME, if nothing happens before; UINT64_MAX: no need */
	bool durable;        /* what vs_engine_save keeps has changed */
	uint8_t quality[VS_READING_MAX]; /* enum vs_quality of each observation of the reading */
	double rpp;          /* derived from an accepted cuff reading of this step; NAN: none */
	unsigned lost;       /* effects that did not fit; 0 unless time jumped by days */
	unsigned len;
	struct vs_effect at[VS_EFFECTS_MAX];
};

/* The kind of event an effect is published as; VS_KIND_COUNT: none (REFUSED). */
enum vs_kind vs_effect_event_kind(const struct vs_effect *f);
/* The members of its body (contract, section 3) into the open object. */
void vs_effect_body(struct vs_json *j, const struct vs_effect *f);
/* "a-000031"; buf holds at least 24. */
const char *vs_alarm_id_text(uint64_t number, char *buf);
/* The number of "a-000031"; 0: it is none. */
uint64_t vs_alarm_id_parse(const char *text);

/* ---- the engine -------------------------------------------------------------------------------------------------- */

#include "alarms/engine_state.h"

/* Bytes of an engine for this set and these devices: less than sizeof(struct vs_engine), which has room for any.  Memory
 * of that size is enough for it, before and after vs_engine_reconfigure. */
size_t vs_engine_size(const struct vs_engine_config *config);

/* at_ms: now.  A device counts as heard now. */
void vs_engine_init(struct vs_engine *e, const struct vs_engine_config *config, uint64_t at_ms);

/* Everything that follows from one stimulus, in the order in which it followed.  `out` is overwritten. */
void vs_engine_step(struct vs_engine *e, const struct vs_stimulus *s, struct vs_effects *out);

/* Another configuration from now on (devices may have been renumbered, the set may be a new one).  Alarms keep their
 * ids; those whose rule or device is gone end. */
void vs_engine_reconfigure(struct vs_engine *e, const struct vs_engine_config *config, uint64_t at_ms, int64_t wall_ms,
	struct vs_effects *out);

/* Alarms that stand (active or latched, superseded ones too), one a call: *iterator starts at 0.  The effect is as the
 * last message about it.  False: no more. */
bool vs_engine_next_alarm(const struct vs_engine *e, unsigned *iterator, struct vs_effect *ret);
/* Alarms that are announced or acknowledged (not the superseded), by priority: what `alive` carries. */
void vs_engine_count(const struct vs_engine *e, unsigned ret[VS_PRIORITY_COUNT]);
enum vs_phase vs_engine_phase(const struct vs_engine *e);
/* The cuff interval that is asked for now; 0: none. */
uint32_t vs_engine_nibp_interval_ms(const struct vs_engine *e);
/* Members of an open object: "spo2":{"low":94}, "nibp_sys":{"low":90,"high":160} ...: the limit in force that a value
 * meets first in each direction.  Absent: nothing watches there in this phase.  A chair without ECG has those of `hr`
 * for `pr`. */
void vs_engine_limits(const struct vs_engine *e, struct vs_json *j);
/* Wall time until which a person paused the audio; 0: it is not paused. */
int64_t vs_engine_audio_paused_until(const struct vs_engine *e, uint64_t at_ms, int64_t wall_ms);

/* What gates ask (alarms/gates.h); station and self test are the caller's to fill. */
struct vs_session_facts;
void vs_engine_facts(const struct vs_engine *e, uint64_t at_ms, struct vs_session_facts *ret);

/* What outlives a restart, as bytes: alarms with ids, acknowledgements and latches, phase, baseline, limits of this
 * patient, cuff history.  Returns the length; 0: cap is too small (VS_ENGINE_SAVED_MAX always suffices). */
#define VS_ENGINE_SAVED_MAX 22528
size_t vs_engine_save(const struct vs_engine *e, int64_t wall_ms, uint8_t *buf, size_t cap);
/* After vs_engine_init.  The time that passed meanwhile counts (by the monotonic clock within one boot, else by the
 * wall clock); devices are given time to come back.  0, or -EINVAL: not such bytes; e is as after init. */
int vs_engine_restore(struct vs_engine *e, const uint8_t *buf, size_t len, int64_t wall_ms);

/* Alarms among the saved that restore could not put back, because their rule or device is not there any more: they have
 * to be told as ended.  e: after restore.  Returns how many there are in ret, at most cap. */
struct vs_left_behind {
	uint64_t number;
	enum vs_priority priority;
	int64_t onset_wall_ms;
	char rule[VS_RULE_ID_CAP];
};
unsigned vs_engine_left_behind(const struct vs_engine *e, const uint8_t *buf, size_t len, struct vs_left_behind *ret,
	unsigned cap);

/* Why: members of an object that is open.  explain: one standing alarm (-ENOENT: there is no such alarm now; the
 * `because` of its messages in the log says the same).  why: each rule, how far from alarming it is, what holds it. */
int vs_engine_explain(const struct vs_engine *e, uint64_t alarm, struct vs_json *j);
void vs_engine_why(const struct vs_engine *e, uint64_t at_ms, int64_t wall_ms, struct vs_json *j);
