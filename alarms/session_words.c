/* Words to a command: what a person types after `vitalsctl session` or `entry`, or writes into the command column. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "alarms/entry.h"
#include "core/timetext.h"

struct reader {
	const char *const *word;
	size_t n, at;
	struct vs_session_command *c;
	char *why;
	size_t cap;
};

static int wrong(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int wrong(struct reader *r, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(r->why, r->cap, format, ap);
	va_end(ap);
	return -EINVAL;
}

static int text(struct reader *r, const char *option, const char *word, char *to, size_t cap)
{
	if (strlen(word) >= cap)
		return wrong(r, "%s: at most %zu characters (an accented letter counts as two)", option, cap - 1);
	snprintf(to, cap, "%s", word);
	return 0;
}

/* Without the blanks around it: a reason of blanks is none, and "anna " is nobody else than "anna". */
static int trimmed(struct reader *r, const char *option, const char *word, char *to, size_t cap)
{
	int e = text(r, option, word + strspn(word, " \t\r\n"), to, cap);
	size_t len = strlen(to);
	while (e == 0 && len > 0 && strchr(" \t\r\n", to[len - 1]))
		to[--len] = '\0';
	return e;
}

static int number(struct reader *r, const char *option, const char *word, double lowest, double *ret)
{
	size_t used;
	double v;
	if (!vs_entry_number(word, &used, &v) || word[used])
		return wrong(r, "%s wants a number, not '%.32s'", option, word);
	if (v < lowest)
		return wrong(r, "%s wants %g or more, not '%.32s'", option, lowest, word);
	*ret = v;
	return 0;
}

static int whole(struct reader *r, const char *option, const char *word, unsigned *ret)
{
	double v = 0;
	int e = number(r, option, word, 1, &v);
	if (e < 0)
		return e;
	if (v > UINT_MAX || v != floor(v))
		return wrong(r, "%s wants a whole number, not '%.32s'", option, word);
	*ret = (unsigned)v;
	return 0;
}

static int time_word(struct reader *r, const char *option, const char *word, int64_t *ret)
{
	return vs_time_parse(word, ret) ? 0 : wrong(r, "%s wants a time like 2026-11-21T22:21:39Z, not '%.32s'", option, word);
}

static int append_value(struct reader *r, const char *word)
{
	struct vs_session_command *c = r->c;
	size_t len = strlen(c->value);
	if (len + 1 + strlen(word) >= sizeof c->value)
		return wrong(r, "a value has at most %zu characters (an accented letter counts as two)", sizeof c->value - 1);
	snprintf(c->value + len, sizeof c->value - len, "%s%s", len ? " " : "", word);
	return 0;
}

#define IS(name) (!strcmp(o, name))
#define INTO(member) text(r, o, v, r->c->member, sizeof r->c->member)
#define TRIMMED(member) trimmed(r, o, v, r->c->member, sizeof r->c->member)

/* An option with its value: for every command, then for opening, then for entries. */
static int option(struct reader *r, const char *o, const char *v)
{
	struct vs_session_command *c = r->c;
	if (IS("--reason"))
		return TRIMMED(reason);
	if (IS("--override"))
		return TRIMMED(override);
	if (IS("--second"))
		return TRIMMED(second);
	if (IS("--operator"))
		return TRIMMED(operator);
	if (IS("--patient"))
		return INTO(patient);
	if (IS("--protocol"))
		return INTO(protocol);
	if (IS("--session"))
		return INTO(session);
	if (IS("--weight"))
		return number(r, o, v, 0.001, &c->weight.v);
	if (IS("--last-weight"))
		return number(r, o, v, 0.001, &c->last_weight.v);
	if (IS("--dose"))
		return number(r, o, v, 0.001, &c->order.dose.v);
	if (IS("--over"))
		return number(r, o, v, 0.001, &c->order.over.v);
	if (IS("--step"))
		return whole(r, o, v, &c->order.step);
	if (IS("--note"))
		return INTO(note);
	if (IS("--unit"))
		return append_value(r, v);
	if (IS("--corrects"))
		return whole(r, o, v, &c->corrects);
	if (IS("--from"))
		return time_word(r, o, v, &c->from_wall_ms);
	if (IS("--to"))
		return time_word(r, o, v, &c->to_wall_ms);
	return wrong(r, "there is no option %.32s", o);
}

static int first_word(struct reader *r)
{
	const char *verb = r->at < r->n ? r->word[r->at++] : "";
	const char *next = r->at < r->n ? r->word[r->at] : "";
	if (!strcasecmp(verb, "start")) {
		r->c->verb = VS_VERB_OPEN;
		return 0;
	}
	r->c->verb = !strcasecmp(verb, "phase") ? VS_VERB_PHASE : !strcasecmp(verb, "transfer") ? VS_VERB_TRANSFER :
		!strcasecmp(verb, "entry") ? VS_VERB_ENTRY : VS_VERB_NONE;
	if (r->c->verb == VS_VERB_NONE)
		return wrong(r, "'%.32s' is none of start, phase, transfer, entry", verb);
	if (r->c->verb == VS_VERB_TRANSFER)
		return 0;
	r->at++;
	if (r->c->verb == VS_VERB_PHASE) {
		r->c->phase = vs_phase_by_name(next, strlen(next));
		if (r->c->phase == VS_PHASE_COUNT)
			return wrong(r, "'%.32s' is no phase; there are screening, baseline, infusion, paused, recovery, discharged, "
				"aborted", next);
		return 0;
	}
	r->c->kind = vs_entry_by_name(next);
	return r->c->kind < VS_ENTRY_COUNT ? 0 : wrong(r, "there is no entry '%.32s'; see vitalsctl entry --help", next);
}

/* A word that is no option: part of an entry's value, or of a transfer's destination. */
static int free_word(struct reader *r, const char *word)
{
	struct vs_session_command *c = r->c;
	size_t len = strlen(c->reason);
	if (c->verb == VS_VERB_ENTRY)
		return append_value(r, word);
	if (c->verb != VS_VERB_TRANSFER)
		return wrong(r, "'%.32s' is one word too many", word);
	if (len + 1 + strlen(word) >= sizeof c->reason)
		return wrong(r, "a destination has at most %zu characters", sizeof c->reason - 1);
	snprintf(c->reason + len, sizeof c->reason - len, "%s%s", len ? " " : "", word);
	return 0;
}

int vs_session_parse(const char *const *words, size_t n, struct vs_session_command *ret, char *why, size_t cap)
{
	struct vs_session_command c = { 0 };
	struct reader r = { words, n, 0, &c, why, cap };
	int e = first_word(&r);
	while (e == 0 && r.at < n) {
		const char *word = words[r.at++];
		if (!strcmp(word, "--confirm"))
			c.confirm = true;
		else if (strncmp(word, "--", 2) != 0)
			e = free_word(&r, word);
		else if (r.at == n)
			e = wrong(&r, "%.32s wants a value", word);
		else
			e = option(&r, word, words[r.at++]);
	}
	if (e < 0)
		return e;
	*ret = c;
	return 0;
}
