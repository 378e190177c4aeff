/* vitalsctl chair: the screen at the bedside.  Asks the daemon twice a second, draws what it answers, and turns keys
 * into the same requests that the other commands send.  It waits for no answer longer than a person at the screen would
 * notice, and shows nothing that the daemon did not say within the last seconds. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/ctl/ask.h"
#include "clients/ctl/chair_screen.h"

#define ASK_EVERY_MS 500
#define LOOK_PATIENCE_MS 700  /* for a snapshot; the next one is asked soon */
#define DO_PATIENCE_MS 2000   /* for something a person wants done */
#define DRAW_EVERY_MS 125
#define MESSAGE_MS 20000

enum mode { LOOKING, HELPING, TYPING_ENTRY, TYPING_PHASE, TYPING_OPERATOR, TYPING_SESSION, TYPING_OVERRIDE, ASKING };

struct view {
	struct vs_ask ask;
	char control[108], operator_name[40], trouble[300];
	json_t *answer;        /* the newest snapshot */
	int64_t answered_ms;   /* monotonic; of the start, before the first */
	int64_t asked_ms;
	bool refused;          /* the last question found no daemon at all */
	struct vs_bedside bedside;
	struct vs_bedside_trend trend[VS_TILE_COUNT];
	enum mode mode;
	char typed[200], question[200], message[400], entered[100];
	int64_t message_ms;
	json_t *wanted;        /* ASKING: what a yes would send */
	const char *done;      /* and what to say then */
	json_t *refused_request; /* the last one, where two people may go on all the same; NULL: there is none */
	const char *refused_done;
	bool quit;
};

static volatile sig_atomic_t told_to_end;

static void on_signal(int number)
{
	told_to_end = number;
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void say(struct view *v, const char *words)
{
	snprintf(v->message, sizeof v->message, "%s", words);
	v->message_ms = now_ms();
}

/* ---- looking ---- */

static void collect_trends(struct view *v, int64_t now)
{
	for (unsigned i = 0; i < VS_TILE_COUNT; i++) {
		if (v->bedside.tile[i].live)
			vs_bedside_trend_add(&v->trend[i], now / 60000, v->bedside.tile[i].value);
		else
			vs_bedside_trend_pass(&v->trend[i], now / 60000);
	}
}

static void look(struct view *v)
{
	v->asked_ms = now_ms();
	v->ask.patience_ms = LOOK_PATIENCE_MS;
	v->trouble[0] = '\0';
	json_t *answer = vs_ask_daemon(&v->ask, json_pack("{s:s,s:s}", "op", "snapshot", "chair", v->ask.chair));
	v->refused = !answer && strncmp(v->trouble, "cannot reach", 12) == 0;
	if (answer && !json_is_true(json_object_get(answer, "ok"))) {
		snprintf(v->trouble, sizeof v->trouble, "%s", vs_json_text(answer, "error"));
		json_decref(answer);
		answer = NULL;
		v->refused = true;
	}
	if (!answer)
		return;
	json_decref(v->answer);
	v->answer = answer;
	v->answered_ms = now_ms();
	vs_bedside_read(&v->bedside, v->ask.chair, v->answer, 0);
	collect_trends(v, v->answered_ms);
}

static void draw(struct view *v)
{
	int64_t now = now_ms();
	char banner[400] = "", words[300];
	static const char *const prompts[] = { [TYPING_ENTRY] = "entry> ", [TYPING_PHASE] = "phase, and why> ",
		[TYPING_OPERATOR] = "operator> ", [TYPING_SESSION] = "patient protocol kg> ",
		[TYPING_OVERRIDE] = "override: reason / second person> ", [ASKING] = NULL };
	vs_bedside_read(&v->bedside, v->ask.chair, v->refused ? NULL : v->answer, now - v->answered_ms);
	if (!v->bedside.connected) {
		snprintf(words, sizeof words, "%s", *v->trouble ? v->trouble : "vitalsd does not answer yet");
		vs_bedside_banner(now - v->answered_ms, words, banner, sizeof banner);
	}
	const char *prompt = v->mode == ASKING ? v->question : prompts[v->mode];
	if (now - v->message_ms > MESSAGE_MS)
		v->message[0] = '\0';
	const struct vs_screen_shows shows = { &v->bedside, v->trend, banner, v->message, prompt, v->typed, v->operator_name,
					       v->mode == HELPING, now };
	vs_screen_draw(&shows);
}

/* ---- doing ---- */

static json_t *request_of(const struct view *v, const char *op)
{
	return json_pack("{s:s,s:s,s:s}", "op", op, "chair", v->ask.chair, "operator", v->operator_name);
}

static void ask_first(struct view *v, json_t *request, const char *done, const char *question)
{
	json_decref(v->wanted);
	v->wanted = request;
	v->done = done;
	snprintf(v->question, sizeof v->question, "%s", question);
	v->typed[0] = '\0';
	v->mode = ASKING;
}

/* Keeps what two people may do all the same; NULL: nothing. */
static void keep_refused(struct view *v, json_t *request, const char *done)
{
	json_decref(v->refused_request);
	v->refused_request = request;
	v->refused_done = done;
}

/* Sends a request (stolen).  What only warns is asked back once, what two people may do waits for the key v. */
static void carry_out(struct view *v, json_t *request, const char *done)
{
	char words[400];
	json_t *again = json_copy(request);
	v->ask.patience_ms = DO_PATIENCE_MS;
	v->trouble[0] = '\0';
	json_t *answer = vs_ask_daemon(&v->ask, request);
	if (!answer) {
		snprintf(words, sizeof words, "NOT DONE, as far as is known: %.300s", v->trouble);
		say(v, words);
	} else if (json_is_true(json_object_get(answer, "ok"))) {
		keep_refused(v, NULL, NULL);
		snprintf(words, sizeof words, "%s%s%.300s", done, *vs_json_text(answer, "warning") ? " - " : "",
			 vs_json_text(answer, "warning"));
		say(v, words);
	} else {
		size_t n = strlen(vs_bedside_refusal(answer, words, sizeof words));
		if (vs_bedside_may_override(answer))
			snprintf(words + (n < 360 ? n : 360), 40, "  [v: override, by two people]");
		say(v, words);
		if (vs_bedside_only_warns(answer) && !json_object_get(again, "confirm")) {
			json_object_set_new(again, "confirm", json_true());
			ask_first(v, json_incref(again), done, "A warning.  Do it all the same? y/n ");
		}
		if (!json_object_get(again, "override")) /* a wrong second person may be put right */
			keep_refused(v, vs_bedside_may_override(answer) ? json_incref(again) : NULL, done);
	}
	json_decref(answer);
	json_decref(again);
	v->asked_ms = 0; /* look at once what became of it */
}

/* KIND and its words, parted at blanks. */
static void send_entry(struct view *v)
{
	char text[sizeof v->typed], *rest;
	json_t *words = json_array();
	memcpy(text, v->typed, sizeof text);
	char *kind = strtok_r(text, " ", &rest);
	for (char *w; kind && (w = strtok_r(NULL, " ", &rest));)
		json_array_append_new(words, json_string(w));
	if (!kind) {
		json_decref(words);
		return;
	}
	json_t *request = request_of(v, "entry");
	json_object_set_new(request, "entry", json_string(kind));
	json_object_set_new(request, "words", words);
	snprintf(v->entered, sizeof v->entered, "%.60s is in the record", v->typed);
	carry_out(v, request, v->entered);
}

static void ask_phase(struct view *v)
{
	char text[sizeof v->typed], *rest, question[160];
	memcpy(text, v->typed, sizeof text);
	const char *phase = strtok_r(text, " ", &rest), *reason = strtok_r(NULL, "", &rest);
	if (!phase)
		return;
	json_t *request = request_of(v, "session-phase");
	json_object_set_new(request, "phase", json_string(phase));
	if (reason && *reason)
		json_object_set_new(request, "reason", json_string(reason));
	snprintf(question, sizeof question, "%s: from %s to %.20s? y/n ", v->ask.chair, v->bedside.phase, phase);
	ask_first(v, request, "done", question);
}

/* "70 dose 0.5 over 40 step 2" into the request.  False: something else. */
static bool put_orders(json_t *request, char **rest)
{
	static const struct {
		const char *word, *key;
	} orders[] = { { "dose", "dose_mgkg" }, { "over", "over_min" }, { "step", "step" } };
	const char *key = "weight_kg";
	for (char *word; (word = strtok_r(NULL, " ", rest)); key = NULL) {
		char *end;
		for (size_t i = 0; !key && i < sizeof orders / sizeof *orders; i++)
			key = strcmp(word, orders[i].word) == 0 ? orders[i].key : NULL;
		const char *number = strcmp(key ? key : "", "weight_kg") == 0 ? word : strtok_r(NULL, " ", rest);
		double value = number ? strtod(number, &end) : 0;
		if (!key || !number || end == number || *end)
			return false;
		json_object_set_new(request, key, json_real(value));
	}
	return true;
}

/* "N-17 P1 70 dose 0.5 over 40 step 2": the patient's code, the protocol, the weight, what was ordered. */
static void ask_session(struct view *v)
{
	char text[sizeof v->typed], *rest, question[160];
	memcpy(text, v->typed, sizeof text);
	const char *patient = strtok_r(text, " ", &rest), *protocol = strtok_r(NULL, " ", &rest);
	if (!patient)
		return;
	json_t *request = request_of(v, "session-start");
	json_object_set_new(request, "patient", json_string(patient));
	if (protocol)
		json_object_set_new(request, "protocol", json_string(protocol));
	if (!protocol || !put_orders(request, &rest)) {
		say(v, "not done: CODE PROTOCOL KG, then dose MG/KG, over MINUTES, step N; for example N-17 P2 70 dose 0.5 over 50");
		json_decref(request);
		return;
	}
	snprintf(question, sizeof question, "%s: open a session, %.100s? y/n ", v->ask.chair, v->typed);
	ask_first(v, request, "the session is open", question);
}

/* "too painful / bert" */
static void take_override(struct view *v)
{
	json_t *request = json_copy(v->refused_request);
	char *slash = strrchr(v->typed, '/'), *second = slash ? slash + 1 + strspn(slash + 1, " ") : NULL;
	if (slash)
		*slash = '\0';
	for (size_t n = strlen(v->typed); n && v->typed[n - 1] == ' '; n--)
		v->typed[n - 1] = '\0';
	if (!slash || !*second || !*v->typed) {
		json_decref(request);
		say(v, "not done: an override needs its reason, a / and the name of the second person");
		return;
	}
	json_object_set_new(request, "override", json_string(v->typed));
	json_object_set_new(request, "second", json_string(second));
	carry_out(v, request, v->refused_done);
}

/* The alarm of a row, as it stood there when the key was pressed. */
static void ask_alarm(struct view *v, unsigned row)
{
	char question[sizeof v->question];
	if (row >= v->bedside.n_alarms) {
		say(v, "there is no such alarm on the screen");
		return;
	}
	json_t *request = request_of(v, "alarm-ack");
	json_object_set_new(request, "alarm", json_string(v->bedside.alarm[row].id));
	snprintf(question, sizeof question, "acknowledge %.55s? y/n ", v->bedside.alarm[row].text);
	ask_first(v, request, "acknowledged", question);
}

static void take_operator(struct view *v)
{
	if (!*v->typed)
		return;
	char words[80];
	snprintf(v->operator_name, sizeof v->operator_name, "%.32s", v->typed);
	snprintf(words, sizeof words, "what is done from here on is done by %s", v->operator_name);
	say(v, words);
}

/* A line is complete. */
static void take_line(struct view *v)
{
	enum mode was = v->mode;
	v->mode = LOOKING;
	if (was == TYPING_ENTRY)
		send_entry(v);
	else if (was == TYPING_PHASE)
		ask_phase(v);
	else if (was == TYPING_OPERATOR)
		take_operator(v);
	else if (was == TYPING_SESSION)
		ask_session(v);
	else if (was == TYPING_OVERRIDE)
		take_override(v);
}

static void type(struct view *v, int key)
{
	size_t len = strlen(v->typed);
	if (key == VS_KEY_ESCAPE) {
		v->mode = LOOKING;
	} else if (key == VS_KEY_ENTER) {
		take_line(v);
	} else if (key == VS_KEY_BACK) {
		if (len)
			v->typed[len - 1] = '\0';
	} else if (key >= ' ' && key < 127 && len + 1 < sizeof v->typed) {
		v->typed[len] = (char)key;
		v->typed[len + 1] = '\0';
	}
}

/* Only a y is a yes. */
static void decide(struct view *v, int key)
{
	json_t *request = v->wanted;
	v->wanted = NULL;
	v->mode = LOOKING;
	if (key == 'y' || key == 'Y') {
		carry_out(v, request, v->done);
	} else {
		json_decref(request);
		say(v, "not done");
	}
}

static void begin(struct view *v, enum mode mode)
{
	v->mode = mode;
	v->typed[0] = v->message[0] = '\0';
}

static void take_command(struct view *v, int key)
{
	switch (key) {
	case 'a': case 'A':
		carry_out(v, request_of(v, "alarm-ack"), "acknowledged");
		break;
	case 'p': case 'P':
		carry_out(v, request_of(v, "alarm-pause"), "audio paused; new alarms sound all the same");
		break;
	case 'r': case 'R':
		carry_out(v, request_of(v, "alarm-resume"), "the audio sounds again");
		break;
	case 'e': case 'E':
		begin(v, TYPING_ENTRY);
		break;
	case 'f': case 'F':
		begin(v, TYPING_PHASE);
		break;
	case 'v': case 'V':
		if (v->refused_request)
			v->mode = TYPING_OVERRIDE, v->typed[0] = '\0';
		else
			say(v, "nothing was refused that two people may override");
		break;
	case 's': case 'S':
		begin(v, TYPING_SESSION);
		break;
	case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
		ask_alarm(v, (unsigned)(key - '1'));
		break;
	case 'o': case 'O':
		begin(v, TYPING_OPERATOR);
		break;
	case '?': case 'h': case 'H':
		v->mode = HELPING;
		break;
	case 'q': case 'Q':
		v->quit = true;
		break;
	default:
		v->message[0] = '\0';
		break;
	}
}

static void take_key(struct view *v, int key)
{
	if (key == VS_KEY_NONE)
		return;
	if (v->mode == LOOKING)
		take_command(v, key);
	else if (v->mode == HELPING)
		v->mode = LOOKING;
	else if (v->mode == ASKING)
		decide(v, key);
	else
		type(v, key);
}

static void catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction sa = { .sa_handler = on_signal };
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		sigaction(numbers[i], &sa, NULL);
}

static void run(struct view *v)
{
	v->answered_ms = now_ms();
	while (!v->quit && !told_to_end) {
		if (now_ms() - v->asked_ms >= ASK_EVERY_MS)
			look(v);
		draw(v);
		take_key(v, vs_screen_key(DRAW_EVERY_MS));
	}
}

int vs_ctl_chair(int argc, char **argv)
{
	static struct view v;
	if (argc > 1 && strcmp(argv[argc - 1], "--help") == 0) {
		puts("usage: vitalsctl chair --chair C [--operator NAME]\n\n"
		     "The screen at the bedside: 80 by 24 and larger, smaller ones get a line a value; NO_COLOR switches colours off.  Keys:\n"
		     "  a acknowledge all   1-9 acknowledge that alarm   p pause the audio   r resume\n"
		     "  e entry   f phase   s open a session   v override what was refused   o who you are   ? help   q quit");
		return VS_EXIT_DONE;
	}
	int r = vs_ask_options(&v.ask, argc, argv, NULL);
	if (r != VS_EXIT_DONE)
		return r;
	if (!v.ask.chair || v.ask.n_words || v.ask.json)
		return vs_ctl_usage("chair: --chair is needed, and takes no words; 'vitalsctl status --json' is for programs");
	if (!vs_ask_socket(&v.ask, v.control, sizeof v.control))
		return VS_EXIT_FAILED;
	v.ask.control = v.control;
	snprintf(v.operator_name, sizeof v.operator_name, "%.32s", v.ask.operator_name);
	v.ask.trouble = v.trouble;
	v.ask.trouble_cap = sizeof v.trouble;
	if (vs_screen_open() < 0)
		return vs_ctl_fail("chair: this is no terminal that can be drawn on (TERM=%s); 'vitalsctl status --chair %s' "
				   "says the same in lines", getenv("TERM") ? getenv("TERM") : "", v.ask.chair);
	catch_signals();
	run(&v);
	vs_screen_close();
	json_decref(v.answer);
	json_decref(v.wanted);
	json_decref(v.refused_request);
	return told_to_end && told_to_end != SIGINT ? 128 + told_to_end : VS_EXIT_DONE;
}
