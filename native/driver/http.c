/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include <string.h>
#include <strings.h>

void http_start(struct http *http)
{
	http->held = 0;
	http->state = HTTP_HEAD;
	http->status = 0;
	http->keep_alive = true;
	http->digits = 0;
	http->remaining = 0;
}

/* Whether the value of a header, a list by commas, has `word`. */
static bool lists(const char *value, const char *end, const char *word)
{
	size_t size = strlen(word);
	while (value < end) {
		while (value < end && (*value == ' ' || *value == '\t' || *value == ','))
			value++;
		const char *comma = memchr(value, ',', (size_t)(end - value));
		const char *stop = comma ? comma : end;
		while (stop > value && (stop[-1] == ' ' || stop[-1] == '\t'))
			stop--;
		if ((size_t)(stop - value) == size && !strncasecmp(value, word, size))
			return true;
		value = comma ? comma : end;
	}
	return false;
}

static bool read_length(const char *value, const char *end, uint64_t *length)
{
	*length = 0;
	const char *from = value;
	for (; value < end && *value >= '0' && *value <= '9' && value - from < 18; value++)
		*length = *length * 10 + (uint64_t)(*value - '0');
	return value == end && value > from;
}

static bool read_head(struct http *http)
{
	const char *p = http->head, *end = p + http->held;
	if (http->held < 14 || memcmp(p, "HTTP/1.", 7) || (p[7] != '0' && p[7] != '1') || p[8] != ' ')
		return false;
	http->keep_alive = p[7] == '1';
	unsigned status = 0;
	for (int i = 9; i < 12; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		status = status * 10 + (unsigned)(p[i] - '0');
	}
	bool chunked = false, sized = false;
	uint64_t length = 0;
	for (p = memchr(p, '\n', (size_t)(end - p)); p && ++p < end;) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		const char *stop = newline ? newline : end;
		const char *colon = memchr(p, ':', (size_t)(stop - p));
		while (stop > p && (stop[-1] == '\r' || stop[-1] == ' ' || stop[-1] == '\t'))
			stop--;
		if (stop == p)
			break;
		if (!colon || colon >= stop || colon == p)
			return false;
		size_t size = (size_t)(colon - p);
		const char *value = colon + 1;
		while (value < stop && (*value == ' ' || *value == '\t'))
			value++;
		if (size == 17 && !strncasecmp(p, "transfer-encoding", size)) {
			if (!lists(value, stop, "chunked"))
				return false;
			chunked = true;
		} else if (size == 14 && !strncasecmp(p, "content-length", size)) {
			if (!read_length(value, stop, &length))
				return false;
			sized = true;
		} else if (size == 10 && !strncasecmp(p, "connection", size)) {
			if (lists(value, stop, "close"))
				http->keep_alive = false;
			else if (lists(value, stop, "keep-alive"))
				http->keep_alive = true;
		}
		p = newline;
	}
	if (status >= 100 && status < 200) { /* an interim response: the real one follows */
		http_start(http);
		return status != 101;
	}
	http->status = (uint16_t)status;
	http->remaining = length;
	if (status == 204 || status == 304)
		http->state = HTTP_COMPLETE;
	else if (chunked)
		http->state = HTTP_CHUNK_SIZE;
	else if (sized)
		http->state = length ? HTTP_LENGTH : HTTP_COMPLETE;
	else
		http->state = HTTP_UNTIL_CLOSE;
	if (http->state == HTTP_UNTIL_CLOSE)
		http->keep_alive = false;
	return status >= 200 && status < 600;
}

/* Takes bytes up to the empty line; their number back, -1 when it is no head. */
static ptrdiff_t feed_head(struct http *http, const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (http->held == http->capacity)
			return -1;
		http->head[http->held++] = (char)bytes[i];
		if (bytes[i] != '\n')
			continue;
		const char *h = http->head;
		uint32_t n = http->held;
		if ((n >= 2 && h[n - 2] == '\n') || (n >= 4 && !memcmp(h + n - 4, "\r\n\r", 3)))
			return read_head(http) ? (ptrdiff_t)i + 1 : -1;
	}
	return (ptrdiff_t)size;
}

static int hex(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of a chunk's frame. */
static bool feed_frame(struct http *http, unsigned char c)
{
	switch (http->state) {
	case HTTP_CHUNK_SIZE:
		if (hex(c) >= 0) {
			http->remaining = http->remaining << 4 | (unsigned)hex(c);
			return ++http->digits <= 15;
		}
		if (!http->digits)
			return false;
		http->state = c == '\r' ? HTTP_CHUNK_SIZE_LF : HTTP_CHUNK_EXTENSION;
		return c == '\r' || c == ';' || c == ' ' || c == '\t';
	case HTTP_CHUNK_EXTENSION:
		if (c == '\r')
			http->state = HTTP_CHUNK_SIZE_LF;
		return c != '\n';
	case HTTP_CHUNK_SIZE_LF:
		http->state = http->remaining ? HTTP_CHUNK_DATA : HTTP_TRAILER;
		return c == '\n';
	case HTTP_CHUNK_DATA_CR:
		http->state = HTTP_CHUNK_DATA_LF;
		return c == '\r';
	case HTTP_CHUNK_DATA_LF:
		http->state = HTTP_CHUNK_SIZE;
		http->digits = 0;
		return c == '\n';
	case HTTP_TRAILER:
		http->state = c == '\r' ? HTTP_TRAILER_LF : HTTP_TRAILER_LINE;
		return c != '\n';
	case HTTP_TRAILER_LINE:
		if (c == '\n')
			http->state = HTTP_TRAILER;
		return true;
	default: /* HTTP_TRAILER_LF */
		http->state = HTTP_COMPLETE;
		return c == '\n';
	}
}

enum http_result http_feed(struct http *http, const unsigned char *bytes, size_t size,
			   http_body *body, void *context)
{
	const unsigned char *end = bytes + size;
	while (bytes < end) {
		size_t piece = (size_t)(end - bytes);
		switch (http->state) {
		case HTTP_HEAD: {
			ptrdiff_t taken = feed_head(http, bytes, piece);
			if (taken < 0)
				return HTTP_BAD_HEAD;
			bytes += taken;
			break;
		}
		case HTTP_UNTIL_CLOSE:
			return body(context, bytes, piece) ? HTTP_MORE : HTTP_STOPPED;
		case HTTP_LENGTH:
		case HTTP_CHUNK_DATA:
			if (piece > http->remaining)
				piece = (size_t)http->remaining;
			http->remaining -= piece;
			if (!http->remaining)
				http->state = http->state == HTTP_LENGTH ? HTTP_COMPLETE : HTTP_CHUNK_DATA_CR;
			if (!body(context, bytes, piece))
				return HTTP_STOPPED;
			bytes += piece;
			break;
		case HTTP_COMPLETE:
			return HTTP_EXCESS;
		default:
			if (!feed_frame(http, *bytes++))
				return HTTP_BAD_CHUNK;
		}
	}
	return HTTP_MORE;
}

bool http_closed(struct http *http)
{
	if (http->state == HTTP_UNTIL_CLOSE)
		http->state = HTTP_COMPLETE;
	return http->state == HTTP_COMPLETE;
}
