/* values_lua.h: the texts that dataframes' functions take: for completion.
 *
 * Ownership static.
 * Units     none.
 * Errors    none; no list.
 * Threads   session thread.
 *
 * Example:
 *     static const struct manual_topic topic = {.name = "SparkSession", .values = spark_values};
 */
#ifndef LACUS_SPARK_VALUES_LUA_H
#define LACUS_SPARK_VALUES_LUA_H
#include "runtime/session/manual.h"

extern const struct manual_values spark_values[];
#endif
