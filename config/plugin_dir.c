#include "config/plugin_dir.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SUFFIX ".so"

static const char *directory(void)
{
	const char *dir = getenv("VITALSD_PLUGIN_DIR");
	return dir && *dir ? dir : VS_PLUGIN_DIR;
}

/* False: others than root could put code there. */
static bool is_roots(const char *path, char *why, size_t cap)
{
	struct stat st;
	if (stat(path, &st) != 0) {
		snprintf(why, cap, "%s: %s", path, strerror(errno));
		return false;
	}
	if (st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return true;
	snprintf(why, cap, "%s is not used: it must belong to root and be writable by root alone "
			   "(chown root:root, chmod go-w)", path);
	return false;
}

static const struct vs_plugin *open_plugin(const char *path, const char *name, char *why, size_t cap)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		snprintf(why, cap, "plugin %s cannot be loaded: %s", name, dlerror());
		return NULL;
	}
	union { /* ISO C knows no way from an object's address to a function's; POSIX promises this one */
		void *object;
		const struct vs_plugin *(*function)(void);
	} entry = { dlsym(handle, "vs_plugin_export") };
	const struct vs_plugin *p = entry.object ? entry.function() : NULL;
	const char *fault = !p ? "it does not export vs_plugin_export()" : vs_plugin_fault(p);
	if (!fault && strcmp(p->name, name) != 0)
		fault = "the name inside is another one than the file's";
	if (!fault && vs_plugin_add(p) == 0)
		return p; /* stays open as long as the program runs */
	snprintf(why, cap, "plugin %s is not used: %s", path, fault ? fault : "there are too many plugins");
	dlclose(handle);
	return NULL;
}

const struct vs_plugin *vs_plugin_load(const char *name, char *why, size_t cap)
{
	char path[PATH_MAX];
	struct stat st;
	const struct vs_plugin *p = vs_plugin_find(name);
	why[0] = '\0';
	if (p)
		return p;
	if (!vs_plugin_is_name(name))
		return NULL;
	int n = snprintf(path, sizeof path, "%s/%s%s", directory(), name, SUFFIX);
	if (n < 0 || (size_t)n >= sizeof path || stat(path, &st) != 0)
		return NULL;
	if (!is_roots(directory(), why, cap) || !is_roots(path, why, cap))
		return NULL;
	return open_plugin(path, name, why, cap);
}

void vs_plugin_load_all(void (*complain)(const char *words))
{
	DIR *dir = opendir(directory());
	if (!dir)
		return; /* nothing was ever installed there */
	for (struct dirent *e; (e = readdir(dir));) {
		char name[64], why[512];
		size_t len = strlen(e->d_name), suffix = strlen(SUFFIX);
		if (len <= suffix || len - suffix >= sizeof name || strcmp(e->d_name + len - suffix, SUFFIX) != 0)
			continue;
		snprintf(name, sizeof name, "%.*s", (int)(len - suffix), e->d_name);
		if (!vs_plugin_load(name, why, sizeof why) && *why)
			complain(why);
	}
	closedir(dir);
}
