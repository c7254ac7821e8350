"""Execution accuracy by the rule of Spider's official test-suite evaluator (Zhong et al. 2020)."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from chaku.sql.execute.lexer import Token, is_word, tokenize

Rows = Sequence[tuple]

MAX_PLUGGED = 2000  # ways to insert gold values; the official code tries all ways


def clean(sql: str) -> str:
    """A query as the official evaluator runs it: with `> =` joined to `>=`, and without a semicolon at the end."""
    return sql.replace("> =", ">=").replace("< =", "<=").replace("! =", "!=").rstrip("; \t\r\n")


def remove_distinct(sql: str) -> str:
    """The query without its DISTINCT keywords."""
    return "".join(token.text for token in tokenize(sql) if not is_word(token, "distinct"))


def order_matters(gold: str) -> bool:
    """Whether rows must have the same order: if `order by` appears anywhere in the gold query."""
    return "order by" in gold.lower()


def same_result(gold: Rows, predicted: Rows, *, ordered: bool) -> bool:
    """Whether the results are equal as bags (as lists when `ordered`) of rows, up to a permutation of columns.

    Two empty results are always equal. The search is fast in practice: it pairs columns with equal content, and drops a
    pairing as soon as the rows differ.
    """
    if len(gold) != len(predicted):
        return False
    if not gold:
        return True
    if len(gold[0]) != len(predicted[0]):
        return False
    gold_columns, predicted_columns = (list(zip(*rows, strict=True)) for rows in (gold, predicted))
    if ordered:
        return Counter(gold_columns) == Counter(predicted_columns)
    if _row_values(gold) != _row_values(predicted):
        return False
    return _match_columns(gold_columns, predicted_columns)


def _row_values(rows: Rows) -> Counter:
    # Compare values, not texts: 1 and 1.0 are equal and have the same hash.
    return Counter(frozenset(Counter(row).items()) for row in rows)


def _match_columns(gold: list[tuple], predicted: list[tuple]) -> bool:
    """Whether some order of the predicted columns makes both bags of rows equal."""
    kinds = [frozenset(Counter(column).items()) for column in gold]
    candidates = [frozenset(Counter(column).items()) for column in predicted]
    if Counter(kinds) != Counter(candidates):
        return False
    # Start with the rarest kinds of columns, and with the columns of most values: they leave the fewest choices.
    order = sorted(range(len(gold)), key=lambda index: (kinds.count(kinds[index]), -len(kinds[index])))

    def extend(depth: int, used: frozenset[int], gold_groups: list[int], predicted_groups: list[int]) -> bool:
        # Rows with the same group number, on both sides, are equal in the columns that are already paired.
        if depth == len(order):
            return True
        column = gold[order[depth]]
        tried = set()
        numbers: dict[tuple, int] = {}
        gold_next = [numbers.setdefault(pair, len(numbers)) for pair in zip(gold_groups, column, strict=True)]
        wanted = Counter(gold_next)
        for index, other in enumerate(predicted):
            if index in used or candidates[index] != kinds[order[depth]] or other in tried:
                continue
            tried.add(other)  # a column with the same cells gives the same result
            found = [numbers.get(pair, -1) for pair in zip(predicted_groups, other, strict=True)]
            if Counter(found) == wanted and extend(depth + 1, used | {index}, gold_next, found):
                return True
        return False

    return extend(0, frozenset(), [0] * len(gold[0]), [0] * len(gold[0]))


def plugged(gold: str, predicted: str) -> Iterator[str]:
    """The prediction with the gold query's values in place of its values, in every way up to MAX_PLUGGED.

    This scores models that predict no values: they may write the bare word `value`.
    """
    values = list(dict.fromkeys(token.text for token in tokenize(gold) if _is_value(token)))
    tokens = tokenize(predicted)
    slots = [
        index
        for index, token in enumerate(tokens)
        if _is_value(token)
        or (is_word(token, "value") and "." not in (_text(tokens, index - 1), _text(tokens, index + 1)))
    ]
    for chosen in itertools.islice(itertools.product(values, repeat=len(slots)), MAX_PLUGGED):
        texts = [token.text for token in tokens]
        for index, value in zip(slots, chosen, strict=True):
            texts[index] = value
        yield "".join(texts)


def _is_value(token: Token) -> bool:
    if token.kind == "number":
        return True
    return token.text[0] in "'\"" and len(token.text) > 1 and token.text[-1] == token.text[0]


def _text(tokens: list[Token], index: int) -> str:
    return tokens[index].text if 0 <= index < len(tokens) else ""
