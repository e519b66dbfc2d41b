/* What every helper of the lab shares: messages, checked calls, processes by pid and start time. */
#ifndef FENCELINE_LAB_COMMON_H
#define FENCELINE_LAB_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>

/* Ends the program with one sentence on standard error. */
__attribute__((noreturn, format(printf, 1, 2))) static inline void fail(const char *format, ...) {
    int error = errno;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, error ? ": %s\n" : "\n", strerror(error));
    exit(125);
}

static inline void usage(const char *text) {
    errno = 0;
    fail("usage: %s", text);
}

static inline long long number(const char *text) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end) fail("'%s' is not a number", text);
    return value;
}

/*
 * Opens /proc/PID and makes sure that it is the process that was meant: a pid may have been given
 * to somebody else since it was noted. What is opened below the returned descriptor stays bound to
 * that process even if its pid is reused later.
 */
static inline int open_process(long long pid, long long start_time) {
    char path[64], stat[1024];
    snprintf(path, sizeof path, "/proc/%lld", pid);
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) fail("process %lld is gone", pid);
    int fd = openat(dir, "stat", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, stat, sizeof stat - 1);
    if (n <= 0) fail("process %lld is gone", pid);
    close(fd);
    stat[n] = 0;
    char *field = strrchr(stat, ')');
    for (int i = 0; field && i < 20; i++) field = strchr(field + 1, ' ');
    errno = 0;
    if (!field || atoll(field + 1) != start_time) fail("process %lld is another one by now", pid);
    return dir;
}

/* Joins a namespace of a process (as open_process returned it) by its name. */
static inline void join_namespace(int process, const char *name) {
    char path[32];
    snprintf(path, sizeof path, "ns/%s", name);
    int fd = openat(process, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, 0)) fail("cannot enter the node's %s namespace", name);
    close(fd);
}

/* Joins the mounts of a process, with its root: that of its namespace is another one in a chroot. */
static inline void join_mounts(int process) {
    int root = openat(process, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) fail("cannot open the node's root");
    join_namespace(process, "mnt");
    if (fchdir(root) || chroot(".")) fail("cannot enter the node's root");
    close(root);
}

/* Joins the calling process to a control group given by its folder. */
static inline void join_cgroup(const char *folder) {
    char path[4096];
    snprintf(path, sizeof path, "%s/cgroup.procs", folder);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1) fail("cannot join control group %s", folder);
    close(fd);
}

/* Dies with its parent; a parent that is gone already counts, too. */
static inline void die_with_parent(long long parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL)) fail("cannot ask for the parent's death signal");
    if (parent && getppid() != parent) exit(125);
}

#endif
