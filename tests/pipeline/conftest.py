"""The little family: its recipe, and one finished run of it that tests read or copy."""

import pytest

from family import made_once, run_family, write_recipe


@pytest.fixture(scope="session")
def recipe_path(tmp_path_factory):
    return made_once(tmp_path_factory, "little", write_recipe) / "little.toml"


@pytest.fixture(scope="session")
def whole(recipe_path, tmp_path_factory):
    return made_once(tmp_path_factory, "whole", lambda directory: run_family(recipe_path, directory / "run")) / "run"
