/* SPDX-License-Identifier: Apache-2.0
 *
 * How engine processes pass tokens: a ring in shared memory each way, and a futex only for
 * the one who would otherwise spin. The producer fills a slot, moves the head, and wakes the
 * consumer if that said it sleeps. A round trip is a token there and its successor back.
 */
#define _GNU_SOURCE /* memfd_create */
#include <stdalign.h>
#include <string.h>
#include <sys/mman.h>

#include "../runtime.h"
#include "futex_call.h"

enum { SLOTS = 16, LINE = 64, THERE = 0, BACK = 1 };

struct message {
	uint32_t token;
	uint32_t sequence;
	float logits[14];
};

struct ring {
	alignas(LINE) _Atomic uint32_t head;    /* messages produced */
	alignas(LINE) _Atomic uint32_t sleeping; /* the consumer waits on head */
	alignas(LINE) struct message slot[SLOTS];
};

/* Consumed so far, by this process; each consumes one ring. */
static uint32_t tail;

static void setup(struct ctx *c)
{
	/* A file in memory, as engines map from /dev/shm, rather than an anonymous mapping. */
	int fd = memfd_create("ring", MFD_CLOEXEC);
	MUST(fd >= 0);
	MUST(!ftruncate(fd, 2 * sizeof(struct ring)));
	c->state = mmap(NULL, 2 * sizeof(struct ring), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_POPULATE, fd, 0);
	MUST(c->state != MAP_FAILED);
	MUST(!close(fd));
}

static void produce(struct ring *ring, uint32_t token)
{
	uint32_t head = atomic_load(&ring->head);
	struct message *slot = &ring->slot[head % SLOTS];
	slot->token = token;
	slot->sequence = head;
	atomic_store(&ring->head, head + 1);
	if (atomic_exchange(&ring->sleeping, 0))
		MUST(futex_wake(&ring->head) >= 0);
}

static uint32_t consume(struct ring *ring)
{
	while (atomic_load(&ring->head) == tail) {
		atomic_store(&ring->sleeping, 1);
		if (atomic_load(&ring->head) == tail)
			futex_wait(&ring->head, tail);
	}
	struct message *slot = &ring->slot[tail % SLOTS];
	MUST(slot->sequence == tail);
	tail++;
	return slot->token;
}

static void ping(struct ctx *c)
{
	struct ring *ring = c->state;
	uint32_t token = tail;
	produce(&ring[THERE], token);
	MUST(consume(&ring[BACK]) == token + 1);
}

static void pong(struct ctx *c)
{
	struct ring *ring = c->state;
	produce(&ring[BACK], consume(&ring[THERE]) + 1);
}

static const struct workload shm_workload = {
	.name = "shm-futex", .setup = setup, .ping = ping, .pong = pong};
WORKLOAD(shm_workload);
