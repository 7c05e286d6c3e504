/*
 * The fake VMM: takes the place of QEMU, passt or the net filter, whichever its arguments are of.
 *
 * As QEMU it takes banger's command line with its inherited descriptors, listens on the same sockets, speaks
 * QMP, prints on the console and plays the guest's agent (src/wire) well enough to start, ping, run `true`,
 * measure and shut down. What it does wrong is said in the file `behaviour` beside the program, which is read
 * at each event: lines `POINT ACTION [ARGUMENT]`, the first that fits counts.
 *
 *   points   start, sockets, sigterm, passt, filter, qmp.greeting, qmp.COMMAND, agent.hello, agent.METHOD
 *   actions  die CODE, kill, freeze (the whole process), hang (no answer), late MS, close, error TEXT,
 *            wrong (another's id, nonce or method), garbage, half (of a line or frame), long BYTES, say TEXT
 *            (on stderr, and go on), ignore
 *
 * One thread, one poll(2) loop, no memory that grows.
 */
#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void take(struct channel *c) {
  ssize_t n = read(c->peer, c->buffer + c->fill, BUFFER - 1 - c->fill);
  if (n <= 0) return hang_up(c);
  c->fill += (size_t)n;
  size_t used = c->fill;
  if (strcmp(c->id, "qmp") == 0) used = qmp_bytes(c);
  else if (strcmp(c->id, "agent") == 0) used = agent_bytes(c);
  if (c->peer < 0) return;
  memmove(c->buffer, c->buffer + used, c->fill - used);
  c->fill -= used;
}

static void welcome_peer(struct channel *c) {
  c->peer = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
  if (c->peer < 0) return;
  if (strcmp(c->id, "qmp") == 0) greet(c);
  if (strcmp(c->id, "console") == 0) {
    static const char text[] = "[    0.000000] the fake guest boots\r\n";
    send_now(c, text, sizeof text - 1);
  }
}

static void on_sigterm(int signal) {
  (void)signal;
  if (strcmp(behaviour_at("sigterm").action, "ignore") != 0) _exit(0);
}

/* -chardev socket,id=ID,path=PATH,server=on,wait=off */
static void add_channel(const char *argument) {
  if (channel_count == MAX_CHANNELS) fail("too many chardevs");
  struct channel *c = &channels[channel_count++];
  char path[200];
  if (sscanf(argument, "socket,id=%31[^,],path=%199[^,]", c->id, path) != 2) fail("-chardev %s", argument);
  c->listener = listen_at(path);
  c->peer = -1;
  c->buffer = malloc(BUFFER);
}

static void check_readable(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("could not load %s: %s", path, strerror(errno));
  close(fd);
}

static int run_qemu(int argc, char **argv) {
  int network = -1;
  behaviour_at("start");
  for (int i = 1; i + 1 < argc; i++) {
    if (strcmp(argv[i], "-kernel") == 0 || strcmp(argv[i], "-initrd") == 0) check_readable(argv[i + 1]);
    if (strcmp(argv[i], "-add-fd") == 0 && fcntl(atoi(argv[i + 1] + 3), F_GETFD) < 0) {
      fail("-add-fd %s: no such descriptor", argv[i + 1]);
    }
    if (strcmp(argv[i], "-netdev") == 0) {
      char path[200];
      text_of(argv[i + 1], "path", path, sizeof path);
      network = connect_to(path);
    }
    if (strcmp(argv[i], "-chardev") == 0) add_channel(argv[i + 1]);
  }
  signal(SIGTERM, on_sigterm);
  behaviour_at("sockets");
  for (;;) {
    struct pollfd fds[MAX_CHANNELS];
    for (int i = 0; i < channel_count; i++) {
      struct channel *c = &channels[i];
      fds[i] = (struct pollfd){c->peer >= 0 ? c->peer : c->listener, POLLIN, 0};
    }
    if (poll(fds, (nfds_t)channel_count, next_due_ms()) < 0 && errno != EINTR) fail("poll: %s", strerror(errno));
    run_laters();
    for (int i = 0; i < channel_count; i++) {
      struct channel *c = &channels[i];
      if (fds[i].revents == 0) continue;
      if (fds[i].fd == c->listener && c->peer < 0) welcome_peer(c);
      else if (fds[i].fd == c->peer) take(c);
    }
    if (ends_soon && next_due_ms() < 0) {
      if (network >= 0) close(network);
      return 0;
    }
  }
}

int main(int argc, char **argv) {
  find_behaviour();
  if (argc == 2 && strcmp(argv[1], "--version") == 0) {
    puts("QEMU emulator version 0.0.0 (fake)");
    return 0;
  }
  if (argc == 4 && argv[1][0] == '/' && argv[2][0] == '/') return run_filter(argv[1], argv[2]);
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--socket") == 0) return run_passt(argc, argv);
  }
  return run_qemu(argc, argv);
}
