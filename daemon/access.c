/* Reading leaves a trace where the configuration asks for it (`audit: trace: true`).
 *
 * Who reads the log opens the file himself; so the log says that it wants to be told (an entry `read-trace`, once an
 * epoch and at a change), and vitalsctl, which looks for that, tells the daemon over the control socket before it shows
 * anything.  Both entries belong to no session: reading an old session is no part of the one that is running. */
#include <jansson.h>
#include <string.h>

#include "daemon/chair.h"

static void entry(struct vs_chair *c, struct vs_json *j, const char *body)
{
	if (!vs_json_failed(j))
		vs_chair_note(c, body, j->len);
}

void vs_daemon_say_policy(struct vs_daemon *d)
{
	char body[512];
	struct vs_json j = vs_json_into(body, sizeof body);
	vs_json_member(&j, "entry", "read-trace");
	vs_json_member(&j, "value", d->config->audit_trace ? "on" : "off");
	vs_json_member(&j, "unit", "");
	vs_json_member(&j, "note",
		       d->config->audit_trace ? "who reads the record is to be recorded" : "reading the record leaves no trace");
	if (d->n_chairs)
		entry(d->chairs[0], &j, body);
}

void vs_daemon_access(struct vs_daemon *d, const struct vs_access *a)
{
	char body[2048];
	struct vs_json j = vs_json_into(body, sizeof body);
	struct vs_chair *c = a->chair ? vs_daemon_chair(d, a->chair) : NULL;
	vs_json_member(&j, "entry", "access");
	vs_json_member(&j, "value", a->what);
	vs_json_member(&j, "unit", "");
	if (a->session)
		vs_json_member(&j, "read", a->session);
	vs_json_member(&j, "note", a->log);
	vs_json_member(&j, "operator", a->operator);
	vs_json_key(&j, "uid"), vs_json_uint(&j, a->uid);
	if (c || d->n_chairs)
		entry(c ? c : d->chairs[0], &j, body);
}
