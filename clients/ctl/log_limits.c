/* Which limit set a session was judged by. */
#include <string.h>

#include "clients/ctl/log_limits.h"

int vs_log_sets(const struct vs_log_options *o, struct vs_limit_sets **ret)
{
	struct vs_findings findings = { 0 };
	const char *file = o->limit_file;
	int r = vs_limits_load(&file, file != NULL, ret, &findings);
	if (r < 0)
		vs_findings_print(&findings, stderr);
	vs_findings_clear(&findings);
	if (r < 0)
		return VS_EXIT_CONFIG;
	if (o->limits && !vs_limits_find(*ret, o->limits)) {
		vs_limits_free(*ret);
		*ret = NULL;
		return vs_ctl_usage("there is no limit set '%s'; --limit-file FILE brings it", o->limits);
	}
	return VS_EXIT_DONE;
}

/* The first message of a session that names its set. */
static const char recorded_sql[] =
	"SELECT json_extract('{' || e.body || '}', '$.limits') AS name, json_extract('{' || e.body || '}', '$.limits_hash') FROM event e"
	" WHERE e.session = :session AND e.kind = 'session' AND name IS NOT NULL ORDER BY e.event LIMIT 1";

static void recorded(struct vs_log *l, const char *session, struct vs_log_set *ret)
{
	struct vs_log_options o = { .session = session };
	sqlite3_stmt *st = vs_log_query(l, recorded_sql, &o);
	if (st && sqlite3_step(st) == SQLITE_ROW) {
		const char *hash = (const char *)sqlite3_column_text(st, 1);
		snprintf(ret->recorded, sizeof ret->recorded, "%s", (const char *)sqlite3_column_text(st, 0));
		snprintf(ret->recorded_hash, sizeof ret->recorded_hash, "%s", hash ? hash : "");
	}
	sqlite3_finalize(st);
}

void vs_log_set_of(struct vs_log *l, const struct vs_log_options *o, const struct vs_limit_sets *sets, const char *session,
		   struct vs_log_set *ret)
{
	*ret = (struct vs_log_set){ .set = NULL };
	recorded(l, session, ret);
	const char *name = o->limits ? o->limits : ret->recorded[0] ? ret->recorded : VS_LIMITS_DEFAULT;
	ret->set = vs_limits_find(sets, name);
	if (!ret->set)
		ret->set = vs_limits_find(sets, VS_LIMITS_DEFAULT);
	ret->hash = vs_limits_hash(sets, ret->set->name);
	ret->proven = strcmp(ret->set->name, ret->recorded) == 0 && ret->recorded_hash[0] &&
		      strncmp(ret->hash, ret->recorded_hash, strlen(ret->recorded_hash)) == 0; /* the log has its first digits */
}

void vs_log_set_note(const struct vs_log_set *s, const char *session)
{
	if (s->proven)
		return;
	if (s->recorded[0])
		fprintf(stderr, "vitalsctl: note: %s was judged by the limit set %s (text %.12s), this is %s (%.12s): give --limits and "
			"--limit-file as the daemon had them\n", session, s->recorded, s->recorded_hash, s->set->name, s->hash);
}
