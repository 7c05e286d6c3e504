/* The guest of the fake VMM: an agent that answers (src/wire), and nothing behind it. */
#include "fake.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* The one program that waits for a signal; 0: none. */
static uint32_t sleeping_stream;

enum { MAX_COPIES = 8 };

/* Streams of a workspace that is being copied: what comes is taken, and the program ends with its stdin. */
static uint32_t copies[MAX_COPIES];

static uint32_t *copy_of(uint32_t stream) {
  for (int i = 0; i < MAX_COPIES; i++) {
    if (copies[i] == stream) return &copies[i];
  }
  return NULL;
}

static size_t frame(char *into, int type, uint32_t stream, const char *payload, uint32_t length) {
  uint32_t s = htonl(stream), l = htonl(length);
  into[0] = (char)type;
  memcpy(into + 1, &s, 4);
  memcpy(into + 5, &l, 4);
  memcpy(into + 9, payload, length);
  return length + 9;
}

/* The end of a stream: both channels, then the reply. */
static size_t closing(char *into, uint32_t stream, const char *reply) {
  size_t n = frame(into, 5, stream, "\0", 1);
  n += frame(into + n, 5, stream, "\1", 1);
  return n + frame(into + n, 7, stream, reply, (uint32_t)strlen(reply));
}

static void welcome(struct channel *c, const char *hello) {
  char nonce[64], text[300], right[400], wrong[400];
  static const char format[] =
      "{\"magic\":\"banger-link\",\"nonce\":\"%s\",\"version\":%ld,\"agentVersion\":\"0.0.1-fake\",\"uptimeS\":1}";
  memset(copies, 0, sizeof copies);
  text_of(hello, "nonce", nonce, sizeof nonce);
  long version = number_of(hello, "highest");
  snprintf(text, sizeof text, format, nonce, version);
  size_t right_length = frame(right, 10, 0, text, (uint32_t)strlen(text));
  snprintf(text, sizeof text, format, "0123456789abcdef0123456789abcdef", version);
  size_t wrong_length = frame(wrong, 10, 0, text, (uint32_t)strlen(text));
  answer(c, behaviour_at("agent.hello"), right, right_length, wrong, wrong_length);
}

/* What a program of the guest ends with; -1 for one that waits for a signal. */
static int exit_code_of(const char *request) {
  const char *argv = strstr(request, "\"argv\":[");
  if (argv == NULL) return 0;
  argv += strlen("\"argv\":[");
  if (strncmp(argv, "\"sleep\"", 7) == 0) return -1;
  return strncmp(argv, "\"false\"", 7) == 0;
}

static void agent_request(struct channel *c, uint32_t stream, const char *request) {
  char method[32], point[48], reply[800], right[1000], wrong[1000];
  text_of(request, "method", method, sizeof method);
  snprintf(point, sizeof point, "agent.%s", method);
  struct behaviour b = behaviour_at(point);
  const char *ok = "{\"ok\":true,\"result\":{\"method\":\"%s\"%s}}";
  const char *more = "";
  char exit_text[80];
  static long counted;
  char stats[400];
  if (strcmp(method, "identity") == 0) more = ",\"tookMs\":1";
  else if (strcmp(method, "health") == 0) {
    more = ",\"health\":{\"agentVersion\":\"0.0.1-fake\",\"uptimeS\":1,\"initState\":\"running\",\"sshReady\":true}";
  } else if (strcmp(method, "ports") == 0) more = ",\"ports\":[]";
  else if (strcmp(method, "stats") == 0) {
    counted++;
    snprintf(stats, sizeof stats,
             ",\"stats\":{\"load1\":0.5,\"memoryTotalBytes\":1000000,\"memoryAvailableBytes\":500000,"
             "\"diskTotalBytes\":1000000,\"diskFreeBytes\":400000,\"cpu\":{\"totalS\":%ld,\"busyS\":%ld},"
             "\"network\":{\"receivedBytes\":%ld,\"sentBytes\":%ld},\"sshSessions\":0}",
             counted, counted / 2, counted, counted);
    more = stats;
  } else if (strcmp(method, "exec") == 0) {
    uint32_t *copy = strstr(request, "\"isNew\":true") == NULL ? NULL : copy_of(0);
    if (copy != NULL) {
      *copy = stream;
      return;
    }
    int code = exit_code_of(request);
    if (code < 0) {
      sleeping_stream = stream;
      return;
    }
    snprintf(exit_text, sizeof exit_text, ",\"exit\":{\"how\":\"exited\",\"code\":%d}", code);
    more = exit_text;
  } else if (strcmp(method, "shutdown") == 0) {
    if (strcmp(b.action, "hang") != 0 && strcmp(b.action, "error") != 0) ends_soon = 1;
  } else if (strcmp(method, "session") != 0) {
    strcpy(b.action, "error");
    strcpy(b.argument, "the fake guest does not know this");
  }
  if (strcmp(b.action, "error") == 0) {
    snprintf(reply, sizeof reply, "{\"ok\":false,\"kind\":\"internal\",\"message\":\"%s\"}", b.argument);
  } else {
    snprintf(reply, sizeof reply, ok, method, more);
  }
  size_t right_length = closing(right, stream, reply);
  snprintf(reply, sizeof reply, ok, "elsewhere", "");
  size_t wrong_length = closing(wrong, stream, reply);
  answer(c, b, right, right_length, wrong, wrong_length);
}

static void agent_data(struct channel *c, uint32_t stream, uint32_t length) {
  char bytes[32], credit[5] = {0};
  uint32_t more = htonl(length);
  if (copy_of(stream) == NULL) return;
  memcpy(credit + 1, &more, 4);
  send_now(c, bytes, frame(bytes, 4, stream, credit, sizeof credit));
}

static void agent_eof(struct channel *c, uint32_t stream) {
  char bytes[300];
  uint32_t *copy = copy_of(stream);
  if (copy == NULL) return;
  *copy = 0;
  send_now(c, bytes, closing(bytes, stream,
                             "{\"ok\":true,\"result\":{\"method\":\"exec\",\"exit\":{\"how\":\"exited\",\"code\":0}}}"));
}

static void agent_reset(uint32_t stream) {
  uint32_t *copy = copy_of(stream);
  if (copy != NULL) *copy = 0;
}

/* A signal ends the one program that sleeps. */
static void agent_control(struct channel *c, uint32_t stream) {
  char bytes[300];
  if (stream != sleeping_stream) return;
  size_t n = closing(bytes, stream,
                     "{\"ok\":true,\"result\":{\"method\":\"exec\",\"exit\":{\"how\":\"signaled\",\"signal\":15}}}");
  sleeping_stream = 0;
  send_now(c, bytes, n);
}

/* Takes whole frames from the buffer; answers how many bytes are used up. */
size_t agent_bytes(struct channel *c) {
  size_t at = 0;
  while (at < c->fill && c->peer >= 0) {
    if (c->buffer[at] == 0) {
      at++;
      continue;
    }
    if (c->fill - at < 9) break;
    uint32_t stream, length;
    memcpy(&stream, c->buffer + at + 1, 4);
    memcpy(&length, c->buffer + at + 5, 4);
    stream = ntohl(stream);
    length = ntohl(length);
    if (length > BUFFER - 10) fail("a frame of %u bytes", length);
    if (c->fill - at < 9 + (size_t)length) break;
    char type = c->buffer[at], *payload = c->buffer + at + 9, kept = payload[length];
    payload[length] = 0;
    if (type == 9) welcome(c, payload);
    else if (type == 1) agent_request(c, stream, payload);
    else if (type == 2) agent_data(c, stream, length);
    else if (type == 5) agent_eof(c, stream);
    else if (type == 6) agent_control(c, stream);
    else if (type == 8) agent_reset(stream);
    if (c->peer < 0) return 0;
    payload[length] = kept;
    at += 9 + (size_t)length;
  }
  return at;
}
