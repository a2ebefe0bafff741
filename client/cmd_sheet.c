// cmd_sheet.c - genfarm sheet.
#include "client/cmd.h"
#include "client/sheet.h"

int cmd_sheet(struct cmd *c)
{
    struct sheet_options o = {.folder = c->words.at[0],
                              .out = c->output,
                              .columns = (uint32_t)c->columns,
                              .cell = (uint32_t)c->cell};
    struct sheet_result r;
    enum err e = sheet_make(&o, &r, &c->why);
    if (e != OK)
        return cmd_fail(c, e);
    if (c->output)
        printf("%s\n", c->output);
    else
        printf("%s/contact_sheet.png\n", c->words.at[0]);
    cmd_say(0, "%u of %u pictures, %u x %u pixels%s", r.cells - r.missing, r.total, r.width,
            r.height, r.missing ? "; grey cells have no picture" : "");
    if (r.broken > 0)
        cmd_say(0, "%u pictures are missing in images/, or their files are broken", r.broken);
    return EXIT_DONE;
}
