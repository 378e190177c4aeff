/* vitalsctl burden: how many alarms the chairs had, how long they stood, how soon somebody answered; and what another
 * limit set would have done to the same sessions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/log.h"
#include "clients/ctl/relive.h"
#include "clients/ctl/report.h"
#include "config/presets.h"
#include "core/json.h"

static const char help[] =
	"usage: vitalsctl burden [--log FILE] [--limits NAME] [--limit-file FILE]... [--since T] [--until T] [--chair C]\n"
	"                        [--session S [--svg FILE]] [--json]\n\n"
	"Alarms per chair-hour by rule and priority, how long they stood, time until somebody acknowledged.\n\n"
	"  --limits NAME       also: what this limit set would have done to the same sessions\n"
	"  --limit-file FILE   more limit sets, as in the configuration\n"
	"  --since, --until    sessions that began then: 2026-11-21, 2026-11-21 14:30 (UTC), or an age: 12h, 7d\n"
	"  --svg FILE          a picture of the session with its alarms\n\n"
	"An alarm counts once, with the highest priority that it reached, from when it was first announced until it was\n"
	"cleared or the session ended.\n";

static const char sessions_sql[] =
	"SELECT session FROM audit_session WHERE (:session IS NULL OR session = :session)"
	" AND (:chair IS NULL OR chair = :chair) AND started_ms BETWEEN :since AND :until ORDER BY started_ms";

enum side { THEN, WITH, SIDES };

/* One alarm, from first announced to cleared. */
struct life {
	enum side side;
	char rule[40], id[24];
	enum vs_priority priority;
	int64_t from_ms, to_ms, answered_ms; /* 0: not */
};

struct sum {
	unsigned alarms, answered;
	double stood_s, stood_median_s, stood_longest_s, answer_median_s, answer_longest_s;
};

struct burden {
	struct vs_log_options o;
	const char *limits, *svg;
	const char *files[16];
	unsigned n_files;
	struct vs_limit_sets *sets;
	struct vs_session_data *data;
	const struct vs_limit_set *set; /* NULL: no comparison */
	struct vs_log *log;
	struct life *lives;
	size_t n, cap, begin; /* begin: first life of the session and side at hand */
	unsigned sessions;
	double hours;
	struct vs_relive_alarms again;
	bool no_memory;
};

/* ---- from messages to lives -------------------------------------------------------------------------------------- */

static struct life *life_of(struct burden *b, enum side side, const struct vs_relive_alarm *a)
{
	for (size_t i = b->begin; i < b->n; i++)
		if (strcmp(b->lives[i].id, a->id) == 0)
			return &b->lives[i];
	if (strcmp(a->change, "raised") != 0)
		return NULL; /* it was announced before the session, or never */
	if (b->n == b->cap) {
		size_t cap = b->cap * 2 + 64;
		struct life *more = realloc(b->lives, cap * sizeof *more);
		if (!more) {
			b->no_memory = true;
			return NULL;
		}
		b->lives = more;
		b->cap = cap;
	}
	struct life *l = &b->lives[b->n++];
	*l = (struct life){ .side = side, .from_ms = a->at_ms };
	snprintf(l->rule, sizeof l->rule, "%s", a->rule);
	snprintf(l->id, sizeof l->id, "%s", a->id);
	return l;
}

static void add_alarms(struct burden *b, enum side side, const struct vs_relive_alarms *alarms, int64_t end_ms)
{
	b->begin = b->n;
	for (size_t i = 0; i < alarms->len; i++) {
		const struct vs_relive_alarm *a = &alarms->at[i];
		struct life *l = life_of(b, side, a);
		if (!l)
			continue;
		enum vs_priority p = vs_priority_by_name(a->priority, strlen(a->priority));
		if (p < VS_PRIORITY_COUNT && p > l->priority)
			l->priority = p;
		if (strcmp(a->change, "acknowledged") == 0 && !l->answered_ms)
			l->answered_ms = a->at_ms;
		if (strcmp(a->change, "cleared") == 0)
			l->to_ms = a->at_ms;
	}
	for (size_t i = b->begin; i < b->n; i++)
		if (!b->lives[i].to_ms)
			b->lives[i].to_ms = end_ms;
}

static void hear_again(void *ctx, enum vs_kind kind, int64_t at_ms, const char *body, size_t len)
{
	struct burden *b = ctx;
	if (kind == VS_KIND_ALARM && vs_relive_note(&b->again, at_ms, body, len) < 0)
		b->no_memory = true;
}

static int add_session(struct burden *b, const char *session)
{
	struct vs_relive *r = NULL;
	int e = vs_relive_load(b->log, session, &r);
	if (e < 0)
		return e;
	b->sessions++;
	b->hours += (double)(vs_relive_to_ms(r) - vs_relive_from_ms(r)) / 3.6e6;
	add_alarms(b, THEN, vs_relive_recorded(r), vs_relive_to_ms(r));
	if (b->set) {
		b->again.len = 0;
		e = vs_relive_run(r, &b->set, 1, b->data, hear_again, b);
		add_alarms(b, WITH, &b->again, vs_relive_to_ms(r));
	}
	vs_relive_free(r);
	return b->no_memory ? -ENOMEM : e;
}

static int add_sessions(struct burden *b)
{
	sqlite3_stmt *st = vs_log_query(b->log, sessions_sql, &b->o);
	int rc = SQLITE_ERROR, e = 0;
	while (st && e == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW)
		e = add_session(b, (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	if (e < 0)
		return e == -ENOMEM ? vs_ctl_fail("no memory") : VS_EXIT_FAILED;
	if (rc != SQLITE_DONE)
		return st ? vs_log_failed(b->log) : VS_EXIT_FAILED;
	if (!b->sessions)
		return b->o.session ? vs_ctl_fail("the log has no session '%s'; 'vitalsctl audit sessions' lists them", b->o.session)
				    : vs_ctl_fail("no session began in that time");
	return VS_EXIT_DONE;
}

/* ---- sums -------------------------------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *v, unsigned n)
{
	if (!n)
		return 0;
	qsort(v, n, sizeof *v, by_size);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* Of one side; rule NULL: of all rules; priority 0: of all. */
static struct sum sum_of(const struct burden *b, enum side side, const char *rule, unsigned priority)
{
	struct sum s = { 0 };
	double *stood = calloc(b->n + 1, sizeof *stood), *answer = calloc(b->n + 1, sizeof *answer);
	for (size_t i = 0; stood && answer && i < b->n; i++) {
		const struct life *l = &b->lives[i];
		if (l->side != side || (rule && strcmp(rule, l->rule) != 0) || (priority && priority != l->priority))
			continue;
		stood[s.alarms] = (double)(l->to_ms - l->from_ms) / 1000;
		s.stood_s += stood[s.alarms++];
		if (l->answered_ms)
			answer[s.answered++] = (double)(l->answered_ms - l->from_ms) / 1000;
	}
	if (stood && answer) {
		s.stood_median_s = median(stood, s.alarms);
		s.stood_longest_s = s.alarms ? stood[s.alarms - 1] : 0;
		s.answer_median_s = median(answer, s.answered);
		s.answer_longest_s = s.answered ? answer[s.answered - 1] : 0;
	}
	free(stood);
	free(answer);
	return s;
}

static double an_hour(const struct burden *b, unsigned n)
{
	return b->hours > 0 ? n / b->hours : 0;
}

static int by_row(const void *a, const void *b)
{
	const struct life *x = a, *y = b;
	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	return strcmp(x->rule, y->rule);
}

/* The next rule and priority that has alarms on any side, once lives are sorted; false: no more. */
static bool next_row(const struct burden *b, size_t *at, const struct life **ret)
{
	while (*at < b->n && *at > 0 && by_row(&b->lives[*at - 1], &b->lives[*at]) == 0)
		(*at)++;
	if (*at >= b->n)
		return false;
	*ret = &b->lives[(*at)++];
	return true;
}

/* ---- for a person ------------------------------------------------------------------------------------------------ */

static void print_total(const struct burden *b, enum side side, const char *title)
{
	struct sum all = sum_of(b, side, NULL, 0);
	printf("%s: %u alarm%s, %.2f an hour (high %.2f, medium %.2f, low %.2f)\n", title, all.alarms, all.alarms == 1 ? "" : "s",
	       an_hour(b, all.alarms), an_hour(b, sum_of(b, side, NULL, VS_PRIORITY_HIGH).alarms),
	       an_hour(b, sum_of(b, side, NULL, VS_PRIORITY_MEDIUM).alarms),
	       an_hour(b, sum_of(b, side, NULL, VS_PRIORITY_LOW).alarms));
}

static void print_table(const struct burden *b)
{
	const struct life *row;
	size_t at = 0;
	printf("%u session%s, %.2f chair-hours\n", b->sessions, b->sessions == 1 ? "" : "s", b->hours);
	print_total(b, THEN, "alarmed");
	if (b->set)
		print_total(b, WITH, b->limits);
	if (!b->n)
		return;
	printf("\n%-18s %-8s %6s %8s %9s %9s %6s %9s", "RULE", "PRIORITY", "ALARMS", "AN HOUR", "STOOD s", "LONGEST",
	       "ACKED", "AFTER s");
	printf(b->set ? " | %6s %8s %9s\n" : "\n", "ALARMS", "AN HOUR", "STOOD s");
	while (next_row(b, &at, &row)) {
		struct sum s = sum_of(b, THEN, row->rule, row->priority), w = sum_of(b, WITH, row->rule, row->priority);
		char after[24] = "--";
		if (s.answered)
			snprintf(after, sizeof after, "%.0f", s.answer_median_s);
		printf("%-18s %-8s %6u %8.2f %9.0f %9.0f %6u %9s", row->rule, vs_priority_name(row->priority), s.alarms,
		       an_hour(b, s.alarms), s.stood_median_s, s.stood_longest_s, s.answered, after);
		if (b->set)
			printf(" | %6u %8.2f %9.0f", w.alarms, an_hour(b, w.alarms), w.stood_median_s);
		putchar('\n');
	}
	puts("\nSTOOD and AFTER are medians.");
}

/* ---- as JSON ----------------------------------------------------------------------------------------------------- */

static void put_sum(json_t *o, const struct burden *b, const struct sum *s)
{
	json_object_set_new(o, "alarms", json_integer(s->alarms));
	json_object_set_new(o, "per_hour", json_real(an_hour(b, s->alarms)));
	json_object_set_new(o, "stood_s", json_real(s->stood_s));
	json_object_set_new(o, "stood_median_s", json_real(s->stood_median_s));
	json_object_set_new(o, "stood_longest_s", json_real(s->stood_longest_s));
	json_object_set_new(o, "acknowledged", json_integer(s->answered));
	json_object_set_new(o, "acknowledged_after_median_s", s->answered ? json_real(s->answer_median_s) : json_null());
	json_object_set_new(o, "acknowledged_after_longest_s", s->answered ? json_real(s->answer_longest_s) : json_null());
}

static json_t *side_json(const struct burden *b, enum side side)
{
	json_t *o = json_object(), *priorities = json_object(), *rules = json_array();
	struct sum s = sum_of(b, side, NULL, 0);
	const struct life *row;
	size_t at = 0;
	put_sum(o, b, &s);
	for (int p = VS_PRIORITY_HIGH; p >= VS_PRIORITY_LOW; p--) {
		json_t *one = json_object();
		s = sum_of(b, side, NULL, (unsigned)p);
		put_sum(one, b, &s);
		json_object_set_new(priorities, vs_priority_name((unsigned)p), one);
	}
	while (next_row(b, &at, &row)) {
		json_t *one = json_pack("{s:s,s:s}", "rule", row->rule, "priority", vs_priority_name(row->priority));
		s = sum_of(b, side, row->rule, row->priority);
		put_sum(one, b, &s);
		json_array_append_new(rules, one);
	}
	json_object_set_new(o, "priorities", priorities);
	json_object_set_new(o, "rules", rules);
	return o;
}

static void print_json(const struct burden *b)
{
	json_t *o = json_pack("{s:i,s:f}", "sessions", (int)b->sessions, "chair_hours", b->hours);
	json_object_set_new(o, "alarmed", side_json(b, THEN));
	if (b->set) {
		json_t *with = side_json(b, WITH);
		json_object_set_new(with, "limits", json_string(b->limits));
		json_object_set_new(o, "with", with);
	}
	json_dumpf(o, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(8));
	putchar('\n');
	json_decref(o);
}

/* ---- the picture, the arguments ---------------------------------------------------------------------------------- */

static int picture(struct burden *b)
{
	struct vs_report report = { 0 };
	int r = vs_report_gather(b->log, b->o.session, &report) < 0 ? VS_EXIT_FAILED : VS_EXIT_DONE;
	FILE *to = r == VS_EXIT_DONE ? fopen(b->svg, "w") : NULL;
	if (to) {
		vs_report_svg(&report, to);
		bool bad = ferror(to);
		if (fclose(to) != 0 || bad)
			r = vs_ctl_fail("%s: %s", b->svg, strerror(errno));
	} else if (r == VS_EXIT_DONE) {
		r = vs_ctl_fail("%s: %s", b->svg, strerror(errno));
	}
	vs_report_finish(&report);
	return r;
}

static int load(struct burden *b)
{
	char names[400];
	struct vs_findings findings = { 0 };
	if (!b->limits)
		return VS_EXIT_DONE;
	int r = vs_limits_load(b->files, b->n_files, &b->sets, &findings);
	if (r == 0)
		r = vs_presets_load(NULL, 0, &b->data, &findings);
	vs_findings_print(&findings, stderr);
	vs_findings_clear(&findings);
	if (r < 0)
		return r == -EINVAL ? VS_EXIT_CONFIG : vs_ctl_fail("%s", strerror(-r));
	b->set = vs_limits_find(b->sets, b->limits);
	return b->set ? VS_EXIT_DONE : vs_ctl_usage("there is no limit set '%s'; there are: %s (--limit-file FILE brings more)",
		b->limits, vs_limits_names(b->sets, names, sizeof names));
}

/* Takes the options of its own out of argv; the rest is what every command on the log takes. */
static int own_options(struct burden *b, int *argc, char **argv)
{
	int n = 1;
	for (int i = 1; i < *argc; i++) {
		const char **to = strcmp(argv[i], "--limits") == 0 ? &b->limits : strcmp(argv[i], "--svg") == 0 ? &b->svg :
			strcmp(argv[i], "--limit-file") == 0 && b->n_files < 16 ? &b->files[b->n_files] : NULL;
		if (!to) {
			argv[n++] = argv[i];
			continue;
		}
		if (i + 1 == *argc)
			return vs_ctl_usage("burden: %s wants a value", argv[i]);
		b->n_files += to == &b->files[b->n_files];
		*to = argv[++i];
	}
	*argc = n;
	argv[n] = NULL;
	return VS_EXIT_DONE;
}

static int run(struct burden *b)
{
	int r = load(b);
	if (r != VS_EXIT_DONE)
		return r;
	r = vs_log_open_given(&b->o, &b->log);
	if (r == VS_EXIT_DONE)
		r = vs_log_trace(b->log, &b->o, "burden", 0, NULL);
	if (r == VS_EXIT_DONE)
		r = add_sessions(b);
	if (r == VS_EXIT_DONE && b->svg)
		r = picture(b);
	if (r != VS_EXIT_DONE)
		return r;
	if (b->n)
		qsort(b->lives, b->n, sizeof *b->lives, by_row);
	if (b->o.json)
		print_json(b);
	else
		print_table(b);
	return ferror(stdout) || fflush(stdout) ? vs_ctl_fail("output: %s", strerror(errno)) : VS_EXIT_DONE;
}

int vs_ctl_burden(int argc, char **argv)
{
	struct burden b = { 0 };
	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		return fputs(help, stdout) < 0 ? VS_EXIT_FAILED : VS_EXIT_DONE;
	int r = own_options(&b, &argc, argv);
	if (r == VS_EXIT_DONE)
		r = vs_log_options(&b.o, argc, argv, "since until chair session");
	if (r == VS_EXIT_DONE && (b.o.n_words || (b.svg && !b.o.session) || (b.n_files && !b.limits)))
		r = vs_ctl_usage(b.svg && !b.o.session ? "burden: --svg draws one session: which? --session S" :
				 b.o.n_words ? "burden: '%s' is too much" : "burden: --limit-file wants --limits NAME",
			b.o.n_words ? b.o.words[0] : "");
	if (r == VS_EXIT_DONE)
		r = run(&b);
	vs_log_close(b.log);
	vs_relive_forget(&b.again);
	vs_limits_free(b.sets);
	vs_presets_free(b.data);
	free(b.lives);
	return r;
}
