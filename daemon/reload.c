/* SIGHUP: a new configuration, touching only what changed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/presets.h"
#include "daemon/chair.h"
#include "daemon/retention.h"
#include "daemon/say.h"

static const struct vs_chair_config *config_of(const struct vs_config *c, const char *id)
{
	for (unsigned i = 0; i < c->n_chairs; i++)
		if (strcmp(c->chairs[i].id, id) == 0)
			return &c->chairs[i];
	return NULL;
}

static bool same_list(unsigned n, char **a, unsigned m, char **b)
{
	if (n != m)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

/* What a running daemon cannot change under its own feet. */
static void say_what_waits(const struct vs_config *old, const struct vs_config *new)
{
	const struct {
		bool changed;
		const char *key;
	} fixed[] = {
		{ strcmp(old->site, new->site) != 0, "site" },
		{ strcmp(old->log_path, new->log_path) != 0, "log: path" },
		{ strcmp(old->control, new->control) != 0, "control" },
		{ old->log_yearly != new->log_yearly || old->log_bytes != new->log_bytes, "log: rotate" },
		{ old->custody_bytes != new->custody_bytes, "log: custody" },
		{ !same_list(old->n_events, old->events, new->n_events, new->events), "publish: events" },
		{ !same_list(old->n_queries, old->queries, new->n_queries, new->queries), "publish: query" },
	};
	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
		if (fixed[i].changed)
			vs_say(VS_SAY_WARNING, "%s: a new '%s' takes effect when vitalsd is restarted", new->file, fixed[i].key);
}

/* The things that live as long as the process keep their values. */
static void keep_fixed(struct vs_config *old, struct vs_config *new)
{
	memcpy(new->site, old->site, sizeof new->site);
}

static void say_findings(const struct vs_findings *f)
{
	for (unsigned i = 0; i < f->len; i++)
		vs_say(VS_SAY_FINDING, "%s:%u: %s", f->at[i].file, f->at[i].line, f->at[i].text);
	if (f->omitted)
		vs_say(VS_SAY_FINDING, "... and %u more", f->omitted);
	if (f->failed)
		vs_say(VS_SAY_FINDING, "out of memory: there may be more findings than these");
}

static int read_all(struct vs_daemon *d, struct vs_config **config, struct vs_limit_sets **sets, struct vs_session_data **data)
{
	struct vs_findings findings = { 0 };
	int r = vs_config_load(d->config->file, config, &findings);
	if (r == 0)
		r = vs_limits_load((const char *const *)(*config)->limit_files, (*config)->n_limit_files, sets, &findings);
	if (r == 0)
		r = vs_presets_load((const char *const *)(*config)->preset_files, (*config)->n_preset_files, data, &findings);
	if (r < 0) {
		say_findings(&findings);
		vs_say(VS_SAY_ERROR, "%s: the new configuration is refused, the old one stays in force", d->config->file);
		vs_limits_free(*sets);
		vs_config_free(*config);
		*sets = NULL;
		*config = NULL;
	}
	vs_findings_clear(&findings);
	return r;
}

static bool same_retention(const struct vs_config *a, const struct vs_config *b)
{
	const char *why_a = a->keep_shorter ? a->keep_shorter : "", *why_b = b->keep_shorter ? b->keep_shorter : "";
	return a->keep_years == b->keep_years && a->keep_days == b->keep_days && a->keep_apply == b->keep_apply && strcmp(why_a, why_b) == 0;
}

static struct vs_retired **retired_place(struct vs_daemon *d, const char *id)
{
	struct vs_retired **r = &d->retired;
	while (*r && strcmp((*r)->id, id) != 0)
		r = &(*r)->next;
	return r;
}

/* room: from malloc(), one for each chair that goes. */
static void retire(struct vs_daemon *d, struct vs_chair *c, struct vs_retired **room)
{
	struct vs_retired *r = *room;
	*room = r->next;
	memcpy(r->id, c->id, sizeof r->id);
	memcpy(r->seq, c->seq, sizeof r->seq);
	r->next = d->retired;
	d->retired = r;
	vs_chair_close(c);
}

static void free_room(struct vs_retired *room)
{
	for (struct vs_retired *next; room; room = next) {
		next = room->next;
		free(room);
	}
}

/* A number is never used for another message, also not by a chair that was away. */
static struct vs_chair *create(struct vs_daemon *d, const struct vs_chair_config *cfg, const struct vs_limit_set *set)
{
	struct vs_chair *c = vs_chair_create(d, cfg, set);
	struct vs_retired **place = retired_place(d, cfg->id), *r = *place;
	if (c && r) {
		memcpy(c->seq, r->seq, sizeof c->seq);
		*place = r->next;
		free(r);
	}
	return c;
}

int vs_daemon_record_limits(struct vs_daemon *d, const struct vs_config *config, const struct vs_limit_sets *sets)
{
	const char *name;
	unsigned all = 0, n = 0;
	while (vs_limits_name(sets, all))
		all++;
	struct vs_store_set *used = calloc(all + 1, sizeof *used);
	if (!used)
		return -ENOMEM;
	for (unsigned i = 0; (name = vs_limits_name(sets, i)); i++) {
		bool is = false;
		for (unsigned k = 0; k < config->n_chairs; k++)
			is = is || strcmp(config->chairs[k].limits, name) == 0;
		if (!is)
			continue;
		used[n].name = name;
		used[n].hash = vs_limits_hash(sets, name);
		used[n].n = vs_limits_texts(sets, name, used[n].texts);
		n++;
	}
	int r = vs_store_limits(d->store, used, n);
	free(used);
	return r;
}

/* What a new configuration consists of, and the room that taking it over needs. */
struct change {
	struct vs_config *config;
	struct vs_limit_sets *sets;
	struct vs_session_data *data;
	struct vs_chair **chairs;
	unsigned n;
	struct vs_retired *room;
};

static int make_room(const struct vs_daemon *d, struct change *w)
{
	w->chairs = calloc(w->config->n_chairs ? w->config->n_chairs : 1, sizeof *w->chairs);
	bool short_of = !w->chairs;
	for (unsigned i = 0; i < d->n_chairs && !short_of; i++) {
		struct vs_retired *r = config_of(w->config, d->chairs[i]->id) ? NULL : malloc(sizeof *r);
		short_of = !r && !config_of(w->config, d->chairs[i]->id);
		if (r)
			r->next = w->room, w->room = r;
	}
	return short_of ? -ENOMEM : 0;
}

/* Nothing was changed yet. */
static int give_up(const struct vs_daemon *d, struct change *w)
{
	vs_say(VS_SAY_ERROR, "%s: no memory for the new configuration, the old one stays in force", d->config->file);
	free_room(w->room);
	free(w->chairs);
	vs_presets_free(w->data);
	vs_limits_free(w->sets);
	vs_config_free(w->config);
	return -ENOMEM;
}

/* One chair as the new configuration wants it. */
static int take_over(struct vs_daemon *d, struct change *w, const struct vs_chair_config *cfg)
{
	const struct vs_limit_set *set = vs_limits_find(w->sets, cfg->limits);
	struct vs_chair *c = vs_daemon_chair(d, cfg->id);
	int r = 0;
	if (c) {
		c->watch->data = w->data;
		r = vs_chair_reconfigure(c, cfg, set);
	} else if ((c = create(d, cfg, set))) {
		vs_chair_start(c, NULL, 0, VS_BLIND_NOT);
	}
	if (c)
		w->chairs[w->n++] = c;
	if (!c || r < 0)
		vs_say(VS_SAY_ERROR, "%s: no memory for its new configuration: %s; restart vitalsd", cfg->id,
		       c ? "it is watched with the old one" : "nobody watches it");
	return c ? r : -ENOMEM;
}

static int take_over_all(struct vs_daemon *d, struct change *w)
{
	int r = 0;
	for (unsigned i = 0; i < d->n_chairs; i++)
		if (!config_of(w->config, d->chairs[i]->id))
			retire(d, d->chairs[i], &w->room);
	for (unsigned i = 0; i < w->config->n_chairs; i++) {
		int e = take_over(d, w, &w->config->chairs[i]);
		r = e < 0 ? e : r;
	}
	free(d->chairs);
	d->chairs = w->chairs;
	d->n_chairs = w->n;
	return r;
}

int vs_daemon_reload(struct vs_daemon *d)
{
	struct change w = { .config = NULL };
	struct vs_config *old = d->config;
	struct vs_limit_sets *old_sets = d->sets;
	struct vs_session_data *old_data = d->session_data;
	int r = read_all(d, &w.config, &w.sets, &w.data);
	if (r < 0)
		return r;
	if (make_room(d, &w) < 0)
		return give_up(d, &w);
	if (vs_daemon_record_limits(d, w.config, w.sets) < 0)
		vs_say(VS_SAY_ERROR, "%s: no memory to record the texts of the limit sets; a replay will need their files", w.config->file);
	say_what_waits(old, w.config);
	keep_fixed(old, w.config);
	d->session_data = w.data; /* an open session keeps its copy of the preset; gates are as of now */
	r = take_over_all(d, &w);
	d->config = w.config;
	d->sets = w.sets;
	if (old->audit_trace != w.config->audit_trace)
		vs_daemon_say_policy(d);
	if (!same_retention(old, w.config))
		vs_daemon_say_retention(d);
	if (r < 0)
		return r; /* a chair stands on what was in force before: that stays for as long as the process */
	vs_config_free(old);
	vs_limits_free(old_sets);
	vs_presets_free(old_data);
	vs_say(VS_SAY_NOTICE, "%s: the new configuration is in force: %u chair%s", w.config->file, w.n, w.n == 1 ? "" : "s");
	return 0;
}
