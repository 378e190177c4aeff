/* From the register map to a plan of requests, and from their answers to a reading. */
#include <math.h>
#include <string.h>

#include "core/bytes.h"
#include "plugins/modbus/modbus.h"

static bool is_bits(enum vs_table t)
{
	return t <= VS_DISCRETE;
}

unsigned vs_modbus_width(const struct vs_register *r)
{
	return !is_bits(r->table) && (r->type == VS_U32 || r->type == VS_I32 || r->type == VS_F32) ? 2 : 1;
}

/* Number map->len is new_reading. */
static const struct vs_register *nth(const struct vs_register_map *map, unsigned i)
{
	return i < map->len ? &map->reg[i] : &map->new_reading;
}

static unsigned count(const struct vs_register_map *map)
{
	return map->len + map->has_new_reading;
}

static bool is_cuff(const struct vs_register_map *map, unsigned i)
{
	return i == map->len || (map->reg[i].metric != VS_METRIC_NONE && vs_metric_is_nibp(map->reg[i].metric));
}

/* ---- the plan */

static uint32_t key(const struct vs_register_map *map, unsigned i)
{
	const struct vs_register *r = nth(map, i);
	return (uint32_t)r->table << 16 | r->address;
}

static void sort(const struct vs_register_map *map, uint8_t *order, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned at = i;
		for (; at && key(map, order[at - 1]) > key(map, i); at--)
			order[at] = order[at - 1];
		order[at] = (uint8_t)i;
	}
}

/* The stretch of a table that holds the cuff's registers; false where one request cannot hold it. */
static bool cuff_stretch(const struct vs_register_map *map, enum vs_table t, uint32_t *from, uint32_t *to)
{
	*from = UINT32_MAX;
	*to = 0;
	for (unsigned i = 0; i < count(map); i++) {
		const struct vs_register *r = nth(map, i);
		if (r->table != t || !is_cuff(map, i))
			continue;
		if (r->address < *from)
			*from = r->address;
		if (r->address + vs_modbus_width(r) > *to)
			*to = r->address + vs_modbus_width(r);
	}
	return *from < *to && *to - *from <= (is_bits(t) ? VS_MODBUS_BITS_MAX : VS_MODBUS_REGISTERS_MAX);
}

/* May register r join the request q, whose end is then at `end`? */
static bool joins(const struct vs_register_map *map, const struct vs_modbus_request *q, const struct vs_register *r,
		  uint32_t end, uint32_t largest_gap)
{
	uint32_t limit = is_bits(r->table) ? VS_MODBUS_BITS_MAX : VS_MODBUS_REGISTERS_MAX;
	uint32_t q_end = (uint32_t)q->address + q->count, from, to;
	if (q->table != r->table || end - q->address > limit)
		return false;
	bool together = largest_gap && cuff_stretch(map, r->table, &from, &to);
	if (together && r->address == from && to - q->address > limit)
		return false; /* or the cuff's values would be cut in two further on */
	if (together && r->address > from && end <= to && q_end >= from)
		return true;
	return r->address <= q_end + largest_gap;
}

static void plan(struct vs_modbus *m, uint32_t largest_gap)
{
	const struct vs_register_map *map = m->map;
	uint8_t order[VS_MAP_MAX + 1];
	unsigned n = count(map);
	sort(map, order, n);
	m->n_requests = 0;
	m->has_gaps = false;
	for (unsigned i = 0; i < n; i++) {
		const struct vs_register *r = nth(map, order[i]);
		uint32_t end = r->address + vs_modbus_width(r);
		struct vs_modbus_request *q = m->n_requests ? &m->request[m->n_requests - 1] : NULL;
		if (!q || !joins(map, q, r, end, largest_gap)) {
			q = &m->request[m->n_requests++];
			*q = (struct vs_modbus_request){ .table = r->table, .address = r->address };
		}
		m->has_gaps |= r->address > q->address + q->count;
		if (end > (uint32_t)q->address + q->count)
			q->count = (uint16_t)(end - q->address);
		m->request_of[order[i]] = (uint8_t)(m->n_requests - 1);
	}
}

static bool cuff_is_split(const struct vs_modbus *m)
{
	int of = -1;
	for (unsigned i = 0; i < count(m->map); i++) {
		if (!is_cuff(m->map, i))
			continue;
		if (of >= 0 && of != m->request_of[i])
			return true;
		of = m->request_of[i];
	}
	return false;
}

void vs_modbus_init(struct vs_modbus *m, const struct vs_register_map *map, uint32_t largest_gap)
{
	memset(m, 0, sizeof *m);
	m->map = map;
	plan(m, largest_gap);
	m->cuff_split = cuff_is_split(m);
	for (unsigned i = 0; i < VS_FLAG_OWN_COUNT; i++)
		m->own_flags[i] = map->own_flag_name[i][0] ? map->own_flag_name[i] : NULL;
}

void vs_modbus_without_gaps(struct vs_modbus *m)
{
	plan(m, 0);
	m->cuff_split = cuff_is_split(m);
	memset(m->exception, 0, sizeof m->exception);
	vs_modbus_begin(m);
}

/* ---- one poll */

void vs_modbus_begin(struct vs_modbus *m)
{
	memset(m->answered, 0, sizeof m->answered);
	memset(m->asked, 0, sizeof m->asked);
}

static bool has(const uint64_t *set, unsigned i)
{
	return set[i / 64] >> i % 64 & 1;
}

static void put(uint64_t *set, unsigned i)
{
	set[i / 64] |= UINT64_C(1) << i % 64;
}

uint32_t vs_modbus_bits(const struct vs_register *r, const uint8_t *data, uint16_t first)
{
	unsigned at = (unsigned)(r->address - first);
	if (is_bits(r->table))
		return data[at / 8] >> at % 8 & 1;
	const uint8_t *p = data + 2 * (size_t)at;
	uint16_t word = vs_be16(p);
	if (vs_modbus_width(r) == 2) {
		uint16_t second = vs_be16(p + 2);
		switch (r->order) {
		case VS_ABCD: return (uint32_t)word << 16 | second;
		case VS_CDAB: return (uint32_t)second << 16 | word;
		case VS_BADC: return (uint32_t)vs_le16(p) << 16 | vs_le16(p + 2);
		case VS_DCBA: return (uint32_t)vs_le16(p + 2) << 16 | vs_le16(p);
		}
	}
	switch (r->type) {
	case VS_U8HI: return word >> 8;
	case VS_U8LO: return word & 0xff;
	case VS_BIT: return word >> r->bit & 1;
	default: return word;
	}
}

static double number(const struct vs_register *r, uint32_t bits)
{
	float f;
	if (is_bits(r->table))
		return bits;
	switch (r->type) {
	case VS_I16: return (int16_t)bits;
	case VS_I32: return (int32_t)bits;
	case VS_F32: memcpy(&f, &bits, sizeof f); return (double)f;
	case VS_U8PAIR: return (bits >> 8) + (bits & 0xff) / 100.0;
	default: return bits;
	}
}

/* 363 x 0.1 shall be 36.3 and not the double beside it: limits are compared exactly.  Nine decimals are more than any
 * register holds. */
static double scaled(const struct vs_register *r, double raw)
{
	double v = raw * r->scale + r->offset;
	if ((r->scale == 1 && r->offset == 0) || fabs(v) > 4e6)
		return v;
	return nearbyint(v * 1e9) / 1e9;
}

bool vs_modbus_value(const struct vs_register *r, uint32_t bits, double *ret)
{
	double raw = number(r, bits);
	if (!isfinite(raw))
		return false;
	for (unsigned i = 0; i < r->invalid_len; i++) /* manuals write the code of an i16 as 65535 or as -1 */
		if (r->invalid[i] == raw || (r->type != VS_F32 && r->invalid[i] == bits))
			return false;
	*ret = scaled(r, raw);
	return isfinite(*ret);
}

void vs_modbus_take(struct vs_modbus *m, unsigned i, const uint8_t *data, size_t len)
{
	const struct vs_modbus_request *q = &m->request[i];
	if (len != (is_bits(q->table) ? (q->count + 7u) / 8 : q->count * 2u))
		return;
	put(m->asked, i);
	put(m->answered, i);
	m->exception[i] = 0;
	for (unsigned k = 0; k < count(m->map); k++)
		if (m->request_of[k] == i)
			m->bits[k] = vs_modbus_bits(nth(m->map, k), data, q->address);
}

void vs_modbus_failed(struct vs_modbus *m, unsigned i, uint8_t exception)
{
	put(m->asked, i);
	m->exception[i] = exception;
}

/* ---- the reading */

#define M(id) (UINT32_C(1) << VS_##id)
#define CUFF (M(NIBP_SYS) | M(NIBP_DIA) | M(NIBP_MAP) | M(NIBP_PR))
#define OXIMETER (M(SPO2) | M(PR) | M(PI) | M(PULSE_AMPLITUDE))

/* In a register map `no_value` is a statement about a number, too: while it stands there is none. */
static uint64_t voiding(void)
{
	return vs_flags_voiding() | VS_FLAG(NO_VALUE);
}

/* What a voiding flag is about where the map does not say (`concerns`): its probe's metrics, or all. */
static uint32_t concerned(const struct vs_register_map *map, const struct vs_register *flag)
{
	static const struct { uint64_t flags; uint32_t metrics;
	} nature[] = {
		{ VS_FLAG(SENSOR_OFF) | VS_FLAG(SENSOR_DISCONNECTED) | VS_FLAG(PROBE_OFF) | VS_FLAG(PROBE_ERROR) |
			  VS_FLAG(SEARCHING) | VS_FLAG(SEARCH_TIMEOUT) | VS_FLAG(NO_SIGNAL) | VS_FLAG(LOSS_OF_PULSE),
		  OXIMETER },
		{ VS_FLAG(LEAD_OFF), M(HR) | M(RR) },
		{ VS_FLAG(MEASURING), CUFF },
	};
	uint32_t in_map = 0;
	for (unsigned i = 0; i < map->len; i++)
		if (map->reg[i].metric != VS_METRIC_NONE)
			in_map |= UINT32_C(1) << map->reg[i].metric;
	for (size_t i = 0; i < sizeof nature / sizeof *nature; i++)
		if (UINT64_C(1) << flag->flag & nature[i].flags && nature[i].metrics & in_map)
			return nature[i].metrics;
	return UINT32_MAX;
}

static void mark(uint64_t *of, uint32_t metrics, uint64_t flags)
{
	for (unsigned k = 0; k < VS_METRIC_COUNT; k++)
		if (metrics >> k & 1)
			of[k] |= flags;
}

/* Flags of the poll: of[] collects those of single metrics. */
static void read_flags(const struct vs_modbus *m, uint64_t *of, struct vs_reading *ret)
{
	for (unsigned i = 0; i < m->map->len; i++) {
		const struct vs_register *r = &m->map->reg[i];
		if (r->metric != VS_METRIC_NONE)
			continue;
		uint64_t flag = UINT64_C(1) << r->flag;
		bool voids = flag & voiding();
		bool known = has(m->answered, m->request_of[i]);
		if (known && (m->bits[i] != 0) == r->inverted)
			continue;
		if (known && !r->concerns)
			ret->flags |= flag;
		if (r->concerns || voids)
			mark(of, r->concerns ? r->concerns : concerned(m->map, r),
			     known ? flag : voids ? VS_FLAG(INVALID) : 0);
	}
}

static void add(const struct vs_modbus *m, unsigned i, uint64_t flags, uint64_t memory, struct vs_reading *ret)
{
	const struct vs_register *r = &m->map->reg[i];
	unsigned q = m->request_of[i];
	double value;
	bool none = flags & VS_FLAG(NO_VALUE);
	flags &= ~VS_FLAG(NO_VALUE); /* it is said by there being none */
	if (!none && has(m->answered, q) && vs_modbus_value(r, m->bits[i], &value)) {
		vs_reading_add(ret, r->metric, value, flags | memory);
		return;
	}
	vs_reading_add_none(ret, r->metric, flags | (m->exception[q] ? VS_FLAG(DEVICE_ERROR) : 0));
	if (m->exception[q] && ret->len)
		ret->obs[ret->len - 1].device_error = m->exception[q];
}

/* The cuff's raw content in this poll; false: not all of it was read. */
static bool cuff_content(const struct vs_modbus *m, const uint64_t *of, uint32_t *content)
{
	unsigned n = 0, i = m->map->has_new_reading ? m->map->len : 0;
	memset(content, 0, VS_MODBUS_CUFF_MAX * sizeof *content);
	for (unsigned k = 0; k < count(m->map); k++) {
		if (!is_cuff(m->map, k))
			continue;
		if (!has(m->answered, m->request_of[k]))
			return false;
		if (k < m->map->len && of[m->map->reg[k].metric] & voiding())
			return false; /* it measures, or its values do not count: nothing new until that is over */
		if (k >= i && n < VS_MODBUS_CUFF_MAX)
			content[n++] = m->bits[k];
	}
	return n > 0;
}

/* Is there a cuff reading to report?  *flags: what to mark it with. */
static bool cuff_is_new(struct vs_modbus *m, const uint64_t *of, uint64_t *flags)
{
	uint32_t content[VS_MODBUS_CUFF_MAX];
	*flags = 0;
	if (!cuff_content(m, of, content))
		return false;
	if (!m->cuff_known) {
		*flags = VS_FLAG(FROM_MEMORY);
	} else if (!memcmp(content, m->cuff_last, sizeof content)) {
		m->cuff_pending = false;
		return false;
	} else if (m->cuff_split && !(m->cuff_pending && !memcmp(content, m->cuff_next, sizeof content))) {
		/* read in several requests, it may be half old and half new: seen twice is whole */
		memcpy(m->cuff_next, content, sizeof content);
		m->cuff_pending = true;
		return false;
	}
	m->cuff_known = true;
	m->cuff_pending = false;
	memcpy(m->cuff_last, content, sizeof content);
	return true;
}

bool vs_modbus_reading(struct vs_modbus *m, struct vs_reading *ret)
{
	bool spoke = false;
	for (unsigned i = 0; i < m->n_requests; i++)
		spoke |= has(m->answered, i) || (has(m->asked, i) && m->exception[i]);
	if (!spoke)
		return false;
	uint64_t of[VS_METRIC_COUNT] = { 0 }, memory;
	ret->len = 0;
	ret->flags = 0;
	ret->own_flags = m->own_flags;
	read_flags(m, of, ret);
	bool cuff = cuff_is_new(m, of, &memory);
	for (unsigned i = 0; i < m->map->len; i++) {
		enum vs_metric metric = m->map->reg[i].metric;
		if (metric == VS_METRIC_NONE || (is_cuff(m->map, i) && !cuff))
			continue;
		add(m, i, of[metric], is_cuff(m->map, i) ? memory : 0, ret);
	}
	return true;
}
