/*
 * PID 1 of the counting plugin's own boot test: runs a few regions with a marker after each
 * operation and prints, for every operation, the time stamp counter's advance, which under
 * `-icount shift=0` is the number of instructions the emulator executed.
 *
 * The markers are spelled out here rather than taken from the guest runtime so that the test
 * holds plugin and runtime to the same protocol independently.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MARKER(op) __asm__ volatile(".byte 0x0f,0x1f,0x80; .long 0x4B4C0000|" #op ::: "memory")

#define MAX_OPS 400

static uint8_t window[65536] __attribute__((aligned(65536)));
static uint64_t stamps[MAX_OPS + 1];
static int pipe_fds[2];
static char payload[16384];

static uint64_t rdtsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

static void send(uint64_t word)
{
    for (int i = 0; i < 4; i++, word >>= 16) {
        const uint8_t *address = window + (word & 0xffff);
        uint8_t value;

        __asm__ volatile(".byte 0x0f,0x1f,0x80; .long 0x4B4C0005\n\tmovb (%1), %0"
                         : "=q"(value) : "r"(address) : "memory");
    }
}

static void send_events(void)
{
    static const struct {
        const char *name;
        int event;
    } wanted[] = { { "entry_SYSCALL_64", 0 }, { "__schedule", 1 }, { "__switch_to", 2 },
                   { "try_to_wake_up", 3 }, { "asm_sysvec_apic_timer_interrupt", 4 },
                   { "asm_exc_page_fault", 5 } };
    char line[512], name[256];
    unsigned long long address;
    FILE *f = fopen("/proc/kallsyms", "r");

    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%llx %*c %255s", &address, name) != 2) {
            continue;
        }
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
            if (strcmp(name, wanted[i].name) == 0) {
                send((uint64_t)wanted[i].event);
                send(address);
            }
        }
    }
    if (f) {
        fclose(f);
    }
}

static void op_getppid(void)
{
    syscall(SYS_getppid);
}

static void op_spin(void)
{
    for (volatile int i = 0; i < 100; i++) {
    }
}

static void op_pipe(void)
{
    if (write(pipe_fds[1], payload, 1) != 1 || read(pipe_fds[0], payload, 1) != 1) {
        printf("FAIL pipe\n");
    }
}

static void op_pipe_large(void)
{
    if (write(pipe_fds[1], payload, sizeof(payload)) != sizeof(payload) ||
        read(pipe_fds[0], payload, sizeof(payload)) != sizeof(payload)) {
        printf("FAIL pipe\n");
    }
}

static void op_touch(void)
{
    char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (int i = 0; i < 65536; i += 4096) {
        p[i] = 1;
    }
    munmap(p, 65536);
}

static void op_fork(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        _exit(0);
    }
    waitpid(pid, &status, 0);
}

static void region(const char *name, void (*op)(void), int n)
{
    for (int i = 0; i < 20; i++) {
        op();
    }
    MARKER(2);
    stamps[0] = rdtsc();
    for (int i = 1; i <= n; i++) {
        op();
        MARKER(3);
        stamps[i] = rdtsc();
    }
    MARKER(4);
    printf("TSC %s", name);
    for (int i = 1; i <= n; i++) {
        printf(" %llu", (unsigned long long)(stamps[i] - stamps[i - 1]));
    }
    printf("\n");
    fflush(stdout);
}

int main(void)
{
    mkdir("/proc", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    if (pipe(pipe_fds) != 0) {
        printf("FAIL pipe\n");
    }
    memset(window, 1, sizeof(window));
    memset(stamps, 0, sizeof(stamps));
    sleep(3);
    send_events();
    MARKER(1);
    usleep(1000);
    region("getppid", op_getppid, 300);
    region("spin", op_spin, 300);
    region("pipe", op_pipe, 300);
    region("pipe-large", op_pipe_large, 300);
    region("touch", op_touch, 300);
    region("fork", op_fork, 300);
    printf("DONE\n");
    fflush(stdout);
    sync();
    reboot(RB_AUTOBOOT);
    return 0;
}
