/* Years of a busy chair, in minutes: everything that a daemon records, through custody and the store, while both clocks
 * run ahead.  For tests of a log of several files, and for the figures of docs/performance.md ("The record").
 *
 *	decade DIR [--years 10] [--sessions 2500] [--seconds 15000] [--rotate year|BYTES] [--from UNIX_MS] [--restart N] [--open] [--entry BODY]...
 *
 * Sessions spread evenly over the years, each of so many seconds: an oximeter and a monitor of two values each at 1 Hz,
 * a cuff every five minutes, phases, entries, alarms.  Into DIR/ring and DIR/vitals.db.  --restart: after every N sessions
 * the daemon is started anew (0: never).  --open: the last session is not closed.  --entry: at the
 * end, an entry of no session with these members, and time for what the store makes of it.
 * Waits for the writer every five minutes of its time, so that seals come as they do in life; the disk
 * is not waited for. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/store.h"
#include "record/seal.h"

#define STEP_MS 300000

static _Atomic int64_t wall_ms, boot_ms;

/* The clocks of the whole program; the store reads no other. */
int clock_gettime(clockid_t id, struct timespec *t)
{
	int64_t ms = id == CLOCK_REALTIME ? wall_ms : boot_ms;
	if (id != CLOCK_REALTIME && id != CLOCK_BOOTTIME)
		return (int)syscall(SYS_clock_gettime, id, t);
	*t = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	return 0;
}

int fsync(int fd)
{
	return fd < 0;
}

int fdatasync(int fd)
{
	return fd < 0;
}

/* The writer looks again at once (meson.build wraps this one). */
bool __wrap_vs_custody_wait(struct vs_custody_reader *r, bool urgent_only, int timeout_ms);
bool __wrap_vs_custody_wait(struct vs_custody_reader *r, bool urgent_only, int timeout_ms)
{
	(void)r, (void)urgent_only, (void)timeout_ms;
	usleep(20);
	return true;
}

struct chair {
	struct vs_custody *ring;
	struct vs_store *store;
	const struct vs_store_options *options;
	uint64_t epoch, seq[VS_KIND_COUNT], alarm;
	char session[64];
	bool in_session;
	unsigned long readings, given_up;
};

static void keep(struct chair *c, struct vs_event *e)
{
	e->site = "north-clinic";
	e->chair = "chair-1";
	e->epoch = c->epoch;
	e->seq = c->seq[e->kind] + 1;
	e->wall_ms = wall_ms;
	e->session = c->in_session ? c->session : NULL;
	vs_custody_begin(c->ring);
	if (vs_custody_add(c->ring, e) == 0)
		c->seq[e->kind]++;
	else
		c->given_up++;
	if (e->kind == VS_KIND_SESSION)
		vs_custody_state(c->ring, e->chair, c->session, strlen(c->session));
	vs_custody_commit(c->ring);
}

static void tell(struct chair *c, enum vs_kind kind, const char *body)
{
	struct vs_event e = { .kind = kind, .body = body, .body_len = strlen(body) };
	keep(c, &e);
}

static void two(struct chair *c, const char *device, enum vs_metric a, double x, enum vs_metric b, double y, uint64_t flags)
{
	struct vs_reading r = { .flags = flags };
	struct vs_event e = { .kind = VS_KIND_VITALS, .device = device, .reading = &r };
	vs_reading_add(&r, a, x, 0);
	vs_reading_add(&r, b, y, 0);
	keep(c, &e);
	c->readings++;
}

static void cuff(struct chair *c, long n)
{
	struct vs_reading r = { .len = 0 };
	struct vs_event e = { .kind = VS_KIND_VITALS, .device = "bp", .reading = &r };
	vs_reading_add(&r, VS_NIBP_SYS, 118 + (double)(n % 40), 0);
	vs_reading_add(&r, VS_NIBP_DIA, 71 + (double)(n % 17), 0);
	vs_reading_add(&r, VS_NIBP_MAP, 86 + (double)(n % 23), 0);
	vs_reading_add(&r, VS_NIBP_PR, 66 + (double)(n % 29), 0);
	keep(c, &e);
	c->readings++;
}

static void alarm_says(struct chair *c, const char *change, const char *state)
{
	char body[640], onset[32];
	struct vs_json j = vs_json_into(onset, sizeof onset);
	vs_json_time(&j, wall_ms);
	snprintf(body, sizeof body,
		 "\"alarm\":\"a-%06llu\",\"rule\":\"sbp-hi\",\"class\":\"physiological\",\"metric\":\"nibp_sys\",\"device\":\"bp\","
		 "\"priority\":\"medium\",\"change\":\"%s\",\"state\":\"%s\",\"signal\":\"on\",\"value\":164,\"limit\":160,"
		 "\"unit\":\"mm[Hg]\",\"direction\":\"high\",\"onset\":%s%s,\"text\":\"** Systolic pressure 164, limit 160\"",
		 (unsigned long long)c->alarm, change, state, onset, strcmp(change, "acknowledged") ? "" : ",\"by\":\"nurse-2\"");
	tell(c, VS_KIND_ALARM, body);
}

static void phase(struct chair *c, const char *name, unsigned long n)
{
	char body[256];
	snprintf(body, sizeof body, "\"phase\":\"%s\",\"patient\":\"P-%03lu\",\"protocol\":\"P1\",\"operator\":\"nurse-%lu\","
		 "\"weight_kg\":72.5", name, n % 180, n % 5);
	tell(c, VS_KIND_SESSION, body);
}

/* What happens at a second of a session besides readings. */
static void course(struct chair *c, unsigned long n, long second, long seconds)
{
	if (second == seconds / 12)
		phase(c, "baseline", n);
	else if (second == seconds / 6)
		phase(c, "infusion", n);
	else if (second == seconds / 2)
		phase(c, "recovery", n);
	if (second % 900 == 450)
		tell(c, VS_KIND_ENTRY, "\"entry\":\"moaas\",\"value\":5,\"unit\":null,\"operator\":\"nurse-2\"");
	if (second % 2400 == 700) {
		c->alarm++;
		alarm_says(c, "raised", "active");
	} else if (second % 2400 == 730 && c->alarm) {
		alarm_says(c, "acknowledged", "active");
	} else if (second % 2400 == 900 && c->alarm) {
		alarm_says(c, "cleared", "cleared");
		tell(c, VS_KIND_REQUEST, "\"request\":\"nibp-repeat\",\"reason\":\"sbp-hi\",\"due\":null");
	}
}

static void second_of(struct chair *c, unsigned long n, long s)
{
	double slow = (double)(s / 40 % 12), fast = (double)(s / 5 % 7);
	two(c, "oximeter", VS_SPO2, 94 + (double)(s / 90 % 6), VS_PR, 62 + slow + fast, s % 60 == 7 ? VS_FLAG(MOTION) : 0);
	two(c, "monitor", VS_HR, 62 + slow + fast, VS_RR, 12 + (double)((s + (long)n) / 20 % 7), 0);
	if (s % 300 == 30)
		cuff(c, s / 300 + (long)n);
}

static void publish_seals(struct chair *c)
{
	struct vs_store_seal seal;
	while (vs_store_take_seal(c->store, &seal))
		tell(c, VS_KIND_SEAL, seal.body);
}

static void settle(struct chair *c)
{
	while (vs_custody_backlog(c->ring, VS_READER_LOG) > 0)
		usleep(20);
	publish_seals(c);
}

static void go(int64_t ms)
{
	wall_ms += ms;
	boot_ms += ms;
}

static void session(struct chair *c, unsigned long n, long seconds, bool open)
{
	char day[32];
	struct tm tm;
	time_t t = (time_t)(wall_ms / 1000);
	strftime(day, sizeof day, "%Y%m%d", gmtime_r(&t, &tm));
	snprintf(c->session, sizeof c->session, "s-%s-%llu", day, (unsigned long long)vs_store_last_session(c->store, day) + 1);
	c->in_session = true;
	phase(c, "screening", n);
	for (long s = 1; s < seconds; s++) {
		go(1000);
		second_of(c, n, s);
		course(c, n, s, seconds);
		if (s % (STEP_MS / 1000) == 0)
			settle(c);
	}
	go(1000);
	if (!open)
		phase(c, "discharged", n);
	c->in_session = open;
	settle(c);
}

/* The limits that the chair is judged by, of one text. */
static int name_limits(struct vs_store *store)
{
	static const char text[] = "sets:\n  - { name: ten-years, rules: [] }\n";
	static char hash[VS_HASH_HEX];
	static struct vs_store_set set = { .name = "ten-years", .hash = hash, .n = 2 };
	uint8_t digest[VS_HASH];
	crypto_hash_sha256(digest, (const uint8_t *)text, sizeof text - 1);
	vs_hex(digest, VS_HASH, hash);
	set.texts[0] = set.texts[1] = (struct vs_limit_text){ "ten-years.yaml", text, hash, sizeof text - 1 };
	return vs_store_limits(store, &set, 1);
}

static int start(struct chair *c)
{
	if (vs_store_open(c->options, &c->store) < 0)
		return -1;
	c->epoch = vs_store_epoch(c->store);
	c->alarm = vs_store_last_alarm(c->store);
	memset(c->seq, 0, sizeof c->seq);
	return name_limits(c->store) < 0 ? -1 : vs_store_start(c->store);
}

static void restart(struct chair *c)
{
	vs_store_close(c->store);
	go(60000);
	if (start(c) < 0)
		exit(1);
}

struct plan {
	unsigned long years, sessions, restart;
	long seconds;
	int64_t from_ms;
	bool open;
	const char *entries[8];
	unsigned n_entries;
};

static void run(struct chair *c, const struct plan *p)
{
	int64_t apart = (int64_t)p->years * 31557600000 / (int64_t)(p->sessions ? p->sessions : 1);
	for (unsigned long n = 0; n < p->sessions; n++) {
		int64_t at = p->from_ms + (int64_t)n * apart;
		if (at > wall_ms) /* nights and weekends */
			go(at - wall_ms);
		settle(c);
		usleep(200); /* the writer sees the new time once before the session */
		session(c, n, p->seconds, p->open && n + 1 == p->sessions);
		if (p->restart && (n + 1) % p->restart == 0 && n + 1 < p->sessions)
			restart(c);
	}
}

/* What an entry sets going is done when an entry behind it, which was made later, is in the log too. */
static void enter(struct chair *c, const struct plan *p)
{
	c->in_session = false;
	for (unsigned i = 0; i < p->n_entries; i++) {
		tell(c, VS_KIND_ENTRY, p->entries[i]);
		settle(c);
		go(1000);
		tell(c, VS_KIND_ENTRY, "\"entry\":\"note\",\"value\":null,\"note\":\"later\",\"operator\":\"nurse-2\"");
		settle(c);
	}
}

static int take_options(int argc, char **argv, struct plan *p, struct vs_store_options *o)
{
	for (int i = 2; i < argc; i++) {
		const char *v = i + 1 < argc ? argv[i + 1] : "";
		if (!strcmp(argv[i], "--open")) {
			p->open = true;
			continue;
		}
		if (!strcmp(argv[i], "--years"))
			p->years = strtoul(v, NULL, 10);
		else if (!strcmp(argv[i], "--sessions"))
			p->sessions = strtoul(v, NULL, 10);
		else if (!strcmp(argv[i], "--seconds"))
			p->seconds = strtol(v, NULL, 10);
		else if (!strcmp(argv[i], "--restart"))
			p->restart = strtoul(v, NULL, 10);
		else if (!strcmp(argv[i], "--entry") && p->n_entries < 8)
			p->entries[p->n_entries++] = v;
		else if (!strcmp(argv[i], "--from"))
			p->from_ms = strtoll(v, NULL, 10);
		else if (!strcmp(argv[i], "--rotate"))
			o->rotate_yearly = !strcmp(v, "year"), o->rotate_bytes = strtoull(v, NULL, 10);
		else
			return -1;
		i++;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct plan p = { .years = 10, .sessions = 2500, .seconds = 15000, .from_ms = 1768208400000 }; /* 12 January 2026, 9:00 */
	struct chair c = { .readings = 0 };
	char ring[512], db[512];
	struct vs_store_options o = { .path = db, .site = "north-clinic", .config_hash = "0000", .version = VS_VERSION,
				      .rotate_yearly = true };
	if (argc < 2 || take_options(argc, argv, &p, &o) < 0)
		return 2;
	snprintf(ring, sizeof ring, "%s/ring", argv[1]);
	snprintf(db, sizeof db, "%s/vitals.db", argv[1]);
	wall_ms = p.from_ms;
	boot_ms = 60000;
	if (vs_custody_open(ring, 8u << 20, &c.ring) < 0)
		return 1;
	o.ring = c.ring;
	c.options = &o;
	if (start(&c) < 0)
		return 1;
	run(&c, &p);
	enter(&c, &p);
	vs_store_close(c.store);
	vs_custody_close(c.ring);
	printf("{\"sessions\":%lu,\"readings\":%lu,\"last_session\":\"%s\",\"alarms\":%llu,\"given_up\":%lu}\n", p.sessions,
	       c.readings, c.session, (unsigned long long)c.alarm, c.given_up);
	return c.given_up != 0;
}
