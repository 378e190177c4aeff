/* Which numbers a plugin may say: those that clean bytes hold.  Everything else was never sent. */
#pragma once
#include "plugins/feed.h"

#define TRUTH_MAX 512

struct truth {
	double value[TRUTH_MAX];
	enum vs_metric metric[TRUTH_MAX];
	size_t len;
	bool learning;
	uint64_t units, right, wrong;
};

static inline bool truth_knows(const struct truth *t, const struct vs_obs *o)
{
	for (size_t i = 0; i < t->len; i++)
		if (t->metric[i] == o->metric && t->value[i] == o->value)
			return true;
	return false;
}

/* A vs_feed_fn: learns what comes, or counts what is known and what is not. */
static inline void truth_on_unit(void *ctx, const struct vs_feed *f, uint64_t unit, const struct vs_reading *r)
{
	struct truth *t = ctx;
	(void)f, (void)unit;
	t->units++;
	for (unsigned i = 0; i < r->len; i++) {
		const struct vs_obs *o = &r->obs[i];
		if (!o->has_value || o->word)
			continue;
		bool known = truth_knows(t, o);
		if (t->learning && !known && t->len < TRUTH_MAX) {
			t->metric[t->len] = o->metric;
			t->value[t->len++] = o->value;
		}
		t->right += known;
		t->wrong += !known;
	}
}

static inline void truth_counts(struct truth *t)
{
	t->learning = false;
	t->units = t->right = t->wrong = 0;
}
