#include "config/document.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "config/words.h"

struct vs_yaml {
	const char *name;
	struct vs_findings *findings;
	const cyaml_schema_value_t *schema;
	yaml_document_t doc; /* as the person wrote it */
	bool has_doc;
	size_t n_nodes;
	unsigned char *reported; /* by node: the walk found its value wrong */
	cyaml_data_t *data;
};

/* The walk: reads `y->doc`, writes `copy`. */
struct walk {
	struct vs_yaml *y;
	yaml_document_t *copy;
	bool failed; /* out of memory */
};

static void *mem(void *ctx, void *ptr, size_t size)
{
	(void)ctx;
	if (size)
		return realloc(ptr, size);
	free(ptr);
	return NULL;
}

static const cyaml_config_t cyaml = { .mem_fn = mem, .flags = CYAML_CFG_NO_ALIAS };

/* ---- files and bytes ---- */

static int refuse(struct vs_findings *f, const char *file, const char *what)
{
	vs_findings_add(f, file, 1, "%s", what);
	return f->failed ? -ENOMEM : -EINVAL;
}

static int read_all(int fd, char *bytes, size_t len)
{
	for (size_t have = 0; have < len;) {
		ssize_t n = read(fd, bytes + have, len - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		have += (size_t)n;
	}
	return 0;
}

static const char *unfit(const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return "is a directory; name a YAML file";
	if (!S_ISREG(st->st_mode))
		return "is not a regular file; name a YAML file";
	if (st->st_size > VS_YAML_MAX)
		return "is larger than 8 MiB; no configuration is, so this must be another file";
	return NULL;
}

int vs_yaml_read(const char *file, char **ret_bytes, size_t *ret_len, struct vs_findings *findings)
{
	struct stat st;
	char *bytes = NULL;
	int r = 0, fd = -1;
	if (!stat(file, &st) && unfit(&st)) /* before opening: opening a device node may do things */
		return refuse(findings, file, unfit(&st));
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0) {
		vs_findings_add(findings, file, 1, "cannot be read: %s", strerror(errno));
		r = -EINVAL;
	} else if (unfit(&st)) {
		r = refuse(findings, file, unfit(&st));
	} else if (!(bytes = malloc((size_t)st.st_size + 1))) {
		r = -ENOMEM;
	} else if ((r = read_all(fd, bytes, (size_t)st.st_size)) < 0) {
		vs_findings_add(findings, file, 1, "cannot be read: %s", strerror(-r));
		r = -EINVAL;
	}
	if (fd >= 0)
		close(fd);
	if (r < 0) {
		free(bytes);
		return r;
	}
	bytes[st.st_size] = '\0';
	*ret_bytes = bytes;
	*ret_len = (size_t)st.st_size;
	return 0;
}

static unsigned line_of(const char *bytes, size_t at)
{
	unsigned line = 1;
	for (size_t i = 0; i < at; i++)
		line += bytes[i] == '\n';
	return line;
}

/* Bytes of the UTF-8 character at p (RFC 3629: no overlong forms, no surrogates), 0: it is none. */
static size_t utf8_length(const unsigned char *p, size_t len)
{
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
	if (n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/* 0: text that libyaml may see; else there is a finding. */
static int check_bytes(const char *name, const char *bytes, size_t len, struct vs_findings *f)
{
	bool empty = true;
	for (size_t at = 0; at < len;) {
		unsigned char c = (unsigned char)bytes[at];
		size_t n = utf8_length((const unsigned char *)bytes + at, len - at);
		if (!n || (c < 0x20 && !strchr("\t\n\r", c)) || !c || c == 0x7f) {
			vs_findings_add(f, name, line_of(bytes, at),
					n ? "a control character (byte 0x%02x); remove it"
					  : "not UTF-8 (byte 0x%02x); save the file as UTF-8 text",
					c);
			return -EINVAL;
		}
		empty = empty && strchr(" \t\r\n", c);
		at += n;
	}
	if (empty)
		return refuse(f, name, "the file is empty; start from the example that ships (vitalsd.yaml)");
	return 0;
}

/* ---- syntax ---- */

/* What most often stands behind an error in that line; NULL: nothing that we know. */
static const char *usual_cause(const char *bytes, size_t len, unsigned line)
{
	size_t at = 0, end, indent;
	for (unsigned l = 1; l < line && at < len; at++)
		l += bytes[at] == '\n';
	for (end = at; end < len && bytes[end] != '\n';)
		end++;
	for (indent = at; indent < end && bytes[indent] == ' ';)
		indent++;
	if (indent < end && bytes[indent] == '\t')
		return "a tab at the start of the line; YAML wants spaces there";
	if (memmem(bytes + at, end - at, ": >", 3))
		return "> without quotes means something else in YAML; write \">\" or \">=\"";
	if (memmem(bytes + at, end - at, ": {value}", 9) || memmem(bytes + at, end - at, ": {limit}", 9))
		return "a text that begins with { must stand in quotes";
	return NULL;
}

static int syntax_finding(struct vs_yaml *y, const yaml_parser_t *p, const char *bytes, size_t len)
{
	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	unsigned line = p->error == YAML_READER_ERROR
				? line_of(bytes, p->problem_offset < len ? p->problem_offset : len)
				: (unsigned)p->problem_mark.line + 1;
	const char *cause = usual_cause(bytes, len, line);
	if (cause)
		vs_findings_add(y->findings, y->name, line, "not YAML: %s", cause);
	else
		vs_findings_add(y->findings, y->name, line, "not YAML: %s%s%s; check indentation, quotes and brackets",
				p->problem ? p->problem : "it cannot be read", p->context ? ", " : "",
				p->context ? p->context : "");
	return -EINVAL;
}

/* What the format does without. */
static void check_event(struct vs_yaml *y, const yaml_event_t *e, unsigned documents)
{
	unsigned line = (unsigned)e->start_mark.line + 1;
	if (e->type == YAML_ALIAS_EVENT)
		vs_findings_add(y->findings, y->name, line, "an alias (*%s); write the value out here",
				(const char *)e->data.alias.anchor);
	if (e->type == YAML_DOCUMENT_START_EVENT && documents == 2)
		vs_findings_add(y->findings, y->name, line,
				"a second document (---); one file holds one document, use a second file");
}

/* 0: may be loaded; -EINVAL: has findings. */
static int check_syntax(struct vs_yaml *y, const char *bytes, size_t len)
{
	yaml_parser_t p;
	unsigned documents = 0, before = y->findings->len + y->findings->omitted;
	int r = 0;
	if (!yaml_parser_initialize(&p))
		return -ENOMEM;
	yaml_parser_set_input_string(&p, (const unsigned char *)bytes, len);
	for (bool end = false; !end;) {
		yaml_event_t e;
		if (!yaml_parser_parse(&p, &e)) {
			r = syntax_finding(y, &p, bytes, len);
			break;
		}
		documents += e.type == YAML_DOCUMENT_START_EVENT;
		check_event(y, &e, documents);
		end = e.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&p);
	if (!r && !documents)
		r = refuse(y->findings, y->name,
			   "nothing but comments; start from the example that ships (vitalsd.yaml)");
	return r ? r : y->findings->len + y->findings->omitted > before ? -EINVAL : 0;
}

static int parse(struct vs_yaml *y, const char *bytes, size_t len)
{
	yaml_parser_t p;
	int r = 0;
	if (!yaml_parser_initialize(&p))
		return -ENOMEM;
	yaml_parser_set_input_string(&p, (const unsigned char *)bytes, len);
	if (!yaml_parser_load(&p, &y->doc))
		r = syntax_finding(y, &p, bytes, len);
	else
		y->has_doc = true;
	yaml_parser_delete(&p);
	if (r)
		return r;
	y->n_nodes = (size_t)(y->doc.nodes.top - y->doc.nodes.start);
	y->reported = calloc(y->n_nodes + 1, 1);
	return y->reported ? 0 : -ENOMEM;
}

/* ---- places ---- */

static yaml_node_t *node(const struct vs_yaml *y, vs_place at)
{
	return at > 0 && (size_t)at <= y->n_nodes ? &y->doc.nodes.start[at - 1] : NULL;
}

static const char *text(const yaml_node_t *n)
{
	return (const char *)n->data.scalar.value;
}

vs_place vs_yaml_top(const struct vs_yaml *y)
{
	return y->n_nodes ? 1 : 0;
}

vs_place vs_yaml_key(const struct vs_yaml *y, vs_place in, const char *key)
{
	const yaml_node_t *n = node(y, in);
	if (!n || n->type != YAML_MAPPING_NODE)
		return in;
	for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
		const yaml_node_t *k = node(y, p->key);
		if (k->type == YAML_SCALAR_NODE && !strcmp(text(k), key))
			return p->value;
	}
	return in;
}

vs_place vs_yaml_item(const struct vs_yaml *y, vs_place in, unsigned i)
{
	const yaml_node_t *n = node(y, in);
	if (!n || n->type != YAML_SEQUENCE_NODE || i >= n->data.sequence.items.top - n->data.sequence.items.start)
		return in;
	return n->data.sequence.items.start[i];
}

bool vs_yaml_is_mapping(const struct vs_yaml *y, vs_place at)
{
	const yaml_node_t *n = node(y, at);
	return n && n->type == YAML_MAPPING_NODE;
}

bool vs_yaml_pair(const struct vs_yaml *y, vs_place in, unsigned i, const char **ret_key, const char **ret_value,
		  vs_place *ret_place)
{
	const yaml_node_t *n = node(y, in);
	if (!vs_yaml_is_mapping(y, in) || i >= n->data.mapping.pairs.top - n->data.mapping.pairs.start)
		return false;
	const yaml_node_pair_t *p = &n->data.mapping.pairs.start[i];
	const yaml_node_t *k = node(y, p->key), *v = node(y, p->value);
	*ret_key = k->type == YAML_SCALAR_NODE ? text(k) : NULL;
	*ret_value = v->type == YAML_SCALAR_NODE ? text(v) : NULL;
	*ret_place = p->value;
	return true;
}

unsigned vs_yaml_line(const struct vs_yaml *y, vs_place at)
{
	const yaml_node_t *n = node(y, at);
	return n ? (unsigned)n->start_mark.line + 1 : 1;
}

void vs_yaml_find(struct vs_yaml *y, vs_place at, const char *format, ...)
{
	char line[1024];
	va_list args;
	if (node(y, at) && y->reported[at])
		return;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	vs_findings_add(y->findings, y->name, vs_yaml_line(y, at), "%s", line);
}

void vs_yaml_duration(struct vs_yaml *y, const char *words, const char *key, vs_place in, uint32_t lowest_ms,
		      uint32_t highest_ms, uint32_t *ret_ms)
{
	uint32_t ms;
	if (!words)
		return;
	if (vs_word_duration(words, &ms) && ms >= lowest_ms && ms <= highest_ms)
		*ret_ms = ms;
	else
		vs_yaml_find(y, vs_yaml_key(y, in, key),
			     "`%s` is \"%s\"; it must be a duration from %" PRIu32 "ms to %" PRIu32
			     "s, like 200ms, 1s or 5min",
			     key, words, lowest_ms, highest_ms / 1000);
}

void vs_yaml_share(struct vs_yaml *y, const char *words, const char *key, vs_place in, double *ret)
{
	if (words && !vs_word_share(words, ret))
		vs_yaml_find(y, vs_yaml_key(y, in, key), "`%s` is \"%s\"; it must be a share in percent, like \"75%%\"",
			     key, words);
}

/* ---- the walk ---- */

static const char *must_be(const cyaml_schema_value_t *s, char *buf, size_t cap)
{
	switch (s->type) {
	case CYAML_UINT:
		snprintf(buf, cap, "a whole number from %" PRIu32 " to %" PRIu32, s->string.min, s->string.max);
		break;
	case CYAML_FLOAT:
		snprintf(buf, cap, "a number");
		break;
	case CYAML_BOOL:
		snprintf(buf, cap, "true or false");
		break;
	case CYAML_ENUM: {
		size_t n = (size_t)snprintf(buf, cap, "one of: ");
		for (uint32_t i = 0; i < s->enumeration.count && n < cap; i++)
			n += (size_t)snprintf(buf + n, cap - n, "%s%s", i ? ", " : "", s->enumeration.strings[i].str);
		break;
	}
	case CYAML_MAPPING:
		if (s->mapping.fields[0].key && !strcmp(s->mapping.fields[0].key, "value"))
			snprintf(buf, cap, "a number, or a mapping (`%s: ...`)", s->mapping.fields[1].key);
		else
			snprintf(buf, cap, "a mapping (`key: value`)");
		break;
	case CYAML_SEQUENCE:
		snprintf(buf, cap, "a list ([ a, b ], or lines that begin with -)");
		break;
	default:
		snprintf(buf, cap, "a text of 1 to %" PRIu32 " bytes", s->string.max);
	}
	return buf;
}

static void wrong(struct walk *w, const char *key, vs_place at, const cyaml_schema_value_t *s)
{
	char buf[900], near[80] = "";
	const yaml_node_t *n = node(w->y, at);
	const char *is = n->type == YAML_MAPPING_NODE ? "a mapping" : n->type == YAML_SEQUENCE_NODE ? "a list" : NULL;
	must_be(s, buf, sizeof buf);
	if (s->type == CYAML_ENUM && !is) {
		const char *words[128] = { 0 };
		for (uint32_t i = 0; i < s->enumeration.count && i < 127; i++)
			words[i] = s->enumeration.strings[i].str;
		const char *best = vs_nearest(text(n), words);
		if (best)
			snprintf(near, sizeof near, "did you mean \"%s\"? It ", best);
	}
	if (is)
		vs_yaml_find(w->y, at, "`%s` is %s; it must be %s", key, is, buf);
	else if (!*text(n) && n->data.scalar.style == YAML_FOLDED_SCALAR_STYLE)
		vs_yaml_find(w->y, at, "`%s` is > without quotes, which means something else in YAML; write \">\"",
			     key);
	else if (!*text(n))
		vs_yaml_find(w->y, at, "`%s` is empty; it must be %s", key, buf);
	else
		vs_yaml_find(w->y, at, "`%s` is \"%.60s\"; %smust be %s", key, text(n), *near ? near : "it ", buf);
	w->y->reported[at] = 1;
}

static int put(struct walk *w, const char *s)
{
	int n = yaml_document_add_scalar(w->copy, NULL, (const yaml_char_t *)s, (int)strlen(s),
					 YAML_DOUBLE_QUOTED_SCALAR_STYLE);
	w->failed |= !n;
	return n;
}

static bool is_null(const yaml_node_t *n)
{
	return n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!*text(n) || !strcmp(text(n), "~") || !strcasecmp(text(n), "null"));
}

static int put_bool(struct walk *w, const char *s)
{
	static const char *const yes[] = { "true", "yes", "on" }, *const no[] = { "false", "no", "off" };
	for (int i = 0; i < 3; i++) {
		if (!strcasecmp(s, yes[i]))
			return put(w, "true");
		if (!strcasecmp(s, no[i]))
			return put(w, "false");
	}
	return 0;
}

static int put_enum(struct walk *w, const char *s, const cyaml_schema_value_t *schema)
{
	for (uint32_t i = 0; i < schema->enumeration.count; i++)
		if (!strcmp(schema->enumeration.strings[i].str, s))
			return put(w, s);
	return 0;
}

/* The scalar as libcyaml may have it; 0: it is not what the schema wants (or memory is out). */
static int put_scalar(struct walk *w, const yaml_node_t *n, const cyaml_schema_value_t *s)
{
	char buf[32];
	uint32_t whole;
	double number;
	if (n->type != YAML_SCALAR_NODE || is_null(n) || strlen(text(n)) != n->data.scalar.length)
		return 0;
	switch (s->type) {
	case CYAML_UINT:
		if (!vs_word_whole(text(n), s->string.min, s->string.max, &whole))
			return 0;
		snprintf(buf, sizeof buf, "%" PRIu32, whole);
		return put(w, buf);
	case CYAML_FLOAT:
		if (vs_word_number(text(n), &number))
			return put(w, text(n));
		if (!vs_word_whole(text(n), 0, UINT32_MAX, &whole)) /* 0xFFFF, as manuals write codes */
			return 0;
		snprintf(buf, sizeof buf, "%" PRIu32, whole);
		return put(w, buf);
	case CYAML_BOOL:
		return put_bool(w, text(n));
	case CYAML_ENUM:
		return put_enum(w, text(n), s);
	default:
		return n->data.scalar.length >= s->string.min && n->data.scalar.length <= s->string.max
			       ? put(w, text(n))
			       : 0;
	}
}

static int copy_value(struct walk *w, const char *key, vs_place at, const cyaml_schema_value_t *s);

static void unknown_key(struct walk *w, vs_place at, const cyaml_schema_field_t *fields)
{
	const char *words[64] = { 0 }, *near;
	char list[600];
	for (unsigned i = 0; fields[i].key && i < 63; i++)
		words[i] = fields[i].key;
	near = vs_nearest(text(node(w->y, at)), words);
	if (near)
		vs_yaml_find(w->y, at, "unknown key `%.60s`; did you mean `%s`?", text(node(w->y, at)), near);
	else
		vs_yaml_find(w->y, at, "unknown key `%.60s`; known here are: %s", text(node(w->y, at)),
			     vs_word_list(words, list, sizeof list));
}

/* Index of the field a key names; -1: none, reported. */
static int field_of(struct walk *w, vs_place key, const cyaml_schema_field_t *fields)
{
	const yaml_node_t *n = node(w->y, key);
	if (n->type != YAML_SCALAR_NODE) {
		vs_yaml_find(w->y, key, "a key must be a plain word, not a list or a mapping");
		return -1;
	}
	for (int i = 0; fields[i].key; i++)
		if (!strcmp(fields[i].key, text(n)))
			return i;
	unknown_key(w, key, fields);
	return -1;
}

static void missing_keys(struct walk *w, vs_place at, const cyaml_schema_field_t *fields, const vs_place *seen)
{
	char buf[900];
	for (int i = 0; fields[i].key; i++)
		if (!seen[i] && fields[i].value.flags & VS_REQUIRED)
			vs_yaml_find(w->y, at, "`%s` is missing; it must be %s", fields[i].key,
				     must_be(&fields[i].value, buf, sizeof buf));
}

static int copy_pairs(struct walk *w, vs_place at, const cyaml_schema_field_t *fields)
{
	const yaml_node_t *n = node(w->y, at);
	vs_place seen[64] = { 0 };
	int map = yaml_document_add_mapping(w->copy, NULL, YAML_BLOCK_MAPPING_STYLE);
	w->failed |= !map;
	for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top && !w->failed; p++) {
		int i = field_of(w, p->key, fields);
		if (i < 0)
			continue;
		if (seen[i]) {
			vs_yaml_find(w->y, p->key, "`%s` stands here twice (first in line %u); keep one", fields[i].key,
				     vs_yaml_line(w->y, seen[i]));
			continue;
		}
		seen[i] = p->key;
		int v = copy_value(w, fields[i].key, p->value, &fields[i].value);
		if (v) {
			int k = put(w, fields[i].key);
			w->failed |= !k || !yaml_document_append_mapping_pair(w->copy, map, k, v);
		}
	}
	missing_keys(w, at, fields, seen);
	return map;
}

/* `limit: 160` for `limit: { value: 160 }`. */
static int copy_short_form(struct walk *w, const char *key, vs_place at, const cyaml_schema_field_t *field)
{
	int map = 0, v = copy_value(w, key, at, &field->value);
	if (v) {
		int k = put(w, field->key);
		map = yaml_document_add_mapping(w->copy, NULL, YAML_BLOCK_MAPPING_STYLE);
		w->failed |= !k || !map || !yaml_document_append_mapping_pair(w->copy, map, k, v);
	}
	return map;
}

static int copy_mapping(struct walk *w, const char *key, vs_place at, const cyaml_schema_value_t *s)
{
	const cyaml_schema_field_t *fields = s->mapping.fields;
	const yaml_node_t *n = node(w->y, at);
	if (n->type == YAML_MAPPING_NODE)
		return copy_pairs(w, at, fields);
	if (n->type == YAML_SCALAR_NODE && fields[0].key && !strcmp(fields[0].key, "value"))
		return copy_short_form(w, key, at, &fields[0]);
	wrong(w, key, at, s);
	return 0;
}

/* Stands for an entry that was reported, so that the indexes of list and structures agree. */
static int empty_entry(struct walk *w, const cyaml_schema_value_t *s)
{
	if (s->type == CYAML_STRING)
		return put(w, "?"); /* a text of the least length */
	if (s->type == CYAML_ENUM)
		return put(w, s->enumeration.strings[0].str);
	if (s->type != CYAML_MAPPING)
		return put(w, "0");
	int n = yaml_document_add_mapping(w->copy, NULL, YAML_FLOW_MAPPING_STYLE);
	w->failed |= !n;
	return n;
}

static int copy_lone_entry(struct walk *w, const char *key, vs_place at, const cyaml_schema_value_t *s)
{
	int list = yaml_document_add_sequence(w->copy, NULL, YAML_BLOCK_SEQUENCE_STYLE);
	int v = copy_value(w, key, at, s->sequence.entry);
	w->failed |= !list || !v || !yaml_document_append_sequence_item(w->copy, list, v);
	return list;
}

static int copy_list(struct walk *w, const char *key, vs_place at, const cyaml_schema_value_t *s)
{
	const yaml_node_t *n = node(w->y, at);
	if (n->type == YAML_MAPPING_NODE && s->flags & VS_OR_ONE)
		return copy_lone_entry(w, key, at, s);
	if (n->type != YAML_SEQUENCE_NODE) {
		wrong(w, key, at, s);
		return 0;
	}
	size_t len = (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
	int list = yaml_document_add_sequence(w->copy, NULL, YAML_BLOCK_SEQUENCE_STYLE);
	w->failed |= !list;
	if (len < s->sequence.min || len > s->sequence.max) {
		char count[40];
		snprintf(count, sizeof count,
			 s->sequence.min == s->sequence.max ? "%" PRIu32 : "%" PRIu32 " to %" PRIu32, s->sequence.min,
			 s->sequence.max);
		vs_yaml_find(w->y, at, "`%s` has %zu entries; it must have %s", key, len, count);
		w->y->reported[at] = 1;
		if (len < s->sequence.min)
			return 0;
	}
	for (size_t i = 0; i < len && i < s->sequence.max && !w->failed; i++) {
		int v = copy_value(w, key, n->data.sequence.items.start[i], s->sequence.entry);
		if (!v && !w->failed)
			v = empty_entry(w, s->sequence.entry);
		w->failed |= !v || !yaml_document_append_sequence_item(w->copy, list, v);
	}
	return list;
}

/* What libcyaml may have of a value: a node of the copy; 0: nothing, it was reported (or memory is out). */
static int copy_value(struct walk *w, const char *key, vs_place at, const cyaml_schema_value_t *s)
{
	int n;
	switch (s->type) {
	case CYAML_MAPPING:
		return copy_mapping(w, key, at, s);
	case CYAML_SEQUENCE:
		return copy_list(w, key, at, s);
	case CYAML_IGNORE:
		return 0; /* read from the document itself */
	default:
		n = put_scalar(w, node(w->y, at), s);
		if (!n && !w->failed)
			wrong(w, key, at, s);
		return n;
	}
}

/* ---- the copy as text, for libcyaml ---- */

struct wordsbuffer {
	unsigned char *bytes;
	size_t len, cap;
};

static int append(void *ctx, unsigned char *bytes, size_t len)
{
	struct wordsbuffer *b = ctx;
	if (b->len + len > b->cap) {
		size_t cap = 2 * (b->len + len);
		unsigned char *p = realloc(b->bytes, cap);
		if (!p)
			return 0;
		b->bytes = p;
		b->cap = cap;
	}
	memcpy(b->bytes + b->len, bytes, len);
	b->len += len;
	return 1;
}

/* Takes the copy. */
static int emit(yaml_document_t *copy, struct wordsbuffer *ret)
{
	yaml_emitter_t e;
	if (!yaml_emitter_initialize(&e)) {
		yaml_document_delete(copy);
		return -ENOMEM;
	}
	yaml_emitter_set_output(&e, append, ret);
	yaml_emitter_set_unicode(&e, 1);
	yaml_emitter_set_width(&e, -1);
	int ok = yaml_emitter_open(&e);
	if (ok)
		ok = yaml_emitter_dump(&e, copy) && yaml_emitter_close(&e);
	else
		yaml_document_delete(copy);
	yaml_emitter_delete(&e);
	return ok ? 0 : -ENOMEM;
}

static int load_copy(struct vs_yaml *y, yaml_document_t *copy)
{
	struct wordsbuffer b = { 0 };
	int r = emit(copy, &b);
	if (!r) {
		cyaml_err_t e = cyaml_load_data(b.bytes, b.len, &cyaml, y->schema, &y->data, NULL);
		if (e == CYAML_ERR_OOM)
			r = -ENOMEM;
		else if (e != CYAML_OK)
			vs_findings_add(y->findings, y->name, 1, "cannot be loaded: %s", cyaml_strerror(e));
	}
	free(b.bytes);
	return r;
}

static int walk_and_load(struct vs_yaml *y)
{
	yaml_document_t copy;
	if (!yaml_document_initialize(&copy, NULL, NULL, NULL, 1, 1))
		return -ENOMEM;
	struct walk w = { .y = y, .copy = &copy };
	/* The first node of a document is its root, so the walk begins with the outermost mapping. */
	if (!copy_value(&w, "the file", vs_yaml_top(y), y->schema) || w.failed) {
		yaml_document_delete(&copy);
		return w.failed ? -ENOMEM : 0;
	}
	return load_copy(y, &copy);
}

static int load(struct vs_yaml *y, const char *bytes, size_t len)
{
	int r = check_bytes(y->name, bytes, len, y->findings);
	if (!r)
		r = check_syntax(y, bytes, len);
	if (!r)
		r = parse(y, bytes, len);
	if (!r)
		r = walk_and_load(y);
	return r == -EINVAL ? 0 : r;
}

int vs_yaml_load(const char *name, const char *bytes, size_t len, const cyaml_schema_value_t *schema,
		 struct vs_findings *findings, struct vs_yaml **ret, void **ret_data)
{
	struct vs_yaml *y = calloc(1, sizeof *y);
	if (!y)
		return -ENOMEM;
	*y = (struct vs_yaml){ .name = name, .findings = findings, .schema = schema };
	/* numbers are written with a point, whatever the language of the terminal */
	locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
	locale_t before = uselocale(c);
	int r = c ? load(y, bytes, len) : -ENOMEM;
	uselocale(before);
	if (c)
		freelocale(c);
	if (r < 0 || findings->failed) {
		vs_yaml_destroy(y);
		return -ENOMEM;
	}
	*ret = y;
	*ret_data = y->data;
	return 0;
}

void vs_yaml_destroy(struct vs_yaml *y)
{
	if (!y)
		return;
	cyaml_free(&cyaml, y->schema, y->data, 0);
	if (y->has_doc)
		yaml_document_delete(&y->doc);
	free(y->reported);
	free(y);
}
