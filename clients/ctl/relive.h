/* A recorded session once more: what the log says went in - readings, phases, entries, what people did about alarms -
 * through the watch that the daemon stands on, with the limit sets of the caller's choice.
 *
 *	log --load--> steps in the order of their times --run--> events, as the daemon would have published them
 *
 * Time is that of the clock which nobody sets, where the log says how it stood to the wall clock (schema/README.md, `clock`); it is
 * told as what the wall clock would have shown had nobody set it since the session began.  Limits and devices that a
 * message of the session names are in force from that message on.
 * Inputs that the log does not hold are taken from what followed from them: a fault of log or clock from its alarm, an
 * audio pause from the alarms it silenced (one that silenced nothing left no trace).  Numbers that the engine rejected
 * are put back from the message that named them.  Where no message says how often a device is asked, it is what its
 * readings were apart.
 * The engine begins an hour before the session, or before the first alarm that still stood then, with nothing known; where
 * the daemon restarted, it restarts too, with the state that was durable then. */
#pragma once
#include "alarms/watch.h"
#include "clients/ctl/logread.h"

/* One message of kind alarm, as recorded or as derived again. */
struct vs_relive_alarm {
	int64_t at_ms;
	char id[24], rule[40], device[40], priority[8], change[16], by[40], text[192];
	double value, limit; /* NAN: none */
};
struct vs_relive_alarms {
	struct vs_relive_alarm *at;
	size_t len, cap;
};
/* Adds one from its JSON (an object, or the members of one).  0, -ENOMEM, -EINVAL: no such JSON. */
int vs_relive_note(struct vs_relive_alarms *to, int64_t at_ms, const char *json, size_t len);
void vs_relive_forget(struct vs_relive_alarms *a);

struct vs_relive;
/* 0; -ENOENT: the log has no such session; other -errno: said on stderr. */
int vs_relive_load(struct vs_log *log, const char *session, struct vs_relive **ret);
void vs_relive_free(struct vs_relive *r);
/* When the session began and when the last was heard of it (its end, or the end of the log). */
int64_t vs_relive_from_ms(const struct vs_relive *r);
int64_t vs_relive_to_ms(const struct vs_relive *r);
/* The limits that were in force, in the order in which the session first names them.  *ret_n 0: the log does not say. */
struct vs_relive_limits {
	char name[64], hash[17];
};
const struct vs_relive_limits *vs_relive_limits(const struct vs_relive *r, unsigned *ret_n);
/* What was alarmed in the session at the time. */
const struct vs_relive_alarms *vs_relive_recorded(const struct vs_relive *r);

/* Events of the session itself, in order; body: members without braces, good during the call. */
typedef void vs_relive_tell(void *ctx, enum vs_kind kind, int64_t at_ms, const char *body, size_t len);
/* sets: one for each of vs_relive_limits, in their place; n 1: that one throughout.  0 or -ENOMEM. */
int vs_relive_run(const struct vs_relive *r, const struct vs_limit_set *const *sets, unsigned n, const struct vs_session_data *data,
	vs_relive_tell *tell, void *ctx);

/* What each rule looked at and what held it back at this time of the session: the members of vs_engine_why.  0 or -ENOMEM. */
int vs_relive_why(const struct vs_relive *r, const struct vs_limit_set *const *sets, unsigned n, const struct vs_session_data *data,
	int64_t at_ms, struct vs_json *j);

/* Where two courses of alarms differ: in rule, device, change, limit, or in time or value by more than this.  The log's
 * clock reads in ms, and the daemon looks at it up to a few ms after an input came; between two rows of `clock` it may have moved by
 * 20 ms.  So the slope of a trend, and the value that it arrives at, is known to some 1/1000; no monitor sends finer steps than
 * 1/100. */
#define VS_RELIVE_SAME_MS 250
#define VS_RELIVE_SAME_VALUE 0.005
enum vs_relive_difference { VS_RELIVE_MISSING, VS_RELIVE_EXTRA, VS_RELIVE_OTHER_NUMBERS };
/* Tells each difference, earliest first; `then` NULL for EXTRA, `now` NULL for MISSING.  Returns how many; -ENOMEM. */
int vs_relive_compare(const struct vs_relive_alarms *then, const struct vs_relive_alarms *now,
	void (*tell)(void *ctx, enum vs_relive_difference d, const struct vs_relive_alarm *then,
		const struct vs_relive_alarm *now), void *ctx);
