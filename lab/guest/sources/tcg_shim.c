// SPDX-License-Identifier: Apache-2.0
// Preloaded into QEMU for TCG; not needed with KVM.
//
// migration/colo.c saves the memory without the big lock. Under TCG the dirty-log listener
// (softmmu/physmem.c: tcg_log_global_after_sync) then calls run_on_cpu(), which waits on a condition with
// that lock as its mutex. It releases a lock that another thread holds, and owns it afterwards, so that the
// primary deadlocks after a few checkpoints.
//
// So a thread that waits without owning the mutex locks it, waits for a millisecond at most, and unlocks it.
// QEMU's callers check their condition in a loop, so spurious wakeups are harmless.
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
