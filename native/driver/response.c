/* SPDX-License-Identifier: Apache-2.0 */
#include "response.h"

#include <string.h>

void response_start(struct response *response, struct request_record *record, void *buffer,
		    uint32_t size)
{
	response->http.head = buffer;
	response->sse.carry = buffer; /* the head is done with when the first event begins */
	response->http.capacity = response->sse.capacity = size;
	http_start(&response->http);
	sse_start(&response->sse);
	response->text = (struct text){TEXT_HASH_START, 0};
	response->record = record;
	response->done = false;
	record->usage_prompt = record->usage_completion = SCAN_ABSENT;
	record->text_hash = TEXT_HASH_START;
}

static bool fail(struct response *response, enum kind kind)
{
	response->record->kind = (uint8_t)kind;
	return false;
}

static bool take_event(void *context, const unsigned char *data, size_t size, bool error)
{
	struct response *response = context;
	struct request_record *record = response->record;
	record->frames++;
	if (size == 6 && !memcmp(data, "[DONE]", 6)) {
		response->done = true;
		record->flags |= FLAG_FINISHED;
		return true;
	}
	struct scan found;
	uint64_t before = response->text.bytes;
	if (!scan_event(data, size, &found, &response->text))
		return fail(response, error ? KIND_SERVER_ERROR : KIND_MALFORMED_JSON);
	if (found.prompt_tokens != SCAN_ABSENT)
		record->usage_prompt = found.prompt_tokens;
	if (found.completion_tokens != SCAN_ABSENT)
		record->usage_completion = found.completion_tokens;
	if (found.finished)
		record->flags |= FLAG_FINISHED;
	if (error || found.error)
		return fail(response, KIND_SERVER_ERROR);
	record->text_hash = response->text.hash;
	record->text_bytes = response->text.bytes;
	uint64_t grown = record->text_bytes - before;
	if (!grown)
		return true;
	uint64_t gap = UINT64_MAX;
	if (record->events++) {
		gap = response->now - record->last_token;
		if (gap > record->longest_gap)
			record->longest_gap = gap;
	} else {
		record->first_token = response->now;
	}
	record->last_token = response->now;
	response->token(response, gap, grown);
	if (response->merged < UINT16_MAX)
		response->merged++;
	return true;
}

static bool take_body(void *context, const unsigned char *piece, size_t size)
{
	struct response *response = context;
	if (response->http.status != 200)
		return true; /* an error's words */
	enum sse_result result = sse_feed(&response->sse, piece, size, take_event, response);
	return result == SSE_TOO_LONG ? fail(response, KIND_TOO_LONG) : result == SSE_MORE;
}

static enum kind kind_of_status(unsigned status)
{
	return status == 200   ? KIND_OK
	       : status == 429 ? KIND_HTTP_429
	       : status >= 500 ? KIND_HTTP_5XX
	       : status >= 400 ? KIND_HTTP_4XX
			       : KIND_HTTP_OTHER;
}

/* The body is whole: what it amounts to. */
static enum response_state conclude(struct response *response)
{
	struct request_record *record = response->record;
	record->status = response->http.status;
	enum kind kind = kind_of_status(record->status);
	if (kind == KIND_OK) {
		enum sse_result last = sse_end(&response->sse, take_event, response);
		if (last == SSE_STOPPED)
			return RESPONSE_FAILED;
		kind = last == SSE_TOO_LONG                ? KIND_TOO_LONG
		       : !(record->flags & FLAG_FINISHED) && record->events ? KIND_TRUNCATED
		       : !record->events                  ? KIND_NO_TOKENS
							  : KIND_OK;
	}
	record->kind = (uint8_t)kind;
	return RESPONSE_COMPLETE;
}

enum response_state response_feed(struct response *response, const unsigned char *bytes,
				  size_t size, uint64_t now)
{
	struct request_record *record = response->record;
	response->now = now;
	response->merged = 0;
	record->bytes_in += size;
	if (!record->first_byte)
		record->first_byte = now;
	enum http_result result = http_feed(&response->http, bytes, size, take_body, response);
	record->status = response->http.status;
	switch (result) {
	case HTTP_MORE:
		return response->http.state == HTTP_COMPLETE ? conclude(response) : RESPONSE_MORE;
	case HTTP_EXCESS:
		response->http.keep_alive = false;
		return conclude(response);
	case HTTP_STOPPED: break;
	case HTTP_BAD_HEAD: record->kind = KIND_MALFORMED_HTTP; break;
	case HTTP_BAD_CHUNK: record->kind = KIND_MALFORMED_CHUNK; break;
	}
	return RESPONSE_FAILED;
}

enum response_state response_closed(struct response *response, uint64_t now)
{
	struct request_record *record = response->record;
	response->now = now;
	response->merged = 0;
	if (response->http.status && http_closed(&response->http))
		return conclude(response);
	/* An error's status says more than that its words were cut short. */
	unsigned status = response->http.status;
	record->kind = (uint8_t)(status && status != 200 ? kind_of_status(status)
				 : record->first_byte    ? KIND_TRUNCATED
							 : KIND_RESET);
	return RESPONSE_FAILED;
}

bool response_reusable(const struct response *response)
{
	return response->http.state == HTTP_COMPLETE && response->http.keep_alive;
}
