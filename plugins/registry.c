#include "plugins/registry.h"

#include <errno.h>
#include <stdio.h>

#define PLUGIN(id) extern const struct vs_plugin vs_plugin_##id;
#include "plugins/registry.def"
#undef PLUGIN

static const struct vs_plugin *const plugins[] = {
#define PLUGIN(id) &vs_plugin_##id,
#include "plugins/registry.def"
#undef PLUGIN
};

#define LINKED (sizeof plugins / sizeof plugins[0])

static const struct vs_plugin *added[VS_PLUGIN_ADDED_MAX];
static size_t added_len;

const struct vs_plugin *vs_plugin_at(size_t i)
{
	if (i < LINKED)
		return plugins[i];
	return i - LINKED < added_len ? added[i - LINKED] : NULL;
}

const struct vs_plugin *vs_plugin_find(const char *name)
{
	const struct vs_plugin *p;
	for (size_t i = 0; (p = vs_plugin_at(i)); i++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

int vs_plugin_add(const struct vs_plugin *p)
{
	if (vs_plugin_fault(p))
		return -EINVAL;
	if (vs_plugin_find(p->name))
		return -EEXIST;
	if (added_len == VS_PLUGIN_ADDED_MAX)
		return -ENOSPC;
	added[added_len++] = p;
	return 0;
}

/* "a, b, c" of a list's words; what does not fit is left out. */
static void words(const char *const *list, char *buf, size_t cap)
{
	size_t len = 0;
	buf[0] = '\0';
	for (size_t i = 0; list[i] && len < cap; i++)
		len += (size_t)snprintf(buf + len, cap - len, "%s%s", i ? ", " : "", list[i]);
}

static int unknown_option(const struct vs_plugin *p, const char *name, char *buf, size_t cap)
{
	const char *known[17] = { NULL };
	for (size_t i = 0; i < 16 && p->options && p->options[i].name; i++)
		known[i] = p->options[i].name;
	char list[256];
	words(known, list, sizeof list);
	snprintf(buf, cap, "plugin %s has no option '%s'; %s%s", p->name, name, known[0] ? "it has: " : "it has none",
		 list);
	return -EINVAL;
}

int vs_plugin_check_setting(const struct vs_plugin *p, const struct vs_plugin_setting *s, char *buf, size_t cap)
{
	const struct vs_plugin_option *o = p->options;
	while (o && o->name && strcmp(o->name, s->name) != 0)
		o++;
	if (!o || !o->name)
		return unknown_option(p, s->name, buf, cap);
	if (!o->values)
		return 0;
	for (size_t i = 0; o->values[i]; i++)
		if (strcmp(o->values[i], s->value) == 0)
			return 0;
	char list[256];
	words(o->values, list, sizeof list);
	snprintf(buf, cap, "option '%s' of plugin %s cannot be '%s'; it is one of: %s", o->name, p->name, s->value,
		 list);
	return -EINVAL;
}

bool vs_plugin_is_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return n && n < 32 && !s[n];
}

const char *vs_plugin_fault(const struct vs_plugin *p)
{
	if (p->abi != VS_PLUGIN_ABI)
		return "it was built for another version of vitalsd: build it again with the header of this one";
	if (!p->name || !vs_plugin_is_name(p->name))
		return "its name is not made of a-z, 0-9 and '-'";
	if (!p->summary || !p->manual || !p->devices || !p->tested)
		return "summary, manual, devices or tested is missing";
	if (!p->frame || !p->decode)
		return "it has no frame or no decode function";
	if (p->poll_ms && !p->transmit)
		return "it wants to be polled and has nothing to send";
	if (p->again && !p->poll_ms)
		return "it can say a result again and is never polled: nothing would end the waiting for it";
	if (!p->metrics || p->metrics >> VS_METRIC_COUNT)
		return "it does not say which metrics it reports";
	if (!p->silence_ms)
		return "it does not say after which silence the device is lost";
	if (!p->line.baud == !p->udp_port)
		return "it wants either a line with a speed or a port for datagrams";
	return NULL;
}
