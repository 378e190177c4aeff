/* vitalsctl watch: live events, without holes.  The home of nanomsg among the clients.
 *
 * For each daemon one socket that subscribes and one that asks.  What a subscriber misses it asks for: after a gap in the
 * numbers of a topic, and when `alive` tells of numbers that never came. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <nanomsg/nn.h>
#include <nanomsg/pubsub.h>
#include <nanomsg/reqrep.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clients/ctl/ctl.h"
#include "clients/ctl/follow.h"
#include "clients/ctl/show.h"
#include "config/config.h"
#include "core/json.h"

#define URLS_MAX 16
#define TOPICS_MAX 16
#define LOOK_MS 250          /* how often lost chairs are looked for */
#define LOST_MS 3000         /* contract, section 3 */
#define ANSWER_MS 2000
#define ASK_AGAIN_MS 5000    /* after a question without an answer */
#define SILENT_MS 1500       /* each chair says `alive` once a second: the connection may be dead */
#define RECONNECT_MS 20
#define RECEIVE_BUFFER (4 << 20)
#define EPOCHS_BACK 20       /* a gap across more starts of the daemon than these is shown from there on */

static const char help[] =
	"usage: vitalsctl watch [--connect URL]... [--query URL]... [--config FILE] [--topic PREFIX]... [--json] [--for SECONDS]\n\n"
	"What happens at the chairs, as it happens; messages that were missed are asked for and shown in their order.\n"
	"It says so when nothing is heard of a chair for 3 s, and when it is back.\n\n"
	"  --connect URL   events URL of a daemon (default: the one of --config, else ipc:///run/vitalsd/events.ipc)\n"
	"  --query URL     its query URL, in the order of --connect (default: query.ipc beside events.ipc, or the next tcp port)\n"
	"  --config FILE   the daemon's configuration names both\n"
	"  --topic PREFIX  only these, as alarm/ or alarm/chair-1\n"
	"  --all           every reading; without it a signal is shown every 10 s, a cuff reading always\n"
	"  --json          one event a line, as published; a lost chair is {\"kind\":\"lost\",...}, one that is back \"returned\"\n"
	"  --for SECONDS   end after so long\n";

struct chair {
	char id[64], site[64];
	uint64_t heard_ms;
	bool lost;
	bool kept_back;       /* its messages wait, because the record is full */
	json_int_t counts[3]; /* of its alarms by priority, when they were last shown while messages waited */
};

struct source {
	const char *events;
	char named[256]; /* what `events` points at where --config named it */
	char query[256]; /* "": unknown */
	int sub, req;
	struct vs_follow follow;
	struct chair *chairs;
	size_t n_chairs;
	bool heard, introduced; /* something came; the snapshot was shown */
	uint64_t ask_again_ms, silent_ms;
	uint64_t missed; /* messages that could not be recovered */
};

struct watch {
	struct source sources[URLS_MAX];
	size_t n_sources;
	const char *topics[TOPICS_MAX];
	size_t n_topics;
	struct vs_show show;
	bool json;
	uint64_t end_ms; /* 0: none */
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- Topics ---- */

/* Whether a message with this topic is wanted; a prefix may name the whole topic, with or without the space after it. */
static bool wanted(const struct watch *w, const char *kind, const char *chair)
{
	char topic[128];
	snprintf(topic, sizeof topic, "%.31s/%.63s ", kind, chair);
	for (size_t i = 0; i < w->n_topics; i++)
		if (strncmp(topic, w->topics[i], strlen(w->topics[i])) == 0)
			return true;
	return w->n_topics == 0;
}

/* Whether we hear the `alive` of a chair: of all chairs, or of those that the topics name. */
static bool follows(const struct watch *w, const char *id)
{
	char chair[80];
	snprintf(chair, sizeof chair, "%.63s ", id);
	for (size_t i = 0; i < w->n_topics; i++) {
		const char *named = strchr(w->topics[i], '/');
		if (!named || strncmp(chair, named + 1, strlen(named + 1)) == 0)
			return true;
	}
	return w->n_topics == 0;
}

static void subscribe(const struct watch *w, int sub)
{
	for (size_t i = 0; i < w->n_topics; i++) {
		char alive[128];
		const char *chair = strchr(w->topics[i], '/');
		snprintf(alive, sizeof alive, "alive%s", chair ? chair : "/");
		nn_setsockopt(sub, NN_SUB, NN_SUB_SUBSCRIBE, w->topics[i], strlen(w->topics[i]));
		nn_setsockopt(sub, NN_SUB, NN_SUB_SUBSCRIBE, alive, strlen(alive));
	}
	if (w->n_topics == 0)
		nn_setsockopt(sub, NN_SUB, NN_SUB_SUBSCRIBE, "", 0);
}

/* ---- Asking ---- */

static int open_req(struct source *s)
{
	int answer_ms = ANSWER_MS, again_ms = RECONNECT_MS, any = -1;
	if (s->req >= 0)
		nn_close(s->req);
	s->req = nn_socket(AF_SP, NN_REQ);
	nn_setsockopt(s->req, NN_SOL_SOCKET, NN_RECONNECT_IVL, &again_ms, sizeof again_ms);
	nn_setsockopt(s->req, NN_SOL_SOCKET, NN_RCVMAXSIZE, &any, sizeof any);
	nn_setsockopt(s->req, NN_SOL_SOCKET, NN_RCVTIMEO, &answer_ms, sizeof answer_ms);
	nn_setsockopt(s->req, NN_SOL_SOCKET, NN_SNDTIMEO, &answer_ms, sizeof answer_ms);
	return nn_connect(s->req, s->query);
}

static json_t *receive_answer(struct source *s)
{
	void *text;
	int len = nn_recv(s->req, &text, NN_MSG, 0);
	if (len < 0)
		return NULL;
	json_t *answer = json_loadb(text, (size_t)len, 0, NULL);
	nn_freemsg(text);
	return answer;
}

/* The answer, or NULL: there is none now. */
static json_t *ask(struct source *s, const char *question)
{
	if (s->req < 0 || now_ms() < s->ask_again_ms)
		return NULL;
	json_t *answer = nn_send(s->req, question, strlen(question), 0) < 0 ? NULL : receive_answer(s);
	if (!answer) {
		s->ask_again_ms = now_ms() + ASK_AGAIN_MS;
		open_req(s);
	}
	if (answer && !json_is_true(json_object_get(answer, "ok"))) {
		json_decref(answer);
		return NULL;
	}
	return answer;
}

static json_t *ask_replay(struct source *s, const struct vs_stream *of, uint64_t epoch, uint64_t after)
{
	char question[512];
	struct vs_json j = vs_json_into(question, sizeof question);
	vs_json_open(&j, '{');
	vs_json_key(&j, "op"), vs_json_string(&j, "replay");
	vs_json_key(&j, "chair"), vs_json_string(&j, of->chair);
	vs_json_key(&j, "kind"), vs_json_string(&j, of->kind);
	vs_json_key(&j, "epoch"), vs_json_uint(&j, epoch);
	vs_json_key(&j, "after"), vs_json_uint(&j, after);
	vs_json_close(&j, '}');
	return ask(s, question);
}

/* ---- Showing ---- */

static void show(const struct watch *w, const json_t *event, const char *text, const char *note)
{
	if (!w->json) {
		vs_show_calm((json_t *)(uintptr_t)event, "");
		vs_show_event(&w->show, event, note);
		return;
	}
	char *own = text ? NULL : json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(12));
	if (text || own)
		puts(text ? text : own);
	free(own);
}

static uint64_t number_of(const json_t *event, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(event, key));
	return n < 0 ? 0 : (uint64_t)n;
}

/* Shows what one answer brought, up to `until`.  Returns how many. */
static uint64_t show_recovered(const struct watch *w, struct vs_stream *stream, const json_t *answer, uint64_t epoch,
			       uint64_t until)
{
	uint64_t n = 0;
	size_t i;
	const json_t *event;
	json_array_foreach(json_object_get(answer, "events"), i, event) {
		uint64_t seq = number_of(event, "seq");
		if (vs_stream_offer(stream, epoch, seq) == VS_OFFER_SEEN || seq > until)
			continue;
		show(w, event, NULL, "(recovered)");
		vs_stream_advance(stream, epoch, seq);
		n++;
	}
	return n;
}

/* One epoch's messages up to `until`.  False: nobody answers. */
static bool recover_epoch(const struct watch *w, struct source *s, struct vs_stream *stream, uint64_t epoch, uint64_t until)
{
	for (;;) {
		uint64_t after = stream->epoch == epoch ? stream->seq : 0;
		if (after >= until)
			return true;
		json_t *answer = ask_replay(s, stream, epoch, after);
		if (!answer)
			return false;
		uint64_t n = show_recovered(w, stream, answer, epoch, until);
		bool more = json_is_true(json_object_get(answer, "more"));
		json_decref(answer);
		if (n == 0 || !more)
			return true;
	}
}

static void say_missing(struct source *s, const struct vs_stream *stream, uint64_t n, const char *why)
{
	s->missed += n;
	fprintf(stderr, "vitalsctl: %s/%s: %" PRIu64 " message%s missing: %s\n", stream->kind, stream->chair, n,
		n == 1 ? " is" : "s are", why);
}

/* Fetches and shows everything between what the stream has and (epoch, until), also from earlier epochs.  False: it
 * could not be asked for now. */
static bool recover(const struct watch *w, struct source *s, struct vs_stream *stream, uint64_t epoch, uint64_t until)
{
	uint64_t from = stream->epoch + EPOCHS_BACK < epoch ? epoch - EPOCHS_BACK : stream->epoch;
	for (uint64_t e = from; e < epoch; e++)
		if (!recover_epoch(w, s, stream, e, UINT64_MAX))
			return false;
	if (!recover_epoch(w, s, stream, epoch, until))
		return false;
	uint64_t have = stream->epoch == epoch ? stream->seq : 0;
	if (have < until)
		say_missing(s, stream, until - have, "the daemon does not have them either");
	vs_stream_advance(stream, epoch, until);
	return true;
}

static void on_numbered(const struct watch *w, struct source *s, const json_t *event, const char *text, const char *kind,
			const char *chair)
{
	struct vs_stream *stream = vs_follow_stream(&s->follow, kind, chair);
	uint64_t epoch = number_of(event, "epoch"), seq = number_of(event, "seq");
	enum vs_offer offer = stream ? vs_stream_offer(stream, epoch, seq) : VS_OFFER_NEXT;
	if (offer == VS_OFFER_SEEN)
		return;
	if (offer == VS_OFFER_GAP && seq > 0 && !recover(w, s, stream, epoch, seq - 1)) {
		uint64_t have = stream->epoch == epoch ? stream->seq : 0;
		say_missing(s, stream, seq - 1 - have, "the query socket does not answer");
	}
	show(w, event, text, "");
	if (stream)
		vs_stream_advance(stream, epoch, seq);
}

/* ---- Chairs that come and go ---- */

static struct chair *chair_of(struct source *s, const char *site, const char *id)
{
	for (size_t i = 0; i < s->n_chairs; i++)
		if (strcmp(s->chairs[i].id, id) == 0)
			return &s->chairs[i];
	struct chair *more = realloc(s->chairs, (s->n_chairs + 1) * sizeof *more);
	if (!more)
		return NULL;
	s->chairs = more;
	struct chair *c = &s->chairs[s->n_chairs++];
	*c = (struct chair){ .heard_ms = now_ms() };
	snprintf(c->id, sizeof c->id, "%s", id);
	snprintf(c->site, sizeof c->site, "%s", site);
	return c;
}

/* {"kind":"lost","site":...,"chair":...,"time":...,"text":...} */
static void print_chair(const struct chair *c, const char *kind, const char *text)
{
	char line[512];
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	struct vs_json j = vs_json_into(line, sizeof line);
	vs_json_open(&j, '{');
	vs_json_key(&j, "kind"), vs_json_string(&j, kind);
	vs_json_key(&j, "site"), vs_json_string(&j, c->site);
	vs_json_key(&j, "chair"), vs_json_string(&j, c->id);
	vs_json_key(&j, "time"), vs_json_time(&j, (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000);
	vs_json_key(&j, "text"), vs_json_string(&j, text);
	vs_json_close(&j, '}');
	puts(line);
}

static void say_chair(const struct watch *w, struct chair *c, bool lost)
{
	const char *text = lost ? "LOST: no sign of life for 3 s. Look at the patient, then at the station"
				: "back: alive again";
	c->lost = lost;
	if (w->json) {
		print_chair(c, lost ? "lost" : "returned", text);
		fprintf(stderr, "vitalsctl: %s: %s\n", c->id, text);
	} else {
		vs_show_chair(&w->show, c->site, c->id, lost, text);
	}
}

static void look_for_lost(const struct watch *w, struct source *s)
{
	uint64_t now = now_ms();
	for (size_t i = 0; i < s->n_chairs; i++)
		if (!s->chairs[i].lost && now - s->chairs[i].heard_ms > LOST_MS)
			say_chair(w, &s->chairs[i], true);
}

/* ---- Messages ---- */

/* What stands, and the numbers from which on we follow. */
static void introduce(const struct watch *w, struct source *s)
{
	size_t i;
	const json_t *chair;
	json_t *snapshot = ask(s, "{\"op\":\"snapshot\"}");
	if (!snapshot)
		return;
	s->introduced = true;
	uint64_t epoch = number_of(snapshot, "epoch");
	json_array_foreach(json_object_get(snapshot, "chairs"), i, chair) {
		const char *id = json_string_value(json_object_get(chair, "chair")), *kind;
		const char *site = json_string_value(json_object_get(snapshot, "site"));
		json_t *last;
		if (!id || !site)
			continue;
		if (follows(w, id))
			chair_of(s, site, id);
		json_object_foreach(json_object_get(chair, "last"), kind, last) {
			struct vs_stream *stream = vs_follow_stream(&s->follow, kind, id);
			if (stream && !stream->known)
				vs_stream_advance(stream, epoch, (uint64_t)json_integer_value(last));
		}
	}
	if (!w->json)
		vs_show_snapshot(&w->show, snapshot, true);
	json_decref(snapshot);
}

static bool counts_changed(struct chair *c, const json_t *event)
{
	static const char *const priorities[] = { "high", "medium", "low" };
	const json_t *alarms = json_object_get(event, "alarms");
	bool changed = false;
	for (size_t i = 0; i < 3; i++) {
		json_int_t n = json_integer_value(json_object_get(alarms, priorities[i]));
		changed = changed || n != c->counts[i];
		c->counts[i] = n;
	}
	return changed;
}

/* The daemon keeps its messages back, because its record is full (`alive.waiting`): what stands has to be asked for. */
static void show_kept_back(const struct watch *w, struct source *s, const struct chair *c, json_t *event)
{
	char question[128];
	snprintf(question, sizeof question, "{\"op\":\"snapshot\",\"chair\":\"%s\"}", c->id);
	json_t *snapshot = ask(s, question);
	const json_t *chair = json_array_get(json_object_get(snapshot, "chairs"), 0);
	fprintf(stderr, "vitalsctl: %s: the daemon's record is full, its messages are kept back; what stands now is shown instead\n",
		c->id);
	if (chair && w->json) {
		json_t *line = json_pack("{ss ss ss sO sO sO}", "kind", "standing", "site", c->site, "chair", c->id, "time",
					 json_object_get(event, "time"), "waiting", json_object_get(event, "waiting"), "alarms",
					 json_object_get(chair, "alarms"));
		char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
		if (text)
			puts(text);
		free(text);
		json_decref(line);
	} else if (chair) {
		vs_show_snapshot(&w->show, snapshot, true);
	}
	json_decref(snapshot);
}

static void look_for_kept_back(const struct watch *w, struct source *s, struct chair *c, json_t *event)
{
	bool kept_back = json_integer_value(json_object_get(event, "waiting")) > 0;
	bool changed = counts_changed(c, event);
	if (kept_back && (changed || !c->kept_back))
		show_kept_back(w, s, c, event);
	else if (c->kept_back && !kept_back)
		fprintf(stderr, "vitalsctl: %s: the record is being written again; what was kept back comes now\n", c->id);
	c->kept_back = kept_back;
}

/* `alive` names the last number of each kind: what is behind that was lost on the way. */
static void on_alive(const struct watch *w, struct source *s, json_t *event, const char *site, const char *id)
{
	const char *kind;
	json_t *last;
	struct chair *c = chair_of(s, site, id);
	uint64_t epoch = number_of(event, "epoch");
	if (c && c->lost)
		say_chair(w, c, false);
	if (c) {
		c->heard_ms = now_ms();
		look_for_kept_back(w, s, c, event);
	}
	json_object_foreach(json_object_get(event, "last"), kind, last) {
		struct vs_stream *stream = wanted(w, kind, id) ? vs_follow_stream(&s->follow, kind, id) : NULL;
		uint64_t seq = (uint64_t)json_integer_value(last);
		if (!stream)
			continue;
		if (!stream->known)
			vs_stream_advance(stream, epoch, seq);
		else if (vs_stream_offer(stream, epoch, seq) != VS_OFFER_SEEN && (seq > 0 || epoch > stream->epoch))
			recover(w, s, stream, epoch, seq);
	}
}

static void on_message(const struct watch *w, struct source *s, char *text, size_t len)
{
	char *space = memchr(text, ' ', len);
	json_t *event = space ? json_loadb(space + 1, len - (size_t)(space + 1 - text), 0, NULL) : NULL;
	const char *kind = json_string_value(json_object_get(event, "kind"));
	const char *chair = json_string_value(json_object_get(event, "chair"));
	const char *site = json_string_value(json_object_get(event, "site"));
	if (kind && chair && site && strcmp(kind, "alive") == 0) {
		on_alive(w, s, event, site, chair);
		if (w->json ? wanted(w, kind, chair) : w->n_topics && wanted(w, kind, chair))
			show(w, event, space + 1, "");
	} else if (kind && chair && site && wanted(w, kind, chair)) {
		on_numbered(w, s, event, space + 1, kind, chair);
	}
	json_decref(event);
}

/* Everything that waits at one source. */
static void receive_all(const struct watch *w, struct source *s)
{
	char text[65536];
	int len;
	while (!stop && (len = nn_recv(s->sub, text, sizeof text - 1, NN_DONTWAIT)) >= 0) {
		if ((size_t)len > sizeof text - 1)
			continue; /* no event is so long */
		text[len] = '\0';
		s->heard = true;
		s->silent_ms = now_ms() + SILENT_MS;
		if (!s->introduced)
			introduce(w, s);
		on_message(w, s, text, (size_t)len);
	}
	fflush(stdout);
}

/* A fresh subscription.  Also for one that has fallen silent: nanomsg (1.1.5) keeps the unread rest of a broken ipc
 * connection and takes it for the beginning of the next one, so that such a socket never connects again. */
static int open_sub(const struct watch *w, struct source *s)
{
	int buffer = RECEIVE_BUFFER, again_ms = RECONNECT_MS;
	if (s->sub >= 0)
		nn_close(s->sub);
	s->silent_ms = now_ms() + SILENT_MS;
	s->sub = nn_socket(AF_SP, NN_SUB);
	if (s->sub < 0)
		return vs_ctl_fail("nanomsg: %s", nn_strerror(nn_errno()));
	nn_setsockopt(s->sub, NN_SOL_SOCKET, NN_RCVBUF, &buffer, sizeof buffer);
	nn_setsockopt(s->sub, NN_SOL_SOCKET, NN_RECONNECT_IVL, &again_ms, sizeof again_ms);
	subscribe(w, s->sub);
	if (nn_connect(s->sub, s->events) < 0)
		return vs_ctl_fail("cannot connect to '%s': %s", s->events, nn_strerror(nn_errno()));
	return VS_EXIT_DONE;
}

static void watch(struct watch *w)
{
	struct nn_pollfd on[URLS_MAX];
	uint64_t look_ms = now_ms() + LOOK_MS;
	while (!stop && (w->end_ms == 0 || now_ms() < w->end_ms)) {
		for (size_t i = 0; i < w->n_sources; i++)
			on[i] = (struct nn_pollfd){ .fd = w->sources[i].sub, .events = NN_POLLIN };
		int timeout = w->end_ms && w->end_ms - now_ms() < LOOK_MS ? (int)(w->end_ms - now_ms()) : LOOK_MS;
		int ready = nn_poll(on, (int)w->n_sources, timeout);
		for (size_t i = 0; ready > 0 && i < w->n_sources; i++)
			if (on[i].revents & NN_POLLIN)
				receive_all(w, &w->sources[i]);
		if (now_ms() < look_ms)
			continue;
		look_ms = now_ms() + LOOK_MS;
		for (size_t i = 0; i < w->n_sources; i++) {
			look_for_lost(w, &w->sources[i]);
			if (now_ms() > w->sources[i].silent_ms)
				open_sub(w, &w->sources[i]);
		}
		fflush(stdout);
	}
}

/* ---- Beginning and end ---- */

static int open_source(const struct watch *w, struct source *s)
{
	int r = open_sub(w, s);
	if (r != VS_EXIT_DONE)
		return r;
	if (!*s->query && !vs_query_url(s->events, s->query, sizeof s->query)) {
		fprintf(stderr, "vitalsctl: no query URL follows from '%s': missed messages are not asked for; give --query\n",
			s->events);
		return VS_EXIT_DONE;
	}
	if (open_req(s) < 0)
		return vs_ctl_fail("cannot connect to '%s': %s", s->query, nn_strerror(nn_errno()));
	introduce(w, s);
	if (!s->introduced)
		fprintf(stderr, "vitalsctl: no daemon answers at %s: waiting for one\n", s->query);
	s->ask_again_ms = 0;
	return VS_EXIT_DONE;
}

static void close_source(struct source *s)
{
	if (s->sub >= 0)
		nn_close(s->sub);
	if (s->req >= 0)
		nn_close(s->req);
	vs_follow_finish(&s->follow);
	free(s->chairs);
}

/* An endpoint as it is bound, as one connects to it from this machine. */
static void as_seen_from_here(const char *bound, char *ret, size_t cap)
{
	bool all = strncmp(bound, "tcp://*:", 8) == 0;
	snprintf(ret, cap, "%s%s", all ? "tcp://127.0.0.1:" : bound, all ? bound + 8 : "");
}

static int add_config(struct watch *w, const char *file)
{
	struct vs_config *config;
	struct vs_findings findings = { 0 };
	if (vs_config_load(file, &config, &findings) < 0) {
		vs_findings_print(&findings, stderr);
		vs_findings_clear(&findings);
		return VS_EXIT_CONFIG;
	}
	struct source *s = &w->sources[w->n_sources++];
	if (config->n_events)
		s->events = s->named, as_seen_from_here(config->events[0], s->named, sizeof s->named);
	if (config->n_queries)
		as_seen_from_here(config->queries[0], s->query, sizeof s->query);
	vs_config_free(config);
	return s->events ? VS_EXIT_DONE : vs_ctl_fail("'%s' names no events URL", file);
}

struct options {
	const char *config;
	const char *queries[URLS_MAX];
	size_t n_queries;
	bool help;
};

static int read_seconds(const char *text, uint64_t *ret_ms)
{
	char *end;
	double seconds = strtod(text, &end);
	if (end == text || *end || !(seconds > 0 && seconds < 1e9))
		return vs_ctl_usage("--for takes seconds, as in --for 60; '%s' is not that", text);
	*ret_ms = now_ms() + (uint64_t)(seconds * 1000);
	return VS_EXIT_DONE;
}

static int take_option(struct watch *w, struct options *o, int c)
{
	switch (c) {
	case 'c':
		if (w->n_sources == URLS_MAX)
			return vs_ctl_usage("at most %d URLs", URLS_MAX);
		w->sources[w->n_sources++].events = optarg;
		return VS_EXIT_DONE;
	case 'q':
		if (o->n_queries == URLS_MAX)
			return vs_ctl_usage("at most %d URLs", URLS_MAX);
		o->queries[o->n_queries++] = optarg;
		return VS_EXIT_DONE;
	case 't':
		if (w->n_topics == TOPICS_MAX)
			return vs_ctl_usage("at most %d topics", TOPICS_MAX);
		w->topics[w->n_topics++] = optarg;
		return VS_EXIT_DONE;
	case 'F':
		o->config = optarg;
		return VS_EXIT_DONE;
	case 'a':
		w->show.all = true;
		return VS_EXIT_DONE;
	case 'j':
		w->json = true;
		return VS_EXIT_DONE;
	case 'f':
		return read_seconds(optarg, &w->end_ms);
	case 'C': /* the control socket is not asked here */
		return VS_EXIT_DONE;
	case 'h':
		o->help = true;
		return VS_EXIT_DONE;
	default:
		return vs_ctl_usage("watch: see 'vitalsctl watch --help'");
	}
}

static int read_options(struct watch *w, struct options *o, int argc, char **argv)
{
	static const struct option known[] = {
		{ "connect", required_argument, NULL, 'c' }, { "query", required_argument, NULL, 'q' },
		{ "topic", required_argument, NULL, 't' },   { "config", required_argument, NULL, 'F' },
		{ "json", no_argument, NULL, 'j' },          { "for", required_argument, NULL, 'f' },
		{ "all", no_argument, NULL, 'a' },
		{ "control", required_argument, NULL, 'C' }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c, r = VS_EXIT_DONE;
	while (r == VS_EXIT_DONE && (c = getopt_long(argc, argv, "h", known, NULL)) != -1)
		r = take_option(w, o, c);
	if (r == VS_EXIT_DONE && optind < argc)
		return vs_ctl_usage("watch takes no '%s'; a chair is named with --topic, as alarm/chair-1", argv[optind]);
	return r;
}

static int find_sources(struct watch *w, const struct options *o)
{
	if (w->n_sources == 0 && o->config) {
		int r = add_config(w, o->config);
		if (r != VS_EXIT_DONE)
			return r;
	}
	if (w->n_sources == 0)
		w->sources[w->n_sources++].events = "ipc:///run/vitalsd/events.ipc";
	if (o->n_queries > w->n_sources)
		return vs_ctl_usage("there are more --query than --connect");
	for (size_t i = 0; i < o->n_queries; i++)
		snprintf(w->sources[i].query, sizeof w->sources[i].query, "%s", o->queries[i]);
	return VS_EXIT_DONE;
}

int vs_ctl_watch(int argc, char **argv)
{
	struct watch w = { .n_sources = 0 };
	struct options o = { .config = NULL };
	struct sigaction on = { .sa_handler = on_signal };
	int r = read_options(&w, &o, argc, argv);
	if (r != VS_EXIT_DONE)
		return r;
	if (o.help) {
		fputs(help, stdout);
		return VS_EXIT_DONE;
	}
	r = find_sources(&w, &o);
	w.show.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	w.show.sites = w.n_sources > 1;
	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
	for (size_t i = 0; i < w.n_sources; i++)
		w.sources[i].sub = w.sources[i].req = -1;
	for (size_t i = 0; r == VS_EXIT_DONE && !stop && i < w.n_sources; i++)
		r = open_source(&w, &w.sources[i]);
	fflush(stdout);
	if (r == VS_EXIT_DONE)
		watch(&w);
	bool heard = false;
	for (size_t i = 0; i < w.n_sources; i++) {
		heard = heard || w.sources[i].heard || w.sources[i].introduced;
		close_source(&w.sources[i]);
	}
	if (r == VS_EXIT_DONE && !heard)
		return vs_ctl_fail("nothing was heard: is vitalsd running, and does it publish at %s?", w.sources[0].events);
	return r;
}
