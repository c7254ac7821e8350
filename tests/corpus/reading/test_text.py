"""Files as people have them: old encodings, byte order marks, Windows' line breaks, pointers in place of content."""

import pytest

from chaku.corpus.reading.text import decode_text

CODE = "int add(int a, int b) {{\n    return a + b; // {0}\n}}\n/* {1} */\n"
LANGUAGES = {
    "Chinese": CODE.format("返回总和，不检查溢出", "读取配置文件，如果文件不存在则使用默认值"),
    "Chinese, traditional": CODE.format("計算兩個數字的總和，並且傳回結果", "讀取設定檔，如果檔案不存在就使用預設值"),
    "Japanese": CODE.format("合計を返します", "設定ファイルを読み込む。ファイルがない場合はデフォルトを使う"),
    "Korean": CODE.format("합계를 반환", "설정 파일을 읽는다. 파일이 없으면 기본값을 사용한다"),
    "Russian": CODE.format("вернуть сумму", "Читает файл настроек и возвращает результат"),
    "French": CODE.format("les résultats sont vérifiés", "lève une erreur même si l'un est négatif"),
    "German": CODE.format("für später", "prüft die Größe der übergebenen Wörter"),
}


@pytest.mark.parametrize(
    ("language", "encoding"),
    [
        ("Chinese", "gb18030"),
        ("Chinese, traditional", "big5"),
        ("Japanese", "cp932"),
        ("Japanese", "euc_jp"),
        ("Korean", "euc_kr"),
        ("Russian", "cp1251"),
        ("Russian", "koi8_r"),
        ("French", "latin-1"),
        ("German", "cp1252"),
    ],
)
def test_encodings_are_known_by_their_bytes(language, encoding):
    assert decode_text(LANGUAGES[language].encode(encoding)) == (LANGUAGES[language], None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_marked_encodings(encoding):
    for text in LANGUAGES.values():
        assert decode_text(text.encode(encoding)) == (text, None)


@pytest.mark.parametrize(
    ("first_line", "encoding"),
    [
        ("# -*- coding: gbk -*-", "gbk"),
        ("#!/usr/bin/python\n# vim: set fileencoding=koi8-r :", "koi8-r"),
        ('<?xml version="1.0" encoding="Shift_JIS"?>', "shift_jis"),
    ],
)
def test_a_declared_encoding_is_believed(first_line, encoding):
    words = {"gbk": "和", "koi8-r": "да", "shift_jis": "和"}[encoding]  # too few to tell by
    text = f"{first_line}\nx = '{words}'\n"
    assert decode_text(text.encode(encoding)) == (text, None)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "Git LFS pointer"),
        (b"\x7fELF\0\0\0" * 20, "binary"),
        (b"x = 1\n" * 3000 + b"\0", "binary"),
        ("return a; // 返回总和".encode("gbk"), "of unknown encoding"),  # four characters fit four encodings
        (b"\xff\xfe\x00\xd8\x00\xd8", "binary"),  # half of a surrogate pair
        (b"# coding: hex\n\xff\xfe\xfd\xfc\xfb\xfa", "of unknown encoding"),  # no encoding of text
    ],
)
def test_what_is_no_text_is_said(raw, problem):
    assert decode_text(raw) == ("", problem)


def test_line_breaks_are_of_one_kind():
    assert decode_text(b"\xef\xbb\xbfa = 1\r\nb = 2\r\n") == ("a = 1\nb = 2\n", None)
    assert decode_text(b"progress\rbar\n") == ("progress\rbar\n", None)
