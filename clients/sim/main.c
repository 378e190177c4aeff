#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "clients/sim/emit.h"
#include "clients/sim/live.h"

#define RECOVERY_S (30 * 60)

static int emit(const struct vs_sim_options *o)
{
	const struct vs_sim_place *p = &o->places[0];
	const struct vs_patient_setup *patient = &p->setup.patient;
	struct vs_sim_chair chair;
	FILE *truth = o->truth ? fopen(o->truth, "w") : NULL;
	if (o->truth && !truth) {
		fprintf(stderr, "vitals-sim: %s: %s\n", o->truth, strerror(errno));
		return -errno;
	}
	double infusion_s = 60 * vs_dosing_minutes(patient->dosing, patient->weight_kg);
	long all_s = o->for_s > 0 ? lround(o->for_s) : p->setup.lead_s + lround(infusion_s) + RECOVERY_S;
	vs_sim_chair_init(&chair, &p->setup);
	int r = vs_sim_emit(&chair, all_s, stdout, truth);
	if (truth && fclose(truth) != 0)
		r = -EIO;
	if (r < 0)
		fprintf(stderr, "vitals-sim: the session could not be written: disk full, or the reader is gone\n");
	return r;
}

int main(int argc, char **argv)
{
	struct vs_sim_options o;
	int r = vs_sim_options_parse(argc, argv, &o);
	if (r == 0 && o.emit)
		r = emit(&o);
	else if (r == 0 && o.play)
		r = vs_sim_play(&o);
	else if (r == 0)
		r = vs_sim_live(&o);
	else {
		vs_sim_options_free(&o);
		return r < 0 ? 0 : r;
	}
	vs_sim_options_free(&o);
	return r < 0 ? 1 : 0;
}
