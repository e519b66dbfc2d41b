/*
 * The "NFS client" of a lab host: a FUSE pass-through onto the lab's share, mounted inside the
 * host's mount namespace, that can be told to hang, to fail and to be slow.
 *
 * It stands for the host's kernel, so it runs outside the host's pid namespace and control group:
 * the host's software neither sees nor stops it, and a power cut ends it by killing it (its
 * unanswered requests then fail and nothing of them reaches the share).
 *
 * Commands on descriptor 3, one per line, each answered by one line:
 *   ok | hang | rohang (only writes hang) | eio | slow MS
 * "hang" and "rohang" hold a request that was taken already: its caller is in state D, and when
 * "ok" comes the request is carried out: a write of a killed qemu lands late.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 314
#include "common.h"
#include "gate.h"
#include <dirent.h>
#include <fuse3/fuse.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { MAX_THREADS = 512 };

static int share;

/* Paths are looked up below the share, which has another place (or none) inside the host. */
static const char *below(const char *path) { return path[1] ? path + 1 : "."; }

static int answer(int result) { return result < 0 ? -errno : 0; }

#define GATE(kind)              \
    do {                        \
        int held = gate(kind);  \
        if (held) return held;  \
    } while (0)

static int on_getattr(const char *path, struct stat *st, struct fuse_file_info *fi) {
    GATE(LOOKS);
    return answer(fi ? fstat((int)fi->fh, st) : fstatat(share, below(path), st, AT_SYMLINK_NOFOLLOW));
}

static int on_readlink(const char *path, char *target, size_t size) {
    GATE(LOOKS);
    ssize_t n = readlinkat(share, below(path), target, size - 1);
    if (n >= 0) target[n] = 0;
    return answer((int)n);
}

static int on_readdir(const char *path, void *into, fuse_fill_dir_t fill, off_t offset,
                      struct fuse_file_info *fi, enum fuse_readdir_flags flags) {
    (void)offset, (void)fi, (void)flags;
    GATE(LOOKS);
    int fd = openat(share, below(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) return -errno;
    for (struct dirent *entry; (entry = readdir(dir));) {
        struct stat st = {.st_ino = entry->d_ino, .st_mode = (mode_t)entry->d_type << 12};
        if (fill(into, entry->d_name, &st, 0, 0)) break;
    }
    closedir(dir);
    return 0;
}

static int on_mkdir(const char *path, mode_t mode) {
    GATE(WRITES);
    return answer(mkdirat(share, below(path), mode));
}
static int on_unlink(const char *path) {
    GATE(WRITES);
    return answer(unlinkat(share, below(path), 0));
}
static int on_rmdir(const char *path) {
    GATE(WRITES);
    return answer(unlinkat(share, below(path), AT_REMOVEDIR));
}
static int on_symlink(const char *target, const char *path) {
    GATE(WRITES);
    return answer(symlinkat(target, share, below(path)));
}
static int on_link(const char *from, const char *to) {
    GATE(WRITES);
    return answer(linkat(share, below(from), share, below(to), 0));
}
static int on_rename(const char *from, const char *to, unsigned flags) {
    GATE(WRITES);
    return answer(renameat2(share, below(from), share, below(to), flags));
}
static int on_chmod(const char *path, mode_t mode, struct fuse_file_info *fi) {
    GATE(WRITES);
    return answer(fi ? fchmod((int)fi->fh, mode) : fchmodat(share, below(path), mode, 0));
}
static int on_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *fi) {
    GATE(WRITES);
    return answer(fi ? fchown((int)fi->fh, uid, gid)
                     : fchownat(share, below(path), uid, gid, AT_SYMLINK_NOFOLLOW));
}
static int on_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *fi) {
    GATE(WRITES);
    return answer(fi ? futimens((int)fi->fh, times)
                     : utimensat(share, below(path), times, AT_SYMLINK_NOFOLLOW));
}
static int on_truncate(const char *path, off_t size, struct fuse_file_info *fi) {
    GATE(WRITES);
    if (fi) return answer(ftruncate((int)fi->fh, size));
    int fd = openat(share, below(path), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int result = answer(ftruncate(fd, size));
    close(fd);
    return result;
}

/* The share itself is read and written through the page cache (it is one machine: coherent), so
 * O_DIRECT is taken off: it would refuse the buffers that libfuse hands over. */
static int open_below(const char *path, int flags, mode_t mode, struct fuse_file_info *fi) {
    int fd = openat(share, below(path), (flags & ~(O_DIRECT | O_NOFOLLOW)) | O_CLOEXEC, mode);
    if (fd < 0) return -errno;
    fi->fh = (uint64_t)fd;
    fi->direct_io = 1;
    return 0;
}
static int on_open(const char *path, struct fuse_file_info *fi) {
    GATE(LOOKS);
    return open_below(path, fi->flags, 0, fi);
}
static int on_create(const char *path, mode_t mode, struct fuse_file_info *fi) {
    GATE(WRITES);
    return open_below(path, fi->flags | O_CREAT, mode, fi);
}
static int on_release(const char *path, struct fuse_file_info *fi) {
    (void)path; /* no gate: nobody waits for it, and a lock must go with its last owner */
    close((int)fi->fh);
    return 0;
}
static int on_read(const char *path, char *data, size_t size, off_t at, struct fuse_file_info *fi) {
    (void)path;
    GATE(READS);
    ssize_t n = pread((int)fi->fh, data, size, at);
    return n < 0 ? -errno : (int)n;
}
static int on_write(const char *path, const char *data, size_t size, off_t at,
                    struct fuse_file_info *fi) {
    (void)path;
    GATE(WRITES);
    ssize_t n = pwrite((int)fi->fh, data, size, at);
    return n < 0 ? -errno : (int)n;
}
static int on_fsync(const char *path, int only_data, struct fuse_file_info *fi) {
    (void)path;
    GATE(WRITES);
    return answer(only_data ? fdatasync((int)fi->fh) : fsync((int)fi->fh));
}
static int on_fallocate(const char *path, int mode, off_t at, off_t size,
                        struct fuse_file_info *fi) {
    (void)path;
    GATE(WRITES);
    return answer(fallocate((int)fi->fh, mode, at, size));
}
static int on_statfs(const char *path, struct statvfs *st) {
    (void)path;
    GATE(LOOKS);
    return answer(fstatvfs(share, st));
}

/*
 * Cluster-wide locks (only with --locks). libfuse keeps a list of its own, answers questions from
 * it and never drops locks of a killed owner: telling it that each lock was an unlock keeps that
 * list empty. It also unlocks everything at each close of a descriptor, which would drop qemu's
 * locks early; the real unlock is the close of the backing file in on_release.
 */
static int on_lock(const char *path, struct fuse_file_info *fi, int command, struct flock *want) {
    (void)path;
    if (command != F_GETLK && want->l_type == F_UNLCK && !want->l_start && !want->l_len) return 0;
    GATE(LOOKS);
    struct flock asked = *want;
    asked.l_pid = 0;
    int ofd = command == F_GETLK ? F_OFD_GETLK : command == F_SETLK ? F_OFD_SETLK : F_OFD_SETLKW;
    if (fcntl((int)fi->fh, ofd, &asked) < 0) return -errno;
    if (command == F_GETLK) *want = asked;
    else want->l_type = F_UNLCK;
    return 0;
}

static void *on_init(struct fuse_conn_info *connection, struct fuse_config *config) {
    config->use_ino = 1;
    config->nullpath_ok = 0;
    config->attr_timeout = config->entry_timeout = config->negative_timeout = 0;
    config->hard_remove = 1;
    connection->max_background = MAX_THREADS;
    (void)!write(CONTROL, "ready\n", 6);
    return NULL;
}

static struct fuse_operations operations = {
    .getattr = on_getattr, .readlink = on_readlink, .readdir = on_readdir, .mkdir = on_mkdir,
    .unlink = on_unlink, .rmdir = on_rmdir, .symlink = on_symlink, .link = on_link,
    .rename = on_rename, .chmod = on_chmod, .chown = on_chown, .utimens = on_utimens,
    .truncate = on_truncate, .open = on_open, .create = on_create, .release = on_release,
    .read = on_read, .write = on_write, .fsync = on_fsync, .fallocate = on_fallocate,
    .statfs = on_statfs, .init = on_init,
};

/* labfs PID START SHARE MOUNTPOINT SERVER-IP PORT locks|nolocks PARENT */
int main(int argc, char **argv) {
    if (argc != 9) usage("labfs PID START SHARE MOUNTPOINT SERVER-IP PORT locks|nolocks PARENT");
    die_with_parent(number(argv[8]));
    signal(SIGPIPE, SIG_IGN);
    fcntl(CONTROL, F_SETFD, FD_CLOEXEC);
    share = open(argv[3], O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (share < 0) fail("cannot open the share %s", argv[3]);
    gate_depends_on(argv[5], (int)number(argv[6]));
    if (!strcmp(argv[7], "locks")) operations.lock = on_lock;
    umask(0);
    int host = open_process(number(argv[1]), number(argv[2]));
    join_namespace(host, "net");
    join_mounts(host);
    close(host);

    char *options[] = {"labfs", "-oallow_other,default_permissions,fsname=labshare,subtype=labfs"};
    struct fuse_args args = FUSE_ARGS_INIT(2, options);
    struct fuse *fuse = fuse_new(&args, &operations, sizeof operations, NULL);
    errno = 0;
    if (!fuse || fuse_mount(fuse, argv[4])) fail("cannot mount %s", argv[4]);
    gate_start();
    struct fuse_loop_config *loop = fuse_loop_cfg_create();
    fuse_loop_cfg_set_max_threads(loop, MAX_THREADS);
    fuse_loop_cfg_set_idle_threads(loop, 16);
    return fuse_loop_mt(fuse, loop);
}
