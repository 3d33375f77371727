// Makes chosen calls of libc fail, for tests of what a program does when the storage does. Preload it with LD_PRELOAD.
//
// Only calls on paths under FAULT_PREFIX count; a call on a file descriptor counts by the path of its file. All settings
// are environment variables:
//
//   FAULT_PREFIX  folder whose files are concerned
//   FAULT_CALLS   classes of calls that may fail, joined by commas: open-read, open-write, opendir, read, write, fsync,
//                 ftruncate, rename, mkdir, unlink, flock
//   FAULT_AT      number of the call that fails, from 1, counted over all calls of these classes and all threads
//   FAULT_ERRNO   error number that it fails with; 0 makes a read or a write handle half of its bytes instead
//   FAULT_FOREVER if set, all later calls of these classes fail too
//   FAULT_LOG     file that gets a line "CLASS PATH" for each call that fails; with FAULT_AT=0, for each call
//   FAULT_CLOCK   if set, the time of day jumps by ten years, forwards or back, with each reading
//
// fsync and fdatasync do nothing: the tests cut no power, and most of the time of a run would be spent in them.
//
// Not covered: the rename of the crate `tempfile`, a raw system call that no library can replace.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum outcome { PASS, FAIL, SHORTEN };

static atomic_long calls;

// Returns the libc function of this name.
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_concerned(const char *path) {
  const char *prefix = getenv("FAULT_PREFIX");
  return prefix && path && strncmp(path, prefix, strlen(prefix)) == 0;
}

static int is_chosen(const char *class) {
  const char *list = getenv("FAULT_CALLS");
  size_t length = strlen(class);
  for (const char *at = list; at && (at = strstr(at, class)); at += length)
    if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == 0)) return 1;
  return 0;
}

static void log_call(const char *class, const char *path) {
  const char *log = getenv("FAULT_LOG");
  char line[4400];
  int length = snprintf(line, sizeof line, "%s %s\n", class, path);
  int fd = log ? (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
  if (fd < 0) return;
  syscall(SYS_write, fd, line, (size_t)length);
  syscall(SYS_close, fd);
}

// Decides what becomes of a call on a path, and sets errno if it fails.
static enum outcome decide(const char *class, const char *path) {
  if (!is_concerned(path) || !is_chosen(class)) return PASS;
  const char *chosen = getenv("FAULT_AT"), *error = getenv("FAULT_ERRNO");
  long at = chosen ? atol(chosen) : 0, n = ++calls;
  if (at == 0) {
    log_call(class, path);
    return PASS;
  }
  if (n != at && !(n > at && getenv("FAULT_FOREVER"))) return PASS;
  log_call(class, path);
  errno = error ? atoi(error) : EIO;
  return errno ? FAIL : SHORTEN;
}

// Like `decide`, for an open file.
static enum outcome decide_fd(const char *class, int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return PASS;
  path[length] = 0;
  return decide(class, path);
}

static enum outcome decide_open(const char *path, int flags) {
  int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT);
  return decide(writes ? "open-write" : "open-read", path);
}

#define OPEN(name)                                        \
  int name(const char *path, int flags, ...) {            \
    va_list arguments;                                    \
    va_start(arguments, flags);                           \
    mode_t mode = va_arg(arguments, mode_t);              \
    va_end(arguments);                                    \
    if (decide_open(path, flags) == FAIL) return -1;      \
    return REAL(name)(path, flags, mode);                 \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                             \
  int name(int folder, const char *path, int flags, ...) {       \
    va_list arguments;                                           \
    va_start(arguments, flags);                                  \
    mode_t mode = va_arg(arguments, mode_t);                     \
    va_end(arguments);                                           \
    if (decide_open(path, flags) == FAIL) return -1;             \
    return REAL(name)(folder, path, flags, mode);                \
  }
OPENAT(openat)
OPENAT(openat64)

// A call on a file descriptor that moves `count` bytes.
#define MOVE(name, class, pointer)                                        \
  ssize_t name(int fd, pointer bytes, size_t count) {                     \
    enum outcome outcome = count > 1 ? decide_fd(class, fd) : PASS;       \
    if (outcome == FAIL) return -1;                                       \
    return REAL(name)(fd, bytes, outcome == SHORTEN ? count / 2 : count); \
  }
MOVE(read, "read", void *)
MOVE(write, "write", const void *)

#define MOVE_AT(name, class, pointer, offset_type)                                \
  ssize_t name(int fd, pointer bytes, size_t count, offset_type offset) {         \
    enum outcome outcome = count > 1 ? decide_fd(class, fd) : PASS;               \
    if (outcome == FAIL) return -1;                                               \
    return REAL(name)(fd, bytes, outcome == SHORTEN ? count / 2 : count, offset); \
  }
MOVE_AT(pread64, "read", void *, off64_t)
MOVE_AT(pwrite64, "write", const void *, off64_t)

// A scattered call; a short one handles the first part only.
#define MOVE_PARTS(name, class)                                                        \
  ssize_t name(int fd, const struct iovec *parts, int count) {                         \
    enum outcome outcome = decide_fd(class, fd);                                       \
    if (outcome == FAIL) return -1;                                                    \
    return REAL(name)(fd, parts, outcome == SHORTEN && count > 1 ? 1 : count);         \
  }
MOVE_PARTS(readv, "read")
MOVE_PARTS(writev, "write")

int fsync(int fd) { return decide_fd("fsync", fd) == FAIL ? -1 : 0; }
int fdatasync(int fd) { return decide_fd("fsync", fd) == FAIL ? -1 : 0; }
int ftruncate64(int fd, off64_t size) { return decide_fd("ftruncate", fd) == FAIL ? -1 : REAL(ftruncate64)(fd, size); }
int flock(int fd, int operation) { return decide_fd("flock", fd) == FAIL ? -1 : REAL(flock)(fd, operation); }
int rename(const char *from, const char *to) { return decide("rename", to) == FAIL ? -1 : REAL(rename)(from, to); }
int mkdir(const char *path, mode_t mode) { return decide("mkdir", path) == FAIL ? -1 : REAL(mkdir)(path, mode); }
int unlink(const char *path) { return decide("unlink", path) == FAIL ? -1 : REAL(unlink)(path); }
DIR *opendir(const char *path) { return decide("opendir", path) == FAIL ? NULL : REAL(opendir)(path); }

int clock_gettime(clockid_t clock, struct timespec *time) {
  static atomic_long readings;
  static const long years[] = {0, 10, -10, 20};
  int result = REAL(clock_gettime)(clock, time);
  if (result == 0 && clock == CLOCK_REALTIME && getenv("FAULT_CLOCK")) time->tv_sec += years[readings++ % 4] * 31557600L;
  return result;
}
