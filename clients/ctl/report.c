/* vitalsctl session report: one session from the log on one page. */
#include "clients/ctl/report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/audit_ledger.h"
#include "clients/ctl/ctl.h"
#include "clients/ctl/log.h"
#include "clients/ctl/show.h"
#include "core/timetext.h"

#define MINUTE_MS 60000
#define SAMPLES 256 /* of a minute; devices of more than 4 Hz share the last place */

/* A signal on its way into minutes. */
struct bucket {
	unsigned n;
	double v[SAMPLES];
};

struct gathering {
	struct vs_report *r;
	int64_t minute;
	struct bucket hr, pr, spo2;
};

/* Room for one more; NULL: out of memory, and nothing was lost. */
static void *more(void **list, unsigned *n, size_t size)
{
	if ((*n & (*n - 1)) == 0) {
		void *grown = realloc(*list, (*n ? 2 * *n : 1) * size);
		if (!grown)
			return NULL;
		*list = grown;
	}
	void *place = (char *)*list + (*n)++ * size;
	memset(place, 0, size);
	return place;
}
#define MORE(list, n) more((void **)&(list), &(n), sizeof *(list))

static int64_t time_of(const json_t *event)
{
	int64_t ms = 0;
	vs_time_parse(vs_report_text_of(event, "time"), &ms);
	return ms;
}

/* ---- signals ---- */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void close_bucket(struct bucket *b, double *median, double *low, double *high)
{
	*median = *low = *high = NAN;
	if (b->n == 0)
		return;
	qsort(b->v, b->n, sizeof *b->v, by_size);
	*median = b->n % 2 ? b->v[b->n / 2] : (b->v[b->n / 2 - 1] + b->v[b->n / 2]) / 2;
	*low = b->v[0];
	*high = b->v[b->n - 1];
	b->n = 0;
}

static int close_minute(struct gathering *g)
{
	double ignored;
	struct bucket *rate = g->hr.n ? &g->hr : &g->pr; /* the ECG counts where there is one */
	if (g->hr.n + g->pr.n + g->spo2.n == 0)
		return 0;
	struct vs_report_minute *m = MORE(g->r->minutes, g->r->n_minutes);
	if (!m)
		return -ENOMEM;
	m->wall_ms = g->minute * MINUTE_MS;
	close_bucket(rate, &m->hr, &m->hr_low, &m->hr_high);
	close_bucket(&g->spo2, &m->spo2, &m->spo2_low, &ignored);
	g->hr.n = g->pr.n = 0;
	return 0;
}

static void put(struct bucket *b, const struct vs_obs *o)
{
	if (o && o->has_value)
		b->v[b->n < SAMPLES ? b->n++ : SAMPLES - 1] = o->value;
}

static int take_cuff(struct gathering *g, const struct vs_log_item *item)
{
	const struct vs_obs *sys = vs_reading_find(item->reading, VS_NIBP_SYS), *dia = vs_reading_find(item->reading, VS_NIBP_DIA);
	const struct vs_obs *map = vs_reading_find(item->reading, VS_NIBP_MAP);
	if (sys && !sys->has_value && sys->flags & VS_FLAG(INVALID))
		g->r->refused++;
	if (!sys || !dia || !sys->has_value || !dia->has_value)
		return 0;
	struct vs_report_cuff *c = MORE(g->r->cuffs, g->r->n_cuffs);
	if (!c)
		return -ENOMEM;
	*c = (struct vs_report_cuff){ item->wall_ms, sys->value, dia->value, map && map->has_value ? map->value : 0,
				      (sys->flags & VS_FLAG(SUSPECT)) != 0 };
	return 0;
}

static int take_reading(struct gathering *g, const struct vs_log_item *item)
{
	int r = 0;
	if (item->wall_ms / MINUTE_MS != g->minute)
		r = close_minute(g);
	g->minute = item->wall_ms / MINUTE_MS;
	put(&g->hr, vs_reading_find(item->reading, VS_HR));
	put(&g->pr, vs_reading_find(item->reading, VS_PR));
	put(&g->spo2, vs_reading_find(item->reading, VS_SPO2));
	return r < 0 ? r : take_cuff(g, item);
}

/* ---- events ---- */

static void copy(char *to, size_t cap, const char *from)
{
	snprintf(to, cap, "%s", from);
}

static int take_alarm(struct vs_report *r, const json_t *event)
{
	struct vs_report_alarm *a = NULL;
	const char *id = vs_report_text_of(event, "alarm"), *change = vs_report_text_of(event, "change");
	for (unsigned i = 0; i < r->n_alarms && !a; i++)
		a = strcmp(r->alarms[i].id, id) == 0 ? &r->alarms[i] : NULL;
	if (!a) {
		a = MORE(r->alarms, r->n_alarms);
		if (!a)
			return -ENOMEM;
		copy(a->id, sizeof a->id, id);
		a->onset_ms = time_of(event);
		vs_time_parse(vs_report_text_of(event, "onset"), &a->onset_ms);
	}
	copy(a->rule, sizeof a->rule, vs_report_text_of(event, "rule"));
	if (strcmp(change, "cleared") != 0)
		copy(a->text, sizeof a->text, vs_report_text_of(event, "text"));
	if (strcmp(change, "cleared") == 0)
		a->cleared_ms = time_of(event);
	else
		copy(a->priority, sizeof a->priority, vs_report_text_of(event, "priority"));
	if (strcmp(change, "acknowledged") == 0 && !a->acknowledged_ms) {
		a->acknowledged_ms = time_of(event);
		copy(a->by, sizeof a->by, vs_report_text_of(event, "by"));
	}
	return 0;
}

static int take_phase(struct vs_report *r, const json_t *event)
{
	const char *phase = vs_report_text_of(event, "phase");
	r->last = event;
	if (!*phase || (r->n_phases && strcmp(r->phases[r->n_phases - 1].phase, phase) == 0))
		return 0;
	struct vs_report_phase *p = MORE(r->phases, r->n_phases);
	if (!p)
		return -ENOMEM;
	*p = (struct vs_report_phase){ time_of(event), phase, event, 0 };
	json_t *lasted = json_object_get(event, "lasted_s");
	if (r->n_phases > 1 && json_is_number(lasted))
		r->phases[r->n_phases - 2].lasted_ms = (int64_t)(1000 * json_number_value(lasted));
	return 0;
}

static int take_event(struct gathering *g, const struct vs_log_item *item)
{
	struct vs_report *r = g->r;
	bool ours = item->session && strcmp(item->session, r->session) == 0;
	if (item->kind != VS_KIND_ALARM && !ours)
		return 0;
	json_t *event = json_loadb(item->json, item->json_len, 0, NULL);
	if (!event)
		return 0; /* `audit verify` speaks of damaged rows */
	vs_show_calm(event, "");
	copy(r->chair, sizeof r->chair, vs_report_text_of(event, "chair"));
	copy(r->site, sizeof r->site, vs_report_text_of(event, "site"));
	char clock[16];
	json_object_set_new(event, "wall_ms", json_integer(time_of(event))); /* for the views */
	json_object_set_new(event, "clock", json_string(vs_report_clock(time_of(event), clock)));
	int e = json_array_append_new(r->events, event) < 0 ? -ENOMEM : 0;
	json_object_set_new(event, "epoch_seq", json_integer((json_int_t)(item->epoch << 40 | item->seq)));
	if (e == 0 && item->kind == VS_KIND_ALARM) {
		e = take_alarm(r, event);
		r->clock_steps += strcmp(vs_report_text_of(event, "rule"), "clock-step") == 0 &&
				  strcmp(vs_report_text_of(event, "change"), "raised") == 0;
	}
	return e;
}

static int by_number(const void *a, const void *b)
{
	json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "epoch_seq"));
	json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "epoch_seq"));
	return (x > y) - (x < y);
}

/* By their numbers: a clock that was set back would turn the course round. */
static int take_phases(struct vs_report *r)
{
	size_t n = json_array_size(r->events), k = 0, i;
	json_t **list = calloc(n + 1, sizeof *list), *event;
	int e = list ? 0 : -ENOMEM;
	if (list) {
		json_array_foreach(r->events, i, event)
			if (strcmp(vs_report_text_of(event, "kind"), "session") == 0)
				list[k++] = event;
		qsort(list, k, sizeof *list, by_number);
	}
	for (i = 0; i < k && e == 0; i++)
		e = take_phase(r, list[i]);
	free(list);
	return e;
}

static int take(void *arg, const struct vs_log_item *item)
{
	struct gathering *g = arg;
	if (!g->r->from_ms)
		g->r->from_ms = item->wall_ms;
	g->r->to_ms = item->wall_ms;
	if (item->kind == VS_KIND_VITALS)
		return take_reading(g, item);
	if (item->kind == VS_KIND_ALARM || item->kind == VS_KIND_SESSION || item->kind == VS_KIND_ENTRY)
		return take_event(g, item);
	return 0;
}

static int64_t began(struct vs_log *log, const char *session)
{
	struct vs_log_options o = { .session = session };
	sqlite3_stmt *st = vs_log_query(log, "SELECT started_ms FROM session WHERE session = :session", &o);
	int64_t ms = st && sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	sqlite3_finalize(st);
	return ms;
}

int vs_report_gather(struct vs_log *log, const char *session, struct vs_report *ret)
{
	*ret = (struct vs_report){ .events = json_array() };
	copy(ret->session, sizeof ret->session, session);
	struct gathering *g = calloc(1, sizeof *g);
	int r = g && ret->events ? 0 : -ENOMEM;
	if (r == 0) {
		g->r = ret;
		ret->began_ms = began(log, session);
		vs_report_begins(ret->began_ms);
		r = vs_log_items(log, session, 0, take, g);
	}
	if (r == 0)
		r = close_minute(g);
	if (r == 0)
		r = take_phases(ret);
	free(g);
	return r;
}

/* ---- the command ---- */

static int write_html(void *report, FILE *to)
{
	vs_report_html(report, to);
	return VS_EXIT_DONE;
}

static int write_text(void *report, FILE *to)
{
	vs_report_text(report, to);
	return VS_EXIT_DONE;
}

int vs_report_write(struct vs_log *log, const struct vs_log_options *o, bool html, const char *name, bool replace)
{
	struct vs_report report;
	int status, r = vs_report_gather(log, o->session, &report);
	if (r == 0 && !(report.ledger = vs_audit_ledger(log, o, o->session, NULL)))
		r = -EIO;
	if (r == 0)
		status = vs_log_write_out(name, replace, html ? write_html : write_text, &report);
	else if (r == -ENOENT)
		status = vs_ctl_fail("the log has no session '%s'; `vitalsctl audit sessions` lists them", o->session);
	else
		status = VS_EXIT_FAILED;
	vs_report_finish(&report);
	return status;
}

int vs_ctl_session_report(int argc, char **argv)
{
	struct vs_log_options o;
	struct vs_log *log = NULL;
	int status = vs_log_options(&o, argc, argv, "format out limits limit-file");
	if (status != VS_EXIT_DONE)
		return status;
	if (o.n_words != 1)
		return vs_ctl_usage("session report: which session? `vitalsctl audit sessions` lists them");
	if (o.format && strcmp(o.format, "html") != 0 && strcmp(o.format, "text") != 0)
		return vs_ctl_usage("session report: --format is text or html, not '%s'", o.format);
	status = vs_log_open_given(&o, &log);
	if (status != VS_EXIT_DONE)
		return status;
	o.session = o.words[0];
	vs_log_narrow(log, &o.session, o.session != NULL);
	status = vs_log_trace(log, &o, "session", argc, argv);
	if (status != VS_EXIT_DONE) {
		vs_log_close(log);
		return status;
	}
	status = vs_report_write(log, &o, o.format && strcmp(o.format, "html") == 0, o.out, true);
	vs_log_close(log);
	return status;
}
