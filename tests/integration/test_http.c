// test_http.c - HTTP calls against a server that cuts, stalls and refuses: how each ends, and
// that no POST goes out twice.
#include <arpa/inet.h>
#include <ev.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"
#include "wait.h"
#include "worker/http.h"

#define LARGE (2u << 20) // bytes; libcurl says "Expect: 100-continue" from 1 MB on

// What the server does with a POST that it has read whole.
enum act { ANSWER, CUT, CLOSE_AFTER, HALF, REFUSE, STALL };

struct server { // one connection after the other, on a thread
    int fd;
    char url[40];
    pthread_t thread;
    enum act acts[4];                                              // by the number of the POST
    atomic_uint connections, begun, posts, reused, expects, ended; // begun: POSTs, whole or not
    atomic_ulong body_bytes;
    atomic_bool stop;
};

// --- The server ------------------------------------------------------------------------------

static bool header_value(const char *line, const char *name, const char **value)
{
    size_t n = strlen(name);
    *value = line + n;
    return strncasecmp(line, name, n) == 0;
}

// Reads a POST to its end. False: the connection was closed before.
static bool read_post(struct server *s, FILE *f)
{
    char line[1024], part[4096];
    const char *value;
    unsigned long length = 0, got = 0;
    for (;;) {
        if (!fgets(line, sizeof line, f))
            return false;
        s->begun += header_value(line, "POST ", &value);
        if (header_value(line, "Content-Length:", &value))
            length = strtoul(value, NULL, 10);
        s->expects += header_value(line, "Expect:", &value);
        if (strcmp(line, "\r\n") == 0)
            break;
    }
    while (got < length) {
        size_t n = fread(part, 1, length - got < sizeof part ? length - got : sizeof part, f);
        if (n == 0)
            return false;
        got += n;
    }
    s->body_bytes += got;
    return true;
}

static void say(int fd, const char *text)
{
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
        perror("send"); // the test will miss the answer
}

// True: the connection goes on.
static bool act(int fd, FILE *f, enum act what)
{
    switch (what) {
    case ANSWER: say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"); return true;
    case CLOSE_AFTER: // without having said that it will
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
        return false;
    case HALF: say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nfine"); return false;
    case REFUSE:
        say(fd, "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nslow");
        return true;
    case STALL:
        fgetc(f); // until the other side gives up
        return false;
    case CUT: return false;
    }
    return false;
}

static void talk(struct server *s, int fd)
{
    FILE *f = fdopen(fd, "r");
    bool on = f != NULL;
    for (unsigned here = 0; on && read_post(s, f); here++) {
        s->reused += here > 0;
        unsigned number = s->posts++;
        on = act(fd, f, number < 4 ? s->acts[number] : ANSWER);
    }
    if (f)
        fclose(f);
    s->ended++;
}

static void *serve(void *arg)
{
    struct server *s = arg;
    int fd;
    while ((fd = accept(s->fd, NULL, NULL)) >= 0 && !s->stop) {
        s->connections++;
        talk(s, fd);
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

// A port of this host; nobody listens there until listen().
static int bound(char url[static 40])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, n) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    snprintf(url, 40, "http://127.0.0.1:%u/x", ntohs(at.sin_port));
    return fd;
}

static void server_start(struct server *s, const enum act acts[static 4])
{
    *s = (struct server){0};
    memcpy(s->acts, acts, sizeof s->acts);
    s->fd = bound(s->url);
    assert_int_equal(listen(s->fd, 8), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
    s->stop = true;
    shutdown(s->fd, SHUT_RDWR); // wakes accept()
    pthread_join(s->thread, NULL);
    close(s->fd);
}

// --- Calls -----------------------------------------------------------------------------------

struct call {
    struct ev_loop *loop;
    struct http *http;
    struct http_call *call;
    bool done;
    unsigned times;
    struct http_end end; // `why` points nowhere any more
    bool has_why;
    enum err refuse;   // what on_data() returns
    bool limited;      // bytes may leave...
    unsigned may_send; // ...so many times more
    long status;
    char body[64];
    size_t n;
};

static enum err on_data(void *ctx, long status, const char *bytes, size_t n)
{
    struct call *c = ctx;
    c->status = status;
    for (size_t i = 0; i < n && c->n < sizeof c->body; i++)
        c->body[c->n++] = bytes[i];
    return c->refuse;
}

static bool may_send(void *ctx)
{
    struct call *c = ctx;
    return !c->limited || c->may_send-- > 0;
}

static void on_done(void *ctx, const struct http_end *end)
{
    struct call *c = ctx;
    c->end = *end;
    c->has_why = end->why && end->why[0];
    c->end.why = NULL;
    c->times++;
    c->done = true;
}

static struct call client(void)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct http_options o = {.connect = 5, .idle = 8, .connections = 4};
    struct call c = {.loop = loop, .http = http_new(loop, &o)};
    assert_non_null(c.http);
    return c;
}

static void client_free(struct call *c)
{
    http_free(c->http);
    ev_loop_destroy(c->loop);
}

static void begin(struct call *c, const char *url, struct span body, double timeout)
{
    static const char *const headers[] = {"Content-Type: application/json", "Expect:", NULL};
    struct http_request r = {.url = url, .headers = headers, .body = body, .timeout = timeout};
    struct http_hooks hooks = {.data = on_data, .done = on_done, .may_send = may_send};
    c->done = false;
    c->times = 0;
    c->n = 0;
    assert_int_equal(http_post(c->http, &r, &hooks, c, &c->call), OK);
    assert_false(c->done); // never from inside
}

static void post(struct call *c, const char *url, double timeout)
{
    begin(c, url, SPAN("{\"prompt\":\"a\"}"), timeout);
    wait_for(c->loop, &c->done, "the end of a call");
    assert_int_equal(c->times, 1);
    assert_true(c->has_why);
}

static void assert_fine(const struct call *c)
{
    assert_int_equal(c->end.err, OK);
    assert_int_equal(c->end.status, 200);
    assert_int_equal(c->status, 200);
    assert_true(c->end.sent);
    assert_int_equal(c->n, 4);
    assert_memory_equal(c->body, "fine", 4);
}

// --- Tests -----------------------------------------------------------------------------------

static void a_connection_is_used_again(void **state)
{
    (void)state;
    struct server s;
    struct call c = client();
    server_start(&s, (enum act[4]){ANSWER, ANSWER, ANSWER, ANSWER});
    for (unsigned i = 0; i < 3; i++) {
        post(&c, s.url, 5);
        assert_fine(&c);
    }
    assert_int_equal(s.connections, 1);
    assert_int_equal(s.posts, 3);
    client_free(&c);
    server_stop(&s);
}

// The case that libcurl repeats by itself: the server has read the POST, and may have worked.
static void a_cut_connection_does_not_send_twice(void **state)
{
    (void)state;
    struct server s;
    struct call c = client();
    server_start(&s, (enum act[4]){ANSWER, CUT, ANSWER, ANSWER});
    post(&c, s.url, 5);
    assert_fine(&c);
    post(&c, s.url, 5);
    assert_int_equal(c.end.err, ERR_NET);
    assert_true(c.end.sent);
    assert_int_equal(c.end.status, 0);
    assert_int_equal(s.reused, 1); // else nothing was tested
    post(&c, s.url, 5);            // goes on with a new connection
    assert_fine(&c);
    // As many as there were calls; of no other did even the first line arrive.
    assert_int_equal(s.posts, 3);
    assert_int_equal(s.begun, 3);
    client_free(&c);
    server_stop(&s);
}

static void nor_does_a_new_one(void **state)
{
    (void)state;
    struct server s;
    struct call c = client();
    server_start(&s, (enum act[4]){CUT, ANSWER, ANSWER, ANSWER});
    post(&c, s.url, 5);
    assert_int_equal(c.end.err, ERR_NET);
    assert_true(c.end.sent);
    assert_int_equal(s.posts, 1);
    assert_int_equal(s.begun, 1);
    client_free(&c);
    server_stop(&s);
}

static bool has_ended(void *ctx)
{
    struct server *s = ctx;
    return s->ended > 0;
}

// A connection that was closed while it was idle costs nothing: the POST never left on it.
static void an_idle_connection_that_was_closed_is_replaced(void **state)
{
    (void)state;
    struct server s;
    struct call c = client();
    server_start(&s, (enum act[4]){CLOSE_AFTER, ANSWER, ANSWER, ANSWER});
    post(&c, s.url, 5);
    assert_fine(&c);
    while (!has_ended(&s)) // closed by now, or in a moment
        sched_yield();
    post(&c, s.url, 5);
    assert_fine(&c);
    assert_int_equal(s.posts, 2);
    assert_int_equal(s.connections, 2);
    client_free(&c);
    server_stop(&s);
}

static void a_cut_answer_is_no_answer(void **state)
{
    (void)state;
    struct server s;
    struct call c = client();
    server_start(&s, (enum act[4]){HALF, ANSWER, ANSWER, ANSWER});
    post(&c, s.url, 5);
    assert_int_equal(c.end.err, ERR_NET);
    assert_int_equal(c.end.status, 200);
    assert_true(c.end.sent);
    assert_int_equal(s.posts, 1);
    client_free(&c);
    server_stop(&s);
}

static void what_is_refused_was_not_sent(void **state)
{
    (void)state;
    struct call c = client();
    char url[40];
    int fd = bound(url); // holds the port, so that nobody else listens there
    post(&c, url, 5);
    assert_int_equal(c.end.err, ERR_NET);
    assert_false(c.end.sent);
    assert_int_equal(c.end.status, 0);
    close(fd);
    client_free(&c);
}

static void a_stalled_server_is_a_timeout(void **state)
{
    (void)state;
    struct server s;
    struct call c = client();
    server_start(&s, (enum act[4]){STALL, ANSWER, ANSWER, ANSWER});
    post(&c, s.url, 0.3);
    assert_int_equal(c.end.err, ERR_TIMEOUT);
    assert_true(c.end.sent);
    assert_true(c.end.latency_ms >= 250 && c.end.latency_ms < 5000);
    post(&c, s.url, 5);
    assert_fine(&c);
    assert_int_equal(s.posts, 2);
    client_free(&c);
    server_stop(&s);
}

static void a_large_body_is_sent_at_once_and_whole(void **state)
{
    (void)state;
    struct server s;
    struct call c = client();
    char *large = malloc(LARGE);
    assert_non_null(large);
    memset(large, 'x', LARGE);
    server_start(&s, (enum act[4]){ANSWER, ANSWER, ANSWER, ANSWER});
    for (unsigned i = 1; i <= 2; i++) {
        begin(&c, s.url, (struct span){large, LARGE}, 8);
        wait_for(c.loop, &c.done, "the end of a large call");
        assert_fine(&c);
        assert_int_equal(s.body_bytes, i * LARGE);
    }
    assert_int_equal(s.expects, 0);
    client_free(&c);
    server_stop(&s);
    free(large);
}

static void a_status_is_told_with_its_delay(void **state)
{
    (void)state;
    struct server s;
    struct call c = client();
    server_start(&s, (enum act[4]){REFUSE, ANSWER, ANSWER, ANSWER});
    post(&c, s.url, 5);
    assert_int_equal(c.end.err, OK); // the answer is whole
    assert_int_equal(c.end.status, 429);
    assert_int_equal(c.status, 429);
    assert_float_equal(c.end.retry_after, 7, 0.001);
    assert_memory_equal(c.body, "slow", 4);
    client_free(&c);
    server_stop(&s);
}

static void what_the_reader_refuses_ends_the_call(void **state)
{
    (void)state;
    struct server s;
    struct call c = client();
    server_start(&s, (enum act[4]){ANSWER, ANSWER, ANSWER, ANSWER});
    c.refuse = ERR_FULL;
    post(&c, s.url, 5);
    assert_int_equal(c.end.err, ERR_FULL);
    assert_true(c.end.sent);
    c.refuse = OK;
    post(&c, s.url, 5);
    assert_fine(&c);
    client_free(&c);
    server_stop(&s);
}

// Asked on a fresh connection and on one that is used again: no byte of the request leaves.
static void what_may_not_be_sent_is_not(void **state)
{
    (void)state;
    struct server s;
    struct call c = client();
    server_start(&s, (enum act[4]){ANSWER, ANSWER, ANSWER, ANSWER});
    for (unsigned fine = 0; fine < 2; fine++) {
        c.limited = true;
        c.may_send = 0;
        post(&c, s.url, 5);
        assert_int_equal(c.end.err, ERR_LOST);
        assert_false(c.end.sent);
        assert_int_equal(c.end.status, 0);
        c.limited = false;
        post(&c, s.url, 5);
        assert_fine(&c);
        assert_int_equal(s.begun, fine + 1); // of the others did not even the first line arrive
    }
    client_free(&c);
    server_stop(&s);
}

// The request had begun: the rest of its body does not leave.
static void nor_is_the_rest_of_a_body(void **state)
{
    (void)state;
    struct server s;
    struct call c = client();
    char *large = malloc(LARGE);
    assert_non_null(large);
    memset(large, 'x', LARGE);
    server_start(&s, (enum act[4]){ANSWER, ANSWER, ANSWER, ANSWER});
    c.limited = true;
    c.may_send = 3; // the connection, and two parts of the body
    begin(&c, s.url, (struct span){large, LARGE}, 8);
    wait_for(c.loop, &c.done, "the end of a call that was stopped");
    assert_int_equal(c.end.err, ERR_LOST);
    assert_true(c.end.sent);
    while (!has_ended(&s))
        sched_yield();
    assert_int_equal(s.posts, 0); // none came whole
    client_free(&c);
    server_stop(&s);
    free(large);
}

static bool has_post(void *ctx)
{
    struct server *s = ctx;
    return s->posts > 0;
}

static void keep_turning(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)t, (void)revents;
}

static void a_cancelled_call_is_not_told(void **state)
{
    (void)state;
    struct server s;
    struct call c = client();
    ev_timer turn;
    server_start(&s, (enum act[4]){STALL, ANSWER, ANSWER, ANSWER});
    ev_timer_init(&turn, keep_turning, 0.01, 0.01); // the server is on a thread: look again
    ev_timer_start(c.loop, &turn);
    begin(&c, s.url, SPAN("{}"), 9);
    assert_false(http_sent(c.call));
    wait_until(c.loop, has_post, &s, "the POST at the server");
    assert_true(http_sent(c.call));
    http_cancel(c.call);
    wait_until(c.loop, has_ended, &s, "the cut connection at the server");
    assert_int_equal(c.times, 0);
    ev_timer_stop(c.loop, &turn);
    client_free(&c);
    server_stop(&s);
}

static void only_http_is_spoken(void **state)
{
    (void)state;
    static const char *const urls[] = {"ftp://127.0.0.1/x", "file:///etc/hostname", "http://"};
    struct call c = client();
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        post(&c, urls[i], 5);
        assert_int_equal(c.end.err, ERR_FORMAT);
        assert_false(c.end.sent);
        assert_int_equal(c.n, 0);
    }
    client_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_used_again),
        cmocka_unit_test(a_cut_connection_does_not_send_twice),
        cmocka_unit_test(nor_does_a_new_one),
        cmocka_unit_test(an_idle_connection_that_was_closed_is_replaced),
        cmocka_unit_test(a_cut_answer_is_no_answer),
        cmocka_unit_test(what_is_refused_was_not_sent),
        cmocka_unit_test(a_stalled_server_is_a_timeout),
        cmocka_unit_test(a_large_body_is_sent_at_once_and_whole),
        cmocka_unit_test(a_status_is_told_with_its_delay),
        cmocka_unit_test(what_the_reader_refuses_ends_the_call),
        cmocka_unit_test(what_may_not_be_sent_is_not),
        cmocka_unit_test(nor_is_the_rest_of_a_body),
        cmocka_unit_test(a_cancelled_call_is_not_told),
        cmocka_unit_test(only_http_is_spoken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
