/* Questions to the query socket and their answers (contract, section 4): JSON in, JSON out, no socket.
 *
 *	{"op":"snapshot"}                           all chairs; with "chair" just one
 *	{"op":"replay","chair":C,"kind":K,"epoch":E,"after":SEQ,"limit":N}
 *
 * after: 0 where it is absent.  limit: VS_QUERY_LIMIT where it is absent, and VS_QUERY_LIMIT_MAX where it is more than
 * that; an answer is also ended early, with "more":true, before it grows beyond VS_QUERY_ANSWER_MAX.  Members with other
 * names are ignored. */
#pragma once
#include "daemon/custody.h"
#include "daemon/history.h"

#define VS_QUERY_MAX (1u << 20)         /* the longest question that is read */
#define VS_QUERY_ANSWER_MAX (1000u << 10) /* below the 1 MiB at which nanomsg's receivers give up by default */
#define VS_QUERY_LIMIT 500
#define VS_QUERY_LIMIT_MAX 1000

enum vs_query_op { VS_QUERY_SNAPSHOT, VS_QUERY_REPLAY };

struct vs_query {
	enum vs_query_op op;
	char chair[64]; /* "": none was named */
	enum vs_kind kind;
	uint64_t epoch, after;
	unsigned limit;
};

/* False: why (256 bytes) says in words what is wrong and what would be right. */
bool vs_query_parse(const char *text, size_t len, struct vs_query *ret, char *why);

/* {"ok":false,"error":why}.  Returns its length. */
size_t vs_query_error(const char *why, char *buf, size_t cap);

/* The answer to a replay: what the log has, then what only the ring has yet.  buf holds VS_QUERY_ANSWER_MAX.
 * *ret_empty: no event was found.  Returns its length. */
size_t vs_query_replay(const struct vs_query *q, struct vs_history *h, const struct vs_custody_reader *ring, char *buf,
		       bool *ret_empty);
