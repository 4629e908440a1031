#include "runtime/notebook/yaml.h"
#include "runtime/base/plugin.h"

enum lc yaml_read(const char *text, size_t len, const char *name, json_t **out, struct err *err)
{
    yaml_read_fn *read;
    /* what dlsym gives is no function pointer to ISO C */
    *(void **)&read = plugin_symbol("yaml", "lacus_yaml", err);

    return read ? read(text, len, name, out, err) : (err ? err->code : LC_MISSING);
}
