// One connection of 127.0.0.1, brought into a state that nobody owns (or one that somebody does), in a net of its own:
//   sockets accepted|halfOpen|halfClosed|finWait|lastAck|closing READY
// accepted: it waits in the queue of a listener that never takes it. halfClosed: the same, after its peer's end.
// halfOpen: its handshake is not over (SYN_RECV). The others: a client has ended with data that nobody takes.
// READY is made when it is so; then it stays so until this process is killed.
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(int ok, const char *what) {
  if (!ok) perror(what), exit(1);
}
static void set(int s, int level, int name, int value) { must(setsockopt(s, level, name, &value, sizeof value) == 0, "setsockopt"); }
static struct sockaddr_in here = {.sin_family = AF_INET};
static int make(void) {
  int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(s >= 0, "socket");
  return s;
}
static int listens(void) {
  socklen_t n = sizeof here;
  struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
  int s = make();
  must(ioctl(s, SIOCSIFFLAGS, &lo) == 0, "lo");
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  set(s, SOL_SOCKET, SO_RCVBUF, 4096);
  must(bind(s, (void *)&here, n) == 0 && listen(s, 5) == 0 && getsockname(s, (void *)&here, &n) == 0, "listen");
  return s;
}
static int connects(void) {
  int s = make();
  must(connect(s, (void *)&here, sizeof here) == 0, "connect");
  return s;
}
/** In a process of its own, which is gone when this returns; `order` says when the server says its end. */
static void leaves_data(int listener, int before, int after) {
  pid_t client = fork();
  if (client == 0) {
    static char data[65536];
    char end;
    int s = connects();
    if (before) must(read(s, &end, 1) == 0, "end");
    fcntl(s, F_SETFL, O_NONBLOCK);
    while (write(s, data, sizeof data) > 0) continue;
    _exit(0);
  }
  int served = accept(listener, NULL, NULL), status;
  if (before) shutdown(served, SHUT_WR);
  must(waitpid(client, &status, 0) == client && status == 0, "client");
  if (after) shutdown(served, SHUT_WR);
}
int main(int argc, char **argv) {
  must(argc == 3, "what and where");
  const char *what = argv[1];
  int listener = listens();
  if (strcmp(what, "accepted") == 0) connects();
  else if (strcmp(what, "halfClosed") == 0) shutdown(connects(), SHUT_WR);
  else if (strcmp(what, "halfOpen") == 0) set(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 600), connects();
  else leaves_data(listener, strcmp(what, "lastAck") == 0, strcmp(what, "closing") == 0);
  usleep(100000);
  must(creat(argv[2], 0600) >= 0, "ready");
  for (;;) pause();
}
