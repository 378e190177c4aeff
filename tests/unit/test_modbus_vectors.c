/* Modbus answers as an independent encoder made them (plugins/modbus/captures): each must give exactly what stands
 * beside it, whole, in its own pieces, and byte by byte. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/bytes.h"
#include "plugins/modbus/modbus.h"

static size_t from_hex(const char *hex, uint8_t *out)
{
	size_t n = 0;
	unsigned byte;
	for (; hex && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		out[n++] = (uint8_t)byte;
	return n;
}

static const char *text(const json_t *v, const char *key)
{
	return json_string_value(json_object_get(v, key));
}

static struct vs_register register_from(const json_t *e)
{
	static const char *const types[] = { "u16", "i16", "u32", "i32", "f32" }, *const orders[] = { "ABCD", "CDAB", "BADC", "DCBA" };
	struct vs_register r = { .metric = VS_METRIC_NONE, .scale = 1 };
	const char *metric = text(e, "metric"), *flag = text(e, "flag"), *type = text(e, "type"), *order = text(e, "order");
	if (metric)
		r.metric = vs_metric_by_name(metric, strlen(metric));
	if (flag)
		r.flag = vs_flag_by_name(flag, strlen(flag));
	for (unsigned i = 0; type && i < 5; i++)
		if (!strcmp(type, types[i]))
			r.type = (enum vs_register_type)i;
	for (unsigned i = 0; order && i < 4; i++)
		if (!strcmp(order, orders[i]))
			r.order = (enum vs_word_order)i;
	r.table = (enum vs_table)json_integer_value(json_object_get(e, "fc"));
	r.address = (uint16_t)json_integer_value(json_object_get(e, "addr"));
	if (json_object_get(e, "scale"))
		r.scale = json_number_value(json_object_get(e, "scale"));
	size_t i;
	json_t *code;
	json_array_foreach(json_object_get(e, "invalid"), i, code)
		r.invalid[r.invalid_len++] = json_number_value(code);
	return r;
}

/* The vectors of the SEN0344 name no map: registers 6 to 9, or 10 (protocol note of the sensor). */
static void sen0344(struct vs_register_map *map, uint16_t address)
{
	struct vs_register base = { .table = VS_HOLDING, .scale = 1, .invalid_len = 1 };
	struct vs_register spo2 = base, pr = base, temp = base, valid = base;
	spo2.metric = VS_SPO2, spo2.address = 6, spo2.type = VS_U8HI;
	pr.metric = VS_PR, pr.address = 7, pr.type = VS_U32;
	valid.metric = VS_METRIC_NONE, valid.address = 9, valid.type = VS_U8LO, valid.flag = VS_FLAG_NO_VALUE;
	valid.inverted = true, valid.concerns = UINT32_C(1) << VS_PR, valid.invalid_len = 0;
	temp.metric = VS_TEMP, temp.address = 10, temp.type = VS_U8PAIR;
	map->len = 0;
	if (address == 10) {
		map->reg[map->len++] = temp;
	} else {
		map->reg[map->len++] = pr;
		map->reg[map->len++] = spo2;
		map->reg[map->len++] = valid;
	}
}

static void map_of(const json_t *v, const struct vs_modbus_open *o, struct vs_register_map *map)
{
	json_t *list = json_object_get(json_object_get(v, "config"), "map"), *e;
	size_t i;
	memset(map, 0, sizeof *map);
	json_array_foreach(list, i, e)
		map->reg[map->len++] = register_from(e);
	if (!list)
		sen0344(map, o->q.address);
}

/* The request of the vector, taken apart, must come out again byte for byte. */
static void open_request(const json_t *v, struct vs_modbus_open *o)
{
	uint8_t want[64], *p = want;
	size_t n = from_hex(text(v, "request_hex"), want);
	memset(o, 0, sizeof *o);
	o->framing = !strcmp(text(v, "transport"), "tcp") ? VS_FRAMING_TCP : VS_FRAMING_RTU;
	if (o->framing == VS_FRAMING_TCP) {
		o->transaction = vs_be16(p);
		p += 6;
	}
	o->unit = p[0];
	o->q = (struct vs_modbus_request){ (enum vs_table)p[1], vs_be16(p + 2), vs_be16(p + 4) };
	vs_modbus_request(o);
	assert_int_equal(o->len, n);
	assert_memory_equal(o->bytes, want, n);
}

/* Feeds the answer in pieces; what a link does.  The error is the outcome's name, "exception:N" or "timeout". */
static void feed(struct vs_modbus_open *o, struct vs_modbus *m, const uint8_t *bytes, size_t len, const json_t *chunks,
		 size_t piece, char *error)
{
	uint8_t buf[1024];
	size_t at = 0, have = 0;
	strcpy(error, "timeout");
	for (size_t i = 0; at < len; i++) {
		size_t n = chunks && i < json_array_size(chunks) ? (size_t)json_integer_value(json_array_get(chunks, i)) : piece;
		if (n > len - at)
			n = len - at;
		memcpy(buf + have, bytes + at, n);
		have += n;
		at += n;
		struct vs_modbus_answer a;
		enum vs_modbus_outcome what = vs_modbus_check(o, buf, have, &a);
		have -= a.used;
		if (what == VS_MODBUS_ANSWER)
			vs_modbus_take(m, 0, a.data, a.len);
		memmove(buf, buf + a.used, have);
		if (what == VS_MODBUS_WAIT)
			continue;
		strcpy(error, what == VS_MODBUS_ANSWER ? "" : vs_modbus_outcome_name(what));
		if (what == VS_MODBUS_EXCEPTION)
			sprintf(error, "exception:%u", a.exception);
		return;
	}
}

static void same_flags(uint64_t flags, const json_t *want)
{
	size_t i;
	json_t *name;
	assert_int_equal(__builtin_popcountll(flags), json_array_size(want));
	json_array_foreach(want, i, name) {
		const char *s = json_string_value(name);
		assert_true(flags >> vs_flag_by_name(s, strlen(s)) & 1);
	}
}

static void same_reading(const struct vs_reading *r, const json_t *expect)
{
	size_t i, observations = 0;
	json_t *e;
	json_array_foreach(expect, i, e) {
		const char *name = text(e, "metric");
		if (!strcmp(name, "status")) { /* a device that reports flags alone */
			same_flags(r->flags, json_object_get(e, "flags"));
			continue;
		}
		const struct vs_obs *o = vs_reading_find(r, vs_metric_by_name(name, strlen(name)));
		const json_t *value = json_object_get(e, "value");
		observations++;
		assert_non_null(o);
		assert_int_equal(o->has_value, !json_is_null(value));
		if (o->has_value)
			assert_true(fabs(o->value - json_number_value(value)) < 0.001);
		same_flags(o->flags & ~VS_FLAG(FROM_MEMORY), json_object_get(e, "flags"));
		assert_string_equal(vs_metrics[o->metric].unit, text(e, "unit"));
	}
	assert_int_equal(r->len, observations);
}

static void one(const json_t *v, const json_t *chunks, size_t piece)
{
	struct vs_modbus_open o;
	struct vs_register_map map;
	struct vs_modbus m;
	struct vs_reading r = { .len = 0 };
	uint8_t bytes[512];
	char error[32];
	size_t len = from_hex(text(v, "bytes_hex"), bytes);
	open_request(v, &o);
	map_of(v, &o, &map);
	vs_modbus_init(&m, &map, 8);
	assert_int_equal(m.n_requests, 1);
	assert_int_equal(m.request[0].table, o.q.table);
	assert_int_equal(m.request[0].address, o.q.address);
	assert_int_equal(m.request[0].count, o.q.count);
	feed(&o, &m, bytes, len, chunks, piece, error);
	const char *want = text(v, "error");
	assert_string_equal(error, want ? want : "");
	assert_int_equal(vs_modbus_reading(&m, &r), !want);
	if (!want)
		same_reading(&r, json_object_get(v, "expect"));
}

/* Frames that only go out: the request they are, as far as it is a read. */
static void outgoing(const json_t *v)
{
	uint8_t want[64];
	size_t n = from_hex(text(v, "bytes_hex"), want);
	assert_int_equal(vs_modbus_crc(want, n - 2), vs_le16(want + n - 2));
	if (want[1] > VS_INPUT)
		return;
	struct vs_modbus_open o = { .framing = VS_FRAMING_RTU, .unit = want[0],
		.q = { (enum vs_table)want[1], vs_be16(want + 2), vs_be16(want + 4) } };
	vs_modbus_request(&o);
	assert_int_equal(o.len, n);
	assert_memory_equal(o.bytes, want, n);
}

static int n_files;
static char **files;

static void vectors(void **state)
{
	(void)state;
	size_t total = 0, i;
	json_t *v;
	for (int f = 0; f < n_files; f++) {
		json_error_t why;
		json_t *list = json_load_file(files[f], 0, &why);
		if (!list)
			fail_msg("%s:%d: %s", files[f], why.line, why.text);
		json_array_foreach(list, i, v) {
			print_message("# %s: %s\n", text(v, "name"), text(v, "why"));
			total++;
			if (text(v, "direction")) {
				outgoing(v);
				continue;
			}
			one(v, NULL, 512);
			one(v, NULL, 1);
			one(v, NULL, 3);
			if (json_object_get(v, "chunks"))
				one(v, json_object_get(v, "chunks"), 1);
		}
		json_decref(list);
	}
	assert_int_equal(total, 34);
}

int main(int argc, char **argv)
{
	n_files = argc - 1;
	files = argv + 1;
	const struct CMUnitTest tests[] = { cmocka_unit_test(vectors) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
