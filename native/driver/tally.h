/* SPDX-License-Identifier: Apache-2.0
 *
 * What a run adds up to: counts, histograms, and the measured window with the driver's own cost.
 *
 * The window opens when the first request after the warm-up is due and closes after
 * `duration_ns`, or when the last measured request ended. Rates and the driver's CPU time are of the
 * window; latencies are of the measured requests, those that end after it included.
 */
#ifndef KERNLEAP_TALLY_H
#define KERNLEAP_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "histogram.h"
#include "record.h"
#include "response.h"

struct cpu {
	uint64_t user_ns, system_ns;
};

struct tally {
	const struct config *config;
	uint64_t started_at;
	uint64_t opened, closes, closed; /* the window; `closes` is UINT64_MAX when not known */
	struct cpu at_open, at_close;

	uint64_t kinds[KINDS], warmup_kinds[KINDS];
	uint64_t tokens_in_window, ended_in_window, bytes_in;
	uint64_t retried, queued, connections, idle_closed;
	bool interrupted, gave_up; /* gave_up: failures_max in a row, nothing more was sent */

	/* Of measured requests that ended well; gaps and delays of all measured ones. */
	struct histogram ttft, itl, tpot, e2e, delay;
	struct record_file requests, events;
};

uint64_t clock_now(void);

void tally_start(struct tally *tally, const struct config *config);
void tally_open(struct tally *tally, uint64_t at);
void tally_close(struct tally *tally, uint64_t at);
void tally_token(struct tally *tally, const struct response *response, uint64_t gap,
		 uint64_t text_bytes);
void tally_request(struct tally *tally, const struct request_record *record);
/* Ends the files of records and writes the summary, one line of JSON. */
void tally_finish(struct tally *tally);

#endif
