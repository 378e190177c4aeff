#include "daemon/annunciator.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/say.h"
#include "daemon/speaker.h"

#define RUNS_MAX 4 /* waiting: three of a test, and the level */

struct annunciation {
	enum vs_priority priority;
	bool test;
};

struct vs_annunciator {
	char chair[VS_ID_CAP];
	struct vs_annunciator_config config;
	uv_loop_t *loop;
	struct vs_speaker *speaker;
	uv_async_t speaker_changed; /* open where speaker is */
	uv_timer_t patience;        /* of the command */
	uv_process_t process;
	bool running, closing, level_known, speaker_said, command_said;
	enum vs_priority level;
	struct annunciation waiting[RUNS_MAX];
	unsigned n_waiting, handles;
	char command_trouble[160];
};

/* ---- the command ------------------------------------------------------------------------------------------------- */

static void run_next(struct vs_annunciator *a);

/* Said once until it works again. */
static void set_command_trouble(struct vs_annunciator *a, const char *text)
{
	snprintf(a->command_trouble, sizeof a->command_trouble, "%s", text);
	if (*text && !a->command_said)
		vs_say(VS_SAY_WARNING, "%s: the annunciator's command %s %s; alarms go out as before, the lights may be wrong",
		       a->chair, a->config.command, text);
	else if (!*text && a->command_said)
		vs_say(VS_SAY_NOTICE, "%s: the annunciator's command works again", a->chair);
	a->command_said = *text != '\0';
}

static void free_when_done(struct vs_annunciator *a)
{
	if (a->handles == 0 && a->closing)
		free(a);
}

static void handle_closed(uv_handle_t *h)
{
	struct vs_annunciator *a = h->data;
	a->handles--;
	free_when_done(a);
}

static void process_closed(uv_handle_t *h)
{
	struct vs_annunciator *a = h->data;
	a->handles--;
	a->running = false;
	if (!a->closing)
		run_next(a);
	free_when_done(a);
}

static void on_exit_of(uv_process_t *p, int64_t status, int killed_by)
{
	struct vs_annunciator *a = p->data;
	char text[80] = "";
	if (killed_by)
		snprintf(text, sizeof text, "was ended by signal %d", killed_by);
	else if (status)
		snprintf(text, sizeof text, "ended with status %lld", (long long)status);
	if (!a->closing) {
		uv_timer_stop(&a->patience);
		set_command_trouble(a, text);
	}
	uv_close((uv_handle_t *)p, process_closed);
}

static void on_impatient(uv_timer_t *t)
{
	struct vs_annunciator *a = t->data;
	if (a->running)
		uv_process_kill(&a->process, SIGKILL);
}

static int spawn(struct vs_annunciator *a, struct annunciation what)
{
	char chair[VS_ID_CAP + 16], priority[40], path[] = "PATH=/usr/local/bin:/usr/bin:/bin", test[] = "VITALSD_TEST=1";
	char id[VS_ID_CAP], name[16];
	snprintf(id, sizeof id, "%s", a->chair);
	snprintf(name, sizeof name, "%s", vs_priority_name(what.priority));
	snprintf(chair, sizeof chair, "VITALSD_CHAIR=%s", id);
	snprintf(priority, sizeof priority, "VITALSD_PRIORITY=%s", name);
	char *args[] = { a->config.command, id, name, NULL };
	char *env[] = { path, chair, priority, what.test ? test : NULL, NULL };
	uv_process_options_t o = { .file = a->config.command, .args = args, .env = env, .exit_cb = on_exit_of };
	a->process.data = a;
	int r = uv_spawn(a->loop, &a->process, &o);
	a->handles++;
	a->running = true;
	if (r < 0) {
		set_command_trouble(a, uv_strerror(r));
		uv_close((uv_handle_t *)&a->process, process_closed);
	} else {
		uv_timer_start(&a->patience, on_impatient, VS_ANNUNCIATOR_COMMAND_MS, 0);
	}
	return r;
}

static void run_next(struct vs_annunciator *a)
{
	if (a->running || !a->n_waiting)
		return;
	struct annunciation next = a->waiting[0];
	memmove(a->waiting, a->waiting + 1, --a->n_waiting * sizeof *a->waiting);
	(void)spawn(a, next);
}

/* The newest level takes the place of one that still waits. */
static void run_level(struct vs_annunciator *a)
{
	if (!a->config.command[0])
		return;
	if (a->n_waiting && !a->waiting[a->n_waiting - 1].test)
		a->n_waiting--;
	if (a->n_waiting < RUNS_MAX)
		a->waiting[a->n_waiting++] = (struct annunciation){ a->level, false };
	run_next(a);
}

/* ---- the loudspeaker --------------------------------------------------------------------------------------------- */

/* On the speaker's thread: only wakes the loop. */
static void speaker_changed(void *arg)
{
	struct vs_annunciator *a = arg;
	uv_async_send(&a->speaker_changed);
}

static void on_speaker_changed(uv_async_t *h)
{
	struct vs_annunciator *a = h->data;
	char text[320];
	bool bad = a->speaker && vs_speaker_trouble(a->speaker, text, sizeof text);
	if (bad && !a->speaker_said)
		vs_say(VS_SAY_WARNING, "%s: no alarm can be heard at the chair: sound card %s; alarms go out as before, and the "
		       "card is looked for again", a->chair, text);
	else if (!bad && a->speaker_said)
		vs_say(VS_SAY_NOTICE, "%s: the sound card is there", a->chair);
	a->speaker_said = bad;
}

static void open_speaker(struct vs_annunciator *a)
{
	if (uv_async_init(a->loop, &a->speaker_changed, on_speaker_changed) < 0)
		return;
	a->handles++;
	a->speaker_changed.data = a;
	int r = vs_speaker_open(a->config.device, speaker_changed, a, &a->speaker);
	if (r < 0)
		vs_say(VS_SAY_WARNING, "%s: no alarm can be heard at the chair: %s", a->chair,
		       r == -ENOSYS ? "this vitalsd was built without ALSA" : strerror(-r));
}

/* ---- together ---------------------------------------------------------------------------------------------------- */

int vs_annunciator_open(uv_loop_t *loop, const char *chair, const struct vs_annunciator_config *config,
	struct vs_annunciator **ret)
{
	*ret = NULL;
	if (!config->alsa && !config->command[0])
		return 0;
	struct vs_annunciator *a = calloc(1, sizeof *a);
	if (!a)
		return -ENOMEM;
	a->loop = loop;
	a->config = *config;
	snprintf(a->chair, sizeof a->chair, "%s", chair);
	uv_timer_init(loop, &a->patience);
	a->patience.data = a;
	a->handles = 1;
	if (config->alsa)
		open_speaker(a);
	*ret = a;
	return 0;
}

void vs_annunciator_level(struct vs_annunciator *a, enum vs_priority p)
{
	if (!a || (a->level_known && a->level == p))
		return;
	a->level = p;
	a->level_known = true;
	if (a->speaker)
		vs_speaker_level(a->speaker, p);
	run_level(a);
}

void vs_annunciator_test(struct vs_annunciator *a)
{
	if (!a)
		return;
	if (a->speaker)
		vs_speaker_test(a->speaker);
	if (!a->config.command[0])
		return;
	a->n_waiting = 0;
	for (unsigned p = VS_PRIORITY_LOW; p <= VS_PRIORITY_HIGH; p++)
		a->waiting[a->n_waiting++] = (struct annunciation){ p, true };
	run_level(a);
}

void vs_annunciator_body(const struct vs_annunciator *a, struct vs_json *j)
{
	char text[320];
	vs_json_key(j, "audio"), vs_json_string(j, a && a->config.alsa ? "alsa" : "off");
	if (a && a->config.alsa)
		vs_json_key(j, "device"), vs_json_string(j, a->config.device);
	if (a && a->config.alsa && !a->speaker)
		vs_json_key(j, "audio_trouble"), vs_json_string(j, "it could not be started; see the messages of vitalsd");
	if (a && a->speaker && vs_speaker_trouble(a->speaker, text, sizeof text))
		vs_json_key(j, "audio_trouble"), vs_json_string(j, text);
	if (a && a->config.command[0])
		vs_json_key(j, "command"), vs_json_string(j, a->config.command);
	if (a && a->command_trouble[0])
		vs_json_key(j, "command_trouble"), vs_json_string(j, a->command_trouble);
}

void vs_annunciator_close(struct vs_annunciator *a)
{
	if (!a)
		return;
	a->closing = true;
	vs_speaker_close(a->speaker);
	if (a->config.alsa && a->speaker_changed.data)
		uv_close((uv_handle_t *)&a->speaker_changed, handle_closed);
	a->speaker = NULL;
	if (a->running && uv_is_active((uv_handle_t *)&a->process))
		uv_process_kill(&a->process, SIGKILL);
	uv_close((uv_handle_t *)&a->patience, handle_closed);
}
