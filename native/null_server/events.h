/* SPDX-License-Identifier: Apache-2.0
 *
 * What the null server says, in the form of each engine.
 */
#ifndef KERNLEAP_NULL_EVENTS_H
#define KERNLEAP_NULL_EVENTS_H

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

#endif
