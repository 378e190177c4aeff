/* Prints every key that the loaders know, one a line: FORMAT PATH TYPE [required].  What documentation and JSON Schema
 * are compared with (tests/schema). */
#include <stdio.h>

#include "config/format.h"
#include "config/limit_format.h"

static const char *type_name(const cyaml_schema_value_t *v)
{
	switch (v->type) {
	case CYAML_UINT:
		return "integer";
	case CYAML_FLOAT:
		return "number";
	case CYAML_BOOL:
		return "boolean";
	case CYAML_ENUM:
		return "enum";
	case CYAML_MAPPING:
	case CYAML_IGNORE:
		return "object";
	case CYAML_SEQUENCE:
		return "array";
	default:
		return "string";
	}
}

static void list(const char *format, const char *path, const cyaml_schema_value_t *v)
{
	if (v->type == CYAML_SEQUENCE)
		list(format, path, v->sequence.entry);
	if (v->type != CYAML_MAPPING)
		return;
	for (const cyaml_schema_field_t *f = v->mapping.fields; f->key; f++) {
		char deeper[300];
		snprintf(deeper, sizeof deeper, "%s%s%s", path, *path ? "." : "", f->key);
		printf("%s %s %s%s\n", format, deeper, type_name(&f->value),
		       f->value.flags & VS_REQUIRED ? " required" : "");
		list(format, deeper, &f->value);
	}
}

int main(void)
{
	list("config", "", &vs_config_format);
	list("profile", "", &vs_profile_format);
	list("limits", "", &vs_limit_format);
	return 0;
}
