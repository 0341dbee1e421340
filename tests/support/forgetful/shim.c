/* A disk that forgets what was not synced: preloaded into the kit's processes, it keeps, beside every file below
 * FORGETFUL_ROOT, a journal of what was written to it since its last fsync. After a power cut (everything killed with
 * -9) forgetful.power_cut() takes back what the journals hold, wholly or in part, as a real disk's cache would.
 *
 * The journal of the file with inode N is FORGETFUL_JOURNALS/N: entries of
 *     u64 kind (1 = write, 2 = resize), u64 offset, u64 size of the file before, u64 old bytes, u64 new bytes, old, new
 * Entry and write happen under one lock, so that several processes may write one file. An entry is written before its
 * write: a process killed between the two leaves an entry whose undoing changes nothing.
 *
 * Not covered: memory-mapped writes (SQLite's -shm, which it rebuilds), and names (create, rename, unlink are kept at once).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 4096
enum { UNKNOWN, FOREIGN, OURS };
static unsigned char known[FDS];

#define REAL(name, type, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = dlsym(RTLD_NEXT, name)

static const char *root(void) { static const char *value; if (!value) value = getenv("FORGETFUL_ROOT"); return value; }
static const char *journals(void) { static const char *value; if (!value) value = getenv("FORGETFUL_JOURNALS"); return value; }

static ssize_t plain_write(int fd, const void *bytes, size_t size) { REAL("write", ssize_t, int, const void *, size_t); return real(fd, bytes, size); }
static int plain_ftruncate(int fd, off_t size) { REAL("ftruncate64", int, int, off_t); return real(fd, size); }
static int plain_close(int fd) { REAL("close", int, int); return real(fd); }

static int ours(int fd) {
    if (!root() || !journals() || fd < 0 || fd >= FDS) return 0;
    if (known[fd] == UNKNOWN) {
        char link[64], path[PATH_MAX];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, sizeof path - 1);
        known[fd] = FOREIGN;
        if (length > 0) {
            path[length] = 0;
            size_t wanted = strlen(root());
            struct stat about;
            if (!strncmp(path, root(), wanted) && path[wanted] == '/' && !fstat(fd, &about) && S_ISREG(about.st_mode))
                known[fd] = OURS;
        }
    }
    return known[fd] == OURS;
}

/* The locked journal of a file, or -1. Opened by system call so that it is not taken for one of the kit's own files. */
static int journal(int fd, struct stat *about) {
    char path[PATH_MAX];
    if (fstat(fd, about)) return -1;
    snprintf(path, sizeof path, "%s/%lu", journals(), (unsigned long)about->st_ino);
    REAL("open64", int, const char *, int, ...);
    int log = real(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0) return -1;
    if (log < FDS) known[log] = FOREIGN;
    flock(log, LOCK_EX);
    fstat(fd, about); /* again: another process may have written while this one waited */
    return log;
}

static void unlock(int log) { if (log >= 0) plain_close(log); }

static void must(int log, const void *bytes, size_t size) {
    const char *at = bytes;
    while (size) {
        ssize_t done = plain_write(log, at, size);
        if (done <= 0) { if (done < 0 && errno == EINTR) continue; abort(); }
        at += done; size -= (size_t)done;
    }
}

static void note(int log, int fd, const struct stat *about, uint64_t kind, uint64_t offset, const void *bytes, uint64_t size) {
    uint64_t before = (uint64_t)about->st_size;
    uint64_t end = kind == 1 ? offset + size : before; /* a resize forgets what lies behind the new end */
    uint64_t old = before > offset ? (end < before ? end : before) - offset : 0;
    char *kept = malloc(old ? old : 1);
    /* A file opened for writing only is read through a descriptor of our own. Never one opened for both: closing a
     * second descriptor would drop the POSIX locks that the process, SQLite above all, holds on the file. */
    int in = fd;
    if (old && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        REAL("open64", int, const char *, int, ...);
        in = real(link, O_RDONLY | O_CLOEXEC);
    }
    if (old && (in < 0 || pread(in, kept, old, (off_t)offset) != (ssize_t)old)) abort();
    if (in != fd && in >= 0) plain_close(in);
    uint64_t head[5] = {kind, offset, before, old, kind == 1 ? size : 0};
    must(log, head, sizeof head);
    must(log, kept, old);
    if (kind == 1) must(log, bytes, size);
    free(kept);
}

static off_t place(int fd) {
    int flags = fcntl(fd, F_GETFL);
    struct stat about;
    if (flags >= 0 && (flags & O_APPEND) && !fstat(fd, &about)) return about.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

ssize_t write(int fd, const void *bytes, size_t size) {
    if (!ours(fd)) return plain_write(fd, bytes, size);
    struct stat about;
    int log = journal(fd, &about);
    if (log >= 0) note(log, fd, &about, 1, (uint64_t)place(fd), bytes, size);
    ssize_t done = plain_write(fd, bytes, size);
    int why = errno; unlock(log); errno = why;
    return done;
}

static ssize_t at(int fd, const void *bytes, size_t size, off_t offset) {
    REAL("pwrite64", ssize_t, int, const void *, size_t, off_t);
    if (!ours(fd)) return real(fd, bytes, size, offset);
    struct stat about;
    int log = journal(fd, &about);
    if (log >= 0) note(log, fd, &about, 1, (uint64_t)offset, bytes, size);
    ssize_t done = real(fd, bytes, size, offset);
    int why = errno; unlock(log); errno = why;
    return done;
}
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) { return at(fd, bytes, size, offset); }
ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset) { return at(fd, bytes, size, offset); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL("writev", ssize_t, int, const struct iovec *, int);
    if (!ours(fd)) return real(fd, parts, count);
    ssize_t total = 0;
    for (int number = 0; number < count; number++) {
        ssize_t done = write(fd, parts[number].iov_base, parts[number].iov_len);
        if (done < 0) return total ? total : -1;
        total += done;
        if ((size_t)done < parts[number].iov_len) break;
    }
    return total;
}

static int resize(int fd, off_t size) {
    if (!ours(fd)) return plain_ftruncate(fd, size);
    struct stat about;
    int log = journal(fd, &about);
    if (log >= 0) note(log, fd, &about, 2, (uint64_t)size, NULL, 0);
    int done = plain_ftruncate(fd, size);
    int why = errno; unlock(log); errno = why;
    return done;
}
int ftruncate(int fd, off_t size) { return resize(fd, size); }
int ftruncate64(int fd, off_t size) { return resize(fd, size); }

/* Only now is it on the disk. The machine that runs this is not switched off, so the real fsync is left out. */
static int synced(int fd, const char *name) {
    if (!ours(fd)) { int (*real)(int) = dlsym(RTLD_NEXT, name); return real(fd); }
    struct stat about;
    int log = journal(fd, &about);
    if (log >= 0) plain_ftruncate(log, 0);
    unlock(log);
    return 0;
}
int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }

/* Opening with O_TRUNC empties a file: done as a resize that can be taken back. */
static int opened(const char *name, int directory, const char *path, int flags, mode_t mode) {
    int (*real)(int, const char *, int, ...) = dlsym(RTLD_NEXT, name);
    int fd = real(directory, path, flags & ~O_TRUNC, mode);
    if (fd >= 0 && fd < FDS) known[fd] = UNKNOWN;
    if (fd >= 0 && (flags & O_TRUNC)) {
        struct stat about;
        if (!fstat(fd, &about) && S_ISREG(about.st_mode) && about.st_size && resize(fd, 0)) { plain_close(fd); return -1; }
    }
    return fd;
}
#define MODE mode_t mode = 0; if (flags & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
int open(const char *path, int flags, ...) { MODE return opened("openat64", AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return opened("openat64", AT_FDCWD, path, flags, mode); }
int openat(int directory, const char *path, int flags, ...) { MODE return opened("openat64", directory, path, flags, mode); }
int openat64(int directory, const char *path, int flags, ...) { MODE return opened("openat64", directory, path, flags, mode); }

/* A name that goes takes its file's journal with it: the next file may get the same inode. */
static void gone(int directory, const char *path) {
    struct stat about;
    char name[PATH_MAX];
    if (!root() || !journals() || fstatat(directory, path, &about, AT_SYMLINK_NOFOLLOW) || about.st_nlink > 1) return;
    snprintf(name, sizeof name, "%s/%lu", journals(), (unsigned long)about.st_ino);
    int (*real)(const char *) = dlsym(RTLD_NEXT, "unlink");
    int why = errno; real(name); errno = why;
}
int unlink(const char *path) { REAL("unlink", int, const char *); gone(AT_FDCWD, path); return real(path); }
int unlinkat(int directory, const char *path, int flags) { REAL("unlinkat", int, int, const char *, int); if (!(flags & AT_REMOVEDIR)) gone(directory, path); return real(directory, path, flags); }
int rename(const char *from, const char *to) { REAL("rename", int, const char *, const char *); gone(AT_FDCWD, to); return real(from, to); }
int renameat(int d1, const char *from, int d2, const char *to) { REAL("renameat", int, int, const char *, int, const char *); gone(d2, to); return real(d1, from, d2, to); }

int close(int fd) { if (fd >= 0 && fd < FDS) known[fd] = UNKNOWN; return plain_close(fd); }
int dup2(int from, int to) { REAL("dup2", int, int, int); if (to >= 0 && to < FDS) known[to] = UNKNOWN; return real(from, to); }
int dup3(int from, int to, int flags) { REAL("dup3", int, int, int, int); if (to >= 0 && to < FDS) known[to] = UNKNOWN; return real(from, to, flags); }
