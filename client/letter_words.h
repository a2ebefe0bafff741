// letter_words.h - a dead letter as genfarm dead shows it.
#ifndef CLIENT_LETTER_WORDS_H
#define CLIENT_LETTER_WORDS_H

#include <json-c/json.h>

#include "client/letters.h"

#define LETTER_SHORT 12 // digits of a letter's SHA-1 that people see

// For programs: with all that was pushed. The caller owns it.
struct json_object *letter_json(const struct letter *letter);
void letter_print(const struct letter *letter); // a line on stdout
#endif
