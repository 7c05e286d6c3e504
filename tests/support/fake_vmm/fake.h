/* What the parts of the fake VMM share; what it is for stands in fake_vmm.c. */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>

enum { MAX_CHANNELS = 24, BUFFER = 128 * 1024 };

/* A chardev of QEMU's: a listening socket with at most one peer at a time. */
struct channel {
  char id[32];
  int listener, peer;
  size_t fill;
  char *buffer;
};

struct behaviour {
  char action[16], argument[200];
};

/* channels.c */
extern struct channel channels[MAX_CHANNELS];
extern int channel_count;
void fail(const char *format, ...);
void find_behaviour(void);
struct behaviour behaviour_at(const char *point);
int listen_at(const char *path);
int connect_to(const char *path);
void hang_up(struct channel *c);
void send_now(struct channel *c, const char *bytes, size_t length);
void answer(struct channel *c, struct behaviour b, const char *right, size_t length, const char *wrong,
            size_t wrong_length);
void run_laters(void);
int next_due_ms(void);
void text_of(const char *json, const char *name, char *into, size_t size);
long number_of(const char *json, const char *name);

/* monitor.c: each answers how many bytes of the buffer are used up */
extern int ends_soon;
void greet(struct channel *c);
size_t qmp_bytes(struct channel *c);

/* agent.c */
size_t agent_bytes(struct channel *c);

/* network.c */
int run_passt(int argc, char **argv);
int run_filter(const char *path, const char *passt_path);
