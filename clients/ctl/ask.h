/* Asking the daemon: one request over its control socket, one answer (docs/control.md).
 *
 * Which socket: --control PATH, else the one that --config FILE names, else $VITALSD_CONTROL, else
 * /run/vitalsd/control.sock. */
#pragma once
#include <jansson.h>

#include "clients/ctl/ctl.h"

/* The options that all commands towards the daemon share. */
struct vs_ask {
	const char *control, *config; /* --control, --config */
	const char *chair;            /* --chair */
	const char *operator_name;    /* --operator, else the login name */
	bool json;                    /* --json */
	const char *values[16];       /* of the command's own options, in the order of their names; NULL: not given */
	int n_words;                  /* what stands without an option */
	char *words[256];
	unsigned patience_ms; /* how long an answer may take; 0: 10 s */
	char named[128];      /* what `control` points at where --config named it */
	char *trouble;        /* not NULL: why there is no answer is written here, not on stderr */
	size_t trouble_cap;
};

/* Reads argv[1..].  own: names of the command's own options, "reason" takes a value, "confirm!" is a switch (its value
 * is then "yes"); ends with NULL.  Returns VS_EXIT_DONE, or VS_EXIT_USAGE or (--config) VS_EXIT_CONFIG after saying why. */
int vs_ask_options(struct vs_ask *a, int argc, char **argv, const char *const *own);

/* Writes the path of the control socket, as above; false after saying why. */
bool vs_ask_socket(const struct vs_ask *a, char *path, size_t cap);

/* Sends the request (stolen) and returns the answer, or NULL after saying why. */
json_t *vs_ask_daemon(const struct vs_ask *a, json_t *request);

/* The same, and judges it: an answer that is not ok is said on stderr with its codes.  On success *ret is the caller's
 * if ret is not NULL; with --json the answer is printed.  Returns the exit status. */
int vs_ask_and_tell(const struct vs_ask *a, json_t *request, json_t **ret);

/* Whether an option stands among the words, as `--at T` or `--at=T`: some send a command to the log instead of the daemon. */
bool vs_ask_has(int argc, char **argv, const char *option);
/* The login name of who runs this. */
const char *vs_ask_login(void);
/* Member of an object as text; "" where it is absent or no string. */
const char *vs_json_text(const json_t *object, const char *key);
