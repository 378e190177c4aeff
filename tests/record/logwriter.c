/* A small daemon of nothing but custody and store, for tests of the record and the benchmark.
 *
 *	logwriter DIR [--readings N] [--chairs N] [--rate N] [--cuff] [--quiet] [--ring BYTES] [--step-ms N] [--acks] [--calm N] [--wait]
 *
 * Writes readings and events into DIR/ring, of which the store makes DIR/vitals.db.  On stdout, one line for each
 * message once it is in custody: what would be published then.  --rate: readings a second (0: as fast as it goes).
 * --acks: DIR/acks gets a line whenever COMMIT has returned for more messages: how many of this run's it were so far.
 * --calm: after so many readings of each chair nothing happens but readings.
 * Lines on stdin: "stop" ends in order.  Prints "epoch N state BYTES" first. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/timetext.h"
#include "daemon/clock.h"
#include "daemon/store.h"
#include "record/seal.h"

struct writer {
	struct vs_custody *ring;
	struct vs_store *store;
	uint64_t epoch, seq[512][VS_KIND_COUNT];
	uint64_t alarm, standing[512]; /* the last alarm, and that of each chair */
	bool quiet;
	unsigned long given_up, kept;
	int acks; /* -1: nobody wants to know */
	uint64_t acknowledged, found; /* found: in the ring, left by the run before */
};

static char chair_name[512][16];

/* With --step-ms years pass in seconds, on both clocks alike. */
static _Atomic int64_t ahead_ms;

int clock_gettime(clockid_t id, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, id, t);
	if (id == CLOCK_BOOTTIME) {
		t->tv_sec += ahead_ms / 1000;
		t->tv_nsec += ahead_ms % 1000 * 1000000;
		if (t->tv_nsec >= 1000000000)
			t->tv_nsec -= 1000000000, t->tv_sec++;
	}
	return r;
}

static void publish(struct writer *w, const struct vs_event *e)
{
	char text[VS_EVENT_TEXT_MAX];
	if (w->quiet)
		return;
	size_t n = vs_event_message(e, text, sizeof text - 1);
	text[n++] = '\n';
	if (write(STDOUT_FILENO, text, n) < 0)
		exit(1);
}

static void acknowledge(struct writer *w, uint64_t recorded)
{
	char line[32];
	if (w->acks < 0 || recorded <= w->acknowledged)
		return;
	w->acknowledged = recorded;
	int n = snprintf(line, sizeof line, "%llu\n", (unsigned long long)recorded);
	if (write(w->acks, line, (size_t)n) != n)
		exit(1);
}

static void look_for_commits(struct writer *w)
{
	struct vs_store_health health;
	vs_store_health(w->store, &health);
	acknowledge(w, health.recorded);
}

static void keep(struct writer *w, unsigned chair, struct vs_event *e)
{
	e->site = "north-clinic";
	e->chair = chair_name[chair];
	e->epoch = w->epoch;
	e->seq = w->seq[chair][e->kind] + 1;
	if (!e->wall_ms)
		e->wall_ms = vs_wall_ms();
	vs_custody_begin(w->ring);
	int r = vs_custody_add(w->ring, e);
	if (r == 0) {
		w->seq[chair][e->kind]++;
		char state[64];
		int n = snprintf(state, sizeof state, "%s after %s %llu", e->chair, vs_kind_name(e->kind),
				 (unsigned long long)e->seq);
		if (e->kind != VS_KIND_VITALS)
			vs_custody_state(w->ring, e->chair, state, (size_t)n);
	}
	vs_custody_commit(w->ring);
	if (r == 0)
		publish(w, e), w->kept++;
	else
		w->given_up++;
	look_for_commits(w);
}

static void event(struct writer *w, unsigned chair, enum vs_kind kind, const char *session, const char *body)
{
	struct vs_event e = { .kind = kind, .session = session, .body = body, .body_len = strlen(body) };
	keep(w, chair, &e);
}

/* Readings of every shape that devices have; most are the plain one. */
static void reading(struct writer *w, unsigned chair, unsigned long n, const char *session, bool cuff, int64_t at)
{
	static const char *const own[VS_FLAG_OWN_COUNT] = { "tube_kinked", "lead \"A\" off" };
	struct vs_reading r = { .len = 0 };
	struct vs_event e = { .kind = VS_KIND_VITALS, .session = session, .device = cuff ? "bp" : "oximeter", .reading = &r,
			      .wall_ms = at };
	if (cuff) {
		vs_reading_add(&r, VS_NIBP_SYS, 110 + (double)(n % 60), 0);
		vs_reading_add(&r, VS_NIBP_DIA, 70 + (double)(n % 20), 0);
		vs_reading_add(&r, VS_NIBP_MAP, 85 + (double)(n % 30), 0);
		vs_reading_add(&r, VS_NIBP_PR, 60 + (double)(n % 50), 0);
		keep(w, chair, &e);
		return;
	}
	double spo2 = 94 + (double)(n / 7 % 6), pr = 62 + (double)(n / 3 % 40);
	switch (w->quiet ? 0 : n % 12) {
	case 3:
		vs_reading_add_none(&r, VS_SPO2, VS_FLAG(SENSOR_OFF));
		vs_reading_add_none(&r, VS_PR, 0);
		break;
	case 5:
		r.flags = VS_FLAG(MOTION);
		vs_reading_add(&r, VS_SPO2, spo2, VS_FLAG(LOW_PERFUSION));
		vs_reading_add(&r, VS_PR, pr, 0);
		break;
	case 7:
		e.device = "monitor";
		vs_reading_add(&r, VS_HR, 71, 0), vs_reading_add(&r, VS_SPO2, spo2, 0);
		vs_reading_add(&r, VS_RR, 14, VS_FLAG(QUESTIONABLE)), vs_reading_add(&r, VS_TEMP, 366 * 0.1, 0);
		vs_reading_add(&r, VS_PI, 3.14159, 0), vs_reading_add_word(&r, VS_NIBP_EVENT, "done");
		vs_reading_add(&r, VS_TEMP2, 36.0000001, 0);
		break;
	case 9:
		e.device = "bp";
		r.own_flags = own;
		vs_reading_add(&r, VS_NIBP_SYS, 120, UINT64_C(3) << VS_FLAG_OWN_FIRST);
		vs_reading_add_none(&r, VS_NIBP_DIA, VS_FLAG(DEVICE_ERROR));
		r.obs[1].device_error = 87;
		break;
	case 11:
		break; /* a completed poll that brought nothing */
	default:
		vs_reading_add(&r, VS_SPO2, spo2, 0);
		vs_reading_add(&r, VS_PR, pr, 0);
	}
	keep(w, chair, &e);
}

static void alarm_event(struct writer *w, unsigned chair, const char *session, const char *change, const char *state)
{
	char body[512], onset[VS_TIME_TEXT_CAP + 2];
	struct vs_json j = vs_json_into(onset, sizeof onset);
	vs_json_time(&j, vs_wall_ms());
	snprintf(body, sizeof body,
		 "\"alarm\":\"a-%06llu\",\"rule\":\"sbp-hi\",\"class\":\"physiological\",\"metric\":\"nibp_sys\",\"device\":\"bp\","
		 "\"priority\":\"%s\",\"change\":\"%s\",\"state\":\"%s\",\"signal\":\"on\",\"value\":184,\"limit\":180,"
		 "\"unit\":\"mm[Hg]\",\"direction\":\"high\",\"onset\":%s%s,\"text\":\"*** Systolic pressure 184, limit 180\"",
		 (unsigned long long)w->standing[chair], strcmp(change, "raised") ? "high" : "medium", change, state, onset,
		 strcmp(change, "acknowledged") ? "" : ",\"by\":\"nurse O'Neil\"");
	event(w, chair, VS_KIND_ALARM, session, body);
}

/* A limit set of two texts, which sessions name. */
static const struct {
	const char *name, *text;
} limit_texts[] = {
	{ "shipped.yaml", "sets:\n  - { name: shipped, rules: [] }\n" },
	{ "own.yaml", "sets:\n  - name: own\n    extends: shipped # it's \"quoted\" | so\n" },
};
static char limit_hash[3][VS_HASH_HEX]; /* of the set, and of each text */

static int record_limits(struct vs_store *store)
{
	static struct vs_store_set set = { .name = "own", .n = 3 };
	crypto_hash_sha256_state all;
	uint8_t hash[VS_HASH];
	crypto_hash_sha256_init(&all);
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t *text = (const uint8_t *)limit_texts[i].text;
		size_t len = strlen(limit_texts[i].text);
		crypto_hash_sha256(hash, text, len);
		vs_hex(hash, VS_HASH, limit_hash[1 + i]);
		crypto_hash_sha256_update(&all, text, len);
		set.texts[1 + i] = (struct vs_limit_text){ limit_texts[i].name, limit_texts[i].text, limit_hash[1 + i], len };
	}
	set.texts[0] = set.texts[1];
	crypto_hash_sha256_final(&all, hash);
	vs_hex(hash, VS_HASH, limit_hash[0]);
	set.hash = limit_hash[0];
	return vs_store_limits(store, &set, 1);
}

static const char *limits_body(const char *members)
{
	static char body[512];
	snprintf(body, sizeof body, "%s,\"limits\":\"own\",\"limits_hash\":\"%.16s\"", members, limit_hash[0]);
	return body;
}

/* Once in `cycle` readings a session runs from its start to its end, with an alarm in it. */
static const char *course(struct writer *w, unsigned chair, unsigned long n, const char *session, char buf[64])
{
	switch (n % 400) {
	case 20:
		snprintf(buf, 64, "s-20261121-%lu", n / 400 + 1 + chair * 100000ul + w->epoch * 1000);
		event(w, chair, VS_KIND_SESSION, buf, "\"phase\":\"screening\",\"patient\":\"P-7\",\"protocol\":\"P1\","
		      "\"operator\":\"nurse-1\",\"weight_kg\":72.5");
		return buf;
	case 60:
		event(w, chair, VS_KIND_SESSION, session, limits_body("\"phase\":\"infusion\",\"patient\":\"P-7\",\"operator\":\"nurse-1\""));
		event(w, chair, VS_KIND_ENTRY, session, "\"entry\":\"note\",\"value\":null,\"note\":\"calm \\u2603 \\\"well\\\"\","
		      "\"operator\":\"nurse-2\"");
		break;
	case 80:
		w->standing[chair] = ++w->alarm;
		alarm_event(w, chair, session, "raised", "active");
		alarm_event(w, chair, session, "escalated", "active");
		break;
	case 100:
		alarm_event(w, chair, session, "acknowledged", "active");
		alarm_event(w, chair, session, "cleared", "cleared");
		event(w, chair, VS_KIND_REQUEST, session, "\"request\":\"nibp-repeat\",\"reason\":\"high\",\"due\":null");
		break;
	case 300:
		event(w, chair, VS_KIND_SESSION, session, limits_body("\"phase\":\"recovery\",\"operator\":\"nurse-1\""));
		break;
	case 380:
		event(w, chair, VS_KIND_SESSION, session, "\"phase\":\"discharged\",\"operator\":\"nurse-1\"");
		return NULL;
	case 390:
		event(w, chair, VS_KIND_DEVICE, NULL, "\"device\":\"bp\",\"status\":\"offline\",\"detail\":\"no answer\"");
		break;
	}
	return session;
}

static void publish_seals(struct writer *w)
{
	struct vs_store_seal seal;
	while (vs_store_take_seal(w->store, &seal))
		event(w, (unsigned)atoi(seal.chair + 6) - 1, VS_KIND_SEAL, seal.session[0] ? seal.session : NULL, seal.body);
}

static bool told_to_stop(int wait_ms)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	char line[16];
	return poll(&p, 1, wait_ms) > 0 && read(STDIN_FILENO, line, sizeof line) > 0;
}

struct options {
	unsigned long readings, rate, calm;
	unsigned chairs;
	int64_t step_ms; /* of the readings' clocks; 0: they are of now */
	size_t ring_bytes;
	bool cuff, wait;
};

static int open_acks(const char *folder)
{
	char path[512];
	snprintf(path, sizeof path, "%s/acks", folder);
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The folder stands first, where the name of a program would. */
static bool parse(struct writer *w, struct options *o, int argc, char **argv)
{
	static const struct option known[] = { { "readings", required_argument, NULL, 'n' }, { "chairs", required_argument, NULL, 'c' },
					       { "rate", required_argument, NULL, 'r' },     { "calm", required_argument, NULL, 'm' },
					       { "ring", required_argument, NULL, 'b' },     { "step-ms", required_argument, NULL, 's' },
					       { "cuff", no_argument, NULL, 'f' },	     { "quiet", no_argument, NULL, 'q' },
					       { "acks", no_argument, NULL, 'a' },	     { "wait", no_argument, NULL, 'w' },
					       { 0 } };
	for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		unsigned long v = optarg ? strtoul(optarg, NULL, 10) : 0;
		switch (c) {
		case 'n': o->readings = v; break;
		case 'c': o->chairs = (unsigned)v; break;
		case 'r': o->rate = v; break;
		case 'm': o->calm = v; break;
		case 'b': o->ring_bytes = v; break;
		case 's': o->step_ms = (int64_t)v; break;
		case 'f': o->cuff = true; break;
		case 'q': w->quiet = true; break;
		case 'a': w->acks = open_acks(argv[0]); break;
		case 'w': o->wait = true; break;
		default: return false;
		}
	}
	return true;
}

/* 0, or the exit status. */
static int open_record(struct writer *w, const char *folder, size_t ring_bytes)
{
	char path[512], db[512];
	snprintf(path, sizeof path, "%s/ring", folder);
	snprintf(db, sizeof db, "%s/vitals.db", folder);
	if (vs_custody_open(path, ring_bytes, &w->ring) < 0)
		return 1;
	struct vs_store_options o = { .path = db, .site = "north-clinic", .config_hash = "0000", .version = VS_VERSION,
				      .ring = w->ring };
	int r = vs_store_open(&o, &w->store);
	if (r < 0) {
		vs_custody_close(w->ring);
		printf("refused %d\n", r);
		return 1;
	}
	return 0;
}

/* What the run before left. */
static void begin(struct writer *w)
{
	struct vs_store_health at_first;
	size_t len = 0;
	const void *state = vs_store_state(w->store, "chair-1", &len);
	w->epoch = vs_store_epoch(w->store);
	w->alarm = vs_store_last_alarm(w->store);
	printf("epoch %llu alarm %llu session %llu state %.*s\n", (unsigned long long)w->epoch, (unsigned long long)w->alarm,
	       (unsigned long long)vs_store_last_session(w->store, "20261121"), (int)len, state ? (const char *)state : "");
	fflush(stdout);
	vs_store_health(w->store, &at_first);
	w->found = at_first.recorded;
}

/* Until reading `n` of each chair is due; true: told to stop. */
static bool keep_pace(struct writer *w, const struct options *o, unsigned long n, uint64_t began_ms)
{
	bool stopped = false;
	if (!o->rate) {
		while (w->quiet && vs_custody_backlog(w->ring, VS_READER_LOG) > vs_custody_size(w->ring) / 4) /* at a half, readings are given up */
			usleep(1000);
		return false;
	}
	int64_t ahead = (int64_t)(n * o->chairs * 1000 / o->rate) - (int64_t)(vs_boottime_ms() - began_ms);
	for (; w->acks >= 0 && ahead > 2 && !stopped; ahead -= 2) {
		stopped = told_to_stop(2);
		look_for_commits(w);
	}
	return stopped || told_to_stop(ahead > 0 ? (int)ahead : 0);
}

static void write_all(struct writer *w, const struct options *o, uint64_t began_ms)
{
	const char *session[512] = { NULL };
	static char names[512][64];
	int64_t at = o->step_ms ? vs_wall_ms() - (int64_t)o->readings * o->step_ms : 0;
	bool stopped = false;
	for (unsigned long n = 0; n < o->readings && !stopped; n++) {
		for (unsigned c = 0; c < o->chairs; c++) {
			if (!w->quiet && n < o->calm)
				session[c] = course(w, c, n, session[c], names[c]);
			reading(w, c, n, session[c], o->cuff, at);
		}
		at += o->step_ms;
		ahead_ms += o->step_ms;
		publish_seals(w);
		stopped = keep_pace(w, o, n, began_ms);
	}
	while (o->wait && !stopped) {
		publish_seals(w);
		stopped = told_to_stop(50);
	}
}

static void end(struct writer *w, uint64_t began_ms)
{
	struct vs_store_health health;
	struct rusage u;
	vs_store_health(w->store, &health);
	vs_store_close(w->store);
	if (vs_custody_backlog(w->ring, VS_READER_LOG) == 0)
		acknowledge(w, w->found + w->kept);
	vs_custody_close(w->ring);
	getrusage(RUSAGE_SELF, &u);
	fprintf(stderr, "given up %lu, cpu %ld ms, wall %llu ms, failing %d, failures %llu, %s\n", w->given_up,
		(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000,
		(unsigned long long)(vs_boottime_ms() - began_ms), health.failing, (unsigned long long)health.failures,
		health.text);
}

int main(int argc, char **argv)
{
	static struct writer w = { .acks = -1 };
	struct options o = { .readings = 1000, .calm = ~0ul, .chairs = 1, .ring_bytes = 8u << 20 };
	if (argc < 2 || argv[1][0] == '-' || !parse(&w, &o, argc - 1, argv + 1))
		return 2;
	for (unsigned c = 0; c < 512; c++)
		snprintf(chair_name[c], sizeof chair_name[c], "chair-%u", c + 1);
	int r = open_record(&w, argv[1], o.ring_bytes);
	if (r)
		return r;
	begin(&w);
	if (record_limits(w.store) < 0 || vs_store_start(w.store) < 0)
		return 1;
	uint64_t began_ms = vs_boottime_ms();
	write_all(&w, &o, began_ms);
	end(&w, began_ms);
	return 0;
}
