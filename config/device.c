#include "config/device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/embed.h"
#include "config/words.h"
#include "config/plugin_dir.h"
#include "plugins/registry.h"

extern const struct vs_embedded vs_profile_files[];

#define MODBUS "modbus"
#define MODBUS_PORT 502

char *vs_beside(struct vs_reader *l, const char *path)
{
	const char *slash = strrchr(l->file, '/');
	if (*path == '/' || !slash)
		return vs_arena_text(l->arena, path);
	size_t folder = (size_t)(slash - l->file) + 1;
	char *whole = vs_arena_take(l->arena, folder + strlen(path) + 1, 1);
	if (whole)
		sprintf(whole, "%.*s%s", (int)folder, l->file, path);
	return whole;
}

int vs_reader_piece(struct vs_reader *l, char *bytes, size_t len)
{
	struct vs_piece *pieces = realloc(l->pieces, (l->n_pieces + 1) * sizeof *pieces);
	if (!pieces) {
		free(bytes);
		return -ENOMEM;
	}
	l->pieces = pieces;
	l->pieces[l->n_pieces++] = (struct vs_piece){ bytes, len };
	return 0;
}

bool vs_read_beside(struct vs_reader *l, const char *file, vs_place at, struct vs_limit_source *ret)
{
	struct vs_findings why = { 0 };
	char *bytes = NULL;
	size_t len = 0;
	int r = vs_yaml_read(file, &bytes, &len, &why);
	if (r == -EINVAL && why.len)
		vs_yaml_find(l->y, at, "%s: %s", file, why.at[0].text);
	vs_findings_clear(&why);
	if (!r)
		r = vs_reader_piece(l, bytes, len);
	l->arena->failed |= r == -ENOMEM;
	*ret = (struct vs_limit_source){ .name = file, .bytes = bytes, .len = len };
	return !r;
}

void vs_reader_finish(struct vs_reader *l)
{
	for (unsigned i = 0; i < l->n_pieces; i++)
		free((char *)l->pieces[i].bytes);
	free(l->pieces);
	vs_yaml_destroy(l->y);
}

/* ---- the link ---- */

static void take_line(const struct raw_line *raw, struct vs_line *line)
{
	if (raw->baud)
		line->baud = *raw->baud;
	if (raw->parity)
		line->parity = (char)*raw->parity;
	if (raw->data_bits)
		line->data_bits = *raw->data_bits;
	if (raw->stop_bits)
		line->stop_bits = *raw->stop_bits;
}

static void take_port(struct vs_reader *l, const struct raw_line *raw, vs_place at, struct vs_device_config *ret)
{
	if (raw->path && *raw->path != '/')
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "path"),
			     "`path` is \"%s\"; it must be the whole path of a device node, like /dev/vitals/oximeter",
			     raw->path);
	if (raw->path)
		snprintf(ret->path, sizeof ret->path, "%s", raw->path);
	take_line(raw, &ret->line);
	if (ret->link == VS_LINK_RTU && ret->line.data_bits != 8)
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "data_bits"), "`data_bits` is %d; Modbus RTU always has 8",
			     ret->line.data_bits);
}

/* usual_port 0: there is none. */
static void take_network(struct vs_reader *l, const struct raw_tcp *raw, vs_place at, bool modbus, uint16_t usual_port,
			 struct vs_device_config *ret)
{
	if (raw->host && raw->host[strcspn(raw->host, " \t\n/")])
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "host"),
			     "`host` is \"%s\"; it must be a name or an address alone, like 192.0.2.10", raw->host);
	if (raw->host)
		snprintf(ret->host, sizeof ret->host, "%s", raw->host);
	if (!raw->port && !usual_port && vs_yaml_key(l->y, at, "port") == at)
		vs_yaml_find(l->y, at, "`port` is missing; only Modbus has a usual one (502)");
	if (raw->framing && !modbus)
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "framing"), "`framing` is for plugin modbus: remove it");
	ret->port = raw->port ? *raw->port : usual_port;
	ret->rtu_over_tcp = raw->framing && *raw->framing;
}

/* Which of the keys stand in the file, also with a wrong value. */
static unsigned links_given(struct vs_reader *l, vs_place at, const char *names[4])
{
	static const char *const all[] = { "serial", "rtu", "tcp", "udp" };
	unsigned n = 0;
	for (unsigned i = 0; i < 4; i++)
		if (vs_yaml_key(l->y, at, all[i]) != at)
			names[n++] = all[i];
	return n;
}

/* p NULL: modbus. */
static bool link_fits(struct vs_reader *l, const char *name, vs_place at, const struct vs_plugin *p)
{
	if (!p && !strcmp(name, "serial"))
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, name),
			     "plugin modbus talks over `rtu:` or `tcp:`; write rtu: in place of serial:");
	else if (p && p->udp_port && strcmp(name, "udp") != 0)
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, name), "plugin %s sends datagrams; write udp: in place of %s:",
			     p->name, name);
	else if (p && !strcmp(name, "rtu"))
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, name),
			     "`rtu:` is for plugin modbus; write serial: in place of rtu:");
	else if ((!p || !p->udp_port) && !strcmp(name, "udp"))
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, name),
			     "plugin %s does not talk over datagrams; write tcp: in place of udp:", p ? p->name : MODBUS);
	else
		return true;
	return false;
}

static void take_link(struct vs_reader *l, const struct raw_device *raw, vs_place at, const struct vs_plugin *p,
		      struct vs_device_config *ret)
{
	const char *names[4] = { 0 };
	const char *wanted = !p ? "`tcp:` or `rtu:`" : p->udp_port ? "`udp:`" : "`serial:` or `tcp:`";
	unsigned n = links_given(l, at, names);
	if (!n)
		vs_yaml_find(l->y, at, "the device has no connection; it must have %s", wanted);
	for (unsigned i = 1; i < n; i++)
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, names[i]),
			     "`%s` beside `%s`; a device has one connection, so keep one of them", names[i], names[0]);
	if (!n || !link_fits(l, names[0], at, p))
		return;
	vs_place link = vs_yaml_key(l->y, at, names[0]);
	ret->link = *names[0] == 's'   ? VS_LINK_SERIAL
		    : *names[0] == 'r' ? VS_LINK_RTU
		    : *names[0] == 'u' ? VS_LINK_UDP
				       : VS_LINK_TCP;
	if (ret->link == VS_LINK_TCP && raw->tcp)
		take_network(l, raw->tcp, link, !p, p ? 0 : MODBUS_PORT, ret);
	if (ret->link == VS_LINK_UDP && raw->udp)
		take_network(l, raw->udp, link, false, p->udp_port, ret);
	if (ret->link == VS_LINK_SERIAL && raw->serial)
		take_port(l, raw->serial, link, ret);
	if (ret->link == VS_LINK_RTU && raw->rtu)
		take_port(l, raw->rtu, link, ret);
}

/* ---- polling ---- */

static void take_polling(struct vs_yaml *y, const struct raw_polling *raw, vs_place at, struct vs_device_config *ret)
{
	vs_yaml_duration(y, raw->poll, "poll", at, 20, 3600000, &ret->poll_ms);
	vs_yaml_duration(y, raw->timeout, "timeout", at, 10, 60000, &ret->timeout_ms);
	vs_yaml_duration(y, raw->pause, "pause", at, 0, 10000, &ret->pause_ms);
	vs_yaml_duration(y, raw->connect_pause, "connect_pause", at, 0, 60000, &ret->connect_pause_ms);
	if (raw->retries)
		ret->retries = *raw->retries;
	if (raw->largest_gap)
		ret->largest_gap = *raw->largest_gap;
}

static void take_unit(struct vs_yaml *y, const char *text, vs_place at, uint32_t highest, struct vs_device_config *ret)
{
	uint32_t unit = 1;
	if (text && !vs_word_whole(text, 0, highest, &unit))
		vs_yaml_find(y, vs_yaml_key(y, at, "unit"),
			     "`unit` is \"%s\"; it must be a whole number from 0 to %u%s", text, highest,
			     highest < 255 ? " on an RTU line" : "");
	if (text)
		ret->unit = (uint8_t)unit;
}

/* ---- modbus ---- */

static void keep_map(struct vs_reader *l, const struct vs_register_map *map, struct vs_device_config *ret)
{
	if (!l->last_map || memcmp(l->last_map, map, sizeof *map)) {
		l->last_map = vs_arena_take(l->arena, 1, sizeof *map);
		if (l->last_map)
			memcpy(l->last_map, map, sizeof *map);
	}
	ret->map = l->last_map;
}

/* What a profile says, as defaults that the configuration may override. */
static void take_profile_content(struct vs_reader *l, const char *name, const char *bytes, size_t len,
				 struct vs_device_config *ret)
{
	struct vs_yaml *y = NULL;
	void *data = NULL;
	struct vs_register_map map;
	memset(&map, 0, sizeof map);
	if (vs_yaml_load(name, bytes, len, &vs_profile_format, l->findings, &y, &data) < 0) {
		l->arena->failed = true;
		return;
	}
	const struct raw_profile *raw = data;
	if (raw) {
		vs_place top = vs_yaml_top(y);
		if (raw->line)
			take_line(raw->line, &ret->line);
		take_polling(y, &raw->polling, top, ret);
		take_unit(y, raw->polling.unit, top, 255, ret);
		vs_map_read(y, raw->registers, raw->registers_count, raw->new_reading, top, &map);
		keep_map(l, &map, ret);
	}
	vs_yaml_destroy(y);
}

static void unknown_profile(struct vs_reader *l, const char *name, vs_place at)
{
	const char *names[64] = { 0 };
	char list[600];
	for (unsigned i = 0; i < 63 && vs_profile_files[i].name; i++)
		names[i] = vs_profile_files[i].name;
	const char *near = vs_nearest(name, names);
	vs_yaml_find(l->y, at,
		     "there is no profile \"%s\"%s%s%s it must be one of: %s; or a file like ./my-monitor.yaml", name,
		     near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : ";",
		     vs_word_list(names, list, sizeof list));
}

static void take_profile(struct vs_reader *l, const char *name, vs_place at, struct vs_device_config *ret)
{
	const struct vs_embedded *shipped = vs_embedded_find(vs_profile_files, name);
	struct vs_limit_source source;
	if (shipped) {
		take_profile_content(l, shipped->file, shipped->bytes, shipped->len, ret);
		return;
	}
	if (!strpbrk(name, "/.")) {
		unknown_profile(l, name, at);
		return;
	}
	char *file = vs_beside(l, name);
	if (file && vs_read_beside(l, file, at, &source))
		take_profile_content(l, source.name, source.bytes, source.len, ret);
}

/* A station with that one device: the same way in, the same checks. */
int vs_profile_load(const char *name, struct vs_register_map *ret, struct vs_findings *findings)
{
	static const char station[] = "site: s\nlog: { path: /x }\nchairs:\n  - id: c\n    limits: ketamine-adult\n    devices:\n"
				      "      - { id: d, plugin: modbus, tcp: { host: h }, profile: \"";
	size_t len = sizeof station + strlen(name) + 8;
	if (name[strcspn(name, "\"\\\n")] || strlen(name) > 255)
		name = "?";
	char *text = malloc(len);
	struct vs_config *c = NULL;
	if (!text)
		return -ENOMEM;
	int n = snprintf(text, len, "%s%s\" }\n", station, name);
	int r = vs_config_load_bytes("profile", text, (size_t)n, &c, findings);
	if (r == 0)
		*ret = *c->chairs[0].devices[0].map;
	vs_config_free(c);
	return r;
}

static void take_map(struct vs_reader *l, const struct raw_device *raw, vs_place at, struct vs_device_config *ret)
{
	vs_place registers = vs_yaml_key(l->y, at, "registers"), profile = vs_yaml_key(l->y, at, "profile");
	struct vs_register_map map;
	if (registers == at && profile == at)
		vs_yaml_find(l->y, at, "the device has no registers; it must have `registers:` or `profile: NAME`");
	if (registers != at && profile != at)
		vs_yaml_find(l->y, profile, "`profile` beside `registers`; keep one of them");
	else if (raw->profile && raw->new_reading)
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "new_reading"),
			     "`new_reading` beside `profile`; it belongs into the profile");
	if (raw->profile)
		take_profile(l, raw->profile, profile, ret);
	if (raw->registers) {
		memset(&map, 0, sizeof map);
		vs_map_read(l->y, raw->registers, raw->registers_count, raw->new_reading, at, &map);
		keep_map(l, &map, ret);
	}
}

static void take_modbus(struct vs_reader *l, const struct raw_device *raw, vs_place at, struct vs_device_config *ret)
{
	bool rtu = vs_yaml_key(l->y, at, "rtu") != at;
	ret->line = (struct vs_line){ 19200, 'E', 8, 1 }; /* Modbus over Serial Line V1.02, 2.2 and 2.5.1 */
	ret->unit = 1;
	ret->poll_ms = 1000;
	ret->timeout_ms = 500;
	ret->pause_ms = rtu ? 5 : 0;
	ret->retries = 1;
	ret->largest_gap = 8;
	if (vs_yaml_key(l->y, at, "options") != at)
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "options"), "plugin modbus has no options: remove them");
	take_map(l, raw, at, ret);
	take_polling(l->y, &raw->polling, at, ret);
	take_link(l, raw, at, NULL, ret);
	take_unit(l->y, raw->polling.unit, at, rtu || ret->rtu_over_tcp ? 247 : 255, ret);
}

/* ---- other plugins ---- */

static void unknown_plugin(struct vs_reader *l, const char *name, vs_place at)
{
	const char *names[128] = { MODBUS }, *near;
	char list[700];
	for (unsigned i = 0, n = 1; n < 127 && vs_plugin_at(i); i++)
		if (strcmp(vs_plugin_at(i)->name, MODBUS))
			names[n++] = vs_plugin_at(i)->name;
	near = vs_nearest(name, names);
	vs_yaml_find(l->y, vs_yaml_key(l->y, at, "plugin"), "there is no plugin \"%s\"%s%s%s it must be one of: %s",
		     name, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : ";",
		     vs_word_list(names, list, sizeof list));
}

/* Keys that mean nothing for a plugin would be believed and do nothing: refused. */
static void only_modbus(struct vs_reader *l, vs_place at, const struct vs_plugin *p)
{
	static const char *const keys[] = { "unit",        "timeout", "pause",     "connect_pause", "retries",
					    "largest_gap", "profile", "registers", "new_reading" };
	for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++)
		if (vs_yaml_key(l->y, at, keys[i]) != at)
			vs_yaml_find(l->y, vs_yaml_key(l->y, at, keys[i]),
				     "`%s` is for plugin modbus, and this is %s: remove it", keys[i], p->name);
	if (vs_yaml_key(l->y, at, "poll") != at && !p->poll_ms)
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "poll"),
			     "`poll` for a device that is not polled: %s sends by itself; remove it", p->name);
}

static void take_option(struct vs_reader *l, const struct vs_plugin *p, const char *key, const char *value, vs_place at,
			struct vs_plugin_setting *ret)
{
	char words[600];
	struct vs_plugin_setting s = { key, value };
	if (!key || !value)
		vs_yaml_find(l->y, at, "an option must be one word and its value, like `dialect: berry`");
	else if (vs_plugin_check_setting(p, &s, words, sizeof words) < 0)
		vs_yaml_find(l->y, at, "%s", words);
	else
		*ret = (struct vs_plugin_setting){ vs_arena_text(l->arena, key), vs_arena_text(l->arena, value) };
}

static void take_options(struct vs_reader *l, const struct vs_plugin *p, vs_place at, struct vs_device_config *ret)
{
	const char *key, *value;
	vs_place options = vs_yaml_key(l->y, at, "options"), place;
	unsigned n = 0;
	if (options == at)
		return;
	if (!vs_yaml_is_mapping(l->y, options)) {
		vs_yaml_find(l->y, options, "`options` must be a mapping, like { dialect: berry }");
		return;
	}
	while (vs_yaml_pair(l->y, options, n, &key, &value, &place))
		n++;
	ret->options = vs_arena_take(l->arena, n + 1, sizeof *ret->options);
	for (unsigned i = 0, k = 0; i < n && ret->options; i++) {
		vs_yaml_pair(l->y, options, i, &key, &value, &place);
		for (unsigned j = 0; j < k && key; j++)
			if (!strcmp(ret->options[j].name, key))
				vs_yaml_find(l->y, place, "option `%s` stands here twice; keep one", key);
		take_option(l, p, key, value, place, &ret->options[k]);
		k += ret->options[k].name && ret->options[k].value;
	}
}

/* The plugin's own check of free texts: it may refuse what a list of words cannot. */
static void try_options(struct vs_reader *l, const struct vs_plugin *p, vs_place at, struct vs_device_config *ret)
{
	void *state = ret->options && p->init ? calloc(1, p->state_size ? p->state_size : 1) : NULL;
	if (!state)
		return;
	if (p->init(state, ret->options) < 0)
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "options"),
			     "plugin %s refuses these options; `vitalsctl plugins` says what each may be", p->name);
	free(state);
}

static void take_plugin(struct vs_reader *l, const struct raw_device *raw, vs_place at, const struct vs_plugin *p,
			struct vs_device_config *ret)
{
	ret->line = p->line;
	take_polling(l->y, &raw->polling, at, ret);
	take_link(l, raw, at, p, ret);
	take_options(l, p, at, ret);
	try_options(l, p, at, ret);
	only_modbus(l, at, p);
}

static bool same_line(const struct vs_line *a, const struct vs_line *b)
{
	return a->baud == b->baud && a->parity == b->parity && a->data_bits == b->data_bits &&
	       a->stop_bits == b->stop_bits;
}

bool vs_device_config_equal(const struct vs_device_config *a, const struct vs_device_config *b)
{
	const struct vs_plugin_setting none = { 0 }, *x = a->options ? a->options : &none,
				       *y = b->options ? b->options : &none;
	for (; x->name && y->name; x++, y++)
		if (strcmp(x->name, y->name) || strcmp(x->value, y->value))
			return false;
	if (x->name || y->name || !a->map != !b->map || (a->map && memcmp(a->map, b->map, sizeof *a->map)))
		return false;
	return !strcmp(a->id, b->id) && !strcmp(a->plugin, b->plugin) && a->link == b->link &&
	       !strcmp(a->path, b->path) && same_line(&a->line, &b->line) && !strcmp(a->host, b->host) &&
	       a->port == b->port && a->rtu_over_tcp == b->rtu_over_tcp && a->unit == b->unit &&
	       a->poll_ms == b->poll_ms && a->timeout_ms == b->timeout_ms && a->pause_ms == b->pause_ms &&
	       a->connect_pause_ms == b->connect_pause_ms && a->retries == b->retries &&
	       a->largest_gap == b->largest_gap && a->nibp_auto == b->nibp_auto;
}

void vs_device_read(struct vs_reader *l, const struct raw_device *raw, vs_place at, struct vs_device_config *ret)
{
	ret->line_no = vs_yaml_line(l->y, at);
	ret->nibp_auto = raw->start_cuff && *raw->start_cuff;
	if (!raw->plugin)
		return;
	snprintf(ret->plugin, sizeof ret->plugin, "%s", raw->plugin);
	char why[512] = "";
	const struct vs_plugin *p = strcmp(raw->plugin, MODBUS) ? vs_plugin_load(raw->plugin, why, sizeof why) : NULL;
	if (*why)
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "plugin"), "%s", why);
	else if (!strcmp(raw->plugin, MODBUS))
		take_modbus(l, raw, at, ret);
	else if (p)
		take_plugin(l, raw, at, p, ret);
	else
		unknown_plugin(l, raw->plugin, at);
}

/* ---- lines that several devices share ---- */

static bool same_link(const struct vs_device_config *a, const struct vs_device_config *b)
{
	bool network = vs_link_is_network(a->link);
	if (network != vs_link_is_network(b->link) || (network && a->link != b->link))
		return false;
	if (network)
		return *a->host && a->port == b->port && !strcasecmp(a->host, b->host);
	return *a->path && !strcmp(a->path, b->path);
}

/* A metric that both registers maps hold, or VS_METRIC_NONE. */
static enum vs_metric shared_metric(const struct vs_device_config *a, const struct vs_device_config *b)
{
	for (unsigned i = 0; a->map && b->map && i < a->map->len; i++)
		for (unsigned k = 0; k < b->map->len; k++)
			if (a->map->reg[i].metric != VS_METRIC_NONE && a->map->reg[i].metric == b->map->reg[k].metric)
				return a->map->reg[i].metric;
	return VS_METRIC_NONE;
}

/* Two devices may be one unit: a monitor with a slow and a fast group of registers is configured that way.  Not when
 * both give the same number: then one of them was meant to be another unit. */
static void check_units(struct vs_reader *l, const struct vs_device_config *a, const struct vs_device_config *b,
			bool same_chair, vs_place at)
{
	enum vs_metric m = a->unit == b->unit ? shared_metric(a, b) : VS_METRIC_NONE;
	if (m == VS_METRIC_NONE || (b->link == VS_LINK_TCP && !same_chair))
		return;
	vs_yaml_find(l->y, vs_yaml_key(l->y, at, "unit"),
		     "unit %u is device \"%s\" (line %u) already, and both give %s; two monitors on one line have "
		     "different units",
		     b->unit, a->id, a->line_no, vs_metrics[m].name);
}

static void check_pair(struct vs_reader *l, const struct vs_device_config *a, const struct vs_device_config *b,
		       bool same_chair, vs_place at)
{
	bool both_modbus = !strcmp(a->plugin, MODBUS) && !strcmp(b->plugin, MODBUS);
	static const char *const keys[] = { "serial", "rtu", "tcp", "udp" }; /* enum vs_link_kind */
	const char *key = keys[b->link];
	vs_place link = vs_yaml_key(l->y, at, key);
	if (!same_link(a, b))
		return;
	if (!both_modbus || a->link != b->link)
		vs_yaml_find(l->y, vs_yaml_key(l->y, link, vs_link_is_network(b->link) ? "host" : "path"),
			     "%s is in use by device \"%s\" (line %u) already; only Modbus devices may share a line",
			     vs_link_is_network(b->link) ? b->host : b->path, a->id, a->line_no);
	else if (b->link == VS_LINK_RTU && !same_line(&a->line, &b->line))
		vs_yaml_find(
			l->y, link,
			"%s has %u baud, %c, %u, %u here and %u baud, %c, %u, %u in line %u; one line has one setting",
			b->path, b->line.baud, b->line.parity, b->line.data_bits, b->line.stop_bits, a->line.baud,
			a->line.parity, a->line.data_bits, a->line.stop_bits, a->line_no);
	else
		check_units(l, a, b, same_chair, at);
}

/* Compares b with every device before it in the file, up to the first it has trouble with. */
static void check_against_earlier(struct vs_reader *l, const struct vs_device_config *b, unsigned chair, vs_place at)
{
	const struct vs_config *c = l->config;
	unsigned before = l->findings->len;
	for (unsigned i = 0; i < c->n_chairs; i++)
		for (unsigned k = 0; k < c->chairs[i].n_devices; k++) {
			const struct vs_device_config *a = &c->chairs[i].devices[k];
			if (a == b || l->findings->len > before)
				return;
			check_pair(l, a, b, i == chair, at);
		}
}

void vs_lines_check(struct vs_reader *l)
{
	const struct vs_config *c = l->config;
	vs_place chairs = vs_yaml_key(l->y, l->top, "chairs");
	for (unsigned i = 0; i < c->n_chairs; i++) {
		vs_place devices = vs_yaml_key(l->y, vs_yaml_item(l->y, chairs, i), "devices");
		for (unsigned k = 0; k < c->chairs[i].n_devices; k++)
			check_against_earlier(l, &c->chairs[i].devices[k], i, vs_yaml_item(l->y, devices, k));
	}
}
