/* What the daemon says to the person who reads the journal.
 *
 * One line a matter, once, in words that help: what is wrong, where, what to do.  Lines go to stderr; under systemd
 * they carry the priority prefix of sd-daemon(3), so that the journal can filter them.  Saying something never waits: what
 * a full pipe has no room for is counted, and the count is said with the next line that finds room. */
#pragma once

/* FINDING: `FILE:LINE: ...`, as --check prints it, with nothing before it. */
enum vs_say_level { VS_SAY_FINDING, VS_SAY_ERROR = 3, VS_SAY_WARNING = 4, VS_SAY_NOTICE = 5, VS_SAY_INFO = 6 };

void vs_say(enum vs_say_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
