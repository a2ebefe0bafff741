// redis_url.c - where a server is, as people write it.
#include <stdlib.h>
#include <string.h>

#include "common/redis.h"
#include "common/text.h"

#define DEFAULT_PORT 6379

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// A copy of `s` with %XX decoded; NULL when that is malformed, contains NUL, or memory is out.
static char *decoded(struct span s)
{
    char *out = calloc(1, s.len + 1), *to = out;
    for (size_t i = 0; out && i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '%') {
            int high = i + 2 < s.len ? hex(s.ptr[i + 1]) : -1;
            int low = i + 2 < s.len ? hex(s.ptr[i + 2]) : -1;
            c = (char)(high < 0 || low < 0 ? 0 : high << 4 | low);
            i += 2;
        }
        if (c == '\0') {
            free(out);
            return NULL;
        }
        *to++ = c;
    }
    return out;
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
             "Redis URL: %s; write redis://[user[:password]@]host[:port][/db], rediss://… or "
             "unix:///path[?db=N]",
             what);
    return ERR_FORMAT;
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
    u->password = decoded(password);
    u->user = name.len ? decoded(name) : NULL;
    if (!u->password || (name.len && !u->user))
        return wrong(why, "a %XX that is malformed");
    return OK;
}

static enum err read_db(struct span s, struct redis_url *u, struct buf *why)
{
    uint64_t db = 0;
    if (s.len && text_uint(s, 0, 65535, &db) != OK)
        return wrong(why, "the database is not a number");
    u->db = (unsigned)db;
    return OK;
}

static enum err read_host(struct span s, struct redis_url *u, struct buf *why)
{
    uint64_t port = DEFAULT_PORT;
    bool found = false;
    struct span host = s;
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
    u->port = (uint16_t)port;
    u->host = host.len ? decoded(host) : strdup("127.0.0.1");
    return u->host ? OK : wrong(why, "a %XX that is malformed");
}

static enum err read_tcp(struct span rest, struct redis_url *u, struct buf *why)
{
    bool slash;
    struct span address = cut(&rest, '/', &slash);
    enum err e = OK;
    if (!slash)
        address = rest;
    else
        e = read_db(rest, u, why);
    if (e == OK)
        e = read_user(&address, u, why);
    return e ? e : read_host(address, u, why);
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
    u->host = decoded(path);
    if (!u->host || path.len == 0 || path.ptr[0] != '/')
        return wrong(why, "the socket's path must begin with /");
    if (strlen(u->host) > 107)
        return wrong(why, "the socket's path is longer than 107 bytes");
    return OK;
}

enum err redis_url_parse(struct span text, struct redis_url *out, struct buf *why)
{
    static const struct {
        const char *prefix;
        enum redis_scheme scheme;
    } schemes[] = {{"redis://", REDIS_TCP}, {"rediss://", REDIS_TLS}, {"unix://", REDIS_UNIX}};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t n = strlen(schemes[i].prefix);
        if (text.len < n || memcmp(text.ptr, schemes[i].prefix, n) != 0)
            continue;
        struct redis_url u = {.scheme = schemes[i].scheme};
        struct span rest = {text.ptr + n, text.len - n};
        enum err e =
            u.scheme == REDIS_UNIX ? read_unix(rest, &u, why) : read_tcp(rest, &u, why);
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
    free(u->host);
    free(u->user);
    free(u->password);
    *u = (struct redis_url){0};
}

void redis_url_show(struct buf *out, const struct redis_url *u)
{
    static const char *const names[] = {"redis", "rediss", "unix"};
    buf_addf(out, "%s://", names[u->scheme]);
    if (u->user)
        buf_addf(out, "%s@", u->user);
    if (u->scheme == REDIS_UNIX)
        buf_addf(out, "%s", u->host);
    else
        buf_addf(out, strchr(u->host, ':') ? "[%s]:%u" : "%s:%u", u->host, u->port);
    if (u->db)
        buf_addf(out, u->scheme == REDIS_UNIX ? "?db=%u" : "/%u", u->db);
}
