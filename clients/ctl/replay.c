/* vitalsctl replay: recorded observations through the same watch that the daemon stands on, what it said on stdout.
 * The clock is the recording's: nothing here depends on the machine or on when it runs. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alarms/watch.h"
#include "clients/ctl/csv.h"
#include "clients/ctl/ctl.h"
#include "clients/ctl/log.h"
#include "clients/ctl/log_limits.h"
#include "clients/ctl/relive.h"
#include "config/limits.h"
#include "config/presets.h"

static const char help[] =
	"usage: vitalsctl replay --csv FILE [--limits NAME] [--limit-file FILE]... [--phase P] [--baseline hr=70,...]\n"
	"                        [--gates] [--operator NAME] [--json]\n"
	"       vitalsctl replay --log FILE --session S [--limits NAME] [--limit-file FILE]... [--diff] [--json]\n\n"
	"Recorded observations through the alarm engine; prints what it would have said, and when.\n\n"
	"  --csv FILE          t_s,METRIC,...[,command]; an empty cell: no value; -: standard input\n"
	"  --log FILE          the log of the daemon: what was recorded in a session, people's commands included\n"
	"  --session S         which; 'vitalsctl audit sessions' lists them\n"
	"  --diff              tells only where the alarms differ from those of the time; exit 1 when they do\n"
	"  --limits NAME       limit set (of a log: the one of the time; else ketamine-adult)\n"
	"  --limit-file FILE   more limit sets, as in the configuration\n"
	"  --phase P           phase at the beginning (none): screening baseline infusion paused recovery discharged aborted\n"
	"  --baseline LIST     the patient's baseline: hr=70,nibp_sys=120,nibp_dia=75,spo2=98\n"
	"  --gates             phase changes are asked their gates, refusals are printed\n"
	"  --control PATH, --untraced   where the log asks that reading leave a trace: the daemon's socket; none this time\n"
	"  --json              one event a line\n\n"
	"In the column `command`, several with `;`: ack [ALARM or RULE], pause [60s], resume, phase P [--override REASON\n"
	"--second NAME], override REASON [--second NAME] (the refused one again, or the next), start --patient CODE --protocol\n"
	"P1, entry moaas 3, cuff-moved, probe-moved, nibp-start, nibp-fail, limit RULE VALUE REASON, interval 3min, log-fail,\n"
	"log-ok, link-lost, link-ok, clock-step SECONDS.\n\n"
	"With --log, t_s counts from the beginning of the session, by the clock that nobody sets.  Limits are those of the time, also\n"
	"where they changed while the session ran: the log keeps the text of each set, and that is read after its hash was\n"
	"compared.  A log of before wants a clinic's own set as a file (--limit-file); --diff refuses to blame the engine for what\n"
	"a changed set does.\n";

#define EPOCH_MS 1000000000000 /* where t_s 0 lies on the engine's clock: far from its beginning, on a round number */

struct replay {
	const char *csv, *log, *session, *limits, *phase, *baseline, *operator, *control;
	bool untraced;
	const char *limit_files[16];
	unsigned n_limit_files;
	bool json, gates, diff, limits_given;

	struct vs_limit_sets *sets;
	struct vs_session_data *data;
	struct vs_engine_config config;
	struct vs_baseline given; /* --baseline */
	uint64_t next_alarm;
	struct vs_watch watch;
	struct vs_effects effects;
	struct vs_csv from;
	int64_t t_ms; /* of the row */
	bool quiet;   /* setting up: nothing to tell */
	struct vs_session_command refused; /* the last one, for `override` */
	bool has_refused;
	struct vs_session_command next; /* `override` before anything was refused: its reason and second person */

	struct vs_relive *relive; /* --log */
	const struct vs_limit_set **each; /* for its limits, one by one; or one for all */
	unsigned n_each, n_kept;
	struct vs_limit_sets **kept; /* read from the log itself */
	struct vs_relive_alarms now; /* --diff: derived again */
	bool lost;
};

/* ---- what is printed --------------------------------------------------------------------------------------------- */

static void print_line(struct replay *p, int64_t t_ms, const char *kind, const char *body, size_t len)
{
	char text[VS_EVENT_TEXT_MAX];
	struct vs_json j = vs_json_into(text, sizeof text);
	vs_json_open(&j, '{');
	vs_json_key(&j, "t_s"), vs_json_number(&j, (double)t_ms / 1000);
	vs_json_key(&j, "kind"), vs_json_string(&j, kind);
	vs_json_raw(&j, body, len);
	vs_json_close(&j, '}');
	if (!vs_json_failed(&j) && p->json)
		puts(text);
}

/* The text of a string member, as it stands in JSON. */
static const char *member(const char *body, const char *key, char *buf, size_t cap)
{
	char wanted[40];
	snprintf(wanted, sizeof wanted, "\"%s\":\"", key);
	const char *s = strstr(body, wanted);
	size_t n = 0;
	if (!s)
		return "";
	for (s += strlen(wanted); *s && *s != '"' && n + 1 < cap; s++) {
		if (*s == '\\' && s[1])
			s++;
		buf[n++] = *s;
	}
	buf[n] = '\0';
	return buf;
}

static void print_words(int64_t t_ms, const char *kind, const char *body)
{
	char a[256], b[256], c[64];
	printf("%10.3f  %-8s ", (double)t_ms / 1000, kind);
	if (strcmp(kind, "alarm") == 0)
		printf("%-12s %-16s %s\n", member(body, "change", a, sizeof a), member(body, "rule", c, sizeof c),
			member(body, "text", b, sizeof b));
	else if (strcmp(kind, "request") == 0)
		printf("%-12s %s\n", member(body, "request", a, sizeof a), member(body, "reason", b, sizeof b));
	else if (strcmp(kind, "session") == 0)
		printf("%s\n", member(body, "phase", a, sizeof a));
	else if (strcmp(kind, "entry") == 0)
		printf("%-12s %s\n", member(body, "entry", a, sizeof a), member(body, "note", b, sizeof b));
	else
		printf("%s\n", member(body, "text", b, sizeof b));
}

static void print_event(struct replay *p, int64_t t_ms, const char *kind, const char *body, size_t len)
{
	if (p->quiet)
		return;
	if (p->json)
		print_line(p, t_ms, kind, body, len);
	else
		print_words(t_ms, kind, body);
}

static void emit(void *ctx, enum vs_kind kind, uint64_t at_ms, int64_t wall_ms, const char *body, size_t len)
{
	struct replay *p = ctx;
	(void)wall_ms;
	print_event(p, (int64_t)(at_ms - EPOCH_MS), vs_kind_name(kind), body, len);
}

static void refuse(struct replay *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void refuse(struct replay *p, const char *format, ...)
{
	char text[256], body[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	struct vs_json j = vs_json_into(body, sizeof body);
	vs_json_key(&j, "codes"), vs_json_open(&j, '['), vs_json_close(&j, ']');
	vs_json_key(&j, "text"), vs_json_string(&j, text);
	print_event(p, p->t_ms, "refusal", body, j.len);
}

/* ---- stimuli ----------------------------------------------------------------------------------------------------- */

static struct vs_stimulus stimulus(const struct replay *p, enum vs_stimulus_kind kind)
{
	return (struct vs_stimulus){ .kind = kind, .at_ms = (uint64_t)(p->t_ms + EPOCH_MS), .wall_ms = p->t_ms };
}

static void send(struct replay *p, const struct vs_stimulus *s)
{
	vs_watch_stimulus(&p->watch, s, &p->effects, emit, p);
	for (unsigned i = 0; i < p->effects.len; i++)
		if (p->effects.at[i].kind == VS_EFFECT_REFUSED)
			refuse(p, "%s", p->effects.at[i].u.refused);
}

static void send_baseline(struct replay *p)
{
	struct vs_stimulus s = stimulus(p, VS_ST_BASELINE);
	struct vs_session *to = &p->watch.session;
	if (!p->given.len)
		return;
	to->has_baseline = true;
	to->n_baseline = 0;
	for (unsigned i = 0; i < p->given.len && i < VS_SESSION_BASELINE; i++, to->n_baseline++) {
		to->baseline[i].metric = p->given.at[i].metric;
		to->baseline[i].value = p->given.at[i].value;
	}
	s.baseline = &p->given;
	send(p, &s);
}

static void send_session(struct replay *p, const struct vs_session_command *c)
{
	struct vs_session_answer answer;
	vs_watch_command(&p->watch, c, (uint64_t)(p->t_ms + EPOCH_MS), p->t_ms, &answer, &p->effects, emit, p);
	p->has_refused = !answer.accepted;
	if (answer.accepted) {
		if (answer.todo & VS_DO_BASELINE)
			send_baseline(p); /* what was said on the command line stands */
		return;
	}
	char body[VS_EVENT_TEXT_MAX];
	struct vs_json j = vs_json_into(body, sizeof body);
	p->refused = *c;
	vs_refusal_body(&j, &answer);
	print_event(p, p->t_ms, "refusal", body, j.len);
}

/* ---- the column of commands -------------------------------------------------------------------------------------- */

#define COMMANDS_CAP 1024
#define WORDS_MAX (COMMANDS_CAP / 2)
struct words {
	const char *at[WORDS_MAX];
	size_t len;
};

/* How far a word goes.  One that opens with a quote goes to the quote that closes it at a word's end; a quote anywhere
 * else is a letter, as in "don't". */
static size_t word_span(const char *s)
{
	const char *limit = s + (*s == '\'' ? strcspn(s, ";") : strlen(s));
	if (*s == '"' || *s == '\'')
		for (const char *q = strchr(s + 1, *s); q && q < limit; q = strchr(q + 1, *s))
			if (!q[1] || strchr(" \t;", q[1]))
				return (size_t)(q + 1 - s);
	return strcspn(s, " \t;");
}

/* The words of the first of the commands, without their quotes; returns what follows its semicolon, or NULL. */
static char *split(char *text, struct words *ret)
{
	ret->len = 0;
	for (;;) {
		text += strspn(text, " \t");
		size_t n = word_span(text);
		char *end = text + n, after = *end;
		if (n > 1 && *text == end[-1] && (*text == '"' || *text == '\'')) {
			end[-1] = '\0';
			ret->at[ret->len++] = text + 1;
		} else if (n > 0) {
			ret->at[ret->len++] = text;
		}
		*end = '\0';
		if (after == '\0' || after == ';')
			return after ? end + 1 : NULL;
		text = end + 1;
	}
}

/* The words from the given one on, as one text; "" where there is none.  Returns what snprintf would. */
static size_t joined(const struct words *w, size_t from, char *to, size_t cap)
{
	size_t len = 0;
	to[0] = '\0';
	for (size_t i = from; i < w->len && len < cap; i++)
		len += (size_t)snprintf(to + len, cap - len, "%s%s", len ? " " : "", w->at[i]);
	return len;
}

/* "90s", "2min", "500ms", "120": milliseconds.  0: no duration. */
static uint32_t duration_ms(const char *word)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "", 1000 }, { "min", 60000 }, { "h", 3600000 } };
	char *end;
	double v = strtod(word, &end);
	for (size_t i = 0; end != word && i < sizeof units / sizeof *units; i++)
		if (strcmp(end, units[i].unit) == 0 && v > 0 && v * units[i].ms < 1e9)
			return (uint32_t)(v * units[i].ms);
	return 0;
}

static uint64_t alarm_number(const struct replay *p, const char *word)
{
	struct vs_effect f;
	unsigned iterator = 0;
	uint64_t n = vs_alarm_id_parse(word);
	while (!n && vs_engine_next_alarm(&p->watch.engine, &iterator, &f))
		if (strcmp(f.u.alarm.rule->id, word) == 0)
			n = f.u.alarm.number;
	return n;
}

static int do_ack(struct replay *p, const struct words *w)
{
	struct vs_stimulus s = stimulus(p, VS_ST_ACK);
	s.operator = p->operator;
	if (w->len > 1) {
		s.alarm = alarm_number(p, w->at[1]);
		if (!s.alarm) {
			refuse(p, "no alarm %s stands", w->at[1]);
			return 0;
		}
	}
	send(p, &s);
	return 0;
}

static int do_pause(struct replay *p, const struct words *w)
{
	struct vs_stimulus s = stimulus(p, VS_ST_PAUSE);
	s.operator = p->operator;
	if (w->len > 1) {
		s.for_ms = duration_ms(w->at[1]);
		if (!s.for_ms)
			return -EINVAL;
	}
	send(p, &s);
	return 0;
}

static int do_resume(struct replay *p, const struct words *w)
{
	struct vs_stimulus s = stimulus(p, VS_ST_RESUME);
	(void)w;
	s.operator = p->operator;
	send(p, &s);
	return 0;
}

static int do_cuff(struct replay *p, const struct words *w)
{
	struct vs_stimulus s = stimulus(p, VS_ST_CUFF);
	s.failed = strcmp(w->at[0], "nibp-fail") == 0;
	send(p, &s);
	return 0;
}

static int do_fault(struct replay *p, const struct words *w)
{
	struct vs_stimulus s = stimulus(p, VS_ST_FAULT);
	char *end = NULL;
	s.fault = strncmp(w->at[0], "log", 3) == 0 ? VS_FAULT_LOG : strncmp(w->at[0], "link", 4) == 0 ? VS_FAULT_LINK :
		VS_FAULT_CLOCK;
	s.on = strstr(w->at[0], "-ok") == NULL;
	if (s.fault == VS_FAULT_CLOCK) {
		s.value = w->len > 1 ? strtod(w->at[1], &end) : 0;
		if (w->len < 2 || *end)
			return -EINVAL;
	}
	send(p, &s);
	return 0;
}

static int do_limit(struct replay *p, const struct words *w)
{
	struct vs_stimulus s = stimulus(p, VS_ST_LIMIT);
	char *end;
	if (w->len < 3)
		return -EINVAL;
	s.rule = w->at[1];
	s.operator = p->operator;
	s.value = strtod(w->at[2], &end);
	if (*end)
		return -EINVAL;
	char reason[VS_REASON_CAP];
	joined(w, 3, reason, sizeof reason);
	s.reason = reason;
	send(p, &s);
	return 0;
}

static int do_interval(struct replay *p, const struct words *w)
{
	struct vs_stimulus s = stimulus(p, VS_ST_INTERVAL);
	s.for_ms = w->len > 1 ? duration_ms(w->at[1]) : 0;
	if (w->len > 1 && !s.for_ms)
		return -EINVAL;
	send(p, &s);
	return 0;
}

/* REASON [--second NAME], the name anywhere.  A recording that names nobody was made with one person at hand: "second". */
static int do_override(struct replay *p, const struct words *w)
{
	char reason[VS_REASON_CAP] = "";
	const char *second = "second";
	size_t len = 0;
	for (size_t i = 1; i < w->len; i++) {
		if (strcmp(w->at[i], "--second") == 0) {
			if (++i == w->len)
				return -EINVAL;
			second = w->at[i];
		} else if (len < sizeof reason) {
			len += (size_t)snprintf(reason + len, sizeof reason - len, "%s%s", len ? " " : "", w->at[i]);
		}
	}
	if (!reason[0])
		return -EINVAL;
	struct vs_session_command *c = p->has_refused ? &p->refused : &p->next;
	snprintf(c->override, sizeof c->override, "%s", reason);
	if (!c->second[0] || strcmp(second, "second") != 0)
		snprintf(c->second, sizeof c->second, "%s", second);
	if (p->has_refused) {
		struct vs_session_command again = p->refused;
		send_session(p, &again);
	}
	return 0;
}

/* Everything else is the session's: phase, entry, start, transfer. */
static int do_session(struct replay *p, const struct words *w)
{
	struct vs_session_command c;
	struct words moved = { .at = { "entry", w->at[0] }, .len = 2 };
	char why[200] = "";
	bool bare = strcmp(w->at[0], "cuff-moved") == 0 || strcmp(w->at[0], "probe-moved") == 0;
	if (vs_session_parse(bare ? moved.at : w->at, bare ? moved.len : w->len, &c, why, sizeof why) < 0) {
		fprintf(stderr, "%s:%u: command '%s': %s\n", p->from.file, p->from.line, w->at[0], why);
		return -EPERM;
	}
	if (!c.operator[0])
		snprintf(c.operator, sizeof c.operator, "%s", p->operator);
	if (c.verb == VS_VERB_OPEN && !c.session[0])
		snprintf(c.session, sizeof c.session, "s-replay");
	if (!c.override[0] && p->next.override[0]) {
		memcpy(c.override, p->next.override, sizeof c.override);
		if (!c.second[0])
			memcpy(c.second, p->next.second, sizeof c.second);
		p->next = (struct vs_session_command){ 0 };
	}
	c.strictness = p->gates ? VS_STRICT_GATES : VS_STRICT_NOT;
	send_session(p, &c);
	return 0;
}

static const struct {
	const char *word;
	int (*run)(struct replay *p, const struct words *w);
	bool answers; /* a person answers what this row brought: after its values, not before */
	const char *usage;
} commands[] = {
	{ "ack", do_ack, true, "ack [ALARM or RULE]" },
	{ "pause", do_pause, true, "pause [60s]" },
	{ "resume", do_resume, true, "resume" },
	{ "nibp-fail", do_cuff, false, "nibp-fail" },
	{ "nibp-start", do_cuff, false, "nibp-start" },
	{ "limit", do_limit, false, "limit RULE VALUE REASON" },
	{ "interval", do_interval, false, "interval [3min]" },
	{ "log-fail", do_fault, false, "log-fail" },
	{ "log-ok", do_fault, false, "log-ok" },
	{ "link-lost", do_fault, false, "link-lost" },
	{ "link-ok", do_fault, false, "link-ok" },
	{ "clock-step", do_fault, false, "clock-step SECONDS" },
	{ "override", do_override, false, "override REASON [--second NAME]" },
	{ "phase", do_session, false, "phase PHASE" },
	{ "entry", do_session, false, "entry KIND [VALUE]" },
	{ "cuff-moved", do_session, false, "cuff-moved" },
	{ "probe-moved", do_session, false, "probe-moved" },
	{ "start", do_session, false, "start --patient CODE --protocol NAME" },
	{ "transfer", do_session, false, "transfer DESTINATION" },
};

static int run_command(struct replay *p, const struct words *w, bool answers)
{
	if (!w->len)
		return 0;
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(commands[i].word, w->at[0]) != 0)
			continue;
		int r = commands[i].answers == answers ? commands[i].run(p, w) : 0;
		if (r == -EINVAL)
			fprintf(stderr, "%s:%u: the command is: %s\n", p->from.file, p->from.line, commands[i].usage);
		return r;
	}
	fprintf(stderr, "%s:%u: there is no command '%s'; see 'vitalsctl replay --help'\n", p->from.file, p->from.line,
		w->at[0]);
	return -EINVAL;
}

static int run_commands(struct replay *p, const char *text, bool answers)
{
	char all[COMMANDS_CAP];
	struct words w;
	if (snprintf(all, sizeof all, "%s", text) >= (int)sizeof all) {
		fprintf(stderr, "%s:%u: commands of more than %zu characters\n", p->from.file, p->from.line, sizeof all - 1);
		return -EINVAL;
	}
	for (char *next = all; next;) {
		next = split(next, &w);
		int r = run_command(p, &w, answers);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

static int run_row(struct replay *p, const struct vs_csv_row *row)
{
	struct vs_stimulus s;
	p->t_ms = row->t_ms;
	if (run_commands(p, row->command, false) < 0)
		return -EINVAL;
	s = stimulus(p, VS_ST_READING);
	s.reading = &row->reading;
	s.nibp = row->cuff ? VS_NIBP_NEW : VS_NIBP_OLD;
	send(p, &s);
	return run_commands(p, row->command, true);
}

static void begin(struct replay *p, int64_t t_ms)
{
	struct vs_session_command c = { .verb = VS_VERB_PHASE, .strictness = VS_STRICT_NOT };
	p->t_ms = t_ms;
	vs_watch_init(&p->watch, &p->config, p->data, (uint64_t)(t_ms + EPOCH_MS));
	p->quiet = true;
	if (p->phase) {
		c.phase = vs_phase_by_name(p->phase, strlen(p->phase));
		if (c.phase != VS_PHASE_NONE)
			send_session(p, &c);
	}
	send_baseline(p);
	p->quiet = false;
	p->has_refused = false;
}

static int run(struct replay *p)
{
	struct vs_csv_row row;
	bool begun = false;
	int r;
	if (vs_csv_open(&p->from, p->csv) < 0)
		return VS_EXIT_FAILED;
	while ((r = vs_csv_next(&p->from, &row)) == 1) {
		if (!begun)
			begin(p, row.t_ms);
		begun = true;
		r = run_row(p, &row);
		if (r < 0)
			break;
	}
	vs_csv_close(&p->from);
	if (r < 0)
		return VS_EXIT_FAILED;
	return ferror(stdout) || fflush(stdout) ? vs_ctl_fail("output: %s", strerror(errno)) : VS_EXIT_DONE;
}

/* ---- a session from the log -------------------------------------------------------------------------------------- */

static void tell_event(void *ctx, enum vs_kind kind, int64_t at_ms, const char *body, size_t len)
{
	struct replay *p = ctx;
	if (!p->diff)
		print_event(p, at_ms - vs_relive_from_ms(p->relive), vs_kind_name(kind), body, len);
	else if (kind == VS_KIND_ALARM && vs_relive_note(&p->now, at_ms, body, len) < 0)
		p->lost = true;
}

static void put_alarm(struct vs_json *j, const char *key, const struct replay *p, const struct vs_relive_alarm *a)
{
	vs_json_key(j, key);
	vs_json_open(j, '{');
	vs_json_key(j, "t_s"), vs_json_number(j, (double)(a->at_ms - vs_relive_from_ms(p->relive)) / 1000);
	vs_json_key(j, "rule"), vs_json_string(j, a->rule);
	if (a->device[0])
		vs_json_key(j, "device"), vs_json_string(j, a->device);
	vs_json_key(j, "priority"), vs_json_string(j, a->priority);
	vs_json_key(j, "change"), vs_json_string(j, a->change);
	if (a->value == a->value)
		vs_json_key(j, "value"), vs_json_number(j, a->value);
	if (a->limit == a->limit)
		vs_json_key(j, "limit"), vs_json_number(j, a->limit);
	vs_json_close(j, '}');
}

static void print_alarm(const struct replay *p, const char *sign, const struct vs_relive_alarm *a)
{
	printf("%s %10.3f  %-12s %-16s %-6s", sign, (double)(a->at_ms - vs_relive_from_ms(p->relive)) / 1000, a->change,
		a->rule, a->priority);
	if (a->value == a->value)
		printf(" value %g", a->value);
	if (a->limit == a->limit)
		printf(" limit %g", a->limit);
	puts("");
}

/* Why what differs may come from the limits alone; "": the limits are those of the time, or nobody knows. */
static const char *other_limits(const struct replay *p, char *buf, size_t cap)
{
	unsigned n;
	const struct vs_relive_limits *then = vs_relive_limits(p->relive, &n);
	buf[0] = '\0';
	for (unsigned i = 0; i < n && !buf[0]; i++) {
		const struct vs_limit_set *now = p->each[p->n_each > 1 ? i : 0];
		if (strcmp(then[i].hash, now->hash) != 0 || strcmp(then[i].name, now->name) != 0)
			snprintf(buf, cap, "the limits of the time were %s (%s), these are %s (%s)", then[i].name, then[i].hash, now->name,
				now->hash);
	}
	return buf;
}

static void tell_difference(void *ctx, enum vs_relive_difference d, const struct vs_relive_alarm *then,
	const struct vs_relive_alarm *now)
{
	static const char *const names[] = { "missing", "extra", "other_numbers" };
	struct replay *p = ctx;
	if (!p->json) {
		if (then)
			print_alarm(p, "-", then);
		if (now)
			print_alarm(p, "+", now);
		return;
	}
	char text[VS_EVENT_TEXT_MAX];
	struct vs_json j = vs_json_into(text, sizeof text);
	vs_json_open(&j, '{');
	vs_json_key(&j, "difference"), vs_json_string(&j, names[d]);
	if (then)
		put_alarm(&j, "then", p, then);
	if (now)
		put_alarm(&j, "now", p, now);
	vs_json_close(&j, '}');
	if (!vs_json_failed(&j))
		puts(text);
}

static void tell_nothing(void *ctx, enum vs_relive_difference d, const struct vs_relive_alarm *then,
	const struct vs_relive_alarm *now)
{
	(void)ctx, (void)d, (void)then, (void)now;
}

static int compare(struct replay *p)
{
	const struct vs_relive_alarms *then = vs_relive_recorded(p->relive);
	char why[256];
	bool others = other_limits(p, why, sizeof why)[0];
	int n = p->lost ? -ENOMEM : vs_relive_compare(then, &p->now, others && !p->limits_given ? tell_nothing : tell_difference, p);
	if (n < 0)
		return vs_ctl_fail("no memory");
	if (n > 0 && others)
		return vs_ctl_fail("%s: %d alarm messages differ from those of the time, and that need not be the engine: %s%s",
			p->session, n, why, p->limits_given ? "" : "; give the file of that time with --limit-file");
	if (n > 0)
		return vs_ctl_fail("%s: %d alarm messages differ from those of the time (- then, + with %s now)", p->session, n,
			p->limits);
	if (p->json)
		printf("{\"difference\":null,\"messages\":%zu}\n", then->len);
	else
		printf("%s: the same %zu alarm messages as at the time\n", p->session, then->len);
	return VS_EXIT_DONE;
}

/* Without --limits: the sets that the log names.  Where one is not at hand, the default does for a look, not for --diff. */
static int limits_of_the_time(struct replay *p, struct vs_log *log)
{
	unsigned n;
	const struct vs_relive_limits *then = vs_relive_limits(p->relive, &n);
	p->n_each = p->limits_given || !n ? 1 : n;
	p->each = calloc(p->n_each, sizeof *p->each);
	p->kept = calloc(n + 1, sizeof *p->kept);
	if (!p->each || !p->kept)
		return vs_ctl_fail("no memory");
	p->each[0] = p->config.set;
	p->n_kept = n;
	for (unsigned i = 0; !p->limits_given && i < n; i++) {
		int r = vs_log_set_then(log, p->sets, p->n_limit_files, then[i].name, then[i].hash, &p->kept[i], &p->each[i]);
		if ((r < 0 || !p->each[i]) && p->diff)
			return vs_ctl_fail("%s ran with the limit set '%s', which is not at hand: give its file with --limit-file", p->session,
				then[i].name);
		if (!p->each[i]) {
			fprintf(stderr, "vitalsctl: %s ran with the limit set '%s', which is not at hand (--limit-file): judged by %s\n",
				p->session, then[i].name, p->limits);
			p->each[i] = p->config.set;
		}
	}
	p->limits = p->each[0]->name;
	return 0;
}

static int run_log(struct replay *p)
{
	struct vs_log *log = NULL;
	if (vs_log_open(p->log, &log) < 0)
		return VS_EXIT_FAILED;
	struct vs_log_options o = { .session = p->session, .control = p->control, .untraced = p->untraced };
	if (vs_log_trace(log, &o, "replay", 0, NULL) != VS_EXIT_DONE) {
		vs_log_close(log);
		return VS_EXIT_FAILED;
	}
	int r = vs_relive_load(log, p->session, &p->relive), e = r == 0 ? limits_of_the_time(p, log) : 0;
	vs_log_close(log);
	if (r == -ENOENT)
		return vs_ctl_fail("the log has no session '%s'; 'vitalsctl audit sessions' lists them", p->session);
	if (e != 0)
		return e;
	if (r == 0)
		r = vs_relive_run(p->relive, p->each, p->n_each, p->data, tell_event, p);
	if (r < 0)
		return r == -ENOMEM ? vs_ctl_fail("no memory") : VS_EXIT_FAILED;
	r = p->diff ? compare(p) : VS_EXIT_DONE;
	return ferror(stdout) || fflush(stdout) ? vs_ctl_fail("output: %s", strerror(errno)) : r;
}

/* ---- arguments --------------------------------------------------------------------------------------------------- */

static int parse_baseline(struct replay *p)
{
	char all[256], *save = NULL;
	if (!p->baseline)
		return 0;
	if (snprintf(all, sizeof all, "%s", p->baseline) >= (int)sizeof all)
		return vs_ctl_usage("--baseline is too long");
	for (char *one = strtok_r(all, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
		char *end = NULL, *equals = strchr(one, '=');
		double v = equals ? strtod(equals + 1, &end) : 0;
		enum vs_metric m = vs_metric_by_name(one, equals ? (size_t)(equals - one) : strlen(one));
		if (!equals || end == equals + 1 || *end || m >= VS_RPP || v < vs_metrics[m].lowest || v > vs_metrics[m].highest)
			return vs_ctl_usage("--baseline: '%s' is not METRIC=VALUE, like nibp_sys=120, of a metric that is measured", one);
		if (p->given.len == VS_BASELINE_MAX)
			return vs_ctl_usage("--baseline: at most %d metrics", VS_BASELINE_MAX);
		p->given.at[p->given.len].metric = m;
		p->given.at[p->given.len++].value = v;
	}
	return 0;
}

static int load(struct replay *p)
{
	char names[400];
	struct vs_findings findings = { 0 };
	int r = vs_limits_load(p->limit_files, p->n_limit_files, &p->sets, &findings);
	if (r == 0)
		r = vs_presets_load(NULL, 0, &p->data, &findings);
	vs_findings_print(&findings, stderr);
	vs_findings_clear(&findings);
	if (r < 0)
		return r == -EINVAL ? VS_EXIT_CONFIG : vs_ctl_fail("%s", strerror(-r));
	p->config.set = vs_limits_find(p->sets, p->limits);
	if (!p->config.set)
		return vs_ctl_usage("there is no limit set '%s'; there are: %s (--limit-file FILE brings more)", p->limits,
			vs_limits_names(p->sets, names, sizeof names));
	p->config.n_devices = 1;
	p->config.devices[0].id = "recording";
	p->config.next_alarm = &p->next_alarm;
	p->next_alarm = 1;
	return 0;
}

static int parse(struct replay *p, int argc, char **argv)
{
	static const struct option options[] = { { "csv", required_argument, NULL, 'c' },
		{ "log", required_argument, NULL, 'L' }, { "session", required_argument, NULL, 's' },
		{ "diff", no_argument, NULL, 'd' },
		{ "limits", required_argument, NULL, 'l' }, { "limit-file", required_argument, NULL, 'f' },
		{ "phase", required_argument, NULL, 'p' }, { "baseline", required_argument, NULL, 'b' },
		{ "gates", no_argument, NULL, 'g' }, { "operator", required_argument, NULL, 'o' },
		{ "control", required_argument, NULL, 'C' }, { "untraced", no_argument, NULL, 'u' },
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	optind = 0;
	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		const char **text = o == 'c' ? &p->csv : o == 'l' ? &p->limits : o == 'p' ? &p->phase : o == 'b' ? &p->baseline :
			o == 'o' ? &p->operator : o == 'L' ? &p->log : o == 's' ? &p->session : o == 'C' ? &p->control : NULL;
		p->limits_given |= o == 'l';
		if (text)
			*text = optarg;
		else if (o == 'f' && p->n_limit_files < 16)
			p->limit_files[p->n_limit_files++] = optarg;
		else if (o == 'g')
			p->gates = true;
		else if (o == 'd')
			p->diff = true;
		else if (o == 'u')
			p->untraced = true;
		else if (o == 'j')
			p->json = true;
		else if (o == 'h')
			return fputs(help, stdout), -1;
		else
			return VS_EXIT_USAGE;
	}
	if (optind < argc)
		return vs_ctl_usage("replay: '%s' is too much; recordings are given with --csv FILE", argv[optind]);
	if (!p->csv == !p->log)
		return vs_ctl_usage("replay: --csv FILE, or --log FILE --session S, is needed");
	if (!p->log != !p->session)
		return vs_ctl_usage("replay: --log and --session go together; 'vitalsctl audit sessions' lists what a log has");
	if (p->diff && !p->log)
		return vs_ctl_usage("replay: --diff compares with what a log says; it goes with --log");
	if (p->log && (p->phase || p->baseline || p->gates))
		return vs_ctl_usage("replay: phase, baseline and gates are in the log; --phase, --baseline, --gates go with --csv");
	if (p->phase && vs_phase_by_name(p->phase, strlen(p->phase)) == VS_PHASE_COUNT)
		return vs_ctl_usage("there is no phase '%s'; it is one of none, screening, baseline, infusion, paused, recovery, "
			"discharged, aborted", p->phase);
	return parse_baseline(p);
}

int vs_ctl_replay(int argc, char **argv)
{
	struct replay *p = calloc(1, sizeof *p);
	if (!p)
		return vs_ctl_fail("no memory");
	p->limits = VS_LIMITS_DEFAULT;
	p->operator = "replay";
	int r = parse(p, argc, argv);
	if (r == 0)
		r = load(p);
	if (r == 0)
		r = p->log ? run_log(p) : run(p);
	vs_relive_free(p->relive);
	vs_relive_forget(&p->now);
	for (unsigned i = 0; i < p->n_kept; i++)
		vs_limits_free(p->kept[i]);
	free(p->kept);
	free(p->each);
	vs_limits_free(p->sets);
	vs_presets_free(p->data);
	free(p);
	return r < 0 ? VS_EXIT_DONE : r;
}
