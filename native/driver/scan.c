/* SPDX-License-Identifier: Apache-2.0 */
#include "scan.h"

#include <string.h>

enum { DEPTH = 64, KEY = 24 };

/* What encloses a value. */
enum place { ELSEWHERE, ROOT, CHOICES, CHOICE, DELTA, USAGE, TOKEN, DETAILS };

/* What a value is to us. */
enum field {
	NOTHING, TOP, F_CHOICES, F_CHOICE, F_DELTA, F_USAGE, F_TOKEN, F_DETAILS,
	F_TEXT, F_FINISH, F_STOP, F_PROMPT, F_COMPLETION, F_ERROR,
};

struct cursor {
	const unsigned char *at, *end;
};

static const struct known {
	enum place place;
	enum field field;
	const char *key;
} KNOWN[] = {
	{ROOT, F_CHOICES, "choices"},
	{ROOT, F_USAGE, "usage"},
	{ROOT, F_TOKEN, "token"},
	{ROOT, F_DETAILS, "details"},
	{ROOT, F_TEXT, "content"},
	{ROOT, F_STOP, "stop"},
	{ROOT, F_FINISH, "generated_text"},
	{ROOT, F_PROMPT, "tokens_evaluated"},
	{ROOT, F_COMPLETION, "tokens_predicted"},
	{ROOT, F_ERROR, "error"},
	{CHOICE, F_TEXT, "text"},
	{CHOICE, F_DELTA, "delta"},
	{CHOICE, F_FINISH, "finish_reason"},
	{DELTA, F_TEXT, "content"},
	{DELTA, F_TEXT, "reasoning_content"},
	{DELTA, F_TEXT, "reasoning"},
	{USAGE, F_PROMPT, "prompt_tokens"},
	{USAGE, F_COMPLETION, "completion_tokens"},
	{TOKEN, F_TEXT, "text"},
	{DETAILS, F_PROMPT, "input_length"},
	{DETAILS, F_COMPLETION, "generated_tokens"},
	{DETAILS, F_FINISH, "finish_reason"},
};

static enum field field_of(enum place place, const unsigned char *key, size_t size)
{
	if (place == ELSEWHERE)
		return NOTHING;
	for (const struct known *k = KNOWN; k < KNOWN + sizeof KNOWN / sizeof *KNOWN; k++)
		if (k->place == place && k->key[0] == key[0] && strlen(k->key) == size &&
		    !memcmp(k->key, key, size))
			return k->field;
	return NOTHING;
}

static void skip_space(struct cursor *c)
{
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
		c->at++;
}

static int hex4(const unsigned char *p)
{
	int value = 0;
	for (int i = 0; i < 4; i++) {
		int digit = p[i] >= '0' && p[i] <= '9' ? p[i] - '0'
			    : (p[i] | 32) >= 'a' && (p[i] | 32) <= 'f' ? (p[i] | 32) - 'a' + 10 : -1;
		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/* Past the string whose opening quote has been read; what it holds, still escaped, is at
 * `from`, `size` bytes. */
static bool read_string(struct cursor *c, const unsigned char **from, size_t *size, bool *escaped)
{
	const unsigned char *p = *from = c->at;
	*escaped = false;
	for (;; p++) {
		while (p < c->end && *p >= 0x20 && *p != '"' && *p != '\\')
			p++;
		if (p >= c->end || *p < 0x20)
			return false;
		if (*p == '"')
			break;
		*escaped = true;
		if (++p >= c->end)
			return false;
		if (*p == 'u') {
			if (c->end - p < 5 || hex4(p + 1) < 0)
				return false;
			p += 4;
		} else if (!*p || !strchr("\"\\/bfnrt", *p)) {
			return false;
		}
	}
	*size = (size_t)(p - *from);
	c->at = p + 1;
	return true;
}

static int utf8(unsigned code, unsigned char *out)
{
	if (code < 0x80)
		return out[0] = (unsigned char)code, 1;
	static const unsigned char LEAD[] = {0, 0xc0, 0xe0, 0xf0};
	int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
	out[0] = (unsigned char)(LEAD[more] | code >> 6 * more);
	for (int i = 1; i <= more; i++)
		out[i] = (unsigned char)(0x80 | (code >> 6 * (more - i) & 0x3f));
	return more + 1;
}

/* One character of a checked string: its bytes to `out` (at most 4), their number back. */
static int unescape(const unsigned char **at, const unsigned char *end, unsigned char *out)
{
	const unsigned char *p = *at;
	if (*p != '\\')
		return *out = *p, *at = p + 1, 1;
	static const char NAMES[] = "bfnrt", VALUES[] = "\b\f\n\r\t";
	if (p[1] != 'u') {
		const char *name = strchr(NAMES, p[1]);
		*out = name ? (unsigned char)VALUES[name - NAMES] : p[1];
		return *at = p + 2, 1;
	}
	unsigned code = (unsigned)hex4(p + 2);
	p += 6;
	if (code >= 0xd800 && code < 0xe000) {
		int low = end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex4(p + 2) : -1;
		if (code < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
			code = 0x10000 + ((code - 0xd800) << 10) + ((unsigned)low - 0xdc00);
			p += 6;
		} else {
			code = 0xfffd;
		}
	}
	*at = p;
	return utf8(code, out);
}

static void add_text(struct text *text, const unsigned char *p, size_t size)
{
	const unsigned char *end = p + size;
	uint64_t hash = text->hash;
	while (p < end) {
		unsigned char bytes[4];
		int n = unescape(&p, end, bytes);
		for (int i = 0; i < n; i++)
			hash = (hash ^ bytes[i]) * 0x100000001b3u;
		text->bytes += (unsigned)n;
	}
	text->hash = hash;
}

static bool digits(struct cursor *c, uint64_t *value)
{
	const unsigned char *from = c->at;
	for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
		if (value && *value < SCAN_ABSENT)
			*value = *value * 10 + (*c->at - '0');
	return c->at > from;
}

static bool read_number(struct cursor *c, enum field field, struct scan *scan)
{
	bool whole = true;
	uint64_t value = 0;
	if (*c->at == '-') {
		whole = false;
		c->at++;
	}
	if (c->at < c->end && *c->at == '0')
		c->at++;
	else if (!digits(c, &value))
		return false;
	if (c->at < c->end && *c->at == '.') {
		whole = false;
		c->at++;
		if (!digits(c, NULL))
			return false;
	}
	if (c->at < c->end && (*c->at | 32) == 'e') {
		whole = false;
		c->at++;
		if (c->at < c->end && (*c->at == '+' || *c->at == '-'))
			c->at++;
		if (!digits(c, NULL))
			return false;
	}
	if (whole && value < SCAN_ABSENT && field == F_PROMPT)
		scan->prompt_tokens = (uint32_t)value;
	if (whole && value < SCAN_ABSENT && field == F_COMPLETION)
		scan->completion_tokens = (uint32_t)value;
	return true;
}

static bool read_word(struct cursor *c, const char *word)
{
	size_t size = strlen(word);
	if ((size_t)(c->end - c->at) < size || memcmp(c->at, word, size))
		return false;
	c->at += size;
	return true;
}

static bool read_key(struct cursor *c, enum place place, enum field *field)
{
	const unsigned char *key;
	size_t size;
	bool escaped;
	skip_space(c);
	if (c->at >= c->end || *c->at++ != '"' || !read_string(c, &key, &size, &escaped))
		return false;
	unsigned char plain[KEY];
	if (escaped) {
		const unsigned char *end = key + size;
		size = 0;
		while (key < end && size + 4 <= KEY)
			size += (size_t)unescape(&key, end, plain + size);
		if (key < end)
			size = 0; /* longer than any key we know */
		key = plain;
	}
	*field = size ? field_of(place, key, size) : NOTHING;
	skip_space(c);
	return c->at < c->end && *c->at++ == ':';
}

static enum place inside_object(enum field field)
{
	switch (field) {
	case TOP: return ROOT;
	case F_CHOICE: return CHOICE;
	case F_DELTA: return DELTA;
	case F_USAGE: return USAGE;
	case F_TOKEN: return TOKEN;
	case F_DETAILS: return DETAILS;
	default: return ELSEWHERE;
	}
}

/* A value that is not an object or array. */
static bool read_scalar(struct cursor *c, enum field field, struct scan *scan, struct text *text)
{
	const unsigned char *from;
	size_t size;
	bool escaped;
	switch (*c->at) {
	case '"':
		c->at++;
		if (!read_string(c, &from, &size, &escaped))
			return false;
		if (field == F_TEXT)
			add_text(text, from, size);
		scan->finished |= field == F_FINISH;
		return true;
	case 't':
		scan->finished |= field == F_STOP;
		return read_word(c, "true");
	case 'f':
		return read_word(c, "false");
	case 'n':
		return read_word(c, "null");
	default:
		return read_number(c, field, scan);
	}
}

bool scan_event(const unsigned char *json, size_t size, struct scan *scan, struct text *text)
{
	struct cursor cursor = {json, json + size}, *c = &cursor;
	struct {
		unsigned char place, closing;
	} open[DEPTH];
	int depth = 0;
	enum field field = TOP;
	*scan = (struct scan){.prompt_tokens = SCAN_ABSENT, .completion_tokens = SCAN_ABSENT};

	for (;;) {
		skip_space(c);
		if (c->at >= c->end)
			return false;
		scan->error |= field == F_ERROR && *c->at != 'n';
		if (*c->at == '{' || *c->at == '[') {
			bool object = *c->at++ == '{';
			if (depth == DEPTH)
				return false;
			open[depth].closing = object ? '}' : ']';
			open[depth++].place = (unsigned char)(object ? inside_object(field)
							      : field == F_CHOICES ? CHOICES : ELSEWHERE);
			skip_space(c);
			if (c->at < c->end && *c->at == open[depth - 1].closing) {
				c->at++;
				depth--;
			} else {
				field = open[depth - 1].place == CHOICES ? F_CHOICE : NOTHING;
				if (object && !read_key(c, open[depth - 1].place, &field))
					return false;
				continue;
			}
		} else if (!read_scalar(c, field, scan, text)) {
			return false;
		}
		/* A value has ended: so may have what encloses it. */
		for (;;) {
			skip_space(c);
			if (!depth)
				return c->at == c->end;
			if (c->at >= c->end)
				return false;
			unsigned char next = *c->at++;
			if (next == ',')
				break;
			if (next != open[depth - 1].closing)
				return false;
			depth--;
		}
		field = open[depth - 1].place == CHOICES ? F_CHOICE : NOTHING;
		if (open[depth - 1].closing == '}' && !read_key(c, open[depth - 1].place, &field))
			return false;
	}
}
