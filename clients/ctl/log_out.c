/* What is written for others: whole under its name, or not at all. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/ctl/log.h"

/* Whether all that was written has arrived. */
static int finish(FILE *to, const char *name, int r)
{
	bool bad = ferror(to) || fflush(to) != 0 || (to != stdout && fsync(fileno(to)) != 0);
	int why = errno;
	if (to != stdout && fclose(to) != 0 && !bad) {
		bad = true;
		why = errno;
	}
	return bad ? vs_ctl_fail("%s: it could not be written: %s", name, strerror(why)) : r;
}

int vs_log_write_out(const char *name, bool replace, int (*write)(void *ctx, FILE *to), void *ctx)
{
	char part[4096];
	if (!name)
		return finish(stdout, "standard output", write(ctx, stdout));
	if (!replace && access(name, F_OK) == 0)
		return vs_ctl_fail("%s: it exists already; nothing is ever replaced", name);
	if ((size_t)snprintf(part, sizeof part, "%s.part", name) >= sizeof part)
		return vs_ctl_fail("%s: the name is too long", name);
	unlink(part);
	FILE *to = fopen(part, "wxe");
	if (!to)
		return vs_ctl_fail("%s: %m", part);
	int r = finish(to, part, write(ctx, to));
	if (r == VS_EXIT_DONE && rename(part, name) < 0)
		r = vs_ctl_fail("%s: %m", name);
	if (r != VS_EXIT_DONE)
		unlink(part);
	return r;
}
