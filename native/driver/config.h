/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver's configuration: `key=value`, one a line in a file or one an argument. Unknown keys,
 * keys given twice and values out of range are errors. The keys are documented in README.md.
 */
#ifndef KERNLEAP_CONFIG_H
#define KERNLEAP_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

enum form { FORM_COMPLETIONS, FORM_CHAT, FORM_TGI, FORM_LLAMA };
enum arrival { ARRIVAL_CLOSED, ARRIVAL_POISSON, ARRIVAL_CONSTANT, ARRIVAL_BURSTY, ARRIVAL_TRACE };
enum prompt { PROMPT_WORDS, PROMPT_LETTERS, PROMPT_IDS };
enum shape { SHAPE_FIXED, SHAPE_UNIFORM, SHAPE_NORMAL, SHAPE_TRACE };

/* A distribution of whole numbers in [low, high]. */
struct lengths {
	enum shape shape;
	uint64_t mean, deviation, low, high;
};

enum { HEADERS = 16, TEXT = 1024 };

struct config {
	char host[256], path[256], model[256];
	uint64_t port;
	enum form form;
	bool keep_alive;

	enum arrival arrival;
	double rate; /* requests a second */
	uint64_t burst, concurrency, max_streams;
	uint64_t requests, duration_ns, warmup_requests, warmup_ns, lead_ns, seed;
	char trace[TEXT];

	struct lengths prompt, output;
	enum prompt prompt_form;
	uint64_t shared_prefix, vocabulary_low, vocabulary_high;
	char extra[8 * TEXT];

	char headers[HEADERS][8 * TEXT];
	unsigned header_count;
	char header_file[TEXT], bearer_file[TEXT], bearer_env[TEXT];

	uint64_t connect_timeout_ns, first_byte_timeout_ns, stall_timeout_ns, total_timeout_ns;
	uint64_t drain_ns, event_bytes, failures_max;

	char requests_file[TEXT], events_file[TEXT], summary[TEXT];
	uint64_t events_max;
	bool markers, die_with_parent;
};

/* Words of the summary, by the enums above. */
extern const char *const FORM_NAMES[], *const ARRIVAL_NAMES[];

/* Ends the program with status 2 and one line on standard error when something is wrong.
 * An argument without '=' is a file of lines; empty lines and those that start with '#' are
 * skipped. Secrets come from files and the environment, never from arguments. */
void config_read(struct config *config, int argc, char **argv);

_Noreturn void refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
