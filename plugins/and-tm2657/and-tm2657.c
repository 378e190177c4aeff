/* A&D TM-2657P: a record after each measurement, fields told apart by their letter.
 *
 * Facts: two public hosts (one by letter, one by place); header fields and digits are not confirmed by a manual.
 *
 *	STX RS id RS date RS time RS E00 RS S124 RS M 092 RS D 078 RS P069 RS i 00 RS m0 RS r0 RS t 035 RS ETX CR LF
 *	    E error   S systolic   M mean   D diastolic   P pulse   i irregular beats   m movement   r retest   t seconds
 *
 * The second field may name the patient: it is skipped by its place and never leaves this file. */
#include "core/plugin.h"
#include "plugins/nibp.h"
#include "plugins/text.h"

#define STX 0x02
#define ETX 0x03
#define RS 0x1E
#define RECORD_MAX 200
#define HEADER_FIELDS 2 /* nothing, and the id */

/* Only one of the hosts saw STX and ETX; without them a record ends with its line. */
struct state {
	bool lines;
};

enum letter { E, S, M, D, P, I, MOVEMENT, LETTERS };
static const char letters[] = "ESMDPim";

struct record {
	uint32_t value[LETTERS];
	bool given[LETTERS];
};

static int frame_line(const uint8_t *buf, size_t len)
{
	if (buf[0] != RS && (buf[0] < 0x20 || buf[0] > 0x7E))
		return -1;
	for (size_t i = 1; i < len && i < RECORD_MAX; i++) {
		if (buf[i] == '\r' || buf[i] == '\n')
			return (int)i + 1;
		if ((buf[i] < 0x20 && buf[i] != RS) || buf[i] > 0x7E)
			return -(int)i - 1;
	}
	return len < RECORD_MAX ? 0 : -1;
}

static int frame(void *state, const uint8_t *buf, size_t len)
{
	const struct state *s = state;
	if (buf[0] == '\r' || buf[0] == '\n')
		return 1;
	if (s->lines)
		return frame_line(buf, len);
	if (buf[0] != STX)
		return -1;
	for (size_t i = 1; i < len && i < RECORD_MAX; i++) {
		if (buf[i] == ETX)
			return (int)i + 1;
		if ((buf[i] < 0x20 && buf[i] != RS) || buf[i] > 0x7E)
			return -(int)i;
	}
	return len < RECORD_MAX ? 0 : -1;
}

/* False: a letter that stands twice, or one with something else than a number behind it. */
static bool read_field(struct vs_text t, struct record *r)
{
	const char *at = vs_text_ended(&t) ? NULL : strchr(letters, *t.at);
	if (!at)
		return true; /* date and time, or a letter without a use here */
	size_t i = (size_t)(at - letters);
	t.at++;
	while (vs_text_take(&t, " "))
		;
	if (r->given[i])
		return false;
	r->given[i] = true;
	return vs_text_take_digits(&t, 1, 3, &r->value[i]) && vs_text_ended(&t);
}

static bool read_record(struct vs_text t, struct record *r)
{
	memset(r, 0, sizeof *r);
	for (unsigned n = 0; !vs_text_ended(&t); n++) {
		struct vs_text field = vs_text_word(&t, RS);
		if (n >= HEADER_FIELDS && !read_field(field, r))
			return false;
	}
	return r->given[S] && r->given[D];
}

static enum vs_decoded decode(void *state, const uint8_t *frame, size_t len, struct vs_reading *ret)
{
	const struct state *s = state;
	struct record r;
	if (len == 1)
		return VS_IGNORED;
	if (!read_record((struct vs_text){ (const char *)frame + !s->lines, (const char *)frame + len - 1 }, &r))
		return VS_REJECTED;
	struct vs_nibp v = { r.given[M], r.given[P], r.value[S], r.value[D], r.value[M], r.value[P] };
	uint64_t flags = (r.value[I] ? VS_FLAG(IRREGULAR) : 0) | (r.value[MOVEMENT] ? VS_FLAG(MOTION) : 0);
	if (r.value[E])
		vs_nibp_add_error(ret, &v, flags, (uint16_t)r.value[E]);
	else
		vs_nibp_add(ret, &v, flags);
	return VS_UNIT;
}

static int init(void *state, const struct vs_plugin_setting *settings)
{
	struct state *s = state;
	s->lines = vs_plugin_is_set(settings, "marks", "line");
	return 0;
}

static const struct vs_plugin_option options[] = {
	{ "marks", (const char *const[]){ "stx", "line", NULL },
	  "what a record stands between: STX and ETX, or line ends alone" },
	{ NULL },
};

const struct vs_plugin vs_plugin_and_tm2657 = {
	.abi = VS_PLUGIN_ABI,
	.name = "and-tm2657",
	.summary = "A&D TM-2657P: a record after each measurement",
	.manual = "two public hosts; no manual was seen",
	.devices = "A&D TM-2657P",
	.tested = "vectors made from the hosts' reading",
	.maturity = VS_DOCUMENTED,
	.identifies = true,
	.line = { 2400, 'N', 8, 1 },
	.spot = true,
	.silence_ms = 3600 * 1000, /* a record comes when somebody has measured */
	.metrics = 1u << VS_NIBP_SYS | 1u << VS_NIBP_DIA | 1u << VS_NIBP_MAP | 1u << VS_NIBP_PR,
	.options = options,
	.state_size = sizeof(struct state),
	.init = init,
	.frame = frame,
	.decode = decode,
};
