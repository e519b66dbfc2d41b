#include "judge.h"
#include "xml.h"
#include <string.h>

#define RUN_NAMESPACE "https://fenceline.org/xmlns/run/1"
#define RUN_MARK "opt/org.fenceline/run"

struct judging {
  struct protected_list *list;
  same_device *same;
  struct domain domain;
  int uuids, names, metadata_marks, argument_marks;
  int64_t metadata_epoch, argument_epoch;
  /** The <sysinfo> that was opened last is of type fwcfg. */
  bool in_fwcfg;
  /** The entry that is open now is the mark in qemu's arguments. */
  bool in_mark;
  /** VMs whose disks stand in the XML: two are enough, as one of them is another one. */
  int seen[2];
  const char *seen_disk[2];
};

static void odd(struct judging *j, const char *why) {
  if (!j->domain.odd) j->domain.odd = why;
}

static void saw(struct judging *j, const struct protected_disk *disk) {
  for (int i = 0; i < 2; i++) {
    if (j->seen[i] == disk->vm) return;
    if (j->seen[i] >= 0) continue;
    j->seen[i] = disk->vm;
    j->seen_disk[i] = disk->source;
    return;
  }
}

/** `image.raw` of `/srv/vms/image.raw` or `pool/image.raw`. */
static const char *last_part(const char *source) {
  const char *slash = strrchr(source, '/');
  return slash ? slash + 1 : source;
}

/** Could this value, which stands anywhere, be that disk? Text only: no shared storage is touched. */
static bool names_disk(struct judging *j, const char *value, struct protected_disk *disk) {
  if (disk->kind != DISK_PATH || value[0] != '/') return false;
  if (strcmp(value, disk->source) == 0) return true;
  bool devices = strncmp(value, "/dev/", 5) == 0 && strncmp(disk->source, "/dev/", 5) == 0;
  return devices && j->same && j->same(value, disk);
}

/** Every value that begins like a path is compared, wherever it stands: who knows what opens it. */
static void look_for_paths(struct judging *j, const char *value) {
  if (value[0] != '/') return;
  path_shorten((char *)value); // the document is ours to change
  for (int i = 0; i < j->list->disks; i++)
    if (names_disk(j, value, &j->list->disk[i])) saw(j, &j->list->disk[i]);
}

/** Network disks, and disks that are named through a storage pool. */
static void look_for_sources(struct judging *j, const struct xml_element *element) {
  const char *protocol = xml_value(element, "protocol"), *name = xml_value(element, "name");
  const char *volume = xml_value(element, "volume");
  for (int i = 0; i < j->list->disks; i++) {
    struct protected_disk *disk = &j->list->disk[i];
    const char *wanted = disk->kind == DISK_NETWORK ? disk->protocol : "rbd";
    if (disk->kind != DISK_PATH && protocol && name && strcmp(protocol, wanted) == 0 && strcmp(name, disk->source) == 0)
      saw(j, disk);
    // What the pool makes of it only libvirt knows, which must not be asked: the same name is enough.
    if (volume && strcmp(last_part(volume), last_part(disk->source)) == 0) saw(j, disk);
  }
}

/** Arguments for qemu that libvirt hands on as they stand: a disk may hide in the middle of one. */
static void look_in_argument(struct judging *j, const char *value) {
  for (int i = 0; i < j->list->disks; i++) {
    struct protected_disk *disk = &j->list->disk[i];
    bool here = strstr(value, disk->source) && (disk->kind != DISK_NETWORK || strstr(value, disk->protocol));
    if (here) saw(j, disk);
  }
}

static const char *local_name(const char *name) {
  const char *colon = strchr(name, ':');
  return colon ? colon + 1 : name;
}

static int64_t epoch_of(const char *text) {
  int64_t epoch;
  return text && read_number(text, &epoch) ? epoch : -1;
}

/** The namespace of our metadata element, declared on that element itself, as we write it. */
static bool is_run_element(const struct xml_path *path, const struct xml_element *element, const char *declared_by) {
  if (path->depth != 3 || strcmp(path->name[0], "domain") != 0 || strcmp(path->name[1], "metadata") != 0) return false;
  const char *local = local_name(element->name);
  if (strcmp(local, "run") != 0) return false;
  size_t prefix = local == element->name ? 0 : (size_t)(local - element->name - 1);
  if (prefix == 0) return strcmp(declared_by, "xmlns") == 0;
  return strncmp(declared_by, "xmlns:", 6) == 0 && strlen(declared_by + 6) == prefix && memcmp(declared_by + 6, element->name, prefix) == 0;
}

static void look_for_marks(struct judging *j, const struct xml_path *path, const struct xml_element *element) {
  const char *type = xml_value(element, "type");
  if (xml_at(path, "domain/sysinfo")) j->in_fwcfg = type && strcmp(type, "fwcfg") == 0;
  j->in_mark = false;
  for (int i = 0; i < element->attributes; i++) {
    const char *name = element->attribute[i].name, *value = element->attribute[i].value;
    if (strcmp(value, RUN_NAMESPACE) == 0) {
      j->metadata_marks++;
      if (is_run_element(path, element, name))
        j->metadata_epoch = epoch_of(xml_value(element, "epoch"));
      else
        odd(j, "the namespace of run marks stands at another place");
    }
    if (!strstr(value, RUN_MARK)) continue;
    // safety: F35: only what becomes exactly one argument of qemu is the mark that a fence will read
    bool entry = j->in_fwcfg && xml_at(path, "domain/sysinfo/entry") && strcmp(name, "name") == 0 && strcmp(value, RUN_MARK) == 0 && element->attributes == 1;
    if (entry)
      j->in_mark = true, j->argument_marks++;
    else
      odd(j, "the name of the run mark stands at another place");
  }
}

static void on_open(void *context, const struct xml_path *path, const struct xml_element *element) {
  struct judging *j = context;
  if (path->depth == 1 && strcmp(element->name, "domain") != 0) odd(j, "it is no domain");
  look_for_marks(j, path, element);
  const char *local = local_name(element->name);
  bool argument = strcmp(local, "arg") == 0 || strcmp(local, "env") == 0;
  for (int i = 0; i < element->attributes; i++) {
    if (argument) look_in_argument(j, element->attribute[i].value);
    look_for_paths(j, element->attribute[i].value);
  }
  look_for_sources(j, element);
}

static void on_text(void *context, const struct xml_path *path, const char *text, bool whole) {
  struct judging *j = context;
  if (xml_at(path, "domain/uuid")) {
    j->uuids++, j->domain.uuid = text;
    if (!whole || !is_uuid(text)) odd(j, "its uuid is not plain text");
  }
  if (xml_at(path, "domain/name")) j->names++, j->domain.name = text;
  if (j->in_mark && xml_at(path, "domain/sysinfo/entry")) {
    j->argument_epoch = whole ? epoch_of(text) : -1;
    j->in_mark = false;
    return;
  }
  if (strstr(text, RUN_MARK)) odd(j, "the name of the run mark stands at another place");
  look_for_paths(j, text);
}

static void finish(struct judging *j) {
  struct domain *domain = &j->domain;
  if (j->uuids != 1 || j->names != 1) odd(j, "it has not one name and one uuid");
  if (domain->odd) return;
  for (int i = 0; i < j->list->vms && domain->vm < 0; i++)
    if (strcmp(j->list->uuid[i], domain->uuid) == 0) domain->vm = i;
  for (int i = 0; i < 2; i++) {
    if (j->seen[i] < 0 || strcmp(j->list->uuid[j->seen[i]], domain->uuid) == 0) continue;
    domain->other_vm = j->seen[i];
    domain->disk = j->seen_disk[i];
  }
  // safety: F35: metadata can be edited on a running VM, arguments can't; a run bears both, once each
  if (j->metadata_marks == 1 && j->argument_marks == 1 && j->metadata_epoch == j->argument_epoch)
    domain->epoch = j->metadata_epoch;
}

struct domain judge_domain(char *xml, size_t length, struct protected_list *list, same_device *same) {
  struct judging j = {.list = list, .same = same, .metadata_epoch = -1, .argument_epoch = -1, .seen = {-1, -1},
                      .domain = {.vm = -1, .other_vm = -1, .epoch = -1}};
  struct xml_reader reader = {.context = &j, .open = on_open, .text = on_text};
  if (xml_read(xml, length, &reader))
    finish(&j);
  else
    odd(&j, "it is not well-formed");
  return j.domain;
}
