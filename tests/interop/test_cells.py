"""What cells say in corners that people reach: the results are written down here, not taken from the program."""
import json

import pytest
from lacus import lacus, script, script_json

ROWS = "local df = spark:createDataFrame({{1, 'x', {1, 2}}, {2, 'y', {}}}, {'a', 'b', 'c'})\n"


@pytest.mark.parametrize("code, want", [
    ("print(df.columns)", '{"a", "b", "c"}'),
    ("print('names: ' .. df.columns, df.columns .. '.')", 'names: {"a", "b", "c"}\t{"a", "b", "c"}.'),
    ("print(tostring(df.dtypes[1]), #df.dtypes)", '{"a", "bigint"}\t3'),
    ("print(df:select('a', 'b'):collect())", "{Row(a=1, b='x'), Row(a=2, b='y')}"),
    ("print(df.schema.names, df:collect()[1].c)", '{"a", "b", "c"}\t{1, 2}'),
    ("print(df:select(df.columns):count(), df:drop(table.unpack(df.columns)).columns)", "2\t{}"),
    ("print(spark.catalog:listTables())", "{}"),
    ("print(dbutils.widgets.getAll())", "{}"),
    ("print(json.encode{df.columns, df:limit(0):collect(), json.object{'zero'}})", '[["a","b","c"],[],{"1":"zero"}]'),
    ("print(fmt('{}', df.columns), table.concat(df.columns, '+'))", '{"a", "b", "c"}\ta+b+c'),
    ("local names = df.columns; local f = F.udf(function(i) return names[i] end, 'string'); print(df:select(f('a')):collect()[2][1])", "b"),
    ("print((select(2, pcall(function() return df.columns .. nil end)):match 'attempt to concatenate a nil value'))", "attempt to concatenate a nil value"),
    ("print(df.columns == df.columns, type(df.columns), tostring({}):match('^table: 0x') ~= nil)", "false\ttable\ttrue"),
])
def test_lists_that_functions_return_are_readable_as_text(code, want, tmp_path):
    assert script(tmp_path, ROWS + code) == want + "\n"
