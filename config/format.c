#include "config/config.h"
#include "config/format.h"

#include "plugins/modbus/map.h"

static const cyaml_strval_t parities[] = { { "none", 'N' }, { "even", 'E' }, { "odd", 'O' } };
static const cyaml_strval_t framings[] = { { "tcp", 0 }, { "rtu", 1 } };
static const cyaml_strval_t start_cuff_words[] = { { "never", 0 }, { "allowed", 1 } };
static const cyaml_strval_t apply_words[] = { { "by-hand", 0 }, { "daily", 1 } };
static const cyaml_strval_t audio_words[] = { { "off", 0 }, { "alsa", 1 } };
static const cyaml_strval_t metrics[] = {
	/* those that a register can hold: not derived, not entered, no words */
	{ "hr", VS_HR },
	{ "pr", VS_PR },
	{ "spo2", VS_SPO2 },
	{ "nibp_sys", VS_NIBP_SYS },
	{ "nibp_dia", VS_NIBP_DIA },
	{ "nibp_map", VS_NIBP_MAP },
	{ "nibp_pr", VS_NIBP_PR },
	{ "rr", VS_RR },
	{ "temp", VS_TEMP },
	{ "pi", VS_PI },
	{ "temp2", VS_TEMP2 },
	{ "cuff_pressure", VS_CUFF_PRESSURE },
	{ "pulse_amplitude", VS_PULSE_AMPLITUDE },
};
static const cyaml_strval_t tables[] = {
	{ "input", VS_INPUT }, { "holding", VS_HOLDING }, { "discrete", VS_DISCRETE }, { "coil", VS_COIL }
};
static const cyaml_strval_t types[] = {
	{ "u16", VS_U16 }, { "i16", VS_I16 },   { "u32", VS_U32 },   { "i32", VS_I32 },
	{ "f32", VS_F32 }, { "u8hi", VS_U8HI }, { "u8lo", VS_U8LO }, { "bit", VS_BIT },
	{ "u8pair", VS_U8PAIR },
};
static const cyaml_strval_t orders[] = {
	{ "abcd", VS_ABCD }, { "cdab", VS_CDAB }, { "badc", VS_BADC }, { "dcba", VS_DCBA }
};

#define LINE_FIELDS                                                                                                    \
	VS_UINT("baud", 0, struct raw_line, baud, 50, 4000000),                                                        \
		VS_ENUM("parity", 0, struct raw_line, parity, parities),                                               \
		VS_UINT("data_bits", 0, struct raw_line, data_bits, 5, 8),                                             \
		VS_UINT("stop_bits", 0, struct raw_line, stop_bits, 1, 2)

static const cyaml_schema_field_t line_fields[] = { VS_STRING("path", VS_REQUIRED, struct raw_line, path, 255),
						    LINE_FIELDS, VS_END };

static const cyaml_schema_field_t tcp_fields[] = {
	VS_STRING("host", VS_REQUIRED, struct raw_tcp, host, 253),
	VS_UINT("port", 0, struct raw_tcp, port, 1, 65535),
	VS_ENUM("framing", 0, struct raw_tcp, framing, framings),
	VS_END,
};
static const cyaml_schema_field_t udp_fields[] = {
	VS_STRING("host", VS_REQUIRED, struct raw_tcp, host, 253),
	VS_UINT("port", 0, struct raw_tcp, port, 1, 65535),
	VS_END,
};

static const cyaml_schema_value_t metric_entry = {
	CYAML_VALUE_ENUM(CYAML_FLAG_STRICT, int, metrics, CYAML_ARRAY_LEN(metrics))
};
static const cyaml_schema_value_t number_entry = { CYAML_VALUE_FLOAT(CYAML_FLAG_DEFAULT, double) };

#define PLACE_FIELDS                                                                                                   \
	VS_ENUM("table", VS_REQUIRED, struct raw_register, table, tables),                                             \
		VS_UINT("address", VS_REQUIRED, struct raw_register, address, 0, 65535),                               \
		VS_ENUM("type", 0, struct raw_register, type, types),                                                  \
		VS_ENUM("order", 0, struct raw_register, order, orders),                                               \
		VS_UINT("bit", 0, struct raw_register, bit, 0, 15)

static const cyaml_schema_field_t register_fields[] = {
	VS_ENUM("metric", 0, struct raw_register, metric, metrics),
	VS_STRING("flag", 0, struct raw_register, flag, VS_FLAG_NAME_CAP - 1),
	PLACE_FIELDS,
	VS_NUMBER("scale", 0, struct raw_register, scale),
	VS_NUMBER("offset", 0, struct raw_register, offset),
	VS_BOOL("inverted", 0, struct raw_register, inverted),
	VS_LIST("concerns", 0, struct raw_register, concerns, &metric_entry, 1, VS_METRIC_COUNT),
	VS_LIST("invalid", 0, struct raw_register, invalid, &number_entry, 1, VS_INVALID_MAX),
	VS_END,
};
static const cyaml_schema_value_t register_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_register,
									 register_fields) };
static const cyaml_schema_field_t new_reading_fields[] = { PLACE_FIELDS, VS_END };

#define POLLING_FIELDS(_struct)                                                                                        \
	VS_STRING("unit", 0, _struct, polling.unit, 31), VS_STRING("poll", 0, _struct, polling.poll, 31),              \
		VS_STRING("timeout", 0, _struct, polling.timeout, 31),                                                 \
		VS_STRING("pause", 0, _struct, polling.pause, 31),                                                     \
		VS_STRING("connect_pause", 0, _struct, polling.connect_pause, 31),                                     \
		VS_UINT("retries", 0, _struct, polling.retries, 0, 10),                                                \
		VS_UINT("largest_gap", 0, _struct, polling.largest_gap, 0, 124)

#define MAP_FIELDS(_struct, _flags)                                                                                    \
	VS_LIST("registers", _flags, _struct, registers, &register_entry, 1, VS_MAP_MAX),                              \
		VS_MAPPING("new_reading", 0, _struct, new_reading, new_reading_fields)

static const cyaml_schema_field_t device_fields[] = {
	VS_STRING("id", VS_REQUIRED, struct raw_device, id, 100),
	VS_STRING("plugin", VS_REQUIRED, struct raw_device, plugin, 63),
	VS_MAPPING("serial", 0, struct raw_device, serial, line_fields),
	VS_MAPPING("rtu", 0, struct raw_device, rtu, line_fields),
	VS_MAPPING("tcp", 0, struct raw_device, tcp, tcp_fields),
	VS_MAPPING("udp", 0, struct raw_device, udp, udp_fields),
	VS_FREE_FORM("options"),
	POLLING_FIELDS(struct raw_device),
	VS_STRING("profile", 0, struct raw_device, profile, 255),
	MAP_FIELDS(struct raw_device, 0),
	VS_ENUM("start_cuff", 0, struct raw_device, start_cuff, start_cuff_words),
	VS_END,
};
static const cyaml_schema_value_t device_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_device,
								       device_fields) };

static const cyaml_schema_field_t annunciator_fields[] = {
	VS_ENUM("audio", 0, struct raw_annunciator, audio, audio_words),
	VS_STRING("device", 0, struct raw_annunciator, device, 255),
	VS_STRING("command", 0, struct raw_annunciator, command, 255),
	VS_END,
};

static const cyaml_schema_field_t chair_fields[] = {
	VS_STRING("id", VS_REQUIRED, struct raw_chair, id, 100),
	VS_STRING("limits", VS_REQUIRED, struct raw_chair, limits, 63),
	VS_MAPPING("annunciator", 0, struct raw_chair, annunciator, annunciator_fields),
	VS_LIST("devices", VS_REQUIRED, struct raw_chair, devices, &device_entry, 1, VS_CHAIR_DEVICES_MAX),
	VS_END,
};
static const cyaml_schema_value_t chair_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_chair,
								      chair_fields) };

static const cyaml_schema_field_t log_fields[] = {
	VS_STRING("path", VS_REQUIRED, struct raw_log, path, 4000),
	VS_STRING("custody", 0, struct raw_log, custody, 31),
	VS_STRING("rotate", 0, struct raw_log, rotate, 31),
	VS_STRING("retention", 0, struct raw_log, retention, 31),
	VS_STRING("retention_shorter_because", 0, struct raw_log, shorter, 300),
	VS_ENUM("retention_apply", 0, struct raw_log, apply, apply_words),
	VS_END,
};

static const cyaml_schema_field_t audit_fields[] = {
	VS_BOOL("trace", 0, struct raw_audit, trace),
	VS_END,
};

static const cyaml_schema_value_t url_entry = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 255) };
static const cyaml_schema_value_t file_entry = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 4000) };

static const cyaml_schema_field_t publish_fields[] = {
	VS_LIST("events", 0, struct raw_publish, events, &url_entry, 0, 16),
	VS_LIST("query", 0, struct raw_publish, query, &url_entry, 0, 16),
	VS_END,
};

static const cyaml_strval_t roles[] = {
	{ "nurse", VS_ROLE_NURSE },
	{ "prescriber", VS_ROLE_PRESCRIBER },
	{ "engineer", VS_ROLE_ENGINEER },
	{ "auditor", VS_ROLE_AUDITOR },
};
static const cyaml_schema_field_t operator_fields[] = {
	VS_STRING("name", VS_REQUIRED, struct raw_operator, name, 100),
	VS_ENUM("role", VS_REQUIRED, struct raw_operator, role, roles),
	VS_UINT("uid", 0, struct raw_operator, uid, 0, 4294967294u),
	VS_END,
};
static const cyaml_schema_value_t operator_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_operator, operator_fields)
};

static const cyaml_schema_field_t config_fields[] = {
	VS_STRING("site", VS_REQUIRED, struct raw_config, site, 63),
	VS_MAPPING("log", VS_REQUIRED, struct raw_config, log, log_fields),
	VS_MAPPING("publish", 0, struct raw_config, publish, publish_fields),
	VS_MAPPING("audit", 0, struct raw_config, audit, audit_fields),
	VS_STRING("control", 0, struct raw_config, control, 107),
	VS_MAPPING("annunciator", 0, struct raw_config, annunciator, annunciator_fields),
	VS_LIST("limit_files", 0, struct raw_config, limit_files, &file_entry, 0, 64),
	VS_LIST("preset_files", 0, struct raw_config, preset_files, &file_entry, 0, 64),
	VS_LIST("operators", 0, struct raw_config, operators, &operator_entry, 1, 256),
	VS_LIST("chairs", VS_REQUIRED, struct raw_config, chairs, &chair_entry, 1, 10000),
	VS_END,
};
const cyaml_schema_value_t vs_config_format = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_config,
								    config_fields) };

static const cyaml_schema_field_t profile_line_fields[] = { LINE_FIELDS, VS_END };
static const cyaml_schema_field_t profile_fields[] = {
	VS_STRING("summary", 0, struct raw_profile, summary, 200),
	VS_STRING("manual", 0, struct raw_profile, manual, 400),
	VS_MAPPING("line", 0, struct raw_profile, line, profile_line_fields),
	POLLING_FIELDS(struct raw_profile),
	MAP_FIELDS(struct raw_profile, VS_REQUIRED),
	VS_END,
};
const cyaml_schema_value_t vs_profile_format = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_profile,
								     profile_fields) };
