/* Configurations: what a good one means, and where and how a wrong one is refused. */
#include "config_files.h"

#include <errno.h>
#include <math.h>

#include "config/config.h"
#include "config/embed.h"
#include "config/hash.h"

extern const struct vs_embedded vs_profile_files[];

/* A file around the lines in question: a station (lines 1, 2), a chair (3 to 6), and devices from line 7 on. */
#define EXAMPLE VS_SOURCE_ROOT "/packaging/vitalsd.yaml"
#define STATION "site: north\nlog: { path: /var/lib/v.db }\n"
#define CHAIR STATION "chairs:\n  - id: chair-1\n    limits: ketamine-adult\n    devices:\n"
#define MODBUS CHAIR "      - id: bp\n        plugin: modbus\n        tcp: { host: 192.0.2.10 }\n"
#define REGISTER MODBUS "        registers:\n          - "
#define OXIMETER CHAIR "      - id: oxi\n        plugin: nonin-df2\n        serial: { path: /dev/ttyS0 }\n"
#define LAN CHAIR "      - id: m1\n        plugin: philips-intellivue-lan\n"
#define RTU(id, path, more)                                                                                            \
	"      - id: " id "\n        plugin: modbus\n        rtu: { path: " path " }\n" more                           \
	"        registers: [ { metric: spo2, table: input, address: 0 } ]\n"
#define GOOD_CHAIRS                                                                                                    \
	"chairs:\n  - id: chair-1\n    limits: ketamine-adult\n    devices:\n"                                         \
	"      - { id: oxi, plugin: nonin-df2, serial: { path: /dev/ttyS0 } }\n"

static struct vs_config *load(const char *text)
{
	struct vs_findings f = { 0 };
	struct vs_config *c = NULL;
	int r = vs_config_load(put_file("config.yaml", text), &c, &f);
	vs_findings_print(&f, stderr);
	vs_findings_clear(&f);
	assert_int_equal(r, 0);
	return c;
}

static const char contract[] =
	"site: north-clinic\n"
	"log:\n"
	"  path: /var/lib/vitalsd/vitals.db\n"
	"publish:\n"
	"  events: [ \"ipc:///run/vitalsd/events.ipc\", \"tcp://127.0.0.1:7700\" ]\n"
	"  query:  [ \"ipc:///run/vitalsd/query.ipc\",  \"tcp://127.0.0.1:7701\" ]\n"
	"control: /run/vitalsd/control.sock\n"
	"limit_files: [ limits.yaml ]\n"
	"chairs:\n"
	"  - id: chair-1\n"
	"    limits: my-clinic\n"
	"    devices:\n"
	"      - id: oximeter\n"
	"        plugin: nonin-df2\n"
	"        serial: { path: /dev/vitals/oximeter, baud: 19200, parity: odd, data_bits: 7, stop_bits: 2 }\n"
	"      - id: bp\n"
	"        plugin: modbus\n"
	"        tcp: { host: 192.0.2.10, port: 1502 }\n"
	"        unit: 3\n"
	"        poll: 5min\n"
	"        timeout: 200ms\n"
	"        registers:\n"
	"          - { metric: nibp_sys, table: input, address: 0, type: u16, scale: 0.5, offset: -2, invalid: [0, "
	"65535] }\n"
	"          - { metric: spo2, table: holding, address: 40, type: f32, order: cdab }\n"
	"          - { flag: probe_off, table: discrete, address: 3 }\n"
	"          - { flag: door_open, table: input, address: 5, type: bit, bit: 3 }\n"
	"        new_reading: { table: input, address: 9, type: u16 }\n";

static void every_key_arrives(void **state)
{
	(void)state;
	put_file("limits.yaml", "sets:\n  - { name: my-clinic, extends: ketamine-adult }\n");
	struct vs_config *c = load(contract);
	assert_string_equal(c->site, "north-clinic");
	assert_string_equal(c->log_path, "/var/lib/vitalsd/vitals.db");
	assert_int_equal(c->custody_bytes, 0);
	assert_string_equal(c->control, "/run/vitalsd/control.sock");
	assert_int_equal(c->n_events, 2);
	assert_string_equal(c->events[1], "tcp://127.0.0.1:7700");
	assert_int_equal(c->n_queries, 2);
	assert_string_equal(c->queries[0], "ipc:///run/vitalsd/query.ipc");
	assert_string_equal(base_name(c->limit_files[0]), "limits.yaml");
	assert_int_equal(c->n_chairs, 1);
	assert_string_equal(c->chairs[0].set->name, "my-clinic");
	assert_int_equal(c->chairs[0].line_no, 10);

	const struct vs_device_config *oxi = &c->chairs[0].devices[0], *bp = &c->chairs[0].devices[1];
	assert_int_equal(oxi->link, VS_LINK_SERIAL);
	assert_string_equal(oxi->path, "/dev/vitals/oximeter");
	assert_int_equal(oxi->line.baud, 19200);
	assert_int_equal(oxi->line.parity, 'O');
	assert_int_equal(oxi->line.data_bits, 7);
	assert_int_equal(oxi->line.stop_bits, 2);
	assert_null(oxi->map);

	assert_int_equal(bp->link, VS_LINK_TCP);
	assert_string_equal(bp->host, "192.0.2.10");
	assert_int_equal(bp->port, 1502);
	assert_int_equal(bp->unit, 3);
	assert_int_equal(bp->poll_ms, 300000);
	assert_int_equal(bp->timeout_ms, 200);
	assert_int_equal(bp->line_no, 16);
	const struct vs_register *r = bp->map->reg;
	assert_int_equal(bp->map->len, 4);
	assert_true(r[0].metric == VS_NIBP_SYS && r[0].table == VS_INPUT && r[0].type == VS_U16);
	assert_true(r[0].scale == 0.5 && r[0].offset == -2);
	assert_true(r[0].invalid_len == 2 && r[0].invalid[1] == 65535);
	assert_true(r[1].type == VS_F32 && r[1].order == VS_CDAB && r[1].address == 40);
	assert_true(r[2].metric == VS_METRIC_NONE && r[2].flag == VS_FLAG_PROBE_OFF && r[2].type == VS_BIT);
	assert_true(r[3].flag == VS_FLAG_OWN_FIRST && r[3].bit == 3);
	assert_string_equal(bp->map->own_flag_name[0], "door_open");
	assert_true(bp->map->has_new_reading && bp->map->new_reading.address == 9);
	vs_config_free(c);
}

static void the_example_that_ships_is_good(void **state)
{
	(void)state;
	struct vs_findings f = { 0 };
	struct vs_config *c = NULL;
	int r = vs_config_load(EXAMPLE, &c, &f);
	vs_findings_print(&f, stderr);
	vs_findings_clear(&f);
	assert_int_equal(r, 0);
	assert_int_equal(c->n_chairs, 2);
	assert_int_equal(c->chairs[1].n_devices, 3);
	vs_config_free(c);
}

static void what_is_left_out_has_its_default(void **state)
{
	(void)state;
	struct vs_config *c =
		load(OXIMETER "      - id: bp\n        plugin: modbus\n        rtu: { path: /dev/ttyS1 }\n"
			      "        registers: [ { metric: rr, table: input, address: 7 } ]\n"
			      "      - { id: demo, plugin: modbus, rtu: { path: /dev/ttyS2 }, profile: "
			      "dfrobot-sen0344 }\n"
			      "      - { id: far, plugin: nonin-df2, tcp: { host: box, port: 4001 } }\n");
	const struct vs_device_config *d = c->chairs[0].devices;
	assert_string_equal(c->control, "/run/vitalsd/control.sock");
	assert_int_equal(c->n_events + c->n_queries, 0);
	assert_true(d[0].line.baud == 9600 && d[0].line.parity == 'N' && d[0].line.data_bits == 8);
	assert_false(d[0].nibp_auto);
	assert_true(d[1].line.baud == 19200 && d[1].line.parity == 'E' && d[1].line.stop_bits == 1);
	assert_int_equal(d[1].unit, 1);
	assert_int_equal(d[1].poll_ms, 1000);
	assert_int_equal(d[1].timeout_ms, 500);
	assert_int_equal(d[1].pause_ms, 5);
	assert_int_equal(d[1].connect_pause_ms, 0);
	assert_int_equal(d[1].retries, 1);
	assert_int_equal(d[1].largest_gap, 8);
	assert_true(d[1].map->reg[0].type == VS_U16 && d[1].map->reg[0].scale == 1 && d[1].map->reg[0].offset == 0);
	assert_true(d[2].line.baud == 9600 && d[2].line.parity == 'N' && d[2].unit == 32);
	assert_int_equal(d[2].map->len, 3);
	assert_true(d[2].map->reg[2].inverted && d[2].map->reg[2].concerns == 1u << VS_PR);
	assert_true(d[3].link == VS_LINK_TCP && d[3].port == 4001);
	vs_config_free(c);
}

static void a_profile_from_a_file_may_be_overridden(void **state)
{
	(void)state;
	put_file("profile.yaml", "line: { baud: 4800, parity: none }\nunit: 9\npoll: 2s\n"
				 "registers: [ { metric: spo2, table: input, address: 1, invalid: [ 0xFFFF, 0 ] } ]\n");
	struct vs_config *c =
		load(CHAIR "      - id: m\n        plugin: modbus\n        rtu: { path: /dev/ttyS1, baud: 1200 }\n"
			   "        profile: ./profile.yaml\n        poll: 3s\n");
	const struct vs_device_config *d = c->chairs[0].devices;
	assert_true(d->line.baud == 1200 && d->line.parity == 'N');
	assert_true(d->unit == 9 && d->poll_ms == 3000 && d->map->len == 1);
	assert_true(d->map->reg[0].invalid[0] == 65535 && d->map->reg[0].invalid[1] == 0); /* as manuals write codes */
	vs_config_free(c);
}

static void every_profile_that_ships_is_good(void **state)
{
	(void)state;
	assert_non_null(vs_profile_files[0].name);
	for (const struct vs_embedded *p = vs_profile_files; p->name; p++) {
		char text[600];
		snprintf(text, sizeof text, MODBUS "        profile: %s\n", p->name);
		struct vs_config *c = load(text);
		assert_true(c->chairs[0].devices[0].map->len > 0);
		vs_config_free(c);
	}
}

static void equal_maps_are_kept_once(void **state)
{
	(void)state;
	struct vs_config *c =
		load(CHAIR RTU("a", "/dev/ttyS1", "        unit: 1\n") RTU("b", "/dev/ttyS1", "        unit: 2\n"));
	assert_ptr_equal(c->chairs[0].devices[0].map, c->chairs[0].devices[1].map);
	vs_config_free(c);
}

/* What `cat config.yaml limits.yaml | sha256sum` says, by another program; and it follows every byte. */
static void the_hash_is_that_of_the_files(void **state)
{
	(void)state;
	char abc[VS_HASH_CAP], first[VS_HASH_CAP];
	const struct vs_piece pieces[] = { { "a", 1 }, { "bc", 2 } };
	vs_hash_hex(pieces, 2, abc);
	assert_string_equal(abc,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); /* FIPS 180-4, "abc" */
	put_file("limits.yaml", "sets: [ { name: my-clinic, extends: ketamine-adult } ]\n");
	struct vs_config *c = load(contract);
	memcpy(first, c->hash, sizeof first);
	vs_config_free(c);
	put_file("limits.yaml", "sets: [ { name: my-clinic, extends: ketamine-adult } ] \n");
	c = load(contract);
	assert_string_not_equal(c->hash, first);
	vs_config_free(c);
}

static void datagrams_have_the_plugin_s_port(void **state)
{
	(void)state;
	struct vs_config *c = load(LAN "        udp: { host: 192.0.2.20 }\n");
	const struct vs_device_config *d = c->chairs[0].devices;
	assert_true(d->link == VS_LINK_UDP && d->port == 24105);
	assert_string_equal(d->host, "192.0.2.20");
	vs_config_free(c);
	c = load(LAN "        udp: { host: monitor-3, port: 4105 }\n");
	assert_int_equal(c->chairs[0].devices[0].port, 4105);
	vs_config_free(c);
}

static void a_reload_sees_what_changed(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		bool equal;
		const char *why;
	} story[] = {
		{ OXIMETER, OXIMETER, true, "the same file" },
		{ OXIMETER, "# a comment\n" OXIMETER, true, "moved by a line" },
		{ OXIMETER "        options: { dialect: oem3 }\n", OXIMETER, false, "an option went away" },
		{ OXIMETER "        options: { dialect: oem3 }\n", OXIMETER "        options: { dialect: oem3 }\n",
		  true, "the same option" },
		{ REGISTER "{ metric: spo2, table: input, address: 1 }\n",
		  REGISTER "{ metric: spo2, table: input, address: 2 }\n", false, "another register" },
		{ REGISTER "{ metric: spo2, table: input, address: 1 }\n        poll: 1s\n",
		  REGISTER "{ metric: spo2, table: input, address: 1 }\n", true, "a default written out" },
		{ REGISTER "{ metric: spo2, table: input, address: 1 }\n        poll: 2s\n",
		  REGISTER "{ metric: spo2, table: input, address: 1 }\n", false, "another period" },
	};
	for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
		struct vs_config *a = load(story[i].a), *b = load(story[i].b);
		if (vs_device_config_equal(a->chairs[0].devices, b->chairs[0].devices) != story[i].equal)
			fail_msg("%s", story[i].why);
		vs_config_free(a);
		vs_config_free(b);
	}
}

static const struct {
	const char *text;
	unsigned line;
	const char *words, *why;
} wrong[] = {
	/* the file */
	{ "", 1, "the file is empty", "nothing" },
	{ " \n\n", 1, "the file is empty", "white space" },
	{ "# only\n# comments\n", 1, "nothing but comments", "comments" },
	{ "- a\n- b\n", 1, "`the file` is a list; it must be a mapping", "a list at the top" },
	{ "hello\n", 1, "it must be a mapping", "a word at the top" },
	{ STATION GOOD_CHAIRS "---\nsite: b\n", 8, "a second document", "two documents" },
	{ STATION "chairs: [\n", 4, "not YAML", "a bracket that never closes" },
	{ STATION "control: \"/run\n", 4, "not YAML", "a quote that never closes" },
	{ STATION "  control: /run\n", 3, "not YAML", "indented without a reason" },
	{ "site: north\nlog:\n\tpath: /x\n", 3, "a tab at the start of the line", "a tab" },
	{ "site: n\xf6rth\n", 1, "not UTF-8", "Latin-1" },
	{ "site: a\nlog: \xed\xa0\x80\n", 2, "not UTF-8", "a surrogate" },
	{ "site: a\n\x01\n", 2, "control character (byte 0x01)", "a control character" },
	{ "site: &a north\nlog: { path: *a }\n", 2, "an alias (*a)", "an alias" },
	{ "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a]\n", 2, "an alias", "what grows without end elsewhere" },

	/* keys */
	{ STATION "chiars: []\n" GOOD_CHAIRS, 3, "unknown key `chiars`; did you mean `chairs`?", "a slip" },
	{ STATION "colour: red\n" GOOD_CHAIRS, 3, "unknown key `colour`; known here are: site, log, publish",
	  "no such key" },
	{ STATION "<<: { site: b }\n" GOOD_CHAIRS, 3, "unknown key `<<`", "merging" },
	{ STATION "? [ a ]\n: b\n" GOOD_CHAIRS, 3, "a key must be a plain word", "a list as key" },
	{ STATION GOOD_CHAIRS "site: south\n", 8, "`site` stands here twice (first in line 1)", "a key twice" },
	{ "log: { path: /x }\n" GOOD_CHAIRS, 1, "`site` is missing; it must be a text", "no site" },
	{ "site: a\n" GOOD_CHAIRS, 1, "`log` is missing", "no log" },
	{ "site: a\nlog: {}\n" GOOD_CHAIRS, 2, "`path` is missing", "no path of the log" },
	{ STATION, 1, "`chairs` is missing; it must be a list", "no chairs" },

	/* the station */
	{ "site:\nlog: { path: /x }\n" GOOD_CHAIRS, 1, "`site` is empty", "an empty value" },
	{ "site: ~\nlog: { path: /x }\n" GOOD_CHAIRS, 1, "`site` is \"~\"", "a null" },
	{ "site: [ a ]\nlog: { path: /x }\n" GOOD_CHAIRS, 1, "`site` is a list; it must be a text",
	  "a list for a text" },
	{ "site: \"a\\nb\"\nlog: { path: /x }\n" GOOD_CHAIRS, 1, "line break", "a site of two lines" },
	{ "site: \"a\\0b\"\nlog: { path: /x }\n" GOOD_CHAIRS, 1, "`site`", "a NUL inside" },
	{ "site: a\nlog: { path: \"\" }\n" GOOD_CHAIRS, 2, "`path` is empty", "an empty path" },
	{ "site: a\nlog: { path: /x, custody: 8 }\n" GOOD_CHAIRS, 2, "from 256KiB to 1GiB", "a ring of 8 bytes" },
	{ "site: a\nlog: { path: /x, custody: 8Mb }\n" GOOD_CHAIRS, 2, "`custody` is \"8Mb\"", "not a unit" },
	{ STATION "publish: { events: \"tcp://127.0.0.1:7700\" }\n" GOOD_CHAIRS, 3, "must be a list", "no list" },
	{ STATION "publish: { events: [ \"http://x\" ] }\n" GOOD_CHAIRS, 3, "neither with ipc:// nor with tcp://",
	  "http" },
	{ STATION "publish: { events: [ \"ipc://\" ] }\n" GOOD_CHAIRS, 3, "names no file", "ipc without a file" },
	{ STATION "publish: { events: [ \"tcp://127.0.0.1\" ] }\n" GOOD_CHAIRS, 3, "must be tcp://ADDRESS:PORT",
	  "tcp without a port" },
	{ STATION "publish: { query: [ \"tcp://*:65536\" ] }\n" GOOD_CHAIRS, 3, "no port from 1 to 65535",
	  "port 65536" },
	{ STATION "publish: { query: [ \"tcp://*:77a\" ] }\n" GOOD_CHAIRS, 3, "no port", "letters in the port" },
	{ STATION "publish:\n  events: [ \"tcp://*:7700\" ]\n  query: [ \"tcp://*:7700\" ]\n" GOOD_CHAIRS, 5,
	  "bound twice (also in line 4)", "one endpoint for both" },
	{ STATION "limit_files: [ nowhere.yaml ]\n" GOOD_CHAIRS, 3, "nowhere.yaml: cannot be read",
	  "no such limit file" },
	{ STATION "limit_files: [ . ]\n" GOOD_CHAIRS, 3, "is a directory", "a folder as limit file" },
	{ STATION "preset_files: [ nowhere.yaml ]\n" GOOD_CHAIRS, 3, "nowhere.yaml: cannot be read",
	  "no such preset file" },

	/* chairs and devices */
	{ STATION "chairs: []\n", 3, "`chairs` has 0 entries", "no chair" },
	{ STATION "chairs: [ 7 ]\n", 3, "`chairs` is \"7\"; it must be a mapping", "a number as chair" },
	{ STATION
	  "chairs: [ { id: Chair 1, limits: ketamine-adult, devices: [ { id: o, plugin: nonin-df2, serial: { path: "
	  "/dev/ttyS0 } } ] } ]\n",
	  3, "`id` is \"Chair 1\"", "capitals and a space" },
	{ STATION GOOD_CHAIRS
	  "  - id: chair-1\n    limits: ketamine-adult\n    devices: [ { id: o, plugin: nonin-df2, serial: "
	  "{ path: /dev/ttyS1 } } ]\n",
	  8, "chair \"chair-1\" is there already (line 4)", "a chair twice" },
	{ STATION
	  "chairs:\n  - id: a\n    limits: ketamin-adult\n    devices: [ { id: o, plugin: nonin-df2, serial: { path: "
	  "/dev/ttyS0 } } ]\n",
	  5, "there is no limit set \"ketamin-adult\"; did you mean \"ketamine-adult\"?", "an unknown set" },
	{ STATION "chairs:\n  - id: a\n    limits: ketamine-adult\n", 4, "`devices` is missing", "no devices" },
	{ OXIMETER "      - id: oxi\n        plugin: nonin-df2\n        serial: { path: /dev/ttyS1 }\n", 10,
	  "device \"oxi\" is there already (line 7)", "a device twice" },
	{ CHAIR "      - id: a\n        plugin: nonin-df3\n        serial: { path: /dev/ttyS0 }\n", 8,
	  "there is no plugin \"nonin-df3\"; did you mean", "an unknown plugin" },
	{ CHAIR "      - id: a\n        plugin: pulse-o-matic\n        serial: { path: /dev/ttyS0 }\n", 8,
	  "it must be one of: modbus, nonin-df2", "the list of plugins" },
	{ CHAIR "      - id: a\n        plugin: nonin-df2\n", 7, "must have `serial:` or `tcp:`", "no connection" },
	{ OXIMETER "        tcp: { host: a, port: 1 }\n", 10, "`tcp` beside `serial`", "two connections" },
	{ CHAIR "      - id: a\n        plugin: nonin-df2\n        rtu: { path: /dev/ttyS0 }\n", 9,
	  "`rtu:` is for plugin modbus", "rtu for a talker" },
	{ CHAIR "      - id: a\n        plugin: modbus\n        serial: { path: /dev/ttyS0 }\n        profile: "
		"dfrobot-sen0344\n",
	  9, "write rtu: in place of serial:", "serial for modbus" },
	{ CHAIR "      - id: a\n        plugin: nonin-df2\n        tcp: { host: a }\n", 9, "`port` is missing",
	  "which port, of a serial server" },
	{ CHAIR "      - id: a\n        plugin: nonin-df2\n        tcp: { host: a, port: 0 }\n", 9, "from 1 to 65535",
	  "port 0" },
	{ CHAIR "      - id: a\n        plugin: nonin-df2\n        tcp: { host: a, port: 70000 }\n", 9,
	  "from 1 to 65535", "port 70000" },
	{ CHAIR "      - id: a\n        plugin: nonin-df2\n        tcp: { host: \"a b\", port: 7 }\n", 9,
	  "name or an address", "a space in the host" },
	{ CHAIR "      - id: a\n        plugin: nonin-df2\n        tcp: { host: a, port: 7, framing: rtu }\n", 9,
	  "`framing` is for plugin modbus", "RTU frames of a talker" },
	{ CHAIR "      - id: a\n        plugin: nonin-df2\n        serial: { path: ttyS0 }\n", 9, "whole path",
	  "a path without its folder" },
	{ CHAIR "      - id: a\n        plugin: nonin-df2\n        serial: {}\n", 9, "`path` is missing", "no path" },
	{ CHAIR "      - id: a\n        plugin: nonin-df2\n        serial: { path: /dev/ttyS0, baud: fast }\n", 9,
	  "`baud` is \"fast\"; it must be a whole number", "a word for a number" },
	{ CHAIR "      - id: a\n        plugin: nonin-df2\n        serial: { path: /dev/ttyS0, baud: 9600.5 }\n", 9,
	  "whole number", "half a baud" },
	{ CHAIR "      - id: a\n        plugin: nonin-df2\n        serial: { path: /dev/ttyS0, parity: evn }\n", 9,
	  "did you mean \"even\"? It must be one of: none, even, odd", "a slip in a word" },
	{ CHAIR "      - id: a\n        plugin: nonin-df2\n        serial: { path: /dev/ttyS0, data_bits: 9 }\n", 9,
	  "from 5 to 8", "nine bits" },
	{ OXIMETER "        options: { dialekt: oem3 }\n", 10, "dialekt", "an unknown option" },
	{ OXIMETER "        options: { dialect: oem4 }\n", 10, "oem4", "an unknown value of an option" },
	{ OXIMETER "        options: [ dialect ]\n", 10, "`options` must be a mapping", "a list of options" },
	{ OXIMETER "        options: { dialect: [ oem3 ] }\n", 10, "one word and its value", "a list as value" },
	{ OXIMETER "        options:\n          dialect: oem3\n          dialect: oem3\n", 12, "stands here twice",
	  "an option twice" },
	{ OXIMETER "        unit: 1\n", 10, "`unit` is for plugin modbus", "a unit of a talker" },
	{ OXIMETER "        registers: [ { metric: spo2, table: input, address: 1 } ]\n", 10,
	  "`registers` is for plugin modbus", "registers of a talker" },
	{ OXIMETER "        poll: 1s\n", 10, "not polled", "a period of a talker" },
	{ OXIMETER "        start_cuff: yes\n", 10, "it must be one of: never, allowed", "start_cuff is a word" },

	/* modbus */
	{ MODBUS "        profile: dfrobot-sen0344\n        options: { a: b }\n", 11, "modbus has no options",
	  "options of modbus" },
	{ MODBUS, 7, "it must have `registers:` or `profile: NAME`", "no registers" },
	{ LAN "        serial: { path: /dev/ttyS0 }\n", 9, "write udp: in place of serial:", "a line for datagrams" },
	{ LAN "        tcp: { host: h, port: 1 }\n", 9, "write udp: in place of tcp:", "a stream for datagrams" },
	{ LAN "        udp: { host: h, framing: rtu }\n", 9, "framing", "a key of tcp" },
	{ LAN, 7, "it must have `udp:`", "no connection" },
	{ CHAIR "      - id: oxi\n        plugin: nonin-df2\n        udp: { host: h }\n", 9, "write tcp: in place of udp:",
	  "datagrams for a line" },
	{ LAN "        udp: { host: h }\n      - id: m2\n        plugin: philips-intellivue-lan\n        udp: { host: H }\n",
	  12, "in use by device", "one monitor twice" },
	{ MODBUS "        registers: []\n", 10, "`registers` has 0 entries", "an empty map" },
	{ MODBUS "        profile: dfrobot-sen344\n", 10, "did you mean \"dfrobot-sen0344\"?", "an unknown profile" },
	{ MODBUS "        profile: ./nowhere.yaml\n", 10, "nowhere.yaml: cannot be read", "no such profile file" },
	{ MODBUS
	  "        profile: dfrobot-sen0344\n        registers: [ { metric: spo2, table: input, address: 1 } ]\n",
	  10, "`profile` beside `registers`", "a profile and registers" },
	{ MODBUS "        profile: dfrobot-sen0344\n        unit: 256\n", 11, "from 0 to 255", "a unit beyond a byte" },
	{ MODBUS "        profile: dfrobot-sen0344\n        unit: -1\n", 11, "`unit` is \"-1\"", "a negative unit" },
	{ MODBUS "        profile: dfrobot-sen0344\n        poll: 1\n", 11, "`poll` is \"1\"; it must be a duration",
	  "no unit of time" },
	{ MODBUS "        profile: dfrobot-sen0344\n        poll: 1m\n", 11, "`poll` is \"1m\"",
	  "m is no unit of time" },
	{ MODBUS "        profile: dfrobot-sen0344\n        poll: 1ms\n", 11, "from 20ms",
	  "a thousand polls a second" },
	{ MODBUS "        profile: dfrobot-sen0344\n        timeout: 2h\n", 11, "`timeout` is \"2h\"",
	  "a timeout of hours" },
	{ MODBUS "        profile: dfrobot-sen0344\n        retries: 11\n", 11, "from 0 to 10", "eleven retries" },
	{ MODBUS "        profile: dfrobot-sen0344\n        largest_gap: 125\n", 11, "from 0 to 124",
	  "more than a request holds" },
	{ REGISTER "{ metric: spo, table: input, address: 1 }\n", 11, "did you mean \"spo2\"?", "an unknown metric" },
	{ REGISTER "{ metric: rpp, table: input, address: 1 }\n", 11, "one of: hr, pr, spo2", "a derived metric" },
	{ REGISTER "{ metric: spo2, table: inputs, address: 1 }\n", 11,
	  "did you mean \"input\"? It must be one of: input, holding", "an unknown table" },
	{ REGISTER "{ metric: spo2, table: input, address: 65536 }\n", 11, "from 0 to 65535",
	  "an address beyond the last" },
	{ REGISTER "{ metric: spo2, table: input, address: 010 }\n", 11, "`address` is \"010\"", "8 or 10?" },
	{ REGISTER "{ metric: spo2, table: input, address: 65535, type: u32 }\n", 11, "65535 is the last",
	  "half beyond the last" },
	{ REGISTER "{ metric: spo2, table: input, address: 1, type: f64 }\n", 11, "one of: u16, i16, u32",
	  "an unknown type" },
	{ REGISTER "{ metric: spo2, table: input, address: 1, type: f32, order: dcab }\n", 11, "one of: abcd, cdab",
	  "an unknown order" },
	{ REGISTER "{ metric: spo2, table: input, address: 1, order: cdab }\n", 11, "`order` is for u32, i32 and f32",
	  "an order of one register" },
	{ REGISTER "{ metric: spo2, table: input, address: 1, scale: 0 }\n", 11, "`scale` 0", "every value 0" },
	{ REGISTER "{ metric: spo2, table: input, address: 1, scale: nan }\n", 11,
	  "`scale` is \"nan\"; it must be a number", "a scale that is no number" },
	{ REGISTER "{ metric: spo2, table: input, address: 1, scale: 1,5 }\n", 11, "unknown key `5`",
	  "a decimal comma" },
	{ REGISTER "{ metric: spo2, table: input, address: 1, invalid: 0 }\n", 11,
	  "`invalid` is \"0\"; it must be a list", "one code without brackets" },
	{ REGISTER "{ metric: spo2, table: input, address: 1, type: i16, invalid: [ 65535 ] }\n", 11,
	  "can never be read as i16", "a code that cannot come" },
	{ REGISTER "{ metric: spo2, table: coil, address: 1 }\n", 11, "a metric is a number; a bit is a flag",
	  "a number of one bit" },
	{ REGISTER "{ flag: off, table: discrete, address: 1, type: u16 }\n", 11, "table of single bits",
	  "a number among bits" },
	{ REGISTER "{ flag: off, table: discrete, address: 1, bit: 2 }\n", 11, "`bit` is for flags inside a register",
	  "a bit of a bit" },
	{ REGISTER "{ flag: off, table: input, address: 1 }\n", 11, "write `type: bit` and `bit:`", "which bit?" },
	{ REGISTER "{ flag: off, table: input, address: 1, type: bit }\n", 11, "needs `bit:`", "which bit, again?" },
	{ REGISTER "{ flag: off, table: input, address: 1, type: bit, bit: 16 }\n", 11, "from 0 to 15", "bit 16" },
	{ REGISTER "{ flag: Off!, table: coil, address: 1 }\n", 11, "it must be a word of a-z", "a flag with a bang" },
	{ REGISTER "{ metric: spo2, table: input, address: 1, inverted: true }\n", 11, "`inverted` is for flags",
	  "an inverted number" },
	{ REGISTER "{ metric: spo2, table: input, address: 1, concerns: [ pr ] }\n", 11, "`concerns` is for flags",
	  "a number about another" },
	{ REGISTER "{ flag: off, table: coil, address: 1, concerns: [ pulse ] }\n", 11, "`concerns`",
	  "about no metric" },
	{ REGISTER "{ flag: off, table: coil, address: 1, scale: 2 }\n", 11, "`scale` is for numbers",
	  "a scaled flag" },
	{ REGISTER "{ metric: spo2, flag: off, table: input, address: 1 }\n", 11, "`metric` and `flag` in one register",
	  "both in one" },
	{ REGISTER "{ table: input, address: 1 }\n", 11, "neither `metric` nor `flag`", "holds what?" },
	{ REGISTER "{ metric: spo2, address: 1 }\n", 11, "`table` is missing", "no table" },
	{ REGISTER "{ metric: spo2, table: input }\n", 11, "`address` is missing", "no address" },
	{ REGISTER
	  "{ metric: spo2, table: input, address: 1 }\n          - { metric: spo2, table: input, address: 2 }\n",
	  12, "`spo2` stands here twice (first in line 11)", "a metric twice" },
	{ REGISTER "{ metric: nibp_sys, table: input, address: 1 }\n        new_reading: { table: coil, address: 1, "
		   "type: u16 }\n",
	  12, "table of single bits", "new_reading is checked as well" },

	/* lines that are shared */
	{ OXIMETER "      - id: two\n        plugin: nonin-df2\n        serial: { path: /dev/ttyS0 }\n", 12,
	  "/dev/ttyS0 is in use by device \"oxi\" (line 7) already", "a port twice" },
	{ CHAIR RTU("a", "/dev/ttyS1", "") RTU("b", "/dev/ttyS1", ""), 11, "unit 1 is device \"a\" (line 7) already",
	  "two units 1 on a line" },
	{ CHAIR RTU("a", "/dev/ttyS1", "        unit: 2\n") RTU("b", "/dev/ttyS1, baud: 9600", ""), 14,
	  "one line has one setting", "two speeds on a line" },
	{ CHAIR RTU("a", "/dev/ttyS1", "        unit: 248\n"), 10, "from 0 to 247 on an RTU line",
	  "unit 248 on a line" },
	{ CHAIR RTU("a", "/dev/ttyS1, data_bits: 7", ""), 9, "always has 8", "RTU of seven bits" },
	{ MODBUS "        profile: dfrobot-sen0344\n      - id: b\n        plugin: nonin-df2\n        tcp: { host: "
		 "192.0.2.10, port: 502 "
		 "}\n",
	  13, "only Modbus devices may share a line", "a talker on the gateway's port" },
};

static void every_wrong_file_is_refused_at_its_line(void **state)
{
	(void)state;
	unsigned bad = 0;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct vs_findings f = { 0 };
		struct vs_config *c = NULL;
		int r = vs_config_load(put_file("config.yaml", wrong[i].text), &c, &f);
		bad += !is_finding(&f, "config.yaml", wrong[i].line, wrong[i].words, wrong[i].why) || r != -EINVAL;
		vs_findings_clear(&f);
		vs_config_free(c);
	}
	assert_int_equal(bad, 0);
}

static void ten_things_wrong_are_found_in_one_run(void **state)
{
	(void)state;
	static const char text[] = "sitte: north\n"                           /* 1 unknown, and site missing */
				   "log: { path: /x, custody: much }\n"       /* 2 */
				   "publish: { events: [ \"udp://a:1\" ] }\n" /* 3 */
				   "chairs:\n"
				   "  - id: Chair\n"         /* 5 */
				   "    limits: none-such\n" /* 6 */
				   "    devices:\n"
				   "      - id: a\n"
				   "        plugin: nonin-df9\n" /* 9 */
				   "      - id: b\n"
				   "        plugin: modbus\n"
				   "        tcp: { host: h, port: 99999 }\n" /* 12 */
				   "        unit: 300\n"                     /* 13 */
				   "        poll: soon\n"                    /* 14 */
				   "        registers:\n"
				   "          - { metric: spo2, table: input, address: -1 }\n" /* 16 */
				   "          - { metric: pulse, table: input, address: 2 }\n" /* 17 */
				   "      - id: b\n"                                           /* 18 */
				   "        plugin: nonin-df2\n"
				   "        serial: { path: /dev/ttyS0, parity: 0 }\n"; /* 20 */
	static const unsigned lines[] = { 1, 1, 2, 3, 5, 6, 9, 12, 13, 14, 16, 17, 18, 20 };
	struct vs_findings f = { 0 };
	struct vs_config *c = NULL;
	assert_int_equal(vs_config_load(put_file("config.yaml", text), &c, &f), -EINVAL);
	if (f.len != sizeof lines / sizeof *lines)
		vs_findings_print(&f, stderr);
	assert_int_equal(f.len, sizeof lines / sizeof *lines);
	for (unsigned i = 0; i < f.len; i++)
		assert_int_equal(f.at[i].line, lines[i]);
	vs_findings_clear(&f);
}

/* Whoever mends a limit file must not learn only then that the chair's own line is wrong, too.  A file that is no YAML
 * may have had the set, so nothing is said about the name then. */
static void a_wrong_limit_file_hides_no_unknown_set(void **state)
{
	(void)state;
	static const struct {
		const char *limits, *set;
		bool unknown;
	} story[] = {
		{ "sets: [ { name: own, extends: ketamine-adult, rules: [ { id: x, metric: hr, when: above } ] } ]\n", "none-such", true },
		{ "sets: [ { name: own, extends: ketamine-adult, rules: [ { id: x, metric: hr, when: above } ] } ]\n", "own", false },
		{ "sets: [ {\n", "own", false },
	};
	for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
		char text[400];
		struct vs_findings f = { 0 };
		struct vs_config *c = NULL;
		put_file("limits.yaml", story[i].limits);
		snprintf(text, sizeof text,
			 STATION "limit_files: [ limits.yaml ]\nchairs:\n  - id: a\n    limits: %s\n    devices: [ { id: o, "
				 "plugin: nonin-df2, serial: { path: /dev/ttyS0 } } ]\n",
			 story[i].set);
		assert_int_equal(vs_config_load(put_file("config.yaml", text), &c, &f), -EINVAL);
		bool said = false;
		for (unsigned k = 0; k < f.len; k++)
			said |= f.at[k].line == 6 && strstr(f.at[k].text, "there is no limit set") != NULL;
		bool theirs = strstr(f.at[0].file, "limits.yaml") != NULL;
		vs_findings_clear(&f);
		assert_true(said == story[i].unknown && theirs);
	}
}

static void a_wrong_profile_is_refused_in_its_own_file(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned line;
		const char *words, *why;
	} story[] = {
		{ "summary: x\n", 1, "`registers` is missing", "no registers" },
		{ "summary: x\nregisters:\n  - { metric: spo2, table: input, address: 1, scale: 0 }\n", 3, "`scale` 0",
		  "scale 0" },
		{ "summary: x\nunit: 256\nregisters: [ { metric: spo2, table: input, address: 1 } ]\n", 2,
		  "from 0 to 255", "unit" },
		{ "summary: [\n", 2, "not YAML", "syntax" },
		{ "summary: x\nregisters:\n  - { metric: spo2, table: input, address: 65536 }\n", 3, "`address` is \"65536\"",
		  "an address beyond the protocol's" },
		{ "summary: x\nregisters:\n  - { metric: spo2, table: input, address: 1, type: float }\n", 3, "u16",
		  "a type that is none: the list is named" },
		{ "summary: x\nregisters:\n  - { metric: spo3, table: input, address: 1 }\n", 3, "did you mean \"spo2\"?",
		  "a metric that is none" },
		{ "summary: x\nregisters:\n  - { metric: spo2, table: input, address: 1 }\n  - { metric: spo2, table: input, address: 2 }\n",
		  4, "spo2", "a metric twice" },
		{ "summary: x\nline: { parity: 0 }\nregisters: [ { metric: spo2, table: input, address: 1 } ]\n", 2, "none",
		  "a parity that is none" },
		{ "summary: x\nhost: h\nregisters: [ { metric: spo2, table: input, address: 1 } ]\n", 2, "host", "an unknown key" },
		{ "summary: x\npoll: often\nregisters: [ { metric: spo2, table: input, address: 1 } ]\n", 2,
		  "`poll` is \"often\"", "a period in words" },
		{ "summary: x\nregisters:\n  - { metric: spo2, table: discrete, address: 1, type: u16 }\n", 3, "bit",
		  "a number in a table of bits" },
	};
	for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
		struct vs_findings f = { 0 };
		struct vs_config *c = NULL;
		put_file("profile.yaml", story[i].text);
		assert_int_equal(vs_config_load(put_file("config.yaml",
							 MODBUS "        profile: ./profile.yaml\n      - id: b\n"
								"        plugin: modbus\n        tcp: { host: other }\n"
								"        profile: ./profile.yaml\n"),
						&c, &f),
				 -EINVAL);
		bool good = is_finding(&f, "profile.yaml", story[i].line, story[i].words, story[i].why);
		vs_findings_clear(&f);
		assert_true(good);
	}
}

static void every_mistake_of_a_profile_in_one_run(void **state)
{
	(void)state;
	static const char text[] = "summary: x\n"
				   "unit: 300\n"                                              /* 2 */
				   "poll: soon\n"                                             /* 3 */
				   "retries: 11\n"                                            /* 4 */
				   "hots: a\n"                                                /* 5 */
				   "line: { baud: 1, parity: some }\n"                        /* 6, twice */
				   "registers:\n"
				   "  - { metric: spo2, table: input, address: -1 }\n"        /* 8 */
				   "  - { metric: pulse, table: input, address: 2 }\n"        /* 9 */
				   "  - { metric: pr, table: inputs, address: 3 }\n"          /* 10 */
				   "  - { metric: temp, table: input, address: 4, scale: 0 }\n" /* 11 */
				   "new_reading: { table: input, address: 70000 }\n";         /* 12 */
	static const unsigned lines[] = { 2, 3, 4, 5, 6, 6, 8, 9, 10, 11, 12 };
	struct vs_findings f = { 0 };
	struct vs_config *c = NULL;
	put_file("profile.yaml", text);
	assert_int_equal(
		vs_config_load(put_file("config.yaml", MODBUS "        profile: ./profile.yaml\n"), &c, &f), -EINVAL);
	if (f.len != sizeof lines / sizeof *lines)
		vs_findings_print(&f, stderr);
	assert_int_equal(f.len, sizeof lines / sizeof *lines);
	for (unsigned i = 0; i < f.len; i++)
		assert_int_equal(f.at[i].line, lines[i]);
	vs_findings_clear(&f);
}

static void things_that_are_no_file(void **state)
{
	(void)state;
	static const struct {
		const char *path, *words;
	} story[] = {
		{ "/nowhere/at/all.yaml", "cannot be read: No such file" },
		{ "/tmp", "is a directory" },
		{ "/dev/null", "is not a regular file" },
	};
	for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
		struct vs_findings f = { 0 };
		struct vs_config *c = NULL;
		assert_int_equal(vs_config_load(story[i].path, &c, &f), -EINVAL);
		bool good = is_finding(&f, base_name(story[i].path), 1, story[i].words, story[i].path);
		vs_findings_clear(&f);
		assert_true(good);
	}
}

static void a_file_beyond_all_measure_is_not_even_read(void **state)
{
	(void)state;
	struct vs_findings f = { 0 };
	struct vs_config *c = NULL;
	const char *path = put_file("config.yaml", STATION GOOD_CHAIRS);
	assert_int_equal(truncate(path, (8 << 20) + 1), 0);
	assert_int_equal(vs_config_load(path, &c, &f), -EINVAL);
	bool good = is_finding(&f, "config.yaml", 1, "larger than 8 MiB", "size");
	vs_findings_clear(&f);
	assert_true(good);
}

/* Ten thousand wrong lines: some are said, the others are counted. */
static void findings_have_an_end(void **state)
{
	(void)state;
	size_t len = 0;
	char *text = malloc(200000);
	assert_non_null(text);
	for (int i = 0; i < 10000; i++)
		len += (size_t)sprintf(text + len, "k%d: 1\n", i);
	struct vs_findings f = { 0 };
	struct vs_config *c = NULL;
	assert_int_equal(vs_config_load(put_bytes("config.yaml", text, len), &c, &f), -EINVAL);
	assert_int_equal(f.len, VS_FINDINGS_MAX);
	assert_int_equal(f.len + f.omitted, 10000 + 3); /* and three keys are missing */
	vs_findings_clear(&f);
	free(text);
}

static void preset_files_are_checked_with_the_rest(void **state)
{
	struct vs_config *c = NULL;
	struct vs_findings f = { 0 };
	(void)state;
	put_file("more.yaml", "gates:\n  G2: { sys_warn: 135 }\n");
	char file[200];
	snprintf(file, sizeof file, "%s", put_file("config.yaml", STATION "preset_files: [ more.yaml ]\n" GOOD_CHAIRS));
	assert_int_equal(vs_config_load(file, &c, &f), 0);
	assert_int_equal(c->n_preset_files, 1);
	assert_string_equal(base_name(c->preset_files[0]), "more.yaml");
	char hash[65];
	memcpy(hash, c->hash, sizeof hash);
	vs_config_free(c);
	put_file("more.yaml", "gates:\n  G2: { sys_warn: 134 }\n");
	assert_int_equal(vs_config_load(file, &c, &f), 0);
	assert_string_not_equal(c->hash, hash); /* another number: another hash */
	vs_config_free(c);
	put_file("more.yaml", "gates:\n  G2: { sys_warn: 999 }\n");
	assert_int_equal(vs_config_load(file, &c, &f), -EINVAL);
	assert_int_equal(f.len, 1);
	assert_string_equal(base_name(f.at[0].file), "more.yaml");
	assert_int_equal(f.at[0].line, 2);
	vs_findings_clear(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(preset_files_are_checked_with_the_rest),
		cmocka_unit_test(every_key_arrives),
		cmocka_unit_test(the_example_that_ships_is_good),
		cmocka_unit_test(what_is_left_out_has_its_default),
		cmocka_unit_test(a_profile_from_a_file_may_be_overridden),
		cmocka_unit_test(every_profile_that_ships_is_good),
		cmocka_unit_test(equal_maps_are_kept_once),
		cmocka_unit_test(the_hash_is_that_of_the_files),
		cmocka_unit_test(datagrams_have_the_plugin_s_port),
		cmocka_unit_test(a_reload_sees_what_changed),
		cmocka_unit_test(every_wrong_file_is_refused_at_its_line),
		cmocka_unit_test(ten_things_wrong_are_found_in_one_run),
		cmocka_unit_test(a_wrong_profile_is_refused_in_its_own_file),
		cmocka_unit_test(a_wrong_limit_file_hides_no_unknown_set),
		cmocka_unit_test(every_mistake_of_a_profile_in_one_run),
		cmocka_unit_test(things_that_are_no_file),
		cmocka_unit_test(a_file_beyond_all_measure_is_not_even_read),
		cmocka_unit_test(findings_have_an_end),
	};
	return cmocka_run_group_tests_name("configuration", tests, make_folder, remove_folder);
}
