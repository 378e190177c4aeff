#include "daemon/acquire.h"
#include "plugins/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

const char *vs_device_status_name(enum vs_device_status st)
{
	static const char *const names[VS_DEVICE_STATUS_COUNT] = {
		[VS_DEVICE_CONNECTING] = "connecting", [VS_DEVICE_ONLINE] = "online",
		[VS_DEVICE_NO_SIGNAL] = "no-signal",   [VS_DEVICE_OFFLINE] = "offline",
	};
	return names[st];
}

void vs_device_tell(struct vs_device *d, enum vs_device_status st, const char *detail, bool again)
{
	if (st == d->status && !again)
		return;
	d->status = st;
	d->told_connecting = true;
	d->ops->status(d->ctx, st, detail);
}

void vs_device_deliver(struct vs_device *d, const struct vs_reading *r, uint64_t at_ms)
{
	d->counters.readings++;
	d->ops->reading(d->ctx, r, at_ms);
}

int vs_acquire_create(uv_loop_t *loop, struct vs_acquire **ret)
{
	struct vs_acquire *a = calloc(1, sizeof *a);
	struct rlimit files;
	if (!a)
		return -ENOMEM;
	a->loop = loop;
	a->start_ms = uv_now(loop);
	a->wheel = vs_wheel_create(loop);
	if (!a->wheel) {
		free(a);
		return -ENOMEM;
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	/* a silent name server shall hold a thread of the pool, and the end of the program, for two seconds, not twenty */
	setenv("RES_OPTIONS", "timeout:2 attempts:1", 0);
	*ret = a;
	return 0;
}

void vs_acquire_close(struct vs_acquire *a)
{
	if (!a)
		return;
	while (a->devices)
		vs_device_close(a->devices);
	vs_wheel_close(a->wheel);
	free(a);
}

static int begin(struct vs_acquire *a, struct vs_device *d, const struct vs_device_config *cfg)
{
	if (!vs_link_is_network(cfg->link) && !vs_line_is_possible(&cfg->line))
		return -EINVAL;
	if (strcmp(cfg->plugin, "modbus") == 0)
		return cfg->map ? vs_bus_join(a, d, cfg) : -EINVAL;
	d->is_stream = true;
	d->stream.plugin = vs_plugin_find(cfg->plugin);
	return d->stream.plugin ? vs_stream_begin(a, d, cfg) : -ENOENT;
}

int vs_device_create(struct vs_acquire *a, const struct vs_device_config *cfg, const struct vs_device_ops *ops,
		     void *ctx, struct vs_device **ret)
{
	struct vs_device *d = calloc(1, sizeof *d);
	if (!d)
		return -ENOMEM;
	d->acquire = a;
	d->ops = ops;
	d->ctx = ctx;
	d->status = VS_DEVICE_CONNECTING;
	int r = begin(a, d, cfg);
	if (r < 0) {
		if (!d->is_stream)
			free(d->polled.map);
		free(d);
		return r;
	}
	a->created++;
	d->after = a->devices;
	if (d->after)
		d->after->before = d;
	a->devices = d;
	*ret = d;
	return 0;
}

void vs_device_close(struct vs_device *d)
{
	if (!d)
		return;
	if (d->before)
		d->before->after = d->after;
	else
		d->acquire->devices = d->after;
	if (d->after)
		d->after->before = d->before;
	if (d->is_stream) {
		vs_stream_end(d);
		return;
	}
	vs_bus_leave(d);
	free(d->polled.map);
	free(d);
}

int vs_device_cuff(struct vs_device *d, bool start)
{
	return d->is_stream ? vs_stream_cuff(d, start) : -ENOTSUP;
}

const struct vs_device_counters *vs_device_counters(const struct vs_device *d)
{
	return &d->counters;
}

enum vs_device_status vs_device_status(const struct vs_device *d)
{
	return d->status;
}
