/* The configuration of one daemon, read from YAML (contract, section 2).
 *
 * Read and checked in one go: either a whole configuration, or a list of findings, all of them, each with file, line,
 * what is wrong and what would be right.  A struct vs_config never changes after loading; a reload makes a new one. */
#pragma once
#include "config/findings.h"
#include "config/limits.h"
#include "core/plugin.h"
#include "plugins/modbus/map.h"

#define VS_CHAIR_DEVICES_MAX 16 /* as many as a chair's engine looks after */
#define VS_ID_CAP 33 /* chair and device ids: [a-z0-9][a-z0-9-]{0,31} */

enum vs_link_kind {
	VS_LINK_SERIAL, /* serial: */
	VS_LINK_RTU,    /* rtu: Modbus RTU on a serial line; several devices may share it */
	VS_LINK_TCP,    /* tcp: Modbus TCP, or the raw bytes of a serial device server */
	VS_LINK_UDP,    /* udp: datagrams, of plugins that say so (udp_port) */
};

/* host and port say where it is; path and line otherwise. */
static inline bool vs_link_is_network(enum vs_link_kind k)
{
	return k == VS_LINK_TCP || k == VS_LINK_UDP;
}

struct vs_device_config {
	char id[VS_ID_CAP];
	char plugin[64];      /* "modbus", "nonin-df2", ... */
	enum vs_link_kind link;
	char path[256];       /* SERIAL, RTU: device node */
	struct vs_line line;  /* SERIAL, RTU: plugin defaults filled in */
	char host[256];       /* TCP, UDP: name or address */
	uint16_t port;        /* TCP, UDP */
	bool rtu_over_tcp;    /* TCP: RTU frames with CRC in the stream (`framing: rtu`) */

	struct vs_plugin_setting *options; /* ends with a NULL name; NULL: none */

	/* plugin: modbus */
	uint8_t unit;
	uint32_t poll_ms;          /* default 1000; also the poll period of other polled plugins, 0: the plugin's own */
	uint32_t timeout_ms;       /* default 500: an answer later than this is void */
	uint32_t pause_ms;         /* between requests on the line (`pause:`); default 0 on TCP, 5 on RTU */
	uint32_t connect_pause_ms; /* after connecting, before the first request (`connect_pause:`); default 0 */
	uint32_t retries;          /* of one request within a poll; default 1 */
	uint32_t largest_gap;      /* unused registers read along to save a request (`largest_gap:`); default 8, 0: off */
	struct vs_register_map *map;

	bool nibp_auto;    /* the engine may start cuff measurements (`start_cuff: allowed`); default false */
	unsigned line_no;  /* in the file, for messages */
};

/* What tells people at the chair itself (`annunciator:`); nothing unless configured. */
struct vs_annunciator_config {
	bool alsa;         /* `audio: alsa` */
	char device[256];  /* name of the PCM; default "default" */
	char command[256]; /* absolute path of a program; "": none */
};

struct vs_chair_config {
	char id[VS_ID_CAP];
	char limits[64]; /* name of a limit set ... */
	const struct vs_limit_set *set; /* ... and the set itself; lives as long as the configuration */
	const struct vs_annunciator_config *annunciator; /* its own, else the station's; lives as long as the configuration */
	unsigned n_devices;
	struct vs_device_config *devices;
	unsigned line_no;
};

/* Who may do what (docs/control.md has the table). */
enum vs_role { VS_ROLE_NURSE, VS_ROLE_PRESCRIBER, VS_ROLE_ENGINEER, VS_ROLE_AUDITOR, VS_ROLE_COUNT };

struct vs_operator_config {
	char name[VS_ID_CAP];
	enum vs_role role;
	bool has_uid;
	uint32_t uid; /* of his login; without one he is known by the name that a shared login gives */
};

/* Documentation is kept for six years at least (45 CFR 164.316(b)(2)(i)). */
#define VS_KEEP_LEAST_YEARS 6

struct vs_config {
	char *file;
	char site[64];
	char *log_path;
	uint32_t custody_bytes; /* size of the custody ring (`log: custody: 8MiB`); 0: not given, the usual size */
	bool log_yearly;        /* `log: rotate: year`, the default: a new file at the turn of the year */
	uint64_t log_bytes;     /* `log: rotate: 4GiB`: a new file when it is so large; 0: not by size */
	uint32_t keep_years, keep_days; /* `log: retention: 6y`: files of the record that are older may be removed; both 0, the default: none */
	char *keep_text;        /* as it was written; NULL: not given */
	char *keep_shorter;     /* why less than VS_KEEP_LEAST_YEARS will do (`log: retention_shorter_because`); NULL */
	bool keep_apply;        /* `log: retention_apply: daily`: the daemon removes what is due; else a person says so each time */
	char *control;          /* Unix socket of vitalsctl */
	unsigned n_events, n_queries;
	char **events, **queries; /* nanomsg URLs to bind */
	unsigned n_limit_files;
	char **limit_files; /* resolved against the folder of the file */
	unsigned n_preset_files;
	char **preset_files; /* protocol presets and gates, resolved likewise, checked with the rest (config/presets.h) */
	struct vs_limit_sets *limit_sets; /* those that ship and those of limit_files */
	bool audit_trace;     /* who reads the record is to be recorded (`audit: trace: true`) */
	unsigned n_operators; /* 0: whoever reaches the control socket may do everything */
	struct vs_operator_config *operators;
	unsigned n_chairs;
	struct vs_chair_config *chairs;
	/* SHA-256, hex, of the file, the limit files and the profile files, in the order in which they are named
	 * (`cat FILE... | sha256sum`): goes into every session's record */
	char hash[65];
};

/* Reads and checks FILE and the limit files it names.  0: *ret is the configuration, the caller frees it.
 * -EINVAL: `findings` says why, one entry a finding; *ret untouched. */
int vs_config_load(const char *file, struct vs_config **ret, struct vs_findings *findings);
void vs_config_free(struct vs_config *c);

/* The register map of a profile: one that ships, or a file (relative to where we stand).  0, -EINVAL: `findings` says why;
 * their file and line mean something only where they name that file. */
int vs_profile_load(const char *name, struct vs_register_map *ret, struct vs_findings *findings);

/* Is it the same device in every respect that its link and plugin know of?  A reload leaves such a one alone. */
bool vs_device_config_equal(const struct vs_device_config *a, const struct vs_device_config *b);

/* `--check`: findings on stderr.  Returns the exit status: 0, 78 (there are findings), 1 (out of memory). */
int vs_config_check_main(const char *file);
