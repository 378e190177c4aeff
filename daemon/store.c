#include "daemon/store_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/timetext.h"
#include "daemon/clock.h"
#include "daemon/say.h"
#include "record/schema.h"

#define GROUP_MS 250         /* power loss may cost so much */
#define GROUP_MAX 5000       /* records in one transaction */
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define RETRY_LOCKED_MS 500
#define CLOSE_MS 5000        /* how long an orderly stop waits for a failing disk */
#define START_MS 3000        /* how long a start waits for a failing disk to give what the last run left */
#define LOOK_MS 1000         /* how often the file's place is checked */

static void tell(struct vs_store *s)
{
	if (s->changed)
		s->changed(s->arg);
}

/* ---- What the last run left ---- */

/* Whether what the connection did last failed in a way that may pass.  Other failures are none: an older schema lacks a table. */
static void note_failure(sqlite3 *db, int *rc)
{
	int now = vs_store_why_not_open(sqlite3_errcode(db), sqlite3_system_errno(db));
	if (vs_store_is_passing(now))
		*rc = now;
}

/* Reads what is needed to go on, as far as it can be read: also from a file that is damaged elsewhere. */
static int read_past(struct vs_store *s, uint64_t *ret_epoch)
{
	static const char *const questions[] = {
		"SELECT max(epoch) FROM epoch", "SELECT max(epoch) FROM origin",
		"SELECT max(CAST(substr(alarm, 3) AS INTEGER)) FROM alarm", "SELECT number FROM carried WHERE what = 'alarm id'",
		"SELECT at_ms / 86400000 FROM seal WHERE signature IS NOT NULL ORDER BY seal DESC LIMIT 1",
	};
	int64_t answers[5] = { 0 };
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(s->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(db, 5000);
		for (unsigned i = 0; i < 5; i++) {
			answers[i] = vs_store_ask(db, questions[i]);
			note_failure(db, &rc);
		}
		vs_store_read_states(s, db);
		note_failure(db, &rc);
		vs_store_read_numbers(s, db);
		note_failure(db, &rc);
	} else {
		rc = vs_store_why_not_open(rc, db ? sqlite3_system_errno(db) : ENOMEM);
	}
	*ret_epoch = (uint64_t)(answers[0] > answers[1] ? answers[0] : answers[1]);
	for (unsigned i = 2; i < 4; i++)
		if ((uint64_t)answers[i] > s->last_alarm)
			s->last_alarm = (uint64_t)answers[i];
	s->signed_day = answers[4];
	sqlite3_close(db);
	return rc;
}

/* What a record in the ring says that the log may not know yet. */
static void learn(struct vs_store *s, const struct vs_custody_record *r)
{
	if (r->is_state) {
		if (!s->running)
			vs_store_keep_state(s, r->event.chair, r->state, r->state_len, true);
		return;
	}
	if (!s->any_chair[0])
		snprintf(s->any_chair, sizeof s->any_chair, "%s", r->event.chair);
	if (r->event.kind == VS_KIND_ALARM) {
		const char *id = memmem(r->event.body, r->event.body_len, "\"alarm\":\"a-", 11);
		uint64_t n = id ? strtoull(id + 11, NULL, 10) : 0;
		if (n > s->last_alarm)
			s->last_alarm = n;
	}
	if (r->event.kind == VS_KIND_ENTRY && r->event.body_len > 18 && memcmp(r->event.body, "\"entry\":\"removal\",", 18) == 0) {
		s->removal_waits = true;
		s->removal_due_ms = 0;
	}
	if (r->event.kind == VS_KIND_SESSION && r->event.session)
		vs_store_note_session(s->newest_session, r->event.session);
	if (r->event.kind == VS_KIND_SESSION && r->event.session &&
	    memmem(r->event.body, r->event.body_len, "\"phase\":\"discharged\"", 20)) {
		snprintf(s->closed_chair, sizeof s->closed_chair, "%s", r->event.chair);
		snprintf(s->closed_session, sizeof s->closed_session, "%s", r->event.session);
	}
}

/* ---- One group: from the ring into one transaction ---- */

static int add_epoch(struct vs_store *s)
{
	if (s->epoch_recorded || !s->epoch)
		return SQLITE_OK;
	int rc = vs_scribe_epoch(s->scribe, s->epoch, s->started_ms, s->site, s->config_hash, s->version,
				 s->has_key ? s->key.public_key : NULL);
	if (rc == SQLITE_OK && s->notice[0])
		rc = vs_scribe_finding(s->scribe, vs_wall_ms(), s->notice);
	return rc;
}

static int add_gap(struct vs_store *s, int64_t now)
{
	uint64_t given_up = vs_custody_given_up(s->ring);
	uint64_t told = vs_scribe_head(s->scribe)->given_up;
	if (s->ring_damaged) {
		s->ring_damaged = false;
		return vs_scribe_gap(s->scribe, s->epoch, s->last_commit_ms, now, told, "the ring in custody was damaged");
	}
	uint64_t lost = vs_custody_lost(s->ring);
	if (lost != s->lost_told && vs_custody_backlog(s->ring, VS_READER_LOG) <= vs_custody_size(s->ring) / 4) {
		char words[160];
		snprintf(words, sizeof words, "the log could not be written, and custody was full: %llu events other than "
			 "readings were neither published nor recorded", (unsigned long long)(lost - s->lost_told));
		s->lost_told = lost;
		return vs_scribe_gap(s->scribe, s->epoch, s->last_commit_ms, now, given_up > told ? given_up : told, words);
	}
	if (given_up == told)
		return SQLITE_OK;
	if (given_up < told) /* another ring */
		return vs_scribe_gap(s->scribe, s->epoch, now, now, given_up, "a new custody ring was begun");
	/* While the ring is still crowded the gap is not over. */
	if (vs_custody_backlog(s->ring, VS_READER_LOG) > vs_custody_size(s->ring) / 4)
		return SQLITE_OK;
	return vs_scribe_gap(s->scribe, s->epoch, s->last_commit_ms, now, given_up,
			     "the log could not be written, and custody was full");
}

static bool seal_is_due(const struct vs_store *s, int64_t now, bool *ret_sign)
{
	const struct vs_scribe_head *h = vs_scribe_head(s->scribe);
	bool new_day = now / 86400000 > s->signed_day && h->unsealed > 0;
	*ret_sign = s->closed_session[0] || new_day;
	return s->closed_session[0] || new_day || h->unsealed >= VS_SEAL_EVERY_ROWS ||
	       (h->unsealed > 0 && now - h->at_ms >= VS_SEAL_EVERY_MS) || now < h->at_ms - VS_SEAL_EVERY_MS;
}

/* Hands a seal that has been committed to the loop, to be published. */
static void announce(struct vs_store *s)
{
	const struct vs_scribe_head *h = vs_scribe_head(s->scribe);
	struct vs_store_seal *seal;
	char hash[VS_HASH_HEX], signature[2 * VS_KEY_SIGNATURE + 1] = "", public_key[2 * VS_KEY_PUBLIC + 1] = "";
	vs_hex(h->hash, VS_HASH, hash);
	if (h->is_signed) {
		vs_hex(h->signature, VS_KEY_SIGNATURE, signature);
		vs_hex(s->key.public_key, VS_KEY_PUBLIC, public_key);
	}
	pthread_mutex_lock(&s->lock);
	if (s->n_seals == VS_STORE_SEALS_MAX) { /* nobody takes them: the oldest goes, the chain holds it anyway */
		s->first_seal = (s->first_seal + 1) % VS_STORE_SEALS_MAX;
		s->n_seals--;
	}
	seal = &s->seals[(s->first_seal + s->n_seals++) % VS_STORE_SEALS_MAX];
	snprintf(seal->chair, sizeof seal->chair, "%s", s->closed_session[0] ? s->closed_chair : s->any_chair);
	snprintf(seal->session, sizeof seal->session, "%s", s->closed_session);
	struct vs_json j = vs_json_into(seal->body, sizeof seal->body);
	vs_json_key(&j, "seal"), vs_json_int(&j, h->seal);
	vs_json_key(&j, "rows"), vs_json_int(&j, h->rows);
	vs_json_key(&j, "head"), vs_json_string(&j, hash);
	vs_json_key(&j, "signature"), vs_json_string(&j, h->is_signed ? signature : NULL);
	vs_json_key(&j, "public_key"), vs_json_string(&j, h->is_signed ? public_key : NULL);
	if (s->closed_session[0])
		vs_json_key(&j, "closed"), vs_json_string(&j, s->closed_session);
	pthread_mutex_unlock(&s->lock);
}

/* A head that was signed just now. */
void vs_store_publish_head(struct vs_store *s, int64_t now)
{
	announce(s);
	s->signed_day = now / 86400000;
	tell(s);
}

/* Seals if it is time to.  *ret_announce: the seal is to be published once it is committed. */
static int seal(struct vs_store *s, int64_t now, bool *ret_announce)
{
	bool sign = false;
	*ret_announce = false;
	if (!seal_is_due(s, now, &sign))
		return SQLITE_OK;
	int rc = vs_scribe_seal(s->scribe, now, vs_store_key(s), sign);
	*ret_announce = rc == SQLITE_OK && sign && (s->closed_session[0] || s->any_chair[0]);
	return rc;
}

/* Everything but the records: at the end of each transaction. */
static int finish_group(struct vs_store *s)
{
	int64_t now = vs_wall_ms();
	bool publish = false;
	int rc = add_epoch(s);
	if (rc == SQLITE_OK)
		rc = vs_store_add_limits(s, now);
	if (rc == SQLITE_OK && s->carry)
		rc = vs_store_carry_on(s);
	if (rc == SQLITE_OK)
		rc = add_gap(s, now);
	if (rc == SQLITE_OK)
		rc = seal(s, now, &publish);
	if (rc == SQLITE_OK)
		rc = vs_scribe_commit(s->scribe);
	if (rc != SQLITE_OK)
		return rc;
	s->epoch_recorded = s->epoch != 0;
	s->limits_told = true;
	s->carry = false;
	s->last_commit_ms = now;
	if (publish)
		vs_store_publish_head(s, now);
	s->closed_session[0] = '\0';
	return SQLITE_OK;
}

/* Takes records until the ring is empty or the group is large.  *ret: how many. */
static int take_records(struct vs_store *s, unsigned *ret)
{
	struct vs_custody_record r;
	int rc = SQLITE_OK;
	for (*ret = 0; rc == SQLITE_OK && *ret < GROUP_MAX; ++*ret) {
		int got = vs_custody_next(s->reader, &r);
		if (got == 0)
			break;
		if (got < 0) {
			s->ring_damaged = true;
			vs_say(VS_SAY_ERROR, "custody: %s; what could not be read is noted as a gap", strerror(-got));
			break;
		}
		if (*ret == 0)
			rc = vs_scribe_begin(s->scribe);
		if (rc == SQLITE_OK) {
			learn(s, &r);
			rc = vs_scribe_add(s->scribe, &r);
		}
	}
	return rc;
}

/* The file is still where it was: somebody may have moved or deleted it. */
static bool in_place(struct vs_store *s)
{
	struct stat st;
	uint64_t now = vs_boottime_ms();
	if (now - s->looked_ms < LOOK_MS)
		return true;
	s->looked_ms = now;
	return stat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino;
}

static bool something_due(struct vs_store *s)
{
	bool sign;
	return vs_store_limits_due(s) || (s->epoch && !s->epoch_recorded) || s->ring_damaged || seal_is_due(s, vs_wall_ms(), &sign) ||
	       vs_custody_given_up(s->ring) != vs_scribe_head(s->scribe)->given_up || vs_custody_lost(s->ring) != s->lost_told;
}

static int write_group(struct vs_store *s, unsigned *ret)
{
	s->closed_session[0] = '\0';
	int rc = take_records(s, ret);
	if (rc == SQLITE_OK && *ret == 0) {
		if (!something_due(s))
			return SQLITE_OK;
		rc = vs_scribe_begin(s->scribe);
	}
	return rc == SQLITE_OK ? finish_group(s) : rc;
}

/* ---- Health ---- */

static void fine(struct vs_store *s)
{
	s->retry_ms = 0;
	s->failing_since_ms = 0;
	pthread_mutex_lock(&s->lock);
	bool was_failing = s->health.failing;
	s->health.failing = false;
	s->health.recorded = s->added + vs_scribe_added(s->scribe);
	s->health.last_wall_ms = s->last_commit_ms;
	if (was_failing || !s->health.text[0])
		snprintf(s->health.text, sizeof s->health.text, "%.255s", s->notice);
	pthread_mutex_unlock(&s->lock);
	if (was_failing) {
		vs_say(VS_SAY_NOTICE, "%s: the log can be written again; what waited in custody has been recorded", s->path);
		tell(s);
	}
}

static const char *advice(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return "free space on the disk";
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return "another program holds it locked: end that program";
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return "see that the folder exists and vitalsd may write there";
	default:
		return "check the disk";
	}
}

static void failed(struct vs_store *s, int rc, const char *why)
{
	bool locked = (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED;
	unsigned longest = locked ? RETRY_LOCKED_MS : RETRY_MAX_MS;
	s->retry_ms = s->retry_ms ? s->retry_ms * 2 : RETRY_MIN_MS;
	if (s->retry_ms > longest)
		s->retry_ms = longest;
	if (!s->failing_since_ms)
		s->failing_since_ms = vs_boottime_ms();
	pthread_mutex_lock(&s->lock);
	/* A lock that is gone within a second is nobody's concern. */
	bool say = !s->health.failing && (!locked || vs_boottime_ms() - s->failing_since_ms >= 1000);
	s->health.failures++;
	if (say) {
		s->health.failing = true;
		snprintf(s->health.text, sizeof s->health.text, "the log %.90s cannot be written: %.60s; %s", s->path, why,
			 advice(rc));
	}
	pthread_mutex_unlock(&s->lock);
	if (say) {
		vs_say(VS_SAY_ERROR, "%s. Alarms go on; what happens is kept in custody meanwhile", s->health.text);
		tell(s);
	}
}

/* One attempt to record what waits.  True: it was recorded (*ret_n records). */
static bool attempt(struct vs_store *s, unsigned *ret_n)
{
	char why[160] = "";
	int rc = SQLITE_OK;
	*ret_n = 0;
	if (s->scribe && !in_place(s))
		vs_store_lose(s);
	if (!s->scribe)
		rc = vs_store_open_log(s, false, why);
	if (rc == SQLITE_OK) {
		rc = write_group(s, ret_n);
		if (rc != SQLITE_OK)
			snprintf(why, sizeof why, "%s", rc == SQLITE_FULL ? "the disk is full" : sqlite3_errstr(rc));
	}
	if (rc == SQLITE_OK) {
		vs_custody_done(s->reader);
		fine(s);
		return true;
	}
	/* Whatever this transaction has done is read from the file again: a failed COMMIT may have been one. */
	vs_custody_rewind(s->reader);
	vs_store_close_log(s);
	if ((rc & 0xff) == SQLITE_CORRUPT || ((rc & 0xff) == SQLITE_NOTADB && vs_store_was_ours(s))) {
		vs_store_set_aside(s);
	}
	failed(s, rc, why);
	return false;
}

/* ---- The writer thread ---- */

static bool told_to_stop(struct vs_store *s)
{
	pthread_mutex_lock(&s->lock);
	bool stop = s->stop;
	pthread_mutex_unlock(&s->lock);
	return stop;
}

static void *write_on(void *arg)
{
	struct vs_store *s = arg;
	pthread_setname_np(pthread_self(), "vitalsd-log");
	while (!told_to_stop(s)) {
		unsigned n;
		if (!attempt(s, &n)) {
			for (unsigned waited = 0; waited < s->retry_ms && !told_to_stop(s); waited += RETRY_MIN_MS)
				usleep(RETRY_MIN_MS * 1000);
			continue;
		}
		vs_store_rotate(s);
		vs_store_remove_files(s);
		if (n < GROUP_MAX)
			vs_custody_wait(s->reader, true, GROUP_MS);
	}
	return NULL;
}

int vs_store_start(struct vs_store *s)
{
	int r = pthread_create(&s->thread, NULL, write_on, s);
	s->running = r == 0;
	return -r;
}

/* ---- Open and close ---- */

static int refuse(struct vs_store *s, int rc, const char *why)
{
	switch (rc & 0xff) {
	case SQLITE_MISMATCH:
	case SQLITE_NOTADB:
		vs_say(VS_SAY_ERROR, "%s: this is not a log of vitalsd; give another path as log: path: in the configuration",
		       s->path);
		return -EINVAL;
	case SQLITE_SCHEMA:
		vs_say(VS_SAY_ERROR, "%s: a newer vitalsd wrote this log; install that version, or give another path", s->path);
		return -EPROTO;
	case SQLITE_NOMEM:
		return -ENOMEM;
	default:
		vs_say(VS_SAY_ERROR, "%s: there can be no log here: %s", s->path, why);
		return -EACCES;
	}
}

/* The file, or a new one where it turned out to be damaged.  Full, locked and failing disks are left to the thread. */
static int open_first(struct vs_store *s, uint64_t *ret_epoch)
{
	char why[160] = "";
	struct stat st;
	if (stat(s->path, &st) == 0 && !S_ISREG(st.st_mode)) {
		vs_say(VS_SAY_ERROR, "%s: this is no file, so it can be no log", s->path);
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	}
	bool had_one = stat(s->path, &st) == 0 && st.st_size > 0;
	int past, rc;
	/* What a start forgets is forgotten for good: it waits a moment for a disk that comes to itself. */
	for (uint64_t until = vs_boottime_ms() + START_MS;; usleep(RETRY_MIN_MS * 1000)) {
		past = had_one ? read_past(s, ret_epoch) : SQLITE_OK;
		rc = vs_store_open_log(s, true, why);
		bool odd = had_one && (rc & 0xff) == SQLITE_CANTOPEN && access(s->path, R_OK | W_OK) == 0;
		if ((!vs_store_is_passing(past) && (rc & 0xff) != SQLITE_IOERR && !odd) || vs_boottime_ms() >= until)
			break;
		vs_store_close_log(s);
	}
	if ((rc & 0xff) == SQLITE_CORRUPT || ((rc & 0xff) == SQLITE_NOTADB && vs_store_was_ours(s))) {
		vs_store_set_aside(s);
		rc = vs_store_open_log(s, false, why);
	}
	if (vs_store_is_passing(past))
		vs_say(VS_SAY_ERROR, "%s: what the last run left cannot be read: sessions, alarms and acknowledgements begin anew. See to "
		       "the disk, and look at each chair", s->path);
	if (rc == SQLITE_OK)
		return 0;
	if (!vs_store_is_passing(rc) || (*ret_epoch == 0 && vs_custody_epoch(s->ring) == 0))
		return refuse(s, rc, why);
	failed(s, rc, why);
	return 0;
}

/* Records what a predecessor left in the ring, under its own epoch. */
static void drain(struct vs_store *s)
{
	struct vs_custody_record r;
	unsigned n = 1;
	while (n > 0 && attempt(s, &n))
		;
	if (s->scribe)
		return;
	/* It cannot be recorded now.  Its states are needed all the same; the writer thread will read it once more. */
	while (vs_custody_next(s->reader, &r) == 1)
		learn(s, &r);
	vs_custody_rewind(s->reader);
}

static void open_key(struct vs_store *s)
{
	int r = vs_key_load(s->path, true, &s->key);
	s->has_key = r == 0;
	if (r == -EPERM)
		vs_say(VS_SAY_ERROR, "%s.key: others may read the key that signs the record; seals are not signed until it has "
				     "mode 0600", s->path);
	else if (r == -EINVAL)
		vs_say(VS_SAY_ERROR, "%s.key: this is no key (64 hexadecimal digits are): seals are not signed. Put the key back; or move this "
				     "file away, and the next start makes a new key", s->path);
	else if (r < 0)
		vs_say(VS_SAY_ERROR, "%s.key: no key to sign the record: %s; seals are not signed", s->path, strerror(-r));
}

static int copy_options(struct vs_store *s, const struct vs_store_options *o)
{
	s->path = strdup(o->path);
	s->site = strdup(o->site ? o->site : "");
	s->config_hash = strdup(o->config_hash ? o->config_hash : "");
	s->version = strdup(o->version ? o->version : "");
	s->ring = o->ring;
	s->reader = vs_custody_reader(o->ring, VS_READER_LOG);
	s->lost_told = vs_custody_lost(o->ring);
	s->changed = o->changed;
	s->arg = o->arg;
	s->removal_waits = true; /* of the run before, as far as is known */
	s->rotate_yearly = o->rotate_yearly;
	s->rotate_bytes = o->rotate_bytes;
	s->started_ms = s->last_commit_ms = vs_wall_ms();
	pthread_mutex_init(&s->lock, NULL);
	return s->path && s->site && s->config_hash && s->version ? 0 : -ENOMEM;
}

static void release(struct vs_store *s)
{
	vs_store_close_log(s);
	sqlite3_close(s->lost_db);
	for (struct vs_kept_state *st; (st = s->states);) {
		s->states = st->next;
		free(st);
	}
	vs_store_free_limits(s->limits);
	vs_store_free_limits(s->new_limits);
	free(s->path);
	free(s->site);
	free(s->config_hash);
	free(s->version);
	pthread_mutex_destroy(&s->lock);
	sodium_memzero(&s->key, sizeof s->key);
	free(s);
}

int vs_store_open(const struct vs_store_options *o, struct vs_store **ret)
{
	uint64_t epoch = 0;
	struct vs_store *s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	int r = copy_options(s, o);
	/* A key that is made now would be taken for a sign that the file is ours: only one that is there is read yet. */
	s->has_key = r == 0 && vs_key_load(s->path, false, &s->key) == 0;
	if (r == 0)
		r = open_first(s, &epoch);
	if (r < 0) {
		release(s);
		return r;
	}
	open_key(s);
	drain(s);
	if (vs_custody_epoch(s->ring) > epoch)
		epoch = vs_custody_epoch(s->ring);
	s->epoch = epoch + 1;
	vs_custody_set_epoch(s->ring, s->epoch);
	unsigned n;
	attempt(s, &n); /* the row of this epoch */
	vs_store_remove_files(s); /* what the run before began */
	*ret = s;
	return 0;
}

/* The end of the record of this run: everything in the ring, the epoch's end, a signed seal. */
static bool finish(struct vs_store *s)
{
	unsigned n = 1;
	while (n > 0)
		if (!attempt(s, &n))
			return false;
	int64_t now = vs_wall_ms();
	int rc = vs_scribe_begin(s->scribe);
	if (rc == SQLITE_OK)
		rc = vs_scribe_epoch_end(s->scribe, s->epoch, now);
	if (rc == SQLITE_OK)
		rc = vs_scribe_seal(s->scribe, now, vs_store_key(s), true);
	if (rc == SQLITE_OK)
		rc = vs_scribe_commit(s->scribe);
	return rc == SQLITE_OK;
}

void vs_store_close(struct vs_store *s)
{
	if (!s)
		return;
	if (s->running) {
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_mutex_unlock(&s->lock);
		vs_custody_wake(s->reader);
		pthread_join(s->thread, NULL);
	}
	uint64_t until = vs_boottime_ms() + CLOSE_MS;
	bool done = false;
	while (!(done = finish(s)) && vs_boottime_ms() < until) {
		vs_store_close_log(s);
		usleep(RETRY_MIN_MS * 1000);
	}
	if (!done)
		vs_say(VS_SAY_ERROR, "%s: the last events could not be recorded; they wait in custody for the next start",
		       s->path);
	release(s);
}

/* ---- Answers ---- */

uint64_t vs_store_epoch(const struct vs_store *s)
{
	return s->epoch;
}

const void *vs_store_state(const struct vs_store *s, const char *chair, size_t *ret_len)
{
	for (const struct vs_kept_state *st = s->states; st; st = st->next)
		if (strcmp(st->chair, chair) == 0) {
			*ret_len = st->len;
			return st->bytes;
		}
	return NULL;
}

uint64_t vs_store_last_alarm(const struct vs_store *s)
{
	return s->last_alarm;
}

uint64_t vs_store_last_session(const struct vs_store *s, const char *day)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	uint64_t n = 0;
	if (sqlite3_open_v2(s->path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, "SELECT max(n) FROM (SELECT CAST(substr(session, 12) AS INTEGER) AS n FROM session WHERE session BETWEEN"
				   " 's-' || ?1 || '-' AND 's-' || ?1 || '-~' UNION ALL SELECT number FROM carried WHERE what ="
				   " 'day ' || ?1)", -1, &st, NULL) == SQLITE_OK) {
		sqlite3_bind_text(st, 1, day, -1, SQLITE_STATIC);
		if (sqlite3_step(st) == SQLITE_ROW)
			n = (uint64_t)sqlite3_column_int64(st, 0);
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	/* Of a file before this one, that was damaged. */
	bool same_day = strlen(s->past_session) > 11 && strncmp(s->past_session + 2, day, 8) == 0;
	uint64_t past = same_day ? strtoull(s->past_session + 11, NULL, 10) : 0;
	return past > n ? past : n;
}

void vs_store_health(const struct vs_store *s, struct vs_store_health *ret)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&s->lock;
	pthread_mutex_lock(lock);
	*ret = s->health;
	pthread_mutex_unlock(lock);
}

bool vs_store_take_seal(struct vs_store *s, struct vs_store_seal *ret)
{
	pthread_mutex_lock(&s->lock);
	bool is = s->n_seals > 0;
	if (is) {
		*ret = s->seals[s->first_seal];
		s->first_seal = (s->first_seal + 1) % VS_STORE_SEALS_MAX;
		s->n_seals--;
	}
	pthread_mutex_unlock(&s->lock);
	return is;
}
