/* SPDX-License-Identifier: Apache-2.0
 *
 * The loopback interface for the network workloads: PID 1 configures no network.
 */
#ifndef KERNLEAP_LOOPBACK_H
#define KERNLEAP_LOOPBACK_H

#include <netinet/in.h>

/* Brings `lo` up, which also gives it 127.0.0.1. Nothing happens when it is up. */
void loopback_up(void);

/* A bound socket of `type` on a free port of 127.0.0.1; its address goes to `*at`. */
int loopback_socket(int type, struct sockaddr_in *at);

/* Turns an option of a socket to `value`, or fails the region. */
void socket_option(int fd, int level, int option, int value);

#endif
