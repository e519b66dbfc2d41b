// Processes that look like qemu to everybody who reads /proc, and cost nothing.
//
//   fake-qemu launch FIRST COUNT EPOCH DIR   starts VMs FIRST … FIRST+COUNT-1, each with a disk in DIR
//   fake-qemu end                            ends all of them, and returns when they are gone
//
// Each has command line arguments of 4 KiB, with uuid, name and mark of a run where qemu has them, and its
// disk open for writing. They are children of pid 1, as libvirt's are.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS 40
#define COMMAND_LINE 4096

static char own[4096]; /* this very program */

static void fail(const char *what) {
  perror(what);
  exit(1);
}
static void fill(char *padding, char *const *argv) {
  size_t used = 0;
  for (int i = 0; argv[i]; i++) used += strlen(argv[i]) + 1;
  size_t missing = used + 1 < COMMAND_LINE ? COMMAND_LINE - used : 0;
  memset(padding, 'x', missing), padding[missing] = 0;
}
static void become_qemu(int number, const char *epoch, const char *disk) {
  char uuid[40], name[64], mark[80], drive[4400], padding[COMMAND_LINE + 1] = "";
  snprintf(uuid, sizeof uuid, "0c000000-0000-4000-8000-%012d", number);
  snprintf(name, sizeof name, "guest=bench-%04d,debug-threads=on", number);
  snprintf(mark, sizeof mark, "name=opt/org.fenceline/run,string=%s", epoch);
  snprintf(drive, sizeof drive, "{\"driver\":\"file\",\"filename\":\"%s\",\"node-name\":\"libvirt-1-storage\"}", disk);
  char *argv[ARGUMENTS] = {"/usr/bin/qemu-system-x86_64", "-name", name, "-S",
    "-machine", "pc-q35-7.2,usb=off,dump-guest-core=off", "-accel", "kvm", "-cpu", "host",
    "-m", "2048", "-smp", "2,sockets=2,cores=1,threads=1", "-uuid", uuid, "-fw_cfg", mark,
    "-no-user-config", "-nodefaults", "-blockdev", drive, "-device", "virtio-blk-pci,drive=libvirt-1-format",
    "-msg", "timestamp=on", "-append", padding, NULL};
  fill(padding, argv);
  /* Whoever launched us waits for the end of our output, and we live longer. */
  int null_file = open("/dev/null", O_RDWR);
  for (int i = 0; i < 3; i++)
    if (dup2(null_file, i) < 0) _exit(1);
  if (close_range(3, ~0U, 0) != 0 || setsid() < 0 || open(disk, O_RDWR) < 0) _exit(1);
  execv(own, argv);
  fail("execv");
}
static void launch(int first, int count, const char *epoch, const char *dir) {
  char disk[4200];
  for (int number = first; number < first + count; number++) {
    snprintf(disk, sizeof disk, "%s/bench-%04d.img", dir, number);
    int file = open(disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, 65536) != 0) fail(disk);
    close(file);
    pid_t child = fork();
    if (child < 0) fail("fork");
    /* The one in between ends, so that pid 1 is the parent. */
    if (child == 0) {
      pid_t vm = fork();
      if (vm == 0) become_qemu(number, epoch, disk);
      _exit(vm < 0);
    }
    int status;
    if (waitpid(child, &status, 0) < 0 || status != 0) fail("fork");
  }
}

/** Calls `each` for every other process of this program; how many there were. */
static int others(void (*each)(int pid)) {
  DIR *proc = opendir("/proc");
  struct dirent *entry;
  int count = 0;
  if (!proc) fail("/proc");
  while ((entry = readdir(proc))) {
    int pid = atoi(entry->d_name);
    char path[64], exe[4096];
    if (pid <= 0 || pid == getpid()) continue;
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    ssize_t n = readlink(path, exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = 0;
    if (strcmp(exe, own) == 0) count++, each(pid);
  }
  closedir(proc);
  return count;
}
static void end_one(int pid) { kill(pid, SIGKILL); }

int main(int argc, char **argv) {
  ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
  own[n > 0 ? n : 0] = 0;
  if (strstr(argv[0], "qemu-system")) for (;;) pause();
  if (argc == 2 && strcmp(argv[1], "end") == 0) {
    while (others(end_one) > 0) usleep(5000);
    return 0;
  }
  if (argc != 6 || strcmp(argv[1], "launch") != 0) return 2;
  launch(atoi(argv[2]), atoi(argv[3]), argv[4], argv[5]);
  return 0;
}
