/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core.h"
#include "running.h"
#include "tasks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EVENT_ADDRESSES 256u
#define MAX_SEND_SITES 64u
#define BOUNDARY_BITS 3u /* of a plan's `boundary`; the slot is above them */

enum phase {
    PHASE_LAZY,    /* only user-space code is looked at, for markers */
    PHASE_ARMING,  /* the guest asked for full instrumentation; the reset is under way */
    PHASE_FULL,
    PHASE_DEAD,    /* the output failed; nothing more is counted */
};

/* Errors of the guest's protocol, as listed in the trailer. */
enum error {
    ERROR_BEGIN_UNARMED = 1,    /* BEGIN before full instrumentation was on */
    ERROR_BEGIN_NESTED = 2,     /* BEGIN inside a region; the outer one is dropped */
    ERROR_MARK_OUTSIDE = 3,     /* MARK outside a region */
    ERROR_END_OUTSIDE = 4,      /* END outside a region */
    ERROR_ARM_AGAIN = 5,        /* a second ARM */
    ERROR_SEND_LATE = 6,        /* SEND after ARM */
    ERROR_SEND_LOST = 7,        /* SEND whose next instruction was not a load */
    ERROR_BAD_EVENT = 8,        /* unknown event id */
    ERROR_BAD_ADDRESS = 9,      /* event address outside the kernel */
    ERROR_MANY_EVENTS = 10,     /* more than MAX_EVENT_ADDRESSES */
    ERROR_PARTIAL_MESSAGE = 11, /* ARM in the middle of a message */
    ERROR_REGION_OPEN = 12,     /* the machine ended inside a region, which is dropped */
    ERROR_NO_MEMORY = 13,
    ERROR_SERVICE_UNARMED = 14, /* SERVICE before full instrumentation was on */
    ERROR_MANY_TASKS = 15,      /* more than KL_MAX_TASKS while tasks are told apart */
};

static struct {
    enum phase phase;
    const struct kl_target *target;
    uint64_t *(*new_block)(uint32_t);
    uint64_t *totals;
    bool in_region;
    uint64_t unseen; /* switches without their load, when the region began */
    uint32_t next_region, written;
    uint32_t n_errors;
    uint32_t errors[KL_MAX_ERRORS][2];
} core;

static struct kl_slots slots;
static struct kl_region region;
static struct kl_running running;
static struct kl_tasks tasks;

/* Messages: four 16-bit pieces make a word, two words an (event id, address) pair. */
static struct {
    bool expected; /* a SEND ran; the next instruction's load carries a piece */
    unsigned pieces;
    uint64_t words[2];
    uint64_t sites[MAX_SEND_SITES]; /* addresses that follow a SEND */
    unsigned n_sites;
    uint64_t previous_end;          /* end of the last planned SEND, or 0 */
} message;

static struct {
    uint64_t address;
    uint32_t event;
} events[MAX_EVENT_ADDRESSES];
static uint32_t n_events;

static void complain(enum error code)
{
    if (core.n_errors < KL_MAX_ERRORS) {
        core.errors[core.n_errors][0] = code;
        core.errors[core.n_errors][1] = core.next_region;
    }
    core.n_errors++;
}

static int refuse(const char *why)
{
    fprintf(stderr, "kernleap: cannot count here: %s\n", why);
    return -1;
}

int kl_init(const struct kl_setup *setup)
{
    const char *out = NULL;

    if (!setup->system_emulation) {
        return refuse("this is not a whole-system emulator");
    }
    if (setup->smp_vcpus != 1 || setup->max_vcpus != 1) {
        return refuse("counts need exactly one vCPU (-smp 1)");
    }
    core.target = kl_target_find(setup->target_name);
    if (!core.target) {
        return refuse("no markers are defined for this target");
    }
    for (int i = 0; i < setup->argc; i++) {
        if (strncmp(setup->argv[i], "out=", 4) == 0 && setup->argv[i][4]) {
            out = setup->argv[i] + 4;
        } else {
            return refuse("the only argument is out=PATH");
        }
    }
    if (!out) {
        return refuse("give the output file as out=PATH");
    }
    kl_tasks_init(&tasks);
    core.new_block = setup->new_block;
    if (kl_slots_init(&slots, setup->new_block) != 0) {
        return refuse("no memory");
    }
    return kl_output_open(out, setup) ? 0 : -1;
}

bool kl_wants(uint64_t vaddr)
{
    switch (core.phase) {
    case PHASE_LAZY:
        return !core.target->is_kernel(vaddr);
    case PHASE_FULL:
        return true;
    default:
        return false;
    }
}

static void add(struct kl_plan *plan, uint32_t block, uint32_t index)
{
    plan->adds[plan->n_adds++] = (struct kl_add){ block, index };
}

static enum kl_boundary boundary_of(uint32_t event)
{
    switch (event) {
    case KL_EVENT_SCHEDULE:
        return KL_BOUNDARY_SCHEDULE;
    case KL_EVENT_INTERRUPT:
        return KL_BOUNDARY_INTERRUPT;
    case KL_EVENT_IPI:
        return core.target->ipi_is_entry ? KL_BOUNDARY_INTERRUPT : KL_BOUNDARY_NONE;
    case KL_EVENT_FAULT:
        return KL_BOUNDARY_FAULT;
    default:
        return KL_BOUNDARY_NONE;
    }
}

static void plan_kernel(uint64_t vaddr, const uint8_t *bytes, size_t size, struct kl_plan *plan)
{
    bool repeat = core.target->is_repeat(bytes, size);
    uint32_t slot = kl_slot_of(&slots, vaddr, repeat);
    enum kl_boundary boundary = KL_BOUNDARY_NONE;

    if (core.target->is_interrupt_return(bytes, size)) {
        boundary = KL_BOUNDARY_RETURN;
    }
    add(plan, 0, repeat ? KL_TOTAL_REP : KL_TOTAL_KERNEL);
    add(plan, 1 + slot / KL_BLOCK_COUNTERS, slot % KL_BLOCK_COUNTERS);
    for (uint32_t i = 0; i < n_events; i++) {
        if (events[i].address == vaddr) {
            add(plan, 0, KL_TOTAL_EVENT + events[i].event);
            boundary = boundary_of(events[i].event);
            break;
        }
    }
    plan->watch_load = core.target->is_switch_load(bytes, size);
    if (boundary != KL_BOUNDARY_NONE) {
        plan->boundary = (uintptr_t)slot << BOUNDARY_BITS | boundary;
    }
}

/*
 * A block may end right after a SEND, so where a load must be watched is remembered by
 * address. Watching too much is harmless: kl_load() ignores what no SEND announced.
 */
static void plan_send(uint64_t vaddr, size_t size, struct kl_plan *plan)
{
    for (unsigned i = 0; i < message.n_sites; i++) {
        plan->watch_load |= message.sites[i] == vaddr;
    }
    plan->watch_load |= message.previous_end == vaddr;
    message.previous_end = 0;
    if (plan->marker == KL_OP_SEND) {
        message.previous_end = vaddr + size;
        if (message.n_sites < MAX_SEND_SITES) {
            message.sites[message.n_sites++] = vaddr + size;
        }
    }
}

void kl_plan(uint64_t vaddr, const uint8_t *bytes, size_t size, struct kl_plan *plan)
{
    memset(plan, 0, sizeof(*plan));
    if (core.target->is_kernel(vaddr)) {
        if (core.phase == PHASE_FULL) {
            plan_kernel(vaddr, bytes, size, plan);
        }
        return;
    }
    plan->marker = core.target->marker(bytes, size);
    if (core.phase == PHASE_FULL) {
        add(plan, 0, KL_TOTAL_USER);
    } else {
        plan_send(vaddr, size, plan);
    }
}

static void receive(uint64_t event, uint64_t address)
{
    if (event >= KL_EVENTS) {
        complain(ERROR_BAD_EVENT);
    } else if (!core.target->is_kernel(address)) {
        complain(ERROR_BAD_ADDRESS);
    } else if (n_events == MAX_EVENT_ADDRESSES) {
        complain(ERROR_MANY_EVENTS);
    } else {
        events[n_events].address = address;
        events[n_events++].event = (uint32_t)event;
    }
}

/* The load is counted already: to the task that is left. */
static void switched(uint64_t next)
{
    uint64_t user = core.totals[KL_TOTAL_USER];
    enum kl_side side = kl_tasks_side(&tasks, user);

    if (!kl_tasks_switch(&tasks, next, user) && core.in_region && region.sided) {
        kl_running_side(&running, side, &region, &slots);
    }
    if (tasks.full) {
        tasks.full = false;
        complain(ERROR_MANY_TASKS);
    }
}

void kl_load(uint64_t vaddr)
{
    if (core.phase == PHASE_FULL) {
        switched(vaddr);
        return;
    }
    if (!message.expected) {
        return;
    }
    message.expected = false;
    message.words[message.pieces / 4] |= (vaddr & 0xffff) << (16 * (message.pieces % 4));
    if (++message.pieces == 8) {
        receive(message.words[0], message.words[1]);
        message.pieces = 0;
        message.words[0] = message.words[1] = 0;
    }
}

static bool arm(void)
{
    if (core.phase != PHASE_LAZY) {
        complain(ERROR_ARM_AGAIN);
        return false;
    }
    if (message.pieces) {
        complain(ERROR_PARTIAL_MESSAGE);
    }
    core.phase = PHASE_ARMING;
    return true;
}

void kl_rearmed(void)
{
    core.totals = core.new_block(0);
    /* Asking for any slot makes the first block, which holds the overflow slots. */
    kl_slot_of(&slots, UINT64_MAX, false);
    if (!core.totals || !slots.now[0]) {
        fprintf(stderr, "kernleap: no memory for counters\n");
        complain(ERROR_NO_MEMORY);
        core.phase = PHASE_DEAD;
        return;
    }
    running.totals = core.totals;
    core.phase = PHASE_FULL;
}

void kl_boundary(uintptr_t what)
{
    if (core.phase == PHASE_FULL) {
        kl_running_at(&running, what & ((1u << BOUNDARY_BITS) - 1),
                      (uint32_t)(what >> BOUNDARY_BITS), core.in_region ? &region : NULL,
                      &slots);
    }
}

/* At a marker: user space runs, so no interrupt can be under way. */
static void start_operation(void)
{
    if (!kl_running_start(&running)) {
        region.flags |= KL_FLAG_INTERRUPT_OPEN;
    }
}

static void begin(void)
{
    if (core.phase != PHASE_FULL) {
        complain(ERROR_BEGIN_UNARMED);
        core.next_region++;
        return;
    }
    if (core.in_region) {
        complain(ERROR_BEGIN_NESTED);
    }
    kl_tasks_client(&tasks);
    kl_region_begin(&region, &slots, core.next_region++);
    region.sided = tasks.telling && tasks.switches;
    core.unseen = core.totals[KL_TOTAL_EVENT + KL_EVENT_SWITCH] - tasks.switches;
    core.in_region = true;
    start_operation();
}

static void mark(void)
{
    if (!core.in_region) {
        complain(ERROR_MARK_OUTSIDE);
        return;
    }
    kl_running_mark(&running, kl_tasks_side(&tasks, core.totals[KL_TOTAL_USER]), &region, &slots);
    start_operation();
}

/* What was counted since the last marker belongs to no operation. */
static void resume(void)
{
    if (!core.in_region) {
        complain(ERROR_MARK_OUTSIDE);
        return;
    }
    kl_region_discard(&region, &slots);
    start_operation();
}

static void end(void)
{
    if (!core.in_region) {
        complain(ERROR_END_OUTSIDE);
        return;
    }
    core.in_region = false;
    start_operation();
    if (region.sided &&
        core.totals[KL_TOTAL_EVENT + KL_EVENT_SWITCH] - tasks.switches != core.unseen) {
        region.flags |= KL_FLAG_SWITCH_UNSEEN;
    }
    if (kl_output_region(&region, &slots)) {
        core.written++;
    } else {
        core.phase = PHASE_DEAD;
    }
}

static void service(void)
{
    if (core.phase != PHASE_FULL) {
        complain(ERROR_SERVICE_UNARMED);
        return;
    }
    kl_tasks_service(&tasks, core.totals[KL_TOTAL_USER]);
}

bool kl_marker(enum kl_op op)
{
    if (core.phase == PHASE_DEAD) {
        return false;
    }
    switch (op) {
    case KL_OP_ARM:
        return arm();
    case KL_OP_BEGIN:
        begin();
        break;
    case KL_OP_MARK:
        mark();
        break;
    case KL_OP_RESUME:
        resume();
        break;
    case KL_OP_END:
        end();
        break;
    case KL_OP_SERVICE:
        service();
        break;
    case KL_OP_SEND:
        if (core.phase != PHASE_LAZY) {
            complain(ERROR_SEND_LATE);
        } else {
            if (message.expected) {
                complain(ERROR_SEND_LOST);
            }
            message.expected = true;
        }
        break;
    default:
        break;
    }
    return false;
}

void kl_finish(void)
{
    struct kl_trailer t = {
        .regions = core.written,
        .armed = core.phase == PHASE_FULL,
        .slots = slots.used,
        .event_addresses = n_events,
        .errors = (const uint32_t(*)[2])core.errors,
    };

    if (core.in_region) {
        complain(ERROR_REGION_OPEN);
    }
    if (core.totals) {
        memcpy(t.totals, core.totals, sizeof(t.totals));
    }
    t.n_errors = core.n_errors;
    kl_output_close(&t);
}
