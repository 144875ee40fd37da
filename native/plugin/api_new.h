/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of QEMU's newer plugin APIs that kernleap uses: per-vCPU scoreboards instead of
 * plain addresses, instruction bytes copied instead of lent.
 *
 * KL_API_VERSION is 3 (accepted by QEMU 9.1 and later, while their minimum is 2) or 7
 * (QEMU 11.1 and later accept nothing older): API 7 passes user data to every callback and
 * no longer passes the plugin's id.
 */
#ifndef KERNLEAP_API_NEW_H
#define KERNLEAP_API_NEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef KL_API_VERSION
#define KL_API_VERSION 7
#endif
#if KL_API_VERSION != 3 && KL_API_VERSION != 7
#error "KL_API_VERSION must be 3 or 7"
#endif

#define KL_EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;

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

/* A counter: `offset` bytes into each vCPU's element of a scoreboard. Passed by value. */
typedef struct {
    struct qemu_plugin_scoreboard *score;
    size_t offset;
} qemu_plugin_u64;

/* Registers that a callback touches: none of ours does. */
enum { KL_CB_NO_REGS = 0 };
enum { KL_MEM_READ_WRITE = 3 };
enum { KL_INLINE_ADD_U64 = 0 };

#if KL_API_VERSION >= 7
typedef void simple_cb(void *userdata);
typedef void exit_cb(void *userdata);
typedef void translate_cb(struct qemu_plugin_tb *tb, void *userdata);
void qemu_plugin_reset(qemu_plugin_id_t id, simple_cb *cb, void *userdata);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translate_cb *cb,
                                           void *userdata);
#else
typedef void simple_cb(qemu_plugin_id_t id);
typedef void exit_cb(qemu_plugin_id_t id, void *userdata);
typedef void translate_cb(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
void qemu_plugin_reset(qemu_plugin_id_t id, simple_cb *cb);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translate_cb *cb);
#endif

typedef void exec_cb(unsigned int vcpu, void *userdata);
typedef void memory_cb(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr,
                       void *userdata);

void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, exit_cb *cb, void *userdata);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *into, size_t size);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
/* Enumerations of the real API are passed as the int that they are. */
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, exec_cb *cb,
                                            int flags, void *userdata);
void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(struct qemu_plugin_insn *insn, int op,
                                                         qemu_plugin_u64 counter,
                                                         uint64_t value);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, memory_cb *cb, int flags,
                                      int access, void *userdata);
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_size);
void *qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard *score, unsigned int vcpu);

#endif
