#include "handle.h"
#include "helpers.h"
#include "procfs.h"
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BELL = 0xffffffff, EVENTS = 64, OTHER_FILES = 64, MOST_FILES = 8192 };
static int waiting = -1, handles_left;

static void allow_files(void) {
  struct rlimit limit = {1024, 1024};
  /* A handle for each process of 500 VMs; 1,024 files is what a login allows. */
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < MOST_FILES) {
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max < MOST_FILES ? limit.rlim_max : MOST_FILES;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
  }
  /* safety: F21: handles never take the files that a look needs, or no look would ever be whole again */
  handles_left = (limit.rlim_cur < MOST_FILES ? (int)limit.rlim_cur : MOST_FILES) - OTHER_FILES;
}
bool handles_begin(int bell) {
  struct epoll_event event = {EPOLLIN, {.u64 = (uint64_t)BELL}};
  allow_files();
  waiting = epoll_create1(EPOLL_CLOEXEC);
  return waiting >= 0 && epoll_ctl(waiting, EPOLL_CTL_ADD, bell, &event) == 0;
}

static int open_exactly(int pid, uint64_t start) {
  struct stat_line s;
  int handle = (int)syscall(SYS_pidfd_open, pid, 0);
  if (handle < 0) return -1;
  /* safety: F20: the handle is of whoever bore the number when it was made: only the starttime that is
     read after that says that it is ours */
  if (read_stat(pid, &s) == SEEN && s.start == start) return handle;
  close(handle);
  return -1;
}
int handle_open(int pid, uint64_t start, uint32_t index) {
  struct epoll_event event = {EPOLLIN | EPOLLONESHOT, {.u64 = index}};
  int handle = handles_left > 0 ? open_exactly(pid, start) : -1;
  if (handle < 0) return -1;
  if (epoll_ctl(waiting, EPOLL_CTL_ADD, handle, &event) != 0) {
    close(handle);
    return -1;
  }
  handles_left--;
  return handle;
}
void handle_close(int handle) {
  if (handle < 0) return;
  close(handle);
  handles_left++;
}
void handle_kill(int handle, int pid, uint64_t start) {
  int own = handle >= 0 ? handle : open_exactly(pid, start);
  if (own >= 0) syscall(SYS_pidfd_send_signal, own, SIGKILL, NULL, 0);
  /* safety: F20: without a handle: is_dead has just seen that this number still has its starttime */
  else if (!is_dead(pid, start)) kill(pid, SIGKILL);
  if (own >= 0 && own != handle) close(own);
}

void handles_wait(int wait_ms, void (*died)(void *context, uint32_t index), void *context) {
  struct epoll_event events[EVENTS];
  int n = epoll_wait(waiting, events, EVENTS, wait_ms);
  for (int i = 0; i < n; i++) {
    if (events[i].data.u64 == (uint64_t)BELL) helpers_heard();
    else died(context, (uint32_t)events[i].data.u64);
  }
}
