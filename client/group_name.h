// group_name.h - the group that a person names for its limits: MODEL, MODEL/LANE, PROJECT/MODEL
// or PROJECT/MODEL/LANE, and its name in full.
#ifndef CLIENT_GROUP_NAME_H
#define CLIENT_GROUP_NAME_H

#include <stdbool.h>

#include "broker/catalogue.h"
#include "broker/job.h"
#include "common/buf.h"

// `group` becomes "project/model/lane", an alias the model's name. Only a name in full may have
// a model that the catalogue does not know. False: `why` gets a sentence.
bool group_name_read(const struct catalogue *catalogue, const char *word, struct buf *group,
                     struct buf *why);
void group_name_set(struct buf *group, struct span project, struct span model,
                    enum job_lane lane);
#endif
