/* api.h: the functions of libduckdb that the engine calls, found when it is opened: lacus is built and starts without it.
 *
 * What      one struct of function pointers; only the stable C API (version 1). Looked for in DUCKDB_HOME, then
 *           lib/libduckdb.so where lacus keeps its parts, then wherever the system's loader looks.
 * Ownership the library is never closed (its threads and Arrow callbacks may live on).
 * Errors    LC_MISSING, naming where it was looked for and what to run.
 * Threads   any.
 *
 * Example:
 *     struct duck_api api;
 *     if (duck_api_open(&api, &err) == LC_OK)
 *         puts(api.duckdb_library_version());
 */
#ifndef LACUS_DATAFRAME_ENGINES_DUCKDB_API_H
#define LACUS_DATAFRAME_ENGINES_DUCKDB_API_H
#include "runtime/base/err.h"
#include <duckdb.h>

#define DUCK_FUNCTIONS(X)                                                                                    \
    X(duckdb_append_data_chunk)                                                                              \
    X(duckdb_appender_create)                                                                                \
    X(duckdb_appender_destroy)                                                                               \
    X(duckdb_appender_error)                                                                                 \
    X(duckdb_bind_add_result_column)                                                                         \
    X(duckdb_bind_get_extra_info)                                                                            \
    X(duckdb_bind_get_parameter)                                                                             \
    X(duckdb_bind_set_bind_data)                                                                             \
    X(duckdb_bind_set_error)                                                                                 \
    X(duckdb_client_context_get_connection_id)                                                               \
    X(duckdb_close)                                                                                          \
    X(duckdb_column_count)                                                                                   \
    X(duckdb_column_logical_type)                                                                            \
    X(duckdb_column_name)                                                                                    \
    X(duckdb_connect)                                                                                        \
    X(duckdb_connection_get_client_context)                                                                  \
    X(duckdb_create_config)                                                                                  \
    X(duckdb_create_logical_type)                                                                            \
    X(duckdb_create_scalar_function)                                                                         \
    X(duckdb_create_table_function)                                                                          \
    X(duckdb_data_chunk_from_arrow)                                                                          \
    X(duckdb_data_chunk_get_size)                                                                            \
    X(duckdb_data_chunk_get_vector)                                                                          \
    X(duckdb_data_chunk_set_size)                                                                            \
    X(duckdb_data_chunk_to_arrow)                                                                            \
    X(duckdb_decimal_scale)                                                                                  \
    X(duckdb_decimal_width)                                                                                  \
    X(duckdb_destroy_arrow_converted_schema)                                                                 \
    X(duckdb_destroy_arrow_options)                                                                          \
    X(duckdb_destroy_client_context)                                                                         \
    X(duckdb_destroy_config)                                                                                 \
    X(duckdb_destroy_data_chunk)                                                                             \
    X(duckdb_destroy_error_data)                                                                             \
    X(duckdb_destroy_logical_type)                                                                           \
    X(duckdb_destroy_pending)                                                                                \
    X(duckdb_destroy_prepare)                                                                                \
    X(duckdb_destroy_result)                                                                                 \
    X(duckdb_destroy_scalar_function)                                                                        \
    X(duckdb_destroy_table_function)                                                                         \
    X(duckdb_destroy_value)                                                                                  \
    X(duckdb_disconnect)                                                                                     \
    X(duckdb_error_data_message)                                                                             \
    X(duckdb_execute_pending)                                                                                \
    X(duckdb_fetch_chunk)                                                                                    \
    X(duckdb_free)                                                                                           \
    X(duckdb_function_get_init_data)                                                                         \
    X(duckdb_function_get_local_init_data)                                                                   \
    X(duckdb_function_set_error)                                                                             \
    X(duckdb_get_type_id)                                                                                    \
    X(duckdb_get_varchar)                                                                                    \
    X(duckdb_init_get_column_count)                                                                          \
    X(duckdb_init_get_bind_data)                                                                             \
    X(duckdb_init_get_column_index)                                                                          \
    X(duckdb_init_set_error)                                                                                 \
    X(duckdb_init_set_init_data)                                                                             \
    X(duckdb_init_set_max_threads)                                                                           \
    X(duckdb_interrupt)                                                                                      \
    X(duckdb_library_version)                                                                                \
    X(duckdb_list_type_child_type)                                                                           \
    X(duckdb_list_vector_get_child)                                                                          \
    X(duckdb_list_vector_get_size)                                                                           \
    X(duckdb_list_vector_reserve)                                                                            \
    X(duckdb_list_vector_set_size)                                                                           \
    X(duckdb_create_list_type)                                                                               \
    X(duckdb_create_map_type)                                                                                \
    X(duckdb_create_struct_type)                                                                             \
    X(duckdb_map_type_key_type)                                                                              \
    X(duckdb_map_type_value_type)                                                                            \
    X(duckdb_open_ext)                                                                                       \
    X(duckdb_pending_execute_task)                                                                           \
    X(duckdb_pending_execution_is_finished)                                                                  \
    X(duckdb_pending_error)                                                                                  \
    X(duckdb_pending_prepared)                                                                               \
    X(duckdb_prepare)                                                                                        \
    X(duckdb_prepare_error)                                                                                  \
    X(duckdb_query)                                                                                          \
    X(duckdb_query_progress)                                                                                 \
    X(duckdb_register_scalar_function)                                                                       \
    X(duckdb_register_table_function)                                                                        \
    X(duckdb_result_error)                                                                                   \
    X(duckdb_result_get_arrow_options)                                                                       \
    X(duckdb_scalar_function_add_parameter)                                                                  \
    X(duckdb_scalar_function_bind_get_extra_info)                                                            \
    X(duckdb_scalar_function_get_bind_data)                                                                  \
    X(duckdb_scalar_function_get_client_context)                                                             \
    X(duckdb_scalar_function_get_extra_info)                                                                 \
    X(duckdb_scalar_function_set_bind)                                                                       \
    X(duckdb_scalar_function_set_bind_data)                                                                  \
    X(duckdb_scalar_function_set_bind_data_copy)                                                             \
    X(duckdb_scalar_function_set_error)                                                                      \
    X(duckdb_scalar_function_set_extra_info)                                                                 \
    X(duckdb_scalar_function_set_function)                                                                   \
    X(duckdb_scalar_function_set_name)                                                                       \
    X(duckdb_scalar_function_set_return_type)                                                                \
    X(duckdb_scalar_function_set_special_handling)                                                           \
    X(duckdb_schema_from_arrow)                                                                              \
    X(duckdb_set_config)                                                                                     \
    X(duckdb_string_t_data)                                                                                  \
    X(duckdb_string_t_length)                                                                                \
    X(duckdb_struct_type_child_count)                                                                        \
    X(duckdb_struct_type_child_name)                                                                         \
    X(duckdb_struct_type_child_type)                                                                         \
    X(duckdb_struct_vector_get_child)                                                                        \
    X(duckdb_table_function_add_parameter)                                                                   \
    X(duckdb_table_function_set_bind)                                                                        \
    X(duckdb_table_function_set_extra_info)                                                                  \
    X(duckdb_table_function_set_function)                                                                    \
    X(duckdb_table_function_set_init)                                                                        \
    X(duckdb_table_function_set_local_init)                                                                  \
    X(duckdb_table_function_set_name)                                                                        \
    X(duckdb_table_function_supports_projection_pushdown)                                                    \
    X(duckdb_to_arrow_schema)                                                                                \
    X(duckdb_validity_row_is_valid)                                                                          \
    X(duckdb_validity_set_row_invalid)                                                                       \
    X(duckdb_vector_assign_string_element_len)                                                               \
    X(duckdb_vector_ensure_validity_writable)                                                                \
    X(duckdb_vector_get_column_type)                                                                         \
    X(duckdb_data_chunk_get_column_count)                                                                    \
    X(duckdb_scalar_function_set_varargs)                                                                    \
    X(duckdb_vector_get_data) X(duckdb_vector_get_validity) X(duckdb_vector_size)

struct duck_api {
#define X(name) __typeof__(&name) name;
    DUCK_FUNCTIONS(X)
#undef X
    /* Scheduled to go from DuckDB; without it results are complete before the first row is seen. */
    duckdb_state (*pending_streaming)(duckdb_prepared_statement statement, duckdb_pending_result *out);
};

enum lc duck_api_open(struct duck_api *api, struct err *err) MUST_CHECK;
#endif
