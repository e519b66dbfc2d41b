// The hook that libvirt runs as /etc/libvirt/hooks/qemu.d/50-fenceline: `50-fenceline NAME OP SUBOP -`, with
// the domain's XML on standard input. It refuses what would begin a run of a protected VM that the server
// has not granted (F34). README.md beside this file tells what it relies on.
#include "judge.h"
#include "world.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define VERSION "1"
#define PROBE "fenceline-probe-"
/** All of it; libvirt has no limit of its own, and holds the VM's lock meanwhile. */
#define LIMIT_MS 900
#define DISK_LIMIT_MS 700
#define MAX_LIST (16 * 1024 * 1024)
#define MAX_XML (4 * 1024 * 1024)

/** Where the agent keeps its records. The agent writes its own settings over these as it installs the hook. */
char run_dir[512] = "FENCELINE_RUN_DIR=/run/fenceline";
char state_dir[512] = "FENCELINE_STATE_DIR=/var/lib/fenceline/agent";

static const char *value_of(const char *setting) { return strchr(setting, '=') + 1; }

/** The one way to say no: a sentence for whoever reads virsh's error. */
static _Noreturn void refuse(const char *format, ...) {
  char text[2048] = "Fenceline: ";
  size_t head = strlen(text);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text + head, sizeof text - head - 1, format, arguments);
  va_end(arguments);
  for (char *c = text; *c; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
  strcat(text, "\n");
  if (write(STDERR_FILENO, text, strlen(text)) < 0) _exit(1);
  _exit(1);
}

static void out_of_time(int signal) {
  (void)signal;
  static const char text[] = "Fenceline: refused, as the hook could not find out in time whether this VM is protected\n";
  if (write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(1);
  _exit(1);
}

/** safety: F34: a hook that hangs holds the VM's lock, and `virsh list` of the whole host with it. */
static void set_limit(void) {
  struct sigaction action = {.sa_handler = out_of_time};
  struct itimerval limit = {.it_value = {.tv_sec = LIMIT_MS / 1000, .tv_usec = LIMIT_MS % 1000 * 1000}};
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  if (sigaction(SIGALRM, &action, NULL) < 0 || setitimer(ITIMER_REAL, &limit, NULL) < 0) refuse("no limit can be set");
  sigprocmask(SIG_UNBLOCK, &alarm, NULL);
}

static bool gated(const char *operation) {
  static const char *const all[] = {"prepare", "start", "restore", "migrate"};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (strcmp(operation, all[i]) == 0) return true;
  return false;
}

static const char *under(const char *dir, const char *name) {
  static char path[2][1024];
  static int turn;
  turn = !turn;
  snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
  return path[turn];
}

/** @return true: the list of this boot; false: the one that was kept on disk, of which nothing may start. */
static bool read_list(struct file_text *list) {
  int error = read_file(under(value_of(run_dir), "protected"), MAX_LIST, list);
  if (error == 0) return true;
  if (error != ENOENT) refuse("refused, as the list of protected VMs can't be read: %s", strerror(error));
  // The agent has not run since the boot.
  error = read_file_apart(under(value_of(state_dir), "protected"), MAX_LIST, DISK_LIMIT_MS, list);
  // safety: F34: only "there is no such file" is a host that never had a protected VM
  if (error == ENOENT) _exit(0);
  if (error) refuse("refused, as the list of protected VMs can't be read from disk: %s", strerror(error));
  return false;
}

static int64_t barrier_of(const char *dir, const char *uuid) {
  int64_t epoch;
  int error = read_number_file(under(value_of(run_dir), dir), uuid, &epoch);
  // safety: F34: a barrier that can't be read is not a barrier that is not there
  if (error) refuse("refused, as the barrier of this VM can't be read (%s): %s", dir, strerror(error));
  return epoch;
}

/** Epoch of the start that the agent has under way for this VM; -1: none. */
static int64_t granted_epoch(const char *uuid) {
  struct file_text file;
  int error = read_file(under(under(value_of(run_dir), "grants"), uuid), 128, &file);
  if (error == ENOENT) return -1;
  if (error) refuse("refused, as the record of its start can't be read: %s", strerror(error));
  file.text[file.length] = '\0';
  int64_t field[3];
  char *at = file.text;
  for (int i = 0; i < 3; i++) {
    char *end = strpbrk(at, i < 2 ? " " : "\n");
    if (!end || (*end = '\0', !read_number(at, &field[i]))) refuse("refused, as the record of its start makes no sense");
    at = end + 1;
  }
  // safety: F34: a start whose process is gone was given up, or fenced; its record stays until a fence
  return process_lives(field[1], field[2]) ? field[0] : -1;
}

static _Noreturn void decide(const struct domain *domain, const char *name, bool of_this_boot) {
  static const char ask[] = "start it with: fenceline vm start";
  if (domain->odd) refuse("refused, as it can't be told whether %s is protected: %s", name, domain->odd);
  // safety: F34: the same disk under another name is the same VM, as far as its data is concerned
  if (domain->other_vm >= 0)
    refuse("%s is refused: %s is a disk of another VM, which is protected by Fenceline", name, domain->disk);
  if (domain->vm < 0) _exit(0);
  if (!of_this_boot)
    refuse("%s is refused: it is protected, and the agent of this host has not run since the boot; %s %s", name, ask, name);
  int64_t epoch = domain->epoch, granted = granted_epoch(domain->uuid);
  // safety: F34: the barrier last: a fence that set it after this looks for the grant, and ends that start
  int64_t barrier = barrier_of("barriers", domain->uuid), own = barrier_of("agent-barriers", domain->uuid);
  if (own > barrier) barrier = own;
  if (epoch >= 0 && epoch == granted && epoch > barrier) _exit(0);
  char closed[64] = "no run of it is closed here";
  if (barrier >= 0) snprintf(closed, sizeof closed, "it is closed here up to run %lld", (long long)barrier);
  char run[64] = "this start is not one of Fenceline's";
  if (epoch >= 0) snprintf(run, sizeof run, "run %lld is not granted", (long long)epoch);
  if (epoch >= 0 && epoch == granted) snprintf(run, sizeof run, "run %lld was fenced", (long long)epoch);
  refuse("%s is refused: it is protected and %s (%s); %s %s", name, run, closed, ask, name);
}

/** The agent asks now and then whether this hook is run: its nonce comes back in virsh's error. */
static void answer_probe(const char *name) {
  if (strncmp(name, PROBE, strlen(PROBE)) == 0) refuse("hook " VERSION " refuses probe %.64s", name + strlen(PROBE));
}

int main(int argc, char **argv) {
  // safety: F34: first of all, before anything is read or set: a failure at `reconnect` kills the running VM
  if (argc < 3 || !gated(argv[2])) return 0;
  answer_probe(argv[1]);
  set_limit();
  struct file_text text, xml;
  struct protected_list list;
  bool of_this_boot = read_list(&text);
  const char *wrong = list_read(text.text, text.length, &list);
  if (wrong) refuse("refused, as the list of protected VMs is not whole: %s", wrong);
  if (list.vms == 0) return 0;
  int error = read_all(STDIN_FILENO, MAX_XML, &xml);
  // safety: F34: what was cut off could name a protected disk
  if (error) refuse("refused, as the domain can't be read: %s", strerror(error));
  struct domain domain = judge_domain(xml.text, xml.length, &list, same_block_device);
  decide(&domain, domain.name ? domain.name : argv[1], of_this_boot);
}
