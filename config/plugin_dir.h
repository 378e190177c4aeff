/* Plugins from outside the tree: shared objects in one directory.
 *
 * The directory is $VITALSD_PLUGIN_DIR, else LIBDIR/vitalsd/plugins.  It and the file must belong to root and be
 * writable by nobody else, because what is in there runs inside the daemon.  NAME.so exports vs_plugin_export(), which
 * returns a descriptor of that very name; its ABI number must be ours (core/plugin.h).  Home of dlopen. */
#pragma once
#include "plugins/registry.h"

/* The plugin of that name: linked in, loaded before, or loaded now.  NULL: there is none (why stays empty), or there is
 * a file that cannot be used (why says what is wrong with it and what to do). */
const struct vs_plugin *vs_plugin_load(const char *name, char *why, size_t cap);
/* Load all that the directory holds; complain is called for each file that cannot be used. */
void vs_plugin_load_all(void (*complain)(const char *words));
