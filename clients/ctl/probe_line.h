/* Who talks on a serial line?  Its bytes go to every plugin at once, and each keeps what it understood of them.
 *
 * A hearing is one setting of the line; what the plugins made of it is evidence.  A frame with a checksum tells much, a
 * frame without one little, bytes between the frames tell against a plugin. */
#pragma once
#include "core/plugin.h"
#include "plugins/feed.h"

#include <stdint.h>

enum vs_grade { VS_UNLIKELY, VS_POSSIBLE, VS_LIKELY, VS_CERTAIN };

/* What one plugin, with at most one setting other than its defaults, made of the bytes at one setting of the line. */
struct ctl_evidence {
	const struct vs_plugin *plugin;
	struct vs_plugin_setting settings[2]; /* as in the configuration, ends with a NULL name */
	struct vs_line line;                  /* as the line took it: a pseudo terminal knows no parity */
	bool own;                             /* it is the setting of the plugin */
	uint64_t bytes, frames, units, dropped, rejected;
	bool noisy; /* frames were damaged again and again: numbers that came only once are not among the values */
	uint64_t first, end, longest; /* start of the first good frame, end of the last, length of the longest */
	struct {
		uint64_t seen; /* observations with a value; without one it was only said to be missing */
		double low, high, last;
		const char *word; /* the last one, where it is no number */
	} values[VS_METRIC_COUNT];
};

struct ctl_hearing;

/* NULL: out of memory.  only: NULL, or the one plugin to try.  Free it with ctl_hearing_free. */
struct ctl_hearing *ctl_hearing_new(const struct vs_plugin *only);
void ctl_hearing_bytes(struct ctl_hearing *h, const uint8_t *bytes, size_t len);
/* The state of a plugin with its defaults; NULL: it is not in this hearing. */
void *ctl_hearing_state(struct ctl_hearing *h, const struct vs_plugin *p);
/* Good frames of that plugin so far. */
uint64_t ctl_hearing_frames(struct ctl_hearing *h, const struct vs_plugin *p);
void ctl_hearing_free(struct ctl_hearing *h);

/* The best evidence for each plugin, best first. */
#define CTL_CANDIDATES_MAX 128
struct ctl_candidates {
	size_t len;
	struct ctl_evidence at[CTL_CANDIDATES_MAX];
};

/* The hearing is over: what there is to say for each plugin joins (or replaces weaker evidence of) the candidates.
 * asked: how the line was wanted; taken: how it was. */
void ctl_hearing_close(struct ctl_hearing *h, const struct vs_line *asked, const struct vs_line *taken,
		       struct ctl_candidates *c);
enum vs_grade ctl_evidence_grade(const struct ctl_evidence *e);
/* Bytes in good frames, in percent; the cut frames at both ends are not held against the plugin. */
unsigned ctl_evidence_share(const struct ctl_evidence *e);
/* Candidates worth showing: graded better than unlikely. */
size_t ctl_candidates_good(const struct ctl_candidates *c);
/* path: as in the configuration. */
void ctl_candidates_show(const struct ctl_candidates *c, const char *path, bool json);

/* `vitalsctl probe DEVICE ...` */
int ctl_probe_line(int argc, char **argv);
