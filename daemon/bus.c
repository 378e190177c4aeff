/* A bus: one RTU line, or one TCP connection, and the Modbus devices that are asked over it, one request at a time.
 *
 *	DOWN --up--> IDLE --ask--> WAITING --answer--> IDLE
 *	                             |  mismatch, timeout
 *	                             +--(TCP) close, open again--> DOWN
 *	                             '--(RTU) DRAINING --silence--> IDLE
 *
 * The turn goes to the device that answers rather than to one that does not, and among these to the one that was due
 * first.  A device that keeps silent is asked less and less often, every five seconds at last, so that it costs the
 * others little.  After a timeout on a line without transaction numbers the same device is left alone for another
 * timeout: its late answer must not be taken for the answer to the next request. */
#include "daemon/acquire.h"
#include "daemon/clock.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SILENCE_MS 50       /* of an RTU line: USB adapters hand over bytes in batches of 16 ms and more */
#define ENDLESS_MS 2000     /* a line on which bytes never stop is reported after so long */
#define BACKOFF_MAX_MS 5000
#define REFUSED_MIN_MS 1000
#define REFUSED_MAX_MS 10000
#define BUSY_MS 100         /* before asking a busy device again */
#define LATE_MS 20
#define PHASE_MS 10         /* due times lie on this grid: devices that are due together share a turn of the loop */

struct vs_bus {
	struct vs_acquire *acquire;
	struct vs_bus *before, *after;
	struct vs_link *link;
	struct vs_wheel_timer timer;
	struct vs_device *members, *asked; /* asked: whose request is open */
	enum { DOWN, IDLE, WAITING, DRAINING } state;
	enum vs_framing framing;
	uint16_t transaction;
	struct vs_modbus_open open;
	uint64_t up_ms, deadline_ms, armed_ms;
	uint64_t active_ms; /* last byte in either direction */
	uint64_t drain_ms;  /* since when the line is being drained */
	bool graced;
	size_t rx_len;
	uint8_t rx[VS_MODBUS_ANSWER_MAX + VS_MODBUS_REQUEST_MAX];
};

static void run(struct vs_bus *b);
static void on_timer(struct vs_wheel_timer *t);

static uint64_t now_of(const struct vs_bus *b)
{
	return uv_now(b->acquire->loop);
}

static bool is_tcp(const struct vs_bus *b)
{
	return vs_link_spec(b->link)->kind == VS_LINK_TCP;
}

static void arm(struct vs_bus *b, uint64_t at)
{
	uint64_t now = now_of(b);
	b->armed_ms = at;
	if (at == UINT64_MAX)
		vs_wheel_stop(b->acquire->wheel, &b->timer);
	else
		vs_wheel_start(b->acquire->wheel, &b->timer, at > now ? at - now : 0, on_timer);
}

/* ---- one poll of one device */

static bool is_resting(const struct vs_polled *p, unsigned i, uint64_t now)
{
	return vs_modbus_is_misconfigured(p->modbus.exception[i]) && now < p->refused_until_ms;
}

/* Moves to the next request of the poll, from `from` on.  False: there is none. */
static bool go_on(struct vs_polled *p, unsigned from, uint64_t now)
{
	p->tries = 0;
	for (p->request = from; p->request < p->modbus.n_requests; p->request++)
		if (!is_resting(p, p->request, now))
			return true;
	return false;
}

static void begin_poll(struct vs_bus *b, struct vs_device *d)
{
	struct vs_polled *p = &d->polled;
	uint64_t now = now_of(b);
	if (now >= p->due_ms + p->period_ms) { /* the line was down or busy for so long */
		uint64_t n = (now - p->due_ms) / p->period_ms;
		d->counters.missed += n;
		p->due_ms += n * p->period_ms;
	}
	d->counters.polls++;
	d->counters.late += now - p->due_ms > LATE_MS;
	p->in_poll = true;
	p->unanswered = 0;
	vs_modbus_begin(&p->modbus);
}

static const char *table_name(enum vs_table t)
{
	static const char *const names[] = { [VS_COIL] = "coil", [VS_DISCRETE] = "discrete input",
					     [VS_HOLDING] = "holding register", [VS_INPUT] = "input register" };
	return names[t];
}

/* The first request that the device refused, in words.  Returns a digest of all, 0 where there are none. */
static uint32_t refusals(const struct vs_modbus *m, char *buf, size_t cap)
{
	uint32_t digest = 0;
	buf[0] = '\0';
	for (unsigned i = 0; i < m->n_requests; i++) {
		const struct vs_modbus_request *q = &m->request[i];
		digest = digest * 31 + m->exception[i];
		if (!m->exception[i] || buf[0])
			continue;
		snprintf(buf, cap, "exception %u (%s) for %s %u..%u%s", m->exception[i],
			 vs_modbus_exception_text(m->exception[i]), table_name(q->table), q->address,
			 q->address + q->count - 1,
			 vs_modbus_is_misconfigured(m->exception[i]) ? ": the register map does not fit this device"
								     : "");
	}
	return digest;
}

static void judge(struct vs_device *d, bool spoke)
{
	struct vs_polled *p = &d->polled;
	char text[200];
	if (!spoke) {
		vs_device_tell(d, VS_DEVICE_NO_SIGNAL, p->trouble, false);
		return;
	}
	uint32_t digest = refusals(&p->modbus, text, sizeof text);
	bool answered = p->modbus.answered[0] || p->modbus.answered[1];
	vs_device_tell(d, answered ? VS_DEVICE_ONLINE : VS_DEVICE_NO_SIGNAL, text, digest && digest != p->told);
	p->told = digest;
}

/* When the device is due next: on its own grid, later where it has kept silent or all it has is refused. */
static void next_due(struct vs_device *d, uint64_t now)
{
	struct vs_polled *p = &d->polled;
	uint64_t not_before = now + 1;
	if (p->failures > 1) {
		uint64_t wait = (uint64_t)p->period_ms << (p->failures < 8 ? p->failures - 1 : 7);
		not_before = now + (wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS);
		if (not_before > now + p->period_ms && p->period_ms >= BACKOFF_MAX_MS)
			not_before = now + 1;
	}
	bool all_rest = true;
	for (unsigned i = 0; i < p->modbus.n_requests; i++)
		all_rest &= is_resting(p, i, now);
	if (all_rest && p->refused_until_ms > not_before)
		not_before = p->refused_until_ms;
	uint64_t steps = 1;
	if (p->due_ms + p->period_ms < not_before)
		steps = (not_before - p->due_ms + p->period_ms - 1) / p->period_ms;
	if (!p->failures && !all_rest)
		d->counters.missed += steps - 1;
	p->due_ms += steps * p->period_ms;
	if (p->ready_ms < p->due_ms)
		p->ready_ms = p->due_ms;
}

static void end_poll(struct vs_bus *b, struct vs_device *d)
{
	struct vs_polled *p = &d->polled;
	struct vs_reading r;
	bool spoke = vs_modbus_reading(&p->modbus, &r);
	p->in_poll = false;
	p->failures = spoke ? 0 : p->failures + 1;
	next_due(d, now_of(b));
	go_on(p, 0, p->due_ms);
	judge(d, spoke);
	if (spoke)
		vs_device_deliver(d, &r, vs_boottime_ms());
}

/* The open request has come to its end: the next one of the poll, or the end of it. */
static void proceed(struct vs_bus *b, struct vs_device *d)
{
	if (!go_on(&d->polled, d->polled.request + 1, now_of(b)))
		end_poll(b, d);
}

/* ---- what can come of a request */

static void drain(struct vs_bus *b)
{
	if (b->state != DRAINING)
		b->drain_ms = now_of(b);
	b->state = DRAINING;
	b->rx_len = 0;
	vs_link_flush(b->link);
	arm(b, b->active_ms + SILENCE_MS > now_of(b) ? b->active_ms + SILENCE_MS : now_of(b) + 1);
}

static void restore_order(struct vs_bus *b)
{
	if (is_tcp(b)) {
		vs_link_again(b->link);
		b->state = DOWN;
		b->rx_len = 0;
		arm(b, UINT64_MAX);
	} else {
		b->active_ms = now_of(b);
		drain(b);
	}
}

static void request_failed(struct vs_bus *b, bool timed_out)
{
	struct vs_device *d = b->asked;
	struct vs_polled *p = &d->polled;
	b->asked = NULL;
	p->ready_ms = now_of(b) + (timed_out && b->framing == VS_FRAMING_RTU ? p->timeout_ms : 0);
	if (p->tries < p->retries && p->failures == 0) {
		p->tries++;
		return;
	}
	vs_modbus_failed(&p->modbus, p->request, 0);
	if (++p->unanswered > 1) /* it is not this one request */
		end_poll(b, d);
	else
		proceed(b, d);
}

static void no_answer(struct vs_bus *b)
{
	struct vs_device *d = b->asked;
	d->counters.timeouts++;
	d->counters.dropped += b->rx_len;
	snprintf(d->polled.trouble, sizeof d->polled.trouble, "no answer from unit %u within %u ms", d->polled.unit,
		 d->polled.timeout_ms);
	restore_order(b);
	request_failed(b, true);
	run(b);
}

static void mismatch(struct vs_bus *b, const char *what)
{
	struct vs_device *d = b->asked;
	d->counters.rejected++;
	d->counters.dropped += b->rx_len;
	snprintf(d->polled.trouble, sizeof d->polled.trouble, "what came was no answer to the request (%s)", what);
	restore_order(b);
	request_failed(b, false);
	run(b);
}

static void answered(struct vs_bus *b, const struct vs_modbus_answer *a)
{
	struct vs_device *d = b->asked;
	struct vs_polled *p = &d->polled;
	if (p->modbus.exception[p->request])
		p->refused_ms = 0;
	vs_modbus_take(&p->modbus, p->request, a->data, a->len);
	proceed(b, d);
}

static void refused(struct vs_bus *b, uint8_t code)
{
	struct vs_device *d = b->asked;
	struct vs_polled *p = &d->polled;
	uint64_t now = now_of(b);
	d->counters.exceptions++;
	if (vs_modbus_is_misconfigured(code) && p->modbus.has_gaps) {
		vs_modbus_without_gaps(&p->modbus); /* perhaps it was only the registers between */
		go_on(p, 0, now);
		return;
	}
	if (vs_modbus_is_misconfigured(code) && now >= p->refused_until_ms) {
		p->refused_ms = p->refused_ms ? p->refused_ms * 2 : REFUSED_MIN_MS;
		if (p->refused_ms > REFUSED_MAX_MS)
			p->refused_ms = REFUSED_MAX_MS;
		p->refused_until_ms = now + p->refused_ms;
	}
	if (vs_modbus_worth_retry(code) && p->tries < p->retries) {
		p->tries++;
		p->ready_ms = now + BUSY_MS;
		return;
	}
	vs_modbus_failed(&p->modbus, p->request, code);
	proceed(b, d);
}

/* Looks at the bytes that wait, while a request is open. */
static void examine(struct vs_bus *b)
{
	struct vs_modbus_answer a;
	enum vs_modbus_outcome what = vs_modbus_check(&b->open, b->rx, b->rx_len, &a);
	struct vs_device *d = b->asked;
	d->counters.rejected += a.stale;
	if (what > VS_MODBUS_EXCEPTION) {
		mismatch(b, vs_modbus_outcome_name(what));
		return;
	}
	if (what != VS_MODBUS_WAIT) {
		d->counters.frames++;
		b->state = IDLE;
		vs_link_good(b->link);
		if (what == VS_MODBUS_ANSWER)
			answered(b, &a);
		else
			refused(b, a.exception);
		b->asked = NULL;
	}
	b->rx_len -= a.used;
	memmove(b->rx, b->rx + a.used, b->rx_len);
	if (b->state == IDLE && b->framing == VS_FRAMING_RTU && b->rx_len) {
		d->counters.dropped += b->rx_len; /* more than was asked for: let it all pass by */
		drain(b);
	}
}

/* TCP, while no request is open: late and doubled answers may pass by, anything else breaks the connection. */
static void unasked(struct vs_bus *b)
{
	struct vs_modbus_answer a;
	enum vs_modbus_outcome what = vs_modbus_check(&b->open, b->rx, b->rx_len, &a);
	if (what > VS_MODBUS_EXCEPTION) {
		b->members->counters.rejected++;
		restore_order(b);
		for (struct vs_device *d = b->members; d; d = d->polled.next)
			vs_device_tell(d, VS_DEVICE_NO_SIGNAL,
				       "it sends what nobody asked for: is this a Modbus device?", false);
		return;
	}
	b->members->counters.rejected += a.stale + (what != VS_MODBUS_WAIT);
	b->rx_len -= a.used;
	memmove(b->rx, b->rx + a.used, b->rx_len);
	if (what != VS_MODBUS_WAIT && b->rx_len)
		unasked(b);
}

/* ---- whose turn it is */

/* The earliest instant at which the device may be asked. */
static uint64_t may_ask(const struct vs_bus *b, const struct vs_polled *p)
{
	uint64_t pause = p->pause_ms, at = p->ready_ms;
	const struct vs_modbus_request *q = &p->modbus.request[p->request], *last = &b->open.q;
	/* a doubled answer to the last request would pass for the answer to one of the same shape: let it come first */
	if (b->framing == VS_FRAMING_RTU && b->open.unit == p->unit && q->table == last->table &&
	    q->count == last->count && q->address != last->address && pause < SILENCE_MS)
		pause = SILENCE_MS;
	if (at < b->active_ms + pause)
		at = b->active_ms + pause;
	return at > b->up_ms + p->connect_pause_ms ? at : b->up_ms + p->connect_pause_ms;
}

static struct vs_device *pick(const struct vs_bus *b, uint64_t *wake)
{
	struct vs_device *best = NULL;
	uint64_t now = now_of(b);
	*wake = UINT64_MAX;
	for (struct vs_device *d = b->members; d; d = d->polled.next) {
		const struct vs_polled *p = &d->polled;
		uint64_t at = may_ask(b, p);
		if (at > now) {
			*wake = at < *wake ? at : *wake;
			continue;
		}
		bool worse = best && (p->failures > 0) > (best->polled.failures > 0);
		bool better = best && (p->failures > 0) < (best->polled.failures > 0);
		if (!best || better || (!worse && p->due_ms < best->polled.due_ms))
			best = d;
	}
	return best;
}

/* False: there was nothing to ask after all, or the link broke. */
static bool ask(struct vs_bus *b, struct vs_device *d)
{
	struct vs_polled *p = &d->polled;
	uint64_t now = now_of(b);
	if (p->in_poll && p->tries && now >= p->due_ms + p->period_ms) { /* its time is over */
		vs_modbus_failed(&p->modbus, p->request, 0);
		end_poll(b, d);
		return false;
	}
	if (!p->in_poll) {
		begin_poll(b, d);
		if (!go_on(p, 0, now)) {
			end_poll(b, d);
			return false;
		}
	}
	if (b->rx_len) { /* the beginning of something that nobody asked for: with the next number it could pass */
		restore_order(b);
		return false;
	}
	b->open = (struct vs_modbus_open){ .framing = b->framing, .unit = p->unit, .transaction = ++b->transaction,
					   .q = p->modbus.request[p->request] };
	vs_modbus_request(&b->open);
	b->asked = d;
	int r = vs_link_send(b->link, b->open.bytes, b->open.len);
	if (r < 0) {
		snprintf(p->trouble, sizeof p->trouble, "cannot send: %s", uv_strerror(r));
		restore_order(b);
		request_failed(b, false);
		return false;
	}
	b->state = WAITING;
	b->graced = false;
	b->active_ms = now;
	b->deadline_ms = now + p->timeout_ms;
	arm(b, b->deadline_ms);
	return true;
}

static void introduce(struct vs_bus *b)
{
	for (struct vs_device *d = b->members; d; d = d->polled.next)
		if (!d->told_connecting)
			vs_device_tell(d, VS_DEVICE_CONNECTING, "", true);
}

static void run(struct vs_bus *b)
{
	uint64_t wake;
	struct vs_device *d;
	while (b->state == IDLE && (d = pick(b, &wake)))
		if (ask(b, d))
			return;
	if (b->state == IDLE)
		arm(b, wake);
}

/* An RTU answer that stopped in the middle is given up when the line has been silent; over TCP only at the timeout. */
static bool gives_up(const struct vs_bus *b)
{
	return b->framing == VS_FRAMING_RTU && !is_tcp(b) && b->rx_len > 0;
}

static void on_timer(struct vs_wheel_timer *t)
{
	struct vs_bus *b = (struct vs_bus *)((char *)t - offsetof(struct vs_bus, timer));
	uint64_t now = now_of(b);
	introduce(b);
	if (b->state == DRAINING && now >= b->active_ms + SILENCE_MS) {
		b->state = IDLE;
	} else if (b->state == DRAINING) {
		arm(b, b->active_ms + SILENCE_MS);
	} else if (b->state == WAITING && now > b->armed_ms + LATE_MS && !b->graced) {
		b->graced = true; /* the loop was held up: what came meanwhile lies in the kernel and is read first */
		vs_wheel_start(b->acquire->wheel, &b->timer, 1, on_timer);
	} else if (b->state == WAITING && now >= b->deadline_ms) {
		no_answer(b);
	} else if (b->state == WAITING && gives_up(b) && now >= b->active_ms + SILENCE_MS) {
		mismatch(b, "incomplete");
	} else if (b->state == WAITING) {
		arm(b, b->deadline_ms);
	}
	run(b);
}

/* ---- the link */

static void on_up(void *ctx)
{
	struct vs_bus *b = ctx;
	introduce(b);
	b->state = IDLE;
	b->rx_len = 0;
	b->up_ms = now_of(b);
	b->active_ms = 0;
	for (struct vs_device *d = b->members; d; d = d->polled.next) {
		d->counters.connects++;
		if (d->status != VS_DEVICE_OFFLINE)
			continue;
		d->polled.failures = 0; /* it was the line: ask at once */
		d->polled.ready_ms = b->up_ms;
	}
	run(b);
}

static void on_bytes(void *ctx, const uint8_t *bytes, size_t len)
{
	struct vs_bus *b = ctx;
	b->active_ms = now_of(b);
	while (len && (b->state == IDLE || b->state == WAITING)) {
		size_t room = sizeof b->rx - b->rx_len, n = len < room ? len : room;
		if (b->state == IDLE && b->framing == VS_FRAMING_RTU)
			break;
		if (room == 0) { /* it sends what nobody asked for, and does not stop */
			restore_order(b);
			break;
		}
		memcpy(b->rx + b->rx_len, bytes, n);
		b->rx_len += n;
		bytes += n;
		len -= n;
		if (b->state == WAITING)
			examine(b);
		if (b->state == IDLE && b->rx_len)
			unasked(b);
	}
	if (len && b->members)
		b->members->counters.dropped += len;
	if ((len && b->state == IDLE) || b->state == DRAINING)
		drain(b);
	if (b->state == DRAINING && b->active_ms - b->drain_ms > ENDLESS_MS) {
		for (struct vs_device *d = b->members; d; d = d->polled.next)
			vs_device_tell(d, VS_DEVICE_NO_SIGNAL,
				       "bytes without end on the line: is another master on it, "
				       "or is the speed wrong?",
				       false);
		b->drain_ms = b->active_ms;
	}
	if (b->state == WAITING && gives_up(b) && b->active_ms + SILENCE_MS < b->deadline_ms)
		arm(b, b->active_ms + SILENCE_MS);
	if (b->state == IDLE)
		run(b);
}

static void on_lost(void *ctx, const char *why)
{
	struct vs_bus *b = ctx;
	b->state = DOWN;
	b->rx_len = 0;
	arm(b, UINT64_MAX);
	if (!b->asked)
		return;
	snprintf(b->asked->polled.trouble, sizeof b->asked->polled.trouble, "%s", why);
	request_failed(b, false);
}

static void on_failed(void *ctx, const char *why)
{
	struct vs_bus *b = ctx;
	introduce(b);
	for (struct vs_device *d = b->members; d; d = d->polled.next)
		vs_device_tell(d, VS_DEVICE_OFFLINE, why, false);
}

static const struct vs_link_ops link_ops = { on_up, on_bytes, on_lost, on_failed };

/* ---- members */

static struct vs_bus *find(struct vs_acquire *a, const struct vs_link_spec *spec, enum vs_framing framing)
{
	for (struct vs_bus *b = a->buses; b; b = b->after) {
		const struct vs_link_spec *s = vs_link_spec(b->link);
		if (s->kind == spec->kind && s->port == spec->port && b->framing == framing &&
		    !strcmp(s->place, spec->place))
			return b;
	}
	return NULL;
}

static int create(struct vs_acquire *a, const struct vs_link_spec *spec, enum vs_framing framing, struct vs_bus **ret)
{
	struct vs_bus *b = calloc(1, sizeof *b);
	if (!b)
		return -ENOMEM;
	b->acquire = a;
	b->framing = framing;
	int r = vs_link_open(a->loop, spec, &link_ops, b, &b->link);
	if (r < 0) {
		free(b);
		return r;
	}
	b->after = a->buses;
	if (b->after)
		b->after->before = b;
	a->buses = b;
	*ret = b;
	return 0;
}

static void destroy(struct vs_bus *b)
{
	if (b->before)
		b->before->after = b->after;
	else
		b->acquire->buses = b->after;
	if (b->after)
		b->after->before = b->before;
	vs_link_close(b->link);
	vs_wheel_stop(b->acquire->wheel, &b->timer);
	free(b);
}

/* Reverses the bits of the low byte: 0, 128, 64, 192, 32 ...: neighbours come to lie far apart. */
static unsigned spread(unsigned n)
{
	n = (n & 0xf0) >> 4 | (n & 0x0f) << 4;
	n = (n & 0xcc) >> 2 | (n & 0x33) << 2;
	return (n & 0xaa) >> 1 | (n & 0x55) << 1;
}

static uint64_t first_due(struct vs_acquire *a, uint32_t period_ms)
{
	uint64_t since = uv_now(a->loop) - a->start_ms;
	uint32_t span = period_ms < 1000 ? period_ms : 1000;
	uint64_t phase = (uint64_t)spread(a->created & 255) * span / 256;
	return a->start_ms + (since + phase + PHASE_MS - 1) / PHASE_MS * PHASE_MS;
}

static void settle(struct vs_acquire *a, struct vs_polled *p, const struct vs_device_config *cfg)
{
	p->unit = cfg->unit;
	p->period_ms = cfg->poll_ms ? cfg->poll_ms : 1000;
	p->timeout_ms = cfg->timeout_ms ? cfg->timeout_ms : 500;
	p->pause_ms = cfg->pause_ms;
	p->connect_pause_ms = cfg->connect_pause_ms;
	p->retries = cfg->retries;
	p->due_ms = p->ready_ms = first_due(a, p->period_ms);
	vs_modbus_init(&p->modbus, p->map, cfg->largest_gap);
}

int vs_bus_join(struct vs_acquire *a, struct vs_device *d, const struct vs_device_config *cfg)
{
	const struct vs_link_spec spec = { cfg->link, vs_link_is_network(cfg->link) ? cfg->host : cfg->path,
					   vs_link_is_network(cfg->link) ? cfg->port : 0, cfg->line };
	enum vs_framing framing = cfg->link == VS_LINK_TCP && !cfg->rtu_over_tcp ? VS_FRAMING_TCP : VS_FRAMING_RTU;
	struct vs_polled *p = &d->polled;
	size_t size = offsetof(struct vs_register_map, reg) + cfg->map->len * sizeof(struct vs_register);
	p->map = malloc(size);
	if (!p->map)
		return -ENOMEM;
	memcpy(p->map, cfg->map, size);
	p->bus = find(a, &spec, framing);
	int r = p->bus ? 0 : create(a, &spec, framing, &p->bus);
	if (r < 0)
		return r;
	settle(a, p, cfg);
	p->next = p->bus->members;
	p->bus->members = d;
	if (p->bus->state == IDLE) /* a new member of a bus that runs */
		arm(p->bus, now_of(p->bus) + 1);
	return 0;
}

void vs_bus_leave(struct vs_device *d)
{
	struct vs_bus *b = d->polled.bus;
	struct vs_device **at = &b->members;
	while (*at != d)
		at = &(*at)->polled.next;
	*at = d->polled.next;
	if (!b->members) {
		destroy(b);
	} else if (b->asked == d) { /* its answer, when it comes, is nobody's */
		b->asked = NULL;
		b->active_ms = now_of(b);
		if (b->framing == VS_FRAMING_RTU) {
			drain(b);
		} else {
			b->state = IDLE;
			arm(b, now_of(b) + 1);
		}
	}
}
