/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kernleap's counting plugin for QEMU's plugin API 1: inline adds take plain addresses. */
#include "api_v1.h"
#include "core.h"

#include <stdlib.h>

KL_EXPORT int qemu_plugin_version = KL_API_VERSION;
KL_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc,
                                  char **argv);

#define MAX_BLOCKS 512u

static qemu_plugin_id_t self;
static uint64_t *blocks[MAX_BLOCKS];

static uint64_t *new_block(uint32_t block)
{
    if (block >= MAX_BLOCKS) {
        return NULL;
    }
    /* Aligned so that a line of slots is one cache line. */
    blocks[block] = aligned_alloc(64, KL_BLOCK_COUNTERS * sizeof(uint64_t));
    for (uint32_t i = 0; blocks[block] && i < KL_BLOCK_COUNTERS; i++) {
        blocks[block][i] = 0;
    }
    return blocks[block];
}

static void on_boundary(unsigned int vcpu, void *userdata)
{
    (void)vcpu;
    kl_boundary((uintptr_t)userdata);
}

static void on_load(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *userdata)
{
    (void)vcpu, (void)info, (void)userdata;
    kl_load(vaddr);
}

static void on_reset(qemu_plugin_id_t id);

static void on_marker(unsigned int vcpu, void *userdata)
{
    (void)vcpu;
    if (kl_marker((enum kl_op)(uintptr_t)userdata)) {
        qemu_plugin_reset(self, on_reset);
    }
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    size_t n = qemu_plugin_tb_n_insns(tb);
    struct kl_plan plan;

    (void)id;
    if (!kl_wants(qemu_plugin_tb_vaddr(tb))) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

        kl_plan(qemu_plugin_insn_vaddr(insn), qemu_plugin_insn_data(insn),
                qemu_plugin_insn_size(insn), &plan);
        if (plan.marker != KL_OP_NONE) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_marker, KL_CB_NO_REGS,
                                                   (void *)(uintptr_t)plan.marker);
        }
        if (plan.boundary) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_boundary, KL_CB_NO_REGS,
                                                   (void *)plan.boundary);
        }
        for (unsigned j = 0; j < plan.n_adds; j++) {
            qemu_plugin_register_vcpu_insn_exec_inline(
                insn, KL_INLINE_ADD_U64, blocks[plan.adds[j].block] + plan.adds[j].index, 1);
        }
        if (plan.watch_load) {
            /* QEMU 7.2 takes a read for a write when it filters, so ask for both. */
            qemu_plugin_register_vcpu_mem_cb(insn, on_load, KL_CB_NO_REGS, KL_MEM_READ_WRITE,
                                             NULL);
        }
    }
}

static void at_exit(qemu_plugin_id_t id, void *userdata)
{
    (void)id, (void)userdata;
    kl_finish();
}

static void subscribe(void)
{
    qemu_plugin_register_vcpu_tb_trans_cb(self, on_translate);
    qemu_plugin_register_atexit_cb(self, at_exit, NULL);
}

/* A reset drops every callback and all translated code. */
static void on_reset(qemu_plugin_id_t id)
{
    (void)id;
    kl_rearmed();
    subscribe();
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc,
                        char **argv)
{
    struct kl_setup setup = {
        .abi = KL_API_VERSION,
        .api_min = info->version.min,
        .api_cur = info->version.cur,
        .target_name = info->target_name,
        .system_emulation = info->system_emulation,
        .smp_vcpus = info->system.smp_vcpus,
        .max_vcpus = info->system.max_vcpus,
        .argc = argc,
        .argv = argv,
        .new_block = new_block,
    };

    self = id;
    if (kl_init(&setup) != 0) {
        return -1;
    }
    subscribe();
    return 0;
}
