"""The colours of charts can be told apart, on a light and a dark page, by people who see colours differently too."""

import re
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest

STYLE = files("chaku.report").joinpath("style.css").read_text(encoding="utf-8")
# How a colour looks to people without one kind of cone: Machado, Oliveira and Fernandes 2009, table 1, severity 1.0,
# on linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of linear sRGB
THEMES = dict(zip(("light", "dark", "paper"), re.findall(r"--surface: .*?--s7: #\w+;", STYLE, re.DOTALL), strict=True))


def colours(theme: str) -> list[np.ndarray]:
    """The eight colours of a theme, in linear RGB."""
    return [linear(colour) for colour in re.findall(r"--s\d: (#\w{6})", THEMES[theme])]


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of linear RGB."""
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = matrix @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def nearest(found: list[np.ndarray], sight: str) -> float:
    seen = [lab(np.array(SIGHT[sight]) @ colour) for colour in found]
    return min(float(np.linalg.norm(one - other)) for one, other in combinations(seen, 2))


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("theme", THEMES)
def test_each_two_colours_differ(theme: str, sight: str) -> None:
    assert len(colours(theme)) == 8
    assert nearest(colours(theme), sight) > 20


def test_red_beside_green_would_be_noticed() -> None:
    assert nearest([linear("#e34948"), linear("#6f8f2f")], "deuteranopia") < 20


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_line_stands_out_from_the_page(theme: str) -> None:
    """WCAG 2.1, 1.4.11: graphics have a contrast of 3 with what is beside them."""
    surface = linear(re.search(r"--surface: (#\w{6})", THEMES[theme])[1])  # type: ignore[index]
    for colour in colours(theme):
        low, high = sorted((LUMINANCE @ colour, LUMINANCE @ surface))
        assert (high + 0.05) / (low + 0.05) >= 3
