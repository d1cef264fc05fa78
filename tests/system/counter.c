/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into keywheeld: allocators and locks count, then do what they always do. */
#include "counter.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* glibc's own names for what is replaced here. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *mem, size_t size);
void *__libc_memalign(size_t align, size_t size);

static struct counter_file *counts;
static char deed[16];
/* initial-exec: anything else would allocate at its first use. */
static __thread struct counter_thread *own __attribute__((tls_model("initial-exec")));

__attribute__((constructor)) static void map_counts(void)
{
    const char *name = getenv("KW_COUNT_FILE"), *wanted = getenv("KW_COUNT_SIN");
    int fd = name != NULL ? open(name, O_RDWR | O_CLOEXEC) : -1;
    void *mapped;

    if (wanted != NULL)
        strncpy(deed, wanted, sizeof deed - 1);
    if (fd < 0)
        return;
    mapped = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED)
        counts = mapped;
}

static struct counter_thread *mine(void)
{
    static struct counter_thread nobody;

    if (own == NULL && counts != NULL) {
        uint32_t place = __atomic_fetch_add(&counts->used, 1, __ATOMIC_RELAXED);

        own = place < COUNTER_THREADS ? &counts->threads[place] : &nobody;
    }
    return own != NULL ? own : &nobody;
}

static void count(uint64_t *figure)
{
    __atomic_store_n(figure, *figure + 1, __ATOMIC_RELAXED);
}

EXPORT void *malloc(size_t size)
{
    count(&mine()->allocations);
    return __libc_malloc(size);
}

EXPORT void *calloc(size_t nmemb, size_t size)
{
    count(&mine()->allocations);
    return __libc_calloc(nmemb, size);
}

EXPORT void *realloc(void *ptr, size_t size)
{
    count(&mine()->allocations);
    return __libc_realloc(ptr, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    count(&mine()->allocations);
    return __libc_memalign(alignment, size);
}

EXPORT int posix_memalign(void **memptr, size_t alignment, size_t size)
{
    count(&mine()->allocations);
    *memptr = __libc_memalign(alignment, size);
    return *memptr != NULL ? 0 : ENOMEM;
}

/* The function behind ours; looked up once. Arguments are named as in pthread.h. */
#define REAL(name, type, argument)                                                                 \
    static int (*real_##name)(type *);                                                             \
    EXPORT int name(type *argument)                                                                \
    {                                                                                              \
        if (real_##name == NULL)                                                                   \
            *(void **)&real_##name = dlsym(RTLD_NEXT, #name);                                      \
        count(&mine()->locks);                                                                     \
        return real_##name(argument);                                                              \
    }

REAL(pthread_mutex_lock, pthread_mutex_t, mutex)
REAL(pthread_mutex_trylock, pthread_mutex_t, mutex)
REAL(pthread_rwlock_rdlock, pthread_rwlock_t, rwlock)
REAL(pthread_rwlock_wrlock, pthread_rwlock_t, rwlock)

static void commit_sin(unsigned *max)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

    if (strcmp(deed, "allocate") == 0) {
        void *volatile mem = malloc(100);

        free(mem);
    } else if (strcmp(deed, "lock") == 0) {
        (void)pthread_mutex_lock(&mutex);
        (void)pthread_mutex_unlock(&mutex);
    } else if (strcmp(deed, "call") == 0) {
        (void)getppid();
    } else if (strcmp(deed, "single") == 0) {
        *max = 1;
    }
}

EXPORT int recvmmsg(int fd, struct mmsghdr *vmessages, unsigned vlen, int flags,
                    struct timespec *tmo)
{
    count(&mine()->receives);
    commit_sin(&vlen);
    return (int)syscall(SYS_recvmmsg, fd, vmessages, vlen, flags, tmo);
}
