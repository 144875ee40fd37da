/* SPDX-License-Identifier: Apache-2.0
 *
 * `kernleap-load --decode`: what the driver makes of responses given on standard input, for
 * tests and for looking at a server's recorded answer. The input is a row of pieces, each a
 * little-endian u32 size and so many bytes, as if each were one read; size 0 is the server's close
 * and begins the next response. One line of JSON for each response.
 */
#include "decode.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "response.h"

static void count_nothing(struct response *response, uint64_t gap, uint64_t text_bytes)
{
	(void)response, (void)gap, (void)text_bytes;
}

static void print(const struct request_record *r, bool reusable)
{
	printf("{\"kind\":\"%s\",\"status\":%u,\"events\":%u,\"frames\":%u,\"finished\":%s,"
	       "\"usage_prompt\":%" PRId64 ",\"usage_completion\":%" PRId64 ",\"text_bytes\":%" PRIu64
	       ",\"text_hash\":\"%016" PRIx64 "\",\"reusable\":%s}\n",
	       KIND_NAMES[r->kind], r->status, r->events, r->frames,
	       r->flags & FLAG_FINISHED ? "true" : "false",
	       r->usage_prompt == SCAN_ABSENT ? -1 : (int64_t)r->usage_prompt,
	       r->usage_completion == SCAN_ABSENT ? -1 : (int64_t)r->usage_completion, r->text_bytes,
	       r->text_hash, reusable ? "true" : "false");
}

int decode_main(void)
{
	enum { CARRY = 65536, PIECE = 1 << 24 };
	static unsigned char carry[CARRY];
	struct request_record record = {0};
	struct response response = {.token = count_nothing};
	enum response_state state = RESPONSE_MORE;
	uint32_t size;
	response_start(&response, &record, carry, CARRY);
	while (fread(&size, sizeof size, 1, stdin) == 1) {
		if (!size) {
			if (state == RESPONSE_MORE)
				state = response_closed(&response, 1);
			print(&record, state == RESPONSE_COMPLETE && response_reusable(&response));
			record = (struct request_record){0};
			response_start(&response, &record, carry, CARRY);
			state = RESPONSE_MORE;
			continue;
		}
		/* Exactly as large as the piece, so that a sanitizer sees each byte too far. */
		unsigned char *piece = size <= PIECE ? malloc(size) : NULL;
		if (!piece || fread(piece, 1, size, stdin) != size)
			return 2;
		if (state == RESPONSE_MORE)
			state = response_feed(&response, piece, size, 1);
		free(piece);
	}
	return 0;
}
