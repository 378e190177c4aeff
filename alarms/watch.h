/* The watch over one chair: the engine that judges readings and the session that knows what is going on, together.
 *
 *	reading, time, command --> session dues, engine --> events (kind and body), in order --> the caller
 *
 * The daemon and `vitalsctl replay` both stand on this door, so that what a replay prints is what the daemon published.
 * Pure, like what it holds: time comes in, nothing is read, waited for or allocated.  When it is called does not
 * matter, only the times in the calls do: dues that passed in between are worked out first, each at its own time. */
#pragma once
#include "alarms/engine.h"
#include "alarms/session.h"

/* One event: members of its JSON body.  body is good during the call only. */
typedef void vs_watch_emit(void *ctx, enum vs_kind kind, uint64_t at_ms, int64_t wall_ms, const char *body, size_t len);

struct vs_watch {
	struct vs_session session;
	const struct vs_session_data *data;
	uint64_t session_wake_ms;
	/* What the caller knows and gates ask (G6): */
	bool station_known, station_up, self_test_known;
	uint64_t self_test_ms;
	struct vs_engine engine; /* last, because it may be smaller than its type */
};
/* Bytes of a watch whose engine has this configuration; see vs_engine_size. */
size_t vs_watch_size(const struct vs_engine_config *config);

/* config and data must outlive the watch. */
void vs_watch_init(struct vs_watch *w, const struct vs_engine_config *config, const struct vs_session_data *data,
	uint64_t at_ms);

/* A reading, time, or a command that concerns alarms.  effects: working space of the caller's, afterwards what the
 * engine said last (quality of the reading, wake_at_ms for engine AND session, durable for both). */
void vs_watch_stimulus(struct vs_watch *w, const struct vs_stimulus *s, struct vs_effects *effects, vs_watch_emit *emit,
	void *ctx);

/* A command that concerns the session.  A refusal changes and emits nothing. */
void vs_watch_command(struct vs_watch *w, const struct vs_session_command *c, uint64_t at_ms, int64_t wall_ms,
	struct vs_session_answer *answer, struct vs_effects *effects, vs_watch_emit *emit, void *ctx);

/* Another configuration from now on: other devices, another set of limits. */
void vs_watch_reconfigure(struct vs_watch *w, const struct vs_engine_config *config, uint64_t at_ms, int64_t wall_ms,
	struct vs_effects *effects, vs_watch_emit *emit, void *ctx);

/* What outlives a restart.  Returns the length, 0: cap is too small (VS_WATCH_SAVED_MAX always suffices). */
#define VS_WATCH_SAVED_MAX (VS_ENGINE_SAVED_MAX + 8192)
size_t vs_watch_save(const struct vs_watch *w, uint64_t at_ms, int64_t wall_ms, uint8_t *buf, size_t cap);
/* After vs_watch_init.  Emits the end of alarms whose rule or device is gone.  0, or -EINVAL: not such bytes, *why says what is wrong
 * with them, and w is as it was. */
int vs_watch_restore(struct vs_watch *w, const uint8_t *buf, size_t len, uint64_t at_ms, int64_t wall_ms,
	const char **why, vs_watch_emit *emit, void *ctx);
/* Nobody watched for so long: emits an event that says so (of the session; without one a request `restarted`), and what
 * a person must be asked after a longer gap. */
void vs_watch_was_blind(struct vs_watch *w, uint64_t blind_ms, uint64_t at_ms, int64_t wall_ms, vs_watch_emit *emit,
	void *ctx);
