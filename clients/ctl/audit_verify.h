/* Whether the log is as it was written: every row under its seal, every seal behind the one before, the schema as the
 * migrations make it, signatures, and seals that were kept elsewhere. */
#pragma once
#include "clients/ctl/log.h"

struct vs_verdict {
	json_t *findings; /* array of {"place":...,"what":...} */
	json_t *notes;    /* the same, of what is no finding: a killed daemon, rows that wait for their seal */
	int64_t files, seals, rows, unsealed, signatures, witnesses;
};

struct vs_verify_options {
	const char *key;     /* the public key that is trusted, hexadecimal or a file that holds it; NULL: those in the log */
	const char *witness; /* a file with messages of kind `seal`, one a line (with or without their topic); NULL: none */
	const char *session; /* only the rows under the seals that cover this session, and the chain of the seals of its file;
			      * NULL: everything, page by page too */
	unsigned jobs;       /* files looked at at the same time; 0: as many as there are processor cores */
};
/* 0: all was looked at, the verdict's arrays are the caller's; VS_EXIT_FAILED: it could not be, said why. */
int vs_verify(struct vs_log *l, const struct vs_verify_options *o, struct vs_verdict *ret);
