#include "core/obs.h"

#include <math.h>

static struct vs_obs *next(struct vs_reading *r, enum vs_metric m, uint64_t flags)
{
	if (r->len == VS_READING_MAX)
		return NULL;
	struct vs_obs *o = &r->obs[r->len++];
	*o = (struct vs_obs){ .metric = m, .flags = flags };
	return o;
}

void vs_reading_add_marked(struct vs_reading *r, enum vs_metric m, double value, uint64_t flags)
{
	struct vs_obs *o = next(r, m, flags);
	if (!o)
		return;
	if (!isfinite(value)) {
		o->flags |= VS_FLAG(INVALID);
		return;
	}
	if (value < vs_metrics[m].lowest || value > vs_metrics[m].highest) {
		o->flags |= VS_FLAG(RANGE);
		return;
	}
	o->has_value = true;
	o->value = value;
}

void vs_reading_add(struct vs_reading *r, enum vs_metric m, double value, uint64_t flags)
{
	if (flags & vs_flags_voiding())
		next(r, m, flags);
	else
		vs_reading_add_marked(r, m, value, flags);
}

void vs_reading_add_nonzero(struct vs_reading *r, enum vs_metric m, double value, uint64_t flags)
{
	if (value == 0)
		next(r, m, flags);
	else
		vs_reading_add(r, m, value, flags);
}

void vs_reading_add_error(struct vs_reading *r, enum vs_metric m, uint64_t flags, uint16_t device_error)
{
	struct vs_obs *o = next(r, m, flags | VS_FLAG(DEVICE_ERROR));
	if (o)
		o->device_error = device_error;
}

void vs_reading_add_none(struct vs_reading *r, enum vs_metric m, uint64_t flags)
{
	next(r, m, flags);
}

void vs_reading_add_word(struct vs_reading *r, enum vs_metric m, const char *word)
{
	struct vs_obs *o = next(r, m, 0);
	if (!o)
		return;
	o->has_value = true;
	o->word = word;
}

const struct vs_obs *vs_reading_find(const struct vs_reading *r, enum vs_metric m)
{
	for (unsigned i = 0; i < r->len; i++)
		if (r->obs[i].metric == m)
			return &r->obs[i];
	return NULL;
}
