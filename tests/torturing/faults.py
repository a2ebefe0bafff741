"""What goes wrong at the provider: which of the faults that the emulator knows, and how often."""

# Faults by what they lead to, and how many of a hundred calls each kind befalls.
FAULTS = {
    "again": (6, "500 502 503 503_demand 504 499 408 array_error"),
    "refused": (1, "400 400_image 404 413"),
    "content": (6, "safety prohibited recitation language blocklist spii other image_safety "
                   "image_prohibited image_recitation image_other no_image max_tokens malformed "
                   "unspecified unknown_finish text_only empty empty_parts empty_content "
                   "no_candidates empty_candidates block_safety block_prohibited "
                   "block_image_safety block_blocklist block_other"),
    "odd": (5, "two_images thought_image huge_text mid_stream jpeg webp"),
    "broken": (6, "cut_image corrupt_image bad_base64 bad_json html empty_body cut_header cut_body"),
    "slow": (1, "stall hang_body"),
    "cool": (0.6, "429 rate_minute 429_array 429_bare 429_spend 429_shared 429_capacity"),
    "block": (0.15, "429_zero 429_credits bad_key expired_key precondition country 401 402 "
                    "403 403_leaked 403_suspended 403_disabled"),
}
MOST = 60  # the emulator takes no more than 64

# Of remote batches, each in its turn. The last two do not end by themselves: all jobs then need a
# deadline.
REMOTE = ("lost_create", "never_made", "failed", "expired", "cut_result", "lost_rows")
ENDLESS = ("stuck", "deaf")


def of_calls(random):
    """NAME=P for the emulator."""
    kinds = [(share, name) for share, names in FAULTS.values() for name in names.split()]
    shares = {k: share / len(names.split()) for k, (share, names) in FAULTS.items()}
    named = [(k, n) for k, (_, names) in FAULTS.items() for n in names.split()]
    chosen = sorted(random.sample(named, min(MOST, len(kinds))))
    return ["%s=%.5f" % (name, shares[kind] / 100) for kind, name in chosen]


def of_remote(random, endless):
    """NAME[*K] for the emulator: half of the batches are good."""
    kinds = REMOTE + ENDLESS if endless else REMOTE
    return ["good" if random.random() < 0.5 else random.choice(kinds) for _ in range(MOST)]
