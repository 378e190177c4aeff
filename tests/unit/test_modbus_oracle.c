/* libmodbus as the second opinion on every frame: our requests are byte for byte what its client sends, its server
 * accepts them, and what its server answers means to us what it put there. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <modbus.h>

#include "core/bytes.h"
#include "plugins/modbus/modbus.h"

static const struct vs_modbus_request requests[] = {
	{ VS_HOLDING, 0, 1 },     { VS_HOLDING, 107, 3 },   { VS_HOLDING, 65411, 125 }, { VS_INPUT, 0, 4 },
	{ VS_INPUT, 300, 125 },   { VS_INPUT, 65535, 1 },   { VS_COIL, 0, 1 },          { VS_COIL, 19, 8 },
	{ VS_COIL, 3, 17 },       { VS_COIL, 0, 2000 },     { VS_DISCRETE, 196, 22 },   { VS_DISCRETE, 63536, 2000 },
	{ VS_DISCRETE, 65528, 8 },
};
#define N_REQUESTS (sizeof requests / sizeof *requests)

struct pair {
	modbus_t *ctx;
	int ours;
};

static struct pair pair_open(enum vs_framing framing, int unit)
{
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	struct pair p = { framing == VS_FRAMING_TCP ? modbus_new_tcp("127.0.0.1", 502)
						    : modbus_new_rtu("/dev/null", 9600, 'N', 8, 1), fd[1] };
	assert_non_null(p.ctx);
	modbus_set_slave(p.ctx, unit);
	modbus_set_socket(p.ctx, fd[0]);
	modbus_set_response_timeout(p.ctx, 0, 1000);
	return p;
}

static void pair_close(struct pair *p)
{
	close(modbus_get_socket(p->ctx));
	modbus_free(p->ctx);
	close(p->ours);
}

static void client_reads(modbus_t *ctx, const struct vs_modbus_request *q)
{
	uint16_t words[125];
	uint8_t bits[2000];
	int r = -1;
	switch (q->table) {
	case VS_COIL: r = modbus_read_bits(ctx, q->address, q->count, bits); break;
	case VS_DISCRETE: r = modbus_read_input_bits(ctx, q->address, q->count, bits); break;
	case VS_HOLDING: r = modbus_read_registers(ctx, q->address, q->count, words); break;
	case VS_INPUT: r = modbus_read_input_registers(ctx, q->address, q->count, words); break;
	}
	assert_int_equal(r, -1); /* nobody answers: only the request is wanted */
}

static void same_requests(enum vs_framing framing)
{
	struct pair p = pair_open(framing, 17);
	for (size_t i = 0; i < N_REQUESTS; i++) {
		struct vs_modbus_open o = { .framing = framing, .unit = 17, .transaction = (uint16_t)(i + 1), .q = requests[i] };
		uint8_t theirs[300];
		client_reads(p.ctx, &requests[i]);
		ssize_t n = recv(p.ours, theirs, sizeof theirs, MSG_DONTWAIT);
		vs_modbus_request(&o);
		assert_int_equal(n, o.len);
		assert_memory_equal(theirs, o.bytes, o.len);
	}
	pair_close(&p);
}

static void same_requests_tcp(void **state)
{
	(void)state;
	same_requests(VS_FRAMING_TCP);
}

static void same_requests_rtu(void **state)
{
	(void)state;
	same_requests(VS_FRAMING_RTU);
}

/* libmodbus holds 65,536 of everything, each with a content that tells its address. */
static modbus_mapping_t *mapping(void)
{
	modbus_mapping_t *m = modbus_mapping_new(65536, 65536, 65536, 65536);
	assert_non_null(m);
	for (int a = 0; a < 65536; a++) {
		m->tab_bits[a] = (uint8_t)(a * 7 / 3 & 1);
		m->tab_input_bits[a] = (uint8_t)(a * 11 / 5 & 1);
		m->tab_registers[a] = (uint16_t)(a * 31 + 5);
		m->tab_input_registers[a] = (uint16_t)(a * 17 + 9);
	}
	return m;
}

static unsigned content(const modbus_mapping_t *m, enum vs_table t, unsigned a)
{
	switch (t) {
	case VS_COIL: return m->tab_bits[a];
	case VS_DISCRETE: return m->tab_input_bits[a];
	case VS_HOLDING: return m->tab_registers[a];
	default: return m->tab_input_registers[a];
	}
}

/* One request to its server; the answer in buf. */
static size_t ask(struct pair *p, struct vs_modbus_open *o, modbus_mapping_t *m, uint8_t *buf)
{
	uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
	vs_modbus_request(o);
	assert_int_equal(write(p->ours, o->bytes, o->len), o->len);
	int n = modbus_receive(p->ctx, query);
	assert_int_equal(n, o->len);
	assert_true(modbus_reply(p->ctx, query, n, m) > 0);
	ssize_t got = recv(p->ours, buf, VS_MODBUS_ANSWER_MAX, MSG_DONTWAIT);
	assert_true(got > 0);
	return (size_t)got;
}

static void same_answers(enum vs_framing framing)
{
	modbus_mapping_t *map = mapping();
	struct pair p = pair_open(framing, 9);
	for (size_t i = 0; i < N_REQUESTS; i++) {
		struct vs_modbus_open o = { .framing = framing, .unit = 9, .transaction = (uint16_t)(65530 + i), .q = requests[i] };
		struct vs_modbus_answer a;
		uint8_t buf[VS_MODBUS_ANSWER_MAX];
		size_t n = ask(&p, &o, map, buf);
		for (size_t k = 0; k < n; k++) /* not before the last byte */
			assert_int_equal(vs_modbus_check(&o, buf, k, &a), VS_MODBUS_WAIT);
		assert_int_equal(vs_modbus_check(&o, buf, n, &a), VS_MODBUS_ANSWER);
		assert_int_equal(a.used, n);
		for (unsigned k = 0; k < o.q.count; k++) {
			struct vs_register r = { .table = o.q.table, .address = (uint16_t)(o.q.address + k), .type = VS_U16 };
			assert_int_equal(vs_modbus_bits(&r, a.data, o.q.address), content(map, o.q.table, o.q.address + k));
		}
	}
	pair_close(&p);
	modbus_mapping_free(map);
}

static void same_answers_tcp(void **state)
{
	(void)state;
	same_answers(VS_FRAMING_TCP);
}

static void same_answers_rtu(void **state)
{
	(void)state;
	same_answers(VS_FRAMING_RTU);
}

/* A server with three registers refuses the fourth. */
static void same_exceptions(void **state)
{
	(void)state;
	for (int framing = VS_FRAMING_TCP; framing <= VS_FRAMING_RTU; framing++) {
		modbus_mapping_t *small = modbus_mapping_new(3, 3, 3, 3);
		struct pair p = pair_open((enum vs_framing)framing, 9);
		for (enum vs_table t = VS_COIL; t <= VS_INPUT; t++) {
			struct vs_modbus_open o = { .framing = (enum vs_framing)framing, .unit = 9, .transaction = 3, .q = { t, 2, 2 } };
			struct vs_modbus_answer a;
			uint8_t buf[VS_MODBUS_ANSWER_MAX];
			size_t n = ask(&p, &o, small, buf);
			assert_int_equal(vs_modbus_check(&o, buf, n, &a), VS_MODBUS_EXCEPTION);
			assert_int_equal(a.exception, MODBUS_EXCEPTION_ILLEGAL_DATA_ADDRESS);
			assert_int_equal(a.used, n);
		}
		pair_close(&p);
		modbus_mapping_free(small);
	}
}

/* Only its readers: its setters of 3.1.6 swap the bytes on this machine. */
static void same_floats(void **state)
{
	(void)state;
	static const uint16_t words[][2] = { { 0x47f1, 0x2000 }, { 0x4212, 0x8000 }, { 0x42c2, 0x0000 }, { 0xbfc0, 0x0001 }, { 0, 0 } };
	static float (*const get[])(const uint16_t *) = {
		[VS_ABCD] = modbus_get_float_abcd, [VS_CDAB] = modbus_get_float_cdab,
		[VS_BADC] = modbus_get_float_badc, [VS_DCBA] = modbus_get_float_dcba,
	};
	for (int order = VS_ABCD; order <= VS_DCBA; order++)
		for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
			uint8_t wire[4];
			double value;
			struct vs_register r = { .table = VS_INPUT, .type = VS_F32, .order = (enum vs_word_order)order, .scale = 1 };
			vs_put_be16(wire, words[i][0]);
			vs_put_be16(wire + 2, words[i][1]);
			assert_true(vs_modbus_value(&r, vs_modbus_bits(&r, wire, 0), &value));
			assert_true(value == (double)get[order](words[i]));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_requests_tcp), cmocka_unit_test(same_requests_rtu),
		cmocka_unit_test(same_answers_tcp),  cmocka_unit_test(same_answers_rtu),
		cmocka_unit_test(same_exceptions),   cmocka_unit_test(same_floats),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
