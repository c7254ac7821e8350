"""The allowed parts of a query: functions, and other nodes of its parse tree."""

# Functions that only read their arguments and return a value, with the names of the engines and of sqlglot's tree.
# Every other function is refused, so that an unknown function cannot do harm.
_AGGREGATES = """
any_value approx_count_distinct approx_distinct approx_quantile arg_max arg_min array_agg avg bit_and bit_or bit_xor
bool_and bool_or corr count count_if countif count_star covar_pop covar_samp cume_dist dense_rank every first
first_value group_concat histogram kurtosis lag last last_value lead list listagg logical_and logical_or max max_by
median min min_by mode nth_value ntile percent_rank percentile_cont percentile_disc product quantile quantile_cont
quantile_disc rank regr_intercept regr_r2 regr_slope row_number skewness std stddev stddev_pop stddev_samp string_agg
sum total var_pop var_samp variance variance_pop bitwise_and_agg bitwise_or_agg bitwise_xor_agg json_agg jsonb_agg
json_object_agg json_arrayagg json_objectagg json_group_array json_group_object j_s_o_n_array_agg j_s_o_n_object_agg
grouping
"""
_NUMBERS = """
abs acos asin atan atan2 cbrt ceil ceiling cos cosh cot degrees div exp factorial floor gcd greatest lcm least ln log
log10 log2 mod nullif pi pow power radians rand random round safe_divide sign sin sinh sqrt tan tanh trunc truncate
width_bucket is_nan isnan is_inf isinf to_number number_to_str bit_length bitwise_count int64 float64 crc32 conv
"""
_TEXT = """
ascii btrim char char_length character_length chr collate concat concat_ws contains convert_to_charset
damerau_levenshtein elt ends_with endswith field find_in_set format initcap insert instr jaccard jaro_similarity
jaro_winkler_similarity jarowinkler_similarity lcase left length len levenshtein like locate lower lpad ltrim md5 mid
octet_length overlay pad position quote regexp_count regexp_extract regexp_extract_all regexp_full_match regexp_i_like
regexp_instr regexp_like regexp_match regexp_matches regexp_replace regexp_split regexp_split_to_array regexp_substr
repeat replace reverse right rpad rtrim sha sha1 sha2 sha256 s_h_a2_digest soundex space split split_part starts_with
startswith str_position strcmp string string_split string_to_array strip_accents strpos substr substring
substring_index to_char to_hex translate trim ucase unaccent unicode upper hex unhex lower_hex similarity
word_similarity normalize to_base64 from_base64 md5_digest printf text
"""
_TIMES = """
adddate addtime age convert_tz convert_timezone curdate current_date current_datetime current_time current_timestamp
curtime date date_add date_bin date_diff date_format date_from_parts date_part date_sub date_to_date_str date_trunc
datediff datetime day day_of_month day_of_week day_of_year dayname dayofmonth dayofweek dayofweek_iso dayofyear epoch
epoch_ms extract from_days from_unixtime hour isodow julian julianday justify_days justify_hours justify_interval
last_day localtime localtimestamp make_date make_interval make_time make_timestamp makedate maketime microsecond
minute month monthname now period_add period_diff quarter sec_to_time second str_to_date str_to_time str_to_unix
strftime strptime subdate subtime sysdate time time_add time_bucket time_diff time_format time_from_parts
time_str_to_date time_str_to_time time_str_to_unix time_sub time_to_sec time_to_str time_to_time_str time_to_unix
time_trunc timediff timestamp timestamp_add timestamp_diff timestamp_from_parts timestamp_sub timestamp_trunc
timestampadd timestampdiff to_date to_days to_seconds to_timestamp today ts_or_di_to_di ts_or_ds_add ts_or_ds_diff
ts_or_ds_to_date ts_or_ds_to_date_str ts_or_ds_to_datetime ts_or_ds_to_time ts_or_ds_to_timestamp unix_date
unix_seconds unixepoch unix_to_str unix_to_time unix_timestamp utc_date utc_time utc_timestamp week week_of_year
weekday weekofyear year year_of_week yearweek
"""
_OTHERS = """
and or xor not case if ifnull iif nvl nvl2 coalesce isnull cast try_cast try convert exists is_null_value typeof array
array_any array_all array_append array_cat array_concat array_contained_by array_contains array_contains_all
array_distinct array_first array_has array_last array_length array_max array_min array_overlaps array_position
array_prepend array_remove array_reverse array_size array_slice array_sort array_sum array_to_string cardinality
list_aggregate list_contains list_distinct list_sort list_sum list_value flatten map map_keys row struct
struct_extract unnest explode generate_series exploding_generate_series generate_date_array range
generate_timestamp_array json_extract json_extract_scalar j_s_o_n_extract json_array_contains json_array_length
json_contains json_keys json_length json_type json_unquote json_valid json_value jsonb_extract jsonb_extract_scalar
jsonb_contains jsonb_array_length jsonb_array_elements jsonb_array_elements_text json_array_elements
json_array_elements_text json_each jsonb_each json_extract_path json_extract_path_text jsonb_extract_path
jsonb_extract_path_text json_object json_array j_s_o_n_object j_s_o_n_array parse_json to_tsvector to_tsquery
plainto_tsquery phraseto_tsquery websearch_to_tsquery ts_rank match_against json_object_keys jsonb_object_keys
json_each_text jsonb_each_text json_build_object jsonb_build_object json_build_array jsonb_build_array to_json to_jsonb
row_to_json json_typeof jsonb_typeof array_lower array_upper generate_subscripts regexp_split_to_table string_to_table
j_s_o_n_b_contains_top_key j_s_o_n_b_contains_any_top_keys j_s_o_n_b_contains_all_top_keys quote_literal timezone
"""
FUNCTIONS = frozenset(" ".join((_AGGREGATES, _NUMBERS, _TEXT, _TIMES, _OTHERS)).split())

# Nodes of the tree that are neither functions nor operators. Every other node is refused: DELETE in a WITH, INTO, FOR
# UPDATE, variables, COPY, ...
_NODES = """
Select Union Except Intersect Subquery CTE With TableAlias Table Column Identifier Star Literal Boolean Null Alias
Aliases From Join Where Group GroupingSets Cube Rollup Having Qualify Order Ordered Limit LimitOptions Offset Fetch
Distinct Window WindowSpec WindowSort Paren Tuple Values Lateral Unnest TableFromRows DataType DataTypeParam Interval
IntervalSpan IntervalOp Var Filter WithinGroup Bracket Slice Between In Is Any All AtTimeZone Collate Escape Not Neg
BitwiseNot HavingMax Adjacent IgnoreNulls RespectNulls OnCondition JSONPath JSONPathRoot JSONPathKey JSONPathSubscript
JSONPathWildcard JSONKeyValue JSONColumnDef JSONSchema National HexString BitString ByteString RawString Pivot
TableSample Lambda Exists NullSafeEQ NullSafeNEQ Glob RegexpLike
"""
NODES = frozenset(_NODES.split())
