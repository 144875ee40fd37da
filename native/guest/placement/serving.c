/* SPDX-License-Identifier: Apache-2.0
 *
 * The shape of an LLM server, after the way vLLM splits itself into processes: an API process
 * (a thread that streams answers, one that prepares requests), an engine core (threads for what
 * comes in and goes out around the loop that steps the model), and workers (one per accelerator,
 * with a helper thread each). API and core talk through a unix socket, core and workers through
 * words in shared memory that the reader polls with sched_yield, threads of a process through a
 * queue with a futex. There is no model: its time is a fixed amount of computation.
 */
#include <errno.h>
#include <sched.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../runtime.h"
#include "mailbox.h"
#include "shapes.h"

enum {
	MOST_WORKERS = 8,
	MOST_SERVERS = 8,
	API_THREADS = 2,
	CORE_THREADS = 3,
	WORKER_THREADS = 2,
	STREAMS = 8,       /* requests in flight */
	STEPS_A_FINISH = 2, /* steps of the model between two finished requests */
	MODEL_UNITS = 40,
	SCHEDULE_UNITS = 6,
	REQUEST_UNITS = 10,
	TOKEN_UNITS = 3,
	COPY_UNITS = 3,
	MESSAGE = 256,     /* bytes of a message on the socket */
	YIELDS_A_LOOK = 16,
};

/* One word for one writer; its readers poll. */
struct polled {
	alignas(64) _Atomic uint32_t step;
	_Atomic int32_t cpu;
};

struct server {
	int socket[2]; /* the API's end, the core's end */
	struct polled go, done[MOST_WORKERS];
	struct mailbox requests; /* API: from the streaming thread to the preparing one */
	struct mailbox arrived;  /* core: from its input thread */
	struct mailbox leaving;  /* core: to its output thread */
	struct mailbox copy[MOST_WORKERS];
};

struct servers {
	int workers;
	struct server server[];
};

static int serving_seats(struct stage *stage, int groups, int workers)
{
	static const char *const role[] = {"http", "tokenize", "input", "core", "output"};
	int n = 0, process = 0;
	if (workers < 1 || workers > MOST_WORKERS || groups > MOST_SERVERS ||
	    groups * (API_THREADS + CORE_THREADS + workers * WORKER_THREADS) > MAX_SEATS)
		return -1;
	for (int g = 0; g < groups; g++) {
		for (int i = 0; i < API_THREADS + CORE_THREADS; i++, n++) {
			int core = i >= API_THREADS;
			stage->seat[n].process = process + core;
			stage->seat[n].thread = core ? i - API_THREADS : i;
			snprintf(stage->seat[n].role, ROLE, "%s", role[i]);
		}
		process += 2;
		for (int w = 0; w < workers; w++, process++)
			for (int i = 0; i < WORKER_THREADS; i++, n++) {
				stage->seat[n].process = process;
				stage->seat[n].thread = i;
				snprintf(stage->seat[n].role, ROLE, i ? "copy" : "worker");
			}
	}
	return n;
}

static size_t serving_shared(int groups, int workers)
{
	(void)workers;
	return sizeof(struct servers) + (size_t)groups * sizeof(struct server);
}

static int serving_prepare(struct stage *stage, void *shared, int groups, int workers)
{
	struct servers *all = shared;
	(void)stage;
	all->workers = workers;
	for (int g = 0; g < groups; g++)
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, all->server[g].socket))
			return -1;
	return 0;
}

static void send_token(int fd, struct token token)
{
	char message[MESSAGE] = "";
	memcpy(message, &token, sizeof token);
	for (size_t at = 0; at < sizeof message;) {
		ssize_t n = write(fd, message + at, sizeof message - at);
		MUST(n > 0 || errno == EINTR);
		at += n > 0 ? (size_t)n : 0;
	}
}

static struct token receive_token(int fd)
{
	char message[MESSAGE];
	struct token token;
	for (size_t at = 0; at < sizeof message;) {
		ssize_t n = read(fd, message + at, sizeof message - at);
		MUST(n > 0 || errno == EINTR);
		at += n > 0 ? (size_t)n : 0;
	}
	memcpy(&token, message, sizeof token);
	return token;
}

static void tell(struct polled *word, uint32_t step)
{
	atomic_store(&word->cpu, token_make(0).cpu);
	atomic_store(&word->step, step);
}

static void poll_word(struct stage *stage, struct seat *seat, struct polled *word, uint32_t step)
{
	for (int i = 0; atomic_load(&word->step) < step; i++) {
		sched_yield();
		if (i % YIELDS_A_LOOK == 0)
			look(stage, seat);
	}
	token_took(stage, seat, (struct token){.cpu = atomic_load(&word->cpu)});
}

/* Streams what the core gives, and asks for a new request for each that is finished. */
static void http_thread(struct stage *stage, struct seat *seat, struct server *s, volatile uint32_t *own)
{
	for (int i = 0; i < STREAMS; i++)
		mailbox_put(&s->requests, token_make(0));
	for (;;) {
		struct token token = receive_token(s->socket[0]);
		token_took(stage, seat, token);
		work(own, TOKEN_UNITS);
		if (token.number)
			mailbox_put(&s->requests, token_make(0));
		look(stage, seat);
	}
}

static void tokenize_thread(struct stage *stage, struct seat *seat, struct server *s,
			    volatile uint32_t *own)
{
	for (;;) {
		token_took(stage, seat, mailbox_take(&s->requests));
		work(own, REQUEST_UNITS);
		send_token(s->socket[0], token_make(0));
		look(stage, seat);
	}
}

static void input_thread(struct stage *stage, struct seat *seat, struct server *s)
{
	for (;;) {
		token_took(stage, seat, receive_token(s->socket[1]));
		mailbox_put(&s->arrived, token_make(0));
		look(stage, seat);
	}
}

static void core_thread(struct stage *stage, struct seat *seat, struct server *s, int workers,
			volatile uint32_t *own)
{
	int active = 0;
	for (uint32_t step = 1;; step++) {
		while (!active || mailbox_ready(&s->arrived)) {
			token_took(stage, seat, mailbox_take(&s->arrived));
			active++;
		}
		work(own, SCHEDULE_UNITS);
		tell(&s->go, step);
		for (int w = 0; w < workers; w++)
			poll_word(stage, seat, &s->done[w], step);
		int finished = step % STEPS_A_FINISH == 0;
		active -= finished;
		mailbox_put(&s->leaving, token_make((uint32_t)finished));
		look(stage, seat);
	}
}

static void output_thread(struct stage *stage, struct seat *seat, struct server *s,
			  volatile uint32_t *own)
{
	for (;;) {
		struct token token = mailbox_take(&s->leaving);
		token_took(stage, seat, token);
		work(own, TOKEN_UNITS);
		send_token(s->socket[1], token_make(token.number));
		look(stage, seat);
	}
}

static void worker_thread(struct stage *stage, struct seat *seat, struct server *s, int index,
			  volatile uint32_t *own)
{
	for (uint32_t step = 1;; step++) {
		poll_word(stage, seat, &s->go, step);
		work(own, MODEL_UNITS);
		tell(&s->done[index], step);
		mailbox_put(&s->copy[index], token_make(step));
		look(stage, seat);
	}
}

static void copy_thread(struct stage *stage, struct seat *seat, struct mailbox *box,
			volatile uint32_t *own)
{
	for (;;) {
		token_took(stage, seat, mailbox_take(box));
		work(own, COPY_UNITS);
		look(stage, seat);
	}
}

static void serving_body(struct stage *stage, struct seat *seat, void *shared, volatile uint32_t *own)
{
	struct servers *all = shared;
	int size = 2 + all->workers, place = seat->process % size, worker = place - 2;
	struct server *s = &all->server[seat->process / size];
	if (worker >= 0 && seat->thread)
		copy_thread(stage, seat, &s->copy[worker], own);
	else if (worker >= 0)
		worker_thread(stage, seat, s, worker, own);
	else if (place == 0 && seat->thread)
		tokenize_thread(stage, seat, s, own);
	else if (place == 0)
		http_thread(stage, seat, s, own);
	else if (seat->thread == 0)
		input_thread(stage, seat, s);
	else if (seat->thread == 1)
		core_thread(stage, seat, s, all->workers, own);
	else
		output_thread(stage, seat, s, own);
}

const struct shape shape_serving = {"serving", serving_seats, serving_shared, serving_prepare,
				    serving_body};
