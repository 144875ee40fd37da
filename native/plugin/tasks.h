/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who runs: tasks told apart into the client, the server and the rest.
 *
 * A task is the address of its structure in the kernel, which shows in the one load by which the
 * switch to it fetches its stack (kl_target.is_switch_load). The *client* is the task that begins
 * regions. The *server* is everybody else who has executed an instruction in user space since the
 * SERVICE marker; threads and children need no announcement of their own. The task that executed
 * that marker, kernel threads and the idle task are the *rest*.
 *
 * Whether a task has a user space is known for certain only when it is switched away from, and
 * then for good. A kernel thread that gets the structure of a thread of the server that ended
 * would pass for it.
 */
#ifndef KERNLEAP_TASKS_H
#define KERNLEAP_TASKS_H

#include <stdbool.h>
#include <stdint.h>

enum kl_side {
    KL_SIDE_SERVER = 0,
    KL_SIDE_CLIENT = 1,
    KL_SIDE_REST = 2,
};
#define KL_SIDES 3u
#define KL_SIDES_TOLD 2u /* the rest is what is left of the total */
#define KL_MAX_TASKS 1024u

struct kl_tasks {
    bool telling;            /* since the SERVICE marker */
    bool full;
    uint64_t switches;       /* seen in all */
    uint64_t user;           /* user instructions when the running task was switched to */
    uint32_t n, running;     /* running: index into known, or KL_MAX_TASKS */
    struct kl_task {
        uint64_t address;    /* 0: not known, the task that ran before the first switch */
        enum kl_side side;
        bool apart;          /* the rest for good */
    } known[KL_MAX_TASKS];
};

void kl_tasks_init(struct kl_tasks *t);
/* The running task starts a service. `user`: user instructions executed so far. */
void kl_tasks_service(struct kl_tasks *t, uint64_t user);
/* The running task begins a region. */
void kl_tasks_client(struct kl_tasks *t);
/* The side of the running task, as far as it has shown. */
enum kl_side kl_tasks_side(struct kl_tasks *t, uint64_t user);
/* `next` runs from here on. True when it is certain to be of the side of the task before. */
bool kl_tasks_switch(struct kl_tasks *t, uint64_t next, uint64_t user);

#endif
