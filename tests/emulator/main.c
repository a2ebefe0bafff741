// main.c - gemini-emulator: a local stand-in for the Gemini REST API's image models.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/opt.h"
#include "common/text.h"
#include "emulator/batches.h"
#include "emulator/server.h"

#define EXIT_USAGE 2

struct given { // as on the command line
    const char *listen, *size, *format, *image;
    struct opt_strs keys, quotas, faults, batch_faults;
    uint64_t threads;
    bool help, version;
    struct settings settings;
};

static void table_of(struct given *g, struct opt *out, size_t n)
{
    struct settings *s = &g->settings;
    const struct opt table[] = {
        {.type = OPT_GROUP, .help = "Where it is"},
        {"listen", 0, OPT_STR, &g->listen, "HOST:PORT", "127.0.0.1:0", NULL,
         "address to listen on; port 0 is any that is free", 0, 0},
        {"port-file", 0, OPT_STR, &s->port_file, "FILE", NULL, NULL,
         "written, whole, with the port once it listens", 0, 0},
        {"key", 0, OPT_STRS, &g->keys, "KEY[=PROJECT]", NULL, NULL,
         "a good key, and whose; without this any key is good, but none is not; may be given "
         "several times",
         0, 0},
        {"threads", 0, OPT_UINT, &g->threads, "N", "1", NULL, "that serve connections", 1, 64},
        {.type = OPT_GROUP, .help = "Answers"},
        {"latency", 0, OPT_SECONDS, &s->latency, "TIME", "50ms", NULL,
         "from a request to its answer", 0, 86400},
        {"jitter", 0, OPT_SECONDS, &s->jitter, "TIME", "0", NULL,
         "at most so much more, at random", 0, 86400},
        {"batch-latency", 0, OPT_SECONDS, &s->batch_latency, "TIME", "1s", NULL,
         "from the making of a batch to its end", 0, 86400},
        {"size", 0, OPT_STR, &g->size, "SIZE", "auto", NULL,
         "side of a square of as many pixels (256, 1K) whatever is asked for; auto: the real "
         "sizes",
         0, 0},
        {"bytes", 0, OPT_BYTES, &s->bytes, "N", "0", NULL,
         "pads every image file to so much, still valid; 0: as drawn", 0, 1u << 30},
        {"image", 0, OPT_STR, &g->image, "FILE", NULL, NULL,
         "every image is this file, as it stands; spoiled ones are drawn still", 0, 0},
        {"format", 0, OPT_STR, &g->format, "F", "png", NULL,
         "of the images: png, jpeg, or auto for what the model answers in", 0, 0},
        {"thought-signature", 0, OPT_BYTES, &s->signature, "N", "0", NULL,
         "characters of thoughtSignature beside every image of a Gemini 3 model", 0, 1u << 30},
        {.type = OPT_GROUP, .help = "Trouble"},
        {"quota", 0, OPT_STRS, &g->quotas, "[PROJECT=]N/TIME", NULL, NULL,
         "calls of each project and model in so long, as 100/1m or 2000/day; beyond it, 429; "
         "may be given several times",
         0, 0},
        {"fault", 0, OPT_STRS, &g->faults, "NAME=P", NULL, NULL,
         "so that P (0 to 1) of all calls go wrong; may be given several times", 0, 0},
        {"batch-fault", 0, OPT_STRS, &g->batch_faults, "NAME[*K]", NULL, NULL,
         "what befalls the next batch, or the next K, in the order given: good, lost_create, "
         "never_made, failed, expired, stuck, deaf, cut_result, lost_rows",
         0, 0},
        {"seed", 0, OPT_UINT, &s->faults.seed, "N", "1", NULL,
         "of faults and pictures; the same for each prompt and try, in whatever order", 0, 0},
        {.type = OPT_GROUP, .help = "Others"},
        {"log", 0, OPT_STR, &s->log, "FILE", NULL, NULL,
         "gets a line of JSON for every request, with its image's SHA-256", 0, 0},
        {"help", 'h', OPT_FLAG, &g->help, NULL, NULL, NULL, "this text", 0, 0},
        {"version", 0, OPT_FLAG, &g->version, NULL, NULL, NULL, "the version", 0, 0},
        {0},
    };
    _Static_assert(sizeof table / sizeof *table <= 32, "room in main()");
    memcpy(out, table, sizeof table <= n ? sizeof table : n);
}

static void help(const struct opt *table)
{
    printf(
        "Usage: gemini-emulator [OPTIONS]\n\n"
        "A local stand-in for the Gemini REST API: set GOOGLE_GEMINI_BASE_URL to the address "
        "it\nprints. Any prompt gives a drawn picture with its words in it.\n");
    opt_help(stdout, table);
    printf(
        "\nIn a prompt, [[fault:NAME]] asks for a fault always, [[fault:NAME*K]] the first K "
        "times,\n[[latency:2s]] for a latency. GET /emulator/stats tells what has been "
        "served. Faults:\n");
    fault_list(stdout);
}

static bool read_listen(struct given *g, char *host, size_t n)
{
    const char *colon = strrchr(g->listen, ':');
    uint64_t port;
    if (!colon || text_uint(span_of(colon + 1), 0, UINT16_MAX, &port) != OK)
        return false;
    size_t len = (size_t)(colon - g->listen);
    bool bracketed = len >= 2 && g->listen[0] == '[' && colon[-1] == ']';
    if (len - 2 * bracketed >= n)
        return false;
    snprintf(host, n, "%.*s", (int)(len - 2 * bracketed), g->listen + bracketed);
    g->settings.host = *host ? host : NULL;
    g->settings.port = (uint16_t)port;
    return true;
}

static bool read_size(struct given *g)
{
    struct span text = span_of(g->size);
    uint64_t n, times = 1;
    if (span_is(text, "auto"))
        return true;
    if (text.len && (text.ptr[text.len - 1] == 'K' || text.ptr[text.len - 1] == 'k')) {
        text.len--;
        times = 1024;
    }
    if (text_uint(text, 1, 4096, &n) != OK || n * times < 16 || n * times > 4096)
        return false;
    g->settings.side = (uint32_t)(n * times);
    return true;
}

static bool read_format(struct given *g)
{
    static const char *const names[] = {
        [FORMAT_PNG] = "png", [FORMAT_JPEG] = "jpeg", [FORMAT_AUTO] = "auto"};
    for (unsigned i = 0; i < 3; i++)
        if (strcmp(g->format, names[i]) == 0) {
            g->settings.format = (enum format)i;
            return true;
        }
    return false;
}

static enum err read_keys(struct given *g, struct buf *why)
{
    for (size_t i = 0; i < g->keys.n; i++)
        if (keys_add(&g->settings.keys, g->keys.at[i]) != OK) {
            buf_add_str(why, "--key: must be KEY or KEY=PROJECT, at most 32 of them");
            return ERR_FORMAT;
        }
    return OK;
}

static enum err read_quotas(struct given *g, struct buf *why)
{
    for (size_t i = 0; i < g->quotas.n; i++)
        if (quota_add(&g->settings.quota, g->quotas.at[i]) != OK) {
            buf_addf(why, "--quota: \"%s\" is not calls per time, like 100/1m",
                     g->quotas.at[i]);
            return ERR_FORMAT;
        }
    return OK;
}

// What the table cannot check by itself.
static enum err read_rest(struct given *g, char *host, size_t n, struct buf *why)
{
    struct settings *s = &g->settings;
    s->threads = (unsigned)g->threads;
    if (!read_listen(g, host, n))
        buf_addf(why, "--listen: \"%s\" is not HOST:PORT", g->listen);
    else if (!read_size(g))
        buf_addf(why, "--size: \"%s\" is not auto, 1K, 2K, 4K or a number from 16 to 4096",
                 g->size);
    else if (!read_format(g))
        buf_addf(why, "--format: \"%s\" is not png, jpeg or auto", g->format);
    else if (read_keys(g, why) != OK || read_quotas(g, why) != OK)
        return ERR_FORMAT;
    else if (batches_faults(&s->batch_faults, &g->batch_faults, why) != OK)
        return ERR_FORMAT;
    else if (!g->image || (s->stock = stock_new(g->image, why)))
        return fault_plan_read(&s->faults, &g->faults, why);
    return ERR_FORMAT;
}

static void wait_for_signal(const sigset_t *signals)
{
    int got;
    while (sigwait(signals, &got) != 0)
        ;
}

static int fail(const char *why, enum err e, int status)
{
    fprintf(stderr, "gemini-emulator: %s\n", why && *why ? why : err_text(e));
    return status;
}

static int serve(const struct settings *s, const sigset_t *signals)
{
    struct buf text = {.max = 64u << 10};
    struct server *server = NULL;
    char port[16];
    enum err e = server_start(s, &server, &text);
    if (!e) {
        snprintf(port, sizeof port, "%u\n", server_port(server));
        if (s->port_file && (e = file_write(s->port_file, span_of(port))))
            buf_addf(&text, "--port-file %s: %s", s->port_file, err_text(e));
    }
    if (e) {
        int status = fail(buf_str(&text), e, EXIT_FAILURE);
        server_free(server);
        buf_free(&text);
        return status;
    }
    const char *host = s->host ? s->host : "127.0.0.1";
    printf(strchr(host, ':') ? "http://[%s]:%u\n" : "http://%s:%u\n", host,
           server_port(server));
    fflush(stdout);
    wait_for_signal(signals);
    server_stop(server);
    server_stats(server, &text);
    fprintf(stderr, "%s\n", buf_str(&text));
    server_free(server);
    buf_free(&text);
    return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
    static struct given given; // too large for comfort on the stack
    struct opt table[32];
    struct opt_strs words = {.n = 0};
    struct buf why = {.max = 4000};
    sigset_t signals;
    char host[256];

    table_of(&given, table, sizeof table);
    enum err e = opt_read(table, argc, argv, &words, &why);
    if (!e && given.help) {
        help(table);
        return EXIT_SUCCESS;
    }
    if (!e && given.version) {
        puts("gemini-emulator " GENFARM_VERSION);
        return EXIT_SUCCESS;
    }
    if (!e && words.n) {
        buf_addf(&why, "nothing is expected beside options: %.60s", words.at[0]);
        e = ERR_FORMAT;
    }
    if (!e)
        e = read_rest(&given, host, sizeof host, &why);
    int status = e ? fail(buf_str(&why), e, EXIT_USAGE) : EXIT_SUCCESS;
    buf_free(&why);
    if (e)
        return status;
    if (!(given.settings.pad = pad_new(given.settings.bytes)))
        return fail(NULL, ERR_NOMEM, EXIT_FAILURE);

    // Blocked before any thread starts, so that only sigwait() gets them.
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    status = serve(&given.settings, &signals);
    pad_free(given.settings.pad);
    stock_free(given.settings.stock);
    return status;
}
