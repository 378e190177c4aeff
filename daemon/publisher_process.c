/* The publisher process: the only place of the daemon where nanomsg is.
 *
 * The main thread sends what the ring holds and never waits for anything else.  The other answers questions, and may wait
 * for the log's disk or for the daemon. */
#include <errno.h>
#include <nanomsg/nn.h>
#include <nanomsg/pubsub.h>
#include <nanomsg/reqrep.h>
#include <nanomsg/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/publisher.h"
#include "daemon/publisher_wire.h"
#include "daemon/query.h"
#include "daemon/say.h"
#include "daemon/socket_file.h"

#define SEND_BUFFER (4 << 20)       /* rides out a subscriber's stall of some seconds at 1,000 messages/s */
#define REQUEST_BUFFER (16 << 20)   /* a longer message ends its connection; one above VS_QUERY_MAX is answered in words */
#define NAP_MS 40                   /* readings are sent in groups this far apart; everything else at once */
#define RECONNECT_MS 150            /* nanomsg's subscribers come back 100 ms after they lost us */
#define TELL_MS 500 /* between two words to the daemon that messages go out */
#define SEND_AGAIN_MS 100           /* what was given to nanomsg this short a time ago is sent again after a death */
#define SNAPSHOT_MS 500
#define BIND_AGAIN_MS 20
#define BIND_WORDS_MS 1000

struct publisher {
	int pub, rep;
	struct vs_custody_reader *ring;
	struct vs_history *history;
	unsigned n_urls;
	char **urls; /* "event=URL", "query=URL" */
	/* what was given to nanomsg when: the cursor follows that far behind */
	uint64_t done, mark, mark_ms, told_ms;
	bool ending;
	/* of the thread that answers */
	uint64_t last_id;
	uint8_t *inbox;
	size_t inbox_len, inbox_cap;
	char *answer; /* VS_QUERY_ANSWER_MAX */
};

/* ---- To the daemon ---- */

static void tell(enum vs_wire_type type, uint64_t id, const char *text)
{
	struct vs_wire head = { .type = type, .len = (uint32_t)strlen(text), .id = id };
	struct iovec part[2] = { { &head, sizeof head }, { (void *)(uintptr_t)text, head.len } };
	struct msghdr m = { .msg_iov = part, .msg_iovlen = 2 };
	if (sendmsg(VS_WIRE_FD_DAEMON, &m, MSG_NOSIGNAL) < 0)
		return; /* the daemon is gone: so are we, soon */
}

/* ---- Binding ---- */

static int bind_url(struct publisher *p, const char *entry)
{
	bool query = entry[0] == 'q';
	const char *url = strchr(entry, '=') + 1;
	int s = query ? p->rep : p->pub;
	char plain[300];
	if (strncmp(url, "tcp://localhost:", 16) == 0) { /* nanomsg binds addresses and interfaces, no names */
		snprintf(plain, sizeof plain, "tcp://127.0.0.1:%s", url + 16);
		url = plain;
	}
	int ipv4_only = strchr(url, '[') == NULL;
	nn_setsockopt(s, NN_SOL_SOCKET, NN_IPV4ONLY, &ipv4_only, sizeof ipv4_only);
	int r = strncmp(url, "ipc://", 6) == 0 ? vs_socket_file_free(url + 6) : 0;
	return r < 0 ? r : nn_bind(s, url) < 0 ? -nn_errno() : 0;
}

static const char *why_not(const char *url, int r)
{
	if (strncmp(url, "ipc://", 6) == 0)
		return vs_socket_file_words(r);
	return r == -ENODEV || r == -EADDRNOTAVAIL
		       ? "that is no address of this machine; write 127.0.0.1, the address of a card, its name like eth0, or * for all"
		       : nn_strerror(-r);
}

/* Tries for ever: the address may belong to a predecessor that is still going, or to something that a person stops. */
static void bind_all(struct publisher *p)
{
	uint64_t next_words_ms = vs_boottime_ms() + BIND_WORDS_MS;
	bool said = false;
	for (unsigned i = 0; i < p->n_urls;) {
		int r = bind_url(p, p->urls[i]);
		if (r == 0) {
			i++;
			continue;
		}
		/* Only an address that is in use may be free in a moment. */
		if (!said && (r != -EADDRINUSE || vs_boottime_ms() >= next_words_ms)) {
			char why[512];
			const char *url = strchr(p->urls[i], '=') + 1;
			snprintf(why, sizeof why, "cannot bind %s: %s", url, why_not(url, r));
			tell(VS_WIRE_FAILED, 0, why);
			said = true;
		}
		poll(NULL, 0, said ? BIND_WORDS_MS : BIND_AGAIN_MS);
	}
}

static int open_sockets(struct publisher *p)
{
	int on = 1, send_buffer = SEND_BUFFER, longest = REQUEST_BUFFER;
	p->pub = nn_socket(AF_SP, NN_PUB);
	p->rep = nn_socket(AF_SP, NN_REP);
	if (p->pub < 0 || p->rep < 0)
		return -nn_errno();
	nn_setsockopt(p->pub, NN_SOL_SOCKET, NN_SNDBUF, &send_buffer, sizeof send_buffer);
	nn_setsockopt(p->pub, NN_TCP, NN_TCP_NODELAY, &on, sizeof on);
	nn_setsockopt(p->rep, NN_TCP, NN_TCP_NODELAY, &on, sizeof on);
	nn_setsockopt(p->rep, NN_SOL_SOCKET, NN_RCVMAXSIZE, &longest, sizeof longest);
	return 0;
}

/* ---- Sending ---- */

static void send_event(struct publisher *p, const struct vs_event *e)
{
	char text[VS_EVENT_TEXT_MAX];
	size_t len = vs_event_message(e, text, sizeof text);
	if (len == 0)
		vs_say(VS_SAY_ERROR, "message %s/%s %llu is longer than %d bytes: not published, it is in the log",
		       vs_kind_name(e->kind), e->chair, (unsigned long long)e->seq, VS_EVENT_TEXT_MAX);
	else
		nn_send(p->pub, text, len, NN_DONTWAIT); /* PUB drops at subscribers that are slow; they ask for it */
}

/* The far end of the path has been reached: the daemon feeds its watchdog from this. */
static void tell_sent(struct publisher *p)
{
	uint64_t now = vs_boottime_ms();
	if (now - p->told_ms < TELL_MS)
		return;
	p->told_ms = now;
	tell(VS_WIRE_SENT, 0, "");
}

/* Everything there is.  True: there was something. */
static bool send_all(struct publisher *p)
{
	struct vs_custody_record record;
	bool any = false, alive = false;
	int r;
	while ((r = vs_custody_next(p->ring, &record)) != 0) {
		any = true;
		if (r == -ESTALE)
			vs_say(VS_SAY_WARNING, "the publisher fell behind: what it missed is in the log, subscribers ask for it");
		else if (r < 0)
			vs_say(VS_SAY_ERROR, "custody is damaged: some messages are not published");
		else if (!record.is_state)
			send_event(p, &record.event);
		alive |= r > 0 && !record.is_state && record.event.kind == VS_KIND_ALIVE;
	}
	if (alive)
		tell_sent(p);
	return any;
}

/* nanomsg takes a message at once and sends it a moment later: a death in between must not lose it. */
static void follow(struct publisher *p)
{
	uint64_t now = vs_boottime_ms(), position = vs_custody_position(p->ring);
	if (now - p->mark_ms < SEND_AGAIN_MS)
		return;
	vs_custody_done_until(p->ring, p->mark);
	p->done = p->mark;
	vs_custody_leave_note(p->ring, (uint32_t)nn_get_statistic(p->pub, NN_STAT_CURRENT_CONNECTIONS));
	p->mark = position;
	p->mark_ms = now;
}

/* After a death: until as many are connected as before, or have had the time to be. */
static void await_subscribers(struct publisher *p)
{
	uint32_t before = vs_custody_note(p->ring);
	uint64_t end_ms = vs_boottime_ms() + RECONNECT_MS;
	while (nn_get_statistic(p->pub, NN_STAT_CURRENT_CONNECTIONS) < before && vs_boottime_ms() < end_ms)
		poll(NULL, 0, 2);
}

/* Until there is something to send, or the daemon has nothing more to say. */
static void rest(struct publisher *p, bool nap)
{
	struct pollfd on[] = { { .fd = VS_WIRE_FD_WAKE, .events = POLLIN },
			       { .fd = VS_WIRE_FD_DAEMON, .events = POLLRDHUP } };
	bool behind = p->done != vs_custody_position(p->ring);
	if (vs_custody_arm(p->ring, nap)) {
		poll(on, 2, nap ? NAP_MS : behind ? SEND_AGAIN_MS : -1);
		vs_custody_disarm(p->ring);
	} else {
		poll(on, 2, 0);
	}
	if (on[1].revents)
		p->ending = true;
}

static void publish(struct publisher *p)
{
	await_subscribers(p);
	p->done = p->mark = vs_custody_position(p->ring);
	p->mark_ms = vs_boottime_ms();
	while (!p->ending) {
		bool sent = send_all(p);
		follow(p);
		rest(p, sent);
	}
	send_all(p);
	poll(NULL, 0, SEND_AGAIN_MS); /* nanomsg has no way to ask whether it has sent everything */
	vs_custody_done(p->ring);
}

/* ---- Answering ---- */

/* One more piece of what the daemon says, before end_ms.  False: nothing came. */
static bool hear(struct publisher *p, uint64_t end_ms)
{
	uint64_t now = vs_boottime_ms();
	struct pollfd on = { .fd = VS_WIRE_FD_DAEMON, .events = POLLIN };
	if (now >= end_ms || poll(&on, 1, (int)(end_ms - now)) <= 0)
		return false;
	if (p->inbox_cap - p->inbox_len < 65536) {
		uint8_t *more = realloc(p->inbox, p->inbox_cap + 262144);
		if (!more)
			return false;
		p->inbox = more;
		p->inbox_cap += 262144;
	}
	ssize_t n = recv(VS_WIRE_FD_DAEMON, p->inbox + p->inbox_len, p->inbox_cap - p->inbox_len, 0);
	if (n > 0)
		p->inbox_len += (size_t)n;
	return n > 0;
}

/* The first frame in the inbox, or NULL. */
static const struct vs_wire *first_frame(const struct publisher *p, struct vs_wire *head)
{
	if (p->inbox_len < sizeof *head)
		return NULL;
	memcpy(head, p->inbox, sizeof *head);
	return p->inbox_len - sizeof *head >= head->len ? head : NULL;
}

static void drop_frame(struct publisher *p, const struct vs_wire *head)
{
	size_t len = sizeof *head + head->len;
	memmove(p->inbox, p->inbox + len, p->inbox_len - len);
	p->inbox_len -= len;
}

/* Asks the daemon's loop, which alone knows what is true now.  NULL: it does not answer; else text of *len, good until
 * the frame is dropped. */
static const char *ask_daemon(struct publisher *p, const char *chair, struct vs_wire *head)
{
	uint64_t end_ms = vs_boottime_ms() + SNAPSHOT_MS, id = ++p->last_id;
	tell(VS_WIRE_SNAPSHOT, id, chair);
	for (;;) {
		while (first_frame(p, head)) {
			if (head->id == id)
				return (const char *)p->inbox + sizeof *head;
			drop_frame(p, head); /* the answer to a question that was given up */
		}
		if (!hear(p, end_ms))
			return NULL;
	}
}

static void reply(struct publisher *p, const char *text, size_t len)
{
	nn_send(p->rep, text, len, NN_DONTWAIT); /* who asked and went away gets no answer */
}

static void reply_error(struct publisher *p, const char *why)
{
	reply(p, p->answer, vs_query_error(why, p->answer, VS_QUERY_ANSWER_MAX));
}

static void answer_snapshot(struct publisher *p, const char *chair)
{
	struct vs_wire head;
	const char *text = ask_daemon(p, chair, &head);
	if (!text) {
		reply_error(p, "the daemon does not answer now: ask again");
		return;
	}
	reply(p, text, head.len);
	drop_frame(p, &head);
}

/* A chair that was taken out of the configuration still has its history; one that never was has none. */
static bool chair_exists(struct publisher *p, const char *chair)
{
	static const char no[] = "{\"ok\":false";
	struct vs_wire head;
	const char *text = ask_daemon(p, chair, &head);
	if (!text)
		return true;
	bool exists = head.len < sizeof no - 1 || memcmp(text, no, sizeof no - 1) != 0;
	drop_frame(p, &head);
	return exists;
}

static void answer_replay(struct publisher *p, const struct vs_query *q)
{
	bool empty;
	size_t len = vs_query_replay(q, p->history, p->ring, p->answer, &empty);
	if (empty && !chair_exists(p, q->chair)) {
		char why[128];
		snprintf(why, sizeof why, "there is no chair \"%s\" here", q->chair);
		reply_error(p, why);
		return;
	}
	reply(p, p->answer, len);
}

static void answer(struct publisher *p, const char *text, size_t len)
{
	struct vs_query q;
	char why[256];
	if (!vs_query_parse(text, len, &q, why))
		reply_error(p, why);
	else if (q.op == VS_QUERY_SNAPSHOT)
		answer_snapshot(p, q.chair);
	else
		answer_replay(p, &q);
}

static void *answer_questions(void *arg)
{
	struct publisher *p = arg;
	for (;;) {
		void *text;
		int len = nn_recv(p->rep, &text, NN_MSG, 0);
		if (len < 0 && (nn_errno() == ETERM || nn_errno() == EBADF))
			return NULL;
		if (len < 0)
			continue;
		answer(p, text, (size_t)len);
		nn_freemsg(text);
	}
}

/* ---- The process ---- */

/* It ends when the daemon does, and only then: stop signals to the whole group must not outrun the last messages. */
static bool settle_in(const char *daemon_pid)
{
	/* 1: no core file, and no core handler either, for what a stranger's message can bring about */
	struct rlimit no_core = { 1, 1 };
	setrlimit(RLIMIT_CORE, &no_core);
	prctl(PR_SET_NAME, "vitals-publish");
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == atoi(daemon_pid);
}

static int open_parts(struct publisher *p, const char *log_path)
{
	int r = vs_custody_attach(VS_WIRE_FD_RING, VS_WIRE_FD_WAKE, VS_READER_PUBLISHER, &p->ring);
	if (r == 0)
		r = open_sockets(p);
	p->history = vs_history_create(log_path);
	p->answer = malloc(VS_QUERY_ANSWER_MAX);
	return r == 0 && (!p->history || !p->answer) ? -ENOMEM : r;
}

int vs_publisher_main(int argc, char **argv)
{
	struct publisher p = { .pub = -1, .rep = -1 };
	pthread_t answers;
	if (argc < 4 || !settle_in(argv[2]))
		return 1;
	p.urls = argv + 4;
	p.n_urls = (unsigned)argc - 4;
	int r = open_parts(&p, argv[3]);
	if (r < 0) {
		vs_say(VS_SAY_ERROR, "the publisher cannot begin: %s", strerror(-r));
		return 1;
	}
	bind_all(&p);
	tell(VS_WIRE_BOUND, 0, "");
	r = pthread_create(&answers, NULL, answer_questions, &p);
	if (r) {
		vs_say(VS_SAY_ERROR, "the publisher cannot answer questions: %s", strerror(r));
		return 1;
	}
	publish(&p);
	_exit(0); /* the other thread may be in the middle of an answer */
}
