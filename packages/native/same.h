#pragma once
// Is it the same file under another name (hard link, bind mount, another mount namespace)? Told without
// a stat of it, which would ask a storage that may hang.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A file: the device of its file system as mounts show it, and its inode. 0, 0: not known. */
struct identity { uint64_t device, inode; };

/** ino and mnt_id of /proc/PID/fdinfo/N; false where there are none (before Linux 5.14). */
bool fdinfo_identity(const char *text, size_t length, uint64_t *inode, int64_t *mount);
/** One line of /proc/PID/mountinfo: "MOUNT PARENT MAJOR:MINOR …". */
bool mountinfo_line(const char *line, size_t length, int64_t *mount, uint64_t *device);
/** Device of a mount by a process's own list; false: it can't be told. */
bool mount_device(const char *mountinfo, int64_t mount, uint64_t *device);
/** What the next two need is there; false: memory is short. */
bool same_room(void);
/** Of an open file of our own; left as it is if it can't be told. */
void same_identify(int file, struct identity *out);
