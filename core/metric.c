#include "core/metric.h"

#include <string.h>

const struct vs_metric_info vs_metrics[VS_METRIC_COUNT] = {
#define METRIC(id, name, unit, decimals, lowest, highest, mdc, mdc_name, loinc)                                        \
	[VS_##id] = { name, unit, decimals, lowest, highest, mdc, mdc_name, loinc },
#include "core/metrics.def"
#undef METRIC
};

static const struct {
	const char *name;
	bool voids;
} flags[VS_FLAG_COUNT] = {
#define FLAG(id, name, voids) [VS_FLAG_##id] = { name, voids },
#include "core/flags.def"
#undef FLAG
};

static bool is(const char *known, const char *name, size_t len)
{
	return strlen(known) == len && memcmp(known, name, len) == 0;
}

enum vs_metric vs_metric_by_name(const char *name, size_t len)
{
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++)
		if (is(vs_metrics[m].name, name, len))
			return m;
	return VS_METRIC_NONE;
}

bool vs_metric_is_nibp(enum vs_metric m)
{
	return m == VS_NIBP_SYS || m == VS_NIBP_DIA || m == VS_NIBP_MAP || m == VS_NIBP_PR;
}

const char *vs_flag_name(unsigned flag)
{
	return flag < VS_FLAG_COUNT ? flags[flag].name : NULL;
}

enum vs_flag vs_flag_by_name(const char *name, size_t len)
{
	for (unsigned f = 0; f < VS_FLAG_COUNT; f++)
		if (is(flags[f].name, name, len))
			return f;
	return VS_FLAG_NONE;
}

uint64_t vs_flags_voiding(void)
{
	return 0
#define FLAG(id, name, voids) | (voids ? VS_FLAG(id) : 0)
#include "core/flags.def"
#undef FLAG
		;
}
