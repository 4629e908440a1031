/* dataframe_int.h: the methods of a DataFrame, room by room, for the table of methods in dataframe_lua.c (private to
 * runtime/spark).
 *
 * What      relations_lua.c: what gives another DataFrame; actions_lua.c: what runs; missing_lua.c: NULLs; derived_lua.c and
 *           sample_lua.c: what is made of those.
 * Ownership names are borrowed from the stack.
 * Errors    raise.
 * Threads   session thread.
 */
#ifndef LACUS_SPARK_DATAFRAME_INT_H
#define LACUS_SPARK_DATAFRAME_INT_H
#include "runtime/spark/dataframe_lua.h"

int dataframe_agg(lua_State *L), dataframe_alias(lua_State *L), dataframe_collect(lua_State *L),
    dataframe_count(lua_State *L), dataframe_create_temp_view(lua_State *L),
    dataframe_cross_join(lua_State *L), dataframe_cube(lua_State *L), dataframe_distinct(lua_State *L),
    dataframe_drop(lua_State *L), dataframe_drop_duplicates(lua_State *L), dataframe_dropna(lua_State *L),
    dataframe_except_all(lua_State *L), dataframe_explain(lua_State *L), dataframe_fillna(lua_State *L),
    dataframe_filter(lua_State *L), dataframe_first(lua_State *L), dataframe_group_by(lua_State *L),
    dataframe_head(lua_State *L), dataframe_intersect(lua_State *L), dataframe_intersect_all(lua_State *L),
    dataframe_is_empty(lua_State *L), dataframe_join(lua_State *L), dataframe_lateral_join(lua_State *L),
    dataframe_merge_into(lua_State *L), dataframe_change_rows(lua_State *L), dataframe_alias_of(lua_State *L),
    dataframe_overwrite(lua_State *L), dataframe_v1_table(lua_State *L), dataframe_save_v2(lua_State *L),
    dataframe_limit(lua_State *L), dataframe_offset(lua_State *L), dataframe_order_by(lua_State *L),
    dataframe_print_schema(lua_State *L), dataframe_repartition(lua_State *L),
    dataframe_coalesce(lua_State *L), dataframe_replace_temp_view(lua_State *L),
    dataframe_rollup(lua_State *L), dataframe_same(lua_State *L), dataframe_select(lua_State *L),
    dataframe_select_expr(lua_State *L), dataframe_show(lua_State *L), dataframe_subtract(lua_State *L),
    dataframe_tail(lua_State *L), dataframe_take(lua_State *L), dataframe_to_df(lua_State *L),
    dataframe_to_local_iterator(lua_State *L), dataframe_to_table(lua_State *L),
    dataframe_transform(lua_State *L), dataframe_union(lua_State *L), dataframe_union_by_name(lua_State *L),
    dataframe_with_column(lua_State *L), dataframe_with_column_renamed(lua_State *L),
    dataframe_with_columns(lua_State *L), dataframe_with_columns_renamed(lua_State *L);

int dataframe_na(lua_State *L); /* df.na */
int64_t dataframe_rows_arg(lua_State *L, int index);
/* The texts from index first on, n of them, as an array in a userdata; Columns that are plain names count too. */
const char **dataframe_names(lua_State *L, int first, int n);
/* names in a text or list at index; nil: none. Pushes the array. */
const char **dataframe_names_arg(lua_State *L, int index, int *n);
#endif
