/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets of the network workloads, on the loopback that PID 1 brought up.
 */
#ifndef KERNLEAP_LOOPBACK_H
#define KERNLEAP_LOOPBACK_H

#include <netinet/in.h>

/* A bound socket of `type` on a free port of 127.0.0.1; its address goes to `*at`. */
int loopback_socket(int type, struct sockaddr_in *at);

/* Turns an option of a socket to `value`, or fails the region. */
void socket_option(int fd, int level, int option, int value);

#endif
