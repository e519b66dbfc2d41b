// One connection: TLS on one side, the fence program on the other. Nothing here reads what passes.
//
// The program is met at its socket, and then spoken to over two pipes that it hands out there: a pipe goes on
// working where the kernel has no memory left, a socket of this kind doesn't.
#include "door.h"
#include <errno.h>
#include <fcntl.h>
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
  if (!tls_is_sibling(g->ssl) || !tls_who(g->ssl, g->who)) return OVER;
  g->inner = connect_inner(socket_path);
  if (g->inner < 0) return OVER;
  g->greeted = true;
  return MOVED;
}
/** The pipes come as soon as a process of the program is free. */
static enum step meet(struct guest *g) {
  char one;
  int files[2];
  union { struct cmsghdr head; char room[CMSG_SPACE(sizeof files)]; } control;
  struct iovec text = {&one, 1};
  struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t n = recvmsg(g->inner, &message, MSG_CMSG_CLOEXEC);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return STUCK;
  const struct cmsghdr *head = n == 1 ? CMSG_FIRSTHDR(&message) : NULL;
  if (!head || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof files)) return OVER;
  memcpy(files, CMSG_DATA(head), sizeof files);
  g->to = files[0], g->from = files[1];
  close(g->inner), g->inner = -1;
  return fcntl(g->to, F_SETFL, O_NONBLOCK) == 0 && fcntl(g->from, F_SETFL, O_NONBLOCK) == 0 ? MOVED : OVER;
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
    if (!g->in.ended || g->to < 0) return STUCK;
    /* The end of the orders is an order of its own: answer, then leave. */
    close(g->to), g->to = -1;
    return MOVED;
  }
  ssize_t n = write(g->to, g->in.data + g->in.from, g->in.to - g->in.from);
  if (n < 0 && errno == ENOMEM) return g->starved = true, STUCK;
  if (n < 0) return errno == EAGAIN || errno == EINTR ? STUCK : OVER;
  g->in.from += (size_t)n;
  return MOVED;
}
static enum step take_from_program(struct guest *g) {
  if (g->out.ended || !is_empty(&g->out)) return STUCK;
  ssize_t n = read(g->from, g->out.data, FLOW_BYTES);
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

static enum step pass_on(struct guest *g) {
  enum step (*const steps[])(struct guest *) = {take_from_guest, give_to_program, take_from_program, give_to_guest};
  bool moved = false;
  for (size_t i = 0; i < 4; i++) {
    enum step one = steps[i](g);
    if (one == OVER) return OVER;
    moved |= one == MOVED;
  }
  return moved ? MOVED : STUCK;
}
bool guest_step(struct guest *g, const char *socket_path) {
  g->tls_wants_write = g->again = g->starved = false;
  for (int turn = 0; turn < TURNS; turn++) {
    enum step one = !g->greeted ? greet(g, socket_path) : g->inner >= 0 ? meet(g) : pass_on(g);
    if (one != MOVED) return one == STUCK;
  }
  g->again = true;
  return true;
}

static void wait_for(struct pollfd *entry, int file, int events) {
  /* Without anything to wait for a broken connection would wake the loop for ever. */
  *entry = (struct pollfd){.fd = events ? file : -1, .events = (short)events};
}
void guest_polls(const struct guest *g, struct pollfd polls[GUEST_POLLS]) {
  bool meets = g->greeted && g->inner >= 0;
  bool reads = !meets && (!g->greeted || (!g->in.ended && is_empty(&g->in)));
  bool writes = g->tls_wants_write || (g->greeted && !is_empty(&g->out));
  wait_for(&polls[0], g->tcp, (reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
  wait_for(&polls[1], meets ? g->inner : g->from, meets || (g->from >= 0 && is_empty(&g->out)) ? POLLIN : 0);
  wait_for(&polls[2], g->to, g->to >= 0 && !g->starved && !is_empty(&g->in) ? POLLOUT : 0);
}

void guest_clear(struct guest *g) {
  memset(g, 0, sizeof *g);
  g->tcp = g->inner = g->to = g->from = -1;
}
void guest_end(struct guest *g) {
  if (g->ssl) {
    if (g->greeted) SSL_shutdown(g->ssl);
    SSL_free(g->ssl);
    ERR_clear_error();
  }
  const int files[] = {g->tcp, g->inner, g->to, g->from};
  for (size_t i = 0; i < 4; i++)
    if (files[i] >= 0) close(files[i]);
  guest_clear(g);
}
