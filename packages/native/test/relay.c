// For tests, which can't pass files over a socket themselves:
//   relay guest SOCKET          a guest of the fence program's socket: standard input and output
//   relay program SOCKET PLAIN  plays the program at SOCKET: each guest is passed on to the socket PLAIN
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int at(const char *path, int (*act)(int, const struct sockaddr *, socklen_t)) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  if (fd < 0 || act(fd, (struct sockaddr *)&address, sizeof address) != 0) perror(path), exit(1);
  return fd;
}
union control { struct cmsghdr head; char room[CMSG_SPACE(2 * sizeof(int))]; };
static void give(int socket, const int files[2]) {
  union control control = {0};
  char one = 'p';
  struct iovec text = {&one, 1};
  struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(2 * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  memcpy(CMSG_DATA(&control.head), files, 2 * sizeof(int));
  if (sendmsg(socket, &message, MSG_NOSIGNAL) != 1) exit(1);
}
static void take(int socket, int files[2]) {
  union control control;
  char one;
  struct iovec text = {&one, 1};
  struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  if (recvmsg(socket, &message, 0) != 1 || !CMSG_FIRSTHDR(&message)) exit(1);
  memcpy(files, CMSG_DATA(CMSG_FIRSTHDR(&message)), 2 * sizeof(int));
}
/** From one file to another until its end, which is passed on, too. */
static void pour(int from, int to, int socket_end) {
  char buffer[65536];
  for (ssize_t n; (n = read(from, buffer, sizeof buffer)) > 0;)
    for (ssize_t done = 0, one; done < n; done += one)
      if ((one = write(to, buffer + done, (size_t)(n - done))) <= 0) _exit(1);
  if (socket_end) shutdown(to, SHUT_WR);
}
/** Both ways; this process ends with what comes back. */
static void both_ways(int in, int to, int from, int out) {
  pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(from);
    pour(in, to, 1);
    _exit(0);
  }
  close(to);
  pour(from, out, 0);
  kill(pid, SIGKILL);
  _exit(0);
}
static void guest(const char *path) {
  int files[2];
  take(at(path, connect), files);
  both_ways(0, files[0], files[1], 1);
}
static void program(const char *path, const char *plain) {
  int listener = at(path, bind);
  listen(listener, 64);
  signal(SIGCHLD, SIG_IGN);
  puts("ready"), fflush(stdout);
  for (;;) {
    int one = accept(listener, NULL, NULL), in[2], out[2];
    if (one < 0 || fork() != 0) {
      close(one);
      continue;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGCHLD, SIG_DFL);
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) _exit(1);
    give(one, (int[2]){in[1], out[0]});
    close(one), close(listener), close(in[1]), close(out[0]);
    int inner = at(plain, connect);
    both_ways(in[0], dup(inner), inner, out[1]);
  }
}
int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc == 3 && strcmp(argv[1], "guest") == 0) guest(argv[2]);
  if (argc == 4 && strcmp(argv[1], "program") == 0) program(argv[2], argv[3]);
  return 2;
}
