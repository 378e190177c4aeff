/* Courses: what the log knows of a patient from sessions before, when a new one is opened (clinical R17, S2).
 *
 *	log, last event of each session --> a thread of the loop's pool --> a table in memory <-- sessions of this run
 *
 * Asked on the loop, so that nothing is read there: the log, all of its files, is read once, by a thread of the pool, and what happens later
 * is added as it happens.  The start waits a moment for that thread, which suffices for a healthy disk; on a slow one the
 * chairs are watched first, and nobody is known until the log has been read. */
#pragma once
#include <uv.h>

#include "alarms/session.h"

struct vs_courses;

/* Reads, and waits for it as long as VS_COURSES_WAIT_MS; the loop does not run yet.  NULL: no memory. */
#define VS_COURSES_WAIT_MS 300
struct vs_courses *vs_courses_open(uv_loop_t *loop, const char *log_path);
/* Ends it; the memory is released when the thread is done. */
void vs_courses_close(struct vs_courses *c);

/* Adds to a command that opens a session what is known of its patient: the last weight, where the command has none, and
 * the course. */
void vs_courses_recall(const struct vs_courses *c, struct vs_session_command *open);
/* A session as it is now, after each command. */
void vs_courses_note(struct vs_courses *c, const struct vs_session *s);
