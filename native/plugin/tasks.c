/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tasks.h"

#include <stddef.h>

static struct kl_task *running(struct kl_tasks *t)
{
    return t->running < t->n ? &t->known[t->running] : NULL;
}

static void run(struct kl_tasks *t, uint64_t address)
{
    for (t->running = 0; t->running < t->n; t->running++) {
        if (t->known[t->running].address == address) {
            return;
        }
    }
    if (t->n == KL_MAX_TASKS) {
        t->full = true;
        return;
    }
    t->known[t->n++] = (struct kl_task){ address, KL_SIDE_REST, false };
}

void kl_tasks_init(struct kl_tasks *t)
{
    t->telling = t->full = false;
    t->switches = t->user = 0;
    t->n = 0;
    run(t, 0);
}

void kl_tasks_service(struct kl_tasks *t, uint64_t user)
{
    uint64_t address = running(t) ? running(t)->address : 0;

    t->telling = true;
    t->user = user;
    t->n = 0;
    run(t, address);
    t->known[t->running].apart = true;
}

void kl_tasks_client(struct kl_tasks *t)
{
    if (running(t)) {
        running(t)->side = KL_SIDE_CLIENT;
    }
}

enum kl_side kl_tasks_side(struct kl_tasks *t, uint64_t user)
{
    struct kl_task *task = running(t);

    if (!task) {
        return KL_SIDE_REST;
    }
    if (task->side == KL_SIDE_REST && !task->apart && user != t->user) {
        task->side = KL_SIDE_SERVER;
    }
    return task->side;
}

bool kl_tasks_switch(struct kl_tasks *t, uint64_t next, uint64_t user)
{
    enum kl_side side = kl_tasks_side(t, user);
    const struct kl_task *task;

    t->switches++;
    t->user = user;
    if (!t->telling) {
        t->n = 0; /* who runs is all that matters so far */
    }
    run(t, next);
    task = running(t);
    return task && task->side == side && (side != KL_SIDE_REST || task->apart);
}
