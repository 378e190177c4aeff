/* YAML files, checked as a whole: the home of libyaml and libcyaml.
 *
 * A format is described once, by the tables of libcyaml (struct cyaml_schema_value).  libcyaml itself stops at the
 * first thing it dislikes; a person mending a file wants all of it.  So the file is walked along the same tables first:
 *
 *	bytes --libyaml--> document --walk--> findings
 *	                                 \--> a copy without what was found wrong --libcyaml--> C structures
 *
 * and what a table cannot say (two devices on one port) is checked afterwards on the structures, also of a file that
 * has findings already.  Conventions of the tables that make this work:
 *
 *	- every field is a pointer and CYAML_FLAG_OPTIONAL: NULL is "absent, or reported already"; VS_REQUIRED makes the
 *	  walk report an absent one.  In lists, an entry that was reported stands as an empty one, so that indexes agree.
 *	- numbers may carry their range in .string (VS_UINT), which libcyaml does not look at for numbers.
 *	- a mapping whose first field is called "value" may be written as just that value (`limit: 160`).
 *
 * Refused, because configuration needs none of it: aliases (a file of 1 kB can expand to gigabytes), several documents,
 * keys that are not plain words, anything beyond VS_YAML_MAX bytes. */
#pragma once
#include <cyaml/cyaml.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/findings.h"

#define VS_YAML_MAX (8u << 20)
/* beyond the flags of libcyaml, which ignores them */
#define VS_REQUIRED (1u << 30)
#define VS_OR_ONE (1u << 29) /* a list of mappings that may be written as one mapping */

#define VS_STRING(_key, _flags, _struct, _member, _max) \
	CYAML_FIELD_STRING_PTR(_key, CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER | (_flags), _struct, _member, 1, _max)
#define VS_ENUM(_key, _flags, _struct, _member, _words) \
	CYAML_FIELD_ENUM_PTR(_key, CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT | CYAML_FLAG_POINTER | (_flags), _struct, \
			     _member, _words, CYAML_ARRAY_LEN(_words))
#define VS_UINT(_key, _flags, _struct, _member, _lowest, _highest) \
	{ .key = _key, .data_offset = offsetof(_struct, _member), \
	  .value = { .type = CYAML_UINT, .data_size = sizeof(*((_struct *)NULL)->_member), \
		     .flags = (enum cyaml_flag)(CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER | (_flags)), \
		     .string = { .min = _lowest, .max = _highest } } }
#define VS_NUMBER(_key, _flags, _struct, _member) \
	CYAML_FIELD_FLOAT_PTR(_key, CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER | (_flags), _struct, _member)
#define VS_BOOL(_key, _flags, _struct, _member) \
	CYAML_FIELD_BOOL_PTR(_key, CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER | (_flags), _struct, _member)
#define VS_MAPPING(_key, _flags, _struct, _member, _fields) \
	CYAML_FIELD_MAPPING_PTR(_key, CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER | (_flags), _struct, _member, _fields)
/* the structure has a counter MEMBER_count beside the pointer */
#define VS_LIST(_key, _flags, _struct, _member, _entry, _min, _max) \
	CYAML_FIELD_SEQUENCE(_key, CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER | (_flags), _struct, _member, _entry, \
			     _min, _max)
/* any content; read it with vs_yaml_pair() */
#define VS_FREE_FORM(_key) CYAML_FIELD_IGNORE(_key, CYAML_FLAG_OPTIONAL)
#define VS_END CYAML_FIELD_END

struct vs_yaml;

/* A place in the file.  Places are cheap; looking for something that is absent gives the place around it. */
typedef int vs_place;

/* The whole content of a regular file, NUL after it.  0; -ENOMEM; -EINVAL: there is a finding. */
int vs_yaml_read(const char *file, char **ret_bytes, size_t *ret_len, struct vs_findings *findings);

/* Walks the bytes along the schema and loads them.  0, also with findings: *ret_data are the structures (NULL: not even
 * YAML).  -ENOMEM: nothing.  `name` is how findings call the file; name, schema and findings must outlive *ret.  The
 * caller destroys *ret, and with it the structures. */
int vs_yaml_load(const char *name, const char *bytes, size_t len, const cyaml_schema_value_t *schema,
		 struct vs_findings *findings, struct vs_yaml **ret, void **ret_data);
void vs_yaml_destroy(struct vs_yaml *y);

vs_place vs_yaml_top(const struct vs_yaml *y);
/* The value of a key. */
vs_place vs_yaml_key(const struct vs_yaml *y, vs_place in, const char *key);
/* Entry i of a list. */
vs_place vs_yaml_item(const struct vs_yaml *y, vs_place in, unsigned i);
/* Pair i of a free-form mapping; false: there is none, or it is not two plain words. */
bool vs_yaml_pair(const struct vs_yaml *y, vs_place in, unsigned i, const char **ret_key, const char **ret_value,
		  vs_place *ret_place);
bool vs_yaml_is_mapping(const struct vs_yaml *y, vs_place at);
unsigned vs_yaml_line(const struct vs_yaml *y, vs_place at);
/* Add a finding at a place, unless the walk has already found that very value wrong. */
void vs_yaml_find(struct vs_yaml *y, vs_place at, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A duration text at `key`; text NULL: absent, *ret_ms untouched. */
void vs_yaml_duration(struct vs_yaml *y, const char *text, const char *key, vs_place in, uint32_t lowest_ms,
		      uint32_t highest_ms, uint32_t *ret_ms);
/* A share at `key`, "75%" -> 0.75; text NULL: absent, *ret untouched. */
void vs_yaml_share(struct vs_yaml *y, const char *text, const char *key, vs_place in, double *ret);
