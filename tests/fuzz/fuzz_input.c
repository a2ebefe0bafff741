// Files of people: the first byte chooses the format, the others are the file. Every job that
// comes out must be one that a worker takes, with an id of its own.
#include <sys/mman.h>
#include <unistd.h>

#include "client/input.h"
#include "fuzz.h"

static int file_of(const uint8_t *data, size_t size)
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    return fd;
}

static void look(const struct inputs *in)
{
    for (size_t i = 0; i < inputs_count(in); i++) {
        struct input_entry entry = inputs_at(in, i);
        struct job job;
        FUZZ_CHECK(entry.id.len > 0 && entry.line > 0);
        FUZZ_CHECK(job_decode(&job, entry.map, NULL) == OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const formats[] = {"json", "jsonl", "csv", "tsv", "txt", "ndjson"};
    const struct job defaults = {.model = SPAN("m"), .sample = 1, .samples = 1};
    if (size == 0)
        return 0;
    char path[64];
    int fd = file_of(data + 1, size - 1);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct buf complaints = {.max = 1u << 20};
    struct inputs *in = inputs_new(&defaults, 1);
    FUZZ_CHECK(in);
    enum err e = inputs_read(in, path, formats[data[0] % 6], &complaints);
    FUZZ_CHECK(e == OK || complaints.len > 0);
    if (e == OK && inputs_finish(in, &complaints) == OK)
        look(in);
    inputs_free(in);
    buf_free(&complaints);
    close(fd);
    return 0;
}
