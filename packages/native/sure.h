#pragma once
// Calls that try again where memory is short, as long as there is spare memory to give back for them (F26).
// Any other error, and the last one, is the caller's.
#include "memory.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/** A file system in memory says "no space" when it has no memory for a new file; so does a full one: little is tried. */
static inline bool helped_to_make(int tries) {
  if (errno == ENOSPC) return tries < 6 && spare_help(ENOMEM, tries);
  return spare_help(errno, tries);
}
static inline int sure_open(const char *path, int flags) {
  int file;
  for (int tries = 0; (file = open(path, flags, 0600)) < 0 && helped_to_make(tries); tries++) continue;
  return file;
}
static inline ssize_t sure_read(int file, void *to, size_t room) {
  ssize_t n;
  for (int tries = 0; (n = read(file, to, room)) < 0 && spare_help(errno, tries); tries++) continue;
  return n;
}
static inline ssize_t sure_write(int file, const void *from, size_t length) {
  ssize_t n;
  for (int tries = 0; (n = write(file, from, length)) < 0 && helped_to_make(tries); tries++) continue;
  return n;
}
static inline ssize_t sure_readlink(const char *path, char *to, size_t room) {
  ssize_t n;
  for (int tries = 0; (n = readlink(path, to, room)) < 0 && spare_help(errno, tries); tries++) continue;
  return n;
}
/** Of /proc/self: it is never absent, whatever /proc says where memory is short. */
static inline ssize_t sure_own_link(const char *path, char *to, size_t room) {
  ssize_t n;
  for (int tries = 0; (n = readlink(path, to, room)) < 0 && spare_help(errno == ENOENT ? ENOMEM : errno, tries); tries++) continue;
  return n;
}
static inline int sure_mkdir(const char *path) {
  int failed;
  for (int tries = 0; (failed = mkdir(path, 0700)) != 0 && helped_to_make(tries); tries++) continue;
  return failed;
}
static inline int sure_unlink(const char *path) {
  int failed;
  for (int tries = 0; (failed = unlink(path)) != 0 && spare_help(errno, tries); tries++) continue;
  return failed;
}
static inline int sure_rename(const char *from, const char *to) {
  int failed;
  for (int tries = 0; (failed = rename(from, to)) != 0 && helped_to_make(tries); tries++) continue;
  return failed;
}
