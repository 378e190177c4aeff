/* A simulated session as text: the CSV that `vitalsctl replay --csv` reads, and the noise-free course beside it. */
#pragma once
#include <stdio.h>

#include "clients/sim/chair.h"

/* Plays `seconds` of the chair.  truth may be NULL.  0, or -EIO: a file could not be written. */
int vs_sim_emit(struct vs_sim_chair *c, long seconds, FILE *csv, FILE *truth);
