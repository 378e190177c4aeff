/* Metrics, flags and their one vocabulary (metrics.def, flags.def).
 *
 * A metric is what is measured (ISO/IEEE 11073); its unit is UCUM, its codes are those of ISO/IEEE 11073-10101 and
 * LOINC.  Everything here is constant data and pure look-up. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vs_metric {
#define METRIC(id, ...) VS_##id,
#include "core/metrics.def"
#undef METRIC
	VS_METRIC_COUNT
};
#define VS_METRIC_NONE VS_METRIC_COUNT

struct vs_metric_info {
	const char *name, *unit; /* unit: UCUM, "" where the metric has none */
	int decimals;            /* for a person's eyes; storage and JSON keep what was measured */
	double lowest, highest;  /* plausible for a living adult; see metrics.def */
	uint32_t mdc;
	const char *mdc_name, *loinc;
};
extern const struct vs_metric_info vs_metrics[VS_METRIC_COUNT];

/* The metric of that name, or VS_METRIC_NONE. */
enum vs_metric vs_metric_by_name(const char *name, size_t len);

/* True for the metrics of the cuff: readings one by one, not a signal. */
bool vs_metric_is_nibp(enum vs_metric m);

enum vs_flag {
#define FLAG(id, ...) VS_FLAG_##id,
#include "core/flags.def"
#undef FLAG
	VS_FLAG_COUNT
};
#define VS_FLAG_NONE VS_FLAG_COUNT

/* Bits 0..47 are the vocabulary, bits 48..63 names that one device's register map defines for itself. */
#define VS_FLAG_OWN_FIRST 48
#define VS_FLAG_OWN_COUNT 16
#define VS_FLAG(id) (UINT64_C(1) << VS_FLAG_##id)
_Static_assert(VS_FLAG_COUNT <= VS_FLAG_OWN_FIRST, "the vocabulary of flags is full");

/* Name of a vocabulary flag; NULL beyond VS_FLAG_COUNT. */
const char *vs_flag_name(unsigned flag);
/* The flag of that name, or VS_FLAG_NONE. */
enum vs_flag vs_flag_by_name(const char *name, size_t len);
/* The flags beside which a number is no measurement. */
uint64_t vs_flags_voiding(void);
