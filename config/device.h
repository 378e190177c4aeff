/* One device of a configuration: from what the file says to what the daemon needs.  Private to config/. */
#pragma once
#include "config/arena.h"
#include "config/config.h"
#include "config/format.h"
#include "config/hash.h"

/* One run of vs_config_load. */
struct vs_reader {
	const char *file;
	struct vs_yaml *y;
	vs_place top;
	struct vs_findings *findings;
	struct vs_config *config;
	struct vs_arena *arena;
	struct vs_piece *pieces; /* content of every file that took part, for the hash; owned */
	unsigned n_pieces;
	struct vs_register_map *last_map; /* equal maps are kept once: a thousand monitors of one model are usual */
};

/* A relative path of the configuration, as seen from its folder.  In the arena. */
char *vs_beside(struct vs_reader *l, const char *path);
/* Reads a file that the configuration names at that place, for use and for the hash.  False: reported. */
bool vs_read_beside(struct vs_reader *l, const char *file, vs_place at, struct vs_limit_source *ret);
/* Takes the bytes, for the hash. */
int vs_reader_piece(struct vs_reader *l, char *bytes, size_t len);
void vs_reader_finish(struct vs_reader *l);

/* vs_config_load of bytes that have been read: takes them.  `file` is what they are called, and where relative names of
 * other files are looked for. */
int vs_config_load_bytes(const char *file, char *bytes, size_t len, struct vs_config **ret,
			 struct vs_findings *findings);

/* Everything but the id. */
void vs_device_read(struct vs_reader *l, const struct raw_device *raw, vs_place at, struct vs_device_config *ret);
/* What several devices share: a serial port has one owner, an RTU line and a gateway have one device a unit. */
void vs_lines_check(struct vs_reader *l);

/* A register map; reports to y. */
void vs_map_read(struct vs_yaml *y, const struct raw_register *raw, unsigned n, const struct raw_register *new_reading,
		 vs_place at, struct vs_register_map *ret);
