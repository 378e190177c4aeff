/* Fuzz target: any bytes as the answer to a Modbus request.
 *
 * First byte: bit 0 the framing, bits 1-2 the request; the rest is what the device sent.  Whatever it is: nothing is read
 * beyond it, bytes that wait are never more than a frame, and what counts as an answer is, put together again from the
 * request and the values, byte for byte what came. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "plugins/modbus/modbus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz-modbus: %s\n", what);
	abort();
}

static const struct vs_register_map maps[] = {
	{ .len = 2, .reg = { { .metric = VS_SPO2, .table = VS_HOLDING, .scale = 1 },
			     { .metric = VS_PR, .table = VS_HOLDING, .address = 1, .scale = 0.1, .offset = 3 } } },
	{ .len = 2, .reg = { { .metric = VS_TEMP, .table = VS_INPUT, .address = 20, .type = VS_F32, .order = VS_CDAB, .scale = 1 },
			     { .metric = VS_METRIC_NONE, .flag = VS_FLAG_PROBE_OFF, .table = VS_INPUT, .address = 22,
			       .type = VS_BIT, .bit = 3, .scale = 1 } } },
	{ .len = 2, .reg = { { .metric = VS_METRIC_NONE, .flag = VS_FLAG_ALARM, .table = VS_COIL, .type = VS_BIT },
			     { .metric = VS_METRIC_NONE, .flag = VS_FLAG_SENSOR_OFF, .table = VS_COIL, .address = 9, .type = VS_BIT } } },
	{ .len = 2, .reg = { { .metric = VS_NIBP_SYS, .table = VS_INPUT, .scale = 1 },
			     { .metric = VS_NIBP_DIA, .table = VS_INPUT, .address = 100, .type = VS_U32, .order = VS_DCBA, .scale = 1 } } },
};

static void same_bytes(const struct vs_modbus_open *o, const struct vs_modbus_answer *a, const uint8_t *end)
{
	uint8_t frame[VS_MODBUS_ANSWER_MAX];
	size_t n = 0;
	if (o->framing == VS_FRAMING_TCP) {
		vs_put_be16(frame, o->transaction);
		vs_put_be16(frame + 2, 0);
		vs_put_be16(frame + 4, (uint16_t)(3 + a->len));
		n = 6;
	}
	frame[n++] = o->unit;
	frame[n++] = (uint8_t)o->q.table;
	frame[n++] = (uint8_t)a->len;
	memcpy(frame + n, a->data, a->len);
	n += a->len;
	if (o->framing == VS_FRAMING_RTU) {
		uint16_t crc = vs_modbus_crc(frame, n);
		frame[n++] = (uint8_t)crc;
		frame[n++] = (uint8_t)(crc >> 8);
	}
	must(n <= a->used && !memcmp(end - n, frame, n), "an answer that does not fit the request");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	struct vs_modbus m;
	struct vs_reading r;
	struct vs_modbus_answer a;
	vs_modbus_init(&m, &maps[data[0] >> 1 & 3], 8);
	must(m.n_requests == 1, "these maps need one request");
	struct vs_modbus_open o = { .framing = data[0] & 1 ? VS_FRAMING_RTU : VS_FRAMING_TCP, .unit = 1, .transaction = 8,
				    .q = m.request[0] };
	vs_modbus_request(&o);
	/* a copy of its own: the sanitizer sees every byte too far */
	uint8_t *bytes = malloc(size);
	memcpy(bytes, data + 1, size - 1);
	size_t at = 0, len = size - 1;
	enum vs_modbus_outcome what;
	do {
		what = vs_modbus_check(&o, bytes + at, len - at, &a);
		must(a.used <= len - at, "more bytes used than there are");
		if (what == VS_MODBUS_ANSWER)
			same_bytes(&o, &a, bytes + at + a.used);
		vs_modbus_begin(&m);
		r.len = 0;
		if (what == VS_MODBUS_ANSWER)
			vs_modbus_take(&m, 0, a.data, a.len);
		else
			vs_modbus_failed(&m, 0, what == VS_MODBUS_EXCEPTION ? a.exception : 0);
		must(vs_modbus_reading(&m, &r) == (what == VS_MODBUS_ANSWER || (what == VS_MODBUS_EXCEPTION && a.exception)),
		     "a reading without an answer, or none with one");
		for (unsigned i = 0; i < r.len && what != VS_MODBUS_ANSWER; i++)
			must(!r.obs[i].has_value, "a number that nobody sent");
		at += a.used;
	} while (a.used && (what == VS_MODBUS_ANSWER || what == VS_MODBUS_EXCEPTION));
	must(what != VS_MODBUS_WAIT || len - at <= VS_MODBUS_ANSWER_MAX, "more bytes wait than a frame has");
	free(bytes);
	return 0;
}
