#include "daemon/record.h"

#include <string.h>

#include "daemon/crc32c.h"

enum obs_bit { HAS_VALUE = 1, HAS_WORD = 2, HAS_FLAGS = 4, HAS_ERROR = 8 };

/* ---- Bytes out ---- */

struct pack {
	uint8_t *at, *end;
	bool full;
};

static void put(struct pack *p, const void *bytes, size_t len)
{
	if (p->full || len > (size_t)(p->end - p->at)) {
		p->full = true;
		return;
	}
	memcpy(p->at, bytes, len);
	p->at += len;
}

static void put_text(struct pack *p, const char *s)
{
	put(p, s, strlen(s) + 1);
}

static void put_own_flags(struct pack *p, const struct vs_reading *r)
{
	uint64_t used = r->flags;
	for (unsigned i = 0; i < r->len; i++)
		used |= r->obs[i].flags;
	uint16_t own = (uint16_t)(used >> VS_FLAG_OWN_FIRST);
	if (!r->own_flags)
		own = 0;
	for (unsigned f = 0; own && f < VS_FLAG_OWN_COUNT; f++)
		if (!r->own_flags[f])
			own &= (uint16_t)~(1u << f);
	put(p, &own, sizeof own);
	for (unsigned f = 0; own >> f; f++)
		if (own >> f & 1)
			put_text(p, r->own_flags[f]);
}

static void put_obs(struct pack *p, const struct vs_obs *o)
{
	uint8_t head[2] = { (uint8_t)o->metric, 0 };
	if (o->has_value)
		head[1] |= HAS_VALUE;
	if (o->word)
		head[1] |= HAS_WORD;
	if (o->flags)
		head[1] |= HAS_FLAGS;
	if (o->device_error)
		head[1] |= HAS_ERROR;
	put(p, head, sizeof head);
	if (head[1] & HAS_WORD)
		put_text(p, o->word);
	else if (head[1] & HAS_VALUE)
		put(p, &o->value, sizeof o->value);
	if (head[1] & HAS_FLAGS)
		put(p, &o->flags, sizeof o->flags);
	if (head[1] & HAS_ERROR)
		put(p, &o->device_error, sizeof o->device_error);
}

static void put_reading(struct pack *p, const struct vs_event *e)
{
	const struct vs_reading *r = e->reading;
	uint8_t len = (uint8_t)r->len;
	put_text(p, e->device);
	put(p, &r->flags, sizeof r->flags);
	put_own_flags(p, r);
	put(p, &len, 1);
	for (unsigned i = 0; i < r->len; i++)
		put_obs(p, &r->obs[i]);
}

/* Pads to a multiple of 8 and writes the head's length.  Returns it, 0 if the record is too long. */
static size_t finish(struct pack *p, uint8_t *buf, struct vs_record_head *h)
{
	static const uint8_t zeros[8];
	size_t len = (size_t)(p->at - buf);
	put(p, zeros, -len & 7);
	if (p->full)
		return 0;
	h->len = (uint32_t)(p->at - buf);
	memcpy(buf, h, sizeof *h);
	return h->len;
}

static struct pack pack_into(uint8_t *buf)
{
	return (struct pack){ buf + sizeof(struct vs_record_head), buf + VS_CUSTODY_RECORD_MAX, false };
}

size_t vs_record_event(uint8_t *buf, const struct vs_event *e, uint64_t boot_ms)
{
	struct vs_record_head h = { .epoch = e->epoch, .seq = e->seq, .wall_ms = e->wall_ms, .boot_ms = boot_ms,
				    .kind = (uint8_t)e->kind, .flags = e->session ? VS_RECORD_SESSION : 0 };
	struct pack p = pack_into(buf);
	put_text(&p, e->site);
	put_text(&p, e->chair);
	if (e->session)
		put_text(&p, e->session);
	if (e->kind == VS_KIND_VITALS) {
		put_reading(&p, e);
	} else {
		h.body_len = (uint32_t)e->body_len;
		put(&p, e->body, e->body_len);
		put(&p, "", 1);
	}
	return finish(&p, buf, &h);
}

size_t vs_record_state(uint8_t *buf, const char *chair, const void *bytes, size_t len, int64_t wall_ms, uint64_t boot_ms)
{
	struct vs_record_head h = { .wall_ms = wall_ms, .boot_ms = boot_ms, .kind = VS_RECORD_STATE,
				    .body_len = (uint32_t)len };
	struct pack p = pack_into(buf);
	put_text(&p, "");
	put_text(&p, chair);
	put(&p, bytes, len);
	return finish(&p, buf, &h);
}

void vs_record_seal(uint8_t *buf, uint64_t position, uint64_t after, bool last)
{
	struct vs_record_head *h = (struct vs_record_head *)buf;
	h->position = position;
	h->after = after;
	if (last)
		h->flags |= VS_RECORD_LAST;
	h->crc = vs_crc32c(&h->len, h->len - sizeof h->crc);
}

/* ---- Bytes in ---- */

size_t vs_record_check(const uint8_t *buf, size_t avail, uint64_t position)
{
	struct vs_record_head h;
	if (avail < sizeof h)
		return 0;
	memcpy(&h, buf, sizeof h);
	if (h.position != position || h.len % 8 || h.len <= sizeof h || h.len > VS_CUSTODY_RECORD_MAX || h.len > avail)
		return 0;
	return vs_crc32c(buf + sizeof h.crc, h.len - sizeof h.crc) == h.crc ? h.len : 0;
}

struct unpack {
	const uint8_t *at, *end;
	bool bad;
};

static void get(struct unpack *u, void *to, size_t len)
{
	if (u->bad || len > (size_t)(u->end - u->at)) {
		u->bad = true;
		memset(to, 0, len);
		return;
	}
	memcpy(to, u->at, len);
	u->at += len;
}

static const char *get_text(struct unpack *u)
{
	const uint8_t *end = u->bad ? NULL : memchr(u->at, '\0', (size_t)(u->end - u->at));
	if (!end) {
		u->bad = true;
		return "";
	}
	const char *text = (const char *)u->at;
	u->at = end + 1;
	return text;
}

static void get_own_flags(struct unpack *u, struct vs_custody_record *ret)
{
	uint16_t own;
	get(u, &own, sizeof own);
	memset(ret->own_flags, 0, sizeof ret->own_flags);
	for (unsigned f = 0; own >> f; f++)
		if (own >> f & 1)
			ret->own_flags[f] = get_text(u);
	ret->reading.own_flags = own ? ret->own_flags : NULL;
}

static void get_obs(struct unpack *u, struct vs_obs *o)
{
	uint8_t head[2];
	*o = (struct vs_obs){ .metric = 0 };
	get(u, head, sizeof head);
	if (head[0] >= VS_METRIC_COUNT)
		u->bad = true;
	o->metric = head[0];
	o->has_value = head[1] & HAS_VALUE;
	if (head[1] & HAS_WORD)
		o->word = get_text(u);
	else if (head[1] & HAS_VALUE)
		get(u, &o->value, sizeof o->value);
	if (head[1] & HAS_FLAGS)
		get(u, &o->flags, sizeof o->flags);
	if (head[1] & HAS_ERROR)
		get(u, &o->device_error, sizeof o->device_error);
}

static void get_reading(struct unpack *u, struct vs_custody_record *ret)
{
	struct vs_reading *r = &ret->reading;
	uint8_t len;
	ret->event.device = get_text(u);
	ret->event.reading = r;
	get(u, &r->flags, sizeof r->flags);
	get_own_flags(u, ret);
	get(u, &len, 1);
	r->len = len;
	if (len > VS_READING_MAX) {
		r->len = 0;
		u->bad = true;
	}
	for (unsigned i = 0; i < r->len; i++)
		get_obs(u, &r->obs[i]);
}

static const void *get_body(struct unpack *u, size_t len)
{
	const void *body = u->at;
	if (u->bad || len > (size_t)(u->end - u->at))
		u->bad = true;
	return body;
}

bool vs_record_decode(const uint8_t *buf, struct vs_custody_record *ret)
{
	struct vs_record_head h;
	memcpy(&h, buf, sizeof h);
	struct unpack u = { buf + sizeof h, buf + h.len, false };
	struct vs_event *e = &ret->event;
	*e = (struct vs_event){ .kind = h.kind, .epoch = h.epoch, .seq = h.seq, .wall_ms = h.wall_ms };
	ret->is_state = h.kind == VS_RECORD_STATE;
	ret->boot_ms = h.boot_ms;
	ret->state = NULL;
	ret->state_len = 0;
	e->site = get_text(&u);
	e->chair = get_text(&u);
	if (h.flags & VS_RECORD_SESSION)
		e->session = get_text(&u);
	if (ret->is_state) {
		e->kind = VS_KIND_COUNT;
		ret->state = get_body(&u, h.body_len);
		ret->state_len = h.body_len;
	} else if (h.kind == VS_KIND_VITALS) {
		get_reading(&u, ret);
	} else {
		e->body = get_body(&u, h.body_len);
		e->body_len = h.body_len;
	}
	return !u.bad && (ret->is_state || h.kind < VS_KIND_COUNT);
}

/* ---- What the numbers mean ---- */

static uint32_t fold(uint32_t crc, const char *name)
{
	return crc * 31 + vs_crc32c(name, strlen(name) + 1);
}

static uint32_t names(uint32_t metrics, uint32_t flags, uint32_t kinds)
{
	uint32_t crc = 0;
	for (unsigned m = 0; m < metrics; m++)
		crc = fold(crc, vs_metrics[m].name);
	for (unsigned f = 0; f < flags; f++)
		crc = fold(crc, vs_flag_name(f));
	for (unsigned k = 0; k < kinds; k++)
		crc = fold(crc, vs_kind_name(k));
	return crc;
}

struct vs_vocabulary vs_record_vocabulary(void)
{
	return (struct vs_vocabulary){ VS_METRIC_COUNT, VS_FLAG_COUNT, VS_KIND_COUNT,
				       names(VS_METRIC_COUNT, VS_FLAG_COUNT, VS_KIND_COUNT) };
}

bool vs_record_fits(const struct vs_vocabulary *v)
{
	return v->metrics <= VS_METRIC_COUNT && v->flags <= VS_FLAG_COUNT && v->kinds <= VS_KIND_COUNT &&
	       names(v->metrics, v->flags, v->kinds) == v->crc;
}
