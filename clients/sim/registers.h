/* The registers of the simulated monitor, and the answers to Modbus requests about them.
 *
 * The layout is the one of plugins/modbus/profiles/vitals-sim.yaml (zero-based protocol addresses):
 *
 *	input and holding                              discrete inputs, and bits of register 8
 *	 0 nibp_sys   1 nibp_dia   2 nibp_map           0 the cuff inflates
 *	 3 nibp_pr    4 hr         5 spo2               1 the last cuff measurement failed
 *	 6 pr         7 rr         8 state bits         3 oximeter probe is off
 *	 9 counts cuff readings   10-11 temp f32 abcd  coils
 *	12 pi x 100  40-41 spo2 f32 cdab                0 write 1: measure with the cuff now
 *
 * No value: 65535, NaN in 40-41; 0 in 0-3 before the first cuff reading.
 *
 * libmodbus builds the answers (its one home in this program).  Requests are framed here, so that a slow client
 * holds up nobody: libmodbus would wait for the rest. */
#pragma once
#include <stddef.h>

#include "clients/sim/chair.h"

#define VS_ADU_MAX 260 /* the longest request or answer, TCP */

struct vs_registers;
/* NULL: no memory.  unit: the address the monitor answers to. */
struct vs_registers *vs_registers_create(uint8_t unit);
void vs_registers_destroy(struct vs_registers *r);
/* Put what the monitor shows into the registers. */
void vs_registers_show(struct vs_registers *r, const struct vs_second *s);
/* True once after a client wrote coil 0. */
bool vs_registers_cuff_wanted(struct vs_registers *r);

enum vs_framing { VS_FRAMING_TCP, VS_FRAMING_RTU };

/* Length of the request that starts at buf; 0: not all there yet; negative: no request (TCP: close the connection;
 * RTU: drop that many bytes). */
int vs_request_length(enum vs_framing f, const uint8_t *buf, size_t len);
/* The answer to one whole request.  Returns its length; 0: no answer is due (other unit on RTU, broadcast). */
size_t vs_registers_answer(struct vs_registers *r, enum vs_framing f, const uint8_t *request, size_t len,
			   uint8_t answer[VS_ADU_MAX]);
/* The answer of an exception instead. */
size_t vs_registers_refuse(enum vs_framing f, const uint8_t *request, uint8_t code, uint8_t answer[VS_ADU_MAX]);
uint16_t vs_crc16(const uint8_t *p, size_t len);
