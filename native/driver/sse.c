/* SPDX-License-Identifier: Apache-2.0 */
#include "sse.h"

#include <string.h>

struct view {
	const unsigned char *at;
	size_t size;
};

void sse_start(struct sse *sse)
{
	sse->data = sse->line = 0;
	sse->has_data = sse->named_error = false;
}

/* The data seen in place goes to the carry, because its event ends in a later piece. */
static bool keep(struct sse *sse, struct view *seen)
{
	if (!seen->at)
		return true;
	if (seen->size > sse->capacity)
		return false;
	memcpy(sse->carry, seen->at, seen->size);
	sse->data = (uint32_t)seen->size;
	sse->has_data = true;
	seen->at = NULL;
	return true;
}

static bool extend_line(struct sse *sse, const unsigned char *from, size_t size)
{
	if (size > sse->capacity - sse->data - sse->line)
		return false;
	memcpy(sse->carry + sse->data + sse->line, from, size);
	sse->line += (uint32_t)size;
	return true;
}

static bool add_data(struct sse *sse, struct view *seen, struct view value, bool in_carry)
{
	if (!seen->at && !sse->has_data) {
		if (!in_carry) {
			*seen = value;
			return true;
		}
	} else {
		if (!keep(sse, seen) || sse->data == sse->capacity)
			return false;
		/* In the carry the value follows "data:", so that it cannot be overwritten. */
		sse->carry[sse->data++] = '\n';
	}
	if (value.size > sse->capacity - sse->data)
		return false;
	memmove(sse->carry + sse->data, value.at, value.size);
	sse->data += (uint32_t)value.size;
	sse->has_data = true;
	return true;
}

static enum sse_result take_line(struct sse *sse, struct view *seen, struct view line,
				 bool in_carry, sse_event *event, void *context)
{
	if (line.size && line.at[line.size - 1] == '\r')
		line.size--;
	if (!line.size) {
		struct view data = seen->at ? *seen : (struct view){sse->carry, sse->data};
		bool complete = seen->at || sse->has_data, error = sse->named_error;
		seen->at = NULL;
		sse_start(sse);
		return complete && !event(context, data.at, data.size, error) ? SSE_STOPPED : SSE_MORE;
	}
	if (line.size >= 5 && !memcmp(line.at, "data:", 5)) {
		size_t skip = line.size > 5 && line.at[5] == ' ' ? 6 : 5;
		struct view value = {line.at + skip, line.size - skip};
		return add_data(sse, seen, value, in_carry) ? SSE_MORE : SSE_TOO_LONG;
	}
	if (line.size >= 11 && !memcmp(line.at, "event:", 6) &&
	    !memcmp(line.at + line.size - 5, "error", 5))
		sse->named_error = true;
	return SSE_MORE;
}

enum sse_result sse_feed(struct sse *sse, const unsigned char *body, size_t size,
			 sse_event *event, void *context)
{
	const unsigned char *end = body + size;
	struct view seen = {0};
	while (body < end) {
		const unsigned char *newline = memchr(body, '\n', (size_t)(end - body));
		size_t here = (size_t)((newline ? newline : end) - body);
		struct view line = {body, here};
		bool in_carry = !newline || sse->line;
		if (in_carry) {
			if (!keep(sse, &seen) || !extend_line(sse, body, here))
				return SSE_TOO_LONG;
			if (!newline)
				break;
			line = (struct view){sse->carry + sse->data, sse->line};
			sse->line = 0;
		}
		enum sse_result result = take_line(sse, &seen, line, in_carry, event, context);
		if (result != SSE_MORE)
			return result;
		body = newline + 1;
	}
	return keep(sse, &seen) ? SSE_MORE : SSE_TOO_LONG;
}

enum sse_result sse_end(struct sse *sse, sse_event *event, void *context)
{
	if (!sse->line && !sse->has_data)
		return SSE_MORE;
	return sse_feed(sse, (const unsigned char *)"\n\n", 2, event, context);
}
