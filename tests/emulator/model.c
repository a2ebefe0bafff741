// model.c - see model.h.
#include "emulator/model.h"

static const struct model models[] = {
    {.name = "gemini-3.1-flash-image",
     .version = "3.1",
     .title = "Nano Banana 2",
     .about = "Gemini 3.1 Flash Image.",
     .jpeg = true,
     .thinks = true,
     .wide = true,
     .input = 131072,
     .output = 32768,
     .sizes = {{"1K", 2, 1120}, {"512", 1, 747}, {"2K", 4, 1680}, {"4K", 8, 2520}}},
    {.name = "gemini-3-pro-image",
     .version = "3.0",
     .title = "Nano Banana Pro",
     .about = "Gemini 3 Pro Image.",
     .jpeg = true,
     .thinks = true,
     .input = 65536,
     .output = 32768,
     .sizes = {{"1K", 2, 1120}, {"2K", 4, 1120}, {"4K", 8, 2000}}},
    {.name = "gemini-3.1-flash-lite-image",
     .version = "3.1",
     .title = "Nano Banana 2 Lite",
     .about = "Gemini 3.1 Flash Lite Image.",
     .jpeg = true,
     .wide = true,
     .input = 65536,
     .output = 32768,
     .sizes = {{"1K", 2, 1120}}},
    {.name = "gemini-2.5-flash-image",
     .version = "2.0",
     .title = "Nano Banana",
     .about = "Gemini 2.5 Flash Image.",
     .older = true,
     .input = 32768,
     .output = 32768,
     .sizes = {{"1K", 2, 1290}}},
};

// Pixels at 1K; 2K is twice that, 4K four times, 512 half.
static const struct shape {
    const char *ratio;
    uint16_t w, h, older_w, older_h; // older 0: unknown to 2.5
    bool wide;
} shapes[] = {
    {"", 1408, 768, 1024, 1024, false}, // as recorded; the documentation says 1:1
    {"1:1", 1024, 1024, 1024, 1024, false}, {"2:3", 848, 1264, 832, 1248, false},
    {"3:2", 1264, 848, 1248, 832, false},   {"3:4", 896, 1200, 864, 1184, false},
    {"4:3", 1200, 896, 1184, 864, false},   {"4:5", 928, 1152, 896, 1152, false},
    {"5:4", 1152, 928, 1152, 896, false},   {"9:16", 768, 1376, 768, 1344, false},
    {"16:9", 1376, 768, 1344, 768, false},  {"21:9", 1584, 672, 1536, 672, false},
    {"1:4", 512, 2048, 0, 0, true},         {"4:1", 2048, 512, 0, 0, true},
    {"1:8", 384, 3072, 0, 0, true},         {"8:1", 3072, 384, 0, 0, true},
};

const struct model *model_at(size_t i)
{
    return i < sizeof models / sizeof *models ? &models[i] : NULL;
}

const struct model *model_named(struct span name)
{
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (span_is(name, models[i].name))
            return &models[i];
    return NULL;
}

const struct model_size *model_size(const struct model *m, struct span name)
{
    if (name.len == 0)
        return &m->sizes[0];
    for (const struct model_size *s = m->sizes; s->name; s++)
        if (span_is(name, s->name))
            return s;
    return NULL;
}

bool model_pixels(const struct model *m, struct span ratio, const struct model_size *size,
                  uint32_t *w, uint32_t *h)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape *s = &shapes[i];
        if (!span_is(ratio, s->ratio) || (s->wide && !m->wide))
            continue;
        *w = (m->older ? s->older_w : s->w) * size->half_k / 2;
        *h = (m->older ? s->older_h : s->h) * size->half_k / 2;
        return true;
    }
    return false;
}
