// letter_words.c - see letter_words.h.
#include "client/letter_words.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/fields.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"

static const char *message_of(const struct dead_letter *l)
{
    return l->readable ? "" : "this is no dead letter: somebody else wrote it";
}

// What was pushed, as JSON where it can be, else in base64.
static void put_pushed(struct json_object *o, struct span pushed)
{
    struct json_object *input;
    if (fields_unpack(pushed, &input) == OK) {
        json_put(o, "input", input);
        return;
    }
    unsigned char *text = malloc(4 * (pushed.len / 3 + 1) + 1);
    if (!text)
        return;
    int n = EVP_EncodeBlock(text, (const unsigned char *)pushed.ptr, (int)pushed.len);
    json_put_str(o, "input_base64", (struct span){(char *)text, (size_t)n});
    free(text);
}

struct json_object *letter_json(const struct letter *letter)
{
    const struct dead_letter *l = &letter->said;
    char time[CLOCK_RFC3339_SIZE];
    struct json_object *o = json_object_new_object();
    json_put_str(o, "letter", (struct span){l->sha.ptr, LETTER_SHORT});
    if (l->ts_ms > 0) {
        clock_rfc3339(l->ts_ms, time);
        json_put_cstr(o, "ts", time);
    }
    json_put_cstr(o, "code", code_name(l->code));
    json_put_str(o, "message", l->readable ? l->message : span_of(message_of(l)));
    json_put_cstr(o, "state", letter_fate_name(letter->fate));
    if (l->batch.len)
        json_put_str(o, "batch", l->batch);
    if (l->index >= 0) {
        json_put_str(o, "id", l->id);
        json_put_int(o, "index", l->index);
    } else {
        json_put_int(o, "input_bytes", (int64_t)l->size);
        put_pushed(o, l->pushed);
    }
    return o;
}

void letter_print(const struct letter *letter)
{
    const struct dead_letter *l = &letter->said;
    char time[CLOCK_RFC3339_SIZE] = "-";
    struct buf what = {.max = 4096}, why = {.max = 4096};
    if (l->ts_ms > 0)
        clock_rfc3339(l->ts_ms, time);
    buf_add(&what, l->batch.len ? l->batch : SPAN("-"));
    if (l->index >= 0) {
        buf_add_byte(&what, '/');
        text_show(&what, l->id, 80);
    }
    buf_add_str(&why, message_of(l));
    text_show(&why, l->message, 200);
    printf("%.*s  %-24s %-12s %-28s %s", LETTER_SHORT, l->sha.ptr, time,
           l->index >= 0 ? code_name(l->code) : "malformed", buf_str(&what), buf_str(&why));
    if (letter->fate != LETTER_PUSHED && letter->fate != LETTER_FAILED)
        printf(" (%s)",
               letter->fate == LETTER_GONE ? "its batch has expired" : "retried since");
    putchar('\n');
    buf_free(&what);
    buf_free(&why);
}
