/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of fixed-size little-endian records, each after a header of 64 bytes, so that a reader
 * maps them and a file that was cut short is read up to its last whole record. Times are
 * CLOCK_MONOTONIC in nanoseconds, 0 for what never happened. Python's side is
 * kernleap.workload.serving.records.
 */
#ifndef KERNLEAP_RECORD_H
#define KERNLEAP_RECORD_H

#include <stddef.h>
#include <stdint.h>

/* How a request ended. The names are in record.c, in this order. */
enum kind {
	KIND_OK,
	KIND_REFUSED,            /* nothing listens */
	KIND_UNREACHABLE,        /* connecting failed otherwise */
	KIND_RESET,              /* reset, or closed before a response began */
	KIND_CONNECT_TIMEOUT,
	KIND_FIRST_BYTE_TIMEOUT,
	KIND_STALL_TIMEOUT,      /* bytes stopped in the middle */
	KIND_TOTAL_TIMEOUT,
	KIND_HTTP_429,
	KIND_HTTP_4XX,
	KIND_HTTP_5XX,
	KIND_HTTP_OTHER,         /* neither 200 nor an error: a redirect, say */
	KIND_MALFORMED_HTTP,
	KIND_MALFORMED_CHUNK,
	KIND_MALFORMED_JSON,
	KIND_TOO_LONG,           /* one event larger than event_bytes */
	KIND_SERVER_ERROR,       /* an error event in a stream that had begun with 200 */
	KIND_TRUNCATED,          /* closed in the middle, or ended without a mark of completion */
	KIND_NO_TOKENS,          /* a complete response without text */
	KIND_UNFINISHED,         /* the run ended first */
	KIND_LOCAL,              /* this machine failed: descriptors, ports, memory */
	KINDS,
};
extern const char *const KIND_NAMES[KINDS];

enum flag {
	FLAG_WARMUP = 1,
	FLAG_REUSED = 2,    /* sent on a connection that had served before */
	FLAG_RETRIED = 4,   /* that connection was stale: sent again on a new one */
	FLAG_QUEUED = 8,    /* was due while max_streams requests were in flight */
	FLAG_FINISHED = 16, /* the server marked completion (a finish reason, [DONE], ...) */
};

struct request_record {
	uint32_t index;
	uint16_t status;     /* of HTTP; 0: none */
	uint8_t kind, flags;
	uint64_t scheduled;  /* when it was due: latencies count from here */
	uint64_t started;    /* when the driver turned to it */
	uint64_t connected;  /* its connection was there */
	uint64_t sent;       /* its last byte was handed to the kernel */
	uint64_t first_byte; /* of the response */
	uint64_t first_token, last_token;
	uint64_t end;
	uint64_t bytes_in, bytes_out;
	uint64_t longest_gap; /* between tokens */
	uint64_t text_hash, text_bytes;
	uint32_t prompt, output;             /* tokens asked for */
	uint32_t events;                     /* with text */
	uint32_t events_in_window;
	uint32_t frames;                     /* all events */
	uint32_t usage_prompt, usage_completion; /* UINT32_MAX: not said */
	uint32_t connection;                 /* serial number */
	uint32_t error;                      /* errno where the kind has one */
	uint32_t reserved;
};
_Static_assert(sizeof(struct request_record) == 152, "the layout is part of the format");

struct event_record {
	uint64_t at;
	uint32_t index;
	uint16_t merged;     /* how many events of the same read came before it */
	uint16_t text_bytes; /* 65535: so many or more */
};
_Static_assert(sizeof(struct event_record) == 16, "the layout is part of the format");

/* A file behind a buffer, so that writing costs no system call for each record. */
struct record_file {
	int descriptor; /* -1: none is wanted */
	unsigned char *buffer;
	size_t capacity, held;
	uint64_t written, dropped, most;
	const char *path;
};

/* `magic` has 8 bytes. An empty path makes a file that takes and forgets. `most`: records, of
 * which later ones are only counted. */
void record_open(struct record_file *file, const char *path, const char *magic,
		 size_t record_bytes, size_t capacity, uint64_t most);
void record_add(struct record_file *file, const void *record, size_t size);
void record_close(struct record_file *file);

#endif
