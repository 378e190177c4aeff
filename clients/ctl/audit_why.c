/* `vitalsctl why --at`: the session that the chair had then runs again up to this moment, through the engine, with the limits of
 * the time (relive.h); then each rule is asked as it would be now. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/log_limits.h"
#include "clients/ctl/relive.h"
#include "clients/ctl/why.h"
#include "config/presets.h"

/* What it takes to judge a session as it was judged. */
struct moment {
	struct vs_log_options o;
	char session[64];
	struct vs_relive *relive;
	struct vs_session_data *data;
	struct vs_limit_sets *at_hand, **kept; /* kept: one for each of `sets`, or NULL */
	const struct vs_limit_set **sets;
	unsigned n;
};

static const char session_sql[] =
	"SELECT session FROM audit_session WHERE chair = :chair AND started_ms <= :since AND (ended_ms IS NULL OR ended_ms >= :since)"
	" ORDER BY started_ms DESC LIMIT 1";

static int find_session(struct moment *m, struct vs_log *l)
{
	sqlite3_stmt *st = vs_log_query(l, session_sql, &m->o);
	if (!st)
		return VS_EXIT_FAILED;
	bool found = sqlite3_step(st) == SQLITE_ROW;
	if (found)
		snprintf(m->session, sizeof m->session, "%s", (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	if (!found)
		return vs_ctl_fail("why: %s had no session then; 'vitalsctl audit sessions --chair %s' lists its sessions", m->o.chair,
				   m->o.chair);
	return VS_EXIT_DONE;
}

static int find_set(struct moment *m, struct vs_log *l, const struct vs_relive_limits *then, unsigned i)
{
	int r = vs_log_set_then(l, m->at_hand, m->o.limit_file, then->name, then->hash, &m->kept[i], &m->sets[i]);
	return r >= 0 && m->sets[i] ?
		       VS_EXIT_DONE :
		       vs_ctl_fail("why: %s ran with the limit set '%s', which is not at hand: give its file with --limit-file", m->session,
				   then->name);
}

/* One set throughout: the one that --limits names, or the one that ships. */
static void one_set(struct moment *m)
{
	m->sets[0] = vs_limits_find(m->at_hand, m->o.limits ? m->o.limits : VS_LIMITS_DEFAULT);
	if (!m->o.limits)
		fprintf(stderr, "vitalsctl: %s: the log does not say with which limits it ran: judged by %s\n", m->session,
			m->sets[0]->name);
}

static int find_sets(struct moment *m, struct vs_log *l)
{
	unsigned n;
	const struct vs_relive_limits *then = vs_relive_limits(m->relive, &n);
	int r = vs_log_sets(&m->o, &m->at_hand);
	m->sets = calloc(n + 1, sizeof *m->sets);
	m->kept = calloc(n + 1, sizeof *m->kept);
	if (r == VS_EXIT_DONE && (!m->sets || !m->kept))
		return vs_ctl_fail("no memory");
	m->n = m->o.limits || !n ? 1 : n;
	if (r == VS_EXIT_DONE && (m->o.limits || !n))
		one_set(m);
	for (unsigned i = 0; r == VS_EXIT_DONE && !m->o.limits && i < n; i++)
		r = find_set(m, l, &then[i], i);
	return r;
}

static int tell(struct moment *m)
{
	static char text[1 << 16];
	struct vs_json j = vs_json_into(text, sizeof text);
	vs_json_open(&j, '{');
	vs_json_key(&j, "chair"), vs_json_string(&j, m->o.chair);
	vs_json_key(&j, "session"), vs_json_string(&j, m->session);
	vs_json_key(&j, "at"), vs_json_time(&j, m->o.since_ms);
	if (vs_relive_why(m->relive, m->sets, m->n, m->data, m->o.since_ms, &j) < 0)
		return vs_ctl_fail("no memory");
	vs_json_close(&j, '}');
	if (vs_json_failed(&j))
		return vs_ctl_fail("why: the answer is too long");
	json_t *answer = json_loads(text, 0, NULL);
	if (m->o.json)
		puts(text);
	else
		vs_why_print(m->o.chair, answer);
	json_decref(answer);
	return VS_EXIT_DONE;
}

static int look(struct moment *m, struct vs_log *l)
{
	struct vs_findings findings = { 0 };
	int r = find_session(m, l);
	if (r != VS_EXIT_DONE)
		return r;
	if (vs_relive_load(l, m->session, &m->relive) < 0 || vs_presets_load(NULL, 0, &m->data, &findings) < 0)
		return vs_ctl_fail("why: %s cannot be run again", m->session);
	r = find_sets(m, l);
	return r == VS_EXIT_DONE ? tell(m) : r;
}

static void forget(struct moment *m)
{
	for (unsigned i = 0; m->kept && i < m->n; i++)
		vs_limits_free(m->kept[i]);
	free(m->kept);
	free(m->sets);
	vs_limits_free(m->at_hand);
	vs_presets_free(m->data);
	vs_relive_free(m->relive);
}

int vs_audit_why(int argc, char **argv)
{
	struct moment m = { 0 };
	struct vs_log *l = NULL;
	int r = vs_log_options(&m.o, argc, argv, "chair at limits limit-file");
	if (r != VS_EXIT_DONE)
		return r;
	if (!m.o.chair || m.o.n_words)
		return vs_ctl_usage("why: --chair is needed");
	r = vs_log_open_given(&m.o, &l);
	if (r == VS_EXIT_DONE)
		r = vs_log_trace(l, &m.o, "why", argc, argv);
	if (r == VS_EXIT_DONE)
		r = look(&m, l);
	forget(&m);
	vs_log_close(l);
	return r;
}
