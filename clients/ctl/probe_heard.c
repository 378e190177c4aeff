#include "clients/ctl/probe_line.h"
#include "core/json.h"
#include "plugins/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct listener {
	struct ctl_evidence e;
	struct vs_feed feed;
	void *state;
};

struct ctl_hearing {
	size_t len;
	struct listener *at[CTL_CANDIDATES_MAX];
};

static void on_unit(void *ctx, const struct vs_feed *f, uint64_t unit, const struct vs_reading *r)
{
	struct ctl_evidence *e = ctx;
	(void)f, (void)unit;
	for (unsigned i = 0; i < r->len; i++) {
		const struct vs_obs *o = &r->obs[i];
		if (!o->word && !o->has_value)
			continue;
		bool first = e->values[o->metric].seen++ == 0;
		e->values[o->metric].word = o->word;
		if (!o->has_value)
			continue;
		e->values[o->metric].last = o->value;
		if (first || o->value < e->values[o->metric].low)
			e->values[o->metric].low = o->value;
		if (first || o->value > e->values[o->metric].high)
			e->values[o->metric].high = o->value;
	}
}

static void on_frame(void *ctx, struct vs_feed *f)
{
	struct ctl_evidence *e = ctx;
	if (f->frames == 1)
		e->first = f->offset - f->frame_len;
	e->end = f->offset;
	if (f->frame_len > e->longest)
		e->longest = f->frame_len;
}

static void forget(struct listener *l)
{
	free(l->state);
	free(l);
}

/* False: out of memory.  A plugin that refuses to start without other settings is left out. */
static bool listen_as(struct ctl_hearing *h, const struct vs_plugin *p, const char *name, const char *value)
{
	if (h->len == CTL_CANDIDATES_MAX)
		return true;
	struct listener *l = malloc(sizeof *l);
	void *state = malloc(p->state_size + 1);
	if (!l || !state) {
		free(l);
		free(state);
		return false;
	}
	l->state = state;
	l->e = (struct ctl_evidence){ .plugin = p, .settings = { { name, value } } };
	if (vs_feed_init(&l->feed, p, state, name ? l->e.settings : NULL) == 0)
		h->at[h->len++] = l;
	else
		forget(l);
	return true;
}

static bool listen_in_all_ways(struct ctl_hearing *h, const struct vs_plugin *p)
{
	bool good = listen_as(h, p, NULL, NULL);
	for (const struct vs_plugin_option *o = p->options; good && o && o->name; o++)
		for (size_t i = 1; good && o->values && o->values[0] && o->values[i]; i++)
			good = listen_as(h, p, o->name, o->values[i]);
	return good;
}

struct ctl_hearing *ctl_hearing_new(const struct vs_plugin *only)
{
	const struct vs_plugin *p;
	struct ctl_hearing *h = calloc(1, sizeof *h);
	for (size_t i = 0; h && (p = vs_plugin_at(i)); i++)
		if ((!only || p == only) && strcmp(p->name, "modbus") != 0 && !listen_in_all_ways(h, p)) {
			ctl_hearing_free(h);
			return NULL;
		}
	return h;
}

void ctl_hearing_free(struct ctl_hearing *h)
{
	for (size_t i = 0; h && i < h->len; i++)
		forget(h->at[i]);
	free(h);
}

void ctl_hearing_bytes(struct ctl_hearing *h, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < h->len; i++)
		vs_feed_bytes(&h->at[i]->feed, bytes, len, on_unit, on_frame, &h->at[i]->e);
}

static struct listener *with_defaults(struct ctl_hearing *h, const struct vs_plugin *p)
{
	for (size_t i = 0; i < h->len; i++)
		if (h->at[i]->e.plugin == p && !h->at[i]->e.settings[0].name)
			return h->at[i];
	return NULL;
}

void *ctl_hearing_state(struct ctl_hearing *h, const struct vs_plugin *p)
{
	struct listener *l = with_defaults(h, p);
	return l ? l->state : NULL;
}

uint64_t ctl_hearing_frames(struct ctl_hearing *h, const struct vs_plugin *p)
{
	struct listener *l = with_defaults(h, p);
	return l ? l->feed.frames : 0;
}

/* Bytes at both ends that belong to frames which were cut off there. */
static uint64_t edges(const struct ctl_evidence *e)
{
	uint64_t tail = e->bytes - e->end, before = e->first < e->longest ? e->first : e->longest;
	return before + (tail < e->longest ? tail : e->longest);
}

/* Dropped although more came behind them. */
static uint64_t lost(const struct ctl_evidence *e)
{
	return e->dropped > edges(e) ? e->dropped - edges(e) : 0;
}

unsigned ctl_evidence_share(const struct ctl_evidence *e)
{
	return e->frames ? (unsigned)(100 - 100 * lost(e) / (e->bytes - edges(e))) : 0;
}

enum vs_grade ctl_evidence_grade(const struct ctl_evidence *e)
{
	unsigned share = ctl_evidence_share(e);
	if (share >= 90 && e->units && e->frames >= 3 && e->plugin->checked)
		return VS_CERTAIN;
	if (share >= 90 && e->units)
		return VS_LIKELY;
	/* without a checksum a frame that says nothing is only the right length */
	return share >= 50 && (e->units || e->plugin->checked) ? VS_POSSIBLE : VS_UNLIKELY;
}

/* For the order alone. */
static unsigned weight(const struct ctl_evidence *e)
{
	unsigned w = 1000 * ctl_evidence_grade(e) + 5 * ctl_evidence_share(e), values = 0;
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++)
		values += e->values[m].seen > 0;
	w += e->frames ? (unsigned)(100 * e->frames / (e->frames + e->rejected)) : 0;
	w += (e->units ? 50 : 0) + 20 * (values < 5 ? values : 5) + (e->own ? 30 : 0);
	return w + (unsigned)(e->longest < 100 ? e->longest : 100) / 5; /* a long frame is there less often by chance */
}

/* A dialect counts only where it understands more: of equals the first stays. */
static void join(struct ctl_candidates *c, const struct ctl_evidence *e)
{
	size_t i = 0;
	while (i < c->len && c->at[i].plugin != e->plugin)
		i++;
	if (i == CTL_CANDIDATES_MAX || (i < c->len && weight(e) <= weight(&c->at[i])))
		return;
	c->len += i == c->len;
	for (; i && weight(e) > weight(&c->at[i - 1]); i--)
		c->at[i] = c->at[i - 1];
	c->at[i] = *e;
}

void ctl_hearing_close(struct ctl_hearing *h, const struct vs_line *asked, const struct vs_line *taken,
		       struct ctl_candidates *c)
{
	for (size_t i = 0; i < h->len; i++) {
		struct listener *l = h->at[i];
		const struct vs_line *own = &l->e.plugin->line;
		vs_feed_flush(&l->feed, on_unit, on_frame, &l->e);
		l->e.line = *taken;
		l->e.own = own->baud == asked->baud && own->parity == asked->parity && own->data_bits == asked->data_bits &&
			   own->stop_bits == asked->stop_bits;
		l->e.bytes = l->feed.offset;
		l->e.frames = l->feed.frames;
		l->e.units = l->feed.units;
		l->e.dropped = l->feed.dropped;
		l->e.rejected = l->feed.rejected;
		l->e.noisy = l->feed.gate.times > 0;
		if (l->e.frames)
			join(c, &l->e);
	}
}

size_t ctl_candidates_good(const struct ctl_candidates *c)
{
	size_t n = 0;
	while (n < c->len && ctl_evidence_grade(&c->at[n]) > VS_UNLIKELY)
		n++;
	return n;
}

static const char *grade_word(enum vs_grade g)
{
	static const char *const words[] = { "unlikely", "possible", "likely", "certain" };
	return words[g];
}

/* What the plugin does not have by itself; buf holds at least 1024. */
static void fragment(const struct ctl_evidence *e, const char *path, char *buf, size_t cap)
{
	const struct vs_line *own = &e->plugin->line, *is = &e->line;
	char quoted[600];
	struct vs_json j = vs_json_into(quoted, sizeof quoted);
	vs_json_string(&j, path);
	size_t n = (size_t)snprintf(buf, cap, "- id: new-device\n  plugin: %s\n  serial: { path: %s", e->plugin->name,
				    vs_json_failed(&j) ? "\"/dev/...\"" : quoted);
	if (n < cap && is->baud != own->baud)
		n += (size_t)snprintf(buf + n, cap - n, ", baud: %u", is->baud);
	if (n < cap && is->parity != own->parity)
		n += (size_t)snprintf(buf + n, cap - n, ", parity: %s",
				      is->parity == 'N' ? "none" : is->parity == 'E' ? "even" : "odd");
	if (n < cap && is->data_bits != own->data_bits)
		n += (size_t)snprintf(buf + n, cap - n, ", data_bits: %u", is->data_bits);
	if (n < cap && is->stop_bits != own->stop_bits)
		n += (size_t)snprintf(buf + n, cap - n, ", stop_bits: %u", is->stop_bits);
	if (n < cap)
		n += (size_t)snprintf(buf + n, cap - n, " }\n");
	if (n < cap && e->settings[0].name)
		snprintf(buf + n, cap - n, "  options: { %s: \"%s\" }\n", e->settings[0].name, e->settings[0].value);
}

static void json_values(struct vs_json *j, const struct ctl_evidence *e)
{
	vs_json_key(j, "values");
	vs_json_open(j, '{');
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++) {
		if (!e->values[m].seen)
			continue;
		vs_json_key(j, vs_metrics[m].name);
		vs_json_open(j, '{');
		vs_json_key(j, "seen"), vs_json_uint(j, e->values[m].seen);
		if (e->values[m].word) {
			vs_json_key(j, "last"), vs_json_string(j, e->values[m].word);
		} else {
			vs_json_key(j, "low"), vs_json_number(j, e->values[m].low);
			vs_json_key(j, "high"), vs_json_number(j, e->values[m].high);
			vs_json_key(j, "last"), vs_json_number(j, e->values[m].last);
		}
		vs_json_close(j, '}');
	}
	vs_json_close(j, '}');
}

static void show_json(const struct ctl_evidence *e, const char *path)
{
	char text[8192], paste[1024], line[32];
	snprintf(line, sizeof line, "%u %u%c%u", e->line.baud, e->line.data_bits, e->line.parity, e->line.stop_bits);
	fragment(e, path, paste, sizeof paste);
	struct vs_json j = vs_json_into(text, sizeof text);
	vs_json_open(&j, '{');
	vs_json_key(&j, "plugin"), vs_json_string(&j, e->plugin->name);
	vs_json_key(&j, "grade"), vs_json_string(&j, grade_word(ctl_evidence_grade(e)));
	vs_json_key(&j, "line"), vs_json_string(&j, line);
	vs_json_key(&j, "bytes"), vs_json_uint(&j, e->bytes);
	vs_json_key(&j, "share"), vs_json_uint(&j, ctl_evidence_share(e));
	vs_json_key(&j, "frames"), vs_json_uint(&j, e->frames);
	vs_json_key(&j, "units"), vs_json_uint(&j, e->units);
	vs_json_key(&j, "dropped"), vs_json_uint(&j, e->dropped);
	vs_json_key(&j, "rejected"), vs_json_uint(&j, e->rejected);
	vs_json_key(&j, "checked"), vs_json_bool(&j, e->plugin->checked);
	vs_json_key(&j, "noisy"), vs_json_bool(&j, e->noisy);
	json_values(&j, e);
	vs_json_key(&j, "fragment"), vs_json_string(&j, paste);
	vs_json_close(&j, '}');
	puts(text);
}

static void show_values(const struct ctl_evidence *e)
{
	const char *before = "   values: ";
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++) {
		const struct vs_metric_info *i = &vs_metrics[m];
		if (!e->values[m].seen)
			continue;
		printf("%s%s ", before, i->name);
		if (e->values[m].word)
			fputs(e->values[m].word, stdout);
		else if (e->values[m].low == e->values[m].high)
			printf("%.*f", i->decimals, e->values[m].last);
		else
			printf("%.*f to %.*f", i->decimals, e->values[m].low, i->decimals, e->values[m].high);
		before = ", ";
	}
	puts(before[0] == ',' ? "" : "   no values yet (no patient on the sensor, or no measurement so far?)");
}

static void show_text(size_t number, const struct ctl_evidence *e)
{
	printf("%zu. %s, %s at %u %u%c%u: %s\n", number, e->plugin->name, grade_word(ctl_evidence_grade(e)), e->line.baud,
	       e->line.data_bits, e->line.parity, e->line.stop_bits, e->plugin->devices);
	printf("   %llu bytes, %u %% of them in %llu good frames%s; %llu readings, %llu frames rejected, %llu bytes lost between "
	       "them\n",
	       (unsigned long long)e->bytes, ctl_evidence_share(e), (unsigned long long)e->frames,
	       e->plugin->checked ? "" : " (without a checksum)", (unsigned long long)e->units,
	       (unsigned long long)e->rejected, (unsigned long long)lost(e));
	show_values(e);
	if (e->noisy)
		puts("   damaged again and again: another speed or parity, or check cable and grounding");
	for (const struct vs_plugin_option *o = e->plugin->options; o && o->name; o++)
		if (o->values && (!e->settings[0].name || strcmp(o->name, e->settings[0].name) != 0)) {
			printf("   option %s:", o->name);
			for (size_t i = 0; o->values[i]; i++)
				printf("%s %s", i ? " |" : "", o->values[i]);
			printf(" (%s)\n", o->summary);
		}
}

void ctl_candidates_show(const struct ctl_candidates *c, const char *path, bool json)
{
	size_t n = ctl_candidates_good(c);
	for (size_t i = 0; i < n; i++)
		if (json)
			show_json(&c->at[i], path);
		else
			show_text(i + 1, &c->at[i]);
	if (json || !n)
		return;
	char paste[1024];
	fragment(&c->at[0], path, paste, sizeof paste);
	printf("\n# To paste under `devices:`. Compare with the monitor's display, choose a better id, and check with\n"
	       "# vitalsd --check.\n%s", paste);
}
