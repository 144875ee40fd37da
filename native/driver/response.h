/* SPDX-License-Identifier: Apache-2.0
 *
 * One response: HTTP, events and JSON in one, from bytes to a request's record. It knows no
 * socket, so that `kernleap-load --decode` and the driver run the same code.
 */
#ifndef KERNLEAP_RESPONSE_H
#define KERNLEAP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"
#include "record.h"
#include "scan.h"
#include "sse.h"

struct response {
	struct http http;
	struct sse sse;
	struct text text;
	struct request_record *record;
	uint64_t now;    /* of the bytes being fed */
	uint16_t merged; /* token events in these bytes so far */
	bool done;       /* [DONE] was seen */
	/* Called at each event with text, after the record was brought up to date; `gap` is the
	 * time since the one before, or UINT64_MAX at the first. */
	void (*token)(struct response *response, uint64_t gap, uint64_t text_bytes);
};

enum response_state { RESPONSE_MORE, RESPONSE_COMPLETE, RESPONSE_FAILED };

/* `buffer` of `size` bytes belongs to the response until it ends. */
void response_start(struct response *response, struct request_record *record, void *buffer,
		    uint32_t size);
/* Anything but MORE sets the record's kind. */
enum response_state response_feed(struct response *response, const unsigned char *bytes,
				  size_t size, uint64_t now);
/* The server closed the connection. */
enum response_state response_closed(struct response *response, uint64_t now);
/* After COMPLETE: whether the connection can serve another request. */
bool response_reusable(const struct response *response);

#endif
