// Preloaded into a process, this counts its calls that change files below $CALLS_DIR, and kills it with SIGKILL instead of making the one
// that it is told to. It shares a file, $CALLS_CONTROL, with whoever tells it: three 64-bit integers, native byte order.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile struct {
	int64_t counting; // 0: not now
	int64_t count;    // of calls so far
	int64_t at;       // the call that is not made; 0: none
} *control;
static const char *dir;
static size_t dir_length;

__attribute__((constructor)) static void begin(void) {
	const char *file = getenv("CALLS_CONTROL");
	dir = getenv("CALLS_DIR");
	if (!file || !dir)
		return;
	dir_length = strlen(dir);
	int fd = syscall(SYS_openat, AT_FDCWD, file, O_RDWR);
	if (fd < 0)
		return;
	void *shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	syscall(SYS_close, fd);
	if (shared != MAP_FAILED)
		control = shared;
}

static void count(const char *path) {
	if (strncmp(path, dir, dir_length) != 0)
		return;
	int64_t n = __atomic_add_fetch(&control->count, 1, __ATOMIC_SEQ_CST);
	if (n == control->at) {
		kill(getpid(), SIGKILL);
		for (;;)
			pause();
	}
}

static void path_call(const char *path) {
	if (control && control->counting && path)
		count(path);
}

static void file_call(int fd) {
	if (!control || !control->counting)
		return;
	char link[32], path[PATH_MAX];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (n < 0)
		return;
	path[n] = 0;
	count(path);
}

#define NEXT(name)                               \
	static __typeof__(&name) next;           \
	if (!next)                               \
	next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define PATH_CALL(type, name, parameters, arguments, path) \
	type name parameters {                             \
		NEXT(name);                                \
		path_call(path);                           \
		return next arguments;                     \
	}

#define FILE_CALL(type, name, parameters, arguments) \
	type name parameters {                       \
		NEXT(name);                          \
		file_call(fd);                       \
		return next arguments;               \
	}

FILE_CALL(ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n))
FILE_CALL(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t at), (fd, b, n, at))
FILE_CALL(ssize_t, pwrite64, (int fd, const void *b, size_t n, off64_t at), (fd, b, n, at))
FILE_CALL(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
FILE_CALL(int, fsync, (int fd), (fd))
FILE_CALL(int, fdatasync, (int fd), (fd))
FILE_CALL(int, ftruncate, (int fd, off_t n), (fd, n))
FILE_CALL(int, ftruncate64, (int fd, off64_t n), (fd, n))
PATH_CALL(int, rename, (const char *from, const char *to), (from, to), from)
PATH_CALL(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), from)
PATH_CALL(int, renameat2, (int a, const char *from, int b, const char *to, unsigned flags), (a, from, b, to, flags), from)
PATH_CALL(int, link, (const char *from, const char *to), (from, to), to)
PATH_CALL(int, unlink, (const char *path), (path), path)
PATH_CALL(int, rmdir, (const char *path), (path), path)
PATH_CALL(int, mkdir, (const char *path, mode_t mode), (path, mode), path)

// remove and unlinkat: paths relative to a directory's descriptor are counted as that directory's.
int unlinkat(int fd, const char *path, int flags) {
	NEXT(unlinkat);
	if (fd == AT_FDCWD || *path == '/')
		path_call(path);
	else
		file_call(fd);
	return next(fd, path, flags);
}

PATH_CALL(int, remove, (const char *path), (path), path)

// A file that is opened to be written comes into being.
#define OPEN(name)                                         \
	int name(const char *path, int flags, ...) {       \
		NEXT(name);                                \
		va_list list;                              \
		va_start(list, flags);                     \
		mode_t mode = va_arg(list, int);           \
		va_end(list);                              \
		if (flags & O_CREAT)                       \
			path_call(path);                   \
		return next(path, flags, mode);            \
	}
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                           \
	int name(int at, const char *path, int flags, ...) {   \
		NEXT(name);                                    \
		va_list list;                                  \
		va_start(list, flags);                         \
		mode_t mode = va_arg(list, int);               \
		va_end(list);                                  \
		if (flags & O_CREAT)                           \
			path_call(path);                       \
		return next(at, path, flags, mode);            \
	}
OPENAT(openat)
OPENAT(openat64)

// libchdb renames by number.
long syscall(long number, ...) {
	NEXT(syscall);
	va_list list;
	va_start(list, number);
	long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long), d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
	va_end(list);
	if (number == SYS_renameat2)
		path_call((const char *)b);
	return next(number, a, b, c, d, e, f);
}
