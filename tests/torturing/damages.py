"""What is done to a queue that fsck --repair puts right: indexes and counts, never a job."""
from specs import QUEUES

FIRST_RING = ("local k = redis.call('KEYS', ARGV[1]) "
              "if k[1] then redis.call('DEL', k[1]) end return 1")
MORE_READY = ("local f = redis.call('HKEYS', KEYS[1]) "
              "if f[1] then redis.call('HINCRBY', KEYS[1], f[1], 5) end return 1")

# By name, the command; {P} is the queue's prefix.
COMMANDS = {
    "ready": ("DEL", "{P}ready"),
    "live": ("LPOP", "{P}live"),
    "queued": ("INCRBY", "{P}queued", 7),
    "ring": ("EVAL", FIRST_RING, 1, "{P}cfg", "{P}ring:*"),
    "users": ("EVAL", FIRST_RING, 1, "{P}cfg", "{P}ur:*"),
    "more": ("EVAL", MORE_READY, 1, "{P}ready"),
}
# What fsck says of them.
WORDS = (" in ring ", "in its ring", "the ring names", "ready jobs of", "jobs that are not over:",
         "bytes of inputs")


def choose(random):
    return {"queue": random.choice(QUEUES), "what": random.choice(sorted(COMMANDS))}


def command(queue, what):
    prefix = "genfarm:{%s}:" % queue
    return [x.replace("{P}", prefix) if isinstance(x, str) else x for x in COMMANDS[what]]


def may_be_found(problem):
    return any(w in problem for w in WORDS)
