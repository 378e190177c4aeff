/* A pseudo terminal that stands for a serial line: we hold the device's end, a link in the file system leads to the
 * other end.  Raw from the start, so that a reader that sets nothing still gets bytes as they are. */
#pragma once
#include <stddef.h>
#include <sys/types.h>

struct vs_pty {
	int fd;    /* the device's end, non-blocking */
	int other; /* kept open: the settings live as long as somebody has that end open */
	char *link;
};

/* Opens one and links PATH to it (folders are made; an old link is replaced, anything else is not).
 * 0 or -errno: -EEXIST, PATH is no link. */
int vs_pty_open(struct vs_pty *p, const char *path);
/* Zeroed or closed: nothing happens. */
void vs_pty_close(struct vs_pty *p);
/* Bytes that wait for a reader. */
size_t vs_pty_unread(const struct vs_pty *p);
/* Throw them away, as a line without a listener does. */
void vs_pty_forget(const struct vs_pty *p);
/* Makes the folders that PATH needs.  0 or -errno. */
int vs_make_folders(const char *path);
