/* Connections of the fake VMM, and what it does wrong on them. */
#include "fake.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_LATER = 64 };

/* An answer that is due later. */
struct later {
  int64_t due_ms;
  int channel, peer;
  size_t length;
  char *bytes;
};

struct channel channels[MAX_CHANNELS];
int channel_count;
static struct later laters[MAX_LATER];
static char behaviour_path[PATH_MAX];

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void fail(const char *format, ...) {
  va_list list;
  va_start(list, format);
  vfprintf(stderr, format, list);
  va_end(list);
  fputc('\n', stderr);
  exit(1);
}

/* The file `behaviour` is beside the program. */
void find_behaviour(void) {
  char self[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n < 0) fail("no /proc/self/exe");
  self[n] = 0;
  snprintf(behaviour_path, sizeof behaviour_path, "%.4000s/behaviour", dirname(self));
}

/* What is to go wrong at `point`; what ends or stops the process happens here. */
struct behaviour behaviour_at(const char *point) {
  struct behaviour found = {"", ""};
  FILE *file = fopen(behaviour_path, "re");
  if (file == NULL) return found;
  char line[300], where[100];
  while (fgets(line, sizeof line, file) != NULL) {
    struct behaviour b = {"", ""};
    if (sscanf(line, "%99s %15s %199[^\n]", where, b.action, b.argument) < 2) continue;
    if (strcmp(where, point) != 0) continue;
    if (strcmp(b.action, "say") == 0) {
      fprintf(stderr, "%s\n", b.argument);
      continue;
    }
    found = b;
    break;
  }
  fclose(file);
  if (strcmp(found.action, "die") == 0) _exit(atoi(found.argument));
  if (strcmp(found.action, "kill") == 0) raise(SIGKILL);
  if (strcmp(found.action, "freeze") == 0) {
    for (;;) pause();
  }
  return found;
}

int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) fail("socket path too long: %s", path);
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  unlink(path);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1) != 0) {
    fail("cannot listen at %s: %s", path, strerror(errno));
  }
  return fd;
}

int connect_to(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) fail("socket path too long: %s", path);
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  for (int tries = 0; connect(fd, (struct sockaddr *)&address, sizeof address) != 0; tries++) {
    /* Its file is there a moment before it listens. */
    if (errno != ECONNREFUSED || tries == 500) fail("cannot connect to %s: %s", path, strerror(errno));
    usleep(2000);
  }
  return fd;
}

/* Ends the connection; the chardev takes the next one. */
void hang_up(struct channel *c) {
  if (c->peer >= 0) close(c->peer);
  c->peer = -1;
  c->fill = 0;
}

void send_now(struct channel *c, const char *bytes, size_t length) {
  while (length > 0 && c->peer >= 0) {
    ssize_t n = send(c->peer, bytes, length, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      hang_up(c);
      return;
    }
    bytes += n;
    length -= (size_t)n;
  }
}

static void send_later(struct channel *c, const char *bytes, size_t length, int delay_ms) {
  for (int i = 0; i < MAX_LATER; i++) {
    if (laters[i].bytes != NULL) continue;
    char *copy = malloc(length);
    memcpy(copy, bytes, length);
    laters[i] = (struct later){now_ms() + delay_ms, (int)(c - channels), c->peer, length, copy};
    return;
  }
}

/* Sends an answer as the behaviour has it; `wrong` is the answer with a lie in it. */
void answer(struct channel *c, struct behaviour b, const char *right, size_t length,
                   const char *wrong, size_t wrong_length) {
  if (strcmp(b.action, "hang") == 0) return;
  if (strcmp(b.action, "close") == 0) return hang_up(c);
  if (strcmp(b.action, "late") == 0) return send_later(c, right, length, atoi(b.argument));
  if (strcmp(b.action, "wrong") == 0) return send_now(c, wrong, wrong_length);
  if (strcmp(b.action, "half") == 0) return send_now(c, right, length / 2);
  if (strcmp(b.action, "garbage") == 0) {
    static const char noise[] = "\x07\xff\xfe{]]\x1b[2J garbage \xf0\x28\x8c\n";
    return send_now(c, noise, sizeof noise - 1);
  }
  if (strcmp(b.action, "long") == 0) {
    char chunk[65536];
    memset(chunk, 'x', sizeof chunk);
    for (long left = atol(b.argument); left > 0 && c->peer >= 0; left -= (long)sizeof chunk) {
      send_now(c, chunk, sizeof chunk);
    }
    return send_now(c, "\n", 1);
  }
  send_now(c, right, length);
}

/* The value of "NAME":"..." in JSON text without escapes; empty when there is none. */
void text_of(const char *json, const char *name, char *into, size_t size) {
  char key[64];
  into[0] = 0;
  snprintf(key, sizeof key, "\"%s\":\"", name);
  const char *at = strstr(json, key);
  if (at == NULL) return;
  at += strlen(key);
  size_t n = strcspn(at, "\"");
  if (n >= size) n = size - 1;
  memcpy(into, at, n);
  into[n] = 0;
}

long number_of(const char *json, const char *name) {
  char key[64];
  long value = 0;
  snprintf(key, sizeof key, "\"%s\":", name);
  for (const char *at = json; (at = strstr(at, key)) != NULL; at += strlen(key)) {
    value = atol(at + strlen(key));
  }
  return value;
}

void run_laters(void) {
  int64_t now = now_ms();
  for (int i = 0; i < MAX_LATER; i++) {
    struct later *l = &laters[i];
    if (l->bytes == NULL || l->due_ms > now) continue;
    struct channel *c = &channels[l->channel];
    if (c->peer == l->peer) send_now(c, l->bytes, l->length);
    free(l->bytes);
    l->bytes = NULL;
  }
}

int next_due_ms(void) {
  int64_t soonest = -1;
  for (int i = 0; i < MAX_LATER; i++) {
    if (laters[i].bytes == NULL) continue;
    int64_t left = laters[i].due_ms - now_ms();
    if (left < 0) left = 0;
    if (soonest < 0 || left < soonest) soonest = left;
  }
  return (int)soonest;
}
