#include "clients/sim/emit.h"

#include <errno.h>
#include <string.h>

static void put_cell(FILE *f, bool has, int value)
{
	if (has)
		fprintf(f, "%d", value);
	putc(',', f);
}

/* What a nurse or the monitor did in this second, as commands of the replay, separated by semicolons. */
static void put_commands(FILE *f, const struct vs_second *s)
{
	char text[96] = "";
	size_t n = 0;
	if (s->moments & VS_MOMENT_PHASE)
		n += (size_t)snprintf(text + n, sizeof text - n, ";phase %s", vs_sim_phase_name(s->phase));
	if (s->moments & VS_MOMENT_MOAAS)
		n += (size_t)snprintf(text + n, sizeof text - n, ";entry moaas %d", s->truth.moaas);
	if (s->display.cuff == VS_CUFF_STARTS)
		n += (size_t)snprintf(text + n, sizeof text - n, ";nibp-start");
	if (s->display.cuff == VS_CUFF_FAILED)
		n += (size_t)snprintf(text + n, sizeof text - n, ";nibp-fail");
	fputs(n ? text + 1 : "", f);
	putc('\n', f);
}

/* A silent monitor leaves out the row; what a person did still happened, in a row of empty cells. */
static void put_row(FILE *f, const struct vs_second *s)
{
	const struct vs_display *d = &s->display;
	bool cuff = d->cuff == VS_CUFF_MEASURED;
	if (d->dead && !(s->moments & (VS_MOMENT_PHASE | VS_MOMENT_MOAAS)))
		return;
	fprintf(f, "%ld,", s->t_s);
	put_cell(f, d->hr.has && !d->dead, d->hr.value);
	put_cell(f, d->pr.has && !d->dead, d->pr.value);
	put_cell(f, d->spo2.has && !d->dead, d->spo2.value);
	put_cell(f, d->rr.has && !d->dead, d->rr.value);
	put_cell(f, cuff && !d->dead, s->cuff.sys.value);
	put_cell(f, cuff && !d->dead, s->cuff.dia.value);
	put_cell(f, cuff && !d->dead, s->cuff.map.value);
	put_cell(f, cuff && !d->dead, s->cuff.pr.value);
	put_commands(f, s);
}

static void put_truth(FILE *f, const struct vs_second *s)
{
	static const struct {
		enum vs_moment moment;
		const char *name;
	} names[] = {
		{ VS_MOMENT_PHASE, "phase" },
		{ VS_MOMENT_SCENARIO_BEGINS, "scenario-begins" },
		{ VS_MOMENT_SCENARIO_ENDS, "scenario-ends" },
		{ VS_MOMENT_CRISIS, "crisis" },
		{ VS_MOMENT_CRISIS_ENDS, "crisis-ends" },
	};
	const struct vs_truth *t = &s->truth;
	fprintf(f, "%ld,%s,%.2f,%.2f,%.2f,%.2f,%.2f,%.2f,%.1f,%d,", s->t_s, vs_sim_phase_name(s->phase), t->hr, t->spo2,
		t->sys, t->dia, t->map, t->rr, t->ng_ml, t->moaas);
	const char *between = "";
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!(s->moments & names[i].moment))
			continue;
		fprintf(f, "%s%s", between, names[i].name);
		between = ";";
	}
	putc('\n', f);
}

int vs_sim_emit(struct vs_sim_chair *c, long seconds, FILE *csv, FILE *truth)
{
	fputs("t_s,hr,pr,spo2,rr,nibp_sys,nibp_dia,nibp_map,nibp_pr,command\n", csv);
	if (truth)
		fputs("t_s,phase,hr,spo2,nibp_sys,nibp_dia,nibp_map,rr,ketamine_ng_ml,moaas,event\n", truth);
	for (long i = 0; i < seconds; i++) {
		struct vs_second s;
		vs_sim_chair_second(c, &s);
		put_row(csv, &s);
		if (truth)
			put_truth(truth, &s);
	}
	bool failed = fflush(csv) != 0 || ferror(csv) || (truth && (fflush(truth) != 0 || ferror(truth)));
	return failed ? -EIO : 0;
}
