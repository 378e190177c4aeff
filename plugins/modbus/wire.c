/* Frames: requests out, answers in. */
#include <string.h>

#include "core/bytes.h"
#include "plugins/modbus/modbus.h"

/* Modbus over Serial Line V1.02, 6.2.2: polynomial A001 (reflected), start FFFF.  Four bits at a time. */
uint16_t vs_modbus_crc(const uint8_t *bytes, size_t len)
{
	static const uint16_t nibble[16] = {
		0x0000, 0xcc01, 0xd801, 0x1400, 0xf001, 0x3c00, 0x2800, 0xe401,
		0xa001, 0x6c00, 0x7800, 0xb401, 0x5000, 0x9c01, 0x8801, 0x4400,
	};
	uint16_t crc = 0xffff;
	for (size_t i = 0; i < len; i++) {
		crc = (uint16_t)(crc >> 4 ^ nibble[(crc ^ bytes[i]) & 15]);
		crc = (uint16_t)(crc >> 4 ^ nibble[(crc ^ bytes[i] >> 4) & 15]);
	}
	return crc;
}

void vs_modbus_request(struct vs_modbus_open *o)
{
	uint8_t *p = o->bytes;
	if (o->framing == VS_FRAMING_TCP) {
		vs_put_be16(p, o->transaction);
		vs_put_be16(p + 2, 0);
		vs_put_be16(p + 4, 6);
		p += 6;
	}
	p[0] = o->unit;
	p[1] = (uint8_t)o->q.table;
	vs_put_be16(p + 2, o->q.address);
	vs_put_be16(p + 4, o->q.count);
	o->len = 12;
	if (o->framing == VS_FRAMING_RTU) {
		uint16_t crc = vs_modbus_crc(p, 6);
		p[6] = (uint8_t)crc;
		p[7] = (uint8_t)(crc >> 8);
		o->len = 8;
	}
	o->echo_seen = false;
}

static size_t byte_count(const struct vs_modbus_request *q)
{
	return q->table <= VS_DISCRETE ? (q->count + 7u) / 8 : q->count * 2u;
}

/* Unit and PDU, as far as they are there; *need: how long they are in all. */
static enum vs_modbus_outcome check_pdu(const struct vs_modbus_open *o, const uint8_t *p, size_t len, size_t *need)
{
	*need = 3;
	if (len >= 1 && p[0] != o->unit)
		return VS_MODBUS_UNIT;
	if (len >= 2 && (p[1] & 0x7f) != (int)o->q.table)
		return VS_MODBUS_FUNCTION;
	if (len < 3)
		return VS_MODBUS_WAIT;
	if (p[1] & 0x80)
		return VS_MODBUS_EXCEPTION;
	if (p[2] != byte_count(&o->q))
		return VS_MODBUS_BYTE_COUNT;
	*need = 3 + (size_t)p[2];
	return len < *need ? VS_MODBUS_WAIT : VS_MODBUS_ANSWER;
}

static enum vs_modbus_outcome deliver(enum vs_modbus_outcome what, const uint8_t *pdu, size_t frame,
				      struct vs_modbus_answer *ret)
{
	ret->used += frame;
	if (what == VS_MODBUS_EXCEPTION) {
		ret->exception = pdu[2];
	} else {
		ret->data = pdu + 3;
		ret->len = pdu[2];
	}
	return what;
}

/* Bytes that adapters and lines put before an answer: the request's echo (two-wire RS-485), and 00 or FF when a driver
 * is switched on.  Neither is a station's number, so no answer begins with them.  An answer that equals its request
 * byte for byte cannot be told from the echo and is not believed. */
static bool skip_noise(struct vs_modbus_open *o, const uint8_t *buf, size_t len, struct vs_modbus_answer *ret)
{
	while (ret->used < len && (buf[ret->used] == 0x00 || buf[ret->used] == 0xff))
		ret->used++;
	size_t rest = len - ret->used;
	if (o->echo_seen || rest == 0 || memcmp(buf + ret->used, o->bytes, rest < o->len ? rest : o->len))
		return false;
	if (rest < o->len)
		return false;
	o->echo_seen = true;
	ret->used += o->len;
	return true;
}

static enum vs_modbus_outcome check_rtu(struct vs_modbus_open *o, const uint8_t *buf, size_t len,
					struct vs_modbus_answer *ret)
{
	while (skip_noise(o, buf, len, ret))
		;
	const uint8_t *p = buf + ret->used;
	size_t rest = len - ret->used, need;
	if (!o->echo_seen && rest < o->len && !memcmp(p, o->bytes, rest))
		return VS_MODBUS_WAIT;
	enum vs_modbus_outcome what = check_pdu(o, p, rest, &need);
	if (what != VS_MODBUS_ANSWER && what != VS_MODBUS_EXCEPTION)
		return what;
	if (rest < need + 2)
		return VS_MODBUS_WAIT;
	if (vs_modbus_crc(p, need) != vs_le16(p + need))
		return VS_MODBUS_CRC;
	return deliver(what, p, need + 2, ret);
}

static enum vs_modbus_outcome check_tcp(struct vs_modbus_open *o, const uint8_t *buf, size_t len,
					struct vs_modbus_answer *ret)
{
	for (;;) {
		const uint8_t *p = buf + ret->used;
		size_t rest = len - ret->used, need;
		if (rest >= 4 && vs_be16(p + 2) != 0)
			return VS_MODBUS_PROTOCOL;
		if (rest < 6)
			return VS_MODBUS_WAIT;
		size_t length = vs_be16(p + 4);
		if (length < 2 || length > 254)
			return VS_MODBUS_LENGTH;
		int16_t age = (int16_t)(o->transaction - vs_be16(p));
		if (age < 0)
			return VS_MODBUS_TRANSACTION;
		if (age > 0) { /* late or doubled: whole, then away with it */
			if (rest < 6 + length)
				return VS_MODBUS_WAIT;
			ret->used += 6 + length;
			ret->stale++;
			continue;
		}
		enum vs_modbus_outcome what = check_pdu(o, p + 6, rest - 6, &need);
		if (what > VS_MODBUS_EXCEPTION || what == VS_MODBUS_WAIT)
			return what == VS_MODBUS_WAIT && rest >= 6 + length ? VS_MODBUS_LENGTH : what;
		return need == length ? deliver(what, p + 6, 6 + length, ret) : VS_MODBUS_LENGTH;
	}
}

enum vs_modbus_outcome vs_modbus_check(struct vs_modbus_open *o, const uint8_t *buf, size_t len,
				       struct vs_modbus_answer *ret)
{
	*ret = (struct vs_modbus_answer){ .used = 0 };
	return o->framing == VS_FRAMING_RTU ? check_rtu(o, buf, len, ret) : check_tcp(o, buf, len, ret);
}

const char *vs_modbus_outcome_name(enum vs_modbus_outcome o)
{
	static const char *const names[VS_MODBUS_OUTCOME_COUNT] = {
		[VS_MODBUS_WAIT] = "incomplete",      [VS_MODBUS_ANSWER] = "answer",
		[VS_MODBUS_EXCEPTION] = "exception",  [VS_MODBUS_CRC] = "crc",
		[VS_MODBUS_UNIT] = "wrong_unit",      [VS_MODBUS_FUNCTION] = "wrong_function",
		[VS_MODBUS_BYTE_COUNT] = "byte_count", [VS_MODBUS_LENGTH] = "length",
		[VS_MODBUS_PROTOCOL] = "protocol",    [VS_MODBUS_TRANSACTION] = "transaction",
	};
	return names[o];
}

bool vs_modbus_worth_retry(uint8_t exception)
{
	return exception == 5 || exception == 6 || exception == 0x0a || exception == 0x0b;
}

bool vs_modbus_is_misconfigured(uint8_t exception)
{
	return exception >= 1 && exception <= 3;
}

/* Modbus Application Protocol V1.1b3, section 7. */
const char *vs_modbus_exception_text(uint8_t exception)
{
	static const char *const texts[] = {
		[1] = "illegal function",     [2] = "illegal data address", [3] = "illegal data value",
		[4] = "device failure",       [5] = "still working on it",  [6] = "device busy",
		[7] = "not acknowledged",     [8] = "memory parity error",  [10] = "gateway path unavailable",
		[11] = "device behind the gateway does not answer",
	};
	const char *t = exception < sizeof texts / sizeof *texts ? texts[exception] : NULL;
	return t ? t : "unknown exception";
}
