/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds in one event's JSON what a load driver needs, in one pass and without a tree: the text
 * of the token, whether the response is complete, usage, errors. It checks the grammar of
 * RFC 8259 wholly, so that a broken event is told apart from one without a token. It knows the
 * forms of OpenAI (completions, chat), TGI and llama.cpp at once:
 *
 *   text        choices[].text, choices[].delta.{content,reasoning_content,reasoning},
 *               token.text, content
 *   finished    choices[].finish_reason or details.finish_reason or generated_text (a string),
 *               stop (true)
 *   completion  usage.completion_tokens, details.generated_tokens, tokens_predicted
 *   prompt      usage.prompt_tokens, details.input_length, tokens_evaluated
 *   error       error (anything but null)
 */
#ifndef KERNLEAP_SCAN_H
#define KERNLEAP_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCAN_ABSENT UINT32_MAX
#define TEXT_HASH_START 0xcbf29ce484222325u

/* The text of one response so far: FNV-1a over its bytes in UTF-8. */
struct text {
	uint64_t hash, bytes;
};

struct scan {
	bool finished, error;
	uint32_t prompt_tokens, completion_tokens; /* SCAN_ABSENT: not said */
};

/* False: not JSON. `text` grows by the event's text; lone surrogates become U+FFFD. */
bool scan_event(const unsigned char *json, size_t size, struct scan *scan, struct text *text);

#endif
