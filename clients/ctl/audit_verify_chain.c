/* The chain of seals, and what the log says of itself. */
#include "clients/ctl/audit_verify_inside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/timetext.h"
#include "record/schema.h"

/* ---- Reading what the chain says ---- */

static void *grown(void *at, size_t n, size_t size)
{
	return n & (n - 1) ? at : realloc(at, (n ? n * 2 : 1) * size); /* doubles at each power of two */
}

static int part_order(const void *a, const void *b)
{
	const struct vs_verify_part *x = a, *y = b;
	return x->table != y->table ? x->table - y->table : (x->last > y->last) - (x->last < y->last);
}

int vs_verify_read_parts(struct vs_verifying *v)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(v->db, "SELECT part, last, seal, rows, digest FROM seal_part", -1, &st, NULL);
	while (rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(st, 0);
		unsigned table = vs_verify_table(name ? name : "");
		struct vs_verify_part *more = grown(v->parts, v->n_parts, sizeof *more);
		if (!more) {
			rc = SQLITE_NOMEM;
			break;
		}
		v->parts = more;
		struct vs_verify_part *p = &v->parts[v->n_parts];
		*p = (struct vs_verify_part){ .last = sqlite3_column_int64(st, 1), .seal = sqlite3_column_int64(st, 2),
				    .rows = sqlite3_column_int64(st, 3), .table = (uint8_t)table };
		if (table == VS_SEAL_TABLES || sqlite3_column_bytes(st, 4) != VS_HASH) {
			vs_verify_finding(v, "seal_part", "a row of seal %" PRId64 " is of no table that is sealed", p->seal);
			continue;
		}
		memcpy(p->digest, sqlite3_column_blob(st, 4), VS_HASH);
		v->n_parts++;
	}
	sqlite3_finalize(st);
	if (v->n_parts)
		qsort(v->parts, v->n_parts, sizeof *v->parts, part_order);
	return rc == SQLITE_OK ? 0 : -1;
}

int vs_verify_read_seals(struct vs_verifying *v)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(v->db, "SELECT seal, at_ms, rows, hash, signature FROM seal ORDER BY seal", -1, &st,
				    NULL);
	while (rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
		struct vs_verify_seal *more = grown(v->seals, v->n_seals, sizeof *more);
		if (!more) {
			rc = SQLITE_NOMEM;
			break;
		}
		v->seals = more;
		struct vs_verify_seal *s = &v->seals[v->n_seals++];
		*s = (struct vs_verify_seal){ .seal = sqlite3_column_int64(st, 0), .at_ms = sqlite3_column_int64(st, 1),
				    .rows = sqlite3_column_int64(st, 2) };
		if (sqlite3_column_bytes(st, 3) == VS_HASH)
			memcpy(s->hash, sqlite3_column_blob(st, 3), VS_HASH);
		s->is_signed = sqlite3_column_bytes(st, 4) == VS_KEY_SIGNATURE;
		if (s->is_signed)
			memcpy(s->signature, sqlite3_column_blob(st, 4), VS_KEY_SIGNATURE);
	}
	sqlite3_finalize(st);
	return rc == SQLITE_OK ? 0 : -1;
}

static int add_key(struct vs_verifying *v, const uint8_t key[VS_KEY_PUBLIC])
{
	void *more = grown(v->keys, v->n_keys, sizeof *v->keys);
	if (!more)
		return -1;
	v->keys = more;
	memcpy(v->keys[v->n_keys++], key, VS_KEY_PUBLIC);
	return 0;
}

/* All keys that the files name. */
static int read_own_keys(struct vs_verifying *v)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < vs_log_parts(v->l); i++) {
		struct vs_log_part *part = vs_log_part(v->l, i);
		sqlite3_stmt *st = NULL;
		if (part->db && sqlite3_prepare_v2(part->db, "SELECT DISTINCT public_key FROM epoch WHERE length(public_key) = 32", -1,
						   &st, NULL) == SQLITE_OK)
			while (r == 0 && sqlite3_step(st) == SQLITE_ROW)
				r = add_key(v, sqlite3_column_blob(st, 0));
		sqlite3_finalize(st);
	}
	return r;
}

/* The key that the caller trusts, as text or in a file; else all that the log names. */
int vs_verify_read_keys(struct vs_verifying *v)
{
	uint8_t key[VS_KEY_PUBLIC];
	if (v->trusted) {
		char text[256] = "";
		FILE *f = fopen(v->trusted, "re");
		if (f && !fgets(text, sizeof text, f))
			text[0] = '\0';
		if (f)
			fclose(f);
		text[strcspn(text, " \r\n")] = '\0';
		if (!vs_unhex(f ? text : v->trusted, key, sizeof key))
			return vs_ctl_fail("%s: no public key; 64 hexadecimal digits are wanted, as 'vitalsctl log key' prints them",
					   v->trusted);
		return add_key(v, key);
	}
	return read_own_keys(v);
}

/* ---- The chain ---- */

static int seal_order(const void *a, const void *b)
{
	const struct vs_verify_part *x = a, *y = b;
	return x->seal != y->seal ? (x->seal > y->seal) - (x->seal < y->seal) : part_order(a, b);
}

static bool signed_by_known(const struct vs_verifying *v, const uint8_t hash[VS_HASH], const uint8_t signature[VS_KEY_SIGNATURE])
{
	char hex[VS_HASH_HEX];
	vs_hex(hash, VS_HASH, hex);
	for (size_t i = 0; i < v->n_keys; i++)
		if (vs_key_verify(v->keys[i], hex, signature))
			return true;
	return false;
}

static void name_seal(const struct vs_verify_seal *s, char *buf, size_t cap)
{
	char at[VS_TIME_TEXT_CAP];
	vs_time_text(s->at_ms, at);
	snprintf(buf, cap, "seal %" PRId64 ", %s", s->seal, at);
}

/* One seal, with the parts from *part on. */
static void check_seal(struct vs_verifying *v, size_t i, size_t *part, const uint8_t previous[VS_HASH])
{
	struct vs_verify_seal *s = &v->seals[i];
	struct vs_seal_hash h;
	uint8_t hash[VS_HASH];
	char place[128];
	int64_t rows = i > 0 ? v->seals[i - 1].rows : v->before.rows;
	name_seal(s, place, sizeof place);
	vs_seal_begin(&h, previous, s->seal, s->at_ms, s->rows);
	for (; *part < v->n_parts && v->parts[*part].seal <= s->seal; ++*part) {
		const struct vs_verify_part *p = &v->parts[*part];
		if (p->seal != s->seal) {
			vs_verify_finding(v, place, "rows of %s belong to seal %" PRId64 ", which is not there", vs_seal_tables[p->table].name,
				p->seal);
			continue;
		}
		rows += p->rows;
		vs_seal_part(&h, vs_seal_tables[p->table].name, p->last, p->rows, p->digest);
	}
	vs_seal_end(&h, hash);
	if (memcmp(hash, s->hash, VS_HASH) != 0)
		vs_verify_finding(v, place, "the seal does not fit what it covers, or the seal before it");
	else if (rows != s->rows)
		vs_verify_finding(v, place, "the seal counts %" PRId64 " rows, its parts %" PRId64, s->rows, rows);
	if (s->is_signed && !signed_by_known(v, s->hash, s->signature))
		vs_verify_finding(v, place, v->n_keys ? "the signature is not by the daemon's key" : "the daemon's public key is missing");
	v->out->signatures += s->is_signed;
}

void vs_verify_check_chain(struct vs_verifying *v)
{
	size_t part = 0;
	char place[128];
	if (v->n_parts)
		qsort(v->parts, v->n_parts, sizeof *v->parts, seal_order);
	for (size_t i = 0; i < v->n_seals; i++) {
		const struct vs_verify_seal *before = i > 0 ? &v->seals[i - 1] : &v->before;
		if (v->seals[i].seal != before->seal + 1) {
			name_seal(&v->seals[i], place, sizeof place);
			vs_verify_finding(v, place, "the seal before it, %" PRId64 ", is missing", v->seals[i].seal - 1);
		}
		check_seal(v, i, &part, before->hash);
	}
	if (part < v->n_parts)
		vs_verify_finding(v, "seal", "the last seals, up to %" PRId64 ", are missing", v->parts[v->n_parts - 1].seal);
	v->out->seals += (int64_t)v->n_seals;
}

void vs_verify_check_head(struct vs_verifying *v)
{
	sqlite3_stmt *st = NULL;
	int64_t last = v->n_seals ? v->seals[v->n_seals - 1].seal : v->before.seal, seal = 0, rows = 0;
	v->out->unsealed += v->tail_rows;
	bool there = sqlite3_prepare_v2(v->db, "SELECT seal, rows, tail FROM head WHERE one = 1", -1, &st, NULL) ==
			     SQLITE_OK && sqlite3_step(st) == SQLITE_ROW;
	if (there) {
		seal = sqlite3_column_int64(st, 0);
		rows = sqlite3_column_int64(st, 1);
	}
	if (!there)
		vs_verify_finding(v, "head", "the end of the chain is missing");
	else if (seal != last)
		vs_verify_finding(v, "head", "the log's last seal was %" PRId64 ", now it is %" PRId64, seal, last);
	else if (rows != v->tail_rows)
		vs_verify_finding(v, "rows that are under no seal", "there were %" PRId64 " rows, now there are %" PRId64, rows, v->tail_rows);
	else if (sqlite3_column_bytes(st, 2) != VS_HASH || memcmp(sqlite3_column_blob(st, 2), v->tail, VS_HASH) != 0)
		vs_verify_finding(v, "rows that are under no seal", "the %" PRId64 " rows are not as they were recorded", v->tail_rows);
	sqlite3_finalize(st);
}

/* ---- Everything else ---- */

static void schema_differs(void *arg, const char *type, const char *name, const char *what)
{
	char place[160];
	snprintf(place, sizeof place, "%s %s", type, name);
	vs_verify_finding(arg, place, "the %s %s: what it shows or keeps is not what vitalsd made it for", type, what);
}

static void check_pages(struct vs_verifying *v)
{
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(v->db, "PRAGMA integrity_check(20)", -1, &st, NULL) == SQLITE_OK)
		while (sqlite3_step(st) == SQLITE_ROW) {
			const char *text = (const char *)sqlite3_column_text(st, 0);
			if (text && strcmp(text, "ok") != 0)
				vs_verify_finding(v, "the file", "%s", text);
		}
	sqlite3_finalize(st);
}

void vs_verify_check_rest(struct vs_verifying *v)
{
	if (vs_schema_compare(v->db, schema_differs, v) < 0)
		vs_verify_finding(v, "schema", "it cannot be read: %s", sqlite3_errmsg(v->db));
	if (v->session)
		return;
	check_pages(v);
	vs_verify_ask(v, "SELECT 'finding ' || finding || ', ' || " VS_VERIFY_AT("at_ms") ", text FROM finding WHERE text LIKE 'rows after seal%'",
	    v->out->findings);
	vs_verify_ask(v, "SELECT 'finding ' || finding || ', ' || " VS_VERIFY_AT("at_ms") ", text FROM finding WHERE text NOT LIKE 'rows after seal%'",
	    v->out->notes);
	vs_verify_ask(v, "SELECT 'gap ' || gap || ', ' || " VS_VERIFY_AT("from_ms") " || ' to ' || " VS_VERIFY_AT("until_ms") ", CASE WHEN readings THEN readings"
	       " || ' readings were given up: ' ELSE '' END || reason FROM gap", v->out->notes);
	vs_verify_ask(v, "SELECT 'epoch ' || epoch || ', ' || " VS_VERIFY_AT("started_ms") ", 'started after ' || restarted_after FROM epoch"
	       " WHERE restarted_after NOT LIKE 'an orderly stop%'", v->out->notes);
	/* Numbers are contiguous within a topic: one that is missing was never recorded, or is gone. */
	vs_verify_ask(v, "SELECT o.chair || ', epoch ' || o.epoch || ', ' || e.kind, (max(e.seq) - min(e.seq) + 1 - count(*)) ||"
	       " ' numbers are missing between ' || min(e.seq) || ' and ' || max(e.seq) FROM event e JOIN origin o USING(origin)"
	       " GROUP BY o.epoch, o.chair, e.kind HAVING max(e.seq) - min(e.seq) + 1 <> count(*)", v->out->findings);
	/* ... also where a file goes on with a topic of the one before. */
	if (v->version >= 2)
		vs_verify_ask(v, "SELECT o.chair || ', epoch ' || o.epoch || ', ' || e.kind, 'numbers are missing between ' || c.number || ' and ' ||"
		       " min(e.seq) FROM carried c JOIN origin o JOIN event e USING(origin) WHERE c.what = e.kind || ' ' || o.epoch ||"
		       " ' ' || o.chair GROUP BY o.epoch, o.chair, e.kind HAVING min(e.seq) <> c.number + 1", v->out->findings);
}

/* The first seal of a day, and one that closes a session or ends the daemon in order, are signed if there is a key.  Once
 * some start had none it cannot be told from the log which seals are its own, and only the orderly ends are asked for. */
void vs_verify_check_signatures(struct vs_verifying *v)
{
	vs_verify_ask(v, "WITH must(part, number, why) AS (SELECT 'epoch_end', d.epoch, 'epoch ' || d.epoch || ' ended' FROM epoch_end d"
	       " JOIN epoch USING(epoch) WHERE public_key IS NOT NULL UNION ALL SELECT 'event', event, 'session ' || session ||"
	       " ' was closed' FROM event WHERE kind = 'session' AND session IS NOT NULL AND json_extract('{' || body || '}', '$.phase') ="
	       " 'discharged' AND NOT EXISTS (SELECT 1 FROM epoch WHERE public_key IS NULL)),"
	       " cause(seal, why) AS (SELECT (SELECT seal FROM seal_part p WHERE p.part = must.part AND p.last >= number ORDER BY p.last"
	       " LIMIT 1), why FROM must UNION ALL SELECT seal, 'a day began' FROM (SELECT seal, at_ms / 86400000 > coalesce(lag(at_ms)"
	       " OVER (ORDER BY seal) / 86400000, -1) AS is_first FROM seal) WHERE is_first AND NOT EXISTS (SELECT 1 FROM epoch WHERE"
	       " public_key IS NULL))"
	       " SELECT 'seal ' || seal || ', ' || " VS_VERIFY_AT("at_ms") ", 'it was made when ' || min(why) || ', and is not signed: its"
	       " signature was removed' FROM cause JOIN seal USING(seal) WHERE signature IS NULL GROUP BY seal", v->out->findings);
}

/* ---- Witnesses ---- */

/* The seal is one of a file that is not here. */
static bool in_missing_file(const struct vs_verifying *v, json_int_t number)
{
	int64_t before = 0;
	for (size_t i = 0; i + 1 < vs_log_parts(v->l); i++) {
		const struct vs_log_part *part = vs_log_part(v->l, i);
		if (number > before && number <= part->link->seal)
			return !part->db;
		before = part->link->seal;
	}
	return v->n_seals && number < v->seals[0].seal;
}

static void check_witness(struct vs_verifying *v, int line, const json_t *message)
{
	char place[64];
	uint8_t head[VS_HASH], signature[VS_KEY_SIGNATURE];
	const char *hex = json_string_value(json_object_get(message, "head"));
	const char *sign = json_string_value(json_object_get(message, "signature"));
	json_int_t number = json_integer_value(json_object_get(message, "seal"));
	json_int_t rows = json_integer_value(json_object_get(message, "rows"));
	snprintf(place, sizeof place, "witness, line %d", line);
	v->out->witnesses++;
	if (!hex || !vs_unhex(hex, head, sizeof head)) {
		vs_verify_finding(v, place, "the message has no head");
		return;
	}
	if (sign && (!vs_unhex(sign, signature, sizeof signature) || !signed_by_known(v, head, signature)))
		vs_verify_finding(v, place, "its signature is not by the daemon's key");
	for (size_t i = 0; i < v->n_seals; i++) {
		const struct vs_verify_seal *s = &v->seals[i];
		bool same = memcmp(s->hash, head, VS_HASH) == 0;
		if (number ? s->seal != number : !same)
			continue;
		if (!same)
			vs_verify_finding(v, place, "seal %" PRId64 " of the log is not the one that was published: the log was written anew",
				s->seal);
		else if (rows && rows != s->rows)
			vs_verify_finding(v, place, "seal %" PRId64 " covers %" PRId64 " rows, the published one %lld", s->seal, s->rows,
				(long long)rows);
		return;
	}
	if (number && in_missing_file(v, number)) { /* that was said already */
		v->out->witnesses--;
		return;
	}
	vs_verify_finding(v, place, "seal %lld was published and is not in this log, which ends at seal %" PRId64, (long long)number,
		v->n_seals ? v->seals[v->n_seals - 1].seal : 0);
}

int vs_verify_read_witness(struct vs_verifying *v, const char *file)
{
	char line[16384];
	FILE *f = fopen(file, "re");
	if (!f)
		return vs_ctl_fail("%s: %m", file);
	for (int n = 1; fgets(line, sizeof line, f); n++) {
		const char *open = strchr(line, '{'); /* after the topic, where there is one */
		json_t *message = open ? json_loads(open, 0, NULL) : NULL;
		const char *kind = json_string_value(json_object_get(message, "kind"));
		if (message && (kind ? strcmp(kind, "seal") == 0 : json_object_get(message, "head") != NULL))
			check_witness(v, n, message);
		json_decref(message);
	}
	fclose(f);
	return v->out->witnesses ? 0 : vs_ctl_fail("%s: there is no seal message in it, one JSON object a line", file);
}
