/* SPDX-License-Identifier: Apache-2.0
 *
 * A server that does nothing but stream: the ceiling of a load driver is what it gets out of it.
 *
 *   null-server [port=N] [interval_ns=N] [merge=N] [die_with_parent=1]
 *
 * It listens on 127.0.0.1 (port 0: any; the port is printed in a line), speaks HTTP/1.1 with
 * keep-alive, and answers the paths of OpenAI, TGI and llama.cpp with as many events as tokens
 * were asked for. Streams take turns, one write an event, as an engine flushes them: at once when
 * the client has room (interval_ns=0), or each `interval_ns` for all of them. merge: so many
 * events in one write. A token is one event of about 170 bytes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
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

enum { CLIENTS = 4096, REQUEST = 1 << 20, EVENT = 512, MERGE_MOST = 256, BATCH = 256 };

enum form { COMPLETIONS, CHAT, TGI, LLAMA, FORMS };
static const char *const PATHS[] = {"/v1/completions", "/v1/chat/completions", "/generate_stream",
				    "/completion"};
static const char *const TOKENS[] = {
	("data: {\"id\":\"cmpl-0\",\"object\":\"text_completion\",\"created\":1700000000,\"model\":"
	"\"null\",\"choices\":[{\"index\":0,\"text\":\" a\",\"logprobs\":null,\"finish_reason\":null}]}\n\n"),
	("data: {\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
	"\"model\":\"null\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" a\"},"
	"\"logprobs\":null,\"finish_reason\":null}]}\n\n"),
	("data:{\"index\":1,\"token\":{\"id\":264,\"text\":\" a\",\"logprob\":-1.5,\"special\":false},"
	"\"generated_text\":null,\"details\":null}\n\n"),
	("data: {\"index\":0,\"content\":\" a\",\"tokens\":[264],\"stop\":false,\"id_slot\":-1,"
	"\"tokens_predicted\":1,\"tokens_evaluated\":1}\n\n"),
};
/* %u: the number of tokens. */
static const char *const LAST[] = {
	("data: {\"id\":\"cmpl-0\",\"object\":\"text_completion\",\"created\":1700000000,\"model\":"
	"\"null\",\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"length\"}],\"usage\":{"
	"\"prompt_tokens\":1,\"completion_tokens\":%u,\"total_tokens\":%u}}\n\ndata: [DONE]\n\n"),
	("data: {\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
	"\"model\":\"null\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}],"
	"\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":%u,\"total_tokens\":%u}}\n\n"
	"data: [DONE]\n\n"),
	("data:{\"index\":0,\"token\":{\"id\":2,\"text\":\"\",\"logprob\":0,\"special\":true},"
	"\"generated_text\":\"\",\"details\":{\"finish_reason\":\"length\",\"generated_tokens\":%u,"
	"\"input_length\":1,\"seed\":%u}}\n\n"),
	("data: {\"index\":0,\"content\":\"\",\"tokens\":[],\"stop\":true,\"tokens_predicted\":%u,"
	"\"tokens_evaluated\":1,\"stop_type\":\"limit\",\"n\":%u}\n\n"),
};
static const char STREAM_HEAD[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
				  "Transfer-Encoding: chunked\r\n\r\n";
static const char MODELS[] = "{\"object\":\"list\",\"data\":[{\"id\":\"null\",\"object\":\"model\","
			     "\"created\":1700000000,\"owned_by\":\"kernleap\"}]}";

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

static struct client clients[CLIENTS];
static struct client *streams[CLIENTS];
static unsigned stream_count, merge = 1;
static char token[FORMS][EVENT * MERGE_MOST];
static size_t token_size[FORMS];
static int epoll;

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
	for (unsigned i = 0; i < stream_count; i++)
		if (streams[i] == client)
			streams[i--] = streams[--stream_count];
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
	streams[stream_count++] = client;
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
	for (unsigned i = 0; i < stream_count; i++) {
		struct client *client = streams[i];
		if (client->blocked || client->unsent)
			continue;
		moved = true;
		if (!turn(client)) {
			i--;
			continue;
		}
		if (client->streaming)
			continue;
		streams[i--] = streams[--stream_count];
		if (client->close_after && !client->unsent)
			drop(client);
	}
	return moved;
}

static void welcome(int listener)
{
	int descriptor, on = 1;
	while ((descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct client *client = clients;
		while (client < clients + CLIENTS && client->descriptor >= 0)
			client++;
		if (client == clients + CLIENTS) {
			close(descriptor);
			continue;
		}
		*client = (struct client){.descriptor = descriptor, .request = malloc(REQUEST)};
		setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
					    .data.ptr = client};
		if (!client->request || epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event))
			die("a client");
	}
}

static int listen_at(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port),
				      .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof address;
	int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
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
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event))
		die("epoll");
}

int main(int argc, char **argv)
{
	uint64_t port = 0, interval = 0, wanted = 1, dies = 0;
	for (int i = 1; i < argc; i++) {
		port = option(argv[i], "port", port);
		interval = option(argv[i], "interval_ns", interval);
		wanted = option(argv[i], "merge", wanted);
		dies = option(argv[i], "die_with_parent", dies);
	}
	if (dies)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	merge = wanted < 1 ? 1 : wanted > MERGE_MOST ? MERGE_MOST : (unsigned)wanted;
	make_tokens();
	for (int i = 0; i < CLIENTS; i++)
		clients[i].descriptor = -1;
	epoll = epoll_create1(EPOLL_CLOEXEC);
	int listener = listen_at((uint16_t)port), timer = -1;
	watch(listener, &listener);
	if (interval) {
		struct timespec each = {(time_t)(interval / 1000000000u), (long)(interval % 1000000000u)};
		struct itimerspec when = {each, each};
		timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
		if (timer < 0 || timerfd_settime(timer, 0, &when, NULL))
			die("timerfd");
		watch(timer, &timer);
	}
	for (bool moved = false;;) {
		struct epoll_event events[BATCH];
		int count = epoll_wait(epoll, events, BATCH, moved ? 0 : -1);
		bool ticked = false;
		for (int i = 0; i < count; i++) {
			void *what = events[i].data.ptr;
			uint64_t ticks;
			if (what == &listener) {
				welcome(listener);
			} else if (what == &timer) {
				ticked = read(timer, &ticks, sizeof ticks) > 0;
			} else {
				struct client *client = what;
				if (client->descriptor >= 0 && events[i].events & EPOLLOUT && client->blocked) {
					client->blocked = false;
					if (!push(client))
						continue;
					if (!client->unsent && !client->streaming && client->close_after) {
						drop(client);
						continue;
					}
				}
				if (client->descriptor >= 0)
					hear(client);
			}
		}
		bool turned = (ticked || !interval) && round_of_streams();
		moved = turned && !interval;
	}
}
