/* The readings of a session and of its chair around it: each row is read once, in the order in which they were taken. */
#pragma once
#include "clients/ctl/log.h"
#include "core/metric.h"

/* What a reading says of one metric. */
struct vs_log_value {
	const char *name, *unit;
	enum vs_metric metric; /* VS_METRIC_NONE: of a newer version, it has only its name */
	unsigned place;        /* the same for the same name and unit throughout, from 0 without gaps */
	bool is_suspect, is_questionable, is_artifact;
	bool is_there;         /* else: no value */
	bool is_word;          /* a value that is no number */
	double number;
	bool of_session;       /* taken in the session */
	bool in_time;          /* taken between since_ms and until_ms */
	int64_t at_ms;
};

/* Gives every value of the session `o->session`, and those of the chair `o->chair` from since_ms to until_ms.  Strings are good
 * until this returns.  VS_EXIT_DONE, or VS_EXIT_FAILED after saying why. */
int vs_log_readings(struct vs_log *l, const struct vs_log_options *o, void (*take)(void *arg, const struct vs_log_value *v),
		    void *arg);
