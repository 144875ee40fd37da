/* SPDX-License-Identifier: Apache-2.0
 *
 * When each request is due and how long it is. A pure function of the configuration: arrivals
 * come from stream 0 of the seed, in order; the lengths and the prompt of request i from stream
 * i + 1, whatever happened before, so that a slow server does not change what is asked.
 */
#ifndef KERNLEAP_SCHEDULE_H
#define KERNLEAP_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "random.h"

struct arrival_record {
	uint64_t at_ns;
	uint32_t prompt, output;
};

struct schedule {
	const struct config *config;
	struct random arrivals;
	double elapsed_ns;
	struct arrival_record *trace;
	uint64_t trace_count, index, in_burst;
};

struct due {
	uint64_t index, at_ns; /* at_ns: after the start; 0 in a closed loop */
	uint32_t prompt, output;
	struct random random;  /* what is left of the request's own stream, for its prompt */
};

/* Reads the trace, if there is one: lines `arrival_ns prompt_tokens output_tokens`, arrivals
 * in order. */
void schedule_start(struct schedule *schedule, const struct config *config);
/* The next request; false at the end of a trace that is replayed. */
bool schedule_next(struct schedule *schedule, struct due *due);
/* The most tokens that any prompt can have. */
uint32_t schedule_longest_prompt(const struct schedule *schedule);

#endif
