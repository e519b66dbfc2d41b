// fenceline-door: the second way to the fence program of this host (F27).
//
// sshd makes a process for each login and may be stuck in a memory cgroup that is full. This one was there
// before: memory locked, no process made, no file opened after its start. It checks who comes and passes bytes
// on; the fence program behind it asks for its order token as it does behind sshd.
#include "door.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct options { const char *address, *ca, *cert, *key, *socket; int port; };
static struct guest guests[MAX_GUESTS];

int64_t door_clock_ms(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_BOOTTIME, &now) != 0) abort();
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void usage(const char *why) __attribute__((noreturn));
static void usage(const char *why) {
  fprintf(stderr,
          "fenceline-door: %s\nusage: fenceline-door --port N [--address IP] --ca FILE --cert FILE --key FILE "
          "--socket PATH\n",
          why);
  exit(2);
}
static int port_of(const char *text) {
  char *end;
  long port = strtol(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end || port > 65535) usage("--port: 0 to 65535");
  return (int)port;
}
static struct options read_options(int argc, char **argv) {
  struct options o = {.address = "::", .port = -1};
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) usage("an option without its value");
    if (strcmp(argv[i], "--address") == 0) o.address = argv[i + 1];
    else if (strcmp(argv[i], "--port") == 0) o.port = port_of(argv[i + 1]);
    else if (strcmp(argv[i], "--ca") == 0) o.ca = argv[i + 1];
    else if (strcmp(argv[i], "--cert") == 0) o.cert = argv[i + 1];
    else if (strcmp(argv[i], "--key") == 0) o.key = argv[i + 1];
    else if (strcmp(argv[i], "--socket") == 0) o.socket = argv[i + 1];
    else usage("an option that is not known");
  }
  if (o.port < 0 || !o.ca || !o.cert || !o.key || !o.socket) usage("an option is missing");
  return o;
}

static int listen_on(const struct options *o) {
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)o->port)};
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
  bool is_six = inet_pton(AF_INET6, o->address, &six.sin6_addr) == 1;
  if (!is_six && inet_pton(AF_INET, o->address, &four.sin_addr) != 1) usage("--address: no IP address");
  int one = 1, zero = 0, fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0) return -1;
  /* `::` is every address of both kinds. */
  if (is_six && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero) != 0) return -1;
  const struct sockaddr *address = is_six ? (struct sockaddr *)&six : (struct sockaddr *)&four;
  if (bind(fd, address, is_six ? sizeof six : sizeof four) != 0 || listen(fd, MAX_GUESTS) != 0) return -1;
  return fd;
}
/** `listening PORT` on standard output: whoever started it knows that it works, and where. */
static void say_ready(int listener) {
  struct sockaddr_in6 own;
  socklen_t size = sizeof own;
  if (getsockname(listener, (struct sockaddr *)&own, &size) != 0) return;
  printf("listening %d\n", ntohs(own.sin6_port));
  fflush(stdout);
}

/** F26: what is needed later is in memory now, and stays there. Not fatal: less sure is better than none. */
static void protect(void) {
  static const char LAST[] = "-1000";
  mallopt(M_MMAP_MAX, 0), mallopt(M_TRIM_THRESHOLD, INT32_MAX), mallopt(M_TOP_PAD, HEAP_BYTES);
  void *heap = malloc(HEAP_BYTES);
  if (heap) memset(heap, 1, HEAP_BYTES);
  free(heap);
  int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  /* Not allowed in a user namespace, or to a root without CAP_SYS_RESOURCE. */
  if (file < 0 || write(file, LAST, sizeof LAST - 1) < 0)
    fprintf(stderr, "fenceline-door: the OOM killer may choose it\n");
  if (file >= 0) close(file);
  if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) fprintf(stderr, "fenceline-door: memory is not locked\n");
}

/** A free place; if there is none, that of the one who has tried longest to show who he is. */
static struct guest *place(void) {
  struct guest *oldest = NULL;
  for (int i = 0; i < MAX_GUESTS; i++) {
    struct guest *g = &guests[i];
    if (g->tcp < 0) return g;
    if (!g->greeted && (!oldest || g->until < oldest->until)) oldest = g;
  }
  if (oldest) guest_end(oldest);
  return oldest;
}
static void welcome(int tcp, SSL_CTX *tls) {
  struct guest *g = place();
  int one = 1;
  SSL *ssl = g ? SSL_new(tls) : NULL;
  if (!ssl) {
    close(tcp);
    return;
  }
  setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(tcp, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  g->tcp = tcp, g->ssl = ssl, g->until = door_clock_ms() + HANDSHAKE_MS, g->again = true;
  SSL_set_accept_state(ssl);
  if (SSL_set_fd(ssl, tcp) != 1) guest_end(g);
}
static void welcome_all(int listener, SSL_CTX *tls) {
  for (int n = 0; n < MAX_GUESTS; n++) {
    int tcp = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (tcp < 0) return;
    welcome(tcp, tls);
  }
}
/** safety: F27: one sibling, or who has stolen its certificate, keeps no other one out; its newest ones stay. */
static void keep_few_like(const struct guest *one) {
  struct guest *oldest = NULL;
  int count = 0;
  for (int i = 0; i < MAX_GUESTS; i++) {
    struct guest *g = &guests[i];
    if (g->tcp < 0 || !g->greeted || memcmp(g->who, one->who, WHO_BYTES) != 0) continue;
    if (!oldest || g->turn < oldest->turn) oldest = g;
    count++;
  }
  if (count > MAX_OF_ONE) guest_end(oldest);
}
static void step_all(const char *socket_path) {
  static uint64_t turn;
  for (int i = 0; i < MAX_GUESTS; i++) {
    struct guest *g = &guests[i];
    if (g->tcp < 0) continue;
    bool greeted = g->greeted, late = !greeted && door_clock_ms() >= g->until;
    if (late || !guest_step(g, socket_path)) {
      guest_end(g);
      continue;
    }
    if (!g->greeted || greeted) continue;
    g->turn = ++turn;
    keep_few_like(g);
  }
}
/** Until something happens, or a handshake's time is over. */
static void wait_for_something(int listener) {
  struct pollfd polls[1 + GUEST_POLLS * MAX_GUESTS];
  int limit_ms = 60000;
  polls[0] = (struct pollfd){.fd = listener, .events = POLLIN};
  for (int i = 0; i < MAX_GUESTS; i++) {
    guest_polls(&guests[i], &polls[1 + GUEST_POLLS * i]);
    if (guests[i].tcp < 0) continue;
    if (guests[i].starved && limit_ms > STARVED_MS) limit_ms = STARVED_MS;
    if (guests[i].again) limit_ms = 0;
    else if (!guests[i].greeted && limit_ms > 100) limit_ms = 100;
  }
  if (poll(polls, 1 + GUEST_POLLS * MAX_GUESTS, limit_ms) < 0 && errno != EINTR && errno != ENOMEM) abort();
}

int main(int argc, char **argv) {
  struct options o = read_options(argc, argv);
  struct sigaction ignore = {.sa_handler = SIG_IGN};
  sigaction(SIGPIPE, &ignore, NULL);
  for (int i = 0; i < MAX_GUESTS; i++) guest_clear(&guests[i]);
  SSL_CTX *tls = tls_begin(o.ca, o.cert, o.key);
  if (!tls) return 1;
  int listener = listen_on(&o);
  if (listener < 0) {
    fprintf(stderr, "fenceline-door: can't listen on %s port %d: %s\n", o.address, o.port, strerror(errno));
    return 1;
  }
  protect();
  say_ready(listener);
  for (;;) {
    wait_for_something(listener);
    welcome_all(listener, tls);
    step_all(o.socket);
  }
}
