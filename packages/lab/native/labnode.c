/*
 * One node of the lab: network, mount, pid, uts and ipc namespaces of its own, made ready by a
 * mount plan, with this program as its pid 1 (init.c).
 *
 *   labnode NAME PARENT STEP…      steps, in the order given:
 *     cgroup=DIR   join this control group (before the mounts hide it)
 *     keep=PATH    show this path of the machine again at the end, whatever was mounted over it
 *     tmpfs=PATH   bind=FROM:TO   dir=PATH   link=TARGET:PATH   proc   sys   devpts
 *
 * Two processes: the outer one says "pid N" on standard output, waits and passes the end on; the
 * inner one is the node. Killing either (SIGKILL) is the node's power cut. Both die with PARENT.
 */
#define _GNU_SOURCE
#include "common.h"
#include "init.h"
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { MAX_KEEPS = 16 };

static struct { const char *path; int tree; } keeps[MAX_KEEPS];
static int keep_count;

static const char *value_of(const char *step, const char *name) {
    size_t n = strlen(name);
    return !strncmp(step, name, n) && step[n] == '=' ? step + n + 1 : NULL;
}

static void make_dirs(const char *path) {
    char part[4096];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash) *slash = 0;
        if (mkdir(part, 0755) && errno != EEXIST) fail("cannot make %s", part);
        if (!slash) return;
        *slash = '/';
    }
}

static void mount_or_fail(const char *from, const char *to, const char *type) {
    const char *options = !strcmp(type, "tmpfs")    ? "mode=755"
                          : !strcmp(type, "devpts") ? "newinstance,ptmxmode=666,mode=620"
                                                    : NULL;
    if (mount(from, to, type, 0, options)) fail("cannot mount %s on %s", type, to);
}

/*
 * A private copy of other people's mounts keeps alive what they stand for: the network namespaces
 * bound below /run/netns and other labs' FUSE mounts. What we need ourselves stays.
 */
static void forget_foreign_mounts(void) {
    FILE *table = fopen("/proc/self/mountinfo", "re");
    if (!table) fail("cannot read the mount table");
    static char line[8192], paths[64][4096];
    int count = 0;
    while (fgets(line, sizeof line, table) && count < 64) {
        char *type = strstr(line, " - ");
        if (!type || sscanf(line, "%*s %*s %*s %*s %4095s", paths[count]) != 1) continue;
        int foreign = !strncmp(type + 3, "nsfs ", 5) || !strncmp(type + 3, "fuse", 4);
        for (int i = 0; i < keep_count; i++)
            if (!strncmp(keeps[i].path, paths[count], strlen(paths[count]))) foreign = 0;
        count += foreign && strcmp(paths[count], "/");
    }
    fclose(table);
    while (count--) (void)!umount2(paths[count], MNT_DETACH);
}

static void take_keeps(char **steps) {
    for (; *steps; steps++) {
        const char *path = value_of(*steps, "keep");
        if (!path) continue;
        if (keep_count == MAX_KEEPS) fail("too many paths to keep");
        int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
        if (tree < 0) fail("cannot keep %s", path);
        keeps[keep_count].path = path;
        keeps[keep_count++].tree = tree;
    }
}

static void show_keeps(void) {
    for (int i = 0; i < keep_count; i++) {
        make_dirs(keeps[i].path);
        if (move_mount(keeps[i].tree, "", AT_FDCWD, keeps[i].path, MOVE_MOUNT_F_EMPTY_PATH))
            fail("cannot show %s again", keeps[i].path);
        close(keeps[i].tree);
    }
}

static void bind_pair(const char *pair) {
    char from[4096];
    const char *colon = strchr(pair, ':');
    if (!colon) fail("'%s' is no FROM:TO", pair);
    snprintf(from, sizeof from, "%.*s", (int)(colon - pair), pair);
    struct stat st;
    if (!stat(from, &st) && S_ISDIR(st.st_mode) && stat(colon + 1, &st)) make_dirs(colon + 1);
    if (mount(from, colon + 1, NULL, MS_BIND, NULL)) fail("cannot bind %s on %s", from, colon + 1);
}

static void link_pair(const char *pair) {
    char target[4096];
    const char *colon = strchr(pair, ':');
    if (!colon) fail("'%s' is no TARGET:PATH", pair);
    snprintf(target, sizeof target, "%.*s", (int)(colon - pair), pair);
    if (symlink(target, colon + 1) && errno != EEXIST) fail("cannot link %s", colon + 1);
}

static void mount_devpts(void) {
    mount_or_fail("devpts", "/dev/pts", "devpts");
    if (mount("/dev/pts/ptmx", "/dev/ptmx", NULL, MS_BIND, NULL)) fail("cannot bind /dev/ptmx");
    mount_or_fail("tmpfs", "/dev/shm", "tmpfs");
}

static void take_step(const char *step) {
    const char *value;
    if ((value = value_of(step, "tmpfs"))) mount_or_fail("tmpfs", value, "tmpfs");
    else if ((value = value_of(step, "bind"))) bind_pair(value);
    else if ((value = value_of(step, "dir"))) make_dirs(value);
    else if ((value = value_of(step, "link"))) link_pair(value);
    else if (!strcmp(step, "proc")) mount_or_fail("proc", "/proc", "proc");
    else if (!strcmp(step, "sys")) mount_or_fail("sysfs", "/sys", "sysfs");
    else if (!strcmp(step, "devpts")) mount_devpts();
    else if (!value_of(step, "keep") && !value_of(step, "cgroup")) fail("unknown step '%s'", step);
}

static void loopback_up(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request)) fail("cannot bring up the loopback device");
    close(fd);
}

__attribute__((noreturn)) static void become_node(const char *name, char **steps) {
    die_with_parent(0);
    fcntl(CONTROL, F_SETFD, FD_CLOEXEC);
    umask(022);
    setsid();
    for (char **step = steps; *step; step++) {
        const char *folder = value_of(*step, "cgroup");
        if (folder) join_cgroup(folder);
    }
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC))
        fail("cannot make the node's namespaces");
    if (sethostname(name, strlen(name))) fail("cannot set the host name");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
        fail("cannot make the mounts private (in a chroot: bind-mount it on itself first)");
    take_keeps(steps);
    forget_foreign_mounts();
    for (char **step = steps; *step; step++) take_step(*step);
    show_keeps();
    loopback_up();
    if (chdir("/")) fail("cannot change to /");
    tell("mounted\n");
    supervise();
}

int main(int argc, char **argv) {
    if (argc < 3) usage("labnode NAME PARENT STEP…");
    die_with_parent(number(argv[2]));
    if (unshare(CLONE_NEWPID)) fail("cannot make a pid namespace (root is needed)");
    pid_t inner = fork();
    if (inner < 0) fail("cannot fork");
    if (!inner) become_node(argv[1], argv + 3);
    close(CONTROL);
    printf("pid %d\n", inner);
    fflush(stdout);
    int status;
    while (waitpid(inner, &status, 0) < 0)
        if (errno != EINTR) fail("cannot wait for the node");
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
