/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "prompt.h"

enum { BATCH = 256, MILLISECOND = 1000000 };
static const uint64_t TIMER = UINT64_MAX, ROOM_MOST = UINT64_C(16) << 30;

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static struct engine *running; /* for token(), which a response calls */

static void token(struct response *response, uint64_t gap, uint64_t text_bytes)
{
	tally_token(&running->tally, response, gap, text_bytes);
}

static void find_server(struct engine *engine)
{
	const struct config *c = engine->config;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	char port[8];
	snprintf(port, sizeof port, "%u", (unsigned)c->port);
	int error = getaddrinfo(c->host, port, &hints, &found);
	if (error)
		refuse("host %s: %s", c->host, gai_strerror(error));
	memcpy(&engine->address, found->ai_addr, found->ai_addrlen);
	engine->address_size = found->ai_addrlen;
	freeaddrinfo(found);
}

static void *room(size_t count, size_t size)
{
	if (count * size > ROOM_MOST)
		refuse("too much memory: %zu streams with %zu bytes each", count, size);
	void *p = mmap(NULL, count * size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		refuse("no memory for %zu streams: %s", count, strerror(errno));
	return p;
}

static void make_slots(struct engine *engine)
{
	const struct config *c = engine->config;
	uint32_t count = engine->slot_count = (uint32_t)c->max_streams;
	size_t request = request_room(c, schedule_longest_prompt(&engine->schedule));
	engine->slots = room(count, sizeof *engine->slots);
	engine->free = room(count, sizeof *engine->free);
	engine->idle = room(count, sizeof *engine->idle);
	engine->freed = room(count, sizeof *engine->freed);
	char *requests = room(count, request), *carries = room(count, c->event_bytes);
	for (uint32_t i = 0; i < count; i++) {
		struct slot *slot = &engine->slots[i];
		slot->descriptor = -1;
		slot->request = requests + (size_t)i * request;
		slot->carry = carries + (size_t)i * c->event_bytes;
		slot->response.token = token;
		engine->free[engine->free_count++] = count - 1 - i;
	}
	/* As many descriptors as there are streams, where we may. */
	struct rlimit limit;
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < count + 16u) {
		limit.rlim_cur = limit.rlim_max < count + 16u ? limit.rlim_max : count + 16u;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

void engine_ended(struct engine *engine, struct slot *slot, bool keep)
{
	uint32_t index = (uint32_t)(slot - engine->slots);
	slot->state = keep ? SLOT_IDLE : SLOT_FREE;
	if (keep)
		engine->idle[engine->idle_count++] = index;
	else
		engine->free[engine->free_count++] = index;
	engine->in_flight--;
	engine->freed[(engine->freed_first + engine->freed_count++) % engine->slot_count] =
		slot->record.end;
	/* A server that is gone would be asked a hundred thousand times a second. */
	engine->failures = slot->record.kind == KIND_OK ? 0 : engine->failures + 1;
	if (engine->failures == engine->config->failures_max) {
		engine->dispatched = engine->tally.gave_up = true;
		engine->pending = false;
	}
}

void engine_idle_closed(struct engine *engine, struct slot *slot)
{
	uint32_t index = (uint32_t)(slot - engine->slots), i = 0;
	while (engine->idle[i] != index)
		i++;
	for (engine->idle_count--; i < engine->idle_count; i++)
		engine->idle[i] = engine->idle[i + 1];
	slot->state = SLOT_FREE;
	engine->free[engine->free_count++] = index;
	engine->tally.idle_closed++;
}

/* Draws the next request; false when there is none left to send. */
static bool draw(struct engine *engine)
{
	const struct config *c = engine->config;
	if (engine->pending)
		return true;
	if (engine->dispatched || (c->requests && engine->measured == c->requests) ||
	    !schedule_next(&engine->schedule, &engine->due)) {
		engine->dispatched = true;
		return false;
	}
	engine->pending = true;
	return true;
}

/* Starts every request that is due and has a slot. */
static void dispatch(struct engine *engine)
{
	const struct config *c = engine->config;
	bool closed_loop = c->arrival == ARRIVAL_CLOSED;
	while (draw(engine)) {
		uint64_t now = clock_now();
		uint64_t scheduled = engine->start + engine->due.at_ns;
		bool available = engine->free_count || engine->idle_count;
		if (closed_loop && available)
			scheduled = engine->freed[engine->freed_first];
		if (scheduled >= engine->tally.closes || (closed_loop && now >= engine->tally.closes)) {
			engine->dispatched = true;
			engine->pending = false;
			return;
		}
		if (scheduled > now) {
			engine->blocked = false;
			return;
		}
		if (!available) {
			engine->blocked = true;
			return;
		}
		bool warmup = engine->due.index < c->warmup_requests ||
			      scheduled < engine->start + c->warmup_ns;
		if (!warmup && !engine->measured++)
			tally_open(&engine->tally, scheduled);
		uint8_t flags = (uint8_t)((warmup ? FLAG_WARMUP : 0) |
					  (engine->blocked && !closed_loop ? FLAG_QUEUED : 0));
		engine->pending = false;
		uint32_t index = engine->idle_count ? engine->idle[--engine->idle_count]
						    : engine->free[--engine->free_count];
		engine->freed_first = (engine->freed_first + 1) % engine->slot_count;
		engine->freed_count--;
		engine->in_flight++;
		slot_start(engine, &engine->slots[index], &engine->due, scheduled, flags);
	}
}

static void sweep(struct engine *engine, uint64_t now)
{
	for (uint32_t i = 0; i < engine->slot_count; i++)
		slot_sweep(engine, &engine->slots[i], now);
	engine->next_sweep = now + engine->tick;
}

static void arm(struct engine *engine, uint64_t now)
{
	uint64_t wanted = engine->next_sweep;
	if (engine->pending && !engine->blocked && engine->start + engine->due.at_ns < wanted)
		wanted = engine->start + engine->due.at_ns;
	if (!engine->tally.closed && engine->tally.closes < wanted)
		wanted = engine->tally.closes;
	/* An earlier time that is still to come serves as well. */
	if (engine->armed > now && engine->armed <= wanted)
		return;
	struct itimerspec when = {.it_value = {(time_t)(wanted / 1000000000u),
					       (long)(wanted % 1000000000u)}};
	timerfd_settime(engine->timer, TFD_TIMER_ABSTIME, &when, NULL);
	engine->armed = wanted;
}

/* Whether the run is over; closes the window when it is time. */
static bool over(struct engine *engine, uint64_t now)
{
	struct tally *tally = &engine->tally;
	bool drained = engine->dispatched && !engine->in_flight;
	bool short_of_work = engine->config->requests && engine->measured == engine->config->requests;
	if (tally->opened && !tally->closed) {
		if (now >= tally->closes)
			tally_close(tally, tally->closes);
		else if (drained && (tally->closes == UINT64_MAX || short_of_work || tally->gave_up ||
				     engine->config->arrival == ARRIVAL_TRACE))
			tally_close(tally, now);
	}
	return drained && (tally->closed || !tally->opened);
}

static void wait_for_events(struct engine *engine)
{
	struct epoll_event events[BATCH];
	int count = epoll_wait(engine->epoll, events, BATCH, -1);
	if (count < 0 && errno != EINTR)
		refuse("waiting for events: %s", strerror(errno));
	for (int i = 0; i < count; i++) {
		if (events[i].data.u64 == TIMER)
			continue;
		struct slot *slot = &engine->slots[events[i].data.u64 >> 32];
		if (slot->generation == (uint32_t)events[i].data.u64)
			slot_event(engine, slot, events[i].events);
	}
}

static void prepare(struct engine *engine, const struct config *config)
{
	*engine = (struct engine){.config = config};
	running = engine;
	schedule_start(&engine->schedule, config);
	find_server(engine);
	make_slots(engine);
	tally_start(&engine->tally, config);
	struct sigaction action = {.sa_handler = stop};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = TIMER};
	engine->epoll = epoll_create1(EPOLL_CLOEXEC);
	engine->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (engine->epoll < 0 || engine->timer < 0 ||
	    epoll_ctl(engine->epoll, EPOLL_CTL_ADD, engine->timer, &event))
		refuse("epoll or timerfd: %s", strerror(errno));

	uint64_t shortest = config->connect_timeout_ns;
	if (config->first_byte_timeout_ns < shortest)
		shortest = config->first_byte_timeout_ns;
	if (config->stall_timeout_ns < shortest)
		shortest = config->stall_timeout_ns;
	if (config->total_timeout_ns < shortest)
		shortest = config->total_timeout_ns;
	uint64_t tick = shortest / 20;
	engine->tick = tick < MILLISECOND        ? MILLISECOND
		       : tick > 250 * MILLISECOND ? 250 * MILLISECOND
						  : tick;
	bool open_loop = config->arrival != ARRIVAL_CLOSED;
	engine->start = clock_now() + (open_loop ? config->lead_ns : 0);
	for (uint32_t i = 0; i < engine->slot_count; i++)
		engine->freed[engine->freed_count++] = engine->start;
	engine->next_sweep = engine->start + engine->tick;
}

void engine_run(struct engine *engine, const struct config *config)
{
	prepare(engine, config);
	uint64_t drain_until = UINT64_MAX;
	for (;;) {
		dispatch(engine);
		uint64_t now = clock_now();
		if (over(engine, now))
			break;
		if (engine->dispatched && drain_until == UINT64_MAX)
			drain_until = now + config->drain_ns;
		if (stopped || now >= drain_until)
			break;
		if (now >= engine->next_sweep)
			sweep(engine, now);
		arm(engine, now);
		wait_for_events(engine);
	}
	engine->tally.interrupted = stopped;
	for (uint32_t i = 0; i < engine->slot_count; i++)
		slot_abandon(engine, &engine->slots[i], KIND_UNFINISHED);
	tally_close(&engine->tally, clock_now());
}
