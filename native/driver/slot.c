/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "prompt.h"

/* One read's worth for all slots: what is left of an event goes to the slot's own carry. */
static unsigned char received[256 << 10];

static void begin(struct engine *engine, struct slot *slot);

static void drop(struct slot *slot)
{
	if (slot->descriptor >= 0)
		close(slot->descriptor);
	slot->descriptor = -1;
	slot->generation++;
}

/* The request is over; its kind has been set. */
static void finish(struct engine *engine, struct slot *slot, uint64_t now, bool keep)
{
	slot->record.end = now;
	slot->record.bytes_out = slot->sent;
	tally_request(&engine->tally, &slot->record);
	if (!keep)
		drop(slot);
	engine_ended(engine, slot, keep);
}

static void fail(struct engine *engine, struct slot *slot, enum kind kind, int error)
{
	slot->record.kind = (uint8_t)kind;
	slot->record.error = (uint32_t)error;
	finish(engine, slot, clock_now(), false);
}

static void connect_failed(struct engine *engine, struct slot *slot, int error)
{
	switch (error) {
	case ECONNREFUSED: fail(engine, slot, KIND_REFUSED, error); break;
	case ECONNRESET: fail(engine, slot, KIND_RESET, error); break;
	case ETIMEDOUT: fail(engine, slot, KIND_CONNECT_TIMEOUT, error); break;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EADDRNOTAVAIL: fail(engine, slot, KIND_LOCAL, error); break;
	default: fail(engine, slot, KIND_UNREACHABLE, error);
	}
}

/* Nothing came back on a connection that had served before: the server had closed it just as
 * we sent. Any client retries that once. */
static bool stale(const struct slot *slot)
{
	const struct request_record *r = &slot->record;
	return (r->flags & FLAG_REUSED) && !r->first_byte;
}

static void retry(struct engine *engine, struct slot *slot)
{
	slot->record.flags = (uint8_t)((slot->record.flags & ~FLAG_REUSED) | FLAG_RETRIED);
	drop(slot);
	begin(engine, slot);
}

static void broken(struct engine *engine, struct slot *slot, int error)
{
	if (stale(slot))
		retry(engine, slot);
	else
		fail(engine, slot, KIND_RESET, error);
}

static void receive(struct engine *engine, struct slot *slot, bool hung_up)
{
	for (;;) {
		ssize_t n = recv(slot->descriptor, received, sizeof received, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				broken(engine, slot, errno);
			return;
		}
		uint64_t now = clock_now();
		if (!n && stale(slot)) {
			retry(engine, slot);
			return;
		}
		slot->progress = now;
		enum response_state state =
			n ? response_feed(&slot->response, received, (size_t)n, now)
			  : response_closed(&slot->response, now);
		if (state != RESPONSE_MORE) {
			bool keep = state == RESPONSE_COMPLETE && n && !hung_up &&
				    engine->config->keep_alive && slot->sent == slot->size &&
				    response_reusable(&slot->response);
			finish(engine, slot, now, keep);
			return;
		}
		/* Edge-triggered: a short read has emptied the socket, and what comes later is
		 * another edge. A hang-up has had its edge: read on to the end. */
		if ((size_t)n < sizeof received && !hung_up)
			return;
	}
}

static void transmit(struct engine *engine, struct slot *slot)
{
	while (slot->sent < slot->size) {
		ssize_t n = send(slot->descriptor, slot->request + slot->sent, slot->size - slot->sent,
				 MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				broken(engine, slot, errno);
			return;
		}
		slot->sent += (size_t)n;
	}
	slot->record.sent = slot->progress = clock_now();
	slot->state = SLOT_WAITING;
}

static void connected(struct engine *engine, struct slot *slot)
{
	slot->record.connected = slot->progress = clock_now();
	slot->state = SLOT_SENDING;
	transmit(engine, slot);
}

/* Sends the request of the slot, on a new connection if it has none. */
static void begin(struct engine *engine, struct slot *slot)
{
	slot->sent = 0;
	slot->progress = slot->attempted = clock_now();
	response_start(&slot->response, &slot->record, slot->carry,
		       (uint32_t)engine->config->event_bytes);
	if (slot->descriptor >= 0) {
		connected(engine, slot);
		return;
	}
	slot->state = SLOT_CONNECTING;
	int family = engine->address.ss_family, on = 1;
	slot->descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (slot->descriptor < 0) {
		connect_failed(engine, slot, errno);
		return;
	}
	setsockopt(slot->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	slot->record.connection = slot->connection = (uint32_t)++engine->tally.connections;
	bool there = !connect(slot->descriptor, (struct sockaddr *)&engine->address,
			      engine->address_size);
	if (!there && errno != EINPROGRESS) {
		connect_failed(engine, slot, errno);
		return;
	}
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.u64 = (uint64_t)(slot - engine->slots) << 32 | slot->generation,
	};
	if (epoll_ctl(engine->epoll, EPOLL_CTL_ADD, slot->descriptor, &event))
		connect_failed(engine, slot, ENOMEM);
	else if (there)
		connected(engine, slot);
}

void slot_start(struct engine *engine, struct slot *slot, struct due *due, uint64_t scheduled,
		uint8_t flags)
{
	slot->record = (struct request_record){
		.index = (uint32_t)due->index,
		.flags = (uint8_t)(flags | (slot->descriptor >= 0 ? FLAG_REUSED : 0)),
		.scheduled = scheduled,
		.started = clock_now(),
		.connection = slot->connection,
		.prompt = due->prompt,
		.output = due->output,
	};
	slot->size = request_write(engine->config, due, slot->request);
	begin(engine, slot);
}

void slot_event(struct engine *engine, struct slot *slot, uint32_t events)
{
	bool hung_up = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
	switch (slot->state) {
	case SLOT_FREE: return;
	case SLOT_IDLE:
		if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
			drop(slot);
			engine_idle_closed(engine, slot);
		}
		return;
	case SLOT_CONNECTING: {
		int error = 0;
		socklen_t size = sizeof error;
		if (getsockopt(slot->descriptor, SOL_SOCKET, SO_ERROR, &error, &size))
			error = errno;
		if (error)
			connect_failed(engine, slot, error);
		else if (events & EPOLLOUT)
			connected(engine, slot);
		/* What came with the connection has no other edge. */
		if (slot->state != SLOT_SENDING && slot->state != SLOT_WAITING)
			return;
		break;
	}
	case SLOT_SENDING:
		if (events & EPOLLOUT) {
			uint32_t generation = slot->generation;
			transmit(engine, slot);
			if (slot->generation != generation || slot->state == SLOT_FREE)
				return;
		}
		break;
	case SLOT_WAITING: break;
	}
	if (events & EPOLLIN || hung_up)
		receive(engine, slot, hung_up);
}

void slot_sweep(struct engine *engine, struct slot *slot, uint64_t now)
{
	const struct config *c = engine->config;
	const struct request_record *r = &slot->record;
	if (slot->state == SLOT_FREE || slot->state == SLOT_IDLE)
		return;
	if (now - r->started > c->total_timeout_ns)
		fail(engine, slot, KIND_TOTAL_TIMEOUT, 0);
	else if (slot->state == SLOT_CONNECTING) {
		if (now - slot->attempted > c->connect_timeout_ns)
			fail(engine, slot, KIND_CONNECT_TIMEOUT, 0);
	} else if (!r->first_byte) {
		if (now - slot->progress > c->first_byte_timeout_ns)
			fail(engine, slot, KIND_FIRST_BYTE_TIMEOUT, 0);
	} else if (now - slot->progress > c->stall_timeout_ns) {
		fail(engine, slot, KIND_STALL_TIMEOUT, 0);
	}
}

void slot_abandon(struct engine *engine, struct slot *slot, enum kind kind)
{
	if (slot->state != SLOT_FREE && slot->state != SLOT_IDLE)
		fail(engine, slot, kind, 0);
}
