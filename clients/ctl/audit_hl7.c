/* A session as HL7 v2.6 messages ORU^R01 in the manner of IHE PCD-01, for what receives results from bedside monitors.
 *
 * A message holds a minute of the session; in it an order group (OBR) is one reading of one device, with that reading's
 * own time, and below it stand MDS, VMD and CHAN of the containment and each metric with its ISO/IEEE 11073 code.  Every
 * reading is there and as it was measured: nothing is averaged, and where a device gave no value OBX-5 is empty, OBX-11
 * is X and a note says why.  A metric without an MDC code has no place here; JSON and CSV have it.
 *
 * Messages follow one another; each segment ends with CR (HL7 v2.6, 2.5.4).  To send them, frame each by MLLP. */
#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "clients/ctl/audit.h"
#include "core/json.h"
#include "core/metric.h"
#include "core/timetext.h"

#define METRICS_MAX 32
#define TIME_CAP 32
#define EUI_CAP 17

struct value {
	enum vs_metric metric;
	bool has_value;
	double value;
	char flags[512];
};

struct sender {
	FILE *to;
	char session[128], site[128], chair[64], patient[64], device[64];
	char gateway[EUI_CAP]; /* what names this daemon, and this device, in the world */
	char now[TIME_CAP];
	int64_t minute;
	unsigned messages, orders, lines;
	int64_t at_ms;
	unsigned n;
	struct value values[METRICS_MAX];
};

/* ---- Pieces of a segment ---- */

/* Text as a field or a component may hold it (HL7 v2.6, 2.7). */
static void put_text(FILE *to, const char *text)
{
	static const struct {
		char c;
		const char *escape;
	} escapes[] = { { '|', "\\F\\" }, { '^', "\\S\\" }, { '~', "\\R\\" }, { '&', "\\T\\" }, { '\\', "\\E\\" } };
	for (; *text; text++) {
		const char *escape = NULL;
		for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
			if (*text == escapes[i].c)
				escape = escapes[i].escape;
		if (escape)
			fputs(escape, to);
		else if ((unsigned char)*text < 0x20 || *text == 0x7f)
			fprintf(to, "\\X%02X\\", (unsigned char)*text);
		else
			fputc(*text, to);
	}
}

static void end_segment(const struct sender *s)
{
	fputc('\r', s->to);
}

/* 20261121222139.512+0000 */
static void time_of(int64_t ms, char buf[TIME_CAP])
{
	char text[VS_TIME_TEXT_CAP];
	vs_time_text(ms, text);
	snprintf(buf, TIME_CAP, "%.4s%.2s%.2s%.2s%.2s%.2s.%.3s+0000", text, text + 5, text + 8, text + 11, text + 14, text + 17,
		 text + 20);
}

/* An EUI-64 of the locally administered kind for what has none that we know of: always the same for the same thing. */
static void eui_of(const char *site, const char *chair, const char *device, char eui[EUI_CAP])
{
	uint8_t h[32];
	char text[512];
	int n = snprintf(text, sizeof text, "eui-64|%s|%s|%s", site, chair, device);
	crypto_hash_sha256(h, (const uint8_t *)text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
	h[0] = (uint8_t)((h[0] & 0xfc) | 0x02);
	for (int i = 0; i < 8; i++)
		snprintf(eui + 2 * i, 3, "%02X", h[i]);
}

/* ---- What the codes are ---- */

/* Where a metric hangs in the containment: VMD and its one channel (ISO/IEEE 11073-10101). */
static const struct channel {
	unsigned vmd, chan;
	const char *name; /* MDC_DEV_..._VMD, ..._CHAN */
} channels[] = {
	{ 69642, 69643, "ANALY_SAT_O2" },
	{ 69854, 69855, "METER_PRESS_BLD" },
	{ 69798, 69799, "ECG" },
	{ 70666, 70667, "ECG_RESP" },
	{ 69902, 69903, "METER_TEMP" },
};
#define CHANNELS (sizeof channels / sizeof *channels)

static size_t channel_of(enum vs_metric m)
{
	if (vs_metric_is_nibp(m))
		return 1;
	return m == VS_HR ? 2 : m == VS_RR ? 3 : m == VS_TEMP ? 4 : 0;
}

static const char *unit_of(enum vs_metric m)
{
	static const struct {
		const char *ucum, *mdc;
	} units[] = { { "%", "262688^MDC_DIM_PERCENT" }, { "mm[Hg]", "266016^MDC_DIM_MMHG" }, { "Cel", "268192^MDC_DIM_DEGC" } };
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strcmp(vs_metrics[m].unit, units[i].ucum) == 0)
			return units[i].mdc;
	return m == VS_RR ? "264928^MDC_DIM_RESP_PER_MIN" : "264864^MDC_DIM_BEAT_PER_MIN";
}

/* OBX-8: what speaks against a value, in the words of PCD-01. */
static const char *status_of(const struct value *v)
{
	if (!v->has_value)
		return "NAV";
	if (strstr(v->flags, "\"demo\""))
		return "DEMO";
	return strstr(v->flags, "\"suspect\"") || strstr(v->flags, "\"questionable\"") || strstr(v->flags, "\"artifact\"") ? "QUES" : "";
}

/* ---- Segments ---- */

static void begin_message(struct sender *s)
{
	FILE *to = s->to;
	fprintf(to, "MSH|^~\\&|vitalsd^%s^EUI-64|", s->gateway);
	put_text(to, s->site);
	fprintf(to, "|||%s||ORU^R01^ORU_R01|", s->now);
	put_text(to, s->session);
	fprintf(to, ".%u|P|2.6|||AL|NE||UNICODE UTF-8|||IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO", ++s->messages);
	end_segment(s);
	fputs("PID|1||", to);
	put_text(to, s->patient);
	fputs("^^^", to);
	put_text(to, s->site);
	fputs("^PI||", to);
	put_text(to, s->patient);
	fputs("^^^^^^S", to); /* a coded pseudo-name (HL7 table 0200) */
	end_segment(s);
	fputs("PV1|1|O|", to);
	put_text(to, s->site);
	fputs("^^", to);
	put_text(to, s->chair);
	fputs("||||||||||||||||", to);
	put_text(to, s->session);
	fputs("^^^", to);
	put_text(to, s->site);
	fputs("^VN", to);
	end_segment(s);
	s->orders = 0;
}

static void containment(struct sender *s, unsigned code, const char *name, const char *kind, const char *place, const char *eui)
{
	fprintf(s->to, "OBX|%u||%u^MDC_DEV_%s_%s^MDC|%s|||||||X", ++s->lines, code, name, kind, place);
	if (eui) {
		fputs("|||||||", s->to);
		put_text(s->to, s->device);
		fprintf(s->to, "^vitalsd^%s^EUI-64", eui);
	}
	end_segment(s);
}

/* `["sensor_off"]` as `sensor_off`, for people. */
static void note(struct sender *s, const char *flags)
{
	json_t *names = json_loads(flags, 0, NULL), *name;
	size_t i;
	if (json_array_size(names)) {
		fputs("NTE|1|L|", s->to);
		json_array_foreach(names, i, name) {
			fputs(i ? ", " : "", s->to);
			put_text(s->to, json_string_value(name) ? json_string_value(name) : "");
		}
		end_segment(s);
	}
	json_decref(names);
}

static void observation(struct sender *s, const struct value *v, size_t channel, const char *at, const char *eui)
{
	const struct vs_metric_info *m = &vs_metrics[v->metric];
	char number[32] = "";
	if (v->has_value)
		vs_number_text(v->value, number);
	fprintf(s->to, "OBX|%u|NM|%u^%s^MDC|1.%zu.1.%u|%s|%s^MDC^%s^%s^UCUM||%s|||%s||%s|%s||||", ++s->lines, m->mdc, m->mdc_name,
		channel + 1, m->mdc, number, unit_of(v->metric), m->unit, m->unit, status_of(v), v->has_value ? "R" : "X",
		vs_metric_is_nibp(v->metric) ? "APERIODIC" : "", at);
	put_text(s->to, s->device);
	fprintf(s->to, "^vitalsd^%s^EUI-64", eui);
	end_segment(s);
	note(s, v->flags);
}

static void channel(struct sender *s, size_t c, const char *at, const char *eui)
{
	bool begun = false;
	char place[16];
	for (unsigned i = 0; i < s->n; i++) {
		if (channel_of(s->values[i].metric) != c)
			continue;
		if (!begun) {
			snprintf(place, sizeof place, "1.%zu.0.0", c + 1);
			containment(s, channels[c].vmd, channels[c].name, "VMD", place, NULL);
			snprintf(place, sizeof place, "1.%zu.1.0", c + 1);
			containment(s, channels[c].chan, channels[c].name, "CHAN", place, NULL);
		}
		begun = true;
		observation(s, &s->values[i], c, at, eui);
	}
}

/* The reading that was gathered, as an order group. */
static void end_reading(struct sender *s)
{
	char at[TIME_CAP], eui[EUI_CAP];
	if (!s->n)
		return;
	if (!s->messages || s->at_ms / 60000 != s->minute)
		begin_message(s);
	s->minute = s->at_ms / 60000;
	time_of(s->at_ms, at);
	eui_of(s->site, s->chair, s->device, eui);
	fprintf(s->to, "OBR|%u||", ++s->orders);
	put_text(s->to, s->session);
	fprintf(s->to, ".%u.%u^vitalsd^%s^EUI-64|182777000^monitoring of patient^SCT|||%s|%s", s->messages, s->orders, s->gateway, at, at);
	end_segment(s);
	s->lines = 0;
	containment(s, 69965, "MON_PHYSIO_MULTI_PARAM", "MDS", "1.0.0.0", eui);
	for (size_t c = 0; c < CHANNELS; c++)
		channel(s, c, at, eui);
	s->n = 0;
}

/* ---- From the log ---- */

static bool belongs(const struct sender *s, const char *device, int64_t at_ms, enum vs_metric m)
{
	if (s->n == METRICS_MAX || s->at_ms != at_ms || strcmp(s->device, device) != 0)
		return false;
	for (unsigned i = 0; i < s->n; i++)
		if (s->values[i].metric == m)
			return false; /* a second reading in the same millisecond */
	return true;
}

static void take(struct sender *s, sqlite3_stmt *st)
{
	const char *device = (const char *)sqlite3_column_text(st, 0), *name = (const char *)sqlite3_column_text(st, 1);
	int64_t at_ms = sqlite3_column_int64(st, 2);
	enum vs_metric m = vs_metric_by_name(name, strlen(name));
	if (m == VS_METRIC_NONE || !vs_metrics[m].mdc || sqlite3_column_type(st, 3) == SQLITE_TEXT)
		return;
	if (!belongs(s, device, at_ms, m))
		end_reading(s);
	struct value *v = &s->values[s->n++];
	snprintf(s->device, sizeof s->device, "%s", device);
	s->at_ms = at_ms;
	*v = (struct value){ .metric = m, .has_value = sqlite3_column_type(st, 3) != SQLITE_NULL,
			     .value = sqlite3_column_double(st, 3) };
	snprintf(v->flags, sizeof v->flags, "%s", (const char *)sqlite3_column_text(st, 4));
}

static int read_session(struct vs_log *l, const struct vs_log_options *o, struct sender *s)
{
	sqlite3_stmt *st = vs_log_query(l,
		"SELECT s.chair, s.patient, (SELECT o.site FROM session x JOIN event USING(event) JOIN origin o USING(origin)"
		" WHERE x.session = s.session) FROM audit_session s WHERE s.session = :session", o);
	int rc = st ? sqlite3_step(st) : SQLITE_ERROR;
	if (rc == SQLITE_ROW) {
		const char *patient = (const char *)sqlite3_column_text(st, 1);
		snprintf(s->chair, sizeof s->chair, "%s", (const char *)sqlite3_column_text(st, 0));
		snprintf(s->patient, sizeof s->patient, "%s", patient ? patient : "");
		snprintf(s->site, sizeof s->site, "%s", (const char *)sqlite3_column_text(st, 2));
	}
	sqlite3_finalize(st);
	return rc == SQLITE_ROW ? VS_EXIT_DONE : vs_log_failed(l);
}

int vs_audit_hl7(struct vs_log *l, const char *session, FILE *to)
{
	struct vs_log_options o = { .session = session };
	struct sender s = { .to = to };
	struct timespec now;
	int rc = SQLITE_ERROR;
	snprintf(s.session, sizeof s.session, "%s", session);
	if (read_session(l, &o, &s) != VS_EXIT_DONE)
		return VS_EXIT_FAILED;
	clock_gettime(CLOCK_REALTIME, &now);
	time_of((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, s.now);
	eui_of(s.site, "", "", s.gateway);
	sqlite3_stmt *st = vs_log_query(l, "SELECT device, metric, observed_ms, value, flags FROM audit_observation"
					   " WHERE session = :session ORDER BY observed_ms, device, metric", &o);
	while (st && (rc = sqlite3_step(st)) == SQLITE_ROW)
		take(&s, st);
	sqlite3_finalize(st);
	if (rc != SQLITE_DONE)
		return vs_log_failed(l);
	end_reading(&s);
	return VS_EXIT_DONE;
}
