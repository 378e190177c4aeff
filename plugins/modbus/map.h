/* A register map: which registers of a Modbus device hold which metric (contract, section 2).
 *
 * Plain data, made from the configuration or from a profile that ships (profiles/NAME.yaml).  Addresses are those of
 * the protocol, zero-based: "40001" of a manual is holding register 0. */
#pragma once
#include "core/obs.h"

enum vs_table { VS_COIL = 1, VS_DISCRETE = 2, VS_HOLDING = 3, VS_INPUT = 4 }; /* the function code that reads it */
enum vs_register_type { VS_U16, VS_I16, VS_U32, VS_I32, VS_F32, VS_U8HI, VS_U8LO, VS_BIT,
			VS_U8PAIR /* high byte: whole units, low byte: hundredths (`u8pair`) */ };
enum vs_word_order { VS_ABCD, VS_CDAB, VS_BADC, VS_DCBA };

#define VS_MAP_MAX 64         /* registers of one device */
#define VS_INVALID_MAX 8      /* raw codes of one register that mean "no value" */
#define VS_FLAG_NAME_CAP 32

struct vs_register {
	enum vs_metric metric; /* VS_METRIC_NONE: a flag */
	unsigned flag;         /* bit number: of the vocabulary, or VS_FLAG_OWN_FIRST and up for names of this map */
	enum vs_table table;
	uint16_t address;
	enum vs_register_type type;
	enum vs_word_order order;
	uint8_t bit;           /* VS_BIT inside a register: 0 (least significant) to 15 */
	bool inverted;         /* a flag that stands when its bit is 0 (`inverted: true`) */
	uint32_t concerns;     /* a flag: bits 1 << VS_.. of the metrics it is about (`concerns:`); 0: by its nature */
	double scale, offset;  /* value = raw x scale + offset */
	unsigned invalid_len;
	double invalid[VS_INVALID_MAX]; /* compared with the raw number */
};

struct vs_register_map {
	unsigned len;
	bool has_new_reading; /* cuff values are new only when this register changes */
	struct vs_register new_reading;
	char own_flag_name[VS_FLAG_OWN_COUNT][VS_FLAG_NAME_CAP];
	struct vs_register reg[VS_MAP_MAX]; /* last: a copy may end after reg[len - 1] */
};
