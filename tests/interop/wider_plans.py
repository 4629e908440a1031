"""Plans of the differential suite of a third kind: clauses of SQL (grouping sets, PIVOT, lateral subqueries, pipes, VALUES), frames by range, structs and maps that are taken
apart again, intervals, casts of texts, errors of ANSI, summaries, several columns at once."""
from deeper_plans import DeeperPlans
from differential import lua_text

ORDERED = ("int", "bigint", "double", "string", "boolean", "date", "timestamp", "decimal")


class WiderPlans(DeeperPlans):
    def parts(self, text, columns, made, expression):
        """One more column, of an expression in SQL."""
        name = self.fresh()
        return f'{text}:withColumn("{name}", F.expr({lua_text(expression)}))', columns + [(name, made)]

    def casts(self, text, columns):
        r = self.r
        c, t = r.choice([c for c in columns if c[1] in ORDERED] or [("1", "int")])
        to = r.choice(["int", "bigint", "double", "decimal", "string", "boolean", "date", "timestamp"])
        if t in ("date", "timestamp") and to in ("int", "bigint", "double", "decimal", "boolean"):
            to = "string"
        if to in ("date", "timestamp") and t in ("int", "bigint", "double", "decimal", "boolean"):
            to = "string"
        return self.parts(text, columns, to, f"try_cast({c} as {'decimal(7,2)' if to == 'decimal' else to})")

    def texts(self, text, columns):
        names = self.of(columns, "string")
        c = self.r.choice(names) if names else "'b-a'"
        made, e = self.r.choice([("string", f"split_part({c}, 'a', 2)"), ("string", f"soundex({c})"), ("string", f"format_string('%5s|%-3d', {c}, 4)"), ("int", f"locate('a', {c}, 2)"), ("string", f"regexp_replace({c}, '(.)a', '$1-')"),
                                 ("string", f"sha2({c}, 256)"), ("string", f"base64(encode({c}, 'utf-8'))"), ("int", f"octet_length({c})"), ("int", f"regexp_count({c}, '[aeiou]')"), ("string", f"left({c}, 2) || right({c}, 1)"),
                                 ("string", f"mask({c})"), ("boolean", f"contains({c}, 'an')"), ("string", f"replace({c}, 'p', '')"), ("string", f"repeat({c}, 2)"), ("int", f"crc32(encode({c}, 'utf-8')) % 7 + find_in_set({c}, 'a,apple')")])
        return self.parts(text, columns, "other" if "crc32" in e else made, e)

    def structs(self, text, columns):
        r, name, n1, n2 = self.r, self.fresh(), self.fresh(), self.fresh()
        (a, t1), (b, t2) = r.choice(columns), r.choice(columns)
        change = r.choice([f'F.col("{name}"):withField("z", F.lit(1))', f'F.col("{name}"):dropFields("q")', f'F.when(F.col("{name}.p"):isNotNull(), F.col("{name}"))'])
        return (f'{text}:withColumn("{name}", F.struct(F.col("{a}"):alias("p"), F.col("{b}"):alias("q"))):withColumn("{name}", {change}):withColumn("{n1}", F.col("{name}"):getField("p")):withColumn("{n2}", F.col("{name}"):isNull()):drop("{name}")',
                columns + [(n1, t1), (n2, "boolean")])

    def maps(self, text, columns):
        numbers = self.of(columns, "int")
        v = self.r.choice(numbers) if numbers else "3"
        m = self.r.choice([f"map('a', {v}, 'b', 2)", f"map_from_arrays(array('a', 'b'), array({v}, 5))", f"map_concat(map('a', {v}), map('c', 1))", f"map_filter(map('a', {v}, 'b', 9), (k1, v1) -> v1 > 3)",
                           f"transform_values(map('a', {v}), (k1, v1) -> v1 + 1)", f"str_to_map('a:1,b:2')"])
        made, e = self.r.choice([("other", f"try_element_at({m}, 'a')"), ("other", f"array_sort(map_keys({m}))"), ("int", f"size(map_entries({m}))"), ("boolean", f"map_contains_key({m}, 'b')"), ("other", f"sort_array(map_values({m}))")])
        return self.parts(text, columns, made, e)

    def intervals(self, text, columns):
        r = self.r
        days, times = self.of(columns, "date"), self.of(columns, "timestamp")
        if days and (not times or r.random() < 0.5):
            d = r.choice(days)
            made, e = r.choice([("string", f"cast({d} - DATE'2024-01-01' as string)"), ("int", f"extract(day from {d} - DATE'2023-11-03')"), ("date", f"{d} - INTERVAL '1-2' YEAR TO MONTH"), ("bigint", f"timestampdiff(MONTH, {d}, DATE'2024-05-31')"), ("timestamp", f"{d} + INTERVAL '3' HOUR"), ("string", f"cast(make_ym_interval(1, extract(month from {d})) as string)")])
        else:
            s = r.choice(times) if times else "TIMESTAMP'2024-03-10 02:30:00'"
            made, e = r.choice([("string", f"cast({s} - TIMESTAMP'2024-01-01 00:00:00' as string)"), ("timestamp", f"{s} - INTERVAL '1 12' DAY TO HOUR"), ("timestamp", f"date_trunc('week', {s})"), ("bigint", f"timestampdiff(HOUR, {s}, TIMESTAMP'2024-02-29 13:14:15')"),
                                ("other", f"extract(second from {s})"), ("string", f"date_format({s}, 'yy-M-d H:m:s.SSS a')"), ("timestamp", f"to_utc_timestamp({s}, 'America/New_York')"), ("string", f"cast({s} + make_dt_interval(1, 2, 3, 4.5) as string)")])
        return self.parts(text, columns, made, e)

    def by_range(self, text, columns):
        r = self.r
        orders, values = self.of(columns, "int", "bigint"), self.of(columns, "int", "bigint", "decimal")
        if not orders or not values:
            return text, columns
        name, o, v, p = self.fresh(), r.choice(orders), r.choice(values), r.choice([c for c in columns if c[1] in ORDERED])[0]
        low, high = r.choice([("-3", "3"), ("W.unboundedPreceding", "W.currentRow"), ("0", "5"), ("W.unboundedPreceding", "-1"), ("W.currentRow", "W.unboundedFollowing")])
        f, made = r.choice([("sum", "other"), ("count", "bigint"), ("min", "other"), ("max", "other")])
        return f'{text}:withColumn("{name}", F.{f}("{v}"):over(W.partitionBy("{p}"):orderBy("{o}"):rangeBetween({low}, {high})))', columns + [(name, made)]

    def several_columns(self, text, columns):
        r, n1, n2 = self.r, self.fresh(), self.fresh()
        kinds = [r.choice(self.TYPES) for _ in range(2)]
        if r.random() < 0.5:
            return f'{text}:withColumns{{{n1} = {self.expression(columns, kinds[0])}}}:withColumns{{{n2} = {self.expression(columns, kinds[1])}}}', columns + [(n1, kinds[0]), (n2, kinds[1])]
        old = r.choice(columns)[0]
        return f'{text}:withColumnsRenamed{{{old} = "{n1}"}}', [(n1 if c == old else c, t) for c, t in columns]

    def summaries(self, text, columns):
        numbers = self.of(columns, "int", "bigint", "double", "string")
        if not numbers:
            return text, columns
        c = self.r.choice(numbers)
        return f'{text}:select("{c}"):{self.r.choice(["describe()", "summary(%s)" % ", ".join(chr(34) + s + chr(34) for s in self.r.sample(["count", "min", "max", "mean", "stddev", "count_distinct"], 3))])}', [("summary", "string"), (c, "string")]

    def clauses(self, text, columns):
        r = self.r
        keys = [c for c, t in columns if t in ORDERED]
        numbers = self.of(columns, "int", "bigint", "decimal", "double")
        texts = self.of(columns, "string")
        if len(keys) < 2 or not numbers:
            return text, columns
        kinds = dict(columns)
        a, b = r.sample(keys, 2)
        v, n, m, o = r.choice(numbers), self.fresh(), self.fresh(), self.fresh()
        queries = [
            (f"SELECT {a} AS {n}, {b} AS {m}, count({v}) AS {o} FROM {{x}} GROUP BY GROUPING SETS (({a}, {b}), ({a}), ())", [(n, kinds[a]), (m, kinds[b]), (o, "bigint")]),
            (f"SELECT {a} AS {n}, grouping_id({a}, {b}) AS {m}, max({v}) AS {o} FROM {{x}} GROUP BY CUBE({a}, {b})", [(n, kinds[a]), (m, "bigint"), (o, kinds[v])]),
            (f"SELECT x.{a} AS {n}, y.w AS {m} FROM {{x}} x, LATERAL (SELECT max(v) AS w FROM {{u}} WHERE k = x.{v}) y", [(n, kinds[a]), (m, "int")]),
            (f"FROM {{x}} |> WHERE {v} IS NOT NULL |> AGGREGATE count(*) AS {m} GROUP BY {a} AS {n}", [(n, kinds[a]), (m, "bigint")]),
            (f"SELECT {a} AS {n} FROM {{x}} WHERE {v} NOT IN (SELECT k FROM {{u}})", [(n, kinds[a])]),
            (f"SELECT q.{n}, x.{a} AS {m} FROM {{x}} x JOIN (VALUES (1, 'one'), (5, 'five'), (7, null)) AS q(kk, {n}) ON x.{v} = q.kk", [(n, "string"), (m, kinds[a])]),
            (f"SELECT {n}, {m} FROM (SELECT {a} AS {n}, {v} AS {m} FROM {{x}}) UNION ALL SELECT {a}, {v} FROM {{x}} WHERE {b} IS NULL", [(n, kinds[a]), (m, kinds[v])]),
            (f"SELECT {a} AS {n}, CASE WHEN {v} < 3 THEN 'low' WHEN {v} < 8 THEN 'mid' END AS {m} FROM {{x}} ORDER BY {m} NULLS LAST, {n}", [(n, kinds[a]), (m, "string")]),
            (f"WITH p AS (SELECT {a} AS pk, {v} AS pv FROM {{x}}), q AS (SELECT pk, avg(pv) AS {m} FROM p GROUP BY ALL) SELECT p.pk AS {n}, q.{m} FROM p JOIN q ON p.pk <=> q.pk", [(n, kinds[a]), (m, "double" if kinds[v] != "decimal" else "other")]),
        ]
        if texts:
            queries.append((f"SELECT * FROM (SELECT {a} AS {n}, {texts[0]} AS {m}, {v} AS {o} FROM {{x}}) PIVOT (count({o}) FOR {m} IN ('apple' AS apple{n}, 'Banana' AS banana{n}))", [(n, kinds[a]), (f"apple{n}", "bigint"), (f"banana{n}", "bigint")]))
        query, made = r.choice(queries)
        return f"spark:sql({lua_text(query)}, {{x = {text}, u = u}})", made

    def statistics(self, text, columns):
        r = self.r
        groups, numbers = self.of(columns, "string", "int", "boolean"), self.of(columns, "int", "bigint", "double")
        if not groups or not numbers:
            return text, columns
        g, (v, w), (n, m) = r.choice(groups), (r.choice(numbers), r.choice(numbers)), (self.fresh(), self.fresh())
        e = r.choice([f"corr({v}, {w})", f"covar_samp({v}, {w})", f"var_pop({v})", f"skewness({v})", f"kurtosis({v})", f"median({v})", f"percentile({v}, 0.25)", f"regr_slope({v}, {w})", f"try_avg({v})", f"regr_r2({v}, {w})"])
        return f'{text}:groupBy("{g}"):agg(F.expr({lua_text(e)}):alias("{n}"), F.expr({lua_text(r.choice([f"bool_and({v} > 0)", f"bool_or({v} > 3)", f"every({v} < 9)"]))}):alias("{m}"))', [(g, dict(columns)[g]), (n, "double"), (m, "boolean")]

    def errors(self, text, columns):
        """What ANSI refuses, if there are rows."""
        numbers, arrays = self.of(columns, "int"), self.of(columns, "array")
        n, v, a = self.fresh(), (numbers or ["4"])[0], (arrays or ["array(1)"])[0]
        made, e = self.r.choice([("int", f"1 div ({v} - {v})"), ("int", "cast('x' as int)"), ("int", f"{v} + 2147483647"), ("int", f"{a}[9]"), ("other", f"nosuch({v})"), ("int", "nosuch + 1"), ("int", f"cast(300 + abs({v}) as tinyint)"),
                                 ("other", f"array_position({v}, 1)"), ("other", f"substr({v}, 1, 2, 3)"), ("date", "DATE'2024-13-01'")])
        return f'{text}:select(F.expr({lua_text(e)}):alias("{n}"))', [(n, made)]

    NEW = ("casts", "texts", "structs", "maps", "intervals", "by_range", "several_columns", "clauses", "clauses", "clauses", "statistics", "summaries")
    STEPS = DeeperPlans.STEPS + NEW * 3

    def plan(self):
        table = self.r.choice(["t", "t", "t", "u", "v"])
        text, columns = table, list(self.TABLES[table])
        for place in range(self.r.randint(2, 4)):
            known = [c for c in columns if c[1] in self.TYPES]
            step = self.r.choice(self.NEW if place == 0 else self.STEPS)
            if not known:
                break
            if len(known) < len(columns):
                text, columns = f"{text}:select({', '.join(chr(34) + c + chr(34) for c, _ in known)})", known
            text, columns = getattr(self, step)(text, columns)
        if self.r.random() < 0.06 and columns:
            text, columns = self.errors(text, columns)
        return text


def wider_cases(count, seed):
    return [(f"wide/{seed}/{i}", WiderPlans(f"wide {seed}/{i}").plan()) for i in range(count)]
