"""Texts that tokenizers disagree about: code in many languages, and what is unusual in Unicode and in white space."""

import random
import unicodedata

CODE = [
    "def add(a, b=1):\n    return a + b  # it's 12345 x 0x1F\n",
    '#include <stdio.h>\nint main(void) {\n\tprintf("%d\\n", a->b[3] << 2);\n\treturn 0;\n}\n',
    'fn main() {\n    let v: Vec<u64> = (0..10).filter(|x| x % 2 == 0).collect();\n    println!("{:?}", v);\n}\n',
    'package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Println("héllo, 世界")\n}\n',
    "const f = async ({ a, ...rest }) => `${a ?? 'none'} ${JSON.stringify(rest)}`;\n",
    "public static <T extends Comparable<T>> T max(List<? extends T> xs) { return xs.get(0); }\n",
    "SELECT c.name, COUNT(*) FROM customers AS c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY 1;\n",
    "main :: IO ()\nmain = mapM_ print $ takeWhile (<1000) [x^2 | x <- [1..], odd x]\n",
    'for f in *.txt; do\n  [[ -s "$f" ]] && grep -c \'^\\s*$\' "${f%.txt}.md" 2>/dev/null\ndone\n',
    '<?php\n$x = array_map(fn($n) => $n ** 2, [1, 2, 3]);\necho "{$x[0]}\\n";\n?>\n',
    "<div class=\"a-b\" data-x='1'>&nbsp;<!-- TODO --></div>\r\n\t<p>don't</p>\r\n",
    "(defun fact (n) (if (<= n 1) 1 (* n (fact (- n 1)))))\n",
    "let rec sum = function [] -> 0 | x :: xs -> x + sum xs\n",
    '%% erlang\nloop(N) when N > 0 -> io:format("~p~n", [N]), loop(N - 1).\n',
    "\\begin{align*}\n  \\int_0^\\infty e^{-x^2}\\,dx &= \\frac{\\sqrt{\\pi}}{2}\n\\end{align*}\n",
    '{"key": [1.5e-10, null, true], "näme": "\\u00e9\\n"}\n',
]
PIECES = [
    *("é", "e\u0301", "Å", "A\u030a", "\u212b", "ﬁ", "각", "\u1100\u1161\u11a8", "が", "か\u3099", "ẛ\u0323", "Ω"),
    *(
        "漢字かな交じり文",
        "中文，标点。",
        "한국어",
        "العربية",
        "עברית",
        "हिन्दी",
        "ไทย",
        "Ελληνικά",
        "Привет",
        "İstanbul",
    ),
    *("☺", "👩‍👩‍👧‍👦", "🇵🇪", "👍🏽", "\U0001f9d1\u200d\U0001f4bb", "𝒳𝓎", "①②③", "½", "٣٤٥", "१२", "Ⅷ", "²", "🤷🏻‍♀️"),
    *("\u0301", "\u200b", "\u200d", "\ufeff", "\u00a0", "\u2003", "\u3000", "\u2028", "\u0085", "\x0b", "\x0c", "\x1c"),
    *("\u00ad", "\u202e", "\ufffd", "\u2581", "\ue000", "\x01", "\x7f", "\U000e0041", "\U0010ffff"),
    *(
        " ",
        "  ",
        "   ",
        " " * 7,
        " " * 40,
        "\t",
        "\t\t",
        "\n",
        "\n\n",
        "\n\n\n",
        "\r\n",
        "\r",
        "\r\r\n",
        " \n",
        "\n ",
        "\t \n",
    ),
    *("0", "12", "123", "1234", "12345678", "3.14159", "1_000", "0xDEADBEEF", "1e-5", "2" * 30),
    *("I'll", "don't", "it's", "WE'RE", "'S", "O'Reilly", "’s", "'", "''", '"'),
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<tool_call>", "</tool_call>", "<|fim", "<s>"),
    *("</s>", "<unk>", "<0x41>", "[INST]", "<｜fim▁hole｜>", "<fim_middle>", "<|eot_id|>", "<repo_name>", "<file_sep>"),
    *(
        "camelCase",
        "snake_case",
        "SCREAMING",
        "CamelCASEMix",
        "a.b->c",
        "::",
        "=>",
        "!==",
        "...",
        "----",
        "====",
        "/*",
        "*/",
    ),
    *("ß", "ſ", "K", "ı", "ŉ", "ǆ", "a", "Zebra", "the", " the", " The"),
]


def texts(number: int = 2000, seed: int = 0) -> list[str]:
    """So many different texts, always the same: pieces, code, cuts of it, mixtures."""
    source = random.Random(seed)
    found = dict.fromkeys(["", *PIECES, *CODE, *(unicodedata.normalize("NFD", piece) for piece in PIECES)])
    while len(found) < number:
        draw = source.random()
        if draw < 0.35:
            document = "".join(source.sample(CODE, 4))
            start = source.randrange(len(document))
            text = document[start : start + source.randint(1, 400)]
        elif draw < 0.7:
            text = "".join(source.choices(PIECES, k=source.randint(2, 12)))
        elif draw < 0.85:
            text = "".join(chr(_code_point(source)) for _ in range(source.randint(1, 20)))
        else:
            lines = source.choice(CODE).splitlines(keepends=True)
            ends = ("\n", "\r\n", "\n\t", "\n    ")
            text = "".join(line.rstrip("\n") + source.choice(ends) + source.choice(PIECES) for line in lines)
        found[text] = None
    return list(found)[:number]


def _code_point(source: random.Random) -> int:
    """A character of any kind that UTF-8 encodes, those below U+3000 more often."""
    while True:
        code = source.randrange(source.choice((0x80, 0x600, 0x3000, 0x10000, 0x20000)))
        if not 0xD800 <= code < 0xE000:
            return code
