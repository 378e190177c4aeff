/* Which limit set a session was judged by. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clients/ctl/log_limits.h"
#include "config/hash.h"

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

/* ---- from the log itself ---- */

struct kept {
	struct vs_limit_source texts[1 + VS_LIMIT_TEXTS]; /* the ground, then the others of the chain; owned */
	struct vs_piece chain[VS_LIMIT_TEXTS];
	unsigned n, n_chain;
};

static void forget(struct kept *k)
{
	for (unsigned i = 0; i < k->n; i++) {
		free((char *)k->texts[i].name);
		free((char *)k->texts[i].bytes);
	}
}

/* The text of one hash, into the next place.  1, 0: there is none, or -ENOMEM. */
static int take_text(sqlite3_stmt *st, struct kept *k, const char *hash)
{
	int r = 0;
	sqlite3_reset(st);
	sqlite3_bind_text(st, 1, hash, -1, SQLITE_TRANSIENT);
	if (sqlite3_step(st) == SQLITE_ROW && k->n < sizeof k->texts / sizeof *k->texts) {
		size_t len = (size_t)sqlite3_column_bytes(st, 1);
		char *bytes = malloc(len + 1), *name = strdup((const char *)sqlite3_column_text(st, 0));
		if (bytes && len)
			memcpy(bytes, sqlite3_column_text(st, 1), len);
		k->texts[k->n++] = (struct vs_limit_source){ .name = name, .bytes = bytes, .len = len };
		r = bytes && name ? 1 : -ENOMEM;
	}
	return r;
}

/* Ground and chain: rows (hash, text), the ground first and again where it begins the chain. */
static int take_texts(struct vs_log *l, struct kept *k, const char *ground, const char *chain)
{
	sqlite3_stmt *st = vs_log_query(l, "SELECT name, text FROM limit_text WHERE hash = ?1", &(struct vs_log_options){ 0 });
	json_t *hashes = json_loads(chain, 0, NULL), *one;
	size_t i;
	int r = st ? take_text(st, k, ground) : -EIO;
	json_array_foreach(hashes, i, one) {
		const char *hash = json_string_value(one) ? json_string_value(one) : "";
		unsigned at = 0;
		if (r == 1 && strcmp(hash, ground) != 0) {
			r = take_text(st, k, hash);
			at = k->n - 1;
		}
		if (r == 1 && k->n_chain < VS_LIMIT_TEXTS)
			k->chain[k->n_chain++] = (struct vs_piece){ k->texts[at].bytes, k->texts[at].len };
	}
	json_decref(hashes);
	sqlite3_finalize(st);
	return r;
}

static int read_kept(struct vs_log *l, sqlite3_stmt *st, const char *name, struct kept *k, struct vs_limit_sets **ret)
{
	struct vs_findings findings = { 0 };
	const char *hash = (const char *)sqlite3_column_text(st, 0), *ground = (const char *)sqlite3_column_text(st, 1);
	char is[VS_HASH_CAP];
	int r = take_texts(l, k, ground, (const char *)sqlite3_column_text(st, 2));
	if (r < 0)
		return r;
	vs_hash_hex(k->chain, k->n_chain, is);
	if (r == 0 || strcmp(is, hash) != 0) {
		fprintf(stderr, "vitalsctl: the text of the limit set %s in this log is not the one that was in force: its hash is %.16s, the "
			"log names %.16s; run 'vitalsctl audit verify'\n", name, r ? is : "missing", hash);
		return -EBADMSG;
	}
	vs_hash_hex(&(struct vs_piece){ k->texts[0].bytes, k->texts[0].len }, 1, is);
	if (strcmp(is, ground) != 0) {
		fprintf(stderr, "vitalsctl: the text that shipped with the limit set %s is not the one of that time; run 'vitalsctl audit "
			"verify'\n", name);
		return -EBADMSG;
	}
	r = vs_limits_load_texts(k->texts, k->n, ret, &findings);
	if (r == 0 && !vs_limits_find(*ret, name)) {
		vs_limits_free(*ret);
		r = -EINVAL;
	}
	if (r == -EINVAL)
		fprintf(stderr, "vitalsctl: the limit set %s of that time is in the log, but this version cannot read it:\n", name);
	vs_findings_print(&findings, stderr);
	vs_findings_clear(&findings);
	return r < 0 ? r : 1;
}

static int kept_set(struct vs_log *l, const char *name, const char *hash, struct vs_limit_sets **ret)
{
	struct kept *k = calloc(1, sizeof *k);
	sqlite3_stmt *st = NULL;
	int r = 0;
	if (!k)
		return -ENOMEM;
	/* a log of before has no such table */
	if (sqlite3_prepare_v2(vs_log_db(l), "SELECT hash, ground, chain FROM limit_set WHERE name = ?1 AND substr(hash, 1, length(?2)) = ?2"
					     " AND length(?2) >= 16 ORDER BY limit_set DESC LIMIT 1", -1, &st, NULL) == SQLITE_OK) {
		sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, hash, -1, SQLITE_STATIC);
		if (sqlite3_step(st) == SQLITE_ROW)
			r = read_kept(l, st, name, k, ret);
	}
	sqlite3_finalize(st);
	forget(k);
	free(k);
	return r;
}

int vs_log_set_then(struct vs_log *l, const struct vs_limit_sets *at_hand, bool given, const char *name, const char *hash,
		    struct vs_limit_sets **ret_kept, const struct vs_limit_set **ret)
{
	*ret = vs_limits_find(at_hand, name);
	bool ships = strcmp(name, VS_LIMITS_DEFAULT) == 0; /* is at hand without anybody bringing it */
	if (*ret && (strcmp((*ret)->hash, hash) == 0 || (given && !ships)))
		return 1;
	int r = kept_set(l, name, hash, ret_kept);
	if (r == 1) {
		*ret = vs_limits_find(*ret_kept, name);
		fprintf(stderr, "vitalsctl: limits of %s as the log keeps their text (%s)\n", name, hash);
	} else if (*ret) {
		fprintf(stderr, "vitalsctl: note: the limits of %s are not those of the time (%s): these are %s\n", name, hash, (*ret)->hash);
	}
	return r;
}
