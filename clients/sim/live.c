#include "clients/sim/live.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clients/sim/ports.h"
#include "core/json.h"

#define NONIN_EVERY_MS 40 /* three frames at a time, as USB adapters deliver them */
#define CATCH_UP_MAX_S 5  /* after the machine slept: go on, do not race */

static volatile sig_atomic_t asked_to_end;

struct place {
	const struct vs_sim_place *asked;
	struct vs_sim_chair chair;
	struct vs_second now;
	struct vs_monitor_side side;
	char tcp[80], lan[80], rtu[256], nonin[256], mib[256]; /* where the devices are; empty: not there */
};

struct run {
	const struct vs_sim_options *o;
	struct place *places;
	struct vs_ports ports;
	int64_t from_ms;
	int64_t model_s;  /* seconds played since the start of the run */
	int64_t nonin_ms; /* wall time up to which oximeter frames were sent, since the start */
	char line[256];   /* a command that is coming in */
	size_t line_len;
	bool commands;
};

static void on_signal(int sig)
{
	(void)sig;
	asked_to_end = 1;
}

static void say(struct run *r, struct vs_json *j, const char *text)
{
	if (r->o->json && !vs_json_failed(j))
		puts(j->buf);
	else if (!r->o->json)
		puts(text);
	fflush(stdout);
}

/* An event line: what really happened, for the script or the trainer. */
static void tell(struct run *r, const struct place *p, const char *event, const char *detail)
{
	char buf[512], text[256];
	struct vs_json j = vs_json_into(buf, sizeof buf);
	vs_json_open(&j, '{');
	vs_json_key(&j, "event"), vs_json_string(&j, event);
	vs_json_key(&j, "chair"), vs_json_string(&j, p->asked->id);
	vs_json_key(&j, "t_s"), vs_json_int(&j, p->now.t_s);
	if (p->chair.patient.infusion_from_s >= 0)
		vs_json_key(&j, "infusion_s"), vs_json_int(&j, p->now.t_s - p->chair.patient.infusion_from_s);
	if (detail)
		vs_json_key(&j, "detail"), vs_json_string(&j, detail);
	vs_json_close(&j, '}');
	snprintf(text, sizeof text, "%s  %3ld:%02ld  %s%s%s", p->asked->id, p->now.t_s / 60, p->now.t_s % 60, event,
		 detail ? " " : "", detail ? detail : "");
	say(r, &j, text);
}

static void tell_second(struct run *r, const struct place *p)
{
	static const struct {
		enum vs_moment moment;
		const char *event;
	} names[] = {
		{ VS_MOMENT_SCENARIO_BEGINS, "scenario" },
		{ VS_MOMENT_SCENARIO_ENDS, "scenario-ends" },
		{ VS_MOMENT_CRISIS, "crisis" },
		{ VS_MOMENT_CRISIS_ENDS, "crisis-ends" },
	};
	const struct vs_second *s = &p->now;
	char text[64];
	if (s->moments & VS_MOMENT_PHASE)
		tell(r, p, "phase", vs_sim_phase_name(s->phase));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (s->moments & names[i].moment)
			tell(r, p, names[i].event, vs_scenario_name(p->chair.patient.story.scenario));
	if ((s->moments & VS_MOMENT_MOAAS) && s->truth.moaas < 5) {
		snprintf(text, sizeof text, "%d", s->truth.moaas);
		tell(r, p, "moaas", text);
	}
	if (s->display.cuff == VS_CUFF_MEASURED) {
		snprintf(text, sizeof text, "%d/%d, truly %.0f/%.0f", s->cuff.sys.value, s->cuff.dia.value,
			 s->truth.sys, s->truth.dia);
		tell(r, p, "cuff", text);
	} else if (s->display.cuff == VS_CUFF_FAILED) {
		tell(r, p, "cuff-failed", NULL);
	}
}

static void tell_ready(struct run *r)
{
	size_t cap = 128 + r->o->n_places * 1024, n = 0;
	char *buf = malloc(cap), *text = malloc(cap);
	if (!buf || !text)
		goto out;
	struct vs_json j = vs_json_into(buf, cap);
	vs_json_open(&j, '{');
	vs_json_key(&j, "event"), vs_json_string(&j, "ready");
	vs_json_key(&j, "speed"), vs_json_number(&j, r->o->speed);
	vs_json_key(&j, "chairs"), vs_json_open(&j, '[');
	n = (size_t)snprintf(text, cap, "ready");
	for (unsigned i = 0; i < r->o->n_places; i++) {
		const struct place *p = &r->places[i];
		const struct {
			const char *key, *value;
		} ends[] = { { "modbus_tcp", p->tcp }, { "rtu", p->rtu }, { "nonin", p->nonin }, { "intellivue", p->mib },
			     { "intellivue_lan", p->lan } };
		vs_json_open(&j, '{');
		vs_json_key(&j, "chair"), vs_json_string(&j, p->asked->id);
		vs_json_key(&j, "scenario"), vs_json_string(&j, vs_scenario_name(p->asked->setup.patient.scenario));
		vs_json_key(&j, "seed"), vs_json_uint(&j, p->asked->setup.patient.seed);
		vs_json_key(&j, "unit"), vs_json_uint(&j, p->asked->unit);
		n += (size_t)snprintf(text + n, cap - n, "%s %s", i ? ";" : "", p->asked->id);
		for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
			if (!ends[k].value[0])
				continue;
			vs_json_key(&j, ends[k].key), vs_json_string(&j, ends[k].value);
			n += (size_t)snprintf(text + n, cap - n, " %s %s", ends[k].key, ends[k].value);
		}
		vs_json_close(&j, '}');
	}
	vs_json_close(&j, ']');
	vs_json_close(&j, '}');
	say(r, &j, text);
out:
	free(buf);
	free(text);
}

static void play_second(struct run *r, struct place *p)
{
	if (vs_registers_cuff_wanted(p->side.registers))
		vs_monitor_cuff_now(&p->chair.monitor, p->chair.patient.t_s);
	vs_sim_chair_second(&p->chair, &p->now);
	vs_registers_show(p->side.registers, &p->now);
	p->side.silent = p->now.display.dead;
	tell_second(r, p);
}

/* Where several chairs share one word: "%" becomes the number, or "-N" is added. */
static void numbered(char *to, size_t cap, const char *word, unsigned number)
{
	const char *percent = strchr(word, '%');
	if (number == 0)
		snprintf(to, cap, "%s", word);
	else if (percent)
		snprintf(to, cap, "%.*s%u%s", (int)(percent - word), word, number, percent + 1);
	else
		snprintf(to, cap, "%s-%u", word, number);
}

static int complain(const struct place *p, const char *what, const char *where, int r)
{
	fprintf(stderr, "vitals-sim: %s: %s %s: %s\n", p->asked->id, what, where,
		r == -EEXIST ? "there is something that is not a link; remove it or choose another path"
			     : strerror(-r));
	return r;
}

static int open_devices(struct run *r, struct place *p)
{
	const struct vs_sim_place *a = p->asked;
	int e = 0;
	p->side.unit = a->unit;
	p->side.now = &p->now;
	p->side.registers = vs_registers_create(a->unit);
	if (!p->side.registers)
		return complain(p, "registers", "", -ENOMEM);
	const struct {
		const char *path;
		enum vs_port_kind kind;
		char *to;
		size_t cap;
	} lines[] = { { a->rtu, VS_PORT_RTU, p->rtu, sizeof p->rtu },
		      { a->nonin, VS_PORT_NONIN, p->nonin, sizeof p->nonin },
		      { a->mib, VS_PORT_MIB, p->mib, sizeof p->mib } };
	unsigned more = a->number ? a->number - 1 : 0;
	if (a->tcp && (e = vs_ports_listen(&r->ports, &p->side, a->tcp, more, p->tcp)) < 0)
		return complain(p, "cannot listen on", a->tcp, e);
	if (a->lan && (e = vs_ports_lan(&r->ports, &p->side, a->lan, more, p->lan)) < 0)
		return complain(p, "cannot listen on", a->lan, e);
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		if (!lines[i].path)
			continue;
		numbered(lines[i].to, lines[i].cap, lines[i].path, a->number);
		e = vs_ports_line(&r->ports, &p->side, lines[i].kind, lines[i].to);
		if (e < 0)
			return complain(p, "cannot make the line", lines[i].to, e);
	}
	return 0;
}

/* The patient's past, unseen: up to the start of the run. */
static void skip(struct place *p)
{
	vs_sim_chair_init(&p->chair, &p->asked->setup);
	long until = p->asked->skips ? p->asked->setup.lead_s + p->asked->start_s : 0;
	for (long i = 0; i < until; i++)
		vs_sim_chair_second(&p->chair, &p->now);
}

static void set_fault(struct run *r, struct place *p, enum vs_fault f)
{
	if (p->side.fault == f)
		return;
	p->side.fault = f;
	tell(r, p, "fault", vs_fault_name(f));
}

/* Faults that the command line has ordered for a time. */
static void scheduled_faults(struct run *r, double before_s, double now_s)
{
	for (unsigned i = 0; i < r->o->n_places; i++) {
		const struct vs_sim_place *a = r->places[i].asked;
		double end = a->fault_at_s + a->fault_for_s;
		if (a->fault == VS_FAULT_NONE)
			continue;
		if (before_s < a->fault_at_s && now_s >= a->fault_at_s)
			set_fault(r, &r->places[i], a->fault);
		if (a->fault_for_s > 0 && before_s < end && now_s >= end)
			set_fault(r, &r->places[i], VS_FAULT_NONE);
	}
}

static bool obey(struct run *r, struct place *p, const char *verb, const char *word)
{
	static const char *const drugs[] = { "antihypertensive", "atropine", "oxygen" };
	struct vs_patient *patient = &p->chair.patient;
	if (strcmp(verb, "infuse") == 0 && !word) {
		vs_patient_infuse(patient);
	} else if (strcmp(verb, "stop") == 0 && !word) {
		vs_patient_stop(patient);
	} else if (strcmp(verb, "cuff") == 0 && !word) {
		vs_monitor_cuff_now(&p->chair.monitor, patient->t_s);
	} else if (strcmp(verb, "scenario") == 0 && word && vs_scenario_by_name(word) != VS_SCENARIO_COUNT) {
		vs_patient_tell(patient, vs_scenario_by_name(word));
	} else if (strcmp(verb, "fault") == 0 && word && vs_fault_by_name(word) != VS_FAULT_COUNT) {
		set_fault(r, p, vs_fault_by_name(word));
	} else {
		for (int i = 0; word && strcmp(verb, "give") == 0 && i < VS_RESCUE_COUNT; i++) {
			if (strcmp(word, drugs[i]) == 0) {
				vs_patient_give(patient, i);
				return true;
			}
		}
		return false;
	}
	return true;
}

/* "[CHAIR] VERB [WORD]"; without a chair: all of them. */
static void command(struct run *r, char *line)
{
	char *save,
		*word[3] = { strtok_r(line, " \t", &save), strtok_r(NULL, " \t", &save), strtok_r(NULL, " \t", &save) };
	if (!word[0])
		return;
	bool named = false, good = true;
	for (unsigned i = 0; i < r->o->n_places; i++)
		named |= strcmp(r->places[i].asked->id, word[0]) == 0;
	const char *verb = named ? word[1] : word[0], *what = named ? word[2] : word[1];
	for (unsigned i = 0; i < r->o->n_places && good; i++)
		if (!named || strcmp(r->places[i].asked->id, word[0]) == 0)
			good = verb && obey(r, &r->places[i], verb, what);
	if (!good)
		fprintf(stderr,
			"vitals-sim: '%s%s%s' is no command: [CHAIR] infuse|stop|cuff|scenario NAME|fault KIND|give "
			"DRUG\n",
			verb ? verb : word[0], what ? " " : "", what ? what : "");
}

static void read_commands(struct run *r)
{
	ssize_t n = read(STDIN_FILENO, r->line + r->line_len, sizeof r->line - 1 - r->line_len);
	if (n <= 0) {
		r->commands = false; /* end of input: the patients go on */
		return;
	}
	r->line_len += (size_t)n;
	r->line[r->line_len] = '\0';
	for (char *end; (end = strchr(r->line, '\n'));) {
		*end = '\0';
		size_t used = (size_t)(end + 1 - r->line);
		command(r, r->line);
		memmove(r->line, r->line + used, r->line_len - used + 1);
		r->line_len -= used;
	}
	if (r->line_len == sizeof r->line - 1)
		r->line_len = 0;
}

static void send_frames(struct run *r, int64_t wall_ms)
{
	if (wall_ms - r->nonin_ms > CATCH_UP_MAX_S * 1000)
		r->nonin_ms = wall_ms;
	if (wall_ms < r->nonin_ms + NONIN_EVERY_MS)
		return;
	int64_t before = r->nonin_ms * VS_NONIN_FRAMES_A_SECOND / 1000, now = wall_ms * VS_NONIN_FRAMES_A_SECOND / 1000;
	r->nonin_ms = wall_ms;
	vs_ports_time(&r->ports);
	for (unsigned i = 0; i < r->o->n_places; i++)
		if (r->places[i].nonin[0])
			vs_ports_nonin(&r->ports, &r->places[i].side, &r->places[i].now.display, (long)(now - before));
}

static void advance(struct run *r, int64_t wall_ms)
{
	double due = (double)wall_ms / 1000 * r->o->speed;
	if (due - (double)r->model_s > CATCH_UP_MAX_S * fmax(1, r->o->speed)) {
		int64_t slept_ms = (int64_t)(1000 * (due - (double)r->model_s) / r->o->speed);
		r->from_ms += slept_ms;
		r->nonin_ms = wall_ms - slept_ms;
		return;
	}
	for (; (double)r->model_s < due; r->model_s++)
		for (unsigned i = 0; i < r->o->n_places; i++)
			play_second(r, &r->places[i]);
	send_frames(r, wall_ms);
}

/* How long nothing is due. */
static int idle_ms(const struct run *r, int64_t wall_ms)
{
	double tick = (double)r->model_s / r->o->speed * 1000 - (double)wall_ms;
	double frame = (double)(r->nonin_ms + NONIN_EVERY_MS - wall_ms);
	double ms = ceil(fmin(fmin(tick, frame), NONIN_EVERY_MS));
	return vs_ports_due_ms(&r->ports, ms > 0 ? (int)ms : 0);
}

static void loop(struct run *r)
{
	double before_s = -1;
	r->from_ms = vs_sim_clock_ms();
	while (!asked_to_end) {
		int64_t wall_ms = vs_sim_clock_ms() - r->from_ms;
		double wall_s = (double)wall_ms / 1000;
		if (r->o->for_s > 0 && wall_s >= r->o->for_s)
			return;
		scheduled_faults(r, before_s, wall_s);
		before_s = wall_s;
		advance(r, wall_ms);
		if (vs_ports_wait(&r->ports, idle_ms(r, wall_ms), r->commands ? STDIN_FILENO : -1))
			read_commands(r);
	}
}

static void prepare_process(void)
{
	struct sigaction end = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };
	struct rlimit files;
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max; /* a thousand monitors need more than 1024 descriptors */
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

int vs_sim_live(const struct vs_sim_options *o)
{
	struct run r = { .o = o, .places = calloc(o->n_places, sizeof *r.places), .commands = o->commands };
	int e = r.places ? 0 : -ENOMEM;
	prepare_process();
	for (unsigned i = 0; i < o->n_places && e == 0; i++) {
		r.places[i].asked = &o->places[i];
		skip(&r.places[i]);
		e = open_devices(&r, &r.places[i]);
	}
	if (e == 0) {
		for (unsigned i = 0; i < o->n_places; i++)
			vs_registers_show(r.places[i].side.registers, &r.places[i].now);
		tell_ready(&r);
		loop(&r);
	}
	vs_ports_close(&r.ports);
	for (unsigned i = 0; i < o->n_places && r.places; i++)
		vs_registers_destroy(r.places[i].side.registers);
	free(r.places);
	return e;
}
