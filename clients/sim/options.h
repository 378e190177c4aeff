/* The command line of vitals-sim. */
#pragma once
#include "clients/sim/chair.h"

#define VS_SIM_ID_CAP 33

enum vs_fault {
	VS_FAULT_NONE,
	VS_FAULT_SILENT,     /* takes requests, never answers */
	VS_FAULT_HALF_OPEN,  /* connections stand, nothing is read */
	VS_FAULT_RESET,      /* a request is answered by RST (TCP) */
	VS_FAULT_DRIP,       /* one byte of the answer every 400 ms */
	VS_FAULT_WRONG_UNIT, /* answers in another unit's name */
	VS_FAULT_BUSY,       /* exception 6 */
	VS_FAULT_GARBAGE,    /* bytes without meaning */
	VS_FAULT_COUNT
};

const char *vs_fault_name(enum vs_fault f);
enum vs_fault vs_fault_by_name(const char *name); /* VS_FAULT_COUNT: no such */

struct vs_sim_place { /* one chair as asked for */
	char id[VS_SIM_ID_CAP];
	struct vs_chair_setup setup;
	const char *tcp, *nonin, *rtu, *mib, *lan; /* HOST:PORT, paths; NULL: not wanted */
	unsigned number;               /* of several that share the words above: counts from 1; 0: alone */
	unsigned char unit;
	bool skips;   /* start_s counts */
	long start_s; /* so far into the infusion */
	enum vs_fault fault;
	double fault_at_s, fault_for_s; /* wall seconds since the start; for: 0 is for ever */
};

struct vs_sim_options {
	struct vs_sim_place *places;
	unsigned n_places;
	double speed, for_s; /* for_s 0: no end */
	bool json, commands, emit;
	const char *truth, *play, *link;
};

/* Returns 0, VS_SIM_EXIT_USAGE (2, said so on stderr), or -1: --help or --version was answered. */
int vs_sim_options_parse(int argc, char **argv, struct vs_sim_options *ret);
void vs_sim_options_free(struct vs_sim_options *o);
