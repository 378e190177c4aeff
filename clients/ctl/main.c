#include "clients/ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments, *summary;
	bool plain; /* has no help of its own */
} commands[] = {
#define COMMAND(name, arguments, summary) { #name, vs_ctl_##name, arguments, summary, false },
#define PLAIN(name, arguments, summary) { #name, vs_ctl_##name, arguments, summary, true },
#include "clients/ctl/commands.def"
#undef COMMAND
#undef PLAIN
	{ NULL, NULL, NULL, NULL, false },
};

static void complain(const char *format, va_list args)
{
	fputs("vitalsctl: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

int vs_ctl_fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	complain(format, args);
	va_end(args);
	return VS_EXIT_FAILED;
}

int vs_ctl_usage(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	complain(format, args);
	va_end(args);
	fputs("Try 'vitalsctl --help'.\n", stderr);
	return VS_EXIT_USAGE;
}

static int help(void)
{
	puts("vitalsctl - the bedside monitor daemon vitalsd, from a shell\n\n"
	     "Not a certified medical device: it never replaces watching the patient.\n\n"
	     "usage: vitalsctl COMMAND [ARGUMENTS]\n");
	for (size_t i = 0; commands[i].name; i++)
		printf("  %s %s\n      %s\n", commands[i].name, commands[i].arguments, commands[i].summary);
	puts("\n  --help, --version\n\n"
	     "Exit status: 0 done, 1 it could not be done, 2 wrong usage, 78 configuration invalid.");
	return VS_EXIT_DONE;
}

/* What was asked for has been given only when all of it went out: a full disk behind a `>` is no success. */
static int arrived(int status)
{
	bool bad = ferror(stdout) || fflush(stdout) != 0;
	return bad && status == VS_EXIT_DONE ? vs_ctl_fail("standard output: it could not be written: %s", strerror(errno)) : status;
}

/* --help may stand behind any command, and tells of the whole command. */
static int run(size_t i, int argc, char **argv)
{
	char *help_of[] = { argv[0], (char *)"--help", NULL };
	if (argc < 2 || strcmp(argv[argc - 1], "--help") != 0)
		return commands[i].run(argc, argv);
	if (!commands[i].plain)
		return commands[i].run(2, help_of);
	printf("usage: vitalsctl %s %s\n\n%s\n", commands[i].name, commands[i].arguments, commands[i].summary);
	return VS_EXIT_DONE;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return vs_ctl_usage("a command is needed");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help();
	if (strcmp(argv[1], "--version") == 0) {
		puts("vitalsctl " VS_VERSION);
		return VS_EXIT_DONE;
	}
	for (size_t i = 0; commands[i].name; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return arrived(run(i, argc - 1, argv + 1));
	return vs_ctl_usage("there is no command '%s'", argv[1]);
}
