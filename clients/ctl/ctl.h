/* vitalsctl: what its commands share.
 *
 * A command is one file clients/ctl/NAME.c with a function `int vs_ctl_NAME(int argc, char **argv)` (argv[0] is the
 * command's own name) and one row of the table in main.c.  It returns the exit status: */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum vs_exit { VS_EXIT_DONE = 0, VS_EXIT_FAILED = 1, VS_EXIT_USAGE = 2, VS_EXIT_CONFIG = 78 };

/* "vitalsctl: ..." on stderr; returns VS_EXIT_FAILED, so that `return vs_ctl_fail(...)` reads well. */
int vs_ctl_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "vitalsctl: ..." and a pointer to --help on stderr; returns VS_EXIT_USAGE. */
int vs_ctl_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define COMMAND(name, arguments, summary) int vs_ctl_##name(int argc, char **argv);
#define PLAIN(name, arguments, summary) COMMAND(name, arguments, summary)
#include "clients/ctl/commands.def"
#undef COMMAND
#undef PLAIN
