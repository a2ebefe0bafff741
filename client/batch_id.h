// batch_id.h - the name of a batch that was given none: the UTC time and four random hex
// digits.
#ifndef CLIENT_BATCH_ID_H
#define CLIENT_BATCH_ID_H

#define BATCH_ID_SIZE 21 // "20260125-143022-9f3c" and NUL

void batch_id_fresh(char out[static BATCH_ID_SIZE]);
#endif
