// redis_url.c - where a server is, as people write it.
#include <stdlib.h>
#include <string.h>

#include "common/redis.h"
#include "common/text.h"

#define DEFAULT_PORT  6379
#define SENTINEL_PORT 26379
#define MAX_HOSTS     64

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// A copy of `s` with %XX decoded. ERR_FORMAT: malformed, or it contains NUL.
static enum err decode(struct span s, char **copy)
{
    char *out = calloc(1, s.len + 1), *to = out;
    if (!out)
        return ERR_NOMEM;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '%') {
            int high = i + 2 < s.len ? hex(s.ptr[i + 1]) : -1;
            int low = i + 2 < s.len ? hex(s.ptr[i + 2]) : -1;
            c = (char)(high < 0 || low < 0 ? 0 : high << 4 | low);
            i += 2;
        }
        if (c == '\0') {
            free(out);
            return ERR_FORMAT;
        }
        *to++ = c;
    }
    *copy = out;
    return OK;
}

// Cuts `s` at the first `c`: returns what stands before it, and leaves what follows. When there
// is none, *found is false and `s` stays.
static struct span cut(struct span *s, char c, bool *found)
{
    const char *at = s->len ? memchr(s->ptr, c, s->len) : NULL;
    struct span before = {0};
    *found = at != NULL;
    if (!at)
        return before;
    before = (struct span){s->ptr, (size_t)(at - s->ptr)};
    s->len -= before.len + 1;
    s->ptr = at + 1;
    return before;
}

static enum err wrong(struct buf *why, const char *what)
{
    buf_addf(why,
             "Redis URL: %s; write redis://[user[:password]@]host[:port][/db], rediss://…, "
             "unix:///path[?db=N], redis+sentinel://host[:port],…/name[/db] or "
             "redis+cluster://host[:port],…",
             what);
    return ERR_FORMAT;
}

static enum err undecoded(struct buf *why, enum err e)
{
    if (e != ERR_NOMEM)
        return wrong(why, "a %XX that is malformed");
    buf_add_str(why, err_text(e));
    return e;
}

static enum err read_user(struct span *rest, struct redis_url *u, struct buf *why)
{
    const char *at = rest->len ? memrchr(rest->ptr, '@', rest->len) : NULL;
    if (!at)
        return OK;
    struct span user = {rest->ptr, (size_t)(at - rest->ptr)};
    rest->len -= user.len + 1;
    rest->ptr = at + 1;
    bool has_password;
    struct span password = user;
    struct span name = cut(&password, ':', &has_password);
    if (!has_password)
        return wrong(why, "a user without a password");
    enum err e = decode(password, &u->password);
    if (e == OK && name.len)
        e = decode(name, &u->user);
    return e == OK ? OK : undecoded(why, e);
}

static enum err read_db(struct span s, struct redis_url *u, struct buf *why)
{
    uint64_t db = 0;
    if (s.len && text_uint(s, 0, 65535, &db) != OK)
        return wrong(why, "the database is not a number");
    u->db = (unsigned)db;
    return OK;
}

static enum err add_host(struct redis_url *u, struct span host, uint16_t port, struct buf *why)
{
    char *name = NULL;
    enum err e = decode(host, &name);
    struct redis_host *more =
        e == OK ? realloc(u->hosts, (u->n_hosts + 1) * sizeof *more) : NULL;
    if (!more) {
        free(name);
        return undecoded(why, e == OK ? ERR_NOMEM : e);
    }
    more[u->n_hosts++] = (struct redis_host){name, port};
    u->hosts = more;
    return OK;
}

static enum err read_host(struct span s, struct redis_url *u, struct buf *why)
{
    uint64_t port = u->kind == REDIS_SENTINEL ? SENTINEL_PORT : DEFAULT_PORT;
    bool found = false;
    struct span host;
    if (s.len && s.ptr[0] == '[') { // an IPv6 address
        s.ptr++, s.len--;
        host = cut(&s, ']', &found);
        if (!found)
            return wrong(why, "a [ without ]");
        if (s.len && s.ptr[0] != ':')
            return wrong(why, "something other than :port behind ]");
        found = s.len > 0;
        s = found ? (struct span){s.ptr + 1, s.len - 1} : s;
    } else {
        struct span before = cut(&s, ':', &found);
        host = found ? before : s;
    }
    if (found && text_uint(s, 1, 65535, &port) != OK)
        return wrong(why, "the port is not a number from 1 to 65535");
    if (host.len == 0 && u->kind != REDIS_SERVER)
        return wrong(why, "a host is missing");
    return add_host(u, host.len ? host : SPAN("127.0.0.1"), (uint16_t)port, why);
}

static enum err read_hosts(struct span list, struct redis_url *u, struct buf *why)
{
    bool more = u->kind != REDIS_SERVER;
    enum err e = OK;
    while (e == OK && more) {
        struct span first = cut(&list, ',', &more);
        if (more)
            e = read_host(first, u, why);
        if (e == OK && u->n_hosts == MAX_HOSTS)
            return wrong(why, "more than 64 hosts");
    }
    return e ? e : read_host(list, u, why);
}

// What follows the hosts, without its slash.
static enum err read_path(struct span path, struct redis_url *u, struct buf *why)
{
    bool slash;
    if (u->kind == REDIS_SENTINEL) {
        struct span name = cut(&path, '/', &slash);
        if (!slash)
            name = path, path.len = 0;
        if (name.len == 0)
            return wrong(why, "the primary's name is missing");
        enum err e = decode(name, &u->primary);
        if (e != OK)
            return undecoded(why, e);
    }
    enum err e = read_db(path, u, why);
    if (e == OK && u->kind == REDIS_CLUSTER && u->db != 0)
        return wrong(why, "a cluster has database 0 only");
    return e;
}

static enum err read_net(struct span rest, struct redis_url *u, struct buf *why)
{
    bool slash;
    struct span address = cut(&rest, '/', &slash);
    if (!slash) {
        address = rest;
        rest.len = 0;
    }
    enum err e = read_path(rest, u, why);
    if (e == OK)
        e = read_user(&address, u, why);
    return e ? e : read_hosts(address, u, why);
}

static enum err read_unix(struct span rest, struct redis_url *u, struct buf *why)
{
    bool query;
    struct span path = cut(&rest, '?', &query);
    enum err e = read_user(query ? &path : &rest, u, why);
    if (e != OK)
        return e;
    if (query) {
        if (rest.len < 3 || memcmp(rest.ptr, "db=", 3) != 0)
            return wrong(why, "only ?db=N may follow a socket's path");
        if ((e = read_db((struct span){rest.ptr + 3, rest.len - 3}, u, why)) != OK)
            return e;
    } else {
        path = rest;
    }
    if (path.len == 0 || path.ptr[0] != '/')
        return wrong(why, "the socket's path must begin with /");
    if ((e = add_host(u, path, 0, why)) != OK)
        return e;
    if (strlen(u->hosts[0].name) > 107)
        return wrong(why, "the socket's path is longer than 107 bytes");
    return OK;
}

static const struct {
    const char *prefix;
    enum redis_scheme scheme;
    enum redis_kind kind;
} schemes[] = {
    {"redis://", REDIS_TCP, REDIS_SERVER},
    {"rediss://", REDIS_TLS, REDIS_SERVER},
    {"unix://", REDIS_UNIX, REDIS_SERVER},
    {"redis+sentinel://", REDIS_TCP, REDIS_SENTINEL},
    {"rediss+sentinel://", REDIS_TLS, REDIS_SENTINEL},
    {"redis+cluster://", REDIS_TCP, REDIS_CLUSTER},
    {"rediss+cluster://", REDIS_TLS, REDIS_CLUSTER},
};
#define N_SCHEMES (sizeof schemes / sizeof *schemes)

enum err redis_url_parse(struct span text, struct redis_url *out, struct buf *why)
{
    for (size_t i = 0; i < N_SCHEMES; i++) {
        size_t n = strlen(schemes[i].prefix);
        if (text.len < n || memcmp(text.ptr, schemes[i].prefix, n) != 0)
            continue;
        struct redis_url u = {.scheme = schemes[i].scheme, .kind = schemes[i].kind};
        struct span rest = {text.ptr + n, text.len - n};
        enum err e =
            u.scheme == REDIS_UNIX ? read_unix(rest, &u, why) : read_net(rest, &u, why);
        if (e != OK)
            redis_url_free(&u);
        else
            *out = u;
        return e;
    }
    return wrong(why, "unknown scheme");
}

void redis_url_free(struct redis_url *u)
{
    if (u->password)
        explicit_bzero(u->password, strlen(u->password));
    for (size_t i = 0; i < u->n_hosts; i++)
        free(u->hosts[i].name);
    free(u->hosts);
    free(u->primary);
    free(u->user);
    free(u->password);
    *u = (struct redis_url){0};
}

static void show(struct buf *out, const struct redis_url *u, enum redis_kind kind, size_t n,
                 const struct redis_host *at)
{
    for (size_t i = 0; i < N_SCHEMES; i++)
        if (schemes[i].scheme == u->scheme && schemes[i].kind == kind)
            buf_add_str(out, schemes[i].prefix);
    if (u->user)
        buf_addf(out, "%s@", u->user);
    for (size_t i = 0; i < n; i++) {
        buf_add_str(out, i > 0 ? "," : "");
        if (u->scheme == REDIS_UNIX)
            buf_add_str(out, at[i].name);
        else
            buf_addf(out, strchr(at[i].name, ':') ? "[%s]:%u" : "%s:%u", at[i].name,
                     at[i].port);
    }
    if (kind == REDIS_SENTINEL)
        buf_addf(out, "/%s", u->primary);
    if (u->db)
        buf_addf(out, u->scheme == REDIS_UNIX ? "?db=%u" : "/%u", u->db);
}

void redis_url_show(struct buf *out, const struct redis_url *u)
{
    show(out, u, u->kind, u->n_hosts, u->hosts);
}

void redis_url_show_at(struct buf *out, const struct redis_url *u, const struct redis_host *at)
{
    show(out, u, REDIS_SERVER, 1, at);
}
