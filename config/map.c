/* Register maps: raw registers as the file has them, to struct vs_register_map. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/device.h"

static const struct {
	const char *name;
	double lowest, highest;
	bool two; /* registers */
} types[] = {
	[VS_U16] = { "u16", 0, 65535, false },       [VS_I16] = { "i16", -32768, 32767, false },
	[VS_U32] = { "u32", 0, 4294967295., true },  [VS_I32] = { "i32", -2147483648., 2147483647., true },
	[VS_F32] = { "f32", -3.5e38, 3.5e38, true }, [VS_U8HI] = { "u8hi", 0, 255, false },
	[VS_U8LO] = { "u8lo", 0, 255, false },       [VS_BIT] = { "bit", 0, 1, false },
	[VS_U8PAIR] = { "u8pair", 0, 65535, false },
};

static bool is_bits(enum vs_table table)
{
	return table == VS_DISCRETE || table == VS_COIL;
}

/* Where it is and how wide; the same for a value, a flag and new_reading. */
static void read_spot(struct vs_yaml *y, const struct raw_register *raw, vs_place at, struct vs_register *ret)
{
	bool bits = raw->table && is_bits((enum vs_table) * raw->table);
	ret->table = raw->table ? (enum vs_table) * raw->table : VS_INPUT;
	ret->type = raw->type ? (enum vs_register_type) * raw->type : bits || raw->bit ? VS_BIT : VS_U16;
	ret->order = raw->order ? (enum vs_word_order) * raw->order : VS_ABCD;
	ret->address = raw->address ? *raw->address : 0;
	ret->bit = raw->bit ? *raw->bit : 0;
	if (bits && ret->type != VS_BIT)
		vs_yaml_find(y, vs_yaml_key(y, at, "type"),
			     "`type: %s` in a table of single bits; it must be bit, or `table` input or holding",
			     types[ret->type].name);
	if (bits && raw->bit)
		vs_yaml_find(y, vs_yaml_key(y, at, "bit"),
			     "`bit` is for flags inside a register; a %s is one bit: remove it",
			     ret->table == VS_COIL ? "coil" : "discrete input");
	if (raw->table && !bits && ret->type == VS_BIT && vs_yaml_key(y, at, "bit") == at)
		vs_yaml_find(y, vs_yaml_key(y, at, "type"), "`type: bit` in a register needs `bit:`, 0 (lowest) to 15");
	if (raw->bit && raw->type && *raw->type != VS_BIT)
		vs_yaml_find(y, vs_yaml_key(y, at, "bit"), "`bit` goes with `type: bit`, and this is %s",
			     types[ret->type].name);
	if (raw->order && !types[ret->type].two)
		vs_yaml_find(y, vs_yaml_key(y, at, "order"),
			     "`order` is for u32, i32 and f32, and this is %s: remove it", types[ret->type].name);
	if (types[ret->type].two && ret->address == 65535)
		vs_yaml_find(y, vs_yaml_key(y, at, "address"),
			     "a %s at 65535 would need register 65536, and 65535 is the last", types[ret->type].name);
}

static void read_invalid(struct vs_yaml *y, const struct raw_register *raw, vs_place at, struct vs_register *ret)
{
	vs_place list = vs_yaml_key(y, at, "invalid");
	double lowest = types[ret->type].lowest, highest = types[ret->type].highest;
	for (unsigned i = 0; i < raw->invalid_count; i++) {
		double code = raw->invalid[i];
		if (code < lowest || code > highest)
			vs_yaml_find(
				y, vs_yaml_item(y, list, i),
				"`invalid` %.10g can never be read as %s; codes are raw numbers from %.10g to %.10g",
				code, types[ret->type].name, lowest, highest);
		ret->invalid[i] = code;
	}
	ret->invalid_len = raw->invalid_count;
}

static void read_number(struct vs_yaml *y, const struct raw_register *raw, vs_place at, struct vs_register *ret)
{
	ret->metric = (enum vs_metric) * raw->metric;
	ret->scale = raw->scale ? *raw->scale : 1;
	ret->offset = raw->offset ? *raw->offset : 0;
	if (ret->scale == 0)
		vs_yaml_find(y, vs_yaml_key(y, at, "scale"),
			     "`scale` 0 would make every value %g; it must be another number", ret->offset);
	if (ret->type == VS_BIT)
		vs_yaml_find(y, vs_yaml_key(y, at, "type"),
			     "a metric is a number; a bit is a flag: write `flag:`, or a type "
			     "like u16");
	read_invalid(y, raw, at, ret);
	if (raw->inverted)
		vs_yaml_find(y, vs_yaml_key(y, at, "inverted"),
			     "`inverted` is for flags, and this is a number: remove it");
	if (raw->concerns)
		vs_yaml_find(y, vs_yaml_key(y, at, "concerns"),
			     "`concerns` is for flags, and this is a number: remove it");
}

/* Bit number of a flag by its name: of the vocabulary, else one of the map's own. */
static unsigned flag_bit(struct vs_register_map *map, const char *name)
{
	enum vs_flag f = vs_flag_by_name(name, strlen(name));
	if (f != VS_FLAG_NONE)
		return f;
	for (unsigned i = 0; i < VS_FLAG_OWN_COUNT; i++) {
		if (!*map->own_flag_name[i])
			snprintf(map->own_flag_name[i], VS_FLAG_NAME_CAP, "%s", name);
		if (!strcmp(map->own_flag_name[i], name))
			return VS_FLAG_OWN_FIRST + i;
	}
	return VS_FLAG_NONE;
}

static void read_flag(struct vs_yaml *y, const struct raw_register *raw, vs_place at, struct vs_register_map *map,
		      struct vs_register *ret)
{
	static const char *const numeric[] = { "scale", "offset", "invalid" };
	const bool given[] = { raw->scale, raw->offset, raw->invalid };
	ret->metric = VS_METRIC_NONE;
	ret->scale = 1;
	ret->flag = flag_bit(map, raw->flag);
	ret->inverted = raw->inverted && *raw->inverted;
	for (unsigned i = 0; i < raw->concerns_count; i++)
		ret->concerns |= UINT32_C(1) << raw->concerns[i];
	if (raw->flag[strspn(raw->flag, "abcdefghijklmnopqrstuvwxyz0123456789_")] ||
	    !strspn(raw->flag, "abcdefghijklmnopqrstuvwxyz"))
		vs_yaml_find(y, vs_yaml_key(y, at, "flag"),
			     "`flag` is \"%s\"; it must be a word of a-z, 0-9 and _, like probe_off", raw->flag);
	else if (ret->flag == VS_FLAG_NONE)
		vs_yaml_find(y, vs_yaml_key(y, at, "flag"),
			     "`%s` is one flag name of its own too many; a map may have %d", raw->flag,
			     VS_FLAG_OWN_COUNT);
	if (raw->table && !is_bits(ret->table) && ret->type != VS_BIT)
		vs_yaml_find(y, vs_yaml_key(y, at, raw->type ? "type" : "flag"),
			     "a flag is one bit: write `type: bit` and `bit:` 0 (lowest) to 15");
	for (unsigned i = 0; i < 3; i++)
		if (given[i])
			vs_yaml_find(y, vs_yaml_key(y, at, numeric[i]),
				     "`%s` is for numbers, and this is a flag: remove it", numeric[i]);
}

static void read_register(struct vs_yaml *y, const struct raw_register *raw, vs_place at, struct vs_register_map *map,
			  struct vs_register *ret)
{
	read_spot(y, raw, at, ret);
	if (raw->metric && raw->flag)
		vs_yaml_find(y, vs_yaml_key(y, at, "flag"),
			     "`metric` and `flag` in one register; make two entries of it");
	else if (raw->metric)
		read_number(y, raw, at, ret);
	else if (raw->flag)
		read_flag(y, raw, at, map, ret);
	else if (vs_yaml_key(y, at, "metric") == at && vs_yaml_key(y, at, "flag") == at)
		vs_yaml_find(y, at, "neither `metric` nor `flag`: say what the register holds");
}

void vs_map_read(struct vs_yaml *y, const struct raw_register *raw, unsigned n, const struct raw_register *new_reading,
		 vs_place at, struct vs_register_map *ret)
{
	vs_place list = vs_yaml_key(y, at, "registers"), first[VS_METRIC_COUNT] = { 0 };
	for (unsigned i = 0; i < n; i++) {
		vs_place place = vs_yaml_item(y, list, i);
		read_register(y, &raw[i], place, ret, &ret->reg[i]);
		enum vs_metric m = raw[i].metric ? (enum vs_metric) * raw[i].metric : VS_METRIC_NONE;
		if (m != VS_METRIC_NONE && first[m])
			vs_yaml_find(y, vs_yaml_key(y, place, "metric"),
				     "`%s` stands here twice (first in line %u); one device has one of each",
				     vs_metrics[m].name, vs_yaml_line(y, first[m]));
		else if (m != VS_METRIC_NONE)
			first[m] = place;
	}
	ret->len = n;
	if (new_reading) {
		ret->has_new_reading = true;
		ret->new_reading.metric = VS_METRIC_NONE;
		ret->new_reading.scale = 1;
		read_spot(y, new_reading, vs_yaml_key(y, at, "new_reading"), &ret->new_reading);
	}
}
