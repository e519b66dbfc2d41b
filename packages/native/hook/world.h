#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct protected_disk;

/** A file that was read whole: `text` has room for one more byte. */
struct file_text { char *text; size_t length; };

/** 0, or the errno of what went wrong; ENOENT: there is no such file. EFBIG: more than `limit`. */
int read_file(const char *path, size_t limit, struct file_text *out);
/** The same for a descriptor, to its end. */
int read_all(int fd, size_t limit, struct file_text *out);
/** The same by a process of its own, so that a disk that hangs holds only that one up. */
int read_file_apart(const char *path, size_t limit, int limit_ms, struct file_text *out);
/** The number in `dir/name`: 0 and -1 in `out` if there is none; else an errno. */
int read_number_file(const char *dir, const char *name, int64_t *out);
/** The process lives and began at that tick. */
bool process_lives(int64_t pid, int64_t start_time);
/** Both are the same block device, by what devtmpfs says; follows no link that leaves /dev. */
bool same_block_device(const char *path, struct protected_disk *disk);
