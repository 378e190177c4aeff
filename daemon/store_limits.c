/* The texts of the limits that are in force stand in each file of the log. */
#include "daemon/store_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/clock.h"

void vs_store_free_limits(struct vs_limits_in_force *l)
{
	while (l) {
		struct vs_limits_in_force *next = l->next;
		for (unsigned i = 0; i < l->n; i++) {
			free((char *)l->texts[i].name);
			free((char *)l->texts[i].bytes);
			free((char *)l->texts[i].hash);
		}
		free(l->name);
		free(l->hash);
		free(l);
		l = next;
	}
}

/* Takes over what the loop left.  True: there is something that this file does not have. */
bool vs_store_limits_due(struct vs_store *s)
{
	pthread_mutex_lock(&s->lock);
	struct vs_limits_in_force *new = s->new_limits;
	s->new_limits = NULL;
	pthread_mutex_unlock(&s->lock);
	if (new) {
		vs_store_free_limits(s->limits);
		s->limits = new;
		s->limits_told = false;
	}
	return s->limits && !s->limits_told;
}

int vs_store_add_limits(struct vs_store *s, int64_t now)
{
	int rc = SQLITE_OK;
	for (const struct vs_limits_in_force *l = vs_store_limits_due(s) ? s->limits : NULL; rc == SQLITE_OK && l; l = l->next)
		rc = vs_scribe_limits(s->scribe, now, l->name, l->hash, l->texts, l->n);
	return rc;
}

static bool copy_text(struct vs_limit_text *to, const struct vs_limit_text *from)
{
	char *bytes = malloc(from->len + 1);
	if (bytes)
		memcpy(bytes, from->bytes, from->len);
	*to = (struct vs_limit_text){ .name = strdup(from->name), .bytes = bytes, .hash = strdup(from->hash), .len = from->len };
	return to->name && to->bytes && to->hash;
}

static struct vs_limits_in_force *copy_limits(const struct vs_store_set *set)
{
	struct vs_limits_in_force *l = calloc(1, sizeof *l);
	bool good = l && (l->name = strdup(set->name)) && (l->hash = strdup(set->hash));
	for (unsigned i = 0; good && i < set->n; i++)
		good = copy_text(&l->texts[l->n++], &set->texts[i]);
	if (good)
		return l;
	vs_store_free_limits(l);
	return NULL;
}

int vs_store_limits(struct vs_store *s, const struct vs_store_set *sets, unsigned n)
{
	struct vs_limits_in_force *all = NULL;
	for (unsigned i = 0; i < n; i++) {
		struct vs_limits_in_force *one = copy_limits(&sets[i]);
		if (!one) {
			vs_store_free_limits(all);
			return -ENOMEM;
		}
		one->next = all;
		all = one;
	}
	pthread_mutex_lock(&s->lock);
	struct vs_limits_in_force *old = s->new_limits;
	s->new_limits = all;
	pthread_mutex_unlock(&s->lock);
	vs_store_free_limits(old);
	return 0;
}
