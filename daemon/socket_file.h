/* The place of a Unix socket in the file system, before it is bound: the control socket, and nanomsg's ipc:// endpoints.
 * nanomsg itself removes whatever does not answer there, also a file of somebody else, and aborts where it cannot. */
#pragma once

/* Removes the socket that a dead predecessor left; never anything else.
 * 0: the place is free; -EADDRINUSE: somebody listens there; -ENOTSOCK: something that is no socket stands there;
 * -ENOENT: there is no such folder; else why what was left cannot be removed. */
int vs_socket_file_free(const char *path);

/* What is wrong and what to do, for a person; r as above. */
const char *vs_socket_file_words(int r);
