/* SPDX-License-Identifier: Apache-2.0 */
#include "loopback.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../runtime.h"

int loopback_socket(int type, struct sockaddr_in *at)
{
	socklen_t length = sizeof *at;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	MUST(fd >= 0);
	/* The kernel picks the port: it cannot collide with one of another region, whatever is
	 * still in TIME_WAIT there. */
	*at = (struct sockaddr_in){.sin_family = AF_INET,
				   .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	MUST(!bind(fd, (struct sockaddr *)at, sizeof *at));
	MUST(!getsockname(fd, (struct sockaddr *)at, &length));
	return fd;
}

void socket_option(int fd, int level, int option, int value)
{
	MUST(!setsockopt(fd, level, option, &value, sizeof value));
}
