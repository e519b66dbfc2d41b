#include "list.h"
#include <stdlib.h>
#include <string.h>

bool is_uuid(const char *text) {
  for (int i = 0; i < 36; i++) {
    char c = text[i];
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return text[36] == '\0';
}

bool read_number(const char *text, int64_t *out) {
  int64_t n = 0;
  size_t digits = 0;
  for (; text[digits] >= '0' && text[digits] <= '9'; digits++) {
    if (digits == 15) return false;
    n = n * 10 + (text[digits] - '0');
  }
  if (digits == 0 || text[digits] != '\0' || (digits > 1 && text[0] == '0')) return false;
  *out = n;
  return true;
}

void path_shorten(char *path) {
  char *to = path;
  for (char *at = path; *at;) {
    while (*at == '/') at++;
    size_t n = strcspn(at, "/");
    if (n == 0) break;
    if (n == 2 && at[0] == '.' && at[1] == '.')
      while (to > path && *--to != '/') {}
    else if (!(n == 1 && at[0] == '.'))
      *to++ = '/', memmove(to, at, n), to += n;
    at += n;
  }
  if (to == path) *to++ = '/';
  *to = '\0';
}

static int hex(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }
static bool percent_decode(char *text) {
  char *to = text;
  for (char *at = text; *at;) {
    if (*at != '%') {
      *to++ = *at++;
      continue;
    }
    int high = hex(at[1]), low = high < 0 ? -1 : hex(at[2]);
    if (low < 0 || (high == 0 && low == 0)) return false;
    *to++ = (char)(high * 16 + low);
    at += 3;
  }
  *to = '\0';
  return true;
}

static bool read_disk(char *text, struct protected_disk *disk) {
  char *source = strchr(text, ':');
  if (!source) return false;
  *source++ = '\0';
  if (*source == '\0' || !percent_decode(source)) return false;
  disk->source = source;
  if (strcmp(text, "file") == 0 || strcmp(text, "block") == 0) {
    disk->kind = DISK_PATH;
    if (*source != '/') return false;
    path_shorten(source);
    return true;
  }
  if (strcmp(text, "rbd") == 0) return disk->kind = DISK_RBD, true;
  char *name = strcmp(text, "network") == 0 ? strchr(source, ':') : NULL;
  if (!name || name[1] == '\0') return false;
  *name++ = '\0';
  return disk->kind = DISK_NETWORK, disk->protocol = source, disk->source = name, true;
}

/** One more line; the last one must say how many VMs there were. */
static const char *read_line(char *line, struct protected_list *list, bool *ended) {
  if (*ended) return "text behind its end";
  if (strncmp(line, "vm ", 3) == 0) {
    if (!is_uuid(line + 3)) return "a vm line without a uuid";
    // Each VM once, and the agent writes them in order: so two lines that cross are no list of ours.
    if (list->vms > 0 && strcmp(list->uuid[list->vms - 1], line + 3) >= 0) return "VMs out of order";
    return list->uuid[list->vms++] = line + 3, NULL;
  }
  if (strncmp(line, "disk ", 5) == 0) {
    struct protected_disk *disk = &list->disk[list->disks];
    *disk = (struct protected_disk){.vm = list->vms - 1};
    if (list->vms == 0 || !read_disk(line + 5, disk)) return "a disk line that makes no sense";
    return list->disks++, NULL;
  }
  int64_t count;
  if (strncmp(line, "end ", 4) != 0 || !read_number(line + 4, &count)) return "an unknown line";
  // safety: F34: a list that was cut off names fewer VMs than there are
  if (count != list->vms) return "an end that counts other VMs";
  return *ended = true, NULL;
}

const char *list_read(char *text, size_t length, struct protected_list *list) {
  size_t lines = 0;
  text[length] = '\0';
  if (memchr(text, '\0', length)) return "a NUL in it";
  for (char *at = text; (at = strchr(at, '\n')); at++) lines++;
  *list = (struct protected_list){.uuid = calloc(lines + 1, sizeof *list->uuid),
                                  .disk = calloc(lines + 1, sizeof *list->disk)};
  if (!list->uuid || !list->disk) return "no memory for it";
  bool first = true, ended = false;
  for (char *line = text, *next; *line; line = next) {
    char *end = strchr(line, '\n');
    if (!end) return "a line without its end";
    *end = '\0', next = end + 1;
    const char *wrong = first ? (strcmp(line, "fenceline-protected 1") == 0 ? NULL : "another version")
                              : read_line(line, list, &ended);
    if (wrong) return wrong;
    first = false;
  }
  // safety: F34: half a list protects half of the VMs
  return ended ? NULL : "no end line";
}

void list_free(struct protected_list *list) {
  free(list->uuid);
  free(list->disk);
}
