"""Plans of the differential suite that go where single steps do not: joins with names that occur twice, frames joined with what was made of them, unions of
different types, frames of windows, pivots, nested values, NULLs, dates, decimals, SQL over a frame."""
from differential import Plans, lua_text


class DeeperPlans(Plans):
    def expression(self, columns, want, depth=2):
        """Half of the expressions are of the richer kind below."""
        rules = self.richer(columns, depth - 1).get(want) if depth > 0 and self.r.random() < 0.5 else None
        return self.r.choice(rules)() if rules else super().expression(columns, want, depth)

    def richer(self, columns, depth):
        r = self.r

        def sub(t):
            return self.expression(columns, t, max(depth, 0))

        def sql(text, **parts):
            """An expression as SQL would say it, over columns of the wanted types where there are some."""
            for name, t in parts.items():
                there = self.of(columns, t)
                literal = {"int": "3", "bigint": "4L", "double": "1.5D", "string": "'a-b'", "date": "DATE'2024-02-29'", "timestamp": "TIMESTAMP'2024-02-29 13:14:15.5'", "decimal": "12.345",
                           "array": "array(3, null, 1)", "boolean": "true"}[t]
                text = text.replace(f"<{name}>", r.choice(there) if there else literal)
            return f"F.expr({lua_text(text)})"

        i = {"a": "int", "b": "int"}
        return {
            "int": [lambda: sql("nullif(<a>, <b>)", **i), lambda: sql("nvl2(<a>, <b>, 7)", **i), lambda: sql("<a> div 2", a="int") + ':cast("int")', lambda: sql("pmod(<a>, 3)", a="int"),
                    lambda: sql("named_struct('p', <a>, 'q', <b>).q", **i), lambda: sql("map('x', <a>, 'y', <b>)['x']", **i), lambda: sql("size(filter(<a>, x -> x > 1))", a="array"),
                    lambda: sql("aggregate(<a>, 0, (acc, x) -> acc + coalesce(x, 0))", a="array"), lambda: sql("quarter(<a>) + weekofyear(<a>)", a="date"), lambda: sql("hour(<a>) * 60 + minute(<a>)", a="timestamp"),
                    lambda: sql("array_position(<a>, 3)", a="array") + ':cast("int")', lambda: sql("try_element_at(<a>, 2)", a="array"), lambda: sql("cast(<a> as int)", a="decimal"),
                    lambda: sql("cast(substr(cast(<a> as string), 1, 4) as int)", a="date"), lambda: sql("extract(day from <a>)", a="date"), lambda: sql("if(<a>, 1, 2)", a="boolean"),
                    lambda: sql("levenshtein(<a>, 'apple')", a="string"), lambda: sql("ascii(<a>)", a="string"), lambda: sql("cast(signum(<a>) as int)", a="int")],
            "bigint": [lambda: sql("unix_timestamp(<a>)", a="timestamp"), lambda: sql("<a> * 3L - <b>", a="bigint", b="int"), lambda: sql("<a> & 7L | 1L", a="bigint"), lambda: sql("hash(<a>) + 0L", a="int"),
                       lambda: sql("xxhash64(<a>, <b>)", a="string", b="int"), lambda: sql("<a> div <b>", a="bigint", b="int") if False else sql("shiftleft(<a>, 2)", a="bigint"), lambda: sql("unix_date(<a>) + 0L", a="date")],
            "double": [lambda: sql("months_between(<a>, DATE'2023-11-15')", a="date"), lambda: sql("try_divide(<a>, <b>)", **i), lambda: sql("<a> / 3", a="int"), lambda: sql("cast(<a> as double) * 1.5D", a="decimal"),
                       lambda: sql("cast(cast(<a> as string) as double)", a="double"), lambda: sql("bround(<a>, 1)", a="double"), lambda: sql("coalesce(nullif(<a>, 0), -1)", a="double"), lambda: sql("pow(<a>, 2)", a="int")],
            "string": [lambda: sql("to_json(named_struct('a', <a>, 'b', <b>))", a="int", b="string"), lambda: sql("concat_ws('|', split(<a>, '[ae]'))", a="string"), lambda: sql("date_format(<a>, 'EEE d MMM yyyy')", a="date"),
                       lambda: sql("cast(<a> as string) || '!'", a="decimal"), lambda: sql("cast(array(<a>, <b>) as string)", **i), lambda: sql("cast(named_struct('a', <a>, 'b', <b>) as string)", a="string", b="double"),
                       lambda: sql("format_number(<a>, 2)", a="double"), lambda: sql("regexp_extract(<a>, '([a-z]+)', 1)", a="string"), lambda: sql("translate(<a>, 'ae', 'XY')", a="string"), lambda: sql("hex(<a>)", a="string"),
                       lambda: sql("md5(<a>)", a="string"), lambda: sql("substring_index(<a>, 'a', 1)", a="string"), lambda: sql("array_join(transform(<a>, x -> cast(x as string)), ',', 'null')", a="array"),
                       lambda: sql("element_at(split(<a>, ''), 1)", a="string"), lambda: sql("rpad(nvl(<a>, 'none'), 6, '.')", a="string"), lambda: sql("from_unixtime(unix_timestamp(<a>))", a="timestamp"),
                       lambda: sql("get_json_object(to_json(named_struct('x', named_struct('y', <a>))), '$.x.y')", a="int"), lambda: sql("overlay(<a> placing '__' from 2)", a="string"), lambda: sql("typeof(<a> + <b>)", a="decimal", b="int")],
            "boolean": [lambda: sql("<a> is not distinct from <b>", **i), lambda: sql("<a> rlike '^[a-c]'", a="string"), lambda: sql("<a> between DATE'2023-01-01' and current_date()", a="date"), lambda: sql("exists(<a>, x -> x = 3)", a="array"),
                        lambda: sql("<a> in (1.5, 2, null)", a="decimal"), lambda: sql("not (<a> and <b>)", a="boolean", b="boolean"), lambda: sql("<a> <=> null", a="string"), lambda: sql("isnan(<a>)", a="double"),
                        lambda: sql("<a> > '2024-01-01'", a="date"), lambda: sql("<a> = '5'", a="int"), lambda: sql("array_contains(<a>, 3)", a="array"), lambda: sql("arrays_overlap(<a>, array(1, 9))", a="array"), lambda: sql("<a> ilike 'A%'", a="string")],
            "date": [lambda: sql("<a> + INTERVAL '1' MONTH", a="date"), lambda: sql("date_sub(<a>, <b>)", a="date", b="int"), lambda: sql("next_day(<a>, 'TU')", a="date"), lambda: sql("make_date(2024, 1 + pmod(<a>, 12), 15)", a="int"),
                     lambda: sql("to_date(date_format(<a>, 'dd/MM/yyyy'), 'dd/MM/yyyy')", a="date"), lambda: sql("coalesce(<a>, DATE'1970-01-01')", a="date"), lambda: sql("greatest(<a>, DATE'2024-01-01')", a="date")],
            "timestamp": [lambda: sql("<a> + INTERVAL '2 03:04:05' DAY TO SECOND", a="timestamp"), lambda: sql("timestampadd(MINUTE, <b>, <a>)", a="timestamp", b="int"), lambda: sql("to_timestamp(cast(<a> as string))", a="timestamp"),
                          lambda: sql("timestamp_seconds(<a>)", a="int"), lambda: sql("from_utc_timestamp(<a>, 'Asia/Tokyo')", a="timestamp"), lambda: sql("make_timestamp(2024, 2, 29, pmod(<a>, 24), 30, 1.5)", a="int")],
            "decimal": [lambda: sql("<a> / <b>", a="decimal", b="decimal") if False else sql("<a> / 3", a="decimal"), lambda: sql("<a> - <b>", a="decimal", b="int"), lambda: sql("cast(<a> as decimal(12,4)) * <b>", a="decimal", b="int"),
                        lambda: sql("<a> % 2.5", a="decimal"), lambda: sql("coalesce(<a>, 0)", a="decimal"), lambda: sql("cast(<a> as decimal(5,1))", a="int"), lambda: sql("-<a>", a="decimal"), lambda: sql("abs(<a>)", a="decimal"),
                        lambda: sql("case when <b> > 3 then <a> else 1.25 end", a="decimal", b="int"), lambda: sql("greatest(<a>, 2)", a="decimal"), lambda: sql("floor(<a>)", a="decimal"), lambda: sql("cast('12.75' as decimal(6,3)) + <a>", a="decimal")],
            "array": [lambda: sql("transform(<a>, (x, n) -> x * n)", a="array"), lambda: sql("filter(<a>, x -> x is not null)", a="array"), lambda: sql("array_union(<a>, array(2, 3))", a="array"), lambda: sql("array_except(<a>, array(3))", a="array"),
                      lambda: sql("flatten(array(coalesce(<a>, array()), array(<b>)))", a="array", b="int"), lambda: sql("array_repeat(<a>, 2)", a="int"), lambda: sql("sequence(1, 1 + pmod(<a>, 4))", a="int"), lambda: sql("array_sort(<a>)", a="array"),
                      lambda: sql("array_remove(<a>, 3)", a="array"), lambda: sql("reverse(<a>)", a="array"), lambda: sql("zip_with(<a>, <a>, (x, y) -> x + y)", a="array"), lambda: sql("array_intersect(<a>, array(1, 2, 3))", a="array"),
                      lambda: sql("array_insert(<a>, 1, <b>)", a="array", b="int"), lambda: sql("array_compact(<a>)", a="array")],
        }

    # ---- steps ----
    def joined_aliases(self, text, columns):
        """Names that occur on both sides, told apart by aliases."""
        r = self.r
        other = r.choice(["t", "u", "v"])
        there = self.TABLES[other]
        left, right = self.of(columns, "int", "bigint", "string"), dict(there)
        pairs = [(a, b) for a in left for b in right if dict(columns)[a] == right[b] and right[b] in ("int", "string", "bigint")]
        if not pairs:
            return text, columns
        a, b = r.choice(pairs)
        how = r.choice(["inner", "left", "right", "full"])
        same = r.choice(["eq", "eqNullSafe"])
        picks = [("p", c, t) for c, t in r.sample(columns, min(3, len(columns)))] + [("q", c, t) for c, t in r.sample(there, min(2, len(there)))]
        made = [(self.fresh(), t) for _, _, t in picks]
        cells = ", ".join(f'F.col("{side}.{c}"):alias("{n}")' for (side, c, _), (n, _) in zip(picks, made))
        return f'{text}:alias("p"):join({other}:alias("q"), F.col("p.{a}"):{same}(F.col("q.{b}")), "{how}"):select({cells})', made

    def self_joined(self, text, columns):
        """A frame and what was made of it: df.col says which."""
        keys = self.of(columns, "int", "string", "date")
        if not keys:
            return text, columns
        key, how = self.r.choice(keys), self.r.choice(["inner", "left", "full", "semi", "anti"])
        c, t = self.r.choice(columns)
        n1, n2 = self.fresh(), self.fresh()
        cells = f'x("{key}"):alias("{n1}")' + ("" if how in ("semi", "anti") else f', y("{c}"):alias("{n2}")')
        made = [(n1, dict(columns)[key])] + ([] if how in ("semi", "anti") else [(n2, t)])
        if self.r.random() < 0.8: # Spark finds df.col of a frame joined with its own filter ambiguous: rename what the right side gives
            n3 = self.fresh()
            right = f'x:filter({self.expression(columns, "boolean", 1)}):select(x("{key}"):alias("{n3}"), x("{c}"):alias("{n2}"))'
            cells = f'x("{key}"):alias("{n1}")' + ("" if how in ("semi", "anti") else f', y("{n2}")')
            return f'(function() local x = {text}; local y = {right}; return x:join(y, x("{key}"):eq(y("{n3}")), "{how}"):select({cells}) end)()', made
        return (f'(function() local x = {text}; local y = x:filter({self.expression(columns, "boolean", 1)}); return x:join(y, x("{key}"):eq(y("{key}")), "{how}"):select({cells}) end)()'), made

    def several_keys(self, text, columns):
        there = [c for c, t in self.TABLES["u"] if (c, t) in columns]
        if len(there) < 2 or any(c == "v" for c, _ in columns):
            return text, columns
        how = self.r.choice(["inner", "left", "right", "full", "semi", "anti"])
        merged = columns if how in ("semi", "anti") else [(c, t) for c, t in columns if c in ("k", "s")] + [(c, t) for c, t in columns if c not in ("k", "s")] + [("v", "int")]
        if how not in ("semi", "anti"):
            merged = [(c, dict(columns).get(c, "int")) for c in ["k", "s"]] + [(c, t) for c, t in columns if c not in ("k", "s")] + [("v", "int")]
        return f'{text}:join(u, {{"k", "s"}}, "{how}")', merged

    def widened_union(self, text, columns):
        """Rows of other types, and rows that lack a column."""
        r = self.r
        wider = {"int": "bigint", "bigint": "double", "decimal": "double", "date": "timestamp"}
        if r.random() < 0.5 and len(columns) > 1:
            gone = r.choice(columns)[0]
            return f'{text}:unionByName({text}:drop("{gone}"), true)', columns
        chosen = [c for c, t in columns if t in wider]
        if not chosen:
            return text, columns
        c = r.choice(chosen)
        t = wider[dict(columns)[c]]
        return f'{text}:union({text}:withColumn("{c}", F.col("{c}"):cast("{t}")))', [(n, t if n == c else k) for n, k in columns]

    def framed_window(self, text, columns):
        r = self.r
        keys = [c for c in columns if c[1] != "array"]
        numbers = self.of(columns, "int", "bigint", "decimal", "double")
        if not keys or not numbers:
            return text, columns
        orders = ", ".join(f'F.col("{c}"):{r.choice(["asc", "desc_nulls_last"])}()' for c, _ in columns)
        part, value, name = r.choice(keys)[0], r.choice(numbers), self.fresh()
        kind = dict(columns)[value]
        over = f'W.partitionBy("{part}"):orderBy({orders})'
        low, high = r.choice([("W.unboundedPreceding", "W.currentRow"), ("-1", "1"), ("W.currentRow", "W.unboundedFollowing"), ("-2", "-1"), ("W.unboundedPreceding", "W.unboundedFollowing")])
        f, out, frame = r.choice([("F.sum", {"int": "bigint", "bigint": "bigint", "double": "double"}.get(kind, "other"), True), ("F.min", kind, True), ("F.max", kind, True), ("F.count", "bigint", True), ("F.first", kind, True), ("F.last", kind, True),
                                  ("F.lag", kind, False), ("F.lead", kind, False), ("F.avg", "double" if kind != "decimal" else "other", True)])
        call = f'{f}("{value}")' if f not in ("F.lag", "F.lead") or r.random() < 0.5 else f'{f}("{value}", 2)'
        return f'{text}:withColumn("{name}", {call}:over({over}{f":rowsBetween({low}, {high})" if frame else ""}))', columns + [(name, out)]

    def ranks(self, text, columns):
        keys = [c for c in columns if c[1] != "array"]
        if not keys:
            return text, columns
        name, part = self.fresh(), self.r.choice(keys)[0]
        f, kind = self.r.choice([("F.percent_rank()", "double"), ("F.cume_dist()", "double"), ("F.dense_rank()", "int")])
        return f'{text}:withColumn("{name}", {f}:over(W.partitionBy("{part}"):orderBy("{self.r.choice(keys)[0]}")))', columns + [(name, kind)]

    def pivoted(self, text, columns):
        r = self.r
        texts, numbers = self.of(columns, "string"), self.of(columns, "int", "double", "decimal")
        groups = self.of(columns, "int", "boolean", "date")
        if not texts or not numbers or not groups:
            return text, columns
        g, p, v = r.choice(groups), r.choice(texts), r.choice(numbers)
        if len({g, p, v}) < 3:
            return text, columns
        f = r.choice(["sum", "max", "count", "avg"])
        kind = {"count": "bigint", "max": dict(columns)[v]}.get(f, "other")
        many = r.random() < 0.4
        aggregates = f'F.{f}("{v}")' + (f', F.min("{v}"):alias("low")' if many else "")
        n = [self.fresh() for _ in range(5 if many else 3)]
        return f'{text}:groupBy("{g}"):pivot("{p}", {{"apple", "Banana"}}):agg({aggregates}):toDF({", ".join(chr(34) + x + chr(34) for x in n)})', [(n[0], dict(columns)[g])] + [(x, "other") for x in n[1:]] if many else [
            (n[0], dict(columns)[g]), (n[1], kind), (n[2], kind)]

    def unpivoted(self, text, columns):
        numbers = self.of(columns, "int")
        others = self.of(columns, "string", "date", "boolean")
        if len(numbers) < 2 or not others:
            return text, columns
        a, b = self.r.sample(numbers, 2)
        n, v, i = self.fresh(), self.fresh(), self.r.choice(others)
        return f'{text}:unpivot({{"{i}"}}, {{"{a}", "{b}"}}, "{n}", "{v}")', [(i, dict(columns)[i]), (n, "string"), (v, "int")]

    def exploded(self, text, columns):
        r = self.r
        arrays = self.of(columns, "array")
        if not arrays:
            return text, columns
        a, n, p = r.choice(arrays), self.fresh(), self.fresh()
        kept = [c for c in columns if c[1] != "array"][:3]
        cells = ", ".join([f'"{c}"' for c, _ in kept])
        cells += ", " if cells else ""
        if r.random() < 0.5:
            return f'{text}:select({cells}F.{r.choice(["explode", "explode_outer"])}("{a}"):alias("{n}"))', kept + [(n, "int")]
        return f'{text}:select({cells}F.{r.choice(["posexplode", "posexplode_outer"])}("{a}"):alias("{p}", "{n}"))', kept + [(p, "int"), (n, "int")]

    def nested(self, text, columns):
        """Into structs, and out of them again."""
        some = self.r.sample(columns, min(2, len(columns)))
        st, n = self.fresh(), self.fresh()
        fields = ", ".join(f'F.col("{c}"):alias("f{i}")' for i, (c, _) in enumerate(some))
        out = self.r.choice([f'F.col("{st}.f0"):alias("{n}")', f'F.col("{st}"):getField("f0"):alias("{n}")', f'F.col("{st}"):withField("g", F.lit(1)):getField("f0"):alias("{n}")'])
        return f'{text}:withColumn("{st}", F.struct({fields})):select("*", {out}):drop("{st}")', columns + [(n, some[0][1])]

    def collected(self, text, columns):
        r = self.r
        values, groups = self.of(columns, "int"), self.of(columns, "string", "boolean", "date")
        if not values or not groups:
            return text, columns
        g, v, n = r.choice(groups), r.choice(values), self.fresh()
        return f'{text}:groupBy("{g}"):agg(F.sort_array(F.{r.choice(["collect_list", "collect_set"])}("{v}")):alias("{n}"))', [(g, dict(columns)[g]), (n, "array")]

    def filtered_aggregates(self, text, columns):
        r = self.r
        n1, n2, n3 = self.fresh(), self.fresh(), self.fresh()
        groups = self.of(columns, "string", "int", "boolean", "date")
        numbers = self.of(columns, "int", "bigint")
        if not numbers or not groups:
            return text, columns
        g, v = r.choice(groups), r.choice(numbers)
        parts = [f'F.expr({lua_text(f"count(*) filter (where {v} > 2)")}):alias("{n1}")', f'F.sum(F.when(F.col("{v}"):gt(0), F.col("{v}"))):alias("{n2}")',
                 r.choice([f'F.max_by("{v}", "{v}"):alias("{n3}")', f'F.count_if(F.col("{v}"):gt(1)):alias("{n3}")', f'F.sum_distinct("{v}"):alias("{n3}")', f'F.countDistinct("{v}", "{g}"):alias("{n3}")'])]
        return f'{text}:groupBy("{g}"):agg({", ".join(parts)})', [(g, dict(columns)[g]), (n1, "bigint"), (n2, "bigint"), (n3, "other")]

    def time_window(self, text, columns):
        stamps, numbers = self.of(columns, "timestamp"), self.of(columns, "int")
        if not stamps or not numbers:
            return text, columns
        ts, v, n1, n2 = self.r.choice(stamps), self.r.choice(numbers), self.fresh(), self.fresh()
        w = self.r.choice(['"30 days"', '"1 day"', '"2 hours"', '"10 minutes", "5 minutes"'])
        return f'{text}:groupBy(F.window("{ts}", {w})):agg(F.sum("{v}"):alias("{n1}")):select(F.col("window.start"):alias("{n2}"), "{n1}")', [(n2, "timestamp"), (n1, "bigint")]

    def sql(self, text, columns):
        r = self.r
        numbers = self.of(columns, "int", "bigint")
        if not numbers:
            return text, columns
        v, c = r.choice(numbers), r.choice(columns)
        n, m = self.fresh(), self.fresh()
        kind = c[1]
        choices = [
            (f"SELECT {c[0]} AS {n}, count(*) AS {m} FROM {{x}} GROUP BY {c[0]} HAVING count({v}) >= 1", [(n, kind), (m, "bigint")]),
            (f"SELECT {c[0]} AS {n}, {v} AS {m} FROM {{x}} WHERE {v} IN (SELECT k FROM {{u}}) OR {v} IS NULL", [(n, kind), (m, dict(columns)[v])]),
            (f"WITH q AS (SELECT {v} AS a, {c[0]} AS b FROM {{x}}) SELECT q.b AS {n}, r.v AS {m} FROM q LEFT JOIN {{u}} r ON q.a = r.k", [(n, kind), (m, "int")]),
            (f"SELECT x.{c[0]} AS {n}, (SELECT max(v) FROM {{u}}) AS {m} FROM {{x}} x WHERE EXISTS (SELECT 1 FROM {{u}} WHERE k = x.{v})", [(n, kind), (m, "int")]),
            (f"SELECT {c[0]} AS {n}, e AS {m} FROM {{x}} LATERAL VIEW explode(array({v}, 2)) z AS e", [(n, kind), (m, dict(columns)[v])]),
            (f"SELECT {n}, {m} FROM (SELECT {c[0]} AS {n}, row_number() OVER (PARTITION BY {v} ORDER BY {', '.join(x for x, t in columns if t != 'other')}) AS {m} FROM {{x}}) WHERE {m} = 1", [(n, kind), (m, "int")]),
        ]
        if kind == "array":
            return text, columns
        query, made = r.choice(choices)
        return f"spark:sql({lua_text(query)}, {{x = {text}, u = u}})", made

    def missing(self, text, columns):
        r = self.r
        texts, numbers = self.of(columns, "string"), self.of(columns, "int")
        choices = [f"{text}:dropna('all')", f"{text}:dropna{{thresh = {r.randint(1, 3)}}}"]
        if texts:
            choices += [f'{text}:na:replace("apple", "pear")' if False else f'{text}:replace("apple", "pear")', f'{text}:fillna{{{r.choice(texts)} = "?"}}', f'{text}:dropna{{subset = {{"{r.choice(texts)}"}}}}']
        if numbers:
            choices += [f"{text}:replace({{5, 1}}, {{50, 10}})", f'{text}:fillna(7, {{"{r.choice(numbers)}"}})']
        return r.choice(choices), columns

    def rows_by_place(self, text, columns):
        orders = ", ".join(f'F.col("{c}")' for c, _ in columns)
        return f"{text}:orderBy({orders}):{self.r.choice(['offset(1)', 'offset(1):limit(2)', 'limit(4):offset(1)'])}", columns

    def deduplicated(self, text, columns):
        keys = [c for c, _ in columns]
        return f"{text}:dropDuplicates({{{', '.join(chr(34) + c + chr(34) for c in keys)}}})", columns

    STEPS = Plans.STEPS + ("joined_aliases", "joined_aliases", "self_joined", "self_joined", "several_keys", "several_keys", "widened_union", "framed_window", "framed_window", "ranks", "pivoted", "pivoted", "unpivoted",
                           "exploded", "nested", "collected", "filtered_aggregates", "time_window", "sql", "sql", "missing", "rows_by_place", "deduplicated")


def deeper_cases(count, seed):
    return [(f"deep/{seed}/{i}", DeeperPlans(f"deep {seed}/{i}").plan()) for i in range(count)]
