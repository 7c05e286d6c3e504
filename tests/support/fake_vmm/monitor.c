/* The monitor of the fake VMM: QMP, as far as banger speaks it. */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ends_soon;
static int paused_guest;

void greet(struct channel *c) {
  static const char text[] =
      "{\"QMP\":{\"version\":{\"qemu\":{\"micro\":0,\"minor\":0,\"major\":0}},\"capabilities\":[]}}\n";
  static const char lie[] = "{\"HELO\":{}}\n";
  answer(c, behaviour_at("qmp.greeting"), text, sizeof text - 1, lie, sizeof lie - 1);
}

static void qmp_line(struct channel *c, const char *line) {
  char command[64], point[80], value[128] = "{}", right[700], wrong[700];
  static char plugged[16][32];
  text_of(line, "execute", command, sizeof command);
  long id = number_of(line, "id");
  snprintf(point, sizeof point, "qmp.%s", command);
  struct behaviour b = behaviour_at(point);
  const char *error = NULL;
  if (strcmp(command, "query-status") == 0) {
    snprintf(value, sizeof value, "{\"running\":%s,\"status\":\"%s\"}",
             paused_guest ? "false" : "true", paused_guest ? "paused" : "running");
  } else if (strcmp(command, "stop") == 0 || strcmp(command, "cont") == 0) {
    paused_guest = command[0] == 's';
  } else if (strcmp(command, "device_add") == 0) {
    char device[32];
    text_of(line, "chardev", device, sizeof device);
    int at = 0;
    while (at < 15 && plugged[at][0] != 0 && strcmp(plugged[at], device) != 0) at++;
    if (plugged[at][0] != 0) error = "Duplicate device ID";
    strcpy(plugged[at], device);
  } else if (strcmp(command, "quit") == 0 || strcmp(command, "system_powerdown") == 0) {
    if (strcmp(b.action, "hang") != 0 && strcmp(b.action, "error") != 0) ends_soon = 1;
  } else if (strcmp(command, "qmp_capabilities") != 0) {
    error = "The fake VMM does not know this command";
  }
  if (strcmp(b.action, "error") == 0) error = b.argument;
  if (error != NULL) {
    snprintf(right, sizeof right, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"%s\"},\"id\":%ld}\n",
             error, id);
  } else {
    snprintf(right, sizeof right, "{\"return\":%s,\"id\":%ld}\n", value, id);
  }
  snprintf(wrong, sizeof wrong, "{\"return\":%s,\"id\":%ld}\n", value, id + 1000);
  answer(c, b, right, strlen(right), wrong, strlen(wrong));
}

size_t qmp_bytes(struct channel *c) {
  size_t at = 0;
  for (;;) {
    char *end = memchr(c->buffer + at, '\n', c->fill - at);
    if (end == NULL) return at;
    *end = 0;
    const char *line = c->buffer + at;
    at = (size_t)(end - c->buffer) + 1;
    qmp_line(c, line);
    if (c->peer < 0) return 0;
  }
}
