/* SPDX-License-Identifier: Apache-2.0
 *
 * A placement workload on its stage: processes of threads, each thread with a seat in shared
 * memory where it notes on which processor it spent its time.
 */
#ifndef KERNLEAP_STAGE_H
#define KERNLEAP_STAGE_H

#include <stdatomic.h>
#include <stdint.h>

#include "cpus.h"

enum { MAX_SEATS = 64, MAX_BINS = 96, BIN_MS = 50, ROLE = 16 };

struct seat {
	int process;            /* number of its process, from 0 */
	int thread;             /* number within its process */
	char role[ROLE];
	_Atomic int pid, tid;   /* tid is 0 until the thread exists */
	/* Of the second half of the window: */
	uint64_t handoffs;      /* messages received */
	uint64_t crossings;     /* of these, from a thread that was in another LLC */
	uint64_t within, across; /* changes of processor that the thread saw itself */
	int cpu;                /* where it was at its last look */
	uint64_t spent_ns;      /* its CPU time at its last look */
	uint32_t time_us[MAX_BINS][MAX_CPUS];
};

struct stage {
	struct cpus cpus;
	int bins;                   /* of the window; seats go on noting until MAX_BINS */
	_Atomic uint32_t go;        /* 0 before all threads exist; a futex */
	_Atomic uint64_t begin_ns;  /* CLOCK_MONOTONIC of the window's begin, 0 before */
	int seats;
	struct seat seat[MAX_SEATS];
};

/* A message between threads: where it was sent from is all that its receiver looks at. */
struct token {
	uint32_t number;
	int32_t cpu;
};

uint64_t now_ns(void);

/* Notes the thread's time since its last look on the processor it is on now. */
void look(struct stage *stage, struct seat *seat);

/* Makes a token here; notes a token's receipt. */
struct token token_make(uint32_t number);
void token_took(struct stage *stage, struct seat *seat, struct token token);

/* `units` of computation, each some thousand instructions, on `words` of shared data. */
enum { SHARED_WORDS = 4096 };
void work(volatile uint32_t *words, int units);

#endif
