/* SPDX-License-Identifier: Apache-2.0
 *
 * The load: one thread, one epoll, connections in slots that are all allocated before it begins.
 */
#ifndef KERNLEAP_ENGINE_H
#define KERNLEAP_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "config.h"
#include "response.h"
#include "schedule.h"
#include "tally.h"

enum slot_state { SLOT_FREE, SLOT_IDLE, SLOT_CONNECTING, SLOT_SENDING, SLOT_WAITING };

/* A connection and the request on it. */
struct slot {
	struct response response;
	struct request_record record;
	int descriptor;
	enum slot_state state;
	uint32_t generation;   /* tells events of an earlier descriptor of this slot apart */
	uint32_t connection;   /* serial number */
	uint64_t attempted;    /* when this attempt at connecting began */
	uint64_t progress;     /* when something last moved */
	size_t size, sent;     /* of the request in `request` */
	char *request;
	void *carry;
};

struct engine {
	const struct config *config;
	struct schedule schedule;
	struct tally tally;
	struct sockaddr_storage address;
	socklen_t address_size;
	int epoll, timer;
	uint64_t armed, next_sweep, tick;

	struct slot *slots;
	uint32_t slot_count, in_flight;
	/* Slots without a connection, and with one that waits for a request: the warmest on top. */
	uint32_t *free, free_count, *idle, idle_count;

	struct due due; /* the next request, if `pending` */
	bool pending, blocked, dispatched;
	uint64_t start, measured;
	uint64_t failures; /* in a row */
	/* When each stream that has no request became free, the longest ago first: a ring. */
	uint64_t *freed;
	uint32_t freed_first, freed_count;
};

/* Runs the load to its end, or until SIGINT or SIGTERM. */
void engine_run(struct engine *engine, const struct config *config);

/* slot.c: the life of a request on a slot. */
void slot_start(struct engine *engine, struct slot *slot, struct due *due, uint64_t scheduled,
		uint8_t flags);
void slot_event(struct engine *engine, struct slot *slot, uint32_t events);
/* Ends the request in flight by a timeout, if one has passed. */
void slot_sweep(struct engine *engine, struct slot *slot, uint64_t now);
void slot_abandon(struct engine *engine, struct slot *slot, enum kind kind);

/* engine.c: what slots tell. */
void engine_ended(struct engine *engine, struct slot *slot, bool keep);
void engine_idle_closed(struct engine *engine, struct slot *slot);

#endif
