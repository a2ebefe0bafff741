// members.c - see members.h.
#include "broker/members.h"

#include <string.h>

#include "common/json.h"

static bool is_one_of(const char *name, const char *const *known)
{
    for (; *known; known++)
        if (strcmp(name, *known) == 0)
            return true;
    return false;
}

const char *members_other(struct json_object *o, const char *const *known)
{
    json_object_object_foreach(o, name, value)
    {
        (void)value;
        if (!is_one_of(name, known))
            return name;
    }
    return NULL;
}

bool members_get(struct json_object *o, const char *name, enum json_type type,
                 struct json_object **out)
{
    *out = NULL;
    return !json_object_object_get_ex(o, name, NULL) || json_get(o, name, type, out);
}

bool members_list(struct json_object *o, const char *name, size_t most, struct span *out,
                  size_t *n)
{
    struct json_object *list;
    *n = 0;
    if (!members_get(o, name, json_type_array, &list))
        return false;
    size_t length = list ? json_object_array_length(list) : 0;
    if (length > most)
        return false;
    for (; *n < length; (*n)++) {
        struct json_object *s = json_object_array_get_idx(list, *n);
        if (!json_object_is_type(s, json_type_string))
            return false;
        out[*n] = members_text(s);
    }
    return true;
}

bool members_number(struct json_object *o, const char *name, double max, double *out)
{
    struct json_object *v;
    if (!json_object_object_get_ex(o, name, &v))
        return false;
    if (!json_object_is_type(v, json_type_int) && !json_object_is_type(v, json_type_double))
        return false;
    *out = json_object_get_double(v);
    return *out >= 0 && *out <= max;
}

struct span members_text(struct json_object *string)
{
    return (struct span){json_object_get_string(string),
                         (size_t)json_object_get_string_len(string)};
}
