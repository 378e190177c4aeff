#include "clients/ctl/audit_explain.h"

#include <string.h>

#include "clients/ctl/ask.h"
#include "clients/ctl/log.h"

/* ---- for a person ---- */

static double number(const json_t *of, const char *key)
{
	return json_number_value(json_object_get(of, key));
}

static void line_of(const char *title)
{
	printf("  %-12s", title);
}

static void limit_line(const json_t *body, const json_t *because)
{
	const char *from = vs_json_text(because, "limit_from"), *unit = vs_json_text(body, "unit");
	if (!json_is_number(json_object_get(body, "limit")))
		return;
	line_of("limit");
	printf("%g %s", number(body, "limit"), unit);
	if (strcmp(from, "baseline") == 0)
		printf(", worked out from the patient's baseline %g\n", number(because, "baseline"));
	else if (strcmp(from, "operator") == 0)
		puts(", set for this patient by a person");
	else
		puts(", as the limit set has it");
}

static void reading_line(const json_t *body, const json_t *because)
{
	const json_t *r, *all = json_object_get(because, "readings");
	size_t i;
	if (json_array_size(all) == 0)
		return;
	line_of("readings");
	json_array_foreach(all, i, r) {
		double before_s = number(r, "before_s");
		printf("%s%g", i ? ", " : "", number(r, "value"));
		if (before_s > 0)
			printf(" (%g s before)", before_s);
	}
	printf(" %s\n", vs_json_text(body, "unit"));
}

static void waiting_line(const json_t *because)
{
	double waited_s = number(because, "waited_s");
	line_of("waited");
	if (json_is_true(json_object_get(because, "unconfirmed")))
		printf("%g s for a second reading that did not come: raised without it\n", waited_s);
	else if (waited_s > 0)
		printf("%g s, as delay or confirmation of the rule ask\n", waited_s);
	else
		puts("for nothing: the rule has no delay");
}

static void optional_line(const json_t *body, const char *title, const char *key)
{
	const char *text = vs_json_text(body, key);
	if (!*text)
		return;
	line_of(title);
	puts(text);
}

static void set_line(const json_t *body)
{
	const char *set = vs_json_text(body, "set"), *version = vs_json_text(body, "set_version");
	line_of("limit set");
	printf("%s%s%s\n", *set ? set : "the log does not name it", *version ? ", version " : "", version);
}

static void course_lines(const json_t *body)
{
	const json_t *step;
	size_t i;
	json_array_foreach(json_object_get(body, "course"), i, step) {
		const char *by = vs_json_text(step, "by");
		line_of(i ? "" : "then");
		printf("%s  %s, %s%s%s\n", vs_json_text(step, "time"), vs_json_text(step, "change"), vs_json_text(step, "priority"),
		       *by ? ", by " : "", by);
	}
}

void vs_audit_explanation(const json_t *body)
{
	const json_t *because = json_object_get(body, "because");
	const char *life = vs_json_text(body, "life");
	puts(vs_json_text(body, "text"));
	line_of("alarm");
	printf("%s, rule %s, %s, %s priority%s%s\n", vs_json_text(body, "alarm"), vs_json_text(body, "rule"), vs_json_text(body, "class"),
	       vs_json_text(body, "priority"), *life ? ", now " : "", life);
	optional_line(body, "chair", "chair");
	optional_line(body, "session", "session");
	optional_line(body, "device", "device");
	optional_line(body, "began", "onset");
	if (json_is_number(json_object_get(body, "value"))) {
		line_of("value");
		printf("%g %s\n", number(body, "value"), vs_json_text(body, "unit"));
	}
	limit_line(body, because);
	reading_line(body, because);
	waiting_line(because);
	set_line(body);
	optional_line(body, "advice", "advice");
	course_lines(body);
}

/* ---- from the log ---- */

#define BODY "'{' || e.body || '}'"
#define OF(key) "json_extract(" BODY ", '$." key "')"

static const char messages_sql[] =
	"SELECT strftime('%Y-%m-%dT%H:%M:%fZ', e.at_ms / 1000.0, 'unixepoch'), o.chair, e.session, " BODY ", e.event"
	" FROM event e JOIN origin o USING(origin) WHERE e.kind = 'alarm' AND e.alarm = :rule ORDER BY e.event";
/* The limits that the session had then; a later reload names others. */
static const char set_sql[] =
	"SELECT " OF("limits") ", " OF("limits_hash") " FROM event e WHERE e.kind = 'session' AND e.session = ?1 AND e.event < ?2 AND "
	OF("limits_hash") " IS NOT NULL ORDER BY e.event DESC LIMIT 1";

static json_t *text_or_null(sqlite3_stmt *st, int column)
{
	const char *text = (const char *)sqlite3_column_text(st, column);
	return text ? json_string(text) : json_null();
}

static void add_set(struct vs_log *l, json_t *body, const char *session, int64_t event)
{
	sqlite3_stmt *st = NULL;
	if (!session || sqlite3_prepare_v2(vs_log_db(l), set_sql, -1, &st, NULL) != SQLITE_OK)
		return;
	sqlite3_bind_text(st, 1, session, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(st, 2, event);
	if (sqlite3_step(st) == SQLITE_ROW) {
		json_object_set_new(body, "set", text_or_null(st, 0));
		json_object_set_new(body, "set_hash", text_or_null(st, 1));
	}
	sqlite3_finalize(st);
}

static void add_message(struct vs_log *l, json_t **body, sqlite3_stmt *st)
{
	json_t *message = json_loads((const char *)sqlite3_column_text(st, 3), 0, NULL);
	if (*body) {
		json_array_append_new(json_object_get(*body, "course"),
				      json_pack("{s:o,s:s,s:s,s:s}", "time", text_or_null(st, 0), "change", vs_json_text(message, "change"),
						"priority", vs_json_text(message, "priority"), "by", vs_json_text(message, "by")));
		json_decref(message);
		return;
	}
	*body = message;
	json_object_set_new(message, "chair", text_or_null(st, 1));
	json_object_set_new(message, "session", text_or_null(st, 2));
	add_set(l, message, (const char *)sqlite3_column_text(st, 2), sqlite3_column_int64(st, 4));
	json_object_set_new(message, "course", json_array());
}

static int explain_from(struct vs_log *l, const struct vs_log_options *o, const char *alarm)
{
	struct vs_log_options of_alarm = *o;
	json_t *body = NULL;
	of_alarm.rule = alarm; /* the statement's only filter */
	sqlite3_stmt *st = vs_log_query(l, messages_sql, &of_alarm);
	while (st && sqlite3_step(st) == SQLITE_ROW)
		add_message(l, &body, st);
	sqlite3_finalize(st);
	if (!st)
		return VS_EXIT_FAILED;
	if (!body)
		return vs_ctl_fail("alarm explain: %s has no alarm %s; 'vitalsctl audit alarms' shows what it has", vs_log_file(l), alarm);
	if (o->json) {
		json_dumpf(body, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
		putchar('\n');
	} else {
		vs_audit_explanation(body);
	}
	json_decref(body);
	return VS_EXIT_DONE;
}

int vs_audit_explain(int argc, char **argv)
{
	struct vs_log_options o;
	struct vs_log *l = NULL;
	int r = vs_log_options(&o, argc, argv, "");
	if (r != VS_EXIT_DONE)
		return r;
	if (o.n_words != 1)
		return vs_ctl_usage("alarm explain: which alarm? (its id stands in 'vitalsctl audit alarms')");
	r = vs_log_open_given(&o, &l);
	if (r == VS_EXIT_DONE)
		r = vs_log_trace(l, &o, "alarm", argc, argv);
	if (r == VS_EXIT_DONE)
		r = explain_from(l, &o, o.words[0]);
	vs_log_close(l);
	return r;
}
