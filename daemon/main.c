/* vitalsd: the command line, start and end, and the tick of the second. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/presets.h"
#include "daemon/chair.h"
#include "core/timetext.h"
#include "daemon/clock.h"
#include "daemon/notify.h"
#include "daemon/retention.h"
#include "daemon/say.h"

#define CLOCK_STEP_MS 2000

static void help(void)
{
	puts("vitalsd - bedside vital-signs monitor daemon for ketamine-infusion clinics\n\n"
	     "Not a certified medical device.  It never replaces watching the patient, never drives a pump and never\n"
	     "advises a dose.  The alarm limits that ship are proposals that a clinician of your clinic has to approve.\n\n"
	     "usage: vitalsd --config FILE            run in the foreground\n"
	     "       vitalsd --config FILE --check    check the configuration and end\n\n"
	     "  --help, --version\n\n"
	     "Signals: SIGHUP reads the configuration again, SIGTERM ends.\n"
	     "Exit status: 0 done, 1 it could not be done, 2 wrong usage, 78 configuration invalid.");
}

/* ---- what custody has no room for ---- */

static uint64_t *number_of(void *ctx, const char *chair, enum vs_kind kind)
{
	struct vs_chair *c = vs_daemon_chair(ctx, chair);
	return c ? &c->seq[kind] : NULL;
}

/* The journal is what is left to tell of it. */
static void lost(void *ctx, const struct vs_event *e)
{
	struct vs_daemon *d = ctx;
	if (++d->lost <= 100)
		vs_say(VS_SAY_ERROR, "%s: an event of kind %s found no room in %lld s and is lost: %.*s", e->chair,
		       vs_kind_name(e->kind), (long long)(vs_wall_ms() - e->wall_ms) / 1000, (int)e->body_len, e->body);
	else if (d->lost == 101)
		vs_say(VS_SAY_ERROR, "more events are lost; they are counted from here on");
}

static const struct vs_outbox_ops outbox_ops = { .number = number_of, .lost = lost };

/* ---- the tick ---- */

static void tick_arm(struct vs_daemon *d);

/* The wall clock was set: an event in the record, and no timer moves. */
static void look_at_the_clock(struct vs_daemon *d)
{
	int64_t offset = vs_wall_ms() - (int64_t)vs_boottime_ms(), step = offset - d->wall_offset_ms;
	d->wall_offset_ms = offset;
	if (step > -CLOCK_STEP_MS && step < CLOCK_STEP_MS)
		return;
	vs_say(VS_SAY_WARNING, "the clock was set by %+lld ms; delays and ages are not affected", (long long)step);
	for (unsigned i = 0; i < d->n_chairs; i++) {
		struct vs_stimulus s = { .kind = VS_ST_FAULT, .fault = VS_FAULT_CLOCK, .on = true,
					 .value = (double)step / 1000 };
		vs_chair_step(d->chairs[i], &s);
	}
}

static void look_at_the_log(struct vs_daemon *d)
{
	struct vs_store_health h;
	vs_store_health(d->store, &h);
	/* A disk that writes, but not as fast as events come, is a failing log too. */
	vs_outbox_flush(d->outbox);
	unsigned waiting = vs_outbox_waiting(d->outbox);
	if (waiting && !h.failing) {
		h.failing = true;
		snprintf(h.text, sizeof h.text, "it is too slow, and %u events wait for room", waiting);
	}
	if (d->lost && !waiting) {
		vs_say(VS_SAY_ERROR, "%u events found no room and are missing in the log", d->lost);
		d->lost = 0;
	}
	if (h.failing != d->log_failing) {
		d->log_failing = h.failing;
		vs_say(h.failing ? VS_SAY_ERROR : VS_SAY_NOTICE, "the log %s%s%s",
		       h.failing ? "cannot be written: " : "is being written again", h.failing ? h.text : "",
		       h.failing ? "; alarms go on, events are kept until it can" : "");
		for (unsigned i = 0; i < d->n_chairs; i++) {
			struct vs_stimulus s = { .kind = VS_ST_FAULT, .fault = VS_FAULT_LOG, .on = h.failing };
			vs_chair_step(d->chairs[i], &s);
		}
	}
	struct vs_store_seal seal;
	while (vs_store_take_seal(d->store, &seal)) {
		struct vs_chair *c = vs_daemon_chair(d, seal.chair);
		if (c || d->n_chairs)
			vs_chair_emit(c ? c : d->chairs[0], VS_KIND_SEAL, seal.body, strlen(seal.body));
	}
}

static void on_tick(uv_timer_t *t)
{
	struct vs_daemon *d = t->data;
	look_at_the_clock(d);
	look_at_the_log(d);
	for (unsigned i = 0; i < d->n_chairs; i++)
		vs_chair_alive(d->chairs[i]);
	vs_retention_tick(d->retention);
	vs_custody_lives(d->custody, vs_boottime_ms(), vs_wall_ms());
	vs_publisher_look(d->publisher);
	vs_notify_again();
	/* While there is no publisher (it is being started, a URL cannot be bound) the loop speaks for itself: to restart
	 * the daemon would not bring one. */
	if (d->watchdog_ms && !vs_publisher_bound(d->publisher))
		vs_notify_watchdog();
	tick_arm(d);
}

/* To the next due time, not a period from now: a repeating timer drifts. */
static void tick_arm(struct vs_daemon *d)
{
	uint64_t now = vs_boottime_ms();
	d->tick_due_ms += 1000;
	if (d->tick_due_ms + 5000 < now) /* the machine slept */
		d->tick_due_ms = now + 1000;
	uv_timer_start(&d->tick, on_tick, d->tick_due_ms > now ? d->tick_due_ms - now : 0, 0);
}

/* ---- start ---- */

void vs_daemon_session_id(struct vs_daemon *d, int64_t wall_ms, char *buf)
{
	char text[VS_TIME_TEXT_CAP], day[9];
	vs_time_text(wall_ms, text);
	snprintf(day, sizeof day, "%.4s%.2s%.2s", text, text + 5, text + 8);
	if (strcmp(day, d->day) != 0) {
		memcpy(d->day, day, sizeof day);
		d->last_session = vs_store_last_session(d->store, day);
	}
	snprintf(buf, VS_WHO_CAP, "s-%s-%llu", day, (unsigned long long)++d->last_session);
}

void vs_daemon_ready(struct vs_daemon *d)
{
	if (d->ready || !d->publisher || !vs_publisher_bound(d->publisher) || !d->control)
		return;
	d->ready = true;
	unsigned devices = 0;
	for (unsigned i = 0; i < d->n_chairs; i++)
		devices += d->chairs[i]->n_devices;
	vs_say(VS_SAY_INFO, "watching %u chair%s with %u device%s, epoch %llu", d->n_chairs, d->n_chairs == 1 ? "" : "s",
	       devices, devices == 1 ? "" : "s", (unsigned long long)d->epoch);
	vs_notify_status(1, "watching %u chair%s with %u device%s", d->n_chairs, d->n_chairs == 1 ? "" : "s", devices,
			 devices == 1 ? "" : "s");
}

static void on_store_changed(uv_async_t *a)
{
	look_at_the_log(a->data);
}

/* On the writer thread: only wakes the loop. */
static void store_changed(void *arg)
{
	struct vs_daemon *d = arg;
	uv_async_send(&d->store_changed);
}

static void end(struct vs_daemon *d)
{
	if (d->ending)
		return;
	d->ending = true;
	vs_notify_stopping();
	vs_say(VS_SAY_INFO, "ending");
	for (unsigned i = 0; i < d->n_chairs; i++)
		vs_chair_close(d->chairs[i]);
	vs_acquire_close(d->acquire);
	vs_control_close(d->control);
	vs_courses_close(d->courses);
	d->courses = NULL;
	vs_retention_close(d->retention);
	d->retention = NULL;
	uv_close((uv_handle_t *)&d->tick, NULL);
	uv_close((uv_handle_t *)&d->on_term, NULL);
	uv_close((uv_handle_t *)&d->on_int, NULL);
	uv_close((uv_handle_t *)&d->on_hup, NULL);
	/* Everything is in custody: the writer records it, then the publisher may go. */
	vs_store_close(d->store);
	d->store = NULL;
	/* What waited for a log that did not come back: with the ring drained it has room, and the next start records it. */
	if (d->outbox)
		vs_outbox_flush(d->outbox);
	vs_outbox_destroy(d->outbox);
	d->outbox = NULL;
	uv_close((uv_handle_t *)&d->store_changed, NULL);
	vs_publisher_close(d->publisher);
	d->publisher = NULL;
}

static void on_signal(uv_signal_t *s, int number)
{
	struct vs_daemon *d = s->data;
	if (number != SIGHUP) {
		end(d);
		return;
	}
	if (d->ready)
		vs_notify_reloading();
	int r = vs_daemon_reload(d);
	/* Before every endpoint is bound there is nothing to be ready with: vs_daemon_ready says it then. */
	vs_notify_status(d->ready,
			 r == -ENOMEM ? "watching; there was no memory for all of the new configuration, see the journal" :
			 r < 0 ? "watching; the new configuration was refused, the old one stays in force"
			       : "watching with the new configuration");
}

static char *on_snapshot(void *ctx, const char *chair)
{
	return vs_daemon_snapshot(ctx, chair);
}

/* The far end of the path: the loop made `alive`, custody kept it, the publisher sent it. */
static void on_sent(void *ctx)
{
	struct vs_daemon *d = ctx;
	if (d->watchdog_ms)
		vs_notify_watchdog();
}

static void on_publisher(void *ctx)
{
	vs_daemon_ready(ctx);
}

/* The parts in the order in which they need each other.  Blocks; the loop does not run yet. */
static int open_parts(struct vs_daemon *d)
{
	char ring[4096];
	snprintf(ring, sizeof ring, "%s-custody", d->config->log_path);
	int r = vs_custody_open(ring, d->config->custody_bytes, &d->custody);
	if (r < 0)
		return r;
	/* Before anything else of the process is big: it is a process of its own. */
	struct vs_publisher_options po = { .ring = d->custody, .site = d->config->site, .log_path = d->config->log_path,
					   .n_events = d->config->n_events, .events = d->config->events,
					   .n_queries = d->config->n_queries, .queries = d->config->queries,
					   .snapshot = on_snapshot, .bound = on_publisher, .sent = on_sent, .ctx = d };
	r = vs_publisher_start(d->loop, &po, &d->publisher);
	if (r < 0)
		return r;
	struct vs_store_options so = { .path = d->config->log_path, .site = d->config->site,
				       .config_hash = d->config->hash, .version = VS_VERSION, .ring = d->custody,
				       .rotate_yearly = d->config->log_yearly, .rotate_bytes = d->config->log_bytes,
				       .changed = store_changed, .arg = d };
	r = vs_store_open(&so, &d->store);
	if (r < 0)
		return r;
	d->epoch = vs_store_epoch(d->store);
	r = vs_outbox_create(d->custody, VS_OUTBOX_BYTES, &outbox_ops, d, &d->outbox);
	if (r < 0)
		return r;
	vs_outbox_set_epoch(d->outbox, d->epoch);
	d->next_alarm = vs_store_last_alarm(d->store) + 1;
	r = vs_acquire_create(d->loop, &d->acquire);
	if (r < 0)
		return r;
	d->courses = vs_courses_open(d->loop, d->config->log_path);
	d->retention = vs_retention_create(d);
	if (!d->courses || !d->retention)
		return -ENOMEM;
	return vs_control_open(d->loop, d->config->control, vs_daemon_request, d, &d->control);
}

/* How long nobody watched before this start; VS_BLIND_NOT: there was nobody before.  Within one boot the monotonic clock
 * tells, whatever was done to the wall clock meanwhile; after a reboot it began anew, and the wall clock has to do. */
static uint64_t blind_ms(const struct vs_daemon *d)
{
	uint64_t then_ms, now_ms = vs_boottime_ms();
	int64_t then_wall_ms, now_wall_ms = vs_wall_ms();
	if (!vs_custody_lived(d->custody, &then_ms, &then_wall_ms))
		return VS_BLIND_NOT;
	if (vs_custody_same_boot(d->custody) && now_ms >= then_ms)
		return now_ms - then_ms;
	return now_wall_ms > then_wall_ms ? (uint64_t)(now_wall_ms - then_wall_ms) : 0;
}

static int open_chairs(struct vs_daemon *d)
{
	d->chairs = calloc(d->config->n_chairs, sizeof *d->chairs);
	if (!d->chairs)
		return -ENOMEM;
	for (unsigned i = 0; i < d->config->n_chairs; i++) {
		const struct vs_chair_config *cfg = &d->config->chairs[i];
		struct vs_chair *c = vs_chair_create(d, cfg, vs_limits_find(d->sets, cfg->limits));
		if (!c)
			return -ENOMEM;
		d->chairs[d->n_chairs++] = c;
	}
	uint64_t away_ms = blind_ms(d);
	int r = vs_daemon_record_limits(d, d->config, d->sets);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < d->n_chairs; i++) {
		size_t len = 0;
		const void *state = vs_store_state(d->store, d->chairs[i]->id, &len);
		vs_chair_start(d->chairs[i], state, len, away_ms);
	}
	if (d->config->audit_trace)
		vs_daemon_say_policy(d);
	if (d->config->keep_years || d->config->keep_days)
		vs_daemon_say_retention(d);
	return vs_store_start(d->store);
}

/* Until there are handlers: a stop or a reload that comes while the configuration is being read is done afterwards. */
static void hold_signals(int how)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(how, &set, NULL);
}

static void open_handles(struct vs_daemon *d)
{
	uv_timer_init(d->loop, &d->tick);
	uv_async_init(d->loop, &d->store_changed, on_store_changed);
	uv_signal_init(d->loop, &d->on_term);
	uv_signal_init(d->loop, &d->on_int);
	uv_signal_init(d->loop, &d->on_hup);
	d->tick.data = d->store_changed.data = d->on_term.data = d->on_int.data = d->on_hup.data = d;
	uv_signal_start(&d->on_term, on_signal, SIGTERM);
	uv_signal_start(&d->on_int, on_signal, SIGINT);
	uv_signal_start(&d->on_hup, on_signal, SIGHUP);
	hold_signals(SIG_UNBLOCK);
	d->wall_offset_ms = vs_wall_ms() - (int64_t)vs_boottime_ms();
	d->tick_due_ms = vs_boottime_ms();
	d->watchdog_ms = vs_notify_watchdog_ms();
	tick_arm(d);
}

static int run(struct vs_config *config, struct vs_limit_sets *sets, struct vs_session_data *session_data)
{
	static struct vs_daemon d;
	d.config = config;
	d.sets = sets;
	d.session_data = session_data;
	d.loop = uv_default_loop();
	open_handles(&d);
	int r = open_parts(&d);
	if (r == 0)
		r = open_chairs(&d);
	if (r < 0) {
		vs_say(VS_SAY_ERROR, "cannot start: %s", strerror(-r));
		end(&d);
	} else {
		vs_daemon_ready(&d);
	}
	uv_run(d.loop, UV_RUN_DEFAULT);
	vs_custody_close(d.custody);
	free(d.chairs);
	while (d.retired) {
		struct vs_retired *first = d.retired;
		d.retired = first->next;
		free(first);
	}
	if (uv_loop_close(d.loop) < 0)
		vs_say(VS_SAY_WARNING, "ended with handles still open; please report this");
	vs_limits_free(d.sets);
	vs_config_free(d.config);
	vs_presets_free(d.session_data);
	return r < 0 ? 1 : 0;
}

static int usage(const char *what)
{
	fprintf(stderr, "vitalsd: %s\nTry 'vitalsd --help'.\n", what);
	return 2;
}

/* Everything that is read before anything is opened.  Returns the exit status; findings are printed. */
static int load_and_run(const char *file)
{
	struct vs_findings findings = { 0 };
	struct vs_config *config = NULL;
	struct vs_limit_sets *sets = NULL;
	struct vs_session_data *session_data = NULL;
	hold_signals(SIG_BLOCK);
	int r = vs_config_load(file, &config, &findings);
	if (r == 0)
		r = vs_limits_load((const char *const *)config->limit_files, config->n_limit_files, &sets, &findings);
	if (r == 0)
		r = vs_presets_load((const char *const *)config->preset_files, config->n_preset_files, &session_data, &findings);
	if (r == 0)
		return run(config, sets, session_data);
	vs_findings_print(&findings, stderr);
	vs_findings_clear(&findings);
	vs_limits_free(sets);
	vs_config_free(config);
	return r == -EINVAL ? 78 : 1;
}

/* Who starts us without one of the three standard files would have the next one that is opened take its place. */
static void fill_standard_files(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	fill_standard_files();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is an error of that write, like a full disk */
	if (argc > 1 && strcmp(argv[1], VS_PUBLISHER_ARG) == 0)
		return vs_publisher_main(argc, argv);
	static const struct option options[] = { { "config", required_argument, NULL, 'c' },
						 { "check", no_argument, NULL, 'k' },
						 { "help", no_argument, NULL, 'h' },
						 { "version", no_argument, NULL, 'v' },
						 { NULL, 0, NULL, 0 } };
	const char *file = NULL;
	bool check = false;
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'h') {
			help();
			return 0;
		}
		if (c == 'v') {
			puts("vitalsd " VS_VERSION);
			return 0;
		}
		if (c == '?')
			return 2;
		file = c == 'c' ? optarg : file;
		check |= c == 'k';
	}
	if (optind < argc)
		return usage("only options are expected");
	if (!file)
		return usage("--config FILE is needed");
	return check ? vs_config_check_main(file) : load_and_run(file);
}
