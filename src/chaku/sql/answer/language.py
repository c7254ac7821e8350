"""The language of a question, and the phrases of answers in it: English, German, French, Spanish, Chinese."""

import re
from dataclasses import dataclass

from chaku.sql.schema.words import CJK


@dataclass(frozen=True)
class Phrases:
    """The templates of one language. Their fields are named in `sentence`. The subjects name one number."""

    count: str
    count_different: str
    sum: str
    avg: str
    min: str
    max: str
    value: str
    rows: str  # what `count` counts if it is not the rows of one table
    rows_of: str  # the rows of a table whose name is no plural
    one_value: str
    one_row: str
    several_rows: str
    first_row: str
    first_rows: str
    groups: str
    no_rows: str
    no_rows_at_all: str
    none_seen: str  # of a table that hides rows from the role
    hidden: str
    where: str
    more: str
    largest_first: str
    smallest_first: str
    cut: str
    comma: str = ", "


PHRASES = {
    "en": Phrases(
        count="The number of {x}",
        count_different="The number of different values of {x}",
        sum="The total of {x}",
        avg="The average of {x}",
        min="The smallest {x}",
        max="The largest {x}",
        value="The value of {x}",
        rows="rows",
        rows_of="rows in {x}",
        one_value="{subject} is {value}{where}.",
        one_row="One row was found: {pairs}{where}.",
        several_rows="{n} rows were found ({columns}): {items}{where}.",
        first_row="The first by {key} is {items}{where}.",
        first_rows="The first {n} by {key} are {items}{where}.",
        groups="{subject} goes from {low} ({low_label}) to {high} ({high_label}) over {n} values of {label}{where}.",
        no_rows="No rows match {filters}.",
        no_rows_at_all="There are no rows.",
        none_seen="You may see no such row{where}: the database shows your role only some rows of {tables}.",
        hidden=" The database shows your role only some rows of {tables}.",
        where=" (where {filters})",
        more="{items} and {n} more",
        largest_first="{key} (the largest first)",
        smallest_first="{key} (the smallest first)",
        cut=" The result is cut off, so there may be more.",
    ),
    "de": Phrases(
        count="Die Anzahl von {x}",
        count_different="Die Anzahl verschiedener Werte von {x}",
        sum="Die Summe von {x}",
        avg="Der Durchschnitt von {x}",
        min="Der kleinste Wert von {x}",
        max="Der größte Wert von {x}",
        value="Der Wert von {x}",
        rows="Zeilen",
        rows_of="Zeilen in {x}",
        one_value="{subject} ist {value}{where}.",
        one_row="Eine Zeile wurde gefunden: {pairs}{where}.",
        several_rows="{n} Zeilen wurden gefunden ({columns}): {items}{where}.",
        first_row="An erster Stelle nach {key} steht {items}{where}.",
        first_rows="Die ersten {n} nach {key} sind {items}{where}.",
        groups="{subject} reicht von {low} ({low_label}) bis {high} ({high_label}) bei {n} Werten von {label}{where}.",
        no_rows="Keine Zeile passt zu {filters}.",
        no_rows_at_all="Es gibt keine Zeilen.",
        none_seen="Sie dürfen keine solche Zeile sehen{where}: Ihre Rolle sieht nur einen Teil von {tables}.",
        hidden=" Ihre Rolle sieht nur einen Teil von {tables}.",
        where=" (Bedingung: {filters})",
        more="{items} und {n} weitere",
        largest_first="{key} (absteigend)",
        smallest_first="{key} (aufsteigend)",
        cut=" Das Ergebnis ist abgeschnitten; es kann mehr geben.",
    ),
    "fr": Phrases(
        count="Le nombre de {x}",
        count_different="Le nombre de valeurs différentes de {x}",
        sum="Le total de {x}",
        avg="La moyenne de {x}",
        min="La plus petite valeur de {x}",
        max="La plus grande valeur de {x}",
        value="La valeur de {x}",
        rows="lignes",
        rows_of="lignes de {x}",
        one_value="{subject} est {value}{where}.",
        one_row="Une ligne a été trouvée : {pairs}{where}.",
        several_rows="{n} lignes ont été trouvées ({columns}) : {items}{where}.",
        first_row="En tête selon {key} : {items}{where}.",
        first_rows="Les {n} premières lignes selon {key} sont {items}{where}.",
        groups="{subject} va de {low} ({low_label}) à {high} ({high_label}) pour {n} valeurs de {label}{where}.",
        no_rows="Aucune ligne ne correspond à {filters}.",
        no_rows_at_all="Il n'y a aucune ligne.",
        none_seen="Vous ne pouvez voir aucune ligne de ce genre{where} : votre rôle ne voit qu'une partie de {tables}.",
        hidden=" Votre rôle ne voit qu'une partie des lignes de {tables}.",
        where=" (condition : {filters})",
        more="{items} et {n} de plus",
        largest_first="{key} (par ordre décroissant)",
        smallest_first="{key} (par ordre croissant)",
        cut=" Le résultat est tronqué ; il peut y en avoir plus.",
    ),
    "es": Phrases(
        count="El número de {x}",
        count_different="El número de valores distintos de {x}",
        sum="El total de {x}",
        avg="El promedio de {x}",
        min="El menor valor de {x}",
        max="El mayor valor de {x}",
        value="El valor de {x}",
        rows="filas",
        rows_of="filas de {x}",
        one_value="{subject} es {value}{where}.",
        one_row="Se encontró una fila: {pairs}{where}.",
        several_rows="Se encontraron {n} filas ({columns}): {items}{where}.",
        first_row="En primer lugar por {key} está {items}{where}.",
        first_rows="Las primeras {n} filas por {key} son {items}{where}.",
        groups="{subject} va de {low} ({low_label}) a {high} ({high_label}) en {n} valores de {label}{where}.",
        no_rows="Ninguna fila cumple {filters}.",
        no_rows_at_all="No hay filas.",
        none_seen="No puede ver ninguna fila así{where}: su rol solo ve una parte de las filas de {tables}.",
        hidden=" Su rol solo ve una parte de las filas de {tables}.",
        where=" (condición: {filters})",
        more="{items} y {n} más",
        largest_first="{key} (de mayor a menor)",
        smallest_first="{key} (de menor a mayor)",
        cut=" El resultado está cortado; puede haber más.",
    ),
    "zh": Phrases(
        count="{x} 的数量",
        count_different="不同 {x} 的数量",
        sum="{x} 的总和",
        avg="{x} 的平均值",
        min="{x} 的最小值",
        max="{x} 的最大值",
        value="{x} 的值",
        rows="行",
        rows_of="{x}",
        one_value="{subject}是 {value}{where}。",
        one_row="找到 1 行：{pairs}{where}。",
        several_rows="找到 {n} 行（{columns}）：{items}{where}。",
        first_row="按 {key}，第一是 {items}{where}。",
        first_rows="按 {key}，前 {n} 个是 {items}{where}。",
        groups="{subject}从 {low}（{low_label}）到 {high}（{high_label}），共 {n} 个 {label}{where}。",
        no_rows="没有符合条件的行：{filters}。",
        no_rows_at_all="没有行。",
        none_seen="您看不到这样的行{where}：数据库只向您的角色显示 {tables} 的部分行。",
        hidden="数据库只向您的角色显示 {tables} 的部分行。",
        where="（条件：{filters}）",
        more="{items} 等，还有 {n} 个",
        largest_first="{key}（从大到小）",
        smallest_first="{key}（从小到大）",
        cut="结果被截断，可能还有更多。",
        comma="、",
    ),
}
# Words that most questions in the language have, and that are rare in the others. Ties go to the first language.
_COMMON = {
    "en": "the of how many much what which who whose where when are is was were and for with each list show all have",
    "de": """der die das wie viele viel welche welcher welches wer wo wann ist sind war und für mit jede jeder alle hat
        haben gibt von den dem ein eine im nicht zeige wurden""",
    "fr": """le les des combien quel quelle quels quelles qui où quand est sont et pour avec chaque tous toutes du dans
        une ont au aux il sur""",
    "es": """el los las cuántos cuántas cuanto cuantos cuantas cuál cuáles qué quién quiénes dónde es son y para con
        cada todos todas del una tienen tiene hay""",
}
_WORDS = {language: frozenset(words.split()) for language, words in _COMMON.items()}
COMMON_WORDS = frozenset().union(*_WORDS.values())
_SIGNS = {"de": "ß", "fr": "çèêœ", "es": "¿¡ñ"}
_KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")


def language_of(question: str) -> str:
    """The language of a question, a key of PHRASES; English if it is none of them."""
    if CJK.search(question):
        return "en" if _KANA_OR_HANGUL.search(question) else "zh"
    words = re.findall(r"[^\W\d_]+", question.lower())
    scores = {language: sum(word in common for word in words) for language, common in _WORDS.items()}
    for language, signs in _SIGNS.items():
        scores[language] += any(sign in question.lower() for sign in signs)
    return max(scores, key=lambda language: scores[language])
