/* SPDX-License-Identifier: Apache-2.0
 *
 * A server that does nothing but stream: the ceiling of a load driver is what it gets out of it.
 *
 *   null-server [port=N] [threads=N] [interval_ns=N] [merge=N] [die_with_parent=1]
 *
 * It listens on 127.0.0.1 (port 0: any; the port is printed in a line), speaks HTTP/1.1 with
 * keep-alive, and answers the paths of OpenAI, TGI and llama.cpp with as many events as tokens
 * were asked for. Streams take turns, one write an event, as an engine flushes them: at once when
 * the client has room (interval_ns=0), or each `interval_ns` for all of them. merge: so many
 * events in one write. A token is one event of about 170 bytes. threads: so many serve, each its
 * own connections, which are dealt out in turns.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "events.h"

enum { CLIENTS = 4096, THREADS_MOST = 64, REQUEST = 1 << 20, EVENT = 512, MERGE_MOST = 256, BATCH = 256 };

struct client {
	int descriptor;
	bool streaming, close_after;
	enum form form;
	unsigned asked, left;
	char *request;
	size_t held;
	size_t unsent, sent; /* of `out` */
	char out[1024];      /* head and end of a response; tokens come from `token` */
	const char *sending;
	bool blocked;
};

/* One that serves: its own connections, and where new ones come from. */
struct worker {
	struct client clients[CLIENTS];
	struct client *streams[CLIENTS];
	unsigned stream_count;
	int epoll, incoming;
};

static unsigned merge = 1;
static uint64_t interval;
static char token[FORMS][EVENT * MERGE_MOST];
static size_t token_size[FORMS];
static _Thread_local struct worker *me;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "null-server: %s: %s\n", what, strerror(errno));
	exit(1);
}

static size_t chunked(char *out, const char *text, size_t size, const char *after)
{
	int head = sprintf(out, "%zx\r\n", size);
	memcpy(out + head, text, size);
	strcpy(out + head + size, after);
	return (size_t)head + size + strlen(after);
}

static void make_tokens(void)
{
	static char text[EVENT * MERGE_MOST];
	for (int form = 0; form < FORMS; form++) {
		text[0] = 0;
		size_t one = strlen(TOKENS[form]);
		for (unsigned i = 0; i < merge; i++)
			memcpy(text + i * one, TOKENS[form], one);
		token_size[form] = chunked(token[form], text, one * merge, "\r\n");
	}
}

static void drop(struct client *client)
{
	for (unsigned i = 0; i < me->stream_count; i++)
		if (me->streams[i] == client)
			me->streams[i--] = me->streams[--me->stream_count];
	close(client->descriptor);
	free(client->request);
	client->descriptor = -1;
}

/* False: the client is gone. Sends what `sending` has; `blocked` when there is no room. */
static bool push(struct client *client)
{
	while (client->unsent) {
		ssize_t n = send(client->descriptor, client->sending + client->sent, client->unsent,
				 MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			client->blocked = true;
			return true;
		}
		if (n < 0) {
			drop(client);
			return false;
		}
		client->sent += (size_t)n;
		client->unsent -= (size_t)n;
	}
	return true;
}

static bool put(struct client *client, const char *from, size_t size)
{
	client->sending = from;
	client->sent = 0;
	client->unsent = size;
	return push(client);
}

static unsigned number_after(const char *body, const char *key)
{
	const char *at = strstr(body, key);
	return at ? (unsigned)strtoul(at + strlen(key) + strspn(at + strlen(key), "\": "), NULL, 10) : 0;
}

static bool respond_whole(struct client *client, const char *body)
{
	int n = snprintf(client->out, sizeof client->out,
			 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
			 "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	return put(client, client->out, (size_t)n);
}

/* One request, complete in client->request, the body at `body`. */
static bool respond(struct client *client, const char *body)
{
	const char *path = strchr(client->request, ' ');
	path = path ? path + 1 : "";
	client->close_after = strcasestr(client->request, "\r\nConnection: close") != NULL;
	if (strncmp(client->request, "POST", 4))
		return respond_whole(client, MODELS);
	client->form = COMPLETIONS;
	for (int form = 0; form < FORMS; form++) {
		size_t size = strlen(PATHS[form]);
		if (!strncmp(path, PATHS[form], size) && path[size] == ' ')
			client->form = (enum form)form;
	}
	unsigned asked = number_after(body, "max_tokens");
	asked = asked ? asked : number_after(body, "max_new_tokens");
	asked = asked ? asked : number_after(body, "max_completion_tokens");
	asked = asked ? asked : number_after(body, "n_predict");
	client->asked = client->left = asked ? asked : 16;
	if (client->form != TGI && !strstr(body, "\"stream\":true") && !strstr(body, "\"stream\": true"))
		return respond_whole(client,
				     "{\"id\":\"0\",\"object\":\"text_completion\",\"created\":1,\"model\":"
				     "\"null\",\"choices\":[{\"index\":0,\"text\":\" a\",\"message\":{\"role\":"
				     "\"assistant\",\"content\":\" a\"},\"finish_reason\":\"length\"}],\"usage\":{"
				     "\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2}}");
	client->streaming = true;
	me->streams[me->stream_count++] = client;
	return put(client, STREAM_HEAD, sizeof STREAM_HEAD - 1);
}

/* Reads, and answers a request once it is complete. */
static void hear(struct client *client)
{
	for (;;) {
		ssize_t n = recv(client->descriptor, client->request + client->held,
				 REQUEST - 1 - client->held, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			drop(client);
			return;
		}
		client->held += (size_t)n;
		client->request[client->held] = 0;
		char *head_end = strstr(client->request, "\r\n\r\n");
		if (!head_end || client->streaming)
			continue;
		const char *length = strcasestr(client->request, "\r\nContent-Length:");
		size_t body = length && length < head_end ? strtoul(length + 17, NULL, 10) : 0;
		size_t whole = (size_t)(head_end - client->request) + 4 + body;
		if (client->held < whole)
			continue;
		client->held = 0;
		if (!respond(client, head_end + 4))
			return;
		if (client->close_after && !client->streaming && !client->unsent) {
			drop(client);
			return;
		}
	}
}

/* The next event of a stream, or its end. False: the client is gone. */
static bool turn(struct client *client)
{
	if (client->left >= merge) {
		client->left -= merge;
		return put(client, token[client->form], token_size[client->form]);
	}
	char text[768];
	unsigned given = client->asked - client->left;
	int size = snprintf(text, sizeof text, LAST[client->form], given, given + 1);
	size_t all = chunked(client->out, text, (size_t)size, "\r\n0\r\n\r\n");
	client->streaming = false;
	return put(client, client->out, all);
}

/* One event for every stream that has room. */
static bool round_of_streams(void)
{
	bool moved = false;
	for (unsigned i = 0; i < me->stream_count; i++) {
		struct client *client = me->streams[i];
		if (client->blocked || client->unsent)
			continue;
		moved = true;
		if (!turn(client)) {
			i--;
			continue;
		}
		if (client->streaming)
			continue;
		me->streams[i--] = me->streams[--me->stream_count];
		if (client->close_after && !client->unsent)
			drop(client);
	}
	return moved;
}

static void welcome(int descriptor)
{
	int on = 1;
	struct client *client = me->clients;
	while (client < me->clients + CLIENTS && client->descriptor >= 0)
		client++;
	if (client == me->clients + CLIENTS) {
		close(descriptor);
		return;
	}
	*client = (struct client){.descriptor = descriptor, .request = malloc(REQUEST)};
	setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				    .data.ptr = client};
	if (!client->request || epoll_ctl(me->epoll, EPOLL_CTL_ADD, descriptor, &event))
		die("a client");
}

static int listen_at(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port),
				      .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof address;
	int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) ||
	    listen(listener, 1024) || getsockname(listener, (struct sockaddr *)&address, &size))
		die("listening");
	printf("%u\n", ntohs(address.sin_port));
	fflush(stdout);
	return listener;
}

static uint64_t option(const char *argument, const char *name, uint64_t value)
{
	size_t size = strlen(name);
	if (strncmp(argument, name, size) || argument[size] != '=')
		return value;
	return strtoull(argument + size + 1, NULL, 10);
}

static void watch(int descriptor, void *what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
	if (epoll_ctl(me->epoll, EPOLL_CTL_ADD, descriptor, &event))
		die("epoll");
}

/* Something came for a client: room to write, or bytes. */
static void attend(struct client *client, uint32_t events)
{
	if (client->descriptor >= 0 && events & EPOLLOUT && client->blocked) {
		client->blocked = false;
		if (!push(client))
			return;
		if (!client->unsent && !client->streaming && client->close_after) {
			drop(client);
			return;
		}
	}
	if (client->descriptor >= 0)
		hear(client);
}

static int start_timer(void)
{
	struct timespec each = {(time_t)(interval / 1000000000u), (long)(interval % 1000000000u)};
	struct itimerspec when = {each, each};
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (timer < 0 || timerfd_settime(timer, 0, &when, NULL))
		die("timerfd");
	return timer;
}

static void *work(void *argument)
{
	int timer = -1;
	me = argument;
	watch(me->incoming, &me->incoming);
	if (interval)
		watch(timer = start_timer(), &timer);
	for (bool moved = false;;) {
		struct epoll_event events[BATCH];
		int count = epoll_wait(me->epoll, events, BATCH, moved ? 0 : -1), descriptor;
		bool ticked = false;
		for (int i = 0; i < count; i++) {
			void *what = events[i].data.ptr;
			uint64_t ticks;
			if (what == &me->incoming) {
				if (read(me->incoming, &descriptor, sizeof descriptor) == sizeof descriptor)
					welcome(descriptor);
			} else if (what == &timer) {
				ticked = read(timer, &ticks, sizeof ticks) > 0;
			} else {
				attend(what, events[i].events);
			}
		}
		bool turned = (ticked || !interval) && round_of_streams();
		moved = turned && !interval;
	}
	return NULL;
}

/* Starts a worker; where to write the descriptors of its connections. */
static int hire(void)
{
	int ends[2];
	pthread_t thread;
	struct worker *worker = calloc(1, sizeof *worker);
	if (!worker || pipe2(ends, O_CLOEXEC))
		die("a worker");
	for (int i = 0; i < CLIENTS; i++)
		worker->clients[i].descriptor = -1;
	worker->incoming = ends[0];
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	if ((errno = pthread_create(&thread, NULL, work, worker)))
		die("a worker");
	return ends[1];
}

int main(int argc, char **argv)
{
	uint64_t port = 0, wanted = 1, dies = 0, threads = 1;
	for (int i = 1; i < argc; i++) {
		port = option(argv[i], "port", port);
		threads = option(argv[i], "threads", threads);
		interval = option(argv[i], "interval_ns", interval);
		wanted = option(argv[i], "merge", wanted);
		dies = option(argv[i], "die_with_parent", dies);
	}
	if (dies)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	merge = wanted < 1 ? 1 : wanted > MERGE_MOST ? MERGE_MOST : (unsigned)wanted;
	threads = threads < 1 ? 1 : threads > THREADS_MOST ? THREADS_MOST : threads;
	make_tokens();
	int workers[THREADS_MOST], listener = listen_at((uint16_t)port);
	for (uint64_t i = 0; i < threads; i++)
		workers[i] = hire();
	for (uint64_t turn = 0;; turn++) {
		int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (descriptor < 0)
			continue;
		if (write(workers[turn % threads], &descriptor, sizeof descriptor) < 0)
			die("a worker");
	}
}
