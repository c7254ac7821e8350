"""The words of English, German and Chinese that build a question about a metric, by the part that they play.

A question with any other word is no question that rules can answer.
"""

from chaku.sql.glossary.text import tokens_of

# The parts: b "by", w "which", t and l the largest and the lowest, N "top" (needs a number), a "and", o "or",
# c "compared to", C "compare", B "between", T "total", q "how many", u "how much", g a unit of time, bg "monthly",
# > a comparison; "" for words without a meaning of their own.
_WORDS: tuple[tuple[str, str], ...] = (
    ("", """the a an me us please show give list display tell get calculate compute what whats is was are were there of
     in for from with at on during our we i did do does had has have make made see want to know s
     der die das den dem des ein eine einen im am von vom fur mit war waren ist sind gab es wir unser unsere unseren
     haben hat hatten hatte zeige zeig mir gib gibt bitte was aus bei gemacht erzielt in
     的 是 多少 请 请问 给 我 显示 列出 查询 统计 在 中 里 了 有 为 吗 呢 我们 来自 个 名 位 家 排名"""),
    ("b", """by per each every grouped_by group_by broken_down_by split_by for_each
     nach pro je jede jeden jedes jeder jedem 每 每个 各 各个 按 按照"""),
    ("w", "which who welche welcher welches welchen welchem wer 哪个 哪些 谁 哪一个"),
    ("t", """highest most largest biggest greatest hochste hochsten hochster meisten meiste grosste grossten
     最高 最多 最大"""),
    ("l", """lowest least fewest smallest niedrigste niedrigsten wenigsten geringste geringsten kleinsten
     最低 最少 最小"""),
    ("N", "top 前"),
    ("a", "and und 和 与 及"),
    ("o", "or oder 或"),
    ("c", "vs versus compared_to compared_with in_comparison_to im_vergleich_zu verglichen_mit gegenuber"),
    ("C", "compare comparison_of vergleiche vergleich 比较 对比"),
    ("B", "between zwischen"),
    ("T", "total overall gesamt gesamte gesamten gesamter insgesamt 总 总共 合计"),
    ("q", "how_many number_of count_of wie_viele anzahl anzahl_der"),
    ("u", "how_much how_high wie_viel wie_hoch"),
    ("bg:year", "yearly jahrlich jahrliche jahrlichen"),
    ("bg:quarter", "quarterly quartalsweise"),
    ("bg:month", "monthly monatlich monatliche monatlichen monatsweise"),
    ("bg:day", "daily taglich tagliche taglichen"),
    ("g:year", "year years jahr jahre 年 年份 年度"),
    ("g:quarter", "quarter quarters quartal quartale 季度"),
    ("g:month", "month months monat monate 月 月份 个月"),
    ("g:day", "day days tag tage 日 天"),
    (">:>", "over above more_than greater_than higher_than exceeding uber mehr_als 大于 超过 高于"),
    (">:<", "below under less_than lower_than fewer_than unter weniger_als 小于 低于 少于"),
    (">:>=", "at_least mindestens 至少"),
    (">:<=", "at_most hochstens"),
)  # fmt: skip
PARTS = {
    " ".join(tokens_of(word.replace("_", " "))): part for part, words in _WORDS for word in words.split()
}  # tokens with spaces between them -> part
LONGEST = max(len(words.split()) for words in PARTS)


def find_part(tokens: list[str], at: int) -> tuple[str, int] | None:
    """The part that the longest phrase at the token `at` plays, and its number of tokens; None if it is unknown."""
    for length in range(min(LONGEST, len(tokens) - at), 0, -1):
        if (part := PARTS.get(" ".join(tokens[at : at + length]))) is not None:
            return part, length
    return None
