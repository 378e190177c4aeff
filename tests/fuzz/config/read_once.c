/* Under libFuzzer: the files that ship are read once, not for each input, which took nearly all of the time.
 *
 * Linked with --wrap=vs_yaml_load and --wrap=vs_yaml_destroy.  Nobody writes into what was read; the findings of all inputs are
 * one object of fuzz_config.c, so that those about a file that ships are made where all others are. */
#include "config/document.h"
#include "config/embed.h"

extern const struct vs_embedded vs_limit_set_files[], vs_preset_files[];

int __real_vs_yaml_load(const char *name, const char *bytes, size_t len, const cyaml_schema_value_t *schema,
			struct vs_findings *findings, struct vs_yaml **ret, void **ret_data);
void __real_vs_yaml_destroy(struct vs_yaml *y);
int __wrap_vs_yaml_load(const char *name, const char *bytes, size_t len, const cyaml_schema_value_t *schema,
			struct vs_findings *findings, struct vs_yaml **ret, void **ret_data);
void __wrap_vs_yaml_destroy(struct vs_yaml *y);

static struct kept {
	const struct vs_embedded *file;
	struct vs_yaml *y;
	void *data;
} kept[] = { { .file = vs_limit_set_files }, { .file = vs_preset_files } };

int __wrap_vs_yaml_load(const char *name, const char *bytes, size_t len, const cyaml_schema_value_t *schema,
			struct vs_findings *findings, struct vs_yaml **ret, void **ret_data)
{
	struct kept *k = bytes == kept[0].file->bytes ? &kept[0] : bytes == kept[1].file->bytes ? &kept[1] : NULL;
	if (!k)
		return __real_vs_yaml_load(name, bytes, len, schema, findings, ret, ret_data);
	int r = k->y ? 0 : __real_vs_yaml_load(name, bytes, len, schema, findings, &k->y, &k->data);
	*ret = k->y;
	*ret_data = k->data;
	return r;
}

void __wrap_vs_yaml_destroy(struct vs_yaml *y)
{
	if (!y || (y != kept[0].y && y != kept[1].y))
		__real_vs_yaml_destroy(y);
}
