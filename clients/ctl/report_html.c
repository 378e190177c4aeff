/* The report as one HTML page with the course of the session drawn as SVG: no script, nothing loaded, fit for A4. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "clients/ctl/report.h"

static void escaped(FILE *to, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '&':  fputs("&amp;", to); break;
		case '<':  fputs("&lt;", to); break;
		case '>':  fputs("&gt;", to); break;
		case '"':  fputs("&quot;", to); break;
		case '\'': fputs("&#39;", to); break;
		default:   fputc(*text, to);
		}
}

static void cell(FILE *to, const char *text)
{
	fputs("<td>", to);
	escaped(to, text);
	fputs("</td>", to);
}

/* ---- the drawing ---- */

#define SECONDS_BELOW_MS 1200000 /* a shorter picture has seconds at its axis */
#define LEFT 46.0
#define WIDTH 890.0
#define RIGHT (LEFT + WIDTH)
#define PRESSURE_TOP 40.0
#define PRESSURE_HEIGHT 230.0
#define PRESSURE_LOW 30.0
#define PRESSURE_HIGH 220.0
#define SPO2_TOP 290.0
#define SPO2_HEIGHT 80.0
#define SPO2_LOW 80.0
#define ALARM_TOP 384.0
#define ENTRY_Y 436.0
#define HEIGHT 470.0

struct drawing {
	const struct vs_report *r;
	FILE *to;
	double span_ms;
};

static double x_of(const struct drawing *d, int64_t wall_ms)
{
	double x = LEFT + WIDTH * (double)(wall_ms - d->r->from_ms) / d->span_ms;
	return x < LEFT ? LEFT : x > RIGHT ? RIGHT : x;
}

static double clamp(double v, double low, double high)
{
	return v < low ? low : v > high ? high : v;
}

static double y_pressure(double v)
{
	return PRESSURE_TOP + PRESSURE_HEIGHT * (PRESSURE_HIGH - clamp(v, PRESSURE_LOW, PRESSURE_HIGH)) /
		(PRESSURE_HIGH - PRESSURE_LOW);
}

static double y_spo2(double v)
{
	return SPO2_TOP + SPO2_HEIGHT * (100 - clamp(v, SPO2_LOW, 100)) / (100 - SPO2_LOW);
}

static const char *phase_colour(const char *phase)
{
	return strcmp(phase, "infusion") == 0 ? "#dcebfa" : strcmp(phase, "paused") == 0 ? "#fdf3d0" :
	       strcmp(phase, "recovery") == 0 ? "#e3f4e1" : strcmp(phase, "aborted") == 0 ? "#fbdcdc" : "#f3f3f3";
}

static void draw_phases(const struct drawing *d)
{
	for (unsigned i = 0; i < d->r->n_phases; i++) {
		const struct vs_report_phase *p = &d->r->phases[i];
		double from = x_of(d, p->wall_ms), to = x_of(d, i + 1 < d->r->n_phases ? d->r->phases[i + 1].wall_ms : d->r->to_ms);
		fprintf(d->to, "<rect x='%.1f' y='20' width='%.1f' height='%.0f' fill='%s'/>\n", from, to - from, HEIGHT - 50,
			phase_colour(p->phase));
		if (to - from > 40)
			fprintf(d->to, "<text x='%.1f' y='33'>%s</text>\n", from + 3, p->phase);
	}
}

static void draw_scales(const struct drawing *d)
{
	char clock[16];
	for (int v = 40; v <= 220; v += 20)
		fprintf(d->to, "<line class='grid' x1='%.0f' x2='%.0f' y1='%.1f' y2='%.1f'/><text x='%.0f' y='%.1f' class='scale'>%d</text>\n",
			LEFT, RIGHT, y_pressure(v), y_pressure(v), LEFT - 6, y_pressure(v) + 4, v);
	for (int v = 80; v <= 100; v += 5)
		fprintf(d->to, "<line class='grid' x1='%.0f' x2='%.0f' y1='%.1f' y2='%.1f'/><text x='%.0f' y='%.1f' class='scale'>%d</text>\n",
			LEFT, RIGHT, y_spo2(v), y_spo2(v), LEFT - 6, y_spo2(v) + 4, v);
	for (int i = 0; i <= 8; i++) {
		int64_t at = d->r->from_ms + (int64_t)(d->span_ms * i / 8);
		vs_report_clock(at, clock);
		fprintf(d->to, "<text x='%.1f' y='%.0f' class='time'>%.*s</text>\n", x_of(d, at), HEIGHT - 14,
			d->span_ms < SECONDS_BELOW_MS ? 8 : 5, clock);
	}
}

/* A line that breaks where a minute is missing. */
static void draw_signal(const struct drawing *d, const char *class, size_t offset, double (*y)(double))
{
	int64_t before = 0;
	bool open = false;
	for (unsigned i = 0; i < d->r->n_minutes; i++) {
		const struct vs_report_minute *m = &d->r->minutes[i];
		double v;
		memcpy(&v, (const char *)m + offset, sizeof v);
		bool gap = isnan(v) || m->wall_ms - before > 90000;
		if (open && gap)
			fputs("'/>\n", d->to);
		if (!isnan(v) && (!open || gap))
			fprintf(d->to, "<polyline class='%s' points='", class);
		open = !isnan(v);
		if (open)
			fprintf(d->to, "%.1f,%.1f ", x_of(d, m->wall_ms + 30000), y(v));
		before = m->wall_ms;
	}
	if (open)
		fputs("'/>\n", d->to);
}

static void draw_cuffs(const struct drawing *d)
{
	for (unsigned i = 0; i < d->r->n_cuffs; i++) {
		const struct vs_report_cuff *c = &d->r->cuffs[i];
		double x = x_of(d, c->wall_ms), top = y_pressure(c->sys), bottom = y_pressure(c->dia);
		fprintf(d->to, "<path class='%s' d='M%.1f %.1fV%.1fM%.1f %.1fl4 5l4 -5M%.1f %.1fl4 -5l4 5'><title>%.0f/%.0f%s</title></path>\n",
			c->suspect ? "cuff doubt" : "cuff", x, top, bottom, x - 4, top - 5, x - 4, bottom + 5, c->sys, c->dia,
			c->suspect ? " (in doubt)" : "");
	}
}

/* Alarms by priority in lanes; the marks of IEC 60601-1-8 stand beside the colours, for print in grey. */
static void draw_alarms(const struct drawing *d)
{
	static const struct {
		const char *priority, *colour, *mark;
	} lanes[] = { { "high", "#c00000", "***" }, { "medium", "#d9a400", "**" }, { "low", "#0090b0", "*" } };
	for (unsigned lane = 0; lane < 3; lane++) {
		double y = ALARM_TOP + 14 * lane;
		fprintf(d->to, "<text x='%.0f' y='%.0f' class='scale'>%s</text>\n", LEFT - 6, y + 9, lanes[lane].mark);
		for (unsigned i = 0; i < d->r->n_alarms; i++) {
			const struct vs_report_alarm *a = &d->r->alarms[i];
			if (strcmp(a->priority, lanes[lane].priority) != 0)
				continue;
			double from = x_of(d, a->onset_ms), to = x_of(d, a->cleared_ms ? a->cleared_ms : d->r->to_ms);
			fprintf(d->to, "<rect x='%.1f' y='%.0f' width='%.1f' height='9' fill='%s'><title>", from, y,
				to - from < 3 ? 3 : to - from, lanes[lane].colour);
			escaped(d->to, a->text);
			fputs("</title></rect>\n", d->to);
		}
	}
}

static void draw_entries(const struct drawing *d)
{
	size_t i;
	json_t *e;
	json_array_foreach(d->r->events, i, e) {
		char line[400];
		int64_t at = json_integer_value(json_object_get(e, "wall_ms"));
		if (!json_object_get(e, "entry"))
			continue;
		fprintf(d->to, "<path class='entry' d='M%.1f %.0fl-3 -8h6z'><title>", x_of(d, at), ENTRY_Y);
		escaped(d->to, vs_report_entry(e, line, sizeof line));
		fputs("</title></path>\n", d->to);
	}
}

static void draw_all(const struct vs_report *r, FILE *to)
{
	struct drawing d = { r, to, r->to_ms > r->from_ms ? (double)(r->to_ms - r->from_ms) : 1 };
	draw_phases(&d);
	draw_scales(&d);
	draw_signal(&d, "hr", offsetof(struct vs_report_minute, hr), y_pressure);
	draw_signal(&d, "spo2", offsetof(struct vs_report_minute, spo2), y_spo2);
	draw_cuffs(&d);
	draw_alarms(&d);
	draw_entries(&d);
}

static void draw(const struct vs_report *r, FILE *to)
{
	fprintf(to, "<svg viewBox='0 0 960 %.0f' role='img' aria-labelledby='course what'>\n<title id='course'>Course of the session</title>"
		"<desc id='what'>%u minutes of signals, %u cuff readings, %u alarms; all of them stand in the tables below.</desc>\n",
		HEIGHT, r->n_minutes, r->n_cuffs, r->n_alarms);
	draw_all(r, to);
	fputs("</svg>\n<p class='key'><b class='k-cuff'>&#9474;</b> pressure, mmHg &nbsp; <b class='k-hr'>&#8212;</b> heart rate, /min"
	      " &nbsp; <b class='k-spo2'>&#8212;</b> SpO<sub>2</sub>, % (below) &nbsp; ***, **, * alarms &nbsp; &#9662; entries</p>\n", to);
}

/* ---- tables ---- */

static void head(const struct vs_report *r, FILE *to)
{
	static const struct {
		const char *key, *name;
	} lines[] = { { "patient", "Patient" }, { "protocol", "Protocol" }, { "protocol_name", "" }, { "dose", "Dose" },
		      { "outcome", "Outcome" }, { "operator", "Operator" } };
	char date[40], course[120];
	fputs("<h1>Session ", to);
	escaped(to, r->session);
	fputs("</h1><p>", to);
	escaped(to, r->site);
	fputs(", ", to);
	escaped(to, r->chair);
	fprintf(to, ", %s</p>\n<table class='facts'>\n", vs_report_date(r->began_ms, date));
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		const char *text = vs_report_text_of(r->last, lines[i].key);
		if (!*text)
			continue;
		fprintf(to, "<tr><th scope='row'>%s</th>", lines[i].name);
		cell(to, text);
		fputs("</tr>\n", to);
	}
	if (*vs_report_course(r->last, course))
		fprintf(to, "<tr><th scope='col'>Course</th><td>%s</td></tr>\n", course);
	if (json_object_get(r->last, "weight_kg"))
		fprintf(to, "<tr><th scope='row'>Weight</th><td>%.4g kg</td></tr>\n", json_number_value(json_object_get(r->last, "weight_kg")));
	if (json_object_get(r->last, "given_mg"))
		fprintf(to, "<tr><th scope='row'>Ran in</th><td>%.1f mg in %.0f min, by the rates and boluses entered</td></tr>\n",
			json_number_value(json_object_get(r->last, "given_mg")),
			json_number_value(json_object_get(r->last, "infused_s")) / 60);
	if (r->clock_steps)
		fputs("<tr><th>Clock</th><td>The clock on the wall was set during this session (alarms, clock-step): times before and "
		      "after do not fit together; minutes are counted by another clock.</td></tr>\n", to);
	fputs("</table>\n", to);
}

static void value(FILE *to, double v)
{
	if (isnan(v))
		fputs("<td>&ndash;</td>", to);
	else
		fprintf(to, "<td>%.0f</td>", v);
}

static void readings(const struct vs_report *r, FILE *to)
{
	char clock[16];
	const json_t *b = json_object_get(r->last, "baseline");
	const struct vs_report_cuff *high = vs_report_highest(r);
	fputs("<h2>Readings</h2><table><tr><th scope='col'>When</th><th scope='col'>Time</th><th scope='col'>Pressure</th><th scope='col'>HR</th><th scope='col'>SpO<sub>2</sub></th></tr>\n", to);
	if (json_object_get(b, "nibp_sys"))
		fprintf(to, "<tr><td>baseline</td><td></td><td>%.0f/%.0f</td><td>%.0f</td><td>%.0f</td></tr>\n",
			json_number_value(json_object_get(b, "nibp_sys")), json_number_value(json_object_get(b, "nibp_dia")),
			json_number_value(json_object_get(b, "hr")), json_number_value(json_object_get(b, "spo2")));
	for (enum vs_report_moment m = 0; m < VS_MOMENTS; m++) {
		int64_t at = vs_report_moment_ms(r, m);
		const struct vs_report_cuff *c = vs_report_cuff_near(r, at);
		const struct vs_report_minute *minute = vs_report_minute_near(r, at);
		if (!at)
			continue;
		fprintf(to, "<tr><td>%s</td><td>%s</td>", vs_report_moment_name(m), vs_report_clock(at, clock));
		if (c)
			fprintf(to, "<td>%.0f/%.0f</td>", c->sys, c->dia);
		else
			fputs("<td>&ndash;</td>", to);
		value(to, minute ? minute->hr : NAN);
		value(to, minute ? minute->spo2 : NAN);
		fputs("</tr>\n", to);
	}
	if (high)
		fprintf(to, "<tr><td>highest pressure</td><td>%s</td><td>%.0f/%.0f</td><td></td><td></td></tr>\n",
			vs_report_clock(high->wall_ms, clock), high->sys, high->dia);
	fputs("</table>\n", to);
}

static void phases(const struct vs_report *r, FILE *to)
{
	char clock[16];
	fputs("<h2>Phases, gates, overrides</h2><table><tr><th scope='col'>Time</th><th scope='col'>Phase</th><th scope='col'>By</th><th scope='col'>Why</th></tr>\n", to);
	for (unsigned i = 0; i < r->n_phases; i++) {
		const struct vs_report_phase *p = &r->phases[i];
		size_t k;
		json_t *g;
		fprintf(to, "<tr><td>%s</td>", vs_report_clock(p->wall_ms, clock));
		cell(to, p->phase);
		cell(to, vs_report_text_of(p->body, "operator"));
		fputs("<td>", to);
		escaped(to, vs_report_text_of(p->body, "reason"));
		json_array_foreach(json_object_get(p->body, "gates"), k, g) {
			fputs("<br>", to);
			escaped(to, vs_report_text_of(g, "code"));
			fprintf(to, " (%s): ", vs_report_text_of(g, "verdict"));
			escaped(to, vs_report_text_of(g, "text"));
		}
		if (*vs_report_text_of(p->body, "override")) {
			fputs("<br>overridden with ", to);
			escaped(to, vs_report_text_of(p->body, "second"));
			fputs(": ", to);
			escaped(to, vs_report_text_of(p->body, "override"));
		}
		fputs("</td></tr>\n", to);
	}
	fputs("</table>\n", to);
}

static void alarms(const struct vs_report *r, FILE *to)
{
	char on[16], off[16];
	fputs("<h2>Alarms</h2>", to);
	if (!r->n_alarms) {
		fputs("<p>none</p>\n", to);
		return;
	}
	fputs("<table><tr><th scope='col'>From</th><th scope='col'>To</th><th scope='col'>Priority</th><th scope='col'>Alarm</th><th scope='col'>Acknowledged</th></tr>\n", to);
	for (unsigned i = 0; i < r->n_alarms; i++) {
		const struct vs_report_alarm *a = &r->alarms[i];
		fprintf(to, "<tr class='%s'><td>%s</td><td>%s</td>", a->priority, vs_report_clock(a->onset_ms, on),
			a->cleared_ms ? vs_report_clock(a->cleared_ms, off) : "open");
		cell(to, a->priority);
		cell(to, a->text);
		cell(to, a->by);
		fputs("</tr>\n", to);
	}
	fputs("</table>\n", to);
}

static void entries(const struct vs_report *r, FILE *to)
{
	size_t i;
	json_t *e;
	fputs("<h2>Entries</h2><table><tr><th scope='col'>Time</th><th scope='col'>No.</th><th scope='col'>Entry</th><th scope='col'>By</th></tr>\n", to);
	json_array_foreach(r->events, i, e) {
		char line[400];
		if (!json_object_get(e, "entry"))
			continue;
		fputs("<tr>", to);
		cell(to, vs_report_text_of(e, "clock"));
		if (json_is_integer(json_object_get(e, "number")))
			fprintf(to, "<td>%lld</td>", (long long)json_integer_value(json_object_get(e, "number")));
		else
			fputs("<td>&ndash;</td>", to);
		cell(to, vs_report_entry(e, line, sizeof line));
		cell(to, vs_report_text_of(e, "operator"));
		fputs("</tr>\n", to);
	}
	fputs("</table>\n", to);
}

/* In percent, as people compare; the seconds are in the record's `audit show`. */
static void ledger(const struct vs_report *r, FILE *to)
{
	const char *metric;
	json_t *row;
	if (!json_object_size(r->ledger))
		return;
	fputs("<h2>Where the time went, %</h2><table><tr><th scope='col'>Metric</th>", to);
	for (size_t i = 0; i < VS_LEDGER_COLUMNS; i++)
		fprintf(to, "<th scope='col'>%s</th>", vs_ledger_columns[i]);
	fputs("<th scope='col'>of s</th></tr>\n", to);
	json_object_foreach(r->ledger, metric, row) {
		double sum = 0;
		for (size_t i = 0; i < VS_LEDGER_COLUMNS; i++)
			sum += json_number_value(json_object_get(row, vs_ledger_columns[i]));
		fprintf(to, "<tr><th scope='row'>%s</th>", metric);
		for (size_t i = 0; i < VS_LEDGER_COLUMNS; i++)
			fprintf(to, "<td>%.1f</td>", sum > 0 ? 100 * json_number_value(json_object_get(row, vs_ledger_columns[i])) / sum : 0);
		fprintf(to, "<td>%.0f</td></tr>\n", sum);
	}
	fputs("</table>\n", to);
}

/* The classes of the drawing. */
#define DRAWING_STYLE \
	".grid{stroke:#0002}.scale{text-anchor:end}.time{text-anchor:middle}.cuff{stroke:#222;fill:none;stroke-width:1.4}" \
	".doubt{stroke:#999;stroke-dasharray:3 2}.hr{stroke:#1a8a1a;fill:none;stroke-width:1.5}.spo2{stroke:#0b62c4;fill:none;" \
	"stroke-width:1.5}.entry{fill:#444}"

static const char style[] =
	"@page{size:A4;margin:14mm}body{font:11px/1.35 sans-serif;max-width:190mm;margin:auto;color:#111}h1{font-size:18px;margin:0}"
	"h2{font-size:13px;margin:10px 0 3px}p{margin:2px 0}table{border-collapse:collapse}td,th{padding:1px 8px 1px 0;text-align:left;"
	"vertical-align:top}tr{break-inside:avoid}h2{break-after:avoid}td{print-color-adjust:exact}svg{print-color-adjust:exact}tr+tr td{border-top:1px solid #ddd}svg{width:100%;border:1px solid #bbb;margin-top:6px;font:11px sans-serif}"
	DRAWING_STYLE
	".k-hr{color:#1a8a1a}.k-spo2{color:#0b62c4}.high td{font-weight:bold}"
	".sign{margin-top:34px;display:flex;gap:12mm}.sign div{flex:1;border-top:1px solid #111;padding-top:2px}";

void vs_report_html(const struct vs_report *r, FILE *to)
{
	fputs("<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'><title>Session ", to);
	escaped(to, r->session);
	fprintf(to, "</title><meta name='viewport' content='width=device-width'><style>%s</style></head><body><main>\n", style);
	head(r, to);
	draw(r, to);
	readings(r, to);
	phases(r, to);
	alarms(r, to);
	entries(r, to);
	ledger(r, to);
	fputs("</main><div class='sign'><div>Nurse, date</div><div>Prescriber, date</div></div>\n</body></html>\n", to);
}

void vs_report_svg(const struct vs_report *r, FILE *to)
{
	fprintf(to, "<svg xmlns='http://www.w3.org/2000/svg' width='960' height='%.0f' viewBox='0 0 960 %.0f' role='img'"
		" font-family='sans-serif' font-size='11'>\n<title>Session ", HEIGHT, HEIGHT);
	escaped(to, r->session);
	fprintf(to, "</title>\n<style>%s</style>\n<rect width='960' height='%.0f' fill='white'/>\n", DRAWING_STYLE, HEIGHT);
	draw_all(r, to);
	fputs("</svg>\n", to);
}
