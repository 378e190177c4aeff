/* Fuzz target: any bytes on a port that `vitalsctl probe` listens to, through all plugins at once.
 *
 * Whatever comes: shares are percentages, no plugin stands there twice, the best comes first, and what is shown as a value is one. */
#include <stdio.h>
#include <stdlib.h>

#include "clients/ctl/probe_line.h"
#include "core/metric.h"
#include "plugins/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz-probe: %s\n", what);
	abort();
}

static void check(const struct ctl_evidence *e, size_t size)
{
	must(ctl_evidence_share(e) <= 100, "more than all bytes are in frames");
	must(e->bytes == size && e->dropped <= size && e->first <= e->end && e->end <= size, "bytes that did not come");
	must(e->frames && e->units <= e->frames, "more readings than frames");
	for (unsigned m = 0; m < VS_METRIC_COUNT; m++) {
		must(!e->values[m].seen || e->plugin->metrics >> m & 1, "a value that this plugin does not have");
		must(!e->values[m].seen || e->values[m].word || e->values[m].low <= e->values[m].high, "no range");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vs_line line = { 9600, 'N', 8, 1 };
	static struct ctl_candidates c;
	if (!size)
		return 0;
	struct ctl_hearing *h = ctl_hearing_new(NULL);
	must(h, "no memory");
	c.len = 0;
	size_t cut = data[0] % size;
	ctl_hearing_bytes(h, data, cut);
	ctl_hearing_bytes(h, data + cut, size - cut);
	ctl_hearing_close(h, &line, &line, &c);
	for (size_t i = 0; i < c.len; i++) {
		check(&c.at[i], size);
		must(!i || ctl_evidence_grade(&c.at[i]) <= ctl_evidence_grade(&c.at[i - 1]),
		     "a better one comes later");
		for (size_t k = 0; k < i; k++)
			must(c.at[k].plugin != c.at[i].plugin, "a plugin twice");
	}
	must(ctl_candidates_good(&c) <= c.len, "more good ones than there are");
	ctl_hearing_free(h);
	return 0;
}
