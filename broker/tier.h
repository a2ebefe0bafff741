// tier.h - named tiers: limits by model, under a name, as a catalogue has them. A provider
// sells quotas in tiers and publishes few of their numbers: the others are the operator's:
//
//   {"name": "gemini-3-pro-image", "tiers": {"tier1": "rpm=50,rpd=2000", "tier2": "rpm=500"},
//   ...}
#ifndef BROKER_TIER_H
#define BROKER_TIER_H

#include "broker/catalogue.h"

// As limit_spec(), or a name alone, which becomes "@NAME" until the model is known.
MUST_USE enum err tier_spec(struct span text, struct buf *out, struct buf *why);
// What tier_spec() gave, for this model, as limit_spec() would. ERR_MISSING: the catalogue has
// no such tier of it.
MUST_USE enum err tier_resolve(const struct catalogue *c, struct span model, struct span spec,
                               struct buf *out);
// Whether the catalogue has the tier, of some model; a spec that names none is always known.
bool tier_known(const struct catalogue *c, struct span spec);
#endif
