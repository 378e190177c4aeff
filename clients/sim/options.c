#include "clients/sim/options.h"

#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2
#define CHAIRS_MAX 1000
#define CUFFS_MAX 1000

static const char *const faults[VS_FAULT_COUNT] = { "none", "silent",     "half-open", "reset",
						    "drip", "wrong-unit", "busy",      "garbage" };

const char *vs_fault_name(enum vs_fault f)
{
	return f < VS_FAULT_COUNT ? faults[f] : NULL;
}

enum vs_fault vs_fault_by_name(const char *name)
{
	enum vs_fault f = VS_FAULT_NONE;
	while (f < VS_FAULT_COUNT && strcmp(faults[f], name) != 0)
		f++;
	return f;
}

enum choice {
	OPT_CHAIR = 256,
	OPT_CHAIRS,
	OPT_SCENARIO,
	OPT_AT,
	OPT_SEED,
	OPT_WEIGHT,
	OPT_PRESET,
	OPT_PK,
	OPT_RESPONSE,
	OPT_BASELINE,
	OPT_LEAD,
	OPT_START,
	OPT_CUFF,
	OPT_CUFF_AT,
	OPT_TCP,
	OPT_RTU,
	OPT_NONIN,
	OPT_INTELLIVUE,
	OPT_INTELLIVUE_LAN,
	OPT_UNIT,
	OPT_FAULT,
	OPT_FAULT_AT,
	OPT_FAULT_FOR,
	OPT_SPEED,
	OPT_FOR,
	OPT_JSON,
	OPT_COMMANDS,
	OPT_EMIT,
	OPT_TRUTH,
	OPT_PLAY,
	OPT_LINK,
	OPT_HELP,
	OPT_VERSION
};

static const struct {
	enum choice option;
	const char *name, *argument, *summary;
	const char *takes; /* for who gave something else */
} table[] = {
	{ OPT_CHAIR, "chair", "ID",
	  "begin a chair; options before the first one hold for all, options after it for that chair",
	  "letters a-z, digits and - (not first)" },
	{ OPT_CHAIRS, "chairs", "N",
	  "N chairs chair-1 ... chair-N; ports count up, paths get -1 ... -N (or N in place of %)",
	  "a whole number of chairs" },
	{ OPT_SCENARIO, "scenario", "NAME", "what happens (list below); default normal",
	  "a name from the list of --help" },
	{ OPT_AT, "at", "DURATION",
	  "the scenario begins so long after the start of the infusion; default drawn, 8-25 min",
	  "a duration such as 40s or 12min" },
	{ OPT_SEED, "seed", "N", "of the random numbers, each further chair has the next; default 1",
	  "a whole number" },
	{ OPT_WEIGHT, "weight", "KG", "default 70",
	  "30 to 250 kg" },
	{ OPT_PRESET, "preset", "ID", "dosing preset, P1 ... P13; default P1",
	  "P1 to P13; P8 is no usable preset" },
	{ OPT_PK, "pk", "SET", "domino (default), clements (slow recovery) or perez",
	  "domino, clements or perez" },
	{ OPT_RESPONSE, "response", "F",
	  "factor on the effect of the drug, or drawn; default by scenario (1, strong 1.8)",
	  "0 to 5, or drawn" },
	{ OPT_BASELINE, "baseline", "LIST", "hr=70,spo2=98,nibp_sys=120,nibp_dia=75; what is not given is drawn",
	  "hr 40-150, spo2 85-100, nibp_sys 70-220, nibp_dia 40-130, as in hr=70,spo2=98" },
	{ OPT_LEAD, "lead", "DURATION", "baseline before the infusion; default 10min",
	  "a duration such as 40s or 12min" },
	{ OPT_START, "start", "DURATION", "begin so long into the infusion",
	  "a duration such as 40s or 12min" },
	{ OPT_CUFF, "cuff", "DURATION",
	  "cuff interval; default 2min in baseline, 5min in infusion, 10min in recovery",
	  "a duration of 50s or more" },
	{ OPT_CUFF_AT, "cuff-at", "LIST", "further cuff measurements at these seconds (with --emit), as if asked for",
	  "seconds, as in 60,400" },
	{ OPT_TCP, "modbus-tcp", "HOST:PORT", "Modbus TCP server; port 0: any free one",
	  "HOST:PORT, as in 127.0.0.1:0" },
	{ OPT_RTU, "rtu", "PATH",
	  "Modbus RTU on a pseudo terminal, linked to PATH; chairs may share one, told apart by --unit",
	  "a path" },
	{ OPT_NONIN, "nonin", "PATH", "Nonin data format 2 on a pseudo terminal, linked to PATH",
	  "a path" },
	{ OPT_INTELLIVUE, "intellivue", "PATH",
	  "Philips IntelliVue data export (MIB port) on a pseudo terminal, linked to PATH; a host associates and polls",
	  "a path" },
	{ OPT_INTELLIVUE_LAN, "intellivue-lan", "HOST:PORT", "the same in datagrams; port 0: any free one",
	  "HOST:PORT, as in 127.0.0.1:0" },
	{ OPT_UNIT, "unit", "N", "Modbus unit, 1-247; default 1",
	  "a whole number, 1 to 247" },
	{ OPT_FAULT, "fault", "KIND",
	  "the Modbus side misbehaves: silent half-open reset drip wrong-unit busy garbage",
	  "silent, half-open, reset, drip, wrong-unit, busy or garbage" },
	{ OPT_FAULT_AT, "fault-at", "DURATION", "from then on (wall time); default at once",
	  "a duration such as 40s or 12min" },
	{ OPT_FAULT_FOR, "fault-for", "DURATION", "for so long; default for ever",
	  "a duration such as 40s or 12min" },
	{ OPT_SPEED, "speed", "S", "model time runs S times as fast as the wall's; default 1",
	  "0.01 to 1000" },
	{ OPT_FOR, "for", "DURATION", "end after so long (wall time; with --emit time of the model)",
	  "a duration such as 40s or 12min, not 0" },
	{ OPT_JSON, "json", NULL,
	  "events on stdout as JSON, one a line; the first says \"ready\" and where the devices are", NULL },
	{ OPT_COMMANDS, "commands", NULL,
	  "read commands from stdin: [CHAIR] infuse|stop|cuff|scenario NAME|fault KIND|give DRUG", NULL },
	{ OPT_EMIT, "emit", "csv",
	  "no devices: write the session as `vitalsctl replay --csv` reads it, as fast as possible",
	  "csv" },
	{ OPT_TRUTH, "truth", "FILE", "with --emit: the course without noise, and when what really happened",
	  "a path" },
	{ OPT_PLAY, "play", "FILE", "replay a recording of raw bytes at its own pace, through --link",
	  "a path" },
	{ OPT_LINK, "link", "PATH", "where --play makes its pseudo terminal",
	  "a path" },
	{ OPT_HELP, "help", NULL, "this text", NULL },
	{ OPT_VERSION, "version", NULL, "the version", NULL },
};
#define N_OPTIONS (sizeof table / sizeof *table)

static void help(void)
{
	puts("vitals-sim - simulated patients behind simulated monitors\n\n"
	     "For development, training and demonstrations: no part of it may come near a patient.\n\n"
	     "usage: vitals-sim [OPTIONS] [--chair ID [OPTIONS]]...\n");
	for (size_t i = 0; i < N_OPTIONS; i++)
		printf("  --%s%s%s\n      %s\n", table[i].name, table[i].argument ? " " : "",
		       table[i].argument ? table[i].argument : "", table[i].summary);
	puts("\nScenarios:");
	for (int s = 0; s < VS_SCENARIO_COUNT; s++)
		printf("  %-18s %s\n", vs_scenario_name(s), vs_scenario_summary(s));
	puts("\nDosing presets:");
	for (unsigned i = 0; vs_dosing_at(i); i++)
		printf("  %-4s %s\n", vs_dosing_at(i)->id, vs_dosing_at(i)->summary);
	puts("\nDurations: 90, 200ms, 40s, 5min, 2h. Registers: plugins/modbus/profiles/vitals-sim.yaml.\n"
	     "Exit status: 0 done, 1 it could not be done, 2 wrong usage.");
}

static int usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int usage(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("vitals-sim: ", stderr);
	vfprintf(stderr, format, args);
	fputs("\nTry 'vitals-sim --help'.\n", stderr);
	va_end(args);
	return EXIT_USAGE;
}

static bool number(const char *text, double low, double high, double *ret)
{
	char *end;
	double x = strtod(text, &end);
	if (end == text || *end || !(x >= low && x <= high))
		return false;
	*ret = x;
	return true;
}

static bool whole(const char *text, double low, double high, double *ret)
{
	return number(text, low, high, ret) && *ret == floor(*ret);
}

static bool duration(const char *text, double *ret_s)
{
	static const struct {
		const char *unit;
		double s;
	} units[] = { { "", 1 }, { "ms", 0.001 }, { "s", 1 }, { "min", 60 }, { "h", 3600 } };
	char *end;
	double x = strtod(text, &end);
	if (end == text || !(x >= 0 && x <= 1e6))
		return false;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (strcmp(end, units[i].unit) == 0) {
			*ret_s = x * units[i].s;
			return true;
		}
	}
	return false;
}

static bool seconds(const char *text, long *ret)
{
	double s;
	if (!duration(text, &s))
		return false;
	*ret = lround(s);
	return true;
}

static bool baseline(const char *text, struct vs_patient_setup *p)
{
	struct {
		const char *name;
		double low, high, *to;
	} const fields[] = {
		{ "hr", 40, 150, &p->hr },
		{ "spo2", 85, 100, &p->spo2 },
		{ "nibp_sys", 70, 220, &p->sys },
		{ "nibp_dia", 40, 130, &p->dia },
	};
	char *copy = strdup(text), *save = NULL;
	bool good = copy && *copy;
	for (char *word = copy ? strtok_r(copy, ",", &save) : NULL; word && good; word = strtok_r(NULL, ",", &save)) {
		char *value = strchr(word, '=');
		good = false;
		if (value)
			*value++ = '\0';
		for (size_t i = 0; value && i < sizeof fields / sizeof *fields; i++)
			if (strcmp(word, fields[i].name) == 0)
				good = number(value, fields[i].low, fields[i].high, fields[i].to);
	}
	free(copy);
	return good;
}

static int by_size(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;
	return (x > y) - (x < y);
}

static bool cuff_times(const char *text, struct vs_chair_setup *s)
{
	static long times[CUFFS_MAX]; /* one list a run: --emit has one chair */
	unsigned n = 0;
	for (const char *p = text; *p && n < CUFFS_MAX; n++) {
		char *end;
		times[n] = strtol(p, &end, 10);
		if (end == p || (*end && *end != ','))
			return false;
		p = *end ? end + 1 : end;
	}
	qsort(times, n, sizeof *times, by_size);
	s->cuff_at_s = times;
	s->cuff_at_len = n;
	return true;
}

static bool id_is_good(const char *id)
{
	size_t n = strlen(id);
	return n > 0 && n < VS_SIM_ID_CAP && id[0] != '-' && strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static bool host_and_port(const char *text)
{
	const char *colon = strrchr(text, ':');
	double port;
	return colon && colon > text && whole(colon + 1, 0, 65535, &port);
}

static bool pk_set(const char *text, enum vs_pk_set *ret)
{
	static const char *const names[] = { "domino", "clements", "perez" };
	for (int i = 0; i < 3; i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static bool response(const char *text, struct vs_patient_setup *p)
{
	if (strcmp(text, "drawn") == 0)
		p->response = -1;
	else if (!number(text, 0, 5, &p->response))
		return false;
	p->hr_response = p->response;
	return true;
}

/* An option of one chair.  False: its value is wrong. */
static bool place_option(struct vs_sim_place *p, int option, const char *text)
{
	struct vs_patient_setup *patient = &p->setup.patient;
	double x;
	switch (option) {
	case OPT_SCENARIO:
		return (patient->scenario = vs_scenario_by_name(text)) != VS_SCENARIO_COUNT;
	case OPT_AT:
		return duration(text, &patient->at_s);
	case OPT_SEED:
		if (!whole(text, 0, 1e15, &x))
			return false;
		patient->seed = (uint64_t)x;
		return true;
	case OPT_WEIGHT:
		return number(text, 30, 250, &patient->weight_kg);
	case OPT_PRESET:
		return (patient->dosing = vs_dosing_by_id(text)) != NULL;
	case OPT_PK:
		return pk_set(text, &patient->pk);
	case OPT_RESPONSE:
		return response(text, patient);
	case OPT_BASELINE:
		return baseline(text, patient);
	case OPT_LEAD:
		return seconds(text, &p->setup.lead_s);
	case OPT_START:
		return p->skips = seconds(text, &p->start_s);
	case OPT_CUFF:
		return seconds(text, &p->setup.cuff_interval_s) && p->setup.cuff_interval_s >= 50;
	case OPT_CUFF_AT:
		return cuff_times(text, &p->setup);
	case OPT_UNIT:
		if (!whole(text, 1, 247, &x))
			return false;
		p->unit = (unsigned char)x;
		return true;
	case OPT_FAULT:
		return (p->fault = vs_fault_by_name(text)) != VS_FAULT_COUNT;
	case OPT_FAULT_AT:
		return duration(text, &p->fault_at_s);
	case OPT_FAULT_FOR:
		return duration(text, &p->fault_for_s);
	case OPT_TCP:
		p->tcp = text;
		return host_and_port(text);
	case OPT_RTU:
		p->rtu = text;
		return *text;
	case OPT_INTELLIVUE:
		p->mib = text;
		return *text;
	case OPT_INTELLIVUE_LAN:
		p->lan = text;
		return host_and_port(text);
	default:
		p->nonin = text;
		return *text;
	}
}

/* An option of the whole run. */
static bool run_option(struct vs_sim_options *o, int option, const char *text)
{
	switch (option) {
	case OPT_SPEED:
		return number(text, 0.01, 1000, &o->speed);
	case OPT_FOR:
		return duration(text, &o->for_s) && o->for_s > 0;
	case OPT_JSON:
		return o->json = true;
	case OPT_COMMANDS:
		return o->commands = true;
	case OPT_EMIT:
		o->emit = true;
		return strcmp(text, "csv") == 0;
	case OPT_TRUTH:
		o->truth = text;
		return *text;
	case OPT_PLAY:
		o->play = text;
		return *text;
	default:
		o->link = text;
		return *text;
	}
}

static struct vs_sim_place *add_place(struct vs_sim_options *o, const struct vs_sim_place *like, const char *id)
{
	struct vs_sim_place *more = reallocarray(o->places, o->n_places + 1, sizeof *more);
	if (!more)
		abort();
	o->places = more;
	struct vs_sim_place *p = &more[o->n_places++];
	*p = *like;
	snprintf(p->id, sizeof p->id, "%s", id);
	p->setup.patient.seed += o->n_places - 1;
	return p;
}

/* What follows from the scenario where the user has not said otherwise; -1: he said "drawn". */
static void settle(struct vs_patient_setup *p)
{
	double f = vs_scenario_response(p->scenario);
	if (isnan(p->response))
		p->response = p->hr_response = f;
	else if (p->response < 0)
		p->response = p->hr_response = NAN;
}

/* Chairs that are not numbered may share one RTU line. */
static bool same_unit(const struct vs_sim_place *a, const struct vs_sim_place *b)
{
	return a->rtu && b->rtu && !a->number && strcmp(a->rtu, b->rtu) == 0 && a->unit == b->unit;
}

static int finish(struct vs_sim_options *o, const struct vs_sim_place *common, unsigned count)
{
	if (count > 0 && o->n_places > 0)
		return usage("--chairs and --chair exclude each other");
	if (o->play && (!o->link || o->n_places > 0 || o->emit))
		return usage("--play needs --link and goes with neither chairs nor --emit");
	if (o->truth && !o->emit)
		return usage("--truth goes with --emit csv");
	for (unsigned i = 0; i < count; i++) {
		char id[VS_SIM_ID_CAP];
		snprintf(id, sizeof id, "chair-%u", i + 1);
		add_place(o, common, id)->number = count > 1 ? i + 1 : 0;
	}
	if (o->n_places == 0)
		add_place(o, common, "chair-1");
	if (o->emit && o->n_places > 1)
		return usage("--emit writes one chair");
	bool devices = false;
	for (unsigned i = 0; i < o->n_places; i++) {
		settle(&o->places[i].setup.patient);
		devices |= o->places[i].tcp || o->places[i].rtu || o->places[i].nonin ||
			   o->places[i].mib || o->places[i].lan;
		for (unsigned k = 0; k < i; k++)
			if (strcmp(o->places[i].id, o->places[k].id) == 0)
				return usage("chair '%s' twice", o->places[i].id);
			else if (same_unit(&o->places[i], &o->places[k]))
				return usage("unit %u twice on the line %s: give one chair another --unit",
					     o->places[i].unit, o->places[i].rtu);
	}
	if (!devices && !o->emit && !o->play)
		return usage("no device: give --modbus-tcp, --rtu, --nonin, --intellivue or --intellivue-lan, or --emit csv, or --play FILE");
	return 0;
}

static int refused(int option, const char *text)
{
	size_t i = 0;
	while ((int)table[i].option != option)
		i++;
	return usage("--%s: '%s' is not what it takes: %s", table[i].name, text, table[i].takes);
}

static int take(struct vs_sim_options *o, struct vs_sim_place *common, unsigned *count, int option, const char *text)
{
	double n;
	bool good;
	if (option == OPT_CHAIR) {
		good = id_is_good(text) && o->n_places < CHAIRS_MAX;
		if (good)
			add_place(o, common, text);
	} else if (option == OPT_CHAIRS) {
		good = whole(text, 1, CHAIRS_MAX, &n);
		*count = good ? (unsigned)n : 0;
	} else if (option >= OPT_SPEED) {
		good = run_option(o, option, text);
	} else {
		good = place_option(o->n_places ? &o->places[o->n_places - 1] : common, option, text);
	}
	return good ? 0 : refused(option, text);
}

int vs_sim_options_parse(int argc, char **argv, struct vs_sim_options *ret)
{
	struct option longs[N_OPTIONS + 1] = { 0 };
	for (size_t i = 0; i < N_OPTIONS; i++)
		longs[i] = (struct option){ table[i].name, table[i].argument ? required_argument : no_argument, NULL,
					    (int)table[i].option };
	struct vs_sim_place common = { .setup = { .patient = vs_patient_defaults(1), .lead_s = 600 }, .unit = 1 };
	unsigned count = 0;
	*ret = (struct vs_sim_options){ .speed = 1 };
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (c == OPT_HELP) {
			help();
			return -1;
		}
		if (c == OPT_VERSION) {
			puts("vitals-sim " VS_VERSION);
			return -1;
		}
		if (c == '?')
			return usage("'%s' is unknown or lacks its value", argv[optind - 1]);
		int r = take(ret, &common, &count, c, optarg);
		if (r != 0)
			return r;
	}
	if (optind < argc)
		return usage("what is '%s'?", argv[optind]);
	return finish(ret, &common, count);
}

void vs_sim_options_free(struct vs_sim_options *o)
{
	free(o->places);
	*o = (struct vs_sim_options){ 0 };
}
