#include "clients/sim/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

int vs_make_folders(const char *path)
{
	char part[PATH_MAX];
	if (strlen(path) >= sizeof part)
		return -ENAMETOOLONG;
	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		memcpy(part, path, (size_t)(slash - path));
		part[slash - path] = '\0';
		if (mkdir(part, 0777) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static int link_to(const char *path, const char *target)
{
	struct stat st;
	int r = vs_make_folders(path);
	if (r < 0)
		return r;
	if (lstat(path, &st) == 0) {
		if (!S_ISLNK(st.st_mode))
			return -EEXIST;
		unlink(path);
	}
	return symlink(target, path) < 0 ? -errno : 0;
}

int vs_pty_open(struct vs_pty *p, const char *path)
{
	char name[64];
	struct termios raw;
	*p = (struct vs_pty){ .fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), .other = -1 };
	int r = -errno;
	if (p->fd < 0)
		goto fail;
	if (grantpt(p->fd) < 0 || unlockpt(p->fd) < 0 || ptsname_r(p->fd, name, sizeof name) != 0 ||
	    (p->other = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0 || tcgetattr(p->other, &raw) < 0) {
		r = -errno;
		goto fail;
	}
	cfmakeraw(&raw);
	if (tcsetattr(p->other, TCSANOW, &raw) < 0) {
		r = -errno;
		goto fail;
	}
	r = link_to(path, name);
	if (r < 0)
		goto fail;
	p->link = strdup(path);
	return p->link ? 0 : -ENOMEM;
fail:
	vs_pty_close(p);
	return r;
}

void vs_pty_close(struct vs_pty *p)
{
	if (p->link)
		unlink(p->link);
	free(p->link);
	if (p->fd > 0)
		close(p->fd);
	if (p->other > 0)
		close(p->other);
	*p = (struct vs_pty){ .fd = -1, .other = -1 };
}

size_t vs_pty_unread(const struct vs_pty *p)
{
	int n = 0;
	return ioctl(p->other, FIONREAD, &n) < 0 || n < 0 ? 0 : (size_t)n;
}

void vs_pty_forget(const struct vs_pty *p)
{
	tcflush(p->other, TCIFLUSH);
}
