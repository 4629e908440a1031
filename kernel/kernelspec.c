#include "kernel/kernelspec.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The logos and the package for papermill are files of the source tree, taken into the program as they are. */
__asm__(".pushsection .rodata\n"
        "kernelspec_svg_start: .incbin \"kernelspec/logo-svg.svg\"\n"
        "kernelspec_svg_end:\n"
        "kernelspec_png_start: .incbin \"kernelspec/logo-64x64.png\"\n"
        "kernelspec_png_end:\n"
        "kernelspec_project_start: .incbin \"kernelspec/papermill/pyproject.toml\"\n"
        "kernelspec_project_end:\n"
        "kernelspec_package_start: .incbin \"kernelspec/papermill/lacus_papermill.py\"\n"
        "kernelspec_package_end:\n"
        ".popsection\n");
extern const char svg_start[] __asm__("kernelspec_svg_start");
extern const char svg_end[] __asm__("kernelspec_svg_end");
extern const char png_start[] __asm__("kernelspec_png_start");
extern const char png_end[] __asm__("kernelspec_png_end");
extern const char project_start[] __asm__("kernelspec_project_start");
extern const char project_end[] __asm__("kernelspec_project_end");
extern const char package_start[] __asm__("kernelspec_package_start");
extern const char package_end[] __asm__("kernelspec_package_end");

static bool kernelspec_json(const char *executable, struct buf *out)
{
    buf_puts(out, "{\n \"argv\": [");
    buf_json(out, executable, strlen(executable));
    return buf_puts(out, ", \"kernel\", \"-f\", \"{connection_file}\"],\n"
                         " \"display_name\": \"lacus (Lua 5.4)\",\n"
                         " \"language\": \"lua\",\n"
                         " \"interrupt_mode\": \"message\",\n"
                         " \"metadata\": {\"debugger\": true, \"supported_encryption\": [\"curve\"]}\n}\n");
}

static enum lc below(const char *a, const char *b, const char *c, char **out, struct err *err)
{
    *out = mem_printf("%s%s%s/kernels/lacus", a, b, c);
    return *out ? LC_OK : err_nomem(err);
}

static const char *set(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static enum lc user_folder(char **out, struct err *err)
{
    if (set("JUPYTER_DATA_DIR"))
        return below(set("JUPYTER_DATA_DIR"), "", "", out, err);
    if (set("XDG_DATA_HOME"))
        return below(set("XDG_DATA_HOME"), "/jupyter", "", out, err);
    if (set("HOME"))
        return below(set("HOME"), "/.local/share/jupyter", "", out, err);
    err_set(err, LC_ARG, "cannot tell the user's Jupyter folder: HOME is not set");
    return err_hint(err, "use --prefix DIR");
}

static enum lc environment_folder(char **out, struct err *err)
{
    const char *prefix = set("VIRTUAL_ENV") ? set("VIRTUAL_ENV") : set("CONDA_PREFIX");

    if (prefix)
        return below(prefix, "/share/jupyter", "", out, err);
    err_set(err, LC_ARG, "cannot tell the environment: neither VIRTUAL_ENV nor CONDA_PREFIX is set");
    return err_hint(
        err, "activate it, or use --prefix with the output of: python -c 'import sys; print(sys.prefix)'");
}

enum lc kernelspec_folder(enum kernelspec_place place, const char *prefix, char **out, struct err *err)
{
    if (place == KERNELSPEC_USER)
        return user_folder(out, err);
    if (place == KERNELSPEC_SYS_PREFIX)
        return environment_folder(out, err);
    return below(prefix, "/share/jupyter", "", out, err);
}

static enum lc write_one(const char *folder, const char *name, const void *data, size_t len, struct err *err)
{
    char *path = fs_join(folder, name);
    enum lc rc = path ? fs_write(path, data, len, err) : err_nomem(err);

    mem_free(path);
    return rc;
}

/* For `pip install FOLDER/papermill`. */
static enum lc write_package(const char *folder, struct err *err)
{
    char *below = fs_join(folder, "papermill");
    enum lc rc = below ? fs_mkdirs(below, err) : err_nomem(err);

    if (rc == LC_OK)
        rc = write_one(below, "pyproject.toml", project_start, (size_t)(project_end - project_start), err);
    if (rc == LC_OK)
        rc =
            write_one(below, "lacus_papermill.py", package_start, (size_t)(package_end - package_start), err);
    mem_free(below);
    return rc;
}

enum lc kernelspec_install(const char *folder, struct err *err)
{
    struct buf json = BUF_INIT(2 * PATH_MAX);
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    enum lc rc;

    if (n < 0)
        return err_errno(err, errno, "cannot tell where this program is");
    exe[n] = '\0';
    kernelspec_json(exe, &json);
    rc = buf_check(&json, err);
    if (rc == LC_OK)
        rc = fs_mkdirs(folder, err);
    if (rc == LC_OK)
        rc = write_one(folder, "logo-svg.svg", svg_start, (size_t)(svg_end - svg_start), err);
    if (rc == LC_OK)
        rc = write_one(folder, "logo-64x64.png", png_start, (size_t)(png_end - png_start), err);
    if (rc == LC_OK)
        rc = write_package(folder, err);
    if (rc == LC_OK) /* last: a folder without it is no kernelspec */
        rc = write_one(folder, "kernel.json", buf_str(&json), json.len, err);
    buf_release(&json);
    return rc;
}

enum lc kernelspec_uninstall(const char *folder, struct err *err)
{
    char *json = fs_join(folder, "kernel.json");
    bool there = json && fs_exists(json);

    mem_free(json);
    if (!there) {
        err_set(err, LC_NOTFOUND, "no kernelspec in '%s'", folder);
        return err_hint(err, "name the place where it was installed: --user, --prefix DIR or --sys-prefix");
    }
    return fs_remove_tree(folder, err);
}
