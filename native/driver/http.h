/* SPDX-License-Identifier: Apache-2.0
 *
 * One HTTP/1.1 response out of bytes that arrive in pieces of any size: status, the headers that
 * matter, and the body by content length, in chunks, or up to the close.
 */
#ifndef KERNLEAP_HTTP_H
#define KERNLEAP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_state {
	HTTP_HEAD,
	HTTP_LENGTH,
	HTTP_UNTIL_CLOSE,
	HTTP_CHUNK_SIZE,
	HTTP_CHUNK_EXTENSION,
	HTTP_CHUNK_SIZE_LF,
	HTTP_CHUNK_DATA,
	HTTP_CHUNK_DATA_CR,
	HTTP_CHUNK_DATA_LF,
	HTTP_TRAILER,
	HTTP_TRAILER_LINE,
	HTTP_TRAILER_LF,
	HTTP_COMPLETE,
};

struct http {
	char *head;              /* room for the head; free for others once the body begins */
	uint32_t capacity, held;
	enum http_state state;
	uint16_t status;         /* 0: none yet */
	bool keep_alive;         /* the server lets the connection live */
	uint8_t digits;
	uint64_t remaining;
};

enum http_result {
	HTTP_MORE,      /* everything consumed */
	HTTP_STOPPED,   /* the taker of the body said so */
	HTTP_BAD_HEAD,
	HTTP_BAD_CHUNK,
	HTTP_EXCESS,    /* complete, and bytes after the end */
};

/* A piece of the body, where it lies; false stops. */
typedef bool http_body(void *context, const unsigned char *piece, size_t size);

void http_start(struct http *http);
enum http_result http_feed(struct http *http, const unsigned char *bytes, size_t size,
			   http_body *body, void *context);
/* The connection was closed: whether the response is whole. */
bool http_closed(struct http *http);

#endif
