/* The formats of a configuration and of a register profile, as libcyaml wants them described (config/document.h says
 * how to read these tables).  NULL: absent, or reported.  Whoever adds a key adds it here, in docs/configuration.md and in
 * schema/config.schema.json; a test compares the three. */
#pragma once
#include "config/document.h"

struct raw_line { /* serial:, rtu:, and the line of a profile */
	char *path;
	uint32_t *baud;
	int *parity; /* 'N' 'E' 'O' */
	uint8_t *data_bits, *stop_bits;
};

struct raw_tcp {
	char *host;
	uint16_t *port;
	int *framing; /* true: RTU frames; tcp: alone */
};

struct raw_register {
	int *metric; /* enum vs_metric */
	char *flag;
	int *table, *type, *order; /* enum vs_table, vs_register_type, vs_word_order */
	uint16_t *address;
	uint8_t *bit;
	double *scale, *offset;
	double *invalid;
	unsigned invalid_count;
	bool *inverted;  /* flags */
	int *concerns;   /* enum vs_metric */
	unsigned concerns_count;
};

/* Everything about polling that a profile may know better than the defaults. */
struct raw_polling {
	char *unit; /* its range depends on the line */
	char *poll, *timeout, *pause, *connect_pause; /* durations */
	uint32_t *retries, *largest_gap;
};

struct raw_device {
	char *id, *plugin;
	struct raw_line *serial, *rtu;
	struct raw_tcp *tcp, *udp;
	struct raw_polling polling;
	char *profile;
	struct raw_register *registers, *new_reading;
	unsigned registers_count;
	int *start_cuff; /* true: allowed */
};

struct raw_annunciator {
	int *audio; /* true: alsa */
	char *device, *command;
};

struct raw_chair {
	char *id, *limits;
	struct raw_annunciator *annunciator;
	struct raw_device *devices;
	unsigned devices_count;
};

struct raw_log {
	char *path, *custody, *rotate, *retention, *shorter;
	int *apply; /* 1: by the daemon, daily */
};

struct raw_audit {
	bool *trace;
};

struct raw_publish {
	char **events, **query;
	unsigned events_count, query_count;
};

struct raw_operator {
	char *name;
	int *role;
	unsigned *uid;
};

struct raw_config {
	char *site;
	struct raw_log *log;
	struct raw_audit *audit;
	struct raw_publish *publish;
	struct raw_annunciator *annunciator;
	char *control;
	char **limit_files;
	unsigned limit_files_count;
	char **preset_files;
	unsigned preset_files_count;
	struct raw_operator *operators;
	unsigned operators_count;
	struct raw_chair *chairs;
	unsigned chairs_count;
};

struct raw_profile {
	char *summary, *manual;
	struct raw_line *line;
	struct raw_polling polling;
	struct raw_register *registers, *new_reading;
	unsigned registers_count;
};

extern const cyaml_schema_value_t vs_config_format, vs_profile_format;
