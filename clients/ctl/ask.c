#include "clients/ctl/ask.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "clients/ctl/show.h"
#include "config/config.h"

#define DEFAULT_CONTROL "/run/vitalsd/control.sock"
#define ANSWER_TIMEOUT_MS 10000

bool vs_ask_has(int argc, char **argv, const char *option)
{
	size_t len = strlen(option);
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], option, len) == 0 && (argv[i][len] == '\0' || argv[i][len] == '='))
			return true;
	return false;
}

const char *vs_ask_login(void)
{
	const struct passwd *p = getpwuid(getuid());
	return p ? p->pw_name : "unknown";
}

/* The place for the value of option `name`, or NULL.  *is_switch: it takes no value. */
static const char **place_of(struct vs_ask *a, const char *name, const char *const *own, bool *is_switch)
{
	const struct {
		const char *name;
		const char **place;
	} common[] = { { "control", &a->control }, { "config", &a->config }, { "chair", &a->chair },
		       { "operator", &a->operator_name } };
	size_t len = strcspn(name, "=");
	*is_switch = false;
	for (size_t i = 0; i < sizeof common / sizeof *common; i++)
		if (strlen(common[i].name) == len && strncmp(common[i].name, name, len) == 0)
			return common[i].place;
	for (size_t i = 0; own && own[i]; i++) {
		size_t own_len = strcspn(own[i], "!");
		if (own_len != len || strncmp(own[i], name, len) != 0)
			continue;
		*is_switch = own[i][own_len] == '!';
		return &a->values[i];
	}
	return NULL;
}

static int take_option(struct vs_ask *a, int argc, char **argv, int *i, const char *const *own)
{
	const char *name = argv[*i] + 2, *equals = strchr(name, '=');
	if (strcmp(name, "json") == 0) {
		a->json = true;
		return VS_EXIT_DONE;
	}
	bool is_switch;
	const char **place = place_of(a, name, own, &is_switch);
	if (!place)
		return vs_ctl_usage("%s: there is no option %s", argv[0], argv[*i]);
	if (is_switch && equals)
		return vs_ctl_usage("%s: %.*s takes no value", argv[0], (int)strcspn(argv[*i], "="), argv[*i]);
	if (is_switch)
		*place = "yes";
	else if (equals)
		*place = equals + 1;
	else if (*i + 1 < argc)
		*place = argv[++*i];
	else
		return vs_ctl_usage("%s: %s wants a value", argv[0], argv[*i]);
	return VS_EXIT_DONE;
}

/* What a request can carry: JSON is UTF-8, and what is not would be left out of it. */
static bool is_utf8(const char *text)
{
	json_t *string = json_string(text);
	json_decref(string);
	return string != NULL;
}

/* The socket that --config names. */
static int take_config(struct vs_ask *a)
{
	struct vs_config *config = NULL;
	struct vs_findings findings = { 0 };
	int r = vs_config_load(a->config, &config, &findings);
	vs_findings_print(&findings, stderr);
	vs_findings_clear(&findings);
	if (r < 0)
		return r == -EINVAL ? VS_EXIT_CONFIG : vs_ctl_fail("%s: %s", a->config, strerror(-r));
	snprintf(a->named, sizeof a->named, "%s", config->control);
	a->control = a->named;
	vs_config_free(config);
	return VS_EXIT_DONE;
}

int vs_ask_options(struct vs_ask *a, int argc, char **argv, const char *const *own)
{
	memset(a, 0, sizeof *a);
	bool options = true;
	for (int i = 1; i < argc; i++)
		if (!is_utf8(argv[i]))
			return vs_ctl_usage("%s: word %d is no text in UTF-8: set the terminal to UTF-8, or leave the accents out", argv[0],
				i + 1);
	for (int i = 1; i < argc; i++) {
		if (options && strcmp(argv[i], "--") == 0) {
			options = false;
		} else if (options && strncmp(argv[i], "--", 2) == 0) {
			int r = take_option(a, argc, argv, &i, own);
			if (r != VS_EXIT_DONE)
				return r;
		} else if (a->n_words < (int)(sizeof a->words / sizeof *a->words)) {
			a->words[a->n_words++] = argv[i];
		} else {
			return vs_ctl_usage("%s: too many words", argv[0]);
		}
	}
	if (!a->operator_name)
		a->operator_name = vs_ask_login();
	return a->config && !a->control ? take_config(a) : VS_EXIT_DONE;
}

static void __attribute__((format(printf, 2, 3))) complain(const struct vs_ask *a, const char *format, ...)
{
	char words[512];
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof words, format, args);
	va_end(args);
	if (a->trouble)
		snprintf(a->trouble, a->trouble_cap, "%s", words);
	else
		vs_ctl_fail("%s", words);
}

bool vs_ask_socket(const struct vs_ask *a, char *to, size_t cap)
{
	struct vs_ask of = *a; /* what was not read from the command line still has its --config */
	if (!of.control && of.config && take_config(&of) != VS_EXIT_DONE)
		return false;
	const char *path = of.control;
	if (!path)
		path = getenv("VITALSD_CONTROL");
	if (!path || !*path) /* an empty variable is none */
		path = DEFAULT_CONTROL;
	bool fits = strlen(path) < cap;
	if (fits)
		strcpy(to, path);
	else
		complain(a, "control socket %s: the path is too long", path);
	return fits;
}

static int connect_daemon(const struct vs_ask *a)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	if (!vs_ask_socket(a, sa.sun_path, sizeof sa.sun_path))
		return -1;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned ms = a->patience_ms ? a->patience_ms : ANSWER_TIMEOUT_MS;
	struct timeval patience = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0 ||
	    connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0) {
		const char *hint = errno == EACCES ? " (you must be in the group vitalsd)"
				   : errno == ENOENT || errno == ECONNREFUSED
					   ? " (is vitalsd running? --control names another socket)"
					   : "";
		complain(a, "cannot reach vitalsd at %s: %s%s", sa.sun_path, strerror(errno), hint);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static bool send_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

/* One line of any length; NULL: the daemon went away or took too long. */
static char *receive_line(int fd)
{
	size_t len = 0, cap = 64 * 1024;
	char *line = malloc(cap);
	while (line) {
		if (len == cap) {
			char *more = realloc(line, cap *= 2);
			if (!more)
				break;
			line = more;
		}
		ssize_t n = recv(fd, line + len, cap - len, 0);
		if (n <= 0)
			break;
		char *end = memchr(line + len, '\n', (size_t)n);
		len += (size_t)n;
		if (end) {
			*end = '\0';
			return line;
		}
	}
	free(line);
	return NULL;
}

json_t *vs_ask_daemon(const struct vs_ask *a, json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	int fd = text ? connect_daemon(a) : -1;
	if (fd < 0) {
		free(text);
		return NULL;
	}
	char *line = send_all(fd, text, strlen(text)) && send_all(fd, "\n", 1) ? receive_line(fd) : NULL;
	free(text);
	close(fd);
	json_error_t e;
	json_t *answer = line ? json_loads(line, JSON_DECODE_ANY, &e) : NULL;
	free(line);
	if (!answer)
		complain(a, "vitalsd gave no answer");
	if (!a->json)
		vs_show_calm(answer, "");
	return answer;
}

/* Several reasons: a line each, and what would help.  False: there are not several. */
static bool tell_findings(const json_t *answer)
{
	const char *error = vs_json_text(answer, "error"), *help = strstr(error, " (to go on: ");
	json_t *g, *gates = json_object_get(answer, "gates");
	size_t i;
	if (json_array_size(gates) < 2)
		return false;
	fputs("vitalsctl: refused\n", stderr);
	json_array_foreach(gates, i, g)
		if (!json_is_true(json_object_get(g, "settled")))
			fprintf(stderr, "  %s: %s\n", vs_json_text(g, "code"), vs_json_text(g, "text"));
	if (!help)
		help = strstr(error, " (cannot be");
	if (help)
		fprintf(stderr, " %s\n", help);
	return true;
}

/* The codes, where the words do not begin with them already ("G5: nobody has looked ..."). */
static void tell_refusal(const json_t *answer)
{
	const char *error = vs_json_text(answer, "error");
	const json_t *codes = json_object_get(answer, "codes"), *code;
	const char *first = json_string_value(json_array_get(codes, 0));
	size_t i;
	if (tell_findings(answer))
		return;
	fputs("vitalsctl: ", stderr);
	if (first && strncmp(error, first, strlen(first)) != 0) {
		json_array_foreach(codes, i, code)
			fprintf(stderr, "%s%s", i ? " " : "", json_string_value(code) ? json_string_value(code) : "?");
		fputs(": ", stderr);
	}
	fprintf(stderr, "%s\n", *error ? error : "refused");
}

int vs_ask_and_tell(const struct vs_ask *a, json_t *request, json_t **ret)
{
	json_t *answer = vs_ask_daemon(a, request);
	if (!answer)
		return VS_EXIT_FAILED;
	bool ok = json_is_true(json_object_get(answer, "ok"));
	if (a->json) {
		json_dumpf(answer, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12)); /* 70.55, not 70.549999999999997 */
		putchar('\n');
	}
	if (!ok)
		tell_refusal(answer);
	else if (json_object_get(answer, "waiting"))
		fprintf(stderr, "vitalsctl: the log cannot be written and its buffer is full: the daemon keeps this in memory only. "
			"Write it down on paper too, and call the engineer\n");
	if (ok && ret)
		*ret = answer;
	else
		json_decref(answer);
	return ok ? VS_EXIT_DONE : VS_EXIT_FAILED;
}

const char *vs_json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}
