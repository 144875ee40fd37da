/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kernleap's counting plugin for QEMU's newer plugin APIs (see api_new.h): inline adds go to
 * scoreboards. One scoreboard holds one block of counters; with a single vCPU its element
 * never moves, so the core may read it directly.
 */
#include "api_new.h"
#include "core.h"

KL_EXPORT int qemu_plugin_version = KL_API_VERSION;
KL_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc,
                                  char **argv);

#define MAX_BLOCKS 512u

static qemu_plugin_id_t self;
static struct qemu_plugin_scoreboard *blocks[MAX_BLOCKS];

static uint64_t *new_block(uint32_t block)
{
    if (block >= MAX_BLOCKS) {
        return NULL;
    }
    blocks[block] = qemu_plugin_scoreboard_new(KL_BLOCK_COUNTERS * sizeof(uint64_t));
    return blocks[block] ? qemu_plugin_scoreboard_find(blocks[block], 0) : NULL;
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

static void reset(void);

static void on_marker(unsigned int vcpu, void *userdata)
{
    (void)vcpu;
    if (kl_marker((enum kl_op)(uintptr_t)userdata)) {
        reset();
    }
}

static void translate(struct qemu_plugin_tb *tb)
{
    size_t n = qemu_plugin_tb_n_insns(tb);
    uint8_t bytes[KL_MAX_INSN_BYTES];
    struct kl_plan plan;

    if (!kl_wants(qemu_plugin_tb_vaddr(tb))) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        size_t size = qemu_plugin_insn_data(insn, bytes, sizeof(bytes));

        kl_plan(qemu_plugin_insn_vaddr(insn), bytes, size, &plan);
        if (plan.marker != KL_OP_NONE) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_marker, KL_CB_NO_REGS,
                                                   (void *)(uintptr_t)plan.marker);
        }
        if (plan.boundary) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_boundary, KL_CB_NO_REGS,
                                                   (void *)plan.boundary);
        }
        for (unsigned j = 0; j < plan.n_adds; j++) {
            qemu_plugin_u64 counter = {
                .score = blocks[plan.adds[j].block],
                .offset = plan.adds[j].index * sizeof(uint64_t),
            };

            qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, KL_INLINE_ADD_U64,
                                                                counter, 1);
        }
        if (plan.watch_load) {
            qemu_plugin_register_vcpu_mem_cb(insn, on_load, KL_CB_NO_REGS, KL_MEM_READ_WRITE,
                                             NULL);
        }
    }
}

static void subscribe(void);

#if KL_API_VERSION >= 7

static void on_translate(struct qemu_plugin_tb *tb, void *userdata)
{
    (void)userdata;
    translate(tb);
}

static void at_exit(void *userdata)
{
    (void)userdata;
    kl_finish();
}

/* A reset drops every callback and all translated code. */
static void on_reset(void *userdata)
{
    (void)userdata;
    kl_rearmed();
    subscribe();
}

static void reset(void)
{
    qemu_plugin_reset(self, on_reset, NULL);
}

static void subscribe(void)
{
    qemu_plugin_register_vcpu_tb_trans_cb(self, on_translate, NULL);
    qemu_plugin_register_atexit_cb(self, at_exit, NULL);
}

#else

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    translate(tb);
}

static void at_exit(qemu_plugin_id_t id, void *userdata)
{
    (void)id, (void)userdata;
    kl_finish();
}

/* A reset drops every callback and all translated code. */
static void on_reset(qemu_plugin_id_t id)
{
    (void)id;
    kl_rearmed();
    subscribe();
}

static void reset(void)
{
    qemu_plugin_reset(self, on_reset);
}

static void subscribe(void)
{
    qemu_plugin_register_vcpu_tb_trans_cb(self, on_translate);
    qemu_plugin_register_atexit_cb(self, at_exit, NULL);
}

#endif

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
