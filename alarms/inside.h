/* What the files of the engine share; nobody outside alarms/ includes it.
 *
 *	engine.c    the door: due times, stimuli, commands        standing.c  alarms, tiers, what is said
 *	signal.c    1 Hz signals: median, delays, the drop        cuff.c      cuff readings: validity, confirmation
 *	trend.c     slopes and forecasts                          technical.c missing data, faults */
#pragma once
#include "alarms/engine.h"

/* One instant: everything that is worked out at time `at`. */
struct vs_turn {
	struct vs_engine *e;
	struct vs_effects *out;
	uint64_t at;
	int64_t wall;
	const char *by; /* the person who did it; NULL: nobody */
	bool dirty;     /* alarms came, went or changed rank: tiers must be worked out */
};

/* Median of n > 0 values; the order of v is lost. */
double vs_median(double *v, unsigned n);

static inline bool vs_rule_watches(const struct vs_engine *e, const struct vs_rule *r)
{
	return r->enabled && (r->phases & VS_PHASE_BIT(e->phase));
}
/* Devices there are places for. */
static inline unsigned vs_devices(const struct vs_engine_config *c)
{
	return c->n_devices < VS_ENGINE_DEVICES ? c->n_devices : VS_ENGINE_DEVICES;
}
/* The place of the alarm that a device is silent. */
static inline unsigned vs_silence_place(const struct vs_engine *e, unsigned device)
{
	return e->set->n_rules + device;
}
/* Is there an alarm that the device is silent?  Any number may be asked. */
static inline bool vs_device_silent(const struct vs_engine *e, unsigned device)
{
	return device < vs_devices(e->config) && e->rules[vs_silence_place(e, device)].alarm.number != 0;
}
/* Places of the alarms that stand, in the order of their numbers: what is said in one instant is said in this order,
 * whatever became of the places before.  Returns how many. */
unsigned vs_standing_places(const struct vs_engine *e, uint8_t ret[VS_ENGINE_ALARMS]);
void vs_standing_mark(struct vs_engine *e, unsigned place, bool stands);
/* All there is of an engine.  to: memory for a whole one, or for as many places. */
void vs_engine_copy(struct vs_engine *to, const struct vs_engine *e);
/* A rule as it begins: no limit, nothing noticed, no alarm. */
void vs_rule_state_blank(struct vs_rule_state *rs);
/* The first rule of a set of bits, which must not be empty. */
static inline unsigned vs_first(uint64_t bits)
{
	return (unsigned)__builtin_ctzll(bits);
}
/* Works out the bits of e->watch. */
void vs_watch_work_out(struct vs_engine *e);
/* Is the condition of the rule of that id there now? */
bool vs_rule_active(const struct vs_engine *e, const char *id);
/* Baseline of a metric; NAN: none.  hr, pr and nibp_pr stand in for one another. */
double vs_engine_baseline(const struct vs_engine *e, enum vs_metric m);
/* The limits in force, from set, baseline and what was changed for this patient. */
void vs_limits_work_out(struct vs_engine *e);
/* Newest known value of what rules judge one by one (cuff, rpp, hr by the cuff); NAN: none. */
double vs_cuff_value(const struct vs_cuff *c, enum vs_metric m);

/* standing.c */
struct vs_found {
	enum vs_priority priority;
	double value, limit;
	uint32_t waited_ms;
	uint8_t device, source; /* index or VS_DEVICE_NONE; enum vs_metric it was measured as */
	bool promoted;
};
/* The condition of a rule is there / is over / has another priority.  Nothing is announced before settle. */
void vs_begin(struct vs_turn *t, unsigned rule, const struct vs_found *f);
void vs_finish(struct vs_turn *t, unsigned rule);
void vs_rank(struct vs_turn *t, struct vs_standing *a, enum vs_priority p);
/* What a threshold alarm's priority should be now. */
enum vs_priority vs_threshold_priority(const struct vs_engine *e, const struct vs_standing *a, uint64_t at);
/* NULL: none stands. */
struct vs_standing *vs_standing_of(struct vs_engine *e, unsigned rule);
/* Device-offline, which has one alarm a device: NONE: over. */
void vs_offline_rank(struct vs_turn *t, unsigned rule, unsigned device, enum vs_priority p);
/* Ends an alarm whatever its state: its rule or device is no longer configured. */
void vs_drop(struct vs_turn *t, struct vs_standing *a);
/* Tiers; then everything that time does to alarms. */
void vs_settle(struct vs_turn *t);
void vs_alarms_time(struct vs_turn *t);
void vs_alarms_command(struct vs_turn *t, const struct vs_stimulus *s);
uint64_t vs_alarms_due(const struct vs_engine *e);
void vs_standing_effect(const struct vs_engine *e, const struct vs_standing *a, struct vs_effect *ret);
/* An effect to fill; NULL: there is no room. */
struct vs_effect *vs_effect_new(struct vs_turn *t, enum vs_effect_kind kind);
void vs_refuse(struct vs_turn *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* At most one of a name and due time a turn. */
struct vs_request_event *vs_request(struct vs_turn *t, const char *request, const char *rule, uint64_t due_ms,
	const char *format, ...) __attribute__((format(printf, 5, 6)));

/* signal.c */
void vs_sample(struct vs_turn *t, enum vs_channel ch, double value, unsigned device);
void vs_signals_judge(struct vs_turn *t);
void vs_signals_forget(struct vs_engine *e);
enum vs_channel vs_channel_of(const struct vs_engine *e, enum vs_metric m);
/* The median at a time, without a trace; NAN: none. */
double vs_median_now(const struct vs_engine *e, enum vs_channel ch, uint64_t at_ms);
double vs_heart_rate(const struct vs_engine *e);
uint64_t vs_signals_due(const struct vs_engine *e, unsigned rule);
void vs_track_init(struct vs_track *tr);
/* What a value is compared with to end an alarm. */
double vs_clear_limit(const struct vs_rule *r, double limit);
/* Rate of the drop rule's reference. */
double vs_history_median(const struct vs_engine *e, uint64_t at, uint32_t from_ms, uint32_t until_ms);

/* cuff.c */
void vs_cuff_reading(struct vs_turn *t, const struct vs_stimulus *s);
void vs_cuff_failed(struct vs_turn *t, const char *why);
/* Suspects and confirmations that waited long enough. */
void vs_cuff_time(struct vs_turn *t);
/* A value that stands for itself: a cuff reading, a score. */
void vs_value_judge(struct vs_turn *t, enum vs_metric m, double value, uint64_t measured_ms, unsigned device);
uint64_t vs_cuff_due(const struct vs_engine *e, unsigned rule);
uint64_t vs_suspect_due(const struct vs_engine *e);
/* Works out the interval that is asked for, and asks. */
void vs_cuff_interval(struct vs_turn *t);

/* trend.c */
void vs_trend_cuff(struct vs_turn *t, const struct vs_cuff *c);
void vs_trend_signals(struct vs_turn *t);
void vs_trend_ends(struct vs_turn *t);
void vs_block_finish(struct vs_turn *t, enum vs_channel ch);
void vs_trend_reset(struct vs_engine *e, bool probe, bool cuff, uint64_t at);

/* technical.c */
void vs_technical_time(struct vs_turn *t);
uint64_t vs_technical_due(const struct vs_engine *e, unsigned rule);
uint64_t vs_devices_due(const struct vs_engine *e);

static inline uint64_t vs_sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}
