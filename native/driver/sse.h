/* SPDX-License-Identifier: Apache-2.0
 *
 * Server-sent events out of a body that arrives in pieces of any size: several events in one
 * piece, one event in many. An event whose bytes lie in one piece is not copied. Lines end in
 * LF or CRLF; `data` lines of one event are joined by LF; comments, ids and retries are skipped.
 */
#ifndef KERNLEAP_SSE_H
#define KERNLEAP_SSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sse {
	unsigned char *carry;   /* [data of the event so far][line so far] */
	uint32_t capacity, data, line;
	bool has_data, named_error; /* `event: error`, as TGI sends */
};

/* Each event once complete; false stops the feeding. */
typedef bool sse_event(void *context, const unsigned char *data, size_t size, bool error);

enum sse_result { SSE_MORE, SSE_STOPPED, SSE_TOO_LONG };

void sse_start(struct sse *sse);
enum sse_result sse_feed(struct sse *sse, const unsigned char *body, size_t size,
			 sse_event *event, void *context);
/* The body has ended: an event that lacks only its blank line is given all the same. */
enum sse_result sse_end(struct sse *sse, sse_event *event, void *context);

#endif
