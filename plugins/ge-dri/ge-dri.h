/* GE / Datex-Ohmeda record interface: the request that makes a monitor send. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum vs_ge_dri_kind { VS_GE_DRI_DISPLAYED = 1, VS_GE_DRI_TREND_10S = 2, VS_GE_DRI_TREND_60S = 3 };

#define VS_GE_DRI_REQUEST_MAX 104

/* interval in seconds: at least 5; 0 stops, -1 sends once.  classes: 0 the basic class alone, 2, 4, 8 further ones.
 * Writes the framed request; returns its length (at most VS_GE_DRI_REQUEST_MAX). */
size_t vs_ge_dri_request(enum vs_ge_dri_kind kind, int interval_s, uint32_t classes, uint8_t *buf);
