/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of a request: head and JSON body in the form of the server.
 */
#ifndef KERNLEAP_PROMPT_H
#define KERNLEAP_PROMPT_H

#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "schedule.h"

/* Room that any request of this run fits into. */
size_t request_room(const struct config *config, uint32_t longest_prompt);
/* Writes the request to `out` (of request_room bytes); its size back. The prompt begins with
 * `shared_prefix` tokens that all requests of the seed share. */
size_t request_write(const struct config *config, struct due *due, char *out);

#endif
