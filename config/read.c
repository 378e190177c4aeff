#include "config/config.h"

#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/arena.h"
#include "config/device.h"
#include "config/format.h"
#include "config/hash.h"
#include "config/presets.h"
#include "config/words.h"

#define CUSTODY_LEAST (256u << 10)
#define CUSTODY_MOST (1u << 30)
#define ROTATE_LEAST (1u << 20)
#define CONTROL_DEFAULT "/run/vitalsd/control.sock"

struct whole { /* what vs_config_free gets back */
	struct vs_config config;
	struct vs_arena arena;
};

/* ---- the station ---- */

static void take_rotate(struct vs_reader *l, const char *text, vs_place at)
{
	uint64_t bytes = 0;
	bool year = !text || !strcmp(text, "year");
	if (!year && strcmp(text, "never") != 0 && (!vs_word_size(text, &bytes) || bytes < ROTATE_LEAST))
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "rotate"),
			     "`rotate` is \"%s\"; it must be year, never, or a size from 1MiB on, like 4GiB", text);
	l->config->log_yearly = year;
	l->config->log_bytes = bytes;
}

#define KEEP_LEAST_DAYS 2192 /* six years, two leap days among them */

static void take_retention(struct vs_reader *l, const struct raw_log *log, vs_place at)
{
	struct vs_config *c = l->config;
	const char *text = log->retention ? log->retention : "keep";
	if (!vs_word_keep(text, &c->keep_years, &c->keep_days)) {
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "retention"),
			     "`retention` is \"%s\"; it must be keep (nothing is ever removed), years like 6y, or days like 2555d", text);
		return;
	}
	bool is_short = (c->keep_years && c->keep_years < VS_KEEP_LEAST_YEARS) || (c->keep_days && c->keep_days < KEEP_LEAST_DAYS);
	if (is_short && !(log->shorter && *log->shorter))
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "retention"),
			     "`retention` is \"%s\", and records are kept for %dy at least (45 CFR 164.316(b)(2)(i), and as long as local law "
			     "asks for); where less is right, say why with `retention_shorter_because`", text, VS_KEEP_LEAST_YEARS);
	if (log->shorter && *log->shorter && !is_short)
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "retention_shorter_because"),
			     "`retention_shorter_because` belongs to a `retention` of less than %dy; leave it out", VS_KEEP_LEAST_YEARS);
	c->keep_text = vs_arena_text(l->arena, text);
	c->keep_shorter = is_short && log->shorter ? vs_arena_text(l->arena, log->shorter) : NULL;
	c->keep_apply = log->apply && *log->apply;
	if (c->keep_apply && !c->keep_years && !c->keep_days)
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "retention_apply"),
			     "`retention_apply` is daily, and there is no `retention` to apply; give one like 10y, or leave this out");
}

static void take_log(struct vs_reader *l, const struct raw_log *log, vs_place at)
{
	uint64_t bytes = 0;
	if (!log)
		return;
	if (log->path)
		l->config->log_path = vs_arena_text(l->arena, log->path);
	if (log->custody && (!vs_word_size(log->custody, &bytes) || bytes < CUSTODY_LEAST || bytes > CUSTODY_MOST))
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "custody"),
			     "`custody` is \"%s\"; it must be a size from 256KiB to 1GiB, like 8MiB", log->custody);
	l->config->custody_bytes = (uint32_t)bytes;
	take_rotate(l, log->rotate, at);
	take_retention(l, log, at);
}

/* NULL: a URL that nanomsg can bind; else what is wrong. */
static const char *url_fault(const char *url)
{
	if (!strncmp(url, "ipc://", 6))
		return !url[6]                 ? "names no file after ipc://"
		       : strlen(url + 6) > 107 ? "is too long for a socket: at most 107 bytes after ipc://"
					       : NULL;
	if (strncmp(url, "tcp://", 6))
		return "begins neither with ipc:// nor with tcp://";
	const char *colon = strrchr(url + 6, ':');
	if (!colon || colon == url + 6)
		return "must be tcp://ADDRESS:PORT";
	size_t digits = strspn(colon + 1, "0123456789");
	long port = digits && digits <= 5 && !colon[1 + digits] ? strtol(colon + 1, NULL, 10) : 0;
	return port < 1 || port > 65535 ? "has no port from 1 to 65535 at its end" : NULL;
}

static char **take_urls(struct vs_reader *l, char *const *urls, unsigned n, vs_place at)
{
	char **list = vs_arena_take(l->arena, n + 1, sizeof *list);
	for (unsigned i = 0; i < n && list; i++) {
		vs_place item = vs_yaml_item(l->y, at, i);
		const char *fault = url_fault(urls[i]);
		if (fault)
			vs_yaml_find(l->y, item,
				     "\"%s\" %s; write ipc:///run/vitalsd/events.ipc or tcp://127.0.0.1:7700", urls[i],
				     fault);
		list[i] = vs_arena_text(l->arena, urls[i]);
	}
	return list;
}

static void same_url(struct vs_reader *l, const char *url, vs_place at, char *const *others, unsigned n, vs_place them)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(url, others[i])) {
			vs_yaml_find(l->y, at, "\"%s\" is bound twice (also in line %u); give each list its own", url,
				     vs_yaml_line(l->y, vs_yaml_item(l->y, them, i)));
			return;
		}
}

static void take_publish(struct vs_reader *l, const struct raw_publish *p, vs_place at)
{
	struct vs_config *c = l->config;
	if (!p)
		return;
	vs_place events = vs_yaml_key(l->y, at, "events"), query = vs_yaml_key(l->y, at, "query");
	c->events = take_urls(l, p->events, p->events_count, events);
	c->queries = take_urls(l, p->query, p->query_count, query);
	c->n_events = p->events_count;
	c->n_queries = p->query_count;
	for (unsigned i = 0; i < p->events_count; i++)
		same_url(l, p->events[i], vs_yaml_item(l->y, events, i), p->events, i, events);
	for (unsigned i = 0; i < p->query_count; i++) {
		vs_place item = vs_yaml_item(l->y, query, i);
		same_url(l, p->query[i], item, p->query, i, query);
		same_url(l, p->query[i], item, p->events, p->events_count, events);
	}
}

/* The clinic's own files beside the configuration.  They take part in the hash, so each is read once, here. */
static struct vs_limit_source *read_files(struct vs_reader *l, const char *key, char *const *files, unsigned n,
					  char ***ret_names, unsigned *ret_good)
{
	vs_place list = vs_yaml_key(l->y, l->top, key);
	char **names = vs_arena_take(l->arena, n + 1, sizeof *names);
	struct vs_limit_source *sources = vs_arena_take(l->arena, n + 1, sizeof *sources);
	*ret_good = 0;
	for (unsigned i = 0; i < n && names && sources; i++) {
		names[i] = vs_beside(l, files[i]);
		if (names[i] && vs_read_beside(l, names[i], vs_yaml_item(l->y, list, i), &sources[*ret_good]))
			++*ret_good;
	}
	*ret_names = names;
	return sources;
}

static void take_limit_files(struct vs_reader *l, const struct raw_config *raw)
{
	struct vs_config *c = l->config;
	unsigned good;
	const struct vs_limit_source *sources =
		read_files(l, "limit_files", raw->limit_files, raw->limit_files_count, &c->limit_files, &good);
	c->n_limit_files = c->limit_files ? raw->limit_files_count : 0;
	int r = l->arena->failed ? -ENOMEM : vs_limits_load_named(sources, good, &c->limit_sets, l->findings);
	l->arena->failed |= r == -ENOMEM;
}

/* Checked here; the daemon loads them again where it needs them. */
static void take_preset_files(struct vs_reader *l, const struct raw_config *raw)
{
	struct vs_config *c = l->config;
	struct vs_session_data *checked = NULL;
	unsigned good;
	if (!raw->preset_files_count)
		return;
	const struct vs_limit_source *sources =
		read_files(l, "preset_files", raw->preset_files, raw->preset_files_count, &c->preset_files, &good);
	c->n_preset_files = c->preset_files ? raw->preset_files_count : 0;
	int r = l->arena->failed ? -ENOMEM : vs_presets_load_sources(sources, good, &checked, l->findings);
	l->arena->failed |= r == -ENOMEM;
	vs_presets_free(checked);
}

static void take_site(struct vs_reader *l, const char *site)
{
	for (const char *p = site; *p; p++)
		if ((unsigned char)*p < 0x20) {
			vs_yaml_find(
				l->y, vs_yaml_key(l->y, l->top, "site"),
				"`site` has a line break or tab in it; it must be one short name, like north-clinic");
			return;
		}
	snprintf(l->config->site, sizeof l->config->site, "%s", site);
}

/* ---- chairs ---- */

static void take_id(struct vs_reader *l, const char *id, vs_place at, char ret[VS_ID_CAP])
{
	if (!id)
		return;
	if (vs_word_id(id))
		snprintf(ret, VS_ID_CAP, "%s", id);
	else
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "id"),
			     "`id` is \"%.60s\"; it must be 1 to 32 of a-z, 0-9 and -, and not begin with -", id);
}

static void take_devices(struct vs_reader *l, const struct raw_chair *raw, vs_place at, struct vs_chair_config *ret)
{
	vs_place list = vs_yaml_key(l->y, at, "devices");
	ret->devices = vs_arena_take(l->arena, raw->devices_count, sizeof *ret->devices);
	ret->n_devices = ret->devices ? raw->devices_count : 0;
	for (unsigned i = 0; i < ret->n_devices; i++) {
		struct vs_device_config *d = &ret->devices[i];
		vs_place place = vs_yaml_item(l->y, list, i);
		take_id(l, raw->devices[i].id, place, d->id);
		vs_device_read(l, &raw->devices[i], place, d);
		for (unsigned k = 0; k < i && *d->id; k++)
			if (!strcmp(d->id, ret->devices[k].id)) {
				vs_yaml_find(l->y, vs_yaml_key(l->y, place, "id"),
					     "device \"%s\" is there already (line %u); ids of one chair must differ",
					     d->id, ret->devices[k].line_no);
				break;
			}
	}
}

static void take_set(struct vs_reader *l, const char *name, vs_place at, struct vs_chair_config *ret)
{
	const struct vs_limit_sets *sets = l->config->limit_sets;
	const char *names[128] = { 0 }, *near;
	char list[600];
	snprintf(ret->limits, sizeof ret->limits, "%s", name);
	if (!sets)
		return; /* a file of sets could not be parsed: it may be there */
	ret->set = vs_limits_find(sets, name);
	if (ret->set)
		return;
	for (unsigned i = 0; i < 127 && vs_limits_name(sets, i); i++)
		names[i] = vs_limits_name(sets, i);
	near = vs_nearest(name, names);
	vs_yaml_find(l->y, vs_yaml_key(l->y, at, "limits"), "there is no limit set \"%s\"%s%s%s it must be one of: %s",
		     name, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : ";",
		     vs_word_list(names, list, sizeof list));
}

static const struct vs_annunciator_config no_annunciator = { .alsa = false };

static const struct vs_annunciator_config *take_annunciator(struct vs_reader *l, const struct raw_annunciator *raw, vs_place at)
{
	struct vs_annunciator_config *ret = vs_arena_take(l->arena, 1, sizeof *ret);
	if (!ret)
		return &no_annunciator;
	ret->alsa = raw->audio && *raw->audio;
	snprintf(ret->device, sizeof ret->device, "%s", raw->device ? raw->device : "default");
	if (raw->device && !ret->alsa)
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "device"), "`device` is of `audio: alsa`, which is off; add it, or remove this");
	if (raw->command && raw->command[0] != '/')
		vs_yaml_find(l->y, vs_yaml_key(l->y, at, "command"),
			     "`command` is \"%s\"; it must be the absolute path of one program, like /usr/local/bin/lights", raw->command);
	if (raw->command)
		snprintf(ret->command, sizeof ret->command, "%s", raw->command);
	return ret;
}

static void take_chairs(struct vs_reader *l, const struct raw_config *raw)
{
	struct vs_config *c = l->config;
	vs_place list = vs_yaml_key(l->y, l->top, "chairs");
	const struct vs_annunciator_config *station = &no_annunciator;
	if (raw->annunciator)
		station = take_annunciator(l, raw->annunciator, vs_yaml_key(l->y, l->top, "annunciator"));
	c->chairs = vs_arena_take(l->arena, raw->chairs_count, sizeof *c->chairs);
	c->n_chairs = c->chairs ? raw->chairs_count : 0;
	for (unsigned i = 0; i < c->n_chairs; i++) {
		struct vs_chair_config *chair = &c->chairs[i];
		vs_place place = vs_yaml_item(l->y, list, i);
		chair->line_no = vs_yaml_line(l->y, place);
		take_id(l, raw->chairs[i].id, place, chair->id);
		chair->annunciator = station;
		if (raw->chairs[i].annunciator)
			chair->annunciator = take_annunciator(l, raw->chairs[i].annunciator,
							      vs_yaml_key(l->y, place, "annunciator"));
		if (raw->chairs[i].limits)
			take_set(l, raw->chairs[i].limits, place, chair);
		for (unsigned k = 0; k < i && *chair->id; k++)
			if (!strcmp(chair->id, c->chairs[k].id)) {
				vs_yaml_find(l->y, vs_yaml_key(l->y, place, "id"),
					     "chair \"%s\" is there already (line %u); every chair needs its own id",
					     chair->id, c->chairs[k].line_no);
				break;
			}
		take_devices(l, &raw->chairs[i], place, chair);
	}
}

/* ---- operators ---- */

static void take_operators(struct vs_reader *l, const struct raw_config *raw)
{
	struct vs_config *c = l->config;
	vs_place list = vs_yaml_key(l->y, l->top, "operators");
	c->operators = vs_arena_take(l->arena, raw->operators_count, sizeof *c->operators);
	c->n_operators = c->operators ? raw->operators_count : 0;
	for (unsigned i = 0; i < c->n_operators; i++) {
		struct vs_operator_config *o = &c->operators[i];
		vs_place place = vs_yaml_item(l->y, list, i);
		const char *name = raw->operators[i].name;
		if (name && vs_word_id(name))
			snprintf(o->name, sizeof o->name, "%s", name);
		else if (name)
			vs_yaml_find(l->y, vs_yaml_key(l->y, place, "name"),
				     "`name` is \"%.60s\"; it must be 1 to 32 of a-z, 0-9 and -, and not begin with -", name);
		o->role = raw->operators[i].role ? *raw->operators[i].role : VS_ROLE_AUDITOR;
		o->has_uid = raw->operators[i].uid;
		o->uid = o->has_uid ? *raw->operators[i].uid : 0;
		for (unsigned k = 0; k < i && *o->name; k++)
			if (!strcmp(o->name, c->operators[k].name)) {
				vs_yaml_find(l->y, vs_yaml_key(l->y, place, "name"),
					     "operator \"%s\" is there already; every person has one entry", o->name);
				break;
			}
	}
}

/* ---- the whole ---- */

static void take_all(struct vs_reader *l, const struct raw_config *raw)
{
	l->top = vs_yaml_top(l->y);
	if (raw->site)
		take_site(l, raw->site);
	take_log(l, raw->log, vs_yaml_key(l->y, l->top, "log"));
	l->config->audit_trace = raw->audit && raw->audit->trace && *raw->audit->trace;
	take_publish(l, raw->publish, vs_yaml_key(l->y, l->top, "publish"));
	l->config->control = vs_arena_text(l->arena, raw->control ? raw->control : CONTROL_DEFAULT);
	take_limit_files(l, raw);
	take_preset_files(l, raw);
	take_operators(l, raw);
	take_chairs(l, raw);
	vs_lines_check(l);
}

static int read_into(struct whole *w, char *bytes, size_t len, struct vs_findings *findings)
{
	struct vs_reader l = { .file = w->config.file, .config = &w->config, .arena = &w->arena, .findings = findings };
	void *raw = NULL;
	unsigned before = findings->len;
	int r = vs_reader_piece(&l, bytes, len);
	if (!r)
		r = vs_yaml_load(l.file, bytes, len, &vs_config_format, findings, &l.y, &raw);
	if (!r && raw)
		take_all(&l, raw);
	if (!r)
		vs_hash_hex(l.pieces, l.n_pieces, w->config.hash);
	vs_reader_finish(&l);
	if (!r && (w->arena.failed || findings->failed))
		r = -ENOMEM;
	return r ? r : findings->len > before ? -EINVAL : 0;
}

int vs_config_load_bytes(const char *file, char *bytes, size_t len, struct vs_config **ret,
			 struct vs_findings *findings)
{
	struct whole *w = calloc(1, sizeof *w);
	if (w)
		w->config.file = vs_arena_text(&w->arena, file);
	if (!w || !w->config.file) {
		free(bytes);
		free(w);
		return -ENOMEM;
	}
	w->config.log_yearly = true;
	int r = read_into(w, bytes, len, findings);
	if (r) {
		vs_findings_sort(findings);
		vs_config_free(&w->config);
		return r;
	}
	malloc_trim(
		0); /* the text of a thousand devices leaves 8 MB of free heap behind; the daemon wants to stay small */
	*ret = &w->config;
	return 0;
}

int vs_config_load(const char *file, struct vs_config **ret, struct vs_findings *findings)
{
	char *bytes;
	size_t len;
	int r = vs_yaml_read(file, &bytes, &len, findings);
	return r ? r : vs_config_load_bytes(file, bytes, len, ret, findings);
}

void vs_config_free(struct vs_config *c)
{
	if (!c)
		return;
	struct whole *w = (struct whole *)c; /* its first member */
	vs_limits_free(c->limit_sets);
	vs_arena_finish(&w->arena);
	free(w);
}

int vs_config_check_main(const char *file)
{
	struct vs_findings findings = { 0 };
	struct vs_config *c = NULL;
	int r = vs_config_load(file, &c, &findings);
	vs_findings_print(&findings, stderr);
	if (r == -ENOMEM)
		fprintf(stderr, "%s: out of memory\n", file);
	vs_findings_clear(&findings);
	vs_config_free(c);
	return !r ? 0 : r == -EINVAL ? 78 : 1;
}
