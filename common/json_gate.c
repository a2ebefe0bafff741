// json_gate.c - see json_gate.h. One state a byte, except inside strings: json_gate_string.c.
#include "common/json_gate_private.h"

static bool space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static enum err open_level(struct json_gate *g, bool object)
{
    if (g->depth == JSON_MAX_DEPTH)
        return ERR_FORMAT;
    g->object[++g->depth] = object;
    g->key[g->depth][0] = '\0';
    g->state = object ? OBJECT_FIRST : ARRAY_FIRST;
    return OK;
}

static enum err close_level(struct json_gate *g, bool object)
{
    if (g->depth == 0 || g->object[g->depth] != object)
        return ERR_FORMAT;
    g->depth--;
    gate_value_over(g);
    return OK;
}

static enum err begin_value(struct json_gate *g, char c)
{
    switch (c) {
    case '{': return open_level(g, true);
    case '[': return open_level(g, false);
    case 't': g->literal = "rue"; break;
    case 'f': g->literal = "alse"; break;
    case 'n': g->literal = "ull"; break;
    case '-': g->state = MINUS; return OK;
    case '0': g->state = ZERO; return OK;
    default:
        if (!gate_digit(c))
            return ERR_FORMAT;
        g->state = DIGITS;
        return OK;
    }
    g->state = LITERAL;
    return OK;
}

static enum err after(struct json_gate *g, char c)
{
    if (c == ']' || c == '}')
        return close_level(g, c == '}');
    if (c != ',')
        return ERR_FORMAT;
    g->state = g->object[g->depth] ? OBJECT_KEY : VALUE;
    return OK;
}

static enum err literal(struct json_gate *g, char c)
{
    if (c != *g->literal)
        return ERR_FORMAT;
    if (*++g->literal == '\0')
        gate_value_over(g);
    return OK;
}

static bool number_may_end(unsigned state)
{
    return state == ZERO || state == DIGITS || state == FRACTION || state == EXPONENT_DIGITS;
}

// One more byte of a number; false when it does not belong to it.
static bool number_goes_on(struct json_gate *g, char c)
{
    switch ((enum state)g->state) {
    case MINUS: g->state = c == '0' ? ZERO : DIGITS; return gate_digit(c);
    case DIGITS:
        if (gate_digit(c))
            return true;
        // fall through
    case ZERO: g->state = c == '.' ? POINT : EXPONENT; return c == '.' || (c | 32) == 'e';
    case POINT: g->state = FRACTION; return gate_digit(c);
    case FRACTION:
        if (gate_digit(c))
            return true;
        g->state = EXPONENT;
        return (c | 32) == 'e';
    case EXPONENT:
        g->state = gate_digit(c) ? EXPONENT_DIGITS : EXPONENT_SIGN;
        return gate_digit(c) || c == '+' || c == '-';
    case EXPONENT_SIGN:
    case EXPONENT_DIGITS: g->state = EXPONENT_DIGITS; return gate_digit(c);
    default: return false;
    }
}

static enum err structure(struct json_gate *g, char c)
{
    if (space(c))
        return OK;
    switch ((enum state)g->state) {
    case ARRAY_FIRST:
        if (c == ']')
            return close_level(g, false);
        return begin_value(g, c);
    case VALUE: return begin_value(g, c);
    case OBJECT_FIRST:
        if (c == '}')
            return close_level(g, true);
        return ERR_FORMAT;
    case COLON: g->state = VALUE; return c == ':' ? OK : ERR_FORMAT;
    case AFTER: return after(g, c);
    default: return ERR_FORMAT;
    }
}

// One byte outside of strings.
static enum err byte(struct json_gate *g, char c)
{
    enum err e;
    if (g->state >= MINUS && g->state < DONE) {
        unsigned before = g->state;
        if (number_goes_on(g, c))
            return gate_keep(g, &c, 1);
        if (!number_may_end(before))
            return ERR_FORMAT;
        gate_value_over(g);
    }
    bool key = g->state == OBJECT_FIRST || g->state == OBJECT_KEY;
    bool value = g->state == VALUE || g->state == ARRAY_FIRST;
    if (c == '"' && (key || value))
        return gate_begin_string(g, key);
    e = g->state == LITERAL ? literal(g, c) : structure(g, c);
    return e == OK ? gate_keep(g, &c, 1) : e;
}

enum err gate_feed(struct json_gate *g, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t used = 1;
        enum err e;
        switch ((enum state)g->state) {
        case STRING: e = gate_string_run(g, bytes + i, n - i, &used); break;
        case ESCAPE: e = gate_escape(g, bytes[i]); break;
        case HEX: e = gate_hex(g, bytes[i]); break;
        default: e = byte(g, bytes[i]);
        }
        if (e != OK)
            return e;
        i += used;
    }
    return OK;
}

bool gate_complete(const struct json_gate *g)
{
    return g->state == DONE || (g->depth == 0 && number_may_end(g->state));
}

void gate_reset(struct json_gate *g)
{
    g->state = VALUE;
    g->depth = g->diverted = 0;
    g->follow = 0;
    g->key[0][0] = '\0';
}
