/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of QEMU's plugin API 1 (QEMU 6.0 to 8.2) that kernleap uses. */
#ifndef KERNLEAP_API_V1_H
#define KERNLEAP_API_V1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KL_EXPORT __attribute__((visibility("default")))
#define KL_API_VERSION 1

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

struct qemu_info_t {
    const char *target_name;
    struct {
        int min, cur;
    } version;
    bool system_emulation;
    /* In QEMU a union of which this is the only member. */
    struct {
        int smp_vcpus, max_vcpus;
    } system;
};

/* Registers that a callback touches: none of ours does. */
enum { KL_CB_NO_REGS = 0 };
enum { KL_MEM_READ_WRITE = 3 };
enum { KL_INLINE_ADD_U64 = 0 };

typedef void simple_cb(qemu_plugin_id_t id);
typedef void exit_cb(qemu_plugin_id_t id, void *userdata);
typedef void translate_cb(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void exec_cb(unsigned int vcpu, void *userdata);
typedef void memory_cb(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr,
                       void *userdata);

void qemu_plugin_reset(qemu_plugin_id_t id, simple_cb *cb);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, exit_cb *cb, void *userdata);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translate_cb *cb);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
/* Enumerations of the real API are passed as the int that they are. */
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, exec_cb *cb,
                                            int flags, void *userdata);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op,
                                                void *counter, uint64_t value);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, memory_cb *cb, int flags,
                                      int access, void *userdata);

#endif
