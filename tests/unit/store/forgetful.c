/* A disk that forgets what was not synced, under a process that does not know: for LD_PRELOAD.
 *
 * Of each file in FORGETFUL_ROOT a second one is kept in FORGETFUL_KEPT/data, by inode, into which only what was
 * written since the last sync goes, and only when the next one succeeds. A sync that fails drops it: the system calls
 * those pages clean, still shows what they hold, and will not write them again. Names count once their folder was
 * synced: FORGETFUL_KEPT/names then lists inode and name of each file.
 *
 * forgetful_fail(n) lets the next n syncs fail with EIO, for ever where n < 0; forgetful_failed() says how many did.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

struct range {
    struct range *next;
    ino_t file;
    off_t from, to;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct range *dirty;
static long to_fail, failed;

void forgetful_fail(long n) { to_fail = n; }
long forgetful_failed(void) { return failed; }

/* Tells whether a file or folder is watched, and what it is. */
static int watched(int fd, struct stat *found) {
    const char *root = getenv("FORGETFUL_ROOT");
    char link[64], path[PATH_MAX];
    if (root == NULL || fstat(fd, found) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strncmp(path, root, strlen(root)) == 0;
}

static void touch(int fd, off_t from, ssize_t count) {
    struct stat found;
    if (count <= 0 || !watched(fd, &found)) return;
    struct range *range = malloc(sizeof *range);
    *range = (struct range){dirty, found.st_ino, from, from + count};
    dirty = range;
}

static void keep_range(int from_fd, int to_fd, off_t from, off_t to) {
    char block[65536];
    while (from < to) {
        size_t want = to - from < (off_t)sizeof block ? (size_t)(to - from) : sizeof block;
        ssize_t got = REAL(pread64)(from_fd, block, want, from);
        if (got <= 0 || REAL(pwrite64)(to_fd, block, got, from) != got) return;
        from += got;
    }
}

static void keep_names(int fd) {
    char path[PATH_MAX], draft[PATH_MAX + 8];
    snprintf(path, sizeof path, "%s/names", getenv("FORGETFUL_KEPT"));
    snprintf(draft, sizeof draft, "%s.draft", path);
    FILE *names = fopen(draft, "w");
    DIR *folder = fdopendir(openat(fd, ".", O_RDONLY));
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;)
        if (entry->d_type == DT_REG) fprintf(names, "%llu %s\n", (unsigned long long)entry->d_ino, entry->d_name);
    if (folder != NULL) closedir(folder);
    fclose(names);
    rename(draft, path);
}

static int sync_watched(int fd) {
    struct stat found;
    char path[PATH_MAX];
    if (!watched(fd, &found)) return 0;
    pthread_mutex_lock(&lock);
    int fails = to_fail != 0;
    if (fails) {
        failed++;
        if (to_fail > 0) to_fail--;
    }
    int kept = -1, source = -1;
    if (!fails && S_ISDIR(found.st_mode)) keep_names(fd);
    if (!fails && S_ISREG(found.st_mode)) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        source = open(path, O_RDONLY);
        snprintf(path, sizeof path, "%s/data/%llu", getenv("FORGETFUL_KEPT"), (unsigned long long)found.st_ino);
        kept = open(path, O_RDWR | O_CREAT, 0600);
    }
    for (struct range **place = &dirty; *place != NULL;) {
        struct range *range = *place;
        if (range->file != found.st_ino) {
            place = &range->next;
            continue;
        }
        if (kept >= 0) keep_range(source, kept, range->from, range->to);
        *place = range->next;
        free(range);
    }
    if (kept >= 0 && ftruncate(kept, found.st_size) != 0) abort();
    if (kept >= 0) close(kept);
    if (source >= 0) close(source);
    pthread_mutex_unlock(&lock);
    if (fails) errno = EIO;
    return fails ? -1 : 0;
}

int fsync(int fd) {
    return sync_watched(fd);
}

int fdatasync(int fd) {
    return sync_watched(fd);
}

static ssize_t written(int fd, off_t from, ssize_t count) {
    pthread_mutex_lock(&lock);
    touch(fd, from, count);
    pthread_mutex_unlock(&lock);
    return count;
}

ssize_t write(int fd, const void *data, size_t count) {
    ssize_t done = REAL(write)(fd, data, count);
    return done <= 0 ? done : written(fd, lseek(fd, 0, SEEK_CUR) - done, done);
}

ssize_t pwrite(int fd, const void *data, size_t count, off_t from) {
    return written(fd, from, REAL(pwrite)(fd, data, count, from));
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t from) {
    return written(fd, from, REAL(pwrite64)(fd, data, count, from));
}
