/* The daemon: everything that lives as long as the process, and what its parts need of each other.
 *
 *	main.c      the command line, start and end, signals, the second's tick
 *	chair.c     one chair: its devices and its engine; effects become events in custody
 *	requests.c  what people ask over the control socket
 *	reload.c    SIGHUP: a new configuration, touching only what changed
 *	access.c    who read the record, where that leaves a trace
 *	retention.c what of the record may go, and what is on hold
 *	snapshot.c  the state of all chairs as JSON, for the query socket and for vitalsctl
 */
#pragma once
#include <uv.h>

#include "alarms/watch.h"
#include "config/config.h"
#include "config/limits.h"
#include "daemon/control.h"
#include "daemon/course.h"
#include "daemon/custody.h"
#include "daemon/device.h"
#include "daemon/outbox.h"
#include "daemon/publisher.h"
#include "daemon/store.h"

struct vs_chair;
struct vs_retention;

/* The numbers of a chair that a new configuration took away: if it comes back in this epoch, it goes on counting. */
struct vs_retired {
	struct vs_retired *next;
	char id[VS_ID_CAP];
	uint64_t seq[VS_KIND_COUNT];
};

struct vs_daemon {
	uv_loop_t *loop;
	struct vs_config *config;
	struct vs_limit_sets *sets;
	struct vs_session_data *session_data;
	struct vs_custody *custody;
	struct vs_outbox *outbox;
	struct vs_store *store;
	struct vs_courses *courses;
	struct vs_retention *retention;
	struct vs_publisher *publisher;
	struct vs_control *control;
	struct vs_acquire *acquire;
	const struct vs_peer *peer; /* whose request is being carried out; NULL: nobody's */
	unsigned n_chairs;
	struct vs_chair **chairs;
	struct vs_retired *retired;

	uint64_t epoch;
	uint64_t next_alarm;   /* shared by all chairs: the number of the next alarm */
	char day[9];           /* "20261121": the day that session numbers count for (UTC) */
	uint64_t last_session; /* the highest number of that day */
	int64_t wall_offset_ms; /* wall clock minus CLOCK_BOOTTIME when last looked at */
	unsigned lost;         /* events that found no room anywhere since that began */
	bool log_failing;

	uv_timer_t tick;       /* once a second */
	uint64_t tick_due_ms;
	uv_async_t store_changed;
	uv_signal_t on_term, on_int, on_hup;
	uint64_t watchdog_ms;
	bool ready, ending;
};

/* chair.c: finds a chair by its id; NULL: there is none. */
struct vs_chair *vs_daemon_chair(struct vs_daemon *d, const char *id);
/* A new session id for today, "s-20261121-3"; buf holds at least VS_WHO_CAP. */
void vs_daemon_session_id(struct vs_daemon *d, int64_t wall_ms, char *buf);
/* READY=1 once everything stands; called by whatever became ready last. */
void vs_daemon_ready(struct vs_daemon *d);

/* requests.c: a vs_control_fn; ctx is the daemon. */
char *vs_daemon_request(void *ctx, const struct vs_peer *peer, const char *line, size_t len);

/* access.c: records whether reading leaves a trace; at the start where it does, and when a reload changes it. */
void vs_daemon_say_policy(struct vs_daemon *d);
/* access.c: records that somebody reads the log.  chair, session: of what is read; NULL: no single one. */
struct vs_access {
	const char *what, *log, *chair, *session, *operator;
	unsigned uid;
};
void vs_daemon_access(struct vs_daemon *d, const struct vs_access *a);

/* snapshot.c: {"ok":true,...} of one chair or of all (NULL), from malloc(); {"ok":false,...} for an unknown chair. */
char *vs_daemon_snapshot(struct vs_daemon *d, const char *chair);
/* {"ok":false,"error":...} from malloc(). */
char *vs_daemon_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* reload.c: has the texts of the sets recorded by which chairs are judged from now on.  0 or -ENOMEM. */
int vs_daemon_record_limits(struct vs_daemon *d, const struct vs_config *config, const struct vs_limit_sets *sets);
/* reload.c: reads the configuration again.  An invalid one changes nothing; findings are said.  0; -EINVAL; -ENOMEM: nothing was
 * changed, or some chair goes on as before or is not there, which was said. */
int vs_daemon_reload(struct vs_daemon *d);
