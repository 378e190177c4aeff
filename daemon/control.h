/* The control socket: what people ask of the daemon through vitalsctl.
 *
 * A Unix stream socket; each request is one line of JSON, each answer one line of JSON, in order.  Who asks is known
 * from the kernel (SO_PEERCRED), never from what he says.  A client that sends half a request, or does not read its
 * answers, costs a bounded buffer and is dropped after VS_CONTROL_IDLE_MS; nobody waits for him. */
#pragma once
#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

#define VS_CONTROL_REQUEST_MAX (64 * 1024)
#define VS_CONTROL_CLIENTS_MAX 64
#define VS_CONTROL_IDLE_MS 10000

struct vs_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
};

/* One request.  Returns the answer as one line without its newline, from malloc(); the control socket frees it.
 * NULL: no memory; the client is dropped. */
typedef char *vs_control_fn(void *ctx, const struct vs_peer *peer, const char *line, size_t len);

struct vs_control;

/* Binds path (an old socket that nobody listens on is replaced), mode 0660.  Logs its own failures. */
int vs_control_open(uv_loop_t *loop, const char *path, vs_control_fn *fn, void *ctx, struct vs_control **ret);
/* Closes all clients and removes the socket; the memory is freed by the loop. */
void vs_control_close(struct vs_control *c);
