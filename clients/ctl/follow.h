/* Following numbered messages: which one is new, which was seen, and where some are missing (contract, section 3).
 *
 * A stream is one topic, KIND/CHAIR.  Within an epoch its numbers go up by one; a new epoch begins with 1.  Pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vs_stream {
	char kind[16], chair[64];
	bool known; /* epoch and seq are those of the last message that was shown, or that a snapshot stands for */
	uint64_t epoch, seq;
};

struct vs_follow {
	struct vs_stream **at;
	size_t len;
};

/* The stream of that name, made if it is new; NULL: no memory, or names that are too long. */
struct vs_stream *vs_follow_stream(struct vs_follow *f, const char *kind, const char *chair);
void vs_follow_finish(struct vs_follow *f);

enum vs_offer {
	VS_OFFER_NEXT, /* show it, then advance */
	VS_OFFER_SEEN, /* it was shown before, or is older */
	VS_OFFER_GAP,  /* some before it are missing: ask for them, then show it */
};
/* What a message with these numbers is to the stream.  The first one of a stream that is not known is the next one. */
enum vs_offer vs_stream_offer(const struct vs_stream *s, uint64_t epoch, uint64_t seq);
void vs_stream_advance(struct vs_stream *s, uint64_t epoch, uint64_t seq);

/* The query socket that stands beside an events socket: "events" in the URL becomes "query"; of tcp and ws the next
 * port.  False: it cannot be told, or does not fit. */
bool vs_query_url(const char *events_url, char *ret, size_t cap);
