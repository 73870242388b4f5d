"""Zoo entries, protocols and styles are found in the user's folder, a checkout or a wheel."""

from pathlib import Path

import pytest

from insilico import catalog
from insilico.errors import CatalogError


@pytest.fixture
def user_folder(tmp_path):
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / "models" / "mine" / "recipe.toml").touch()
    (tmp_path / "models" / "no-recipe").mkdir()
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "direction-slow.toml").touch()
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "poster.mplstyle").touch()
    return tmp_path


def test_entries_of_the_user_and_of_the_checkout_are_found(user_folder):
    models = catalog.entries("models", user_folder=user_folder)
    assert models["mine"] == user_folder / "models" / "mine"
    assert (models["sensorium2022-cnn"] / "recipe.toml").is_file()
    assert "no-recipe" not in models
    assert list(models) == sorted(models)
    experiments = catalog.entries("experiments", user_folder=user_folder)
    assert experiments["direction-slow"] == user_folder / "experiments" / "direction-slow.toml"
    figures = catalog.entries("figures", user_folder=user_folder)
    assert figures["poster"] == user_folder / "figures" / "poster.mplstyle"


def test_user_replaces_an_entry_of_the_same_name(user_folder):
    own = user_folder / "models" / "sensorium2022-cnn"
    own.mkdir()
    (own / "recipe.toml").touch()
    assert catalog.find("models", "sensorium2022-cnn", user_folder=user_folder) == own


def test_wheel_carries_the_catalog_where_there_is_no_checkout(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "insilico"
    (package / "catalog_data" / "experiments").mkdir(parents=True)
    (package / "catalog_data" / "experiments" / "direction.toml").touch()
    stranger = tmp_path / "site-packages"
    (stranger / "pyproject.toml").write_text('[project]\nname = "something-else"\n')
    (stranger / "experiments").mkdir()
    (stranger / "experiments" / "foreign.toml").touch()
    monkeypatch.setattr(catalog, "__file__", str(package / "catalog.py"))
    found = catalog.entries("experiments", user_folder=tmp_path / "none")
    expected = package.resolve() / "catalog_data" / "experiments" / "direction.toml"
    assert found == {"direction": expected}


def test_unknown_name_lists_what_there_is(user_folder):
    with pytest.raises(CatalogError, match=r"did you mean 'sensorium2022-cnn'.*mine"):
        catalog.find("models", "sensorium-cnn", user_folder=user_folder)
    with pytest.raises(CatalogError, match=r"no 'zebra' among the models; there are: "):
        catalog.find("models", "zebra", user_folder=user_folder)


def test_unknown_kind_is_refused():
    with pytest.raises(CatalogError, match="models, experiments, figures"):
        catalog.entries("recordings")


def test_every_model_of_the_checkout_has_recipe_and_card():
    for folder in catalog.entries("models", user_folder=Path("nowhere")).values():
        assert (folder / "README.md").is_file()
