/* SPDX-License-Identifier: Apache-2.0
 *
 * One byte through a pipe by io_uring: a write and a read, submitted and awaited in one
 * call. Between two processes, each with a ring of its own, another byte comes back: the
 * read then waits for the partner inside io_uring.
 */
#include <errno.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../runtime.h"

enum { THERE_READ, THERE_WRITE, BACK_READ, BACK_WRITE, ENTRIES = 8 };

/* This process's ring, mapped from the kernel. */
static struct {
	int fd;
	struct io_uring_sqe *sqes;
	_Atomic uint32_t *sq_tail, *cq_head, *cq_tail;
	uint32_t sq_mask, cq_mask;
	struct io_uring_cqe *cqes;
} ring;

static char byte_out = 'k', byte_in;

static void *map(size_t bytes, uint64_t offset)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd,
		       (off_t)offset);
	MUST(p != MAP_FAILED);
	return p;
}

static void open_ring(struct ctx *c)
{
	struct io_uring_params p = {
		/* As event loops ask for it: one thread, completions run when it waits. */
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
	(void)c;
	ring.fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);
	if (ring.fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL))
		unsupported("io_uring_setup");
	MUST(ring.fd >= 0);
	MUST(p.features & IORING_FEAT_SINGLE_MMAP);
	size_t sq = p.sq_off.array + p.sq_entries * sizeof(uint32_t);
	size_t cq = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	char *rings = map(sq > cq ? sq : cq, IORING_OFF_SQ_RING);
	ring.sqes = map(p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	ring.sq_tail = (_Atomic uint32_t *)(rings + p.sq_off.tail);
	ring.sq_mask = *(uint32_t *)(rings + p.sq_off.ring_mask);
	ring.cq_head = (_Atomic uint32_t *)(rings + p.cq_off.head);
	ring.cq_tail = (_Atomic uint32_t *)(rings + p.cq_off.tail);
	ring.cq_mask = *(uint32_t *)(rings + p.cq_off.ring_mask);
	ring.cqes = (struct io_uring_cqe *)(rings + p.cq_off.cqes);
	uint32_t *order = (uint32_t *)(rings + p.sq_off.array);
	for (uint32_t i = 0; i < p.sq_entries; i++)
		order[i] = i;
}

static void queue(int operation, int fd, void *buffer, unsigned int flags)
{
	uint32_t tail = atomic_load_explicit(ring.sq_tail, memory_order_relaxed);
	struct io_uring_sqe *sqe = &ring.sqes[tail & ring.sq_mask];
	memset(sqe, 0, sizeof *sqe);
	sqe->opcode = (uint8_t)operation;
	sqe->flags = (uint8_t)flags;
	sqe->fd = fd;
	sqe->off = (uint64_t)-1;
	sqe->addr = (uint64_t)(uintptr_t)buffer;
	sqe->len = 1;
	atomic_store_explicit(ring.sq_tail, tail + 1, memory_order_release);
}

/* Submits what is queued, waits until all of it is done, and checks each result. */
static void submit_and_wait(unsigned int count)
{
	MUST(syscall(SYS_io_uring_enter, ring.fd, count, count, IORING_ENTER_GETEVENTS, NULL, 0) ==
	     (long)count);
	uint32_t head = atomic_load_explicit(ring.cq_head, memory_order_relaxed);
	MUST(atomic_load_explicit(ring.cq_tail, memory_order_acquire) - head == count);
	for (uint32_t end = head + count; head != end; head++)
		MUST(ring.cqes[head & ring.cq_mask].res == 1);
	atomic_store_explicit(ring.cq_head, head, memory_order_release);
}

static void setup(struct ctx *c)
{
	open_ring(c);
	MUST(!pipe(&c->fd[THERE_READ]));
	MUST(!pipe(&c->fd[BACK_READ]));
}

static void op(struct ctx *c)
{
	queue(IORING_OP_WRITE, c->fd[THERE_WRITE], &byte_out, IOSQE_IO_LINK);
	queue(IORING_OP_READ, c->fd[THERE_READ], &byte_in, 0);
	submit_and_wait(2);
}

static void ping(struct ctx *c)
{
	queue(IORING_OP_WRITE, c->fd[THERE_WRITE], &byte_out, IOSQE_IO_LINK);
	queue(IORING_OP_READ, c->fd[BACK_READ], &byte_in, 0);
	submit_and_wait(2);
}

static void pong(struct ctx *c)
{
	queue(IORING_OP_READ, c->fd[THERE_READ], &byte_in, 0);
	submit_and_wait(1);
	queue(IORING_OP_WRITE, c->fd[BACK_WRITE], &byte_out, 0);
	submit_and_wait(1);
}

static const struct workload io_uring_workload = {.name = "io-uring",
						  .setup = setup,
						  .op = op,
						  .ping = ping,
						  .pong = pong,
						  .partner = open_ring};
WORKLOAD(io_uring_workload);
