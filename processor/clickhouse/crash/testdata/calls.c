// Preloaded into a process, this counts its calls that change files below $CALLS_DIR. The call that is
// chosen is not made: the process is killed with SIGKILL instead, or the call fails. The test chooses
// it in a file that both map, $CALLS_CONTROL: 64-bit integers in native byte order, a path, and a
// pattern of paths.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
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

static struct {
	volatile int64_t counting; // 0: not now
	int64_t count;    // of calls so far
	int64_t at;       // the call that is not made; 0: none
	int64_t refusal;  // errno with which it fails; 0: the process is killed
	int64_t onwards;  // 1: so does every later one
	char path[2048];  // of the call, for whoever asks which one it was
	char pattern[64]; // of the paths whose calls count, as fnmatch(3) has it; "": all
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

// count gives the errno with which the call fails, 0 for one that is to be made.
static int count(const char *path) {
	if (strncmp(path, dir, dir_length) != 0)
		return 0;
	if (*control->pattern && fnmatch(control->pattern, path, 0) != 0)
		return 0;
	int64_t n = __atomic_add_fetch(&control->count, 1, __ATOMIC_SEQ_CST), at = control->at;
	if (at == 0 || (control->onwards ? n < at : n != at))
		return 0;
	if (n == at)
		snprintf(control->path, sizeof control->path, "%s", path + dir_length);
	if (control->refusal)
		return control->refusal;
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

static int path_call(const char *path) {
	return control && control->counting && path ? count(path) : 0;
}

static int file_call(int fd) {
	if (!control || !control->counting)
		return 0;
	char link[32], path[PATH_MAX];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (n < 0)
		return 0;
	path[n] = 0;
	return count(path);
}

#define REFUSE(by)                     \
	do {                           \
		int refusal = by;      \
		if (refusal) {         \
			errno = refusal; \
			return -1;     \
		}                      \
	} while (0)

#define NEXT(name)                               \
	static __typeof__(&name) next;           \
	if (!next)                               \
	next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define PATH_CALL(type, name, parameters, arguments, path) \
	type name parameters {                             \
		NEXT(name);                                \
		REFUSE(path_call(path));                   \
		return next arguments;                     \
	}

#define FILE_CALL(type, name, parameters, arguments) \
	type name parameters {                       \
		NEXT(name);                          \
		REFUSE(file_call(fd));               \
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
	REFUSE(fd == AT_FDCWD || *path == '/' ? path_call(path) : file_call(fd));
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
			REFUSE(path_call(path));           \
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
			REFUSE(path_call(path));               \
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
		REFUSE(path_call((const char *)b));
	return next(number, a, b, c, d, e, f);
}
