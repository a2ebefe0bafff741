#include "unit/fault.h"

#include <errno.h>
#include <stdatomic.h>

static atomic_uint left;
static atomic_bool happened;

int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);

void fault_sync(unsigned n)
{
    atomic_store(&happened, false);
    atomic_store(&left, n);
}

bool fault_happened(void)
{
    return atomic_load(&happened);
}

static bool fails(void)
{
    if (atomic_load(&left) == 0 || atomic_fetch_sub(&left, 1) != 1)
        return false;
    atomic_store(&happened, true);
    errno = EIO;
    return true;
}

int __wrap_fsync(int fd)
{
    return fails() ? -1 : __real_fsync(fd);
}

int __wrap_fdatasync(int fd)
{
    return fails() ? -1 : __real_fdatasync(fd);
}
