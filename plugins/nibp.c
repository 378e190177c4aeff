#include "plugins/nibp.h"

static bool in_order(const struct vs_nibp *v)
{
	return v->has_map ? v->sys >= v->map && v->map >= v->dia : v->sys >= v->dia;
}

void vs_nibp_add(struct vs_reading *ret, const struct vs_nibp *v, uint64_t flags)
{
	if (!in_order(v)) {
		vs_nibp_add_none(ret, v, flags | VS_FLAG(INVALID));
		return;
	}
	vs_reading_add_nonzero(ret, VS_NIBP_SYS, v->sys, flags);
	vs_reading_add_nonzero(ret, VS_NIBP_DIA, v->dia, flags);
	if (v->has_map)
		vs_reading_add_nonzero(ret, VS_NIBP_MAP, v->map, flags);
	if (v->has_rate)
		vs_reading_add_nonzero(ret, VS_NIBP_PR, v->rate, flags);
}

void vs_nibp_add_none(struct vs_reading *ret, const struct vs_nibp *v, uint64_t flags)
{
	vs_reading_add_none(ret, VS_NIBP_SYS, flags);
	vs_reading_add_none(ret, VS_NIBP_DIA, flags);
	if (v->has_map)
		vs_reading_add_none(ret, VS_NIBP_MAP, flags);
	if (v->has_rate)
		vs_reading_add_none(ret, VS_NIBP_PR, flags);
}

void vs_nibp_add_error(struct vs_reading *ret, const struct vs_nibp *v, uint64_t flags, uint16_t device_error)
{
	vs_reading_add_error(ret, VS_NIBP_SYS, flags, device_error);
	vs_reading_add_error(ret, VS_NIBP_DIA, flags, device_error);
	if (v->has_map)
		vs_reading_add_error(ret, VS_NIBP_MAP, flags, device_error);
	if (v->has_rate)
		vs_reading_add_error(ret, VS_NIBP_PR, flags, device_error);
}

bool vs_nibp_is_new(struct vs_nibp_shown *m, const struct vs_nibp *v)
{
	if (m->known && !m->again && m->last.sys == v->sys && m->last.dia == v->dia && m->last.map == v->map &&
	    m->last.rate == v->rate)
		return false;
	*m = (struct vs_nibp_shown){ true, m->again, *v };
	return true;
}
