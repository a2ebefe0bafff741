// redis_server.h - a redis-server of the test's own: on a unix socket, in a directory that goes
// with it, without persistence unless asked for.
//
// What cannot work here (no redis-server installed, it does not start) ends the test program
// with the server's log on stderr: there is nothing to test then.
#ifndef TESTS_REDIS_SERVER_H
#define TESTS_REDIS_SERVER_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <sys/types.h>

struct redis_server;

// `extra`: more arguments, as {"--appendonly", "yes", NULL}; later ones win; NULL: none. The
// first one may be the path of a file of settings. They are borrowed until redis_server_stop().
// Returns when the server answers and has loaded its data.
struct redis_server *redis_server_start(const char *const extra[]);
void redis_server_stop(struct redis_server *s); // kills it and deletes its directory; NULL: ok

const char *redis_server_url(const struct redis_server *s);    // unix:///…/redis.sock
const char *redis_server_socket(const struct redis_server *s); // the socket's path
const char *redis_server_dir(const struct redis_server *s);
pid_t redis_server_pid(const struct redis_server *s); // 0 while there is none

void redis_server_kill(struct redis_server *s); // SIGKILL, and waits until it is gone
void redis_server_quit(struct redis_server *s); // SIGTERM: it saves as configured
// Starts it once more, in the same directory; the beginning of a transaction that it was killed
// in is taken out of its append-only file first.
void redis_server_again(struct redis_server *s);
// Of one that is not running: its append-only file loses so many bytes at the end.
void redis_server_cut(const struct redis_server *s, long bytes);
void redis_server_pause(struct redis_server *s);  // SIGSTOP
void redis_server_resume(struct redis_server *s); // SIGCONT

// The two halves of start and again, for tests of what happens in between.
struct redis_server *redis_server_new(const char *const extra[]); // not running yet
void redis_server_spawn(struct redis_server *s);
void redis_server_wait(struct redis_server *s);

// One command on a connection of its own, for looking and meddling from outside. The caller
// frees the answer.
redisReply *redis_server_ask(const struct redis_server *s, const char *fmt, ...);
// The same where nothing but success will do.
void redis_server_do(const struct redis_server *s, const char *fmt, ...);
long long redis_server_number(const struct redis_server *s, const char *fmt, ...);

unsigned redis_server_free_port(void); // a TCP port on 127.0.0.1 that was free a moment ago
#endif
