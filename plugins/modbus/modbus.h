/* Modbus, the pure part: which requests a register map needs, their bytes, whether an answer is one, what it says.
 *
 * Modbus Application Protocol V1.1b3 (functions 1 to 4), Modbus over Serial Line V1.02, Messaging on TCP/IP V1.0b.
 * A number is only ever taken from an answer whose every field fits the request that is open: unit, function, byte
 * count and, on TCP, transaction, protocol and length; in RTU frames the CRC.
 *
 *	map --vs_modbus_init--> plan of requests
 *	for each request:  vs_modbus_request --bytes--> device --bytes--> vs_modbus_check --> vs_modbus_take
 *	                                                                       or vs_modbus_failed
 *	end of the poll:   vs_modbus_reading --> reading
 */
#pragma once
#include "core/obs.h"
#include "plugins/modbus/map.h"

enum vs_framing { VS_FRAMING_TCP, VS_FRAMING_RTU };

#define VS_MODBUS_REQUEST_MAX 12   /* bytes of a read request: header 7 and PDU 5; RTU: 8 */
#define VS_MODBUS_ANSWER_MAX 260   /* longest frame: header 7 and PDU 253; RTU: 256 */
#define VS_MODBUS_REGISTERS_MAX 125 /* in one request */
#define VS_MODBUS_BITS_MAX 2000
#define VS_MODBUS_CUFF_MAX 8 /* cuff registers that are watched for a change */

struct vs_modbus_request {
	enum vs_table table;
	uint16_t address, count;
};

/* A request on its way. */
struct vs_modbus_open {
	enum vs_framing framing;
	uint8_t unit;
	uint16_t transaction; /* TCP: rises by one with every request */
	struct vs_modbus_request q;
	uint8_t bytes[VS_MODBUS_REQUEST_MAX];
	uint8_t len;
	bool echo_seen; /* RTU: the line's adapter has given our own bytes back */
};

/* Fills the bytes from framing, unit, transaction and q. */
void vs_modbus_request(struct vs_modbus_open *o);

/* What the bytes that came are.  All above VS_MODBUS_EXCEPTION are mismatches: nothing on this connection can be
 * trusted until it was closed, or the line was silent. */
enum vs_modbus_outcome {
	VS_MODBUS_WAIT,   /* not all there yet */
	VS_MODBUS_ANSWER, /* the values */
	VS_MODBUS_EXCEPTION,
	VS_MODBUS_CRC,         /* RTU */
	VS_MODBUS_UNIT,        /* from another station */
	VS_MODBUS_FUNCTION,    /* to another kind of request */
	VS_MODBUS_BYTE_COUNT,  /* not as many values as asked for */
	VS_MODBUS_LENGTH,      /* TCP: the header's length is impossible, or disagrees with the content */
	VS_MODBUS_PROTOCOL,    /* TCP: the protocol identifier is not 0 */
	VS_MODBUS_TRANSACTION, /* TCP: an answer to a request that was never sent */
	VS_MODBUS_OUTCOME_COUNT
};

/* "wrong_unit", "crc", ...: one word for logs and tests. */
const char *vs_modbus_outcome_name(enum vs_modbus_outcome o);

struct vs_modbus_answer {
	size_t used;         /* bytes from the front that are done with; also set with VS_MODBUS_WAIT */
	unsigned stale;      /* complete answers to older requests among them */
	uint8_t exception;   /* VS_MODBUS_EXCEPTION: its code */
	const uint8_t *data; /* VS_MODBUS_ANSWER: the values, inside buf */
	size_t len;
};

/* Looks at all bytes that wait, oldest first.  Dropped on the way: answers to older transactions (TCP), the echo of the
 * request and glitch bytes 00 and FF before the answer (RTU). */
enum vs_modbus_outcome vs_modbus_check(struct vs_modbus_open *o, const uint8_t *buf, size_t len,
				       struct vs_modbus_answer *ret);

/* Exceptions 5, 6, 0A, 0B (busy, gateway): ask again soon.  1, 2, 3: the register map is wrong. */
bool vs_modbus_worth_retry(uint8_t exception);
bool vs_modbus_is_misconfigured(uint8_t exception);
/* "illegal data address", ... */
const char *vs_modbus_exception_text(uint8_t exception);

uint16_t vs_modbus_crc(const uint8_t *bytes, size_t len);

/* The bits of one register, bit or pair of registers in an answer whose data begins at address `first`; 32 bits are
 * put in order, highest byte first. */
uint32_t vs_modbus_bits(const struct vs_register *r, const uint8_t *data, uint16_t first);
/* The number in those bits, raw x scale + offset.  False: a code for "no value", NaN or infinite. */
bool vs_modbus_value(const struct vs_register *r, uint32_t bits, double *ret);
/* Registers (or bits) that it covers: 2 for the 32-bit types, else 1. */
unsigned vs_modbus_width(const struct vs_register *r);

/* One device: its plan, and what the present poll has brought so far.  The map is the caller's and must stay. */
struct vs_modbus {
	const struct vs_register_map *map;
	unsigned n_requests;
	struct vs_modbus_request request[VS_MAP_MAX + 1];
	uint8_t request_of[VS_MAP_MAX + 1]; /* which request brings which register; the last: new_reading */
	bool has_gaps;                      /* a request reads registers that the map does not name */
	bool cuff_split;                    /* the cuff's values do not come from one request */
	uint64_t answered[2];               /* bits: requests of this poll that brought values */
	uint64_t asked[2];                  /* bits: requests of this poll that came to an end */
	uint8_t exception[VS_MAP_MAX + 1];  /* of the request, 0: none; stays until an answer comes */
	uint32_t bits[VS_MAP_MAX + 1];      /* as read; the last: new_reading */
	/* the cuff: what was reported last, and what waits to be seen twice */
	bool cuff_known, cuff_pending;
	uint32_t cuff_last[VS_MODBUS_CUFF_MAX], cuff_next[VS_MODBUS_CUFF_MAX];
	const char *own_flags[VS_FLAG_OWN_COUNT];
};

/* Plans the requests.  Neighbours of one table share a request across at most largest_gap unused registers (0: across
 * none); the values of a cuff share one across any gap the protocol allows, unless largest_gap is 0. */
void vs_modbus_init(struct vs_modbus *m, const struct vs_register_map *map, uint32_t largest_gap);
/* Plan again without gaps: the device refused a request that read across them. */
void vs_modbus_without_gaps(struct vs_modbus *m);

void vs_modbus_begin(struct vs_modbus *m);
/* The answer to request number i: len bytes of values. */
void vs_modbus_take(struct vs_modbus *m, unsigned i, const uint8_t *data, size_t len);
/* Request number i brought nothing; exception 0: no answer. */
void vs_modbus_failed(struct vs_modbus *m, unsigned i, uint8_t exception);
/* What the poll says.  False: nothing was answered at all, there is no reading.
 *
 * A voiding flag takes the values it is about; so does one that could not be read, with `invalid`.  A value whose
 * request was refused is none, with `device_error` and the exception's number.  Cuff values appear when there is a new reading,
 * together, also those that came without a value; what the monitor showed before the first poll has `from_memory`. */
bool vs_modbus_reading(struct vs_modbus *m, struct vs_reading *ret);

/* For `vitalsctl decode --option profile=...`: the state of the plugin `modbus` gets a map that is no text.  Once, after
 * init with that option.  -EINVAL: the given request does not reach all of its registers. */
int vs_modbus_decode_with(void *state, const struct vs_register_map *map);
