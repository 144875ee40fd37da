/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt.h"

#include <string.h>

/* Common English words: with a space before it each is one token of the usual vocabularies. */
static const char *const WORDS[] = {
	"the", "of", "and", "to", "in", "is", "that", "for", "it", "as", "was", "with", "be", "by",
	"on", "not", "he", "this", "are", "or", "his", "from", "at", "which", "but", "have", "an",
	"had", "they", "you", "were", "their", "one", "all", "we", "can", "her", "has", "there", "been",
	"if", "more", "when", "will", "would", "who", "so", "no", "time", "people", "water", "long",
	"day", "way", "work", "first", "year", "good", "new", "over", "think", "know", "take", "world",
};
enum { WORD_COUNT = sizeof WORDS / sizeof *WORDS, TOKEN_ROOM = 10, FRAME_ROOM = 2048 };

size_t request_room(const struct config *config, uint32_t longest_prompt)
{
	size_t room = FRAME_ROOM + strlen(config->extra) + strlen(config->path) +
		      strlen(config->host) + 2 * strlen(config->model);
	for (unsigned i = 0; i < config->header_count; i++)
		room += strlen(config->headers[i]) + 2;
	return room + (size_t)longest_prompt * TOKEN_ROOM;
}

static char *put(char *out, const char *text)
{
	size_t size = strlen(text);
	memcpy(out, text, size);
	return out + size;
}

static char *put_number(char *out, uint64_t number)
{
	char digits[20];
	int n = 0;
	do
		digits[n++] = (char)('0' + number % 10);
	while (number /= 10);
	while (n)
		*out++ = digits[--n];
	return out;
}

static char *put_token(const struct config *config, struct random *random, char *out, bool first)
{
	switch (config->prompt_form) {
	case PROMPT_LETTERS:
		*out++ = (char)('a' + random_below(random, 26));
		return out;
	case PROMPT_IDS:
		if (!first)
			*out++ = ',';
		return put_number(out, config->vocabulary_low +
					       random_below(random, config->vocabulary_high -
									    config->vocabulary_low));
	case PROMPT_WORDS: break;
	}
	if (!first)
		*out++ = ' ';
	return put(out, WORDS[random_below(random, WORD_COUNT)]);
}

static char *put_prompt(const struct config *config, struct due *due, char *out)
{
	struct random shared;
	random_seed(&shared, config->seed, UINT64_MAX);
	bool ids = config->prompt_form == PROMPT_IDS;
	*out++ = ids ? '[' : '"';
	for (uint32_t i = 0; i < due->prompt; i++)
		out = put_token(config, i < config->shared_prefix ? &shared : &due->random, out, !i);
	*out++ = ids ? ']' : '"';
	return out;
}

static char *put_body(const struct config *config, struct due *due, char *out)
{
	bool tgi = config->form == FORM_TGI, llama = config->form == FORM_LLAMA;
	*out++ = '{';
	if (!tgi && !llama) {
		out = put(out, "\"model\":\"");
		out = put(out, config->model);
		out = put(out, "\",");
	}
	out = put(out, config->form == FORM_CHAT ? "\"messages\":[{\"role\":\"user\",\"content\":"
		       : tgi                      ? "\"inputs\":"
						  : "\"prompt\":");
	out = put_prompt(config, due, out);
	out = put(out, config->form == FORM_CHAT ? "}],\"max_tokens\":"
		       : tgi                      ? ",\"parameters\":{\"details\":true,\"max_new_tokens\":"
		       : llama                    ? ",\"n_predict\":"
						  : ",\"max_tokens\":");
	out = put_number(out, due->output);
	if (!tgi)
		out = put(out, ",\"stream\":true");
	if (!tgi && !llama)
		out = put(out, ",\"stream_options\":{\"include_usage\":true}");
	if (config->extra[0]) {
		*out++ = ',';
		out = put(out, config->extra);
	}
	return put(out, tgi ? "}}" : "}");
}

size_t request_write(const struct config *config, struct due *due, char *out)
{
	char *p = put(out, "POST ");
	p = put(p, config->path);
	bool v6 = strchr(config->host, ':'); /* its own colons need brackets */
	p = put(p, v6 ? " HTTP/1.1\r\nHost: [" : " HTTP/1.1\r\nHost: ");
	p = put(p, config->host);
	p = put(p, v6 ? "]:" : ":");
	p = put_number(p, config->port);
	p = put(p, "\r\nUser-Agent: kernleap-load\r\nAccept: text/event-stream\r\n"
		   "Content-Type: application/json\r\n");
	if (!config->keep_alive)
		p = put(p, "Connection: close\r\n");
	for (unsigned i = 0; i < config->header_count; i++) {
		p = put(p, config->headers[i]);
		p = put(p, "\r\n");
	}
	p = put(p, "Content-Length: ");
	/* The length is known when the body is: its digits have a fixed place, with leading
	 * zeros, which the grammar of the header allows. */
	char *length = p;
	p = put(p, "00000000\r\n\r\n");
	char *body = p;
	p = put_body(config, due, p);
	for (size_t rest = (size_t)(p - body), i = 8; i--; rest /= 10)
		length[i] = (char)('0' + rest % 10);
	return (size_t)(p - out);
}
