#include "daemon/socket_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int folder_there(const char *path)
{
	char folder[sizeof((struct sockaddr_un *)0)->sun_path];
	struct stat st;
	const char *slash = strrchr(path, '/');
	if (!slash || slash == path)
		return 0;
	snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
	return stat(folder, &st) < 0 ? -errno : 0;
}

/* 0: a socket file, and nobody answers there. */
static int left_behind(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
	int r = connect(fd, (const struct sockaddr *)&sa, sizeof sa) == 0 ? -EADDRINUSE : -errno;
	close(fd);
	return r == -ECONNREFUSED ? 0 : r == -EAGAIN ? -EADDRINUSE : r; /* EAGAIN: too many are waiting to be heard there */
}

int vs_socket_file_free(const char *path)
{
	struct stat st;
	if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
		return -ENAMETOOLONG;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? folder_there(path) : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	int r = left_behind(path);
	if (r == 0 && unlink(path) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

const char *vs_socket_file_words(int r)
{
	switch (r) {
	case -EADDRINUSE:
		return "address already in use; another vitalsd listens there";
	case -ENOTSOCK:
		return "something that is no socket stands there; move it away, or give another path";
	case -ENOENT:
		return "there is no such folder; make it, or give another path";
	case -ENAMETOOLONG:
		return "the path is too long (at most 107 bytes)";
	default:
		return strerror(-r);
	}
}
