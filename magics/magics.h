/* magics.h: the % and %% commands: one file each, one row each in lacus_magics.
 *
 * What      each magic_NAME is a run function of struct session_magic: line is the rest of the first line,
 *           body what follows it (%%) or NULL (%). It leaves its results on the Lua stack and returns their
 *           number.
 * Ownership texts are borrowed from the Lua stack.
 * Units     none.
 * Errors    raised.
 * Threads   session thread, inside the cell's coroutine.
 *
 * Example:
 *     struct session_options options = {.magics = lacus_magics};
 */
#ifndef LACUS_MAGICS_MAGICS_H
#define LACUS_MAGICS_MAGICS_H
#include "runtime/session/session_lua.h"

extern const struct session_magic lacus_magics[]; /* ends with a NULL name */

typedef int magic_run(lua_State *L, const char *line, const char *body);
magic_run magic_aimport, magic_autoreload, magic_bash, magic_bookmark, magic_killbgscripts, magic_capture,
    magic_cd, magic_config, magic_connect_info, magic_debug, magic_dhist, magic_edit, magic_env, magic_fs,
    magic_history, magic_html, magic_javascript, magic_latex, magic_load, magic_load_ext, magic_ls,
    magic_lsmagic, magic_luarocks, magic_markdown, magic_memit, magic_node, magic_perl, magic_pip, magic_prun,
    magic_pwd, magic_python, magic_quickref, magic_r, magic_recall, magic_reload_ext, magic_rerun,
    magic_reset, magic_restart, magic_ruby, magic_run_file, magic_save, magic_script, magic_sh, magic_sql,
    magic_store, magic_svg, magic_sx, magic_tb, magic_tensorboard, magic_time, magic_timeit, magic_unload_ext,
    magic_vegalite, magic_who, magic_who_ls, magic_whos, magic_writefile, magic_xmode;

/* What the last word may be: `words` of struct session_magic. */
int magic_config_words(lua_State *L);   /* names of settings, and behind = what one may be */
int magic_who_words(lua_State *L);      /* types of what is defined */
int magic_script_words(lua_State *L);   /* programs */
int magic_store_words(lua_State *L);    /* behind -r and -d: what is stored */
int magic_bookmark_words(lua_State *L); /* behind -b and -d: bookmarks */
int magic_sql_word(lua_State *L);       /* what a word of SQL is: `explain` of struct session_magic */
#endif
