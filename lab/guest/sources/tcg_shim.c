// SPDX-License-Identifier: Apache-2.0
// Preloaded into QEMU where there is no KVM; with KVM it is not needed.
//
// migration/colo.c saves the memory without the big lock. Under TCG the dirty-log listener (softmmu/physmem.c:
// tcg_log_global_after_sync) then calls run_on_cpu(), which waits on a condition with that lock as its mutex: it gives away a
// lock that another thread holds and comes back owning it, and after a few checkpoints the primary waits for itself for ever.
//
// So a wait by who does not own the mutex takes it, waits for a millisecond at most, and gives it back. QEMU's callers look
// at their condition in a loop and do not mind.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_NS = 1000000, SECOND_NS = 1000000000, KIND = 3 };

static __thread int thread_id;
static int (*real_wait)(pthread_cond_t *, pthread_mutex_t *);

int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    if (!real_wait)
        real_wait = dlvsym(RTLD_NEXT, "pthread_cond_wait", "GLIBC_2.3.2");
    if (!thread_id)
        thread_id = syscall(SYS_gettid);
    // a plain mutex, QEMU's kind, records its owner
    if (mutex->__data.__owner == thread_id || (mutex->__data.__kind & KIND) != PTHREAD_MUTEX_TIMED_NP)
        return real_wait(condition, mutex);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += PATIENCE_NS;
    if (until.tv_nsec >= SECOND_NS) {
        until.tv_nsec -= SECOND_NS;
        until.tv_sec++;
    }
    pthread_mutex_lock(mutex);
    pthread_cond_timedwait(condition, mutex, &until);
    pthread_mutex_unlock(mutex);
    return 0;
}
