#include "repl/editor.h"
#include "runtime/base/plugin.h"

const struct editor_vtable *editor_load(struct err *err)
{
    const struct editor_vtable *editor = plugin_symbol("editor", "lacus_editor", err);

    if (!editor || editor->version == EDITOR_VERSION)
        return editor;
    err_set(err, LC_MISSING, "the plugin 'editor' is of another version of lacus");
    err_hint(err, "run 'make' in lacus's folder");
    return NULL;
}
