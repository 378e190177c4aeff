/* Philips IntelliVue data export: its FLOAT, an 8 bit exponent of ten and a 24 bit mantissa. */
#pragma once
#include <stdint.h>

/* NaN for the codes: not a number, not at this resolution, plus and minus infinity. */
double vs_philips_float(uint32_t bits);
