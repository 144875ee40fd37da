/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"

enum { MAX_SERVICES = 4, MAX_ARGUMENTS = 64, POLL_NS = 20 * 1000 * 1000, TAIL = 450 };
enum { DRIVE_LIMIT_S = 600 };

struct service {
	char name[32];
	pid_t pid;
};

static struct service services[MAX_SERVICES];

static char *next_field(char **at)
{
	return strsep(at, "\t");
}

static void log_path(char *out, size_t room, const char *name)
{
	snprintf(out, room, "/tmp/%s.log", name);
}

/* The rest of the line as an argument vector. NULL when it does not fit or is empty. */
static char **arguments_of(char *at, char **argv)
{
	int n = 0;
	for (char *field; at && (field = next_field(&at));) {
		if (n == MAX_ARGUMENTS - 1)
			return NULL;
		argv[n++] = field;
	}
	argv[n] = NULL;
	return n ? argv : NULL;
}

static pid_t spawn(const char *name, char **argv)
{
	static char *const environment[] = {"PATH=/usr/bin", "HOME=/tmp", "LC_ALL=C.UTF-8", NULL};
	pid_t pid = fork();
	if (pid)
		return pid;
	char path[64];
	log_path(path, sizeof path, name);
	int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), in = open("/dev/null", O_RDONLY);
	dup2(in, 0);
	dup2(out, 1);
	dup2(out, 2);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(argv[0], argv, environment);
	dprintf(2, "%s cannot be run: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* The last bytes of a file as JSON text. */
static const char *tail_of(const char *path, char *out, size_t room)
{
	char raw[TAIL + 1];
	int fd = open(path, O_RDONLY);
	off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	ssize_t n = 0;
	if (end > 0 && lseek(fd, end > TAIL ? end - TAIL : 0, SEEK_SET) >= 0)
		n = read(fd, raw, TAIL);
	if (fd >= 0)
		close(fd);
	raw[n > 0 ? n : 0] = 0;
	return json_text(out, room, raw);
}

static void record_service(const char *name, const char *status, const char *why)
{
	char path[64], tail[TAIL * 6 + 1], text[256];
	log_path(path, sizeof path, name);
	channel_record("{\"type\":\"service\",\"name\":\"%s\",\"status\":\"%s\",\"why\":\"%s\","
		       "\"output\":\"%.2800s\"}",
		       name, status, json_text(text, sizeof text, why),
		       strcmp(status, "ok") ? tail_of(path, tail, sizeof tail) : "");
}

static struct service *find(const char *name)
{
	for (int i = 0; i < MAX_SERVICES; i++)
		if (services[i].pid && !strcmp(services[i].name, name))
			return &services[i];
	return NULL;
}

void service_start(char *fields)
{
	char *name = next_field(&fields), *argv[MAX_ARGUMENTS];
	for (int i = 0; name && i < MAX_SERVICES; i++) {
		if (services[i].pid)
			continue;
		snprintf(services[i].name, sizeof services[i].name, "%s", name);
		if (!arguments_of(fields, argv))
			break;
		services[i].pid = spawn(name, argv);
		return;
	}
	channel_record("{\"type\":\"error\",\"text\":\"a service line of the plan is malformed\"}");
}

/* 1: it answered 200. 0: not yet. */
static int answers(const struct sockaddr_in *at, const char *path)
{
	char request[256], answer[64] = "";
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), ok = 0;
	if (fd >= 0 && !connect(fd, (const struct sockaddr *)at, sizeof *at)) {
		int n = snprintf(request, sizeof request,
				 "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
		if (write(fd, request, (size_t)n) == n && read(fd, answer, sizeof answer - 1) > 12)
			ok = !memcmp(answer + 8, " 200", 4);
	}
	if (fd >= 0)
		close(fd);
	return ok;
}

static double seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void service_wait(char *fields)
{
	char *name = next_field(&fields), *port = next_field(&fields), *path = next_field(&fields);
	char *limit = next_field(&fields);
	struct service *service = name ? find(name) : NULL;
	if (!service || !limit) {
		channel_record("{\"type\":\"error\",\"text\":\"a ready line of the plan is malformed\"}");
		return;
	}
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)atoi(port)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	double until = seconds_now() + strtod(limit, NULL);
	while (seconds_now() < until) {
		if (waitpid(service->pid, NULL, WNOHANG) == service->pid) {
			service->pid = 0;
			record_service(name, "failed", "it ended before it was ready");
			return;
		}
		if (answers(&at, path)) {
			record_service(name, "ok", "");
			return;
		}
		nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
	}
	record_service(name, "failed", "it was not ready in time");
}

static void hand_over(const char *path)
{
	char raw[1500], text[3600];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, raw, sizeof raw - 1);
	/* A summary larger than one record goes in pieces; the controller joins them. */
	while (n > 0) {
		raw[n] = 0;
		channel_record("{\"type\":\"summary\",\"text\":\"%s\"}", json_text(text, sizeof text, raw));
		n = read(fd, raw, sizeof raw - 1);
	}
	if (fd >= 0)
		close(fd);
}

void service_drive(char *fields, int index)
{
	char *name = next_field(&fields), *form = next_field(&fields);
	char *operations = next_field(&fields), *summary = next_field(&fields);
	char *argv[MAX_ARGUMENTS], path[64], tail[TAIL * 6 + 1];
	if (!summary || !arguments_of(fields, argv)) {
		channel_record("{\"type\":\"error\",\"text\":\"a drive line of the plan is malformed\"}");
		return;
	}
	pid_t pid = spawn(name, argv);
	int status = -1;
	double until = seconds_now() + DRIVE_LIMIT_S;
	sigset_t chld;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	while (pid > 0 && waitpid(pid, &status, WNOHANG) != pid) {
		if (seconds_now() > until)
			kill(pid, SIGKILL);
		sigtimedwait(&chld, NULL, &(struct timespec){.tv_sec = 1});
	}
	int ok = WIFEXITED(status) && !WEXITSTATUS(status);
	log_path(path, sizeof path, name);
	hand_over(summary);
	for (int i = 0; !ok && i < MAX_SERVICES; i++)
		if (services[i].pid)
			record_service(services[i].name, "failed", "the load on it failed");
	channel_record("{\"type\":\"region\",\"index\":%d,\"workload\":\"%s\",\"form\":\"%s\","
		       "\"operations\":%s,\"status\":\"%s\",\"why\":\"%s %d: %.2800s\"}",
		       index, name, form, operations, ok ? "ok" : "failed",
		       WIFSIGNALED(status) ? "ended by signal" : "ended with status",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		       ok ? "" : tail_of(path, tail, sizeof tail));
}

void service_stop_all(void)
{
	for (int i = 0; i < MAX_SERVICES; i++) {
		if (!services[i].pid)
			continue;
		kill(services[i].pid, SIGKILL);
		waitpid(services[i].pid, NULL, 0);
		services[i].pid = 0;
	}
}
