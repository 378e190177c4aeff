/* Acquisition alone: the devices of a configuration, their readings and statuses as JSON lines on stdout.
 *
 * usage: acquire-probe CONFIG
 * SIGTERM or SIGINT: prints the counters of each device, closes everything, and exits with 0 only if nothing was left
 * open on the loop.  SIGHUP closes and opens every device.  SIGUSR1 asks every device for a cuff measurement. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/event.h"
#include "daemon/clock.h"
#include "daemon/device.h"

struct probed {
	const struct vs_device_config *cfg;
	struct vs_device *device;
};

static uv_loop_t loop;
static struct vs_acquire *acquire;
static struct vs_config *config;
static struct probed probed[4096];
static size_t n_probed;
static uv_signal_t signals[4];

static void on_reading(void *ctx, const struct vs_reading *r, uint64_t at_ms)
{
	const struct probed *p = ctx;
	char text[8192];
	struct vs_json j = vs_json_into(text, sizeof text);
	vs_json_open(&j, '{');
	vs_json_key(&j, "device"), vs_json_string(&j, p->cfg->id);
	vs_json_key(&j, "at"), vs_json_uint(&j, at_ms);
	vs_reading_json(&j, r);
	vs_json_close(&j, '}');
	puts(text);
}

static void on_status(void *ctx, enum vs_device_status st, const char *detail)
{
	const struct probed *p = ctx;
	char text[8192];
	struct vs_json j = vs_json_into(text, sizeof text);
	vs_json_open(&j, '{');
	vs_json_key(&j, "device"), vs_json_string(&j, p->cfg->id);
	vs_json_key(&j, "at"), vs_json_uint(&j, vs_boottime_ms());
	vs_json_key(&j, "status"), vs_json_string(&j, vs_device_status_name(st));
	vs_json_key(&j, "detail"), vs_json_string(&j, detail);
	vs_json_close(&j, '}');
	puts(text);
}

static const struct vs_device_ops ops = { on_reading, on_status };

static void create_all(void)
{
	n_probed = 0;
	for (unsigned c = 0; c < config->n_chairs; c++)
		for (unsigned i = 0; i < config->chairs[c].n_devices; i++) {
			struct probed *p = &probed[n_probed];
			p->cfg = &config->chairs[c].devices[i];
			int r = vs_device_create(acquire, p->cfg, &ops, p, &p->device);
			if (r < 0)
				fprintf(stderr, "%s: %s\n", p->cfg->id, uv_strerror(r));
			n_probed += r == 0;
		}
}

static void print_counters(void)
{
	for (size_t i = 0; i < n_probed; i++) {
		const struct vs_device_counters *c = vs_device_counters(probed[i].device);
		printf("{\"device\":\"%s\",\"counters\":{\"polls\":%" PRIu64 ",\"readings\":%" PRIu64 ",\"late\":%" PRIu64
		       ",\"missed\":%" PRIu64 ",\"frames\":%" PRIu64 ",\"rejected\":%" PRIu64 ",\"dropped\":%" PRIu64
		       ",\"timeouts\":%" PRIu64 ",\"exceptions\":%" PRIu64 ",\"connects\":%" PRIu64 "}}\n",
		       probed[i].cfg->id, c->polls, c->readings, c->late, c->missed, c->frames, c->rejected, c->dropped,
		       c->timeouts, c->exceptions, c->connects);
	}
}

static void on_signal(uv_signal_t *s, int number)
{
	(void)s;
	for (size_t i = 0; number == SIGUSR1 && i < n_probed; i++)
		printf("{\"device\":\"%s\",\"cuff\":%d}\n", probed[i].cfg->id, vs_device_cuff(probed[i].device, true));
	if (number == SIGUSR1)
		return;
	print_counters();
	for (size_t i = 0; i < n_probed; i++)
		vs_device_close(probed[i].device);
	if (number == SIGHUP) {
		create_all();
		return;
	}
	vs_acquire_close(acquire);
	for (size_t i = 0; i < 4; i++)
		uv_close((uv_handle_t *)&signals[i], NULL);
}

int main(int argc, char **argv)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };
	struct vs_findings findings = { 0 };
	if (argc != 2)
		return 2;
	if (vs_config_load(argv[1], &config, &findings) < 0) {
		vs_findings_print(&findings, stderr);
		vs_findings_clear(&findings);
		return 78;
	}
	vs_findings_clear(&findings);
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&loop);
	for (size_t i = 0; i < 4; i++) {
		uv_signal_init(&loop, &signals[i]);
		uv_signal_start(&signals[i], on_signal, numbers[i]);
	}
	if (vs_acquire_create(&loop, &acquire) < 0)
		return 1;
	create_all();
	uv_run(&loop, UV_RUN_DEFAULT);
	vs_config_free(config);
	int r = uv_loop_close(&loop);
	printf("{\"closed\":%d}\n", r);
	return r ? 1 : 0;
}
