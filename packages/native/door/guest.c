// One connection: TLS on one side, the fence program's socket on the other. Nothing here reads what passes.
#include "door.h"
#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum step { STUCK, MOVED, OVER };

static bool is_empty(const struct flow *f) { return f->from == f->to; }

static int connect_inner(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -1;
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  /* A program whose backlog is full says EAGAIN: the guest is told so by the end of its connection. */
  if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) close(fd), fd = -1;
  return fd;
}
/** What an unfinished call of the TLS library waits for. */
static enum step waits(struct guest *g, int result) {
  int why = SSL_get_error(g->ssl, result);
  if (why == SSL_ERROR_WANT_WRITE) g->tls_wants_write = true;
  ERR_clear_error();
  return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? STUCK : OVER;
}
static enum step greet(struct guest *g, const char *socket_path) {
  int result = SSL_accept(g->ssl);
  if (result != 1) return waits(g, result);
  if (!tls_is_sibling(g->ssl)) return OVER;
  g->inner = connect_inner(socket_path);
  if (g->inner < 0) return OVER;
  g->greeted = true;
  return MOVED;
}
static enum step take_from_guest(struct guest *g) {
  if (g->in.ended || !is_empty(&g->in)) return STUCK;
  int n = SSL_read(g->ssl, g->in.data, FLOW_BYTES);
  if (n > 0) return g->in.from = 0, g->in.to = (size_t)n, MOVED;
  if (SSL_get_shutdown(g->ssl) & SSL_RECEIVED_SHUTDOWN) return g->in.ended = true, MOVED;
  return waits(g, n);
}
static enum step give_to_program(struct guest *g) {
  if (is_empty(&g->in)) {
    if (!g->in.ended || g->in.told) return STUCK;
    /* The end of the orders is an order of its own: answer, then leave. */
    g->in.told = true;
    return shutdown(g->inner, SHUT_WR) == 0 ? MOVED : OVER;
  }
  ssize_t n = send(g->inner, g->in.data + g->in.from, g->in.to - g->in.from, MSG_NOSIGNAL);
  if (n < 0) return errno == EAGAIN || errno == EINTR ? STUCK : OVER;
  g->in.from += (size_t)n;
  return MOVED;
}
static enum step take_from_program(struct guest *g) {
  if (g->out.ended || !is_empty(&g->out)) return STUCK;
  ssize_t n = recv(g->inner, g->out.data, FLOW_BYTES, 0);
  if (n < 0) return errno == EAGAIN || errno == EINTR ? STUCK : OVER;
  g->out.from = 0, g->out.to = (size_t)n, g->out.ended = n == 0;
  return MOVED;
}
static enum step give_to_guest(struct guest *g) {
  if (is_empty(&g->out)) return g->out.ended ? OVER : STUCK;
  int n = SSL_write(g->ssl, g->out.data + g->out.from, (int)(g->out.to - g->out.from));
  if (n <= 0) return waits(g, n);
  g->out.from += (size_t)n;
  return MOVED;
}

bool guest_step(struct guest *g, const char *socket_path) {
  g->tls_wants_write = false, g->again = false;
  for (int turn = 0; turn < TURNS; turn++) {
    bool moved = false;
    if (!g->greeted) {
      enum step one = greet(g, socket_path);
      if (one != MOVED) return one == STUCK;
      continue;
    }
    enum step (*const steps[])(struct guest *) = {take_from_guest, give_to_program, take_from_program, give_to_guest};
    for (size_t i = 0; i < 4; i++) {
      enum step one = steps[i](g);
      if (one == OVER) return false;
      moved |= one == MOVED;
    }
    if (!moved) return true;
  }
  g->again = true;
  return true;
}

void guest_polls(const struct guest *g, struct pollfd polls[2]) {
  bool reads = !g->greeted || (!g->in.ended && is_empty(&g->in));
  bool writes = g->tls_wants_write || (g->greeted && !is_empty(&g->out));
  polls[0].events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
  /* Without anything to wait for a broken connection would wake the loop for ever. */
  polls[0].fd = polls[0].events ? g->tcp : -1;
  polls[1].events = (short)((is_empty(&g->out) ? POLLIN : 0) | (is_empty(&g->in) ? 0 : POLLOUT));
  polls[1].fd = g->greeted && polls[1].events ? g->inner : -1;
}

void guest_end(struct guest *g) {
  if (g->ssl) {
    if (g->greeted) SSL_shutdown(g->ssl);
    SSL_free(g->ssl);
    ERR_clear_error();
  }
  if (g->tcp >= 0) close(g->tcp);
  if (g->inner >= 0) close(g->inner);
  memset(g, 0, sizeof *g);
  g->tcp = g->inner = -1;
}
