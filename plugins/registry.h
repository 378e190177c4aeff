/* The plugins: those that are linked in (one line in plugins/meson.build makes a device known everywhere), and those
 * that were added from outside (config/plugin_dir.h). */
#pragma once
#include "core/plugin.h"

/* The plugin of that name ("nonin-df2"), or NULL. */
const struct vs_plugin *vs_plugin_find(const char *name);
/* The plugins in the order of the list; NULL beyond the last. */
const struct vs_plugin *vs_plugin_at(size_t i);

/* Add a plugin from outside; p must live as long as the program.  0; -EINVAL: vs_plugin_fault() says why; -EEXIST: there
 * is one of that name; -ENOSPC: no room (VS_PLUGIN_ADDED_MAX). */
#define VS_PLUGIN_ADDED_MAX 64
int vs_plugin_add(const struct vs_plugin *p);

/* Is this setting one that the plugin knows?  0; or -EINVAL with words for a person in buf (what is wrong and what
 * would be right).  The plugin's own init may still refuse a free text. */
int vs_plugin_check_setting(const struct vs_plugin *p, const struct vs_plugin_setting *s, char *buf, size_t cap);
/* a-z, 0-9 and '-', at most 31 of them. */
bool vs_plugin_is_name(const char *s);
/* Is what a plugin claims about itself sound?  NULL, or what is wrong; for tests and for plugins from outside. */
const char *vs_plugin_fault(const struct vs_plugin *p);
