/*
 * Loaded into a program under test with LD_PRELOAD. It does two things, each only when asked:
 *
 * GLASSBOX_SHIM_LOG   writes down every change to files under GLASSBOX_SHIM_DIRECTORY, with its bytes and in order.
 * GLASSBOX_SHIM_KILL  kill -9 at the nth call of a kind, as "fdatasync:3:before"; counted from the first time that
 *                     the program opens something under that directory.
 *
 * A call is written down after it was done and before the program hears of it. A sync is written down twice, since
 * only what was written before it began is safe when it has ended. What the program does without the C library
 * is not seen. Programs that it starts are not followed: the constructor takes itself out of their environment.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, SYNC_BEGIN, SYNC_END, RENAME, UNLINK, LINK, MKDIR, RMDIR };

/* The layout that log.ts reads; all little-endian. `length` counts what follows the header: two paths and data. */
struct header {
  uint32_t length;
  uint16_t type;
  uint16_t first_path;
  uint16_t second_path;
  uint16_t pad;
  uint32_t process;
  uint64_t file;
  uint64_t offset;
};

static char watched[PATH_MAX];
static size_t watched_length;
static int log_fd = -1;
static pid_t own_pid;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char kill_call[16];
static int kill_at;
static int kill_after;
static atomic_int kill_count;
static atomic_int armed;

#define REAL(name) ((__typeof__(&name)) real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static int ours(void) { return own_pid != 0 && syscall(SYS_getpid) == own_pid; }

__attribute__((constructor)) static void start(void) {
  const char *directory = getenv("GLASSBOX_SHIM_DIRECTORY");
  if (directory == NULL) return;
  watched_length = (size_t)snprintf(watched, sizeof watched, "%s/", directory);
  const char *log = getenv("GLASSBOX_SHIM_LOG");
  if (log != NULL) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    /* Out of the way of those numbers that programs expect to be theirs. */
    if (fd >= 0) log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 500);
  }
  const char *where = getenv("GLASSBOX_SHIM_KILL");
  if (where != NULL) {
    char order[8] = "";
    if (sscanf(where, "%15[^:]:%d:%7s", kill_call, &kill_at, order) == 3) kill_after = strcmp(order, "after") == 0;
  }
  own_pid = (pid_t)syscall(SYS_getpid);
  unsetenv("LD_PRELOAD");
  unsetenv("GLASSBOX_SHIM_DIRECTORY");
  unsetenv("GLASSBOX_SHIM_LOG");
  unsetenv("GLASSBOX_SHIM_KILL");
}

/* ---- kill points ---- */

static void die(void) { syscall(SYS_kill, own_pid, SIGKILL); }

/* True when this very call is the last one. */
static int is_last(const char *call) {
  if (kill_at == 0 || !atomic_load(&armed) || strcmp(call, kill_call) != 0 || !ours()) return 0;
  return atomic_fetch_add(&kill_count, 1) + 1 == kill_at;
}

#define KILL_POINT(call)             \
  int last_call = is_last(call);     \
  if (last_call && !kill_after) die()
#define KILL_AFTER() \
  if (last_call && kill_after) die()

/* ---- the log ---- */

static int is_watched(const char *path) {
  return watched_length > 0 && strncmp(path, watched, watched_length) == 0;
}

/* Links to the shared memory of SQLite's index are left out: it is made anew after a crash. */
static int is_logged(const char *path) {
  if (!is_watched(path)) return 0;
  size_t length = strlen(path);
  return length < 4 || strcmp(path + length - 4, "-shm") != 0;
}

static int path_of_fd(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return 1;
}

static int absolute(int directory, const char *path, char *result) {
  if (path == NULL) return 0;
  if (path[0] == '/') return snprintf(result, PATH_MAX, "%s", path) < PATH_MAX;
  char base[PATH_MAX];
  if (directory == AT_FDCWD) {
    if (syscall(SYS_getcwd, base, sizeof base) <= 0) return 0;
  } else if (!path_of_fd(directory, base)) {
    return 0;
  }
  return snprintf(result, PATH_MAX, "%s/%s", base, path) < PATH_MAX;
}

static void record(int type, uint64_t file, uint64_t offset, const char *first, const char *second,
                   const struct iovec *data, int pieces, size_t bytes) {
  struct header header = {
      .type = (uint16_t)type,
      .first_path = (uint16_t)(first == NULL ? 0 : strlen(first)),
      .second_path = (uint16_t)(second == NULL ? 0 : strlen(second)),
      .process = (uint32_t)own_pid,
      .file = file,
      .offset = offset,
  };
  header.length = (uint32_t)(header.first_path + header.second_path + bytes);
  size_t size = sizeof header + header.length;
  char *text = malloc(size);
  char *end = text;
  end = mempcpy(end, &header, sizeof header);
  if (first != NULL) end = mempcpy(end, first, header.first_path);
  if (second != NULL) end = mempcpy(end, second, header.second_path);
  size_t left = bytes;
  for (int i = 0; i < pieces && left > 0; i++) {
    size_t take = data[i].iov_len < left ? data[i].iov_len : left;
    end = mempcpy(end, data[i].iov_base, take);
    left -= take;
  }
  pthread_mutex_lock(&log_lock);
  /* One append each, so that those of several processes never mix. */
  if (syscall(SYS_write, log_fd, text, size) != (long)size) abort();
  pthread_mutex_unlock(&log_lock);
  free(text);
}

static int logging(void) { return log_fd >= 0 && ours(); }

static int status(int fd, struct stat *stat) { return (int)syscall(SYS_fstat, fd, stat) == 0; }

static void record_write(int fd, off_t offset, const struct iovec *data, int pieces, ssize_t done) {
  int saved = errno;
  char path[PATH_MAX];
  struct stat stat;
  if (done > 0 && logging() && path_of_fd(fd, path) && is_logged(path) && status(fd, &stat) &&
      S_ISREG(stat.st_mode)) {
    if (offset < 0) offset = syscall(SYS_lseek, fd, 0, SEEK_CUR) - done;
    record(WRITE, stat.st_ino, (uint64_t)offset, path, NULL, data, pieces, (size_t)done);
  }
  errno = saved;
}

static void record_truncate(int fd, off_t length, int failed) {
  int saved = errno;
  char path[PATH_MAX];
  struct stat stat;
  if (!failed && logging() && path_of_fd(fd, path) && is_logged(path) && status(fd, &stat)) {
    record(TRUNCATE, stat.st_ino, (uint64_t)length, path, NULL, NULL, 0, 0);
  }
  errno = saved;
}

static void record_names(int type, int first_at, const char *first, int second_at, const char *second, int failed) {
  int saved = errno;
  char one[PATH_MAX], two[PATH_MAX];
  if (!failed && logging() && absolute(first_at, first, one) && is_logged(one)) {
    if (second == NULL) record(type, 0, 0, one, NULL, NULL, 0, 0);
    else if (absolute(second_at, second, two)) record(type, 0, 0, one, two, NULL, 0, 0);
  }
  errno = saved;
}

static int sync_fd(int fd, const char *call) {
  KILL_POINT(call);
  static atomic_ulong syncs;
  char path[PATH_MAX];
  struct stat stat;
  int is_known = logging() && path_of_fd(fd, path) && (is_logged(path) || strncmp(path, watched, watched_length - 1) == 0) &&
                 status(fd, &stat);
  uint64_t number = atomic_fetch_add(&syncs, 1);
  if (is_known) record(SYNC_BEGIN, stat.st_ino, number, path, NULL, NULL, 0, 0);
  int result = (int)syscall(strcmp(call, "fsync") == 0 ? SYS_fsync : SYS_fdatasync, fd);
  int saved = errno;
  if (is_known && result == 0) record(SYNC_END, stat.st_ino, number, path, NULL, NULL, 0, 0);
  errno = saved;
  KILL_AFTER();
  return result;
}

/* ---- the calls ---- */

static int open_at(int directory, const char *path, int flags, mode_t mode) {
  char whole[PATH_MAX];
  int is_known = absolute(directory, path, whole) && is_watched(whole);
  if (is_known) atomic_store(&armed, 1);
  KILL_POINT("openat");
  struct stat stat;
  int existed = is_known && logging() && (flags & O_CREAT) &&
                syscall(SYS_newfstatat, AT_FDCWD, whole, &stat, AT_SYMLINK_NOFOLLOW) == 0;
  int fd = (int)syscall(SYS_openat, directory, path, flags, mode);
  int saved = errno;
  if (fd >= 0 && is_known && logging() && is_logged(whole) && status(fd, &stat)) {
    if ((flags & O_CREAT) && !existed) record(CREATE, stat.st_ino, 0, whole, NULL, NULL, 0, 0);
    else if (flags & O_TRUNC) record(TRUNCATE, stat.st_ino, 0, whole, NULL, NULL, 0, 0);
  }
  errno = saved;
  KILL_AFTER();
  return fd;
}

#define MODE_OF(flags)                               \
  mode_t mode = 0;                                   \
  if ((flags) & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) { \
    va_list rest;                                    \
    va_start(rest, flags);                           \
    mode = va_arg(rest, mode_t);                     \
    va_end(rest);                                    \
  }

int open(const char *path, int flags, ...) { MODE_OF(flags) return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) return open_at(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE_OF(flags) return open_at(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE_OF(flags) return open_at(at, path, flags, mode); }
int creat(const char *path, mode_t mode) { return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

static ssize_t done_write(int fd, off_t offset, const struct iovec *data, int pieces, const char *call) {
  KILL_POINT(call);
  ssize_t done = offset < 0 ? (ssize_t)syscall(SYS_writev, fd, data, pieces)
                            : (ssize_t)syscall(SYS_pwritev, fd, data, pieces, offset, 0L);
  record_write(fd, offset, data, pieces, done);
  KILL_AFTER();
  return done;
}

ssize_t write(int fd, const void *bytes, size_t count) {
  KILL_POINT("write");
  ssize_t done = (ssize_t)syscall(SYS_write, fd, bytes, count);
  struct iovec data = {(void *)bytes, count};
  record_write(fd, -1, &data, 1, done);
  KILL_AFTER();
  return done;
}
ssize_t writev(int fd, const struct iovec *data, int pieces) { return done_write(fd, -1, data, pieces, "write"); }
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  struct iovec data = {(void *)bytes, count};
  return done_write(fd, offset, &data, 1, "pwrite64");
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) { return pwrite(fd, bytes, count, offset); }
ssize_t pwritev(int fd, const struct iovec *data, int pieces, off_t offset) {
  return done_write(fd, offset, data, pieces, "pwrite64");
}
ssize_t pwritev64(int fd, const struct iovec *data, int pieces, off64_t offset) {
  return done_write(fd, offset, data, pieces, "pwrite64");
}

int fsync(int fd) { return sync_fd(fd, "fsync"); }
int fdatasync(int fd) { return sync_fd(fd, "fdatasync"); }

int ftruncate(int fd, off_t length) {
  int result = (int)syscall(SYS_ftruncate, fd, length);
  record_truncate(fd, length, result);
  return result;
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

static int rename_at(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
  KILL_POINT("rename");
  int result = (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
  record_names(RENAME, from_at, from, to_at, to, result);
  KILL_AFTER();
  return result;
}
int rename(const char *from, const char *to) { return rename_at(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int from_at, const char *from, int to_at, const char *to) { return rename_at(from_at, from, to_at, to, 0); }
int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
  return rename_at(from_at, from, to_at, to, flags);
}

int unlinkat(int at, const char *path, int flags) {
  int result = (int)syscall(SYS_unlinkat, at, path, flags);
  record_names((flags & AT_REMOVEDIR) ? RMDIR : UNLINK, at, path, 0, NULL, result);
  return result;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
  int result = (int)syscall(SYS_linkat, from_at, from, to_at, to, flags);
  record_names(LINK, from_at, from, to_at, to, result);
  return result;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int mkdirat(int at, const char *path, mode_t mode) {
  int result = (int)syscall(SYS_mkdirat, at, path, mode);
  record_names(MKDIR, at, path, 0, NULL, result);
  return result;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

ssize_t sendto(int fd, const void *bytes, size_t count, int flags, const struct sockaddr *to, socklen_t length) {
  KILL_POINT("sendto");
  ssize_t done = (ssize_t)syscall(SYS_sendto, fd, bytes, count, flags, to, length);
  KILL_AFTER();
  return done;
}
ssize_t send(int fd, const void *bytes, size_t count, int flags) { return sendto(fd, bytes, count, flags, NULL, 0); }
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  KILL_POINT("sendto");
  ssize_t done = (ssize_t)syscall(SYS_sendmsg, fd, message, flags);
  KILL_AFTER();
  return done;
}

/* How a program is started differs by runtime; vfork cannot be wrapped. */
pid_t fork(void) {
  KILL_POINT("clone");
  pid_t child = REAL(fork)();
  if (child != 0) {
    KILL_AFTER();
  }
  return child;
}
int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {
  KILL_POINT("clone");
  int result = REAL(posix_spawn)(pid, path, actions, attributes, argv, envp);
  KILL_AFTER();
  return result;
}
int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {
  KILL_POINT("clone");
  int result = REAL(posix_spawnp)(pid, file, actions, attributes, argv, envp);
  KILL_AFTER();
  return result;
}
