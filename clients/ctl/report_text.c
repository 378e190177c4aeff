/* The report as plain text: 80 columns, for a printer or a mail. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "clients/ctl/report.h"

#define RULE "--------------------------------------------------------------------------------\n"

static void head(const struct vs_report *r, FILE *to)
{
	char buf[40], course[120];
	const json_t *s = r->last;
	fprintf(to, "Session %s    %s, %s    %s\n" RULE, r->session, r->site, r->chair, vs_report_date(r->began_ms, buf));
	fprintf(to, "patient   %s", vs_report_text_of(s, "patient"));
	if (json_object_get(s, "weight_kg"))
		fprintf(to, "   %.4g kg", json_number_value(json_object_get(s, "weight_kg")));
	fprintf(to, "\nprotocol  %s %s\n", *vs_report_text_of(s, "protocol") ? vs_report_text_of(s, "protocol") : "none",
		vs_report_text_of(s, "protocol_name"));
	if (*vs_report_course(s, course))
		fprintf(to, "course    %s\n", course);
	if (*vs_report_text_of(s, "dose"))
		fprintf(to, "dose      %s\n", vs_report_text_of(s, "dose"));
	if (json_object_get(s, "given_mg"))
		fprintf(to, "ran in    %.1f mg in %.0f min, by the rates and boluses entered\n",
			json_number_value(json_object_get(s, "given_mg")),
			json_number_value(json_object_get(s, "infused_s")) / 60);
	if (r->clock_steps)
		fputs("clock     the clock on the wall was set during this session (alarms, clock-step): times before and after do not\n"
		      "          fit together; minutes are counted by another clock\n", to);
	fprintf(to, "outcome   %s\n", *vs_report_text_of(s, "outcome") ? vs_report_text_of(s, "outcome") : "still open");
}

static void phases(const struct vs_report *r, FILE *to)
{
	char clock[16];
	fputs("\nPHASES\n", to);
	for (unsigned i = 0; i < r->n_phases; i++) {
		const struct vs_report_phase *p = &r->phases[i];
		const char *reason = vs_report_text_of(p->body, "reason");
		int64_t until = i + 1 < r->n_phases ? r->phases[i + 1].wall_ms : r->to_ms;
		fprintf(to, "  %s  %-11s %4.0f min  %s%s%s\n", vs_report_clock(p->wall_ms, clock), p->phase,
			(double)(p->lasted_ms > 0 ? p->lasted_ms : until - p->wall_ms) / 60000, vs_report_text_of(p->body, "operator"), *reason ? ": " : "", reason);
	}
}

static void number(FILE *to, double v)
{
	if (isnan(v))
		fputs("     --", to);
	else
		fprintf(to, "%7.0f", v);
}

static void row(const struct vs_report *r, const char *name, int64_t at_ms, FILE *to)
{
	char clock[16], pressure[32] = "--";
	const struct vs_report_cuff *c = vs_report_cuff_near(r, at_ms);
	const struct vs_report_minute *m = vs_report_minute_near(r, at_ms);
	if (!at_ms)
		return;
	if (c)
		snprintf(pressure, sizeof pressure, "%.0f/%.0f", c->sys, c->dia);
	fprintf(to, "  %-18s %s %9s", name, vs_report_clock(at_ms, clock), pressure);
	number(to, m ? m->hr : NAN);
	number(to, m ? m->spo2 : NAN);
	fputc('\n', to);
}

static void readings(const struct vs_report *r, FILE *to)
{
	char clock[16];
	const json_t *b = json_object_get(r->last, "baseline");
	const struct vs_report_cuff *high = vs_report_highest(r);
	const struct vs_report_minute *low = vs_report_lowest_spo2(r);
	fputs("\nREADINGS                       at  pressure     HR   SpO2\n", to);
	if (json_object_get(b, "nibp_sys"))
		fprintf(to, "  %-27s %6.0f/%.0f%7.0f%7.0f\n", "baseline", json_number_value(json_object_get(b, "nibp_sys")),
			json_number_value(json_object_get(b, "nibp_dia")), json_number_value(json_object_get(b, "hr")),
			json_number_value(json_object_get(b, "spo2")));
	for (enum vs_report_moment m = 0; m < VS_MOMENTS; m++)
		row(r, vs_report_moment_name(m), vs_report_moment_ms(r, m), to);
	if (high)
		fprintf(to, "  highest pressure   %s %5.0f/%.0f\n", vs_report_clock(high->wall_ms, clock), high->sys, high->dia);
	if (low)
		fprintf(to, "  lowest saturation  %s%24.0f\n", vs_report_clock(low->wall_ms, clock), low->spo2);
	fprintf(to, "  %u cuff readings, %u rejected\n", r->n_cuffs, r->refused);
}

/* What was confirmed or overridden on the way. */
static void gates(const struct vs_report *r, FILE *to)
{
	char clock[16];
	bool any = false;
	for (unsigned i = 0; i < r->n_phases; i++) {
		const struct vs_report_phase *p = &r->phases[i];
		size_t k;
		json_t *g;
		json_array_foreach(json_object_get(p->body, "gates"), k, g) {
			if (!any)
				fputs("\nGATES PASSED WITH A WORD\n", to);
			any = true;
			fprintf(to, "  %s  %s (%s)  %s\n", vs_report_clock(p->wall_ms, clock), vs_report_text_of(g, "code"),
				vs_report_text_of(g, "verdict"), vs_report_text_of(g, "text"));
		}
		if (*vs_report_text_of(p->body, "override"))
			fprintf(to, "            overridden by %s and %s: %s\n", vs_report_text_of(p->body, "operator"),
				vs_report_text_of(p->body, "second"), vs_report_text_of(p->body, "override"));
	}
}

static void alarms(const struct vs_report *r, FILE *to)
{
	char on[16], off[16], ack[16];
	fprintf(to, "\nALARMS%s\n", r->n_alarms ? "" : "\n  none");
	for (unsigned i = 0; i < r->n_alarms; i++) {
		const struct vs_report_alarm *a = &r->alarms[i];
		fprintf(to, "  %s to %-8s  %-6s %-18s %s\n", vs_report_clock(a->onset_ms, on),
			a->cleared_ms ? vs_report_clock(a->cleared_ms, off) : "open", a->priority, a->rule, a->text);
		if (a->acknowledged_ms)
			fprintf(to, "                                   acknowledged %s by %s\n",
				vs_report_clock(a->acknowledged_ms, ack), a->by);
	}
}

static void entries(const struct vs_report *r, FILE *to)
{
	size_t i;
	json_t *e;
	fputs("\nENTRIES\n", to);
	json_array_foreach(r->events, i, e) {
		char line[400];
		if (!json_object_get(e, "entry"))
			continue;
		char number[24] = "  -"; /* a refusal has none */
		if (json_is_integer(json_object_get(e, "number")))
			snprintf(number, sizeof number, "%3lld", (long long)json_integer_value(json_object_get(e, "number")));
		fprintf(to, "  %s %s  %s  [%s]\n", vs_report_text_of(e, "clock"), number, vs_report_entry(e, line, sizeof line),
			vs_report_text_of(e, "operator"));
	}
}

static void ledger(const struct vs_report *r, FILE *to)
{
	const char *metric;
	json_t *row;
	if (!json_object_size(r->ledger))
		return;
	fputs("\nWHERE THE SECONDS WENT\n            ", to);
	for (size_t i = 0; i < VS_LEDGER_COLUMNS; i++)
		fprintf(to, "%11s", vs_ledger_columns[i]);
	json_object_foreach(r->ledger, metric, row) {
		fprintf(to, "\n  %-10s", metric);
		for (size_t i = 0; i < VS_LEDGER_COLUMNS; i++)
			fprintf(to, "%11.1f", json_number_value(json_object_get(row, vs_ledger_columns[i])));
	}
	fputc('\n', to);
}

void vs_report_text(const struct vs_report *r, FILE *to)
{
	head(r, to);
	phases(r, to);
	readings(r, to);
	gates(r, to);
	alarms(r, to);
	entries(r, to);
	ledger(r, to);
	fputs("\n" RULE "\nNurse ______________________________   Prescriber ______________________________\n", to);
}
