import pytest

from family import write_recipe


@pytest.fixture(scope="module")
def recipe_path(tmp_path_factory):
    return write_recipe(tmp_path_factory.mktemp("little"))
