"""The functions with their arguments, aggregates and types that the grammar knows for each engine."""

import re
import sqlite3

from chaku.sql.schema.definition import Dialect

# Functions by their arguments, in order: e (an expression), s (a string), n (a number); ? marks an optional argument,
# and * an argument that may be repeated.
FUNCTIONS: dict[Dialect, dict[str, str]] = {
    "sqlite": {
        "": "random",
        "e": "abs lower upper length sign typeof hex unicode ceil ceiling floor sqrt exp ln log2 log10 trunc",
        "ee?": "trim ltrim rtrim round",
        "ee": "nullif ifnull instr mod pow power",
        "eee": "replace iif",
        "eee?": "substr substring",
        "eee*": "coalesce max min",
        "es*": "date time datetime julianday unixepoch",
        "ses*": "strftime",
        "se*": "printf format",
    },
    "duckdb": {
        "": "now today random",
        "e": "abs lower upper length sign ceil ceiling floor sqrt exp ln log2 log10 reverse typeof year quarter month"
        " week day dayofweek isodow dayofyear weekofyear hour minute second monthname dayname last_day epoch"
        " to_timestamp",
        "ee?": "trim ltrim rtrim round log age trunc",
        "ee": "nullif ifnull instr strpos mod pow power left right repeat contains starts_with ends_with string_split"
        " levenshtein",
        "eee": "replace split_part lpad rpad make_date if",
        "eee?": "substr substring regexp_matches regexp_extract",
        "eeee?": "regexp_replace",
        "eee*": "coalesce greatest least concat_ws",
        "ee*": "concat",
        "es": "strftime strptime",
        "se": "date_trunc date_part datetrunc",
        "see": "date_diff datediff date_sub",
        "se*": "printf format",
    },
    "postgres": {
        "": "now random",
        "e": "abs lower upper length char_length sign ceil ceiling floor sqrt exp ln reverse initcap",
        "ee?": "btrim trim ltrim rtrim round trunc log age",
        "ee": "nullif strpos mod power left right repeat starts_with string_to_array array_length",
        "eee": "replace split_part translate make_date",
        "eee?": "substr substring lpad rpad",
        "eeee?": "regexp_replace",
        "eee*": "coalesce greatest least concat_ws",
        "ee*": "concat",
        "es": "to_char to_date to_number",
        "es?": "to_timestamp",
        "se": "date_trunc date_part",
        "se*": "format",
    },
    "mysql": {
        "": "now curdate curtime rand",
        "e": "abs lower upper length char_length sign ceil ceiling floor sqrt exp ln log2 log10 reverse trim ltrim"
        " rtrim year quarter month weekofyear day dayofmonth dayofweek weekday dayofyear hour minute second monthname"
        " dayname last_day date time to_days isnull unix_timestamp",
        "ee?": "round log week yearweek",
        "ee": "nullif ifnull instr mod pow power left right repeat locate truncate datediff timediff makedate"
        " find_in_set period_diff",
        "eee": "replace lpad rpad substring_index if",
        "eee?": "substr substring mid",
        "eee*": "coalesce greatest least concat_ws field",
        "ee*": "concat",
        "es": "date_format str_to_date time_format",
        "es?": "from_unixtime",
    },
}

_STATISTICS = "stddev stddev_samp stddev_pop variance var_samp var_pop"
# By the shape of the call: see grammar_expressions.
AGGREGATES: dict[Dialect, dict[str, str]] = {
    "sqlite": {"AGGREGATE": "sum avg min max total", "TEXT_AGGREGATE": "group_concat"},
    "duckdb": {
        "AGGREGATE": f"sum avg min max {_STATISTICS} median mode any_value first last bool_and bool_or"
        " approx_count_distinct",
        "TEXT_AGGREGATE": "string_agg group_concat",
        "LIST_AGGREGATE": "array_agg list",
        "PAIR_AGGREGATE": "corr covar_pop covar_samp quantile_cont quantile_disc arg_max arg_min max_by min_by",
        "ORDERED_AGGREGATE": "percentile_cont percentile_disc",
    },
    "postgres": {
        "AGGREGATE": f"sum avg min max {_STATISTICS} bool_and bool_or every",
        "TEXT_AGGREGATE": "string_agg",
        "LIST_AGGREGATE": "array_agg json_agg jsonb_agg",
        "PAIR_AGGREGATE": "corr covar_pop covar_samp",
        "ORDERED_AGGREGATE": "percentile_cont percentile_disc",
        "MODE": "mode",
    },
    "mysql": {
        "AGGREGATE": f"sum avg min max {_STATISTICS} std",
        "TEXT_AGGREGATE": "group_concat",
        "DATE_ADD": "date_add date_sub adddate subdate",
        "DATE_DIFF": "timestampdiff timestampadd",
    },
}

_SIZED = r"(\([0-9]{1,2}(, ?[0-9]{1,2})?\))?"
TYPES: dict[Dialect, str] = {
    "sqlite": f"integer|int|real|float|text|numeric{_SIZED}|decimal{_SIZED}|varchar{_SIZED}",
    "duckdb": f"integer|int|bigint|hugeint|smallint|double( precision)?|float|real|numeric{_SIZED}|decimal{_SIZED}"
    f"|varchar{_SIZED}|text|boolean|bool|date|time|timestamp|interval",
    "postgres": f"integer|int|bigint|smallint|double precision|float|real|numeric{_SIZED}|decimal{_SIZED}"
    f"|varchar{_SIZED}|text|boolean|bool|date|time|timestamp|timestamptz|interval",
    "mysql": f"signed( integer)?|unsigned( integer)?|decimal{_SIZED}|double|float|char{_SIZED}|date|time|datetime",
}


def calls(dialect: Dialect, value: str) -> list[str]:
    """Calls of the dialect's functions. `value`: the rule of their arguments."""
    return [f"{_terminal(key)} CALL{_arguments(key, value)} CLOSE" for key in FUNCTIONS[dialect]]


def functions(dialect: Dialect) -> str:
    """The terminals for the names of functions, aggregates and types."""
    rules = []
    for key, names in FUNCTIONS[dialect].items():
        known = names.split() if dialect != "sqlite" else [name for name in names.split() if name in _of_sqlite()]
        rules.append(f"{_terminal(key)}: /{'|'.join(known)}/i")
    rules += [f"{kind}: /{'|'.join(names.split())}/i" for kind, names in AGGREGATES[dialect].items()]
    return "\n".join([*rules, f"TYPE: /{TYPES[dialect]}/i"])


def _of_sqlite() -> set[str]:
    """The functions that this SQLite was built with: mathematical functions are optional."""
    connection = sqlite3.connect(":memory:")
    try:
        return {name for (name,) in connection.execute("SELECT DISTINCT name FROM pragma_function_list")}
    finally:
        connection.close()


def _terminal(key: str) -> str:
    return "FUNCTION_" + (key.replace("?", "_OR_NONE").replace("*", "_ANY").upper() or "OF_NOTHING")


def _arguments(key: str, value: str) -> str:
    rules = {"e": value, "s": "STRING", "n": "NUMBER"}
    written = ""
    for kind, mark in re.findall(r"(\w)(\W?)", key):
        one = f"COMMA {rules[kind]}" if written else rules[kind]
        written += f" ({one}){mark}" if mark else f" {one}"
    return written
