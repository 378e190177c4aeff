#include "config/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/embed.h"
#include "config/hash.h"
#include "config/limit_rule.h"
#include "config/words.h"

extern const struct vs_embedded vs_limit_set_files[];

#define HOUR_MS 3600000u

struct file {
	const char *name;
	bool shipped;
	char *owned, *owned_name; /* copies, unless they are built in */
	const char *bytes;
	size_t len;
	char hash[VS_HASH_CAP];
	/* while loading */
	struct vs_yaml *y;
	const struct raw_limit_file *raw;
};

struct entry {
	struct vs_limit_set *set;
	char hash[VS_HASH_CAP];
	const struct file *file;
	unsigned base; /* its number, from 1; 0: it extends none */
	/* while loading */
	const struct raw_set *raw;
	vs_place at;
	enum { NEW, BUSY, DONE } state;
};

struct vs_limit_sets {
	unsigned n;
	struct entry *at;
	unsigned n_files;
	struct file *files; /* the first is the one that ships */
};

struct loader {
	struct vs_findings *findings;
	struct vs_outer_bounds bounds;
	struct vs_limit_sets *sets;
	bool unparsed; /* a file whose sets nobody knows */
};

/* ---- validity, cadence, announcing: only what is given replaces ---- */

static void number(const double *from, double *to)
{
	if (from)
		*to = *from;
}

static void read_ranges(struct vs_yaml *y, const struct raw_ranges *raw, vs_place at, struct vs_validity *v)
{
	const struct {
		const double *pair;
		unsigned n;
	} given[VS_METRIC_COUNT] = {
#define METRIC(id, ...) [VS_##id] = { raw->id, raw->id##_count },
#include "core/metrics.def"
#undef METRIC
	};
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++) {
		if (given[m].n != 2)
			continue;
		v->range[m].low = given[m].pair[0];
		v->range[m].high = given[m].pair[1];
		if (!(v->range[m].low < v->range[m].high))
			vs_yaml_find(y, vs_yaml_key(y, at, vs_metrics[m].name), "the range must be [lowest, highest]");
	}
}

static void read_pulse(struct vs_yaml *y, const struct raw_pulse *raw, unsigned n, vs_place list,
		       struct vs_pulse_row *ret, unsigned *ret_n)
{
	for (unsigned i = 0; i < n; i++) {
		vs_place at = vs_yaml_item(y, list, i);
		const struct raw_pulse *p = &raw[i];
		ret[i] = (struct vs_pulse_row){ .from = NAN, .above = NAN, .below = NAN, .to = NAN };
		number(p->from, &ret[i].from);
		number(p->above, &ret[i].above);
		number(p->below, &ret[i].below);
		number(p->to, &ret[i].to);
		number(p->least, &ret[i].least);
		if ((p->from && p->above) || (p->below && p->to))
			vs_yaml_find(y, at, "`from` beside `above`, or `below` beside `to`; keep one of each pair");
		if (fmax(ret[i].from, ret[i].above) >= fmin(ret[i].below, ret[i].to))
			vs_yaml_find(y, at, "the row is empty: its lower end is not below its upper end");
	}
	*ret_n = n;
}

static void read_cuff_validity(struct vs_yaml *y, const struct raw_validity *raw, vs_place at, struct vs_validity *v)
{
	if (raw->pulse_reject)
		read_pulse(y, raw->pulse_reject, raw->pulse_reject_count, vs_yaml_key(y, at, "pulse_reject"),
			   v->pulse_reject, &v->n_reject);
	if (raw->pulse_suspect)
		read_pulse(y, raw->pulse_suspect, raw->pulse_suspect_count, vs_yaml_key(y, at, "pulse_suspect"),
			   v->pulse_suspect, &v->n_suspect);
	if (raw->map_position_count == 2) {
		v->map_low = raw->map_position[0];
		v->map_high = raw->map_position[1];
		if (!(0 <= v->map_low && v->map_low < v->map_high && v->map_high <= 1))
			vs_yaml_find(y, vs_yaml_key(y, at, "map_position"),
				     "`map_position` must be two shares of the pulse pressure, like [0.15, 0.70]");
	}
	number(raw->jump, &v->jump);
	vs_yaml_duration(y, raw->jump_window, "jump_window", at, 0, 24 * HOUR_MS, &v->jump_window_ms);
	v->jump_readings = raw->jump_readings ? *raw->jump_readings : v->jump_readings;
	vs_yaml_share(y, raw->jump_waiver, "jump_waiver", at, &v->jump_waiver);
	if (raw->jump_waived_by)
		strncpy(v->jump_waived_by, raw->jump_waived_by, sizeof v->jump_waived_by - 1);
	vs_yaml_duration(y, raw->suspect_repeat, "suspect_repeat", at, 0, HOUR_MS, &v->suspect_repeat_ms);
	number(raw->suspect_agree, &v->suspect_agree);
	vs_yaml_duration(y, raw->suspect_accept, "suspect_accept", at, 0, HOUR_MS, &v->suspect_accept_ms);
	vs_yaml_duration(y, raw->confirm_repeat, "confirm_repeat", at, 0, HOUR_MS, &v->confirm_repeat_ms);
	vs_yaml_duration(y, raw->promote, "promote", at, 0, HOUR_MS, &v->promote_ms);
	vs_yaml_duration(y, raw->fail_retry, "fail_retry", at, 0, HOUR_MS, &v->fail_retry_ms);
}

static void read_validity(struct vs_yaml *y, const struct raw_validity *raw, vs_place at, struct vs_validity *v)
{
	vs_yaml_duration(y, raw->median, "median", at, 1, 60000, &v->median_ms);
	v->median_min = raw->median_min ? *raw->median_min : v->median_min;
	vs_yaml_duration(y, raw->tolerance, "tolerance", at, 0, 60000, &v->tolerance_ms);
	vs_yaml_duration(y, raw->freeze, "freeze", at, 0, 60000, &v->freeze_ms);
	vs_yaml_duration(y, raw->stale, "stale", at, 1000, 60000, &v->stale_ms);
	if (raw->range)
		read_ranges(y, raw->range, vs_yaml_key(y, at, "range"), v);
	read_cuff_validity(y, raw, at, v);
}

static void read_cadence(struct vs_yaml *y, const struct raw_cadence *raw, vs_place at, struct vs_cadence *c)
{
	vs_place nibp = vs_yaml_key(y, at, "nibp");
	vs_yaml_duration(y, raw->nibp_least, "nibp_least", at, 30000, 24 * HOUR_MS, &c->nibp_least_ms);
	vs_yaml_duration(y, raw->nibp_most, "nibp_most", at, 30000, 24 * HOUR_MS, &c->nibp_most_ms);
	if (c->nibp_least_ms > c->nibp_most_ms)
		vs_yaml_find(y, vs_yaml_key(y, at, "nibp_least"),
			     "`nibp_least` is longer than `nibp_most`; exchange them");
	for (unsigned p = 0; raw->nibp && p < VS_PHASE_COUNT; p++)
		vs_yaml_duration(y, raw->nibp->at[p], vs_phase_name((enum vs_phase)p), nibp, 0, 24 * HOUR_MS,
				 &c->nibp_ms[p]);
}

static void read_by_priority(struct vs_yaml *y, const struct raw_by_priority *raw, vs_place at, uint32_t *ret_ms)
{
	for (unsigned p = 0; raw && p < VS_PRIORITY_COUNT; p++)
		vs_yaml_duration(y, raw->at[p], vs_priority_name((enum vs_priority)p), at, 0, HOUR_MS, &ret_ms[p]);
}

static void read_announcing(struct vs_yaml *y, const struct raw_announcing *raw, vs_place at, struct vs_announcing *a)
{
	vs_yaml_duration(y, raw->pause, "pause", at, 1000, 120000, &a->pause_ms);
	vs_yaml_duration(y, raw->pause_most, "pause_most", at, 1000, 120000, &a->pause_most_ms);
	if (a->pause_ms > a->pause_most_ms)
		vs_yaml_find(y, vs_yaml_key(y, at, "pause"), "`pause` is longer than `pause_most`");
	read_by_priority(y, raw->reannounce, vs_yaml_key(y, at, "reannounce"), a->reannounce_ms);
	read_by_priority(y, raw->unacknowledged, vs_yaml_key(y, at, "unacknowledged"), a->unacknowledged_ms);
}

/* ---- rules ---- */

static int rule_index(const struct vs_limit_set *set, const char *id)
{
	const struct vs_rule *r = vs_rule_find(set, id);
	return r ? (int)(r - set->rules) : -1;
}

static bool is_new_rule(struct vs_yaml *y, vs_place at)
{
	return vs_yaml_key(y, at, "metric") != at || vs_yaml_key(y, at, "type") != at;
}

static void nothing_to_change(const struct entry *e, const char *id, vs_place at)
{
	const char *ids[VS_RULES_MAX + 1] = { 0 }, *near;
	struct vs_yaml *y = e->file->y;
	for (unsigned i = 0; i < e->set->n_rules; i++)
		ids[i] = e->set->rules[i].id;
	near = vs_nearest(id, ids);
	vs_yaml_find(y, at, "there is no inherited rule \"%s\" to change%s%s%s; a new rule says its `metric` or `type`",
		     id, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* Where rule `id` is to go; NULL: nowhere, reported. */
static struct vs_rule *rule_for(struct entry *e, const char *id, vs_place at)
{
	struct vs_limit_set *set = e->set;
	struct vs_yaml *y = e->file->y;
	int i = rule_index(set, id);
	bool new = is_new_rule(y, at);
	if (i < 0 && !new) {
		nothing_to_change(e, id, vs_yaml_key(y, at, "id"));
		return NULL;
	}
	if (i < 0 && set->n_rules == VS_RULES_MAX) {
		vs_yaml_find(y, at, "one rule too many; a set has at most %d", VS_RULES_MAX);
		return NULL;
	}
	if (i < 0)
		i = (int)set->n_rules++;
	if (new)
		set->rules[i] = vs_rule_blank();
	return &set->rules[i];
}

static bool good_id(struct entry *e, unsigned i, vs_place at)
{
	struct vs_yaml *y = e->file->y;
	const char *id = e->raw->rules[i].id;
	if (!id)
		return false;
	if (!vs_word_id(id)) {
		vs_yaml_find(y, vs_yaml_key(y, at, "id"),
			     "`id` is \"%.60s\"; it must be 1 to 32 of a-z, 0-9 and -, and not begin with -", id);
		return false;
	}
	for (unsigned k = 0; k < i; k++)
		if (e->raw->rules[k].id && !strcmp(e->raw->rules[k].id, id)) {
			vs_place other = vs_yaml_item(y, vs_yaml_key(y, e->at, "rules"), k);
			vs_yaml_find(y, vs_yaml_key(y, at, "id"),
				     "rule \"%s\" stands here twice (first in line %u); keep one", id,
				     vs_yaml_line(y, vs_yaml_key(y, other, "id")));
			return false;
		}
	return true;
}

/* Each drift keeps a prediction of its own, and an engine has room for so many. */
static void check_drifts(struct entry *e, const struct vs_rule *r, vs_place at)
{
	unsigned before = 0;
	for (const struct vs_rule *other = e->set->rules; other < r; other++)
		before += other->type == VS_RULE_DRIFT;
	if (r->type == VS_RULE_DRIFT && before >= VS_DRIFTS)
		vs_yaml_find(e->file->y, at, "one drift too many; a set has at most %d rules of that type", VS_DRIFTS);
}

static void read_rules(struct loader *l, struct entry *e)
{
	struct vs_yaml *y = e->file->y;
	vs_place list = vs_yaml_key(y, e->at, "rules");
	for (unsigned i = 0; i < e->raw->rules_count; i++) {
		vs_place at = vs_yaml_item(y, list, i);
		struct vs_rule *r = good_id(e, i, at) ? rule_for(e, e->raw->rules[i].id, at) : NULL;
		if (!r)
			continue;
		vs_rule_read(y, &e->raw->rules[i], at, r);
		vs_rule_check(y, at, r, &l->bounds);
	}
	for (unsigned i = 0; i < e->raw->rules_count; i++) {
		const struct vs_rule *r = e->raw->rules[i].id ? vs_rule_find(e->set, e->raw->rules[i].id) : NULL;
		if (!r)
			continue;
		vs_rule_check_names(y, vs_yaml_item(y, list, i), r, e->set);
		check_drifts(e, r, vs_yaml_item(y, list, i));
	}
}

/* ---- sets ---- */

static struct entry *find(const struct vs_limit_sets *sets, const char *name)
{
	for (unsigned i = 0; i < sets->n; i++)
		if (!strcmp(sets->at[i].set->name, name))
			return &sets->at[i];
	return NULL;
}

static void unknown_base(struct loader *l, struct entry *e)
{
	const char *names[65] = { 0 }, *near;
	char list[600];
	for (unsigned i = 0, n = 0; i < l->sets->n && n < 64; i++)
		if (&l->sets->at[i] != e)
			names[n++] = l->sets->at[i].set->name;
	near = vs_nearest(e->raw->extends, names);
	vs_yaml_find(e->file->y, vs_yaml_key(e->file->y, e->at, "extends"),
		     "there is no limit set \"%s\"%s%s%s it must be one of: %s", e->raw->extends,
		     near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : ";",
		     vs_word_list(names, list, sizeof list));
}

static const struct entry *base_of(const struct vs_limit_sets *s, const struct entry *e)
{
	return e->base ? &s->at[e->base - 1] : NULL;
}

/* The files of a set, those of what it extends first.  Returns how many, at most cap. */
static unsigned chain_of(const struct vs_limit_sets *s, const struct entry *e, const struct file **ret, unsigned cap)
{
	unsigned n = 0, depth = 0;
	for (const struct entry *x = e; x && depth < cap; x = base_of(s, x))
		depth++;
	for (const struct entry *x = e; x && n < depth; x = base_of(s, x))
		ret[depth - ++n] = x->file;
	return depth;
}

static void hash_chain(const struct vs_limit_sets *s, struct entry *e)
{
	const struct file *files[VS_LIMIT_TEXTS];
	struct vs_piece pieces[VS_LIMIT_TEXTS];
	unsigned n = chain_of(s, e, files, VS_LIMIT_TEXTS);
	for (unsigned i = 0; i < n; i++)
		pieces[i] = (struct vs_piece){ files[i]->bytes, files[i]->len };
	vs_hash_hex(pieces, n, e->hash);
}

static void read_set(struct loader *l, struct entry *e)
{
	struct vs_yaml *y = e->file->y;
	struct vs_limit_set *set = e->set;
	const struct raw_set *raw = e->raw;
	hash_chain(l->sets, e);
	strncpy(set->version, raw->version ? raw->version : e->hash, sizeof set->version - 1);
	memcpy(set->hash, e->hash, sizeof set->hash - 1);
	if (raw->summary)
		strncpy(set->summary, raw->summary, sizeof set->summary - 1);
	if (raw->validity)
		read_validity(y, raw->validity, vs_yaml_key(y, e->at, "validity"), &set->validity);
	if (raw->cadence)
		read_cadence(y, raw->cadence, vs_yaml_key(y, e->at, "cadence"), &set->cadence);
	if (raw->announcing)
		read_announcing(y, raw->announcing, vs_yaml_key(y, e->at, "announcing"), &set->announcing);
	read_rules(l, e);
	if (raw->validity && raw->validity->jump_waived_by)
		vs_rule_check_name(y, vs_yaml_key(y, vs_yaml_key(y, e->at, "validity"), "jump_waived_by"),
				   "jump_waived_by", set->validity.jump_waived_by, set);
	else if (!vs_rule_find(set, set->validity.jump_waived_by))
		*set->validity.jump_waived_by = '\0';
}

static void resolve(struct loader *l, struct entry *e);

/* What a set stands on before its own words: what it extends, or how the set that ships judges readings. */
static void start_set(struct loader *l, struct entry *e)
{
	char name[VS_SET_NAME_CAP];
	struct entry *from = e->raw->extends ? find(l->sets, e->raw->extends) : find(l->sets, VS_LIMITS_DEFAULT);
	memcpy(name, e->set->name, sizeof name);
	if (e->raw->extends && (!from || from == e))
		unknown_base(l, e);
	if (from && from->state == NEW && from != e)
		resolve(l, from);
	if (from && from->state == BUSY && from != e && e->raw->extends)
		vs_yaml_find(e->file->y, vs_yaml_key(e->file->y, e->at, "extends"),
			     "\"%s\" extends \"%s\", which extends it in turn; one of them must stand alone", name,
			     from->set->name);
	vs_limit_set_blank(e->set, name);
	if (from && from->state == DONE && e->raw->extends) {
		e->base = (unsigned)(from - l->sets->at) + 1;
		memcpy(e->set, from->set, sizeof *e->set);
		memcpy(e->set->name, name, sizeof name);
		memset(e->set->version, 0, sizeof e->set->version);
	} else if (from && from->state == DONE) {
		e->set->validity = from->set->validity;
		e->set->cadence = from->set->cadence;
		e->set->announcing = from->set->announcing;
	}
	e->set->bounds = l->bounds;
}

static void resolve(struct loader *l, struct entry *e)
{
	e->state = BUSY;
	start_set(l, e);
	read_set(l, e);
	e->state = DONE;
}

/* ---- files ---- */

static void read_bounds(struct loader *l, const struct file *f)
{
	const struct raw_bounds *raw = f->raw->outer_bounds;
	if (!raw)
		return;
	if (!f->shipped) {
		vs_yaml_find(f->y, vs_yaml_key(f->y, vs_yaml_top(f->y), "outer_bounds"),
			     "`outer_bounds` stand in the file that ships alone; no clinic can move them: remove it");
		return;
	}
	const struct raw_bound *const given[VS_METRIC_COUNT] = {
#define METRIC(id, ...) [VS_##id] = raw->id,
#include "core/metrics.def"
#undef METRIC
	};
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++)
		if (given[m]) {
			number(given[m]->high, &l->bounds.at[m].high);
			number(given[m]->low, &l->bounds.at[m].low);
		}
}

static bool name_fits(struct loader *l, const struct file *f, const char *name, vs_place at)
{
	const struct entry *other = find(l->sets, name);
	if (strlen(name) >= VS_SET_NAME_CAP || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.")])
		vs_yaml_find(f->y, at, "`name` is \"%.80s\"; it must be 1 to 63 of a-z, 0-9, -, _ and .", name);
	else if (other)
		vs_yaml_find(f->y, at,
			     "limit set \"%s\" is there already (%s, line %u); choose another name and `extends` it",
			     name, other->file->name, vs_yaml_line(other->file->y, other->at));
	else
		return true;
	return false;
}

static int add_entry(struct loader *l, const struct file *f, const struct raw_set *raw, vs_place at)
{
	struct vs_limit_sets *s = l->sets;
	struct entry *more = realloc(s->at, (s->n + 1) * sizeof *more);
	if (!more)
		return -ENOMEM;
	s->at = more;
	s->at[s->n] = (struct entry){ .file = f, .raw = raw, .at = at, .set = calloc(1, sizeof *s->at->set) };
	if (!s->at[s->n].set)
		return -ENOMEM;
	strncpy(s->at[s->n++].set->name, raw->name, VS_SET_NAME_CAP - 1);
	return 0;
}

static int collect(struct loader *l, const struct file *f)
{
	int r = 0;
	if (!f->raw)
		return 0;
	read_bounds(l, f);
	vs_place list = vs_yaml_key(f->y, vs_yaml_top(f->y), "sets");
	for (unsigned i = 0; i < f->raw->sets_count && !r; i++) {
		const struct raw_set *raw = &f->raw->sets[i];
		vs_place at = vs_yaml_item(f->y, list, i);
		if (raw->name && name_fits(l, f, raw->name, vs_yaml_key(f->y, at, "name")))
			r = add_entry(l, f, raw, at);
	}
	return r;
}

/* The text of a file stays as long as the sets do: the log keeps it. */
static int own(struct loader *l, struct file *f)
{
	int r = 0;
	if (f->bytes) {
		f->owned = malloc(f->len + 1);
		r = f->owned ? 0 : -ENOMEM;
		if (f->owned)
			memcpy(f->owned, f->bytes, f->len);
	} else {
		r = vs_yaml_read(f->name, &f->owned, &f->len, l->findings);
	}
	f->bytes = f->owned;
	f->owned_name = strdup(f->name);
	f->name = f->owned_name;
	return f->owned_name ? r : -ENOMEM;
}

static int open_file(struct loader *l, struct file *f, bool built_in)
{
	void *data = NULL;
	int r = built_in ? 0 : own(l, f);
	if (!r)
		vs_hash_hex(&(struct vs_piece){ f->bytes, f->len }, 1, f->hash);
	if (!r)
		r = vs_yaml_load(f->name, f->bytes, f->len, &vs_limit_format, l->findings, &f->y, &data);
	f->raw = data;
	l->unparsed |= !data;
	return r == -EINVAL ? 0 : r; /* the other files may have findings, too */
}

/* built_in: the files that ship come first; else the first of the sources is what shipped at its time. */
static int open_files(struct loader *l, const struct vs_limit_source *sources, unsigned n, bool built_in)
{
	struct vs_limit_sets *s = l->sets;
	unsigned shipped = 0;
	int r = 0;
	while (built_in && vs_limit_set_files[shipped].name)
		shipped++;
	s->files = calloc(shipped + n, sizeof *s->files);
	if (!s->files)
		return -ENOMEM;
	s->n_files = shipped + n;
	for (unsigned i = 0; i < s->n_files && !r; i++) {
		const struct vs_embedded *in = &vs_limit_set_files[i];
		const struct vs_limit_source *out = &sources[i - shipped];
		s->files[i] =
			i < shipped
				? (struct file){ .name = in->file, .bytes = in->bytes, .len = in->len, .shipped = true }
				: (struct file){ .name = out->name, .bytes = out->bytes, .len = out->len, .shipped = !built_in && i == 0 };
		r = open_file(l, &s->files[i], i < shipped);
	}
	return r;
}

static int load(struct loader *l, const struct vs_limit_source *sources, unsigned n, bool built_in)
{
	struct vs_limit_sets *s = l->sets;
	int r = open_files(l, sources, n, built_in);
	for (unsigned i = 0; i < s->n_files && !r; i++)
		r = collect(l, &s->files[i]);
	for (unsigned i = 0; i < s->n && !r; i++)
		if (s->at[i].state == NEW)
			resolve(l, &s->at[i]);
	for (unsigned i = 0; i < s->n_files; i++) {
		vs_yaml_destroy(s->files[i].y);
		s->files[i].y = NULL;
	}
	return r;
}

/* wrong_too: the sets are handed out with findings as well, for their names. */
static int load_all(const struct vs_limit_source *sources, unsigned n, bool built_in, bool wrong_too,
		    struct vs_limit_sets **ret, struct vs_findings *findings)
{
	unsigned before = findings->len;
	struct loader l = { .findings = findings, .sets = calloc(1, sizeof *l.sets) };
	if (!l.sets)
		return -ENOMEM;
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++)
		l.bounds.at[m].high = l.bounds.at[m].low = NAN;
	int r = load(&l, sources, n, built_in);
	if (!r && findings->failed)
		r = -ENOMEM;
	if (!r && findings->len > before)
		r = -EINVAL;
	vs_findings_sort(findings);
	if (r && !(wrong_too && r == -EINVAL && !l.unparsed)) {
		vs_limits_free(l.sets);
		return r;
	}
	*ret = l.sets;
	return r;
}

int vs_limits_load_sources(const struct vs_limit_source *sources, unsigned n, struct vs_limit_sets **ret,
			   struct vs_findings *findings)
{
	return load_all(sources, n, true, false, ret, findings);
}

int vs_limits_load_named(const struct vs_limit_source *sources, unsigned n, struct vs_limit_sets **ret,
			 struct vs_findings *findings)
{
	return load_all(sources, n, true, true, ret, findings);
}

int vs_limits_load_texts(const struct vs_limit_source *texts, unsigned n, struct vs_limit_sets **ret,
			 struct vs_findings *findings)
{
	return load_all(texts, n, false, false, ret, findings);
}

int vs_limits_load(const char *const *files, unsigned n, struct vs_limit_sets **ret, struct vs_findings *findings)
{
	struct vs_limit_source *sources = calloc(n + 1, sizeof *sources);
	if (!sources)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		sources[i].name = files[i];
	int r = vs_limits_load_sources(sources, n, ret, findings);
	free(sources);
	return r;
}

void vs_limits_free(struct vs_limit_sets *sets)
{
	if (!sets)
		return;
	for (unsigned i = 0; i < sets->n; i++)
		free(sets->at[i].set);
	for (unsigned i = 0; i < sets->n_files; i++) {
		free(sets->files[i].owned);
		free(sets->files[i].owned_name);
	}
	free(sets->files);
	free(sets->at);
	free(sets);
}

const struct vs_limit_set *vs_limits_find(const struct vs_limit_sets *sets, const char *name)
{
	const struct entry *e = find(sets, name);
	return e ? e->set : NULL;
}

const char *vs_limits_name(const struct vs_limit_sets *sets, unsigned i)
{
	return i < sets->n ? sets->at[i].set->name : NULL;
}

const char *vs_limits_names(const struct vs_limit_sets *sets, char *buf, size_t cap)
{
	const char *name;
	size_t len = 0;
	buf[0] = '\0';
	for (unsigned i = 0; (name = vs_limits_name(sets, i)) && len + strlen(name) + 3 < cap; i++)
		len += (size_t)snprintf(buf + len, cap - len, "%s%s", len ? ", " : "", name);
	return buf;
}

const char *vs_limits_hash(const struct vs_limit_sets *sets, const char *name)
{
	const struct entry *e = find(sets, name);
	return e ? e->hash : NULL;
}

static struct vs_limit_text text_of(const struct file *f)
{
	return (struct vs_limit_text){ .name = f->name, .bytes = f->bytes, .len = f->len, .hash = f->hash };
}

unsigned vs_limits_texts(const struct vs_limit_sets *sets, const char *name, struct vs_limit_text ret[1 + VS_LIMIT_TEXTS])
{
	const struct file *files[VS_LIMIT_TEXTS];
	const struct entry *e = find(sets, name);
	unsigned n = e ? chain_of(sets, e, files, VS_LIMIT_TEXTS) : 0;
	ret[0] = text_of(&sets->files[0]);
	for (unsigned i = 0; i < n; i++)
		ret[i + 1] = text_of(files[i]);
	return e ? n + 1 : 0;
}
