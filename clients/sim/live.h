/* Simulated monitors in real time: Modbus TCP servers, Modbus RTU and oximeter lines on pseudo terminals.
 *
 * One loop of poll(2), one thread; nothing waits for a peer. */
#pragma once
#include "clients/sim/options.h"

/* Runs until SIGTERM, SIGINT or the end of --for.  0, or -errno after a message on stderr. */
int vs_sim_live(const struct vs_sim_options *o);
/* Plays a recording (--play) through a pseudo terminal.  As above. */
int vs_sim_play(const struct vs_sim_options *o);
