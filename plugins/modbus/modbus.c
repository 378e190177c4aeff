/* Modbus answers in a file: the plugin behind `vitalsctl decode --plugin modbus`.
 *
 * The daemon asks Modbus devices itself (daemon/bus.c) and does not come through here; what an answer says is decided
 * by the same functions.  Here the answers are taken as they stand in the recording, one after the other; when each
 * request of the register map has had its answer, the reading is complete.
 *
 *	--option registers='spo2 input 0; pr input 1 invalid=0,255; temp input 9 scale=0.1; flag=probe_off discrete 3'
 *	--option profile=dfrobot-sen0344     the map of a profile; who reads the profile gives it (vs_modbus_decode_with)
 *	--option request=010300000002c40b    what was asked: then all of the answer must fit to it */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/plugin.h"
#include "plugins/modbus/modbus.h"

struct state {
	struct vs_register_map map;
	struct vs_modbus modbus;
	enum vs_framing framing;
	bool strict; /* the request was given */
	struct vs_modbus_open asked;
};

/* ---- options */

static bool is(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && !memcmp(word, name, len);
}

static int place(const char *word, size_t len, const char *const *list)
{
	for (int i = 0; list[i]; i++)
		if (is(word, len, list[i]))
			return i;
	return -1;
}

/* Numbers of `invalid=0,255`. */
static bool take_invalid(struct vs_register *r, const char *s, const char *end)
{
	while (s < end && r->invalid_len < VS_INVALID_MAX) {
		char *after;
		r->invalid[r->invalid_len++] = strtod(s, &after);
		if (after == s || after > end || (after < end && *after != ','))
			return false;
		s = after + 1;
	}
	return r->invalid_len > 0;
}

static bool take_key(struct vs_register *r, const char *s, size_t len)
{
	const char *equals = memchr(s, '=', len), *end = s + len;
	if (!equals)
		return false;
	size_t name = (size_t)(equals - s);
	char *after;
	if (is(s, name, "flag")) {
		enum vs_flag f = vs_flag_by_name(equals + 1, (size_t)(end - equals - 1));
		r->flag = f;
		return f != VS_FLAG_NONE;
	}
	if (is(s, name, "invalid"))
		return take_invalid(r, equals + 1, end);
	double v = strtod(equals + 1, &after);
	if (after != end || after == equals + 1)
		return false;
	if (is(s, name, "scale"))
		r->scale = v;
	else if (is(s, name, "offset"))
		r->offset = v;
	else if (is(s, name, "bit") && v >= 0 && v <= 15)
		r->bit = (uint8_t)v, r->type = VS_BIT;
	else
		return false;
	return true;
}

static bool take_word(struct vs_register *r, const char *s, size_t len, unsigned *seen)
{
	static const char *const tables[] = { "coil", "discrete", "holding", "input", NULL };
	static const char *const types[] = { "u16", "i16", "u32", "i32", "f32", "u8hi", "u8lo", "bit", "u8pair", NULL };
	static const char *const orders[] = { "abcd", "cdab", "badc", "dcba", NULL };
	enum { WHAT = 1, TABLE = 2, ADDRESS = 4 };
	int n;
	char *after;
	enum vs_metric m = vs_metric_by_name(s, len);
	if (m != VS_METRIC_NONE) {
		r->metric = m;
		*seen |= WHAT;
	} else if ((n = place(s, len, tables)) >= 0) {
		r->table = (enum vs_table)(n + 1);
		*seen |= TABLE;
	} else if ((n = place(s, len, types)) >= 0) {
		r->type = (enum vs_register_type)n;
	} else if ((n = place(s, len, orders)) >= 0) {
		r->order = (enum vs_word_order)n;
	} else if (*s >= '0' && *s <= '9') {
		unsigned long a = strtoul(s, &after, 10);
		r->address = (uint16_t)a;
		*seen |= ADDRESS;
		return after == s + len && a <= 65535;
	} else {
		*seen |= is(s, len < 5 ? len : 5, "flag=") ? WHAT : 0;
		return take_key(r, s, len);
	}
	return true;
}

/* `spo2 input 0 u16 invalid=0,127; ...` */
static int take_registers(struct vs_register_map *map, const char *s)
{
	while (s && *s) {
		struct vs_register r = { .metric = VS_METRIC_NONE, .scale = 1 };
		unsigned seen = 0;
		while (*s && *s != ';') {
			size_t len = strcspn(s, " ;");
			if (len && !take_word(&r, s, len, &seen))
				return -EINVAL;
			s += len;
			s += strspn(s, " ");
		}
		s += strspn(s, "; ");
		if (seen != 7 || map->len == VS_MAP_MAX)
			return -EINVAL;
		map->reg[map->len++] = r;
	}
	return map->len ? 0 : -EINVAL;
}

static int digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static int take_request(struct state *s, const char *hex)
{
	uint8_t q[VS_MODBUS_REQUEST_MAX];
	size_t n = 0, want = s->framing == VS_FRAMING_TCP ? 12 : 8, head = s->framing == VS_FRAMING_TCP ? 6 : 0;
	for (; hex[0] && n < want; hex += 2) {
		int hi = digit(hex[0]), lo = hi < 0 ? -1 : digit(hex[1]);
		if (lo < 0)
			return -EINVAL;
		q[n++] = (uint8_t)(hi << 4 | lo);
	}
	if (*hex || n != want || q[head + 1] < VS_COIL || q[head + 1] > VS_INPUT)
		return -EINVAL;
	s->asked =
		(struct vs_modbus_open){ .framing = s->framing, .unit = q[head], .transaction = head ? vs_be16(q) : 0 };
	s->asked.q =
		(struct vs_modbus_request){ (enum vs_table)q[head + 1], vs_be16(q + head + 2), vs_be16(q + head + 4) };
	vs_modbus_request(&s->asked);
	s->strict = true;
	return memcmp(q, s->asked.bytes, n) ? -EINVAL : 0;
}

/* The given request in place of the plan; it must reach all registers of the map. */
static int only_that_request(struct state *s)
{
	const struct vs_modbus_request *q = &s->asked.q;
	for (unsigned i = 0; i < s->map.len; i++) {
		const struct vs_register *r = &s->map.reg[i];
		if (r->table != q->table || r->address < q->address ||
		    r->address + vs_modbus_width(r) > (unsigned)q->address + q->count)
			return -EINVAL;
		s->modbus.request_of[i] = 0;
	}
	s->modbus.n_requests = 1;
	s->modbus.request[0] = *q;
	return 0;
}

static int plan(struct state *s)
{
	vs_modbus_init(&s->modbus, &s->map, 8);
	return s->strict ? only_that_request(s) : 0;
}

static int init(void *state, const struct vs_plugin_setting *settings)
{
	struct state *s = state;
	const char *request = vs_plugin_setting(settings, "request"), *profile = vs_plugin_setting(settings, "profile"),
		   *registers = vs_plugin_setting(settings, "registers");
	s->framing = vs_plugin_is_set(settings, "framing", "tcp") ? VS_FRAMING_TCP : VS_FRAMING_RTU;
	if (profile && registers)
		return -EINVAL;
	int r = profile ? 0 : take_registers(&s->map, registers);
	if (r == 0 && request)
		r = take_request(s, request);
	return r < 0 || profile ? r : plan(s);
}

int vs_modbus_decode_with(void *state, const struct vs_register_map *map)
{
	struct state *s = state;
	s->map = *map;
	return plan(s);
}

/* ---- answers */

/* An answer's length by its own account; the checksum and the request decide later. */
static int frame(void *state, const uint8_t *buf, size_t len)
{
	const struct state *s = state;
	size_t head = s->framing == VS_FRAMING_TCP ? 6 : 0, need;
	if (head && len >= 6 && (vs_be16(buf + 2) || vs_be16(buf + 4) < 3 || vs_be16(buf + 4) > 254))
		return -1;
	if (len < head + 3)
		return 0;
	uint8_t function = buf[head + 1], count = buf[head + 2];
	if ((function & 0x7f) < VS_COIL || (function & 0x7f) > VS_INPUT)
		return -1;
	need = head ? head + vs_be16(buf + 4) : 5 + (function & 0x80 ? 0 : (size_t)count);
	return len < need ? 0 : (int)need;
}

static enum vs_decoded finish(struct state *s, struct vs_reading *ret)
{
	uint64_t all = s->modbus.n_requests < 64 ? (UINT64_C(1) << s->modbus.n_requests) - 1 : UINT64_MAX;
	if ((s->modbus.asked[0] & all) != all || (s->modbus.n_requests == VS_MAP_MAX + 1 && !s->modbus.asked[1]))
		return VS_IGNORED;
	bool spoke = vs_modbus_reading(&s->modbus, ret);
	vs_modbus_begin(&s->modbus);
	if (!ret->len && ret->flags)
		vs_reading_add_none(ret, VS_STATUS, 0); /* flags alone have nothing else to stand beside */
	return spoke ? VS_UNIT : VS_IGNORED;
}

static enum vs_decoded decode(void *state, const uint8_t *buf, size_t len, struct vs_reading *ret)
{
	struct state *s = state;
	size_t head = s->framing == VS_FRAMING_TCP ? 6 : 0;
	for (unsigned i = 0; i < s->modbus.n_requests; i++) {
		struct vs_modbus_open o = { .framing = s->framing, .unit = buf[head], .q = s->modbus.request[i],
					    .transaction = head ? vs_be16(buf) : 0 };
		struct vs_modbus_answer a;
		bool had = s->modbus.asked[i / 64] >> i % 64 & 1;
		if (s->strict)
			o = s->asked;
		enum vs_modbus_outcome what = vs_modbus_check(&o, buf, len, &a);
		if (had || a.stale)
			continue;
		if (what == VS_MODBUS_EXCEPTION) { /* of which request, nobody can tell: the poll is not complete */
			vs_modbus_begin(&s->modbus);
			return VS_IGNORED;
		}
		if (what != VS_MODBUS_ANSWER)
			continue;
		vs_modbus_take(&s->modbus, i, a.data, a.len);
		return finish(s, ret);
	}
	return VS_REJECTED;
}

static void broken(void *state)
{
	struct state *s = state;
	vs_modbus_begin(&s->modbus);
}

static const struct vs_plugin_option options[] = {
	{ "framing", (const char *const[]){ "rtu", "tcp", NULL },
	  "decode: answers with CRC, or with the header of Modbus TCP" },
	{ "registers", NULL, "decode: what is where: 'spo2 input 0 u16 invalid=0; flag=probe_off discrete 3'" },
	{ "profile", NULL, "decode: a register map that ships, or a file (./my-monitor.yaml), in place of registers" },
	{ "request", NULL, "decode: the request in hex, to which the answers must fit" },
	{ NULL },
};

const struct vs_plugin vs_plugin_modbus = {
	.abi = VS_PLUGIN_ABI,
	.name = "modbus",
	.summary = "any Modbus device by its register map: TCP, RTU, RTU over TCP",
	.manual = "Modbus Application Protocol V1.1b3; Modbus over Serial Line V1.02; Messaging on TCP/IP V1.0b",
	.devices = "monitors and sensors with Modbus registers; profile dfrobot-sen0344 ships",
	.tested = "vectors made from the documents; libmodbus and pymodbus as peers",
	.maturity = VS_DOCUMENTED,
	.strong = true, /* CRC-16, or that of TCP */
	.line = { 19200, 'E', 8, 1 },
	.silence_ms = 3000,
	.metrics = ((UINT32_C(1) << VS_METRIC_COUNT) - 1) &
		   ~(1u << VS_RPP | 1u << VS_MOAAS | 1u << VS_RASS | 1u << VS_POSS | 1u << VS_STATUS | 1u << VS_NIBP_EVENT |
		     1u << VS_NIBP_STATUS),
	.options = options,
	.state_size = sizeof(struct state),
	.init = init,
	.frame = frame,
	.decode = decode,
	.broken = broken,
};
