/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const FORM_NAMES[] = {"completions", "chat", "tgi", "llama", NULL};
const char *const ARRIVAL_NAMES[] = {"closed", "poisson", "constant", "bursty", "trace", NULL};
static const char *const PROMPT_NAMES[] = {"words", "letters", "ids", NULL};
static const char *const PATHS[] = {"/v1/completions", "/v1/chat/completions",
				    "/generate_stream", "/completion"};

#define SECOND UINT64_C(1000000000)
enum { LONGEST = 1 << 20 };
static const uint64_t MUCH = UINT64_C(1) << 53;

enum type { NUMBER, FLAG, STRING, WORD, RATE, LENGTHS, RANGE, HEADER };

static const struct key {
	const char *name;
	enum type type;
	size_t offset, room; /* room: of a string, 0 for other types */
	uint64_t low, high;
	const char *const *words;
} KEYS[] = {
#define AT(field) offsetof(struct config, field)
#define NUMBER_KEY(field, low, high) {#field, NUMBER, AT(field), 0, low, high, NULL}
#define STRING_KEY(field) {#field, STRING, AT(field), sizeof((struct config *)0)->field, 0, 0, NULL}
#define FLAG_KEY(field) {#field, FLAG, AT(field), 0, 0, 1, NULL}
#define WORD_KEY(field, words) {#field, WORD, AT(field), 0, 0, 0, words}
	STRING_KEY(host), STRING_KEY(path), STRING_KEY(model), NUMBER_KEY(port, 1, 65535),
	WORD_KEY(form, FORM_NAMES), FLAG_KEY(keep_alive),
	WORD_KEY(arrival, ARRIVAL_NAMES), {"rate", RATE, AT(rate), 0, 0, 0, NULL},
	NUMBER_KEY(burst, 1, 65536), NUMBER_KEY(concurrency, 1, 65536),
	NUMBER_KEY(max_streams, 1, 65536), NUMBER_KEY(requests, 0, 1 << 30),
	NUMBER_KEY(duration_ns, 0, MUCH), NUMBER_KEY(warmup_requests, 0, 1 << 30),
	NUMBER_KEY(warmup_ns, 0, MUCH), NUMBER_KEY(lead_ns, 0, 60 * SECOND),
	NUMBER_KEY(seed, 0, UINT64_MAX), STRING_KEY(trace),
	{"prompt", LENGTHS, AT(prompt), 0, 1, LONGEST, NULL},
	{"output", LENGTHS, AT(output), 0, 1, LONGEST, NULL},
	WORD_KEY(prompt_form, PROMPT_NAMES), NUMBER_KEY(shared_prefix, 0, LONGEST),
	{"vocabulary", RANGE, AT(vocabulary_low), 0, 0, 1 << 24, NULL},
	STRING_KEY(extra), {"header", HEADER, AT(headers), 0, 0, 0, NULL},
	STRING_KEY(header_file), STRING_KEY(bearer_file), STRING_KEY(bearer_env),
	NUMBER_KEY(connect_timeout_ns, 1000000, MUCH), NUMBER_KEY(first_byte_timeout_ns, 1000000, MUCH),
	NUMBER_KEY(stall_timeout_ns, 1000000, MUCH), NUMBER_KEY(total_timeout_ns, 1000000, MUCH),
	NUMBER_KEY(drain_ns, 0, MUCH), NUMBER_KEY(failures_max, 1, 1 << 30),
	NUMBER_KEY(event_bytes, 16384, 1 << 24),
	STRING_KEY(requests_file), STRING_KEY(events_file), STRING_KEY(summary),
	NUMBER_KEY(events_max, 0, MUCH), FLAG_KEY(markers), FLAG_KEY(die_with_parent),
};
enum { KEY_COUNT = sizeof KEYS / sizeof *KEYS };

_Noreturn void refuse(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fputs("kernleap-load: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(2);
}

static uint64_t number(const char *where, const char **text, char stop, uint64_t low, uint64_t high)
{
	char *end;
	errno = 0;
	unsigned long long value = strtoull(*text, &end, 10);
	if (!isdigit((unsigned char)**text) || errno || *end != stop || value < low || value > high)
		refuse("%s: not a whole number from %llu to %llu: %s", where, (unsigned long long)low,
		       (unsigned long long)high, *text);
	*text = end + (stop != 0);
	return value;
}

static unsigned word(const char *where, const char *text, const char *const *words)
{
	for (unsigned i = 0; words[i]; i++)
		if (!strcmp(words[i], text))
			return i;
	refuse("%s: unknown: %s", where, text);
}

/* fixed:N | uniform:LOW:HIGH | normal:MEAN:DEVIATION:LOW:HIGH | trace */
static struct lengths lengths(const char *where, const char *text, uint64_t low, uint64_t high)
{
	struct lengths l = {.shape = SHAPE_TRACE};
	if (!strncmp(text, "fixed:", 6)) {
		text += 6;
		l.shape = SHAPE_FIXED;
		l.low = l.high = l.mean = number(where, &text, 0, low, high);
	} else if (!strncmp(text, "uniform:", 8)) {
		text += 8;
		l.shape = SHAPE_UNIFORM;
		l.low = number(where, &text, ':', low, high);
		l.high = number(where, &text, 0, l.low, high);
	} else if (!strncmp(text, "normal:", 7)) {
		text += 7;
		l.shape = SHAPE_NORMAL;
		l.mean = number(where, &text, ':', low, high);
		l.deviation = number(where, &text, ':', 0, high);
		l.low = number(where, &text, ':', low, high);
		l.high = number(where, &text, 0, l.low, high);
	} else if (strcmp(text, "trace")) {
		refuse("%s: not fixed:N, uniform:LOW:HIGH, normal:MEAN:DEVIATION:LOW:HIGH or trace: %s",
		       where, text);
	}
	return l;
}

static void add_header(struct config *config, const char *where, const char *text)
{
	if (config->header_count == HEADERS)
		refuse("%s: more than %d headers", where, HEADERS);
	const char *colon = strchr(text, ':');
	if (!colon || colon == text || strlen(text) >= sizeof config->headers[0])
		refuse("%s: not NAME: VALUE, or too long", where);
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			refuse("%s: a control character in a header", where);
	strcpy(config->headers[config->header_count++], text);
}

static void assign(struct config *config, const struct key *key, const char *where, const char *text)
{
	void *field = (char *)config + key->offset;
	switch (key->type) {
	case NUMBER: *(uint64_t *)field = number(where, &text, 0, key->low, key->high); break;
	case FLAG: *(bool *)field = number(where, &text, 0, 0, 1); break;
	case WORD: *(unsigned *)field = word(where, text, key->words); break;
	case LENGTHS: *(struct lengths *)field = lengths(where, text, key->low, key->high); break;
	case HEADER: add_header(config, where, text); break;
	case RANGE:
		config->vocabulary_low = number(where, &text, ':', key->low, key->high);
		config->vocabulary_high =
			number(where, &text, 0, config->vocabulary_low + 1, key->high);
		break;
	case STRING:
		if (strlen(text) >= key->room)
			refuse("%s: longer than %zu bytes", where, key->room - 1);
		for (const char *p = text; *p; p++)
			if ((unsigned char)*p < 0x20)
				refuse("%s: a control character", where);
		strcpy(field, text);
		break;
	case RATE: {
		char *end;
		double rate = strtod(text, &end);
		if (end == text || *end || !isfinite(rate) || rate < 1e-6 || rate > 1e7)
			refuse("%s: not a rate from 0.000001 to 10000000 a second: %s", where, text);
		*(double *)field = rate;
		break;
	}
	}
}

static void take(struct config *config, bool *given, const char *where, char *text)
{
	char *equals = strchr(text, '=');
	if (!equals)
		refuse("%s: no '=': %s", where, text);
	*equals = 0;
	for (int i = 0; i < KEY_COUNT; i++) {
		if (strcmp(KEYS[i].name, text))
			continue;
		if (given[i] && KEYS[i].type != HEADER)
			refuse("%s: %s is given twice", where, text);
		given[i] = true;
		char place[256];
		snprintf(place, sizeof place, "%s: %s", where, text);
		assign(config, &KEYS[i], place, equals + 1);
		return;
	}
	refuse("%s: unknown key: %s", where, text);
}

typedef void line_taker(struct config *config, void *more, const char *where, char *line);

static void each_line(struct config *config, const char *path, line_taker *taker, void *more)
{
	static char line[16 * TEXT], where[TEXT + 32];
	FILE *file = fopen(path, "re");
	if (!file)
		refuse("%s: %s", path, strerror(errno));
	for (int n = 1; fgets(line, sizeof line, file); n++) {
		snprintf(where, sizeof where, "%.1000s:%d", path, n);
		size_t size = strlen(line);
		if (size == sizeof line - 1 && line[size - 1] != '\n')
			refuse("%s: the line is too long", where);
		while (size && (line[size - 1] == '\n' || line[size - 1] == '\r'))
			line[--size] = 0;
		if (size && line[0] != '#')
			taker(config, more, where, line);
	}
	if (ferror(file))
		refuse("%s: %s", path, strerror(errno));
	fclose(file);
}

static void setting_line(struct config *config, void *given, const char *where, char *line)
{
	take(config, given, where, line);
}

static void header_line(struct config *config, void *more, const char *where, char *line)
{
	(void)more;
	add_header(config, where, line);
}

static void add_bearer(struct config *config, const char *where, const char *token)
{
	static char header[8 * TEXT];
	if (!*token || snprintf(header, sizeof header, "Authorization: Bearer %s", token) >=
			       (int)sizeof header)
		refuse("%s: the token is empty or too long", where);
	add_header(config, where, header);
}

static void bearer_line(struct config *config, void *more, const char *where, char *line)
{
	(void)more;
	add_bearer(config, where, line);
}

static void check(struct config *c, const bool *given)
{
	if (!c->port)
		refuse("port is missing");
	if (!c->requests && !c->duration_ns)
		refuse("give requests, duration_ns, or both: a run must end");
	bool open = c->arrival != ARRIVAL_CLOSED, replay = c->arrival == ARRIVAL_TRACE;
	for (int i = 0; i < KEY_COUNT; i++) {
		const char *name = KEYS[i].name;
		if (given[i] && ((open && !strcmp(name, "concurrency")) ||
				 (!open && !strcmp(name, "max_streams")) ||
				 ((!open || replay) && !strcmp(name, "rate")) ||
				 (c->arrival != ARRIVAL_BURSTY && !strcmp(name, "burst"))))
			refuse("%s means nothing with arrival=%s", name, ARRIVAL_NAMES[c->arrival]);
	}
	if (open && !replay && c->rate == 0)
		refuse("rate is missing");
	bool traced = c->prompt.shape == SHAPE_TRACE || c->output.shape == SHAPE_TRACE;
	if ((replay || traced) && !c->trace[0])
		refuse("trace is missing: the file of arrivals and lengths");
	if (c->trace[0] && !replay && !traced)
		refuse("trace is given and nothing uses it");
	if (c->prompt_form == PROMPT_IDS && (c->form == FORM_CHAT || c->form == FORM_TGI))
		refuse("prompt_form=ids: this form takes only text");
	if (!c->path[0])
		strcpy(c->path, PATHS[c->form]);
	for (const char *p = c->path; *p; p++)
		if (*p == ' ' || c->path[0] != '/')
			refuse("path: must start with '/' and have no spaces: %s", c->path);
	for (const char *p = c->model; *p; p++)
		if (*p == '"' || *p == '\\')
			refuse("model: no quotes or backslashes: %s", c->model);
	if (!open)
		c->max_streams = c->concurrency;
}

void config_read(struct config *config, int argc, char **argv)
{
	static bool given[KEY_COUNT];
	const struct lengths hundred = {SHAPE_FIXED, 128, 0, 128, 128};
	*config = (struct config){
		.host = "127.0.0.1", .model = "default", .keep_alive = true, .concurrency = 1,
		.max_streams = 1024, .burst = 8, .lead_ns = 10000000, .prompt = hundred,
		.output = hundred, .vocabulary_low = 10, .vocabulary_high = 200,
		.connect_timeout_ns = 10 * SECOND, .first_byte_timeout_ns = 300 * SECOND,
		.stall_timeout_ns = 60 * SECOND, .total_timeout_ns = 1800 * SECOND,
		.drain_ns = 1800 * SECOND, .event_bytes = 65536, .failures_max = 1000,
		.events_max = 20000000,
	};
	for (int i = 1; i < argc; i++) {
		if (strchr(argv[i], '='))
			take(config, given, "argument", argv[i]);
		else
			each_line(config, argv[i], setting_line, given);
	}
	check(config, given);
	if (config->header_file[0])
		each_line(config, config->header_file, header_line, NULL);
	if (config->bearer_file[0])
		each_line(config, config->bearer_file, bearer_line, NULL);
	if (config->bearer_env[0]) {
		const char *token = getenv(config->bearer_env);
		if (!token)
			refuse("bearer_env: there is no variable %s", config->bearer_env);
		add_bearer(config, config->bearer_env, token);
	}
}
