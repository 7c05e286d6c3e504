/*
 * Stands for a VMM and its guest: opens the tap that a VM was given, as the user who may, and carries every frame
 * between it and the network device of a namespace that stands for the guest.
 *
 *   tap_cable TAP UID NAMESPACE DEVICE
 *
 * Runs in the host's namespace. Says "up" when both ends are there; ends when its standard input does.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int open_tun(void) {
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd < 0) fail("/dev/net/tun");
  return fd;
}

static int attach(int fd, const char *name) {
  struct ifreq request = {0};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (ioctl(fd, TUNSETIFF, &request) < 0) fail(name);
  return fd;
}

static void carry(int from, int to) {
  char frame[65536];
  ssize_t size = read(from, frame, sizeof frame);
  if (size < 0) fail("read");
  /* A device that is down takes no frames. */
  if (write(to, frame, size) < 0) return;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  int guest = open(argv[3], O_RDONLY | O_CLOEXEC);
  if (own < 0 || guest < 0 || setns(guest, CLONE_NEWNET) < 0) fail(argv[3]);
  int inside = attach(open_tun(), argv[4]);
  if (setns(own, CLONE_NEWNET) < 0) fail("setns");
  /* Whom the device file lets in is the host's to say; whom the tap does is what is looked at here. */
  int tun = open_tun();
  uid_t uid = (uid_t)atoi(argv[2]);
  if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0) fail("setresuid");
  int outside = attach(tun, argv[1]);
  puts("up");
  fflush(stdout);
  struct pollfd ends[3] = {{0, POLLIN, 0}, {inside, POLLIN, 0}, {outside, POLLIN, 0}};
  for (;;) {
    if (poll(ends, 3, -1) < 0) fail("poll");
    if (ends[0].revents) return 0;
    if (ends[1].revents) carry(inside, outside);
    if (ends[2].revents & POLLIN) carry(outside, inside);
    /* The host has removed it. */
    if (ends[2].revents & (POLLERR | POLLHUP | POLLNVAL)) return 0;
  }
}
