/* The fake VMM as passt and as the net filter: sockets and ports, but no frames. */
#include "fake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void listen_tcp(const char *forward) {
  int host_port;
  if (sscanf(forward, "127.0.0.1/%d:", &host_port) != 1) return;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)host_port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 8) != 0) {
    fail("Failed to bind any port for '-t %s', exiting", forward);
  }
}

/* One peer, as `passt --one-off`; ends with it. */
int run_passt(int argc, char **argv) {
  behaviour_at("passt");
  const char *path = "";
  for (int i = 1; i + 1 < argc; i++) {
    if (strcmp(argv[i], "--tcp-ports") == 0) listen_tcp(argv[i + 1]);
    if (strcmp(argv[i], "--socket") == 0) path = argv[i + 1];
  }
  char byte[4096];
  int peer = accept(listen_at(path), NULL, NULL);
  while (read(peer, byte, sizeof byte) > 0) {
  }
  return 0;
}

/* Listens for QEMU, then connects to passt; ends with either. The socket has its name when it listens. */
int run_filter(const char *path, const char *passt_path) {
  behaviour_at("filter");
  char unready[200], byte[4096];
  snprintf(unready, sizeof unready, "%s~", path);
  int listener = listen_at(unready);
  if (rename(unready, path) != 0) fail("cannot rename %s", unready);
  int vmm = accept(listener, NULL, NULL);
  int passt = connect_to(passt_path);
  struct pollfd fds[2] = {{vmm, POLLIN, 0}, {passt, POLLIN, 0}};
  while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
    for (int i = 0; i < 2; i++) {
      if (fds[i].revents != 0 && read(fds[i].fd, byte, sizeof byte) <= 0) return 0;
    }
  }
  return 0;
}
