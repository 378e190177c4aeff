#include "clients/ctl/follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vs_stream *vs_follow_stream(struct vs_follow *f, const char *kind, const char *chair)
{
	for (size_t i = 0; i < f->len; i++)
		if (strcmp(f->at[i]->kind, kind) == 0 && strcmp(f->at[i]->chair, chair) == 0)
			return f->at[i];
	struct vs_stream **more = realloc(f->at, (f->len + 1) * sizeof(*more));
	if (!more)
		return NULL;
	f->at = more;
	struct vs_stream *s = calloc(1, sizeof *s);
	if (!s || strlen(kind) >= sizeof s->kind || strlen(chair) >= sizeof s->chair) {
		free(s);
		return NULL;
	}
	memcpy(s->kind, kind, strlen(kind) + 1);
	memcpy(s->chair, chair, strlen(chair) + 1);
	return f->at[f->len++] = s;
}

void vs_follow_finish(struct vs_follow *f)
{
	for (size_t i = 0; i < f->len; i++)
		free(f->at[i]);
	free(f->at);
	*f = (struct vs_follow){ NULL, 0 };
}

enum vs_offer vs_stream_offer(const struct vs_stream *s, uint64_t epoch, uint64_t seq)
{
	if (!s->known)
		return VS_OFFER_NEXT;
	if (epoch < s->epoch || (epoch == s->epoch && seq <= s->seq))
		return VS_OFFER_SEEN;
	return epoch == s->epoch && seq == s->seq + 1 ? VS_OFFER_NEXT : VS_OFFER_GAP;
}

void vs_stream_advance(struct vs_stream *s, uint64_t epoch, uint64_t seq)
{
	if (s->known && (epoch < s->epoch || (epoch == s->epoch && seq < s->seq)))
		return;
	s->known = true;
	s->epoch = epoch;
	s->seq = seq;
}

static bool next_port(const char *url, char *ret, size_t cap)
{
	const char *colon = strrchr(url, ':');
	char *end;
	unsigned long port = strtoul(colon + 1, &end, 10);
	if (end == colon + 1 || (*end && *end != '/') || port < 1 || port > 65534)
		return false;
	int n = snprintf(ret, cap, "%.*s:%lu%s", (int)(colon - url), url, port + 1, end);
	return n > 0 && (size_t)n < cap;
}

bool vs_query_url(const char *events_url, char *ret, size_t cap)
{
	const char *last = NULL;
	if (strncmp(events_url, "tcp://", 6) == 0 || strncmp(events_url, "ws://", 5) == 0)
		return next_port(events_url, ret, cap);
	for (const char *p = events_url; (p = strstr(p, "events")); p++)
		last = p;
	if (!last)
		return false;
	int n = snprintf(ret, cap, "%.*squery%s", (int)(last - events_url), events_url, last + 6);
	return n > 0 && (size_t)n < cap;
}
