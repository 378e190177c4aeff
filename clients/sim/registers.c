#include "clients/sim/registers.h"

#include <math.h>
#include <modbus.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/bytes.h"

#define NO_VALUE 65535
#define EXCEPTION_FUNCTION 1
#define EXCEPTION_VALUE 3
#define EXCEPTION_GATEWAY_TARGET 11

enum { SYS, DIA, MAP, CUFF_PR, HR, SPO2, PR, RR, STATE, READINGS, TEMP, PI = 12, SPO2_F32 = 40, REGISTERS = 64 };
enum { BIT_INFLATING = 0, BIT_CUFF_FAILED = 1, BIT_PROBE_OFF = 3, BITS = 16 };

struct vs_registers {
	uint8_t unit;
	modbus_mapping_t *map;
	modbus_t *framer[2]; /* by enum vs_framing: they only build answers, into our end of a socket pair */
	int in, out;
};

static bool open_framers(struct vs_registers *r)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return false;
	r->in = pair[0];
	r->out = pair[1];
	r->framer[VS_FRAMING_TCP] = modbus_new_tcp("127.0.0.1", 502);
	r->framer[VS_FRAMING_RTU] = modbus_new_rtu("/dev/null", 19200, 'E', 8, 1);
	for (int i = 0; i < 2; i++) {
		if (!r->framer[i])
			return false;
		modbus_set_socket(r->framer[i], r->in);
		/* libmodbus sleeps that long before it refuses a request with a wrong quantity. */
		modbus_set_response_timeout(r->framer[i], 0, 1);
	}
	return true;
}

struct vs_registers *vs_registers_create(uint8_t unit)
{
	struct vs_registers *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	r->unit = unit;
	r->in = r->out = -1;
	r->map = modbus_mapping_new(1, BITS, REGISTERS, REGISTERS);
	if (!r->map || !open_framers(r)) {
		vs_registers_destroy(r);
		return NULL;
	}
	struct vs_second nothing = { 0 };
	vs_registers_show(r, &nothing);
	return r;
}

void vs_registers_destroy(struct vs_registers *r)
{
	if (!r)
		return;
	for (int i = 0; i < 2; i++)
		modbus_free(r->framer[i]);
	if (r->map)
		modbus_mapping_free(r->map);
	if (r->in >= 0) {
		close(r->in);
		close(r->out);
	}
	free(r);
}

static uint16_t shown(struct vs_shown s)
{
	return s.has ? (uint16_t)s.value : NO_VALUE;
}

/* The two words of an f32, the high one first.  Not modbus_set_float_abcd(): in 3.1.6 it swaps the bytes of each. */
static void put_float(uint16_t *high, uint16_t *low, float f)
{
	uint32_t bits;
	memcpy(&bits, &f, sizeof bits);
	*high = (uint16_t)(bits >> 16);
	*low = (uint16_t)bits;
}

static void put_cuff(uint16_t *reg, const struct vs_cuff *c)
{
	static const struct vs_shown none = { true, 0 };
	bool before = c->readings == 0;
	reg[SYS] = shown(before ? none : c->sys);
	reg[DIA] = shown(before ? none : c->dia);
	reg[MAP] = shown(before ? none : c->map);
	reg[CUFF_PR] = shown(before ? none : c->pr);
	reg[READINGS] = (uint16_t)c->readings;
}

void vs_registers_show(struct vs_registers *r, const struct vs_second *s)
{
	const struct vs_display *d = &s->display;
	uint16_t *reg = r->map->tab_input_registers;
	put_cuff(reg, &s->cuff);
	reg[HR] = shown(d->hr);
	reg[SPO2] = shown(d->spo2);
	reg[PR] = shown(d->pr);
	reg[RR] = shown(d->rr);
	put_float(reg + TEMP, reg + TEMP + 1, (float)d->temp);
	reg[PI] = d->spo2.has ? (uint16_t)lround(100 * d->pi) : NO_VALUE;
	put_float(reg + SPO2_F32 + 1, reg + SPO2_F32, d->spo2.has ? (float)d->spo2.value : NAN);

	uint8_t *bit = r->map->tab_input_bits;
	bit[BIT_INFLATING] = d->inflating;
	bit[BIT_CUFF_FAILED] = s->cuff.failures > 0;
	bit[BIT_PROBE_OFF] = d->probe_off;
	reg[STATE] = 0;
	for (int i = 0; i < BITS; i++)
		reg[STATE] = (uint16_t)(reg[STATE] | bit[i] << i);
	memcpy(r->map->tab_registers, reg, REGISTERS * sizeof *reg);
}

bool vs_registers_cuff_wanted(struct vs_registers *r)
{
	bool wanted = r->map->tab_bits[0];
	r->map->tab_bits[0] = 0;
	return wanted;
}

uint16_t vs_crc16(const uint8_t *p, size_t len)
{
	uint16_t crc = 0xffff;
	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1);
	}
	return crc;
}

/* Bytes from the function code on; 0: not enough to tell. */
static size_t pdu_length(const uint8_t *pdu, size_t len)
{
	if (pdu[0] != 15 && pdu[0] != 16)
		return 5;
	return len < 6 ? 0 : 6 + (size_t)pdu[5];
}

int vs_request_length(enum vs_framing f, const uint8_t *buf, size_t len)
{
	if (f == VS_FRAMING_TCP) {
		if (len < 7)
			return 0;
		unsigned rest = vs_be16(buf + 4);
		if (vs_be16(buf + 2) != 0 || rest < 2 || rest > VS_ADU_MAX - 6)
			return -1;
		return len < 6 + rest ? 0 : (int)(6 + rest);
	}
	if (len < 2)
		return 0;
	size_t pdu = pdu_length(buf + 1, len - 1), whole = 1 + pdu + 2;
	if (pdu == 0 || len < whole)
		return 0;
	return vs_crc16(buf, whole - 2) == (buf[whole - 2] | buf[whole - 1] << 8) ? (int)whole : -1;
}

static size_t header(enum vs_framing f)
{
	return f == VS_FRAMING_TCP ? 7 : 1; /* unit included */
}

static size_t framed(enum vs_framing f, const uint8_t *request, uint8_t *answer, size_t pdu_len)
{
	size_t n = header(f) + pdu_len;
	memcpy(answer, request, header(f));
	if (f == VS_FRAMING_TCP) {
		vs_put_be16(answer + 4, (uint16_t)(1 + pdu_len));
		return n;
	}
	uint16_t crc = vs_crc16(answer, n);
	answer[n] = (uint8_t)crc;
	answer[n + 1] = (uint8_t)(crc >> 8);
	return n + 2;
}

size_t vs_registers_refuse(enum vs_framing f, const uint8_t *request, uint8_t code, uint8_t answer[VS_ADU_MAX])
{
	answer[header(f)] = request[header(f)] | 0x80;
	answer[header(f) + 1] = code;
	return framed(f, request, answer, 2);
}

/* libmodbus answers into the socket pair; it believes the lengths inside a request, so they are checked before. */
size_t vs_registers_answer(struct vs_registers *r, enum vs_framing f, const uint8_t *request, size_t len,
			   uint8_t answer[VS_ADU_MAX])
{
	uint8_t unit = request[header(f) - 1], function = request[header(f)];
	size_t pdu = len - header(f) - (f == VS_FRAMING_RTU ? 2 : 0);
	bool ours = unit == r->unit || (f == VS_FRAMING_TCP && (unit == 0 || unit == 255));
	if (!ours)
		return f == VS_FRAMING_RTU ? 0 : vs_registers_refuse(f, request, EXCEPTION_GATEWAY_TARGET, answer);
	if (function < 1 || function > 5)
		return vs_registers_refuse(f, request, EXCEPTION_FUNCTION, answer);
	if (pdu != 5)
		return vs_registers_refuse(f, request, EXCEPTION_VALUE, answer);
	if (modbus_reply(r->framer[f], request, (int)len, r->map) <= 0)
		return 0;
	ssize_t n = read(r->out, answer, VS_ADU_MAX);
	return n > 0 ? (size_t)n : 0;
}
