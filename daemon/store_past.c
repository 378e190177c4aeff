/* What the next run, or a new file, goes on with: states and numbers. */
#include "daemon/store_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/clock.h"

/* Beside the states of the chairs stands one of no chair: the numbers that are not to be given again. */
#define NUMBERS ""
#define NUMBERS_TEXT "alarm %llu session %.60s"

void vs_store_keep_state(struct vs_store *s, const char *chair, const void *bytes, size_t len, bool newer)
{
	struct vs_kept_state **at = &s->states;
	while (*at && strcmp((*at)->chair, chair) != 0)
		at = &(*at)->next;
	if (*at && (*at)->newer && !newer)
		return;
	struct vs_kept_state *fresh = malloc(sizeof *fresh + len);
	if (!fresh)
		return;
	*fresh = (struct vs_kept_state){ .next = *at ? (*at)->next : NULL, .newer = newer, .len = len };
	snprintf(fresh->chair, sizeof fresh->chair, "%s", chair);
	if (len)
		memcpy(fresh->bytes, bytes, len);
	free(*at);
	*at = fresh;
}

int64_t vs_store_ask(sqlite3 *db, const char *sql)
{
	int64_t v = 0;
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return v;
}

void vs_store_read_states(struct vs_store *s, sqlite3 *db)
{
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(db, "SELECT chair, state FROM chair_state", -1, &st, NULL) == SQLITE_OK)
		while (sqlite3_step(st) == SQLITE_ROW)
			vs_store_keep_state(s, (const char *)sqlite3_column_text(st, 0), sqlite3_column_blob(st, 1),
				   (size_t)sqlite3_column_bytes(st, 1), false);
	sqlite3_finalize(st);
}

void vs_store_remember_state(void *arg, const char *chair, const void *bytes, size_t len)
{
	vs_store_keep_state(arg, chair, bytes, len, true);
}

/* "s-20261121-3" is later than "s-20261121-2", and the next day's "s-20261122-1" than both. */
static bool is_later(const char *session, const char *than)
{
	if (strlen(session) < 12 || strlen(than) < 12)
		return strlen(session) >= 12;
	int day = strncmp(session, than, 11);
	return day ? day > 0 : strtoull(session + 11, NULL, 10) > strtoull(than + 11, NULL, 10);
}

void vs_store_note_session(char newest[64], const char *session)
{
	if (is_later(session, newest))
		snprintf(newest, 64, "%s", session);
}

void vs_store_read_numbers(struct vs_store *s, sqlite3 *db)
{
	char text[96], session[64] = "";
	unsigned long long alarm = 0;
	for (const struct vs_kept_state *st = s->states; st; st = st->next)
		if (strcmp(st->chair, NUMBERS) == 0) {
			snprintf(text, sizeof text, "%.*s", (int)st->len, (const char *)st->bytes);
			sscanf(text, "alarm %llu session %63s", &alarm, session);
		}
	if (alarm > s->last_alarm)
		s->last_alarm = alarm;
	vs_store_note_session(s->past_session, session);
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(db, "SELECT session FROM session ORDER BY substr(session, 3, 8) DESC, CAST(substr(session, 12) AS INTEGER)"
				   " DESC LIMIT 1", -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		vs_store_note_session(s->past_session, (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
}

int vs_store_carry_on(struct vs_store *s)
{
	char numbers[128];
	char newest[64] = "";
	int64_t now = vs_wall_ms();
	vs_store_note_session(newest, s->past_session);
	vs_store_note_session(newest, s->newest_session);
	int len = snprintf(numbers, sizeof numbers, NUMBERS_TEXT, (unsigned long long)s->last_alarm, newest);
	int rc = vs_scribe_carry(s->scribe, NUMBERS, numbers, (size_t)len, now);
	for (const struct vs_kept_state *st = s->states; rc == SQLITE_OK && st; st = st->next)
		rc = vs_scribe_carry(s->scribe, st->chair, st->bytes, st->len, now);
	return rc;
}
